//! Graphs of hundreds of thousands of nodes: nothing recurses, and nothing takes the square of their number.

#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse::prelude::*;

/// y ← y·w, y ← y + 1, 50,000 times each; the gradient of w sums as many terms.
#[test]
fn a_long_chain_and_its_gradient() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![]);
    let w = graph.variable(1.0_f32);
    let steps = 50_000;
    let y = (0..steps).fold(x, |y, _| y * w + 1.0);
    let [slope] = gradients(y, [w]);
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    let [y, slope] = session.run([y, slope], feeds![x => 1.0]).unwrap();
    assert_eq!(y.scalar::<f32>().unwrap(), 50_001.0);
    // Σ of 1 to 50,000: each step's product multiplies what had come before it.
    assert!((slope.scalar::<f32>().unwrap() / 1_250_025_000.0 - 1.0).abs() < 1e-3, "{slope}");
}

/// Thousands of variables, written, read and put back at once; thousands of tensors asked for at once.
#[test]
fn many_variables_and_many_fetches() {
    let graph = Graph::new();
    let variables: Vec<Variable> = (0..5_000).map(|i| graph.variable(i as f32)).collect();
    let steps: Vec<Tensor> = variables.iter().map(|v| v.assign_add(1.0)).collect();
    let total = graph.add_n(&variables);
    let (init, train) = (graph.initializer(), graph.group(steps.iter().map(|s| s.operation()).collect::<Vec<_>>()));
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    for round in 1..4 {
        session.run(train, feeds![]).unwrap();
        let values = session.run(&variables, feeds![]).unwrap();
        assert!(values.iter().enumerate().all(|(i, v)| v.scalar::<f32>().unwrap() == (i + round) as f32));
    }
    let total = session.run(total, feeds![]).unwrap().scalar::<f32>().unwrap();
    assert_eq!(total, (0..5_000).map(|i| (i + 3) as f32).sum::<f32>());
    let snapshot = session.snapshot();
    session.restore(&snapshot).unwrap();
    assert_eq!(session.snapshot(), snapshot);
}
