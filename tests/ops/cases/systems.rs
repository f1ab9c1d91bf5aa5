//! Rows of equations, each against Gauss's elimination in f64.

use dormouse::prelude::DType;
use dormouse::value::Op;
use ndarray::{Array2, IxDyn, s};

use crate::row::{Gradient, HALVES, Numbers, Operand, Row, given, row};

/// Matrices that are far from singular, of no symmetry.
fn matrices() -> Operand {
    given(
        [2, 3, 3],
        &[1.5, -0.25, 0.5, 0.75, 2.0, -0.5, 0.25, 1.0, -1.75, -0.5, 1.25, 0.75, 2.0, 0.25, -0.75, 0.5, -1.0, 1.5],
    )
}

/// Matrices of which each is its own transpose, and positive definite.
fn positive_definite() -> Operand {
    given(
        [2, 3, 3],
        &[3.0, 0.5, -0.25, 0.5, 2.0, 0.75, -0.25, 0.75, 1.5, 1.25, -0.5, 0.25, -0.5, 2.5, 0.0, 0.25, 0.0, 0.75],
    )
}

fn sides() -> Operand {
    given([2, 3, 2], &[0.5, -1.0, 1.5, 0.25, -0.75, 2.0, 1.0, 0.125, -0.5, 1.75, 0.375, -1.25])
}

/// The matrices of a batch.
fn each(x: &Numbers) -> Vec<Array2<f64>> {
    x.outer_iter().map(|m| m.to_owned().into_dimensionality().unwrap()).collect()
}

fn together(matrices: &[Array2<f64>]) -> Numbers {
    let views: Vec<_> = matrices.iter().map(|m| m.view()).collect();
    ndarray::stack(ndarray::Axis(0), &views).unwrap().into_dyn()
}

/// The solution, and the determinant.
fn eliminated(a: &Array2<f64>, b: &Array2<f64>) -> (Array2<f64>, f64) {
    let n = a.nrows();
    let mut both = ndarray::concatenate![ndarray::Axis(1), *a, *b];
    let mut determinant = 1.0;
    for i in 0..n {
        let pivot = (i..n).max_by(|p, q| both[[*p, i]].abs().total_cmp(&both[[*q, i]].abs())).unwrap();
        if pivot != i {
            determinant = -determinant;
            for j in 0..both.ncols() {
                both.swap([i, j], [pivot, j]);
            }
        }
        determinant *= both[[i, i]];
        let line = both.row(i).to_owned() / both[[i, i]];
        both.row_mut(i).assign(&line);
        for k in (0..n).filter(|k| *k != i) {
            let factor = both[[k, i]];
            both.row_mut(k).scaled_add(-factor, &line);
        }
    }
    (both.slice(s![.., n..]).to_owned(), determinant)
}

fn solved(of: impl Fn(&Array2<f64>) -> Array2<f64> + 'static) -> impl Fn(&[Numbers]) -> Numbers {
    move |x| {
        let pairs = each(&x[0]).into_iter().zip(each(&x[1]));
        together(&pairs.map(|(a, b)| eliminated(&of(&a), &b).0).collect::<Vec<_>>())
    }
}

fn determinants(x: &Numbers) -> Vec<f64> {
    each(x).iter().map(|a| eliminated(a, &Array2::zeros((a.nrows(), 0))).1).collect()
}

/// Of the mean of a matrix and its transpose, as its gradient is that.
fn root(a: &Array2<f64>) -> Array2<f64> {
    let n = a.nrows();
    let a = (a + &a.t()) / 2.0;
    let mut l = Array2::zeros((n, n));
    for i in 0..n {
        for j in 0..=i {
            let rest: f64 = a[[i, j]] - (0..j).map(|k| l[[i, k]] * l[[j, k]]).sum::<f64>();
            l[[i, j]] = if i == j { rest.sqrt() } else { rest / l[[j, j]] };
        }
    }
    l
}

/// Rows of equations.
pub(super) fn rows() -> Vec<Row> {
    let vector = |numbers: Vec<f64>| Numbers::from_shape_vec(IxDyn(&[numbers.len()]), numbers).unwrap();
    let mut all = vec![
        // A kernel looks at one side only, of which the gradient gives half to the other.
        row(Op::Cholesky, [positive_definite()], |x| together(&each(&x[0]).iter().map(root).collect::<Vec<_>>()))
            .gradient(Gradient::Fixed),
        row(Op::Determinant, [matrices()], move |x| vector(determinants(&x[0]))),
        row(Op::LogDeterminant, [matrices()], move |x| {
            let all = determinants(&x[0]);
            [vector(all.iter().map(|d| d.signum()).collect()), vector(all.iter().map(|d| d.abs().ln()).collect())]
        }),
        row(Op::Determinant, [given([1, 1], &[-2.5])], |x| Numbers::from_elem(IxDyn(&[]), x[0][[0, 0]])),
    ];
    all.push(row(Op::MatrixExponential, [matrices()], |x| {
        let exponentials = each(&x[0]).into_iter().map(|a| {
            let terms = (1..60).scan(Array2::eye(3), |term: &mut Array2<f64>, k| {
                *term = term.dot(&a) / f64::from(k);
                Some(term.clone())
            });
            terms.fold(Array2::eye(3), |sum, term| sum + term)
        });
        together(&exponentials.collect::<Vec<_>>())
    }));
    for adjoint in [false, true] {
        let turned = move |a: Array2<f64>| if adjoint { a.reversed_axes() } else { a };
        let inverse = move |x: &[Numbers]| {
            let inverses = each(&x[0]).into_iter().map(|a| eliminated(&turned(a), &Array2::eye(3)).0);
            together(&inverses.collect::<Vec<_>>())
        };
        all.push(row(Op::MatrixInverse { adjoint }, [matrices()], inverse));
        all.push(row(Op::MatrixSolve { adjoint }, [matrices(), sides()], solved(move |a| turned(a.clone()))));
        for lower in [true, false] {
            let triangle = move |a: &Array2<f64>| {
                let part =
                    Array2::from_shape_fn((3, 3), |(i, j)| if i == j || (i > j) == lower { a[[i, j]] } else { 0.0 });
                turned(part)
            };
            all.push(row(Op::TriangularSolve { lower, adjoint }, [matrices(), sides()], solved(triangle)));
        }
    }
    // TensorFlow has inverses of f16, and no other equations of halves.
    let without = |row: Row| {
        let halves: &[DType] = if matches!(row.op, Op::MatrixInverse { .. }) { &[DType::Bf16] } else { &HALVES };
        row.without(halves)
    };
    all.into_iter().map(without).collect()
}
