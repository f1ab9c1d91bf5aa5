//! Kernels against the definition, in f64, over many geometries; tiles in any order, on poisoned scratch.
#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse_value::{DType, Element, Op, Padding, Window2d};
use proptest::prelude::*;

use super::geometry::Axis;
use crate::{Args, KernelError, Spec, compile};

/// How the tiles of a phase are run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Forward,
    Backward,
    /// By two workers, each with scratch of its own.
    Alternating,
}

/// Scratch, aligned as kernels may expect it.
#[repr(align(64))]
#[derive(Clone)]
struct Line(#[expect(dead_code, reason = "read through pointers")] [u8; 64]);

/// Computes `op` with every scratch byte poisoned before each tile.
pub(crate) fn run_in<T: Element>(
    op: &Op,
    inputs: &[(&[usize], &[T])],
    result: &[usize],
    order: Order,
) -> Result<Vec<T>, KernelError> {
    let specs: Vec<Spec> = inputs.iter().map(|(dims, _)| Spec::new(T::DTYPE, dims)).collect();
    for (spec, (_, data)) in specs.iter().zip(inputs) {
        assert!(data.is_empty() || spec.len() == data.len(), "{spec}");
    }
    let output = Spec::new(T::DTYPE, result);
    let kernel = compile(op, &specs, std::slice::from_ref(&output))?;
    let lines = |bytes: usize| vec![Line([0xFF; 64]); bytes.div_ceil(64) + 1];
    let mut shared = lines(kernel.shared);
    let mut locals = [lines(kernel.local), lines(kernel.local)];
    let mut results = vec![T::default(); output.len()];
    let pointers: Vec<*const u8> = inputs.iter().map(|(_, data)| data.as_ptr().cast()).collect();
    let outputs = [results.as_mut_ptr().cast::<u8>()];
    // SAFETY: any bytes are elements of the types tested; results must all be written.
    unsafe { std::ptr::write_bytes(outputs[0], 0xA5, output.bytes()) };
    for (phase, &tiles) in kernel.phases.iter().enumerate() {
        assert!(tiles > 0);
        for i in 0..tiles {
            let (tile, worker) = match order {
                Order::Forward => (i, 0),
                Order::Backward => (tiles - 1 - i, 0),
                Order::Alternating => (if i % 2 == 0 { i / 2 } else { tiles - 1 - i / 2 }, i % 2),
            };
            let local = &mut locals[worker];
            local.fill(Line([0xFF; 64]));
            let args = Args {
                inputs: &pointers,
                outputs: &outputs,
                shared: shared.as_mut_ptr().cast(),
                local: local.as_mut_ptr().cast(),
            };
            // SAFETY: buffers of the specs; each tile once, phases in order.
            unsafe { kernel.body.run(&args, phase, tile)? };
        }
    }
    Ok(results)
}

/// Computes `op` in three orders of tiles, which must agree to the bit.
pub(crate) fn run<T: Element>(op: &Op, inputs: &[(&[usize], &[T])], result: &[usize]) -> Vec<T> {
    let first = run_in(op, inputs, result, Order::Forward).unwrap();
    for order in [Order::Backward, Order::Alternating] {
        let again = run_in(op, inputs, result, order).unwrap();
        assert!(first.iter().zip(&again).all(|(a, b)| bytes(a) == bytes(b)), "{op:?} {order:?}");
    }
    first
}

fn bytes<T: Element>(x: &T) -> Vec<u8> {
    // SAFETY: elements are plain data without padding.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(x).cast::<u8>(), size_of::<T>()) }.to_vec()
}

/// Numbers in −1 ..= 1 with few bits, by a linear congruence.
pub(crate) fn numbers(len: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) % 2001) as f64 / 1000.0 - 1.0
        })
        .collect()
}

#[derive(Clone, Copy, Debug)]
struct Case {
    images: usize,
    size: [usize; 2],
    inputs: usize,
    taps: [usize; 2],
    outputs: usize,
    window: Window2d,
}

impl Case {
    fn new(images: usize, size: [usize; 2], inputs: usize, taps: [usize; 2], outputs: usize) -> Self {
        let window = Window2d { strides: [1, 1], dilations: [1, 1], padding: Padding::Same };
        Case { images, size, inputs, taps, outputs, window }
    }

    fn axes(&self) -> [Axis; 2] {
        super::axes("test", self.size, self.taps, &self.window).unwrap()
    }

    fn dims(&self) -> [[usize; 4]; 3] {
        let [down, across] = self.axes();
        [
            [self.images, self.size[0], self.size[1], self.inputs],
            [self.taps[0], self.taps[1], self.inputs, self.outputs],
            [self.images, down.output, across.output, self.outputs],
        ]
    }

