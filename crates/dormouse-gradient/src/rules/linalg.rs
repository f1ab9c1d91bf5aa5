//! Linear algebra. The gradients of a product are products again, one pair for each way of transposing; those of solutions
//! are solutions with the matrix turned over. None needs to know a rank: masks come of indices along the last axes.

use dormouse_graph::{Elementwise, Tensor};
use dormouse_value::{CompareOp, Op, Part};
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

/// Rows and columns of matrices, where they are known.
fn extents(a: Tensor) -> Option<[usize; 2]> {
    let shape = a.shape();
    let [m, n] = shape.dims()?.last_chunk::<2>()?.map(dormouse_value::Dim::known);
    Some([m?, n?])
}

/// 1/x, and 0 of 0.
fn reciprocal_or_zero(x: Tensor) -> Tensor {
    let none = x.equal(0.0);
    none.select(x.zeros_like(), none.select(x.ones_like(), x).reciprocal())
}

fn expand(x: Tensor, axis: i32) -> Tensor {
    x.graph().apply(Op::ExpandDims { axes: smallvec![axis] }, &[x])
}

// a = q·r of as many rows as columns or more ⇒ da = q·(dr + T·r⁻ᵀ) + (dq − q·qᵀ·dq)·r⁻ᵀ, where T is the triangle below the
// diagonal of (qᵀ·dq − dqᵀ·q) + (r·drᵀ − dr·rᵀ)
fn qr_deep(q: Tensor, r: Tensor, dq: Tensor, dr: Tensor) -> Tensor {
    let unit = where_rows(CompareOp::Equal, r).cast(r.dtype());
    let inverse = r.graph().apply(Op::TriangularSolve { lower: false, adjoint: false }, &[r, unit]);
    let along = product(q, dq, true, false);
    let turning = along - product(dq, q, true, false) + product(r, dr, false, true) - product(dr, r, false, true);
    let below = part(CompareOp::Greater, turning);
    product(q, dr + product(below, inverse, false, true), false, false)
        + product(dq - product(q, along, false, false), inverse, false, true)
}

pub(super) fn qr(full: bool, s: &Site<'_>) -> Found {
    let (q, r) = (s.y, s.y.port(1));
    if s.dy[0].is_none() && s.dy[1].is_none() {
        return Found::new();
    }
    let dq = s.dy[0].unwrap_or_else(|| q.zeros_like());
    let dr = s.dy[1].unwrap_or_else(|| r.zeros_like());
    let da = s.of(0, || match extents(s.x[0]) {
        Some([m, n]) if full && m > n => {
            s.graph.mistake(format!("qr_full: no gradient of matrices with more rows than columns, {m} and {n}"))
        }
        None if full => s.graph.mistake("qr_full: a gradient needs the matrices' extents to be known".to_owned()),
        // a = (x y) and r = (u v): x = q·u, and y = q·v.
        Some([m, n]) if m < n => {
            let left = |t| columns(t, None, Some(m as i64));
            let right = |t| columns(t, Some(m as i64), None);
            let (y, dv) = (right(s.x[0]), right(dr));
            let dx = qr_deep(q, left(r), dq + product(y, dv, false, true), left(dr));
            s.graph.apply(Op::Concat { axis: -1 }, &[dx, product(q, dv, false, false)])
        }
        Some(_) | None => qr_deep(q, r, dq, dr),
    });
    smallvec![da]
}

/// Some columns of matrices.
fn columns(x: Tensor, begin: Option<i64>, end: Option<i64>) -> Tensor {
    let parts = smallvec![Part::Rest, Part::Range { begin, end, step: 1 }];
    x.graph().apply(Op::StridedSlice { parts }, &[x])
}

// With the matrix of (aᵀ dy) above (0 aᵀ), da is what its exponential has in dy's place.
pub(super) fn matrix_exponential(dy: Tensor, s: &Site<'_>) -> Tensor {
    let a = s.x[0];
    let turned = match a.shape().rank() {
        Some(rank) if rank >= 2 => {
            let rank = rank as u32;
            let perm = (0..rank - 2).chain([rank - 1, rank - 2]).collect();
            s.graph.apply(Op::Transpose { perm }, &[a])
        }
        // By a product: nothing needs to know how many axes there are.
        Some(_) | None => product(a, where_rows(CompareOp::Equal, a).cast(a.dtype()), true, false),
    };
    let above = s.graph.apply(Op::Concat { axis: -1 }, &[turned, dy]);
    let below = s.graph.apply(Op::Concat { axis: -1 }, &[a.zeros_like(), turned]);
    let whole = s.graph.apply(Op::Concat { axis: -2 }, &[above, below]);
    let y = s.graph.apply(Op::MatrixExponential, &[whole]);
    let y = s.graph.apply(Op::ConcatGrad { axis: -2, index: 0 }, &[y, above, below]);
    s.graph.apply(Op::ConcatGrad { axis: -1, index: 1 }, &[y, turned, dy])
}

