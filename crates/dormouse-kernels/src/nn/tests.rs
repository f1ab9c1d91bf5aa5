//! Softmax and losses against naive f64 references, with tiles forward and backward.

#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse_value::{Op, Value};

use super::*;
use crate::compile;
use crate::reduction::tests::{Order, run, run_in};

fn value<T: Element>(dims: &[usize], elements: Vec<T>) -> Value {
    Value::from_elements(dims, elements).unwrap()
}

/// Numbers without a pattern in ±8, exact in f32.
fn noise(n: usize) -> Vec<f64> {
    (0..n).map(|i| ((i * 7919 + i * i * 104_729) % 4096) as f64 / 256.0 - 8.0).collect()
}

fn single(x: &[f64]) -> Vec<f32> {
    x.iter().map(|&x| x as f32).collect()
}

#[track_caller]
fn near(got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len());
    for (i, (a, b)) in got.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "element {i} is {a}, not {b}");
    }
}

/// The results of f64 operands, and of the same ones in f32.
#[track_caller]
fn check(op: &Op, x: &[f64], dims: &[usize], labels: Option<[Value; 2]>, expected: &[(&[usize], Vec<f64>)]) {
    let operands = |x: Value, i: usize| std::iter::once(x).chain(labels.as_ref().map(|l| l[i].clone()));
    let specs = |dtype| expected.iter().map(|(dims, _)| Spec::new(dtype, dims)).collect::<Vec<_>>();
    let double: Vec<Value> = operands(value(dims, x.to_vec()), 0).collect();
    for (y, (_, expected)) in run(op, &double, &specs(DType::F64)).unwrap().iter().zip(expected) {
        near(&y.to_vec::<f64>().unwrap(), expected, 1e-13);
    }
    let narrow: Vec<Value> = operands(value(dims, single(x)), 1).collect();
    for (y, (_, expected)) in run(op, &narrow, &specs(DType::F32)).unwrap().iter().zip(expected) {
        let y: Vec<f64> = y.to_vec::<f32>().unwrap().into_iter().map(f64::from).collect();
        near(&y, expected, 2e-6);
    }
}

/// ln softmax along the middle axis.
fn reference(x: &[f64], extent: usize, inner: usize) -> Vec<f64> {
    let log = |i: usize| {
        let first = i / (extent * inner) * extent * inner + i % inner;
        (0..extent).map(|r| x[first + r * inner].exp()).sum::<f64>().ln()
    };
    (0..x.len()).map(|i| x[i] - log(i)).collect()
}

#[test]
fn softmax_along_any_axis() {
    let shapes: [&[usize]; 10] =
        [&[1], &[7], &[3, 10], &[900, 10], &[2, 2500], &[5, 130], &[3, 4, 5], &[2, 300, 70], &[0, 4], &[4, 0, 3]];
    for dims in shapes {
        let x = noise(dims.iter().product());
        for axis in 0..dims.len() {
            let logs = reference(&x, dims[axis], dims[axis + 1..].iter().product());
            let (front, back) = (axis as i32, axis as i32 - dims.len() as i32);
            check(&Op::LogSoftmax { axis: front }, &x, dims, None, &[(dims, logs.clone())]);
            let shares = logs.iter().map(|x| x.exp()).collect();
            check(&Op::Softmax { axis: back }, &x, dims, None, &[(dims, shares)]);
        }
    }
}

#[test]
fn large_logits_do_not_overflow() {
    let x = [1e4, 1e4, -1e4];
    check(&Op::Softmax { axis: 0 }, &x, &[3], None, &[(&[3], vec![0.5, 0.5, 0.0])]);
    let two = 2.0_f64.ln();
    check(&Op::LogSoftmax { axis: 0 }, &x, &[3, 1], None, &[(&[3, 1], vec![-two, -two, -2e4 - two])]);
    let y = run(
        &Op::Softmax { axis: 1 },
        &[value(&[2, 2], vec![f32::NAN, 1.0, 0.0, 0.0])],
        &[Spec::new(DType::F32, &[2, 2])],
    );
    let y = y.unwrap()[0].to_vec::<f32>().unwrap();
    assert!(y[0].is_nan() && y[1].is_nan() && y[2..] == [0.5, 0.5], "{y:?}");
}

