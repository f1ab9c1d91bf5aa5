//! The logarithm of the gamma function, its derivatives, and Hurwitz's zeta function, of `f64`; those of `f32` are these,
//! rounded. The one file of `math` that branches: the functions are sums of as many terms as their arguments need.
//!
//! `lgamma` and `digamma` are within 2 ulp everywhere: of positive numbers by polynomials, of negative ones, where they are
//! differences of larger terms, in 106 bits, and from their zeros on where even these are too few. `zeta` and `polygamma` are sums
//! in 106 bits, of which the powers of numbers that are not whole have 53.

use super::double::{exp, ln, pow, sin, wide_ln};
use super::wide::Wide;

const PI: f64 = std::f64::consts::PI;
/// ln √(2π).
const HALF_LN_2_PI: f64 = 0.918_938_533_204_672_8;

/// c₀ + c₁x + c₂x² + …
fn polynomial(x: f64, coefficients: &[f64]) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| f64::mul_add(sum, x, *c))
}

/// ln Γ(1 + t) for −0.3 ≤ t ≤ 0.5.
pub(super) fn lgamma_near_one(t: f64) -> f64 {
    let p = polynomial(
        t,
        &[
            0.822_467_033_424_113_2,
            -0.400_685_634_386_531_43,
            0.270_580_808_427_784_65,
            -0.207_385_551_028_682_78,
            0.169_557_176_997_394_67,
            -0.144_049_896_767_539_15,
            0.125_509_669_524_398_24,
            -0.111_334_265_968_809_74,
            0.100_099_457_665_952_89,
            -0.090_954_012_844_507_74,
            0.083_353_829_203_782_77,
            -0.076_932_626_506_285_86,
            0.071_433_365_830_748_39,
            -0.066_667_124_902_971_41,
            0.062_492_004_655_320_75,
            -0.058_832_849_298_658_806,
            0.055_667_678_018_644_88,
            -0.052_705_758_239_175_2,
            0.049_250_264_741_500_08,
            -0.046_092_358_714_002_47,
            0.047_093_282_111_375_374,
            -0.052_123_162_293_147_12,
            0.049_175_083_783_447_72,
            -0.029_828_144_006_617_863,
            0.008_191_940_570_003_787,
        ],
    );
    // Without the sign that 0 would get.
    t * t.mul_add(p, -0.577_215_664_901_532_9) + 0.0
}

/// ln Γ(2 + t) for `|t| ≤ 0.5`.
fn lgamma_near_two(t: f64) -> f64 {
    let p = polynomial(
        t,
        &[
            0.322_467_033_424_113_26,
            -0.067_352_301_053_198_1,
            0.020_580_808_427_780_38,
            -0.007_385_551_028_671_998_6,
            0.002_890_510_331_034_267,
            -0.001_192_753_911_842_815_6,
            0.000_509_669_515_411_545_8,
            -0.000_223_154_754_005_205_07,
            9.945_767_355_819_498e-5,
            -4.492_631_337_915_57e-5,
            2.050_559_075_583_345_4e-5,
            -9.438_715_099_211_532e-6,
            4.384_704_404_598_36e-6,
            -2.043_904_810_702_991_5e-6,
            9.200_527_894_968_101e-7,
            -4.325_239_344_560_467_6e-7,
            2.787_408_052_113_59e-7,
            -1.321_994_566_611_799e-7,
        ],
    );
    t * t.mul_add(p, 0.422_784_335_098_467_13)
}

