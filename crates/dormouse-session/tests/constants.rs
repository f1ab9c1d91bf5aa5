//! Graphs whose variables have become constants.

#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse_graph::{Elementwise, Graph, Linalg};
use dormouse_session::{Session, feeds};
use dormouse_value::{DType, shape};

#[test]
fn what_is_needed_is_kept_with_its_names_and_values() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, 2]).named("x");
    let w = graph.variable([[1.0_f32], [2.0]]).named("w");
    let b = graph.variable(0.0_f32).named("b");
    let unused = graph.variable(0.0_f32).named("unused");
    let y = (x.matmul(w) + b).relu().named("y");
    let guard = graph.no_op();
    let z = graph.control_dependencies(guard, || y * b).named("z");
    graph.collect("answers", y);
    graph.collect("answers", unused.value());
    let add = b.assign_add(3.0);
    let session = Session::new(&graph).unwrap();
    session.run([w.initializer(), b.initializer()], feeds![]).unwrap();
    session.run(add, feeds![]).unwrap();

    let frozen = session.freeze_variables(&[y, z]).unwrap();
    frozen.verify().unwrap();
    assert!(frozen.variables().is_empty() && frozen.find("unused").is_none());
    let alone = Graph::thaw(&frozen).unwrap();
    assert_eq!(alone.collection("answers").iter().map(|t| t.name()).collect::<Vec<_>>(), ["y:0"]);
    let expected = session.run((y, z), feeds![x => [[1.0_f32, 1.0]]]).unwrap();
    let answers = Session::new(&alone).unwrap();
    assert_eq!(answers.run(("y", "z"), feeds!["x" => [[1.0_f32, 1.0]]]).unwrap(), expected);
    assert_eq!(expected.1.to_vec::<f32>().unwrap(), [18.0]);
}

#[test]
fn what_cannot_be_constant_is_refused() {
    let graph = Graph::new();
    let w = graph.variable(1.0_f32).named("w");
    let add = w.assign_add(1.0);
    let after = graph.control_dependencies(add, || w * 2.0);
    let session = Session::new(&graph).unwrap();
    let told = |tensor| session.freeze_variables(&[tensor]).unwrap_err().to_string();
    assert!(told(w.value()).contains("variable w is not initialized"));
    session.run(w.initializer(), feeds![]).unwrap();
    assert!(told(after).contains("it writes a variable"), "{}", told(after));
    assert!(told(w * 3.0).contains("after the session was made"));
    let other = Graph::new();
    let stranger = other.constant(1.0_f32);
    assert!(told(stranger).contains("another graph"));
    drop(other);
    assert!(session.freeze_variables(&[]).unwrap().nodes().is_empty());
}
