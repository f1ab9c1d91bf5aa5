//! Variables: making, sharing and initializing them.

use std::panic::Location;
use std::sync::Arc;

use dormouse_value::{Shape, Value};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::context::{self, Reuse};
use crate::graph::{DEAD, Draft, Graph, Naming};
use crate::initializer::Initializer;
use crate::node::{Fact, NodeId, NodeKind, Output, VariableId, VariableInfo, Write};
use crate::tensor::{Operation, Tensor, Variable};

/// What a variable may start from: a tensor, or anything that is a value.
pub trait Initial {
    /// The tensor, made under the name `initial_value` if it is a value.
    fn initial(self, graph: &Graph, at: &'static Location<'static>) -> Tensor;
}

impl Initial for Tensor {
    fn initial(self, _: &Graph, _: &'static Location<'static>) -> Tensor {
        self
    }
}

impl<V: Into<Value>> Initial for V {
    fn initial(self, graph: &Graph, at: &'static Location<'static>) -> Tensor {
        graph.constant_named(at, Naming::Scoped("initial_value"), self.into())
    }
}

impl Graph {
    /// A trainable variable that starts from `initial`, whose shape must be known.
    ///
    /// An initial value is built outside control dependencies. One that reads another variable waits for that one's
    /// initializer when both run.
    #[track_caller]
    pub fn variable(&self, initial: impl Initial) -> Variable {
        let at = Location::caller();
        let name = self.claim_name("Variable");
        self.without_control_dependencies(|| {
            let initial = self.within_own_names(&name, at, || initial.initial(self, at));
            self.make_variable(at, &name, initial, None)
        })
    }

    /// The variable `name` of the current scope: made, or found, as the scope's [`Reuse`] says.
    ///
    /// Finding takes any `shape` and dtype that the variable's own agree with; `shape![..]` agrees with all. Making needs
    /// every extent.
    #[track_caller]
    pub fn get_variable(&self, name: &str, shape: impl Into<Shape>, initializer: impl Initializer) -> Variable {
        let at = Location::caller();
        let shape = shape.into();
        let dtype = initializer.dtype();
        let (full, reuse) = context::with(self.id(), |c| (format!("{}{name}", c.variables()), c.reuse()));
        let found = self.with(|s| s.shared_variables.get(&full).copied()).flatten();
        match (found, reuse) {
            (Some(id), Reuse::Always | Reuse::Auto) => {
                let variable = self.variable_handle(id);
                let own = variable.before_run().fact();
                if own.shape.unify(&shape).is_none() {
                    self.mistake(format!("get_variable: {full} has shape {}, asked for {shape}", own.shape));
                }
                if own.dtype != dtype {
                    self.mistake(format!("get_variable: {full} holds {}, asked for {dtype}", own.dtype));
                }
                return variable;
            }
            (Some(_), Reuse::Inherit) => {
                self.mistake(format!(
                    "get_variable: {full} already exists; to share it, enter the scope with Reuse::Always or Reuse::Auto"
                ));
            }
            (None, Reuse::Always) => {
                self.mistake(format!(
                    "get_variable: {full} does not exist, and Reuse::Always only finds; use Reuse::Auto to make it"
                ));
            }
            (None, Reuse::Inherit | Reuse::Auto) => {}
        }
        let own = self.with(|s| s.names.unique(&full)).unwrap_or_else(|| full.clone());
        self.without_control_dependencies(|| {
            let initial = self.within_own_names(&format!("{own}/Initializer"), at, || match shape.to_dims() {
                Some(dims) => initializer.initial(self, &dims),
                None => self.mistake(format!("get_variable: {full} has shape {shape}; making it needs every extent")),
            });
            self.make_variable(at, &own, initial, Some(full))
        })
    }

