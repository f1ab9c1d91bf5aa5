//! Images: `[h, w, c]`, or `[n, h, w, c]` for several, as TensorFlow's `tf.image` has them. Here is what moves and resizes
//! their cells; `color` changes their colors, `boxes` deals with parts of them, `chance` does either at random, and
//! `quality` measures them.
//!
//! Two operations are of images alone: resizing, and the choice of boxes. All else is made of others, so that everything
//! differentiates, and nothing has to be fused by hand.

mod boxes;
mod chance;
mod color;
mod quality;

use dormouse_value::{DType, Dim, Interpolation, Op, Resize, Sampling as Places};
use smallvec::SmallVec;

pub use self::boxes::{Boxes, CropAndResize, NonMaxSuppression};
pub use self::chance::RandomImages;
pub use self::color::Colors;
pub use self::quality::{Quality, Ssim};
use super::array::Array;
use super::dynamic::Dynamic;
use super::elementwise::Elementwise;
use super::indexing::Indexing;
use super::slicing::{Rest, Slicing};
use crate::tensor::{Symbol, Tensor};

/// How [`Images::resize_images_with`] makes cells of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResizeImages {
    /// What a cell is made of.
    pub method: Interpolation,
    /// Where cells lie in the image. TensorFlow 1's `resize_images` takes corners, or aligned corners where asked to;
    /// TensorFlow 2's takes centers.
    pub places: Places,
    /// Whether an image keeps its shape, and is only as large as fits.
    pub preserve_aspect_ratio: bool,
}

impl Default for ResizeImages {
    fn default() -> Self {
        ResizeImages { method: Interpolation::Bilinear, places: Places::Corner, preserve_aspect_ratio: false }
    }
}

/// Methods of images that move and resize their cells.
pub trait Images: Symbol {
    /// Images of another size, `[height, width]`, by bilinear interpolation: TensorFlow 1's `resize_images`.
    #[track_caller]
    fn resize_images(self, size: [usize; 2]) -> Tensor {
        self.resize_images_with(size, ResizeImages::default())
    }

    /// Images of another size, `[height, width]`, as the options say. Integers become f32 but by
    /// [`Interpolation::Nearest`]; images that have the size already stay as they are.
    #[track_caller]
    fn resize_images_with(self, size: [usize; 2], options: ResizeImages) -> Tensor {
        let x = self.tensor();
        let ResizeImages { method, places, preserve_aspect_ratio } = options;
        let Some(own) = extents(x) else { return x.poisoned_or(unfit(x, "resize_images")) };
        let size = match (preserve_aspect_ratio, own) {
            (false, _) => size,
            (true, [Some(height), Some(width)]) => fitted(size, [height, width]),
            (true, _) => {
                let message = format!("resize_images: to keep its shape, {} must be known", x.shape());
                return x.poisoned_or(message);
            }
        };
        if own == size.map(Some) {
            return x;
        }
        x.graph().located(|| batched(x, |x| resized(x, size, method, places)))
    }

    /// Of each image, the cells from `offset` on, `[height, width]` of them each. Not enough cells fail the run.
    #[track_caller]
    fn crop_to_bounding_box(self, offset: [usize; 2], size: [usize; 2]) -> Tensor {
        const NAME: &str = "crop_to_bounding_box";
        let x = self.tensor();
        let Some(own) = extents(x) else { return x.poisoned_or(unfit(x, NAME)) };
        let short = (0..2).any(|i| own[i].is_some_and(|n| offset[i].saturating_add(size[i]) > n));
        if short || size.contains(&0) {
            return x.poisoned_or(format!("{NAME}: {} has no {size:?} cells from {offset:?} on", x.shape()));
        }
        x.graph().located(|| part(x, offset, size))
    }

    /// Zeros of this size, `[height, width]`, with each image put at `offset`. One that does not fit fails the run.
    #[track_caller]
    fn pad_to_bounding_box(self, offset: [usize; 2], size: [usize; 2]) -> Tensor {
        const NAME: &str = "pad_to_bounding_box";
        let x = self.tensor();
        let Some(own) = extents(x) else { return x.poisoned_or(unfit(x, NAME)) };
        let long = (0..2).any(|i| own[i].unwrap_or(0).saturating_add(offset[i]) > size[i]);
        if long {
            return x.poisoned_or(format!("{NAME}: {} does not fit into {size:?} at {offset:?}", x.shape()));
        }
        x.graph().located(|| put(x, offset, size))
    }

