//! Reductions and running sums: gradients spread over what was reduced.

use dormouse_graph::{Elementwise, Tensor};
use dormouse_value::{BinaryOp, CompareOp, CumulativeOp, DType, LogicalOp, Op, ReduceOp};
use smallvec::smallvec;

use super::{Found, Site};

pub(super) fn reduce(op: ReduceOp, axes: Option<&[i32]>, keep_dims: bool, s: &Site<'_>) -> Found {
    let (Some(dy), x) = (s.dy[0], s.x[0]) else { return Found::new() };
    // With the reduced axes back at extent 1; a scalar broadcasts as it is.
    let keep = |t: Tensor| match axes {
        Some(axes) if !keep_dims && !axes.is_empty() => {
            s.graph.apply(Op::ExpandDims { axes: axes.iter().copied().collect() }, &[t])
        }
        Some(_) | None => t,
    };
    let spread = || s.graph.apply(Op::BroadcastLike, &[keep(dy), x]);
    let kept = |op, t| {
        s.graph.apply(Op::Reduce { op, axes: axes.map(|a| a.iter().copied().collect()), keep_dims: true }, &[t])
    };
    let gradient = || match op {
        ReduceOp::Sum => Some(spread()),
        ReduceOp::Mean => {
            let size = |t| s.graph.apply(Op::SizeOf { output: DType::I64 }, &[t]);
            let outputs = s.graph.apply(Op::Binary(BinaryOp::Maximum), &[size(s.y), s.graph.constant(1_i64)]);
            let count = s.graph.apply(Op::Binary(BinaryOp::FloorDiv), &[size(x), outputs]);
            Some(spread() / count.cast(x.dtype()))
        }
        ReduceOp::Max | ReduceOp::Min => {
            let equal = s.graph.apply(Op::Compare(CompareOp::Equal), &[x, keep(s.y)]).cast(x.dtype());
            Some(equal / kept(ReduceOp::Sum, equal) * keep(dy))
        }
        ReduceOp::Prod => Some(product_of_others(axes, s) * keep(dy)),
        ReduceOp::Any | ReduceOp::All => None,
    };
    smallvec![s.of(0, || x).and_then(|_| gradient())]
}

fn kept_along(s: &Site<'_>, axis: i32, x: Tensor) -> Tensor {
    s.graph.apply(Op::Reduce { op: ReduceOp::Prod, axes: Some(smallvec![axis]), keep_dims: true }, &[x])
}

/// For each element, the product of the others that it is reduced with. It divides nothing, so zeros are no trouble.
fn product_of_others(axes: Option<&[i32]>, s: &Site<'_>) -> Tensor {
    let x = s.x[0];
    let run = |x, axis, reverse| {
        s.graph.apply(Op::Cumulative { op: CumulativeOp::Prod, axis, exclusive: true, reverse }, &[x])
    };
    let others = |x, axis| run(x, axis, false) * run(x, axis, true);
    let Some(axes) = axes else {
        let flat = s.graph.apply(Op::Reshape { dims: smallvec![-1] }, &[x]);
        return s.graph.apply(Op::ReshapeLike, &[others(flat, 0), x]);
    };
    // Others along the first axis, times the products of whole slabs beside along the next, and so on.
    let (mut total, mut slab) = (None, x);
    for axis in axes {
        let part = others(slab, *axis);
        total = Some(total.map_or(part, |t: Tensor| t * part));
        slab = kept_along(s, *axis, slab);
    }
    total.unwrap_or_else(|| x.ones_like())
}

pub(super) fn cumulative(
    op: CumulativeOp,
    axis: i32,
    exclusive: bool,
    reverse: bool,
    dy: Tensor,
    s: &Site<'_>,
) -> Tensor {
    let back = |t| s.graph.apply(Op::Cumulative { op: CumulativeOp::Sum, axis, exclusive, reverse: !reverse }, &[t]);
    match op {
        CumulativeOp::Sum => back(dy),
        CumulativeOp::Prod => running_product(axis, exclusive, reverse, dy, s),
        CumulativeOp::LogSumExp => running_log_sum(axis, exclusive, reverse, dy, s),
    }
}

/// yⱼ = ln Σₖ exp xₖ over k up to j ⇒ dxᵢ = Σⱼ dyⱼ exp(xᵢ − yⱼ) over j from i on. Both signs of dy are summed as logarithms,
/// so that nothing overflows on the way.
fn running_log_sum(axis: i32, exclusive: bool, reverse: bool, dy: Tensor, s: &Site<'_>) -> Tensor {
    let (x, y) = (s.x[0], s.y);
    let part = |dy: Tensor| {
        let some = dy.greater(0.0);
        let logarithm = some.select(dy, dy.ones_like()).log() - y;
        let terms = some.select(logarithm, dy.zeros_like() + f64::NEG_INFINITY);
        let op = Op::Cumulative { op: CumulativeOp::LogSumExp, axis, exclusive, reverse: !reverse };
        (s.graph.apply(op, &[terms]) + x).exp()
    };
    part(dy) - part(-dy)
}

/// yⱼ = Πₖ xₖ over k up to j ⇒ dxᵢ = Σⱼ dyⱼ yⱼ / xᵢ over j from i on, where xᵢ ≠ 0. Of the zeros the first, as it runs, has
/// what the sum is with 1 in its place, since every yⱼ that leaves it out has no other zero before; the second has the same
/// with 1 in both places, times the first: 0, but for its gradient. So the gradient's own gradient is right at any zeros, and
/// that one's where no more than two zeros run.
fn running_product(axis: i32, exclusive: bool, reverse: bool, dy: Tensor, s: &Site<'_>) -> Tensor {
    let x = s.x[0];
    let run = |op, exclusive, reverse, t| s.graph.apply(Op::Cumulative { op, axis, exclusive, reverse }, &[t]);
    let back = |y: Tensor| run(CumulativeOp::Sum, exclusive, !reverse, y * dy);
    let equal = |a, b| s.graph.apply(Op::Compare(CompareOp::Equal), &[a, b]);
    let select = |condition, a, b| s.graph.apply(Op::Select, &[condition, a, b]);
    let logical = |op, a, b| s.graph.apply(Op::Logical(op), &[a, b]);
    let without = |gone| run(CumulativeOp::Prod, exclusive, reverse, select(gone, x.ones_like(), x));
    let (zeros, ones) = (x.zeros_like(), x.ones_like());
    let zero = equal(x, zeros);
    let count = run(CumulativeOp::Sum, false, reverse, zero.cast(x.dtype()));
    let first = logical(LogicalOp::And, zero, equal(count, ones));
    let second = logical(LogicalOp::And, zero, equal(count, ones + ones));
    let axes = Some(smallvec![axis]);
    let sum = Op::Reduce { op: ReduceOp::Sum, axes, keep_dims: true };
    let before = s.graph.apply(sum, &[select(first, x, zeros)]);
    let elsewhere = select(zero, zeros, back(s.y) / select(zero, ones, x));
    let of_second = before * back(without(logical(LogicalOp::Or, first, second)));
    select(first, back(without(first)), select(second, of_second, elsewhere))
}
