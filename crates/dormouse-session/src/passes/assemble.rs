//! Assembling: gradients of slices that tile a whole are put side by side, in the place of adding each, with zeros around it,
//! to the others. A cell that takes its gates apart has such a gradient, and so has a sequence that is taken apart by steps.

use dormouse_value::Op;
use smallvec::{SmallVec, smallvec};

use crate::passes::op_of;
use crate::passes::products::{insert, reads};
use crate::passes::uses::givers;
use crate::program::{Action, Instruction, Origin, Program, ValueId};

/// The gradient of a slice: where it begins along the axis it was cut from, and what is put there.
struct Piece {
    giver: usize,
    start: usize,
    value: ValueId,
}

pub(super) fn assemble(program: &mut Program) {
    let is_sum = |i: &Instruction| op_of(i) == Some(&Op::AddN);
    let is_piece = |i: &Instruction| matches!(op_of(i), Some(Op::SliceGrad { .. }));
    if !program.instructions.iter().any(is_piece) || !program.instructions.iter().any(is_sum) {
        return;
    }
    let (reads, givers) = (reads(program), givers(program));
    let mut before = Vec::new();
    let mut gone = vec![false; program.instructions.len()];
    for i in 0..program.instructions.len() {
        if !is_sum(&program.instructions[i]) {
            continue;
        }
        let sum = program.spec(program.instructions[i].results[0]).clone();
        for axis in 0..sum.dims.len() {
            let mut rest: SmallVec<[ValueId; 3]> = SmallVec::new();
            let mut pieces: Vec<Piece> = Vec::new();
            for &operand in &program.instructions[i].operands {
                let giver = givers[operand.index()] as usize;
                let alone = gone.get(giver).is_some_and(|gone| !gone) && reads[operand.index()] == 1;
                match alone.then(|| piece(program, giver, axis)).flatten() {
                    Some(piece) => pieces.push(piece),
                    None => rest.push(operand),
                }
            }
            pieces.sort_by_key(|piece| piece.start);
            let mut end = 0;
            let tiled = pieces.iter().all(|piece| {
                let begins = piece.start == end;
                end += program.spec(piece.value).dims[axis];
                begins
            });
            if pieces.len() < 2 || !tiled || end != sum.dims[axis] {
                continue;
            }
            pieces.iter().for_each(|piece| gone[piece.giver] = true);
            let operands: SmallVec<[ValueId; 3]> = pieces.iter().map(|piece| piece.value).collect();
            let action = Action::Op(Op::Concat { axis: axis as i32 });
            if rest.is_empty() {
                let instruction = &mut program.instructions[i];
                (instruction.action, instruction.operands) = (action, operands);
            } else {
                let whole = program.add_value(sum.clone(), Origin::Computed);
                let node = program.instructions[i].node;
                before.push((i, Instruction { action, operands, results: smallvec![whole], node }));
                rest.push(whole);
                program.instructions[i].operands = rest;
            }
            break;
        }
    }
    insert(program, before, &gone);
}

/// The piece that an instruction pads to a whole along one axis.
fn piece(program: &Program, giver: usize, axis: usize) -> Option<Piece> {
    let instruction = &program.instructions[giver];
    let Op::SliceGrad { begin } = op_of(instruction)? else { return None };
    let (value, whole) = (*instruction.operands.first()?, *instruction.results.first()?);
    let (part, dims) = (&program.spec(value).dims, &program.spec(whole).dims);
    let others = (0..dims.len()).all(|a| a == axis || part[a] == dims[a]);
    let start = usize::try_from(*begin.get(axis)?).ok()?;
    (others && part[axis] < dims[axis]).then_some(Piece { giver, start, value })
}
