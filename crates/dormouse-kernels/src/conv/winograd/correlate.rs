//! The convolution and its input gradient: phase 0 transforms the filter, phase 1 blocks of squares.

#![allow(clippy::cast_ptr_alignment, reason = "the buffers of kernels are aligned to 64")]

use std::marker::PhantomData;
use std::ops::Range;

use pulp::Simd;

use super::transform::{Points, Results, TOGETHER, Taps, parts, squares};
use super::{
    AtPoint, GROUPS, LANES, PAIR, Place, Plane, STEP, Tile, Tiles, any_nan, matrix, multiply, transform_sources,
};
use crate::conv::correlate::Sum;
use crate::conv::lattice::Lattice;
use crate::{Args, Body, Cost, Kernel, KernelError};

/// The code of a sum over taps, by products at `CELLS`² points.
#[derive(Debug)]
struct Correlation<P, const CELLS: usize, const TAPS: usize> {
    plane: Plane,
    sum: Sum,
    /// The tap that each cell of a window meets first, along both axes.
    taps: [[usize; TAPS]; 2],
    points: PhantomData<P>,
}

/// The kernel, where it pays.
pub(super) fn kernel<P: Points, const CELLS: usize, const TAPS: usize>(
    sum: &Sum,
    lattices: &[Lattice; 3],
    cost: Cost,
) -> Option<Kernel> {
    let [deep, down, across] = lattices;
    let (inner, columns) = (sum.inner, sum.columns);
    let flat = deep.results == 1 && deep.sources == 1;
    if !flat || sum.groups != 1 || !inner.is_multiple_of(LANES) || !columns.is_multiple_of(LANES) || inner == 0 {
        return None;
    }
    let points = CELLS * CELLS;
    let square_bytes = points * (inner + columns) * size_of::<f32>();
    let plane = Plane::new(sum.images, [down, across], TAPS, (square_bytes, 2 * GROUPS))?;
    let order = |axis: &Lattice| std::array::from_fn(|i| axis.classes[0].taps[i].1);
    let body =
        Correlation::<P, CELLS, TAPS> { plane, sum: *sum, taps: [order(down), order(across)], points: PhantomData };
    let rows = plane.together;
    let local = points * (matrix(rows, inner) + matrix(rows, columns)) + points * inner;
    let flops = 2.0 * (plane.all() * points * inner * columns) as f64;
    let moved = (plane.all() * points * (inner + columns)) as f64;
    let cost = Cost { flops, nanos: flops / 100.0 + moved / 8.0, ..cost };
    let mut kernel = Kernel::new(0, cost, body);
    kernel.phases.clear();
    kernel.phases.extend([columns / LANES, plane.blocks()]);
    kernel.shared = points * inner * columns * size_of::<f32>();
    kernel.local = local * size_of::<f32>();
    Some(kernel)
}

impl<P: Points, const CELLS: usize, const TAPS: usize> Correlation<P, CELLS, TAPS> {
    /// Transforms one strip of columns of the filter: `[points, strips, inner, LANES]`.
    ///
    /// # Safety
    /// As [`Body::run`].
    #[inline(always)]
    unsafe fn transform_filter<S: Simd>(&self, simd: S, args: &Args<'_>, strip: usize) {
        let Sum { inner, columns, strides: [along, column, _], .. } = self.sum;
        // SAFETY: the filter is operand 1.
        let filter = unsafe { args.input::<f32>(1, TAPS * TAPS * inner * columns) };
        let lanes = size_of::<S::f32s>() / size_of::<f32>();
        let mut taps = [[0.0_f32; LANES]; 32];
        for k in 0..inner {
            for i in 0..TAPS {
                for j in 0..TAPS {
                    let tap = self.taps[0][i] * TAPS + self.taps[1][j];
                    let first = tap * inner * columns + k * along + strip * LANES * column;
                    let line = &mut taps[i * TAPS + j];
                    if column == 1 {
                        line.copy_from_slice(&filter[first..first + LANES]);
                    } else {
                        line.iter_mut().zip(filter[first..].iter().step_by(column)).for_each(|(to, x)| *to = *x);
                    }
                }
            }
            let place = (strip * inner + k) * LANES;
            let to = args.shared.cast::<f32>().wrapping_add(place);
            for (lane, count) in parts(LANES, lanes) {
                let from = (taps.as_ptr().cast::<f32>().wrapping_add(lane), [TAPS * LANES, LANES]);
                let to = (to.wrapping_add(lane), [CELLS * inner * columns, inner * columns]);
                // SAFETY: all taps of these lanes are in `taps`; the strip's lines at all points are this tile's.
                unsafe { squares::<S, Taps<P>, TAPS, CELLS>(simd, count, from, to) };
            }
        }
    }

