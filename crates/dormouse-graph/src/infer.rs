//! Inference: the dtypes and shapes that an operation gives, from what is known of its operands. One exhaustive match,
//! with the rules of each family in a file of its own.

mod array;
pub(crate) mod draw;
mod dynamic;
mod elementwise;
mod image;
mod linalg;
mod nn;
mod order;
mod part;
mod reduction;

use dormouse_value::{Dim, Op, Shape, element_count};
use smallvec::{SmallVec, smallvec};

use crate::node::Fact;

pub use dynamic::infer_dynamic;

/// What a rule gives: facts, or what is wrong with the operands.
type Facts = Result<SmallVec<[Fact; 1]>, String>;

/// What an operation gives, or what is wrong with its operands, in one line that starts with the operation's name.
///
/// Where every extent of the operands is known, so is every extent of the results.
///
/// # Errors
/// When no dtype or shape that the operands may have suits the operation.
pub fn infer(op: &Op, operands: &[Fact]) -> Result<SmallVec<[Fact; 1]>, String> {
    let name = crate::names::called(op);
    let any_number = matches!(op, Op::AddN | Op::Concat { .. } | Op::ConcatGrad { .. });
    let least = arity(op);
    if any_number && operands.len() < least {
        return Err(format!("{name}: takes {least} operands at least, got {}", operands.len()));
    }
    let expected = if any_number { operands.len() } else { least };
    if operands.len() != expected {
        return Err(format!("{name}: takes {expected} operands, got {}", operands.len()));
    }
    let told = |message: String| format!("{name}: {message}");
    rule(op, operands).and_then(fits_memory).map_err(told)
}

/// Refuses a result that no machine could hold, so that a file cannot ask for one.
fn fits_memory(facts: SmallVec<[Fact; 1]>) -> Facts {
    for fact in &facts {
        let Some(dims) = fact.shape.to_dims() else { continue };
        let bytes = element_count(&dims).and_then(|n| n.checked_mul(fact.dtype.size()));
        if bytes.is_none_or(|n| isize::try_from(n).is_err()) {
            return Err(format!("the result, {} of {}, does not fit in memory", fact.shape, fact.dtype));
        }
    }
    Ok(facts)
}

/// How many operands an operation takes, at least.
fn arity(op: &Op) -> usize {
    match op {
        Op::Select
        | Op::Betainc
        | Op::GatherGrad { .. }
        | Op::Conv2dInputGrad(_)
        | Op::Conv2dFilterGrad(_)
        | Op::DepthwiseConv2dInputGrad(_)
        | Op::DepthwiseConv2dFilterGrad(_)
        | Op::Conv3dInputGrad(_)
        | Op::Conv3dFilterGrad(_)
        | Op::MaxPoolGrad { .. }
        | Op::MaxPoolGradGrad { .. }
        | Op::ScatterNd { .. }
        | Op::PickGrad => 3,
        Op::ConcatGrad { .. }
        | Op::Binary(_)
        | Op::Compare(_)
        | Op::Logical(_)
        | Op::MatMul { .. }
        | Op::ReshapeLike
        | Op::SliceLike { .. }
        | Op::SliceGrad { .. }
        | Op::Gather { .. }
        | Op::BroadcastLike
        | Op::SumLike
        | Op::SoftmaxCrossEntropy
        | Op::SparseSoftmaxCrossEntropy
        | Op::Conv2d(_)
        | Op::DepthwiseConv2d(_)
        | Op::Conv3d(_)
        | Op::AveragePoolGrad { .. }
        | Op::StridedSliceGrad { .. }
        | Op::GatherNd { .. }
        | Op::Segment { .. }
        | Op::SegmentSpread { .. }
        | Op::Pick
        | Op::SearchSorted { .. }
        | Op::TriangularSolve { .. }
        | Op::MatrixSolve { .. }
        | Op::ResizeImagesGrad(_)
        | Op::NonMaxSuppression { .. } => 2,
        Op::Identity
        | Op::StopGradient
        | Op::EnsureShape { .. }
        | Op::CheckNumerics { .. }
        | Op::Unary(_)
        | Op::Cast { .. }
        | Op::AddN
        | Op::Reduce { .. }
        | Op::ArgMax { .. }
        | Op::ArgMin { .. }
        | Op::Cumulative { .. }
        | Op::Reshape { .. }
        | Op::ExpandDims { .. }
        | Op::Squeeze { .. }
        | Op::Transpose { .. }
        | Op::Concat { .. }
        | Op::Slice { .. }
        | Op::Pad { .. }
        | Op::Tile { .. }
        | Op::TileGrad { .. }
        | Op::OneHot { .. }
        | Op::BroadcastTo { .. }
        | Op::ShapeOf { .. }
        | Op::SizeOf { .. }
        | Op::Softmax { .. }
        | Op::LogSoftmax { .. }
        | Op::L2Loss
        | Op::Pool2d { .. }
        | Op::StridedSlice { .. }
        | Op::Regroup { .. }
        | Op::Iota { .. }
        | Op::TopK { .. }
        | Op::Cholesky
        | Op::MatrixInverse { .. }
        | Op::Determinant
        | Op::LogDeterminant
        | Op::ResizeImages(_)
        | Op::Qr { .. }
        | Op::SelfAdjointEig
        | Op::Svd { .. }
        | Op::Bitcast { .. }
        | Op::MatrixExponential => 1,
    }
}

