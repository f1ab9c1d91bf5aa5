//! The table of operations of one operand.

use dormouse_value::{DType, UnaryOp};

use super::micro::{guarded, patched, unary};
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
        DType::Bool => (op == UnaryOp::LogicalNot).then(|| Operation::simple(unary(|x: u8| x ^ 1), DType::Bool)),
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
                    UnaryOp::Neg => simple(unary(|x: $T| -x)),
                    UnaryOp::Abs => simple(unary(|x: $T| x.abs())),
                    UnaryOp::Sign => simple(unary(|x: $T| {
                        let y = if x < 0.0 { -1.0 } else { x };
                        let y = if x > 0.0 { 1.0 } else { y };
                        if x == 0.0 { 0.0 } else { y }
                    })),
                    UnaryOp::Square => simple(unary(|x: $T| x * x)),
                    UnaryOp::Sqrt => slow(unary(|x: $T| x.sqrt()), 1.0, 0.3),
                    UnaryOp::Rsqrt => slow(unary(|x: $T| 1.0 / x.sqrt()), 2.0, 0.5),
                    UnaryOp::Reciprocal => slow(unary(|x: $T| 1.0 / x), 1.0, 0.3),
                    UnaryOp::Exp => slow(unary(math::exp::<$T>), 20.0, 0.4),
                    UnaryOp::Expm1 => slow(unary(math::expm1::<$T>), 24.0, 0.5),
                    UnaryOp::Log => slow(unary(math::ln::<$T>), 24.0, 0.6),
                    UnaryOp::Log1p => slow(unary(math::ln_1p::<$T>), 30.0, 0.8),
                    UnaryOp::Sin => slow(patched(<$T as Float>::near_sin, <$T as Float>::far, <$T as Float>::sin), 24.0, 0.6),
                    UnaryOp::Cos => slow(patched(<$T as Float>::near_cos, <$T as Float>::far, <$T as Float>::cos), 24.0, 0.6),
                    UnaryOp::Tan => slow(patched(<$T as Float>::near_tan, <$T as Float>::far, <$T as Float>::tan), 48.0, 2.0),
                    UnaryOp::Tanh => slow(unary(math::tanh::<$T>), 36.0, 1.0),
                    UnaryOp::Sigmoid => slow(unary(math::sigmoid::<$T>), 24.0, 0.8),
                    UnaryOp::Softplus => slow(unary(math::softplus::<$T>), 50.0, 1.2),
                    UnaryOp::Relu => simple(unary(|x: $T| if x < 0.0 { 0.0 } else { x })),
                    UnaryOp::Elu => slow(unary(math::elu::<$T>), 24.0, 0.5),
                    UnaryOp::Floor => simple(unary(|x: $T| x.floor())),
                    UnaryOp::Ceil => simple(unary(|x: $T| x.ceil())),
                    UnaryOp::Round => simple(unary(|x: $T| x.round_ties_even())),
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
                    UnaryOp::Neg => unary(|x: $T| x.wrapping_neg()),
                    UnaryOp::Abs => unary(|x: $T| x.wrapping_abs()),
                    UnaryOp::Sign => unary(|x: $T| x.signum()),
                    UnaryOp::Square => unary(|x: $T| x.wrapping_mul(x)),
                    UnaryOp::Relu => unary(|x: $T| x.max(0)),
                    UnaryOp::Round => unary(|x: $T| x),
                    UnaryOp::Reciprocal => {
                        let run =
                            guarded::<$T, _, _, true>(|x| x == 0, |x, _| if x.unsigned_abs() == 1 { x } else { 0 });
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

fn byte(op: UnaryOp) -> Option<Operation> {
    let run = match op {
        UnaryOp::Square => unary(|x: u8| x.wrapping_mul(x)),
        UnaryOp::Relu | UnaryOp::Round => unary(|x: u8| x),
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
