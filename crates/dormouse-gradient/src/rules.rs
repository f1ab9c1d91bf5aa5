//! The rules: for every operation, the gradients of its operands from those of its results. One exhaustive match, with
//! the rules of each family in a file of its own.

mod array;
mod elementwise;
mod linalg;
mod nn;
mod order;
mod reduction;

use dormouse_graph::{Elementwise, Graph, Node, NodeId, Output, Tensor};
use dormouse_value::{BinaryOp, DType, DynamicOp, Op, ReduceOp, SegmentOp, UnaryOp};
use smallvec::{SmallVec, smallvec};

/// One gradient an operand; missing ones at the end are `None`.
pub(crate) type Found = SmallVec<[Option<Tensor>; 3]>;

/// A node to differentiate.
pub(crate) struct Site<'a> {
    pub(crate) graph: &'static Graph,
    /// Its operands.
    pub(crate) x: SmallVec<[Tensor; 3]>,
    /// Its first result.
    pub(crate) y: Tensor,
    /// Which operands need a gradient.
    pub(crate) wanted: &'a [bool],
    /// What reached its results, one a port.
    pub(crate) dy: &'a [Option<Tensor>],
}

impl<'a> Site<'a> {
    pub(crate) fn new(
        graph: &'static Graph,
        id: NodeId,
        node: &Node,
        wanted: &'a [bool],
        dy: &'a [Option<Tensor>],
    ) -> Self {
        let x = node.operands.iter().map(|o| graph.output(*o)).collect();
        Site { graph, x, y: graph.output(Output { node: id, port: 0 }), wanted, dy }
    }

    /// The gradient of operand `index`, built if it is needed and carries one.
    pub(crate) fn of(&self, index: usize, f: impl FnOnce() -> Tensor) -> Option<Tensor> {
        (self.wanted[index] && self.x[index].dtype().is_float()).then(f)
    }

    pub(crate) fn unary(&self, op: UnaryOp, x: Tensor) -> Tensor {
        self.graph.apply(Op::Unary(op), &[x])
    }

    /// `g` summed back to operand `index`'s shape, where that may differ.
    pub(crate) fn sum_like(&self, g: Tensor, index: usize) -> Tensor {
        let (from, to) = (g.shape().to_dims(), self.x[index].shape().to_dims());
        if from.is_some() && from == to { g } else { self.graph.apply(Op::SumLike, &[g, self.x[index]]) }
    }
}

