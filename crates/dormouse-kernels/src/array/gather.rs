//! Slices that indices name: gather and its gradient.
//!
//! A separate file because these can fail: an index outside is an error, and of several the first is told, whichever
//! tile meets one.

use std::fmt::Write;
use std::ops::Range;

use dormouse_value::{DType, Dims, Element};
use smallvec::SmallVec;

use super::{
    BYTES_PER_NANO, Number, RUN_NANOS, Ranges, Word, around, axis_of, copy_cost, copy_run, for_each_row, nothing,
    operands, require_result, with_number, with_word,
};
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// A type of indices.
pub(super) trait Index: Element + Into<i64> {
    /// The index, where it is one of `extent`.
    fn within(self, extent: usize) -> Option<usize> {
        usize::try_from(self.into()).ok().filter(|&index| index < extent)
    }
}

impl Index for i32 {}
impl Index for i64 {}
impl Index for u8 {}
impl Index for i8 {}

/// Runs an expression with a type alias bound to the type of indices: i32, or else i64.
macro_rules! with_index {
    ($dtype:expr, $I:ident => $body:expr) => {
        if $dtype == dormouse_value::DType::I32 {
            type $I = i32;
            $body
        } else {
            type $I = i64;
            $body
        }
    };
}
pub(super) use with_index;

/// (x, indices): `[outer, n, inner]` at `[k]` → `[outer, k, inner]`, slices of x along `axis`.
///
/// # Errors
/// When indices are not i32 or i64, or the result does not fit.
pub(crate) fn gather(axis: i32, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let ([x, indices], output) = operands("gather", inputs, outputs)?;
    let axis = axis_of("gather", axis, x.dims.len())?;
    require_indices("gather", indices)?;
    require_result("gather", inputs, output, x.dtype, &gathered_dims(x, indices, axis))?;
    let (outer, extent, inner) = around(&x.dims, axis);
    let places = Places { dtype: indices.dtype, dims: indices.dims.clone(), count: indices.len(), extent };
    let mut cost = copy_cost(output.bytes(), outer.saturating_mul(places.count));
    cost.bytes += indices.bytes() as f64;
    let ranges = Ranges::of_elements(output.len(), cost.nanos);
    let body = Gather { dtype: x.dtype, places, len: x.len(), inner, ranges };
    if output.is_empty() {
        return Ok(nothing(body));
    }
    Ok(Kernel { fallible: true, ..Kernel::new(ranges.count(), cost, body) })
}

/// (dy, indices, like): zeros of `like`'s shape, to which the slices of dy are added at the indices, in their order.
///
/// # Errors
/// When dy is boolean or not what a gather of `like` gives, or indices are not i32 or i64.
pub(crate) fn gather_grad(axis: i32, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    const OP: &str = "gradient of gather";
    let ([dy, indices, like], output) = operands(OP, inputs, outputs)?;
    let axis = axis_of(OP, axis, like.dims.len())?;
    require_indices(OP, indices)?;
    require_result(OP, inputs, output, dy.dtype, &like.dims)?;
    let gathered = gathered_dims(like, indices, axis);
    if dy.dims != gathered || dy.dtype == DType::Bool {
        let gathered = Spec::new(like.dtype, &gathered);
        return Err(KernelError::new(format!("{OP}: of {like} at {indices} takes numbers {gathered}, not {dy}")));
    }
    let (outer, extent, inner) = around(&like.dims, axis);
    let places = Places { dtype: indices.dtype, dims: indices.dims.clone(), count: indices.len(), extent };
    let bytes = (output.bytes() + 3 * dy.bytes()) as f64;
    let runs = outer.saturating_mul(places.count) as f64;
    let flops = dy.len() as f64;
    let nanos = bytes / BYTES_PER_NANO + runs * RUN_NANOS;
    // Tiles along `outer` first, then along the rows, then along `inner`.
    let outers = Ranges::of_items(outer, nanos);
    let mut rows = Ranges::of_items(extent, nanos / outers.count().max(1) as f64);
    // Shifts find a row's tile.
    rows.step = rows.step.next_power_of_two();
    let columns = if rows.count() == extent {
        Ranges::of_elements(inner, nanos / (outers.count().max(1) * rows.count().max(1)) as f64)
    } else {
        Ranges { len: inner, step: inner.max(1) }
    };
    let tiles = outers.count() * rows.count() * columns.count();
    let sort_nanos = places.count as f64 * 5.0;
    let cost = Cost { flops, bytes: bytes + indices.bytes() as f64, nanos: nanos + sort_nanos };
    let sorted = if rows.count() > 1 { places.count } else { 0 };
    let shared = (rows.count() + sorted) * size_of::<usize>();
    let body = GatherGrad { dtype: dy.dtype, places, len: dy.len(), inner, outers, rows, columns };
    if output.is_empty() {
        return Ok(nothing(body));
    }
    let phases = SmallVec::from_slice(&[1, tiles]);
    Ok(Kernel { fallible: true, shared, phases, ..Kernel::new(1, cost, body) })
}

