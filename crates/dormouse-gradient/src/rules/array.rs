//! Operations that move elements: their gradients move them back.

use dormouse_graph::{Elementwise, Tensor};
use dormouse_value::{CompareOp, Op, ReduceOp, ScatterOp};
use smallvec::{SmallVec, smallvec};

use super::{Found, Site};

pub(super) fn transpose(perm: &[u32], dy: Tensor, s: &Site<'_>) -> Tensor {
    let mut inverse: SmallVec<[u32; 4]> = smallvec![0; perm.len()];
    for (i, p) in (0..).zip(perm) {
        inverse[*p as usize] = i;
    }
    s.graph.apply(Op::Transpose { perm: inverse }, &[dy])
}

pub(super) fn concat(axis: i32, s: &Site<'_>) -> Found {
    let Some(dy) = s.dy[0] else { return Found::new() };
    let operands: SmallVec<[Tensor; 4]> = std::iter::once(dy).chain(s.x.iter().copied()).collect();
    let part = |index: u32| s.graph.apply(Op::ConcatGrad { axis, index }, &operands);
    (0..).zip(&s.x).map(|(i, _)| s.of(i as usize, || part(i))).collect()
}

pub(super) fn concat_grad(axis: i32, index: u32, g: Tensor, s: &Site<'_>) -> Tensor {
    let parts = (0..).zip(&s.x[1..]).map(|(i, x): (u32, _)| if i == index { g } else { x.zeros_like() });
    s.graph.apply(Op::Concat { axis }, &parts.collect::<SmallVec<[Tensor; 4]>>())
}

pub(super) fn tile(multiples: &[u32], dy: Tensor, s: &Site<'_>) -> Tensor {
    if multiples.contains(&0) {
        // Without copies there is no dy to tell the extents by: the sum of nothing, spread over x.
        let nothing = s.graph.apply(Op::Reduce { op: ReduceOp::Sum, axes: None, keep_dims: false }, &[dy]);
        return s.graph.apply(Op::BroadcastLike, &[nothing, s.x[0]]);
    }
    s.graph.apply(Op::TileGrad { multiples: multiples.iter().copied().collect() }, &[dy])
}

pub(super) fn gather(axis: i32, dy: Tensor, s: &Site<'_>) -> Tensor {
    let from_front = if axis >= 0 { Some(axis) } else { s.x[0].shape().rank().map(|rank| axis + rank as i32) };
    match from_front {
        Some(axis) => s.graph.apply(Op::GatherGrad { axis }, &[dy, s.x[1], s.x[0]]),
        None => s.graph.mistake(format!(
            "gradients: a gather along axis {axis} of {}, whose rank is unknown; use an axis from the front",
            s.x[0].name()
        )),
    }
}

pub(super) fn gather_nd(batch_dims: u32, dy: Tensor, s: &Site<'_>) -> Tensor {
    // A list of rows is a gather's, whose gradient knows that it is of rows.
    let indices = s.x[1].shape();
    if batch_dims == 0 && indices.dims().is_some_and(|d| d.len() == 2 && d[1].known() == Some(1)) {
        let rows = s.graph.apply(Op::Squeeze { axes: smallvec![1] }, &[s.x[1]]);
        return s.graph.apply(Op::GatherGrad { axis: 0 }, &[dy, rows, s.x[0]]);
    }
    let op = Op::ScatterNd { op: ScatterOp::Add, batch_dims };
    s.graph.apply(op, &[s.x[0].zeros_like(), s.x[1], dy])
}

// y = x but for the updates ⇒ dx is dy where nothing took x's place, du is dy where u went. Of several updates of one
// element each gets dy, as in TensorFlow: which of them counts is not looked at.
pub(super) fn scatter_nd(op: ScatterOp, batch_dims: u32, s: &Site<'_>) -> Found {
    let Some(dy) = s.dy[0] else { return Found::new() };
    match op {
        ScatterOp::Update | ScatterOp::Add | ScatterOp::Sub => {}
        // What is written by these is a variable, through which no gradient goes.
        ScatterOp::Mul | ScatterOp::Div => return Found::new(),
        ScatterOp::Max | ScatterOp::Min => return shared(batch_dims, dy, s),
    }
    let of_x = s.of(0, || match op {
        ScatterOp::Add | ScatterOp::Sub | ScatterOp::Mul | ScatterOp::Div | ScatterOp::Max | ScatterOp::Min => dy,
        ScatterOp::Update => s.graph.apply(Op::ScatterNd { op, batch_dims }, &[dy, s.x[1], s.x[2].zeros_like()]),
    });
    let of_updates = s.of(2, || {
        let taken = s.graph.apply(Op::GatherNd { batch_dims }, &[dy, s.x[1]]);
        if op == ScatterOp::Sub { -taken } else { taken }
    });
    smallvec![of_x, None, of_updates]
}

// Of the largest or smallest of an element and its updates, those that are it share alike.
fn shared(batch_dims: u32, dy: Tensor, s: &Site<'_>) -> Found {
    let equal = |a: Tensor, b: Tensor| s.graph.apply(Op::Compare(CompareOp::Equal), &[a, b]).cast(dy.dtype());
    let taken = |t: Tensor| s.graph.apply(Op::GatherNd { batch_dims }, &[t, s.x[1]]);
    let own = equal(s.x[0], s.y);
    let updates = equal(s.x[2], taken(s.y));
    let add = Op::ScatterNd { op: ScatterOp::Add, batch_dims };
    let share = dy / s.graph.apply(add, &[own, s.x[1], updates]).maximum(1.0);
    smallvec![s.of(0, || own * share), None, s.of(2, || updates * taken(share))]
}
