//! The pass: which nodes lie between the sources and the result, and how what reaches a tensor is summed. It knows no
//! operation; those are the rules' business.

use std::sync::Arc;

use dormouse_graph::{Elementwise, Graph, Node, NodeId, NodeKind, Output, Symbol, Tensor, Variable, VariableId};
use dormouse_value::Op;
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

/// ∂Σy/∂x for each of `xs`, tensors or variables: shaped as x, of its dtype.
///
/// # Errors
/// Where y is not of floats or does not depend on an x differentiably, the gradient is a recorded mistake.
#[track_caller]
pub fn gradients<S: Sources>(y: impl Symbol, xs: S) -> S::Gradients {
    let y = y.tensor();
    let sources = xs.sources();
    let graph = y.graph();
    graph.located(|| {
        let mut pass = Pass::new(y, &sources);
        let found = pass.run();
        let gradients = sources.iter().zip(found).map(|(source, g)| g.unwrap_or_else(|| pass.unconnected(*source)));
        xs.collect(gradients.collect())
    })
}

/// As [`gradients`] with respect to variables, with `None` for those that y does not depend on.
#[track_caller]
pub fn gradients_or_none(y: impl Symbol, xs: &[Variable]) -> Vec<Option<Tensor>> {
    let y = y.tensor();
    let sources: Vec<Source> = xs.iter().map(|x| (*x).into()).collect();
    y.graph().located(|| Pass::new(y, &sources).run())
}

struct Pass<'a> {
    y: Tensor,
    sources: &'a [Source],
    /// The nodes up to y's; empty where y is dead or carries no gradient.
    nodes: Vec<Arc<Node>>,
    /// The outputs that each source stands for.
    outputs: Vec<Vec<Output>>,
    /// Nodes that a gradient reached and that gave none to an operand.
    blocked: Vec<NodeId>,
}

impl<'a> Pass<'a> {
    fn new(y: Tensor, sources: &'a [Source]) -> Self {
        let graph = y.graph();
        let last = if y.is_dead() { 0 } else { y.output().node.0 + 1 };
        let nodes: Vec<Arc<Node>> = (0..last).map_while(|i| graph.node(NodeId(i))).collect();
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
        Pass { y, sources, nodes, outputs, blocked: Vec::new() }
    }

    fn run(&mut self) -> Vec<Option<Tensor>> {
        let graph = self.y.graph();
        if !self.y.dtype().is_float() || self.nodes.is_empty() {
            return vec![None; self.sources.len()];
        }
        graph.name_scope("gradients", || {
            let mut sums = self.walk(graph);
            let outputs = std::mem::take(&mut self.outputs);
            let found = outputs.iter().map(|outputs| {
                let parts: Vec<Tensor> =
                    outputs.iter().filter_map(|o| sums.get_mut(o).and_then(|p| sum(graph, p))).collect();
                let mut parts: Vec<Tensor> = parts.into_iter().rev().collect();
                sum(graph, &mut parts)
            });
            let found = found.collect();
            self.outputs = outputs;
            found
        })
    }

    /// What reaches each output, newest reader first; one entry once it has been summed.
    fn walk(&mut self, graph: &'static Graph) -> FxHashMap<Output, Vec<Tensor>> {
        let reached = self.reached(&self.outputs.iter().flatten().copied().collect());
        let mut sums: FxHashMap<Output, Vec<Tensor>> = FxHashMap::default();
        sums.insert(self.y.output(), vec![self.y.ones_like()]);
        for (i, node) in self.nodes.iter().enumerate().rev() {
            let wanted: SmallVec<[bool; 3]> = node.operands.iter().map(|o| reached.contains(o)).collect();
            if !wanted.contains(&true) {
                continue;
            }
            let id = NodeId(i as u32);
            let outputs = (0..).zip(&node.facts).map(|(port, _)| Output { node: id, port });
            let parts: SmallVec<[Output; 2]> = outputs.filter(|o| sums.contains_key(o)).collect();
            if parts.is_empty() {
                continue;
            }
            let found = graph.gradient_of(id, || {
                graph.name_scope(&format!("{}_grad", node.name), || {
                    let mut dy: SmallVec<[Option<Tensor>; 2]> = smallvec![None; node.facts.len()];
                    for part in parts {
                        dy[part.port as usize] = sums.get_mut(&part).and_then(|p| sum(graph, p));
                    }
                    differentiate(graph, id, node, &wanted, &dy)
                })
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

    fn carries(&self, output: Output) -> bool {
        let fact = self.nodes.get(output.node.index()).and_then(|n| n.facts.get(output.port as usize));
        fact.is_some_and(|f| f.dtype.is_float())
    }

    /// The outputs that depend on these, and these.
    fn reached(&self, from: &FxHashSet<Output>) -> FxHashSet<Output> {
        let mut reached = from.clone();
        for (i, node) in (0..).zip(&self.nodes) {
            if node.operands.iter().any(|o| reached.contains(o)) {
                reached.extend((0..).zip(&node.facts).map(|(port, _)| Output { node: NodeId(i), port }));
            }
        }
        reached
    }

    fn unconnected(&self, source: Source) -> Tensor {
        let graph = self.y.graph();
        let poisoned = |t: Tensor| t.graph().node(t.output().node).is_none_or(|n| n.kind == NodeKind::Mistake);
        if poisoned(self.y) {
            // Its mistake is told already.
            return self.y;
        }
        let (y, x) = (self.y.name(), source.name());
        if source.graph().id() != graph.id() {
            return graph.mistake(format!("gradients: {x} is of another graph than {y}"));
        }
        let dtype = self.y.dtype();
        if !dtype.is_float() {
            return graph.mistake(format!("gradients: {y} is {dtype}, which has no gradient; cast it to a float"));
        }
        let of_source = self.sources.iter().zip(&self.outputs).filter(|(s, _)| s.name() == x);
        let reached = self.reached(&of_source.flat_map(|(_, o)| o.iter().copied()).collect());
        let blocking = self.blocked.iter().map(|id| &self.nodes[id.index()]);
        let mut blocking = blocking.filter(|n| n.operands.iter().any(|o| reached.contains(o)));
        match blocking.next() {
            Some(node) => {
                graph.mistake(format!("gradients: no gradient of {y} reaches {x}: {} passes none", node.name))
            }
            None => graph.mistake(format!("gradients: {y} does not depend on {x}")),
        }
    }
}

/// The sum of what reached one tensor, oldest reader first; keeps it as the one entry.
fn sum(graph: &Graph, parts: &mut Vec<Tensor>) -> Option<Tensor> {
    if parts.len() > 1 {
        parts.reverse();
        let total = graph.apply(Op::AddN, parts);
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
        let found = gradients_or_none(w.sparse_softmax_cross_entropy(labels).mean(), &[w, unused]);
        assert_eq!(found[0].map(Tensor::fact), Some(w.value().fact()));
        assert!(found[1].is_none());
        assert!(graph.check().is_ok());
    }
}