fn require_indices(op: &str, indices: &Spec) -> Result<(), KernelError> {
    if matches!(indices.dtype, DType::I32 | DType::I64) {
        return Ok(());
    }
    Err(KernelError::new(format!("{op}: indices are i32 or i64, not {indices}")))
}

fn gathered_dims(x: &Spec, indices: &Spec, axis: usize) -> Dims {
    x.dims[..axis].iter().chain(&indices.dims).chain(&x.dims[axis + 1..]).copied().collect()
}

/// The indices of a gather: where they are in, and what they count.
#[derive(Clone, Debug)]
struct Places {
    dtype: DType,
    dims: Dims,
    count: usize,
    /// Slices of the array that they name.
    extent: usize,
}

impl Places {
    /// What is wrong with the first index that is outside.
    fn outside<I: Index>(&self, indices: &[I]) -> KernelError {
        let Some(mut position) = indices.iter().position(|index| index.within(self.extent).is_none()) else {
            return KernelError::new("gather: the indices changed while they were read");
        };
        let index: i64 = indices[position].into();
        let mut coordinates = Dims::new();
        for &extent in self.dims.iter().rev() {
            coordinates.push(position % extent);
            position /= extent;
        }
        let mut message = String::from("indices");
        for (i, coordinate) in coordinates.iter().rev().enumerate() {
            let open = if i == 0 { '[' } else { ',' };
            // Writing to a string does not fail.
            let _ = write!(message, "{open}{coordinate}");
        }
        let close = if coordinates.is_empty() { "" } else { "]" };
        let _ = write!(message, "{close} = {index} is not in [0, {})", self.extent);
        KernelError::new(message)
    }
}

#[derive(Debug)]
struct Gather {
    dtype: DType,
    places: Places,
    /// Elements of x.
    len: usize,
    inner: usize,
    ranges: Ranges,
}

impl Gather {
    /// # Safety
    /// As of [`Body::run`].
    unsafe fn copy<T: Word, I: Index>(&self, args: &Args<'_>, tile: usize) -> Result<(), KernelError> {
        let range = self.ranges.get(tile);
        let Places { count, extent, .. } = self.places;
        // SAFETY: x and the indices have as many elements, and this range of the result is this tile's alone.
        let (x, indices, y) = unsafe {
            (args.input::<T>(0, self.len), args.input::<I>(1, count), args.output::<T>(0, range.start, range.len()))
        };
        let mut inside = true;
        let row = range.start / self.inner;
        let (mut outer, mut place) = (row / count, row % count);
        if self.inner == 1 {
            for y in y {
                match indices[place].within(extent) {
                    Some(index) => *y = x[outer * extent + index],
                    None => return Err(self.places.outside(indices)),
                }
                place += 1;
                if place == count {
                    (outer, place) = (outer + 1, 0);
                }
            }
            return Ok(());
        }
        for_each_row(range, self.inner, |_, columns, part| {
            if let Some(index) = indices[place].within(extent) {
                copy_run(&mut y[part], &x[(outer * extent + index) * self.inner + columns.start..]);
            } else {
                inside = false;
            }
            place += 1;
            if place == count {
                (outer, place) = (outer + 1, 0);
            }
        });
        if inside { Ok(()) } else { Err(self.places.outside(indices)) }
    }
}

