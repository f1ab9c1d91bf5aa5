//! What programs write to take arrays apart and put them together: slicing by ranges, cuts, indices, labels; and what they
//! are told when it does not fit.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::reversed_empty_ranges, reason = "begin and end of a slice, as Python has them")]

use dormouse::graph::Windows;
use dormouse::prelude::*;
use ndarray::{Array3, ArrayD, s};

/// 0, 1, 2, … in extents.
fn counted(dims: [usize; 3]) -> Array3<f32> {
    let n = dims.iter().product::<usize>();
    Array3::from_shape_vec(dims, (0..n).map(|i| i as f32).collect()).unwrap()
}

fn run(graph: &Graph, x: Tensor) -> Value {
    Session::new(graph).unwrap().run(x, feeds![]).unwrap()
}

fn told(graph: &Graph) -> String {
    graph.check().unwrap_err().to_string()
}

#[test]
fn ranges_take_what_pythons_take() {
    let graph = Graph::new();
    let array = counted([3, 4, 5]);
    let x = graph.constant(&array);
    let check = |tensor: Tensor, expected: ArrayD<f32>| assert_eq!(run(&graph, tensor), Value::from(&expected));
    check(x.at(1), array.slice(s![1, .., ..]).to_owned().into_dyn());
    check(x.at((.., -1)), array.slice(s![.., -1, ..]).to_owned().into_dyn());
    check(x.at((1.., ..-1, NewAxis, 2..=3)), array.slice(s![1.., ..-1, NewAxis, 2..=3]).to_owned().into_dyn());
    check(x.at((Rest, 0)), array.slice(s![.., .., 0]).to_owned().into_dyn());
    check(x.at((0, Rest, ..=-1)), array.slice(s![0, .., ..]).to_owned().into_dyn());
    check(x.at((.., by(.., -1))), array.slice(s![.., ..;-1, ..]).to_owned().into_dyn());
    check(x.at((.., .., by(4..0, -2))), array.slice(s![.., .., 1..;-2]).to_owned().into_dyn());
    check(x.at((by(-100..100, 2),)), array.slice(s![..;2, .., ..]).to_owned().into_dyn());
    assert_eq!(x.at((5..2, ..)).shape(), shape![0, 4, 5]);
    let open = graph.placeholder(DType::F32, shape![?, 4]);
    assert_eq!(open.at((1.., -1)).shape(), shape![?]);
    assert_eq!(open.at((.., ..2)).shape(), shape![?, 2]);
}

#[test]
fn ndarrays_slices_mean_what_they_mean_there() {
    let graph = Graph::new();
    let array = counted([3, 4, 5]);
    let x = graph.constant(&array);
    macro_rules! same {
        ($($slice:expr),*) => { $(
            let expected = array.slice($slice).to_owned().into_dyn();
            assert_eq!(run(&graph, x.at($slice)), Value::from(&expected), stringify!($slice));
        )* };
    }
    same!(
        s![.., 1, ..],
        s![1..;2, ..-1, -1],
        s![0..2;-1, ..;-1, 1..4;-2],
        s![-2..;-1, 0..0;-1, ..],
        s![NewAxis, .., .., -3..-1],
        s![2, -4..-2;-3, NewAxis, ..;-5]
    );
}

#[test]
fn parts_that_are_outside_are_told() {
    let graph = Graph::new();
    let x = graph.zeros(&[2, 3]);
    let _ = x.at(2);
    assert!(
        told(&graph).starts_with("strided_slice: Index(2) is outside of an axis of 2, in [2, 3]"),
        "{}",
        told(&graph)
    );
    for wrong in [
        |x: Tensor| x.at((0, 0, 0)),
        |x: Tensor| x.at((Rest, Rest)),
        |x: Tensor| x.at(by(.., 0)),
        |x: Tensor| x.at(by(1, 2)),
        |x: Tensor| x.reverse(&[2]),
        |x: Tensor| x.roll(&[1, 2], &[0]),
        |x: Tensor| x.split::<2>(1)[0],
        |x: Tensor| x.unstack::<3>(0)[0],
        |x: Tensor| x.split_sizes([1, 1], 1)[0],
        |x: Tensor| x.pad_reflect(&[[2, 0], [0, 0]]),
        |x: Tensor| x.tensordot(x, 1),
        |x: Tensor| x.tensordot(x, ([0, 0], [0, 1])),
        |x: Tensor| x.graph().einsum("ij,ij->k", &[x, x]),
        |x: Tensor| x.diag_part(),
        |x: Tensor| x.at(0).trace(),
        |x: Tensor| x.tensor_scatter_add(x.graph().constant([[0_i32]]), x),
        |x: Tensor| x.gather_nd(x),
        |x: Tensor| x.space_to_depth(2),
        |x: Tensor| x.sequence_mask(3),
        |x: Tensor| x.graph().range_with(0.0, 1.0, 0.5, DType::I32),
        |x: Tensor| x.graph().range_with(0.0, f64::INFINITY, 1.0, DType::F32),
        |x: Tensor| x.graph().stack::<Tensor>(&[], 0),
    ] {
        let graph = Graph::new();
        let _ = wrong(graph.zeros(&[2, 3]));
        let message = told(&graph);
        assert!(message.contains("tests/arrays.rs"), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[test]
fn parts_are_named_by_patterns() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, 6]);
    let [a, b, c] = x.split(1);
    assert_eq!((a.shape(), c.shape()), (shape![?, 2], shape![?, 2]));
    let [first, second] = x.unstack(0);
    assert_eq!(first.shape(), shape![6]);
    let whole = graph.stack(&[second, first], 0);
    let session = Session::new(&graph).unwrap();
    let value = Value::from([[0.0_f32, 1.0, 2.0, 3.0, 4.0, 5.0], [6.0, 7.0, 8.0, 9.0, 10.0, 11.0]]);
    let (b, whole) = session.run((b, whole), feeds![x => &value]).unwrap();
    assert_eq!(b, Value::from([[2.0_f32, 3.0], [8.0, 9.0]]));
    assert_eq!(whole, Value::from([[6.0_f32, 7.0, 8.0, 9.0, 10.0, 11.0], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]]));
    // An axis of another extent is refused when the run tells it.
    let wrong = session.run(second, feeds![x => [[0.0_f32; 6]; 3]]);
    assert!(wrong.unwrap_err().to_string().contains("elements"));
}

