//! Normalization: tensors shifted and scaled to a mean and a variance, to a length, or by what is beside.

use dormouse_value::{DType, Dim, Op};

use super::array::Array;
use super::dynamic::Dynamic;
use super::elementwise::Elementwise;
use super::linalg::Linalg;
use super::matrices::{Matrices, scoped};
use super::reduction::{Axes, Reduction, keep_dims};
use super::slicing::Slicing;
use crate::tensor::{Operand, Symbol, Tensor, Variable};

/// What [`Normalization::fused_batch_norm`] normalizes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BatchStatistics {
    /// The batch's own mean and variance, as in training.
    Batch,
    /// These, `[c]` each, as in inference.
    Given {
        /// The mean.
        mean: Tensor,
        /// The variance.
        variance: Tensor,
    },
}

/// What [`Normalization::fused_batch_norm`] gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    /// The normalized tensor.
    pub y: Tensor,
    /// The mean of each channel, or the one given.
    pub mean: Tensor,
    /// The variance of each channel among all that the batch is drawn from, Σ (x − mean)² / (n − 1), or the one given.
    pub variance: Tensor,
}

/// How [`Normalization::local_response_normalization`] weighs what is beside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalResponse {
    /// Channels on either side.
    pub depth_radius: u32,
    /// What is added to the sum of squares.
    pub bias: f64,
    /// What the sum of squares is multiplied by.
    pub alpha: f64,
    /// The exponent.
    pub beta: f64,
}

impl Default for LocalResponse {
    fn default() -> Self {
        LocalResponse { depth_radius: 5, bias: 1.0, alpha: 1.0, beta: 0.5 }
    }
}

impl From<Variable> for Option<Tensor> {
    #[track_caller]
    fn from(variable: Variable) -> Self {
        Some(variable.value())
    }
}

/// Normalizations of tensors and variables. Floats.
pub trait Normalization: Symbol {
    /// (x − mean) / √(variance + ε) · scale + offset, by statistics that broadcast to x; scale and offset may be `None`.
    #[track_caller]
    fn batch_normalization(
        self,
        mean: impl Operand,
        variance: impl Operand,
        offset: impl Into<Option<Tensor>>,
        scale: impl Into<Option<Tensor>>,
        epsilon: f64,
    ) -> Tensor {
        let x = self.tensor();
        let (offset, scale) = (offset.into(), scale.into());
        let (mean, variance) = (mean.tensor_like(x), variance.tensor_like(x));
        scoped(x.graph(), "batchnorm", || {
            let inverse = (variance + epsilon).rsqrt();
            let inverse = scale.map_or(inverse, |scale| inverse * scale);
            let shift = mean * inverse;
            x * inverse + offset.map_or_else(|| -shift, |offset| offset - shift)
        })
    }

    /// Each channel, the last axis, normalized over all others: (x − mean) / √(variance + ε) · scale + offset, by its own
    /// mean and variance or by given ones. Of f16 and bf16 in f32, of which scale, offset and statistics are.
    #[track_caller]
    fn fused_batch_norm(
        self,
        scale: impl Operand,
        offset: impl Operand,
        statistics: BatchStatistics,
        epsilon: f64,
    ) -> BatchNorm {
        let given = self.tensor();
        let graph = given.graph();
        if matches!(given.dtype(), DType::F16 | DType::Bf16) {
            return graph.located(|| {
                let x = given.cast(DType::F32);
                let [scale, offset] = [scale.tensor_like(x), offset.tensor_like(x)]
                    .map(|t| if t.is_dead() { t } else { t.cast(DType::F32) });
                let statistics = match statistics {
                    BatchStatistics::Batch => statistics,
                    BatchStatistics::Given { mean, variance } => {
                        BatchStatistics::Given { mean: mean.cast(DType::F32), variance: variance.cast(DType::F32) }
                    }
                };
                let found = x.fused_batch_norm(scale, offset, statistics, epsilon);
                BatchNorm { y: found.y.cast(given.dtype()), ..found }
            });
        }
        let x = given;
        let (scale, offset) = (scale.tensor_like(x), offset.tensor_like(x));
        let Some(rank) = x.shape().rank() else {
            return poisoned(x, format!("fused_batch_norm: the axes of {} are not known", x.name()));
        };
        let channel = x.shape().dim(-1);
        let fits =
            |t: Tensor| t.shape().rank().is_none_or(|rank| rank == 1) && t.shape().dim(0).unify(channel).is_some();
        if rank < 2 || !fits(scale) || !fits(offset) {
            let shapes = (x.shape(), scale.shape(), offset.shape());
            let told = "takes a scale and an offset for each of its last axis, not";
            return poisoned(x, format!("fused_batch_norm: {} {told} {} and {}", shapes.0, shapes.1, shapes.2));
        }
        let axes: Vec<i32> = (0..rank as i32 - 1).collect();
        let mut found = None;
        let y = scoped(graph, "FusedBatchNormV3", || {
            let (mean, variance, told) = match statistics {
                BatchStatistics::Given { mean, variance } => (mean, variance, variance),
                BatchStatistics::Batch => {
                    let mean = x.mean_over(axes.clone());
                    let variance = x.squared_difference(mean).mean_over(axes.clone());
                    let of_all = if let Some(dims) = x.shape().to_dims() {
                        let n = dims[..rank - 1].iter().product::<usize>() as f64;
                        variance * (n / (n - 1.0).max(1.0))
                    } else {
                        // As many as there are of one channel.
                        let all = x.size_of().cast(x.dtype());
                        let n = all / mean.size_of().cast(x.dtype());
                        variance * (n / (n - 1.0).maximum(1.0))
                    };
                    (mean, variance, of_all)
                }
            };
            found = Some((mean, told));
            let inverse = (variance + epsilon).rsqrt() * scale;
            (x - mean) * inverse + offset
        });
        let (mean, variance) = found.unwrap_or((y, y));
        BatchNorm { y, mean, variance }
    }