    fn within_own_names<R>(&self, name: &str, at: &'static Location<'static>, f: impl FnOnce() -> R) -> R {
        let scope = context::Scope {
            names: format!("{name}/"),
            variables: context::with(self.id(), |c| c.variables().to_owned()),
            reuse: self.reuse(),
            at,
        };
        context::within(self.id(), |c| c.scopes.push(scope), |c| drop(c.scopes.pop()), f)
    }

    /// The variable's node, its initializer, and its entry.
    fn make_variable(
        &self,
        at: &'static Location<'static>,
        name: &str,
        initial: Tensor,
        shared: Option<String>,
    ) -> Variable {
        let mut initial = initial;
        if initial.graph().id() != self.id() {
            initial = self.mistake(format!("variable: the initial value, {}, is of another graph", initial.name()));
        }
        if initial.shape().to_dims().is_none() {
            let told = format!("variable: the initial value has shape {}; a variable's must be known", initial.shape());
            initial = initial.poisoned_or(told);
        }
        let initial = self.ordered_after_initializers(at, initial);
        let fact = initial.fact();
        let Some(id) = self.with(|s| {
            let id = VariableId(s.variables.len() as u32);
            s.variables.push(VariableInfo {
                node: DEAD,
                initial_value: initial.output(),
                initializer: DEAD,
                trainable: true,
            });
            id
        }) else {
            return self.variable_handle(VariableId(u32::MAX));
        };
        let draft =
            Draft { kind: NodeKind::Variable(id), operands: SmallVec::new(), facts: SmallVec::from_iter([fact]) };
        let node = self.push(at, Naming::Claimed(name), draft);
        self.with(|s| {
            s.variables[id.index()].node = node;
            if let Some(shared) = shared {
                s.shared_variables.insert(shared, id);
            }
        });
        let variable = self.variable_handle(id);
        let assign = self.with(|s| s.names.unique(&format!("{name}/Assign"))).unwrap_or_default();
        let write = variable.write_as(at, Naming::Claimed(&assign), "variable", Write::Set, initial);
        self.with(|s| s.variables[id.index()].initializer = write.output().node);
        variable
    }

    /// The same initial value with every variable in it read after that variable's initializer, so that one run may
    /// initialize both.
    fn ordered_after_initializers(&self, at: &'static Location<'static>, initial: Tensor) -> Tensor {
        let root = initial.output().node;
        if root == DEAD {
            return initial;
        }
        // The nodes between the variables and the initial value, in the arena's order, which is a topological one.
        let reached = self
            .with(|s| {
                let mut seen = FxHashMap::<NodeId, bool>::default();
                let mut stack = vec![root];
                let mut order = Vec::new();
                while let Some(id) = stack.pop() {
                    if seen.insert(id, false).is_none() {
                        order.push(id);
                        stack.extend(s.nodes[id.index()].operands.iter().map(|o| o.node));
                    }
                }
                order.sort_unstable();
                let mut between = Vec::new();
                for id in order {
                    let node = &s.nodes[id.index()];
                    let copied = match node.kind {
                        NodeKind::Variable(_) => true,
                        NodeKind::Op(_) | NodeKind::Dynamic(_) | NodeKind::Custom(_) | NodeKind::Choice => {
                            node.operands.iter().any(|o| seen[&o.node])
                        }
                        NodeKind::Placeholder
                        | NodeKind::PlaceholderWithDefault
                        | NodeKind::Constant(_)
                        | NodeKind::Read(_)
                        | NodeKind::Initialized(_)
                        | NodeKind::Assign { .. }
                        | NodeKind::Random { .. }
                        | NodeKind::Group
                        | NodeKind::Mistake => false,
                    };
                    if copied {
                        seen.insert(id, true);
                        between.push((id, Arc::clone(node)));
                    }
                }
                between
            })
            .unwrap_or_default();
        let mut copies = FxHashMap::<NodeId, NodeId>::default();
        for (id, node) in reached {
            let kind = if let NodeKind::Variable(variable) = node.kind {
                NodeKind::Initialized(variable)
            } else {
                node.kind.clone()
            };
            let operands = node
                .operands
                .iter()
                .map(|o| Output { node: copies.get(&o.node).copied().unwrap_or(o.node), port: o.port })
                .collect();
            let name = self.with(|s| s.names.unique(&node.name)).unwrap_or_default();
            let copy = self.push(at, Naming::Claimed(&name), Draft { kind, operands, facts: node.facts.clone() });
            copies.insert(id, copy);
        }
        match copies.get(&root) {
            Some(&node) => Tensor::new(self.handle(), Output { node, port: initial.output().port }),
            None => initial,
        }
    }

