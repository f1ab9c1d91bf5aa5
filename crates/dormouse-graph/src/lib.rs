//! Graphs: computations described by symbols, before anything runs.
//!
//! ```
//! use dormouse_graph::Graph;
//! let graph = Graph::new();
//! let a = graph.constant([1.0_f32, 2.0]).named("a");
//! let b = graph.constant([2.0_f32, 3.0]).named("b");
//! assert_eq!((a + b).to_string(), r#"Tensor("add:0", shape=[2], dtype=f32)"#);
//! ```
//!
//! `tensor` holds the handles that programs use; `build` gives them their methods, a family a file; each method calls
//! `graph`, the arena, which asks `infer` for dtype and shape, `names` for a name and `context` for scopes, control
//! dependencies and the line to charge, and appends a `node`. `variable` and `initializer` make variables. `frozen` is
//! what leaves this crate.
//!
//! # Invariants
//! - No module computes a number of a tensor.
//! - No call that builds can fail or panic; mistakes are recorded with the user's line.
//! - A node never changes but for its name, and that only until a session freezes it; operands are older than the node.
//! - No lock is held while user code runs.

#![forbid(unsafe_code)]

mod build;
mod context;
mod custom;
mod frozen;
mod graph;
mod infer;
mod initializer;
mod mistake;
mod names;
mod node;
mod orthogonal;
mod scaling;
mod tensor;
mod variable;

pub use build::array::{Array, Extents, OneHot};
pub use build::blocks::Blocks;
pub use build::channels::ChannelsFirst;
pub use build::contraction::{Contraction, Summed};
pub use build::control::Branch;
pub use build::convolutions::{Conv1d, Conv3d, Convolutions, Pool1d, Pool3d};
pub use build::debug::{Checks, Print};
pub use build::dynamic::Dynamic;
pub use build::elementwise::Elementwise;
pub use build::embedding::{Combined, Partition};
pub use build::factors::Factors;
pub use build::functions::Functions;
pub use build::image::{
    Boxes, Colors, CropAndResize, Images, NonMaxSuppression, Quality, RandomImages, ResizeImages, Ssim,
};
pub use build::indexing::Indexing;
pub use build::linalg::{Linalg, MatMul};
pub use build::matrices::{Matrices, Mesh};
pub use build::measured::{Measured, OneHotTo, SliceMasks};
pub use build::nn::{Conv2d, Nn, Pool};
pub use build::normalization::{BatchNorm, BatchStatistics, LocalResponse, Normalization};
pub use build::patches::{Patches, Windows};
pub use build::random::{Normal, Random, TruncatedNormal, Uniform, UniformInt};
pub use build::reduction::{Axes, Reduction, Running, keep_dims};
pub use build::sampling::{DistortedBox, Sampling};
pub use build::segments::Segments;
pub use build::sequences::Sequences;
pub use build::slices::IndexedSlices;
pub use build::slicing::{NewAxis, Parts, Rest, Slicing, StridedSlice, by};
pub use build::sorting::{Direction, Side, Sorting};
pub use build::statistics::{Norm, Statistics, normalize_moments};
pub use build::systems::{Systems, Triangle};
pub use context::Reuse;
pub use custom::{Custom, CustomOp, DecodeCustomOp, Differentiated, register_custom_op};
pub use frozen::Frozen;
pub use graph::{Graph, OwnedGraph};
pub use infer::draw::drawn;
pub use infer::{infer, infer_dynamic};
pub use initializer::{Fill, Initializer, Ones, Zeros};
pub use mistake::{Mistake, Mistakes};
pub use node::{
    BranchId, BranchInfo, Fact, GraphId, Node, NodeId, NodeKind, Output, Seeds, Source, VariableId, VariableInfo, Write,
};
pub use orthogonal::{Identity, Orthogonal};
pub use scaling::{
    Fan, GlorotNormal, GlorotUniform, HeNormal, HeUniform, LecunNormal, LecunUniform, Spread, VarianceScaling,
};
pub use tensor::{Member, Operand, Operation, OperationId, Symbol, Targets, Tensor, TensorId, Variable};
pub use variable::Initial;
