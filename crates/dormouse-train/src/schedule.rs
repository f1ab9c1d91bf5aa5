//! Schedules: learning rates that follow the step counter.

use std::f32::consts::PI;

use dormouse_graph::{Elementwise, Graph, Symbol, Tensor};
use dormouse_value::DType;

use crate::scalar::Scalar;

/// How [`exponential_decay`], [`natural_exp_decay`] and [`inverse_time_decay`] decay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decay {
    /// Steps for one decay; at least 1.
    pub steps: u64,
    /// What the rate decays by.
    pub rate: f64,
    /// Whether it decays all at once after so many steps, or a little with each.
    pub staircase: bool,
}

/// How [`polynomial_decay`] decays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Polynomial {
    /// Steps to the end; at least 1.
    pub steps: u64,
    /// The rate at the end.
    pub end: f64,
    /// The power of what is left; 1 is a straight line.
    pub power: f64,
    /// Whether it starts again after the end, over more and more steps.
    pub cycle: bool,
}

impl Default for Polynomial {
    fn default() -> Self {
        Polynomial { steps: 1, end: 0.0001, power: 1.0, cycle: false }
    }
}

/// How [`cosine_decay`] decays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cosine {
    /// Steps to the end; at least 1.
    pub steps: u64,
    /// The part of the rate that is left at the end.
    pub alpha: f64,
}

/// rate · `decay.rate` ^ (step / `decay.steps`). TensorFlow's `train.exponential_decay`.
///
/// ```
/// use dormouse_graph::Graph;
/// use dormouse_train::{Decay, exponential_decay, global_step};
/// let graph = Graph::new();
/// let step = global_step(&graph);
/// let rate = exponential_decay(0.8, step, Decay { steps: 550, rate: 0.99, staircase: true });
/// assert!(graph.check().is_ok());
/// # let _ = rate;
/// ```
#[track_caller]
pub fn exponential_decay(rate: impl Into<Scalar>, step: impl Symbol, decay: Decay) -> Tensor {
    let scheduled = Scheduled { what: "exponential_decay", scope: "ExponentialDecay", steps: decay.steps };
    scheduled.build(rate.into(), step.tensor(), |rate, step, steps| {
        let base = Scalar::Number(decay.rate).of(rate.graph(), rate.dtype(), "");
        rate * base.pow(stairs(step / steps, decay.staircase))
    })
}

/// rate · e ^ (−`decay.rate` · step / `decay.steps`). TensorFlow's `train.natural_exp_decay`.
#[track_caller]
pub fn natural_exp_decay(rate: impl Into<Scalar>, step: impl Symbol, decay: Decay) -> Tensor {
    let scheduled = Scheduled { what: "natural_exp_decay", scope: "ExponentialDecay", steps: decay.steps };
    scheduled.build(rate.into(), step.tensor(), |rate, step, steps| {
        let base = Scalar::Number(f64::from((-decay.rate as f32).exp())).of(rate.graph(), rate.dtype(), "");
        rate * base.pow(stairs(step / steps, decay.staircase))
    })
}

/// rate / (1 + `decay.rate` · step / `decay.steps`). TensorFlow's `train.inverse_time_decay`.
#[track_caller]
pub fn inverse_time_decay(rate: impl Into<Scalar>, step: impl Symbol, decay: Decay) -> Tensor {
    let scheduled = Scheduled { what: "inverse_time_decay", scope: "InverseTimeDecay", steps: decay.steps };
    scheduled.build(rate.into(), step.tensor(), |rate, step, steps| {
        let by = Scalar::Number(decay.rate).of(rate.graph(), rate.dtype(), "");
        rate / (1.0 + by * stairs(step / steps, decay.staircase))
    })
}

