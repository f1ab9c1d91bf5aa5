//! The arena: an append-only list of nodes behind one mutex, which is never held while user code runs.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use dormouse_value::{DType, Op, Shape, Value};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use crate::context::{self, Reuse, Scope};
use crate::frozen::Frozen;
use crate::infer::infer;
use crate::mistake::{Mistake, Mistakes};
use crate::names::{self, Names};
use crate::node::{
    BranchId, BranchInfo, Fact, GraphId, Node, NodeId, NodeKind, Output, Source, VariableId, VariableInfo,
};
use crate::tensor::{Member, Operation, Targets, Tensor, Variable};

/// The node of a handle into a graph that had been dropped.
pub(crate) const DEAD: NodeId = NodeId(u32::MAX);

/// A computation, described: nodes that nothing has run.
///
/// Made by [`Graph::new`], which returns an owner; functions take `&Graph`. Building never fails at the call: what is
/// wrong is recorded with its line, and [`Graph::check`], saving and every session report it.
pub struct Graph {
    id: GraphId,
    this: OnceLock<&'static Graph>,
    state: Mutex<Option<Box<State>>>,
}

/// What [`Graph::new`] returns: it derefs to [`Graph`] and frees the contents when dropped. Tensors, being plain
/// handles, may outlive it; using one then is an error that the run reports.
pub struct OwnedGraph(&'static Graph);

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) nodes: Vec<Arc<Node>>,
    poisoned: Vec<bool>,
    named: Vec<bool>,
    pub(crate) names: Names,
    index: FxHashMap<Arc<str>, NodeId>,
    indexed: usize,
    frozen: usize,
    files: FxHashMap<(usize, usize), Arc<str>>,
    pub(crate) variables: Vec<VariableInfo>,
    pub(crate) shared_variables: BTreeMap<String, VariableId>,
    pub(crate) collections: BTreeMap<String, Vec<Member>>,
    pub(crate) branches: Vec<BranchInfo>,
    mistakes: Vec<Mistake>,
    pub(crate) seed: Option<i64>,
    pub(crate) unseeded: i64,
}

/// A node about to be pushed.
pub(crate) struct Draft {
    pub(crate) kind: NodeKind,
    pub(crate) operands: SmallVec<[Output; 3]>,
    pub(crate) facts: SmallVec<[Fact; 1]>,
}

