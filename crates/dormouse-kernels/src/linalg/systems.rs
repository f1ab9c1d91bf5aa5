//! Systems of equations: matrices factored by `nalgebra`, in a worker's own scratch, where they lie by columns.
//!
//! A separate file because one matrix is one tile's alone: steps of a factorization wait for each other, and only matrices
//! beside each other run at one time. `nalgebra` runs plain loops without fused multiply-adds, so that bits are the same on
//! every machine; its owned decompositions allocate, so that only what works in a borrowed matrix is taken of it.

use dormouse_value::{DType, Element};
use nalgebra::linalg::{gauss_step, gauss_step_swap};
use nalgebra::{ComplexField, DMatrixViewMut, RealField};
use smallvec::SmallVec;

use crate::math::{self, Float};
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// Nanoseconds of work that make a tile.
const TILE_NANOS: f64 = 30_000.0;

/// What is done with each square matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    Cholesky,
    Triangular { lower: bool, adjoint: bool },
    Solve { adjoint: bool },
    Inverse { adjoint: bool },
    Determinant,
    LogDeterminant,
}

/// The kernel of what is done with `[.., n, n]`, and with right sides `[.., n, k]` where it takes any.
///
/// # Errors
/// When shapes or dtypes do not go together.
pub(crate) fn systems(
    name: &'static str,
    system: System,
    inputs: &[Spec],
    outputs: &[Spec],
) -> Result<Kernel, KernelError> {
    let told = || {
        let all = |specs: &[Spec]| specs.iter().map(Spec::to_string).collect::<Vec<_>>().join(", ");
        KernelError::new(format!("{name}: of {} gives no {}", all(inputs), all(outputs)))
    };
    let (a, output) = (inputs.first().ok_or_else(told)?, outputs.first().ok_or_else(told)?);
    let (before, &[n, columns]) = a.dims.split_last_chunk::<2>().ok_or_else(told)?;
    let mut expected: SmallVec<[usize; 4]> = before.iter().copied().collect();
    let sides = match system {
        System::Cholesky | System::Inverse { .. } => {
            expected.extend([n, n]);
            n
        }
        System::Triangular { .. } | System::Solve { .. } => {
            let (_, &[_, sides]) = inputs.get(1).and_then(|b| b.dims.split_last_chunk::<2>()).ok_or_else(told)?;
            expected.extend([n, sides]);
            sides
        }
        System::Determinant | System::LogDeterminant => 0,
    };
    let solves = matches!(system, System::Triangular { .. } | System::Solve { .. });
    let counts = (1 + usize::from(solves), 1 + usize::from(system == System::LogDeterminant));
    let result = Spec::new(a.dtype, &expected);
    let fits = (inputs.len(), outputs.len()) == counts
        && n == columns
        && inputs[1..].iter().chain(outputs).all(|spec| *spec == result)
        && a.dtype.is_float();
    if !fits {
        return Err(told());
    }
    let batch: usize = before.iter().product();
    let (order, width) = (n as f64, sides as f64);
    let factoring = match system {
        System::Cholesky => order.powi(3) / 3.0,
        System::Triangular { .. } => 0.0,
        System::Solve { .. } | System::Inverse { .. } | System::Determinant | System::LogDeterminant => {
            order.powi(3) * 2.0 / 3.0
        }
    };
    let solving = match system {
        System::Triangular { .. } => order.powi(2) * width,
        System::Solve { .. } | System::Inverse { .. } => 2.0 * order.powi(2) * width,
        System::Cholesky | System::Determinant | System::LogDeterminant => 0.0,
    };
    let flops = factoring + solving;
    let nanos = 20.0 + flops * 0.4 + (order * order + order * width) * 2.0;
    let per_tile = (TILE_NANOS / nanos).max(1.0) as usize;
    let bytes: usize = inputs.iter().chain(outputs).map(Spec::bytes).sum();
    let all = batch as f64;
    let cost = Cost { flops: flops * all, bytes: bytes as f64, nanos: nanos * all };
    let body = Systems { system, dtype: a.dtype, batch, n, sides, per_tile };
    let scratch = n.saturating_mul(n).saturating_add(n.saturating_mul(sides)).saturating_mul(a.dtype.size());
    let mut kernel = Kernel::new(batch.div_ceil(per_tile), cost, body);
    if output.is_empty() {
        kernel.phases.clear();
    }
    kernel.local = scratch.saturating_add(n * size_of::<u32>());
    kernel.fallible = !matches!(system, System::Determinant | System::LogDeterminant);
    Ok(kernel)
}

