//! The table of operations of one operand.

#![allow(clippy::inline_always, reason = "a loop is vectorized only with its body inside")]

use std::marker::PhantomData;

use dormouse_value::{DType, UnaryOp};

use super::micro::{Patched, guarded, patched, unary};
use super::{Micro, Operation};
use crate::math::{self, Float};

/// The code of `op` for a dtype, or `None` where it has none.
pub(super) fn operation(op: UnaryOp, dtype: DType) -> Option<Operation> {
    match dtype {
        DType::F32 => f32::operation(op),
        DType::F64 => f64::operation(op),
        DType::I32 => i32::operation(op),
        DType::I64 => i64::operation(op),
        DType::U8 => u8::operation(op),
        DType::U64 => u64::operation(op),
        DType::Bool => {
            (op == UnaryOp::LogicalNot).then(|| Operation::simple(unary!(|x: u8| -> u8 { x ^ 1 }), DType::Bool))
        }
        DType::F16 | DType::Bf16 | DType::I8 | DType::I16 | DType::U16 | DType::U32 => None,
    }
}

/// TensorFlow's constants of selu, with which the mean and the variance of layers stay.
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
const SELU_SCALE_ALPHA: f64 = 1.758_099_340_847_376_9;

trait Operations {
    fn operation(op: UnaryOp) -> Option<Operation>;
}

