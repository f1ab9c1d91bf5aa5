//! Convolutions of NHWC images with HWIO filters, the same with a depth, and their gradients; channels in groups or each
//! alone.
//!
//! `geometry` says where windows lie, `lattice` which source cells meet which taps, `padding` copies one image's rows
//! with their border, `micro` is the register block, and `correlate` and `filter_grad` are the two loops around it;
//! `depthwise` has loops of its own, where no channel meets another.
//! Filters of one tap that meet every cell are products of matrices, and compiled as such.
//! `winograd` has other algorithms for the most usual windows, which multiply less and round otherwise.
//! No image is ever unrolled into a matrix of windows: a register block reads its rows through pointers.

#![allow(clippy::inline_always, reason = "code that stays apart from the dispatch misses its instruction set")]

mod correlate;
pub(crate) mod depthwise;
mod filter_grad;
pub(crate) mod geometry;
mod lattice;
mod micro;
mod padding;
#[cfg(test)]
pub(crate) mod tests;
mod winograd;

use dormouse_value::{DType, Window2d, Window3d};
use smallvec::SmallVec;

use self::correlate::Sum;
use self::filter_grad::Channels;
use self::geometry::{Axis, axes};
use self::lattice::Lattice;
use crate::gemm::{self, Operand, Product};
use crate::kernel::with_float;
use crate::{Cost, Kernel, KernelError, Spec};

/// Windows over two axes, or over three.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Window {
    /// Of images.
    Flat(Window2d),
    /// Of images with a depth.
    Deep(Window3d),
}

impl Window {
    fn name(self, flat: &'static str, deep: &'static str) -> &'static str {
        match self {
            Window::Flat(_) => flat,
            Window::Deep(_) => deep,
        }
    }
}

/// Whether a result may be rounded otherwise than by the definition's sum in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// As the definition does.
    Defined,
    /// Otherwise, where that is faster.
    Free,
}

/// The extents of a convolution, checked.
#[derive(Clone, Copy, Debug)]
struct Extents {
    images: usize,
    /// Depth, which is one cell where there is none, height and width.
    axes: [Axis; 3],
    channels: Channels,
    dtype: DType,
}

/// (x `[n, h, w, i]`, filter `[kh, kw, i / g, o]`) → `[n, h', w', o]`, or with a depth before the height.
///
/// # Errors
/// Where dtypes, ranks or extents do not fit each other.
pub(crate) fn compile(
    window: Window,
    rounding: Rounding,
    inputs: &[Spec],
    outputs: &[Spec],
) -> Result<Kernel, KernelError> {
    let name = window.name("conv2d", "conv3d");
    let ([x, filter], [y]) = (inputs, outputs) else { return Err(operands(name, 2)) };
    let extents = Extents::new(name, window, x, filter, y)?;
    let Channels { groups, inputs, outputs } = extents.channels;
    if let Some(cells) = extents.cells_alone() {
        // [n·h·w, i] × [i, o]
        let product = pointwise([cells, outputs, inputs], [inputs, 1], [1, outputs]);
        return extents.product(product, [x, filter, y]);
    }
    let strides = [groups * outputs, 1, outputs];
    let sum = Sum { images: extents.images, groups, inner: inputs, columns: outputs, taps: extents.taps(), strides };
    let lattices = extents.axes.map(|axis| Lattice::forward(&axis));
    let cost = extents.cost([x, filter, y]);
    if let Some(kernel) = extents.winograd(rounding).then(|| winograd::correlation(&sum, &lattices, cost)).flatten() {
        return Ok(kernel);
    }
    with_float!(extents.dtype, T => Ok(correlate::kernel::<T>(sum, lattices, cost)), else Err(not_float(name, x)))
}

/// Rows, columns and depth of the product that a convolution is, where its filter has one tap that meets every cell.
pub(crate) fn matrices(window: Window, inputs: &[Spec], outputs: &[Spec]) -> Option<[usize; 3]> {
    let ([x, filter], [y]) = (inputs, outputs) else { return None };
    let extents = Extents::new("conv2d", window, x, filter, y).ok()?;
    let Channels { inputs, outputs, .. } = extents.channels;
    extents.cells_alone().map(|cells| [cells, outputs, inputs])
}