/// The gradients of a node's operands.
pub(crate) fn rule(op: &Op, s: &Site<'_>) -> Found {
    let one = |f: &dyn Fn(Tensor) -> Tensor| -> Found { smallvec![s.dy[0].and_then(|dy| s.of(0, || f(dy)))] };
    let apply = |op: Op, operands: &[Tensor]| s.graph.apply(op, operands);
    match op {
        Op::Identity | Op::EnsureShape { .. } | Op::CheckNumerics { .. } => one(&|dy| dy),
        Op::StopGradient
        | Op::Compare(_)
        | Op::Logical(_)
        | Op::ArgMax { .. }
        | Op::ArgMin { .. }
        | Op::OneHot { .. }
        | Op::ShapeOf { .. }
        | Op::SizeOf { .. }
        | Op::Iota { .. }
        | Op::SearchSorted { .. }
        | Op::NonMaxSuppression { .. }
        | Op::Bitcast { .. } => Found::new(),
        Op::Unary(op) => elementwise::unary(*op, s),
        Op::Binary(op) => elementwise::binary(*op, s),
        Op::Select => elementwise::select(s),
        Op::Cast { .. } => one(&|dy| dy.cast(s.x[0].dtype())),
        Op::AddN => (0..s.x.len()).map(|i| s.dy[0].and_then(|dy| s.of(i, || dy))).collect(),
        Op::Reduce { op, axes, keep_dims } => reduction::reduce(*op, axes.as_deref(), *keep_dims, s),
        Op::Cumulative { op, axis, exclusive, reverse } => {
            one(&|dy| reduction::cumulative(*op, *axis, *exclusive, *reverse, dy, s))
        }
        Op::MatMul { transpose_a, transpose_b } => linalg::matmul(*transpose_a, *transpose_b, s),
        Op::Reshape { .. } | Op::ReshapeLike | Op::ExpandDims { .. } | Op::Squeeze { .. } | Op::Regroup { .. } => {
            one(&|dy| apply(Op::ReshapeLike, &[dy, s.x[0]]))
        }
        Op::Transpose { perm } => one(&|dy| array::transpose(perm, dy, s)),
        Op::Concat { axis } => array::concat(*axis, s),
        Op::ConcatGrad { axis, index } => one(&|g| array::concat_grad(*axis, *index, g, s)),
        Op::Slice { begin, .. } | Op::SliceLike { begin } => {
            one(&|dy| apply(Op::SliceGrad { begin: begin.clone() }, &[dy, s.x[0]]))
        }
        Op::SliceGrad { begin } => one(&|g| apply(Op::SliceLike { begin: begin.clone() }, &[g, s.x[0]])),
        Op::Pad { paddings, .. } => one(&|dy| {
            let begin = paddings.iter().map(|[before, _]| i64::from(*before)).collect();
            apply(Op::SliceLike { begin }, &[dy, s.x[0]])
        }),
        Op::Tile { multiples } => one(&|dy| array::tile(multiples, dy, s)),
        Op::TileGrad { multiples } => one(&|g| apply(Op::Tile { multiples: multiples.clone() }, &[g])),
        Op::Gather { axis } => one(&|dy| array::gather(*axis, dy, s)),
        Op::GatherGrad { axis } => one(&|g| apply(Op::Gather { axis: *axis }, &[g, s.x[1]])),
        Op::BroadcastTo { .. } | Op::BroadcastLike => one(&|dy| apply(Op::SumLike, &[dy, s.x[0]])),
        Op::SumLike => one(&|g| apply(Op::BroadcastLike, &[g, s.x[0]])),
        Op::Softmax { axis } => one(&|dy| nn::softmax(*axis, dy, s.y)),
        Op::LogSoftmax { axis } => one(&|dy| nn::log_softmax(*axis, dy, s.y)),
        Op::SoftmaxCrossEntropy | Op::SparseSoftmaxCrossEntropy => nn::cross_entropy(s),
        Op::L2Loss => one(&|dy| dy * s.x[0]),
        Op::Conv2d(window) => nn::conv2d(*window).of_forward(s),
        Op::Conv2dInputGrad(window) => nn::conv2d(*window).of_to_input(s),
        Op::Conv2dFilterGrad(window) => nn::conv2d(*window).of_to_filter(s),
        Op::DepthwiseConv2d(window) => nn::depthwise(*window).of_forward(s),
        Op::DepthwiseConv2dInputGrad(window) => nn::depthwise(*window).of_to_input(s),
        Op::DepthwiseConv2dFilterGrad(window) => nn::depthwise(*window).of_to_filter(s),
        Op::Conv3d(window) => nn::conv3d(*window).of_forward(s),
        Op::Conv3dInputGrad(window) => nn::conv3d(*window).of_to_input(s),
        Op::Conv3dFilterGrad(window) => nn::conv3d(*window).of_to_filter(s),
        Op::Pool2d { op, size, window } => one(&|dy| nn::pool(*op, *size, *window, dy, s)),
        Op::MaxPoolGrad { size, window } => nn::max_pool_grad(*size, *window, true, s),
        Op::MaxPoolGradGrad { size, window } => nn::max_pool_grad(*size, *window, false, s),
        Op::AveragePoolGrad { size, window } => one(&|g| nn::average_pool(*size, *window, g)),
        Op::StridedSlice { parts } => one(&|dy| apply(Op::StridedSliceGrad { parts: parts.clone() }, &[dy, s.x[0]])),
        Op::StridedSliceGrad { parts } => one(&|g| apply(Op::StridedSlice { parts: parts.clone() }, &[g])),
        Op::ResizeImages(resize) => one(&|dy| apply(Op::ResizeImagesGrad(*resize), &[dy, s.x[0]])),
        Op::ResizeImagesGrad(resize) => one(&|g| apply(Op::ResizeImages(*resize), &[g])),
        Op::GatherNd { batch_dims } => one(&|dy| array::gather_nd(*batch_dims, dy, s)),
        Op::ScatterNd { op, batch_dims } => array::scatter_nd(*op, *batch_dims, s),
        &Op::Segment { op, segments, .. } => one(&|dy| {
            let spread = |t| apply(Op::SegmentSpread { segments }, &[t, s.x[1]]);
            order::segment(op, dy, s, &spread, &|op, t| {
                apply(Op::Segment { op, segments, sorted: false }, &[t, s.x[1]])
            })
        }),
        Op::SegmentSpread { segments } => one(&|g| {
            let op = Op::Segment { op: SegmentOp::Sum, segments: *segments, sorted: false };
            apply(op, &[g, s.x[1]])
        }),
        Op::TopK { .. } => one(&|dy| apply(Op::PickGrad, &[dy, s.y.port(1), s.x[0]])),
        Op::Pick => one(&|dy| apply(Op::PickGrad, &[dy, s.x[1], s.x[0]])),
        Op::PickGrad => one(&|g| apply(Op::Pick, &[g, s.x[1]])),
        Op::Cholesky => one(&|dy| linalg::cholesky(dy, s)),
        Op::TriangularSolve { lower, adjoint } => linalg::triangular_solve(*lower, *adjoint, s),
        Op::MatrixSolve { adjoint } => linalg::matrix_solve(*adjoint, s),
        Op::MatrixInverse { adjoint } => one(&|dy| linalg::matrix_inverse(*adjoint, dy, s)),
        Op::Determinant => one(&|dy| linalg::of_determinant(dy * s.y, s)),
        Op::Qr { full } => linalg::qr(*full, s),
        Op::SelfAdjointEig => linalg::self_adjoint_eig(s),
        Op::Svd { full } => linalg::svd(*full, s),
        Op::Betainc => elementwise::betainc(s),
        Op::MatrixExponential => one(&|dy| linalg::matrix_exponential(dy, s)),
        // The sign is the same all around, where it is not 0.
        Op::LogDeterminant => smallvec![s.of(0, || match s.dy[1] {
            Some(dy) => linalg::of_determinant(dy, s),
            None => s.x[0].zeros_like(),
        })],
    }
}

