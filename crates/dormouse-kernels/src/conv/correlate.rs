//! The convolution and its input gradient: both are sums over taps of source cells times a packed filter, and differ
//! in their [`Lattice`]s and in which axis of the filter is summed.
//!
//! Phase 0 packs the filter into strips; phase 1 computes bands of rows of images, each from a padded copy of the
//! source rows it reads.

use std::marker::PhantomData;

use pulp::{Simd, WithSimd};

use super::lattice::Lattice;
use super::micro::{self, Float, ROWS, Run, with_rows, with_vectors};
use super::padding::{Extent, pad};
use crate::{Args, Body, Cost, Kernel, KernelError};

/// Elements of a filter that a tile of phase 0 packs, at least.
const PACK: usize = 16 * 1024;
/// Bytes of strips that stay in a core's cache while a band runs over them.
const STRIP_BYTES: usize = 256 * 1024;
/// Bytes of a padded band, at most, where more than one row is in it.
const BAND_BYTES: usize = 256 * 1024;

/// What is summed: of operand 0, the source, and operand 1, the filter `[height, width, .., ..]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sum {
    /// Images.
    pub(super) images: usize,
    /// Channels of the source: the axis that is summed.
    pub(super) inner: usize,
    /// Channels of the result.
    pub(super) columns: usize,
    /// Taps of the filter along its first two axes.
    pub(super) taps: [usize; 2],
    /// Elements of the filter from one source channel to the next, and from one result channel to the next.
    pub(super) strides: [usize; 2],
}

/// Result cells of one class along both axes, with their part of the packed filter.
#[derive(Debug)]
struct Class {
    /// First result cell along each axis.
    first: [usize; 2],
    /// Result cells along each axis.
    count: [usize; 2],
    /// Source elements of a result cell.
    runs: Vec<Run>,
    /// The taps in the order of `runs`, as indices into the filter's first two axes.
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
    lattices: [Lattice; 2],
    classes: Vec<Class>,
    /// Whether bands are copied with padding; otherwise the source is read in place.
    padded: bool,
    /// Source cells of a row, in the padded copy or in place.
    pitch: usize,
    columns_read: Extent,
    strips: usize,
    strips_per_tile: usize,
    bands: usize,
    groups_per_band: usize,
    images_per_tile: usize,
    element: PhantomData<T>,
}

