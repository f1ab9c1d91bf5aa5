//! Arrays seen as lists of rows: the only place where examples are copied.

use std::fmt;
use std::ops::Range;

use dormouse_value::Element;
use ndarray::{ArcArray, Array, ArrayBase, Axis, DataOwned, RemoveAxis, Slice};

/// A shared array of at least one axis, of which the first one counts examples: every [`ArcArray`] of an [`Element`].
pub trait Rows: Gather + Clone + fmt::Debug + Send + Sync {
    /// The extents; the first is the number of rows.
    fn extents(&self) -> &[usize];

    /// The number of rows.
    fn num_rows(&self) -> usize {
        self.extents()[0]
    }
}

/// What a dataset does with rows. Out of reach from outside, since it trusts row numbers.
pub trait Gather: Sized {
    /// Bytes of one row.
    fn row_bytes(&self) -> usize;

    /// Rows that lie one after another, without a copy.
    #[must_use]
    fn span(&self, range: Range<usize>) -> Self;

    /// The rows of these numbers, copied: into `spare` if that has their shape and nobody else holds it, else into new
    /// memory.
    #[must_use]
    fn gather(&self, rows: &[usize], spare: Option<Self>) -> Self;
}

impl<T: Element, D: RemoveAxis> Rows for ArcArray<T, D> {
    fn extents(&self) -> &[usize] {
        self.shape()
    }
}

impl<T: Element, D: RemoveAxis> Gather for ArcArray<T, D> {
    fn row_bytes(&self) -> usize {
        row_len(self).saturating_mul(size_of::<T>())
    }

    fn span(&self, range: Range<usize>) -> Self {
        let mut rows = self.clone();
        rows.slice_axis_inplace(Axis(0), Slice::from(range));
        rows
    }

    fn gather(&self, rows: &[usize], spare: Option<Self>) -> Self {
        let row = row_len(self);
        let source = self.as_slice().expect("a dataset holds its arrays in row-major order");
        let of = |&i: &usize| &source[i * row..(i + 1) * row];

        let mut dims = self.raw_dim();
        dims[0] = rows.len();
        if let Some(mut batch) = spare.filter(|spare| spare.is_unique() && spare.raw_dim() == dims)
            && let Some(elements) = batch.as_slice_mut()
        {
            if row > 0 {
                for (to, i) in elements.chunks_exact_mut(row).zip(rows) {
                    to.copy_from_slice(of(i));
                }
            }
            return batch;
        }
        let mut elements = Vec::with_capacity(rows.len() * row);
        for i in rows {
            elements.extend_from_slice(of(i));
        }
        Array::from_shape_vec(dims, elements).expect("as many elements as rows times a row").into_shared()
    }
}

/// Elements of one row.
fn row_len<T, D: RemoveAxis>(array: &ArcArray<T, D>) -> usize {
    array.shape()[1..].iter().product()
}

/// The array, shared, in row-major order: itself where it lies so, else a copy.
pub(super) fn row_major<S: DataOwned, D: RemoveAxis>(array: ArrayBase<S, D>) -> ArcArray<S::Elem, D>
where
    S::Elem: Element,
{
    let array = array.into_shared();
    if array.is_standard_layout() { array } else { array.as_standard_layout().into_owned().into_shared() }
}
