"""Writes what TensorFlow's image operations give: the golden numbers of tests/tensorflow.

    python tests/oracle/images.py > tests/fixtures/images.txt

A line is a case, as tests/oracle/ops.py has it. Draws follow `# Random images`, as tests/oracle/draws.py has them, with the
results' elements told.

Left out on purpose: f64 images of resizing and cropping (TensorFlow computes them in f32, Dormouse in f64).
"""

import numpy as np
import tensorflow as tf2

from draws import SEEDS, draw
from ops import case, f32, f64, grad, i32, i64, inf, nan, noise, tf, u8

image = tf.image
METHODS = {"nearest": image.ResizeMethod.NEAREST_NEIGHBOR, "bilinear": image.ResizeMethod.BILINEAR,
           "bicubic": image.ResizeMethod.BICUBIC, "area": image.ResizeMethod.AREA}
RAW = {"nearest": tf.raw_ops.ResizeNearestNeighbor, "bilinear": tf.raw_ops.ResizeBilinear, "bicubic": tf.raw_ops.ResizeBicubic}


def unit(dims, dtype=f32, seed=0):
    x = np.random.RandomState(seed + 5).uniform(0, 1, dims)
    return (x * 256).astype(u8) if dtype == u8 else x.astype(dtype)


def resized(method, places, size):
    if method == "area":
        return lambda x: tf.raw_ops.ResizeArea(images=x, size=size, align_corners=places == "aligned")
    return lambda x: RAW[method](images=x, size=size, align_corners=places == "aligned", half_pixel_centers=places == "centers")


def resizing():
    shapes = [([1, 4, 5, 1], [7, 9]), ([2, 5, 4, 3], [3, 2]), ([1, 3, 3, 2], [3, 3]), ([1, 1, 1, 1], [3, 2]), ([1, 6, 5, 3], [1, 1]),
              ([1, 2, 7, 4], [4, 1]), ([1, 6, 7, 1], [4, 10]), ([0, 3, 2, 1], [2, 2]), ([1, 7, 3, 3], [7, 6])]
    for method in METHODS:
        for places in ("corner", "aligned", "centers"):
            if method == "area" and places == "centers":
                continue
            for dims, size in shapes:
                attributes = {"method": method, "places": places, "size": size}
                check = case if method == "area" or 0 in dims else grad
                if method == "area" and places == "aligned" and 1 in dims[1:3]:
                    continue
                check("resize", resized(method, places, size), noise(dims), **attributes)
                if dims[0] == 2:
                    for dtype in (u8, i32, i64):
                        case("resize", resized(method, places, size), (100 * noise(dims)).astype(dtype), **attributes)
                    if method == "nearest":
                        case("resize", resized(method, places, size), noise(dims, f64), **attributes)
    odd = np.array([nan, 1.0, inf, 2.0, 0.0, -inf, 3.0, -0.0, 1e-30, 4.0, 1e30, 5.0], f32).reshape([1, 3, 4, 1])
    for method, size in (("nearest", [5, 2]), ("bilinear", [3, 4]), ("bilinear", [6, 4]), ("area", [2, 2])):
        case("resize", resized(method, "corner", size), odd, method=method, places="corner", size=size)
    for size in ([0, 3], [3, 0]):
        case("resize", resized("bilinear", "corner", size), noise([1, 3, 3, 1]), method="bilinear", places="corner", size=size)
    case("resize", resized("nearest", "corner", [2, 2]), np.zeros([1, 0, 3, 1], f32), method="nearest", places="corner", size=[2, 2])
    case("resize", resized("nearest", "corner", [2, 2]), noise([3, 3]), method="nearest", places="corner", size=[2, 2])
    for keep, dims, size in ((False, [4, 6, 3], [8, 3]), (True, [4, 6, 3], [9, 9]), (True, [2, 5, 3, 1], [4, 9]), (False, [4, 6, 3], [4, 6])):
        for dtype in (f32, u8):
            make = lambda x: image.resize_images(x, size, preserve_aspect_ratio=keep)
            case("resize_images", make, unit(dims, dtype), size=size, keep=keep)


