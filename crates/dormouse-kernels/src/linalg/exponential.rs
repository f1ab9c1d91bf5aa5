//! The exponential of matrices, in f64 whatever their dtype: scaled down by a power of two, summed by Taylor's series, and squared
//! as often. Apart from [`systems`](super::systems) as nothing is solved: it is products in a worker's own scratch.

use dormouse_value::DType;

use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// Nanoseconds of work that make a tile.
const TILE_NANOS: f64 = 30_000.0;
/// Terms of the series: with a norm up to ½ what is left out is below 2⁻⁶⁴ of the sum.
const TERMS: usize = 16;
/// More squarings than a norm of finite numbers asks for.
const MOST: i32 = 2100;

/// The kernel of `[.., n, n] → [.., n, n]`.
///
/// # Errors
/// When shapes or dtypes do not go together.
pub(crate) fn exponential(inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let told = || {
        let all = |specs: &[Spec]| specs.iter().map(Spec::to_string).collect::<Vec<_>>().join(", ");
        KernelError::new(format!("matrix_exponential: of {} gives no {}", all(inputs), all(outputs)))
    };
    let ([a], [output]) = (inputs, outputs) else { return Err(told()) };
    let (before, &[n, columns]) = a.dims.split_last_chunk::<2>().ok_or_else(told)?;
    if n != columns || output != a || !matches!(a.dtype, DType::F32 | DType::F64) {
        return Err(told());
    }
    let batch: usize = before.iter().product();
    let flops = 2.0 * (n as f64).powi(3) * (TERMS + 4) as f64;
    let nanos = 20.0 + flops * 0.4;
    let per_tile = (TILE_NANOS / nanos).max(1.0) as usize;
    let all = batch as f64;
    let cost = Cost { flops: flops * all, bytes: 2.0 * a.bytes() as f64, nanos: nanos * all };
    let mut kernel = Kernel::new(batch.div_ceil(per_tile), cost, Exponential { dtype: a.dtype, batch, n, per_tile });
    if output.is_empty() {
        kernel.phases.clear();
    }
    kernel.local = n.saturating_mul(n).saturating_mul(3 * size_of::<f64>());
    Ok(kernel)
}

#[derive(Debug)]
struct Exponential {
    dtype: DType,
    /// How many matrices.
    batch: usize,
    /// Their rows.
    n: usize,
    per_tile: usize,
}

/// c = a·b
fn product(a: &[f64], b: &[f64], c: &mut [f64], n: usize) {
    for (row, c) in a.chunks_exact(n).zip(c.chunks_exact_mut(n)) {
        c.fill(0.0);
        for (factor, line) in row.iter().zip(b.chunks_exact(n)) {
            c.iter_mut().zip(line).for_each(|(c, b)| *c += factor * b);
        }
    }
}

/// The exponential of a in `sum`; all three hold n·n numbers.
fn exponential_of(a: &mut [f64], sum: &mut [f64], next: &mut [f64], n: usize) {
    let norm = (0..n).map(|j| a.iter().skip(j).step_by(n).map(|x| x.abs()).sum::<f64>()).fold(0.0, f64::max);
    // A sum of numbers may overflow where they do not.
    let norm = if norm.is_finite() { norm } else { f64::MAX };
    let mut squarings = 0;
    let mut rest = norm;
    while rest > 0.5 && squarings < MOST {
        rest *= 0.5;
        squarings += 1;
    }
    // In two steps, as the power itself may be no number.
    let half = squarings / 2;
    let (first, second) = (0.5_f64.powi(half), 0.5_f64.powi(squarings - half));
    a.iter_mut().for_each(|x| *x = *x * first * second);
    // 1 + a (1 + a/2 (1 + a/3 (…)))
    sum.fill(0.0);
    sum.iter_mut().step_by(n + 1).for_each(|x| *x = 1.0);
    for k in (1..=TERMS).rev() {
        product(a, sum, next, n);
        sum.iter_mut().zip(next.iter()).for_each(|(sum, next)| *sum = next / k as f64);
        sum.iter_mut().step_by(n + 1).for_each(|x| *x += 1.0);
    }
    for _ in 0..squarings {
        product(sum, sum, next, n);
        sum.copy_from_slice(next);
    }
}

impl Body for Exponential {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        let n = self.n;
        let size = n * n;
        #[allow(clippy::cast_ptr_alignment, reason = "scratch is aligned to 64")]
        // SAFETY: the scratch is this worker's, and holds three matrices of f64. It is zeroed first, as what lies there is of no
        // type.
        let (a, sum, next) = unsafe {
            std::ptr::write_bytes(args.local, 0, 3 * size * size_of::<f64>());
            let start = args.local.cast::<f64>();
            (
                std::slice::from_raw_parts_mut(start, size),
                std::slice::from_raw_parts_mut(start.add(size), size),
                std::slice::from_raw_parts_mut(start.add(2 * size), size),
            )
        };
        for matrix in tile * self.per_tile..((tile + 1) * self.per_tile).min(self.batch) {
            let begin = matrix * size;
            if self.dtype == DType::F32 {
                // SAFETY: there are as many elements of matrices.
                let given = unsafe { &args.input::<f32>(0, begin + size)[begin..] };
                a.iter_mut().zip(given).for_each(|(a, x)| *a = f64::from(*x));
            } else {
                // SAFETY: there are as many elements of matrices.
                a.copy_from_slice(unsafe { &args.input::<f64>(0, begin + size)[begin..] });
            }
            exponential_of(a, sum, next, n);
            if self.dtype == DType::F32 {
                // SAFETY: matrices of the result are one tile's alone.
                let y = unsafe { args.output::<f32>(0, begin, size) };
                y.iter_mut().zip(sum.iter()).for_each(|(y, x)| *y = *x as f32);
            } else {
                // SAFETY: matrices of the result are one tile's alone.
                unsafe { args.output::<f64>(0, begin, size) }.copy_from_slice(sum);
            }
        }
        Ok(())
    }
}
