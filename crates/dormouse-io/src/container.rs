//! The frame of every file: a header, then sections of tag, length, check sum and payload, all on multiples of 64 bytes.
//! Knows nothing of what sections hold, but which tags there are.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;

use crate::error::{Kind, joined};

/// What every file starts with. The first byte is in no text, the line ends betray a transfer that changed them.
pub(crate) const MAGIC: [u8; 8] = *b"\x89DMS\r\n\x1a\n";
/// The version that this crate writes, and the newest that it reads.
pub(crate) const VERSION: u32 = 1;
/// Where headers, payloads and large arrays begin: at multiples of a cache line.
pub(crate) const ALIGNMENT: usize = 64;

const PADDING: [u8; ALIGNMENT] = [0; ALIGNMENT];

/// What a section holds. As in PNG, a reader that does not know a tag skips the section if the tag's first letter is
/// lower case, and refuses the file if it is upper case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag(pub(crate) [u8; 4]);

impl Tag {
    /// The records of a graph.
    pub(crate) const GRAPH: Tag = Tag(*b"GRPH");
    /// The numbers of a graph's constants.
    pub(crate) const CONSTANTS: Tag = Tag(*b"CNST");
    /// Names, dtypes and shapes of variables.
    pub(crate) const VARIABLES: Tag = Tag(*b"VARS");
    /// The numbers of variables.
    pub(crate) const VALUES: Tag = Tag(*b"VALS");
    /// The counters of random operations.
    pub(crate) const COUNTERS: Tag = Tag(*b"RAND");
    /// The global step.
    pub(crate) const STEP: Tag = Tag(*b"STEP");
    /// Named signatures.
    pub(crate) const SIGNATURES: Tag = Tag(*b"SIGN");

    /// Records of the program's own.
    pub(crate) const EXTRAS: Tag = Tag(*b"XTRA");

    fn what(self) -> Option<&'static str> {
        Some(match self {
            Tag::GRAPH => "a graph",
            Tag::CONSTANTS => "constants",
            Tag::VARIABLES => "variables",
            Tag::VALUES => "values",
            Tag::COUNTERS => "random counters",
            Tag::STEP => "a step",
            Tag::SIGNATURES => "signatures",
            Tag::EXTRAS => "extras",
            Tag(_) => return None,
        })
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A file about to be written.
#[derive(Debug, Default)]
pub(crate) struct Container<'a> {
    sections: Vec<(Tag, Vec<Cow<'a, [u8]>>)>,
}

fn padding(len: usize) -> &'static [u8] {
    &PADDING[..len.next_multiple_of(ALIGNMENT) - len]
}

fn length(pieces: &[Cow<'_, [u8]>]) -> usize {
    pieces.iter().map(|p| p.len()).sum()
}

impl<'a> Container<'a> {
    /// A section whose payload is these pieces, one after the other.
    pub(crate) fn push(&mut self, tag: Tag, pieces: Vec<Cow<'a, [u8]>>) {
        self.sections.push((tag, pieces));
    }

    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let total: usize = (self.sections.iter())
            .map(|(_, pieces)| ALIGNMENT + length(pieces).next_multiple_of(ALIGNMENT))
            .sum::<usize>()
            + ALIGNMENT;
        let mut header = [0; ALIGNMENT];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        header[12..16].copy_from_slice(&(self.sections.len() as u32).to_le_bytes());
        header[16..24].copy_from_slice(&(total as u64).to_le_bytes());
        let sum = crc32c::crc32c(&header[..24]);
        header[24..28].copy_from_slice(&sum.to_le_bytes());
        out.write_all(&header)?;
        for (tag, pieces) in &self.sections {
            let len = length(pieces);
            let mut header = [0; ALIGNMENT];
            header[..4].copy_from_slice(&tag.0);
            header[8..16].copy_from_slice(&(len as u64).to_le_bytes());
            let sum = pieces.iter().fold(crc32c::crc32c(&header[..16]), |sum, piece| crc32c::crc32c_append(sum, piece));
            header[16..20].copy_from_slice(&sum.to_le_bytes());
            out.write_all(&header)?;
            for piece in pieces {
                out.write_all(piece)?;
            }
            out.write_all(padding(len))?;
        }
        Ok(())
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes).expect("writing to memory does not fail");
        bytes
    }
}

/// A file taken apart, its sections checked against their sums.
#[derive(Debug)]
pub(crate) struct Sections<'a>(Vec<(Tag, &'a [u8])>);

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u64::from_le_bytes(*b))
}

