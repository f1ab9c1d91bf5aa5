//! The table of operations of two operands.

use dormouse_value::{BinaryOp, DType};

use super::micro::{binary, guarded};
use super::{DIVISION_BY_ZERO, Micro, Operation};
use crate::math;

/// The code of `op` for a dtype, or `None` where it has none.
pub(super) fn operation(op: BinaryOp, dtype: DType) -> Option<Operation> {
    match dtype {
        DType::F32 => f32::operation(op),
        DType::F64 => f64::operation(op),
        DType::I32 => i32::operation(op),
        DType::I64 => i64::operation(op),
        DType::U8 => u8::operation(op),
        DType::U64 => u64::operation(op),
        DType::Bool | DType::F16 | DType::Bf16 | DType::I8 | DType::I16 | DType::U16 | DType::U32 => None,
    }
}

trait Floats {
    fn operation(op: BinaryOp) -> Option<Operation>;
}

macro_rules! float {
    ($T:ty, $dtype:expr) => {
        impl Floats for $T {
            #[rustfmt::skip] // a table reads better unbroken
            fn operation(op: BinaryOp) -> Option<Operation> {
                        let wide = if $dtype == DType::F64 { 1.5 } else { 1.0 };
                        let simple = |run: Micro| Operation::simple(run, $dtype);
                        let slow = |run: Micro, flops: f64, nanos: f64| simple(run).costing(flops, wide * nanos);
                        Some(match op {
                            BinaryOp::Add => simple(binary!(|a, b: $T| -> $T { a + b })),
                            BinaryOp::Sub => simple(binary!(|a, b: $T| -> $T { a - b })),
                            BinaryOp::Mul => simple(binary!(|a, b: $T| -> $T { a * b })),
                            BinaryOp::Div => slow(binary!(|a, b: $T| -> $T { a / b }), 1.0, 0.2),
                            BinaryOp::FloorDiv => slow(binary!(|a, b: $T| -> $T { (a / b).floor() }), 2.0, 0.25),
                            BinaryOp::FloorMod => slow(binary!(|a, b: $T| -> $T {
                                let rest = a % b;
                                if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
                            }), 4.0, 5.0),
                            BinaryOp::Pow => slow(binary!(|a, b: $T| -> $T { math::pow(a, b) }), 80.0, 7.0),
                            BinaryOp::Maximum => simple(binary!(|a, b: $T| -> $T {
                                let larger = if a > b { a } else { b };
                                if a.is_nan() { a } else { larger }
                            })),
                            BinaryOp::Minimum => simple(binary!(|a, b: $T| -> $T {
                                let smaller = if a < b { a } else { b };
                                if a.is_nan() { a } else { smaller }
                            })),
                            BinaryOp::SquaredDifference => simple(binary!(|a, b: $T| -> $T { (a - b) * (a - b) })),
                            BinaryOp::ReluGrad => simple(binary!(|a, b: $T| -> $T { if b > 0.0 { a } else { 0.0 } })),
                            BinaryOp::Atan2 => slow(binary!(|a, b: $T| -> $T { math::atan2(a, b) }), 50.0, 4.0),
                            BinaryOp::TruncateDiv => slow(binary!(|a, b: $T| -> $T { (a / b).trunc() }), 2.0, 0.25),
                            BinaryOp::TruncateMod => slow(binary!(|a, b: $T| -> $T { a % b }), 4.0, 5.0),
                            BinaryOp::Zeta => slow(binary!(|a, b: $T| -> $T { math::zeta(a, b) }), 1000.0, 300.0),
                            BinaryOp::Polygamma => slow(binary!(|a, b: $T| -> $T { math::polygamma(a, b) }), 1000.0, 300.0),
                            BinaryOp::Igamma => slow(binary!(|a, b: $T| -> $T { math::igamma(a, b) }), 2000.0, 1000.0),
                            BinaryOp::Igammac => slow(binary!(|a, b: $T| -> $T { math::igammac(a, b) }), 2000.0, 1000.0),
                            BinaryOp::IgammaGradA => slow(binary!(|a, b: $T| -> $T { math::igamma_grad_a(a, b) }), 2000.0, 1000.0),
                            BinaryOp::RandomGammaGrad => slow(binary!(|a, b: $T| -> $T { math::random_gamma_grad(a, b) }), 2000.0, 1000.0),
                            BinaryOp::BitwiseAnd | BinaryOp::BitwiseOr | BinaryOp::BitwiseXor | BinaryOp::LeftShift | BinaryOp::RightShift => return None,
                        })
                    }
        }
    };
}
float!(f32, DType::F32);
float!(f64, DType::F64);

trait Integers: Sized {
    fn operation(op: BinaryOp) -> Option<Operation>;
}

