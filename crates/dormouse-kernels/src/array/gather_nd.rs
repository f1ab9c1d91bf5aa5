//! Slices at indices of several numbers.
//!
//! A separate file because an index names a place along several axes at once; the same places are changed by
//! `scatter_nd`.

use std::fmt::Write;

use dormouse_value::{DType, Dims};

use super::gather::{Index, with_index};
use super::{
    Ranges, Word, copy_cost, copy_run, for_each_row, nothing, operands, require_result, strides_of, with_word,
};
use crate::{Args, Body, Kernel, KernelError, Spec};

/// `(x [b.., e.., i..], indices [b.., p.., k]) → [b.., p.., i..]`.
///
/// # Errors
/// When indices are not i32 or i64, or shapes do not go together.
pub(crate) fn gather_nd(batch_dims: u32, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    const OP: &str = "gather_nd";
    let ([x, indices], output) = operands(OP, inputs, outputs)?;
    let places = Places::new(OP, batch_dims, x, indices)?;
    require_result(OP, inputs, output, x.dtype, &places.gathered)?;
    let mut cost = copy_cost(output.bytes(), places.batch.saturating_mul(places.count));
    cost.bytes += indices.bytes() as f64;
    cost.nanos += indices.len() as f64;
    let ranges = Ranges::of_elements(output.len(), cost.nanos);
    let body = GatherNd { dtype: x.dtype, len: x.len(), places, ranges };
    if output.is_empty() {
        return Ok(nothing(body));
    }
    Ok(Kernel { fallible: true, ..Kernel::new(ranges.count(), cost, body) })
}

/// Where indices of several numbers lead to in an array `[batch, e.., inner]`.
#[derive(Clone, Debug)]
pub(super) struct Places {
    dtype: DType,
    /// The indices' extents.
    dims: Dims,
    /// The array's extents e.
    extents: Dims,
    /// Slices from one index along each e to the next.
    strides: Dims,
    /// Parts of the array that have indices of their own.
    pub(super) batch: usize,
    /// Slices in each.
    pub(super) slices: usize,
    /// Indices in each.
    pub(super) count: usize,
    /// Elements of a slice.
    pub(super) inner: usize,
    /// The extents of what is gathered.
    pub(super) gathered: Dims,
}

impl Places {
    pub(super) fn new(op: &str, batch_dims: u32, x: &Spec, indices: &Spec) -> Result<Self, KernelError> {
        if !matches!(indices.dtype, DType::I32 | DType::I64) {
            return Err(KernelError::new(format!("{op}: indices are i32 or i64, not {indices}")));
        }
        let batch = batch_dims as usize;
        let misfit = || KernelError::new(format!("{op}: {indices} are no indices of {x}"));
        let (depth, before) = indices.dims.split_last().ok_or_else(misfit)?;
        let named = batch.checked_add(*depth).ok_or_else(misfit)?;
        let (Some(outer), Some(extents), Some(inner)) =
            (x.dims.get(..batch), x.dims.get(batch..named), x.dims.get(named..))
        else {
            return Err(misfit());
        };
        if before.get(..batch) != Some(outer) {
            return Err(misfit());
        }
        let product = |dims: &[usize]| dims.iter().copied().fold(1, usize::saturating_mul);
        Ok(Places {
            dtype: indices.dtype,
            dims: indices.dims.clone(),
            extents: extents.into(),
            strides: strides_of(extents),
            batch: product(outer),
            slices: product(extents),
            count: product(&before[batch..]),
            inner: product(inner),
            gathered: before.iter().chain(inner).copied().collect(),
        })
    }

    /// Indices of all parts.
    pub(super) fn len(&self) -> usize {
        self.batch * self.count * self.extents.len()
    }

    pub(super) fn index_dtype(&self) -> DType {
        self.dtype
    }

    /// The slice that index number `position` of all names, counted in its part; `None` where it is outside.
    pub(super) fn slice<I: Index>(&self, indices: &[I], position: usize) -> Option<usize> {
        let depth = self.extents.len();
        let numbers = &indices[position * depth..][..depth];
        let mut slice = 0;
        for ((number, extent), stride) in numbers.iter().zip(&self.extents).zip(&self.strides) {
            slice += number.within(*extent)? * stride;
        }
        Some(slice)
    }

    /// What is wrong with the first index that is outside; nothing where none is.
    pub(super) fn check<I: Index>(&self, indices: &[I]) -> Result<(), KernelError> {
        let Some(first) = (0..self.batch * self.count).find(|position| self.slice(indices, *position).is_none()) else {
            return Ok(());
        };
        let depth = self.extents.len();
        let numbers: Vec<i64> = indices[first * depth..][..depth].iter().map(|n| (*n).into()).collect();
        let mut coordinates = Dims::new();
        let mut position = first;
        for &extent in self.dims[..self.dims.len() - 1].iter().rev() {
            coordinates.push(position % extent);
            position /= extent;
        }
        let mut message = String::from("indices");
        for (i, coordinate) in coordinates.iter().rev().enumerate() {
            // Writing to a string does not fail.
            let _ = write!(message, "{}{coordinate}", if i == 0 { '[' } else { ',' });
        }
        let close = if coordinates.is_empty() { "" } else { "]" };
        let _ = write!(message, "{close} = {numbers:?} is not within {:?}", self.extents.as_slice());
        Err(KernelError::new(message))
    }
}

