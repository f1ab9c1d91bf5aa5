//! Copies out of a view: transpose, slice, tile and the parts of a concat's gradient all read their operand by a
//! stride an axis and write their result in order, so they are one kernel.
//!
//! Axes are merged first. Where the innermost axis of the result is also the operand's, rows are copied whole; where
//! another axis is, square blocks go through a small buffer, so that both sides see whole cache lines.

use dormouse_value::{DType, Dims};
use smallvec::SmallVec;

use super::{
    Axis, BYTES_PER_NANO, RUN_NANOS, Ranges, Walk, Word, axis_of, copy_cost, copy_run, for_each_row, merge_axes,
    nothing, operands, require_result, result, strides_of, with_word,
};
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// Elements of a transposed block, both sides of which fit the innermost cache.
const BLOCK: usize = 1024;

/// The longest side that a block need have.
const SIDE: usize = 32;

/// Nanoseconds for an element of a transposed block.
const ELEMENT_NANOS: f64 = 0.5;

/// (x): result axis i is x's axis `perm[i]`; an empty `perm` reverses all axes.
///
/// # Errors
/// When `perm` is not a permutation of x's axes, or the result does not fit.
pub(crate) fn transpose(perm: &[u32], inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let ([x], output) = operands("transpose", inputs, outputs)?;
    let rank = x.dims.len();
    let perm: Dims =
        if perm.is_empty() { (0..rank).rev().collect() } else { perm.iter().map(|&axis| axis as usize).collect() };
    let mut sorted = perm.clone();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..rank) {
        let perm = perm.as_slice();
        return Err(KernelError::new(format!("transpose: {perm:?} is not a permutation of the {rank} axes of {x}")));
    }
    let dims: Dims = perm.iter().map(|&axis| x.dims[axis]).collect();
    require_result("transpose", inputs, output, x.dtype, &dims)?;
    let strides = strides_of(&x.dims);
    Ok(view(x, 0, output, perm.iter().map(|&axis| (x.dims[axis], strides[axis]))))
}

/// (x): `size` elements from `begin` on along each axis; a size of −1 is the rest.
///
/// # Errors
/// When the slice does not lie within x, or the result does not fit.
pub(crate) fn slice(begin: &[i64], size: &[i64], inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let ([x], output) = operands("slice", inputs, outputs)?;
    if size.len() != x.dims.len() {
        return Err(KernelError::new(format!("slice: {} sizes for the {} axes of {x}", size.len(), x.dims.len())));
    }
    let begin = begin_of("slice", begin, x)?;
    let mut dims = Dims::new();
    for ((&extent, &begin), &size) in x.dims.iter().zip(&begin).zip(size) {
        let rest = extent.saturating_sub(begin);
        dims.push(if size == -1 { rest } else { usize::try_from(size).unwrap_or(usize::MAX) });
    }
    sliced("slice", &begin, &dims, x, inputs, output)
}

/// (x, like): as many elements as `like` has, from `begin` on along each axis.
///
/// # Errors
/// When the slice does not lie within x, or the result does not fit.
pub(crate) fn slice_like(begin: &[i64], inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let ([x, like], output) = operands("slice", inputs, outputs)?;
    sliced("slice", &begin_of("slice", begin, x)?, &like.dims, x, inputs, output)
}

/// (dy, x₀, …): the part of dy that came from operand `index` of a concat along `axis`.
///
/// # Errors
/// When there is no such operand, or the part does not lie within dy.
pub(crate) fn concat_grad(axis: i32, index: u32, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    const OP: &str = "gradient of concat";
    let output = result(OP, inputs, outputs)?;
    let (Some(dy), Some(parts)) = (inputs.first(), inputs.get(1..)) else {
        return Err(KernelError::new(format!("{OP}: takes the result's gradient and the operands")));
    };
    let axis = axis_of(OP, axis, dy.dims.len())?;
    let Some(part) = parts.get(index as usize) else {
        return Err(KernelError::new(format!("{OP}: there is no operand {index} of {}", parts.len())));
    };
    if let Some(odd) = parts.iter().find(|part| part.dims.len() != dy.dims.len()) {
        return Err(KernelError::new(format!("{OP}: {odd} is no part of {dy}")));
    }
    let mut begin = Dims::from_elem(0, dy.dims.len());
    begin[axis] = parts[..index as usize].iter().map(|part| part.dims[axis]).fold(0, usize::saturating_add);
    sliced(OP, &begin, &part.dims, dy, inputs, output)
}

