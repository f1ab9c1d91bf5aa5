//! Modified Bessel functions of the first kind, of orders 0 and 1, of `f64`; those of `f32` are these, rounded. Near 0 they are
//! power series, beyond 8 a slow function times eˣ/√x: what is common to all four is told once.

use super::double::{polynomial, split_exponent, wide_scale_exp};
use super::wide::Wide;

/// Where the power series ends.
const BORDER: f64 = 8.0;

/// 1 / k!²: I₀(x) by powers of x²/4.
const SERIES_0: [f64; 24] = [
    1.0,
    1.0,
    0.25,
    0.027_777_777_777_777_776,
    0.001_736_111_111_111_111,
    6.944_444_444_444_444e-5,
    1.929_012_345_679_012_4e-6,
    3.936_759_889_140_842e-8,
    6.151_187_326_782_565e-10,
    7.594_058_428_126_624e-12,
    7.594_058_428_126_623e-14,
    6.276_081_345_559_193e-16,
    4.358_389_823_304_995e-18,
    2.578_928_889_529_582_8e-20,
    1.315_780_045_678_358_6e-22,
    5.847_911_314_126_038_5e-25,
    2.284_340_357_080_483_8e-27,
    7.904_291_893_012_054e-30,
    2.439_596_263_275_325_3e-32,
    6.757_884_385_804_225e-35,
    1.689_471_096_451_056_4e-37,
    3.831_000_218_709_878_5e-40,
    7.915_289_708_078_262e-43,
    1.496_274_046_895_701_6e-45,
];

/// 1 / (k! (k + 1)!): I₁(x) · 2/x by powers of x²/4.
const SERIES_1: [f64; 24] = [
    1.0,
    0.5,
    0.083_333_333_333_333_33,
    0.006_944_444_444_444_444,
    0.000_347_222_222_222_222_24,
    1.157_407_407_407_407_3e-5,
    2.755_731_922_398_589e-7,
    4.920_949_861_426_052e-9,
    6.834_652_585_313_961e-11,
    7.594_058_428_126_623e-13,
    6.903_689_480_115_112e-15,
    5.230_067_787_965_994e-17,
    3.352_607_556_388_458e-19,
    1.842_092_063_949_702e-21,
    8.771_866_971_189_057e-24,
    3.654_944_571_328_774e-26,
    1.343_729_621_812_049_1e-28,
    4.391_273_273_895_586e-31,
    1.283_998_033_302_802_8e-33,
    3.378_942_192_902_112_6e-36,
    8.045_100_459_290_744e-39,
    1.741_363_735_777_217_4e-41,
    3.441_430_307_860_113_5e-44,
    6.234_475_195_398_757e-47,
];

/// I₀(x) · e⁻ˣ · √x by powers of 16/x − 1, for x ≥ 8.
const FAR_0: [f64; 25] = [
    0.402_176_509_445_008_1,
    0.003_360_551_983_667_854,
    0.000_136_216_074_392_327_46,
    1.114_303_379_155_674_3e-5,
    1.483_847_547_360_739_1e-6,
    2.973_598_432_479_169e-7,
    8.872_253_511_285_84e-8,
    3.932_602_459_703_109e-8,
    2.154_517_765_083_600_5e-8,
    7.553_516_470_355_896e-9,
    -6.729_724_111_923_548e-9,
    -1.340_424_199_198_087_1e-8,
    -5.468_597_449_586_6e-9,
    7.540_601_378_890_834e-9,
    7.580_221_339_152_72e-9,
    -3.485_788_747_003_495_5e-9,
    -6.188_265_090_497_361e-9,
    1.497_880_830_187_091e-9,
    3.881_151_253_996_067e-9,
    -5.562_201_990_080_394e-10,
    -1.778_937_504_291_717_3e-9,
    1.467_223_665_921_439_8e-10,
    5.181_936_971_288_284e-10,
    -1.921_676_372_493_351_3e-11,
    -7.068_938_511_818_78e-11,
];

/// I₁(x) · e⁻ˣ · √x by powers of 16/x − 1, for x ≥ 8.
const FAR_1: [f64; 27] = [
    0.389_398_459_025_872_33,
    -0.009_749_577_193_235_758,
    -0.000_219_235_763_834_387_29,
    -1.503_854_719_835_120_1e-5,
    -1.834_910_104_896_551_8e-6,
    -3.483_856_445_811_428e-7,
    -1.000_134_929_730_233e-7,
    -4.312_819_645_562_664e-8,
    -2.336_697_227_282_623e-8,
    -8.435_630_024_967_513e-9,
    6.687_257_309_165_881e-9,
    1.407_320_140_734_714_5e-8,
    6.180_080_050_252_965e-9,
    -7.768_471_997_806_944e-9,
    -8.488_549_054_437_278e-9,
    3.700_376_201_299_487_5e-9,
    7.441_519_822_394_391e-9,
    -1.842_354_234_931_444e-9,
    -5.438_072_168_110_142e-9,
    9.265_252_428_334_351e-10,
    3.205_558_634_623_623_8e-9,
    -3.898_671_094_463_254_3e-10,
    -1.383_438_970_863_702_2e-9,
    1.094_088_404_272_105_6e-10,
    3.784_510_012_514_866e-10,
    -1.455_381_905_418_481_7e-11,
    -4.848_238_653_363_404e-11,
];

