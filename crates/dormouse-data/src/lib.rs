//! Input data: files of examples read into arrays, split, shuffled and drawn in batches.
//!
//! ```
//! use dormouse_data::{Mnist, MnistOptions, Order};
//! # let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data/mnist");
//! // `dir` holds the four idx files of MNIST, of Fashion-MNIST, or of any set of the same form.
//! let options = MnistOptions { order: Order::Shuffled { seed: 1 }, ..MnistOptions::default() };
//! let mut mnist = Mnist::open_with(dir, options)?;
//! assert_eq!(mnist.train.images().shape(), [55_000, 784]);
//! assert_eq!(mnist.train.labels()[0], 7);
//!
//! let (images, labels) = mnist.train.next_batch(100)?;
//! assert_eq!((images.shape(), labels.len()), ([100, 784].as_slice(), 100));
//!
//! // A resumed program draws what the unbroken run would have drawn.
//! let state = mnist.train.state();
//! let (_, drawn) = mnist.train.next_batch(100)?;
//! mnist.train.restore(state)?;
//! assert_eq!(mnist.train.next_batch(100)?.1, drawn);
//! # Ok::<(), dormouse_data::Error>(())
//! ```
//!
//! A reader of file formats ([`idx`], [`image`]) turns bytes into a [`Value`](dormouse_value::Value); a named set of files
//! ([`Mnist`]) turns values into splits; a [`Dataset`] pairs images with labels and hands out batches, its [`Order`]
//! telling which rows come next. A further format is one more module beside `idx`, and meets the rest as arrays.
//!
//! # Invariants
//! - No module here knows a graph or a session: what comes out is arrays.
//! - No reader allocates more than the bytes of its file stand for, whatever a header claims; of an image, half a gigabyte
//!   at most.
//! - No order of rows depends on the platform, on time, or on the version of a dependency.
//! - No batch that a caller holds is ever changed by the dataset it came from.

#![forbid(unsafe_code)]

mod dataset;
mod error;
pub mod idx;
pub mod image;
mod labels;
mod mnist;

pub use dataset::{Dataset, DatasetState, Order, Rows};
pub use error::Error;
pub use labels::one_hot;
pub use mnist::{Mnist, MnistOptions};
