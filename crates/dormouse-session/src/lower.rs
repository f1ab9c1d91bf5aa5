//! Lowering: from a graph and a request to a program. Prunes to what the request needs, gives every read its version
//! of the variable, and makes shapes concrete.

mod told;
mod values;
mod widen;

use dormouse_graph::{
    Custom, Fact, Frozen, Node, NodeId, NodeKind, Output, VariableId, Write, drawn, infer, infer_dynamic,
};
use dormouse_kernels::Spec;
use dormouse_value::{BinaryOp, Dims, DynamicOp, Op, ScatterOp, Shape, Value, element_count};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use self::values::Values;
use crate::dynamic::{Settled, settle};
use crate::error::{Error, Kind, Place, Result};
use crate::evaluate::of_constants;
use crate::options::SessionOptions;
use crate::program::{Action, Instruction, Origin, Program, ValueId};
use crate::prune::{Choices, closure, prune, versions};
use crate::stage::{Needs, Next, Outcome, Progress, is_between, is_source};

/// What a plan is made for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    /// Tensors asked for, in order.
    pub(crate) fetches: SmallVec<[Output; 4]>,
    /// Nodes to run.
    pub(crate) targets: SmallVec<[NodeId; 4]>,
    /// Tensors fed, with the feeds' specs.
    pub(crate) feeds: SmallVec<[(Output, Spec); 4]>,
    /// What the stages before came to.
    pub(crate) outcomes: Vec<Outcome>,
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

/// A program, and what comes after it where it is not the whole run.
pub(crate) struct Lowered {
    pub(crate) program: Program,
    pub(crate) next: Option<Next>,
}

/// The program of a request for a run that is so far. `generators` gives the place of each random node's counter.
pub(crate) fn lower(
    graph: &Frozen,
    request: &Request,
    progress: &Progress,
    generators: &FxHashMap<NodeId, usize>,
    options: SessionOptions,
) -> Result<Lowered> {
    let feeds = request.feeds.iter().enumerate();
    let fed: FxHashMap<Output, u32> = feeds.map(|(i, (output, _))| (*output, i as u32)).collect();
    let wanted = || {
        let fetched = request.fetches.iter().filter(|o| !fed.contains_key(o)).map(|o| o.node);
        request.targets.iter().copied().chain(fetched)
    };
    let mut sides = FxHashMap::default();
    loop {
        let needed = prune(graph, wanted(), &fed, Choices::Known(&sides));
        let mut lowering = Lowering::new(graph, request, progress, generators, &sides, options);
        lowering.all(&needed)?;
        if !lowering.decided.is_empty() {
            let decided = lowering.decided;
            sides.extend(decided);
        } else if lowering.needs.is_empty() {
            return Ok(Lowered { program: lowering.finish(request), next: None });
        } else {
            let needs = lowering.needs;
            let all = prune(graph, wanted(), &fed, Choices::Any(&sides));
            let first = needs.outputs.iter().filter(|o| !fed.contains_key(o)).map(|o| o.node);
            let inside = closure(graph, first, &needed, &fed, &sides);
            let mut lowering = Lowering::new(graph, request, progress, generators, &sides, options);
            lowering.all(&inside)?;
            return Ok(lowering.finish_stage(request, needs, &inside, &all));
        }
    }
}

struct Lowering<'a> {
    graph: &'a Frozen,
    options: SessionOptions,
    generators: &'a FxHashMap<NodeId, usize>,
    /// The sides of choices that are known.
    sides: &'a FxHashMap<NodeId, bool>,
    /// What earlier stages have run.
    executed: &'a FxHashSet<NodeId>,
    program: Program,
    values: Values,
    /// Whether all tensors of a node have the shapes that the graph tells, and these are known.
    as_told: Vec<bool>,
    /// The instruction that computes each value.
    producers: Vec<Option<u32>>,
    /// Variables as they were before the run.
    variables: FxHashMap<VariableId, ValueId>,
    /// The newest version of each written variable.
    current: FxHashMap<VariableId, (u32, ValueId)>,
    version_values: FxHashMap<(VariableId, u32), ValueId>,
    /// What earlier stages have written.
    written: FxHashMap<NodeId, ValueId>,
    /// Nodes that cannot be planned yet, and variables with writes among them.
    blocked: FxHashSet<NodeId>,
    blocked_variables: FxHashSet<VariableId>,
    /// What has to be known for that.
    needs: Needs,
    /// Choices whose sides turned out to be known.
    decided: Vec<(NodeId, bool)>,
    /// Values that do not depend on constants alone.
    unknown: FxHashSet<ValueId>,
    /// Values in the types that their numbers are computed in.
    wide: FxHashMap<ValueId, ValueId>,
}

