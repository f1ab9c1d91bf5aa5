//! Logarithm, sine and cosine in f64 as TensorFlow's normal numbers need them: the bits of glibc's `log` and `sincos`.
//!
//! The logarithm is that of Arm's optimized routines, sine and cosine are IBM's accurate ones: a table of exact points
//! and a short polynomial between them, errors below 0.52 and 0.55 ulp. Which products are fused into the following
//! sum is part of the result's last bit, so each `mul_add` below stands where glibc's build for x86-64 processors with
//! fused multiply-add has one. Against glibc 2.36, 10⁸ arguments spread over the range and its edges gave no other bit.
//! Where TensorFlow runs without fused multiply-add, or on another libm, its f64 numbers differ from these in last bits.

use super::tables::{LOGARITHM, SINE_COSINE};

const fn bits(bits: u64) -> f64 {
    f64::from_bits(bits)
}

/// Bits of the f64 where the logarithm's table starts.
const TABLE_START: u64 = 0x3fe6_0000_0000_0000;
/// ln 2 in two parts; the first ends in zeros, so that its product with an exponent is exact.
const LN_2: [f64; 2] = [bits(0x3fe6_2e42_fefa_3800), bits(0x3d2e_f357_93c7_6730)];
/// `ln(1 + r) − r` over r², for |r| < 2⁻⁸.
const LN: [f64; 5] = [
    bits(0xbfe0_0000_0000_0001),
    bits(0x3fd5_5555_5551_305b),
    bits(0xbfcf_ffff_ffeb_4590),
    bits(0x3fc9_99b3_24f1_0111),
    bits(0xbfc5_5575_e506_c89f),
];
/// The same for r in [−1/16, 0.065).
const LN_NEAR_ONE: [f64; 11] = [
    bits(0xbfe0_0000_0000_0000),
    bits(0x3fd5_5555_5555_5577),
    bits(0xbfcf_ffff_ffff_fdcb),
    bits(0x3fc9_9999_9995_dd0c),
    bits(0xbfc5_5555_5567_45a7),
    bits(0x3fc2_4924_a344_de30),
    bits(0xbfbf_ffff_a442_3d65),
    bits(0x3fbc_7184_282a_d6ca),
    bits(0xbfb9_99eb_43b0_68ff),
    bits(0x3fb7_8182_f7af_d085),
    bits(0xbfb5_5213_75d1_45cd),
];
/// 2²⁷: adding and taking away its multiple leaves the upper half of a number's digits.
const SPLIT: f64 = bits(0x41a0_0000_0000_0000);

/// `ln x` of positive normal numbers.
#[inline(always)]
pub(super) fn ln(x: f64) -> f64 {
    const NEAR: [u64; 2] = [(1.0_f64 - 1.0 / 16.0).to_bits(), 0x3ff1_0900_0000_0000];
    let word = x.to_bits();
    if (NEAR[0]..NEAR[1]).contains(&word) {
        return ln_near_one(x - 1.0);
    }
    // x = 2^exponent · z, z in the table's interval, and 1/c near 1/z.
    let shifted = word.wrapping_sub(TABLE_START);
    let [reciprocal, offset] = LOGARITHM[(shifted >> 45) as usize % LOGARITHM.len()].map(f64::from_bits);
    let exponent = (shifted as i64) >> 52;
    let z = f64::from_bits(word.wrapping_sub((exponent as u64) << 52));
    let exponent = exponent as f64;

    let r = z.mul_add(reciprocal, -1.0);
    let base = exponent.mul_add(LN_2[0], offset);
    let high = base + r;
    let low = exponent.mul_add(LN_2[1], base - high + r);
    let r2 = r * r;
    let tail = r.mul_add(LN[4], LN[3]).mul_add(r2, LN[2].mul_add(r, LN[1]));
    (r * r2).mul_add(tail, r2.mul_add(LN[0], low)) + high
}

/// `ln(1 + r)` for r in [−1/16, 0.065).
#[inline(always)]
fn ln_near_one(r: f64) -> f64 {
    let b = &LN_NEAR_ONE;
    let r2 = r * r;
    let r3 = r * r2;
    let last = r3.mul_add(b[10], r2.mul_add(b[9], b[8].mul_add(r, b[7])));
    let middle = last.mul_add(r3, r2.mul_add(b[6], b[5].mul_add(r, b[4])));
    let tail = middle.mul_add(r3, r2.mul_add(b[3], b[2].mul_add(r, b[1])));
    // The square term in two parts, as its rounding alone would be too much.
    let upper = (-SPLIT).mul_add(r, r.mul_add(SPLIT, r));
    let lower = r - upper;
    let square = upper * upper;
    let high = square.mul_add(b[0], r);
    let low = (b[0] * lower).mul_add(r + upper, square.mul_add(b[0], r - high));
    tail.mul_add(r3, low) + high
}

