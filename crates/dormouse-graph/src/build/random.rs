//! Random tensors: the distributions, their seeds, and TensorFlow's way of scaling them.

use std::hash::{BuildHasher, RandomState};
use std::panic::Location;

use dormouse_value::{BinaryOp, DType, Distribution, Op, Shape, Value, bf16, f16};
use smallvec::SmallVec;

use crate::graph::{Graph, Naming};
use crate::infer::draw::drawn;
use crate::node::{Fact, NodeKind, Output, Seeds};
use crate::tensor::{Symbol, Tensor};

/// TensorFlow's graph-level seed where only an operation has one.
const DEFAULT_GRAPH_SEED: i64 = 87_654_321;

/// A distribution to draw from: [`Normal`], [`TruncatedNormal`], [`Uniform`] or [`UniformInt`].
pub trait Random: Copy {
    /// The dtype that it draws.
    fn dtype(&self) -> DType;
    /// What the generator draws, the factor, the offset, the seed, and TensorFlow's names of call and operation.
    #[doc(hidden)]
    fn parts(&self) -> Parts;
}

#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    distribution: Distribution,
    factor: f64,
    offset: f64,
    seed: Option<i64>,
    names: [&'static str; 4],
}

macro_rules! normals {
    ($($(#[$doc:meta])* $type:ident $name:literal $op:literal;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $type {
            mean: f64,
            stddev: f64,
            seed: Option<i64>,
            dtype: DType,
        }

        impl Default for $type {
            fn default() -> Self {
                $type { mean: 0.0, stddev: 1.0, seed: None, dtype: DType::F32 }
            }
        }

        impl $type {
            /// Of mean 0 and this deviation, in f32.
            pub fn new(stddev: f64) -> Self {
                $type { stddev, ..$type::default() }
            }

            /// Around another mean.
            #[must_use]
            pub fn mean(self, mean: f64) -> Self {
                $type { mean, ..self }
            }

            /// With a seed of its own.
            #[must_use]
            pub fn seed(self, seed: i64) -> Self {
                $type { seed: Some(seed), ..self }
            }

            /// In another float dtype.
            #[must_use]
            pub fn dtype(self, dtype: DType) -> Self {
                $type { dtype, ..self }
            }
        }

        impl Random for $type {
            fn dtype(&self) -> DType {
                self.dtype
            }

            fn parts(&self) -> Parts {
                Parts {
                    distribution: Distribution::$type,
                    factor: self.stddev,
                    offset: self.mean,
                    seed: self.seed,
                    names: [$name, $op, "stddev", "mean"],
                }
            }
        }
    )* };
}
normals! {
    /// The normal distribution.
    Normal "random_normal" "RandomStandardNormal";
    /// The normal distribution, drawn again where it falls beyond two deviations.
    TruncatedNormal "truncated_normal" "TruncatedNormal";
}

/// The uniform distribution over [low, high).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Uniform {
    low: f64,
    high: f64,
    seed: Option<i64>,
    dtype: DType,
}

impl Default for Uniform {
    fn default() -> Self {
        Uniform::new(0.0, 1.0)
    }
}

impl Uniform {
    /// Over [low, high), in f32.
    pub fn new(low: f64, high: f64) -> Self {
        Uniform { low, high, seed: None, dtype: DType::F32 }
    }

    /// With a seed of its own.
    #[must_use]
    pub fn seed(self, seed: i64) -> Self {
        Uniform { seed: Some(seed), ..self }
    }

    /// In another float dtype.
    #[must_use]
    pub fn dtype(self, dtype: DType) -> Self {
        Uniform { dtype, ..self }
    }
}

impl Random for Uniform {
    fn dtype(&self) -> DType {
        self.dtype
    }

    fn parts(&self) -> Parts {
        // The range is a difference in the tensor's own dtype, as TensorFlow takes it.
        let range = match self.dtype {
            DType::F32 => f64::from(self.high as f32 - self.low as f32),
            DType::F16 => f64::from(f16::from_f64(self.high) - f16::from_f64(self.low)),
            DType::Bf16 => f64::from(bf16::from_f64(self.high) - bf16::from_f64(self.low)),
            // Other dtypes are no floats, and refused.
            DType::F64
            | DType::I8
            | DType::I16
            | DType::I32
            | DType::I64
            | DType::U8
            | DType::U16
            | DType::U32
            | DType::U64
            | DType::Bool => self.high - self.low,
        };
        Parts {
            distribution: Distribution::Uniform,
            factor: range,
            offset: self.low,
            seed: self.seed,
            names: ["random_uniform", "RandomUniform", "range", "min"],
        }
    }
}

/// The whole numbers from `low` on, before `high`, each as likely, in i32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UniformInt {
    low: i64,
    high: i64,
    seed: Option<i64>,
    dtype: DType,
}

impl UniformInt {
    /// From `low` on, before `high`, in i32.
    pub fn new(low: i64, high: i64) -> Self {
        UniformInt { low, high, seed: None, dtype: DType::I32 }
    }

