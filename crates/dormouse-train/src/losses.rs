//! Losses: scalars that say how wrong a model is, weighted and collected as TensorFlow's `tf.losses` are.
//!
//! Each loss takes labels and what the model said, in TensorFlow's order, and gives the mean over all elements, put into
//! the collection `"losses"`; its twin `…_with` takes a [`Weighting`]. f64 stays f64; integers become f32.
//!
//! ```
//! use dormouse_graph::Graph;
//! use dormouse_train::losses::{self, Reduction, Weighting};
//! let graph = Graph::new();
//! let labels = graph.constant([1_i64, 0]);
//! let logits = graph.constant([[0.1_f32, 0.9], [0.8, 0.2]]);
//! let loss = losses::sparse_softmax_cross_entropy(labels, logits);
//! let weights = graph.constant([1.0_f32, 0.0]);
//! let weighting = Weighting::by(weights).reduction(Reduction::Sum);
//! let weighted = losses::sparse_softmax_cross_entropy_with(labels, logits, weighting);
//! assert_eq!(graph.collection("losses"), [loss, weighted]);
//! assert!(graph.check().is_ok());
//! ```

use dormouse_graph::{Array, Elementwise, Graph, Nn, Reduction as _, Symbol, Tensor, keep_dims};
use dormouse_value::{DType, Dim, Op};

use crate::is_poisoned;
use crate::scalar::Scalar;

/// The collection that losses are put into.
pub const LOSSES: &str = "losses";

/// The collection that layers put the penalties of their regularizers into.
pub const REGULARIZATION_LOSSES: &str = "regularization_losses";

/// How the losses of single elements become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// They do not: the weighted losses as they are.
    None,
    /// Their weighted sum.
    Sum,
    /// Their weighted sum over the sum of the weights.
    Mean,
    /// Their weighted sum over their number.
    SumOverBatchSize,
    /// Their weighted sum over the number of those whose weight is not 0.
    #[default]
    SumByNonzeroWeights,
}

/// What each element of a loss counts, and what becomes of the losses.
///
/// Weights are a number, or a tensor of the losses' rank whose extents are theirs or 1.
#[derive(Clone, Debug)]
pub struct Weighting {
    weights: Scalar,
    reduction: Reduction,
    collection: Option<String>,
}

impl Default for Weighting {
    fn default() -> Self {
        Weighting::by(1.0)
    }
}

impl Weighting {
    /// By these weights.
    pub fn by(weights: impl Into<Scalar>) -> Self {
        Weighting { weights: weights.into(), reduction: Reduction::default(), collection: Some(LOSSES.to_owned()) }
    }

    /// With another reduction.
    #[must_use]
    pub fn reduction(self, reduction: Reduction) -> Self {
        Weighting { reduction, ..self }
    }

    /// Into another collection.
    #[must_use]
    pub fn collection(self, name: &str) -> Self {
        Weighting { collection: Some(name.to_owned()), ..self }
    }

    /// Into no collection.
    #[must_use]
    pub fn uncollected(self) -> Self {
        Weighting { collection: None, ..self }
    }
}

