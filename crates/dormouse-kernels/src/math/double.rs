//! Elementary functions of `f64`.
//!
//! The same plans as those of `f32`, with longer polynomials; the power works on a logarithm in two parts.

use super::reduction;

const LOG2_E: f64 = std::f64::consts::LOG2_E;
/// ln 2 in two parts; the first has zeros enough that a product with an exponent is exact.
pub(super) const LN_2_HIGH: f64 = 0.693_147_180_559_890_3;
pub(super) const LN_2_LOW: f64 = 5.497_923_018_708_371e-14;
/// 1.5 · 2⁵²: adding it rounds to a whole number, which then stands in the low bits.
pub(super) const WHOLE: f64 = 6_755_399_441_055_744.0;
/// π/2 in three parts of 53 bits.
const PI_2: [f64; 3] = [std::f64::consts::FRAC_PI_2, 6.123_233_995_736_765e-17, 1.082_856_673_921_914e-32];
/// The largest angle that the three parts of π/2 reduce.
const NEAR: f64 = 1_073_741_824.0;

/// c₀ + c₁x + c₂x² + …, even and odd powers apart, as two short chains of dependent operations are faster than one.
#[inline(always)]
pub(super) fn polynomial<const N: usize>(x: f64, coefficients: [f64; N]) -> f64 {
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

/// 2ⁿ of a whole number that [`WHOLE`] was added to, −1022 ≤ n ≤ 1023.
#[inline(always)]
pub(super) fn power_of_two(shifted: f64) -> f64 {
    f64::from_bits((shifted.to_bits() << 52).wrapping_add(1.0_f64.to_bits()))
}

/// `x = n·ln 2 + r`, `|r| ≤ ln 2 / 2`: n and r.
#[inline(always)]
pub(super) fn split_exponent(x: f64) -> (f64, f64) {
    let n = x.mul_add(LOG2_E, WHOLE) - WHOLE;
    (n, n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x)))
}

/// q of eʳ = 1 + r + r²·q(r), for `|r| ≤ ln 2 / 2`.
#[inline(always)]
fn exp_tail(r: f64) -> f64 {
    polynomial(
        r,
        [
            0.5,
            0.166_666_666_666_666_77,
            0.041_666_666_666_666_67,
            0.008_333_333_333_321_487,
            0.001_388_888_888_887_987_3,
            0.000_198_412_698_861_843_5,
            2.480_158_734_743_709e-5,
            2.755_724_453_619_933_5e-6,
            2.755_723_691_517_731e-7,
            2.510_879_941_491_908_5e-8,
            2.093_226_257_564_799_4e-9,
        ],
    )
}

/// eʳ·2ⁿ, the power of two in two factors for results that are subnormal or overflow.
#[inline(always)]
pub(super) fn scale_exp(n: f64, r: f64) -> f64 {
    let half = n.mul_add(0.5, WHOLE);
    ((r * r).mul_add(exp_tail(r), r) + 1.0) * power_of_two(half) * power_of_two(n - (half - WHOLE) + WHOLE)
}

/// eʳ·2ⁿ in two parts, for 2ⁿ that is a normal number.
#[inline(always)]
pub(super) fn wide_scale_exp(n: f64, r: f64) -> (f64, f64) {
    let part = (r * r).mul_add(exp_tail(r), r);
    let sum = 1.0 + part;
    let scale = power_of_two(n + WHOLE);
    (sum * scale, (part - (sum - 1.0)) * scale)
}

#[inline(always)]
pub(super) fn exp(x: f64) -> f64 {
    let x = if x > 710.0 { 710.0 } else { x };
    let x = if x < -746.0 { -746.0 } else { x };
    let (n, r) = split_exponent(x);
    scale_exp(n, r)
}

#[inline(always)]
pub(super) fn expm1(x: f64) -> f64 {
    let bounded = if x > 710.0 { 710.0 } else { x };
    let bounded = if bounded < -40.0 { -40.0 } else { bounded };
    let (n, r) = split_exponent(bounded);
    let c = r * r * exp_tail(r);
    // 2ⁿ(1 + r + c) − 1, halved so that 2¹⁰²⁴ does not overflow too soon.
    let scale = power_of_two(n + (WHOLE - 1.0));
    let scaled = 2.0 * scale.mul_add(c, scale.mul_add(r, scale - 0.5));
    let e = if n == 0.0 { r + c } else { scaled };
    e.copysign(x)
}

