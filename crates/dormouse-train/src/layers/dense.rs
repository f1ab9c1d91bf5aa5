//! The dense layer: every result depends on every input.

use dormouse_graph::{Linalg, Tensor};

use crate::layers::weights::Weights;
use crate::layers::{Layer, inner_extent};

/// x · kernel + bias, `[.., n] → [.., units]`, with the kernel `[n, units]`. TensorFlow's `layers.dense`.
#[derive(Clone, Debug)]
pub struct Dense {
    units: usize,
    pub(super) weights: Weights,
}

impl Dense {
    /// With so many units, a kernel that starts by [`GlorotUniform`](dormouse_graph::GlorotUniform) and a bias from 0.
    pub fn new(units: usize) -> Self {
        Dense { units, weights: Weights::new() }
    }
}

impl Layer for Dense {
    #[track_caller]
    fn apply(&self, x: Tensor) -> Tensor {
        let graph = x.graph();
        self.weights.scoped(graph, "dense", || {
            if self.units == 0 {
                return graph.mistake("dense: the layer has no units");
            }
            let inner = match inner_extent("dense", x, 2, false) {
                Ok(inner) => inner,
                Err(mistake) => return mistake,
            };
            let kernel = self.weights.kernel(graph, &[inner, self.units], x.dtype());
            self.weights.finish(x.matmul(kernel), self.units, x.dtype())
        })
    }
}