    /// With a seed of its own.
    #[must_use]
    pub fn seed(self, seed: i64) -> Self {
        UniformInt { seed: Some(seed), ..self }
    }

    /// In i32 or i64.
    #[must_use]
    pub fn dtype(self, dtype: DType) -> Self {
        UniformInt { dtype, ..self }
    }
}

impl Random for UniformInt {
    fn dtype(&self) -> DType {
        self.dtype
    }

    fn parts(&self) -> Parts {
        Parts {
            distribution: Distribution::UniformInt { low: self.low, high: self.high },
            factor: 1.0,
            offset: 0.0,
            seed: self.seed,
            names: ["random_uniform", "RandomUniformInt", "range", "min"],
        }
    }
}

impl Graph {
    /// A tensor drawn anew in every run: the same numbers as TensorFlow draws from the same seeds.
    ///
    /// Without a seed here or in the graph ([`Graph::set_seed`]), one is drawn when the node is built.
    #[track_caller]
    pub fn random(&self, dims: &[usize], distribution: impl Random) -> Tensor {
        let at = Location::caller();
        self.random_of(at, Err(dims), distribution)
    }

    /// As [`Graph::random`], in the shape of another tensor, which may be unknown until the run.
    #[track_caller]
    pub fn random_like(&self, like: impl Symbol, distribution: impl Random) -> Tensor {
        let at = Location::caller();
        self.random_of(at, Ok(like.tensor()), distribution)
    }

    fn random_of(
        &self,
        at: &'static Location<'static>,
        shape: Result<Tensor, &[usize]>,
        distribution: impl Random,
    ) -> Tensor {
        let dtype = distribution.dtype();
        let Parts { distribution, factor, offset, seed, names: [name, op, factor_name, offset_name] } =
            distribution.parts();
        let weak = |x: f64| Value::of_number(x, dtype);
        let operands: SmallVec<[Tensor; 1]> = shape.ok().into_iter().collect();
        let fact = Fact::new(dtype, shape.map_or_else(Shape::known, Tensor::shape));
        let facts: SmallVec<[Fact; 1]> = operands.iter().map(|t| t.fact()).collect();
        if let Err(message) = drawn(distribution, &facts, &fact) {
            return self.mistake(format!("{name}: {message}"));
        }
        let seeds = self.seeds(seed);
        self.composite(at, name, |own| {
            let kind = NodeKind::Random { distribution, seeds };
            if let Distribution::UniformInt { .. } = distribution {
                return self.push_tensor(at, own, kind, &operands, fact);
            }
            let drawn = self.push_tensor(at, Naming::Scoped(op), kind, &operands, fact);
            if distribution == Distribution::Uniform && factor == 1.0 && offset == 0.0 {
                // What the generator draws already is over [0, 1).
                return drawn;
            }
            let factor = self.constant_named(at, Naming::Scoped(factor_name), weak(factor));
            let offset = self.constant_named(at, Naming::Scoped(offset_name), weak(offset));
            let binary = |naming, op, a, b| {
                let node = self.push_op(at, naming, Op::Binary(op), &[a, b]);
                Tensor::new(self.handle(), Output { node, port: 0 })
            };
            let scaled = binary(Naming::Scoped("mul"), BinaryOp::Mul, drawn, factor);
            binary(own, BinaryOp::Add, scaled, offset)
        })
    }

    /// Sets the graph-level seed, which every random node built from now on starts from.
    pub fn set_seed(&self, seed: i64) {
        self.with(|s| s.seed = Some(seed));
    }

    /// TensorFlow's pair: the graph's seed, or its default where only the operation has one; the operation's seed, or
    /// the number of such operations so far where only the graph has one.
    pub(crate) fn seeds(&self, operation: Option<i64>) -> Seeds {
        let reduced = |seed: i64| seed.rem_euclid(i64::from(i32::MAX));
        self.with(|s| match (s.seed.map(reduced), operation.map(reduced)) {
            (Some(graph), Some(operation)) => Seeds { graph, operation },
            (Some(graph), None) => {
                s.unseeded += 1;
                Seeds { graph, operation: s.unseeded - 1 }
            }
            (None, Some(operation)) => Seeds { graph: DEFAULT_GRAPH_SEED, operation },
            (None, None) => {
                let entropy = RandomState::new();
                Seeds { graph: entropy.hash_one(0) as i64, operation: entropy.hash_one(1) as i64 }
            }
        })
        .map_or(Seeds { graph: 0, operation: 0 }, |seeds| match seeds {
            // Both zero would ask TensorFlow's kernels for a seed of their own.
            Seeds { graph: 0, operation: 0 } => Seeds { graph: 0, operation: i64::from(i32::MAX) },
            other => other,
        })
    }

    /// A tensor of these extents, every element the same number.
    #[track_caller]
    pub fn fill(&self, dims: &[usize], number: f64, dtype: DType) -> Tensor {
        let scalar = self.constant(Value::of_number(number, dtype));
        let dims = dims.iter().map(|&n| n as u64).collect();
        self.apply_named("fill", Op::BroadcastTo { dims }, &[scalar])
    }
}
