//! Lowering: from a graph and a request to a program. Prunes to what the request needs, gives every read its version
//! of the variable, and makes shapes concrete.

use std::rc::Rc;

use dormouse_graph::{Fact, Frozen, Node, NodeId, NodeKind, Output, VariableId, Write, infer};
use dormouse_kernels::Spec;
use dormouse_value::{BinaryOp, Op, ScatterOp, Shape, element_count};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use crate::error::{Error, Kind, Place, Result};
use crate::program::{Action, Instruction, Origin, Program, ValueId};

/// What a plan is made for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    /// Tensors asked for, in order.
    pub(crate) fetches: SmallVec<[Output; 4]>,
    /// Nodes to run.
    pub(crate) targets: SmallVec<[NodeId; 4]>,
    /// Tensors fed, with the feeds' specs.
    pub(crate) feeds: SmallVec<[(Output, Spec); 4]>,
}

pub(crate) fn place(graph: &Frozen, node: NodeId) -> Place {
    graph.node(node).map_or(Place { name: "?".to_owned(), source: None }, |n| {
        let told = n.gradient_of.and_then(|g| graph.node(g));
        let name = told.map_or_else(|| n.name.to_string(), |g| format!("{} (gradient of {})", n.name, g.name));
        Place { name, source: Some(n.source.clone()) }
    })
}

/// What a variable holds.
pub(crate) fn variable_spec(graph: &Frozen, variable: VariableId) -> Spec {
    let fact = &graph.nodes()[graph.variables()[variable.index()].node.index()].facts[0];
    Spec { dtype: fact.dtype, dims: fact.shape.to_dims().unwrap_or_default() }
}

/// The program of a request. `generators` gives the place of each random node's counter.
pub(crate) fn lower(graph: &Frozen, request: &Request, generators: &FxHashMap<NodeId, usize>) -> Result<Program> {
    let fed: FxHashMap<Output, u32> =
        request.feeds.iter().enumerate().map(|(i, (output, _))| (*output, i as u32)).collect();
    let needed = prune(graph, request, &fed);
    let versions = versions(graph, &needed);
    let mut lowering = Lowering {
        graph,
        program: Program::default(),
        values: FxHashMap::default(),
        variables: FxHashMap::default(),
        current: FxHashMap::default(),
        version_values: FxHashMap::default(),
    };
    for (i, (output, spec)) in request.feeds.iter().enumerate() {
        let value = lowering.program.add_value(spec.clone(), Origin::Feed(i as u32));
        lowering.values.insert(*output, value);
    }
    for &id in &needed {
        lowering.node(id, &versions, generators)?;
    }
    Ok(lowering.finish(request))
}

/// The nodes that a request needs, oldest first: back from its targets along operands and control inputs, where a fed
/// tensor ends the way.
fn prune(graph: &Frozen, request: &Request, fed: &FxHashMap<Output, u32>) -> Vec<NodeId> {
    let mut needed = vec![false; graph.nodes().len()];
    let mut stack: Vec<NodeId> = request.targets.to_vec();
    stack.extend(request.fetches.iter().filter(|o| !fed.contains_key(o)).map(|o| o.node));
    let mut found = Vec::new();
    while let Some(id) = stack.pop() {
        if std::mem::replace(&mut needed[id.index()], true) {
            continue;
        }
        found.push(id);
        if let Some(node) = graph.node(id) {
            stack.extend(node.operands.iter().filter(|o| !fed.contains_key(o)).map(|o| o.node));
            stack.extend(node.control.iter().copied());
        }
    }
    found.sort_unstable();
    found
}

