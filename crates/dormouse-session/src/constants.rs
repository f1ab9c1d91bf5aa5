//! Constants out of variables: a trained model as a graph that only answers.

use std::sync::Arc;

use dormouse_graph::{Frozen, Member, Node, NodeId, NodeKind, Output, Tensor};
use dormouse_value::Op;
use smallvec::SmallVec;

use crate::error::{Kind, Result};
use crate::lower::place;
use crate::session::Session;

impl Session {
    /// The part of the graph that these tensors need, with constants for its variables, of the values that they have now:
    /// TensorFlow's `convert_variables_to_constants`. Nodes keep their names.
    ///
    /// # Errors
    /// When a tensor is not of the session's graph, a variable has no value, or a tensor depends on a write of one.
    pub fn freeze_variables(&self, outputs: &[Tensor]) -> Result<Frozen> {
        let graph = self.graph();
        let values = self.snapshot().variables;
        let variable = |v: dormouse_graph::VariableId| graph.variables()[v.index()].node;
        let mut needed = vec![false; graph.nodes().len()];
        let mut stack = Vec::new();
        for output in outputs {
            let (what, name) = ("tensor", output.name());
            if output.is_dead() {
                return Err(Kind::Dropped { what }.into());
            } else if output.graph().id() != graph.id() {
                return Err(Kind::OtherGraph { what, name }.into());
            } else if graph.fact(output.output()).is_none() {
                return Err(Kind::AddedLater { what, name }.into());
            }
            stack.push(output.output().node);
        }
        while let Some(id) = stack.pop() {
            if std::mem::replace(&mut needed[id.index()], true) {
                continue;
            }
            let Some(node) = graph.node(id) else { continue };
            stack.extend(node.operands.iter().map(|o| o.node).chain(node.control.iter().copied()));
            if let NodeKind::Read(v) | NodeKind::Initialized(v) = node.kind {
                stack.push(variable(v));
            }
        }
        // Where each node of the old graph is in the new one. Operands are older than their nodes, so they are there.
        let mut places: Vec<Option<NodeId>> = vec![None; needed.len()];
        let mut nodes: Vec<Arc<Node>> = Vec::new();
        for (i, node) in graph.nodes().iter().enumerate().filter(|(i, _)| needed[*i]) {
            let moved = |id: NodeId| places[id.index()];
            let output = |o: Output| moved(o.node).map(|node| Output { node, port: o.port });
            let mut operands: SmallVec<[Output; 3]> = node.operands.iter().filter_map(|o| output(*o)).collect();
            let kind = match &node.kind {
                NodeKind::Variable(_) => match values.get(&*node.name) {
                    Some(value) => NodeKind::Constant(value.clone()),
                    None => return Err(Kind::Uninitialized { name: node.name.to_string() }.into()),
                },
                NodeKind::Read(v) | NodeKind::Initialized(v) => {
                    operands = output(Output { node: variable(*v), port: 0 }).into_iter().collect();
                    NodeKind::Op(Op::Identity)
                }
                NodeKind::Assign { .. } => {
                    let message = "it writes a variable, which a graph of constants cannot".to_owned();
                    return Err(Kind::Node { place: place(graph, NodeId(i as u32)), message }.into());
                }
                NodeKind::Op(_)
                | NodeKind::Placeholder
                | NodeKind::PlaceholderWithDefault
                | NodeKind::Constant(_)
                | NodeKind::Random { .. }
                | NodeKind::Dynamic(_)
                | NodeKind::Choice
                | NodeKind::Custom(_)
                | NodeKind::Group
                | NodeKind::Mistake => node.kind.clone(),
            };
            let control = node.control.iter().filter_map(|c| moved(*c)).collect();
            let gradient_of = node.gradient_of.and_then(moved);
            // Branches are for what is built onto a graph, and this one only answers.
            let node = Node { kind, operands, control, gradient_of, branch: None, ..node.as_ref().clone() };
            places[i] = Some(NodeId(nodes.len() as u32));
            nodes.push(Arc::new(node));
        }
        let member = |member: &Member| match *member {
            Member::Tensor(o) => places[o.node.index()].map(|node| Member::Tensor(Output { node, port: o.port })),
            Member::Operation(node) => places[node.index()].map(Member::Operation),
            Member::Variable(_) => None,
        };
        let collections = graph
            .collections()
            .iter()
            .map(|(name, members)| (name.clone(), members.iter().filter_map(member).collect::<Vec<_>>()));
        let collections = collections.filter(|(_, members)| !members.is_empty()).collect();
        Ok(Frozen::new(graph.id(), nodes, Vec::new(), collections, (graph.seed(), graph.unseeded())))
    }
}
