//! Initializers: what `get_variable` fills a new variable with.

use dormouse_value::{DType, Value};

use crate::build::random::{Normal, Random, TruncatedNormal, Uniform, UniformInt};
use crate::graph::Graph;
use crate::tensor::Tensor;

/// Makes the initial value of a variable, once its shape is known.
///
/// Implemented by [`Zeros`], [`Ones`] and [`Fill`], by the distributions [`Normal`], [`TruncatedNormal`], [`Uniform`] and
/// [`UniformInt`], by [`VarianceScaling`](crate::VarianceScaling) and its kin, by every [`Value`] (which must have the
/// shape asked for) and by closures `|graph, dims| tensor` that make f32.
pub trait Initializer {
    /// The dtype of what it makes.
    fn dtype(&self) -> DType {
        DType::F32
    }

    /// The tensor of this shape.
    fn initial(&self, graph: &Graph, dims: &[usize]) -> Tensor;
}

impl<F: Fn(&Graph, &[usize]) -> Tensor> Initializer for F {
    #[track_caller]
    fn initial(&self, graph: &Graph, dims: &[usize]) -> Tensor {
        self(graph, dims)
    }
}

impl Initializer for Value {
    fn dtype(&self) -> DType {
        Value::dtype(self)
    }

    #[track_caller]
    fn initial(&self, graph: &Graph, dims: &[usize]) -> Tensor {
        if self.shape() == dims {
            return graph.constant(self);
        }
        graph.mistake(format!("get_variable: the initial value has shape {:?}, the variable {dims:?}", self.shape()))
    }
}

/// Every element 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zeros(pub DType);

/// Every element 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ones(pub DType);

/// Every element the same number, which takes the dtype.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fill {
    value: f64,
    dtype: DType,
}

impl Fill {
    /// Every element `value`, in f32.
    pub fn new(value: f64) -> Self {
        Fill { value, dtype: DType::F32 }
    }

    /// In another dtype.
    #[must_use]
    pub fn dtype(self, dtype: DType) -> Self {
        Fill { dtype, ..self }
    }
}

macro_rules! filled {
    ($type:ident, $number:expr) => {
        impl Default for $type {
            fn default() -> Self {
                $type(DType::F32)
            }
        }

        impl Initializer for $type {
            fn dtype(&self) -> DType {
                self.0
            }

            #[track_caller]
            fn initial(&self, graph: &Graph, dims: &[usize]) -> Tensor {
                graph.fill(dims, $number, self.0)
            }
        }
    };
}
filled!(Zeros, 0.0);
filled!(Ones, 1.0);

impl Initializer for Fill {
    fn dtype(&self) -> DType {
        self.dtype
    }

    #[track_caller]
    fn initial(&self, graph: &Graph, dims: &[usize]) -> Tensor {
        graph.fill(dims, self.value, self.dtype)
    }
}

macro_rules! distributions {
    ($($type:ident),*) => { $(
        impl Initializer for $type {
            fn dtype(&self) -> DType {
                Random::dtype(self)
            }

            #[track_caller]
            fn initial(&self, graph: &Graph, dims: &[usize]) -> Tensor {
                graph.random(dims, *self)
            }
        }
    )* };
}
distributions!(Normal, TruncatedNormal, Uniform, UniformInt);