/// Which version of its variable each read among the needed nodes sees, where it is not the one from before the run:
/// the number of writes, in the order they were built, up to the last one that leads to the read.
fn versions(graph: &Frozen, needed: &[NodeId]) -> FxHashMap<NodeId, u32> {
    let kind = |id: NodeId| graph.node(id).map(|n| &n.kind);
    let mut seen_by = FxHashMap::default();
    let reads: Vec<NodeId> = needed
        .iter()
        .copied()
        .filter(|id| matches!(kind(*id), Some(NodeKind::Read(_) | NodeKind::Initialized(_))))
        .collect();
    if reads.is_empty() {
        return seen_by;
    }
    // Only what leads to a read matters.
    let mut leads = FxHashSet::default();
    let mut stack = reads;
    let in_run: FxHashSet<NodeId> = needed.iter().copied().collect();
    while let Some(id) = stack.pop() {
        if in_run.contains(&id) && leads.insert(id) {
            stack.extend(inputs(graph, id));
        }
    }
    let mut counts = FxHashMap::<VariableId, u32>::default();
    let mut initialized = FxHashMap::<VariableId, u32>::default();
    let mut writes = FxHashMap::<NodeId, Rc<FxHashMap<VariableId, u32>>>::default();
    for &id in needed {
        let Some(node) = graph.node(id) else { continue };
        let own = if let NodeKind::Assign { variable, .. } = node.kind {
            let count = counts.entry(variable).or_insert(0);
            *count += 1;
            if graph.variables()[variable.index()].initializer == id {
                initialized.insert(variable, *count);
            }
            Some((variable, *count))
        } else {
            None
        };
        if !leads.contains(&id) {
            continue;
        }
        let mut seen: Option<Rc<FxHashMap<VariableId, u32>>> = None;
        for input in inputs(graph, id) {
            let Some(theirs) = writes.get(&input) else { continue };
            match &mut seen {
                None => seen = Some(Rc::clone(theirs)),
                Some(ours) if Rc::ptr_eq(ours, theirs) => {}
                Some(ours) => merge(Rc::make_mut(ours), theirs),
            }
        }
        match node.kind {
            NodeKind::Read(variable) => {
                if let Some(version) = seen.as_ref().and_then(|s| s.get(&variable)) {
                    seen_by.insert(id, *version);
                }
            }
            NodeKind::Initialized(variable) => {
                if let Some(version) = initialized.get(&variable) {
                    seen_by.insert(id, *version);
                }
            }
            NodeKind::Op(_)
            | NodeKind::Placeholder
            | NodeKind::PlaceholderWithDefault
            | NodeKind::Constant(_)
            | NodeKind::Variable(_)
            | NodeKind::Assign { .. }
            | NodeKind::Random { .. }
            | NodeKind::Group
            | NodeKind::Mistake => {}
        }
        if let Some((variable, version)) = own {
            Rc::make_mut(seen.get_or_insert_default()).insert(variable, version);
        }
        if let Some(seen) = seen {
            writes.insert(id, seen);
        }
    }
    seen_by
}

#[allow(clippy::iter_over_hash_type, reason = "the larger of two numbers does not depend on the order")]
fn merge(into: &mut FxHashMap<VariableId, u32>, from: &FxHashMap<VariableId, u32>) {
    for (&variable, &version) in from {
        let entry = into.entry(variable).or_insert(0);
        *entry = version.max(*entry);
    }
}

fn inputs(graph: &Frozen, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
    graph.node(id).into_iter().flat_map(|n| n.operands.iter().map(|o| o.node).chain(n.control.iter().copied()))
}

struct Lowering<'a> {
    graph: &'a Frozen,
    program: Program,
    values: FxHashMap<Output, ValueId>,
    /// Variables as they were before the run.
    variables: FxHashMap<VariableId, ValueId>,
    /// The newest version of each written variable.
    current: FxHashMap<VariableId, (u32, ValueId)>,
    version_values: FxHashMap<(VariableId, u32), ValueId>,
}

