//! Metrics over many batches: what they count is kept in variables, from run to run, as TensorFlow's `tf.metrics` do.
//!
//! Each takes the labels and what the model said of one batch, in TensorFlow's order, and gives a [`Streaming`]: its `update`
//! takes a batch in, its `value` tells how things stand. Weights, if any, broadcast to the labels. The variables are not
//! trainable, and lie in a scope of the metric's name; what initializes all variables sets them to 0, and so does `reset`,
//! them alone.
//!
//! ```
//! use dormouse_graph::Graph;
//! use dormouse_session::Session;
//! use dormouse_train::metrics::streaming;
//! use dormouse_value::{DType, shape};
//! let graph = Graph::new();
//! let labels = graph.placeholder(DType::I64, shape![?]).named("labels");
//! let said = graph.placeholder(DType::I64, shape![?]).named("said");
//! let right = streaming::accuracy(labels, said, None);
//! let session = Session::new(&graph)?;
//! session.run(right.reset, ())?;
//! for (truth, answer) in [([1_i64, 2], [1_i64, 0]), ([3, 3], [3, 3])] {
//!     session.run(right.update, [(labels, truth), (said, answer)])?;
//! }
//! assert_eq!(session.run(right.value, ())?.scalar::<f32>()?, 0.75);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use dormouse_graph::{Array, Elementwise, Functions, Graph, Operation, Reduction, Segments, Symbol, Tensor, Variable};
use dormouse_value::DType;

use crate::is_poisoned;

/// A metric that is kept over batches.
#[derive(Clone, Debug)]
pub struct Streaming {
    /// The metric of all batches that were taken in before; 0 of none, but for what says otherwise.
    pub value: Tensor,
    /// Takes this run's batch in; the metric with it.
    pub update: Tensor,
    /// Forgets all batches.
    pub reset: Operation,
}

/// The curve whose area [`auc`] tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Curve {
    /// How many of the positives are found, by how many of the negatives are taken for them.
    #[default]
    Roc,
    /// How many of those that are taken for positives are, by how many of these are found.
    PrecisionRecall,
}

