//! What programs write of neural networks: shapes that are not known, and what they are told when it does not fit.

#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse::graph::{BatchStatistics, Combined, Conv1d, Conv3d, LocalResponse, Partition, Pool1d, Pool3d};
use dormouse::prelude::*;
use dormouse::train::candidates::{LogUniform, log_uniform_candidates};

fn run(graph: &Graph, x: Tensor) -> Value {
    Session::new(graph).unwrap().run(x, feeds![]).unwrap()
}

fn told(graph: &Graph) -> String {
    graph.check().unwrap_err().to_string()
}

#[test]
fn images_grow_by_any_number_at_a_time() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, 3, 4, 2]);
    let filter = graph.variable(graph.random(&[3, 3, 5, 2], Normal::new(1.0).seed(1)));
    let larger = x.conv2d_transpose(filter, [6, 8], Conv2d { strides: [2, 2], ..Conv2d::default() });
    assert_eq!(larger.shape(), shape![?, 6, 8, 5]);
    let [dx, dw] = Gradients::of(larger.square().sum()).or_zeros([x, filter.value()]);
    assert_eq!((dx.shape(), dw.shape()), (shape![?, 3, 4, 2], shape![3, 3, 5, 2]));
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    for n in [0_usize, 1, 3] {
        let value = Value::from_elements(&[n, 3, 4, 2], vec![0.5_f32; n * 24]).unwrap();
        let (larger, dw) = session.run((larger, dw), feeds![x => &value]).unwrap();
        assert_eq!((larger.shape(), dw.shape()), (&[n, 6, 8, 5][..], &[3, 3, 5, 2][..]));
    }
}

#[test]
fn what_grew_shrinks_to_where_it_was() {
    // ⟨conv(x), y⟩ = ⟨x, transpose(y)⟩.
    let graph = Graph::new();
    let noise = |dims: &[usize], seed| graph.random(dims, Normal::new(1.0).dtype(DType::F64).seed(seed));
    let (x, y, w) = (noise(&[2, 4, 5, 6, 2], 1), noise(&[2, 2, 5, 3, 4], 2), noise(&[3, 2, 2, 2, 4], 3));
    let options = Conv3d { strides: [2, 1, 2], ..Conv3d::default() };
    let forward = (x.conv3d(w, options) * y).sum();
    let back = (y.conv3d_transpose(w, [4, 5, 6], options) * x).sum();
    let session = Session::new(&graph).unwrap();
    let (a, b) = session.run((forward, back), feeds![]).unwrap();
    let (a, b): (f64, f64) = (a.scalar().unwrap(), b.scalar().unwrap());
    assert!((a - b).abs() < 1e-10 * a.abs().max(1.0), "{a} {b}");
}

#[test]
fn batches_are_normalized_in_training_and_by_what_was_kept() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, 2]);
    let scale = graph.variable([2.0_f32, 1.0]);
    let offset = graph.variable([0.5_f32, 0.0]);
    let trained = x.fused_batch_norm(scale, offset, BatchStatistics::Batch, 0.0);
    let given = BatchStatistics::Given { mean: trained.mean, variance: trained.variance };
    let kept = x.fused_batch_norm(scale, offset, given, 0.0);
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    let batch = [[1.0_f32, 10.0], [3.0, 20.0], [5.0, 60.0]];
    let outputs = (trained.y, trained.mean, trained.variance, kept.y);
    let (y, mean, variance, kept) = session.run(outputs, feeds![x => batch]).unwrap();
    assert_eq!(mean, Value::from([3.0_f32, 30.0]));
    // Of the whole from which the batch is drawn: sums of squares over n − 1.
    assert_eq!(variance, Value::from([4.0_f32, 700.0]));
    let y: Vec<f32> = y.to_vec().unwrap();
    assert!((y[0] - (0.5 - 2.0 * 1.5_f32.sqrt())).abs() < 1e-5, "{y:?}");
    let kept: Vec<f32> = kept.to_vec().unwrap();
    assert!((kept[0] + 1.5).abs() < 1e-5, "{kept:?}");
}

#[test]
fn parts_are_dropped_together() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, 50, 3]);
    let dropped = x.dropout_with(0.5, [-1, 50, 1], Some(7));
    let session = Session::new(&graph).unwrap();
    let value = Value::from_elements(&[2, 50, 3], vec![1.0_f32; 300]).unwrap();
    let y: Vec<f32> = session.run(dropped, feeds![x => &value]).unwrap().to_vec().unwrap();
    let kept = y.chunks(3).filter(|part| part[0] != 0.0).count();
    assert!(y.chunks(3).all(|part| part == [0.0; 3] || part == [2.0; 3]));
    assert!((25..75).contains(&kept), "{kept}");
}

