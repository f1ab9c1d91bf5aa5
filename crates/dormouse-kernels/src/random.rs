//! Random numbers with the bits of TensorFlow's `RandomUniform`, `RandomStandardNormal`, `TruncatedNormal` and kin.
//!
//! A family of its own because its operand is not a tensor but a counter, which the session keeps: a [`RandomKey`] is
//! what TensorFlow makes of an op's two seeds, and every run takes [`reserve`] blocks of the stream that it opens.
//! Any block can be computed from its number, so tiles share nothing. `philox` makes blocks, `sample` numbers of
//! them; `single` and `double` hold the logarithms, sines and cosines whose last bits TensorFlow's users see. What reads
//! its words one after the other, or has operands beside the counter, stands apart: `whole` draws whole numbers and
//! permutations, `shaped` gamma and Poisson numbers, `categorical` classes, `distorted` parts of images.

// The closure that is compiled for each instruction set has to contain all of a tile's code.
#![allow(clippy::inline_always, reason = "code that is not inlined is not compiled for the instruction set found")]

mod categorical;
mod distorted;
mod double;
mod philox;
mod sample;
mod shaped;
mod single;
mod tables;
mod whole;

use std::marker::PhantomData;

use dormouse_value::Distribution;
use pulp::{Arch, Simd, WithSimd};

use crate::kernel::with_float;
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};
use philox::{Stream, Words};
use sample::Sample;

/// Blocks that are computed side by side.
const LANES: usize = 16;
/// Blocks of the stream that belong to one element: TensorFlow sets aside what a truncated normal may need at most.
const RESERVED: u64 = 256;
/// Groups of truncated normal numbers that are drawn together.
const TRUNCATED_GROUPS: usize = 128;

/// Key and start of a random stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RandomKey {
    key: u64,
    high: u64,
}

impl RandomKey {
    /// The stream that TensorFlow opens for an op with the attributes `seed` and `seed2`.
    ///
    /// TensorFlow itself draws other seeds where both are zero; that is the graph's concern.
    pub const fn from_seeds(seed: i64, seed2: i64) -> Self {
        RandomKey { key: seed as u64, high: seed2 as u64 }
    }

    /// The stream from block `counter` of a session on.
    fn stream(self, counter: u128) -> Stream {
        Stream::new(self.key, (u128::from(self.high) << 64).wrapping_add(counter))
    }
}

/// Blocks of the stream that one run takes: what the session adds to the op's counter.
pub fn reserve(distribution: Distribution, output: &Spec) -> u128 {
    let elements = output.len() as u128;
    match distribution {
        Distribution::Uniform
        | Distribution::Normal
        | Distribution::TruncatedNormal
        | Distribution::UniformInt { .. }
        | Distribution::Gamma { .. }
        | Distribution::Poisson { .. } => u128::from(RESERVED) * elements,
        Distribution::Categorical { samples } => {
            let rows = elements.checked_div(u128::from(samples)).unwrap_or(0);
            // Two words a number, of numbers counted in fours.
            u128::from(RESERVED) * rows * u128::from(samples).next_multiple_of(4) * 2
        }
        Distribution::Permutation => elements.saturating_sub(1).div_ceil(4),
        Distribution::DistortedBox { attempts, .. } => u128::from(attempts),
    }
}

/// The kernel that draws `output` from `distribution`, the bits being TensorFlow's for the same seeds.
///
/// Operand 0 is this run's counter: 16 bytes, a `u128` in little-endian order, 0 in a fresh session; each run adds
/// [`reserve`] of the output. The distribution's own operands follow, `inputs` being their specs. Normal and truncated
/// normal numbers have mean 0 and deviation 1.
///
/// # Errors
/// When the distribution does not draw the output's dtype, or takes other operands; the graph's inference lets none such
/// through.
pub fn compile_random(
    distribution: Distribution,
    key: RandomKey,
    inputs: &[Spec],
    output: &Spec,
) -> Result<Kernel, KernelError> {
    let kind = match (distribution, inputs) {
        (Distribution::Uniform, []) => Kind::Uniform,
        (Distribution::Normal, []) => Kind::Normal,
        (Distribution::TruncatedNormal, []) => Kind::TruncatedNormal,
        (Distribution::UniformInt { low, high }, []) => return whole::uniform(low, high, key, output),
        (Distribution::Permutation, []) => return whole::permutation(key, output),
        (Distribution::Gamma { samples }, [shapes]) => return shaped::gamma(samples, key, shapes, output),
        (Distribution::Poisson { samples }, [rates]) => return shaped::poisson(samples, key, rates, output),
        (Distribution::Categorical { samples }, [logits]) => return categorical::compile(samples, key, logits, output),
        (Distribution::DistortedBox { .. }, [size, boxes]) => {
            return distorted::compile(distribution, key, size, boxes, output);
        }
        (
            Distribution::Uniform
            | Distribution::Normal
            | Distribution::TruncatedNormal
            | Distribution::UniformInt { .. }
            | Distribution::Permutation
            | Distribution::Gamma { .. }
            | Distribution::Poisson { .. }
            | Distribution::Categorical { .. }
            | Distribution::DistortedBox { .. },
            _,
        ) => return Err(KernelError::new(format!("{} operands do not suit {distribution:?}", inputs.len()))),
    };
    with_float!(output.dtype, T => Ok(Draw::<T>::kernel(kind, key, output)), else Err(refused(output)))
}

fn refused(output: &Spec) -> KernelError {
    KernelError::new(format!("random numbers of {output} cannot be drawn: draw another dtype, and cast"))
}

/// The distributions of floats without parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Uniform,
    Normal,
    TruncatedNormal,
}

