//! Products with a constant matrix on the right, the weights of a network that only answers: packed once, when the kernel is
//! compiled, so that a run packs nothing but rows and reads the weights one after the other. It is apart from `gemm`, whose
//! operands lie where a run has them.
//!
//! Weights lie in strips of 64 bytes of a row. Where there are many rows, a strip is whole, step after step, and the micro-kernel of
//! `gemm` goes down the rows with it. Where there are few, strips lie in groups side by side, and each step of a group is
//! multiplied by one element of each row: no sum then waits for the one before, and memory is read in order.

#![allow(clippy::inline_always, reason = "code that stays apart from the dispatch misses its instruction set")]

#[cfg(test)]
mod tests;

use std::ops::Range;

use dormouse_value::{Op, Value};
use pulp::{Arch, Simd, WithSimd};

use crate::gemm::micro::{Counts, Float, MOST_PANELS, MOST_STRIPS, Operands, ROWS, Target, micro_tile, takes_two};
use crate::gemm::pack::{Lines, pack_columns, pack_rows};
use crate::gemm::tiling::{DEEPEST, Parts};
use crate::kernel::with_float;
use crate::{Args, Body, Cost, Kernel, KernelError, Spec, conv};

/// Rows up to which strips lie in groups.
const FEW_ROWS: usize = 3;
/// Strips of a group.
const GROUP: usize = 8;
/// Multiply-adds that a tile is worth, about 10 µs.
const TILE: usize = 1 << 20;
/// The same of few rows, where the time goes into reading the weights: about 4 µs.
const TILE_OF_FEW: usize = 1 << 17;
/// Elements that a tile of the packing phase packs at least, about 5 µs.
const PACKED: usize = 1 << 14;
/// Bytes of a row of the left operand up to which rows are read where they lie.
const NEAR: usize = 1024;
/// Tiles at most that rows and columns are cut into.
const MOST_TILES: usize = 32;
/// Elements of a matrix below which packing it is not worth its memory.
const SMALLEST: usize = 1 << 10;

/// The kernel of a product whose right operand is this constant: a matrix product, or a convolution of one tap.
///
/// `None` where the operation is another, or where it is computed as well with an operand that a run gives.
pub fn compile_constant(op: &Op, inputs: &[Spec], outputs: &[Spec], weights: &Value) -> Option<Kernel> {
    let ([a, b], [c]) = (inputs, outputs) else { return None };
    let (rows, columns, depth, transposed) = if let Op::MatMul { transpose_a: false, transpose_b } = op {
        let (&[.., depth], &[m, n]) = (a.dims.as_slice(), b.dims.as_slice()) else { return None };
        let (inner, columns) = if *transpose_b { (n, m) } else { (m, n) };
        let rows = a.len().checked_div(depth)?;
        (inner == depth && a.dims.len() > 1 && c.len() == rows * columns).then_some(())?;
        (rows, columns, depth, *transpose_b)
    } else if let Op::Conv2d(window) = op {
        let [rows, columns, depth] = conv::matrices(conv::Window::Flat(*window), inputs, outputs)?;
        (rows, columns, depth, false)
    } else {
        return None;
    };
    let alike = a.dtype == b.dtype && a.dtype == c.dtype && weights.dtype() == b.dtype && weights.len() == b.len();
    if !alike || rows * columns * depth == 0 || columns * depth < SMALLEST {
        return None;
    }
    let bytes = weights.as_bytes()?;
    with_float!(a.dtype, T => Some(kernel::<T>([rows, columns, depth], transposed, bytes)), else None)
}

/// Bytes of a vector of any width, as weights are read.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Where the micro-kernel reads the left operand's rows.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rows {
    /// Where they lie.
    Direct,
    /// In the worker's scratch, packed by the tile that reads them.
    Local,
    /// In the shared scratch, packed by a phase before.
    Shared,
}

/// Products with packed weights; see the module.
#[derive(Debug)]
struct Dense<T> {
    arch: Arch,
    rows: usize,
    columns: usize,
    depth: usize,
    strips: usize,
    /// Rows in panels, and steps in blocks.
    panels: Parts,
    blocks: Parts,
    rows_at: Rows,
    /// Panels in tiles of the packing phase, panels and strips in tiles of the product.
    packing: Parts,
    row_tiles: Parts,
    column_tiles: Parts,
    /// A line for every step of a strip.
    weights: Box<[Line]>,
    element: std::marker::PhantomData<fn(T)>,
}