macro_rules! float {
    ($T:ty, $dtype:expr) => {
        impl Operations for $T {
            #[rustfmt::skip] // a table reads better unbroken
            fn operation(op: UnaryOp) -> Option<Operation> {
                        // Nanoseconds are measured for f32 on AVX2; an f64 takes twice as long.
                        let wide = size_of::<$T>() as f64 / 4.0;
                        let simple = |run: Micro| Operation::simple(run, $dtype);
                        let slow = |run: Micro, flops: f64, nanos: f64| simple(run).costing(flops, wide * nanos);
                        Some(match op {
                            UnaryOp::Neg => simple(unary!(|x: $T| -> $T { -x })),
                            UnaryOp::Abs => simple(unary!(|x: $T| -> $T { x.abs() })),
                            UnaryOp::Sign => simple(unary!(|x: $T| -> $T {
                                let y = if x < 0.0 { -1.0 } else { x };
                                let y = if x > 0.0 { 1.0 } else { y };
                                if x == 0.0 { 0.0 } else { y }
                            })),
                            UnaryOp::Square => simple(unary!(|x: $T| -> $T { x * x })),
                            UnaryOp::Sqrt => slow(unary!(|x: $T| -> $T { x.sqrt() }), 1.0, 0.2),
                            UnaryOp::Rsqrt => slow(unary!(|x: $T| -> $T { 1.0 / x.sqrt() }), 2.0, 0.35),
                            UnaryOp::Reciprocal => slow(unary!(|x: $T| -> $T { 1.0 / x }), 1.0, 0.2),
                            UnaryOp::Exp => slow(unary!(|x: $T| -> $T { math::exp(x) }), 20.0, 0.5),
                            UnaryOp::Expm1 => slow(unary!(|x: $T| -> $T { math::expm1(x) }), 24.0, 0.6),
                            UnaryOp::Log => slow(unary!(|x: $T| -> $T { math::ln(x) }), 24.0, 0.95),
                            UnaryOp::Log1p => slow(unary!(|x: $T| -> $T { math::ln_1p(x) }), 30.0, 1.15),
                            UnaryOp::Sin => slow(patched::<Sin<$T>>(), 24.0, 0.9),
                            UnaryOp::Cos => slow(patched::<Cos<$T>>(), 24.0, 0.9),
                            UnaryOp::Tan => slow(patched::<Tan<$T>>(), 48.0, 3.7),
                            UnaryOp::Tanh => slow(unary!(|x: $T| -> $T { math::tanh(x) }), 36.0, 0.9),
                            UnaryOp::Sigmoid => slow(unary!(|x: $T| -> $T { math::sigmoid(x) }), 24.0, 0.9),
                            UnaryOp::Softplus => slow(unary!(|x: $T| -> $T { math::softplus(x) }), 50.0, 2.0),
                            UnaryOp::Relu => simple(unary!(|x: $T| -> $T { if x <= 0.0 { 0.0 } else { x } })),
                            UnaryOp::Elu => slow(unary!(|x: $T| -> $T { math::elu(x) }), 24.0, 0.6),
                            UnaryOp::Floor => simple(unary!(|x: $T| -> $T { x.floor() })),
                            UnaryOp::Ceil => simple(unary!(|x: $T| -> $T { x.ceil() })),
                            UnaryOp::Round => simple(unary!(|x: $T| -> $T { x.round_ties_even() })),
                            UnaryOp::Asin => slow(unary!(|x: $T| -> $T { math::asin(x) }), 40.0, 2.2),
                            UnaryOp::Acos => slow(unary!(|x: $T| -> $T { math::acos(x) }), 40.0, 2.4),
                            UnaryOp::Atan => slow(unary!(|x: $T| -> $T { math::atan(x) }), 35.0, 2.0),
                            UnaryOp::Sinh => slow(unary!(|x: $T| -> $T { math::sinh(x) }), 45.0, 2.2),
                            UnaryOp::Cosh => slow(unary!(|x: $T| -> $T { math::cosh(x) }), 30.0, 1.8),
                            UnaryOp::Asinh => slow(unary!(|x: $T| -> $T { math::asinh(x) }), 60.0, 4.5),
                            UnaryOp::Acosh => slow(unary!(|x: $T| -> $T { math::acosh(x) }), 60.0, 4.5),
                            UnaryOp::Atanh => slow(unary!(|x: $T| -> $T { math::atanh(x) }), 60.0, 4.0),
                            UnaryOp::Erf => slow(unary!(|x: $T| -> $T { math::erf(x) }), 80.0, 4.0),
                            UnaryOp::Erfc => slow(unary!(|x: $T| -> $T { math::erfc(x) }), 80.0, 4.2),
                            UnaryOp::Lgamma => slow(unary!(|x: $T| -> $T { math::lgamma(x) }), 80.0, 30.0),
                            UnaryOp::Digamma => slow(unary!(|x: $T| -> $T { math::digamma(x) }), 80.0, 30.0),
                            UnaryOp::Erfinv => slow(unary!(|x: $T| -> $T { math::erfinv(x) }), 200.0, 60.0),
                            UnaryOp::Ndtri => slow(unary!(|x: $T| -> $T { math::ndtri(x) }), 200.0, 60.0),
                            UnaryOp::Swish => slow(unary!(|x: $T| -> $T { math::swish(x) }), 26.0, 1.0),
                            UnaryOp::Gelu => slow(unary!(|x: $T| -> $T { math::gelu(x) }), 90.0, 4.5),
                            UnaryOp::BesselI0 => slow(unary!(|x: $T| -> $T { math::bessel_i0(x) }), 200.0, 60.0),
                            UnaryOp::BesselI0e => slow(unary!(|x: $T| -> $T { math::bessel_i0e(x) }), 200.0, 60.0),
                            UnaryOp::BesselI1 => slow(unary!(|x: $T| -> $T { math::bessel_i1(x) }), 200.0, 60.0),
                            UnaryOp::BesselI1e => slow(unary!(|x: $T| -> $T { math::bessel_i1e(x) }), 200.0, 60.0),
                            UnaryOp::Softsign => slow(unary!(|x: $T| -> $T { x / (1.0 + x.abs()) }), 3.0, 0.25),
                            UnaryOp::Relu6 => simple(unary!(|x: $T| -> $T {
                                let y = if x <= 0.0 { 0.0 } else { x };
                                if y > 6.0 { 6.0 } else { y }
                            })),
                            UnaryOp::Selu => slow(unary!(|x: $T| -> $T {
                                let below = SELU_SCALE_ALPHA as $T * math::expm1(x);
                                if x > 0.0 { SELU_SCALE as $T * x } else { below }
                            }), 26.0, 0.65),
                            UnaryOp::LogicalNot | UnaryOp::Invert => return None,
                        })
                    }
        }
    };
}
float!(f32, DType::F32);
float!(f64, DType::F64);

