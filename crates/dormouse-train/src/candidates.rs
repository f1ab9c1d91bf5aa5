//! Losses over a few candidate classes in place of all: how models of many classes train.
//!
//! The sampled classes are the caller's: any tensor of class numbers, with the numbers of times that the sampler is
//! expected to have drawn them and the labels.
//!
//! ```
//! use dormouse_graph::Graph;
//! use dormouse_train::candidates::{Candidates, sampled_softmax_loss};
//! let graph = Graph::new();
//! let weights = graph.variable([[0.1_f32, 0.2], [0.3, 0.4], [0.5, 0.6]]);
//! let biases = graph.variable([0.0_f32, 0.0, 0.0]);
//! let (inputs, labels) = (graph.constant([[1.0_f32, -1.0]]), graph.constant([[2_i64]]));
//! let candidates = Candidates {
//!     sampled: graph.constant([0_i64, 1]),
//!     true_expected: graph.constant([[0.2_f32]]),
//!     sampled_expected: graph.constant([0.6_f32, 0.4]),
//!     remove_accidental_hits: true,
//! };
//! let loss = sampled_softmax_loss(weights, biases, labels, inputs, candidates);
//! assert_eq!(loss.shape().to_string(), "[1]");
//! assert!(graph.check().is_ok());
//! ```

use dormouse_graph::{Array, Elementwise, Linalg, MatMul, Nn, Reduction, Symbol, Tensor};
use dormouse_value::Dim;

use crate::is_poisoned;

/// Classes drawn to stand for all that are not the labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidates {
    /// The classes, `[s]` of i32 or i64.
    pub sampled: Tensor,
    /// How often each label was to be drawn, `[n, t]`.
    pub true_expected: Tensor,
    /// How often each of `sampled` was to be drawn, `[s]`.
    pub sampled_expected: Tensor,
    /// Whether a sampled class that is among a row's labels does not count for that row.
    pub remove_accidental_hits: bool,
}

/// The cross-entropy of labels among candidates: weights `[c, d]`, biases `[c]`, labels `[n, t]` of class numbers, inputs
/// `[n, d]` → `[n]`. TensorFlow's `nn.sampled_softmax_loss`.
#[track_caller]
pub fn sampled_softmax_loss(
    weights: impl Symbol,
    biases: impl Symbol,
    labels: impl Symbol,
    inputs: impl Symbol,
    candidates: Candidates,
) -> Tensor {
    let inputs = inputs.tensor();
    let graph = inputs.graph();
    graph.located(|| {
        graph.name_scope("sampled_softmax_loss", || {
            match sampled_logits(weights.tensor(), biases.tensor(), labels.tensor(), inputs, candidates) {
                Ok([logits, labels]) => logits.softmax_cross_entropy(labels.stop_gradient()),
                Err(mistake) => mistake,
            }
        })
    })
}

/// The noise-contrastive loss, Σ over labels and candidates of their independent cross-entropies: weights `[c, d]`, biases
/// `[c]`, labels `[n, t]` of class numbers, inputs `[n, d]` → `[n]`. TensorFlow's `nn.nce_loss`.
#[track_caller]
pub fn nce_loss(
    weights: impl Symbol,
    biases: impl Symbol,
    labels: impl Symbol,
    inputs: impl Symbol,
    candidates: Candidates,
) -> Tensor {
    let inputs = inputs.tensor();
    let graph = inputs.graph();
    graph.located(|| {
        graph.name_scope("nce_loss", || {
            match sampled_logits(weights.tensor(), biases.tensor(), labels.tensor(), inputs, candidates) {
                Ok([logits, labels]) => logits.sigmoid_cross_entropy(labels).sum_over(-1),
                Err(mistake) => mistake,
            }
        })
    })
}

/// Logits of the labels and of the candidates, `[n, t + s]`, less the logarithms of what was expected; and labels for them.
#[track_caller]
fn sampled_logits(
    weights: Tensor,
    biases: Tensor,
    labels: Tensor,
    inputs: Tensor,
    candidates: Candidates,
) -> Result<[Tensor; 2], Tensor> {
    let graph = inputs.graph();
    let Candidates { sampled, true_expected, sampled_expected, remove_accidental_hits } = candidates;
    let ranks = [(labels, 2), (inputs, 2), (weights, 2), (biases, 1), (sampled, 1)];
    if let Some((tensor, rank)) = ranks.iter().find(|(t, rank)| t.shape().rank().is_some_and(|own| own != *rank)) {
        let told = format!("sampled losses: {} has shape {}, not {rank} axes", tensor.name(), tensor.shape());
        return Err(if is_poisoned(*tensor) { *tensor } else { graph.mistake(told) });
    }
    let Dim::Known(count) = labels.shape().dim(-1) else {
        return Err(if is_poisoned(labels) {
            labels
        } else {
            graph.mistake(format!("sampled losses: the labels of a row of {} are not known in number", labels.shape()))
        });
    };
    let dtype = inputs.dtype();
    // Inputs `[n, 1, d]` times the labels' weights `[n, t, d]`, summed.
    let products = inputs.expand_dims(1) * weights.gather(labels);
    let own = products.sum_over(-1) + biases.gather(labels);
    let others = inputs.matmul_with(weights.gather(sampled), MatMul { transpose_b: true, ..MatMul::default() });
    let mut others = others + biases.gather(sampled);
    if remove_accidental_hits {
        // Labels `[n, t, 1]` against candidates `[s]`.
        let hits = labels.expand_dims(-1).equal(sampled.cast(labels.dtype())).any_over(1);
        let away = others - f64::from(f32::MAX);
        others = hits.select(away, others);
    }
    let own = own - true_expected.cast(dtype).log();
    let others = others - sampled_expected.cast(dtype).log();
    let share = 1.0 / count.max(1) as f64;
    let truths = graph.concat(&[own.ones_like() * share, others.zeros_like()], 1);
    Ok([graph.concat(&[own, others], 1), truths])
}
