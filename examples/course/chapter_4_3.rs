//! Chapter 4.3: a regularizer keeps a network from learning the noise. The terms of the loss meet in a collection.
//!
//! `--steps N` trains longer than the 2,000 steps that are checked; the course takes 40,000.

#![allow(clippy::print_stdout, reason = "an example prints")]

mod check;
mod numpy;

use clap::Parser;
use dormouse::prelude::*;
use ndarray::Array2;

#[derive(Parser)]
#[command(about = "Trains a network on a noisy circle, without and with weight decay")]
struct Options {
    #[arg(long, default_value_t = 2000)]
    steps: usize,
}

const POINTS: usize = 150;

/// Points around a circle, blurred, and on which side of it they were.
fn circle() -> (Array2<f32>, Array2<f32>) {
    let mut random = numpy::RandomState::new(0);
    let (mut points, mut labels) = (Array2::zeros((POINTS, 2)), Array2::zeros((POINTS, 1)));
    for i in 0..POINTS {
        let (a, b) = (random.uniform(-1.0, 1.0), random.uniform(0.0, 2.0));
        labels[(i, 0)] = f32::from(a * a + b * b > 1.0);
        points[(i, 0)] = random.normal(a, 0.1) as f32;
        points[(i, 1)] = random.normal(b, 0.1) as f32;
    }
    (points, labels)
}

/// A layer of weights whose penalty is collected; layer k draws from op seed k.
fn layer(x: Tensor, number: i64, [inputs, outputs]: [usize; 2], scale: f64) -> Tensor {
    let graph = x.graph();
    let w = graph.variable(graph.random(&[inputs, outputs], Normal::new(1.0).seed(number)));
    let b = graph.variable(graph.fill(&[outputs], 0.1, DType::F32));
    graph.collect("losses", L2(scale).penalty(w));
    (x.matmul(w) + b).elu()
}

/// What a run prints: the steps before it, the fit and the whole loss.
type Expected = [(usize, [f32; 2]); 3];

fn train(name: &str, scale: f64, steps: usize, expected: Expected) -> dormouse::Result<()> {
    let (points, labels) = circle();
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, 2]);
    let target = graph.placeholder(DType::F32, shape![?, 1]);
    let sizes = [[2, 10], [10, 5], [5, 3], [3, 1]];
    let y = (1..).zip(sizes).fold(x, |x, (number, sizes)| layer(x, number, sizes, scale));
    let fit = (target - y).pow(2.0).sum() / POINTS as f64;
    graph.collect("losses", fit);
    let total = graph.add_n(&graph.collection("losses"));
    let train = Adam::new(0.001).minimize(if scale > 0.0 { total } else { fit });
    let init = graph.initializer();

    let session = Session::new(&graph)?;
    session.run(init, feeds![])?;
    let step = session.prepare(train, [x, target])?;
    for done in 0..=steps {
        let stop = expected.iter().find(|(at, _)| *at == done);
        if stop.is_some() || done % 2000 == 0 {
            let (fit, total) = session.run((fit, total), feeds![x => &points, target => &labels])?;
            println!("{name}: after {done} steps, the fit is {fit}, the loss {total}");
            if let Some((_, expected)) = stop {
                check::close(&fit, &expected[..1]);
                check::close(&total, &expected[1..]);
            }
        }
        if done < steps {
            step.run([&points, &labels])?;
        }
    }
    Ok(())
}

fn main() -> dormouse::Result<()> {
    let steps = Options::parse().steps;
    let alone = [(0, [0.963_275_97; 2]), (500, [0.054_039_8; 2]), (2000, [0.029_911_058; 2])];
    train("without L2", 0.0, steps, alone)?;
    let regularized =
        [(0, [0.963_275_97, 1.115_197_5]), (500, [0.057_031_475, 0.175_894_93]), (2000, [0.040_940_04, 0.089_474_78])];
    train("with L2", 0.003, steps, regularized)
}
