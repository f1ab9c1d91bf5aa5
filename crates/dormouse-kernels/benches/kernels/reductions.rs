//! Reductions along rows, columns and all, and the losses of classes.

use criterion::Criterion;
use dormouse_kernels::{Spec, compile};
use dormouse_value::{DType, Op, ReduceOp};

use crate::tensors::measure;

pub(crate) fn all(criterion: &mut Criterion) {
    let f32 = |dims: &[usize]| Spec::new(DType::F32, dims);
    let x = f32(&[1024, 1024]);
    let axes: [(&str, &[i32], &[usize]); 3] =
        [("rows", &[1], &[1024]), ("columns", &[0], &[1024]), ("all", &[0, 1], &[])];
    for (name, axes, dims) in axes {
        for op in [ReduceOp::Sum, ReduceOp::Max] {
            let reduce = Op::Reduce { op, axes: Some(axes.iter().copied().collect()), keep_dims: false };
            let (inputs, outputs) = (std::slice::from_ref(&x), [f32(dims)]);
            let kernel = compile(&reduce, inputs, &outputs).unwrap();
            measure(criterion, &format!("reduce {op:?} {name}"), &kernel, inputs, &outputs);
        }
    }
    for (rows, classes) in [(100, 10), (700, 10_000)] {
        let logits = f32(&[rows, classes]);
        let (inputs, outputs) = ([logits.clone(), Spec::new(DType::I32, &[rows])], [f32(&[rows]), logits.clone()]);
        let kernel = compile(&Op::SparseSoftmaxCrossEntropy, &inputs, &outputs).unwrap();
        measure(criterion, &format!("softmax cross entropy {rows} {classes}"), &kernel, &inputs, &outputs);
        let kernel = compile(&Op::Softmax { axis: -1 }, &inputs[..1], &outputs[1..]).unwrap();
        measure(criterion, &format!("softmax {rows} {classes}"), &kernel, &inputs[..1], &outputs[1..]);
    }
}
