//! Arrays: elements moved to other places, and the gradients that move them back.
//!
//! A separate family because its code knows elements by their size alone: a copy of 4 bytes serves `f32` and `i32`.
//! `strided` copies out of a view (transpose, slice, tile, a part of a concat), `place` copies into a larger result
//! (concat, pad, the gradient of a slice), `parts` takes every other element, `gather`, `gather_nd` and `scatter_nd` move what
//! indices name, `pick` what each row's own indices name, `segment` takes together what has one number, `top_k` and
//! `search_sorted` go by order, `one_hot` marks, `tile_grad` adds up copies, `iota` counts, `metadata` tells shapes. What they share stands here: checked operands, ranges as tiles, a walk over axes.

mod gather;
mod gather_nd;
mod iota;
mod metadata;
mod one_hot;
mod parts;
mod pick;
mod place;
mod scatter_nd;
mod search_sorted;
mod segment;
mod strided;
mod sum_rows;
#[cfg(test)]
mod testing;
mod tile_grad;
mod top_k;

use std::ops::Range;

use dormouse_value::{DType, Dims, Element, Real, bf16, f16};
use smallvec::SmallVec;

pub(crate) use gather::{gather, gather_grad};
pub(crate) use gather_nd::gather_nd;
pub(crate) use iota::iota;
pub(crate) use metadata::{bitcast, reshape, shape_of, size_of};
pub(crate) use one_hot::{OneHotValues, one_hot};
pub(crate) use parts::{strided_slice, strided_slice_grad};
pub(crate) use pick::{pick, pick_grad};
pub(crate) use place::{concat, pad, slice_grad};
pub(crate) use scatter_nd::scatter_nd;
pub(crate) use search_sorted::search_sorted;
pub(crate) use segment::{segment, segment_spread};
pub(crate) use strided::{concat_grad, slice, slice_like, tile, transpose};
pub use sum_rows::compile_sum_rows;
pub(crate) use tile_grad::tile_grad;
pub(crate) use top_k::top_k;

use crate::{Cost, Kernel, KernelError, Spec};

/// Nanoseconds of work that make a tile: well above what handing it to a worker takes. Tests cut finer, so that small
/// shapes have many tiles.
const TILE_NANOS: f64 = if cfg!(test) { 40.0 } else { 30_000.0 };

/// Elements that no two tiles share a cache line of, whatever their size.
const LINE: usize = if cfg!(test) { 4 } else { 64 };

/// Bytes that one core reads and writes in a nanosecond, from its outer caches.
const BYTES_PER_NANO: f64 = 24.0;

/// Nanoseconds that the start of a run of consecutive elements takes.
const RUN_NANOS: f64 = 3.0;

/// More axes longer than 1 than any array in memory has.
const MAX_RANK: usize = 64;

/// The type that stands for all types of its size where elements are only moved.
trait Word: Element {
    /// The element in the low bytes of `bits`.
    fn from_bits(bits: u64) -> Self;
}

impl Word for u8 {
    fn from_bits(bits: u64) -> Self {
        bits as u8
    }
}

impl Word for u16 {
    fn from_bits(bits: u64) -> Self {
        bits as u16
    }
}

impl Word for i32 {
    fn from_bits(bits: u64) -> Self {
        bits as i32
    }
}

impl Word for i64 {
    fn from_bits(bits: u64) -> Self {
        bits as i64
    }
}

/// Runs an expression with a type alias bound to the [`Word`] of a dtype's size.
macro_rules! with_word {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype.size() {
            1 => {
                type $T = u8;
                $body
            }
            2 => {
                type $T = u16;
                $body
            }
            4 => {
                type $T = i32;
                $body
            }
            _ => {
                type $T = i64;
                $body
            }
        }
    };
}
use with_word;

/// A number as the bits of an element, for [`Word::from_bits`]; conversions as of a cast.
fn bits_of(value: Real, dtype: DType) -> u64 {
    let Real(x) = value;
    match dtype {
        DType::F32 => u64::from((x as f32).to_bits()),
        DType::F64 => x.to_bits(),
        DType::I32 => x as i32 as u64,
        DType::I64 => x as i64 as u64,
        DType::U8 => u64::from(x as u8),
        DType::Bool => u64::from(x != 0.0),
        DType::F16 => u64::from(f16::from_f64(x).to_bits()),
        DType::Bf16 => u64::from(bf16::from_f64(x).to_bits()),
        DType::I8 => x as i8 as u64,
        DType::I16 => x as i16 as u64,
        DType::U16 => u64::from(x as u16),
        DType::U32 => u64::from(x as u32),
        DType::U64 => x as u64,
    }
}

