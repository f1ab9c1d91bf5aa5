//! Chapter 3.3: a whole training program. Points of the unit square are told apart by whether their sum is below 1.

#![allow(clippy::print_stdout, reason = "an example prints")]

mod check;
mod numpy;

use dormouse::prelude::*;
use ndarray::{Array2, s};

const POINTS: usize = 128;
const BATCH: usize = 8;

fn main() -> dormouse::Result<()> {
    let mut random = numpy::RandomState::new(1);
    let points = Array2::from_shape_simple_fn((POINTS, 2), || random.rand());
    let labels = Array2::from_shape_fn((POINTS, 1), |(i, _)| f32::from(points[(i, 0)] + points[(i, 1)] < 1.0));
    let points = points.mapv(|x| x as f32);

    let graph = Graph::new();
    let w1 = graph.variable(graph.random(&[2, 3], Normal::new(1.0).seed(1))).named("w1");
    let w2 = graph.variable(graph.random(&[3, 1], Normal::new(1.0).seed(1))).named("w2");
    let x = graph.placeholder(DType::F32, shape![?, 2]).named("x-input");
    let target = graph.placeholder(DType::F32, shape![?, 1]).named("y-input");
    let y = x.matmul(w1).matmul(w2).sigmoid();
    let log = |p: Tensor| p.clip_by_value(1e-10, 1.0).log();
    let loss = -(target * log(y) + (1.0 - target) * log(1.0 - y)).mean();
    let train = Adam::new(0.001).minimize(loss);
    let init = graph.initializer();

    let session = Session::new(&graph)?;
    session.run(init, feeds![])?;
    let expected = [1.898_048_6, 0.655_075_25, 0.626_171_9, 0.615_096_4, 0.610_308_8];
    for step in 0..5000 {
        let start = step * BATCH % POINTS;
        let rows = s![start..start + BATCH, ..];
        session.run(train, feeds![x => points.slice(rows), target => labels.slice(rows)])?;
        if step % 1000 == 0 {
            let loss = session.run(loss, feeds![x => &points, target => &labels])?;
            println!("after {step} steps, the loss on all points is {loss}");
            check::close(&loss, &expected[step / 1000..=step / 1000]);
        }
    }
    let (w1, w2) = session.run((w1, w2), feeds![])?;
    println!("{w1}\n{w2}");
    check::close(&w1, &[0.024_769_768, 0.569_487_04, 1.692_194_3, -2.197_735_3, -0.236_689_17, 1.114_389_7]);
    check::close(&w2, &[-0.455_447, 0.491_109_13, -0.981_103_36]);
    Ok(())
}
