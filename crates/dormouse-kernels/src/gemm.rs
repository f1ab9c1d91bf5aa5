//! The product of float matrices as a kernel: operands packed where that pays, tiles multiplied, parts of the depth
//! summed in order. It is apart from `linalg` because it knows strides and batches, not operations and shapes; the
//! convolutions use its micro-kernel and its packing directly.
//!
//! A tile is a rectangle of the result over a part of the depth. Within it, for each block of the depth, strips of columns are
//! packed where that pays; then, for a group of panels of rows at a time, the micro-kernel goes down these panels for each
//! strip: the strip stays in the first-level cache, the group's panels in the second, and all that they touch in few pages.

#![allow(clippy::inline_always, reason = "code that stays apart from the dispatch misses its instruction set")]

pub(crate) mod micro;
pub(crate) mod pack;
pub(crate) mod tiling;

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use smallvec::SmallVec;

use self::micro::{Counts, Float, LONG, MOST_PANELS, MOST_ROWS, MOST_STRIPS, Operands, Target, micro_tile, takes_two};
use self::pack::{Lines, pack_columns, pack_rows, pack_strips};
use self::tiling::{FEW_ROWS, PANELS_TOGETHER, STRIPS_TOGETHER, Tiling, products_a_tile};
use crate::{Args, Body, Cost, Kernel, KernelError};

/// Elements that a tile of the packing phase packs at most, unless a single panel has more.
const PACKED_A_TILE: usize = 1 << 17;
/// Elements of the result to which one tile adds the parts of the depth.
const SUMMED_A_TILE: usize = 1 << 15;

/// One operand of a batch of products, by strides in elements.
#[derive(Clone, Debug)]
pub(crate) struct Operand {
    /// Between two lines: rows of A, columns of B.
    pub line: usize,
    /// Between two steps of the depth.
    pub step: usize,
    /// How many matrices the operand holds.
    pub matrices: usize,
    /// For each axis of the batch, matrices between two of its indices; 0 where the operand is broadcast.
    pub axes: SmallVec<[usize; 4]>,
}

impl Operand {
    /// Which of the operand's matrices belongs to a product of the batch.
    pub(crate) fn matrix(&self, batch_dims: &[usize], product: usize) -> usize {
        let mut rest = product;
        batch_dims.iter().zip(&self.axes).rev().fold(0, |matrix, (&extent, &stride)| {
            let index = rest % extent;
            rest /= extent;
            matrix + index * stride
        })
    }
}

/// A batch of products: `[.., rows, depth] × [.., depth, columns] → [.., rows, columns]`.
#[derive(Clone, Debug)]
pub(crate) struct Product {
    /// Rows of A and of the result.
    pub rows: usize,
    /// Columns of B and of the result.
    pub columns: usize,
    /// Columns of A, rows of B.
    pub depth: usize,
    /// Extents of the batch.
    pub batch: SmallVec<[usize; 4]>,
    /// The left operand.
    pub a: Operand,
    /// The right operand.
    pub b: Operand,
}

impl Product {
    /// The number of products.
    pub(crate) fn products(&self) -> usize {
        self.batch.iter().product()
    }
}

/// Where the micro-kernel reads an operand.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    /// Where it lies.
    Direct,
    /// In the worker's scratch, packed by the tile that reads it.
    Local,
    /// In the shared scratch, packed by a phase before.
    Shared,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Pack,
    Multiply,
    Sum,
}

/// Products of float matrices; see the module.
#[derive(Debug)]
struct Gemm<T> {
    arch: Arch,
    product: Product,
    tiling: Tiling,
    a: Source,
    b: Source,
    phases: SmallVec<[Phase; 3]>,
    /// Packed panels of one tile of the packing phase, and packed strips.
    panels_a_tile: usize,
    strips_a_tile: usize,
    /// Products that one tile takes; more than one only where a product has one tile.
    products_a_tile: usize,
    /// Elements of the shared scratch before the packed strips, and before the partial results.
    shared_b: usize,
    shared_parts: usize,
    /// Elements of the local scratch before the packed strip.
    local_b: usize,
    element: std::marker::PhantomData<fn(T)>,
}

