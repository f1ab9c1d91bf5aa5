//! Handwritten digits, the training half: trains the network of `mnist/inference.rs` and saves a checkpoint every 1,000
//! steps, which `mnist_eval` judges, in the meantime or later.
//!
//! ```sh
//! cargo run --release --example mnist_train -- --model model
//! cargo run --release --example mnist_eval -- --model model
//! ```
//!
//! With `--resume` it goes on from the newest checkpoint, to the weights that it would have had without the break.

#![allow(clippy::print_stdout, reason = "an example prints")]

#[path = "mnist/inference.rs"]
mod inference;

use std::path::PathBuf;

use clap::Parser;
use dormouse::data::{DatasetState, Mnist, MnistOptions, Order};
use dormouse::prelude::*;
use inference::{AVERAGE_DECAY, DATA, inference};

#[derive(Parser)]
#[command(about = "Trains a network on MNIST and saves checkpoints")]
struct Options {
    /// Folder of the checkpoints
    #[arg(long)]
    model: PathBuf,
    /// Folder of the four idx files: MNIST, Fashion-MNIST, or another set of this form
    #[arg(long, default_value = DATA)]
    data: PathBuf,
    #[arg(long, default_value_t = 30_000)]
    steps: u64,
    /// Steps from one checkpoint to the next
    #[arg(long, default_value_t = 1000)]
    every: u64,
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// Go on from the newest checkpoint
    #[arg(long)]
    resume: bool,
}

const BATCH: usize = 100;

fn main() -> dormouse::Result<()> {
    let options = Options::parse();
    let order = Order::Shuffled { seed: u64::from(options.seed) };
    let mut mnist = Mnist::open_with(&options.data, MnistOptions { order, ..MnistOptions::default() })?;

    let graph = Graph::new();
    graph.set_seed(i64::from(options.seed));
    let x = graph.placeholder(DType::F32, shape![?, mnist.image_size().iter().product::<usize>()]).named("x-input");
    let labels = graph.placeholder(DType::I64, shape![?]).named("y-input");
    let logits = inference(x, mnist.classes(), Some(L2(1e-4)));
    let step = global_step(&graph);

    let loss =
        graph.collection("losses").into_iter().fold(logits.sparse_softmax_cross_entropy(labels).mean(), |a, b| a + b);
    let steps = (mnist.train.num_examples() / BATCH) as u64;
    let rate = exponential_decay(0.8, step, Decay { steps, rate: 0.99, staircase: true });
    let descent = GradientDescent::new(rate).minimize_with(loss, Minimize::new().global_step(step));
    let average = ExponentialMovingAverage::new(AVERAGE_DECAY).with_num_updates(step);
    let train = graph.control_dependencies(descent, || average.apply(&graph.trainable_variables()));
    let init = graph.initializer();

    let session = Session::new(&graph)?;
    let saver = Saver::new();
    let checkpoint = if options.resume { latest_checkpoint(&options.model)? } else { None };
    match checkpoint {
        Some(path) => {
            let report = saver.restore(&session, &path)?;
            mnist.train.restore(report.extras.get::<DatasetState>("train")?)?;
            println!("going on from {}", path.display());
        }
        None => session.run(init, feeds![])?,
    }
    let training = session.prepare((loss, train), (x, labels))?;
    let done = session.run(step, feeds![])?.scalar::<i64>()?.unsigned_abs();
    for done in done + 1..=options.steps {
        let (images, digits) = mnist.train.next_batch(BATCH)?;
        let (loss, ()) = training.run((images, digits))?;
        if done.is_multiple_of(options.every) || done == options.steps {
            let mut extras = Extras::new();
            extras.put("train", &mnist.train.state())?;
            let path = saver.save_with(&session, options.model.join("model.ckpt"), step, &extras)?;
            println!("after {done:5} steps: batch loss {:.6}, saved {}", loss.scalar::<f32>()?, path.display());
        }
    }
    Ok(())
}
