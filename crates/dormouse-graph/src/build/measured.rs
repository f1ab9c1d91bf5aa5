//! Methods that go by numbers which runs compute where those of the same names are told them: made of gathers, ranges,
//! choices and segments, in a file of their own as nothing else needs them.

use dormouse_value::{DType, Dim, DynamicOp, Op, SegmentOp};

use super::array::Array;
use super::dynamic::Dynamic;
use super::elementwise::Elementwise;
use super::slicing::Slicing;
use crate::tensor::{Symbol, Tensor};

macro_rules! segments {
    ($($sorted:ident $unsorted:ident $op:ident $told:literal;)*) => { $(
        #[doc = concat!("As [`Segments::", $told, "`](super::segments::Segments::", $told, "), of a scalar's segments: TensorFlow's `",
            $told, "` is `x.", $told, "_to(ids, ids.at(-1) + 1)`.")]
        #[track_caller]
        fn $sorted(self, segments: impl Symbol, n: impl Symbol) -> Tensor {
            reduce(SegmentOp::$op, true, [self.tensor(), segments.tensor(), n.tensor()])
        }

        #[doc = concat!("As [`Segments::unsorted_", $told, "`](super::segments::Segments::unsorted_", $told, "), of a scalar's segments.")]
        #[track_caller]
        fn $unsorted(self, segments: impl Symbol, n: impl Symbol) -> Tensor {
            reduce(SegmentOp::$op, false, [self.tensor(), segments.tensor(), n.tensor()])
        }
    )* };
}

/// Bits of [`Measured::strided_slice_masked`], bit i for the numbers at place i, as TensorFlow has them: what an ellipsis is goes
/// before what a new axis is, and that before the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SliceMasks {
    /// From the first on, whatever `begin` says.
    pub begin: u32,
    /// To the last, whatever `end` says.
    pub end: u32,
    /// As many axes as nothing else takes, whole.
    pub ellipsis: u32,
    /// A new axis of one.
    pub new_axis: u32,
    /// The one element at `begin`, without its axis.
    pub shrink_axis: u32,
}

/// What numbers at one place take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Rest,
    NewAxis,
    One,
    /// Whether the numbers for begin and end count.
    Range {
        begun: bool,
        ended: bool,
    },
}

impl SliceMasks {
    fn of(self, place: usize) -> Taken {
        let has = |mask: u32| place < 32 && mask >> place & 1 == 1;
        if has(self.ellipsis) {
            Taken::Rest
        } else if has(self.new_axis) {
            Taken::NewAxis
        } else if has(self.shrink_axis) {
            Taken::One
        } else {
            Taken::Range { begun: !has(self.begin), ended: !has(self.end) }
        }
    }
}

/// How [`Measured::one_hot_to_with`] marks classes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneHotTo {
    /// Where the classes' axis goes; negative counts from the end of the result.
    pub axis: i32,
    /// At the class.
    pub on: f64,
    /// Elsewhere.
    pub off: f64,
    /// The result's dtype.
    pub dtype: DType,
}

impl Default for OneHotTo {
    fn default() -> Self {
        OneHotTo { axis: -1, on: 1.0, off: 0.0, dtype: DType::F32 }
    }
}

/// Slices, borders, classes, masks and segments by tensors.
pub trait Measured: Symbol {
    /// As [`Slicing::strided_slice`], by vectors of i32 or i64 of one length, which must be known as it says how many axes are
    /// cut. A stride of 0 fails the run.
    #[track_caller]
    fn strided_slice_by(self, begin: impl Symbol, end: impl Symbol, strides: impl Symbol) -> Tensor {
        self.strided_slice_masked(begin, end, strides, SliceMasks::default())
    }

