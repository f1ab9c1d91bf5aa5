//! Rows of matrices taken apart, each against a slower way to the same factors in f64.

use dormouse::prelude::DType;
use dormouse::value::Op;
use ndarray::{Array1, Array2, s};

use crate::row::{Gradient, HALVES, Numbers, Operand, Row, given, row};

fn deep() -> Operand {
    given([4, 3], &[2.5, -0.25, 0.5, 0.75, 2.0, -0.5, 0.25, 1.0, -1.75, -0.5, 1.25, -1.75])
}

fn flat() -> Operand {
    given([3, 4], &[1.5, -0.25, 0.5, 0.75, 2.0, -0.5, 0.25, 1.0, -1.75, -0.5, 1.25, 0.75])
}

fn squares() -> Operand {
    given(
        [2, 3, 3],
        &[1.5, -0.25, 0.5, 0.75, 2.0, -0.5, 0.25, 1.0, -1.75, -0.5, 1.25, 0.75, 2.0, 0.25, -0.75, 0.5, -1.0, 1.5],
    )
}

/// What `f` gives of every matrix, part by part.
fn of_each<const N: usize>(f: impl Fn(&Array2<f64>) -> [Numbers; N] + 'static) -> impl Fn(&[Numbers]) -> [Numbers; N] {
    move |x| {
        let a = &x[0];
        if a.ndim() == 2 {
            return f(&a.clone().into_dimensionality().unwrap());
        }
        let all: Vec<[Numbers; N]> = a.outer_iter().map(|m| f(&m.to_owned().into_dimensionality().unwrap())).collect();
        std::array::from_fn(|part| {
            let views: Vec<_> = all.iter().map(|parts| parts[part].view()).collect();
            ndarray::stack(ndarray::Axis(0), &views).unwrap()
        })
    }
}

/// Reflections as whole matrices.
fn reflected(a: &Array2<f64>, full: bool) -> [Numbers; 2] {
    let (m, n) = a.dim();
    let (mut q, mut r) = (Array2::<f64>::eye(m), a.clone());
    for j in 0..n.min(m - 1) {
        let mut v = Array1::zeros(m);
        v.slice_mut(s![j..]).assign(&r.slice(s![j.., j]));
        let norm = v.dot(&v).sqrt();
        v[j] += if v[j] >= 0.0 { norm } else { -norm };
        let scale = 2.0 / v.dot(&v);
        let mirror = Array2::from_shape_fn((m, m), |(i, k)| f64::from(u8::from(i == k)) - scale * v[i] * v[k]);
        r = mirror.dot(&r);
        q = q.dot(&mirror);
    }
    let inner = if full { m } else { m.min(n) };
    let above = Array2::from_shape_fn((inner, n), |(i, j)| if i <= j { r[[i, j]] } else { 0.0 });
    [q.slice(s![.., ..inner]).to_owned().into_dyn(), above.into_dyn()]
}

/// Columns made of length 1 at right angles, one after another.
fn straightened(a: &Array2<f64>) -> Array2<f64> {
    let mut q = a.clone();
    for j in 0..q.ncols() {
        for i in (0..j).chain(0..j) {
            let along = q.column(i).dot(&q.column(j));
            let other = q.column(i).to_owned();
            q.column_mut(j).scaled_add(-along, &other);
        }
        let norm = q.column(j).dot(&q.column(j)).sqrt();
        q.column_mut(j).mapv_inplace(|x| x / norm);
    }
    q
}

/// The sign of the largest element.
fn sign(x: ndarray::ArrayView1<'_, f64>) -> f64 {
    x.iter().fold(0.0_f64, |most, x| if x.abs() > most.abs() { *x } else { most }).signum()
}

/// Eigenvalues from the least on, and vectors, by powers of the matrix once it is moved to be positive.
fn eigen(a: &Array2<f64>, moved: f64) -> (Array1<f64>, Array2<f64>) {
    let n = a.nrows();
    let positive = a + &(Array2::<f64>::eye(n) * moved);
    let mut v = Array2::<f64>::eye(n) + 0.1;
    for _ in 0..1000 {
        v = straightened(&positive.dot(&v));
    }
    let v = v.slice(s![.., ..;-1]).to_owned();
    let values = Array1::from_shape_fn(n, |j| v.column(j).dot(&a.dot(&v.column(j))));
    (values, v)
}

/// Of the matrix that the lower triangle makes.
fn eigen_of_lower(a: &Array2<f64>) -> [Numbers; 2] {
    let symmetric = Array2::from_shape_fn(a.dim(), |(i, j)| a[[i.max(j), i.min(j)]]);
    let (values, mut vectors) = eigen(&symmetric, 3.0);
    for mut column in vectors.columns_mut() {
        let sign = sign(column.view());
        column.mapv_inplace(|x| x * sign);
    }
    [values.into_dyn(), vectors.into_dyn()]
}

/// By the eigenvalues of aᵀ·a, or of a·aᵀ.
fn singular(a: &Array2<f64>) -> [Numbers; 3] {
    let (m, n) = a.dim();
    let (squares, v) = if m >= n { eigen(&a.t().dot(a), 0.0) } else { eigen(&a.dot(&a.t()), 0.0) };
    let s = squares.slice(s![..;-1]).mapv(f64::sqrt);
    let own = v.slice(s![.., ..;-1]).to_owned();
    let other = if m >= n { a.dot(&own) } else { a.t().dot(&own) } / &s;
    let (mut u, mut v) = if m >= n { (other, own) } else { (own, other) };
    for j in 0..s.len() {
        let sign = sign(u.column(j));
        u.column_mut(j).mapv_inplace(|x| x * sign);
        v.column_mut(j).mapv_inplace(|x| x * sign);
    }
    [s.into_dyn(), u.into_dyn(), v.into_dyn()]
}

/// Rows of orthogonal factors, eigenvalues and singular values.
pub(super) fn rows() -> Vec<Row> {
    let thin = || of_each(|a| reflected(a, false));
    let all = vec![
        row(Op::Qr { full: false }, [deep()], thin()),
        row(Op::Qr { full: false }, [squares()], thin()),
        // Their gradients need to know extents.
        row(Op::Qr { full: false }, [flat()], thin()).gradient(Gradient::Coarse),
        row(Op::Qr { full: true }, [squares()], of_each(|a| reflected(a, true))).gradient(Gradient::Coarse),
        row(Op::Qr { full: true }, [deep()], of_each(|a| reflected(a, true))).gradient(Gradient::None),
        row(Op::SelfAdjointEig, [squares()], of_each(eigen_of_lower)),
        row(Op::Svd { full: false }, [deep()], of_each(singular)),
        row(Op::Svd { full: false }, [squares()], of_each(singular)),
        row(Op::Svd { full: false }, [flat()], of_each(singular)),
        row(Op::Svd { full: true }, [squares()], of_each(singular)).gradient(Gradient::Coarse),
    ];
    let halves: &[DType] = &HALVES;
    all.into_iter().map(|row| row.without(halves)).collect()
}