def moving():
    for dims in ([5, 6, 2], [2, 5, 6, 1]):
        for dtype in (f32, u8):
            x = unit(dims, dtype)
            check = grad if dtype == f32 else case
            for offset, size in (([1, 2], [3, 2]), ([0, 0], [5, 6]), ([4, 5], [1, 1])):
                make = lambda x: image.crop_to_bounding_box(x, *offset, *size)
                check("crop_to_bounding_box", make, x, offset=offset, size=size)
            for offset, size in (([1, 2], [8, 9]), ([0, 0], [5, 6]), ([0, 3], [5, 9])):
                make = lambda x: image.pad_to_bounding_box(x, *offset, *size)
                check("pad_to_bounding_box", make, x, offset=offset, size=size)
            for fraction in (1.0, 0.5, 0.34, 0.9, 0.01):
                check("central_crop", lambda x: image.central_crop(x, fraction), x, fraction=fraction)
            for size in ([8, 9], [3, 3], [4, 9], [9, 1], [5, 6], [6, 5], [1, 8]):
                make = lambda x: image.resize_image_with_crop_or_pad(x, *size)
                check("resize_with_crop_or_pad", make, x, size=size)
            check("flip_left_right", image.flip_left_right, x)
            check("flip_up_down", image.flip_up_down, x)
            check("transpose_image", image.transpose_image, x)
            for k in (0, 1, 2, 3, 5, -1):
                check("rot90", lambda x: image.rot90(x, k % 4), x, k=k)
    for offset, size in (([0, 0], [6, 6]), ([-1, 0], [1, 1]), ([1, 1], [0, 2])):
        if min(offset) >= 0:
            case("crop_to_bounding_box", lambda x: image.crop_to_bounding_box(x, *offset, *size), unit([5, 6, 1]), offset=offset, size=size)
    case("pad_to_bounding_box", lambda x: image.pad_to_bounding_box(x, 1, 0, 5, 6), unit([5, 6, 1]), offset=[1, 0], size=[5, 6])
    case("central_crop", lambda x: image.central_crop(x, 0.0), unit([5, 6, 1]), fraction=0.0)
    case("central_crop", lambda x: image.central_crop(x, 0.5), unit([5, 6]), fraction=0.5)
    case("resize_with_crop_or_pad", lambda x: image.resize_image_with_crop_or_pad(x, 0, 2), unit([5, 6, 1]), size=[0, 2])


def colors():
    dtypes = {"f32": (f32, tf.float32), "f64": (f64, tf.float64), "u8": (u8, tf.uint8), "i32": (i32, tf.int32), "i64": (i64, tf.int64)}
    values = {"f32": [0.0, 0.2, 0.5, 0.999, 1.0], "f64": [0.0, 0.2, 0.5, 0.999, 1.0], "u8": [0, 1, 17, 128, 254, 255],
              "i32": [0, 1, 8388607, 8388608, 2147483647, 1 << 30], "i64": [0, 1, 1 << 32, (1 << 62) + 5, (1 << 63) - 1, 1 << 55]}
    for a, (dtype, _) in dtypes.items():
        for b, (_, t) in dtypes.items():
            if a[0] == "f" and b in ("i32", "i64"):
                # The largest numbers are beyond the dtype.
                x = np.array([0.0, 0.25, 0.5, 0.75], dtype)
            else:
                x = np.array(values[a], dtype)
            for saturate in (False, True):
                case("convert_image_dtype", lambda x: image.convert_image_dtype(x, t, saturate), x, dtype=b, saturate=saturate)
    case("convert_image_dtype", lambda x: image.convert_image_dtype(x, tf.uint8, True), f32([-0.5, 1.5, 1e10, -1e10, 0.1]), dtype="u8", saturate=True)
    case("convert_image_dtype", lambda x: image.convert_image_dtype(x, tf.uint8, True), np.array([-5, 1 << 24], i32), dtype="u8", saturate=True)
    for dims in ([4, 5, 3], [2, 3, 4, 3]):
        for dtype in (f32, u8):
            x = unit(dims, dtype)
            check = grad if dtype == f32 else case
            for delta in (0.1, -0.25, 1.0):
                check("adjust_brightness", lambda x: image.adjust_brightness(x, delta), x, delta=delta)
            for factor in (0.5, 2.0, -1.0, 0.0):
                case("adjust_contrast", lambda x: image.adjust_contrast(x, factor), x, factor=factor)
            for delta in (0.0, 0.1, -0.3, 0.5, 0.9, -1.0, 1.0):
                case("adjust_hue", lambda x: image.adjust_hue(x, delta), x, delta=delta)
            for factor in (0.0, 0.5, 1.0, 3.0):
                case("adjust_saturation", lambda x: image.adjust_saturation(x, factor), x, factor=factor)
            for gamma, gain in ((1.0, 1.0), (2.0, 0.5), (0.45, 1.0)):
                check("adjust_gamma", lambda x: image.adjust_gamma(x, gamma, gain), x, gamma=gamma, gain=gain)
            check("rgb_to_grayscale", image.rgb_to_grayscale, x)
            case("per_image_standardization", image.per_image_standardization, x)
            check("grayscale_to_rgb", image.grayscale_to_rgb, x[..., :1])
        grad("per_image_standardization", image.per_image_standardization, unit(dims))
    flat = [[0.5, 0.5, 0.5], [0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1], [0.2, 0.2, 0.7], [0.7, 0.2, 0.2], [0.2, 0.7, 0.2]]
    edges = np.array(flat, f32).reshape([3, 4, 3])
    for delta in (0.0, 0.25, -0.5):
        case("adjust_hue", lambda x: image.adjust_hue(x, delta), edges, delta=delta)
    for factor in (0.5, 2.0):
        case("adjust_saturation", lambda x: image.adjust_saturation(x, factor), edges, factor=factor)
    case("per_image_standardization", image.per_image_standardization, np.full([2, 3, 1], 7, u8))
    for dtype in (f32, f64):
        case("rgb_to_hsv", image.rgb_to_hsv, edges.astype(dtype))
        case("rgb_to_hsv", image.rgb_to_hsv, unit([3, 3], dtype))
        case("hsv_to_rgb", image.hsv_to_rgb, edges.astype(dtype))
        case("hsv_to_rgb", image.hsv_to_rgb, unit([2, 4, 5, 3], dtype))
    grad("rgb_to_hsv", image.rgb_to_hsv, unit([2, 5, 3]))
    case("rgb_to_hsv", image.rgb_to_hsv, np.zeros([0, 3], f32))
    for name in ("rgb_to_yiq", "yiq_to_rgb", "rgb_to_yuv", "yuv_to_rgb"):
        for dtype in (f32, f64):
            grad(name, getattr(tf2.image, name), unit([4, 2, 3], dtype))
    case("rgb_to_hsv", image.rgb_to_hsv, unit([3, 2]))
    case("adjust_hue", lambda x: image.adjust_hue(x, 0.1), unit([3, 3, 1]), delta=0.1)


