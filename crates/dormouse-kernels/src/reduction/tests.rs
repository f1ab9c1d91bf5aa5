//! Reductions against naive f64 references, facts of TensorFlow 2.21's CPU kernels, and other orders of tiles.

#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse_value::{CumulativeOp, DType, Element, Op, ReduceOp, Value, with_dtype};
use proptest::prelude::*;

use crate::{Args, Kernel, KernelError, Spec, compile};

/// The order in which the tiles of a phase run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Forward,
    Backward,
}

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "read through pointers")] [u8; 64]);

fn buffer(bytes: usize) -> Vec<Line> {
    vec![Line([0xAB; 64]); bytes.div_ceil(64)]
}

/// The kernel, its operands and results as the session would set them up.
pub(crate) fn run_in(
    op: &Op,
    inputs: &[Value],
    outputs: &[Spec],
    order: Order,
) -> Result<(Vec<Value>, Kernel), KernelError> {
    let specs: Vec<Spec> = inputs.iter().map(|x| Spec::new(x.dtype(), x.shape())).collect();
    let kernel = compile(op, &specs, outputs)?;
    let operands: Vec<*const u8> = (0..inputs.len())
        .map(|i| if op.shape_only(i) { std::ptr::null() } else { inputs[i].as_bytes().unwrap().as_ptr() })
        .collect();
    let mut results: Vec<Vec<Line>> = outputs.iter().map(|spec| buffer(spec.bytes())).collect();
    let (mut shared, mut local) = (buffer(kernel.shared), buffer(kernel.local));
    let pointers: Vec<*mut u8> = results.iter_mut().map(|r| r.as_mut_ptr().cast()).collect();
    let args = Args {
        inputs: &operands,
        outputs: &pointers,
        shared: shared.as_mut_ptr().cast(),
        local: local.as_mut_ptr().cast(),
    };
    for (phase, &tiles) in kernel.phases.iter().enumerate() {
        for i in 0..tiles {
            let tile = if matches!(order, Order::Forward) { i } else { tiles - 1 - i };
            // SAFETY: the buffers are those of the specs, and tiles run one by one, phase after phase.
            unsafe { kernel.body.run(&args, phase, tile)? };
        }
    }
    let values = results.iter().zip(outputs).map(|(result, spec)| {
        with_dtype!(spec.dtype, T => {
            // SAFETY: the kernel has filled the buffer with `len` elements of its dtype.
            let elements = unsafe { std::slice::from_raw_parts(result.as_ptr().cast::<T>(), spec.len()) };
            Value::from_elements(&spec.dims, elements.to_vec()).unwrap()
        })
    });
    Ok((values.collect(), kernel))
}

/// Runs with tiles forward and backward, and asserts the same bits.
pub(crate) fn run(op: &Op, inputs: &[Value], outputs: &[Spec]) -> Result<Vec<Value>, KernelError> {
    let (forward, _) = run_in(op, inputs, outputs, Order::Forward)?;
    let (backward, _) = run_in(op, inputs, outputs, Order::Backward)?;
    for (a, b) in forward.iter().zip(&backward) {
        assert_eq!(a.as_bytes(), b.as_bytes(), "{op:?} depends on the order of tiles");
    }
    Ok(forward)
}

fn value<T: Element>(dims: &[usize], elements: Vec<T>) -> Value {
    Value::from_elements(dims, elements).unwrap()
}

/// The result's spec and, for each result, the operand's indices that go into it.
fn gather(dims: &[usize], axes: &[usize], keep_dims: bool) -> (Vec<usize>, Vec<Vec<usize>>) {
    let kept = |i: usize| !axes.contains(&i);
    let out_dims: Vec<usize> =
        (0..dims.len()).filter(|&i| keep_dims || kept(i)).map(|i| if kept(i) { dims[i] } else { 1 }).collect();
    let mut sets = vec![Vec::new(); out_dims.iter().product()];
    for index in 0..dims.iter().product() {
        let (mut rest, mut place, mut stride) = (index, 0, 1);
        for i in (0..dims.len()).rev() {
            if kept(i) {
                place += rest % dims[i] * stride;
                stride *= dims[i];
            }
            rest /= dims[i];
        }
        sets[place].push(index);
    }
    (out_dims, sets)
}