/// An element type with an addition: wrapping for integers.
trait Number: Element {
    /// What sums are held in while they grow.
    type Sum: Copy + Default;
    /// The sum with one more addend.
    fn accumulate(sum: Self::Sum, x: Self) -> Self::Sum;
    /// Two sums as one.
    fn combine(a: Self::Sum, b: Self::Sum) -> Self::Sum;
    /// The sum as an element.
    fn finish(sum: Self::Sum) -> Self;
    /// `self + x`.
    fn plus(self, x: Self) -> Self;
}

macro_rules! numbers {
    ($($type:ty, $sum:ty, $x:ident, $y:ident => $add:expr;)*) => { $(
        impl Number for $type {
            type Sum = $sum;
            fn accumulate($x: $sum, y: $type) -> $sum { let $y = <$sum>::from(y); $add }
            fn combine($x: $sum, $y: $sum) -> $sum { $add }
            fn finish(sum: $sum) -> $type { sum as $type }
            fn plus(self, $y: $type) -> $type { let $x = self; $add }
        }
    )* };
}
numbers! {
    f32, f64, x, y => x + y;
    f64, f64, x, y => x + y;
    i32, i32, x, y => x.wrapping_add(y);
    i64, i64, x, y => x.wrapping_add(y);
    u8, u8, x, y => x.wrapping_add(y);
    u64, u64, x, y => x.wrapping_add(y);
}

/// Runs an expression with a type alias bound to the [`Number`] of a dtype, or gives the second where there is none.
macro_rules! with_number {
    ($dtype:expr, $T:ident => $body:expr, $none:expr) => {
        match $dtype {
            dormouse_value::DType::F32 => {
                type $T = f32;
                $body
            }
            dormouse_value::DType::F64 => {
                type $T = f64;
                $body
            }
            dormouse_value::DType::I32 => {
                type $T = i32;
                $body
            }
            dormouse_value::DType::I64 => {
                type $T = i64;
                $body
            }
            dormouse_value::DType::U8 => {
                type $T = u8;
                $body
            }
            dormouse_value::DType::U64 => {
                type $T = u64;
                $body
            }
            // Numbers of fewer bits come in as wider ones.
            dormouse_value::DType::Bool
            | dormouse_value::DType::F16
            | dormouse_value::DType::Bf16
            | dormouse_value::DType::I8
            | dormouse_value::DType::I16
            | dormouse_value::DType::U16
            | dormouse_value::DType::U32 => $none,
        }
    };
}
use with_number;

/// The specs of `N` operands and of the one result, none of them too large for memory.
fn operands<'a, const N: usize>(
    op: &str,
    inputs: &'a [Spec],
    outputs: &'a [Spec],
) -> Result<(&'a [Spec; N], &'a Spec), KernelError> {
    let Ok(operands) = <&[Spec; N]>::try_from(inputs) else {
        return Err(KernelError::new(format!("{op}: takes {N} operands, not {}", inputs.len())));
    };
    Ok((operands, result(op, inputs, outputs)?))
}

/// The spec of the one result; none of the specs is too large for memory.
fn result<'a>(op: &str, inputs: &[Spec], outputs: &'a [Spec]) -> Result<&'a Spec, KernelError> {
    let [output] = outputs else {
        return Err(KernelError::new(format!("{op}: gives one result, not {}", outputs.len())));
    };
    match inputs.iter().chain(outputs).find(|spec| isize::try_from(spec.bytes()).is_err()) {
        Some(spec) => Err(KernelError::new(format!("{op}: {spec} does not fit in memory"))),
        None => Ok(output),
    }
}

/// An error unless the result is of this dtype and these extents.
fn require_result(op: &str, inputs: &[Spec], output: &Spec, dtype: DType, dims: &[usize]) -> Result<(), KernelError> {
    if output.dtype == dtype && output.dims.as_slice() == dims {
        return Ok(());
    }
    let inputs = inputs.iter().map(Spec::to_string).collect::<Vec<_>>().join(", ");
    Err(KernelError::new(format!("{op}: of {inputs} gives {}, not {output}", Spec::new(dtype, dims))))
}

