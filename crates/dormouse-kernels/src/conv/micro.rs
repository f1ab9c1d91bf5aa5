//! The inner loops: a few rows times one strip of columns, held in registers. Everything else in this family decides
//! which pointers these loops get.
//!
//! They differ from the matrix product's in what a row is: any list of runs of source elements, and a place of its own
//! in the result, so that strides, dilations and borders cost nothing here. Each element is one chain of fused
//! multiply-adds in the order of the inner axis, so vector width and code path do not change a bit.

#![allow(
    clippy::needless_range_loop,
    reason = "the blocks stay in registers where their indices are those of unrolled loops"
)]

use pulp::Simd;

pub(super) use crate::gemm::micro::{Float, MOST_ROWS, ROWS};

/// Elements that lie one after the other in each row, `start` from the row's pointer on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Elements from the row's pointer.
    pub(super) start: usize,
    /// How many.
    pub(super) len: usize,
}

/// A register block: `R` rows of a strip in `V` vectors each.
pub(super) type Block<S, T, const R: usize, const V: usize> = [[<T as Float>::Vector<S>; V]; R];

/// Runs an expression with the constant `$V` bound to the vectors that hold a strip of `$T` under `$S`.
macro_rules! with_vectors {
    ($S:ty, $T:ty, $V:ident => $body:expr) => {
        match const { 64 / std::mem::size_of::<<$T as $crate::gemm::micro::Float>::Vector<$S>>() } {
            1 => with_vectors!(@ 1, $V => $body),
            2 => with_vectors!(@ 2, $V => $body),
            4 => with_vectors!(@ 4, $V => $body),
            8 => with_vectors!(@ 8, $V => $body),
            _ => with_vectors!(@ 16, $V => $body),
        }
    };
    (@ $n:literal, $V:ident => $body:expr) => {{
        const $V: usize = $n;
        $body
    }};
}
pub(super) use with_vectors;

/// Rows of a block at most, where a strip is so many vectors.
pub(super) const fn rows_of(vectors: usize) -> usize {
    if vectors == 1 { MOST_ROWS } else { ROWS }
}

/// Runs an expression with the constant `$R` bound to a number of rows: 1 to [`ROWS`], or to [`rows_of`] the vectors `$V`.
macro_rules! with_rows {
    ($rows:expr, $V:ident, $R:ident => $body:expr) => {
        match $rows {
            12 if $V == 1 => with_rows!(@ 12, $R => $body),
            11 if $V == 1 => with_rows!(@ 11, $R => $body),
            10 if $V == 1 => with_rows!(@ 10, $R => $body),
            9 if $V == 1 => with_rows!(@ 9, $R => $body),
            8 if $V == 1 => with_rows!(@ 8, $R => $body),
            7 if $V == 1 => with_rows!(@ 7, $R => $body),
            rows => with_rows!(rows, $R => $body),
        }
    };
    ($rows:expr, $R:ident => $body:expr) => {
        match $rows {
            1 => with_rows!(@ 1, $R => $body),
            2 => with_rows!(@ 2, $R => $body),
            3 => with_rows!(@ 3, $R => $body),
            4 => with_rows!(@ 4, $R => $body),
            5 => with_rows!(@ 5, $R => $body),
            _ => with_rows!(@ 6, $R => $body),
        }
    };
    (@ $n:literal, $R:ident => $body:expr) => {{
        const $R: usize = $n;
        $body
    }};
}
pub(super) use with_rows;

/// The strip of `V` vectors at `p`.
///
/// # Safety
/// [`Float::COLUMNS`] elements can be read at `p`.
#[inline(always)]
pub(super) unsafe fn load<S: Simd, T: Float, const V: usize>(p: *const T) -> [T::Vector<S>; V] {
    // SAFETY: the caller's contract; V vectors are 64 bytes, a strip, and any bits are a vector.
    unsafe { p.cast::<[T::Vector<S>; V]>().read_unaligned() }
}

/// Writes the first `cols` columns of a strip to `p`.
///
/// # Safety
/// `cols` is at most a strip, and as many elements can be written at `p`.
#[inline(always)]
pub(super) unsafe fn store<S: Simd, T: Float, const V: usize>(strip: &[T::Vector<S>; V], p: *mut T, cols: usize) {
    if cols == T::COLUMNS {
        // SAFETY: the caller's contract; V vectors are 64 bytes, a strip.
        unsafe { p.cast::<[T::Vector<S>; V]>().write_unaligned(*strip) }
    } else {
        // SAFETY: the vectors are a strip of plain elements, and `cols` is not more.
        unsafe { std::ptr::copy_nonoverlapping(std::ptr::from_ref(strip).cast::<T>(), p, cols) }
    }
}

