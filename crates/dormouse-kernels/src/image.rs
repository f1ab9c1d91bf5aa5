//! Images: resizing and its gradient, and the choice of boxes that overlap little.
//!
//! Whatever else is done to images is made of other operations. `taps` says which cells a resized cell is made of, along
//! one axis; `resize` sums them, forwards and backwards; `suppression` chooses boxes.

mod resize;
mod suppression;
mod taps;

use crate::{KernelError, Spec};

pub(crate) use resize::{resize, resize_grad};
pub(crate) use suppression::suppress;

/// So many operands, and the one result.
fn operands<'a, const N: usize>(
    op: &str,
    inputs: &'a [Spec],
    outputs: &'a [Spec],
) -> Result<(&'a [Spec; N], &'a Spec), KernelError> {
    match (<&[Spec; N]>::try_from(inputs), outputs) {
        (Ok(operands), [output]) => Ok((operands, output)),
        _ => Err(KernelError::new(format!("{op}: takes {N} operands and gives one result"))),
    }
}

/// The four extents of images.
fn four(op: &str, images: &Spec) -> Result<[usize; 4], KernelError> {
    <[usize; 4]>::try_from(images.dims.as_slice())
        .map_err(|_| KernelError::new(format!("{op}: images must have 4 axes, not {images}; reshape them")))
}
