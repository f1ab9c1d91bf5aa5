//! Logarithm, sine and cosine in f32 as TensorFlow's normal numbers need them: the bits of glibc's `logf` and `sincosf`.
//!
//! These are not the kernels of `ln` and `sin`, which are within 2 ulp and make no promise about whose ulp. Here a
//! result may be wrong in the last bit, but it has to be as wrong as TensorFlow's. Both functions are the published
//! ones of Arm's optimized routines, which glibc took over: a table and a short polynomial, in f64. The arguments
//! have 23 random bits, so every argument there is was compared with glibc: no bit differs, with fused products or, as
//! here, without.

use super::LANES;

/// `1 / c` and `ln c`, c near the middle of each sixteenth of [0.7, 1.4).
const TABLE: [[u64; 2]; 16] = [
    [0x3ff6_61ec_79f8_f3be, 0xbfd5_7bf7_808c_aade],
    [0x3ff5_71ed_4aaf_883d, 0xbfd2_bef0_a7c0_6ddb],
    [0x3ff4_9539_f0f0_10b0, 0xbfd0_1eae_7f51_3a67],
    [0x3ff3_c995_b0b8_0385, 0xbfcb_31d8_a682_24e9],
    [0x3ff3_0d19_0c88_64a5, 0xbfc6_574f_0ac0_7758],
    [0x3ff2_5e22_7b0b_8ea0, 0xbfc1_aa2b_c79c_8100],
    [0x3ff1_bb4a_4a1a_343f, 0xbfba_4e76_ce8c_0e5e],
    [0x3ff1_2358_f08a_e5ba, 0xbfb1_973c_5a61_1ccc],
    [0x3ff0_953f_4199_00a7, 0xbfa2_52f4_38e1_0c1e],
    [0x3ff0_0000_0000_0000, 0x0000_0000_0000_0000],
    [0x3fee_608c_fd9a_47ac, 0x3faa_a5aa_5df2_5984],
    [0x3fec_a4b3_1f02_6aa0, 0x3fbc_5e53_aa36_2eb4],
    [0x3feb_2036_576a_fce6, 0x3fc5_26e5_7720_db08],
    [0x3fe9_c2d1_63a1_aa2d, 0x3fcb_c286_0d22_4770],
    [0x3fe8_86e6_0378_41ed, 0x3fd1_058b_c8a0_7ee1],
    [0x3fe7_67dc_f553_4862, 0x3fd4_0430_57b6_ee09],
];
/// Bits of the f32 where the table's interval starts.
const TABLE_START: u32 = 0x3f33_0000;
const LN_2: f64 = f64::from_bits(0x3fe6_2e42_fefa_39ef);
/// `ln(1 + r) ≈ r + L₂ r² + L₃ r³ + L₄ r⁴`.
const L2: f64 = f64::from_bits(0xbfdf_fffe_f20a_4123);
const L3: f64 = f64::from_bits(0x3fd5_575b_0be0_0b6a);
const L4: f64 = f64::from_bits(0xbfd0_0ea3_48b8_8334);

const HALF_PI: f64 = f64::from_bits(0x3ff9_21fb_5444_2d18);
/// `sin x ≈ x + S₃ x³ + S₅ x⁵ + S₇ x⁷` for |x| ≤ π/4.
const S3: f64 = f64::from_bits(0xbfc5_5554_5995_a603);
const S5: f64 = f64::from_bits(0x3f81_1076_0523_0bc4);
const S7: f64 = f64::from_bits(0xbf29_94eb_3774_cf24);
/// `cos x ≈ 1 + C₂ x² + C₄ x⁴ + C₆ x⁶ + C₈ x⁸` for |x| ≤ π/4.
const C2: f64 = f64::from_bits(0xbfdf_ffff_fd0c_621c);
const C4: f64 = f64::from_bits(0x3fa5_5553_e106_8f19);
const C6: f64 = f64::from_bits(0xbf56_c087_e89a_359d);
const C8: f64 = f64::from_bits(0x3ef9_9343_027b_f8c3);

/// `ln x` of positive normal numbers.
#[inline(always)]
pub(super) fn ln(x: &[f32; LANES]) -> [f32; LANES] {
    let mut reciprocal = [0.0; LANES];
    let mut offset = [0.0; LANES];
    for lane in 0..LANES {
        let index = (x[lane].to_bits().wrapping_sub(TABLE_START) >> 19) as usize % 16;
        reciprocal[lane] = f64::from_bits(TABLE[index][0]);
        offset[lane] = f64::from_bits(TABLE[index][1]);
    }
    let mut result = [0.0; LANES];
    for lane in 0..LANES {
        // x = 2^exponent · z, z in the table's interval.
        let bits = x[lane].to_bits();
        let exponent = (bits.wrapping_sub(TABLE_START) as i32) >> 23;
        let z = f32::from_bits(bits.wrapping_sub((exponent as u32) << 23));
        let r = f64::from(z) * reciprocal[lane] - 1.0;
        let base = f64::from(exponent) * LN_2 + offset[lane];
        let r2 = r * r;
        let tail = r2 * L4 + (r * L3 + L2);
        result[lane] = (r2 * tail + (base + r)) as f32;
    }
    result
}

/// Sine and cosine of `turn / 2²³` of a full turn, that is, of the f32 nearest to `2π · turn / 2²³`; `turn < 2²³`.
#[inline(always)]
pub(super) fn sin_cos_turn(turn: &[u32; LANES]) -> ([f32; LANES], [f32; LANES]) {
    let mut sine = [0.0; LANES];
    let mut cosine = [0.0; LANES];
    for lane in 0..LANES {
        let unit = f32::from_bits(turn[lane] | 1.0_f32.to_bits()) - 1.0;
        let x = f64::from((std::f64::consts::TAU * f64::from(unit)) as f32);
        // The nearest multiple of π/2, from the turn itself.
        let quadrant = (turn[lane] + (1 << 20)) >> 21;
        let y = x - f64::from(quadrant as i32) * HALF_PI;

        let y2 = y * y;
        let y3 = y2 * y;
        let s = (y3 * y2 * (y2 * S7 + S5) + (y3 * S3 + y)) as f32;
        let y4 = y2 * y2;
        let c = (y4 * y2 * (y2 * C8 + C6) + (y4 * C4 + (y2 * C2 + 1.0))) as f32;

        // The signs of sine and cosine in the quadrant that the nearest multiple starts.
        let sine_sign = (quadrant & 2) << 30;
        let cosine_sign = ((quadrant + 1) & 2) << 30;
        let swapped = quadrant & 1 == 1;
        let (s, c) = if swapped { (c, s) } else { (s, c) };
        sine[lane] = f32::from_bits(s.to_bits() ^ sine_sign);
        cosine[lane] = f32::from_bits(c.to_bits() ^ cosine_sign);
    }
    (sine, cosine)
}
