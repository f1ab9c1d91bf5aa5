//! The gradient of tile: what came of an element's copies, added up.
//!
//! A separate file because it alone adds along axes: the copies are added in their order, in double precision for
//! floats, whatever the tiles.

use dormouse_value::DType;
use smallvec::SmallVec;

use super::strided::tiled_dims;
use super::{
    Axis, BYTES_PER_NANO, Number, RUN_NANOS, Ranges, Walk, for_each_row, merge_axes, nothing, operands, require_result,
    strides_of, with_number,
};
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// Elements of the result that are summed at a time.
const CHUNK: usize = 256;

/// Sums that a row of copies of one element is added into.
const LANES: usize = 8;

/// (dy): `[m₀·n₀, m₁·n₁, …] → [n₀, n₁, …]`, summed over the copies.
///
/// # Errors
/// When dy is boolean, or its extents are not the result's times the multiples.
pub(crate) fn tile_grad(multiples: &[u32], inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    const OP: &str = "gradient of tile";
    let ([dy], output) = operands(OP, inputs, outputs)?;
    let dims = tiled_dims(OP, multiples, output)?;
    if dy.dtype == DType::Bool || dy.dims != dims {
        let tiled = Spec::new(output.dtype, &dims);
        return Err(KernelError::new(format!("{OP}: into {output} takes numbers {tiled}, not {dy}")));
    }
    require_result(OP, inputs, output, dy.dtype, &output.dims)?;
    let mut body = TileGrad {
        dtype: dy.dtype,
        len: dy.len(),
        axes: SmallVec::new(),
        run: Axis { extent: 1, from: 1, to: 1 },
        copies: SmallVec::new(),
        last_copies: Axis { extent: 1, from: 0, to: 0 },
        ranges: Ranges::of_elements(0, 0.0),
    };
    if output.is_empty() {
        return Ok(nothing(body));
    }
    if dy.is_empty() {
        body.run = Axis { extent: output.len(), from: 1, to: 1 };
    } else {
        let (strides, own) = (strides_of(&dims), strides_of(&output.dims));
        let elements = output.dims.iter().zip(&strides).zip(&own);
        body.axes = merge_axes(elements.map(|((&extent, &from), &to)| Axis { extent, from, to }));
        let copies = output.dims.iter().zip(&strides).zip(multiples);
        body.copies = merge_axes(copies.map(|((&extent, &stride), &times)| {
            let from = extent * stride;
            Axis { extent: times as usize, from, to: from }
        }));
        body.run = body.axes.pop().unwrap_or(body.run);
        body.last_copies = body.copies.pop().unwrap_or(body.last_copies);
    }
    let (bytes, flops) = ((dy.bytes() + output.bytes()) as f64, dy.len() as f64);
    let run = if body.run.extent == 1 { body.last_copies.extent.max(1) } else { body.run.extent };
    let nanos = bytes / BYTES_PER_NANO + flops * 0.3 + flops / run as f64 * RUN_NANOS;
    body.ranges = Ranges::of_elements(output.len(), nanos);
    Ok(Kernel::new(body.ranges.count(), Cost { flops, bytes, nanos }, body))
}

#[derive(Debug)]
struct TileGrad {
    dtype: DType,
    /// Elements of dy.
    len: usize,
    /// The result's axes but for the innermost, `run`.
    axes: SmallVec<[Axis; 6]>,
    run: Axis,
    /// The axes that count copies but for the innermost, `last_copies`.
    copies: SmallVec<[Axis; 6]>,
    last_copies: Axis,
    ranges: Ranges,
}

impl TileGrad {
    /// # Safety
    /// As of [`Body::run`].
    unsafe fn sum<T: Number>(&self, args: &Args<'_>, tile: usize) {
        let range = self.ranges.get(tile);
        // SAFETY: dy has `len` elements, and this range of the result is this tile's alone.
        let (dy, y) = unsafe { (args.input::<T>(0, self.len), args.output::<T>(0, range.start, range.len())) };
        let mut walk = Walk::new(&self.axes, range.start / self.run.extent);
        for_each_row(range, self.run.extent, |_, columns, part| {
            for (chunk, y) in y[part].chunks_mut(CHUNK).enumerate() {
                let start = walk.from + (columns.start + chunk * CHUNK) * self.run.from;
                self.sum_chunk(dy, start, y);
            }
            walk.advance();
        });
    }

