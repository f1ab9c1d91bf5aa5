//! Order: passes that move instructions leave them anywhere, with the place that each would like.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::program::{Instruction, Program, ValueId};

/// An instruction and the place it would like; nothing where it is gone.
pub(super) type Placed = Option<(usize, Instruction)>;

/// The instructions in an order that the data allows, each as near to its place as may be; `None` where some wait for each
/// other.
pub(super) fn ordered(program: &Program, mut instructions: Vec<Placed>) -> Option<Vec<Instruction>> {
    let mut giver: FxHashMap<ValueId, usize> = FxHashMap::default();
    let alive = || instructions.iter().enumerate().filter_map(|(i, slot)| Some((i, &slot.as_ref()?.1)));
    for (i, instruction) in alive() {
        giver.extend(instruction.results.iter().map(|r| (*r, i)));
    }
    let mut waits = vec![0_u32; instructions.len()];
    let mut followers = vec![SmallVec::<[usize; 4]>::new(); instructions.len()];
    for (i, instruction) in alive() {
        for operand in instruction.read() {
            if let Some(&before) = giver.get(&program.root(operand)) {
                followers[before].push(i);
                waits[i] += 1;
            }
        }
    }
    let place = |i: usize, slot: &Placed| slot.as_ref().map(|(place, _)| Reverse((*place, i)));
    let ready = instructions.iter().enumerate().filter(|(i, _)| waits[*i] == 0);
    let mut ready: BinaryHeap<_> = ready.filter_map(|(i, slot)| place(i, slot)).collect();
    let count = instructions.iter().flatten().count();
    let mut ordered = Vec::with_capacity(count);
    while let Some(Reverse((_, i))) = ready.pop() {
        for &next in &followers[i] {
            waits[next] -= 1;
            if waits[next] == 0 {
                ready.extend(place(next, &instructions[next]));
            }
        }
        ordered.extend(instructions[i].take().map(|(_, instruction)| instruction));
    }
    (ordered.len() == count).then_some(ordered)
}