impl Lowering<'_> {
    fn node(
        &mut self,
        id: NodeId,
        versions: &FxHashMap<NodeId, u32>,
        generators: &FxHashMap<NodeId, usize>,
    ) -> Result<()> {
        let graph = self.graph;
        let Some(node) = graph.node(id) else { return Ok(()) };
        let output = Output { node: id, port: 0 };
        let value = match &node.kind {
            NodeKind::Op(op) => return self.op(id, node, op),
            NodeKind::Placeholder => {
                if self.values.contains_key(&output) {
                    return Ok(());
                }
                let place = place(graph, id);
                return Err(Kind::NotFed { name: node.name.to_string(), place }.into());
            }
            NodeKind::PlaceholderWithDefault => self.values[&node.operands[0]],
            NodeKind::Constant(value) => self.program.add_constant(value.clone()),
            NodeKind::Variable(variable) => self.before(*variable),
            NodeKind::Read(variable) | NodeKind::Initialized(variable) => match versions.get(&id) {
                Some(version) => self.version_values[&(*variable, *version)],
                None => self.as_read(*variable),
            },
            NodeKind::Assign { variable, write } => self.assign(id, node, *variable, *write)?,
            NodeKind::Random { distribution, seeds } => {
                let dims = match node.operands.first() {
                    Some(like) => self.program.spec(self.values[like]).dims.clone(),
                    None => node.facts[0].shape.to_dims().unwrap_or_default(),
                };
                let spec = self.sized(id, Spec { dtype: node.facts[0].dtype, dims })?;
                let generator = generators[&id];
                let action = Action::Random { distribution: *distribution, seeds: *seeds, generator };
                self.push(id, action, SmallVec::new(), spec)
            }
            NodeKind::Group => return Ok(()),
            NodeKind::Mistake => return Err(self.failed(id, "it could not be built".to_owned())),
        };
        self.values.entry(output).or_insert(value);
        Ok(())
    }

    fn failed(&self, id: NodeId, message: String) -> Error {
        Kind::Node { place: place(self.graph, id), message }.into()
    }

    fn sized(&self, id: NodeId, spec: Spec) -> Result<Spec> {
        let bytes = element_count(&spec.dims).and_then(|n| n.checked_mul(spec.dtype.size()));
        match bytes {
            Some(bytes) if isize::try_from(bytes).is_ok() => Ok(spec),
            _ => Err(self.failed(id, format!("its result, {spec}, does not fit in memory"))),
        }
    }

    /// The variable from before the run.
    fn before(&mut self, variable: VariableId) -> ValueId {
        let spec = variable_spec(self.graph, variable);
        let program = &mut self.program;
        *self.variables.entry(variable).or_insert_with(|| program.add_value(spec, Origin::Variable(variable)))
    }

    /// What a read that is after no write sees: the variable from before the run, or what it is fed.
    fn as_read(&mut self, variable: VariableId) -> ValueId {
        let output = Output { node: self.graph.variables()[variable.index()].node, port: 0 };
        match self.values.get(&output) {
            Some(value) => *value,
            None => self.before(variable),
        }
    }

    fn assign(&mut self, id: NodeId, node: &Node, variable: VariableId, write: Write) -> Result<ValueId> {
        if let Write::Scatter(op) = write {
            return self.scatter(id, node, variable, op);
        }
        let value = self.values[&node.operands[0]];
        let held = Shape::known(&variable_spec(self.graph, variable).dims);
        let dims = &self.program.spec(value).dims;
        if !held.accepts(dims) {
            let name = self.graph.variable_name(variable).unwrap_or("?").to_owned();
            return Err(self.failed(id, format!("variable {name} has shape {held}, the value {:?}", dims.as_slice())));
        }
        let (version, previous) = match self.current.get(&variable) {
            Some(current) => *current,
            None if write == Write::Set => (0, value),
            None => (0, self.before(variable)),
        };
        let new = match write {
            Write::Set | Write::Scatter(_) => value,
            Write::Add | Write::Sub => {
                let op = if write == Write::Add { BinaryOp::Add } else { BinaryOp::Sub };
                let spec = self.program.spec(previous).clone();
                let operands = SmallVec::from_slice(&[previous, value]);
                self.push(id, Action::Op(Op::Binary(op)), operands, spec)
            }
        };
        self.current.insert(variable, (version + 1, new));
        self.version_values.insert((variable, version + 1), new);
        Ok(new)
    }

    /// A write at indices, to the newest version of the variable.
    fn scatter(&mut self, id: NodeId, node: &Node, variable: VariableId, op: ScatterOp) -> Result<ValueId> {
        let (version, previous) = match self.current.get(&variable) {
            Some(current) => *current,
            None => (0, self.before(variable)),
        };
        let operands: SmallVec<[ValueId; 3]> =
            std::iter::once(previous).chain(node.operands.iter().map(|o| self.values[o])).collect();
        let op = Op::ScatterNd { op, batch_dims: 0 };
        let facts: SmallVec<[Fact; 3]> = operands.iter().map(|value| self.fact(*value)).collect();
        infer(&op, &facts).map_err(|message| self.failed(id, message))?;
        let spec = self.program.spec(previous).clone();
        let new = self.push(id, Action::Op(op), operands, spec);
        self.current.insert(variable, (version + 1, new));
        self.version_values.insert((variable, version + 1), new);
        Ok(new)
    }

    fn fact(&self, value: ValueId) -> Fact {
        let spec = self.program.spec(value);
        Fact { dtype: spec.dtype, shape: Shape::known(&spec.dims) }
    }

    fn push(&mut self, node: NodeId, action: Action, operands: SmallVec<[ValueId; 3]>, spec: Spec) -> ValueId {
        let value = self.program.add_value(spec, Origin::Computed);
        self.program.instructions.push(Instruction { action, operands, results: SmallVec::from_slice(&[value]), node });
        value
    }

    fn op(&mut self, id: NodeId, node: &Node, op: &Op) -> Result<()> {
        let operands: SmallVec<[ValueId; 3]> = node.operands.iter().map(|o| self.values[o]).collect();
        let facts: SmallVec<[Fact; 4]> = operands.iter().map(|v| self.fact(*v)).collect();
        let facts = infer(op, &facts).map_err(|message| self.failed(id, message))?;
        let mut specs = SmallVec::<[Spec; 2]>::new();
        for fact in facts {
            let Some(dims) = fact.shape.to_dims() else {
                return Err(self.failed(id, format!("its shape, {}, is not known from its operands'", fact.shape)));
            };
            specs.push(self.sized(id, Spec { dtype: fact.dtype, dims })?);
        }
        let output = |port: usize| Output { node: id, port: port as u32 };
        match op {
            Op::Identity | Op::StopGradient | Op::EnsureShape { .. } => {
                self.values.entry(output(0)).or_insert(operands[0]);
            }
            Op::Reshape { .. } | Op::ReshapeLike | Op::ExpandDims { .. } | Op::Squeeze { .. } | Op::Regroup { .. } => {
                let value = self.program.add_value(specs[0].clone(), Origin::Alias(operands[0]));
                self.values.entry(output(0)).or_insert(value);
            }
            Op::CheckNumerics { .. }
            | Op::Unary(_)
            | Op::Binary(_)
            | Op::Compare(_)
            | Op::Logical(_)
            | Op::Select
            | Op::Cast { .. }
            | Op::AddN
            | Op::Reduce { .. }
            | Op::ArgMax { .. }
            | Op::ArgMin { .. }
            | Op::Cumulative { .. }
            | Op::MatMul { .. }
            | Op::Transpose { .. }
            | Op::Concat { .. }
            | Op::ConcatGrad { .. }
            | Op::Slice { .. }
            | Op::SliceLike { .. }
            | Op::SliceGrad { .. }
            | Op::Pad { .. }
            | Op::Tile { .. }
            | Op::TileGrad { .. }
            | Op::Gather { .. }
            | Op::GatherGrad { .. }
            | Op::OneHot { .. }
            | Op::BroadcastTo { .. }
            | Op::BroadcastLike
            | Op::SumLike
            | Op::ShapeOf { .. }
            | Op::SizeOf { .. }
            | Op::Softmax { .. }
            | Op::LogSoftmax { .. }
            | Op::SoftmaxCrossEntropy
            | Op::SparseSoftmaxCrossEntropy
            | Op::L2Loss
            | Op::Conv2d(_)
            | Op::Conv2dInputGrad(_)
            | Op::Conv2dFilterGrad(_)
            | Op::Pool2d { .. }
            | Op::MaxPoolGrad { .. }
            | Op::MaxPoolGradGrad { .. }
            | Op::AveragePoolGrad { .. }
            | Op::StridedSlice { .. }
            | Op::StridedSliceGrad { .. }
            | Op::GatherNd { .. }
            | Op::ScatterNd { .. }
            | Op::Iota { .. } => {
                let results: SmallVec<[ValueId; 1]> =
                    specs.into_iter().map(|spec| self.program.add_value(spec, Origin::Computed)).collect();
                for (port, value) in results.iter().enumerate() {
                    self.values.entry(output(port)).or_insert(*value);
                }
                if matches!(op, Op::CheckNumerics { .. }) {
                    self.program.kept.push(results[0]);
                }
                self.program.instructions.push(Instruction {
                    action: Action::Op(op.clone()),
                    operands,
                    results,
                    node: id,
                });
            }
        }
        Ok(())
    }

    fn finish(mut self, request: &Request) -> Program {
        for output in &request.fetches {
            let value = self.values[output];
            self.program.results.push(value);
        }
        // An operation asked for is computed, and so is what a group asked for waits for.
        let mut stack: Vec<NodeId> = request.targets.to_vec();
        let mut asked = FxHashSet::default();
        while let Some(id) = stack.pop() {
            let Some(node) = self.graph.node(id).filter(|_| asked.insert(id)) else { continue };
            if node.kind == NodeKind::Group {
                stack.extend(node.control.iter().copied());
            } else {
                let ports = (0..node.facts.len() as u32).map(|port| Output { node: id, port });
                self.program.kept.extend(ports.filter_map(|o| self.values.get(&o)).copied());
            }
        }
        self.program.kept.sort_unstable();
        self.program.kept.dedup();
        let mut commits: Vec<(VariableId, ValueId)> =
            self.current.into_iter().map(|(v, (_, value))| (v, value)).collect();
        commits.sort_unstable();
        self.program.commits = commits;
        debug_assert_eq!(self.program.verify(), Ok(()));
        self.program
    }
}
