//! Chapter 4.1: a loss of one's own. Where promising too little costs ten times as much as promising too much, the model
//! learns to promise more.

#![allow(clippy::print_stdout, reason = "an example prints")]

mod check;
mod numpy;

use dormouse::prelude::*;
use ndarray::{Array2, s};

const POINTS: usize = 128;
const BATCH: usize = 8;

/// The loss of what was said against what was wanted.
type Loss = fn(Tensor, Tensor) -> Tensor;

fn asymmetric(said: Tensor, wanted: Tensor, too_much: f64, too_little: f64) -> Tensor {
    said.greater(wanted).select((said - wanted) * too_much, (wanted - said) * too_little).sum()
}

fn main() -> dormouse::Result<()> {
    let mut random = numpy::RandomState::new(1);
    let points = Array2::from_shape_simple_fn((POINTS, 2), || random.rand());
    let targets = Array2::from_shape_fn((POINTS, 1), |(i, _)| {
        (points[(i, 0)] + points[(i, 1)] + (random.rand() / 10.0 - 0.05)) as f32
    });
    let points = points.mapv(|x| x as f32);

    let cases: [(&str, Loss, [f32; 2]); 3] = [
        ("too little costs 10", |y, target| asymmetric(y, target, 1.0, 10.0), [1.019_347_1, 1.042_809_1]),
        ("too much costs 10", |y, target| asymmetric(y, target, 10.0, 1.0), [0.955_258_1, 0.981_339_4]),
        ("mean squared error", |y, target| losses::mean_squared_error(target, y), [0.974_375_6, 1.024_333_6]),
    ];
    for (name, loss_of, expected) in cases {
        let graph = Graph::new();
        let x = graph.placeholder(DType::F32, shape![?, 2]).named("x-input");
        let target = graph.placeholder(DType::F32, shape![?, 1]).named("y-input");
        let w = graph.variable(graph.random(&[2, 1], Normal::new(1.0).seed(1))).named("w");
        let train = Adam::new(0.001).minimize(loss_of(x.matmul(w), target));
        let init = graph.initializer();

        let session = Session::new(&graph)?;
        session.run(init, feeds![])?;
        for step in 0..5000 {
            let start = step * BATCH % POINTS;
            let rows = s![start..start + BATCH, ..];
            session.run(train, feeds![x => points.slice(rows), target => targets.slice(rows)])?;
        }
        let w = session.run(w, feeds![])?;
        println!("{name}: {w}");
        check::close(&w, &expected);
    }
    Ok(())
}
