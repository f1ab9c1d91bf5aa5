//! Gamma and Poisson numbers, by rejection: each element has blocks of its own, and takes of them what it needs.
//!
//! Both compute in f64 whatever the result, as TensorFlow does, and order their draws as it does: numbers of one shape or
//! rate have neighboring blocks, but lie apart in the result.

use std::fmt::Debug;
use std::marker::PhantomData;

use dormouse_value::{DType, Element};

use super::philox::Stream;
use super::sample::{normals, uniforms};
use super::{RESERVED, RandomKey, refused, stream_of};
use crate::kernel::with_float;
use crate::math;
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// Elements of a tile.
const TILE: usize = 512;

/// Uniform and normal numbers of one element's blocks: both kinds take whole blocks, in the order they are asked for, and
/// give a block's last number first.
struct Source<'a> {
    stream: &'a Stream,
    next: u64,
    uniforms: [f64; 2],
    uniforms_left: usize,
    normals: [f64; 2],
    normals_left: usize,
}

impl<'a> Source<'a> {
    fn new(stream: &'a Stream, element: usize) -> Self {
        let next = RESERVED.wrapping_mul(element as u64);
        Source { stream, next, uniforms: [0.0; 2], uniforms_left: 0, normals: [0.0; 2], normals_left: 0 }
    }

    fn block(&mut self) -> [u32; 4] {
        let block = self.stream.block(self.next);
        self.next = self.next.wrapping_add(1);
        block
    }

    fn uniform(&mut self) -> f64 {
        if self.uniforms_left == 0 {
            self.uniforms = uniforms(self.block());
            self.uniforms_left = 2;
        }
        self.uniforms_left -= 1;
        self.uniforms[self.uniforms_left]
    }

    fn normal(&mut self) -> f64 {
        if self.normals_left == 0 {
            self.normals = normals(self.block());
            self.normals_left = 2;
        }
        self.normals_left -= 1;
        self.normals[self.normals_left]
    }
}

/// A gamma number of this shape: a transformed normal number, kept or drawn again (Marsaglia and Tsang, 2000).
fn gamma_number(shape: f64, source: &mut Source<'_>) -> f64 {
    if shape == 1.0 {
        return -math::ln_1p(-source.uniform());
    }
    // Of a shape below 1, one of a shape one larger, times u^(1 / shape).
    let small = shape < 1.0;
    let d = shape + if small { 2.0 / 3.0 } else { -1.0 / 3.0 };
    // A shape that is no number, or far below 0, would be drawn for ever.
    if d.is_nan() || d <= 0.0 {
        return f64::NAN;
    }
    let c = 1.0 / 3.0 / d.sqrt();
    loop {
        let x = source.normal();
        let v = 1.0 + c * x;
        if v <= 0.0 {
            continue;
        }
        let v = v * v * v;
        let u = source.uniform();
        let near = u < 1.0 - 0.0331 * (x * x) * (x * x);
        if near || math::ln(u) < 0.5 * x * x + d * (1.0 - v + math::ln(v)) {
            let number = d * v;
            return if small { number * math::pow(source.uniform(), 1.0 / shape) } else { number };
        }
    }
}

/// How many events come at this rate, at most `most`; none at a rate below 0, NaN at NaN.
fn poisson_number(rate: f64, most: f64, source: &mut Source<'_>) -> f64 {
    if rate.is_nan() {
        return f64::NAN;
    }
    if rate < 10.0 {
        // Products of uniform numbers are times of events (Knuth).
        let least = math::exp(-rate);
        let (mut product, mut count) = (1.0, 0.0);
        loop {
            product *= source.uniform();
            if product <= least && count <= most {
                return count;
            }
            count += 1.0;
        }
    }
    if rate.is_infinite() {
        return f64::INFINITY;
    }
    // Transformed rejection (Hörmann, 1993), with the paper's constants.
    let log_rate = math::ln(rate);
    let b = 0.931 + 2.53 * rate.sqrt();
    let a = -0.059 + 0.02483 * b;
    let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
    loop {
        let u = source.uniform() - 0.5;
        let v = source.uniform();
        let distance = 0.5 - u.abs();
        let count = ((2.0 * a / distance + b) * u + rate + 0.43).floor();
        if count > most {
            // At a rate so far beyond what the dtype holds there is no end otherwise.
            if rate > most + 20.0 * most.sqrt() {
                return most;
            }
            continue;
        }
        if distance >= 0.07 && v <= 0.9277 - 3.6224 / (b - 2.0) {
            return count;
        }
        if count < 0.0 || (distance < 0.013 && v > distance) {
            continue;
        }
        let s = math::ln(v * inverse_alpha / (a / (distance * distance) + b));
        let t = -rate + count * log_rate - math::lgamma(count + 1.0);
        if s <= t {
            return count;
        }
    }
}

