//! Neural-network operations: softmaxes, cross entropies, convolutions and pooling.

use dormouse_graph::{Elementwise, Tensor};
use dormouse_value::{Op, PoolOp, ReduceOp, UnaryOp, Window2d, Window3d};
use smallvec::smallvec;

use super::{Found, Site};

fn sum_along(axis: i32, t: Tensor) -> Tensor {
    t.graph().apply(Op::Reduce { op: ReduceOp::Sum, axes: Some(smallvec![axis]), keep_dims: true }, &[t])
}

pub(super) fn softmax(axis: i32, dy: Tensor, y: Tensor) -> Tensor {
    (dy - sum_along(axis, dy * y)) * y
}

pub(super) fn log_softmax(axis: i32, dy: Tensor, y: Tensor) -> Tensor {
    dy - sum_along(axis, dy) * y.graph().apply(Op::Unary(UnaryOp::Exp), &[y])
}

/// Both cross entropies: port 0 is the loss, port 1 its derivative by the logits.
pub(super) fn cross_entropy(s: &Site<'_>) -> Found {
    let (logits, derivative) = (s.x[0], s.y.port(1));
    let column = s.dy[0].map(|loss| s.graph.apply(Op::ExpandDims { axes: smallvec![-1] }, &[loss]));
    let join = |a: Option<Tensor>, b: Option<Tensor>| match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (one, other) => one.or(other),
    };
    let of = |i: usize| s.wanted[i] && s.x[i].dtype().is_float();
    let of_logits = of(0).then(|| {
        let through = s.dy[1].map(|g| softmax(-1, g, s.graph.apply(Op::Softmax { axis: -1 }, &[logits])));
        join(column.map(|c| c * derivative), through)
    });
    let of_labels = of(1).then(|| {
        let log = || s.graph.apply(Op::LogSoftmax { axis: -1 }, &[logits]);
        join(column.map(|c| c * -log()), s.dy[1].map(|g| -g))
    });
    smallvec![of_logits.flatten(), of_labels.flatten()]
}

/// A convolution and its gradients by input and filter: of any of the three, the gradients are the other two.
pub(super) struct Convolution {
    pub(super) forward: Op,
    pub(super) to_input: Op,
    pub(super) to_filter: Op,
}

pub(super) fn conv2d(window: Window2d) -> Convolution {
    let (to_input, to_filter) = (Op::Conv2dInputGrad(window), Op::Conv2dFilterGrad(window));
    Convolution { forward: Op::Conv2d(window), to_input, to_filter }
}

pub(super) fn depthwise(window: Window2d) -> Convolution {
    let (to_input, to_filter) = (Op::DepthwiseConv2dInputGrad(window), Op::DepthwiseConv2dFilterGrad(window));
    Convolution { forward: Op::DepthwiseConv2d(window), to_input, to_filter }
}

pub(super) fn conv3d(window: Window3d) -> Convolution {
    let (to_input, to_filter) = (Op::Conv3dInputGrad(window), Op::Conv3dFilterGrad(window));
    Convolution { forward: Op::Conv3d(window), to_input, to_filter }
}

impl Convolution {
    /// (x, filter) → y.
    pub(super) fn of_forward(self, s: &Site<'_>) -> Found {
        let (Some(dy), x, filter) = (s.dy[0], s.x[0], s.x[1]) else { return Found::new() };
        let dx = s.of(0, || s.graph.apply(self.to_input, &[dy, filter, x]));
        smallvec![dx, s.of(1, || s.graph.apply(self.to_filter, &[x, dy, filter]))]
    }

    /// (dy, filter, like x) → dx.
    pub(super) fn of_to_input(self, s: &Site<'_>) -> Found {
        let (Some(g), dy, filter) = (s.dy[0], s.x[0], s.x[1]) else { return Found::new() };
        let of_dy = s.of(0, || s.graph.apply(self.forward, &[g, filter]));
        smallvec![of_dy, s.of(1, || s.graph.apply(self.to_filter, &[g, dy, filter]))]
    }

    /// (x, dy, like filter) → the filter's.
    pub(super) fn of_to_filter(self, s: &Site<'_>) -> Found {
        let (Some(g), x, dy) = (s.dy[0], s.x[0], s.x[1]) else { return Found::new() };
        let of_x = s.of(0, || s.graph.apply(self.to_input, &[dy, g, x]));
        smallvec![of_x, s.of(1, || s.graph.apply(self.forward, &[x, g]))]
    }
}

pub(super) fn pool(op: PoolOp, size: [u32; 2], window: Window2d, dy: Tensor, s: &Site<'_>) -> Tensor {
    match op {
        PoolOp::Max => s.graph.apply(Op::MaxPoolGrad { size, window }, &[s.x[0], s.y, dy]),
        PoolOp::Average => s.graph.apply(Op::AveragePoolGrad { size, window }, &[dy, s.x[0]]),
    }
}

/// Max pooling's gradient and the gradient of that, each other's transposes. Which cell was largest is a step, so x and
/// y get zeros.
pub(super) fn max_pool_grad(size: [u32; 2], window: Window2d, first: bool, s: &Site<'_>) -> Found {
    let Some(g) = s.dy[0] else { return Found::new() };
    let op = if first { Op::MaxPoolGradGrad { size, window } } else { Op::MaxPoolGrad { size, window } };
    smallvec![
        s.of(0, || s.x[0].zeros_like()),
        s.of(1, || s.x[1].zeros_like()),
        s.of(2, || s.graph.apply(op, &[s.x[0], s.x[1], g]))
    ]
}

pub(super) fn average_pool(size: [u32; 2], window: Window2d, g: Tensor) -> Tensor {
    g.graph().apply(Op::Pool2d { op: PoolOp::Average, size, window }, &[g])
}
