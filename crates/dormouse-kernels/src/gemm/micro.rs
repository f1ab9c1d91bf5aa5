//! The micro-kernel: some rows of A times one strip of B, summed in registers. It is a file of its own because
//! the matrix product and the convolutions call the same code and differ only in the addresses that they give it.

use dormouse_value::Element;
use pulp::Simd;

use crate::prefetch;

/// Rows of a panel at most: with two vectors a row, 12 accumulators and 4 free registers out of AVX2's 16.
pub(crate) const ROWS: usize = 6;

/// Rows of a micro-tile at most: two panels, where a row is one vector and there are 32 registers, as AVX-512 has.
pub(crate) const MOST_ROWS: usize = 2 * ROWS;

/// Panels of a micro-tile at most.
pub(crate) const MOST_PANELS: usize = 2;

/// Strips of a micro-tile at most.
pub(crate) const MOST_STRIPS: usize = 2;

/// Whether a strip is one vector under an instruction set, so that a micro-tile takes two panels and two strips.
pub(crate) const fn takes_two<S: Simd, T: Float>() -> bool {
    size_of::<T::Vector<S>>() == 64
}

/// Steps of which B is fetched ahead where its rows lie apart: the machine does not foresee them.
pub(super) const AHEAD: usize = 16;

/// Steps from which on it pays to take two strips, and to fetch C while the sums are made; below, time goes into storing them.
pub(super) const LONG: usize = 64;

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

/// What a micro-tile multiplies: in each step, one element of every row of A times one row of B.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operands<T> {
    /// Where the first row of each panel of A begins; only as many are read as the micro-tile has panels.
    pub panels: [*const T; MOST_PANELS],
    /// Elements between two rows of a panel; 1 where it is packed.
    pub a_line: usize,
    /// Elements of A between two steps.
    pub a_step: usize,
    /// Where each strip of B begins; only as many are read as the micro-tile has strips.
    pub strips: [*const T; MOST_STRIPS],
    /// Elements of B between two steps; [`Float::COLUMNS`] in a packed strip.
    pub b_step: usize,
    /// Steps.
    pub steps: usize,
}

/// How many panels, rows of each, and strips a micro-tile takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    /// 1, or 2 where it [`takes_two`].
    pub panels: usize,
    /// 1 to [`ROWS`].
    pub rows: usize,
    /// 1, or 2 where it [`takes_two`].
    pub strips: usize,
}

/// Where a micro-tile's sums go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<T> {
    /// The first element.
    pub c: *mut T,
    /// Elements between two rows.
    pub row: usize,
    /// Columns that are written: up to [`Float::COLUMNS`] of the last strip, all of those before.
    pub columns: usize,
    /// Whether the sums are added to what is there.
    pub add: bool,
}

/// `C[i, j] = Σ A[i, p] · B[p, j]`, `[rows, p] × [p, columns]`, with p in order and every step fused.
///
/// The bits depend on the order of the steps alone: not on the vector width, the counts, or the strides.
///
/// # Safety
/// The counts are as [`Counts`] says. For every step, the elements of A in the rows of each panel and `COLUMNS` elements of B
/// in each strip are readable. `target.columns` elements in each of `panels · rows` rows at `target` are writable,
/// initialized if `add` says so, and touched by nobody else meanwhile.
#[inline(always)]
pub(crate) unsafe fn micro_tile<S: Simd, T: Float>(
    simd: S,
    counts: Counts,
    operands: &Operands<T>,
    target: &Target<T>,
) {
    macro_rules! of_rows {
        ($panels:literal, $strips:literal, $width:literal, $far:literal) => {
            // SAFETY: the caller's contract; the matches hand the counts to the code for those counts, and the width is that
            // of a strip in vectors.
            unsafe {
                match counts.rows {
                    6 => of_size::<S, T, $panels, 6, $strips, $width, $far>(simd, operands, target),
                    5 => of_size::<S, T, $panels, 5, $strips, $width, $far>(simd, operands, target),
                    4 => of_size::<S, T, $panels, 4, $strips, $width, $far>(simd, operands, target),
                    3 => of_size::<S, T, $panels, 3, $strips, $width, $far>(simd, operands, target),
                    2 => of_size::<S, T, $panels, 2, $strips, $width, $far>(simd, operands, target),
                    _ => of_size::<S, T, $panels, 1, $strips, $width, $far>(simd, operands, target),
                }
            }
        };
    }
    debug_assert!((1..=ROWS).contains(&counts.rows) && target.columns <= counts.strips * T::COLUMNS);
    debug_assert!(takes_two::<S, T>() || (counts.panels, counts.strips) == (1, 1));
    match const { 64 / size_of::<T::Vector<S>>() } {
        1 => match (counts.panels, counts.strips) {
            (2, 2) if operands.b_step > T::COLUMNS => of_rows!(2, 2, 1, true),
            (2, 2) => of_rows!(2, 2, 1, false),
            (2, _) => of_rows!(2, 1, 1, false),
            (_, 2) if operands.b_step > T::COLUMNS => of_rows!(1, 2, 1, true),
            (_, 2) => of_rows!(1, 2, 1, false),
            (_, _) => of_rows!(1, 1, 1, false),
        },
        2 => of_rows!(1, 1, 2, false),
        4 => of_rows!(1, 1, 4, false),
        8 => of_rows!(1, 1, 8, false),
        _ => of_rows!(1, 1, 16, false),
    }
}

