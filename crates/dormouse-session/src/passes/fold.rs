//! Folding: what depends on constants alone is computed when the plan is made, within a budget of bytes.

use dormouse_kernels::{Spec, compile};
use dormouse_value::Op;

use crate::evaluate::evaluate;
use crate::passes::{op_of, specs};
use crate::program::{Origin, Program};

/// A result of so many bytes is folded even where its operands are smaller.
const SMALL_BYTES: usize = 4096;
/// What all results of one program may take together.
const BUDGET_BYTES: usize = 16 << 20;

pub(super) fn fold(program: &mut Program) {
    let mut left = BUDGET_BYTES;
    for i in 0..program.instructions.len() {
        let instruction = &program.instructions[i];
        let Some(op) = op_of(instruction) else { continue };
        let inputs = specs(program, &instruction.operands);
        let outputs = specs(program, &instruction.results);
        let bytes: usize = outputs.iter().map(Spec::bytes).sum();
        let largest = inputs.iter().map(Spec::bytes).max().unwrap_or(0);
        let constant =
            instruction.operands.iter().enumerate().all(|(k, o)| op.shape_only(k) || program.constant(*o).is_some());
        // A check is for the run; a broadcast costs nothing where it is read.
        let for_the_run = matches!(op, Op::CheckNumerics { .. } | Op::BroadcastTo { .. } | Op::BroadcastLike);
        if !constant || for_the_run || bytes > left || (bytes > SMALL_BYTES && bytes > largest) {
            continue;
        }
        let operands: Vec<&[u8]> = instruction
            .operands
            .iter()
            .map(|o| program.constant(*o).and_then(dormouse_value::Value::as_bytes).unwrap_or(&[]))
            .collect();
        // What fails here fails in the run too, which says where.
        let Ok(values) = compile(op, &inputs, &outputs).and_then(|kernel| evaluate(&kernel, &operands, &outputs))
        else {
            continue;
        };
        left -= bytes;
        let results = program.instructions[i].results.clone();
        for (result, value) in results.iter().zip(values) {
            program.constants.push(value);
            program.values[result.index()].origin = Origin::Constant((program.constants.len() - 1) as u32);
        }
        program.instructions[i].results.clear();
        program.instructions[i].operands.clear();
    }
    program.instructions.retain(|i| !i.results.is_empty());
}
