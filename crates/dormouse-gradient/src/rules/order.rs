//! Segments: gradients spread over the elements of each.

use dormouse_graph::{Elementwise, Tensor};
use dormouse_value::{CompareOp, Op, SegmentOp};

use super::Site;

/// `spread` gives each place what its segment has, `of` makes one of each segment's.
pub(super) fn segment(
    op: SegmentOp,
    dy: Tensor,
    s: &Site<'_>,
    spread: &dyn Fn(Tensor) -> Tensor,
    of: &dyn Fn(SegmentOp, Tensor) -> Tensor,
) -> Tensor {
    let x = s.x[0];
    let equal = |a, b| s.graph.apply(Op::Compare(CompareOp::Equal), &[a, b]);
    match op {
        SegmentOp::Sum => spread(dy),
        // Equals share alike; a segment without any has no element to give to.
        SegmentOp::Max | SegmentOp::Min => {
            let found = equal(x, spread(s.y));
            let count = of(SegmentOp::Sum, found.cast(x.dtype())).maximum(1.0);
            let share = spread(dy / count);
            s.graph.apply(Op::Select, &[found, share, share.zeros_like()])
        }
        // The product of the others is that of all that are not 0, over the element where it is not 0 itself, times those that
        // are 0. One of these is the sum of all that are 0, two are 0 and have no slope, so that the gradient has one.
        SegmentOp::Prod => {
            let select = |condition, a, b| s.graph.apply(Op::Select, &[condition, a, b]);
            let zero = equal(x, x.zeros_like());
            let nonzero = select(zero, x.ones_like(), x);
            let zeros = of(SegmentOp::Sum, zero.cast(x.dtype()));
            let product = of(SegmentOp::Prod, nonzero) * dy;
            let none = product.zeros_like();
            let of_zeros = of(SegmentOp::Sum, select(zero, x, x.zeros_like()));
            let [one, two] = [1.0, 2.0].map(|n| zeros.equal(n));
            let others = select(zeros.equal(0.0), product, select(one, product * of_zeros, none));
            let other_zero = spread(of_zeros) - x;
            let at_zero = spread(select(one, product, none)) + spread(select(two, product, none)) * other_zero;
            select(zero, at_zero, spread(others) / nonzero)
        }
    }
}
