//! The idx format of the MNIST files, plain or packed by gzip: one n-dimensional array a file.
//!
//! Four bytes (0, 0, element type, rank), then the extents as 32-bit numbers, then the elements in row-major order, all
//! big-endian (as <http://yann.lecun.com/exdb/mnist/> describes it). A header is believed only as far as the file backs
//! it, which is why the format has a module of its own instead of a few lines in the reader of MNIST.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use dormouse_value::{Element, Value};
use flate2::read::MultiGzDecoder;

use crate::Error;
use crate::error::{Claim, Kind};

/// Reads an idx file, plain or gzip, as its first bytes tell.
///
/// The array has the file's own dtype: `u8`, `i8`, `i16`, `i32`, `f32` or `f64`.
///
/// ```
/// # let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data/mnist");
/// let labels = dormouse_data::idx::read(format!("{dir}/t10k-labels-idx1-ubyte.gz"))?;
/// assert_eq!(labels.shape(), [10_000]);
/// # Ok::<(), dormouse_data::Error>(())
/// ```
///
/// # Errors
/// When the file cannot be read; is not idx; has an unknown element type or a rank outside 1 to 4; holds fewer or more
/// bytes than its header claims; or its gzip stream is damaged. The error names the file.
pub fn read(path: impl AsRef<Path>) -> Result<Value, Error> {
    let path = path.as_ref();
    let open = || {
        let file = File::open(path).map_err(Kind::Io)?;
        let metadata = file.metadata().map_err(Kind::Io)?;
        // A pipe does not know its length.
        let length = metadata.is_file().then_some(metadata.len());
        decode(file, length)
    };
    open().map_err(|kind| kind.at(path))
}

/// Reads the bytes of an idx file, plain or gzip, as its first bytes tell.
///
/// ```
/// let value = dormouse_data::idx::from_bytes(&[0, 0, 0x0b, 1, 0, 0, 0, 2, 0xff, 0xff, 1, 0])?;
/// assert_eq!(value.to_vec::<i16>(), Ok(vec![-1, 256]));
/// # Ok::<(), dormouse_data::Error>(())
/// ```
///
/// # Errors
/// As [`read`], without a file to name.
pub fn from_bytes(bytes: &[u8]) -> Result<Value, Error> {
    Ok(decode(bytes, Some(bytes.len() as u64))?)
}

/// Deflate's densest code: 258 bytes in two bits, 1,032 in one byte.
const DEFLATE_RATIO: u64 = 1032;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const MAX_RANK: u8 = 4;
/// Elements are decoded through a buffer of this many bytes, a multiple of every element's size.
const CHUNK: usize = 1 << 16;

#[derive(Clone, Copy)]
enum ElementType {
    U8,
    I8,
    I16,
    I32,
    F32,
    F64,
}

impl ElementType {
    fn from_code(code: u8) -> Result<Self, Kind> {
        Ok(match code {
            0x08 => ElementType::U8,
            0x09 => ElementType::I8,
            0x0b => ElementType::I16,
            0x0c => ElementType::I32,
            0x0d => ElementType::F32,
            0x0e => ElementType::F64,
            _ => return Err(Kind::ElementType(code)),
        })
    }

    fn name(self) -> &'static str {
        match self {
            ElementType::U8 => "u8",
            ElementType::I8 => "i8",
            ElementType::I16 => "i16",
            ElementType::I32 => "i32",
            ElementType::F32 => "f32",
            ElementType::F64 => "f64",
        }
    }

    fn size(self) -> u8 {
        match self {
            ElementType::U8 | ElementType::I8 => 1,
            ElementType::I16 => 2,
            ElementType::I32 | ElementType::F32 => 4,
            ElementType::F64 => 8,
        }
    }
}

struct Header {
    element: ElementType,
    extents: Vec<u32>,
}

/// The bytes to decode, unpacked, and what is known of their number.
struct Source<R> {
    reader: R,
    /// Bytes of the file as it lies on the disk, if it knows its length.
    length: Option<u64>,
    packed: bool,
}

/// `length` is that of `reader`, unless nobody knows.
fn decode(mut reader: impl Read, length: Option<u64>) -> Result<Value, Kind> {
    let mut start = [0; 2];
    let have = fill(&mut reader, &mut start).map_err(Kind::Io)?;
    let packed = start == GZIP_MAGIC;
    let reader = start[..have].chain(reader);
    if packed {
        Source { reader: MultiGzDecoder::new(reader), length, packed }.value()
    } else {
        Source { reader, length, packed }.value()
    }
}

/// Reads until the buffer is full or the reader at its end; returns the bytes read.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut have = 0;
    while have < buffer.len() {
        match reader.read(&mut buffer[have..]) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}