/// (rate − end) · (1 − step / steps) ^ power + end, and the end from there on. TensorFlow's `train.polynomial_decay`.
#[track_caller]
pub fn polynomial_decay(rate: impl Into<Scalar>, step: impl Symbol, decay: Polynomial) -> Tensor {
    let Polynomial { steps, end, power, cycle } = decay;
    let scheduled = Scheduled { what: "polynomial_decay", scope: "PolynomialDecay", steps };
    scheduled.build(rate.into(), step.tensor(), |rate, step, steps| {
        let number = |x: f64| Scalar::Number(x).of(rate.graph(), rate.dtype(), "");
        let end = number(end);
        let done = if cycle {
            // The first multiple of the steps that is not below the step; one round at least.
            let rounds = step.equal(0.0).select(1.0, (step / steps).ceil());
            step / (steps * rounds)
        } else {
            step.minimum(steps) / steps
        };
        (rate - end) * (1.0 - done).pow(number(power)) + end
    })
}

/// rate · ((1 − alpha) · (1 + cos(π · step / steps)) / 2 + alpha), and the end from there on. TensorFlow's
/// `train.cosine_decay`.
#[track_caller]
pub fn cosine_decay(rate: impl Into<Scalar>, step: impl Symbol, decay: Cosine) -> Tensor {
    let Cosine { steps, alpha } = decay;
    let scheduled = Scheduled { what: "cosine_decay", scope: "CosineDecay", steps };
    scheduled.build(rate.into(), step.tensor(), |rate, step, steps| {
        let number = |x: f64| Scalar::Number(x).of(rate.graph(), rate.dtype(), "");
        let wave = 0.5 * (1.0 + (number(f64::from(PI)) * (step.minimum(steps) / steps)).cos());
        rate * (number(1.0 - alpha) * wave + number(alpha))
    })
}

/// `values[0]` up to and with step `boundaries[0]`, `values[1]` up to `boundaries[1]`, and so on; the last of the values,
/// which are one more, after the last boundary. TensorFlow's `train.piecewise_constant`.
#[track_caller]
pub fn piecewise_constant(step: impl Symbol, boundaries: &[i32], values: &[f64]) -> Tensor {
    let step = step.tensor();
    let graph = step.graph();
    graph.located(|| {
        if values.len() != boundaries.len() + 1 {
            let (n, m) = (boundaries.len(), values.len());
            return graph.mistake(format!("piecewise_constant: {n} boundaries need {} values, not {m}", n + 1));
        }
        if boundaries.windows(2).any(|pair| pair[0] >= pair[1]) {
            return graph.mistake(format!("piecewise_constant: the boundaries {boundaries:?} do not rise"));
        }
        graph.name_scope("PiecewiseConstant", || {
            let own = graph.current_scope();
            let mut pieces = values.iter().map(|x| graph.constant(*x as f32)).rev();
            let Some(last) = pieces.next() else { return graph.mistake("piecewise_constant: there are no values") };
            let rate = boundaries
                .iter()
                .rev()
                .zip(pieces)
                .fold(last, |later, (&boundary, piece)| step.less_equal(boundary).select(piece, later));
            rate.named(&own)
        })
    })
}

/// What schedules have in common.
struct Scheduled {
    what: &'static str,
    scope: &'static str,
    steps: u64,
}

impl Scheduled {
    /// A schedule of the rate, the step and the number of steps, in the rate's dtype.
    #[track_caller]
    fn build(self, rate: Scalar, step: Tensor, formula: impl FnOnce(Tensor, Tensor, Tensor) -> Tensor) -> Tensor {
        let graph: &Graph = step.graph();
        let Scheduled { what, scope, steps } = self;
        graph.located(|| {
            if steps == 0 {
                return graph.mistake(format!("{what}: the number of steps is 0; it must be positive"));
            }
            graph.name_scope(scope, || {
                let own = graph.current_scope();
                let rate = rate.tensor(graph, what);
                let rate = if rate.dtype().is_float() { rate } else { rate.cast(DType::F32) };
                let number = Scalar::Number(steps as f64).of(graph, rate.dtype(), what);
                formula(rate, step.cast(rate.dtype()), number).named(&own)
            })
        })
    }
}

/// How many decays there have been: whole ones only, on a staircase.
#[track_caller]
fn stairs(decays: Tensor, staircase: bool) -> Tensor {
    if staircase { decays.floor() } else { decays }
}
