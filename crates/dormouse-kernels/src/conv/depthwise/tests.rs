//! Depthwise kernels against the definition, in f64, over many geometries; tiles in any order, on poisoned scratch.
#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse_value::{Op, Padding};
use proptest::prelude::*;

use super::*;
use crate::compile as compile_op;
use crate::conv::tests::{numbers, run};

#[derive(Clone, Copy, Debug)]
struct Case {
    images: usize,
    size: [usize; 2],
    channels: usize,
    taps: [usize; 2],
    times: usize,
    window: Window2d,
}

impl Case {
    fn new(images: usize, size: [usize; 2], channels: usize, taps: [usize; 2], times: usize) -> Self {
        let window = Window2d { strides: [1, 1], dilations: [1, 1], padding: Padding::Same };
        Case { images, size, channels, taps, times, window }
    }

    fn axes(&self) -> [Axis; 2] {
        let Window2d { strides, dilations, padding } = self.window;
        axes("test", self.size, self.taps, [strides, dilations], padding).unwrap()
    }

    fn dims(&self) -> [[usize; 4]; 3] {
        let [down, across] = self.axes();
        let [kh, kw] = self.taps;
        [
            [self.images, self.size[0], self.size[1], self.channels],
            [kh, kw, self.channels, self.times],
            [self.images, down.output, across.output, self.channels * self.times],
        ]
    }

