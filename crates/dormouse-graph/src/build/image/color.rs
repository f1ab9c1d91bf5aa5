//! Colors of images: other dtypes, brightness, contrast, hue, saturation, gamma, and other ways to say a color.
//!
//! Images of integers are changed as f32 between 0 and 1, and made integers again.

use dormouse_value::{DType, Dim, Shape};

use super::{extent, extents, unfit};
use crate::build::array::Array;
use crate::build::elementwise::Elementwise;
use crate::build::linalg::Linalg;
use crate::build::reduction::{Reduction, keep_dims};
use crate::build::slicing::{Rest, Slicing};
use crate::tensor::{Operand, Symbol, Tensor};

/// Methods of images that change their colors.
pub trait Colors: Symbol {
    /// An image in another dtype: integers go from 0 to their largest, floats from 0 to 1.
    #[track_caller]
    fn convert_image_dtype(self, dtype: DType) -> Tensor {
        let x = self.tensor();
        x.graph().located(|| converted(x, dtype, false))
    }

    /// As [`Colors::convert_image_dtype`], with what the dtype cannot hold made the nearest that it can.
    #[track_caller]
    fn convert_image_dtype_saturated(self, dtype: DType) -> Tensor {
        let x = self.tensor();
        x.graph().located(|| converted(x, dtype, true))
    }

    /// Every number more by `delta`, which is as large for images of integers: of a range from 0 to 1.
    #[track_caller]
    fn adjust_brightness(self, delta: impl Operand) -> Tensor {
        adjusted(self.tensor(), "adjust_brightness", true, |x| x + like(delta, x))
    }

    /// Every channel `factor` times as far from its mean.
    #[track_caller]
    fn adjust_contrast(self, factor: impl Operand) -> Tensor {
        let x = self.tensor();
        if x.shape().rank().is_some_and(|rank| rank < 3) {
            return x.poisoned_or(unfit(x, "adjust_contrast"));
        }
        adjusted(x, "adjust_contrast", true, |x| {
            let mean = x.mean_over(keep_dims([-3, -2]));
            (x - mean) * like(factor, x) + mean
        })
    }

    /// `gain` · x to the power of `gamma`.
    #[track_caller]
    fn adjust_gamma(self, gamma: f64, gain: f64) -> Tensor {
        let x = self.tensor();
        if gamma.is_nan() || gamma < 0.0 {
            return x.poisoned_or(format!("adjust_gamma: gamma is {gamma}, not at least 0"));
        }
        adjusted(x, "adjust_gamma", true, |x| x.pow(gamma) * gain)
    }

    /// Colors, in red, green and blue, with hues further on by `delta` of a turn.
    #[track_caller]
    fn adjust_hue(self, delta: impl Operand) -> Tensor {
        colors(self.tensor(), "adjust_hue", |x| turned(x, like(delta, x)))
    }

    /// Colors, in red, green and blue, `factor` times as saturated.
    #[track_caller]
    fn adjust_saturation(self, factor: impl Operand) -> Tensor {
        colors(self.tensor(), "adjust_saturation", |x| saturated(x, like(factor, x)))
    }

    /// Red, green and blue between 0 and 1 as hue, saturation and value, along the last axis. Floats.
    #[track_caller]
    fn rgb_to_hsv(self) -> Tensor {
        of_floats(self.tensor(), "rgb_to_hsv", hsv)
    }

    /// Hue, saturation and value between 0 and 1 as red, green and blue, along the last axis. Floats.
    #[track_caller]
    fn hsv_to_rgb(self) -> Tensor {
        of_floats(self.tensor(), "hsv_to_rgb", |x| {
            let [hue, saturation, value] = channels(x);
            let hue = hue * 6.0;
            let within = |x: Tensor| x.maximum(0.0).minimum(1.0);
            let red = within((hue - 3.0).abs() - 1.0);
            let green = within(-(hue - 2.0).abs() + 2.0);
            let blue = within(-(hue - 4.0).abs() + 2.0);
            let white = -saturation + 1.0;
            joined([red, green, blue].map(|part| (white + saturation * part) * value))
        })
    }

    /// Red, green and blue as luma, inphase and quadrature, along the last axis. Floats.
    #[track_caller]
    fn rgb_to_yiq(self) -> Tensor {
        mixed(self.tensor(), "rgb_to_yiq", RGB_TO_YIQ)
    }