/// (dy `[n, h', w', o]`, filter `[kh, kw, i / g, o]`, like x) → `[n, h, w, i]`, or with a depth before the height.
///
/// # Errors
/// Where dtypes, ranks or extents do not fit each other.
pub(crate) fn compile_input_grad(
    window: Window,
    rounding: Rounding,
    inputs: &[Spec],
    outputs: &[Spec],
) -> Result<Kernel, KernelError> {
    let name = window.name("conv2d_input_grad", "conv3d_input_grad");
    let ([dy, filter, like], [dx]) = (inputs, outputs) else { return Err(operands(name, 3)) };
    same(name, "like x", like, "result", dx)?;
    let extents = Extents::new(name, window, dx, filter, dy)?;
    let Channels { groups, inputs, outputs } = extents.channels;
    if let Some(cells) = extents.cells_alone() {
        // [n·h·w, o] × [i, o]ᵀ
        let product = pointwise([cells, inputs, outputs], [outputs, 1], [outputs, 1]);
        return extents.product(product, [dy, filter, dx]);
    }
    let strides = [1, groups * outputs, outputs];
    let sum = Sum { images: extents.images, groups, inner: outputs, columns: inputs, taps: extents.taps(), strides };
    let lattices = extents.axes.map(|axis| Lattice::transposed(&axis));
    let cost = extents.cost([dx, filter, dy]);
    if let Some(kernel) = extents.winograd(rounding).then(|| winograd::correlation(&sum, &lattices, cost)).flatten() {
        return Ok(kernel);
    }
    with_float!(extents.dtype, T => Ok(correlate::kernel::<T>(sum, lattices, cost)), else Err(not_float(name, dx)))
}

/// (x `[n, h, w, i]`, dy `[n, h', w', o]`, like filter) → `[kh, kw, i / g, o]`, or with a depth before the height.
///
/// # Errors
/// Where dtypes, ranks or extents do not fit each other.
pub(crate) fn compile_filter_grad(
    window: Window,
    rounding: Rounding,
    inputs: &[Spec],
    outputs: &[Spec],
) -> Result<Kernel, KernelError> {
    let name = window.name("conv2d_filter_grad", "conv3d_filter_grad");
    let ([x, dy, like], [filter]) = (inputs, outputs) else { return Err(operands(name, 3)) };
    same(name, "like filter", like, "result", filter)?;
    let extents = Extents::new(name, window, x, filter, dy)?;
    let Extents { images, axes, channels, dtype } = extents;
    if let Some(cells) = extents.cells_alone() {
        // [n·h·w, i]ᵀ × [n·h·w, o]
        let Channels { inputs, outputs, .. } = channels;
        let product = pointwise([inputs, outputs, cells], [1, inputs], [1, outputs]);
        return extents.product(product, [x, filter, dy]);
    }
    let cost = extents.cost([x, filter, dy]);
    let quick = || winograd::filter_gradient(images, channels, &axes, cost);
    if let Some(kernel) = extents.winograd(rounding).then(quick).flatten() {
        return Ok(kernel);
    }
    with_float!(dtype, T => Ok(filter_grad::kernel::<T>(images, channels, &axes, cost)), else Err(not_float(name, x)))
}

impl Extents {
    fn new(name: &str, window: Window, x: &Spec, filter: &Spec, y: &Spec) -> Result<Self, KernelError> {
        let dtype = x.dtype;
        all_float(name, x, filter, y)?;
        let (images, axes, [inputs, filter_inputs, outputs]) = match window {
            Window::Flat(Window2d { strides, dilations, padding }) => {
                let [images, height, width, inputs] = extents(name, "images", x)?;
                let [down, across, filter_inputs, outputs] = extents(name, "filter", filter)?;
                let [h, w] = axes(name, [height, width], [down, across], [strides, dilations], padding)?;
                (images, [Axis::UNIT, h, w], [inputs, filter_inputs, outputs])
            }
            Window::Deep(Window3d { strides, dilations, padding }) => {
                let [images, depth, height, width, inputs] = extents(name, "images", x)?;
                let [deep, down, across, filter_inputs, outputs] = extents(name, "filter", filter)?;
                let (cells, taps) = ([depth, height, width], [deep, down, across]);
                let axes = axes(name, cells, taps, [strides, dilations], padding)?;
                (images, axes, [inputs, filter_inputs, outputs])
            }
        };
        let groups = if filter_inputs == inputs { Some(1) } else { inputs.checked_div(filter_inputs) };
        let groups = groups.filter(|n| *n > 0 && n * filter_inputs == inputs && outputs.is_multiple_of(*n));
        let Some(groups) = groups else {
            return Err(KernelError::new(format!(
                "{name}: images {x} have {inputs} channels, filter {filter} takes {filter_inputs} and gives {outputs}; \
                 the first must be whole groups of the second, as many as divide the third"
            )));
        };
        let cells = match window {
            Window::Flat(_) => &axes[1..],
            Window::Deep(_) => &axes[..],
        };
        let expected: Vec<usize> =
            [images].into_iter().chain(cells.iter().map(|axis| axis.output)).chain([outputs]).collect();
        if y.dims.as_slice() != expected {
            return Err(KernelError::new(format!(
                "{name}: images {x} convolved with {filter} are {expected:?}, not {:?}",
                y.dims.as_slice()
            )));
        }
        let channels = Channels { groups, inputs: filter_inputs, outputs: outputs / groups };
        Ok(Extents { images, axes, channels, dtype })
    }

