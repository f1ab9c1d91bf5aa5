//! Reductions: many elements along some axes to one, in an order that the shape alone decides.
//!
//! A module of its own because the order of a float sum is part of the result. [`layout`] turns shape and axes into
//! alternating runs of kept and reduced axes and cuts them into tiles, [`fold`] says what is accumulated and in what
//! type, [`tree`] walks memory, and [`body`] puts the three together. Index reductions and running sums, which have
//! trees of their own, are in [`extreme`] and [`cumulative`].

#![allow(
    clippy::inline_always,
    reason = "a loop is vectorized only with its body inside, compiled for the same machine"
)]

mod body;
mod cumulative;
mod extreme;
pub(crate) mod fold;
pub(crate) mod layout;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod tree;

use dormouse_value::{DType, ReduceOp};

use self::body::kernel;
use self::fold::{All, Any, Max, Mean, Min, Prod, SquareSum, Sum};
use self::layout::{Axes, Layout, resolve_axis};
use crate::kernel::with_float;
use crate::{Kernel, KernelError, Spec};

pub(crate) use self::cumulative::{Direction, cumulative};
pub(crate) use self::extreme::{arg_max, arg_min};

/// A [`Fold`](fold::Fold) of the numeric dtypes as a kernel.
macro_rules! of_numbers {
    ($fold:ident, $name:expr, $x:expr, $layout:expr) => {
        match $x.dtype {
            DType::F32 => Ok(kernel::<$fold<f32>>($layout)),
            DType::F64 => Ok(kernel::<$fold<f64>>($layout)),
            DType::I32 => Ok(kernel::<$fold<i32>>($layout)),
            DType::I64 => Ok(kernel::<$fold<i64>>($layout)),
            DType::U8 => Ok(kernel::<$fold<u8>>($layout)),
            DType::U64 => Ok(kernel::<$fold<u64>>($layout)),
            DType::Bool | DType::F16 | DType::Bf16 | DType::I8 | DType::I16 | DType::U16 | DType::U32 => {
                Err(KernelError::new(format!("{}: takes numbers, not {}; cast it first", $name, $x)))
            }
        }
    };
}

/// (x): the elements along `axes` to one.
///
/// Float sums and products run in blocks of 1,024 elements in 32 lanes; the blocks' results are combined in f64, in
/// order. Integer sums wrap; integer means are of the exact sum (those of 64 bits wrap), truncated, and 0 of none.
///
/// # Errors
/// When an axis is outside the shape or named twice, the dtype is not the operation's, or the result's shape differs.
pub(crate) fn reduce(
    op: ReduceOp,
    axes: Option<&[i32]>,
    keep_dims: bool,
    inputs: &[Spec],
    outputs: &[Spec],
) -> Result<Kernel, KernelError> {
    let name = name(op);
    let (x, y) = operands::<1>(name, inputs, outputs).map(|([x], y)| (x, y))?;
    let axes = match axes {
        None => Axes::all(&x.dims),
        Some(list) => Axes::of(name, &x.dims, list)?,
    };
    let dims = axes.result(keep_dims);
    expect_result(name, y, &Spec { dtype: x.dtype, dims })?;
    let layout = Layout::new(&axes);
    let of_booleans = |kernel: Kernel| {
        if x.dtype == DType::Bool {
            Ok(kernel)
        } else {
            Err(KernelError::new(format!("{name}: takes bool, not {x}; compare it first")))
        }
    };
    match op {
        ReduceOp::Sum => of_numbers!(Sum, name, x, layout),
        ReduceOp::Mean => of_numbers!(Mean, name, x, layout),
        ReduceOp::Prod => of_numbers!(Prod, name, x, layout),
        ReduceOp::Max => of_numbers!(Max, name, x, layout),
        ReduceOp::Min => of_numbers!(Min, name, x, layout),
        ReduceOp::Any => of_booleans(kernel::<Any>(layout)),
        ReduceOp::All => of_booleans(kernel::<All>(layout)),
    }
}

/// (dy, like): dy summed over the axes along which `like` was broadcast to dy's shape.
///
/// # Errors
/// When `like` does not broadcast to dy's shape, or dy is boolean.
pub(crate) fn sum_like(inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let name = "sum_like";
    let ([x, like], y) = operands::<2>(name, inputs, outputs)?;
    let Some(axes) = Axes::broadcast(&x.dims, &like.dims) else {
        return Err(KernelError::new(format!("{name}: {like} does not broadcast to {x}")));
    };
    expect_result(name, y, &Spec { dtype: x.dtype, dims: like.dims.clone() })?;
    of_numbers!(Sum, name, x, Layout::new(&axes))
}

/// (x): Σx² / 2, a scalar.
///
/// # Errors
/// When x is not float.
pub(crate) fn l2_loss(inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let name = "l2_loss";
    let ([x], y) = operands::<1>(name, inputs, outputs)?;
    expect_result(name, y, &Spec::new(x.dtype, &[]))?;
    let layout = Layout::new(&Axes::all(&x.dims));
    with_float!(
        x.dtype,
        T => Ok(kernel::<SquareSum<T>>(layout)),
        else Err(KernelError::new(format!("{name}: takes floats, not {x}; cast it first")))
    )
}

fn name(op: ReduceOp) -> &'static str {
    match op {
        ReduceOp::Sum => "reduce_sum",
        ReduceOp::Mean => "reduce_mean",
        ReduceOp::Prod => "reduce_prod",
        ReduceOp::Max => "reduce_max",
        ReduceOp::Min => "reduce_min",
        ReduceOp::Any => "reduce_any",
        ReduceOp::All => "reduce_all",
    }
}

/// The `N` operands and the one result of an operation.
pub(crate) fn operands<'a, const N: usize>(
    name: &str,
    inputs: &'a [Spec],
    outputs: &'a [Spec],
) -> Result<([&'a Spec; N], &'a Spec), KernelError> {
    match (inputs.iter().collect::<Vec<_>>().try_into(), outputs) {
        (Ok(inputs), [output]) => Ok((inputs, output)),
        _ => Err(KernelError::new(format!(
            "{name}: takes {N} operands and gives 1 result, not {} and {}",
            inputs.len(),
            outputs.len()
        ))),
    }
}

/// Buffers are sized by the result's spec, so it has to be the one that the kernel will fill.
pub(crate) fn expect_result(name: &str, got: &Spec, wanted: &Spec) -> Result<(), KernelError> {
    if got == wanted { Ok(()) } else { Err(KernelError::new(format!("{name}: the result is {wanted}, not {got}"))) }
}

/// One axis of a tensor as a middle one: `[outer, extent, inner]`, row-major.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Middle {
    /// Elements of all axes before.
    pub(crate) outer: usize,
    /// The axis's own extent.
    pub(crate) extent: usize,
    /// Elements of all axes after.
    pub(crate) inner: usize,
}

impl Middle {
    /// The axis `axis` of `x`; a negative one counts from the end.
    pub(crate) fn new(name: &str, x: &Spec, axis: i32) -> Result<Middle, KernelError> {
        let axis = resolve_axis(name, &x.dims, axis)?;
        Ok(Middle {
            outer: x.dims[..axis].iter().product(),
            extent: x.dims[axis],
            inner: x.dims[axis + 1..].iter().product(),
        })
    }

    /// All elements.
    pub(crate) fn len(self) -> usize {
        self.outer * self.extent * self.inner
    }
}
