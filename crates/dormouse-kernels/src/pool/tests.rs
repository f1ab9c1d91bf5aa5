//! Pools against the definition, bit for bit, over many geometries; tiles in any order.
#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse_value::{Op, Padding};
use proptest::prelude::*;

use super::*;
use crate::compile as compile_op;
use crate::conv::tests::{numbers, run};

#[derive(Clone, Copy, Debug)]
struct Case {
    images: usize,
    extents: [usize; 2],
    channels: usize,
    size: [u32; 2],
    window: Window2d,
}

impl Case {
    fn new(images: usize, extents: [usize; 2], channels: usize, size: [u32; 2], strides: [u32; 2]) -> Self {
        let window = Window2d { strides, dilations: [1, 1], padding: Padding::Same };
        Case { images, extents, channels, size, window }
    }

    fn axes(&self) -> [Axis; 2] {
        axes(
            "test",
            self.extents,
            self.size.map(|n| n as usize),
            [self.window.strides, self.window.dilations],
            self.window.padding,
        )
        .unwrap()
    }

    fn dims(&self) -> [[usize; 4]; 2] {
        let [down, across] = self.axes();
        let of = |[h, w]: [usize; 2]| [self.images, h, w, self.channels];
        [of(self.extents), of([down.output, across.output])]
    }

    /// For each result element its cells' places, in order.
    fn windows(&self) -> Vec<Vec<usize>> {
        let [down, across] = self.axes();
        let [x, y] = self.dims();
        let mut all = Vec::new();
        for n in 0..y[0] {
            for (r, c) in (0..y[1]).flat_map(|r| (0..y[2]).map(move |c| (r, c))) {
                for k in 0..y[3] {
                    let cell = |i, j| ((n * x[1] + down.cell(r, i)) * x[2] + across.cell(c, j)) * x[3] + k;
                    all.push(down.inside(r).flat_map(|i| across.inside(c).map(move |j| cell(i, j))).collect());
                }
            }
        }
        all
    }

    fn op(&self, op: PoolOp) -> Op {
        Op::Pool2d { op, size: self.size, window: self.window }
    }

    /// Checks all five operations, in a float type that `narrow` makes of f64.
    fn check<T: Float>(&self, narrow: impl Fn(f64) -> T + Copy) {
        let [xd, yd] = self.dims();
        let count = |dims: [usize; 4]| dims.iter().product::<usize>();
        // Few different numbers, so that windows have equals.
        let x: Vec<T> = numbers(count(xd), 1).into_iter().map(|x| narrow((x * 6.0).round() / 4.0)).collect();
        let d: Vec<T> = numbers(count(xd), 2).into_iter().map(narrow).collect();
        let dy: Vec<T> = numbers(count(yd), 3).into_iter().map(narrow).collect();
        let windows = self.windows();
        let first_largest = |cells: &[usize]| {
            cells.iter().copied().reduce(|best, cell| if x[best] < x[cell] { cell } else { best }).unwrap()
        };
        let Case { size, window, .. } = *self;

        let largest: Vec<T> = windows.iter().map(|cells| x[first_largest(cells)]).collect();
        assert_eq!(run(&self.op(PoolOp::Max), &[(&xd, &x)], &yd), largest, "{self:?}");

        let mean = |cells: &Vec<usize>| cells.iter().fold(T::ZERO, |sum, &i| sum + x[i]) / T::of(cells.len());
        let means: Vec<T> = windows.iter().map(mean).collect();
        assert_eq!(run(&self.op(PoolOp::Average), &[(&xd, &x)], &yd), means, "{self:?}");

        let (mut dx, mut spread) = (vec![T::ZERO; x.len()], vec![T::ZERO; x.len()]);
        for (cells, &dy) in windows.iter().zip(&dy) {
            let at = first_largest(cells);
            dx[at] = dx[at] + dy;
            for &i in cells {
                spread[i] = spread[i] + dy * (T::ONE / T::of(cells.len()));
            }
        }
        let operands: [(&[usize], &[T]); 3] = [(&xd, &x), (&yd, &largest), (&yd, &dy)];
        assert_eq!(run(&Op::MaxPoolGrad { size, window }, &operands, &xd), dx, "{self:?}");
        assert_eq!(run(&Op::AveragePoolGrad { size, window }, &[(&yd, &dy), (&xd, &[])], &xd), spread, "{self:?}");

        let chosen: Vec<T> = windows.iter().map(|cells| d[first_largest(cells)]).collect();
        let operands: [(&[usize], &[T]); 3] = [(&xd, &x), (&yd, &largest), (&xd, &d)];
        assert_eq!(run(&Op::MaxPoolGradGrad { size, window }, &operands, &yd), chosen, "{self:?}");
    }

