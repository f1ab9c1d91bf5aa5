//! Metrics: how well a model does, as numbers for people. They have no gradient.

pub mod streaming;

use dormouse_graph::{Elementwise, Reduction, Symbol, Tensor};
use dormouse_value::DType;

use crate::is_poisoned;

/// The part of rows whose largest logit stands at the label, as an f32 scalar.
///
/// Logits `[n, c]`; labels `[n]` of class numbers, or `[n, c]` of distributions, whose largest counts. Of one batch: what
/// TensorFlow programs write as `reduce_mean(cast(equal(argmax(logits, 1), labels), float32))`.
///
/// ```
/// use dormouse_graph::Graph;
/// use dormouse_session::Session;
/// use dormouse_train::metrics::accuracy;
/// let graph = Graph::new();
/// let logits = graph.constant([[0.1_f32, 0.9], [0.8, 0.2]]);
/// let right = accuracy(graph.constant([1_i64, 1]), logits);
/// let session = Session::new(&graph)?;
/// assert_eq!(session.run(right, ())?.scalar::<f32>()?, 0.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn accuracy(labels: impl Symbol, logits: impl Symbol) -> Tensor {
    let (labels, logits) = (labels.tensor(), logits.tensor());
    let graph = logits.graph();
    graph.located(|| {
        if is_poisoned(labels) {
            return labels;
        }
        graph.name_scope("accuracy", || {
            let own = graph.current_scope();
            let classes = match labels.shape().rank() {
                Some(2) => labels.argmax(1),
                Some(1) | None if labels.dtype().is_integer() => labels.cast(DType::I64),
                _ => {
                    let told = format!("accuracy: labels are class numbers [n] or rows [n, c], not {labels}");
                    return graph.mistake(told);
                }
            };
            logits.argmax(1).equal(classes).cast(DType::F32).mean().named(&own)
        })
    })
}
