//! Registers: a place in scratch for each intermediate value, shared by values that do not live at the same time.

use super::Instruction;

/// The register of each slot that an instruction writes, and how many there are.
///
/// A result never takes the register of one of its own operands, so that an instruction's operands and result do not
/// share memory. Slots that are `kept` live to the end.
pub(super) fn assign(inputs: usize, instructions: &[Instruction], kept: &[u32]) -> (Vec<u32>, usize) {
    let slots = inputs + instructions.len();
    let mut last_use = vec![0; slots];
    for (time, instruction) in instructions.iter().enumerate() {
        last_use[instruction.result as usize] = time;
        for operand in instruction.operands {
            last_use[operand as usize] = time;
        }
    }
    for &slot in kept {
        last_use[slot as usize] = usize::MAX;
    }
    let mut registers = vec![0; instructions.len()];
    let mut free: Vec<u32> = Vec::new();
    let mut count = 0;
    for (time, instruction) in instructions.iter().enumerate() {
        let register = free.pop().unwrap_or_else(|| {
            count += 1;
            count - 1
        });
        registers[instruction.result as usize - inputs] = register;
        let mut dying = instruction.operands.to_vec();
        dying.push(instruction.result);
        dying.sort_unstable();
        dying.dedup();
        for slot in dying {
            if slot as usize >= inputs && last_use[slot as usize] == time {
                free.push(registers[slot as usize - inputs]);
            }
        }
    }
    (registers, count as usize)
}
