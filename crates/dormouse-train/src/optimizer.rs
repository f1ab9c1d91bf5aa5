//! Optimizers: what they have in common, from a loss to one operation that updates every variable it depends on. Each
//! algorithm is a file of its own.

use std::sync::{Mutex, PoisonError};

use dormouse_gradient::Gradients;
use dormouse_graph::{Graph, GraphId, IndexedSlices, Operation, Tensor, Variable, VariableId, Zeros};
use dormouse_value::DType;
use rustc_hash::FxHashMap;

use crate::is_poisoned;

pub(crate) mod adadelta;
pub(crate) mod adagrad;
pub(crate) mod adam;
pub(crate) mod ftrl;
pub(crate) mod gradient_descent;
pub(crate) mod momentum;
pub(crate) mod rms_prop;
mod rows;

/// An algorithm that changes variables by their gradients.
///
/// An implementation says how one variable is updated; what users call is built on that. Used as a `dyn Optimizer`, its
/// mistakes name a line of this crate, unless a [`Graph::located`] surrounds the call.
pub trait Optimizer {
    /// The name of the operation that updates, and of the slots: `"Adam"`.
    fn name(&self) -> &str;

    /// The variables that the algorithm keeps, from call to call.
    fn slots(&self) -> &Slots;

    /// Makes the slots of a variable, before its update is built.
    #[track_caller]
    fn make_slots(&self, variable: Variable);

    /// Adds the nodes that change a variable by its gradient, and gives those that nothing else of them reads.
    #[track_caller]
    fn update(&self, variable: Variable, gradient: Tensor) -> Vec<Tensor>;

    /// As [`Optimizer::update`], where the gradient is of some rows only, an index as often as it was taken.
    ///
    /// Where the algorithm does not say otherwise, that is the update by all of the gradient, zeros and all.
    #[track_caller]
    fn update_rows(&self, variable: Variable, slices: IndexedSlices) -> Vec<Tensor> {
        self.update(variable, slices.dense())
    }

    /// Adds the nodes that change what is not any one variable's, once for all updates.
    #[track_caller]
    fn finish(&self, _graph: &Graph) -> Vec<Tensor> {
        Vec::new()
    }

    /// An operation that lowers `loss` by one step, changing the trainable variables that it depends on.
    ///
    /// Where it depends on none, that is a mistake.
    #[track_caller]
    fn minimize(&self, loss: Tensor) -> Operation {
        self.minimize_with(loss, Minimize::default())
    }

    /// As [`Optimizer::minimize`], with options.
    #[track_caller]
    fn minimize_with(&self, loss: Tensor, options: Minimize) -> Operation {
        let graph = loss.graph();
        graph.located(|| {
            let variables = options.variables.unwrap_or_else(|| graph.trainable_variables());
            let pairs = self.compute_gradients(loss, &variables);
            if pairs.iter().any(|(gradient, _)| gradient.is_some()) {
                return apply(self, graph, &pairs, options.global_step, options.name.as_deref());
            }
            if is_poisoned(loss) || !loss.dtype().is_float() {
                // Told already.
                return loss.operation();
            }
            let mistake = if variables.is_empty() {
                "minimize: there is no variable to change".to_owned()
            } else {
                let names: Vec<String> = variables.iter().take(3).map(|v| v.name()).collect();
                let more = if variables.len() > 3 { ", …" } else { "" };
                let name = loss.name();
                format!("minimize: the loss, {name}, depends on none of the variables: {}{more}", names.join(", "))
            };
            graph.mistake(mistake).operation()
        })
    }

    /// The gradient of `loss` with respect to each variable; none where it does not depend on one.
    #[track_caller]
    fn compute_gradients(&self, loss: Tensor, variables: &[Variable]) -> Vec<(Option<Tensor>, Variable)> {
        let graph = loss.graph();
        graph.located(|| {
            if !is_poisoned(loss) && !loss.dtype().is_float() {
                let (name, dtype) = (loss.name(), loss.dtype());
                graph.mistake(format!("minimize: the loss, {name}, is {dtype}; cast it to a float"));
            }
            for variable in variables.iter().filter(|v| v.graph().id() != graph.id()) {
                graph.mistake(format!("minimize: {} is of another graph than the loss", variable.name()));
            }
            Gradients::of(loss).or_none(variables).into_iter().zip(variables.iter().copied()).collect()
        })
    }

    /// An operation that changes each variable by its gradient, where there is one, and then counts the step.
    ///
    /// No gradient at all is a mistake. An empty slice belongs to no graph; the operation for it is of none either.
    #[track_caller]
    fn apply_gradients(&self, pairs: &[(Option<Tensor>, Variable)], global_step: Option<Variable>) -> Operation {
        match pairs.first().map(|(_, variable)| variable.graph()).or(global_step.map(Variable::graph)) {
            Some(graph) => graph.located(|| apply(self, graph, pairs, global_step, None)),
            None => Graph::new().no_op(),
        }
    }

    /// What the algorithm keeps for a variable, by TensorFlow's names: `"m"` and `"v"` of Adam, `"momentum"` of Momentum
    /// and `RMSProp`, `"rms"` and `"mg"` of `RMSProp`, `"accumulator"` of Adagrad, `"accum"` and `"accum_update"` of Adadelta,
    /// `"accum"` and `"linear"` of Ftrl.
    fn slot(&self, variable: Variable, name: &'static str) -> Option<Variable> {
        self.slots().find(variable.graph().id(), Some(variable), name)
    }
}

