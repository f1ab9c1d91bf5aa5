//! Slicing: parts of arrays by Rust's ranges, by ndarray's `s![..]` or by TensorFlow's masks; arrays cut up, put together
//! again, turned round and shifted.

use std::ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};
use std::panic::Location;

use dormouse_value::{DType, Dim, Op, Part};
pub use ndarray::NewAxis;
use ndarray::{Dimension, SliceInfo, SliceInfoElem};
use smallvec::SmallVec;

use super::array::{Array, Extents};
use super::elementwise::Elementwise;
use crate::graph::{Graph, Naming};
use crate::node::Output;
use crate::tensor::{Symbol, Tensor};

/// In [`Slicing::at`], all axes that no other part is about, whole: Python's `...`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest;

/// A range with a step, as Python's `begin:end:step`; a negative step runs towards the front: `by(.., -1)`.
pub fn by(range: impl Into<PartOf>, step: i64) -> PartOf {
    match range.into().0 {
        Part::Range { begin, end, .. } => PartOf(Part::Range { begin, end, step }),
        // An index with a step is not a range; a step of 0 is refused as one.
        Part::Index(_) | Part::NewAxis | Part::Rest => PartOf(Part::Range { begin: None, end: None, step: 0 }),
    }
}

/// What stands at one place of [`Slicing::at`]: an index, a range of i32, [`by`], [`NewAxis`] or [`Rest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartOf(Part);

/// What [`Slicing::at`] takes: one part or a tuple of them, one an axis from the front, or what ndarray's `s![..]` gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts(SmallVec<[Part; 1]>);

macro_rules! parts_of {
    ($($type:ty, $x:ident => $part:expr;)*) => { $(
        impl From<$type> for PartOf {
            fn from($x: $type) -> Self { PartOf($part) }
        }
        impl From<$type> for Parts {
            fn from(part: $type) -> Self { Parts(SmallVec::from_slice(&[PartOf::from(part).0])) }
        }
    )* };
}
parts_of! {
    i32, x => Part::Index(x.into());
    RangeFull, _x => Part::WHOLE;
    Range<i32>, x => range(Some(x.start.into()), Some(x.end.into()));
    RangeFrom<i32>, x => range(Some(x.start.into()), None);
    RangeTo<i32>, x => range(None, Some(x.end.into()));
    RangeInclusive<i32>, x => range(Some((*x.start()).into()), after(*x.end()));
    RangeToInclusive<i32>, x => range(None, after(x.end));
    NewAxis, _x => Part::NewAxis;
    Rest, _x => Part::Rest;
}

impl From<PartOf> for Parts {
    fn from(part: PartOf) -> Self {
        Parts(SmallVec::from_slice(&[part.0]))
    }
}

fn range(begin: Option<i64>, end: Option<i64>) -> Part {
    Part::Range { begin, end, step: 1 }
}

/// The end of a range whose last place is this one.
fn after(last: i32) -> Option<i64> {
    if last == -1 { None } else { Some(i64::from(last) + 1) }
}

macro_rules! tuples {
    ($(($($type:ident $i:tt),+)),*) => { $(
        impl<$($type: Into<PartOf>),+> From<($($type,)+)> for Parts {
            fn from(parts: ($($type,)+)) -> Self { Parts(SmallVec::from_slice(&[$(parts.$i.into().0),+])) }
        }
    )* };
}
tuples!(
    (A 0), (A 0, B 1), (A 0, B 1, C 2), (A 0, B 1, C 2, D 3), (A 0, B 1, C 2, D 3, E 4), (A 0, B 1, C 2, D 3, E 4, F 5)
);

