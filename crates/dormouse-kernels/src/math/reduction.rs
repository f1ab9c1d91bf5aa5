//! The remainder of an angle by π/2, exact for angles of any size: apart, as both float types end here.

/// 2/π after 64 zero bits, in 64-bit words: enough for the largest finite `f64`.
const TWO_OVER_PI: [u64; 21] = [
    0,
    0xa2f9_836e_4e44_1529,
    0xfc27_57d1_f534_ddc0,
    0xdb62_9599_3c43_9041,
    0xfe51_63ab_debb_c561,
    0xb724_6e3a_424d_d2e0,
    0x0649_2eea_09d1_921c,
    0xfe1d_eb1c_b129_a73e,
    0xe882_35f5_2ebb_4484,
    0xe99c_7026_b45f_7e41,
    0x3991_d639_8353_39f4,
    0x9c84_5f8b_bdf9_283b,
    0x1ff8_97ff_de05_980f,
    0xef2f_118b_5a0a_6d1f,
    0x6d36_7ecf_27cb_09b7,
    0x4f46_3f66_9e5f_ea2d,
    0x7527_bac7_ebe5_f17b,
    0x3d07_39f7_8a52_92ea,
    0x6bfb_5fb1_1f8d_5d08,
    0x5603_3046_fc7b_6bab,
    0xf0cf_bc20_9af4_361d,
];

const PI_2_HIGH: f64 = std::f64::consts::FRAC_PI_2;
const PI_2_LOW: f64 = 6.123_233_995_736_766e-17;

/// 64 bits of 2/π from bit `start` on.
fn word(start: usize) -> u64 {
    let (index, shift) = (start / 64, start % 64);
    let high = TWO_OVER_PI[index] << shift;
    if shift == 0 { high } else { high | TWO_OVER_PI[index + 1] >> (64 - shift) }
}

/// Quadrant and remainder of an angle: `x = quadrant·π/2 + high + low` modulo 2π, with `|high| ≤ π/4`.
///
/// `|x|` is at least 1; of infinities and NaN the remainder is NaN.
pub(super) fn far_remainder(x: f64) -> (u32, f64, f64) {
    if !x.is_finite() {
        return (0, f64::NAN, f64::NAN);
    }
    let bits = x.to_bits() & (u64::MAX >> 1);
    // x = mantissa · 2^(exponent): bits of 2/π that weigh a multiple of 4 after the product do not count, so the
    // window starts where they end.
    let mantissa = (bits & ((1 << 52) - 1)) | (1 << 52);
    let exponent = (bits >> 52) as usize; // biased by 1075
    let start = exponent + 64 - 1075 - 2;
    // The product modulo 2^192; a turn of four quadrants is 2^192.
    let wide = |k: usize| u128::from(mantissa) * u128::from(word(start + 64 * k));
    let low = wide(2);
    let middle = (low >> 64) + (wide(1) & u128::from(u64::MAX));
    let high = (middle >> 64) as u64;
    let high = high.wrapping_add((wide(1) >> 64) as u64).wrapping_add(wide(0) as u64);
    let (middle, low) = (middle as u64, low as u64);
    // Nearest quadrant, then what is left of it as a sign and a magnitude of 190 bits.
    let quadrant = (high.wrapping_add(1 << 61) >> 62) as u32;
    let rest = high.wrapping_sub(u64::from(quadrant) << 62);
    let negative = rest >> 63 == 1;
    let top = (u128::from(rest) << 64) | u128::from(middle);
    let (top, low) = if negative {
        let (low, carry) = (!low).overflowing_add(1);
        ((!top).wrapping_add(u128::from(carry)), low)
    } else {
        (top, low)
    };
    // The leading 106 bits, as two floats.
    let shift = top.leading_zeros().min(127);
    let kept = (top << shift) | (u128::from(low) << 64 >> (128 - shift).min(127));
    let scale = f64::from_bits(u64::from(1023 + 2 - 53 - shift) << 52);
    let first = (kept >> 75) as f64 * scale;
    let second = (kept >> 22 & ((1 << 53) - 1)) as f64 * scale * (1.0 / (1_u64 << 53) as f64);
    let r = first * PI_2_HIGH;
    let tail = first.mul_add(PI_2_HIGH, -r) + first.mul_add(PI_2_LOW, second * PI_2_HIGH);
    let (sign, turned) = (if negative { -1.0 } else { 1.0 }, quadrant & 3);
    if x < 0.0 { (turned.wrapping_neg() & 3, -sign * r, -sign * tail) } else { (turned, sign * r, sign * tail) }
}
