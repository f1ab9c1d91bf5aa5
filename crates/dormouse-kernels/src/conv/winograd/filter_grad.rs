//! The gradient of a convolution with respect to its filter: phase 0 sums the products of groups of blocks at all points,
//! phase 1 adds the groups in their order and transforms them to taps.

#![allow(clippy::cast_ptr_alignment, reason = "the buffers of kernels are aligned to 64")]

use std::marker::PhantomData;

use pulp::Simd;

use super::transform::{Points, Results, TOGETHER, Taps, parts, squares};
use super::{AtPoint, GROUPS, LANES, Plane, STEP, Tile, Tiles, any_nan, matrix, multiply, transform_sources, window};
use crate::conv::filter_grad::Channels;
use crate::conv::geometry::Axis;
use crate::conv::lattice::Lattice;
use crate::{Args, Body, Cost, Kernel, KernelError};

/// Bytes of all groups' sums.
const PARTIAL_BYTES: usize = 16 * 1024 * 1024;

/// The code of a filter gradient, by products at `CELLS`² points.
#[derive(Debug)]
struct FilterGrad<P, const CELLS: usize, const TAPS: usize> {
    plane: Plane,
    inputs: usize,
    outputs: usize,
    groups: usize,
    points: PhantomData<P>,
}

/// The kernel, where it pays.
pub(super) fn kernel<P: Points, const CELLS: usize, const TAPS: usize>(
    images: usize,
    Channels { groups, inputs, outputs }: Channels,
    axes: &[Axis; 3],
    cost: Cost,
) -> Option<Kernel> {
    let [deep, down, across] = axes.map(|axis| Lattice::forward(&axis));
    let flat = deep.results == 1 && deep.sources == 1;
    if !flat || groups != 1 || !inputs.is_multiple_of(LANES) || !outputs.is_multiple_of(LANES) || inputs == 0 {
        return None;
    }
    let points = CELLS * CELLS;
    let square_bytes = points * (inputs + outputs) * size_of::<f32>();
    let plane = Plane::new(images, [&down, &across], TAPS, (square_bytes, GROUPS))?;
    let sums = points * inputs * outputs * size_of::<f32>();
    let groups = (PARTIAL_BYTES / sums.max(1)).min(GROUPS).min(plane.blocks());
    if groups < 2 {
        return None;
    }
    let rows = plane.together;
    let body = FilterGrad::<P, CELLS, TAPS> { plane, inputs, outputs, groups, points: PhantomData };
    let local = points * (matrix(rows, inputs) + matrix(rows, outputs)) + points * inputs.max(outputs);
    let flops = 2.0 * (plane.all() * points * inputs * outputs) as f64;
    let moved = (plane.all() * points * (inputs + outputs)) as f64;
    let cost = Cost { flops, nanos: flops / 100.0 + moved / 8.0, ..cost };
    let mut kernel = Kernel::new(0, cost, body);
    kernel.phases.clear();
    kernel.phases.extend([groups, inputs]);
    kernel.shared = groups * sums;
    kernel.local = local * size_of::<f32>();
    Some(kernel)
}

impl<P: Points, const CELLS: usize, const TAPS: usize> FilterGrad<P, CELLS, TAPS> {
    /// Elements of a group's sums.
    fn sums(&self) -> usize {
        CELLS * CELLS * self.inputs * self.outputs
    }

    /// Sums the products of one group of blocks, `[points, inputs, outputs]`.
    ///
    /// # Safety
    /// As [`Body::run`].
    #[inline(always)]
    unsafe fn group<S: Simd>(&self, simd: S, args: &Args<'_>, group: usize) {
        let FilterGrad { plane, inputs, outputs, groups, .. } = *self;
        let (sources, gradients) = (matrix(plane.together, inputs), matrix(plane.together, outputs));
        let local = args.local.cast::<f32>();
        let gradients_at = local.wrapping_add(CELLS * CELLS * sources);
        let copy = gradients_at.wrapping_add(CELLS * CELLS * gradients);
        let sums = args.shared.cast::<f32>().wrapping_add(group * self.sums());
        let lanes = size_of::<S::f32s>() / size_of::<f32>();
        let blocks = group * plane.blocks() / groups..(group + 1) * plane.blocks() / groups;
        for index in blocks.clone() {
            let block = plane.block(index);
            let steps = block.len();
            let source = (args.inputs[0].cast::<f32>(), inputs);
            // SAFETY: the caller's contract; `local` has room for all of a block, and the copy of a window behind it.
            unsafe { transform_sources::<S, P, CELLS>(simd, &plane, block.clone(), source, (local, sources), copy) };
            for (row, place) in block.map(|square| plane.place(square)).enumerate() {
                let cells = plane.results[0] * plane.results[1];
                let image = args.inputs[1].cast::<f32>().wrapping_add(place.image * cells * outputs);
                let first = place.first.map(|n| n as isize);
                // SAFETY: the gradients are operand 1.
                let (from, steps) = unsafe { window::<STEP>(image, plane.results, first, outputs, copy) };
                for (channel, count) in parts(outputs, lanes) {
                    let from = (from.wrapping_add(channel), steps);
                    let to = (gradients_at.wrapping_add(row * outputs + channel), [CELLS * gradients, gradients]);
                    // SAFETY: all cells of the window are readable, all points of the square's row writable.
                    unsafe { squares::<S, Taps<P>, STEP, CELLS>(simd, count, from, to) };
                }
            }
            for point in 0..CELLS * CELLS {
                let at = AtPoint {
                    a: (local.wrapping_add(point * sources), 1, inputs),
                    rows: inputs,
                    b: (gradients_at.wrapping_add(point * gradients), LANES, outputs),
                    steps,
                    c: sums.wrapping_add(point * inputs * outputs),
                    columns: outputs,
                    add: index > blocks.start,
                };
                // SAFETY: the operands are transformed; the group's sums are this tile's, and written by its first block.
                unsafe { multiply(simd, &at) };
            }
        }
    }

