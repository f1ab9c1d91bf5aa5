//! The convolution and its input gradient: both are sums over taps of source cells times a packed filter, and differ
//! in their [`Lattice`]s and in which axis of the filter is summed.
//!
//! Phase 0 packs the filter into strips; phase 1 computes bands of rows of images, each from a padded copy of the
//! source rows it reads.

use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::lattice::Lattice;
use super::micro::{self, Float, MOST_ROWS, Run, rows_of, with_rows, with_vectors};
use super::padding::{Extent, pad_slices};
use crate::{Args, Body, Cost, Kernel, KernelError};

/// Elements of a filter that a tile of phase 0 packs, at least.
const PACK: usize = 16 * 1024;
/// Bytes of strips that stay in a core's cache while a band runs over them.
const STRIP_BYTES: usize = 256 * 1024;
/// Bytes of a padded band, at most, where more than one row is in it.
const BAND_BYTES: usize = 256 * 1024;

/// What is summed: of operand 0, the source, and operand 1, the filter `[depth, height, width, .., ..]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sum {
    /// Images.
    pub(super) images: usize,
    /// Groups of channels, each summed apart from the others.
    pub(super) groups: usize,
    /// Channels of the source in a group: the axis that is summed.
    pub(super) inner: usize,
    /// Channels of the result in a group.
    pub(super) columns: usize,
    /// Taps of the filter along its first three axes.
    pub(super) taps: [usize; 3],
    /// Elements of the filter from one source channel to the next, from one result channel to the next, and from one
    /// group to the next.
    pub(super) strides: [usize; 3],
}

impl Sum {
    /// Elements of a source cell.
    fn source_cell(&self) -> usize {
        self.groups * self.inner
    }

    /// Elements of a result cell.
    fn result_cell(&self) -> usize {
        self.groups * self.columns
    }

    /// Elements of the filter at one tap.
    fn tap(&self) -> usize {
        self.groups * self.inner * self.columns
    }
}

/// Result cells of one class along all axes, with their part of the packed filter.
#[derive(Debug)]
struct Class {
    /// First result cell along each axis.
    first: [usize; 3],
    /// Result cells along each axis.
    count: [usize; 3],
    /// Source elements of a result cell, of the first group of channels.
    runs: Vec<Run>,
    /// The taps in the order of `runs`, as indices into the filter's first axes.
    taps: Vec<usize>,
    /// Lines of a strip.
    lines: usize,
    /// Where the class's strips start, in elements.
    packed: usize,
}

/// The code of a sum over taps.
#[derive(Debug)]
struct Correlation<T> {
    sum: Sum,
    lattices: [Lattice; 3],
    classes: Vec<Class>,
    /// Whether bands are copied with padding; otherwise the source is read in place.
    padded: bool,
    /// Source cells of a row, in the padded copy or in place.
    pitch: usize,
    /// Source cells of a slice of the depth, in the padded copy or in place.
    slice: usize,
    columns_read: Extent,
    /// Strips of a group of channels.
    strips: usize,
    strips_per_tile: usize,
    bands: usize,
    groups_per_band: usize,
    images_per_tile: usize,
    element: PhantomData<T>,
}

