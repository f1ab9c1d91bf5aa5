//! From an operation to the kernel that computes it: one exhaustive match, so that the compiler asks for a new op's.

use dormouse_value::Op;

use crate::{Kernel, KernelError, Spec};

/// The kernel of `op` for operands and results of these specs. Shape-only operands have a spec as the others do.
///
/// # Errors
/// When the op does not take these dtypes or shapes; the graph's inference lets none such through.
pub fn compile(op: &Op, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let _ = (inputs, outputs);
    match op {
        // Element-wise: one result element from the operands' elements at its place.
        Op::Identity
        | Op::StopGradient
        | Op::EnsureShape { .. }
        | Op::CheckNumerics { .. }
        | Op::Unary(_)
        | Op::Binary(_)
        | Op::Compare(_)
        | Op::Logical(_)
        | Op::Select
        | Op::Cast { .. }
        | Op::AddN => missing(op, "element-wise"),

        // Reductions, and what is made of them.
        Op::Reduce { .. }
        | Op::ArgMax { .. }
        | Op::ArgMin { .. }
        | Op::Cumulative { .. }
        | Op::SumLike
        | Op::L2Loss => missing(op, "reduction"),

        // Broadcasts.
        Op::BroadcastTo { .. } | Op::BroadcastLike => missing(op, "broadcast"),

        // Classification.
        Op::Softmax { .. } | Op::LogSoftmax { .. } | Op::SoftmaxCrossEntropy | Op::SparseSoftmaxCrossEntropy => {
            missing(op, "classification")
        }

        // Arrays: elements moved, not computed.
        Op::Reshape { .. }
        | Op::ReshapeLike
        | Op::ExpandDims { .. }
        | Op::Squeeze { .. }
        | Op::Transpose { .. }
        | Op::Concat { .. }
        | Op::ConcatGrad { .. }
        | Op::Slice { .. }
        | Op::SliceLike { .. }
        | Op::SliceGrad { .. }
        | Op::Pad { .. }
        | Op::Tile { .. }
        | Op::TileGrad { .. }
        | Op::Gather { .. }
        | Op::GatherGrad { .. }
        | Op::OneHot { .. }
        | Op::ShapeOf { .. }
        | Op::SizeOf { .. } => missing(op, "array"),

        // Matrix products.
        Op::MatMul { .. } => missing(op, "matrix product"),

        // Windows over images.
        Op::Conv2d(_) | Op::Conv2dInputGrad(_) | Op::Conv2dFilterGrad(_) => missing(op, "convolution"),
        Op::Pool2d { .. } | Op::MaxPoolGrad { .. } | Op::MaxPoolGradGrad { .. } | Op::AveragePoolGrad { .. } => {
            missing(op, "pooling")
        }
    }
}

fn missing(op: &Op, family: &str) -> Result<Kernel, KernelError> {
    Err(KernelError::new(format!("{op:?} has no {family} kernel")))
}
