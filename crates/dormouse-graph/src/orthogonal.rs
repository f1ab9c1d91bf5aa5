//! Initializers that are matrices: orthogonal ones, and ones on the diagonal.

use dormouse_value::DType;

use crate::build::array::Array;
use crate::build::elementwise::Elementwise;
use crate::build::factors::Factors;
use crate::build::matrices::Matrices;
use crate::build::random::Normal;
use crate::graph::Graph;
use crate::initializer::Initializer;
use crate::tensor::Tensor;

/// Rows or columns, whichever are fewer, that are of length `gain` and at right angles: of normal numbers, as TensorFlow's
/// `orthogonal_initializer` makes them of the same seed. All axes but the last are rows; there have to be two at least.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Orthogonal {
    gain: f64,
    seed: Option<i64>,
    dtype: DType,
}

impl Default for Orthogonal {
    fn default() -> Self {
        Orthogonal::new(1.0)
    }
}

impl Orthogonal {
    /// Of this length, in f32.
    pub fn new(gain: f64) -> Self {
        Orthogonal { gain, seed: None, dtype: DType::F32 }
    }

    /// With a seed of its own.
    #[must_use]
    pub fn seed(self, seed: i64) -> Self {
        Orthogonal { seed: Some(seed), ..self }
    }

    /// In another float dtype.
    #[must_use]
    pub fn dtype(self, dtype: DType) -> Self {
        Orthogonal { dtype, ..self }
    }
}

impl Initializer for Orthogonal {
    fn dtype(&self) -> DType {
        self.dtype
    }

    #[track_caller]
    fn initial(&self, graph: &Graph, dims: &[usize]) -> Tensor {
        let [before @ .., columns] = dims else {
            return graph.mistake(format!("orthogonal: a variable of two axes at least, not {dims:?}"));
        };
        if before.is_empty() {
            return graph.mistake(format!("orthogonal: a variable of two axes at least, not {dims:?}"));
        }
        let rows: usize = before.iter().product();
        graph.located(|| {
            let normal = Normal::new(1.0).dtype(self.dtype);
            let normal = self.seed.map_or(normal, |seed| normal.seed(seed));
            let (q, r) = graph.random(&[rows.max(*columns), rows.min(*columns)], normal).qr();
            let q = q * r.matrix_diag_part().sign();
            let q = if rows < *columns { q.matrix_transpose() } else { q };
            let extents: Vec<i64> = dims.iter().map(|n| *n as i64).collect();
            q.reshape(extents) * self.gain
        })
    }
}

/// `gain` on the diagonal of a matrix, 0 elsewhere: TensorFlow's `identity_initializer`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Identity {
    gain: f64,
    dtype: DType,
}

impl Default for Identity {
    fn default() -> Self {
        Identity::new(1.0)
    }
}

impl Identity {
    /// Of this number, in f32.
    pub fn new(gain: f64) -> Self {
        Identity { gain, dtype: DType::F32 }
    }

    /// In another float dtype.
    #[must_use]
    pub fn dtype(self, dtype: DType) -> Self {
        Identity { dtype, ..self }
    }
}

impl Initializer for Identity {
    fn dtype(&self) -> DType {
        self.dtype
    }

    #[track_caller]
    fn initial(&self, graph: &Graph, dims: &[usize]) -> Tensor {
        let &[rows, columns] = dims else {
            return graph.mistake(format!("identity: a variable of two axes, not {dims:?}"));
        };
        graph.located(|| graph.eye_with(&[], rows, columns, self.dtype) * self.gain)
    }
}
