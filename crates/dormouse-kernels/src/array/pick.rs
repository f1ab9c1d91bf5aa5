//! Elements of rows that each row's own indices name: taken, and put back.
//!
//! A separate file because both go row by row: a row is one tile's alone, so that what is added up is added in order.

use dormouse_value::DType;

use super::gather::{Index, with_index};
use super::{BYTES_PER_NANO, Number, Ranges, Word, nothing, operands, require_result, with_number, with_word};
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// Rows with as many indices each.
#[derive(Clone, Copy, Debug)]
struct Rows {
    /// The dtype of what is taken.
    dtype: DType,
    indices: DType,
    /// Elements of a row.
    extent: usize,
    /// Indices of a row.
    count: usize,
    ranges: Ranges,
}

impl Rows {
    fn new(op: &str, rows: &Spec, indices: &Spec) -> Result<(Rows, f64), KernelError> {
        let told = || KernelError::new(format!("{op}: rows of {rows} are not those of the indices, {indices}"));
        let (extent, before) = rows.dims.split_last().ok_or_else(told)?;
        let (count, own) = indices.dims.split_last().ok_or_else(told)?;
        if before != own || !matches!(indices.dtype, DType::I32 | DType::I64) {
            return Err(told());
        }
        let nanos = indices.len() as f64 * 1.5;
        let ranges = Ranges::of_items(before.iter().product(), nanos);
        Ok((Rows { dtype: rows.dtype, indices: indices.dtype, extent: *extent, count: *count, ranges }, nanos))
    }

    fn len(&self) -> usize {
        self.ranges.len * self.extent
    }

    fn indices(&self) -> usize {
        self.ranges.len * self.count
    }

    /// The index, where it is one of a row's elements.
    fn place<I: Index>(&self, index: I) -> Result<usize, KernelError> {
        index.within(self.extent).ok_or_else(|| {
            let index: i64 = index.into();
            KernelError::new(format!("indices: {index} is not in [0, {})", self.extent))
        })
    }
}

/// `(x [.., n], indices [.., k]) → [.., k]`.
///
/// # Errors
/// When rows and indices do not go together.
pub(crate) fn pick(inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let ([x, indices], output) = operands("pick", inputs, outputs)?;
    let (rows, nanos) = Rows::new("pick", x, indices)?;
    require_result("pick", inputs, output, x.dtype, &indices.dims)?;
    if output.is_empty() {
        return Ok(nothing(Pick(rows)));
    }
    let bytes = (2 * output.bytes() + indices.bytes()) as f64;
    let cost = Cost { flops: 0.0, bytes, nanos: nanos + bytes / BYTES_PER_NANO };
    Ok(Kernel { fallible: true, ..Kernel::new(rows.ranges.count(), cost, Pick(rows)) })
}

#[derive(Debug)]
struct Pick(Rows);

impl Pick {
    /// # Safety
    /// As of [`Body::run`].
    unsafe fn tile<T: Word, I: Index>(&self, args: &Args<'_>, tile: usize) -> Result<(), KernelError> {
        let Rows { extent, count, .. } = self.0;
        // SAFETY: there are as many elements and indices.
        let (x, indices) = unsafe { (args.input::<T>(0, self.0.len()), args.input::<I>(1, self.0.indices())) };
        for row in self.0.ranges.get(tile) {
            // SAFETY: rows are one tile's alone.
            let y = unsafe { args.output::<T>(0, row * count, count) };
            for (y, index) in y.iter_mut().zip(&indices[row * count..]) {
                *y = x[row * extent + self.0.place(*index)?];
            }
        }
        Ok(())
    }
}

impl Body for Pick {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        // SAFETY: the caller's contract.
        with_word!(self.0.dtype, T => with_index!(self.0.indices, I => unsafe { self.tile::<T, I>(args, tile) }))
    }
}

