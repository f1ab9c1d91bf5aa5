//! Values: shared, dtype-erased arrays, and their views.

use std::fmt;

use half::{bf16, f16};
use ndarray::{ArcArray, Array, ArrayBase, ArrayD, ArrayView, ArrayViewD, Data, Dimension, IxDyn, OwnedRepr};

use crate::{DType, Dims, Element, with_dtype};

/// What a run takes in and hands back: an n-dimensional array of one of the dtypes, shared and cheap to clone.
///
/// ```
/// use dormouse_value::Value;
/// use ndarray::{Array2, array};
/// let value = Value::from(array![[1.0_f32, 2.0]]);
/// assert_eq!(value.shape(), [1, 2]);
/// let back: Array2<f32> = value.try_into()?;
/// # Ok::<(), dormouse_value::ValueError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Elements of 32-bit floats.
    F32(ArcArray<f32, IxDyn>),
    /// Elements of 64-bit floats.
    F64(ArcArray<f64, IxDyn>),
    /// Elements of 32-bit integers.
    I32(ArcArray<i32, IxDyn>),
    /// Elements of 64-bit integers.
    I64(ArcArray<i64, IxDyn>),
    /// Elements of bytes.
    U8(ArcArray<u8, IxDyn>),
    /// Elements of booleans.
    Bool(ArcArray<bool, IxDyn>),
    /// Elements of 16-bit floats.
    F16(ArcArray<f16, IxDyn>),
    /// Elements of `bf16`, the upper halves of 32-bit floats.
    Bf16(ArcArray<bf16, IxDyn>),
    /// Elements of 8-bit integers.
    I8(ArcArray<i8, IxDyn>),
    /// Elements of 16-bit integers.
    I16(ArcArray<i16, IxDyn>),
    /// Elements of unsigned 16-bit integers.
    U16(ArcArray<u16, IxDyn>),
    /// Elements of unsigned 32-bit integers.
    U32(ArcArray<u32, IxDyn>),
    /// Elements of unsigned 64-bit integers.
    U64(ArcArray<u64, IxDyn>),
}

