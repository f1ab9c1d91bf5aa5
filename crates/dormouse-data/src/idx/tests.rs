#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write;

use dormouse_value::{DType, Value};
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

fn idx(code: u8, extents: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, code, extents.len() as u8];
    for n in extents {
        bytes.extend(n.to_be_bytes());
    }
    bytes.extend(data);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn message(bytes: &[u8]) -> String {
    from_bytes(bytes).unwrap_err().to_string()
}

#[test]
fn every_element_type_and_rank() {
    let cases: [(u8, &[u32], &[u8], Value); 7] = [
        (0x08, &[2], &[0, 255], Value::from([0_u8, 255])),
        (0x09, &[1, 3], &[0x80, 0xff, 0x7f], Value::from([[-128_i8, -1, 127]])),
        (0x0b, &[2, 1], &[0x80, 0, 1, 2], Value::from([[-32768_i16], [258]])),
        (0x0c, &[1], &[0xff, 0xff, 0xff, 0xfe], Value::from([-2_i32])),
        (0x0d, &[1], &1.5_f32.to_be_bytes(), Value::from([1.5_f32])),
        (0x0e, &[1], &(-0.1_f64).to_be_bytes(), Value::from([-0.1_f64])),
        (0x08, &[1, 2, 1, 2], &[1, 2, 3, 4], Value::from_elements(&[1, 2, 1, 2], vec![1_u8, 2, 3, 4]).unwrap()),
    ];
    for (code, extents, data, expected) in cases {
        let bytes = idx(code, extents, data);
        assert_eq!(from_bytes(&bytes).unwrap(), expected, "type {code:#x}");
        assert_eq!(from_bytes(&gzip(&bytes)).unwrap(), expected, "type {code:#x}, gzip");
    }
}

#[test]
fn empty_arrays_keep_their_shape() {
    for extents in [&[0_u32][..], &[0, 28, 28], &[3, 0]] {
        let value = from_bytes(&idx(0x08, extents, &[])).unwrap();
        assert_eq!(value.shape().iter().map(|&n| n as u32).collect::<Vec<_>>(), extents);
        assert_eq!(value.dtype(), DType::U8);
    }
}

#[test]
fn data_longer_than_a_chunk() {
    let numbers: Vec<i32> = (0..40_000).collect();
    let data: Vec<u8> = numbers.iter().flat_map(|n| n.to_be_bytes()).collect();
    let bytes = idx(0x0c, &[40_000], &data);
    assert_eq!(from_bytes(&gzip(&bytes)).unwrap().to_vec::<i32>().unwrap(), numbers);
    let short = idx(0x0c, &[40_000], &data[..data.len() - 3]);
    let expected =
        "cut short or a damaged header: the header claims [40000] of i32 in 160000 bytes, 159997 bytes follow it";
    assert_eq!(message(&short), expected);
    assert_eq!(message(&gzip(&short)), expected);
}

#[test]
fn gzip_of_several_members_is_one_file() {
    let bytes = idx(0x08, &[4], &[1, 2, 3, 4]);
    let members = [gzip(&bytes[..6]), gzip(&bytes[6..])].concat();
    assert_eq!(from_bytes(&members).unwrap(), Value::from([1_u8, 2, 3, 4]));
}

#[test]
fn what_is_not_idx_is_said_to_be_so() {
    assert_eq!(
        message(b"<!DOCTYPE html>"),
        "not an idx file: it starts with bytes [3c, 21], an idx file with two zero bytes (or gzip's 1f, 8b)"
    );
    assert!(message(&gzip(b"hello")).starts_with("not an idx file: it starts with bytes [68, 65]"));
    assert_eq!(message(b""), "cut short: the file ends after 0 bytes, within the idx header of 4");
    assert_eq!(message(&[0, 0, 8]), "cut short: the file ends after 3 bytes, within the idx header of 4");
    assert_eq!(message(&[0, 0, 8, 3, 0, 0]), "cut short: the file ends after 6 bytes, within the idx header of 16");
    assert!(message(&idx(0x0a, &[1], &[0])).starts_with("unknown idx element type 0x0a; known are 0x08 u8"));
    assert_eq!(message(&idx(0x08, &[], &[7])), "an idx array of rank 0; ranks 1 to 4 can be read");
    assert_eq!(message(&idx(0x08, &[1; 5], &[7])), "an idx array of rank 5; ranks 1 to 4 can be read");
    assert_eq!(message(&[0, 0, 8, 255]), "an idx array of rank 255; ranks 1 to 4 can be read");
}

