//! Operations whose results have shapes that depend on numbers, so that no plan can be made before these are known.

use serde::{Deserialize, Serialize};

use crate::{DType, SegmentOp};

/// An operation of which a session has to know numbers before it can plan. **Append only**, as [`Op`](crate::Op) is.
///
/// Operands called extents, multiples, begin and size are vectors of i32 or i64. Where a session knows them when it plans
/// (constants, shapes, and what is computed of these), the operation is one of the [`Op`](crate::Op)s of fixed shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DynamicOp {
    /// (x) → i64 `[n, rank]`: the indices of the n elements that are not 0 (or are true), in row-major order.
    NonZero,
    /// `(x [n]) → (y [m], index [n], counts [m])`: the distinct elements in the order they come first, for each element the
    /// place of its like in y, and how often each occurs.
    Unique {
        /// `I32` or `I64`, of the index and the counts.
        output: DType,
    },
    /// (x, extents): the same elements with other extents, of which one may be −1.
    Reshape,
    /// (x, extents): broadcast to these extents.
    BroadcastTo,
    /// (x, multiples): repeated along each axis.
    Tile,
    /// (dy, multiples): summed over the copies that a tile made.
    TileGrad,
    /// (x, begin, size): `size` elements from `begin` on along each axis; a size of −1 is the rest.
    Slice,
    /// (dy, like, begin): zeros of `like`'s shape with dy put at `begin`.
    SliceGrad,
    /// (start, limit, step), scalars: `start`, `start + step`, … before `limit`.
    Range,
    /// (x, segments, n): the elements of each of n segments, a scalar of i32 or i64, to one: [`Op::Segment`](crate::Op).
    Segment {
        /// How.
        op: SegmentOp,
        /// Whether segments begin at 0 or later and never fall, or the run fails.
        sorted: bool,
    },
    /// (y, segments, n): for each place the element of its segment, 0 for a negative one.
    SegmentSpread,
}

impl DynamicOp {
    /// How many tensors it gives.
    pub fn outputs(&self) -> usize {
        match self {
            DynamicOp::Unique { .. } => 3,
            DynamicOp::NonZero
            | DynamicOp::Reshape
            | DynamicOp::BroadcastTo
            | DynamicOp::Tile
            | DynamicOp::TileGrad
            | DynamicOp::Slice
            | DynamicOp::SliceGrad
            | DynamicOp::Range
            | DynamicOp::Segment { .. }
            | DynamicOp::SegmentSpread => 1,
        }
    }

    /// The operands whose numbers say what the shape is: the others are data.
    pub fn settling(&self) -> std::ops::Range<usize> {
        match self {
            DynamicOp::NonZero | DynamicOp::Unique { .. } => 0..1,
            DynamicOp::Reshape | DynamicOp::BroadcastTo | DynamicOp::Tile | DynamicOp::TileGrad => 1..2,
            DynamicOp::Slice => 1..3,
            DynamicOp::SliceGrad | DynamicOp::Segment { .. } | DynamicOp::SegmentSpread => 2..3,
            DynamicOp::Range => 0..3,
        }
    }
}