/// (x): repeated `multiples` times along each axis.
///
/// # Errors
/// When there is not one multiple an axis, or the result does not fit.
pub(crate) fn tile(multiples: &[u32], inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let ([x], output) = operands("tile", inputs, outputs)?;
    let dims = tiled_dims("tile", multiples, x)?;
    require_result("tile", inputs, output, x.dtype, &dims)?;
    let strides = strides_of(&x.dims);
    let axes = x.dims.iter().zip(&strides).zip(multiples);
    Ok(view(x, 0, output, axes.flat_map(|((&extent, &stride), &times)| [(times as usize, 0), (extent, stride)])))
}

/// The extents of x repeated `multiples` times.
pub(super) fn tiled_dims(op: &str, multiples: &[u32], x: &Spec) -> Result<Dims, KernelError> {
    if multiples.len() != x.dims.len() {
        let (given, axes) = (multiples.len(), x.dims.len());
        return Err(KernelError::new(format!("{op}: {given} multiples for the {axes} axes of {x}")));
    }
    Ok(x.dims.iter().zip(multiples).map(|(&extent, &times)| extent.saturating_mul(times as usize)).collect())
}

/// `begin` as indices, one an axis of `whole`.
pub(super) fn begin_of(op: &str, begin: &[i64], whole: &Spec) -> Result<Dims, KernelError> {
    let (given, axes) = (begin.len(), whole.dims.len());
    if given != axes {
        return Err(KernelError::new(format!("{op}: begins at {given} indices, not one for each axis of {whole}")));
    }
    let indices: Option<Dims> = begin.iter().map(|&index| usize::try_from(index).ok()).collect();
    indices.ok_or_else(|| KernelError::new(format!("{op}: begins at {begin:?}, before the start of {whole}")))
}

/// An error unless `dims` elements from `begin` on lie within `whole`.
pub(super) fn require_within(op: &str, begin: &[usize], dims: &[usize], whole: &Spec) -> Result<(), KernelError> {
    let fits = begin.len() == dims.len()
        && whole.dims.len() == dims.len()
        && whole.dims.iter().zip(begin).zip(dims).all(|((&all, &begin), &n)| begin <= all && n <= all - begin);
    if fits {
        return Ok(());
    }
    Err(KernelError::new(format!("{op}: {dims:?} elements from {begin:?} on do not lie within {whole}")))
}

fn sliced(
    op: &str,
    begin: &[usize],
    dims: &[usize],
    x: &Spec,
    inputs: &[Spec],
    output: &Spec,
) -> Result<Kernel, KernelError> {
    require_within(op, begin, dims, x)?;
    require_result(op, inputs, output, x.dtype, dims)?;
    let strides = strides_of(&x.dims);
    let offsets = begin.iter().zip(&strides).map(|(&begin, &stride)| begin.saturating_mul(stride));
    let offset = offsets.fold(0, usize::saturating_add);
    Ok(view(x, offset, output, dims.iter().copied().zip(strides)))
}

/// The kernel that copies x from `offset` on by extents and strides, given in the result's order; a stride may be
/// negative, in two's complement.
pub(super) fn view(x: &Spec, offset: usize, output: &Spec, axes: impl Iterator<Item = (usize, usize)>) -> Kernel {
    let source = Source { dtype: x.dtype, offset, len: x.len() };
    if output.is_empty() {
        let run = Axis { extent: 1, from: 1, to: 1 };
        return nothing(Rows { source, axes: SmallVec::new(), run, ranges: Ranges::of_elements(0, 0.0) });
    }
    let axes: SmallVec<[(usize, usize); 8]> = axes.collect();
    let to = strides_of(&axes.iter().map(|&(extent, _)| extent).collect::<Dims>());
    let mut axes = merge_axes(axes.iter().zip(to).map(|(&(extent, from), to)| Axis { extent, from, to }));
    let bytes = output.bytes();
    let run = axes.pop().unwrap_or(Axis { extent: 1, from: 1, to: 1 });
    let crossed = if run.from.cast_signed() > 1 { axes.iter().position(|axis| axis.from == 1) } else { None };
    if let Some(index) = crossed {
        let column = axes.remove(index);
        return Blocks::kernel(source, axes, column, run, bytes);
    }
    let cost = if (-1..=1).contains(&run.from.cast_signed()) {
        copy_cost(bytes, output.len() / run.extent)
    } else {
        let nanos = output.len() as f64 * (1.0 + ELEMENT_NANOS) + 2.0 * bytes as f64 / BYTES_PER_NANO;
        Cost { flops: 0.0, bytes: 2.0 * bytes as f64, nanos }
    };
    let ranges = Ranges::of_elements(output.len(), cost.nanos);
    Kernel::new(ranges.count(), cost, Rows { source, axes, run, ranges })
}

