//! Orthogonal factors: QR by Householder's reflections, eigenvalues and singular values by Jacobi's rotations.
//!
//! A separate file from [`systems`](super::systems) because nothing of `nalgebra` fits: its decompositions allocate. All are
//! computed in f64, those of f32 too, in a worker's own scratch, where matrices lie by columns. Rotations keep small values
//! as exact as large ones, and what they do depends on the matrix alone.

use dormouse_value::{DType, Element};
use smallvec::SmallVec;

use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// Nanoseconds of work that make a tile.
const TILE_NANOS: f64 = 30_000.0;
/// Rotations of all pairs, at most; some ten are enough.
const SWEEPS: usize = 60;

/// What a matrix is taken apart into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Factors {
    /// Q and R; `full` with all columns of Q.
    Qr { full: bool },
    /// Eigenvalues, from the least on, and their vectors.
    SelfAdjointEig,
    /// Singular values, from the largest on, and the vectors on either side; `full` with all of these.
    Svd { full: bool },
}

/// The extents of what a matrix `[m, n]` is taken apart into.
fn parts(factors: Factors, m: usize, n: usize) -> SmallVec<[SmallVec<[usize; 2]>; 3]> {
    let least = m.min(n);
    let list = |dims: &[usize]| SmallVec::from_slice(dims);
    match factors {
        Factors::Qr { full } => {
            let inner = if full { m } else { least };
            [list(&[m, inner]), list(&[inner, n])].into_iter().collect()
        }
        Factors::SelfAdjointEig => [list(&[n]), list(&[n, n])].into_iter().collect(),
        Factors::Svd { full } => {
            let of = |extent| if full { extent } else { least };
            [list(&[least]), list(&[m, of(m)]), list(&[n, of(n)])].into_iter().collect()
        }
    }
}

/// The kernel of what matrices `[.., m, n]` are taken apart into.
///
/// # Errors
/// When shapes or dtypes do not go together.
pub(crate) fn factors(
    name: &'static str,
    factors: Factors,
    inputs: &[Spec],
    outputs: &[Spec],
) -> Result<Kernel, KernelError> {
    let told = || {
        let all = |specs: &[Spec]| specs.iter().map(Spec::to_string).collect::<Vec<_>>().join(", ");
        KernelError::new(format!("{name}: of {} gives no {}", all(inputs), all(outputs)))
    };
    let [a] = inputs else { return Err(told()) };
    let (before, &[m, n]) = a.dims.split_last_chunk::<2>().ok_or_else(told)?;
    let parts = parts(factors, m, n);
    let dims = |part: &[usize]| -> SmallVec<[usize; 4]> { before.iter().chain(part).copied().collect() };
    let fits = outputs.len() == parts.len()
        && outputs.iter().zip(&parts).all(|(y, part)| *y == Spec::new(a.dtype, &dims(part)))
        && matches!(a.dtype, DType::F32 | DType::F64)
        && (factors != Factors::SelfAdjointEig || m == n);
    if !fits {
        return Err(told());
    }
    let batch: usize = before.iter().product();
    let (rows, columns, least) = (m as f64, n as f64, m.min(n) as f64);
    let flops = match factors {
        Factors::Qr { .. } => 4.0 * rows * columns * least,
        Factors::SelfAdjointEig => 30.0 * columns.powi(3),
        Factors::Svd { .. } => 40.0 * rows * columns * least,
    };
    let nanos = 20.0 + flops * 0.5 + rows * columns * 2.0;
    let per_tile = (TILE_NANOS / nanos).max(1.0) as usize;
    let bytes: usize = inputs.iter().chain(outputs).map(Spec::bytes).sum();
    let all = batch as f64;
    let cost = Cost { flops: flops * all, bytes: bytes as f64, nanos: nanos * all };
    let body = Apart { factors, dtype: a.dtype, batch, m, n, per_tile };
    let words = body.words().into_iter().fold(0, usize::saturating_add);
    let mut kernel = Kernel::new(batch.div_ceil(per_tile), cost, body);
    if outputs.iter().all(Spec::is_empty) {
        kernel.phases.clear();
    }
    kernel.local = words.saturating_mul(size_of::<f64>());
    Ok(kernel)
}

