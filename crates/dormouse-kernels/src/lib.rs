//! Kernels: an operation and the shapes of its operands become a [`Kernel`], which computes numbers in tiles.
//!
//! `dispatch` is the one exhaustive match from [`Op`](dormouse_value::Op) to the family that computes it; each family
//! is a file of the same name as in the graph and gradient crates. A kernel says how many tiles a shape makes and how
//! to run one of them; who runs them, and when, is the session's business.
//!
//! # Invariants
//! - No module here knows a node, a graph or a variable.
//! - No module starts a thread, takes a lock or allocates while a tile runs.
//! - Tiles are decided by shape alone, and a tile's bits do not depend on who runs it, or when.
//! - No kernel calls the platform's libm: scalar and vector code give the same bits on every machine.

mod array;
mod conv;
mod dense;
mod dispatch;
mod elementwise;
mod epilogue;
mod fused;
mod gemm;
mod image;
mod kernel;
mod linalg;
mod math;
mod nn;
mod pool;
mod precision;
mod prefetch;
mod random;
mod reduction;

pub use array::compile_sum_rows;
pub use dense::compile_constant;
pub use dispatch::{compile, compile_freely};
pub use elementwise::cast_path;
pub use epilogue::{compile_epilogue, has_epilogue};
pub use fused::{
    Loop, Step, compile_loop, compile_loop_columns, compile_loop_reduction, elementwise_inputs, fusible, sums_columns,
};
pub use kernel::{Args, Body, Cost, Kernel, KernelError, Spec};
pub use nn::{LossGradient, compile_loss_gradient};
pub use precision::moves;
pub use random::{RandomKey, compile_random, reserve};
