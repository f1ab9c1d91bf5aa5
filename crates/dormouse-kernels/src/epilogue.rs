//! A product or a convolution with a loop over its result behind it: each tile goes on with the elements that it has just
//! completed, while they are in its core's cache. It is apart from the kernels, which do not know of it, and from loops, which
//! do not either.

use std::ops::Range;

use dormouse_value::{Op, element_count};
use smallvec::SmallVec;

use crate::fused::{Fused, fused};
use crate::{Args, Body, Kernel, KernelError, Loop};

/// Whether a loop may follow an operation in the same kernel.
pub fn has_epilogue(op: &Op) -> bool {
    matches!(op, Op::MatMul { .. } | Op::Conv2d(_) | Op::Conv2dInputGrad(_) | Op::DepthwiseConv2d(_))
}

/// The kernel of an operation of so many operands, with a loop behind it that takes its result as input `product`.
///
/// The operands are those of the operation, then the loop's other inputs in their order; the results are the loop's. The bits
/// are those of one after the other.
///
/// # Errors
/// Where the loop has no code, input `product` is not as large as the loop, or has another dtype than result 0, which holds
/// it meanwhile.
pub fn compile_epilogue(first: Kernel, operands: usize, l: &Loop, product: usize) -> Result<Kernel, KernelError> {
    let (Some(input), Some(result)) = (l.inputs.get(product), l.outputs.first().and_then(|value| l.dtype_of(*value)))
    else {
        return Err(KernelError::new(
            "a loop behind an operation has its result among its inputs, and results of its own",
        ));
    };
    if element_count(&input.dims) != element_count(&l.dims) || input.dtype != result {
        return Err(KernelError::new(format!("a loop over {:?} cannot follow {input}", l.dims.as_slice())));
    }
    let (second, cost, fallible) = fused(l, first.phases.last().copied().unwrap_or(1))?;
    let phases = first.phases.len();
    let mut kernel = Kernel { in_place: SmallVec::new(), fallible: first.fallible || fallible, ..first };
    kernel.cost.flops += cost.flops;
    kernel.cost.nanos += cost.nanos;
    // The product is neither written to memory nor read from it.
    kernel.cost.bytes += cost.bytes - 2.0 * input.bytes() as f64;
    kernel.local = kernel.local.max(second.local);
    let known = kernel.body.completes(0, &mut |_| {});
    if !known && phases > 0 {
        kernel.phases.push(second.tiles());
    }
    kernel.body = Box::new(Epilogue { first: kernel.body, operands, phases, known, second, product });
    Ok(kernel)
}

/// An operation's code, and the loop's.
#[derive(Debug)]
struct Epilogue {
    first: Box<dyn Body>,
    /// How many operands are the operation's.
    operands: usize,
    /// How many phases are.
    phases: usize,
    /// Whether the operation tells what its tiles complete; if not, the loop is a phase of its own.
    known: bool,
    second: Fused,
    /// Which input of the loop is the operation's result.
    product: usize,
}

