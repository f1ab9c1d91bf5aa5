//! The pooling layers: each window of an image made one cell.

use dormouse_graph::{Nn, Pool, Tensor};
use dormouse_value::Padding;

use crate::layers::Layer;

macro_rules! pools {
    ($($(#[$doc:meta])* $layer:ident $method:ident;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $layer(Pool);

        impl $layer {
            /// With windows of `size`, `strides` apart, both `[height, width]`, inside the image only.
            pub fn new(size: [u32; 2], strides: [u32; 2]) -> Self {
                $layer(Pool { size, strides, padding: Padding::Valid })
            }

            /// With windows that may reach over the border.
            #[must_use]
            pub fn padding(self, padding: Padding) -> Self {
                $layer(Pool { padding, ..self.0 })
            }
        }

        impl Layer for $layer {
            #[track_caller]
            fn apply(&self, x: Tensor) -> Tensor {
                x.$method(self.0)
            }
        }
    )* };
}
pools! {
    /// The largest cell of each window. TensorFlow's `layers.max_pooling2d`.
    MaxPool max_pool;
    /// The mean of each window. TensorFlow's `layers.average_pooling2d`.
    AveragePool avg_pool;
}
