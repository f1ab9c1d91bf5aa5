//! Softmax, its logarithm, and the cross-entropies that are fused with it.
//!
//! A module of its own because one walk gives all of them: the maximum of a row, so that no exponential overflows, the
//! sum of the exponentials, and what is made of the two. Computing a loss and its gradient together saves the second
//! walk, and no probability that rounds to 0 meets a logarithm.

#![allow(
    clippy::inline_always,
    reason = "a loop is vectorized only with its body inside, compiled for the same machine"
)]

mod loss_gradient;

use std::fmt::Debug;
use std::marker::PhantomData;
use std::ops::{Add, Div, Mul, Sub};

use dormouse_value::{DType, Element};
use pulp::{Arch, Simd, WithSimd};

use crate::kernel::with_float;
use crate::math::{Float, exp, ln};
use crate::reduction::fold::{Max, Sum};
use crate::reduction::{Middle, expect_result, operands, tree};
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

pub use self::loss_gradient::{LossGradient, compile_loss_gradient};

/// Elements that one tile is to read.
const TILE: usize = 1 << 13;
/// Adjacent columns that one tile works off together, where the axis is not the last.
const STRIP: usize = 64;
/// Terms of a loss that are added up side by side.
const LANES: usize = 8;
/// Nanoseconds of a call.
const START: f64 = 20.0;
/// Nanoseconds of an element.
const ELEMENT: f64 = 1.0;

/// A float that logits are of.
trait Logit: Element + Float + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> {
    const ONE: Self;
    const LOWEST: Self;
    fn widen(self) -> f64;
    fn narrow(x: f64) -> Self;
    /// The larger of two; NaN where either is.
    fn larger(self, other: Self) -> Self;
    /// The largest of a row; NaN where any is.
    fn largest(row: &[Self]) -> Self;
    /// Σ of a row.
    fn sum(row: &[Self]) -> Self;
}

