//! Initializers: what `get_variable` fills a new variable with.

use dormouse_value::{DType, Value};

use crate::build::random::{Normal, Random, TruncatedNormal, Uniform};
use crate::graph::Graph;
use crate::tensor::Tensor;

/// Makes the initial value of a variable, once its shape is known.
///
/// Implemented by [`Zeros`], [`Ones`], [`Fill`] and [`GlorotUniform`], by the distributions [`Normal`],
/// [`TruncatedNormal`] and [`Uniform`], by every [`Value`] (which must have the shape asked for) and by closures
/// `|graph, dims| tensor` that make f32.
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
distributions!(Normal, TruncatedNormal, Uniform);

/// Uniform over ±√(6 / (fan in + fan out)) (Glorot and Bengio, 2010): TensorFlow's default for `get_variable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlorotUniform {
    seed: Option<i64>,
    dtype: DType,
}

impl Default for GlorotUniform {
    fn default() -> Self {
        GlorotUniform { seed: None, dtype: DType::F32 }
    }
}

impl GlorotUniform {
    /// With a seed of its own.
    #[must_use]
    pub fn seed(self, seed: i64) -> Self {
        GlorotUniform { seed: Some(seed), ..self }
    }

    /// In another float dtype.
    #[must_use]
    pub fn dtype(self, dtype: DType) -> Self {
        GlorotUniform { dtype, ..self }
    }
}

impl Initializer for GlorotUniform {
    fn dtype(&self) -> DType {
        self.dtype
    }

    #[track_caller]
    fn initial(&self, graph: &Graph, dims: &[usize]) -> Tensor {
        // As TensorFlow counts: a filter's window cells times its channels.
        let (fan_in, fan_out) = match *dims {
            [] => (1, 1),
            [n] => (n, n),
            [ref window @ .., fan_in, fan_out] => {
                let cells: usize = window.iter().product();
                (cells * fan_in, cells * fan_out)
            }
        };
        let limit = (6.0 / (fan_in + fan_out).max(1) as f64).sqrt();
        let uniform = Uniform::new(-limit, limit).dtype(self.dtype);
        graph.random(dims, self.seed.map_or(uniform, |seed| uniform.seed(seed)))
    }
}
