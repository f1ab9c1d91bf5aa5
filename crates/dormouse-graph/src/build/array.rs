//! Arrays: methods that move elements, and what is built of several tensors.

use dormouse_value::{DType, Op, Real};
use smallvec::SmallVec;

use crate::graph::Graph;
use crate::tensor::{Operand, Symbol, Tensor};

/// Whole numbers, one an axis: arrays, slices and vectors of i32, i64 or usize.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extents(pub(super) SmallVec<[i64; 4]>);

macro_rules! extents {
    ($($type:ty),*) => { $(
        impl From<&[$type]> for Extents {
            fn from(numbers: &[$type]) -> Self {
                // What does not fit is no extent, and is refused as one.
                Extents(numbers.iter().map(|n| i64::try_from(*n).unwrap_or(i64::MIN)).collect())
            }
        }
        impl<const N: usize> From<[$type; N]> for Extents {
            fn from(numbers: [$type; N]) -> Self { numbers.as_slice().into() }
        }
        impl From<Vec<$type>> for Extents {
            fn from(numbers: Vec<$type>) -> Self { numbers.as_slice().into() }
        }
    )* };
}
extents!(i32, i64, usize);

/// How [`Array::one_hot_with`] makes its result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneHot {
    /// Extent of the new axis.
    pub depth: u32,
    /// Place of the new axis; −1 is the last.
    pub axis: i32,
    /// Value at the index.
    pub on: f64,
    /// Value elsewhere.
    pub off: f64,
    /// The result's dtype.
    pub dtype: DType,
}

impl Default for OneHot {
    fn default() -> Self {
        OneHot { depth: 0, axis: -1, on: 1.0, off: 0.0, dtype: DType::F32 }
    }
}

/// Array methods of tensors and variables.
pub trait Array: Symbol {
    /// The same elements with other extents, of which one may be −1: whatever is left.
    #[track_caller]
    fn reshape(self, dims: impl Into<Extents>) -> Tensor {
        apply(self.tensor(), Op::Reshape { dims: dims.into().0 })
    }

    /// The same elements in two axes: the first, and all others.
    #[track_caller]
    fn flatten(self) -> Tensor {
        let x = self.tensor();
        match x.shape().dims() {
            Some([_, rest @ ..]) => {
                let rest: Option<usize> = rest.iter().map(|d| d.known()).product();
                match rest.map(i64::try_from) {
                    Some(Ok(n)) => apply(x, Op::Reshape { dims: SmallVec::from_slice(&[-1, n]) }),
                    _ => x.poisoned_or(format!("flatten: the inner extents of {} are not known", x.shape())),
                }
            }
            _ => x.poisoned_or(format!("flatten: {} has no axis to keep", x.shape())),
        }
    }

    /// An axis of extent 1 put in at this place; −1 is after the last.
    #[track_caller]
    fn expand_dims(self, axis: i32) -> Tensor {
        apply(self.tensor(), Op::ExpandDims { axes: SmallVec::from_slice(&[axis]) })
    }

    /// Every axis of extent 1 taken out.
    #[track_caller]
    fn squeeze(self) -> Tensor {
        apply(self.tensor(), Op::Squeeze { axes: SmallVec::new() })
    }

    /// These axes, of extent 1, taken out.
    #[track_caller]
    fn squeeze_axes(self, axes: &[i32]) -> Tensor {
        let x = self.tensor();
        if axes.is_empty() { x } else { apply(x, Op::Squeeze { axes: SmallVec::from_slice(axes) }) }
    }

    /// All axes in reverse order: of a matrix, the transpose.
    #[track_caller]
    fn transpose(self) -> Tensor {
        apply(self.tensor(), Op::Transpose { perm: SmallVec::new() })
    }

    /// Axes in another order: axis i of the result is axis `perm[i]` of this.
    #[track_caller]
    fn transpose_axes(self, perm: &[u32]) -> Tensor {
        let x = self.tensor();
        if perm.is_empty() && x.shape().rank() != Some(0) {
            return x.poisoned_or("transpose: the permutation is empty; transpose() reverses all axes".to_owned());
        }
        apply(x, Op::Transpose { perm: SmallVec::from_slice(perm) })
    }

