//! Elementary functions of our own: straight-line polynomials, the same bits on every machine.
//!
//! They stand apart from the kernels because softmax, losses and element-wise loops share them, and because they have
//! one law: no branch that stops a loop from being vectorized, no call of the platform's libm, and every fused
//! multiply-add written out, so that scalar code, AVX2 and NEON agree bit for bit. Within 2 ulp over the whole domain,
//! subnormal numbers too. [`single`] holds the functions of `f32`, [`double`] those of `f64`, [`reduction`] the exact
//! remainder of large angles that both need. [`inverse`], [`error_function`] and [`gamma`] hold rarer functions of `f64`,
//! which `f32` rounds; the last, and [`quantile`], branch, and tell their own bounds.

#![allow(
    clippy::inline_always,
    reason = "a loop is vectorized only with its body inside, compiled for the same machine"
)]
#![allow(clippy::needless_bitwise_bool, reason = "the lazy operators branch")]

mod double;
mod error_function;
mod gamma;
mod inverse;
mod quantile;
mod reduction;
mod single;

/// A float type with its elementary functions. The functions below it read better than `T::exp(x)`.
pub(crate) trait Float: Copy + PartialOrd {
    fn exp(x: Self) -> Self;
    fn expm1(x: Self) -> Self;
    fn ln(x: Self) -> Self;
    fn ln_1p(x: Self) -> Self;
    fn sin(x: Self) -> Self;
    fn cos(x: Self) -> Self;
    fn tan(x: Self) -> Self;
    fn tanh(x: Self) -> Self;
    fn sigmoid(x: Self) -> Self;
    fn softplus(x: Self) -> Self;
    fn elu(x: Self) -> Self;
    fn pow(x: Self, y: Self) -> Self;
    fn asin(x: Self) -> Self;
    fn acos(x: Self) -> Self;
    fn atan(x: Self) -> Self;
    fn sinh(x: Self) -> Self;
    fn cosh(x: Self) -> Self;
    fn asinh(x: Self) -> Self;
    fn acosh(x: Self) -> Self;
    fn atanh(x: Self) -> Self;
    fn erf(x: Self) -> Self;
    fn erfc(x: Self) -> Self;
    fn lgamma(x: Self) -> Self;
    fn digamma(x: Self) -> Self;
    fn erfinv(x: Self) -> Self;
    fn ndtri(x: Self) -> Self;
    fn atan2(y: Self, x: Self) -> Self;
    fn zeta(s: Self, q: Self) -> Self;
    fn polygamma(n: Self, x: Self) -> Self;
    /// `sin` of an angle that is not [`far`](Float::far), without a branch.
    fn near_sin(x: Self) -> Self;
    /// `cos` of an angle that is not [`far`](Float::far), without a branch.
    fn near_cos(x: Self) -> Self;
    /// `tan` of an angle that is not [`far`](Float::far), without a branch.
    fn near_tan(x: Self) -> Self;
    /// Whether an angle is so large that only the exact remainder will do.
    fn far(x: Self) -> bool;
}

macro_rules! functions {
    ($type:ty, $module:ident) => {
        impl Float for $type {
            functions!(@ $module exp expm1 ln ln_1p sin cos tan tanh sigmoid softplus elu near_sin near_cos near_tan);
            #[inline(always)]
            fn pow(x: Self, y: Self) -> Self {
                $module::pow(x, y)
            }
            #[inline(always)]
            fn far(x: Self) -> bool {
                $module::far(x)
            }
            functions!(@rounded inverse asin acos atan sinh cosh asinh acosh atanh);
            functions!(@rounded error_function erf erfc);
            functions!(@rounded gamma lgamma digamma);
            functions!(@rounded quantile erfinv ndtri);
            functions!(@rounded2 inverse atan2);
            functions!(@rounded2 gamma zeta polygamma);
        }
    };
    (@rounded $module:ident $($name:ident)*) => { $(
        #[inline(always)]
        #[allow(clippy::useless_conversion, clippy::unnecessary_cast, reason = "of f64 these are nothing")]
        fn $name(x: Self) -> Self {
            $module::$name(f64::from(x)) as Self
        }
    )* };
    (@rounded2 $module:ident $($name:ident)*) => { $(
        #[inline(always)]
        #[allow(clippy::useless_conversion, clippy::unnecessary_cast, reason = "of f64 these are nothing")]
        fn $name(x: Self, y: Self) -> Self {
            $module::$name(f64::from(x), f64::from(y)) as Self
        }
    )* };
    (@ $module:ident $($name:ident)*) => { $(
        #[inline(always)]
        fn $name(x: Self) -> Self {
            $module::$name(x)
        }
    )* };
}
functions!(f32, single);
functions!(f64, double);

macro_rules! free {
    ($($(#[$doc:meta])* $name:ident)*) => { $(
        $(#[$doc])*
        #[inline(always)]
        pub(crate) fn $name<T: Float>(x: T) -> T {
            T::$name(x)
        }
    )* };
}
free! {
    /// eˣ.
    exp
    /// eˣ − 1, exact near 0.
    expm1
    /// The natural logarithm.
    ln
    /// ln(1 + x), exact near 0.
    ln_1p
    /// tanh x.
    tanh
    /// 1 / (1 + e⁻ˣ).
    sigmoid
    /// ln(1 + eˣ).
    softplus
    /// x where positive, eˣ − 1 elsewhere.
    elu
    /// The angle of a sine, in −π/2 ..= π/2.
    asin
    /// The angle of a cosine, in 0 ..= π.
    acos
    /// The angle of a tangent, in −π/2 ..= π/2.
    atan
    /// Hyperbolic sine.
    sinh
    /// Hyperbolic cosine.
    cosh
    /// Inverse hyperbolic sine.
    asinh
    /// Inverse hyperbolic cosine.
    acosh
    /// Inverse hyperbolic tangent.
    atanh
    /// 2/√π ∫ e^(−t²) dt from 0 to x.
    erf
    /// 1 − erf x, exact where that is small.
    erfc
    /// ln |Γ(x)|.
    lgamma
    /// (ln Γ)′(x).
    digamma
    /// The number whose error function this is.
    erfinv
    /// The number below which a normal one is with this probability.
    ndtri
}

/// xʸ, with the special cases of IEEE 754's `pow`.
#[inline(always)]
pub(crate) fn pow<T: Float>(x: T, y: T) -> T {
    T::pow(x, y)
}

/// The angle of the point (x, y), in −π ..= π.
#[inline(always)]
pub(crate) fn atan2<T: Float>(y: T, x: T) -> T {
    T::atan2(y, x)
}

/// Σ (q + k)⁻ˢ over k ≥ 0.
#[inline(always)]
pub(crate) fn zeta<T: Float>(s: T, q: T) -> T {
    T::zeta(s, q)
}

/// The n-th derivative of digamma.
#[inline(always)]
pub(crate) fn polygamma<T: Float>(n: T, x: T) -> T {
    T::polygamma(n, x)
}

#[cfg(test)]
mod tests;
