//! The interpreter of a fused loop: instructions over tiles of elements, with registers in the worker's scratch.
//!
//! All that a tile needs is decided before: function pointers, registers, how inputs arrive. What is left is to move
//! the pointers of inputs and outputs on, and to call.

use std::ops::Range;

use crate::kernel::{Args, Body};
use crate::{KernelError, Loop, prefetch};

use super::inputs::Source;
use super::{Instruction, Lowered, TILE, dtype_of, registers};

/// Bytes from which on an input is fetched ahead.
const FAR: usize = 1 << 20;
/// How many tiles ahead.
const AHEAD: usize = 2;
/// Nanoseconds of an element's instructions from which on fetching ahead pays. Loops that do less wait for memory anyhow, and the
/// machine foresees what they read: fetches would only be in the way.
const COSTLY: f64 = 0.5;

/// An output: the slot of its value, and which inputs may share its buffer.
#[derive(Debug)]
struct Output {
    slot: usize,
    size: usize,
    /// Whether the value may be computed right here: it is computed, and no earlier output is the same value.
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

/// An input that is read where it lies and is too large for a core's own cache.
#[derive(Debug)]
struct Far {
    input: usize,
    /// Bytes of an element.
    size: usize,
    /// Bytes of a tile to come that are fetched before each instruction: all at once would wait for each other.
    share: usize,
}

/// The code of a [`Loop`].
#[derive(Debug)]
pub(crate) struct Fused {
    len: usize,
    /// Elements of a work tile.
    work: usize,
    inputs: Vec<Input>,
    far: Vec<Far>,
    instructions: Vec<Instruction>,
    /// Where each instruction's register lies, in bytes from the start of local scratch.
    registers: Vec<usize>,
    outputs: Vec<Output>,
    /// Bytes of local scratch: a pointer a slot, registers, laid-out inputs.
    pub(crate) local: usize,
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
        let inputs: Vec<Input> = sources
            .into_iter()
            .zip(&l.inputs)
            .map(|(source, input)| {
                let (scratch, size) = (local, input.dtype.size());
                local += (source.scratch() * size).next_multiple_of(64);
                Input { source, size, scratch }
            })
            .collect();
        let count = lowered.instructions.len().max(1);
        let costly = lowered.nanos >= COSTLY;
        let far = |(input, Input { source, size, .. }): (usize, &Input)| {
            let share = (TILE * size).div_ceil(count).next_multiple_of(prefetch::LINE);
            (costly && *source == Source::Direct && len * size >= FAR).then_some(Far { input, size: *size, share })
        };
        let far = inputs.iter().enumerate().filter_map(far).collect();
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
                    direct: slot >= count && !kept[..k].contains(&kept[k]),
                    aliases: elementwise.iter().copied().filter(|&i| l.inputs[i].dtype.size() == size).collect(),
                }
            })
            .collect();
        Fused { len, work, inputs, far, instructions: lowered.instructions, registers, outputs, local }
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

impl Fused {
    /// Lays out what serves every tile of a range of `len` elements.
    ///
    /// # Safety
    /// `inputs` are the buffers of the loop's inputs, `local` is the worker's scratch.
    pub(super) unsafe fn prepare(&self, inputs: &[*const u8], local: *mut u8, len: usize) {
        // One pointer a slot: inputs, then instructions.
        let pointers = local.cast::<*const u8>();
        let first_result = self.inputs.len();
        // SAFETY: local scratch holds what `new` counted: the pointers, the registers, room for inputs; it is aligned
        // to 64 bytes, and so is each part.
        unsafe {
            for (input, &from) in self.inputs.iter().zip(inputs) {
                input.source.prepare(from, local.add(input.scratch), input.size, len);
            }
            for (k, &register) in self.registers.iter().enumerate() {
                pointers.add(first_result + k).write(local.add(register));
            }
        }
    }

