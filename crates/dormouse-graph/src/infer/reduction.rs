//! Inference of what takes many elements to one.

use dormouse_value::{CumulativeOp, DType, Dim, ReduceOp, Shape};
use smallvec::SmallVec;

use super::elementwise::floats;
use super::{Facts, axis_of, one};
use crate::node::Fact;

pub(super) fn reduce(op: ReduceOp, axes: Option<&[i32]>, keep_dims: bool, x: &Fact) -> Facts {
    match op {
        ReduceOp::Any | ReduceOp::All => {
            if x.dtype != DType::Bool {
                return Err(format!("takes bool, not {}; compare it first", x.dtype));
            }
        }
        ReduceOp::Sum | ReduceOp::Mean | ReduceOp::Prod | ReduceOp::Max | ReduceOp::Min => {
            if x.dtype == DType::Bool {
                return Err("takes numbers, not bool; cast it first".to_owned());
            }
        }
    }
    let shape = match (x.shape.dims(), axes) {
        (None, None) if !keep_dims => Shape::scalar(),
        (None, _) => Shape::unknown(),
        (Some(dims), axes) => {
            let mut reduced = SmallVec::<[bool; 8]>::from_elem(axes.is_none(), dims.len());
            for axis in axes.unwrap_or(&[]) {
                let axis = axis_of(*axis, dims.len())?;
                if std::mem::replace(&mut reduced[axis], true) {
                    return Err(format!("axis {axis} is named twice"));
                }
            }
            let kept = dims.iter().zip(&reduced).filter(|(_, r)| keep_dims || !**r);
            kept.map(|(d, r)| if *r { Dim::Known(1) } else { *d }).collect()
        }
    };
    one(Fact { dtype: x.dtype, shape })
}

pub(super) fn arg(axis: i32, output: DType, x: &Fact) -> Facts {
    index_dtype(output)?;
    let shape = match x.shape.dims() {
        None => Shape::unknown(),
        Some(dims) => {
            let axis = axis_of(axis, dims.len())?;
            if dims[axis] == Dim::Known(0) {
                return Err(format!("axis {axis} has no elements in {}", x.shape));
            }
            dims.iter().enumerate().filter(|(i, _)| *i != axis).map(|(_, d)| *d).collect()
        }
    };
    one(Fact { dtype: output, shape })
}

pub(super) fn cumulative(op: CumulativeOp, axis: i32, x: &Fact) -> Facts {
    match op {
        CumulativeOp::Sum | CumulativeOp::Prod => {
            if x.dtype == DType::Bool {
                return Err("takes numbers, not bool; cast it first".to_owned());
            }
        }
        CumulativeOp::LogSumExp => {
            floats(x)?;
        }
    }
    if let Some(rank) = x.shape.rank() {
        axis_of(axis, rank)?;
    }
    one(x.clone())
}

pub(super) fn index_dtype(dtype: DType) -> Result<(), String> {
    if matches!(dtype, DType::I32 | DType::I64) { Ok(()) } else { Err(format!("indices are i32 or i64, not {dtype}")) }
}
