//! A loss with what stands around it: the sparse softmax cross-entropy takes in the bias that is added to its logits and the
//! factor that its gradient is multiplied with, where nobody else reads what lies between. The bits stay.

use dormouse_kernels::LossGradient;
use dormouse_value::{BinaryOp, Op};
use rustc_hash::FxHashSet;
use smallvec::SmallVec;

use crate::passes::op_of;
use crate::passes::order::{Placed, ordered};
use crate::passes::products::reads;
use crate::program::{Action, Instruction, Program, ValueId};

/// How far is looked for a way from a loss to the factor of its own gradient.
const SEARCHED: usize = 1024;

pub(super) fn surround(program: &mut Program) {
    let is_loss = |i: &Instruction| op_of(i) == Some(&Op::SparseSoftmaxCrossEntropy);
    if !program.instructions.iter().any(is_loss) {
        return;
    }
    let reads = reads(program);
    let mut giver: Vec<Option<usize>> = vec![None; program.values.len()];
    let mut reader: Vec<Option<usize>> = vec![None; program.values.len()];
    for (i, instruction) in program.instructions.iter().enumerate() {
        instruction.results.iter().for_each(|r| giver[r.index()] = Some(i));
        instruction.operands.iter().for_each(|o| reader[o.index()] = Some(i));
    }
    let alone = |value: ValueId| reads[value.index()] == 1;
    let mut instructions: Vec<Placed> = program.instructions.iter().cloned().enumerate().map(Some).collect();
    let mut changed = false;
    for (i, loss) in program.instructions.iter().enumerate().filter(|(_, loss)| is_loss(loss)) {
        let (&[mut logits, labels], &[value, mut gradient]) = (loss.operands.as_slice(), loss.results.as_slice())
        else {
            continue;
        };
        let dims = program.spec(logits).dims.clone();
        let Some((&classes, rows)) = dims.split_last() else { continue };
        let rows: usize = rows.iter().product();
        let mut operands: SmallVec<[ValueId; 3]> = SmallVec::new();
        let added = giver[logits.index()].filter(|_| alone(logits));
        let added = added.and_then(|at| Some((at, of_both(program, at, BinaryOp::Add)?)));
        let bias = added.and_then(|(at, [a, b])| {
            let is_bias = |v: ValueId| {
                let spec = program.spec(v);
                spec.dims.last() == Some(&classes) && spec.len() == classes
            };
            let whole = |v: ValueId| program.spec(v).dims == dims;
            if whole(a) && is_bias(b) && rows > 1 {
                Some((at, a, b))
            } else {
                (whole(b) && is_bias(a) && rows > 1).then_some((at, b, a))
            }
        });
        let scaled = reader[gradient.index()].filter(|_| alone(gradient));
        let scaled = scaled.and_then(|at| Some((at, of_both(program, at, BinaryOp::Mul)?)));
        let scale = scaled.and_then(|(at, [a, b])| {
            let scale = if a == gradient { b } else { a };
            let spec = program.spec(scale);
            let by_row = spec.dims.len() == dims.len() && spec.dims.last() == Some(&1) && spec.len() == rows;
            let fits = program.spec(program.instructions[at].results[0]).dims == dims && scale != gradient;
            (fits && (by_row || spec.len() == 1) && !needs(program, &giver, scale, i)).then_some((at, scale))
        });
        if bias.is_none() && scale.is_none() {
            continue;
        }
        changed = true;
        if let Some((at, under, _)) = bias {
            logits = under;
            instructions[at] = None;
        }
        if let Some((at, _)) = scale {
            gradient = program.instructions[at].results[0];
            instructions[at] = None;
        }
        operands.extend([logits, labels]);
        operands.extend(bias.map(|b| b.2));
        operands.extend(scale.map(|s| s.1));
        let around = LossGradient { bias: bias.is_some(), scaled: scale.is_some() };
        let results = [gradient, value].into_iter().collect();
        let new = Instruction { action: Action::LossGradient(around), operands, results, node: loss.node };
        instructions[i] = Some((i, new));
    }
    if changed {
        let ordered = ordered(program, instructions);
        debug_assert!(ordered.is_some(), "a loss waits for itself");
        program.instructions = ordered.unwrap_or_else(|| std::mem::take(&mut program.instructions));
    }
}

/// The operands of an operation of two floats.
fn of_both(program: &Program, instruction: usize, op: BinaryOp) -> Option<[ValueId; 2]> {
    let instruction = &program.instructions[instruction];
    let &[a, b] = instruction.operands.as_slice() else { return None };
    (*op_of(instruction)? == Op::Binary(op) && program.spec(a).dtype.is_float()).then_some([a, b])
}

/// Whether a value needs an instruction's results, or may.
fn needs(program: &Program, giver: &[Option<usize>], value: ValueId, instruction: usize) -> bool {
    let mut seen = FxHashSet::default();
    let mut stack = vec![value];
    while let Some(value) = stack.pop() {
        let Some(at) = giver[program.root(value).index()] else { continue };
        if at == instruction || seen.len() > SEARCHED {
            return true;
        }
        if seen.insert(at) {
            stack.extend(program.instructions[at].read());
        }
    }
    false
}