/// The kernel of a sum over taps; the result is `[images, depth, rows, columns, channels]`.
pub(super) fn kernel<T: Float>(sum: Sum, lattices: [Lattice; 3], cost: Cost) -> Kernel {
    let [deep, down, across] = &lattices;
    let slices_read = deep.extent(0, deep.groups());
    let rows_read = down.extent(0, down.groups());
    let columns_read = across.extent(0, across.groups());
    let padded =
        !(slices_read.within(deep.sources) && rows_read.within(down.sources) && columns_read.within(across.sources));
    let pitch = if padded { columns_read.len } else { across.sources };
    let strips = sum.columns.div_ceil(T::COLUMNS);
    let all_strips = sum.groups * strips;

    // Of one image and one group of slices.
    let taps = |lattice: &Lattice| lattice.classes.iter().map(|c| c.taps.len()).sum::<usize>();
    let cells = |lattice: &Lattice| lattice.classes.iter().map(|c| c.taps.len() * c.count).sum::<usize>();
    let lines = taps(deep) * cells(down) * cells(across) * sum.inner;
    let flops = (2 * lines * all_strips * T::COLUMNS).max(1);
    let units = sum.images * deep.groups();
    let depth = deep.extent(0, deep.groups().min(1)).len;
    let groups = down.groups();
    let row_bytes = if padded { pitch * sum.source_cell() * size_of::<T>() } else { 0 };
    let for_workers = if units < 16 { 16_usize.div_ceil(units.max(1)).min(flops / 2_000_000) } else { 1 };
    let for_scratch = (depth * rows_read.len * row_bytes).div_ceil(BAND_BYTES);
    let bands = for_workers.max(for_scratch).max(flops / 40_000_000).clamp(1, groups.max(1));
    let groups_per_band = groups.div_ceil(bands).max(1);
    let bands = groups.div_ceil(groups_per_band);
    let alone = bands == 1 && deep.groups() == 1;
    let images_per_tile = if alone { (8_000_000 / flops).clamp(1, (sum.images / 8).max(1)) } else { 1 };
    let rows_of_band = down.extent(0, groups_per_band.min(groups)).len;
    let slice = if padded { rows_of_band * pitch } else { down.sources * across.sources };
    let classes = classes(&sum, &lattices, [slice, pitch], all_strips * T::COLUMNS);

    let results = sum.images * deep.results * down.results * across.results * sum.result_cell();
    let longest = classes.iter().map(|c| c.lines * T::COLUMNS).max().unwrap_or(0);
    let strips_per_tile = PACK.div_ceil(longest.max(1));
    let packed: usize = classes.iter().map(|c| c.lines * all_strips * T::COLUMNS).sum();
    let shared = packed * size_of::<T>();
    let local = depth * rows_of_band * row_bytes;
    let packing = (classes.len() * all_strips).div_ceil(strips_per_tile).max(1);
    let computing = bands * deep.groups() * sum.images.div_ceil(images_per_tile);
    let body = Correlation::<T> {
        sum,
        lattices,
        classes,
        padded,
        pitch,
        slice,
        columns_read,
        strips,
        strips_per_tile,
        bands,
        groups_per_band,
        images_per_tile,
        element: PhantomData,
    };
    let mut kernel = Kernel::new(0, cost, body);
    kernel.phases.clear();
    if results > 0 {
        kernel.phases.extend([packing, computing]);
        kernel.shared = shared;
        kernel.local = local;
    }
    kernel
}

/// The classes of all axes, with the runs of source elements in a copy of `pitches` cells a slice and a row.
fn classes(sum: &Sum, lattices: &[Lattice; 3], [slice, pitch]: [usize; 2], columns: usize) -> Vec<Class> {
    let [deep, down, across] = lattices;
    let low = |lattice: &Lattice| lattice.extent(0, lattice.groups()).first;
    let [front, top, left] = [low(deep), low(down), low(across)];
    let mut packed = 0;
    let mut classes = Vec::new();
    let planes = deep.classes.iter().flat_map(|z| down.classes.iter().map(move |d| (z, d)));
    for ((z, d), a) in planes.flat_map(|plane| across.classes.iter().map(move |a| (plane, a))) {
        let mut runs: Vec<Run> = Vec::new();
        let mut taps = Vec::new();
        let rows = z.taps.iter().flat_map(|slice| d.taps.iter().map(move |row| (slice, row)));
        for ((&(depth, h), &(row, i)), &(column, j)) in
            rows.flat_map(|row| a.taps.iter().map(move |column| (row, column)))
        {
            let cell = (depth - front) as usize * slice + (row - top) as usize * pitch + (column - left) as usize;
            let start = cell * sum.source_cell();
            taps.push((h * sum.taps[1] + i) * sum.taps[2] + j);
            match runs.last_mut() {
                Some(run) if run.start + run.len == start => run.len += sum.inner,
                _ => runs.push(Run { start, len: sum.inner }),
            }
        }
        let lines = taps.len() * sum.inner;
        let (first, count) = ([z.first, d.first, a.first], [z.count, d.count, a.count]);
        classes.push(Class { first, count, runs, taps, lines, packed });
        packed += lines * columns;
    }
    classes
}

impl<T: Float> Correlation<T> {
    /// The first column of a strip of all groups within its group, and how many it has.
    #[inline(always)]
    fn columns_of(&self, strip: usize) -> (usize, usize) {
        let first = strip % self.strips * T::COLUMNS;
        (first, (self.sum.columns - first).min(T::COLUMNS))
    }

