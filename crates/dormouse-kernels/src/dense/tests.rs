//! Products with constants against sums in f64, over counts of rows, strips, blocks and tiles.

#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse_value::{DType, Element, Padding, Window2d};

use super::*;
use crate::fused::tests::{Buffer, run_kernel};

fn numbers<T: Element + From<f32>>(count: usize, seed: usize) -> Vec<T> {
    (0..count).map(|i| T::from((((i + seed) * 7919) % 4001) as f32 / 2000.0 - 1.0)).collect()
}

fn check<T: Float + From<f32> + Into<f64>>([rows, columns, depth]: [usize; 3], transposed: bool, tolerance: f64) {
    let (a, b) = (numbers::<T>(rows * depth, 3), numbers::<T>(columns * depth, 11));
    let dims = if transposed { [columns, depth] } else { [depth, columns] };
    let weights = Value::from_elements(&dims, b.clone()).unwrap();
    let inputs = [Spec::new(T::DTYPE, &[rows, depth]), Spec::new(T::DTYPE, &dims)];
    let outputs = [Spec::new(T::DTYPE, &[rows, columns])];
    let op = Op::MatMul { transpose_a: false, transpose_b: transposed };
    let Some(kernel) = compile_constant(&op, &inputs, &outputs, &weights) else {
        assert!(rows * columns * depth == 0 || columns * depth < SMALLEST);
        return;
    };
    let given = [Buffer::of(&[rows, depth], &a), Buffer::of(&dims, &b)];
    let got = run_kernel(&kernel, &given, &outputs).unwrap();
    for (i, got) in got[0].elements::<T>().iter().enumerate() {
        let (row, column) = (i / columns, i % columns);
        let factor = |p: usize| if transposed { b[column * depth + p] } else { b[p * columns + column] };
        let want: f64 = (0..depth).map(|p| a[row * depth + p].into() * factor(p).into()).sum();
        let got: f64 = (*got).into();
        assert!((got - want).abs() <= tolerance * depth as f64, "{rows} {columns} {depth}: {got}, not {want} at {i}");
    }
}

#[test]
fn products_of_every_count_of_rows_and_strips() {
    for rows in [1, 2, 3, 4, 5, 7, 12, 13, 49, 100] {
        for columns in [1, 15, 16, 17, 40, 129, 200] {
            for depth in [16, 319, 321, 700] {
                check::<f32>([rows, columns, depth], rows % 2 == 0, 1e-6);
            }
        }
    }
    check::<f32>([1, 1000, 1024], false, 1e-6);
    check::<f32>([300, 260, 257], true, 1e-6);
    check::<f64>([1, 500, 784], false, 1e-14);
    check::<f64>([50, 100, 400], true, 1e-14);
    check::<f32>([0, 100, 100], false, 0.0);
}

#[test]
fn convolutions_of_one_tap_are_products_and_others_are_not() {
    let window = |stride| Op::Conv2d(Window2d { strides: [stride; 2], dilations: [1, 1], padding: Padding::Same });
    let weights = Value::from_elements(&[1, 1, 40, 50], numbers::<f32>(2000, 5)).unwrap();
    let inputs = [Spec::new(DType::F32, &[2, 6, 7, 40]), Spec::new(DType::F32, &[1, 1, 40, 50])];
    let outputs = [Spec::new(DType::F32, &[2, 6, 7, 50])];
    let kernel = compile_constant(&window(1), &inputs, &outputs, &weights).unwrap();
    let alone = crate::compile(&window(1), &inputs, &outputs).unwrap();
    let given = [
        Buffer::of(&[2, 6, 7, 40], &numbers::<f32>(2 * 42 * 40, 9)),
        Buffer::of(&[1, 1, 40, 50], &numbers::<f32>(2000, 5)),
    ];
    let (got, want) = (run_kernel(&kernel, &given, &outputs).unwrap(), run_kernel(&alone, &given, &outputs).unwrap());
    let pairs = got[0].elements::<f32>().iter().zip(want[0].elements::<f32>());
    assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-5));
    let halved = [Spec::new(DType::F32, &[2, 3, 4, 50])];
    assert!(compile_constant(&window(2), &inputs, &halved, &weights).is_none());
    let sum = Op::Reduce { op: dormouse_value::ReduceOp::Sum, axes: None, keep_dims: false };
    assert!(compile_constant(&sum, &inputs, &outputs, &weights).is_none());
}