macro_rules! logits {
    ($($t:ty),*) => { $(
        impl Logit for $t {
            const ONE: $t = 1.0;
            const LOWEST: $t = <$t>::NEG_INFINITY;
            #[inline(always)]
            #[allow(clippy::useless_conversion, reason = "one of the types is f64")]
            fn widen(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn narrow(x: f64) -> $t {
                x as $t
            }
            #[inline(always)]
            fn larger(self, other: $t) -> $t {
                if other > self || other.is_nan() { other } else { self }
            }
            #[inline(always)]
            fn largest(row: &[$t]) -> $t {
                tree::row::<Max<$t>>(row)
            }
            #[inline(always)]
            fn sum(row: &[$t]) -> $t {
                <$t>::narrow(tree::row::<Sum<$t>>(row))
            }
        }
    )* };
}
logits!(f32, f64);

/// (logits): exp(x − max) / Σ along `axis`, of the logits' shape.
///
/// # Errors
/// When the axis is outside the logits, they are not float, or the result's spec is not theirs.
pub(crate) fn softmax(axis: i32, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    normalize("softmax", axis, false, inputs, outputs)
}

/// (logits): x − max − ln Σ exp(x − max) along `axis`, of the logits' shape.
///
/// # Errors
/// When the axis is outside the logits, they are not float, or the result's spec is not theirs.
pub(crate) fn log_softmax(axis: i32, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    normalize("log_softmax", axis, true, inputs, outputs)
}

fn normalize(name: &str, axis: i32, log: bool, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let ([x], y) = operands::<1>(name, inputs, outputs)?;
    let shape = Middle::new(name, x, axis)?;
    expect_result(name, y, x)?;
    with_float!(x.dtype, T => Ok(softmax_kernel::<T>(shape, log)), else Err(not_float(name, x)))
}

/// (logits `[.., c]`, labels `[.., c]`): the loss −Σ labels · ln softmax `[..]`, and softmax − labels `[.., c]`.
///
/// # Errors
/// When logits are not floats with an axis of classes, or labels and results do not fit them.
pub(crate) fn cross_entropy(inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let name = "softmax_cross_entropy_with_logits";
    let (logits, labels, rows, classes) = losses(name, inputs, outputs)?;
    if labels != logits {
        return Err(KernelError::new(format!("{name}: labels are {logits} as the logits, not {labels}")));
    }
    with_float!(
        logits.dtype,
        T => Ok(loss_kernel::<T, Distributions<T>>(rows, classes)),
        else Err(not_float(name, logits))
    )
}

/// (logits `[.., c]`, labels `[..]`): the loss −ln softmax at the label `[..]`, and softmax − one-hot `[.., c]`. A label
/// outside `[0, c)` fails the run.
///
/// # Errors
/// When logits are not floats with an axis of classes, labels are not i32 or i64, or labels and results do not fit.
pub(crate) fn sparse_cross_entropy(inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let name = "sparse_softmax_cross_entropy_with_logits";
    let (logits, labels, rows, classes) = losses(name, inputs, outputs)?;
    if labels.dims != outputs[0].dims || !matches!(labels.dtype, DType::I32 | DType::I64) {
        return Err(KernelError::new(format!("{name}: labels of {logits} are i32 or i64, one a row, not {labels}")));
    }
    let wide = labels.dtype == DType::I64;
    let kernel = with_float!(
        logits.dtype,
        T => if wide {
            loss_kernel::<T, Classes<i64>>(rows, classes)
        } else {
            loss_kernel::<T, Classes<i32>>(rows, classes)
        },
        else return Err(not_float(name, logits))
    );
    Ok(Kernel { fallible: true, ..kernel })
}

fn not_float(name: &str, x: &Spec) -> KernelError {
    KernelError::new(format!("{name}: takes floats, not {x}; cast it first"))
}

/// Logits, labels, rows and classes of a loss whose results fit the logits.
fn losses<'a>(
    name: &str,
    inputs: &'a [Spec],
    outputs: &[Spec],
) -> Result<(&'a Spec, &'a Spec, usize, usize), KernelError> {
    let ([logits, labels], [loss, backprop]) = (inputs, outputs) else {
        let (taken, given) = (inputs.len(), outputs.len());
        return Err(KernelError::new(format!("{name}: takes 2 operands and gives 2 results, not {taken} and {given}")));
    };
    let Some((&classes, rows)) = logits.dims.split_last() else {
        return Err(KernelError::new(format!("{name}: logits need an axis of classes, not {logits}")));
    };
    expect_result(name, loss, &Spec::new(logits.dtype, rows))?;
    expect_result(name, backprop, logits)?;
    Ok((logits, labels, rows.iter().product(), classes))
}

/// A kernel of so many tiles, of no phase where there are none.
fn tiled(tiles: usize, elements: usize, bytes: usize, body: impl Body + 'static) -> Kernel {
    let elements = elements as f64;
    let cost = Cost { flops: elements * 20.0, bytes: bytes as f64, nanos: START + elements * ELEMENT };
    let mut kernel = Kernel::new(tiles, cost, body);
    if tiles == 0 {
        kernel.phases.clear();
    }
    kernel
}

fn softmax_kernel<T: Logit>(shape: Middle, log: bool) -> Kernel {
    let elements = shape.len();
    let units = if elements == 0 { 0 } else { shape.outer * shape.inner.div_ceil(STRIP) };
    let per_tile = (TILE / (shape.extent * shape.inner.min(STRIP)).max(1)).max(1);
    let body = Softmax::<T> { shape, log, units, per_tile, arch: Arch::new(), types: PhantomData };
    tiled(units.div_ceil(per_tile), elements, 2 * elements * size_of::<T>(), body)
}

/// Units are rows where the axis is the last, and strips of adjacent columns elsewhere.
#[derive(Debug)]
struct Softmax<T> {
    shape: Middle,
    log: bool,
    units: usize,
    per_tile: usize,
    arch: Arch,
    types: PhantomData<T>,
}

impl<T: Logit> Body for Softmax<T> {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        // SAFETY: the operand has the spec's elements, and no tile writes it.
        let x = unsafe { args.input::<T>(0, self.shape.len()) };
        self.arch.dispatch(SoftmaxTile { of: self, args, x, tile });
        Ok(())
    }
}