/// The kernel of a sum over taps; the result is `[images, rows, columns, channels]`.
pub(super) fn kernel<T: Float>(sum: Sum, lattices: [Lattice; 2], cost: Cost) -> Kernel {
    let [down, across] = &lattices;
    let rows_read = down.extent(0, down.groups());
    let columns_read = across.extent(0, across.groups());
    let padded = !(rows_read.within(down.sources) && columns_read.within(across.sources));
    let pitch = if padded { columns_read.len } else { across.sources };
    let strips = sum.columns.div_ceil(T::COLUMNS);
    let classes = classes(&sum, &lattices, pitch, strips * T::COLUMNS);

    let flops =
        classes.iter().map(|c| 2 * c.count[0] * c.count[1] * c.lines * strips * T::COLUMNS).sum::<usize>().max(1);
    let groups = down.groups();
    let row_bytes = if padded { pitch * sum.inner * size_of::<T>() } else { 0 };
    let for_workers = if sum.images < 16 { 16_usize.div_ceil(sum.images.max(1)).min(flops / 2_000_000) } else { 1 };
    let for_scratch = (rows_read.len * row_bytes).div_ceil(BAND_BYTES);
    let bands = for_workers.max(for_scratch).max(flops / 40_000_000).clamp(1, groups.max(1));
    let groups_per_band = groups.div_ceil(bands).max(1);
    let bands = groups.div_ceil(groups_per_band);
    let images_per_tile = if bands == 1 { (8_000_000 / flops).clamp(1, (sum.images / 8).max(1)) } else { 1 };

    let results = sum.images * down.results * across.results * sum.columns;
    let longest = classes.iter().map(|c| c.lines * T::COLUMNS).max().unwrap_or(0);
    let strips_per_tile = PACK.div_ceil(longest.max(1));
    let packed: usize = classes.iter().map(|c| c.lines * strips * T::COLUMNS).sum();
    let shared = packed * size_of::<T>();
    let local = down.extent(0, groups_per_band.min(groups)).len * row_bytes;
    let packing = (classes.len() * strips).div_ceil(strips_per_tile).max(1);
    let computing = bands * sum.images.div_ceil(images_per_tile);
    let body = Correlation::<T> {
        sum,
        lattices,
        classes,
        padded,
        pitch,
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

/// The classes of both axes, with the runs of source elements in a copy of `pitch` cells a row.
fn classes(sum: &Sum, lattices: &[Lattice; 2], pitch: usize, columns: usize) -> Vec<Class> {
    let [down, across] = lattices;
    let low = |lattice: &Lattice| lattice.extent(0, lattice.groups()).first;
    let (top, left) = (low(down), low(across));
    let mut packed = 0;
    let mut classes = Vec::new();
    for d in &down.classes {
        for a in &across.classes {
            let mut runs: Vec<Run> = Vec::new();
            let mut taps = Vec::new();
            for &(row, i) in &d.taps {
                for &(column, j) in &a.taps {
                    let start = ((row - top) as usize * pitch + (column - left) as usize) * sum.inner;
                    taps.push(i * sum.taps[1] + j);
                    match runs.last_mut() {
                        Some(run) if run.start + run.len == start => run.len += sum.inner,
                        _ => runs.push(Run { start, len: sum.inner }),
                    }
                }
            }
            let lines = taps.len() * sum.inner;
            classes.push(Class { first: [d.first, a.first], count: [d.count, a.count], runs, taps, lines, packed });
            packed += lines * columns;
        }
    }
    classes
}

impl<T: Float> Correlation<T> {
    /// Packs one strip of one class: a line of columns for each tap and source channel, zeros beyond the last column.
    fn pack(&self, filter: &[T], class: &Class, strip: usize, packed: &mut [T]) {
        let Sum { inner, columns, strides: [along, column], .. } = self.sum;
        let first = strip * T::COLUMNS;
        let used = (columns - first).min(T::COLUMNS);
        let mut lines = packed.chunks_exact_mut(T::COLUMNS);
        for &tap in &class.taps {
            let tap = &filter[tap * inner * columns..(tap + 1) * inner * columns];
            for (k, line) in (0..inner).zip(&mut lines) {
                let start = k * along + first * column;
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
        let Sum { inner, columns, taps, .. } = self.sum;
        // SAFETY: the filter is operand 1.
        let filter = unsafe { args.input::<T>(1, taps[0] * taps[1] * inner * columns) };
        let strips =
            tile * self.strips_per_tile..((tile + 1) * self.strips_per_tile).min(self.classes.len() * self.strips);
        for strip in strips {
            let class = &self.classes[strip / self.strips];
            let strip = strip % self.strips;
            let len = class.lines * T::COLUMNS;
            let start = class.packed + strip * len;
            // SAFETY: `shared` holds all strips of all classes, aligned to 64; this tile alone writes this one.
            let packed = unsafe { std::slice::from_raw_parts_mut(args.shared.cast::<T>().add(start), len) };
            self.pack(filter, class, strip, packed);
        }
    }
}

/// A tile of phase 1.
struct Tile<'a, T> {
    code: &'a Correlation<T>,
    args: &'a Args<'a>,
    images: std::ops::Range<usize>,
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
        let Correlation { sum, lattices: [down, across], .. } = self.code;
        let size = down.sources * across.sources * sum.inner;
        let result_size = down.results * across.results * sum.columns;
        // SAFETY: the source holds `images` images of `size` elements, the result as many of `result_size`.
        let (source, result) = unsafe {
            (
                self.args.inputs[0].cast::<T>().add(image * size),
                self.args.outputs[0].cast::<T>().add(image * result_size),
            )
        };
        let rows = down.extent(self.groups.start, self.groups.end);
        let cells = if self.code.padded {
            let dims = [down.sources, across.sources, sum.inner];
            let columns = self.code.columns_read;
            // SAFETY: `local` holds the widest band of padded rows, and no other tile uses it meanwhile.
            unsafe {
                let padded = self.args.local.cast::<T>();
                let len = rows.len * columns.len * sum.inner;
                pad(
                    std::slice::from_raw_parts_mut(padded, len),
                    std::slice::from_raw_parts(source, size),
                    dims,
                    rows,
                    columns,
                );
                padded.cast_const()
            }
        } else {
            let first = (rows.first as usize * across.sources + self.code.columns_read.first as usize) * sum.inner;
            // SAFETY: where nothing is padded, the first cell read lies within the source.
            unsafe { source.add(first) }
        };
        if down.gaps() || across.gaps() {
            let from = self.groups.start * down.step;
            let to = (self.groups.end * down.step).min(down.results);
            let row = across.results * sum.columns;
            // SAFETY: rows `from .. to` of the result are this tile's.
            unsafe { std::slice::from_raw_parts_mut(result.add(from * row), (to - from) * row) }.fill(T::default());
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
        let Correlation { sum, lattices: [down, across], strips, pitch, .. } = self.code;
        let rows = class.count[0].min(self.groups.end).saturating_sub(self.groups.start);
        let total = rows * class.count[1];
        let strip_len = class.lines * T::COLUMNS;
        let together = (STRIP_BYTES / (strip_len * size_of::<T>()).max(1)).max(1);
        for first_strip in (0..*strips).step_by(together) {
            let (mut row, mut column) = (0, 0);
            for position in (0..total).step_by(ROWS) {
                let count = (total - position).min(ROWS);
                let mut from = [cells; ROWS];
                let mut to = [result; ROWS];
                for (from, to) in from.iter_mut().zip(&mut to).take(count) {
                    let result_row = class.first[0] + (self.groups.start + row) * down.step;
                    let result_cell = result_row * across.results + class.first[1] + column * across.step;
                    // SAFETY: the cell lies within the tile's rows, and the runs reach no further than they do.
                    unsafe {
                        *from = cells.add((row * down.pace * pitch + column * across.pace) * sum.inner);
                        *to = result.add(result_cell * sum.columns);
                    }
                    column += 1;
                    if column == class.count[1] {
                        (row, column) = (row + 1, 0);
                    }
                }
                for strip in first_strip..(first_strip + together).min(*strips) {
                    let first = strip * T::COLUMNS;
                    let used = (sum.columns - first).min(T::COLUMNS);
                    // SAFETY: phase 0 has packed the strip; rows and results were placed above.
                    unsafe {
                        let packed = self.args.shared.cast::<T>().add(class.packed + strip * strip_len);
                        with_rows!(count, R => {
                            let rows: [*const T; R] = std::array::from_fn(|r| from[r]);
                            let block = micro::product::<S, T, R, V>(simd, rows, &class.runs, packed);
                            for (strip, to) in block.iter().zip(to) {
                                micro::store::<S, T, V>(strip, to.add(first), used);
                            }
                        });
                    }
                }
            }
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
        let first = tile / self.bands * self.images_per_tile;
        let images = first..(first + self.images_per_tile).min(self.sum.images);
        let from = tile % self.bands * self.groups_per_band;
        let groups = from..(from + self.groups_per_band).min(self.lattices[0].groups());
        pulp::Arch::new().dispatch(Tile { code: self, args, images, groups });
        Ok(())
    }
}
