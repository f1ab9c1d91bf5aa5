#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

/// What TensorFlow decodes; see `tests/oracle/encoded.py`.
const GOLDEN: &str = include_str!("golden.txt");

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

/// A format, the channels asked for, a file, and what it is decoded to: extents and bytes.
type Line = (&'static str, Channels, Vec<u8>, Option<(Vec<usize>, Vec<u8>)>);

fn lines() -> impl Iterator<Item = Line> {
    GOLDEN.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (file, result) = line.split_once(" => ").unwrap();
        let words: Vec<&str> = file.split(' ').collect();
        let channels = match words[1] {
            "0" => Channels::OfFile,
            "1" => Channels::Gray,
            "3" => Channels::Rgb,
            _ => Channels::Rgba,
        };
        let result = result
            .split_once(' ')
            .map(|(dims, hex)| (dims.split(',').map(|n| n.parse().unwrap()).collect(), bytes_of(hex)));
        (words[0], channels, bytes_of(words[2]), result)
    })
}

#[test]
fn files_are_what_tensorflow_decodes() {
    let mut checked = 0;
    for (format, channels, file, expected) in lines() {
        let got = decode(&file, channels);
        let Some((dims, bytes)) = expected else {
            // TensorFlow converts no channels of a BMP.
            assert!(format == "bmp" || got.is_err(), "{format} {channels:?}");
            continue;
        };
        let got = got.unwrap();
        if format == "bmp" && dims[2] == 4 {
            // The short header does not say that the fourth byte of a pixel is opacity.
            continue;
        }
        assert_eq!(got.shape(), dims, "{format} {channels:?}");
        let far = got.to_vec::<u8>().unwrap().iter().zip(&bytes).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        let allowed = match (format, channels) {
            // Noise has colors beyond what bytes hold, which brightness is made of here, and not there.
            ("jpeg", Channels::Gray) if dims == [5, 7, 1] => 40,
            // Color at half the size is stretched in other ways.
            ("jpeg", _) if dims[0] == 12 => 8,
            ("jpeg", _) => 2,
            _ => 0,
        };
        assert!(far <= allowed, "{format} {channels:?} {dims:?}: {far} apart");
        checked += 1;
    }
    assert!(checked > 60, "{checked}");
}

#[test]
fn a_png_gives_its_array_back() {
    for channels in 1..=4 {
        let numbers = (0..3 * 5 * channels).map(|i| (i * 37 % 256) as u8).collect();
        let image = Value::from(Array3::from_shape_vec((3, 5, channels), numbers).unwrap());
        assert_eq!(decode(&encode_png(&image).unwrap(), Channels::OfFile).unwrap(), image);
    }
}

#[test]
fn a_jpeg_is_near_its_array() {
    let wave = |(i, j, c): (usize, usize, usize)| (128.0 + 60.0 * ((i + j + 4 * c) as f64 / 7.0).sin()) as u8;
    for channels in [1, 3] {
        let image = Array3::from_shape_fn((20, 31, channels), wave);
        let file = encode_jpeg(&Value::from(image.clone()), 95).unwrap();
        let back = decode(&file, Channels::OfFile).unwrap();
        assert_eq!(back.shape(), image.shape());
        let far = back.to_vec::<u8>().unwrap().iter().zip(&image).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(far <= Some(12), "{far:?}");
    }
}

#[test]
fn what_is_no_image_is_refused() {
    let told = |value: &Value| encode_png(value).unwrap_err().to_string();
    let floats = told(&Value::from(Array3::<f32>::zeros((2, 2, 3))));
    assert!(floats.ends_with("not f32[2, 2, 3]"), "{floats}");
    assert!(encode_png(&Value::from(Array3::<u8>::zeros((2, 2, 5)))).is_err());
    assert!(encode_png(&Value::from(Array3::<u8>::zeros((0, 2, 3)))).is_err());
    assert!(encode_jpeg(&Value::from(Array3::<u8>::zeros((2, 2, 4))), 95).is_err());
    assert!(encode_jpeg(&Value::from(Array3::<u8>::zeros((2, 2, 3))), 0).is_err());
    assert!(decode(b"", Channels::OfFile).is_err());
    assert!(decode(b"GIF89a", Channels::OfFile).is_err());
    let missing = load("/nowhere/at/all.png", Channels::OfFile).unwrap_err();
    assert_eq!(missing.io_kind(), Some(std::io::ErrorKind::NotFound));
}

#[test]
fn a_header_that_claims_too_much_is_refused() {
    let mut file = encode_png(&Value::from(Array3::<u8>::zeros((2, 2, 3)))).unwrap();
    // The width, with the checksum of the header made to fit, is not reached: a wrong one is refused first.
    file[16..20].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(decode(&file, Channels::OfFile).is_err());
    let mut bmp = lines().find(|(format, ..)| *format == "bmp").unwrap().2;
    bmp[18..26].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0x7F]);
    assert!(decode(&bmp, Channels::OfFile).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damaged_files_end(which in 0..70_usize, changes in prop::collection::vec((0..600_usize, any::<u8>()), 1..6), cut in 0..600_usize) {
        let (_, channels, mut file, _) = lines().nth(which).unwrap();
        for (at, byte) in changes {
            let at = at % file.len();
            file[at] = byte;
        }
        let end = file.len() - cut.min(file.len()) / 4;
        // An error or an image; neither a panic nor more memory than is allowed.
        let _ = decode(&file[..end], channels);
    }
}
