//! Pairs: an arithmetic instruction and the one that alone takes its result become one instruction.
//!
//! The intermediate stays in a vector register instead of going through the cache. Both operations are rounded, so the
//! bits do not change; a pair is no fused multiply-add. Apart, as it is the one place where the instructions of a loop
//! are not its steps.

use dormouse_value::{BinaryOp, DType};

use super::Lowered;
use crate::elementwise::pair;

/// An addition, subtraction or multiplication of floats, which may become half of a pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Arithmetic {
    pub(super) op: BinaryOp,
    pub(super) dtype: DType,
}

impl Arithmetic {
    /// The arithmetic of an operation on a dtype, if it is such.
    pub(super) fn of(op: BinaryOp, dtype: DType) -> Option<Self> {
        let plain = matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul);
        (plain && dtype.is_float()).then_some(Arithmetic { op, dtype })
    }
}

/// Joins what can be joined, first pairs first, and numbers the slots again.
pub(super) fn join(lowered: &mut Lowered, inputs: usize) {
    let mut uses = vec![0_u32; lowered.sizes.len()];
    for instruction in &lowered.instructions {
        for &operand in &instruction.operands[..instruction.arity] {
            uses[operand as usize] += 1;
        }
    }
    for &slot in &lowered.outputs {
        uses[slot as usize] += 1;
    }
    let mut joined = vec![false; lowered.instructions.len()];
    for at in 0..lowered.instructions.len() {
        let outer = lowered.instructions[at];
        let Some(arithmetic) = outer.arithmetic else { continue };
        for side in 0..2 {
            let (slot, other) = (outer.operands[side] as usize, outer.operands[1 - side]);
            let Some(place) = slot.checked_sub(inputs) else { continue };
            let inner = lowered.instructions[place];
            let Some(first) = inner.arithmetic.filter(|first| uses[slot] == 1 && first.dtype == arithmetic.dtype)
            else {
                continue;
            };
            let outer = &mut lowered.instructions[at];
            outer.run = pair(first.op, arithmetic.op, side == 0, arithmetic.dtype);
            outer.operands = [inner.operands[0], inner.operands[1], other];
            outer.arity = 3;
            outer.arithmetic = None;
            joined[place] = true;
            // The intermediate is neither stored nor loaded.
            lowered.nanos -= 0.005 * arithmetic.dtype.size() as f64;
            break;
        }
    }
    renumber(lowered, inputs, &joined);
}

/// Takes out the instructions that were joined into others, and their slots.
fn renumber(lowered: &mut Lowered, inputs: usize, joined: &[bool]) {
    let mut next = inputs as u32;
    let mut names: Vec<u32> = (0..inputs as u32).collect();
    for &gone in joined {
        names.push(next);
        next += u32::from(!gone);
    }
    let gone = |slot: usize| slot.checked_sub(inputs).is_some_and(|place| joined[place]);
    let mut place = 0..joined.len();
    lowered.instructions.retain(|_| !place.next().is_some_and(|k| joined[k]));
    let mut slot = 0..names.len();
    lowered.sizes.retain(|_| !slot.next().is_some_and(gone));
    for instruction in &mut lowered.instructions {
        for operand in &mut instruction.operands {
            *operand = names[*operand as usize];
        }
        instruction.result = names[instruction.result as usize];
    }
    for output in &mut lowered.outputs {
        *output = names[*output as usize];
    }
}