/// The operand of a view.
#[derive(Clone, Copy, Debug)]
struct Source {
    dtype: DType,
    offset: usize,
    len: usize,
}

/// Rows of the result, each of elements that lie one stride apart in the operand.
#[derive(Debug)]
struct Rows {
    source: Source,
    axes: SmallVec<[Axis; 6]>,
    run: Axis,
    ranges: Ranges,
}

impl Rows {
    /// # Safety
    /// As of [`Body::run`].
    unsafe fn copy<T: Word>(&self, args: &Args<'_>, tile: usize) {
        let range = self.ranges.get(tile);
        // SAFETY: the operand has `source.len` elements, and this range of the result is this tile's alone.
        let (x, y) = unsafe { (args.input::<T>(0, self.source.len), args.output::<T>(0, range.start, range.len())) };
        let mut walk = Walk::new(&self.axes, range.start / self.run.extent);
        for_each_row(range, self.run.extent, |_, columns, part| {
            let start = self.source.offset.wrapping_add(walk.from);
            let start = start.wrapping_add(columns.start.wrapping_mul(self.run.from));
            let to = &mut y[part];
            match self.run.from.cast_signed() {
                1 => copy_run(to, &x[start..]),
                0 => to.fill(x[start]),
                -1 => to.iter_mut().zip(x[..=start].iter().rev()).for_each(|(to, &from)| *to = from),
                stride => {
                    let step = stride.unsigned_abs();
                    if stride > 0 {
                        to.iter_mut().zip(x[start..].iter().step_by(step)).for_each(|(to, &from)| *to = from);
                    } else {
                        to.iter_mut().zip(x[..=start].iter().rev().step_by(step)).for_each(|(to, &from)| *to = from);
                    }
                }
            }
            walk.advance();
        });
    }
}

impl Body for Rows {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        // SAFETY: the caller's contract.
        with_word!(self.source.dtype, T => unsafe { self.copy::<T>(args, tile) });
        Ok(())
    }
}

/// Blocks of two axes that trade places: `column` is innermost in the operand, `run` in the result.
#[derive(Debug)]
struct Blocks {
    source: Source,
    /// The other axes, then the blocks along `column` and along `run`.
    axes: SmallVec<[Axis; 6]>,
    column: Axis,
    run: Axis,
    /// Elements of a block along `column` and along `run`.
    block: [usize; 2],
    ranges: Ranges,
}

impl Blocks {
    fn kernel(source: Source, mut axes: SmallVec<[Axis; 6]>, column: Axis, run: Axis, bytes: usize) -> Kernel {
        let along_run = run.extent.min(BLOCK / column.extent.min(SIDE));
        let block = [column.extent.min(BLOCK / along_run), along_run];
        for (axis, size) in [(column, block[0]), (run, block[1])] {
            let extent = axis.extent.div_ceil(size);
            axes.push(Axis { extent, from: axis.from * size, to: axis.to * size });
        }
        let blocks: usize = axes.iter().map(|axis| axis.extent).product();
        let elements = bytes / source.dtype.size();
        let bytes = 2.0 * bytes as f64;
        let rows = (blocks * block[0]) as f64;
        let nanos = elements as f64 * ELEMENT_NANOS + rows * RUN_NANOS + bytes / BYTES_PER_NANO;
        let ranges = Ranges::of_items(blocks, nanos);
        let cost = Cost { flops: 0.0, bytes, nanos };
        Kernel::new(ranges.count(), cost, Blocks { source, axes, column, run, block, ranges })
    }

    /// # Safety
    /// As of [`Body::run`].
    unsafe fn copy<T: Word>(&self, args: &Args<'_>, tile: usize) {
        // SAFETY: the operand has `source.len` elements.
        let x = unsafe { args.input::<T>(0, self.source.len) };
        let range = self.ranges.get(tile);
        let mut buffer = [T::default(); BLOCK];
        let mut walk = Walk::new(&self.axes, range.start);
        let (column_blocks, run_blocks) = (self.axes.len() - 2, self.axes.len() - 1);
        for _ in range {
            let columns = self.block[0].min(self.column.extent - walk.index[column_blocks] * self.block[0]);
            let len = self.block[1].min(self.run.extent - walk.index[run_blocks] * self.block[1]);
            let x = &x[self.source.offset.wrapping_add(walk.from)..];
            let stride = self.run.from;
            // Rows of the operand that are short and close together are read in place.
            let (x, stride) = if columns < 8 || len < 8 || stride * size_of::<T>() < 256 {
                (x, stride)
            } else {
                for (row, x) in buffer.chunks_exact_mut(columns).zip(x.chunks(stride)).take(len) {
                    row.copy_from_slice(&x[..columns]);
                }
                (&buffer[..columns * len], columns)
            };
            for column in 0..columns {
                // SAFETY: these elements of the result are of this block, and so of this tile, alone.
                let y = unsafe { args.output::<T>(0, walk.to + column * self.column.to, len) };
                y.iter_mut().zip(x[column..].iter().step_by(stride)).for_each(|(y, &x)| *y = x);
            }
            walk.advance();
        }
    }
}

