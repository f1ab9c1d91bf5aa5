//! Products: matrix products that belong together. `join` makes one long product of a sum of short ones, which rounds
//! otherwise; `share` transposes once what many products read transposed, which keeps every bit.

use dormouse_kernels::Spec;
use dormouse_value::Op;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::passes::op_of;
use crate::passes::uses::givers;
use crate::program::{Action, Instruction, Origin, Program, ValueId};

/// Rows of a product up to which it costs more to read the right factor transposed than to multiply.
pub(super) const FEW_ROWS: usize = 64;
/// Products that read a factor transposed from which on it is transposed once for all.
pub(super) const MANY: usize = 4;

/// A product of two matrices.
pub(super) struct Product {
    pub(super) factors: [ValueId; 2],
    pub(super) transposed: [bool; 2],
}

/// The product of two plain matrices that an instruction is.
pub(super) fn product(program: &Program, instruction: &Instruction) -> Option<Product> {
    let Op::MatMul { transpose_a, transpose_b } = *op_of(instruction)? else { return None };
    let &[a, b] = instruction.operands.as_slice() else { return None };
    let flat = program.spec(a).dims.len() == 2 && program.spec(b).dims.len() == 2;
    flat.then_some(Product { factors: [a, b], transposed: [transpose_a, transpose_b] })
}

/// `add_n` of products, the same way up, that nobody else reads, as the product of what they multiply put end to end: where
/// that reads less than adding what they give. The weights of a recurrent layer get their gradients in this way.
pub(super) fn join(program: &mut Program) {
    let is_sum = |i: &Instruction| op_of(i) == Some(&Op::AddN);
    if !program.instructions.iter().any(is_sum) {
        return;
    }
    let (reads, givers) = (reads(program), givers(program));
    let mut before: Vec<(usize, Instruction)> = Vec::new();
    let mut gone = vec![false; program.instructions.len()];
    for i in 0..program.instructions.len() {
        if !is_sum(&program.instructions[i]) {
            continue;
        }
        let mut rest = SmallVec::<[ValueId; 3]>::new();
        let mut groups: [Vec<(usize, Product)>; 4] = Default::default();
        for &operand in &program.instructions[i].operands {
            let giver = givers[operand.index()] as usize;
            let alone = program.instructions.get(giver).filter(|_| reads[operand.index()] == 1);
            let found = alone.and_then(|instruction| Some((giver, product(program, instruction)?)));
            match found {
                Some((g, p)) => groups[usize::from(p.transposed[0]) * 2 + usize::from(p.transposed[1])].push((g, p)),
                None => rest.push(operand),
            }
        }
        let sum = program.spec(program.instructions[i].results[0]).clone();
        let mut changed = false;
        for group in groups {
            let products = group.len();
            let factors: usize = group.iter().flat_map(|(_, p)| p.factors).map(|f| program.spec(f).len()).sum();
            // Joining copies the factors once; adding reads every product and writes the sum, which lies in no cache.
            if products < 2 || factors > products * sum.len() {
                rest.extend(group.iter().map(|(g, _)| program.instructions[*g].results[0]));
                continue;
            }
            changed = true;
            let node = program.instructions[i].node;
            let transposed = group[0].1.transposed;
            let mut joined = SmallVec::<[ValueId; 3]>::new();
            for (side, swapped) in transposed.into_iter().enumerate() {
                let axis = usize::from(swapped != (side == 0));
                let parts: SmallVec<[ValueId; 3]> = group.iter().map(|(_, p)| p.factors[side]).collect();
                let mut spec = program.spec(parts[0]).clone();
                spec.dims[axis] = parts.iter().map(|part| program.spec(*part).dims[axis]).sum();
                let value = program.add_value(spec, Origin::Computed);
                let action = Action::Op(Op::Concat { axis: axis as i32 });
                before.push((i, Instruction { action, operands: parts, results: [value].into_iter().collect(), node }));
                joined.push(value);
            }
            group.iter().for_each(|(g, _)| gone[*g] = true);
            let value = program.add_value(sum.clone(), Origin::Computed);
            let op = Op::MatMul { transpose_a: transposed[0], transpose_b: transposed[1] };
            let results = [value].into_iter().collect();
            before.push((i, Instruction { action: Action::Op(op), operands: joined, results, node }));
            rest.push(value);
        }
        if changed {
            // What is left to add, in a new order; of one, `simplify`'s rule is not run again, so it is done here.
            match (rest.len(), before.last_mut()) {
                (1, Some((_, last))) => {
                    last.results.clone_from(&program.instructions[i].results);
                    gone[i] = true;
                }
                _ => program.instructions[i].operands = rest,
            }
        }
    }
    insert(program, before, &gone);
}

