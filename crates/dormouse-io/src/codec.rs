//! Records as bytes. The only file that names `bincode`, so that another encoding would change this one alone.
//!
//! Records are little-endian with integers of variable length. A slice bounds every read; strings are taken out of it
//! only where it holds them; lists grow by what was read, never by what a length says (`unhinted`); and `bincode`'s own
//! limit stands behind that, as a ladder, since it is a constant of the type.

#[cfg(test)]
mod operations;
mod unhinted;

use std::marker::PhantomData;

use bincode::config::{self, Config};
use bincode::serde::{encode_into_std_write, seed_decode_from_slice};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::unhinted::Unhinted;

/// Appends a record.
pub(crate) fn write<T: Serialize>(record: &T, into: &mut Vec<u8>) -> Result<(), String> {
    encode_into_std_write(record, into, config::standard()).map(drop).map_err(|error| error.to_string())
}

/// Reads records one after the other out of one slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Records<'a> {
    bytes: &'a [u8],
    read: usize,
}

impl<'a> Records<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Records { bytes, read: 0 }
    }

    /// The next record.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Result<T, String> {
        let rest = self.bytes.get(self.read..).unwrap_or_default();
        // An integer of one byte counts as sixteen at the most.
        let (record, read) = match rest.len().saturating_mul(16) {
            0..=0xFFFF => decode(rest, config::standard().with_limit::<0xFFFF>()),
            0x1_0000..=0xFF_FFFF => decode(rest, config::standard().with_limit::<0xFF_FFFF>()),
            0x100_0000..=0xFFFF_FFFF => decode(rest, config::standard().with_limit::<0xFFFF_FFFF>()),
            _ => decode(rest, config::standard().with_limit::<{ usize::MAX >> 1 }>()),
        }?;
        self.read += read;
        Ok(record)
    }

    /// Whether everything has been read.
    pub(crate) fn is_finished(&self) -> bool {
        self.read == self.bytes.len()
    }

    /// Checks that everything has been read.
    pub(crate) fn finish(self) -> Result<(), String> {
        match self.bytes.len() - self.read {
            0 => Ok(()),
            rest => Err(format!("{rest} bytes are left over at its end")),
        }
    }
}

/// The one record that the bytes are.
pub(crate) fn only<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut records = Records::new(bytes);
    let record = records.next()?;
    records.finish().map(|()| record)
}

fn decode<T: DeserializeOwned>(bytes: &[u8], config: impl Config) -> Result<(T, usize), String> {
    seed_decode_from_slice(Unhinted(PhantomData::<T>), bytes, config).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use smallvec::SmallVec;

    use super::*;

    #[test]
    fn records_come_back() {
        let record = (7_u8, -5_i64, "name".to_owned(), Some(vec![1_u32, 300, 70_000]), true);
        let mut bytes = Vec::new();
        write(&record, &mut bytes).unwrap();
        assert_eq!(only(&bytes), Ok(record));
    }

    #[test]
    fn lengths_that_the_bytes_do_not_back_are_errors() {
        // 253 says that eight bytes of length follow: 2^60.
        let length = [253, 0, 0, 0, 0, 0, 0, 0, 0x10];
        assert!(only::<String>(&length).is_err());
        assert!(only::<Vec<u64>>(&length).is_err());
        assert!(only::<SmallVec<[i64; 4]>>(&length).is_err());
        assert!(only::<Vec<String>>(&[length.as_slice(), &length].concat()).is_err());
    }

    #[test]
    fn bytes_left_over_are_an_error() {
        assert_eq!(only::<u8>(&[1, 2]), Err("1 bytes are left over at its end".to_owned()));
        assert!(only::<u8>(&[]).is_err());
    }
}