    /// Computes a block of squares.
    ///
    /// # Safety
    /// As [`Body::run`].
    #[inline(always)]
    unsafe fn block<S: Simd>(&self, simd: S, args: &Args<'_>, block: usize) {
        let Correlation { plane, sum: Sum { inner, columns, .. }, .. } = *self;
        let block = plane.block(block);
        let count = block.len();
        let (sources, products) = (matrix(plane.together, inner), matrix(plane.together, columns));
        let local = args.local.cast::<f32>();
        let at_points = local.wrapping_add(CELLS * CELLS * sources);
        let copy = at_points.wrapping_add(CELLS * CELLS * products);
        let source = (args.inputs[0].cast::<f32>(), inner);
        // SAFETY: the caller's contract; `local` has room for all of a block, and the copy of a window behind it.
        unsafe { transform_sources::<S, P, CELLS>(simd, &plane, block.clone(), source, (local, sources), copy) };
        // Micro-tiles are whole.
        let rows = count.next_multiple_of(PAIR);
        for point in 0..CELLS * CELLS {
            let a = local.wrapping_add(point * sources);
            // SAFETY: rows beyond the last square are within the block's room.
            unsafe { a.wrapping_add(count * inner).write_bytes(0, (rows - count) * inner) };
            let filter = args.shared.cast::<f32>().wrapping_add(point * inner * columns);
            let at = AtPoint {
                a: (a, inner, 1),
                rows,
                b: (filter, inner * LANES, LANES),
                steps: inner,
                c: at_points.wrapping_add(point * products),
                columns,
                add: false,
            };
            // SAFETY: the operands are transformed, and C has room for `rows` rows.
            unsafe { multiply(simd, &at) };
        }
        let lanes = size_of::<S::f32s>() / size_of::<f32>();
        let [height, width] = plane.results;
        let mut aside = [[[simd.splat_f32s(0.0); TOGETHER]; STEP]; STEP];
        for (row, place) in block.map(|square| plane.place(square)).enumerate() {
            let limits = plane.limits(place);
            let cell = (place.image * height + place.first[0]) * width + place.first[1];
            let result = args.outputs[0].cast::<f32>().wrapping_add(cell * columns);
            let mut check = simd.splat_f32s(0.0);
            for (column, count) in parts(columns, lanes) {
                let from = (at_points.cast_const().wrapping_add(row * columns + column), [CELLS * products, products]);
                let to = (result.wrapping_add(column), [width * columns, columns]);
                // SAFETY: all points of the square are computed; its results within the limits are this tile's, and those
                // beyond go elsewhere.
                unsafe {
                    let sum = if limits == [STEP; 2] {
                        squares::<S, Results<P>, CELLS, STEP>(simd, count, from, to)
                    } else {
                        let beside = (aside.as_mut_ptr().cast(), [STEP * TOGETHER * lanes, TOGETHER * lanes]);
                        let sum = squares::<S, Results<P>, CELLS, STEP>(simd, count, from, beside);
                        for (i, j) in (0..limits[0]).flat_map(|i| (0..limits[1]).map(move |j| (i, j))) {
                            let place = to.0.wrapping_add(i * to.1[0] + j * to.1[1]).cast::<S::f32s>();
                            for (vector, value) in aside[i][j].iter().enumerate().take(count) {
                                place.add(vector).write_unaligned(*value);
                            }
                        }
                        sum
                    };
                    check = simd.add_f32s(check, sum);
                }
            }
            if any_nan::<S>(check) {
                // SAFETY: the caller's contract.
                unsafe { self.define(args, place, limits, result) };
            }
        }
    }

