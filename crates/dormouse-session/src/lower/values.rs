//! The values of a graph's tensors while it is lowered. Nodes are numbered without gaps, and nearly all give one tensor, so a
//! list serves better than a map.

use dormouse_graph::{Frozen, Output};
use rustc_hash::FxHashMap;

use crate::program::ValueId;

/// The value of each tensor that has one.
pub(super) struct Values {
    /// Those of nodes' first results, or of their only ones; [`NOWHERE`] where there is none.
    first: Vec<ValueId>,
    others: FxHashMap<Output, ValueId>,
}

/// No value.
const NOWHERE: ValueId = ValueId(u32::MAX);

impl Values {
    pub(super) fn of(graph: &Frozen) -> Values {
        Values { first: vec![NOWHERE; graph.nodes().len()], others: FxHashMap::default() }
    }

    pub(super) fn get(&self, output: Output) -> Option<ValueId> {
        if output.port == 0 {
            return self.first.get(output.node.index()).copied().filter(|value| *value != NOWHERE);
        }
        self.others.get(&output).copied()
    }

    pub(super) fn contains(&self, output: Output) -> bool {
        self.get(output).is_some()
    }

    /// The value of a tensor that has one, as the operands of a node that is not blocked have.
    pub(super) fn of_output(&self, output: Output) -> ValueId {
        self.get(output).expect("nodes come after their operands")
    }

    pub(super) fn set(&mut self, output: Output, value: ValueId) {
        match self.first.get_mut(output.node.index()).filter(|_| output.port == 0) {
            Some(first) => *first = value,
            None => _ = self.others.insert(output, value),
        }
    }

    /// Gives a tensor its value, if it has none: what is fed stays.
    pub(super) fn add(&mut self, output: Output, value: ValueId) {
        if !self.contains(output) {
            self.set(output, value);
        }
    }
}
