//! Inference of what moves elements, and of matrix products.

use dormouse_value::{DType, Dim, Shape};
use smallvec::SmallVec;

use super::reduction::index_dtype;
use super::{Facts, axis_of, one, same_dtype, unified};
use crate::node::Fact;

fn shaped(dtype: DType, shape: Shape) -> Facts {
    one(Fact { dtype, shape })
}

pub(super) fn matmul(transpose_a: bool, transpose_b: bool, a: &Fact, b: &Fact) -> Facts {
    same_dtype(a, b)?;
    match a.dtype {
        DType::Bool => return Err("takes numbers, not bool; cast them first".to_owned()),
        DType::I8 | DType::I16 | DType::U16 | DType::U32 | DType::U64 => {
            return Err(format!("takes floats, i32, i64 or u8, not {}; cast them first", a.dtype));
        }
        DType::F32 | DType::F64 | DType::F16 | DType::Bf16 | DType::I32 | DType::I64 | DType::U8 => {}
    }
    let (Some(da), Some(db)) = (a.shape.dims(), b.shape.dims()) else {
        for (side, shape) in [("left", &a.shape), ("right", &b.shape)] {
            if shape.rank().is_some_and(|r| r < 2) {
                return Err(format!("the {side} operand needs two axes at least, its shape is {shape}"));
            }
        }
        return shaped(a.dtype, Shape::unknown());
    };
    if da.len() < 2 || db.len() < 2 {
        return Err(format!("both operands need two axes at least: {} × {}", a.shape, b.shape));
    }
    let (batch_a, [p, q]) = split_two(da);
    let (batch_b, [r, s]) = split_two(db);
    let (n, inner_a) = if transpose_a { (q, p) } else { (p, q) };
    let (inner_b, m) = if transpose_b { (s, r) } else { (r, s) };
    if inner_a.unify(inner_b).is_none() {
        let told = |t| if t { "ᵀ" } else { "" };
        return Err(format!(
            "inner dimensions differ: {}{} × {}{}",
            a.shape,
            told(transpose_a),
            b.shape,
            told(transpose_b)
        ));
    }
    let (batch_a, batch_b): (Shape, Shape) = (batch_a.iter().copied().collect(), batch_b.iter().copied().collect());
    let batch = batch_a
        .broadcast(&batch_b)
        .ok_or_else(|| format!("batch dimensions do not broadcast: {} × {}", a.shape, b.shape))?;
    shaped(a.dtype, batch.dims().unwrap_or(&[]).iter().copied().chain([n, m]).collect())
}

fn split_two(dims: &[Dim]) -> (&[Dim], [Dim; 2]) {
    let (batch, last) = dims.split_at(dims.len() - 2);
    (batch, [last[0], last[1]])
}

pub(super) fn reshape(dims: &[i64], x: &Fact) -> Facts {
    let mut wild = None;
    let mut product = Some(1_u64);
    for (i, dim) in dims.iter().enumerate() {
        match u64::try_from(*dim) {
            Ok(n) => product = product.and_then(|p| p.checked_mul(n)),
            Err(_) if *dim == -1 && wild.is_none() => wild = Some(i),
            Err(_) => return Err(format!("{dims:?} has more than one −1, or another negative extent")),
        }
    }
    let product = product.ok_or_else(|| format!("{dims:?} has more elements than can be counted"))?;
    let mut shape: SmallVec<[Dim; 4]> =
        dims.iter().map(|d| u64::try_from(*d).map_or(Dim::Unknown, Dim::Known)).collect();
    let known = x.shape.to_dims();
    if let Some(own) = &known {
        let count = x.shape.element_count().ok_or("it has more elements than can be counted")? as u64;
        match wild {
            None if product != count => return Err(format!("{own:?} has {count} elements, {dims:?} has {product}")),
            None => {}
            Some(_) if product == 0 && count == 0 => {
                return Err(format!("−1 can be anything in {dims:?}, as there are no elements"));
            }
            Some(i) if product != 0 && count.is_multiple_of(product) => shape[i] = Dim::Known(count / product),
            Some(_) => return Err(format!("{own:?} has {count} elements, which {dims:?} cannot hold")),
        }
    }
    shaped(x.dtype, shape.into_iter().collect())
}

