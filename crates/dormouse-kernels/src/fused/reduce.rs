//! A loop with a reduction at its end: one output is folded over all elements and never reaches memory.
//!
//! The order is that of the reduction on its own: the same parts, the same blocks of 1,024 elements, the same lanes. A
//! block is computed into scratch, which stays in the first-level cache, and folded there.

use std::marker::PhantomData;

use dormouse_value::{DType, Op, ReduceOp};
use pulp::{Arch, Simd, WithSimd};
use smallvec::{SmallVec, smallvec};

use super::execute::Fused;
use super::{Loop, parts_of};
use crate::reduction::fold::{All, Any, Fold, Max, Mean, Min, Prod, SquareSum, Sum};
use crate::reduction::layout::{Axes, Layout, Piece};
use crate::reduction::tree::{BLOCK, block_of_row};
use crate::{Args, Body, Kernel, KernelError};

/// The kernel of a loop whose last output is reduced by `reduce` over all elements. Result k is output k, but for the
/// last, of which it is the reduction.
///
/// Its bits are those of the loop and of the reduction one after the other.
///
/// # Errors
/// As [`compile_loop`](super::compile_loop), and when the operation is no reduction to one element of the output's
/// dtype.
pub fn compile_loop_reduction(l: &Loop, reduce: &Op) -> Result<Kernel, KernelError> {
    let Some(&value) = l.outputs.last() else {
        return Err(KernelError::new("a loop that is reduced has an output"));
    };
    let dtype = super::dtype_of(l, value);
    macro_rules! numbers {
        ($fold:ident) => {
            match dtype {
                DType::F32 => build::<$fold<f32>>(l),
                DType::F64 => build::<$fold<f64>>(l),
                DType::I32 => build::<$fold<i32>>(l),
                DType::I64 => build::<$fold<i64>>(l),
                DType::U8 => build::<$fold<u8>>(l),
                DType::U64 => build::<$fold<u64>>(l),
                DType::Bool => Err(KernelError::new("booleans have no sum, product or mean")),
                DType::F16 | DType::Bf16 | DType::I8 | DType::I16 | DType::U16 | DType::U32 => {
                    Err(KernelError::new(format!("{dtype} is reduced as {}", dtype.wide())))
                }
            }
        };
    }
    if let Op::Reduce { op, .. } = reduce {
        return match op {
            ReduceOp::Sum => numbers!(Sum),
            ReduceOp::Mean => numbers!(Mean),
            ReduceOp::Prod => numbers!(Prod),
            ReduceOp::Max => numbers!(Max),
            ReduceOp::Min => numbers!(Min),
            ReduceOp::Any if dtype == DType::Bool => build::<Any>(l),
            ReduceOp::All if dtype == DType::Bool => build::<All>(l),
            ReduceOp::Any | ReduceOp::All => Err(KernelError::new(format!("{op:?} takes bool, not {dtype}"))),
        };
    }
    match (reduce, dtype) {
        (Op::L2Loss, DType::F32) => build::<SquareSum<f32>>(l),
        (Op::L2Loss, DType::F64) => build::<SquareSum<f64>>(l),
        (_, _) => Err(KernelError::new(format!("{reduce:?} does not reduce {dtype} to one element"))),
    }
}

fn build<F: Fold>(l: &Loop) -> Result<Kernel, KernelError> {
    let mut built = parts_of(l)?;
    let layout = Layout::new(&Axes::all(&l.dims));
    if layout.elements < 2 {
        return Err(KernelError::new("a loop of less than two elements has nothing to reduce"));
    }
    let block = built.fused.local.next_multiple_of(64);
    built.cost.nanos += layout.elements as f64 * 0.03;
    let phases: SmallVec<[usize; 2]> = if layout.parts > 1 { smallvec![layout.parts, 1] } else { smallvec![1] };
    let shared = if layout.parts > 1 { layout.parts * size_of::<F::Wide>() } else { 0 };
    let body = LoopReduction::<F> { fused: built.fused, layout, block, arch: Arch::new(), fold: PhantomData };
    let mut kernel = Kernel::new(1, built.cost, body);
    kernel.phases = phases;
    kernel.shared = shared;
    kernel.local = block + BLOCK * size_of::<F::In>();
    kernel.fallible = built.fallible;
    Ok(kernel)
}

#[derive(Debug)]
struct LoopReduction<F> {
    fused: Fused,
    layout: Layout,
    /// Where a block's elements lie in local scratch.
    block: usize,
    arch: Arch,
    fold: PhantomData<F>,
}

impl<F: Fold> LoopReduction<F> {
    /// The fold of one part, with the other outputs written by the way.
    ///
    /// # Safety
    /// As [`Body::run`].
    unsafe fn part(&self, args: &Args<'_>, part: usize) -> Result<F::Wide, KernelError> {
        let last = args.outputs.len() - 1;
        let elements = args.local.wrapping_add(self.block);
        let mut total = F::NONE;
        for Piece { start: first, len } in self.layout.pieces(0, part) {
            // SAFETY: the caller's contract.
            unsafe { self.fused.prepare(args.inputs, args.local, len) };
            for begin in (first..first + len).step_by(BLOCK) {
                let end = (begin + BLOCK).min(first + len);
                let place = |k: usize, start: usize| {
                    let (to, at) = if k == last { (elements, start - begin) } else { (args.outputs[k], start) };
                    to.wrapping_add(at * self.fused.size_of_output(k))
                };
                // SAFETY: the elements are within the iteration space; the last output's go to the block's scratch,
                // which has room for them, the others' to the outputs.
                let block = unsafe {
                    self.fused.range(args.inputs, args.local, begin, end, place)?;
                    std::slice::from_raw_parts(elements.cast::<F::In>(), end - begin)
                };
                total = F::combine_wide(total, self.arch.dispatch(Block::<F> { block, row: len }));
            }
        }
        Ok(total)
    }
}

/// The fold of a block of a row of so many elements, compiled for the machine's vectors.
struct Block<'a, F: Fold> {
    block: &'a [F::In],
    row: usize,
}

#[allow(clippy::inline_always, reason = "a loop is vectorized only with its body inside")]
impl<F: Fold> WithSimd for Block<'_, F> {
    type Output = F::Wide;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> F::Wide {
        block_of_row::<F>(self.block, self.row)
    }
}

impl<F: Fold> Body for LoopReduction<F> {
    unsafe fn run(&self, args: &Args<'_>, phase: usize, tile: usize) -> Result<(), KernelError> {
        let last = args.outputs.len() - 1;
        let partials = args.shared.cast::<F::Wide>();
        let total = if phase == 0 {
            // SAFETY: the caller's contract.
            let total = unsafe { self.part(args, tile)? };
            if self.layout.parts > 1 {
                // SAFETY: `shared` holds one accumulator a part, this tile's at its place.
                unsafe { partials.add(tile).write(total) };
                return Ok(());
            }
            total
        } else {
            // SAFETY: phase 0 is over: all accumulators hold numbers, and nobody writes them.
            let partials = unsafe { std::slice::from_raw_parts(partials, self.layout.parts) };
            partials.iter().fold(F::NONE, |total, part| F::combine_wide(total, *part))
        };
        // SAFETY: this tile alone writes the reduction's one element.
        unsafe { args.output::<F::Out>(last, 0, 1)[0] = F::finish(total, self.layout.count) };
        Ok(())
    }
}
