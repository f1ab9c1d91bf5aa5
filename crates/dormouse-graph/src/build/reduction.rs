//! Reductions: methods that take many elements to one, and running sums and products.

use dormouse_value::{CumulativeOp, DType, Op, ReduceOp};
use smallvec::SmallVec;

use crate::tensor::{Symbol, Tensor};

/// The axes of a reduction: a number, an array, a slice or a vector of them (negative ones count from the end), or
/// [`keep_dims`] of either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axes {
    pub(super) axes: SmallVec<[i32; 4]>,
    pub(super) keep_dims: bool,
}

/// These axes, which stay in the result with extent 1.
pub fn keep_dims(axes: impl Into<Axes>) -> Axes {
    Axes { keep_dims: true, ..axes.into() }
}

impl From<i32> for Axes {
    fn from(axis: i32) -> Self {
        Axes { axes: SmallVec::from_slice(&[axis]), keep_dims: false }
    }
}

impl From<&[i32]> for Axes {
    fn from(axes: &[i32]) -> Self {
        Axes { axes: SmallVec::from_slice(axes), keep_dims: false }
    }
}

impl<const N: usize> From<[i32; N]> for Axes {
    fn from(axes: [i32; N]) -> Self {
        axes.as_slice().into()
    }
}

impl From<Vec<i32>> for Axes {
    fn from(axes: Vec<i32>) -> Self {
        axes.as_slice().into()
    }
}

/// How a running sum or product runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// Whether an element leaves itself out.
    pub exclusive: bool,
    /// Whether it runs from the end.
    pub reverse: bool,
}

macro_rules! reductions {
    ($($all:ident $over:ident $op:ident $what:literal;)*) => { $(
        #[doc = concat!($what, " of all elements, as a scalar.")]
        #[track_caller]
        fn $all(self) -> Tensor {
            reduce(self.tensor(), ReduceOp::$op, None)
        }

        #[doc = concat!($what, " along these axes.")]
        #[track_caller]
        fn $over(self, axes: impl Into<Axes>) -> Tensor {
            reduce(self.tensor(), ReduceOp::$op, Some(axes.into()))
        }
    )* };
}

/// Reductions of tensors and variables: over all axes, or over some.
pub trait Reduction: Symbol {
    reductions! {
        sum sum_over Sum "The sum";
        mean mean_over Mean "The mean";
        prod prod_over Prod "The product";
        max max_over Max "The largest";
        min min_over Min "The smallest";
        any any_over Any "Whether any holds,";
        all all_over All "Whether each holds,";
    }

    /// The index (i64) of the largest element along an axis, the first of equals.
    #[track_caller]
    fn argmax(self, axis: i32) -> Tensor {
        let x = self.tensor();
        x.graph().apply(Op::ArgMax { axis, output: DType::I64 }, &[x])
    }

    /// The index (i64) of the smallest element along an axis, the first of equals.
    #[track_caller]
    fn argmin(self, axis: i32) -> Tensor {
        let x = self.tensor();
        x.graph().apply(Op::ArgMin { axis, output: DType::I64 }, &[x])
    }

    /// The running sum along an axis.
    #[track_caller]
    fn cumsum(self, axis: i32, running: Running) -> Tensor {
        cumulative(self.tensor(), CumulativeOp::Sum, axis, running)
    }

    /// The running product along an axis.
    #[track_caller]
    fn cumprod(self, axis: i32, running: Running) -> Tensor {
        cumulative(self.tensor(), CumulativeOp::Prod, axis, running)
    }

    /// As [`Reduction::argmax`], in an index dtype, i32 or i64.
    #[track_caller]
    fn argmax_as(self, axis: i32, output: DType) -> Tensor {
        let x = self.tensor();
        x.graph().apply(Op::ArgMax { axis, output }, &[x])
    }

    /// As [`Reduction::argmin`], in an index dtype, i32 or i64.
    #[track_caller]
    fn argmin_as(self, axis: i32, output: DType) -> Tensor {
        let x = self.tensor();
        x.graph().apply(Op::ArgMin { axis, output }, &[x])
    }

    /// ln of the running sum of exponentials along an axis, without overflow; −∞ of none. Floats.
    #[track_caller]
    fn cumulative_logsumexp(self, axis: i32, running: Running) -> Tensor {
        cumulative(self.tensor(), CumulativeOp::LogSumExp, axis, running)
    }

    /// Σx² / 2 of all elements. Floats.
    #[track_caller]
    fn l2_loss(self) -> Tensor {
        let x = self.tensor();
        x.graph().apply(Op::L2Loss, &[x])
    }
}

impl<S: Symbol> Reduction for S {}

#[track_caller]
fn reduce(x: Tensor, op: ReduceOp, axes: Option<Axes>) -> Tensor {
    let keep_dims = axes.as_ref().is_some_and(|a| a.keep_dims);
    x.graph().apply(Op::Reduce { op, axes: axes.map(|a| a.axes), keep_dims }, &[x])
}

#[track_caller]
fn cumulative(x: Tensor, op: CumulativeOp, axis: i32, running: Running) -> Tensor {
    let Running { exclusive, reverse } = running;
    x.graph().apply(Op::Cumulative { op, axis, exclusive, reverse }, &[x])
}
