//! Depthwise convolutions: each channel of an image meets filters of its own, so nothing is summed over channels and the
//! loops run along them.
//!
//! All three kernels work on *lanes*: the `c · m` channels of the result, rounded up to whole strips. Phase 0 packs the
//! filter into strips; phase 1 multiplies vectors with vectors. Where lanes are whole strips and channels have one filter
//! each, it reads the source in place and passes over taps outside of it; elsewhere it copies a band of source rows to
//! scratch, padded and with every channel as often as it has filters. The filter's gradient sums groups of bands, as that of other
//! convolutions does, and adds these in the order of the groups in its last phase.

mod filter;
#[cfg(test)]
mod tests;

use std::marker::PhantomData;
use std::ops::Range;

use dormouse_value::{DType, Window2d};
use pulp::{Simd, WithSimd};

use super::geometry::{Axis, axes};
use super::lattice::Lattice;
use super::micro::{self, Float, ROWS, with_rows, with_vectors};
use super::padding::{Extent, spread};
use super::{all_float, extents, not_float, operands, same};
use crate::kernel::with_float;
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// Floating-point operations that a tile is worth, about 15 µs.
const TILE: usize = 1 << 18;
/// Bytes of scratch of a band, where more than one row is in it.
const BAND_BYTES: usize = 192 * 1024;

/// The extents of a depthwise convolution, checked.
#[derive(Clone, Copy, Debug)]
struct Extents {
    images: usize,
    axes: [Axis; 2],
    channels: usize,
    /// Filters of a channel.
    times: usize,
    dtype: DType,
}

impl Extents {
    fn new(name: &str, window: &Window2d, x: &Spec, filter: &Spec, y: &Spec) -> Result<Self, KernelError> {
        all_float(name, x, filter, y)?;
        let [images, height, width, channels] = extents(name, "images", x)?;
        let [down, across, filter_channels, times] = extents(name, "filter", filter)?;
        let cells = [height, width];
        let axes = axes(name, cells, [down, across], [window.strides, window.dilations], window.padding)?;
        if filter_channels != channels {
            return Err(KernelError::new(format!(
                "{name}: images {x} have {channels} channels, filter {filter} has filters for {filter_channels}"
            )));
        }
        let expected = [images, axes[0].output, axes[1].output, channels * times];
        if y.dims.as_slice() != expected {
            return Err(KernelError::new(format!(
                "{name}: images {x} convolved with {filter} are {expected:?}, not {:?}",
                y.dims.as_slice()
            )));
        }
        Ok(Extents { images, axes, channels, times, dtype: x.dtype })
    }

    /// Channels of the result.
    fn lanes(&self) -> usize {
        self.channels * self.times
    }

    fn flops(&self) -> usize {
        let pairs = self.axes.iter().map(|axis| axis.output.saturating_mul(axis.taps)).product::<usize>();
        self.images.saturating_mul(pairs).saturating_mul(2 * self.lanes())
    }

    fn cost(&self, specs: [&Spec; 3]) -> Cost {
        let flops = self.flops() as f64;
        let bytes = specs.iter().map(|spec| spec.bytes() as f64).sum();
        let per_nano = if self.dtype == DType::F64 { 10.0 } else { 20.0 };
        Cost { flops, bytes, nanos: flops / per_nano + bytes / 8.0 }
    }
}

/// (x `[n, h, w, c]`, filter `[kh, kw, c, m]`) → `[n, h', w', c·m]`.
///
/// # Errors
/// Where dtypes, ranks or extents do not fit each other.
pub(crate) fn compile(window: &Window2d, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let name = "depthwise_conv2d";
    let ([x, filter], [y]) = (inputs, outputs) else { return Err(operands(name, 2)) };
    let extents = Extents::new(name, window, x, filter, y)?;
    let lattices = extents.axes.map(|axis| Lattice::forward(&axis));
    let channels = [extents.channels, extents.lanes()];
    let shares = Shares { channels, source: extents.times, result: 1 };
    kernel(extents, lattices, shares, [x, filter, y])
}

