//! Adam: steps of the mean gradient over the root of the mean square.

use dormouse_graph::{Elementwise, Graph, Tensor, Variable, Zeros};

use crate::optimizer::{Optimizer, Slots};
use crate::scalar::Scalar;

/// Adam (Kingma and Ba, 2015, the form before their section 2.1). TensorFlow's `train.AdamOptimizer`.
///
/// m ← m + (g − m)(1 − β₁), v ← v + (g² − v)(1 − β₂),
/// w ← w − m · rate √(1 − β₂ᵗ) / (1 − β₁ᵗ) / (√v + ε).
///
/// t counts runs: two operations of one `Adam`, run in one run, raise it by one.
#[derive(Debug)]
pub struct Adam {
    rate: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    epsilon: Scalar,
    slots: Slots,
}

impl Default for Adam {
    fn default() -> Self {
        Adam::new(0.001)
    }
}

impl Adam {
    /// With this learning rate, β₁ = 0.9, β₂ = 0.999 and ε = 10⁻⁸.
    pub fn new(rate: impl Into<Scalar>) -> Self {
        Adam {
            rate: rate.into(),
            beta1: Scalar::Number(0.9),
            beta2: Scalar::Number(0.999),
            epsilon: Scalar::Number(1e-8),
            slots: Slots::default(),
        }
    }

    /// With another decay of the mean gradient and of the mean square.
    #[must_use]
    pub fn betas(self, beta1: impl Into<Scalar>, beta2: impl Into<Scalar>) -> Self {
        Adam { beta1: beta1.into(), beta2: beta2.into(), ..self }
    }

    /// With another number beside the root.
    #[must_use]
    pub fn epsilon(self, epsilon: impl Into<Scalar>) -> Self {
        Adam { epsilon: epsilon.into(), ..self }
    }

    /// The mean gradient and the mean square.
    #[track_caller]
    fn moments(&self, variable: Variable) -> [Variable; 2] {
        let make = || variable.slot(self.name(), Zeros(variable.dtype()));
        [self.slots.of(variable, "m", make), self.slots.of(variable, "v", make)]
    }

    /// β₁ᵗ and β₂ᵗ, one of each for all variables of a graph.
    #[track_caller]
    fn powers(&self, graph: &Graph) -> [Variable; 2] {
        [("beta1_power", self.beta1), ("beta2_power", self.beta2)].map(|(name, beta)| {
            self.slots.of_graph(graph, name, || {
                let first = beta.tensor(graph, BETA);
                graph.variable(first).named(name).untrainable()
            })
        })
    }
}

const BETA: &str = "Adam: a beta";

impl Optimizer for Adam {
    fn name(&self) -> &'static str {
        "Adam"
    }

    fn slots(&self) -> &Slots {
        &self.slots
    }

    #[track_caller]
    fn make_slots(&self, variable: Variable) {
        self.powers(variable.graph());
        self.moments(variable);
    }

    #[track_caller]
    fn update(&self, variable: Variable, gradient: Tensor) -> Vec<Tensor> {
        let (graph, dtype) = (variable.graph(), variable.dtype());
        let rate = self.rate.of(graph, dtype, "Adam: the learning rate");
        let epsilon = self.epsilon.of(graph, dtype, "Adam: the epsilon");
        let [power1, power2] = self.powers(graph).map(|p| p.cast(dtype));
        let [m, v] = self.moments(variable);
        let rate = rate * (1.0 - power2).sqrt() / (1.0 - power1);
        let m = m.assign_add((gradient - m) * self.beta1.rest(graph, dtype, BETA));
        let v = v.assign_add((gradient.square() - v) * self.beta2.rest(graph, dtype, BETA));
        vec![variable.assign_sub(m * rate / (v.sqrt() + epsilon))]
    }

    #[track_caller]
    fn finish(&self, graph: &Graph) -> Vec<Tensor> {
        let powers = self.powers(graph).into_iter().zip([self.beta1, self.beta2]);
        powers.map(|(power, beta)| power.assign(power * beta.of(graph, power.dtype(), BETA))).collect()
    }
}