struct SoftmaxTile<'a, T> {
    of: &'a Softmax<T>,
    args: &'a Args<'a>,
    x: &'a [T],
    tile: usize,
}

impl<T: Logit> WithSimd for SoftmaxTile<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let SoftmaxTile { of, args, x, tile } = self;
        let Middle { extent, inner, .. } = of.shape;
        let strips = inner.div_ceil(STRIP);
        let first = tile * of.per_tile;
        for unit in first..of.units.min(first + of.per_tile) {
            let column = unit % strips * STRIP;
            let start = unit / strips * extent * inner + column;
            if inner == 1 {
                // SAFETY: a unit is one row, and tiles have disjoint units.
                let out = unsafe { args.output::<T>(0, start, extent) };
                normalize_row(&x[start..start + extent], out, of.log);
            } else {
                let width = STRIP.min(inner - column);
                // SAFETY: a unit is a strip of columns of the result, and tiles have disjoint units.
                let row = |r: usize| unsafe { args.output::<T>(0, start + r * inner, width) };
                normalize_columns(|r| &x[start + r * inner..][..width], row, extent, of.log);
            }
        }
    }
}

/// exp(x − max) to `out`; gives max and Σ.
#[inline(always)]
fn exponentials<T: Logit>(x: &[T], out: &mut [T]) -> (T, T) {
    let max = T::largest(x);
    for (y, &x) in out.iter_mut().zip(x) {
        *y = exp(x - max);
    }
    (max, T::sum(out))
}

#[inline(always)]
fn normalize_row<T: Logit>(x: &[T], out: &mut [T], log: bool) {
    let (max, sum) = exponentials(x, out);
    if log {
        let log = ln(sum);
        for (y, &x) in out.iter_mut().zip(x) {
            *y = (x - max) - log;
        }
    } else {
        for y in out {
            *y = *y / sum;
        }
    }
}

/// The rows of a strip, one after the other; `out` borrows one of them at a time.
#[inline(always)]
fn normalize_columns<'a, T: Logit>(
    x: impl Fn(usize) -> &'a [T],
    out: impl Fn(usize) -> &'a mut [T],
    extent: usize,
    log: bool,
) {
    let mut max = [T::LOWEST; STRIP];
    for r in 0..extent {
        for (max, &x) in max.iter_mut().zip(x(r)) {
            *max = max.larger(x);
        }
    }
    let mut sums = [0.0_f64; STRIP];
    for r in 0..extent {
        for (((y, &x), &max), sum) in out(r).iter_mut().zip(x(r)).zip(&max).zip(&mut sums) {
            *y = exp(x - max);
            *sum += y.widen();
        }
    }
    let sums = sums.map(T::narrow);
    if log {
        let logs = sums.map(ln);
        for r in 0..extent {
            for (((y, &x), &max), &log) in out(r).iter_mut().zip(x(r)).zip(&max).zip(&logs) {
                *y = (x - max) - log;
            }
        }
    } else {
        for r in 0..extent {
            for (y, &sum) in out(r).iter_mut().zip(&sums) {
                *y = *y / sum;
            }
        }
    }
}

/// How labels are given.
trait Labels<T>: Debug + Send + Sync + 'static {
    type Item: Element;
    /// Elements of all labels.
    fn count(rows: usize, classes: usize) -> usize;
    /// The loss of row `r`, whose exponentials `backprop` holds and is to hold the gradient; `None` where the label is
    /// outside.
    fn finish(labels: &[Self::Item], r: usize, x: &[T], max: T, sum: T, backprop: &mut [T]) -> Option<T>;
    /// What is wrong with the first label that is outside.
    fn outside(labels: &[Self::Item], classes: usize) -> KernelError;
}

/// A distribution over the classes a row.
#[derive(Debug)]
struct Distributions<T>(PhantomData<T>);

impl<T: Logit> Labels<T> for Distributions<T> {
    type Item = T;

    fn count(rows: usize, classes: usize) -> usize {
        rows * classes
    }