/// ln Γ(x) for x ≥ 8, and what its rounding loses.
fn lgamma_large(x: f64) -> (f64, f64) {
    if x > 1e300 {
        return (x * (ln(x) - 1.0), 0.0);
    }
    let z = 1.0 / (x * x);
    let tail = polynomial(
        z,
        &[
            0.083_333_333_333_333_33,
            -0.002_777_777_777_777_184_6,
            0.000_793_650_793_037_208_4,
            -0.000_595_237_892_094_631_6,
            0.000_841_703_174_302_899_5,
            -0.001_912_389_586_189_043,
            0.006_096_079_668_391_774,
            -0.018_940_394_290_006_865,
        ],
    ) / x;
    // (x − ½) ln x − x + ln √(2π) + tail, the large terms with what their rounding loses.
    let (l, l_low) = wide_ln(x);
    let factor = x - 0.5;
    let product = factor * l;
    let product_low = factor.mul_add(l, -product) + factor * l_low;
    let high = product - x;
    let part = high - product;
    let lost = (product - (high - part)) - (x + part);
    let rest = HALF_LN_2_PI + (tail + (product_low + lost));
    let sum = Wide::sum(high, rest);
    (sum.high, sum.low)
}

/// ln Γ(x) for x > 0.
fn lgamma_positive(x: f64) -> f64 {
    if x >= 8.0 {
        lgamma_large(x).0
    } else if x > 2.5 {
        let (mut rest, mut product) = (x - 1.0, x - 1.0);
        while rest > 2.5 {
            rest -= 1.0;
            product *= rest;
        }
        lgamma_near_two(rest - 2.0) + ln(product)
    } else if x > 1.5 {
        lgamma_near_two(x - 2.0)
    } else if x >= 0.7 {
        lgamma_near_one(x - 1.0)
    } else if x > 0.5 {
        lgamma_near_two(x - 1.0) - ln(x)
    } else {
        lgamma_near_one(x) - ln(x)
    }
}

/// x less the nearest whole number.
fn from_whole(x: f64) -> f64 {
    x - x.round_ties_even()
}

/// ln |Γ(x)|; ∞ at poles and at infinities.
pub(super) fn lgamma(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x.is_infinite() {
        return f64::INFINITY;
    }
    if x > 0.0 {
        return lgamma_positive(x);
    }
    let (a, r) = (-x, from_whole(x));
    if r == 0.0 {
        return f64::INFINITY;
    }
    if a < 1e-20 {
        return -ln(a);
    }
    if a < 30.0 {
        return near_zero(x, &LGAMMA_ZEROS).unwrap_or_else(|| lgamma_shifted(Wide::of(x)).rounded());
    }
    // Γ(x) Γ(−x) = −π / (x sin πx), of which none is near 1.
    let (high, low) = wide_ln(a * sin(PI * r).abs() / PI);
    let (far, far_low) = lgamma_large(a);
    let sum = Wide::sum(-high, -far);
    sum.high + (sum.low - (low + far_low))
}

/// A zero at a negative number, in two parts, and the first and half the second derivative there.
type Zero = (Wide, [f64; 2]);

/// Of lgamma, those that its shifted form does not reach.
#[rustfmt::skip] // a table
const LGAMMA_ZEROS: [Zero; 14] = [
    (Wide::new(-2.747_682_646_727_412_7, 9.055_340_329_338_315e-17), [-1.914_350_185_611_598_8, 9.575_189_475_709_667]),
    (Wide::new(-2.457_024_738_220_800_6, -3.707_561_081_551_326_6e-17), [1.515_603_448_021_657_4, 4.858_320_951_633_996_5]),
    (Wide::new(-3.955_294_284_858_598, -1.999_428_391_746_348e-17), [-20.725_060_845_803_707, 251.714_682_586_889_4]),
    (Wide::new(-3.143_580_888_349_98, -2.181_817_985_233_171_4e-16), [7.781_884_658_131_351, 25.831_338_372_387_957]),
    (Wide::new(-4.991_544_640_560_048, 1.517_441_176_057_172_2e-16), [-116.535_781_616_243_63, 6_995.235_954_894_064]),
    (Wide::new(-4.039_361_839_740_537, 2.114_399_550_398_060_2e-16), [26.790_480_886_140_593, 324.255_322_937_847_15]),
    (Wide::new(-5.998_607_480_080_875, -3.311_862_478_893_795e-16), [-716.245_430_427_547_3, 257_851.589_639_562_62]),
    (Wide::new(-5.008_218_168_322_593_5, -4.392_635_349_101_581_5e-17), [123.362_184_563_353_4, 7_404.762_432_228_682]),
    (Wide::new(-6.999_801_507_890_638, 1.055_013_003_740_002_3e-17), [-5_035.967_373_768_125, 12_690_641.166_047_18]),
    (Wide::new(-6.001_385_294_453_155, 6.415_847_287_933_042e-17), [723.736_629_925_280_1, 260_548.410_303_093_96]),
    (Wide::new(-7.999_975_197_095_821, -5.261_737_128_572_354e-17), [-40_315.718_542_187_79, 812_764_889.335_483_9]),
    (Wide::new(-7.000_198_333_407_325, 2.504_354_173_632_409e-16), [5_044.029_941_110_829, 12_710_958.833_951_395]),
    (Wide::new(-8.999_997_244_250_977, -2.218_562_050_972_713_2e-16), [-362_875.496_474_671_1, 65_840_130_084.020_46]),
    (Wide::new(-8.000_024_800_270_682, -4.354_586_297_860_107e-16), [40_324.281_108_124_356, 812_937_510.664_516]),
];

