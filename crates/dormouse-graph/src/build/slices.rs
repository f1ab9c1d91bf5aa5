//! Slices: tensors that are 0 but for some rows, as the gradients of gathers are. A file of its own, since such a tensor is an
//! ordinary one whose node tells so: nothing else needs to know.

use dormouse_value::{DType, Op, UnaryOp};

use crate::build::array::Array;
use crate::build::elementwise::Elementwise;
use crate::build::indexing::Indexing;
use crate::build::reduction::{Reduction, Running};
use crate::build::slicing::Slicing;
use crate::build::sorting::{Direction, Sorting};
use crate::node::NodeKind;
use crate::tensor::{Symbol, Tensor};

/// Rows and their places: what a tensor is that is the sum of its rows at each index, and 0 elsewhere. TensorFlow's
/// `IndexedSlices`.
///
/// The gradient of a [`gather`](crate::Array::gather) is such a tensor. It is used like any other; what can make something of it
/// asks by [`IndexedSlices::of`]: optimizers, which then touch only these rows of what they keep, and clips, which look
/// at the rows as they are, duplicates and all. What is computed of it is a tensor like any other again, as in TensorFlow, but
/// for `-g`, `g.identity()`, `g.stop_gradient()` and `g.cast(..)`.
///
/// ```
/// use dormouse_graph::{Graph, IndexedSlices};
/// let graph = Graph::new();
/// let w = graph.variable([[1.0_f32, 2.0], [3.0, 4.0]]);
/// let rows = graph.constant([[0.5_f32, 0.5], [0.25, 0.0]]);
/// let slices = IndexedSlices::new(rows, graph.constant([1_i32, 1]), w);
/// let dense = slices.dense(); // [[0, 0], [0.75, 0.5]]
/// assert!(IndexedSlices::of(dense).is_some_and(|s| s.values() == rows));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct IndexedSlices {
    values: Tensor,
    indices: Tensor,
    like: Tensor,
}

impl IndexedSlices {
    /// The rows `values [n, i..]` at `indices [n]` of a tensor with the shape `[rows, i..]` of another.
    pub fn new(values: impl Symbol, indices: impl Symbol, like: impl Symbol) -> Self {
        IndexedSlices { values: values.tensor(), indices: indices.tensor(), like: like.tensor() }
    }

    /// The slices that a tensor is made of, where its node tells so. Rows have known extents, but for their count.
    #[track_caller]
    pub fn of(tensor: Tensor) -> Option<Self> {
        let graph = tensor.graph();
        let (mut at, mut steps) = (tensor.output(), Vec::new());
        let (values, indices, like) = loop {
            let node = graph.node(at.node)?;
            let NodeKind::Op(op) = &node.kind else { return None };
            if let Op::GatherGrad { axis: 0 } = op {
                let &[values, indices, like] = node.operands.as_slice() else { return None };
                break (graph.output(values), graph.output(indices), graph.output(like));
            }
            let kept = matches!(op, Op::Unary(UnaryOp::Neg) | Op::Cast { .. } | Op::StopGradient | Op::Identity);
            if !kept || !node.facts.first()?.dtype.is_float() {
                return None;
            }
            steps.push(op.clone());
            at = *node.operands.first()?;
        };
        graph.located(|| {
            let (values, indices) = rows(values, indices, like)?;
            let values = steps.into_iter().rev().fold(values, |values, step| graph.apply(step, &[values]));
            Some(IndexedSlices { values, indices, like })
        })
    }

    /// The rows `[n, i..]`.
    pub fn values(self) -> Tensor {
        self.values
    }

    /// Where the rows belong, `[n]`. An index may come twice: the rows are added.
    pub fn indices(self) -> Tensor {
        self.indices
    }

    /// A tensor of the shape that the slices are of.
    pub fn like(self) -> Tensor {
        self.like
    }

    /// The same places with other rows.
    #[must_use]
    pub fn with_values(self, values: Tensor) -> Self {
        IndexedSlices { values, ..self }
    }

    /// The tensor. [`IndexedSlices::of`] it is these slices again.
    #[track_caller]
    pub fn dense(self) -> Tensor {
        self.values.graph().apply(Op::GatherGrad { axis: 0 }, &[self.values, self.indices, self.like])
    }

    /// The same with the sum of all rows of an index in the place of each of them.
    ///
    /// So what is computed of these rows and written by [`scatter_update`](crate::Variable::scatter_update) is what
    /// the sum gives, whichever of the rows is written last. It takes as long as there are rows, however many the tensor has.
    #[must_use]
    #[track_caller]
    pub fn summed(self) -> Self {
        let IndexedSlices { values, indices, like } = self;
        let few = like.shape().dim(0).known().zip(indices.shape().dim(0).known()).is_some_and(|(all, n)| all <= n);
        let graph = values.graph();
        graph.located(|| {
            graph.name_scope("summed", || {
                if few {
                    return self.with_values(self.dense().gather(indices));
                }
                // Equal indices lie side by side in order; each run of them has a number.
                let order = indices.argsort(-1, Direction::Ascending);
                let sorted = indices.gather(order);
                let before = graph.concat(&[sorted.at(..1), sorted.at(..-1)], 0);
                let runs = sorted.not_equal(before).cast(DType::I32).cumsum(0, Running::default());
                let places = order.zeros_like().tensor_scatter_update(order.expand_dims(-1), runs);
                let sums = values.zeros_like().tensor_scatter_add(places.expand_dims(-1), values);
                self.with_values(sums.gather(places))
            })
        })
    }

    /// The slices of a sum of tensors that are all made of slices.
    #[track_caller]
    pub fn of_sum(tensors: &[Tensor]) -> Option<Self> {
        let [first, ..] = tensors else { return None };
        let all: Option<Vec<IndexedSlices>> = tensors.iter().map(|t| IndexedSlices::of(*t)).collect();
        let all = all?;
        let values: Vec<Tensor> = all.iter().map(|s| s.values).collect();
        let mut indices: Vec<Tensor> = all.iter().map(|s| s.indices).collect();
        if indices.iter().any(|i| i.dtype() != indices[0].dtype()) {
            indices.iter_mut().for_each(|i| *i = i.cast(DType::I64));
        }
        let graph = first.graph();
        let [values, indices] = [values, indices].map(|parts| graph.concat(&parts, 0));
        Some(IndexedSlices { values, indices, like: all[0].like })
    }
}

impl From<IndexedSlices> for Tensor {
    #[track_caller]
    fn from(slices: IndexedSlices) -> Self {
        slices.dense()
    }
}

/// What a gather's gradient gives as rows `[n, i..]` and indices `[n]`.
fn rows(values: Tensor, indices: Tensor, like: Tensor) -> Option<(Tensor, Tensor)> {
    let shape = indices.shape();
    if shape.rank() == Some(1) {
        return Some((values, indices));
    }
    let (count, extents) = (shape.element_count(), like.shape());
    let inner: Option<Vec<i64>> =
        extents.dims()?.iter().skip(1).map(|d| d.known().and_then(|n| i64::try_from(n).ok())).collect();
    let inner = inner?;
    let count = match count {
        Some(count) => i64::try_from(count).ok()?,
        // Of nothing, any count.
        None if inner.contains(&0) => return None,
        None => -1,
    };
    let dims: Vec<i64> = std::iter::once(count).chain(inner).collect();
    Some((values.reshape(dims), indices.reshape([count])))
}