/// What the numbers of both are read from and written as.
trait Number: Element + Copy {
    /// The largest that is drawn.
    const MOST: f64;

    fn to(self) -> f64;
    fn of(number: f64) -> Self;
}

macro_rules! numbers {
    ($($type:ty: $most:expr;)*) => { $(
        impl Number for $type {
            const MOST: f64 = $most;

            fn to(self) -> f64 {
                self as f64
            }

            fn of(number: f64) -> Self {
                number as $type
            }
        }
    )* };
}
numbers! {
    f32: f32::MAX as f64;
    f64: f64::MAX;
    i32: i32::MAX as f64;
    i64: i64::MAX as f64;
}

/// Which numbers a kernel draws.
#[derive(Clone, Copy, Debug)]
enum Of {
    Gamma,
    Poisson,
}

/// `samples` gamma numbers of each of `shapes`.
pub(super) fn gamma(samples: u32, key: RandomKey, shapes: &Spec, output: &Spec) -> Result<Kernel, KernelError> {
    match (shapes.dtype, output.dtype) {
        (DType::F32, DType::F32) => Ok(Shaped::<f32, f32>::kernel(Of::Gamma, samples, key, output)),
        (DType::F64, DType::F64) => Ok(Shaped::<f64, f64>::kernel(Of::Gamma, samples, key, output)),
        _ => Err(refused(output)),
    }
}

/// `samples` Poisson numbers of each of `rates`.
pub(super) fn poisson(samples: u32, key: RandomKey, rates: &Spec, output: &Spec) -> Result<Kernel, KernelError> {
    macro_rules! kernel {
        ($rate:ty) => {
            match output.dtype {
                DType::F32 => Ok(Shaped::<$rate, f32>::kernel(Of::Poisson, samples, key, output)),
                DType::F64 => Ok(Shaped::<$rate, f64>::kernel(Of::Poisson, samples, key, output)),
                DType::I32 => Ok(Shaped::<$rate, i32>::kernel(Of::Poisson, samples, key, output)),
                DType::I64 => Ok(Shaped::<$rate, i64>::kernel(Of::Poisson, samples, key, output)),
                DType::U8
                | DType::Bool
                | DType::F16
                | DType::Bf16
                | DType::I8
                | DType::I16
                | DType::U16
                | DType::U32
                | DType::U64 => Err(refused(output)),
            }
        };
    }
    with_float!(rates.dtype, T => kernel!(T), else Err(refused(output)))
}

#[derive(Debug)]
struct Shaped<P, T> {
    of: Of,
    samples: usize,
    parameters: usize,
    key: RandomKey,
    types: PhantomData<fn(P) -> T>,
}

impl<P: Number + Debug, T: Number + Debug> Shaped<P, T> {
    fn kernel(of: Of, samples: u32, key: RandomKey, output: &Spec) -> Kernel {
        let len = output.len();
        let samples = samples as usize;
        let parameters = len.checked_div(samples).unwrap_or(0);
        let cost = Cost { flops: 0.0, bytes: output.bytes() as f64, nanos: 80.0 * len as f64 };
        let body = Shaped::<P, T> { of, samples, parameters, key, types: PhantomData };
        let mut kernel = Kernel::new(len.div_ceil(TILE), cost, body);
        if len == 0 {
            kernel.phases.clear();
        }
        kernel
    }
}

impl<P: Number + Debug, T: Number + Debug> Body for Shaped<P, T> {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        let len = self.samples * self.parameters;
        let start = tile * TILE;
        // SAFETY: the tile's own range of the result; neither operand is in it.
        let out = unsafe { args.output::<T>(0, start, TILE.min(len - start)) };
        // SAFETY: operand 1 holds the parameters.
        let parameters = unsafe { args.input::<P>(1, self.parameters) };
        let stream = stream_of(self.key, args);
        for (place, out) in (start..).zip(out) {
            let (sample, parameter) = (place / self.parameters, place % self.parameters);
            let mut source = Source::new(&stream, parameter * self.samples + sample);
            let number = parameters[parameter].to();
            *out = T::of(match self.of {
                Of::Gamma => gamma_number(number, &mut source),
                Of::Poisson => poisson_number(number, T::MOST, &mut source),
            });
        }
        Ok(())
    }
}
