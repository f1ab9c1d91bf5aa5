//! Broadcasts: what is the same along an axis is computed once along it. `narrow` broadcasts after element-wise operations
//! rather than before, which keeps every bit; `factor` takes what is the same for all numbers of a sum out of it, which rounds
//! otherwise.

use dormouse_kernels::{Spec, fusible};
use dormouse_value::{BinaryOp, Dims, Op, ReduceOp, UnaryOp, broadcast_dims};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::passes::op_of;
use crate::passes::uses::NOBODY;
use crate::program::{Action, Instruction, Origin, Program, ValueId};

/// Elements below which a loop is not worth making smaller.
const FEW: usize = 256;

/// The smaller values that values are broadcasts of.
#[derive(Default)]
struct Sources(FxHashMap<ValueId, ValueId>);

impl Sources {
    /// The smallest value that broadcasts to this one: itself, if there is none.
    fn of(&self, value: ValueId) -> ValueId {
        self.0.get(&value).copied().unwrap_or(value)
    }

    /// Takes in an instruction, if it is a broadcast.
    fn see(&mut self, program: &Program, instruction: &Instruction) {
        let broadcasts = matches!(op_of(instruction), Some(Op::BroadcastTo { .. } | Op::BroadcastLike));
        if let (true, &[result]) = (broadcasts, instruction.results.as_slice()) {
            let source = self.of(instruction.operands[0]);
            if program.spec(source).len() < program.spec(result).len() {
                self.0.insert(result, source);
            }
        }
    }
}

/// Extents that values broadcast to together.
fn together(program: &Program, values: &[ValueId]) -> Option<Dims> {
    values.iter().try_fold(Dims::new(), |dims, value| broadcast_dims(&dims, &program.spec(*value).dims))
}

pub(super) fn narrow(program: &mut Program) {
    let broadcasts = |i: &Instruction| {
        matches!(op_of(i), Some(Op::BroadcastTo { .. } | Op::BroadcastLike)) && program.spec(i.results[0]).len() >= FEW
    };
    if !program.instructions.iter().any(broadcasts) {
        return;
    }
    let mut sources = Sources::default();
    let mut instructions = Vec::with_capacity(program.instructions.len());
    for instruction in std::mem::take(&mut program.instructions) {
        sources.see(program, &instruction);
        let Some((op, sources_of)) = smaller(program, &sources, &instruction) else {
            instructions.push(instruction);
            continue;
        };
        let (result, node) = (instruction.results[0], instruction.node);
        let Spec { dtype, dims } = program.spec(result).clone();
        let small = together(program, &sources_of).unwrap_or_default();
        let value = program.add_value(Spec { dtype, dims: small }, Origin::Computed);
        sources.0.insert(result, value);
        let results: SmallVec<[ValueId; 1]> = SmallVec::from_slice(&[value]);
        instructions.push(Instruction { action: Action::Op(op), operands: sources_of, results, node });
        let spread = Op::BroadcastTo { dims: dims.iter().map(|extent| *extent as u64).collect() };
        let (operands, results) = (SmallVec::from_slice(&[value]), SmallVec::from_slice(&[result]));
        instructions.push(Instruction { action: Action::Op(spread), operands, results, node });
    }
    program.instructions = instructions;
}

/// An element-wise operation on what its operands are broadcasts of, where that is fewer elements.
fn smaller(program: &Program, sources: &Sources, instruction: &Instruction) -> Option<(Op, SmallVec<[ValueId; 3]>)> {
    let (op, &[result]) = (op_of(instruction)?, instruction.results.as_slice()) else { return None };
    let len = program.spec(result).len();
    let moves = matches!(op, Op::Identity | Op::StopGradient);
    if !fusible(op) || moves || len < FEW || !instruction.operands.iter().any(|o| sources.of(*o) != *o) {
        return None;
    }
    let own: SmallVec<[ValueId; 3]> = instruction.operands.iter().map(|o| sources.of(*o)).collect();
    let small: usize = together(program, &own)?.iter().product();
    (small * 2 <= len).then(|| (op.clone(), own))
}

/// What an instruction sums or averages over all axes but the last ones, and the extents of these.
fn summed(program: &Program, instruction: &Instruction) -> Option<(ValueId, Dims)> {
    let (&operand, &[result]) = (instruction.operands.first()?, instruction.results.as_slice()) else { return None };
    let dims = &program.spec(result).dims;
    let kept: Dims = dims.iter().copied().skip_while(|extent| *extent == 1).collect();
    let own = &program.spec(operand).dims;
    let op = op_of(instruction)?;
    let first_axes = if let Op::Reduce { op: ReduceOp::Sum | ReduceOp::Mean, axes: Some(axes), .. } = op {
        let rank = own.len() as i32;
        let mut axes: SmallVec<[i32; 4]> = axes.iter().map(|a| if *a < 0 { a + rank } else { *a }).collect();
        axes.sort_unstable();
        axes.iter().copied().eq(0..rank - kept.len() as i32)
    } else {
        matches!(op, Op::SumLike)
    };
    let last = own.len().checked_sub(kept.len())?;
    let whole = own[last..] == kept[..] && program.spec(operand).dtype.is_float();
    (first_axes && whole && last > 0 && !kept.is_empty()).then_some((operand, kept))
}