/// With ndarray's meaning: of a range with a negative step, the range counts from the front and is then run through from
/// its last element.
impl<const N: usize, In: Dimension, Out: Dimension> From<SliceInfo<[SliceInfoElem; N], In, Out>> for Parts {
    fn from(info: SliceInfo<[SliceInfoElem; N], In, Out>) -> Self {
        let part = |element: &SliceInfoElem| match *element {
            SliceInfoElem::Index(i) => Part::Index(i as i64),
            SliceInfoElem::NewAxis => Part::NewAxis,
            SliceInfoElem::Slice { start, end, step } => {
                let (start, end, step) = (start as i64, end.map(|end| end as i64), step as i64);
                match (step > 0, end) {
                    (true, _) => Part::Range { begin: Some(start), end, step },
                    (false, Some(0)) => Part::Range { begin: Some(0), end: Some(0), step: 1 },
                    (false, _) => {
                        let before = (start != 0).then(|| start.saturating_sub(1));
                        Part::Range { begin: end.map(|end| end.saturating_sub(1)), end: before, step }
                    }
                }
            }
        };
        Parts(info.iter().map(part).collect())
    }
}

/// The masks of TensorFlow's `strided_slice`: bit i is about number i of `begin`, `end` and `strides`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StridedSlice {
    /// Where `begin` does not count.
    pub begin_mask: u32,
    /// Where `end` does not count.
    pub end_mask: u32,
    /// The one place that stands for all axes that no other is about.
    pub ellipsis_mask: u32,
    /// Where an axis of extent 1 is put in.
    pub new_axis_mask: u32,
    /// Where the element at `begin` is taken, without its axis.
    pub shrink_axis_mask: u32,
}

/// Methods that take tensors and variables apart.
pub trait Slicing: Symbol {
    /// A part of each axis: `x.at((1.., ..-1, NewAxis, 0))` is TensorFlow's `x[1:, :-1, tf.newaxis, 0]`, with [`Rest`] for
    /// its `...` and `by(.., -1)` for its `::-1`. Axes that are not spoken of stay whole. ndarray's `s![1.., ..-1]` is
    /// taken as well, with ndarray's meaning.
    ///
    /// Ranges are cut to the axis; an index outside is an error.
    #[track_caller]
    fn at(self, parts: impl Into<Parts>) -> Tensor {
        apply(self.tensor(), Op::StridedSlice { parts: parts.into().0 })
    }

    /// From `begin` on, every `strides`-th element, before `end`, along each axis from the front.
    #[track_caller]
    fn strided_slice(self, begin: impl Into<Extents>, end: impl Into<Extents>, strides: impl Into<Extents>) -> Tensor {
        self.strided_slice_with(begin, end, strides, StridedSlice::default())
    }

    /// As [`Slicing::strided_slice`], with TensorFlow's masks.
    #[track_caller]
    fn strided_slice_with(
        self,
        begin: impl Into<Extents>,
        end: impl Into<Extents>,
        strides: impl Into<Extents>,
        masks: StridedSlice,
    ) -> Tensor {
        let (x, begin, end, strides) = (self.tensor(), begin.into().0, end.into().0, strides.into().0);
        if begin.len() != end.len() || begin.len() != strides.len() || begin.len() > 32 {
            let told = [begin, end, strides];
            return x.poisoned_or(format!("strided_slice: {told:?} need as many numbers as each other, 32 at most"));
        }
        let mut parts = SmallVec::new();
        for (i, ((begin, end), step)) in begin.iter().zip(&end).zip(&strides).enumerate() {
            let set = |mask: u32| mask >> i & 1 == 1;
            parts.push(if set(masks.ellipsis_mask) {
                Part::Rest
            } else if set(masks.new_axis_mask) {
                Part::NewAxis
            } else if set(masks.shrink_axis_mask) {
                if *step <= 0 {
                    return x.poisoned_or(format!("strided_slice: only a stride of 1 takes one element, not {step}"));
                }
                Part::Index(*begin)
            } else {
                let part = |mask: u32, place: i64| (!set(mask)).then_some(place);
                Part::Range { begin: part(masks.begin_mask, *begin), end: part(masks.end_mask, *end), step: *step }
            });
        }
        apply(x, Op::StridedSlice { parts })
    }