/// The axis counted from the front, of `rank`; negative ones count from the end.
fn axis_of(op: &str, axis: i32, rank: usize) -> Result<usize, KernelError> {
    let index = if axis < 0 { rank as i64 + i64::from(axis) } else { i64::from(axis) };
    usize::try_from(index)
        .ok()
        .filter(|&index| index < rank)
        .ok_or_else(|| KernelError::new(format!("{op}: axis {axis} is not one of {rank} axes")))
}

/// Extents before, of and after an axis: any array is `[outer, extent, inner]`. Saturated, where another is 0.
fn around(dims: &[usize], axis: usize) -> (usize, usize, usize) {
    let product = |dims: &[usize]| dims.iter().copied().fold(1, usize::saturating_mul);
    (product(&dims[..axis]), dims[axis], product(&dims[axis + 1..]))
}

/// Elements from one index along each axis to the next, row-major.
fn strides_of(dims: &[usize]) -> Dims {
    let mut strides = Dims::from_elem(1, dims.len());
    for i in (1..dims.len()).rev() {
        strides[i - 1] = strides[i].saturating_mul(dims[i]);
    }
    strides
}

/// What copying `bytes` into a result by `runs` runs takes.
fn copy_cost(bytes: usize, runs: usize) -> Cost {
    let bytes = 2.0 * bytes as f64;
    Cost { flops: 0.0, bytes, nanos: runs as f64 * RUN_NANOS + bytes / BYTES_PER_NANO }
}

/// A kernel for a result without elements.
fn nothing(body: impl crate::Body + 'static) -> Kernel {
    Kernel { phases: SmallVec::new(), ..Kernel::new(0, Cost::default(), body) }
}

/// Consecutive ranges of items, one a tile, each of about [`TILE_NANOS`].
#[derive(Clone, Copy, Debug)]
struct Ranges {
    len: usize,
    step: usize,
}

impl Ranges {
    /// Ranges of `len` elements that together take `nanos`; no two share a cache line.
    fn of_elements(len: usize, nanos: f64) -> Self {
        Ranges { step: Self::of_items(len, nanos).step.next_multiple_of(LINE), len }
    }

    /// Ranges of `len` items that together take `nanos`.
    fn of_items(len: usize, nanos: f64) -> Self {
        let tiles = (nanos / TILE_NANOS).ceil().max(1.0) as usize;
        Ranges { step: len.div_ceil(tiles).max(1), len }
    }

    fn count(self) -> usize {
        self.len.div_ceil(self.step)
    }

    fn get(self, tile: usize) -> Range<usize> {
        let start = tile * self.step;
        start..(start + self.step).min(self.len)
    }
}

/// An axis of a copy: how many, and how far apart in the source and in the result. A distance may be negative, in two's
/// complement: sums of distances wrap, and are places again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Axis {
    extent: usize,
    from: usize,
    to: usize,
}

/// Axes without those of extent 1, neighbors made one wherever that steps through the same places.
fn merge_axes(axes: impl IntoIterator<Item = Axis>) -> SmallVec<[Axis; 6]> {
    let mut merged = SmallVec::<[Axis; 6]>::new();
    for axis in axes.into_iter().filter(|axis| axis.extent != 1) {
        match merged.last_mut() {
            Some(last)
                if last.from == axis.extent.wrapping_mul(axis.from) && last.to == axis.extent.wrapping_mul(axis.to) =>
            {
                *last = Axis { extent: last.extent * axis.extent, ..axis };
            }
            Some(_) | None => merged.push(axis),
        }
    }
    merged
}

/// Steps through all indices of some axes, row-major, keeping the offsets.
#[derive(Debug)]
struct Walk<'a> {
    axes: &'a [Axis],
    index: [usize; MAX_RANK],
    from: usize,
    to: usize,
}

impl<'a> Walk<'a> {
    /// At the place that is `position` steps after the first.
    fn new(axes: &'a [Axis], mut position: usize) -> Self {
        let mut walk = Walk { axes, index: [0; MAX_RANK], from: 0, to: 0 };
        for (i, axis) in axes.iter().enumerate().rev() {
            let index = position % axis.extent;
            position /= axis.extent;
            walk.index[i] = index;
            walk.from = walk.from.wrapping_add(index.wrapping_mul(axis.from));
            walk.to = walk.to.wrapping_add(index.wrapping_mul(axis.to));
        }
        walk
    }

