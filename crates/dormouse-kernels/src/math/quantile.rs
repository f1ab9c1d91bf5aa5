//! Inverses of the error function and of the normal distribution, of `f64`; those of `f32` are these, rounded. Apart from the
//! function itself as they branch: an inverse is looked for, near 0 and in the tails in two ways.

use super::double::{exp, ln};
use super::error_function::{erf, scaled_erfc};

const FRAC_2_SQRT_PI: f64 = std::f64::consts::FRAC_2_SQRT_PI;

/// erf⁻¹ a for 0 ≤ a ≤ ½, by Halley's steps.
fn inner(a: f64) -> f64 {
    let mut y = a / FRAC_2_SQRT_PI * (a * a).mul_add(0.261_799, 1.0);
    for _ in 0..3 {
        let u = (erf(y) - a) / (FRAC_2_SQRT_PI * exp(-y * y));
        y -= u / y.mul_add(u, 1.0);
    }
    y
}

/// The y with erfc y = w, for 0 < w ≤ ½: by Newton's steps of −ln erfc, which is nearly y².
fn outer(w: f64) -> f64 {
    let l = -ln(w);
    let mut y = (l - 0.5 * ln(std::f64::consts::PI * l)).sqrt();
    for _ in 0..6 {
        let scaled = scaled_erfc(y);
        // The square keeps what its rounding takes.
        let square = y * y;
        let lost = y.mul_add(y, -square);
        y -= ((square - l) + (lost - ln(scaled))) * scaled / FRAC_2_SQRT_PI;
    }
    y
}

/// The number whose error function this is.
pub(super) fn erfinv(x: f64) -> f64 {
    let a = x.abs();
    let y = if a <= 0.5 {
        inner(a)
    } else if a < 1.0 {
        outer(1.0 - a)
    } else if a == 1.0 {
        f64::INFINITY
    } else {
        f64::NAN
    };
    y.copysign(x)
}

/// The number below which a normal one is with this probability.
pub(super) fn ndtri(p: f64) -> f64 {
    const ROOT: f64 = std::f64::consts::SQRT_2;
    if p > 0.0 && p < 0.25 {
        -ROOT * outer(2.0 * p)
    } else if (0.25..=0.75).contains(&p) {
        ROOT * erfinv(2.0 * p - 1.0)
    } else if p > 0.75 && p < 1.0 {
        ROOT * outer(2.0 * (1.0 - p))
    } else if p == 0.0 {
        f64::NEG_INFINITY
    } else if p == 1.0 {
        f64::INFINITY
    } else {
        f64::NAN
    }
}