macro_rules! losses {
    ($($(#[$doc:meta])* $name:ident $with:ident $scope:literal $said:ident $formula:expr;)*) => { $(
        $(#[$doc])*
        #[track_caller]
        pub fn $name(labels: impl Symbol, $said: impl Symbol) -> Tensor {
            $with(labels, $said, Weighting::default())
        }

        #[doc = concat!("As [`", stringify!($name), "`], weighted.")]
        #[track_caller]
        pub fn $with(labels: impl Symbol, $said: impl Symbol, weighting: Weighting) -> Tensor {
            let (labels, said) = (labels.tensor(), $said.tensor());
            loss(stringify!($name), $scope, labels, said, weighting, $formula)
        }
    )* };
}

losses! {
    /// (p − y)². TensorFlow's `losses.mean_squared_error`.
    mean_squared_error mean_squared_error_with "mean_squared_error" predictions
        |labels, predictions| predictions.squared_difference(labels);
    /// |p − y|. TensorFlow's `losses.absolute_difference`.
    absolute_difference absolute_difference_with "absolute_difference" predictions
        |labels, predictions| (predictions - labels).abs();
    /// −y ln(p + ε) − (1 − y) ln(1 − p + ε) of probabilities, ε = 10⁻⁷. TensorFlow's `losses.log_loss`.
    log_loss log_loss_with "log_loss" predictions
        |labels, predictions| {
            -(labels * (predictions + 1e-7).log()) - (1.0 - labels) * (1.0 - predictions + 1e-7).log()
        };
    /// max(0, 1 − (2y − 1) z) of labels 0 or 1. TensorFlow's `losses.hinge_loss`.
    hinge_loss hinge_loss_with "hinge_loss" logits
        |labels, logits| (1.0 - (2.0 * labels - 1.0) * logits).relu();
    /// d² / 2 where d = |p − y| is at most 1, d − 1/2 elsewhere. TensorFlow's `losses.huber_loss`.
    huber_loss huber_loss_with "huber_loss" predictions
        |labels, predictions| huber_of(labels, predictions, 1.0);
    /// max(z, 0) − z y + ln(1 + e^−|z|), the cross-entropy of independent labels 0 to 1. TensorFlow's
    /// `losses.sigmoid_cross_entropy`.
    sigmoid_cross_entropy sigmoid_cross_entropy_with "sigmoid_cross_entropy_loss" logits
        |labels, logits| logits.sigmoid_cross_entropy(labels);
}

/// As [`huber_loss_with`], d² / 2 up to a distance of δ and δ d − δ² / 2 beyond.
#[track_caller]
pub fn huber_loss_beyond(labels: impl Symbol, predictions: impl Symbol, delta: f64, weighting: Weighting) -> Tensor {
    let (labels, predictions) = (labels.tensor(), predictions.tensor());
    let formula = |labels: Tensor, predictions: Tensor| huber_of(labels, predictions, delta);
    loss("huber_loss", "huber_loss", labels, predictions, weighting, formula)
}

fn huber_of(labels: Tensor, predictions: Tensor, delta: f64) -> Tensor {
    let distance = (predictions - labels).abs();
    // By the smaller of the two: at δ the rest then adds no second gradient.
    let near = distance.minimum(delta);
    let beyond = distance - near;
    0.5 * (near * near) + if delta == 1.0 { beyond } else { delta * beyond }
}

/// −Σ y ln softmax(z) of logits `[n, c]` and labels `[n, c]`, rows of which are distributions. TensorFlow's
/// `losses.softmax_cross_entropy`; [`smoothed`] labels are its `label_smoothing`.
#[track_caller]
pub fn softmax_cross_entropy(labels: impl Symbol, logits: impl Symbol) -> Tensor {
    softmax_cross_entropy_with(labels, logits, Weighting::default())
}

/// As [`softmax_cross_entropy`], weighted.
#[track_caller]
pub fn softmax_cross_entropy_with(labels: impl Symbol, logits: impl Symbol, weighting: Weighting) -> Tensor {
    let (labels, logits) = (labels.tensor(), logits.tensor());
    let formula = |labels: Tensor, logits: Tensor| logits.softmax_cross_entropy(labels.stop_gradient());
    loss("softmax_cross_entropy", "softmax_cross_entropy_loss", labels, logits, weighting, formula)
}

/// −ln softmax(z) at the labels, of logits `[n, c]` and labels `[n]` or `[n, 1]` of class numbers. TensorFlow's
/// `losses.sparse_softmax_cross_entropy`.
#[track_caller]
pub fn sparse_softmax_cross_entropy(labels: impl Symbol, logits: impl Symbol) -> Tensor {
    sparse_softmax_cross_entropy_with(labels, logits, Weighting::default())
}

/// As [`sparse_softmax_cross_entropy`], weighted.
#[track_caller]
pub fn sparse_softmax_cross_entropy_with(labels: impl Symbol, logits: impl Symbol, weighting: Weighting) -> Tensor {
    let (labels, logits) = (labels.tensor(), logits.tensor());
    let graph = logits.graph();
    graph.located(|| {
        graph.name_scope("sparse_softmax_cross_entropy_loss", || {
            let labels = match (labels.shape().rank(), logits.shape().rank()) {
                (Some(n), Some(m)) if n == m && n > 0 && labels.shape().dim(-1) == Dim::Known(1) => {
                    labels.squeeze_axes(&[-1])
                }
                _ => labels,
            };
            weighted(graph, logits.sparse_softmax_cross_entropy(labels), weighting)
        })
    })
}

/// Labels moved towards equal parts: y (1 − s) + s / c of one-hot rows `[n, c]`.
#[track_caller]
pub fn smoothed(labels: impl Symbol, smoothing: f64) -> Tensor {
    let labels = labels.tensor();
    let graph = labels.graph();
    graph.located(|| {
        let labels = if labels.dtype().is_float() { labels } else { labels.cast(DType::F32) };
        match labels.shape().dim(-1).known() {
            _ if !(0.0..=1.0).contains(&smoothing) => {
                graph.mistake(format!("smoothed: the smoothing is {smoothing}, not between 0 and 1"))
            }
            Some(classes) => labels * (1.0 - smoothing) + smoothing / classes.max(1) as f64,
            None if is_poisoned(labels) => labels,
            None => graph.mistake(format!("smoothed: the classes of {} are not known", labels.name())),
        }
    })
}

/// Independent labels of 0 and 1 moved towards 1/2: y (1 − s) + s / 2. The `label_smoothing` of TensorFlow's
/// `losses.sigmoid_cross_entropy`.
#[track_caller]
pub fn smoothed_binary(labels: impl Symbol, smoothing: f64) -> Tensor {
    let labels = labels.tensor();
    let graph = labels.graph();
    graph.located(|| {
        let labels = if labels.dtype().is_float() { labels } else { labels.cast(DType::F32) };
        if (0.0..=1.0).contains(&smoothing) {
            labels * (1.0 - smoothing) + 0.5 * smoothing
        } else {
            graph.mistake(format!("smoothed_binary: the smoothing is {smoothing}, not between 0 and 1"))
        }
    })
}

/// The mean squared difference between an example's differences, pair by pair: for each example, the first axis, the mean
/// of (dᵢ − dⱼ)² over its pairs of elements, d = p − y; weighted and summed. TensorFlow's
/// `losses.mean_pairwise_squared_error`.
#[track_caller]
pub fn mean_pairwise_squared_error(labels: impl Symbol, predictions: impl Symbol) -> Tensor {
    mean_pairwise_squared_error_with(labels, predictions, Weighting::default())
}

/// As [`mean_pairwise_squared_error`], weighted; the reduction of the weighting does not count.
#[track_caller]
pub fn mean_pairwise_squared_error_with(labels: impl Symbol, predictions: impl Symbol, weighting: Weighting) -> Tensor {
    let (labels, predictions) = (labels.tensor(), predictions.tensor());
    let (weights, collection) = (weighting.weights, weighting.collection);
    let (what, graph) = ("mean_pairwise_squared_error", predictions.graph());
    let alone = Weighting { weights: 1.0.into(), reduction: Reduction::Sum, collection };
    loss(what, what, labels, predictions, alone, |labels, predictions| {
        let differences = predictions - labels;
        let Some(rank) = differences.shape().rank().filter(|rank| *rank > 0) else {
            return graph.mistake(format!("{what}: examples are along the first axis, of {}", differences.shape()));
        };
        let weights = match weights_for(weights, differences) {
            Ok(Ok(weights)) => weights,
            Ok(Err(number)) => graph.constant(1.0_f32).cast(differences.dtype()) * number,
            Err(mistake) => return mistake,
        };
        let present = weights.not_equal(0.0).cast(differences.dtype());
        let present = graph.apply(Op::BroadcastLike, &[present, differences]);
        let over = |x: Tensor| if rank == 1 { x.identity() } else { x.sum_over(keep_dims(rest(rank))) };
        let n = over(present);
        let squares = 2.0 * safe_ratio(over(differences.square()), (n - 1.0).maximum(0.0));
        let pairs = n * (n - 1.0);
        let together = 2.0 * safe_ratio(over(differences).square(), pairs.maximum(0.0));
        let total = ((squares - together) * weights).sum();
        n.sum().greater(0.0).select(total, 0.0)
    })
}

/// All axes but the first.
fn rest(rank: usize) -> Vec<i32> {
    (1..rank as i32).collect()
}

/// The weighted losses of single elements, as one: TensorFlow's `losses.compute_weighted_loss`.
#[track_caller]
pub fn compute_weighted_loss(losses: impl Symbol, weighting: Weighting) -> Tensor {
    let losses = losses.tensor();
    let graph = losses.graph();
    graph.located(|| graph.name_scope("weighted_loss", || weighted(graph, losses, weighting)))
}

/// The penalties of all regularized layers; 0 where there are none. TensorFlow's `losses.get_regularization_loss`.
#[track_caller]
pub fn regularization_loss(graph: &Graph) -> Tensor {
    let penalties = graph.collection(REGULARIZATION_LOSSES);
    if penalties.is_empty() {
        graph.constant(0.0_f32)
    } else {
        graph.apply_named("total_regularization_loss", Op::AddN, &penalties)
    }
}

/// The sum of every loss and every penalty of the graph. TensorFlow's `losses.get_total_loss`. No loss at all is a mistake.
#[track_caller]
pub fn total_loss(graph: &Graph) -> Tensor {
    let mut terms = graph.collection(LOSSES);
    terms.extend(graph.collection(REGULARIZATION_LOSSES));
    if terms.is_empty() {
        return graph.mistake("total_loss: the graph has no losses");
    }
    graph.apply_named("total_loss", Op::AddN, &terms)
}

#[track_caller]
fn loss(
    what: &str,
    scope: &str,
    labels: Tensor,
    said: Tensor,
    weighting: Weighting,
    formula: impl FnOnce(Tensor, Tensor) -> Tensor,
) -> Tensor {
    let graph = said.graph();
    graph.located(|| {
        graph.name_scope(scope, || {
            // As TensorFlow has it, cross-entropies are of the logits' dtype, and weighed in f32; all others are f32.
            let kept = said.dtype().is_float() && what.ends_with("cross_entropy");
            let said = if kept { said } else { wide(said) };
            let labels = labels.cast(said.dtype());
            if is_poisoned(labels) {
                return labels;
            }
            if labels.shape().unify(&said.shape()).is_none() {
                // They would broadcast, which is never meant.
                let (labels, said) = (labels.shape(), said.shape());
                return graph.mistake(format!("{what}: the labels have shape {labels}, the predictions {said}"));
            }
            weighted(graph, formula(labels, said), weighting)
        })
    })
}

/// What losses are weighed in: f64 as it is, all other numbers as f32.
#[track_caller]
fn wide(x: Tensor) -> Tensor {
    if matches!(x.dtype(), DType::F32 | DType::F64) { x } else { x.cast(DType::F32) }
}

/// The loss of the current scope: `scope/value`, where it is a ratio.
#[track_caller]
fn weighted(graph: &Graph, losses: Tensor, weighting: Weighting) -> Tensor {
    let Weighting { weights, reduction, collection } = weighting;
    let given = losses.dtype();
    let losses = wide(losses);
    let dtype = losses.dtype();
    if is_poisoned(losses) {
        return losses;
    }
    let weights = match weights_for(weights, losses) {
        Ok(weights) => weights,
        Err(mistake) => return mistake,
    };
    let product = match weights {
        Err(1.0) if reduction == Reduction::None => losses.identity(),
        Err(1.0) => losses,
        Err(number) => losses * number,
        Ok(weights) => losses * weights,
    };
    let number_of_losses = || losses.size_of().cast(dtype);
    let present = || match weights {
        Err(0.0) => graph.constant(0.0_f32).cast(dtype),
        Err(_) => number_of_losses(),
        Ok(weights) => over_all(weights.not_equal(0.0).cast(dtype), losses),
    };
    let loss = match reduction {
        Reduction::None => product.named("Mul"),
        Reduction::Sum => product.sum(),
        Reduction::SumByNonzeroWeights => safe_ratio(product.sum(), present()),
        Reduction::SumOverBatchSize => safe_ratio(product.sum(), number_of_losses()),
        Reduction::Mean => {
            let total = match weights {
                Err(number) => number_of_losses() * number,
                Ok(weights) => over_all(weights, losses),
            };
            safe_ratio(product.sum(), total)
        }
    };
    let loss = if given.is_float() && given != dtype { loss.cast(given) } else { loss };
    if let Some(collection) = collection {
        graph.collect(&collection, loss);
    }
    loss
}

/// The weights of losses: a tensor, or a number that is the error of the inner result. The outer error is a mistake.
#[track_caller]
fn weights_for(weights: Scalar, losses: Tensor) -> Result<Result<Tensor, f64>, Tensor> {
    let weights = match weights {
        Scalar::Number(number) => return Ok(Err(number)),
        Scalar::Tensor(tensor) => tensor.cast(losses.dtype()),
        Scalar::Variable(variable) => variable.value().cast(losses.dtype()),
    };
    if fits(weights, losses) {
        return Ok(Ok(weights));
    }
    let told = format!(
        "losses: weights of shape {} do not go with losses of shape {}; they need a rank of 0 or the same, and \
         extents of 1 or the same",
        weights.shape(),
        losses.shape()
    );
    Err(if is_poisoned(weights) { weights } else { losses.graph().mistake(told) })
}

/// Whether weights go with losses, as far as is known.
fn fits(weights: Tensor, losses: Tensor) -> bool {
    let (weights, losses) = (weights.shape(), losses.shape());
    let (Some(weights), Some(losses)) = (weights.dims(), losses.dims()) else { return true };
    let extents = || weights.iter().zip(losses).all(|(w, l)| *w == Dim::Known(1) || w.unify(*l).is_some());
    weights.is_empty() || (weights.len() == losses.len() && extents())
}

/// The sum of what broadcasts to the losses, over all of them.
fn over_all(x: Tensor, losses: Tensor) -> Tensor {
    x.graph().apply(Op::BroadcastLike, &[x, losses]).sum()
}

/// x / n, and 0 where n is 0, as TensorFlow's `div_no_nan`.
fn safe_ratio(x: Tensor, n: Tensor) -> Tensor {
    let none = n.equal(0.0);
    none.select(0.0, x / none.select(1.0, n)).named("value")
}

/// 1 − Σ p y along an axis, of unit vectors. TensorFlow's `losses.cosine_distance`.
#[track_caller]
pub fn cosine_distance(labels: impl Symbol, predictions: impl Symbol, axis: i32) -> Tensor {
    cosine_distance_with(labels, predictions, axis, Weighting::default())
}

/// As [`cosine_distance`], weighted.
#[track_caller]
pub fn cosine_distance_with(labels: impl Symbol, predictions: impl Symbol, axis: i32, weighting: Weighting) -> Tensor {
    let (labels, predictions) = (labels.tensor(), predictions.tensor());
    let formula = |labels: Tensor, predictions: Tensor| 1.0 - (predictions * labels).sum_over(keep_dims(axis));
    loss("cosine_distance", "cosine_distance_loss", labels, predictions, weighting, formula)
}
