//! The operations: a closed enum of pure data, which the graph infers, the gradient pass differentiates and the
//! kernels compute.
//!
//! **Append only**: variants and fields, in nested enums too. Files store the index of a variant and the position of a
//! field; a test holds the bytes of one exemplar of each.
//!
//! *Shape-only operands.* The operand called `like` below gives its shape and no numbers: once shapes are known the
//! session drops it, so its data need not be alive ([`Op::shape_only`]).

mod attributes;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::{DType, Part, Shape};

pub use self::attributes::{
    BinaryOp, CompareOp, CumulativeOp, Distribution, Interpolation, LogicalOp, Padding, PoolOp, Real, ReduceOp, Resize,
    Sampling, ScatterOp, SegmentOp, UnaryOp, Window2d, Window3d,
};

/// An operation: mathematics without effects, so equal operations of equal operands are one.
///
/// Graphs and programs hold millions, and most have few attributes: one is 56 bytes, and what needs more is on the heap.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Op {
    /// Its operand; any dtype.
    Identity,
    /// Its operand, where gradients end; any dtype.
    StopGradient,
    /// Its operand, whose shape must be one that `shape` accepts.
    EnsureShape {
        /// The partial shape.
        shape: Box<Shape>,
    },
    /// Its operand; the run fails with `message` where an element is NaN or infinite. Floats.
    CheckNumerics {
        /// What the error says first.
        message: String,
    },
    /// Element-wise, one operand.
    Unary(UnaryOp),
    /// Element-wise, two operands.
    Binary(BinaryOp),
    /// Element-wise comparison.
    Compare(CompareOp),
    /// Element-wise boolean operation.
    Logical(LogicalOp),
    /// (condition, a, b): a where the condition holds, else b, all broadcast.
    Select,
    /// Every element as another dtype: floats to integers truncate and saturate, numbers to booleans are x ≠ 0.
    Cast {
        /// The result's dtype.
        to: DType,
    },
    /// The sum of one or more operands of one shape, in operand order.
    AddN,
    /// (x): elements along `axes` to one.
    Reduce {
        /// What is done.
        op: ReduceOp,
        /// Negative axes count from the end; `None` is all.
        axes: Option<SmallVec<[i32; 4]>>,
        /// Whether reduced axes stay, with extent 1.
        keep_dims: bool,
    },
    /// (x): the index of the largest element along `axis`, the first of equals; a NaN is never larger. Result i32 or i64.
    ArgMax {
        /// Negative counts from the end.
        axis: i32,
        /// `I32` or `I64`.
        output: DType,
    },
    /// (x): as `ArgMax`, of the smallest.
    ArgMin {
        /// Negative counts from the end.
        axis: i32,
        /// `I32` or `I64`.
        output: DType,
    },
    /// (x): the running sum or product along `axis`.
    Cumulative {
        /// What runs.
        op: CumulativeOp,
        /// Negative counts from the end.
        axis: i32,
        /// Whether an element leaves itself out.
        exclusive: bool,
        /// Whether it runs from the end.
        reverse: bool,
    },
    /// (a, b): `[.., n, k] × [.., k, m] → [.., n, m]`, leading axes broadcast.
    MatMul {
        /// Whether a's last two axes are swapped first.
        transpose_a: bool,
        /// Whether b's last two axes are swapped first.
        transpose_b: bool,
    },
    /// (x): the same elements with other extents; one of `dims` may be −1.
    Reshape {
        /// The extents.
        dims: SmallVec<[i64; 4]>,
    },
    /// (x, like): the same elements with `like`'s shape.
    ReshapeLike,
    /// (x): axes of extent 1 put in, at these places of the result.
    ExpandDims {
        /// Places in the result; negative count from its end.
        axes: SmallVec<[i32; 4]>,
    },
    /// (x): axes of extent 1 taken out; empty takes out all.
    Squeeze {
        /// Negative count from the end.
        axes: SmallVec<[i32; 4]>,
    },
    /// (x): axes in another order; result axis i is x's axis `perm[i]`.
    Transpose {
        /// A permutation; empty reverses all axes.
        perm: SmallVec<[u32; 4]>,
    },
    /// (x₀, …): joined along `axis`.
    Concat {
        /// Negative counts from the end.
        axis: i32,
    },
    /// (dy, x₀ like, …, xₙ like): the part of dy that came from operand `index` of a concat.
    ConcatGrad {
        /// The concat's axis.
        axis: i32,
        /// Which operand.
        index: u32,
    },
    /// (x): `size` elements from `begin` on along each axis; a size of −1 is the rest.
    Slice {
        /// First index along each axis.
        begin: SmallVec<[i64; 2]>,
        /// Elements along each axis.
        size: SmallVec<[i64; 2]>,
    },
    /// (x, like): as `Slice`, with `like`'s shape as the size.
    SliceLike {
        /// First index along each axis.
        begin: SmallVec<[i64; 2]>,
    },
    /// (dy, like): zeros of `like`'s shape with dy put at `begin`.
    SliceGrad {
        /// First index along each axis.
        begin: SmallVec<[i64; 2]>,
    },
    /// (x): `value` put around.
    Pad {
        /// Elements before and after along each axis.
        paddings: SmallVec<[[u32; 2]; 4]>,
        /// What is put there.
        value: Real,
    },
    /// (x): repeated along each axis.
    Tile {
        /// Times along each axis.
        multiples: SmallVec<[u32; 4]>,
    },
    /// (dy): summed over the copies that a tile made.
    TileGrad {
        /// The tile's multiples.
        multiples: SmallVec<[u32; 4]>,
    },
    /// (x, indices): slices of x along `axis` at i32 or i64 indices; an index outside fails the run.
    Gather {
        /// Negative counts from the end.
        axis: i32,
    },
    /// (dy, indices, like): zeros of `like`'s shape with the slices of dy added at the indices along `axis`.
    GatherGrad {
        /// The gather's axis, from the front.
        axis: i32,
    },
    /// (indices): `on` at the index along the new axis, `off` elsewhere; an index outside gives `off` throughout.
    OneHot {
        /// Extent of the new axis.
        depth: u32,
        /// Place of the new axis; negative counts from the result's end.
        axis: i32,
        /// Value at the index.
        on: Real,
        /// Value elsewhere.
        off: Real,
        /// The result's dtype.
        dtype: DType,
    },
    /// (x): broadcast to these extents.
    BroadcastTo {
        /// The extents.
        dims: SmallVec<[u64; 4]>,
    },
    /// (x, like): broadcast to `like`'s shape.
    BroadcastLike,
    /// (dy, like): dy summed back to `like`'s shape, the transpose of a broadcast.
    SumLike,
    /// (like): its shape as a vector. I32 or I64.
    ShapeOf {
        /// `I32` or `I64`.
        output: DType,
    },
    /// (like): its number of elements as a scalar. I32 or I64.
    SizeOf {
        /// `I32` or `I64`.
        output: DType,
    },
    /// (logits): exp(x − max) / Σ along `axis`.
    Softmax {
        /// Negative counts from the end.
        axis: i32,
    },
    /// (logits): x − max − ln Σ exp(x − max) along `axis`.
    LogSoftmax {
        /// Negative counts from the end.
        axis: i32,
    },
    /// `(logits [.., c], labels [.., c]) → (loss [..], softmax − labels [.., c])`. Labels are distributions.
    SoftmaxCrossEntropy,
    /// `(logits [.., c], labels [..]) → (loss [..], softmax − one-hot [.., c])`. Labels are i32 or i64; one outside fails
    /// the run.
    SparseSoftmaxCrossEntropy,
    /// (x): Σx² / 2.
    L2Loss,
    /// (x [n, h, w, i], filter [h, w, i / g, o]) → [n, h', w', o]; of g groups of channels, each with its share of filters.
    Conv2d(Window2d),
    /// (dy, filter, like x): the gradient of a convolution with respect to its input.
    Conv2dInputGrad(Window2d),
    /// (x, dy, like filter): the gradient of a convolution with respect to its filter.
    Conv2dFilterGrad(Window2d),
    /// (x [n, h, w, c]) → [n, h', w', c].
    Pool2d {
        /// Largest or mean.
        op: PoolOp,
        /// Cells of a window, `[height, width]`.
        size: [u32; 2],
        /// Where windows lie.
        window: Window2d,
    },
    /// (x, y, dy): dy put where each window's largest element was, the first of equals.
    MaxPoolGrad {
        /// Cells of a window, `[height, width]`.
        size: [u32; 2],
        /// Where windows lie.
        window: Window2d,
    },
    /// (x, y, d): of d, shaped as x, what stands where each window's largest element was.
    MaxPoolGradGrad {
        /// Cells of a window, `[height, width]`.
        size: [u32; 2],
        /// Where windows lie.
        window: Window2d,
    },
    /// (dy, like x): dy spread evenly over each window's cells inside the input.
    AveragePoolGrad {
        /// Cells of a window, `[height, width]`.
        size: [u32; 2],
        /// Where windows lie.
        window: Window2d,
    },
    /// (x): a part of each axis, axes left out and put in.
    StridedSlice {
        /// What is taken, axis by axis.
        parts: SmallVec<[Part; 1]>,
    },
    /// (dy, like): zeros of `like`'s shape with dy put where a strided slice took it.
    StridedSliceGrad {
        /// The slice's parts.
        parts: SmallVec<[Part; 1]>,
    },
    /// (x): the same elements with other extents in place of some neighboring axes.
    Regroup {
        /// The first of these axes; negative counts from the end.
        axis: i32,
        /// How many axes, 1 at least.
        count: u32,
        /// The extents that take their place; one may be −1.
        dims: SmallVec<[i64; 4]>,
    },
    /// `(x [b.., e₁ … eₖ, i..], indices [b.., p.., k]) → [b.., p.., i..]`: slices of x at i32 or i64 indices of k numbers.
    /// One outside fails the run.
    GatherNd {
        /// The number of axes b, along which x and indices go together.
        batch_dims: u32,
    },
    /// (x, indices, updates): x, changed by the updates at the places that a `GatherNd` of x takes.
    ScatterNd {
        /// What an update does.
        op: ScatterOp,
        /// The number of axes along which all operands go together.
        batch_dims: u32,
    },
    /// (like): in `like`'s shape, each element its own index along `axis`.
    Iota {
        /// Negative counts from the end.
        axis: i32,
        /// A dtype of numbers; indices that it cannot hold wrap.
        dtype: DType,
    },
    /// `(x [p.., r..], segments [p..]) → [n, r..]`: the elements of each segment to one. Segments are i32 or i64; elements
    /// of a negative one are left out, one of n or more fails the run. The largest of no elements is the lowest finite
    /// number, the smallest the highest, and no result is beyond these.
    Segment {
        /// What is done.
        op: SegmentOp,
        /// The number of segments, n.
        segments: u64,
        /// Whether segments are a vector that never falls and begins at 0 or later, or the run fails. The largest or
        /// smallest of no elements is then 0, and infinities are kept.
        sorted: bool,
    },
    /// `(x [n, r..], segments [p..]) → [p.., r..]`: each segment's part of x, zeros where it is negative; one of n or more
    /// fails the run.
    SegmentSpread {
        /// The number of segments, n.
        segments: u64,
    },
    /// `(x [.., n]) → (values [.., k], indices [.., k])`: the k largest of each row, the largest first, of equals the one
    /// before, NaNs last. Indices are i32.
    TopK {
        /// How many; `None` is all.
        k: Option<u32>,
    },
    /// `(x [.., n], indices [.., k]) → [.., k]`: of each row the elements at its own indices. One outside fails the run.
    Pick,
    /// `(dy [.., k], indices [.., k], like [.., n])`: zeros of `like`'s shape with dy added at each row's own indices.
    PickGrad,
    /// `(rows [.., n], x [.., m]) → [.., m]`: how many of the row's elements, which never fall, are below x.
    SearchSorted {
        /// Whether those equal to x count too.
        right: bool,
        /// `I32` or `I64`.
        output: DType,
    },
    /// (x [n, h, w, c], filter [h, w, c, m]) → [n, h', w', c·m]: each channel with m filters of its own.
    DepthwiseConv2d(Window2d),
    /// (dy, filter, like x): the gradient of a depthwise convolution with respect to its input.
    DepthwiseConv2dInputGrad(Window2d),
    /// (x, dy, like filter): the gradient of a depthwise convolution with respect to its filter.
    DepthwiseConv2dFilterGrad(Window2d),
    /// (x [n, d, h, w, i], filter [d, h, w, i / g, o]) → [n, d', h', w', o]; of g groups as `Conv2d`.
    Conv3d(Window3d),
    /// (dy, filter, like x): the gradient of a convolution with respect to its input.
    Conv3dInputGrad(Window3d),
    /// (x, dy, like filter): the gradient of a convolution with respect to its filter.
    Conv3dFilterGrad(Window3d),
    /// `(a [.., n, n]) → [.., n, n]`: the lower triangle L with L·Lᵀ = a, zeros above; what a has above is not looked at. One
    /// that is not positive definite fails the run. Floats.
    Cholesky,
    /// `(a [.., n, n], b [.., n, k]) → [.., n, k]`: x with a·x = b for a triangle a; its other side is not looked at. A zero
    /// on the diagonal fails the run. Floats.
    TriangularSolve {
        /// Whether a is the triangle below the diagonal.
        lower: bool,
        /// Whether aᵀ·x = b instead.
        adjoint: bool,
    },
    /// `(a [.., n, n], b [.., n, k]) → [.., n, k]`: x with a·x = b. One that is not invertible fails the run. Floats.
    MatrixSolve {
        /// Whether aᵀ·x = b instead.
        adjoint: bool,
    },
    /// `(a [.., n, n]) → [.., n, n]`: a⁻¹. One that is not invertible fails the run. Floats.
    MatrixInverse {
        /// Whether of aᵀ instead.
        adjoint: bool,
    },
    /// `(a [.., n, n]) → [..]`: the determinant, 1 of no rows. Floats.
    Determinant,
    /// `(a [.., n, n]) → (sign [..], log [..])`: the determinant's sign, 0 of 0, and the logarithm of its size. Floats.
    LogDeterminant,
    /// (x [n, h, w, c]) → [n, h', w', c]: images of another size. Floats; the nearest cells of any numbers.
    ResizeImages(Resize),
    /// (dy, like x): the gradient of resized images with respect to the images.
    ResizeImagesGrad(Resize),
    /// `(boxes [n, 4], scores [n]) → (indices [size], how many of them are chosen [])`: by falling score, above `score`, the
    /// boxes that have no more than `overlap` of both in common with any chosen before; then zeros. I32, of floats.
    NonMaxSuppression {
        /// How many are chosen at most.
        size: u32,
        /// The largest part of two boxes together that they may have in common.
        overlap: Real,
        /// What scores must be above.
        score: Real,
    },
    /// `(a [.., m, n]) → (q [.., m, k], r [.., k, n])`: q·r = a, of q columns of length 1 at right angles, of r zeros below the
    /// diagonal; k is m where `full`, else the lesser of both. By reflections, whose signs are LAPACK's. F32 or F64.
    Qr {
        /// Whether q is square.
        full: bool,
    },
    /// `(a [.., n, n]) → (e [.., n], v [.., n, n])`: v·diag(e)·vᵀ = a, e from the least on, of v columns of length 1 at right
    /// angles, whose element of the largest size, the first of equals, is above 0. What a has above its diagonal is not
    /// looked at. F32 or F64.
    SelfAdjointEig,
    /// `(a [.., m, n]) → (s [.., k], u [.., m, i], v [.., n, j])`: u·diag(s)·vᵀ = a, of k = min(m, n) numbers from the largest on,
    /// none below 0, and columns of length 1 at right angles, as many as s, or all where `full`; the sign is as of
    /// `SelfAdjointEig`, by u. F32 or F64.
    Svd {
        /// Whether u and v are square.
        full: bool,
    },
    /// (a, b, x), broadcast: 1/B(a, b) ∫ tᵃ⁻¹ (1 − t)ᵇ⁻¹ dt from 0 to x; NaN for a ≤ 0, b ≤ 0, x < 0 or x > 1. F32 or F64.
    Betainc,
    /// (x): the bits of its elements as elements of another dtype of numbers. Of smaller elements there is one more axis, the
    /// last; of larger ones the last axis goes, which must be as long as one of them takes. Lower bits come first.
    Bitcast {
        /// The dtype that they are taken for.
        to: DType,
    },
    /// (a `[.., n, n]`) → `[.., n, n]`: eᵃ = Σ aᵏ/k! of each matrix. F32 or F64.
    MatrixExponential,
}

