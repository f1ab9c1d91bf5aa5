//! Blocks: parts of images as channels or as examples, and back.

use dormouse_value::{Op, Part};
use smallvec::SmallVec;

use super::array::Array;
use super::matrices::{regroup, scoped};
use crate::tensor::{Symbol, Tensor};

/// Methods that move blocks of an image between its axes.
pub trait Blocks: Symbol {
    /// Blocks of an NHWC image as channels: `[n, h, w, c] → [n, h/b, w/b, b·b·c]`.
    #[track_caller]
    fn space_to_depth(self, block: u32) -> Tensor {
        let x = self.tensor();
        let b = i64::from(block);
        scoped(x.graph(), "SpaceToDepth", || {
            let cut = regroup(regroup(x, 2, 1, &[-1, b]), 1, 1, &[-1, b]);
            regroup(cut.transpose_axes(&[0, 1, 3, 2, 4, 5]), 3, 3, &[-1])
        })
    }

    /// Channels of an NHWC image as blocks: `[n, h, w, b·b·c] → [n, h·b, w·b, c]`.
    #[track_caller]
    fn depth_to_space(self, block: u32) -> Tensor {
        let x = self.tensor();
        let b = i64::from(block);
        scoped(x.graph(), "DepthToSpace", || {
            let cut = regroup(x, 3, 1, &[b, b, -1]).transpose_axes(&[0, 1, 3, 2, 4, 5]);
            regroup(regroup(cut, 3, 2, &[-1]), 1, 2, &[-1])
        })
    }

    /// Zeros put around the axes after the first, then blocks of them as examples:
    /// `[n, s₁ …, r..] → [b₁ … · n, (s₁ + p₁) / b₁ …, r..]`.
    #[track_caller]
    fn space_to_batch_nd(self, block_shape: &[u32], paddings: &[[u32; 2]]) -> Tensor {
        let x = self.tensor();
        let m = block_shape.len();
        let rank = match spatial("space_to_batch_nd", x, block_shape, paddings) {
            Ok(rank) => rank,
            Err(message) => return x.poisoned_or(message),
        };
        scoped(x.graph(), "SpaceToBatchND", || {
            let mut all = vec![[0, 0]; rank];
            all[1..=m].copy_from_slice(paddings);
            let mut cut = x.pad(&all);
            for (i, b) in block_shape.iter().enumerate().rev() {
                cut = regroup(cut, i as i32 + 1, 1, &[-1, i64::from(*b)]);
            }
            let (m, rank) = (m as u32, rank as u32);
            let blocks = (0..m).map(|i| 2 + 2 * i);
            let rest = (0..m).map(|i| 1 + 2 * i).chain(2 * m + 1..rank + m);
            let perm: Vec<u32> = blocks.chain([0]).chain(rest).collect();
            regroup(cut.transpose_axes(&perm), 0, m + 1, &[-1])
        })
    }

    /// Examples put back as blocks of the axes after the first, which are then cropped:
    /// `[b₁ … · n, s₁ …, r..] → [n, s₁·b₁ − c₁ …, r..]`.
    #[track_caller]
    fn batch_to_space_nd(self, block_shape: &[u32], crops: &[[u32; 2]]) -> Tensor {
        let x = self.tensor();
        let m = block_shape.len();
        let rank = match spatial("batch_to_space_nd", x, block_shape, crops) {
            Ok(rank) => rank,
            Err(message) => return x.poisoned_or(message),
        };
        let shape = x.shape();
        let sizes = shape.dims().unwrap_or(&[]).iter().skip(1).zip(block_shape.iter().zip(crops));
        for (dim, (b, [before, after])) in sizes {
            let cropped = u64::from(*before) + u64::from(*after);
            if dim.known().is_some_and(|n| n as u64 * u64::from(*b) < cropped) {
                return x.poisoned_or(format!("batch_to_space_nd: {dim} blocks of {b} have no {cropped} to crop"));
            }
        }
        scoped(x.graph(), "BatchToSpaceND", || {
            let dims: SmallVec<[i64; 4]> = block_shape.iter().map(|b| i64::from(*b)).chain([-1]).collect();
            let (m, rank) = (m as u32, rank as u32);
            let perm: Vec<u32> =
                [m].into_iter().chain((0..m).flat_map(|i| [m + 1 + i, i])).chain(2 * m + 1..rank + m).collect();
            let mut whole = regroup(x, 0, 1, &dims).transpose_axes(&perm);
            for i in 0..m {
                whole = regroup(whole, i as i32 + 1, 2, &[-1]);
            }
            let cropped = crops.iter().map(|[before, after]| {
                let end = (*after > 0).then(|| -i64::from(*after));
                Part::Range { begin: Some((*before).into()), end, step: 1 }
            });
            let parts = [Part::WHOLE].into_iter().chain(cropped).collect();
            whole.graph().apply(Op::StridedSlice { parts }, &[whole])
        })
    }
}

impl<S: Symbol> Blocks for S {}

/// The number of axes, where blocks of them make sense.
fn spatial(what: &str, x: Tensor, block_shape: &[u32], pairs: &[[u32; 2]]) -> Result<usize, String> {
    match x.shape().rank() {
        None => Err(format!("{what}: the number of axes is not known")),
        Some(_) if block_shape.contains(&0) => Err(format!("{what}: blocks {block_shape:?} of no elements")),
        Some(_) if pairs.len() != block_shape.len() => {
            Err(format!("{what}: blocks {block_shape:?} need a pair each, not {pairs:?}"))
        }
        Some(rank) if rank <= block_shape.len() => {
            Err(format!("{what}: blocks {block_shape:?} need an axis each after the first of {}", x.shape()))
        }
        Some(rank) => Ok(rank),
    }
}