impl Body for Gather {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        // SAFETY: the caller's contract.
        with_word!(self.dtype, T => with_index!(self.places.dtype, I => unsafe { self.copy::<T, I>(args, tile) }))
    }
}

/// The shared scratch, aligned to 64, as numbers.
pub(super) fn shared(args: &Args<'_>) -> *mut usize {
    args.shared.cast()
}

/// Phase 0 checks the indices and, where rows are split, sorts their positions by the tile of their row, each tile's in
/// order. Phase 1 clears and adds: a tile owns its rows, so no sum depends on another tile.
#[derive(Debug)]
struct GatherGrad {
    dtype: DType,
    places: Places,
    /// Elements of dy.
    len: usize,
    inner: usize,
    outers: Ranges,
    rows: Ranges,
    columns: Ranges,
}

impl GatherGrad {
    /// # Safety
    /// As of [`Body::run`] in phase 0.
    unsafe fn sort<I: Index>(&self, args: &Args<'_>) -> Result<(), KernelError> {
        // SAFETY: the indices have `count` elements.
        let indices = unsafe { args.input::<I>(1, self.places.count) };
        if indices.iter().any(|index| index.within(self.places.extent).is_none()) {
            return Err(self.places.outside(indices));
        }
        let groups = self.rows.count();
        if groups == 1 {
            return Ok(());
        }
        // SAFETY: the kernel asked for this much shared scratch, aligned to 64, and phase 0 has one tile.
        let shared = unsafe { std::slice::from_raw_parts_mut(shared(args), groups + indices.len()) };
        let (ends, positions) = shared.split_at_mut(groups);
        let shift = self.rows.step.trailing_zeros();
        let group = |index: &I| (*index).into() as usize >> shift;
        ends.fill(0);
        for index in indices {
            ends[group(index)] += 1;
        }
        // Each group's end is at first its start, and moves as positions are put.
        let mut start = 0;
        for end in ends.iter_mut() {
            start += std::mem::replace(end, start);
        }
        for (position, index) in indices.iter().enumerate() {
            let end = &mut ends[group(index)];
            positions[*end] = position;
            *end += 1;
        }
        Ok(())
    }

    /// # Safety
    /// As of [`Body::run`] in phase 1.
    unsafe fn add<T: Number, I: Index>(&self, args: &Args<'_>, tile: usize) {
        let Places { count, extent, .. } = self.places;
        // SAFETY: dy and the indices have as many elements.
        let (dy, indices) = unsafe { (args.input::<T>(0, self.len), args.input::<I>(1, count)) };
        let (tile, column_tile) = (tile / self.columns.count(), tile % self.columns.count());
        let (outer_tile, group) = (tile / self.rows.count(), tile % self.rows.count());
        let (rows, columns) = (self.rows.get(group), self.columns.get(column_tile));
        let groups = self.rows.count();
        let positions = if groups == 1 {
            &[]
        } else {
            // SAFETY: phase 0 filled this much shared scratch, and nothing writes it any more.
            let shared = unsafe { std::slice::from_raw_parts(shared(args), groups + count) };
            let (ends, positions) = shared.split_at(groups);
            &positions[group.checked_sub(1).map_or(0, |before| ends[before])..ends[group]]
        };
        for outer in self.outers.get(outer_tile) {
            let start = (outer * extent + rows.start) * self.inner + columns.start;
            let len = (rows.len() - 1) * self.inner + columns.len();
            // SAFETY: columns are split only where a tile has one row, so these elements are this tile's alone.
            let y = unsafe { args.output::<T>(0, start, len) };
            y.fill(T::default());
            let dy = &dy[outer * count * self.inner..][..count * self.inner];
            let add = |position: usize| self.add_one(y, dy, indices, position, &rows, &columns);
            if groups == 1 { (0..count).for_each(add) } else { positions.iter().copied().for_each(add) }
        }
    }

