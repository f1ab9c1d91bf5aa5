//! Element types: the run-time name of a type, and the types that have one.

use std::fmt;

use half::{bf16, f16};
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
    /// 16-bit IEEE 754 float: 11 bits of precision, up to 65,504.
    F16,
    /// The upper half of a 32-bit float: 8 bits of precision, the range of `f32`.
    Bf16,
    /// 8-bit signed integer.
    I8,
    /// 16-bit signed integer.
    I16,
    /// 16-bit unsigned integer.
    U16,
    /// 32-bit unsigned integer.
    U32,
    /// 64-bit unsigned integer.
    U64,
}

impl DType {
    /// Every element type, in the order of the enum.
    pub const ALL: [DType; 13] = [
        DType::F32,
        DType::F64,
        DType::I32,
        DType::I64,
        DType::U8,
        DType::Bool,
        DType::F16,
        DType::Bf16,
        DType::I8,
        DType::I16,
        DType::U16,
        DType::U32,
        DType::U64,
    ];

    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            DType::F64 | DType::I64 | DType::U64 => 8,
            DType::F32 | DType::I32 | DType::U32 => 4,
            DType::F16 | DType::Bf16 | DType::I16 | DType::U16 => 2,
            DType::U8 | DType::I8 | DType::Bool => 1,
        }
    }

    /// `f32`, `f64`, `f16` or `bf16`: the types that carry gradients.
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F64 | DType::F16 | DType::Bf16)
    }

    /// `i8`, `i16`, `i32`, `i64`, `u8`, `u16`, `u32` or `u64`.
    pub const fn is_integer(self) -> bool {
        !self.is_float() && !matches!(self, DType::Bool)
    }

    /// `u8`, `u16`, `u32` or `u64`.
    pub const fn is_unsigned(self) -> bool {
        matches!(self, DType::U8 | DType::U16 | DType::U32 | DType::U64)
    }

    /// The type that numbers of this one are computed in: `f32` for `f16` and `bf16`, `i32` for `i8`, `i16` and `u16`,
    /// `i64` for `u32`, and itself for all others. It holds every number of this type.
    #[must_use]
    pub const fn wide(self) -> DType {
        match self {
            DType::F16 | DType::Bf16 => DType::F32,
            DType::I8 | DType::I16 | DType::U16 => DType::I32,
            DType::U32 => DType::I64,
            DType::F32 | DType::F64 | DType::I32 | DType::I64 | DType::U8 | DType::U64 | DType::Bool => self,
        }
    }

    /// The least and the greatest finite number, of i64 and u64 as nearly as a float has them.
    pub fn limits(self) -> [f64; 2] {
        match self {
            DType::F16 => [f16::MIN.into(), f16::MAX.into()],
            DType::Bf16 => [bf16::MIN.into(), bf16::MAX.into()],
            DType::F32 => [f32::MIN.into(), f32::MAX.into()],
            DType::F64 => [f64::MIN, f64::MAX],
            DType::I8 => [i8::MIN.into(), i8::MAX.into()],
            DType::I16 => [i16::MIN.into(), i16::MAX.into()],
            DType::I32 => [i32::MIN.into(), i32::MAX.into()],
            DType::I64 => [i64::MIN as f64, i64::MAX as f64],
            DType::U8 => [u8::MIN.into(), u8::MAX.into()],
            DType::U16 => [u16::MIN.into(), u16::MAX.into()],
            DType::U32 => [u32::MIN.into(), u32::MAX.into()],
            DType::U64 => [0.0, u64::MAX as f64],
            DType::Bool => [0.0, 1.0],
        }
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
            DType::F16 => "f16",
            DType::Bf16 => "bf16",
            DType::I8 => "i8",
            DType::I16 => "i16",
            DType::U16 => "u16",
            DType::U32 => "u32",
            DType::U64 => "u64",
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
    /// The number as a scalar of `dtype`, or `None` where that would change its value or its kind. Floats are rounded.
    pub fn to_value(self, dtype: DType) -> Option<Value> {
        let x = match self {
            Weak::Float(x) => return dtype.is_float().then(|| Value::of_number(x, dtype)),
            Weak::Int(x) => x,
        };
        Some(match dtype {
            DType::F32 => Value::from(x as f32),
            DType::F64 | DType::F16 | DType::Bf16 => Value::of_number(x as f64, dtype),
            DType::I32 => Value::from(i32::try_from(x).ok()?),
            DType::I64 => Value::from(x),
            DType::U8 => Value::from(u8::try_from(x).ok()?),
            DType::I8 => Value::from(i8::try_from(x).ok()?),
            DType::I16 => Value::from(i16::try_from(x).ok()?),
            DType::U16 => Value::from(u16::try_from(x).ok()?),
            DType::U32 => Value::from(u32::try_from(x).ok()?),
            DType::U64 => Value::from(u64::try_from(x).ok()?),
            DType::Bool => return None,
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

/// A Rust type that tensors hold: `f32`, `f64`, `f16`, `bf16`, `i8`, `i16`, `i32`, `i64`, `u8`, `u16`, `u32`, `u64` or `bool`.
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
elements!(
    f32 => F32, f64 => F64, i32 => I32, i64 => I64, u8 => U8, bool => Bool,
    f16 => F16, bf16 => Bf16, i8 => I8, i16 => I16, u16 => U16, u32 => U32, u64 => U64
);

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
            $crate::DType::F16 => {
                type $T = $crate::f16;
                $body
            }
            $crate::DType::Bf16 => {
                type $T = $crate::bf16;
                $body
            }
            $crate::DType::I8 => {
                type $T = i8;
                $body
            }
            $crate::DType::I16 => {
                type $T = i16;
                $body
            }
            $crate::DType::U16 => {
                type $T = u16;
                $body
            }
            $crate::DType::U32 => {
                type $T = u32;
                $body
            }
            $crate::DType::U64 => {
                type $T = u64;
                $body
            }
        }
    };
}