/// A function so near to one of its zeros that 106 bits, of which its terms lose some, would not do.
fn near_zero(x: f64, zeros: &[Zero]) -> Option<f64> {
    zeros.iter().find_map(|(zero, [slope, bend])| {
        let beyond = (x - zero.high) - zero.low;
        // Further terms are by this factor smaller than the last one.
        let scale = from_whole(zero.high).abs();
        (beyond.abs() < scale * 7.45e-9).then(|| beyond * beyond.mul_add(*bend, *slope))
    })
}

/// ln |Γ(x)| of x > −30, but for poles, by shifting its argument to where the series of Stirling serves.
pub(super) fn lgamma_shifted(x: Wide) -> Wide {
    let mut y = x;
    let mut product = Wide::of(1.0);
    let mut k = 0.0;
    while y.high < 24.0 {
        product = product.times(y);
        k += 1.0;
        y = x.plus(Wide::of(k));
    }
    let below = product.magnitude().ln();
    stirling(y).minus(below)
}

/// ln Γ(y) for y ≥ 24.
fn stirling(y: Wide) -> Wide {
    const HALF_LN_2_PI_WIDE: Wide = Wide::new(HALF_LN_2_PI, -3.878_294_158_067_241_4e-17);
    // B₂ₖ / (2k (2k − 1))
    const LONG: [Wide; 5] = [
        Wide::new(0.083_333_333_333_333_33, 4.625_929_269_271_485e-18),
        Wide::new(-0.002_777_777_777_777_778, 1.060_108_790_874_715_4e-19),
        Wide::new(0.000_793_650_793_650_793_7, 6.883_823_317_368_282e-22),
        Wide::new(-0.000_595_238_095_238_095_3, 5.369_382_187_547_26e-20),
        Wide::new(0.000_841_750_841_750_841_7, 3.687_017_488_923_769_4e-20),
    ];
    const SHORT: [f64; 8] = [
        -0.001_917_526_917_526_917_6,
        0.006_410_256_410_256_41,
        -0.029_550_653_594_771_242,
        0.179_644_372_368_830_57,
        -1.392_432_216_905_901_1,
        13.402_864_044_168_393,
        -156.848_284_626_002_02,
        2_193.103_333_333_333_5,
    ];
    let z = Wide::of(1.0).over(y);
    let tail = z.times(z.times(z).polynomial(&LONG, &SHORT));
    let large = y.plus(Wide::of(-0.5)).times(y.ln()).minus(y);
    large.plus(HALF_LN_2_PI_WIDE).plus(tail)
}

