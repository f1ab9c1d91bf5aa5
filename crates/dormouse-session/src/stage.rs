//! Stages: what a run has to compute before the rest of it can be planned, as shapes or choices depend on it, and what
//! it takes along from one stage to the next.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use dormouse_graph::{Frozen, NodeId, NodeKind, Output, VariableId};
use dormouse_kernels::Spec;
use dormouse_value::{DynamicOp, Value};
use rustc_hash::FxHashSet;

use crate::error::{Kind, Result};
use crate::lower::place;
use crate::team::panicked;
use crate::{custom, dynamic};

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

/// What comes after a stage that is not the last. The stage's results are the needs, then what is taken along.
#[derive(Debug)]
pub(crate) struct Next {
    pub(crate) needs: Needs,
    pub(crate) taken: Vec<(Output, Spec)>,
    pub(crate) executed: FxHashSet<NodeId>,
    /// The variables that the whole run may write.
    pub(crate) writes: Vec<VariableId>,
}

/// What the next stage is planned by.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// Tensors whose values are needed.
    pub(crate) outputs: Vec<Output>,
    /// Those among them whose numbers the plan is made for.
    pub(crate) known: FxHashSet<Output>,
    /// Nodes that are computed of them between the stages.
    pub(crate) computed: Vec<NodeId>,
}

impl Needs {
    pub(crate) fn is_empty(&self) -> bool {
        self.outputs.is_empty() && self.computed.is_empty()
    }

    fn add(&mut self, output: Output) {
        if !self.outputs.contains(&output) {
            self.outputs.push(output);
        }
    }

    /// The numbers of a tensor.
    pub(crate) fn numbers(&mut self, output: Output) {
        self.add(output);
        self.known.insert(output);
    }

    /// The results of a node, for operands that the stage gives.
    pub(crate) fn results(&mut self, node: NodeId, operands: &[Output]) {
        operands.iter().for_each(|o| self.add(*o));
        self.computed.push(node);
    }
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
        session: usize,
        progress: &Progress,
        results: Vec<Value>,
    ) -> Result<(Progress, Vec<Value>, Outcome)> {
        let mut executed = self.executed.clone();
        let Progress { mut taken, mut known, .. } = progress.clone();
        let (mut fed, mut outcome) = (Vec::new(), Outcome::new());
        let mut results = results.into_iter();
        let needed: Vec<(Output, Value)> = self.needs.outputs.iter().copied().zip(&mut results).collect();
        for (output, value) in needed.iter().filter(|(output, _)| self.needs.known.contains(output)) {
            describe(value, &mut outcome);
            outcome.extend_from_slice(value.as_bytes().unwrap_or_default());
            known.push((*output, value.clone()));
        }
        for ((output, spec), value) in self.taken.iter().zip(results) {
            taken.push((*output, spec.clone()));
            fed.push(value);
        }
        for &id in &self.needs.computed {
            executed.insert(id);
            let failed = |message: String| Kind::Node { place: place(graph, id), message };
            let values = between(graph, session, id, &needed).map_err(failed)?;
            for (port, value) in (0..).zip(values) {
                let value = value.to_standard_layout();
                describe(&value, &mut outcome);
                taken.push((Output { node: id, port }, Spec::new(value.dtype(), value.shape())));
                fed.push(value);
            }
        }
        Ok((Progress { executed: Arc::new(executed), taken, known }, fed, outcome))
    }
}

/// The results of a node that is computed between stages.
fn between(
    graph: &Frozen,
    session: usize,
    id: NodeId,
    needed: &[(Output, Value)],
) -> std::result::Result<Vec<Value>, String> {
    let Some(node) = graph.node(id) else { return Ok(Vec::new()) };
    let value = |output: &Output| needed.iter().find(|(needed, _)| needed == output).map(|(_, value)| value);
    let operands: Vec<&Value> = node.operands.iter().filter_map(value).collect();
    match (&node.kind, operands.as_slice()) {
        (NodeKind::Dynamic(op), [x]) => dynamic::compute(op, x),
        (NodeKind::Custom(custom), operands) => {
            let views: Vec<_> = operands.iter().map(|value| value.as_view()).collect();
            let op = custom.op()?;
            let call = AssertUnwindSafe(|| custom::compute(&**op, session, &views));
            let values = catch_unwind(call).unwrap_or_else(|panic| Err(panicked(&*panic).to_string()))?;
            for (i, fact) in node.facts.iter().enumerate() {
                let fits = |value: &Value| value.dtype() == fact.dtype && fact.shape.accepts(value.shape());
                if values.len() != node.facts.len() || !fits(&values[i]) {
                    let given: Vec<String> =
                        values.iter().map(|v| Spec::new(v.dtype(), v.shape()).to_string()).collect();
                    let said: Vec<String> = node.facts.iter().map(|f| format!("{}{}", f.dtype, f.shape)).collect();
                    return Err(format!("it gives {}, and said {}", given.join(", "), said.join(", ")));
                }
            }
            Ok(values)
        }
        _ => Err("it is no operation of a shape that numbers decide".to_owned()),
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
        | NodeKind::Custom(_)
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
        | DynamicOp::Range
        | DynamicOp::Segment { .. }
        | DynamicOp::SegmentSpread => false,
    }
}
