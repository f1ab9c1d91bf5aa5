//! Convolutions of NHWC images with HWIO filters, and their gradients.
//!
//! `geometry` says where windows lie, `lattice` which source cells meet which taps, `padding` copies one image's rows
//! with their border, `micro` is the register block, and `correlate` and `filter_grad` are the two loops around it.
//! No image is ever unrolled into a matrix of windows: a register block reads its rows through pointers.

#![allow(clippy::inline_always, reason = "code that stays apart from the dispatch misses its instruction set")]

mod correlate;
mod filter_grad;
pub(crate) mod geometry;
mod lattice;
mod micro;
mod padding;
#[cfg(test)]
pub(crate) mod tests;

use dormouse_value::{DType, Window2d};

use self::correlate::Sum;
use self::geometry::{Axis, axes};
use self::lattice::Lattice;
use crate::{Cost, Kernel, KernelError, Spec};

/// The extents of a convolution, checked.
#[derive(Clone, Copy, Debug)]
struct Extents {
    images: usize,
    axes: [Axis; 2],
    inputs: usize,
    outputs: usize,
    dtype: DType,
}

/// (x `[n, h, w, i]`, filter `[kh, kw, i, o]`) → `[n, h', w', o]`.
///
/// # Errors
/// Where dtypes, ranks or extents do not fit each other.
pub(crate) fn compile(window: &Window2d, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let name = "conv2d";
    let ([x, filter], [y]) = (inputs, outputs) else { return Err(operands(name, 2)) };
    let extents = Extents::new(name, window, x, filter, y)?;
    let Extents { images, axes: [down, across], inputs, outputs, .. } = extents;
    let taps = [down.taps, across.taps];
    let sum = Sum { images, inner: inputs, columns: outputs, taps, strides: [outputs, 1] };
    let lattices = [Lattice::forward(&down), Lattice::forward(&across)];
    let cost = extents.cost([x, filter, y]);
    Ok(match extents.dtype {
        DType::F64 => correlate::kernel::<f64>(sum, lattices, cost),
        DType::F32 | DType::I32 | DType::I64 | DType::U8 | DType::Bool => correlate::kernel::<f32>(sum, lattices, cost),
    })
}

/// (dy `[n, h', w', o]`, filter `[kh, kw, i, o]`, like x) → `[n, h, w, i]`.
///
/// # Errors
/// Where dtypes, ranks or extents do not fit each other.
pub(crate) fn compile_input_grad(window: &Window2d, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let name = "conv2d_input_grad";
    let ([dy, filter, like], [dx]) = (inputs, outputs) else { return Err(operands(name, 3)) };
    same(name, "like x", like, "result", dx)?;
    let extents = Extents::new(name, window, dx, filter, dy)?;
    let Extents { images, axes: [down, across], inputs, outputs, .. } = extents;
    let taps = [down.taps, across.taps];
    let sum = Sum { images, inner: outputs, columns: inputs, taps, strides: [1, outputs] };
    let lattices = [Lattice::transposed(&down), Lattice::transposed(&across)];
    let cost = extents.cost([dx, filter, dy]);
    Ok(match extents.dtype {
        DType::F64 => correlate::kernel::<f64>(sum, lattices, cost),
        DType::F32 | DType::I32 | DType::I64 | DType::U8 | DType::Bool => correlate::kernel::<f32>(sum, lattices, cost),
    })
}

/// (x `[n, h, w, i]`, dy `[n, h', w', o]`, like filter) → `[kh, kw, i, o]`.
///
/// # Errors
/// Where dtypes, ranks or extents do not fit each other.
pub(crate) fn compile_filter_grad(window: &Window2d, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let name = "conv2d_filter_grad";
    let ([x, dy, like], [filter]) = (inputs, outputs) else { return Err(operands(name, 3)) };
    same(name, "like filter", like, "result", filter)?;
    let extents = Extents::new(name, window, x, filter, dy)?;
    let channels = [extents.inputs, extents.outputs];
    let cost = extents.cost([x, filter, dy]);
    Ok(match extents.dtype {
        DType::F64 => filter_grad::kernel::<f64>(extents.images, channels, &extents.axes, cost),
        DType::F32 | DType::I32 | DType::I64 | DType::U8 | DType::Bool => {
            filter_grad::kernel::<f32>(extents.images, channels, &extents.axes, cost)
        }
    })
}

impl Extents {
    fn new(name: &str, window: &Window2d, x: &Spec, filter: &Spec, y: &Spec) -> Result<Self, KernelError> {
        let dtype = x.dtype;
        if !dtype.is_float() || filter.dtype != dtype || y.dtype != dtype {
            return Err(KernelError::new(format!(
                "{name}: images {x}, filter {filter} and convolved {y} must all be f32 or all f64; cast them"
            )));
        }
        let [images, height, width, inputs] = four(name, "images", x)?;
        let [taps_down, taps_across, filter_inputs, outputs] = four(name, "filter", filter)?;
        let axes = axes(name, [height, width], [taps_down, taps_across], window)?;
        if filter_inputs != inputs {
            return Err(KernelError::new(format!(
                "{name}: images {x} have {inputs} channels, but filter {filter} takes {filter_inputs}; its third extent must be {inputs}"
            )));
        }
        let expected = [images, axes[0].output, axes[1].output, outputs];
        if y.dims.as_slice() != expected {
            return Err(KernelError::new(format!(
                "{name}: images {x} convolved with {filter} are {expected:?}, not {:?}",
                y.dims.as_slice()
            )));
        }
        Ok(Extents { images, axes, inputs, outputs, dtype })
    }

    fn cost(&self, specs: [&Spec; 3]) -> Cost {
        let pairs = |axis: &Axis| (axis.output * axis.taps) as f64;
        let channels = (self.inputs * self.outputs) as f64;
        let flops = 2.0 * self.images as f64 * pairs(&self.axes[0]) * pairs(&self.axes[1]) * channels;
        let bytes = specs.iter().map(|spec| spec.bytes() as f64).sum();
        let per_nano = if self.dtype == DType::F64 { 40.0 } else { 80.0 };
        Cost { flops, bytes, nanos: flops / per_nano + bytes / 8.0 }
    }
}

/// The four extents of an operand.
///
/// # Errors
/// Where it has another rank.
pub(crate) fn four(name: &str, what: &str, spec: &Spec) -> Result<[usize; 4], KernelError> {
    <[usize; 4]>::try_from(spec.dims.as_slice())
        .map_err(|_| KernelError::new(format!("{name}: {what} must have 4 axes, not {spec}; reshape it")))
}

/// That two specs are equal.
///
/// # Errors
/// Where they are not.
pub(crate) fn same(name: &str, a: &str, x: &Spec, b: &str, y: &Spec) -> Result<(), KernelError> {
    if x == y { Ok(()) } else { Err(KernelError::new(format!("{name}: {a} {x} and {b} {y} must be alike"))) }
}

/// The error of a wrong number of operands.
pub(crate) fn operands(name: &str, count: usize) -> KernelError {
    KernelError::new(format!("{name}: takes {count} operands and gives one result"))
}