fn reduce(op: ReduceOp, axes: Option<&[i32]>, keep_dims: bool) -> Op {
    Op::Reduce { op, axes: axes.map(|a| a.iter().copied().collect()), keep_dims }
}

/// Small whole numbers with halves, signs and no pattern.
fn noise(n: usize) -> Vec<f64> {
    let mut state = 0x9E37_79B9_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1_u64 << 24) as f64 - 0.5
    };
    (0..n).map(|_| next()).collect()
}

fn check_floats(dims: &[usize], axes: &[usize], keep_dims: bool) {
    let x = noise(dims.iter().product());
    let (out_dims, sets) = gather(dims, axes, keep_dims);
    let list: Vec<i32> = axes.iter().map(|&a| a as i32 - if a % 2 == 0 { 0 } else { dims.len() as i32 }).collect();
    for op in [ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Prod, ReduceOp::Max, ReduceOp::Min] {
        // Products stay near 1, so that many of them neither vanish nor overflow.
        let shift = if op == ReduceOp::Prod { |x: f64| (1.0 + x / 1e4) as f32 } else { |x: f64| x as f32 };
        let x: Vec<f32> = x.iter().map(|&x| shift(x)).collect();
        let results =
            run(&reduce(op, Some(&list), keep_dims), &[value(dims, x.clone())], &[Spec::new(DType::F32, &out_dims)]);
        let wide = run(
            &reduce(op, Some(&list), keep_dims),
            &[value(dims, x.iter().map(|&x| f64::from(x)).collect())],
            &[Spec::new(DType::F64, &out_dims)],
        );
        let (results, wide) = (results.unwrap()[0].to_vec::<f32>().unwrap(), wide.unwrap()[0].to_vec::<f64>().unwrap());
        assert_eq!(results.len(), sets.len());
        for (i, set) in sets.iter().enumerate() {
            let elements = set.iter().map(|&k| f64::from(x[k]));
            let size: f64 = elements.clone().map(f64::abs).sum();
            // A product may be off by half an ulp a factor: near 1, mixed signs break every tie downwards.
            let (expected, slack) = match op {
                ReduceOp::Sum => (elements.sum::<f64>(), size),
                ReduceOp::Mean => (elements.sum::<f64>() / set.len() as f64, size / set.len() as f64),
                ReduceOp::Prod => (elements.product::<f64>(), 64.0 + set.len() as f64 / 32.0),
                ReduceOp::Max => (elements.fold(f64::NEG_INFINITY, f64::max), 0.0),
                ReduceOp::Min => (elements.fold(f64::INFINITY, f64::min), 0.0),
                ReduceOp::Any | ReduceOp::All => unreachable!("not of floats"),
            };
            let same = |y: f64, tolerance: f64| {
                (y - expected).abs() <= tolerance || y == expected || y.is_nan() && expected.is_nan()
            };
            assert!(
                same(f64::from(results[i]), slack * 2e-6),
                "{op:?} of {dims:?} over {axes:?}: result {i} is {}, not {expected}",
                results[i]
            );
            assert!(
                same(wide[i], slack * 1e-13),
                "f64 {op:?} of {dims:?} over {axes:?}: {} is not {expected}",
                wide[i]
            );
        }
    }
}

fn check_integers(dims: &[usize], axes: &[usize]) {
    let x: Vec<i64> = noise(dims.iter().product()).iter().map(|x| (x * 1e4) as i64).collect();
    let (out_dims, sets) = gather(dims, axes, false);
    let list: Vec<i32> = axes.iter().map(|&a| a as i32).collect();
    for op in [ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Prod, ReduceOp::Max, ReduceOp::Min] {
        macro_rules! check {
            ($t:ty) => {{
                let x: Vec<$t> = x.iter().map(|&x| x as $t).collect();
                let spec = Spec::new(<$t>::DTYPE, &out_dims);
                let y = run(&reduce(op, Some(&list), false), &[value(dims, x.clone())], &[spec]).unwrap();
                let y = y[0].to_vec::<$t>().unwrap();
                for (set, y) in sets.iter().zip(y) {
                    let elements = set.iter().map(|&k| x[k]);
                    let expected = match op {
                        ReduceOp::Sum => elements.fold(0, <$t>::wrapping_add),
                        ReduceOp::Mean if set.is_empty() => 0,
                        ReduceOp::Mean => (elements.map(|x| x as i64).sum::<i64>() / set.len() as i64) as $t,
                        ReduceOp::Prod => elements.fold(1, <$t>::wrapping_mul),
                        ReduceOp::Max => elements.max().unwrap_or(<$t>::MIN),
                        ReduceOp::Min => elements.min().unwrap_or(<$t>::MAX),
                        ReduceOp::Any | ReduceOp::All => unreachable!("not of integers"),
                    };
                    assert_eq!(y, expected, "{op:?} of {dims:?} over {axes:?}");
                }
            }};
        }
        check!(i32);
        check!(i64);
        check!(u8);
    }
}

