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
        DType::U8 => byte(op),
        DType::Bool => {
            (op == UnaryOp::LogicalNot).then(|| Operation::simple(unary!(|x: u8| -> u8 { x ^ 1 }), DType::Bool))
        }
    }
}

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
                            UnaryOp::LogicalNot => return None,
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
                    | UnaryOp::LogicalNot => return None,
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

fn byte(op: UnaryOp) -> Option<Operation> {
    let run = match op {
        UnaryOp::Square => unary!(|x: u8| -> u8 { x.wrapping_mul(x) }),
        UnaryOp::Relu | UnaryOp::Round => unary!(|x: u8| -> u8 { x }),
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
        | UnaryOp::LogicalNot => return None,
    };
    Some(Operation::simple(run, DType::U8))
}
