//! Networks of convolutions with batch norm: a forward pass of `MobileNet` and training steps of ResNet-20.

use dormouse::Result;
use dormouse::graph::BatchStatistics;
use dormouse::prelude::*;

use super::{Step, awake, first, run, value};
use crate::data::Numbers;

const EPSILON: f64 = 1e-3;

/// Draws the weights of a network's layers, in their order.
struct Drawn<'a> {
    graph: &'a Graph,
    numbers: Numbers,
}

impl Drawn<'_> {
    /// Weights that keep the variance of what has this many inputs and goes through a relu.
    fn weights(&mut self, dims: &[usize], inputs: usize) -> Result<Value> {
        let deviation = (2.0 / inputs as f64).sqrt() as f32;
        value(dims, self.numbers.truncated_normal(dims.iter().product(), deviation))
    }

    fn spread(&mut self, count: usize, low: f32, high: f32) -> Result<Tensor> {
        Ok(self.graph.constant(value(&[count], self.numbers.uniform(count, low, high))?))
    }

    /// Normalized by given statistics, and cut off at 0 and 6.
    fn normalized(&mut self, x: Tensor, channels: usize) -> Result<Tensor> {
        let (scale, offset) = (self.spread(channels, 0.5, 1.5)?, self.spread(channels, -0.5, 0.5)?);
        let (mean, variance) = (self.spread(channels, -0.5, 0.5)?, self.spread(channels, 0.5, 1.5)?);
        let given = BatchStatistics::Given { mean, variance };
        Ok(x.fused_batch_norm(scale, offset, given, EPSILON).y.relu6())
    }
}

/// Classes of one image by `MobileNet`-v1 (Howard et al., 2017), of width 1, its weights constants.
pub(super) fn mobilenet() -> Result<Step> {
    let mut numbers = Numbers::new(5);
    let image = value(&[1, 224, 224, 3], numbers.uniform(224 * 224 * 3, -1.0, 1.0))?;
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![1, 224, 224, 3]);
    let mut drawn = Drawn { graph: &graph, numbers };
    let options = |stride| Conv2d { strides: [stride; 2], ..Conv2d::default() };
    let filter = graph.constant(drawn.weights(&[3, 3, 3, 32], 27)?);
    let mut y = drawn.normalized(x.conv2d(filter, options(2)), 32)?;
    let mut from = 32;
    let blocks = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)];
    for (to, stride) in blocks.into_iter().chain([(512, 1); 5]).chain([(1024, 2), (1024, 1)]) {
        let filter = graph.constant(drawn.weights(&[3, 3, from, 1], 9)?);
        y = drawn.normalized(y.depthwise_conv2d(filter, options(stride)), from)?;
        let filter = graph.constant(drawn.weights(&[1, 1, from, to], from)?);
        y = drawn.normalized(y.conv2d(filter, options(1)), to)?;
        from = to;
    }
    let w = graph.constant(drawn.weights(&[from, 1000], from)?);
    let b = drawn.spread(1000, -0.5, 0.5)?;
    let classes = (y.mean_over([1, 2]).matmul(w) + b).softmax();
    let step = awake(&graph)?.prepare(classes, x)?;
    Ok(Box::new(move || first(&run(&step, &image)?)))
}

/// What a training step of a network with batch norm changes, beside what its optimizer does.
struct Trained<'a> {
    drawn: Drawn<'a>,
    weights: Vec<Variable>,
    variables: Vec<Variable>,
    averages: Vec<Operation>,
}

impl Trained<'_> {
    fn weight(&mut self, dims: &[usize], inputs: usize) -> Result<Variable> {
        let weight = self.drawn.graph.variable(self.drawn.weights(dims, inputs)?);
        self.weights.push(weight);
        self.variables.push(weight);
        Ok(weight)
    }

    /// A convolution of 3 × 3 and batch norm, which moves the averages of its statistics.
    fn layer(&mut self, x: Tensor, [from, to]: [usize; 2], stride: u32) -> Result<Tensor> {
        let graph = self.drawn.graph;
        let filter = self.weight(&[3, 3, from, to], 9 * from)?;
        let convolved = x.conv2d(filter, Conv2d { strides: [stride; 2], ..Conv2d::default() });
        let [scale, offset] = [1.0, 0.0].map(|start| graph.variable(graph.fill(&[to], start, DType::F32)));
        self.variables.extend([scale, offset]);
        let norm = convolved.fused_batch_norm(scale, offset, BatchStatistics::Batch, EPSILON);
        for (start, now) in [(0.0, norm.mean), (1.0, norm.variance)] {
            let average = graph.variable(graph.fill(&[to], start, DType::F32));
            self.averages.push(average.assign_sub((average - now) * 0.1).operation());
        }
        Ok(norm.y)
    }

    /// relu(x + two layers of x), x being halved and given more channels of 0 where the layers do so.
    fn block(&mut self, x: Tensor, [from, to]: [usize; 2], stride: u32) -> Result<Tensor> {
        let inner = self.layer(x, [from, to], stride)?.relu();
        let y = self.layer(inner, [to, to], 1)?;
        let shortcut = if from == to {
            x
        } else {
            let side = (to - from) as u32 / 2;
            x.at((.., by(.., 2), by(.., 2), ..)).pad(&[[0, 0], [0, 0], [0, 0], [side, side]])
        };
        Ok((y + shortcut).relu())
    }
}

/// One training step of ResNet-20 (He et al., 2015) on 64 images of 32 × 32, with momentum.
pub(super) fn resnet() -> Result<Step> {
    let mut numbers = Numbers::new(6);
    let (batch, classes) = (64, 10);
    let images = value(&[batch, 32, 32, 3], numbers.uniform(batch * 32 * 32 * 3, 0.0, 1.0))?;
    let labels = Value::from(numbers.integers(batch, classes as u64));
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![64, 32, 32, 3]);
    let labeled = graph.placeholder(DType::I32, shape![64]);
    let drawn = Drawn { graph: &graph, numbers };
    let mut trained = Trained { drawn, weights: Vec::new(), variables: Vec::new(), averages: Vec::new() };
    let mut y = trained.layer(x, [3, 16], 1)?.relu();
    let mut from = 16;
    for to in [16, 32, 64] {
        for _ in 0..3 {
            y = trained.block(y, [from, to], (to / from) as u32)?;
            from = to;
        }
    }
    let w = trained.weight(&[from, classes], from)?;
    let b = graph.variable(graph.zeros(&[classes]));
    trained.variables.push(b);
    let logits = y.mean_over([1, 2]).matmul(w) + b;
    let lengths: Vec<Tensor> = trained.weights.iter().map(|w| w.l2_loss()).collect();
    let loss = logits.sparse_softmax_cross_entropy(labeled).mean() + 1e-4 * graph.add_n(&lengths);
    let options = Minimize::new().variables(&trained.variables);
    trained.averages.push(Momentum::new(0.1, 0.9).minimize_with(loss, options));
    let train = graph.group(trained.averages);
    let step = awake(&graph)?.prepare((loss, train), (x, labeled))?;
    Ok(Box::new(move || {
        let (loss, ()) = run(&step, (&images, &labels))?;
        Ok(loss.scalar()?)
    }))
}
