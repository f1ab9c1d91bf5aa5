//! Fused element-wise loops: steps over broadcast inputs, run a tile of elements at a time.
//!
//! Apart from the table of operations, as this file knows how values reach a tile and where they stay, but not what is
//! computed. `compile_loop` lowers a [`Loop`] to instructions with function pointers and registers; [`pairs`]
//! joins two into one, [`inputs`] brings broadcast inputs into tiles, [`registers`] finds each value a place,
//! [`execute`] runs.

#![allow(clippy::cast_ptr_alignment, reason = "buffers are aligned to their elements, scratch to 64 bytes")]

mod columns;
mod execute;
mod inputs;
mod pairs;
mod reduce;
mod registers;

use dormouse_value::{BinaryOp, DType, Dims, Op, broadcast_dims, element_count};
use smallvec::SmallVec;

use crate::elementwise::{Micro, Operation, duplicate, operation};
use crate::{Cost, Kernel, KernelError, Spec};

pub(crate) use execute::Fused;
use inputs::Source;
use pairs::Arithmetic;

pub use columns::{compile_loop_columns, sums_columns};
pub use reduce::compile_loop_reduction;

/// Elements that one instruction computes at a time: registers of this length stay in the first-level cache.
const TILE: usize = 256;
/// What a work tile, the scheduler's unit, should take at most, in nanoseconds.
const WORK_NANOS: f64 = 30_000.0;

/// Element-wise steps over one iteration space.
///
/// Values are numbered: first the inputs, then the results of the steps. Every value has the extents `dims` once
/// broadcast.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Loop {
    /// The extents of the iteration space, and so of every output.
    pub dims: Dims,
    /// The operands, each broadcastable to `dims`.
    pub inputs: Vec<Spec>,
    /// What is computed, in order.
    pub steps: Vec<Step>,
    /// The values that are results of the kernel.
    pub outputs: Vec<usize>,
}

/// One operation of a [`Loop`].
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Step {
    /// An operation that [`fusible`] allows.
    pub op: Op,
    /// The values it takes, each older than the step.
    pub operands: SmallVec<[usize; 3]>,
    /// The dtype of its result.
    pub dtype: DType,
}

/// One instruction: a function pointer, and the slots of its operands and its result.
#[derive(Clone, Copy, Debug)]
struct Instruction {
    run: Micro,
    operands: [u32; 3],
    /// How many operands count; the others repeat one of them.
    arity: usize,
    result: u32,
    fault: Option<&'static str>,
    /// Set where the instruction may become half of a pair.
    arithmetic: Option<Arithmetic>,
}

/// Whether an operation may be a step of a [`Loop`], for dtypes that its kernel takes.
pub fn fusible(op: &Op) -> bool {
    matches!(
        op,
        Op::Identity
            | Op::StopGradient
            | Op::Unary(_)
            | Op::Binary(_)
            | Op::Compare(_)
            | Op::Logical(_)
            | Op::Select
            | Op::Betainc
            | Op::Cast { .. }
            | Op::AddN
    )
}

/// The inputs of which element i alone is read for element i of the outputs.
///
/// The buffer of such an input may be that of any one output of the same dtype: within a tile all inputs are read
/// before an output that shares memory with one is written.
pub fn elementwise_inputs(l: &Loop) -> SmallVec<[usize; 4]> {
    let len = element_count(&l.dims);
    (0..l.inputs.len()).filter(|&i| element_count(&l.inputs[i].dims) == len).collect()
}

/// The kernel of a loop.
///
/// Its bits are those of its steps one by one: nothing is contracted or reordered. Result k is value `outputs[k]`.
///
/// # Errors
/// When an input does not broadcast to the extents, a step names a value that is not older, or an operation has no
/// code for its dtypes.
pub fn compile_loop(l: &Loop) -> Result<Kernel, KernelError> {
    let built = parts_of(l)?;
    let local = built.fused.local;
    let mut kernel = Kernel::new(built.fused.tiles(), built.cost, built.fused);
    if l.dims.contains(&0) {
        kernel.phases.clear();
    }
    kernel.local = local;
    kernel.in_place = in_place(l);
    kernel.fallible = built.fallible;
    Ok(kernel)
}

