//! Images `[n, h, w, c]` made larger or smaller, and the gradient of that. A tile is a band of rows of the result; its cells
//! are summed in TensorFlow's order, the gradient's too, so that every number of threads gives the same bits.

use std::fmt::Debug;
use std::ops::{Add, Mul, Sub};

use dormouse_value::{DType, Element, Interpolation, Resize};

use super::taps::{Stretch, Taps};
use super::{four, operands};
use crate::kernel::with_float;
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// Nanoseconds of a tile.
const TILE_NANOS: f64 = 20_000.0;

/// What is interpolated.
trait Float: Element + Copy + Debug + Add<Output = Self> + Mul<Output = Self> + Sub<Output = Self> {
    const ZERO: Self;
    fn of(x: f64) -> Self;
}

macro_rules! floats {
    ($($t:ty),*) => { $(
        impl Float for $t {
            const ZERO: $t = 0.0;
            fn of(x: f64) -> $t {
                x as $t
            }
        }
    )* };
}
floats!(f32, f64);

/// What both directions know: an image before and after, and the cells of each axis.
#[derive(Debug)]
struct Layout<T> {
    interpolation: Interpolation,
    images: usize,
    channels: usize,
    cells: [usize; 2],
    places: [usize; 2],
    down: Taps<T>,
    across: Taps<T>,
    /// What the sum of an area is scaled by.
    share: T,
}

impl<T: Copy> Layout<T> {
    fn new(name: &str, resize: Resize, x: &Spec, y: &Spec, of: impl Fn(f64) -> T) -> Result<Self, KernelError> {
        let [images, height, width, channels] = four(name, x)?;
        let places = resize.size.map(|n| n as usize);
        let expected = [images, places[0], places[1], channels];
        if y.dims.as_slice() != expected || y.dtype != x.dtype || height == 0 || width == 0 || places.contains(&0) {
            return Err(KernelError::new(format!("{name}: images {x} of size {places:?} are not {y}")));
        }
        let Resize { mut interpolation, sampling, .. } = resize;
        if interpolation == Interpolation::Bilinear && places == [height, width] {
            // Nothing is between, though a distance of 0 times infinity would be.
            interpolation = Interpolation::Nearest;
        }
        let single = x.dtype != DType::F64;
        let stretch = |cells: usize, places: usize| Stretch { interpolation, sampling, cells, places, single };
        let [down, across] = [stretch(height, places[0]), stretch(width, places[1])];
        let round = |x: f64| if single { f64::from(x as f32) } else { x };
        let share = if interpolation == Interpolation::Area {
            of(round(1.0 / round(down.scale() * across.scale())))
        } else {
            of(1.0)
        };
        Ok(Layout {
            interpolation,
            images,
            channels,
            cells: [height, width],
            places,
            down: down.all(&of),
            across: across.all(&of),
            share,
        })
    }

    /// Elements of a row of the image, and of the resized one.
    fn rows(&self) -> [usize; 2] {
        [self.cells[1] * self.channels, self.places[1] * self.channels]
    }

    /// Products, all in all.
    fn products(&self) -> f64 {
        let across = self.across.len() as f64 * self.channels as f64;
        self.images as f64
            * match self.interpolation {
                Interpolation::Nearest | Interpolation::Bilinear => self.places[0] as f64 * across,
                Interpolation::Bicubic => self.places[0] as f64 * (across + 4.0 * self.rows()[0] as f64),
                Interpolation::Area => self.down.len() as f64 * across,
            }
    }
}

/// Rows of a band, of so many rows that take so long.
fn band(rows: usize, nanos: f64) -> usize {
    let row = nanos / rows.max(1) as f64;
    (TILE_NANOS / row.max(1.0)).ceil().min(rows.max(1) as f64) as usize
}

/// (x): images of another size.
pub(crate) fn resize(resize: Resize, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    const OP: &str = "resize_images";
    let ([x], y) = operands(OP, inputs, outputs)?;
    macro_rules! nearest {
        ($t:ty) => {{
            let layout = Layout::new(OP, resize, x, y, |_| ())?;
            Ok(forward(y, layout, |layout, band| Copied::<$t> { layout, band, element: std::marker::PhantomData }))
        }};
    }
    match (resize.interpolation, x.dtype) {
        (Interpolation::Nearest, DType::F32) => nearest!(f32),
        (Interpolation::Nearest, DType::F64) => nearest!(f64),
        (Interpolation::Nearest, DType::I32) => nearest!(i32),
        (Interpolation::Nearest, DType::I64) => nearest!(i64),
        (Interpolation::Nearest, DType::U8) => nearest!(u8),
        (Interpolation::Nearest, DType::U64) => nearest!(u64),
        (Interpolation::Bilinear | Interpolation::Bicubic | Interpolation::Area, DType::F32) => {
            Ok(forward(y, Layout::new(OP, resize, x, y, f32::of)?, |layout, band| Resized { layout, band }))
        }
        (Interpolation::Bilinear | Interpolation::Bicubic | Interpolation::Area, DType::F64) => {
            Ok(forward(y, Layout::new(OP, resize, x, y, f64::of)?, |layout, band| Resized { layout, band }))
        }
        (
            Interpolation::Nearest | Interpolation::Bilinear | Interpolation::Bicubic | Interpolation::Area,
            DType::I32
            | DType::I64
            | DType::U8
            | DType::Bool
            | DType::F16
            | DType::Bf16
            | DType::I8
            | DType::I16
            | DType::U16
            | DType::U32
            | DType::U64,
        ) => Err(KernelError::new(format!("{OP}: {x} is not interpolated; cast it to f32"))),
    }
}