/// The kernel of a batch of float products. Nothing is empty but, maybe, the depth.
pub(crate) fn kernel<T: Float>(product: Product) -> Kernel {
    let Product { rows, columns, depth, .. } = product;
    let products = product.products();
    let in_place = b_in_place(&product, size_of::<T>());
    let tiling = Tiling::new([rows, columns, depth], T::COLUMNS, products, !in_place);
    let a = if a_in_place(&product, &tiling, size_of::<T>()) {
        Source::Direct
    } else if tiling.column_tiles.count == 1 {
        Source::Local
    } else {
        Source::Shared
    };
    let b = if in_place {
        Source::Direct
    } else if tiling.row_tiles.count == 1 {
        Source::Local
    } else {
        Source::Shared
    };
    let shared_a = if a == Source::Shared { product.a.matrices * rows * depth } else { 0 };
    let shared_b = shared_a.next_multiple_of(T::COLUMNS);
    let strip_elements = tiling.strips * T::COLUMNS;
    let shared_parts = shared_b + if b == Source::Shared { product.b.matrices * strip_elements * depth } else { 0 };
    let parts = tiling.depth_tiles.count;
    let shared = shared_parts + (parts - 1) * products * rows * columns;
    let block = tiling.blocks.longest();
    let row_elements = tiling.row_tiles.longest() * tiling.panels.longest();
    let local_b = if a == Source::Local { (row_elements * block).next_multiple_of(T::COLUMNS) } else { 0 };
    let strips_at_once =
        if b == Source::Local { tiling.column_tiles.longest().min(STRIPS_TOGETHER) } else { MOST_STRIPS };
    let local = local_b + strips_at_once * block * T::COLUMNS;

    let panels_a_tile = (PACKED_A_TILE / (tiling.panels.longest() * depth).max(1)).clamp(1, tiling.panels.count);
    let strips_a_tile = (PACKED_A_TILE / (T::COLUMNS * depth).max(1)).clamp(1, tiling.strips.max(1));
    let work = rows.saturating_mul(columns).saturating_mul(depth);
    let products_a_tile = if tiling.tiles() == 1 { products_a_tile(work, products) } else { 1 };
    let mut body = Gemm::<T> {
        arch: Arch::new(),
        product,
        tiling,
        a,
        b,
        phases: SmallVec::new(),
        panels_a_tile,
        strips_a_tile,
        products_a_tile,
        shared_b,
        shared_parts,
        local_b,
        element: std::marker::PhantomData,
    };
    let mut tiles = SmallVec::new();
    let packing = body.packing_tiles();
    if packing.0 + packing.1 > 0 {
        body.phases.push(Phase::Pack);
        tiles.push(packing.0 + packing.1);
    }
    body.phases.push(Phase::Multiply);
    tiles.push(tiling.tiles() * products.div_ceil(products_a_tile));
    if parts > 1 {
        body.phases.push(Phase::Sum);
        tiles.push((products * rows * columns).div_ceil(SUMMED_A_TILE));
    }
    let mut kernel = Kernel::new(1, body.cost(), body);
    kernel.phases = tiles;
    kernel.shared = shared * size_of::<T>();
    kernel.local = local * size_of::<T>();
    kernel
}

/// Bytes between two rows up to which the caches take them as they lie.
const NEAR: usize = 1024;

/// Columns below which rows of a tile are too short to go on with one by one.
const NARROW: usize = 64;

/// Strips up to which rows of A in one piece are not packed, which transposes them.
const FEW_STRIPS: usize = 20;

/// Whether the micro-kernel reads A where it lies. A panel is read once for each strip, so that packing pays from a few times
/// on; but rows that lie near each other, or that are few and do not fall on one set of the cache, are as good as packed.
fn a_in_place(product: &Product, tiling: &Tiling, size: usize) -> bool {
    let Operand { line, step, .. } = product.a;
    let bytes = line * size;
    let few = product.rows <= FEW_ROWS && !bytes.is_multiple_of(NEAR);
    tiling.column_tiles.longest() < 4
        || product.rows < 2
        || step == 1 && (bytes <= NEAR || few || tiling.strips <= FEW_STRIPS)
}

