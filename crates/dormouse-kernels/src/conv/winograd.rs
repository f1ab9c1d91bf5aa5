//! Winograd's convolutions: squares of 4 × 4 results from products at 6 × 6 points for 3 × 3 taps, and at 8 × 8 points for
//! 5 × 5 taps, where the direct sum takes 4 and 6¼ times as many. They round otherwise, with errors some ten times as large.
//!
//! Of each axis of a square, the `CELLS` source cells are transformed to as many points, where the channels of all squares
//! are multiplied with the filter's by the matrix product's micro-kernel; and back. What comes out not finite is computed
//! again by the definition: an infinity would else spread over its square.

#![allow(clippy::cast_ptr_alignment, reason = "the buffers of kernels are aligned to 64")]

mod correlate;
mod filter_grad;
mod transform;

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::correlate::Sum;
use super::filter_grad::Channels;
use super::geometry::Axis;
use super::lattice::Lattice;
use crate::gemm::micro::{Counts, Float, MOST_PANELS, MOST_STRIPS, Operands, ROWS, Target, micro_tile, takes_two};
use crate::{Args, Cost, Kernel};

use self::transform::{Points, Source, ThreePairs, TwoPairs, parts, squares};

/// Results of a square along each axis.
const STEP: usize = 4;
/// Elements of a vector of channels that is transformed at once, whatever the vector width.
const LANES: usize = f32::COLUMNS;
/// Squares from which on it pays.
const FEWEST: usize = 64;
/// Bytes of the transformed squares that a tile works on, about.
const BLOCK_BYTES: usize = 1 << 20;
/// Groups of blocks of which a filter's gradient is summed, at most; half as many blocks as a convolution should have.
const GROUPS: usize = 8;
/// Rows of a micro-tile, of which the squares of a tile are a multiple.
const PAIR: usize = MOST_PANELS * ROWS;
/// Elements between the matrices of two points beyond their own, which keeps them from falling on the same sets of a cache.
const GAP: usize = 16;

/// Where the squares of one image lie.
#[derive(Clone, Copy, Debug)]
struct Plane {
    images: usize,
    /// Source cell of the first square's first cell, along each axis.
    origin: [isize; 2],
    sources: [usize; 2],
    results: [usize; 2],
    /// Squares along each axis.
    squares: [usize; 2],
    /// Squares that a tile takes together.
    together: usize,
}

/// One square.
#[derive(Clone, Copy, Debug)]
struct Place {
    image: usize,
    /// First result along each axis.
    first: [usize; 2],
}

impl Plane {
    /// The plane of an axis down and one across, each with all of its taps and a pace of one cell. A transformed square has so
    /// many bytes, and there should be so many blocks. `None` where squares would be too few, or would reach too far beyond the results.
    fn new(images: usize, axes: [&Lattice; 2], taps: usize, (bytes, blocks): (usize, usize)) -> Option<Self> {
        let plain = |axis: &&Lattice| axis.step == 1 && axis.pace == 1 && axis.classes.len() == 1;
        if !axes.iter().all(plain) {
            return None;
        }
        let whole = |axis: &Lattice| {
            let ends = &axis.classes[0].taps;
            let near = ends.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0);
            near && ends.len() == taps && axis.classes[0].count == axis.results && axis.results >= STEP
        };
        if !axes.iter().all(|axis| whole(axis)) {
            return None;
        }
        let origin = axes.map(|axis| axis.classes[0].taps[0].0);
        let (sources, results) = (axes.map(|axis| axis.sources), axes.map(|axis| axis.results));
        let squares = results.map(|n| n.div_ceil(STEP));
        let all = images * squares[0] * squares[1];
        let fits = squares[0] * squares[1] * STEP * STEP * 2 <= results[0] * results[1] * 3;
        if all < FEWEST || !fits {
            return None;
        }
        let most = (BLOCK_BYTES / bytes.max(1)).clamp(2 * PAIR, 8 * PAIR);
        let together = (most.min(all / blocks) / PAIR * PAIR).max(PAIR);
        Some(Plane { images, origin, sources, results, squares, together })
    }

    fn all(&self) -> usize {
        self.images * self.squares[0] * self.squares[1]
    }

    fn blocks(&self) -> usize {
        self.all().div_ceil(self.together)
    }

    /// The squares of a block.
    fn block(&self, block: usize) -> Range<usize> {
        block * self.together..((block + 1) * self.together).min(self.all())
    }

    fn place(&self, square: usize) -> Place {
        let (rest, column) = (square / self.squares[1], square % self.squares[1]);
        Place { image: rest / self.squares[0], first: [rest % self.squares[0] * STEP, column * STEP] }
    }

    /// Results of a square along each axis.
    fn limits(&self, place: Place) -> [usize; 2] {
        std::array::from_fn(|axis| (self.results[axis] - place.first[axis]).min(STEP))
    }
}