/// (dy `[n, h', w', c·m]`, filter `[kh, kw, c, m]`, like x) → `[n, h, w, c]`.
///
/// # Errors
/// Where dtypes, ranks or extents do not fit each other.
pub(crate) fn compile_input_grad(window: &Window2d, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let name = "depthwise_conv2d_input_grad";
    let ([dy, filter, like], [dx]) = (inputs, outputs) else { return Err(operands(name, 3)) };
    same(name, "like x", like, "result", dx)?;
    let extents = Extents::new(name, window, dx, filter, dy)?;
    let lattices = extents.axes.map(|axis| Lattice::transposed(&axis));
    let channels = [extents.lanes(), extents.channels];
    let shares = Shares { channels, source: 1, result: extents.times };
    kernel(extents, lattices, shares, [dx, filter, dy])
}

/// (x `[n, h, w, c]`, dy `[n, h', w', c·m]`, like filter) → `[kh, kw, c, m]`.
///
/// # Errors
/// Where dtypes, ranks or extents do not fit each other.
pub(crate) fn compile_filter_grad(window: &Window2d, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let name = "depthwise_conv2d_filter_grad";
    let ([x, dy, like], [filter]) = (inputs, outputs) else { return Err(operands(name, 3)) };
    same(name, "like filter", like, "result", filter)?;
    let extents = Extents::new(name, window, x, filter, dy)?;
    let cost = extents.cost([x, filter, dy]);
    with_float!(extents.dtype, T => Ok(filter::kernel::<T>(&extents, cost)), else Err(not_float(name, x)))
}

/// The channels of both sides, and how many lanes a channel is: of one side 1, of the other a channel's filters.
#[derive(Clone, Copy, Debug)]
struct Shares {
    /// Channels of the source and of the result.
    channels: [usize; 2],
    /// Lanes that hold the same source channel.
    source: usize,
    /// Lanes whose sum is a result channel.
    result: usize,
}

fn kernel(extents: Extents, lattices: [Lattice; 2], shares: Shares, specs: [&Spec; 3]) -> Result<Kernel, KernelError> {
    let cost = extents.cost(specs);
    with_float!(
        extents.dtype,
        T => Ok(correlation::<T>(&extents, lattices, shares, cost)),
        else Err(not_float("depthwise_conv2d", specs[0]))
    )
}

/// Result cells of one class along both axes, with their part of the packed filter.
#[derive(Debug)]
struct Class {
    first: [usize; 2],
    count: [usize; 2],
    /// Source cells that the first result cell meets, along each axis; ascending.
    cells: [Vec<isize>; 2],
    /// Elements from a result cell's first source cell to each that it meets.
    offsets: Vec<usize>,
    /// The taps in the same order, as indices into the filter's first two axes.
    taps: Vec<usize>,
    /// Where the class's strips start in the packed filter, in elements.
    packed: usize,
}

/// The code of a depthwise convolution or of its input's gradient.
#[derive(Debug)]
struct Depthwise<T> {
    images: usize,
    lanes: usize,
    /// Elements of a scratch cell: lanes in whole strips.
    cell: usize,
    shares: Shares,
    lattices: [Lattice; 2],
    classes: Vec<Class>,
    filter_taps: usize,
    columns_read: Extent,
    /// Whether the source is read where it is.
    in_place: bool,
    bands: usize,
    groups_per_band: usize,
    /// Elements of the copied band, before the sums of a few cells in `local`.
    copied: usize,
    images_per_tile: usize,
    element: PhantomData<T>,
}

