//! Initializers whose deviation goes by how many elements a weight's inputs and outputs have, as TensorFlow's
//! `variance_scaling_initializer`: one rule, and the papers' names for what it makes.

use dormouse_value::DType;

use crate::build::random::{Normal, TruncatedNormal, Uniform};
use crate::graph::Graph;
use crate::initializer::Initializer;
use crate::tensor::Tensor;

/// Deviation of the normal distribution that is left within two deviations.
const TRUNCATED_STDDEV: f64 = 0.879_625_661_034_239_8;

/// Which elements of a weight [`VarianceScaling`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fan {
    /// Those that make one output.
    In,
    /// Those that one input goes into.
    Out,
    /// The mean of both.
    Average,
}

/// Which distribution [`VarianceScaling`] draws from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Normal within two deviations.
    TruncatedNormal,
    /// Normal.
    Normal,
    /// Uniform.
    Uniform,
}

/// Numbers of mean 0 and variance scale / n, where n is a weight's [`Fan`], 1 at least.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VarianceScaling {
    scale: f64,
    fan: Fan,
    spread: Spread,
    seed: Option<i64>,
    dtype: DType,
}

impl Default for VarianceScaling {
    fn default() -> Self {
        VarianceScaling::new(1.0)
    }
}

impl VarianceScaling {
    /// Of this scale by [`Fan::In`], from [`Spread::TruncatedNormal`], in f32.
    pub fn new(scale: f64) -> Self {
        VarianceScaling { scale, fan: Fan::In, spread: Spread::TruncatedNormal, seed: None, dtype: DType::F32 }
    }

    /// By other elements.
    #[must_use]
    pub fn fan(self, fan: Fan) -> Self {
        VarianceScaling { fan, ..self }
    }

    /// From another distribution.
    #[must_use]
    pub fn spread(self, spread: Spread) -> Self {
        VarianceScaling { spread, ..self }
    }

    /// With a seed of its own.
    #[must_use]
    pub fn seed(self, seed: i64) -> Self {
        VarianceScaling { seed: Some(seed), ..self }
    }

    /// In another float dtype.
    #[must_use]
    pub fn dtype(self, dtype: DType) -> Self {
        VarianceScaling { dtype, ..self }
    }
}

/// How many elements make one output, and how many one input goes into: a filter's window cells times its channels.
fn fans(dims: &[usize]) -> (f64, f64) {
    match *dims {
        [] => (1.0, 1.0),
        [n] => (n as f64, n as f64),
        [ref window @ .., fan_in, fan_out] => {
            let cells: f64 = window.iter().map(|n| *n as f64).product();
            (cells * fan_in as f64, cells * fan_out as f64)
        }
    }
}

impl Initializer for VarianceScaling {
    fn dtype(&self) -> DType {
        self.dtype
    }

    #[track_caller]
    fn initial(&self, graph: &Graph, dims: &[usize]) -> Tensor {
        if !self.scale.is_finite() || self.scale <= 0.0 {
            return graph.mistake(format!("variance_scaling: the scale is {}, not above 0", self.scale));
        }
        let (fan_in, fan_out) = fans(dims);
        let count = match self.fan {
            Fan::In => fan_in,
            Fan::Out => fan_out,
            Fan::Average => f64::midpoint(fan_in, fan_out),
        };
        let variance = self.scale / count.max(1.0);
        match self.spread {
            Spread::TruncatedNormal => {
                let normal = TruncatedNormal::new(variance.sqrt() / TRUNCATED_STDDEV).dtype(self.dtype);
                graph.random(dims, self.seed.map_or(normal, |seed| normal.seed(seed)))
            }
            Spread::Normal => {
                let normal = Normal::new(variance.sqrt()).dtype(self.dtype);
                graph.random(dims, self.seed.map_or(normal, |seed| normal.seed(seed)))
            }
            Spread::Uniform => {
                let limit = (3.0 * variance).sqrt();
                let uniform = Uniform::new(-limit, limit).dtype(self.dtype);
                graph.random(dims, self.seed.map_or(uniform, |seed| uniform.seed(seed)))
            }
        }
    }
}

macro_rules! named {
    ($($(#[$doc:meta])* $type:ident $scale:literal $fan:ident $spread:ident;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $type {
            seed: Option<i64>,
            dtype: DType,
        }

        impl Default for $type {
            fn default() -> Self {
                $type { seed: None, dtype: DType::F32 }
            }
        }

        impl $type {
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

        impl Initializer for $type {
            fn dtype(&self) -> DType {
                self.dtype
            }

            #[track_caller]
            fn initial(&self, graph: &Graph, dims: &[usize]) -> Tensor {
                let $type { seed, dtype } = *self;
                let scaling = VarianceScaling::new($scale).fan(Fan::$fan).spread(Spread::$spread);
                VarianceScaling { seed, dtype, ..scaling }.initial(graph, dims)
            }
        }
    )* };
}
named! {
    /// Uniform over ±√(6 / (fan in + fan out)) (Glorot and Bengio, 2010): TensorFlow's default for `get_variable`.
    GlorotUniform 1.0 Average Uniform;
    /// Truncated normal of deviation √(2 / (fan in + fan out)) (Glorot and Bengio, 2010).
    GlorotNormal 1.0 Average TruncatedNormal;
    /// Uniform over ±√(6 / fan in) (He et al., 2015).
    HeUniform 2.0 In Uniform;
    /// Truncated normal of deviation √(2 / fan in) (He et al., 2015).
    HeNormal 2.0 In TruncatedNormal;
    /// Uniform over ±√(3 / fan in) (after "Efficient backprop", 1998).
    LecunUniform 1.0 In Uniform;
    /// Truncated normal of deviation √(1 / fan in) (after "Efficient backprop", 1998).
    LecunNormal 1.0 In TruncatedNormal;
}
