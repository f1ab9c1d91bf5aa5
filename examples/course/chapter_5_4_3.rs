//! Chapter 5.4.3: variables become constants, so that one file holds all that an answer needs.

#![allow(clippy::print_stdout, reason = "an example prints")]

mod check;

use dormouse::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("combined_model.graph");

    let graph = Graph::new();
    let v1 = graph.variable([1.0_f32]).named("v1");
    let v2 = graph.variable([2.0_f32]).named("v2");
    let result = v1 + v2;
    let init = graph.initializer();
    let session = Session::new(&graph)?;
    session.run(init, feeds![])?;
    let frozen = session.freeze_variables(&[result])?;
    let names: Vec<&str> = frozen.nodes().iter().map(|node| &*node.name).collect();
    println!("{names:?}");
    assert_eq!(names, ["v1", "v2", "add"]);
    save_graph(&frozen, &file)?;

    let answers = load_graph(&file)?;
    assert!(answers.variables().is_empty());
    let value = Session::new(&answers)?.run("add:0", feeds![])?;
    println!("{value}");
    check::close(&value, &[3.0]);
    Ok(())
}
