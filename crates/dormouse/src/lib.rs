//! Dormouse: a lazy computation-graph engine that mirrors TensorFlow 1's session model.
//!
//! You describe a computation as a graph; nothing runs. A [`Session`] wakes it: it prunes, specialises, compiles and runs
//! just what your fetches need.
//!
//! ```
//! use dormouse::prelude::*;
//!
//! let graph = Graph::new();
//! let x = graph.placeholder(DType::F32, shape![?, 2]);
//! let w = graph.variable(graph.random(&[2, 1], Normal::new(1.0).seed(1))).named("w");
//! let y = x.matmul(w).relu();
//!
//! let init = graph.initializer();
//!
//! let session = Session::new(&graph)?;
//! session.run(init, feeds![])?;
//! let value = session.run(y, feeds![x => [[1.0_f32, 0.0]]])?;
//! assert_eq!(value.shape(), [1, 1]);
//! # Ok::<(), dormouse::Error>(())
//! ```
//!
//! The crates behind it: `dormouse-value` (values), `dormouse-graph` (symbols), `dormouse-gradient` (symbols to symbols),
//! `dormouse-kernels` (numbers), `dormouse-session` (time), `dormouse-train` (layers, losses, optimizers),
//! `dormouse-data` (input), `dormouse-io` (files).
//!
//! # Invariants
//! - No logic: re-exports, and one [`Error`].

#![forbid(unsafe_code)]

pub use dormouse_data as data;
pub use dormouse_gradient as gradient;
pub use dormouse_graph as graph;
pub use dormouse_io as io;
pub use dormouse_session as session;
pub use dormouse_session::Session;
pub use dormouse_train as train;
pub use dormouse_value as value;

/// Any error of Dormouse's crates.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What building recorded as wrong.
    #[error(transparent)]
    Graph(#[from] dormouse_graph::Mistakes),
    /// Why a session could not be made, or a run not be finished.
    #[error(transparent)]
    Session(#[from] dormouse_session::Error),
    /// Why a value could not be read as what was asked for.
    #[error(transparent)]
    Value(#[from] dormouse_value::ValueError),
    /// What is wrong with a data file.
    #[error(transparent)]
    Data(#[from] dormouse_data::Error),
    /// Why a graph, a checkpoint or a bundle could not be saved or loaded.
    #[error(transparent)]
    Io(#[from] dormouse_io::Error),
}

/// A result of Dormouse's crates.
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that a model needs, in one import.
pub mod prelude {
    pub use dormouse_gradient::{Gradients, gradients};
    pub use dormouse_graph::{
        Array, Blocks, Boxes, ChannelsFirst, Checks, Colors, Contraction, Conv2d, Convolutions, Direction, Dynamic,
        Elementwise, Factors, Fan, Fill, Functions, GlorotNormal, GlorotUniform, Graph, HeNormal, HeUniform, Images,
        IndexedSlices, Indexing, Initializer, LecunNormal, LecunUniform, Linalg, MatMul, Matrices, Measured, Mesh,
        NewAxis, Nn, Norm, Normal, Normalization, OneHot, Ones, Operand, Operation, Orthogonal, OwnedGraph, Patches,
        Pool, Quality, RandomImages, Reduction, ResizeImages, Rest, Reuse, Running, Sampling, Segments, Sequences,
        Side, Slicing, Sorting, Spread, Statistics, StridedSlice, Symbol, Systems, Tensor, Triangle, TruncatedNormal,
        Uniform, UniformInt, Variable, VarianceScaling, Zeros, by, keep_dims, normalize_moments,
    };
    pub use dormouse_io::{
        Bundle, Checkpoint, Extras, Matching, Saver, Signature, checkpoint_state, latest_checkpoint, load_graph,
        save_graph,
    };
    pub use dormouse_session::{Optimize, Peak, Session, SessionOptions, Trace, feeds, operation};
    pub use dormouse_train::layers::{self, Dense, Layer};
    pub use dormouse_train::{
        Adadelta, Adagrad, Adam, Decay, ExponentialMovingAverage, Ftrl, GradientDescent, L1, L2, Minimize, Momentum,
        Optimizer, Regularizer, RmsProp, check_gradients, clip_by_global_norm, exponential_decay, global_step, losses,
        metrics,
    };
    pub use dormouse_value::{DType, Interpolation, Padding, Shape, Value, bf16, f16, shape};
}

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