fn correlation<T: Float>(extents: &Extents, lattices: [Lattice; 2], shares: Shares, cost: Cost) -> Kernel {
    let [down, across] = &lattices;
    let lanes = extents.lanes();
    let cell = lanes.next_multiple_of(T::COLUMNS);
    let columns_read = across.extent(0, across.groups());
    let in_place = cell == lanes && extents.times == 1;
    let pitch = if in_place { across.sources } else { columns_read.len };
    let groups = down.groups();
    let per_image = (extents.flops() / extents.images.max(1)).max(1);
    let row_bytes = if in_place { 0 } else { columns_read.len * cell * size_of::<T>() };
    let wanted = (per_image / TILE).max((down.extent(0, groups).len * row_bytes).div_ceil(BAND_BYTES));
    let groups_per_band = groups.div_ceil(wanted.clamp(1, groups.max(1))).max(1);
    let bands = groups.div_ceil(groups_per_band);
    let images_per_tile = if bands == 1 { (TILE / per_image).clamp(1, (extents.images / 8).max(1)) } else { 1 };

    let low = |lattice: &Lattice| lattice.extent(0, lattice.groups()).first;
    let lows = [low(down), low(across)];
    let mut classes = Vec::new();
    let mut packed = 0;
    for (d, a) in down.classes.iter().flat_map(|d| across.classes.iter().map(move |a| (d, a))) {
        let taps = || d.taps.iter().flat_map(|row| a.taps.iter().map(move |column| (row, column)));
        // In place, from the class's own first cell; in a copy, from the band's.
        let [top, left] = if in_place { [d.taps[0].0, a.taps[0].0] } else { lows };
        let place = |(row, column): (isize, isize)| (row - top) as usize * pitch + (column - left) as usize;
        let sources = |class: &super::lattice::Class| class.taps.iter().map(|&(cell, _)| cell).collect();
        classes.push(Class {
            first: [d.first, a.first],
            count: [d.count, a.count],
            cells: [sources(d), sources(a)],
            offsets: taps().map(|(row, column)| place((row.0, column.0)) * cell).collect(),
            taps: taps().map(|(row, column)| row.1 * extents.axes[1].taps + column.1).collect(),
            packed,
        });
        packed += d.taps.len() * a.taps.len() * cell;
    }

    let rows_read = down.extent(0, groups_per_band.min(groups)).len;
    let copied = if in_place { 0 } else { rows_read * columns_read.len * cell };
    let results = extents.images * down.results * across.results * shares.channels[1];
    let body = Depthwise::<T> {
        images: extents.images,
        lanes,
        cell,
        shares,
        filter_taps: extents.axes[0].taps * extents.axes[1].taps,
        classes,
        columns_read,
        in_place,
        bands,
        groups_per_band,
        copied,
        images_per_tile,
        element: PhantomData,
        lattices,
    };
    let mut kernel = Kernel::new(0, cost, body);
    kernel.phases.clear();
    if results > 0 {
        kernel.phases.extend([1, bands * extents.images.div_ceil(images_per_tile)]);
        kernel.shared = packed * size_of::<T>();
        kernel.local = if in_place { 0 } else { (copied + ROWS * cell) * size_of::<T>() };
    }
    kernel
}

impl<T: Float> Depthwise<T> {
    /// The images and the groups of result rows that a tile of phase 1 computes.
    fn part(&self, tile: usize) -> (Range<usize>, Range<usize>) {
        let first = tile / self.bands * self.images_per_tile;
        let from = tile % self.bands * self.groups_per_band;
        let groups = from..(from + self.groups_per_band).min(self.lattices[0].groups());
        (first..(first + self.images_per_tile).min(self.images), groups)
    }

    /// Packs all classes' filters: for each strip, a line a tap, zeros beyond the last lane.
    fn pack(&self, filter: &[T], packed: &mut [T]) {
        for class in &self.classes {
            let len = class.taps.len() * self.cell;
            let lines = packed[class.packed..class.packed + len].chunks_exact_mut(T::COLUMNS);
            let strips = (0..self.cell).step_by(T::COLUMNS);
            for (line, (first, &tap)) in
                lines.zip(strips.flat_map(|first| class.taps.iter().map(move |tap| (first, tap))))
            {
                let used = (self.lanes - first).min(T::COLUMNS);
                line[..used].copy_from_slice(&filter[tap * self.lanes + first..][..used]);
                line[used..].fill(T::default());
            }
        }
    }
}