    /// The elements in reverse order along these axes.
    #[track_caller]
    fn reverse(self, axes: &[i32]) -> Tensor {
        let x = self.tensor();
        let Some(rank) = x.shape().rank() else {
            let back = |axis: i32| along(axis, Part::Range { begin: None, end: None, step: -1 });
            return axes.iter().fold(x, |x, axis| apply_named(x, "ReverseV2", back(*axis)));
        };
        let mut parts = SmallVec::from_elem(Part::WHOLE, rank);
        for axis in axes {
            let place = usize::try_from(i64::from(*axis) + if *axis < 0 { rank as i64 } else { 0 });
            match place.ok().and_then(|place| parts.get_mut(place)) {
                None => return x.poisoned_or(format!("reverse: axis {axis} is outside a shape of {rank} axes")),
                Some(part) if *part != Part::WHOLE => {
                    return x.poisoned_or(format!("reverse: axis {axis} is named twice"));
                }
                Some(part) => *part = Part::Range { begin: None, end: None, step: -1 },
            }
        }
        apply_named(x, "ReverseV2", Op::StridedSlice { parts })
    }

    /// The elements shifted along axes, one shift an axis: what is pushed out at one end comes in at the other. An axis may
    /// be named again, and is shifted on. How many axes there are must be known.
    #[track_caller]
    fn roll(self, shifts: &[i64], axes: &[i32]) -> Tensor {
        let (at, x) = (Location::caller(), self.tensor());
        if shifts.len() != axes.len() {
            return x.poisoned_or(format!("roll: shifts {shifts:?} need one axis each, the axes are {axes:?}"));
        }
        let mut extents = SmallVec::<[Option<usize>; 4]>::new();
        for axis in axes {
            match dim_along("roll", x, *axis) {
                Ok(dim) => extents.push(dim.known()),
                Err(message) => return x.poisoned_or(message),
            }
        }
        let graph = x.graph();
        let last = axes.len().saturating_sub(1);
        graph.composite(at, "roll", |own| {
            let mut rolled = x;
            for (i, ((shift, axis), extent)) in shifts.iter().zip(axes).zip(&extents).enumerate() {
                let naming = |name| if i == last { own } else { Naming::Scoped(name) };
                let node = if let Some(extent) = extent {
                    let extent = (*extent as i64).max(1);
                    let begin = (-shift.rem_euclid(extent)).rem_euclid(extent);
                    let tail = apply(rolled, along(*axis, range(Some(begin), None)));
                    let head = apply(rolled, along(*axis, range(None, Some(begin))));
                    graph.push_op(at, naming("concat"), Op::Concat { axis: *axis }, &[tail, head])
                } else {
                    let extent = rolled.shape_of().cast(DType::I64).at(*axis);
                    let places = graph.range_of(extent.zeros_like(), extent, extent.ones_like());
                    let from = (places - *shift).floor_mod(extent);
                    graph.push_op(at, naming("gather"), Op::Gather { axis: *axis }, &[rolled, from])
                };
                rolled = Tensor::new(graph.handle(), Output { node, port: 0 });
            }
            if axes.is_empty() {
                let node = graph.push_op(at, own, Op::Identity, &[x]);
                rolled = Tensor::new(graph.handle(), Output { node, port: 0 });
            }
            rolled
        })
    }

    /// N parts of equal extent along an axis: `let [i, f, o] = x.split(1);`. An axis that cannot be so cut is an error.
    #[track_caller]
    fn split<const N: usize>(self, axis: i32) -> [Tensor; N] {
        let (at, x) = (Location::caller(), self.tensor());
        let groups = Groups { count: N, apart: true, what: "split" };
        let parts = groups.of(at, x, axis);
        std::array::from_fn(|i| parts.get(i).copied().unwrap_or(x))
    }

    /// As [`Slicing::split`], of a number of parts that is known when the program runs.
    #[track_caller]
    fn split_many(self, parts: usize, axis: i32) -> Vec<Tensor> {
        Groups { count: parts, apart: true, what: "split" }.of(Location::caller(), self.tensor(), axis)
    }

