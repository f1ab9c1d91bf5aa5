//! Statistics: reductions that are made of others.

use dormouse_value::{BinaryOp, DType, Dim, Op, Part, ReduceOp, Shape, UnaryOp};
use smallvec::smallvec;

use super::array::Array;
use super::elementwise::Elementwise;
use super::functions::{Functions, composed};
use super::reduction::{Axes, Reduction};
use crate::tensor::{Operand, Symbol, Tensor};

/// How the size of many numbers is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Norm {
    /// √(Σx²); of a matrix, that of Frobenius.
    #[default]
    Euclidean,
    /// Σ|x|; of a matrix, the largest of its columns.
    One,
    /// The largest |x|; of a matrix, the largest Σ|x| of its rows.
    Infinity,
    /// (Σ|x|ᵖ)^(1/p) for p above 0; of vectors only.
    Power(f64),
}

/// Statistics of tensors and variables: over all axes, or over some.
pub trait Statistics: Symbol {
    /// ln Σeˣ of all elements, without overflow, as a scalar. Floats.
    #[track_caller]
    fn logsumexp(self) -> Tensor {
        log_sum_exp(self.tensor(), None)
    }

    /// ln Σeˣ along these axes, without overflow; −∞ of none. Floats.
    #[track_caller]
    fn logsumexp_over(self, axes: impl Into<Axes>) -> Tensor {
        log_sum_exp(self.tensor(), Some(axes.into()))
    }

    /// √(Σx²) of all elements, as a scalar. Floats.
    #[track_caller]
    fn norm(self) -> Tensor {
        vector_norm(self.tensor(), Norm::Euclidean, None)
    }

    /// A norm of all elements, as one vector, as a scalar. Floats.
    #[track_caller]
    fn norm_with(self, norm: Norm) -> Tensor {
        vector_norm(self.tensor(), norm, None)
    }

    /// A norm of the vectors along these axes: TensorFlow's `norm` along one axis, and `reduce_euclidean_norm`. Floats.
    #[track_caller]
    fn norm_over(self, norm: Norm, axes: impl Into<Axes>) -> Tensor {
        vector_norm(self.tensor(), norm, Some(axes.into()))
    }

    /// A norm of the matrices whose rows and columns go along these two axes: TensorFlow's `norm` along two axes. Floats.
    #[track_caller]
    fn matrix_norm(self, norm: Norm, rows: i32, columns: i32) -> Tensor {
        let x = self.tensor();
        let largest_sum = |summed: i32, kept: i32| {
            composed(x, "norm", |own| {
                let sums = x.abs().sum_over(super::reduction::keep_dims(summed));
                let largest = sums.max_over(super::reduction::keep_dims(kept));
                own(Op::Squeeze { axes: [rows, columns].into_iter().collect() }, &[largest])
            })
        };
        match norm {
            Norm::Euclidean => vector_norm(x, norm, Some([rows, columns].into())),
            Norm::One => largest_sum(rows, columns),
            Norm::Infinity => largest_sum(columns, rows),
            Norm::Power(p) => x.poisoned_or(format!("matrix_norm: there is none of power {p}")),
        }
    }

    /// The mean of (x − mean)² over all elements, as a scalar. Floats.
    #[track_caller]
    fn variance(self) -> Tensor {
        variance(self.tensor(), None)
    }

    /// The mean of (x − mean)² along these axes. Floats.
    #[track_caller]
    fn variance_over(self, axes: impl Into<Axes>) -> Tensor {
        variance(self.tensor(), Some(axes.into()))
    }

    /// The root of the variance of all elements, as a scalar. Floats.
    #[track_caller]
    fn std(self) -> Tensor {
        let x = self.tensor();
        composed(x, "reduce_std", |own| own(Op::Unary(UnaryOp::Sqrt), &[variance(x, None)]))
    }

    /// The root of the variance along these axes. Floats.
    #[track_caller]
    fn std_over(self, axes: impl Into<Axes>) -> Tensor {
        let x = self.tensor();
        let axes = axes.into();
        composed(x, "reduce_std", |own| own(Op::Unary(UnaryOp::Sqrt), &[variance(x, Some(axes))]))
    }

    /// The mean and the variance along these axes. Floats.
    #[track_caller]
    fn moments(self, axes: impl Into<Axes>) -> (Tensor, Tensor) {
        let (x, axes) = (self.tensor(), axes.into());
        let graph = x.graph();
        graph.located(|| {
            graph.name_scope("moments", || {
                let kept = Axes { keep_dims: true, ..axes.clone() };
                let mean = x.mean_over(kept.clone()).named("mean");
                let variance = x.squared_difference(mean).mean_over(kept).named("variance");
                (squeezed(mean, &axes), squeezed(variance, &axes))
            })
        })
    }

