//! Matrices in the last two axes: diagonals taken, made and replaced, bands, traces.

use dormouse_value::{CompareOp, DType, Dim, Op, Part};
use smallvec::SmallVec;

use super::array::Array;
use super::elementwise::Elementwise;
use super::indexing::{Indexing, number};
use super::measured::Measured;
use super::reduction::Reduction;
use super::slicing::{Rest, Slicing};
use crate::graph::Graph;
use crate::tensor::{Operand, Symbol, Tensor};

/// Methods of tensors and variables whose last two axes are rows and columns.
pub trait Matrices: Symbol {
    /// The last two axes swapped; the others, if any, stay.
    #[track_caller]
    fn matrix_transpose(self) -> Tensor {
        let x = self.tensor();
        match x.shape().rank() {
            Some(rank) if rank >= 2 => {
                let rank = rank as u32;
                let perm: SmallVec<[u32; 4]> = (0..rank - 2).chain([rank - 1, rank - 2]).collect();
                x.transpose_axes(&perm)
            }
            Some(_) | None => x.poisoned_or(format!("matrix_transpose: {} is not known to be of matrices", x.shape())),
        }
    }

    /// Matrices with these vectors, the last axis, on the diagonal and zeros elsewhere: `[.., n] → [.., n, n]`.
    #[track_caller]
    fn matrix_diag(self) -> Tensor {
        let x = self.tensor();
        let graph = x.graph();
        scoped(graph, "MatrixDiag", || {
            let (rows, columns) = (x.expand_dims(-1), x.expand_dims(-2));
            let on = rows.index_along(-2, DType::I32).equal(columns.index_along(-1, DType::I32));
            on.select(rows, number(graph, 0.0, x.dtype()))
        })
    }

    /// The diagonals of the last two axes: `[.., n, m] → [.., min(n, m)]`.
    #[track_caller]
    fn matrix_diag_part(self) -> Tensor {
        let x = self.tensor();
        if x.shape().rank().is_none_or(|rank| rank < 2) {
            return x.poisoned_or(format!("matrix_diag_part: {} is not known to be of matrices", x.shape()));
        }
        scoped(x.graph(), "MatrixDiagPart", || {
            let Some((rows, columns)) = last_two(x) else {
                let (rows, columns) = measured(x);
                let places = counted(rows.minimum(columns)) * (columns + 1);
                return regroup(x, -2, 2, &[-1]).gather_axis(places, -1);
            };
            let step = columns as i64 + 1;
            let end = (rows.min(columns) as i64 - 1) * step + 1;
            let flat = regroup(x, -2, 2, &[(rows * columns) as i64]);
            let diagonal = Part::Range { begin: Some(0), end: Some(end.max(0)), step };
            flat.graph().apply(Op::StridedSlice { parts: SmallVec::from_slice(&[Part::Rest, diagonal]) }, &[flat])
        })
    }

    /// These matrices with other diagonals: `[.., n, m]` with `[.., min(n, m)]`.
    #[track_caller]
    fn matrix_set_diag(self, diagonal: impl Operand) -> Tensor {
        let x = self.tensor();
        let diagonal = diagonal.tensor_like(x);
        let rank = x.shape().rank().filter(|rank| *rank >= 2);
        let Some(rank) = rank.map(|rank| rank - 1) else {
            return x.poisoned_or(format!("matrix_set_diag: {} is not known to be of matrices", x.shape()));
        };
        let Some((rows, columns)) = last_two(x) else {
            return scoped(x.graph(), "MatrixSetDiag", || {
                let (rows, columns) = measured(x);
                let missing = (rows - columns).maximum(0).reshape([1, 1]);
                let paddings = missing.pad(&[[rank as u32 - 1, 0], [1, 0]]);
                let (i, j) = places(x);
                i.equal(j).select(diagonal.pad_by(paddings, 0.0).expand_dims(-1), x)
            });
        };
        let expected = x.shape().dims().map(|dims| {
            let batch = &dims[..dims.len() - 2];
            batch.iter().copied().chain([Dim::from(rows.min(columns))]).collect::<dormouse_value::Shape>()
        });
        if expected.as_ref().is_some_and(|shape| shape.unify(&diagonal.shape()).is_none()) {
            let own = diagonal.shape();
            return x.poisoned_or(format!("matrix_set_diag: {own} are not the diagonals of {}", x.shape()));
        }
        scoped(x.graph(), "MatrixSetDiag", || {
            let missing = rows.saturating_sub(columns) as u32;
            let mut paddings = vec![[0, 0]; rank];
            paddings[rank - 1][1] = missing;
            let diagonal = if missing > 0 { diagonal.pad(&paddings) } else { diagonal };
            let (i, j) = places(x);
            i.equal(j).select(diagonal.expand_dims(-1), x)
        })
    }

