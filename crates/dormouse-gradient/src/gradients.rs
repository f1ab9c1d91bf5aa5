//! The pass: which nodes lie between the sources and the result, and how what reaches a tensor is summed. It knows no
//! operation; those are the rules' business.

use std::sync::Arc;

use dormouse_graph::{
    Array, BranchId, BranchInfo, Custom, Differentiated, Elementwise, Graph, IndexedSlices, Node, NodeId, NodeKind,
    Output, Symbol, Tensor, Variable, VariableId,
};
use dormouse_value::{Distribution, Op};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::{SmallVec, smallvec};

use crate::rules::{self, Site};

/// What a gradient is taken with respect to.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// One tensor.
    Tensor(Tensor),
    /// A variable: every read of it counts.
    Variable(Variable),
}

impl From<Tensor> for Source {
    fn from(tensor: Tensor) -> Self {
        Source::Tensor(tensor)
    }
}

impl From<Variable> for Source {
    fn from(variable: Variable) -> Self {
        Source::Variable(variable)
    }
}

impl Source {
    fn graph(self) -> &'static Graph {
        match self {
            Source::Tensor(tensor) => tensor.graph(),
            Source::Variable(variable) => variable.graph(),
        }
    }

    fn name(self) -> String {
        match self {
            Source::Tensor(tensor) => tensor.name(),
            Source::Variable(variable) => variable.name(),
        }
    }
}

/// A container of sources; the gradients come back in one of the same length.
pub trait Sources {
    /// What the gradients come in.
    type Gradients;

    /// The sources, in order.
    fn sources(&self) -> Vec<Source>;

    /// The container of these gradients, one a source.
    fn collect(&self, gradients: Vec<Tensor>) -> Self::Gradients;
}

impl<T: Copy + Into<Source>, const N: usize> Sources for [T; N] {
    type Gradients = [Tensor; N];

    fn sources(&self) -> Vec<Source> {
        self.iter().map(|s| (*s).into()).collect()
    }

    fn collect(&self, gradients: Vec<Tensor>) -> [Tensor; N] {
        std::array::from_fn(|i| gradients[i])
    }
}

impl<T: Copy + Into<Source>> Sources for &[T] {
    type Gradients = Vec<Tensor>;

    fn sources(&self) -> Vec<Source> {
        self.iter().map(|s| (*s).into()).collect()
    }

    fn collect(&self, gradients: Vec<Tensor>) -> Vec<Tensor> {
        gradients
    }
}

impl<T: Copy + Into<Source>> Sources for Vec<T> {
    type Gradients = Vec<Tensor>;

    fn sources(&self) -> Vec<Source> {
        self.as_slice().sources()
    }

    fn collect(&self, gradients: Vec<Tensor>) -> Vec<Tensor> {
        gradients
    }
}

/// What gradients are taken of: a tensor, a variable, or a list of them.
pub trait Results {
    /// The tensors, in order.
    fn results(&self) -> Vec<Tensor>;
}

impl Results for Tensor {
    fn results(&self) -> Vec<Tensor> {
        vec![*self]
    }
}

impl Results for Variable {
    fn results(&self) -> Vec<Tensor> {
        vec![self.tensor()]
    }
}

impl<T: Symbol, const N: usize> Results for [T; N] {
    fn results(&self) -> Vec<Tensor> {
        self.iter().map(|y| y.tensor()).collect()
    }
}

impl<T: Symbol> Results for &[T] {
    fn results(&self) -> Vec<Tensor> {
        self.iter().map(|y| y.tensor()).collect()
    }
}

impl<T: Symbol> Results for Vec<T> {
    fn results(&self) -> Vec<Tensor> {
        self.as_slice().results()
    }
}

