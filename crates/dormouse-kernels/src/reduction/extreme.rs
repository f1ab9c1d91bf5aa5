//! The index of the largest or smallest element along an axis.
//!
//! Apart from the folds, since what is accumulated is a pair. As in TensorFlow the search begins with index 0 and the
//! lowest finite number and takes only what is strictly better: the first of equals wins, a NaN never does, and where
//! nothing is better than the lowest the index is 0.

use std::fmt::Debug;
use std::marker::PhantomData;

use dormouse_value::{DType, Element};
use pulp::{Arch, Simd, WithSimd};

use super::{Middle, expect_result, operands};
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// Elements that one tile is to read.
const TILE: usize = 1 << 15;
/// Adjacent searches whose state one tile holds.
const STRIP: usize = 128;
/// Elements of a row between two looks at whether any is better than all before.
const BLOCK: usize = 256;

/// (x): the index of the largest element along `axis`, as `output`.
///
/// # Errors
/// When the axis is outside x or has no elements, `output` is not an index type, or the result's shape differs.
pub(crate) fn arg_max(axis: i32, output: DType, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    extreme("argmax", axis, output, inputs, outputs, Direction::Largest)
}

/// (x): as [`arg_max`], of the smallest.
///
/// # Errors
/// As [`arg_max`].
pub(crate) fn arg_min(axis: i32, output: DType, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    extreme("argmin", axis, output, inputs, outputs, Direction::Smallest)
}

#[derive(Clone, Copy)]
enum Direction {
    Largest,
    Smallest,
}

fn extreme(
    name: &str,
    axis: i32,
    output: DType,
    inputs: &[Spec],
    outputs: &[Spec],
    direction: Direction,
) -> Result<Kernel, KernelError> {
    let ([x], y) = operands::<1>(name, inputs, outputs)?;
    let shape = Middle::new(name, x, axis)?;
    let mut dims = x.dims.clone();
    dims.remove(if axis < 0 { axis + x.dims.len() as i32 } else { axis } as usize);
    expect_result(name, y, &Spec { dtype: output, dims })?;
    if shape.extent == 0 {
        return Err(KernelError::new(format!("{name}: axis {axis} of {x} has no elements to choose from")));
    }
    macro_rules! of {
        ($t:ty) => {
            match (output, direction) {
                (DType::I32, Direction::Largest) => Ok(kernel::<$t, i32, Largest>(shape)),
                (DType::I64, Direction::Largest) => Ok(kernel::<$t, i64, Largest>(shape)),
                (DType::I32, Direction::Smallest) => Ok(kernel::<$t, i32, Smallest>(shape)),
                (DType::I64, Direction::Smallest) => Ok(kernel::<$t, i64, Smallest>(shape)),
                (
                    DType::F32
                    | DType::F64
                    | DType::U8
                    | DType::Bool
                    | DType::F16
                    | DType::Bf16
                    | DType::I8
                    | DType::I16
                    | DType::U16
                    | DType::U32
                    | DType::U64,
                    _,
                ) => Err(KernelError::new(format!("{name}: an index is i32 or i64, not {output}"))),
            }
        };
    }
    match x.dtype {
        DType::F32 => of!(f32),
        DType::F64 => of!(f64),
        DType::I32 => of!(i32),
        DType::I64 => of!(i64),
        DType::U8 => of!(u8),
        DType::U64 => of!(u64),
        DType::Bool => of!(bool),
        DType::F16 | DType::Bf16 | DType::I8 | DType::I16 | DType::U16 | DType::U32 => {
            Err(KernelError::new(format!("{name}: {} is compared as {}; cast it first", x.dtype, x.dtype.wide())))
        }
    }
}

/// Elements with an order, and its ends.
trait Ordered: Element + PartialOrd {
    const LOWEST: Self;
    const HIGHEST: Self;
}

macro_rules! ordered {
    ($($t:ty: $lowest:expr, $highest:expr);*) => { $(
        impl Ordered for $t {
            const LOWEST: $t = $lowest;
            const HIGHEST: $t = $highest;
        }
    )* };
}
ordered!(f32: f32::MIN, f32::MAX; f64: f64::MIN, f64::MAX; i32: i32::MIN, i32::MAX; i64: i64::MIN, i64::MAX;
    u8: u8::MIN, u8::MAX; u64: u64::MIN, u64::MAX; bool: false, true);

/// Index types.
trait Index: Element {
    fn index(i: usize) -> Self;
}

impl Index for i32 {
    #[inline(always)]
    fn index(i: usize) -> i32 {
        i as i32
    }
}

impl Index for i64 {
    #[inline(always)]
    fn index(i: usize) -> i64 {
        i as i64
    }
}

/// Which of two elements is better.
trait Order: Debug + Send + Sync + 'static {
    fn worst<T: Ordered>() -> T;
    fn better<T: Ordered>(a: T, b: T) -> bool;
}

#[derive(Debug)]
struct Largest;

#[derive(Debug)]
struct Smallest;

impl Order for Largest {
    #[inline(always)]
    fn worst<T: Ordered>() -> T {
        T::LOWEST
    }
    #[inline(always)]
    fn better<T: Ordered>(a: T, b: T) -> bool {
        a > b
    }
}