    /// Calls `f` with the indices into x, filter and y of every product of the sum.
    fn products(&self, mut f: impl FnMut(usize, usize, usize)) {
        let [down, across] = self.axes();
        let [x, w, y] = self.dims();
        for n in 0..self.images {
            for (r, c) in (0..down.output).flat_map(|r| (0..across.output).map(move |c| (r, c))) {
                for (i, j) in down.inside(r).flat_map(|i| across.inside(c).map(move |j| (i, j))) {
                    for lane in 0..y[3] {
                        let cell = (n * x[1] + down.cell(r, i)) * x[2] + across.cell(c, j);
                        let place = (n * y[1] + r) * y[2] + c;
                        f(cell * x[3] + lane / self.times, (i * w[1] + j) * y[3] + lane, place * y[3] + lane);
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
        let ops = [
            Op::DepthwiseConv2d(self.window),
            Op::DepthwiseConv2dInputGrad(self.window),
            Op::DepthwiseConv2dFilterGrad(self.window),
        ];
        let expected = [y, dx, dw];
        let operands = [[(xd, &x), (wd, &w)], [(yd, &dy), (wd, &w)], [(xd, &x), (yd, &dy)]];
        let results = [yd, xd, wd];
        for (i, op) in ops.iter().enumerate() {
            let [a, b] = &operands[i];
            let narrow = |v: &[f64]| v.iter().map(|&x| x as f32).collect::<Vec<_>>();
            let (a32, b32) = (narrow(a.1), narrow(b.1));
            let mut exact: Vec<(&[usize], &[f64])> = vec![(&a.0, a.1), (&b.0, b.1)];
            let mut rounded: Vec<(&[usize], &[f32])> = vec![(&a.0, &a32), (&b.0, &b32)];
            if i > 0 {
                exact.push((&results[i], &[]));
                rounded.push((&results[i], &[]));
            }
            let (exact, rounded) = (run(op, &exact, &results[i]), run(op, &rounded, &results[i]));
            for (j, &want) in expected[i].iter().enumerate() {
                let scale = 1.0 + terms[i][j] as f64;
                assert!((exact[j] - want).abs() <= 1e-15 * scale, "{self:?} {op:?} at {j}: {} {want}", exact[j]);
                let got = f64::from(rounded[j]);
                assert!((got - want).abs() <= 2e-7 * scale, "{self:?} {op:?} at {j}: {got} {want}");
            }
        }
    }
}

#[test]
fn channels_around_a_strip() {
    for (channels, times) in
        [(1, 1), (3, 1), (15, 1), (16, 1), (17, 1), (33, 1), (1, 5), (3, 2), (5, 7), (2, 20), (8, 4)]
    {
        Case::new(2, [4, 5], channels, [3, 2], times).check();
    }
}

#[test]
fn empty_extents() {
    for case in
        [Case::new(0, [3, 4], 2, [3, 2], 3), Case::new(2, [0, 4], 2, [3, 2], 3), Case::new(2, [3, 4], 0, [3, 2], 3)]
    {
        case.check();
    }
    let window = Window2d { strides: [1, 1], dilations: [1, 1], padding: Padding::Same };
    let (dy, filter, like) = ([1, 2, 2, 0], [1, 1, 3, 0], [1, 2, 2, 3]);
    let operands: [(&[usize], &[f32]); 3] = [(&dy, &[]), (&filter, &[]), (&like, &[])];
    assert_eq!(run(&Op::DepthwiseConv2dInputGrad(window), &operands, &like), [0.0; 12]);
}

#[test]
fn sources_read_in_place() {
    // Lanes are whole strips of either dtype.
    for padding in [Padding::Same, Padding::Valid, Padding::Explicit([[3, 1], [0, 4]])] {
        for (strides, dilations) in [([1, 1], [1, 1]), ([2, 3], [1, 1]), ([1, 1], [2, 3]), ([3, 2], [2, 1])] {
            for (size, taps) in [([6, 17], [3, 3]), ([4, 3], [2, 5]), ([9, 8], [1, 1]), ([2, 2], [4, 3])] {
                let window = Window2d { strides, dilations, padding };
                Case { window, ..Case::new(2, size, 16, taps, 1) }.check();
                Case { window, ..Case::new(1, size, 48, taps, 1) }.check();
            }
        }
    }
}

#[test]
fn bands_and_groups() {
    Case::new(1, [70, 40], 32, [3, 3], 1).check();
    Case::new(40, [4, 4], 3, [3, 3], 2).check();
    let window = Window2d { strides: [2, 2], dilations: [1, 1], padding: Padding::Same };
    Case { window, ..Case::new(3, [61, 50], 24, [5, 3], 2) }.check();
    let far = Window2d { strides: [1, 1], dilations: [1 << 31, 1 << 31], padding: Padding::Same };
    Case { window: far, ..Case::new(1, [3, 3], 2, [3, 3], 2) }.check();
}

#[test]
fn mistakes_are_errors() {
    let window = Window2d { strides: [1, 1], dilations: [1, 1], padding: Padding::Same };
    let f = |dims: &[usize]| Spec::new(DType::F32, dims);
    let message = |inputs: &[Spec], output: Spec| {
        compile_op(&Op::DepthwiseConv2d(window), inputs, &[output]).unwrap_err().to_string()
    };
    let told = message(&[f(&[2, 5, 5, 3]), f(&[3, 3, 4, 2])], f(&[2, 5, 5, 6]));
    assert!(told.contains("have 3 channels") && told.contains("filters for 4"), "{told}");
    assert!(message(&[f(&[2, 5, 5, 3]), f(&[3, 3, 3, 2])], f(&[2, 5, 5, 3])).contains("are [2, 5, 5, 6]"));
    assert!(message(&[f(&[2, 5, 5, 3])], f(&[2, 5, 5, 6])).contains("takes 2 operands"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_geometry(
        images in 0_usize..4,
        size in [1_usize..12, 1..12],
        taps in [1_usize..6, 1..6],
        channels in 1_usize..20,
        times in 1_usize..6,
        strides in [1_u32..5, 1..5],
        dilations in [1_u32..4, 1..4],
        cells in [[0_u32..5, 0..5], [0..5, 0..5]],
        rule in 0_usize..3,
    ) {
        let padding = [Padding::Same, Padding::Valid, Padding::Explicit(cells)][rule];
        let window = Window2d { strides, dilations, padding };
        Case { window, ..Case::new(images, size, channels, taps, times) }.check();
    }
}