/// The matrices of all points of a block: elements of one, and how many rows and columns it has.
fn matrix(rows: usize, columns: usize) -> usize {
    rows * columns + GAP
}

/// Where `N` × `N` cells from `first` on begin, of an image of `extent` cells that begins at `from`, and how far rows and
/// columns lie apart: in the image, or, where they reach beyond it, in a copy at `copy` with zeros there.
///
/// # Safety
/// The image has `channels` elements a cell; `copy` has room for all cells, which nobody else touches.
#[inline(always)]
unsafe fn window<const N: usize>(
    from: *const f32,
    extent: [usize; 2],
    first: [isize; 2],
    channels: usize,
    copy: *mut f32,
) -> (*const f32, [usize; 2]) {
    let inside = |axis: usize| first[axis] >= 0 && first[axis] as usize + N <= extent[axis];
    if inside(0) && inside(1) {
        let cell = first[0] as usize * extent[1] + first[1] as usize;
        return (from.wrapping_add(cell * channels), [extent[1] * channels, channels]);
    }
    let before = usize::try_from(-first[1]).unwrap_or(0).min(N);
    let end = usize::try_from(extent[1] as isize - first[1]).unwrap_or(0).min(N).max(before);
    for i in 0..N {
        let to = copy.wrapping_add(i * N * channels);
        let row = usize::try_from(first[0] + i as isize).ok().filter(|row| *row < extent[0] && before < end);
        // SAFETY: the cells from `before` to `end` of a row within the image are its own; the copy has room for all cells.
        unsafe {
            let Some(row) = row else {
                to.write_bytes(0, N * channels);
                continue;
            };
            let cell = row * extent[1] + (first[1] + before as isize) as usize;
            to.write_bytes(0, before * channels);
            from.add(cell * channels).copy_to_nonoverlapping(to.add(before * channels), (end - before) * channels);
            to.add(end * channels).write_bytes(0, (N - end) * channels);
        }
    }
    (copy.cast_const(), [N * channels, channels])
}

/// The source squares of a block at their points: `to` is `[points, squares, channels]`, matrices `matrix` elements apart.
///
/// # Safety
/// The source is that of the plane, with `channels` elements a cell, a multiple of [`LANES`]; `to` and `copy` have room, and
/// nobody else touches them.
#[inline(always)]
unsafe fn transform_sources<S: Simd, P: Points, const CELLS: usize>(
    simd: S,
    plane: &Plane,
    block: Range<usize>,
    (source, channels): (*const f32, usize),
    (to, matrix): (*mut f32, usize),
    copy: *mut f32,
) {
    let lanes = size_of::<S::f32s>() / size_of::<f32>();
    for (row, place) in block.map(|square| plane.place(square)).enumerate() {
        let image = source.wrapping_add(place.image * plane.sources[0] * plane.sources[1] * channels);
        let first = std::array::from_fn(|axis| plane.origin[axis] + place.first[axis] as isize);
        // SAFETY: the caller's contract.
        let (from, steps) = unsafe { window::<CELLS>(image, plane.sources, first, channels, copy) };
        for (channel, count) in parts(channels, lanes) {
            let from = (from.wrapping_add(channel), steps);
            let to = (to.wrapping_add(row * channels + channel), [CELLS * matrix, matrix]);
            // SAFETY: all cells of the window are readable, all points of the square's row writable.
            unsafe { squares::<S, Source<P>, CELLS, CELLS>(simd, count, from, to) };
        }
    }
}

