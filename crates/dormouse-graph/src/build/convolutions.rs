//! Convolutions and pooling beyond those of images: of sequences, of images with a depth, of each channel alone, and back.

use dormouse_value::{Dim, Op, Padding, Shape, Window2d, Window3d};

use super::array::Array;
use super::dynamic::Dynamic;
use super::elementwise::Elementwise;
use super::matrices::{regroup, scoped};
use super::nn::{Conv2d, Nn, Pool};
use super::reduction::{Reduction, keep_dims};
use super::slicing::Slicing;
use crate::tensor::{Operand, Symbol, Tensor};

/// How [`Convolutions::conv1d`] lays its windows over the inner axis of an NWC tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv1d {
    /// Steps between windows.
    pub stride: u32,
    /// How windows meet the border; of `Explicit`, the second pair counts.
    pub padding: Padding,
    /// Steps between a window's taps.
    pub dilation: u32,
}

impl Default for Conv1d {
    fn default() -> Self {
        Conv1d { stride: 1, padding: Padding::Same, dilation: 1 }
    }
}

/// How [`Convolutions::conv3d`] lays its windows, over the three inner axes of an NDHWC tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv3d {
    /// Steps between windows, `[depth, height, width]`.
    pub strides: [u32; 3],
    /// How windows meet the border; not `Explicit`.
    pub padding: Padding,
    /// Steps between a window's taps, `[depth, height, width]`.
    pub dilations: [u32; 3],
}

impl Default for Conv3d {
    fn default() -> Self {
        Conv3d { strides: [1; 3], padding: Padding::Same, dilations: [1; 3] }
    }
}

/// How [`Convolutions::max_pool1d`] and [`Convolutions::avg_pool1d`] lay their windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool1d {
    /// Cells of a window.
    pub size: u32,
    /// Steps between windows.
    pub stride: u32,
    /// How windows meet the border; of `Explicit`, the second pair counts.
    pub padding: Padding,
}

impl Default for Pool1d {
    fn default() -> Self {
        Pool1d { size: 2, stride: 2, padding: Padding::Same }
    }
}

/// How [`Convolutions::max_pool3d`] and [`Convolutions::avg_pool3d`] lay their windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool3d {
    /// Cells of a window, `[depth, height, width]`.
    pub size: [u32; 3],
    /// Steps between windows, `[depth, height, width]`.
    pub strides: [u32; 3],
    /// How windows meet the border; not `Explicit`.
    pub padding: Padding,
}

impl Default for Pool3d {
    fn default() -> Self {
        Pool3d { size: [2; 3], strides: [2; 3], padding: Padding::Same }
    }
}

/// Convolutions and pooling of tensors and variables, beyond those of [`Nn`].
pub trait Convolutions: Symbol {
    /// Each channel with filters of its own: `[n, h, w, c]` with a filter `[h, w, c, m]` → `[n, h', w', c·m]`.
    #[track_caller]
    fn depthwise_conv2d(self, filter: impl Operand, options: Conv2d) -> Tensor {
        let x = self.tensor();
        let filter = filter.tensor_like(x);
        x.graph().apply_named("depthwise", Op::DepthwiseConv2d(window(options)), &[x, filter])
    }

    /// A depthwise convolution, then one of single cells over the channels: filters `[h, w, c, m]` and `[1, 1, c·m, o]`.
    #[track_caller]
    fn separable_conv2d(self, depthwise: impl Operand, pointwise: impl Operand, options: Conv2d) -> Tensor {
        let x = self.tensor();
        let (depthwise, pointwise) = (depthwise.tensor_like(x), pointwise.tensor_like(x));
        let cells = pointwise.shape();
        let one = |axis: isize| cells.dim(axis).unify(Dim::Known(1)).is_some();
        if cells.rank().is_some_and(|rank| rank != 4) || !one(0) || !one(1) {
            return x
                .poisoned_or(format!("separable_conv2d: the second filter is [1, 1, channels, results], not {cells}"));
        }
        scoped(x.graph(), "separable_conv2d", || {
            let apart = x.graph().apply_named("depthwise", Op::DepthwiseConv2d(window(options)), &[x, depthwise]);
            apart.conv2d(pointwise, Conv2d { padding: Padding::Valid, ..Conv2d::default() })
        })
    }

