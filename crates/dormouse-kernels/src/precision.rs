//! Which operations take elements of every type as they are. All others have kernels for the types that numbers are
//! computed in, [`DType::wide`](dormouse_value::DType::wide): whoever compiles a program casts what has fewer bits to
//! these and back, so that no kernel is there twice.

use dormouse_value::{Op, ScatterOp};

use crate::{KernelError, Spec};

/// Whether an operation only moves elements, whatever they are; [`compile`](crate::compile) gives kernels of any other
/// for types that numbers are computed in alone.
pub fn moves(op: &Op) -> bool {
    match op {
        Op::Identity
        | Op::StopGradient
        | Op::EnsureShape { .. }
        | Op::Select
        | Op::Cast { .. }
        | Op::BroadcastTo { .. }
        | Op::BroadcastLike
        | Op::Reshape { .. }
        | Op::ReshapeLike
        | Op::Regroup { .. }
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
        | Op::Gather { .. }
        | Op::GatherNd { .. }
        | Op::OneHot { .. }
        | Op::StridedSlice { .. }
        | Op::StridedSliceGrad { .. }
        | Op::Pick
        | Op::SegmentSpread { .. }
        | Op::ShapeOf { .. }
        | Op::Bitcast { .. }
        | Op::SizeOf { .. }
        | Op::ScatterNd { op: ScatterOp::Update, .. } => true,
        Op::CheckNumerics { .. }
        | Op::Unary(_)
        | Op::Binary(_)
        | Op::Compare(_)
        | Op::Logical(_)
        | Op::AddN
        | Op::Reduce { .. }
        | Op::ArgMax { .. }
        | Op::ArgMin { .. }
        | Op::Cumulative { .. }
        | Op::SumLike
        | Op::L2Loss
        | Op::Softmax { .. }
        | Op::LogSoftmax { .. }
        | Op::SoftmaxCrossEntropy
        | Op::SparseSoftmaxCrossEntropy
        | Op::TileGrad { .. }
        | Op::GatherGrad { .. }
        | Op::ScatterNd {
            op: ScatterOp::Add | ScatterOp::Sub | ScatterOp::Mul | ScatterOp::Div | ScatterOp::Max | ScatterOp::Min,
            ..
        }
        | Op::Iota { .. }
        | Op::PickGrad
        | Op::Segment { .. }
        | Op::TopK { .. }
        | Op::SearchSorted { .. }
        | Op::ResizeImages(_)
        | Op::ResizeImagesGrad(_)
        | Op::NonMaxSuppression { .. }
        | Op::MatMul { .. }
        | Op::Cholesky
        | Op::TriangularSolve { .. }
        | Op::MatrixSolve { .. }
        | Op::MatrixInverse { .. }
        | Op::Determinant
        | Op::LogDeterminant
        | Op::Qr { .. }
        | Op::SelfAdjointEig
        | Op::Svd { .. }
        | Op::Betainc
        | Op::MatrixExponential
        | Op::Conv2d(_)
        | Op::Conv2dInputGrad(_)
        | Op::Conv2dFilterGrad(_)
        | Op::Conv3d(_)
        | Op::Conv3dInputGrad(_)
        | Op::Conv3dFilterGrad(_)
        | Op::DepthwiseConv2d(_)
        | Op::DepthwiseConv2dInputGrad(_)
        | Op::DepthwiseConv2dFilterGrad(_)
        | Op::Pool2d { .. }
        | Op::MaxPoolGrad { .. }
        | Op::MaxPoolGradGrad { .. }
        | Op::AveragePoolGrad { .. } => false,
    }
}

/// An error where an operation would have to compute with numbers of fewer bits than it can.
pub(crate) fn require_wide(op: &Op, inputs: &[Spec], outputs: &[Spec]) -> Result<(), KernelError> {
    let narrow = inputs.iter().chain(outputs).find(|spec| spec.dtype.wide() != spec.dtype);
    match narrow {
        Some(spec) if !moves(op) => Err(KernelError::new(format!(
            "{op:?}: numbers of {} are computed as {}; cast them",
            spec.dtype,
            spec.dtype.wide()
        ))),
        Some(_) | None => Ok(()),
    }
}