/// Of draws `[samples, a..]` from the gamma distribution of shapes `[a..]`: with what a draw has of its distribution held, each
/// changes with its shape, as in TensorFlow.
pub(crate) fn gamma_draw(s: &Site<'_>) -> Found {
    let Some(dy) = s.dy[0] else { return Found::new() };
    let shapes = s.x[0];
    let gradient = s.of(0, || {
        let wide = if shapes.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
        let slope = s.graph.apply(Op::Binary(BinaryOp::RandomGammaGrad), &[shapes.cast(wide), s.y.cast(wide)]);
        let op = Op::Reduce { op: ReduceOp::Sum, axes: Some(smallvec![0]), keep_dims: false };
        s.graph.apply(op, &[dy * slope.cast(shapes.dtype())])
    });
    smallvec![gradient]
}

/// The gradients of the operands of a node whose shape depends on numbers.
pub(crate) fn dynamic(op: &DynamicOp, s: &Site<'_>) -> Found {
    let one = |f: &dyn Fn(Tensor) -> Tensor| -> Found { smallvec![s.dy[0].and_then(|dy| s.of(0, || f(dy)))] };
    let apply = |op: DynamicOp, operands: &[Tensor]| s.graph.apply_dynamic(op, operands);
    match op {
        DynamicOp::NonZero | DynamicOp::Unique { .. } | DynamicOp::Range => Found::new(),
        DynamicOp::Reshape => one(&|dy| s.graph.apply(Op::ReshapeLike, &[dy, s.x[0]])),
        DynamicOp::BroadcastTo => one(&|dy| s.graph.apply(Op::SumLike, &[dy, s.x[0]])),
        DynamicOp::Tile => one(&|dy| apply(DynamicOp::TileGrad, &[dy, s.x[1]])),
        DynamicOp::TileGrad => one(&|g| apply(DynamicOp::Tile, &[g, s.x[1]])),
        DynamicOp::Slice => one(&|dy| apply(DynamicOp::SliceGrad, &[dy, s.x[0], s.x[1]])),
        DynamicOp::SliceGrad => one(&|g| {
            let size = s.graph.apply(Op::ShapeOf { output: s.x[2].dtype() }, &[s.x[0]]);
            apply(DynamicOp::Slice, &[g, s.x[2], size])
        }),
        DynamicOp::Segment { op, .. } => one(&|dy| {
            let (ids, n) = (s.x[1], s.x[2]);
            let of = |op, t| apply(DynamicOp::Segment { op, sorted: false }, &[t, ids, n]);
            order::segment(*op, dy, s, &|t| apply(DynamicOp::SegmentSpread, &[t, ids, n]), &of)
        }),
        DynamicOp::SegmentSpread => {
            one(&|g| apply(DynamicOp::Segment { op: SegmentOp::Sum, sorted: false }, &[g, s.x[1], s.x[2]]))
        }
    }
}