/// Σᵢ ∂Σyᵢ/∂x for each of `xs`, tensors or variables: shaped as x, of its dtype.
///
/// # Errors
/// Where the ys are not of floats or do not depend on an x differentiably, the gradient is a recorded mistake.
#[track_caller]
pub fn gradients<S: Sources>(ys: impl Results, xs: S) -> S::Gradients {
    Gradients::of(ys).with_respect_to(xs)
}

/// Gradients that need more than [`gradients`] says: what reaches the results, where gradients stop, and what stands for
/// one that there is not.
///
/// ```
/// use dormouse_gradient::Gradients;
/// use dormouse_graph::{Elementwise, Graph};
/// let graph = Graph::new();
/// let x = graph.constant([1.0_f32, 2.0]);
/// let h = x.square();
/// let y = h * x;
/// let weights = graph.constant([0.5_f32, 2.0]);
/// let [dx] = Gradients::of(y).upstream(weights).stop_at(h).with_respect_to([x]);
/// assert_eq!(dx.shape(), x.shape());
/// assert!(graph.check().is_ok());
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Gradients {
    ys: Vec<Tensor>,
    upstream: Vec<Tensor>,
    stops: Vec<Tensor>,
}

impl Gradients {
    /// Of the sum of all elements of these.
    pub fn of(ys: impl Results) -> Gradients {
        Gradients { ys: ys.results(), upstream: Vec::new(), stops: Vec::new() }
    }

    /// The weights of the elements in that sum (`grad_ys` of TensorFlow): one tensor a result, of its dtype and shape.
    pub fn upstream(mut self, dys: impl Results) -> Gradients {
        self.upstream = dys.results();
        self
    }

    /// Takes these for constants: no gradient passes through them to what they are made of. A gradient with respect to
    /// one of them is still what reaches it.
    pub fn stop_at(mut self, stops: impl Results) -> Gradients {
        self.stops = stops.results();
        self
    }

    /// One gradient for each of `xs`, shaped as x.
    ///
    /// # Errors
    /// As [`gradients`]; and where `upstream` is not as many tensors as there are results, or not of their dtypes and
    /// shapes, that is a recorded mistake.
    #[track_caller]
    pub fn with_respect_to<S: Sources>(self, xs: S) -> S::Gradients {
        self.found(xs, Missing::Mistake)
    }

    /// As [`with_respect_to`](Gradients::with_respect_to), with zeros where a result does not depend on an x.
    #[track_caller]
    pub fn or_zeros<S: Sources>(self, xs: S) -> S::Gradients {
        self.found(xs, Missing::Zeros)
    }

    /// As [`with_respect_to`](Gradients::with_respect_to), with `None` where no result depends on an x.
    #[track_caller]
    pub fn or_none<S: Sources>(self, xs: S) -> Vec<Option<Tensor>> {
        let sources = xs.sources();
        let Some(graph) = self.graph(&sources) else { return Vec::new() };
        graph.located(|| Pass::new(graph, &self, &sources).run())
    }

    #[track_caller]
    fn found<S: Sources>(self, xs: S, missing: Missing) -> S::Gradients {
        let sources = xs.sources();
        let Some(graph) = self.graph(&sources) else { return xs.collect(Vec::new()) };
        graph.located(|| {
            let mut pass = Pass::new(graph, &self, &sources);
            let found = pass.run();
            let found =
                sources.iter().zip(found).map(|(source, g)| g.unwrap_or_else(|| pass.missing(missing, *source)));
            xs.collect(found.collect())
        })
    }

    /// The graph of the results, or of the sources if there are no results.
    fn graph(&self, sources: &[Source]) -> Option<&'static Graph> {
        self.ys.first().map(|y| y.graph()).or_else(|| sources.first().map(|s| s.graph()))
    }
}

/// What stands for a gradient that there is not.
#[derive(Clone, Copy)]
enum Missing {
    Mistake,
    Zeros,
}