    /// Parts of these extents along an axis, of which one may be −1: what the others leave. Together they are the axis.
    #[track_caller]
    fn split_sizes(self, sizes: impl Into<Extents>, axis: i32) -> Vec<Tensor> {
        let (at, x, mut sizes) = (Location::caller(), self.tensor(), sizes.into().0);
        let extent = match dim_along("split", x, axis) {
            Ok(Dim::Known(extent)) => extent as i64,
            Ok(Dim::Unknown) => return cut_by(at, x, &sizes, axis),
            Err(message) => return vec![x.poisoned_or(message); sizes.len()],
        };
        let told: i64 = sizes.iter().filter(|size| **size != -1).fold(0, |sum, size| sum.saturating_add(*size));
        let wild = sizes.iter().filter(|size| **size == -1).count();
        let negative = sizes.iter().any(|size| *size < -1);
        if negative || wild > 1 || told > extent || wild == 0 && told != extent {
            let message = format!("split: {sizes:?} are not the sizes of the parts of an axis of {extent}");
            return vec![x.poisoned_or(message); sizes.len()];
        }
        sizes.iter_mut().filter(|size| **size == -1).for_each(|size| *size = extent - told);
        let graph = x.graph();
        let mut begin = 0;
        let mut parts = Vec::new();
        graph.composite(at, "split", |own| {
            for (i, size) in sizes.iter().enumerate() {
                let naming = if i == 0 { own } else { Naming::Scoped("part") };
                let op = along(axis, range(Some(begin), Some(begin + size)));
                parts.push(Tensor::new(graph.handle(), Output { node: graph.push_op(at, naming, op, &[x]), port: 0 }));
                begin += size;
            }
            x
        });
        parts
    }

    /// The N slices along an axis of extent N, without it: `let [x, y] = point.unstack(0);`.
    #[track_caller]
    fn unstack<const N: usize>(self, axis: i32) -> [Tensor; N] {
        let (at, x) = (Location::caller(), self.tensor());
        let parts = Groups { count: N, apart: false, what: "unstack" }.of(at, x, axis);
        std::array::from_fn(|i| parts.get(i).copied().unwrap_or(x))
    }

    /// The slices along an axis, without it. Its extent must be known.
    #[track_caller]
    fn unstack_all(self, axis: i32) -> Vec<Tensor> {
        let (at, x) = (Location::caller(), self.tensor());
        match extent_along("unstack", x, axis) {
            Ok(count) => Groups { count, apart: false, what: "unstack" }.of(at, x, axis),
            Err(message) => vec![x.poisoned_or(message)],
        }
    }

    /// Mirrored elements put before and after along each axis, the border's own left out: of `[1, 2, 3]`, two before give
    /// `[3, 2, 1, 2, 3]`. Each is less than the axis has.
    #[track_caller]
    fn pad_reflect(self, paddings: &[[u32; 2]]) -> Tensor {
        mirrored(Location::caller(), self.tensor(), paddings, "pad_reflect", 1)
    }

    /// Mirrored elements put before and after along each axis, the border's own among them: of `[1, 2, 3]`, two before
    /// give `[2, 1, 1, 2, 3]`. Each is no more than the axis has.
    #[track_caller]
    fn pad_symmetric(self, paddings: &[[u32; 2]]) -> Tensor {
        mirrored(Location::caller(), self.tensor(), paddings, "pad_symmetric", 0)
    }
}

impl<S: Symbol> Slicing for S {}

#[track_caller]
fn apply(x: Tensor, op: Op) -> Tensor {
    x.graph().apply(op, &[x])
}

#[track_caller]
fn apply_named(x: Tensor, name: &str, op: Op) -> Tensor {
    x.graph().apply_named(name, op, &[x])
}

/// The slice that takes a part of one axis.
fn along(axis: i32, part: Part) -> Op {
    let whole = std::iter::repeat_n(Part::WHOLE, if axis < 0 { -1 - axis } else { axis } as usize);
    let parts =
        if axis < 0 { [Part::Rest, part].into_iter().chain(whole).collect() } else { whole.chain([part]).collect() };
    Op::StridedSlice { parts }
}