/// The polynomial part of ln(1 + f), `√½ ≤ 1 + f ≤ √2`: ln(1 + f) − f.
#[inline(always)]
pub(super) fn log_tail(f: f64) -> f64 {
    // With s = f/(2 + f), ln(1 + f) = 2 artanh s = f − (f²/2 − s·(f²/2 + R(s²)))
    let s = f / (2.0 + f);
    let z = s * s;
    let r = z * polynomial(
        z,
        [
            0.666_666_666_666_673_4,
            0.399_999_999_994_162_86,
            0.285_714_287_421_605_1,
            0.222_221_985_871_855_27,
            0.181_835_639_678_595_15,
            0.153_140_520_550_659_7,
            0.147_959_994_145_785_8,
        ],
    );
    let half = 0.5 * f * f;
    s * (half + r) - half
}

/// `x = 2ᵉ(1 + f)` of a positive normal number: e and 1 + f, between √½ and √2.
#[inline(always)]
pub(super) fn split_mantissa(x: f64) -> (f64, f64) {
    const ROOT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    const BIAS: u64 = 0x3ff0_0000_0000_0000;
    // The exponent, biased by 1023 and so not negative, becomes a float by standing in the low bits of 2⁵².
    let biased = x.to_bits().wrapping_add(BIAS - ROOT_HALF) >> 52;
    let e = f64::from_bits(biased | 0x4330_0000_0000_0000) - (4_503_599_627_370_496.0 + 1023.0);
    (e, f64::from_bits(x.to_bits().wrapping_sub(biased << 52).wrapping_add(BIAS)))
}

/// What a logarithm is outside its domain: `x` the argument counted from 0.
#[inline(always)]
pub(super) fn log_edges(x: f64, y: f64) -> f64 {
    const INFINITY: i64 = 0x7ff0_0000_0000_0000;
    // Compared as integers, since of comparisons of floats the compiler makes a longer test of their class.
    let bits = x.to_bits().cast_signed();
    let edge = if x < 0.0 { f64::NAN } else { x };
    let edge = if x == 0.0 { f64::NEG_INFINITY } else { edge };
    if (bits > 0) & (bits < INFINITY) { y } else { edge }
}

#[inline(always)]
pub(super) fn ln(x: f64) -> f64 {
    let subnormal = x < f64::MIN_POSITIVE;
    let scaled = if subnormal { x * 4_503_599_627_370_496.0 } else { x };
    let (e, m) = split_mantissa(scaled);
    let e = e - if subnormal { 52.0 } else { 0.0 };
    let f = m - 1.0;
    let near = f + e.mul_add(LN_2_LOW, log_tail(f));
    log_edges(x, e.mul_add(LN_2_HIGH, near))
}

/// ln(1 + x) where 1 + x is positive and finite, from the rounded sum `u`.
#[inline(always)]
fn ln_of_sum(x: f64, u: f64) -> f64 {
    // What u lost of 1 + x.
    let part = u - 1.0;
    let lost = (1.0 - (u - part)) + (x - part);
    let (e, m) = split_mantissa(u);
    // lost · 2⁻ᵉ; a u beyond 2⁵¹² lost nothing that shows.
    let bounded = if e > 512.0 { 512.0 } else { e };
    let f = lost.mul_add(power_of_two(WHOLE - bounded), m - 1.0);
    let near = f + e.mul_add(LN_2_LOW, log_tail(f));
    e.mul_add(LN_2_HIGH, near)
}

#[inline(always)]
pub(super) fn ln_1p(x: f64) -> f64 {
    let u = 1.0 + x;
    let y = log_edges(u, ln_of_sum(x, u));
    if x == 0.0 { x } else { y }
}

#[inline(always)]
pub(super) fn tanh(x: f64) -> f64 {
    let a = x.abs();
    let bounded = if a > 20.0 { 20.0 } else { a };
    let (n, r) = split_exponent(2.0 * bounded);
    let scale = power_of_two(n + WHOLE);
    // tanh a = e / (e + 2), e = e²ᵃ − 1 = 2ⁿ(1 + r + c) − 1
    let e = scale.mul_add(r * r * exp_tail(r), scale.mul_add(r, scale - 1.0));
    let large = e / (e + 2.0);
    let square = bounded * bounded;
    let t = polynomial(
        square,
        [
            -0.333_333_333_333_332_6,
            0.133_333_333_333_066_3,
            -0.053_968_253_935_308_255,
            0.021_869_486_568_660_63,
            -0.008_863_170_420_689_367,
            0.003_590_868_636_432_008,
            -0.001_441_614_607_774_201,
            0.000_502_329_551_318_098_5,
        ],
    );
    let small = (bounded * square).mul_add(t, bounded);
    (if bounded < 0.3 { small } else { large }).copysign(x)
}