    /// Computes the taps of one input channel.
    ///
    /// # Safety
    /// As [`Body::run`].
    #[inline(always)]
    unsafe fn finish<S: Simd>(&self, simd: S, args: &Args<'_>, channel: usize) {
        let FilterGrad { inputs, outputs, groups, .. } = *self;
        let lanes = size_of::<S::f32s>() / size_of::<f32>();
        let shared = args.shared.cast_const().cast::<f32>();
        let result = args.outputs[0].cast::<f32>().wrapping_add(channel * outputs);
        for (column, count) in parts(outputs, lanes) {
            let mut sums = [[simd.splat_f32s(0.0); TOGETHER]; 64];
            for (point, sums) in sums.iter_mut().enumerate().take(CELLS * CELLS) {
                for group in 0..groups {
                    let place = group * self.sums() + (point * inputs + channel) * outputs + column;
                    for (vector, sum) in sums.iter_mut().enumerate().take(count) {
                        let place = shared.wrapping_add(place + vector * lanes).cast::<S::f32s>();
                        // SAFETY: phase 0 has written all sums, and phase 1 only reads them.
                        let part = unsafe { place.read_unaligned() };
                        *sum = if group == 0 { part } else { simd.add_f32s(*sum, part) };
                    }
                }
            }
            let from = (sums.as_ptr().cast::<f32>(), [CELLS * TOGETHER * lanes, TOGETHER * lanes]);
            let to = (result.wrapping_add(column), [TAPS * inputs * outputs, inputs * outputs]);
            // SAFETY: `sums` holds all points; the channel's taps are this tile's.
            let check = unsafe { squares::<S, Results<P>, CELLS, TAPS>(simd, count, from, to) };
            if any_nan::<S>(check) {
                // SAFETY: the caller's contract.
                unsafe { self.define(args, channel, column..column + count * lanes) };
            }
        }
    }

    /// Computes the taps of one input channel and some output channels by the definition.
    ///
    /// # Safety
    /// As [`Body::run`]; these taps are this tile's.
    #[cold]
    unsafe fn define(&self, args: &Args<'_>, channel: usize, columns: std::ops::Range<usize>) {
        let FilterGrad { plane, inputs, outputs, .. } = *self;
        let [[height, width], [down, across]] = [plane.sources, plane.results];
        // SAFETY: images and gradients are the operands.
        let (source, gradients) = unsafe {
            (
                args.input::<f32>(0, plane.images * height * width * inputs),
                args.input::<f32>(1, plane.images * down * across * outputs),
            )
        };
        let within = |i: isize, end: usize| usize::try_from(i).ok().filter(|i| *i < end);
        for (a, b) in (0..TAPS).flat_map(|a| (0..TAPS).map(move |b| (a, b))) {
            let first = ((a * TAPS + b) * inputs + channel) * outputs + columns.start;
            // SAFETY: these taps are this tile's.
            let line = unsafe { args.output::<f32>(0, first, columns.len()) };
            line.fill(0.0);
            for image in 0..plane.images {
                for (i, j) in (0..down).flat_map(|i| (0..across).map(move |j| (i, j))) {
                    let row = within(plane.origin[0] + (i + a) as isize, height);
                    let cell = row.and_then(|row| {
                        let column = within(plane.origin[1] + (j + b) as isize, width)?;
                        Some((image * height + row) * width + column)
                    });
                    let x = cell.map_or(0.0, |cell| source[cell * inputs + channel]);
                    let place = ((image * down + i) * across + j) * outputs;
                    for (sum, dy) in line.iter_mut().zip(&gradients[place + columns.start..place + columns.end]) {
                        *sum += x * dy;
                    }
                }
            }
        }
    }
}

impl<P: Points, const CELLS: usize, const TAPS: usize> Tiles for FilterGrad<P, CELLS, TAPS> {
    #[inline(always)]
    unsafe fn run_tile<S: Simd>(&self, simd: S, args: &Args<'_>, phase: usize, tile: usize) {
        // SAFETY: the caller's contract.
        unsafe {
            if phase == 0 {
                self.group(simd, args, tile);
            } else {
                self.finish(simd, args, tile);
            }
        }
    }
}

impl<P: Points, const CELLS: usize, const TAPS: usize> Body for FilterGrad<P, CELLS, TAPS> {
    unsafe fn run(&self, args: &Args<'_>, phase: usize, tile: usize) -> Result<(), KernelError> {
        pulp::Arch::new().dispatch(Tile { code: self, args, phase, index: tile });
        Ok(())
    }
}