    /// How many cells there are, where each meets a filter of one tap and no other cell: then the convolution is the product
    /// of two matrices. Nothing where there are none.
    fn cells_alone(&self) -> Option<usize> {
        let alone = |axis: &Axis| axis.taps == 1 && axis.stride == 1 && axis.before == 0 && axis.input == axis.output;
        let cells = self.images * self.axes.iter().map(|axis| axis.output).product::<usize>();
        let Channels { groups, inputs, outputs } = self.channels;
        (groups == 1 && self.axes.iter().all(alone) && cells * inputs * outputs > 0).then_some(cells)
    }

    /// The kernel of the product that the convolution is.
    fn product(&self, product: Product, specs: [&Spec; 3]) -> Result<Kernel, KernelError> {
        with_float!(self.dtype, T => Ok(gemm::kernel::<T>(product)), else Err(not_float("conv2d", specs[0])))
    }

    /// Whether other algorithms may be looked for.
    fn winograd(&self, rounding: Rounding) -> bool {
        rounding == Rounding::Free && self.dtype == DType::F32
    }

    fn taps(&self) -> [usize; 3] {
        self.axes.map(|axis| axis.taps)
    }

    fn cost(&self, specs: [&Spec; 3]) -> Cost {
        let Channels { groups, inputs, outputs } = self.channels;
        let pairs = self.axes.iter().map(|axis| (axis.output * axis.taps) as f64).product::<f64>();
        let flops = 2.0 * self.images as f64 * pairs * (groups * inputs * outputs) as f64;
        let bytes = specs.iter().map(|spec| spec.bytes() as f64).sum();
        let per_nano = if self.dtype == DType::F64 { 40.0 } else { 80.0 };
        Cost { flops, bytes, nanos: flops / per_nano + bytes / 8.0 }
    }
}

/// A product of matrices of these rows, columns and depth; of each operand, the elements between lines and between steps.
fn pointwise([rows, columns, depth]: [usize; 3], a: [usize; 2], b: [usize; 2]) -> Product {
    let operand = |[line, step]: [usize; 2]| Operand { line, step, matrices: 1, axes: SmallVec::new() };
    Product { rows, columns, depth, batch: SmallVec::new(), a: operand(a), b: operand(b) }
}

/// The extents of an operand of so many axes.
///
/// # Errors
/// Where it has another rank.
pub(crate) fn extents<const N: usize>(name: &str, what: &str, spec: &Spec) -> Result<[usize; N], KernelError> {
    <[usize; N]>::try_from(spec.dims.as_slice())
        .map_err(|_| KernelError::new(format!("{name}: {what} must have {N} axes, not {spec}; reshape it")))
}

/// That operands are of one float dtype.
///
/// # Errors
/// Where they are not.
fn all_float(name: &str, x: &Spec, filter: &Spec, y: &Spec) -> Result<(), KernelError> {
    if x.dtype.is_float() && filter.dtype == x.dtype && y.dtype == x.dtype {
        return Ok(());
    }
    Err(KernelError::new(format!(
        "{name}: images {x}, filter {filter} and convolved {y} must all be f32 or all f64; cast them"
    )))
}

/// The error of images that are of no floats.
pub(crate) fn not_float(name: &str, x: &Spec) -> KernelError {
    KernelError::new(format!("{name}: takes floats, not {x}; cast it first"))
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