pub(super) fn reshape_like(x: &Fact, like: &Fact) -> Facts {
    if let (Some(a), Some(b)) = (x.shape.element_count(), like.shape.element_count())
        && a != b
    {
        return Err(format!("{} has {a} elements, {} has {b}", x.shape, like.shape));
    }
    shaped(x.dtype, like.shape.clone())
}

pub(super) fn expand_dims(axes: &[i32], x: &Fact) -> Facts {
    let Some(dims) = x.shape.dims() else { return shaped(x.dtype, Shape::unknown()) };
    let rank = dims.len() + axes.len();
    let mut new = SmallVec::<[bool; 8]>::from_elem(false, rank);
    for axis in axes {
        let axis = axis_of(*axis, rank)?;
        if std::mem::replace(&mut new[axis], true) {
            return Err(format!("axis {axis} is named twice"));
        }
    }
    let mut old = dims.iter().copied();
    shaped(x.dtype, new.iter().map(|n| if *n { Dim::Known(1) } else { old.next().unwrap_or(Dim::Unknown) }).collect())
}

pub(super) fn squeeze(axes: &[i32], x: &Fact) -> Facts {
    let Some(dims) = x.shape.dims() else { return shaped(x.dtype, Shape::unknown()) };
    if axes.is_empty() {
        if dims.contains(&Dim::Unknown) {
            return shaped(x.dtype, Shape::unknown());
        }
        return shaped(x.dtype, dims.iter().copied().filter(|d| *d != Dim::Known(1)).collect());
    }
    let mut gone = SmallVec::<[bool; 8]>::from_elem(false, dims.len());
    for axis in axes {
        let axis = axis_of(*axis, dims.len())?;
        if dims[axis].unify(Dim::Known(1)).is_none() {
            return Err(format!("axis {axis} of {} is not 1", x.shape));
        }
        gone[axis] = true;
    }
    shaped(x.dtype, dims.iter().zip(&gone).filter(|(_, g)| !**g).map(|(d, _)| *d).collect())
}

pub(super) fn transpose(perm: &[u32], x: &Fact) -> Facts {
    let mut sorted: SmallVec<[u32; 8]> = perm.iter().copied().collect();
    sorted.sort_unstable();
    if sorted.iter().enumerate().any(|(i, p)| i != *p as usize) {
        return Err(format!("{perm:?} is not a permutation of the axes"));
    }
    let Some(dims) = x.shape.dims() else {
        let shape = if perm.is_empty() { Shape::unknown() } else { Shape::of_rank(perm.len()) };
        return shaped(x.dtype, shape);
    };
    if perm.is_empty() {
        return shaped(x.dtype, dims.iter().rev().copied().collect());
    }
    if perm.len() != dims.len() {
        return Err(format!("{perm:?} is not a permutation of the axes of {}", x.shape));
    }
    shaped(x.dtype, perm.iter().map(|p| dims[*p as usize]).collect())
}

pub(super) fn concat(axis: i32, x: &[Fact]) -> Facts {
    let mut joined: Option<SmallVec<[Dim; 4]>> = None;
    let mut unknown = false;
    for fact in x {
        same_dtype(&x[0], fact)?;
        let Some(dims) = fact.shape.dims() else {
            unknown = true;
            continue;
        };
        let at = axis_of(axis, dims.len())?;
        match &mut joined {
            None => joined = Some(dims.iter().copied().collect()),
            Some(sum) => {
                if sum.len() != dims.len() {
                    return Err(format!("shapes differ in rank: {} and {}", x[0].shape, fact.shape));
                }
                for (i, (s, d)) in sum.iter_mut().zip(dims).enumerate() {
                    *s = if i == at {
                        let sum = *s + *d;
                        if sum == Dim::Unknown && *s != Dim::Unknown && *d != Dim::Unknown {
                            return Err(format!("{s} and {d} together are longer than can be counted"));
                        }
                        sum
                    } else {
                        s.unify(*d).ok_or_else(|| format!("shapes differ: {} and {}", x[0].shape, fact.shape))?
                    };
                }
            }
        }
    }
    let shape = match joined {
        None => Shape::unknown(),
        Some(mut dims) => {
            if unknown {
                let at = axis_of(axis, dims.len())?;
                dims[at] = Dim::Unknown;
            }
            dims.into_iter().collect()
        }
    };
    shaped(x[0].dtype, shape)
}

