//! The error function of `f64` and its complement; those of `f32` are these, rounded. Apart from the other functions as
//! the two share their halves: a polynomial near 0, and e^(−x²) times a slow function beyond.

use super::double::{polynomial, scale_exp, split_exponent};

/// erf a for `0 ≤ a ≤ 1`.
#[inline(always)]
fn near(a: f64) -> f64 {
    // 2/√π = 1 + c, in two parts
    const C: f64 = 0.128_379_167_095_512_6;
    const C_LOW: f64 = -1.242_011_600_246_303_2e-17;
    let z = a * a;
    let p = polynomial(
        z,
        [
            -0.376_126_389_031_837_54,
            0.112_837_916_709_551_25,
            -0.026_866_170_645_131_082,
            0.005_223_977_625_438_433,
            -0.000_854_832_702_302_101_4,
            0.000_120_553_329_524_782_73,
            -1.492_564_907_389_667e-5,
            1.646_207_658_296_351_9e-6,
            -1.636_508_206_737_204_2e-7,
            1.479_658_024_633_064_1e-8,
            -1.219_008_804_127_491_8e-9,
            8.799_613_259_657_729e-11,
            -4.372_768_272_503_259e-12,
        ],
    );
    a + a * (z.mul_add(p, C_LOW) + C)
}

/// (1 + 2a) · e^(a²) · erfc a for 15/32 ≤ a ≤ 28.
#[inline(always)]
fn slope(a: f64) -> f64 {
    // With v = (a − 15/4)/(a + 15/4), (1 + 2a) · e^(a²) · erfc a is nearly a line.
    let v = (a - 3.75) / (a + 3.75);
    polynomial(
        v,
        [
            1.237_512_630_837_827_5,
            -0.140_240_598_585_547_02,
            0.003_585_415_485_463_63,
            0.082_276_738_490_151_1,
            -0.108_803_930_141_703_39,
            0.092_304_321_160_194_44,
            -0.058_693_398_590_656_684,
            0.028_362_277_421_609_086,
            -0.009_746_579_546_099_175,
            0.001_755_625_831_126_418_4,
            0.000_293_713_582_230_974_7,
            -0.000_290_153_968_034_392_5,
            5.164_947_388_700_144e-5,
            2.238_384_789_093_945e-5,
            -1.144_527_734_967_240_6e-5,
            -9.726_042_831_828_452e-7,
            1.753_962_168_870_724_7e-6,
            -5.889_538_285_712_306e-8,
            -2.618_976_746_928_331_6e-7,
            2.537_383_639_777_761e-8,
            4.159_022_686_546_083e-8,
            -5.571_529_838_919_757e-9,
            -6.723_049_897_794_907e-9,
            1.287_801_535_038_861_3e-9,
            7.939_441_023_814_277e-10,
            -2.415_355_686_692_440_7e-10,
        ],
    )
}

/// e^(a²) · erfc a for 15/32 ≤ a ≤ 28.
#[inline(always)]
pub(super) fn scaled_erfc(a: f64) -> f64 {
    slope(a) / (1.0 + 2.0 * a)
}

/// erfc a for a ≥ 15/32.
#[inline(always)]
fn far(a: f64) -> f64 {
    let a = if a > 28.0 { 28.0 } else { a };
    let g = slope(a);
    // The exponent and the quotient keep what rounding takes of a² and of 1 + 2a.
    let square = a * a;
    let square_low = a.mul_add(a, -square);
    let below = 1.0 + 2.0 * a;
    let below_low = 2.0 * a - (below - 1.0);
    let q = g / below;
    let q_low = (q.mul_add(-below, g) - q * below_low) / below;
    let (n, r) = split_exponent(-square);
    // Scaled twice, so that digits are lost only where the result has fewer.
    let e = scale_exp(n + 512.0, r - square_low);
    (e * q + e * q_low) * 7.458_340_731_200_207e-155
}

#[inline(always)]
pub(super) fn erf(x: f64) -> f64 {
    let a = x.abs();
    let bounded = if a > 1.0 { 1.0 } else { a };
    let y = if a > 1.0 { 1.0 - far(a) } else { near(bounded) };
    y.copysign(x)
}

#[inline(always)]
pub(super) fn erfc(x: f64) -> f64 {
    let a = x.abs();
    let bounded = if a > 1.0 { 1.0 } else { a };
    let inner = near(bounded).copysign(x);
    let outer = far(a);
    let outer = if x < 0.0 { 2.0 - outer } else { outer };
    // Below 0 the near half serves to −1, above it to where half is left.
    let close = (a <= 1.0) & (x < 0.468_75);
    if close { 1.0 - inner } else { outer }
}
