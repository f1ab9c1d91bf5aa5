//! Elements taken together by a number of their own, and parts given out by it.
//!
//! A separate file because it writes by index and reduces: every segment is one tile's alone, which takes its elements in
//! their order, so that no result depends on the threads.

use dormouse_value::{DType, SegmentOp};
use smallvec::SmallVec;

use super::gather::{Index, with_index};
use super::{
    BYTES_PER_NANO, Number, RUN_NANOS, Ranges, Word, copy_run, nothing, operands, require_result, with_number,
    with_word,
};
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// Tiles beyond which looking for a tile's own elements costs more than it saves.
const MOST_TILES: usize = 16;

/// The numbers of segments that elements have.
#[derive(Clone, Debug)]
struct Ids {
    dtype: DType,
    count: usize,
    segments: usize,
    sorted: bool,
}

impl Ids {
    fn new(op: &str, ids: &Spec, segments: u64, sorted: bool) -> Result<Self, KernelError> {
        match usize::try_from(segments) {
            Ok(segments) if matches!(ids.dtype, DType::I32 | DType::I64) => {
                Ok(Ids { dtype: ids.dtype, count: ids.len(), segments, sorted })
            }
            _ => Err(KernelError::new(format!("{op}: {ids} are not numbers of {segments} segments"))),
        }
    }

    /// # Errors
    /// What is wrong with the first that is.
    fn check<I: Index>(&self, ids: &[I]) -> Result<(), KernelError> {
        let mut before = 0;
        for (i, id) in ids.iter().enumerate() {
            let id: i64 = (*id).into();
            if self.sorted && id < before {
                let told = if id < 0 { "it must be 0 at least" } else { "segments must not fall" };
                return Err(KernelError::new(format!("segments[{i}] = {id}: {told}")));
            }
            before = id;
            if id >= 0 && id as u64 >= self.segments as u64 {
                return Err(KernelError::new(format!("segments[{i}] = {id} is not below {}", self.segments)));
            }
        }
        Ok(())
    }
}

/// `(x [p.., r..], segments [p..]) → [n, r..]`.
///
/// # Errors
/// When shapes do not go together, or x is boolean.
pub(crate) fn segment(
    op: SegmentOp,
    segments: u64,
    sorted: bool,
    inputs: &[Spec],
    outputs: &[Spec],
) -> Result<Kernel, KernelError> {
    const OP: &str = "segment";
    let ([x, ids], output) = operands(OP, inputs, outputs)?;
    let places = Ids::new(OP, ids, segments, sorted)?;
    let told = || KernelError::new(format!("{OP}: segments {ids} do not go along the first axes of {x}"));
    let rest = x.dims.strip_prefix(ids.dims.as_slice()).ok_or_else(told)?;
    let dims: SmallVec<[usize; 4]> = std::iter::once(places.segments).chain(rest.iter().copied()).collect();
    require_result(OP, inputs, output, x.dtype, &dims)?;
    if x.dtype == DType::Bool || sorted && ids.dims.len() != 1 {
        return Err(told());
    }
    let bytes = (x.bytes() + 2 * output.bytes() + ids.bytes()) as f64;
    let nanos = bytes / BYTES_PER_NANO + ids.len() as f64 * RUN_NANOS;
    let mut ranges = Ranges::of_items(places.segments, nanos);
    ranges.step = ranges.step.max(places.segments.div_ceil(MOST_TILES));
    let inner = rest.iter().product();
    let body = Segment { op, dtype: x.dtype, len: x.len(), inner, ids: places, ranges };
    if output.is_empty() && ids.is_empty() {
        return Ok(nothing(body));
    }
    let phases = [1, body.ranges.count()].into_iter().take_while(|tiles| *tiles > 0).collect();
    let cost = Cost { flops: x.len() as f64, bytes, nanos };
    Ok(Kernel { fallible: true, phases, ..Kernel::new(1, cost, body) })
}

/// Phase 0 checks the numbers, phase 1 reduces.
#[derive(Debug)]
struct Segment {
    op: SegmentOp,
    dtype: DType,
    /// Elements of x.
    len: usize,
    /// Elements that go together.
    inner: usize,
    ids: Ids,
    /// Of segments.
    ranges: Ranges,
}

/// A number with what segments start from.
trait Reduced: Number + PartialOrd {
    const ONE: Self;
    const LOWEST: Self;
    const HIGHEST: Self;
    fn times(self, x: Self) -> Self;
}

macro_rules! reduced {
    ($($type:ty: $one:expr, $x:ident, $y:ident => $product:expr;)*) => { $(
        impl Reduced for $type {
            const ONE: $type = $one;
            const LOWEST: $type = <$type>::MIN;
            const HIGHEST: $type = <$type>::MAX;
            fn times(self, $y: $type) -> $type { let $x = self; $product }
        }
    )* };
}
reduced! {
    f32: 1.0, x, y => x * y;
    f64: 1.0, x, y => x * y;
    i32: 1, x, y => x.wrapping_mul(y);
    i64: 1, x, y => x.wrapping_mul(y);
    u8: 1, x, y => x.wrapping_mul(y);
    u64: 1, x, y => x.wrapping_mul(y);
}