/// ψ(1 + y) for 0 ≤ y ≤ 1.
fn digamma_near(y: f64) -> f64 {
    // Its zero, less 1, in two parts.
    const ZERO: f64 = 0.461_632_144_968_362_36;
    const ZERO_LOW: f64 = -1.552_234_816_285_867_7e-17;
    let p = polynomial(
        y - 0.5,
        &[
            0.951_055_876_031_832_8,
            -0.423_627_421_281_460_47,
            0.240_542_484_240_786_92,
            -0.148_404_923_053_918_7,
            0.094_988_724_452_915_58,
            -0.061_922_133_271_544_284,
            0.040_760_833_938_216_73,
            -0.026_975_796_849_706_184,
            0.017_907_248_443_925_96,
            -0.011_908_215_027_359_153,
            0.007_927_018_411_136_843,
            -0.005_280_020_192_518_892,
            0.003_518_161_855_087_495_7,
            -0.002_344_625_217_988_599_3,
            0.001_562_789_950_608_375,
            -0.001_042_432_382_875_398_5,
            0.000_694_908_174_082_211,
            -0.000_459_197_503_664_691_2,
            0.000_306_124_207_554_314_6,
            -0.000_220_018_950_051_099_55,
            0.000_146_678_104_906_234_1,
            -5.770_940_461_269_815_6e-5,
            3.847_275_205_849_602e-5,
            -8.394_009_422_598_467e-5,
            5.596_002_350_342_592e-5,
        ],
    );
    ((y - ZERO) - ZERO_LOW) * p
}

/// ψ(x) for x > 0.
pub(super) fn digamma_positive(x: f64) -> f64 {
    if x >= 10.0 {
        let z = 1.0 / (x * x);
        let tail = polynomial(
            z,
            &[
                -0.083_333_333_333_333_33,
                0.008_333_333_333_329_107,
                -0.003_968_253_961_468_143_5,
                0.004_166_662_567_441_337,
                -0.007_574_572_233_138_618_6,
                0.020_915_106_432_967_64,
                -0.069_804_561_108_936_61,
            ],
        );
        return ln(x) + z.mul_add(tail, -0.5 / x);
    }
    if x < 1.0 {
        return digamma_near(x) - 1.0 / x;
    }
    let (mut rest, mut sum) = (x, 0.0);
    while rest > 2.0 {
        rest -= 1.0;
        sum += 1.0 / rest;
    }
    digamma_near(rest - 1.0) + sum
}

/// ψ(x) = (ln Γ)′(x); NaN at poles.
pub(super) fn digamma(x: f64) -> f64 {
    if x.is_nan() || x == f64::INFINITY {
        return x;
    }
    if x > 0.0 {
        return digamma_positive(x);
    }
    let r = from_whole(x);
    if r == 0.0 || x.is_infinite() {
        return f64::NAN;
    }
    if x < -1e-20 && x > -30.0 {
        return near_zero(x, &DIGAMMA_ZEROS).unwrap_or_else(|| digamma_shifted(Wide::of(x)).rounded());
    }
    if x > -1e-20 {
        return -1.0 / x;
    }
    // ψ(x) = ψ(1 − x) − π cot πr, π cot πr = ψ(1 − r) − ψ(r)
    let cotangent = digamma_shifted(Wide::sum(1.0, -r)).minus(digamma_shifted(Wide::of(r)));
    digamma_shifted(Wide::sum(1.0, -x)).minus(cotangent).rounded()
}

/// Of digamma, those that its shifted form does not reach.
#[rustfmt::skip] // a table
const DIGAMMA_ZEROS: [Zero; 10] = [
    (Wide::new(-0.504_083_008_264_455_4, -8.154_282_062_438_13e-18), [8.939_798_558_792_134, -0.809_345_462_530_650_7]),
    (Wide::new(-1.573_498_473_162_390_4, -1.574_185_691_077_347e-17), [9.941_513_615_924_176, -7.802_593_974_782_628]),
    (Wide::new(-2.610_720_868_444_144_7, 9.881_960_746_978_353e-17), [10.848_328_799_209_19, -12.770_725_694_247_192]),
    (Wide::new(-3.635_293_366_436_901, 5.454_396_163_173_039e-17), [11.650_939_359_651_861, -16.938_337_607_821_335]),
    (Wide::new(-4.653_237_761_743_142, -2.549_268_620_146_819_3e-16), [12.369_637_994_669_782, -20.636_997_462_381_604]),
    (Wide::new(-5.667_162_441_556_885_5, -3.215_305_107_494_833_5e-18), [13.021_406_387_509_394, -24.010_833_566_989_9]),
    (Wide::new(-6.678_418_213_073_427, 3.470_798_723_495_241e-16), [13.618_851_904_195_76, -27.138_720_475_450_622]),
    (Wide::new(-7.687_788_325_031_626, -1.351_562_494_643_672e-16), [14.171_340_633_241_15, -30.070_057_845_407_266]),
    (Wide::new(-8.695_764_163_816_401, -3.285_990_371_628_944_7e-16), [14.685_967_981_672_645, -32.838_600_366_351_77]),
    (Wide::new(-9.702_672_540_001_863, -3.256_317_840_540_147_7e-16), [15.168_227_153_977_934, -35.468_840_042_171_8]),
];