#[test]
fn every_set_of_axes_of_many_shapes() {
    let shapes: &[&[usize]] = &[
        &[],
        &[1],
        &[7],
        &[0],
        &[1, 1, 1],
        &[3, 4],
        &[0, 4],
        &[4, 0],
        &[5, 1, 6],
        &[2, 3, 4],
        &[2, 33, 5, 3],
        &[3, 1, 70, 2, 9],
    ];
    for dims in shapes {
        for mask in 0..1_u32 << dims.len() {
            let axes: Vec<usize> = (0..dims.len()).filter(|&i| mask >> i & 1 == 1).collect();
            check_floats(dims, &axes, mask % 2 == 0);
            check_integers(dims, &axes);
        }
    }
}

#[test]
fn shapes_that_are_cut_into_tiles_and_parts() {
    let cases: &[(&[usize], &[usize])] = &[
        (&[300_001], &[0]),
        (&[3, 140_001], &[1]),
        (&[140_001, 3], &[0]),
        (&[5001, 50], &[0]),
        (&[300, 700], &[0]),
        (&[300, 700], &[1]),
        (&[65, 2100], &[0]),
        (&[3001, 64], &[0]),
        (&[2101, 65], &[0]),
        (&[400, 3, 200], &[0, 2]),
        (&[90, 3, 30, 40], &[0, 2]),
        (&[3, 1000, 130], &[1]),
        (&[200, 40, 30], &[1]),
        (&[70_000, 2], &[1]),
        (&[1500, 2, 80], &[0, 1]),
        (&[100, 500], &[0]),
        (&[100, 10], &[0]),
        (&[64, 14, 14, 32], &[0, 1, 2]),
    ];
    for (dims, axes) in cases {
        check_floats(dims, axes, false);
        check_integers(dims, axes);
    }
}

#[test]
fn parts_are_for_few_long_results() {
    let phases = |dims: &[usize], axes: &[i32], out: &[usize]| {
        let (x, y) = (Spec::new(DType::F32, dims), Spec::new(DType::F32, out));
        compile(&reduce(ReduceOp::Sum, Some(axes), false), &[x], &[y]).unwrap().phases
    };
    assert_eq!(phases(&[100, 500], &[0], &[500])[..], [1]);
    assert_eq!(phases(&[5000, 500], &[0], &[500])[..], [32, 1]);
    assert_eq!(phases(&[10_000_000], &[0], &[])[..], [64, 1]);
    assert_eq!(phases(&[1000, 10_000], &[1], &[1000])[..], [167]);
    assert_eq!(phases(&[0, 5], &[1], &[0])[..], []);
}

#[test]
fn sums_are_accurate_over_long_axes() {
    // A running f32 sum of these stops growing at 2²⁴ · 0.1.
    let n = 1 << 22;
    let y = run(&reduce(ReduceOp::Sum, None, false), &[value(&[n], vec![0.1_f32; n])], &[Spec::new(DType::F32, &[])]);
    let y: f32 = y.unwrap()[0].scalar().unwrap();
    assert!((f64::from(y) / (f64::from(0.1_f32) * n as f64) - 1.0).abs() < 2e-6, "{y}");
}