/// Times that the micro-kernel reads a strip up to which it is not packed.
const FEW_READS: usize = 3;

/// Whether the micro-kernel reads B where it lies: rows in one piece, near to each other, or read a few times.
fn b_in_place(product: &Product, size: usize) -> bool {
    let Operand { line, step, .. } = product.b;
    line == 1 && (step * size <= NEAR || product.rows <= FEW_READS * MOST_ROWS)
}

impl<T: Float> Gemm<T> {
    /// What the product is expected to take.
    fn cost(&self) -> Cost {
        let Product { rows, columns, depth, .. } = self.product;
        let products = self.product.products() as f64;
        // Measured with AVX2: 45 multiply-adds a nanosecond, and 3 elements packed.
        let padded = rows as f64 * (self.tiling.strips * T::COLUMNS) as f64 * depth as f64 * products;
        let multiplying = padded / (45.0 * 4.0 / size_of::<T>() as f64);
        let moved = products * (rows * depth + depth * columns + rows * columns) as f64;
        Cost {
            flops: 2.0 * rows as f64 * columns as f64 * depth as f64 * products,
            bytes: moved * size_of::<T>() as f64,
            nanos: 30.0 + multiplying + moved / 3.0,
        }
    }

    /// Tiles of the packing phase that pack panels of A, and that pack strips of B.
    fn packing_tiles(&self) -> (usize, usize) {
        let a = self.product.a.matrices * self.tiling.panels.count.div_ceil(self.panels_a_tile);
        let b = self.product.b.matrices * self.tiling.strips.div_ceil(self.strips_a_tile);
        (if self.a == Source::Shared { a } else { 0 }, if self.b == Source::Shared { b } else { 0 })
    }

    /// The panel that begins at row `start`, for a block of the depth that begins at `from`, in A at `a`.
    #[inline(always)]
    fn panel(&self, a: *const T, start: usize, from: usize, steps: usize) -> Lines<T> {
        let Operand { line, step, .. } = self.product.a;
        Lines { first: a.wrapping_add(start * line + from * step), line, step, steps }
    }

    /// The strip `strip`, for a block of the depth that begins at `from`, in B at `b`, and its columns.
    #[inline(always)]
    fn strip(&self, b: *const T, strip: usize, from: usize, steps: usize) -> (Lines<T>, usize) {
        let Operand { line, step, .. } = self.product.b;
        let start = strip * T::COLUMNS;
        let lines = Lines { first: b.wrapping_add(start * line + from * step), line, step, steps };
        (lines, T::COLUMNS.min(self.product.columns - start))
    }

    /// Packs some panels of one matrix of A, or some strips of one of B, over the whole depth.
    ///
    /// # Safety
    /// As [`Body::run`].
    #[inline(always)]
    unsafe fn pack(&self, args: &Args<'_>, tile: usize) {
        let Tiling { panels, blocks, strips, .. } = self.tiling;
        let Product { rows, depth, columns, .. } = self.product;
        let (of_a, _) = self.packing_tiles();
        let shared = args.shared.cast::<T>();
        if tile < of_a {
            let groups = panels.count.div_ceil(self.panels_a_tile);
            let (matrix, first) = (tile / groups, tile % groups * self.panels_a_tile);
            let a = args.inputs[0].cast::<T>().wrapping_add(matrix * rows * depth);
            let packed = shared.wrapping_add(matrix * rows * depth);
            for block in 0..blocks.count {
                let (from, to) = (blocks.start(block), blocks.start(block + 1));
                for panel in first..(first + self.panels_a_tile).min(panels.count) {
                    let (start, end) = (panels.start(panel), panels.start(panel + 1));
                    let lines = self.panel(a, start, from, to - from);
                    let packed = packed.wrapping_add(from * rows + start * (to - from));
                    // SAFETY: the lines are rows start..end of A from `from` to `to`; their place in the shared
                    // scratch belongs to this panel and block alone.
                    unsafe { pack_rows(&lines, end - start, packed) };
                }
            }
        } else {
            let groups = strips.div_ceil(self.strips_a_tile);
            let (matrix, first) = ((tile - of_a) / groups, (tile - of_a) % groups * self.strips_a_tile);
            let b = args.inputs[1].cast::<T>().wrapping_add(matrix * depth * columns);
            let packed = shared.wrapping_add(self.shared_b + matrix * strips * T::COLUMNS * depth);
            for block in 0..blocks.count {
                let (from, to) = (blocks.start(block), blocks.start(block + 1));
                let end = (first + self.strips_a_tile).min(strips);
                let packed = |strip: usize| packed.wrapping_add((from * strips + strip * (to - from)) * T::COLUMNS);
                // SAFETY: these strips' place for this block in the shared scratch belongs to this tile alone.
                unsafe { self.pack_tile(b, first..end, from, to - from, packed(first)) };
            }
        }
    }

