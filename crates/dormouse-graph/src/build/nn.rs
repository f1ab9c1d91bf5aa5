//! Neural networks: softmax and its losses, convolution, pooling, dropout.

use std::panic::Location;

use dormouse_value::{Op, Padding, PoolOp, Window2d};

use crate::build::elementwise::Elementwise;
use crate::build::random::Uniform;
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

    /// −Σ labels · ln softmax(logits): logits and labels `[.., c]` → `[..]`. Each row of labels is a distribution.
    #[track_caller]
    fn softmax_cross_entropy(self, labels: impl Operand) -> Tensor {
        let logits = self.tensor();
        let labels = labels.tensor_like(logits);
        apply(Op::SoftmaxCrossEntropy, &[logits, labels])
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

    /// Convolution: `[n, h, w, i]` with a filter `[h, w, i, o]` → `[n, h', w', o]`.
    #[track_caller]
    fn conv2d(self, filter: impl Operand, options: Conv2d) -> Tensor {
        let x = self.tensor();
        let filter = filter.tensor_like(x);
        let Conv2d { strides, padding, dilations } = options;
        apply(Op::Conv2d(Window2d { strides, dilations, padding }), &[x, filter])
    }

    /// The largest of each window of `[n, h, w, c]`.
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
        let at = Location::caller();
        let x = self.tensor();
        let graph = x.graph();
        if !(0.0..1.0).contains(&rate) {
            return x.poisoned_or(format!("dropout: the rate is {rate}, not at least 0 and below 1"));
        }
        if !x.dtype().is_float() {
            return x.poisoned_or(format!("dropout: takes f32 or f64, not {}; cast it first", x.dtype()));
        }
        if rate == 0.0 {
            // Drawn all the same, so that what follows has the seeds that it has with any other rate.
            graph.seeds(seed);
            return x;
        }
        graph.located(|| {
            graph.composite(at, "dropout", |own| {
                let uniform = Uniform::default().dtype(x.dtype());
                let drawn = graph.random_like(x, seed.map_or(uniform, |s| uniform.seed(s)));
                let scaled = x * (1.0 / (1.0 - rate));
                let kept = drawn.greater_equal(rate);
                let zero = 0.0_f64.tensor_like(x);
                let node = graph.push_op(at, own, Op::Select, &[kept, scaled, zero]);
                Tensor::new(graph.handle(), Output { node, port: 0 })
            })
        })
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