    /// The elements in the band of `lower` diagonals below and `upper` above the main one, and zeros elsewhere; a negative
    /// number is all: `matrix_band_part(-1, 0)` is the lower triangle.
    #[track_caller]
    fn matrix_band_part(self, lower: i32, upper: i32) -> Tensor {
        let x = self.tensor();
        let graph = x.graph();
        if x.shape().rank().is_some_and(|rank| rank < 2) {
            return x.poisoned_or(format!("matrix_band_part: {} is not of matrices", x.shape()));
        }
        scoped(graph, "MatrixBandPart", || {
            let (i, j) = places(x);
            let below = (lower >= 0).then(|| i.less_equal(j + lower));
            let above = (upper >= 0).then(|| j.less_equal(i + upper));
            let within = match (below, above) {
                (Some(below), Some(above)) => below.logical_and(above),
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => return x.identity(),
            };
            within.select(x, number(graph, 0.0, x.dtype()))
        })
    }

    /// The sums of the diagonals of the last two axes.
    #[track_caller]
    fn trace(self) -> Tensor {
        let x = self.tensor();
        let graph = x.graph();
        if x.shape().rank().is_some_and(|rank| rank < 2) {
            return x.poisoned_or(format!("trace: {} is not of matrices", x.shape()));
        }
        scoped(graph, "Trace", || {
            if last_two(x).is_some() {
                return x.matrix_diag_part().sum_over(-1);
            }
            let (i, j) = places(x);
            i.equal(j).select(x, number(graph, 0.0, x.dtype())).sum_over([-2, -1])
        })
    }

    /// A tensor with this one on the diagonal and zeros elsewhere: of `[a, b]`, `[a, b, a, b]`.
    #[track_caller]
    fn diag(self) -> Tensor {
        let x = self.tensor();
        let Some(dims) = extents(x) else {
            return x.poisoned_or(format!("diag: {} has more extents that are not known than one", x.shape()));
        };
        if dims.is_empty() {
            return x.poisoned_or("diag: a scalar has no diagonal".to_owned());
        }
        scoped(x.graph(), "Diag", || {
            let square = regroup(x, 0, dims.len() as u32, &[-1]).matrix_diag();
            regroup(regroup(square, 1, 1, &dims), 0, 1, &dims)
        })
    }

    /// The diagonal of a tensor whose second half of axes is as its first: of `[a, b, a, b]`, `[a, b]`. All extents must be
    /// known.
    #[track_caller]
    fn diag_part(self) -> Tensor {
        let x = self.tensor();
        let halves = x.shape().to_dims().filter(|dims| !dims.is_empty() && dims.len() % 2 == 0).and_then(|dims| {
            let (first, second) = dims.split_at(dims.len() / 2);
            (first == second).then(|| first.iter().map(|n| *n as i64).collect::<SmallVec<[i64; 4]>>())
        });
        let Some(dims) = halves else {
            return x.poisoned_or(format!("diag_part: {} is not known to be square", x.shape()));
        };
        scoped(x.graph(), "DiagPart", || {
            let n: i64 = dims.iter().product();
            let square = x.reshape([n, n]);
            square.matrix_diag_part().reshape(dims.to_vec())
        })
    }
}

impl<S: Symbol> Matrices for S {}

/// Runs `f` in a name scope, its nodes charged to the caller.
#[track_caller]
pub(super) fn scoped(graph: &Graph, name: &str, f: impl FnOnce() -> Tensor) -> Tensor {
    graph.located(|| graph.name_scope(name, f))
}

