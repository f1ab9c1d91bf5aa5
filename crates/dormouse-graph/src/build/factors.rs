//! Matrices taken apart: orthogonal factors, eigenvalues, singular values, and what is made of these.

use dormouse_value::{DType, Op};

use super::array::Array;
use super::elementwise::Elementwise;
use super::functions::composed;
use super::reduction::{Reduction, keep_dims};
use crate::tensor::{Operand, Symbol, Tensor};

/// Factors of tensors and variables that are matrices of f32 or f64, `[.., m, n]`, or many of them.
///
/// The sign of an eigenvector and of a pair of singular vectors is free: here the element of the largest size of an
/// eigenvector, and of a vector on the left, is above 0.
pub trait Factors: Symbol {
    /// Q and R with q·r = a: q has k = min(m, n) columns of length 1 at right angles, `[.., m, k]`, and r is 0 below its diagonal,
    /// `[.., k, n]`. The diagonal's signs are LAPACK's. Where m < n gradients need these extents to be known.
    #[track_caller]
    fn qr(self) -> (Tensor, Tensor) {
        let a = self.tensor();
        let q = a.graph().apply(Op::Qr { full: false }, &[a]);
        (q, q.port(1))
    }

    /// As [`Factors::qr`], with all m columns of q. Where m > n there is no gradient.
    #[track_caller]
    fn qr_full(self) -> (Tensor, Tensor) {
        let a = self.tensor();
        let q = a.graph().apply(Op::Qr { full: true }, &[a]);
        (q, q.port(1))
    }

    /// The eigenvalues `[.., n]` of matrices that are their own transposes, from the least on, and their vectors as columns,
    /// `[.., n, n]`. What a has above its diagonal is not looked at, and gets no gradient.
    #[track_caller]
    fn self_adjoint_eig(self) -> (Tensor, Tensor) {
        let a = self.tensor();
        let values = a.graph().apply(Op::SelfAdjointEig, &[a]);
        (values, values.port(1))
    }

    /// The eigenvalues alone.
    #[track_caller]
    fn self_adjoint_eigvals(self) -> Tensor {
        self.self_adjoint_eig().0
    }

    /// s, u and v with u·diag(s)·vᵀ = a: k = min(m, n) singular values from the largest on, `[.., k]`, and the vectors on either
    /// side as columns, `[.., m, k]` and `[.., n, k]`. Gradients by the vectors want values that differ.
    #[track_caller]
    fn svd(self) -> (Tensor, Tensor, Tensor) {
        let a = self.tensor();
        let values = a.graph().apply(Op::Svd { full: false }, &[a]);
        (values, values.port(1), values.port(2))
    }

    /// As [`Factors::svd`], with all vectors on either side, `[.., m, m]` and `[.., n, n]`. Only of square matrices there are
    /// gradients by the vectors.
    #[track_caller]
    fn svd_full(self) -> (Tensor, Tensor, Tensor) {
        let a = self.tensor();
        let values = a.graph().apply(Op::Svd { full: true }, &[a]);
        (values, values.port(1), values.port(2))
    }

    /// The singular values alone: TensorFlow's `svd` without `compute_uv`.
    #[track_caller]
    fn singular_values(self) -> Tensor {
        self.svd().0
    }

    /// The pseudo-inverse `[.., n, m]`, by Moore and Penrose, for which singular values up to `rcond` of the largest are 0.
    #[track_caller]
    fn pinv_beyond(self, rcond: impl Operand) -> Tensor {
        let a = self.tensor();
        composed(a, "pinv", |own| {
            let (s, u, v) = a.svd();
            let least = s.max_over(keep_dims(-1)) * rcond.tensor_like(a);
            let kept = s.greater(least);
            let inverse = kept.select(kept.select(s, s.ones_like()).reciprocal(), s.zeros_like());
            let scaled = v * inverse.expand_dims(-2);
            own(Op::MatMul { transpose_a: false, transpose_b: true }, &[scaled, u])
        })
    }

    /// As [`Factors::pinv_beyond`] ten times max(m, n) times the dtype's precision: TensorFlow's default. The last two extents
    /// must be known.
    #[track_caller]
    fn pinv(self) -> Tensor {
        let a = self.tensor();
        match precision(a) {
            Some(precision) => a.pinv_beyond(10.0 * precision),
            None => a.poisoned_or(format!("pinv: matrices need known extents, not {}", a.shape())),
        }
    }

    /// How many singular values are above max(m, n) times the dtype's precision times the largest: `[..]` of i32. The last two
    /// extents must be known.
    #[track_caller]
    fn matrix_rank(self) -> Tensor {
        let a = self.tensor();
        let Some(precision) = precision(a) else {
            return a.poisoned_or(format!("matrix_rank: matrices need known extents, not {}", a.shape()));
        };
        composed(a, "matrix_rank", |own| {
            let s = a.singular_values();
            let counted = s.greater(s.max_over(keep_dims(-1)) * precision).cast(DType::I32);
            own(Op::Identity, &[counted.sum_over(-1)])
        })
    }
}

impl<S: Symbol> Factors for S {}

/// How far the dtype's numbers are apart at 1, times the larger extent of a matrix.
fn precision(a: Tensor) -> Option<f64> {
    let shape = a.shape();
    let [m, n] = shape.dims()?.last_chunk::<2>()?.map(dormouse_value::Dim::known);
    let epsilon = if a.dtype() == DType::F64 { f64::EPSILON } else { f64::from(f32::EPSILON) };
    Some(m?.max(n?) as f64 * epsilon)
}
