//! Chapter 4.2: learning rates. x² is descended from 5 at a rate that is too large, one that is too small, and one that
//! decays.

#![allow(clippy::print_stdout, reason = "an example prints")]

mod check;

use dormouse::prelude::*;

/// Steps, and what x and the rate are after them.
type Expected = &'static [(usize, f32, f32)];

fn descend(name: &str, rate_of: impl Fn(&Graph, Variable) -> Tensor, expected: Expected) -> dormouse::Result<()> {
    let graph = Graph::new();
    let step = graph.variable(0_i32).named("step");
    let x = graph.variable(5.0_f32).named("x");
    let y = x.square();
    let rate = rate_of(&graph, step);
    let train = GradientDescent::new(rate).minimize_with(y, Minimize::new().global_step(step));
    let init = graph.initializer();

    let session = Session::new(&graph)?;
    session.run(init, feeds![])?;
    let mut steps = 0;
    for &(after, x_expected, rate_expected) in expected {
        while steps < after {
            session.run(train, feeds![])?;
            steps += 1;
        }
        let (x, rate, counted) = session.run((x, rate, step), feeds![])?;
        println!("{name}: after {counted} steps, x is {x}, the rate {rate}");
        check::close(&x, &[x_expected]);
        check::close(&rate, &[rate_expected]);
        assert_eq!(counted.scalar::<i32>()?, steps as i32);
    }
    Ok(())
}

fn main() -> dormouse::Result<()> {
    descend(
        "rate 1",
        |graph, _| graph.constant(1.0_f32),
        &[(1, -5.0, 1.0), (2, 5.0, 1.0), (9, -5.0, 1.0), (10, 5.0, 1.0)],
    )?;
    let slow: Expected = &[(1, 4.99, 0.001), (101, 4.084_646, 0.001), (901, 0.823_355_5, 0.001)];
    descend("rate 0.001", |graph, _| graph.constant(0.001_f32), slow)?;
    let decayed: Expected = &[
        (1, 4.0, 0.096),
        (11, 0.690_561_2, 0.063_823_916),
        (21, 0.222_582_55, 0.042_432_215),
        (51, 0.047_625_173, 0.012_469_023),
        (91, 0.028_727_401, 0.002_436_022_7),
    ];
    let decay = Decay { steps: 1, rate: 0.96, staircase: true };
    descend("decayed rate", |_, step| exponential_decay(0.1, step, decay), decayed)
}
