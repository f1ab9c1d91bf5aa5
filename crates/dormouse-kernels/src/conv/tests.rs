//! Kernels against the definition, in f64, over many geometries; tiles in any order, on poisoned scratch.
#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse_value::{DType, Element, Op, Padding, Window2d, Window3d};
use proptest::prelude::*;

use super::Window;
use super::geometry::{Axis, axes};
use crate::{Args, Kernel, KernelError, Spec, compile, compile_freely};

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
    run_kernel(&kernel, inputs, &output, order)
}

/// Runs a kernel of these operands, as [`run_in`].
fn run_kernel<T: Element>(
    kernel: &Kernel,
    inputs: &[(&[usize], &[T])],
    output: &Spec,
    order: Order,
) -> Result<Vec<T>, KernelError> {
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

/// Operands, results, and the terms of each result's sum.
type Defined = ([Vec<f64>; 3], [Vec<f64>; 3], [Vec<usize>; 3]);

#[derive(Clone, Copy, Debug)]
struct Case {
    images: usize,
    /// Depth, height, width; flat windows have no depth.
    size: [usize; 3],
    inputs: usize,
    taps: [usize; 3],
    outputs: usize,
    groups: usize,
    window: Window,
}

impl Case {
    fn new(images: usize, size: [usize; 2], inputs: usize, taps: [usize; 2], outputs: usize) -> Self {
        let window = Window::Flat(Window2d { strides: [1, 1], dilations: [1, 1], padding: Padding::Same });
        let front = |[a, b]: [usize; 2]| [1, a, b];
        Case { images, size: front(size), inputs, taps: front(taps), outputs, groups: 1, window }
    }

    fn deep(self, depth: usize, taps: usize, window: Window3d) -> Self {
        let [_, height, width] = self.size;
        let [_, down, across] = self.taps;
        let (size, taps) = ([depth, height, width], [taps, down, across]);
        Case { size, taps, window: Window::Deep(window), ..self }
    }

    fn window(self, window: Window2d) -> Self {
        Case { window: Window::Flat(window), ..self }
    }

    fn axes(&self) -> [Axis; 3] {
        match self.window {
            Window::Flat(Window2d { strides, dilations, padding }) => {
                let back = |[_, a, b]: [usize; 3]| [a, b];
                let [h, w] = axes("test", back(self.size), back(self.taps), [strides, dilations], padding).unwrap();
                [Axis::UNIT, h, w]
            }
            Window::Deep(Window3d { strides, dilations, padding }) => {
                axes("test", self.size, self.taps, [strides, dilations], padding).unwrap()
            }
        }
    }

    /// The extents of x, filter and y, with a depth.
    fn dims(&self) -> [[usize; 5]; 3] {
        let [deep, down, across] = self.axes();
        let ([d, h, w], [kd, kh, kw]) = (self.size, self.taps);
        [
            [self.images, d, h, w, self.inputs],
            [kd, kh, kw, self.inputs / self.groups, self.outputs],
            [self.images, deep.output, down.output, across.output, self.outputs],
        ]
    }

    /// The same, as the operations have them.
    fn own_dims(&self) -> [Vec<usize>; 3] {
        let [x, w, y] = self.dims();
        match self.window {
            Window::Flat(_) => [[&x[..1], &x[2..]].concat(), w[1..].to_vec(), [&y[..1], &y[2..]].concat()],
            Window::Deep(_) => [x.to_vec(), w.to_vec(), y.to_vec()],
        }
    }

    /// Calls `f` with the indices into x, filter and y of every product of the sum.
    fn products(&self, mut f: impl FnMut(usize, usize, usize)) {
        let axes = self.axes();
        let [x, w, y] = self.dims();
        let flat = |dims: &[usize; 5], at: [usize; 5]| at.iter().zip(dims).fold(0, |flat, (i, n)| flat * n + i);
        // Every pair of a window and a tap inside.
        let pairs = |a: usize| {
            let axis = axes[a];
            (0..axis.output).flat_map(move |o| axis.inside(o).map(move |k| (o, k, axis.cell(o, k)))).collect::<Vec<_>>()
        };
        let [deep, down, across] = [pairs(0), pairs(1), pairs(2)];
        for n in 0..self.images {
            for &(oz, kz, z) in &deep {
                for &(oy, ky, row) in &down {
                    for &(ox, kx, column) in &across {
                        for k in 0..w[3] {
                            for o in 0..self.outputs {
                                let channel = o / (self.outputs / self.groups) * w[3] + k;
                                let cell = flat(&x, [n, z, row, column, channel]);
                                f(cell, flat(&w, [kz, ky, kx, k, o]), flat(&y, [n, oz, oy, ox, o]));
                            }
                        }
                    }
                }
            }
        }
    }

    /// Operands, numbers of few bits, and what the definition gives in `f64`, with the number of terms of every sum: of the
    /// convolution and both gradients.
    fn defined(&self) -> Defined {
        let count = |dims: &[usize]| dims.iter().product::<usize>();
        let [xd, wd, yd] = &self.own_dims();
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
        ([x, w, dy], [y, dx, dw], terms)
    }

    fn ops(&self) -> [Op; 3] {
        match self.window {
            Window::Flat(w) => [Op::Conv2d(w), Op::Conv2dInputGrad(w), Op::Conv2dFilterGrad(w)],
            Window::Deep(w) => [Op::Conv3d(w), Op::Conv3dInputGrad(w), Op::Conv3dFilterGrad(w)],
        }
    }

    /// Checks the convolution and both gradients in both dtypes.
    fn check(&self) {
        let [xd, wd, yd] = &self.own_dims();
        let ([x, w, dy], expected, terms) = self.defined();
        let ops = self.ops();
        let operands = [[(xd, &x), (wd, &w)], [(yd, &dy), (wd, &w)], [(xd, &x), (yd, &dy)]];
        let results = [yd, xd, wd];
        for i in 0..3 {
            let [a, b] = &operands[i];
            let exact = run::<f64>(&ops[i], &Self::inputs(i, (a.0, a.1), (b.0, b.1), results[i]), results[i]);
            let narrow = |v: &[f64]| v.iter().map(|&x| x as f32).collect::<Vec<_>>();
            let (a32, b32) = (narrow(a.1), narrow(b.1));
            let rounded = run::<f32>(&ops[i], &Self::inputs(i, (a.0, &a32), (b.0, &b32), results[i]), results[i]);
            for (j, &want) in expected[i].iter().enumerate() {
                let scale = 1.0 + terms[i][j] as f64;
                assert!((exact[j] - want).abs() <= 1e-15 * scale, "{self:?} {:?} at {j}: {} {want}", ops[i], exact[j]);
                let got = f64::from(rounded[j]);
                assert!((got - want).abs() <= 2e-7 * scale, "{self:?} {:?} at {j}: {got} {want}", ops[i]);
            }
        }
    }

    /// Checks what may round otherwise, which must be an algorithm of Winograd's.
    fn check_freely(&self, place: usize, number: f32) {
        let [xd, wd, yd] = &self.own_dims();
        let ([x, w, dy], expected, terms) = self.defined();
        let narrow = |v: &[f64]| v.iter().map(|&x| x as f32).collect::<Vec<_>>();
        let (mut x, w, mut dy) = (narrow(&x), narrow(&w), narrow(&dy));
        if !number.is_nan() {
            x[place] = number;
            dy[place] = number;
        }
        for i in 0..3 {
            let (a, b) = [((xd, &x), (wd, &w)), ((yd, &dy), (wd, &w)), ((xd, &x), (yd, &dy))][i];
            let result = [yd, xd, wd][i];
            let inputs = Self::inputs(i, (a.0, a.1), (b.0, b.1), result);
            let specs: Vec<Spec> = inputs.iter().map(|(dims, _)| Spec::new(DType::F32, dims)).collect();
            let output = Spec::new(DType::F32, result);
            let kernel = compile_freely(&self.ops()[i], &specs, std::slice::from_ref(&output)).unwrap();
            assert!(format!("{:?}", kernel.body).contains("Pairs"), "{self:?}: op {i} is computed by the definition");
            let run = |order| run_kernel(&kernel, &inputs, &output, order).unwrap();
            let got = run(Order::Forward);
            for order in [Order::Backward, Order::Alternating] {
                assert!(got.iter().zip(run(order)).all(|(a, b)| a.to_bits() == b.to_bits()), "{self:?} {i} {order:?}");
            }
            let defined = run_in(&self.ops()[i], &inputs, result, Order::Forward).unwrap();
            for (j, &want) in expected[i].iter().enumerate() {
                let (got, defined) = (got[j], f64::from(defined[j]));
                // Errors are in proportion to the terms' magnitude, and add as random numbers do.
                let most = 2e-5 * (1.0 + terms[i][j] as f64).sqrt();
                if number.is_nan() {
                    assert!((f64::from(got) - want).abs() <= most, "{self:?} {i} at {j}: {got} {want}");
                } else {
                    let alike = got.is_nan() == defined.is_nan() && got.is_finite() == defined.is_finite();
                    assert!(alike, "{self:?} {i} at {j}: {got} {defined}");
                }
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
    for padding in [Padding::Same, Padding::Valid, Padding::Explicit([[2, 0], [1, 6]])] {
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
                        Case::new(2, size, inputs, taps, outputs).window(window).check();
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
    Case::new(2, [2, 4], 2, [3, 2], 3).window(valid).check();
}

#[test]
fn bands_and_groups() {
    // Enough work for several bands an image, several images a tile, and several groups of partial filters.
    Case::new(1, [40, 24], 16, [3, 3], 24).check();
    Case::new(40, [4, 4], 3, [3, 3], 4).check();
    let window = Window2d { strides: [2, 2], dilations: [1, 1], padding: Padding::Same };
    Case::new(3, [41, 30], 8, [5, 3], 16).window(window).check();
}

#[test]
fn what_may_round_otherwise_is_near() {
    let valid = Window2d { strides: [1, 1], dilations: [1, 1], padding: Padding::Valid };
    let apart = Window2d { padding: Padding::Explicit([[2, 0], [1, 2]]), ..valid };
    for (images, size, inputs, taps, outputs) in
        [(7, [14, 14], 32, [5, 5], 16), (40, [8, 8], 16, [3, 3], 48), (3, [23, 31], 16, [3, 3], 32)]
    {
        Case::new(images, size, inputs, taps, outputs).check_freely(0, f32::NAN);
        let larger = [size[0] + taps[0] - 1, size[1] + taps[1] - 1];
        Case::new(images, larger, inputs, taps, outputs).window(valid).check_freely(0, f32::NAN);
        Case::new(images, larger, inputs, taps, outputs).window(apart).check_freely(0, f32::NAN);
    }
}

#[test]
fn infinities_and_overflow_stay_where_the_definition_has_them() {
    for (number, place) in [(f32::INFINITY, 0), (f32::MAX, 1234), (-f32::INFINITY, 3000)] {
        Case::new(7, [14, 14], 16, [5, 5], 16).check_freely(place, number);
        Case::new(16, [8, 9], 16, [3, 3], 32).check_freely(place, number);
    }
}

#[test]
fn channels_in_groups() {
    let same = Window2d { strides: [2, 1], dilations: [1, 1], padding: Padding::Same };
    for (inputs, outputs, groups) in [(4, 4, 4), (6, 3, 3), (4, 40, 2), (34, 17, 17), (40, 36, 2), (3, 3, 1)] {
        for (taps, size) in [([3, 2], [4, 5]), ([1, 1], [3, 3]), ([2, 2], [1, 1])] {
            Case { groups, ..Case::new(2, size, inputs, taps, outputs).window(same) }.check();
        }
    }
    Case { groups: 4, ..Case::new(1, [30, 24], 16, [3, 3], 24) }.check();
}

#[test]
fn images_with_a_depth() {
    for padding in [Padding::Same, Padding::Valid] {
        for (strides, dilations) in
            [([1, 1, 1], [1, 1, 1]), ([2, 1, 3], [1, 2, 1]), ([1, 2, 2], [2, 1, 1]), ([3, 3, 1], [1, 1, 1])]
        {
            let window = Window3d { strides, dilations, padding };
            for (depth, size, deep, taps) in [
                (4, [3, 5], 3, [2, 3]),
                (1, [4, 4], 1, [3, 3]),
                (5, [1, 1], 2, [1, 1]),
                (2, [3, 3], 4, [2, 2]),
                (6, [2, 7], 1, [1, 2]),
            ] {
                for (inputs, outputs, groups) in [(1, 1, 1), (3, 17, 1), (4, 6, 2)] {
                    Case { groups, ..Case::new(2, size, inputs, taps, outputs).deep(depth, deep, window) }.check();
                }
            }
        }
    }
    let window = Window3d { strides: [1, 2, 1], dilations: [1, 1, 1], padding: Padding::Same };
    Case::new(1, [24, 20], 8, [3, 3], 16).deep(9, 3, window).check();
    Case::new(40, [3, 3], 2, [2, 2], 3).deep(3, 2, window).check();
    Case::new(2, [3, 4], 2, [3, 2], 3).deep(0, 2, window).check();
    Case::new(0, [3, 4], 2, [3, 2], 3).deep(2, 2, window).check();
    let far = Window3d { strides: [1, 1, 1], dilations: [1 << 31, 1, 1], padding: Padding::Same };
    Case::new(1, [3, 3], 2, [2, 2], 2).deep(3, 3, far).check();
    let apart = Window3d { strides: [u32::MAX, 1, 5], dilations: [1, 1, 1], padding: Padding::Same };
    Case::new(1, [3, 3], 2, [2, 2], 2).deep(3, 3, apart).check();
}

#[test]
fn windows_in_padding_alone() {
    for cells in [[[3, 4], [5, 6]], [[9, 0], [0, 9]], [[0, 0], [0, 0]]] {
        for (strides, dilations) in [([1, 1], [1, 1]), ([2, 3], [1, 1]), ([1, 2], [2, 3])] {
            let window = Window2d { strides, dilations, padding: Padding::Explicit(cells) };
            Case::new(2, [4, 5], 3, [2, 3], 4).window(window).check();
        }
    }
}

#[test]
fn taps_far_outside_cost_nothing() {
    let window = Window2d { strides: [1, 1], dilations: [1 << 31, 1 << 31], padding: Padding::Same };
    Case::new(1, [3, 3], 2, [3, 3], 2).window(window).check();
    Case::new(1, [3, 3], 2, [2, 2], 2).window(window).check();
    let window = Window2d { strides: [u32::MAX, 7], dilations: [1, 1], padding: Padding::Same };
    Case::new(2, [3, 9], 2, [3, 3], 2).window(window).check();
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
        "conv2d: images f32[2, 5, 5, 3] have 3 channels, filter f32[3, 3, 4, 8] takes 4 and gives 8; the first must be \
         whole groups of the second, as many as divide the third"
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
        cells in [[0_u32..5, 0..5], [0..5, 0..5]],
        rule in 0_usize..3,
        groups in 1_usize..4,
    ) {
        let padding = [Padding::Same, Padding::Valid, Padding::Explicit(cells)][rule];
        let window = Window2d { strides, dilations, padding };
        let [inputs, outputs] = channels.map(|n| n.next_multiple_of(groups));
        Case { groups, ..Case::new(images, size, inputs, taps, outputs).window(window) }.check();
    }
}
