//! Segments: elements taken together by a number of their own, and what is counted by it.

use dormouse_value::{DType, Op, SegmentOp};
use smallvec::SmallVec;

use super::array::Array;
use super::elementwise::Elementwise;
use super::functions::composed;
use super::indexing::Indexing;
use super::matrices::scoped;
use crate::tensor::{Operand, Symbol, Tensor};

macro_rules! segments {
    ($($sorted:ident $unsorted:ident $op:ident $what:literal $sorted_empty:literal $unsorted_empty:literal;)*) => { $(
        #[doc = concat!($what, " of each of `n` segments: `x [m, i..], segments [m] → [n, i..]`. Segments are i32 or i64, ",
            "begin at 0 or later and never fall, or the run fails; of none ", $sorted_empty, ".")]
        #[track_caller]
        fn $sorted(self, segments: Tensor, n: usize) -> Tensor {
            reduce(self.tensor(), segments, SegmentOp::$op, n, true)
        }

        #[doc = concat!($what, " of each of `n` segments: `x [p.., i..], segments [p..] → [n, i..]`, in any order. Elements of ",
            "a negative segment are left out, one of `n` or more fails the run; of none ", $unsorted_empty, ".")]
        #[track_caller]
        fn $unsorted(self, segments: Tensor, n: usize) -> Tensor {
            reduce(self.tensor(), segments, SegmentOp::$op, n, false)
        }
    )* };
}

/// Methods of tensors and variables that go by segments. The number of segments is told, as shapes are known before a run;
/// TensorFlow's `segment_sum` and its like take the last number there is.
pub trait Segments: Symbol {
    segments! {
        segment_sum unsorted_segment_sum Sum "The sum" "0" "0";
        segment_prod unsorted_segment_prod Prod "The product" "1" "1";
        segment_max unsorted_segment_max Max "The largest" "0" "the lowest finite number";
        segment_min unsorted_segment_min Min "The smallest" "0" "the highest finite number";
    }

    /// The mean of each of `n` segments, as [`Segments::segment_sum`]; of integers truncated, of none 0.
    #[track_caller]
    fn segment_mean(self, segments: Tensor, n: usize) -> Tensor {
        let x = self.tensor();
        composed(x, "SegmentMean", |own| {
            let sum = reduce(x, segments, SegmentOp::Sum, n, true);
            let op = if x.dtype().is_float() {
                dormouse_value::BinaryOp::Div
            } else {
                dormouse_value::BinaryOp::TruncateDiv
            };
            own(Op::Binary(op), &[sum, counts(x, segments, n)])
        })
    }

    /// The mean of each of `n` segments, as [`Segments::unsorted_segment_sum`]; of integers in floats, of none 0.
    #[track_caller]
    fn unsorted_segment_mean(self, segments: Tensor, n: usize) -> Tensor {
        let x = self.tensor();
        composed(x, "UnsortedSegmentMean", |own| {
            let sum = reduce(x, segments, SegmentOp::Sum, n, false);
            own(Op::Identity, &[sum.true_div(counts(x, segments, n))])
        })
    }

    /// The sum of each of `n` segments over the root of its number of elements, as [`Segments::unsorted_segment_sum`]; of
    /// none 0. Floats.
    #[track_caller]
    fn unsorted_segment_sqrt_n(self, segments: Tensor, n: usize) -> Tensor {
        let x = self.tensor();
        composed(x, "UnsortedSegmentSqrtN", |own| {
            let sum = reduce(x, segments, SegmentOp::Sum, n, false);
            own(Op::Binary(dormouse_value::BinaryOp::Div), &[sum, counts(x, segments, n).sqrt()])
        })
    }

    /// As [`Segments::segment_sum`] of the rows at these indices, i32 or i64: `x [r, i..], indices [m], segments [m] → [n, i..]`.
    #[track_caller]
    fn sparse_segment_sum(self, indices: impl Symbol, segments: Tensor, n: usize) -> Tensor {
        let (x, indices) = (self.tensor(), indices.tensor());
        scoped(x.graph(), "SparseSegmentSum", || x.gather(indices).segment_sum(segments, n))
    }

    /// As [`Segments::segment_mean`] of the rows at these indices. Floats.
    #[track_caller]
    fn sparse_segment_mean(self, indices: impl Symbol, segments: Tensor, n: usize) -> Tensor {
        let (x, indices) = (self.tensor(), indices.tensor());
        scoped(x.graph(), "SparseSegmentMean", || x.gather(indices).segment_mean(segments, n))
    }

    /// As [`Segments::sparse_segment_sum`], over the root of the number of a segment's rows. Floats.
    #[track_caller]
    fn sparse_segment_sqrt_n(self, indices: impl Symbol, segments: Tensor, n: usize) -> Tensor {
        let (x, indices) = (self.tensor(), indices.tensor());
        scoped(x.graph(), "SparseSegmentSqrtN", || {
            let rows = x.gather(indices);
            rows.segment_sum(segments, n) / counts(rows, segments, n).sqrt()
        })
    }

    /// How often each number below `length` is among these integers, as an i32 vector. Larger numbers are not counted, a
    /// negative one fails the run.
    #[track_caller]
    fn bincount(self, length: usize) -> Tensor {
        let x = self.tensor();
        composed(x, "bincount", |own| {
            let ones = x.ones_like().cast(DType::I32);
            own(sums(length), &[ones, counted(x, length)])
        })
    }

