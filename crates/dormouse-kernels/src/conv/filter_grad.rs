//! The gradient of a convolution with respect to its filter: for each tap, source cells times result gradients, summed
//! over all positions of all images.
//!
//! Phase 0 sums groups of bands, each into a filter of its own; phase 1 adds these in the order of the groups. How
//! many groups there are depends on the shapes alone, so the order of every sum does too.

use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::geometry::Axis;
use super::lattice::Lattice;
use super::micro::{self, Float, rows_of, with_rows, with_vectors};
use super::padding::{Extent, pad_slices};
use crate::{Args, Body, Cost, Kernel, KernelError};

/// Groups of bands, at most: one a tile of phase 0.
const GROUPS: usize = 8;
/// Bytes of all groups' filters, where more than one group is in them.
const PARTIAL_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of scratch of a band, where more than one row is in it.
const BAND_BYTES: usize = 192 * 1024;
/// Elements of the result that a tile of phase 1 adds up, at least.
const FINISH: usize = 16 * 1024;

/// Rows of the filter that lie one after the other, of neighbouring source elements.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// Source elements from a position's first cell.
    start: usize,
    /// Row of the filter, `[depth · height · width · inputs, outputs]`.
    row: usize,
    /// How many.
    len: usize,
}

/// The code of a filter gradient.
#[derive(Debug)]
struct FilterGrad<T> {
    images: usize,
    /// Groups of channels, each with filters of its own.
    channel_groups: usize,
    /// Channels of the source in a group.
    inputs: usize,
    /// Channels of the result in a group.
    outputs: usize,
    /// Rows of the filter, `depth · height · width · inputs`.
    rows: usize,
    lattices: [Lattice; 3],
    spans: Vec<Span>,
    padded: bool,
    pitch: usize,
    /// Source cells of a slice of the depth, in the padded copy or in place.
    slice: usize,
    columns_read: Extent,
    /// Elements of the padded band, before the packed gradients in `local`.
    padded_len: usize,
    /// Strips of all groups of channels.
    strips: usize,
    strips_per_tile: usize,
    bands: usize,
    rows_per_band: usize,
    groups: usize,
    /// Bands of a group.
    share: usize,
    rows_per_tile: usize,
    element: PhantomData<T>,
}

/// The channels of a convolution: groups, and of each what its filters take and give.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channels {
    pub(super) groups: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
}

/// The kernel of (x `[n, d, h, w, i]`, dy `[n, d', h', w', o]`) → `[kd, kh, kw, i / g, o]`.
pub(super) fn kernel<T: Float>(images: usize, channels: Channels, axes: &[Axis; 3], cost: Cost) -> Kernel {
    let Channels { groups: channel_groups, inputs, outputs } = channels;
    let rows = axes.iter().map(|axis| axis.taps).product::<usize>() * inputs;
    let lattices = axes.map(|axis| Lattice::forward(&axis));
    let [deep, down, across] = &lattices;
    let slices_read = deep.extent(0, deep.results);
    let rows_read = down.extent(0, down.results);
    let columns_read = across.extent(0, across.results);
    let padded =
        !(slices_read.within(deep.sources) && rows_read.within(down.sources) && columns_read.within(across.sources));
    let pitch = if padded { columns_read.len } else { across.sources };

    let strips = channel_groups * outputs.div_ceil(T::COLUMNS);
    let line = T::COLUMNS * size_of::<T>();
    let filter_bytes = (rows * strips * line).max(1);
    let most = (PARTIAL_BYTES / filter_bytes).clamp(1, GROUPS);
    // Few groups leave the workers to share the strips.
    let strips_per_tile = if most == GROUPS { strips } else { (strips * most).div_ceil(2 * GROUPS) }.max(1);
    let splits = strips.div_ceil(strips_per_tile);

    let units = images * deep.results;
    let depth = deep.extent(0, deep.results.min(1)).len;
    let cell = channel_groups * inputs;
    let source_bytes = if padded { pitch * cell * size_of::<T>() } else { 0 };
    let band_bytes = depth * rows_read.len * source_bytes + down.results * across.results * strips_per_tile * line;
    let wanted = band_bytes.div_ceil(BAND_BYTES).max(most.div_ceil(units.max(1)));
    let rows_per_band = down.results.div_ceil(wanted.max(1)).max(1);
    let bands = down.results.div_ceil(rows_per_band);
    let parts = units * bands;
    let share = parts.div_ceil(most).max(1);
    let rows_of_band = down.extent(0, rows_per_band.min(down.results)).len;
    let slice = if padded { rows_of_band * pitch } else { down.sources * across.sources };
    let spans = spans(&lattices, axes, [inputs, cell], [slice, pitch]);
    let groups = if spans.is_empty() { 0 } else { parts.div_ceil(share) };

    let padded_len = if padded { depth * slice * cell } else { 0 };
    // The packed lines start on a cache line.
    let padded_len = padded_len.next_multiple_of(T::COLUMNS);
    let rows_per_tile = FINISH.div_ceil((channel_groups * outputs).max(1));
    let local = padded_len * size_of::<T>() + rows_per_band * across.results * strips_per_tile * line;
    let body = FilterGrad::<T> {
        images,
        channel_groups,
        inputs,
        outputs,
        rows,
        lattices,
        spans,
        padded,
        pitch,
        slice,
        columns_read,
        padded_len,
        strips,
        strips_per_tile,
        bands,
        rows_per_band,
        groups,
        share,
        rows_per_tile,
        element: PhantomData,
    };
    let mut kernel = Kernel::new(0, cost, body);
    kernel.phases.clear();
    if rows * strips > 0 {
        kernel.phases.extend([(groups * splits).max(1), rows.div_ceil(rows_per_tile)]);
        kernel.shared = groups * rows * strips * line;
        kernel.local = local;
    }
    kernel
}

