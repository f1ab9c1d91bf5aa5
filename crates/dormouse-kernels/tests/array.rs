//! Array kernels on shapes large enough for many tiles of their real size, against a walk over all indices.
//!
//! The unit tests cut tiles finer than programs do; here they are as programs have them, run backward.

#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse_kernels::{Args, Spec, compile};
use dormouse_value::{DType, Op, Real};

/// The result of a kernel of u32-sized operands, its tiles run from the last to the first.
fn run(op: &Op, inputs: &[(&Spec, &[i32])], output: &Spec) -> Vec<i32> {
    let specs: Vec<Spec> = inputs.iter().map(|(spec, _)| (*spec).clone()).collect();
    let kernel = compile(op, &specs, std::slice::from_ref(output)).unwrap();
    let pointers: Vec<*const u8> = inputs.iter().map(|(_, numbers)| numbers.as_ptr().cast()).collect();
    let mut result = vec![-1; output.len()];
    // `u128` is aligned to 16, and the family asks its scratch for numbers of 8 bytes.
    let mut shared = vec![0_u128; kernel.shared.div_ceil(16) + 1];
    let args = Args {
        inputs: &pointers,
        outputs: &[result.as_mut_ptr().cast()],
        shared: shared.as_mut_ptr().cast(),
        local: std::ptr::dangling_mut(),
    };
    assert!(kernel.phases.last().unwrap() > &1, "{op:?} has one tile only");
    for (phase, &tiles) in kernel.phases.iter().enumerate() {
        for tile in (0..tiles).rev() {
            // SAFETY: the buffers have the kernel's specs, and each tile runs once.
            unsafe { kernel.body.run(&args, phase, tile) }.unwrap();
        }
    }
    result
}

fn counting(dims: &[usize]) -> (Spec, Vec<i32>) {
    let spec = Spec::new(DType::I32, dims);
    let numbers = (0..spec.len() as i32).collect();
    (spec, numbers)
}

#[test]
fn transposes_through_blocks() {
    for (n, m) in [(1000, 700), (3, 200_000), (200_000, 3)] {
        let (x, numbers) = counting(&[n, m]);
        let op = Op::Transpose { perm: [1, 0].into_iter().collect() };
        let y = run(&op, &[(&x, &numbers)], &Spec::new(DType::I32, &[m, n]));
        assert!((0..n * m).all(|i| y[i] == numbers[i % n * m + i / n]), "[{n}, {m}]");
    }
}

#[test]
fn slices_and_tiles_by_rows() {
    let (x, numbers) = counting(&[1500, 900]);
    let op = Op::Slice { begin: [7, 11].into_iter().collect(), size: [1400, -1].into_iter().collect() };
    let y = run(&op, &[(&x, &numbers)], &Spec::new(DType::I32, &[1400, 889]));
    assert!((0..y.len()).all(|i| y[i] == numbers[(i / 889 + 7) * 900 + i % 889 + 11]));
    let op = Op::Tile { multiples: [1, 2].into_iter().collect() };
    let y = run(&op, &[(&x, &numbers)], &Spec::new(DType::I32, &[1500, 1800]));
    assert!((0..y.len()).all(|i| y[i] == numbers[i / 1800 * 900 + i % 900]));
    let op = Op::TileGrad { multiples: [3, 2].into_iter().collect() };
    let y = run(&op, &[(&x, &numbers)], &Spec::new(DType::I32, &[500, 450]));
    let sum = |i: usize| -> i32 {
        let copies = (0..3).flat_map(|a| (0..2).map(move |b| (a * 500 + i / 450) * 900 + b * 450 + i % 450));
        copies.map(|copy| numbers[copy]).sum()
    };
    assert!((0..y.len()).all(|i| y[i] == sum(i)));
}

#[test]
fn concats_and_pads_row_by_row() {
    let ((a, left), (b, right)) = (counting(&[700, 300]), counting(&[700, 411]));
    let y = run(&Op::Concat { axis: 1 }, &[(&a, &left), (&b, &right)], &Spec::new(DType::I32, &[700, 711]));
    let joined = |row: usize, column: usize| match column.checked_sub(300) {
        None => left[row * 300 + column],
        Some(column) => right[row * 411 + column],
    };
    assert!((0..y.len()).all(|i| y[i] == joined(i / 711, i % 711)));
    let op = Op::Pad { paddings: [[3, 2], [5, 4]].into_iter().collect(), value: Real(-7.0) };
    let y = run(&op, &[(&b, &right)], &Spec::new(DType::I32, &[705, 420]));
    let padded = |row: usize, column: usize| match (row.checked_sub(3), column.checked_sub(5)) {
        (Some(row), Some(column)) if row < 700 && column < 411 => right[row * 411 + column],
        _ => -7,
    };
    assert!((0..y.len()).all(|i| y[i] == padded(i / 420, i % 420)));
}

#[test]
fn gathers_and_adds_back() {
    let ((x, numbers), indices) = (counting(&[5000, 64]), Spec::new(DType::I32, &[9000]));
    let at: Vec<i32> = (0..9000).map(|i| i * 7919 % 5000 / 2).collect();
    let taken = Spec::new(DType::I32, &[9000, 64]);
    let y = run(&Op::Gather { axis: 0 }, &[(&x, &numbers), (&indices, &at)], &taken);
    assert!((0..y.len()).all(|i| y[i] == numbers[at[i / 64] as usize * 64 + i % 64]));
    let mut expected = vec![0; x.len()];
    (0..y.len()).for_each(|i| expected[at[i / 64] as usize * 64 + i % 64] += i as i32 % 1000);
    let dy: Vec<i32> = (0..y.len() as i32).map(|i| i % 1000).collect();
    let z = run(&Op::GatherGrad { axis: 0 }, &[(&taken, &dy), (&indices, &at), (&x, &[])], &x);
    assert!(z == expected);
    let op = Op::OneHot { depth: 200, axis: 0, on: Real(3.0), off: Real(1.0), dtype: DType::I32 };
    let y = run(&op, &[(&indices, &at)], &Spec::new(DType::I32, &[200, 9000]));
    assert!((0..y.len()).all(|i| y[i] == if at[i % 9000] as usize == i / 9000 { 3 } else { 1 }));
}
