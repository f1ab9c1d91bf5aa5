//! `RMSProp`: steps over the root of the mean square, or of the variance, summed with momentum.

use dormouse_graph::{Elementwise, IndexedSlices, Ones, Tensor, Variable, Zeros};

use crate::optimizer::rows::Rows;
use crate::optimizer::{Optimizer, Slots};
use crate::scalar::Scalar;

/// `RMSProp` (Tieleman and Hinton, 2012). TensorFlow's `train.RMSPropOptimizer`.
///
/// s ← s + (g² − s)(1 − decay), a ← momentum · a + rate · g / √(s + ε), w ← w − a; centered, s less the square of the
/// mean gradient stands under the root.
#[derive(Debug)]
pub struct RmsProp {
    rate: Scalar,
    decay: Scalar,
    momentum: Scalar,
    epsilon: Scalar,
    centered: bool,
    slots: Slots,
}

impl RmsProp {
    /// With this learning rate, a decay of 0.9, no momentum, and ε = 10⁻¹⁰.
    pub fn new(rate: impl Into<Scalar>) -> Self {
        RmsProp {
            rate: rate.into(),
            decay: Scalar::Number(0.9),
            momentum: Scalar::Number(0.0),
            epsilon: Scalar::Number(1e-10),
            centered: false,
            slots: Slots::default(),
        }
    }

    /// With another decay of the mean square.
    #[must_use]
    pub fn decay(self, decay: impl Into<Scalar>) -> Self {
        RmsProp { decay: decay.into(), ..self }
    }

    /// With momentum.
    #[must_use]
    pub fn momentum(self, momentum: impl Into<Scalar>) -> Self {
        RmsProp { momentum: momentum.into(), ..self }
    }

    /// With another number under the root.
    #[must_use]
    pub fn epsilon(self, epsilon: impl Into<Scalar>) -> Self {
        RmsProp { epsilon: epsilon.into(), ..self }
    }

    /// With the variance under the root in place of the mean square.
    #[must_use]
    pub fn centered(self) -> Self {
        RmsProp { centered: true, ..self }
    }

    #[track_caller]
    fn mean_square(&self, variable: Variable) -> Variable {
        self.slots.of(variable, "rms", || variable.slot(self.name(), Ones(variable.dtype())))
    }

    #[track_caller]
    fn zeros(&self, variable: Variable, name: &'static str) -> Variable {
        self.slots.of(variable, name, || variable.slot(self.name(), Zeros(variable.dtype())))
    }
}

impl Optimizer for RmsProp {
    fn name(&self) -> &'static str {
        "RMSProp"
    }

    fn slots(&self) -> &Slots {
        &self.slots
    }

    #[track_caller]
    fn make_slots(&self, variable: Variable) {
        self.mean_square(variable);
        if self.centered {
            self.zeros(variable, "mg");
        }
        self.zeros(variable, "momentum");
    }

    #[track_caller]
    fn update(&self, variable: Variable, gradient: Tensor) -> Vec<Tensor> {
        let (graph, dtype) = (variable.graph(), variable.dtype());
        let rate = self.rate.of(graph, dtype, "RMSProp: the learning rate");
        let momentum = self.momentum.of(graph, dtype, "RMSProp: the momentum");
        let epsilon = self.epsilon.of(graph, dtype, "RMSProp: the epsilon");
        let rest = self.decay.rest(graph, dtype, "RMSProp: the decay");
        let square = self.mean_square(variable);
        let square = square.assign_add((gradient.square() - square) * rest);
        let spread = if self.centered {
            let mean = self.zeros(variable, "mg");
            let mean = mean.assign_add((gradient - mean) * rest);
            square - mean.square()
        } else {
            square
        };
        let step = self.zeros(variable, "momentum");
        let step = step.assign(step * momentum + gradient * rate / (spread + epsilon).sqrt());
        vec![variable.assign_sub(step)]
    }

    #[track_caller]
    fn update_rows(&self, variable: Variable, slices: IndexedSlices) -> Vec<Tensor> {
        let (graph, dtype) = (variable.graph(), variable.dtype());
        let rate = self.rate.of(graph, dtype, "RMSProp: the learning rate");
        let momentum = self.momentum.of(graph, dtype, "RMSProp: the momentum");
        let epsilon = self.epsilon.of(graph, dtype, "RMSProp: the epsilon");
        let rest = self.decay.rest(graph, dtype, "RMSProp: the decay");
        let (rows, mut writes) = (Rows::of(slices), Vec::new());
        let mut followed = |slot: Variable, to: Tensor| {
            let before = rows.of_variable(slot);
            let mean = before + (to - before) * rest;
            writes.push(rows.write(slot, mean));
            mean
        };
        let square = followed(self.mean_square(variable), rows.gradient.square());
        let spread =
            if self.centered { square - followed(self.zeros(variable, "mg"), rows.gradient).square() } else { square };
        let slot = self.zeros(variable, "momentum");
        let step = rows.of_variable(slot) * momentum + rows.gradient * rate / (spread + epsilon).sqrt();
        writes.push(rows.write(slot, step));
        writes.push(rows.write(variable, rows.of_variable(variable) - step));
        writes
    }
}