/// The filter rows that some window meets, neighbours joined, in a copy of `pitches` cells a slice and a row; `inputs` are
/// the channels of a group and of a cell.
fn spans(
    lattices: &[Lattice; 3],
    axes: &[Axis; 3],
    [inputs, cell]: [usize; 2],
    [slice, pitch]: [usize; 2],
) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    // Windows meet the input in one class, if at all.
    let [Some(z), Some(d), Some(a)] = lattices.each_ref().map(|lattice| lattice.classes.first()) else {
        return spans;
    };
    let from = |taps: &[(isize, usize)], offset: isize| (offset - taps[0].0) as usize;
    for &(depth, h) in &z.taps {
        for &(y, i) in &d.taps {
            for &(x, j) in &a.taps {
                let place = from(&z.taps, depth) * slice + from(&d.taps, y) * pitch + from(&a.taps, x);
                let start = place * cell;
                let row = ((h * axes[1].taps + i) * axes[2].taps + j) * inputs;
                match spans.last_mut() {
                    Some(span) if span.start + span.len == start && span.row + span.len == row => span.len += inputs,
                    _ => spans.push(Span { start, row, len: inputs }),
                }
            }
        }
    }
    spans.retain(|span| span.len > 0);
    spans
}

/// A tile of phase 0.
struct Tile<'a, T> {
    code: &'a FilterGrad<T>,
    args: &'a Args<'a>,
    group: usize,
    strips: Range<usize>,
}

impl<T: Float> WithSimd for Tile<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let code = self.code;
        let strip_len = code.rows * T::COLUMNS;
        let first = (self.group * code.strips + self.strips.start) * strip_len;
        // SAFETY: `shared` holds a filter of all strips for each group; this tile alone has these strips of this group.
        let sums = unsafe {
            let sums = self.args.shared.cast::<T>().add(first);
            std::slice::from_raw_parts_mut(sums, self.strips.len() * strip_len).fill(T::default());
            sums
        };
        let all = code.images * code.lattices[0].results * code.bands;
        with_vectors!(S, T, V => {
            for part in self.group * code.share..((self.group + 1) * code.share).min(all) {
                let [deep, down, _] = &code.lattices;
                let (unit, from) = (part / code.bands, part % code.bands * code.rows_per_band);
                let band = from..(from + code.rows_per_band).min(down.results);
                let place = [unit / deep.results, unit % deep.results];
                // SAFETY: `Tile` is made by `Body::run`, whose contract covers images and bands within the shapes.
                unsafe { self.band::<S, V>(simd, place, band, sums) }
            }
        });
    }
}

