//! Inference of what takes square matrices.

use dormouse_value::{DType, Dim, Shape};
use smallvec::{SmallVec, smallvec};

use super::elementwise::single_or_double;
use super::{Facts, one, same_dtype};
use crate::node::Fact;

/// Axes of matrices: those before the last two, and the extent of these, which is one.
fn square(a: &Shape) -> Result<Option<(&[Dim], Dim)>, String> {
    let Some(dims) = a.dims() else { return Ok(None) };
    let [before @ .., rows, columns] = dims else { return Err(format!("takes matrices, not {a}")) };
    let n = rows.unify(*columns).ok_or_else(|| format!("matrices are not square: {a}"))?;
    Ok(Some((before, n)))
}

pub(super) fn inverse(a: &Fact) -> Facts {
    if a.dtype == DType::F16 { shaped(a) } else { of_square(a) }
}

pub(super) fn of_square(a: &Fact) -> Facts {
    single_or_double(a)?;
    shaped(a)
}

fn shaped(a: &Fact) -> Facts {
    let shape = match square(&a.shape)? {
        None => Shape::unknown(),
        Some((before, n)) => before.iter().chain([&n, &n]).copied().collect(),
    };
    one(Fact { dtype: a.dtype, shape })
}

pub(super) fn solve(a: &Fact, b: &Fact) -> Facts {
    single_or_double(a)?;
    same_dtype(a, b)?;
    let matrices = square(&a.shape)?;
    let Some(dims) = b.shape.dims() else { return one(Fact { dtype: a.dtype, shape: Shape::unknown() }) };
    let [before @ .., rows, columns] = dims else { return Err(format!("right sides are matrices, not {}", b.shape)) };
    let mut shape: SmallVec<[Dim; 4]> = before.iter().copied().collect();
    let mut rows = *rows;
    if let Some((own, n)) = matrices {
        let told = || format!("matrices and right sides do not go together: {} and {}", a.shape, b.shape);
        if own.len() != before.len() {
            return Err(told());
        }
        for (dim, own) in shape.iter_mut().zip(own) {
            *dim = dim.unify(*own).ok_or_else(told)?;
        }
        rows = rows.unify(n).ok_or_else(told)?;
    }
    shape.extend([rows, *columns]);
    one(Fact { dtype: a.dtype, shape: shape.into_iter().collect() })
}

pub(super) fn determinant(a: &Fact) -> Facts {
    single_or_double(a)?;
    let shape = square(&a.shape)?.map_or_else(Shape::unknown, |(before, _)| before.iter().copied().collect());
    one(Fact { dtype: a.dtype, shape })
}

pub(super) fn log_determinant(a: &Fact) -> Facts {
    let fact = determinant(a)?.remove(0);
    Ok(smallvec![fact.clone(), fact])
}

/// What matrices are taken apart into: after the axes before them, extents made of their rows, their columns, and the
/// lesser of both.
fn apart<const N: usize>(a: &Fact, parts: impl Fn([Dim; 3]) -> [SmallVec<[Dim; 2]>; N]) -> Facts {
    single_or_double(a)?;
    let Some(dims) = a.shape.dims() else {
        return Ok(smallvec![Fact { dtype: a.dtype, shape: Shape::unknown() }; N]);
    };
    let [before @ .., m, n] = dims else { return Err(format!("takes matrices, not {}", a.shape)) };
    let least = match (m.known(), n.known()) {
        (Some(rows), Some(columns)) => *if rows < columns { m } else { n },
        (_, _) => Dim::Unknown,
    };
    let of = |part: SmallVec<[Dim; 2]>| Fact { dtype: a.dtype, shape: before.iter().chain(&part).copied().collect() };
    Ok(parts([*m, *n, least]).into_iter().map(of).collect())
}

pub(super) fn qr(full: bool, a: &Fact) -> Facts {
    apart(a, |[m, n, least]| {
        let inner = if full { m } else { least };
        [smallvec![m, inner], smallvec![inner, n]]
    })
}

pub(super) fn self_adjoint_eig(a: &Fact) -> Facts {
    let n = square(&a.shape)?.map_or(Dim::Unknown, |(_, n)| n);
    apart(a, |_| [smallvec![n], smallvec![n, n]])
}

pub(super) fn svd(full: bool, a: &Fact) -> Facts {
    apart(a, |[m, n, least]| {
        let of = |extent| if full { extent } else { least };
        [smallvec![least], smallvec![m, of(m)], smallvec![n, of(n)]]
    })
}
