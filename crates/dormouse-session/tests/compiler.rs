//! However a program is compiled and on however many threads it runs, it computes the same: random graphs under every
//! setting against one kernel a node on one thread.

#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse_graph::{Array, Elementwise, Graph, Linalg, MatMul, Nn, Normal, OwnedGraph, Reduction, Tensor, Variable};
use dormouse_session::{Optimize, Session, SessionOptions, Snapshot, feeds};
use dormouse_value::{DType, Value, shape};
use proptest::prelude::*;

/// One step of building: which operation, and which two of the tensors so far.
type Recipe = Vec<(u8, u8, u8)>;

struct Model {
    graph: OwnedGraph,
    x: Tensor,
    fetches: Vec<Tensor>,
    init: dormouse_graph::Operation,
}

/// A graph of square matrices, vectors and scalars, with two variables that it writes and reads in between.
fn model(recipe: &Recipe, side: usize) -> Model {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, ?]).named("x");
    let w: Variable = graph.variable(graph.random(&[side, side], Normal::new(0.5).seed(3))).named("w");
    let v: Variable = graph.variable(graph.random(&[side], Normal::new(0.5).seed(5))).named("v");
    let (two, one, zero) = (graph.constant(2.0_f32), graph.ones(&[1]), graph.zeros(&[1, 1]));
    let mut tensors = vec![x, w.before_run(), v.before_run(), two, one, zero];
    for &(op, a, b) in recipe {
        let (a, b) = (tensors[a as usize % tensors.len()], tensors[b as usize % tensors.len()]);
        // Everything broadcasts to a matrix.
        let matrix = |t: Tensor| t.broadcast_to(&[side, side]);
        let next = match op % 27 {
            0 => a + b,
            1 => a - b,
            2 => a * b,
            3 => a.maximum(b),
            4 => a.tanh() * 0.5,
            5 => a.sigmoid(),
            6 => (-a) + b,
            7 => a.relu() - (-b),
            8 => a.square().sqrt(),
            9 => matrix(a).matmul(matrix(b)) * (1.0 / side as f64),
            10 => matrix(a).transpose().matmul(matrix(b)).tanh(),
            11 => {
                matrix(a).matmul_with(matrix(b).transpose(), MatMul { transpose_a: true, ..MatMul::default() }).tanh()
            }
            12 => matrix(a).mean_over([-1]),
            13 => matrix(a).sum() * (1.0 / side as f64),
            14 => matrix(a).reshape([-1]).exp().reshape([side as i64, side as i64]).tanh(),
            15 => matrix(a).greater(matrix(b)).select(matrix(a), matrix(b)),
            16 => matrix(a).cast(DType::F64).cast(DType::F32),
            17 => matrix(a).softmax(),
            18 => matrix(a).transpose().transpose() + b,
            19 => w.assign_sub(matrix(a) * 0.01),
            20 => graph.control_dependencies(a, || w.value()) * 1.0,
            21 => v.assign(matrix(a).max_over([0])),
            22 => graph.control_dependencies(b, || v.value()) + 0.0,
            23 => matrix(a).sum_over([0]) * (1.0 / side as f64) + matrix(b).tanh(),
            24 => (matrix(a).tanh() * b).mean_over([-2]),
            25 => (-(matrix(a).sigmoid() * v.before_run())).sum_over([0]) * (1.0 / side as f64),
            _ => a.pow(two) / (b.square() + 1.0),
        };
        tensors.push(next);
    }
    let init = graph.initializer();
    let fetches = tensors.split_off(tensors.len().saturating_sub(4));
    Model { graph, x, fetches, init }
}

fn run(model: &Model, options: SessionOptions, side: usize) -> (Vec<Vec<Value>>, Snapshot) {
    let session = Session::with_options(&model.graph, options).unwrap();
    session.run(model.init, ()).unwrap();
    let numbers: Vec<f32> = (0..side * side).map(|i| ((i * 37 % 101) as f32 - 50.0) / 25.0).collect();
    let x = Value::from_elements(&[side, side], numbers).unwrap();
    let values = (0..3).map(|_| session.run(&model.fetches, feeds![model.x => &x]).unwrap()).collect();
    (values, session.snapshot())
}

/// The bits, of which all NaNs' are one.
fn bits(value: &Value) -> Vec<u32> {
    value.to_vec::<f32>().unwrap().into_iter().map(|x| if x.is_nan() { u32::MAX } else { x.to_bits() }).collect()
}

fn all_bits(run: &(Vec<Vec<Value>>, Snapshot)) -> Vec<Vec<u32>> {
    run.0.iter().flatten().chain(run.1.variables.values()).map(bits).collect()
}

fn check(recipe: &Recipe, side: usize) -> Result<(), TestCaseError> {
    let model = model(recipe, side);
    prop_assert!(model.graph.check().is_ok(), "{:?}", model.graph.check());
    let options = |optimize, threads| SessionOptions { optimize, threads: Some(threads), ..SessionOptions::default() };
    let reference = run(&model, options(Optimize::None, 1), side);
    let expected = all_bits(&reference);
    for (optimize, threads) in [(Optimize::None, 3), (Optimize::Exact, 1), (Optimize::Exact, 2), (Optimize::Exact, 8)] {
        let got = all_bits(&run(&model, options(optimize, threads), side));
        prop_assert!(got == expected, "{optimize:?} on {threads} threads");
    }
    let full = run(&model, options(Optimize::Full, 1), side);
    for threads in [2, 8] {
        let got = all_bits(&run(&model, options(Optimize::Full, threads), side));
        prop_assert!(got == all_bits(&full), "full on {threads} threads");
    }
    // The first run alone: rounding may grow from run to run.
    for (a, b) in reference.0[0].iter().zip(&full.0[0]) {
        for (a, b) in a.to_vec::<f32>().unwrap().into_iter().zip(b.to_vec::<f32>().unwrap()) {
            let near = (a - b).abs() <= 1e-3 * (1.0 + a.abs());
            prop_assert!(near || !a.is_finite() || a.abs() > 1e6, "{a} and {b}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn small_graphs(recipe in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>()), 1..40)) {
        check(&recipe, 5)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Large enough that several threads share the work.
    #[test]
    fn large_graphs(recipe in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>()), 4..24)) {
        check(&recipe, 130)?;
    }
}
