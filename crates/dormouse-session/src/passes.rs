//! Passes: programs into better programs. One rule a file; the order is one list, with its reasons.

mod cse;
mod dead;
mod fold;
mod fuse;
mod simplify;

use dormouse_kernels::Spec;
use dormouse_value::{Op, Value};
use smallvec::SmallVec;

use crate::program::{Action, Instruction, Program, ValueId};
use crate::session::Optimize;

/// A pass: its name, whether it may change rounding, and what it does.
pub(crate) struct Pass {
    pub(crate) name: &'static str,
    run: fn(&mut Program, Optimize),
}

/// Every pass, in order: folding makes the constants that simplifying looks for; what both leave equal is merged; only
/// what is still read is worth fusing; fusing leaves instructions that nobody reads.
pub(crate) const PASSES: &[Pass] = &[
    Pass { name: "fold", run: fold::fold },
    Pass { name: "simplify", run: simplify::simplify },
    Pass { name: "cse", run: cse::cse },
    Pass { name: "dead", run: dead::dead },
    Pass { name: "fuse", run: fuse::fuse },
    Pass { name: "dead", run: dead::dead },
];

/// Runs every pass; `told` is called with the program after each.
pub(crate) fn optimize(program: &mut Program, optimize: Optimize, mut told: impl FnMut(&str, &Program)) {
    if optimize == Optimize::Off {
        dead::dead(program, optimize);
        told("dead", program);
        return;
    }
    for pass in PASSES {
        (pass.run)(program, optimize);
        debug_assert_eq!(program.verify(), Ok(()), "after {}", pass.name);
        told(pass.name, program);
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
        Action::Loop(_) | Action::Random { .. } | Action::Copy => None,
    }
}

/// The specs of values.
fn specs(program: &Program, values: &[ValueId]) -> SmallVec<[Spec; 4]> {
    values.iter().map(|v| program.spec(*v).clone()).collect()
}

/// The number that every element of a value is, if it is a constant of one element.
fn number(value: &Value) -> Option<f64> {
    if value.len() != 1 {
        return None;
    }
    Some(match value {
        Value::F32(a) => f64::from(*a.first()?),
        Value::F64(a) => *a.first()?,
        Value::I32(a) => f64::from(*a.first()?),
        Value::I64(a) => *a.first()? as f64,
        Value::U8(a) => f64::from(*a.first()?),
        Value::Bool(a) => f64::from(u8::from(*a.first()?)),
    })
}
