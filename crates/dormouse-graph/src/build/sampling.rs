//! Draws that a tensor shapes: numbers of distributions whose parameters are tensors, and parts of tensors taken at
//! random.

use std::panic::Location;

use dormouse_value::{BinaryOp, DType, Distribution, Op, Real, f16};
use smallvec::SmallVec;

use super::array::Array;
use super::elementwise::Elementwise;
use super::random::UniformInt;
use super::slicing::Slicing;
use crate::graph::{Graph, Naming};
use crate::infer::draw::drawn;
use crate::node::{Fact, NodeKind, Output, Seeds};
use crate::tensor::{Operand, Symbol, Tensor};

/// Methods of tensors and variables that draw anew in every run, as TensorFlow draws from the same seeds.
///
/// A draw passes no gradient to its parameters.
pub trait Sampling: Symbol {
    /// Gamma numbers of these shapes and rate 1: `[..] → [dims.., ..]`, at least the dtype's least normal number. Floats.
    #[track_caller]
    fn random_gamma(self, dims: &[usize], seed: Option<i64>) -> Tensor {
        let shapes = self.tensor();
        gamma(shapes, None, dims, seed)
    }

    /// As [`Sampling::random_gamma`], of these rates, which broadcast with the shapes.
    #[track_caller]
    fn random_gamma_of_rate(self, rate: impl Operand, dims: &[usize], seed: Option<i64>) -> Tensor {
        let shapes = self.tensor();
        gamma(shapes, Some(rate.tensor_like(shapes)), dims, seed)
    }

    /// Counts of events that come at these rates: `[..] → [dims.., ..]`. Rates are floats; counts are f16, f32, f64, i32 or i64.
    #[track_caller]
    fn random_poisson(self, dims: &[usize], dtype: DType, seed: Option<i64>) -> Tensor {
        let (at, rates) = (Location::caller(), self.tensor());
        let graph = rates.graph();
        graph.located(|| {
            graph.composite(at, "random_poisson", |own| {
                repeated(rates, "RandomPoissonV2", dims, Some(own), |samples| {
                    (Distribution::Poisson { samples }, dtype, seed)
                })
            })
        })
    }

    /// Classes with probabilities softmax(logits): logits `[n, c]` → `[n, samples]` of i64. Also called multinomial.
    #[track_caller]
    fn categorical(self, samples: u32, seed: Option<i64>) -> Tensor {
        let logits = self.tensor();
        let graph = logits.graph();
        let distribution = Distribution::Categorical { samples };
        draw(graph, Naming::Scoped("multinomial"), distribution, &[logits], DType::I64, graph.seeds(seed))
    }

    /// Its slices along the first axis in random order.
    #[track_caller]
    fn shuffle(self, seed: Option<i64>) -> Tensor {
        let (at, x) = (Location::caller(), self.tensor());
        let graph = x.graph();
        graph.located(|| {
            graph.composite(at, "RandomShuffle", |own| {
                let naming = Naming::Scoped("permutation");
                let order = draw(graph, naming, Distribution::Permutation, &[x], DType::I64, graph.seeds(seed));
                let node = graph.push_op(at, own, Op::Gather { axis: 0 }, &[x, order]);
                Tensor::new(graph.handle(), Output { node, port: 0 })
            })
        })
    }

