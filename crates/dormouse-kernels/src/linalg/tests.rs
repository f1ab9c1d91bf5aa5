#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse_value::Element;
use proptest::prelude::*;

use super::*;

/// Memory aligned as [`Args`] asks for.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Scratch that holds NaNs, so that a place that is read before it is written shows in the result.
fn scratch(bytes: usize) -> Vec<Line> {
    vec![Line([0xff; 64]); bytes.div_ceil(64)]
}

/// Runs a kernel of two operands with the tiles of each phase in the order that `order` makes of them.
fn run<T: Element>(kernel: &Kernel, a: &[T], b: &[T], c: &mut [T], order: impl Fn(&mut Vec<usize>)) {
    let (mut shared, mut local) = (scratch(kernel.shared), scratch(kernel.local));
    let args = Args {
        inputs: &[a.as_ptr().cast(), b.as_ptr().cast()],
        outputs: &[c.as_mut_ptr().cast()],
        shared: shared.as_mut_ptr().cast(),
        local: local.as_mut_ptr().cast(),
    };
    for (phase, &tiles) in kernel.phases.iter().enumerate() {
        let mut tiles: Vec<usize> = (0..tiles).collect();
        order(&mut tiles);
        for tile in tiles {
            // SAFETY: the buffers have the kernel's sizes, which the callers take from its specs.
            unsafe { kernel.body.run(&args, phase, tile) }.unwrap();
        }
    }
}

/// The shape of a matrix product and its flags.
#[derive(Clone, Debug)]
struct Case {
    a_batch: Vec<usize>,
    b_batch: Vec<usize>,
    n: usize,
    k: usize,
    m: usize,
    transpose_a: bool,
    transpose_b: bool,
}

impl Case {
    fn plain(n: usize, k: usize, m: usize) -> Case {
        Case { a_batch: vec![], b_batch: vec![], n, k, m, transpose_a: false, transpose_b: false }
    }

    fn specs(&self, dtype: DType) -> ([Spec; 2], Spec) {
        let Case { n, k, m, .. } = *self;
        let a = if self.transpose_a { [k, n] } else { [n, k] };
        let b = if self.transpose_b { [m, k] } else { [k, m] };
        let c = broadcast_dims(&self.a_batch, &self.b_batch).unwrap();
        let spec = |batch: &[usize], last: [usize; 2]| Spec::new(dtype, &[batch, &last].concat());
        ([spec(&self.a_batch, a), spec(&self.b_batch, b)], spec(&c, [n, m]))
    }

    fn kernel(&self, dtype: DType) -> Kernel {
        let (inputs, c) = self.specs(dtype);
        matmul(self.transpose_a, self.transpose_b, &inputs, &[c]).unwrap()
    }

    /// For each element of the result, where each of its `k` products finds its two factors.
    fn products(&self) -> Vec<Vec<(usize, usize)>> {
        let Case { n, k, m, .. } = *self;
        let batch = broadcast_dims(&self.a_batch, &self.b_batch).unwrap();
        let matrix = |dims: &[usize], index: &[usize]| {
            let index = &index[index.len() - dims.len()..];
            dims.iter().zip(index).fold(0, |at, (&extent, &i)| at * extent + if extent == 1 { 0 } else { i })
        };
        let mut all = Vec::new();
        for product in 0..batch.iter().product() {
            let mut rest = product;
            let mut index: Vec<usize> = batch.iter().rev().map(|&n| (rest % n, rest /= n).0).collect();
            index.reverse();
            let (a, b) = (matrix(&self.a_batch, &index) * n * k, matrix(&self.b_batch, &index) * k * m);
            for i in 0..n {
                for j in 0..m {
                    all.push(
                        (0..k)
                            .map(|p| {
                                let a_at = if self.transpose_a { p * n + i } else { i * k + p };
                                let b_at = if self.transpose_b { j * k + p } else { p * m + j };
                                (a + a_at, b + b_at)
                            })
                            .collect(),
                    );
                }
            }
        }
        all
    }
}

/// Numbers between −1 and 1 that look random.
fn numbers(len: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / f64::from(1 << 23) - 1.0
        })
        .collect()
}

trait Test: Element {
    fn of(x: f64) -> Self;
    fn wide(self) -> f64;
    const EPSILON: f64;
}