    /// The mean and the variance along these axes, of elements that count as often as these weights say; the weights
    /// broadcast. 0 where no element counts. Floats.
    #[track_caller]
    fn weighted_moments(self, axes: impl Into<Axes>, weights: impl Operand) -> (Tensor, Tensor) {
        let (x, axes) = (self.tensor(), axes.into());
        let (graph, weights) = (x.graph(), weights.tensor_like(x));
        graph.located(|| {
            graph.name_scope("weighted_moments", || {
                let kept = Axes { keep_dims: true, ..axes.clone() };
                let weighted = x * weights;
                // As large as what it weighs.
                let all = weights + x.zeros_like();
                let total = all.sum_over(kept.clone());
                let mean = weighted.sum_over(kept.clone()).div_no_nan(total);
                let variance = (x.squared_difference(mean) * weights).sum_over(kept).div_no_nan(total);
                (squeezed(mean, &axes), squeezed(variance, &axes))
            })
        })
    }

    /// What [`normalize_moments`] takes: how many elements there are along these axes, as a scalar, and the sums of x and x²,
    /// or, with a shift, of x − shift and (x − shift)². Floats.
    #[track_caller]
    fn sufficient_statistics(self, axes: impl Into<Axes>, shift: Option<Tensor>) -> (Tensor, Tensor, Tensor) {
        let (x, axes) = (self.tensor(), axes.into());
        let graph = x.graph();
        graph.located(|| {
            graph.name_scope("sufficient_statistics", || {
                let (shifted, square) = match shift {
                    Some(shift) => (x - shift, x.squared_difference(shift)),
                    None => (x, x.square()),
                };
                let sum = shifted.sum_over(axes.clone()).named("mean_ss");
                let size = |t: Tensor| t.size_of().cast(x.dtype());
                let count = size(x).div_no_nan(size(sum)).named("count");
                (count, sum, square.sum_over(axes).named("var_ss"))
            })
        })
    }

    /// x over its norm along these axes, and the norm, whose axes stay: TensorFlow's `linalg.normalize`.
    #[track_caller]
    fn normalize(self, norm: Norm, axes: impl Into<Axes>) -> (Tensor, Tensor) {
        let x = self.tensor();
        x.graph().located(|| {
            x.graph().name_scope("normalize", || {
                let norm = x.norm_over(norm, super::reduction::keep_dims(axes));
                (x / norm, norm)
            })
        })
    }

    /// The vectors at right angles to pairs of vectors of 3 elements, along the last axis: `[.., 3] × [.., 3] → [.., 3]`.
    #[track_caller]
    fn cross(self, other: impl Operand) -> Tensor {
        let a = self.tensor();
        let b = other.tensor_like(a);
        composed(a, "Cross", |own| {
            // What is not known yet is asked in the run.
            let of_three = |t: Tensor| {
                let shape = t.shape();
                let Some((last, before)) = shape.dims().and_then(<[Dim]>::split_last) else {
                    return (shape.rank() != Some(0)).then_some(t);
                };
                last.unify(Dim::Known(3))?;
                let vectors = before.iter().chain([&Dim::Known(3)]).copied().collect::<Shape>();
                Some(if *last == Dim::Unknown { t.ensure_shape(vectors) } else { t })
            };
            let (Some(a), Some(b)) = (of_three(a), of_three(b)) else {
                let told = format!("cross: takes vectors of 3 elements, not {} and {}", a.shape(), b.shape());
                return own(Op::Identity, &[a.poisoned_or(told)]);
            };
            let turned = |t: Tensor, by: i64| {
                let part = |begin, end| {
                    let parts = smallvec![Part::Rest, Part::Range { begin, end, step: 1 }];
                    t.graph().apply(Op::StridedSlice { parts }, &[t])
                };
                t.graph().concat(&[part(Some(by), None), part(None, Some(by))], -1)
            };
            own(Op::Binary(BinaryOp::Sub), &[turned(a, 1) * turned(b, 2), turned(a, 2) * turned(b, 1)])
        })
    }

    /// How many elements are not 0, as an i64 scalar.
    #[track_caller]
    fn count_nonzero(self) -> Tensor {
        count_nonzero(self.tensor(), None)
    }

    /// How many elements along these axes are not 0, in i64.
    #[track_caller]
    fn count_nonzero_over(self, axes: impl Into<Axes>) -> Tensor {
        count_nonzero(self.tensor(), Some(axes.into()))
    }

