//! The matrix product: its gradients are products again, one pair for each way of transposing.

use dormouse_value::Op;
use smallvec::smallvec;

use super::{Found, Site};

pub(super) fn matmul(transpose_a: bool, transpose_b: bool, s: &Site<'_>) -> Found {
    let (Some(dy), a, b) = (s.dy[0], s.x[0], s.x[1]) else { return Found::new() };
    let product = |a, b, transpose_a, transpose_b| s.graph.apply(Op::MatMul { transpose_a, transpose_b }, &[a, b]);
    let da = s.of(0, || {
        let da = if transpose_a { product(b, dy, transpose_b, true) } else { product(dy, b, false, !transpose_b) };
        s.sum_like(da, 0)
    });
    let db = s.of(1, || {
        let db = if transpose_b { product(dy, a, true, transpose_a) } else { product(a, dy, !transpose_a, false) };
        s.sum_like(db, 1)
    });
    smallvec![da, db]
}