impl Body for Epilogue {
    unsafe fn run(&self, args: &Args<'_>, phase: usize, tile: usize) -> Result<(), KernelError> {
        if phase < self.phases {
            let own = Args { inputs: &args.inputs[..self.operands], outputs: &args.outputs[..1], ..*args };
            // SAFETY: the caller's contract; the product is as large as result 0, which no operand shares.
            unsafe { self.first.run(&own, phase, tile)? };
            if !self.known || phase + 1 < self.phases {
                return Ok(());
            }
        }
        let mut inputs: SmallVec<[*const u8; 16]> = SmallVec::from_slice(&args.inputs[self.operands..]);
        inputs.insert(self.product, args.outputs[0].cast_const());
        let mut done = Ok(());
        let mut go_on = |range: Range<usize>| {
            if done.is_ok() {
                // SAFETY: the scratch is prepared; the elements are this tile's, and the operation has computed them.
                done = unsafe { self.second.elements(&inputs, args, range) };
            }
        };
        // SAFETY: the inputs are the loop's, and the scratch is as large as it wants.
        unsafe { self.second.prepare_tiles(&inputs, args.local) };
        if self.known {
            self.first.completes(tile, &mut go_on);
        } else {
            go_on(self.second.elements_of(tile));
        }
        done
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use dormouse_value::{BinaryOp, DType, Padding, UnaryOp, Value, Window2d};

    use super::*;
    use crate::fused::Step;
    use crate::fused::tests::{Buffer, run_kernel};
    use crate::{Spec, compile, compile_constant, compile_freely, compile_loop};

    fn numbers(dims: &[usize], seed: usize) -> Buffer {
        let number = |i: usize| ((i * 31 + seed) as f32 * 0.618_034).fract() - 0.45;
        let elements: Vec<f32> = (0..dims.iter().product()).map(number).collect();
        Buffer::of(dims, &elements)
    }

    /// relu(product + bias) · other, and the sum before it.
    fn tail(dims: &[usize]) -> Loop {
        let columns = dims[dims.len() - 1];
        let step = |op, operands: &[usize]| Step { op, operands: operands.into(), dtype: DType::F32 };
        Loop {
            dims: dims.into(),
            inputs: vec![Spec::new(DType::F32, &[columns]), Spec::new(DType::F32, dims), Spec::new(DType::F32, dims)],
            steps: vec![
                step(Op::Binary(BinaryOp::Add), &[1, 0]),
                step(Op::Unary(UnaryOp::Relu), &[3]),
                step(Op::Binary(BinaryOp::Mul), &[4, 2]),
            ],
            outputs: vec![5, 3],
        }
    }

    /// That an operation and a loop in one kernel give the bits of one after the other.
    fn check(op: &Op, operands: &[Buffer], dims: &[usize], first: impl Fn() -> Kernel) {
        let l = tail(dims);
        let result = Spec::new(DType::F32, dims);
        let results = [result.clone(), result.clone()];
        let product = run_kernel(&first(), operands, &[result]).unwrap().remove(0);
        let others = [numbers(&[dims[dims.len() - 1]], 5), numbers(dims, 11)];
        let [bias, other] = &others;
        let want = run_kernel(&compile_loop(&l).unwrap(), &[bias.clone(), product, other.clone()], &results).unwrap();
        let both = compile_epilogue(first(), operands.len(), &l, 1).unwrap();
        let inputs: Vec<Buffer> = operands.iter().chain(&others).cloned().collect();
        let got = run_kernel(&both, &inputs, &results).unwrap();
        got.iter().zip(&want).for_each(|(got, want)| got.assert_same(want, &(op, dims)));
    }

    fn operation(op: &Op, operands: &[Buffer], dims: &[usize]) {
        assert!(has_epilogue(op));
        let specs: Vec<Spec> = operands.iter().map(|b| b.spec.clone()).collect();
        let result = [Spec::new(DType::F32, dims)];
        check(op, operands, dims, || compile(op, &specs, &result).unwrap());
        check(op, operands, dims, || compile_freely(op, &specs, &result).unwrap());
    }

    /// Tiles of all columns and of some, a depth in parts, many small products, and factors that are constants.
    #[test]
    fn products_go_on_with_a_loop() {
        let plain = Op::MatMul { transpose_a: false, transpose_b: false };
        for [rows, depth, columns] in
            [[1, 1, 1], [70, 40, 300], [500, 64, 20], [300, 300, 300], [7, 4000, 9], [3, 200, 500]]
        {
            let operands = [numbers(&[rows, depth], 1), numbers(&[depth, columns], 2)];
            operation(&plain, &operands, &[rows, columns]);
            let specs = [operands[0].spec.clone(), operands[1].spec.clone()];
            let result = [Spec::new(DType::F32, &[rows, columns])];
            let weights = Value::from_elements(&[depth, columns], operands[1].elements::<f32>().to_vec()).unwrap();
            if compile_constant(&plain, &specs, &result, &weights).is_some() {
                check(&plain, &operands, &[rows, columns], || {
                    compile_constant(&plain, &specs, &result, &weights).unwrap()
                });
            }
        }
        operation(&plain, &[numbers(&[9, 5, 4], 1), numbers(&[9, 4, 6], 2)], &[9, 5, 6]);
        operation(&plain, &[numbers(&[3, 130, 70], 1), numbers(&[3, 70, 150], 2)], &[3, 130, 150]);
    }

    /// By the definition, by Winograd, as products, by the depth; strided, with borders, and their gradients.
    #[test]
    fn convolutions_go_on_with_a_loop() {
        let window =
            |stride: usize| Window2d { strides: [stride as u32; 2], dilations: [1; 2], padding: Padding::Same };
        for (cells, inputs, outputs, taps, stride) in [
            (9, 3, 5, 3, 1),
            (14, 16, 32, 5, 1),
            (12, 16, 16, 3, 1),
            (10, 8, 24, 3, 2),
            (8, 20, 40, 1, 1),
            (1, 1, 1, 1, 1),
        ] {
            let after = usize::div_ceil(cells, stride);
            let (small, large) = ([2, after, after, outputs], [2, cells, cells, inputs]);
            let filter = [taps, taps, inputs, outputs];
            operation(&Op::Conv2d(window(stride)), &[numbers(&large, 1), numbers(&filter, 2)], &small);
            let operands = [numbers(&small, 1), numbers(&filter, 2), numbers(&large, 3)];
            operation(&Op::Conv2dInputGrad(window(stride)), &operands, &large);
            let operands = [numbers(&large, 1), numbers(&[taps, taps, inputs, 1], 2)];
            operation(&Op::DepthwiseConv2d(window(stride)), &operands, &[2, after, after, inputs]);
        }
    }

    #[test]
    fn loops_that_cannot_follow_are_named() {
        let op = Op::MatMul { transpose_a: false, transpose_b: false };
        let spec = Spec::new(DType::F32, &[4, 4]);
        let first = || compile(&op, &[spec.clone(), spec.clone()], std::slice::from_ref(&spec)).unwrap();
        let l = tail(&[4, 4]);
        let error = |l: &Loop, product| compile_epilogue(first(), 2, l, product).unwrap_err().to_string();
        assert_eq!(error(&l, 0), "a loop over [4, 4] cannot follow f32[4]");
        assert!(error(&l, 3).starts_with("a loop behind an operation"));
        assert!(error(&Loop { outputs: Vec::new(), ..l }, 1).starts_with("a loop behind an operation"));
    }
}