macro_rules! integer {
    ($T:ty, $dtype:expr) => {
        impl Operations for $T {
            fn operation(op: UnaryOp) -> Option<Operation> {
                let run = match op {
                    UnaryOp::Neg => unary!(|x: $T| -> $T { x.wrapping_neg() }),
                    UnaryOp::Abs => unary!(|x: $T| -> $T { x.wrapping_abs() }),
                    UnaryOp::Sign => unary!(|x: $T| -> $T { x.signum() }),
                    UnaryOp::Square => unary!(|x: $T| -> $T { x.wrapping_mul(x) }),
                    UnaryOp::Relu => unary!(|x: $T| -> $T { x.max(0) }),
                    UnaryOp::Invert => unary!(|x: $T| -> $T { !x }),
                    UnaryOp::Round => unary!(|x: $T| -> $T { x }),
                    UnaryOp::Reciprocal => {
                        let run = guarded!(|x: $T| x == 0, { if x.unsigned_abs() == 1 { x } else { 0 } });
                        return Some(Operation {
                            fault: Some(super::DIVISION_BY_ZERO),
                            ..Operation::simple(run, $dtype)
                        });
                    }
                    UnaryOp::Sqrt
                    | UnaryOp::Rsqrt
                    | UnaryOp::Exp
                    | UnaryOp::Expm1
                    | UnaryOp::Log
                    | UnaryOp::Log1p
                    | UnaryOp::Sin
                    | UnaryOp::Cos
                    | UnaryOp::Tan
                    | UnaryOp::Tanh
                    | UnaryOp::Sigmoid
                    | UnaryOp::Softplus
                    | UnaryOp::Elu
                    | UnaryOp::Floor
                    | UnaryOp::Ceil
                    | UnaryOp::LogicalNot
                    | UnaryOp::Asin
                    | UnaryOp::Acos
                    | UnaryOp::Atan
                    | UnaryOp::Sinh
                    | UnaryOp::Cosh
                    | UnaryOp::Asinh
                    | UnaryOp::Acosh
                    | UnaryOp::Atanh
                    | UnaryOp::Erf
                    | UnaryOp::Erfc
                    | UnaryOp::Lgamma
                    | UnaryOp::Digamma
                    | UnaryOp::Softsign
                    | UnaryOp::Relu6
                    | UnaryOp::Selu
                    | UnaryOp::Erfinv
                    | UnaryOp::Ndtri
                    | UnaryOp::Swish
                    | UnaryOp::Gelu
                    | UnaryOp::BesselI0
                    | UnaryOp::BesselI0e
                    | UnaryOp::BesselI1
                    | UnaryOp::BesselI1e => return None,
                };
                Some(Operation::simple(run, $dtype))
            }
        }
    };
}
integer!(i32, DType::I32);
integer!(i64, DType::I64);

macro_rules! angle {
    ($($name:ident: $near:ident, $exact:ident;)*) => { $(
        struct $name<T>(PhantomData<T>);
        impl<T: Float> Patched for $name<T> {
            type X = T;
            #[inline(always)]
            fn near(x: T) -> T {
                T::$near(x)
            }
            #[inline(always)]
            fn far(x: T) -> bool {
                T::far(x)
            }
            fn exact(x: T) -> T {
                T::$exact(x)
            }
        }
    )* };
}
angle! {
    Sin: near_sin, sin;
    Cos: near_cos, cos;
    Tan: near_tan, tan;
}

macro_rules! unsigned {
    ($T:ty, $dtype:expr) => {
        impl Operations for $T {
            fn operation(op: UnaryOp) -> Option<Operation> {
                let run = match op {
                    UnaryOp::Square => unary!(|x: $T| -> $T { x.wrapping_mul(x) }),
                    UnaryOp::Relu | UnaryOp::Round => unary!(|x: $T| -> $T { x }),
                    UnaryOp::Invert => unary!(|x: $T| -> $T { !x }),
                    UnaryOp::Neg
                    | UnaryOp::Abs
                    | UnaryOp::Sign
                    | UnaryOp::Reciprocal
                    | UnaryOp::Sqrt
                    | UnaryOp::Rsqrt
                    | UnaryOp::Exp
                    | UnaryOp::Expm1
                    | UnaryOp::Log
                    | UnaryOp::Log1p
                    | UnaryOp::Sin
                    | UnaryOp::Cos
                    | UnaryOp::Tan
                    | UnaryOp::Tanh
                    | UnaryOp::Sigmoid
                    | UnaryOp::Softplus
                    | UnaryOp::Elu
                    | UnaryOp::Floor
                    | UnaryOp::Ceil
                    | UnaryOp::LogicalNot
                    | UnaryOp::Asin
                    | UnaryOp::Acos
                    | UnaryOp::Atan
                    | UnaryOp::Sinh
                    | UnaryOp::Cosh
                    | UnaryOp::Asinh
                    | UnaryOp::Acosh
                    | UnaryOp::Atanh
                    | UnaryOp::Erf
                    | UnaryOp::Erfc
                    | UnaryOp::Lgamma
                    | UnaryOp::Digamma
                    | UnaryOp::Softsign
                    | UnaryOp::Relu6
                    | UnaryOp::Selu
                    | UnaryOp::Erfinv
                    | UnaryOp::Ndtri
                    | UnaryOp::Swish
                    | UnaryOp::Gelu
                    | UnaryOp::BesselI0
                    | UnaryOp::BesselI0e
                    | UnaryOp::BesselI1
                    | UnaryOp::BesselI1e => return None,
                };
                Some(Operation::simple(run, $dtype))
            }
        }
    };
}
unsigned!(u8, DType::U8);
unsigned!(u64, DType::U64);
