//! Element types: the run-time name of a type, and the types that have one.

use std::fmt;

use ndarray::{ArcArray, ArrayViewD, IxDyn};
use serde::{Deserialize, Serialize};

use crate::{Value, ValueView};

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DType {
    /// 32-bit IEEE 754 float.
    F32,
    /// 64-bit IEEE 754 float.
    F64,
    /// 32-bit signed integer.
    I32,
    /// 64-bit signed integer.
    I64,
    /// 8-bit unsigned integer.
    U8,
    /// Boolean, one byte, 0 or 1.
    Bool,
}

impl DType {
    /// Every element type, in the order of the enum.
    pub const ALL: [DType; 6] = [DType::F32, DType::F64, DType::I32, DType::I64, DType::U8, DType::Bool];

    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            DType::F64 | DType::I64 => 8,
            DType::F32 | DType::I32 => 4,
            DType::U8 | DType::Bool => 1,
        }
    }

    /// `f32` or `f64`: the types that carry gradients.
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F64)
    }

    /// `i32`, `i64` or `u8`.
    pub const fn is_integer(self) -> bool {
        matches!(self, DType::I32 | DType::I64 | DType::U8)
    }

    /// Rust's name of the type, as errors and `Display` print it.
    pub const fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::U8 => "u8",
            DType::Bool => "bool",
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A bare Rust number: it takes the dtype of the tensor that it meets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weak {
    /// A number with a fraction; it fits float tensors only.
    Float(f64),
    /// A whole number; it fits every numeric tensor that can hold it.
    Int(i64),
}

impl Weak {
    /// The number as a scalar of `dtype`, or `None` where that would change its value or its kind.
    pub fn to_value(self, dtype: DType) -> Option<Value> {
        Some(match (self, dtype) {
            (Weak::Float(x), DType::F32) => Value::from(x as f32),
            (Weak::Float(x), DType::F64) => Value::from(x),
            (Weak::Int(x), DType::F32) => Value::from(x as f32),
            (Weak::Int(x), DType::F64) => Value::from(x as f64),
            (Weak::Int(x), DType::I32) => Value::from(i32::try_from(x).ok()?),
            (Weak::Int(x), DType::I64) => Value::from(x),
            (Weak::Int(x), DType::U8) => Value::from(u8::try_from(x).ok()?),
            (Weak::Float(_), DType::I32 | DType::I64 | DType::U8 | DType::Bool) | (Weak::Int(_), DType::Bool) => {
                return None;
            }
        })
    }
}

impl fmt::Display for Weak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Weak::Float(x) => fmt::Debug::fmt(x, f),
            Weak::Int(x) => fmt::Display::fmt(x, f),
        }
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that tensors hold: `f32`, `f64`, `i32`, `i64`, `u8` or `bool`.
pub trait Element:
    sealed::Sealed + bytemuck::NoUninit + PartialEq + fmt::Debug + fmt::Display + Default + Send + Sync + 'static
{
    /// The type's run-time name.
    const DTYPE: DType;
    /// Erases the type of an array.
    fn wrap(array: ArcArray<Self, IxDyn>) -> Value;
    /// The array in a value, if it holds this type.
    fn peek(value: &Value) -> Option<&ArcArray<Self, IxDyn>>;
    /// The array out of a value; the value comes back if it holds another type.
    ///
    /// # Errors
    /// The value itself, when its dtype is not [`Element::DTYPE`].
    fn take(value: Value) -> Result<ArcArray<Self, IxDyn>, Value>;
    /// Erases the type of a view.
    fn wrap_view(view: ArrayViewD<'_, Self>) -> ValueView<'_>;
}

macro_rules! elements {
    ($($type:ty => $variant:ident),*) => { $(
        impl sealed::Sealed for $type {}
        impl Element for $type {
            const DTYPE: DType = DType::$variant;
            fn wrap(array: ArcArray<Self, IxDyn>) -> Value { Value::$variant(array) }
            fn peek(value: &Value) -> Option<&ArcArray<Self, IxDyn>> {
                if let Value::$variant(array) = value { Some(array) } else { None }
            }
            fn take(value: Value) -> Result<ArcArray<Self, IxDyn>, Value> {
                if let Value::$variant(array) = value { Ok(array) } else { Err(value) }
            }
            fn wrap_view(view: ArrayViewD<'_, Self>) -> ValueView<'_> { ValueView::$variant(view) }
        }
    )* };
}
elements!(f32 => F32, f64 => F64, i32 => I32, i64 => I64, u8 => U8, bool => Bool);

/// Runs an expression with a type alias bound to the Rust type of a run-time dtype.
///
/// ```
/// use dormouse_value::{DType, with_dtype};
/// let bytes = with_dtype!(DType::F64, T => std::mem::size_of::<T>());
/// assert_eq!(bytes, 8);
/// ```
#[macro_export]
macro_rules! with_dtype {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::DType::F64 => {
                type $T = f64;
                $body
            }
            $crate::DType::I32 => {
                type $T = i32;
                $body
            }
            $crate::DType::I64 => {
                type $T = i64;
                $body
            }
            $crate::DType::U8 => {
                type $T = u8;
                $body
            }
            $crate::DType::Bool => {
                type $T = bool;
                $body
            }
        }
    };
}
