//! Simplification: instructions that turn out to do nothing, or to be another's case, once shapes and constants are
//! known. One rule a function; `simplify` keeps every bit, `round` holds the rules that do not.

use dormouse_kernels::Spec;
use dormouse_value::{BinaryOp, Dims, Op, ReduceOp, UnaryOp, Value, broadcast_dims, with_dtype};
use smallvec::SmallVec;

use crate::passes::uses::NOBODY;
use crate::passes::{identity, op_of};
use crate::program::{Action, Origin, Program, ValueId};

/// Constants of more elements are not looked through for being the same number everywhere.
const SEARCHED: usize = 1 << 16;

/// What an instruction is instead.
enum Instead {
    /// Another value.
    Same(ValueId),
    /// Another value's numbers with the result's shape.
    Reshaped(ValueId),
    /// Another operation.
    Other(Op, SmallVec<[ValueId; 3]>),
}

/// The instruction that computes each value, of those seen so far; [`NOBODY`] where none does.
type Producers = [u32];

type Rule = fn(&Program, &Producers, &Op, &[ValueId], &Spec) -> Option<Instead>;

pub(super) fn simplify(program: &mut Program) {
    rewrite(program, &[nothing_to_do, neutral, negated, transposed_factor, transposed_twice, unbroadcast]);
}

pub(super) fn round(program: &mut Program) {
    rewrite(program, &[neutral_but_for_zeros, small_power]);
}

/// Tries every rule on every instruction of one result, until none applies.
fn rewrite(program: &mut Program, rules: &[Rule]) {
    let mut map = identity(program);
    let mut producers = vec![NOBODY; program.values.len()];
    let mut changed = false;
    for i in 0..program.instructions.len() {
        if changed {
            program.instructions[i].operands.iter_mut().for_each(|operand| *operand = map[operand.index()]);
        }
        // A rule's outcome may be another rule's case; each makes the program smaller or nearer to its operands.
        for _ in 0..8 {
            let instruction = &program.instructions[i];
            let (Action::Op(op), &[result]) = (&instruction.action, instruction.results.as_slice()) else { break };
            let spec = program.spec(result);
            let found = rules.iter().find_map(|rule| rule(program, &producers, op, &instruction.operands, spec));
            let Some(found) = found else { break };
            changed = true;
            match found {
                Instead::Same(value) => {
                    map[result.index()] = value;
                    break;
                }
                Instead::Reshaped(value) => {
                    program.origins[result.index()] = Origin::Alias(value);
                    program.instructions[i].results.clear();
                    break;
                }
                Instead::Other(op, operands) => {
                    program.instructions[i].action = Action::Op(op);
                    program.instructions[i].operands = operands;
                }
            }
        }
        program.instructions[i].results.iter().for_each(|result| producers[result.index()] = i as u32);
    }
    if changed {
        // Aliases of values that have gone are of what stands for them now.
        program.instructions.retain(|i| !i.results.is_empty());
        program.replace(&map);
    }
}

/// The operation that gives a value, and its operands.
fn giver<'a>(program: &'a Program, producers: &Producers, value: ValueId) -> Option<(&'a Op, &'a [ValueId])> {
    let instruction = program.instructions.get(*producers.get(value.index())? as usize)?;
    Some((op_of(instruction)?, &instruction.operands))
}

/// Whether a constant is `number` everywhere; −0 is not 0.
fn is_everywhere(program: &Program, value: ValueId, number: f64) -> bool {
    program.constant(value).is_some_and(|c| c.len() <= SEARCHED && !c.is_empty() && all_equal(c, number))
}

fn all_equal(value: &Value, number: f64) -> bool {
    let spec = (value.dtype(), value.shape());
    let Some(expected) = dormouse_value::Weak::Float(number).to_value(spec.0) else { return false };
    let (Some(bytes), Some(one)) = (value.as_bytes(), expected.as_bytes()) else { return false };
    with_dtype!(spec.0, T => bytes.chunks_exact(size_of::<T>()).all(|element| element == one))
}

