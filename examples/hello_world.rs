//! Vector addition: two named vectors, their sum as a symbol, and its value out of a session.

#![allow(clippy::print_stdout, reason = "an example prints")]

use dormouse::prelude::*;
use ndarray::array;

fn main() -> dormouse::Result<()> {
    let graph = Graph::new();
    let a = graph.constant(array![1.0_f32, 2.0]).named("a");
    let b = graph.constant(array![2.0_f32, 3.0]).named("b");
    let result = a + b;
    println!("{result}");

    let session = Session::new(&graph)?;
    let value = session.run(result, feeds![])?;
    println!("{value}");
    assert_eq!(value.to_vec::<f32>()?, [3.0, 5.0]);
    Ok(())
}
