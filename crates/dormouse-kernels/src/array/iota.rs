//! Indices as numbers: each element counts where it is.

use dormouse_value::DType;

use super::{
    BYTES_PER_NANO, Number, RUN_NANOS, Ranges, around, axis_of, for_each_row, nothing, operands, require_result,
    with_number,
};
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// (like): the index along `axis` of each element, in `dtype`.
///
/// # Errors
/// When `dtype` is boolean, or the result does not fit.
pub(crate) fn iota(axis: i32, dtype: DType, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let ([like], output) = operands("iota", inputs, outputs)?;
    let axis = axis_of("iota", axis, like.dims.len())?;
    require_result("iota", inputs, output, dtype, &like.dims)?;
    if dtype == DType::Bool {
        return Err(KernelError::new("iota: gives numbers, not bool"));
    }
    let (_, extent, inner) = around(&like.dims, axis);
    let runs = if inner == 1 { 0 } else { output.len() / inner.max(1) };
    let bytes = output.bytes() as f64;
    let cost = Cost { flops: 0.0, bytes, nanos: bytes / BYTES_PER_NANO + runs as f64 * RUN_NANOS };
    let ranges = Ranges::of_elements(output.len(), cost.nanos);
    let body = Iota { dtype, extent, inner, ranges };
    Ok(if output.is_empty() { nothing(body) } else { Kernel::new(ranges.count(), cost, body) })
}

/// A type that counts.
trait Count: Number {
    fn counted(index: usize) -> Self;
}

macro_rules! counts {
    ($($type:ty),*) => { $(
        impl Count for $type {
            fn counted(index: usize) -> Self { index as $type }
        }
    )* };
}
counts!(f32, f64, i32, i64, u8, u64);

#[derive(Debug)]
struct Iota {
    dtype: DType,
    extent: usize,
    inner: usize,
    ranges: Ranges,
}

impl Iota {
    /// # Safety
    /// As of [`Body::run`].
    unsafe fn fill<T: Count>(&self, args: &Args<'_>, tile: usize) {
        let range = self.ranges.get(tile);
        // SAFETY: this range of the result is this tile's alone.
        let y = unsafe { args.output::<T>(0, range.start, range.len()) };
        if self.inner == 1 {
            for_each_row(range, self.extent, |_, columns, part| {
                y[part].iter_mut().zip(columns).for_each(|(y, index)| *y = T::counted(index));
            });
        } else {
            for_each_row(range, self.inner, |row, _, part| y[part].fill(T::counted(row % self.extent)));
        }
    }
}

impl Body for Iota {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        with_number!(
            self.dtype,
            // SAFETY: the caller's contract.
            T => unsafe { self.fill::<T>(args, tile) },
            return Err(KernelError::new("iota: gives numbers, not bool"))
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

    proptest! {
        #[test]
        fn each_element_is_its_index(dims in any_dims(), dtype in any_number(), axis in 0..4_usize, front in any::<bool>()) {
            prop_assume!(!dims.is_empty());
            let axis = axis % dims.len();
            let like = Array::counting(DType::Bool, &dims);
            let y = Spec::new(dtype, &dims);
            let expected: Vec<i64> = indices(&dims).iter().map(|index| fit(dtype, index[axis] as i64)).collect();
            let axis = if front { axis as i32 } else { axis as i32 - dims.len() as i32 };
            prop_assert_eq!(run(&Op::Iota { axis, dtype }, &[&like], &y).unwrap(), expected);
        }
    }

    #[test]
    fn misfits_are_errors() {
        let x = Spec::new(DType::F32, &[3]);
        let truths = Spec::new(DType::Bool, &[3]);
        assert_eq!(error(&Op::Iota { axis: 1, dtype: DType::F32 }, &[&x], &x), "iota: axis 1 is not one of 1 axes");
        assert_eq!(error(&Op::Iota { axis: 0, dtype: DType::Bool }, &[&x], &truths), "iota: gives numbers, not bool");
    }
}
