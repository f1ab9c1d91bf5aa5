//! Casts: floats to integers truncate and saturate, numbers to booleans are x ≠ 0.
//!
//! There is code between all pairs of the types that numbers are computed in, from each type of fewer bits to the one
//! that it is computed in and back, and from floats to all integers. [`path`] goes by these from any type to any.

#![allow(clippy::inline_always, reason = "a loop is vectorized only with its body inside")]

use dormouse_value::DType;
use smallvec::SmallVec;

use super::micro::unary;
use super::{Micro, Operation};

/// The types on the way from one to another, each of which has code from the one before; the last is `to`.
///
/// What is left out on the way is nothing: a type of fewer bits goes to one that holds all its numbers, and numbers come
/// to it from there, but floats to integers at once, as these saturate.
pub fn path(from: DType, to: DType) -> SmallVec<[DType; 3]> {
    let mut path = SmallVec::new();
    if from == to {
        return path;
    }
    let mut at = from;
    let wide = if from.wide().is_float() && to.is_integer() { to } else { to.wide() };
    for next in [from.wide(), wide, to] {
        if next != at {
            path.push(next);
            at = next;
        }
    }
    path
}

/// The code of the cast between two dtypes that are next to each other on a [`path`].
pub(super) fn operation(from: DType, to: DType) -> Option<Operation> {
    if from == to {
        return Some(super::duplicate(from));
    }
    let run = match from {
        DType::F32 => from_f32(to),
        DType::F64 => from_f64(to),
        DType::I32 => from_i32(to),
        DType::I64 => from_i64(to),
        DType::U8 | DType::Bool => from_u8(to),
        DType::U64 => from_u64(to),
        DType::F16 | DType::Bf16 | DType::I8 | DType::I16 | DType::U16 | DType::U32 => None,
    };
    let run = run.or_else(|| of_fewer_bits(from, to))?;
    // Saturation is done one number at a time.
    let nanos = if from.is_float() && to.is_integer() { 0.9 } else { 0.015 * from.size().max(to.size()) as f64 };
    Some(Operation::simple(run, from).costing(1.0, nanos))
}

macro_rules! casts {
    ($($name:ident: $T:ty, $zero:expr;)*) => { $(
        fn $name(to: DType) -> Option<Micro> {
            Some(match to {
                DType::F32 => unary!(|x: $T| -> f32 { x as f32 }),
                DType::F64 => unary!(|x: $T| -> f64 { x as f64 }),
                DType::I32 => unary!(|x: $T| -> i32 { x as i32 }),
                DType::I64 => unary!(|x: $T| -> i64 { x as i64 }),
                DType::U8 => unary!(|x: $T| -> u8 { x as u8 }),
                DType::U64 => unary!(|x: $T| -> u64 { x as u64 }),
                DType::Bool => unary!(|x: $T| -> u8 { u8::from(x != $zero) }),
                DType::F16 | DType::Bf16 | DType::I8 | DType::I16 | DType::U16 | DType::U32 => return None,
            })
        }
    )* };
}
casts! {
    from_f32: f32, 0.0;
    from_f64: f64, 0.0;
    from_i32: i32, 0;
    from_i64: i64, 0;
    from_u8: u8, 0;
    from_u64: u64, 0;
}

/// From types of fewer bits to those that hold them, and to them.
fn of_fewer_bits(from: DType, to: DType) -> Option<Micro> {
    Some(match (from, to) {
        (DType::F16, DType::F32) => unary!(|x: u16| -> f32 { from_half(x) }),
        (DType::Bf16, DType::F32) => unary!(|x: u16| -> f32 { f32::from_bits(u32::from(x) << 16) }),
        (DType::I8, DType::I32) => unary!(|x: i8| -> i32 { x as i32 }),
        (DType::I16, DType::I32) => unary!(|x: i16| -> i32 { x as i32 }),
        (DType::U16, DType::I32) => unary!(|x: u16| -> i32 { x as i32 }),
        (DType::U32, DType::I64) => unary!(|x: u32| -> i64 { x as i64 }),
        (DType::F32, DType::F16) => unary!(|x: f32| -> u16 { to_half(x) }),
        (DType::F32, DType::Bf16) => unary!(|x: f32| -> u16 { to_upper_half(x) }),
        (DType::F32, DType::I8) => unary!(|x: f32| -> i8 { x as i8 }),
        (DType::F32, DType::I16) => unary!(|x: f32| -> i16 { x as i16 }),
        (DType::F32, DType::U16) => unary!(|x: f32| -> u16 { x as u16 }),
        (DType::F32, DType::U32) => unary!(|x: f32| -> u32 { x as u32 }),
        (DType::F64, DType::I8) => unary!(|x: f64| -> i8 { x as i8 }),
        (DType::F64, DType::I16) => unary!(|x: f64| -> i16 { x as i16 }),
        (DType::F64, DType::U16) => unary!(|x: f64| -> u16 { x as u16 }),
        (DType::F64, DType::U32) => unary!(|x: f64| -> u32 { x as u32 }),
        (DType::I32, DType::I8) => unary!(|x: i32| -> i8 { x as i8 }),
        (DType::I32, DType::I16) => unary!(|x: i32| -> i16 { x as i16 }),
        (DType::I32, DType::U16) => unary!(|x: i32| -> u16 { x as u16 }),
        (DType::I64, DType::U32) => unary!(|x: i64| -> u32 { x as u32 }),
        (_, _) => return None,
    })
}