impl<R: Read> Source<R> {
    fn value(mut self) -> Result<Value, Kind> {
        let header = self.header()?;
        self.check_claim(&header)?;
        match header.element {
            ElementType::U8 => self.array(&header, u8::from_be_bytes),
            ElementType::I8 => self.array(&header, i8::from_be_bytes),
            ElementType::I16 => self.array(&header, i16::from_be_bytes),
            ElementType::I32 => self.array(&header, i32::from_be_bytes),
            ElementType::F32 => self.array(&header, f32::from_be_bytes),
            ElementType::F64 => self.array(&header, f64::from_be_bytes),
        }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Kind> {
        fill(&mut self.reader, buffer).map_err(if self.packed { Kind::Gzip } else { Kind::Io })
    }

    fn header(&mut self) -> Result<Header, Kind> {
        let mut magic = [0; 4];
        let have = self.fill(&mut magic)?;
        if have >= 2 && magic[..2] != [0, 0] {
            return Err(Kind::Magic([magic[0], magic[1]]));
        }
        if have < magic.len() {
            return Err(Kind::ShortHeader { have, need: magic.len() });
        }
        let element = ElementType::from_code(magic[2])?;
        let rank = magic[3];
        if !(1..=MAX_RANK).contains(&rank) {
            return Err(Kind::Rank(rank));
        }
        let mut buffer = [0; 4 * MAX_RANK as usize];
        let buffer = &mut buffer[..4 * rank as usize];
        let have = self.fill(buffer)?;
        if have < buffer.len() {
            return Err(Kind::ShortHeader { have: magic.len() + have, need: magic.len() + buffer.len() });
        }
        let extents = buffer.as_chunks().0.iter().map(|&b| u32::from_be_bytes(b)).collect();
        Ok(Header { element, extents })
    }

    /// Refuses, before anything is allocated, a claim that the file cannot back.
    fn check_claim(&self, header: &Header) -> Result<(), Kind> {
        let claim = header.claim();
        let Some(length) = self.length else { return Ok(()) };
        if self.packed {
            if claim.bytes > u128::from(length) * u128::from(DEFLATE_RATIO) {
                return Err(Kind::Overclaimed { claim, packed: length });
            }
            return Ok(());
        }
        let have = length.saturating_sub(header.size());
        match claim.bytes.cmp(&u128::from(have)) {
            std::cmp::Ordering::Less => Err(Kind::Trailing { claim }),
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(Kind::Truncated { claim, have }),
        }
    }

    fn array<T: Element, const SIZE: usize>(
        &mut self,
        header: &Header,
        element: impl Fn([u8; SIZE]) -> T,
    ) -> Result<Value, Kind> {
        let unaddressable = || Kind::Unaddressable { claim: header.claim() };
        let dims: Vec<usize> = header.extents.iter().map(|&n| n as usize).collect();
        let count = dormouse_value::element_count(&dims).ok_or_else(unaddressable)?;
        let bytes = count.checked_mul(SIZE).ok_or_else(unaddressable)?;
        // A packed file earns its memory as it unpacks: the vector starts at the file's length and grows by what came.
        let backed = self.length.map_or(0, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let mut elements: Vec<T> = Vec::with_capacity(count.min(backed / SIZE));
        let mut chunk = vec![0; CHUNK.min(bytes)];
        while elements.len() < count {
            let want = CHUNK.min((count - elements.len()) * SIZE);
            let have = self.fill(&mut chunk[..want])?;
            elements.extend(chunk[..have].as_chunks().0.iter().map(|&b| element(b)));
            if have < want {
                let have = (elements.len() * SIZE + have % SIZE) as u64;
                return Err(Kind::Truncated { claim: header.claim(), have });
            }
        }
        // Asking for one byte more also makes gzip verify its checksum.
        if self.fill(&mut [0])? != 0 {
            return Err(Kind::Trailing { claim: header.claim() });
        }
        elements.shrink_to_fit();
        Value::from_elements(&dims, elements).map_err(|_| unaddressable())
    }
}

impl Header {
    /// Bytes of the header itself.
    fn size(&self) -> u64 {
        4 + 4 * self.extents.len() as u64
    }

    fn claim(&self) -> Claim {
        // Four extents of 32 bits fill 128; with an element's size the product may not fit, and saturates.
        let elements: u128 = self.extents.iter().map(|&n| u128::from(n)).product();
        let bytes = elements.saturating_mul(u128::from(self.element.size()));
        Claim { element: self.element.name(), dims: self.extents.clone(), bytes }
    }
}

#[cfg(test)]
mod tests;
