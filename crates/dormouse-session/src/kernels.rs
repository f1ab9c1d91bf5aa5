//! Kernels: from instructions to code. What does the same to the same shapes is compiled once, which the layers of a deep
//! network, and the steps of a recurrent one, mostly do.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use dormouse_kernels::{
    Kernel, KernelError, RandomKey, Spec, compile, compile_constant, compile_epilogue, compile_freely, compile_loop,
    compile_loop_columns, compile_loop_reduction, compile_loss_gradient, compile_random, compile_sum_rows,
};
use dormouse_value::Op;
use rustc_hash::FxHasher;

use crate::options::Optimize;
use crate::program::{Action, Instruction, Program, ValueId};

/// No instruction.
const NOBODY: u32 = u32::MAX;

/// What kernels are compiled for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compiler {
    /// Threads of the session.
    pub(crate) threads: usize,
    /// The session's address, by which a custom operation knows that it is run by it.
    pub(crate) session: usize,
    /// What may be done.
    pub(crate) optimize: Optimize,
    /// Bytes that an arena may have.
    pub(crate) memory_limit: Option<usize>,
}

/// Code that was compiled, found by what it does and to what.
struct Compiled {
    /// The upper half of a hash, and the number of the first instruction that has it; [`NOBODY`] where there is none.
    places: Vec<(u32, u32)>,
    used: usize,
}

impl Compiled {
    fn new() -> Compiled {
        Compiled { places: vec![(0, NOBODY); 64], used: 0 }
    }

    /// The instruction that has this one's kernel; of none, this one has from now on.
    fn find_or_insert(&mut self, program: &Program, instruction: usize) -> Option<usize> {
        let this = &program.instructions[instruction];
        let hash = hash(program, this);
        let mut at = hash as usize & (self.places.len() - 1);
        loop {
            match self.places[at] {
                (_, NOBODY) => break,
                (theirs, other) if theirs == hash && alike(program, this, &program.instructions[other as usize]) => {
                    return Some(other as usize);
                }
                _ => at = (at + 1) & (self.places.len() - 1),
            }
        }
        self.places[at] = (hash, instruction as u32);
        self.used += 1;
        if 2 * self.used > self.places.len() {
            self.grow();
        }
        None
    }

    fn grow(&mut self) {
        let larger = vec![(0, NOBODY); 2 * self.places.len()];
        for (hash, instruction) in std::mem::replace(&mut self.places, larger) {
            if instruction != NOBODY {
                let mut at = hash as usize & (self.places.len() - 1);
                while self.places[at].1 != NOBODY {
                    at = (at + 1) & (self.places.len() - 1);
                }
                self.places[at] = (hash, instruction);
            }
        }
    }
}

/// What an instruction's kernel is told by, beside its action.
fn specs_of<'a>(program: &'a Program, instruction: &'a Instruction) -> impl Iterator<Item = &'a Spec> {
    // The operands of a loop are its inputs, and its results have its extents.
    let own = matches!(
        instruction.action,
        Action::Op(_) | Action::Epilogue(_) | Action::LoopReduction(..) | Action::LoopColumns(..)
    );
    let values = instruction.operands.iter().chain(&instruction.results);
    values.filter(move |_| own).map(|value| program.spec(*value))
}

fn hash(program: &Program, instruction: &Instruction) -> u32 {
    let mut hasher = FxHasher::default();
    match &instruction.action {
        Action::Op(op) => op.hash(&mut hasher),
        Action::Epilogue(both) => both.hash(&mut hasher),
        Action::Loop(body) => body.hash(&mut hasher),
        Action::LoopReduction(body, reduce) => (body, reduce).hash(&mut hasher),
        Action::LoopColumns(body, columns) => (body, columns).hash(&mut hasher),
        Action::LossGradient(_)
        | Action::SumRows { .. }
        | Action::UpdateRows(_)
        | Action::Custom(_)
        | Action::Random { .. } => {}
    }
    specs_of(program, instruction).for_each(|spec| spec.hash(&mut hasher));
    (hasher.finish() >> 32) as u32
}

fn alike(program: &Program, a: &Instruction, b: &Instruction) -> bool {
    let numbers = a.operands.len() == b.operands.len() && a.results.len() == b.results.len();
    numbers && a.action == b.action && specs_of(program, a).eq(specs_of(program, b))
}

