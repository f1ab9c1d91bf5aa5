//! A loop over a matrix with sums of columns at its end: some of its values are added up, or averaged, over all rows, and
//! what is only summed never reaches memory.
//!
//! The order is that of the reduction on its own: the same parts, the same blocks of rows, the same lanes. A block of rows
//! is computed, and is folded while it is in the first-level cache, whether in scratch or where it is kept.

use dormouse_value::ReduceOp;
use pulp::{Arch, Simd, WithSimd};
use smallvec::{SmallVec, smallvec};

use super::execute::Fused;
use super::inputs::Source;
use super::{Loop, parts_of};
use crate::kernel::with_float;
use crate::reduction::fold::{Fold, Mean, Sum};
use crate::reduction::layout::{Axes, Layout, NARROW, Piece, STRIP};
use crate::reduction::tree::{BLOCK_ROWS, columns};
use crate::{Args, Body, Kernel, KernelError};

/// Whether the sums of a tensor of these extents over all axes but the last `kept` are such as a loop may end in.
pub fn sums_columns(dims: &[usize], kept: usize) -> bool {
    kept <= dims.len() && layout(dims, kept).is_matrix()
}

fn layout(dims: &[usize], kept: usize) -> Layout {
    let first = dims.len() - kept;
    Layout::new(&Axes::marked(dims.iter().enumerate().map(|(axis, &extent)| (extent, axis < first))))
}

/// The kernel of a loop whose last outputs are summed, or averaged, as `reduces` says one by one, over all axes but the last
/// `kept`. Result k is output k, or what its sum or mean is.
///
/// Its bits are those of the loop and of the reductions one after the other.
///
/// # Errors
/// As [`compile_loop`](super::compile_loop), and when [`sums_columns`] does not hold, a reduction is of another kind, or the
/// outputs that are reduced are not floats of one dtype.
pub fn compile_loop_columns(l: &Loop, kept: usize, reduces: &[ReduceOp]) -> Result<Kernel, KernelError> {
    let stored = l.outputs.len().checked_sub(reduces.len()).filter(|_| !reduces.is_empty());
    let Some(stored) = stored else {
        return Err(KernelError::new("a loop whose columns are summed has outputs that are"));
    };
    if !sums_columns(&l.dims, kept) || !reduces.iter().all(|op| matches!(op, ReduceOp::Sum | ReduceOp::Mean)) {
        return Err(KernelError::new(format!("{reduces:?} of {:?} is no sum of columns", l.dims.as_slice())));
    }
    let dtype = super::dtype_of(l, l.outputs[stored]);
    if l.outputs[stored..].iter().any(|&value| super::dtype_of(l, value) != dtype) {
        return Err(KernelError::new("the columns that a loop sums are of one dtype"));
    }
    let refuse = || KernelError::new(format!("a loop sums columns of floats, not of {dtype}"));
    with_float!(dtype, T => build::<T>(l, layout(&l.dims, kept), stored, reduces), else Err(refuse()))
}

/// Where the elements of a column's block lie.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In this output, which is kept as well.
    Output(usize),
    /// In this operand, read where it lies.
    Input(usize),
    /// In the worker's scratch, so many bytes from its start.
    Scratch(usize),
}

/// One sum of columns.
#[derive(Debug)]
struct Reduced {
    place: Place,
    op: ReduceOp,
}

/// A float whose columns are summed.
trait Summed: dormouse_value::Element {
    type Sum: Fold<In = Self, Out = Self, Wide = f64>;
    type Mean: Fold<In = Self, Out = Self, Wide = f64>;
}
impl Summed for f32 {
    type Sum = Sum<f32>;
    type Mean = Mean<f32>;
}
impl Summed for f64 {
    type Sum = Sum<f64>;
    type Mean = Mean<f64>;
}

