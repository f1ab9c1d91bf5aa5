//! Windows into result rows: the largest, the mean, and of another image what stands at the largest.
//!
//! A tile is some rows of windows. Rows of all images are numbered through, so that small images share a tile.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::ops::Range;

use dormouse_value::Element;
use pulp::{Arch, Simd, WithSimd};

use super::{Float, Layout, Number, TILE, tiled};
use crate::{Args, Body, Cost, Kernel, KernelError};

/// What is made of a window's cells, taken row by row.
trait Fold: Debug + Send + Sync + 'static {
    type T: Element + Copy;
    const START: Self::T;
    fn step(folded: Self::T, x: Self::T) -> Self::T;
    /// The result of a window of `count` cells inside the image.
    fn finish(folded: Self::T, count: usize) -> Self::T;
}

#[derive(Debug)]
struct Largest<T>(PhantomData<T>);

impl<T: Number> Fold for Largest<T> {
    type T = T;
    const START: T = T::LOWEST;

    #[inline(always)]
    fn step(folded: T, x: T) -> T {
        if x > folded { x } else { folded }
    }

    #[inline(always)]
    fn finish(folded: T, _: usize) -> T {
        folded
    }
}

#[derive(Debug)]
struct Mean<T>(PhantomData<T>);

impl<T: Float> Fold for Mean<T> {
    type T = T;
    const START: T = T::ZERO;

    #[inline(always)]
    fn step(folded: T, x: T) -> T {
        folded + x
    }

    #[inline(always)]
    fn finish(folded: T, count: usize) -> T {
        folded / T::of(count)
    }
}

/// The largest of each window.
pub(super) fn max<T: Number>(layout: Layout, cost: Cost) -> Kernel {
    rows(layout, cost, |rows| Folded::<Largest<T>> { rows, arch: Arch::new(), fold: PhantomData })
}

/// The mean of each window.
pub(super) fn average<T: Float>(layout: Layout, cost: Cost) -> Kernel {
    rows(layout, cost, |rows| Folded::<Mean<T>> { rows, arch: Arch::new(), fold: PhantomData })
}

/// What stands in operand 2 where operand 0 first equals operand 1, its pooled image.
pub(super) fn at_largest<T: Float>(layout: Layout, cost: Cost) -> Kernel {
    rows(layout, cost, |rows| AtLargest::<T> { rows, arch: Arch::new(), element: PhantomData })
}

/// Rows of windows, cut into tiles.
#[derive(Clone, Copy, Debug)]
struct Rows {
    layout: Layout,
    per_tile: usize,
}

fn rows<B: Body + 'static>(layout: Layout, cost: Cost, body: impl FnOnce(Rows) -> B) -> Kernel {
    let rows = if layout.pooled_row() == 0 { 0 } else { layout.images * layout.down.output };
    let per_tile = (TILE / layout.pace().max(1)).max(1);
    tiled(rows.div_ceil(per_tile), cost, body(Rows { layout, per_tile }))
}

impl Rows {
    /// The rows of a tile as (image, row of windows).
    fn of(&self, tile: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let Layout { images, down, .. } = self.layout;
        let first = tile * self.per_tile;
        (first..(first + self.per_tile).min(images * down.output)).map(move |i| (i / down.output, i % down.output))
    }

    /// Elements of the rows before this one in the result.
    fn start(&self, image: usize, row: usize) -> usize {
        (image * self.layout.down.output + row) * self.layout.pooled_row()
    }
}

#[derive(Debug)]
struct Folded<F> {
    rows: Rows,
    arch: Arch,
    fold: PhantomData<F>,
}

impl<F: Fold> Body for Folded<F> {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        let layout = &self.rows.layout;
        // SAFETY: the operand has the images' elements, and no tile writes it.
        let x = unsafe { args.input::<F::T>(0, layout.images * layout.image()) };
        for (image, row) in self.rows.of(tile) {
            // SAFETY: the row lies within the result, and tiles have disjoint rows.
            let y = unsafe { args.output::<F::T>(0, self.rows.start(image, row), layout.pooled_row()) };
            let x = &x[image * layout.image()..][..layout.image()];
            self.arch.dispatch(FoldedRow::<F> { layout, x, row, y, fold: PhantomData });
        }
        Ok(())
    }
}

/// A row of windows over one image.
struct FoldedRow<'a, F: Fold> {
    layout: &'a Layout,
    x: &'a [F::T],
    row: usize,
    y: &'a mut [F::T],
    fold: PhantomData<F>,
}

