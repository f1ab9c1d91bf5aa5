//! Images whose channels come first, TensorFlow's `NCHW`: everything here computes with channels last, so that what comes the
//! other way is turned before and after. Apart from the layers, none of which need know.

use smallvec::SmallVec;

use super::array::Array;
use super::matrices::scoped;
use crate::tensor::{Symbol, Tensor};

/// Methods of tensors and variables `[n, c, ..]`, whose second axis is of channels.
pub trait ChannelsFirst: Symbol {
    /// What a function makes of these images with their channels last, with its channels second again: `data_format="NCHW"`
    /// of any layer, as in `x.channels_first(|x| x.conv2d(filter, Conv2d::default()))`. Of two in a row the turns between
    /// them cancel. The numbers of axes must be known.
    #[track_caller]
    fn channels_first(self, layer: impl FnOnce(Tensor) -> Tensor) -> Tensor {
        let x = self.tensor();
        let y = layer(x.channels_to_last());
        y.channels_to_second()
    }

    /// `[n, c, ..] → [n, .., c]`. The number of axes must be known.
    #[track_caller]
    fn channels_to_last(self) -> Tensor {
        turned(self.tensor(), "channels_to_last", |rank| {
            (0..rank)
                .map(|k| {
                    if k == 0 {
                        0
                    } else if k == rank - 1 {
                        1
                    } else {
                        k + 1
                    }
                })
                .collect()
        })
    }

    /// `[n, .., c] → [n, c, ..]`. The number of axes must be known.
    #[track_caller]
    fn channels_to_second(self) -> Tensor {
        turned(self.tensor(), "channels_to_second", |rank| {
            (0..rank)
                .map(|k| {
                    if k == 0 {
                        0
                    } else if k == 1 {
                        rank - 1
                    } else {
                        k - 1
                    }
                })
                .collect()
        })
    }
}

impl<S: Symbol> ChannelsFirst for S {}

#[track_caller]
fn turned(x: Tensor, name: &str, perm: impl FnOnce(u32) -> SmallVec<[u32; 8]>) -> Tensor {
    match x.shape().rank() {
        Some(rank) if rank >= 2 => scoped(x.graph(), name, || x.transpose_axes(&perm(rank as u32))),
        Some(_) | None => x.poisoned_or(format!("{name}: {} is not known to have channels", x.shape())),
    }
}