impl<'a> Lowering<'a> {
    fn new(
        graph: &'a Frozen,
        request: &Request,
        progress: &'a Progress,
        generators: &'a FxHashMap<NodeId, usize>,
        sides: &'a FxHashMap<NodeId, bool>,
        options: SessionOptions,
    ) -> Self {
        let mut lowering = Lowering {
            graph,
            options,
            generators,
            sides,
            executed: &progress.executed,
            program: Program::default(),
            values: Values::of(graph),
            as_told: vec![false; graph.nodes().len()],
            producers: Vec::new(),
            variables: FxHashMap::default(),
            current: FxHashMap::default(),
            version_values: FxHashMap::default(),
            written: FxHashMap::default(),
            blocked: FxHashSet::default(),
            blocked_variables: FxHashSet::default(),
            needs: Needs::default(),
            decided: Vec::new(),
            unknown: FxHashSet::default(),
            wide: FxHashMap::default(),
        };
        for (i, (output, spec)) in request.feeds.iter().chain(&progress.taken).enumerate() {
            let value = lowering.program.add_value(spec.clone(), Origin::Feed(i as u32));
            lowering.values.add(*output, value);
            lowering.compare_told(output.node);
            if i >= request.feeds.len() {
                lowering.written.insert(output.node, value);
            } else {
                lowering.look_at(output.node, value);
            }
        }
        for (output, value) in &progress.known {
            let value = lowering.program.add_constant(value.clone());
            lowering.values.set(*output, value);
        }
        lowering
    }

    /// Lowers these nodes, as far as what they need is there.
    fn all(&mut self, nodes: &[NodeId]) -> Result<()> {
        let versions = versions(self.graph, nodes);
        for &id in nodes {
            let Some(node) = self.graph.node(id) else { continue };
            if self.is_blocked(id, node) || !self.node(id, node, &versions)? {
                self.blocked.insert(id);
                if let NodeKind::Assign { variable, .. } = node.kind {
                    self.blocked_variables.insert(variable);
                }
            }
        }
        Ok(())
    }

    /// Whether a node waits for one that cannot be planned yet.
    fn is_blocked(&self, id: NodeId, node: &Node) -> bool {
        if self.blocked.is_empty() || self.executed.contains(&id) {
            return false;
        }
        let missing = |operands: &[Output]| operands.iter().any(|o| !self.values.contains(*o));
        let operands = if node.kind == NodeKind::Choice { &node.operands[..1] } else { &node.operands[..] };
        let late = matches!(node.kind, NodeKind::Assign { variable, .. } if self.blocked_variables.contains(&variable));
        late || missing(operands) || node.control.iter().any(|c| self.blocked.contains(c))
    }