/// Shapes and attributes leave the operand's elements as they are.
fn nothing_to_do(program: &Program, _: &Producers, op: &Op, operands: &[ValueId], result: &Spec) -> Option<Instead> {
    let first = *operands.first()?;
    let spec = program.spec(first);
    let always = matches!(op, Op::Identity | Op::StopGradient | Op::EnsureShape { .. });
    let of_one = matches!(op, Op::AddN | Op::Concat { .. }) && operands.len() == 1;
    // With the operand's own shape as the result's, these move and add nothing.
    let kept_whole = matches!(
        op,
        Op::SumLike
            | Op::BroadcastLike
            | Op::BroadcastTo { .. }
            | Op::Slice { .. }
            | Op::SliceLike { .. }
            | Op::SliceGrad { .. }
            | Op::Pad { .. }
            | Op::Tile { .. }
            | Op::TileGrad { .. }
            | Op::ConcatGrad { .. }
            | Op::Cast { .. }
    );
    if always || of_one || (kept_whole && spec == result) {
        return Some(Instead::Same(first));
    }
    if let Op::Transpose { perm } = op
        && long_axes(&order(perm, spec.dims.len()), &spec.dims).is_sorted()
    {
        return Some(Instead::Reshaped(first));
    }
    let alone = matches!(op, Op::Reduce { op: ReduceOp::Max | ReduceOp::Min | ReduceOp::Prod, .. });
    (alone && spec.len() == result.len() && !spec.is_empty()).then_some(Instead::Reshaped(first))
}

/// A permutation, where an empty one reverses all axes.
fn order(perm: &[u32], rank: usize) -> SmallVec<[u32; 4]> {
    if perm.is_empty() { (0..rank as u32).rev().collect() } else { perm.into() }
}

/// The axes of a permutation that have more than one element.
fn long_axes(order: &[u32], dims: &[usize]) -> SmallVec<[u32; 4]> {
    order.iter().copied().filter(|axis| dims.get(*axis as usize).is_some_and(|extent| *extent != 1)).collect()
}

/// x·1, x/1, x − 0, x¹.
fn neutral(program: &Program, _: &Producers, op: &Op, operands: &[ValueId], result: &Spec) -> Option<Instead> {
    let &[a, b] = operands else { return None };
    let Op::Binary(op) = op else { return None };
    let keeps = |x: ValueId| program.spec(x) == result;
    let one = |x: ValueId| is_everywhere(program, x, 1.0);
    let second = match op {
        BinaryOp::Mul | BinaryOp::Div => one(b),
        BinaryOp::Sub => is_everywhere(program, b, 0.0),
        BinaryOp::Pow => one(b) && result.dtype.is_float(),
        BinaryOp::Add
        | BinaryOp::FloorDiv
        | BinaryOp::FloorMod
        | BinaryOp::Maximum
        | BinaryOp::Minimum
        | BinaryOp::SquaredDifference
        | BinaryOp::ReluGrad
        | BinaryOp::Atan2
        | BinaryOp::TruncateDiv
        | BinaryOp::TruncateMod
        | BinaryOp::BitwiseAnd
        | BinaryOp::BitwiseOr
        | BinaryOp::BitwiseXor
        | BinaryOp::LeftShift
        | BinaryOp::RightShift
        | BinaryOp::Zeta
        | BinaryOp::Polygamma
        | BinaryOp::Igamma
        | BinaryOp::Igammac
        | BinaryOp::IgammaGradA
        | BinaryOp::RandomGammaGrad => false,
    };
    if second && keeps(a) {
        return Some(Instead::Same(a));
    }
    (*op == BinaryOp::Mul && one(a) && keeps(b)).then_some(Instead::Same(b))
}

/// −(−x), a − (−b), a + (−b).
fn negated(program: &Program, producers: &Producers, op: &Op, operands: &[ValueId], _: &Spec) -> Option<Instead> {
    let negated = |x: ValueId| match giver(program, producers, x) {
        Some((Op::Unary(UnaryOp::Neg), of)) => of.first().copied(),
        Some(_) | None => None,
    };
    let to = |op: BinaryOp, a: ValueId, b: ValueId| Instead::Other(Op::Binary(op), SmallVec::from_slice(&[a, b]));
    match (op, operands) {
        (Op::Unary(UnaryOp::Neg), &[x]) => negated(x).map(Instead::Same),
        (Op::Binary(BinaryOp::Sub), &[a, b]) => negated(b).map(|b| to(BinaryOp::Add, a, b)),
        (Op::Binary(BinaryOp::Add), &[a, b]) => negated(b).map(|b| to(BinaryOp::Sub, a, b)),
        (_, _) => None,
    }
}

