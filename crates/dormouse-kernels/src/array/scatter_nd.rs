//! An array changed at the places that indices name.
//!
//! A separate file because it writes by index: every place is changed by one tile, in the order of the updates, so that
//! neither sums nor the last of several updates depend on the threads.

use std::cmp::Ordering;

use dormouse_value::{DType, Element, ScatterOp};
use smallvec::SmallVec;

use super::gather::{Index, with_index};
use super::gather_nd::Places;
use super::{BYTES_PER_NANO, Number, RUN_NANOS, Ranges, nothing, operands, require_result, with_number, with_word};
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// (x, indices, updates): x with the updates at the indices.
///
/// # Errors
/// When shapes do not go together, or booleans are to be added.
pub(crate) fn scatter_nd(
    op: ScatterOp,
    batch_dims: u32,
    inputs: &[Spec],
    outputs: &[Spec],
) -> Result<Kernel, KernelError> {
    const OP: &str = "scatter_nd";
    let ([x, indices, updates], output) = operands(OP, inputs, outputs)?;
    let places = Places::new(OP, batch_dims, x, indices)?;
    require_result(OP, inputs, output, x.dtype, &x.dims)?;
    if (updates.dtype, &updates.dims) != (x.dtype, &places.gathered) {
        let expected = Spec::new(x.dtype, &places.gathered);
        return Err(KernelError::new(format!("{OP}: updates of {x} at {indices} are {expected}, not {updates}")));
    }
    if x.dtype == DType::Bool && op != ScatterOp::Update {
        return Err(KernelError::new(format!("{OP}: booleans do not add up")));
    }
    if op == ScatterOp::Div && !x.dtype.is_float() {
        return Err(KernelError::new(format!("{OP}: divides floats, not {}", x.dtype)));
    }
    let bytes = (2 * output.bytes() + 3 * updates.bytes() + indices.bytes()) as f64;
    let rows = places.batch.saturating_mul(places.count) as f64;
    let nanos = bytes / BYTES_PER_NANO + rows * 2.0 * RUN_NANOS;
    let copies = Ranges::of_elements(output.len(), 2.0 * output.bytes() as f64 / BYTES_PER_NANO);
    let batches = Ranges::of_items(places.batch, nanos);
    let columns = if batches.count() == places.batch {
        Ranges::of_elements(places.inner, nanos / places.batch.max(1) as f64)
    } else {
        Ranges { len: places.inner, step: places.inner.max(1) }
    };
    let tiles = if updates.is_empty() { 0 } else { batches.count() * columns.count() };
    let cost = Cost { flops: updates.len() as f64, bytes, nanos };
    let body = ScatterNd { op, dtype: x.dtype, len: updates.len(), places, copies, batches, columns };
    if output.is_empty() && updates.is_empty() {
        return Ok(nothing(body));
    }
    let phases = [1, copies.count(), tiles].into_iter().take_while(|tiles| *tiles > 0).collect();
    let in_place = SmallVec::from_slice(&[0]);
    Ok(Kernel { phases, in_place, fallible: true, ..Kernel::new(1, cost, body) })
}

/// Phase 0 checks the indices, phase 1 copies x, phase 2 changes the copy.
#[derive(Debug)]
struct ScatterNd {
    op: ScatterOp,
    dtype: DType,
    /// Elements of the updates.
    len: usize,
    places: Places,
    copies: Ranges,
    batches: Ranges,
    columns: Ranges,
}

/// An element type, with what updates do to it.
pub(super) trait Scattered: Element {
    fn changed(self, op: ScatterOp, update: Self) -> Self;
}

macro_rules! scattered {
    ($($type:ty: $x:ident, $u:ident => $sub:expr, $mul:expr, $div:expr;)*) => { $(
        impl Scattered for $type {
            fn changed(self, op: ScatterOp, $u: Self) -> Self {
                let $x = self;
                match op {
                    ScatterOp::Update => $u,
                    ScatterOp::Add => self.plus($u),
                    ScatterOp::Sub => $sub,
                    ScatterOp::Mul => $mul,
                    ScatterOp::Div => $div,
                    ScatterOp::Max => beyond($x, $u, Ordering::Greater),
                    ScatterOp::Min => beyond($x, $u, Ordering::Less),
                }
            }
        }
    )* };
}
scattered! {
    f32: x, u => x - u, x * u, x / u;
    f64: x, u => x - u, x * u, x / u;
    i32: x, u => x.wrapping_sub(u), x.wrapping_mul(u), x.checked_div(u).unwrap_or(x);
    i64: x, u => x.wrapping_sub(u), x.wrapping_mul(u), x.checked_div(u).unwrap_or(x);
    u8: x, u => x.wrapping_sub(u), x.wrapping_mul(u), x.checked_div(u).unwrap_or(x);
    u64: x, u => x.wrapping_sub(u), x.wrapping_mul(u), x.checked_div(u).unwrap_or(x);
}