    /// The part of the elements that is 0, as an f32 scalar; NaN of none.
    #[track_caller]
    fn zero_fraction(self) -> Tensor {
        let x = self.tensor();
        composed(x, "zero_fraction", |own| {
            let size = x.size_of().cast(DType::I64);
            let zeros = (size - count_nonzero(x, None)).cast(DType::F32);
            own(Op::Binary(BinaryOp::Div), &[zeros, size.cast(DType::F32)])
        })
    }
}

impl<S: Symbol> Statistics for S {}

/// The mean and the variance of as many numbers as `counts` says, whose sums, and sums of squares, these are. With a shift
/// they are those of the numbers less the shift.
#[track_caller]
pub fn normalize_moments(counts: Tensor, sums: Tensor, squares: Tensor, shift: Option<Tensor>) -> (Tensor, Tensor) {
    let graph = counts.graph();
    graph.located(|| {
        graph.name_scope("normalize", || {
            let divisor = counts.reciprocal().named("divisor");
            let shifted = sums * divisor;
            let mean = shift.map_or(shifted, |shift| shifted + shift).named("mean");
            let variance = (squares * divisor - shifted.square()).named("variance");
            (mean, variance)
        })
    })
}

/// A reduction as an operation.
fn reduce(op: ReduceOp, axes: Option<&Axes>, keep_dims: bool) -> Op {
    Op::Reduce { op, axes: axes.map(|axes| axes.axes.clone()), keep_dims }
}

/// The extents of 1 that reduced axes have left, taken out unless they are to stay.
#[track_caller]
fn squeezed(x: Tensor, axes: &Axes) -> Tensor {
    if axes.keep_dims || axes.axes.is_empty() {
        return x;
    }
    x.graph().apply(Op::Squeeze { axes: axes.axes.clone() }, &[x])
}

#[track_caller]
fn log_sum_exp(x: Tensor, axes: Option<Axes>) -> Tensor {
    composed(x, "ReduceLogSumExp", |own| {
        let graph = x.graph();
        let largest = graph.apply(reduce(ReduceOp::Max, axes.as_ref(), true), &[x]);
        let shift = largest.is_finite().select(largest, largest.zeros_like()).stop_gradient();
        let keep = axes.as_ref().is_some_and(|axes| axes.keep_dims);
        let sum = graph.apply(reduce(ReduceOp::Sum, axes.as_ref(), keep), &[(x - shift).exp()]);
        let logarithm = sum.log();
        let shift = match &axes {
            Some(axes) => squeezed(shift, axes),
            None => graph.apply(Op::ReshapeLike, &[shift, logarithm]),
        };
        own(Op::Binary(BinaryOp::Add), &[logarithm, shift])
    })
}

#[track_caller]
fn vector_norm(x: Tensor, norm: Norm, axes: Option<Axes>) -> Tensor {
    if let Norm::Power(p) = norm
        && (p.is_nan() || p <= 0.0)
    {
        return x.poisoned_or(format!("norm: the power is {p}; it must be above 0"));
    }
    composed(x, "norm", |own| {
        let keep = axes.as_ref().is_some_and(|axes| axes.keep_dims);
        let op = |op| reduce(op, axes.as_ref(), keep);
        let sum = |t: Tensor| t.graph().apply(op(ReduceOp::Sum), &[t]);
        match norm {
            Norm::Euclidean => own(Op::Unary(UnaryOp::Sqrt), &[sum(x * x)]),
            Norm::One => own(op(ReduceOp::Sum), &[x.abs()]),
            Norm::Infinity => own(op(ReduceOp::Max), &[x.abs()]),
            Norm::Power(p) => {
                let sum = sum(x.abs().pow(p));
                own(Op::Binary(BinaryOp::Pow), &[sum, (1.0 / p).tensor_like(sum)])
            }
        }
    })
}

#[track_caller]
fn variance(x: Tensor, axes: Option<Axes>) -> Tensor {
    composed(x, "reduce_variance", |own| {
        let mean = x.graph().apply(reduce(ReduceOp::Mean, axes.as_ref(), true), &[x]);
        let keep = axes.as_ref().is_some_and(|axes| axes.keep_dims);
        own(reduce(ReduceOp::Mean, axes.as_ref(), keep), &[(x - mean).square()])
    })
}

#[track_caller]
fn count_nonzero(x: Tensor, axes: Option<Axes>) -> Tensor {
    composed(x, "count_nonzero", |own| {
        let keep = axes.as_ref().is_some_and(|axes| axes.keep_dims);
        own(reduce(ReduceOp::Sum, axes.as_ref(), keep), &[x.cast(DType::Bool).cast(DType::I64)])
    })
}
