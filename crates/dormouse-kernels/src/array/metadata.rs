//! What needs no element moved: reshapes, which are plain copies where a session cannot alias, and shapes as numbers.

use dormouse_value::DType;
use smallvec::SmallVec;

use super::{Ranges, copy_cost, nothing, operands, require_result, result, with_word};
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// (x, …): x's elements in their order, as the result's shape; of reshape, `expand_dims` and squeeze.
///
/// # Errors
/// When dtypes or numbers of elements differ.
pub(crate) fn reshape(op: &str, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let output = result(op, inputs, outputs)?;
    let Some(x) = inputs.first() else {
        return Err(KernelError::new(format!("{op}: takes an operand")));
    };
    if x.dtype != output.dtype || x.len() != output.len() {
        return Err(KernelError::new(format!("{op}: {x} does not have the elements of {output}")));
    }
    let cost = copy_cost(output.bytes(), 1);
    let ranges = Ranges::of_elements(output.len(), cost.nanos);
    let body = Copy { dtype: x.dtype, ranges };
    if output.is_empty() {
        return Ok(nothing(body));
    }
    Ok(Kernel { in_place: SmallVec::from_slice(&[0]), ..Kernel::new(ranges.count(), cost, body) })
}

/// (x): its bytes as elements of another dtype.
///
/// # Errors
/// When operand and result do not take the same bytes.
pub(crate) fn bitcast(inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let ([x], output) = operands("bitcast", inputs, outputs)?;
    if x.bytes() != output.bytes() {
        return Err(KernelError::new(format!("bitcast: {x} does not have the bytes of {output}")));
    }
    let cost = copy_cost(output.bytes(), 1);
    let ranges = Ranges::of_elements(output.bytes(), cost.nanos);
    let body = Copy { dtype: DType::U8, ranges };
    if output.is_empty() {
        return Ok(nothing(body));
    }
    Ok(Kernel::new(ranges.count(), cost, body))
}

/// (like): its shape as a vector.
///
/// # Errors
/// When `output` is not i32 or i64, or cannot hold an extent.
pub(crate) fn shape_of(output: DType, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let ([like], result) = operands("shape", inputs, outputs)?;
    require_result("shape", inputs, result, output, &[like.dims.len()])?;
    numbers("shape", output, like.dims.to_vec())
}

/// (like): its number of elements as a scalar.
///
/// # Errors
/// When `output` is not i32 or i64, or cannot hold the number.
pub(crate) fn size_of(output: DType, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let ([like], result) = operands("size", inputs, outputs)?;
    require_result("size", inputs, result, output, &[])?;
    numbers("size", output, vec![like.len()])
}

fn numbers(op: &str, dtype: DType, numbers: Vec<usize>) -> Result<Kernel, KernelError> {
    let limit = match dtype {
        DType::I32 => i32::MAX as usize,
        DType::I64 => i64::MAX as usize,
        DType::F32
        | DType::F64
        | DType::F16
        | DType::Bf16
        | DType::I8
        | DType::I16
        | DType::U8
        | DType::U16
        | DType::U32
        | DType::U64
        | DType::Bool => {
            return Err(KernelError::new(format!("{op}: gives i32 or i64, not {dtype}")));
        }
    };
    if let Some(large) = numbers.iter().find(|&&n| n > limit) {
        return Err(KernelError::new(format!("{op}: {large} does not fit {dtype}, ask for i64")));
    }
    if numbers.is_empty() {
        return Ok(nothing(Numbers { dtype, numbers }));
    }
    let bytes = (numbers.len() * dtype.size()) as f64;
    Ok(Kernel::new(1, Cost { flops: 0.0, bytes, nanos: 5.0 }, Numbers { dtype, numbers }))
}

#[derive(Debug)]
struct Copy {
    dtype: DType,
    ranges: Ranges,
}