/// How a draft gets its name.
#[derive(Clone, Copy)]
pub(crate) enum Naming<'a> {
    /// In the current scope, made unique.
    Scoped(&'a str),
    /// As it is; claimed before.
    Claimed(&'a str),
}

impl Graph {
    /// An empty graph.
    #[allow(clippy::new_ret_no_self, reason = "the owner derefs to the graph; handles point at the graph itself")]
    pub fn new() -> OwnedGraph {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Keeps the shells reachable, so that leak checkers know them for what they are.
        static SHELLS: Mutex<Vec<&'static Graph>> = Mutex::new(Vec::new());
        let graph: &'static Graph = Box::leak(Box::new(Graph {
            id: GraphId(NEXT.fetch_add(1, Ordering::Relaxed)),
            this: OnceLock::new(),
            state: Mutex::new(Some(Box::default())),
        }));
        graph.this.get_or_init(|| graph);
        SHELLS.lock().unwrap_or_else(PoisonError::into_inner).push(graph);
        OwnedGraph(graph)
    }

    /// The graph's number in this process.
    pub fn id(&self) -> GraphId {
        self.id
    }

    pub(crate) fn handle(&self) -> &'static Graph {
        self.this.get().expect("set in new, before anyone sees the graph")
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<State>>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads or changes the contents; `None` when the graph has been dropped.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> Option<R> {
        self.lock().as_deref_mut().map(f)
    }

    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.with(|s| s.nodes.len()).unwrap_or(0)
    }

    /// Whether nothing has been built.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    // ------------------------------------------------------------------------------------------------ nodes

    /// Appends a node as this thread's context has it.
    pub(crate) fn push(&self, at: &'static Location<'static>, naming: Naming<'_>, draft: Draft) -> NodeId {
        self.try_push(at, naming, draft, None)
    }

    pub(crate) fn try_push(
        &self,
        caller: &'static Location<'static>,
        naming: Naming<'_>,
        draft: Draft,
        mistake: Option<String>,
    ) -> NodeId {
        let (at, scope, wanted, control, gradient_of, branch) = context::with(self.id, |c| {
            let control: SmallVec<[NodeId; 2]> = c.control().iter().copied().collect();
            let scope = if mistake.is_some() { c.names().to_owned() } else { String::new() };
            let wanted = match naming {
                Naming::Scoped(name) => [c.names(), name].concat(),
                Naming::Claimed(_) => String::new(),
            };
            (c.charge(caller), scope, wanted, control, c.gradient_of.last().copied(), c.branch())
        });
        self.with(|s| {
            let name: Arc<str> = match naming {
                Naming::Scoped(_) => match s.names.number(&wanted) {
                    None => wanted.into(),
                    Some(number) => format!("{wanted}_{number}").into(),
                },
                Naming::Claimed(name) => name.into(),
            };
            let source = s.source(at);
            let dead = draft.operands.iter().any(|o| o.node == DEAD);
            let poisoned = dead || draft.operands.iter().any(|o| s.poisoned[o.node.index()]);
            // A poisoned operand's mistake is told already; what follows from it is not another.
            let wrong = mistake.filter(|_| !poisoned);
            let poisoned = poisoned || wrong.is_some();
            if let Some(message) = wrong {
                s.mistakes.push(Mistake { message, source: source.clone(), scope });
            }
            let (kind, operands) =
                if poisoned { (NodeKind::Mistake, SmallVec::new()) } else { (draft.kind, draft.operands) };
            let node = Node { kind, name, operands, control, facts: draft.facts, source, gradient_of, branch };
            s.append(node, poisoned)
        })
        .unwrap_or(DEAD)
    }

    /// A node that gives one tensor.
    pub(crate) fn push_tensor(
        &self,
        at: &'static Location<'static>,
        naming: Naming<'_>,
        kind: NodeKind,
        operands: &[Tensor],
        fact: Fact,
    ) -> Tensor {
        let operands = operands.iter().map(|t| t.output()).collect();
        let node = self.push(at, naming, Draft { kind, operands, facts: SmallVec::from_iter([fact]) });
        Tensor::new(self.handle(), Output { node, port: 0 })
    }

    /// Appends an operation under a name; what its inference refuses is recorded as a mistake.
    pub(crate) fn push_op(
        &self,
        at: &'static Location<'static>,
        naming: Naming<'_>,
        op: Op,
        operands: &[Tensor],
    ) -> NodeId {
        let outputs = op.outputs();
        let unknown = || std::iter::repeat_n(Fact::new(DType::F32, Shape::unknown()), outputs).collect();
        if let Some(stranger) = operands.iter().find(|t| t.graph().id != self.id) {
            let message = format!("{}: an operand, {}, is of another graph", names::called(&op), stranger.name());
            return self.try_push(
                at,
                naming,
                Draft { kind: NodeKind::Mistake, operands: SmallVec::new(), facts: unknown() },
                Some(message),
            );
        }
        let fact = |s: &State, t: &Tensor| s.fact(t.output()).cloned().unwrap_or_else(Fact::unknown);
        let facts: Option<SmallVec<[Fact; 4]>> = self.with(|s| operands.iter().map(|t| fact(s, t)).collect());
        let facts = facts.unwrap_or_else(|| operands.iter().map(|_| Fact::unknown()).collect());
        let (facts, mistake) = match infer(&op, &facts) {
            Ok(facts) => (facts, None),
            Err(message) => (unknown(), Some(message)),
        };
        let operands = operands.iter().map(|t| t.output()).collect();
        self.try_push(at, naming, Draft { kind: NodeKind::Op(op), operands, facts }, mistake)
    }

    /// One operation of these operands, with its usual name: what the methods of tensors call.
    ///
    /// Gives the first of the operation's tensors; [`Tensor::port`] gives the others.
    #[track_caller]
    pub fn apply(&self, op: Op, operands: &[Tensor]) -> Tensor {
        let name = names::of_op(&op);
        self.apply_named(name, op, operands)
    }

    /// As [`Graph::apply`], under another name.
    #[track_caller]
    pub fn apply_named(&self, name: &str, op: Op, operands: &[Tensor]) -> Tensor {
        let node = self.push_op(Location::caller(), Naming::Scoped(name), op, operands);
        Tensor::new(self.handle(), Output { node, port: 0 })
    }

    /// Records a mistake at the caller's line and gives a tensor that poisons what is built on it.
    ///
    /// For layers and other builders outside this crate: `message` is one line, lower case, without a full stop, and
    /// names what was being built.
    #[track_caller]
    pub fn mistake(&self, message: impl Into<String>) -> Tensor {
        let facts = SmallVec::from_iter([Fact::new(DType::F32, Shape::unknown())]);
        let draft = Draft { kind: NodeKind::Mistake, operands: SmallVec::new(), facts };
        let node = self.try_push(Location::caller(), Naming::Scoped("Mistake"), draft, Some(message.into()));
        Tensor::new(self.handle(), Output { node, port: 0 })
    }

    // ------------------------------------------------------------------------------------------------ sources

    /// A tensor that is `value` in every run.
    #[track_caller]
    pub fn constant(&self, value: impl Into<Value>) -> Tensor {
        self.constant_named(Location::caller(), Naming::Scoped("Const"), value.into())
    }

    pub(crate) fn constant_named(&self, at: &'static Location<'static>, naming: Naming<'_>, value: Value) -> Tensor {
        let fact = Fact::new(value.dtype(), value.shape());
        self.push_tensor(at, naming, NodeKind::Constant(value), &[], fact)
    }

    /// A tensor that runs feed. The dtype is required; of the shape, whatever is known: `shape![?, 784]`, `shape![..]`.
    #[track_caller]
    pub fn placeholder(&self, dtype: DType, shape: impl Into<Shape>) -> Tensor {
        let fact = Fact::new(dtype, shape);
        self.push_tensor(Location::caller(), Naming::Scoped("Placeholder"), NodeKind::Placeholder, &[], fact)
    }

    /// A tensor that runs may feed; where they do not, it is `default`. The shape must be one that `default` has.
    #[track_caller]
    pub fn placeholder_with_default(&self, default: impl Into<Value>, shape: impl Into<Shape>) -> Tensor {
        let at = Location::caller();
        let (value, shape) = (default.into(), shape.into());
        if !shape.accepts(value.shape()) {
            return self.mistake(format!(
                "placeholder_with_default: the default has shape {:?}, which {shape} does not accept",
                value.shape()
            ));
        }
        let scope = self.claim_name("PlaceholderWithDefault");
        let fact = Fact::new(value.dtype(), shape);
        let value = self.constant_named(at, Naming::Scoped(&format!("{}/input", unscoped(&scope))), value);
        self.push_tensor(at, Naming::Claimed(&scope), NodeKind::PlaceholderWithDefault, &[value], fact)
    }

    /// An operation that does nothing itself; under control dependencies, it stands for them.
    #[track_caller]
    pub fn no_op(&self) -> Operation {
        self.group_named(Location::caller(), "NoOp", SmallVec::new())
    }

    /// An operation that has run when all of these have.
    #[track_caller]
    pub fn group(&self, targets: impl Targets) -> Operation {
        let at = Location::caller();
        let mut nodes = SmallVec::new();
        self.collect_nodes("group", &targets, &mut nodes);
        self.group_named(at, "group_deps", nodes)
    }

    fn group_named(&self, at: &'static Location<'static>, name: &str, nodes: SmallVec<[NodeId; 2]>) -> Operation {
        let draft = Draft { kind: NodeKind::Group, operands: SmallVec::new(), facts: SmallVec::new() };
        let node = self.control_dependencies_on(nodes, || self.push(at, Naming::Scoped(name), draft));
        Operation::new(self.handle(), node)
    }

    /// The nodes of targets; those of another graph, or poisoned ones, are a mistake or are told already.
    #[track_caller]
    fn collect_nodes(&self, what: &str, targets: &impl Targets, into: &mut SmallVec<[NodeId; 2]>) {
        const FEW: usize = 32;
        let mut strangers = false;
        // Those that are there, once they are many.
        let mut there = FxHashSet::default();
        targets.each(&mut |graph, node| {
            if graph.id != self.id {
                strangers = true;
                return;
            }
            if into.len() == FEW && there.is_empty() {
                there.extend(into.iter().copied());
            }
            let new = if into.len() < FEW { !into.contains(&node) } else { there.insert(node) };
            if new && node != DEAD {
                into.push(node);
            }
        });
        if strangers {
            self.mistake(format!("{what}: a target is of another graph"));
        }
    }

    // ------------------------------------------------------------------------------------------------ contexts

    /// Nodes made inside have `name/` before their names, and so have the variables of [`Graph::get_variable`]:
    /// TensorFlow's `variable_scope`. Entered again, it names nodes `name_1/…` and finds the same variables.
    #[track_caller]
    pub fn scope<R>(&self, name: &str, f: impl FnOnce() -> R) -> R {
        self.variable_scope(name, Reuse::Inherit, f)
    }

    /// As [`Graph::scope`], saying whether variables are made or found inside.
    #[track_caller]
    pub fn variable_scope<R>(&self, name: &str, reuse: Reuse, f: impl FnOnce() -> R) -> R {
        let at = Location::caller();
        self.check_scope_name("scope", name);
        let (outer_names, outer_variables, inherited) =
            context::with(self.id, |c| (c.names().to_owned(), c.variables().to_owned(), c.reuse()));
        let reuse = if reuse == Reuse::Inherit { inherited } else { reuse };
        let (names, variables) = if name.is_empty() {
            (outer_names, outer_variables)
        } else {
            (self.claim_name(name) + "/", format!("{outer_variables}{name}/"))
        };
        self.within_scope(Scope { names, variables, reuse, at }, f)
    }

    /// As [`Graph::scope`], under the first of `name`, `name_1`, `name_2` … that is free here: how a layer that nobody
    /// named finds a scope of its own. TensorFlow's `variable_scope` with a default name.
    #[track_caller]
    pub fn default_scope<R>(&self, name: &str, f: impl FnOnce() -> R) -> R {
        let at = Location::caller();
        self.check_scope_name("default_scope", name);
        let (outer, reuse) = context::with(self.id, |c| (c.variables().to_owned(), c.reuse()));
        let own = self.claim_name(name);
        // Counted within this opening of the enclosing scope, so that a model built twice shares its layers' variables.
        let variables = format!("{outer}{}/", unscoped(&own));
        self.within_scope(Scope { names: own + "/", variables, reuse, at }, f)
    }

    /// Nodes made inside have `name/` before their names; variables of [`Graph::get_variable`] have not.
    #[track_caller]
    pub fn name_scope<R>(&self, name: &str, f: impl FnOnce() -> R) -> R {
        let at = Location::caller();
        self.check_scope_name("name_scope", name);
        let names = self.claim_name(name) + "/";
        self.within_names(names, at, f)
    }

    fn within_names<R>(&self, names: String, at: &'static Location<'static>, f: impl FnOnce() -> R) -> R {
        let (variables, reuse) = context::with(self.id, |c| (c.variables().to_owned(), c.reuse()));
        self.within_scope(Scope { names, variables, reuse, at }, f)
    }

    fn within_scope<R>(&self, scope: Scope, f: impl FnOnce() -> R) -> R {
        context::within(self.id, |c| c.scopes.push(scope), |c| drop(c.scopes.pop()), f)
    }

    #[track_caller]
    fn check_scope_name(&self, what: &str, name: &str) {
        if !name.is_empty() && !names::is_valid(name) {
            self.mistake(format!(
                "{what}: {name:?} is not a name; use letters, digits and _ . - / > with a letter, digit, . or _ first"
            ));
        }
    }

    /// Runs `f`, whose nodes are named `name/…` and whose last one is named `name` itself: how TensorFlow names what
    /// one call builds of several nodes. `f` gets the name to give [`Tensor`]s it pushes last.
    pub(crate) fn composite(
        &self,
        at: &'static Location<'static>,
        name: &str,
        f: impl FnOnce(Naming<'_>) -> Tensor,
    ) -> Tensor {
        let full = self.claim_name(name);
        let located = || self.located_at(at, || f(Naming::Claimed(&full)));
        self.within_names(format!("{full}/"), at, located)
    }

    /// Takes a unique name in the current scope, for what is pushed later.
    pub(crate) fn claim_name(&self, name: &str) -> String {
        let wanted = context::with(self.id, |c| [c.names(), name].concat());
        self.with(|s| s.names.unique(&wanted)).unwrap_or(wanted)
    }

    /// Whether `get_variable` here makes or finds variables.
    pub fn reuse(&self) -> Reuse {
        context::with(self.id, |c| c.reuse())
    }

    /// The name scope of this thread, with the last slash; empty outside every scope.
    pub fn current_scope(&self) -> String {
        context::with(self.id, |c| c.names().to_owned())
    }

    /// Nodes made inside run after all of these.
    #[track_caller]
    pub fn control_dependencies<R>(&self, targets: impl Targets, f: impl FnOnce() -> R) -> R {
        let mut nodes = SmallVec::new();
        self.collect_nodes("control_dependencies", &targets, &mut nodes);
        self.control_dependencies_on(nodes, f)
    }

    fn control_dependencies_on<R>(&self, mut nodes: SmallVec<[NodeId; 2]>, f: impl FnOnce() -> R) -> R {
        let push = |c: &mut context::Context| {
            let outer: SmallVec<[NodeId; 2]> = c.control().iter().copied().filter(|n| !nodes.contains(n)).collect();
            nodes.extend(outer);
            c.control.push(nodes);
        };
        context::within(self.id, push, |c| drop(c.control.pop()), f)
    }

    /// Runs `f` outside all control dependencies, as initial values are built.
    pub fn without_control_dependencies<R>(&self, f: impl FnOnce() -> R) -> R {
        context::within(self.id, |c| c.control.push(SmallVec::new()), |c| drop(c.control.pop()), f)
    }

    /// Nodes and mistakes made inside are charged to the caller's line. Layers, losses and optimizers wrap their
    /// bodies in it, so that errors name the user's line and not theirs.
    #[track_caller]
    pub fn located<R>(&self, f: impl FnOnce() -> R) -> R {
        self.located_at(Location::caller(), f)
    }

    fn located_at<R>(&self, at: &'static Location<'static>, f: impl FnOnce() -> R) -> R {
        context::within(self.id, |c| c.origins.push(c.charge(at)), |c| c.origins.truncate(c.origins.len() - 1), f)
    }

    /// Nodes made inside are noted as part of the gradient of `node`, and charged to its line.
    pub fn gradient_of<R>(&self, node: NodeId, f: impl FnOnce() -> R) -> R {
        context::within(self.id, |c| c.gradient_of.push(node), |c| c.gradient_of.truncate(c.gradient_of.len() - 1), f)
    }

    /// A branch for what the predicate being `side` chooses.
    pub(crate) fn new_branch(&self, predicate: Output, side: bool) -> Option<BranchId> {
        let parent = context::with(self.id, |c| c.branch());
        self.with(|s| {
            s.branches.push(BranchInfo { predicate, side, parent });
            BranchId((s.branches.len() - 1) as u32)
        })
    }

    /// A branch of this graph.
    pub fn branch(&self, id: BranchId) -> Option<BranchInfo> {
        self.with(|s| s.branches.get(id.index()).copied()).flatten()
    }

    /// Nodes made inside belong to a branch, or to none: for what is added to a graph later, as gradients are.
    pub fn within_branch<R>(&self, branch: Option<BranchId>, f: impl FnOnce() -> R) -> R {
        context::within(self.id, |c| c.branches.push(branch), |c| c.branches.truncate(c.branches.len() - 1), f)
    }

    // ------------------------------------------------------------------------------------------------ look-up

    /// The nodes of this graph that are older than one, shared.
    pub fn nodes_before(&self, end: NodeId) -> Vec<Arc<Node>> {
        self.with(|s| s.nodes.iter().take(end.index()).cloned().collect()).unwrap_or_default()
    }

    /// What is known of a tensor; `None` where there is none, or the graph has been dropped.
    pub(crate) fn look<R>(&self, output: Output, f: impl FnOnce(&Fact) -> R) -> Option<R> {
        self.with(|s| s.fact(output).map(f)).flatten()
    }

    /// A node, shared. `None` when there is none of this number, or the graph has been dropped.
    pub fn node(&self, id: NodeId) -> Option<Arc<Node>> {
        self.with(|s| s.nodes.get(id.index()).cloned()).flatten()
    }

    /// The handle of an output of a node of this graph, as [`Node::operands`] holds them.
    pub fn output(&self, output: Output) -> Tensor {
        Tensor::new(self.handle(), output)
    }

    /// The tensor called `name`: `"layer1/MatMul"` or `"split:1"`.
    pub fn tensor(&self, name: &str) -> Option<Tensor> {
        let (node, port) = parse_output_name(name)?;
        let output = Output { node: self.find(node)?, port };
        let ports = self.node(output.node)?.facts.len();
        ((port as usize) < ports).then(|| Tensor::new(self.handle(), output))
    }

    /// The operation called `name`.
    pub fn operation(&self, name: &str) -> Option<Operation> {
        self.find(name).map(|node| Operation::new(self.handle(), node))
    }

    fn find(&self, name: &str) -> Option<NodeId> {
        self.with(|s| {
            for i in s.indexed..s.nodes.len() {
                s.index.insert(s.nodes[i].name.clone(), NodeId(i as u32));
            }
            s.indexed = s.nodes.len();
            s.index.get(name).copied()
        })
        .flatten()
    }

    /// Renames the newest node, if nobody has named it and no session has frozen it.
    pub(crate) fn rename_newest(&self, node: NodeId, name: &str) -> bool {
        let scope = context::with(self.id, |c| c.names().to_owned());
        let whole = name.strip_suffix('/');
        // A scope has claimed its own name, and keeps it for one node.
        let own = whole.filter(|whole| scope == name && self.find(whole).is_none());
        let wanted = whole.map_or_else(|| format!("{scope}{name}"), str::to_owned);
        self.with(|s| {
            node.index() + 1 == s.nodes.len()
                && s.rename(node, |names| own.map_or_else(|| names.unique(&wanted), str::to_owned))
        })
        .unwrap_or(false)
    }

    /// Renames the nodes of a variable that are still the newest of the graph.
    pub(crate) fn rename_variable(&self, variable: VariableId, name: &str) -> bool {
        let scope = context::with(self.id, |c| c.names().to_owned());
        self.with(|s| {
            let info = s.variables[variable.index()].clone();
            if info.initializer.index() + 1 != s.nodes.len() || info.node.index() < s.frozen {
                return false;
            }
            let old = s.nodes[info.node.index()].name.clone();
            let wanted = format!("{scope}{name}");
            if !s.rename(info.node, |names| names.unique(&wanted)) {
                return false;
            }
            let new = s.nodes[info.node.index()].name.clone();
            for node in [info.initial_value.node, info.initializer] {
                let own = s.nodes[node.index()].name.clone();
                if let Some(rest) = own.strip_prefix(&*old).filter(|rest| rest.starts_with('/')) {
                    s.rename(node, |names| names.unique(&format!("{new}{rest}")));
                }
            }
            true
        })
        .unwrap_or(false)
    }

    // ------------------------------------------------------------------------------------------------ the whole

    /// Everything that building recorded as wrong.
    ///
    /// # Errors
    /// All mistakes, root causes only.
    pub fn check(&self) -> Result<(), Mistakes> {
        let mistakes = self.with(|s| s.mistakes.clone()).unwrap_or_else(|| vec![self.dropped()]);
        if mistakes.is_empty() { Ok(()) } else { Err(Mistakes(mistakes)) }
    }

    fn dropped(&self) -> Mistake {
        let source = Source { file: "?".into(), line: 0 };
        Mistake { message: format!("graph {} has been dropped", self.id.0), source, scope: String::new() }
    }

    /// What has been built so far, as sessions and files take it. Nodes in it keep their names from now on.
    ///
    /// # Errors
    /// All mistakes, as [`Graph::check`] gives them.
    pub fn freeze(&self) -> Result<Frozen, Mistakes> {
        self.check()?;
        self.with(|s| {
            s.frozen = s.nodes.len();
            let seeds = (s.seed, s.unseeded);
            Frozen::new(self.id, s.nodes.clone(), s.variables.clone(), s.collections.clone(), seeds)
                .with_branches(s.branches.clone())
        })
        .ok_or_else(|| Mistakes(vec![self.dropped()]))
    }

    /// A graph with the contents of a frozen one: what loading a file ends in.
    ///
    /// # Errors
    /// When a node's operands are not older than it, or what inference says of it is not what it holds.
    pub fn thaw(frozen: &Frozen) -> Result<OwnedGraph, String> {
        frozen.verify()?;
        let graph = Graph::new();
        graph.with(|s| {
            for node in frozen.nodes() {
                s.names.claim(&node.name);
            }
            s.nodes = frozen.nodes().to_vec();
            s.poisoned = vec![false; s.nodes.len()];
            s.named = vec![true; s.nodes.len()];
            s.frozen = s.nodes.len();
            s.variables = frozen.variables().to_vec();
            s.collections = frozen.collections().clone();
            s.branches = frozen.branches().to_vec();
            s.seed = frozen.seed();
            s.unseeded = frozen.unseeded();
            for (i, info) in s.variables.iter().enumerate() {
                let name = s.nodes[info.node.index()].name.to_string();
                s.shared_variables.insert(name, VariableId(i as u32));
            }
        });
        Ok(graph)
    }

    pub(crate) fn variable_handle(&self, id: VariableId) -> Variable {
        Variable::new(self.handle(), id)
    }
}

