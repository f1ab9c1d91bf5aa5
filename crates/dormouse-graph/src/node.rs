//! Nodes: what one entry of the arena is. Plain data, so that sessions and files can hold it without the graph.

use std::sync::Arc;

use dormouse_value::{DType, Distribution, DynamicOp, Op, ScatterOp, Shape, Value};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::custom::Custom;

/// The place of a node in its graph's arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The place as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One of the tensors that a node gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Output {
    /// The node.
    pub node: NodeId,
    /// Which of its tensors, from 0.
    pub port: u32,
}

/// The number of a variable in its graph, in the order they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VariableId(pub u32);

impl VariableId {
    /// The number as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A graph of this process. Numbers are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GraphId(pub(crate) u64);

/// What is known of a tensor before it runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fact {
    /// The elements' type.
    pub dtype: DType,
    /// The shape, as far as it is known.
    pub shape: Shape,
}

impl Fact {
    /// A dtype and a shape.
    pub fn new(dtype: DType, shape: impl Into<Shape>) -> Self {
        Fact { dtype, shape: shape.into() }
    }

    /// What stands for the fact of a tensor that there is not.
    pub(crate) fn unknown() -> Self {
        Fact::new(DType::F32, Shape::unknown())
    }
}

/// The number of a branch in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BranchId(pub u32);

impl BranchId {
    /// The number as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One side of a choice: what is built in it is for runs in which the predicate is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BranchInfo {
    /// A boolean scalar.
    pub predicate: Output,
    /// What it has to be.
    pub side: bool,
    /// The branch that this one is in.
    pub parent: Option<BranchId>,
}

/// How a write changes its variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Write {
    /// w ← value.
    Set,
    /// w ← w + value.
    Add,
    /// w ← w − value.
    Sub,
    /// w ← w, changed by updates at indices: the operands after w of [`dormouse_value::Op::ScatterNd`] without batches.
    Scatter(ScatterOp),
}

/// The pair of seeds of a random node, as TensorFlow's attributes `seed` and `seed2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Seeds {
    /// From the graph.
    pub graph: i64,
    /// From the operation.
    pub operation: i64,
}

/// What a node does. Mathematics is one kind; the others have effects or no operands.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeKind {
    /// An operation without effects.
    Op(Op),
    /// A tensor that every run which needs it must feed.
    Placeholder,
    /// (default): the fed value, or else the operand.
    PlaceholderWithDefault,
    /// A value, the same in every run.
    Constant(Value),
    /// A variable; its tensor is the value from before the run.
    Variable(VariableId),
    /// The value of a variable as of this node's place among the writes.
    Read(VariableId),
    /// The value of a variable after its initializer, where the run includes that one; else as from before the run.
    Initialized(VariableId),
    /// (value): changes a variable; its tensor is the variable's new value.
    Assign {
        /// Which variable.
        variable: VariableId,
        /// How.
        write: Write,
    },
    /// Draws from a distribution; with an operand, in the operand's shape, else in the fact's.
    Random {
        /// Of what.
        distribution: Distribution,
        /// Where the generator starts.
        seeds: Seeds,
    },
    /// An operation whose results' shapes depend on numbers.
    Dynamic(DynamicOp),
    /// (predicate, then₀, …, otherwise₀, …): the tensors of one side; only that side's are computed.
    Choice,
    /// An operation of the program's own.
    Custom(Custom),
    /// Nothing but its control inputs; gives no tensor.
    Group,
    /// Stands where a node could not be built; every session refuses it.
    Mistake,
}

/// Where in a program a node was built.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// The file, as the compiler names it.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
}

/// The file and the line, `examples/mnist.rs:41`; a folder that the path leaves again is left out.
impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts: Vec<&str> = Vec::new();
        for part in self.file.split('/') {
            if part == ".." && parts.last().is_some_and(|last| !matches!(*last, "" | "." | "..")) {
                parts.pop();
            } else {
                parts.push(part);
            }
        }
        write!(f, "{}:{}", parts.join("/"), self.line)
    }
}

/// One entry of the arena. Operands and control inputs are always older than the node.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it does.
    pub kind: NodeKind,
    /// Its name, unique in the graph ignoring case.
    pub name: Arc<str>,
    /// The tensors it reads, in order.
    pub operands: SmallVec<[Output; 3]>,
    /// Nodes that must have run before it.
    pub control: SmallVec<[NodeId; 2]>,
    /// One fact a tensor that it gives.
    pub facts: SmallVec<[Fact; 1]>,
    /// Where it was built.
    pub source: Source,
    /// The forward node that it is part of the gradient of.
    pub gradient_of: Option<NodeId>,
    /// The branch that it was built in.
    pub branch: Option<BranchId>,
}

/// A variable's entry in its graph.
#[derive(Clone, Debug, PartialEq)]
pub struct VariableInfo {
    /// The variable's node.
    pub node: NodeId,
    /// The tensor it starts from.
    pub initial_value: Output,
    /// The write of that tensor.
    pub initializer: NodeId,
    /// Whether optimizers change it unless told otherwise.
    pub trainable: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_shown_without_detours() {
        let shown = |file: &str| Source { file: file.into(), line: 7 }.to_string();
        assert_eq!(shown("crates/dormouse/../../examples/mnist.rs"), "examples/mnist.rs:7");
        assert_eq!(shown("../model/src/main.rs"), "../model/src/main.rs:7");
        assert_eq!(shown("/../a.rs"), "/../a.rs:7");
        assert_eq!(shown("src/main.rs"), "src/main.rs:7");
    }
}
