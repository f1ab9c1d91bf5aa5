//! Sequences: parts of an axis turned around, repeated, put back in order; and whether numbers are in order. Made of gathers by
//! places that are computed here.

use std::cmp::Ordering;

use dormouse_value::{DType, Op};

use super::array::Array;
use super::dynamic::Dynamic;
use super::elementwise::Elementwise;
use super::functions::composed;
use super::indexing::Indexing;
use super::matrices::{regroup, scoped};
use super::measured::Measured;
use super::reduction::Reduction;
use super::slicing::Slicing;
use super::sorting::{Direction, Sorting};
use crate::graph::Graph;
use crate::tensor::{Symbol, Tensor};

/// Methods of tensors and variables whose elements along an axis are a sequence.
pub trait Sequences: Symbol {
    /// Of each part along `batch_axis`, the first elements along `axis`, as many as its length says, in the other order, and the
    /// rest as it is. Lengths are a vector of i32 or i64; one below 0 or beyond the axis fails the run.
    #[track_caller]
    fn reverse_sequence(self, lengths: impl Symbol, axis: i32, batch_axis: i32) -> Tensor {
        let (x, lengths) = (self.tensor(), lengths.tensor());
        let places = [batch_axis, axis].map(|axis| place(x, axis));
        let ([Some(batch), Some(along)], Some(rank)) = (places, x.shape().rank()) else {
            return x.poisoned_or(format!("reverse_sequence: {} has no axes {axis} and {batch_axis}", x.shape()));
        };
        if batch == along || !lengths.dtype().is_integer() || lengths.shape().rank().is_some_and(|rank| rank != 1) {
            let given = lengths.fact();
            return x.poisoned_or(format!(
                "reverse_sequence: along axis {axis} of each part of axis {batch_axis}, lengths are a vector of integers, not {}{}",
                given.dtype, given.shape
            ));
        }
        let perm: Vec<u32> = [batch, along]
            .into_iter()
            .chain((0..rank).filter(|i| ![batch, along].contains(i)))
            .map(|i| i as u32)
            .collect();
        let mut back = vec![0; rank];
        (0..).zip(&perm).for_each(|(i, axis)| back[*axis as usize] = i);
        scoped(x.graph(), "ReverseSequence", || {
            let rows = x.transpose_axes(&perm);
            let lengths = lengths.cast(DType::I64).expand_dims(1);
            let places = counted(rows, 1);
            let turned = places.less(lengths).select(lengths - 1 - places, places);
            let from = lengths.less(0).select(-1, turned).expand_dims(-1);
            rows.gather_nd_batched(from, 1).transpose_axes(&back)
        })
    }

    /// Each element along an axis so many times, one after the other: one number for all of them, or one each.
    #[track_caller]
    fn repeat(self, times: &[usize], axis: i32) -> Tensor {
        let x = self.tensor();
        let Some(along) = place(x, axis) else {
            return x.poisoned_or(format!("repeat: {} has no axis {axis}", x.shape()));
        };
        let number = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        match times {
            [all] => scoped(x.graph(), "Repeat", || {
                let mut multiples = vec![1; x.shape().rank().unwrap_or(0) + 1];
                multiples[along + 1] = number(*all).unsigned_abs();
                regroup(x.expand_dims(along as i32 + 1).tile(&multiples), along as i32, 2, &[-1])
            }),
            _ if x.shape().dim(along as isize).known().is_none_or(|own| own == times.len()) => {
                scoped(x.graph(), "Repeat", || {
                    let places: Vec<i32> =
                        times.iter().enumerate().flat_map(|(i, n)| std::iter::repeat_n(number(i), *n)).collect();
                    let places = x.graph().constant(places);
                    let mut whole = vec![dormouse_value::Dim::Unknown; x.shape().rank().unwrap_or(0)];
                    whole[along] = dormouse_value::Dim::Known(times.len() as u64);
                    let whole: dormouse_value::Shape = whole.into_iter().collect();
                    x.ensure_shape(whole).gather_axis(places, along as i32)
                })
            }
            _ => x.poisoned_or(format!("repeat: {} numbers for axis {axis} of {}", times.len(), x.shape())),
        }
    }

    /// As [`Sequences::repeat`], as often as a scalar or a vector of i32 or i64 says.
    #[track_caller]
    fn repeat_by(self, times: impl Symbol, axis: i32) -> Tensor {
        let (x, times) = (self.tensor(), times.tensor());
        let Some(along) = place(x, axis).filter(|_| times.shape().rank().is_some_and(|rank| rank < 2)) else {
            let given = times.shape();
            return x.poisoned_or(format!("repeat_by: numbers of shape {given} for axis {axis} of {}", x.shape()));
        };
        scoped(x.graph(), "Repeat", || {
            let all = counted(x, along as i32);
            let times = times.cast(DType::I64) + all.zeros_like();
            let mask = times.sequence_mask_to(times.max().maximum(0));
            let places = mask.nonzero().slice([0, 0], [-1, 1]).squeeze_axes(&[1]);
            x.gather_axis(places, along as i32)
        })
    }

