//! The network that `mnist_train` trains and `mnist_eval` judges: what both programs must agree on.

use dormouse::prelude::*;

/// Images to logits, `[?, pixels] → [?, classes]`: relu(x · w₁ + b₁) · w₂ + b₂.
///
/// The weights' penalties, if there is a regularizer, go to the collection `losses`.
pub(crate) fn inference(images: Tensor, classes: usize, regularizer: Option<L2>) -> Tensor {
    let graph = images.graph();
    let hidden = graph.scope("layer1", || layer(images, 500, regularizer).relu());
    graph.scope("layer2", || layer(hidden, classes, regularizer))
}

fn layer(x: Tensor, units: usize, regularizer: Option<L2>) -> Tensor {
    let graph = x.graph();
    let inputs = x.shape().dim(-1);
    let weights = graph.get_variable("weights", shape![inputs, units], TruncatedNormal::new(0.1));
    let biases = graph.get_variable("biases", [units], Zeros(DType::F32));
    if let Some(regularizer) = regularizer {
        graph.collect("losses", regularizer.penalty(weights));
    }
    x.matmul(weights) + biases
}

/// How fast the shadows follow the variables, which the program that judges has to know, too.
pub(crate) const AVERAGE_DECAY: f64 = 0.99;

/// Where the set is read from if not said.
pub(crate) const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data/mnist");
