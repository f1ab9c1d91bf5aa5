//! Sorting: methods that go by order.

use dormouse_value::{DType, Op, Part, UnaryOp};
use smallvec::smallvec;

use super::array::Array;
use super::elementwise::Elementwise;
use super::functions::{Functions, composed};
use super::reduction::Reduction;
use crate::tensor::{Operand, Symbol, Tensor};

/// Which element of a sort comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// The smallest.
    #[default]
    Ascending,
    /// The largest.
    Descending,
}

/// On which side of what equals it a number's place is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// Before.
    #[default]
    Left,
    /// After.
    Right,
}

/// Methods of tensors and variables that go by order. NaNs come after all numbers, whichever the direction; equal elements
/// stay in order.
pub trait Sorting: Symbol {
    /// The `k` largest of each row and their i32 indices, the largest first: `[.., n] → [.., k]`, twice.
    #[track_caller]
    fn top_k(self, k: usize) -> (Tensor, Tensor) {
        let x = self.tensor();
        let values = match u32::try_from(k) {
            Ok(k) => x.graph().apply(Op::TopK { k: Some(k) }, &[x]),
            Err(_) => return (x.poisoned_or(format!("top_k: there are not {k} elements in a row")), x),
        };
        (values, indices_of(values))
    }

    /// The elements in order along an axis.
    #[track_caller]
    fn sort(self, axis: i32, direction: Direction) -> Tensor {
        let x = self.tensor();
        composed(x, "sort", |own| {
            let sorted = along(x, axis, "sort", |x| match direction {
                Direction::Descending => in_order(x),
                Direction::Ascending => mirrored(in_order(mirrored(x))),
            });
            own(Op::Identity, &[sorted])
        })
    }

    /// The i32 indices along an axis that put the elements in order.
    #[track_caller]
    fn argsort(self, axis: i32, direction: Direction) -> Tensor {
        let x = self.tensor();
        composed(x, "argsort", |own| {
            let indices = along(x, axis, "argsort", |x| match direction {
                Direction::Descending => indices_of(in_order(x)),
                Direction::Ascending => indices_of(in_order(mirrored(x))),
            });
            own(Op::Identity, &[indices])
        })
    }

    /// The element of each row that is number `n`, from 0 on, in order: `[.., m] → [..]`. Ascending, or descending.
    #[track_caller]
    fn nth_element(self, n: usize, direction: Direction) -> Tensor {
        let x = self.tensor();
        composed(x, "NthElement", |own| {
            let of = |x: Tensor| {
                let (values, _) = x.top_k(n.saturating_add(1));
                x.graph().apply(Op::StridedSlice { parts: smallvec![Part::Rest, Part::Index(n as i64)] }, &[values])
            };
            let element = match direction {
                Direction::Descending => of(x),
                Direction::Ascending => mirrored(of(mirrored(x))),
            };
            own(Op::Identity, &[element])
        })
    }

    /// Of each row the elements at its own indices: `[.., n] at [.., k] → [.., k]`, as numpy's `take_along_axis` of the last
    /// axis. An index outside fails the run.
    #[track_caller]
    fn pick(self, indices: Tensor) -> Tensor {
        let x = self.tensor();
        x.graph().apply(Op::Pick, &[x, indices])
    }

    /// Whether fewer than `k` of a row of these predictions are above that of the target: `[b, c], targets [b] → [b]`. Not
    /// so where the target is outside or a prediction is not finite. Floats.
    #[track_caller]
    fn in_top_k(self, targets: impl Operand, k: usize) -> Tensor {
        let x = self.tensor();
        let targets = targets.tensor_like(x);
        if x.shape().rank().is_some_and(|rank| rank != 2) {
            return x.poisoned_or(format!("in_top_k: predictions are of two axes, not {}", x.shape()));
        }
        composed(x, "in_top_k", |own| {
            let (targets, graph) = (targets.cast(DType::I64), x.graph());
            let classes = x.shape_of().slice([1], [1]).cast(DType::I64);
            let inside = targets.greater_equal(0) & targets.less(classes);
            let target = x.pick(inside.select(targets, 0).expand_dims(-1));
            let above = x.greater(target).cast(DType::I64).sum_over(1);
            let few = above.less(graph.constant(i64::try_from(k).unwrap_or(i64::MAX)));
            let told = inside & x.is_finite().all_over(1);
            own(Op::Logical(dormouse_value::LogicalOp::And), &[told, few])
        })
    }

    /// Where in these rows, whose elements never fall, each number goes so that they still do not: `[.., n], x [.., m] → [.., m]`,
    /// in i32.
    #[track_caller]
    fn searchsorted(self, x: impl Operand, side: Side) -> Tensor {
        let rows = self.tensor();
        rows.with_operand(Op::SearchSorted { right: side == Side::Right, output: DType::I32 }, x)
    }
}

impl<S: Symbol> Sorting for S {}

/// All elements of each row, the largest first.
#[track_caller]
fn in_order(x: Tensor) -> Tensor {
    x.graph().apply(Op::TopK { k: None }, &[x])
}

/// The indices beside the values of a sort.
#[track_caller]
fn indices_of(values: Tensor) -> Tensor {
    values.port(1)
}

/// The elements in the other order: all bits of an integer turned over, as its negative may be no value.
#[track_caller]
fn mirrored(x: Tensor) -> Tensor {
    let op = if x.dtype().is_integer() { UnaryOp::Invert } else { UnaryOp::Neg };
    x.graph().apply(Op::Unary(op), &[x])
}

/// `f` of x with an axis as its last, and back.
#[track_caller]
fn along(x: Tensor, axis: i32, name: &str, f: impl FnOnce(Tensor) -> Tensor) -> Tensor {
    if axis == -1 {
        return f(x);
    }
    let Some(rank) = x.shape().rank() else {
        return x.poisoned_or(format!("{name}: along axis {axis}, of a shape that is not known; use the last, −1"));
    };
    let from_front = if axis < 0 { i64::from(axis) + rank as i64 } else { i64::from(axis) };
    let Some(axis) = usize::try_from(from_front).ok().filter(|axis| *axis < rank) else {
        return x.poisoned_or(format!("{name}: axis {axis} is outside of {}", x.shape()));
    };
    if axis + 1 == rank {
        return f(x);
    }
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(axis, rank - 1);
    let swapped = |x: Tensor| x.graph().apply(Op::Transpose { perm: perm.iter().map(|p| *p as u32).collect() }, &[x]);
    swapped(f(swapped(x)))
}
