//! What goes by tensors gives what goes by the same numbers when they are told, with its gradients.

#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse::prelude::*;
use ndarray::array;

/// Runs both, with the gradients of their squares by x, on x of a shape that is not known before.
fn same(x: &Value, rank: usize, told: impl Fn(Tensor) -> Tensor, measured: impl Fn(Tensor) -> Tensor) {
    let graph = Graph::new();
    let input = graph.placeholder(x.dtype(), Shape::of_rank(rank));
    let (a, b) = (told(input), measured(input));
    let mut fetches = vec![a, b];
    if a.dtype().is_float() && x.dtype().is_float() {
        let [da] = gradients(a.square().sum(), [input]);
        let [db] = gradients(b.square().sum(), [input]);
        fetches.extend([da, db]);
    }
    let session = Session::new(&graph).unwrap();
    let values = session.run(&fetches, feeds![input => x]).unwrap();
    for pair in values.chunks(2) {
        assert_eq!(pair[0], pair[1]);
    }
}

fn numbers() -> Value {
    Value::from_elements(&[4, 5], (0..20).map(|i| ((i * 7 + 3) % 20) as f32 / 4.0 - 2.0).collect()).unwrap()
}

#[test]
fn slices_by_tensors_and_masks() {
    use dormouse::graph::SliceMasks;
    let masks =
        |begin, end, ellipsis, new_axis, shrink_axis| SliceMasks { begin, end, ellipsis, new_axis, shrink_axis };
    let of = |x: Tensor, [begin, end, strides]: [Vec<i64>; 3], masks| {
        let graph = x.graph();
        let [begin, end, strides] = [begin, end, strides].map(|n| graph.constant(Value::from(n)));
        x.strided_slice_masked(begin, end, strides, masks)
    };
    let n = |n: &[i64]| n.to_vec();
    same(&numbers(), 2, |x| x.at((.., 3)), |x| of(x, [n(&[9, 3]), n(&[9, 9]), n(&[1, 1])], masks(1, 1, 0, 0, 2)));
    same(&numbers(), 2, |x| x.at((Rest, 1..)), |x| of(x, [n(&[0, 1]), n(&[0, 0]), n(&[1, 1])], masks(0, 2, 1, 0, 0)));
    same(
        &numbers(),
        2,
        |x| x.at((-1, NewAxis, by(.., -2))),
        |x| of(x, [n(&[-1, 5, 0]), n(&[0, 5, 0]), n(&[1, 1, -2])], masks(4, 4, 0, 2, 1)),
    );
    same(
        &numbers(),
        2,
        |x| x.at((NewAxis, 1..3, Rest, NewAxis)),
        |x| of(x, [n(&[0, 1, 0, 0]), n(&[0, 3, 0, 0]), n(&[1, 1, 1, 1])], masks(0, 0, 4, 9, 0)),
    );
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, Shape::of_rank(2));
    of(x, [n(&[0, 0, 0]), n(&[1, 1, 1]), n(&[1, 1, 1])], SliceMasks::default());
    assert!(Session::new(&graph).unwrap_err().to_string().contains("as many axes as these cut"));
}

#[test]
fn classes_by_tensors_with_values_and_axes() {
    use dormouse::graph::OneHotTo;
    let ids = Value::from_elements(&[2, 3], vec![0, 2, -1, 5, 1, 3]).unwrap();
    for axis in [-1, 0, 1, 2, -2, -3] {
        for (on, off, dtype) in [(1.0, 0.0, DType::F32), (2.5, -1.0, DType::F64), (7.0, 3.0, DType::I32)] {
            same(
                &ids,
                2,
                |x| x.one_hot_with(OneHot { depth: 4, axis, on, off, dtype }),
                |x| x.one_hot_to_with(x.graph().constant(4), OneHotTo { axis, on, off, dtype }),
            );
        }
    }
}