// a = v·diag(e)·vᵀ ⇒ da = v·(diag(de) + F ∘ vᵀ·dv)·vᵀ with Fᵢⱼ = 1/(eⱼ − eᵢ); what lies above the diagonal is what lies below.
pub(super) fn self_adjoint_eig(s: &Site<'_>) -> Found {
    let (e, v) = (s.y, s.y.port(1));
    if s.dy[0].is_none() && s.dy[1].is_none() {
        return Found::new();
    }
    let da = s.of(0, || {
        let scaled = |de| product(v * expand(de, -2), v, false, true);
        let turned = |dv| {
            let apart = reciprocal_or_zero(expand(e, -2) - expand(e, -1));
            product(product(v, apart * product(v, dv, true, false), false, false), v, false, true)
        };
        let whole = match (s.dy[0], s.dy[1]) {
            (Some(de), Some(dv)) => scaled(de) + turned(dv),
            (Some(de), None) => scaled(de),
            (None, Some(dv)) => turned(dv),
            (None, None) => v.zeros_like(),
        };
        // Its transpose, by a product: nothing needs to know how many axes there are.
        let unit = where_rows(CompareOp::Equal, whole).cast(whole.dtype());
        let both = whole + product(whole, unit, true, false);
        part(CompareOp::Greater, both) + part(CompareOp::Equal, whole)
    });
    smallvec![da]
}

// a = u·diag(s)·vᵀ ⇒ da = u·(diag(ds) + (F ∘ (uᵀ·du − duᵀ·u))·s + s·(F ∘ (vᵀ·dv − dvᵀ·v)))·vᵀ
//   + (1 − u·uᵀ)·du·s⁻¹·vᵀ + u·s⁻¹·dvᵀ·(1 − v·vᵀ), with Fᵢⱼ = 1/(sⱼ² − sᵢ²)
pub(super) fn svd(full: bool, site: &Site<'_>) -> Found {
    if site.dy.iter().all(Option::is_none) {
        return Found::new();
    }
    let vectors = site.dy[1].is_some() || site.dy[2].is_some();
    let da = site.of(0, || {
        if full && vectors && extents(site.x[0]).is_none_or(|[m, n]| m != n) {
            let told = "svd_full: no gradient by the vectors of matrices that are not known to be square";
            return site.graph.mistake(told.to_owned());
        }
        let thin = if full && !vectors { site.graph.apply(Op::Svd { full: false }, &[site.x[0]]) } else { site.y };
        let (s, u, v) = (site.y, thin.port(1), thin.port(2));
        let (across, down) = (expand(s, -2), expand(s, -1));
        let apart = reciprocal_or_zero((across - down) * (across + down));
        let inverse = reciprocal_or_zero(across);
        let mut middle = Vec::new();
        let mut beyond = Vec::new();
        if let Some(ds) = site.dy[0] {
            let unit = where_rows(CompareOp::Equal, product(u, u, true, false)).cast(s.dtype());
            middle.push(expand(ds, -2) * unit);
        }
        if let Some(du) = site.dy[1] {
            let along = product(u, du, true, false);
            middle.push(apart * (along - product(du, u, true, false)) * across);
            beyond.push(product((du - product(u, along, false, false)) * inverse, v, false, true));
        }
        if let Some(dv) = site.dy[2] {
            let along = product(v, dv, true, false);
            middle.push(apart * (along - product(dv, v, true, false)) * down);
            beyond.push(product(u * inverse, dv - product(v, along, false, false), false, true));
        }
        let within = product(product(u, site.graph.add_n(&middle), false, false), v, false, true);
        beyond.into_iter().fold(within, |sum, more| sum + more)
    });
    smallvec![da]
}