#[derive(Debug)]
struct Systems {
    system: System,
    dtype: DType,
    /// How many matrices.
    batch: usize,
    /// Their rows.
    n: usize,
    /// Columns of a right side.
    sides: usize,
    per_tile: usize,
}

/// Copies a matrix whose lines are `from` into one whose lines are its columns.
fn transpose<T: Copy>(from: &[T], rows: usize, columns: usize, to: &mut [T]) {
    for (i, line) in from.chunks_exact(columns.max(1)).take(rows).enumerate() {
        for (j, x) in line.iter().enumerate() {
            to[j * rows + i] = *x;
        }
    }
}

/// Takes L of L·Lᵀ, by columns, from the lower triangle of a; false where a is not positive definite.
fn cholesky<T: RealField + Copy>(a: &mut DMatrixViewMut<'_, T>) -> bool {
    let n = a.nrows();
    for j in 0..n {
        for k in 0..j {
            let factor = -a[(j, k)];
            let (mut own, before) = a.columns_range_pair_mut(j, k);
            own.rows_range_mut(j..).axpy(factor, &before.rows_range(j..), T::one());
        }
        let square = a[(j, j)];
        if square.partial_cmp(&T::zero()) != Some(std::cmp::Ordering::Greater) || !square.is_finite() {
            return false;
        }
        let diagonal = square.sqrt();
        a[(j, j)] = diagonal;
        a.view_range_mut(j + 1.., j).iter_mut().for_each(|x| *x /= diagonal);
    }
    true
}

/// The row that each row was changed for, and whether the determinant's sign is turned; the pivots are on the diagonal.
/// False beside it where one of them is 0 or no number.
fn factor<T: RealField + Copy>(a: &mut DMatrixViewMut<'_, T>, swaps: &mut [u32]) -> (bool, bool) {
    let (mut turned, mut invertible) = (false, true);
    for i in 0..a.nrows() {
        let pivot = a.view_range(i.., i).icamax() + i;
        let diagonal = a[(pivot, i)];
        swaps[i] = pivot as u32;
        if diagonal.abs().partial_cmp(&T::zero()) != Some(std::cmp::Ordering::Greater) {
            invertible = false;
            if diagonal.is_zero() {
                continue;
            }
        }
        if pivot == i {
            gauss_step(a, diagonal, i);
        } else {
            turned = !turned;
            a.columns_range_mut(..i).swap_rows(i, pivot);
            gauss_step_swap(a, diagonal, i, pivot);
        }
    }
    (turned, invertible)
}

/// Whether the solution stands in place of the right sides.
fn substitute<T: RealField + Copy>(a: &DMatrixViewMut<'_, T>, swaps: &[u32], b: &mut DMatrixViewMut<'_, T>) -> bool {
    for (i, pivot) in swaps.iter().enumerate().filter(|(i, pivot)| *i != **pivot as usize) {
        b.swap_rows(i, *pivot as usize);
    }
    a.solve_lower_triangular_with_diag_mut(b, T::one()) && a.solve_upper_triangular_mut(b)
}

impl Systems {
    fn failed(&self, matrix: usize, what: &str) -> KernelError {
        if self.batch == 1 {
            KernelError::new(format!("the matrix is not {what}"))
        } else {
            KernelError::new(format!("matrix {matrix} is not {what}"))
        }
    }

