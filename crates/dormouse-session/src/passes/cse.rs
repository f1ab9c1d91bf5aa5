//! Common subexpressions: of instructions that do the same to the same values, one stays. Draws are never the same.

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};

use crate::passes::{identity, op_of};
use crate::program::{Origin, Program, ValueId};

/// Constants of so many bytes are compared; larger ones are taken to differ.
const COMPARED_BYTES: usize = 256;

/// Instructions by the hash of what they do to what: a table of twice as many places, a few bytes each.
struct Seen {
    /// The upper half of a hash, and the instruction's number and one; 0 where there is none.
    places: Vec<(u32, u32)>,
}

impl Seen {
    fn of(instructions: usize) -> Seen {
        Seen { places: vec![(0, 0); (2 * instructions).next_power_of_two()] }
    }

    /// The instruction that is the same; of none, this one is found from now on.
    fn find_or_insert(&mut self, hash: u64, instruction: usize, same: impl Fn(usize) -> bool) -> Option<usize> {
        let (mask, hash) = (self.places.len() - 1, (hash >> 32) as u32);
        let mut at = hash as usize & mask;
        loop {
            match self.places[at] {
                (_, 0) => {
                    self.places[at] = (hash, instruction as u32 + 1);
                    return None;
                }
                (theirs, other) if theirs == hash && same(other as usize - 1) => return Some(other as usize - 1),
                _ => at = (at + 1) & mask,
            }
        }
    }
}

pub(super) fn cse(program: &mut Program) {
    let mut map = identity(program);
    let mut constants = FxHashMap::default();
    for (i, (spec, origin)) in program.values.iter().zip(&program.origins).enumerate() {
        if let Origin::Constant(c) = *origin
            && let Some(bytes) = program.constants[c as usize].as_bytes().filter(|b| b.len() <= COMPARED_BYTES)
        {
            map[i] = *constants.entry((spec, bytes)).or_insert(ValueId(i as u32));
        }
    }
    // Aliases of one value with one shape are one, whichever is read first: of the value itself, not of each other, or one
    // that an alias of the other shape leads to could take the place of the one that this is of.
    for i in 0..program.values.len() {
        if let Origin::Alias(of) = program.origins[i] {
            program.origins[i] = Origin::Alias(program.root(of));
        }
    }
    let mut aliases = FxHashMap::default();
    let mut seen = Seen::of(program.instructions.len());
    let mut resolve_alias = |program: &Program, map: &mut Vec<ValueId>, v: ValueId| -> ValueId {
        if let Origin::Alias(_) = program.origin(v) {
            let root = map[program.root(v).index()];
            map[v.index()] = *aliases.entry((root, program.spec(v).clone())).or_insert(v);
        }
        map[v.index()]
    };
    for i in 0..program.instructions.len() {
        for k in 0..program.instructions[i].operands.len() {
            let operand = resolve_alias(program, &mut map, program.instructions[i].operands[k]);
            program.instructions[i].operands[k] = operand;
        }
        let instruction = &program.instructions[i];
        let Some(op) = op_of(instruction) else { continue };
        let mut hasher = FxHasher::default();
        (op, &instruction.operands).hash(&mut hasher);
        let same = |other: usize| {
            let other = &program.instructions[other];
            op_of(other) == Some(op) && other.operands == instruction.operands
        };
        if let Some(first) = seen.find_or_insert(hasher.finish(), i, same) {
            for (result, kept) in instruction.results.iter().zip(&program.instructions[first].results) {
                map[result.index()] = *kept;
            }
        }
    }
    program.replace(&map);
}
