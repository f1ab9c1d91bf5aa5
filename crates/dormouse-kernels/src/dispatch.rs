//! From an operation to the kernel that computes it: one exhaustive match, so that the compiler asks for a new op's.

use dormouse_value::Op;

use crate::conv::Rounding;
use crate::{Kernel, KernelError, Spec, array, conv, elementwise, image, linalg, nn, pool, precision, reduction};

/// The kernel of `op` for operands and results of these specs. Shape-only operands have a spec as the others do.
///
/// # Errors
/// When the op does not take these dtypes or shapes; the graph's inference lets none such through, but for numbers of
/// fewer bits than are computed with ([`moves`](crate::moves)).
pub fn compile(op: &Op, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    compile_rounding(op, Rounding::Defined, inputs, outputs)
}

/// As [`compile`], by algorithms that may round otherwise, where they are faster: those of Winograd for convolutions.
///
/// # Errors
/// As [`compile`].
pub fn compile_freely(op: &Op, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    compile_rounding(op, Rounding::Free, inputs, outputs)
}

fn compile_rounding(op: &Op, rounding: Rounding, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    precision::require_wide(op, inputs, outputs)?;
    match op {
        // Element-wise: one result element from the operands' elements at its place.
        Op::Identity | Op::StopGradient | Op::EnsureShape { .. } => elementwise::copy(op, inputs, outputs),
        Op::CheckNumerics { message } => elementwise::check_numerics(message, inputs, outputs),
        Op::Unary(_)
        | Op::Binary(_)
        | Op::Compare(_)
        | Op::Logical(_)
        | Op::Select
        | Op::Betainc
        | Op::Cast { .. }
        | Op::AddN => elementwise::compile(op, inputs, outputs),

        // Reductions, and what is made of them.
        Op::Reduce { op, axes, keep_dims } => reduction::reduce(*op, axes.as_deref(), *keep_dims, inputs, outputs),
        Op::ArgMax { axis, output } => reduction::arg_max(*axis, *output, inputs, outputs),
        Op::ArgMin { axis, output } => reduction::arg_min(*axis, *output, inputs, outputs),
        Op::Cumulative { op, axis, exclusive, reverse } => {
            let direction = reduction::Direction { exclusive: *exclusive, reverse: *reverse };
            reduction::cumulative(*op, *axis, direction, inputs, outputs)
        }
        Op::SumLike => reduction::sum_like(inputs, outputs),
        Op::L2Loss => reduction::l2_loss(inputs, outputs),

        // Broadcasts.
        Op::BroadcastTo { .. } | Op::BroadcastLike => elementwise::broadcast(op, inputs, outputs),

        // Classification.
        Op::Softmax { axis } => nn::softmax(*axis, inputs, outputs),
        Op::LogSoftmax { axis } => nn::log_softmax(*axis, inputs, outputs),
        Op::SoftmaxCrossEntropy => nn::cross_entropy(inputs, outputs),
        Op::SparseSoftmaxCrossEntropy => nn::sparse_cross_entropy(inputs, outputs),

        // Arrays: elements moved, not computed.
        Op::Reshape { .. } | Op::ReshapeLike | Op::Regroup { .. } => array::reshape("reshape", inputs, outputs),
        Op::ExpandDims { .. } => array::reshape("expand_dims", inputs, outputs),
        Op::Squeeze { .. } => array::reshape("squeeze", inputs, outputs),
        Op::Transpose { perm } => array::transpose(perm, inputs, outputs),
        Op::Concat { axis } => array::concat(*axis, inputs, outputs),
        Op::ConcatGrad { axis, index } => array::concat_grad(*axis, *index, inputs, outputs),
        Op::Slice { begin, size } => array::slice(begin, size, inputs, outputs),
        Op::SliceLike { begin } => array::slice_like(begin, inputs, outputs),
        Op::SliceGrad { begin } => array::slice_grad(begin, inputs, outputs),
        Op::Pad { paddings, value } => array::pad(paddings, *value, inputs, outputs),
        Op::Tile { multiples } => array::tile(multiples, inputs, outputs),
        Op::TileGrad { multiples } => array::tile_grad(multiples, inputs, outputs),
        Op::Gather { axis } => array::gather(*axis, inputs, outputs),
        Op::GatherGrad { axis } => array::gather_grad(*axis, inputs, outputs),
        &Op::OneHot { depth, axis, on, off, dtype } => {
            array::one_hot(array::OneHotValues { depth, axis, on, off, dtype }, inputs, outputs)
        }
        Op::StridedSlice { parts } => array::strided_slice(parts, inputs, outputs),
        Op::StridedSliceGrad { parts } => array::strided_slice_grad(parts, inputs, outputs),
        Op::GatherNd { batch_dims } => array::gather_nd(*batch_dims, inputs, outputs),
        Op::ScatterNd { op, batch_dims } => array::scatter_nd(*op, *batch_dims, inputs, outputs),
        Op::Iota { axis, dtype } => array::iota(*axis, *dtype, inputs, outputs),
        Op::Pick => array::pick(inputs, outputs),
        Op::PickGrad => array::pick_grad(inputs, outputs),
        Op::ShapeOf { output } => array::shape_of(*output, inputs, outputs),
        Op::Bitcast { .. } => array::bitcast(inputs, outputs),
        Op::SizeOf { output } => array::size_of(*output, inputs, outputs),

        // Order and segments.
        Op::Segment { op, segments, sorted } => array::segment(*op, *segments, *sorted, inputs, outputs),
        Op::SegmentSpread { segments } => array::segment_spread(*segments, inputs, outputs),
        Op::TopK { k } => array::top_k(*k, inputs, outputs),
        Op::SearchSorted { right, output } => array::search_sorted(*right, *output, inputs, outputs),

        // Images.
        Op::ResizeImages(resize) => image::resize(*resize, inputs, outputs),
        Op::ResizeImagesGrad(resize) => image::resize_grad(*resize, inputs, outputs),
        Op::NonMaxSuppression { size, overlap, score } => image::suppress(*size, overlap.0, score.0, inputs, outputs),

        // Matrix products.
        Op::MatMul { transpose_a, transpose_b } => linalg::matmul(*transpose_a, *transpose_b, inputs, outputs),

        // Equations.
        Op::Cholesky => linalg::systems("cholesky", linalg::System::Cholesky, inputs, outputs),
        &Op::TriangularSolve { lower, adjoint } => {
            linalg::systems("triangular_solve", linalg::System::Triangular { lower, adjoint }, inputs, outputs)
        }
        &Op::MatrixSolve { adjoint } => {
            linalg::systems("matrix_solve", linalg::System::Solve { adjoint }, inputs, outputs)
        }
        &Op::MatrixInverse { adjoint } => {
            linalg::systems("matrix_inverse", linalg::System::Inverse { adjoint }, inputs, outputs)
        }
        Op::Determinant => linalg::systems("determinant", linalg::System::Determinant, inputs, outputs),
        Op::LogDeterminant => linalg::systems("slogdet", linalg::System::LogDeterminant, inputs, outputs),
        Op::Qr { full } => linalg::factors("qr", linalg::Factors::Qr { full: *full }, inputs, outputs),
        Op::SelfAdjointEig => linalg::factors("self_adjoint_eig", linalg::Factors::SelfAdjointEig, inputs, outputs),
        Op::MatrixExponential => linalg::exponential(inputs, outputs),
        Op::Svd { full } => linalg::factors("svd", linalg::Factors::Svd { full: *full }, inputs, outputs),

        // Windows over images.
        Op::Conv2d(window) => conv::compile(conv::Window::Flat(*window), rounding, inputs, outputs),
        Op::Conv2dInputGrad(window) => conv::compile_input_grad(conv::Window::Flat(*window), rounding, inputs, outputs),
        Op::Conv2dFilterGrad(window) => {
            conv::compile_filter_grad(conv::Window::Flat(*window), rounding, inputs, outputs)
        }
        Op::Conv3d(window) => conv::compile(conv::Window::Deep(*window), rounding, inputs, outputs),
        Op::Conv3dInputGrad(window) => conv::compile_input_grad(conv::Window::Deep(*window), rounding, inputs, outputs),
        Op::Conv3dFilterGrad(window) => {
            conv::compile_filter_grad(conv::Window::Deep(*window), rounding, inputs, outputs)
        }
        Op::DepthwiseConv2d(window) => conv::depthwise::compile(window, inputs, outputs),
        Op::DepthwiseConv2dInputGrad(window) => conv::depthwise::compile_input_grad(window, inputs, outputs),
        Op::DepthwiseConv2dFilterGrad(window) => conv::depthwise::compile_filter_grad(window, inputs, outputs),
        Op::Pool2d { op, size, window } => pool::compile(*op, *size, window, inputs, outputs),
        Op::MaxPoolGrad { size, window } => pool::compile_max_grad(*size, window, inputs, outputs),
        Op::MaxPoolGradGrad { size, window } => pool::compile_max_grad_grad(*size, window, inputs, outputs),
        Op::AveragePoolGrad { size, window } => pool::compile_average_grad(*size, window, inputs, outputs),
    }
}
