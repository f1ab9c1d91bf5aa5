//! Places of numbers in rows that never fall.

use std::cmp::Ordering;

use dormouse_value::{DType, Element};

use super::{Number, Ranges, nothing, operands, require_result, with_number};
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// `(rows [.., n], x [.., m]) → [.., m]`: how many elements of the row are below x, or with `right` not above.
///
/// # Errors
/// When dtypes or rows do not go together.
pub(crate) fn search_sorted(
    right: bool,
    index: DType,
    inputs: &[Spec],
    outputs: &[Spec],
) -> Result<Kernel, KernelError> {
    const OP: &str = "searchsorted";
    let ([sorted, x], output) = operands(OP, inputs, outputs)?;
    require_result(OP, inputs, output, index, &x.dims)?;
    let told = || KernelError::new(format!("{OP}: {x} is not searched in {sorted} for places in {index}"));
    let (extent, before) = sorted.dims.split_last().ok_or_else(told)?;
    let (count, own) = x.dims.split_last().ok_or_else(told)?;
    let fits = sorted.dtype == x.dtype && x.dtype != DType::Bool && matches!(index, DType::I32 | DType::I64);
    if before != own || !fits {
        return Err(told());
    }
    let steps = (*extent as f64 + 1.0).log2().ceil() + 1.0;
    let nanos = x.len() as f64 * steps * 2.0;
    let ranges = Ranges::of_elements(x.len(), nanos);
    let body =
        SearchSorted { right, dtype: x.dtype, index, rows: sorted.len(), extent: *extent, count: *count, ranges };
    if output.is_empty() {
        return Ok(nothing(body));
    }
    let bytes = (x.bytes() + output.bytes() + sorted.bytes()) as f64;
    Ok(Kernel::new(ranges.count(), Cost { flops: 0.0, bytes, nanos }, body))
}

#[derive(Debug)]
struct SearchSorted {
    right: bool,
    dtype: DType,
    index: DType,
    /// Elements of all rows.
    rows: usize,
    extent: usize,
    /// Searches in a row.
    count: usize,
    ranges: Ranges,
}

impl SearchSorted {
    /// # Safety
    /// As of [`Body::run`].
    unsafe fn tile<T: Number + PartialOrd, I: Element>(&self, args: &Args<'_>, tile: usize, place: fn(usize) -> I) {
        let range = self.ranges.get(tile);
        // SAFETY: the operands have as many elements; the range is this tile's alone.
        let (rows, x, y) = unsafe {
            (
                args.input::<T>(0, self.rows),
                args.input::<T>(1, range.end),
                args.output::<I>(0, range.start, range.len()),
            )
        };
        for (y, i) in y.iter_mut().zip(range) {
            let (row, x) = (&rows[i / self.count * self.extent..][..self.extent], x[i]);
            // As the standard C++ library's searches, which tell where NaNs go.
            let found = if self.right {
                row.partition_point(|r| x.partial_cmp(r) != Some(Ordering::Less))
            } else {
                row.partition_point(|r| *r < x)
            };
            *y = place(found);
        }
    }
}

impl Body for SearchSorted {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        with_number!(
            self.dtype,
            T => if self.index == DType::I32 {
                // SAFETY: the caller's contract.
                unsafe { self.tile::<T, i32>(args, tile, |i| i as i32) }
            } else {
                // SAFETY: the caller's contract.
                unsafe { self.tile::<T, i64>(args, tile, |i| i as i64) }
            },
            {}
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use dormouse_value::{DType, Op};
    use proptest::prelude::*;

    use super::super::testing::{Array, any_number, run, scattered};
    use crate::Spec;

    proptest! {
        #[test]
        fn places_are_counts(rows in 0..4_usize, n in 0..30_usize, m in 0..9_usize, dtype in any_number(), seed in any::<u64>()) {
            let mut numbers = scattered(rows * n, 20, seed);
            numbers.chunks_mut(n.max(1)).for_each(<[i64]>::sort_unstable);
            let sorted = Array::new(dtype, &[rows, n], numbers);
            let x = Array::new(dtype, &[rows, m], scattered(rows * m, 22, seed ^ 0x63));
            for (right, output) in [(false, DType::I32), (true, DType::I64)] {
                let expected: Vec<i64> = (0..rows * m)
                    .map(|i| {
                        let row = &sorted.numbers[i / m * n..][..n];
                        row.iter().filter(|r| **r < x.numbers[i] || right && **r == x.numbers[i]).count() as i64
                    })
                    .collect();
                let op = Op::SearchSorted { right, output };
                prop_assert_eq!(run(&op, &[&sorted, &x], &Spec::new(output, &[rows, m])).unwrap(), expected);
            }
        }
    }
}
