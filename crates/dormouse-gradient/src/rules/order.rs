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
        // The product of the others is that of those that are not 0, N, times that of the zeros among them. The latter is 0
        // as a number, but has slopes: written by sums of powers (Newton's identities), it has those of any order for as many
        // as three zeros in a segment. Of an element that is 0 more than three others have no slope worth a sum.
        SegmentOp::Prod => {
            let select = |condition, a, b| s.graph.apply(Op::Select, &[condition, a, b]);
            let zero = equal(x, x.zeros_like());
            let nonzero = select(zero, x.ones_like(), x);
            let zeros = of(SegmentOp::Sum, zero.cast(x.dtype()));
            let product = of(SegmentOp::Prod, nonzero) * dy;
            let none = product.zeros_like();
            let z = select(zero, x, x.zeros_like());
            let [p1, p2, p3] = [z, z.square(), z.square() * z].map(|power| of(SegmentOp::Sum, power));
            let pairs = |p1: Tensor, p2: Tensor| (p1.square() - p2) * 0.5;
            let triples = (p1.square() * p1 - 3.0 * (p1 * p2) + 2.0 * p3) * (1.0 / 6.0);
            let [one, two, three] = [1.0, 2.0, 3.0].map(|n| zeros.equal(n));
            let of_zeros = select(one, p1, select(two, pairs(p1, p2), select(three, triples, none)));
            let others = select(zeros.equal(0.0), product, product * of_zeros);
            let beside = |p: Tensor, own: Tensor| spread(p) - own;
            let [by_one, by_two, by_three] = [one, two, three].map(|n| spread(select(n, product, none)));
            let at_zero = by_one + by_two * beside(p1, z) + by_three * pairs(beside(p1, z), beside(p2, z.square()));
            select(zero, at_zero, spread(others) / nonzero)
        }
    }
}