    /// A part of these extents, from a random place. A tensor that is smaller fails the run.
    #[track_caller]
    fn random_crop(self, dims: &[usize], seed: Option<i64>) -> Tensor {
        let (at, x) = (Location::caller(), self.tensor());
        let graph = x.graph();
        let shape = x.shape();
        let fits = shape.dims().is_none_or(|own| {
            own.len() == dims.len() && own.iter().zip(dims).all(|(own, n)| own.known().is_none_or(|own| own >= *n))
        });
        if !fits || i32::try_from(dims.iter().copied().max().unwrap_or(0)).is_err() {
            return x.poisoned_or(format!("random_crop: {shape} has no part of {dims:?}"));
        }
        if dims.is_empty() {
            return x;
        }
        graph.located(|| {
            graph.composite(at, "random_crop", |own| {
                let size = graph.constant(dims.iter().map(|n| *n as i32).collect::<Vec<i32>>());
                let uniform = UniformInt::new(0, i64::from(i32::MAX));
                let drawn = graph.random(&[dims.len()], seed.map_or(uniform, |seed| uniform.seed(seed)));
                // An extent that is too small leaves no place, and its index is outside.
                let places = (x.shape_of() - size + 1).maximum(0);
                let least = places.maximum(1);
                let offset = drawn.floor_mod(least) + (least - places) * i32::MIN;
                let along = |axis: usize| graph.range(0, dims[axis] as i32) + offset.at(axis as i32);
                let last = dims.len() - 1;
                let part = (0..last).fold(x, |part, axis| part.gather_axis(along(axis), axis as i32));
                let node = graph.push_op(at, own, Op::Gather { axis: last as i32 }, &[part, along(last)]);
                Tensor::new(graph.handle(), Output { node, port: 0 })
            })
        })
    }
}

impl<S: Symbol> Sampling for S {}

/// How [`Graph::sample_distorted_bounding_box`] chooses a part of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DistortedBox {
    /// The least part of a box that is covered.
    pub covered: f64,
    /// The least and the largest width in heights.
    pub aspect_ratio: [f64; 2],
    /// The least and the largest part of the image.
    pub area: [f64; 2],
    /// How often it is tried before it is the whole image.
    pub attempts: u32,
    /// Whether no boxes mean the whole image, and do not fail the run.
    pub whole_image: bool,
    /// A seed of its own.
    pub seed: Option<i64>,
}

impl Default for DistortedBox {
    fn default() -> Self {
        DistortedBox {
            covered: 0.1,
            aspect_ratio: [0.75, 1.33],
            area: [0.05, 1.0],
            attempts: 100,
            whole_image: false,
            seed: None,
        }
    }
}

impl Graph {
    /// A random part of an image that covers enough of one of some boxes: where it begins `[3]`, its extents `[3]`, the
    /// last −1 for all channels, and the part as a box `[1, 1, 4]`, as TensorFlow's `sample_distorted_bounding_box`.
    ///
    /// The size is height, width and channels `[3]` of i32 or i64; boxes are `[.., 4]` of f32, edges top, left, bottom and
    /// right in parts of the image.
    #[track_caller]
    pub fn sample_distorted_bounding_box(
        &self,
        size: impl Operand,
        boxes: impl Operand,
        options: DistortedBox,
    ) -> [Tensor; 3] {
        let DistortedBox { covered, aspect_ratio, area, attempts, whole_image, seed } = options;
        let like = self.constant(0_i32);
        let (size, boxes) = (size.tensor_like(like), boxes.tensor_like(like));
        // TensorFlow keeps these attributes in f32.
        let single = |x: f64| Real(f64::from(x as f32));
        let distribution = Distribution::DistortedBox {
            covered: single(covered),
            aspect_ratio: aspect_ratio.map(single),
            area: area.map(single),
            attempts,
            whole_image,
        };
        // TensorFlow 1 gives this operation the seed as it is, with a second one of 0.
        let seeds = seed.map_or_else(|| self.seeds(None), |graph| Seeds { graph, operation: 0 });
        self.located(|| {
            self.default_scope("sample_distorted_bounding_box", || {
                let naming = Naming::Scoped("SampleDistortedBoundingBoxV2");
                let part = draw(self, naming, distribution, &[size, boxes], DType::I32, seeds);
                let [corner, extents] = [part.slice([0], [2]), part.slice([2], [2])];
                let image = size.slice([0], [2]).cast(DType::I32).cast(DType::F32);
                let edges = self.concat(&[corner, corner + extents], 0).cast(DType::F32);
                let found = edges / self.concat(&[image, image], 0);
                let joined =
                    |front: Tensor, last: i32| self.concat(&[front, self.constant([last])], 0).cast(size.dtype());
                [joined(corner, 0), joined(extents, -1), found.reshape([1, 1, 4])]
            })
        })
    }
}