fn forward<T: Copy, B: Body + 'static>(
    y: &Spec,
    layout: Layout<T>,
    body: impl FnOnce(Layout<T>, usize) -> B,
) -> Kernel {
    let rows = layout.images * layout.places[0];
    let nanos = 0.6 * layout.products() + y.bytes() as f64 / 8.0;
    let cost = Cost { flops: 2.0 * layout.products(), bytes: 2.0 * y.bytes() as f64, nanos };
    let band = band(rows, nanos);
    let local = if layout.interpolation == Interpolation::Bicubic { layout.rows()[0] * y.dtype.size() } else { 0 };
    let empty = y.is_empty();
    let mut kernel = Kernel { local, ..Kernel::new(rows.div_ceil(band), cost, body(layout, band)) };
    if empty {
        kernel.phases.clear();
    }
    kernel
}

/// (dy, x): the gradient by x of images of another size.
pub(crate) fn resize_grad(resize: Resize, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    const OP: &str = "gradient of resize_images";
    let ([dy, like], output) = operands(OP, inputs, outputs)?;
    if output != like {
        return Err(KernelError::new(format!("{OP}: {output} is not {like}")));
    }
    with_float!(
        dy.dtype,
        T => Ok(backward::<T>(Layout::new(OP, resize, like, dy, T::of)?, output)),
        else Err(KernelError::new(format!("{OP}: {dy} carries no gradient")))
    )
}

fn backward<T: Float>(layout: Layout<T>, output: &Spec) -> Kernel {
    let rows = layout.images * layout.cells[0];
    let products = layout.images as f64 * (layout.down.len() * layout.channels) as f64 * layout.across.len() as f64;
    let nanos = 0.8 * products + output.bytes() as f64 / 8.0;
    let cost = Cost { flops: 3.0 * products, bytes: 2.0 * output.bytes() as f64, nanos };
    let band = band(rows, nanos);
    let down = layout.down.turned(layout.cells[0]);
    let mut kernel = Kernel::new(rows.div_ceil(band), cost, Spread { layout, down, band });
    if output.is_empty() {
        kernel.phases.clear();
    }
    kernel
}

/// Nearest cells.
#[derive(Debug)]
struct Copied<T> {
    layout: Layout<()>,
    band: usize,
    element: std::marker::PhantomData<fn() -> T>,
}

impl<T: Element + Copy> Body for Copied<T> {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        let layout = &self.layout;
        let [from, to] = layout.rows();
        let rows = layout.images * layout.places[0];
        let first = tile * self.band;
        // SAFETY: operand 0 holds all images.
        let x = unsafe { args.input::<T>(0, layout.images * layout.cells[0] * from) };
        // SAFETY: the tile's own rows of the result, which is not the operand's buffer.
        let out = unsafe { args.output::<T>(0, first * to, (self.band.min(rows - first)) * to) };
        for (row, out) in (first..).zip(out.chunks_mut(to)) {
            let (image, place) = (row / layout.places[0], row % layout.places[0]);
            let cell = layout.down.of(place).0[0];
            let x = &x[(image * layout.cells[0] + cell) * from..][..from];
            for (place, out) in out.chunks_mut(layout.channels).enumerate() {
                let cell = layout.across.of(place).0[0];
                out.copy_from_slice(&x[cell * layout.channels..][..layout.channels]);
            }
        }
        Ok(())
    }
}

/// Weighted cells.
#[derive(Debug)]
struct Resized<T> {
    layout: Layout<T>,
    band: usize,
}

impl<T: Float> Body for Resized<T> {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        let layout = &self.layout;
        let [from, to] = layout.rows();
        let rows = layout.images * layout.places[0];
        let first = tile * self.band;
        // SAFETY: operand 0 holds all images.
        let x = unsafe { args.input::<T>(0, layout.images * layout.cells[0] * from) };
        // SAFETY: the tile's own rows of the result, which is not the operand's buffer.
        let out = unsafe { args.output::<T>(0, first * to, (self.band.min(rows - first)) * to) };
        let between: &mut [T] = if layout.interpolation == Interpolation::Bicubic {
            // SAFETY: this worker's scratch has room for a row of the image, and is aligned.
            unsafe { std::slice::from_raw_parts_mut(args.local.cast::<T>(), from) }
        } else {
            &mut []
        };
        for (row, out) in (first..).zip(out.chunks_mut(to)) {
            let (image, place) = (row / layout.places[0], row % layout.places[0]);
            let image = &x[image * layout.cells[0] * from..][..layout.cells[0] * from];
            layout.row(image, place, between, out);
        }
        Ok(())
    }
}

