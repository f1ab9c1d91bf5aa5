//! Clipping: gradients that are too long, made shorter.

use dormouse_graph::{Array, Axes, Elementwise, Graph, IndexedSlices, Reduction, Symbol, Tensor, keep_dims};
use dormouse_value::Op;

use crate::is_poisoned;

/// √(Σ t²) over all elements of all tensors, as a scalar. TensorFlow's `linalg.global_norm`.
///
/// Takes tensors or options of them, as `compute_gradients` gives; an absent one counts nothing. With no tensor at all
/// there is no norm.
#[track_caller]
pub fn global_norm<T: Copy + Into<Option<Tensor>>>(tensors: &[T]) -> Option<Tensor> {
    let tensors: Vec<Tensor> = tensors.iter().filter_map(|t| (*t).into()).collect();
    let graph: &Graph = tensors.first()?.graph();
    Some(graph.located(|| {
        graph.name_scope("global_norm", || {
            let halves: Vec<Tensor> = tensors.iter().map(|t| rows_of(*t).l2_loss()).collect();
            (graph.apply(Op::AddN, &halves) * 2.0).sqrt().named("global_norm")
        })
    }))
}

/// The tensors, all shortened by one factor so that their [`global_norm`] is not above `limit`, and the norm before.
/// TensorFlow's `clip_by_global_norm`.
///
/// A norm that is not finite makes every element NaN. Absent tensors stay absent; with no tensor at all there is no norm.
///
/// ```
/// use dormouse_graph::Graph;
/// use dormouse_train::clip_by_global_norm;
/// let graph = Graph::new();
/// let gradients = [graph.constant([3.0_f32, 4.0]), graph.constant(12.0_f32)];
/// let (clipped, norm) = clip_by_global_norm(&gradients, 5.0);
/// assert_eq!(clipped.len(), 2);
/// assert!(norm.is_some() && graph.check().is_ok());
/// ```
#[track_caller]
pub fn clip_by_global_norm<T>(tensors: &[T], limit: f64) -> (Vec<T>, Option<Tensor>)
where
    T: Copy + Into<Option<Tensor>> + From<Tensor>,
{
    let Some(norm) = global_norm(tensors) else { return (tensors.to_vec(), None) };
    let graph = norm.graph();
    graph.located(|| {
        if limit.is_nan() || limit <= 0.0 {
            let told = graph.mistake(format!("clip_by_global_norm: the limit is {limit}; it must be positive"));
            return (tensors.to_vec(), Some(told));
        }
        (clipped(tensors, limit, norm), Some(norm))
    })
}

/// As [`clip_by_global_norm`], by a norm that is told: TensorFlow's `use_norm`.
#[track_caller]
pub fn clip_by_global_norm_with<T>(tensors: &[T], limit: f64, norm: Tensor) -> Vec<T>
where
    T: Copy + Into<Option<Tensor>> + From<Tensor>,
{
    let graph = norm.graph();
    graph.located(|| {
        if limit.is_nan() || limit <= 0.0 {
            graph.mistake(format!("clip_by_global_norm: the limit is {limit}; it must be positive"));
            return tensors.to_vec();
        }
        clipped(tensors, limit, norm)
    })
}

fn clipped<T>(tensors: &[T], limit: f64, norm: Tensor) -> Vec<T>
where
    T: Copy + Into<Option<Tensor>> + From<Tensor>,
{
    norm.graph().name_scope("clip_by_global_norm", || {
        // The last term is 0, or NaN of a norm that is not finite.
        let scale = limit * (1.0 / norm).minimum(1.0 / limit) + norm * 0.0;
        let clip = |t: &T| match (*t).into() {
            Some(tensor) => T::from(by_rows(tensor, |rows| rows * scale.cast(rows.dtype()))),
            None => *t,
        };
        tensors.iter().map(clip).collect()
    })
}

/// The tensor, shortened so that √(Σ t²) over its number of elements is not above `limit`. TensorFlow's
/// `clip_by_average_norm`.
#[track_caller]
pub fn clip_by_average_norm(tensor: impl Symbol, limit: f64) -> Tensor {
    let x = tensor.tensor();
    let graph = x.graph();
    graph.located(|| {
        if limit.is_nan() || limit <= 0.0 {
            return graph.mistake(format!("clip_by_average_norm: the limit is {limit}; it must be positive"));
        }
        graph.name_scope("clip_by_average_norm", || {
            let own = graph.current_scope();
            let count = x.size_of().cast(x.dtype());
            let scale = (x.square().sum().rsqrt() * count).minimum(1.0 / limit);
            (x * limit * scale).named(&own)
        })
    })
}

/// The tensor, shortened so that √(Σ t²) is not above `limit`. TensorFlow's `clip_by_norm`.
#[track_caller]
pub fn clip_by_norm(tensor: impl Symbol, limit: f64) -> Tensor {
    let x = tensor.tensor();
    let graph = x.graph();
    graph.located(|| {
        let Some(rank) = x.shape().rank() else {
            let told = format!("clip_by_norm: the rank of {} is not known", x.name());
            return if is_poisoned(x) { x } else { graph.mistake(told) };
        };
        clip_by_norm_over(x, limit, (0..rank as i32).collect::<Vec<i32>>())
    })
}

/// As [`clip_by_norm`], each part of the tensor along these axes by itself: TensorFlow's `axes`.
#[track_caller]
pub fn clip_by_norm_over(tensor: impl Symbol, limit: f64, axes: impl Into<Axes>) -> Tensor {
    let (x, axes) = (tensor.tensor(), axes.into());
    let graph = x.graph();
    graph.located(|| {
        if limit.is_nan() || limit < 0.0 {
            return graph.mistake(format!("clip_by_norm: the limit is {limit}; it must be 0 or more"));
        }
        graph.name_scope("clip_by_norm", || {
            let own = graph.current_scope();
            by_rows(x, |x| {
                let square = x.square().sum_over(keep_dims(axes));
                // The root is taken of 1 where all is 0, where its gradient would be infinite.
                let present = square.greater(0.0);
                let norm = present.select(present.select(square, square.ones_like()).sqrt(), square);
                (x * limit / norm.maximum(limit)).named(&own)
            })
        })
    })
}

/// A tensor, or the rows of one that is made of slices, each as it is.
#[track_caller]
fn rows_of(tensor: Tensor) -> Tensor {
    IndexedSlices::of(tensor).map_or(tensor, IndexedSlices::values)
}

/// What becomes of a tensor, or of the rows of one that is made of slices.
#[track_caller]
fn by_rows(tensor: Tensor, f: impl FnOnce(Tensor) -> Tensor) -> Tensor {
    match IndexedSlices::of(tensor) {
        Some(slices) => slices.with_values(f(slices.values())).dense(),
        None => f(tensor),
    }
}
