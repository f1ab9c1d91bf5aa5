//! The kernel of a reduction: a layout's units and parts, walked by the tree of one fold.
//!
//! The only file of the family's three that touches buffers.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use pulp::{Arch, Simd, WithSimd};
use smallvec::smallvec;

use super::fold::Fold;
use super::layout::{Inner, Layout, NARROW, Piece, STRIP};
use super::tree::{columns, row};
use crate::{Args, Body, Cost, Kernel, KernelError};

/// Nanoseconds of a call.
const START: f64 = 20.0;
/// Bytes a nanosecond.
const BANDWIDTH: f64 = 20.0;

/// The kernel that folds `layout` by `F`.
pub(super) fn kernel<F: Fold>(layout: Layout) -> Kernel {
    let tiles = match layout.inner {
        Inner::Nothing => 0,
        Inner::Fill | Inner::Map => layout.results.div_ceil(layout.per_tile),
        Inner::Row | Inner::Columns if layout.parts > 1 => layout.units() * layout.parts,
        Inner::Row | Inner::Columns => layout.units().div_ceil(layout.per_tile),
    };
    let (read, written) = (layout.elements * size_of::<F::In>(), layout.results * size_of::<F::Out>());
    let bytes = (read + written) as f64;
    let cost = Cost { flops: layout.elements as f64, bytes, nanos: START + bytes / BANDWIDTH };
    let partials = if layout.parts > 1 { layout.units() * layout.parts * layout.strip() } else { 0 };
    let phases = match (tiles, layout.parts) {
        (0, _) => smallvec![],
        (_, 1) => smallvec![tiles],
        (_, _) => smallvec![tiles, 1],
    };
    let body = Reduction::<F> { layout, arch: Arch::new(), fold: PhantomData };
    Kernel { phases, shared: partials * size_of::<F::Wide>(), ..Kernel::new(tiles, cost, body) }
}

#[derive(Debug)]
struct Reduction<F> {
    layout: Layout,
    arch: Arch,
    fold: PhantomData<F>,
}

impl<F: Fold> Body for Reduction<F> {
    unsafe fn run(&self, args: &Args<'_>, phase: usize, tile: usize) -> Result<(), KernelError> {
        let layout = &self.layout;
        // SAFETY: the operand has the spec's elements, and no tile writes it.
        let x = unsafe { args.input::<F::In>(0, layout.elements) };
        let width = layout.strip();
        if layout.parts == 1 {
            let whole = matches!(layout.inner, Inner::Row | Inner::Columns);
            let units = if whole { layout.units() } else { layout.results };
            let first = tile * layout.per_tile;
            let last = units.min(first + layout.per_tile) - 1;
            let (start, end) = if whole {
                let (begin, len) = layout.results_of(last);
                (layout.results_of(first).0, begin + len)
            } else {
                (first, last + 1)
            };
            // SAFETY: tiles cut the results into disjoint ranges.
            let out = unsafe { args.output::<F::Out>(0, start, end - start) };
            self.arch.dispatch(Whole::<F> { layout, x, first, last, out });
        } else if phase == 0 {
            let place = args.shared.cast::<MaybeUninit<F::Wide>>().wrapping_add(tile * width);
            // SAFETY: `shared` holds `strip` accumulators a tile of this phase, this tile's at its place; it is
            // aligned to 64, and a fold's wide type to at most 8.
            let out = unsafe { std::slice::from_raw_parts_mut(place, width) };
            let (unit, part) = (tile / layout.parts, tile % layout.parts);
            self.arch.dispatch(Part::<F> { layout, x, unit, index: part, out });
        } else {
            let count = layout.units() * layout.parts * width;
            // SAFETY: phase 0 is over: all accumulators hold numbers, and nobody writes them.
            let partials = unsafe { std::slice::from_raw_parts(args.shared.cast::<F::Wide>(), count) };
            // SAFETY: this tile is the phase's only one.
            let out = unsafe { args.output::<F::Out>(0, 0, layout.results) };
            join::<F>(layout, partials, out);
        }
        Ok(())
    }
}

