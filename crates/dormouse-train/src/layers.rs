//! Layers: what makes variables and builds a part of a model on them, as TensorFlow's `tf.layers` do.
//!
//! A layer that nobody named takes the next free scope: `dense`, `dense_1`, …; its variables are `dense/kernel` and
//! `dense/bias`. In a scope entered again with [`Reuse::Auto`](dormouse_graph::Reuse::Auto) it finds those it made before.
//!
//! ```
//! use dormouse_graph::{Graph, Tensor};
//! use dormouse_train::L2;
//! use dormouse_train::layers::{Dense, Dropout, Layer, sequence};
//! use dormouse_value::{DType, shape};
//! fn inference(x: Tensor, regularizer: Option<L2>) -> Tensor {
//!     let graph = x.graph();
//!     let hidden = graph.scope("layer1", || Dense::new(500).relu().regularizer(regularizer).apply(x));
//!     graph.scope("layer2", || Dense::new(10).regularizer(regularizer).apply(hidden))
//! }
//! let graph = Graph::new();
//! let x = graph.placeholder(DType::F32, shape![?, 784]);
//! assert_eq!(inference(x, Some(L2(0.0001))).shape(), shape![?, 10]);
//! assert!(graph.variable_named("layer1/dense/kernel").is_some());
//! assert_eq!(graph.collection("regularization_losses").len(), 2);
//!
//! let logits = sequence(x, &[&Dense::new(500).relu(), &Dropout::new(0.5), &Dense::new(10)]);
//! assert_eq!(logits.name(), "dense_1/BiasAdd:0");
//! assert!(graph.check().is_ok());
//! ```

use dormouse_graph::{Array, Nn, Tensor};
use dormouse_value::Dim;

use crate::is_poisoned;

mod conv2d;
mod dense;
mod pool;
mod weights;

pub use conv2d::Conv2d;
pub use dense::Dense;
pub use pool::{AveragePool, MaxPool};

/// A part of a model, built on a tensor.
pub trait Layer {
    /// The layer's result for `x`. Each call makes variables of its own, unless the scope says to find them.
    #[track_caller]
    fn apply(&self, x: Tensor) -> Tensor;
}

impl<F: Fn(Tensor) -> Tensor> Layer for F {
    #[track_caller]
    fn apply(&self, x: Tensor) -> Tensor {
        self(x)
    }
}

/// Layers, each on what the one before it gave. Functions `fn(Tensor) -> Tensor` are layers as well.
#[track_caller]
pub fn sequence(x: Tensor, layers: &[&dyn Layer]) -> Tensor {
    x.graph().located(|| layers.iter().fold(x, |x, layer| layer.apply(x)))
}

/// Zeroes elements with probability `rate`, for training; see [`Nn::dropout`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    rate: f64,
    seed: Option<i64>,
}

impl Dropout {
    /// At this rate, at least 0 and below 1.
    pub fn new(rate: f64) -> Self {
        Dropout { rate, seed: None }
    }

    /// With a seed of its own.
    #[must_use]
    pub fn seed(self, seed: i64) -> Self {
        Dropout { seed: Some(seed), ..self }
    }
}

impl Layer for Dropout {
    #[track_caller]
    fn apply(&self, x: Tensor) -> Tensor {
        x.dropout(self.rate, self.seed)
    }
}

/// The same elements in two axes: the first, and all others; see [`Array::flatten`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flatten;

impl Layer for Flatten {
    #[track_caller]
    fn apply(&self, x: Tensor) -> Tensor {
        x.flatten()
    }
}

/// The extent of the last axis of what a layer is built on, if the layer can be built on it: floats of the rank, or of at
/// least the rank, with a known last extent.
#[track_caller]
fn inner_extent(what: &str, x: Tensor, rank: usize, exact: bool) -> Result<usize, Tensor> {
    let (shape, dtype) = (x.shape(), x.dtype());
    let told = if !dtype.is_float() {
        format!("{what}: takes floats, not {dtype}; cast it first")
    } else if shape.rank().is_none_or(|r| r < rank || (exact && r != rank)) {
        let at_least = if exact { "" } else { " at least" };
        format!("{what}: takes {rank} axes{at_least}, not {shape}")
    } else {
        match shape.dim(-1) {
            Dim::Known(n) => return Ok(n as usize),
            Dim::Unknown => format!("{what}: the last extent of {shape} must be known; it is the kernel's"),
        }
    };
    Err(if is_poisoned(x) { x } else { x.graph().mistake(told) })
}