#[derive(Debug)]
struct Apart {
    factors: Factors,
    dtype: DType,
    /// How many matrices.
    batch: usize,
    m: usize,
    n: usize,
    per_tile: usize,
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |sum, (a, b)| sum + a * b)
}

/// y += factor · x.
fn add(y: &mut [f64], factor: f64, x: &[f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * x);
}

/// Two columns of a matrix, the first before the second.
fn columns(a: &mut [f64], rows: usize, i: usize, j: usize) -> (&mut [f64], &mut [f64]) {
    let (left, right) = a.split_at_mut(j * rows);
    (&mut left[i * rows..(i + 1) * rows], &mut right[..rows])
}

/// (x, y) → (c·x − s·y, s·x + c·y).
fn rotate(x: &mut [f64], y: &mut [f64], c: f64, s: f64) {
    for (x, y) in x.iter_mut().zip(y) {
        (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
    }
}

/// Cosine, sine and tangent of the smaller angle whose double has this cotangent.
fn turn(cotangent: f64) -> (f64, f64, f64) {
    let t = 1.0_f64.copysign(cotangent) / (cotangent.abs() + cotangent.mul_add(cotangent, 1.0).sqrt());
    let c = 1.0 / t.mul_add(t, 1.0).sqrt();
    (c, t * c, t)
}

fn unit(q: &mut [f64], rows: usize) {
    q.fill(0.0);
    q.iter_mut().step_by(rows + 1).for_each(|x| *x = 1.0);
}

/// Householder's reflections, one a column: R above and on the diagonal, each reflection's vector below it, whose first
/// element is 1; `scales` has twice the reciprocals of their squares. As LAPACK, the diagonal has the other sign of what
/// stood there.
fn reflect(a: &mut [f64], rows: usize, scales: &mut [f64]) {
    for (j, scale) in scales.iter_mut().enumerate() {
        let (own, rest) = a[j * rows..].split_at_mut(rows);
        let (first, tail) = own[j..].split_first_mut().map_or((0.0, &mut [][..]), |(first, tail)| (*first, tail));
        let square = dot(tail, tail);
        // A number that is no number makes all of it none.
        if square <= f64::MIN_POSITIVE {
            *scale = 0.0;
            tail.fill(0.0);
            continue;
        }
        let norm = first.mul_add(first, square).sqrt();
        let diagonal = if first >= 0.0 { -norm } else { norm };
        tail.iter_mut().for_each(|x| *x /= first - diagonal);
        *scale = (diagonal - first) / diagonal;
        for column in rest.chunks_exact_mut(rows) {
            mirror(&mut column[j..], tail, *scale);
        }
        own[j] = diagonal;
    }
}

/// x less `scale` times its part along (1, tail).
fn mirror(x: &mut [f64], tail: &[f64], scale: f64) {
    let Some((first, below)) = x.split_first_mut() else { return };
    let along = scale * (*first + dot(tail, below));
    *first -= along;
    add(below, -along, tail);
}

/// A power of two that is about as large as the largest number, and 1 for none; `None` where one is not finite.
fn size(a: &[f64]) -> Option<f64> {
    let most = a.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    let power = f64::from_bits(most.to_bits() & f64::INFINITY.to_bits());
    a.iter().all(|x| x.is_finite()).then_some(if power == 0.0 { 1.0 } else { power })
}

/// Eigenvalues on the diagonal of a, which is its own transpose, and their vectors as columns of v.
fn eigen(a: &mut [f64], v: &mut [f64], n: usize) {
    unit(v, n);
    let whole = dot(a, a);
    for _ in 0..SWEEPS {
        let diagonal = (0..n).fold(0.0, |sum, i| sum + a[i * n + i] * a[i * n + i]);
        let beside =
            (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).fold(0.0, |sum, (i, j)| sum + a[i * n + j].powi(2));
        if beside <= f64::EPSILON.powi(2) * 1e-6 * diagonal.max(whole * 1e-3) {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                let between = a[p * n + q];
                if between == 0.0 {
                    continue;
                }
                let (own, other) = (a[p * n + p], a[q * n + q]);
                let (c, s, t) = turn((other - own) / (2.0 * between));
                let (x, y) = columns(a, n, p, q);
                rotate(x, y, c, s);
                for k in 0..n {
                    (a[k * n + p], a[k * n + q]) = (a[p * n + k], a[q * n + k]);
                }
                a[p * n + p] = own - t * between;
                a[q * n + q] = other + t * between;
                a[p * n + q] = 0.0;
                a[q * n + p] = 0.0;
                let (x, y) = columns(v, n, p, q);
                rotate(x, y, c, s);
            }
        }
    }
}