    #[inline(always)]
    fn finish(labels: &[T], r: usize, x: &[T], max: T, sum: T, backprop: &mut [T]) -> Option<T> {
        let labels = &labels[r * x.len()..][..x.len()];
        let log = ln(sum);
        let mut lanes = [0.0_f64; LANES];
        for (x, labels) in x.chunks(LANES).zip(labels.chunks(LANES)) {
            for ((lane, &x), &label) in lanes.iter_mut().zip(x).zip(labels) {
                *lane += (label * (log - (x - max))).widen();
            }
        }
        for (y, &label) in backprop.iter_mut().zip(labels) {
            *y = *y / sum - label;
        }
        Some(T::narrow(lanes.iter().sum()))
    }

    fn outside(_: &[T], _: usize) -> KernelError {
        KernelError::new("no distribution is outside the valid range")
    }
}

/// The index of a class a row.
#[derive(Debug)]
struct Classes<I>(PhantomData<I>);

impl<T: Logit, I: Element + Copy + Into<i64>> Labels<T> for Classes<I> {
    type Item = I;

    fn count(rows: usize, _: usize) -> usize {
        rows
    }

    #[inline(always)]
    fn finish(labels: &[I], r: usize, x: &[T], max: T, sum: T, backprop: &mut [T]) -> Option<T> {
        let label = usize::try_from(labels[r].into()).ok()?;
        let loss = ln(sum) - (*x.get(label)? - max);
        for y in &mut *backprop {
            *y = *y / sum;
        }
        backprop[label] = backprop[label] - T::ONE;
        Some(loss)
    }

    fn outside(labels: &[I], classes: usize) -> KernelError {
        let within = |label: i64| usize::try_from(label).is_ok_and(|label| label < classes);
        let label = labels.iter().map(|&label| label.into()).find(|&label| !within(label)).unwrap_or(-1);
        KernelError::new(format!(
            "received a label value of {label} which is outside the valid range of [0, {classes})"
        ))
    }
}

fn loss_kernel<T: Logit, L: Labels<T>>(rows: usize, classes: usize) -> Kernel {
    let per_tile = (TILE / classes.max(1)).max(1);
    let elements = rows * classes;
    let bytes = (2 * elements + rows) * size_of::<T>() + L::count(rows, classes) * size_of::<L::Item>();
    let body = Loss::<T, L> { rows, classes, per_tile, arch: Arch::new(), types: PhantomData };
    tiled(rows.div_ceil(per_tile), elements, bytes, body)
}

#[derive(Debug)]
struct Loss<T, L> {
    rows: usize,
    classes: usize,
    per_tile: usize,
    arch: Arch,
    types: PhantomData<(T, L)>,
}

impl<T: Logit, L: Labels<T>> Body for Loss<T, L> {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        let (rows, classes) = (self.rows, self.classes);
        let first = tile * self.per_tile;
        let count = self.per_tile.min(rows - first);
        // SAFETY: the operands have their specs' elements, and no tile writes them.
        let (x, labels) =
            unsafe { (args.input::<T>(0, rows * classes), args.input::<L::Item>(1, L::count(rows, classes))) };
        // SAFETY: tiles have disjoint rows, and the two results do not share memory.
        let (loss, backprop) =
            unsafe { (args.output::<T>(0, first, count), args.output::<T>(1, first * classes, count * classes)) };
        let done = self.arch.dispatch(LossTile::<T, L> { x, labels, classes, first, loss, backprop });
        // Of several the first is told, whichever tile meets one.
        if done { Ok(()) } else { Err(L::outside(labels, classes)) }
    }
}

struct LossTile<'a, T, L: Labels<T>> {
    x: &'a [T],
    labels: &'a [L::Item],
    classes: usize,
    first: usize,
    loss: &'a mut [T],
    backprop: &'a mut [T],
}

impl<T: Logit, L: Labels<T>> WithSimd for LossTile<'_, T, L> {
    /// Whether all labels were classes.
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        let LossTile { x, labels, classes, first, loss, backprop } = self;
        for (i, loss) in loss.iter_mut().enumerate() {
            let r = first + i;
            let x = &x[r * classes..][..classes];
            let backprop = &mut backprop[i * classes..][..classes];
            let (max, sum) = exponentials(x, backprop);
            match L::finish(labels, r, x, max, sum, backprop) {
                Some(value) => *loss = value,
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
