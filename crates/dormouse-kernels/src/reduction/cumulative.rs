//! Running sums and products along an axis.
//!
//! Apart from the folds, since every element of the order gives a result. A run is sequential; tiles are of whole
//! runs, and adjacent runs fill the vectors.

use std::fmt::Debug;
use std::marker::PhantomData;

use dormouse_value::{CumulativeOp, DType, Element};
use pulp::{Arch, Simd, WithSimd};

use super::{Middle, expect_result, operands};
use crate::math;
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// Elements that one tile is to read.
const TILE: usize = 1 << 15;
/// Adjacent runs that one tile works off together.
const STRIP: usize = 128;

/// Which elements a run's results leave out, and where it starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Direction {
    /// Whether an element leaves itself out.
    pub(crate) exclusive: bool,
    /// Whether it runs from the end.
    pub(crate) reverse: bool,
}

/// (x): the running sum or product along `axis`, of x's shape. Integers wrap.
///
/// # Errors
/// When the axis is outside x, x is boolean, or the result's shape differs.
pub(crate) fn cumulative(
    op: CumulativeOp,
    axis: i32,
    direction: Direction,
    inputs: &[Spec],
    outputs: &[Spec],
) -> Result<Kernel, KernelError> {
    let name = match op {
        CumulativeOp::Sum => "cumsum",
        CumulativeOp::Prod => "cumprod",
        CumulativeOp::LogSumExp => "cumulative_logsumexp",
    };
    let ([x], y) = operands::<1>(name, inputs, outputs)?;
    let shape = Middle::new(name, x, axis)?;
    expect_result(name, y, x)?;
    macro_rules! of {
        ($t:ty) => {
            match op {
                CumulativeOp::Sum => Ok(kernel::<$t, RunningSum>(shape, direction)),
                CumulativeOp::Prod => Ok(kernel::<$t, RunningProd>(shape, direction)),
                CumulativeOp::LogSumExp => {
                    Err(KernelError::new(format!("{name}: takes floats, not {x}; cast it first")))
                }
            }
        };
    }
    match x.dtype {
        DType::F32 if op == CumulativeOp::LogSumExp => Ok(kernel::<f32, RunningLogSum>(shape, direction)),
        DType::F64 if op == CumulativeOp::LogSumExp => Ok(kernel::<f64, RunningLogSum>(shape, direction)),
        DType::F32 => of!(f32),
        DType::F64 => of!(f64),
        DType::I32 => of!(i32),
        DType::I64 => of!(i64),
        DType::U8 => of!(u8),
        DType::U64 => of!(u64),
        DType::Bool | DType::F16 | DType::Bf16 | DType::I8 | DType::I16 | DType::U16 | DType::U32 => {
            Err(KernelError::new(format!("{name}: takes numbers, not {x}; cast it first")))
        }
    }
}

/// What runs.
trait Run<T>: Debug + Send + Sync + 'static {
    const START: T;
    /// What a step takes, in additions.
    const STEPS: f64 = 1.0;
    fn step(a: T, b: T) -> T;
}

#[derive(Debug)]
struct RunningSum;

#[derive(Debug)]
struct RunningProd;

#[derive(Debug)]
struct RunningLogSum;

macro_rules! runs {
    ($($t:ty: $zero:expr, $one:expr, |$a:ident, $b:ident| $add:expr, $mul:expr);*) => { $(
        impl Run<$t> for RunningSum {
            const START: $t = $zero;
            #[inline(always)]
            fn step($a: $t, $b: $t) -> $t { $add }
        }
        impl Run<$t> for RunningProd {
            const START: $t = $one;
            #[inline(always)]
            fn step($a: $t, $b: $t) -> $t { $mul }
        }
    )* };
}
runs!(f32: 0.0, 1.0, |a, b| a + b, a * b; f64: 0.0, 1.0, |a, b| a + b, a * b;
    i32: 0, 1, |a, b| a.wrapping_add(b), a.wrapping_mul(b); i64: 0, 1, |a, b| a.wrapping_add(b), a.wrapping_mul(b);
    u8: 0, 1, |a, b| a.wrapping_add(b), a.wrapping_mul(b);
    u64: 0, 1, |a, b| a.wrapping_add(b), a.wrapping_mul(b));