    /// The sum of the weights of each number below `length` among these integers, in the weights' dtype. Larger numbers are
    /// left out, a negative one fails the run.
    #[track_caller]
    fn bincount_weighted(self, weights: impl Operand, length: usize) -> Tensor {
        let x = self.tensor();
        let weights = weights.tensor_like(x);
        composed(x, "bincount", |own| own(sums(length), &[weights, counted(x, length)]))
    }

    /// How many numbers lie in each of `bins` bins of one width from `low` to `high`, as an i32 vector. Numbers outside are
    /// counted in the outermost bins, a NaN fails the run.
    #[track_caller]
    fn histogram_fixed_width(self, low: f64, high: f64, bins: usize) -> Tensor {
        let x = self.tensor();
        if low.is_nan() || high.is_nan() || low >= high || bins == 0 {
            return x.poisoned_or(format!("histogram_fixed_width: from {low} to {high} there are no {bins} bins"));
        }
        composed(x, "histogram_fixed_width", |own| {
            let bin = binned(x, low, high, bins);
            // The run fails of what lies in no bin.
            let bin = bin.equal(bin).select(bin, bins as f64).cast(DType::I64);
            own(sums(bins), &[x.ones_like().cast(DType::I32), bin])
        })
    }

    /// In which of `bins` bins of one width from `low` to `high` each number lies, in i32. Numbers outside are in the outermost
    /// bins, a NaN is in the first.
    #[track_caller]
    fn histogram_fixed_width_bins(self, low: f64, high: f64, bins: usize) -> Tensor {
        let x = self.tensor();
        if low.is_nan() || high.is_nan() || low >= high || bins == 0 {
            return x.poisoned_or(format!("histogram_fixed_width_bins: from {low} to {high} there are no {bins} bins"));
        }
        composed(x, "histogram_fixed_width_bins", |own| own(Op::Cast { to: DType::I32 }, &[binned(x, low, high, bins)]))
    }

    /// How often each prediction was made of each label, `[n] × [n] → [classes, classes]`, in i32: rows are labels, columns
    /// predictions. A class outside fails the run.
    #[track_caller]
    fn confusion_matrix(self, predictions: impl Operand, classes: usize) -> Tensor {
        let x = self.tensor();
        let predictions = predictions.tensor_like(x);
        composed(x, "confusion_matrix", |own| {
            let ones = x.ones_like().cast(DType::I32);
            own(Op::Identity, &[ones.scatter_nd(pairs(x, predictions), &[classes, classes])])
        })
    }

    /// As [`Segments::confusion_matrix`], of a weight for each, in the weights' dtype.
    #[track_caller]
    fn confusion_matrix_weighted(self, predictions: impl Operand, weights: impl Operand, classes: usize) -> Tensor {
        let x = self.tensor();
        let (predictions, weights) = (predictions.tensor_like(x), weights.tensor_like(x));
        composed(x, "confusion_matrix", |own| {
            own(Op::Identity, &[weights.scatter_nd(pairs(x, predictions), &[classes, classes])])
        })
    }
}

impl<S: Symbol> Segments for S {}

#[track_caller]
fn reduce(x: Tensor, segments: Tensor, op: SegmentOp, n: usize, sorted: bool) -> Tensor {
    x.graph().apply(Op::Segment { op, segments: n as u64, sorted }, &[x, segments])
}

/// The bins that numbers lie in, as numbers; NaN of NaN.
#[track_caller]
fn binned(x: Tensor, low: f64, high: f64, bins: usize) -> Tensor {
    let place = (x.cast(DType::F64) - low) / ((high - low) / bins as f64);
    place.maximum(0.0).minimum((bins - 1) as f64)
}

fn sums(n: usize) -> Op {
    Op::Segment { op: SegmentOp::Sum, segments: n as u64, sorted: false }
}

/// How many elements each segment has, 1 at least, in x's dtype and such that it broadcasts with the segments' sums.
#[track_caller]
fn counts(x: Tensor, segments: Tensor, n: usize) -> Tensor {
    let graph = x.graph();
    let beyond = x.shape().rank().zip(segments.shape().rank()).and_then(|(all, own)| all.checked_sub(own));
    let count = match beyond {
        Some(beyond) => {
            let count = graph.apply(sums(n), &[segments.ones_like().cast(x.dtype()), segments]);
            let axes: SmallVec<[i32; 4]> = (1..=beyond as i32).collect();
            if axes.is_empty() { count } else { graph.apply(Op::ExpandDims { axes }, &[count]) }
        }
        None => graph.apply(sums(n), &[x.ones_like(), segments]),
    };
    count.maximum(1)
}

/// Numbers as segments: those of `length` or more as negative ones, which are left out, and negative ones as `length`,
/// which fails the run.
#[track_caller]
fn counted(x: Tensor, length: usize) -> Tensor {
    if !x.dtype().is_integer() && !x.is_dead() {
        return x.poisoned_or(format!("bincount: counts integers, not {}", x.dtype()));
    }
    let (x, length) = (x.cast(DType::I64), length as i64);
    let small = x.less(x.graph().constant(length));
    let counted = small.select(x, x.graph().constant(-1_i64));
    x.less(0).select(x.graph().constant(length), counted)
}

#[track_caller]
fn pairs(labels: Tensor, predictions: Tensor) -> Tensor {
    labels.graph().concat(&[labels.expand_dims(-1), predictions.expand_dims(-1)], -1)
}