#[test]
fn scattered_writes_follow_each_other() {
    let graph = Graph::new();
    let w = graph.variable([[1.0_f32, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    let at = graph.placeholder(DType::I64, shape![?]);
    let ones = graph.constant([[1.0_f32, 1.0], [10.0, 10.0]]);
    let add = w.scatter_add(at, ones);
    let sub = w.scatter_sub(at, ones * 2.0);
    let set = graph
        .control_dependencies((add, sub), || w.scatter_nd_update(graph.constant([[2, 1]]), graph.constant([0.5_f32])));
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    let last = session.run(set, feeds![at => [0_i64, 0]]).unwrap();
    assert_eq!(last, Value::from([[-10.0_f32, -9.0], [3.0, 4.0], [5.0, 0.5]]));
    assert_eq!(session.run(w, feeds![]).unwrap(), last);
    // A failed run has changed nothing.
    let error = session.run(add, feeds![at => [0_i64, 3]]).unwrap_err().to_string();
    assert!(error.contains("indices[1] = [3] is not within [3]"), "{error}");
    assert_eq!(session.run(w, feeds![]).unwrap(), last);
}

#[test]
fn scattered_writes_are_saved() {
    let graph = Graph::new();
    let w = graph.variable([1_i32, 2, 3]);
    let _ =
        w.scatter_add([1_i64, 1].map(|i| graph.constant(i))[0].expand_dims(0), graph.constant([5_i32])).named("add");
    let loaded = dormouse::io::decode_graph(&dormouse::io::encode_graph(&graph).unwrap()).unwrap();
    let init = loaded.initializer();
    let session = Session::new(&loaded).unwrap();
    session.run(init, feeds![]).unwrap();
    assert_eq!(session.run("add", feeds![]).unwrap(), Value::from([1_i32, 7, 3]));
}

#[test]
fn products_by_labels_take_unknown_extents() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, ?, 2, 3]);
    let w = graph.variable(graph.random(&[3, 2, 2], Normal::new(1.0).seed(1)));
    let y = graph.einsum("bthd,dij->bthij", &[x, w.value()]);
    assert_eq!(y.shape(), shape![?, ?, 2, 2, 2]);
    let [dw] = gradients(y.square().sum(), [w]);
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    let value = Value::from_elements(&[4, 5, 2, 3], vec![1.0_f32; 120]).unwrap();
    let (y, dw, w) = session.run((y, dw, w), feeds![x => &value]).unwrap();
    assert_eq!((y.shape(), dw.shape()), (&[4, 5, 2, 2, 2][..], &[3, 2, 2][..]));
    let (w, y): (Vec<f32>, Vec<f32>) = (w.to_vec().unwrap(), y.to_vec().unwrap());
    let sum: f32 = (0..3).map(|d| w[4 * d]).sum();
    assert!((y[0] - sum).abs() < 1e-5);
}

