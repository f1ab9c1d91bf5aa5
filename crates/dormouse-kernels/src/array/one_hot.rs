//! One-hot: indices as vectors.
//!
//! A separate file because it reads indices only and cannot fail: an index outside is `off` throughout.

use dormouse_value::{DType, Real};

use super::gather::{Index, with_index};
use super::{
    BYTES_PER_NANO, Ranges, Word, around, axis_of, bits_of, for_each_row, nothing, operands, require_result, with_word,
};
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// What [`one_hot`] puts where, and in which dtype.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OneHotValues {
    /// Extent of the new axis.
    pub(crate) depth: u32,
    /// Place of the new axis; negative counts from the result's end.
    pub(crate) axis: i32,
    /// Value at the index.
    pub(crate) on: Real,
    /// Value elsewhere.
    pub(crate) off: Real,
    /// The result's dtype.
    pub(crate) dtype: DType,
}

/// (indices): `on` at the index along the new axis, `off` elsewhere.
///
/// # Errors
/// When indices are not i8, i32, i64 or u8, or the result does not fit.
pub(crate) fn one_hot(values: OneHotValues, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let ([indices], output) = operands("one_hot", inputs, outputs)?;
    let axis = axis_of("one_hot", values.axis, indices.dims.len() + 1)?;
    if !matches!(indices.dtype, DType::I8 | DType::I32 | DType::I64 | DType::U8) {
        return Err(KernelError::new(format!("one_hot: indices are i8, i32, i64 or u8, not {indices}")));
    }
    let mut dims = indices.dims.clone();
    dims.insert(axis, values.depth as usize);
    require_result("one_hot", inputs, output, values.dtype, &dims)?;
    let (_, depth, inner) = around(&dims, axis);
    let bytes = (output.bytes() + indices.bytes()) as f64;
    let steps = if inner == 1 { indices.len() as f64 * 3.0 } else { output.len() as f64 };
    let cost = Cost { flops: 0.0, bytes, nanos: bytes / BYTES_PER_NANO + steps };
    let ranges = Ranges::of_elements(output.len(), cost.nanos);
    let body = OneHot {
        dtype: values.dtype,
        indices: indices.dtype,
        count: indices.len(),
        depth,
        inner,
        on: bits_of(values.on, values.dtype),
        off: bits_of(values.off, values.dtype),
        ranges,
    };
    Ok(if output.is_empty() { nothing(body) } else { Kernel::new(ranges.count(), cost, body) })
}

#[derive(Debug)]
struct OneHot {
    dtype: DType,
    indices: DType,
    count: usize,
    depth: usize,
    inner: usize,
    on: u64,
    off: u64,
    ranges: Ranges,
}

impl OneHot {
    /// # Safety
    /// As of [`Body::run`].
    unsafe fn fill<T: Word, I: Index>(&self, args: &Args<'_>, tile: usize) {
        let range = self.ranges.get(tile);
        // SAFETY: there are `count` indices, and this range of the result is this tile's alone.
        let (indices, y) = unsafe { (args.input::<I>(0, self.count), args.output::<T>(0, range.start, range.len())) };
        let (on, off) = (T::from_bits(self.on), T::from_bits(self.off));
        if self.inner == 1 {
            y.fill(off);
            for_each_row(range, self.depth, |row, columns, part| {
                if let Some(index) = indices[row].within(self.depth)
                    && columns.contains(&index)
                {
                    y[part.start + index - columns.start] = on;
                }
            });
        } else {
            for_each_row(range, self.inner, |row, columns, part| {
                let (outer, depth) = (row / self.depth, (row % self.depth) as i64);
                let indices = &indices[outer * self.inner..][columns];
                for (y, &index) in y[part].iter_mut().zip(indices) {
                    *y = if index.into() == depth { on } else { off };
                }
            });
        }
    }
}

impl Body for OneHot {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        // SAFETY: the caller's contract.
        with_word!(self.dtype, T => unsafe {
            if self.indices == DType::U8 {
                self.fill::<T, u8>(args, tile);
            } else if self.indices == DType::I8 {
                self.fill::<T, i8>(args, tile);
            } else {
                with_index!(self.indices, I => self.fill::<T, I>(args, tile));
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use dormouse_value::{DType, Op, Real};
    use proptest::prelude::*;

    use super::super::testing::{Array, any_dims, any_dtype, error, fit, indices, run, scattered};
    use crate::Spec;

    proptest! {
        #[test]
        fn one_hot_compares(
            dims in any_dims(), dtype in any_dtype(), depth in 0..9_u32, place in 0..5_i32, kind in 0..4_usize, seed in any::<u64>(),
        ) {
            let rank = dims.len() as i32 + 1;
            let axis = place % rank;
            let index_dtype = [DType::I32, DType::I64, DType::U8, DType::I8][kind];
            let below = if index_dtype == DType::U8 { 0 } else { -2 };
            let count = dims.iter().product();
            let at = Array::new(index_dtype, &dims, scattered(count, 12, seed).into_iter().map(|n| n + below));
            let mut extents = dims;
            extents.insert(axis as usize, depth as usize);
            let expected: Vec<i64> = indices(&extents).iter().map(|index| {
                let mut outer = index.clone();
                let d = outer.remove(axis as usize);
                fit(dtype, if at.at(&outer) == d as i64 { 1 } else { 4 })
            }).collect();
            let axis = if place % 2 == 0 { axis } else { axis - rank };
            let op = Op::OneHot { depth, axis, on: Real(1.0), off: Real(fit(dtype, 4) as f64), dtype };
            prop_assert_eq!(run(&op, &[&at], &Spec::new(dtype, &extents)).unwrap(), expected);
        }
    }

    #[test]
    fn misfits_are_errors() {
        let x = Spec::new(DType::Bool, &[10, 4]);
        let op = Op::OneHot { depth: 3, axis: -1, on: Real(1.0), off: Real(0.0), dtype: DType::F32 };
        assert_eq!(error(&op, &[&x], &x), "one_hot: indices are i8, i32, i64 or u8, not bool[10, 4]");
        let at = Spec::new(DType::I32, &[2]);
        assert_eq!(error(&op, &[&at], &at), "one_hot: of i32[2] gives f32[2, 3], not i32[2]");
        let op = Op::OneHot { depth: 3, axis: -3, on: Real(1.0), off: Real(0.0), dtype: DType::F32 };
        assert_eq!(error(&op, &[&at], &at), "one_hot: axis -3 is not one of 2 axes");
    }
}
