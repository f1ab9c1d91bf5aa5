//! The interpreter of a fused loop: instructions over tiles of elements, with registers in the worker's scratch.
//!
//! All that a tile needs is decided before: function pointers, registers, how inputs arrive. What is left is to move
//! the pointers of inputs and outputs on, and to call.

use crate::kernel::{Args, Body};
use crate::{KernelError, Loop};

use super::inputs::Source;
use super::{Instruction, Lowered, TILE, dtype_of, registers};

/// An output: the slot of its value, and which inputs may share its buffer.
#[derive(Debug)]
struct Output {
    slot: usize,
    size: usize,
    /// Whether the value may be computed right here: no earlier output is the same value.
    direct: bool,
    /// Inputs that may be this output's own buffer.
    aliases: Vec<usize>,
}

#[derive(Debug)]
struct Input {
    source: Source,
    size: usize,
    /// Bytes from the start of local scratch.
    scratch: usize,
}

/// The code of a [`Loop`].
#[derive(Debug)]
pub(super) struct Fused {
    len: usize,
    /// Elements of a work tile.
    work: usize,
    inputs: Vec<Input>,
    instructions: Vec<Instruction>,
    /// Where each instruction's register lies, in bytes from the start of local scratch.
    registers: Vec<usize>,
    outputs: Vec<Output>,
    /// Bytes of local scratch: a pointer a slot, registers, laid-out inputs.
    pub(super) local: usize,
}

impl Fused {
    pub(super) fn new(l: &Loop, len: usize, work: usize, lowered: Lowered, sources: Vec<Source>) -> Self {
        let count = l.inputs.len();
        let kept = lowered.outputs;
        let (assigned, registers) = registers::assign(count, &lowered.instructions, &kept);
        let tile = TILE.min(len.next_multiple_of(64));
        let widest = lowered.sizes[count..].iter().copied().max().unwrap_or(0);
        let mut local = (lowered.sizes.len() * size_of::<*const u8>()).next_multiple_of(64);
        let base = local;
        let register = |k: usize| base + k * tile * widest;
        local += registers * tile * widest;
        let inputs = sources
            .into_iter()
            .zip(&l.inputs)
            .map(|(source, input)| {
                let (scratch, size) = (local, input.dtype.size());
                local += (source.scratch() * size).next_multiple_of(64);
                Input { source, size, scratch }
            })
            .collect();
        let registers: Vec<usize> = assigned.into_iter().map(|k| register(k as usize)).collect();
        let elementwise = super::elementwise_inputs(l);
        let outputs = l
            .outputs
            .iter()
            .enumerate()
            .map(|(k, &value)| {
                let slot = kept[k] as usize;
                let size = dtype_of(l, value).size();
                Output {
                    slot,
                    size,
                    direct: !kept[..k].contains(&kept[k]),
                    aliases: elementwise.iter().copied().filter(|&i| l.inputs[i].dtype.size() == size).collect(),
                }
            })
            .collect();
        Fused { len, work, inputs, instructions: lowered.instructions, registers, outputs, local }
    }

    /// A loop without instructions: an input straight to an output.
    ///
    /// # Safety
    /// As [`Body::run`].
    unsafe fn copy(&self, args: &Args<'_>, start: usize, len: usize) {
        for (output, &to) in self.outputs.iter().zip(args.outputs) {
            let (input, from) = (&self.inputs[output.slot], args.inputs[output.slot]);
            if from != to.cast_const() || input.source != Source::Direct {
                // SAFETY: the elements are within the iteration space, and so within the output.
                unsafe { input.source.read(from, to.add(start * output.size), input.size, start, len) };
            }
        }
    }
}

impl Body for Fused {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        let (begin, end) = (tile * self.work, ((tile + 1) * self.work).min(self.len));
        if self.instructions.is_empty() {
            // SAFETY: the caller's contract.
            unsafe { self.copy(args, begin, end - begin) };
            return Ok(());
        }
        // One pointer a slot: inputs, then instructions.
        let pointers = args.local.cast::<*const u8>();
        let first_result = self.inputs.len();
        // SAFETY: local scratch holds what `new` counted: the pointers, the registers, room for inputs; it is aligned
        // to 64 bytes, and so is each part.
        unsafe {
            for (input, &from) in self.inputs.iter().zip(args.inputs) {
                input.source.prepare(from, args.local.add(input.scratch), input.size, end - begin);
            }
            for (k, &register) in self.registers.iter().enumerate() {
                pointers.add(first_result + k).write(args.local.add(register));
            }
        }
        let mut start = begin;
        while start < end {
            let len = TILE.min(end - start);
            // SAFETY: the elements are within the iteration space. Pointers of all slots are written before they are
            // read. No two slots that an instruction names share memory, unless both are operands: an output that is
            // an input's buffer is computed in a register and copied when the tile has read all.
            unsafe {
                for (k, (input, &from)) in self.inputs.iter().zip(args.inputs).enumerate() {
                    let at = input.source.tile(from, args.local.add(input.scratch), input.size, start, len);
                    pointers.add(k).write(at);
                }
                for (output, &to) in self.outputs.iter().zip(args.outputs) {
                    if output.direct && !output.shares(args.inputs, to) {
                        pointers.add(output.slot).write(to.add(start * output.size));
                    }
                }
                for instruction in &self.instructions {
                    let [a, b, c] = instruction.operands;
                    let operands = [
                        pointers.add(a as usize).read(),
                        pointers.add(b as usize).read(),
                        pointers.add(c as usize).read(),
                    ];
                    let result = pointers.add(instruction.result as usize).read().cast_mut();
                    if (instruction.run)(operands.as_ptr(), result, len) {
                        return Err(KernelError::new(instruction.fault.unwrap_or("an operation has no result")));
                    }
                }
                for (output, &to) in self.outputs.iter().zip(args.outputs) {
                    let (from, to) = (pointers.add(output.slot).read(), to.add(start * output.size));
                    if from != to.cast_const() {
                        to.copy_from(from, len * output.size);
                    }
                }
            }
            start += len;
        }
        Ok(())
    }
}

impl Output {
    /// Whether an input's buffer is this output's.
    fn shares(&self, inputs: &[*const u8], to: *mut u8) -> bool {
        self.aliases.iter().any(|&i| inputs[i] == to.cast_const())
    }
}