macro_rules! log_sums {
    ($($t:ty)*) => { $(
        impl Run<$t> for RunningLogSum {
            const START: $t = <$t>::NEG_INFINITY;
            const STEPS: f64 = 15.0;
            // ln(eᵃ + eᵇ) by the larger, which may be infinite.
            #[inline(always)]
            fn step(a: $t, b: $t) -> $t {
                let (low, high) = if a > b { (b, a) } else { (a, b) };
                let distance = low - high;
                let sum = high + math::ln_1p(math::exp(distance));
                if high.is_infinite() { if low.is_nan() { low } else { high } } else { sum }
            }
        }
    )* };
}
log_sums!(f32 f64);

fn kernel<T: Element, R: Run<T>>(shape: Middle, direction: Direction) -> Kernel {
    let elements = shape.len();
    let strip = shape.inner.min(STRIP);
    let units = if elements == 0 { 0 } else { shape.outer * shape.inner.div_ceil(STRIP) };
    let per_tile = (TILE / (shape.extent * strip).max(1)).max(1);
    let tiles = units.div_ceil(per_tile);
    let nanos = if shape.inner == 1 { 1.2 } else { 0.3 } * R::STEPS;
    let cost = Cost {
        flops: elements as f64,
        bytes: (2 * elements * size_of::<T>()) as f64,
        nanos: 20.0 + elements as f64 * nanos,
    };
    let mut kernel = Kernel::new(
        tiles,
        cost,
        Running::<T, R> { shape, direction, units, per_tile, arch: Arch::new(), types: PhantomData },
    );
    if tiles == 0 {
        kernel.phases.clear();
    }
    kernel
}

#[derive(Debug)]
struct Running<T, R> {
    shape: Middle,
    direction: Direction,
    units: usize,
    per_tile: usize,
    arch: Arch,
    types: PhantomData<(T, R)>,
}

impl<T: Element, R: Run<T>> Body for Running<T, R> {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        let Middle { extent, inner, .. } = self.shape;
        // SAFETY: the operand has the spec's elements, and no tile writes it.
        let x = unsafe { args.input::<T>(0, self.shape.len()) };
        let strips = inner.div_ceil(STRIP);
        let first = tile * self.per_tile;
        for unit in first..self.units.min(first + self.per_tile) {
            let column = unit % strips * STRIP;
            let start = unit / strips * extent * inner + column;
            if inner == 1 {
                // SAFETY: a unit is one row, and tiles have disjoint units.
                let out = unsafe { args.output::<T>(0, start, extent) };
                run_row::<T, R>(&x[start..start + extent], out, self.direction);
            } else {
                let width = STRIP.min(inner - column);
                self.arch.dispatch(Strip::<T, R> { of: self, args, x, start, width });
            }
        }
        Ok(())
    }
}

/// One contiguous run.
fn run_row<T: Element, R: Run<T>>(x: &[T], out: &mut [T], direction: Direction) {
    let mut total = R::START;
    let mut step = |(y, &x): (&mut T, &T)| {
        let next = R::step(total, x);
        *y = if direction.exclusive { total } else { next };
        total = next;
    };
    let places = out.iter_mut().zip(x);
    if direction.reverse {
        places.rev().for_each(&mut step);
    } else {
        places.for_each(&mut step);
    }
}

/// Adjacent runs, one row of them after the other.
struct Strip<'a, T, R> {
    of: &'a Running<T, R>,
    args: &'a Args<'a>,
    x: &'a [T],
    start: usize,
    width: usize,
}

impl<T: Element, R: Run<T>> WithSimd for Strip<'_, T, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Strip { of, args, x, start, width } = self;
        let Middle { extent, inner, .. } = of.shape;
        let mut totals = [R::START; STRIP];
        for r in 0..extent {
            let place = start + if of.direction.reverse { extent - 1 - r } else { r } * inner;
            // SAFETY: strips are disjoint columns within the result, and one row of this strip is borrowed at a time.
            let out = unsafe { args.output::<T>(0, place, width) };
            for ((total, y), &x) in totals.iter_mut().zip(out).zip(&x[place..place + width]) {
                let next = R::step(*total, x);
                *y = if of.direction.exclusive { *total } else { next };
                *total = next;
            }
        }
    }
}