    /// Lowers a node whose operands are there; says whether it could be.
    fn node(&mut self, id: NodeId, node: &Node, versions: &FxHashMap<NodeId, u32>) -> Result<bool> {
        let graph = self.graph;
        let output = Output { node: id, port: 0 };
        if self.executed.contains(&id) && !is_source(&node.kind) {
            if let NodeKind::Assign { variable, .. } = node.kind {
                self.written_before(id, variable)?;
            }
            return Ok(true);
        }
        let value = match &node.kind {
            NodeKind::Op(op) => return self.op(id, &node.operands, op).map(|()| true),
            NodeKind::Placeholder => {
                if self.values.contains(output) {
                    return Ok(true);
                }
                let place = place(graph, id);
                return Err(Kind::NotFed { name: node.name.to_string(), place }.into());
            }
            NodeKind::PlaceholderWithDefault => self.values.of_output(node.operands[0]),
            NodeKind::Constant(value) => self.program.add_constant(value.clone()),
            NodeKind::Variable(variable) => self.before(*variable),
            NodeKind::Read(variable) | NodeKind::Initialized(variable) => match versions.get(&id) {
                Some(version) => match self.version_values.get(&(*variable, *version)) {
                    Some(value) => *value,
                    None => return Ok(false),
                },
                None => self.as_read(*variable),
            },
            NodeKind::Assign { variable, write } => self.assign(id, node, *variable, *write)?,
            NodeKind::Random { distribution, seeds } => {
                let mut operands: SmallVec<[ValueId; 3]> =
                    node.operands.iter().map(|o| self.values.of_output(*o)).collect();
                let facts: SmallVec<[Fact; 2]> = operands.iter().map(|v| self.fact(*v)).collect();
                let fact = drawn(*distribution, &facts, &node.facts[0]).map_err(|m| self.failed(id, m))?;
                let dims = fact.shape.to_dims().unwrap_or_default();
                let spec = self.sized(id, Spec { dtype: fact.dtype, dims })?;
                if !distribution.has_parameters() {
                    operands.clear();
                }
                let generator = self.generators[&id];
                let action = Action::Random { distribution: *distribution, seeds: *seeds, generator };
                self.push(id, action, operands, spec)
            }
            NodeKind::Dynamic(op) => return self.dynamic(id, node, op),
            NodeKind::Custom(custom) => return self.custom(id, node, custom),
            NodeKind::Choice => return self.choice(id, node),
            NodeKind::Group => return Ok(true),
            NodeKind::Mistake => return Err(self.failed(id, "it could not be built".to_owned())),
        };
        self.values.add(output, value);
        self.compare_told(id);
        Ok(true)
    }

    /// An operation whose shape depends on numbers: of fixed shape, if these are known.
    fn dynamic(&mut self, id: NodeId, node: &Node, op: &DynamicOp) -> Result<bool> {
        // What the shapes known by now rule out; the numbers are looked at below.
        let facts: SmallVec<[Fact; 3]> = node.operands.iter().map(|o| self.fact(self.values.of_output(*o))).collect();
        infer_dynamic(op, &facts).map_err(|message| self.failed(id, message))?;
        if is_between(op) {
            self.needs.results(id, &node.operands);
            return Ok(false);
        }
        let settling = op.settling();
        let mut known = SmallVec::<[Value; 3]>::new();
        for &output in &node.operands[settling.clone()] {
            match self.known(self.values.of_output(output)) {
                Some(value) => known.push(value),
                None => self.needs.numbers(output),
            }
        }
        if known.len() < settling.len() {
            return Ok(false);
        }
        match settle(op, &known).map_err(|message| self.failed(id, message))? {
            Settled::Op(op) => self.op(id, &node.operands[..settling.start], &op)?,
            Settled::Value(value) => {
                let value = self.program.add_constant(value);
                self.values.add(Output { node: id, port: 0 }, value);
            }
        }
        Ok(true)
    }

    /// An operation of the program's own: a step, if it says what shapes it gives.
    fn custom(&mut self, id: NodeId, node: &Node, custom: &Custom) -> Result<bool> {
        let operands: SmallVec<[ValueId; 3]> = node.operands.iter().map(|o| self.values.of_output(*o)).collect();
        let facts: SmallVec<[Fact; 4]> = operands.iter().map(|v| self.fact(*v)).collect();
        let facts = custom.infer(&facts).map_err(|message| self.failed(id, message))?;
        let agree = |(fact, told): (&Fact, &Fact)| fact.dtype == told.dtype && fact.shape.unify(&told.shape).is_some();
        if facts.len() != node.facts.len() || !facts.iter().zip(&node.facts).all(agree) {
            return Err(
                self.failed(id, "for these shapes it says it gives other tensors than it said before".to_owned())
            );
        }
        let dims: Option<SmallVec<[Dims; 2]>> = facts.iter().map(|fact| fact.shape.to_dims()).collect();
        let Some(dims) = dims else {
            self.needs.results(id, &node.operands);
            return Ok(false);
        };
        if custom.op().is_ok_and(|op| op.is_identity()) {
            for (port, value) in (0..).zip(operands.iter().take(facts.len())) {
                self.values.add(Output { node: id, port }, *value);
            }
            return Ok(true);
        }
        let mut results = SmallVec::<[ValueId; 1]>::new();
        for (port, (fact, dims)) in (0..).zip(facts.iter().zip(dims)) {
            let spec = self.sized(id, Spec { dtype: fact.dtype, dims })?;
            let value = self.program.add_value(spec, Origin::Computed);
            self.values.add(Output { node: id, port }, value);
            results.push(value);
        }
        if custom.op().is_ok_and(|op| op.has_effects()) {
            self.program.kept.push(results[0]);
        }
        let action = Action::Custom(custom.clone());
        self.program.instructions.push(Instruction { action, operands, results: results.clone(), node: id });
        results.iter().for_each(|result| self.look_at(id, *result));
        Ok(true)
    }

