//! Inference of what goes by order and by segments.

use dormouse_value::{DType, Dim, Shape};
use smallvec::{SmallVec, smallvec};

use super::reduction::index_dtype;
use super::{Facts, one, same_dtype, unified};
use crate::node::Fact;

fn shaped(dtype: DType, shape: Shape) -> Facts {
    one(Fact { dtype, shape })
}

fn numbers(x: &Fact) -> Result<(), String> {
    if x.dtype == DType::Bool { Err("takes numbers, not bool; cast it first".to_owned()) } else { Ok(()) }
}

pub(super) fn segment(segments: u64, sorted: bool, x: &Fact, ids: &Fact) -> Facts {
    numbers(x)?;
    index_dtype(ids.dtype)?;
    if sorted && ids.shape.rank().is_some_and(|rank| rank != 1) {
        return Err(format!("segments in order are a vector, not {}", ids.shape));
    }
    let (Some(dims), Some(places)) = (x.shape.dims(), ids.shape.dims()) else {
        return shaped(x.dtype, Shape::unknown());
    };
    let told = || format!("segments {} do not go along the first axes of {}", ids.shape, x.shape);
    let own = dims.get(..places.len()).ok_or_else(told)?;
    if own.iter().zip(places).any(|(a, b)| a.unify(*b).is_none()) {
        return Err(told());
    }
    shaped(x.dtype, [Dim::Known(segments)].iter().chain(&dims[places.len()..]).copied().collect())
}

pub(super) fn segment_spread(segments: u64, x: &Fact, ids: &Fact) -> Facts {
    index_dtype(ids.dtype)?;
    let Some(dims) = x.shape.dims() else { return shaped(x.dtype, Shape::unknown()) };
    let told = || format!("{} has not {segments} parts", x.shape);
    let (first, rest) = dims.split_first().ok_or_else(told)?;
    first.unify(Dim::Known(segments)).ok_or_else(told)?;
    match ids.shape.dims() {
        None => shaped(x.dtype, Shape::unknown()),
        Some(places) => shaped(x.dtype, places.iter().chain(rest).copied().collect()),
    }
}

/// A shape's last axis, and those before it.
fn rows(shape: &Shape) -> Result<Option<(Dim, &[Dim])>, String> {
    match shape.dims().map(<[Dim]>::split_last) {
        None => Ok(None),
        Some(None) => Err("takes an axis at least, not a scalar".to_owned()),
        Some(Some((last, rest))) => Ok(Some((*last, rest))),
    }
}

pub(super) fn top_k(k: Option<u32>, x: &Fact) -> Facts {
    numbers(x)?;
    let shape = match rows(&x.shape)? {
        None => Shape::unknown(),
        Some((n, before)) => {
            let k = k.map_or(n, |k| Dim::Known(k.into()));
            if let (Dim::Known(n), Dim::Known(k)) = (n, k) {
                if k > n {
                    return Err(format!("there are not {k} elements in the last axis of {}", x.shape));
                }
                if i32::try_from(n).is_err() {
                    return Err(format!("an i32 does not index the last axis of {}", x.shape));
                }
            }
            before.iter().chain([&k]).copied().collect()
        }
    };
    Ok(smallvec![Fact { dtype: x.dtype, shape: shape.clone() }, Fact { dtype: DType::I32, shape }])
}

/// A shape with the other's last axis, the axes before of both.
fn beside(what: &str, x: &Shape, other: &Shape) -> Result<Shape, String> {
    let (Some((_, own)), Some((last, before))) = (rows(x)?, rows(other)?) else { return Ok(Shape::unknown()) };
    let told = || format!("{what}: {x} and {other}");
    if own.len() != before.len() {
        return Err(told());
    }
    let both = own.iter().zip(before).map(|(a, b)| a.unify(*b).ok_or_else(told));
    let mut dims = both.collect::<Result<SmallVec<[Dim; 4]>, String>>()?;
    dims.push(last);
    Ok(dims.into_iter().collect())
}

pub(super) fn pick(x: &Fact, indices: &Fact) -> Facts {
    index_dtype(indices.dtype)?;
    shaped(x.dtype, beside("rows and their indices differ", &x.shape, &indices.shape)?)
}

pub(super) fn pick_grad(dy: &Fact, indices: &Fact, like: &Fact) -> Facts {
    numbers(dy)?;
    index_dtype(indices.dtype)?;
    unified("the gradient is not shaped as the indices", &dy.shape, &indices.shape)?;
    beside("rows and their indices differ", &like.shape, &indices.shape)?;
    shaped(dy.dtype, like.shape.clone())
}

pub(super) fn search_sorted(output: DType, sorted: &Fact, x: &Fact) -> Facts {
    numbers(x)?;
    same_dtype(sorted, x)?;
    index_dtype(output)?;
    shaped(output, beside("rows and what is searched in them differ", &sorted.shape, &x.shape)?)
}
