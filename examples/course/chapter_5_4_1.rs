//! Chapter 5.4.1: two variables are saved, and restored: into the same program, into a graph that comes from a file, and
//! into variables of other names.

#![allow(clippy::print_stdout, reason = "an example prints")]

mod check;

use dormouse::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let checkpoint = folder.path().join("model.ckpt");
    let description = folder.path().join("model.graph");

    let graph = Graph::new();
    let make = |name: &str| graph.variable(graph.random(&[1], Normal::new(1.0).seed(1))).named(name);
    let result = make("v1") + make("v2");
    let init = graph.initializer();
    let session = Session::new(&graph)?;
    session.run(init, feeds![])?;
    let saver = Saver::new();
    saver.save(&session, &checkpoint, None)?;
    save_graph(&graph, &description)?;

    // A new session of the same graph, without initializing anything.
    let session = Session::new(&graph)?;
    saver.restore(&session, &checkpoint)?;
    let restored = session.run(result, feeds![])?;
    println!("{restored}");
    check::close(&restored, &[-1.622_636_4]);

    // The graph as well out of a file, and the tensor by its name.
    let loaded = load_graph(&description)?;
    let session = Session::new(&loaded)?;
    saver.restore(&session, &checkpoint)?;
    let loaded = session.run("add:0", feeds![])?;
    println!("{loaded}");
    check::close(&loaded, &[-1.622_636_4]);

    // Variables of other names, and one that the checkpoint has not.
    let graph = Graph::new();
    let v1 = graph.variable([1.0_f32]).named("other-v1");
    let v2 = graph.variable([2.0_f32]).named("other-v2");
    let v3 = graph.variable([2.0_f32]).named("v3");
    let session = Session::new(&graph)?;
    Saver::new().variables([("v1", v1), ("v2", v2)]).restore(&session, &checkpoint)?;
    let (one, two) = session.run((v1, v2), feeds![])?;
    println!("{one} {two}");
    check::close(&one, &[-0.811_318_2]);
    check::close(&two, &[-0.811_318_2]);
    let error = session.run(v3, feeds![]).err().ok_or("v3 has a value that nobody gave it")?;
    println!("{error}");
    assert!(error.is_uninitialized());
    Ok(())
}