    /// Has a run fail where a value is not finite, if that is what the session is for.
    fn look_at(&mut self, id: NodeId, value: ValueId) {
        if self.options.check_numerics && self.program.spec(value).dtype.is_float() {
            let spec = self.program.spec(value).clone();
            let op = Op::CheckNumerics { message: "it is not finite".to_owned() };
            let looked_at = self.instruct(id, Action::Op(op), SmallVec::from_slice(&[value]), &[spec]);
            self.program.kept.push(looked_at[0]);
        }
    }

    /// A choice: the side's tensors, if it is known which one.
    fn choice(&mut self, id: NodeId, node: &Node) -> Result<bool> {
        let count = node.facts.len();
        if let Some(side) = self.sides.get(&id) {
            let first = if *side { 1 } else { 1 + count };
            let chosen = &node.operands[first..first + count];
            if chosen.iter().any(|o| !self.values.contains(*o)) {
                return Ok(false);
            }
            for (port, operand) in (0..).zip(chosen) {
                let value = self.values.of_output(*operand);
                self.values.add(Output { node: id, port }, value);
            }
            return Ok(true);
        }
        let output = node.operands[0];
        match self.known(self.values.of_output(output)) {
            Some(value) => {
                let side = value.scalar::<bool>().map_err(|e| self.failed(id, format!("the predicate: {e}")))?;
                self.decided.push((id, side));
            }
            None => self.needs.numbers(output),
        }
        Ok(false)
    }

    /// Notes that the next instruction computes a value.
    fn produced(&mut self, value: ValueId) {
        self.producers.resize(self.program.values.len(), None);
        self.producers[value.index()] = Some(self.program.instructions.len() as u32);
    }

    /// What an earlier stage wrote is the newest version of the variable.
    fn written_before(&mut self, id: NodeId, variable: VariableId) -> Result<()> {
        let Some(value) = self.written.get(&id).copied() else { return Ok(()) };
        let (version, last) = self.current.get(&variable).copied().unwrap_or((0, value));
        let of_an_earlier_stage = |value| self.written.values().any(|w| *w == value);
        if version > 0 && !of_an_earlier_stage(last) {
            let name = self.graph.variable_name(variable).unwrap_or("?");
            return Err(self.failed(
                id,
                format!("variable {name} is written before it by a side of a choice; order the writes by control_dependencies"),
            ));
        }
        self.current.insert(variable, (version + 1, value));
        self.version_values.insert((variable, version + 1), value);
        Ok(())
    }

    /// The numbers of a value that depends on constants and shapes alone, and is small.
    fn known(&mut self, value: ValueId) -> Option<Value> {
        const LARGEST: usize = 4096;
        let mut stack = vec![self.program.root(value)];
        while let Some(&top) = stack.last() {
            if self.program.constant(top).is_some() {
                stack.pop();
                continue;
            }
            let step = self.producers.get(top.index()).copied().flatten();
            let step = step.map(|i| (i as usize, &self.program.instructions[i as usize]));
            let step = step.filter(|(_, step)| {
                let small = step.results.iter().all(|r| self.program.spec(*r).bytes() <= LARGEST);
                small && !step.read().any(|o| self.unknown.contains(&self.program.root(o)))
            });
            let Some((i, step)) = step else {
                self.unknown.extend(stack);
                return None;
            };
            let missing: SmallVec<[ValueId; 4]> =
                step.read().map(|o| self.program.root(o)).filter(|o| self.program.constant(*o).is_none()).collect();
            if !missing.is_empty() {
                stack.extend(missing);
                continue;
            }
            let Some(values) = of_constants(&self.program, step) else {
                self.unknown.extend(stack);
                return None;
            };
            self.program.settle(i, values);
            stack.pop();
        }
        self.program.constant(value).cloned()
    }