/// A node that draws; what inference refuses is a mistake.
#[track_caller]
fn draw(
    graph: &Graph,
    naming: Naming<'_>,
    distribution: Distribution,
    operands: &[Tensor],
    dtype: DType,
    seeds: Seeds,
) -> Tensor {
    let at = Location::caller();
    if let Some(stranger) = operands.iter().find(|t| t.graph().id() != graph.id()) {
        return graph.mistake(format!("{}: an operand, {}, is of another graph", name(distribution), stranger.name()));
    }
    let facts: SmallVec<[Fact; 2]> = operands.iter().map(|t| t.fact()).collect();
    let told = Fact::new(dtype, dormouse_value::Shape::unknown());
    match drawn(distribution, &facts, &told) {
        Ok(fact) => {
            let kind = NodeKind::Random { distribution, seeds };
            graph.push_tensor(at, naming, kind, operands, fact)
        }
        Err(message) => operands[0].poisoned_or(format!("{}: {message}", name(distribution))),
    }
}

/// What mistakes call a draw.
fn name(distribution: Distribution) -> &'static str {
    match distribution {
        Distribution::Gamma { .. } => "random_gamma",
        Distribution::Poisson { .. } => "random_poisson",
        Distribution::Categorical { .. } => "categorical",
        Distribution::Permutation => "shuffle",
        Distribution::DistortedBox { .. } => "sample_distorted_bounding_box",
        Distribution::Uniform
        | Distribution::UniformInt { .. }
        | Distribution::Normal
        | Distribution::TruncatedNormal => "random",
    }
}

/// A draw of so many numbers of each parameter as the extents have elements, put at the front; the last node has `own`'s
/// name, if there is one.
#[track_caller]
fn repeated(
    parameters: Tensor,
    op: &str,
    dims: &[usize],
    own: Option<Naming<'_>>,
    of: impl Fn(u32) -> (Distribution, DType, Option<i64>),
) -> Tensor {
    let at = Location::caller();
    let graph = parameters.graph();
    let count: Option<usize> = dims.iter().try_fold(1_usize, |n, d| n.checked_mul(*d));
    let Some(samples) = count.and_then(|n| u32::try_from(n).ok()) else {
        return parameters.poisoned_or(format!("{}: {dims:?} are more numbers than are drawn at once", name(of(0).0)));
    };
    let (distribution, dtype, seed) = of(samples);
    let numbers = draw(graph, Naming::Scoped(op), distribution, &[parameters], dtype, graph.seeds(seed));
    let dims = dims.iter().map(|n| *n as i64).collect();
    let op = Op::Regroup { axis: 0, count: 1, dims };
    let node = graph.push_op(at, own.unwrap_or(Naming::Scoped("Reshape")), op, &[numbers]);
    Tensor::new(graph.handle(), Output { node, port: 0 })
}

#[track_caller]
fn gamma(shapes: Tensor, rate: Option<Tensor>, dims: &[usize], seed: Option<i64>) -> Tensor {
    let at = Location::caller();
    let graph = shapes.graph();
    graph.located(|| {
        graph.composite(at, "random_gamma", |own| {
            let shapes = rate.map_or(shapes, |rate| shapes + rate.zeros_like());
            let dtype = shapes.dtype();
            let drawn =
                repeated(shapes, "RandomGamma", dims, None, |samples| (Distribution::Gamma { samples }, dtype, seed));
            let scaled = rate.map_or(drawn, |rate| drawn / rate);
            let least = match dtype {
                DType::F16 => f64::from(f16::MIN_POSITIVE),
                DType::F32 | DType::Bf16 => f64::from(f32::MIN_POSITIVE),
                // Other dtypes are no floats, and refused.
                DType::F64
                | DType::I8
                | DType::I16
                | DType::I32
                | DType::I64
                | DType::U8
                | DType::U16
                | DType::U32
                | DType::U64
                | DType::Bool => f64::MIN_POSITIVE,
            };
            let node = graph.push_op(at, own, Op::Binary(BinaryOp::Maximum), &[least.tensor_like(scaled), scaled]);
            Tensor::new(graph.handle(), Output { node, port: 0 })
        })
    })
}
