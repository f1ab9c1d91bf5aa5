//! Methods whose results' shapes depend on numbers, and what can be said of such shapes before any are known.

use dormouse_value::{BinaryOp, DType, Dim, DynamicOp, Op, ReduceOp, Shape, Value};
use smallvec::SmallVec;

use super::array::Array;
use super::elementwise::Elementwise;
use super::indexing::Indexing;
use super::reduction::Reduction;
use crate::graph::{Draft, Graph, Naming};
use crate::infer::infer_dynamic;
use crate::names;
use crate::node::{Fact, NodeKind, Output};
use crate::tensor::{Operand, Symbol, Tensor};

/// Methods of tensors and variables that give shapes which depend on numbers, or take shapes as tensors.
///
/// A run that meets one of them plans in steps: it computes what the shape depends on, then plans the rest with it.
/// Where the shape is known from constants and other shapes alone, it is no step of its own.
pub trait Dynamic: Symbol {
    /// The indices of the elements that are not 0 (or are true), in row-major order: i64 `[n, rank]`. TensorFlow's `where`
    /// of a condition alone.
    #[track_caller]
    fn nonzero(self) -> Tensor {
        let x = self.tensor();
        x.graph().apply_dynamic(DynamicOp::NonZero, &[x])
    }

    /// The distinct elements of a vector in the order they come first, and for each element the place of its like among
    /// them (i32).
    #[track_caller]
    fn unique(self) -> [Tensor; 2] {
        let [values, places, _] = self.unique_with_counts();
        [values, places]
    }

    /// As [`Dynamic::unique`], and how often each occurs (i32).
    #[track_caller]
    fn unique_with_counts(self) -> [Tensor; 3] {
        let x = self.tensor();
        let values = x.graph().apply_dynamic(DynamicOp::Unique { output: DType::I32 }, &[x]);
        [values, values.port(1), values.port(2)]
    }