    fn add_one<T: Number, I: Index>(
        &self,
        y: &mut [T],
        dy: &[T],
        indices: &[I],
        position: usize,
        rows: &Range<usize>,
        columns: &Range<usize>,
    ) {
        let row: i64 = indices[position].into();
        let row = row as usize - rows.start;
        if self.inner == 1 {
            y[row] = y[row].plus(dy[position]);
            return;
        }
        let y = &mut y[row * self.inner..][..columns.len()];
        let dy = &dy[position * self.inner + columns.start..][..columns.len()];
        for (y, &dy) in y.iter_mut().zip(dy) {
            *y = y.plus(dy);
        }
    }
}

impl Body for GatherGrad {
    unsafe fn run(&self, args: &Args<'_>, phase: usize, tile: usize) -> Result<(), KernelError> {
        if phase == 0 {
            // SAFETY: the caller's contract.
            return with_index!(self.places.dtype, I => unsafe { self.sort::<I>(args) });
        }
        with_number!(
            self.dtype,
            // SAFETY: the caller's contract.
            T => with_index!(self.places.dtype, I => unsafe { self.add::<T, I>(args, tile) }),
            return Err(KernelError::new("gradient of gather: booleans do not add up"))
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use dormouse_value::{DType, Op};
    use proptest::prelude::*;

    use super::super::testing::{Array, any_dims, any_dtype, any_number, error, fit, indices, run, scattered};
    use crate::Spec;

    fn gathered(x: &[usize], at: &[usize], axis: usize) -> Vec<usize> {
        [&x[..axis], at, &x[axis + 1..]].concat()
    }

    prop_compose! {
        /// An array with an axis that is not empty, and indices along it.
        fn case()(
            dims in any_dims().prop_filter("an axis", |dims| dims.iter().any(|&n| n > 0)),
            at in prop::collection::vec(0..7_usize, 0..3),
            pick in any::<prop::sample::Index>(),
            negative in any::<bool>(),
            wide in any::<bool>(),
            seed in any::<u64>(),
        ) -> (Vec<usize>, Array, usize, i32) {
            let axes: Vec<usize> = (0..dims.len()).filter(|&axis| dims[axis] > 0).collect();
            let axis = axes[pick.index(axes.len())];
            let dtype = if wide { DType::I64 } else { DType::I32 };
            let count = at.iter().product();
            let at = Array::new(dtype, &at, scattered(count, dims[axis], seed));
            let signed = if negative { axis as i32 - dims.len() as i32 } else { axis as i32 };
            (dims, at, axis, signed)
        }
    }

    proptest! {
        #[test]
        fn gather_takes_what_indices_name((dims, at, axis, signed) in case(), dtype in any_dtype()) {
            let x = Array::counting(dtype, &dims);
            let y = Spec::new(dtype, &gathered(&dims, &at.spec.dims, axis));
            let expected: Vec<i64> = indices(&y.dims).iter().map(|index| {
                let (outer, rest) = index.split_at(axis);
                let (place, inner) = rest.split_at(at.spec.dims.len());
                x.at(&[outer, &[at.at(place) as usize], inner].concat())
            }).collect();
            prop_assert_eq!(run(&Op::Gather { axis: signed }, &[&x, &at], &y).unwrap(), expected);
        }

        #[test]
        fn gather_grad_adds_where_gather_took((dims, at, axis, signed) in case(), dtype in any_number()) {
            let dy = Array::counting(dtype, &gathered(&dims, &at.spec.dims, axis));
            let like = Array::counting(dtype, &dims);
            let mut expected = Array::new(dtype, &dims, vec![0; like.numbers.len()]);
            for index in indices(&dy.spec.dims) {
                let (outer, rest) = index.split_at(axis);
                let (place, inner) = rest.split_at(at.spec.dims.len());
                let target = [outer, &[at.at(place) as usize], inner].concat();
                let position = target.iter().zip(&dims).fold(0, |position, (&i, &n)| position * n + i);
                expected.numbers[position] = fit(dtype, expected.numbers[position] + dy.at(&index));
            }
            let y = run(&Op::GatherGrad { axis: signed }, &[&dy, &at, &like], &like.spec).unwrap();
            prop_assert_eq!(y, expected.numbers);
        }

    }

    #[test]
    fn an_index_outside_is_an_error_that_names_the_first() {
        let x = Array::counting(DType::F32, &[10, 40]);
        let gather = |dims: &[usize], numbers: &[i64]| {
            let at = Array::new(DType::I32, dims, numbers.iter().copied());
            let y = Array::counting(DType::F32, &[dims, &[40]].concat());
            let message = run(&Op::Gather { axis: 0 }, &[&x, &at], &y.spec).unwrap_err().to_string();
            let other = run(&Op::GatherGrad { axis: 0 }, &[&y, &at, &x], &x.spec).unwrap_err().to_string();
            assert_eq!(message, other);
            message
        };
        assert_eq!(gather(&[4], &[1, 2, 3, 12]), "indices[3] = 12 is not in [0, 10)");
        assert_eq!(gather(&[2, 3], &[1, 2, 3, 4, -5, 10]), "indices[1,1] = -5 is not in [0, 10)");
        assert_eq!(gather(&[], &[10]), "indices = 10 is not in [0, 10)");
        let none = Array::counting(DType::F32, &[0, 40]);
        let at = Array::new(DType::I64, &[1], [0]);
        let y = Spec::new(DType::F32, &[1, 40]);
        let message = run(&Op::Gather { axis: 0 }, &[&none, &at], &y).unwrap_err().to_string();
        assert_eq!(message, "indices[0] = 0 is not in [0, 0)");
    }

    #[test]
    fn additions_to_one_row_keep_the_order_of_the_indices() {
        // In this order the small number is lost, in another it is not.
        let at = Array::new(DType::I32, &[4], [7, 3, 7, 7]);
        let dy = Array::new(DType::F32, &[4, 1], [1 << 24, 5, 1, -(1 << 24)]);
        let like = Array::counting(DType::F32, &[100, 1]);
        let y = run(&Op::GatherGrad { axis: 0 }, &[&dy, &at, &like], &like.spec).unwrap();
        assert_eq!((y[3], y[7]), (5, 0));
    }

    #[test]
    fn misfits_are_errors() {
        let x = Spec::new(DType::F32, &[10, 4]);
        let at = Spec::new(DType::I32, &[2]);
        let y = Spec::new(DType::F32, &[2, 4]);
        let op = Op::Gather { axis: 0 };
        assert_eq!(error(&op, &[&x, &y], &y), "gather: indices are i32 or i64, not f32[2, 4]");
        assert_eq!(error(&Op::Gather { axis: 2 }, &[&x, &at], &y), "gather: axis 2 is not one of 2 axes");
        assert_eq!(error(&op, &[&x, &at], &x), "gather: of f32[10, 4], i32[2] gives f32[2, 4], not f32[10, 4]");
        assert_eq!(
            error(&Op::GatherGrad { axis: 0 }, &[&x, &at, &x], &x),
            "gradient of gather: of f32[10, 4] at i32[2] takes numbers f32[2, 4], not f32[10, 4]"
        );
        let (x, y) = (Spec::new(DType::Bool, &[10, 4]), Spec::new(DType::Bool, &[2, 4]));
        assert!(error(&Op::GatherGrad { axis: 0 }, &[&y, &at, &x], &x).contains("takes numbers"));
    }
}