#[test]
fn gradients_of_gradients_go_through_parts() {
    let graph = Graph::new();
    let x = graph.constant([[1.0_f64, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let at = graph.constant([[0_i32, 2], [1, 1], [0, 2]]);
    let y = (x.at((.., by(.., -2))).square() * x.at((.., by(.., -2)))).sum() + x.gather_nd(at).pow(3.0).sum();
    let [dx] = gradients(y, [x]);
    let [ddx] = gradients(dx.sum(), [x]);
    // Σ x³ over columns 0 and 2, and three more cubes: 6x an occurrence.
    assert_eq!(run(&graph, ddx), Value::from([[6.0_f64, 0.0, 54.0], [24.0, 30.0, 36.0]]));
}

#[test]
fn sequences_that_cannot_be_turned_or_repeated_are_mistakes() {
    let wrong = |build: &dyn Fn(&Graph)| {
        let graph = Graph::new();
        build(&graph);
        graph.check().unwrap_err().to_string()
    };
    let told = wrong(&|graph| {
        graph.zeros(&[2, 3]).reverse_sequence(graph.constant([1, 2]), 0, 0);
    });
    assert!(told.contains("reverse_sequence: along axis 0 of each part of axis 0"), "{told}");
    let told = wrong(&|graph| {
        graph.zeros(&[2, 3]).repeat(&[1, 2], 1);
    });
    assert!(told.contains("repeat: 2 numbers for axis 1 of [2, 3]"), "{told}");
    let told = wrong(&|graph| {
        let image = graph.placeholder(DType::F32, shape![1, ?, 4, 1]);
        image.extract_image_patches(Windows { strides: [2, 2], ..Windows::default() });
    });
    assert!(told.contains("extent 1 of [1, ?, 4, 1] is not known"), "{told}");
    let told = wrong(&|graph| {
        graph.zeros(&[1, 2, 2, 1]).extract_image_patches(Windows { size: [0, 1], ..Windows::default() });
    });
    assert!(told.contains("are 1 at least"), "{told}");
    let told = wrong(&|graph| {
        graph.constant([1, 2]).next_after(3);
    });
    assert!(told.contains("next_after: takes f32 or f64, not i32"), "{told}");
}

#[test]
fn places_that_are_not_there_fail_the_run() {
    let graph = Graph::new();
    let (lengths, places) = (graph.placeholder(DType::I32, shape![2]), graph.placeholder(DType::I64, shape![?]));
    let turned = graph.constant([[1, 2, 3], [4, 5, 6]]).reverse_sequence(lengths, 1, 0);
    let at = places.unravel_index(&[2, 3]);
    let session = Session::new(&graph).unwrap();
    let value = session.run(turned, feeds![lengths => [2, 3]]).unwrap();
    assert_eq!(value, Value::from([[2, 1, 3], [6, 5, 4]]));
    for wrong in [[4, 0], [0, -1]] {
        session.run(turned, feeds![lengths => wrong]).unwrap_err();
    }
    assert_eq!(session.run(at, feeds![places => [5_i64, 0]]).unwrap(), Value::from([[1_i64, 0], [2, 0]]));
    for wrong in [[6_i64], [-1]] {
        let told = session.run(at, feeds![places => wrong]).unwrap_err().to_string();
        assert!(told.contains("unravel_index: a place outside of [2, 3]"), "{told}");
    }
}

#[test]
fn rows_of_variables_are_multiplied_divided_and_bounded_where_they_lie() {
    let graph = Graph::new();
    let w = graph.variable([[1.0_f32, -2.0], [3.0, 4.0]]);
    let rows = graph.constant([1, 1]);
    let changed = [
        w.scatter_mul(rows, graph.constant([[2.0_f32, 0.5], [3.0, 0.5]])),
        w.scatter_div(rows, graph.constant([[2.0_f32, 0.5], [3.0, 0.5]])),
        w.scatter_max(rows, graph.constant([[7.0_f32, 0.0], [8.0, 0.0]])),
        w.scatter_min(rows, graph.constant([[5.0_f32, 9.0], [6.0, -1.0]])),
    ];
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    let told = [[18.0_f32, 1.0], [3.0, 4.0], [8.0, 4.0], [5.0, -1.0]];
    for (change, row) in changed.into_iter().zip(told) {
        assert_eq!(session.run(change, feeds![]).unwrap(), Value::from([[1.0, -2.0], row]));
    }
    let integers = graph.variable([1, 2]);
    integers.scatter_div(rows, graph.constant([1, 1]));
    let told = graph.check().unwrap_err().to_string();
    assert!(told.contains("divides floats, not i32"), "{told}");
}

#[test]
fn a_tuple_waits_for_all_of_it() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![]);
    let both = graph.tuple(&[x + 1.0, x * 2.0]);
    let w = graph.variable(0.0_f32);
    let gate = graph.tuple(&[x, w.assign(x)]);
    let session = Session::new(&graph).unwrap();
    assert_eq!(session.run(both[0], feeds![x => 2.0_f32]).unwrap(), Value::from(3.0_f32));
    session.run(gate[0], feeds![x => 2.5_f32]).unwrap();
    assert_eq!(session.run(w, feeds![]).unwrap(), Value::from(2.5_f32));
}