    /// # Safety
    /// As of [`Body::run`].
    unsafe fn tile<T: RealField + Copy + Element + Float>(
        &self,
        args: &Args<'_>,
        tile: usize,
    ) -> Result<(), KernelError> {
        let (n, sides) = (self.n, self.sides);
        #[allow(clippy::cast_ptr_alignment, reason = "scratch is aligned to 64")]
        // SAFETY: the scratch is this worker's, and holds a matrix, right sides, and a number for each row, in this order. It
        // is zeroed first, as what lies there is of no type.
        let (a, b, swaps) = unsafe {
            let start = args.local;
            let (matrix, side) = (n * n * size_of::<T>(), n * sides * size_of::<T>());
            std::ptr::write_bytes(start, 0, matrix + side + n * size_of::<u32>());
            (
                std::slice::from_raw_parts_mut(start.cast::<T>(), n * n),
                std::slice::from_raw_parts_mut(start.add(matrix).cast::<T>(), n * sides),
                std::slice::from_raw_parts_mut(start.add(matrix + side).cast::<u32>(), n),
            )
        };
        for matrix in tile * self.per_tile..((tile + 1) * self.per_tile).min(self.batch) {
            // SAFETY: there are as many elements of matrices.
            let given = unsafe { &args.input::<T>(0, (matrix + 1) * n * n)[matrix * n * n..] };
            // Its lines as columns are the matrix turned over.
            let turned_over = matches!(
                self.system,
                System::Triangular { adjoint: true, .. }
                    | System::Solve { adjoint: true }
                    | System::Inverse { adjoint: true }
            );
            if turned_over {
                a.copy_from_slice(given);
            } else {
                transpose(given, n, n, a);
            }
            match self.system {
                System::Triangular { .. } | System::Solve { .. } => {
                    // SAFETY: there are as many elements of right sides.
                    let given = unsafe { &args.input::<T>(1, (matrix + 1) * n * sides)[matrix * n * sides..] };
                    transpose(given, n, sides, b);
                }
                System::Inverse { .. } => {
                    b.fill(T::zero());
                    b.iter_mut().step_by(n + 1).for_each(|x| *x = T::one());
                }
                System::Cholesky | System::Determinant | System::LogDeterminant => {}
            }
            let mut view = DMatrixViewMut::from_slice(a, n, n);
            let mut right = DMatrixViewMut::from_slice(b, n, sides);
            match self.system {
                System::Cholesky => {
                    if !cholesky(&mut view) {
                        return Err(self.failed(matrix, "positive definite"));
                    }
                    // SAFETY: matrices of the result are one tile's alone.
                    let y = unsafe { args.output::<T>(0, matrix * n * n, n * n) };
                    for (i, line) in y.chunks_exact_mut(n).enumerate() {
                        line.iter_mut()
                            .enumerate()
                            .for_each(|(j, y)| *y = if j > i { T::zero() } else { a[j * n + i] });
                    }
                    continue;
                }
                System::Determinant => {
                    let (turned, _) = factor(&mut view, swaps);
                    let product = (0..n).fold(T::one(), |product, i| product * view[(i, i)]);
                    // SAFETY: this element is one tile's alone.
                    unsafe { args.output::<T>(0, matrix, 1) }.fill(if turned { -product } else { product });
                    continue;
                }
                System::LogDeterminant => {
                    let (turned, _) = factor(&mut view, swaps);
                    let pivots = || (0..n).map(|i| view[(i, i)]);
                    let sign = pivots().fold(T::one(), |sign, x| {
                        let own = if x > T::zero() {
                            T::one()
                        } else if x < T::zero() {
                            -T::one()
                        } else {
                            x
                        };
                        sign * own
                    });
                    let size = pivots().fold(T::zero(), |sum, x| sum + math::ln(ComplexField::abs(x)));
                    // SAFETY: these elements are one tile's alone.
                    unsafe {
                        args.output::<T>(0, matrix, 1).fill(if turned { -sign } else { sign });
                        args.output::<T>(1, matrix, 1).fill(size);
                    }
                    continue;
                }
                System::Triangular { lower, adjoint } => {
                    let solved = if lower == adjoint {
                        view.solve_upper_triangular_mut(&mut right)
                    } else {
                        view.solve_lower_triangular_mut(&mut right)
                    };
                    if !solved {
                        return Err(self.failed(matrix, "invertible"));
                    }
                }
                System::Solve { .. } | System::Inverse { .. } => {
                    let (_, invertible) = factor(&mut view, swaps);
                    if !invertible || !substitute(&view, swaps, &mut right) {
                        return Err(self.failed(matrix, "invertible"));
                    }
                }
            }
            // SAFETY: matrices of the result are one tile's alone.
            let y = unsafe { args.output::<T>(0, matrix * n * sides, n * sides) };
            transpose(b, sides, n, y);
        }
        Ok(())
    }
}