/// ψ(x) of x > −30, but for poles, by shifting its argument to where its asymptotic series serves.
fn digamma_shifted(x: Wide) -> Wide {
    // −B₂ₖ / 2k
    const LONG: [Wide; 5] = [
        Wide::new(-0.083_333_333_333_333_33, -4.625_929_269_271_485e-18),
        Wide::new(0.008_333_333_333_333_333, 1.156_482_317_317_871_4e-19),
        Wide::new(-0.003_968_253_968_253_968, -2.202_823_461_557_85e-19),
        Wide::new(0.004_166_666_666_666_667, 5.782_411_586_589_357e-20),
        Wide::new(-0.007_575_757_575_757_576, 2.102_695_122_396_129_9e-19),
    ];
    const SHORT: [f64; 8] = [
        0.021_092_796_092_796_094,
        -0.083_333_333_333_333_33,
        0.443_259_803_921_568_6,
        -3.053_954_330_270_12,
        26.456_212_121_212_12,
        -281.460_144_927_536_25,
        3_607.510_546_398_046_2,
        -54_827.583_333_333_336,
    ];
    let mut y = x;
    let mut sum = Wide::of(0.0);
    let mut k = 0.0;
    while y.high < 24.0 {
        sum = sum.plus(Wide::of(1.0).over(y));
        k += 1.0;
        y = x.plus(Wide::of(k));
    }
    let z = Wide::of(1.0).over(y);
    let square = z.times(z);
    let tail = square.times(square.polynomial(&LONG, &SHORT));
    y.ln().minus(z.scaled(0.5)).plus(tail).minus(sum)
}

/// B₂ⱼ / (2j)!
const BERNOULLI: [f64; 12] = [
    0.083_333_333_333_333_33,
    -0.001_388_888_888_888_889,
    3.306_878_306_878_307e-5,
    -8.267_195_767_195_768e-7,
    2.087_675_698_786_81e-8,
    -5.284_190_138_687_493e-10,
    1.338_253_653_068_467_9e-11,
    -3.389_680_296_322_582_7e-13,
    8.586_062_056_277_845e-15,
    -2.174_868_698_558_062e-16,
    5.509_002_828_360_229_5e-18,
    -1.395_446_468_581_252_3e-19,
];

/// a⁻ˢ for a > 0.
fn inverse_power(a: Wide, s: f64) -> Wide {
    let p = pow(a.high, -s);
    // Beyond these the low parts have no digits.
    if !(1e-250..1e250).contains(&p) || !(1e-250..1e250).contains(&a.high) {
        return Wide::of(p);
    }
    if s > 64.0 || s.floor() != s {
        return Wide::ordered(p, -p * s * (a.low / a.high));
    }
    let (mut product, mut square) = (Wide::of(1.0), a);
    let mut rest = s;
    while rest > 0.0 {
        let half = (0.5 * rest).floor();
        if half + half != rest {
            product = product.times(square);
        }
        rest = half;
        if rest > 0.0 {
            square = square.times(square);
        }
    }
    Wide::of(1.0).over(product)
}