/// Parts of these extents along an axis of which runs ask whether that is what it has.
#[track_caller]
fn cut_by(at: &'static Location<'static>, x: Tensor, sizes: &[i64], axis: i32) -> Vec<Tensor> {
    let wild = sizes.iter().position(|size| *size == -1);
    if sizes.iter().enumerate().any(|(i, size)| *size < 0 && Some(i) != wild) {
        let message = format!("split: {sizes:?} are not the sizes of the parts of an axis of {}", x.shape());
        return vec![x.poisoned_or(message); sizes.len()];
    }
    let graph = x.graph();
    let rank = x.shape().rank().unwrap_or(1);
    let place = if axis < 0 { (axis + rank as i32) as usize } else { axis as usize };
    let ensured = |part: Tensor, naming: Naming<'_>, size: Option<i64>| {
        let mut dims = vec![Dim::Unknown; rank];
        dims[place] = size.and_then(|size| u64::try_from(size).ok()).map_or(Dim::Unknown, Dim::Known);
        let op = Op::EnsureShape { shape: Box::new(dims.into_iter().collect()) };
        Tensor::new(graph.handle(), Output { node: graph.push_op(at, naming, op, &[part]), port: 0 })
    };
    let mut parts = Vec::new();
    graph.composite(at, "split", |own| {
        // Of sizes that are all told, the sum is the extent.
        let total = wild.is_none().then(|| sizes.iter().sum());
        let whole = ensured(x, Naming::Scoped("whole"), total);
        for (i, size) in sizes.iter().enumerate() {
            let naming = if i == 0 { own } else { Naming::Scoped("part") };
            let (before, after): (i64, i64) = (sizes[..i].iter().sum(), sizes[i + 1..].iter().sum());
            let from_end = |n: i64| if n == 0 { None } else { Some(-n) };
            let range = match wild {
                Some(wild) if wild < i => range(from_end(size + after), from_end(after)),
                Some(wild) if wild == i => range(Some(before), from_end(after)),
                Some(_) | None => range(Some(before), Some(before + size)),
            };
            let empty = *size == 0 && wild.is_some_and(|wild| wild < i);
            let range = if empty { self::range(Some(0), Some(0)) } else { range };
            parts.push(ensured(apply(whole, along(axis, range)), naming, (*size >= 0).then_some(*size)));
        }
        x
    });
    parts
}

/// The extent of an axis, where it is known.
fn extent_along(what: &str, x: Tensor, axis: i32) -> Result<usize, String> {
    let unknown = || format!("{what}: the extent of axis {axis} is not known, the shape is {}", x.shape());
    dim_along(what, x, axis)?.known().ok_or_else(unknown)
}

/// The extent along an axis, known or not, of a tensor whose axes are known.
fn dim_along(what: &str, x: Tensor, axis: i32) -> Result<Dim, String> {
    let shape = x.shape();
    let Some(dims) = shape.dims() else {
        return Err(format!("{what}: the extent of axis {axis} is not known, the shape is {shape}"));
    };
    let place = usize::try_from(i64::from(axis) + if axis < 0 { dims.len() as i64 } else { 0 }).ok();
    let dim = place.and_then(|place| dims.get(place));
    dim.copied().ok_or_else(|| format!("{what}: axis {axis} is outside a shape of {} axes", dims.len()))
}

/// An axis cut into equal parts, or into its elements.
#[derive(Clone, Copy)]
struct Groups {
    count: usize,
    /// Whether the parts keep the axis.
    apart: bool,
    what: &'static str,
}

impl Groups {
    #[track_caller]
    fn of(self, at: &'static Location<'static>, x: Tensor, axis: i32) -> Vec<Tensor> {
        let graph = x.graph();
        if self.count == 0 {
            return match extent_along(self.what, x, axis) {
                // There are as many elements as parts to give.
                Ok(0) if !self.apart => Vec::new(),
                Ok(_) | Err(_) => {
                    x.poisoned_or(format!("{}: axis {axis} of {} has no 0 parts", self.what, x.shape()));
                    Vec::new()
                }
            };
        }
        let dims: SmallVec<[i64; 4]> = match (self.apart, axis < 0) {
            // Counted from the end, the axis of the parts is one further off.
            (true, _) => SmallVec::from_slice(&[self.count as i64, -1]),
            (false, _) => SmallVec::from_slice(&[self.count as i64]),
        };
        let place = if self.apart && axis < 0 { axis - 1 } else { axis };
        let mut parts = Vec::with_capacity(self.count);
        graph.composite(at, self.what, |own| {
            let op = Op::Regroup { axis, count: 1, dims };
            let node = graph.push_op(at, Naming::Scoped("groups"), op, &[x]);
            let grouped = Tensor::new(graph.handle(), Output { node, port: 0 });
            for i in 0..self.count {
                let naming = if i == 0 { own } else { Naming::Scoped("part") };
                let node = graph.push_op(at, naming, along(place, Part::Index(i as i64)), &[grouped]);
                parts.push(Tensor::new(graph.handle(), Output { node, port: 0 }));
            }
            x
        });
        parts
    }
}