    fn check_both(&self) {
        self.check::<f32>(|x| x as f32);
        self.check::<f64>(|x| x);
    }

    fn valid(self) -> Self {
        Case { window: Window2d { padding: Padding::Valid, ..self.window }, ..self }
    }
}

#[test]
fn geometries() {
    for size in [[2, 2], [1, 1], [3, 3], [3, 2], [1, 4], [5, 5]] {
        for strides in [[1, 1], [2, 2], [3, 1], [2, 5]] {
            for extents in [[1, 1], [4, 4], [5, 7], [6, 3], [9, 2]] {
                for channels in [1, 3, 8] {
                    let case = Case::new(2, extents, channels, size, strides);
                    case.check_both();
                    case.valid().check_both();
                }
            }
        }
    }
}

#[test]
fn channels_around_a_vector_and_the_lanes() {
    for channels in [7, 9, 31, 32, 33, 65] {
        Case::new(1, [5, 4], channels, [2, 2], [2, 2]).check_both();
        Case::new(1, [5, 4], channels, [3, 3], [2, 2]).check_both();
    }
}

#[test]
fn bands_and_images_that_share_a_tile() {
    Case::new(2, [61, 40], 32, [2, 2], [2, 2]).check_both();
    Case::new(1, [61, 40], 32, [5, 3], [2, 1]).check_both();
    Case::new(1, [83, 50], 16, [3, 3], [3, 3]).valid().check_both();
    Case::new(40, [4, 4], 8, [2, 2], [2, 2]).check_both();
    Case::new(70, [3, 3], 33, [2, 2], [1, 1]).check_both();
}

#[test]
fn cells_of_padding_are_passed_over() {
    for cells in [[[1, 0], [0, 1]], [[1, 1], [1, 1]], [[2, 1], [1, 2]]] {
        for strides in [[1, 1], [2, 3], [3, 3]] {
            let window = Window2d { strides, dilations: [1, 1], padding: Padding::Explicit(cells) };
            Case { window, ..Case::new(2, [7, 6], 3, [3, 3], strides) }.check_both();
        }
    }
}

#[test]
fn empty_extents() {
    for case in [
        Case::new(0, [4, 4], 2, [2, 2], [2, 2]),
        Case::new(2, [0, 4], 2, [2, 2], [2, 2]),
        Case::new(2, [4, 0], 2, [2, 2], [2, 2]),
        Case::new(2, [4, 4], 0, [2, 2], [2, 2]),
        Case::new(2, [2, 4], 2, [3, 3], [1, 1]).valid(),
        Case::new(2, [4, 2], 2, [3, 3], [1, 1]).valid(),
    ] {
        case.check_both();
    }
}

#[test]
fn windows_and_strides_beyond_the_image() {
    Case::new(2, [3, 5], 3, [u32::MAX, 9], [2, 1]).check_both();
    Case::new(2, [3, 5], 3, [2, 2], [u32::MAX, 7]).check_both();
    Case::new(2, [3, 5], 3, [2, 2], [u32::MAX, 7]).valid().check_both();
}

/// A pool of one window over `x`, and its gradients of 1 and of the places 1, 2, …
fn one_window(x: &[f32]) -> (f32, Vec<f32>, f32) {
    let n = x.len();
    let size = [1, n as u32];
    let window = Window2d { strides: [1, 1], dilations: [1, 1], padding: Padding::Valid };
    let (xd, yd) = ([1, 1, n, 1], [1, 1, 1, 1]);
    let y = run(&Op::Pool2d { op: PoolOp::Max, size, window }, &[(&xd, x)], &yd);
    let dx = run(&Op::MaxPoolGrad { size, window }, &[(&xd, x), (&yd, &y), (&yd, &[1.0])], &xd);
    let places: Vec<f32> = (1..=n).map(|i| i as f32).collect();
    let at = run(&Op::MaxPoolGradGrad { size, window }, &[(&xd, x), (&yd, &y), (&xd, &places)], &yd);
    (y[0], dx, at[0])
}

