//! What images are like: how cells differ from their neighbors, and images from each other.

use dormouse_value::{DType, Op, Padding};
use smallvec::smallvec;

use super::color::{converted, most as largest};
use crate::build::array::Array;
use crate::build::convolutions::Convolutions;
use crate::build::elementwise::Elementwise;
use crate::build::nn::{Conv2d, Nn};
use crate::build::reduction::{Axes, Reduction};
use crate::build::slicing::{Rest, Slicing};
use crate::tensor::{Operand, Symbol, Tensor};

/// How [`Quality::ssim_with`] compares images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ssim {
    /// Cells of a window along each axis.
    pub size: u32,
    /// The deviation of a window's weights, in cells.
    pub sigma: f64,
    /// The constants that keep quotients from 0, in largest numbers.
    pub k: [f64; 2],
}

impl Default for Ssim {
    fn default() -> Self {
        Ssim { size: 11, sigma: 1.5, k: [0.01, 0.03] }
    }
}

/// Methods of images that measure them.
pub trait Quality: Symbol {
    /// Differences of each cell of `[n, h, w, c]` to the one below and to the one right of it, 0 at the borders.
    #[track_caller]
    fn image_gradients(self) -> [Tensor; 2] {
        let x = self.tensor();
        if x.shape().rank() != Some(4) {
            let told = x.poisoned_or(format!("image_gradients: takes images [n, h, w, c], not {}", x.shape()));
            return [told, told];
        }
        x.graph().located(|| {
            let none = x.zeros_like();
            let down = x.graph().concat(&[rows(x), none.at((Rest, 0..1, .., ..))], 1);
            let across = x.graph().concat(&[columns(x), none.at((Rest, 0..1, ..))], 2);
            [down, across]
        })
    }

    /// How fast images `[n, h, w, c]` change down and across, by Sobel's filters of mirrored images: `[n, h, w, c, 2]`. Floats; the
    /// number of channels must be known, and there are two rows and columns at least.
    #[track_caller]
    fn sobel_edges(self) -> Tensor {
        let x = self.tensor();
        let shape = x.shape();
        let channels = match shape.dims() {
            Some([_, _, _, channels]) => channels.known(),
            Some(_) | None => None,
        };
        let Some(channels) = channels else {
            return x.poisoned_or(format!("sobel_edges: takes images [n, h, w, c] of known channels, not {shape}"));
        };
        let graph = x.graph();
        graph.located(|| {
            graph.name_scope("sobel_edges", || {
                let down = [[-1.0, -2.0, -1.0], [0.0; 3], [1.0, 2.0, 1.0_f64]];
                let pairs = (0..9).flat_map(|k| [down[k / 3][k % 3], down[k % 3][k / 3]]).collect::<Vec<f64>>();
                let filter = graph.constant(pairs).cast(x.dtype()).reshape([3, 3, 1, 2]);
                let filter = filter.tile(&[1, 1, channels as u32, 1]);
                let options = Conv2d { padding: Padding::Valid, ..Conv2d::default() };
                let both = x.pad_reflect(&[[0, 0], [1, 1], [1, 1], [0, 0]]).depthwise_conv2d(filter, options);
                let dims = [channels as i64, 2].into_iter().collect();
                graph.apply(Op::Regroup { axis: -1, count: 1, dims }, &[both])
            })
        })
    }

    /// Σ of the absolute differences of neighbors, of one image or of each.
    #[track_caller]
    fn total_variation(self) -> Tensor {
        let x = self.tensor();
        if !matches!(x.shape().rank(), Some(3 | 4)) {
            return x.poisoned_or(super::unfit(x, "total_variation"));
        }
        x.graph().located(|| {
            let sum = |x: Tensor| x.abs().sum_over(Axes::from([-3, -2, -1]));
            sum(rows(x)) + sum(columns(x))
        })
    }

    /// The peak signal-to-noise ratio of pairs of images `[.., h, w, c]`, in decibels, `most` being the largest number.
    #[track_caller]
    fn psnr(self, other: impl Operand, most: f64) -> Tensor {
        let x = self.tensor();
        let other = other.tensor_like(x);
        if !alike(x, other) {
            return x.poisoned_or(format!("psnr: {} and {} are no pairs of images", x.shape(), other.shape()));
        }
        x.graph().located(|| {
            let most = scaled(most, x.dtype());
            let [x, other] = [x, other].map(floats);
            let error = x.squared_difference(other).mean_over([-3, -2, -1]);
            error.log() * (-10.0 / std::f64::consts::LN_10) + 20.0 * most.log10()
        })
    }