fn kernel<T: Float>([rows, columns, depth]: [usize; 3], transposed: bool, bytes: &[u8]) -> Kernel {
    let strips = columns.div_ceil(T::COLUMNS);
    let grouped = rows <= FEW_ROWS;
    let mut weights = vec![Line([0; 64]); strips * depth].into_boxed_slice();
    let mut strip = vec![Line([0; 64]); depth];
    let (line, step) = if transposed { (depth, 1) } else { (1, columns) };
    for s in 0..strips {
        let first = bytes.as_ptr().cast::<T>().wrapping_add(s * T::COLUMNS * line);
        let lines = Lines { first, line, step, steps: depth };
        let count = T::COLUMNS.min(columns - s * T::COLUMNS);
        // SAFETY: the constant holds `columns · depth` elements; the strip has a line of 64 bytes, `COLUMNS` elements, a step.
        unsafe { pack_columns(&lines, count, strip.as_mut_ptr().cast::<T>()) };
        if grouped {
            let (group, place) = (s / GROUP, s % GROUP);
            let members = GROUP.min(strips - group * GROUP);
            for (p, line) in strip.iter().enumerate() {
                weights[group * GROUP * depth + p * members + place] = *line;
            }
        } else {
            weights[s * depth..][..depth].copy_from_slice(&strip);
        }
    }
    let work = rows.saturating_mul(columns).saturating_mul(depth);
    let wanted = if grouped { columns * depth / TILE_OF_FEW } else { work / TILE }.clamp(1, MOST_TILES);
    let units = if grouped { GROUP } else { MOST_STRIPS };
    let (pairs, groups) = (rows.div_ceil(MOST_PANELS * ROWS), strips.div_ceil(units));
    let (mut row_tiles, mut column_tiles) = (1, 1);
    // The longer side is cut once more, until there are enough tiles: near to square, they read least.
    while row_tiles * column_tiles < wanted {
        let side = |length: usize, parts: usize, most: usize| if parts < most { length.div_ceil(parts) } else { 0 };
        let (row, column) = (side(rows, row_tiles, pairs), side(columns, column_tiles, groups));
        if row.max(column) == 0 {
            break;
        } else if column >= row {
            column_tiles += 1;
        } else {
            row_tiles += 1;
        }
    }
    let panels = Parts::of_at_most(rows, ROWS);
    let blocks = Parts::of_at_most(depth, DEEPEST);
    let row_tiles = Parts::new(panels.count, MOST_PANELS, row_tiles);
    let column_tiles = Parts::new(strips, units, column_tiles);
    let rows_at = match (grouped || depth * size_of::<T>() <= NEAR, column_tiles.count) {
        (true, _) => Rows::Direct,
        (false, 1) => Rows::Local,
        (false, _) => Rows::Shared,
    };
    let packing = Parts::new(panels.count, 1, (rows * depth / PACKED).clamp(1, panels.count));
    let size = size_of::<T>();
    let bytes = ((rows * (depth + columns) + strips * T::COLUMNS * depth) * size) as f64;
    let padded = (rows * strips * T::COLUMNS) as f64 * depth as f64;
    // Measured: 45 multiply-adds a nanosecond with AVX2; of few rows, 80 bytes.
    let nanos = 30.0 + (padded / (180.0 / size as f64)).max(bytes / 80.0);
    let body = Dense::<T> {
        arch: Arch::new(),
        rows,
        columns,
        depth,
        strips,
        panels,
        blocks,
        rows_at,
        packing,
        row_tiles,
        column_tiles,
        weights,
        element: std::marker::PhantomData,
    };
    let cost = Cost { flops: 2.0 * rows as f64 * columns as f64 * depth as f64, bytes, nanos };
    let tiles = row_tiles.count * column_tiles.count;
    let mut kernel = Kernel::new(tiles, cost, body);
    match rows_at {
        Rows::Direct => {}
        Rows::Local => kernel.local = row_tiles.longest() * ROWS * blocks.longest() * size,
        Rows::Shared => {
            kernel.phases.insert(0, packing.count);
            kernel.shared = rows * depth * size;
        }
    }
    kernel
}

/// One tile, to be compiled for each instruction set.
struct Run<'a, 'b, T> {
    dense: &'a Dense<T>,
    args: &'a Args<'b>,
    packs: bool,
    tile: usize,
}

