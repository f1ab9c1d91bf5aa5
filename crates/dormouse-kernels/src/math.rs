//! Elementary functions of our own: straight-line polynomials, the same bits on every machine.
//!
//! They stand apart from the kernels because softmax, losses and element-wise loops share them, and because they have
//! one law: no branch that stops a loop from being vectorized, no call of the platform's libm, and every fused
//! multiply-add written out, so that scalar code, AVX2 and NEON agree bit for bit. Within 2 ulp over the whole domain,
//! subnormal numbers too. [`single`] holds the functions of `f32`, [`double`] those of `f64`, [`reduction`] the exact
//! remainder of large angles that both need.

#![allow(
    clippy::inline_always,
    reason = "a loop is vectorized only with its body inside, compiled for the same machine"
)]
#![allow(clippy::needless_bitwise_bool, reason = "the lazy operators branch")]

mod double;
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
        }
    };
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
}

/// xʸ, with the special cases of IEEE 754's `pow`.
#[inline(always)]
pub(crate) fn pow<T: Float>(x: T, y: T) -> T {
    T::pow(x, y)
}

#[cfg(test)]
mod tests;
