//! Adadelta: steps as long as those before, over the root of the mean square.

use dormouse_graph::{Elementwise, IndexedSlices, Tensor, Variable, Zeros};

use crate::optimizer::rows::Rows;
use crate::optimizer::{Optimizer, Slots};
use crate::scalar::Scalar;

/// Adadelta (Zeiler, 2012). TensorFlow's `train.AdadeltaOptimizer`.
///
/// a ← ρ a + (1 − ρ) g², d = g √(u + ε) / √(a + ε), u ← ρ u + (1 − ρ) d², w ← w − rate · d.
#[derive(Debug)]
pub struct Adadelta {
    rate: Scalar,
    decay: Scalar,
    epsilon: Scalar,
    slots: Slots,
}

impl Adadelta {
    /// With this learning rate, ρ = 0.95 and ε = 10⁻⁸. TensorFlow's default rate is 0.001, that of the paper is 1.
    pub fn new(rate: impl Into<Scalar>) -> Self {
        Adadelta {
            rate: rate.into(),
            decay: Scalar::Number(0.95),
            epsilon: Scalar::Number(1e-8),
            slots: Slots::default(),
        }
    }

    /// With another ρ.
    #[must_use]
    pub fn decay(self, decay: impl Into<Scalar>) -> Self {
        Adadelta { decay: decay.into(), ..self }
    }

    /// With another number under the roots.
    #[must_use]
    pub fn epsilon(self, epsilon: impl Into<Scalar>) -> Self {
        Adadelta { epsilon: epsilon.into(), ..self }
    }

    /// The mean squares of gradients and of steps.
    #[track_caller]
    fn means(&self, variable: Variable) -> [Variable; 2] {
        let make = || variable.slot(self.name(), Zeros(variable.dtype()));
        [self.slots.of(variable, "accum", make), self.slots.of(variable, "accum_update", make)]
    }

    /// The new means, and by what w changes.
    #[track_caller]
    fn step(&self, variable: Variable, gradient: Tensor, [squares, steps]: [Tensor; 2]) -> ([Tensor; 2], Tensor) {
        let (graph, dtype) = (variable.graph(), variable.dtype());
        let rate = self.rate.of(graph, dtype, "Adadelta: the learning rate");
        let epsilon = self.epsilon.of(graph, dtype, "Adadelta: the epsilon");
        let decay = self.decay.of(graph, dtype, "Adadelta: the decay");
        let rest = self.decay.rest(graph, dtype, "Adadelta: the decay");
        let squares = squares * decay + gradient.square() * rest;
        let step = (steps + epsilon).sqrt() * (squares + epsilon).rsqrt() * gradient;
        ([squares, steps * decay + step.square() * rest], step * rate)
    }
}

impl Optimizer for Adadelta {
    fn name(&self) -> &'static str {
        "Adadelta"
    }

    fn slots(&self) -> &Slots {
        &self.slots
    }

    #[track_caller]
    fn make_slots(&self, variable: Variable) {
        self.means(variable);
    }

    #[track_caller]
    fn update(&self, variable: Variable, gradient: Tensor) -> Vec<Tensor> {
        let means = self.means(variable);
        let (new, step) = self.step(variable, gradient, means.map(Variable::value));
        let mut writes: Vec<Tensor> = means.into_iter().zip(new).map(|(mean, new)| mean.assign(new)).collect();
        writes.push(variable.assign_sub(step));
        writes
    }

    #[track_caller]
    fn update_rows(&self, variable: Variable, slices: IndexedSlices) -> Vec<Tensor> {
        let (rows, means) = (Rows::of(slices), self.means(variable));
        let (new, step) = self.step(variable, rows.gradient, means.map(|mean| rows.of_variable(mean)));
        let mut writes: Vec<Tensor> = means.into_iter().zip(new).map(|(mean, new)| rows.write(mean, new)).collect();
        writes.push(rows.write(variable, rows.of_variable(variable) - step));
        writes
    }
}
