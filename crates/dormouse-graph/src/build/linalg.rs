//! Linear algebra: matrix products.

use dormouse_value::Op;

use super::array::Array;
use super::matrices::scoped;
use crate::tensor::{Operand, Symbol, Tensor};

/// Which operands of a product are transposed first, in their last two axes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatMul {
    /// The left one.
    pub transpose_a: bool,
    /// The right one.
    pub transpose_b: bool,
}

/// Linear algebra of tensors and variables.
pub trait Linalg: Symbol {
    /// The matrix product, `[.., n, k] × [.., k, m] → [.., n, m]`; leading axes broadcast.
    #[track_caller]
    fn matmul(self, other: impl Operand) -> Tensor {
        self.matmul_with(other, MatMul::default())
    }

    /// The matrix product of operands that may be transposed first.
    #[track_caller]
    fn matmul_with(self, other: impl Operand, options: MatMul) -> Tensor {
        let a = self.tensor();
        let b = other.tensor_like(a);
        let MatMul { transpose_a, transpose_b } = options;
        a.graph().apply(Op::MatMul { transpose_a, transpose_b }, &[a, b])
    }

    /// The product with vectors: `[.., n, k] × [.., k] → [.., n]`.
    #[track_caller]
    fn matvec(self, vector: impl Operand) -> Tensor {
        let a = self.tensor();
        let vector = vector.tensor_like(a);
        scoped(a.graph(), "matvec", || a.matmul(vector.expand_dims(-1)).squeeze_axes(&[-1]))
    }
}

impl<S: Symbol> Linalg for S {}