/// A tile of phase 1.
struct Tile<'a, T> {
    code: &'a Depthwise<T>,
    args: &'a Args<'a>,
    images: Range<usize>,
    /// Groups of result rows.
    groups: Range<usize>,
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
        let code = self.code;
        let [down, across] = &code.lattices;
        let [source_channels, result_channels] = code.shares.channels;
        let rows = down.extent(self.groups.start, self.groups.end);
        let size = down.sources * across.sources * source_channels;
        // SAFETY: the image is one of the source's.
        let source = unsafe {
            let source = self.args.inputs[0].cast::<T>().add(image * size);
            std::slice::from_raw_parts(source, size)
        };
        let copy = if code.in_place {
            source.as_ptr()
        } else {
            let len = rows.len * code.columns_read.len * code.cell;
            // SAFETY: `local` starts with room for the widest band, and no other tile uses it meanwhile.
            let copy = unsafe { std::slice::from_raw_parts_mut(self.args.local.cast::<T>(), len) };
            let dims = [down.sources, across.sources, source_channels];
            spread(copy, source, dims, rows, code.columns_read, [code.shares.source, code.cell]);
            copy.as_ptr()
        };
        let row = across.results * result_channels;
        // SAFETY: the image's rows of these groups are this tile's.
        let result = unsafe { self.args.outputs[0].cast::<T>().add(image * down.results * row) };
        if down.gaps() || across.gaps() || code.lanes == 0 {
            let from = self.groups.start * down.step;
            let to = (self.groups.end * down.step).min(down.results);
            // SAFETY: as above.
            unsafe { std::slice::from_raw_parts_mut(result.add(from * row), (to - from) * row) }.fill(T::default());
        }
        for class in &code.classes {
            // SAFETY: the pointers are those of this image.
            unsafe {
                if code.in_place {
                    self.class_in_place::<S, V>(simd, class, copy, result);
                } else {
                    self.class::<S, V>(simd, class, copy, result);
                }
            }
        }
    }

    /// # Safety
    /// As [`Tile::image`]; `copy` is where the tile's rows start, `result` where the image's result does.
    #[inline(always)]
    unsafe fn class<S: Simd, const V: usize>(&self, simd: S, class: &Class, copy: *const T, result: *mut T) {
        let code = self.code;
        let [down, across] = &code.lattices;
        let result_channels = code.shares.channels[1];
        let together = code.shares.result;
        // SAFETY: phase 0 has packed the class's strips; behind the copy, `local` has room for the sums of a few cells.
        let (packed, sums) =
            unsafe { (self.args.shared.cast::<T>().add(class.packed), self.args.local.cast::<T>().add(code.copied)) };
        for group in self.groups.start..class.count[0].min(self.groups.end) {
            let result_row = class.first[0] + group * down.step;
            let source_row = (group - self.groups.start) * down.pace * code.columns_read.len;
            for column in (0..class.count[1]).step_by(ROWS) {
                let count = (class.count[1] - column).min(ROWS);
                // SAFETY: the cells lie within the tile's rows, and the class's offsets reach no further than they do;
                // the results are this tile's.
                unsafe {
                    let from = copy.add((source_row + column * across.pace) * code.cell);
                    let to = |r: usize| {
                        let column = class.first[1] + (column + r) * across.step;
                        result.add((result_row * across.results + column) * result_channels)
                    };
                    for first in (0..code.cell).step_by(T::COLUMNS) {
                        let used = (code.lanes - first).min(T::COLUMNS);
                        let lines = packed.add(first * class.taps.len());
                        with_rows!(count, R => {
                            let rows: [*const T; R] =
                                std::array::from_fn(|r| from.add(r * across.pace * code.cell + first));
                            let none = [[T::splat(simd, T::default()); V]; R];
                            let block = micro::lanes::<S, T, R, V>(simd, none, rows, &class.offsets, lines);
                            for (r, strip) in block.iter().enumerate() {
                                if together <= 1 {
                                    micro::store::<S, T, V>(strip, to(r).add(first), used);
                                } else {
                                    micro::store::<S, T, V>(strip, sums.add(r * code.cell + first), T::COLUMNS);
                                }
                            }
                        });
                    }
                    if together > 1 {
                        for r in 0..count {
                            let lanes = std::slice::from_raw_parts(sums.add(r * code.cell), code.lanes);
                            let to = std::slice::from_raw_parts_mut(to(r), result_channels);
                            for (to, lanes) in to.iter_mut().zip(lanes.chunks_exact(together)) {
                                *to = lanes.iter().fold(T::default(), |sum, x| sum + *x);
                            }
                        }
                    }
                }
            }
        }
    }
}