impl<T: Float> WithSimd for Run<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Run { dense, args, packs, tile } = self;
        if packs {
            for block in 0..dense.blocks.count {
                let to = args.shared.cast::<T>().wrapping_add(dense.blocks.start(block) * dense.rows);
                // SAFETY: as below; the shared scratch holds all rows, and every panel is packed by one tile.
                unsafe { dense.pack(args, dense.packing.range(tile), block, to) };
            }
            return;
        }
        let panels = dense.row_tiles.range(tile % dense.row_tiles.count);
        let strips = dense.column_tiles.range(tile / dense.row_tiles.count);
        // SAFETY: `Body::run`, the only one who makes a `Run`, has the contract from its caller; tiles are disjoint.
        unsafe {
            if dense.rows <= FEW_ROWS {
                for first in strips.step_by(GROUP) {
                    dense.group(simd, args, first);
                }
            } else {
                dense.rectangle(simd, args, panels, strips);
            }
        }
    }
}

impl<T: Float> Dense<T> {
    /// All rows times the group of strips from `first` on.
    ///
    /// # Safety
    /// As [`Body::run`]; these columns of the result are this call's alone.
    #[inline(always)]
    unsafe fn group<S: Simd>(&self, simd: S, args: &Args<'_>, first: usize) {
        macro_rules! of {
            ($($members:literal)*) => {
                match (GROUP.min(self.strips - first), self.rows) {
                    $(
                        ($members, 1) => self.few::<S, 1, $members>(simd, args, first),
                        ($members, 2) => self.few::<S, 2, $members>(simd, args, first),
                        ($members, _) => self.few::<S, 3, $members>(simd, args, first),
                    )*
                    (_, _) => {}
                }
            };
        }
        // SAFETY: the caller's contract; there are 1 to 3 rows and 1 to 8 strips.
        unsafe { of!(1 2 3 4 5 6 7 8) }
    }

    /// `R` rows times `N` strips that lie side by side.
    ///
    /// # Safety
    /// As [`Dense::group`], with these counts.
    #[inline(always)]
    unsafe fn few<S: Simd, const R: usize, const N: usize>(&self, simd: S, args: &Args<'_>, first: usize) {
        // SAFETY: the caller's contract; a line is so many vectors.
        unsafe {
            match const { 64 / size_of::<T::Vector<S>>() } {
                1 => self.sums::<S, R, N, 1>(simd, args, first),
                2 => self.sums::<S, R, N, 2>(simd, args, first),
                4 => self.sums::<S, R, N, 4>(simd, args, first),
                8 => self.sums::<S, R, N, 8>(simd, args, first),
                _ => self.sums::<S, R, N, 16>(simd, args, first),
            }
        }
    }

    /// # Safety
    /// As [`Dense::few`], with lines of `W` vectors.
    #[inline(always)]
    unsafe fn sums<S: Simd, const R: usize, const N: usize, const W: usize>(
        &self,
        simd: S,
        args: &Args<'_>,
        first: usize,
    ) {
        let mut sums = [[[T::splat(simd, T::default()); W]; N]; R];
        let a = args.inputs[0].cast::<T>();
        let lines = self.weights[first * self.depth..][..N * self.depth].as_chunks::<N>().0;
        for (p, lines) in lines.iter().enumerate() {
            // SAFETY: 64 bytes of each line are read as the vectors that they are.
            let lines =
                lines.each_ref().map(|line| unsafe { std::ptr::from_ref(line).cast::<[T::Vector<S>; W]>().read() });
            for (r, sums) in sums.iter_mut().enumerate() {
                // SAFETY: the operand holds `R` rows of `depth` elements.
                let x = T::splat(simd, unsafe { *a.add(r * self.depth + p) });
                for (sum, line) in sums.as_flattened_mut().iter_mut().zip(lines.as_flattened()) {
                    *sum = T::mul_add(simd, x, *line, *sum);
                }
            }
        }
        let count = (self.columns - first * T::COLUMNS).min(N * T::COLUMNS);
        for (r, sums) in sums.iter().enumerate() {
            let c = args.outputs[0].cast::<T>().wrapping_add(r * self.columns + first * T::COLUMNS);
            // SAFETY: `count` columns of row r are the result's; the sums hold as many elements, or more.
            unsafe { c.copy_from_nonoverlapping(sums.as_ptr().cast::<T>(), count) };
        }
    }

