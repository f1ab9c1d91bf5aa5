//! Chapter 4.4: a moving average follows a variable, faster at the start than later.

#![allow(clippy::print_stdout, reason = "an example prints")]

mod check;

use dormouse::prelude::*;

fn main() -> dormouse::Result<()> {
    let graph = Graph::new();
    let v = graph.variable(0.0_f32).named("v");
    let step = graph.variable(0_i32).named("step").untrainable();
    let average = ExponentialMovingAverage::new(0.99).with_num_updates(step);
    let maintain = average.apply(&[v]);
    let shadow = average.average(v);
    let [five, ten, far] = [v.assign(5.0), v.assign(10.0), step.assign(10_000)];
    let init = graph.initializer();

    let session = Session::new(&graph)?;
    session.run(init, feeds![])?;
    let show = |expected: [f32; 2]| -> dormouse::Result<()> {
        let (v, shadow) = session.run((v, shadow), feeds![])?;
        println!("[{v}, {shadow}]");
        check::close(&v, &expected[..1]);
        check::close(&shadow, &expected[1..]);
        Ok(())
    };
    show([0.0, 0.0])?;
    session.run(five, feeds![])?;
    session.run(maintain, feeds![])?;
    show([5.0, 4.5])?;
    session.run([far, ten], feeds![])?;
    session.run(maintain, feeds![])?;
    show([10.0, 4.555])?;
    session.run(maintain, feeds![])?;
    show([10.0, 4.609_45])
}
