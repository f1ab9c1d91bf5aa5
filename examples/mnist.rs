//! Handwritten digits: two layers, trained by gradient descent with a decaying rate, weight decay and moving averages.
//!
//! ```sh
//! cargo run --release --example mnist
//! cargo run --release --example mnist -- --no-hidden
//! ```
//!
//! The last line is the accuracy on the test set. The switches leave one part out each, which shows what it is worth.

#![allow(clippy::print_stdout, reason = "an example prints")]

use clap::Parser;
use dormouse::data::{Mnist, MnistOptions, Order};
use dormouse::prelude::*;
use indicatif::{ProgressBar, ProgressStyle};

#[allow(clippy::struct_excessive_bools, reason = "one switch for each part to leave out")]
#[derive(Parser)]
#[command(about = "Trains a network of two layers on MNIST and prints its accuracy on the test set")]
struct Options {
    /// Folder of the four idx files: MNIST, Fashion-MNIST, or another set of this form
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data/mnist"))]
    data: String,
    #[arg(long, default_value_t = 5000)]
    steps: usize,
    #[arg(long, default_value_t = 100)]
    batch: usize,
    /// Units of the hidden layer
    #[arg(long, default_value_t = 500)]
    hidden: usize,
    /// Rate at the start; 0.8 if not given, 0.1 without decay, 0.01 for a linear model or one of a single layer
    #[arg(long)]
    rate: Option<f64>,
    /// What the weights' start and the order of the examples follow from
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// Without weight decay
    #[arg(long)]
    no_l2: bool,
    /// With the same rate throughout
    #[arg(long)]
    no_decay: bool,
    /// Without relu
    #[arg(long)]
    no_activation: bool,
    /// Without the hidden layer
    #[arg(long)]
    no_hidden: bool,
    /// Without moving averages
    #[arg(long)]
    no_ema: bool,
}

/// One layer's weights and biases.
#[derive(Clone, Copy)]
struct Layer {
    weights: Variable,
    biases: Variable,
}

/// The network: y = relu(x · w₁ + b₁) · w₂ + b₂, as far as the options leave it.
struct Network {
    layers: Vec<Layer>,
    activation: bool,
}

impl Network {
    fn new(graph: &Graph, sizes: &[usize], activation: bool) -> Network {
        let layer = |extents: &[usize]| {
            let weights = graph.variable(graph.random(extents, TruncatedNormal::new(0.1))).named("weights");
            let biases = graph.variable(graph.fill(&extents[1..], 0.1, DType::F32)).named("biases");
            Layer { weights, biases }
        };
        Network { layers: sizes.windows(2).map(layer).collect(), activation }
    }

    /// The logits, with each variable as `of` gives it.
    fn infer(&self, x: Tensor, of: impl Fn(Variable) -> Tensor) -> Tensor {
        let sum = |x: Tensor, layer: &Layer| x.matmul(of(layer.weights)) + of(layer.biases);
        match self.layers.as_slice() {
            // A single layer keeps its relu.
            [only] => sum(x, only).relu(),
            layers => layers.iter().enumerate().fold(x, |x, (i, layer)| {
                let y = sum(x, layer);
                if self.activation && i + 1 < layers.len() { y.relu() } else { y }
            }),
        }
    }
}

fn main() -> dormouse::Result<()> {
    let options = Options::parse();
    let order = Order::Shuffled { seed: u64::from(options.seed) };
    let mut mnist = Mnist::open_with(&options.data, MnistOptions { order, ..MnistOptions::default() })?;
    let (pixels, classes) = (mnist.image_size().iter().product(), mnist.classes());

    let graph = Graph::new();
    graph.set_seed(i64::from(options.seed));
    let x = graph.placeholder(DType::F32, shape![?, pixels]).named("x-input");
    let labels = graph.placeholder(DType::I64, shape![?]).named("y-input");
    let sizes = if options.no_hidden { vec![pixels, classes] } else { vec![pixels, options.hidden, classes] };
    let network = Network::new(&graph, &sizes, !options.no_activation);
    let step = global_step(&graph);
    let logits = network.infer(x, Symbol::tensor);

    let mut loss = logits.sparse_softmax_cross_entropy(labels).mean();
    if !options.no_l2 {
        for layer in &network.layers {
            loss = loss + L2(1e-4).penalty(layer.weights);
        }
    }
    let start = match (options.rate, options.no_activation || options.no_hidden, options.no_decay) {
        (Some(rate), _, _) => rate,
        (None, true, _) => 0.01,
        (None, false, true) => 0.1,
        (None, false, false) => 0.8,
    };
    let epoch = (mnist.train.num_examples() / options.batch.max(1)).max(1) as u64;
    let descent = if options.no_decay {
        GradientDescent::new(start)
    } else {
        GradientDescent::new(exponential_decay(start, step, Decay { steps: epoch, rate: 0.99, staircase: true }))
    };
    let mut train = descent.minimize_with(loss, Minimize::new().global_step(step));
    let mut judged = logits;
    if !options.no_ema {
        let average = ExponentialMovingAverage::new(0.99).with_num_updates(step);
        train = graph.control_dependencies(train, || average.apply(&graph.trainable_variables()));
        judged = network.infer(x, |v| average.average(v).tensor());
    }
    let accuracy = judged.argmax(1).equal(labels).cast(DType::F32).mean();
    let init = graph.initializer();

    let session = Session::new(&graph)?;
    session.run(init, feeds![])?;
    let training = session.prepare((loss, train), (x, labels))?;
    let judge = |set: &dormouse::data::Dataset| -> dormouse::Result<f32> {
        Ok(session.run(accuracy, feeds![x => set.images(), labels => set.labels()])?.scalar()?)
    };
    let bar = ProgressBar::new(options.steps as u64).with_style(style());
    for i in 0..options.steps {
        if i % 1000 == 0 {
            let accuracy = judge(&mnist.validation)?;
            bar.suspend(|| println!("after {i:5} steps: validation accuracy {accuracy:.4}"));
        }
        let (images, digits) = mnist.train.next_batch(options.batch)?;
        let (loss, ()) = training.run((images, digits))?;
        if i % 100 == 0 {
            bar.set_message(format!("loss {:.4}", loss.scalar::<f32>()?));
            bar.set_position(i as u64);
        }
    }
    bar.finish_and_clear();
    println!("after {:5} steps: validation accuracy {:.4}", options.steps, judge(&mnist.validation)?);
    println!("test accuracy {:.4}", judge(&mnist.test)?);
    Ok(())
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {pos}/{len} steps, {per_sec}, {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
