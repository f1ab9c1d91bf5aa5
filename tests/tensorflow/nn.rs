//! The methods of `tests/fixtures/nn.txt`, which `tests/oracle/nn.py` writes.

use dormouse::graph::{
    BatchStatistics, Combined, Conv1d, Conv3d, Convolutions, LocalResponse, Normalization, Partition, Pool1d, Pool3d,
};
use dormouse::prelude::*;
use dormouse::train::candidates::{Candidates, LogUniform, log_uniform_candidates, nce_loss, sampled_softmax_loss};
use losses::Weighting;

use crate::case::{Attributes, Case};

/// Methods that need to know extents when they are called.
pub(crate) const EXTENTS_ASKED: &[&str] = &[
    "conv2d_transpose",
    "conv1d_transpose",
    "conv3d_transpose",
    "dropout_with",
    "softmax_cross_entropy",
    "losses_softmax_cross_entropy",
    "sampled_softmax_loss",
    "nce_loss",
    "embedding_lookup",
    "embedding_lookup_sparse",
];

/// Whether a method's results are sums, or made of functions that are near; the others only move elements.
pub(crate) fn of_sums(method: &str) -> bool {
    const SUMS: &[&str] = &[
        "conv2d_explicit",
        "depthwise_conv2d",
        "separable_conv2d",
        "atrous_conv2d",
        "conv2d_transpose",
        "conv1d",
        "conv1d_transpose",
        "conv3d",
        "conv3d_transpose",
        "avg_pool1d",
        "avg_pool3d",
        "batch_normalization",
        "fused_batch_norm",
        "fused_batch_norm_of",
        "layer_norm",
        "local_response_normalization",
        "l2_normalize",
        "sigmoid_cross_entropy",
        "weighted_cross_entropy",
        "sampled_softmax_loss",
        "nce_loss",
        "log_uniform_candidates",
        "embedding_lookup_sparse",
    ];
    SUMS.contains(&method) || method.starts_with("losses_")
}

fn padding(a: &Attributes) -> Padding {
    match a.text("padding").unwrap() {
        "SAME" => Padding::Same,
        "VALID" => Padding::Valid,
        _ => {
            let cells: Vec<u32> = a.list("padding");
            Padding::Explicit([[cells[0], cells[1]], [cells[2], cells[3]]])
        }
    }
}

fn triple(a: &Attributes, key: &str) -> [u32; 3] {
    a.list(key).try_into().unwrap()
}

/// The results of a case's method; `None` where it is not one of these.
pub(crate) fn build(case: &Case, x: &[Tensor]) -> Option<Vec<Tensor>> {
    let a = &case.attributes;
    let graph = x[0].graph();
    let conv2d = || Conv2d {
        strides: a.pair("strides"),
        padding: padding(a),
        dilations: if a.text("dilations").is_some() { a.pair("dilations") } else { [1, 1] },
    };
    let conv1d = || Conv1d {
        stride: a.number("stride"),
        padding: padding(a),
        dilation: if a.text("dilation").is_some() { a.number("dilation") } else { 1 },
    };
    let conv3d = || Conv3d { strides: triple(a, "strides"), padding: padding(a), ..Conv3d::default() };
    let pool1d = || Pool1d { size: a.number("size"), stride: a.number("stride"), padding: padding(a) };
    let pool3d = || Pool3d { size: triple(a, "size"), strides: triple(a, "strides"), padding: padding(a) };
    let result = match case.method {
        "conv2d_explicit" => x[0].conv2d(x[1], conv2d()),
        "depthwise_conv2d" => x[0].depthwise_conv2d(x[1], conv2d()),
        "separable_conv2d" => x[0].separable_conv2d(x[1], x[2], conv2d()),
        "atrous_conv2d" => x[0].atrous_conv2d(x[1], a.number("rate"), padding(a)),
        "conv2d_transpose" => x[0].conv2d_transpose(x[1], a.pair("size"), conv2d()),
        "conv1d" => x[0].conv1d(x[1], conv1d()),
        "conv1d_transpose" => x[0].conv1d_transpose(x[1], a.number("width"), conv1d()),
        "conv3d" => x[0].conv3d(x[1], conv3d()),
        "conv3d_transpose" => x[0].conv3d_transpose(x[1], a.list("size").try_into().unwrap(), conv3d()),
        "max_pool1d" => x[0].max_pool1d(pool1d()),
        "avg_pool1d" => x[0].avg_pool1d(pool1d()),
        "max_pool3d" => x[0].max_pool3d(pool3d()),
        "avg_pool3d" => x[0].avg_pool3d(pool3d()),
        "max_pool_explicit" => {
            x[0].max_pool(Pool { size: a.pair("size"), strides: a.pair("strides"), padding: padding(a) })
        }

        "batch_normalization" if x.len() == 3 => x[0].batch_normalization(x[1], x[2], None, None, a.number("epsilon")),
        "batch_normalization" => x[0].batch_normalization(x[1], x[2], x[3], x[4], a.number("epsilon")),
        "fused_batch_norm" | "fused_batch_norm_of" => {
            let statistics = if case.method == "fused_batch_norm" {
                BatchStatistics::Batch
            } else {
                let given = |key: &str| graph.constant(a.list::<f32>(key));
                BatchStatistics::Given { mean: given("mean"), variance: given("variance") }
            };
            let found = x[0].fused_batch_norm(x[1], x[2], statistics, a.number("epsilon"));
            return Some(vec![found.y, found.mean, found.variance]);
        }
        "layer_norm" => x[0].layer_norm(a.list::<i32>("axes"), x[1], x[2], a.number("epsilon")),
        "local_response_normalization" => x[0].local_response_normalization(LocalResponse {
            depth_radius: a.number("depth_radius"),
            bias: a.number("bias"),
            alpha: a.number("alpha"),
            beta: a.number("beta"),
        }),
        "l2_normalize" => x[0].l2_normalize(a.list::<i32>("axes")),
        "dropout_with" => x[0].dropout_with(a.number("rate"), a.list::<i64>("noise"), Some(a.number("seed"))),

        "sigmoid_cross_entropy" => x[0].sigmoid_cross_entropy(x[1]),
        "weighted_cross_entropy" => x[0].weighted_cross_entropy(x[1], a.number::<f64>("weight")),
        "log_uniform_candidates" => {
            let options = LogUniform {
                count: a.number("count"),
                classes: a.number("classes"),
                distinct: a.flag("distinct"),
                seed: Some(a.number("seed")),
            };
            let drawn = log_uniform_candidates(x[0], options);
            return Some(vec![drawn.sampled, drawn.true_expected, drawn.sampled_expected]);
        }
        "sampled_softmax_loss" => sampled(a, x, |w, b, l, i, c| sampled_softmax_loss(w, b, l, i, c)),
        "nce_loss" => sampled(a, x, |w, b, l, i, c| nce_loss(w, b, l, i, c)),
        "embedding_lookup" => {
            let partition = if a.text("strategy") == Some("div") { Partition::Div } else { Partition::Mod };
            graph.embedding_lookup(&x[1..], x[0], partition)
        }
        "embedding_lookup_sparse" => {
            let combined = match a.text("combiner").unwrap() {
                "sum" => Combined::Sum,
                "mean" => Combined::Mean,
                _ => Combined::SqrtN,
            };
            graph.embedding_lookup_sparse(&x[2..3], x[0], x[1], 3, x.get(3).copied(), combined)
        }
        name => return name.strip_prefix("losses_").map(|name| vec![loss(name, a, x)]),
    };
    Some(vec![result])
}

