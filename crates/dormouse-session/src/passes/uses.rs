//! Uses: which instruction computes each value, and which read it, as flat lists, for passes that ask for both often.

use crate::program::{Program, ValueId};

/// No instruction.
pub(super) const NOBODY: u32 = u32::MAX;

/// The instruction that computes each value; [`NOBODY`] where none does.
pub(super) fn givers(program: &Program) -> Vec<u32> {
    let mut givers = vec![NOBODY; program.values.len()];
    for (i, instruction) in program.instructions.iter().enumerate() {
        instruction.results.iter().for_each(|result| givers[result.index()] = i as u32);
    }
    givers
}

/// The instructions that read each value, or another shape of it.
pub(super) struct Readers {
    /// Where each value's begin.
    starts: Vec<u32>,
    readers: Vec<u32>,
}

impl Readers {
    pub(super) fn of(program: &Program) -> Readers {
        let mut starts = vec![0_u32; program.values.len() + 1];
        let reads = || program.instructions.iter().enumerate();
        for (_, instruction) in reads() {
            instruction.read().for_each(|operand| starts[program.root(operand).index()] += 1);
        }
        let mut total = 0;
        for start in &mut starts {
            total += *start;
            *start = total;
        }
        let mut readers = vec![NOBODY; total as usize];
        // Filled from the end, so that each value's come in order and every entry ends at its beginning.
        for (i, instruction) in reads().rev() {
            for operand in instruction.read() {
                let start = &mut starts[program.root(operand).index()];
                *start -= 1;
                readers[*start as usize] = i as u32;
            }
        }
        Readers { starts, readers }
    }

    /// Those of a value that is no other's alias, in order; one that reads it twice stands there twice.
    pub(super) fn of_value(&self, value: ValueId) -> &[u32] {
        let at = value.index();
        &self.readers[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
}
