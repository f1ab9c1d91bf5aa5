//! Two arithmetic operations in one pass, each rounded: what fused loops make of long chains.

use dormouse_value::{BinaryOp, DType};

use super::Micro;
use super::micro::ternary;

/// The code of `outer(inner(a, b), c)`, or with `inner_first` false of `outer(c, inner(a, b))`, for a float dtype.
///
/// Both operations are additions, subtractions or multiplications.
pub(crate) fn pair(inner: BinaryOp, outer: BinaryOp, inner_first: bool, dtype: DType) -> Micro {
    if dtype == DType::F64 { double(inner, outer, inner_first) } else { single(inner, outer, inner_first) }
}

macro_rules! pairs {
    ($name:ident: $T:ty) => {
        fn $name(inner: BinaryOp, outer: BinaryOp, inner_first: bool) -> Micro {
            // Addition and multiplication do not mind which operand comes first.
            macro_rules! with {
                ($inner:tt) => {
                    if outer == BinaryOp::Add {
                        ternary!(|a, b, c: $T| { (a $inner b) + c })
                    } else if outer == BinaryOp::Mul {
                        ternary!(|a, b, c: $T| { (a $inner b) * c })
                    } else if inner_first {
                        ternary!(|a, b, c: $T| { (a $inner b) - c })
                    } else {
                        ternary!(|a, b, c: $T| { c - (a $inner b) })
                    }
                };
            }
            if inner == BinaryOp::Add {
                with!(+)
            } else if inner == BinaryOp::Sub {
                with!(-)
            } else {
                with!(*)
            }
        }
    };
}
pairs!(single: f32);
pairs!(double: f64);