impl Body for Copy {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        if args.inputs[0] == args.outputs[0].cast_const() {
            return Ok(());
        }
        let range = self.ranges.get(tile);
        with_word!(self.dtype, T => {
            // SAFETY: x has as many elements as the result, this range is this tile's alone, and the buffers differ.
            let (x, y) = unsafe { (args.input::<T>(0, range.end), args.output::<T>(0, range.start, range.len())) };
            y.copy_from_slice(&x[range.start..]);
        });
        Ok(())
    }
}

#[derive(Debug)]
struct Numbers {
    dtype: DType,
    numbers: Vec<usize>,
}

impl Body for Numbers {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, _tile: usize) -> Result<(), KernelError> {
        if self.dtype == DType::I32 {
            // SAFETY: the result holds one i32 a number, and there is one tile.
            let y = unsafe { args.output::<i32>(0, 0, self.numbers.len()) };
            y.iter_mut().zip(&self.numbers).for_each(|(y, &n)| *y = n as i32);
        } else {
            // SAFETY: the result holds one i64 a number, and there is one tile.
            let y = unsafe { args.output::<i64>(0, 0, self.numbers.len()) };
            y.iter_mut().zip(&self.numbers).for_each(|(y, &n)| *y = n as i64);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use dormouse_value::{DType, Op};

    use super::super::testing::{Array, error, run, run_in_place};
    use crate::{Spec, compile};

    #[test]
    fn reshapes_keep_the_elements() {
        for dtype in DType::ALL {
            let x = Array::counting(dtype, &[2, 3, 1]);
            let y = Spec::new(dtype, &[6]);
            assert_eq!(run(&Op::Reshape { dims: [-1].into_iter().collect() }, &[&x], &y).unwrap(), x.numbers);
            let y = Spec::new(dtype, &[2, 1, 3, 1]);
            assert_eq!(run(&Op::ExpandDims { axes: [1].into_iter().collect() }, &[&x], &y).unwrap(), x.numbers);
            let y = Spec::new(dtype, &[2, 3]);
            assert_eq!(run(&Op::Squeeze { axes: [-1].into_iter().collect() }, &[&x], &y).unwrap(), x.numbers);
            let like = Array::counting(DType::F32, &[3, 2]);
            let y = Spec::new(dtype, &[3, 2]);
            assert_eq!(run(&Op::ReshapeLike, &[&x, &like], &y).unwrap(), x.numbers);
            assert_eq!(run_in_place(&Op::ReshapeLike, &[&x, &like], &y).unwrap(), x.numbers);
        }
    }

    #[test]
    fn shapes_are_numbers() {
        let x = Array::counting(DType::F64, &[2, 0, 3]);
        for output in [DType::I32, DType::I64] {
            assert_eq!(run(&Op::ShapeOf { output }, &[&x], &Spec::new(output, &[3])).unwrap(), [2, 0, 3]);
            assert_eq!(run(&Op::SizeOf { output }, &[&x], &Spec::new(output, &[])).unwrap(), [0]);
            let scalar = Array::counting(DType::Bool, &[]);
            assert!(run(&Op::ShapeOf { output }, &[&scalar], &Spec::new(output, &[0])).unwrap().is_empty());
            assert_eq!(run(&Op::SizeOf { output }, &[&scalar], &Spec::new(output, &[])).unwrap(), [1]);
        }
    }

    #[test]
    fn misfits_are_errors() {
        let x = Spec::new(DType::F32, &[2, 3]);
        let y = Spec::new(DType::F32, &[7]);
        assert_eq!(error(&Op::ReshapeLike, &[&x, &y], &y), "reshape: f32[2, 3] does not have the elements of f32[7]");
        let large = Spec::new(DType::U8, &[3_000_000_000]);
        let op = Op::SizeOf { output: DType::I32 };
        let scalar = Spec::new(DType::I32, &[]);
        assert_eq!(error(&op, &[&large], &scalar), "size: 3000000000 does not fit i32, ask for i64");
        assert!(compile(&Op::SizeOf { output: DType::U8 }, &[x], &[Spec::new(DType::U8, &[])]).is_err());
    }
}
