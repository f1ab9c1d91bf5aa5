//! Neural networks: softmax and its losses, convolution, pooling, dropout.

use std::panic::Location;

use dormouse_value::{BinaryOp, Dim, Op, Padding, PoolOp, Window2d, broadcast_dims};

use crate::build::array::{Array, Extents};
use crate::build::elementwise::Elementwise;
use crate::build::linalg::Linalg;
use crate::build::matrices::scoped;
use crate::build::random::Uniform;
use crate::build::reduction::{Reduction, keep_dims};
use crate::node::Output;
use crate::tensor::{Operand, Symbol, Tensor};

/// How [`Nn::conv2d`] lays its windows, over the two inner axes of an NHWC tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    /// Steps between windows, `[height, width]`.
    pub strides: [u32; 2],
    /// How windows meet the border.
    pub padding: Padding,
    /// Steps between a window's taps, `[height, width]`.
    pub dilations: [u32; 2],
}

impl Default for Conv2d {
    fn default() -> Self {
        Conv2d { strides: [1, 1], padding: Padding::Same, dilations: [1, 1] }
    }
}

/// How [`Nn::max_pool`] and [`Nn::avg_pool`] lay their windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Cells of a window, `[height, width]`.
    pub size: [u32; 2],
    /// Steps between windows, `[height, width]`.
    pub strides: [u32; 2],
    /// How windows meet the border.
    pub padding: Padding,
}

impl Default for Pool {
    fn default() -> Self {
        Pool { size: [2, 2], strides: [2, 2], padding: Padding::Same }
    }
}

/// Neural networks' methods of tensors and variables.
pub trait Nn: Symbol {
    /// exp(x) / Σ exp(x) along the last axis.
    #[track_caller]
    fn softmax(self) -> Tensor {
        self.softmax_axis(-1)
    }

    /// exp(x) / Σ exp(x) along an axis.
    #[track_caller]
    fn softmax_axis(self, axis: i32) -> Tensor {
        apply(Op::Softmax { axis }, &[self.tensor()])
    }

    /// ln softmax(x) along the last axis.
    #[track_caller]
    fn log_softmax(self) -> Tensor {
        self.log_softmax_axis(-1)
    }

    /// ln softmax(x) along an axis.
    #[track_caller]
    fn log_softmax_axis(self, axis: i32) -> Tensor {
        apply(Op::LogSoftmax { axis }, &[self.tensor()])
    }

    /// −ln softmax(logits) at the labels: logits `[.., c]`, labels `[..]` of i32 or i64 → `[..]`. A label outside of
    /// `0..c` fails the run.
    #[track_caller]
    fn sparse_softmax_cross_entropy(self, labels: impl Operand) -> Tensor {
        let logits = self.tensor();
        let labels = labels.tensor_like(logits);
        apply(Op::SparseSoftmaxCrossEntropy, &[logits, labels])
    }

    /// −Σ labels · ln softmax(logits): logits and labels `[.., c]` → `[..]`. Each row of labels is a distribution. Extents
    /// of 1 broadcast, where the others' are known; labels of other floats become the logits'.
    #[track_caller]
    fn softmax_cross_entropy(self, labels: impl Operand) -> Tensor {
        let logits = self.tensor();
        let labels = labels.tensor_like(logits);
        let other = labels.dtype().is_float() && logits.dtype().is_float() && labels.dtype() != logits.dtype();
        let labels = if other { labels.cast(logits.dtype()) } else { labels };
        let [logits, labels] = beside(logits, labels);
        apply(Op::SoftmaxCrossEntropy, &[logits, labels])
    }

    /// max(z, 0) − z y + ln(1 + e^−|z|) of logits z and labels y, the cross-entropy of independent labels 0 to 1, element
    /// by element. TensorFlow's `sigmoid_cross_entropy_with_logits`.
    #[track_caller]
    fn sigmoid_cross_entropy(self, labels: impl Operand) -> Tensor {
        let logits = self.tensor();
        let labels = labels.tensor_like(logits);
        logistic(logits, labels, "sigmoid_cross_entropy", || {
            // ∂/∂z by selecting, so that it is σ(z) − y at 0 as well.
            let positive = logits.greater_equal(0.0);
            let above = positive.select(logits, logits.zeros_like());
            let minus_size = positive.select(-logits, logits);
            [above - logits * labels, minus_size.exp().log1p()]
        })
    }