impl Body for Systems {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        if self.dtype == DType::F32 {
            // SAFETY: the caller's contract.
            unsafe { self.tile::<f32>(args, tile) }
        } else {
            // SAFETY: the caller's contract.
            unsafe { self.tile::<f64>(args, tile) }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use dormouse_value::Op;

    use super::*;
    use crate::fused::tests::{Buffer, run_kernel};

    fn run(op: &Op, inputs: &[Buffer], outputs: &[&[usize]]) -> Result<Vec<Buffer>, KernelError> {
        let specs: Vec<Spec> = inputs.iter().map(|x| x.spec.clone()).collect();
        let outputs: Vec<Spec> = outputs.iter().map(|dims| Spec::new(specs[0].dtype, dims)).collect();
        run_kernel(&crate::compile(op, &specs, &outputs)?, inputs, &outputs)
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

    /// `[rows, inner] × [inner, columns]`, either of them transposed.
    fn product(a: &[f64], b: &[f64], [rows, inner, columns]: [usize; 3], turned: [bool; 2]) -> Vec<f64> {
        let a = |i: usize, k: usize| if turned[0] { a[k * rows + i] } else { a[i * inner + k] };
        let b = |k: usize, j: usize| if turned[1] { b[j * inner + k] } else { b[k * columns + j] };
        let places = (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j)));
        places.map(|(i, j)| (0..inner).map(|k| a(i, k) * b(k, j)).sum()).collect()
    }

    #[track_caller]
    fn near(got: &[f64], want: &[f64]) {
        assert_eq!(got.len(), want.len());
        for (i, (a, b)) in got.iter().zip(want).enumerate() {
            assert!((a - b).abs() <= 1e-9 * b.abs().max(1.0), "{a}, not {b}, at {i}");
        }
    }

    #[test]
    fn solutions_solve_their_equations() {
        for n in [1, 2, 3, 5, 8, 17, 40] {
            for (sides, seed) in [(1, 1), (4, 2), (n, 3)] {
                let a = noise(n * n, seed);
                let b = noise(n * sides, seed + 9);
                let operands = [Buffer::of(&[n, n], &a), Buffer::of(&[n, sides], &b)];
                for adjoint in [false, true] {
                    let x = run(&Op::MatrixSolve { adjoint }, &operands, &[&[n, sides]]).unwrap();
                    near(&product(&a, x[0].elements(), [n, n, sides], [adjoint, false]), &b);
                    for lower in [false, true] {
                        // With a diagonal that is far from 0, as triangles without a pattern are near singular.
                        let part = |k: usize| match ((k / n).cmp(&(k % n)), lower) {
                            (std::cmp::Ordering::Equal, _) => 3.0 + a[k],
                            (std::cmp::Ordering::Greater, true) | (std::cmp::Ordering::Less, false) => a[k],
                            _ => 0.0,
                        };
                        let triangle: Vec<f64> = (0..n * n).map(part).collect();
                        let mut both = triangle.clone();
                        both.iter_mut().zip(&a).filter(|(t, _)| **t == 0.0).for_each(|(t, a)| *t = *a);
                        let operands = [Buffer::of(&[n, n], &both), operands[1].clone()];
                        let x = run(&Op::TriangularSolve { lower, adjoint }, &operands, &[&[n, sides]]).unwrap();
                        near(&product(&triangle, x[0].elements(), [n, n, sides], [adjoint, false]), &b);
                    }
                }
            }
        }
    }