impl<T: Float> Tile<'_, T> {
    /// # Safety
    /// As [`Tile::image`]; `source` is where the image starts, `result` where the image's result does.
    #[inline(always)]
    unsafe fn class_in_place<S: Simd, const V: usize>(&self, simd: S, class: &Class, source: *const T, result: *mut T) {
        let code = self.code;
        let [down, across] = &code.lattices;
        let [rows, columns] = &class.cells;
        let taps = columns.len();
        // SAFETY: phase 0 has packed the class's strips.
        let packed = unsafe { self.args.shared.cast::<T>().add(class.packed) };
        // Result columns all of whose taps are inside.
        let whole = inside(columns, across.pace, across.sources, class.count[1]);
        for group in self.groups.start..class.count[0].min(self.groups.end) {
            let row = (group * down.pace) as isize;
            let met_rows = met(rows, row, down.sources);
            let to_row = (class.first[0] + group * down.step) * across.results + class.first[1];
            // The first source cell of a result column, which may lie outside; only cells inside are read.
            let from = |column: usize| {
                let cell = (rows[0] + row) * across.sources as isize + columns[0] + (column * across.pace) as isize;
                source.wrapping_offset(cell * code.cell as isize)
            };
            for first in (0..code.cell).step_by(T::COLUMNS) {
                // SAFETY: the lines are this strip's and the results this tile's; of the source, only taps that are
                // inside are read.
                unsafe {
                    let lines = packed.add(first * class.taps.len());
                    let to = |column: usize| result.add((to_row + column * across.step) * code.cell + first);
                    for column in (0..whole.start).chain(whole.end..class.count[1]) {
                        let own = met(columns, (column * across.pace) as isize, across.sources);
                        let mut block = [[T::splat(simd, T::default()); V]; 1];
                        for tap in met_rows.clone() {
                            let part = tap * taps + own.start..tap * taps + own.end;
                            let lines = lines.add(part.start * T::COLUMNS);
                            let row = [from(column).wrapping_add(first)];
                            block = micro::lanes::<S, T, 1, V>(simd, block, row, &class.offsets[part], lines);
                        }
                        micro::store::<S, T, V>(&block[0], to(column), T::COLUMNS);
                    }
                    let part = met_rows.start * taps..met_rows.end * taps;
                    let lines = lines.add(part.start * T::COLUMNS);
                    let offsets = &class.offsets[part];
                    for column in whole.clone().step_by(ROWS) {
                        with_rows!((whole.end - column).min(ROWS), R => {
                            let rows: [*const T; R] = std::array::from_fn(|r| from(column + r).wrapping_add(first));
                            let none = [[T::splat(simd, T::default()); V]; R];
                            let block = micro::lanes::<S, T, R, V>(simd, none, rows, offsets, lines);
                            for (r, strip) in block.iter().enumerate() {
                                micro::store::<S, T, V>(strip, to(column + r), T::COLUMNS);
                            }
                        });
                    }
                }
            }
        }
    }
}

/// Of cells that ascend, moved by `by`, those that are among `count` cells.
fn met(cells: &[isize], by: isize, count: usize) -> Range<usize> {
    let first = cells.partition_point(|cell| cell + by < 0);
    first..cells.partition_point(|cell| cell + by < count as isize).max(first)
}

/// The steps, of `steps`, at which cells that ascend, moved by `pace` a step, are all among `count` cells.
fn inside(cells: &[isize], pace: usize, count: usize, steps: usize) -> Range<usize> {
    let (Some(low), Some(high)) = (cells.first(), cells.last()) else { return 0..0 };
    let first = usize::try_from(-low).unwrap_or(0).div_ceil(pace).min(steps);
    let end = usize::try_from(count as isize - high).unwrap_or(0).div_ceil(pace).min(steps);
    first..end.max(first)
}

impl<T: Float> Body for Depthwise<T> {
    unsafe fn run(&self, args: &Args<'_>, phase: usize, tile: usize) -> Result<(), KernelError> {
        if phase == 0 {
            let len = self.classes.iter().map(|class| class.taps.len() * self.cell).sum();
            // SAFETY: the filter is operand 1; `shared` holds all classes, and this one tile writes them.
            let (filter, packed) = unsafe {
                let packed = std::slice::from_raw_parts_mut(args.shared.cast::<T>(), len);
                (args.input::<T>(1, self.filter_taps * self.lanes), packed)
            };
            self.pack(filter, packed);
            return Ok(());
        }
        let (images, groups) = self.part(tile);
        pulp::Arch::new().dispatch(Tile { code: self, args, images, groups });
        Ok(())
    }

    fn completes(&self, tile: usize, range: &mut dyn FnMut(Range<usize>)) -> bool {
        let (images, groups) = self.part(tile);
        let [down, across] = &self.lattices;
        let row = across.results * self.shares.channels[1];
        let rows = (groups.start * down.step).min(down.results)..(groups.end * down.step).min(down.results);
        for image in images {
            range((image * down.results + rows.start) * row..(image * down.results + rows.end) * row);
        }
        true
    }
}
