//! Pools over NHWC images, the largest or the mean of each window, and their gradients.
//!
//! `forward` computes windows into result rows; `backward` spreads over bands of image rows what windows give back.
//! Where windows lie is the convolutions' `geometry`. Each loop runs over the channels, which lie next to each other.
//!
//! Equal elements, NaN and the order of sums are TensorFlow's on a CPU: the largest starts at the dtype's lowest finite
//! number and is replaced by larger ones only, so that a NaN is passed over; its gradient starts at the window's first
//! cell, so that a NaN there stays.

#![allow(
    clippy::inline_always,
    reason = "a loop is vectorized only with its body inside, compiled for the same machine"
)]

mod backward;
mod forward;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::ops::{Add, Div, Mul};

use dormouse_value::{DType, Element, PoolOp, Window2d};

use crate::conv::geometry::{Axis, axes};
use crate::conv::{extents, operands, same};
use crate::kernel::with_float;
use crate::{Cost, Kernel, KernelError, Spec};

/// Elements of images that one tile is to read.
const TILE: usize = 1 << 14;
/// Nanoseconds of a call.
const START: f64 = 20.0;
/// Nanoseconds of a window.
const WINDOW: f64 = 5.0;
/// Elements under windows that one core takes a nanosecond.
const CELLS: f64 = 10.0;
/// Bytes a nanosecond.
const BANDWIDTH: f64 = 32.0;

/// What the largest of a window is taken of.
trait Number: Element + Copy + PartialOrd {
    /// The lowest finite number.
    const LOWEST: Self;
}

macro_rules! numbers {
    ($($t:ty),*) => { $(impl Number for $t { const LOWEST: $t = <$t>::MIN; })* };
}
numbers!(f32, f64, i32, i64, u8, u64);

/// What the mean of a window is taken of, and what has gradients.
trait Float: Number + Add<Output = Self> + Mul<Output = Self> + Div<Output = Self> {
    /// Numbers a tap of a window, as wide as the element so that both are masked alike.
    type Tap: Copy + PartialEq + Default + Debug + Send + Sync + 'static;
    const ZERO: Self;
    const ONE: Self;
    fn of(count: usize) -> Self;
    fn tap(index: usize) -> Self::Tap;
}

macro_rules! floats {
    ($($t:ty: $tap:ty),*) => { $(
        impl Float for $t {
            type Tap = $tap;
            const ZERO: $t = 0.0;
            const ONE: $t = 1.0;
            #[inline(always)]
            fn of(count: usize) -> $t {
                count as $t
            }
            #[inline(always)]
            fn tap(index: usize) -> $tap {
                index as $tap
            }
        }
    )* };
}
floats!(f32: u32, f64: u64);

/// Windows over images, as both sides' specs have them.
#[derive(Clone, Copy, Debug)]
struct Layout {
    images: usize,
    down: Axis,
    across: Axis,
    channels: usize,
}

impl Layout {
    fn new(name: &str, size: [u32; 2], window: &Window2d, x: &Spec, y: &Spec) -> Result<Self, KernelError> {
        let [images, height, width, channels] = extents(name, "images", x)?;
        let [down, across] =
            axes(name, [height, width], size.map(|n| n as usize), [window.strides, window.dilations], window.padding)?;
        let expected = [images, down.output, across.output, channels];
        if y.dims.as_slice() != expected || y.dtype != x.dtype {
            return Err(KernelError::new(format!(
                "{name}: images {x} pooled by {size:?} are {}, not {y}",
                Spec::new(x.dtype, &expected)
            )));
        }
        Ok(Layout { images, down, across, channels })
    }

    /// Elements of a row of an image.
    fn row(&self) -> usize {
        self.across.input * self.channels
    }

    /// Elements of an image.
    fn image(&self) -> usize {
        self.down.input * self.row()
    }

    /// Elements of a row of a pooled image.
    fn pooled_row(&self) -> usize {
        self.across.output * self.channels
    }

    /// Elements of a pooled image.
    fn pooled_image(&self) -> usize {
        self.down.output * self.pooled_row()
    }

    /// Elements of image rows from one row of windows to the next.
    fn pace(&self) -> usize {
        self.down.stride.min(self.down.input) * self.row()
    }

    fn cost(&self, specs: &[&Spec]) -> Cost {
        let along = |axis: &Axis| (axis.output * axis.taps.min(axis.input)) as f64;
        let windows = self.images as f64 * self.down.output as f64 * self.across.output as f64;
        let cells = self.images as f64 * along(&self.down) * along(&self.across) * self.channels as f64;
        let bytes = specs.iter().map(|spec| spec.bytes() as f64).sum::<f64>();
        Cost { flops: cells, bytes, nanos: START + windows * WINDOW + cells / CELLS + bytes / BANDWIDTH }
    }
}