/// Turns a's columns until they are at right angles, and those of v with them.
fn straighten(a: &mut [f64], rows: usize, v: &mut [f64], n: usize) {
    unit(v, n);
    for _ in 0..SWEEPS {
        let mut turned = false;
        for i in 0..n {
            for j in i + 1..n {
                let (x, y) = columns(a, rows, i, j);
                let (own, other, between) = (dot(x, x), dot(y, y), dot(x, y));
                if between.abs() <= f64::EPSILON * own.sqrt() * other.sqrt() || between.is_nan() {
                    continue;
                }
                turned = true;
                let (c, s, _) = turn((other - own) / (2.0 * between));
                rotate(x, y, c, s);
                let (x, y) = columns(v, n, i, j);
                rotate(x, y, c, s);
            }
        }
        if !turned {
            break;
        }
    }
}

/// Exchanges places until numbers stand in this order; `exchange` does the same to what belongs to them.
fn sort(numbers: &mut [f64], before: impl Fn(f64, f64) -> bool, mut exchange: impl FnMut(usize, usize)) {
    for i in 0..numbers.len() {
        let best = (i + 1..numbers.len()).fold(i, |best, k| if before(numbers[k], numbers[best]) { k } else { best });
        if best != i {
            numbers.swap(i, best);
            exchange(i, best);
        }
    }
}

fn exchange(a: &mut [f64], rows: usize, i: usize, j: usize) {
    let (x, y) = columns(a, rows, i.min(j), i.max(j));
    x.swap_with_slice(y);
}

/// Whether the element of the largest size is below 0.
fn points_down(x: &[f64]) -> bool {
    x.iter().fold(0.0_f64, |most, x| if x.abs() > most.abs() { *x } else { most }) < 0.0
}

/// Makes column `j` of q one of length 1 at right angles to those before it.
fn complete(q: &mut [f64], rows: usize, j: usize) {
    let least = 0.5 / rows as f64;
    for axis in 0..rows {
        let (before, rest) = q.split_at_mut(j * rows);
        let own = &mut rest[..rows];
        own.fill(0.0);
        own[axis] = 1.0;
        let mut far = 1.0;
        for _ in 0..2 {
            for other in before.chunks_exact(rows) {
                let along = dot(own, other);
                add(own, -along, other);
            }
            let square = dot(own, own);
            far *= square;
            let length = square.sqrt();
            own.iter_mut().for_each(|x| *x /= length);
        }
        if far > least {
            return;
        }
    }
}

impl Apart {
    /// Numbers of scratch, part by part.
    fn words(&self) -> [usize; 4] {
        let (m, n, least, most) = (self.m, self.n, self.m.min(self.n), self.m.max(self.n));
        match self.factors {
            Factors::Qr { full } => [m * n, m * if full { m } else { least }, least, 0],
            Factors::SelfAdjointEig => [n * n, n * n, n, 0],
            Factors::Svd { full } => [most * least, least * least, most * if full { most } else { least }, least],
        }
    }

