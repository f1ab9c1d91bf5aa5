//! Random parts of images that cover enough of a box: areas, ratios and places are drawn until one does.

use dormouse_value::{DType, Distribution, Real};

use super::philox::Stream;
use super::sample::unit_f32;
use super::{RandomKey, refused, stream_of};
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// The part of a distribution of distorted boxes.
pub(super) fn compile(
    distribution: Distribution,
    key: RandomKey,
    size: &Spec,
    boxes: &Spec,
    output: &Spec,
) -> Result<Kernel, KernelError> {
    let Distribution::DistortedBox { covered, aspect_ratio, area, attempts, whole_image } = distribution else {
        return Err(refused(output));
    };
    let suits = output.dtype == DType::I32
        && output.len() == 4
        && size.len() == 3
        && matches!(size.dtype, DType::I32 | DType::I64)
        && boxes.dtype == DType::F32
        && boxes.dims.last() == Some(&4);
    if !suits {
        return Err(KernelError::new(format!("a part of an image of size {size} with boxes {boxes} is not {output}")));
    }
    let single = |range: [Real; 2]| range.map(|end| end.0 as f32);
    let body = DistortedBox {
        key,
        covered: covered.0 as f32,
        aspect_ratio: single(aspect_ratio),
        area: single(area),
        attempts,
        whole_image,
        boxes: boxes.len() / 4,
        wide: size.dtype == DType::I64,
    };
    let cost = Cost { flops: 0.0, bytes: boxes.bytes() as f64, nanos: 200.0 + boxes.len() as f64 };
    Ok(Kernel { fallible: true, ..Kernel::new(1, cost, body) })
}

#[derive(Debug)]
struct DistortedBox {
    key: RandomKey,
    covered: f32,
    aspect_ratio: [f32; 2],
    area: [f32; 2],
    attempts: u32,
    whole_image: bool,
    boxes: usize,
    /// Whether the image's size is of i64.
    wide: bool,
}

/// A rectangle of cells; the far edges are one beyond the last.
#[derive(Clone, Copy, Debug)]
struct Rectangle {
    top: i32,
    left: i32,
    bottom: i32,
    right: i32,
}

impl Rectangle {
    fn area(self) -> f32 {
        (self.right.wrapping_sub(self.left)).wrapping_mul(self.bottom.wrapping_sub(self.top)) as f32
    }

    /// The area of what two have in common.
    fn common(self, other: Rectangle) -> f32 {
        let common = Rectangle {
            top: self.top.max(other.top),
            left: self.left.max(other.left),
            bottom: self.bottom.min(other.bottom),
            right: self.right.min(other.right),
        };
        if common.left > common.right || common.top > common.bottom { 0.0 } else { common.area() }
    }

    /// Whether so much of one of the boxes lies in it.
    fn covers(self, part: f32, boxes: impl IntoIterator<Item = Rectangle>) -> bool {
        let seen = |one: Rectangle| one.area() >= 1.0 && self.common(one) / one.area() >= part;
        self.area() >= 1.0 && boxes.into_iter().any(seen)
    }
}

/// Words one after the other.
struct Source {
    stream: Stream,
    taken: u64,
    words: [u32; 4],
}

impl Source {
    fn word(&mut self) -> u32 {
        let place = (self.taken % 4) as usize;
        if place == 0 {
            self.words = self.stream.block(self.taken / 4);
        }
        self.taken += 1;
        self.words[place]
    }

    /// A number below `count`, none of which is likelier: words that would make one so are drawn again.
    fn below(&mut self, count: i32) -> i32 {
        let count = count.cast_unsigned();
        if count == 0 {
            return 0;
        }
        let range = u32::MAX - u32::MAX % count;
        loop {
            let word = self.word();
            if word < range {
                return (word % count).cast_signed();
            }
        }
    }
}

/// The nearest whole number, halves to even.
fn nearest(x: f32) -> i32 {
    x.round_ties_even() as i32
}