#[test]
fn segments_of_every_kind_by_tensors() {
    type Told = fn(Tensor, Tensor, usize) -> Tensor;
    type Measured = fn(Tensor, Tensor, Tensor) -> Tensor;
    let ids = |x: Tensor, numbers: [i32; 4]| x.graph().constant(numbers);
    let in_order: [(Told, Measured); 5] = [
        (|x, ids, n| x.segment_sum(ids, n), |x, ids, n| x.segment_sum_to(ids, n)),
        (|x, ids, n| x.segment_prod(ids, n), |x, ids, n| x.segment_prod_to(ids, n)),
        (|x, ids, n| x.segment_max(ids, n), |x, ids, n| x.segment_max_to(ids, n)),
        (|x, ids, n| x.segment_min(ids, n), |x, ids, n| x.segment_min_to(ids, n)),
        (|x, ids, n| x.segment_mean(ids, n), |x, ids, n| x.segment_mean_to(ids, n)),
    ];
    for (told, measured) in in_order {
        same(
            &numbers(),
            2,
            |x| told(x, ids(x, [0, 0, 2, 3]), 4),
            |x| measured(x, ids(x, [0, 0, 2, 3]), ids(x, [0, 0, 2, 3]).at(-1) + 1),
        );
    }
    let in_any_order: [(Told, Measured); 6] = [
        (|x, ids, n| x.unsorted_segment_sum(ids, n), |x, ids, n| x.unsorted_segment_sum_to(ids, n)),
        (|x, ids, n| x.unsorted_segment_prod(ids, n), |x, ids, n| x.unsorted_segment_prod_to(ids, n)),
        (|x, ids, n| x.unsorted_segment_max(ids, n), |x, ids, n| x.unsorted_segment_max_to(ids, n)),
        (|x, ids, n| x.unsorted_segment_min(ids, n), |x, ids, n| x.unsorted_segment_min_to(ids, n)),
        (|x, ids, n| x.unsorted_segment_mean(ids, n), |x, ids, n| x.unsorted_segment_mean_to(ids, n)),
        (|x, ids, n| x.unsorted_segment_sqrt_n(ids, n), |x, ids, n| x.unsorted_segment_sqrt_n_to(ids, n)),
    ];
    for (told, measured) in in_any_order {
        same(
            &numbers(),
            2,
            |x| told(x, ids(x, [4, -1, 2, 4]), 6),
            |x| measured(x, ids(x, [4, -1, 2, 4]), x.shape_of().at(1) + 1),
        );
    }
    // A number of segments that a run computes.
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, Shape::of_rank(2));
    let n = graph.placeholder(DType::I64, shape![]);
    let y = x.unsorted_segment_max_to(graph.constant([0, 1, 0, 2]), n);
    let [dx] = gradients(y.sum(), [x]);
    let session = Session::new(&graph).unwrap();
    let (y, _) = session.run((y, dx), feeds![x => numbers(), n => 3_i64]).unwrap();
    assert_eq!(y.shape(), [3, 5]);
    let told = session.run(dx, feeds![x => numbers(), n => 2_i64]).unwrap_err().to_string();
    assert!(told.contains('2'), "{told}");
    let told = session.run(dx, feeds![x => numbers(), n => -1_i64]).unwrap_err().to_string();
    assert!(told.contains("the number of segments cannot be [-1]"), "{told}");
}

#[test]
fn slices_by_tensors() {
    let places: [[[i64; 2]; 3]; 6] = [
        [[1, 0], [4, 5], [1, 2]],
        [[-3, -2], [-1, 5], [1, 1]],
        [[3, 4], [0, 0], [-1, -2]],
        [[-1, -1], [-5, -6], [-1, -1]],
        [[-100, 0], [100, 100], [2, 3]],
        [[3, 2], [1, 2], [1, 1]],
    ];
    for [begin, end, strides] in places {
        same(
            &numbers(),
            2,
            |x| x.strided_slice(begin, end, strides),
            |x| {
                let graph = x.graph();
                x.strided_slice_by(
                    graph.constant(begin),
                    graph.constant(end),
                    graph.constant(strides.map(|n| n as i32)),
                )
            },
        );
    }
    same(
        &numbers(),
        2,
        |x| x.at(1..),
        |x| x.strided_slice_by(x.shape_of().at(0..1) - 3, x.shape_of().at(0..1), x.graph().constant([1])),
    );
}

#[test]
fn borders_by_tensors() {
    for paddings in [[[1, 0], [0, 2]], [[0, 0], [0, 0]], [[2, 3], [1, 1_u32]]] {
        let own = ndarray::arr2(&paddings.map(|pair| pair.map(|n| n as i32)));
        same(&numbers(), 2, |x| x.pad_with(&paddings, 1.5), |x| x.pad_by(x.graph().constant(own.clone()), 1.5));
    }
}

#[test]
fn classes_and_masks_by_tensors() {
    let labels = Value::from(array![[2_i64, 0, -1], [1, 3, 7]]);
    same(&labels, 2, |x| x.one_hot(4), |x| x.one_hot_to(x.graph().constant(4)));
    same(&labels, 2, |x| x.sequence_mask(5), |x| x.sequence_mask_to(x.graph().constant(5_i64)));
    same(&labels, 2, |x| x.sequence_mask(7), |x| x.sequence_mask_to(x.max()));
}

#[test]
fn segments_by_tensors() {
    let ids = |x: Tensor| x.graph().constant([0_i64, 2, -1, 2]);
    same(
        &numbers(),
        2,
        |x| x.unsorted_segment_sum(ids(x), 3),
        |x| x.unsorted_segment_sum_to(ids(x), ids(x).at(-1) + 1),
    );
}

#[test]
fn edges_of_a_ramp() {
    let graph = Graph::new();
    let ramp = graph.constant(array![[[[0.0_f32], [1.0], [2.0]], [[3.0], [4.0], [5.0]], [[6.0], [7.0], [8.0]]]]);
    let edges = ramp.sobel_edges();
    assert_eq!(edges.shape(), shape![1, 3, 3, 1, 2]);
    let found: ndarray::ArrayD<f32> = Session::new(&graph).unwrap().run(edges, ()).unwrap().try_into().unwrap();
    // Three down and one across with each step, seen over two steps and weights of four; none where it is mirrored.
    assert_eq!((found[[0, 1, 1, 0, 0]], found[[0, 1, 1, 0, 1]]), (24.0, 8.0));
    assert_eq!((found[[0, 0, 1, 0, 0]], found[[0, 1, 0, 0, 1]]), (0.0, 0.0));
}

#[test]
fn what_does_not_fit_is_a_mistake() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, ?]);
    let unknown = graph.placeholder(DType::I32, shape![?]);
    let _ = x.strided_slice_by(unknown, unknown, unknown);
    assert!(graph.check().unwrap_err().to_string().contains("strided_slice_by: begin is a vector of a known length"));
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, ?]);
    let _ = x.pad_by(graph.constant([1, 2]), 0.0);
    assert!(graph.check().unwrap_err().to_string().contains("pad_by: paddings are [2, 2], not [2]"));
}
