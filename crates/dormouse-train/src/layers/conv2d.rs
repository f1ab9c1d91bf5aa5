//! The convolution layer: one small kernel, moved over an image.

use dormouse_graph::{Nn, Tensor};
use dormouse_value::Padding;

use crate::layers::weights::Weights;
use crate::layers::{Layer, inner_extent};

/// Convolution plus bias, `[n, h, w, i] → [n, h', w', filters]`, with the kernel `[height, width, i, filters]`.
/// TensorFlow's `layers.conv2d`.
#[derive(Clone, Debug)]
pub struct Conv2d {
    filters: usize,
    size: [usize; 2],
    window: dormouse_graph::Conv2d,
    pub(super) weights: Weights,
}

impl Conv2d {
    /// With so many filters of size `[height, width]`, one step apart, inside the image only; a kernel that starts by
    /// [`GlorotUniform`](dormouse_graph::GlorotUniform) and a bias from 0.
    pub fn new(filters: usize, size: [usize; 2]) -> Self {
        let window = dormouse_graph::Conv2d { padding: Padding::Valid, ..dormouse_graph::Conv2d::default() };
        Conv2d { filters, size, window, weights: Weights::new() }
    }

    /// With other steps between windows, `[height, width]`.
    #[must_use]
    pub fn strides(self, strides: [u32; 2]) -> Self {
        Conv2d { window: dormouse_graph::Conv2d { strides, ..self.window }, ..self }
    }

    /// With other steps between a window's taps, `[height, width]`.
    #[must_use]
    pub fn dilations(self, dilations: [u32; 2]) -> Self {
        Conv2d { window: dormouse_graph::Conv2d { dilations, ..self.window }, ..self }
    }

    /// With windows that may reach over the border.
    #[must_use]
    pub fn padding(self, padding: Padding) -> Self {
        Conv2d { window: dormouse_graph::Conv2d { padding, ..self.window }, ..self }
    }
}

impl Layer for Conv2d {
    #[track_caller]
    fn apply(&self, x: Tensor) -> Tensor {
        let graph = x.graph();
        self.weights.scoped(graph, "conv2d", || {
            if self.filters == 0 || self.size.contains(&0) {
                let (filters, [height, width]) = (self.filters, self.size);
                return graph.mistake(format!("conv2d: {filters} filters of {height} × {width} are none"));
            }
            let inner = match inner_extent("conv2d", x, 4, true) {
                Ok(inner) => inner,
                Err(mistake) => return mistake,
            };
            let [height, width] = self.size;
            let kernel = self.weights.kernel(graph, &[height, width, inner, self.filters], x.dtype());
            self.weights.finish(x.conv2d(kernel, self.window), self.filters, x.dtype())
        })
    }
}