impl Segment {
    /// # Safety
    /// As of [`Body::run`] in phase 1.
    unsafe fn reduce<T: Reduced, I: Index>(&self, args: &Args<'_>, tile: usize) {
        let own = self.ranges.get(tile);
        let inner = self.inner;
        // SAFETY: the operands have as many elements; the segments are this tile's alone.
        let (x, ids, y) = unsafe {
            (
                args.input::<T>(0, self.len),
                args.input::<I>(1, self.ids.count),
                args.output::<T>(0, own.start * inner, own.len() * inner),
            )
        };
        let zero = T::finish(T::Sum::default());
        y.fill(match self.op {
            SegmentOp::Prod => T::ONE,
            SegmentOp::Max if !self.ids.sorted => T::LOWEST,
            SegmentOp::Min if !self.ids.sorted => T::HIGHEST,
            SegmentOp::Sum | SegmentOp::Max | SegmentOp::Min => zero,
        });
        let mut before = None;
        for (place, id) in ids.iter().enumerate() {
            let Some(segment) = id.within(own.end).filter(|segment| *segment >= own.start) else { continue };
            let y = &mut y[(segment - own.start) * inner..][..inner];
            let pairs = y.iter_mut().zip(&x[place * inner..][..inner]);
            // In order, the first element of a segment is what the others are held against.
            let first = self.ids.sorted && before.replace(segment) != Some(segment);
            if first {
                pairs.for_each(|(y, x)| *y = *x);
                continue;
            }
            match self.op {
                SegmentOp::Sum => pairs.for_each(|(y, x)| *y = y.plus(*x)),
                SegmentOp::Prod => pairs.for_each(|(y, x)| *y = y.times(*x)),
                // As TensorFlow's: what is not less than a NaN takes its place.
                SegmentOp::Max => pairs.for_each(|(y, x)| *y = if *x < *y { *y } else { *x }),
                SegmentOp::Min => pairs.for_each(|(y, x)| *y = if *y < *x { *y } else { *x }),
            }
        }
    }
}

impl Body for Segment {
    unsafe fn run(&self, args: &Args<'_>, phase: usize, tile: usize) -> Result<(), KernelError> {
        if phase == 0 {
            // SAFETY: there are as many numbers of segments.
            return with_index!(self.ids.dtype, I => self.ids.check(unsafe { args.input::<I>(1, self.ids.count) }));
        }
        with_number!(
            self.dtype,
            // SAFETY: the caller's contract.
            T => with_index!(self.ids.dtype, I => unsafe { self.reduce::<T, I>(args, tile) }),
            {}
        );
        Ok(())
    }
}

/// `(x [n, r..], segments [p..]) → [p.., r..]`.
///
/// # Errors
/// When shapes do not go together.
pub(crate) fn segment_spread(segments: u64, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    const OP: &str = "segment_spread";
    let ([x, ids], output) = operands(OP, inputs, outputs)?;
    let places = Ids::new(OP, ids, segments, false)?;
    let told = || KernelError::new(format!("{OP}: {x} has not {segments} parts"));
    let rest = x.dims.strip_prefix(&[places.segments]).ok_or_else(told)?;
    let dims: SmallVec<[usize; 4]> = ids.dims.iter().chain(rest).copied().collect();
    require_result(OP, inputs, output, x.dtype, &dims)?;
    let bytes = (2 * output.bytes() + ids.bytes()) as f64;
    let nanos = bytes / BYTES_PER_NANO + ids.len() as f64 * RUN_NANOS;
    let ranges = Ranges::of_items(places.count, nanos);
    let body = Spread { dtype: x.dtype, len: x.len(), inner: rest.iter().product(), ids: places, ranges };
    if ids.is_empty() {
        return Ok(nothing(body));
    }
    let phases = SmallVec::from_slice(&[1, ranges.count()]);
    Ok(Kernel { fallible: true, phases, ..Kernel::new(1, Cost { flops: 0.0, bytes, nanos }, body) })
}

/// Phase 0 checks the numbers, phase 1 copies.
#[derive(Debug)]
struct Spread {
    dtype: DType,
    /// Elements of x.
    len: usize,
    inner: usize,
    ids: Ids,
    /// Of places.
    ranges: Ranges,
}

impl Spread {
    /// # Safety
    /// As of [`Body::run`] in phase 1.
    unsafe fn copy<T: Word, I: Index>(&self, args: &Args<'_>, tile: usize) {
        let (own, inner) = (self.ranges.get(tile), self.inner);
        // SAFETY: the operands have as many elements; the places are this tile's alone.
        let (x, ids, y) = unsafe {
            (
                args.input::<T>(0, self.len),
                args.input::<I>(1, self.ids.count),
                args.output::<T>(0, own.start * inner, own.len() * inner),
            )
        };
        for (i, id) in ids[own].iter().enumerate() {
            let y = &mut y[i * inner..][..inner];
            match id.within(self.ids.segments) {
                Some(segment) => copy_run(y, &x[segment * inner..]),
                None => y.fill(T::from_bits(0)),
            }
        }
    }
}