#[test]
fn claims_are_held_against_the_file() {
    assert_eq!(
        message(&idx(0x08, &[3], &[1, 2])),
        "cut short or a damaged header: the header claims [3] of u8 in 3 bytes, 2 bytes follow it"
    );
    for bytes in [idx(0x08, &[2], &[1, 2, 3]), gzip(&idx(0x08, &[2], &[1, 2, 3]))] {
        assert_eq!(
            message(&bytes),
            "trailing bytes or a damaged header: the header claims [2] of u8 in 2 bytes, and more bytes follow"
        );
    }
    // 2¹²⁸ bytes and more: refused before anything is allocated, or this test would abort.
    for code in [0x08, 0x0e] {
        let hostile = idx(code, &[u32::MAX; 4], &[0; 100]);
        assert!(message(&hostile).starts_with("cut short or a damaged header: the header claims [4294967295,"));
        assert!(message(&gzip(&hostile)).starts_with("a damaged header: it claims [4294967295,"));
        // A pipe has no length to compare with.
        assert!(matches!(decode(&hostile[..], None), Err(Kind::Unaddressable { .. } | Kind::Truncated { .. })));
    }
    let empty_but_huge = idx(0x08, &[0, u32::MAX, u32::MAX, u32::MAX], &[]);
    assert!(message(&empty_but_huge).ends_with("an array this machine cannot address"));
    // 16 TiB claimed from a pipe of 100 bytes: memory follows what comes.
    let hostile = idx(0x08, &[1 << 22, 1 << 22], &[0; 100]);
    assert!(matches!(decode(&hostile[..], None), Err(Kind::Truncated { have: 100, .. })));
}

#[test]
fn bombs_unpack_no_further_than_their_claim() {
    struct Counting<R>(R, u64);
    impl<R: Read> Read for Counting<R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.0.read(buffer)?;
            self.1 += n as u64;
            Ok(n)
        }
    }
    let bytes = idx(0x08, &[10], &vec![0; 64 << 20]);
    let bomb = gzip(&bytes);
    let mut reader = Counting(&bomb[..], 0);
    assert!(matches!(decode(&mut reader, Some(bomb.len() as u64)), Err(Kind::Trailing { .. })));
    assert!(reader.1 < bomb.len() as u64 - 1000, "read {} of {}", reader.1, bomb.len());
    // An honest file of zeros is as dense, and is read.
    let zeros = gzip(&idx(0x08, &[1 << 20], &vec![0; 1 << 20]));
    assert_eq!(from_bytes(&zeros).unwrap().len(), 1 << 20);
}

#[test]
fn damaged_gzip_is_named() {
    let good = gzip(&idx(0x08, &[64], &(0..64).collect::<Vec<_>>()));
    let damaged = "the gzip stream is damaged or cut short: ";
    let mut checksum = good.clone();
    checksum[good.len() - 6] ^= 1;
    assert!(message(&checksum).starts_with(damaged), "{}", message(&checksum));
    assert!(message(&good[..good.len() - 1]).starts_with(damaged));
    assert!(message(&good[..12]).starts_with(damaged));
    assert!(message(&good[..2]).starts_with(damaged));
    assert!(message(&[&good[..], b"tail"].concat()).starts_with(damaged));
}