/// [`micro_tile`] of `P` panels of `R` rows and `N` strips, where a strip is `W` vectors wide and its rows lie `FAR` apart.
///
/// # Safety
/// As [`micro_tile`], with these counts and `W` vectors in 64 bytes.
#[inline(always)]
unsafe fn of_size<
    S: Simd,
    T: Float,
    const P: usize,
    const R: usize,
    const N: usize,
    const W: usize,
    const FAR: bool,
>(
    simd: S,
    operands: &Operands<T>,
    target: &Target<T>,
) {
    if operands.steps >= LONG {
        (0..P * R).for_each(|r| fetch::<T, N>(target.c.wrapping_add(r * target.row)));
    }
    let packed = operands.b_step == T::COLUMNS;
    // SAFETY: the caller's contract, with the strides that it gives.
    let sums = unsafe {
        if R == ROWS && packed && (operands.a_line, operands.a_step) == (1, R) {
            let operands = Operands { a_line: 1, a_step: R, b_step: T::COLUMNS, ..*operands };
            sums::<S, T, P, R, N, W, UNROLLED, false>(simd, &operands)
        } else if R == ROWS && packed && operands.a_step == 1 {
            let operands = Operands { a_step: 1, b_step: T::COLUMNS, ..*operands };
            sums::<S, T, P, R, N, W, UNROLLED, false>(simd, &operands)
        } else {
            sums::<S, T, P, R, N, W, 1, FAR>(simd, operands)
        }
    };
    // SAFETY: the caller lets R rows of C be written for each panel, and read if `add` says so.
    unsafe {
        store::<S, T, R, N, W>(simd, &sums[0], target);
        if P == 2 {
            let c = target.c.wrapping_add(R * target.row);
            store::<S, T, R, N, W>(simd, &sums[P - 1], &Target { c, ..*target });
        }
    }
}

/// The sums of [`of_size`], with `U` steps in one piece. Strides that the caller knows are compiled into the addresses: such a
/// step takes hardly more than its multiplications.
///
/// # Safety
/// As [`of_size`].
#[inline(always)]
unsafe fn sums<
    S: Simd,
    T: Float,
    const P: usize,
    const R: usize,
    const N: usize,
    const W: usize,
    const U: usize,
    const FAR: bool,
>(
    simd: S,
    operands: &Operands<T>,
) -> [[Row<T::Vector<S>, N, W>; R]; P] {
    let mut sums = [[[[T::splat(simd, T::default()); W]; N]; R]; P];
    let mut at = Place {
        panels: std::array::from_fn(|p| operands.panels[p]),
        strips: std::array::from_fn(|n| operands.strips[n]),
        a_line: operands.a_line,
        a_step: operands.a_step,
        b_step: operands.b_step,
    };
    // SAFETY: the caller's contract; so many steps there are.
    unsafe {
        for _ in 0..operands.steps / U {
            at.step::<S, R, W, FAR>(simd, 0, &mut sums);
            if U == UNROLLED {
                at.step::<S, R, W, FAR>(simd, 1, &mut sums);
                at.step::<S, R, W, FAR>(simd, 2, &mut sums);
                at.step::<S, R, W, FAR>(simd, 3, &mut sums);
            }
            at.advance(U);
        }
        for _ in 0..operands.steps % U {
            at.step::<S, R, W, FAR>(simd, 0, &mut sums);
            at.advance(1);
        }
    }
    sums
}

