//! Elementary functions of `f32`: in `f32` lanes where that keeps 2 ulp, else in `f64`.
//!
//! Coefficients are minimax fits over the stated interval, the low ones rounded first and the rest fitted again.

use super::{double, reduction};

const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// ln 2 in two parts; the first has zeros enough that a product with an exponent is exact.
const LN_2_HIGH: f32 = 0.693_145_75;
const LN_2_LOW: f32 = 1.428_606_8e-6;
/// 1.5 · 2²³: adding it rounds to a whole number, which then stands in the low bits.
const WHOLE: f32 = 12_582_912.0;
/// [`WHOLE`] and the bias of an exponent: the whole number in the low bits then is an exponent as floats hold it.
const BIASED: f32 = WHOLE + 127.0;
/// π/2 in three parts of 24 bits, each cut off, not rounded.
const PI_2: [f32; 3] = [f32::from_bits(0x3fc9_0fda), 7.549_789_4e-8, 5.390_303e-15];
/// The largest angle that the three parts of π/2 reduce.
const NEAR: f32 = 32_768.0;

/// c₀ + c₁x + c₂x² + …, even and odd powers apart, as two short chains of dependent operations are faster than one.
#[inline(always)]
fn polynomial<const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let square = x * x;
    let mut i = (N - 1) & !1;
    let mut even = coefficients[i];
    while i > 0 {
        i -= 2;
        even = even.mul_add(square, coefficients[i]);
    }
    let mut i = (N - 2) | 1;
    let mut odd = coefficients[i];
    while i > 1 {
        i -= 2;
        odd = odd.mul_add(square, coefficients[i]);
    }
    odd.mul_add(x, even)
}

/// c₀ + c₁x + c₂x² + …, each operation after the other: fewer, where much else is at hand.
#[inline(always)]
fn horner<const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut i = N - 1;
    let mut y = coefficients[i];
    while i > 0 {
        i -= 1;
        y = y.mul_add(x, coefficients[i]);
    }
    y
}

/// 2ⁿ of a whole number that [`WHOLE`] was added to, −126 ≤ n ≤ 127.
#[inline(always)]
fn power_of_two(shifted: f32) -> f32 {
    f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()))
}

/// `x = n·ln 2 + r`, `|r| ≤ ln 2 / 2`: n and r.
#[inline(always)]
fn split_exponent(x: f32) -> (f32, f32) {
    let n = x.mul_add(LOG2_E, WHOLE) - WHOLE;
    (n, n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x)))
}

/// eʳ for `|r| ≤ ln 2 / 2`.
#[inline(always)]
fn exp_of_remainder(r: f32) -> f32 {
    // eʳ = 1 + r + r²·q(r)
    let q = polynomial(r, [0.5, 0.166_665_42, 0.041_666_545, 0.008_366_083, 0.001_394_737_6]);
    (r * r).mul_add(q, r) + 1.0
}

#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let (n, r) = split_exponent(x);
    // 2ⁿ in two factors, for results that are subnormal or overflow.
    let half = n.mul_add(0.5, WHOLE);
    exp_of_remainder(r) * power_of_two(half) * power_of_two(n - (half - WHOLE) + WHOLE)
}

/// r²·q(r) of eʳ = 1 + r + r²·q(r), for `|r| ≤ ln 2 / 2`, precise enough for eʳ − 1.
#[inline(always)]
fn expm1_tail(r: f32) -> f32 {
    r * r * polynomial(r, [0.5, 0.166_666_67, 0.041_666_48, 0.008_333_282, 0.001_393_357_5, 0.000_199_102_2])
}

#[inline(always)]
pub(super) fn expm1(x: f32) -> f32 {
    let bounded = if x > 89.0 { 89.0 } else { x };
    let bounded = if bounded < -20.0 { -20.0 } else { bounded };
    let (n, r) = split_exponent(bounded);
    let c = expm1_tail(r);
    // 2ⁿ(1 + r + c) − 1, halved so that 2¹²⁸ does not overflow too soon.
    let scale = power_of_two(n + (WHOLE - 1.0));
    let scaled = 2.0 * scale.mul_add(c, scale.mul_add(r, scale - 0.5));
    let e = if n == 0.0 { r + c } else { scaled };
    e.copysign(x)
}

/// The polynomial part of ln(1 + f), `√½ ≤ 1 + f ≤ √2`: −f²/2 + f³·p(f).
#[inline(always)]
fn log_tail(f: f32) -> f32 {
    let p = polynomial(
        f,
        [
            0.333_333_1,
            -0.249_999_87,
            0.200_022_27,
            -0.166_692_63,
            0.142_185_82,
            -0.123_836_68,
            0.118_734_41,
            -0.117_980_52,
            0.069_265_68,
        ],
    );
    let square = f * f;
    square.mul_add(-0.5, f * square * p)
}