/// c₀ + c₁z + c₂z² + … of z ≥ 0 and what its rounding loses: all terms are above 0.
fn series(z: f64, z_low: f64, coefficients: &[f64]) -> Wide {
    let (mut high, mut low) = (0.0, 0.0);
    for c in coefficients.iter().rev() {
        let product = Wide::product(high, z);
        let sum = Wide::sum(product.high, *c);
        low = f64::mul_add(low, z, f64::mul_add(high, z_low, product.low + sum.low));
        high = sum.high;
    }
    Wide::ordered(high, low)
}

/// Iₙ(a) · e⁻ᵃ for a ≥ 8.
fn far<const N: usize>(a: f64, mut coefficients: [f64; N], first_low: f64) -> Wide {
    if a == f64::INFINITY {
        return Wide::of(0.0);
    }
    let t = 16.0 / a - 1.0;
    let first = coefficients[0];
    coefficients[0] = first_low;
    let p = Wide::ordered(first, polynomial(t, coefficients));
    let root = a.sqrt();
    let root_low = root.mul_add(-root, a) / (2.0 * root);
    let q = p.high / root;
    let rest = q.mul_add(-root, p.high) + (p.low - q * root_low);
    Wide::ordered(q, rest / root)
}

/// The product with eᵃ, which may be beyond the numbers where the product is not.
fn grown(y: Wide, a: f64) -> f64 {
    if a > 720.0 {
        return f64::INFINITY;
    }
    let (n, r) = split_exponent(a);
    let (e, e_low) = wide_scale_exp(n - 32.0, r);
    e.mul_add(y.high, e_low.mul_add(y.high, e * y.low)) * 4_294_967_296.0
}

/// The product with e⁻ᵃ, of a ≤ 8.
fn shrunk(y: Wide, a: f64) -> f64 {
    let (n, r) = split_exponent(-a);
    let (e, e_low) = wide_scale_exp(n, r);
    e.mul_add(y.high, e_low.mul_add(y.high, e * y.low))
}

/// x²/4 and what its rounding loses.
fn quarter(x: f64) -> (f64, f64) {
    let half = Wide::product(0.5 * x, 0.5 * x);
    (half.high, half.low)
}

fn near_0(x: f64) -> Wide {
    let (z, z_low) = quarter(x);
    series(z, z_low, &SERIES_0)
}

/// The part behind x/2 of I₁.
fn near_1(x: f64) -> Wide {
    let (z, z_low) = quarter(x);
    series(z, z_low, &SERIES_1)
}

const FAR_0_LOW: f64 = -2.546_913_799_130_410_8e-17;
const FAR_1_LOW: f64 = -4.422_269_466_329_674e-18;

/// I₀(x).
pub(super) fn bessel_i0(x: f64) -> f64 {
    let a = x.abs();
    if a.is_nan() || a == f64::INFINITY {
        return a;
    }
    if a <= BORDER { near_0(a).rounded() } else { grown(far(a, FAR_0, FAR_0_LOW), a) }
}

/// I₀(x) · e^(−|x|).
pub(super) fn bessel_i0e(x: f64) -> f64 {
    let a = x.abs();
    if a.is_nan() {
        return a;
    }
    if a <= BORDER { shrunk(near_0(a), a) } else { far(a, FAR_0, FAR_0_LOW).rounded() }
}

/// I₁(x).
pub(super) fn bessel_i1(x: f64) -> f64 {
    let a = x.abs();
    if a.is_nan() || a == f64::INFINITY {
        return x;
    }
    let y = if a <= BORDER {
        let s = near_1(a);
        0.5 * a * s.high + 0.5 * a * s.low
    } else {
        grown(far(a, FAR_1, FAR_1_LOW), a)
    };
    y.copysign(x)
}

/// I₁(x) · e^(−|x|).
pub(super) fn bessel_i1e(x: f64) -> f64 {
    let a = x.abs();
    if a.is_nan() {
        return x;
    }
    let y = if a <= BORDER { 0.5 * a * shrunk(near_1(a), a) } else { far(a, FAR_1, FAR_1_LOW).rounded() };
    y.copysign(x)
}