impl Body for Spread {
    unsafe fn run(&self, args: &Args<'_>, phase: usize, tile: usize) -> Result<(), KernelError> {
        if phase == 0 {
            // SAFETY: there are as many numbers of segments.
            return with_index!(self.ids.dtype, I => self.ids.check(unsafe { args.input::<I>(1, self.ids.count) }));
        }
        // SAFETY: the caller's contract.
        with_word!(self.dtype, T => with_index!(self.ids.dtype, I => unsafe { self.copy::<T, I>(args, tile) }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use dormouse_value::{DType, Op, SegmentOp};
    use proptest::prelude::*;

    use super::super::testing::{Array, any_dims, any_dtype, any_number, fit, run, scattered};
    use crate::Spec;

    proptest! {
        #[test]
        fn segments_are_reduced_in_order(
            dims in any_dims(), dtype in any_number(), split in 0..3_usize, segments in 0..6_usize, which in 0..4_usize,
            sorted in any::<bool>(), seed in any::<u64>(),
        ) {
            prop_assume!(split <= dims.len() && (!sorted || split == 1));
            let op = [SegmentOp::Sum, SegmentOp::Prod, SegmentOp::Max, SegmentOp::Min][which];
            let (places, rest) = dims.split_at(split);
            let count: usize = places.iter().product();
            prop_assume!(segments > 0 || count == 0);
            let inner: usize = rest.iter().product();
            // With some that are left out.
            let mut ids: Vec<i64> = scattered(count, segments + usize::from(!sorted), seed)
                .iter().map(|id| id - i64::from(!sorted)).collect();
            if sorted {
                ids.sort_unstable();
            }
            // Small, so that floats hold products.
            let x = Array::new(dtype, &dims, scattered(count * inner, 3, seed ^ 5));
            let at = Array::new(DType::I32, places, ids.iter().copied());
            let mut expected = vec![None; segments * inner];
            for (i, id) in ids.iter().enumerate().filter(|(_, id)| **id >= 0) {
                for j in 0..inner {
                    let own = &mut expected[*id as usize * inner + j];
                    let x = x.numbers[i * inner + j];
                    *own = Some(own.map_or(x, |y: i64| match op {
                        SegmentOp::Sum => fit(dtype, y + x),
                        SegmentOp::Prod => if matches!(dtype, DType::I32) {
                            i64::from((y as i32).wrapping_mul(x as i32))
                        } else {
                            fit(dtype, y.wrapping_mul(x))
                        },
                        SegmentOp::Max => y.max(x),
                        SegmentOp::Min => y.min(x),
                    }));
                }
            }
            prop_assume!(op != SegmentOp::Prod || count < 60);
            let empty = match (op, sorted) {
                (SegmentOp::Sum, _) | (SegmentOp::Max | SegmentOp::Min, true) => Some(0),
                (SegmentOp::Prod, _) => Some(1),
                (SegmentOp::Max | SegmentOp::Min, false) => None,
            };
            let own: Vec<usize> = [&[segments], rest].concat();
            let kind = Op::Segment { op, segments: segments as u64, sorted };
            let got = run(&kind, &[&x, &at], &Spec::new(dtype, &own)).unwrap();
            for (got, expected) in got.iter().zip(&expected) {
                if let Some(expected) = expected.or(empty) {
                    prop_assert_eq!(*got, expected);
                }
            }
        }

        #[test]
        fn parts_are_given_out(
            rest in any_dims(), dtype in any_dtype(), segments in 1..6_usize, count in 0..50_usize, seed in any::<u64>(),
        ) {
            let inner: usize = rest.iter().product();
            let x = Array::counting(dtype, &[&[segments], rest.as_slice()].concat());
            let ids: Vec<i64> = scattered(count, segments + 1, seed).iter().map(|id| id - 1).collect();
            let at = Array::new(DType::I64, &[count], ids.iter().copied());
            let row = |id: &i64| match usize::try_from(*id) {
                Ok(id) => x.numbers[id * inner..][..inner].to_vec(),
                Err(_) => vec![0; inner],
            };
            let expected: Vec<i64> = ids.iter().flat_map(row).collect();
            let dims = [&[count], rest.as_slice()].concat();
            let op = Op::SegmentSpread { segments: segments as u64 };
            prop_assert_eq!(run(&op, &[&x, &at], &Spec::new(dtype, &dims)).unwrap(), expected);
        }
    }

    #[test]
    fn numbers_outside_and_out_of_order_are_errors() {
        let x = Array::counting(DType::F32, &[3]);
        let told = |ids: [i64; 3], sorted| {
            let at = Array::new(DType::I32, &[3], ids);
            let op = Op::Segment { op: SegmentOp::Max, segments: 3, sorted };
            run(&op, &[&x, &at], &Spec::new(DType::F32, &[3])).unwrap_err().to_string()
        };
        assert_eq!(told([0, 3, 1], false), "segments[1] = 3 is not below 3");
        assert_eq!(told([0, 2, 1], true), "segments[2] = 1: segments must not fall");
        assert_eq!(told([-1, 2, 1], true), "segments[0] = -1: it must be 0 at least");
    }
}