    /// The middle of each image, this part of its height and of its width, above 0 and at most 1.
    #[track_caller]
    fn central_crop(self, fraction: f64) -> Tensor {
        const NAME: &str = "central_crop";
        let x = self.tensor();
        let Some(own) = extents(x) else { return x.poisoned_or(unfit(x, NAME)) };
        if !(fraction > 0.0 && fraction <= 1.0) {
            return x.poisoned_or(format!("{NAME}: the part is {fraction}, not above 0 and at most 1"));
        }
        if fraction == 1.0 {
            return x;
        }
        let graph = x.graph();
        graph.located(|| {
            let begin = |n: usize| ((n as f64 - n as f64 * fraction) / 2.0) as usize;
            if let [Some(height), Some(width)] = own {
                let offset = [begin(height), begin(width)];
                return part(x, offset, [height - 2 * offset[0], width - 2 * offset[1]]);
            }
            let rank = x.shape().rank().unwrap_or(3);
            let sizes = x.shape_of().slice([rank as i64 - 3], [2]);
            let whole = sizes.cast(DType::F64);
            let begin = ((whole - whole * fraction) / 2.0).cast(DType::I32);
            let (zero, rest) = (graph.constant([0]), graph.constant([-1]));
            let all = |front: Tensor, last: Tensor, middle: Tensor| {
                let parts = [front, middle, last];
                graph.concat(if rank == 3 { &parts[1..] } else { &parts }, 0)
            };
            x.slice_at(all(zero, zero, begin), all(rest, rest, sizes - begin * 2))
        })
    }

    /// Images of this size, `[height, width]`: cut where they are larger and padded with zeros where they are smaller,
    /// as much on either side, the odd cell before when cut and after when padded.
    #[track_caller]
    fn resize_with_crop_or_pad(self, size: [usize; 2]) -> Tensor {
        const NAME: &str = "resize_with_crop_or_pad";
        let x = self.tensor();
        let Some(own) = extents(x) else { return x.poisoned_or(unfit(x, NAME)) };
        if size.contains(&0) {
            return x.poisoned_or(format!("{NAME}: {size:?} has no cells"));
        }
        x.graph().located(|| {
            if let [Some(height), Some(width)] = own {
                let own = [height, width];
                let offset = [0, 1].map(|i| own[i].saturating_sub(size[i]) / 2);
                let kept = [0, 1].map(|i| own[i].min(size[i]));
                let x = if kept == own { x } else { part(x, offset, kept) };
                let offset = [0, 1].map(|i| (size[i] - kept[i]) / 2);
                return if kept == size { x } else { put(x, offset, size) };
            }
            (0..2).fold(x, |x, i| centered(x, i as i32 - 3, size[i]))
        })
    }

    /// Images of this size, `[height, width]`, each made as large as fits without changing its shape, bilinearly, and zeros around
    /// it. Extents must be known.
    #[track_caller]
    fn resize_with_pad(self, size: [usize; 2]) -> Tensor {
        const NAME: &str = "resize_with_pad";
        let x = self.tensor();
        let Some([Some(height), Some(width)]) = extents(x) else { return x.poisoned_or(unfit(x, NAME)) };
        if size.contains(&0) || height == 0 || width == 0 {
            return x.poisoned_or(format!("{NAME}: from {} to {size:?} there are no cells", x.shape()));
        }
        // As f32 computes it.
        let own = [height as f32, width as f32];
        let ratio = (own[0] / size[0] as f32).max(own[1] / size[1] as f32);
        let to = own.map(|n| n / ratio);
        let offset = [0, 1].map(|i| ((size[i] as f32 - to[i]) / 2.0).floor().max(0.0) as usize);
        let to = to.map(|n| n.floor() as usize);
        x.graph().located(|| x.resize_images(to).pad_to_bounding_box(offset, size))
    }

    /// Each image from left to right.
    #[track_caller]
    fn flip_left_right(self) -> Tensor {
        flipped(self.tensor(), "flip_left_right", -2)
    }

    /// Each image upside down.
    #[track_caller]
    fn flip_up_down(self) -> Tensor {
        flipped(self.tensor(), "flip_up_down", -3)
    }

    /// Each image turned counterclockwise, so many quarters of a turn.
    #[track_caller]
    fn rot90(self, quarters: i32) -> Tensor {
        let x = self.tensor();
        if extents(x).is_none() {
            return x.poisoned_or(unfit(x, "rot90"));
        }
        x.graph().located(|| match quarters.rem_euclid(4) {
            0 => x,
            1 => swapped(x.reverse(&[-2])),
            2 => x.reverse(&[-3, -2]),
            _ => swapped(x).reverse(&[-2]),
        })
    }

    /// Each image with rows for columns.
    #[track_caller]
    fn transpose_image(self) -> Tensor {
        let x = self.tensor();
        if extents(x).is_none() {
            return x.poisoned_or(unfit(x, "transpose_image"));
        }
        x.graph().located(|| swapped(x))
    }
}

impl<S: Symbol> Images for S {}

/// Height and width, as far as known, of one image or of several; none of what is no image.
fn extents(x: Tensor) -> Option<[Option<usize>; 2]> {
    let shape = x.shape();
    let dims = shape.dims().filter(|dims| matches!(dims.len(), 3 | 4))?;
    let [.., height, width, _] = dims else { return None };
    Some([height.known(), width.known()])
}

