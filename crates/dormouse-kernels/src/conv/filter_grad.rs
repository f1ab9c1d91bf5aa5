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
use super::micro::{self, Float, ROWS, with_rows, with_vectors};
use super::padding::{Extent, pad};
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
    /// Row of the filter, `[height · width · inputs, outputs]`.
    row: usize,
    /// How many.
    len: usize,
}

/// The code of a filter gradient.
#[derive(Debug)]
struct FilterGrad<T> {
    images: usize,
    inputs: usize,
    outputs: usize,
    /// Rows of the filter, `height · width · inputs`.
    rows: usize,
    lattices: [Lattice; 2],
    spans: Vec<Span>,
    padded: bool,
    pitch: usize,
    columns_read: Extent,
    /// Elements of the padded band, before the packed gradients in `local`.
    padded_len: usize,
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

/// The kernel of (x `[n, h, w, i]`, dy `[n, h', w', o]`) → `[kh, kw, i, o]`.
pub(super) fn kernel<T: Float>(images: usize, channels: [usize; 2], axes: &[Axis; 2], cost: Cost) -> Kernel {
    let [inputs, outputs] = channels;
    let rows = axes[0].taps * axes[1].taps * inputs;
    let lattices = [Lattice::forward(&axes[0]), Lattice::forward(&axes[1])];
    let [down, across] = &lattices;
    let rows_read = down.extent(0, down.results);
    let columns_read = across.extent(0, across.results);
    let padded = !(rows_read.within(down.sources) && columns_read.within(across.sources));
    let pitch = if padded { columns_read.len } else { across.sources };
    let spans = spans(&lattices, inputs, axes[1].taps, pitch);

    let strips = outputs.div_ceil(T::COLUMNS);
    let line = T::COLUMNS * size_of::<T>();
    let filter_bytes = (rows * strips * line).max(1);
    let most = (PARTIAL_BYTES / filter_bytes).clamp(1, GROUPS);
    // Few groups leave the workers to share the strips.
    let strips_per_tile = if most == GROUPS { strips } else { (strips * most).div_ceil(2 * GROUPS) }.max(1);
    let splits = strips.div_ceil(strips_per_tile);

    let source_bytes = if padded { pitch * inputs * size_of::<T>() } else { 0 };
    let band_bytes = rows_read.len * source_bytes + down.results * across.results * strips_per_tile * line;
    let wanted = band_bytes.div_ceil(BAND_BYTES).max(most.div_ceil(images.max(1)));
    let rows_per_band = down.results.div_ceil(wanted.max(1)).max(1);
    let bands = down.results.div_ceil(rows_per_band);
    let parts = images * bands;
    let share = parts.div_ceil(most).max(1);
    let groups = if spans.is_empty() { 0 } else { parts.div_ceil(share) };

    let padded_len = if padded { down.extent(0, rows_per_band.min(down.results)).len * pitch * inputs } else { 0 };
    // The packed lines start on a cache line.
    let padded_len = padded_len.next_multiple_of(T::COLUMNS);
    let rows_per_tile = FINISH.div_ceil(outputs.max(1));
    let local = padded_len * size_of::<T>() + rows_per_band * across.results * strips_per_tile * line;
    let body = FilterGrad::<T> {
        images,
        inputs,
        outputs,
        rows,
        lattices,
        spans,
        padded,
        pitch,
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
    if rows * outputs > 0 {
        kernel.phases.extend([(groups * splits).max(1), rows.div_ceil(rows_per_tile)]);
        kernel.shared = groups * rows * strips * line;
        kernel.local = local;
    }
    kernel
}

/// The filter rows that some window meets, neighbours joined.
fn spans(lattices: &[Lattice; 2], inputs: usize, taps_across: usize, pitch: usize) -> Vec<Span> {
    let [down, across] = lattices;
    let mut spans: Vec<Span> = Vec::new();
    for d in &down.classes {
        for a in &across.classes {
            for &(y, i) in &d.taps {
                for &(x, j) in &a.taps {
                    let (dy, dx) = ((y - d.taps[0].0) as usize, (x - a.taps[0].0) as usize);
                    let start = (dy * pitch + dx) * inputs;
                    let row = (i * taps_across + j) * inputs;
                    match spans.last_mut() {
                        Some(span) if span.start + span.len == start && span.row + span.len == row => {
                            span.len += inputs;
                        }
                        _ => spans.push(Span { start, row, len: inputs }),
                    }
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
        let all = code.images * code.bands;
        with_vectors!(S, T, V => {
            for part in self.group * code.share..((self.group + 1) * code.share).min(all) {
                let from = part % code.bands * code.rows_per_band;
                let band = from..(from + code.rows_per_band).min(code.lattices[0].results);
                // SAFETY: `Tile` is made by `Body::run`, whose contract covers images and bands within the shapes.
                unsafe { self.band::<S, V>(simd, part / code.bands, band, sums) }
            }
        });
    }
}

impl<T: Float> Tile<'_, T> {
    /// # Safety
    /// The buffers are those of the shapes; `sums` are this tile's strips.
    #[inline(always)]
    unsafe fn band<S: Simd, const V: usize>(&self, simd: S, image: usize, band: Range<usize>, sums: *mut T) {
        let code = self.code;
        let [down, across] = &code.lattices;
        let size = down.sources * across.sources * code.inputs;
        let rows = down.extent(band.start, band.end);
        // SAFETY: the image is one of the source's.
        let source = unsafe { self.args.inputs[0].cast::<T>().add(image * size) };
        let cells = if code.padded {
            let dims = [down.sources, across.sources, code.inputs];
            // SAFETY: `local` starts with room for the widest band, and no other tile uses it meanwhile.
            unsafe {
                let padded = self.args.local.cast::<T>();
                let len = rows.len * code.columns_read.len * code.inputs;
                let source = std::slice::from_raw_parts(source, size);
                pad(std::slice::from_raw_parts_mut(padded, len), source, dims, rows, code.columns_read);
                padded.cast_const()
            }
        } else {
            let first = (rows.first as usize * across.sources + code.columns_read.first as usize) * code.inputs;
            // SAFETY: where nothing is padded, the first cell read lies within the source.
            unsafe { source.add(first) }
        };
        let counts = [band.len(), across.results];
        let positions = counts[0] * counts[1];
        let first = (image * down.results + band.start) * across.results * code.outputs;
        // SAFETY: the band's gradients are these elements of operand 1; `local` has room for the packed strips behind
        // the padded band.
        let packed = unsafe {
            let gradients =
                std::slice::from_raw_parts(self.args.inputs[1].cast::<T>().add(first), positions * code.outputs);
            let packed = self.args.local.cast::<T>().add(code.padded_len);
            let len = positions * T::COLUMNS * self.strips.len();
            pack(std::slice::from_raw_parts_mut(packed, len), gradients, code.outputs, self.strips.start);
            packed.cast_const()
        };
        let strides = [down.pace * code.pitch * code.inputs, across.pace * code.inputs];
        for strip in 0..self.strips.len() {
            for span in &code.spans {
                for done in (0..span.len).step_by(ROWS) {
                    // SAFETY: the span's elements are read within the band's rows; its filter rows are this tile's.
                    unsafe {
                        let x = cells.add(span.start + done);
                        let lines = packed.add(strip * positions * T::COLUMNS);
                        let sums = sums.add((strip * code.rows + span.row + done) * T::COLUMNS);
                        with_rows!((span.len - done).min(ROWS), R => {
                            micro::outer::<S, T, R, V>(simd, x, counts, strides, lines, sums);
                        });
                    }
                }
            }
        }
    }
}

/// Packs `[positions, outputs]` gradients into strips from `first` on, zeros beyond the last column.
fn pack<T: Float>(packed: &mut [T], gradients: &[T], outputs: usize, first: usize) {
    let positions = gradients.len() / outputs;
    for (i, strip) in packed.chunks_exact_mut((positions * T::COLUMNS).max(1)).enumerate() {
        let start = (first + i) * T::COLUMNS;
        let used = (outputs - start).min(T::COLUMNS);
        for (line, row) in strip.chunks_exact_mut(T::COLUMNS).zip(gradients.chunks_exact(outputs)) {
            line[..used].copy_from_slice(&row[start..start + used]);
            line[used..].fill(T::default());
        }
    }
}

impl<T: Float> FilterGrad<T> {
    /// Adds up the groups' filters for a tile of phase 1.
    ///
    /// # Safety
    /// As [`Body::run`].
    unsafe fn finish(&self, args: &Args<'_>, tile: usize) {
        let rows = tile * self.rows_per_tile..((tile + 1) * self.rows_per_tile).min(self.rows);
        // SAFETY: these rows of the result are this tile's.
        let result = unsafe { args.output::<T>(0, rows.start * self.outputs, rows.len() * self.outputs) };
        let filter = self.strips * self.rows * T::COLUMNS;
        // SAFETY: phase 0 has written all groups' filters, and phase 1 only reads them.
        let partial = unsafe { std::slice::from_raw_parts(args.shared.cast::<T>(), self.groups * filter) };
        for (row, result) in rows.zip(result.chunks_exact_mut(self.outputs)) {
            for (strip, result) in result.chunks_mut(T::COLUMNS).enumerate() {
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
