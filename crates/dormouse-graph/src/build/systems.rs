//! Systems of equations: matrices factored, inverted and solved.

use dormouse_value::{BinaryOp, CompareOp, DType, Op, broadcast_dims};

use super::array::Array;
use super::elementwise::Elementwise;
use super::functions::composed;
use super::indexing::Indexing;
use super::linalg::{Linalg, MatMul};
use super::reduction::Reduction;
use crate::tensor::{Operand, Symbol, Tensor};

/// Which side of a matrix is a triangle, and whether its transpose is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Triangle {
    /// Whether it is the one below the diagonal.
    pub lower: bool,
    /// Whether the equations are those of the matrix transposed.
    pub adjoint: bool,
}

/// The lower one, as it is.
impl Default for Triangle {
    fn default() -> Self {
        Triangle { lower: true, adjoint: false }
    }
}

/// Equations of tensors and variables that are square matrices of floats, `[.., n, n]`, or many of them.
pub trait Systems: Symbol {
    /// The lower triangle L with L·Lᵀ = a, zeros above. What a has above its diagonal is not looked at. A matrix that is not
    /// positive definite fails the run.
    #[track_caller]
    fn cholesky(self) -> Tensor {
        let a = self.tensor();
        a.graph().apply(Op::Cholesky, &[a])
    }

    /// x with a·x = b, of which this is the lower triangle that [`Systems::cholesky`] gives of a: `[.., n, k] → [.., n, k]`.
    #[track_caller]
    fn cholesky_solve(self, b: impl Operand) -> Tensor {
        let l = self.tensor();
        composed(l, "cholesky_solve", |own| {
            let half = l.triangular_solve(b, Triangle::default());
            own(Op::Identity, &[l.triangular_solve(half, Triangle { lower: true, adjoint: true })])
        })
    }

    /// x with a·x = b, of which this is a triangle whose other side is not looked at: `[.., n, k] → [.., n, k]`. Axes before
    /// these broadcast where they are known. A zero on the diagonal fails the run.
    #[track_caller]
    fn triangular_solve(self, b: impl Operand, triangle: Triangle) -> Tensor {
        let a = self.tensor();
        let Triangle { lower, adjoint } = triangle;
        beside(a, b.tensor_like(a), Op::TriangularSolve { lower, adjoint })
    }

    /// x with a·x = b: `[.., n, k] → [.., n, k]`. Axes before these broadcast where they are known. A matrix that is not
    /// invertible fails the run.
    #[track_caller]
    fn matrix_solve(self, b: impl Operand) -> Tensor {
        let a = self.tensor();
        beside(a, b.tensor_like(a), Op::MatrixSolve { adjoint: false })
    }

    /// x with aᵀ·x = b, as [`Systems::matrix_solve`].
    #[track_caller]
    fn matrix_solve_adjoint(self, b: impl Operand) -> Tensor {
        let a = self.tensor();
        beside(a, b.tensor_like(a), Op::MatrixSolve { adjoint: true })
    }

    /// Σ aᵏ/k! over k ≥ 0, the exponential of matrices: `[.., n, n] → [.., n, n]`. F32 or f64.
    #[track_caller]
    fn matrix_exponential(self) -> Tensor {
        let a = self.tensor();
        a.graph().apply(Op::MatrixExponential, &[a])
    }

    /// The matrix whose product with this is 1 on the diagonal. One that is not invertible fails the run.
    #[track_caller]
    fn matrix_inverse(self) -> Tensor {
        let a = self.tensor();
        a.graph().apply(Op::MatrixInverse { adjoint: false }, &[a])
    }

    /// The determinant of each matrix. Where it is 0 its gradient fails the run.
    #[track_caller]
    fn determinant(self) -> Tensor {
        let a = self.tensor();
        a.graph().apply(Op::Determinant, &[a])
    }

    /// The determinant's sign, 0 where it is 0, and the logarithm of its size.
    #[track_caller]
    fn slogdet(self) -> (Tensor, Tensor) {
        let a = self.tensor();
        let sign = a.graph().apply(Op::LogDeterminant, &[a]);
        (sign, sign.port(1))
    }

    /// The logarithm of the determinant of a matrix that is positive definite, or the run fails.
    #[track_caller]
    fn logdet(self) -> Tensor {
        let a = self.tensor();
        composed(a, "logdet", |own| {
            let l = a.cholesky();
            let diagonal = diagonal(l).select(l, 1.0).log();
            own(Op::Binary(BinaryOp::Mul), &[diagonal.sum_over([-2, -1]), 2.0.tensor_like(a)])
        })
    }

    /// The least x that brings a·x nearest to b, by Σ(a·x − b)² + `l2` Σx²: `a [.., m, n], b [.., m, k] → [.., n, k]`. TensorFlow's
    /// `matrix_solve_ls`, by normal equations. The last two extents must be known; a matrix without full rank fails the run.
    #[track_caller]
    fn lstsq(self, b: impl Operand, l2: f64) -> Tensor {
        let a = self.tensor();
        let b = b.tensor_like(a);
        let shape = a.shape();
        let extents =
            shape.dims().and_then(|dims| dims.last_chunk::<2>()).map(|last| last.map(dormouse_value::Dim::known));
        let Some([Some(rows), Some(columns)]) = extents else {
            return a.poisoned_or(format!("lstsq: matrices need known extents, not {}", a.shape()));
        };
        composed(a, "matrix_solve_ls", |own| {
            let flipped = MatMul { transpose_a: true, transpose_b: false };
            let damped = |square: Tensor| diagonal(square).select(square + l2, square).cholesky();
            let x = if rows >= columns {
                damped(a.matmul_with(a, flipped)).cholesky_solve(a.matmul_with(b, flipped))
            } else {
                let square = a.matmul_with(a, MatMul { transpose_a: false, transpose_b: true });
                a.matmul_with(damped(square).cholesky_solve(b), flipped)
            };
            own(Op::Identity, &[x])
        })
    }
}

impl<S: Symbol> Systems for S {}

/// Where matrices have their diagonal, as booleans.
#[track_caller]
fn diagonal(a: Tensor) -> Tensor {
    let along = |axis| a.index_along(axis, DType::I64);
    a.graph().apply(Op::Compare(CompareOp::Equal), &[along(-2), along(-1)])
}

/// Matrices and their right sides, with the axes before them made the same where all of them are known.
#[track_caller]
fn beside(a: Tensor, b: Tensor, op: Op) -> Tensor {
    let graph = a.graph();
    let dims = (a.shape().to_dims(), b.shape().to_dims());
    let (Some(own), Some(other)) = &dims else { return graph.apply(op, &[a, b]) };
    let (Some((before, last)), Some((beside, sides))) = (own.split_last_chunk::<2>(), other.split_last_chunk::<2>())
    else {
        return graph.apply(op, &[a, b]);
    };
    match broadcast_dims(before, beside) {
        Some(both) if before != beside => {
            let to = |last: &[usize; 2]| both.iter().chain(last).copied().collect::<Vec<usize>>();
            let (a, b) = (a.broadcast_to(&to(last)), b.broadcast_to(&to(sides)));
            graph.apply(op, &[a, b])
        }
        Some(_) | None => graph.apply(op, &[a, b]),
    }
}
