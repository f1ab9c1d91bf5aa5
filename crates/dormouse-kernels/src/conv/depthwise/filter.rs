//! The gradient of a depthwise convolution with respect to its filter: for each tap, source lanes times result gradients,
//! summed over all positions of all images.

use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::{BAND_BYTES, Extents};
use crate::conv::lattice::Lattice;
use crate::conv::micro::{self, Float, ROWS, with_rows, with_vectors};
use crate::conv::padding::{Extent, spread};
use crate::{Args, Body, Cost, Kernel, KernelError};

/// Groups of bands, at most: one a tile of phase 0.
const GROUPS: usize = 8;

/// The code of a filter gradient.
#[derive(Debug)]
struct FilterGrad<T> {
    images: usize,
    channels: usize,
    /// Filters of a channel.
    times: usize,
    /// Elements of a scratch cell: lanes in whole strips.
    cell: usize,
    lattices: [Lattice; 2],
    /// Scratch elements from a position's first source cell, and the filter's tap, of each that some window meets.
    taps: Vec<(usize, usize)>,
    filter_taps: usize,
    columns_read: Extent,
    bands: usize,
    rows_per_band: usize,
    /// Elements of the copied source, before the copied gradients in `local`.
    copied: usize,
    groups: usize,
    /// Bands of a group.
    share: usize,
    element: PhantomData<T>,
}

/// The kernel of (x `[n, h, w, c]`, dy `[n, h', w', c·m]`) → `[kh, kw, c, m]`.
pub(super) fn kernel<T: Float>(extents: &Extents, cost: Cost) -> Kernel {
    let lattices = extents.axes.map(|axis| Lattice::forward(&axis));
    let [down, across] = &lattices;
    let cell = extents.lanes().next_multiple_of(T::COLUMNS);
    let columns_read = across.extent(0, across.results);
    let mut taps = Vec::new();
    if let (Some(d), Some(a)) = (down.classes.first(), across.classes.first()) {
        for (&(row, i), &(column, j)) in d.taps.iter().flat_map(|row| a.taps.iter().map(move |column| (row, column))) {
            let place = (row - d.taps[0].0) as usize * columns_read.len + (column - a.taps[0].0) as usize;
            taps.push((place * cell, i * extents.axes[1].taps + j));
        }
    }
    let cells = down.extent(0, down.results).len * columns_read.len + down.results * across.results;
    let wanted = (cells * cell * size_of::<T>()).div_ceil(BAND_BYTES).max(GROUPS.div_ceil(extents.images.max(1)));
    let rows_per_band = down.results.div_ceil(wanted.max(1)).max(1);
    let bands = down.results.div_ceil(rows_per_band);
    let parts = extents.images * bands;
    let share = parts.div_ceil(GROUPS).max(1);
    let groups = if taps.is_empty() { 0 } else { parts.div_ceil(share) };
    let copied = down.extent(0, rows_per_band.min(down.results)).len * columns_read.len * cell;
    let filter_taps = extents.axes[0].taps * extents.axes[1].taps;
    let gradients = if cell == extents.lanes() { 0 } else { rows_per_band * across.results * cell };
    let body = FilterGrad::<T> {
        images: extents.images,
        channels: extents.channels,
        times: extents.times,
        cell,
        lattices,
        taps,
        filter_taps,
        columns_read,
        bands,
        rows_per_band,
        copied,
        groups,
        share,
        element: PhantomData,
    };
    let mut kernel = Kernel::new(0, cost, body);
    kernel.phases.clear();
    if extents.lanes() * filter_taps > 0 {
        kernel.phases.extend([groups.max(1), 1]);
        kernel.shared = groups * filter_taps * cell * size_of::<T>();
        kernel.local = (copied + gradients) * size_of::<T>();
    }
    kernel
}

/// A tile of phase 0.
struct Tile<'a, T> {
    code: &'a FilterGrad<T>,
    args: &'a Args<'a>,
    group: usize,
}

