//! Epilogues: a product or a convolution whose result one loop alone reads takes that loop in, so that the tiles of the one go
//! on with the other while what they have computed is in the cache. The bits stay.

use dormouse_kernels::has_epilogue;
use rustc_hash::FxHashSet;

use crate::passes::fuse::loop_of;
use crate::passes::op_of;
use crate::passes::products::reads;
use crate::program::{Action, Epilogue, Instruction, Program, ValueId};

pub(super) fn epilogue(program: &mut Program) {
    let begins = |i: &Instruction| op_of(i).is_some_and(has_epilogue) && i.results.len() == 1;
    if !program.instructions.iter().any(begins) {
        return;
    }
    let reads = reads(program);
    let mut giver: Vec<Option<usize>> = vec![None; program.values.len()];
    for (i, instruction) in program.instructions.iter().enumerate().filter(|(_, instruction)| begins(instruction)) {
        giver[instruction.results[0].index()] = Some(i);
    }
    // What a variable will hold is written to its own buffer, which holds what it is computed from.
    let committed: FxHashSet<ValueId> = program.commits.iter().map(|(_, value)| program.root(*value)).collect();
    let mut gone = vec![false; program.instructions.len()];
    for at in 0..program.instructions.len() {
        let behind = &program.instructions[at];
        if behind.results.iter().any(|result| committed.contains(result)) {
            continue;
        }
        let product =
            |operand: &ValueId| giver[program.root(*operand).index()].filter(|_| alone(program, &reads, *operand));
        // The last one, for what else the loop reads is there by then.
        let Some(first) = behind.operands.iter().filter_map(product).max() else { continue };
        let Some((operands, body)) = loop_of(program, at) else { continue };
        let Some(input) = operands.iter().position(|operand| product(operand) == Some(first)) else { continue };
        let own = &program.instructions[first];
        let Some(op) = op_of(own).cloned() else { continue };
        let (product, result) = (program.spec(own.results[0]).clone(), program.spec(behind.results[0]));
        if product.len() != result.len() || product.dtype != result.dtype {
            continue;
        }
        let others = operands.iter().enumerate().filter(|(k, _)| *k != input).map(|(_, operand)| *operand);
        let instruction = Instruction {
            operands: own.operands.iter().copied().chain(others).collect(),
            results: behind.results.clone(),
            node: own.node,
            action: Action::Epilogue(Box::new(Epilogue {
                op,
                operands: own.operands.len(),
                body,
                result: product,
                product: input,
            })),
        };
        program.instructions[at] = instruction;
        gone[first] = true;
    }
    let mut gone = gone.into_iter();
    program.instructions.retain(|_| !gone.next().unwrap_or_default());
}

/// Whether a value, and what it is an alias of, is read once: by the instruction that takes it.
fn alone(program: &Program, reads: &[u32], mut value: ValueId) -> bool {
    while reads[value.index()] == 1 {
        let root = program.aliased(value);
        if root == value {
            return true;
        }
        value = root;
    }
    false
}
