//! Inverse trigonometric and hyperbolic functions of `f64`, and the hyperbolic sine and cosine; those of `f32` are these,
//! rounded. They keep roots and quotients in two parts, as what goes into a logarithm must be more exact than comes out.

use super::double::{
    LN_2_HIGH, LN_2_LOW, WHOLE, log_edges, log_tail, polynomial, power_of_two, scale_exp, split_exponent,
    split_mantissa,
};

const PI_2: f64 = std::f64::consts::FRAC_PI_2;
/// π/2 less its nearest `f64`.
const PI_2_LOW: f64 = 6.123_233_995_736_766e-17;
const PI_4: f64 = std::f64::consts::FRAC_PI_4;

/// a + b in two parts.
#[inline(always)]
fn sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    let part = s - a;
    (s, (a - (s - part)) + (b - part))
}

/// The root of a number in two parts, in two parts.
#[inline(always)]
fn root(w: f64, w_low: f64) -> (f64, f64) {
    let r = w.sqrt();
    let low = (r.mul_add(-r, w) + w_low) / (2.0 * r);
    (r, if r > 0.0 { low } else { 0.0 })
}

/// atan u − u for `|u| ≤ tan(π/8)`.
#[inline(always)]
fn atan_tail(u: f64) -> f64 {
    let z = u * u;
    let p = polynomial(
        z,
        [
            -0.333_333_333_333_333_3,
            0.199_999_999_999_998_04,
            -0.142_857_142_856_597_79,
            0.111_111_111_051_505_88,
            -0.090_909_087_532_591_12,
            0.076_922_963_680_422_96,
            -0.066_664_247_602_005_2,
            0.058_789_275_544_738_07,
            -0.052_304_436_406_869_48,
            0.045_515_447_340_221_615,
            -0.034_569_315_063_326_09,
            0.016_284_375_050_043_393,
        ],
    );
    u * z * p
}

/// The angle of (d, n) for n, d ≥ 0, not both 0 or infinite.
#[inline(always)]
fn first_quadrant(n: f64, d: f64) -> f64 {
    const EIGHTH: f64 = 0.414_213_562_373_095_03;
    // tan(a − b) = (n − d)/(n + d) about the diagonal, −d/n about the vertical axis.
    let steep = n * EIGHTH > d;
    let flat = n <= d * EIGHTH;
    let above = if flat { n } else { n - d };
    let above = if steep { -d } else { above };
    let below = if flat { d } else { n + d };
    let below = if steep { n } else { below };
    let base = if flat { 0.0 } else { PI_4 };
    let base = if steep { PI_2 } else { base };
    let low = if flat { 0.0 } else { 0.5 * PI_2_LOW };
    let low = if steep { PI_2_LOW } else { low };
    let u = above / below;
    base + (u + (atan_tail(u) + low))
}

#[inline(always)]
pub(super) fn atan(x: f64) -> f64 {
    let a = x.abs();
    let y = first_quadrant(if a > 1e300 { 1e300 } else { a }, 1.0);
    y.copysign(x)
}

/// The angle of the point (x, y), in −π ..= π.
#[inline(always)]
pub(super) fn atan2(y: f64, x: f64) -> f64 {
    let (a, b) = (y.abs(), x.abs());
    // Scaled, so that no sum overflows and no quotient is of numbers without digits.
    let largest = if a > b { a } else { b };
    let scale = if largest < 1e-200 { 1e100 } else { 1.0 };
    let scale = if largest > 1e200 { 1e-100 } else { scale };
    let none = largest == 0.0;
    let both = (a == f64::INFINITY) & (b == f64::INFINITY);
    let n = if both { 1.0 } else { a * scale };
    let d = if both | none { 1.0 } else { b * scale };
    // An infinite one is so much larger than the other that any number so large will do.
    let n = if n == f64::INFINITY { f64::MAX } else { n };
    let d = if d == f64::INFINITY { f64::MAX } else { d };
    let n = if (d == f64::MAX) & (n < f64::MAX) { 0.0 } else { n };
    let d = if (n == f64::MAX) & (d < f64::MAX) { 0.0 } else { d };
    let angle = first_quadrant(n, d);
    let behind = 2.0 * PI_2 - (angle - 2.0 * PI_2_LOW);
    let angle = if x.is_sign_negative() { behind } else { angle };
    let angle = if y.is_nan() | x.is_nan() { f64::NAN } else { angle };
    angle.copysign(y)
}

/// asin s − s for `0 ≤ s ≤ 1/2`, of s² too.
#[inline(always)]
fn asin_tail(s: f64, z: f64) -> f64 {
    let p = polynomial(
        z,
        [
            0.166_666_666_666_666_69,
            0.074_999_999_999_984_25,
            0.044_642_857_146_373_38,
            0.030_381_944_137_085_216,
            0.022_372_173_002_005_596,
            0.017_352_391_265_909_227,
            0.013_971_235_301_124_539,
            0.011_478_952_690_257_387,
            0.010_324_318_288_744_113,
            0.005_450_878_187_720_55,
            0.017_419_357_964_884_856,
            -0.014_881_409_392_818_066,
            0.028_778_442_612_593_04,
        ],
    );
    s * z * p
}