    /// Computes elements `begin .. end`. `place` is where element `start` of output k belongs.
    ///
    /// # Safety
    /// As [`Body::run`]; the scratch was prepared for a range of at least as many elements or [`TILE`] of them, and
    /// `place` leads to room for the elements from there on.
    #[inline]
    pub(super) unsafe fn range(
        &self,
        inputs: &[*const u8],
        local: *mut u8,
        begin: usize,
        end: usize,
        place: impl Fn(usize, usize) -> *mut u8,
    ) -> Result<(), KernelError> {
        let pointers = local.cast::<*const u8>();
        let mut start = begin;
        while start < end {
            let len = TILE.min(end - start);
            // SAFETY: the elements are within the iteration space. Pointers of all slots are written before they are
            // read. No two slots that an instruction names share memory, unless both are operands: an output that is
            // an input's buffer is computed in a register and copied when the tile has read all.
            unsafe {
                for (k, (input, &from)) in self.inputs.iter().zip(inputs).enumerate() {
                    let at = input.source.tile(from, local.add(input.scratch), input.size, start, len);
                    pointers.add(k).write(at);
                }
                for (k, output) in self.outputs.iter().enumerate() {
                    let to = place(k, start);
                    if output.direct && !output.shares(pointers, to) {
                        pointers.add(output.slot).write(to);
                    }
                }
                for (k, instruction) in self.instructions.iter().enumerate() {
                    for far in &self.far {
                        let next = inputs[far.input].wrapping_add(start * far.size + AHEAD * TILE * far.size);
                        prefetch::lines(next.wrapping_add(k * far.share), far.share);
                    }
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
                for (k, output) in self.outputs.iter().enumerate() {
                    let (from, to) = (pointers.add(output.slot).read(), place(k, start));
                    if from != to.cast_const() {
                        to.copy_from(from, len * output.size);
                    }
                }
            }
            start += len;
        }
        Ok(())
    }

    /// Prepares for being run on so many parts of the elements.
    pub(crate) fn shorten(&mut self, parts: usize) {
        let elements = self.len / parts.max(1);
        self.inputs.iter_mut().for_each(|input| input.source.short(elements));
    }

    /// Lays out what serves every range of elements.
    ///
    /// # Safety
    /// As [`Fused::prepare`].
    pub(crate) unsafe fn prepare_tiles(&self, inputs: &[*const u8], local: *mut u8) {
        // SAFETY: the caller's contract.
        unsafe { self.prepare(inputs, local, TILE) }
    }

    /// Computes a range of elements, of whole buffers.
    ///
    /// # Safety
    /// As [`Body::run`], with these inputs; the scratch was prepared by [`Fused::prepare_tiles`].
    pub(crate) unsafe fn elements(
        &self,
        inputs: &[*const u8],
        args: &Args<'_>,
        range: Range<usize>,
    ) -> Result<(), KernelError> {
        let place = |k: usize, start: usize| {
            // SAFETY: the element is within the output.
            unsafe { args.outputs[k].add(start * self.outputs[k].size) }
        };
        // SAFETY: the caller's contract.
        unsafe { self.range(inputs, args.local, range.start, range.end, place) }
    }

    /// The elements of a work tile.
    pub(crate) fn elements_of(&self, tile: usize) -> Range<usize> {
        tile * self.work..((tile + 1) * self.work).min(self.len)
    }

    /// How many work tiles there are.
    pub(crate) fn tiles(&self) -> usize {
        self.len.div_ceil(self.work)
    }

    /// Bytes of an element of output k.
    pub(super) fn size_of_output(&self, k: usize) -> usize {
        self.outputs[k].size
    }
}

impl Body for Fused {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        let Range { start: begin, end } = self.elements_of(tile);
        if self.instructions.is_empty() {
            // SAFETY: the caller's contract.
            unsafe { self.copy(args, begin, end - begin) };
            return Ok(());
        }
        // SAFETY: the caller's contract.
        unsafe {
            self.prepare(args.inputs, args.local, end - begin);
            self.elements(args.inputs, args, begin..end)
        }
    }
}

impl Output {
    /// Whether its place for a tile is where an input's elements of the tile lie.
    ///
    /// # Safety
    /// The pointers of all inputs are written.
    unsafe fn shares(&self, pointers: *const *const u8, to: *mut u8) -> bool {
        // SAFETY: the caller's contract.
        self.aliases.iter().any(|&i| unsafe { pointers.add(i).read() } == to.cast_const())
    }
}
