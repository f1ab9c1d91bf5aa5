//! From random words to numbers, per element type: TensorFlow's uniform and Box–Muller transforms of one block.
//!
//! A block of four words gives four f32 or two f64; everything else about the distributions is the same for both.

use std::f64::consts::TAU;

use dormouse_value::Element;

use super::philox::Words;
use super::{LANES, double, single};

/// Smallest uniform number that a logarithm is taken of.
const EPSILON: f64 = 1.0e-7;

/// An element type that TensorFlow draws numbers of.
pub(super) trait Sample: Element + Copy + PartialOrd {
    /// Numbers that one block gives.
    const GROUP: usize;
    /// A buffer for the numbers of [`LANES`] blocks.
    type Buffer: AsRef<[Self]> + AsMut<[Self]>;
    /// The buffer before anything is drawn.
    const BUFFER: Self::Buffer;

    /// Uniform numbers in [0, 1): `GROUP` for each lane, lane by lane.
    fn uniform(words: &Words, out: &mut [Self]);

    /// Normal numbers, in the same order.
    fn normal(words: &Words, out: &mut [Self]);

    /// Whether the number lies within two standard deviations.
    fn within_two_deviations(self) -> bool;
}

impl Sample for f32 {
    const GROUP: usize = 4;
    type Buffer = [f32; 4 * LANES];
    const BUFFER: Self::Buffer = [0.0; 4 * LANES];

    #[inline(always)]
    fn uniform(words: &Words, out: &mut [f32]) {
        let (out, _) = out.as_chunks_mut::<4>();
        for (lane, group) in out.iter_mut().enumerate().take(LANES) {
            for word in 0..4 {
                group[word] = unit_f32(words[word][lane]);
            }
        }
    }

    #[inline(always)]
    fn normal(words: &Words, out: &mut [f32]) {
        let (out, _) = out.as_chunks_mut::<4>();
        for pair in 0..2 {
            let (sine, cosine) = box_muller_f32(&words[2 * pair], &words[2 * pair + 1]);
            for (lane, group) in out.iter_mut().enumerate().take(LANES) {
                group[2 * pair] = sine[lane];
                group[2 * pair + 1] = cosine[lane];
            }
        }
    }

    #[inline(always)]
    fn within_two_deviations(self) -> bool {
        self.abs() < 2.0
    }
}

impl Sample for f64 {
    const GROUP: usize = 2;
    type Buffer = [f64; 2 * LANES];
    const BUFFER: Self::Buffer = [0.0; 2 * LANES];

    #[inline(always)]
    fn uniform(words: &Words, out: &mut [f64]) {
        let (out, _) = out.as_chunks_mut::<2>();
        for (lane, group) in out.iter_mut().enumerate().take(LANES) {
            group[0] = unit_f64(words[0][lane], words[1][lane]);
            group[1] = unit_f64(words[2][lane], words[3][lane]);
        }
    }

    #[inline(always)]
    fn normal(words: &Words, out: &mut [f64]) {
        let (out, _) = out.as_chunks_mut::<2>();
        for (lane, group) in out.iter_mut().enumerate().take(LANES) {
            let radius = unit_f64(words[0][lane], words[1][lane]).max(EPSILON);
            let radius = (-2.0 * double::ln(radius)).sqrt();
            let (sine, cosine) = double::sin_cos(TAU * unit_f64(words[2][lane], words[3][lane]));
            *group = [sine * radius, cosine * radius];
        }
    }

    #[inline(always)]
    fn within_two_deviations(self) -> bool {
        self.abs() < 2.0
    }
}

/// The two uniform numbers of a block.
pub(super) fn uniforms(words: [u32; 4]) -> [f64; 2] {
    [unit_f64(words[0], words[1]), unit_f64(words[2], words[3])]
}

/// The two normal numbers of a block.
pub(super) fn normals(words: [u32; 4]) -> [f64; 2] {
    let [radius, turn] = uniforms(words);
    let radius = (-2.0 * double::ln(radius.max(EPSILON))).sqrt();
    let (sine, cosine) = double::sin_cos(TAU * turn);
    [sine * radius, cosine * radius]
}

/// Two normal numbers from two words: `√(−2 ln u) · (sin 2πv, cos 2πv)`.
#[inline(always)]
fn box_muller_f32(radius: &[u32; LANES], turn: &[u32; LANES]) -> ([f32; LANES], [f32; LANES]) {
    let ln = single::ln(&radius.map(|word| unit_f32(word).max(EPSILON as f32)));
    let (mut sine, mut cosine) = single::sin_cos_turn(&turn.map(|word| word & MANTISSA));
    for lane in 0..LANES {
        let radius = (-2.0 * ln[lane]).sqrt();
        sine[lane] *= radius;
        cosine[lane] *= radius;
    }
    (sine, cosine)
}

/// Digits of an f32 behind the point.
const MANTISSA: u32 = (1 << 23) - 1;

/// The word's low 23 bits as a fraction.
#[inline(always)]
pub(super) fn unit_f32(word: u32) -> f32 {
    f32::from_bits(word & MANTISSA | 1.0_f32.to_bits()) - 1.0
}

/// 52 bits of two words as a fraction.
#[inline(always)]
pub(super) fn unit_f64(high: u32, low: u32) -> f64 {
    let mantissa = u64::from(high & 0xF_FFFF) << 32 | u64::from(low);
    f64::from_bits(mantissa | 1.0_f64.to_bits()) - 1.0
}