/// π/2 in two parts.
const HALF_PI: [f64; 2] = [bits(0x3ff9_21fb_5444_2d18), bits(0x3c91_a626_3314_5c07)];
/// π/2 in four parts of 33, 25, 26 and 53 digits.
const HALF_PI_PARTS: [f64; 4] = [
    bits(0x3ff9_21fb_5800_0000),
    bits(0xbe4d_de97_3c00_0000),
    bits(0xbc8c_b3b3_9800_0000),
    bits(0xbacd_747f_23e3_2ed7),
];
const TWO_OVER_PI: f64 = bits(0x3fe4_5f30_6dc9_c883);
/// 1.5 · 2⁵²: a number added to it is rounded to an integer, which its lowest bits then hold.
const TO_INTEGER: f64 = bits(0x4338_0000_0000_0000);
/// 1.5 · 2⁴⁵: the same in units of 1/128, the distance of the points in the table.
const TO_POINT: f64 = bits(0x42c8_0000_0000_0000);
/// `sin r ≈ r + r³ (S₀ + S₁ r²)` between two points of the table.
const SINE_STEP: [f64; 2] = [bits(0xbfc5_5555_5555_5515), bits(0x3f81_1110_e829_872f)];
/// `1 − cos r ≈ r² (C₀ + C₁ r² + C₂ r⁴)` between two points of the table.
const COSINE_STEP: [f64; 3] = [0.5, bits(0xbfa5_5555_5555_5535), bits(0x3f56_c16b_edd9_e239)];
/// `sin x ≈ x + x³ (S₀ + … + S₄ x⁸)` below 0.126.
const SINE: [f64; 5] = [
    bits(0xbfc5_5555_5555_5555),
    bits(0x3f81_1111_1111_0ece),
    bits(0xbf2a_01a0_19db_08b8),
    bits(0x3ec7_1de2_7b9a_7ed9),
    bits(0xbe5a_ddff_c2fc_df59),
];

/// Sine and cosine of x in [0, 2π).
#[inline(always)]
pub(super) fn sin_cos(x: f64) -> (f64, f64) {
    match (x.to_bits() >> 32) as u32 {
        // 2⁻²⁷
        0..0x3e40_0000 => (x, 1.0),
        // 0.855469
        0x3e40_0000..0x3feb_6000 => (sine(x, 0.0), cosine(x, 0.0)),
        // 2.426265
        0x3feb_6000..0x4003_68fd => {
            let y = HALF_PI[0] - x;
            let high = y + HALF_PI[1];
            let low = y - high + HALF_PI[1];
            (cosine(high, low), sine(high, low))
        }
        0x4003_68fd.. => {
            let shifted = x.mul_add(TWO_OVER_PI, TO_INTEGER);
            let quadrants = shifted - TO_INTEGER;
            let y = (-quadrants).mul_add(HALF_PI_PARTS[1], (-quadrants).mul_add(HALF_PI_PARTS[0], x));
            let third = (-quadrants).mul_add(HALF_PI_PARTS[2], y);
            let third_low = (-quadrants).mul_add(HALF_PI_PARTS[2], y - third);
            let high = (-quadrants).mul_add(HALF_PI_PARTS[3], third);
            let low = third_low + (-quadrants).mul_add(HALF_PI_PARTS[3], third - high);
            match shifted.to_bits() & 3 {
                0 => (sine(high, low), cosine(high, low)),
                1 => (cosine(-high, -low), sine(-high, -low)),
                2 => (sine(-high, -low), -cosine(-high, -low)),
                _ => (-cosine(high, low), sine(high, low)),
            }
        }
    }
}

/// The nearest point of the table, what is left of |x|, and the table's sine and cosine there, each in two parts.
#[inline(always)]
fn nearest_point(x: f64) -> (f64, [f64; 4]) {
    let shifted = TO_POINT + x.abs();
    let rest = x.abs() - (shifted - TO_POINT);
    // Every angle that comes here is below 0.8555, and 0.8555 · 128 < 110.
    let point = (shifted.to_bits() as usize % 128).min(SINE_COSINE.len() - 1);
    (rest, SINE_COSINE[point].map(f64::from_bits))
}

#[inline(always)]
fn cosine_step(square: f64) -> f64 {
    let [c0, c1, c2] = COSINE_STEP;
    square * square.mul_add(c2, c1).mul_add(square, c0)
}

/// `sin(x + low)` for |x| below 0.8555 and |low| below its last digit.
#[inline(always)]
fn sine(x: f64, low: f64) -> f64 {
    if x.abs() < 0.126 {
        let square = x * x;
        let [s0, s1, s2, s3, s4] = SINE;
        let series = s4.mul_add(square, s3).mul_add(square, s2).mul_add(square, s1).mul_add(square, s0);
        return x + square.mul_add(series.mul_add(x, -(0.5 * low)), low);
    }
    let (rest, [sine, sine_low, cosine, cosine_low]) = nearest_point(x);
    let low = if x <= 0.0 { -low } else { low };
    let square = rest * rest;
    let s = (square * rest).mul_add(square.mul_add(SINE_STEP[1], SINE_STEP[0]), low) + rest;
    let c = low.mul_add(rest, cosine_step(square));
    let correction = s.mul_add(cosine, (-c).mul_add(sine, s.mul_add(cosine_low, sine_low)));
    (correction + sine).copysign(x)
}

/// `cos(x + low)` for |x| below 0.8555 and |low| below its last digit.
#[inline(always)]
fn cosine(x: f64, low: f64) -> f64 {
    let (rest, [sine, sine_low, cosine, cosine_low]) = nearest_point(x);
    let rest = rest + if x < 0.0 { -low } else { low };
    let square = rest * rest;
    let s = (rest * square).mul_add(square.mul_add(SINE_STEP[1], SINE_STEP[0]), rest);
    let c = cosine_step(square);
    let correction = (-s).mul_add(sine, (-cosine).mul_add(c, (-s).mul_add(sine_low, cosine_low)));
    cosine + correction
}