#[inline(always)]
pub(super) fn sigmoid(x: f64) -> f64 {
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
pub(super) fn swish(x: f64) -> f64 {
    // 2⁻⁵¹²
    const UNSCALED: f64 = 7.458_340_731_200_207e-155;
    let a = x.abs();
    let bounded = if a > 800.0 { 800.0 } else { a };
    let (n, r) = split_exponent(-bounded);
    // Scaled, so that digits are lost only where the result has fewer.
    let scaled = scale_exp(n + 512.0, r);
    let t = scaled * UNSCALED;
    let sum = 1.0 + t;
    let lost = t - (sum - 1.0);
    let edge = if x == f64::NEG_INFINITY { f64::NAN } else { bounded };
    let above = if x < 0.0 { -edge * scaled } else { x };
    let quotient = above / sum;
    // Of an infinite quotient nothing is lost.
    let y = if a > 64.0 { quotient } else { (lost * sum.mul_add(-0.5, 1.5)).mul_add(-quotient, quotient) };
    if x < 0.0 { y * UNSCALED } else { y }
}

#[inline(always)]
pub(super) fn softplus(x: f64) -> f64 {
    let positive = if x < 0.0 { 0.0 } else { x };
    let t = exp(-x.abs());
    positive + ln_of_sum(t, 1.0 + t)
}

#[inline(always)]
pub(super) fn elu(x: f64) -> f64 {
    if x > 0.0 { x } else { expm1(x) }
}

/// The quadrant and the remainder of an angle in two parts.
#[inline(always)]
fn near_remainder(x: f64) -> (u64, f64, f64) {
    let shifted = x.mul_add(std::f64::consts::FRAC_2_PI, WHOLE);
    let n = shifted - WHOLE;
    // The first difference is exact; what the second product and the second difference lose is kept.
    let a = n.mul_add(-PI_2[0], x);
    let product = n * PI_2[1];
    let r = a - product;
    let part = r - a;
    let lost = (a - (r - part)) - (product + part) - n.mul_add(PI_2[1], -product);
    (shifted.to_bits(), r, n.mul_add(-PI_2[2], lost))
}

/// sin(r + low) − r.
#[inline(always)]
fn sin_tail(r: f64, low: f64) -> f64 {
    let square = r * r;
    let s = polynomial(
        square,
        [
            -0.166_666_666_666_666_66,
            0.008_333_333_333_333_04,
            -0.000_198_412_698_409_598_62,
            2.755_731_907_264_384e-6,
            -2.505_207_062_477_377e-8,
            1.605_428_332_175_259e-10,
            -7.388_631_573_576_578e-13,
        ],
    );
    (r * square).mul_add(s, low)
}

/// cos(r + low) in two parts.
#[inline(always)]
fn cos_of_remainder(r: f64, low: f64) -> (f64, f64) {
    let square = r * r;
    let c = polynomial(
        square,
        [
            0.041_666_666_666_666_664,
            -0.001_388_888_888_888_839_3,
            2.480_158_730_118_776_6e-5,
            -2.755_731_906_478_996_3e-7,
            2.087_672_314_968_809e-9,
            -1.146_701_242_351_165_2e-11,
            4.600_315_296_126_893_6e-14,
        ],
    );
    let half = 0.5 * square;
    let high = 1.0 - half;
    (high, (1.0 - high - half) + (square * square).mul_add(c, -r * low))
}

/// The sine of a remainder that lies `quadrant` quarter turns on.
#[inline(always)]
fn turn(quadrant: u64, r: f64, low: f64) -> f64 {
    let s = r + sin_tail(r, low);
    let (high, tail) = cos_of_remainder(r, low);
    let y = if quadrant & 1 == 0 { s } else { high + tail };
    f64::from_bits(y.to_bits() ^ ((quadrant & 2) << 62))
}

/// The tangent of a remainder that lies `quadrant` quarter turns on.
#[inline(always)]
fn turn_tan(quadrant: u64, r: f64, low: f64) -> f64 {
    let tail = sin_tail(r, low);
    let s = r + tail;
    let s_low = tail - (s - r);
    let (high, tail) = cos_of_remainder(r, low);
    let c = high + tail;
    let c_low = tail - (c - high);
    let even = quadrant & 1 == 0;
    let (a, a_low, b, b_low) = if even { (s, s_low, c, c_low) } else { (c, c_low, -s, -s_low) };
    let q = a / b;
    // One Newton step for the quotient of the two-part numbers.
    q + (q.mul_add(-b, a) + q.mul_add(-b_low, a_low)) / b
}

#[inline(always)]
pub(super) fn far(x: f64) -> bool {
    x.abs() > NEAR
}

#[inline(always)]
pub(super) fn near_sin(x: f64) -> f64 {
    let (quadrant, r, low) = near_remainder(x);
    let y = turn(quadrant, r, low);
    if x == 0.0 { x } else { y }
}

#[inline(always)]
pub(super) fn near_cos(x: f64) -> f64 {
    let (quadrant, r, low) = near_remainder(x);
    turn(quadrant.wrapping_add(1), r, low)
}

#[inline(always)]
pub(super) fn near_tan(x: f64) -> f64 {
    let (quadrant, r, low) = near_remainder(x);
    let y = turn_tan(quadrant, r, low);
    if x == 0.0 { x } else { y }
}

pub(super) fn sin(x: f64) -> f64 {
    if far(x) {
        let (quadrant, r, low) = reduction::far_remainder(x);
        turn(u64::from(quadrant), r, low)
    } else {
        near_sin(x)
    }
}

pub(super) fn cos(x: f64) -> f64 {
    if far(x) {
        let (quadrant, r, low) = reduction::far_remainder(x);
        turn(u64::from(quadrant) + 1, r, low)
    } else {
        near_cos(x)
    }
}

pub(super) fn tan(x: f64) -> f64 {
    if far(x) {
        let (quadrant, r, low) = reduction::far_remainder(x);
        turn_tan(u64::from(quadrant), r, low)
    } else {
        near_tan(x)
    }
}

/// ln of a positive number in two parts, together right to about 2⁻⁶⁵ of it.
#[inline(always)]
pub(super) fn wide_ln(x: f64) -> (f64, f64) {
    const THIRD: [f64; 2] = [1.0 / 3.0, 1.850_371_707_708_594e-17];
    let subnormal = x < f64::MIN_POSITIVE;
    let scaled = if subnormal { x * 4_503_599_627_370_496.0 } else { x };
    let (e, m) = split_mantissa(scaled);
    let e = e - if subnormal { 52.0 } else { 0.0 };
    // s = (m − 1)/(m + 1), ln m = 2s(1 + z/3 + z²·q(z)), z = s².
    let (above, below) = (m - 1.0, m + 1.0);
    let below_low = m - (below - 1.0);
    let s = above / below;
    let s_low = (s.mul_add(-below, above) - s * below_low) / below;
    let z = s * s;
    let z_low = (2.0 * s).mul_add(s_low, s.mul_add(s, -z));
    let q = polynomial(
        z,
        [
            0.199_999_999_999_999_9,
            0.142_857_142_857_219_23,
            0.111_111_111_088_936_77,
            0.090_909_094_221_920_37,
            0.076_922_791_982_541_84,
            0.066_681_329_489_763_12,
            0.058_378_747_613_939_644,
            0.059_910_163_280_179_03,
        ],
    );
    let third = z * THIRD[0];
    let third_low = z.mul_add(THIRD[0], -third) + z_low.mul_add(THIRD[0], z * THIRD[1]);
    let rest = (z * z).mul_add(q, third_low);
    let w = third + rest;
    let w_low = rest - (w - third);
    let s2 = 2.0 * s;
    let product = s2 * w;
    let product_low = s2.mul_add(w, -product) + (2.0 * s_low).mul_add(w, s2.mul_add(w_low, 2.0 * s_low));
    let near = s2 + product;
    let near_low = (product - (near - s2)) + product_low;
    // e·ln 2 is 0 or larger than what is added.
    let whole = e * LN_2_HIGH;
    let high = whole + near;
    let low = (near - (high - whole)) + e.mul_add(LN_2_LOW, near_low);
    let sum = high + low;
    (sum, low - (sum - high))
}

#[inline(always)]
pub(super) fn pow(x: f64, y: f64) -> f64 {
    let a = x.abs();
    let (l, l_low) = wide_ln(a);
    let p = y * l;
    let inside = p.abs() < 800.0;
    let p_low = if inside { y.mul_add(l, -p) + y * l_low } else { 0.0 };
    let p = if p > 800.0 { 800.0 } else { p };
    let p = if p < -800.0 { -800.0 } else { p };
    let (n, r) = split_exponent(p);
    let magnitude = scale_exp(n, r + p_low);
    // Zero and infinity have no logarithm here, and an infinite power of 1 no product.
    let huge = (a == f64::INFINITY) == (y > 0.0);
    let edge = if huge { f64::INFINITY } else { 0.0 };
    let magnitude = if (a == 0.0) | (a == f64::INFINITY) { edge } else { magnitude };
    let magnitude = if a.is_nan() | y.is_nan() { f64::NAN } else { magnitude };
    power_edges(x, y, magnitude)
}

/// |x|ʸ to xʸ: signs, and the cases where the logarithm says nothing.
#[inline(always)]
fn power_edges(x: f64, y: f64, magnitude: f64) -> f64 {
    let half = 0.5 * y;
    let whole = y.floor() == y;
    let odd = whole & (half.floor() != half);
    let flip = if odd { x.to_bits() & (1 << 63) } else { 0 };
    let signed = f64::from_bits(magnitude.to_bits() ^ flip);
    let signed = if (x < 0.0) & (x > f64::NEG_INFINITY) & !whole { f64::NAN } else { signed };
    // 1 to any power, −1 to an infinite one, any number to the power 0.
    let one = (x == 1.0) | (y == 0.0) | ((x == -1.0) & (half == y));
    if one { 1.0 } else { signed }
}