impl Test for f32 {
    fn of(x: f64) -> f32 {
        x as f32
    }
    fn wide(self) -> f64 {
        f64::from(self)
    }
    const EPSILON: f64 = f32::EPSILON as f64;
}

impl Test for f64 {
    fn of(x: f64) -> f64 {
        x
    }
    fn wide(self) -> f64 {
        self
    }
    const EPSILON: f64 = f64::EPSILON;
}

/// Checks a float product against sums in f64, and that the order of the tiles does not matter.
fn check<T: Test>(case: &Case) {
    let ([a_spec, b_spec], c_spec) = case.specs(T::DTYPE);
    let a: Vec<T> = numbers(a_spec.len(), 1).into_iter().map(T::of).collect();
    let b: Vec<T> = numbers(b_spec.len(), 2).into_iter().map(T::of).collect();
    let kernel = case.kernel(T::DTYPE);
    let mut c = vec![T::of(f64::NAN); c_spec.len()];
    run(&kernel, &a, &b, &mut c, |_| ());
    for (i, (got, products)) in c.iter().zip(case.products()).enumerate() {
        let terms = || products.iter().map(|&(i, j)| a[i].wide() * b[j].wide());
        let (sum, size) = (terms().sum::<f64>(), terms().map(f64::abs).sum::<f64>());
        let error = (got.wide() - sum).abs();
        let allowed = T::EPSILON * (size + 1e-300) * (1.0 + (case.k as f64).sqrt());
        assert!(error <= allowed, "{case:?} {}: element {i} is {got}, not {sum}", T::DTYPE);
    }
    let mut backwards = vec![T::of(f64::NAN); c_spec.len()];
    run(&kernel, &a, &b, &mut backwards, |tiles| tiles.reverse());
    assert_eq!(c, backwards, "{case:?}: the order of the tiles shows");
}

#[test]
fn edges_and_transposes() {
    for n in [1, 2, 5, 6, 7, 13] {
        for m in [1, 7, 8, 9, 16, 17, 33] {
            for k in [0, 1, 3, 16, 31] {
                for (transpose_a, transpose_b) in [(false, false), (true, false), (false, true), (true, true)] {
                    let case = Case { transpose_a, transpose_b, ..Case::plain(n, k, m) };
                    check::<f32>(&case);
                    check::<f64>(&case);
                }
            }
        }
    }
}

#[test]
fn tiles_in_every_direction() {
    // Wide, tall, deep enough to be cut into parts of the depth, and all of it.
    for (n, k, m) in [(20, 100, 700), (700, 100, 20), (13, 5000, 21), (7, 9000, 3), (130, 340, 150), (1, 2000, 400)] {
        for (transpose_a, transpose_b) in [(false, false), (true, true)] {
            let case = Case { transpose_a, transpose_b, ..Case::plain(n, k, m) };
            check::<f32>(&case);
            check::<f64>(&case);
        }
    }
}

#[test]
fn a_deep_product_has_parts_of_its_depth() {
    let kernel = Case::plain(12, 60_000, 16).kernel(DType::F32);
    assert!(kernel.phases.len() == 2 && kernel.phases[0] > 8, "multiplying, summing: {:?}", kernel.phases);
    check::<f32>(&Case::plain(12, 60_000, 16));
}

#[test]
fn batches_broadcast() {
    let batches: [(&[usize], &[usize]); 8] = [
        (&[3], &[3]),
        (&[3], &[]),
        (&[], &[3]),
        (&[2, 3], &[3]),
        (&[2, 1], &[3]),
        (&[1], &[1]),
        (&[2, 3], &[1]),
        (&[4, 1, 2], &[3, 1]),
    ];
    for (a_batch, b_batch) in batches {
        for (transpose_a, transpose_b) in [(false, false), (true, false), (false, true), (true, true)] {
            let (a_batch, b_batch) = (a_batch.to_vec(), b_batch.to_vec());
            let case = Case { a_batch, b_batch, transpose_a, transpose_b, ..Case::plain(5, 7, 19) };
            check::<f32>(&case);
            check::<f64>(&case);
            check_integers(&case);
        }
    }
    check::<f32>(&Case { a_batch: vec![40], b_batch: vec![40], ..Case::plain(70, 64, 80) });
    check::<f32>(&Case { a_batch: vec![3], b_batch: vec![1], transpose_a: true, ..Case::plain(150, 130, 170) });
}