#[test]
fn cross_entropies() {
    for (n, c) in [(1, 1), (4, 10), (2000, 10), (3, 9000), (0, 5), (100, 33)] {
        let x = noise(n * c);
        let logs = reference(&x, c, 1);
        let dims: &[usize] = &[n, c];

        let classes: Vec<usize> = (0..n).map(|r| r * 31 % c).collect();
        let loss = classes.iter().enumerate().map(|(r, k)| -logs[r * c + k]).collect();
        let hot = |i: usize| if classes[i / c] == i % c { 1.0 } else { 0.0 };
        let backprop = logs.iter().enumerate().map(|(i, x)| x.exp() - hot(i)).collect();
        let wide = value(&[n], classes.iter().map(|&k| k as i64).collect());
        let narrow = value(&[n], classes.iter().map(|&k| k as i32).collect());
        let expected: [(&[usize], Vec<f64>); 2] = [(&[n], loss), (dims, backprop)];
        check(&Op::SparseSoftmaxCrossEntropy, &x, dims, Some([wide, narrow]), &expected);

        // Multiples of 2⁻¹³, exact in f32.
        let labels: Vec<f64> = noise(n * c + 5)[5..].iter().map(|x| (x + 8.0) / 32.0).collect();
        let terms: Vec<f64> = labels.iter().zip(&logs).map(|(label, log)| -label * log).collect();
        let loss = terms.chunks(c).map(|terms| terms.iter().sum()).collect();
        let backprop = logs.iter().zip(&labels).map(|(log, label)| log.exp() - label).collect();
        let given = [value(dims, labels.clone()), value(dims, single(&labels))];
        let expected: [(&[usize], Vec<f64>); 2] = [(&[n], loss), (dims, backprop)];
        check(&Op::SoftmaxCrossEntropy, &x, dims, Some(given), &expected);
    }
}

#[test]
fn rows_of_cross_entropies_are_all_axes_but_the_last() {
    let x = noise(24);
    let loss: Vec<f64> = reference(&x, 4, 1).chunks(4).map(|logs| -logs[2]).collect();
    let backprop: Vec<f64> =
        reference(&x, 4, 1).iter().enumerate().map(|(i, log)| log.exp() - if i % 4 == 2 { 1.0 } else { 0.0 }).collect();
    let expected: [(&[usize], Vec<f64>); 2] = [(&[2, 3], loss), (&[2, 3, 4], backprop)];
    let labels = value(&[2, 3], vec![2_i64; 6]);
    check(&Op::SparseSoftmaxCrossEntropy, &x, &[2, 3, 4], Some([labels.clone(), labels]), &expected);
    let hot: Vec<f64> = (0..24).map(|i| if i % 4 == 2 { 1.0 } else { 0.0 }).collect();
    let labels = [value(&[2, 3, 4], hot.clone()), value(&[2, 3, 4], single(&hot))];
    check(&Op::SoftmaxCrossEntropy, &x, &[2, 3, 4], Some(labels), &expected);
}

#[test]
fn the_first_label_outside_is_told() {
    let specs = [Spec::new(DType::F32, &[3000]), Spec::new(DType::F32, &[3000, 10])];
    for (label, later) in [(10, -1), (-1, 10), (i32::MAX, 10)] {
        let mut labels = vec![3; 3000];
        (labels[7], labels[2900]) = (label, later);
        let operands = [value(&[3000, 10], vec![0.0_f32; 30_000]), value(&[3000], labels)];
        let wanted = format!("received a label value of {label} which is outside the valid range of [0, 10)");
        for order in [Order::Forward, Order::Backward] {
            let result = run_in(&Op::SparseSoftmaxCrossEntropy, &operands, &specs, order);
            assert_eq!(result.unwrap_err().to_string(), wanted);
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let f = |dims: &[usize]| Spec::new(DType::F32, dims);
    let whole = Spec::new(DType::I32, &[2]);
    assert!(compile(&Op::Softmax { axis: 0 }, std::slice::from_ref(&whole), std::slice::from_ref(&whole)).is_err());
    assert!(compile(&Op::Softmax { axis: 2 }, &[f(&[2, 3])], &[f(&[2, 3])]).is_err());
    let outputs = [f(&[2]), f(&[2, 3])];
    assert!(compile(&Op::SoftmaxCrossEntropy, &[f(&[2, 3]), f(&[2, 2])], &outputs).is_err());
    assert!(compile(&Op::SparseSoftmaxCrossEntropy, &[f(&[2, 3]), f(&[2])], &outputs).is_err());
    assert!(compile(&Op::SparseSoftmaxCrossEntropy, &[f(&[2, 3]), whole], &outputs).unwrap().fallible);
}