/// Writes the first `cols` columns of a block's rows to `to.0`, `to.1` elements apart.
///
/// # Safety
/// `cols` is at most a strip, and as many elements can be written of each row.
#[inline(always)]
pub(super) unsafe fn store_rows<S: Simd, T: Float, const R: usize, const V: usize>(
    block: &Block<S, T, R, V>,
    (to, apart): (*mut T, usize),
    cols: usize,
) {
    // SAFETY: the caller's contract. The ways are apart, each a short loop that is unrolled.
    unsafe {
        if cols == T::COLUMNS {
            for (r, line) in block.iter().enumerate() {
                to.add(r * apart).cast::<[T::Vector<S>; V]>().write_unaligned(*line);
            }
        } else {
            let whole: Block<S, T, R, V> = *block;
            for (r, line) in whole.iter().enumerate() {
                std::ptr::copy_nonoverlapping(std::ptr::from_ref(line).cast::<T>(), to.add(r * apart), cols);
            }
        }
    }
}

/// Rows times a strip: element (r, j) is the sum over the runs' elements k of `rows[r][k] · strip[k][j]`.
///
/// # Safety
/// Each row can be read over all runs, and `strip` holds a line of [`Float::COLUMNS`] elements for each element of them.
#[inline(always)]
pub(super) unsafe fn product<S: Simd, T: Float, const R: usize, const V: usize>(
    simd: S,
    rows: [*const T; R],
    runs: &[Run],
    mut strip: *const T,
) -> Block<S, T, R, V> {
    let mut block = [[T::splat(simd, T::default()); V]; R];
    for run in runs {
        // SAFETY: the caller's contract: rows reach over the run, the strip over one line for each of its elements.
        unsafe {
            let rows = rows.map(|row| row.add(run.start));
            for k in 0..run.len {
                let line = load::<S, T, V>(strip);
                strip = strip.add(T::COLUMNS);
                for (block, row) in block.iter_mut().zip(rows) {
                    let x = T::splat(simd, *row.add(k));
                    for (sum, column) in block.iter_mut().zip(line) {
                        *sum = T::mul_add(simd, x, column, *sum);
                    }
                }
            }
        }
    }
    block
}

/// [`product`] of rows that are `step` elements apart, from `first` on, with two strips.
///
/// # Safety
/// As [`product`], of both strips.
#[inline(always)]
pub(super) unsafe fn product_of_two<S: Simd, T: Float, const R: usize, const V: usize>(
    simd: S,
    (first, step): (*const T, usize),
    runs: &[Run],
    mut strips: [*const T; 2],
) -> [Block<S, T, R, V>; 2] {
    let mut blocks = [[[T::splat(simd, T::default()); V]; R]; 2];
    for run in runs {
        // Two pointers, from which six rows each are reached by multiples of the step: more would not fit the registers.
        let mut near = first.wrapping_add(run.start);
        let mut far = near.wrapping_add(ROWS * step);
        for _ in 0..run.len {
            // SAFETY: the caller's contract: rows reach over the run, the strips over one line for each of its elements.
            unsafe {
                let lines = strips.map(|strip| load::<S, T, V>(strip));
                strips = strips.map(|strip| strip.add(T::COLUMNS));
                for r in 0..R {
                    let row = if r < ROWS { near.wrapping_add(r * step) } else { far.wrapping_add((r - ROWS) * step) };
                    let x = T::splat(simd, *row);
                    for n in 0..2 {
                        for v in 0..V {
                            blocks[n][r][v] = T::mul_add(simd, x, lines[n][v], blocks[n][r][v]);
                        }
                    }
                }
            }
            (near, far) = (near.wrapping_add(1), far.wrapping_add(1));
        }
    }
    blocks
}

