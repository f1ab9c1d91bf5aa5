//! Bad input: each gets an error that names the thing, where it was written, and what to do; nothing has changed after.

#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse::prelude::*;
use dormouse::session::{Optimize, SessionOptions};
use ndarray::{Array2, array};

/// A session of a graph whose variable `w` is initialized.
struct Model {
    graph: OwnedGraph,
    session: Session,
    x: Tensor,
    any: Tensor,
    w: Variable,
    y: Tensor,
    update: Tensor,
}

fn model() -> Model {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, 2]).named("x");
    let any = graph.placeholder(DType::F32, Shape::unknown()).named("any");
    let w = graph.variable([[1.0_f32], [2.0]]).named("w");
    let y = x.matmul(w).named("y");
    let update = w.assign_add(w * 0.5 + any.sum());
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    Model { graph, session, x, any, w, y, update }
}

/// The message of a run that fails, after which the session works and its variable is as it was.
fn refused<T>(m: &Model, outcome: Result<T, dormouse::session::Error>) -> String {
    let message = outcome.err().map(|e| e.to_string()).expect("an error");
    let w = m.session.run(m.w, feeds![]).unwrap();
    assert_eq!(w.to_vec::<f32>().unwrap(), [1.0, 2.0], "after {message}");
    let y = m.session.run(m.y, feeds![m.x => [[1.0_f32, 1.0]]]).unwrap();
    assert_eq!(y.to_vec::<f32>().unwrap(), [3.0], "after {message}");
    message
}

fn has(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    assert!(!message.ends_with('.') && !message.contains('\n'), "{message:?}");
}

#[test]
fn feeds_that_do_not_fit() {
    let m = model();
    has(&refused(&m, m.session.run(m.y, feeds![])), &["\"x\"", "errors.rs:", "feeds![x =>"]);
    let doubles = Array2::<f64>::zeros((1, 2));
    has(&refused(&m, m.session.run(m.y, feeds![m.x => &doubles])), &["x:0", "f32", "f64", "mapv"]);
    let wide = Array2::<f32>::zeros((1, 3));
    has(&refused(&m, m.session.run(m.y, feeds![m.x => &wide])), &["x:0", "[?, 2]", "[1, 3]"]);
    has(&refused(&m, m.session.run(m.y, feeds![m.x => array![1.0_f32, 2.0]])), &["x:0", "[?, 2]", "[2]"]);
    has(&refused(&m, m.session.run(m.y, feeds![m.x => &wide, m.x => &wide])), &["x:0", "[?, 2]"]);
    let good = Array2::<f32>::zeros((1, 2));
    has(&refused(&m, m.session.run(m.y, feeds![m.x => &good, m.x => &good])), &["x:0", "twice"]);
    // A shape that only the run knows does not fit where it is used.
    let update = m.session.run(m.update, feeds![m.any => 1.0_f64, m.w => [[1.0_f32]]]);
    has(&refused(&m, update), &["w:0", "[2, 1]", "[1, 1]"]);
}

#[test]
fn what_the_session_does_not_know() {
    let m = model();
    has(&refused(&m, m.session.run("z", feeds![])), &["\"z\"", "no tensor"]);
    has(&refused(&m, m.session.run("y:3", feeds![])), &["\"y:3\"", "gives 1"]);
    has(&refused(&m, m.session.run(operation("train"), feeds![])), &["\"train\"", "no operation"]);
    let later = m.y * 2.0;
    has(&refused(&m, m.session.run(later, feeds![m.x => [[1.0_f32, 1.0]]])), &["after the session was made"]);
    let other = Graph::new();
    let foreign = other.constant(1.0_f32);
    has(&refused(&m, m.session.run(foreign, feeds![])), &["another graph"]);
    has(&refused(&m, m.session.run(m.y, feeds![foreign => 1.0])), &["another graph"]);
    drop(other);
    has(&refused(&m, m.session.run(foreign, feeds![])), &["graph"]);
    has(&refused(&m, m.session.prepare(m.y, [m.x]).and_then(|s| s.run(()))), &["1 values, got 0"]);
    drop(m.graph);
}

#[test]
fn uninitialized_variables() {
    let graph = Graph::new();
    let w = graph.variable(1.0_f32).named("w");
    let doubled = w * 2.0;
    let session = Session::new(&graph).unwrap();
    let error = session.run(doubled, feeds![]).unwrap_err();
    has(&error.to_string(), &["variable w", "not initialized", "initializer()"]);
    assert!(error.is_uninitialized());
    assert_eq!(session.run(doubled, feeds![w => 4.0]).unwrap().scalar::<f32>().unwrap(), 8.0);
}

