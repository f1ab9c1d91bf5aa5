//! Stages: what a run has to compute before the rest of it can be planned, as shapes or choices depend on it, and what
//! it takes along from one stage to the next.

use std::sync::Arc;

use dormouse_graph::{Frozen, NodeId, NodeKind, Output, VariableId};
use dormouse_kernels::Spec;
use dormouse_value::{DynamicOp, Value};
use rustc_hash::FxHashSet;

use crate::dynamic;
use crate::error::{Kind, Result};
use crate::lower::place;

/// How far a run is when a stage is planned. The same for all runs of one request and the same outcomes so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// Nodes that have run.
    pub(crate) executed: Arc<FxHashSet<NodeId>>,
    /// Tensors of theirs that are taken along, which are fed after the request's own feeds.
    pub(crate) taken: Vec<(Output, Spec)>,
    /// Tensors whose numbers the plan is made for.
    pub(crate) known: Vec<(Output, Value)>,
}

/// A tensor that the next stage is planned by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) output: Output,
    /// The node that is computed of it between the stages; if there is none, its numbers are what is needed.
    pub(crate) computes: Option<NodeId>,
}

/// What comes after a stage that is not the last. The stage's results are the needs, then what is taken along.
#[derive(Debug)]
pub(crate) struct Next {
    pub(crate) needs: Vec<Need>,
    pub(crate) taken: Vec<(Output, Spec)>,
    pub(crate) executed: FxHashSet<NodeId>,
    /// The variables that the whole run may write.
    pub(crate) writes: Vec<VariableId>,
}

/// What a stage came to, as far as plans depend on it.
pub(crate) type Outcome = Vec<u8>;

impl Next {
    /// Takes a stage's results in: how far the run is then, what of them is fed to the next stage, and what they came to.
    ///
    /// # Errors
    /// When there is not enough memory for what is computed between the stages.
    pub(crate) fn advance(
        &self,
        graph: &Frozen,
        progress: &Progress,
        results: Vec<Value>,
    ) -> Result<(Progress, Vec<Value>, Outcome)> {
        let mut executed = self.executed.clone();
        let Progress { mut taken, mut known, .. } = progress.clone();
        let (mut fed, mut outcome) = (Vec::new(), Outcome::new());
        let mut results = results.into_iter();
        let mut computed = Vec::new();
        for (need, value) in self.needs.iter().zip(&mut results) {
            match need.computes {
                None => {
                    describe(&value, &mut outcome);
                    outcome.extend_from_slice(value.as_bytes().unwrap_or_default());
                    known.push((need.output, value));
                }
                Some(node) => {
                    executed.insert(node);
                    let values = match graph.node(node).map(|n| &n.kind) {
                        Some(NodeKind::Dynamic(op)) => dynamic::compute(op, &value),
                        _ => Err("it is no operation of a shape that numbers decide".to_owned()),
                    };
                    let values = values.map_err(|message| Kind::Node { place: place(graph, node), message })?;
                    for (port, value) in (0..).zip(values) {
                        describe(&value, &mut outcome);
                        computed.push((Output { node, port }, value));
                    }
                }
            }
        }
        for ((output, spec), value) in self.taken.iter().zip(results) {
            taken.push((*output, spec.clone()));
            fed.push(value);
        }
        for (output, value) in computed {
            taken.push((output, Spec::new(value.dtype(), value.shape())));
            fed.push(value);
        }
        Ok((Progress { executed: Arc::new(executed), taken, known }, fed, outcome))
    }
}

fn describe(value: &Value, outcome: &mut Outcome) {
    outcome.push(value.dtype() as u8);
    outcome.extend_from_slice(&(value.shape().len() as u64).to_le_bytes());
    value.shape().iter().for_each(|n| outcome.extend_from_slice(&(*n as u64).to_le_bytes()));
}

/// Whether a node's tensor costs nothing to have again, so that nothing of it is taken along.
pub(crate) fn is_source(kind: &NodeKind) -> bool {
    match kind {
        NodeKind::Placeholder
        | NodeKind::Constant(_)
        | NodeKind::Variable(_)
        | NodeKind::Read(_)
        | NodeKind::Initialized(_) => true,
        NodeKind::Op(_)
        | NodeKind::PlaceholderWithDefault
        | NodeKind::Assign { .. }
        | NodeKind::Random { .. }
        | NodeKind::Dynamic(_)
        | NodeKind::Choice
        | NodeKind::Group
        | NodeKind::Mistake => false,
    }
}

/// Whether an operation is computed between stages, as no numbers but all of its operand's say what shape it has.
pub(crate) fn is_between(op: &DynamicOp) -> bool {
    match op {
        DynamicOp::NonZero | DynamicOp::Unique { .. } => true,
        DynamicOp::Reshape
        | DynamicOp::BroadcastTo
        | DynamicOp::Tile
        | DynamicOp::TileGrad
        | DynamicOp::Slice
        | DynamicOp::SliceGrad
        | DynamicOp::Range => false,
    }
}
