//! A frozen graph: what sessions run and files hold. It borrows nothing and never changes.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use dormouse_value::{DType, Op};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::build::control::chosen;
use crate::graph::parse_output_name;
use crate::infer::draw::drawn;
use crate::infer::{infer, infer_dynamic};
use crate::node::{BranchInfo, Fact, GraphId, Node, NodeId, NodeKind, Output, VariableId, VariableInfo, Write};
use crate::tensor::Member;

/// The contents of a graph at one moment, in insertion order, which is a topological order.
#[derive(Clone, Debug)]
pub struct Frozen {
    id: GraphId,
    nodes: Vec<Arc<Node>>,
    variables: Vec<VariableInfo>,
    collections: BTreeMap<String, Vec<Member>>,
    branches: Vec<BranchInfo>,
    seed: Option<i64>,
    unseeded: i64,
    index: OnceLock<FxHashMap<Arc<str>, NodeId>>,
}

impl Frozen {
    /// The parts of a graph, as [`Graph::freeze`](crate::Graph::freeze) or a file has them; of seeds, the graph's and the
    /// number of random operations without one of their own.
    pub fn new(
        id: GraphId,
        nodes: Vec<Arc<Node>>,
        variables: Vec<VariableInfo>,
        collections: BTreeMap<String, Vec<Member>>,
        seeds: (Option<i64>, i64),
    ) -> Self {
        let (seed, unseeded) = seeds;
        Frozen { id, nodes, variables, collections, branches: Vec::new(), seed, unseeded, index: OnceLock::new() }
    }

    /// The same, with the branches that its nodes are in.
    #[must_use]
    pub fn with_branches(self, branches: Vec<BranchInfo>) -> Self {
        Frozen { branches, ..self }
    }

    /// The branches of its choices.
    pub fn branches(&self) -> &[BranchInfo] {
        &self.branches
    }

    /// The graph it was.
    pub fn id(&self) -> GraphId {
        self.id
    }

