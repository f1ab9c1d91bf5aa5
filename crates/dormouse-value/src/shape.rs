//! Shapes: concrete ones (`Dims`) of values, and partial ones (`Shape`) of tensors that have not run.

use std::fmt;
use std::ops::{Add, Div, Mul, Sub};

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// The extents of a concrete shape, outermost first; empty for a scalar.
pub type Dims = SmallVec<[usize; 4]>;

/// Elements of a shape, or `None` where the product does not fit a `usize`.
pub fn element_count(dims: &[usize]) -> Option<usize> {
    if dims.contains(&0) {
        return Some(0);
    }
    dims.iter().try_fold(1_usize, |n, &d| n.checked_mul(d))
}

/// One extent of a partial shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Dim {
    /// Told only by a run.
    Unknown,
    /// Known when the graph is built.
    Known(u64),
}

impl Dim {
    /// The extent, if it is known.
    pub fn known(self) -> Option<usize> {
        match self {
            Dim::Unknown => None,
            Dim::Known(n) => usize::try_from(n).ok(),
        }
    }

    /// The extent that both can be: `None` where two known extents differ.
    pub fn unify(self, other: Dim) -> Option<Dim> {
        match (self, other) {
            (Dim::Unknown, d) | (d, Dim::Unknown) => Some(d),
            (Dim::Known(a), Dim::Known(b)) => (a == b).then_some(self),
        }
    }

    fn zip(self, other: Dim, f: impl FnOnce(u64, u64) -> Option<u64>) -> Dim {
        match (self, other) {
            (Dim::Known(a), Dim::Known(b)) => f(a, b).map_or(Dim::Unknown, Dim::Known),
            (Dim::Unknown, _) | (_, Dim::Unknown) => Dim::Unknown,
        }
    }
}

impl From<usize> for Dim {
    fn from(n: usize) -> Self {
        Dim::Known(n as u64)
    }
}

/// `-1`, as any negative number, is an unknown extent.
impl From<i32> for Dim {
    fn from(n: i32) -> Self {
        u64::try_from(n).map_or(Dim::Unknown, Dim::Known)
    }
}

impl From<Option<usize>> for Dim {
    fn from(n: Option<usize>) -> Self {
        n.map_or(Dim::Unknown, Dim::from)
    }
}

macro_rules! dim_arithmetic {
    ($($trait:ident $method:ident $checked:ident),*) => { $(
        /// Unknown where either side is, or where the result is not an extent.
        impl<R: Into<Dim>> $trait<R> for Dim {
            type Output = Dim;
            fn $method(self, rhs: R) -> Dim { self.zip(rhs.into(), u64::$checked) }
        }
    )* };
}
dim_arithmetic!(Add add checked_add, Sub sub checked_sub, Mul mul checked_mul, Div div checked_div);

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Unknown => f.write_str("?"),
            Dim::Known(n) => n.fmt(f),
        }
    }
}

/// A shape as far as it is known: unknown rank, or a rank with extents that may be unknown.
///
/// ```
/// use dormouse_value::{Shape, shape};
/// assert_eq!(shape![?, 784].to_string(), "[?, 784]");
/// assert_eq!(shape![..], Shape::unknown());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shape(Option<SmallVec<[Dim; 4]>>);

impl Shape {
    /// A shape of which not even the rank is known.
    pub fn unknown() -> Self {
        Shape(None)
    }

    /// The shape of a scalar, `[]`.
    pub fn scalar() -> Self {
        Shape(Some(SmallVec::new()))
    }

    /// A shape of `rank` unknown extents.
    pub fn of_rank(rank: usize) -> Self {
        Shape(Some(SmallVec::from_elem(Dim::Unknown, rank)))
    }

    /// The shape of a concrete value.
    pub fn known(dims: &[usize]) -> Self {
        dims.iter().map(|&n| Dim::from(n)).collect()
    }

    /// The extents, if the rank is known.
    pub fn dims(&self) -> Option<&[Dim]> {
        self.0.as_deref()
    }

    /// The number of axes, if it is known.
    pub fn rank(&self) -> Option<usize> {
        self.0.as_ref().map(SmallVec::len)
    }

    /// One extent; unknown where the rank is, or where the axis does not exist. Negative axes count from the end.
    pub fn dim(&self, axis: isize) -> Dim {
        let Some(dims) = self.dims() else { return Dim::Unknown };
        let index = if axis < 0 { axis + dims.len() as isize } else { axis };
        usize::try_from(index).ok().and_then(|i| dims.get(i).copied()).unwrap_or(Dim::Unknown)
    }