#[test]
fn a_nan_anywhere_is_the_largest_and_the_smallest() {
    for n in [1, 2, 9, 33, 70, 2000] {
        for at in [0, 1, n / 2, n - 1] {
            let mut x: Vec<f32> = (0..n).map(|i| i as f32).collect();
            x[at.min(n - 1)] = f32::NAN;
            for op in [ReduceOp::Max, ReduceOp::Min, ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Prod] {
                for (dims, axis, out) in [(vec![n], 0, vec![]), (vec![n, 1], 0, vec![1]), (vec![1, n], 1, vec![1])] {
                    let y = run(
                        &reduce(op, Some(&[axis]), false),
                        &[value(&dims, x.clone())],
                        &[Spec::new(DType::F32, &out)],
                    );
                    assert!(y.unwrap()[0].to_vec::<f32>().unwrap()[0].is_nan(), "{op:?} of {n} with a NaN at {at}");
                }
                let columns: Vec<f32> = x.iter().flat_map(|&x| [x, 1.0]).collect();
                let y = run(&reduce(op, Some(&[0]), false), &[value(&[n, 2], columns)], &[Spec::new(DType::F32, &[2])]);
                let y = y.unwrap()[0].to_vec::<f32>().unwrap();
                assert!(y[0].is_nan() && !y[1].is_nan(), "{op:?} of columns of {n} with a NaN at {at}: {y:?}");
            }
        }
    }
}

/// What TensorFlow 2.21 gave for the same operands.
#[test]
fn as_tensorflow() {
    fn all<T: Element>(op: ReduceOp, x: &[T]) -> T {
        let y = run(&reduce(op, None, false), &[value(&[x.len()], x.to_vec())], &[Spec::new(T::DTYPE, &[])]);
        y.unwrap()[0].scalar().unwrap()
    }
    assert_eq!(all::<f32>(ReduceOp::Sum, &[]), 0.0);
    assert!(all::<f32>(ReduceOp::Mean, &[]).is_nan());
    assert_eq!(all::<f64>(ReduceOp::Prod, &[]), 1.0);
    assert_eq!(all::<f32>(ReduceOp::Max, &[]), f32::NEG_INFINITY);
    assert_eq!(all::<f64>(ReduceOp::Min, &[]), f64::INFINITY);
    assert_eq!(all::<i32>(ReduceOp::Mean, &[]), 0);
    assert_eq!(all::<i32>(ReduceOp::Max, &[]), i32::MIN);
    assert_eq!(all::<u8>(ReduceOp::Min, &[]), 255);
    assert!(!all::<bool>(ReduceOp::Any, &[]) && all::<bool>(ReduceOp::All, &[]));
    assert_eq!(all::<i32>(ReduceOp::Mean, &[-7, -8]), -7);
    assert_eq!(all::<i32>(ReduceOp::Mean, &[-1, 0]), 0);
    assert_eq!(all::<i32>(ReduceOp::Mean, &[i32::MAX; 3]), i32::MAX);
    assert_eq!(all::<i32>(ReduceOp::Sum, &[i32::MAX; 2]), -2);
    assert_eq!(all::<i64>(ReduceOp::Mean, &[i64::MAX; 2]), -1);
    assert_eq!(all::<u8>(ReduceOp::Mean, &[200, 100, 3]), 101);
    assert_eq!(all::<u8>(ReduceOp::Sum, &[200, 100]), 44);
    assert_eq!(all::<u8>(ReduceOp::Prod, &[200, 100, 3]), 96);
    assert_eq!(all::<u8>(ReduceOp::Mean, &[10; 512]), 10);
    assert!(all::<f32>(ReduceOp::Sum, &[f32::INFINITY, f32::NEG_INFINITY]).is_nan());
    assert_eq!(all::<f32>(ReduceOp::Sum, &[-0.0]).to_bits(), (-0.0_f32).to_bits());
    assert_eq!(all::<f32>(ReduceOp::Sum, &[-0.0, -0.0]).to_bits(), 0);
}

#[test]
fn booleans() {
    for (dims, axis) in [([3, 40], 1), ([40, 3], 0), ([70_000, 3], 0), ([3, 70_000], 1)] {
        let n: usize = dims.iter().product();
        let x: Vec<bool> = (0..n).map(|i| i == n - 1).collect();
        let check = |op, x: Vec<bool>, expected: [bool; 3]| {
            let op = reduce(op, Some(&[axis]), false);
            let y = run(&op, &[value(&dims, x)], &[Spec::new(DType::Bool, &[3])]);
            assert_eq!(y.unwrap()[0].to_vec::<bool>().unwrap(), expected, "{dims:?}");
        };
        check(ReduceOp::Any, x.clone(), [false, false, true]);
        check(ReduceOp::All, x.iter().map(|x| !x).collect(), [true, true, false]);
    }
}

