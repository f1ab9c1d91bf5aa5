//! The micro-kernel: some rows of A times one strip of B, summed in registers. It is a file of its own because
//! the matrix product and the convolutions call the same code and differ only in the addresses that they give it.

use dormouse_value::Element;
use pulp::Simd;

/// Rows of a panel at most: with two vectors a row, 12 accumulators and 4 free registers out of AVX2's 16.
pub(crate) const ROWS: usize = 6;

/// Rows of a micro-tile at most: two panels, where a row is one vector and there are 32 registers, as AVX-512 has.
pub(crate) const MOST_ROWS: usize = 2 * ROWS;

/// Whether a strip is one vector under an instruction set, so that a micro-tile takes the rows of two panels.
pub(crate) const fn takes_two_panels<S: Simd, T: Float>() -> bool {
    size_of::<T::Vector<S>>() == 64
}

/// Columns of the widest strip, those of `f32`.
const WIDEST: usize = f32::COLUMNS;

/// A float that the micro-kernel multiplies.
pub(crate) trait Float: Element + std::ops::Add<Output = Self> {
    /// Columns of a strip, whatever the vector width: 64 bytes.
    const COLUMNS: usize;
    /// A vector of these under an instruction set.
    type Vector<S: Simd>: Copy;
    /// The number in every lane.
    fn splat<S: Simd>(simd: S, x: Self) -> Self::Vector<S>;
    /// `a · b + c`, rounded once.
    fn mul_add<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>, c: Self::Vector<S>) -> Self::Vector<S>;
    /// `a + b`.
    fn plus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
}

macro_rules! float {
    ($type:ident, $vector:ident, $splat:ident, $mul_add:ident, $add:ident) => {
        impl Float for $type {
            const COLUMNS: usize = 64 / size_of::<$type>();
            type Vector<S: Simd> = S::$vector;
            #[inline(always)]
            fn splat<S: Simd>(simd: S, x: Self) -> S::$vector {
                simd.$splat(x)
            }
            #[inline(always)]
            fn mul_add<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                simd.$mul_add(a, b, c)
            }
            #[inline(always)]
            fn plus<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$add(a, b)
            }
        }
    };
}
float!(f32, f32s, splat_f32s, mul_add_f32s, add_f32s);
float!(f64, f64s, splat_f64s, mul_add_f64s, add_f64s);

/// What a micro-tile multiplies: for each run, for each step, one element of every row of A times one row of B.
///
/// A matrix product has one run. A convolution has one run for each row of its filter, with steps over that row's
/// columns and channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operands<T> {
    /// Where each row of A begins; only as many are read as the micro-tile has rows.
    pub rows: [*const T; ROWS],
    /// Elements of A between two steps.
    pub a_step: usize,
    /// Elements of A between the beginnings of two runs.
    pub a_run: usize,
    /// Where the strip of B begins.
    pub b: *const T,
    /// Elements of B between two steps; [`Float::COLUMNS`] in a packed strip.
    pub b_step: usize,
    /// Elements of B between the beginnings of two runs.
    pub b_run: usize,
    /// Steps of a run.
    pub steps: usize,
    /// Runs.
    pub runs: usize,
}

/// Where a micro-tile's sums go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<T> {
    /// The first element.
    pub c: *mut T,
    /// Elements between two rows.
    pub row: usize,
    /// Columns that are written, at most [`Float::COLUMNS`].
    pub columns: usize,
    /// Whether the sums are added to what is there.
    pub add: bool,
}

/// `C[i, j] = Σ A[i, p] · B[p, j]`, `[rows, p] × [p, columns]`, with p in order and every step fused.
///
/// The bits depend on the order of the steps alone: not on the vector width, the number of rows, or the strides.
///
/// # Safety
/// `1 <= rows <= ROWS`. For every run and step, the elements of A in the first `rows` rows and `COLUMNS` elements of
/// B are readable. `rows × target.columns` elements at `target` are writable, initialized if `add` says so, and
/// touched by nobody else meanwhile.
#[inline(always)]
pub(crate) unsafe fn micro_tile<S: Simd, T: Float>(simd: S, rows: usize, operands: &Operands<T>, target: &Target<T>) {
    macro_rules! of_rows {
        ($width:literal) => {
            // SAFETY: the caller's contract; the match hands each count of rows to the code for that count, and the
            // width is that of a strip in vectors.
            unsafe {
                match rows {
                    6 => of_size::<S, T, 6, $width>(simd, operands, target),
                    5 => of_size::<S, T, 5, $width>(simd, operands, target),
                    4 => of_size::<S, T, 4, $width>(simd, operands, target),
                    3 => of_size::<S, T, 3, $width>(simd, operands, target),
                    2 => of_size::<S, T, 2, $width>(simd, operands, target),
                    _ => of_size::<S, T, 1, $width>(simd, operands, target),
                }
            }
        };
    }
    debug_assert!((1..=ROWS).contains(&rows) && target.columns <= T::COLUMNS);
    match const { 64 / size_of::<T::Vector<S>>() } {
        1 => of_rows!(1),
        2 => of_rows!(2),
        4 => of_rows!(4),
        8 => of_rows!(8),
        _ => of_rows!(16),
    }
}