/// `x = 2ᵉ(1 + f)` of a positive normal number: e and 1 + f, between √½ and √2.
#[inline(always)]
fn split_mantissa(x: f32) -> (i32, f32) {
    const ROOT_HALF: u32 = 0x3f35_04f3;
    let e = x.to_bits().wrapping_sub(ROOT_HALF).cast_signed() >> 23;
    (e, f32::from_bits(x.to_bits().wrapping_sub((e << 23).cast_unsigned())))
}

/// What a logarithm is outside its domain: `x` the argument counted from 0.
#[inline(always)]
fn log_edges(x: f32, y: f32) -> f32 {
    const INFINITY: i32 = 0x7f80_0000;
    // Compared as integers, since of comparisons of floats the compiler makes a longer test of their class.
    let bits = x.to_bits().cast_signed();
    let edge = if x < 0.0 { f32::NAN } else { x };
    let edge = if x == 0.0 { f32::NEG_INFINITY } else { edge };
    if (bits > 0) & (bits < INFINITY) { y } else { edge }
}

#[inline(always)]
pub(super) fn ln(x: f32) -> f32 {
    let subnormal = x < f32::MIN_POSITIVE;
    let scaled = if subnormal { x * 8_388_608.0 } else { x };
    let (e, m) = split_mantissa(scaled);
    let e = e as f32 - if subnormal { 23.0 } else { 0.0 };
    let f = m - 1.0;
    let near = f + e.mul_add(LN_2_LOW, log_tail(f));
    log_edges(x, e.mul_add(LN_2_HIGH, near))
}

/// ln(1 + x) where 1 + x is positive and finite, from the rounded sum `u`.
#[inline(always)]
fn ln_of_sum(x: f32, u: f32) -> f32 {
    // What u lost of 1 + x.
    let part = u - 1.0;
    let lost = (1.0 - (u - part)) + (x - part);
    let (e, m) = split_mantissa(u);
    // lost · 2⁻ᵉ; a u beyond 2⁶⁴ lost nothing that shows.
    let bounded = if e > 64 { 64 } else { e };
    let unscale = f32::from_bits((127_i32.wrapping_sub(bounded) << 23).cast_unsigned());
    let f = lost.mul_add(unscale, m - 1.0);
    let e = e as f32;
    let near = f + e.mul_add(LN_2_LOW, log_tail(f));
    e.mul_add(LN_2_HIGH, near)
}

#[inline(always)]
pub(super) fn ln_1p(x: f32) -> f32 {
    let u = 1.0 + x;
    let y = log_edges(u, ln_of_sum(x, u));
    if x == 0.0 { x } else { y }
}

#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    let a = x.abs();
    let bounded = if a > 10.0 { 10.0 } else { a };
    // 2a = n·ln 2 + 2r. Where n is large, e⁻²ᵃ is small beside 1, so that one part of ln 2 is enough.
    let shifted = bounded.mul_add(2.0 * LOG2_E, BIASED);
    let r = (shifted - BIASED).mul_add(-0.5 * std::f32::consts::LN_2, bounded);
    let scale = f32::from_bits(shifted.to_bits() << 23);
    // tanh a = e / (e + 2), e = e²ᵃ − 1 = 2ⁿ(1 + t) − 1
    let t = r * horner(r, [2.0, 2.0, 1.333_321_7, 0.666_662_2, 0.267_797_74, 0.089_228_03]);
    let e = scale.mul_add(t, scale - 1.0);
    let large = e / (e + 2.0);
    let square = bounded * bounded;
    let small = (bounded * square).mul_add(horner(square, [-0.333_331_53, 0.133_192_14, -0.050_814_04]), bounded);
    (if bounded < 0.28 { small } else { large }).copysign(x)
}

#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    let t = exp(-x.abs());
    // For negative x the same as t/(1 + t), which does not round 1 − y.
    let above = if x < 0.0 { t } else { 1.0 };
    // The quotient by the rounded sum, less the part that the sum lost; 1/s is about 1.5 − s/2 for 1 ≤ s ≤ 2.
    let sum = 1.0 + t;
    let lost = t - (sum - 1.0);
    let quotient = above / sum;
    (lost * sum.mul_add(-0.5, 1.5)).mul_add(-quotient, quotient)
}

/// x / (1 + e⁻ˣ).
#[inline(always)]
pub(super) fn swish(x: f32) -> f32 {
    // 2⁻⁶⁴
    const UNSCALED: f32 = 5.421_011e-20;
    let a = x.abs();
    let bounded = if a > 120.0 { 120.0 } else { a };
    let (n, r) = split_exponent(-bounded);
    // Scaled, so that digits are lost only where the result has fewer.
    let scaled = exp_of_remainder(r) * power_of_two(n + (64.0 + WHOLE));
    let t = scaled * UNSCALED;
    let sum = 1.0 + t;
    let lost = t - (sum - 1.0);
    let edge = if x == f32::NEG_INFINITY { f32::NAN } else { bounded };
    let above = if x < 0.0 { -edge * scaled } else { x };
    let quotient = above / sum;
    // Of an infinite quotient nothing is lost.
    let y = if a > 64.0 { quotient } else { (lost * sum.mul_add(-0.5, 1.5)).mul_add(-quotient, quotient) };
    if x < 0.0 { y * UNSCALED } else { y }
}