impl Body for Blocks {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        // SAFETY: the caller's contract.
        with_word!(self.source.dtype, T => unsafe { self.copy::<T>(args, tile) });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use dormouse_value::{DType, Op};
    use proptest::prelude::*;

    use super::super::testing::{Array, any_dims, any_dtype, error, indices, run};
    use crate::Spec;

    fn expected(dims: &[usize], from: impl Fn(&[usize]) -> i64) -> Vec<i64> {
        indices(dims).iter().map(|index| from(index)).collect()
    }

    fn transposed(x: &Array, perm: &[usize]) {
        let dims: Vec<usize> = perm.iter().map(|&axis| x.spec.dims[axis]).collect();
        let expected = expected(&dims, |index| {
            let mut own = vec![0; index.len()];
            perm.iter().zip(index).for_each(|(&axis, &i)| own[axis] = i);
            x.at(&own)
        });
        let op = Op::Transpose { perm: perm.iter().map(|&axis| axis as u32).collect() };
        assert_eq!(run(&op, &[x], &Spec::new(x.spec.dtype, &dims)).unwrap(), expected, "{} by {perm:?}", x.spec);
    }

    prop_compose! {
        /// A shape, and a box within it: where it begins and its extents.
        fn boxed()(dims in any_dims())(
            ends in dims.iter().map(|&n| (0..=n, 0..=n)).collect::<Vec<_>>(), dims in Just(dims),
        ) -> (Vec<usize>, Vec<i64>, Vec<usize>) {
            let begin = ends.iter().map(|&(a, b)| a.min(b) as i64).collect();
            (dims, begin, ends.iter().map(|&(a, b)| a.abs_diff(b)).collect())
        }
    }

    proptest! {
        #[test]
        fn transpose_orders_axes(
            dims in any_dims(), dtype in any_dtype(), order in Just([0, 1, 2, 3]).prop_shuffle(),
        ) {
            let perm: Vec<usize> = order.into_iter().filter(|&axis| axis < dims.len()).collect();
            transposed(&Array::counting(dtype, &dims), &perm);
        }

        #[test]
        fn slice_takes_a_box((dims, begin, size) in boxed(), dtype in any_dtype(), rest in any::<bool>()) {
            let x = Array::counting(dtype, &dims);
            let extents: Vec<usize> = if rest {
                dims.iter().zip(&begin).map(|(&n, &begin)| n - begin as usize).collect()
            } else {
                size
            };
            let y = Spec::new(dtype, &extents);
            let expected = expected(&extents, |index| {
                x.at(&index.iter().zip(&begin).map(|(&i, &begin)| i + begin as usize).collect::<Vec<_>>())
            });
            let size = extents.iter().map(|&n| if rest { -1 } else { n as i64 }).collect();
            let begin: smallvec::SmallVec<[i64; 2]> = begin.into_iter().collect();
            prop_assert_eq!(&run(&Op::Slice { begin: begin.clone(), size }, &[&x], &y).unwrap(), &expected);
            let like = Array::counting(DType::F64, &extents);
            prop_assert_eq!(run(&Op::SliceLike { begin }, &[&x, &like], &y).unwrap(), expected);
        }

        #[test]
        fn tile_repeats(dims in any_dims(), dtype in any_dtype(), times in prop::array::uniform4(0..5_u32)) {
            let multiples = &times[..dims.len()];
            let extents: Vec<usize> = dims.iter().zip(multiples).map(|(&n, &m)| n * m as usize).collect();
            prop_assume!(extents.iter().product::<usize>() < 50_000);
            let x = Array::counting(dtype, &dims);
            let expected = expected(&extents, |index| {
                x.at(&index.iter().zip(&dims).map(|(&i, &n)| i % n).collect::<Vec<_>>())
            });
            let op = Op::Tile { multiples: multiples.iter().copied().collect() };
            prop_assert_eq!(run(&op, &[&x], &Spec::new(dtype, &extents)).unwrap(), expected);
        }

        #[test]
        fn concat_grad_takes_an_operands_part(
            dims in any_dims(), extents in prop::collection::vec(0..6_usize, 1..5), dtype in any_dtype(),
            axis in 0..4_usize, which in any::<prop::sample::Index>(),
        ) {
            prop_assume!(!dims.is_empty());
            let axis = axis % dims.len();
            let (index, mut whole) = (which.index(extents.len()), dims.clone());
            whole[axis] = extents.iter().sum();
            let dy = Array::counting(dtype, &whole);
            let parts: Vec<Array> = extents.iter().map(|&n| {
                let mut part = dims.clone();
                part[axis] = n;
                Array::counting(dtype, &part)
            }).collect();
            let before: usize = extents[..index].iter().sum();
            let expected = expected(&parts[index].spec.dims, |index| {
                let mut own = index.to_vec();
                own[axis] += before;
                dy.at(&own)
            });
            let operands: Vec<&Array> = std::iter::once(&dy).chain(&parts).collect();
            let op = Op::ConcatGrad { axis: axis as i32 - dims.len() as i32, index: index as u32 };
            prop_assert_eq!(run(&op, &operands, &parts[index].spec).unwrap(), expected);
        }
    }

