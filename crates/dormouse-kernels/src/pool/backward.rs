//! What windows give back to the cells under them: bands of image rows, each with all windows that touch it.
//!
//! A tile owns its rows, so nothing is added from two sides: a window over the border of two bands is looked at in both.
//! A cell's sum runs over its windows in their order, as TensorFlow's does.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::{Float, Layout, TILE, tiled};
use crate::conv::geometry::Axis;
use crate::{Args, Body, Cost, Kernel, KernelError};

/// Channels whose largest are kept side by side.
const LANES: usize = 32;

/// dy to the largest cell of each window; operands are x, y, dy.
pub(super) fn max<T: Float>(layout: Layout, cost: Cost) -> Kernel {
    kernel::<Largest<T>>(layout, cost)
}

/// dy evenly to the cells of each window; operands are dy and the like.
pub(super) fn average<T: Float>(layout: Layout, cost: Cost) -> Kernel {
    kernel::<Even<T>>(layout, cost)
}

/// How a window's dy comes to its cells.
trait Spread: Debug + Send + Sync + 'static {
    type T: Float;
    /// The operand that is dy.
    const DY: usize;
    /// The operand that is x, where its numbers matter.
    const X: Option<usize>;
    /// Adds what one window gives to the rows of the image that `band` holds; where `FRESH`, these hold nothing yet.
    fn window<const FRESH: bool>(band: &mut Band<'_, Self::T>, x: &[Self::T], dy: &[Self::T], at: [usize; 2]);
}

/// A sum with one more term.
#[inline(always)]
fn add<T: Float, const FRESH: bool>(sum: &mut T, term: T) {
    // Even a first term is added, so that −0 is 0 either way.
    *sum = if FRESH { T::ZERO } else { *sum } + term;
}

/// Some rows of one image's gradient.
struct Band<'a, T> {
    layout: &'a Layout,
    rows: Range<usize>,
    dx: &'a mut [T],
}

impl<T: Float> Band<'_, T> {
    /// The gradient's elements at a cell, if the band has it.
    #[inline(always)]
    fn cell(&mut self, row: usize, column: usize) -> Option<&mut [T]> {
        let channels = self.layout.channels;
        let start = row.checked_sub(self.rows.start)? * self.layout.row() + column * channels;
        self.dx.get_mut(start..start + channels)
    }
}

#[derive(Debug)]
struct Bands<P> {
    layout: Layout,
    /// Rows of windows that a band starts with.
    windows: usize,
    /// Bands of an image.
    count: usize,
    per_tile: usize,
    /// Whether each cell lies in one window exactly.
    partition: bool,
    arch: Arch,
    spread: PhantomData<P>,
}

fn kernel<P: Spread>(layout: Layout, cost: Cost) -> Kernel {
    let windows = (TILE / layout.pace().max(1)).clamp(1, layout.down.output.max(1));
    let bands = layout.down.output.div_ceil(windows).max(1);
    let per_tile = if bands == 1 { (TILE / layout.image().max(1)).max(1) } else { 1 };
    let units = if layout.image() == 0 { 0 } else { layout.images * bands };
    // Along one axis: windows side by side, to the end.
    let parts = |axis: &Axis| {
        axis.stride == axis.taps && axis.dilation == 1 && axis.output * axis.stride >= axis.input + axis.before
    };
    let partition = parts(&layout.down) && parts(&layout.across);
    let body =
        Bands::<P> { partition, layout, windows, count: bands, per_tile, arch: Arch::new(), spread: PhantomData };
    tiled(units.div_ceil(per_tile), cost, body)
}

impl<P: Spread> Bands<P> {
    /// The image's rows of a band: from the first row of its first window on, so that windows without an overlap lie
    /// in one band.
    fn rows(&self, band: usize) -> Range<usize> {
        let down = &self.layout.down;
        let border = |band: usize| {
            if band == 0 {
                0
            } else if band == self.count {
                down.input
            } else {
                (band * self.windows * down.stride).saturating_sub(down.before).min(down.input)
            }
        };
        border(band)..border(band + 1)
    }
}

impl<P: Spread> Body for Bands<P> {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        let layout = &self.layout;
        let (image, pooled) = (layout.image(), layout.pooled_image());
        // SAFETY: the operand has the pooled images' elements, and no tile writes it.
        let dy = unsafe { args.input::<P::T>(P::DY, layout.images * pooled) };
        let x = match P::X {
            // SAFETY: the operand has the images' elements, and no tile writes it.
            Some(index) => unsafe { args.input::<P::T>(index, layout.images * image) },
            None => &[],
        };
        let first = tile * self.per_tile;
        for unit in first..(first + self.per_tile).min(layout.images * self.count) {
            let (i, rows) = (unit / self.count, self.rows(unit % self.count));
            // SAFETY: the rows lie within the result, and bands are disjoint.
            let dx =
                unsafe { args.output::<P::T>(0, i * image + rows.start * layout.row(), rows.len() * layout.row()) };
            let x = if P::X.is_some() { &x[i * image..][..image] } else { x };
            let dy = &dy[i * pooled..][..pooled];
            let band = Band { layout, rows, dx };
            self.arch.dispatch(BandOf::<P> { band, x, dy, partition: self.partition });
        }
        Ok(())
    }
}

struct BandOf<'a, P: Spread> {
    band: Band<'a, P::T>,
    x: &'a [P::T],
    dy: &'a [P::T],
    partition: bool,
}

impl<P: Spread> BandOf<'_, P> {
    #[inline(always)]
    fn windows<const FRESH: bool>(mut self) {
        if self.band.rows.is_empty() {
            return;
        }
        let &Layout { down, across, channels, .. } = self.band.layout;
        for row in down.windows(self.band.rows.clone()) {
            for column in 0..across.output {
                let start = (row * across.output + column) * channels;
                P::window::<FRESH>(&mut self.band, self.x, &self.dy[start..start + channels], [row, column]);
            }
        }
    }
}