    fn advance(&mut self) {
        for (index, axis) in self.index[..self.axes.len()].iter_mut().zip(self.axes).rev() {
            *index += 1;
            self.from = self.from.wrapping_add(axis.from);
            self.to = self.to.wrapping_add(axis.to);
            if *index < axis.extent {
                return;
            }
            *index = 0;
            self.from = self.from.wrapping_sub(axis.extent.wrapping_mul(axis.from));
            self.to = self.to.wrapping_sub(axis.extent.wrapping_mul(axis.to));
        }
    }
}

/// Calls `f` with each row that `range` meets, the columns of it, and where they lie within `range`.
fn for_each_row(range: Range<usize>, width: usize, mut f: impl FnMut(usize, Range<usize>, Range<usize>)) {
    let mut at = range.start;
    let (mut row, mut column) = (at / width, at % width);
    while at < range.end {
        let len = (width - column).min(range.end - at);
        f(row, column..column + len, at - range.start..at - range.start + len);
        at += len;
        row += 1;
        column = 0;
    }
}

/// Copies as many elements as `to` has, without a call where they are few.
#[inline]
fn copy_run<T: Copy>(to: &mut [T], from: &[T]) {
    let from = &from[..to.len()];
    match to.len() {
        0 => {}
        1 => to[0] = from[0],
        2..=3 => copy_ends::<T, 2>(to, from),
        4..=7 => copy_ends::<T, 4>(to, from),
        8..=16 => copy_ends::<T, 8>(to, from),
        _ => to.copy_from_slice(from),
    }
}

/// Copies the first and the last `N` elements, which are all where there are `N` to `2·N`.
#[inline]
fn copy_ends<T: Copy, const N: usize>(to: &mut [T], from: &[T]) {
    if let (Some(to), Some(from)) = (to.first_chunk_mut::<N>(), from.first_chunk::<N>()) {
        *to = *from;
    }
    if let (Some(to), Some(from)) = (to.last_chunk_mut::<N>(), from.last_chunk::<N>()) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_any_length_are_copied_whole() {
        for len in 0..40 {
            let from: Vec<i32> = (1..=len + 3).collect();
            let mut to = vec![0; len as usize];
            copy_run(&mut to, &from);
            assert_eq!(to, from[..len as usize]);
        }
    }

    #[test]
    fn neighbors_that_lie_in_a_row_are_one_axis() {
        let axis = |extent, from, to| Axis { extent, from, to };
        let merged = merge_axes([axis(2, 12, 12), axis(1, 7, 9), axis(3, 4, 4), axis(4, 1, 1)]);
        assert_eq!(merged.as_slice(), [axis(24, 1, 1)]);
        let kept = [axis(3, 1, 4), axis(4, 3, 1)];
        assert_eq!(merge_axes(kept).as_slice(), kept);
        let kept = [axis(3, 4, 5), axis(4, 1, 1)];
        assert_eq!(merge_axes(kept).as_slice(), kept);
        assert_eq!(merge_axes([axis(5, 0, 3), axis(3, 0, 1)]).as_slice(), [axis(15, 0, 1)]);
    }

    #[test]
    fn ranges_cover_all_items_once() {
        for len in [0, 1, 5, 64, 1000] {
            for nanos in [0.0, 50.0, 1e5] {
                for ranges in [Ranges::of_elements(len, nanos), Ranges::of_items(len, nanos)] {
                    let items: Vec<usize> = (0..ranges.count()).flat_map(|tile| ranges.get(tile)).collect();
                    assert_eq!(items, (0..len).collect::<Vec<_>>());
                }
            }
        }
    }

    #[test]
    fn a_walk_may_start_anywhere() {
        let axes = [Axis { extent: 2, from: 100, to: 1 }, Axis { extent: 3, from: 10, to: 7 }];
        let mut walk = Walk::new(&axes, 0);
        for position in 0..6 {
            let fresh = Walk::new(&axes, position);
            assert_eq!((walk.from, walk.to), (fresh.from, fresh.to));
            assert_eq!(walk.from, position / 3 * 100 + position % 3 * 10);
            walk.advance();
        }
    }
}