/// Adds to `R` lines of strips at each of `sums` the products of `R` neighbours with a line: over `counts[0]` × `counts[1]`
/// positions, of the elements at `x`, `strides` apart, and of the lines of each of `strips`, one after the other.
///
/// # Safety
/// `x` can be read at every position, each of `strips` holds a line for each, and each of `sums` holds `R` lines that may be
/// written.
#[inline(always)]
pub(super) unsafe fn outer<S: Simd, T: Float, const R: usize, const V: usize, const N: usize>(
    simd: S,
    x: *const T,
    counts: [usize; 2],
    strides: [usize; 2],
    mut strips: [*const T; N],
    sums: [*mut T; N],
) {
    // SAFETY: the caller's contract: R lines at each of `sums`.
    let mut blocks: [Block<S, T, R, V>; N] =
        sums.map(|sums| std::array::from_fn(|r| unsafe { load::<S, T, V>(sums.add(r * T::COLUMNS)) }));
    for i in 0..counts[0] {
        for j in 0..counts[1] {
            // SAFETY: the caller's contract: position (i, j) of x, and a line of each strip for each position.
            unsafe {
                let x = x.add(i * strides[0] + j * strides[1]);
                let lines = strips.map(|strip| load::<S, T, V>(strip));
                strips = strips.map(|strip| strip.add(T::COLUMNS));
                for r in 0..R {
                    let x = T::splat(simd, *x.add(r));
                    for n in 0..N {
                        for v in 0..V {
                            blocks[n][r][v] = T::mul_add(simd, x, lines[n][v], blocks[n][r][v]);
                        }
                    }
                }
            }
        }
    }
    for (block, sums) in blocks.iter().zip(sums) {
        for (r, block) in block.iter().enumerate() {
            // SAFETY: the caller's contract: R lines at each of `sums`.
            unsafe { store::<S, T, V>(block, sums.add(r * T::COLUMNS), T::COLUMNS) }
        }
    }
}

/// Lanes times lines, added: element (r, j) gains the sum over k of `rows[r][offsets[k] + j] · lines[k][j]`. A row itself may
/// point anywhere.
///
/// # Safety
/// Each row can be read for [`Float::COLUMNS`] elements at every offset, and `lines` holds as many for each offset.
#[inline(always)]
pub(super) unsafe fn lanes<S: Simd, T: Float, const R: usize, const V: usize>(
    simd: S,
    mut block: Block<S, T, R, V>,
    rows: [*const T; R],
    offsets: &[usize],
    mut lines: *const T,
) -> Block<S, T, R, V> {
    for &offset in offsets {
        // SAFETY: the caller's contract.
        unsafe {
            let line = load::<S, T, V>(lines);
            lines = lines.add(T::COLUMNS);
            for (block, row) in block.iter_mut().zip(rows) {
                let x = load::<S, T, V>(row.wrapping_add(offset));
                for ((sum, x), column) in block.iter_mut().zip(x).zip(line) {
                    *sum = T::mul_add(simd, x, column, *sum);
                }
            }
        }
    }
    block
}

/// Adds to the lines at `sums` the lanes at `x`, `offsets[r]` further for line r, times a line: over `counts[0]` ×
/// `counts[1]` positions, whose lanes are `steps` apart, and whose lines are `pitch` apart.
///
/// # Safety
/// At every position, [`Float::COLUMNS`] elements can be read at each offset and of its line; as many can be written at
/// each of `sums`.
#[inline(always)]
pub(super) unsafe fn outer_lanes<S: Simd, T: Float, const R: usize, const V: usize>(
    simd: S,
    x: *const T,
    offsets: [usize; R],
    [counts, steps]: [[usize; 2]; 2],
    (mut line, pitch): (*const T, usize),
    sums: [*mut T; R],
) {
    // SAFETY: the caller's contract.
    let mut block: Block<S, T, R, V> = sums.map(|sum| unsafe { load::<S, T, V>(sum) });
    for i in 0..counts[0] {
        for j in 0..counts[1] {
            // SAFETY: the caller's contract: position (i, j) of x, and a line for each position.
            unsafe {
                let x = x.add(i * steps[0] + j * steps[1]);
                let dy = load::<S, T, V>(line);
                line = line.add(pitch);
                for (block, offset) in block.iter_mut().zip(offsets) {
                    let x = load::<S, T, V>(x.add(offset));
                    for ((sum, x), dy) in block.iter_mut().zip(x).zip(dy) {
                        *sum = T::mul_add(simd, x, dy, *sum);
                    }
                }
            }
        }
    }
    for (block, sum) in block.iter().zip(sums) {
        // SAFETY: the caller's contract.
        unsafe { store::<S, T, V>(block, sum, T::COLUMNS) }
    }
}
