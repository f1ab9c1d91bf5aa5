//! What building records as wrong: every root cause once, with the line and the scope it was written in.

use dormouse_graph::{
    Array as _, DistortedBox, Elementwise as _, Graph, Initializer as _, Linalg as _, Sampling as _, UniformInt,
    VarianceScaling,
};
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

#[test]
fn draws_of_what_cannot_be_drawn_are_mistakes() {
    let graph = Graph::new();
    let [x, n] = [DType::F32, DType::I32].map(|dtype| graph.placeholder(dtype, shape![?, 3]));
    graph.random(&[2], UniformInt::new(3, 3));
    graph.random(&[2], UniformInt::new(0, 1 << 40));
    graph.random(&[2], UniformInt::new(0, 5).dtype(DType::F32));
    n.random_gamma(&[2], None);
    x.random_poisson(&[2], DType::U8, None);
    x.random_gamma(&[usize::MAX, 2], None);
    x.expand_dims(0).categorical(2, None);
    graph.constant(1.0_f32).shuffle(None);
    x.random_crop(&[2, 4], None);
    x.random_crop(&[2], None);
    graph.sample_distorted_bounding_box(graph.constant([3, 3]), x, DistortedBox::default());
    graph.sample_distorted_bounding_box(graph.constant([3, 3, 1]), x, DistortedBox::default());
    VarianceScaling::new(0.0).initial(&graph, &[2]);
    let told: Vec<String> = told(&graph).into_iter().map(|(_, _, message)| message).collect();
    let expected = [
        "random_uniform: there is no whole number from 3 on before 3",
        "random_uniform: i32 does not hold numbers from 0 to 1099511627775",
        "random_uniform: draws i32 or i64, not f32",
        "random_gamma: shapes are floats, not i32",
        "random_poisson: draws f16, f32, f64, i32 or i64, not u8",
        "random_gamma: [18446744073709551615, 2] are more numbers than are drawn at once",
        "categorical: logits must have 2 axes, its shape is [1, ?, 3]",
        "shuffle: a scalar has no first axis",
        "random_crop: [?, 3] has no part of [2, 4]",
        "random_crop: [?, 3] has no part of [2]",
        "sample_distorted_bounding_box: the image's size is height, width and channels, not [2]",
        "sample_distorted_bounding_box: boxes are [.., 4] of f32, not [?, 3] of f32",
        "variance_scaling: the scale is 0, not above 0",
    ];
    assert_eq!(told, expected);
}
