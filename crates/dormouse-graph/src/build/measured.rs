//! Methods that go by numbers which runs compute where those of the same names are told them: made of gathers, ranges and
//! choices, in a file of their own as nothing else needs them.

use dormouse_value::{DType, Dim, Op};

use super::array::Array;
use super::dynamic::Dynamic;
use super::elementwise::Elementwise;
use super::indexing::Indexing;
use super::slicing::Slicing;
use crate::tensor::{Symbol, Tensor};

/// Slices, borders, classes, masks and segments by tensors.
pub trait Measured: Symbol {
    /// As [`Slicing::strided_slice`], by vectors of i32 or i64 of one length, which must be known as it says how many axes are
    /// cut. A stride of 0 fails the run.
    #[track_caller]
    fn strided_slice_by(self, begin: impl Symbol, end: impl Symbol, strides: impl Symbol) -> Tensor {
        let (x, numbers) = (self.tensor(), [begin.tensor(), end.tensor(), strides.tensor()]);
        let graph = x.graph();
        let length = |t: &Tensor| match t.shape().dims() {
            Some([Dim::Known(n)]) => usize::try_from(*n).ok(),
            Some(_) | None => None,
        };
        let lengths = numbers.each_ref().map(length);
        let [Some(axes), ..] = lengths else {
            return x.poisoned_or("strided_slice_by: begin is a vector of a known length".to_owned());
        };
        let rank = x.shape().rank();
        if lengths != [Some(axes); 3] || rank.is_none_or(|rank| axes > rank) {
            return x.poisoned_or(format!(
                "strided_slice_by: {axes} numbers for each of begin, end and strides, and as many axes"
            ));
        }
        graph.located(|| {
            graph.name_scope("StridedSlice", || {
                let extents = x.shape_of().cast(DType::I64);
                let numbers = numbers.map(|t| t.cast(DType::I64));
                (0..axes).fold(x, |x, axis| {
                    let at = axis as i32;
                    let extent = extents.at(at);
                    let [begin, end, step] = numbers.map(|t| t.at(at));
                    let backwards = step.less(0);
                    let low = backwards.select(extent.zeros_like() - 1, extent.zeros_like());
                    let high = extent + low;
                    let place = |n: Tensor| n.less(0).select(n + extent, n).maximum(low).minimum(high);
                    let (first, last) = (place(begin), place(end));
                    // What leads away takes nothing.
                    let last = backwards.select(last.minimum(first), last.maximum(first));
                    let places = graph.range_of(first, last, step);
                    graph.apply(Op::Gather { axis: at }, &[x, places])
                })
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
        let (x, depth) = (self.tensor(), depth.tensor());
        let graph = x.graph();
        graph.located(|| {
            graph.name_scope("one_hot", || {
                let depth = depth.cast(DType::I64);
                let classes = graph.range_of(depth.zeros_like(), depth, depth.ones_like());
                x.cast(DType::I64).expand_dims(-1).equal(classes).cast(DType::F32)
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

    /// As [`Segments::unsorted_segment_sum`](super::segments::Segments::unsorted_segment_sum), of a scalar's segments:
    /// TensorFlow's `segment_sum` is `x.unsorted_segment_sum_to(ids, ids.at(-1) + 1)`.
    #[track_caller]
    fn unsorted_segment_sum_to(self, segments: impl Symbol, n: impl Symbol) -> Tensor {
        let (x, segments, n) = (self.tensor(), segments.tensor(), n.tensor());
        let graph = x.graph();
        let Some(led) = segments.shape().rank() else {
            return x.poisoned_or("unsorted_segment_sum_to: the segments' number of axes has to be known".to_owned());
        };
        graph.located(|| {
            graph.name_scope("UnsortedSegmentSum", || {
                let inner = x.shape_of().cast(DType::I64).at((led as i32..,));
                let extents = graph.concat(&[n.cast(DType::I64).reshape([1]), inner], 0);
                let zeros = graph.fill(&[], 0.0, x.dtype()).broadcast_to_shape(extents);
                let counted = segments.greater_equal(0);
                zeros.tensor_scatter_add(segments.boolean_mask(counted).expand_dims(-1), x.boolean_mask(counted))
            })
        })
    }
}

impl<S: Symbol> Measured for S {}