    #[test]
    fn transposes_of_every_kind() {
        for dtype in [DType::U8, DType::F32, DType::I64] {
            // Blocks with and without rests, long and short sides, between other axes, far strides, kept inner axes.
            for (dims, perm) in [
                (&[70, 65][..], &[1, 0][..]),
                (&[3, 700], &[1, 0]),
                (&[700, 3], &[1, 0]),
                (&[1, 9], &[1, 0]),
                (&[2, 40, 5, 33], &[0, 3, 1, 2]),
                (&[2, 33, 3, 40], &[3, 2, 0, 1]),
                (&[40, 3, 2], &[0, 2, 1]),
                (&[4, 5, 6, 7], &[0, 2, 1, 3]),
                (&[2, 2, 2, 2, 2, 2, 2], &[6, 0, 5, 1, 4, 2, 3]),
                (&[], &[]),
            ] {
                transposed(&Array::counting(dtype, dims), perm);
            }
        }
    }

    #[test]
    fn an_empty_permutation_reverses() {
        let x = Array::counting(DType::I32, &[2, 3]);
        let op = Op::Transpose { perm: [].into_iter().collect() };
        assert_eq!(run(&op, &[&x], &Spec::new(DType::I32, &[3, 2])).unwrap(), [1, 16, 6, 21, 11, 26]);
    }

    #[test]
    fn a_slice_of_one_column_steps_through_rows() {
        let x = Array::counting(DType::F32, &[200, 3]);
        let op = Op::Slice { begin: [0, 2].into_iter().collect(), size: [-1, 1].into_iter().collect() };
        let y = run(&op, &[&x], &Spec::new(DType::F32, &[200, 1])).unwrap();
        assert_eq!(y, (0..200).map(|i| x.at(&[i, 2])).collect::<Vec<_>>());
    }

    #[test]
    fn misfits_are_errors() {
        let x = Spec::new(DType::F32, &[10, 4]);
        let op = Op::Transpose { perm: [0, 0].into_iter().collect() };
        assert_eq!(error(&op, &[&x], &x), "transpose: [0, 0] is not a permutation of the 2 axes of f32[10, 4]");
        let op = Op::Slice { begin: [8, 1].into_iter().collect(), size: [3, -1].into_iter().collect() };
        let y = Spec::new(DType::F32, &[3, 3]);
        assert_eq!(error(&op, &[&x], &y), "slice: [3, 3] elements from [8, 1] on do not lie within f32[10, 4]");
        let op = Op::Slice { begin: [-1, 1].into_iter().collect(), size: [3, -1].into_iter().collect() };
        assert_eq!(error(&op, &[&x], &y), "slice: begins at [-1, 1], before the start of f32[10, 4]");
        let op = Op::SliceLike { begin: [0].into_iter().collect() };
        assert_eq!(error(&op, &[&x, &y], &y), "slice: begins at 1 indices, not one for each axis of f32[10, 4]");
        let op = Op::Tile { multiples: [2].into_iter().collect() };
        assert_eq!(error(&op, &[&x], &x), "tile: 1 multiples for the 2 axes of f32[10, 4]");
        let op = Op::ConcatGrad { axis: 0, index: 2 };
        assert_eq!(error(&op, &[&x, &y, &y], &y), "gradient of concat: there is no operand 2 of 2");
        let op = Op::ConcatGrad { axis: 0, index: 1 };
        assert!(error(&op, &[&x, &x, &y], &y).contains("do not lie within"));
    }
}
