//! Chapter 6.2: LeNet-5, two convolutions and two dense layers on MNIST, with moving averages beside the weights. The
//! course's checkpoints are what `mnist_train` shows.
//!
//! ```sh
//! cargo run --release --example course_6_2
//! ```

#![allow(clippy::print_stdout, reason = "an example prints")]

use clap::Parser;
use dormouse::data::{Dataset, Mnist, MnistOptions, Order};
use dormouse::prelude::*;
use dormouse::train::layers::{Conv2d, MaxPool, sequence};

#[derive(Parser)]
#[command(about = "Trains LeNet-5 on MNIST")]
struct Options {
    /// Folder of the four idx files of MNIST
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data/mnist"))]
    data: String,
    #[arg(long, default_value_t = 6000)]
    steps: u64,
    #[arg(long, default_value_t = 1)]
    seed: u32,
}

const BATCH: usize = 100;

/// The logits of images `[n, 28, 28, 1]`. Only the dense layers' weights cost something.
fn inference(images: Tensor, regularizer: Option<L2>) -> Tensor {
    let convolution = |filters| {
        Conv2d::new(filters, [5, 5])
            .kernel_initializer(TruncatedNormal::new(0.1))
            .bias_initializer(Zeros(DType::F32))
            .relu()
    };
    let dense = |units| {
        Dense::new(units)
            .kernel_initializer(TruncatedNormal::new(0.1))
            .bias_initializer(Fill::new(0.1))
            .regularizer(regularizer)
    };
    let pool = MaxPool::new([2, 2], [2, 2]).padding(Padding::Same);
    let features = sequence(images, &[&convolution(32), &pool, &convolution(64), &pool]);
    dense(10).apply(dense(512).relu().apply(features.flatten()))
}

fn main() -> dormouse::Result<()> {
    let options = Options::parse();
    let order = Order::Shuffled { seed: u64::from(options.seed) };
    let mut mnist = Mnist::open_with(&options.data, MnistOptions { order, ..MnistOptions::default() })?.nhwc()?;

    let graph = Graph::new();
    graph.set_seed(i64::from(options.seed));
    let x = graph.placeholder(DType::F32, shape![?, 28, 28, 1]).named("x-input");
    let labels = graph.placeholder(DType::I64, shape![?]).named("y-input");
    let logits = inference(x, Some(L2(1e-4)));
    let penalties = graph.collection("regularization_losses");
    let loss = penalties.into_iter().fold(logits.sparse_softmax_cross_entropy(labels).mean(), |a, b| a + b);
    let step = global_step(&graph);
    let epoch = (mnist.train.num_examples() / BATCH) as u64;
    let rate = exponential_decay(0.01, step, Decay { steps: epoch, rate: 0.99, staircase: true });
    let descent = GradientDescent::new(rate).minimize_with(loss, Minimize::new().global_step(step));
    let average = ExponentialMovingAverage::new(0.99).with_num_updates(step);
    let train = graph.control_dependencies(descent, || average.apply(&graph.trainable_variables()));
    let right = logits.argmax(1).equal(labels).cast(DType::F32).mean();
    let init = graph.initializer();

    let session = Session::new(&graph)?;
    session.run(init, feeds![])?;
    let training = session.prepare((loss, train), (x, labels))?;
    for i in 1..=options.steps {
        let (images, digits) = mnist.train.next_batch(BATCH)?;
        let (loss, ()) = training.run((images, digits))?;
        if i % 1000 == 1 {
            println!("after {i:5} steps: batch loss {:.5}", loss.scalar::<f32>()?);
        }
    }
    println!("test accuracy {:.4}", accuracy(&session, right, (x, labels), &mnist.test)?);
    Ok(())
}

/// The mean over batches, as a convolution of all images at once takes more memory than it needs.
fn accuracy(
    session: &Session,
    right: Tensor,
    inputs: (Tensor, Tensor),
    set: &Dataset<ndarray::ArcArray<f32, ndarray::Ix4>>,
) -> dormouse::Result<f32> {
    let judge = session.prepare(right, inputs)?;
    let mut total = 0.0;
    for (images, labels) in set.batches(1000) {
        let share = labels.len() as f32 / set.num_examples() as f32;
        total += share * judge.run((images, labels))?.scalar::<f32>()?;
    }
    Ok(total)
}