struct Pass<'a> {
    graph: &'static Graph,
    /// The results that can be differentiated, with what reaches each.
    ys: Vec<(Tensor, Option<Tensor>)>,
    /// All results, for messages.
    told: &'a [Tensor],
    sources: &'a [Source],
    /// The nodes up to the newest result's; empty where none carries a gradient.
    nodes: Vec<Arc<Node>>,
    /// The outputs that each source stands for.
    outputs: Vec<Vec<Output>>,
    /// Nodes through which no gradient passes.
    stops: FxHashSet<NodeId>,
    /// Nodes that a gradient reached and that gave none to an operand.
    blocked: Vec<NodeId>,
}

impl<'a> Pass<'a> {
    fn new(graph: &'static Graph, of: &'a Gradients, sources: &'a [Source]) -> Self {
        let mut upstream: Vec<Option<Tensor>> = of.upstream.iter().copied().map(Some).collect();
        if !upstream.is_empty() && upstream.len() != of.ys.len() {
            graph.mistake(format!("gradients: {} upstream gradients of {} results", upstream.len(), of.ys.len()));
        }
        upstream.resize(of.ys.len(), None);
        let mut ys = Vec::new();
        for (&y, dy) in of.ys.iter().zip(upstream) {
            if y.graph().id() != graph.id() {
                graph.mistake(format!("gradients: {} is of another graph than {}", y.name(), of.ys[0].name()));
            } else if !y.is_dead() && y.dtype().is_float() {
                ys.push((y, dy.map(|dy| fitting(graph, y, dy))));
            }
        }
        let end = ys.iter().map(|(y, _)| y.output().node.0 + 1).max().unwrap_or(0);
        let nodes = graph.nodes_before(NodeId(end));
        let mut reads: FxHashMap<VariableId, Vec<Output>> = FxHashMap::default();
        for (i, node) in (0..).zip(&nodes) {
            if let NodeKind::Variable(v) | NodeKind::Read(v) | NodeKind::Initialized(v) = node.kind {
                reads.entry(v).or_default().push(Output { node: NodeId(i), port: 0 });
            }
        }
        let outputs = sources
            .iter()
            .map(|source| match source {
                _ if source.graph().id() != graph.id() => Vec::new(),
                Source::Tensor(x) => vec![x.output()],
                Source::Variable(v) => reads.get(&v.id()).cloned().unwrap_or_default(),
            })
            .collect();
        let stops = of.stops.iter().filter(|s| s.graph().id() == graph.id()).map(|s| s.output().node).collect();
        Pass { graph, ys, told: &of.ys, sources, nodes, outputs, stops, blocked: Vec::new() }
    }

    fn run(&mut self) -> Vec<Option<Tensor>> {
        let graph = self.graph;
        if self.nodes.is_empty() {
            return vec![None; self.sources.len()];
        }
        graph.name_scope("gradients", || {
            let mut sums = self.walk(graph);
            let outputs = std::mem::take(&mut self.outputs);
            let found = outputs.iter().map(|outputs| {
                let parts = outputs.iter().filter_map(|o| sums.get_mut(o).and_then(|p| sum(graph, p)));
                let mut parts: Parts = parts.collect();
                parts.reverse();
                sum(graph, &mut parts)
            });
            let found = found.collect();
            self.outputs = outputs;
            found
        })
    }

