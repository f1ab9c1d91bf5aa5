//! Chapter 3.2: the forward pass of a network of three layers, for one row and for three.

#![allow(clippy::print_stdout, reason = "an example prints")]

mod check;

use dormouse::prelude::*;

fn main() -> dormouse::Result<()> {
    let graph = Graph::new();
    let w1 = graph.variable(graph.random(&[2, 3], Normal::new(1.0).seed(1))).named("w1");
    let w2 = graph.variable(graph.random(&[3, 1], Normal::new(1.0).seed(1))).named("w2");

    let x = graph.placeholder(DType::F32, shape![?, 2]).named("x");
    let a = x.matmul(w1);
    let y = a.matmul(w2);
    let constant = graph.constant([[0.7_f32, 0.9]]).matmul(w1).matmul(w2);

    let session = Session::new(&graph)?;
    session.run([w1.initializer(), w2.initializer()], feeds![])?;
    let one = session.run(constant, feeds![])?;
    let three = session.run(y, feeds![x => [[0.7_f32, 0.9], [0.1, 0.4], [0.5, 0.8]]])?;
    println!("{one}\n{three}");
    check::close(&one, &[3.957_578]);
    check::close(&three, &[3.957_578, 1.153_765_4, 3.167_492_4]);
    Ok(())
}
