//! MNIST and the sets that come in its form: four idx files, split as TensorFlow 1's `read_data_sets` splits them.

use std::path::{Path, PathBuf};

use dormouse_value::{DType, Element, Value};
use ndarray::{ArcArray, ArcArray1, ArcArray2, ArcArray4, Dimension, Ix1, Ix3};

use crate::error::Kind;
use crate::{Dataset, Error, Order, Rows, idx};

/// The handwritten digits, or a set in the same form: Fashion-MNIST, KMNIST, one's own.
///
/// The images are `[n, rows · columns]` of `f32` in 0 ..= 1, the labels class indices `[n]` of `i64`;
/// [`Mnist::nhwc`] and [`Mnist::one_hot`] give the other usual forms.
///
/// ```
/// use dormouse_data::Mnist;
/// # let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data/mnist");
/// let mut mnist = Mnist::open(dir)?.nhwc()?.one_hot()?;
/// let (images, labels) = mnist.train.next_batch(100)?;
/// assert_eq!(images.dim(), (100, 28, 28, 1));
/// assert_eq!(labels.dim(), (100, 10));
/// # Ok::<(), dormouse_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Mnist<X: Rows = ArcArray2<f32>, Y: Rows = ArcArray1<i64>> {
    /// What to learn from: the training files without the validation examples, 55,000.
    pub train: Dataset<X, Y>,
    /// What to choose hyper-parameters by: the first examples of the training files, 5,000.
    pub validation: Dataset<X, Y>,
    /// What to judge by at the end, 10,000.
    pub test: Dataset<X, Y>,
    image_size: [usize; 2],
    classes: usize,
}

/// How the files become datasets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MnistOptions {
    /// How many of the first training examples become the validation set.
    pub validation: usize,
    /// The order of the batches of all three datasets.
    pub order: Order,
}

/// 5,000 validation examples; shuffled under seed 0.
impl Default for MnistOptions {
    fn default() -> Self {
        MnistOptions { validation: 5000, order: Order::Shuffled { seed: 0 } }
    }
}

impl Mnist {
    /// Reads the four files in a folder, with the default options.
    ///
    /// Each may be packed or not, and named either way: `train-images-idx3-ubyte`, `train-images.idx3-ubyte`, or
    /// either with `.gz`. Unpacked files come first.
    ///
    /// # Errors
    /// When a file is missing, cannot be read, or is damaged; when it holds something else than images (bytes, rank 3)
    /// or labels (bytes, rank 1); when there are not as many labels as images, when the test images have another size
    /// than the training images, or when there are fewer training examples than the validation set takes. The error
    /// names the file.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(dir, MnistOptions::default())
    }

    /// Reads the four files in a folder.
    ///
    /// # Errors
    /// As [`Mnist::open`].
    pub fn open_with(dir: impl AsRef<Path>, options: MnistOptions) -> Result<Self, Error> {
        let dir = dir.as_ref();
        let train = Files::find(dir, "train")?;
        let test = Files::find(dir, "t10k")?;
        let (train_pairs, train_size) = train.read(options.order)?;
        let (test_pairs, test_size) = test.read(options.order)?;
        if test_size != train_size {
            let beside = train.images;
            return Err(Kind::ImageSize { test: test_size, train: train_size, beside }.at(&test.images));
        }
        let have = train_pairs.num_examples();
        let (validation, train_pairs) = train_pairs
            .split(options.validation)
            .map_err(|_| Kind::Split { asked: options.validation, have }.at(&train.images))?;
        let labels = [&train_pairs, &validation, &test_pairs].map(|pairs| pairs.labels().iter().max());
        let classes = labels.into_iter().flatten().max().map_or(0, |&label| label as usize + 1);
        Ok(Mnist { train: train_pairs, validation, test: test_pairs, image_size: train_size, classes })
    }
}

impl<X: Rows, Y: Rows> Mnist<X, Y> {
    /// Rows and columns of an image: `[28, 28]`.
    pub fn image_size(&self) -> [usize; 2] {
        self.image_size
    }