#[test]
fn rows_come_from_several_matrices() {
    let graph = Graph::new();
    let whole: Vec<f32> = (0..14).map(|i| i as f32).collect();
    let row = |i: usize| [whole[2 * i], whole[2 * i + 1]];
    let ids = graph.placeholder(DType::I64, shape![?]);
    let modulo = [&[0, 3, 6][..], &[1, 4], &[2, 5]];
    let runs = [&[0, 1, 2][..], &[3, 4], &[5, 6]];
    let dealt = |parts: [&[usize]; 3]| {
        parts.map(|part| {
            let numbers: Vec<f32> = part.iter().flat_map(|i| row(*i)).collect();
            graph.constant(Value::from_elements(&[part.len(), 2], numbers).unwrap())
        })
    };
    let by_mod = graph.embedding_lookup(&dealt(modulo), ids, Partition::Mod);
    let by_div = graph.embedding_lookup(&dealt(runs), ids, Partition::Div);
    assert_eq!(by_mod.shape(), shape![?, 2]);
    let session = Session::new(&graph).unwrap();
    for i in 0..7_usize {
        for looked_up in [by_mod, by_div] {
            let value = session.run(looked_up, feeds![ids => [i as i64]]).unwrap();
            assert_eq!(value, Value::from([row(i)]), "{i}");
        }
    }
    for outside in [-1_i64, 7, 8, 100] {
        for looked_up in [by_mod, by_div] {
            assert!(session.run(looked_up, feeds![ids => [outside]]).is_err(), "{outside}");
        }
    }
}

#[test]
fn what_does_not_fit_is_told() {
    for wrong in [
        |x: Tensor| x.depthwise_conv2d(x.graph().zeros(&[2, 2, 4, 1]), Conv2d::default()),
        |x: Tensor| {
            x.separable_conv2d(x.graph().zeros(&[2, 2, 3, 1]), x.graph().zeros(&[2, 1, 3, 1]), Conv2d::default())
        },
        |x: Tensor| x.conv2d(x.graph().zeros(&[2, 2, 2, 2]), Conv2d::default()),
        |x: Tensor| {
            let padding = Padding::Explicit([[u32::MAX, 0], [0, 0]]);
            x.conv2d(x.graph().zeros(&[2, 2, 3, 2]), Conv2d { padding, ..Conv2d::default() })
        },
        |x: Tensor| x.conv2d_transpose(x.graph().zeros(&[2, 2, 3, 3]), [9, 9], Conv2d::default()),
        |x: Tensor| x.conv1d(x.graph().zeros(&[2, 3, 1]), Conv1d::default()),
        |x: Tensor| x.conv3d(x.graph().zeros(&[1, 2, 2, 3, 1]), Conv3d::default()),
        |x: Tensor| x.conv3d_transpose(x.graph().zeros(&[1, 2, 2, 3, 1]), [1, 4, 4], Conv3d::default()),
        |x: Tensor| x.avg_pool(Pool { padding: Padding::Explicit([[1, 1], [1, 1]]), ..Pool::default() }),
        |x: Tensor| x.max_pool3d(Pool3d::default()),
        |x: Tensor| x.avg_pool3d(Pool3d { padding: Padding::Explicit([[0, 0]; 2]), ..Pool3d::default() }),
        |x: Tensor| x.max_pool1d(Pool1d::default()),
        |x: Tensor| x.fused_batch_norm(x.graph().zeros(&[4]), x.graph().zeros(&[3]), BatchStatistics::Batch, 1e-3).y,
        |x: Tensor| x.cast(DType::I32).sigmoid_cross_entropy(1),
        |x: Tensor| x.weighted_cross_entropy(x.graph().zeros(&[3]), 1.0),
        |x: Tensor| x.dropout_with(0.5, [1, 1], None),
        |x: Tensor| x.dropout_with(0.5, [2, 4, 4, 3], None),
        |x: Tensor| x.graph().embedding_lookup(&[x], x, Partition::Mod),
        |x: Tensor| x.graph().embedding_lookup::<Tensor>(&[], x.graph().constant([0]), Partition::Mod),
        |x: Tensor| {
            let long = x.graph().zeros(&[3, 4, 4, 3]);
            x.graph().embedding_lookup(&[long, x, x], x.graph().constant([0]), Partition::Mod)
        },
        |x: Tensor| {
            let ids = x.graph().constant([0_i64, 1]);
            x.graph().embedding_lookup_sparse(&[x], ids, x, 2, None, Combined::Mean)
        },
        |x: Tensor| losses::mean_pairwise_squared_error(x, x.at(0)),
        |x: Tensor| losses::smoothed_binary(x, 2.0),
        |x: Tensor| {
            let options = LogUniform { count: 4, classes: 3, distinct: true, seed: None };
            log_uniform_candidates(x.graph().constant([[0_i64]]), options).sampled
        },
    ] {
        let graph = Graph::new();
        let _ = wrong(graph.zeros(&[1, 4, 4, 3]));
        let message = told(&graph);
        assert!(message.contains("tests/neural.rs"), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
    let graph = Graph::new();
    let scalar = graph.placeholder(DType::F32, shape![]);
    let _ = scalar.local_response_normalization(LocalResponse::default());
    assert!(told(&graph).contains("a scalar has no channels"), "{}", told(&graph));
}

#[test]
fn channels_in_groups_are_convolved_apart() {
    let graph = Graph::new();
    let noise = |dims: &[usize], seed| graph.random(dims, Normal::new(1.0).dtype(DType::F64).seed(seed));
    let (x, w) = (noise(&[2, 5, 5, 4], 1), noise(&[3, 3, 2, 6], 2));
    let apart: Vec<Tensor> =
        x.split::<2>(-1).into_iter().zip(w.split::<2>(-1)).map(|(x, w)| x.conv2d(w, Conv2d::default())).collect();
    let difference = (x.conv2d(w, Conv2d::default()) - graph.concat(&apart, -1)).abs().max();
    let difference: f64 = run(&graph, difference).scalar().unwrap();
    assert!(difference < 1e-12, "{difference}");
}