    /// What a tile of phase 1 computes.
    fn part(&self, tile: usize) -> Part {
        let [deep, down, _] = &self.lattices;
        let (unit, band) = (tile / self.bands, tile % self.bands);
        let (share, depth) = (unit / deep.groups(), unit % deep.groups());
        let first = share * self.images_per_tile;
        let from = band * self.groups_per_band;
        Part {
            images: first..(first + self.images_per_tile).min(self.sum.images),
            depth,
            groups: from..(from + self.groups_per_band).min(down.groups()),
        }
    }

    /// Packs one strip of one class: a line of columns for each tap and source channel, zeros beyond the last column.
    fn pack(&self, filter: &[T], class: &Class, strip: usize, packed: &mut [T]) {
        let Sum { inner, strides: [along, column, group], .. } = self.sum;
        let (first, used) = self.columns_of(strip);
        let group = strip / self.strips * group;
        let mut lines = packed.chunks_exact_mut(T::COLUMNS);
        for &tap in &class.taps {
            let tap = &filter[tap * self.sum.tap()..(tap + 1) * self.sum.tap()];
            for (k, line) in (0..inner).zip(&mut lines) {
                let start = group + k * along + first * column;
                if column == 1 {
                    line[..used].copy_from_slice(&tap[start..start + used]);
                } else {
                    line.iter_mut().zip(tap[start..].iter().step_by(column)).take(used).for_each(|(to, &x)| *to = x);
                }
                line[used..].fill(T::default());
            }
        }
    }

    /// Packs the strips of a tile of phase 0.
    ///
    /// # Safety
    /// As [`Body::run`].
    unsafe fn pack_tile(&self, args: &Args<'_>, tile: usize) {
        let taps = self.sum.taps.iter().product::<usize>();
        // SAFETY: the filter is operand 1.
        let filter = unsafe { args.input::<T>(1, taps * self.sum.tap()) };
        let all = self.sum.groups * self.strips;
        let strips = tile * self.strips_per_tile..((tile + 1) * self.strips_per_tile).min(self.classes.len() * all);
        for strip in strips {
            let class = &self.classes[strip / all];
            let strip = strip % all;
            let len = class.lines * T::COLUMNS;
            let start = class.packed + strip * len;
            // SAFETY: `shared` holds all strips of all classes, aligned to 64; this tile alone writes this one.
            let packed = unsafe { std::slice::from_raw_parts_mut(args.shared.cast::<T>().add(start), len) };
            self.pack(filter, class, strip, packed);
        }
    }
}

/// What a tile of phase 1 computes: of some images, a group of slices and groups of rows.
struct Part {
    images: Range<usize>,
    depth: usize,
    groups: Range<usize>,
}

/// A tile of phase 1.
struct Tile<'a, T> {
    code: &'a Correlation<T>,
    args: &'a Args<'a>,
    images: std::ops::Range<usize>,
    /// The group of result slices.
    depth: usize,
    /// Groups of result rows.
    groups: std::ops::Range<usize>,
}

impl<T: Float> WithSimd for Tile<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        with_vectors!(S, T, V => {
            for image in self.images.clone() {
                // SAFETY: `Tile` is made by `Body::run`, whose contract covers images and groups within the shapes.
                unsafe { self.image::<S, V>(simd, image) }
            }
        });
    }
}

