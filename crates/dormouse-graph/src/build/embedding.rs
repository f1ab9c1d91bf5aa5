//! Embeddings: rows of matrices looked up by number, alone or combined.

use dormouse_value::{DType, Op, ScatterOp};

use super::array::Array;
use super::dynamic::Dynamic;
use super::elementwise::Elementwise;
use super::indexing::Indexing;
use super::matrices::scoped;
use crate::graph::Graph;
use crate::tensor::{Symbol, Tensor};

/// How rows are dealt to several matrices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Partition {
    /// In turn: row i of n matrices is row i / n of matrix i mod n.
    #[default]
    Mod,
    /// In runs of equal length, the first ones a row longer where they cannot be.
    Div,
}

/// What becomes of the rows that are looked up for one example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Combined {
    /// Σ w x.
    Sum,
    /// Σ w x / Σ w.
    #[default]
    Mean,
    /// Σ w x / √Σ w².
    SqrtN,
}

impl Graph {
    /// The rows of these numbers, i32 or i64, of one matrix or of several that together are one:
    /// `[v, d..], ids [..] → [.., d..]`. A number without a row fails the run.
    #[track_caller]
    pub fn embedding_lookup<S: Symbol>(&self, matrices: &[S], ids: impl Symbol, partition: Partition) -> Tensor {
        let ids = ids.tensor();
        let matrices: Vec<Tensor> = matrices.iter().map(|matrix| matrix.tensor()).collect();
        let count = matrices.len();
        let (Some(&first), false) = (matrices.first(), ids.dtype().is_float()) else {
            return ids.poisoned_or(format!(
                "embedding_lookup: takes 1 matrix at least and whole numbers, not {count} and {}",
                ids.dtype()
            ));
        };
        if count == 1 {
            return scoped(self, "embedding_lookup", || first.gather(ids));
        }
        let mut rows = Vec::new();
        for matrix in &matrices {
            match matrix.shape().dim(0).known() {
                Some(n) if n > 0 => rows.push(n as i64),
                Some(_) | None => {
                    let shape = matrix.shape();
                    return matrix.poisoned_or(format!("embedding_lookup: the rows of {shape} are not known, or none"));
                }
            }
        }
        let all: i64 = rows.iter().sum();
        let n = count as i64;
        let wanted = |i: i64| match partition {
            Partition::Mod => (all - i + n - 1) / n,
            Partition::Div => all / n + i64::from(i < all % n),
        };
        if let Some((i, own)) = (0..).zip(&rows).find(|(i, own)| wanted(*i) != **own) {
            let told = format!("embedding_lookup: matrix {i} has {own} of {all} rows, its share is {}", wanted(i));
            return first.poisoned_or(told);
        }
        scoped(self, "embedding_lookup", || {
            let shape = ids.shape_of();
            let ids = ids.reshape([-1]);
            // Which matrix, and which row of it.
            let (which, row) = match partition {
                Partition::Mod => (ids.floor_mod(n), ids.floor_div(n)),
                Partition::Div => {
                    let (short, longer) = (all / n, all % n);
                    let early = ids.floor_div(short + 1);
                    let late = (ids - longer).floor_div(short);
                    let which = early.maximum(late);
                    let in_early = ids.floor_mod(short + 1);
                    let in_late = (ids - longer).floor_mod(short);
                    // What is outside asks a matrix for a row that it has not.
                    let beyond = which.greater_equal(n).logical_or(ids.less(0));
                    let row = which.less(longer).select(in_early, in_late);
                    (which.minimum(n - 1).maximum(0), beyond.select(ids, row))
                }
            };
            // Each matrix is asked for its own rows only, so that its gradient is of these.
            let which = which.cast(DType::I32);
            let places = ids.index_along(0, DType::I32).dynamic_partition(which, count);
            let own = row.dynamic_partition(which, count);
            let found: Vec<Tensor> = matrices.iter().zip(own).map(|(matrix, own)| matrix.gather(own)).collect();
            let rows = self.dynamic_stitch(&places, &found);
            let inner = first.shape_of().slice([1], [-1]);
            rows.reshape_to(self.concat(&[shape, inner], 0))
        })
    }

    /// For each of `count` examples the combined rows of its numbers: `ids [n]` are those of all examples, `examples [n]`
    /// says whose each is, and weights, if any, are `[n]`. An example without numbers gets zeros. TensorFlow's
    /// `embedding_lookup_sparse`, whose sparse ids are the numbers and the first column of their indices.
    #[track_caller]
    pub fn embedding_lookup_sparse<S: Symbol>(
        &self,
        matrices: &[S],
        ids: impl Symbol,
        examples: impl Symbol,
        count: usize,
        weights: impl Into<Option<Tensor>>,
        combined: Combined,
    ) -> Tensor {
        let (ids, examples, weights) = (ids.tensor(), examples.tensor(), weights.into());
        let whole = |t: Tensor| matches!(t.dtype(), DType::I32 | DType::I64) && t.shape().rank().is_none_or(|n| n == 1);
        if let Some(other) = [ids, examples].into_iter().find(|t| !whole(*t)) {
            return other.poisoned_or(format!(
                "embedding_lookup_sparse: {} is of {}{}, not a vector of whole numbers",
                other.name(),
                other.dtype(),
                other.shape()
            ));
        }
        scoped(self, "embedding_lookup_sparse", || {
            let rows = self.embedding_lookup(matrices, ids, Partition::Mod);
            let Some(dims) = rows
                .shape()
                .dims()
                .and_then(|dims| dims.iter().skip(1).map(|dim| dim.known()).collect::<Option<Vec<usize>>>())
            else {
                return rows
                    .poisoned_or(format!("embedding_lookup_sparse: the extents of {} are not known", rows.name()));
            };
            let weights = weights.unwrap_or_else(|| {
                let one = self.fill(&[], 1.0, rows.dtype());
                self.apply(Op::BroadcastLike, &[one, ids.cast(rows.dtype())])
            });
            let places = examples.expand_dims(-1);
            let sum = |terms: Tensor, dims: &[usize]| {
                let zeros = self.fill(&[&[count], dims].concat(), 0.0, rows.dtype());
                self.apply(Op::ScatterNd { op: ScatterOp::Add, batch_dims: 0 }, &[zeros, places, terms])
            };
            let spread = |t: Tensor| dims.iter().fold(t, |t, _| t.expand_dims(-1));
            let sums = sum(rows * spread(weights), &dims);
            let size = match combined {
                Combined::Sum => return sums,
                Combined::Mean => sum(weights, &[]),
                Combined::SqrtN => sum(weights.square(), &[]).sqrt(),
            };
            let none = size.equal(0.0);
            let whole = sums / spread(none.select(1.0, size));
            spread(none).select(whole.zeros_like(), whole)
        })
    }
}
