//! Indexing: parts of arrays that tensors of indices name, read and changed, and indices themselves.

use std::panic::Location;

use dormouse_value::{DType, Op, ScatterOp, Value, bf16, f16};

use super::array::Array;
use super::elementwise::Elementwise;
use super::slicing::{Rest, Slicing};
use crate::graph::{Graph, Naming};
use crate::node::{NodeKind, Output, Write};
use crate::tensor::{Operand, Symbol, Tensor, Variable};

/// Methods of tensors and variables that take indices of several numbers.
pub trait Indexing: Symbol {
    /// Slices at indices of k numbers, `x [e₁ … eₖ, i..], indices [p.., k] → [p.., i..]`, i32 or i64. One outside fails the
    /// run.
    #[track_caller]
    fn gather_nd(self, indices: impl Operand) -> Tensor {
        self.gather_nd_batched(indices, 0)
    }

    /// As [`Indexing::gather_nd`], each part along the first `batch_dims` axes with indices of its own.
    #[track_caller]
    fn gather_nd_batched(self, indices: impl Operand, batch_dims: u32) -> Tensor {
        let x = self.tensor();
        let indices = indices_of(x, indices);
        x.graph().apply(Op::GatherNd { batch_dims }, &[x, indices])
    }

    /// As [`gather_axis`](Array::gather_axis), each part along the first `batch_dims` axes with indices of its own:
    /// `x [b.., o.., n, i..], indices [b.., k..] → [b.., o.., k.., i..]`. The axis is none of the first ones. Both ranks must be
    /// known.
    #[track_caller]
    fn gather_batched(self, indices: impl Operand, axis: i32, batch_dims: u32) -> Tensor {
        let x = self.tensor();
        let (at, indices, batch) = (Location::caller(), indices_of(x, indices), batch_dims as usize);
        let ranks = x.shape().rank().zip(indices.shape().rank());
        let found = ranks.and_then(|(rank, of_indices)| {
            let along = usize::try_from(i64::from(axis) + if axis < 0 { rank as i64 } else { 0 }).ok()?;
            (batch <= along && along < rank && batch <= of_indices).then_some((along, rank, of_indices - batch))
        });
        let Some((along, rank, count)) = found else {
            return x.poisoned_or(format!(
                "gather_batched: axis {axis} of {} does not go with {batch_dims} first axes of indices {}",
                x.shape(),
                indices.shape()
            ));
        };
        let graph = x.graph();
        graph.located(|| {
            graph.composite(at, "GatherV2", |own| {
                let indices = indices.expand_dims(-1);
                let moved = (0..batch).chain([along]).chain(batch..along).chain(along + 1..rank).map(|i| i as u32);
                let x = if along == batch { x } else { x.transpose_axes(&moved.collect::<Vec<u32>>()) };
                let op = Op::GatherNd { batch_dims };
                if along == batch {
                    let node = graph.push_op(at, own, op, &[x, indices]);
                    return Tensor::new(graph.handle(), Output { node, port: 0 });
                }
                // What was taken stands before the axes that were before it.
                let taken = graph.apply(op, &[x, indices]);
                let others = along - batch;
                let all = rank - 1 + count;
                let back = (0..batch).chain(batch + count..batch + count + others).chain(batch..batch + count);
                let perm = back.chain(batch + count + others..all).map(|i| i as u32).collect();
                let node = graph.push_op(at, own, Op::Transpose { perm }, &[taken]);
                Tensor::new(graph.handle(), Output { node, port: 0 })
            })
        })
    }

    /// Of each row, the elements at its own indices: `x [b.., n, i..], indices [b.., k] → [b.., k, i..]`, where b are all
    /// axes of the indices but the last. An index outside fails the run.
    #[track_caller]
    fn batch_gather(self, indices: impl Operand) -> Tensor {
        let x = self.tensor();
        let at = Location::caller();
        let indices = indices_of(x, indices);
        let Some(batch_dims) = indices.shape().rank().and_then(|rank| rank.checked_sub(1)) else {
            let message =
                format!("batch_gather: indices need a known number of axes, their shape is {}", indices.shape());
            return x.poisoned_or(message);
        };
        let graph = x.graph();
        graph.composite(at, "BatchGather", |own| {
            let indices = indices.expand_dims(-1);
            let node = graph.push_op(at, own, Op::GatherNd { batch_dims: batch_dims as u32 }, &[x, indices]);
            Tensor::new(graph.handle(), Output { node, port: 0 })
        })
    }

    /// This, with `updates` in place of what `gather_nd(indices)` gives; of several updates of one place the last.
    #[track_caller]
    fn tensor_scatter_update(self, indices: impl Operand, updates: impl Operand) -> Tensor {
        scatter(self.tensor(), ScatterOp::Update, indices, updates)
    }

