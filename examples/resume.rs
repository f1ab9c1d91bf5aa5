//! A training step is a file. A program trains for 500 steps, saves all it is in one file, and is killed; another, which
//! knows nothing of the model, loads the file and goes on to 1,000. The weights are those of the unbroken run, bit for
//! bit.
//!
//! ```sh
//! cargo run --release --example resume
//! ```
//!
//! The file holds the graph with its gradients and updates, weights, Adam's slots, moving averages, the counters of
//! dropout's random numbers, the step, the place in the data, and the names to ask for.

#![allow(clippy::print_stdout, reason = "an example prints")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Parser;
use dormouse::data::{DatasetState, Mnist, MnistOptions, Order};
use dormouse::prelude::*;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

#[derive(Parser)]
#[command(about = "Trains, is killed, and goes on from a file to the same bits")]
struct Options {
    /// Folder of the four idx files of MNIST
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data/mnist"))]
    data: PathBuf,
    /// Steps before the break, and again after it
    #[arg(long, default_value_t = 500)]
    steps: u64,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What one process does; without it, all of the above.
#[derive(clap::Subcommand)]
enum Part {
    /// Builds the model, trains it, saves it to the file, and trains on until it is killed
    Train { file: PathBuf },
    /// Goes on from the file, without the model's code
    GoOn { file: PathBuf },
}

const BATCH: usize = 100;

fn main() -> Outcome {
    let options = Options::parse();
    match &options.part {
        Some(Part::Train { file }) => train_until_killed(&options, file),
        Some(Part::GoOn { file }) => go_on(&options, file),
        None => compare(&options),
    }
}

fn data(options: &Options) -> Result<Mnist, dormouse::data::Error> {
    Mnist::open_with(&options.data, MnistOptions { order: Order::Shuffled { seed: 5 }, ..MnistOptions::default() })
}

/// The model: two layers with dropout between them, Adam, and moving averages, as one signature.
fn model(graph: &Graph, pixels: usize, classes: usize) -> (Signature, Operation) {
    graph.set_seed(7);
    let images = graph.placeholder(DType::F32, shape![?, pixels]);
    let labels = graph.placeholder(DType::I64, shape![?]);
    let hidden = Dense::new(64).relu().apply(images).dropout(0.3, None);
    let loss = Dense::new(classes).apply(hidden).sparse_softmax_cross_entropy(labels).mean();
    let step = global_step(graph);
    let adam = Adam::new(0.001).minimize_with(loss, Minimize::new().global_step(step));
    let average = ExponentialMovingAverage::new(0.99).with_num_updates(step);
    let train = graph.control_dependencies(adam, || average.apply(&graph.trainable_variables()));
    let signature =
        Signature::new().input("images", images).input("labels", labels).output("loss", loss).operation("train", train);
    (signature, graph.initializer())
}

/// A process that has the model's code. It saves once, and does not stop by itself.
fn train_until_killed(options: &Options, file: &Path) -> Outcome {
    let mut mnist = data(options)?;
    let graph = Graph::new();
    let (signature, init) = model(&graph, mnist.image_size().iter().product(), mnist.classes());
    let session = Session::new(&graph)?;
    session.run(init, feeds![])?;
    let (inputs, train) = (signature.inputs().clone(), signature.operations()["train"]);
    let step = session.prepare(train, (inputs["images"], inputs["labels"]))?;
    for done in 1.. {
        let (images, labels) = mnist.train.next_batch(BATCH)?;
        step.run((images, labels))?;
        if done == options.steps {
            let mut extras = Extras::new();
            extras.put("train", &mnist.train.state())?;
            Bundle::builder(&session).signature("train", signature.clone()).extras(extras).step(done)?.save(file)?;
        }
    }
    Ok(())
}

/// A process that has the file, and the names in it.
fn go_on(options: &Options, file: &Path) -> Outcome {
    let mut bundle = Bundle::load(file)?;
    let mut mnist = data(options)?;
    mnist.train.restore(bundle.extras().get::<DatasetState>("train")?)?;
    let done = bundle.step().ok_or("the file was saved without a step")?;
    println!("{} has {} nodes and was saved after {done} steps", file.display(), bundle.graph().len());
    for _ in 0..options.steps {
        let (images, labels) = mnist.train.next_batch(BATCH)?;
        bundle.run("train", feeds!["images" => images, "labels" => labels])?;
    }
    bundle.extras_mut().put("train", &mnist.train.state())?;
    bundle.save(file, done + options.steps)?;
    Ok(())
}

/// Runs the two processes, and the unbroken run in this one, and compares all variables and counters.
fn compare(options: &Options) -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("training.step");
    let own = |part: &str| {
        let mut command = Command::new(std::env::current_exe()?);
        let steps = options.steps.to_string();
        command.arg("--data").arg(&options.data).args(["--steps", &steps, part]).arg(&file);
        Ok::<_, std::io::Error>(command)
    };
    let mut first = own("train")?.stdout(Stdio::null()).spawn()?;
    while !file.exists() {
        if let Some(status) = first.try_wait()? {
            return Err(format!("the first process ended before it had saved: {status}").into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    first.kill()?;
    println!("the first process was killed: {}", first.wait()?);
    if !own("go-on")?.status()?.success() {
        return Err("the second process failed".into());
    }
    let resumed = Bundle::load(&file)?;

    let mut mnist = data(options)?;
    let graph = Graph::new();
    let (signature, init) = model(&graph, mnist.image_size().iter().product(), mnist.classes());
    let session = Session::new(&graph)?;
    session.run(init, feeds![])?;
    let (inputs, train) = (signature.inputs(), signature.operations()["train"]);
    let step = session.prepare(train, (inputs["images"], inputs["labels"]))?;
    for _ in 0..2 * options.steps {
        let (images, labels) = mnist.train.next_batch(BATCH)?;
        step.run((images, labels))?;
    }

    let (broken, unbroken) = (resumed.session().snapshot(), session.snapshot());
    assert_eq!(resumed.step(), Some(2 * options.steps));
    assert_eq!(broken.counters, unbroken.counters, "the counters of random numbers");
    assert!(broken.variables.keys().eq(unbroken.variables.keys()), "the names of variables");
    for (name, value) in &unbroken.variables {
        assert_eq!(broken.variables[name].as_bytes(), value.as_bytes(), "{name}");
    }
    let numbers: usize = unbroken.variables.values().map(Value::len).sum();
    println!(
        "after {} steps all {numbers} numbers of {} variables equal the unbroken run's bit for bit",
        2 * options.steps,
        unbroken.variables.len()
    );
    Ok(())
}