    /// What reaches each of the sources' outputs, newest reader first; one entry once it has been summed.
    fn walk(&mut self, graph: &'static Graph) -> FxHashMap<Output, Parts> {
        let sources: FxHashSet<Output> = self.outputs.iter().flatten().copied().collect();
        let reached = self.reached(&sources);
        // Of the outputs that lie before the newest node that is left to differentiate, so that they stay few.
        let mut sums: FxHashMap<Output, Parts> = FxHashMap::default();
        for &(y, dy) in self.ys.iter().rev() {
            sums.entry(y.output()).or_default().push(dy.unwrap_or_else(|| y.ones_like()));
        }
        for (i, node) in self.nodes.iter().enumerate().rev() {
            let wanted: SmallVec<[bool; 3]> = node.operands.iter().map(|o| reached.contains(*o)).collect();
            let id = NodeId(i as u32);
            if !wanted.contains(&true) || self.stops.contains(&id) {
                continue;
            }
            let outputs = (0..).zip(&node.facts).map(|(port, _)| Output { node: id, port });
            let parts: SmallVec<[Output; 2]> = outputs.filter(|o| sums.contains_key(o)).collect();
            if parts.is_empty() {
                continue;
            }
            let found = graph.gradient_of(id, || {
                let build = || {
                    let mut dy: SmallVec<[Option<Tensor>; 2]> = smallvec![None; node.facts.len()];
                    for part in parts {
                        dy[part.port as usize] = if sources.contains(&part) {
                            sums.get_mut(&part).and_then(|p| sum(graph, p))
                        } else {
                            sums.remove(&part).and_then(|mut p| sum(graph, &mut p))
                        };
                    }
                    let found = differentiate(graph, id, node, &wanted, &dy);
                    let carried = node.operands.iter().zip(&wanted).map(|(o, wanted)| *wanted && self.carries(*o));
                    let found = found.into_iter().zip(carried);
                    let found = found.enumerate().map(|(i, (g, carried))| {
                        if carried { g.map(|g| self.out_of_branches(graph, node, i, g)) } else { g }
                    });
                    found.collect::<SmallVec<[Option<Tensor>; 3]>>()
                };
                graph.name_scope(&format!("{}_grad", node.name), || graph.within_branch(node.branch, build))
            });
            let mut blocks = false;
            for ((operand, gradient), wanted) in node.operands.iter().zip(found).zip(wanted).rev() {
                match gradient {
                    Some(gradient) if wanted && self.carries(*operand) => {
                        sums.entry(*operand).or_default().push(gradient);
                    }
                    Some(_) | None => blocks |= wanted,
                }
            }
            if blocks {
                self.blocked.push(id);
            }
        }
        sums
    }

    /// A gradient on its way from a node to one of its operands, where that is outside of branches that the node is in:
    /// what it is in runs that take these, and else zeros. So nothing of a side that is not taken is computed.
    fn out_of_branches(&self, graph: &'static Graph, node: &Node, operand: usize, gradient: Tensor) -> Tensor {
        let x = node.operands[operand];
        let target = self.nodes.get(x.node.index()).and_then(|n| n.branch);
        let chosen = |predicate: Tensor, side: bool, gradient: Tensor| {
            if let Some(slices) = IndexedSlices::of(gradient) {
                return rows_of_side(graph, graph.output(x), predicate, side, slices);
            }
            let zeros = graph.output(x).zeros_like();
            if side {
                graph.cond(predicate, || gradient, || zeros)
            } else {
                graph.cond(predicate, || zeros, || gradient)
            }
        };
        let mut gradient = gradient;
        if node.kind == NodeKind::Choice {
            let predicate = node.operands[0];
            let side = operand <= (node.operands.len() - 1) / 2;
            // A side may give a tensor from outside as it is.
            let inside = branches(graph, target).any(|(_, b)| b.predicate == predicate && b.side == side);
            return if inside { gradient } else { chosen(graph.output(predicate), side, gradient) };
        }
        for (branch, info) in branches(graph, node.branch) {
            if branches(graph, target).any(|(outer, _)| outer == branch) {
                break;
            }
            gradient = graph.within_branch(info.parent, || chosen(graph.output(info.predicate), info.side, gradient));
        }
        gradient
    }

    fn carries(&self, output: Output) -> bool {
        let fact = self.nodes.get(output.node.index()).and_then(|n| n.facts.get(output.port as usize));
        fact.is_some_and(|f| f.dtype.is_float())
    }