/// Other extents in place of some axes.
#[track_caller]
pub(super) fn regroup(x: Tensor, axis: i32, count: u32, dims: &[i64]) -> Tensor {
    x.graph().apply(Op::Regroup { axis, count, dims: SmallVec::from_slice(dims) }, &[x])
}

/// The extents, of which one at most is −1 for being unknown.
pub(super) fn extents(x: Tensor) -> Option<SmallVec<[i64; 4]>> {
    let shape = x.shape();
    let dims: SmallVec<[i64; 4]> = shape.dims()?.iter().map(|dim| dim.known().map_or(-1, |n| n as i64)).collect();
    (dims.iter().filter(|n| **n == -1).count() <= 1).then_some(dims)
}

fn last_two(x: Tensor) -> Option<(usize, usize)> {
    let shape = x.shape();
    let [.., rows, columns] = shape.dims()? else { return None };
    Some((rows.known()?, columns.known()?))
}

/// Row and column of each element, in i32, which broadcast to x.
#[track_caller]
fn places(x: Tensor) -> (Tensor, Tensor) {
    let rows = x.at((Rest, .., ..1)).index_along(-2, DType::I32);
    let columns = x.at((Rest, ..1, ..)).index_along(-1, DType::I32);
    (rows, columns)
}

/// The last two extents, which are not both known, as scalars.
#[track_caller]
fn measured(x: Tensor) -> (Tensor, Tensor) {
    let extents = x.shape_of();
    (extents.at(-2), extents.at(-1))
}

/// The numbers from 0 on below a scalar.
#[track_caller]
fn counted(n: Tensor) -> Tensor {
    n.graph().range_of(n.zeros_like(), n, n.ones_like())
}

impl Graph {
    /// The unit matrix of n rows and columns, in f32.
    #[track_caller]
    pub fn eye(&self, n: usize) -> Tensor {
        self.eye_with(&[], n, n, DType::F32)
    }

    /// Ones on the diagonal and zeros elsewhere, in matrices of these rows and columns, and as many of them as `batch`
    /// says.
    #[track_caller]
    pub fn eye_with(&self, batch: &[usize], rows: usize, columns: usize, dtype: DType) -> Tensor {
        scoped(self, "eye", || {
            let i = self.fill(&[rows, 1], 0.0, DType::I32).index_along(0, DType::I32);
            let j = self.fill(&[1, columns], 0.0, DType::I32).index_along(1, DType::I32);
            let one = self.apply(Op::Compare(CompareOp::Equal), &[i, j]).cast(dtype);
            if batch.is_empty() {
                return one;
            }
            let dims: Vec<usize> = batch.iter().copied().chain([rows, columns]).collect();
            one.broadcast_to(&dims)
        })
    }

    /// Of vectors, the tensors that hold each point's coordinates in the grid that they span; with `Mesh::Xy`, the first
    /// two axes are swapped, as plots have them.
    #[track_caller]
    pub fn meshgrid<S: Symbol>(&self, vectors: &[S], mesh: Mesh) -> Vec<Tensor> {
        let rank = vectors.len();
        let mut grid = Vec::with_capacity(rank);
        scoped(self, "meshgrid", || {
            let axis = |i: usize| if mesh == Mesh::Xy && i < 2 && rank > 1 { 1 - i } else { i };
            let spread: Vec<Tensor> = vectors
                .iter()
                .enumerate()
                .map(|(i, vector)| {
                    let mut dims = vec![1_i64; rank];
                    dims[axis(i)] = -1;
                    vector.tensor().reshape(dims)
                })
                .collect();
            // Only its shape is asked for, so it is never computed.
            let like = spread.iter().map(|x| x.cast(DType::I32)).reduce(|a, b| a + b);
            if let Some(like) = like {
                grid.extend(spread.iter().map(|x| self.apply(Op::BroadcastLike, &[*x, like])));
            }
            grid.last().copied().unwrap_or_else(|| self.mistake("meshgrid: takes 1 vectors at least, got 0"))
        });
        grid
    }
}

/// Which axes a grid's coordinates run along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mesh {
    /// The first along columns, the second along rows.
    #[default]
    Xy,
    /// Each along its own axis.
    Ij,
}
