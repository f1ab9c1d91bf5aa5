//! Common subexpressions: of instructions that do the same to the same values, one stays. Draws are never the same.

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};
use smallvec::SmallVec;

use crate::passes::{identity, op_of};
use crate::program::{Origin, Program, ValueId};

/// Constants of so many bytes are compared; larger ones are taken to differ.
const COMPARED_BYTES: usize = 256;

pub(super) fn cse(program: &mut Program) {
    let mut map = identity(program);
    let mut constants = FxHashMap::default();
    for (i, value) in program.values.iter().enumerate() {
        if let Origin::Constant(c) = value.origin
            && let Some(bytes) = program.constants[c as usize].as_bytes().filter(|b| b.len() <= COMPARED_BYTES)
        {
            map[i] = *constants.entry((&value.spec, bytes)).or_insert(ValueId(i as u32));
        }
    }
    // Aliases of one value with one shape are one, whichever is read first: of the value itself, not of each other, or one
    // that an alias of the other shape leads to could take the place of the one that this is of.
    for i in 0..program.values.len() {
        if let Origin::Alias(of) = program.values[i].origin {
            program.values[i].origin = Origin::Alias(program.root(of));
        }
    }
    let mut aliases = FxHashMap::default();
    // The instructions so far, by the hash of what they do to what.
    let mut seen = FxHashMap::<u64, SmallVec<[u32; 1]>>::default();
    seen.reserve(program.instructions.len());
    let mut operands_of: Vec<SmallVec<[ValueId; 3]>> = Vec::with_capacity(program.instructions.len());
    let mut resolve_alias = |program: &Program, map: &mut Vec<ValueId>, v: ValueId| -> ValueId {
        if let Origin::Alias(_) = program.value(v).origin {
            let root = map[program.root(v).index()];
            map[v.index()] = *aliases.entry((root, program.spec(v).clone())).or_insert(v);
        }
        map[v.index()]
    };
    for i in 0..program.instructions.len() {
        let operands: SmallVec<[ValueId; 3]> =
            program.instructions[i].operands.clone().into_iter().map(|o| resolve_alias(program, &mut map, o)).collect();
        operands_of.push(operands);
        let (instruction, operands) = (&program.instructions[i], &operands_of[i]);
        let Some(op) = op_of(instruction) else { continue };
        let mut hasher = FxHasher::default();
        (op, operands).hash(&mut hasher);
        let alike = seen.entry(hasher.finish()).or_default();
        let same =
            |j: &&u32| op_of(&program.instructions[**j as usize]) == Some(op) && operands_of[**j as usize] == *operands;
        if let Some(first) = alike.iter().find(same) {
            for (result, kept) in instruction.results.iter().zip(&program.instructions[*first as usize].results) {
                map[result.index()] = *kept;
            }
        } else {
            alike.push(i as u32);
        }
    }
    program.replace(&map);
}