    /// Calls `f` with the indices into x, filter and y of every product of the sum.
    fn products(&self, mut f: impl FnMut(usize, usize, usize)) {
        let [down, across] = self.axes();
        let [x, w, y] = self.dims();
        for n in 0..self.images {
            for (r, c) in (0..down.output).flat_map(|r| (0..across.output).map(move |c| (r, c))) {
                for i in down.inside(r) {
                    for j in across.inside(c) {
                        for k in 0..self.inputs {
                            for o in 0..self.outputs {
                                let cell = ((n * x[1] + down.cell(r, i)) * x[2] + across.cell(c, j)) * x[3] + k;
                                let tap = ((i * w[1] + j) * w[2] + k) * w[3] + o;
                                f(cell, tap, ((n * y[1] + r) * y[2] + c) * y[3] + o);
                            }
                        }
                    }
                }
            }
        }
    }

    /// Checks the convolution and both gradients in both dtypes.
    fn check(&self) {
        let [xd, wd, yd] = self.dims();
        let count = |dims: [usize; 4]| dims.iter().product::<usize>();
        let (x, w, dy) = (numbers(count(xd), 1), numbers(count(wd), 2), numbers(count(yd), 3));
        let (mut y, mut dx, mut dw) = (vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; w.len()]);
        let mut terms = [vec![0_usize; dy.len()], vec![0; x.len()], vec![0; w.len()]];
        self.products(|a, b, c| {
            y[c] += x[a] * w[b];
            dx[a] += dy[c] * w[b];
            dw[b] += dy[c] * x[a];
            terms[0][c] += 1;
            terms[1][a] += 1;
            terms[2][b] += 1;
        });
        let ops = [Op::Conv2d(self.window), Op::Conv2dInputGrad(self.window), Op::Conv2dFilterGrad(self.window)];
        let expected = [y, dx, dw];
        let operands = [[(xd, &x), (wd, &w)], [(yd, &dy), (wd, &w)], [(xd, &x), (yd, &dy)]];
        let results = [yd, xd, wd];
        for i in 0..3 {
            let [a, b] = &operands[i];
            let exact = run::<f64>(&ops[i], &Self::inputs(i, (&a.0, a.1), (&b.0, b.1), &results[i]), &results[i]);
            let narrow = |v: &[f64]| v.iter().map(|&x| x as f32).collect::<Vec<_>>();
            let (a32, b32) = (narrow(a.1), narrow(b.1));
            let rounded = run::<f32>(&ops[i], &Self::inputs(i, (&a.0, &a32), (&b.0, &b32), &results[i]), &results[i]);
            for (j, &want) in expected[i].iter().enumerate() {
                let scale = 1.0 + terms[i][j] as f64;
                assert!((exact[j] - want).abs() <= 1e-15 * scale, "{self:?} {:?} at {j}: {} {want}", ops[i], exact[j]);
                let got = f64::from(rounded[j]);
                assert!((got - want).abs() <= 2e-7 * scale, "{self:?} {:?} at {j}: {got} {want}", ops[i]);
            }
        }
    }

    /// The operands of op `i`; those after the first two give their shape only.
    fn inputs<'a, T>(
        i: usize,
        a: (&'a [usize], &'a [T]),
        b: (&'a [usize], &'a [T]),
        like: &'a [usize],
    ) -> Vec<(&'a [usize], &'a [T])> {
        if i == 0 { vec![a, b] } else { vec![a, b, (like, &[])] }
    }
}

#[test]
fn geometries() {
    for padding in [Padding::Same, Padding::Valid] {
        for strides in [[1, 1], [2, 2], [3, 1], [1, 4]] {
            for dilations in [[1, 1], [2, 2], [1, 3]] {
                for (size, taps) in [
                    ([5, 7], [3, 3]),
                    ([6, 4], [2, 5]),
                    ([1, 1], [1, 1]),
                    ([4, 4], [1, 1]),
                    ([3, 3], [5, 4]),
                    ([9, 2], [4, 2]),
                ] {
                    for (inputs, outputs) in [(1, 1), (3, 5), (2, 17)] {
                        let window = Window2d { strides, dilations, padding };
                        Case { window, ..Case::new(2, size, inputs, taps, outputs) }.check();
                    }
                }
            }
        }
    }
}

#[test]
fn channels_around_a_panel() {
    for (inputs, outputs) in [(1, 15), (1, 16), (16, 1), (17, 33), (33, 8), (7, 9), (0, 3), (3, 0)] {
        Case::new(1, [3, 4], inputs, [3, 2], outputs).check();
    }
}

#[test]
fn empty_extents() {
    Case::new(0, [3, 4], 2, [3, 2], 3).check();
    Case::new(2, [0, 4], 2, [3, 2], 3).check();
    let valid = Window2d { strides: [1, 1], dilations: [1, 1], padding: Padding::Valid };
    Case { window: valid, ..Case::new(2, [2, 4], 2, [3, 2], 3) }.check();
}

