//! The error function of `f64` and its complement; those of `f32` are these, rounded. Apart from the other functions as
//! the two share their halves: a polynomial near 0, and e^(−x²) times a slow function beyond.

use super::double::{polynomial, split_exponent, wide_scale_exp};

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

/// (1 + 2a) · e^(a²) · erfc a for 15/32 ≤ a ≤ 28, in two parts.
#[inline(always)]
fn slope(a: f64) -> (f64, f64) {
    const FIRST: f64 = 1.237_512_630_837_827_5;
    // With v = (a − 15/4)/(a + 15/4), (1 + 2a) · e^(a²) · erfc a is nearly a line.
    let v = (a - 3.75) / (a + 3.75);
    let rest = polynomial(
        v,
        [
            0.0,
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
    );
    let sum = FIRST + rest;
    (sum, rest - (sum - FIRST))
}

/// e^(a²) · erfc a for 15/32 ≤ a ≤ 28.
#[inline(always)]
pub(super) fn scaled_erfc(a: f64) -> f64 {
    slope(a).0 / (1.0 + 2.0 * a)
}

/// What the exponential of [`far_scaled`] is scaled by, so that digits are lost only where the result has fewer.
const SCALE: f64 = 512.0;
/// 2⁻⁵¹².
const UNSCALED: f64 = 7.458_340_731_200_207e-155;

/// 2⁵¹² · `factor` · erfc a of 15/32 ≤ a ≤ 28; a and its square are given in two parts.
#[inline(always)]
fn far_scaled(factor: f64, a: f64, a_low: f64, square: f64, square_low: f64) -> f64 {
    let (g, g_low) = slope(a);
    // The exponent and the quotient keep what rounding takes of a² and of 1 + 2a.
    let below = 1.0 + 2.0 * a;
    let below_low = 2.0 * a_low + (2.0 * a - (below - 1.0));
    let above = g * factor;
    let above_low = g_low.mul_add(factor, g.mul_add(factor, -above));
    let q = above / below;
    let q_low = (q.mul_add(-below, above) + (above_low - q * below_low)) / below;
    let (n, r) = split_exponent(-square);
    let (e, e_low) = wide_scale_exp(n + SCALE, r - square_low);
    e.mul_add(q, e_low.mul_add(q, e * q_low))
}

/// erfc a for a ≥ 15/32.
#[inline(always)]
fn far(a: f64) -> f64 {
    let a = if a > 28.0 { 28.0 } else { a };
    let square = a * a;
    far_scaled(1.0, a, 0.0, square, a.mul_add(a, -square)) * UNSCALED
}

/// erfc a for a ≥ 0, a² given in two parts.
pub(super) fn erfc_of_square(square: f64, square_low: f64) -> f64 {
    let a = square.sqrt();
    let a_low = if a > 0.0 { (a.mul_add(-a, square) + square_low) / (2.0 * a) } else { 0.0 };
    if a < 0.468_75 {
        1.0 - (near(a) + a_low)
    } else if a < 28.0 {
        far_scaled(1.0, a, a_low, square, square_low) * UNSCALED
    } else {
        0.0
    }
}

/// x · Φ(x), Φ the chance that a normal number is below x.
#[inline(always)]
pub(super) fn gelu(x: f64) -> f64 {
    const ROOT: f64 = std::f64::consts::FRAC_1_SQRT_2;
    const ROOT_LOW: f64 = -4.833_646_656_726_457e-17;
    let b = x.abs();
    let b = if b > 39.5 { 39.5 } else { b };
    // Φ(x) = ½ erfc(−x/√2)
    let a = b * ROOT;
    let a_low = b.mul_add(ROOT, -a) + b * ROOT_LOW;
    let bounded = if a > 1.0 { 1.0 } else { a };
    let inner = near(bounded) + a_low;
    let inner = if x < 0.0 { 1.0 - inner } else { 1.0 + inner };
    let square = 0.5 * b * b;
    // Beyond these numbers the result is x, or 0; of −∞ it is not told.
    let edge = if x == f64::NEG_INFINITY { f64::NAN } else { -0.5 * b };
    let factor = if x < 0.0 { edge } else { 1.0 };
    let outer = far_scaled(factor, a, a_low, square, (0.5 * b).mul_add(b, -square)) * UNSCALED;
    let half = 0.5 * x;
    let close = (a <= 1.0) & ((x >= 0.0) | (a < 0.468_75));
    let beyond = if x < 0.0 { outer } else { half * (2.0 - outer) };
    if close { half * inner } else { beyond }
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