    /// `size` elements from `begin` on along each axis; −1 is the rest.
    #[track_caller]
    fn slice(self, begin: impl Into<Extents>, size: impl Into<Extents>) -> Tensor {
        let (begin, size) = (begin.into().0.into_iter().collect(), size.into().0.into_iter().collect());
        apply(self.tensor(), Op::Slice { begin, size })
    }

    /// Zeros put before and after along each axis.
    #[track_caller]
    fn pad(self, paddings: &[[u32; 2]]) -> Tensor {
        self.pad_with(paddings, 0.0)
    }

    /// A number put before and after along each axis.
    #[track_caller]
    fn pad_with(self, paddings: &[[u32; 2]], value: f64) -> Tensor {
        apply(self.tensor(), Op::Pad { paddings: SmallVec::from_slice(paddings), value: Real(value) })
    }

    /// Repeated so many times along each axis.
    #[track_caller]
    fn tile(self, multiples: &[u32]) -> Tensor {
        apply(self.tensor(), Op::Tile { multiples: SmallVec::from_slice(multiples) })
    }

    /// Slices along the first axis at i32 or i64 indices. An index outside fails the run.
    #[track_caller]
    fn gather(self, indices: impl Operand) -> Tensor {
        self.gather_axis(indices, 0)
    }

    /// Slices along an axis at i32 or i64 indices. An index outside fails the run.
    #[track_caller]
    fn gather_axis(self, indices: impl Operand, axis: i32) -> Tensor {
        let x = self.tensor();
        let indices = match indices.weak() {
            Some(_) => indices.tensor_like(x.graph().constant(0_i64)),
            None => indices.tensor_like(x),
        };
        x.graph().apply(Op::Gather { axis }, &[x, indices])
    }

    /// 1 at the index along a new last axis, 0 elsewhere, in f32.
    #[track_caller]
    fn one_hot(self, depth: u32) -> Tensor {
        self.one_hot_with(OneHot { depth, ..OneHot::default() })
    }

    /// One value at the index along a new axis, another elsewhere.
    #[track_caller]
    fn one_hot_with(self, options: OneHot) -> Tensor {
        let OneHot { depth, axis, on, off, dtype } = options;
        apply(self.tensor(), Op::OneHot { depth, axis, on: Real(on), off: Real(off), dtype })
    }

    /// Broadcast to these extents.
    #[track_caller]
    fn broadcast_to(self, dims: &[usize]) -> Tensor {
        apply(self.tensor(), Op::BroadcastTo { dims: dims.iter().map(|n| *n as u64).collect() })
    }

    /// Its extents, as an i32 vector.
    #[track_caller]
    fn shape_of(self) -> Tensor {
        apply(self.tensor(), Op::ShapeOf { output: DType::I32 })
    }

    /// Its number of elements, as an i32 scalar.
    #[track_caller]
    fn size_of(self) -> Tensor {
        apply(self.tensor(), Op::SizeOf { output: DType::I32 })
    }
}

impl<S: Symbol> Array for S {}

#[track_caller]
fn apply(x: Tensor, op: Op) -> Tensor {
    x.graph().apply(op, &[x])
}

impl Graph {
    /// Tensors joined along an axis, in which alone their shapes may differ.
    #[track_caller]
    pub fn concat<S: Symbol>(&self, parts: &[S], axis: i32) -> Tensor {
        let parts: SmallVec<[Tensor; 4]> = parts.iter().map(|p| p.tensor()).collect();
        self.apply(Op::Concat { axis }, &parts)
    }

    /// The sum of tensors of one shape and dtype, in their order.
    #[track_caller]
    pub fn add_n<S: Symbol>(&self, terms: &[S]) -> Tensor {
        let terms: SmallVec<[Tensor; 4]> = terms.iter().map(|t| t.tensor()).collect();
        self.apply(Op::AddN, &terms)
    }

    /// Zeros of these extents, in f32; [`Graph::fill`] makes other dtypes.
    #[track_caller]
    pub fn zeros(&self, dims: &[usize]) -> Tensor {
        self.fill(dims, 0.0, DType::F32)
    }

    /// Ones of these extents, in f32; [`Graph::fill`] makes other dtypes.
    #[track_caller]
    pub fn ones(&self, dims: &[usize]) -> Tensor {
        self.fill(dims, 1.0, DType::F32)
    }
}
