//! Values: element types, shapes, arrays, and the closed vocabulary of operations on them.
//!
//! ```
//! use dormouse_value::{DType, Value, shape};
//! let value = Value::from([[1.0_f32, 2.0], [3.0, 4.0]]);
//! assert_eq!(value.dtype(), DType::F32);
//! assert!(shape![?, 2].accepts(value.shape()));
//! ```
//!
//! `dtype` names the element types, `shape` the concrete and the partial shapes, `value` the arrays, `op` the
//! operations that graphs are made of and kernels compute.
//!
//! # Invariants
//! - No module here knows a graph, a session or a thread.
//! - An [`Op`] holds attributes only: never an operand, never a tensor.
//! - A [`Value`] is never changed in place through this crate.

#![forbid(unsafe_code)]

mod dtype;
mod dynamic;
mod op;
mod part;
mod shape;
mod value;

pub use dtype::{DType, Element, Weak};
pub use dynamic::DynamicOp;
pub use half::{bf16, f16};
pub use op::{
    BinaryOp, CompareOp, CumulativeOp, Distribution, Interpolation, LogicalOp, Op, Padding, PoolOp, Real, ReduceOp,
    Resize, Sampling, ScatterOp, SegmentOp, UnaryOp, Window2d, Window3d,
};
pub use part::Part;
pub use shape::{Dim, Dims, Shape, broadcast_dims, element_count};
pub use value::{Value, ValueError, ValueView};