    /// Multiplies one tile, or all of some small products.
    ///
    /// # Safety
    /// As [`Body::run`].
    #[inline(always)]
    unsafe fn multiply<S: Simd>(&self, simd: S, args: &Args<'_>, tile: usize) {
        let Tiling { row_tiles, column_tiles, depth_tiles, .. } = self.tiling;
        let (group, tile) = (tile / self.tiling.tiles(), tile % self.tiling.tiles());
        let (row_tile, tile) = (tile % row_tiles.count, tile / row_tiles.count);
        let (column_tile, part) = (tile % column_tiles.count, tile / column_tiles.count);
        let products = self.product.products();
        let result = self.product.rows * self.product.columns;
        let first = group * self.products_a_tile;
        for product in first..(first + self.products_a_tile).min(products) {
            // The first part goes to the result itself, the others beside it until they are summed.
            let c = if part == 0 {
                args.outputs[0].cast::<T>().wrapping_add(product * result)
            } else {
                let before = self.shared_parts + ((part - 1) * products + product) * result;
                args.shared.cast::<T>().wrapping_add(before)
            };
            let rectangle = Rectangle {
                panels: row_tiles.range(row_tile),
                strips: column_tiles.range(column_tile),
                blocks: depth_tiles.range(part),
            };
            // SAFETY: the caller's contract: c is where this tile alone puts its part of the product.
            unsafe { self.multiply_rectangle(simd, args, product, &rectangle, c) };
        }
    }

