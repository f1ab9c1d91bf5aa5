//! The methods of `tests/fixtures/images.txt`, which `tests/oracle/images.py` writes.

use dormouse::graph::{CropAndResize, NonMaxSuppression};
use dormouse::prelude::*;
use dormouse::value::{Op, Resize, Sampling};

use crate::case::{Attributes, Case};

/// The results of a case's method; `None` where it is not one of these.
pub(crate) fn build(case: &Case, x: &[Tensor]) -> Option<Vec<Tensor>> {
    let a = &case.attributes;
    let extents = |key: &str| a.pair::<usize>(key);
    let suppression =
        || NonMaxSuppression { most: a.number("most"), overlap: a.number("overlap"), score: a.number("score") };
    let result = match case.method {
        "resize" => resize(a, x[0]),
        "resize_images" => {
            let options = ResizeImages { preserve_aspect_ratio: a.flag("keep"), ..ResizeImages::default() };
            x[0].resize_images_with(extents("size"), options)
        }
        "crop_to_bounding_box" => x[0].crop_to_bounding_box(extents("offset"), extents("size")),
        "pad_to_bounding_box" => x[0].pad_to_bounding_box(extents("offset"), extents("size")),
        "central_crop" => x[0].central_crop(a.number("fraction")),
        "resize_with_crop_or_pad" => x[0].resize_with_crop_or_pad(extents("size")),
        "flip_left_right" => x[0].flip_left_right(),
        "flip_up_down" => x[0].flip_up_down(),
        "transpose_image" => x[0].transpose_image(),
        "rot90" => x[0].rot90(a.number("k")),
        "convert_image_dtype" if a.flag("saturate") => x[0].convert_image_dtype_saturated(a.dtype("dtype")),
        "convert_image_dtype" => x[0].convert_image_dtype(a.dtype("dtype")),
        "adjust_brightness" => x[0].adjust_brightness(a.number::<f64>("delta")),
        "adjust_contrast" => x[0].adjust_contrast(a.number::<f64>("factor")),
        "adjust_hue" => x[0].adjust_hue(a.number::<f64>("delta")),
        "adjust_saturation" => x[0].adjust_saturation(a.number::<f64>("factor")),
        "adjust_gamma" => x[0].adjust_gamma(a.number("gamma"), a.number("gain")),
        "rgb_to_grayscale" => x[0].rgb_to_grayscale(),
        "grayscale_to_rgb" => x[0].grayscale_to_rgb(),
        "per_image_standardization" => x[0].per_image_standardization(),
        "rgb_to_hsv" => x[0].rgb_to_hsv(),
        "hsv_to_rgb" => x[0].hsv_to_rgb(),
        "rgb_to_yiq" => x[0].rgb_to_yiq(),
        "yiq_to_rgb" => x[0].yiq_to_rgb(),
        "rgb_to_yuv" => x[0].rgb_to_yuv(),
        "yuv_to_rgb" => x[0].yuv_to_rgb(),
        "crop_and_resize" => x[0].crop_and_resize_with(x[1], x[2], extents("size"), parts(a)),
        "crop_and_resize_of" => {
            let graph = x[0].graph();
            let boxes = graph.constant([[0.0_f32, 0.0, 1.0, 1.0], [0.1, 0.2, 0.7, 0.9], [0.7, 0.8, 0.1, 0.3]]);
            x[0].crop_and_resize_with(boxes, graph.constant([0, 1, 1]), extents("size"), parts(a))
        }
        "draw_bounding_boxes" => x[0].draw_bounding_boxes(x[1]),
        "draw_bounding_boxes_in" => x[0].draw_bounding_boxes_in(x[1], x[2]),
        "non_max_suppression" => x[0].non_max_suppression(x[1], suppression()),
        "non_max_suppression_padded" => return Some(x[0].non_max_suppression_padded(x[1], suppression()).into()),
        "sobel_edges" => x[0].sobel_edges(),
        "total_variation" => x[0].total_variation(),
        "psnr" => x[0].psnr(x[1], a.number("most")),
        "ssim" => x[0].ssim(x[1], a.number("most")),
        "image_gradients" => return Some(x[0].image_gradients().into()),
        _ => return None,
    };
    Some(vec![result])
}

fn parts(a: &Attributes) -> CropAndResize {
    CropAndResize { nearest: a.flag("nearest"), outside: a.number("outside") }
}

/// TensorFlow's operation itself, which gives f32 of integers.
fn resize(a: &Attributes, x: Tensor) -> Tensor {
    let interpolation = match a.text("method") {
        Some("nearest") => Interpolation::Nearest,
        Some("bilinear") => Interpolation::Bilinear,
        Some("bicubic") => Interpolation::Bicubic,
        _ => Interpolation::Area,
    };
    let sampling = match a.text("places") {
        Some("corner") => Sampling::Corner,
        Some("aligned") => Sampling::AlignedCorners,
        _ => Sampling::HalfPixel,
    };
    let x = if interpolation == Interpolation::Nearest { x } else { x.cast(DType::F32) };
    x.graph().apply(Op::ResizeImages(Resize { interpolation, sampling, size: a.pair("size") }), &[x])
}