    /// # Safety
    /// As of [`Body::run`].
    unsafe fn tile<T: Element + Copy>(&self, args: &Args<'_>, tile: usize, of: fn(T) -> f64, to: fn(f64) -> T) {
        let (m, n) = (self.m, self.n);
        let words = self.words();
        #[allow(clippy::cast_ptr_alignment, reason = "scratch is aligned to 64")]
        // SAFETY: the scratch is this worker's, and holds so many numbers. It is zeroed first, as what lies there is of no type.
        let scratch = unsafe {
            let (start, count) = (args.local.cast::<f64>(), words.iter().sum());
            std::ptr::write_bytes(start, 0, count);
            std::slice::from_raw_parts_mut(start, count)
        };
        let (a, rest) = scratch.split_at_mut(words[0]);
        let (b, rest) = rest.split_at_mut(words[1]);
        let (c, d) = rest.split_at_mut(words[2]);
        for matrix in tile * self.per_tile..((tile + 1) * self.per_tile).min(self.batch) {
            // SAFETY: there are as many elements of matrices.
            let given = unsafe { &args.input::<T>(0, (matrix + 1) * m * n)[matrix * m * n..] };
            let at = |i: usize, j: usize| of(given[i * n + j]);
            let put = |port: usize, rows: usize, columns: usize, y: &dyn Fn(usize, usize) -> f64| {
                // SAFETY: matrices of the results are one tile's alone.
                let out = unsafe { args.output::<T>(port, matrix * rows * columns, rows * columns) };
                for (k, out) in out.iter_mut().enumerate() {
                    *out = to(y(k / columns, k % columns));
                }
            };
            match self.factors {
                Factors::Qr { full } => {
                    (0..m * n).for_each(|k| a[k] = at(k % m, k / m));
                    let inner = if full { m } else { m.min(n) };
                    reflect(a, m, c);
                    unit(b, m);
                    for (j, scale) in c.iter().enumerate().rev() {
                        let tail = &a[j * m + j + 1..(j + 1) * m];
                        b.chunks_exact_mut(m).for_each(|column| mirror(&mut column[j..], tail, *scale));
                    }
                    put(0, m, inner, &|i, j| b[j * m + i]);
                    put(1, inner, n, &|i, j| if i <= j { a[j * m + i] } else { 0.0 });
                }
                Factors::SelfAdjointEig => {
                    (0..n * n).for_each(|k| a[k] = at((k % n).max(k / n), (k % n).min(k / n)));
                    let Some(size) = size(a) else {
                        put(0, 1, n, &|_, _| f64::NAN);
                        put(1, n, n, &|_, _| f64::NAN);
                        continue;
                    };
                    a.iter_mut().for_each(|x| *x /= size);
                    eigen(a, b, n);
                    c.iter_mut().enumerate().for_each(|(i, e)| *e = a[i * n + i] * size);
                    sort(c, |x, y| x < y, |i, j| exchange(b, n, i, j));
                    for vector in b.chunks_exact_mut(n).filter(|v| points_down(v)) {
                        vector.iter_mut().for_each(|x| *x = -*x);
                    }
                    put(0, 1, n, &|_, j| c[j]);
                    put(1, n, n, &|i, j| b[j * n + i]);
                }
                Factors::Svd { full } => {
                    let (least, most, flat) = (m.min(n), m.max(n), m < n);
                    let (wide, narrow) = (if full { most } else { least }, least);
                    let (of_long, of_short) = if flat { (2, 1) } else { (1, 2) };
                    for (k, x) in a.iter_mut().enumerate() {
                        let (i, j) = (k % most, k / most);
                        *x = if flat { at(j, i) } else { at(i, j) };
                    }
                    let Some(size) = size(a) else {
                        put(0, 1, least, &|_, _| f64::NAN);
                        put(of_long, most, wide, &|_, _| f64::NAN);
                        put(of_short, least, narrow, &|_, _| f64::NAN);
                        continue;
                    };
                    a.iter_mut().for_each(|x| *x /= size);
                    straighten(a, most, b, least);
                    let values = &mut *d;
                    values.iter_mut().zip(a.chunks_exact(most)).for_each(|(s, x)| *s = dot(x, x).sqrt());
                    sort(
                        values,
                        |x, y| x > y,
                        |i, j| {
                            exchange(a, most, i, j);
                            exchange(b, least, i, j);
                        },
                    );
                    c[..most * least].copy_from_slice(a);
                    for (x, s) in c.chunks_exact_mut(most).zip(values.iter()) {
                        x.iter_mut().for_each(|x| *x /= s);
                    }
                    // What has no length has no direction of its own.
                    let missing = values.iter().position(|s| *s < f64::MIN_POSITIVE).unwrap_or(least);
                    (missing..c.len() / most.max(1)).for_each(|j| complete(c, most, j));
                    for j in 0..least {
                        let (long, short) = (j * most..(j + 1) * most, j * least..(j + 1) * least);
                        if points_down(if flat { &b[short.clone()] } else { &c[long.clone()] }) {
                            c[long].iter_mut().chain(&mut b[short]).for_each(|x| *x = -*x);
                        }
                    }
                    put(0, 1, least, &|_, j| values[j] * size);
                    put(of_long, most, wide, &|i, j| c[j * most + i]);
                    put(of_short, least, narrow, &|i, j| b[j * least + i]);
                }
            }
        }
    }
}

