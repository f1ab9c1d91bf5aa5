//! Image files: JPEG, PNG and BMP into arrays `[height, width, channels]` of bytes, and arrays into JPEG and PNG, as
//! TensorFlow's `tf.image.decode_*` and `encode_*`.
//!
//! PNG and BMP give TensorFlow's bytes, but for the fourth byte of a BMP's pixels whose header does not say that it is
//! opacity: it is left out. Of JPEG, decoders differ in how they round: bytes are at most 2 from what
//! TensorFlow's gives with its accurate transform, or 8 where color was stored at half the size. The brightness of a JPEG in
//! color is made of its colors, where TensorFlow takes what the file says, which differs where colors are out of range.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use dormouse_value::Value;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat, ImageReader, Limits};
use ndarray::Array3;

use crate::error::{Error, Kind};

/// What a decoded image takes at most: small files can stand for large ones.
const MOST_BYTES: u64 = 1 << 29;
/// Parts of red, green and blue in brightness, of 32,768.
const BRIGHTNESS: [u32; 3] = [9798, 19_234, 3736];

/// The channels of a decoded image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Channels {
    /// Those of the file.
    #[default]
    OfFile,
    /// Brightness.
    Gray,
    /// Red, green and blue.
    Rgb,
    /// Red, green, blue and opacity. Not of JPEG.
    Rgba,
}

/// The array `[height, width, channels]` of bytes of a JPEG, PNG or BMP file's bytes, the format told by the first of them.
///
/// Numbers of 16 bits keep their upper half; colors from a palette are colors.
///
/// # Errors
/// When the bytes are no such image, are damaged, or stand for more than half a gigabyte, or where opacity is asked of a
/// JPEG.
pub fn decode(bytes: &[u8], channels: Channels) -> Result<Value, Error> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(Kind::Io)?;
    let format = reader.format();
    match format {
        Some(ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::Bmp) => {}
        Some(_) | None => return Err(Kind::ImageFormat.into()),
    }
    if format == Some(ImageFormat::Jpeg) && channels == Channels::Rgba {
        return Err(Kind::Image("a JPEG has no opacity".to_owned()).into());
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    let decoded = reader.decode().map_err(|e| Kind::Image(e.to_string()))?;
    array(decoded, channels)
}

/// As [`decode`], of a file.
///
/// # Errors
/// When the file cannot be read, and as of [`decode`].
pub fn load(path: impl AsRef<Path>, channels: Channels) -> Result<Value, Error> {
    let path = path.as_ref();
    let bytes = fs::read(path).map_err(|e| Kind::Io(e).at(path))?;
    decode(&bytes, channels).map_err(|e| e.beside(path))
}

fn array(decoded: DynamicImage, channels: Channels) -> Result<Value, Error> {
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    // Numbers of 16 bits lose the lower half, and are not rounded.
    let upper = |words: Vec<u16>| words.into_iter().map(|word| (word >> 8) as u8).collect::<Vec<u8>>();
    // Brightness is made of them whole.
    let bright = |words: &[u16], own: usize| {
        let sum =
            |pixel: &[u16]| pixel.iter().zip(BRIGHTNESS).map(|(part, weight)| u32::from(*part) * weight).sum::<u32>();
        (1, words.chunks_exact(own).map(|pixel| (sum(pixel) >> 23) as u8).collect())
    };
    let (own, bytes) = match decoded {
        DynamicImage::ImageLuma8(image) => (1, image.into_raw()),
        DynamicImage::ImageLumaA8(image) => (2, image.into_raw()),
        DynamicImage::ImageRgb8(image) => (3, image.into_raw()),
        DynamicImage::ImageRgba8(image) => (4, image.into_raw()),
        DynamicImage::ImageLuma16(image) => (1, upper(image.into_raw())),
        DynamicImage::ImageLumaA16(image) => (2, upper(image.into_raw())),
        DynamicImage::ImageRgb16(image) if channels == Channels::Gray => bright(&image, 3),
        DynamicImage::ImageRgba16(image) if channels == Channels::Gray => bright(&image, 4),
        DynamicImage::ImageRgb16(image) => (3, upper(image.into_raw())),
        DynamicImage::ImageRgba16(image) => (4, upper(image.into_raw())),
        other @ (DynamicImage::ImageRgb32F(_) | DynamicImage::ImageRgba32F(_) | _) => (3, other.into_rgb8().into_raw()),
    };
    let (count, bytes) = match channels {
        Channels::OfFile => (own, bytes),
        Channels::Gray => (1, bytes.chunks_exact(own).map(gray).collect()),
        Channels::Rgb => (3, bytes.chunks_exact(own).flat_map(color).collect()),
        Channels::Rgba => {
            let opaque = |pixel: &[u8]| if pixel.len().is_multiple_of(2) { pixel[pixel.len() - 1] } else { u8::MAX };
            let rgba = |pixel: &[u8]| -> [u8; 4] {
                let [red, green, blue] = color(pixel);
                [red, green, blue, opaque(pixel)]
            };
            (4, bytes.chunks_exact(own).flat_map(rgba).collect())
        }
    };
    let whole = Array3::from_shape_vec((height, width, count), bytes);
    whole.map(Value::from).map_err(|e| Kind::Image(e.to_string()).into())
}