pub(super) fn concat_grad(axis: i32, index: u32, x: &[Fact]) -> Facts {
    let parts = &x[1..];
    let part = parts.get(index as usize).ok_or_else(|| format!("there is no operand {index} of {}", parts.len()))?;
    let whole = concat(axis, parts)?;
    unified("the gradient is not shaped as the concat", &x[0].shape, &whole[0].shape)?;
    shaped(x[0].dtype, part.shape.clone())
}

pub(super) fn slice(begin: &[i64], size: &[i64], x: &Fact) -> Facts {
    if begin.len() != size.len() || begin.iter().any(|b| *b < 0) || size.iter().any(|s| *s < -1) {
        return Err(format!("begin {begin:?} and size {size:?} need one number an axis, of at least 0 and −1"));
    }
    let dims = match x.shape.dims() {
        None => SmallVec::<[Dim; 4]>::from_elem(Dim::Unknown, begin.len()),
        Some(dims) if dims.len() == begin.len() => dims.iter().copied().collect(),
        Some(_) => return Err(format!("begin {begin:?} needs one number for each axis of {}", x.shape)),
    };
    let extents = dims.iter().zip(begin.iter().zip(size)).map(|(dim, (b, s))| {
        let outside = || format!("from {b}, {s} elements, lies outside of {}", x.shape);
        match (dim, *s) {
            (Dim::Unknown, -1) => Ok(Dim::Unknown),
            (Dim::Unknown, s) => Ok(Dim::Known(s as u64)),
            (Dim::Known(n), -1) => n.checked_sub(*b as u64).map(Dim::Known).ok_or_else(outside),
            (Dim::Known(n), s) => {
                if (*b as u64).checked_add(s as u64).is_some_and(|end| end <= *n) {
                    Ok(Dim::Known(s as u64))
                } else {
                    Err(outside())
                }
            }
        }
    });
    shaped(x.dtype, extents.collect::<Result<Shape, String>>()?)
}

/// Checks that a part of `like`'s shape at `begin` lies within `whole`.
fn part_fits(begin: &[i64], part: &Shape, whole: &Shape) -> Result<(), String> {
    if begin.iter().any(|b| *b < 0) {
        return Err(format!("begin {begin:?} is negative"));
    }
    for shape in [part, whole] {
        if shape.rank().is_some_and(|r| r != begin.len()) {
            return Err(format!("begin {begin:?} needs one number for each axis of {shape}"));
        }
    }
    if let (Some(part_dims), Some(dims)) = (part.dims(), whole.dims()) {
        for ((p, n), b) in part_dims.iter().zip(dims).zip(begin) {
            if let (Dim::Known(p), Dim::Known(n)) = (p, n)
                && (*b as u64).checked_add(*p).is_none_or(|end| end > *n)
            {
                return Err(format!("{part} from {begin:?} lies outside of {whole}"));
            }
        }
    }
    Ok(())
}

pub(super) fn slice_like(begin: &[i64], x: &Fact, like: &Fact) -> Facts {
    part_fits(begin, &like.shape, &x.shape)?;
    shaped(x.dtype, like.shape.clone())
}

pub(super) fn slice_grad(begin: &[i64], dy: &Fact, like: &Fact) -> Facts {
    part_fits(begin, &dy.shape, &like.shape)?;
    shaped(dy.dtype, like.shape.clone())
}

pub(super) fn pad(paddings: &[[u32; 2]], value: f64, x: &Fact) -> Facts {
    if !x.dtype.is_float() && value.fract() != 0.0 {
        return Err(format!("{value} is not a value of {}", x.dtype));
    }
    let dims = match x.shape.dims() {
        None => SmallVec::<[Dim; 4]>::from_elem(Dim::Unknown, paddings.len()),
        Some(dims) if dims.len() == paddings.len() => dims.iter().copied().collect(),
        Some(_) => return Err(format!("{paddings:?} needs one pair for each axis of {}", x.shape)),
    };
    let padded = dims.iter().zip(paddings).map(|(d, [before, after])| *d + *before as usize + *after as usize);
    shaped(x.dtype, padded.collect())
}

pub(super) fn tile(multiples: &[u32], x: &Fact) -> Facts {
    tiled(multiples, x, |dim, times| Ok(dim * times))
}

