//! Fused loops: GELU, a batch norm with relu, and the second with sums of its columns.

use criterion::Criterion;
use dormouse_kernels::{Loop, Spec, Step, compile_loop, compile_loop_columns, compile_loop_reduction};
use dormouse_value::{BinaryOp, DType, Op, ReduceOp, UnaryOp};

use crate::tensors::measure;

fn step(op: Op, operands: &[usize]) -> Step {
    Step { op, operands: operands.iter().copied().collect(), dtype: DType::F32 }
}

fn binary(op: BinaryOp, a: usize, b: usize) -> Step {
    step(Op::Binary(op), &[a, b])
}

pub(crate) fn all(criterion: &mut Criterion) {
    let f32 = |dims: &[usize]| Spec::new(DType::F32, dims);
    let (rows, columns) = (1 << 14, 32);
    let (matrix, row, scalar) = (f32(&[rows, columns]), f32(&[columns]), f32(&[]));
    let gelu = Loop {
        dims: matrix.dims.clone(),
        inputs: vec![matrix.clone(), scalar.clone(), scalar.clone(), scalar.clone()],
        steps: vec![
            binary(BinaryOp::Mul, 0, 0),
            binary(BinaryOp::Mul, 4, 0),
            binary(BinaryOp::Mul, 5, 1),
            binary(BinaryOp::Add, 6, 0),
            binary(BinaryOp::Mul, 7, 2),
            step(Op::Unary(UnaryOp::Tanh), &[8]),
            binary(BinaryOp::Add, 9, 3),
            binary(BinaryOp::Mul, 10, 0),
        ],
        outputs: vec![11],
    };
    let normal = Loop {
        dims: matrix.dims.clone(),
        inputs: vec![matrix.clone(), row.clone(), row.clone(), row.clone()],
        steps: vec![
            binary(BinaryOp::Sub, 0, 1),
            binary(BinaryOp::Mul, 4, 2),
            binary(BinaryOp::Add, 5, 3),
            step(Op::Unary(UnaryOp::Relu), &[6]),
        ],
        outputs: vec![7],
    };
    let kernel = compile_loop(&gelu).unwrap();
    measure(criterion, "loop gelu", &kernel, &gelu.inputs, std::slice::from_ref(&matrix));
    let sum = Op::Reduce { op: ReduceOp::Sum, axes: None, keep_dims: false };
    let kernel = compile_loop_reduction(&gelu, &sum).unwrap();
    measure(criterion, "loop gelu summed", &kernel, &gelu.inputs, &[scalar]);
    let kernel = compile_loop(&normal).unwrap();
    measure(criterion, "loop batch norm", &kernel, &normal.inputs, std::slice::from_ref(&matrix));
    let both = Loop { outputs: vec![7, 4, 7], ..normal };
    let kernel = compile_loop_columns(&both, 1, &[ReduceOp::Sum, ReduceOp::Mean]).unwrap();
    measure(criterion, "loop batch norm with two sums", &kernel, &both.inputs, &[matrix, row.clone(), row]);
}