#[test]
fn refusals_say_what_to_do() {
    let f32s = |dims: &[usize]| Spec::new(DType::F32, dims);
    let refuse = |op: &Op, x: Spec, y: Spec| compile(op, &[x], &[y]).unwrap_err().to_string();
    assert_eq!(
        refuse(&reduce(ReduceOp::Sum, Some(&[2]), false), f32s(&[2, 3]), f32s(&[2])),
        "reduce_sum: axis 2 is outside a tensor of rank 2 ([2, 3])"
    );
    assert_eq!(
        refuse(&reduce(ReduceOp::Max, Some(&[0, -2]), false), f32s(&[2, 3]), f32s(&[3])),
        "reduce_max: axis -2 is named twice in [0, -2]"
    );
    assert_eq!(
        refuse(&reduce(ReduceOp::Any, None, false), f32s(&[2]), f32s(&[])),
        "reduce_any: takes bool, not f32[2]; compare it first"
    );
    let bools = |dims: &[usize]| Spec::new(DType::Bool, dims);
    assert_eq!(
        refuse(&reduce(ReduceOp::Sum, None, false), bools(&[2]), bools(&[])),
        "reduce_sum: takes numbers, not bool[2]; cast it first"
    );
    assert_eq!(
        refuse(&reduce(ReduceOp::Sum, None, false), f32s(&[2]), f32s(&[1])),
        "reduce_sum: the result is f32[], not f32[1]"
    );
    assert_eq!(
        refuse(&Op::ArgMax { axis: 1, output: DType::I64 }, f32s(&[2, 0]), Spec::new(DType::I64, &[2])),
        "argmax: axis 1 of f32[2, 0] has no elements to choose from"
    );
    assert_eq!(
        refuse(&Op::L2Loss, Spec::new(DType::I32, &[2]), Spec::new(DType::I32, &[])),
        "l2_loss: takes floats, not i32[2]; cast it first"
    );
    let like = compile(&Op::SumLike, &[f32s(&[2, 3]), f32s(&[2])], &[f32s(&[2])]).unwrap_err();
    assert_eq!(like.to_string(), "sum_like: f32[2] does not broadcast to f32[2, 3]");
}

#[test]
fn sum_like_takes_back_every_broadcast() {
    let cases: &[(&[usize], &[usize])] = &[
        (&[4, 3], &[4, 3]),
        (&[4, 3], &[3]),
        (&[4, 3], &[1, 3]),
        (&[4, 3], &[4, 1]),
        (&[4, 3], &[]),
        (&[5, 4, 3], &[4, 1]),
        (&[5, 4, 3], &[1, 4, 1]),
        (&[0, 3], &[1, 3]),
        (&[0, 3], &[3]),
        (&[1, 1], &[1]),
        (&[100, 500], &[500]),
    ];
    for (dims, like) in cases {
        let x: Vec<f32> = noise(dims.iter().product()).iter().map(|&x| x as f32).collect();
        let y = run(
            &Op::SumLike,
            &[value(dims, x.clone()), Value::zeros(DType::F32, like)],
            &[Spec::new(DType::F32, like)],
        );
        let y = y.unwrap()[0].to_vec::<f32>().unwrap();
        let missing = dims.len() - like.len();
        let axes: Vec<usize> = (0..dims.len()).filter(|&i| i < missing || like[i - missing] != dims[i]).collect();
        let (_, sets) = gather(dims, &axes, true);
        assert_eq!(y.len(), sets.len());
        for (set, y) in sets.iter().zip(y) {
            let expected: f64 = set.iter().map(|&k| f64::from(x[k])).sum();
            assert!((f64::from(y) - expected).abs() <= 1e-6 * (1.0 + set.len() as f64), "{dims:?} like {like:?}");
        }
    }
}