impl<T: Float> WithSimd for Tile<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let code = self.code;
        let len = code.filter_taps * code.cell;
        // SAFETY: `shared` holds a filter for each group, and this tile alone writes its group's.
        let sums = unsafe {
            let sums = self.args.shared.cast::<T>().add(self.group * len);
            std::slice::from_raw_parts_mut(sums, len).fill(T::default());
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
    /// The buffers are those of the shapes; `sums` is this tile's filter.
    #[inline(always)]
    unsafe fn band<S: Simd, const V: usize>(&self, simd: S, image: usize, band: Range<usize>, sums: *mut T) {
        let code = self.code;
        let [down, across] = &code.lattices;
        let rows = down.extent(band.start, band.end);
        let size = down.sources * across.sources * code.channels;
        let lanes = code.channels * code.times;
        let counts = [band.len(), across.results];
        let first = (image * down.results + band.start) * across.results * lanes;
        // SAFETY: the image is one of operand 0, the band's gradients are of operand 1; `local` has room for both copies,
        // and no other tile uses it meanwhile.
        let (copy, gradients) = unsafe {
            let source = std::slice::from_raw_parts(self.args.inputs[0].cast::<T>().add(image * size), size);
            let local = self.args.local.cast::<T>();
            let copy = std::slice::from_raw_parts_mut(local, rows.len * code.columns_read.len * code.cell);
            let dims = [down.sources, across.sources, code.channels];
            spread(copy, source, dims, rows, code.columns_read, [code.times, code.cell]);
            let len = counts[0] * across.results;
            let given = std::slice::from_raw_parts(self.args.inputs[1].cast::<T>().add(first), len * lanes);
            if code.cell == lanes {
                (copy.as_ptr(), given.as_ptr())
            } else {
                let gradients = std::slice::from_raw_parts_mut(local.add(code.copied), len * code.cell);
                for (to, from) in gradients.chunks_exact_mut(code.cell).zip(given.chunks_exact(lanes)) {
                    to[..lanes].copy_from_slice(from);
                    to[lanes..].fill(T::default());
                }
                (copy.as_ptr(), gradients.as_ptr())
            }
        };
        let steps = [down.pace * code.columns_read.len * code.cell, across.pace * code.cell];
        for first in (0..code.cell).step_by(T::COLUMNS) {
            for taps in code.taps.chunks(ROWS) {
                // SAFETY: at every position, the taps' cells lie within the copied rows; the sums are this tile's.
                unsafe {
                    with_rows!(taps.len(), R => {
                        let offsets: [usize; R] = std::array::from_fn(|r| taps[r].0 + first);
                        let sums: [*mut T; R] = std::array::from_fn(|r| sums.add(taps[r].1 * code.cell + first));
                        let lines = (gradients.add(first), code.cell);
                        micro::outer_lanes::<S, T, R, V>(simd, copy, offsets, [counts, steps], lines, sums);
                    });
                }
            }
        }
    }
}

impl<T: Float> FilterGrad<T> {
    /// Adds up the groups' filters.
    ///
    /// # Safety
    /// As [`Body::run`].
    unsafe fn finish(&self, args: &Args<'_>) {
        let lanes = self.channels * self.times;
        let len = self.filter_taps * self.cell;
        // SAFETY: this one tile writes the result; phase 0 has written all groups' filters.
        let (result, partial) = unsafe {
            let partial = std::slice::from_raw_parts(args.shared.cast::<T>(), self.groups * len);
            (args.output::<T>(0, 0, self.filter_taps * lanes), partial)
        };
        for (tap, result) in result.chunks_exact_mut(lanes).enumerate() {
            result.fill(T::default());
            for group in 0..self.groups {
                let sums = &partial[group * len + tap * self.cell..][..lanes];
                result.iter_mut().zip(sums).for_each(|(total, &x)| *total = *total + x);
            }
        }
    }
}

impl<T: Float> Body for FilterGrad<T> {
    unsafe fn run(&self, args: &Args<'_>, phase: usize, tile: usize) -> Result<(), KernelError> {
        if phase > 0 {
            // SAFETY: the caller's contract.
            unsafe { self.finish(args) }
        } else if self.groups > 0 {
            pulp::Arch::new().dispatch(Tile { code: self, args, group: tile });
        }
        Ok(())
    }
}