const _: () = assert!(size_of::<Op>() <= 56, "an operation is small");

impl Op {
    /// How many tensors it gives.
    pub fn outputs(&self) -> usize {
        let two = matches!(
            self,
            Op::SoftmaxCrossEntropy
                | Op::SparseSoftmaxCrossEntropy
                | Op::TopK { .. }
                | Op::LogDeterminant
                | Op::NonMaxSuppression { .. }
                | Op::Qr { .. }
                | Op::SelfAdjointEig
        );
        if matches!(self, Op::Svd { .. }) {
            3
        } else if two {
            2
        } else {
            1
        }
    }

    /// Whether operand `index` gives its shape only.
    pub fn shape_only(&self, index: usize) -> bool {
        match self {
            Op::ShapeOf { .. } | Op::SizeOf { .. } | Op::Iota { .. } => true,
            Op::ReshapeLike
            | Op::SliceLike { .. }
            | Op::SliceGrad { .. }
            | Op::BroadcastLike
            | Op::SumLike
            | Op::AveragePoolGrad { .. }
            | Op::ConcatGrad { .. }
            | Op::StridedSliceGrad { .. }
            | Op::ResizeImagesGrad(_) => index >= 1,
            Op::GatherGrad { .. }
            | Op::PickGrad
            | Op::Conv2dInputGrad(_)
            | Op::Conv2dFilterGrad(_)
            | Op::DepthwiseConv2dInputGrad(_)
            | Op::DepthwiseConv2dFilterGrad(_)
            | Op::Conv3dInputGrad(_)
            | Op::Conv3dFilterGrad(_) => index == 2,
            Op::Identity
            | Op::StopGradient
            | Op::EnsureShape { .. }
            | Op::CheckNumerics { .. }
            | Op::Unary(_)
            | Op::Binary(_)
            | Op::Compare(_)
            | Op::Logical(_)
            | Op::Select
            | Op::Cast { .. }
            | Op::AddN
            | Op::Reduce { .. }
            | Op::ArgMax { .. }
            | Op::ArgMin { .. }
            | Op::Cumulative { .. }
            | Op::MatMul { .. }
            | Op::Reshape { .. }
            | Op::ExpandDims { .. }
            | Op::Squeeze { .. }
            | Op::Transpose { .. }
            | Op::Concat { .. }
            | Op::Slice { .. }
            | Op::Pad { .. }
            | Op::Tile { .. }
            | Op::TileGrad { .. }
            | Op::Gather { .. }
            | Op::OneHot { .. }
            | Op::BroadcastTo { .. }
            | Op::Softmax { .. }
            | Op::LogSoftmax { .. }
            | Op::SoftmaxCrossEntropy
            | Op::SparseSoftmaxCrossEntropy
            | Op::L2Loss
            | Op::Conv2d(_)
            | Op::DepthwiseConv2d(_)
            | Op::Conv3d(_)
            | Op::Pool2d { .. }
            | Op::MaxPoolGrad { .. }
            | Op::MaxPoolGradGrad { .. }
            | Op::StridedSlice { .. }
            | Op::Regroup { .. }
            | Op::GatherNd { .. }
            | Op::ScatterNd { .. }
            | Op::Segment { .. }
            | Op::SegmentSpread { .. }
            | Op::TopK { .. }
            | Op::Pick
            | Op::SearchSorted { .. }
            | Op::Cholesky
            | Op::TriangularSolve { .. }
            | Op::MatrixSolve { .. }
            | Op::MatrixInverse { .. }
            | Op::Determinant
            | Op::LogDeterminant
            | Op::ResizeImages(_)
            | Op::NonMaxSuppression { .. }
            | Op::Qr { .. }
            | Op::SelfAdjointEig
            | Op::Svd { .. }
            | Op::Betainc
            | Op::Bitcast { .. }
            | Op::MatrixExponential => false,
        }
    }
}