/// [`micro_tile`] of two panels of `half` rows each, which lie one element after the other in every step, where
/// [`takes_two_panels`]. The first begins at `rows[0]`, the second at `rows[1]`.
///
/// # Safety
/// As [`micro_tile`], of `half` elements at each of the two for every step of the one run; C has `2 · half` rows.
#[inline(always)]
pub(crate) unsafe fn micro_tile_of_two<S: Simd, T: Float>(
    simd: S,
    half: usize,
    operands: &Operands<T>,
    target: &Target<T>,
) {
    debug_assert!((2..=ROWS).contains(&half) && takes_two_panels::<S, T>() && operands.runs == 1);
    // SAFETY: the caller's contract; the match hands each count of rows to the code for that count.
    unsafe {
        match half {
            6 => two_of::<S, T, 6>(simd, operands, target),
            5 => two_of::<S, T, 5>(simd, operands, target),
            4 => two_of::<S, T, 4>(simd, operands, target),
            3 => two_of::<S, T, 3>(simd, operands, target),
            _ => two_of::<S, T, 2>(simd, operands, target),
        }
    }
}

/// # Safety
/// As [`micro_tile_of_two`], with `half = H`.
#[inline(always)]
unsafe fn two_of<S: Simd, T: Float, const H: usize>(simd: S, operands: &Operands<T>, target: &Target<T>) {
    let mut sums = [[[T::splat(simd, T::default()); 1]; H]; 2];
    let (mut panels, mut b) = ([operands.rows[0], operands.rows[1]], operands.b);
    for _ in 0..operands.steps {
        // SAFETY: the caller lets COLUMNS elements of B, one vector, be read at every step.
        let line = unsafe { b.cast::<T::Vector<S>>().read_unaligned() };
        for (sums, panel) in sums.iter_mut().zip(&mut panels) {
            for (r, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the caller lets H elements of each panel be read at every step.
                let a = T::splat(simd, unsafe { *panel.add(r) });
                sum[0] = T::mul_add(simd, a, line, sum[0]);
            }
            *panel = panel.wrapping_add(operands.a_step);
        }
        b = b.wrapping_add(operands.b_step);
    }
    // SAFETY: the caller lets 2 · H rows of C be written, and read if `add` says so.
    unsafe { store::<S, T, H, 1>(simd, &sums[0], target) };
    let second = Target { c: target.c.wrapping_add(H * target.row), ..*target };
    // SAFETY: as above.
    unsafe { store::<S, T, H, 1>(simd, &sums[1], &second) };
}

/// [`micro_tile`] of `R` rows where a strip is `W` vectors wide.
///
/// # Safety
/// As [`micro_tile`], with `rows = R` and `W` vectors in 64 bytes.
#[inline(always)]
unsafe fn of_size<S: Simd, T: Float, const R: usize, const W: usize>(
    simd: S,
    operands: &Operands<T>,
    target: &Target<T>,
) {
    let mut sums = [[T::splat(simd, T::default()); W]; R];
    for run in 0..operands.runs {
        let (a_begin, mut b) = (run * operands.a_run, operands.b.wrapping_add(run * operands.b_run));
        let mut rows: [*const T; R] = std::array::from_fn(|r| operands.rows[r].wrapping_add(a_begin));
        for _ in 0..operands.steps {
            // SAFETY: the caller lets COLUMNS elements of B, W vectors, be read at every step.
            let b_row: [T::Vector<S>; W] = unsafe { b.cast::<[T::Vector<S>; W]>().read_unaligned() };
            for (sum, row) in sums.iter_mut().zip(&mut rows) {
                // SAFETY: the caller lets every row of A be read at every step.
                let a = T::splat(simd, unsafe { **row });
                for (sum, &b) in sum.iter_mut().zip(&b_row) {
                    *sum = T::mul_add(simd, a, b, *sum);
                }
                *row = row.wrapping_add(operands.a_step);
            }
            b = b.wrapping_add(operands.b_step);
        }
    }
    // SAFETY: the caller lets R rows of C be written, and read if `add` says so.
    unsafe { store::<S, T, R, W>(simd, &sums, target) };
}

