//! Graphs that write graphs: layers, losses, optimizers, schedules, moving averages. Everything here is built of the nodes
//! that a user could build; nothing runs until a session runs it.
//!
//! ```
//! use dormouse_graph::{Array, Graph, Linalg, Reduction, Zeros};
//! use dormouse_session::{Session, feeds};
//! use dormouse_train::{GradientDescent, Optimizer, losses};
//! use dormouse_value::DType;
//! let graph = Graph::new();
//! let x = graph.constant([[1.0_f32], [2.0], [3.0]]);
//! let target = graph.constant([[2.0_f32], [4.0], [6.0]]);
//! let w = graph.get_variable("w", [1, 1], Zeros::default());
//! let loss = losses::mean_squared_error(target, x.matmul(w));
//! let train = GradientDescent::new(0.1).minimize(loss);
//! let init = graph.initializer();
//!
//! let session = Session::new(&graph)?;
//! session.run(init, feeds![])?;
//! for _ in 0..50 {
//!     session.run(train, feeds![])?;
//! }
//! let w: f32 = session.run(w, feeds![])?.scalar()?;
//! assert!((w - 2.0).abs() < 1e-4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `layers` and `losses` build a model and what is wrong with it, `candidates` what is wrong with a model of many classes,
//! `regularizer` what is wrong with its size; `optimizer`
//! asks `dormouse-gradient` for gradients, which `clip` may shorten, and adds the updates, at the rate of a `schedule`;
//! `average` follows the variables; `metrics` tell how well it went.
//!
//! # Invariants
//! - Nothing here runs anything or reads a number of a tensor, but for `gradient_check`.
//! - Formulas, names and defaults are those of TensorFlow 2.21's `compat.v1`.
//! - Mistakes name the line of the user's call.

#![forbid(unsafe_code)]

mod average;
pub mod candidates;
mod clip;
mod gradient_check;
pub mod layers;
pub mod losses;
pub mod metrics;
mod optimizer;
mod regularizer;
mod scalar;
mod schedule;

pub use average::ExponentialMovingAverage;
pub use clip::{
    clip_by_average_norm, clip_by_global_norm, clip_by_global_norm_with, clip_by_norm, clip_by_norm_over, global_norm,
};
pub use gradient_check::{GradientCheck, check_gradients};
pub use optimizer::adadelta::Adadelta;
pub use optimizer::adagrad::Adagrad;
pub use optimizer::adam::Adam;
pub use optimizer::ftrl::Ftrl;
pub use optimizer::gradient_descent::GradientDescent;
pub use optimizer::momentum::Momentum;
pub use optimizer::rms_prop::RmsProp;
pub use optimizer::{Minimize, Optimizer, Slots, global_step};
pub use regularizer::{L1, L2, Regularizer};
pub use scalar::Scalar;
pub use schedule::{
    Cosine, Decay, Polynomial, cosine_decay, exponential_decay, inverse_time_decay, natural_exp_decay,
    piecewise_constant, polynomial_decay,
};

use dormouse_graph::{NodeKind, Tensor};

/// Whether a tensor comes of a mistake, which is told already.
fn is_poisoned(tensor: Tensor) -> bool {
    tensor.graph().node(tensor.output().node).is_none_or(|node| node.kind == NodeKind::Mistake)
}