/// Adds up the parts of every result, in order.
fn join<F: Fold>(layout: &Layout, partials: &[F::Wide], out: &mut [F::Out]) {
    let width = layout.strip();
    for (unit, parts) in partials.chunks_exact(layout.parts * width).enumerate() {
        let (start, len) = layout.results_of(unit);
        for (j, y) in out[start..start + len].iter_mut().enumerate() {
            let total = parts.chunks_exact(width).fold(F::NONE, |total, part| F::combine_wide(total, part[j]));
            *y = F::finish(total, layout.count);
        }
    }
}

/// One part of one unit, unfinished.
struct Part<'a, F: Fold> {
    layout: &'a Layout,
    x: &'a [F::In],
    unit: usize,
    index: usize,
    out: &'a mut [MaybeUninit<F::Wide>],
}

impl<F: Fold> WithSimd for Part<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Part { layout, x, unit, index: part, out } = self;
        // The last strip of a matrix may have fewer columns than there are accumulators.
        let mut store = |totals: &[F::Wide]| {
            for (place, total) in out.iter_mut().zip(totals.iter().copied().chain(std::iter::repeat(F::NONE))) {
                place.write(total);
            }
        };
        if layout.inner == Inner::Row {
            store(&[row_unit::<F>(layout, x, unit, part)]);
        } else if layout.columns <= NARROW {
            column_unit::<F, NARROW>(layout, x, unit, part, store);
        } else {
            column_unit::<F, STRIP>(layout, x, unit, part, store);
        }
    }
}

/// Units or results `first ..= last`, finished.
struct Whole<'a, F: Fold> {
    layout: &'a Layout,
    x: &'a [F::In],
    first: usize,
    last: usize,
    out: &'a mut [F::Out],
}

impl<F: Fold> WithSimd for Whole<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Whole { layout, x, first, last, out } = self;
        match layout.inner {
            Inner::Nothing => {}
            Inner::Fill => out.fill(F::finish(F::NONE, 0)),
            Inner::Map => {
                for (y, &x) in out.iter_mut().zip(&x[first..=last]) {
                    *y = F::finish(F::widen(F::load(x)), 1);
                }
            }
            Inner::Row => {
                for (y, unit) in out.iter_mut().zip(first..=last) {
                    *y = F::finish(row_unit::<F>(layout, x, unit, 0), layout.count);
                }
            }
            Inner::Columns if layout.columns <= NARROW => column_units::<F, NARROW>(layout, x, first, last, out),
            Inner::Columns => column_units::<F, STRIP>(layout, x, first, last, out),
        }
    }
}

#[inline(always)]
fn row_unit<F: Fold>(layout: &Layout, x: &[F::In], unit: usize, part: usize) -> F::Wide {
    layout
        .pieces(unit, part)
        .fold(F::NONE, |total, Piece { start, len }| F::combine_wide(total, row::<F>(&x[start..start + len])))
}

#[inline(always)]
fn column_units<F: Fold, const W: usize>(
    layout: &Layout,
    x: &[F::In],
    first: usize,
    last: usize,
    mut out: &mut [F::Out],
) {
    for unit in first..=last {
        column_unit::<F, W>(layout, x, unit, 0, |totals| {
            let (own, rest) = std::mem::take(&mut out).split_at_mut(totals.len());
            for (y, &total) in own.iter_mut().zip(totals) {
                *y = F::finish(total, layout.count);
            }
            out = rest;
        });
    }
}

/// Hands the totals of a strip's columns to `take`.
///
/// Of a narrow matrix several rows are taken as one, so that a row of accumulators fills the vectors; the rows that
/// this leaves over, and then the accumulators of one column, follow in order.
#[inline(always)]
fn column_unit<F: Fold, const W: usize>(
    layout: &Layout,
    x: &[F::In],
    unit: usize,
    part: usize,
    take: impl FnOnce(&[F::Wide]),
) {
    let (_, width) = layout.results_of(unit);
    let (fold, stride) = (layout.folded_rows(), layout.columns);
    let mut totals = [F::NONE; W];
    for Piece { start, len } in layout.pieces(unit, part) {
        let whole = len / fold;
        columns::<F, W>(&x[start..], whole, fold * stride, &mut totals[..fold * width]);
        if whole * fold < len {
            columns::<F, W>(&x[start + whole * fold * stride..], len - whole * fold, stride, &mut totals[..width]);
        }
    }
    for other in 1..fold {
        for j in 0..width {
            totals[j] = F::combine_wide(totals[j], totals[other * width + j]);
        }
    }
    take(&totals[..width]);
}