/// Operands of the product at one point, and where it goes.
struct AtPoint {
    /// The first element of A, elements between its rows, and between its steps.
    a: (*const f32, usize, usize),
    rows: usize,
    /// The first strip of B, elements between strips, and between steps.
    b: (*const f32, usize, usize),
    steps: usize,
    /// Elements of a row of C are whole strips.
    c: *mut f32,
    columns: usize,
    add: bool,
}

/// The product at one point.
///
/// # Safety
/// The operands are readable and C writable over these extents.
#[inline(always)]
unsafe fn multiply<S: Simd>(simd: S, at: &AtPoint) {
    let panels = at.rows.div_ceil(ROWS);
    let strips = at.columns / LANES;
    let start = |panel: usize| panel * at.rows / panels;
    let mut strip = 0;
    while strip < strips {
        let two_strips = takes_two::<S, f32>() && strip + 1 < strips;
        let together = if two_strips { MOST_STRIPS } else { 1 };
        let mut panel = 0;
        while panel < panels {
            let (from, to) = (start(panel), start(panel + 1));
            let both = takes_two::<S, f32>() && panel + 1 < panels && start(panel + 2) - to == to - from;
            let first = at.a.0.wrapping_add(from * at.a.1);
            let strips = [strip, strip + 1].map(|strip| at.b.0.wrapping_add(strip * at.b.1));
            let operands = Operands {
                panels: [first, first.wrapping_add((to - from) * at.a.1)],
                a_line: at.a.1,
                a_step: at.a.2,
                strips,
                b_step: at.b.2,
                steps: at.steps,
            };
            let counts = Counts { panels: if both { MOST_PANELS } else { 1 }, rows: to - from, strips: together };
            let target = Target {
                c: at.c.wrapping_add(from * at.columns + strip * LANES),
                row: at.columns,
                columns: together * LANES,
                add: at.add,
            };
            // SAFETY: the caller's contract.
            unsafe { micro_tile(simd, counts, &operands, &target) };
            panel += if both { MOST_PANELS } else { 1 };
        }
        strip += together;
    }
}

/// Whether any lane is NaN: a sum of results times 0 is, where one of them is not finite.
#[inline(always)]
fn any_nan<S: Simd>(x: S::f32s) -> bool {
    let lanes = size_of::<S::f32s>() / size_of::<f32>();
    // SAFETY: a vector is plain elements.
    let lanes = unsafe { std::slice::from_raw_parts(std::ptr::from_ref(&x).cast::<f32>(), lanes) };
    lanes.iter().any(|x| x.is_nan())
}

/// Code of tiles that is compiled for each instruction set.
trait Tiles {
    /// Runs one tile of one phase.
    ///
    /// # Safety
    /// As [`Body::run`](crate::Body::run).
    unsafe fn run_tile<S: Simd>(&self, simd: S, args: &Args<'_>, phase: usize, tile: usize);
}

/// One tile of one phase.
struct Tile<'a, 'b, C> {
    code: &'a C,
    args: &'a Args<'b>,
    phase: usize,
    index: usize,
}

impl<C: Tiles> WithSimd for Tile<'_, '_, C> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // SAFETY: `Body::run`, the only one who makes a `Tile`, has the contract from its caller.
        unsafe { self.code.run_tile(simd, self.args, self.phase, self.index) }
    }
}

/// The kernel of a sum over taps of one group of `f32` channels, where it pays.
pub(super) fn correlation(sum: &Sum, lattices: &[Lattice; 3], cost: Cost) -> Option<Kernel> {
    match sum.taps {
        [1, 3, 3] => correlate::kernel::<TwoPairs, 6, 3>(sum, lattices, cost),
        [1, 5, 5] => correlate::kernel::<ThreePairs, 8, 5>(sum, lattices, cost),
        _ => None,
    }
}

/// The kernel of a filter's gradient, of `f32`, where it pays.
pub(super) fn filter_gradient(images: usize, channels: Channels, axes: &[Axis; 3], cost: Cost) -> Option<Kernel> {
    match axes.map(|axis| axis.taps) {
        [1, 3, 3] => filter_grad::kernel::<TwoPairs, 6, 3>(images, channels, axes, cost),
        [1, 5, 5] => filter_grad::kernel::<ThreePairs, 8, 5>(images, channels, axes, cost),
        _ => None,
    }
}
