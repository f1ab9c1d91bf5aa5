//! Convolutions and their gradients: a second layer of 5 × 5, layers of 3 × 3 of few channels, and depthwise ones.

use criterion::Criterion;
use dormouse_kernels::{Spec, compile};
use dormouse_value::{DType, Op, Padding, Window2d};

use crate::tensors::measure;

pub(crate) fn all(criterion: &mut Criterion) {
    let window = |stride| Window2d { strides: [stride; 2], dilations: [1; 2], padding: Padding::Same };
    let f32 = |dims: &[usize]| Spec::new(DType::F32, dims);
    let shapes =
        [("lenet", [20, 14, 32, 64], 5, 1), ("resnet", [16, 32, 16, 16], 3, 1), ("halving", [16, 32, 16, 32], 3, 2)];
    for (name, [images, side, from, to], taps, stride) in shapes {
        let after = side / stride as usize;
        let (x, filter) = (f32(&[images, side, side, from]), f32(&[taps, taps, from, to]));
        let y = f32(&[images, after, after, to]);
        let window = window(stride);
        let mut each = |what: &str, op: Op, inputs: &[Spec], output: &Spec| {
            let outputs = std::slice::from_ref(output);
            let kernel = compile(&op, inputs, outputs).unwrap();
            measure(criterion, &format!("conv {name} {what}"), &kernel, inputs, outputs);
        };
        each("forward", Op::Conv2d(window), &[x.clone(), filter.clone()], &y);
        each("input", Op::Conv2dInputGrad(window), &[y.clone(), filter.clone(), x.clone()], &x);
        each("filter", Op::Conv2dFilterGrad(window), &[x.clone(), y.clone(), filter.clone()], &filter);
    }
    for (side, channels, stride) in [(112, 32, 1), (112, 64, 2), (14, 512, 1)] {
        let after = side / stride as usize;
        let (x, filter) = (f32(&[1, side, side, channels]), f32(&[3, 3, channels, 1]));
        let (inputs, outputs) = ([x, filter], [f32(&[1, after, after, channels])]);
        let kernel = compile(&Op::DepthwiseConv2d(window(stride)), &inputs, &outputs).unwrap();
        measure(criterion, &format!("depthwise {side} {channels} {stride}"), &kernel, &inputs, &outputs);
    }
}