/// Checks the integer products against sums modulo 2⁶⁴.
fn check_integers(case: &Case) {
    let ([a_spec, b_spec], c_spec) = case.specs(DType::I64);
    let integers = |len, seed| numbers(len, seed).into_iter().map(|x| (x * 2e18) as i64).collect::<Vec<_>>();
    let (a, b) = (integers(a_spec.len(), 1), integers(b_spec.len(), 2));
    let exact: Vec<i64> = case
        .products()
        .iter()
        .map(|products| products.iter().fold(0_i64, |sum, &(i, j)| sum.wrapping_add(a[i].wrapping_mul(b[j]))))
        .collect();
    macro_rules! compare {
        ($type:ident) => {
            let (a, b) =
                (a.iter().map(|&x| x as $type).collect::<Vec<_>>(), b.iter().map(|&x| x as $type).collect::<Vec<_>>());
            let mut c = vec![77 as $type; c_spec.len()];
            run(&case.kernel($type::DTYPE), &a, &b, &mut c, |tiles| tiles.reverse());
            let expected: Vec<$type> = exact.iter().map(|&x| x as $type).collect();
            assert_eq!(c, expected, "{case:?}");
        };
    }
    compare!(i64);
    compare!(i32);
    compare!(u8);
}

#[test]
fn integers_wrap_around() {
    for (n, k, m) in [(1, 1, 1), (3, 0, 2), (5, 7, 19), (100, 90, 80)] {
        for (transpose_a, transpose_b) in [(false, false), (true, false), (false, true), (true, true)] {
            check_integers(&Case { transpose_a, transpose_b, ..Case::plain(n, k, m) });
        }
    }
}

#[test]
fn nothing_to_compute_has_no_phases() {
    for dtype in [DType::F32, DType::F64, DType::I32] {
        for (n, k, m) in [(0, 3, 2), (2, 3, 0), (0, 0, 0)] {
            assert!(Case::plain(n, k, m).kernel(dtype).phases.is_empty());
        }
        for b_batch in [vec![1], vec![0], vec![2, 0]] {
            let case = Case { a_batch: vec![0], b_batch, ..Case::plain(2, 3, 4) };
            assert!(case.kernel(dtype).phases.is_empty());
        }
    }
}

#[test]
fn errors_say_what_does_not_fit() {
    let spec = |dims: &[usize]| Spec::new(DType::F32, dims);
    let message = |a: Spec, b: Spec, c: Spec| matmul(false, false, &[a, b], &[c]).unwrap_err().to_string();
    assert_eq!(
        message(spec(&[2, 3]), spec(&[4, 5]), spec(&[2, 5])),
        "matmul: inner dimensions differ, 3 and 4: f32[2, 3] × f32[4, 5] → f32[2, 5]"
    );
    assert!(message(spec(&[3]), spec(&[3, 5]), spec(&[5])).contains("rank 2"));
    assert!(message(spec(&[2, 2, 3]), spec(&[3, 3, 5]), spec(&[2, 2, 5])).contains("do not broadcast"));
    assert!(message(spec(&[2, 3]), spec(&[3, 5]), spec(&[5, 2])).contains("another shape"));
    assert!(message(spec(&[2, 3]), Spec::new(DType::F64, &[3, 5]), spec(&[2, 5])).contains("one dtype"));
    let bool_spec = || Spec::new(DType::Bool, &[2, 2]);
    assert!(message(bool_spec(), bool_spec(), bool_spec()).contains("bool"));
    assert!(matmul(false, false, &[spec(&[2, 2])], &[]).unwrap_err().to_string().contains("takes 2 operands"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_shape(
        n in 1_usize..60, k in 0_usize..700, m in 1_usize..60, batch in 1_usize..4,
        transpose_a: bool, transpose_b: bool, a_is_one: bool, b_is_one: bool,
    ) {
        let case = Case {
            a_batch: if a_is_one { vec![] } else { vec![batch] },
            b_batch: if b_is_one { vec![1] } else { vec![batch] },
            n, k, m, transpose_a, transpose_b,
        };
        check::<f32>(&case);
        check::<f64>(&case);
    }
}
