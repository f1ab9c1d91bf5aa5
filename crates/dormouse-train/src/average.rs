//! Moving averages: shadows that follow variables, for evaluation.

use std::collections::BTreeMap;

use dormouse_graph::{Elementwise, Graph, Initializer, Operation, Symbol, Tensor, Variable, VariableId};
use dormouse_value::DType;
use rustc_hash::FxHashSet;

use crate::optimizer::Slots;
use crate::scalar::Scalar;

const NAME: &str = "ExponentialMovingAverage";
const COLLECTION: &str = "moving_average_variables";

/// Shadow variables, each of which follows another: shadow ← shadow − (shadow − w)(1 − decay). TensorFlow's
/// `train.ExponentialMovingAverage`.
///
/// ```
/// use dormouse_graph::Graph;
/// use dormouse_train::ExponentialMovingAverage;
/// let graph = Graph::new();
/// let w = graph.variable(0.0_f32).named("w");
/// let average = ExponentialMovingAverage::new(0.99);
/// let maintain = average.apply(&[w]);
/// assert_eq!(average.average(w).name(), "w/ExponentialMovingAverage:0");
/// assert_eq!(maintain.name(), "ExponentialMovingAverage");
/// ```
#[derive(Debug)]
pub struct ExponentialMovingAverage {
    decay: Scalar,
    updates: Option<Tensor>,
    slots: Slots,
}

impl ExponentialMovingAverage {
    /// With this decay: near 1, as 0.99 or 0.9999.
    pub fn new(decay: impl Into<Scalar>) -> Self {
        ExponentialMovingAverage { decay: decay.into(), updates: None, slots: Slots::default() }
    }

    /// With a decay of min(decay, (1 + n) / (10 + n)) after n updates, which moves faster at the start.
    #[must_use]
    #[track_caller]
    pub fn with_num_updates(self, updates: impl Symbol) -> Self {
        ExponentialMovingAverage { updates: Some(updates.tensor()), ..self }
    }

    /// An operation that moves the shadows of these variables, of floats. The first call for a variable makes its
    /// shadow, which starts from the variable's initialized value.
    ///
    /// An empty slice belongs to no graph; the operation for it is of none either.
    #[track_caller]
    pub fn apply(&self, variables: &[Variable]) -> Operation {
        let Some(graph) = variables.first().map(|v| v.graph()) else { return Graph::new().no_op() };
        graph.located(|| {
            let mut pairs = Vec::with_capacity(variables.len());
            for &variable in variables {
                if variable.graph().id() != graph.id() {
                    graph.mistake(format!("{NAME}: {} is of another graph", variable.name()));
                } else if !variable.dtype().is_float() {
                    let (name, dtype) = (variable.name(), variable.dtype());
                    graph.mistake(format!("{NAME}: {name} is {dtype}; averages follow f32 and f64"));
                } else {
                    pairs.push((variable, self.shadow(variable)));
                }
            }
            graph.name_scope(NAME, || {
                let own = graph.current_scope();
                let decay = self.decay.of(graph, DType::F32, "ExponentialMovingAverage: the decay");
                let decay = self.updates.map_or(decay, |updates| {
                    let updates = updates.cast(DType::F32);
                    decay.minimum((1.0 + updates) / (10.0 + updates))
                });
                let writes: Vec<Tensor> = pairs
                    .iter()
                    .map(|&(variable, shadow)| {
                        graph.name_scope("AssignMovingAvg", || {
                            let rest = (1.0 - decay).cast(variable.dtype());
                            shadow.assign_sub((shadow - variable) * rest)
                        })
                    })
                    .collect();
                graph.group(writes).named(&own)
            })
        })
    }

    #[track_caller]
    fn shadow(&self, variable: Variable) -> Variable {
        self.slots.of(variable, NAME, || {
            variable.graph().collect(COLLECTION, variable);
            variable.slot(NAME, InitializedAs(variable))
        })
    }

    /// The shadow of a variable. One that is not followed is a mistake.
    #[track_caller]
    pub fn average(&self, variable: Variable) -> Variable {
        let Some(shadow) = self.average_or_none(variable) else {
            let told = format!("average: {} has no moving average; apply() makes them", variable.name());
            variable.graph().mistake(told);
            return variable;
        };
        shadow
    }

    /// The shadow of a variable, if it is followed.
    pub fn average_or_none(&self, variable: Variable) -> Option<Variable> {
        self.slots.find(variable.graph().id(), Some(variable), NAME)
    }

    /// The name that the shadow of a variable has in a checkpoint, or would have: `"w/ExponentialMovingAverage"`.
    pub fn average_name(&self, variable: Variable) -> String {
        match self.average_or_none(variable) {
            Some(shadow) => unported(shadow),
            None => format!("{}/{NAME}", unported(variable)),
        }
    }

    /// Which variable to restore from which name of a checkpoint, so that the averages stand in for what they follow: the
    /// trainable variables and those that an average follows by their shadows' names, all others by their own.
    pub fn variables_to_restore(&self, graph: &Graph) -> BTreeMap<String, Variable> {
        let mut averaged = graph.trainable_variables();
        averaged.extend(graph.variable_collection(COLLECTION));
        let mut names: BTreeMap<String, Variable> = averaged.iter().map(|&v| (self.average_name(v), v)).collect();
        let averaged: FxHashSet<VariableId> = averaged.into_iter().map(Variable::id).collect();
        for variable in graph.variables().into_iter().filter(|v| !averaged.contains(&v.id())) {
            names.entry(unported(variable)).or_insert(variable);
        }
        names
    }
}

/// A variable's name without its port.
fn unported(variable: Variable) -> String {
    variable.before_run().operation().name()
}

/// What a shadow starts from.
struct InitializedAs(Variable);

impl Initializer for InitializedAs {
    fn dtype(&self) -> DType {
        self.0.dtype()
    }

    #[track_caller]
    fn initial(&self, _: &Graph, _: &[usize]) -> Tensor {
        self.0.initialized_value()
    }
}