    /// The outputs that depend on these, and these.
    fn reached<'f>(&self, from: &'f FxHashSet<Output>) -> Reached<'f> {
        let mut reached = Reached { from, nodes: vec![false; self.nodes.len()] };
        for (i, node) in (0..).zip(&self.nodes) {
            let depends = !self.stops.contains(&NodeId(i)) && node.operands.iter().any(|o| reached.contains(*o));
            reached.nodes[i as usize] = depends;
        }
        reached
    }

    fn missing(&self, missing: Missing, source: Source) -> Tensor {
        match (missing, source) {
            (Missing::Mistake, _) => self.unconnected(source),
            (Missing::Zeros, Source::Tensor(x)) => x.zeros_like(),
            (Missing::Zeros, Source::Variable(x)) => x.zeros_like(),
        }
    }

    fn unconnected(&self, source: Source) -> Tensor {
        let graph = self.graph;
        let poisoned = |t: &&Tensor| t.graph().node(t.output().node).is_none_or(|n| n.kind == NodeKind::Mistake);
        if let Some(y) = self.told.iter().find(poisoned) {
            // Its mistake is told already.
            return *y;
        }
        let x = source.name();
        let y = match self.told {
            [] => return graph.mistake(format!("gradients: of no results, with respect to {x}")),
            [y] => y.name(),
            [y, ..] => format!("{} and {} more", y.name(), self.told.len() - 1),
        };
        if source.graph().id() != graph.id() {
            return graph.mistake(format!("gradients: {x} is of another graph than {y}"));
        }
        if self.ys.is_empty() {
            let dtype = self.told[0].dtype();
            return graph.mistake(format!("gradients: {y} is {dtype}, which has no gradient; cast it to a float"));
        }
        let of_source = self.sources.iter().zip(&self.outputs).filter(|(s, _)| s.name() == x);
        let from = of_source.flat_map(|(_, o)| o.iter().copied()).collect();
        let reached = self.reached(&from);
        let blocking = self.blocked.iter().map(|id| &self.nodes[id.index()]);
        let mut blocking = blocking.filter(|n| n.operands.iter().any(|o| reached.contains(*o)));
        match blocking.next() {
            Some(node) => {
                graph.mistake(format!("gradients: no gradient of {y} reaches {x}: {} passes none", node.name))
            }
            None => graph.mistake(format!("gradients: {y} does not depend on {x}")),
        }
    }
}

/// What reaches one tensor.
type Parts = SmallVec<[Tensor; 1]>;

/// Outputs that depend on some.
struct Reached<'a> {
    from: &'a FxHashSet<Output>,
    /// Of each node, whether all its outputs do.
    nodes: Vec<bool>,
}

impl Reached<'_> {
    fn contains(&self, output: Output) -> bool {
        self.nodes.get(output.node.index()) == Some(&true) || self.from.contains(&output)
    }
}

/// What reaches a result, if it is of its dtype and shape.
fn fitting(graph: &Graph, y: Tensor, dy: Tensor) -> Tensor {
    let (of, given) = (y.fact(), dy.fact());
    let same_graph = dy.graph().id() == graph.id();
    match of.shape.unify(&given.shape) {
        Some(_) if same_graph && of.dtype == given.dtype => dy,
        _ if !same_graph => graph.mistake(format!("gradients: {} is of another graph than {}", dy.name(), y.name())),
        _ => graph.mistake(format!(
            "gradients: the upstream gradient of {} is {}{}, not {}{}",
            y.name(),
            given.dtype,
            given.shape,
            of.dtype,
            of.shape
        )),
    }
}

/// A branch and those that it is in, innermost first.
fn branches(graph: &Graph, branch: Option<BranchId>) -> impl Iterator<Item = (BranchId, BranchInfo)> + '_ {
    let info = |branch: BranchId| graph.branch(branch).map(|info| (branch, info));
    std::iter::successors(branch.and_then(info), move |(_, b)| b.parent.and_then(info))
}