    /// Multiplies one tile of one product into C at `c`.
    ///
    /// # Safety
    /// As [`Body::run`]; the rectangle of C is this call's alone.
    #[inline(always)]
    unsafe fn multiply_rectangle<S: Simd>(
        &self,
        simd: S,
        args: &Args<'_>,
        product: usize,
        tile: &Rectangle,
        c: *mut T,
    ) {
        let Tiling { panels, blocks, strips, .. } = self.tiling;
        let Product { rows, columns, depth, ref batch, .. } = self.product;
        let (a_matrix, b_matrix) = (self.product.a.matrix(batch, product), self.product.b.matrix(batch, product));
        let a = args.inputs[0].cast::<T>().wrapping_add(a_matrix * rows * depth);
        let b = args.inputs[1].cast::<T>().wrapping_add(b_matrix * depth * columns);
        let (shared, local) = (args.shared.cast::<T>(), args.local.cast::<T>());
        let first_row = panels.start(tile.panels.start);
        for block in tile.blocks.clone() {
            let (from, to) = (blocks.start(block), blocks.start(block + 1));
            let steps = to - from;
            let packed_a = match self.a {
                Source::Direct => std::ptr::null(),
                Source::Local => {
                    for panel in tile.panels.clone() {
                        let (start, end) = (panels.start(panel), panels.start(panel + 1));
                        let packed = local.wrapping_add((start - first_row) * steps);
                        // SAFETY: the lines are rows start..end of A; the local scratch holds a tile's rows of a block.
                        unsafe { pack_rows(&self.panel(a, start, from, steps), end - start, packed) };
                    }
                    local.cast_const().wrapping_sub(first_row * steps)
                }
                Source::Shared => shared.cast_const().wrapping_add(a_matrix * rows * depth + from * rows),
            };
            for first in tile.strips.clone().step_by(STRIPS_TOGETHER) {
                let group = first..(first + STRIPS_TOGETHER).min(tile.strips.end);
                let from_here = self.packed_by_tile(&group);
                let place = |strip: usize| local.wrapping_add(self.local_b + (strip - from_here) * steps * T::COLUMNS);
                // SAFETY: the local scratch holds so many strips of a block, for this tile alone.
                unsafe { self.pack_tile(b, from_here..group.end, from, steps, place(from_here)) };
                for panels_first in tile.panels.clone().step_by(PANELS_TOGETHER) {
                    let panels_end = (panels_first + PANELS_TOGETHER).min(tile.panels.end);
                    let mut strip = first;
                    while strip < group.end {
                        // Two strips at once, where registers are enough and sums are long: the bits do not depend on it.
                        let together =
                            if takes_two::<S, T>() && steps >= LONG { MOST_STRIPS.min(group.end - strip) } else { 1 };
                        let direct = self.b == Source::Direct && strip < from_here;
                        let begins = std::array::from_fn(|n| {
                            let strip = (strip + n).min(group.end - 1);
                            if direct {
                                self.strip(b, strip, from, steps).0.first
                            } else if self.b == Source::Shared {
                                let before = b_matrix * strips * depth + from * strips + strip * steps;
                                shared.cast_const().wrapping_add(self.shared_b + before * T::COLUMNS)
                            } else {
                                place(strip).cast_const()
                            }
                        });
                        let b_step = if direct { self.product.b.step } else { T::COLUMNS };
                        let mut panel = panels_first;
                        while panel < panels_end {
                            let (start, end) = (panels.start(panel), panels.start(panel + 1));
                            let own = end - start;
                            // Two panels at once, where registers are enough: the bits do not depend on it.
                            let both =
                                takes_two::<S, T>() && panel + 1 < panels_end && panels.start(panel + 2) - end == own;
                            panel += if both { MOST_PANELS } else { 1 };
                            let (first, a_line, a_step, apart) = match self.a {
                                Source::Direct => {
                                    let lines = self.panel(a, start, from, steps);
                                    (lines.first, lines.line, lines.step, own * lines.line)
                                }
                                Source::Local | Source::Shared => {
                                    (packed_a.wrapping_add(start * steps), 1, own, own * steps)
                                }
                            };
                            let operands = Operands {
                                panels: [first, first.wrapping_add(apart)],
                                a_line,
                                a_step,
                                strips: begins,
                                b_step,
                                steps,
                            };
                            let counts =
                                Counts { panels: if both { MOST_PANELS } else { 1 }, rows: own, strips: together };
                            let target = Target {
                                c: c.wrapping_add(start * columns + strip * T::COLUMNS),
                                row: columns,
                                columns: (columns - strip * T::COLUMNS).min(together * T::COLUMNS),
                                add: block > tile.blocks.start,
                            };
                            // SAFETY: the panels' rows of A and a whole strip of B are readable for every step of the
                            // block: where they lie, or packed. The rectangle of C is this call's, and the blocks before
                            // have written it where they are added to.
                            unsafe { micro_tile(simd, counts, &operands, &target) };
                        }
                        strip += together;
                    }
                }
            }
        }
    }

    /// The first strip of a group that the tile packs itself; those before are read where they lie, or were packed by a phase
    /// before. The last strip of B may be cut short, and then its micro-tile is packed even where B is read in place.
    #[inline(always)]
    fn packed_by_tile(&self, group: &Range<usize>) -> usize {
        let whole = self.product.columns / T::COLUMNS;
        match self.b {
            Source::Shared => group.end,
            Source::Local => group.start,
            Source::Direct if whole >= group.end => group.end,
            Source::Direct => whole - (whole - group.start) % MOST_STRIPS,
        }
    }