/// Writes rows of sums to where the target begins, or adds them.
///
/// The ways are apart, each a short loop over rows that is unrolled: else the sums would live in memory, not in registers.
///
/// # Safety
/// `target.columns` elements are writable in each of `R` rows, and initialized if `add` says so.
#[inline(always)]
unsafe fn store<S: Simd, T: Float, const R: usize, const W: usize>(
    simd: S,
    sums: &[[T::Vector<S>; W]; R],
    target: &Target<T>,
) {
    let row = |r: usize| target.c.wrapping_add(r * target.row).cast::<[T::Vector<S>; W]>();
    // SAFETY: the caller lets COLUMNS elements, W vectors, be written in each row, and read if `add` says so. A strip cut
    // short by the matrix's edge goes by way of a whole one beside it, which holds the widest strip: W vectors and
    // `columns` elements both fit.
    unsafe {
        if target.columns == T::COLUMNS && target.add {
            for (r, sum) in sums.iter().enumerate() {
                row(r).write_unaligned(added::<S, T, W>(simd, row(r).read_unaligned(), *sum));
            }
        } else if target.columns == T::COLUMNS {
            for (r, sum) in sums.iter().enumerate() {
                row(r).write_unaligned(*sum);
            }
        } else {
            let mut whole = [[T::default(); WIDEST]; R];
            for (whole, sum) in whole.iter_mut().zip(sums) {
                whole.as_mut_ptr().cast::<[T::Vector<S>; W]>().write_unaligned(*sum);
            }
            for (r, whole) in whole.iter().enumerate() {
                let c = target.c.wrapping_add(r * target.row);
                for (j, &sum) in whole.iter().enumerate().take(target.columns) {
                    let c = c.add(j);
                    c.write(if target.add { c.read() + sum } else { sum });
                }
            }
        }
    }
}

/// `a + b`, vector by vector.
#[inline(always)]
fn added<S: Simd, T: Float, const W: usize>(
    simd: S,
    mut a: [T::Vector<S>; W],
    b: [T::Vector<S>; W],
) -> [T::Vector<S>; W] {
    for (a, b) in a.iter_mut().zip(b) {
        *a = T::plus(simd, *a, b);
    }
    a
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulp::{Arch, WithSimd};

    use super::*;

    /// One micro-tile of packed operands.
    struct Tile<'a, T> {
        rows: usize,
        columns: usize,
        steps: usize,
        add: bool,
        a: &'a [T],
        b: &'a [T],
        c: &'a mut [T],
    }

    impl<T: Float> WithSimd for Tile<'_, T> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            // Packed, as a panel is: element r of a step is that of row r.
            let half = self.rows / 2;
            let panel = |first: usize| self.a[first * self.steps..].as_ptr();
            let packed = |rows: usize| Operands {
                rows: std::array::from_fn(|r| panel(0).wrapping_add(r)),
                a_step: rows,
                a_run: 0,
                b: self.b.as_ptr(),
                b_step: T::COLUMNS,
                b_run: 0,
                steps: self.steps,
                runs: 1,
            };
            let target = Target { c: self.c.as_mut_ptr(), row: T::COLUMNS, columns: self.columns, add: self.add };
            // SAFETY: A has `steps` elements in each of 12 rows, B a whole strip a step, C a whole strip a row.
            unsafe {
                if self.rows <= ROWS {
                    micro_tile(simd, self.rows, &packed(self.rows), &target);
                } else if takes_two_panels::<S, T>() {
                    let rows = std::array::from_fn(|r| panel(r.min(1) * half));
                    micro_tile_of_two(simd, half, &Operands { rows, ..packed(half) }, &target);
                } else {
                    micro_tile(simd, half, &packed(half), &target);
                    let rows = std::array::from_fn(|r| panel(half).wrapping_add(r));
                    let c = target.c.wrapping_add(half * T::COLUMNS);
                    micro_tile(simd, half, &Operands { rows, ..packed(half) }, &Target { c, ..target });
                }
            }
        }
    }

    /// The tile by an instruction set, from numbers that round in every step.
    fn tile<T: Float>(
        arch: Arch,
        [rows, columns, steps]: [usize; 3],
        add: bool,
        number: impl Fn(usize) -> T,
    ) -> Vec<T> {
        let numbers = |count: usize, from: usize| (from..from + count).map(&number).collect::<Vec<T>>();
        let (a, b, mut c) =
            (numbers(MOST_ROWS * steps, 1), numbers(T::COLUMNS * steps, 7), numbers(MOST_ROWS * T::COLUMNS, 3));
        arch.dispatch(Tile { rows, columns, steps, add, a: &a, b: &b, c: &mut c });
        c
    }

    proptest! {
        /// The vectors of this machine give the bits of one element at a time.
        #[test]
        fn vectors_and_scalars_agree(
            rows in (1..=9_usize).prop_map(|r| if r <= ROWS { r } else { 2 * r - 6 }), columns in 1_usize..=16, steps in 1_usize..70, add in any::<bool>(), seed in 0_usize..1000,
        ) {
            let number = |i: usize| ((i + seed) as f64 * 0.618_033_988_75).fract() - 0.4;
            let single = |arch| tile(arch, [rows, columns, steps], add, |i| number(i) as f32);
            let (fast, slow) = (single(Arch::new()), single(Arch::Scalar));
            prop_assert!(fast.iter().zip(&slow).all(|(a, b)| a.to_bits() == b.to_bits()), "{fast:?}\n{slow:?}");
            let double = |arch| tile(arch, [rows, columns.min(8), steps], add, number);
            let (fast, slow) = (double(Arch::new()), double(Arch::Scalar));
            prop_assert!(fast.iter().zip(&slow).all(|(a, b)| a.to_bits() == b.to_bits()), "{fast:?}\n{slow:?}");
        }
    }
}
