//! What building records as wrong: every root cause once, with the line and the scope it was written in.

use dormouse_graph::{Array as _, Elementwise as _, Graph, Linalg as _};
use dormouse_value::{DType, shape};

fn told(graph: &Graph) -> Vec<(u32, String, String)> {
    let mistakes = graph.check().err();
    let mistakes = mistakes.iter().flat_map(dormouse_graph::Mistakes::as_slice);
    mistakes.map(|m| (m.source().line, m.scope().to_owned(), m.message().to_owned())).collect()
}

#[test]
fn all_root_causes_are_told_with_their_lines() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, 784]);
    let w = graph.constant([[1.0_f32, 2.0]; 500]);
    let first = line!() + 1;
    let bad = graph.scope("layer2", || x.matmul(w));
    let _silent = (bad.relu() + 1.0).reshape([3]).matmul(x);
    let n = graph.placeholder(DType::I64, shape![4]);
    let second = line!() + 1;
    let _ = n * 2.5;
    let third = line!() + 1;
    let _ = graph.located(|| n / n);
    let told = told(&graph);
    let lines: Vec<u32> = told.iter().map(|(line, _, _)| *line).collect();
    assert_eq!(lines, [first, second, third], "{told:?}");
    assert_eq!(told[0].1, "layer2");
    assert_eq!(told[0].2, "matmul: inner dimensions differ: [?, 784] × [500, 2]");
}

#[test]
fn a_panic_inside_a_scope_leaves_the_root_as_it_was() {
    let graph = Graph::new();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| graph.scope("a", || panic!("as wished"))));
    assert!(caught.is_err());
    assert_eq!(graph.constant(1.0_f32).name(), "Const:0");
}

#[test]
fn an_operand_of_another_graph_is_a_mistake() {
    let (graph, other) = (Graph::new(), Graph::new());
    let x = graph.constant(1.0_f32);
    let line = line!() + 1;
    let _ = x + other.constant(2.0_f32);
    let told = told(&graph);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].0, line);
    assert!(told[0].2.starts_with("add: "), "{}", told[0].2);
}

#[test]
fn long_chains_are_built_and_dropped_without_recursion() {
    let graph = Graph::new();
    let mut x = graph.constant(1.0_f32);
    for _ in 0..100_000 {
        x = x.relu();
    }
    assert_eq!(graph.len(), 100_001);
    assert!(graph.check().is_ok());
    drop(graph);
    assert!(x.relu().is_dead());
}

#[test]
fn operators_of_booleans_and_remainders() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::I32, shape![?]);
    let odd = (x % 2).equal(1);
    let both = !(odd & x.greater(3)) | odd ^ odd;
    assert_eq!((both.dtype(), both.shape()), (DType::Bool, shape![?]));
    let bits = !(x & 6) | x ^ x;
    assert_eq!((bits.dtype(), bits.shape()), (DType::I32, shape![?]));
    assert!(graph.check().is_ok());
    let float = x.cast(DType::F32);
    let line = line!() + 1;
    let _ = float & float;
    assert_eq!(told(&graph)[0].0, line);
}