    /// As [`Nn::sigmoid_cross_entropy`], with the labels' part of the loss times a weight, which broadcasts: above 1 for
    /// recall, below 1 for precision. TensorFlow's `weighted_cross_entropy_with_logits`.
    #[track_caller]
    fn weighted_cross_entropy(self, labels: impl Operand, weight: impl Operand) -> Tensor {
        let logits = self.tensor();
        let (labels, weight) = (labels.tensor_like(logits), weight.tensor_like(logits));
        logistic(logits, labels, "weighted_cross_entropy", || {
            let scale = (weight - 1.0) * labels + 1.0;
            let size = (-logits.abs()).exp().log1p() + (-logits).relu();
            [(1.0 - labels) * logits, scale * size]
        })
    }

    /// exp(z) − z y, the loss of counts y where this, z, is the logarithm of the rate. `full` adds Stirling's approximation of
    /// ln y! where y is above 1.
    #[track_caller]
    fn log_poisson_loss(self, targets: impl Operand, full: bool) -> Tensor {
        let z = self.tensor();
        let y = targets.tensor_like(z);
        if z.shape().unify(&y.shape()).is_none() {
            let told = format!("log_poisson_loss: the targets have shape {}, the logarithms {}", y.shape(), z.shape());
            return y.poisoned_or(told);
        }
        let graph = z.graph();
        scoped(graph, "log_poisson_loss", || {
            let loss = z.exp() - z * y;
            if !full {
                return loss;
            }
            let small = y.greater_equal(0.0) & y.less_equal(1.0);
            let large = small.select(1.0, y);
            let stirling = large * large.log() - large + (large * std::f64::consts::TAU).log() * 0.5;
            loss + small.select(stirling.zeros_like(), stirling)
        })
    }

    /// x w + b: `[n, k] × [k, m] + [m] → [n, m]`.
    #[track_caller]
    fn xw_plus_b(self, weights: impl Operand, biases: impl Operand) -> Tensor {
        let x = self.tensor();
        let (weights, biases) = (weights.tensor_like(x), biases.tensor_like(x));
        scoped(x.graph(), "xw_plus_b", || x.matmul(weights).bias_add(biases))
    }

    /// max(x w + b, 0): `[n, k] × [k, m] + [m] → [n, m]`.
    #[track_caller]
    fn relu_layer(self, weights: impl Operand, biases: impl Operand) -> Tensor {
        let x = self.tensor();
        let (weights, biases) = (weights.tensor_like(x), biases.tensor_like(x));
        scoped(x.graph(), "relu_layer", || x.matmul(weights).bias_add(biases).relu())
    }

    /// x + b, with b `[c]` along the last axis.
    #[track_caller]
    fn bias_add(self, bias: impl Operand) -> Tensor {
        let x = self.tensor();
        let bias = bias.tensor_like(x);
        let (shape, own) = (bias.shape(), x.shape());
        let fits = own.rank().is_none_or(|r| r >= 2) && own.dim(-1).unify(shape.dim(-1)).is_some();
        if shape.rank().is_some_and(|r| r != 1) || !fits {
            return x.poisoned_or(format!("bias_add: a bias of one axis goes along the last of {own}, not {shape}"));
        }
        x.graph().apply_named("BiasAdd", Op::Binary(dormouse_value::BinaryOp::Add), &[x, bias])
    }

    /// Convolution: `[n, h, w, i]` with a filter `[h, w, i, o]` → `[n, h', w', o]`. A filter of fewer channels than the
    /// image is of groups: each takes its channels, and gives its part of the results.
    #[track_caller]
    fn conv2d(self, filter: impl Operand, options: Conv2d) -> Tensor {
        let x = self.tensor();
        let filter = filter.tensor_like(x);
        let Conv2d { strides, padding, dilations } = options;
        apply(Op::Conv2d(Window2d { strides, dilations, padding }), &[x, filter])
    }

    /// The largest of each window of `[n, h, w, c]`; cells of padding are passed over.
    #[track_caller]
    fn max_pool(self, options: Pool) -> Tensor {
        pool(self.tensor(), PoolOp::Max, options)
    }

    /// The mean of each window's cells inside `[n, h, w, c]`.
    #[track_caller]
    fn avg_pool(self, options: Pool) -> Tensor {
        pool(self.tensor(), PoolOp::Average, options)
    }

    /// Elements zeroed with probability `rate`, the others times 1/(1 − rate): TensorFlow's `nn.dropout`, drawing the same
    /// mask from the same seed. A rate of 0 is the tensor itself.
    #[track_caller]
    fn dropout(self, rate: f64, seed: Option<i64>) -> Tensor {
        dropped(self.tensor(), rate, None, seed)
    }