    /// Luma, inphase and quadrature as red, green and blue, along the last axis. Floats.
    #[track_caller]
    fn yiq_to_rgb(self) -> Tensor {
        mixed(self.tensor(), "yiq_to_rgb", YIQ_TO_RGB)
    }

    /// Red, green and blue as luma and two chromas, along the last axis. Floats.
    #[track_caller]
    fn rgb_to_yuv(self) -> Tensor {
        mixed(self.tensor(), "rgb_to_yuv", RGB_TO_YUV)
    }

    /// Luma and two chromas as red, green and blue, along the last axis. Floats.
    #[track_caller]
    fn yuv_to_rgb(self) -> Tensor {
        mixed(self.tensor(), "yuv_to_rgb", YUV_TO_RGB)
    }

    /// Red, green and blue, along the last axis, as one brightness.
    #[track_caller]
    fn rgb_to_grayscale(self) -> Tensor {
        let x = self.tensor();
        if !has_channels(x, 3) {
            return x.poisoned_or(format!("rgb_to_grayscale: takes colors [.., 3], not {}", x.shape()));
        }
        x.graph().located(|| {
            let dtype = x.dtype();
            let numbers = if dtype.is_float() { x } else { converted(x, DType::F32, false) };
            let [red, green, blue] = channels(numbers);
            converted(red * 0.2989 + green * 0.5870 + blue * 0.1140, dtype, false)
        })
    }

    /// A brightness, along the last axis, as red, green and blue.
    #[track_caller]
    fn grayscale_to_rgb(self) -> Tensor {
        let x = self.tensor();
        match x.shape().rank() {
            Some(rank) if rank > 0 && has_channels(x, 1) => {
                let mut multiples = vec![1; rank];
                multiples[rank - 1] = 3;
                x.tile(&multiples)
            }
            _ => x.poisoned_or(format!("grayscale_to_rgb: takes brightness [.., 1], not {}", x.shape())),
        }
    }

    /// Each image less its mean and by its deviation, 1/√(its cells) at least, in f32; f16 and f64 stay what they are.
    #[track_caller]
    fn per_image_standardization(self) -> Tensor {
        let x = self.tensor();
        if x.shape().rank().is_none_or(|rank| rank < 3) {
            return x.poisoned_or(unfit(x, "per_image_standardization"));
        }
        x.graph().located(|| {
            let x = if matches!(x.dtype(), DType::F64 | DType::F16) { x } else { x.cast(DType::F32) };
            let axes = || keep_dims([-3, -2, -1]);
            let mean = x.mean_over(axes());
            let deviation = x.squared_difference(mean).mean_over(axes()).sqrt();
            let cells = (extent(x, -3) * extent(x, -2) * extent(x, -1)).cast(x.dtype());
            (x - mean) / deviation.maximum(cells.rsqrt())
        })
    }
}

impl<S: Symbol> Colors for S {}

const RGB_TO_YIQ: [[f64; 3]; 3] =
    [[0.299, 0.595_900_59, 0.2115], [0.587, -0.274_556_67, -0.522_736_17], [0.114, -0.321_343_92, 0.311_199_55]];
const YIQ_TO_RGB: [[f64; 3]; 3] =
    [[1.0, 1.0, 1.0], [0.955_986_34, -0.272_012_83, -1.106_740_21], [0.620_824_8, -0.647_204_24, 1.704_230_49]];
const RGB_TO_YUV: [[f64; 3]; 3] =
    [[0.299, -0.147_141_19, 0.614_975_38], [0.587, -0.288_869_16, -0.514_965_12], [0.114, 0.436_010_35, -0.100_010_26]];
const YUV_TO_RGB: [[f64; 3]; 3] =
    [[1.0, 1.0, 1.0], [0.0, -0.394_642_334, 2.032_061_85], [1.139_883_03, -0.580_621_85, 0.0]];

/// A number or a scalar tensor, in the dtype of x.
#[track_caller]
fn like(operand: impl Operand, x: Tensor) -> Tensor {
    operand.tensor_like(x).cast(x.dtype())
}

fn has_channels(x: Tensor, count: u64) -> bool {
    let last = x.shape().dim(-1);
    x.shape().rank() != Some(0) && last.unify(Dim::Known(count)).is_some()
}

/// The largest number of an integer dtype; 1 of others.
pub(super) fn most(dtype: DType) -> f64 {
    if dtype.is_integer() { dtype.limits()[1] } else { 1.0 }
}