    /// Computes a square by the definition.
    ///
    /// # Safety
    /// As [`Body::run`]; `result` is where the square begins, which is this tile's.
    #[cold]
    unsafe fn define(&self, args: &Args<'_>, place: Place, limits: [usize; 2], result: *mut f32) {
        let Correlation { plane, sum: Sum { inner, columns, strides: [along, step, _], .. }, .. } = *self;
        let cells = plane.sources[0] * plane.sources[1];
        // SAFETY: source and filter are the operands.
        let (source, filter) = unsafe {
            (args.input::<f32>(0, plane.images * cells * inner), args.input::<f32>(1, TAPS * TAPS * inner * columns))
        };
        let within = |i: isize, axis: usize| usize::try_from(i).ok().filter(|i| *i < plane.sources[axis]);
        for (i, j) in (0..limits[0]).flat_map(|i| (0..limits[1]).map(move |j| (i, j))) {
            // SAFETY: the square's results are this tile's.
            let line = unsafe {
                let first = result.wrapping_add((i * plane.results[1] + j) * columns);
                std::slice::from_raw_parts_mut(first, columns)
            };
            line.fill(0.0);
            for (a, b) in (0..TAPS).flat_map(|a| (0..TAPS).map(move |b| (a, b))) {
                let row = within(plane.origin[0] + (place.first[0] + i + a) as isize, 0);
                let column = within(plane.origin[1] + (place.first[1] + j + b) as isize, 1);
                let cell =
                    row.and_then(|row| Some(((place.image * plane.sources[0] + row) * plane.sources[1]) + column?));
                let tap = (self.taps[0][a] * TAPS + self.taps[1][b]) * inner * columns;
                for k in 0..inner {
                    let x = cell.map_or(0.0, |cell| source[cell * inner + k]);
                    for (y, w) in line.iter_mut().zip(filter[tap + k * along..].iter().step_by(step)) {
                        *y += x * w;
                    }
                }
            }
        }
    }
}

impl<P: Points, const CELLS: usize, const TAPS: usize> Tiles for Correlation<P, CELLS, TAPS> {
    #[inline(always)]
    unsafe fn run_tile<S: Simd>(&self, simd: S, args: &Args<'_>, phase: usize, tile: usize) {
        // SAFETY: the caller's contract.
        unsafe {
            if phase == 0 {
                self.transform_filter(simd, args, tile);
            } else {
                self.block(simd, args, tile);
            }
        }
    }
}

impl<P: Points, const CELLS: usize, const TAPS: usize> Body for Correlation<P, CELLS, TAPS> {
    unsafe fn run(&self, args: &Args<'_>, phase: usize, tile: usize) -> Result<(), KernelError> {
        pulp::Arch::new().dispatch(Tile { code: self, args, phase, index: tile });
        Ok(())
    }

    fn completes(&self, tile: usize, range: &mut dyn FnMut(Range<usize>)) -> bool {
        let (plane, columns) = (&self.plane, self.sum.columns);
        let [height, width] = plane.results;
        for place in plane.block(tile).map(|square| plane.place(square)) {
            let [down, across] = plane.limits(place);
            for row in 0..down {
                let cell = (place.image * height + place.first[0] + row) * width + place.first[1];
                range(cell * columns..(cell + across) * columns);
            }
        }
        true
    }
}