    /// All nodes.
    pub fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    /// One node.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.index()).map(Arc::as_ref)
    }

    /// What is known of a tensor.
    pub fn fact(&self, output: Output) -> Option<&Fact> {
        self.node(output.node)?.facts.get(output.port as usize)
    }

    /// All variables, in the order they were made.
    pub fn variables(&self) -> &[VariableInfo] {
        &self.variables
    }

    /// A variable's name: its node's.
    pub fn variable_name(&self, id: VariableId) -> Option<&str> {
        Some(&self.node(self.variables.get(id.index())?.node)?.name)
    }

    /// The collections.
    pub fn collections(&self) -> &BTreeMap<String, Vec<Member>> {
        &self.collections
    }

    /// The graph-level seed, if one was set.
    pub fn seed(&self) -> Option<i64> {
        self.seed
    }

    /// How many random operations so far have no seed of their own: what the next one's is counted from.
    pub fn unseeded(&self) -> i64 {
        self.unseeded
    }

    /// The node called `name`.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        let index = self
            .index
            .get_or_init(|| self.nodes.iter().enumerate().map(|(i, n)| (n.name.clone(), NodeId(i as u32))).collect());
        index.get(name).copied()
    }

    /// The tensor called `name`, as `"node"` or `"node:port"`.
    pub fn find_output(&self, name: &str) -> Option<Output> {
        let (node, port) = parse_output_name(name)?;
        let output = Output { node: self.find(node)?, port };
        self.fact(output).map(|_| output)
    }

    /// The name of a tensor: `"add:0"`.
    pub fn output_name(&self, output: Output) -> String {
        self.node(output.node).map_or_else(|| "?".to_owned(), |n| format!("{}:{}", n.name, output.port))
    }

    /// Checks what a file could have wrong: that operands are older than their nodes and exist, that inference agrees
    /// with every fact, that names are unique, that variables are where they are said to be.
    ///
    /// # Errors
    /// The first thing that is wrong, in one line that names the node.
    pub fn verify(&self) -> Result<(), String> {
        let mut names = FxHashSet::default();
        for (i, node) in self.nodes.iter().enumerate() {
            let told = |what: String| format!("node {i} ({:?}): {what}", node.name);
            if !names.insert(node.name.to_lowercase()) {
                return Err(told("its name is taken".to_owned()));
            }
            if node.control.iter().any(|c| c.index() >= i) || node.gradient_of.is_some_and(|g| g.index() >= i) {
                return Err(told("a control input is not older than it".to_owned()));
            }
            if let Some(branch) = node.branch {
                let info = self.branches.get(branch.index()).ok_or_else(|| told("it is in no branch".to_owned()))?;
                if info.predicate.node.index() >= i {
                    return Err(told("its branch's predicate is not older than it".to_owned()));
                }
            }
            let mut facts = smallvec::SmallVec::<[Fact; 4]>::new();
            for operand in &node.operands {
                if operand.node.index() >= i {
                    return Err(told("an operand is not older than it".to_owned()));
                }
                let fact = self.fact(*operand).ok_or_else(|| told("an operand does not exist".to_owned()))?;
                facts.push(fact.clone());
            }
            self.verify_kind(node, &facts).map_err(told)?;
        }
        for (i, info) in self.branches.iter().enumerate() {
            let predicate = self.fact(info.predicate).is_some_and(|fact| fact.dtype == DType::Bool);
            if !predicate || info.parent.is_some_and(|parent| parent.index() >= i) {
                return Err(format!("branch {i}: its predicate or its parent is not what it should be"));
            }
        }
        for (i, info) in self.variables.iter().enumerate() {
            let id = VariableId(i as u32);
            let own = |n: NodeId, kind: &NodeKind| self.node(n).is_some_and(|node| node.kind == *kind);
            let initializer = NodeKind::Assign { variable: id, write: Write::Set };
            if !own(info.node, &NodeKind::Variable(id))
                || !own(info.initializer, &initializer)
                || self.fact(info.initial_value).is_none()
            {
                return Err(format!("variable {i}: its nodes are not what they should be"));
            }
        }
        for (name, members) in &self.collections {
            let known = members.iter().all(|m| match *m {
                Member::Tensor(output) => self.fact(output).is_some(),
                Member::Variable(id) => id.index() < self.variables.len(),
                Member::Operation(node) => self.node(node).is_some(),
            });
            if !known {
                return Err(format!("collection {name:?}: a member does not exist"));
            }
        }
        Ok(())
    }

    fn verify_kind(&self, node: &Node, operands: &[Fact]) -> Result<(), String> {
        let count = |n: usize| {
            (operands.len() == n).then_some(()).ok_or_else(|| format!("it has {} operands, not {n}", operands.len()))
        };
        let gives = |expected: &[Fact]| {
            (node.facts.as_slice() == expected)
                .then_some(())
                .ok_or_else(|| format!("it gives {:?}, inference says {expected:?}", node.facts))
        };
        let variable = |id: VariableId| -> Result<&Fact, String> {
            let info = self.variables.get(id.index()).ok_or_else(|| format!("variable {} does not exist", id.0))?;
            self.node(info.node).and_then(|n| n.facts.first()).ok_or_else(|| "its variable has no tensor".to_owned())
        };
        match &node.kind {
            NodeKind::Op(op) => gives(&infer(op, operands)?),
            NodeKind::Placeholder => {
                count(0).and_then(|()| gives(&node.facts.iter().take(1).cloned().collect::<Vec<_>>()))
            }
            NodeKind::PlaceholderWithDefault => {
                count(1)?;
                match node.facts.as_slice() {
                    [fact] if fact.dtype == operands[0].dtype && fact.shape.unify(&operands[0].shape).is_some() => {
                        Ok(())
                    }
                    _ => Err("its default does not fit it".to_owned()),
                }
            }
            NodeKind::Constant(value) => {
                count(0)?;
                gives(&[Fact::new(value.dtype(), value.shape())])
            }
            NodeKind::Variable(id) | NodeKind::Read(id) | NodeKind::Initialized(id) => {
                count(0)?;
                let fact = variable(*id)?;
                if fact.shape.to_dims().is_none() {
                    return Err("a variable's shape is not known".to_owned());
                }
                gives(std::slice::from_ref(fact))
            }
            NodeKind::Assign { variable: id, write: Write::Scatter(op) } => {
                count(2)?;
                let fact = variable(*id)?;
                let op = Op::ScatterNd { op: *op, batch_dims: 0 };
                gives(&infer(&op, &[fact.clone(), operands[0].clone(), operands[1].clone()])?)
            }
            NodeKind::Assign { variable: id, write: Write::Set | Write::Add | Write::Sub } => {
                count(1)?;
                let fact = variable(*id)?;
                if fact.dtype != operands[0].dtype || fact.shape.unify(&operands[0].shape).is_none() {
                    return Err("the value does not fit its variable".to_owned());
                }
                gives(std::slice::from_ref(fact))
            }
            NodeKind::Random { distribution, .. } => match node.facts.as_slice() {
                [fact] if drawn(*distribution, operands, fact)? == *fact => Ok(()),
                _ => Err("it draws another shape".to_owned()),
            },
            NodeKind::Dynamic(op) => gives(&infer_dynamic(op, operands)?),
            // Of an operation that the program does not have nothing is known, and no run of it begins.
            NodeKind::Custom(custom) => custom.op().map_or(Ok(()), |_| gives(&custom.infer(operands)?)),
            NodeKind::Choice => gives(&chosen(operands)?),
            NodeKind::Group => count(0).and_then(|()| gives(&[])),
            NodeKind::Mistake => Err("it could not be built".to_owned()),
        }
    }
}
