//! The check that no element is NaN or infinite: apart, as what it says depends on all elements, not on the first bad.

use dormouse_value::{DType, Element};

use crate::kernel::{Args, Body};
use crate::{Cost, Kernel, KernelError, Spec};

/// Elements of one tile.
const TILE: usize = 1 << 16;
const INFINITE: u8 = 1;
const NOT_A_NUMBER: u8 = 2;

#[derive(Debug)]
struct CheckNumerics {
    message: String,
    dtype: DType,
    len: usize,
}

/// The kernel that copies its operand, or fails with `message` and what it found.
///
/// # Errors
/// When operand and result are not one float tensor of the same shape.
pub(crate) fn check_numerics(message: &str, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let ([input], [output]) = (inputs, outputs) else {
        return Err(KernelError::new("check_numerics needs one operand and one result"));
    };
    if input != output || !input.dtype.is_float() {
        return Err(KernelError::new(format!("check_numerics hands on floats unchanged, not {input} as {output}")));
    }
    let len = input.len();
    let tiles = len.div_ceil(TILE);
    let bytes = 2.0 * input.bytes() as f64;
    let cost = Cost { flops: 2.0 * len as f64, bytes, nanos: 20.0 + 0.05 * bytes };
    let mut kernel = Kernel::new(tiles, cost, CheckNumerics { message: message.to_owned(), dtype: input.dtype, len });
    if tiles == 0 {
        kernel.phases.clear();
    } else {
        // What each tile found is put together by one more tile, so that the message does not depend on timing.
        kernel.phases.push(1);
    }
    kernel.shared = tiles;
    kernel.in_place.push(0);
    kernel.fallible = true;
    Ok(kernel)
}

impl CheckNumerics {
    /// # Safety
    /// As [`Body::run`], of phase 0, for the operand's dtype.
    unsafe fn scan<T: Element>(&self, args: &Args<'_>, tile: usize, flags: impl Fn(T) -> u8) -> u8 {
        let start = tile * TILE;
        let len = TILE.min(self.len - start);
        // SAFETY: the tile lies within the operand, whose elements are T.
        let x = unsafe { std::slice::from_raw_parts(args.inputs[0].cast::<T>().add(start), len) };
        let found = x.iter().fold(0, |found, &x| found | flags(x));
        if args.inputs[0] != args.outputs[0].cast_const() {
            // SAFETY: the tile lies within the result, and this call alone writes it.
            unsafe { args.outputs[0].cast::<T>().add(start).copy_from(x.as_ptr(), len) };
        }
        found
    }
}

impl Body for CheckNumerics {
    unsafe fn run(&self, args: &Args<'_>, phase: usize, tile: usize) -> Result<(), KernelError> {
        if phase == 0 {
            // SAFETY: the caller's contract.
            let found = unsafe {
                if self.dtype == DType::F64 {
                    self.scan::<f64>(args, tile, |x| flags(x.is_infinite(), x.is_nan()))
                } else {
                    self.scan::<f32>(args, tile, |x| flags(x.is_infinite(), x.is_nan()))
                }
            };
            // SAFETY: shared scratch has a byte for each tile.
            unsafe { *args.shared.add(tile) = found };
            return Ok(());
        }
        // SAFETY: shared scratch has a byte for each tile, and all were written in the phase before.
        let found = unsafe { std::slice::from_raw_parts(args.shared, self.len.div_ceil(TILE)) };
        let what = match found.iter().fold(0, |all, found| all | found) {
            0 => return Ok(()),
            INFINITE => "Inf",
            NOT_A_NUMBER => "NaN",
            _ => "Inf and NaN",
        };
        Err(KernelError::new(format!("{} : Tensor had {what} values", self.message)))
    }
}

fn flags(infinite: bool, nan: bool) -> u8 {
    (INFINITE * u8::from(infinite)) | (NOT_A_NUMBER * u8::from(nan))
}
