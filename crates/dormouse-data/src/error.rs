//! The one error of this crate, apart from the modules that raise it so that a caller meets a single type.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why data could not be read, paired or drawn: the file, if one is to blame, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
pub struct Error {
    path: Option<PathBuf>,
    #[source]
    kind: Box<Kind>,
}

/// A header's promise: the dtype, the extents, and the bytes they take.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) element: &'static str,
    pub(crate) dims: Vec<u32>,
    pub(crate) bytes: u128,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Kind {
    #[error("cannot be read: {0}")]
    Io(#[source] io::Error),
    #[error("the gzip stream is damaged or cut short: {0}")]
    Gzip(#[source] io::Error),
    #[error("holds no file named {}; name the folder that has it", .names.join(" or "))]
    Missing { names: Vec<String> },
    #[error("not an idx file: it starts with bytes {0:02x?}, an idx file with two zero bytes (or gzip's 1f, 8b)")]
    Magic([u8; 2]),
    #[error("unknown idx element type {0:#04x}; known are 0x08 u8, 0x09 i8, 0x0b i16, 0x0c i32, 0x0d f32 and 0x0e f64")]
    ElementType(u8),
    #[error("an idx array of rank {0}; ranks 1 to 4 can be read")]
    Rank(u8),
    #[error("cut short: the file ends after {have} bytes, within the idx header of {need}")]
    ShortHeader { have: usize, need: usize },
    #[error("cut short or a damaged header: the header claims {claim}, {have} bytes follow it")]
    Truncated { claim: Claim, have: u64 },
    #[error("a damaged header: it claims {claim}, more than {packed} bytes of gzip can unpack to")]
    Overclaimed { claim: Claim, packed: u64 },
    #[error("trailing bytes or a damaged header: the header claims {claim}, and more bytes follow")]
    Trailing { claim: Claim },
    #[error("the header claims {claim}, an array this machine cannot address")]
    Unaddressable { claim: Claim },
    #[error("holds {found}; {wanted} expected")]
    Content { found: String, wanted: &'static str },
    #[error("holds {labels} labels, but there are {images} images in {}", .beside.display())]
    LabelCount { labels: usize, images: usize, beside: PathBuf },
    #[error("holds images of {test:?} pixels, but {} has {train:?}", .beside.display())]
    ImageSize { test: [usize; 2], train: [usize; 2], beside: PathBuf },
    #[error("dataset: {images} images and {labels} labels; as many labels as images expected")]
    Pairs { images: usize, labels: usize },
    #[error("dataset: {what} are a scalar; an array with one row an example expected")]
    Scalar { what: &'static str },
    #[error("split: {asked} examples asked for, the dataset has {have}")]
    Split { asked: usize, have: usize },
    #[error("next_batch: {asked} examples asked for, the dataset has none")]
    Empty { asked: usize },
    #[error("next_batch: {asked} examples take more memory than this machine can address")]
    BatchSize { asked: usize },
    #[error("restore: the state is of a dataset of {found} examples, this one has {have}")]
    StateExamples { found: u64, have: usize },
    #[error("restore: the state is at position {position} of {have} examples")]
    StatePosition { position: u64, have: usize },
    #[error("one_hot: label {label} at row {row} is not in 0..{classes}")]
    Label { label: String, row: usize, classes: usize },
    #[error("one_hot: {rows} labels of {classes} classes take more memory than this machine can address")]
    Classes { rows: usize, classes: usize },
    #[error("not an image that can be read: JPEG, PNG and BMP are")]
    ImageFormat,
    #[error("image: {0}")]
    Image(String),
    #[error("nhwc: images of shape {from:?} cannot be seen as {to:?}")]
    Reshape { from: Vec<usize>, to: [usize; 4] },
}

impl Error {
    /// The file or folder at fault, if there is one.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The same of a file.
    pub(crate) fn beside(self, path: &Path) -> Error {
        Error { path: Some(path.to_path_buf()), ..self }
    }

    /// What the operating system said, if it refused to open or read the file.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        if let Kind::Io(error) = &*self.kind { Some(error.kind()) } else { None }
    }
}

impl Kind {
    pub(crate) fn at(self, path: &Path) -> Error {
        Error { path: Some(path.to_path_buf()), kind: Box::new(self) }
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Error { path: None, kind: Box::new(kind) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", path.display())?;
        }
        self.kind.fmt(f)
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {} in {} bytes", self.dims, self.element, self.bytes)
    }
}