/// A borrowed value: what a feed of `&array` is.
#[derive(Clone, Debug)]
pub enum ValueView<'a> {
    /// Elements of 32-bit floats.
    F32(ArrayViewD<'a, f32>),
    /// Elements of 64-bit floats.
    F64(ArrayViewD<'a, f64>),
    /// Elements of 32-bit integers.
    I32(ArrayViewD<'a, i32>),
    /// Elements of 64-bit integers.
    I64(ArrayViewD<'a, i64>),
    /// Elements of bytes.
    U8(ArrayViewD<'a, u8>),
    /// Elements of booleans.
    Bool(ArrayViewD<'a, bool>),
    /// Elements of 16-bit floats.
    F16(ArrayViewD<'a, f16>),
    /// Elements of `bf16`, the upper halves of 32-bit floats.
    Bf16(ArrayViewD<'a, bf16>),
    /// Elements of 8-bit integers.
    I8(ArrayViewD<'a, i8>),
    /// Elements of 16-bit integers.
    I16(ArrayViewD<'a, i16>),
    /// Elements of unsigned 16-bit integers.
    U16(ArrayViewD<'a, u16>),
    /// Elements of unsigned 32-bit integers.
    U32(ArrayViewD<'a, u32>),
    /// Elements of unsigned 64-bit integers.
    U64(ArrayViewD<'a, u64>),
}

/// Runs an expression with the array of a [`Value`] or the view of a [`ValueView`] bound to a name.
#[macro_export]
macro_rules! with_array {
    ($kind:ident, $value:expr, $array:ident => $body:expr) => {
        match $value {
            $crate::$kind::F32($array) => $body,
            $crate::$kind::F64($array) => $body,
            $crate::$kind::I32($array) => $body,
            $crate::$kind::I64($array) => $body,
            $crate::$kind::U8($array) => $body,
            $crate::$kind::Bool($array) => $body,
            $crate::$kind::F16($array) => $body,
            $crate::$kind::Bf16($array) => $body,
            $crate::$kind::I8($array) => $body,
            $crate::$kind::I16($array) => $body,
            $crate::$kind::U16($array) => $body,
            $crate::$kind::U32($array) => $body,
            $crate::$kind::U64($array) => $body,
        }
    };
}

/// Why a value could not be read as what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct ValueError(#[from] Kind);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Kind {
    #[error("the value holds {got}, asked for {asked}")]
    DType { got: DType, asked: DType },
    #[error("the value has shape {got:?}, asked for rank {asked}")]
    Rank { got: Vec<usize>, asked: usize },
    #[error("the value has shape {got:?}, asked for one number")]
    NotScalar { got: Vec<usize> },
    #[error("{elements} elements cannot have shape {shape:?}")]
    Elements { elements: usize, shape: Vec<usize> },
}

impl Value {
    /// A value from its elements in row-major order.
    ///
    /// # Errors
    /// When `elements` is not as many as `dims` says.
    pub fn from_elements<T: Element>(dims: &[usize], elements: Vec<T>) -> Result<Value, ValueError> {
        let n = elements.len();
        Array::from_shape_vec(IxDyn(dims), elements)
            .map(|array| T::wrap(array.into_shared()))
            .map_err(|_| Kind::Elements { elements: n, shape: dims.to_vec() }.into())
    }

    /// A value of zeros (`false` for booleans).
    pub fn zeros(dtype: DType, dims: &[usize]) -> Value {
        with_dtype!(dtype, T => T::wrap(ArcArray::from_elem(IxDyn(dims), T::default())))
    }

    /// A number as a scalar of `dtype`: floats are rounded, integers truncated and limited to what the dtype holds, and
    /// booleans are whether it is not 0.
    pub fn of_number(x: f64, dtype: DType) -> Value {
        match dtype {
            DType::F32 => Value::from(x as f32),
            DType::F64 => Value::from(x),
            DType::F16 => Value::from(f16::from_f64(x)),
            DType::Bf16 => Value::from(bf16::from_f64(x)),
            DType::I8 => Value::from(x as i8),
            DType::I16 => Value::from(x as i16),
            DType::I32 => Value::from(x as i32),
            DType::I64 => Value::from(x as i64),
            DType::U8 => Value::from(x as u8),
            DType::U16 => Value::from(x as u16),
            DType::U32 => Value::from(x as u32),
            DType::U64 => Value::from(x as u64),
            DType::Bool => Value::from(x != 0.0),
        }
    }

    /// The elements' type.
    pub fn dtype(&self) -> DType {
        match self {
            Value::F32(_) => DType::F32,
            Value::F64(_) => DType::F64,
            Value::I32(_) => DType::I32,
            Value::I64(_) => DType::I64,
            Value::U8(_) => DType::U8,
            Value::Bool(_) => DType::Bool,
            Value::F16(_) => DType::F16,
            Value::Bf16(_) => DType::Bf16,
            Value::I8(_) => DType::I8,
            Value::I16(_) => DType::I16,
            Value::U16(_) => DType::U16,
            Value::U32(_) => DType::U32,
            Value::U64(_) => DType::U64,
        }
    }

    /// The extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        with_array!(Value, self, a => a.shape())
    }

    /// The extents, as the engine keeps them.
    pub fn dims(&self) -> Dims {
        self.shape().iter().copied().collect()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        with_array!(Value, self, a => a.len())
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The one number of a value with one element.
    ///
    /// # Errors
    /// When the dtype is another, or the value has not exactly one element.
    pub fn scalar<T: Element>(&self) -> Result<T, ValueError> {
        let array = self.array::<T>()?;
        match (array.len(), array.first()) {
            (1, Some(x)) => Ok(*x),
            _ => Err(Kind::NotScalar { got: self.shape().to_vec() }.into()),
        }
    }

    /// The array, shared.
    ///
    /// # Errors
    /// When the dtype is another.
    pub fn array<T: Element>(&self) -> Result<&ArcArray<T, IxDyn>, ValueError> {
        T::peek(self).ok_or_else(|| Kind::DType { got: self.dtype(), asked: T::DTYPE }.into())
    }

    /// A typed view.
    ///
    /// # Errors
    /// When the dtype is another.
    pub fn view<T: Element>(&self) -> Result<ArrayViewD<'_, T>, ValueError> {
        self.array::<T>().map(|a| a.view())
    }

    /// A view of whatever the elements are.
    pub fn as_view(&self) -> ValueView<'_> {
        with_array!(Value, self, a => Element::wrap_view(a.view()))
    }

    /// The elements in row-major order, copied.
    ///
    /// # Errors
    /// When the dtype is another.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>, ValueError> {
        Ok(self.array::<T>()?.iter().copied().collect())
    }

    /// The value in row-major order without gaps: itself where it is, else a copy.
    #[must_use]
    pub fn to_standard_layout(&self) -> Value {
        with_array!(Value, self, a => if a.is_standard_layout() {
            self.clone()
        } else {
            Element::wrap(a.as_standard_layout().into_owned().into_shared())
        })
    }

    /// The elements' bytes, if they lie in row-major order without gaps.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        with_array!(Value, self, a => a.as_slice().map(bytemuck::cast_slice))
    }

    /// Where the elements begin, to be written, if they lie in row-major order without gaps. Elements that are shared are copied
    /// first.
    pub fn as_mut_ptr(&mut self) -> Option<*mut u8> {
        with_array!(Value, self, a => a.as_slice_mut().map(|elements| elements.as_mut_ptr().cast::<u8>()))
    }
}

impl<'a> ValueView<'a> {
    /// The elements' type.
    pub fn dtype(&self) -> DType {
        match self {
            ValueView::F32(_) => DType::F32,
            ValueView::F64(_) => DType::F64,
            ValueView::I32(_) => DType::I32,
            ValueView::I64(_) => DType::I64,
            ValueView::U8(_) => DType::U8,
            ValueView::Bool(_) => DType::Bool,
            ValueView::F16(_) => DType::F16,
            ValueView::Bf16(_) => DType::Bf16,
            ValueView::I8(_) => DType::I8,
            ValueView::I16(_) => DType::I16,
            ValueView::U16(_) => DType::U16,
            ValueView::U32(_) => DType::U32,
            ValueView::U64(_) => DType::U64,
        }
    }

    /// The extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        with_array!(ValueView, self, a => a.shape())
    }

    /// The elements' bytes, if they lie in row-major order without gaps.
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        with_array!(ValueView, self, a => a.to_slice().map(bytemuck::cast_slice))
    }

    /// The elements, copied.
    pub fn to_value(&self) -> Value {
        with_array!(ValueView, self, a => Value::from(a.view()))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_array!(Value, self, a => a.fmt(f))
    }
}

impl<T: Element, D: Dimension> From<Array<T, D>> for Value {
    fn from(array: Array<T, D>) -> Self {
        T::wrap(array.into_dyn().into_shared())
    }
}

impl<T: Element, D: Dimension> From<ArcArray<T, D>> for Value {
    fn from(array: ArcArray<T, D>) -> Self {
        T::wrap(array.into_dyn())
    }
}

impl<T: Element, D: Dimension> From<ArrayView<'_, T, D>> for Value {
    fn from(array: ArrayView<'_, T, D>) -> Self {
        T::wrap(array.into_dyn().as_standard_layout().into_owned().into_shared())
    }
}

impl<T: Element, S: Data<Elem = T>, D: Dimension> From<&ArrayBase<S, D>> for Value {
    fn from(array: &ArrayBase<S, D>) -> Self {
        array.view().into()
    }
}

impl<T: Element> From<T> for Value {
    fn from(number: T) -> Self {
        T::wrap(ndarray::arr0(number).into_dyn().into_shared())
    }
}

impl<T: Element> From<Vec<T>> for Value {
    fn from(elements: Vec<T>) -> Self {
        Array::from(elements).into()
    }
}

impl<T: Element> From<&[T]> for Value {
    fn from(elements: &[T]) -> Self {
        elements.to_vec().into()
    }
}

impl<T: Element, const N: usize> From<[T; N]> for Value {
    fn from(elements: [T; N]) -> Self {
        elements.to_vec().into()
    }
}

impl<T: Element, const N: usize, const M: usize> From<[[T; M]; N]> for Value {
    fn from(rows: [[T; M]; N]) -> Self {
        ndarray::arr2(&rows).into()
    }
}

impl From<&Value> for Value {
    fn from(value: &Value) -> Self {
        value.clone()
    }
}

impl<T: Element, D: Dimension> TryFrom<Value> for ArrayBase<OwnedRepr<T>, D> {
    type Error = ValueError;

    fn try_from(value: Value) -> Result<Self, ValueError> {
        let array: ArrayD<T> =
            T::take(value).map_err(|v| Kind::DType { got: v.dtype(), asked: T::DTYPE })?.into_owned();
        let got = array.shape().to_vec();
        array.into_dimensionality::<D>().map_err(|_| Kind::Rank { got, asked: D::NDIM.unwrap_or(0) }.into())
    }
}

macro_rules! scalar_from_value {
    ($($type:ty),*) => { $(
        impl TryFrom<Value> for $type {
            type Error = ValueError;
            fn try_from(value: Value) -> Result<Self, ValueError> { value.scalar() }
        }
    )* };
}
scalar_from_value!(f32, f64, i32, i64, u8, bool, f16, bf16, i8, i16, u16, u32, u64);
