//! Matrix products: squares, the shapes of the workloads, and products with a constant.

use criterion::Criterion;
use dormouse_kernels::{Spec, compile, compile_constant};
use dormouse_value::{DType, Op, Value};

use crate::tensors::measure;

fn f32(dims: &[usize]) -> Spec {
    Spec::new(DType::F32, dims)
}

pub(crate) fn all(criterion: &mut Criterion) {
    let squares = [64, 256, 1024].map(|side| (format!("gemm {side}"), [side, side, side], false, false));
    let shapes = [
        ("gemm mlp forward".to_owned(), [100, 500, 784], false, false),
        ("gemm mlp weights".to_owned(), [784, 500, 100], true, false),
        ("gemm lstm cell".to_owned(), [20, 1200, 600], false, false),
        ("gemm lstm input".to_owned(), [700, 300, 10_000], false, true),
        ("gemm vector".to_owned(), [1, 500, 784], false, false),
    ];
    for (name, [rows, columns, depth], transpose_a, transpose_b) in squares.into_iter().chain(shapes) {
        let a = if transpose_a { f32(&[depth, rows]) } else { f32(&[rows, depth]) };
        let b = if transpose_b { f32(&[columns, depth]) } else { f32(&[depth, columns]) };
        let (inputs, outputs) = ([a, b], [f32(&[rows, columns])]);
        let kernel = compile(&Op::MatMul { transpose_a, transpose_b }, &inputs, &outputs).unwrap();
        measure(criterion, &name, &kernel, &inputs, &outputs);
    }
    for rows in [1, 49, 196] {
        let (inputs, outputs) = ([f32(&[rows, 512]), f32(&[512, 512])], [f32(&[rows, 512])]);
        let weights = Value::from_elements(&[512, 512], vec![0.5_f32; 512 * 512]).unwrap();
        let op = Op::MatMul { transpose_a: false, transpose_b: false };
        let kernel = compile_constant(&op, &inputs, &outputs, &weights).unwrap();
        measure(criterion, &format!("gemm constant {rows}"), &kernel, &inputs, &outputs);
    }
}