#[test]
fn bands_and_groups() {
    // Enough work for several bands an image, several images a tile, and several groups of partial filters.
    Case::new(1, [40, 24], 16, [3, 3], 24).check();
    Case::new(40, [4, 4], 3, [3, 3], 4).check();
    let window = Window2d { strides: [2, 2], dilations: [1, 1], padding: Padding::Same };
    Case { window, ..Case::new(3, [41, 30], 8, [5, 3], 16) }.check();
}

#[test]
fn taps_far_outside_cost_nothing() {
    let window = Window2d { strides: [1, 1], dilations: [1 << 31, 1 << 31], padding: Padding::Same };
    Case { window, ..Case::new(1, [3, 3], 2, [3, 3], 2) }.check();
    Case { window, ..Case::new(1, [3, 3], 2, [2, 2], 2) }.check();
    let window = Window2d { strides: [u32::MAX, 7], dilations: [1, 1], padding: Padding::Same };
    Case { window, ..Case::new(2, [3, 9], 2, [3, 3], 2) }.check();
}

#[test]
fn non_finite_padding_does_not_leak() {
    // 0 · ∞ is NaN: the filter's infinity meets the zeros of the border, as it does in TensorFlow.
    let op = Op::Conv2d(Window2d { strides: [1, 1], dilations: [1, 1], padding: Padding::Valid });
    let y = run(&op, &[(&[1, 1, 2, 1], &[1.0_f32, 2.0]), (&[1, 1, 1, 1], &[f32::INFINITY])], &[1, 1, 2, 1]);
    assert_eq!(y, [f32::INFINITY; 2]);
}

/// The course's 6.1: a 2 × 2 filter over a 3 × 3 matrix by strides of 2, before the bias of 1.
#[test]
fn course_6_1() {
    let x = [1.0_f32, -1.0, 0.0, -1.0, 2.0, 1.0, 0.0, 2.0, -2.0];
    let op = Op::Conv2d(Window2d { strides: [2, 2], dilations: [1, 1], padding: Padding::Same });
    let y = run(&op, &[(&[1, 3, 3, 1], &x), (&[2, 2, 1, 1], &[1.0, -1.0, 0.0, 2.0])], &[1, 2, 2, 1]);
    assert_eq!(y, [6.0, 0.0, -2.0, -2.0]);
}

#[test]
fn mistakes_are_errors() {
    let window = Window2d { strides: [1, 1], dilations: [1, 1], padding: Padding::Same };
    let f = |dims: &[usize]| Spec::new(DType::F32, dims);
    let message = |op: &Op, inputs: &[Spec], output: Spec| compile(op, inputs, &[output]).unwrap_err().to_string();
    let conv = Op::Conv2d(window);
    let x = || f(&[2, 5, 5, 3]);
    assert_eq!(
        message(&conv, &[x(), f(&[3, 3, 4, 8])], f(&[2, 5, 5, 8])),
        "conv2d: images f32[2, 5, 5, 3] have 3 channels, but filter f32[3, 3, 4, 8] takes 4; its third extent must be 3"
    );
    assert!(message(&conv, &[f(&[5, 5, 3]), f(&[3, 3, 3, 8])], f(&[2, 5, 5, 8])).contains("must have 4 axes"));
    assert!(message(&conv, &[x(), f(&[3, 3, 3, 8])], f(&[2, 3, 3, 8])).contains("are [2, 5, 5, 8], not [2, 3, 3, 8]"));
    assert!(message(&conv, &[x(), f(&[0, 3, 3, 8])], f(&[2, 5, 5, 8])).contains("covers nothing"));
    assert!(message(&conv, &[x()], f(&[2, 5, 5, 8])).contains("takes 2 operands"));
    let ints = Spec::new(DType::I32, &[2, 5, 5, 3]);
    assert!(message(&conv, &[ints, f(&[3, 3, 3, 8])], f(&[2, 5, 5, 8])).contains("must all be f32 or all f64"));
    let still = Op::Conv2d(Window2d { strides: [0, 1], ..window });
    assert!(message(&still, &[x(), f(&[3, 3, 3, 8])], f(&[2, 5, 5, 8])).contains("must be at least 1"));
    let grad = Op::Conv2dInputGrad(window);
    let operands = [f(&[2, 5, 5, 8]), f(&[3, 3, 3, 8]), f(&[2, 6, 5, 3])];
    assert!(message(&grad, &operands, x()).contains("must be alike"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_geometry(
        images in 0_usize..4,
        size in [1_usize..12, 1..12],
        taps in [1_usize..6, 1..6],
        channels in [1_usize..20, 1..20],
        strides in [1_u32..5, 1..5],
        dilations in [1_u32..4, 1..4],
        valid in any::<bool>(),
    ) {
        let padding = if valid { Padding::Valid } else { Padding::Same };
        let window = Window2d { strides, dilations, padding };
        Case { window, ..Case::new(images, size, channels[0], taps, channels[1]) }.check();
    }
}
