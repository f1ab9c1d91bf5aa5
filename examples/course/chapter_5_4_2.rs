//! Chapter 5.4.2: a moving average is saved with its variable, and restored in the variable's place.

#![allow(clippy::print_stdout, reason = "an example prints")]

mod check;

use dormouse::prelude::*;

fn names(graph: &Graph) -> Vec<String> {
    graph.variables().into_iter().map(Variable::name).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let checkpoint = folder.path().join("model2.ckpt");

    let graph = Graph::new();
    let v = graph.variable(0.0_f32).named("v");
    println!("{:?}", names(&graph));
    let average = ExponentialMovingAverage::new(0.99);
    let maintain = average.apply(&graph.variables());
    println!("{:?}", names(&graph));
    assert_eq!(names(&graph), ["v:0", "v/ExponentialMovingAverage:0"]);
    let ten = v.assign(10.0);
    let shadow = average.average(v);
    let init = graph.initializer();
    let session = Session::new(&graph)?;
    session.run(init, feeds![])?;
    session.run(ten, feeds![])?;
    session.run(maintain, feeds![])?;
    Saver::new().save(&session, &checkpoint, None)?;
    let (value, shadow) = session.run((v, shadow), feeds![])?;
    println!("[{value}, {shadow}]");
    check::close(&value, &[10.0]);
    check::close(&shadow, &[0.099_999_905]);

    // A program that only evaluates: the average in the variable's place, by a name given, and by the names that a moving
    // average knows.
    let graph = Graph::new();
    let v = graph.variable(0.0_f32).named("v");
    let by_name = Saver::new().variables([("v/ExponentialMovingAverage", v)]);
    let map = ExponentialMovingAverage::new(0.99).variables_to_restore(&graph);
    println!("{map:?}");
    assert_eq!(map.iter().collect::<Vec<_>>(), [(&"v/ExponentialMovingAverage".to_owned(), &v)]);
    for saver in [by_name, Saver::new().variables(map)] {
        let session = Session::new(&graph)?;
        saver.restore(&session, &checkpoint)?;
        let value = session.run(v, feeds![])?;
        println!("{value}");
        check::close(&value, &[0.099_999_905]);
    }
    Ok(())
}