impl Loop {
    /// The dtype of a value, if there is one of this number.
    pub(crate) fn dtype_of(&self, value: usize) -> Option<DType> {
        (value < self.inputs.len() + self.steps.len()).then(|| dtype_of(self, value))
    }
}

/// The code of a loop that is run on so many parts of its elements, what it takes, and whether it may give an error.
///
/// # Errors
/// As [`compile_loop`].
pub(crate) fn fused(l: &Loop, parts: usize) -> Result<(Fused, Cost, bool), KernelError> {
    let Parts { mut fused, cost, fallible } = parts_of(l)?;
    fused.shorten(parts);
    Ok((fused, cost, fallible))
}

/// What a kernel of a loop is made of.
struct Parts {
    fused: Fused,
    cost: Cost,
    fallible: bool,
}

fn parts_of(l: &Loop) -> Result<Parts, KernelError> {
    let len =
        element_count(&l.dims).ok_or_else(|| KernelError::new("a loop of more elements than memory addresses"))?;
    let lowered = Lowered::of(l)?;
    let sources: Vec<Source> = l.inputs.iter().map(|input| Source::of(&l.dims, &input.dims)).collect();
    let bytes = bytes_moved(l, len);
    // The caches move about 40 bytes a nanosecond; arithmetic hides behind that, or that behind arithmetic.
    let nanos = lowered.nanos + sources.iter().map(Source::nanos).sum::<f64>();
    let per_element = nanos.max(bytes / len.max(1) as f64 * 0.025).max(0.01);
    let work = (((WORK_NANOS / per_element) as usize).min(1 << 20) / TILE).max(1) * TILE;
    let cost = Cost {
        flops: lowered.flops * len as f64,
        bytes,
        nanos: 20.0 + 4.0 * lowered.instructions.len() as f64 + per_element * len as f64,
    };
    let fallible = lowered.instructions.iter().any(|i| i.fault.is_some());
    Ok(Parts { fused: Fused::new(l, len, work, lowered, sources), cost, fallible })
}

fn bytes_moved(l: &Loop, len: usize) -> f64 {
    let read: f64 = l.inputs.iter().map(|input| input.bytes() as f64).sum();
    let written: usize = l.outputs.iter().map(|&value| dtype_of(l, value).size()).sum();
    read + (written * len) as f64
}

fn dtype_of(l: &Loop, value: usize) -> DType {
    value.checked_sub(l.inputs.len()).map_or_else(|| l.inputs[value].dtype, |step| l.steps[step].dtype)
}

/// Inputs that may share the buffer of result 0.
fn in_place(l: &Loop) -> SmallVec<[usize; 2]> {
    let Some(&value) = l.outputs.first() else { return SmallVec::new() };
    let dtype = dtype_of(l, value);
    elementwise_inputs(l).into_iter().filter(|&i| l.inputs[i].dtype == dtype).collect()
}

/// A loop as instructions over slots: inputs first, then one slot an instruction.
#[derive(Debug, Default)]
struct Lowered {
    instructions: Vec<Instruction>,
    /// The slot of each value of the loop.
    slots: Vec<u32>,
    /// The slot of each output.
    outputs: Vec<u32>,
    /// Bytes of an element of each slot.
    sizes: Vec<usize>,
    flops: f64,
    nanos: f64,
}