/// Slices of a tensor from one side of a choice; of the other, all rows as zeros, as TensorFlow has it.
fn rows_of_side(graph: &Graph, x: Tensor, predicate: Tensor, side: bool, slices: IndexedSlices) -> Tensor {
    let dtype = slices.indices().dtype();
    let taken = || [slices.values(), slices.indices()];
    let zeros = || {
        let count = x.shape_of().slice([0], [1]).squeeze_axes(&[0]);
        [x.zeros_like(), graph.range_of(graph.constant(0), count, graph.constant(1)).cast(dtype)]
    };
    let [values, indices] =
        if side { graph.cond(predicate, taken, zeros) } else { graph.cond(predicate, zeros, taken) };
    IndexedSlices::new(values, indices, x).dense()
}

/// The sum of what reached one tensor, oldest reader first; keeps it as the one entry. Of slices it is slices.
fn sum(graph: &Graph, parts: &mut Parts) -> Option<Tensor> {
    if parts.len() > 1 {
        parts.reverse();
        let total = IndexedSlices::of_sum(parts).map_or_else(|| graph.apply(Op::AddN, parts), IndexedSlices::dense);
        parts.clear();
        parts.push(total);
    }
    parts.first().copied()
}

fn differentiate(
    graph: &'static Graph,
    id: NodeId,
    node: &Node,
    wanted: &[bool],
    dy: &[Option<Tensor>],
) -> SmallVec<[Option<Tensor>; 3]> {
    let none = || smallvec![None; node.operands.len()];
    match &node.kind {
        NodeKind::Op(op) => {
            let site = Site::new(graph, id, node, wanted, dy);
            let mut found = rules::rule(op, &site);
            found.resize(node.operands.len(), None);
            found
        }
        NodeKind::PlaceholderWithDefault => smallvec![dy[0]],
        NodeKind::Dynamic(op) => {
            let mut found = rules::dynamic(op, &Site::new(graph, id, node, wanted, dy));
            found.resize(node.operands.len(), None);
            found
        }
        NodeKind::Custom(custom) => custom_gradient(graph, id, node, custom, dy),
        NodeKind::Random { distribution: Distribution::Gamma { .. }, .. } => {
            rules::gamma_draw(&Site::new(graph, id, node, wanted, dy))
        }
        // Each side gets what reaches the choice; on the way out of its branch it is chosen again.
        NodeKind::Choice => std::iter::once(None).chain(dy.iter().copied()).chain(dy.iter().copied()).collect(),
        NodeKind::Placeholder
        | NodeKind::Constant(_)
        | NodeKind::Variable(_)
        | NodeKind::Read(_)
        | NodeKind::Initialized(_)
        | NodeKind::Assign { .. }
        | NodeKind::Random { .. }
        | NodeKind::Group
        | NodeKind::Mistake => none(),
    }
}

