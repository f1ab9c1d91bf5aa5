//! Strided slices and their gradient: every other element, backwards, axes left out and put in.
//!
//! A separate file because places count by the parts that a slice is made of. The copy itself is a view's.

use dormouse_value::{DType, Dims, Part};
use smallvec::SmallVec;

use super::strided::view;
use super::{
    Axis, BYTES_PER_NANO, RUN_NANOS, Ranges, Walk, Word, for_each_row, merge_axes, nothing, operands, require_result,
    strides_of, with_word,
};
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// (x): a part of each axis.
///
/// # Errors
/// When a part is outside of x, or the result does not fit.
pub(crate) fn strided_slice(parts: &[Part], inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    const OP: &str = "strided_slice";
    let ([x], output) = operands(OP, inputs, outputs)?;
    let slice = Slice::new(OP, parts, x)?;
    require_result(OP, inputs, output, x.dtype, &slice.dims)?;
    Ok(view(x, slice.offset, output, slice.axes.into_iter()))
}

/// (dy, like): zeros of `like`'s shape with dy put where the slice took it.
///
/// # Errors
/// When dy is not what such a slice of `like` gives.
pub(crate) fn strided_slice_grad(parts: &[Part], inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    const OP: &str = "gradient of strided_slice";
    let ([dy, like], output) = operands(OP, inputs, outputs)?;
    require_result(OP, inputs, output, dy.dtype, &like.dims)?;
    let slice = Slice::new(OP, parts, like)?;
    if slice.dims != dy.dims {
        let taken = Spec::new(dy.dtype, &slice.dims);
        return Err(KernelError::new(format!("{OP}: a slice of {like} is {taken}, not {dy}")));
    }
    let from = strides_of(&slice.axes.iter().map(|&(extent, _)| extent).collect::<Dims>());
    let axes = slice.axes.iter().zip(from).map(|(&(extent, to), from)| Axis { extent, from, to });
    let mut axes = merge_axes(axes);
    let run = axes.pop().unwrap_or(Axis { extent: 1, from: 1, to: 1 });
    let runs = dy.len() / run.extent.max(1);
    let nanos = runs as f64 * RUN_NANOS + (output.bytes() + 3 * dy.bytes()) as f64 / BYTES_PER_NANO;
    let cost = Cost { flops: 0.0, bytes: (output.bytes() + 3 * dy.bytes()) as f64, nanos };
    let zeros = Ranges::of_elements(output.len(), nanos / 2.0);
    let ranges = Ranges::of_elements(dy.len(), nanos / 2.0);
    let body = SliceGrad { dtype: dy.dtype, len: dy.len(), offset: slice.offset, axes, run, zeros, ranges };
    if output.is_empty() {
        return Ok(nothing(body));
    }
    let tiles = if dy.is_empty() { 0 } else { ranges.count() };
    let phases = [zeros.count(), tiles].into_iter().filter(|tiles| *tiles > 0).collect();
    Ok(Kernel { phases, ..Kernel::new(1, cost, body) })
}

/// Where the elements of a slice are.
struct Slice {
    /// The slice's extents.
    dims: Dims,
    /// The first element.
    offset: usize,
    /// Extents and strides, axis by axis of the operand.
    axes: SmallVec<[(usize, usize); 6]>,
}

impl Slice {
    fn new(op: &str, parts: &[Part], x: &Spec) -> Result<Self, KernelError> {
        let told = |message: String| KernelError::new(format!("{op}: {message}, {x}"));
        let parts = Part::for_rank(parts, x.dims.len()).map_err(told)?;
        let strides = strides_of(&x.dims);
        let mut slice = Slice { dims: Dims::new(), offset: 0, axes: SmallVec::new() };
        let mut axis = 0;
        for part in parts {
            if !part.takes_axis() {
                slice.dims.push(1);
                continue;
            }
            let (extent, stride) = (x.dims[axis], strides[axis]);
            axis += 1;
            let Some((first, count)) = part.span(extent as u64) else {
                return Err(KernelError::new(format!("{op}: {part:?} is outside of an axis of {x}")));
            };
            let count = count as usize;
            slice.offset = slice.offset.saturating_add((first as usize).saturating_mul(stride));
            match part {
                Part::Range { step, .. } => {
                    slice.dims.push(count);
                    slice.axes.push((count, (step as usize).wrapping_mul(stride)));
                }
                Part::Index(_) | Part::NewAxis | Part::Rest => {}
            }
        }
        Ok(slice)
    }
}

