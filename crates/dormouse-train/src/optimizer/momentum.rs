//! Momentum: gradients are summed, older ones counting less, and the sum is followed.

use dormouse_graph::{IndexedSlices, Tensor, Variable, Zeros};

use crate::optimizer::rows::Rows;
use crate::optimizer::{Optimizer, Slots};
use crate::scalar::Scalar;

/// Momentum: a ← momentum · a + g, w ← w − rate · a. TensorFlow's `train.MomentumOptimizer`.
///
/// With Nesterov's (as Sutskever et al., 2013, approximate it), w ← w − rate · g − rate · momentum · a.
#[derive(Debug)]
pub struct Momentum {
    rate: Scalar,
    decay: Scalar,
    nesterov: bool,
    slots: Slots,
}

impl Momentum {
    /// With this learning rate and momentum.
    pub fn new(rate: impl Into<Scalar>, momentum: impl Into<Scalar>) -> Self {
        Momentum { rate: rate.into(), decay: momentum.into(), nesterov: false, slots: Slots::default() }
    }

    /// With Nesterov's momentum.
    #[must_use]
    pub fn nesterov(self) -> Self {
        Momentum { nesterov: true, ..self }
    }

    #[track_caller]
    fn sum(&self, variable: Variable) -> Variable {
        self.slots.of(variable, "momentum", || variable.slot(self.name(), Zeros(variable.dtype())))
    }
}

impl Optimizer for Momentum {
    fn name(&self) -> &'static str {
        "Momentum"
    }

    fn slots(&self) -> &Slots {
        &self.slots
    }

    #[track_caller]
    fn make_slots(&self, variable: Variable) {
        self.sum(variable);
    }

    #[track_caller]
    fn update(&self, variable: Variable, gradient: Tensor) -> Vec<Tensor> {
        let (graph, dtype) = (variable.graph(), variable.dtype());
        let rate = self.rate.of(graph, dtype, "Momentum: the learning rate");
        let momentum = self.decay.of(graph, dtype, "Momentum: the momentum");
        let sum = self.sum(variable);
        let sum = sum.assign(sum * momentum + gradient);
        vec![variable.assign_sub(if self.nesterov { gradient * rate + sum * momentum * rate } else { sum * rate })]
    }

    #[track_caller]
    fn update_rows(&self, variable: Variable, slices: IndexedSlices) -> Vec<Tensor> {
        let (graph, dtype) = (variable.graph(), variable.dtype());
        let rate = self.rate.of(graph, dtype, "Momentum: the learning rate");
        let momentum = self.decay.of(graph, dtype, "Momentum: the momentum");
        let (rows, slot) = (Rows::of(slices), self.sum(variable));
        let sum = rows.of_variable(slot) * momentum + rows.gradient;
        let step = if self.nesterov { rows.gradient * rate + sum * momentum * rate } else { sum * rate };
        vec![rows.write(slot, sum), rows.write(variable, rows.of_variable(variable) - step)]
    }
}
