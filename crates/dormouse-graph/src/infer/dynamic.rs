//! Inference of operations whose shapes depend on numbers: what can be said without these.

use dormouse_value::{DType, Dim, DynamicOp, Shape};
use smallvec::{SmallVec, smallvec};

use super::{Facts, one, order, same_dtype};
use crate::node::Fact;

/// What an operation gives, or what is wrong with its operands, in one line that starts with the operation's name.
///
/// # Errors
/// When no dtype or shape that the operands may have suits the operation.
pub fn infer_dynamic(op: &DynamicOp, operands: &[Fact]) -> Result<SmallVec<[Fact; 1]>, String> {
    let name = crate::names::called_dynamic(op);
    let expected = match op {
        DynamicOp::NonZero | DynamicOp::Unique { .. } => 1,
        DynamicOp::Reshape | DynamicOp::BroadcastTo | DynamicOp::Tile | DynamicOp::TileGrad => 2,
        DynamicOp::Slice
        | DynamicOp::SliceGrad
        | DynamicOp::Range
        | DynamicOp::Segment { .. }
        | DynamicOp::SegmentSpread => 3,
    };
    if operands.len() != expected {
        return Err(format!("{name}: takes {expected} operands, got {}", operands.len()));
    }
    rule(op, operands).map_err(|message| format!("{name}: {message}"))
}

fn rule(op: &DynamicOp, x: &[Fact]) -> Facts {
    let shaped = |shape| one(Fact { dtype: x[0].dtype, shape });
    match op {
        DynamicOp::NonZero => {
            let rank = x[0].shape.rank().map_or(Dim::Unknown, |rank| Dim::Known(rank as u64));
            one(Fact { dtype: DType::I64, shape: [Dim::Unknown, rank].into_iter().collect() })
        }
        DynamicOp::Unique { output } => {
            if !matches!(output, DType::I32 | DType::I64) {
                return Err(format!("indices are i32 or i64, not {output}"));
            }
            let vector = Shape::of_rank(1);
            let shape = x[0].shape.unify(&vector).ok_or_else(|| format!("takes a vector, not {}", x[0].shape))?;
            let indices = |shape| Fact { dtype: *output, shape };
            Ok(smallvec![Fact { dtype: x[0].dtype, shape: vector.clone() }, indices(shape), indices(vector),])
        }
        DynamicOp::Reshape => {
            let rank = count("extents", &x[1])?;
            shaped(rank.map_or_else(Shape::unknown, Shape::of_rank))
        }
        DynamicOp::BroadcastTo => {
            let rank = count("extents", &x[1])?;
            if let (Some(own), Some(rank)) = (x[0].shape.rank(), rank)
                && own > rank
            {
                return Err(format!("{} has more axes than the {rank} it is broadcast to", x[0].shape));
            }
            shaped(rank.map_or_else(Shape::unknown, Shape::of_rank))
        }
        DynamicOp::Tile | DynamicOp::TileGrad => {
            let rank = one_an_axis("multiples", &x[1], &x[0].shape)?;
            shaped(rank.map_or_else(Shape::unknown, Shape::of_rank))
        }
        DynamicOp::Slice => {
            let rank = one_an_axis("begin", &x[1], &x[0].shape)?.or(one_an_axis("size", &x[2], &x[0].shape)?);
            same_dtype(&x[1], &x[2])?;
            shaped(rank.map_or_else(Shape::unknown, Shape::of_rank))
        }
        DynamicOp::SliceGrad => {
            one_an_axis("begin", &x[2], &x[1].shape)?;
            same_dtype(&x[0], &x[1])?;
            shaped(x[1].shape.clone())
        }
        DynamicOp::Segment { sorted, .. } => {
            scalar_count(&x[2])?;
            let mut fact = order::segment(0, *sorted, &x[0], &x[1])?.remove(0);
            let any = |dims: &[Dim]| std::iter::once(Dim::Unknown).chain(dims.iter().skip(1).copied()).collect();
            fact.shape = fact.shape.dims().map_or_else(Shape::unknown, any);
            one(fact)
        }
        DynamicOp::SegmentSpread => {
            scalar_count(&x[2])?;
            let mut y = x[0].clone();
            let any = |dims: &[Dim]| std::iter::once(Dim::Unknown).chain(dims.iter().skip(1).copied()).collect();
            if y.shape.rank() != Some(0) {
                y.shape = y.shape.dims().map_or_else(Shape::unknown, any);
            }
            order::segment_spread(0, &y, &x[1])
        }
        DynamicOp::Range => {
            same_dtype(&x[0], &x[1])?;
            same_dtype(&x[0], &x[2])?;
            match x[0].dtype {
                DType::Bool => return Err("takes numbers, not bool".to_owned()),
                DType::I8 | DType::I16 | DType::U16 | DType::U32 | DType::U64 => {
                    return Err(format!("takes floats, i32, i64 or u8, not {}; cast what it gives", x[0].dtype));
                }
                DType::F32 | DType::F64 | DType::F16 | DType::Bf16 | DType::I32 | DType::I64 | DType::U8 => {}
            }
            if let Some(fact) = x.iter().find(|fact| fact.shape.unify(&Shape::scalar()).is_none()) {
                return Err(format!("takes scalars, not {}", fact.shape));
            }
            shaped(Shape::of_rank(1))
        }
    }
}

fn scalar_count(fact: &Fact) -> Result<(), String> {
    if !matches!(fact.dtype, DType::I32 | DType::I64) || fact.shape.unify(&Shape::scalar()).is_none() {
        return Err(format!("the number of segments is a scalar of i32 or i64, not {}{}", fact.dtype, fact.shape));
    }
    Ok(())
}

/// The number of elements of a vector of whole numbers, if it is known.
fn count(what: &str, fact: &Fact) -> Result<Option<usize>, String> {
    if !matches!(fact.dtype, DType::I32 | DType::I64) {
        return Err(format!("{what} are i32 or i64, not {}", fact.dtype));
    }
    let shape = fact.shape.unify(&Shape::of_rank(1));
    let shape = shape.ok_or_else(|| format!("{what} are a vector, not {}", fact.shape))?;
    Ok(shape.dim(0).known())
}

fn one_an_axis(what: &str, fact: &Fact, shape: &Shape) -> Result<Option<usize>, String> {
    match (count(what, fact)?, shape.rank()) {
        (Some(count), Some(rank)) if count != rank => Err(format!("{count} {what} for the {rank} axes of {shape}")),
        (count, rank) => Ok(count.or(rank)),
    }
}
