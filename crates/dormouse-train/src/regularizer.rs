//! Regularizers: what large weights cost.

use dormouse_graph::{Elementwise, Reduction, Symbol, Tensor};

/// What weights cost, beside what the model gets wrong.
///
/// Implemented by [`L1`], [`L2`], options of regularizers (none costs nothing) and closures `|weights| penalty`.
pub trait Regularizer {
    /// The cost of these weights, as a scalar; none where they cost nothing.
    #[track_caller]
    fn penalty_of(&self, weights: Tensor) -> Option<Tensor>;
}

/// scale · Σ w² / 2. TensorFlow's `contrib.layers.l2_regularizer`.
///
/// ```
/// use dormouse_graph::Graph;
/// use dormouse_train::L2;
/// let graph = Graph::new();
/// let w = graph.variable([1.0_f32, 2.0]);
/// graph.collect("losses", L2(0.003).penalty(w));
/// assert_eq!(graph.collection("losses").len(), 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct L2(pub f64);

/// scale · Σ |w|. TensorFlow's `contrib.layers.l1_regularizer`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct L1(pub f64);

impl L2 {
    /// The cost of these weights.
    #[track_caller]
    pub fn penalty(self, weights: impl Symbol) -> Tensor {
        scaled("l2_regularizer", self.0, weights.tensor(), |w| w.l2_loss())
    }
}

impl L1 {
    /// The cost of these weights.
    #[track_caller]
    pub fn penalty(self, weights: impl Symbol) -> Tensor {
        scaled("l1_regularizer", self.0, weights.tensor(), |w| w.abs().sum())
    }
}

#[track_caller]
fn scaled(name: &str, scale: f64, weights: Tensor, size: impl FnOnce(Tensor) -> Tensor) -> Tensor {
    let graph = weights.graph();
    graph.located(|| {
        if !(scale >= 0.0 && scale.is_finite()) {
            return graph.mistake(format!("{name}: the scale is {scale}; it must be 0 or more"));
        }
        graph.name_scope(name, || {
            let own = graph.current_scope();
            (size(weights) * scale).named(&own)
        })
    })
}

impl Regularizer for L2 {
    #[track_caller]
    fn penalty_of(&self, weights: Tensor) -> Option<Tensor> {
        (self.0 != 0.0).then(|| self.penalty(weights))
    }
}

impl Regularizer for L1 {
    #[track_caller]
    fn penalty_of(&self, weights: Tensor) -> Option<Tensor> {
        (self.0 != 0.0).then(|| self.penalty(weights))
    }
}

impl<R: Regularizer> Regularizer for Option<R> {
    #[track_caller]
    fn penalty_of(&self, weights: Tensor) -> Option<Tensor> {
        self.as_ref().and_then(|regularizer| regularizer.penalty_of(weights))
    }
}

impl<F: Fn(Tensor) -> Tensor> Regularizer for F {
    #[track_caller]
    fn penalty_of(&self, weights: Tensor) -> Option<Tensor> {
        Some(self(weights))
    }
}
