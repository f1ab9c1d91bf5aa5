//! Changes of files. The frame is taken apart and put together here a second time, from `docs/file-format.md`.

use rand::rngs::StdRng;
use rand::{Rng, RngExt};

/// The sections of a file: tags and payloads.
pub(crate) struct Parts(pub(crate) Vec<([u8; 4], Vec<u8>)>);

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().unwrap()))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().unwrap()))
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(64), 0);
    bytes
}

impl Parts {
    /// Takes a file apart, without looking at its sums.
    pub(crate) fn of(bytes: &[u8]) -> Option<Parts> {
        let count = u32_at(bytes, 12)?;
        let mut parts = Vec::new();
        let mut at = 64;
        for _ in 0..count {
            let tag = bytes.get(at..at + 4)?.try_into().unwrap();
            let len = usize::try_from(u64_at(bytes, at + 8)?).ok()?;
            let payload = bytes.get(at + 64..)?.get(..len)?;
            parts.push((tag, payload.to_vec()));
            at = (at + 64 + len).next_multiple_of(64);
        }
        (at == bytes.len()).then_some(Parts(parts))
    }

    /// Puts a file together, its sums right.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for (tag, payload) in &self.0 {
            let mut header = [tag.as_slice(), &[0; 4], &(payload.len() as u64).to_le_bytes()].concat();
            let sum = crc32c::crc32c_append(crc32c::crc32c(&header), payload);
            header.extend(sum.to_le_bytes());
            body.extend(padded(header));
            body.extend(padded(payload.clone()));
        }
        let mut file = b"\x89DMS\r\n\x1a\n".to_vec();
        file.extend(1_u32.to_le_bytes());
        file.extend((self.0.len() as u32).to_le_bytes());
        file.extend((64 + body.len() as u64).to_le_bytes());
        file.extend(crc32c::crc32c(&file).to_le_bytes());
        let mut file = padded(file);
        file.extend(body);
        file
    }

    pub(crate) fn payload(&mut self, tag: [u8; 4]) -> Option<&mut Vec<u8>> {
        self.0.iter_mut().find(|p| p.0 == tag).map(|p| &mut p.1)
    }
}

/// Lengths and numbers that hurt, as records write them.
fn hostile_number(random: &mut StdRng) -> Vec<u8> {
    let wide = |n: u64| [&[253], n.to_le_bytes().as_slice()].concat();
    match random.random_range(0..7) {
        0 => wide(1 << 60),
        1 => wide(u64::MAX),
        2 => wide(1 << random.random_range(0..64)),
        3 => [&[252], random.next_u32().to_le_bytes().as_slice()].concat(),
        4 => [&[252], u32::MAX.to_le_bytes().as_slice()].concat(),
        5 => [&[251], (random.next_u32() as u16).to_le_bytes().as_slice()].concat(),
        _ => vec![random.random_range(0..=255)],
    }
}

/// Changes one payload.
fn change(payload: &mut Vec<u8>, random: &mut StdRng) {
    if payload.is_empty() {
        payload.push(random.random());
        return;
    }
    let at = random.random_range(0..payload.len());
    match random.random_range(0..7) {
        0 => payload[at] ^= 1 << random.random_range(0..8),
        1 => payload[at] = random.random(),
        // Small numbers are what tags, ports and nodes are.
        2 => payload[at] = random.random_range(0..16),
        3 => drop(payload.splice(at..=at, hostile_number(random))),
        4 => drop(payload.remove(at)),
        5 => payload.insert(at, random.random()),
        _ => {
            let end = (at + random.random_range(1..16)).min(payload.len());
            let piece = payload[at..end].to_vec();
            let to = random.random_range(0..payload.len());
            payload.splice(to..to, piece);
        }
    }
}

/// A file changed in one of many ways: most keep the sums right, the others do not.
pub(crate) fn mutated(base: &[u8], others: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = base.to_vec();
    let kind = random.random_range(0..16);
    match kind {
        0 => bytes.truncate(random.random_range(0..bytes.len())),
        1 => {
            for _ in 0..random.random_range(1..8) {
                let at = random.random_range(0..bytes.len());
                bytes[at] ^= 1 << random.random_range(0..8);
            }
        }
        2 => {
            let from = random.random_range(0..bytes.len());
            let to = random.random_range(from..=bytes.len().min(from + 64));
            random.fill_bytes(&mut bytes[from..to]);
        }
        3 => {
            bytes = vec![0; random.random_range(0..2000)];
            random.fill_bytes(&mut bytes);
            if random.random() {
                let start = bytes.len().min(28);
                bytes[..start].copy_from_slice(&base[..start]);
            }
        }
        4 => {
            // A length in a header, with nothing else put right.
            let at = [16, 64 + 8][random.random_range(0..2)];
            bytes[at..at + 8].copy_from_slice(&(1_u64 << random.random_range(0..64)).to_le_bytes());
        }
        _ => {
            let Some(mut parts) = Parts::of(base) else { return bytes };
            if kind == 5 {
                // Sections of another file, dropped ones, and ones in another order.
                let other = Parts::of(&others[random.random_range(0..others.len())]).unwrap();
                let taken = other.0[random.random_range(0..other.0.len())].clone();
                let at = random.random_range(0..parts.0.len());
                match random.random_range(0..4) {
                    0 => parts.0[at] = taken,
                    1 => drop(parts.0.remove(at)),
                    2 => parts.0.swap(0, at),
                    _ => parts.0[at].0[random.random_range(0..4)] ^= 0x20,
                }
            } else {
                for _ in 0..random.random_range(1..4) {
                    let at = random.random_range(0..parts.0.len());
                    change(&mut parts.0[at].1, random);
                }
            }
            bytes = parts.to_bytes();
        }
    }
    bytes
}