    /// As [`Measured::strided_slice_by`], where bits of masks say what numbers at their places stand for: TensorFlow's
    /// `strided_slice` with all its masks. The number of axes must be known.
    #[track_caller]
    fn strided_slice_masked(
        self,
        begin: impl Symbol,
        end: impl Symbol,
        strides: impl Symbol,
        masks: SliceMasks,
    ) -> Tensor {
        let (x, numbers) = (self.tensor(), [begin.tensor(), end.tensor(), strides.tensor()]);
        let graph = x.graph();
        let length = |t: &Tensor| match t.shape().dims() {
            Some([Dim::Known(n)]) => usize::try_from(*n).ok(),
            Some(_) | None => None,
        };
        let lengths = numbers.each_ref().map(length);
        let [Some(places), ..] = lengths else {
            return x.poisoned_or("strided_slice_by: begin is a vector of a known length".to_owned());
        };
        let parts: Vec<Taken> = (0..places).map(|i| masks.of(i)).collect();
        let cut = parts.iter().filter(|part| matches!(part, Taken::One | Taken::Range { .. })).count();
        let (rank, rests) = (x.shape().rank(), parts.iter().filter(|part| **part == Taken::Rest).count());
        let beyond = rank.and_then(|rank| rank.checked_sub(cut));
        let (Some(beyond), [Some(_), Some(_), Some(_)], true, true) =
            (beyond, lengths, lengths.iter().all(|n| *n == lengths[0]), rests <= 1)
        else {
            return x.poisoned_or(format!(
                "strided_slice_by: {places} numbers for each of begin, end and strides, as many axes as these cut, and one \
                 ellipsis at most"
            ));
        };
        graph.located(|| {
            graph.name_scope("StridedSlice", || {
                let extents = x.shape_of().cast(DType::I64);
                let numbers = numbers.map(|t| t.cast(DType::I64));
                // Where the result's next axis is, and the operand's.
                let (mut y, mut at, mut axis) = (x, 0, 0);
                for (i, part) in parts.into_iter().enumerate() {
                    let along = |axis: usize| extents.at(axis as i32);
                    let [begin, end, step] = numbers.map(|t| t.at(i as i32));
                    match part {
                        Taken::Rest => {
                            at += beyond;
                            axis += beyond;
                        }
                        Taken::NewAxis => {
                            y = y.expand_dims(at as i32);
                            at += 1;
                        }
                        Taken::One => {
                            let place = begin.less(0).select(begin + along(axis), begin);
                            y = graph.apply(Op::Gather { axis: at as i32 }, &[y, place]);
                            axis += 1;
                        }
                        Taken::Range { begun, ended } => {
                            let extent = along(axis);
                            let backwards = step.less(0);
                            let low = backwards.select(extent.zeros_like() - 1, extent.zeros_like());
                            let high = extent + low;
                            let place = |n: Tensor| n.less(0).select(n + extent, n).maximum(low).minimum(high);
                            let first = if begun { place(begin) } else { backwards.select(high, low) };
                            let last = if ended { place(end) } else { backwards.select(low, high) };
                            // What leads away takes nothing.
                            let last = backwards.select(last.minimum(first), last.maximum(first));
                            let places = graph.range_of(first, last, step);
                            y = graph.apply(Op::Gather { axis: at as i32 }, &[y, places]);
                            at += 1;
                            axis += 1;
                        }
                    }
                }
                y
            })
        })
    }

    /// As [`Array::pad_with`], by a matrix `[axes, 2]` of i32 or i64; a negative number fails the run. How many axes there are
    /// must be known.
    #[track_caller]
    fn pad_by(self, paddings: impl Symbol, value: f64) -> Tensor {
        let (x, paddings) = (self.tensor(), paddings.tensor());
        let graph = x.graph();
        let Some(rank) = x.shape().rank() else {
            return x.poisoned_or("pad_by: the number of axes has to be known".to_owned());
        };
        let wanted: dormouse_value::Shape = [Dim::Known(rank as u64), Dim::Known(2)].into_iter().collect();
        if paddings.shape().unify(&wanted).is_none() {
            return x.poisoned_or(format!("pad_by: paddings are {wanted}, not {}", paddings.shape()));
        }
        graph.located(|| {
            graph.name_scope("Pad", || {
                let fill = graph.fill(&[], value, x.dtype());
                (0..rank as i32).fold(x, |x, axis| {
                    let extents = x.shape_of().cast(DType::I64);
                    let along = |side: i32| {
                        let own = paddings.at((axis, side)).cast(DType::I64).reshape([1]);
                        let parts = [extents.at((..axis,)), own, extents.at((axis + 1..,))];
                        fill.broadcast_to_shape(graph.concat(&parts, 0))
                    };
                    graph.concat(&[along(0), x, along(1)], axis)
                })
            })
        })
    }

    /// As [`Array::one_hot`], of a scalar's classes.
    #[track_caller]
    fn one_hot_to(self, depth: impl Symbol) -> Tensor {
        self.one_hot_to_with(depth, OneHotTo::default())
    }

