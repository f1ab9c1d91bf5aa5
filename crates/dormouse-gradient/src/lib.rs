//! Gradients of graphs, as more graph: reverse-mode differentiation of symbols before anything runs.
//!
//! ```
//! use dormouse_gradient::gradients;
//! use dormouse_graph::{Elementwise, Graph, Reduction};
//! let graph = Graph::new();
//! let x = graph.constant([1.0_f32, 2.0]);
//! let [dx] = gradients(x.square().sum(), [x]);
//! assert_eq!((dx.shape(), dx.dtype()), (x.shape(), x.dtype()));
//! assert!(graph.check().is_ok());
//! ```
//!
//! `gradients` walks the nodes between the results and the sources once, newest first; at each it asks `rules`, one
//! exhaustive match over the operations, for the gradient of every operand, and sums what meets at a tensor.
//!
//! # Invariants
//! - Rules only build operations that have rules themselves, so gradients of gradients are gradients.
//! - The pass is linear in the nodes and does not recurse.
//! - A gradient has its source's dtype, and its shape as far as that is known.
//! - Nothing panics: what has no gradient is a mistake of the graph or `None`.

#![forbid(unsafe_code)]

mod derivatives;
mod gradients;
mod rules;

pub use derivatives::{batch_jacobian, hessian_vector_product, hessians, jacobian, jvp};
pub use gradients::{Gradients, Results, Source, Sources, gradients};
