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
        // The product of the others is that of all that are not 0, over the element where it is not 0 itself. It is 0 if
        // another is 0.
        SegmentOp::Prod => {
            let select = |condition, a, b| s.graph.apply(Op::Select, &[condition, a, b]);
            let zero = equal(x, x.zeros_like());
            let nonzero = select(zero, x.ones_like(), x);
            let zeros = of(SegmentOp::Sum, zero.cast(x.dtype()));
            let product = of(SegmentOp::Prod, nonzero) * dy;
            let none = product.zeros_like();
            let without = |n: f64| spread(select(zeros.equal(n), product, none));
            select(zero, without(1.0), without(0.0) / nonzero)
        }
    }
}
