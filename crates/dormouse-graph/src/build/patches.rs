//! Patches: windows of images as rows of numbers, and what is made of windows without a product: morphology, and where the
//! largest of a window lies.

use dormouse_value::{DType, Dim, Op, Padding, Part};
use smallvec::SmallVec;

use super::array::Array;
use super::elementwise::Elementwise;
use super::indexing::Indexing;
use super::matrices::scoped;
use super::nn::{Nn, Pool};
use super::slicing::Slicing;
use super::sorting::Sorting;
use crate::tensor::{Operand, Symbol, Tensor};

/// How windows lie over height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Cells of a window, `[height, width]`.
    pub size: [u32; 2],
    /// Steps between windows.
    pub strides: [u32; 2],
    /// Steps between a window's cells.
    pub rates: [u32; 2],
    /// How windows meet the border.
    pub padding: Padding,
}

impl Default for Windows {
    fn default() -> Self {
        Windows { size: [3, 3], strides: [1, 1], rates: [1, 1], padding: Padding::Same }
    }
}

/// Methods of tensors and variables that are images `[n, h, w, c]`, or volumes `[n, d, h, w, c]`, by windows.
pub trait Patches: Symbol {
    /// Each window as the channels of one cell, row by row: `[n, h, w, c] → [n, h', w', size · c]`. What is outside is 0.
    /// `Same` needs extents that are known where windows are more than one cell apart.
    #[track_caller]
    fn extract_image_patches(self, windows: Windows) -> Tensor {
        let (x, Windows { size, strides, rates, padding }) = (self.tensor(), windows);
        joined(x, "ExtractImagePatches", Taps { size: &size, strides: &strides, rates: &rates, padding })
    }

    /// As [`Patches::extract_image_patches`] of volumes: `[n, d, h, w, c] → [n, d', h', w', size · c]`.
    #[track_caller]
    fn extract_volume_patches(self, size: [u32; 3], strides: [u32; 3], padding: Padding) -> Tensor {
        joined(self.tensor(), "ExtractVolumePatches", Taps { size: &size, strides: &strides, rates: &[1; 3], padding })
    }

    /// The largest sum of a window's cells and the filter's, of each channel: `[n, h, w, c]` and `[h, w, c]`; the lowest finite
    /// number of no cell. The gradient goes to the first of equals. Floats. The windows' size is the filter's.
    #[track_caller]
    fn dilation2d(self, filter: impl Operand, windows: Windows) -> Tensor {
        let x = self.tensor();
        let filter = filter.tensor_like(x);
        grown(x, filter, windows, "Dilation2D")
    }

    /// The smallest difference of a window's cells and those of the filter turned around, of each channel, as
    /// [`Patches::dilation2d`].
    #[track_caller]
    fn erosion2d(self, filter: impl Operand, windows: Windows) -> Tensor {
        let x = self.tensor();
        let filter = filter.tensor_like(x);
        if filter.shape().rank() != Some(3) {
            return x.poisoned_or(format!("erosion2d: a filter is [h, w, c], not {}", filter.shape()));
        }
        scoped(x.graph(), "erosion2d", || -grown(-x, filter.reverse(&[0, 1]), windows, "Dilation2D"))
    }

    /// The largest of each window, as [`Nn::max_pool`], and where it lies in the image, the first of equals: `(row · width +
    /// column) · channels + channel`, in i64. With `of_batch`, images count on from those before.
    #[track_caller]
    fn max_pool_with_argmax(self, options: Pool, of_batch: bool) -> (Tensor, Tensor) {
        let x = self.tensor();
        let Pool { size, strides, padding } = options;
        let pooled = x.max_pool(options);
        let places = scoped(x.graph(), "MaxPoolWithArgmax", || {
            let extents = x.shape_of().cast(DType::I64);
            let along = |axis: i32| x.index_along(axis, DType::I64);
            let first = if of_batch { along(0) } else { along(1).zeros_like() };
            let places = (1..4).fold(first, |places, axis| places * extents.at(axis) + along(axis));
            let taps = Taps { size: &size, strides: &strides, rates: &[1, 1], padding };
            let x = x.stop_gradient();
            let least = if x.dtype().is_float() { f64::NEG_INFINITY } else { x.dtype().limits()[0] };
            match (taps.of(x, least), taps.of(places, -1.0)) {
                (Ok(cells), Ok(places)) => {
                    let (_, first) = x.graph().stack(&cells, -1).top_k(1);
                    x.graph().stack(&places, -1).pick(first).squeeze_axes(&[-1])
                }
                (Err(message), _) | (_, Err(message)) => x.poisoned_or(format!("max_pool_with_argmax: {message}")),
            }
        });
        (pooled, places)
    }
}

impl<S: Symbol> Patches for S {}

/// Windows over the axes between the first and the last.
#[derive(Clone, Copy)]
struct Taps<'a> {
    size: &'a [u32],
    strides: &'a [u32],
    rates: &'a [u32],
    padding: Padding,
}