    /// As [`Array::one_hot_with`], of a scalar's classes. But for the last axis, the number of axes must be known.
    #[track_caller]
    fn one_hot_to_with(self, depth: impl Symbol, options: OneHotTo) -> Tensor {
        let OneHotTo { axis, on, off, dtype } = options;
        let (x, depth) = (self.tensor(), depth.tensor());
        let graph = x.graph();
        let behind = match (axis, x.shape().rank()) {
            (-1, _) => Some(0),
            (_, None) => return x.poisoned_or("one_hot_to: the number of axes has to be known".to_owned()),
            (_, Some(rank)) if axis < 0 => usize::try_from(-1 - axis).ok().filter(|behind| *behind <= rank),
            (_, Some(rank)) => usize::try_from(axis).ok().and_then(|axis| rank.checked_sub(axis)),
        };
        let Some(behind) = behind else {
            return x.poisoned_or(format!("one_hot_to: {} has no place for an axis {axis}", x.shape()));
        };
        graph.located(|| {
            graph.name_scope("one_hot", || {
                let depth = depth.cast(DType::I64);
                let mut classes = graph.range_of(depth.zeros_like(), depth, depth.ones_like());
                for _ in 0..behind {
                    classes = classes.expand_dims(-1);
                }
                let found = x.cast(DType::I64).expand_dims(-1 - behind as i32).equal(classes);
                if (on, off) == (1.0, 0.0) {
                    return found.cast(dtype);
                }
                found.select(graph.fill(&[], on, dtype), graph.fill(&[], off, dtype))
            })
        })
    }

    /// As [`Indexing::sequence_mask`](super::indexing::Indexing::sequence_mask), of a scalar's places: TensorFlow's, without a
    /// length of its own, is `lengths.sequence_mask_to(lengths.max())`.
    #[track_caller]
    fn sequence_mask_to(self, maxlen: impl Symbol) -> Tensor {
        let (lengths, maxlen) = (self.tensor(), maxlen.tensor());
        let graph = lengths.graph();
        if !lengths.dtype().is_integer() {
            return lengths.poisoned_or(format!("sequence_mask_to: lengths are integers, not {}", lengths.dtype()));
        }
        graph.located(|| {
            graph.name_scope("SequenceMask", || {
                let maxlen = maxlen.cast(DType::I64).maximum(0);
                let places = graph.range_of(maxlen.zeros_like(), maxlen, maxlen.ones_like());
                places.less(lengths.cast(DType::I64).expand_dims(-1))
            })
        })
    }

    segments! {
        segment_sum_to unsorted_segment_sum_to Sum "segment_sum";
        segment_prod_to unsorted_segment_prod_to Prod "segment_prod";
        segment_max_to unsorted_segment_max_to Max "segment_max";
        segment_min_to unsorted_segment_min_to Min "segment_min";
    }

    /// As [`Segments::segment_mean`](super::segments::Segments::segment_mean), of a scalar's segments.
    #[track_caller]
    fn segment_mean_to(self, segments: impl Symbol, n: impl Symbol) -> Tensor {
        let (x, segments, n) = (self.tensor(), segments.tensor(), n.tensor());
        let graph = x.graph();
        graph.located(|| {
            graph.name_scope("SegmentMean", || {
                let sum = reduce(SegmentOp::Sum, true, [x, segments, n]);
                let count = counts(x, segments, n);
                if x.dtype().is_float() { sum / count } else { sum.truncate_div(count) }
            })
        })
    }

    /// As [`Segments::unsorted_segment_mean`](super::segments::Segments::unsorted_segment_mean), of a scalar's segments.
    #[track_caller]
    fn unsorted_segment_mean_to(self, segments: impl Symbol, n: impl Symbol) -> Tensor {
        let (x, segments, n) = (self.tensor(), segments.tensor(), n.tensor());
        let graph = x.graph();
        graph.located(|| {
            graph.name_scope("UnsortedSegmentMean", || {
                reduce(SegmentOp::Sum, false, [x, segments, n]).true_div(counts(x, segments, n))
            })
        })
    }

    /// As [`Segments::unsorted_segment_sqrt_n`](super::segments::Segments::unsorted_segment_sqrt_n), of a scalar's segments.
    #[track_caller]
    fn unsorted_segment_sqrt_n_to(self, segments: impl Symbol, n: impl Symbol) -> Tensor {
        let (x, segments, n) = (self.tensor(), segments.tensor(), n.tensor());
        let graph = x.graph();
        graph.located(|| {
            graph.name_scope("UnsortedSegmentSqrtN", || {
                reduce(SegmentOp::Sum, false, [x, segments, n]) / counts(x, segments, n).sqrt()
            })
        })
    }
}

#[track_caller]
fn reduce(op: SegmentOp, sorted: bool, operands: [Tensor; 3]) -> Tensor {
    operands[0].graph().apply_dynamic(DynamicOp::Segment { op, sorted }, &operands)
}

/// How many elements each segment has, 1 at least, in x's dtype and shaped as its segments.
#[track_caller]
fn counts(x: Tensor, segments: Tensor, n: Tensor) -> Tensor {
    reduce(SegmentOp::Sum, false, [x.ones_like(), segments, n]).maximum(1)
}

impl<S: Symbol> Measured for S {}
