//! Folding: what depends on constants alone is computed when the plan is made, within a budget of bytes.

use dormouse_value::Op;

use crate::evaluate::of_constants;
use crate::passes::op_of;
use crate::program::Program;

/// A result of so many bytes is folded even where its operands are smaller.
const SMALL_BYTES: usize = 4096;
/// What all results of one program may take together.
const BUDGET_BYTES: usize = 16 << 20;

pub(super) fn fold(program: &mut Program) {
    let mut left = BUDGET_BYTES;
    for i in 0..program.instructions.len() {
        let instruction = &program.instructions[i];
        let Some(op) = op_of(instruction) else { continue };
        let constant =
            instruction.operands.iter().enumerate().all(|(k, o)| op.shape_only(k) || program.constant(*o).is_some());
        if !constant {
            continue;
        }
        let bytes: usize = instruction.results.iter().map(|v| program.spec(*v).bytes()).sum();
        let largest = instruction.operands.iter().map(|v| program.spec(*v).bytes()).max().unwrap_or(0);
        // A check is for the run; a broadcast costs nothing where it is read.
        let for_the_run = matches!(op, Op::CheckNumerics { .. } | Op::BroadcastTo { .. } | Op::BroadcastLike);
        if for_the_run || bytes > left || (bytes > SMALL_BYTES && bytes > largest) {
            continue;
        }
        let Some(values) = of_constants(program, instruction) else { continue };
        left -= bytes;
        program.settle(i, values);
    }
    program.instructions.retain(|i| !i.results.is_empty());
}
