//! Copies into a larger result: concat, pad, and the gradient of a slice, which is a pad with zeros.
//!
//! Both walk the result in order, so that a tile is one range of it and every cache line is written once.

use dormouse_value::{DType, Dims, Real};
use smallvec::SmallVec;

use super::strided::{begin_of, require_within};
use super::{
    Axis, BYTES_PER_NANO, RUN_NANOS, Ranges, Walk, Word, around, axis_of, bits_of, copy_cost, copy_run, for_each_row,
    nothing, operands, require_result, result, with_word,
};
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// (x₀, …): joined along `axis`.
///
/// # Errors
/// When dtypes, ranks or the extents of another axis differ, or the result does not fit.
pub(crate) fn concat(axis: i32, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let output = result("concat", inputs, outputs)?;
    let Some(first) = inputs.first() else {
        return Err(KernelError::new("concat: takes at least one operand"));
    };
    let axis = axis_of("concat", axis, first.dims.len())?;
    let mut dims = first.dims.clone();
    for x in &inputs[1..] {
        let mut fitted = x.dims.clone();
        if fitted.len() == dims.len() {
            dims[axis] = dims[axis].saturating_add(fitted[axis]);
            fitted[axis] = first.dims[axis];
        }
        if x.dtype != first.dtype || fitted != first.dims {
            return Err(KernelError::new(format!("concat: {x} does not join {first} along axis {axis}")));
        }
    }
    require_result("concat", inputs, output, first.dtype, &dims)?;
    let (outer, _, inner) = around(&dims, axis);
    let mut pieces = Vec::with_capacity(inputs.len());
    let mut row = 0_usize;
    for (input, x) in inputs.iter().enumerate().filter(|(_, x)| !x.is_empty()) {
        let width = x.dims[axis].saturating_mul(inner);
        pieces.push(Piece { input, start: row, width, len: x.len() });
        row = row.saturating_add(width);
    }
    let mut runs = outer.saturating_mul(pieces.len());
    if let [only] = pieces.as_mut_slice() {
        (only.width, row, runs) = (only.len, only.len, 1);
    }
    // Finding the operand of a run takes as long as starting it.
    let cost = copy_cost(output.bytes(), runs.saturating_mul(2));
    let ranges = Ranges::of_elements(output.len(), cost.nanos);
    let body = Concat { dtype: first.dtype, pieces, width: row, ranges };
    Ok(if output.is_empty() { nothing(body) } else { Kernel::new(ranges.count(), cost, body) })
}

/// (x): `value` put around, as many before and after along each axis as `paddings` says.
///
/// # Errors
/// When there is not one padding an axis, or the result does not fit.
pub(crate) fn pad(
    paddings: &[[u32; 2]],
    value: Real,
    inputs: &[Spec],
    outputs: &[Spec],
) -> Result<Kernel, KernelError> {
    let ([x], output) = operands("pad", inputs, outputs)?;
    if paddings.len() != x.dims.len() {
        let (given, axes) = (paddings.len(), x.dims.len());
        return Err(KernelError::new(format!("pad: {given} paddings for the {axes} axes of {x}")));
    }
    let padded =
        |(&n, &[before, after]): (&usize, &[u32; 2])| n.saturating_add(before as usize).saturating_add(after as usize);
    let dims: Dims = x.dims.iter().zip(paddings).map(padded).collect();
    require_result("pad", inputs, output, x.dtype, &dims)?;
    let begin: Dims = paddings.iter().map(|&[before, _]| before as usize).collect();
    Ok(place(x, &begin, bits_of(value, x.dtype), output))
}

/// (dy, like): zeros of `like`'s shape with dy put at `begin`.
///
/// # Errors
/// When dy at `begin` does not lie within that shape.
pub(crate) fn slice_grad(begin: &[i64], inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    const OP: &str = "gradient of slice";
    let ([dy, like], output) = operands(OP, inputs, outputs)?;
    require_result(OP, inputs, output, dy.dtype, &like.dims)?;
    let begin = begin_of(OP, begin, like)?;
    require_within(OP, &begin, &dy.dims, like)?;
    Ok(place(dy, &begin, 0, output))
}