impl Taps<'_> {
    /// For each place in a window what all windows have there, `fill` outside.
    #[track_caller]
    fn of(self, x: Tensor, fill: f64) -> Result<Vec<Tensor>, String> {
        let Taps { size, strides, rates, padding } = self;
        let shape = x.shape();
        if shape.rank().is_some_and(|rank| rank != size.len() + 2) {
            return Err(format!("takes {} axes, not {shape}", size.len() + 2));
        }
        if [size, strides, rates].iter().any(|numbers| numbers.contains(&0)) {
            return Err("windows, their steps and those of their cells are 1 at least".to_owned());
        }
        let spans: Vec<u32> = size.iter().zip(rates).map(|(n, rate)| (n - 1).saturating_mul(*rate) + 1).collect();
        let x = match padding {
            Padding::Valid => {
                let short = |(i, (span, step)): (usize, (&u32, &u32))| {
                    let own = shape.dim(i as isize + 1).known().map(|n| n as u64);
                    own.is_some_and(|n| n + 2 * u64::from(*step) <= u64::from(*span))
                };
                if spans.iter().zip(strides).enumerate().any(short) {
                    return Err(format!("windows of {spans:?} do not fit into {shape}"));
                }
                x
            }
            Padding::Explicit(_) => return Err("pads as `Same` or `Valid` does".to_owned()),
            Padding::Same => {
                let mut paddings = vec![[0, 0]; size.len() + 2];
                for (i, (span, step)) in spans.iter().zip(strides).enumerate() {
                    let more = match shape.dim(i as isize + 1) {
                        Dim::Known(n) => {
                            let covered =
                                (n.div_ceil(u64::from(*step)).max(1) - 1) * u64::from(*step) + u64::from(*span);
                            u32::try_from(covered.saturating_sub(n)).map_err(|_| format!("{shape} is too large"))?
                        }
                        Dim::Unknown if *step == 1 => span - 1,
                        Dim::Unknown => return Err(format!("extent {} of {shape} is not known", i + 1)),
                    };
                    paddings[i + 1] = [more / 2, more - more / 2];
                }
                if paddings.iter().all(|pair| *pair == [0, 0]) { x } else { x.pad_with(&paddings, fill) }
            }
        };
        let count: usize = size.iter().map(|n| *n as usize).product();
        let place = |tap: usize| {
            let mut rest = tap;
            let mut parts: SmallVec<[Part; 4]> = SmallVec::from_elem(Part::WHOLE, size.len() + 1);
            for i in (0..size.len()).rev() {
                let n = size[i] as usize;
                let begin = (rest % n) as i64 * i64::from(rates[i]);
                rest /= n;
                let after = i64::from(spans[i]) - 1 - begin;
                let end = (after > 0).then_some(-after);
                parts[i + 1] = Part::Range { begin: Some(begin), end, step: i64::from(strides[i]) };
            }
            x.graph().apply(Op::StridedSlice { parts: parts.into_iter().collect() }, &[x])
        };
        Ok((0..count).map(place).collect())
    }
}

#[track_caller]
fn joined(x: Tensor, name: &str, taps: Taps<'_>) -> Tensor {
    scoped(x.graph(), name, || match taps.of(x, 0.0) {
        Ok(cells) => x.graph().concat(&cells, -1),
        Err(message) => x.poisoned_or(format!("{name}: {message}")),
    })
}

#[track_caller]
fn grown(x: Tensor, filter: Tensor, windows: Windows, name: &str) -> Tensor {
    let Windows { strides, rates, padding, .. } = windows;
    let shape = filter.shape();
    let size = match shape.dims() {
        Some([height, width, _]) => height.known().zip(width.known()),
        Some(_) | None => None,
    };
    let Some(size) = size.and_then(|(h, w)| Some([u32::try_from(h).ok()?, u32::try_from(w).ok()?])) else {
        return x.poisoned_or(format!("{name}: a filter is [h, w, c] of known extents, not {shape}"));
    };
    if !x.dtype().is_float() {
        return x.poisoned_or(format!("{name}: takes floats, not {}; cast it first", x.dtype()));
    }
    let taps = Taps { size: &size, strides: &strides, rates: &rates, padding };
    scoped(x.graph(), name, || match taps.of(x, x.dtype().limits()[0]) {
        Ok(cells) => {
            let steps = (0..size[0] as i32).flat_map(|i| (0..size[1] as i32).map(move |j| (i, j)));
            let sums: Vec<Tensor> =
                cells.into_iter().zip(steps).map(|(cells, (i, j))| cells + filter.at((i, j))).collect();
            let (largest, _) = x.graph().stack(&sums, -1).top_k(1);
            largest.squeeze_axes(&[-1])
        }
        Err(message) => x.poisoned_or(format!("{name}: {message}")),
    })
}