/// The update where it lies on that side of the element, or is NaN.
fn beyond<T: Copy + PartialOrd>(x: T, update: T, side: Ordering) -> T {
    let number = |x: T| x.partial_cmp(&x).is_some();
    let taken = update.partial_cmp(&x) == Some(side) || number(x) && !number(update);
    if taken { update } else { x }
}

impl ScatterNd {
    /// # Safety
    /// As of [`Body::run`] in phase 0.
    unsafe fn check<I: Index>(&self, args: &Args<'_>) -> Result<(), KernelError> {
        // SAFETY: there are as many indices.
        self.places.check(unsafe { args.input::<I>(1, self.places.len()) })
    }

    /// # Safety
    /// As of [`Body::run`] in phase 1.
    unsafe fn copy<T: Element>(&self, args: &Args<'_>, tile: usize) {
        if args.inputs[0] == args.outputs[0].cast_const() {
            return;
        }
        let range = self.copies.get(tile);
        // SAFETY: x is as long as the result, this range is this tile's alone, and the buffers differ.
        let (x, y) = unsafe { (args.input::<T>(0, range.end), args.output::<T>(0, range.start, range.len())) };
        y.copy_from_slice(&x[range.start..]);
    }

    /// # Safety
    /// As of [`Body::run`] in phase 2.
    unsafe fn change<T: Element, I: Index>(&self, args: &Args<'_>, tile: usize, changed: impl Fn(T, T) -> T) {
        let Places { slices, count, inner, .. } = self.places;
        // SAFETY: the indices and the updates have as many elements.
        let (indices, updates) = unsafe { (args.input::<I>(1, self.places.len()), args.input::<T>(2, self.len)) };
        let columns = self.columns.get(tile % self.columns.count());
        for batch in self.batches.get(tile / self.columns.count()) {
            for place in batch * count..(batch + 1) * count {
                // Phase 0 has found every index to be inside.
                let Some(slice) = self.places.slice(indices, place) else { continue };
                let start = (batch * slices + slice) * inner + columns.start;
                // SAFETY: these columns of this part of the result are this tile's alone.
                let y = unsafe { args.output::<T>(0, start, columns.len()) };
                let updates = &updates[place * inner + columns.start..][..columns.len()];
                y.iter_mut().zip(updates).for_each(|(y, &u)| *y = changed(*y, u));
            }
        }
    }
}