/// What an operation of one's own says its gradients are, where that can be.
fn custom_gradient(
    graph: &'static Graph,
    id: NodeId,
    node: &Node,
    custom: &Custom,
    dy: &[Option<Tensor>],
) -> SmallVec<[Option<Tensor>; 3]> {
    let operands: Vec<Tensor> = node.operands.iter().map(|o| graph.output(*o)).collect();
    let results = (0..node.facts.len() as u32).map(|port| graph.output(Output { node: id, port })).collect();
    let found = match custom.op() {
        Ok(op) => op.gradient(&Differentiated { operands: operands.clone(), results, upstream: dy.to_vec() }),
        Err(message) => Some(vec![Some(graph.mistake(format!("gradients: {}: {message}", node.name)))]),
    };
    let mut found: SmallVec<[Option<Tensor>; 3]> = found.unwrap_or_default().into();
    if found.len() > operands.len() {
        graph.mistake(format!("gradients: {} gives {} for {} operands", node.name, found.len(), operands.len()));
    }
    found.resize(operands.len(), None);
    for (gradient, x) in found.iter_mut().zip(operands) {
        if let Some(g) = gradient {
            let fits = g.dtype() == x.dtype() && g.shape().unify(&x.shape()).is_some();
            if !fits && g.graph().node(g.output().node).is_some_and(|n| n.kind != NodeKind::Mistake) {
                let (given, wanted) = (g.fact(), x.fact());
                *gradient = Some(graph.mistake(format!(
                    "gradients: {} gives {}{} for {}, which is {}{}",
                    node.name,
                    given.dtype,
                    given.shape,
                    x.name(),
                    wanted.dtype,
                    wanted.shape
                )));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use dormouse_graph::{Array, Linalg, Nn, Reduction};
    use dormouse_value::{DType, shape};

    use super::*;

    #[test]
    fn gradients_have_the_dtype_and_shape_of_their_sources() {
        let graph = Graph::new();
        let x = graph.placeholder(DType::F64, shape![?, 3]);
        let w = graph.fill(&[3, 4], 0.5, DType::F64);
        let b = graph.fill(&[4], 0.5, DType::F64);
        let y = (x.matmul(w) + b).tanh().mean();
        let [dx, dw, db] = gradients(y, [x, w, b]);
        for (g, of) in [(dx, x), (dw, w), (db, b)] {
            assert_eq!(g.fact(), of.fact());
        }
        assert!(graph.check().is_ok());
    }

    #[test]
    fn what_meets_at_a_tensor_is_one_sum() {
        let graph = Graph::new();
        let x = graph.constant([1.0_f32, 2.0]);
        let [dx] = gradients(x.exp() + x.sin() + x, [x]);
        let node = graph.node(dx.output().node);
        assert!(node.is_some_and(|n| n.kind == NodeKind::Op(Op::AddN) && n.operands.len() == 3));
    }

    #[test]
    fn gradients_of_gradients_build() {
        let graph = Graph::new();
        let x = graph.constant([[1.0_f32, 2.0], [3.0, 4.0]]);
        let y = x.softmax() * x.sigmoid() + x.relu() + x.prod_over(1).expand_dims(1) + x.max();
        let [first] = gradients(y, [x]);
        let [second] = gradients(first, vec![x]).try_into().unwrap_or([x]);
        assert_eq!(second.fact(), x.fact());
        assert_ne!(second, x);
        assert!(graph.check().is_ok());
    }

    #[test]
    fn an_unconnected_source_is_a_mistake_that_names_both() {
        let graph = Graph::new();
        let x = graph.constant([1.0_f32, 2.0]).named("x");
        let z = graph.constant([1.0_f32, 2.0]).named("z");
        let y = x.exp().named("y");
        let [_] = gradients(y, [z]);
        let told = graph.check().map_err(|m| m.to_string()).err().unwrap_or_default();
        assert!(told.contains("gradients: y:0 does not depend on z:0"), "{told}");
    }

    #[test]
    fn a_node_that_passes_no_gradient_is_named() {
        let graph = Graph::new();
        let x = graph.constant([1.0_f32, 2.0]).named("x");
        let y = x.stop_gradient().named("wall").exp().named("y");
        let [_] = gradients(y, [x]);
        let told = graph.check().map_err(|m| m.to_string()).err().unwrap_or_default();
        assert!(told.contains("no gradient of y:0 reaches x:0: wall passes none"), "{told}");
    }

    #[test]
    fn a_cross_entropy_has_a_gradient_for_variables_alone() {
        let graph = Graph::new();
        let w = graph.variable(graph.fill(&[2, 3], 0.1, DType::F32));
        let unused = graph.variable(graph.fill(&[2], 0.1, DType::F32));
        let labels = graph.constant([0_i32, 2]);
        let found = Gradients::of(w.sparse_softmax_cross_entropy(labels).mean()).or_none([w, unused]);
        assert_eq!(found[0].map(Tensor::fact), Some(w.value().fact()));
        assert!(found[1].is_none());
        assert!(graph.check().is_ok());
    }
}