fn rule(op: &Op, x: &[Fact]) -> Facts {
    match op {
        Op::Identity | Op::StopGradient => one(x[0].clone()),
        Op::EnsureShape { shape } => elementwise::ensure_shape(shape, &x[0]),
        Op::CheckNumerics { .. } => elementwise::floats(&x[0]),
        Op::Unary(op) => elementwise::unary(*op, &x[0]),
        Op::Binary(op) => elementwise::binary(*op, &x[0], &x[1]),
        Op::Compare(op) => elementwise::compare(*op, &x[0], &x[1]),
        Op::Logical(_) => elementwise::logical(&x[0], &x[1]),
        Op::Select => elementwise::select(&x[0], &x[1], &x[2]),
        Op::Cast { to } => one(Fact { dtype: *to, shape: x[0].shape.clone() }),
        Op::AddN => elementwise::add_n(x),
        Op::Reduce { op, axes, keep_dims } => reduction::reduce(*op, axes.as_deref(), *keep_dims, &x[0]),
        Op::ArgMax { axis, output } | Op::ArgMin { axis, output } => reduction::arg(*axis, *output, &x[0]),
        Op::Cumulative { op, axis, .. } => reduction::cumulative(*op, *axis, &x[0]),
        Op::MatMul { transpose_a, transpose_b } => array::matmul(*transpose_a, *transpose_b, &x[0], &x[1]),
        Op::Reshape { dims } => array::reshape(dims, &x[0]),
        Op::ReshapeLike => array::reshape_like(&x[0], &x[1]),
        Op::ExpandDims { axes } => array::expand_dims(axes, &x[0]),
        Op::Squeeze { axes } => array::squeeze(axes, &x[0]),
        Op::Transpose { perm } => array::transpose(perm, &x[0]),
        Op::Concat { axis } => array::concat(*axis, x),
        Op::ConcatGrad { axis, index } => array::concat_grad(*axis, *index, x),
        Op::Slice { begin, size } => array::slice(begin, size, &x[0]),
        Op::SliceLike { begin } => array::slice_like(begin, &x[0], &x[1]),
        Op::SliceGrad { begin } => array::slice_grad(begin, &x[0], &x[1]),
        Op::Pad { paddings, value } => array::pad(paddings, value.0, &x[0]),
        Op::Tile { multiples } => array::tile(multiples, &x[0]),
        Op::TileGrad { multiples } => array::tile_grad(multiples, &x[0]),
        Op::Gather { axis } => array::gather(*axis, &x[0], &x[1]),
        Op::GatherGrad { axis } => array::gather_grad(*axis, &x[0], &x[1], &x[2]),
        Op::OneHot { depth, axis, dtype, .. } => array::one_hot(*depth, *axis, *dtype, &x[0]),
        Op::BroadcastTo { dims } => array::broadcast_to(dims, &x[0]),
        Op::BroadcastLike => array::broadcast_like(&x[0], &x[1]),
        Op::SumLike => array::sum_like(&x[0], &x[1]),
        Op::ShapeOf { output } => array::shape_of(*output, &x[0]),
        Op::SizeOf { output } => array::size_of(*output),
        Op::Softmax { axis } | Op::LogSoftmax { axis } => nn::softmax(*axis, &x[0]),
        Op::SoftmaxCrossEntropy => nn::cross_entropy(&x[0], &x[1]),
        Op::SparseSoftmaxCrossEntropy => nn::sparse_cross_entropy(&x[0], &x[1]),
        Op::L2Loss => {
            elementwise::floats(&x[0])?;
            one(Fact { dtype: x[0].dtype, shape: Shape::scalar() })
        }
        Op::Conv2d(window) => nn::convolution(&nn::conv2d(window), &x[0], &x[1]),
        Op::Conv2dInputGrad(window) => nn::convolution_grad(&nn::conv2d(window), &x[2], &x[1], &x[0], &x[2]),
        Op::Conv2dFilterGrad(window) => nn::convolution_grad(&nn::conv2d(window), &x[0], &x[2], &x[1], &x[2]),
        Op::Pool2d { op, size, window } => nn::pool(*op, *size, window, &x[0]),
        Op::MaxPoolGrad { size, window } => nn::max_pool_grad(*size, window, x, true),
        Op::MaxPoolGradGrad { size, window } => nn::max_pool_grad(*size, window, x, false),
        Op::AveragePoolGrad { size, window } => nn::average_pool_grad(*size, window, &x[0], &x[1]),
        Op::StridedSlice { parts } => part::strided_slice(parts, &x[0]),
        Op::StridedSliceGrad { parts } => part::strided_slice_grad(parts, &x[0], &x[1]),
        Op::Regroup { axis, count, dims } => part::regroup(*axis, *count, dims, &x[0]),
        Op::GatherNd { batch_dims } => part::gather_nd(*batch_dims, &x[0], &x[1]),
        Op::ScatterNd { op, batch_dims } => part::scatter_nd(*op, *batch_dims, &x[0], &x[1], &x[2]),
        Op::Iota { axis, dtype } => part::iota(*axis, *dtype, &x[0]),
        Op::Segment { segments, sorted, .. } => order::segment(*segments, *sorted, &x[0], &x[1]),
        Op::SegmentSpread { segments } => order::segment_spread(*segments, &x[0], &x[1]),
        Op::TopK { k } => order::top_k(*k, &x[0]),
        Op::Pick => order::pick(&x[0], &x[1]),
        Op::PickGrad => order::pick_grad(&x[0], &x[1], &x[2]),
        Op::SearchSorted { output, .. } => order::search_sorted(*output, &x[0], &x[1]),
        Op::DepthwiseConv2d(window) => nn::convolution(&nn::depthwise(window), &x[0], &x[1]),
        Op::DepthwiseConv2dInputGrad(window) => {
            nn::convolution_grad(&nn::depthwise(window), &x[2], &x[1], &x[0], &x[2])
        }
        Op::DepthwiseConv2dFilterGrad(window) => {
            nn::convolution_grad(&nn::depthwise(window), &x[0], &x[2], &x[1], &x[2])
        }
        Op::Conv3d(window) => nn::convolution(&nn::conv3d(window), &x[0], &x[1]),
        Op::Conv3dInputGrad(window) => nn::convolution_grad(&nn::conv3d(window), &x[2], &x[1], &x[0], &x[2]),
        Op::Conv3dFilterGrad(window) => nn::convolution_grad(&nn::conv3d(window), &x[0], &x[2], &x[1], &x[2]),
        Op::Cholesky | Op::MatrixExponential => linalg::of_square(&x[0]),
        Op::MatrixInverse { .. } => linalg::inverse(&x[0]),
        Op::TriangularSolve { .. } | Op::MatrixSolve { .. } => linalg::solve(&x[0], &x[1]),
        Op::Determinant => linalg::determinant(&x[0]),
        Op::LogDeterminant => linalg::log_determinant(&x[0]),
        Op::ResizeImages(resize) => image::resize(*resize, &x[0]),
        Op::ResizeImagesGrad(resize) => image::resize_grad(*resize, &x[0], &x[1]),
        Op::NonMaxSuppression { size, .. } => image::suppress(*size, &x[0], &x[1]),
        Op::Qr { full } => linalg::qr(*full, &x[0]),
        Op::SelfAdjointEig => linalg::self_adjoint_eig(&x[0]),
        Op::Svd { full } => linalg::svd(*full, &x[0]),
        Op::Betainc => elementwise::betainc(&x[0], &x[1], &x[2]),
        Op::Bitcast { to } => elementwise::bitcast(*to, &x[0]),
    }
}

