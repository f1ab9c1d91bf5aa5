//! Products: matrix products that belong together. `join` makes one long product of a sum of short ones, which rounds
//! otherwise; `share` transposes once what many products read transposed, which keeps every bit.

use dormouse_kernels::Spec;
use dormouse_value::Op;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::passes::op_of;
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
    let reads = reads(program);
    let mut giver: Vec<Option<usize>> = vec![None; program.values.len()];
    for (i, instruction) in program.instructions.iter().enumerate() {
        instruction.results.iter().for_each(|r| giver[r.index()] = Some(i));
    }
    let mut before: Vec<Vec<Instruction>> = (0..program.instructions.len()).map(|_| Vec::new()).collect();
    let mut gone = vec![false; program.instructions.len()];
    for i in 0..program.instructions.len() {
        if op_of(&program.instructions[i]) != Some(&Op::AddN) {
            continue;
        }
        let mut rest = SmallVec::<[ValueId; 3]>::new();
        let mut groups: [Vec<(usize, Product)>; 4] = Default::default();
        for &operand in &program.instructions[i].operands {
            let alone = giver[operand.index()].filter(|_| reads[operand.index()] == 1);
            let found = alone.and_then(|g| Some((g, product(program, &program.instructions[g])?)));
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
                before[i].push(Instruction { action, operands: parts, results: [value].into_iter().collect(), node });
                joined.push(value);
            }
            group.iter().for_each(|(g, _)| gone[*g] = true);
            let value = program.add_value(sum.clone(), Origin::Computed);
            let op = Op::MatMul { transpose_a: transposed[0], transpose_b: transposed[1] };
            let results = [value].into_iter().collect();
            before[i].push(Instruction { action: Action::Op(op), operands: joined, results, node });
            rest.push(value);
        }
        if changed {
            // What is left to add, in a new order; of one, `simplify`'s rule is not run again, so it is done here.
            match (rest.len(), before[i].last_mut()) {
                (1, Some(last)) => {
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
    let mut users: FxHashMap<ValueId, Vec<usize>> = FxHashMap::default();
    let mut order = Vec::new();
    for (i, instruction) in program.instructions.iter().enumerate() {
        let Some(Product { factors: [_, b], transposed: [_, true] }) = product(program, instruction) else { continue };
        if program.spec(instruction.results[0]).dims[0] <= FEW_ROWS {
            let users = users.entry(b).or_default();
            if users.is_empty() {
                order.push(b);
            }
            users.push(i);
        }
    }
    let mut before: Vec<Vec<Instruction>> = (0..program.instructions.len()).map(|_| Vec::new()).collect();
    for factor in order {
        let users = &users[&factor];
        let Some(&first) = users.first().filter(|_| users.len() >= MANY) else { continue };
        let Spec { dtype, ref dims } = *program.spec(factor);
        let spec = Spec::new(dtype, &[dims[1], dims[0]]);
        let value = program.add_value(spec, Origin::Computed);
        let action = Action::Op(Op::Transpose { perm: [1, 0].into_iter().collect() });
        let node = program.instructions[first].node;
        let (operands, results) = ([factor].into_iter().collect(), [value].into_iter().collect());
        before[first].push(Instruction { action, operands, results, node });
        for &user in users {
            let instruction = &mut program.instructions[user];
            if let Action::Op(Op::MatMul { transpose_b, .. }) = &mut instruction.action {
                *transpose_b = false;
                instruction.operands[1] = value;
            }
        }
    }
    let gone = vec![false; program.instructions.len()];
    insert(program, before, &gone);
}

/// How often each value is read, asked for, or another's alias.
pub(super) fn reads(program: &Program) -> Vec<u32> {
    let mut reads = vec![0; program.values.len()];
    let aliased = program.values.iter().filter_map(|v| match v.origin {
        Origin::Alias(of) => Some(of),
        Origin::Feed(_) | Origin::Constant(_) | Origin::Variable(_) | Origin::Computed => None,
    });
    let operands = program.instructions.iter().flat_map(|i| i.operands.iter().copied());
    aliased.chain(operands).chain(program.ends()).for_each(|v| reads[v.index()] += 1);
    reads
}

/// Puts instructions before others, and leaves some out.
pub(super) fn insert(program: &mut Program, before: Vec<Vec<Instruction>>, gone: &[bool]) {
    if before.iter().all(Vec::is_empty) && !gone.contains(&true) {
        return;
    }
    let old = std::mem::take(&mut program.instructions);
    for ((instruction, new), gone) in old.into_iter().zip(before).zip(gone) {
        program.instructions.extend(new);
        if !gone {
            program.instructions.push(instruction);
        }
    }
}