def boxes():
    some = np.array([[0.0, 0.0, 1.0, 1.0], [0.1, 0.2, 0.7, 0.9], [0.7, 0.8, 0.1, 0.3], [-0.5, 0.25, 0.5, 1.5], [0.5, 0.5, 0.5, 0.5]], f32)
    of = np.array([0, 1, 1, 0, 1], i32)
    for size in ([3, 4], [1, 1], [7, 2], [1, 3]):
        for nearest in (False, True):
            for outside in (0.0, -2.5):
                method = "nearest" if nearest else "bilinear"
                make = lambda x, b, o: image.crop_and_resize(x, b, o, size, method=method, extrapolation_value=outside)
                case("crop_and_resize", make, unit([2, 5, 6, 3]), some, of, size=size, nearest=nearest, outside=outside)
                case("crop_and_resize", make, unit([2, 5, 6, 3], u8), some, of, size=size, nearest=nearest, outside=outside)
            make = lambda x, b, o: image.crop_and_resize(x, b, o, size, method=method)
            if nearest:
                # TensorFlow differentiates by boxes as if cells were made of four.
                grad("crop_and_resize_of", lambda x: make(x, tf.constant(some[:3]), tf.constant(of[:3])), unit([2, 5, 6, 1]), size=size, nearest=nearest, outside=0.0)
            else:
                grad("crop_and_resize", make, unit([2, 5, 6, 2]), some[1:4], of[1:4], size=size, nearest=nearest, outside=0.0)
    bad = {"size": [2, 2], "nearest": False, "outside": 0.0}
    make = lambda x, b, o: image.crop_and_resize(x, b, o, [2, 2])
    case("crop_and_resize", make, unit([2, 5, 6, 1]), some, np.array([0, 1, 2, 0, 0], i32), **bad)
    case("crop_and_resize", make, unit([2, 5, 6, 1]), some, np.array([0, 1, -1, 0, 0], i32), **bad)
    case("crop_and_resize", make, unit([2, 5, 6, 1]), np.full([1, 4], nan, f32), np.array([0], i32), **bad)
    case("crop_and_resize", make, unit([2, 5, 6, 1]), np.zeros([0, 4], f32), np.zeros([0], i32), **bad)
    drawn = np.array([[[0.0, 0.0, 1.0, 1.0], [0.2, 0.1, 0.6, 0.8], [0.9, 0.2, 0.3, 0.5], [-0.5, -0.2, 0.5, 0.4], [0.4, 0.4, 1.4, 1.9], [2.0, 2.0, 3.0, 3.0], [0.5, 0.5, 0.5, 0.5]]], f32)
    for channels in (1, 3, 4):
        case("draw_bounding_boxes", image.draw_bounding_boxes, unit([1, 9, 8, channels]), drawn)
    case("draw_bounding_boxes", image.draw_bounding_boxes, unit([2, 6, 6, 3]), np.concatenate([drawn[:, :2], drawn[:, 3:5]]))
    case("draw_bounding_boxes", image.draw_bounding_boxes, unit([1, 5, 6, 3]), np.tile(drawn[:, :2], [1, 6, 1]) * np.linspace(0.3, 1, 12, dtype=f32)[:, None])
    case("draw_bounding_boxes", image.draw_bounding_boxes, unit([1, 3, 3, 3]), np.zeros([1, 0, 4], f32))
    case("draw_bounding_boxes", image.draw_bounding_boxes, unit([1, 3, 3, 2]), drawn)
    case("draw_bounding_boxes_in", lambda x, b, c: tf2.image.draw_bounding_boxes(x, b, c), unit([1, 9, 8, 3]), drawn, np.array([[0.25, 0.5, 0.75], [1, 2, 3]], f32))
    many = np.random.RandomState(3).uniform(0, 1, [30, 4]).astype(f32)
    scores = np.random.RandomState(4).uniform(0, 1, [30]).astype(f32)
    grid = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0.5, 1, 1.5], [1, 1, 0, 0], [0, 0, 1, 0.5], [3, 3, 3, 4], [3, 3, 3, 4], [0, 0, 2, 1]], f32)
    ties = np.array([0.5, 0.5, 0.75, 0.5, 0.25, 0.1, 0.1, 0.75], f32)
    for b, s in ((many, scores), (grid, ties), (grid, np.where(ties == 0.25, nan, ties).astype(f32)), (np.zeros([0, 4], f32), np.zeros([0], f32))):
        for most, overlap, score in ((3, 0.5, -inf), (30, 0.5, -inf), (30, 0.1, 0.3), (5, 0.0, -inf), (30, 1.0, -inf), (8, 1 / 3, -inf), (0, 0.5, -inf)):
            attributes = {"most": most, "overlap": overlap, "score": score}
            make = lambda b, s: list(tf.raw_ops.NonMaxSuppressionV4(boxes=b, scores=s, max_output_size=most, iou_threshold=overlap, score_threshold=score, pad_to_max_output_size=True))
            case("non_max_suppression_padded", make, b, s, **attributes)
            case("non_max_suppression", lambda b, s: image.non_max_suppression(b, s, most, overlap, score), b, s, **attributes)