    #[test]
    fn factors_and_inverses_give_the_matrix_back() {
        for n in [1, 2, 3, 5, 8, 17, 40] {
            let noise = noise(n * n, n as u64);
            let mut square = product(&noise, &noise, [n, n, n], [false, true]);
            square.iter_mut().step_by(n + 1).for_each(|x| *x += 0.5);
            let a = [Buffer::of(&[n, n], &square)];
            let l = run(&Op::Cholesky, &a, &[&[n, n]]).unwrap();
            let l = l[0].elements::<f64>();
            assert!((0..n * n).filter(|k| k % n > k / n).all(|k| l[k] == 0.0));
            near(&product(l, l, [n, n, n], [false, true]), &square);
            let unit: Vec<f64> = (0..n * n).map(|k| f64::from(u8::from(k % n == k / n))).collect();
            for adjoint in [false, true] {
                let whole = [Buffer::of(&[n, n], &noise)];
                let inverse = run(&Op::MatrixInverse { adjoint }, &whole, &[&[n, n]]).unwrap();
                near(&product(&noise, inverse[0].elements(), [n, n, n], [adjoint, false]), &unit);
            }
            // The determinant is the square of that of L.
            let root: f64 = l.iter().step_by(n + 1).product();
            let determinant = run(&Op::Determinant, &a, &[&[]]).unwrap();
            let logarithm = run(&Op::LogDeterminant, &a, &[&[], &[]]).unwrap();
            assert!((determinant[0].elements::<f64>()[0] / root.powi(2) - 1.0).abs() < 1e-10);
            assert_eq!(logarithm[0].elements::<f64>(), [1.0]);
            assert!((logarithm[1].elements::<f64>()[0] - 2.0 * root.ln()).abs() < 1e-9);
        }
    }

    #[test]
    fn what_has_no_solution_is_told() {
        let told = |op: &Op, inputs: &[Buffer]| {
            let dims = inputs.last().unwrap().spec.dims.clone();
            run(op, inputs, &[&dims]).unwrap_err().to_string()
        };
        let singular = Buffer::of(&[2, 2], &[1.0_f32, 2.0, 2.0, 4.0]);
        let (inverse, solve) = (Op::MatrixInverse { adjoint: false }, Op::MatrixSolve { adjoint: true });
        assert_eq!(told(&inverse, std::slice::from_ref(&singular)), "the matrix is not invertible");
        assert_eq!(told(&solve, &[singular, Buffer::of(&[2, 1], &[1.0_f32, 2.0])]), "the matrix is not invertible");
        let second = Buffer::of(&[2, 1, 1], &[1.0_f64, f64::NAN]);
        assert_eq!(told(&inverse, std::slice::from_ref(&second)), "matrix 1 is not invertible");
        assert_eq!(told(&Op::Cholesky, &[second]), "matrix 1 is not positive definite");
        for indefinite in [[1.0, 2.0, 2.0, 1.0], [0.0, 0.0, 0.0, 1.0], [f64::INFINITY, 0.0, 0.0, 1.0]] {
            let a = Buffer::of(&[2, 2], &indefinite);
            assert_eq!(told(&Op::Cholesky, &[a]), "the matrix is not positive definite");
        }
        let triangle = Buffer::of(&[2, 2], &[0.0_f32, 2.0, 2.0, 4.0]);
        let op = Op::TriangularSolve { lower: true, adjoint: false };
        assert_eq!(told(&op, &[triangle, Buffer::of(&[2, 1], &[1.0_f32, 2.0])]), "the matrix is not invertible");
    }

    #[test]
    fn matrices_without_elements_have_determinants() {
        let none = [Buffer::of::<f32>(&[2, 0, 0], &[])];
        assert_eq!(run(&Op::Determinant, &none, &[&[2]]).unwrap()[0].elements::<f32>(), [1.0, 1.0]);
        let both = run(&Op::LogDeterminant, &none, &[&[2], &[2]]).unwrap();
        assert_eq!((both[0].elements::<f32>(), both[1].elements::<f32>()), (&[1.0, 1.0][..], &[0.0, 0.0][..]));
        assert!(run(&Op::Cholesky, &none, &[&[2, 0, 0]]).unwrap()[0].elements::<f32>().is_empty());
    }
}