/// ζ(s, q + begin) for s > 1, q + begin > 0, by the formula of Euler and Maclaurin.
fn zeta_positive(s: f64, q: f64, begin: f64) -> Wide {
    let mut k = begin;
    let mut a = Wide::sum(q, k);
    let mut sum = Wide::of(0.0);
    let enough = s + 10.0;
    while a.high < enough {
        let term = inverse_power(a, s);
        if term.high.is_infinite() {
            return term;
        }
        sum = sum.plus(term);
        if term.high <= sum.high * 1e-19 {
            return sum;
        }
        k += 1.0;
        a = Wide::sum(q, k);
    }
    let power = inverse_power(a, s);
    // All that follows the integral is smaller than it.
    let at = a.high;
    let mut tail = 0.5;
    let mut factor = s / at;
    let mut k = 0.0;
    for b in BERNOULLI {
        tail = b.mul_add(factor, tail);
        factor *= (s + k + 1.0) * (s + k + 2.0) / (at * at);
        k += 2.0;
    }
    let integral = a.over(Wide::sum(s, -1.0));
    if !(power.high * integral.high > 1e-250 && integral.high < 1e250) {
        return sum.plus(Wide::of(pow(at, 1.0 - s) / (s - 1.0) + power.high * tail));
    }
    sum.plus(power.times(integral.plus(Wide::of(tail))))
}

/// ζ(s, q) = Σ (q + k)⁻ˢ over k ≥ 0, with the cases of TensorFlow: ∞ at s = 1 and at poles of even s, NaN below 1, at poles
/// of odd s, and at negative q of an s that is not whole.
pub(super) fn zeta(s: f64, q: f64) -> f64 {
    if s.is_nan() || q.is_nan() {
        return f64::NAN;
    }
    if s == 1.0 {
        return f64::INFINITY;
    }
    if s < 1.0 {
        return f64::NAN;
    }
    let whole = s.floor() == s;
    let even = whole && from_whole(0.5 * s) == 0.0;
    hurwitz(s, q, whole, even).rounded()
}

/// ζ(s, q) of s > 1, which may be whole, and even.
fn hurwitz(s: f64, q: f64, whole: bool, even: bool) -> Wide {
    if q > 0.0 {
        return if q.is_infinite() { Wide::of(0.0) } else { zeta_positive(s, q, 0.0) };
    }
    if q.floor() == q {
        return Wide::of(if even { f64::INFINITY } else { f64::NAN });
    }
    if !whole {
        return Wide::of(f64::NAN);
    }
    let signed = |size: Wide| if even { size } else { size.negated() };
    if q > -32.0 {
        let begin = -q.floor();
        let mut sum = zeta_positive(s, q, begin);
        let mut k = 0.0;
        while k < begin {
            let term = inverse_power(Wide::sum(q, k).negated(), s);
            if term.high.is_infinite() {
                return signed(term);
            }
            sum = sum.plus(signed(term));
            k += 1.0;
        }
        return sum;
    }
    // Over all whole k the sum is that of both sides of f, the part of q behind its point; what lies below q goes.
    let f = q - q.floor();
    let below = zeta_positive(s, -f, 1.0).minus(zeta_positive(s, -q, 1.0));
    zeta_positive(s, f, 0.0).plus(signed(below))
}

/// The n-th derivative of ψ; NaN where n is not a whole number from 0 on.
pub(super) fn polygamma(n: f64, x: f64) -> f64 {
    if n.is_nan() || n < 0.0 || n.floor() != n {
        return f64::NAN;
    }
    if n == 0.0 {
        return digamma(x);
    }
    let s = n + 1.0;
    let even = from_whole(0.5 * s) == 0.0;
    let size = hurwitz(s, x, true, even);
    let size = if n > 170.0 || !size.high.is_finite() {
        exp(lgamma_positive(s)) * size.rounded()
    } else {
        let (mut factorial, mut k) = (Wide::of(1.0), 2.0);
        while k <= n {
            factorial = factorial.times(Wide::of(k));
            k += 1.0;
        }
        let product = factorial.high * size.high;
        if product.abs() < 1e290 { factorial.times(size).rounded() } else { product }
    };
    if even { size } else { -size }
}