impl State {
    fn fact(&self, output: Output) -> Option<&Fact> {
        self.nodes.get(output.node.index())?.facts.get(output.port as usize)
    }

    fn append(&mut self, node: Node, poisoned: bool) -> NodeId {
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        if id == DEAD {
            return DEAD;
        }
        self.nodes.push(Arc::new(node));
        self.poisoned.push(poisoned);
        self.named.push(false);
        id
    }

    fn source(&mut self, at: &'static Location<'static>) -> Source {
        let key = (at.file().as_ptr() as usize, at.file().len());
        let file = self.files.entry(key).or_insert_with(|| at.file().into()).clone();
        Source { file, line: at.line() }
    }

    fn rename(&mut self, node: NodeId, name: impl FnOnce(&mut Names) -> String) -> bool {
        let i = node.index();
        if i < self.frozen || self.named[i] {
            return false;
        }
        let old = self.nodes[i].name.clone();
        self.names.give_back(&old);
        self.index.remove(&old);
        let name: Arc<str> = name(&mut self.names).into();
        if i < self.indexed {
            self.index.insert(name.clone(), node);
        }
        Arc::make_mut(&mut self.nodes[i]).name = name;
        self.named[i] = true;
        true
    }
}

/// The last part of a name, without its scopes.
fn unscoped(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Splits `"node:port"`; no port means the first.
pub(crate) fn parse_output_name(name: &str) -> Option<(&str, u32)> {
    match name.rsplit_once(':') {
        None => Some((name, 0)),
        Some((node, port)) => Some((node, port.parse().ok()?)),
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Graph({}, {} nodes)", self.id.0, self.len())
    }
}

impl Deref for OwnedGraph {
    type Target = Graph;

    fn deref(&self) -> &Graph {
        self.0
    }
}

impl fmt::Debug for OwnedGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Drop for OwnedGraph {
    fn drop(&mut self) {
        let contents = self.0.lock().take();
        drop(contents);
    }
}
