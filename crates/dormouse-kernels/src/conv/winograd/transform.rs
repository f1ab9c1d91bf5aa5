//! Winograd's transforms: what short convolutions become when polynomials are multiplied by their values at some points.
//!
//! The points are 0, pairs ±p, and infinity. Values at +p and −p share their even and odd parts, which halves the work.
//! Every step is a multiply-add, addition or subtraction in a fixed order, so that vector width does not change a bit.

use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

use pulp::Simd;

/// Pairs of points at most.
const MOST_PAIRS: usize = 3;

/// The points of a scheme.
pub(super) trait Points: Copy + Default + Send + Sync + fmt::Debug + 'static {
    /// The pairs' positive points.
    const PAIRS: &'static [f64];
    /// What follows from them.
    const TABLE: Table = Table::new(Self::PAIRS);
}

/// ±1 and ±2.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TwoPairs;

impl Points for TwoPairs {
    const PAIRS: &'static [f64] = &[1.0, 2.0];
}

/// ±1, ±2 and ±1/2.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ThreePairs;

impl Points for ThreePairs {
    const PAIRS: &'static [f64] = &[1.0, 2.0, 0.5];
}

/// Coefficients that follow from points ±p. With t = x², the product of all x − p but those of some points is a
/// polynomial of t, maybe times x or x ± p.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    /// p.
    points: [f32; MOST_PAIRS],
    /// Of the product of t − p² over all pairs, lowest power first.
    product: [f32; MOST_PAIRS + 1],
    /// Of the product over all pairs but one.
    others: [[f32; MOST_PAIRS]; MOST_PAIRS],
    /// By what values of the shorter factor are divided: at ±p, and at 0.
    weights: [f32; MOST_PAIRS],
    weight_of_zero: f32,
}

impl Table {
    const fn new(pairs: &[f64]) -> Self {
        let mut table = Table {
            points: [0.0; MOST_PAIRS],
            product: [0.0; MOST_PAIRS + 1],
            others: [[0.0; MOST_PAIRS]; MOST_PAIRS],
            weights: [0.0; MOST_PAIRS],
            weight_of_zero: 0.0,
        };
        let product = coefficients(pairs, pairs.len());
        let mut k = 0;
        while k <= pairs.len() {
            table.product[k] = product[k] as f32;
            k += 1;
        }
        table.weight_of_zero = (1.0 / product[0]) as f32;
        let mut i = 0;
        while i < pairs.len() {
            let others = coefficients(pairs, i);
            let square = pairs[i] * pairs[i];
            let (mut value, mut k) = (0.0, pairs.len());
            while k > 0 {
                k -= 1;
                value = value * square + others[k];
                table.others[i][k] = others[k] as f32;
            }
            table.points[i] = pairs[i] as f32;
            table.weights[i] = (1.0 / (2.0 * square * value)) as f32;
            i += 1;
        }
        table
    }
}

/// The coefficients of the product of t − p² over the pairs but for one, lowest power first.
const fn coefficients(pairs: &[f64], without: usize) -> [f64; MOST_PAIRS + 1] {
    let mut product = [0.0; MOST_PAIRS + 1];
    product[0] = 1.0;
    let mut i = 0;
    while i < pairs.len() {
        if i != without {
            let square = pairs[i] * pairs[i];
            let mut k = MOST_PAIRS;
            while k > 0 {
                product[k] = product[k - 1] - square * product[k];
                k -= 1;
            }
            product[0] *= -square;
        }
        i += 1;
    }
    product
}

/// A transform of `N` numbers to `M`.
pub(super) trait Line<const N: usize, const M: usize> {
    /// Transforms each lane.
    fn line<S: Simd>(simd: S, x: [S::f32s; N]) -> [S::f32s; M];
}

/// Of source cells, the longer factor: from cells to points.
pub(super) struct Source<P>(PhantomData<P>);