/// A row of a micro-tile: `N` strips of `W` vectors.
type Row<V, const N: usize, const W: usize> = [[V; W]; N];

/// Steps in one piece where strides are known; where those of B are not, registers for their multiples are wanting.
const UNROLLED: usize = 4;

/// A row of a panel to count from beside the first: no row is more than two lines from one of them.
const MIDDLE: usize = ROWS / 2;

/// Where the sums have come to.
struct Place<T, const P: usize, const N: usize> {
    panels: [*const T; P],
    strips: [*const T; N],
    a_line: usize,
    a_step: usize,
    b_step: usize,
}

impl<T: Float, const P: usize, const N: usize> Place<T, P, N> {
    /// Adds the products of the step that is so far ahead, and begins to fetch of rows of B that lie `FAR` apart.
    ///
    /// # Safety
    /// As [`of_size`]; there is such a step.
    #[inline(always)]
    unsafe fn step<S: Simd, const R: usize, const W: usize, const FAR: bool>(
        &self,
        simd: S,
        ahead: usize,
        sums: &mut [[Row<T::Vector<S>, N, W>; R]; P],
    ) {
        let lines = self.strips.map(|strip| {
            let line = strip.wrapping_add(ahead * self.b_step);
            if FAR {
                fetch::<T, 1>(line.wrapping_add(AHEAD * self.b_step));
            }
            // SAFETY: the caller lets COLUMNS elements of B, W vectors, be read at every step of a strip.
            unsafe { line.cast::<[T::Vector<S>; W]>().read_unaligned() }
        });
        for (sums, panel) in sums.iter_mut().zip(self.panels) {
            let panel = panel.wrapping_add(ahead * self.a_step);
            let places = [panel, panel.wrapping_add(MIDDLE * self.a_line)];
            for (r, sums) in sums.iter_mut().enumerate() {
                // SAFETY: the caller lets R rows of each panel be read at every step.
                let a = unsafe { *places[r / MIDDLE].wrapping_add(r % MIDDLE * self.a_line) };
                let a = T::splat(simd, a);
                for (sum, line) in sums.as_flattened_mut().iter_mut().zip(lines.as_flattened()) {
                    *sum = T::mul_add(simd, a, *line, *sum);
                }
            }
        }
    }

    /// Goes so many steps on.
    #[inline(always)]
    fn advance(&mut self, steps: usize) {
        self.panels = self.panels.map(|panel| panel.wrapping_add(steps * self.a_step));
        self.strips = self.strips.map(|strip| strip.wrapping_add(steps * self.b_step));
    }
}

/// Begins to fetch what `N` strips from `row` on hold into the first-level cache.
#[inline(always)]
pub(super) fn fetch<T: Float, const N: usize>(row: *const T) {
    for n in 0..N {
        prefetch::line(row.wrapping_add(n * T::COLUMNS).cast());
    }
}