    /// The slices along the first axes where a mask of these axes is true: `x [m.., i..], mask [m..] → [n, i..]`.
    #[track_caller]
    fn boolean_mask(self, mask: impl Operand) -> Tensor {
        let x = self.tensor();
        let mask = mask.tensor_like(x);
        let graph = x.graph();
        let (dims, masked) = (x.shape(), mask.shape());
        let fits = match (dims.dims(), masked.dims()) {
            (Some(dims), Some(masked)) => {
                let led: Option<Shape> = dims.get(..masked.len()).map(|led| led.iter().copied().collect());
                led.is_some_and(|led| led.unify(&mask.shape()).is_some())
            }
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if mask.dtype() != DType::Bool || masked.rank() == Some(0) || !fits {
            let message = format!(
                "boolean_mask: {dims} takes a mask of booleans for its first axes, not {}{masked}",
                mask.dtype()
            );
            return x.poisoned_or(message);
        }
        graph.located(|| graph.name_scope("boolean_mask", || x.gather_nd(mask.nonzero())))
    }

    /// The same elements with extents that a vector of i32 or i64 says, of which one may be −1.
    #[track_caller]
    fn reshape_to(self, extents: impl Symbol) -> Tensor {
        let (x, extents) = (self.tensor(), extents.tensor());
        let graph = x.graph();
        graph.located(|| match known(extents) {
            Some(known) if known.iter().all(Option::is_some) => {
                graph.apply(Op::Reshape { dims: known.into_iter().flatten().collect() }, &[x])
            }
            known => ensured(graph.apply_dynamic(DynamicOp::Reshape, &[x, extents]), known),
        })
    }

    /// Broadcast to extents that a vector of i32 or i64 says.
    #[track_caller]
    fn broadcast_to_shape(self, extents: impl Symbol) -> Tensor {
        let (x, extents) = (self.tensor(), extents.tensor());
        let graph = x.graph();
        graph.located(|| {
            let known = known(extents);
            let all = known.iter().flatten().map(|n| u64::try_from((*n)?).ok()).collect::<Option<_>>();
            match all.filter(|_| known.is_some()) {
                Some(dims) => graph.apply(Op::BroadcastTo { dims }, &[x]),
                None => ensured(graph.apply_dynamic(DynamicOp::BroadcastTo, &[x, extents]), known),
            }
        })
    }

    /// Repeated along each axis as often as a vector of i32 or i64 says.
    #[track_caller]
    fn tile_by(self, multiples: impl Symbol) -> Tensor {
        let (x, multiples) = (self.tensor(), multiples.tensor());
        let graph = x.graph();
        graph.located(|| {
            let known = known(multiples);
            let all = known.iter().flatten().map(|n| u32::try_from((*n)?).ok()).collect::<Option<_>>();
            match all.filter(|_| known.is_some()) {
                Some(multiples) => graph.apply(Op::Tile { multiples }, &[x]),
                None => graph.apply_dynamic(DynamicOp::Tile, &[x, multiples]),
            }
        })
    }

    /// As many elements as `size` says from `begin` on along each axis, vectors of i32 or i64; a size of −1 is the rest.
    #[track_caller]
    fn slice_at(self, begin: impl Symbol, size: impl Symbol) -> Tensor {
        let (x, begin, size) = (self.tensor(), begin.tensor(), size.tensor());
        let graph = x.graph();
        graph.located(|| {
            let whole = |t| known(t).and_then(|known| known.into_iter().collect::<Option<SmallVec<_>>>());
            match (whole(begin), whole(size)) {
                (Some(begin), Some(size)) => graph.apply(Op::Slice { begin, size }, &[x]),
                _ => ensured(graph.apply_dynamic(DynamicOp::Slice, &[x, begin, size]), known(size)),
            }
        })
    }

    /// The slices along the first axes in `count` parts, each with those whose partition is its number: `x [p.., i..],
    /// partitions [p..]` of i32, each in `0..count`, → `[n, i..]` each.
    #[track_caller]
    fn dynamic_partition(self, partitions: impl Symbol, count: usize) -> Vec<Tensor> {
        let (x, partitions) = (self.tensor(), partitions.tensor());
        let graph = x.graph();
        graph.located(|| {
            graph.name_scope("DynamicPartition", || {
                (0..count as i32).map(|part| x.boolean_mask(partitions.equal(part))).collect()
            })
        })
    }

    /// The elements of this vector that are not in another, and their places (i32): TensorFlow's `setdiff1d`.
    #[track_caller]
    fn difference(self, other: impl Symbol) -> [Tensor; 2] {
        let (x, other) = (self.tensor(), other.tensor());
        let graph = x.graph();
        graph.located(|| {
            graph.name_scope("ListDiff", || {
                let found = x.expand_dims(1).equal(other.expand_dims(0)).any_over(1);
                let kept = found.logical_not();
                [x.boolean_mask(kept), x.index_along(0, DType::I32).boolean_mask(kept)]
            })
        })
    }
}

impl<S: Symbol> Dynamic for S {}

impl Graph {
    /// An operation whose shape depends on numbers, with its usual name: what the methods of tensors call. Gives the first
    /// of its tensors; [`Tensor::port`] gives the others.
    #[track_caller]
    pub fn apply_dynamic(&self, op: DynamicOp, operands: &[Tensor]) -> Tensor {
        let at = std::panic::Location::caller();
        let outputs = op.outputs();
        let facts: SmallVec<[Fact; 4]> = operands.iter().map(|t| t.fact()).collect();
        let stranger = operands.iter().find(|t| t.graph().id() != self.id());
        let inferred = match stranger {
            Some(stranger) => {
                let name = names::called_dynamic(&op);
                Err(format!("{name}: an operand, {}, is of another graph", stranger.name()))
            }
            None => infer_dynamic(&op, &facts),
        };
        let (facts, mistake) = match inferred {
            Ok(facts) => (facts, None),
            Err(message) => {
                (std::iter::repeat_n(Fact::new(DType::F32, Shape::unknown()), outputs).collect(), Some(message))
            }
        };
        let strangers = stranger.is_some();
        let operands = operands.iter().filter(|_| !strangers).map(|t| t.output()).collect();
        let name = names::of_dynamic(&op);
        let draft = Draft { kind: NodeKind::Dynamic(op), operands, facts };
        let node = self.try_push(at, Naming::Scoped(name), draft, mistake);
        Tensor::new(self.handle(), Output { node, port: 0 })
    }