/// Which variables [`Optimizer::minimize_with`] changes, and what else its operation does.
#[derive(Clone, Debug, Default)]
pub struct Minimize {
    global_step: Option<Variable>,
    variables: Option<Vec<Variable>>,
    name: Option<String>,
}

impl Minimize {
    /// The defaults: all trainable variables, no step counter, the optimizer's name.
    pub fn new() -> Self {
        Minimize::default()
    }

    /// Adds 1 to this variable after the updates.
    #[must_use]
    pub fn global_step(self, step: Variable) -> Self {
        Minimize { global_step: Some(step), ..self }
    }

    /// Changes these variables only, trainable or not.
    #[must_use]
    pub fn variables(self, variables: &[Variable]) -> Self {
        Minimize { variables: Some(variables.to_vec()), ..self }
    }

    /// Gives the operation another name.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        Minimize { name: Some(name.to_owned()), ..self }
    }
}

/// The variable `global_step` of a graph, an i64 that optimizers count steps in and leave alone otherwise: the one that
/// there is, or a new one. One that is no integer scalar is a mistake, as in TensorFlow.
#[track_caller]
pub fn global_step(graph: &Graph) -> Variable {
    const COLLECTION: &str = "global_step";
    let there_is = graph.variable_collection(COLLECTION).first().copied();
    if let Some(step) = there_is.or_else(|| graph.variable_named(COLLECTION)) {
        let fact = step.before_run().fact();
        if !fact.dtype.is_integer() || fact.shape.rank() != Some(0) {
            graph.mistake(format!("global_step: {} is {}{}, no integer scalar", step.name(), fact.dtype, fact.shape));
        }
        return step;
    }
    let step = graph.get_variable(COLLECTION, (), Zeros(DType::I64)).untrainable();
    graph.collect(COLLECTION, step);
    step
}

/// The variables that an optimizer keeps, by graph, by the variable they belong to, and by name.
#[derive(Debug, Default)]
pub struct Slots(Mutex<FxHashMap<Key, Variable>>);

type Key = (GraphId, Option<VariableId>, &'static str);

impl Slots {
    pub(crate) fn find(&self, graph: GraphId, of: Option<Variable>, name: &'static str) -> Option<Variable> {
        let key = (graph, of.map(Variable::id), name);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied()
    }

    /// The slot `name` of a variable, made the first time.
    pub fn of(&self, variable: Variable, name: &'static str, make: impl FnOnce() -> Variable) -> Variable {
        self.found_or(variable.graph().id(), Some(variable), name, make)
    }

    /// The variable `name` that belongs to a graph and to no one variable, made the first time.
    pub fn of_graph(&self, graph: &Graph, name: &'static str, make: impl FnOnce() -> Variable) -> Variable {
        self.found_or(graph.id(), None, name, make)
    }

    fn found_or(
        &self,
        graph: GraphId,
        of: Option<Variable>,
        name: &'static str,
        make: impl FnOnce() -> Variable,
    ) -> Variable {
        self.find(graph, of, name).unwrap_or_else(|| {
            let made = make();
            let key = (graph, of.map(Variable::id), name);
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, made);
            made
        })
    }
}

/// The updates of all pairs that have a gradient, as one operation.
fn apply<O: Optimizer + ?Sized>(
    optimizer: &O,
    graph: &'static Graph,
    pairs: &[(Option<Tensor>, Variable)],
    global_step: Option<Variable>,
    name: Option<&str>,
) -> Operation {
    let pairs: Vec<(Tensor, Variable)> = pairs.iter().filter_map(|&(g, v)| g.map(|g| (g, v))).collect();
    if pairs.is_empty() {
        return graph.mistake("apply_gradients: no variable has a gradient").operation();
    }
    for &(gradient, variable) in &pairs {
        let (got, wanted) = (gradient.fact(), variable.before_run().fact());
        if variable.graph().id() != graph.id() || gradient.graph().id() != graph.id() {
            let (gradient, variable) = (gradient.name(), variable.name());
            return graph.mistake(format!("apply_gradients: {gradient} and {variable} are of two graphs")).operation();
        }
        if is_poisoned(gradient) {
            return gradient.operation();
        }
        if got.dtype != wanted.dtype || got.shape.unify(&wanted.shape).is_none() {
            let told = format!(
                "apply_gradients: {} is {}{}, its gradient {} is {}{}",
                variable.name(),
                wanted.dtype,
                wanted.shape,
                gradient.name(),
                got.dtype,
                got.shape
            );
            return graph.mistake(told).operation();
        }
    }
    graph.without_control_dependencies(|| pairs.iter().for_each(|&(_, variable)| optimizer.make_slots(variable)));
    let done = graph.name_scope(name.unwrap_or(optimizer.name()), || {
        let own = graph.current_scope();
        let mut writes: Vec<Tensor> = pairs
            .iter()
            .flat_map(|&(gradient, variable)| {
                let name = variable.before_run().operation().name();
                graph.name_scope(&format!("update_{name}"), || match IndexedSlices::of(gradient) {
                    Some(slices) => optimizer.update_rows(variable, slices),
                    None => optimizer.update(variable, gradient),
                })
            })
            .collect();
        writes.extend(optimizer.finish(graph));
        match global_step {
            None => graph.group(writes).named(&own),
            Some(step) => {
                let updated = graph.group(writes).named("update");
                graph.control_dependencies(updated, || step.assign_add(1).operation().named(&own))
            }
        }
    });
    graph.collect("train_op", done);
    done
}