/// Phase 0 clears the result, phase 1 puts dy, each element where no other goes.
#[derive(Debug)]
struct SliceGrad {
    dtype: DType,
    /// Elements of dy.
    len: usize,
    offset: usize,
    axes: SmallVec<[Axis; 6]>,
    run: Axis,
    zeros: Ranges,
    ranges: Ranges,
}

impl SliceGrad {
    /// # Safety
    /// As of [`Body::run`] in phase 0.
    unsafe fn clear<T: Word>(&self, args: &Args<'_>, tile: usize) {
        let range = self.zeros.get(tile);
        // SAFETY: this range of the result is this tile's alone.
        let y = unsafe { args.output::<T>(0, range.start, range.len()) };
        y.fill(T::default());
    }

    /// # Safety
    /// As of [`Body::run`] in phase 1.
    unsafe fn put<T: Word>(&self, args: &Args<'_>, tile: usize) {
        let range = self.ranges.get(tile);
        // SAFETY: dy has `len` elements.
        let dy = unsafe { args.input::<T>(0, self.len) };
        let dy = &dy[range.clone()];
        let mut walk = Walk::new(&self.axes, range.start / self.run.extent);
        for_each_row(range, self.run.extent, |_, columns, part| {
            let start = self.offset.wrapping_add(walk.to).wrapping_add(columns.start.wrapping_mul(self.run.to));
            let from = &dy[part];
            if self.run.to == 1 {
                // SAFETY: these places lie within the result, and an element of dy has its place for itself.
                let y = unsafe { args.output::<T>(0, start, from.len()) };
                y.copy_from_slice(from);
            } else {
                for (i, &x) in from.iter().enumerate() {
                    // SAFETY: as above.
                    let y = unsafe { args.output::<T>(0, start.wrapping_add(i.wrapping_mul(self.run.to)), 1) };
                    y[0] = x;
                }
            }
            walk.advance();
        });
    }
}