#[allow(clippy::unnecessary_wraps, reason = "rules end in it")]
fn one(fact: Fact) -> Facts {
    Ok(smallvec![fact])
}

/// An axis counted from the front.
fn axis_of(axis: i32, rank: usize) -> Result<usize, String> {
    let from_front = i64::from(axis) + if axis < 0 { rank as i64 } else { 0 };
    usize::try_from(from_front)
        .ok()
        .filter(|a| *a < rank)
        .ok_or_else(|| format!("axis {axis} is outside a shape of {rank} axes"))
}

/// Two shapes that must be one.
fn unified(what: &str, a: &Shape, b: &Shape) -> Result<Shape, String> {
    a.unify(b).ok_or_else(|| format!("{what}: {a} and {b}"))
}

fn same_dtype(a: &Fact, b: &Fact) -> Result<(), String> {
    if a.dtype == b.dtype {
        Ok(())
    } else {
        Err(format!("dtypes differ: {} and {}; cast one of them", a.dtype, b.dtype))
    }
}

/// A shape that must have this rank; its extents, unknown where the rank was.
fn of_rank(what: &str, shape: &Shape, rank: usize) -> Result<SmallVec<[Dim; 4]>, String> {
    match shape.dims() {
        None => Ok(SmallVec::from_elem(Dim::Unknown, rank)),
        Some(dims) if dims.len() == rank => Ok(dims.iter().copied().collect()),
        Some(_) => Err(format!("{what} must have {rank} axes, its shape is {shape}")),
    }
}