/// `(dy [.., k], indices [.., k], like [.., n])`: zeros of `like`'s shape, dy added.
///
/// # Errors
/// When rows and indices do not go together, or dy is boolean.
pub(crate) fn pick_grad(inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    const OP: &str = "gradient of pick";
    let ([dy, indices, like], output) = operands(OP, inputs, outputs)?;
    let (rows, nanos) = Rows::new(OP, &Spec { dtype: dy.dtype, dims: like.dims.clone() }, indices)?;
    require_result(OP, inputs, output, dy.dtype, &like.dims)?;
    if dy.dims != indices.dims || dy.dtype == DType::Bool {
        return Err(KernelError::new(format!("{OP}: takes numbers for the indices {indices}, not {dy}")));
    }
    let bytes = (output.bytes() + 3 * dy.bytes() + indices.bytes()) as f64;
    let nanos = nanos + bytes / BYTES_PER_NANO;
    let rows = Rows { ranges: Ranges::of_items(rows.ranges.len, nanos), ..rows };
    if output.is_empty() && dy.is_empty() {
        return Ok(nothing(PickGrad(rows)));
    }
    let cost = Cost { flops: dy.len() as f64, bytes, nanos };
    Ok(Kernel { fallible: true, ..Kernel::new(rows.ranges.count(), cost, PickGrad(rows)) })
}

#[derive(Debug)]
struct PickGrad(Rows);

impl PickGrad {
    /// # Safety
    /// As of [`Body::run`].
    unsafe fn tile<T: Number, I: Index>(&self, args: &Args<'_>, tile: usize) -> Result<(), KernelError> {
        let Rows { extent, count, .. } = self.0;
        // SAFETY: there are as many gradients as indices.
        let (dy, indices) = unsafe { (args.input::<T>(0, self.0.indices()), args.input::<I>(1, self.0.indices())) };
        for row in self.0.ranges.get(tile) {
            // SAFETY: rows are one tile's alone.
            let y = unsafe { args.output::<T>(0, row * extent, extent) };
            y.fill(T::finish(T::Sum::default()));
            for (dy, index) in dy[row * count..].iter().zip(&indices[row * count..][..count]) {
                let place = self.0.place(*index)?;
                y[place] = y[place].plus(*dy);
            }
        }
        Ok(())
    }
}

impl Body for PickGrad {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        with_number!(
            self.0.dtype,
            // SAFETY: the caller's contract.
            T => with_index!(self.0.indices, I => unsafe { self.tile::<T, I>(args, tile) }),
            Ok(())
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use dormouse_value::{DType, Op};
    use proptest::prelude::*;

    use super::super::testing::{Array, any_dtype, error, fit, indices, run, scattered};
    use crate::Spec;

    proptest! {
        #[test]
        fn rows_go_by_their_own_indices(
            before in prop::collection::vec(0..5_usize, 0..3), n in 1..40_usize, k in 0..9_usize, dtype in any_dtype(),
            seed in any::<u64>(),
        ) {
            let dims = |last: usize| [before.as_slice(), &[last]].concat();
            let x = Array::counting(dtype, &dims(n));
            let count = Spec::new(dtype, &dims(k)).len();
            let at = Array::new(DType::I64, &dims(k), scattered(count, n, seed));
            let place = |i: &[usize]| [&i[..before.len()], &[at.at(i) as usize]].concat();
            let expected: Vec<i64> = indices(&dims(k)).iter().map(|i| x.at(&place(i))).collect();
            prop_assert_eq!(run(&Op::Pick, &[&x, &at], &Spec::new(dtype, &dims(k))).unwrap(), expected);

            prop_assume!(dtype != DType::Bool && dtype.wide() == dtype);
            let dy = Array::counting(dtype, &dims(k));
            let mut sums = Array::new(dtype, &dims(n), vec![0; x.spec.len()]);
            for i in indices(&dims(k)) {
                let position = place(&i).iter().zip(&dims(n)).fold(0, |position, (i, n)| position * n + i);
                sums.numbers[position] = fit(dtype, sums.numbers[position] + dy.at(&i));
            }
            prop_assert_eq!(run(&Op::PickGrad, &[&dy, &at, &x], &x.spec).unwrap(), sums.numbers);
        }
    }

    #[test]
    fn indices_outside_are_errors() {
        let x = Array::counting(DType::F32, &[2, 3]);
        for index in [3, -1] {
            let at = Array::new(DType::I32, &[2, 1], [0, index]);
            let dy = Array::counting(DType::F32, &[2, 1]);
            let told = format!("indices: {index} is not in [0, 3)");
            assert_eq!(run(&Op::Pick, &[&x, &at], &dy.spec).unwrap_err().to_string(), told);
            assert_eq!(run(&Op::PickGrad, &[&dy, &at, &x], &x.spec).unwrap_err().to_string(), told);
        }
        let three = Spec::new(DType::I32, &[3, 1]);
        assert!(error(&Op::Pick, &[&x.spec, &three], &Spec::new(DType::F32, &[3, 1])).contains("rows"));
    }
}