impl Body for SliceGrad {
    unsafe fn run(&self, args: &Args<'_>, phase: usize, tile: usize) -> Result<(), KernelError> {
        // SAFETY: the caller's contract.
        with_word!(self.dtype, T => unsafe {
            if phase == 0 { self.clear::<T>(args, tile) } else { self.put::<T>(args, tile) }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use dormouse_value::{DType, Op, Part};
    use proptest::prelude::*;

    use super::super::testing::{Array, any_dims, any_dtype, error, indices, run};
    use crate::Spec;

    /// The places that a part takes of an axis of n.
    fn places(part: Part, n: usize) -> Vec<usize> {
        let Part::Range { step, .. } = part else { return vec![part.span(n as u64).unwrap().0 as usize] };
        let (first, count) = part.span(n as u64).unwrap();
        (0..count as i64).map(|i| (first as i64 + i * step) as usize).collect()
    }

    fn any_part() -> impl Strategy<Value = Part> {
        let end = || prop_oneof![Just(None), (-7..7_i64).prop_map(Some)];
        let range = (end(), end(), prop_oneof![1..4_i64, -3..0_i64]).prop_map(|(begin, end, step)| Part::Range {
            begin,
            end,
            step,
        });
        prop_oneof![4 => range, 1 => (-6..6_i64).prop_map(Part::Index), 1 => Just(Part::NewAxis)]
    }

    proptest! {
        #[test]
        fn slices_take_parts_and_their_gradients_put_them_back(
            dims in any_dims(), dtype in any_dtype(), given in prop::collection::vec(any_part(), 0..6),
        ) {
            let mut parts = given;
            while parts.iter().filter(|part| part.takes_axis()).count() > dims.len() {
                parts.pop();
            }
            let whole = Part::for_rank(&parts, dims.len()).unwrap();
            let own: Vec<Part> = whole.iter().copied().filter(|part| part.takes_axis()).collect();
            prop_assume!(own.iter().zip(&dims).all(|(part, n)| part.span(*n as u64).is_some()));
            let taken: Vec<Vec<usize>> = own.iter().zip(&dims).map(|(part, n)| places(*part, *n)).collect();
            let all: Vec<usize> = taken.iter().map(Vec::len).collect();
            let mut extents = Vec::new();
            let mut axis = 0;
            for part in &whole {
                match part {
                    Part::NewAxis => extents.push(1),
                    Part::Range { .. } => { extents.push(all[axis]); axis += 1 }
                    Part::Index(_) | Part::Rest => axis += 1,
                }
            }
            let sources: Vec<Vec<usize>> = indices(&all)
                .iter()
                .map(|index| index.iter().zip(&taken).map(|(i, places)| places[*i]).collect())
                .collect();
            let x = Array::counting(dtype, &dims);
            let y = Spec::new(dtype, &extents);
            let expected: Vec<i64> = sources.iter().map(|place| x.at(place)).collect();
            let parts: smallvec::SmallVec<[Part; 1]> = parts.into_iter().collect();
            prop_assert_eq!(run(&Op::StridedSlice { parts: parts.clone() }, &[&x], &y).unwrap(), expected);

            let dy = Array::counting(dtype, &extents);
            let mut expected = Array::new(dtype, &dims, vec![0; x.numbers.len()]);
            for (place, number) in sources.iter().zip(&dy.numbers) {
                let position = place.iter().zip(&dims).fold(0, |position, (&i, &n)| position * n + i);
                expected.numbers[position] = *number;
            }
            let got = run(&Op::StridedSliceGrad { parts }, &[&dy, &x], &x.spec).unwrap();
            prop_assert_eq!(got, expected.numbers);
        }
    }

    #[test]
    fn long_axes_are_taken_backwards() {
        let x = Array::counting(DType::F32, &[50, 70]);
        let back = Part::Range { begin: None, end: None, step: -1 };
        let other = Part::Range { begin: None, end: None, step: -2 };
        for (parts, columns) in [([back, back], 70), ([Part::WHOLE, other], 35), ([back, Part::WHOLE], 70)] {
            let [rows, places] = [places(parts[0], 50), places(parts[1], 70)];
            let expected: Vec<i64> = rows.iter().flat_map(|r| places.iter().map(|c| x.at(&[*r, *c]))).collect();
            let op = Op::StridedSlice { parts: parts.into_iter().collect() };
            assert_eq!(run(&op, &[&x], &Spec::new(DType::F32, &[50, columns])).unwrap(), expected);
        }
    }

    #[test]
    fn misfits_are_errors() {
        let x = Spec::new(DType::F32, &[10, 4]);
        let y = Spec::new(DType::F32, &[4]);
        let op = Op::StridedSlice { parts: [Part::Index(10)].into_iter().collect() };
        assert_eq!(error(&op, &[&x], &y), "strided_slice: Index(10) is outside of an axis of f32[10, 4]");
        let op = Op::StridedSlice { parts: [Part::WHOLE; 3].into_iter().collect() };
        assert_eq!(error(&op, &[&x], &y), "strided_slice: is about 3 axes, of 2, f32[10, 4]");
        let op = Op::StridedSliceGrad { parts: [Part::Index(1)].into_iter().collect() };
        assert_eq!(
            error(&op, &[&x, &x], &x),
            "gradient of strided_slice: a slice of f32[10, 4] is f32[4], not f32[10, 4]"
        );
    }
}