    /// Packs panels of rows, for one block of the depth, to where the matrix's first row would be.
    ///
    /// # Safety
    /// As [`Body::run`]; there is room for the panels' rows, which nobody else touches.
    #[inline(always)]
    unsafe fn pack(&self, args: &Args<'_>, panels: Range<usize>, block: usize, to: *mut T) {
        let (from, end) = (self.blocks.start(block), self.blocks.start(block + 1));
        let a = args.inputs[0].cast::<T>();
        for own in panels.map(|panel| self.panels.range(panel)) {
            let first = a.wrapping_add(own.start * self.depth + from);
            let lines = Lines { first, line: self.depth, step: 1, steps: end - from };
            // SAFETY: these are rows of the operand, and the caller's contract.
            unsafe { pack_rows(&lines, own.len(), to.wrapping_add(own.start * (end - from))) };
        }
    }

    /// A rectangle of the result: for each block of the depth, each strip goes down all its rows.
    ///
    /// # Safety
    /// As [`Body::run`]; the rectangle is this call's alone, and the phase that packs is over.
    #[inline(always)]
    unsafe fn rectangle<S: Simd>(&self, simd: S, args: &Args<'_>, panels: Range<usize>, strips: Range<usize>) {
        let (a, c) = (args.inputs[0].cast::<T>(), args.outputs[0].cast::<T>());
        for block in 0..self.blocks.count {
            let (from, end) = (self.blocks.start(block), self.blocks.start(block + 1));
            let steps = end - from;
            let packed = match self.rows_at {
                Rows::Direct => std::ptr::null(),
                Rows::Shared => args.shared.cast::<T>().cast_const().wrapping_add(from * self.rows),
                Rows::Local => {
                    let to = args.local.cast::<T>().wrapping_sub(self.panels.start(panels.start) * steps);
                    // SAFETY: the scratch holds a block of all rows of a tile, and this worker alone has it.
                    unsafe { self.pack(args, panels.clone(), block, to) };
                    to.cast_const()
                }
            };
            let mut strip = strips.start;
            while strip < strips.end {
                let together = if takes_two::<S, T>() { MOST_STRIPS.min(strips.end - strip) } else { 1 };
                let begin = |n: usize| self.weights.as_ptr().wrapping_add((strip + n) * self.depth + from).cast::<T>();
                let mut panel = panels.start;
                while panel < panels.end {
                    let own = self.panels.range(panel);
                    let count = own.len();
                    let both =
                        takes_two::<S, T>() && panel + 1 < panels.end && self.panels.range(panel + 1).len() == count;
                    panel += if both { MOST_PANELS } else { 1 };
                    let (first, a_line, a_step, apart) = if self.rows_at == Rows::Direct {
                        (a.wrapping_add(own.start * self.depth + from), self.depth, 1, count * self.depth)
                    } else {
                        (packed.wrapping_add(own.start * steps), 1, count, count * steps)
                    };
                    let operands = Operands {
                        panels: [first, first.wrapping_add(apart)],
                        a_line,
                        a_step,
                        strips: [begin(0), begin(together - 1)],
                        b_step: T::COLUMNS,
                        steps,
                    };
                    let counts = Counts { panels: if both { MOST_PANELS } else { 1 }, rows: count, strips: together };
                    let target = Target {
                        c: c.wrapping_add(own.start * self.columns + strip * T::COLUMNS),
                        row: self.columns,
                        columns: (self.columns - strip * T::COLUMNS).min(together * T::COLUMNS),
                        add: block > 0,
                    };
                    // SAFETY: the panels' rows are the operand's, or packed, the strips were packed when the kernel was
                    // compiled, both for every step of the block; the rectangle of C is this call's, and the blocks
                    // before have written it.
                    unsafe { micro_tile(simd, counts, &operands, &target) };
                }
                strip += together;
            }
        }
    }
}

impl<T: Float> Body for Dense<T> {
    unsafe fn run(&self, args: &Args<'_>, phase: usize, tile: usize) -> Result<(), KernelError> {
        let packs = self.rows_at == Rows::Shared && phase == 0;
        self.arch.dispatch(Run { dense: self, args, packs, tile });
        Ok(())
    }

    fn completes(&self, tile: usize, range: &mut dyn FnMut(Range<usize>)) -> bool {
        let own = self.row_tiles.range(tile % self.row_tiles.count);
        let (start, end) = (self.panels.start(own.start), self.panels.start(own.end));
        let own = self.column_tiles.range(tile / self.row_tiles.count);
        let (left, right) = (own.start * T::COLUMNS, (own.end * T::COLUMNS).min(self.columns));
        if own.len() == self.strips {
            range(start * self.columns..end * self.columns);
        } else {
            (start..end).for_each(|r| range(r * self.columns + left..r * self.columns + right));
        }
        true
    }
}
