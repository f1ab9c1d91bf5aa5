//! What the graph tells of shapes, where a request leaves it as it was: inference has seen these shapes before, and is not asked
//! again. Apart from lowering itself, which asks for the specs of results and not where they come from.

use dormouse_graph::{Fact, NodeId, Output, infer};
use dormouse_kernels::Spec;
use dormouse_value::Op;
use smallvec::SmallVec;

use super::Lowering;
use crate::error::Result;
use crate::program::ValueId;

impl Lowering<'_> {
    /// Notes whether a node's tensors have the shapes that the graph tells.
    pub(super) fn compare_told(&mut self, id: NodeId) {
        let Some(node) = self.graph.node(id) else { return };
        let as_told = (0..).zip(&node.facts).all(|(port, fact)| {
            self.values.get(Output { node: id, port }).is_some_and(|value| {
                let (told, dims) = (fact.shape.dims(), &self.program.spec(value).dims);
                told.is_some_and(|told| {
                    told.len() == dims.len() && told.iter().zip(dims).all(|(t, d)| t.known() == Some(*d))
                })
            })
        });
        if let Some(noted) = self.as_told.get_mut(id.index()) {
            *noted = as_told;
        }
    }

    /// The specs of an operation's results.
    pub(super) fn specs(
        &self,
        id: NodeId,
        inputs: &[Output],
        operands: &[ValueId],
        op: &Op,
    ) -> Result<SmallVec<[Spec; 2]>> {
        let specs = match self.told(id, inputs) {
            Some(told) => told,
            None => self.inferred(id, operands, op)?,
        };
        debug_assert_eq!(self.inferred(id, operands, op).ok().as_ref(), Some(&specs), "inference agrees with itself");
        specs.iter().try_for_each(|spec| self.fits(id, spec))?;
        Ok(specs)
    }

    /// What the graph tells of a node's results, if its operands are as it tells too: inference has seen these shapes before.
    fn told(&self, id: NodeId, inputs: &[Output]) -> Option<SmallVec<[Spec; 2]>> {
        if !inputs.iter().all(|input| self.as_told.get(input.node.index()) == Some(&true)) {
            return None;
        }
        let facts = &self.graph.node(id)?.facts;
        facts.iter().map(|fact| Some(Spec { dtype: fact.dtype, dims: fact.shape.to_dims()? })).collect()
    }

    /// The specs that inference gives for these operands.
    fn inferred(&self, id: NodeId, operands: &[ValueId], op: &Op) -> Result<SmallVec<[Spec; 2]>> {
        let facts: SmallVec<[Fact; 4]> = operands.iter().map(|v| self.fact(*v)).collect();
        let facts = infer(op, &facts).map_err(|message| self.failed(id, message))?;
        let spec = |fact: Fact| match fact.shape.to_dims() {
            Some(dims) => Ok(Spec { dtype: fact.dtype, dims }),
            None => Err(self.failed(id, format!("its shape, {}, is not known from its operands'", fact.shape))),
        };
        facts.into_iter().map(spec).collect()
    }
}
