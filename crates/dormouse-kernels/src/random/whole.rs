//! Whole numbers: uniform over a range, and in random order. Their words are taken modulo a count, as TensorFlow does,
//! so that small numbers are a little likelier where the count is large.

use std::marker::PhantomData;

use dormouse_value::{DType, Element};

use super::philox::Words;
use super::{LANES, RandomKey, refused, stream_of};
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// Elements of a tile.
const TILE: usize = 16_384;

/// A dtype of whole numbers that are drawn.
trait Whole: Element + Copy + Default {
    /// Numbers of one block.
    const GROUP: usize;

    /// The numbers of lane `lane`, put into the first [`Whole::GROUP`] places.
    fn numbers(words: &Words, lane: usize, low: i64, count: u64, out: &mut [Self; 4]);
}

impl Whole for i32 {
    const GROUP: usize = 4;

    fn numbers(words: &Words, lane: usize, low: i64, count: u64, out: &mut [i32; 4]) {
        for (number, word) in out.iter_mut().zip(words) {
            *number = (low as i32).wrapping_add((word[lane] % count as u32) as i32);
        }
    }
}

impl Whole for i64 {
    const GROUP: usize = 2;

    fn numbers(words: &Words, lane: usize, low: i64, count: u64, out: &mut [i64; 4]) {
        for pair in 0..2 {
            let raw = u64::from(words[2 * pair][lane]) | u64::from(words[2 * pair + 1][lane]) << 32;
            out[pair] = low.wrapping_add((raw % count) as i64);
        }
    }
}

/// Numbers from `low` on, before `high`.
pub(super) fn uniform(low: i64, high: i64, key: RandomKey, output: &Spec) -> Result<Kernel, KernelError> {
    // The count of an i64 may need all 64 bits.
    let count = high.wrapping_sub(low) as u64;
    let fits = low < high && (output.dtype == DType::I64 || u32::try_from(count).is_ok());
    if !fits {
        return Err(KernelError::new(format!("{} does not hold numbers from {low} on before {high}", output.dtype)));
    }
    match output.dtype {
        DType::I32 => Ok(UniformInt::<i32>::kernel(low, count, key, output)),
        DType::I64 => Ok(UniformInt::<i64>::kernel(low, count, key, output)),
        DType::F32
        | DType::F64
        | DType::U8
        | DType::Bool
        | DType::F16
        | DType::Bf16
        | DType::I8
        | DType::I16
        | DType::U16
        | DType::U32
        | DType::U64 => Err(refused(output)),
    }
}

#[derive(Debug)]
struct UniformInt<T> {
    low: i64,
    count: u64,
    key: RandomKey,
    len: usize,
    element: PhantomData<fn() -> T>,
}

impl<T: Whole> UniformInt<T> {
    fn kernel(low: i64, count: u64, key: RandomKey, output: &Spec) -> Kernel {
        let len = output.len();
        let cost = Cost { flops: 0.0, bytes: output.bytes() as f64, nanos: 3.0 * len as f64 };
        let body = UniformInt::<T> { low, count, key, len, element: PhantomData };
        let mut kernel = Kernel::new(len.div_ceil(TILE), cost, body);
        if len == 0 {
            kernel.phases.clear();
        }
        kernel
    }
}

impl<T: Whole> Body for UniformInt<T> {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, tile: usize) -> Result<(), KernelError> {
        let start = tile * TILE;
        // SAFETY: the tile's own range of the result; the counter is not in it.
        let out = unsafe { args.output::<T>(0, start, TILE.min(self.len - start)) };
        let stream = stream_of(self.key, args);
        let first = (start / T::GROUP) as u64;
        let mut numbers = [T::default(); 4];
        for (index, chunk) in out.chunks_mut(LANES * T::GROUP).enumerate() {
            let words = stream.blocks(&std::array::from_fn(|lane| first + (index * LANES + lane) as u64));
            for (lane, group) in chunk.chunks_mut(T::GROUP).enumerate() {
                T::numbers(&words, lane, self.low, self.count, &mut numbers);
                group.copy_from_slice(&numbers[..group.len()]);
            }
        }
        Ok(())
    }
}

/// The numbers below the output's extent, each changed in turn with itself or one of those after it.
pub(super) fn permutation(key: RandomKey, output: &Spec) -> Result<Kernel, KernelError> {
    if output.dtype != DType::I64 || output.dims.len() != 1 {
        return Err(refused(output));
    }
    let len = output.len();
    let cost = Cost { flops: 0.0, bytes: output.bytes() as f64, nanos: 10.0 * len as f64 };
    let mut kernel = Kernel::new(1, cost, Permutation { key, len });
    if len == 0 {
        kernel.phases.clear();
    }
    Ok(kernel)
}

#[derive(Debug)]
struct Permutation {
    key: RandomKey,
    len: usize,
}

impl Body for Permutation {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, _tile: usize) -> Result<(), KernelError> {
        // SAFETY: the one tile writes all of the result; the counter is not in it.
        let out = unsafe { args.output::<i64>(0, 0, self.len) };
        for (place, number) in out.iter_mut().enumerate() {
            *number = place as i64;
        }
        let stream = stream_of(self.key, args);
        let mut words = [0; 4];
        for place in 0..self.len.saturating_sub(1) {
            if place % 4 == 0 {
                words = stream.block((place / 4) as u64);
            }
            // A word, modulo a count of a word as TensorFlow's is.
            let left = (self.len - place) as u32;
            let further = words[place % 4].checked_rem(left).unwrap_or(0);
            out.swap(place, place + further as usize);
        }
        Ok(())
    }
}