#[test]
fn files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("train-images-idx3-ubyte");
    let error = read(&path).unwrap_err();
    assert_eq!(error.path(), Some(path.as_path()));
    assert_eq!(error.io_kind(), Some(io::ErrorKind::NotFound));
    assert!(error.to_string().starts_with(&format!("{}: cannot be read: ", path.display())));

    std::fs::write(&path, idx(0x08, &[3], &[1])).unwrap();
    let error = read(&path).unwrap_err();
    assert_eq!(error.io_kind(), None);
    assert!(error.to_string().starts_with(&format!("{}: cut short", path.display())));
    assert!(read(dir.path()).unwrap_err().to_string().contains("cannot be read"));

    std::fs::write(&path, idx(0x08, &[3], &[1, 2, 3])).unwrap();
    assert_eq!(read(&path).unwrap(), Value::from([1_u8, 2, 3]));
}

/// Small files of every element type and rank, plain and packed.
fn files() -> impl Strategy<Value = Vec<u8>> {
    let types = prop::sample::select(vec![(0x08, 1), (0x09, 1), (0x0b, 2), (0x0c, 4), (0x0d, 4), (0x0e, 8)]);
    (types, prop::collection::vec(0_u32..4, 1..=4), any::<u8>(), any::<bool>()).prop_map(
        |((code, size), extents, byte, packed)| {
            let data = vec![byte; size * extents.iter().product::<u32>() as usize];
            let bytes = idx(code, &extents, &data);
            if packed { gzip(&bytes) } else { bytes }
        },
    )
}

#[derive(Clone, Debug)]
enum Mutation {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, u8),
    Append(Vec<u8>),
    Word(prop::sample::Index, u32),
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let at = any::<prop::sample::Index>;
    let one = prop_oneof![
        (at(), 1_u8..).prop_map(|(i, bits)| Mutation::Flip(i, bits)),
        at().prop_map(Mutation::Cut),
        (at(), any::<u8>()).prop_map(|(i, byte)| Mutation::Insert(i, byte)),
        prop::collection::vec(any::<u8>(), 1..9).prop_map(Mutation::Append),
        (at(), any::<u32>()).prop_map(|(i, word)| Mutation::Word(i, word)),
    ];
    prop::collection::vec(one, 1..4)
}

fn mutate(bytes: &mut Vec<u8>, mutation: Mutation) {
    if bytes.is_empty() {
        return;
    }
    match mutation {
        Mutation::Flip(i, bits) => {
            let i = i.index(bytes.len());
            bytes[i] ^= bits;
        }
        Mutation::Cut(i) => bytes.truncate(i.index(bytes.len())),
        Mutation::Insert(i, byte) => bytes.insert(i.index(bytes.len()), byte),
        Mutation::Append(tail) => bytes.extend(tail),
        Mutation::Word(i, word) => {
            let i = i.index(bytes.len());
            bytes.iter_mut().skip(i).zip(word.to_be_bytes()).for_each(|(byte, new)| *byte = new);
        }
    }
}

/// What was read must be what an unpacked file of its shape and type holds, byte for byte in number.
fn consistent(plain: &[u8], value: &Value) -> bool {
    let (code, rank) = (plain[2], plain[3] as usize);
    let size = match code {
        0x08 | 0x09 => 1,
        0x0b => 2,
        0x0c | 0x0d => 4,
        _ => 8,
    };
    value.shape().len() == rank && plain.len() == 4 + 4 * rank + size * value.len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_are_errors_or_consistent(file in files(), mutations in mutations()) {
        let mut bytes = file;
        for mutation in mutations {
            mutate(&mut bytes, mutation);
        }
        match from_bytes(&bytes) {
            Ok(value) if bytes.starts_with(&GZIP_MAGIC) => {
                let mut plain = Vec::new();
                prop_assert!(MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).is_ok());
                prop_assert!(consistent(&plain, &value));
            }
            Ok(value) => prop_assert!(consistent(&bytes, &value)),
            Err(error) => prop_assert!(!error.to_string().contains('\n')),
        }
    }

    #[test]
    fn any_bytes_are_errors_or_consistent(tail in prop::collection::vec(any::<u8>(), 0..64), packed: bool) {
        let bytes = [if packed { &GZIP_MAGIC[..] } else { &[0, 0] }, &tail].concat();
        if let Ok(value) = from_bytes(&bytes) {
            prop_assert!(!packed && consistent(&bytes, &value));
        }
    }
}