impl<T: Float> Layout<T> {
    /// A row of a resized image.
    fn row(&self, image: &[T], place: usize, between: &mut [T], out: &mut [T]) {
        let from = self.rows()[0];
        let c = self.channels;
        let (cells, weights) = self.down.of(place);
        let of = |cell: usize| &image[cell * from..][..from];
        match self.interpolation {
            Interpolation::Nearest | Interpolation::Bilinear => {
                // Of the same size, each place has but one cell.
                let (above, below) = (of(cells[0]), of(cells[cells.len() - 1]));
                let down = weights[weights.len() - 1];
                for (place, out) in out.chunks_mut(c).enumerate() {
                    let (cells, weights) = self.across.of(place);
                    let across = weights[weights.len() - 1];
                    let (left, right) = (cells[0] * c, cells[cells.len() - 1] * c);
                    if cells.len() == 1 {
                        out.copy_from_slice(&above[left..][..c]);
                        continue;
                    }
                    let corners = above[left..][..c].iter().zip(&above[right..][..c]);
                    let corners = corners.zip(below[left..][..c].iter().zip(&below[right..][..c]));
                    for (out, ((&a, &b), (&d, &e))) in out.iter_mut().zip(corners) {
                        let top = a + (b - a) * across;
                        let bottom = d + (e - d) * across;
                        *out = top + (bottom - top) * down;
                    }
                }
            }
            Interpolation::Bicubic => {
                let ([p, q, r, s], &[a, b, d, e]) =
                    ([0, 1, 2, 3].map(|i| of(cells[i])), &[0, 1, 2, 3].map(|i| weights[i]));
                for (i, sum) in between.iter_mut().enumerate() {
                    *sum = p[i] * a + q[i] * b + r[i] * d + s[i] * e;
                }
                for (place, out) in out.chunks_mut(c).enumerate() {
                    let (cells, weights) = self.across.of(place);
                    let [p, q, r, s] = [0, 1, 2, 3].map(|i| &between[cells[i] * c..][..c]);
                    let [a, b, d, e] = [0, 1, 2, 3].map(|i| weights[i]);
                    for (i, out) in out.iter_mut().enumerate() {
                        *out = p[i] * a + q[i] * b + r[i] * d + s[i] * e;
                    }
                }
            }
            Interpolation::Area => {
                out.fill(T::ZERO);
                for (&cell, &down) in cells.iter().zip(weights) {
                    let x = of(cell);
                    for (place, out) in out.chunks_mut(c).enumerate() {
                        let (cells, weights) = self.across.of(place);
                        for (i, out) in out.iter_mut().enumerate() {
                            let parts = cells.iter().zip(weights).map(|(&cell, &weight)| x[cell * c + i] * weight);
                            *out = *out + parts.reduce(|sum, part| sum + part).unwrap_or(T::ZERO) * down;
                        }
                    }
                }
                out.iter_mut().for_each(|out| *out = *out * self.share);
            }
        }
    }
}

/// Gradients given back to the cells that resized ones were made of.
#[derive(Debug)]
struct Spread<T> {
    layout: Layout<T>,
    /// For each row of the image, the rows that are made of it.
    down: Taps<T>,
    band: usize,
}

impl<T: Float> Body for Spread<T> {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        let layout = &self.layout;
        let [to, from] = layout.rows();
        let c = layout.channels;
        let rows = layout.images * layout.cells[0];
        let first = tile * self.band;
        // SAFETY: operand 0 holds the gradients of all resized images.
        let dy = unsafe { args.input::<T>(0, layout.images * layout.places[0] * from) };
        // SAFETY: the tile's own rows of the result, which is not the operand's buffer.
        let out = unsafe { args.output::<T>(0, first * to, (self.band.min(rows - first)) * to) };
        for (row, out) in (first..).zip(out.chunks_mut(to)) {
            let (image, cell) = (row / layout.cells[0], row % layout.cells[0]);
            out.fill(T::ZERO);
            let (places, weights) = self.down.of(cell);
            for (&place, &down) in places.iter().zip(weights) {
                let down = down * layout.share;
                let dy = &dy[(image * layout.places[0] + place) * from..][..from];
                for (place, dy) in dy.chunks(c).enumerate() {
                    let (cells, weights) = layout.across.of(place);
                    for (&cell, &across) in cells.iter().zip(weights) {
                        for (out, &dy) in out[cell * c..][..c].iter_mut().zip(dy) {
                            *out = *out + dy * down * across;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
