//! The largest elements of rows, in order.
//!
//! A separate file because it sorts: indices of a row in a worker's own scratch, by a total order, so that nothing depends
//! on the sort. A NaN comes after all numbers; equal numbers, and NaNs among themselves, stay in order.

use std::cmp::Ordering;

use dormouse_value::DType;

use super::{Number, Ranges, nothing, with_number};
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// `(x [.., n]) → (values [.., k], indices [.., k])`.
///
/// # Errors
/// When x has no axis, is boolean, or has fewer than k elements a row.
pub(crate) fn top_k(k: Option<u32>, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let ([x], [values, indices]) = (inputs, outputs) else {
        let told = format!("top_k: takes 1 operand and gives 2 results, not {} and {}", inputs.len(), outputs.len());
        return Err(KernelError::new(told));
    };
    let told = || KernelError::new(format!("top_k: {x} has not {} in {values}, {indices}", k.unwrap_or_default()));
    let (extent, before) = x.dims.split_last().ok_or_else(told)?;
    let count = k.map_or(*extent, |k| k as usize);
    let dims: Vec<usize> = before.iter().copied().chain([count]).collect();
    let fits = *values == Spec::new(x.dtype, &dims) && *indices == Spec::new(DType::I32, &dims);
    if !fits || x.dtype == DType::Bool || count > *extent || i32::try_from(*extent).is_err() {
        return Err(told());
    }
    let rows: usize = before.iter().product();
    // Of a few the search is linear; they, or all, are sorted.
    let nanos = rows as f64 * (*extent as f64 * 3.0 + count as f64 * (count as f64 + 2.0).log2() * 4.0);
    let body = TopK { dtype: x.dtype, extent: *extent, count, ranges: Ranges::of_items(rows, nanos) };
    if values.is_empty() {
        return Ok(nothing(body));
    }
    let cost = Cost { flops: 0.0, bytes: (x.bytes() + values.bytes() + indices.bytes()) as f64, nanos };
    Ok(Kernel { local: extent * size_of::<i32>(), ..Kernel::new(body.ranges.count(), cost, body) })
}

#[derive(Debug)]
struct TopK {
    dtype: DType,
    /// Elements of a row.
    extent: usize,
    count: usize,
    /// Of rows.
    ranges: Ranges,
}

/// Whether one element comes before another: the larger, and NaNs last.
fn order<T: PartialOrd>(a: &T, b: &T) -> Ordering {
    b.partial_cmp(a).unwrap_or_else(|| {
        let nan = |x: &T| x.partial_cmp(x).is_none();
        nan(a).cmp(&nan(b))
    })
}

impl TopK {
    /// # Safety
    /// As of [`Body::run`].
    unsafe fn tile<T: Number + PartialOrd>(&self, args: &Args<'_>, tile: usize) {
        let (extent, count) = (self.extent, self.count);
        #[allow(clippy::cast_ptr_alignment, reason = "scratch is aligned to 64")]
        // SAFETY: the operand has as many elements; the scratch is this worker's, aligned and as long as a row has indices.
        let (x, places) = unsafe {
            (
                args.input::<T>(0, self.ranges.len * extent),
                std::slice::from_raw_parts_mut(args.local.cast::<std::mem::MaybeUninit<i32>>(), extent),
            )
        };
        for row in self.ranges.get(tile) {
            let x = &x[row * extent..][..extent];
            for (i, place) in places.iter_mut().enumerate() {
                place.write(i as i32);
            }
            // SAFETY: every place has just been written.
            let places = unsafe { std::slice::from_raw_parts_mut(places.as_mut_ptr().cast::<i32>(), extent) };
            let by = |a: &i32, b: &i32| order(&x[*a as usize], &x[*b as usize]).then(a.cmp(b));
            if count < extent {
                places.select_nth_unstable_by(count, by);
            }
            let best = &mut places[..count];
            best.sort_unstable_by(by);
            // SAFETY: rows of results are one tile's alone.
            let (values, indices) =
                unsafe { (args.output::<T>(0, row * count, count), args.output::<i32>(1, row * count, count)) };
            for ((value, index), place) in values.iter_mut().zip(indices).zip(best) {
                *value = x[*place as usize];
                *index = *place;
            }
        }
    }
}

impl Body for TopK {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        with_number!(
            self.dtype,
            // SAFETY: the caller's contract.
            T => unsafe { self.tile::<T>(args, tile) },
            {}
        );
        Ok(())
    }
}
