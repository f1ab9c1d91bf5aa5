//! Inference of what takes and changes parts of arrays.

use dormouse_value::{DType, Dim, Part, ScatterOp, Shape};
use smallvec::SmallVec;

use super::reduction::index_dtype;
use super::{Facts, array, axis_of, one, same_dtype, unified};
use crate::node::Fact;

fn shaped(dtype: DType, shape: Shape) -> Facts {
    one(Fact { dtype, shape })
}

pub(super) fn strided_slice(parts: &[Part], x: &Fact) -> Facts {
    Part::check(parts)?;
    let Some(dims) = x.shape.dims() else { return shaped(x.dtype, Shape::unknown()) };
    let mut axes = dims.iter();
    let mut taken = SmallVec::<[Dim; 4]>::new();
    for part in Part::for_rank(parts, dims.len())? {
        let extent = if part.takes_axis() { axes.next().copied().unwrap_or(Dim::Unknown) } else { Dim::Known(1) };
        let span = match extent {
            Dim::Known(n) => {
                Some(part.span(n).ok_or_else(|| format!("{part:?} is outside of an axis of {n}, in {}", x.shape))?)
            }
            Dim::Unknown => None,
        };
        match part {
            Part::Index(_) => {}
            Part::NewAxis => taken.push(Dim::Known(1)),
            Part::Range { .. } | Part::Rest => taken.push(span.map_or(Dim::Unknown, |(_, count)| Dim::Known(count))),
        }
    }
    shaped(x.dtype, taken.into_iter().collect())
}

pub(super) fn strided_slice_grad(parts: &[Part], dy: &Fact, like: &Fact) -> Facts {
    let taken = strided_slice(parts, like)?;
    unified("the gradient is not shaped as the slice", &dy.shape, &taken[0].shape)?;
    shaped(dy.dtype, like.shape.clone())
}

pub(super) fn regroup(axis: i32, count: u32, dims: &[i64], x: &Fact) -> Facts {
    if count == 0 {
        return Err("puts extents in place of no axis".to_owned());
    }
    let Some(own) = x.shape.dims() else {
        // The extents must be some, whatever they take the place of.
        array::reshape(dims, &Fact { dtype: x.dtype, shape: Shape::unknown() })?;
        return shaped(x.dtype, Shape::unknown());
    };
    let axis = axis_of(axis, own.len())?;
    let end = axis.saturating_add(count as usize);
    let Some(group) = own.get(axis..end) else {
        return Err(format!("{count} axes from {axis} on are more than {} has", x.shape));
    };
    let group = Fact { dtype: x.dtype, shape: group.iter().copied().collect() };
    let regrouped = array::reshape(dims, &group)?;
    let middle = regrouped[0].shape.dims().unwrap_or(&[]);
    shaped(x.dtype, own[..axis].iter().chain(middle).chain(&own[end..]).copied().collect())
}

/// The shape that a gather of `x` gives.
pub(super) fn gather_nd(batch_dims: u32, x: &Fact, indices: &Fact) -> Facts {
    index_dtype(indices.dtype)?;
    let batch = batch_dims as usize;
    let Some(places) = indices.shape.dims() else { return shaped(x.dtype, Shape::unknown()) };
    let Some((depth, places)) = places.split_last().filter(|(_, places)| places.len() >= batch) else {
        return Err(format!("indices need {} axes at least, their shape is {}", batch + 1, indices.shape));
    };
    let (Some(dims), Dim::Known(depth)) = (x.shape.dims(), *depth) else {
        return shaped(x.dtype, Shape::unknown());
    };
    let named = usize::try_from(depth).ok().and_then(|depth| depth.checked_add(batch));
    let Some(inner) = named.and_then(|named| dims.get(named..)) else {
        return Err(format!("indices of {depth} numbers are about more axes than {} has", x.shape));
    };
    let mut result = SmallVec::<[Dim; 4]>::new();
    for (a, b) in dims.iter().zip(&places[..batch]) {
        let both = a.unify(*b).ok_or_else(|| {
            format!("the first {batch} axes differ: of {}, and of the indices' {}", x.shape, indices.shape)
        })?;
        result.push(both);
    }
    shaped(x.dtype, result.iter().chain(&places[batch..]).chain(inner).copied().collect())
}

pub(super) fn scatter_nd(op: ScatterOp, batch_dims: u32, x: &Fact, indices: &Fact, updates: &Fact) -> Facts {
    same_dtype(x, updates)?;
    if x.dtype == DType::Bool && op != ScatterOp::Update {
        return Err("takes numbers, not bool".to_owned());
    }
    if op == ScatterOp::Div && !x.dtype.is_float() {
        return Err(format!("divides floats, not {}", x.dtype));
    }
    let places = gather_nd(batch_dims, x, indices)?;
    if updates.shape.unify(&places[0].shape).is_none() {
        let expected = &places[0].shape;
        return Err(format!(
            "at indices {} of {}, updates are {expected}, not {}",
            indices.shape, x.shape, updates.shape
        ));
    }
    shaped(x.dtype, x.shape.clone())
}

pub(super) fn iota(axis: i32, dtype: DType, like: &Fact) -> Facts {
    if dtype == DType::Bool {
        return Err("gives numbers, not bool".to_owned());
    }
    if let Some(rank) = like.shape.rank() {
        axis_of(axis, rank)?;
    }
    shaped(dtype, like.shape.clone())
}