/// Σ a·b where b is the same in every row is (Σ a)·b; Σ −a is −Σ a. Only of a that a loop computes, which then sums it by the
/// way.
pub(super) fn factor(program: &mut Program) {
    if !may_factor(program) {
        return;
    }
    let mut sources = Sources::default();
    // The instruction that computes each value; those added later are never summed.
    let mut givers = vec![NOBODY; program.values.len()];
    let mut instructions: Vec<Instruction> = Vec::with_capacity(program.instructions.len());
    for instruction in std::mem::take(&mut program.instructions) {
        sources.see(program, &instruction);
        let mut after = Vec::new();
        let mut sum = instruction;
        while let Some((kept, rest)) = taken_out(program, &sources, &givers, &instructions, &sum) {
            // The sum of the rest, and then what was taken out of it, which gives what the sum gave.
            let (result, node) = (sum.results[0], sum.node);
            let value = program.add_value(program.spec(result).clone(), Origin::Computed);
            let (action, operands) = match rest {
                Rest::Negated => (Action::Op(Op::Unary(UnaryOp::Neg)), SmallVec::from_slice(&[value])),
                Rest::Times(factor) => {
                    let spec = Spec { dtype: program.spec(result).dtype, dims: program.spec(result).dims.clone() };
                    let narrow = program.spec(factor);
                    let factor = if narrow.len() == spec.len() && narrow.dims != spec.dims {
                        program.add_value(spec, Origin::Alias(factor))
                    } else {
                        factor
                    };
                    (Action::Op(Op::Binary(BinaryOp::Mul)), SmallVec::from_slice(&[value, factor]))
                }
            };
            after.push(Instruction { action, operands, results: SmallVec::from_slice(&[result]), node });
            sum.operands[0] = kept;
            sum.results = SmallVec::from_slice(&[value]);
        }
        for added in std::iter::once(sum).chain(after.into_iter().rev()) {
            for result in &added.results {
                if let Some(giver) = givers.get_mut(result.index()) {
                    *giver = instructions.len() as u32;
                }
            }
            instructions.push(added);
        }
    }
    program.instructions = instructions;
}

/// Whether anything can be taken out of a sum.
fn may_factor(program: &Program) -> bool {
    let mut sources = Sources::default();
    let mut givers = vec![NOBODY; program.values.len()];
    program.instructions.iter().enumerate().any(|(i, instruction)| {
        sources.see(program, instruction);
        if taken_out(program, &sources, &givers, &program.instructions, instruction).is_some() {
            return true;
        }
        instruction.results.iter().for_each(|result| givers[result.index()] = i as u32);
        false
    })
}

/// What a sum is to be done to once it is taken.
enum Rest {
    Negated,
    /// Times a value that is the same in every row.
    Times(ValueId),
}

/// What is left of what is summed, and what comes out of the sum.
fn taken_out(
    program: &Program,
    sources: &Sources,
    givers: &[u32],
    instructions: &[Instruction],
    sum: &Instruction,
) -> Option<(ValueId, Rest)> {
    let (operand, columns) = summed(program, sum)?;
    let giver = |value: ValueId| instructions.get(*givers.get(value.index())? as usize);
    let in_loop = |value: ValueId| giver(value).and_then(op_of).is_some_and(fusible);
    let whole = &program.spec(operand).dims;
    let of = giver(operand)?;
    match (op_of(of)?, of.operands.as_slice()) {
        (Op::Unary(UnaryOp::Neg), &[a]) if in_loop(a) => Some((a, Rest::Negated)),
        (Op::Binary(BinaryOp::Mul), &[a, b]) => {
            let in_every_row = |value: ValueId| {
                let narrow = sources.of(value);
                let dims: Dims = program.spec(narrow).dims.iter().copied().skip_while(|e| *e == 1).collect();
                (broadcast_dims(&dims, &columns).as_ref() == Some(&columns)
                    && (dims.len() == columns.len() || program.spec(narrow).dims.len() <= columns.len()))
                .then_some(narrow)
            };
            let rest = |a: ValueId, b: ValueId| {
                let factor = in_every_row(b)?;
                (in_loop(a) && program.spec(a).dims == *whole).then_some((a, Rest::Times(factor)))
            };
            rest(a, b).or_else(|| rest(b, a))
        }
        (_, _) => None,
    }
}