/// A matrix product of a transpose reads the other way round instead.
fn transposed_factor(
    program: &Program,
    producers: &Producers,
    op: &Op,
    operands: &[ValueId],
    _: &Spec,
) -> Option<Instead> {
    let (Op::MatMul { transpose_a, transpose_b }, &[a, b]) = (op, operands) else { return None };
    let swapped = |x: ValueId| -> Option<ValueId> {
        let (Op::Transpose { perm }, &[of]) = giver(program, producers, x)? else { return None };
        let order = order(perm, program.spec(of).dims.len());
        let rank = order.len();
        let swaps = rank >= 2
            && order[rank - 2] as usize == rank - 1
            && order[rank - 1] as usize == rank - 2
            && order[..rank - 2].iter().enumerate().all(|(i, axis)| i == *axis as usize);
        swaps.then_some(of)
    };
    let (before_a, before_b) = (swapped(a), swapped(b));
    if before_a.is_none() && before_b.is_none() {
        return None;
    }
    let op =
        Op::MatMul { transpose_a: *transpose_a != before_a.is_some(), transpose_b: *transpose_b != before_b.is_some() };
    Some(Instead::Other(op, SmallVec::from_slice(&[before_a.unwrap_or(a), before_b.unwrap_or(b)])))
}

/// A transpose of a transpose is one.
fn transposed_twice(
    program: &Program,
    producers: &Producers,
    op: &Op,
    operands: &[ValueId],
    _: &Spec,
) -> Option<Instead> {
    let (Op::Transpose { perm: outer }, &[x]) = (op, operands) else { return None };
    let (Op::Transpose { perm: inner }, &[of]) = giver(program, producers, x)? else { return None };
    let rank = program.spec(of).dims.len();
    let (outer, inner) = (order(outer, rank), order(inner, rank));
    let perm = outer.iter().filter_map(|axis| inner.get(*axis as usize).copied()).collect();
    Some(Instead::Other(Op::Transpose { perm }, SmallVec::from_slice(&[of])))
}

/// What broadcasts by itself needs no broadcast operand, as long as the result keeps its shape.
fn unbroadcast(
    program: &Program,
    producers: &Producers,
    op: &Op,
    operands: &[ValueId],
    result: &Spec,
) -> Option<Instead> {
    if !matches!(op, Op::Binary(_) | Op::Compare(_) | Op::Logical(_) | Op::Select) {
        return None;
    }
    for (k, &operand) in operands.iter().enumerate() {
        let Some((Op::BroadcastTo { .. } | Op::BroadcastLike, of)) = giver(program, producers, operand) else {
            continue;
        };
        let of = of[0];
        let mut replaced = SmallVec::<[ValueId; 3]>::from_slice(operands);
        replaced[k] = of;
        let mut dims = Some(Dims::new());
        for value in &replaced {
            dims = dims.and_then(|d| broadcast_dims(&d, &program.spec(*value).dims));
        }
        if dims.as_ref() == Some(&result.dims) {
            return Some(Instead::Other(op.clone(), replaced));
        }
    }
    None
}

/// x + 0, which is 0 where x is −0; sums of one element, likewise.
fn neutral_but_for_zeros(
    program: &Program,
    _: &Producers,
    op: &Op,
    operands: &[ValueId],
    result: &Spec,
) -> Option<Instead> {
    let zero = |x: ValueId| is_everywhere(program, x, 0.0) || is_everywhere(program, x, -0.0);
    if let (Op::Binary(BinaryOp::Add), &[a, b]) = (op, operands) {
        let kept = if zero(b) { a } else { b };
        let adds_nothing = (zero(b) || zero(a)) && program.spec(kept) == result;
        return adds_nothing.then_some(Instead::Same(kept));
    }
    let alone = matches!(op, Op::Reduce { op: ReduceOp::Sum | ReduceOp::Mean, .. });
    let first = *operands.first()?;
    (alone && program.spec(first).len() == result.len() && !result.is_empty()).then_some(Instead::Reshaped(first))
}

/// x² is cheaper than a power.
fn small_power(program: &Program, _: &Producers, op: &Op, operands: &[ValueId], result: &Spec) -> Option<Instead> {
    let (Op::Binary(BinaryOp::Pow), &[a, b]) = (op, operands) else { return None };
    let squares = result.dtype.is_float() && program.spec(a) == result && is_everywhere(program, b, 2.0);
    squares.then(|| Instead::Other(Op::Unary(UnaryOp::Square), SmallVec::from_slice(&[a])))
}