impl<F: Fold> WithSimd for FoldedRow<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let FoldedRow { layout: &Layout { down, across, channels, .. }, x, row, y, .. } = self;
        let pitch = across.input * channels;
        let taps = down.inside(row);
        for (o, y) in y.chunks_exact_mut(channels).enumerate() {
            let cells = cells(across.inside(o), |k| across.cell(o, k), across.dilation);
            if taps.len() == 2 && cells.count == 2 {
                let first = &x[down.cell(row, taps.start) * pitch..];
                let second = &x[down.cell(row, taps.start + 1) * pitch..];
                let (left, right) = (cells.first * channels, (cells.first + cells.step) * channels);
                square::<F>(y, [&first[left..], &first[right..], &second[left..], &second[right..]]);
                continue;
            }
            y.fill(F::START);
            for i in taps.clone() {
                let line = &x[down.cell(row, i) * pitch..][..pitch];
                for k in 0..cells.count {
                    let x = &line[(cells.first + k * cells.step) * channels..][..channels];
                    for (y, &x) in y.iter_mut().zip(x) {
                        *y = F::step(*y, x);
                    }
                }
            }
            let count = taps.len() * cells.count;
            for y in y {
                *y = F::finish(*y, count);
            }
        }
    }
}

/// Cells of a line under one window.
#[derive(Clone, Copy)]
struct Cells {
    first: usize,
    count: usize,
    step: usize,
}

#[inline(always)]
fn cells(taps: Range<usize>, cell: impl Fn(usize) -> usize, step: usize) -> Cells {
    if taps.is_empty() {
        return Cells { first: 0, count: 0, step: 0 };
    }
    Cells { first: cell(taps.start), count: taps.len(), step }
}

/// A window of 2 × 2 cells, without a walk over memory for each.
#[inline(always)]
fn square<F: Fold>(y: &mut [F::T], x: [&[F::T]; 4]) {
    let [a, b, c, d] = x.map(|x| &x[..y.len()]);
    for ((((y, &a), &b), &c), &d) in y.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        *y = F::finish(F::step(F::step(F::step(F::step(F::START, a), b), c), d), 4);
    }
}

#[derive(Debug)]
struct AtLargest<T> {
    rows: Rows,
    arch: Arch,
    element: PhantomData<T>,
}

impl<T: Float> Body for AtLargest<T> {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        let layout = &self.rows.layout;
        let (len, pooled) = (layout.images * layout.image(), layout.images * layout.pooled_image());
        // SAFETY: the operands have their specs' elements, and no tile writes them.
        let (x, y, d) = unsafe { (args.input::<T>(0, len), args.input::<T>(1, pooled), args.input::<T>(2, len)) };
        for (image, row) in self.rows.of(tile) {
            let start = self.rows.start(image, row);
            // SAFETY: the row lies within the result, and tiles have disjoint rows.
            let result = unsafe { args.output::<T>(0, start, layout.pooled_row()) };
            let of_image = image * layout.image()..(image + 1) * layout.image();
            let (x, d) = (&x[of_image.clone()], &d[of_image]);
            let y = &y[start..start + layout.pooled_row()];
            self.arch.dispatch(AtLargestRow { layout, x, y, d, row, result });
        }
        Ok(())
    }
}

struct AtLargestRow<'a, T> {
    layout: &'a Layout,
    x: &'a [T],
    y: &'a [T],
    d: &'a [T],
    row: usize,
    result: &'a mut [T],
}

impl<T: Float> WithSimd for AtLargestRow<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let AtLargestRow { layout: &Layout { down, across, channels, .. }, x, y, d, row, result } = self;
        let pitch = across.input * channels;
        for (o, (result, y)) in result.chunks_exact_mut(channels).zip(y.chunks_exact(channels)).enumerate() {
            result.fill(T::ZERO);
            // From the last cell to the first: what is written last is the first of equals.
            for i in down.inside(row).rev() {
                for k in across.inside(o).rev() {
                    let start = down.cell(row, i) * pitch + across.cell(o, k) * channels;
                    let (x, d) = (&x[start..start + channels], &d[start..start + channels]);
                    for (((result, &y), &x), &d) in result.iter_mut().zip(y).zip(x).zip(d) {
                        *result = if x == y { d } else { *result };
                    }
                }
            }
        }
    }
}