#[derive(Debug)]
struct GatherNd {
    dtype: DType,
    /// Elements of x.
    len: usize,
    places: Places,
    ranges: Ranges,
}

impl GatherNd {
    /// # Safety
    /// As of [`Body::run`].
    unsafe fn copy<T: Word, I: Index>(&self, args: &Args<'_>, tile: usize) -> Result<(), KernelError> {
        let range = self.ranges.get(tile);
        let places = &self.places;
        // SAFETY: x and the indices have as many elements, and this range of the result is this tile's alone.
        let (x, indices, y) = unsafe {
            let indices = args.input::<I>(1, places.len());
            (args.input::<T>(0, self.len), indices, args.output::<T>(0, range.start, range.len()))
        };
        let mut inside = true;
        for_each_row(range, places.inner, |row, columns, part| {
            if let Some(slice) = places.slice(indices, row) {
                let slice = row / places.count * places.slices + slice;
                copy_run(&mut y[part], &x[slice * places.inner + columns.start..]);
            } else {
                inside = false;
            }
        });
        if inside { Ok(()) } else { places.check(indices) }
    }
}

impl Body for GatherNd {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        // SAFETY: the caller's contract.
        with_word!(self.dtype, T => with_index!(self.places.dtype, I => unsafe { self.copy::<T, I>(args, tile) }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use dormouse_value::{DType, Op};
    use proptest::prelude::*;

    use super::super::testing::{Array, any_dims, any_dtype, error, indices, run, scattered};
    use crate::Spec;

    proptest! {
        #[test]
        fn slices_are_those_that_indices_name(
            dims in any_dims(), dtype in any_dtype(), batch in 0..3_usize, depth in 0..3_usize,
            at in prop::collection::vec(0..5_usize, 0..3), wide in any::<bool>(), seed in any::<u64>(),
        ) {
            prop_assume!(batch + depth <= dims.len() && dims[batch..batch + depth].iter().all(|n| *n > 0));
            let (outer, extents, inner) = (&dims[..batch], &dims[batch..batch + depth], &dims[batch + depth..]);
            let places = [outer, &at].concat();
            let count: usize = places.iter().product();
            let columns: Vec<Vec<i64>> = (0..).zip(extents).map(|(i, n)| scattered(count, *n, seed + i)).collect();
            let numbers = (0..count).flat_map(|row| columns.iter().map(move |column| column[row]));
            let dtype_of_index = if wide { DType::I64 } else { DType::I32 };
            let index = Array::new(dtype_of_index, &[places.as_slice(), &[depth]].concat(), numbers);
            let x = Array::counting(dtype, &dims);
            let y = Spec::new(dtype, &[places.as_slice(), inner].concat());
            let expected: Vec<i64> = indices(&y.dims).iter().map(|own| {
                let (place, rest) = own.split_at(places.len());
                let named = (0..depth).map(|k| index.at(&[place, &[k]].concat()) as usize);
                x.at(&place[..batch].iter().copied().chain(named).chain(rest.iter().copied()).collect::<Vec<_>>())
            }).collect();
            let op = Op::GatherNd { batch_dims: batch as u32 };
            prop_assert_eq!(run(&op, &[&x, &index], &y).unwrap(), expected);
        }
    }

    #[test]
    fn an_index_outside_is_an_error_that_names_the_first() {
        let x = Array::counting(DType::F32, &[2, 3, 4]);
        let at = Array::new(DType::I32, &[1, 3, 2], [0, 0, 1, 3, -1, 0]);
        let y = Spec::new(DType::F32, &[1, 3, 4]);
        let message = run(&Op::GatherNd { batch_dims: 0 }, &[&x, &at], &y).unwrap_err().to_string();
        assert_eq!(message, "indices[0,1] = [1, 3] is not within [2, 3]");
        let at = Array::new(DType::I64, &[1], [2]);
        let message = run(&Op::GatherNd { batch_dims: 0 }, &[&x, &at], &Spec::new(DType::F32, &[3, 4])).unwrap_err();
        assert_eq!(message.to_string(), "indices = [2] is not within [2]");
    }

    #[test]
    fn misfits_are_errors() {
        let x = Spec::new(DType::F32, &[2, 3]);
        let op = Op::GatherNd { batch_dims: 0 };
        assert_eq!(error(&op, &[&x, &x], &x), "gather_nd: indices are i32 or i64, not f32[2, 3]");
        let at = Spec::new(DType::I32, &[5, 3]);
        assert_eq!(error(&op, &[&x, &at], &x), "gather_nd: i32[5, 3] are no indices of f32[2, 3]");
        assert!(error(&Op::GatherNd { batch_dims: 1 }, &[&x, &at], &x).contains("are no indices of"));
        assert!(error(&op, &[&x, &Spec::new(DType::I32, &[])], &x).contains("are no indices of"));
    }
}