def measures():
    for dims in ([5, 6, 3], [2, 4, 4, 1]):
        grad("total_variation", image.total_variation, unit(dims))
        if len(dims) == 4:
            grad("sobel_edges", image.sobel_edges, unit(dims))
            grad("sobel_edges", image.sobel_edges, unit([1, 3, 5, 2], seed=2))
        for dtype in (f32, u8):
            case("psnr", lambda a, b: image.psnr(a, b, 255 if dtype == u8 else 1.0), unit(dims, dtype), unit(dims, dtype, 1), most=255 if dtype == u8 else 1.0)
    grad("psnr", lambda a, b: image.psnr(a, b, 2.0), unit([2, 3, 4, 1]), unit([2, 3, 4, 1], seed=1), most=2.0)
    case("image_gradients", image.image_gradients, unit([2, 4, 5, 2]))
    for dims, dtype in (([12, 14, 3], f32), ([2, 11, 13, 1], f32), ([12, 12, 3], u8)):
        most = 255 if dtype == u8 else 1.0
        case("ssim", lambda a, b: image.ssim(a, b, most), unit(dims, dtype), unit(dims, dtype, 1), most=most)


def chance():
    for dtype in (f32, u8):
        for dims in ([3, 4, 3], [3, 2, 2, 3]):
            x = unit(dims, dtype)
            several = {"seeds": SEEDS[:3], "whole": True, "sums": 8}
            draw("random_brightness", lambda x, seed: image.random_brightness(x, 0.3, seed=seed), x, max=0.3, **several)
            draw("random_contrast", lambda x, seed: image.random_contrast(x, 0.5, 1.75, seed=seed), x, lower=0.5, upper=1.75, **several)
            draw("random_hue", lambda x, seed: image.random_hue(x, 0.4, seed=seed), x, max=0.4, **several)
            draw("random_saturation", lambda x, seed: image.random_saturation(x, 0.25, 2.5, seed=seed), x, lower=0.25, upper=2.5, **several)
            draw("random_flip_left_right", lambda x, seed: image.random_flip_left_right(x, seed=seed), x, **several)
            draw("random_flip_up_down", lambda x, seed: image.random_flip_up_down(x, seed=seed), x, **several)


if __name__ == "__main__":
    print("# Made by tests/oracle/images.py with TensorFlow", tf.__version__)
    resizing()
    moving()
    colors()
    boxes()
    measures()
    print("# Random images")
    chance()