fn loss(name: &str, a: &Attributes, x: &[Tensor]) -> Tensor {
    let [said, labels, weights] = [x[0], x[1], x[2]];
    let reduction = match a.text("reduction").unwrap_or("sum_by_nonzero_weights") {
        "none" => losses::Reduction::None,
        "sum" => losses::Reduction::Sum,
        "mean" => losses::Reduction::Mean,
        "sum_over_batch_size" => losses::Reduction::SumOverBatchSize,
        _ => losses::Reduction::SumByNonzeroWeights,
    };
    let weighting = Weighting::by(weights).reduction(reduction);
    match name {
        "mean_squared_error" => losses::mean_squared_error_with(labels, said, weighting),
        "absolute_difference" => losses::absolute_difference_with(labels, said, weighting),
        "huber_loss" => losses::huber_loss_with(labels, said, weighting),
        "huber_of" => losses::huber_loss_beyond(labels, said, a.number("delta"), weighting),
        "hinge_loss" => losses::hinge_loss_with(labels, said, weighting),
        "log_loss" => losses::log_loss_with(labels, said, weighting),
        "sigmoid_cross_entropy" => losses::sigmoid_cross_entropy_with(labels, said, weighting),
        "sigmoid_cross_entropy_smoothed" => {
            let labels = losses::smoothed_binary(labels, a.number("smoothing"));
            losses::sigmoid_cross_entropy_with(labels, said, weighting)
        }
        "softmax_cross_entropy" => {
            let smoothing = a.number("smoothing");
            let labels = if smoothing == 0.0 { labels } else { losses::smoothed(labels, smoothing) };
            losses::softmax_cross_entropy_with(labels, said, weighting)
        }
        "sparse_softmax_cross_entropy" => losses::sparse_softmax_cross_entropy_with(labels, said, weighting),
        "cosine_distance" => losses::cosine_distance_with(labels, said, a.number("axis"), weighting),
        _ => losses::mean_pairwise_squared_error_with(labels, said, weighting),
    }
}

fn sampled(a: &Attributes, x: &[Tensor], f: impl Fn(Tensor, Tensor, Tensor, Tensor, Candidates) -> Tensor) -> Tensor {
    let graph = x[0].graph();
    let labels = graph.constant(a.list::<i64>("labels")).reshape([-1, a.number("true")]);
    let candidates = Candidates {
        sampled: graph.constant(a.list::<i64>("sampled")),
        true_expected: graph.constant(a.list::<f32>("true_expected")).reshape([-1, a.number("true")]),
        sampled_expected: graph.constant(a.list::<f32>("sampled_expected")),
        remove_accidental_hits: a.flag("hits"),
    };
    f(x[0], x[1], labels, x[2], candidates)
}
