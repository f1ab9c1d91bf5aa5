//! Gradient descent: one step against the gradient.

use dormouse_graph::{Tensor, Variable};

use crate::optimizer::{Optimizer, Slots};
use crate::scalar::Scalar;

/// Gradient descent: w ← w − rate · g. TensorFlow's `train.GradientDescentOptimizer`.
#[derive(Debug)]
pub struct GradientDescent {
    rate: Scalar,
    slots: Slots,
}

impl GradientDescent {
    /// With this learning rate.
    pub fn new(rate: impl Into<Scalar>) -> Self {
        GradientDescent { rate: rate.into(), slots: Slots::default() }
    }
}

impl Optimizer for GradientDescent {
    fn name(&self) -> &'static str {
        "GradientDescent"
    }

    fn slots(&self) -> &Slots {
        &self.slots
    }

    fn make_slots(&self, _: Variable) {}

    #[track_caller]
    fn update(&self, variable: Variable, gradient: Tensor) -> Vec<Tensor> {
        let rate = self.rate.of(variable.graph(), variable.dtype(), "GradientDescent: the learning rate");
        vec![variable.assign_sub(gradient * rate)]
    }
}