/// acos of `½ < a ≤ 1` in two parts: acos a = 2 asin √((1 − a)/2).
#[inline(always)]
fn acos_near_one(a: f64) -> (f64, f64) {
    let w = 0.5 * (1.0 - a);
    let (s, s_low) = root(w, 0.0);
    (2.0 * s, 2.0 * (s_low + asin_tail(s, w)))
}

#[inline(always)]
pub(super) fn asin(x: f64) -> f64 {
    let a = x.abs();
    let (far, far_low) = acos_near_one(a);
    let large = (PI_2 - far) + (PI_2_LOW - far_low);
    let small = a + asin_tail(a, a * a);
    (if a <= 0.5 { small } else { large }).copysign(x)
}

#[inline(always)]
pub(super) fn acos(x: f64) -> f64 {
    let a = x.abs();
    let (far, far_low) = acos_near_one(a);
    let ahead = far + far_low;
    let (high, low) = sum(2.0 * PI_2, -far);
    let behind = high + (low + (2.0 * PI_2_LOW - far_low));
    let small = PI_2 - (x + (asin_tail(x, x * x) - PI_2_LOW));
    let large = if x < 0.0 { behind } else { ahead };
    if a <= 0.5 { small } else { large }
}

/// eᵃ/2 for a ≥ 0.
#[inline(always)]
fn half_exp(a: f64) -> f64 {
    let bounded = if a > 712.0 { 712.0 } else { a };
    let (n, r) = split_exponent(bounded);
    scale_exp(n - 1.0, r)
}

#[inline(always)]
pub(super) fn sinh(x: f64) -> f64 {
    let a = x.abs();
    let half = half_exp(a);
    let large = half - 0.25 / half;
    let z = a * a;
    let p = polynomial(
        z,
        [
            0.166_666_666_666_666_66,
            0.008_333_333_333_333_333,
            0.000_198_412_698_412_697_73,
            2.755_731_922_404_061e-6,
            2.505_210_836_397_218_5e-8,
            1.605_904_841_008_129_3e-10,
            7.646_624_280_324_513e-13,
            2.844_559_673_642_323_7e-15,
        ],
    );
    let small = (a * z).mul_add(p, a);
    (if a < 1.0 { small } else { large }).copysign(x)
}

#[inline(always)]
pub(super) fn cosh(x: f64) -> f64 {
    let half = half_exp(x.abs());
    half + 0.25 / half
}

/// ln((u + low)·2ᵏ) of a positive u, where what u is more than 1 counts to the last digit.
#[inline(always)]
fn ln_of_parts(u: f64, low: f64, k: f64) -> f64 {
    let (e, m) = split_mantissa(u);
    let bounded = if e > 512.0 { 512.0 } else { e };
    let f = low.mul_add(power_of_two(WHOLE - bounded), m - 1.0);
    let e = e + k;
    let near = f + e.mul_add(LN_2_LOW, log_tail(f));
    log_edges(u, e.mul_add(LN_2_HIGH, near))
}

/// Beyond this 1 is nothing beside a square.
const LARGE: f64 = 268_435_456.0;

#[inline(always)]
pub(super) fn asinh(x: f64) -> f64 {
    let a = x.abs();
    let large = a > LARGE;
    let t = if large { 1.0 } else { a };
    // asinh t = ln(t + √(t² + 1))
    let square = t * t;
    let (w, lost) = sum(square, 1.0);
    let (r, r_low) = root(w, lost + t.mul_add(t, -square));
    let (u, lost) = sum(r, t);
    let (u, low) = if large { (a, 0.0) } else { (u, lost + r_low) };
    let y = ln_of_parts(u, low, if large { 1.0 } else { 0.0 });
    (if a.is_nan() { a } else { y }).copysign(x)
}

#[inline(always)]
pub(super) fn acosh(x: f64) -> f64 {
    let large = x > LARGE;
    let t = if large { 1.0 } else { x - 1.0 };
    // acosh(1 + t) = ln(1 + (t + √(2t + t²)))
    let square = t * t;
    let (w, lost) = sum(2.0 * t, square);
    let (r, r_low) = root(w, lost + t.mul_add(t, -square));
    let (v, v_low) = sum(r, t);
    let (u, lost) = sum(1.0, v);
    let (u, low) = if large { (x, 0.0) } else { (u, lost + (v_low + r_low)) };
    let y = ln_of_parts(u, low, if large { 1.0 } else { 0.0 });
    if x >= 1.0 { y } else { f64::NAN }
}

#[inline(always)]
pub(super) fn atanh(x: f64) -> f64 {
    let a = x.abs();
    // atanh a = ½ ln(1 + 2a/(1 − a))
    let (d, d_low) = sum(1.0, -a);
    let q = 2.0 * a / d;
    let q_low = (q.mul_add(-d, 2.0 * a) - q * d_low) / d;
    let (u, lost) = sum(1.0, q);
    let y = 0.5 * ln_of_parts(u, lost + q_low, 0.0);
    let y = if a < 1.0 { y } else { f64::NAN };
    (if a == 1.0 { f64::INFINITY } else { y }).copysign(x)
}