    /// The sums of the copies of consecutive elements of a row, the first of which stands at `start`.
    fn sum_chunk<T: Number>(&self, dy: &[T], start: usize, y: &mut [T]) {
        let mut sums = [T::Sum::default(); CHUNK];
        let sums = &mut sums[..y.len()];
        if self.len > 0 {
            let mut walk = Walk::new(&self.copies, 0);
            for _ in 0..self.copies.iter().map(|axis| axis.extent).product() {
                let start = start + walk.from;
                if self.run.extent == 1 {
                    sums[0] = T::combine(sums[0], self.sum_row(&dy[start..]));
                } else {
                    for copy in 0..self.last_copies.extent {
                        let dy = dy[start + copy * self.last_copies.from..].iter().step_by(self.run.from);
                        sums.iter_mut().zip(dy).for_each(|(sum, &dy)| *sum = T::accumulate(*sum, dy));
                    }
                }
                walk.advance();
            }
        }
        y.iter_mut().zip(sums).for_each(|(y, sum)| *y = T::finish(*sum));
    }

    /// The sum of the innermost copies of one element, in [`LANES`] lanes.
    fn sum_row<T: Number>(&self, dy: &[T]) -> T::Sum {
        let Axis { extent, from, .. } = self.last_copies;
        let mut lanes = [T::Sum::default(); LANES];
        if from == 1 {
            let (rows, rest) = dy[..extent].as_chunks::<LANES>();
            for row in rows {
                lanes.iter_mut().zip(row).for_each(|(sum, &dy)| *sum = T::accumulate(*sum, dy));
            }
            lanes.iter_mut().zip(rest).for_each(|(sum, &dy)| *sum = T::accumulate(*sum, dy));
        } else {
            for (copy, &dy) in dy.iter().step_by(from.max(1)).take(extent).enumerate() {
                lanes[copy % LANES] = T::accumulate(lanes[copy % LANES], dy);
            }
        }
        lanes.into_iter().fold(T::Sum::default(), T::combine)
    }
}

impl Body for TileGrad {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        with_number!(
            self.dtype,
            // SAFETY: the caller's contract.
            T => unsafe { self.sum::<T>(args, tile) },
            return Err(KernelError::new("gradient of tile: booleans do not add up"))
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use dormouse_value::{DType, Op};
    use proptest::prelude::*;

    use super::super::testing::{Array, any_dims, any_number, error, fit, indices, run};
    use crate::Spec;

    fn check(dtype: DType, dims: &[usize], multiples: &[u32]) {
        let extents: Vec<usize> = dims.iter().zip(multiples).map(|(&n, &m)| n * m as usize).collect();
        let dy = Array::counting(dtype, &extents);
        let mut expected = Array::counting(dtype, dims);
        expected.numbers.fill(0);
        for index in indices(&extents) {
            let position = index.iter().zip(dims).fold(0, |position, (&i, &n)| position * n + i % n);
            expected.numbers[position] = fit(dtype, expected.numbers[position] + dy.at(&index));
        }
        let op = Op::TileGrad { multiples: multiples.iter().copied().collect() };
        assert_eq!(run(&op, &[&dy], &expected.spec).unwrap(), expected.numbers, "{dims:?} by {multiples:?}");
    }

    proptest! {
        #[test]
        fn tile_grad_adds_up_copies(
            dims in any_dims(), dtype in any_number(), times in prop::array::uniform4(0..5_u32),
        ) {
            let multiples = &times[..dims.len()];
            let count: usize = dims.iter().zip(multiples).map(|(&n, &m)| n * m as usize).product();
            prop_assume!(count < 50_000);
            check(dtype, &dims, multiples);
        }
    }

    #[test]
    fn long_rows_and_many_copies() {
        for dtype in [DType::F32, DType::F64, DType::I32, DType::I64, DType::U8] {
            check(dtype, &[600], &[3]);
            check(dtype, &[1], &[1000]);
            check(dtype, &[700, 1], &[2, 9]);
            check(dtype, &[1, 5, 1], &[30, 1, 30]);
        }
    }

    #[test]
    fn floats_are_summed_in_double_precision() {
        let dy = Array::new(DType::F32, &[3], [1 << 24, 1, -(1 << 24)]);
        let op = Op::TileGrad { multiples: [3].into_iter().collect() };
        assert_eq!(run(&op, &[&dy], &Spec::new(DType::F32, &[1])).unwrap(), [1]);
    }

    #[test]
    fn misfits_are_errors() {
        let op = Op::TileGrad { multiples: [2].into_iter().collect() };
        let (dy, y) = (Spec::new(DType::F32, &[7]), Spec::new(DType::F32, &[3]));
        assert_eq!(error(&op, &[&dy], &y), "gradient of tile: into f32[3] takes numbers f32[6], not f32[7]");
        let (dy, y) = (Spec::new(DType::Bool, &[6]), Spec::new(DType::Bool, &[3]));
        assert!(error(&op, &[&dy], &y).contains("takes numbers"));
    }
}