impl Order for Smallest {
    #[inline(always)]
    fn worst<T: Ordered>() -> T {
        T::HIGHEST
    }
    #[inline(always)]
    fn better<T: Ordered>(a: T, b: T) -> bool {
        a < b
    }
}

fn kernel<T: Ordered, I: Index, O: Order>(shape: Middle) -> Kernel {
    let results = shape.outer * shape.inner;
    let strip = shape.inner.min(STRIP);
    let units = if results == 0 { 0 } else { shape.outer * shape.inner.div_ceil(strip) };
    let per_tile = (TILE / (shape.extent * strip).max(1)).max(1);
    let tiles = units.div_ceil(per_tile);
    let elements = shape.len() as f64;
    let bytes = elements * size_of::<T>() as f64 + (results * size_of::<I>()) as f64;
    let cost = Cost { flops: elements, bytes, nanos: 20.0 + 2.0 * results as f64 + elements * 0.3 };
    let body = Search::<T, I, O> { shape, units, per_tile, arch: Arch::new(), types: PhantomData };
    let mut kernel = Kernel::new(tiles, cost, body);
    if tiles == 0 {
        kernel.phases.clear();
    }
    kernel
}

#[derive(Debug)]
struct Search<T, I, O> {
    shape: Middle,
    /// Strips of adjacent searches.
    units: usize,
    per_tile: usize,
    arch: Arch,
    types: PhantomData<(T, I, O)>,
}

impl<T: Ordered, I: Index, O: Order> Body for Search<T, I, O> {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        let shape = self.shape;
        // SAFETY: the operand has the spec's elements, and no tile writes it.
        let x = unsafe { args.input::<T>(0, shape.len()) };
        let strips = shape.inner.div_ceil(STRIP);
        let place = |unit: usize| unit / strips * shape.inner + unit % strips * STRIP;
        let first = tile * self.per_tile;
        let end = self.units.min(first + self.per_tile);
        let (start, stop) = (place(first), place(end));
        // SAFETY: tiles cut the results into disjoint ranges, and there is one of each range.
        let out = unsafe { args.output::<I>(0, start, stop - start) };
        self.arch.dispatch(Tile::<T, I, O> { shape, x, start, out, order: PhantomData });
        Ok(())
    }
}

struct Tile<'a, T, I, O> {
    shape: Middle,
    x: &'a [T],
    /// The first result.
    start: usize,
    out: &'a mut [I],
    order: PhantomData<O>,
}

impl<T: Ordered, I: Index, O: Order> WithSimd for Tile<'_, T, I, O> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Middle { extent, inner, .. } = self.shape;
        if inner == 1 {
            let rows = self.x[self.start * extent..].chunks_exact(extent);
            for (y, row) in self.out.iter_mut().zip(rows) {
                *y = I::index(search::<T, O>(row));
            }
            return;
        }
        let mut out = self.out;
        let mut at = self.start;
        while !out.is_empty() {
            let (outer, column) = (at / inner, at % inner);
            let width = STRIP.min(inner - column);
            let (own, rest) = std::mem::take(&mut out).split_at_mut(width);
            search_columns::<T, I, O>(&self.x[outer * extent * inner + column..], extent, inner, own);
            out = rest;
            at += width;
        }
    }
}

/// The index in a contiguous row: the best of a block first, which vectors find, then its place.
#[inline(always)]
fn search<T: Ordered, O: Order>(row: &[T]) -> usize {
    let (mut best, mut index) = (O::worst::<T>(), 0);
    for (block, x) in row.chunks(BLOCK).enumerate() {
        let found = best_of::<T, O>(x, best);
        if O::better(found, best) {
            best = found;
            index = block * BLOCK + x.iter().position(|&x| x == found).unwrap_or(0);
        }
    }
    index
}

#[inline(always)]
fn best_of<T: Ordered, O: Order>(x: &[T], start: T) -> T {
    const LANES: usize = 16;
    let better = |a: T, b: T| if O::better(a, b) { a } else { b };
    let (chunks, rest) = x.as_chunks::<LANES>();
    let best = rest.iter().fold(start, |best, &x| better(x, best));
    if chunks.is_empty() {
        return best;
    }
    let mut lanes = [best; LANES];
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = better(x, *lane);
        }
    }
    lanes.iter().fold(best, |best, &x| better(x, best))
}

/// The indices of adjacent columns, whose rows lie `stride` apart.
#[inline(always)]
fn search_columns<T: Ordered, I: Index, O: Order>(x: &[T], rows: usize, stride: usize, out: &mut [I]) {
    let mut best = [O::worst::<T>(); STRIP];
    let best = &mut best[..out.len()];
    out.fill(I::index(0));
    for r in 0..rows {
        let row = &x[r * stride..][..out.len()];
        for ((best, y), &x) in best.iter_mut().zip(out.iter_mut()).zip(row) {
            let taken = O::better(x, *best);
            *best = if taken { x } else { *best };
            *y = if taken { I::index(r) } else { *y };
        }
    }
}
