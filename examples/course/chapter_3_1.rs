//! Chapter 3.1: graphs are separate worlds, and a tensor is a name for a result until a session runs it.

#![allow(clippy::print_stdout, reason = "an example prints")]

use dormouse::prelude::*;

fn main() -> dormouse::Result<()> {
    // Two graphs, each with a variable of the same name.
    let (first, second) = (Graph::new(), Graph::new());
    let zeros = first.get_variable("v", [1], Zeros::default());
    let ones = second.get_variable("v", [1], Ones::default());
    for (graph, v, expected) in [(&first, zeros, 0.0_f32), (&second, ones, 1.0)] {
        let init = graph.initializer();
        let session = Session::new(graph)?;
        session.run(init, feeds![])?;
        // By name in a scope that only finds, and by its handle.
        let found = graph.variable_scope("", Reuse::Always, || graph.get_variable("v", [1], Zeros::default()));
        assert_eq!(found, v);
        let value = session.run(found, feeds![])?;
        println!("{value}");
        assert_eq!(value.to_vec::<f32>()?, [expected]);
    }

    let graph = Graph::new();
    let a = graph.constant([1.0_f32, 2.0]).named("a");
    let b = graph.constant([2.0_f32, 3.0]).named("b");
    let result = a + b;
    println!("{result}");
    assert_eq!(result.to_string(), r#"Tensor("add:0", shape=[2], dtype=f32)"#);

    let session = Session::new(&graph)?;
    for value in [session.run(result, feeds![])?, session.run("add:0", feeds![])?] {
        println!("{value}");
        assert_eq!(value.to_vec::<f32>()?, [3.0, 5.0]);
    }
    Ok(())
}
