//! FTRL: the weights that would have been best for all gradients so far, most of them 0.

use dormouse_graph::{Elementwise, Fill, IndexedSlices, Tensor, Variable, Zeros};

use crate::optimizer::rows::Rows;
use crate::optimizer::{Optimizer, Slots};
use crate::scalar::Scalar;

/// Follow the regularized leader (H. B. `McMahan` et al., 2013). TensorFlow's `train.FtrlOptimizer`.
///
/// a′ ← a + g², z ← z + g + 2 shrinkage · w − (a′^−p − a^−p) / rate · w,
/// w ← (sign(z) l1 − z) / (a′^−p / rate + 2 (l2 + β / (2 rate))) where |z| > l1, and 0 elsewhere; p is the power, −½.
#[derive(Debug)]
pub struct Ftrl {
    rate: Scalar,
    power: f64,
    initial: f64,
    l1: Scalar,
    l2: Scalar,
    shrinkage: f64,
    beta: Scalar,
    slots: Slots,
}

impl Ftrl {
    /// With this learning rate, a power of −½, sums that start from 0.1, and nothing that draws weights to 0.
    pub fn new(rate: impl Into<Scalar>) -> Self {
        Ftrl {
            rate: rate.into(),
            power: -0.5,
            initial: 0.1,
            l1: Scalar::Number(0.0),
            l2: Scalar::Number(0.0),
            shrinkage: 0.0,
            beta: Scalar::Number(0.0),
            slots: Slots::default(),
        }
    }

    /// With another power of the sum of squares, 0 or less: 0 keeps the rate as it is.
    #[must_use]
    pub fn power(self, power: f64) -> Self {
        Ftrl { power, ..self }
    }

    /// With sums that start from another number, 0 or more.
    #[must_use]
    pub fn initial_accumulator(self, initial: f64) -> Self {
        Ftrl { initial, ..self }
    }

    /// With the strengths of Σ|w| and of Σw².
    #[must_use]
    pub fn regularization(self, l1: impl Into<Scalar>, l2: impl Into<Scalar>) -> Self {
        Ftrl { l1: l1.into(), l2: l2.into(), ..self }
    }

    /// With a strength of Σw² that acts where there is a gradient, `l2_shrinkage_regularization_strength` of TensorFlow.
    #[must_use]
    pub fn shrinkage(self, shrinkage: f64) -> Self {
        Ftrl { shrinkage, ..self }
    }

    /// With the β of the paper.
    #[must_use]
    pub fn beta(self, beta: impl Into<Scalar>) -> Self {
        Ftrl { beta: beta.into(), ..self }
    }

    /// The sum of squares, and z.
    #[track_caller]
    fn sums(&self, variable: Variable) -> [Variable; 2] {
        let initial = Fill::new(self.initial).dtype(variable.dtype());
        let accumulator = self.slots.of(variable, "accum", || variable.slot(self.name(), initial));
        [accumulator, self.slots.of(variable, "linear", || variable.slot(self.name(), Zeros(variable.dtype())))]
    }

    /// The new sums, and the new w.
    #[track_caller]
    fn step(&self, of: Variable, gradient: Tensor, [sum, linear]: [Tensor; 2], w: Tensor) -> ([Tensor; 2], Tensor) {
        let (graph, dtype) = (of.graph(), of.dtype());
        let rate = self.rate.of(graph, dtype, "Ftrl: the learning rate");
        let l1 = self.l1.of(graph, dtype, "Ftrl: l1");
        let l2 = self.l2.of(graph, dtype, "Ftrl: l2") + self.beta.of(graph, dtype, "Ftrl: the beta") / (2.0 * rate);
        let shape = |sum: Tensor| if self.power == -0.5 { sum.sqrt() } else { sum.pow(-self.power) };
        let total = sum + gradient.square();
        let shrunk = if self.shrinkage > 0.0 { gradient + 2.0 * self.shrinkage * w } else { gradient };
        let linear = linear + shrunk - (shape(total) - shape(sum)) / rate * w;
        let quadratic = shape(total) / rate + 2.0 * l2;
        let far = linear.abs().greater(l1);
        let new = far.select((linear.sign() * l1 - linear) / quadratic, w.zeros_like());
        ([total, linear], new)
    }
}

impl Optimizer for Ftrl {
    fn name(&self) -> &'static str {
        "Ftrl"
    }

    fn slots(&self) -> &Slots {
        &self.slots
    }

    #[track_caller]
    fn make_slots(&self, variable: Variable) {
        let wrong = |what: &str, number: f64, wanted: &str| {
            variable.graph().mistake(format!("Ftrl: {what} is {number}; it must be {wanted}"));
        };
        if self.initial.is_nan() || self.initial < 0.0 {
            wrong("the initial accumulator", self.initial, "0 or more");
        }
        if self.power.is_nan() || self.power > 0.0 {
            wrong("the power", self.power, "0 or less");
        }
        if self.shrinkage.is_nan() || self.shrinkage < 0.0 {
            wrong("the shrinkage", self.shrinkage, "0 or more");
        }
        self.sums(variable);
    }

    #[track_caller]
    fn update(&self, variable: Variable, gradient: Tensor) -> Vec<Tensor> {
        let sums = self.sums(variable);
        let (new, w) = self.step(variable, gradient, sums.map(Variable::value), variable.value());
        let mut writes: Vec<Tensor> = sums.into_iter().zip(new).map(|(sum, new)| sum.assign(new)).collect();
        writes.push(variable.assign(w));
        writes
    }

    #[track_caller]
    fn update_rows(&self, variable: Variable, slices: IndexedSlices) -> Vec<Tensor> {
        let (rows, sums) = (Rows::of(slices), self.sums(variable));
        let before = sums.map(|sum| rows.of_variable(sum));
        let (new, w) = self.step(variable, rows.gradient, before, rows.of_variable(variable));
        let mut writes: Vec<Tensor> = sums.into_iter().zip(new).map(|(sum, new)| rows.write(sum, new)).collect();
        writes.push(rows.write(variable, w));
        writes
    }
}