/// The kernel that puts x at `begin` into a result that is `fill` elsewhere.
fn place(x: &Spec, begin: &[usize], fill: u64, output: &Spec) -> Kernel {
    let mut boxes = SmallVec::<[Part; 6]>::new();
    if x.is_empty() || output.is_empty() {
        boxes.push(Part { begin: 0, extent: 0, whole: output.len() });
    } else {
        for ((&begin, &extent), &whole) in begin.iter().zip(&x.dims).zip(&output.dims) {
            match boxes.last_mut() {
                // An axis without padding is one with the axis before it.
                Some(last) if extent == whole => {
                    *last = Part { begin: last.begin * whole, extent: last.extent * whole, whole: last.whole * whole };
                }
                None if whole == 1 => {}
                Some(_) | None => boxes.push(Part { begin, extent, whole }),
            }
        }
    }
    let row = boxes.pop().unwrap_or(Part { begin: 0, extent: 1, whole: 1 });
    let bytes = (output.bytes() + x.bytes()) as f64;
    let nanos = (output.len() / row.whole.max(1)) as f64 * 2.0 * RUN_NANOS + bytes / BYTES_PER_NANO;
    let ranges = Ranges::of_elements(output.len(), nanos);
    let mut axes = SmallVec::<[Axis; 6]>::new();
    let (mut from, mut to) = (row.extent, row.whole);
    for part in boxes.iter().rev() {
        axes.insert(0, Axis { extent: part.whole, from, to });
        (from, to) = (from * part.extent, to * part.whole);
    }
    let start = boxes.iter().zip(&axes).map(|(part, axis)| part.begin * axis.from).sum();
    let body = Place { dtype: x.dtype, fill, len: x.len(), boxes, axes, start, row, ranges };
    if output.is_empty() {
        return nothing(body);
    }
    Kernel::new(ranges.count(), Cost { flops: 0.0, bytes, nanos }, body)
}

/// An operand's elements in a row of a concat.
#[derive(Clone, Copy, Debug)]
struct Piece {
    input: usize,
    /// The first of them in the row.
    start: usize,
    /// How many in a row.
    width: usize,
    /// How many in the operand.
    len: usize,
}

#[derive(Debug)]
struct Concat {
    dtype: DType,
    pieces: Vec<Piece>,
    width: usize,
    ranges: Ranges,
}

impl Concat {
    /// # Safety
    /// As of [`Body::run`].
    unsafe fn copy<T: Word>(&self, args: &Args<'_>, tile: usize) {
        let range = self.ranges.get(tile);
        // SAFETY: this range of the result is this tile's alone.
        let y = unsafe { args.output::<T>(0, range.start, range.len()) };
        for_each_row(range, self.width, |row, columns, part| {
            let first = self.pieces.partition_point(|piece| piece.start + piece.width <= columns.start);
            let mut y = &mut y[part];
            let mut column = columns.start;
            for piece in &self.pieces[first..] {
                if y.is_empty() {
                    break;
                }
                let skipped = column - piece.start;
                let len = (piece.width - skipped).min(y.len());
                // SAFETY: the operand has `len` elements.
                let x = unsafe { args.input::<T>(piece.input, piece.len) };
                let (to, rest) = y.split_at_mut(len);
                copy_run(to, &x[row * piece.width + skipped..]);
                y = rest;
                column += len;
            }
        });
    }
}

impl Body for Concat {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        // SAFETY: the caller's contract.
        with_word!(self.dtype, T => unsafe { self.copy::<T>(args, tile) });
        Ok(())
    }
}

/// What of an axis of the result is the operand's.
#[derive(Clone, Copy, Debug)]
struct Part {
    begin: usize,
    extent: usize,
    whole: usize,
}

/// A box of elements within a filled result.
#[derive(Debug)]
struct Place {
    dtype: DType,
    fill: u64,
    /// Elements of the operand.
    len: usize,
    /// The box along all axes but the innermost.
    boxes: SmallVec<[Part; 6]>,
    /// The same axes, to walk.
    axes: SmallVec<[Axis; 6]>,
    /// What the walk's offset is where the box begins.
    start: usize,
    /// The box along the innermost axis.
    row: Part,
    ranges: Ranges,
}

impl Place {
    /// # Safety
    /// As of [`Body::run`].
    unsafe fn copy<T: Word>(&self, args: &Args<'_>, tile: usize) {
        let range = self.ranges.get(tile);
        // SAFETY: the operand has `len` elements, and this range of the result is this tile's alone.
        let (x, y) = unsafe { (args.input::<T>(0, self.len), args.output::<T>(0, range.start, range.len())) };
        let fill = T::from_bits(self.fill);
        let (first, last) = (self.row.begin, self.row.begin + self.row.extent);
        let mut walk = Walk::new(&self.axes, range.start / self.row.whole);
        for_each_row(range, self.row.whole, |_, columns, part| {
            let y = &mut y[part];
            let inside = |(part, &index): (&Part, &usize)| index >= part.begin && index - part.begin < part.extent;
            if self.boxes.iter().zip(&walk.index).all(inside) {
                let before = first.clamp(columns.start, columns.end) - columns.start;
                let until = last.clamp(columns.start, columns.end) - columns.start;
                y[..before].fill(fill);
                if until > before {
                    let from = walk.from - self.start + columns.start + before - first;
                    copy_run(&mut y[before..until], &x[from..]);
                }
                y[until..].fill(fill);
            } else {
                y.fill(fill);
            }
            walk.advance();
        });
    }
}

impl Body for Place {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        // SAFETY: the caller's contract.
        with_word!(self.dtype, T => unsafe { self.copy::<T>(args, tile) });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use dormouse_value::{DType, Op, Real};
    use proptest::prelude::*;