#[track_caller]
pub(super) fn converted(x: Tensor, dtype: DType, saturate: bool) -> Tensor {
    let from = x.dtype();
    if from == DType::Bool || dtype == DType::Bool {
        return x.poisoned_or("convert_image_dtype: images are of numbers, not bool".to_owned());
    }
    if from == dtype {
        return x;
    }
    // Where f16 does not hold the largest number, nothing would be left of the others.
    let beyond = |half: DType, whole: DType| half == DType::F16 && most(whole) > DType::F16.limits()[1];
    match (from.is_float(), dtype.is_float()) {
        (true, true) => x.cast(dtype),
        (false, true) if beyond(dtype, from) => converted(converted(x, DType::F32, saturate), dtype, saturate),
        (false, true) => x.cast(dtype) * (1.0 / most(from)),
        (true, false) if beyond(from, dtype) => converted(x.cast(DType::F32), dtype, saturate),
        (true, false) => {
            let scaled = x * (most(dtype) + 0.5);
            if saturate { scaled.saturate_cast(dtype) } else { scaled.cast(dtype) }
        }
        (false, false) => {
            let bits = |dtype: DType| 8 * dtype.size() as u32 - u32::from(!dtype.is_unsigned());
            let (own, to) = (bits(from), bits(dtype));
            let factor = |bits: u32, dtype: DType| x.graph().constant(1_i64 << bits).cast(dtype);
            let from_zero = |x: Tensor| {
                if saturate && dtype.is_unsigned() && !from.is_unsigned() { x.maximum(0) } else { x }
            };
            if own > to {
                let scaled = x.floor_div(factor(own - to, from));
                from_zero(scaled).cast(dtype)
            } else {
                from_zero(x).cast(dtype) * factor(to - own, dtype)
            }
        }
    }
}

/// An image changed as floats.
#[track_caller]
fn adjusted(x: Tensor, name: &str, saturate: bool, f: impl FnOnce(Tensor) -> Tensor) -> Tensor {
    let dtype = x.dtype();
    if dtype == DType::Bool {
        return x.poisoned_or(format!("{name}: images are of numbers, not bool"));
    }
    let graph = x.graph();
    graph.located(|| {
        graph.name_scope(name, || {
            let numbers = if dtype.is_float() { x } else { converted(x, DType::F32, false) };
            converted(f(numbers), dtype, saturate)
        })
    })
}

/// An image of colors changed as floats.
#[track_caller]
fn colors(x: Tensor, name: &str, f: impl FnOnce(Tensor) -> Tensor) -> Tensor {
    if x.shape().rank().is_some_and(|rank| rank < 3) || !has_channels(x, 3) {
        return x.poisoned_or(format!("{name}: takes images of three channels, not {}", x.shape()));
    }
    adjusted(x, name, false, f)
}

#[track_caller]
fn of_floats(x: Tensor, name: &str, f: impl FnOnce(Tensor) -> Tensor) -> Tensor {
    if !x.dtype().is_float() || !has_channels(x, 3) {
        return x.poisoned_or(format!("{name}: takes colors [.., 3] of floats, not {} of {}", x.shape(), x.dtype()));
    }
    let graph = x.graph();
    graph.located(|| graph.name_scope(name, || f(x)))
}

#[track_caller]
fn mixed(x: Tensor, name: &str, matrix: [[f64; 3]; 3]) -> Tensor {
    of_floats(x, name, |x| {
        let weights = x.graph().constant(matrix).cast(x.dtype());
        if x.shape().rank() == Some(1) {
            return x.expand_dims(0).matmul(weights).squeeze_axes(&[0]);
        }
        x.matmul(weights)
    })
}

/// The three numbers along the last axis, which stays.
#[track_caller]
fn channels(x: Tensor) -> [Tensor; 3] {
    let shape = x.shape();
    let x = match shape.dims().and_then(<[_]>::split_last) {
        // That there are three is seen in the run.
        Some((Dim::Unknown, front)) => x.ensure_shape(front.iter().copied().chain([Dim::Known(3)]).collect::<Shape>()),
        Some((Dim::Known(_), _)) | None => x,
    };
    [x.at((Rest, 0..1)), x.at((Rest, 1..2)), x.at((Rest, 2..3))]
}

#[track_caller]
fn joined(parts: [Tensor; 3]) -> Tensor {
    parts[0].graph().concat(&parts, -1)
}

/// Which color leads, by how much, and the largest number.
struct Lead {
    hue: Tensor,
    saturation: Tensor,
    value: Tensor,
}