/// A pixel's red, green and blue.
fn color(pixel: &[u8]) -> [u8; 3] {
    match *pixel {
        [red, green, blue, ..] => [red, green, blue],
        [gray, ..] => [gray; 3],
        [] => [0; 3],
    }
}

/// A pixel's brightness.
fn gray(pixel: &[u8]) -> u8 {
    let [red, green, blue] = color(pixel);
    if red == green && green == blue {
        return red;
    }
    let parts = [red, green, blue].into_iter().zip(BRIGHTNESS);
    let sum: u32 = parts.map(|(part, weight)| u32::from(part) * weight).sum();
    (sum >> 15) as u8
}

/// The bytes of a PNG file of an array `[height, width, channels]` of bytes: brightness, with or without opacity, or red,
/// green and blue, with or without.
///
/// # Errors
/// When the array is of another form.
pub fn encode_png(image: &Value) -> Result<Vec<u8>, Error> {
    let pixels = Pixels::of(image, "PNG", &[1, 2, 3, 4])?;
    let mut file = Vec::new();
    let written = PngEncoder::new(&mut file).write_image(&pixels.bytes, pixels.width, pixels.height, pixels.color);
    written.map(|()| file).map_err(|e| Kind::Image(e.to_string()).into())
}

/// The bytes of a JPEG file of an array `[height, width, channels]` of bytes, brightness or red, green and blue, at a
/// quality from 1 to 100; TensorFlow's is 95.
///
/// # Errors
/// When the array is of another form, or the quality is.
pub fn encode_jpeg(image: &Value, quality: u8) -> Result<Vec<u8>, Error> {
    if !(1..=100).contains(&quality) {
        return Err(Kind::Image(format!("a JPEG's quality is from 1 to 100, not {quality}")).into());
    }
    let pixels = Pixels::of(image, "JPEG", &[1, 3])?;
    let mut file = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut file, quality);
    let written = encoder.write_image(&pixels.bytes, pixels.width, pixels.height, pixels.color);
    written.map(|()| file).map_err(|e| Kind::Image(e.to_string()).into())
}

/// What encoders take.
struct Pixels {
    width: u32,
    height: u32,
    color: ExtendedColorType,
    bytes: Vec<u8>,
}

impl Pixels {
    fn of(image: &Value, what: &str, takes: &[usize]) -> Result<Pixels, Error> {
        let told = || {
            let (dtype, shape) = (image.dtype(), image.shape());
            Kind::Image(format!(
                "a {what} is of u8 [height, width, channels], channels {takes:?}, not {dtype}{shape:?}"
            ))
        };
        let &[height, width, channels] = image.shape() else { return Err(told().into()) };
        let color = match channels {
            1 => ExtendedColorType::L8,
            2 => ExtendedColorType::La8,
            3 => ExtendedColorType::Rgb8,
            _ => ExtendedColorType::Rgba8,
        };
        let extent = |n: usize| u32::try_from(n).ok().filter(|n| *n > 0);
        match (extent(width), extent(height), image.to_vec::<u8>()) {
            (Some(width), Some(height), Ok(bytes)) if takes.contains(&channels) => {
                Ok(Pixels { width, height, color, bytes })
            }
            _ => Err(told().into()),
        }
    }
}

#[cfg(test)]
mod tests;
