//! The order in which elements are combined: lanes within a block, blocks in order.
//!
//! Apart from tiles and shapes, since the fixed order is what makes results the same on every machine. All functions
//! here are inlined into a caller compiled for the machine's vectors; lanes are explicit, so the width of those
//! vectors changes speed and no bit.

use super::fold::Fold;

/// Elements of a row's block, combined in lanes before they meet a wider accumulator.
pub(crate) const BLOCK: usize = 1024;
/// Lanes of a block.
const LANES: usize = 32;
/// Lanes of rows too short to fill more.
const FEW_LANES: usize = 8;
/// Rows below this length take few lanes.
const SHORT: usize = 64;
/// Rows of a block of columns: what a lane of a row's block takes.
pub(crate) const BLOCK_ROWS: usize = BLOCK / LANES;
/// Rows of columns combined pairwise before they meet their accumulator.
const GROUP_ROWS: usize = 8;

/// The elements of a contiguous row of any length.
#[inline(always)]
pub(crate) fn row<F: Fold>(x: &[F::In]) -> F::Wide {
    let blocks = x.chunks(BLOCK).map(|block| block_of_row::<F>(block, x.len()));
    blocks.fold(F::NONE, |total, block| F::combine_wide(total, block))
}

/// One block, at most [`BLOCK`] elements, of a row of `len` elements.
#[inline(always)]
pub(crate) fn block_of_row<F: Fold>(x: &[F::In], len: usize) -> F::Wide {
    F::widen(if len < SHORT { block::<F, FEW_LANES>(x) } else { block::<F, LANES>(x) })
}

#[inline(always)]
fn block<F: Fold, const N: usize>(x: &[F::In]) -> F::Lane {
    let mut lanes = [F::EMPTY; N];
    let (chunks, rest) = x.as_chunks::<N>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = F::combine(*lane, F::load(x));
        }
    }
    if !rest.is_empty() {
        let mut last = [F::EMPTY; N];
        for (lane, &x) in last.iter_mut().zip(rest) {
            *lane = F::load(x);
        }
        for (lane, &x) in lanes.iter_mut().zip(&last) {
            *lane = F::combine(*lane, x);
        }
    }
    let mut width = N / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = F::combine(lanes[i], lanes[i + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// Columns of a matrix whose rows lie `stride` apart: column j is combined into `totals[j]`, of which there are at
/// most `W`. The matrix ends with the last row's last of these columns, or later.
#[inline(always)]
pub(crate) fn columns<F: Fold, const W: usize>(x: &[F::In], rows: usize, stride: usize, totals: &mut [F::Wide]) {
    let width = totals.len();
    let row = |r: usize| &x[r * stride..][..width];
    let mut lanes = [F::EMPTY; W];
    let lanes = &mut lanes[..width];
    for first in (0..rows).step_by(BLOCK_ROWS) {
        let end = rows.min(first + BLOCK_ROWS);
        let grouped = first + (end - first) / GROUP_ROWS * GROUP_ROWS;
        lanes.fill(F::EMPTY);
        for r in (first..grouped).step_by(GROUP_ROWS) {
            let rows: [&[F::In]; GROUP_ROWS] = std::array::from_fn(|i| row(r + i));
            for (j, lane) in lanes.iter_mut().enumerate() {
                let at = |i: usize| F::load(rows[i][j]);
                let low = F::combine(F::combine(at(0), at(1)), F::combine(at(2), at(3)));
                let high = F::combine(F::combine(at(4), at(5)), F::combine(at(6), at(7)));
                *lane = F::combine(*lane, F::combine(low, high));
            }
        }
        for r in grouped..end {
            for (lane, &x) in lanes.iter_mut().zip(row(r)) {
                *lane = F::combine(*lane, F::load(x));
            }
        }
        for (total, &lane) in totals.iter_mut().zip(&*lanes) {
            *total = F::combine_wide(*total, F::widen(lane));
        }
    }
}
