//! Examples in memory, and the batches drawn from them.
//!
//! A dataset never moves its examples: `order` walks their row numbers, `rows` copies the rows of one batch out.

mod order;
mod rows;

use std::fmt;

use dormouse_value::Element;
use ndarray::{ArcArray, ArcArray1, ArcArray2, ArcArray4, ArrayBase, Axis, DataOwned, RemoveAxis};

pub use self::order::{DatasetState, Order};
use self::order::{Draw, Walk};
pub use self::rows::Rows;
use crate::error::Kind;
use crate::{Error, one_hot};

/// Pairs of one image and one label, drawn in batches, epoch after epoch.
///
/// `X` and `Y` are shared arrays with one row an example, of any dtype and any rank from 1; by default `[n, features]`
/// of `f32` and class indices `[n]` of `i64`, as sparse cross entropy takes them.
///
/// ```
/// use dormouse_data::{Dataset, Order};
/// use ndarray::array;
/// let images = array![[0.0_f32, 0.1], [1.0, 1.1], [2.0, 2.1]];
/// let mut data = Dataset::new(images, array![0_i64, 1, 2], Order::Sequential)?;
/// assert_eq!(data.next_batch(2)?.1, array![0, 1].into_shared());
/// assert_eq!(data.next_batch(2)?.1, array![2, 0].into_shared());
/// assert_eq!(data.epochs_completed(), 1);
/// # Ok::<(), dormouse_data::Error>(())
/// ```
#[derive(Clone)]
pub struct Dataset<X: Rows = ArcArray2<f32>, Y: Rows = ArcArray1<i64>> {
    images: X,
    labels: Y,
    walk: Walk,
    /// The last two gathered batches. What the caller has dropped by the next draw but one is filled again.
    spares: [Option<(X, Y)>; 2],
}

impl<T: Element, D: RemoveAxis, L: Element, E: RemoveAxis> Dataset<ArcArray<T, D>, ArcArray<L, E>> {
    /// Pairs row i of `images` with row i of `labels`, to be drawn in `order`.
    ///
    /// Owned and shared arrays are taken without a copy if they lie in row-major order.
    ///
    /// # Errors
    /// When there are not as many labels as images, or either is a scalar.
    pub fn new<S, R>(images: ArrayBase<S, D>, labels: ArrayBase<R, E>, order: Order) -> Result<Self, Error>
    where
        S: DataOwned<Elem = T>,
        R: DataOwned<Elem = L>,
    {
        for (rank, what) in [(images.ndim(), "the images"), (labels.ndim(), "the labels")] {
            if rank == 0 {
                return Err(Kind::Scalar { what }.into());
            }
        }
        let rows = images.len_of(Axis(0));
        if labels.len_of(Axis(0)) != rows {
            return Err(Kind::Pairs { images: rows, labels: labels.len_of(Axis(0)) }.into());
        }
        Ok(Dataset::paired(rows::row_major(images), rows::row_major(labels), order))
    }
}

impl<X: Rows, Y: Rows> Dataset<X, Y> {
    fn paired(images: X, labels: Y, order: Order) -> Self {
        let walk = Walk::new(images.num_rows(), order);
        Dataset { images, labels, walk, spares: [None, None] }
    }

    /// All images, in the order they were given in: `[n, …]`.
    pub fn images(&self) -> &X {
        &self.images
    }

    /// All labels, in the order they were given in: `[n, …]`.
    pub fn labels(&self) -> &Y {
        &self.labels
    }

    /// The number of pairs.
    pub fn num_examples(&self) -> usize {
        self.images.num_rows()
    }

    /// How many epochs [`Dataset::next_batch`] has left behind. An epoch that was drawn to its last example ends with
    /// the next draw.
    pub fn epochs_completed(&self) -> u64 {
        self.walk.state().epoch
    }

