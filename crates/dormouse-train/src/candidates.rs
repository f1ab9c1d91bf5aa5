//! Losses over a few candidate classes in place of all: how models of many classes train.
//!
//! The sampled classes are drawn by [`log_uniform_candidates`], or are the caller's: any tensor of class numbers, with the
//! numbers of times that the sampler is expected to have drawn them and the labels.
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

use dormouse_graph::{Array, Dynamic, Elementwise, Linalg, MatMul, Nn, Reduction, Slicing, Symbol, Tensor, Uniform};
use dormouse_value::{DType, Dim};

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

/// How [`log_uniform_candidates`] draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogUniform {
    /// How many classes are drawn.
    pub count: usize,
    /// How many there are; those of low numbers are drawn more often.
    pub classes: usize,
    /// Whether no class is drawn twice.
    pub distinct: bool,
    /// The seed; as [`Graph::random`](dormouse_graph::Graph::random) has it.
    pub seed: Option<i64>,
}

/// Classes drawn anew in every run, class k with probability ln((k + 2) / (k + 1)) / ln(classes + 1), for labels `[n, t]`:
/// TensorFlow's `log_uniform_candidate_sampler`, whose first run draws the same from the same seed. Accidental hits are
/// removed.
#[track_caller]
pub fn log_uniform_candidates(labels: impl Symbol, options: LogUniform) -> Candidates {
    let labels = labels.tensor();
    let graph = labels.graph();
    let LogUniform { count, classes, distinct, seed } = options;
    let draws = if distinct { enough(count, classes) } else { Some(count) };
    let Some(draws) = draws.filter(|_| classes > 0 && !labels.dtype().is_float()) else {
        let told = format!(
            "log_uniform_candidates: draws {count} of {classes} classes for whole numbers, not for {}",
            labels.dtype()
        );
        let poison = if is_poisoned(labels) { labels } else { graph.mistake(told) };
        let [sampled, true_expected, sampled_expected] = [poison; 3];
        return Candidates { sampled, true_expected, sampled_expected, remove_accidental_hits: true };
    };
    let mut drawn = None;
    let sampled = graph.located(|| {
        graph.name_scope("LogUniformCandidateSampler", || {
            let uniform = Uniform::default().dtype(DType::F64);
            let u = graph.random(&[draws], seed.map_or(uniform, |seed| uniform.seed(seed)));
            let range = ((classes + 1) as f64).ln();
            let all = ((u * range).exp().floor() - 1.0).cast(DType::I64).floor_mod(classes as i64);
            let chance = |class: Tensor| {
                let k = class.cast(DType::F64);
                ((k + 2.0) / (k + 1.0)).log() / range
            };
            let plain = |p: Tensor| p * count as f64;
            if !distinct {
                drawn = Some([labels, all].map(|class| plain(chance(class)).cast(DType::F32)));
                return all;
            }
            let [values, places] = all.unique();
            let sampled = values.at(..i32::try_from(count).unwrap_or(i32::MAX)).ensure_shape([count]);
            // Drawn until the last of them came.
            let last = places.equal(count as i64 - 1).cast(DType::I32);
            let tries = last.argmax(0).cast(DType::F64) + 1.0;
            let expected = |class: Tensor| {
                let p = chance(class);
                let several = -((-p).log1p() * tries).expm1();
                tries.equal(count as f64).select(plain(p), several).cast(DType::F32)
            };
            drawn = Some([labels, sampled].map(expected));
            sampled
        })
    });
    let [true_expected, sampled_expected] = drawn.unwrap_or([sampled; 2]);
    Candidates { sampled, true_expected, sampled_expected, remove_accidental_hits: true }
}

/// So many draws that `count` distinct classes are among them, but for a chance of 10⁻¹² or so; `None` where there are not as
/// many.
fn enough(count: usize, classes: usize) -> Option<usize> {
    if count > classes || count == 0 {
        return None;
    }
    let range = ((classes + 1) as f64).ln();
    let logs: Vec<f64> = (0..classes).map(|k| (-((k + 2) as f64 / (k + 1) as f64).ln() / range).ln_1p()).collect();
    let mut draws = 2 * count;
    loop {
        // Chances q to miss a class: their number's variance is Σ q (1 − q) at most.
        let (missed, variance) = logs.iter().fold((0.0, 0.0), |(missed, variance), log| {
            let q = (draws as f64 * log).exp();
            (missed + q, variance + q * (1.0 - q))
        });
        if missed + 8.0 * f64::sqrt(variance) <= (classes - count) as f64 + 1e-5 {
            return Some(draws);
        }
        draws *= 2;
    }
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
