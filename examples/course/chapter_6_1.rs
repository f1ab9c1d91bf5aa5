//! Chapter 6.1: one convolution and one pooling of a small matrix.

#![allow(clippy::print_stdout, reason = "an example prints")]

mod check;

use dormouse::prelude::*;

fn main() -> dormouse::Result<()> {
    let matrix = Value::from_elements(&[1, 3, 3, 1], vec![1.0_f32, -1.0, 0.0, -1.0, 2.0, 1.0, 0.0, 2.0, -2.0])?;
    let filter = Value::from_elements(&[2, 2, 1, 1], vec![1.0_f32, -1.0, 0.0, 2.0])?;

    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![1, ?, ?, 1]).named("x");
    let weights = graph.get_variable("weights", [2, 2, 1, 1], filter);
    let biases = graph.get_variable("biases", [1], Fill::new(1.0));
    let strides = [2, 2];
    let convolved = x.conv2d(weights, Conv2d { strides, padding: Padding::Same, ..Conv2d::default() });
    let convolved = convolved.bias_add(biases);
    let pooled = x.avg_pool(Pool { size: [2, 2], strides, padding: Padding::Same });
    println!("{convolved}\n{pooled}");
    let init = graph.initializer();

    let session = Session::new(&graph)?;
    session.run(init, feeds![])?;
    let (convolved, pooled) = session.run((convolved, pooled), feeds![x => matrix])?;
    println!("{convolved}\n{pooled}");
    assert_eq!([convolved.shape(), pooled.shape()], [[1, 2, 2, 1]; 2]);
    check::close(&convolved, &[7.0, 1.0, -1.0, -1.0]);
    check::close(&pooled, &[0.25, 0.5, 1.0, -2.0]);
    Ok(())
}