    /// All extents, if all are known.
    pub fn to_dims(&self) -> Option<Dims> {
        self.dims()?.iter().map(|d| d.known()).collect()
    }

    /// The number of elements, if all extents are known and it fits.
    pub fn element_count(&self) -> Option<usize> {
        element_count(&self.to_dims()?)
    }

    /// Whether a value of `dims` fits.
    pub fn accepts(&self, dims: &[usize]) -> bool {
        self.dims().is_none_or(|own| {
            own.len() == dims.len() && own.iter().zip(dims).all(|(d, &n)| d.known().is_none_or(|k| k == n))
        })
    }

    /// The shape that both can be: `None` where ranks or known extents differ.
    pub fn unify(&self, other: &Shape) -> Option<Shape> {
        match (self.dims(), other.dims()) {
            (None, _) => Some(other.clone()),
            (_, None) => Some(self.clone()),
            (Some(a), Some(b)) => {
                if a.len() != b.len() {
                    return None;
                }
                a.iter().zip(b).map(|(a, b)| a.unify(*b)).collect::<Option<_>>().map(|d| Shape(Some(d)))
            }
        }
    }

    /// The shape of two operands joined by numpy's broadcasting: `None` where they cannot be.
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        let (Some(a), Some(b)) = (self.dims(), other.dims()) else { return Some(Shape::unknown()) };
        let rank = a.len().max(b.len());
        let at = |dims: &[Dim], i: usize| (i + dims.len()).checked_sub(rank).map_or(Dim::Known(1), |k| dims[k]);
        (0..rank)
            .map(|i| match (at(a, i), at(b, i)) {
                (Dim::Known(1), d) | (d, Dim::Known(1)) => Some(d),
                (Dim::Known(n), Dim::Known(m)) => (n == m).then_some(Dim::Known(n)),
                (Dim::Known(n), Dim::Unknown) | (Dim::Unknown, Dim::Known(n)) => Some(Dim::Known(n)),
                (Dim::Unknown, Dim::Unknown) => Some(Dim::Unknown),
            })
            .collect::<Option<_>>()
            .map(|d| Shape(Some(d)))
    }
}

/// The concrete shape of two operands joined by numpy's broadcasting: `None` where they cannot be.
pub fn broadcast_dims(a: &[usize], b: &[usize]) -> Option<Dims> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], i: usize| (i + dims.len()).checked_sub(rank).map_or(1, |k| dims[k]);
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (1, n) | (n, 1) => Some(n),
            (n, m) => (n == m).then_some(n),
        })
        .collect()
}

impl FromIterator<Dim> for Shape {
    fn from_iter<I: IntoIterator<Item = Dim>>(dims: I) -> Self {
        Shape(Some(dims.into_iter().collect()))
    }
}

impl<D: Into<Dim>, const N: usize> From<[D; N]> for Shape {
    fn from(dims: [D; N]) -> Self {
        dims.into_iter().map(Into::into).collect()
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Shape::known(dims)
    }
}

impl From<Vec<usize>> for Shape {
    fn from(dims: Vec<usize>) -> Self {
        Shape::known(&dims)
    }
}

impl From<Vec<Dim>> for Shape {
    fn from(dims: Vec<Dim>) -> Self {
        dims.into_iter().collect()
    }
}

impl From<&Dims> for Shape {
    fn from(dims: &Dims) -> Self {
        Shape::known(dims)
    }
}

/// `()` is the shape of a scalar.
impl From<()> for Shape {
    fn from((): ()) -> Self {
        Shape::scalar()
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Self {
        shape.clone()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(dims) = self.dims() else { return f.write_str("?") };
        f.write_str("[")?;
        for (i, dim) in dims.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            dim.fmt(f)?;
        }
        f.write_str("]")
    }
}

/// A [`Shape`]: `shape![?, 28, 28, 1]`, `shape![batch, n]`, `shape![]` for a scalar, `shape![..]` for any rank.
#[macro_export]
macro_rules! shape {
    (..) => { $crate::Shape::unknown() };
    (@ [$($done:expr),*]) => {
        $crate::Shape::from(::std::vec![$($done),*] as ::std::vec::Vec<$crate::Dim>)
    };
    (@ [$($done:expr),*] ? $(, $($rest:tt)*)?) => { $crate::shape!(@ [$($done,)* $crate::Dim::Unknown] $($($rest)*)?) };
    (@ [$($done:expr),*] $dim:expr $(, $($rest:tt)*)?) => {
        $crate::shape!(@ [$($done,)* $crate::Dim::from($dim)] $($($rest)*)?)
    };
    ($($dims:tt)*) => { $crate::shape!(@ [] $($dims)*) };
}