    fn failed(&self, id: NodeId, message: String) -> Error {
        Kind::Node { place: place(self.graph, id), message }.into()
    }

    fn sized(&self, id: NodeId, spec: Spec) -> Result<Spec> {
        self.fits(id, &spec).map(|()| spec)
    }

    fn fits(&self, id: NodeId, spec: &Spec) -> Result<()> {
        let bytes = element_count(&spec.dims).and_then(|n| n.checked_mul(spec.dtype.size()));
        match bytes {
            Some(bytes) if isize::try_from(bytes).is_ok() => Ok(()),
            _ => Err(self.failed(id, format!("its result, {spec}, does not fit in memory"))),
        }
    }

    /// The variable from before the run.
    fn before(&mut self, variable: VariableId) -> ValueId {
        let spec = variable_spec(self.graph, variable);
        let program = &mut self.program;
        if let Some(value) = self.variables.get(&variable) {
            return *value;
        }
        let value = program.add_value(spec, Origin::Variable(variable));
        self.variables.insert(variable, value);
        self.look_at(self.graph.variables()[variable.index()].node, value);
        value
    }

    /// What a read that is after no write sees: the variable from before the run, or what it is fed.
    fn as_read(&mut self, variable: VariableId) -> ValueId {
        let output = Output { node: self.graph.variables()[variable.index()].node, port: 0 };
        match self.values.get(output) {
            Some(value) => value,
            None => self.before(variable),
        }
    }

    fn assign(&mut self, id: NodeId, node: &Node, variable: VariableId, write: Write) -> Result<ValueId> {
        if let Write::Scatter(op) = write {
            return self.scatter(id, node, variable, op);
        }
        let value = self.values.of_output(node.operands[0]);
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
            std::iter::once(previous).chain(node.operands.iter().map(|o| self.values.of_output(*o))).collect();
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
        let value = self.instruct(node, action, operands, &[spec])[0];
        self.look_at(node, value);
        value
    }

