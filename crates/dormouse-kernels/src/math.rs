//! Elementary functions of our own: straight-line polynomials, the same bits on every machine.
//!
//! They stand apart from the kernels because softmax, losses and element-wise loops share them, and because they have
//! one law: no branch that stops a loop from being vectorized, no call of the platform's libm, and every fused
//! multiply-add written out, so that scalar code, AVX2 and NEON agree bit for bit. Within 2 ulp over the whole domain,
//! subnormal numbers too. [`single`] holds the functions of `f32`, [`double`] those of `f64`, [`reduction`] the exact
//! remainder of large angles that both need. [`inverse`], [`error_function`], [`gamma`], [`bessel`] and [`incomplete`]
//! hold rarer functions of `f64`, which `f32` rounds; the last three, and [`quantile`], branch, and tell their own bounds. [`wide`]
//! has the numbers of 106 bits that they need.

#![allow(
    clippy::inline_always,
    reason = "a loop is vectorized only with its body inside, compiled for the same machine"
)]
#![allow(clippy::needless_bitwise_bool, reason = "the lazy operators branch")]

mod bessel;
mod double;
mod error_function;
mod gamma;
mod incomplete;
mod inverse;
mod quantile;
mod reduction;
mod single;
mod wide;

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
    fn swish(x: Self) -> Self;
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
    fn gelu(x: Self) -> Self;
    fn bessel_i0(x: Self) -> Self;
    fn bessel_i0e(x: Self) -> Self;
    fn bessel_i1(x: Self) -> Self;
    fn bessel_i1e(x: Self) -> Self;
    fn atan2(y: Self, x: Self) -> Self;
    fn zeta(s: Self, q: Self) -> Self;
    fn polygamma(n: Self, x: Self) -> Self;
    fn igamma(a: Self, x: Self) -> Self;
    fn igammac(a: Self, x: Self) -> Self;
    fn igamma_grad_a(a: Self, x: Self) -> Self;
    fn random_gamma_grad(a: Self, x: Self) -> Self;
    fn betainc(a: Self, b: Self, x: Self) -> Self;
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
            functions!(@ $module exp expm1 ln ln_1p sin cos tan tanh sigmoid softplus elu swish near_sin near_cos near_tan);
            #[inline(always)]
            fn pow(x: Self, y: Self) -> Self {
                $module::pow(x, y)
            }
            #[inline(always)]
            fn far(x: Self) -> bool {
                $module::far(x)
            }
            functions!(@rounded inverse asin acos atan sinh cosh asinh acosh atanh);
            functions!(@rounded error_function erf erfc gelu);
            functions!(@rounded bessel bessel_i0 bessel_i0e bessel_i1 bessel_i1e);
            functions!(@rounded gamma lgamma digamma);
            functions!(@rounded quantile erfinv ndtri);
            functions!(@rounded2 inverse atan2);
            functions!(@rounded2 gamma zeta polygamma);
            functions!(@rounded2 incomplete igamma igammac igamma_grad_a random_gamma_grad);
            #[inline(always)]
            #[allow(clippy::useless_conversion, clippy::unnecessary_cast, reason = "of f64 these are nothing")]
            fn betainc(a: Self, b: Self, x: Self) -> Self {
                incomplete::betainc(f64::from(a), f64::from(b), f64::from(x)) as Self
            }
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
    /// x / (1 + e⁻ˣ).
    swish
    /// x times the chance that a normal number is below it.
    gelu
    /// The modified Bessel function of the first kind, of order 0.
    bessel_i0
    /// The same by e^(−|x|).
    bessel_i0e
    /// The modified Bessel function of the first kind, of order 1.
    bessel_i1
    /// The same by e^(−|x|).
    bessel_i1e
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

/// The share of Γ(a) that lies below x.
#[inline(always)]
pub(crate) fn igamma<T: Float>(a: T, x: T) -> T {
    T::igamma(a, x)
}

/// The share of Γ(a) that lies above x.
#[inline(always)]
pub(crate) fn igammac<T: Float>(a: T, x: T) -> T {
    T::igammac(a, x)
}

/// The derivative of `igamma` by a.
#[inline(always)]
pub(crate) fn igamma_grad_a<T: Float>(a: T, x: T) -> T {
    T::igamma_grad_a(a, x)
}

/// How a draw x from the gamma distribution of shape a changes with a.
#[inline(always)]
pub(crate) fn random_gamma_grad<T: Float>(a: T, x: T) -> T {
    T::random_gamma_grad(a, x)
}

/// The share of B(a, b) that lies below x.
#[inline(always)]
pub(crate) fn betainc<T: Float>(a: T, b: T, x: T) -> T {
    T::betainc(a, b, x)
}

#[cfg(test)]
mod tests;