impl<T: Float> Tile<'_, T> {
    /// # Safety
    /// The buffers are those of the shapes; `sums` are this tile's strips.
    #[inline(always)]
    unsafe fn band<S: Simd, const V: usize>(&self, simd: S, place: [usize; 2], band: Range<usize>, sums: *mut T) {
        let code = self.code;
        let [image, depth] = place;
        let [deep, down, across] = &code.lattices;
        let cell = code.channel_groups * code.inputs;
        let plane = down.sources * across.sources * cell;
        let slices = deep.extent(depth, depth + 1);
        let rows = down.extent(band.start, band.end);
        let columns = code.columns_read;
        // SAFETY: the image is one of the source's.
        let source = unsafe { self.args.inputs[0].cast::<T>().add(image * deep.sources * plane) };
        let cells = if code.padded {
            let dims = [deep.sources, down.sources, across.sources, cell];
            let pitch = code.slice * cell;
            // SAFETY: `local` starts with room for the widest band of all slices read, and no other tile uses it
            // meanwhile.
            unsafe {
                let padded = self.args.local.cast::<T>();
                let len = slices.len.saturating_sub(1) * pitch + slices.len.min(1) * rows.len * columns.len * cell;
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
            let first = (row * across.sources + columns.first as usize) * cell;
            // SAFETY: where nothing is padded, the first cell read lies within the source.
            unsafe { source.add(first) }
        };
        let counts = [band.len(), across.results];
        let positions = counts[0] * counts[1];
        let outputs = code.channel_groups * code.outputs;
        let row = (image * deep.results + depth) * down.results + band.start;
        let first = row * across.results * outputs;
        // SAFETY: the band's gradients are these elements of operand 1; `local` has room for the packed strips behind
        // the padded band.
        let packed = unsafe {
            let gradients = std::slice::from_raw_parts(self.args.inputs[1].cast::<T>().add(first), positions * outputs);
            let packed = self.args.local.cast::<T>().add(code.padded_len);
            let len = positions * T::COLUMNS * self.strips.len();
            code.pack(std::slice::from_raw_parts_mut(packed, len), gradients, self.strips.start);
            packed.cast_const()
        };
        let strides = [down.pace * code.pitch * cell, across.pace * cell];
        let mut strip = 0;
        while strip < self.strips.len() {
            let group = (self.strips.start + strip) / code.strips_of_group();
            let left = self.strips.end.min((group + 1) * code.strips_of_group()) - self.strips.start - strip;
            let both = V == 1 && left > 1;
            for span in &code.spans {
                let blocks = span.len.div_ceil(rows_of(V));
                for block in 0..blocks {
                    let done = block * span.len / blocks;
                    let count = (block + 1) * span.len / blocks - done;
                    // SAFETY: the span's elements are read within the band's rows; its filter rows are this tile's.
                    unsafe {
                        let x = cells.add(group * code.inputs + span.start + done);
                        let lines = |n: usize| packed.add((strip + n) * positions * T::COLUMNS);
                        let sums = |n: usize| sums.add(((strip + n) * code.rows + span.row + done) * T::COLUMNS);
                        with_rows!(count, V, R => {
                            if both {
                                let (lines, sums) = ([lines(0), lines(1)], [sums(0), sums(1)]);
                                micro::outer::<S, T, R, V, 2>(simd, x, counts, strides, lines, sums);
                            } else {
                                micro::outer::<S, T, R, V, 1>(simd, x, counts, strides, [lines(0)], [sums(0)]);
                            }
                        });
                    }
                }
            }
            strip += if both { 2 } else { 1 };
        }
    }
}

impl<T: Float> FilterGrad<T> {
    /// Strips of a group of channels.
    fn strips_of_group(&self) -> usize {
        self.outputs.div_ceil(T::COLUMNS)
    }

    /// The columns of a strip among those of all groups.
    fn columns_of(&self, strip: usize) -> Range<usize> {
        let (group, within) = (strip / self.strips_of_group(), strip % self.strips_of_group() * T::COLUMNS);
        let first = group * self.outputs + within;
        first..first + (self.outputs - within).min(T::COLUMNS)
    }

    /// Packs `[positions, outputs]` gradients into strips from `first` on, zeros beyond the last column of a group.
    fn pack(&self, packed: &mut [T], gradients: &[T], first: usize) {
        let outputs = self.channel_groups * self.outputs;
        let positions = gradients.len() / outputs;
        for (i, strip) in packed.chunks_exact_mut((positions * T::COLUMNS).max(1)).enumerate() {
            let columns = self.columns_of(first + i);
            for (line, row) in strip.chunks_exact_mut(T::COLUMNS).zip(gradients.chunks_exact(outputs)) {
                let (used, rest) = line.split_at_mut(columns.len());
                used.copy_from_slice(&row[columns.clone()]);
                rest.fill(T::default());
            }
        }
    }

    /// Adds up the groups' filters for a tile of phase 1.
    ///
    /// # Safety
    /// As [`Body::run`].
    unsafe fn finish(&self, args: &Args<'_>, tile: usize) {
        let rows = tile * self.rows_per_tile..((tile + 1) * self.rows_per_tile).min(self.rows);
        let outputs = self.channel_groups * self.outputs;
        // SAFETY: these rows of the result are this tile's.
        let result = unsafe { args.output::<T>(0, rows.start * outputs, rows.len() * outputs) };
        let filter = self.strips * self.rows * T::COLUMNS;
        // SAFETY: phase 0 has written all groups' filters, and phase 1 only reads them.
        let partial = unsafe { std::slice::from_raw_parts(args.shared.cast::<T>(), self.groups * filter) };
        for (row, result) in rows.zip(result.chunks_exact_mut(outputs)) {
            for strip in 0..self.strips {
                let result = &mut result[self.columns_of(strip)];
                result.fill(T::default());
                let start = (strip * self.rows + row) * T::COLUMNS;
                for group in 0..self.groups {
                    let sums = &partial[group * filter + start..][..result.len()];
                    result.iter_mut().zip(sums).for_each(|(total, &x)| *total = *total + x);
                }
            }
        }
    }
}

impl<T: Float> Body for FilterGrad<T> {
    unsafe fn run(&self, args: &Args<'_>, phase: usize, tile: usize) -> Result<(), KernelError> {
        if phase == 0 {
            if self.groups == 0 {
                return Ok(());
            }
            let (group, split) = (tile % self.groups, tile / self.groups);
            let strips = split * self.strips_per_tile..((split + 1) * self.strips_per_tile).min(self.strips);
            pulp::Arch::new().dispatch(Tile { code: self, args, group, strips });
        } else {
            // SAFETY: the caller's contract.
            unsafe { self.finish(args, tile) }
        }
        Ok(())
    }
}
