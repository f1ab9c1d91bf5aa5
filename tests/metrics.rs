//! Metrics over batches, held to what TensorFlow's `tf.metrics` give: `tests/oracle/metrics.py` prints the numbers.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::unreadable_literal, reason = "numbers as the script prints them")]

use dormouse::prelude::*;
use dormouse::train::metrics::streaming::{self, Curve, Streaming};

/// A metric's value after each of three batches.
const TOLD: &[(&str, [f64; 3])] = &[
    ("mean", [1.125, 0.65625, 1.1304348]),
    ("accuracy", [0.75, 0.75, 0.6956522]),
    ("mean_absolute_error", [0.75, 0.59375, 0.6956522]),
    ("mean_squared_error", [1.125, 0.7265625, 0.7771739]),
    ("root_mean_squared_error", [1.0606601, 0.8523864, 0.8815747]),
    ("mean_relative_error", [-0.45, -0.2145833, -0.084058]),
    ("percentage_below", [0.25, 0.375, 0.2608696]),
    ("true_positives", [1.0, 2.0, 4.0]),
    ("false_positives", [1.0, 2.0, 2.0]),
    ("true_negatives", [1.0, 2.0, 3.5]),
    ("false_negatives", [1.0, 2.0, 2.0]),
    ("precision", [0.5, 0.5, 0.6666667]),
    ("recall", [0.5, 0.5, 0.6666667]),
    ("auc", [0.5, 0.5937499, 0.7878788]),
    ("auc_pr", [0.708333, 0.7374998, 0.8630075]),
    ("mean_iou", [0.5555556, 0.6666667, 0.5012627]),
    ("mean_per_class_accuracy", [0.4, 0.6333333, 0.5777777]),
];

const CLASSES: [[[i64; 4]; 2]; 3] =
    [[[0, 1, 2, 2], [0, 2, 2, 2]], [[3, 1, 0, 1], [3, 1, 1, 1]], [[2, 2, 0, 0], [1, 2, 0, 3]]];
const NUMBERS: [[[f32; 4]; 2]; 3] = [
    [[0.0, 1.0, 2.5, -1.0], [0.5, 1.0, 2.0, 1.0]],
    [[3.0, -2.0, 0.0, 1.0], [2.0, -2.5, 0.25, 1.0]],
    [[1.0, 4.0, 0.5, 0.0], [1.5, 3.0, 0.0, 1.0]],
];
const CHANCES: [[[f32; 4]; 2]; 3] = [
    [[1.0, 0.0, 1.0, 0.0], [0.9, 0.4, 0.35, 0.6]],
    [[1.0, 1.0, 0.0, 0.0], [0.8, 0.1, 0.1, 0.7]],
    [[0.0, 1.0, 1.0, 0.0], [0.3, 1.0, 0.55, 0.0]],
];
const WEIGHTS: [[f32; 4]; 3] = [[1.0; 4], [1.0; 4], [0.5, 2.0, 0.0, 1.0]];

fn metric(name: &str, y: Tensor, p: Tensor, w: Option<Tensor>) -> Streaming {
    let answers = || p.greater(0.5);
    match name {
        "mean" => streaming::mean(p, w),
        "accuracy" => streaming::accuracy(y, p, w),
        "mean_absolute_error" => streaming::mean_absolute_error(y, p, w),
        "mean_squared_error" => streaming::mean_squared_error(y, p, w),
        "root_mean_squared_error" => streaming::root_mean_squared_error(y, p, w),
        "mean_relative_error" => streaming::mean_relative_error(y, p, y, w),
        "percentage_below" => streaming::percentage_below(p, 1.0, w),
        "true_positives" => streaming::true_positives(y, answers(), w),
        "false_positives" => streaming::false_positives(y, answers(), w),
        "true_negatives" => streaming::true_negatives(y, answers(), w),
        "false_negatives" => streaming::false_negatives(y, answers(), w),
        "precision" => streaming::precision(y, answers(), w),
        "recall" => streaming::recall(y, answers(), w),
        "auc" => streaming::auc(y, p, w, 50, Curve::Roc),
        "auc_pr" => streaming::auc(y, p, w, 50, Curve::PrecisionRecall),
        "mean_iou" => streaming::mean_iou(y, p, 5, w),
        "mean_per_class_accuracy" => streaming::mean_per_class_accuracy(y, p, 5, w),
        other => panic!("no metric {other}"),
    }
}

fn batch(name: &str, i: usize) -> [Value; 2] {
    match name {
        "accuracy" | "mean_iou" | "mean_per_class_accuracy" => CLASSES[i].map(Value::from),
        "true_positives" | "false_positives" | "true_negatives" | "false_negatives" | "precision" | "recall"
        | "auc" | "auc_pr" => CHANCES[i].map(Value::from),
        _ => NUMBERS[i].map(Value::from),
    }
}

fn number(value: &Value) -> f64 {
    value.scalar::<f32>().unwrap().into()
}

#[test]
fn metrics_over_batches_are_tensorflows() {
    for (name, told) in TOLD {
        let graph = Graph::new();
        let dtype = batch(name, 0)[0].dtype();
        let [y, p] = ["y", "p"].map(|name| graph.placeholder(dtype, shape![?]).named(name));
        let w = graph.placeholder(DType::F32, shape![?]);
        let metric = metric(name, y, p, Some(w));
        let session = Session::new(&graph).unwrap();
        session.run(metric.reset, feeds![]).unwrap();
        for _ in 0..2 {
            for (i, expected) in told.iter().enumerate() {
                let [truth, said] = batch(name, i);
                let weights = Value::from(WEIGHTS[i]);
                let taken = session.run(metric.update, feeds![y => truth, p => said, w => weights]).unwrap();
                let value = session.run(metric.value, feeds![]).unwrap();
                assert_eq!(taken, value, "{name}");
                assert!((number(&value) - expected).abs() < 1e-5, "{name}, batch {i}: {value} for {expected}");
            }
            session.run(metric.reset, feeds![]).unwrap();
        }
    }
}

#[test]
fn nothing_taken_in_is_no_metric_yet() {
    for (name, _) in TOLD {
        let graph = Graph::new();
        let dtype = batch(name, 0)[0].dtype();
        let [y, p] = ["y", "p"].map(|name| graph.placeholder(dtype, shape![?]).named(name));
        let metric = metric(name, y, p, None);
        let init = graph.initializer();
        let session = Session::new(&graph).unwrap();
        session.run(init, feeds![]).unwrap();
        let value = number(&session.run(metric.value, feeds![]).unwrap());
        assert!(value == 0.0 || name.starts_with("auc"), "{name}: {value}");
        assert!(graph.trainable_variables().is_empty());
    }
}

#[test]
fn what_does_not_go_together_is_a_mistake_that_names_the_metric() {
    let graph = Graph::new();
    let (y, p) = (graph.zeros(&[3]), graph.zeros(&[4]));
    streaming::mean_squared_error(y, p, None);
    streaming::auc(p, p, None, 1, Curve::Roc);
    let told = graph.check().unwrap_err().to_string();
    assert!(told.contains("mean_squared_error: the labels have shape [3], the predictions [4]"), "{told}");
    assert!(told.contains("auc: takes 2 thresholds at least, not 1"), "{told}");
}
