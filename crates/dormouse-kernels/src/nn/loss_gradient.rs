//! A sparse softmax cross-entropy with what stands around it: the bias that is added to the logits, and the factor that its
//! gradient is multiplied with. One walk over each row does all, with the bits of the operations one by one, and the
//! gradient may take the place of the logits.

use std::marker::PhantomData;

use dormouse_value::{DType, Element};
use pulp::{Arch, Simd, WithSimd};

use super::{Classes, Labels, Logit, TILE, exp, ln, not_float, tiled};
use crate::kernel::with_float;
use crate::{Args, Body, Kernel, KernelError, Spec};

/// A sparse softmax cross-entropy and its gradient: (logits `[.., c]`, labels `[..]`, bias `[c]`?, scale?) →
/// (gradient `[.., c]`, loss `[..]`). The scale is one number, or one a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossGradient {
    /// Whether a bias is added to the logits.
    pub bias: bool,
    /// Whether the gradient is multiplied with a scale.
    pub scaled: bool,
}

/// The kernel of a loss with what stands around it.
///
/// # Errors
/// When dtypes or extents do not fit each other.
pub fn compile_loss_gradient(around: LossGradient, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let name = "sparse_softmax_cross_entropy_with_logits";
    let unfit = || KernelError::new(format!("{name}: operands {inputs:?} do not fit each other"));
    let expected = 2 + usize::from(around.bias) + usize::from(around.scaled);
    let [logits, labels, rest @ ..] = inputs else { return Err(unfit()) };
    let Some((&classes, dims)) = logits.dims.split_last() else { return Err(unfit()) };
    let rows: usize = dims.iter().product();
    let (bias, scale) = rest.split_at(usize::from(around.bias).min(rest.len()));
    let like = |spec: &Spec| spec.dtype == logits.dtype;
    let fits = inputs.len() == expected
        && bias.iter().all(|b| like(b) && b.len() == classes)
        && scale.iter().all(|s| like(s) && (s.len() == 1 || s.len() == rows))
        && labels.len() == rows
        && outputs.len() == 2
        && outputs[0] == *logits
        && like(&outputs[1])
        && outputs[1].len() == rows;
    if !fits {
        return Err(unfit());
    }
    let per_row = scale.first().is_some_and(|s| s.len() == rows && rows > 1);
    let per_tile = (TILE / classes.max(1)).max(1);
    let elements = rows * classes;
    let bytes = inputs.iter().chain(outputs).map(Spec::bytes).sum();
    let shape = Shape { rows, classes, per_tile, around, per_row };
    let kernel = with_float!(
        logits.dtype,
        T => match labels.dtype {
            DType::I64 => tiled(rows.div_ceil(per_tile), elements, bytes, Rows::<T, i64>::new(shape)),
            DType::I32 => tiled(rows.div_ceil(per_tile), elements, bytes, Rows::<T, i32>::new(shape)),
            DType::F32 | DType::F64 | DType::U8 | DType::Bool | DType::F16 | DType::Bf16 | DType::I8 | DType::I16
            | DType::U16 | DType::U32 | DType::U64 => return Err(unfit()),
        },
        else return Err(not_float(name, logits))
    );
    Ok(Kernel { fallible: true, in_place: [0].into_iter().collect(), ..kernel })
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    rows: usize,
    classes: usize,
    per_tile: usize,
    around: LossGradient,
    /// Whether there is a scale for each row.
    per_row: bool,
}

#[derive(Debug)]
struct Rows<T, I> {
    shape: Shape,
    arch: Arch,
    types: PhantomData<(T, I)>,
}

impl<T, I> Rows<T, I> {
    fn new(shape: Shape) -> Self {
        Rows { shape, arch: Arch::new(), types: PhantomData }
    }
}

impl<T: Logit, I: Element + Copy + Into<i64>> Body for Rows<T, I> {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        let Shape { rows, classes, around, per_row, .. } = self.shape;
        // SAFETY: the operands have their specs' elements, and no tile writes them.
        let (labels, bias, scale) = unsafe {
            let bias = around.bias.then(|| args.input::<T>(2, classes));
            let place = 2 + usize::from(around.bias);
            let scale = around.scaled.then(|| args.input::<T>(place, if per_row { rows } else { 1 }));
            (args.input::<I>(1, rows), bias, scale)
        };
        let tile = Tile { shape: self.shape, args, labels, bias, scale, index: tile };
        if self.arch.dispatch(tile) { Ok(()) } else { Err(<Classes<I> as Labels<T>>::outside(labels, classes)) }
    }
}

struct Tile<'a, T, I> {
    shape: Shape,
    args: &'a Args<'a>,
    labels: &'a [I],
    bias: Option<&'a [T]>,
    scale: Option<&'a [T]>,
    index: usize,
}

impl<T: Logit, I: Element + Copy + Into<i64>> WithSimd for Tile<'_, T, I> {
    /// Whether all labels were classes.
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        let Tile { shape: Shape { rows, classes, per_tile, per_row, .. }, args, labels, bias, scale, index } = self;
        let first = index * per_tile;
        for r in first..rows.min(first + per_tile) {
            let logits = args.inputs[0].cast::<T>().wrapping_add(r * classes);
            // SAFETY: rows are disjoint among tiles. The row may be the logits' own, so these are not borrowed beside it.
            let row = unsafe {
                let row = args.outputs[0].cast::<T>().wrapping_add(r * classes);
                if !std::ptr::eq(logits, row) {
                    logits.copy_to_nonoverlapping(row, classes);
                }
                std::slice::from_raw_parts_mut(row, classes)
            };
            if let Some(bias) = bias {
                for (x, &bias) in row.iter_mut().zip(bias) {
                    *x = *x + bias;
                }
            }
            let Some((label, &logit)) =
                usize::try_from(labels[r].into()).ok().and_then(|label| Some((label, row.get(label)?)))
            else {
                return false;
            };
            let max = T::largest(row);
            for x in &mut *row {
                *x = exp(*x - max);
            }
            let sum = T::sum(row);
            let scale = scale.map_or(T::ONE, |scale| scale[if per_row { r } else { 0 }]);
            let at_label = (row[label] / sum - T::ONE) * scale;
            for x in &mut *row {
                *x = *x / sum * scale;
            }
            row[label] = at_label;
            // SAFETY: a row's loss is its tile's.
            unsafe { args.output::<T>(1, r, 1)[0] = ln(sum) - (logit - max) };
        }
        true
    }
}