    /// As [`Nn::dropout`], of whole parts: along axes where `noise` is 1 all elements are dropped or kept together; −1 is
    /// the tensor's own extent.
    #[track_caller]
    fn dropout_with(self, rate: f64, noise: impl Into<Extents>, seed: Option<i64>) -> Tensor {
        dropped(self.tensor(), rate, Some(noise.into()), seed)
    }
}

impl<S: Symbol> Nn for S {}

#[track_caller]
fn apply(op: Op, operands: &[Tensor]) -> Tensor {
    operands[0].graph().apply(op, operands)
}

#[track_caller]
fn pool(x: Tensor, op: PoolOp, options: Pool) -> Tensor {
    let Pool { size, strides, padding } = options;
    apply(Op::Pool2d { op, size, window: Window2d { strides, dilations: [1, 1], padding } }, &[x])
}

/// The sum of two terms that `f` makes of logits and labels of one shape.
#[track_caller]
fn logistic(logits: Tensor, labels: Tensor, what: &str, f: impl FnOnce() -> [Tensor; 2]) -> Tensor {
    let at = Location::caller();
    let graph = logits.graph();
    if !logits.dtype().is_float() {
        return logits.poisoned_or(format!("{what}: takes floats, not {}; cast it first", logits.dtype()));
    }
    if logits.shape().unify(&labels.shape()).is_none() {
        let shapes = (labels.shape(), logits.shape());
        return labels.poisoned_or(format!("{what}: the labels have shape {}, the logits {}", shapes.0, shapes.1));
    }
    graph.composite(at, "logistic_loss", |own| {
        let terms = f();
        let node = graph.push_op(at, own, Op::Binary(BinaryOp::Add), &terms);
        Tensor::new(graph.handle(), Output { node, port: 0 })
    })
}

/// Both broadcast to one shape, where it is known that they differ and that they can be.
#[track_caller]
fn beside(a: Tensor, b: Tensor) -> [Tensor; 2] {
    let (Some(x), Some(y)) = (a.shape().to_dims(), b.shape().to_dims()) else { return [a, b] };
    let Some(dims) = broadcast_dims(&x, &y).filter(|_| x != y && x.len() == y.len()) else { return [a, b] };
    [(a, x), (b, y)].map(|(t, own)| if own == dims { t } else { t.broadcast_to(&dims) })
}

#[track_caller]
fn dropped(x: Tensor, rate: f64, noise: Option<Extents>, seed: Option<i64>) -> Tensor {
    let at = Location::caller();
    let graph = x.graph();
    if !(0.0..1.0).contains(&rate) {
        return x.poisoned_or(format!("dropout: the rate is {rate}, not at least 0 and below 1"));
    }
    if !x.dtype().is_float() {
        return x.poisoned_or(format!("dropout: takes floats, not {}; cast it first", x.dtype()));
    }
    let mut together = Vec::new();
    if let Some(Extents(noise)) = &noise {
        let shape = x.shape();
        let fits = shape.dims().is_some_and(|dims| {
            let one = |(n, dim): (&i64, &Dim)| [-1, 1].contains(n) || dim.known().is_some_and(|own| own as i64 == *n);
            dims.len() == noise.len() && noise.iter().zip(dims).all(one)
        });
        if !fits {
            return x.poisoned_or(format!("dropout: noise of {:?} does not broadcast to {shape}", noise.as_slice()));
        }
        together.extend((0..).zip(noise).filter(|(_, n)| **n == 1).map(|(axis, _)| axis));
    }
    if rate == 0.0 {
        // Drawn all the same, so that what follows has the seeds that it has with any other rate.
        graph.seeds(seed);
        return x;
    }
    graph.located(|| {
        graph.composite(at, "dropout", |own| {
            let uniform = Uniform::default().dtype(x.dtype());
            // Only its shape is asked for, so it is never computed.
            let like = if together.is_empty() { x } else { x.sum_over(keep_dims(together)) };
            let drawn = graph.random_like(like, seed.map_or(uniform, |s| uniform.seed(s)));
            let scaled = x * (1.0 / (1.0 - rate));
            let kept = drawn.greater_equal(rate);
            let zero = 0.0_f64.tensor_like(x);
            let node = graph.push_op(at, own, Op::Select, &[kept, scaled, zero]);
            Tensor::new(graph.handle(), Output { node, port: 0 })
        })
    })
}