    /// This, with `updates` added to what `gather_nd(indices)` gives, all of them.
    #[track_caller]
    fn tensor_scatter_add(self, indices: impl Operand, updates: impl Operand) -> Tensor {
        scatter(self.tensor(), ScatterOp::Add, indices, updates)
    }

    /// This, with `updates` subtracted from what `gather_nd(indices)` gives, all of them.
    #[track_caller]
    fn tensor_scatter_sub(self, indices: impl Operand, updates: impl Operand) -> Tensor {
        scatter(self.tensor(), ScatterOp::Sub, indices, updates)
    }

    /// The larger of this and `updates` at what `gather_nd(indices)` gives, of all of them.
    #[track_caller]
    fn tensor_scatter_max(self, indices: impl Operand, updates: impl Operand) -> Tensor {
        scatter(self.tensor(), ScatterOp::Max, indices, updates)
    }

    /// The smaller of this and `updates` at what `gather_nd(indices)` gives, of all of them.
    #[track_caller]
    fn tensor_scatter_min(self, indices: impl Operand, updates: impl Operand) -> Tensor {
        scatter(self.tensor(), ScatterOp::Min, indices, updates)
    }

    /// Arrays of these extents, full of `default`, with these, a scalar or a vector, at indices: a scalar, a vector of places
    /// in a vector, or a matrix, a place a row. TensorFlow's `sparse_to_dense`.
    #[track_caller]
    fn sparse_to_dense(self, indices: impl Operand, dims: &[usize], default: f64) -> Tensor {
        let values = self.tensor();
        let indices = indices_of(values, indices);
        let graph = values.graph();
        graph.located(|| {
            graph.name_scope("SparseToDense", || {
                let indices = match indices.shape().rank() {
                    Some(0) => indices.reshape([1, 1]),
                    Some(1) => indices.expand_dims(-1),
                    Some(_) | None => indices,
                };
                let whole = graph.fill(dims, default, values.dtype());
                let values = match values.shape().rank() {
                    Some(0) => {
                        let each = indices.at((Rest, 0)).cast(values.dtype());
                        graph.apply(Op::BroadcastLike, &[values, each])
                    }
                    Some(_) | None => values,
                };
                whole.tensor_scatter_update(indices, values)
            })
        })
    }

    /// Zeros of these extents, with these as updates added at indices of several numbers.
    #[track_caller]
    fn scatter_nd(self, indices: impl Operand, dims: &[usize]) -> Tensor {
        let (at, updates) = (Location::caller(), self.tensor());
        let indices = indices_of(updates, indices);
        let graph = updates.graph();
        graph.composite(at, "ScatterNd", |own| {
            let zeros = graph.fill(dims, 0.0, updates.dtype());
            let op = Op::ScatterNd { op: ScatterOp::Add, batch_dims: 0 };
            let node = graph.push_op(at, own, op, &[zeros, indices, updates]);
            Tensor::new(graph.handle(), Output { node, port: 0 })
        })
    }

    /// In this shape, each element its own index along an axis.
    #[track_caller]
    fn index_along(self, axis: i32, dtype: DType) -> Tensor {
        let x = self.tensor();
        x.graph().apply(Op::Iota { axis, dtype }, &[x])
    }

    /// Which of `maxlen` places come before each of these lengths (integers), along a new last axis: booleans.
    #[track_caller]
    fn sequence_mask(self, maxlen: usize) -> Tensor {
        let (at, lengths) = (Location::caller(), self.tensor());
        let graph = lengths.graph();
        if !lengths.dtype().is_integer() {
            return lengths.poisoned_or(format!("sequence_mask: lengths are integers, not {}", lengths.dtype()));
        }
        graph.located(|| {
            graph.composite(at, "SequenceMask", |own| {
                // As wide as either needs, so that no place wraps.
                let dtype = lengths.dtype();
                let wide = if dtype == DType::U8 { DType::I32 } else { dtype.wide() };
                let lengths = if dtype == wide { lengths } else { lengths.cast(wide) };
                let places = graph.fill(&[maxlen], 0.0, lengths.dtype()).index_along(0, lengths.dtype());
                let op = Op::Compare(dormouse_value::CompareOp::Less);
                let node = graph.push_op(at, own, op, &[places, lengths.expand_dims(-1)]);
                Tensor::new(graph.handle(), Output { node, port: 0 })
            })
        })
    }

    /// The number of axes, as an i32 scalar.
    #[track_caller]
    fn rank_of(self) -> Tensor {
        let x = self.tensor();
        match x.shape().rank() {
            Some(rank) => x.graph().constant(rank as i32).named("Rank"),
            None => x.shape_of().size_of().named("Rank"),
        }
    }
}