    fn op(&mut self, id: NodeId, inputs: &[Output], op: &Op) -> Result<()> {
        let operands: SmallVec<[ValueId; 3]> = inputs.iter().map(|o| self.values.of_output(*o)).collect();
        let specs = self.specs(id, inputs, &operands, op)?;
        let output = |port: usize| Output { node: id, port: port as u32 };
        match op {
            Op::Identity | Op::StopGradient | Op::EnsureShape { .. } => {
                self.values.add(output(0), operands[0]);
            }
            Op::Reshape { .. } | Op::ReshapeLike | Op::ExpandDims { .. } | Op::Squeeze { .. } | Op::Regroup { .. } => {
                let value = self.program.add_value(specs[0].clone(), Origin::Alias(operands[0]));
                self.values.add(output(0), value);
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
            | Op::Iota { .. }
            | Op::Segment { .. }
            | Op::SegmentSpread { .. }
            | Op::TopK { .. }
            | Op::Pick
            | Op::PickGrad
            | Op::SearchSorted { .. }
            | Op::DepthwiseConv2d(_)
            | Op::DepthwiseConv2dInputGrad(_)
            | Op::DepthwiseConv2dFilterGrad(_)
            | Op::Conv3d(_)
            | Op::Conv3dInputGrad(_)
            | Op::Conv3dFilterGrad(_)
            | Op::Cholesky
            | Op::TriangularSolve { .. }
            | Op::MatrixSolve { .. }
            | Op::MatrixInverse { .. }
            | Op::Determinant
            | Op::LogDeterminant
            | Op::Qr { .. }
            | Op::SelfAdjointEig
            | Op::Svd { .. }
            | Op::Betainc
            | Op::Bitcast { .. }
            | Op::MatrixExponential
            | Op::ResizeImages(_)
            | Op::ResizeImagesGrad(_)
            | Op::NonMaxSuppression { .. } => {
                let results = self.instruct(id, Action::Op(op.clone()), operands, &specs);
                for (port, value) in results.iter().enumerate() {
                    self.values.add(output(port), *value);
                }
                if matches!(op, Op::CheckNumerics { .. }) {
                    self.program.kept.push(results[0]);
                }
                results.iter().for_each(|result| self.look_at(id, *result));
            }
        }
        self.compare_told(id);
        Ok(())
    }

    fn finish(mut self, request: &Request) -> Program {
        for output in &request.fetches {
            let value = self.values.of_output(*output);
            self.program.results.push(value);
        }
        self.keep(&request.targets, |_| true);
        let mut commits: Vec<(VariableId, ValueId)> = self.current.iter().map(|(v, (_, value))| (*v, *value)).collect();
        commits.sort_unstable();
        self.program.commits = commits;
        self.done()
    }

    /// The program of a stage that is not the last: it gives what is needed, and what is taken along.
    fn finish_stage(mut self, request: &Request, needs: Needs, inside: &[NodeId], all: &[NodeId]) -> Lowered {
        let graph = self.graph;
        let kind = |id: NodeId| graph.node(id).map(|n| &n.kind);
        let fed = |o: &Output| request.feeds.iter().any(|(fed, _)| fed == o);
        let known = |o: &Output| needs.known.contains(o);
        let now: FxHashSet<NodeId> = inside.iter().copied().filter(|id| !self.executed.contains(id)).collect();
        let of_now = |o: &&Output| now.contains(&o.node) && kind(o.node).is_some_and(|k| !is_source(k));
        let later = all.iter().filter(|id| !now.contains(id) && !self.executed.contains(id));
        let read_later = later.filter_map(|id| graph.node(*id)).flat_map(|n| &n.operands);
        let mut taken: Vec<Output> =
            read_later.chain(&request.fetches).filter(|o| of_now(o) && !fed(o) && !known(o)).copied().collect();
        let writes = |id: &&NodeId| matches!(kind(**id), Some(NodeKind::Assign { .. }));
        taken.extend(now.iter().filter(writes).map(|node| Output { node: *node, port: 0 }));
        taken.sort_unstable();
        taken.dedup();
        self.program.results.extend(needs.outputs.iter().map(|o| self.values.of_output(*o)));
        self.program.results.extend(taken.iter().map(|o| self.values.of_output(*o)));
        self.keep(&request.targets, |id| now.contains(&id));
        let taken = taken.into_iter().map(|o| (o, self.program.spec(self.values.of_output(o)).clone())).collect();
        let mut variables: Vec<VariableId> = all
            .iter()
            .filter_map(|id| match kind(*id) {
                Some(NodeKind::Assign { variable, .. }) => Some(*variable),
                _ => None,
            })
            .collect();
        variables.sort_unstable();
        variables.dedup();
        let executed = self.executed.iter().copied().chain(now).collect();
        Lowered { program: self.done(), next: Some(Next { needs, taken, executed, writes: variables }) }
    }

    /// Has operations computed that are asked for, and what a group asked for waits for.
    fn keep(&mut self, targets: &[NodeId], here: impl Fn(NodeId) -> bool) {
        let mut stack: Vec<NodeId> = targets.to_vec();
        let mut asked = FxHashSet::default();
        while let Some(id) = stack.pop() {
            let Some(node) = self.graph.node(id).filter(|_| asked.insert(id)) else { continue };
            if node.kind == NodeKind::Group {
                stack.extend(node.control.iter().copied());
            } else if here(id) {
                let ports = (0..node.facts.len() as u32).map(|port| Output { node: id, port });
                self.program.kept.extend(ports.filter_map(|o| self.values.get(o)));
            }
        }
    }

    fn done(mut self) -> Program {
        self.program.instructions.retain(|i| !i.results.is_empty());
        self.program.kept.sort_unstable();
        self.program.kept.dedup();
        debug_assert_eq!(self.program.verify(), Ok(()));
        self.program
    }
}