    /// A number in extents that a vector of i32 or i64 says.
    #[track_caller]
    pub fn fill_to(&self, extents: impl Symbol, value: impl Symbol) -> Tensor {
        value.tensor().broadcast_to_shape(extents)
    }

    /// `start`, `start + step`, … before `limit`, scalars of one dtype that runs compute. [`Graph::range_with`] takes
    /// numbers.
    #[track_caller]
    pub fn range_of(&self, start: impl Symbol, limit: impl Symbol, step: impl Symbol) -> Tensor {
        self.apply_dynamic(DynamicOp::Range, &[start.tensor(), limit.tensor(), step.tensor()])
    }

    /// What [`Dynamic::dynamic_partition`] takes apart, put together: element `indices[k][i..]` of the result is
    /// `data[k][i.., ..]`, of several the last. The result is as long as the largest index says; what no index names is 0.
    #[track_caller]
    pub fn dynamic_stitch(&self, indices: &[Tensor], data: &[Tensor]) -> Tensor {
        if indices.is_empty() || indices.len() != data.len() {
            return self.mistake(format!("dynamic_stitch: {} indices for {} parts", indices.len(), data.len()));
        }
        self.located(|| {
            self.name_scope("DynamicStitch", || {
                let rank = indices.iter().map(|t| t.shape().rank()).collect::<Option<Vec<_>>>();
                let (Some(rank), Some(inner)) = (rank, data[0].shape().rank()) else {
                    return data[0].poisoned_or("dynamic_stitch: the numbers of axes have to be known".to_owned());
                };
                let flat = |t: &Tensor, led: usize| {
                    let count = u32::try_from(led).unwrap_or(u32::MAX);
                    if led == 0 {
                        return t.expand_dims(0);
                    }
                    self.apply(Op::Regroup { axis: 0, count, dims: SmallVec::from_slice(&[-1]) }, &[*t])
                };
                let places: Vec<Tensor> = indices.iter().zip(&rank).map(|(t, led)| flat(t, *led)).collect();
                let parts: Vec<Tensor> = data.iter().zip(&rank).map(|(t, led)| flat(t, *led)).collect();
                let (places, parts) = (self.concat(&places, 0), self.concat(&parts, 0));
                let length = (places.cast(DType::I32).max() + 1).maximum(0).reshape([1]);
                let dims = if inner > rank[0] {
                    let rest = parts.shape_of().slice([1], [-1]);
                    self.concat(&[length, rest], 0)
                } else {
                    length
                };
                let zeros = self.fill(&[], 0.0, parts.dtype()).broadcast_to_shape(dims);
                zeros.tensor_scatter_update(places.expand_dims(1), parts)
            })
        })
    }
}

/// A tensor of extents as far as they are known, where that is more than its shape says.
#[track_caller]
fn ensured(x: Tensor, extents: Option<Vec<Option<i64>>>) -> Tensor {
    let Some(extents) = extents.filter(|e| e.iter().flatten().any(|n| *n >= 0)) else { return x };
    let dim = |n: &Option<i64>| n.and_then(|n| u64::try_from(n).ok()).map_or(Dim::Unknown, Dim::Known);
    let shape: Shape = extents.iter().map(dim).collect();
    x.graph().apply(Op::EnsureShape { shape: Box::new(shape) }, &[x])
}

/// How far back shapes are looked for.
const DEPTH: usize = 32;

/// The whole numbers that a scalar or a vector is in every run, as far as constants and static shapes say.
fn known(tensor: Tensor) -> Option<Vec<Option<i64>>> {
    known_within(tensor, DEPTH)
}

#[allow(clippy::wildcard_enum_match_arm, reason = "whatever is not looked through is not known")]
fn known_within(tensor: Tensor, depth: usize) -> Option<Vec<Option<i64>>> {
    const LONGEST: usize = 64;
    let graph = tensor.graph();
    let node = graph.node(tensor.output().node)?;
    let operand = |i: usize| -> Option<Tensor> { Some(graph.output(*node.operands.get(i)?)) };
    let of = |i: usize| known_within(operand(i)?, depth.checked_sub(1)?);
    let found: Vec<Option<i64>> = match &node.kind {
        NodeKind::Constant(Value::I32(array)) => array.iter().map(|n| Some(i64::from(*n))).collect(),
        NodeKind::Constant(Value::I64(array)) => array.iter().map(|n| Some(*n)).collect(),
        NodeKind::Op(op) => match op {
            Op::ShapeOf { .. } => {
                let shape = operand(0)?.shape();
                shape.dims()?.iter().map(|d| d.known().and_then(|n| i64::try_from(n).ok())).collect()
            }
            Op::SizeOf { .. } => vec![i64::try_from(operand(0)?.shape().element_count()?).ok()],
            Op::Identity | Op::EnsureShape { .. } | Op::Reshape { .. } | Op::ExpandDims { .. } | Op::Squeeze { .. } => {
                of(0)?
            }
            Op::Cast { to: DType::I32 | DType::I64 } if !operand(0)?.dtype().is_float() => of(0)?,
            Op::Concat { .. } => {
                let mut all = Vec::new();
                for i in 0..node.operands.len() {
                    all.extend(of(i)?);
                }
                all
            }
            Op::StridedSlice { parts } => {
                let numbers = of(0)?;
                let mut parts = parts.iter().filter(|p| !matches!(p, dormouse_value::Part::Rest));
                match (parts.next(), parts.next()) {
                    (None, _) => numbers,
                    (Some(part), None) if part.takes_axis() => {
                        let (first, count) = part.span(numbers.len() as u64)?;
                        let step = match part {
                            dormouse_value::Part::Range { step, .. } => *step,
                            _ => 1,
                        };
                        let at = |k: u64| numbers.get((first as i64 + k as i64 * step) as usize).copied();
                        (0..count).map(at).collect::<Option<_>>()?
                    }
                    _ => return None,
                }
            }
            Op::Slice { begin, size } if begin.len() == 1 => {
                let numbers = of(0)?;
                let first = usize::try_from(begin[0]).ok()?;
                let count = usize::try_from(size[0]).unwrap_or(numbers.len().checked_sub(first)?);
                numbers.get(first..first.checked_add(count)?)?.to_vec()
            }
            Op::Binary(op @ (BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul)) => {
                let (a, b) = (of(0)?, of(1)?);
                let n = if a.len() == 1 { b.len() } else { a.len() };
                if (a.len() != n && a.len() != 1) || (b.len() != n && b.len() != 1) {
                    return None;
                }
                let apply = |a: i64, b: i64| match op {
                    BinaryOp::Add => a.checked_add(b),
                    BinaryOp::Sub => a.checked_sub(b),
                    _ => a.checked_mul(b),
                };
                let at = |v: &[Option<i64>], i: usize| v[if v.len() == 1 { 0 } else { i }];
                (0..n).map(|i| at(&a, i).zip(at(&b, i)).and_then(|(a, b)| apply(a, b))).collect()
            }
            Op::Reduce { op: ReduceOp::Prod, .. } => {
                let numbers = of(0)?;
                vec![numbers.iter().try_fold(1_i64, |product, n| product.checked_mul((*n)?))]
            }
            _ => return None,
        },
        _ => return None,
    };
    (found.len() <= LONGEST).then_some(found)
}
