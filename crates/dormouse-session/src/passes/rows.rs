//! Rows: the gradient of a gather that goes into the update of what was gathered stays as the rows that were taken, each
//! once, on its way through factors, into norms and into the update, which touches these rows alone.
//!
//! Sums over the gradient are taken over these rows, so they round otherwise; a factor that is not finite spoils these rows and
//! not the others.

use dormouse_kernels::Spec;
use dormouse_value::{BinaryOp, Op, ScatterOp};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::{SmallVec, smallvec};

use crate::passes::op_of;
use crate::program::{Action, Instruction, Origin, Program, ValueId};

/// Factors on the way from a gradient to an update, at most.
const FACTORS: usize = 8;
/// The gathered array has so many times the rows that are taken, at least.
const SPARSE: usize = 2;

/// What becomes of a reader of the gradient.
enum Use {
    /// Multiplied with one number, which is this operand.
    Scaled { factor: ValueId },
    /// Half the sum of squares.
    Norm,
    /// Added to, or taken from, another array.
    Update { of: ValueId, op: ScatterOp },
}

pub(super) fn rows(program: &mut Program) {
    let is_gradient = |i: &Instruction| matches!(op_of(i), Some(Op::GatherGrad { axis: 0 }));
    let found: Vec<usize> =
        (0..program.instructions.len()).filter(|i| is_gradient(&program.instructions[*i])).collect();
    if found.is_empty() {
        return;
    }
    let mut readers: FxHashMap<ValueId, SmallVec<[usize; 2]>> = FxHashMap::default();
    for (i, instruction) in program.instructions.iter().enumerate() {
        for operand in instruction.read() {
            readers.entry(program.root(operand)).or_default().push(i);
        }
    }
    let ends: FxHashSet<ValueId> = program.ends().map(|v| program.root(v)).collect();
    let mut sums = Vec::new();
    for i in found {
        let gradient = &program.instructions[i];
        let (&[dy, indices, _], &[dense]) = (gradient.operands.as_slice(), gradient.results.as_slice()) else {
            continue;
        };
        let (spec, count) = (program.spec(dense).clone(), program.spec(indices).len());
        if count == 0 || !spec.dtype.is_float() || spec.dims[0] < SPARSE * count {
            continue;
        }
        let mut uses = Vec::new();
        let updated = trace(program, &readers, &ends, dense, &mut uses, FACTORS);
        // An update of something that is itself a multiple of the gradient would need that whole.
        let multiples: FxHashSet<ValueId> = uses
            .iter()
            .filter(|(_, becomes)| matches!(becomes, Use::Scaled { .. }))
            .map(|(at, _)| program.instructions[*at].results[0])
            .chain([dense])
            .collect();
        let whole = |(_, becomes): &(usize, Use)| matches!(becomes, Use::Update { of, .. } if multiples.contains(of));
        if updated != Some(true) || uses.iter().any(whole) {
            continue;
        }
        let mut dims = spec.dims.clone();
        dims[0] = count;
        let row_spec = Spec::new(spec.dtype, &dims);
        let rows = program.add_value(row_spec.clone(), Origin::Computed);
        let index = program.spec(indices).dtype;
        let places = program.add_value(Spec::new(index, &[count, 1]), Origin::Computed);
        let extent = spec.dims[0];
        let node = program.instructions[i].node;
        let (operands, results) = (smallvec![dy, indices], smallvec![rows, places]);
        sums.push((i, Instruction { action: Action::SumRows { extent }, operands, results, node }));
        // Gradients come before what is made of them.
        let mut sparse: FxHashMap<ValueId, ValueId> = std::iter::once((dense, rows)).collect();
        uses.sort_by_key(|(at, _)| *at);
        for (at, becomes) in uses {
            let result = program.instructions[at].results[0];
            let operand = program.instructions[at].operands.iter().find_map(|o| sparse.get(o)).copied();
            let Some(operand) = operand else { continue };
            match becomes {
                Use::Scaled { factor } => {
                    let scaled = program.add_value(row_spec.clone(), Origin::Computed);
                    sparse.insert(result, scaled);
                    let instruction = &mut program.instructions[at];
                    instruction.operands = smallvec![operand, factor];
                    instruction.results = smallvec![scaled];
                }
                Use::Norm => program.instructions[at].operands[0] = operand,
                Use::Update { of, op } => {
                    let instruction = &mut program.instructions[at];
                    instruction.action = Action::UpdateRows(op);
                    instruction.operands = smallvec![of, places, operand];
                }
            }
        }
    }
    for (at, instruction) in sums {
        program.instructions[at] = instruction;
    }
}

/// Collects what reads a gradient, and says whether an update does; `None` where something needs it whole.
fn trace(
    program: &Program,
    readers: &FxHashMap<ValueId, SmallVec<[usize; 2]>>,
    ends: &FxHashSet<ValueId>,
    gradient: ValueId,
    uses: &mut Vec<(usize, Use)>,
    factors: usize,
) -> Option<bool> {
    if ends.contains(&gradient) {
        return None;
    }
    let mut updated = false;
    for &at in readers.get(&gradient).map_or(&[][..], SmallVec::as_slice) {
        let instruction = &program.instructions[at];
        let dims = &program.spec(gradient).dims;
        let becomes = match (op_of(instruction)?, instruction.operands.as_slice()) {
            (Op::L2Loss, &[x]) if x == gradient => Use::Norm,
            (Op::Binary(BinaryOp::Mul), &[a, b]) if (a == gradient) != (b == gradient) => {
                let factor = if a == gradient { b } else { a };
                let one = program.spec(factor).len() == 1 && program.spec(factor).dims.len() <= dims.len();
                if !one || factors == 0 {
                    return None;
                }
                Use::Scaled { factor }
            }
            (Op::Binary(op), &[a, b]) if (a == gradient) != (b == gradient) => {
                let of = if a == gradient { b } else { a };
                let adds = *op == BinaryOp::Add;
                let updates = adds || *op == BinaryOp::Sub && b == gradient;
                if !updates || program.spec(of).dims != *dims {
                    return None;
                }
                let op = if adds { ScatterOp::Add } else { ScatterOp::Sub };
                updated = true;
                Use::Update { of, op }
            }
            _ => return None,
        };
        if matches!(becomes, Use::Scaled { .. }) {
            updated |= trace(program, readers, ends, instruction.results[0], uses, factors - 1)?;
        }
        uses.push((at, becomes));
    }
    Some(updated)
}