    /// The permutation that undoes this one, a vector of i32 or i64. What is no permutation of 0, 1, … fails the run.
    #[track_caller]
    fn invert_permutation(self) -> Tensor {
        let x = self.tensor();
        if !matches!(x.dtype(), DType::I32 | DType::I64) || x.shape().rank().is_some_and(|rank| rank != 1) {
            return x.poisoned_or(format!(
                "invert_permutation: takes a vector of i32 or i64, not {}{}",
                x.dtype(),
                x.shape()
            ));
        }
        let graph = x.graph();
        scoped(graph, "InvertPermutation", || {
            let places = x.index_along(0, x.dtype());
            let whole = x.sort(-1, Direction::Ascending).equal(places);
            let told = graph.assert(whole, &[x], "invert_permutation: not each number from 0 on once");
            graph.control_dependencies(told, || x.zeros_like().tensor_scatter_update(x.expand_dims(-1), places))
        })
    }

    /// The places in an array of these extents that elements of its flat form have: of indices `[..]`, `[axes, ..]`. One outside
    /// fails the run.
    #[track_caller]
    fn unravel_index(self, dims: &[usize]) -> Tensor {
        let x = self.tensor();
        if !matches!(x.dtype(), DType::I32 | DType::I64) || dims.is_empty() {
            return x.poisoned_or(format!("unravel_index: places in {dims:?} are of i32 or i64, not {}", x.dtype()));
        }
        let graph = x.graph();
        scoped(graph, "UnravelIndex", || {
            let total =
                dims.iter().try_fold(1_i64, |n, dim| n.checked_mul(i64::try_from(*dim).ok()?)).unwrap_or(i64::MAX);
            let wide = x.cast(DType::I64);
            let inside = wide.greater_equal(0) & wide.less(total);
            let told = graph.assert(inside, &[x], &format!("unravel_index: a place outside of {dims:?}"));
            graph.control_dependencies(told, || {
                let mut step = total;
                let parts: Vec<Tensor> = dims
                    .iter()
                    .map(|dim| {
                        let dim = (*dim as i64).max(1);
                        step = (step / dim).max(1);
                        wide.floor_div(step).floor_mod(dim).cast(x.dtype())
                    })
                    .collect();
                graph.stack(&parts, 0)
            })
        })
    }

    /// Whether no element is smaller than the one before, in row-major order: a boolean scalar.
    #[track_caller]
    fn is_non_decreasing(self) -> Tensor {
        in_order(self.tensor(), Ordering::Equal)
    }

    /// Whether each element is greater than the one before, in row-major order: a boolean scalar.
    #[track_caller]
    fn is_strictly_increasing(self) -> Tensor {
        in_order(self.tensor(), Ordering::Greater)
    }
}

impl<S: Symbol> Sequences for S {}

#[track_caller]
fn in_order(x: Tensor, least: Ordering) -> Tensor {
    let name = if least == Ordering::Greater { "is_strictly_increasing" } else { "is_non_decreasing" };
    composed(x, name, |own| {
        let flat = x.reshape([-1]);
        let (later, before) = (flat.at(1..), flat.at(..-1));
        let held = if least == Ordering::Greater { later.greater(before) } else { later.greater_equal(before) };
        own(Op::Identity, &[held.all()])
    })
}

/// An axis from the front, of a tensor whose axes are known.
fn place(x: Tensor, axis: i32) -> Option<usize> {
    let rank = x.shape().rank()?;
    usize::try_from(i64::from(axis) + if axis < 0 { rank as i64 } else { 0 }).ok().filter(|axis| *axis < rank)
}

/// The places along an axis, an i64 vector.
#[track_caller]
fn counted(x: Tensor, axis: i32) -> Tensor {
    let graph = x.graph();
    if let Some(n) = x.shape().dim(axis as isize).known() {
        return graph.range_with(0.0, n as f64, 1.0, DType::I64);
    }
    let count = x.shape_of().at(axis).cast(DType::I64);
    graph.range_of(graph.constant(0_i64), count, graph.constant(1_i64))
}

impl Graph {
    /// The shape that arrays of two shapes, vectors of i32 or i64 of known lengths, broadcast to. Shapes that do not go together
    /// fail the run. Of shapes known before it, [`Shape::broadcast`](dormouse_value::Shape::broadcast).
    #[track_caller]
    pub fn broadcast_dynamic_shape(&self, a: impl Symbol, b: impl Symbol) -> Tensor {
        let (a, b) = (a.tensor(), b.tensor());
        let lengths = [a, b].map(|t| t.shape().dims().and_then(|dims| if let [n] = dims { n.known() } else { None }));
        let [Some(m), Some(n)] = lengths else {
            return a.poisoned_or(format!(
                "broadcast_dynamic_shape: {} and {} are no shapes of known ranks",
                a.shape(),
                b.shape()
            ));
        };
        scoped(self, "BroadcastArgs", || {
            let longer = |t: Tensor, own: usize| {
                let more = m.max(n) - own;
                if more == 0 { t } else { t.pad_with(&[[u32::try_from(more).unwrap_or(u32::MAX), 0]], 1.0) }
            };
            let (a, b) = (longer(a, m), longer(b, n));
            let fits = a.equal(b) | a.equal(1) | b.equal(1);
            let told = self.assert(fits, &[a, b], "broadcast_dynamic_shape: the shapes do not go together");
            self.control_dependencies(told, || a.equal(1).select(b, a))
        })
    }

    /// These tensors, none of which is there before all of them are.
    #[track_caller]
    pub fn tuple(&self, tensors: &[Tensor]) -> Vec<Tensor> {
        self.located(|| {
            self.name_scope("tuple", || {
                let all = self.group(tensors);
                self.control_dependencies(all, || tensors.iter().map(|t| t.identity()).collect())
            })
        })
    }
}