    /// The number of classes: one more than the largest label of the files, 10.
    pub fn classes(&self) -> usize {
        self.classes
    }
}

impl<X: Rows> Mnist<X> {
    /// The labels as one-hot rows, `[n] → [n, classes]`, as `read_data_sets(one_hot=True)` has them.
    ///
    /// # Errors
    /// When a dataset was replaced by one with labels that the files do not have.
    pub fn one_hot(self) -> Result<Mnist<X, ArcArray2<f32>>, Error> {
        let Mnist { train, validation, test, image_size, classes } = self;
        Ok(Mnist {
            train: train.one_hot(classes)?,
            validation: validation.one_hot(classes)?,
            test: test.one_hot(classes)?,
            image_size,
            classes,
        })
    }
}

impl<Y: Rows> Mnist<ArcArray2<f32>, Y> {
    /// The images as `[n, rows, columns, 1]`, as convolutions take them, without a copy.
    ///
    /// # Errors
    /// When a dataset was replaced by one with images of another size.
    pub fn nhwc(self) -> Result<Mnist<ArcArray4<f32>, Y>, Error> {
        let Mnist { train, validation, test, image_size, classes } = self;
        let image = [image_size[0], image_size[1], 1];
        Ok(Mnist {
            train: train.nhwc(image)?,
            validation: validation.nhwc(image)?,
            test: test.nhwc(image)?,
            image_size,
            classes,
        })
    }
}

/// The two files of a part.
struct Files {
    images: PathBuf,
    labels: PathBuf,
}

impl Files {
    fn find(dir: &Path, part: &str) -> Result<Self, Error> {
        Ok(Files {
            images: find(dir, &format!("{part}-images"), "idx3-ubyte")?,
            labels: find(dir, &format!("{part}-labels"), "idx1-ubyte")?,
        })
    }

    /// The pairs, and rows and columns of their images.
    fn read(&self, order: Order) -> Result<(Dataset, [usize; 2]), Error> {
        let images: ArcArray<u8, Ix3> = content(&self.images, "images, u8 of rank 3,")?;
        let labels: ArcArray<u8, Ix1> = content(&self.labels, "labels, u8 of rank 1,")?;
        let (n, rows, columns) = images.dim();
        if labels.len() != n {
            let beside = self.images.clone();
            return Err(Kind::LabelCount { labels: labels.len(), images: n, beside }.at(&self.labels));
        }
        // As numpy does it for TensorFlow: the factor is rounded first, then multiplied.
        let images = images.mapv(|byte| f32::from(byte) * (1.0 / 255.0)).into_shape_with_order((n, rows * columns));
        let images = images.expect("flattening the trailing axes of a fresh array keeps the elements and their order");
        let labels = labels.mapv(i64::from);
        Ok((Dataset::new(images, labels, order)?, [rows, columns]))
    }
}

fn find(dir: &Path, stem: &str, kind: &str) -> Result<PathBuf, Error> {
    let names =
        [format!("{stem}-{kind}"), format!("{stem}.{kind}"), format!("{stem}-{kind}.gz"), format!("{stem}.{kind}.gz")];
    // A folder that is not there is said to be so, instead of to lack a file.
    dir.metadata().map_err(|error| Kind::Io(error).at(dir))?;
    match names.iter().map(|name| dir.join(name)).find(|path| path.exists()) {
        Some(path) => Ok(path),
        None => Err(Kind::Missing { names: names.to_vec() }.at(dir)),
    }
}

/// The array in a file, which must be bytes of a rank.
fn content<D: Dimension>(path: &Path, wanted: &'static str) -> Result<ArcArray<u8, D>, Error> {
    let value = idx::read(path)?;
    let found = |value: &Value| format!("{} of shape {:?}", value.dtype(), value.shape());
    if value.dtype() != DType::U8 || Some(value.shape().len()) != D::NDIM {
        return Err(Kind::Content { found: found(&value), wanted }.at(path));
    }
    let array = <u8 as Element>::take(value).ok().and_then(|array| array.into_dimensionality().ok());
    Ok(array.expect("dtype and rank were checked"))
}

#[cfg(test)]
mod tests;