/// What is wrong with what is no image.
fn unfit(x: Tensor, name: &str) -> String {
    format!("{name}: takes images [h, w, c] or [n, h, w, c], not {}", x.shape())
}

/// Done to several images, of which one may be all.
#[track_caller]
fn batched(x: Tensor, f: impl FnOnce(Tensor) -> Tensor) -> Tensor {
    if x.shape().rank() == Some(3) { f(x.expand_dims(0)).squeeze_axes(&[0]) } else { f(x) }
}

#[track_caller]
fn resized(x: Tensor, size: [usize; 2], interpolation: Interpolation, sampling: Places) -> Tensor {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let kept = matches!(x.dtype(), DType::F32 | DType::F64 | DType::Bool) || interpolation == Interpolation::Nearest;
    let x = if kept { x } else { x.cast(DType::F32) };
    x.graph().apply(Op::ResizeImages(Resize { interpolation, sampling, size: size.map(number) }), &[x])
}

/// The largest size within this one that has an image's shape, as f32 computes it.
fn fitted(size: [usize; 2], own: [usize; 2]) -> [usize; 2] {
    let scale = |i: usize| size[i] as f32 / own[i] as f32;
    let scale = scale(0).min(scale(1));
    own.map(|n| (scale * n as f32).round_ties_even() as usize)
}

/// An axis from the end, from the front.
fn front(x: Tensor, axis: i32) -> usize {
    (x.shape().rank().unwrap_or(3) as i32 + axis) as usize
}

#[track_caller]
fn part(x: Tensor, offset: [usize; 2], size: [usize; 2]) -> Tensor {
    let rank = x.shape().rank().unwrap_or(3);
    let along = |fill: i64, of: [usize; 2]| -> Vec<i64> {
        let mut all = vec![fill; rank];
        all[rank - 3] = of[0] as i64;
        all[rank - 2] = of[1] as i64;
        all
    };
    x.slice(along(0, offset), along(-1, size))
}

#[track_caller]
fn put(x: Tensor, offset: [usize; 2], size: [usize; 2]) -> Tensor {
    let rank = x.shape().rank().unwrap_or(3);
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    if let Some([Some(height), Some(width)]) = extents(x) {
        let own = [height, width];
        let mut paddings = vec![[0, 0]; rank];
        for i in 0..2 {
            paddings[rank - 3 + i] = [number(offset[i]), number(size[i].saturating_sub(own[i] + offset[i]))];
        }
        return x.pad(&paddings);
    }
    // What it is put into has the other extents, whatever they are.
    let mut begin: SmallVec<[i64; 2]> = SmallVec::from_elem(0, rank);
    let mut multiples = vec![1; rank];
    for i in 0..2 {
        begin[rank - 3 + i] = offset[i] as i64;
        multiples[rank - 3 + i] = number(size[i]);
    }
    let like = x.at((Rest, 0..1, 0..1, ..)).tile(&multiples);
    x.graph().apply(Op::SliceGrad { begin }, &[x, like])
}

/// Cut or padded to a size along an axis that may have any.
#[track_caller]
fn centered(x: Tensor, axis: i32, size: usize) -> Tensor {
    let graph = x.graph();
    let own = x.shape_of().at(front(x, axis) as i32);
    let size = size as i32;
    let cut = (own - size).floor_div(2);
    let padded = (-own + size).floor_div(2);
    let from = graph.range(0, size) + own.greater(size).select(cut, -padded);
    let inside = from.greater_equal(0) & from.less(own);
    let cells = x.gather_axis(from.maximum(0).minimum(own - 1), axis);
    let mask = (0..(-1 - axis)).fold(inside, |mask, _| mask.expand_dims(-1));
    mask.select(cells, cells.zeros_like())
}

#[track_caller]
fn flipped(x: Tensor, name: &str, axis: i32) -> Tensor {
    if extents(x).is_none() {
        return x.poisoned_or(unfit(x, name));
    }
    x.graph().located(|| x.reverse(&[axis]))
}

#[track_caller]
fn swapped(x: Tensor) -> Tensor {
    x.transpose_axes(if x.shape().rank() == Some(4) { &[0, 2, 1, 3] } else { &[1, 0, 2] })
}

/// An extent, as an i32 scalar.
#[track_caller]
fn extent(x: Tensor, axis: i32) -> Tensor {
    match x.shape().dim(axis as isize) {
        Dim::Known(n) if i32::try_from(n).is_ok() => x.graph().constant(n as i32),
        Dim::Known(_) | Dim::Unknown => x.shape_of().at(front(x, axis) as i32),
    }
}

/// Whole numbers from 0 on, as many as x has cells along an axis, in a shape of axes around it that broadcasts.
#[track_caller]
fn places(x: Tensor, axis: i32) -> Tensor {
    x.index_along(axis, DType::I32)
}