/// The number of sections, if the header is that of a whole file of `found` bytes.
fn check_header(header: &[u8], found: u64) -> Result<u32, Kind> {
    let start = header.len().min(MAGIC.len());
    if header[..start] != MAGIC[..start] || start < 4 {
        let hint = match header {
            [] => ": it is empty",
            [b'P', b'K', 3, 4, ..] => ": it is a zip archive",
            [0x1f, 0x8b, ..] => ": it is a gzip file",
            [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => ": it is an npy array",
            [0x89, b'D', b'M', b'S', ..] => ": a transfer as text has changed its line ends, so transfer it as binary",
            _ => "",
        };
        return Err(Kind::Foreign { hint });
    }
    if header.len() < ALIGNMENT {
        return Err(Kind::Short { expected: ALIGNMENT as u64, found });
    }
    // Of a newer version, nothing behind the number is known.
    let version = u32_at(header, 8);
    if version == 0 || version > VERSION {
        return Err(Kind::Version { found: version, supported: VERSION });
    }
    if u32_at(header, 24) != crc32c::crc32c(&header[..24]) || header[28..ALIGNMENT] != PADDING[28..] {
        return Err(Kind::damaged("header")("its check sum is wrong".to_owned()));
    }
    let expected = u64_at(header, 16);
    match found.checked_sub(expected) {
        None => Err(Kind::Short { expected, found }),
        Some(0) => Ok(u32_at(header, 12)),
        Some(extra) => Err(Kind::Long { expected, extra }),
    }
}

/// Whether a file is there, has a header of ours, is as long as that says, and starts as a checkpoint does.
pub(crate) fn looks_like_checkpoint(path: &Path) -> bool {
    let mut start = Vec::with_capacity(2 * ALIGNMENT);
    std::fs::File::open(path).is_ok_and(|file| {
        let found = file.metadata().map_or(0, |m| m.len());
        let read = file.take(2 * ALIGNMENT as u64).read_to_end(&mut start).is_ok();
        let (header, section) = start.split_at(start.len().min(ALIGNMENT));
        read && check_header(header, found).is_ok() && section.starts_with(&Tag::VARIABLES.0)
    })
}

impl<'a> Sections<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Kind> {
        let head = &bytes[..bytes.len().min(ALIGNMENT)];
        let count = check_header(head, bytes.len() as u64)?;
        let mut sections = Vec::new();
        let mut rest = &bytes[ALIGNMENT..];
        for i in 0..count {
            let Some((header, body)) = rest.split_first_chunk::<ALIGNMENT>() else {
                return Err(Kind::damaged("header")(format!("it counts {count} sections, there are {i}")));
            };
            let tag = Tag([header[0], header[1], header[2], header[3]]);
            let told = Kind::damaged(format!("section {tag}"));
            let len = u64_at(header, 8);
            let padded = usize::try_from(len).ok().and_then(|n| n.checked_next_multiple_of(ALIGNMENT));
            let Some((payload, behind)) = padded.and_then(|n| body.split_at_checked(n)) else {
                return Err(told(format!("its length is {len}, {} bytes are there", body.len())));
            };
            let (payload, zeros) = payload.split_at(len as usize);
            let sum = crc32c::crc32c_append(crc32c::crc32c(&header[..16]), payload);
            let spaces = [&header[4..8], &header[20..], zeros];
            if u32_at(header, 16) != sum || spaces.iter().any(|s| s.iter().any(|b| *b != 0)) {
                return Err(told("its check sum is wrong".to_owned()));
            }
            if sections.iter().any(|(t, _)| *t == tag) {
                return Err(told("it is there twice".to_owned()));
            }
            if tag.what().is_some() {
                sections.push((tag, payload));
            } else if !tag.0[0].is_ascii_lowercase() {
                return Err(Kind::UnknownSection { tag });
            }
            rest = behind;
        }
        match rest.len() {
            0 => Ok(Sections(sections)),
            n => Err(Kind::damaged("header")(format!("{n} bytes follow the sections that it counts"))),
        }
    }

    pub(crate) fn find(&self, tag: Tag) -> Option<&'a [u8]> {
        self.0.iter().find(|(t, _)| *t == tag).map(|(_, payload)| *payload)
    }

    /// A section that must be there; `wanted` and `advice` say what for, and what to do where it is not.
    pub(crate) fn need(&self, tag: Tag, wanted: &'static str, advice: &'static str) -> Result<&'a [u8], Kind> {
        self.find(tag).ok_or_else(|| {
            let found: Vec<String> = self.0.iter().filter_map(|(t, _)| t.what()).map(str::to_owned).collect();
            Kind::Absent { wanted, found: joined(&found), advice }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn file(tags: &[&[u8; 4]]) -> Vec<u8> {
        let mut container = Container::default();
        for tag in tags {
            container.push(Tag(**tag), vec![Cow::Borrowed(b"one"), Cow::Owned(vec![7; 100])]);
        }
        container.to_bytes()
    }

    #[test]
    fn sections_come_back_on_their_alignment() {
        let bytes = file(&[b"GRPH", b"STEP"]);
        assert_eq!(bytes.len(), 64 + 2 * (64 + 128));
        let sections = Sections::parse(&bytes).unwrap();
        assert_eq!(sections.find(Tag::STEP).unwrap().len(), 103);
        assert!(sections.find(Tag::VARIABLES).is_none());
    }

    #[test]
    fn optional_sections_are_skipped_and_critical_ones_refused() {
        assert!(Sections::parse(&file(&[b"note", b"STEP"])).unwrap().find(Tag::STEP).is_some());
        let told = Sections::parse(&file(&[b"NOTE"])).unwrap_err().to_string();
        assert!(told.contains("\"NOTE\"") && told.contains("newer dormouse"), "{told}");
    }

    #[test]
    fn every_byte_counts() {
        let bytes = file(&[b"STEP"]);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x20;
            assert!(Sections::parse(&changed).is_err(), "byte {at}");
            assert!(Sections::parse(&bytes[..at]).is_err(), "{at} bytes");
        }
        assert!(matches!(Sections::parse(&[&bytes[..], &[0]].concat()), Err(Kind::Long { extra: 1, .. })));
    }

    #[test]
    fn files_of_others_are_told_apart() {
        let told = |bytes: &[u8]| Sections::parse(bytes).unwrap_err().to_string();
        assert!(told(b"").contains("it is empty"));
        assert!(told(b"PK\x03\x04....").contains("zip"));
        assert!(told(b"\x89DMS\n\x1a\n                ").contains("as binary"));
        let mut newer = file(&[b"STEP"]);
        newer[8] = 7;
        assert!(told(&newer).contains("format version 7"));
    }
}