    /// Each example normalized over these axes by its own mean and variance: (x − mean) / √(variance + ε) · scale + offset.
    /// Scale and offset broadcast to x, or are `None`.
    #[track_caller]
    fn layer_norm(
        self,
        axes: impl Into<Axes>,
        scale: impl Into<Option<Tensor>>,
        offset: impl Into<Option<Tensor>>,
        epsilon: f64,
    ) -> Tensor {
        let x = self.tensor();
        let (axes, scale, offset) = (keep_dims(axes), scale.into(), offset.into());
        scoped(x.graph(), "layer_norm", || {
            let mean = x.mean_over(axes.clone());
            let variance = x.squared_difference(mean).mean_over(axes);
            let normal = (x - mean) * (variance + epsilon).rsqrt();
            let scaled = scale.map_or(normal, |scale| normal * scale);
            offset.map_or(scaled, |offset| scaled + offset)
        })
    }

    /// x / (bias + α Σ y²)^β, the sum running over the channels beside: `[.., c]`.
    #[track_caller]
    fn local_response_normalization(self, options: LocalResponse) -> Tensor {
        let x = self.tensor();
        let graph = x.graph();
        let LocalResponse { depth_radius, bias, alpha, beta } = options;
        let shape = x.shape();
        if shape.rank() == Some(0) {
            return x.poisoned_or("local_response_normalization: a scalar has no channels".to_owned());
        }
        scoped(graph, "LRN", || {
            let sums = match shape.dim(-1) {
                Dim::Known(0) => x,
                Dim::Known(n) => {
                    let radius = i32::try_from(depth_radius).unwrap_or(-1);
                    let band = graph.fill(&[n as usize; 2], 1.0, x.dtype()).matrix_band_part(radius, radius);
                    let rows = x.square().reshape([-1, n as i64]);
                    graph.apply(Op::ReshapeLike, &[rows.matmul(band), x])
                }
                Dim::Unknown => {
                    // As rows, the square matrix of all channels is made in the run.
                    let extents = x.shape_of();
                    let n = extents.at(-1);
                    let square = graph.concat(&[n.expand_dims(0), n.expand_dims(0)], 0);
                    let radius = i32::try_from(depth_radius).unwrap_or(-1);
                    let ones = graph.fill(&[], 1.0, x.dtype()).broadcast_to_shape(square);
                    let band = ones.matrix_band_part(radius, radius);
                    let rows = x.square().reshape_to(graph.concat(&[graph.constant([-1]), n.expand_dims(0)], 0));
                    graph.apply(Op::ReshapeLike, &[rows.matmul(band), x])
                }
            };
            let weights = sums * alpha + bias;
            if beta == 0.5 { x * weights.rsqrt() } else { x * weights.pow(-beta) }
        })
    }

    /// x / √max(Σ x², ε), the sum running over these axes: TensorFlow's `l2_normalize`, whose ε is 10⁻¹².
    #[track_caller]
    fn l2_normalize(self, axes: impl Into<Axes>) -> Tensor {
        self.l2_normalize_with(axes, 1e-12)
    }

    /// As [`Normalization::l2_normalize`], with another ε.
    #[track_caller]
    fn l2_normalize_with(self, axes: impl Into<Axes>, epsilon: f64) -> Tensor {
        let x = self.tensor();
        let axes = keep_dims(axes);
        scoped(x.graph(), "l2_normalize", || x * x.square().sum_over(axes).maximum(epsilon).rsqrt())
    }
}

impl<S: Symbol> Normalization for S {}

/// Results that are a mistake.
#[track_caller]
fn poisoned(x: Tensor, message: String) -> BatchNorm {
    let y = x.poisoned_or(message);
    BatchNorm { y, mean: y, variance: y }
}