macro_rules! integer {
    ($T:ty, $dtype:expr) => {
        impl Integers for $T {
            fn operation(op: BinaryOp) -> Option<Operation> {
                let (run, fault) = match op {
                    BinaryOp::Add => (binary!(|a, b: $T| -> $T { a.wrapping_add(b) }), None),
                    BinaryOp::Sub => (binary!(|a, b: $T| -> $T { a.wrapping_sub(b) }), None),
                    BinaryOp::Mul => (binary!(|a, b: $T| -> $T { a.wrapping_mul(b) }), None),
                    BinaryOp::Div
                    | BinaryOp::Atan2
                    | BinaryOp::Zeta
                    | BinaryOp::Polygamma
                    | BinaryOp::Igamma
                    | BinaryOp::Igammac
                    | BinaryOp::IgammaGradA
                    | BinaryOp::RandomGammaGrad => return None,
                    BinaryOp::FloorDiv => (
                        guarded!(|a, b: $T| b == 0, {
                            let quotient = a.wrapping_div(b);
                            let below = a.wrapping_rem(b) != 0 && (a < 0) != (b < 0);
                            quotient - <$T>::from(below)
                        }),
                        Some(DIVISION_BY_ZERO),
                    ),
                    BinaryOp::FloorMod => (
                        guarded!(|a, b: $T| b == 0, {
                            let rest = a.wrapping_rem(b);
                            if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }
                        }),
                        Some(DIVISION_BY_ZERO),
                    ),
                    BinaryOp::Pow => (
                        guarded!(|a, b: $T| b < 0, {
                            let (mut power, mut base, mut rest) = (1, a, b);
                            while rest > 0 {
                                if rest & 1 == 1 {
                                    power = <$T>::wrapping_mul(power, base);
                                }
                                base = base.wrapping_mul(base);
                                rest >>= 1;
                            }
                            power
                        }),
                        Some(NEGATIVE_EXPONENT),
                    ),
                    BinaryOp::Maximum => (binary!(|a, b: $T| -> $T { a.max(b) }), None),
                    BinaryOp::Minimum => (binary!(|a, b: $T| -> $T { a.min(b) }), None),
                    BinaryOp::SquaredDifference => {
                        (binary!(|a, b: $T| -> $T { a.wrapping_sub(b).wrapping_mul(a.wrapping_sub(b)) }), None)
                    }
                    BinaryOp::ReluGrad => (binary!(|a, b: $T| -> $T { if b > 0 { a } else { 0 } }), None),
                    BinaryOp::TruncateDiv => {
                        (guarded!(|a, b: $T| b == 0, { a.wrapping_div(b) }), Some(DIVISION_BY_ZERO))
                    }
                    BinaryOp::TruncateMod => {
                        (guarded!(|a, b: $T| b == 0, { a.wrapping_rem(b) }), Some(DIVISION_BY_ZERO))
                    }
                    BinaryOp::BitwiseAnd => (binary!(|a, b: $T| -> $T { a & b }), None),
                    BinaryOp::BitwiseOr => (binary!(|a, b: $T| -> $T { a | b }), None),
                    BinaryOp::BitwiseXor => (binary!(|a, b: $T| -> $T { a ^ b }), None),
                    BinaryOp::LeftShift => (binary!(|a, b: $T| -> $T { a << b.clamp(0, <$T>::BITS as $T - 1) }), None),
                    BinaryOp::RightShift => (binary!(|a, b: $T| -> $T { a >> b.clamp(0, <$T>::BITS as $T - 1) }), None),
                };
                let operation = Operation { fault, ..Operation::simple(run, $dtype) };
                Some(if fault.is_some() { operation.costing(4.0, 4.0) } else { operation })
            }
        }
    };
}
integer!(i32, DType::I32);
integer!(i64, DType::I64);

macro_rules! unsigned {
    ($T:ty, $dtype:expr) => {
        impl Integers for $T {
            fn operation(op: BinaryOp) -> Option<Operation> {
                let (run, fault) = match op {
                    BinaryOp::Add => (binary!(|a, b: $T| -> $T { a.wrapping_add(b) }), None),
                    BinaryOp::Sub => (binary!(|a, b: $T| -> $T { a.wrapping_sub(b) }), None),
                    BinaryOp::Mul => (binary!(|a, b: $T| -> $T { a.wrapping_mul(b) }), None),
                    BinaryOp::BitwiseAnd => (binary!(|a, b: $T| -> $T { a & b }), None),
                    BinaryOp::BitwiseOr => (binary!(|a, b: $T| -> $T { a | b }), None),
                    BinaryOp::BitwiseXor => (binary!(|a, b: $T| -> $T { a ^ b }), None),
                    BinaryOp::LeftShift => (binary!(|a, b: $T| -> $T { a << b.min(<$T>::BITS as $T - 1) }), None),
                    BinaryOp::RightShift => (binary!(|a, b: $T| -> $T { a >> b.min(<$T>::BITS as $T - 1) }), None),
                    BinaryOp::FloorDiv | BinaryOp::TruncateDiv => {
                        (guarded!(|a, b: $T| b == 0, { a / b }), Some(DIVISION_BY_ZERO))
                    }
                    BinaryOp::FloorMod | BinaryOp::TruncateMod => {
                        (guarded!(|a, b: $T| b == 0, { a % b }), Some(DIVISION_BY_ZERO))
                    }
                    BinaryOp::Maximum => (binary!(|a, b: $T| -> $T { a.max(b) }), None),
                    BinaryOp::Minimum => (binary!(|a, b: $T| -> $T { a.min(b) }), None),
                    BinaryOp::SquaredDifference => {
                        (binary!(|a, b: $T| -> $T { a.wrapping_sub(b).wrapping_mul(a.wrapping_sub(b)) }), None)
                    }
                    BinaryOp::ReluGrad => (binary!(|a, b: $T| -> $T { if b > 0 { a } else { 0 } }), None),
                    BinaryOp::Div
                    | BinaryOp::Pow
                    | BinaryOp::Atan2
                    | BinaryOp::Zeta
                    | BinaryOp::Polygamma
                    | BinaryOp::Igamma
                    | BinaryOp::Igammac
                    | BinaryOp::IgammaGradA
                    | BinaryOp::RandomGammaGrad => return None,
                };
                Some(Operation { fault, ..Operation::simple(run, $dtype) })
            }
        }
    };
}
unsigned!(u8, DType::U8);
unsigned!(u64, DType::U64);

const NEGATIVE_EXPONENT: &str = "pow: integers to negative integer powers are not whole; cast to a float dtype first";