    /// Packs strips of B at `b` for a block of the depth, one after the other.
    ///
    /// # Safety
    /// There is room for them at `packed`, which nobody else touches.
    #[inline(always)]
    unsafe fn pack_tile(&self, b: *const T, own: Range<usize>, from: usize, steps: usize, packed: *mut T) {
        let whole = self.product.columns / T::COLUMNS;
        let (start, end) = (own.start, own.end);
        // Where rows of B lie in one piece, they are read as such.
        let together = if self.product.b.line == 1 { end.min(whole).max(start) } else { start };
        let (lines, _) = self.strip(b, start, from, steps);
        // SAFETY: the lines are whole strips of B for the block's steps, and the caller's contract.
        unsafe { pack_strips(&lines, together - start, packed) };
        for strip in together..end {
            let (lines, count) = self.strip(b, strip, from, steps);
            // SAFETY: the lines are `count` columns of B for the block's steps, and the caller's contract.
            unsafe { pack_columns(&lines, count, packed.wrapping_add((strip - start) * steps * T::COLUMNS)) };
        }
    }

    /// Adds the later parts of the depth to the first, in order.
    ///
    /// # Safety
    /// As [`Body::run`].
    #[inline(always)]
    unsafe fn sum(&self, args: &Args<'_>, tile: usize) {
        let result = self.product.products() * self.product.rows * self.product.columns;
        let from = tile * SUMMED_A_TILE;
        let len = SUMMED_A_TILE.min(result - from);
        // SAFETY: this range of the result is this tile's alone.
        let c = unsafe { args.output::<T>(0, from, len) };
        for part in 1..self.tiling.depth_tiles.count {
            let before = self.shared_parts + (part - 1) * result + from;
            // SAFETY: the parts lie in the shared scratch, and the phase that wrote them is over.
            let partial = unsafe { std::slice::from_raw_parts(args.shared.cast::<T>().add(before), len) };
            for (c, &partial) in c.iter_mut().zip(partial) {
                *c = *c + partial;
            }
        }
    }
}

/// A tile: panels of rows, strips of columns, blocks of the depth.
#[derive(Debug)]
struct Rectangle {
    panels: Range<usize>,
    strips: Range<usize>,
    blocks: Range<usize>,
}

/// One tile of one phase, to be compiled for each instruction set.
struct Run<'a, 'b, T> {
    gemm: &'a Gemm<T>,
    args: &'a Args<'b>,
    phase: Phase,
    tile: usize,
}

impl<T: Float> WithSimd for Run<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Run { gemm, args, phase, tile } = self;
        // SAFETY: `Body::run`, the only one who makes a `Run`, has the contract from its caller.
        unsafe {
            match phase {
                Phase::Pack => gemm.pack(args, tile),
                Phase::Multiply => gemm.multiply(simd, args, tile),
                Phase::Sum => gemm.sum(args, tile),
            }
        }
    }
}

impl<T: Float> Body for Gemm<T> {
    unsafe fn run(&self, args: &Args<'_>, phase: usize, tile: usize) -> Result<(), KernelError> {
        self.arch.dispatch(Run { gemm: self, args, phase: self.phases[phase], tile });
        Ok(())
    }

    fn completes(&self, tile: usize, range: &mut dyn FnMut(Range<usize>)) -> bool {
        let Tiling { panels, row_tiles, column_tiles, depth_tiles, strips, .. } = self.tiling;
        let Product { rows, columns, .. } = self.product;
        let products = self.product.products();
        if depth_tiles.count > 1 {
            let from = tile * SUMMED_A_TILE;
            range(from..(from + SUMMED_A_TILE).min(products * rows * columns));
            return true;
        }
        let (group, tile) = (tile / self.tiling.tiles(), tile % self.tiling.tiles());
        let (row_tile, column_tile) = (tile % row_tiles.count, tile / row_tiles.count);
        let own = row_tiles.range(row_tile);
        let (start, end) = (panels.start(own.start), panels.start(own.end));
        let own = column_tiles.range(column_tile);
        let (left, right) = (own.start * T::COLUMNS, (own.end * T::COLUMNS).min(columns));
        if column_tiles.count > 1 && column_tiles.longest() * T::COLUMNS < NARROW {
            return false;
        }
        let first = group * self.products_a_tile;
        for product in first..(first + self.products_a_tile).min(products) {
            let row = |row: usize| (product * rows + row) * columns;
            if own.len() == strips {
                range(row(start)..row(end));
            } else {
                (start..end).for_each(|r| range(row(r) + left..row(r) + right));
            }
        }
        true
    }
}