/// Writes rows of sums to where the target begins, or adds them.
///
/// The ways are apart, each a short loop over rows that is unrolled: else the sums would live in memory, not in registers.
///
/// # Safety
/// `target.columns` elements are writable in each of `R` rows, and initialized if `add` says so.
#[inline(always)]
unsafe fn store<S: Simd, T: Float, const R: usize, const N: usize, const W: usize>(
    simd: S,
    sums: &[[[T::Vector<S>; W]; N]; R],
    target: &Target<T>,
) {
    let row = |r: usize| target.c.wrapping_add(r * target.row).cast::<[[T::Vector<S>; W]; N]>();
    // SAFETY: the caller lets COLUMNS elements, W vectors, be written for each strip of a row, and read if `add` says so. A
    // strip cut short by the matrix's edge goes by way of a whole one beside it, which holds the widest strip: W vectors and
    // `columns` elements both fit.
    unsafe {
        if target.columns == N * T::COLUMNS && target.add {
            for (r, sums) in sums.iter().enumerate() {
                let mut line = row(r).read_unaligned();
                for (c, sum) in line.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
                    *c = T::plus(simd, *c, *sum);
                }
                row(r).write_unaligned(line);
            }
        } else if target.columns == N * T::COLUMNS {
            for (r, sums) in sums.iter().enumerate() {
                row(r).write_unaligned(*sums);
            }
        } else {
            let mut whole = [[[T::default(); WIDEST]; N]; R];
            for (whole, sums) in whole.iter_mut().zip(sums) {
                for (whole, sum) in whole.iter_mut().zip(sums) {
                    whole.as_mut_ptr().cast::<[T::Vector<S>; W]>().write_unaligned(*sum);
                }
            }
            for (r, whole) in whole.iter().enumerate() {
                let c = target.c.wrapping_add(r * target.row);
                let sums = whole.iter().flat_map(|strip| &strip[..T::COLUMNS]);
                for (j, &sum) in sums.enumerate().take(target.columns) {
                    let c = c.add(j);
                    c.write(if target.add { c.read() + sum } else { sum });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulp::{Arch, WithSimd};

    use super::*;

    /// One micro-tile of packed operands: of whole strips, where it is not the last.
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
            let rows = if self.rows <= ROWS { self.rows } else { self.rows / 2 };
            let (panels, strips) = (self.rows / rows, self.columns.div_ceil(T::COLUMNS));
            let counts = if takes_two::<S, T>() { [panels, strips] } else { [1, 1] };
            for (p, n) in
                (0..panels).step_by(counts[0]).flat_map(|p| (0..strips).step_by(counts[1]).map(move |n| (p, n)))
            {
                let operands = Operands {
                    panels: [p, p + 1].map(|p| self.a.as_ptr().wrapping_add(p * rows * self.steps)),
                    a_line: 1,
                    a_step: rows,
                    strips: [n, n + 1].map(|n| self.b.as_ptr().wrapping_add(n * self.steps * T::COLUMNS)),
                    b_step: T::COLUMNS,
                    steps: self.steps,
                };
                let row = 2 * T::COLUMNS;
                let columns = (self.columns - n * T::COLUMNS).min(counts[1] * T::COLUMNS);
                let c = self.c.as_mut_ptr().wrapping_add(p * rows * row + n * T::COLUMNS);
                let target = Target { c, row, columns, add: self.add };
                // SAFETY: A has `steps` elements in each of 12 rows, B two whole strips a step, C two whole strips a row.
                unsafe { micro_tile(simd, Counts { panels: counts[0], rows, strips: counts[1] }, &operands, &target) };
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
            (numbers(MOST_ROWS * steps, 1), numbers(2 * T::COLUMNS * steps, 7), numbers(MOST_ROWS * 2 * T::COLUMNS, 3));
        arch.dispatch(Tile { rows, columns, steps, add, a: &a, b: &b, c: &mut c });
        c
    }

    proptest! {
        /// The vectors of this machine give the bits of one element at a time.
        #[test]
        fn vectors_and_scalars_agree(
            rows in (1..=9_usize).prop_map(|r| if r <= ROWS { r } else { 2 * r - 6 }), columns in 1_usize..=32, steps in 1_usize..70, add in any::<bool>(), seed in 0_usize..1000,
        ) {
            let number = |i: usize| ((i + seed) as f64 * 0.618_033_988_75).fract() - 0.4;
            let single = |arch| tile(arch, [rows, columns, steps], add, |i| number(i) as f32);
            let (fast, slow) = (single(Arch::new()), single(Arch::Scalar));
            prop_assert!(fast.iter().zip(&slow).all(|(a, b)| a.to_bits() == b.to_bits()), "{fast:?}\n{slow:?}");
            let double = |arch| tile(arch, [rows, columns.min(16), steps], add, number);
            let (fast, slow) = (double(Arch::new()), double(Arch::Scalar));
            prop_assert!(fast.iter().zip(&slow).all(|(a, b)| a.to_bits() == b.to_bits()), "{fast:?}\n{slow:?}");
        }
    }
}