impl DistortedBox {
    /// A rectangle of such an area and width in heights, at a random place; none where rounding leaves none.
    fn attempt(&self, height: i32, width: i32, ratio: f32, source: &mut Source) -> Option<Rectangle> {
        let [least, most] = self.area;
        if most <= 0.0 || ratio <= 0.0 || width <= 0 || height <= 0 || least > most {
            return None;
        }
        let least = least * width as f32 * height as f32;
        let most = most * width as f32 * height as f32;
        let mut tall = nearest((least / ratio).sqrt());
        let mut tallest = nearest((most / ratio).sqrt());
        if nearest(tallest as f32 * ratio) > width {
            // The largest height whose width, rounded, still fits.
            let epsilon = f64::from(0.000_000_1_f32);
            tallest = ((f64::from(width) + 0.5 - epsilon) / f64::from(ratio)) as i32;
            if nearest(tallest as f32 * ratio) > width {
                tallest -= 1;
            }
        }
        tallest = tallest.min(height);
        if tall >= tallest {
            tall = tallest;
        } else {
            tall += source.below(tallest - tall + 1);
        }
        let mut wide = nearest(tall as f32 * ratio);
        let area = |tall: i32, wide: i32| tall.wrapping_mul(wide) as f32;
        // Rounding may have left the range by a row.
        if area(tall, wide) < least {
            tall += 1;
            wide = nearest(tall as f32 * ratio);
        }
        if area(tall, wide) > most {
            tall -= 1;
            wide = nearest(tall as f32 * ratio);
        }
        let found = area(tall, wide);
        if found < least || found > most || wide > width || tall > height || wide <= 0 || tall <= 0 {
            return None;
        }
        let top = if tall < height { source.below(height - tall) } else { 0 };
        let left = if wide < width { source.below(width - wide) } else { 0 };
        Some(Rectangle { top, left, bottom: top + tall, right: left + wide })
    }
}

impl Body for DistortedBox {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, _tile: usize) -> Result<(), KernelError> {
        let size = if self.wide {
            // SAFETY: operand 1 holds three i64.
            unsafe { args.input::<i64>(1, 3) }.to_owned()
        } else {
            // SAFETY: operand 1 holds three i32.
            unsafe { args.input::<i32>(1, 3) }.iter().map(|n| i64::from(*n)).collect()
        };
        let extent = |n: i64| i32::try_from(n).ok().filter(|n| (0..i32::MAX).contains(n));
        let (Some(height), Some(width)) = (extent(size[0]), extent(size[1])) else {
            return Err(KernelError::new(format!("an image has no size of {} × {}", size[0], size[1])));
        };
        // SAFETY: operand 2 holds four numbers a box.
        let boxes = unsafe { args.input::<f32>(2, 4 * self.boxes) };
        if let Some(outside) = boxes.iter().find(|edge| !(0.0..=1.0).contains(*edge)) {
            return Err(KernelError::new(format!("a box has an edge at {outside}, not from 0 to 1")));
        }
        if boxes.is_empty() && !self.whole_image {
            return Err(KernelError::new("there is no box to cover a part of"));
        }
        let image = Rectangle { top: 0, left: 0, bottom: height, right: width };
        let cells = |edge: f32, n: i32| (edge * n as f32) as i32;
        let all = |edges: &[f32; 4]| Rectangle {
            top: cells(edges[0], height),
            left: cells(edges[1], width),
            bottom: cells(edges[2], height),
            right: cells(edges[3], width),
        };
        let whole = boxes.is_empty().then_some(image);
        let mut source = Source { stream: stream_of(self.key, args), taken: 0, words: [0; 4] };
        let [least, most] = self.aspect_ratio;
        let found = (0..self.attempts).find_map(|_| {
            let ratio = unit_f32(source.word()) * (most - least) + least;
            self.attempt(height, width, ratio, &mut source)
                .filter(|part| part.covers(self.covered, boxes.as_chunks().0.iter().map(all).chain(whole)))
        });
        let part = found.unwrap_or(image);
        // SAFETY: the one tile writes all of the result; no operand is in it.
        let out = unsafe { args.output::<i32>(0, 0, 4) };
        out.copy_from_slice(&[part.top, part.left, part.bottom - part.top, part.right - part.left]);
        Ok(())
    }
}
