//! Adagrad: steps over the root of the sum of squares so far.

use dormouse_graph::{Elementwise, Fill, IndexedSlices, Tensor, Variable};

use crate::optimizer::rows::Rows;
use crate::optimizer::{Optimizer, Slots};
use crate::scalar::Scalar;

/// Adagrad (Duchi, Hazan and Singer, 2011): a ← a + g², w ← w − rate · g / √a. TensorFlow's `train.AdagradOptimizer`.
#[derive(Debug)]
pub struct Adagrad {
    rate: Scalar,
    initial: f64,
    slots: Slots,
}

impl Adagrad {
    /// With this learning rate, and sums that start from 0.1.
    pub fn new(rate: impl Into<Scalar>) -> Self {
        Adagrad { rate: rate.into(), initial: 0.1, slots: Slots::default() }
    }

    /// With sums that start from another number, which must be positive.
    #[must_use]
    pub fn initial_accumulator(self, initial: f64) -> Self {
        Adagrad { initial, ..self }
    }

    #[track_caller]
    fn sum(&self, variable: Variable) -> Variable {
        let initial = Fill::new(self.initial).dtype(variable.dtype());
        self.slots.of(variable, "accumulator", || variable.slot(self.name(), initial))
    }
}

impl Optimizer for Adagrad {
    fn name(&self) -> &'static str {
        "Adagrad"
    }

    fn slots(&self) -> &Slots {
        &self.slots
    }

    #[track_caller]
    fn make_slots(&self, variable: Variable) {
        if self.initial.is_nan() || self.initial <= 0.0 {
            let told = format!("Adagrad: the initial accumulator is {}; it must be positive", self.initial);
            variable.graph().mistake(told);
        }
        self.sum(variable);
    }

    #[track_caller]
    fn update(&self, variable: Variable, gradient: Tensor) -> Vec<Tensor> {
        let rate = self.rate.of(variable.graph(), variable.dtype(), "Adagrad: the learning rate");
        let sum = self.sum(variable).assign_add(gradient.square());
        vec![variable.assign_sub(gradient * rate * sum.rsqrt())]
    }

    #[track_caller]
    fn update_rows(&self, variable: Variable, slices: IndexedSlices) -> Vec<Tensor> {
        let rate = self.rate.of(variable.graph(), variable.dtype(), "Adagrad: the learning rate");
        let (rows, slot) = (Rows::of(slices), self.sum(variable));
        let sum = rows.of_variable(slot) + rows.gradient.square();
        let new = rows.of_variable(variable) - rows.gradient * rate * sum.rsqrt();
        vec![rows.write(slot, sum), rows.write(variable, new)]
    }
}
