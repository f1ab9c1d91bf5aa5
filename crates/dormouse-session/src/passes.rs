//! Passes: programs into better programs. One rule a file; the order is one list, with its reasons.

mod cse;
mod dead;
mod fold;

use dormouse_kernels::Spec;
use dormouse_value::Op;
use smallvec::SmallVec;

use crate::program::{Action, Instruction, Program, ValueId};

/// A pass: its name and what it does.
type Pass = (&'static str, fn(&mut Program));

/// Every pass by name, in order: folding leaves equal constants, which merging finds; only what is still read stays.
const PASSES: &[Pass] = &[("fold", fold::fold), ("cse", cse::cse), ("dead", dead::dead)];

/// Runs every pass.
pub(crate) fn optimize(program: &mut Program) {
    for (name, pass) in PASSES {
        pass(program);
        debug_assert_eq!(program.verify(), Ok(()), "after {name}");
    }
}

/// A map that leaves every value in its place, for passes to change.
fn identity(program: &Program) -> Vec<ValueId> {
    (0..program.values.len()).map(|i| ValueId(i as u32)).collect()
}

/// The mathematics of an instruction, if that is what it is.
fn op_of(instruction: &Instruction) -> Option<&Op> {
    match &instruction.action {
        Action::Op(op) => Some(op),
        Action::Random { .. } => None,
    }
}

/// The specs of values.
fn specs(program: &Program, values: &[ValueId]) -> SmallVec<[Spec; 4]> {
    values.iter().map(|v| program.spec(*v).clone()).collect()
}
