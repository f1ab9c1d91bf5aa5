//! Passes: programs into better programs. One rule a file; the order is one list, with its reasons.

mod assemble;
mod broadcasts;
mod checked;
mod cse;
mod dead;
mod epilogue;
mod fold;
mod fuse;
mod hoist;
mod loss;
mod order;
mod products;
mod rows;
mod simplify;
mod uses;

use dormouse_value::Op;

use crate::options::Optimize;
use crate::program::{Action, Instruction, Program, ValueId};

/// A pass: its name, what it does, and the least that must be allowed for it to be run.
type Pass = (&'static str, fn(&mut Program), Optimize);

/// Every pass by name, in order. Folding leaves constants that simplifying looks for; both leave equal instructions,
/// which merging finds; what then is not read goes, so that hoisting and joining products and fusing see who truly reads
/// what. Hoisting comes before joining, which looks at sums of the products that are left. A loss takes in what stands
/// around it before a loop does. Loops that are whole then go behind the products that they read.
const PASSES: &[Pass] = &[
    ("fold", fold::fold, Optimize::Exact),
    ("simplify", simplify::simplify, Optimize::Exact),
    ("round", simplify::round, Optimize::Full),
    ("narrow", broadcasts::narrow, Optimize::Exact),
    ("factor", broadcasts::factor, Optimize::Full),
    ("cse", cse::cse, Optimize::Exact),
    ("dead", dead::dead, Optimize::Exact),
    ("assemble", assemble::assemble, Optimize::Full),
    ("hoist", hoist::hoist, Optimize::Full),
    ("join", products::join, Optimize::Full),
    ("share", products::share, Optimize::Exact),
    ("rows", rows::rows, Optimize::Full),
    ("checked", checked::checked, Optimize::Exact),
    ("loss", loss::surround, Optimize::Exact),
    ("fuse", fuse::fuse, Optimize::Exact),
    ("epilogue", epilogue::epilogue, Optimize::Exact),
];

/// Runs the passes that are allowed, and tells each one's name and what it left.
pub(crate) fn optimize(program: &mut Program, allowed: Optimize, mut after: impl FnMut(&str, &Program)) {
    for (name, pass, least) in PASSES {
        if *least <= allowed {
            pass(program);
            debug_assert_eq!(program.verify(), Ok(()), "after {name}");
            after(name, program);
        }
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
        Action::Loop(_)
        | Action::LoopReduction(..)
        | Action::LoopColumns(..)
        | Action::Epilogue(_)
        | Action::LossGradient(_)
        | Action::SumRows { .. }
        | Action::UpdateRows(_)
        | Action::Custom(_)
        | Action::Random { .. } => None,
    }
}

#[cfg(test)]
mod tests;