impl<P: Spread> WithSimd for BandOf<'_, P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        if self.partition {
            self.windows::<true>();
        } else {
            self.band.dx.fill(P::T::ZERO);
            self.windows::<false>();
        }
    }
}

#[derive(Debug)]
struct Even<T>(PhantomData<T>);

impl<T: Float> Spread for Even<T> {
    type T = T;
    const DY: usize = 0;
    const X: Option<usize> = None;

    #[inline(always)]
    fn window<const FRESH: bool>(band: &mut Band<'_, T>, _: &[T], dy: &[T], [row, column]: [usize; 2]) {
        let Layout { down, across, .. } = *band.layout;
        let (taps, along) = (down.inside(row), across.inside(column));
        let share = T::ONE / T::of(taps.len() * along.len());
        for i in taps {
            for k in along.clone() {
                if let Some(dx) = band.cell(down.cell(row, i), across.cell(column, k)) {
                    for (dx, &dy) in dx.iter_mut().zip(dy) {
                        add::<T, FRESH>(dx, dy * share);
                    }
                }
            }
        }
    }
}

#[derive(Debug)]
struct Largest<T>(PhantomData<T>);

impl<T: Float> Spread for Largest<T> {
    type T = T;
    const DY: usize = 2;
    const X: Option<usize> = Some(0);

    #[inline(always)]
    fn window<const FRESH: bool>(band: &mut Band<'_, T>, x: &[T], dy: &[T], [row, column]: [usize; 2]) {
        let Layout { down, across, channels, .. } = *band.layout;
        let (taps, along) = (down.inside(row), across.inside(column));
        let cell = |i: usize, k: usize| [down.cell(row, i), across.cell(column, k)];
        if taps.len() == 2 && along.len() == 2 {
            let [top, left] = cell(taps.start, along.start);
            let [bottom, right] = cell(taps.start + 1, along.start + 1);
            if band.rows.contains(&top) && band.rows.contains(&bottom) {
                square::<T, FRESH>(band, x, dy, [top, bottom], [left, right]);
                return;
            }
        }
        for first in (0..channels).step_by(LANES) {
            let width = LANES.min(channels - first);
            let mut best = [T::ZERO; LANES];
            let mut at = [T::Tap::default(); LANES];
            let mut tap = 0;
            for i in taps.clone() {
                for k in along.clone() {
                    let [r, c] = cell(i, k);
                    let x = &x[(r * across.input + c) * channels + first..][..width];
                    if tap == 0 {
                        best[..width].copy_from_slice(x);
                    }
                    let number = T::tap(tap);
                    for ((best, at), &x) in best.iter_mut().zip(&mut at).zip(x) {
                        let larger = *best < x;
                        *best = if larger { x } else { *best };
                        *at = if larger { number } else { *at };
                    }
                    tap += 1;
                }
            }
            let dy = &dy[first..first + width];
            let mut tap = 0;
            for i in taps.clone() {
                for k in along.clone() {
                    let [r, c] = cell(i, k);
                    if let Some(dx) = band.cell(r, c) {
                        give::<T, FRESH>(&mut dx[first..first + width], &at[..width], T::tap(tap), dy);
                    }
                    tap += 1;
                }
            }
        }
    }
}

/// Adds dy where the largest is tap `tap`.
#[inline(always)]
fn give<T: Float, const FRESH: bool>(dx: &mut [T], at: &[T::Tap], tap: T::Tap, dy: &[T]) {
    for ((dx, &at), &dy) in dx.iter_mut().zip(at).zip(dy) {
        add::<T, FRESH>(dx, if at == tap { dy } else { T::ZERO });
    }
}

/// A window of 2 × 2 cells in one band: compared and given in registers.
#[inline(always)]
fn square<T: Float, const FRESH: bool>(
    band: &mut Band<'_, T>,
    x: &[T],
    dy: &[T],
    rows: [usize; 2],
    columns: [usize; 2],
) {
    let (channels, pitch) = (band.layout.channels, band.layout.row());
    let [left, right] = columns.map(|column| column * channels);
    let [top, bottom] = rows.map(|row| &x[row * pitch..][..pitch]);
    let lines = [&top[left..], &top[right..], &bottom[left..], &bottom[right..]].map(|x| &x[..channels]);
    let [a, b, c, d] = lines;
    let [top, bottom] = rows.map(|row| (row - band.rows.start) * pitch);
    let (upper, lower) = band.dx.split_at_mut(bottom);
    let (ul, ur) = upper[top..top + pitch].split_at_mut(right);
    let (ll, lr) = lower[..pitch].split_at_mut(right);
    let (ul, ur) = (&mut ul[left..left + channels], &mut ur[..channels]);
    let (ll, lr) = (&mut ll[left..left + channels], &mut lr[..channels]);
    let dy = &dy[..channels];
    for i in 0..channels {
        let zero = T::ZERO;
        let right = a[i] < b[i];
        let best = if right { b[i] } else { a[i] };
        let below = best < c[i];
        let best = if below { c[i] } else { best };
        let last = best < d[i];
        // What came later takes it from what came before.
        let take = |taken: bool, rest: T| if taken { [rest, zero] } else { [zero, rest] };
        let [of_d, rest] = take(last, dy[i]);
        let [of_c, rest] = take(below, rest);
        let [of_b, of_a] = take(right, rest);
        add::<T, FRESH>(&mut ul[i], of_a);
        add::<T, FRESH>(&mut ur[i], of_b);
        add::<T, FRESH>(&mut ll[i], of_c);
        add::<T, FRESH>(&mut lr[i], of_d);
    }
}