impl<S: Symbol> Indexing for S {}

/// Indices; a bare number is an i64.
#[track_caller]
fn indices_of(x: Tensor, indices: impl Operand) -> Tensor {
    match indices.weak() {
        Some(_) => indices.tensor_like(x.graph().constant(0_i64)),
        None => indices.tensor_like(x),
    }
}

#[track_caller]
fn scatter(x: Tensor, op: ScatterOp, indices: impl Operand, updates: impl Operand) -> Tensor {
    let indices = indices_of(x, indices);
    let updates = updates.tensor_like(x);
    x.graph().apply(Op::ScatterNd { op, batch_dims: 0 }, &[x, indices, updates])
}

impl Variable {
    /// w ← w with rows (slices along the first axis) at these indices replaced, `updates [p.., i..]` at `indices [p..]`; of
    /// several updates of one row the last. The tensor is the new value.
    #[track_caller]
    pub fn scatter_update(self, indices: impl Operand, updates: impl Operand) -> Tensor {
        self.scattered("ScatterUpdate", ScatterOp::Update, indices, updates, true)
    }

    /// w ← w with rows added to at these indices, by all updates. The tensor is the new value.
    #[track_caller]
    pub fn scatter_add(self, indices: impl Operand, updates: impl Operand) -> Tensor {
        self.scattered("ScatterAdd", ScatterOp::Add, indices, updates, true)
    }

    /// w ← w with rows subtracted from at these indices, by all updates. The tensor is the new value.
    #[track_caller]
    pub fn scatter_sub(self, indices: impl Operand, updates: impl Operand) -> Tensor {
        self.scattered("ScatterSub", ScatterOp::Sub, indices, updates, true)
    }

    /// w ← w with rows multiplied at these indices, by all updates. The tensor is the new value.
    #[track_caller]
    pub fn scatter_mul(self, indices: impl Operand, updates: impl Operand) -> Tensor {
        self.scattered("ScatterMul", ScatterOp::Mul, indices, updates, true)
    }

    /// w ← w with rows divided at these indices, by all updates. Floats. The tensor is the new value.
    #[track_caller]
    pub fn scatter_div(self, indices: impl Operand, updates: impl Operand) -> Tensor {
        self.scattered("ScatterDiv", ScatterOp::Div, indices, updates, true)
    }

    /// w ← w with the larger of the row and all its updates at these indices. The tensor is the new value.
    #[track_caller]
    pub fn scatter_max(self, indices: impl Operand, updates: impl Operand) -> Tensor {
        self.scattered("ScatterMax", ScatterOp::Max, indices, updates, true)
    }

    /// w ← w with the smaller of the row and all its updates at these indices. The tensor is the new value.
    #[track_caller]
    pub fn scatter_min(self, indices: impl Operand, updates: impl Operand) -> Tensor {
        self.scattered("ScatterMin", ScatterOp::Min, indices, updates, true)
    }

    /// As [`Variable::scatter_update`], at indices of several numbers, as [`Indexing::gather_nd`] takes.
    #[track_caller]
    pub fn scatter_nd_update(self, indices: impl Operand, updates: impl Operand) -> Tensor {
        self.scattered("ScatterNdUpdate", ScatterOp::Update, indices, updates, false)
    }

    /// As [`Variable::scatter_add`], at indices of several numbers.
    #[track_caller]
    pub fn scatter_nd_add(self, indices: impl Operand, updates: impl Operand) -> Tensor {
        self.scattered("ScatterNdAdd", ScatterOp::Add, indices, updates, false)
    }

    /// As [`Variable::scatter_sub`], at indices of several numbers.
    #[track_caller]
    pub fn scatter_nd_sub(self, indices: impl Operand, updates: impl Operand) -> Tensor {
        self.scattered("ScatterNdSub", ScatterOp::Sub, indices, updates, false)
    }

    #[track_caller]
    fn scattered(self, name: &str, op: ScatterOp, indices: impl Operand, updates: impl Operand, rows: bool) -> Tensor {
        let (at, graph, before) = (Location::caller(), self.graph(), self.before_run());
        graph.located(|| {
            graph.composite(at, name, |own| {
                let indices = indices_of(before, indices);
                let indices = if rows { indices.expand_dims(-1) } else { indices };
                let updates = updates.tensor_like(before);
                let fact = before.fact();
                let facts = [fact.clone(), indices.fact(), updates.fact()];
                let strangers = [indices, updates].iter().any(|t| t.graph().id() != graph.id());
                if strangers {
                    return graph.mistake(format!("{name}: an operand is of another graph"));
                }
                if let Err(message) = crate::infer(&Op::ScatterNd { op, batch_dims: 0 }, &facts) {
                    return indices.poisoned_or(format!("{name}: of {}: {message}", self.name()));
                }
                let kind = NodeKind::Assign { variable: self.id(), write: Write::Scatter(op) };
                graph.push_tensor(at, own, kind, &[indices, updates], fact)
            })
        })
    }
}