    /// All variables, in the order they were made.
    pub fn variables(&self) -> Vec<Variable> {
        let count = self.with(|s| s.variables.len()).unwrap_or(0);
        (0..count).map(|i| self.variable_handle(VariableId(i as u32))).collect()
    }

    /// The variables that optimizers change, in the order they were made.
    pub fn trainable_variables(&self) -> Vec<Variable> {
        let flags = self.with(|s| s.variables.iter().map(|v| v.trainable).collect::<Vec<_>>()).unwrap_or_default();
        let trainable = flags.iter().enumerate().filter(|(_, t)| **t);
        trainable.map(|(i, _)| self.variable_handle(VariableId(i as u32))).collect()
    }

    /// The variable called `name`: `"layer1/weights"`, with or without `:0`.
    pub fn variable_named(&self, name: &str) -> Option<Variable> {
        let name = name.strip_suffix(":0").unwrap_or(name);
        let node = self.operation(name)?.node();
        match self.node(node)?.kind {
            NodeKind::Variable(id) => Some(self.variable_handle(id)),
            NodeKind::Op(_)
            | NodeKind::Placeholder
            | NodeKind::PlaceholderWithDefault
            | NodeKind::Constant(_)
            | NodeKind::Read(_)
            | NodeKind::Initialized(_)
            | NodeKind::Assign { .. }
            | NodeKind::Random { .. }
            | NodeKind::Dynamic(_)
            | NodeKind::Choice
            | NodeKind::Custom(_)
            | NodeKind::Group
            | NodeKind::Mistake => None,
        }
    }

    /// An operation that initializes every variable that exists now.
    #[track_caller]
    pub fn initializer(&self) -> Operation {
        let initializers: Vec<Operation> = self.variables().iter().map(|v| v.initializer()).collect();
        self.without_control_dependencies(|| self.group(initializers).named("init"))
    }
}

impl Variable {
    /// A new variable that goes with this one, left alone by optimizers: `w/name`, or `w/name_1` where that exists. As
    /// [`Graph::get_variable`]'s, its name begins with the current scope's.
    #[track_caller]
    #[must_use]
    pub fn slot(self, name: &str, initializer: impl Initializer) -> Variable {
        let at = Location::caller();
        let graph = self.graph();
        let of = self.before_run().operation().name();
        let scope = context::with(graph.id(), |c| c.variables().to_owned());
        let wanted = format!("{scope}{of}/{name}");
        let own = graph.with(|s| s.names.unique(&wanted)).unwrap_or(wanted);
        let dims = self.shape().to_dims().unwrap_or_default();
        let slot = graph.without_control_dependencies(|| {
            let initial =
                graph.within_own_names(&format!("{own}/Initializer"), at, || initializer.initial(graph, &dims));
            graph.make_variable(at, &own, initial, Some(own.clone()))
        });
        slot.untrainable()
    }

    /// The value after the variable's initializer where a run includes that one, else the value from before the run:
    /// what another variable may safely start from.
    #[track_caller]
    pub fn initialized_value(self) -> Tensor {
        let at = Location::caller();
        let before = self.before_run();
        let name = format!("{}/initialized_value", before.operation().name());
        let own = self.graph().with(|s| s.names.unique(&name)).unwrap_or(name);
        let fact: Fact = before.fact();
        self.graph().push_tensor(at, Naming::Claimed(&own), NodeKind::Initialized(self.id()), &[], fact)
    }
}