impl Lowered {
    fn of(l: &Loop) -> Result<Self, KernelError> {
        let mut lowered = Lowered::default();
        for (i, input) in l.inputs.iter().enumerate() {
            if broadcast_dims(&input.dims, &l.dims).as_ref() != Some(&l.dims) {
                return Err(KernelError::new(format!(
                    "input {i}, {input}, does not broadcast to {:?}",
                    l.dims.as_slice()
                )));
            }
            lowered.slots.push(i as u32);
            lowered.sizes.push(input.dtype.size());
        }
        for (i, step) in l.steps.iter().enumerate() {
            let value = l.inputs.len() + i;
            if let Some(&operand) = step.operands.iter().find(|&&operand| operand >= value) {
                return Err(KernelError::new(format!("step {i} takes value {operand}, which is not older than it")));
            }
            lowered.step(l, step)?;
        }
        if let Some(value) = l.outputs.iter().find(|&&value| value >= lowered.slots.len()) {
            return Err(KernelError::new(format!("an output is value {value} of {}", lowered.slots.len())));
        }
        for &value in &l.outputs {
            let slot = lowered.slots[value];
            // An input that is an output is copied by an instruction, so that the rule of in-place outputs holds for it
            // too; a single such output needs no tiles.
            let copied = (slot as usize) < l.inputs.len() && (l.outputs.len() > 1 || !lowered.instructions.is_empty());
            let slot = if copied {
                let dtype = dtype_of(l, value);
                lowered.emit(&duplicate(dtype), &[slot], dtype, None)
            } else {
                slot
            };
            lowered.outputs.push(slot);
        }
        pairs::join(&mut lowered, l.inputs.len());
        Ok(lowered)
    }

    fn step(&mut self, l: &Loop, step: &Step) -> Result<(), KernelError> {
        let dtypes: SmallVec<[DType; 3]> = step.operands.iter().map(|&value| dtype_of(l, value)).collect();
        let refuse = || {
            let names: Vec<&str> = dtypes.iter().map(|dtype| dtype.name()).collect();
            KernelError::new(format!("{:?} has no kernel for ({}) → {}", step.op, names.join(", "), step.dtype))
        };
        if !fusible(&step.op) || !fits(&step.op, &dtypes, step.dtype) {
            return Err(refuse());
        }
        let operands: SmallVec<[u32; 3]> = step.operands.iter().map(|&value| self.slots[value]).collect();
        let only = operands.len() == 1;
        if matches!(step.op, Op::Identity | Op::StopGradient) || (only && matches!(step.op, Op::AddN)) {
            self.slots.push(operands[0]);
            return Ok(());
        }
        let operand = if matches!(step.op, Op::Select) { step.dtype } else { dtypes[0] };
        let code = operation(&step.op, operand, step.dtype).ok_or_else(refuse)?;
        let result = if matches!(step.op, Op::AddN) {
            let sum = Arithmetic::of(BinaryOp::Add, step.dtype);
            operands[1..].iter().fold(operands[0], |a, &b| self.emit(&code, &[a, b], step.dtype, sum))
        } else {
            let arithmetic = if let Op::Binary(op) = step.op { Arithmetic::of(op, step.dtype) } else { None };
            self.emit(&code, &operands, step.dtype, arithmetic)
        };
        self.slots.push(result);
        Ok(())
    }

    fn emit(&mut self, code: &Operation, operands: &[u32], dtype: DType, arithmetic: Option<Arithmetic>) -> u32 {
        let result = self.sizes.len() as u32;
        let (arity, last) = (operands.len(), operands[operands.len() - 1]);
        let operands = [operands[0], operands.get(1).copied().unwrap_or(last), last];
        self.instructions.push(Instruction { run: code.run, operands, arity, result, fault: code.fault, arithmetic });
        self.sizes.push(dtype.size());
        self.flops += code.flops;
        self.nanos += code.nanos;
        result
    }
}

/// Whether an operation takes operands of these dtypes and gives that one, as far as it depends on their kinds.
fn fits(op: &Op, operands: &[DType], result: DType) -> bool {
    let same = |n: usize| operands.len() == n && operands.iter().all(|dtype| *dtype == result);
    if let Op::Compare(_) = op {
        operands.len() == 2 && operands[0] == operands[1] && result == DType::Bool
    } else if let Op::Cast { to } = op {
        operands.len() == 1 && *to == result
    } else if matches!(op, Op::Select) {
        operands == [DType::Bool, result, result]
    } else if matches!(op, Op::Betainc) {
        same(3)
    } else if matches!(op, Op::AddN) {
        !operands.is_empty() && same(operands.len()) && result != DType::Bool
    } else if matches!(op, Op::Binary(_)) {
        same(2)
    } else if matches!(op, Op::Logical(_)) {
        same(2) && result == DType::Bool
    } else {
        same(1)
    }
}

#[cfg(test)]
pub(crate) mod tests;