/// Whether an instruction's kernel depends on its action and on specs alone.
fn is_shared(program: &Program, instruction: &Instruction) -> bool {
    match instruction.action {
        // Products and convolutions with a constant have it in them.
        Action::Op(_) | Action::Epilogue(_) => {
            instruction.operands.get(1).is_none_or(|operand| program.constant(*operand).is_none())
        }
        Action::Loop(_) | Action::LoopReduction(..) | Action::LoopColumns(..) => true,
        Action::LossGradient(_)
        | Action::SumRows { .. }
        | Action::UpdateRows(_)
        | Action::Custom(_)
        | Action::Random { .. } => false,
    }
}

/// The kernels of a program's instructions, in order.
///
/// # Errors
/// The number of an instruction that there is no kernel for, and why.
pub(crate) fn kernels(
    program: &Program,
    compiler: Compiler,
) -> std::result::Result<Vec<Arc<Kernel>>, (usize, KernelError)> {
    let mut kernels: Vec<Arc<Kernel>> = Vec::with_capacity(program.instructions.len());
    let mut compiled = Compiled::new();
    for (i, instruction) in program.instructions.iter().enumerate() {
        let same = is_shared(program, instruction).then(|| compiled.find_or_insert(program, i)).flatten();
        let kernel = match same {
            Some(same) => Arc::clone(&kernels[same]),
            None => Arc::new(kernel(program, instruction, compiler).map_err(|error| (i, error))?),
        };
        kernels.push(kernel);
    }
    Ok(kernels)
}

fn kernel(
    program: &Program,
    instruction: &Instruction,
    compiler: Compiler,
) -> std::result::Result<Kernel, KernelError> {
    let specs = |values: &[ValueId]| values.iter().map(|v| program.spec(*v).clone()).collect::<Vec<_>>();
    match &instruction.action {
        Action::Op(op) => kernel_of(program, op, &instruction.operands, &specs(&instruction.results), compiler),
        Action::Epilogue(both) => {
            let (operands, result) = (&instruction.operands[..both.operands], std::slice::from_ref(&both.result));
            let first = kernel_of(program, &both.op, operands, result, compiler)?;
            compile_epilogue(first, both.operands, &both.body, both.product)
        }
        Action::Loop(body) => compile_loop(body),
        Action::LoopReduction(body, reduce) => compile_loop_reduction(body, reduce),
        Action::LoopColumns(body, columns) => compile_loop_columns(body, columns.kept, &columns.reduces),
        Action::LossGradient(around) => {
            compile_loss_gradient(*around, &specs(&instruction.operands), &specs(&instruction.results))
        }
        Action::SumRows { extent } => {
            compile_sum_rows(*extent, &specs(&instruction.operands), &specs(&instruction.results))
        }
        Action::UpdateRows(op) => {
            let op = Op::ScatterNd { op: *op, batch_dims: 0 };
            let kernel = compile(&op, &specs(&instruction.operands), &specs(&instruction.results))?;
            // The rows are those of a sum over rows, which has looked at them.
            Ok(Kernel { fallible: false, ..kernel })
        }
        Action::Custom(custom) => {
            let op = custom.op().map_err(KernelError::new)?;
            let (inputs, outputs) = (specs(&instruction.operands), specs(&instruction.results));
            Ok(crate::custom::kernel(Arc::clone(op), compiler.session, inputs, outputs))
        }
        Action::Random { distribution, seeds, .. } => {
            let key = RandomKey::from_seeds(seeds.graph, seeds.operation);
            compile_random(*distribution, key, &specs(&instruction.operands), program.spec(instruction.results[0]))
        }
    }
}

/// The code of an operation.
fn kernel_of(
    program: &Program,
    op: &Op,
    operands: &[ValueId],
    outputs: &[Spec],
    compiler: Compiler,
) -> std::result::Result<Kernel, KernelError> {
    let inputs: Vec<Spec> = operands.iter().map(|v| program.spec(*v).clone()).collect();
    // A factor that is a constant is packed here rather than in every run.
    let weights = operands.get(1).and_then(|operand| program.constant(*operand));
    if let Some(kernel) = weights.and_then(|weights| compile_constant(op, &inputs, outputs, weights)) {
        return Ok(kernel);
    }
    let compile = if compiler.optimize == Optimize::Full { compile_freely } else { compile };
    compile(op, &inputs, outputs)
}