impl<P: Points, const N: usize> Line<N, N> for Source<P> {
    #[inline(always)]
    fn line<S: Simd>(simd: S, x: [S::f32s; N]) -> [S::f32s; N] {
        let Table { points, product, others, .. } = const { P::TABLE };
        let pairs = const { P::PAIRS.len() };
        debug_assert_eq!(N, 2 * pairs + 2);
        let mut values = [simd.splat_f32s(0.0); N];
        // Leading coefficients are 1.
        let (mut zero, mut infinity) = (x[2 * pairs], x[2 * pairs + 1]);
        for k in (0..pairs).rev() {
            let factor = simd.splat_f32s(product[k]);
            zero = simd.mul_add_f32s(factor, x[2 * k], zero);
            infinity = simd.mul_add_f32s(factor, x[2 * k + 1], infinity);
        }
        (values[0], values[N - 1]) = (zero, infinity);
        for i in 0..pairs {
            let (mut even, mut odd) = (x[2 * pairs], x[2 * pairs - 1]);
            for k in (0..pairs - 1).rev() {
                let factor = simd.splat_f32s(others[i][k]);
                even = simd.mul_add_f32s(factor, x[2 * k + 2], even);
                odd = simd.mul_add_f32s(factor, x[2 * k + 1], odd);
            }
            values[2 * i + 1] = simd.mul_add_f32s(simd.splat_f32s(points[i]), odd, even);
            values[2 * i + 2] = simd.mul_add_f32s(simd.splat_f32s(-points[i]), odd, even);
        }
        values
    }
}

/// Of the shorter factor: from `N` taps to points.
pub(super) struct Taps<P>(PhantomData<P>);

impl<P: Points, const N: usize, const M: usize> Line<N, M> for Taps<P> {
    #[inline(always)]
    fn line<S: Simd>(simd: S, x: [S::f32s; N]) -> [S::f32s; M] {
        let Table { points, weights, weight_of_zero, .. } = const { P::TABLE };
        let pairs = const { P::PAIRS.len() };
        debug_assert_eq!(M, 2 * pairs + 2);
        let mut values = [simd.splat_f32s(0.0); M];
        values[0] = simd.mul_f32s(simd.splat_f32s(weight_of_zero), x[0]);
        values[M - 1] = x[N - 1];
        for i in 0..pairs {
            let mut even = simd.mul_f32s(simd.splat_f32s(weights[i]), x[0]);
            let mut odd = simd.splat_f32s(0.0);
            let mut power = weights[i];
            for (k, x) in x.iter().enumerate().skip(1) {
                power *= points[i];
                let sum = if k % 2 == 0 { &mut even } else { &mut odd };
                let factor = simd.splat_f32s(power);
                *sum = if k == 1 { simd.mul_f32s(factor, *x) } else { simd.mul_add_f32s(factor, *x, *sum) };
            }
            values[2 * i + 1] = simd.add_f32s(even, odd);
            values[2 * i + 2] = simd.sub_f32s(even, odd);
        }
        values
    }
}

/// Of products: from points to `M` results.
pub(super) struct Results<P>(PhantomData<P>);

impl<P: Points, const N: usize, const M: usize> Line<N, M> for Results<P> {
    #[inline(always)]
    fn line<S: Simd>(simd: S, x: [S::f32s; N]) -> [S::f32s; M] {
        let Table { points, .. } = const { P::TABLE };
        let pairs = const { P::PAIRS.len() };
        debug_assert_eq!(N, 2 * pairs + 2);
        let mut results = [simd.splat_f32s(0.0); M];
        results[0] = x[0];
        for i in 0..pairs {
            let even = simd.add_f32s(x[2 * i + 1], x[2 * i + 2]);
            let odd = simd.sub_f32s(x[2 * i + 1], x[2 * i + 2]);
            results[0] = simd.add_f32s(results[0], even);
            let mut power = 1.0;
            for (k, result) in results.iter_mut().enumerate().skip(1) {
                power *= points[i];
                let (factor, part) = (simd.splat_f32s(power), if k % 2 == 0 { even } else { odd });
                *result = if i == 0 { simd.mul_f32s(factor, part) } else { simd.mul_add_f32s(factor, part, *result) };
            }
        }
        results[M - 1] = simd.add_f32s(results[M - 1], x[N - 1]);
        results
    }
}

/// Vectors that are transformed together: what is written lies in as many pages as there are points, which are looked up
/// once for all of these.
pub(super) const TOGETHER: usize = 4;