impl Body for ScatterNd {
    unsafe fn run(&self, args: &Args<'_>, phase: usize, tile: usize) -> Result<(), KernelError> {
        if phase == 0 {
            // SAFETY: the caller's contract.
            return with_index!(self.places.index_dtype(), I => unsafe { self.check::<I>(args) });
        }
        if phase == 1 {
            // SAFETY: the caller's contract; a word is as long as the dtype.
            with_word!(self.dtype, T => unsafe { self.copy::<T>(args, tile) });
        } else if self.op == ScatterOp::Update {
            // SAFETY: the caller's contract; a word is as long as the dtype.
            with_word!(self.dtype, T => with_index!(self.places.index_dtype(), I => unsafe {
                self.change::<T, I>(args, tile, |_, update| update);
            }));
        } else {
            with_number!(
                self.dtype,
                // SAFETY: the caller's contract.
                T => with_index!(self.places.index_dtype(), I => unsafe {
                    self.change::<T, I>(args, tile, |x, update| x.changed(self.op, update));
                }),
                {}
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use dormouse_value::{DType, Op, ScatterOp};
    use proptest::prelude::*;

    use super::super::testing::{Array, any_dims, any_dtype, error, fit, indices, run, run_in_place, scattered};
    use super::Scattered;
    use crate::Spec;

    proptest! {
        #[test]
        fn updates_go_where_indices_name(
            dims in any_dims(), dtype in any_dtype(), batch in 0..3_usize, depth in 0..3_usize,
            at in prop::collection::vec(0..5_usize, 0..3), which in 0..5_usize, seed in any::<u64>(),
        ) {
            let ops = [ScatterOp::Update, ScatterOp::Add, ScatterOp::Sub, ScatterOp::Max, ScatterOp::Min];
            let op = ops[which];
            prop_assume!(dtype != DType::Bool && dtype.wide() == dtype || op == ScatterOp::Update);
            prop_assume!(batch + depth <= dims.len() && dims[batch..batch + depth].iter().all(|n| *n > 0));
            let (outer, extents, inner) = (&dims[..batch], &dims[batch..batch + depth], &dims[batch + depth..]);
            let places = [outer, &at].concat();
            let count: usize = places.iter().product();
            let columns: Vec<Vec<i64>> = (0..).zip(extents).map(|(i, n)| scattered(count, *n, seed + i)).collect();
            let numbers = (0..count).flat_map(|row| columns.iter().map(move |column| column[row]));
            let index = Array::new(DType::I32, &[places.as_slice(), &[depth]].concat(), numbers);
            let x = Array::counting(dtype, &dims);
            let updates = Array::counting(dtype, &[places.as_slice(), inner].concat());
            let mut expected = x.clone();
            for own in indices(&updates.spec.dims) {
                let (place, rest) = own.split_at(places.len());
                let named = (0..depth).map(|k| index.at(&[place, &[k]].concat()) as usize);
                let target: Vec<usize> =
                    place[..batch].iter().copied().chain(named).chain(rest.iter().copied()).collect();
                let position = target.iter().zip(&dims).fold(0, |position, (&i, &n)| position * n + i);
                let (old, update) = (expected.numbers[position], updates.at(&own));
                expected.numbers[position] = fit(dtype, match op {
                    ScatterOp::Update => update,
                    ScatterOp::Add => old + update,
                    ScatterOp::Sub => old - update,
                    ScatterOp::Max => old.max(update),
                    ScatterOp::Min => old.min(update),
                    ScatterOp::Mul | ScatterOp::Div => unreachable!("not drawn"),
                });
            }
            let op = Op::ScatterNd { op, batch_dims: batch as u32 };
            prop_assert_eq!(&run(&op, &[&x, &index, &updates], &x.spec).unwrap(), &expected.numbers);
        }
    }

    #[test]
    fn a_result_may_be_the_arrays_own_buffer() {
        let x = Array::counting(DType::F32, &[0]);
        let none = Array::new(DType::I32, &[0, 1], []);
        let op = Op::ScatterNd { op: ScatterOp::Add, batch_dims: 0 };
        assert!(run(&op, &[&x, &none, &x], &x.spec).unwrap().is_empty());
        let x = Array::counting(DType::F32, &[4]);
        assert_eq!(run(&op, &[&x, &none, &Array::counting(DType::F32, &[0])], &x.spec).unwrap(), x.numbers);
        assert!(run_in_place_is_taken(&op));
    }

    #[test]
    fn products_quotients_and_nans_are_as_numbers_have_them() {
        let changed = |op: ScatterOp, x: f32, u: f32| x.changed(op, u);
        assert_eq!(changed(ScatterOp::Mul, 3.0, -0.5), -1.5);
        assert_eq!(changed(ScatterOp::Div, 3.0, -0.5), -6.0);
        assert_eq!(7_u8.changed(ScatterOp::Mul, 100), 188);
        for op in [ScatterOp::Max, ScatterOp::Min] {
            assert!(changed(op, f32::NAN, 1.0).is_nan() && changed(op, 1.0, f32::NAN).is_nan());
        }
        let (x, at) = (Array::counting(DType::I32, &[2]), Array::new(DType::I32, &[1, 1], [0]));
        let op = Op::ScatterNd { op: ScatterOp::Div, batch_dims: 0 };
        assert!(run(&op, &[&x, &at, &Array::counting(DType::I32, &[1])], &x.spec).is_err());
    }

    /// Without indices the buffer stays what it is.
    fn run_in_place_is_taken(op: &Op) -> bool {
        let x = Array::counting(DType::I64, &[5]);
        let none = Array::new(DType::I32, &[0, 1], []);
        run_in_place(op, &[&x, &none, &Array::counting(DType::I64, &[0])], &x.spec).unwrap() == x.numbers
    }

    #[test]
    fn an_index_outside_is_an_error() {
        let x = Array::counting(DType::F32, &[3, 2]);
        let at = Array::new(DType::I64, &[2, 1], [0, 3]);
        let updates = Array::counting(DType::F32, &[2, 2]);
        let op = Op::ScatterNd { op: ScatterOp::Add, batch_dims: 0 };
        let message = run(&op, &[&x, &at, &updates], &x.spec).unwrap_err().to_string();
        assert_eq!(message, "indices[1] = [3] is not within [3]");
    }

    #[test]
    fn misfits_are_errors() {
        let x = Spec::new(DType::F32, &[3, 2]);
        let at = Spec::new(DType::I32, &[5, 1]);
        let op = Op::ScatterNd { op: ScatterOp::Add, batch_dims: 0 };
        assert_eq!(
            error(&op, &[&x, &at, &x], &x),
            "scatter_nd: updates of f32[3, 2] at i32[5, 1] are f32[5, 2], not f32[3, 2]"
        );
        let [truths, updates] = [&[3, 2], &[5, 2]].map(|dims| Spec::new(DType::Bool, dims));
        assert_eq!(error(&op, &[&truths, &at, &updates], &truths), "scatter_nd: booleans do not add up");
    }
}