    /// The structural similarity of pairs of images `[.., h, w, c]` (Wang et al., 2004), `most` being the largest number.
    #[track_caller]
    fn ssim(self, other: impl Operand, most: f64) -> Tensor {
        self.ssim_with(other, most, Ssim::default())
    }

    /// As [`Quality::ssim`], as the options say.
    #[track_caller]
    fn ssim_with(self, other: impl Operand, most: f64, options: Ssim) -> Tensor {
        let x = self.tensor();
        let other = other.tensor_like(x);
        let known = matches!(x.shape().rank(), Some(3 | 4)) && x.shape().rank() == other.shape().rank();
        let channels = x.shape().dim(-1).known();
        let (true, true, Some(channels)) = (known, alike(x, other), channels) else {
            return x.poisoned_or(format!("ssim: {} and {} are no pairs of images", x.shape(), other.shape()));
        };
        let graph = x.graph();
        graph.located(|| {
            graph.name_scope("SSIM", || {
                let most = scaled(most, x.dtype());
                let one = x.shape().rank() == Some(3);
                let similar =
                    similarity([x, other].map(floats).map(|x| if one { x.expand_dims(0) } else { x }), most, options);
                let dims = smallvec![-1, channels as i64];
                let each = graph.apply(Op::Regroup { axis: 0, count: 1, dims }, &[similar]).mean_over(-1);
                if one { each.squeeze_axes(&[0]) } else { each }
            })
        })
    }
}

impl<S: Symbol> Quality for S {}

#[track_caller]
fn rows(x: Tensor) -> Tensor {
    x.at((Rest, 1.., .., ..)) - x.at((Rest, ..-1, .., ..))
}

#[track_caller]
fn columns(x: Tensor) -> Tensor {
    x.at((Rest, 1.., ..)) - x.at((Rest, ..-1, ..))
}

fn alike(x: Tensor, other: Tensor) -> bool {
    let (a, b) = (x.shape(), other.shape());
    x.dtype() == other.dtype()
        && x.dtype() != DType::Bool
        && [a.rank(), b.rank()].iter().all(|rank| rank.is_some_and(|rank| rank >= 3))
        && (-3..0).all(|axis| a.dim(axis).unify(b.dim(axis)).is_some())
}

/// Images of integers as f32 between 0 and 1.
#[track_caller]
fn floats(x: Tensor) -> Tensor {
    if x.dtype().is_float() { x } else { converted(x, DType::F32, false) }
}

/// The largest number of images, in what [`floats`] makes of them.
fn scaled(most: f64, dtype: DType) -> f64 {
    most / largest(dtype)
}

/// A mean for each channel of each image, one after the other.
#[track_caller]
fn similarity([x, y]: [Tensor; 2], most: f64, options: Ssim) -> Tensor {
    let Ssim { size, sigma, k } = options;
    let graph = x.graph();
    let middle = (f64::from(size) - 1.0) / 2.0;
    let weight = |i: u32| (-0.5 * ((f64::from(i) - middle) / sigma).powi(2)).exp();
    let line: Vec<f64> = (0..size).map(weight).collect();
    let sum: f64 = line.iter().sum();
    let n = size as usize;
    let window = ndarray::Array4::from_shape_fn((n, n, 1, 1), |(i, j, _, _)| line[i] / sum * line[j] / sum);
    let window = graph.constant(window).cast(x.dtype());
    // Channels are images of their own.
    let apart = |x: Tensor| {
        let channels = x.transpose_axes(&[0, 3, 1, 2]);
        graph.apply(Op::Regroup { axis: 0, count: 2, dims: smallvec![-1] }, &[channels]).expand_dims(-1)
    };
    let mean = |x: Tensor| x.conv2d(window, Conv2d { padding: Padding::Valid, ..Conv2d::default() });
    let [x, y] = [x, y].map(apart);
    let [c1, c2] = k.map(|k| (k * most).powi(2));
    let (mean_x, mean_y) = (mean(x), mean(y));
    let product = mean_x * mean_y * 2.0;
    let squares = mean_x.square() + mean_y.square();
    let luminance = (product + c1) / (squares + c1);
    let contrast = (mean(x * y) * 2.0 - product + c2) / (mean(x.square() + y.square()) - squares + c2);
    (luminance * contrast).mean_over([1, 2, 3])
}