#[test]
fn numbers_that_allow_no_result() {
    for (optimize, threads) in [(Optimize::None, 1), (Optimize::Exact, 2), (Optimize::Full, 2)] {
        let graph = Graph::new();
        let table = graph.variable([[1.0_f32, 2.0], [3.0, 4.0]]).named("table");
        let index = graph.placeholder(DType::I32, shape![?]).named("index");
        let divisor = graph.placeholder(DType::I32, shape![]).named("divisor");
        let x = graph.placeholder(DType::F32, shape![?]).named("x");
        let rows = table.gather(index).named("rows");
        let quotient = index.floor_div(divisor).named("quotient");
        let checked = x.log().check_numerics("the logarithm").named("checked");
        let update = table.assign_add(table).operation();
        let init = graph.initializer();
        let session = Session::with_options(
            &graph,
            SessionOptions { optimize, threads: Some(threads), ..SessionOptions::default() },
        )
        .unwrap();
        session.run(init, feeds![]).unwrap();
        let failed = |outcome: Result<(Value, ()), dormouse::session::Error>, parts: &[&str]| {
            has(&outcome.unwrap_err().to_string(), parts);
            assert_eq!(session.run(table, feeds![]).unwrap().to_vec::<f32>().unwrap(), [1.0, 2.0, 3.0, 4.0]);
        };
        failed(session.run((rows, update), feeds![index => [0, 2]]), &["\"rows\"", "errors.rs:", "2"]);
        failed(session.run((rows, update), feeds![index => [-1]]), &["\"rows\"", "-1"]);
        failed(session.run((quotient, update), feeds![index => [4], divisor => 0]), &["\"quotient\"", "zero"]);
        failed(session.run((checked, update), feeds![x => [1.0_f32, -1.0]]), &["\"checked\"", "the logarithm", "NaN"]);
        failed(session.run((checked, update), feeds![x => [0.0_f32]]), &["the logarithm", "Inf"]);
        session.run((rows, update), feeds![index => [1, 0]]).unwrap();
        assert_eq!(session.run(table, feeds![]).unwrap().to_vec::<f32>().unwrap(), [2.0, 4.0, 6.0, 8.0]);
    }
}

#[test]
fn all_mistakes_of_a_graph_are_told_at_once_with_their_lines() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, 784]);
    let w = graph.variable(graph.zeros(&[500, 10]));
    let first = line!() + 1;
    let y = graph.scope("layer2", || x.matmul(w));
    let _ = (y + 1.0).relu().mean();
    let second = line!() + 1;
    let _ = x + graph.constant([1_i32]);
    let third = line!() + 1;
    let _ = x.reshape([-1, -1]);
    let error = Session::new(&graph).unwrap_err();
    let mistakes = error.mistakes().unwrap();
    let lines: Vec<u32> = mistakes.as_slice().iter().map(|m| m.source().line).collect();
    assert_eq!(lines, [first, second, third], "{error}");
    let told = error.to_string();
    for part in ["[?, 784]", "[500, 10]", "layer2", "f32", "i32", &format!("errors.rs:{first}")] {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
}

#[test]
fn what_does_not_fit_in_memory() {
    let m = model();
    // 16 TiB, of which nothing exists until a run asks for it.
    let huge = m.graph.fill(&[1 << 21, 1 << 21], 0.5, DType::F32);
    let product = huge.tanh().matmul(huge);
    let mut session = m.session;
    session.extend(&m.graph).unwrap();
    let m = Model { session, ..m };
    for fetch in [huge, product] {
        has(
            &refused(&m, m.session.run((fetch, m.update), feeds![m.any => 1.0])),
            &["bytes", "the system does not give"],
        );
    }
}

#[test]
fn matrices_without_an_inverse() {
    let graph = Graph::new();
    let a = graph.placeholder(DType::F64, shape![?, 2, 2]);
    let line = line!() + 1;
    let [inverse, root] = [a.matrix_inverse().named("inverse"), a.cholesky().named("root")];
    let session = Session::new(&graph).unwrap();
    let place = format!("errors.rs:{line}");
    let told = |fetch: Tensor, matrices: [[[f64; 2]; 2]; 2]| {
        session.run(fetch, feeds![a => Value::from(ndarray::arr3(&matrices))]).unwrap_err().to_string()
    };
    let singular = [[[1.0, 0.0], [0.0, 1.0]], [[1.0, 2.0], [2.0, 4.0]]];
    has(&told(inverse, singular), &["\"inverse\"", &place, "matrix 1 is not invertible"]);
    has(&told(root, singular), &["\"root\"", &place, "matrix 1 is not positive definite"]);
}