/// (x `[n, h, w, c]`) → `[n, h', w', c]`: the largest or the mean of each window.
///
/// # Errors
/// Where specs do not fit the windows, the largest is asked of booleans or the mean of anything but floats.
pub(crate) fn compile(
    op: PoolOp,
    size: [u32; 2],
    window: &Window2d,
    inputs: &[Spec],
    outputs: &[Spec],
) -> Result<Kernel, KernelError> {
    let name = match op {
        PoolOp::Max => "max_pool",
        PoolOp::Average => "avg_pool",
    };
    let ([x], [y]) = (inputs, outputs) else { return Err(operands(name, 1)) };
    let layout = Layout::new(name, size, window, x, y)?;
    let cost = layout.cost(&[x, y]);
    match (op, x.dtype) {
        (PoolOp::Max, DType::F32) => Ok(forward::max::<f32>(layout, cost)),
        (PoolOp::Max, DType::F64) => Ok(forward::max::<f64>(layout, cost)),
        (PoolOp::Max, DType::I32) => Ok(forward::max::<i32>(layout, cost)),
        (PoolOp::Max, DType::I64) => Ok(forward::max::<i64>(layout, cost)),
        (PoolOp::Max, DType::U8) => Ok(forward::max::<u8>(layout, cost)),
        (PoolOp::Max, DType::U64) => Ok(forward::max::<u64>(layout, cost)),
        (PoolOp::Average, DType::F32) => Ok(forward::average::<f32>(layout, cost)),
        (PoolOp::Average, DType::F64) => Ok(forward::average::<f64>(layout, cost)),
        (PoolOp::Max, DType::Bool | DType::F16 | DType::Bf16 | DType::I8 | DType::I16 | DType::U16 | DType::U32) => {
            Err(KernelError::new(format!("{name}: takes numbers, not {x}; cast it first")))
        }
        (
            PoolOp::Average,
            DType::I32
            | DType::I64
            | DType::U8
            | DType::Bool
            | DType::F16
            | DType::Bf16
            | DType::I8
            | DType::I16
            | DType::U16
            | DType::U32
            | DType::U64,
        ) => Err(not_float(name, x)),
    }
}

/// (x, y, dy) → dx: each window's dy at its largest cell, the first of equals. y is not read.
///
/// # Errors
/// Where the specs do not fit the windows or are not float.
pub(crate) fn compile_max_grad(
    size: [u32; 2],
    window: &Window2d,
    inputs: &[Spec],
    outputs: &[Spec],
) -> Result<Kernel, KernelError> {
    let name = "max_pool_grad";
    let ([x, y, dy], [dx]) = (inputs, outputs) else { return Err(operands(name, 3)) };
    same(name, "x", x, "result", dx)?;
    same(name, "y", y, "dy", dy)?;
    let layout = Layout::new(name, size, window, x, y)?;
    let cost = layout.cost(&[x, dy, dx]);
    with_float!(x.dtype, T => Ok(backward::max::<T>(layout, cost)), else Err(not_float(name, x)))
}

/// (x, y, d) → `[n, h', w', c]`: of d, shaped as x, the element at the first of each window's cells where x = y; 0 where
/// there is none.
///
/// # Errors
/// Where the specs do not fit the windows or are not float.
pub(crate) fn compile_max_grad_grad(
    size: [u32; 2],
    window: &Window2d,
    inputs: &[Spec],
    outputs: &[Spec],
) -> Result<Kernel, KernelError> {
    let name = "max_pool_grad_grad";
    let ([x, y, d], [result]) = (inputs, outputs) else { return Err(operands(name, 3)) };
    same(name, "x", x, "d", d)?;
    same(name, "y", y, "result", result)?;
    let layout = Layout::new(name, size, window, x, y)?;
    let cost = layout.cost(&[x, y, d, result]);
    with_float!(x.dtype, T => Ok(forward::at_largest::<T>(layout, cost)), else Err(not_float(name, x)))
}

/// (dy, like x) → dx: each window's dy spread evenly over its cells inside the image.
///
/// # Errors
/// Where the specs do not fit the windows or are not float.
pub(crate) fn compile_average_grad(
    size: [u32; 2],
    window: &Window2d,
    inputs: &[Spec],
    outputs: &[Spec],
) -> Result<Kernel, KernelError> {
    let name = "avg_pool_grad";
    let ([dy, like], [dx]) = (inputs, outputs) else { return Err(operands(name, 2)) };
    same(name, "like x", like, "result", dx)?;
    let layout = Layout::new(name, size, window, dx, dy)?;
    let cost = layout.cost(&[dy, dx]);
    with_float!(dx.dtype, T => Ok(backward::average::<T>(layout, cost)), else Err(not_float(name, dx)))
}

fn not_float(name: &str, x: &Spec) -> KernelError {
    KernelError::new(format!("{name}: takes floats, not {x}; cast it first"))
}

/// A kernel of so many tiles, of no phase where there are none.
fn tiled(tiles: usize, cost: Cost, body: impl crate::Body + 'static) -> Kernel {
    let mut kernel = Kernel::new(tiles, cost, body);
    if tiles == 0 {
        kernel.phases.clear();
    }
    kernel
}