/// A metric of sums that are kept: each is added to by a batch, and the metric is made of them.
fn kept<const N: usize>(
    graph: &'static Graph,
    name: &str,
    sums: impl FnOnce() -> Result<[(&'static str, Tensor); N], Tensor>,
    metric: impl Fn([Tensor; N]) -> Tensor,
) -> Streaming {
    graph.located(|| {
        graph.scope(name, || match sums() {
            Ok(sums) => {
                let kept = sums.map(|(name, sum)| {
                    let dims = sum.shape().to_dims().unwrap_or_default();
                    graph.without_control_dependencies(|| {
                        graph.variable(graph.fill(&dims, 0.0, sum.dtype())).named(name).untrainable()
                    })
                });
                let mut added = kept.iter().zip(sums).map(|(kept, (_, sum))| kept.assign_add(sum));
                let added = std::array::from_fn(|i| added.next().unwrap_or(sums[i].1));
                let value = graph.name_scope("value", || metric(kept.map(Variable::value)));
                let update = graph.name_scope("update_op", || metric(added));
                Streaming { value, update, reset: graph.group(kept.map(Variable::initializer)) }
            }
            Err(mistake) => Streaming { value: mistake, update: mistake, reset: mistake.operation() },
        })
    })
}

/// A mistake, unless there is one already.
#[track_caller]
fn mistaken(of: &[Tensor], message: String) -> Tensor {
    of.iter().find(|t| is_poisoned(**t)).copied().unwrap_or_else(|| of[0].graph().mistake(message))
}

/// Whether two batches go together.
#[track_caller]
fn alike(name: &str, labels: Tensor, said: Tensor) -> Result<(), Tensor> {
    if labels.shape().unify(&said.shape()).is_some() {
        return Ok(());
    }
    let shapes = (labels.shape(), said.shape());
    Err(mistaken(&[labels, said], format!("{name}: the labels have shape {}, the predictions {}", shapes.0, shapes.1)))
}

/// The sum of the terms by their weights, and of the weights.
#[track_caller]
fn weighted(terms: Tensor, weights: Option<Tensor>) -> [Tensor; 2] {
    let terms = terms.cast(DType::F32);
    match weights {
        None => [terms.sum(), terms.size_of().cast(DType::F32)],
        Some(weights) => {
            let weights = weights.cast(DType::F32) * terms.ones_like();
            [(terms * weights).sum(), weights.sum()]
        }
    }
}

fn mean_of(
    graph: &'static Graph,
    name: &str,
    terms: impl FnOnce() -> Result<Tensor, Tensor>,
    weights: Option<Tensor>,
    finish: impl Fn(Tensor) -> Tensor,
) -> Streaming {
    let sums = || {
        let [total, count] = weighted(terms()?, weights);
        Ok([("total", total), ("count", count)])
    };
    kept(graph, name, sums, |[total, count]| finish(total.div_no_nan(count)))
}

/// The mean of the values. TensorFlow's `metrics.mean`.
#[track_caller]
pub fn mean(values: impl Symbol, weights: Option<Tensor>) -> Streaming {
    let values = values.tensor();
    values.graph().located(|| mean_of(values.graph(), "mean", || Ok(values), weights, |mean| mean))
}

macro_rules! means {
    ($($(#[$doc:meta])* $name:ident |$labels:ident, $said:ident| $terms:expr, |$mean:ident| $finish:expr;)*) => { $(
        $(#[$doc])*
        #[track_caller]
        pub fn $name(labels: impl Symbol, predictions: impl Symbol, weights: Option<Tensor>) -> Streaming {
            let ($labels, $said) = (labels.tensor(), predictions.tensor());
            let graph = $said.graph();
            graph.located(|| {
                let terms = || alike(stringify!($name), $labels, $said).map(|()| $terms);
                mean_of(graph, stringify!($name), terms, weights, |$mean| $finish)
            })
        }
    )* };
}

means! {
    /// The part of the predictions that are the labels. TensorFlow's `metrics.accuracy`.
    accuracy |labels, said| said.cast(labels.dtype()).equal(labels), |mean| mean;
    /// The mean of |p − y|. TensorFlow's `metrics.mean_absolute_error`.
    mean_absolute_error |labels, said| (said - labels.cast(said.dtype())).abs(), |mean| mean;
    /// The mean of (p − y)². TensorFlow's `metrics.mean_squared_error`.
    mean_squared_error |labels, said| said.squared_difference(labels.cast(said.dtype())), |mean| mean;
    /// The root of the mean of (p − y)². TensorFlow's `metrics.root_mean_squared_error`.
    root_mean_squared_error |labels, said| said.squared_difference(labels.cast(said.dtype())), |mean| mean.sqrt();
}

/// The mean of |p − y| / normalizer, 0 where that is 0. TensorFlow's `metrics.mean_relative_error`.
#[track_caller]
pub fn mean_relative_error(
    labels: impl Symbol,
    predictions: impl Symbol,
    normalizer: impl Symbol,
    weights: Option<Tensor>,
) -> Streaming {
    let (labels, said, normalizer) = (labels.tensor(), predictions.tensor(), normalizer.tensor());
    let graph = said.graph();
    graph.located(|| {
        let terms = || {
            alike("mean_relative_error", labels, said)?;
            let normalizer = normalizer.cast(said.dtype());
            Ok((labels.cast(said.dtype()) - said).abs().div_no_nan(normalizer))
        };
        mean_of(graph, "mean_relative_error", terms, weights, |mean| mean)
    })
}

/// 1 − the mean of Σ p y along an axis, of vectors of length 1. TensorFlow's `metrics.mean_cosine_distance`; 1 of no batch.
#[track_caller]
pub fn mean_cosine_distance(
    labels: impl Symbol,
    predictions: impl Symbol,
    axis: i32,
    weights: Option<Tensor>,
) -> Streaming {
    let (labels, said) = (labels.tensor(), predictions.tensor());
    let graph = said.graph();
    graph.located(|| {
        let terms = || {
            alike("mean_cosine_distance", labels, said)?;
            Ok((said * labels.cast(said.dtype())).sum_over(dormouse_graph::keep_dims(axis)))
        };
        mean_of(graph, "mean_cosine_distance", terms, weights, |mean| 1.0 - mean)
    })
}

/// The part of the values that are below a threshold. TensorFlow's `metrics.percentage_below`.
#[track_caller]
pub fn percentage_below(values: impl Symbol, threshold: f64, weights: Option<Tensor>) -> Streaming {
    let values = values.tensor();
    let graph = values.graph();
    graph.located(|| mean_of(graph, "percentage_below_threshold", || Ok(values.less(threshold)), weights, |mean| mean))
}

/// Sums of weights: where labels and predictions, taken for truth values, are as told.
#[track_caller]
fn counted<const N: usize>(
    name: &str,
    labels: Tensor,
    said: Tensor,
    weights: Option<Tensor>,
    cases: [(&'static str, bool, bool); N],
) -> Result<[(&'static str, Tensor); N], Tensor> {
    alike(name, labels, said)?;
    let (labels, said) = (labels.cast(DType::Bool), said.cast(DType::Bool));
    Ok(cases.map(|(name, truth, answer)| {
        let is = |t: Tensor, wanted: bool| if wanted { t } else { t.logical_not() };
        let found = (is(labels, truth) & is(said, answer)).cast(DType::F32);
        let sum = match weights {
            None => found.sum(),
            Some(weights) => (found * weights.cast(DType::F32)).sum(),
        };
        (name, sum)
    }))
}

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident $truth:literal $answer:literal;)*) => { $(
        $(#[$doc])*
        #[track_caller]
        pub fn $name(labels: impl Symbol, predictions: impl Symbol, weights: Option<Tensor>) -> Streaming {
            let (labels, said) = (labels.tensor(), predictions.tensor());
            let graph = said.graph();
            graph.located(|| {
                const NAME: &str = stringify!($name);
                let sums = || counted(NAME, labels, said, weights, [("count", $truth, $answer)]);
                kept(graph, NAME, sums, |[count]| count.identity())
            })
        }
    )* };
}

counts! {
    /// How many are said to be so and are. TensorFlow's `metrics.true_positives`.
    true_positives true true;
    /// How many are said to be so and are not. TensorFlow's `metrics.false_positives`.
    false_positives false true;
    /// How many are said not to be so and are not. TensorFlow's `metrics.true_negatives`.
    true_negatives false false;
    /// How many are said not to be so and are. TensorFlow's `metrics.false_negatives`.
    false_negatives true false;
}

/// The part of those said to be so that are. TensorFlow's `metrics.precision`.
#[track_caller]
pub fn precision(labels: impl Symbol, predictions: impl Symbol, weights: Option<Tensor>) -> Streaming {
    found("precision", ("false_positives", false, true), labels.tensor(), predictions.tensor(), weights)
}

/// The part of those that are so that are said to be. TensorFlow's `metrics.recall`.
#[track_caller]
pub fn recall(labels: impl Symbol, predictions: impl Symbol, weights: Option<Tensor>) -> Streaming {
    found("recall", ("false_negatives", true, false), labels.tensor(), predictions.tensor(), weights)
}

/// How many are rightly said to be so, of these and those of another case.
#[track_caller]
fn found(
    name: &str,
    others: (&'static str, bool, bool),
    labels: Tensor,
    said: Tensor,
    weights: Option<Tensor>,
) -> Streaming {
    let graph = said.graph();
    graph.located(|| {
        let sums = || counted(name, labels, said, weights, [("true_positives", true, true), others]);
        kept(graph, name, sums, |[right, wrong]| right.div_no_nan(right + wrong))
    })
}

/// The area below a curve of what is found at `thresholds` thresholds from 0 to 1, by trapezoids: predictions are from 0 to 1,
/// labels truth values. TensorFlow's `metrics.auc`, whose `num_thresholds` is 200.
#[track_caller]
pub fn auc(
    labels: impl Symbol,
    predictions: impl Symbol,
    weights: Option<Tensor>,
    thresholds: usize,
    curve: Curve,
) -> Streaming {
    // As TensorFlow's: what is around 0 and 1, and what keeps quotients finite.
    const AROUND: f32 = 1e-7;
    const SMALL: f64 = 1e-6;
    let (labels, said) = (labels.tensor(), predictions.tensor());
    let graph = said.graph();
    graph.located(|| {
        let sums = || {
            alike("auc", labels, said)?;
            if thresholds < 2 {
                return Err(mistaken(&[said], format!("auc: takes 2 thresholds at least, not {thresholds}")));
            }
            let last = thresholds - 1;
            let at: Vec<f32> = (0..thresholds)
                .map(|i| match i {
                    0 => -AROUND,
                    i if i == last => 1.0 + AROUND,
                    i => (i as f64 / last as f64) as f32,
                })
                .collect();
            let at = graph.constant(at).expand_dims(1);
            let row = |t: Tensor| t.reshape([1, -1]);
            let answers = row(said.cast(DType::F32)).greater(at);
            let truth = row(labels.cast(DType::Bool));
            let weights = weights.map(|w| row(w.cast(DType::F32) * said.ones_like().cast(DType::F32)));
            let cases = [
                ("true_positives", true, true),
                ("false_negatives", true, false),
                ("true_negatives", false, false),
                ("false_positives", false, true),
            ];
            Ok(cases.map(|(name, is, told)| {
                let of = |t: Tensor, wanted: bool| if wanted { t } else { t.logical_not() };
                let found = (of(truth, is) & of(answers, told)).cast(DType::F32);
                (name, weights.map_or(found, |w| found * w).sum_over(1).ensure_shape([thresholds]))
            }))
        };
        let area = |[tp, missed, tn, fp]: [Tensor; 4]| {
            let found = (tp + SMALL) / (tp + missed + SMALL);
            let (x, y) = match curve {
                Curve::Roc => (fp / (fp + tn + SMALL), found),
                Curve::PrecisionRecall => (found, (tp + SMALL) / (tp + fp + SMALL)),
            };
            let n = thresholds as i64 - 1;
            let pair = |t: Tensor| (t.slice([0], [n]), t.slice([1], [n]));
            let ((x0, x1), (y0, y1)) = (pair(x), pair(y));
            ((x0 - x1) * ((y0 + y1) / 2.0)).sum()
        };
        kept(graph, "auc", sums, area)
    })
}

/// The confusion matrix of class numbers, which are all below `classes`.
#[track_caller]
fn confused(
    name: &str,
    labels: Tensor,
    said: Tensor,
    weights: Option<Tensor>,
    classes: usize,
) -> Result<Tensor, Tensor> {
    alike(name, labels, said)?;
    let flat = |t: Tensor| t.cast(DType::I64).reshape([-1]);
    let (labels, answers) = (flat(labels), flat(said));
    let weights = match weights {
        None => answers.ones_like().cast(DType::F64),
        Some(weights) => (weights.cast(DType::F64) * said.ones_like().cast(DType::F64)).reshape([-1]),
    };
    Ok(labels.confusion_matrix_weighted(answers, weights, classes))
}

/// The mean over classes of how many are of a class and said to be, over how many are one or the other; classes that are neither
/// do not count. TensorFlow's `metrics.mean_iou`, whose `update` is the confusion matrix; here it is the metric.
#[track_caller]
pub fn mean_iou(labels: impl Symbol, predictions: impl Symbol, classes: usize, weights: Option<Tensor>) -> Streaming {
    use dormouse_graph::Matrices;
    let (labels, said) = (labels.tensor(), predictions.tensor());
    let graph = said.graph();
    graph.located(|| {
        let sums = || Ok([("total_confusion_matrix", confused("mean_iou", labels, said, weights, classes)?)]);
        kept(graph, "mean_iou", sums, |[matrix]| {
            let both = matrix.matrix_diag_part().cast(DType::F32);
            let either = (matrix.sum_over(0) + matrix.sum_over(1)).cast(DType::F32) - both;
            let valid = either.not_equal(0.0).cast(DType::F32).sum();
            both.div_no_nan(either).sum().div_no_nan(valid)
        })
    })
}

/// The mean over classes of the part of a class that is said to be of it; 0 of a class that there is not. TensorFlow's
/// `metrics.mean_per_class_accuracy`.
#[track_caller]
pub fn mean_per_class_accuracy(
    labels: impl Symbol,
    predictions: impl Symbol,
    classes: usize,
    weights: Option<Tensor>,
) -> Streaming {
    use dormouse_graph::Matrices;
    let (labels, said) = (labels.tensor(), predictions.tensor());
    let graph = said.graph();
    graph.located(|| {
        let sums = || {
            let matrix = confused("mean_per_class_accuracy", labels, said, weights, classes)?.cast(DType::F32);
            Ok([("total", matrix.sum_over(1)), ("count", matrix.matrix_diag_part())])
        };
        kept(graph, "mean_accuracy", sums, |[total, count]| count.div_no_nan(total).mean())
    })
}