impl Body for Apart {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        if self.dtype == DType::F32 {
            // SAFETY: the caller's contract.
            unsafe { self.tile::<f32>(args, tile, f64::from, |x| x as f32) }
        } else {
            // SAFETY: the caller's contract.
            unsafe { self.tile::<f64>(args, tile, |x| x, |x| x) }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use dormouse_value::Op;

    use super::*;
    use crate::fused::tests::{Buffer, run_kernel};

    fn run(op: &Op, a: &[f64], dims: &[usize], outputs: &[&[usize]]) -> Vec<Vec<f64>> {
        let input = Buffer::of(dims, a);
        let outputs: Vec<Spec> = outputs.iter().map(|dims| Spec::new(DType::F64, dims)).collect();
        let kernel = crate::compile(op, std::slice::from_ref(&input.spec), &outputs).unwrap();
        let results = run_kernel(&kernel, &[input], &outputs).unwrap();
        results.iter().map(|x| x.elements().to_vec()).collect()
    }

    /// Numbers without a pattern in −1 .. 1.
    fn noise(count: usize, seed: u64) -> Vec<f64> {
        let mut state = seed | 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / 2f64.powi(52) - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// `[rows, inner] × diagonal × [inner, columns]`, of which the last may be told transposed.
    fn product(a: &[f64], diagonal: &[f64], b: &[f64], [rows, inner, columns]: [usize; 3], turned: bool) -> Vec<f64> {
        let (wide, deep) = (a.len() / rows.max(1), if turned { b.len() / columns.max(1) } else { columns });
        let b = |k: usize, j: usize| if turned { b[j * deep + k] } else { b[k * deep + j] };
        let of = |i: usize, j: usize| (0..inner).map(|k| a[i * wide + k] * diagonal[k] * b(k, j)).sum();
        (0..rows * columns).map(|k| of(k / columns, k % columns)).collect()
    }

    fn near(a: &[f64], b: &[f64]) {
        assert_eq!(a.len(), b.len());
        let far = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(far < 1e-13 * (1.0 + b.len() as f64), "{far:e}");
    }

    /// Columns are of length 1 and at right angles.
    fn orthogonal(q: &[f64], rows: usize) {
        let columns = q.len() / rows;
        for i in 0..columns {
            for j in 0..=i {
                let dot: f64 = (0..rows).map(|k| q[k * columns + i] * q[k * columns + j]).sum();
                assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-13, "{i}, {j}: {dot:e}");
            }
        }
    }

    const SHAPES: [[usize; 2]; 9] = [[1, 1], [1, 3], [3, 1], [2, 2], [3, 5], [5, 3], [8, 8], [17, 12], [12, 33]];

    #[test]
    fn factors_give_the_matrix_back() {
        for [m, n] in SHAPES {
            let least = m.min(n);
            let a = noise(m * n, (m * 50 + n) as u64);
            for full in [false, true] {
                let inner = if full { m } else { least };
                let qr = run(&Op::Qr { full }, &a, &[m, n], &[&[m, inner], &[inner, n]]);
                orthogonal(&qr[0], m);
                assert!((0..inner * n).filter(|k| k / n > k % n).all(|k| qr[1][k] == 0.0));
                near(&product(&qr[0], &vec![1.0; inner], &qr[1], [m, inner, n], false), &a);
                let of = |extent| if full { extent } else { least };
                let svd = run(&Op::Svd { full }, &a, &[m, n], &[&[least], &[m, of(m)], &[n, of(n)]]);
                orthogonal(&svd[1], m);
                orthogonal(&svd[2], n);
                assert!(svd[0].is_sorted_by(|a, b| a >= b) && svd[0].iter().all(|s| *s >= 0.0));
                near(&product(&svd[1], &svd[0], &svd[2], [m, least, n], true), &a);
            }
            let square = product(&a, &vec![1.0; n], &a, [m, n, m], true);
            let eig = run(&Op::SelfAdjointEig, &square, &[m, m], &[&[m], &[m, m]]);
            orthogonal(&eig[1], m);
            assert!(eig[0].is_sorted());
            near(&product(&eig[1], &eig[0], &eig[1], [m, m, m], true), &square);
        }
    }

    #[test]
    fn matrices_without_full_rank_have_all_their_vectors() {
        let (m, n) = (5, 4);
        for rank in 0..3 {
            let (left, right) = (noise(m * rank, 3), noise(rank * n, 5));
            let a: Vec<f64> = if rank == 0 {
                vec![0.0; m * n]
            } else {
                product(&left, &vec![1.0; rank], &right, [m, rank, n], false)
            };
            let svd = run(&Op::Svd { full: true }, &a, &[m, n], &[&[n], &[m, m], &[n, n]]);
            orthogonal(&svd[1], m);
            orthogonal(&svd[2], n);
            assert!(svd[0][rank..].iter().all(|s| *s < 1e-15), "{:?}", svd[0]);
            near(&product(&svd[1], &svd[0], &svd[2], [m, n, n], true), &a);
        }
    }

    #[test]
    fn what_is_not_finite_is_no_number_and_sizes_do_not_matter() {
        let nan = run(&Op::Svd { full: false }, &[1.0, f64::NAN, 2.0, 3.0], &[2, 2], &[&[2], &[2, 2], &[2, 2]]);
        assert!(nan.iter().flatten().all(|x| x.is_nan()));
        let nan = run(&Op::SelfAdjointEig, &[1.0, 0.0, f64::INFINITY, 3.0], &[2, 2], &[&[2], &[2, 2]]);
        assert!(nan.iter().flatten().all(|x| x.is_nan()));
        let large = run(&Op::SelfAdjointEig, &[2e300, 0.0, 1e300, 2e300], &[2, 2], &[&[2], &[2, 2]]);
        assert!((large[0][0] / 1e300 - 1.0).abs() < 1e-15 && (large[0][1] / 3e300 - 1.0).abs() < 1e-15);
        let none = run(&Op::Qr { full: true }, &[], &[2, 0], &[&[2, 2], &[2, 0]]);
        assert_eq!(none[0], [1.0, 0.0, 0.0, 1.0]);
    }
}