pub(super) fn tile_grad(multiples: &[u32], x: &Fact) -> Facts {
    if x.dtype == DType::Bool {
        return Err("takes numbers, not bool".to_owned());
    }
    tiled(multiples, x, |dim, times| match dim {
        Dim::Unknown => Ok(Dim::Unknown),
        Dim::Known(n) if times > 0 && n.is_multiple_of(times as u64) => Ok(Dim::Known(n / times as u64)),
        Dim::Known(n) => Err(format!("{n} is not {times} copies of anything")),
    })
}

fn tiled(multiples: &[u32], x: &Fact, f: impl Fn(Dim, usize) -> Result<Dim, String>) -> Facts {
    let dims = match x.shape.dims() {
        None => SmallVec::<[Dim; 4]>::from_elem(Dim::Unknown, multiples.len()),
        Some(dims) if dims.len() == multiples.len() => dims.iter().copied().collect(),
        Some(_) => return Err(format!("{multiples:?} needs one number for each axis of {}", x.shape)),
    };
    let shape = dims.iter().zip(multiples).map(|(d, m)| f(*d, *m as usize)).collect::<Result<Shape, String>>()?;
    shaped(x.dtype, shape)
}

pub(super) fn gather(axis: i32, x: &Fact, indices: &Fact) -> Facts {
    index_dtype(indices.dtype)?;
    let shape = match (x.shape.dims(), indices.shape.dims()) {
        (Some(dims), indices) => {
            let axis = axis_of(axis, dims.len())?;
            match indices {
                None => Shape::unknown(),
                Some(indices) => dims[..axis].iter().chain(indices).chain(&dims[axis + 1..]).copied().collect(),
            }
        }
        (None, _) => Shape::unknown(),
    };
    shaped(x.dtype, shape)
}

pub(super) fn gather_grad(axis: i32, dy: &Fact, indices: &Fact, like: &Fact) -> Facts {
    if dy.dtype == DType::Bool {
        return Err("takes numbers, not bool".to_owned());
    }
    let gathered = gather(axis, &Fact { dtype: dy.dtype, shape: like.shape.clone() }, indices)?;
    unified("the gradient is not shaped as the gather", &dy.shape, &gathered[0].shape)?;
    shaped(dy.dtype, like.shape.clone())
}

pub(super) fn one_hot(depth: u32, axis: i32, dtype: DType, indices: &Fact) -> Facts {
    if !matches!(indices.dtype, DType::I8 | DType::I32 | DType::I64 | DType::U8) {
        return Err(format!("indices are i8, u8, i32 or i64, not {}", indices.dtype));
    }
    let Some(dims) = indices.shape.dims() else { return shaped(dtype, Shape::unknown()) };
    let axis = axis_of(axis, dims.len() + 1)?;
    let depth = Dim::from(depth as usize);
    shaped(dtype, dims[..axis].iter().chain([&depth]).chain(&dims[axis..]).copied().collect())
}

/// Whether numbers of the first shape may stand for all of the second.
fn spreads(from: &Shape, to: &Shape) -> Result<(), String> {
    let fits = from.broadcast(to).is_some_and(|s| s.unify(to).is_some());
    if fits { Ok(()) } else { Err(format!("{from} does not broadcast to {to}")) }
}

pub(super) fn broadcast_to(dims: &[u64], x: &Fact) -> Facts {
    let to: Shape = dims.iter().map(|d| Dim::Known(*d)).collect();
    spreads(&x.shape, &to)?;
    shaped(x.dtype, to)
}

pub(super) fn broadcast_like(x: &Fact, like: &Fact) -> Facts {
    spreads(&x.shape, &like.shape)?;
    shaped(x.dtype, like.shape.clone())
}

pub(super) fn sum_like(dy: &Fact, like: &Fact) -> Facts {
    if dy.dtype == DType::Bool {
        return Err("takes numbers, not bool".to_owned());
    }
    spreads(&like.shape, &dy.shape)?;
    shaped(dy.dtype, like.shape.clone())
}

pub(super) fn shape_of(output: DType, like: &Fact) -> Facts {
    index_dtype(output)?;
    shaped(output, [Dim::from(like.shape.rank())].into_iter().collect())
}

pub(super) fn size_of(output: DType) -> Facts {
    index_dtype(output)?;
    shaped(output, Shape::scalar())
}
