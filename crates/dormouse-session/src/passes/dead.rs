//! Dead code: instructions whose results nobody reads go.

use crate::program::{Program, ValueId};

pub(super) fn dead(program: &mut Program) {
    let mut live = vec![false; program.values.len()];
    let ends: Vec<ValueId> = program.ends().collect();
    for end in ends {
        live[program.root(end).index()] = true;
    }
    let mut kept = Vec::with_capacity(program.instructions.len());
    for instruction in std::mem::take(&mut program.instructions).into_iter().rev() {
        if !instruction.results.iter().any(|r| live[r.index()]) {
            continue;
        }
        for operand in instruction.read() {
            live[program.root(operand).index()] = true;
        }
        kept.push(instruction);
    }
    kept.reverse();
    program.instructions = kept;
}