impl<T: Float> Tile<'_, T> {
    /// # Safety
    /// The buffers are those of the shapes, and this tile alone writes the image's rows of its groups.
    #[inline(always)]
    unsafe fn image<S: Simd, const V: usize>(&self, simd: S, image: usize) {
        let Correlation { sum, lattices: [deep, down, across], .. } = self.code;
        let plane = down.sources * across.sources * sum.source_cell();
        let result_plane = down.results * across.results * sum.result_cell();
        // SAFETY: the source holds `images` images of as many planes as there are slices, and so does the result.
        let (source, result) = unsafe {
            (
                self.args.inputs[0].cast::<T>().add(image * deep.sources * plane),
                self.args.outputs[0].cast::<T>().add(image * deep.results * result_plane),
            )
        };
        let slices = deep.extent(self.depth, self.depth + 1);
        let rows = down.extent(self.groups.start, self.groups.end);
        let columns = self.code.columns_read;
        let cells = if self.code.padded {
            let dims = [deep.sources, down.sources, across.sources, sum.source_cell()];
            let pitch = self.code.slice * sum.source_cell();
            // SAFETY: `local` holds the widest band of padded rows of all slices read, and no other tile uses it meanwhile.
            unsafe {
                let padded = self.args.local.cast::<T>();
                let len = slices.len.saturating_sub(1) * pitch
                    + slices.len.min(1) * rows.len * columns.len * sum.source_cell();
                pad_slices(
                    std::slice::from_raw_parts_mut(padded, len),
                    std::slice::from_raw_parts(source, deep.sources * plane),
                    dims,
                    [slices, rows, columns],
                    pitch,
                );
                padded.cast_const()
            }
        } else {
            let row = slices.first as usize * down.sources + rows.first as usize;
            let first = (row * across.sources + columns.first as usize) * sum.source_cell();
            // SAFETY: where nothing is padded, the first cell read lies within the source.
            unsafe { source.add(first) }
        };
        if deep.gaps() || down.gaps() || across.gaps() {
            let from = self.groups.start * down.step;
            let to = (self.groups.end * down.step).min(down.results);
            let row = across.results * sum.result_cell();
            for depth in self.depth * deep.step..((self.depth + 1) * deep.step).min(deep.results) {
                // SAFETY: rows `from .. to` of these slices of the result are this tile's.
                unsafe {
                    let rows = result.add(depth * result_plane + from * row);
                    std::slice::from_raw_parts_mut(rows, (to - from) * row).fill(T::default());
                }
            }
        }
        for class in &self.code.classes {
            // SAFETY: the pointers are those of this image.
            unsafe { self.class::<S, V>(simd, class, cells, result) }
        }
    }

    /// # Safety
    /// As [`Tile::image`]; `cells` is where the tile's rows start, `result` where the image's result does.
    #[inline(always)]
    unsafe fn class<S: Simd, const V: usize>(&self, simd: S, class: &Class, cells: *const T, result: *mut T) {
        let Correlation { sum, lattices: [deep, down, across], strips, pitch, .. } = self.code;
        if self.depth >= class.count[0] {
            return;
        }
        let depth = class.first[0] + self.depth * deep.step;
        let rows = class.count[1].min(self.groups.end).saturating_sub(self.groups.start);
        let total = rows * class.count[2];
        let strip_len = class.lines * T::COLUMNS;
        let together = (STRIP_BYTES / (strip_len * size_of::<T>()).max(1)).max(1);
        let strips = sum.groups * strips;
        let place = |row: usize, column: usize| {
            let result_row = depth * down.results + class.first[1] + (self.groups.start + row) * down.step;
            let result_cell = result_row * across.results + class.first[2] + column * across.step;
            let from = cells.wrapping_add((row * down.pace * pitch + column * across.pace) * sum.source_cell());
            (from, result.wrapping_add(result_cell * sum.result_cell()))
        };
        for first_strip in (0..strips).step_by(together) {
            let ends = first_strip..(first_strip + together).min(strips);
            if V == 1 && self.code.strips > 1 {
                // Cells of one row at a time, which are one step apart.
                let blocks = class.count[2].div_ceil(MOST_ROWS);
                for block in 0..rows * blocks {
                    let (row, block) = (block / blocks, block % blocks);
                    let columns = block * class.count[2] / blocks..(block + 1) * class.count[2] / blocks;
                    let (from, to) = place(row, columns.start);
                    // SAFETY: the cells lie within the tile's rows, and the runs reach no further than they do.
                    unsafe { self.near::<S, V>(simd, class, ends.clone(), columns.len(), (from, to)) };
                }
                continue;
            }
            let (mut row, mut column) = (0, 0);
            for position in (0..total).step_by(rows_of(V)) {
                let count = (total - position).min(rows_of(V));
                let mut from = [cells; MOST_ROWS];
                let mut to = [result; MOST_ROWS];
                for (from, to) in from.iter_mut().zip(&mut to).take(count) {
                    (*from, *to) = place(row, column);
                    column += 1;
                    if column == class.count[2] {
                        (row, column) = (row + 1, 0);
                    }
                }
                for strip in ends.clone() {
                    let (first, used) = self.columns_of(strip);
                    let group = strip / self.code.strips;
                    // SAFETY: phase 0 has packed the strip; rows and results were placed above, within the tile's rows, and the
                    // runs reach no further than they do.
                    unsafe {
                        let packed = self.args.shared.cast::<T>().add(class.packed + strip * strip_len);
                        with_rows!(count, V, R => {
                            let rows: [*const T; R] = std::array::from_fn(|r| from[r].add(group * sum.inner));
                            let block = micro::product::<S, T, R, V>(simd, rows, &class.runs, packed);
                            for (line, to) in block.iter().zip(to) {
                                micro::store::<S, T, V>(line, to.add(first), used);
                            }
                        });
                    }
                }
            }
        }
    }

    /// The first column of a strip in a cell of the result, and how many it has.
    #[inline(always)]
    fn columns_of(&self, strip: usize) -> (usize, usize) {
        let (first, used) = self.code.columns_of(strip);
        (strip / self.code.strips * self.code.sum.columns + first, used)
    }

    /// Computes `count` cells that lie side by side, from `from` to `to`, of some strips, two by two.
    ///
    /// # Safety
    /// As [`Tile::image`]; `V` is 1.
    #[inline(always)]
    unsafe fn near<S: Simd, const V: usize>(
        &self,
        simd: S,
        class: &Class,
        strips: Range<usize>,
        count: usize,
        (from, to): (*const T, *mut T),
    ) {
        let Correlation { sum, lattices: [_, _, across], .. } = self.code;
        let strip_len = class.lines * T::COLUMNS;
        let (step, cell) = (across.pace * sum.source_cell(), across.step * sum.result_cell());
        let mut strip = strips.start;
        while strip < strips.end {
            let group = strip / self.code.strips;
            let from = from.wrapping_add(group * sum.inner);
            let both = strip + 1 < strips.end && (strip + 1) / self.code.strips == group;
            // SAFETY: the caller's contract; phase 0 has packed the strips.
            unsafe {
                let packed = self.args.shared.cast::<T>().add(class.packed + strip * strip_len).cast_const();
                with_rows!(count, V, R => {
                    if both {
                        let packed = [packed, packed.add(strip_len)];
                        let blocks = micro::product_of_two::<S, T, R, V>(simd, (from, step), &class.runs, packed);
                        // One after the other: what an index that is not known names lives in memory, not in registers.
                        let (first, used) = self.columns_of(strip);
                        micro::store_rows::<S, T, R, V>(&blocks[0], (to.add(first), cell), used);
                        let (first, used) = self.columns_of(strip + 1);
                        micro::store_rows::<S, T, R, V>(&blocks[1], (to.add(first), cell), used);
                    } else {
                        let (first, used) = self.columns_of(strip);
                        let rows: [*const T; R] = std::array::from_fn(|r| from.wrapping_add(r * step));
                        let block = micro::product::<S, T, R, V>(simd, rows, &class.runs, packed);
                        micro::store_rows::<S, T, R, V>(&block, (to.add(first), cell), used);
                    }
                });
            }
            strip += if both { 2 } else { 1 };
        }
    }
}

impl<T: Float> Body for Correlation<T> {
    unsafe fn run(&self, args: &Args<'_>, phase: usize, tile: usize) -> Result<(), KernelError> {
        if phase == 0 {
            // SAFETY: the caller's contract.
            unsafe { self.pack_tile(args, tile) }
            return Ok(());
        }
        let Part { images, depth, groups } = self.part(tile);
        pulp::Arch::new().dispatch(Tile { code: self, args, images, depth, groups });
        Ok(())
    }

    fn completes(&self, tile: usize, range: &mut dyn FnMut(Range<usize>)) -> bool {
        let [deep, down, across] = &self.lattices;
        let Part { images, depth, groups } = self.part(tile);
        let row = across.results * self.sum.result_cell();
        let rows = (groups.start * down.step).min(down.results)..(groups.end * down.step).min(down.results);
        let slices = (depth * deep.step).min(deep.results)..((depth + 1) * deep.step).min(deep.results);
        for plane in images.flat_map(|image| slices.clone().map(move |slice| image * deep.results + slice)) {
            range((plane * down.results + rows.start) * row..(plane * down.results + rows.end) * row);
        }
        true
    }
}