#[test]
fn equals_and_special_numbers_are_tensorflows() {
    let (nan, lowest, infinity) = (f32::NAN, f32::MIN, f32::INFINITY);
    assert_eq!(one_window(&[1.0, 2.0, 2.0]), (2.0, vec![0.0, 1.0, 0.0], 2.0));
    assert_eq!(one_window(&[1.0, nan, 2.0]), (2.0, vec![0.0, 0.0, 1.0], 3.0));
    assert_eq!(one_window(&[nan, 1.0, 2.0]), (2.0, vec![1.0, 0.0, 0.0], 3.0));
    assert_eq!(one_window(&[nan, nan]), (lowest, vec![1.0, 0.0], 0.0));
    assert_eq!(one_window(&[-infinity, -infinity]), (lowest, vec![1.0, 0.0], 0.0));
    assert_eq!(one_window(&[3.0, infinity, infinity]), (infinity, vec![0.0, 1.0, 0.0], 2.0));
}

#[test]
fn the_largest_of_integers() {
    let window = Window2d { strides: [1, 2], dilations: [1, 1], padding: Padding::Same };
    let op = Op::Pool2d { op: PoolOp::Max, size: [1, 2], window };
    let dims: (&[usize], &[usize]) = (&[1, 1, 3, 1], &[1, 1, 2, 1]);
    assert_eq!(run(&op, &[(dims.0, &[i32::MIN, -7, i32::MIN])], dims.1), [-7, i32::MIN]);
    assert_eq!(run(&op, &[(dims.0, &[1_i64 << 40, 3, i64::MAX])], dims.1), [1 << 40, i64::MAX]);
    assert_eq!(run(&op, &[(dims.0, &[200_u8, 7, 0])], dims.1), [200, 0]);
}

#[test]
fn mistakes_are_errors() {
    let window = Window2d { strides: [2, 2], dilations: [1, 1], padding: Padding::Same };
    let size = [2, 2];
    let f = |dims: &[usize]| Spec::new(DType::F32, dims);
    let message = |op: &Op, inputs: &[Spec], output: Spec| compile_op(op, inputs, &[output]).unwrap_err().to_string();
    let (x, y) = (|| f(&[2, 5, 5, 3]), || f(&[2, 3, 3, 3]));
    let max = Op::Pool2d { op: PoolOp::Max, size, window };
    let average = Op::Pool2d { op: PoolOp::Average, size, window };
    assert_eq!(
        message(&max, &[x()], f(&[2, 2, 3, 3])),
        "max_pool: images f32[2, 5, 5, 3] pooled by [2, 2] are f32[2, 3, 3, 3], not f32[2, 2, 3, 3]"
    );
    assert!(message(&max, &[f(&[5, 5, 3])], y()).contains("must have 4 axes"));
    assert!(message(&max, &[x(), x()], y()).contains("takes 1 operands"));
    let ints = |dims: &[usize]| Spec::new(DType::I32, dims);
    assert!(message(&average, &[ints(&[2, 5, 5, 3])], ints(&[2, 3, 3, 3])).contains("takes floats"));
    let bools = |dims: &[usize]| Spec::new(DType::Bool, dims);
    assert!(message(&max, &[bools(&[2, 5, 5, 3])], bools(&[2, 3, 3, 3])).contains("takes numbers"));
    let grad = Op::MaxPoolGrad { size, window };
    assert!(message(&grad, &[x(), y(), f(&[2, 3, 3, 4])], x()).contains("must be alike"));
    let nothing = Op::AveragePoolGrad { size: [0, 2], window };
    assert!(message(&nothing, &[y(), x()], x()).contains("covers nothing"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_geometry(
        images in 0_usize..4,
        extents in [1_usize..14, 1..14],
        channels in 1_usize..40,
        size in [1_u32..6, 1..6],
        strides in [1_u32..6, 1..6],
        valid in any::<bool>(),
    ) {
        let case = Case::new(images, extents, channels, size, strides);
        if valid { case.valid() } else { case }.check_both();
    }
}