fn build<T: Summed>(l: &Loop, layout: Layout, stored: usize, reduces: &[ReduceOp]) -> Result<Kernel, KernelError> {
    // What is kept or only read needs no second place.
    let mut own = l.clone();
    own.outputs.truncate(stored);
    let mut in_scratch: SmallVec<[usize; 4]> = SmallVec::new();
    let mut places: SmallVec<[Place; 4]> = SmallVec::new();
    for &value in &l.outputs[stored..] {
        let read_in_place = value < l.inputs.len() && Source::of(&l.dims, &l.inputs[value].dims) == Source::Direct;
        places.push(if let Some(output) = l.outputs[..stored].iter().position(|other| *other == value) {
            Place::Output(output)
        } else if read_in_place {
            Place::Input(value)
        } else if let Some(before) = in_scratch.iter().position(|other| *other == value) {
            Place::Scratch(before)
        } else {
            in_scratch.push(value);
            own.outputs.push(value);
            Place::Scratch(in_scratch.len() - 1)
        });
    }
    let mut built = parts_of(&own)?;
    let (fold, parts, width) = (layout.folded_rows(), layout.parts, layout.columns);
    let block_rows = BLOCK_ROWS * fold;
    let block_bytes = (block_rows * width * size_of::<T>()).next_multiple_of(64);
    let scratch = built.fused.local.next_multiple_of(64);
    for place in &mut places {
        if let Place::Scratch(index) = place {
            *index = scratch + *index * block_bytes;
        }
    }
    let totals = scratch + in_scratch.len() * block_bytes;
    built.cost.nanos += (layout.elements * reduces.len()) as f64 * 0.03;
    let aliased = super::in_place(&own).into_iter();
    let read = |input: &usize| places.iter().any(|place| matches!(place, Place::Input(i) if i == input));
    let in_place = if stored > 0 { aliased.filter(|input| !read(input)).collect() } else { SmallVec::new() };
    let phases: SmallVec<[usize; 2]> = if parts > 1 { smallvec![parts, 1] } else { smallvec![1] };
    let shared = if parts > 1 { parts * reduces.len() * width * size_of::<f64>() } else { 0 };
    let local = totals + reduces.len() * fold * width * size_of::<f64>();
    let reduced = places.into_iter().zip(reduces).map(|(place, &op)| Reduced { place, op }).collect();
    let element = std::marker::PhantomData;
    let body = LoopColumns::<T> {
        fused: built.fused,
        layout,
        stored,
        reduced,
        scratch,
        block_bytes,
        totals,
        arch: Arch::new(),
        element,
    };
    let mut kernel = Kernel::new(1, built.cost, body);
    kernel.phases = phases;
    kernel.shared = shared;
    kernel.local = local;
    kernel.in_place = in_place;
    kernel.fallible = built.fallible;
    Ok(kernel)
}

#[derive(Debug)]
struct LoopColumns<T> {
    fused: Fused,
    layout: Layout,
    /// Outputs that are kept, before those that are reduced.
    stored: usize,
    reduced: Vec<Reduced>,
    /// Where the blocks that only the sums read lie in local scratch, how long each is, and where totals are.
    scratch: usize,
    block_bytes: usize,
    totals: usize,
    arch: Arch,
    element: std::marker::PhantomData<fn(T)>,
}