/// The stream from this run's counter on, which is operand 0.
fn stream_of(key: RandomKey, args: &Args<'_>) -> Stream {
    // SAFETY: operand 0 is the counter, 16 bytes.
    let counter = unsafe { args.input::<u8>(0, 16) };
    key.stream(counter.first_chunk().map_or(0, |bytes| u128::from_le_bytes(*bytes)))
}

#[derive(Debug)]
struct Draw<T> {
    distribution: Kind,
    key: RandomKey,
    len: usize,
    tile: usize,
    element: PhantomData<fn() -> T>,
}

impl<T: Sample> Draw<T> {
    fn kernel(distribution: Kind, key: RandomKey, output: &Spec) -> Kernel {
        // Nanoseconds an element, measured with AVX2, and a tile of 20 to 30 µs; tiles are whole groups.
        let (nanos, tile) = match (distribution, T::GROUP) {
            (Kind::Uniform, 4) => (0.9, 32_768),
            (Kind::Uniform, _) => (1.8, 16_384),
            (Kind::Normal, 4) => (3.2, 8_192),
            (Kind::Normal, _) => (15.0, 2_048),
            (Kind::TruncatedNormal, 4) => (6.0, 4_096),
            (Kind::TruncatedNormal, _) => (20.0, 1_024),
        };
        let len = output.len();
        let cost = Cost { flops: 0.0, bytes: output.bytes() as f64, nanos: nanos * len as f64 };
        let mut kernel =
            Kernel::new(len.div_ceil(tile), cost, Draw::<T> { distribution, key, len, tile, element: PhantomData });
        if len == 0 {
            kernel.phases.clear();
        }
        kernel
    }
}

impl<T: Sample> Body for Draw<T> {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        let start = tile * self.tile;
        // SAFETY: the tile's own range of the result; the counter is not in it.
        let out = unsafe { args.output::<T>(0, start, self.tile.min(self.len - start)) };
        let stream = stream_of(self.key, args);
        let group = (start / T::GROUP) as u64;
        Arch::new().dispatch(DrawTile { distribution: self.distribution, stream, group, out });
        Ok(())
    }
}

/// One tile's work, in a form that is compiled once for each instruction set.
struct DrawTile<'a, T> {
    distribution: Kind,
    stream: Stream,
    group: u64,
    out: &'a mut [T],
}

impl<T: Sample> WithSimd for DrawTile<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let DrawTile { distribution, stream, group, out } = self;
        match distribution {
            Kind::Uniform => draw::<T, false>(&stream, group, out),
            Kind::Normal => draw::<T, true>(&stream, group, out),
            Kind::TruncatedNormal => draw_truncated(&stream, group, out),
        }
    }
}

/// Uniform or normal numbers, of which every group takes one block, from group `first` on.
#[inline(always)]
fn draw<T: Sample, const NORMAL: bool>(stream: &Stream, first: u64, out: &mut [T]) {
    let mut offsets: [u64; LANES] = std::array::from_fn(|lane| first + lane as u64);
    let mut chunks = out.chunks_exact_mut(LANES * T::GROUP);
    for chunk in &mut chunks {
        transform::<T, NORMAL>(&stream.blocks(&offsets), chunk);
        for offset in &mut offsets {
            *offset += LANES as u64;
        }
    }
    let rest = chunks.into_remainder();
    if !rest.is_empty() {
        let mut buffer = T::BUFFER;
        transform::<T, NORMAL>(&stream.blocks(&offsets), buffer.as_mut());
        rest.copy_from_slice(&buffer.as_ref()[..rest.len()]);
    }
}

#[inline(always)]
fn transform<T: Sample, const NORMAL: bool>(words: &Words, out: &mut [T]) {
    if NORMAL {
        T::normal(words, out);
    } else {
        T::uniform(words, out);
    }
}

/// Normal numbers within two deviations, from group `first` on.
///
/// Every group has blocks of its own and takes, in order, the numbers that are near enough. Most groups are full after
/// one block; those that are not go into the next round together, so that no lane stays idle for long.
#[inline(always)]
fn draw_truncated<T: Sample>(stream: &Stream, first: u64, out: &mut [T]) {
    let stride = RESERVED * T::GROUP as u64 / 4;
    let mut buffer = T::BUFFER;
    for (index, chunk) in out.chunks_mut(TRUNCATED_GROUPS * T::GROUP).enumerate() {
        let first = first + (index * TRUNCATED_GROUPS) as u64;
        let mut filled = [0_usize; TRUNCATED_GROUPS];
        let mut pending: [usize; TRUNCATED_GROUPS] = std::array::from_fn(|group| group);
        let mut count = chunk.len().div_ceil(T::GROUP);
        let mut round = 0;
        while count > 0 {
            let mut left = 0;
            for start in (0..count).step_by(LANES) {
                // A lane beyond the last pending group repeats it, and is not looked at.
                let group_of = |lane: usize| pending[(start + lane).min(count - 1)];
                let offsets = std::array::from_fn(|lane| (first + group_of(lane) as u64) * stride + round);
                T::normal(&stream.blocks(&offsets), buffer.as_mut());
                for lane in 0..LANES.min(count - start) {
                    let group = pending[start + lane];
                    let numbers = &buffer.as_ref()[lane * T::GROUP..(lane + 1) * T::GROUP];
                    let place = chunk.len().min((group + 1) * T::GROUP);
                    for &number in numbers {
                        let at = group * T::GROUP + filled[group];
                        if number.within_two_deviations() && at < place {
                            chunk[at] = number;
                            filled[group] += 1;
                        }
                    }
                    if group * T::GROUP + filled[group] < place {
                        pending[left] = group;
                        left += 1;
                    }
                }
            }
            count = left;
            round += 1;
        }
    }
}

#[cfg(test)]
mod tests;