impl Graph {
    /// The numbers `start`, `start + step`, … before `end`, in a dtype: number i is `start + i · step`.
    #[track_caller]
    pub fn range_with(&self, start: f64, end: f64, step: f64, dtype: DType) -> Tensor {
        let at = Location::caller();
        let whole = [start, end, step].iter().all(|x| x.fract() == 0.0);
        let count = ((end - start) / step).ceil().max(0.0);
        let told = || format!("range: from {start} to {end} by {step} in {dtype}");
        if dtype == DType::Bool || !(dtype.is_float() || whole) {
            return self.mistake(format!("{}: the dtype does not hold these numbers", told()));
        }
        if step == 0.0 || (end - start) * step < 0.0 {
            return self.mistake(format!("{}: a step of that sign does not lead there", told()));
        }
        // As many as a float counts one by one.
        if !count.is_finite() || count > 9e15 {
            return self.mistake(format!("{}: there is no last number", told()));
        }
        if dtype.is_float() && dtype != dtype.wide() {
            // A half does not hold the places.
            let [start, end, step] = [start, end, step].map(|x| rounded(x, dtype));
            return self.located(|| self.range_with(start, end, step, dtype.wide()).cast(dtype));
        }
        self.located(|| {
            self.composite(at, "range", |own| {
                let places = self.fill(&[count as usize], 0.0, dtype).index_along(0, dtype);
                let scaled = if step == 1.0 { places } else { places * number(self, step, dtype) };
                let start = number(self, start, dtype);
                let op = Op::Binary(dormouse_value::BinaryOp::Add);
                let node = self.push_op(at, own, op, &[scaled, start]);
                Tensor::new(self.handle(), Output { node, port: 0 })
            })
        })
    }

    /// The whole numbers from `start` on, before `end`, in i32.
    #[track_caller]
    pub fn range(&self, start: i32, end: i32) -> Tensor {
        self.range_with(start.into(), end.into(), 1.0, DType::I32)
    }

    /// `count` numbers at equal distances, from `start` to `stop`, both among them. Floats.
    #[track_caller]
    pub fn linspace(&self, start: f64, stop: f64, count: usize, dtype: DType) -> Tensor {
        let at = Location::caller();
        if !dtype.is_float() || count == 0 {
            return self.mistake(format!("linspace: gives floats, 1 at least, not {count} of {dtype}"));
        }
        if dtype != dtype.wide() {
            let [start, stop] = [start, stop].map(|x| rounded(x, dtype));
            return self.located(|| self.linspace(start, stop, count, dtype.wide()).cast(dtype));
        }
        self.located(|| {
            self.composite(at, "LinSpace", |own| {
                let [first, last] = [start, stop].map(|x| number(self, x, dtype).reshape([1]));
                if count == 1 {
                    let node = self.push_op(at, own, Op::Identity, &[first]);
                    return Tensor::new(self.handle(), Output { node, port: 0 });
                }
                let places = self.fill(&[count - 1], 0.0, dtype).index_along(0, dtype);
                let step = (last - first) / (count - 1) as f64;
                let all = first + places * step;
                let node = self.push_op(at, own, Op::Concat { axis: 0 }, &[all, last]);
                Tensor::new(self.handle(), Output { node, port: 0 })
            })
        })
    }
}

/// A number as a half has it.
fn rounded(x: f64, half: DType) -> f64 {
    if half == DType::F16 { f16::from_f64(x).into() } else { bf16::from_f64(x).into() }
}

/// A number as a constant of a dtype; integers as they wrap.
#[track_caller]
pub(super) fn number(graph: &Graph, x: f64, dtype: DType) -> Tensor {
    let value = match dtype {
        DType::I8 => Value::from(x as i64 as i8),
        DType::I16 => Value::from(x as i64 as i16),
        DType::U8 => Value::from(x as i64 as u8),
        DType::U16 => Value::from(x as i64 as u16),
        DType::U32 => Value::from(x as i64 as u32),
        DType::U64 => Value::from(if x < 0.0 { x as i64 as u64 } else { x as u64 }),
        DType::F32 | DType::F64 | DType::F16 | DType::Bf16 | DType::I32 | DType::I64 | DType::Bool => {
            Value::of_number(x, dtype)
        }
    };
    graph.constant_named(Location::caller(), Naming::Scoped("Const"), value)
}
