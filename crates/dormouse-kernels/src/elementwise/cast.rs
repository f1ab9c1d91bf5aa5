//! Casts between all pairs of dtypes: floats to integers truncate and saturate, numbers to booleans are x ≠ 0.

use dormouse_value::DType;

use super::micro::unary;
use super::{Micro, Operation};

/// The code of the cast between two dtypes.
pub(super) fn operation(from: DType, to: DType) -> Operation {
    let run = match from {
        DType::F32 => from_f32(to),
        DType::F64 => from_f64(to),
        DType::I32 => from_i32(to),
        DType::I64 => from_i64(to),
        DType::U8 | DType::Bool => from_u8(to),
    };
    // Saturation is done one number at a time.
    let nanos = if from.is_float() && to.is_integer() { 0.9 } else { 0.015 * from.size().max(to.size()) as f64 };
    Operation::simple(run, from).costing(1.0, nanos)
}

macro_rules! casts {
    ($($name:ident: $T:ty, $zero:expr;)*) => { $(
        fn $name(to: DType) -> Micro {
            match to {
                DType::F32 => unary!(|x: $T| -> f32 { x as f32 }),
                DType::F64 => unary!(|x: $T| -> f64 { x as f64 }),
                DType::I32 => unary!(|x: $T| -> i32 { x as i32 }),
                DType::I64 => unary!(|x: $T| -> i64 { x as i64 }),
                DType::U8 => unary!(|x: $T| -> u8 { x as u8 }),
                DType::Bool => unary!(|x: $T| -> u8 { u8::from(x != $zero) }),
            }
        }
    )* };
}
casts! {
    from_f32: f32, 0.0;
    from_f64: f64, 0.0;
    from_i32: i32, 0;
    from_i64: i64, 0;
    from_u8: u8, 0;
}