    /// Convolution with `rate` cells from one tap to the next: `[n, h, w, i]` with a filter `[h, w, i, o]`.
    #[track_caller]
    fn atrous_conv2d(self, filter: impl Operand, rate: u32, padding: Padding) -> Tensor {
        self.conv2d(filter, Conv2d { dilations: [rate; 2], padding, ..Conv2d::default() })
    }

    /// What a convolution of images of this height and width would give back to them: `[n, h', w', o]` with its filter
    /// `[h, w, i, o]` → `[n, height, width, i]`, the gradient of [`Nn::conv2d`] as a layer that makes images larger. The
    /// height and width are such as the convolution makes this tensor's of; the filter's channels must be known.
    #[track_caller]
    fn conv2d_transpose(self, filter: impl Operand, size: [usize; 2], options: Conv2d) -> Tensor {
        let x = self.tensor();
        let filter = filter.tensor_like(x);
        transposed(x, filter, &size, "conv2d_transpose", Op::Conv2dInputGrad(window(options)))
    }

    /// Convolution of sequences: `[n, w, i]` with a filter `[w, i, o]` → `[n, w', o]`.
    #[track_caller]
    fn conv1d(self, filter: impl Operand, options: Conv1d) -> Tensor {
        let x = self.tensor();
        let filter = filter.tensor_like(x);
        scoped(x.graph(), "conv1d", || {
            let image = x.expand_dims(-3);
            image.conv2d(filter.expand_dims(0), flat(options)).squeeze_axes(&[-3])
        })
    }

    /// As [`Convolutions::conv2d_transpose`], of sequences: `[n, w', o]` with a filter `[w, i, o]` → `[n, width, i]`.
    #[track_caller]
    fn conv1d_transpose(self, filter: impl Operand, width: usize, options: Conv1d) -> Tensor {
        let x = self.tensor();
        let filter = filter.tensor_like(x);
        scoped(x.graph(), "conv1d_transpose", || {
            let image = x.expand_dims(-3);
            image.conv2d_transpose(filter.expand_dims(0), [1, width], flat(options)).squeeze_axes(&[-3])
        })
    }

    /// Convolution of images with a depth: `[n, d, h, w, i]` with a filter `[d, h, w, i, o]` → `[n, d', h', w', o]`.
    #[track_caller]
    fn conv3d(self, filter: impl Operand, options: Conv3d) -> Tensor {
        let x = self.tensor();
        let filter = filter.tensor_like(x);
        x.graph().apply(Op::Conv3d(window3d(options)), &[x, filter])
    }

    /// As [`Convolutions::conv2d_transpose`], of images with a depth, which `size` starts with.
    #[track_caller]
    fn conv3d_transpose(self, filter: impl Operand, size: [usize; 3], options: Conv3d) -> Tensor {
        let x = self.tensor();
        let filter = filter.tensor_like(x);
        transposed(x, filter, &size, "conv3d_transpose", Op::Conv3dInputGrad(window3d(options)))
    }

    /// The largest of each window of `[n, w, c]`.
    #[track_caller]
    fn max_pool1d(self, options: Pool1d) -> Tensor {
        let x = self.tensor();
        scoped(x.graph(), "MaxPool1d", || x.expand_dims(-3).max_pool(row(options)).squeeze_axes(&[-3]))
    }

    /// The mean of each window's cells inside `[n, w, c]`.
    #[track_caller]
    fn avg_pool1d(self, options: Pool1d) -> Tensor {
        let x = self.tensor();
        scoped(x.graph(), "AvgPool1D", || x.expand_dims(-3).avg_pool(row(options)).squeeze_axes(&[-3]))
    }

    /// The largest of each window of `[n, d, h, w, c]`. The depth must be known.
    #[track_caller]
    fn max_pool3d(self, options: Pool3d) -> Tensor {
        deep(self.tensor(), options, "max_pool3d", "MaxPool3D", Tensor::max_pool)
    }

    /// The mean of each window's cells inside `[n, d, h, w, c]`. The depth must be known.
    #[track_caller]
    fn avg_pool3d(self, options: Pool3d) -> Tensor {
        deep(self.tensor(), options, "avg_pool3d", "AvgPool3D", Tensor::avg_pool)
    }
}

impl<S: Symbol> Convolutions for S {}