    use super::super::testing::{Array, any_dims, any_dtype, error, fit, indices, run};
    use crate::Spec;

    proptest! {
        #[test]
        fn concat_joins(
            dims in any_dims(), extents in prop::collection::vec(0..6_usize, 1..5), dtype in any_dtype(),
            axis in 0..4_usize,
        ) {
            prop_assume!(!dims.is_empty());
            let axis = axis % dims.len();
            let shape = |extent: usize| {
                let mut dims = dims.clone();
                dims[axis] = extent;
                dims
            };
            let parts: Vec<Array> = extents.iter().map(|&n| Array::counting(dtype, &shape(n))).collect();
            let whole = Spec::new(dtype, &shape(extents.iter().sum()));
            let expected: Vec<i64> = indices(&whole.dims).into_iter().map(|mut index| {
                let mut part = 0;
                while index[axis] >= extents[part] {
                    index[axis] -= extents[part];
                    part += 1;
                }
                parts[part].at(&index)
            }).collect();
            let op = Op::Concat { axis: axis as i32 - dims.len() as i32 };
            prop_assert_eq!(run(&op, &parts.iter().collect::<Vec<_>>(), &whole).unwrap(), expected);
        }

        #[test]
        fn pad_puts_a_value_around(
            dims in any_dims(), dtype in any_dtype(), paddings in prop::array::uniform4(prop::array::uniform2(0..4_u32)),
            kept in 0..16_u32,
        ) {
            let paddings: Vec<[u32; 2]> = (0..dims.len())
                .map(|axis| if kept & (1 << axis) == 0 { paddings[axis] } else { [0, 0] })
                .collect();
            let x = Array::counting(dtype, &dims);
            let extents: Vec<usize> =
                dims.iter().zip(&paddings).map(|(&n, &[before, after])| n + (before + after) as usize).collect();
            let value = fit(dtype, 7);
            let own = |index: &[usize]| -> Option<Vec<usize>> {
                let axes = index.iter().zip(&dims).zip(&paddings);
                axes.map(|((&i, &n), &[before, _])| i.checked_sub(before as usize).filter(|&i| i < n)).collect()
            };
            let expected: Vec<i64> =
                indices(&extents).iter().map(|index| own(index).map_or(value, |own| x.at(&own))).collect();
            let y = Spec::new(dtype, &extents);
            let begin = paddings.iter().map(|&[before, _]| i64::from(before)).collect();
            let op = Op::Pad { paddings: paddings.iter().copied().collect(), value: Real(value as f64) };
            prop_assert_eq!(run(&op, &[&x], &y).unwrap(), expected);

            let expected: Vec<i64> =
                indices(&extents).iter().map(|index| own(index).map_or(0, |own| x.at(&own))).collect();
            let like = Array::counting(dtype, &extents);
            prop_assert_eq!(run(&Op::SliceGrad { begin }, &[&x, &like], &y).unwrap(), expected);
        }
    }

    #[test]
    fn values_are_cast_as_their_dtype_does() {
        let paddings = [[1, 0]].into_iter().collect();
        let op = Op::Pad { paddings, value: Real(-2.75) };
        for (dtype, value) in [(DType::I32, -2), (DType::I64, -2), (DType::U8, 0), (DType::Bool, 1), (DType::F64, -2)] {
            let x = Array::new(dtype, &[1], [1]);
            assert_eq!(run(&op, &[&x], &Spec::new(dtype, &[2])).unwrap(), [value, 1], "{dtype}");
        }
    }

    #[test]
    fn misfits_are_errors() {
        let x = Spec::new(DType::F32, &[10, 4]);
        let y = Spec::new(DType::F32, &[10, 2]);
        let op = Op::Concat { axis: 0 };
        assert_eq!(error(&op, &[&x, &y], &x), "concat: f32[10, 2] does not join f32[10, 4] along axis 0");
        let flat = Spec::new(DType::F32, &[10]);
        assert_eq!(error(&op, &[&x, &flat], &x), "concat: f32[10] does not join f32[10, 4] along axis 0");
        assert_eq!(error(&op, &[], &x), "concat: takes at least one operand");
        let scalar = Spec::new(DType::F32, &[]);
        assert_eq!(error(&op, &[&scalar, &scalar], &flat), "concat: axis 0 is not one of 0 axes");
        let op = Op::Pad { paddings: [[1, 1]].into_iter().collect(), value: Real(0.0) };
        assert_eq!(error(&op, &[&x], &x), "pad: 1 paddings for the 2 axes of f32[10, 4]");
        assert_eq!(error(&op, &[&flat], &flat), "pad: of f32[10] gives f32[12], not f32[10]");
        let op = Op::SliceGrad { begin: [1, 3].into_iter().collect() };
        assert!(error(&op, &[&y, &x], &x).contains("do not lie within f32[10, 4]"));
    }
}