/// x with its mirror image at the ends of its axes; `border` is 1 where its first and last elements have none.
#[track_caller]
fn mirrored(
    at: &'static Location<'static>,
    x: Tensor,
    paddings: &[[u32; 2]],
    what: &'static str,
    border: u32,
) -> Tensor {
    let rank = paddings.len();
    if x.shape().rank().is_some_and(|own| own != rank) {
        return x.poisoned_or(format!("{what}: {paddings:?} needs one pair for each axis of {}", x.shape()));
    }
    for (dim, pair) in x.shape().dims().unwrap_or(&[]).iter().zip(paddings) {
        if let Dim::Known(n) = dim
            && pair.iter().any(|p| *p > 0 && u64::from(*p) + u64::from(border) > *n)
        {
            return x.poisoned_or(format!("{what}: {pair:?} is more than the {n} elements of an axis have images"));
        }
    }
    let graph = x.graph();
    let back = Part::Range { begin: None, end: None, step: -1 };
    graph.composite(at, "MirrorPad", |own| {
        let mut padded = x;
        let push = |naming: Naming<'_>, op: Op, operands: &[Tensor]| {
            Tensor::new(graph.handle(), Output { node: graph.push_op(at, naming, op, operands), port: 0 })
        };
        for (axis, [before, after]) in paddings.iter().enumerate().filter(|(_, pair)| **pair != [0, 0]) {
            // A slice, unlike a strided one, is refused where there are not as many elements.
            let cut = |x: Tensor, size: u32| {
                let mut begin = SmallVec::from_elem(0, rank);
                let mut sizes = SmallVec::from_elem(-1, rank);
                (begin[axis], sizes[axis]) = (i64::from(border), i64::from(size));
                push(Naming::Scoped("Slice"), Op::Slice { begin, size: sizes }, &[x])
            };
            let reversed = |x: Tensor| push(Naming::Scoped("Reverse"), along(axis as i32, back), &[x]);
            let mut pieces = SmallVec::<[Tensor; 3]>::new();
            if *before > 0 {
                pieces.push(reversed(cut(padded, *before)));
            }
            pieces.push(padded);
            if *after > 0 {
                let last = i64::from(*after) + i64::from(border);
                let tail = push(Naming::Scoped("Slice"), along(axis as i32, range(Some(-last), None)), &[padded]);
                pieces.push(cut(reversed(tail), *after));
            }
            padded = push(Naming::Scoped("concat"), Op::Concat { axis: axis as i32 }, &pieces);
        }
        push(own, Op::Identity, &[padded])
    })
}

impl Graph {
    /// Tensors of one shape put beside each other along a new axis, whose place is counted in the result.
    #[track_caller]
    pub fn stack<S: Symbol>(&self, parts: &[S], axis: i32) -> Tensor {
        let at = Location::caller();
        if parts.is_empty() {
            return self.mistake("stack: takes 1 operands at least, got 0");
        }
        let tensors: SmallVec<[Tensor; 4]> = parts.iter().map(|part| part.tensor()).collect();
        let mut shape = tensors[0].shape();
        for part in &tensors {
            match shape.unify(&part.shape()) {
                Some(both) => shape = both,
                None => return part.poisoned_or(format!("stack: shapes differ: {shape} and {}", part.shape())),
            }
        }
        self.composite(at, "stack", |own| {
            let parts: SmallVec<[Tensor; 4]> = tensors.iter().map(|part| part.expand_dims(axis)).collect();
            Tensor::new(self.handle(), Output { node: self.push_op(at, own, Op::Concat { axis }, &parts), port: 0 })
        })
    }
}