pub(super) fn window(options: Conv2d) -> Window2d {
    let Conv2d { strides, padding, dilations } = options;
    Window2d { strides, dilations, padding }
}

fn window3d(options: Conv3d) -> Window3d {
    let Conv3d { strides, padding, dilations } = options;
    Window3d { strides, dilations, padding }
}

/// Padding along the width alone.
fn sideways(padding: Padding) -> Padding {
    match padding {
        Padding::Explicit([_, width]) => Padding::Explicit([[0, 0], width]),
        Padding::Same | Padding::Valid => padding,
    }
}

fn flat(options: Conv1d) -> Conv2d {
    let Conv1d { stride, padding, dilation } = options;
    Conv2d { strides: [1, stride], padding: sideways(padding), dilations: [1, dilation] }
}

fn row(options: Pool1d) -> Pool {
    let Pool1d { size, stride, padding } = options;
    Pool { size: [1, size], strides: [1, stride], padding: sideways(padding) }
}

/// The gradient of a convolution by an input of these extents.
#[track_caller]
fn transposed(x: Tensor, filter: Tensor, size: &[usize], what: &str, op: Op) -> Tensor {
    let graph = x.graph();
    let Some(channels) = filter.shape().dim(-2).known() else {
        return filter.poisoned_or(format!("{what}: the channels of a filter of {} are not known", filter.shape()));
    };
    if x.shape().rank().is_some_and(|rank| rank != size.len() + 2) {
        return x.poisoned_or(format!("{what}: {} must have {} axes", x.shape(), size.len() + 2));
    }
    let inner = size.iter().copied().chain([channels]);
    scoped(graph, what, || {
        // Only its shape is asked for, so it is never computed.
        let images = x.shape().dim(0).known();
        let zeros = graph.fill(&[images.unwrap_or(1)].into_iter().chain(inner).collect::<Vec<_>>(), 0.0, x.dtype());
        let axes: Vec<i32> = (1..).take(size.len() + 1).collect();
        let like = if images.is_some() { zeros } else { x.sum_over(keep_dims(axes)) + zeros };
        graph.apply(op, &[x, filter, like])
    })
}

/// Pooling over height and width, then over the depth: the largest of largest ones, the mean of means.
#[track_caller]
fn deep(x: Tensor, options: Pool3d, what: &str, name: &str, pool: fn(Tensor, Pool) -> Tensor) -> Tensor {
    let Pool3d { size: [taps, down, across], strides: [step, rows, columns], padding } = options;
    let shape = x.shape();
    if shape.rank().is_some_and(|rank| rank != 5) {
        return x.poisoned_or(format!("{what}: the input must have 5 axes, its shape is {shape}"));
    }
    if matches!(padding, Padding::Explicit(_)) {
        return x.poisoned_or(format!("{what}: explicit padding is of height and width only"));
    }
    scoped(x.graph(), name, || {
        let slices = regroup(x, 0, 2, &[-1]);
        let pooled = pool(slices, Pool { size: [down, across], strides: [rows, columns], padding });
        let whole = parted(pooled, 0, [shape.dim(0), shape.dim(1)], || x.shape_of().at(..2));
        // The depth as the height of images whose width is all the rest.
        let beside = regroup(whole, 2, 2, &[-1]);
        let along = pool(beside, Pool { size: [taps, 1], strides: [step, 1], padding });
        let cells = [whole.shape().dim(2), whole.shape().dim(3)];
        parted(along, 2, cells, || whole.shape_of().at(2..4))
    })
}

/// An axis as two, of these extents; where neither is known, they are what a run finds `measured` to be.
#[track_caller]
fn parted(x: Tensor, axis: i32, extents: [Dim; 2], measured: impl FnOnce() -> Tensor) -> Tensor {
    let told = extents.map(|dim| dim.known().map_or(-1, |n| n as i64));
    if told != [-1, -1] {
        return regroup(x, axis, 1, &told);
    }
    let all = x.shape_of();
    let parts = [all.at(..axis), measured(), all.at(axis + 1..)];
    let rank = x.shape().rank().map(|rank| rank + 1);
    let whole = x.reshape_to(x.graph().concat(&parts, 0));
    rank.map_or(whole, |rank| whole.ensure_shape(Shape::of_rank(rank)))
}