#[test]
fn l2_loss_is_half_the_square_sum() {
    for n in [0, 1, 3, 100, 392_000] {
        let x = noise(n);
        let narrow: Vec<f32> = x.iter().map(|&x| x as f32).collect();
        let expected: f64 = narrow.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>() / 2.0;
        let y = run(&Op::L2Loss, &[value(&[n], narrow)], &[Spec::new(DType::F32, &[])]).unwrap();
        assert!((f64::from(y[0].scalar::<f32>().unwrap()) - expected).abs() <= 1e-6 * expected, "of {n}");
        let expected: f64 = x.iter().map(|x| x * x).sum::<f64>() / 2.0;
        let y = run(&Op::L2Loss, &[value(&[n], x)], &[Spec::new(DType::F64, &[])]).unwrap();
        assert!((y[0].scalar::<f64>().unwrap() - expected).abs() <= 1e-11 * expected, "of {n}");
    }
}

fn index_of(op: &Op, x: Value, out: &[usize]) -> Vec<i64> {
    let output = if let Op::ArgMax { output, .. } | Op::ArgMin { output, .. } = op { *output } else { DType::I64 };
    let y = run(op, &[x], &[Spec::new(output, out)]).unwrap().remove(0);
    if output == DType::I32 {
        return y.to_vec::<i32>().unwrap().into_iter().map(i64::from).collect();
    }
    y.to_vec::<i64>().unwrap()
}

/// What TensorFlow 2.21 gave for the same operands, as rows and as columns.
#[test]
fn argmax_as_tensorflow() {
    const NAN: f32 = f32::NAN;
    const INF: f32 = f32::INFINITY;
    let facts: &[(&[f32], i64, i64)] = &[
        (&[NAN, 1.0, 2.0], 2, 1),
        (&[0.0, NAN, 2.0], 2, 0),
        (&[0.0, 1.0, NAN], 1, 0),
        (&[0.0, -1.0, NAN, -3.0, -4.0], 0, 4),
        (&[NAN, NAN, NAN, NAN, NAN], 0, 0),
        (&[-INF, -INF, -INF], 0, 0),
        (&[INF, INF], 0, 0),
        (&[NAN, -INF, -1.0], 2, 1),
        (&[NAN, 3.0, -INF, 5.0], 3, 2),
        (&[-INF, f32::MIN], 0, 0),
        (&[1.0, 3.0, 3.0, 1.0], 1, 0),
        (&[0.0, -0.0, 0.0], 0, 0),
        (&[7.0], 0, 0),
    ];
    for &(x, largest, smallest) in facts {
        let n = x.len();
        for output in [DType::I32, DType::I64] {
            let max = |axis| Op::ArgMax { axis, output };
            let min = |axis| Op::ArgMin { axis, output };
            let columns: Vec<f32> = x.iter().flat_map(|&x| [x, 0.0, x]).collect();
            assert_eq!(index_of(&max(0), value(&[n], x.to_vec()), &[]), [largest], "{x:?}");
            assert_eq!(index_of(&min(-1), value(&[n], x.to_vec()), &[]), [smallest], "{x:?}");
            assert_eq!(index_of(&max(0), value(&[n, 3], columns.clone()), &[3]), [largest, 0, largest], "{x:?}");
            assert_eq!(index_of(&min(0), value(&[n, 3], columns), &[3]), [smallest, 0, smallest], "{x:?}");
        }
    }
    let max = Op::ArgMax { axis: 0, output: DType::I64 };
    assert_eq!(index_of(&max, value(&[3], vec![5_u8, 5, 7]), &[]), [2]);
    assert_eq!(index_of(&max, value(&[3], vec![false, true, true]), &[]), [1]);
    assert_eq!(index_of(&max, value(&[2], vec![i32::MIN; 2]), &[]), [0]);
    assert!(index_of(&Op::ArgMax { axis: 1, output: DType::I64 }, value::<f32>(&[0, 2], vec![]), &[0]).is_empty());
}

#[test]
fn argmax_of_long_axes() {
    for dims in [[3, 2000, 1], [2, 70, 300], [1, 40_000, 3], [900, 50, 1]] {
        let n: usize = dims.iter().product();
        let x = noise(n);
        for order in [1.0, -1.0] {
            let (op, out) = match order {
                1.0 => (Op::ArgMax { axis: 1, output: DType::I32 }, [dims[0], dims[2]]),
                _ => (Op::ArgMin { axis: -2, output: DType::I32 }, [dims[0], dims[2]]),
            };
            let (_, sets) = gather(&dims, &[1], false);
            for (set, y) in sets.iter().zip(index_of(&op, value(&dims, x.clone()), &out)) {
                let best = set.iter().map(|&k| x[k] * order).fold(f64::NEG_INFINITY, f64::max);
                let expected = set.iter().position(|&k| x[k] * order == best).unwrap();
                assert_eq!(y, expected as i64, "{dims:?}");
            }
        }
    }
}