/// Hue, saturation and value; `unit` is 1 over six ranges.
#[track_caller]
fn lead(x: Tensor, unit: impl FnOnce(Tensor) -> Tensor) -> Lead {
    let [red, green, blue] = channels(x);
    let value = red.maximum(green).maximum(blue);
    let range = value - red.minimum(green).minimum(blue);
    // Where nothing is divided, the divisor is 1, so that gradients are finite.
    let bright = value.greater(0.0);
    let saturation = bright.select(range / bright.select(value, 1.0), 0.0);
    let gray = range.less_equal(0.0);
    let unit = unit(gray.select(1.0, range));
    let hue = red.equal(value).select(
        unit * (green - blue),
        green.equal(value).select(unit * (blue - red) + 2.0 / 6.0, unit * (red - green) + 4.0 / 6.0),
    );
    let hue = gray.select(0.0, hue);
    let hue = hue.less(0.0).select(hue + 1.0, hue);
    Lead { hue, saturation, value }
}

#[track_caller]
fn hsv(x: Tensor) -> Tensor {
    let Lead { hue, saturation, value } = lead(x, |range| range.reciprocal() * (1.0 / 6.0));
    joined([hue, saturation, value])
}

/// Hues further on: the largest and the smallest number stay, and the one between goes round.
#[track_caller]
fn turned(x: Tensor, delta: Tensor) -> Tensor {
    let [red, green, blue] = channels(x);
    let most = red.maximum(green).maximum(blue);
    let least = red.minimum(green).minimum(blue);
    // (sixth of the turn, the number between), by which is largest and which smallest.
    let rises = red.less(green);
    let sixth = |number: f64| number.tensor_like(x);
    let falling = blue.less(green).select(sixth(0.0), blue.greater(red).select(sixth(4.0), sixth(5.0)));
    let rising = blue.less(red).select(sixth(1.0), blue.greater(green).select(sixth(3.0), sixth(2.0)));
    let place = rises.select(rising, falling);
    let middle = rises.select(
        blue.less(red).select(red, blue.greater(green).select(green, blue)),
        blue.less(green).select(green, blue.greater(red).select(red, blue)),
    );
    let gray = most.equal(least);
    let ratio = (middle - least) / gray.select(1.0, most - least);
    let even = |place: Tensor| (place * 0.5).floor().equal(place * 0.5);
    let hue = gray.select(0.0, place + even(place).select(ratio, -ratio + 1.0));
    let hue = hue + delta * 6.0;
    let hue = hue.less(0.0).select(hue + 6.0, hue);
    let hue = hue.greater_equal(6.0).select(hue - 6.0, hue);
    // A delta beyond one turn.
    let hue = (hue.less(0.0) | hue.greater_equal(6.0)).select(hue.floor_mod(6.0), hue);
    let place = hue.floor();
    let ratio = hue - place;
    let middle = least + even(place).select(ratio, -ratio + 1.0) * (most - least);
    let below = |number: f64| place.less(number);
    joined([
        (below(1.0) | !below(5.0)).select(most, (below(2.0) | !below(4.0)).select(middle, least)),
        (!below(1.0) & below(3.0)).select(most, below(4.0).select(middle, least)),
        (!below(3.0) & below(5.0)).select(most, below(2.0).select(least, middle)),
    ])
}

#[track_caller]
fn saturated(x: Tensor, factor: Tensor) -> Tensor {
    let Lead { hue, saturation, value } = lead(x, |range| (range * 6.0).reciprocal());
    let saturation = (saturation * factor).maximum(0.0).minimum(1.0);
    let color = saturation * value;
    let white = value - color;
    let turn = hue * 6.0;
    let between = color * (-(turn.floor_mod(2.0) - 1.0).abs() + 1.0);
    let none = color.zeros_like();
    let below = |number: f64| turn.less(number);
    let within = |from: f64, to: f64| !below(from) & below(to);
    let red = (within(0.0, 1.0) | within(5.0, 6.0))
        .select(color, (within(1.0, 2.0) | within(4.0, 5.0)).select(between, none));
    let green = within(1.0, 3.0).select(color, (within(0.0, 1.0) | within(3.0, 4.0)).select(between, none));
    let blue = within(3.0, 5.0).select(color, (within(2.0, 3.0) | within(5.0, 6.0)).select(between, none));
    joined([red + white, green + white, blue + white])
}

/// Whether it is one image or several.
pub(super) fn is_image(x: Tensor) -> bool {
    extents(x).is_some()
}