/// The bits of an f16 as the f32 that it is: without a branch, so that it becomes vector code.
#[inline(always)]
fn from_half(bits: u16) -> f32 {
    let magnitude = u32::from(bits & 0x7fff) << 13;
    // The exponents' biases are 112 apart; a product moves the exponent, of denormals too.
    let finite = (f32::from_bits(magnitude) * f32::from_bits((127 + 112) << 23)).to_bits();
    let magnitude = if bits & 0x7c00 == 0x7c00 { magnitude | 0x7f80_0000 } else { finite };
    f32::from_bits(magnitude | u32::from(bits & 0x8000) << 16)
}

/// The bits of the f16 next to an f32, the even one of two that are as near.
#[inline(always)]
fn to_half(x: f32) -> u16 {
    /// The bits of ½, whose last bit is 2⁻²⁴, as that of f16's denormals is.
    const LAST_OF_DENORMALS: u32 = (127 - 15 + 23 - 10 + 1) << 23;
    let bits = x.to_bits();
    let magnitude = bits & 0x7fff_ffff;
    // An addition rounds to the place of the last bit, and what was added is taken off the bits again.
    let denormal = (f32::from_bits(magnitude) + f32::from_bits(LAST_OF_DENORMALS)).to_bits() - LAST_OF_DENORMALS;
    // What is below the last bit rounds up from a half on, and from just below where the last bit is odd.
    let normal = magnitude.wrapping_sub(112 << 23).wrapping_add(0xfff + (magnitude >> 13 & 1)) >> 13;
    let finite = if magnitude < 113 << 23 { denormal } else { normal };
    let not_a_number = 0x7e00 | (magnitude >> 13 & 0x3ff);
    let beyond = if magnitude > 0x7f80_0000 { not_a_number } else { 0x7c00 };
    let half = if magnitude >= (127 + 16) << 23 { beyond } else { finite };
    (half | (bits >> 16 & 0x8000)) as u16
}

/// The bits of the bf16 next to an f32, the even one of two that are as near.
#[inline(always)]
fn to_upper_half(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    let not_a_number = bits >> 16 | 0x40;
    (if bits & 0x7fff_ffff > 0x7f80_0000 { not_a_number } else { rounded }) as u16
}

#[cfg(test)]
mod tests {
    use dormouse_value::{bf16, f16};

    use super::*;

    #[test]
    fn halves_are_the_numbers_that_they_are() {
        for bits in 0..=u16::MAX {
            let (half, upper) = (f16::from_bits(bits), bf16::from_bits(bits));
            assert_eq!(from_half(bits).is_nan(), half.is_nan(), "{bits:#x}");
            if !half.is_nan() {
                assert_eq!(from_half(bits).to_bits(), half.to_f32().to_bits(), "{bits:#x}");
                assert_eq!(to_half(half.to_f32()), bits);
            }
            if !upper.is_nan() {
                assert_eq!(to_upper_half(upper.to_f32()), bits);
            }
        }
    }

    #[test]
    fn floats_are_rounded_to_the_nearest_half() {
        // All exponents, with the bits around every place that is rounded at.
        for upper in 0..=u16::MAX {
            for lower in [0, 1, 0xfff, 0x1000, 0x1001, 0x1fff, 0x2000, 0x3000, 0x7fff, 0x8000, 0x8001, 0xffff] {
                let x = f32::from_bits(u32::from(upper) << 16 | lower);
                let (half, nearest) = (f16::from_bits(to_half(x)), f16::from_f32(x));
                let (short, near) = (bf16::from_bits(to_upper_half(x)), bf16::from_f32(x));
                assert_eq!((half.is_nan(), short.is_nan()), (x.is_nan(), x.is_nan()), "{x:e}");
                if !x.is_nan() {
                    assert_eq!((half.to_bits(), short.to_bits()), (nearest.to_bits(), near.to_bits()), "{x:e}");
                }
            }
        }
    }

    #[test]
    fn every_cast_has_a_path_of_code() {
        for from in DType::ALL {
            for to in DType::ALL {
                let mut at = from;
                for next in path(from, to) {
                    assert!(operation(at, next).is_some(), "{from} to {to}: {at} to {next}");
                    at = next;
                }
                assert_eq!(at, to, "{from} to {to}");
            }
        }
        assert_eq!(path(DType::F16, DType::I8).as_slice(), [DType::F32, DType::I8]);
        assert_eq!(path(DType::U32, DType::I8).as_slice(), [DType::I64, DType::I32, DType::I8]);
        assert_eq!(path(DType::F64, DType::F16).as_slice(), [DType::F32, DType::F16]);
    }
}