#[inline(always)]
pub(super) fn softplus(x: f32) -> f32 {
    let positive = if x < 0.0 { 0.0 } else { x };
    let t = exp(-x.abs());
    positive + ln_of_sum(t, 1.0 + t)
}

#[inline(always)]
pub(super) fn elu(x: f32) -> f32 {
    if x > 0.0 { x } else { expm1(x) }
}

/// The quadrant and the remainder of an angle in two parts.
#[inline(always)]
fn near_remainder(x: f32) -> (u32, f32, f32) {
    let shifted = x.mul_add(std::f32::consts::FRAC_2_PI, WHOLE);
    let n = shifted - WHOLE;
    // The first difference is exact; what the second product and the second difference lose is kept.
    let a = n.mul_add(-PI_2[0], x);
    let product = n * PI_2[1];
    let r = a - product;
    let part = r - a;
    let lost = (a - (r - part)) - (product + part) - n.mul_add(PI_2[1], -product);
    (shifted.to_bits(), r, n.mul_add(-PI_2[2], lost))
}

#[inline(always)]
fn sin_of_remainder(r: f32, low: f32) -> f32 {
    let square = r * r;
    let s = polynomial(square, [-0.166_666_67, 0.008_333_379, -0.000_198_530_05, 2.831_239e-6]);
    (r * square).mul_add(s, low) + r
}

#[inline(always)]
fn cos_of_remainder(r: f32, low: f32) -> f32 {
    let square = r * r;
    let c = polynomial(square, [0.041_666_646, -0.001_388_730_5, 2.443_142_3e-5]);
    let half = 0.5 * square;
    let high = 1.0 - half;
    high + ((1.0 - high - half) + (square * square).mul_add(c, -r * low))
}

/// The sine of a remainder that lies `quadrant` quarter turns on.
#[inline(always)]
fn turn(quadrant: u32, r: f32, low: f32) -> f32 {
    let (s, c) = (sin_of_remainder(r, low), cos_of_remainder(r, low));
    let y = if quadrant & 1 == 0 { s } else { c };
    f32::from_bits(y.to_bits() ^ ((quadrant & 2) << 30))
}

fn far_remainder(x: f32) -> (u32, f32, f32) {
    let (quadrant, high, low) = reduction::far_remainder(f64::from(x));
    let r = high as f32;
    (quadrant, r, (high - f64::from(r) + low) as f32)
}

#[inline(always)]
pub(super) fn far(x: f32) -> bool {
    x.abs() > NEAR
}

#[inline(always)]
pub(super) fn near_sin(x: f32) -> f32 {
    let (quadrant, r, low) = near_remainder(x);
    let y = turn(quadrant, r, low);
    if x == 0.0 { x } else { y }
}

#[inline(always)]
pub(super) fn near_cos(x: f32) -> f32 {
    let (quadrant, r, low) = near_remainder(x);
    turn(quadrant.wrapping_add(1), r, low)
}

#[inline(always)]
pub(super) fn near_tan(x: f32) -> f32 {
    double::near_tan(f64::from(x)) as f32
}

pub(super) fn sin(x: f32) -> f32 {
    if far(x) {
        let (quadrant, r, low) = far_remainder(x);
        turn(quadrant, r, low)
    } else {
        near_sin(x)
    }
}

pub(super) fn cos(x: f32) -> f32 {
    if far(x) {
        let (quadrant, r, low) = far_remainder(x);
        turn(quadrant.wrapping_add(1), r, low)
    } else {
        near_cos(x)
    }
}

pub(super) fn tan(x: f32) -> f32 {
    if far(x) { double::tan(f64::from(x)) as f32 } else { near_tan(x) }
}

#[inline(always)]
pub(super) fn pow(x: f32, y: f32) -> f32 {
    let a = f64::from(x.abs());
    let magnitude = double::exp(f64::from(y) * double::ln(a)) as f32;
    power_edges(x, y, magnitude)
}

/// |x|ʸ to xʸ: signs, and the cases where the logarithm says nothing.
#[inline(always)]
fn power_edges(x: f32, y: f32, magnitude: f32) -> f32 {
    let half = 0.5 * y;
    let whole = y.floor() == y;
    let odd = whole & (half.floor() != half);
    let flip = if odd { x.to_bits() & (1 << 31) } else { 0 };
    let signed = f32::from_bits(magnitude.to_bits() ^ flip);
    let signed = if (x < 0.0) & (x > f32::NEG_INFINITY) & !whole { f32::NAN } else { signed };
    // 1 to any power, −1 to an infinite one, any number to the power 0.
    let one = (x == 1.0) | (y == 0.0) | ((x == -1.0) & (half == y));
    if one { 1.0 } else { signed }
}