fn naive_running(op: CumulativeOp, x: &[f64], exclusive: bool, reverse: bool) -> Vec<f64> {
    let n = x.len();
    let term = |k: usize| if reverse { x[n - 1 - k] } else { x[k] };
    let mut y: Vec<f64> = (0..n)
        .map(|i| {
            let terms = (0..if exclusive { i } else { i + 1 }).map(term);
            if op == CumulativeOp::Sum { terms.sum() } else { terms.product() }
        })
        .collect();
    if reverse {
        y.reverse();
    }
    y
}

#[test]
fn running_sums_and_products() {
    for dims in [[1, 5, 1], [3, 1, 2], [2, 6, 4], [4, 3, 300], [0, 3, 2], [2, 0, 3], [70, 900, 1], [1, 1, 1]] {
        let n: usize = dims.iter().product();
        let x: Vec<f64> = noise(n).iter().map(|x| (x * 8.0).round()).collect();
        for (op, exclusive, reverse) in [
            (CumulativeOp::Sum, false, false),
            (CumulativeOp::Sum, true, false),
            (CumulativeOp::Sum, false, true),
            (CumulativeOp::Sum, true, true),
            (CumulativeOp::Prod, false, false),
            (CumulativeOp::Prod, true, true),
        ] {
            let x: Vec<f64> = if op == CumulativeOp::Sum { x.clone() } else { x.iter().map(|x| x.signum()).collect() };
            let kernel = Op::Cumulative { op, axis: 1, exclusive, reverse };
            let narrow = value(&dims, x.iter().map(|&x| x as i32).collect());
            let y = run(&kernel, &[value(&dims, x.clone())], &[Spec::new(DType::F64, &dims)]).unwrap();
            let integers = run(&kernel, &[narrow], &[Spec::new(DType::I32, &dims)]).unwrap();
            let (y, integers) = (y[0].to_vec::<f64>().unwrap(), integers[0].to_vec::<i32>().unwrap());
            for set in gather(&dims, &[1], false).1 {
                let terms: Vec<f64> = set.iter().map(|&k| x[k]).collect();
                let expected = naive_running(op, &terms, exclusive, reverse);
                assert_eq!(set.iter().map(|&k| y[k]).collect::<Vec<_>>(), expected, "{kernel:?} of {dims:?}");
                assert_eq!(set.iter().map(|&k| f64::from(integers[k])).collect::<Vec<_>>(), expected);
            }
        }
    }
}

/// What TensorFlow 2.21 gave for the same operands.
#[test]
fn running_as_tensorflow() {
    let sum = |exclusive, reverse| Op::Cumulative { op: CumulativeOp::Sum, axis: 0, exclusive, reverse };
    let y = run(&sum(false, false), &[value(&[3], vec![200_u8, 100, 50])], &[Spec::new(DType::U8, &[3])]).unwrap();
    assert_eq!(y[0].to_vec::<u8>().unwrap(), [200, 44, 94]);
    let x = vec![1.0_f32, f32::INFINITY, f32::NAN, 1.0];
    let y = run(&sum(true, false), &[value(&[4], x)], &[Spec::new(DType::F32, &[4])]).unwrap();
    let y = y[0].to_vec::<f32>().unwrap();
    assert_eq!(y[..3], [0.0, 1.0, f32::INFINITY]);
    assert!(y[3].is_nan());
    let scalar = compile(&sum(false, false), &[Spec::new(DType::F32, &[])], &[Spec::new(DType::F32, &[])]);
    assert_eq!(scalar.unwrap_err().to_string(), "cumsum: axis 0 is outside a tensor of rank 0 ([])");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_axes_of_any_shape(dims in prop::collection::vec(0_usize..7, 0..6), mask in 0_u32..64, keep_dims: bool) {
        let axes: Vec<usize> = (0..dims.len()).filter(|&i| mask >> i & 1 == 1).collect();
        check_floats(&dims, &axes, keep_dims);
        check_integers(&dims, &axes);
    }
}
