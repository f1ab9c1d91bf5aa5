//! Derivatives that are made of gradients: whole matrices of them, and products with vectors.

use dormouse_graph::{Array, Elementwise, Graph, OneHot, Symbol, Tensor};
use dormouse_value::{DType, Op};
use smallvec::SmallVec;

use crate::gradients::{Gradients, Results, Source, Sources};

/// ∂y/∂x, all of it: y `[m..]`, x `[n..]` → `[m.., n..]`. Zeros where y does not depend on x.
///
/// One gradient is built for every element of y, so the graph grows with their number.
///
/// # Errors
/// A shape of y that is not known, or a y that is not of floats, is a recorded mistake.
#[track_caller]
pub fn jacobian(y: impl Symbol, x: impl Into<Source>) -> Tensor {
    let (y, x) = (y.tensor(), x.into());
    y.graph().located(|| {
        let graph = y.graph();
        let Some(dims) = y.shape().to_dims().filter(|_| y.dtype().is_float()) else {
            return refused(graph, "jacobian", y);
        };
        let rows =
            rows(y, &dims, x, |i, count| graph.apply(Op::ReshapeLike, &[one_hot(graph, i, count, y.dtype()), y]));
        join(graph, &rows, 0, &dims)
    })
}

/// ∂y/∂x for each element of a batch by itself: y `[b, m..]`, x `[b, n..]` → `[b, m.., n..]`, where element i of y depends
/// on element i of x alone. b may be unknown.
///
/// # Errors
/// A shape `[m..]` that is not known, or a y that is not of floats, is a recorded mistake.
#[track_caller]
pub fn batch_jacobian(y: impl Symbol, x: impl Into<Source>) -> Tensor {
    let (y, x) = (y.tensor(), x.into());
    y.graph().located(|| {
        let graph = y.graph();
        let each =
            y.shape().dims().and_then(|dims| dims.get(1..)?.iter().map(|d| d.known()).collect::<Option<Vec<usize>>>());
        let Some(dims) = each.filter(|_| y.dtype().is_float()) else {
            return refused(graph, "batch_jacobian", y);
        };
        let extents: Vec<i64> = dims.iter().map(|n| *n as i64).collect();
        let rows = rows(y, &dims, x, |i, count| {
            let row = one_hot(graph, i, count, y.dtype()).reshape(extents.as_slice());
            graph.apply(Op::BroadcastLike, &[row, y])
        });
        join(graph, &rows, 1, &dims)
    })
}

/// ∂²Σy/∂x² for each of `xs`: x `[n..]` → `[n.., n..]`.
///
/// # Errors
/// As [`jacobian`], for the shape of x, which has to be known.
#[track_caller]
pub fn hessians<S: Sources>(y: impl Symbol, xs: S) -> S::Gradients {
    let y = y.tensor();
    y.graph().located(|| {
        let found = xs.sources().into_iter().map(|x| {
            let [dx] = Gradients::of(y).with_respect_to([x]);
            jacobian(dx, x)
        });
        let found = found.collect();
        xs.collect(found)
    })
}

/// How the ys change as the xs go the way of the vs: Σⱼ ∂y/∂xⱼ · vⱼ for each y, shaped as y. One v an x, shaped as x.
///
/// Built by differentiating twice: a gradient is linear in what reaches the ys, and its gradient with respect to that is
/// this product.
///
/// # Errors
/// As [`gradients`](crate::gradients); and vs that are not as many as the xs, or not of their shapes, are mistakes.
#[track_caller]
pub fn jvp(ys: impl Results, xs: impl Sources, vs: impl Results) -> Vec<Tensor> {
    let (ys, sources, vs) = (ys.results(), xs.sources(), vs.results());
    let Some(graph) = ys.first().map(|y| y.graph()) else { return Vec::new() };
    graph.located(|| {
        if vs.len() != sources.len() {
            let mistake = graph.mistake(format!("jvp: {} vectors for {} sources", vs.len(), sources.len()));
            return vec![mistake; ys.len()];
        }
        let reach: Vec<Tensor> = ys.iter().map(|y| y.ones_like()).collect();
        let back = Gradients::of(ys.clone()).upstream(reach.clone()).or_none(sources);
        let (back, vs): (Vec<Tensor>, Vec<Tensor>) =
            back.iter().zip(&vs).filter_map(|(g, v)| (*g).zip(Some(*v))).unzip();
        Gradients::of(back).upstream(vs).or_zeros(reach)
    })
}

/// ∂²Σy/∂x² · v, without the matrix: Σⱼ ∂²Σy/∂xᵢ∂xⱼ · vⱼ for each of `xs`. One v an x, shaped as x.
///
/// # Errors
/// As [`jvp`].
#[track_caller]
pub fn hessian_vector_product<S: Sources>(y: impl Symbol, xs: S, vs: impl Results) -> S::Gradients {
    let (y, vs) = (y.tensor(), vs.results());
    y.graph().located(|| {
        let sources = xs.sources();
        if vs.len() != sources.len() {
            let count = sources.len();
            let mistake =
                y.graph().mistake(format!("hessian_vector_product: {} vectors for {count} sources", vs.len()));
            return xs.collect(vec![mistake; count]);
        }
        let first = Gradients::of(y).with_respect_to(sources.clone());
        let second = Gradients::of(first).upstream(vs).or_zeros(sources);
        xs.collect(second)
    })
}

/// The gradients of the elements of y one by one, each from what `reach` says reaches y.
fn rows(y: Tensor, dims: &[usize], x: Source, reach: impl Fn(usize, usize) -> Tensor) -> Vec<Tensor> {
    let count = dims.iter().product();
    (0..count)
        .map(|i| {
            let [row] = Gradients::of(y).upstream(reach(i, count)).or_zeros([x]);
            row
        })
        .collect()
}

/// The rows along a new axis, which takes these extents.
fn join(graph: &Graph, rows: &[Tensor], axis: i32, dims: &[usize]) -> Tensor {
    if rows.is_empty() {
        return graph.mistake("jacobian: of a tensor without elements");
    }
    let rows = graph.stack(rows, axis);
    let dims: SmallVec<[i64; 4]> = dims.iter().map(|n| *n as i64).collect();
    graph.apply(Op::Regroup { axis, count: 1, dims }, &[rows])
}

fn one_hot(graph: &Graph, index: usize, count: usize, dtype: DType) -> Tensor {
    let index = graph.constant(index as i64);
    index.one_hot_with(OneHot { depth: u32::try_from(count).unwrap_or(u32::MAX), dtype, ..OneHot::default() })
}

fn refused(graph: &Graph, what: &str, y: Tensor) -> Tensor {
    let (name, dtype, shape) = (y.name(), y.dtype(), y.shape());
    graph.mistake(format!("{what}: of {name}, which is {dtype}{shape}; it has to be of floats, with a known shape"))
}