    /// The next `size` pairs, in the dataset's order.
    ///
    /// As in TensorFlow 1's `DataSet.next_batch`: the examples are shuffled before the first batch and at the end of
    /// each epoch, and a batch that the epoch cannot fill is filled from the start of the next one. (A batch larger
    /// than the dataset spans several epochs; TensorFlow would return a short one.)
    ///
    /// The arrays are the caller's: nothing here changes them afterwards. A shuffled batch is copied out of the
    /// dataset, into the memory of the last batch but one if that is no longer held anywhere, else into new memory, so
    /// a training loop stops allocating after two steps. A sequential batch is a view that shares the dataset's memory,
    /// but where it crosses the end of an epoch.
    ///
    /// # Errors
    /// When the dataset is empty and `size` is not 0, or when `size` examples cannot be addressed. No example is
    /// skipped then.
    pub fn next_batch(&mut self, size: usize) -> Result<(X, Y), Error> {
        let row_bytes = self.images.row_bytes().max(self.labels.row_bytes()).max(size_of::<usize>());
        if size.checked_mul(row_bytes).is_none_or(|n| isize::try_from(n).is_err()) {
            return Err(Kind::BatchSize { asked: size }.into());
        }
        Ok(match self.walk.draw(size)? {
            Draw::Span(range) => (self.images.span(range.clone()), self.labels.span(range)),
            Draw::Rows(rows) => {
                self.spares.swap(0, 1);
                let (images, labels) = self.spares[0].take().unzip();
                let batch = (self.images.gather(rows, images), self.labels.gather(rows, labels));
                self.spares[0] = Some(batch.clone());
                batch
            }
        })
    }

    /// One pass over all pairs in the order they were given in, for evaluation: views of `size` rows, the last one
    /// with what remains. It neither reads nor moves the state of [`Dataset::next_batch`]. A size of 0 counts as 1.
    pub fn batches(&self, size: usize) -> impl ExactSizeIterator<Item = (X, Y)> + '_ {
        let (n, size) = (self.num_examples(), size.max(1));
        (0..n).step_by(size).map(move |start| {
            let range = start..n.min(start.saturating_add(size));
            (self.images.span(range.clone()), self.labels.span(range))
        })
    }

    /// The first `at` pairs and the others, as two datasets that share this one's memory. Both start anew, in this
    /// one's order.
    ///
    /// # Errors
    /// When there are fewer than `at` pairs.
    pub fn split(self, at: usize) -> Result<(Self, Self), Error> {
        let n = self.num_examples();
        if at > n {
            return Err(Kind::Split { asked: at, have: n }.into());
        }
        let order = self.walk.state().order;
        let part = |range: std::ops::Range<usize>| {
            Dataset::paired(self.images.span(range.clone()), self.labels.span(range), order)
        };
        Ok((part(0..at), part(at..n)))
    }

    /// The same pairs in another order, from its start.
    #[must_use]
    pub fn with_order(self, order: Order) -> Self {
        Dataset::paired(self.images, self.labels, order)
    }

    /// Where [`Dataset::next_batch`] stands, as plain data: what a checkpoint keeps so that a resumed program draws
    /// the batches that the unbroken run would have drawn.
    pub fn state(&self) -> DatasetState {
        self.walk.state()
    }

    /// Goes on from a state, its order included.
    ///
    /// # Errors
    /// When the state is of a dataset of another size, or at a position that does not exist. Nothing has changed then.
    pub fn restore(&mut self, state: DatasetState) -> Result<(), Error> {
        self.walk.restore(state)
    }
}

impl<T: Element, D: RemoveAxis, Y: Rows> Dataset<ArcArray<T, D>, Y> {
    /// The images as `[n, rows, columns, channels]`, as convolutions take them, without a copy; the state stays.
    ///
    /// # Errors
    /// When an image has not `rows · columns · channels` elements.
    pub fn nhwc(self, [rows, columns, channels]: [usize; 3]) -> Result<Dataset<ArcArray4<T>, Y>, Error> {
        let to = [self.num_examples(), rows, columns, channels];
        let from = self.images.shape().to_vec();
        let images = self.images.into_shape_with_order(to).map_err(|_| Kind::Reshape { from, to })?;
        Ok(Dataset { images, labels: self.labels, walk: self.walk, spares: [None, None] })
    }
}

impl<X: Rows, L: Element + TryInto<usize>> Dataset<X, ArcArray1<L>> {
    /// The labels as rows with a 1 at the class, `[n] → [n, classes]`; the state stays.
    ///
    /// # Errors
    /// When a label is not in `0..classes`.
    pub fn one_hot(self, classes: usize) -> Result<Dataset<X, ArcArray2<f32>>, Error> {
        let labels = one_hot(&self.labels, classes)?.into_shared();
        Ok(Dataset { images: self.images, labels, walk: self.walk, spares: [None, None] })
    }
}

impl<X: Rows, Y: Rows> fmt::Debug for Dataset<X, Y> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset")
            .field("images", &self.images.extents())
            .field("labels", &self.labels.extents())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
