//! Checked: a write to rows that a gather has taken from an array of no more rows cannot fail, so that it may be made in place,
//! after all that can. What optimizers keep for the rows of an embedding is written so.

use dormouse_value::Op;
use rustc_hash::FxHashMap;

use crate::passes::op_of;
use crate::program::{Action, Program, ValueId};

pub(super) fn checked(program: &mut Program) {
    // Row numbers, and of how many rows a gather has found them to be.
    let mut rows: FxHashMap<ValueId, usize> = FxHashMap::default();
    for i in 0..program.instructions.len() {
        let instruction = &program.instructions[i];
        let action = match (op_of(instruction), instruction.operands.as_slice()) {
            (Some(Op::Gather { axis: 0 }), &[x, indices]) => {
                let extent = program.spec(x).dims.first().copied().unwrap_or(0);
                let least = rows.entry(program.root(indices)).or_insert(extent);
                *least = extent.min(*least);
                None
            }
            (Some(Op::ScatterNd { op, batch_dims: 0 }), &[x, indices, _]) => {
                let extent = program.spec(x).dims.first().copied().unwrap_or(0);
                let one = program.spec(indices).dims.last() == Some(&1);
                let inside = rows.get(&program.root(indices)).is_some_and(|rows| *rows <= extent);
                (one && inside).then_some(Action::UpdateRows(*op))
            }
            _ => None,
        };
        if let Some(action) = action {
            program.instructions[i].action = action;
        }
    }
}