#[cfg(test)]
mod tests {
    use dormouse_value::{BinaryOp, DType, UnaryOp, shape};

    use super::*;

    fn told(op: Op, operands: &[Shape]) -> String {
        let facts: Vec<Fact> = operands.iter().map(|s| Fact::new(DType::F32, s)).collect();
        infer(&op, &facts).map_or_else(|message| message, |facts| facts[0].shape.to_string())
    }

    #[test]
    fn mistakes_name_the_method_and_the_shapes() {
        let matmul = Op::MatMul { transpose_a: false, transpose_b: false };
        assert_eq!(
            told(matmul.clone(), &[shape![?, 784], shape![500, 10]]),
            "matmul: inner dimensions differ: [?, 784] × [500, 10]"
        );
        assert_eq!(told(matmul, &[shape![?, 784], shape![784, 10]]), "[?, 10]");
        let gather = told(Op::Gather { axis: 0 }, &[shape![3], shape![2]]);
        assert!(gather.starts_with("gather: ") && gather.contains("f32"), "{gather}");
        let operands = [Fact::new(DType::F32, [2]), Fact::new(DType::I64, [2])];
        assert_eq!(
            infer(&Op::Binary(BinaryOp::Add), &operands),
            Err("add: dtypes differ: f32 and i64; cast one of them".to_owned())
        );
    }

    #[test]
    fn operands_are_counted() {
        for op in [Op::Unary(UnaryOp::Relu), Op::Binary(BinaryOp::Add), Op::Select, Op::AddN, Op::Concat { axis: 0 }] {
            assert!(infer(&op, &[]).is_err(), "{op:?}");
        }
    }

    #[test]
    fn parts_that_are_longer_together_than_can_be_counted_are_refused() {
        let long = told(Op::Concat { axis: 0 }, &[shape![usize::MAX], shape![1]]);
        assert!(long.ends_with("are longer than can be counted"), "{long}");
        assert_eq!(told(Op::Concat { axis: 0 }, &[shape![?], shape![1]]), "[?]");
    }

    #[test]
    fn results_that_no_machine_holds_are_refused() {
        let huge = Op::BroadcastTo { dims: SmallVec::from_slice(&[1 << 40, 1 << 40]) };
        assert!(told(huge, &[shape![]]).ends_with("does not fit in memory"));
        let many = Op::Tile { multiples: SmallVec::from_slice(&[u32::MAX, u32::MAX]) };
        assert!(told(many, &[shape![1 << 20, 1 << 20]]).ends_with("does not fit in memory"));
    }
}
