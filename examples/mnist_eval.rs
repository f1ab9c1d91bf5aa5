//! Handwritten digits, the judging half: looks for the newest checkpoint of `mnist_train`, restores the moving averages of
//! its variables, and prints their accuracy on the validation set; then again, every 10 seconds.

#![allow(clippy::print_stdout, reason = "an example prints")]

#[path = "mnist/inference.rs"]
mod inference;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use dormouse::data::Mnist;
use dormouse::prelude::*;
use inference::{AVERAGE_DECAY, DATA, inference};

#[derive(Parser)]
#[command(about = "Judges the newest checkpoint of mnist_train")]
struct Options {
    /// Folder of the checkpoints
    #[arg(long)]
    model: PathBuf,
    /// Folder of the four idx files
    #[arg(long, default_value = DATA)]
    data: PathBuf,
    /// Seconds from one look to the next
    #[arg(long, default_value_t = 10.0)]
    every: f64,
    /// Look once
    #[arg(long)]
    once: bool,
}

fn main() -> dormouse::Result<()> {
    let options = Options::parse();
    let mnist = Mnist::open(&options.data)?;

    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, mnist.image_size().iter().product::<usize>()]).named("x-input");
    let labels = graph.placeholder(DType::I64, shape![?]).named("y-input");
    let logits = inference(x, mnist.classes(), None);
    let accuracy = logits.argmax(1).equal(labels).cast(DType::F32).mean();
    // Each variable takes its shadow's value: "layer1/weights" that of "layer1/weights/ExponentialMovingAverage".
    let average = ExponentialMovingAverage::new(AVERAGE_DECAY);
    let saver = Saver::new().variables(average.variables_to_restore(&graph));
    let session = Session::new(&graph)?;

    let mut seen = None;
    loop {
        match latest_checkpoint(&options.model)? {
            None => println!("no checkpoint in {} yet", options.model.display()),
            newest if newest == seen => {}
            Some(path) => {
                let step = saver.restore(&session, &path)?.step.unwrap_or(0);
                let images = mnist.validation.images();
                let value = session.run(accuracy, feeds![x => images, labels => mnist.validation.labels()])?;
                println!("after {step:5} steps: validation accuracy {:.4}", value.scalar::<f32>()?);
                seen = Some(path);
            }
        }
        if options.once {
            return Ok(());
        }
        std::thread::sleep(Duration::from_secs_f64(options.every.clamp(0.0, 1e6)));
    }
}