/// Transposes a factor once that many products of few rows read transposed.
pub(super) fn share(program: &mut Program) {
    let transposed = |program: &Program, instruction: &Instruction| {
        let Product { factors: [_, b], transposed: [_, true] } = product(program, instruction)? else { return None };
        (program.spec(instruction.results[0]).dims[0] <= FEW_ROWS).then_some(b)
    };
    let mut users = vec![0_usize; program.values.len()];
    for factor in program.instructions.iter().filter_map(|i| transposed(program, i)) {
        users[factor.index()] += 1;
    }
    if users.iter().all(|users| *users < MANY) {
        return;
    }
    // What each factor is, transposed.
    let mut shared: FxHashMap<ValueId, ValueId> = FxHashMap::default();
    let mut before = Vec::new();
    for i in 0..program.instructions.len() {
        let factor = transposed(program, &program.instructions[i]);
        let Some(factor) = factor.filter(|factor| users[factor.index()] >= MANY) else { continue };
        if let Some(value) = shared.get(&factor) {
            straighten(&mut program.instructions[i], *value);
            continue;
        }
        let Spec { dtype, ref dims } = *program.spec(factor);
        let spec = Spec::new(dtype, &[dims[1], dims[0]]);
        let value = program.add_value(spec, Origin::Computed);
        let action = Action::Op(Op::Transpose { perm: [1, 0].into_iter().collect() });
        let node = program.instructions[i].node;
        let (operands, results) = ([factor].into_iter().collect(), [value].into_iter().collect());
        before.push((i, Instruction { action, operands, results, node }));
        shared.insert(factor, value);
        straighten(&mut program.instructions[i], value);
    }
    insert(program, before, &[]);
}

/// Has a product read its right factor, transposed before, as it stands.
fn straighten(product: &mut Instruction, factor: ValueId) {
    if let Action::Op(Op::MatMul { transpose_b, .. }) = &mut product.action {
        *transpose_b = false;
        product.operands[1] = factor;
    }
}

/// How often each value is read, asked for, or another's alias.
pub(super) fn reads(program: &Program) -> Vec<u32> {
    let mut reads = vec![0; program.values.len()];
    let aliased = program.origins.iter().filter_map(|origin| match *origin {
        Origin::Alias(of) => Some(of),
        Origin::Feed(_) | Origin::Constant(_) | Origin::Variable(_) | Origin::Computed => None,
    });
    let operands = program.instructions.iter().flat_map(|i| i.operands.iter().copied());
    aliased.chain(operands).chain(program.ends()).for_each(|v| reads[v.index()] += 1);
    reads
}

/// Puts instructions before others, whose numbers rise, or at the end, and leaves those out that are told to be gone.
pub(super) fn insert(program: &mut Program, before: Vec<(usize, Instruction)>, gone: &[bool]) {
    let instructions = &mut program.instructions;
    let mut from = instructions.len();
    let mut to = from + before.len();
    instructions.resize_with(to, Instruction::nothing);
    // From the last one to the first, so that each moves once, to a place that is free.
    for (at, new) in before.into_iter().rev() {
        while from > at {
            from -= 1;
            to -= 1;
            instructions.swap(from, to);
            if gone.get(from) == Some(&true) {
                instructions[to].results.clear();
            }
        }
        to -= 1;
        instructions[to] = new;
    }
    for i in (0..from).filter(|i| gone.get(*i) == Some(&true)) {
        instructions[i].results.clear();
    }
    if gone.contains(&true) {
        instructions.retain(|instruction| !instruction.results.is_empty());
    }
}
