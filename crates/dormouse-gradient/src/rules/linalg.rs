//! Linear algebra. The gradients of a product are products again, one pair for each way of transposing; those of solutions
//! are solutions with the matrix turned over. None needs to know a rank: masks come of indices along the last axes.

use dormouse_graph::{Elementwise, Tensor};
use dormouse_value::{CompareOp, Op};
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

fn product(a: Tensor, b: Tensor, transpose_a: bool, transpose_b: bool) -> Tensor {
    a.graph().apply(Op::MatMul { transpose_a, transpose_b }, &[a, b])
}

/// Where row and column of matrices compare so, as booleans.
fn where_rows(compare: CompareOp, like: Tensor) -> Tensor {
    let along = |axis| like.graph().apply(Op::Iota { axis, dtype: dormouse_value::DType::I64 }, &[like]);
    like.graph().apply(Op::Compare(compare), &[along(-2), along(-1)])
}

/// The elements of matrices where row and column compare so, zeros elsewhere.
fn part(compare: CompareOp, x: Tensor) -> Tensor {
    x.graph().apply(Op::Select, &[where_rows(compare, x), x, x.zeros_like()])
}

// L·Lᵀ = a ⇒ da = L⁻ᵀ Φ(Lᵀ dL) L⁻¹, made symmetric, where Φ takes the lower triangle with half the diagonal.
pub(super) fn cholesky(dy: Tensor, s: &Site<'_>) -> Tensor {
    let l = s.y;
    let unit = where_rows(CompareOp::Equal, l).cast(l.dtype());
    let inverse = s.graph.apply(Op::TriangularSolve { lower: true, adjoint: false }, &[l, unit]);
    let middle = product(l, dy, true, false);
    let lower = part(CompareOp::GreaterEqual, middle);
    let halved = part(CompareOp::Greater, middle) + lower;
    // Half of Φ and of its transpose, each between the inverses.
    let quarter = halved * 0.25;
    let around = |transposed| product(product(inverse, quarter, true, transposed), inverse, false, false);
    around(false) + around(true)
}

// a·x = b ⇒ db solves aᵀ·db = dx, and da = −db·xᵀ
fn solved(lower: Option<bool>, adjoint: bool, s: &Site<'_>) -> Found {
    let (Some(dy), a, x) = (s.dy[0], s.x[0], s.y) else { return Found::new() };
    let op = match lower {
        Some(lower) => Op::TriangularSolve { lower, adjoint: !adjoint },
        None => Op::MatrixSolve { adjoint: !adjoint },
    };
    let of_b = s.graph.apply(op, &[a, dy]);
    let of_a = s.of(0, || {
        let whole = if adjoint { -product(x, of_b, false, true) } else { -product(of_b, x, false, true) };
        match lower {
            Some(true) => part(CompareOp::GreaterEqual, whole),
            Some(false) => part(CompareOp::LessEqual, whole),
            None => whole,
        }
    });
    smallvec![of_a, s.of(1, || of_b)]
}

pub(super) fn triangular_solve(lower: bool, adjoint: bool, s: &Site<'_>) -> Found {
    solved(Some(lower), adjoint, s)
}

pub(super) fn matrix_solve(adjoint: bool, s: &Site<'_>) -> Found {
    solved(None, adjoint, s)
}

// y = a⁻¹ ⇒ da = −yᵀ dy yᵀ; of aᵀ it is that transposed.
pub(super) fn matrix_inverse(adjoint: bool, dy: Tensor, s: &Site<'_>) -> Tensor {
    let y = s.y;
    if adjoint {
        -product(product(y, dy, false, true), y, false, false)
    } else {
        -product(product(y, dy, true, false), y, false, true)
    }
}

// d ln |det a| = tr(a⁻¹ da)
pub(super) fn of_determinant(dy: Tensor, s: &Site<'_>) -> Tensor {
    let inverse = s.graph.apply(Op::MatrixInverse { adjoint: true }, &[s.x[0]]);
    s.graph.apply(Op::ExpandDims { axes: smallvec![-1, -2] }, &[dy]) * inverse
}