/// Transforms squares of `N` × `N` vectors to squares of `M` × `M`, along both axes: `count` of them, up to [`TOGETHER`],
/// whose vectors lie side by side. Those of a row lie `steps[1]` elements apart, rows `steps[0]`. Gives the sum of what it
/// wrote, times 0: NaN where something is not finite.
///
/// # Safety
/// Vectors are readable at all places of `from`, writable at those of `to`.
#[inline(always)]
pub(super) unsafe fn squares<S: Simd, L: Line<N, M>, const N: usize, const M: usize>(
    simd: S,
    count: usize,
    (from, from_steps): (*const f32, [usize; 2]),
    (to, to_steps): (*mut f32, [usize; 2]),
) -> S::f32s {
    let lanes = size_of::<S::f32s>() / size_of::<f32>();
    let zero = simd.splat_f32s(0.0);
    // Rows of vectors: what columns come to, before the rows are transformed.
    let mut half = MaybeUninit::<[[[S::f32s; N]; TOGETHER]; M]>::uninit();
    let half = half.as_mut_ptr().cast::<S::f32s>();
    for vector in 0..count.min(TOGETHER) {
        for column in 0..N {
            let mut cells = [zero; N];
            for (row, cell) in cells.iter_mut().enumerate() {
                let place = from.wrapping_add(row * from_steps[0] + column * from_steps[1] + vector * lanes);
                // SAFETY: the caller's contract; any bits are a vector.
                *cell = unsafe { place.cast::<S::f32s>().read_unaligned() };
            }
            for (row, value) in L::line(simd, cells).into_iter().enumerate() {
                // SAFETY: one of M rows, of up to TOGETHER vectors, of N columns.
                unsafe { half.add((row * TOGETHER + vector) * N + column).write(value) };
            }
        }
    }
    let mut check = zero;
    for row in 0..M {
        for vector in 0..count.min(TOGETHER) {
            // SAFETY: the columns of this row and vector were written above.
            let cells = unsafe { half.add((row * TOGETHER + vector) * N).cast::<[S::f32s; N]>().read() };
            for (column, value) in L::line(simd, cells).into_iter().enumerate() {
                let place = to.wrapping_add(row * to_steps[0] + column * to_steps[1] + vector * lanes);
                // SAFETY: the caller's contract.
                unsafe { place.cast::<S::f32s>().write_unaligned(value) };
                check = simd.mul_add_f32s(value, zero, check);
            }
        }
    }
    check
}

/// The parts of so many channels that [`squares`] takes: where each begins, and its vectors of so many lanes.
pub(super) fn parts(channels: usize, lanes: usize) -> impl Iterator<Item = (usize, usize)> {
    let most = TOGETHER * lanes;
    (0..channels).step_by(most).map(move |first| (first, (channels - first).min(most) / lanes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lanes of a scalar transform.
    fn line<L: Line<N, M>, const N: usize, const M: usize>(x: [f32; N]) -> [f64; M] {
        L::line(pulp::Scalar::new(), x).map(f64::from)
    }

    /// Products at the points are the correlation of `TAPS` taps with cells, in the middle of their rounding.
    fn check<P: Points, const CELLS: usize, const RESULTS: usize, const TAPS: usize>() {
        let number = |i: usize| ((i * 37 % 19) as f32 - 9.0) / 4.0;
        let cells: [f32; CELLS] = std::array::from_fn(number);
        let taps: [f32; TAPS] = std::array::from_fn(|i| number(i + 5));
        let (a, b) = (line::<Source<P>, CELLS, CELLS>(cells), line::<Taps<P>, TAPS, CELLS>(taps));
        let products = std::array::from_fn(|i| (a[i] * b[i]) as f32);
        let results = line::<Results<P>, CELLS, RESULTS>(products);
        for (i, result) in results.into_iter().enumerate() {
            let expected: f32 = taps.iter().zip(&cells[i..]).map(|(a, b)| a * b).sum();
            assert!((result - f64::from(expected)).abs() < 1e-4, "{i}: {result} for {expected}");
        }
    }

    #[test]
    fn products_at_points_are_correlations() {
        check::<TwoPairs, 6, 4, 3>();
        check::<TwoPairs, 6, 3, 4>();
        check::<TwoPairs, 6, 2, 5>();
        check::<ThreePairs, 8, 4, 5>();
        check::<ThreePairs, 8, 5, 4>();
        check::<ThreePairs, 8, 6, 3>();
    }
}