impl<T: Summed> LoopColumns<T> {
    /// The totals of one part's columns, of each sum in turn, with the other outputs written by the way.
    ///
    /// # Safety
    /// As [`Body::run`].
    unsafe fn part<'a>(&self, args: &Args<'a>, part: usize) -> Result<&'a [f64], KernelError> {
        let (fold, width) = (self.layout.folded_rows(), self.layout.columns);
        let wide = fold * width;
        // SAFETY: the scratch has room for the totals of every sum, and this worker alone has it.
        let totals = unsafe {
            let first = args.local.add(self.totals).cast::<f64>();
            std::slice::from_raw_parts_mut(first, self.reduced.len() * wide)
        };
        totals.fill(<T::Sum as Fold>::NONE);
        for Piece { start: first, len: rows } in self.layout.pieces(0, part) {
            // SAFETY: the caller's contract.
            unsafe { self.fused.prepare(args.inputs, args.local, rows * width) };
            // Rows in whole folded ones by blocks, and those left over.
            let whole = rows / fold * fold;
            let blocks = (0..whole).step_by(BLOCK_ROWS * fold).map(|row| (row, (row + BLOCK_ROWS * fold).min(whole)));
            for (row, end) in blocks.chain((whole < rows).then_some((whole, rows))) {
                let (begin, count) = (first + row * width, (end - row) * width);
                let place = |k: usize, start: usize| {
                    let (to, at) = if k < self.stored {
                        (args.outputs[k], start)
                    } else {
                        (args.local.wrapping_add(self.scratch + (k - self.stored) * self.block_bytes), start - begin)
                    };
                    to.wrapping_add(at * self.fused.size_of_output(k))
                };
                // SAFETY: the elements are within the iteration space; outputs that are not kept go to scratch, which has room
                // for a block of each.
                unsafe { self.fused.range(args.inputs, args.local, begin, begin + count, place)? };
                let together = if row < whole { fold } else { 1 };
                for (reduced, totals) in self.reduced.iter().zip(totals.chunks_exact_mut(wide)) {
                    let block = match reduced.place {
                        Place::Output(k) => args.outputs[k].cast_const().cast::<T>().wrapping_add(begin),
                        Place::Input(k) => args.inputs[k].cast::<T>().wrapping_add(begin),
                        Place::Scratch(at) => args.local.cast_const().wrapping_add(at).cast::<T>(),
                    };
                    // SAFETY: these elements were just written, or are an operand's, which nobody writes.
                    let block = unsafe { std::slice::from_raw_parts(block, count) };
                    let totals = &mut totals[..together * width];
                    self.arch.dispatch(Rows::<T> { block, totals });
                }
            }
        }
        for totals in totals.chunks_exact_mut(wide) {
            let (own, others) = totals.split_at_mut(width);
            for other in others.chunks_exact(width) {
                own.iter_mut().zip(other).for_each(|(total, &more)| *total = T::Sum::combine_wide(*total, more));
            }
        }
        Ok(totals)
    }

    /// Finishes what is the total of column `column` in sum `k`.
    ///
    /// # Safety
    /// As [`Body::run`]; only one tile finishes sums.
    unsafe fn finish(&self, args: &Args<'_>, k: usize, total: impl Fn(usize) -> f64) {
        // SAFETY: the result holds an element a column, and this tile alone writes it.
        let out = unsafe { args.output::<T>(self.stored + k, 0, self.layout.columns) };
        for (column, y) in out.iter_mut().enumerate() {
            let (total, count) = (total(column), self.layout.count);
            *y = if self.reduced[k].op == ReduceOp::Mean {
                T::Mean::finish(total, count)
            } else {
                T::Sum::finish(total, count)
            };
        }
    }
}

/// Rows that lie side by side, folded into totals as wide as they are, compiled for the machine's vectors.
struct Rows<'a, T> {
    block: &'a [T],
    totals: &'a mut [f64],
}

#[allow(clippy::inline_always, reason = "a loop is vectorized only with its body inside")]
impl<T: Summed> WithSimd for Rows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Rows { block, totals } = self;
        let width = totals.len();
        if width <= NARROW {
            columns::<T::Sum, NARROW>(block, block.len() / width, width, totals);
        } else {
            columns::<T::Sum, STRIP>(block, block.len() / width, width, totals);
        }
    }
}

impl<T: Summed> Body for LoopColumns<T> {
    unsafe fn run(&self, args: &Args<'_>, phase: usize, tile: usize) -> Result<(), KernelError> {
        let (parts, width) = (self.layout.parts, self.layout.columns);
        let wide = self.layout.folded_rows() * width;
        let partials = args.shared.cast::<f64>();
        let of_part = self.reduced.len() * width;
        if phase == 0 {
            // SAFETY: the caller's contract.
            let totals = unsafe { self.part(args, tile)? };
            for (k, totals) in totals.chunks_exact(wide).enumerate() {
                // SAFETY: `shared` holds an accumulator for each column of each sum of a part, this tile's at its place; with
                // one part alone, this tile finishes what it has summed.
                unsafe {
                    if parts > 1 {
                        let place = partials.add(tile * of_part + k * width);
                        place.copy_from_nonoverlapping(totals.as_ptr(), width);
                    } else {
                        self.finish(args, k, |column| totals[column]);
                    }
                }
            }
            return Ok(());
        }
        // SAFETY: phase 0 is over: all accumulators hold numbers, and nobody writes them.
        let partials = unsafe { std::slice::from_raw_parts(partials, parts * of_part) };
        for k in 0..self.reduced.len() {
            let total = |column: usize| {
                let of_parts = partials.chunks_exact(of_part).map(|part| part[k * width + column]);
                of_parts.fold(T::Sum::NONE, T::Sum::combine_wide)
            };
            // SAFETY: this phase has one tile.
            unsafe { self.finish(args, k, total) };
        }
        Ok(())
    }
}
