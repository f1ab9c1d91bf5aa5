//! Dead code: instructions whose results nobody reads go.

use crate::program::{Program, ValueId};

pub(super) fn dead(program: &mut Program) {
    let mut live = vec![false; program.values.len()];
    let ends: Vec<ValueId> = program.ends().collect();
    for end in ends {
        live[program.root(end).index()] = true;
    }
    let mut all = true;
    for instruction in program.instructions.iter().rev() {
        if instruction.results.iter().any(|r| live[r.index()]) {
            instruction.read().for_each(|operand| live[program.root(operand).index()] = true);
        } else {
            all = false;
        }
    }
    if !all {
        program.instructions.retain(|instruction| instruction.results.iter().any(|r| live[r.index()]));
    }
}
