//! The logarithm of the gamma function, its derivatives, and Hurwitz's zeta function, of `f64`; those of `f32` are these,
//! rounded. The one file of `math` that branches: the functions are sums of as many terms as their arguments need.
//!
//! `lgamma` and `digamma` of positive numbers are within 3 ulp. Of negative ones they are differences, right to as many
//! ulp of their larger term; near a negative zero of theirs that is an absolute error. `zeta` and `polygamma` are within
//! 32 ulp where their powers are finite.

use super::double::{exp, ln, pow, sin, tan, wide_ln};

const PI: f64 = std::f64::consts::PI;
/// ln √(2π).
const HALF_LN_2_PI: f64 = 0.918_938_533_204_672_7;

/// c₀ + c₁x + c₂x² + …
fn polynomial(x: f64, coefficients: &[f64]) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| f64::mul_add(sum, x, *c))
}

/// ln Γ(1 + t) for −0.3 ≤ t ≤ 0.5.
fn lgamma_near_one(t: f64) -> f64 {
    let p = polynomial(
        t,
        &[
            0.822_467_033_424_113_2,
            -0.400_685_634_386_531_43,
            0.270_580_808_427_784_65,
            -0.207_385_551_028_682_78,
            0.169_557_176_997_394_67,
            -0.144_049_896_767_539_15,
            0.125_509_669_524_398_24,
            -0.111_334_265_968_809_74,
            0.100_099_457_665_952_89,
            -0.090_954_012_844_507_74,
            0.083_353_829_203_782_77,
            -0.076_932_626_506_285_86,
            0.071_433_365_830_748_39,
            -0.066_667_124_902_971_41,
            0.062_492_004_655_320_75,
            -0.058_832_849_298_658_806,
            0.055_667_678_018_644_88,
            -0.052_705_758_239_175_2,
            0.049_250_264_741_500_08,
            -0.046_092_358_714_002_47,
            0.047_093_282_111_375_374,
            -0.052_123_162_293_147_12,
            0.049_175_083_783_447_72,
            -0.029_828_144_006_617_863,
            0.008_191_940_570_003_787,
        ],
    );
    // Without the sign that 0 would get.
    t * t.mul_add(p, -0.577_215_664_901_532_9) + 0.0
}

/// ln Γ(2 + t) for `|t| ≤ 0.5`.
fn lgamma_near_two(t: f64) -> f64 {
    let p = polynomial(
        t,
        &[
            0.322_467_033_424_113_26,
            -0.067_352_301_053_198_1,
            0.020_580_808_427_780_38,
            -0.007_385_551_028_671_998_6,
            0.002_890_510_331_034_267,
            -0.001_192_753_911_842_815_6,
            0.000_509_669_515_411_545_8,
            -0.000_223_154_754_005_205_07,
            9.945_767_355_819_498e-5,
            -4.492_631_337_915_57e-5,
            2.050_559_075_583_345_4e-5,
            -9.438_715_099_211_532e-6,
            4.384_704_404_598_36e-6,
            -2.043_904_810_702_991_5e-6,
            9.200_527_894_968_101e-7,
            -4.325_239_344_560_467_6e-7,
            2.787_408_052_113_59e-7,
            -1.321_994_566_611_799e-7,
        ],
    );
    t * t.mul_add(p, 0.422_784_335_098_467_13)
}

/// ln Γ(x) for x ≥ 8.
fn lgamma_large(x: f64) -> f64 {
    if x > 1e300 {
        return x * (ln(x) - 1.0);
    }
    let z = 1.0 / (x * x);
    let tail = polynomial(
        z,
        &[
            0.083_333_333_333_333_33,
            -0.002_777_777_777_777_184_6,
            0.000_793_650_793_037_208_4,
            -0.000_595_237_892_094_631_6,
            0.000_841_703_174_302_899_5,
            -0.001_912_389_586_189_043,
            0.006_096_079_668_391_774,
            -0.018_940_394_290_006_865,
        ],
    ) / x;
    // (x − ½) ln x − x + ln √(2π) + tail, the large terms with what their rounding loses.
    let (l, l_low) = wide_ln(x);
    let factor = x - 0.5;
    let product = factor * l;
    let product_low = factor.mul_add(l, -product) + factor * l_low;
    let high = product - x;
    let part = high - product;
    let lost = (product - (high - part)) - (x + part);
    high + (HALF_LN_2_PI + (tail + (product_low + lost)))
}

/// ln Γ(x) for x > 0.
fn lgamma_positive(x: f64) -> f64 {
    if x >= 8.0 {
        lgamma_large(x)
    } else if x > 2.5 {
        let (mut rest, mut product) = (x - 1.0, x - 1.0);
        while rest > 2.5 {
            rest -= 1.0;
            product *= rest;
        }
        lgamma_near_two(rest - 2.0) + ln(product)
    } else if x > 1.5 {
        lgamma_near_two(x - 2.0)
    } else if x >= 0.7 {
        lgamma_near_one(x - 1.0)
    } else if x > 0.5 {
        lgamma_near_two(x - 1.0) - ln(x)
    } else {
        lgamma_near_one(x) - ln(x)
    }
}

/// x less the nearest whole number.
fn from_whole(x: f64) -> f64 {
    x - x.round_ties_even()
}

/// ln |Γ(x)|; ∞ at poles and at infinities.
pub(super) fn lgamma(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x.is_infinite() {
        return f64::INFINITY;
    }
    if x > 0.0 {
        return lgamma_positive(x);
    }
    let (a, r) = (-x, from_whole(x));
    if r == 0.0 {
        return f64::INFINITY;
    }
    if a < 1e-20 {
        return -ln(a);
    }
    // Γ(x) Γ(−x) = −π / (x sin πx)
    ln(PI / (a * sin(PI * r).abs())) - lgamma_positive(a)
}

/// ψ(1 + y) for 0 ≤ y ≤ 1.
fn digamma_near(y: f64) -> f64 {
    // Its zero, less 1, in two parts.
    const ZERO: f64 = 0.461_632_144_968_362_36;
    const ZERO_LOW: f64 = -1.552_234_816_285_867_7e-17;
    let p = polynomial(
        y - 0.5,
        &[
            0.951_055_876_031_832_8,
            -0.423_627_421_281_460_47,
            0.240_542_484_240_786_92,
            -0.148_404_923_053_918_7,
            0.094_988_724_452_915_58,
            -0.061_922_133_271_544_284,
            0.040_760_833_938_216_73,
            -0.026_975_796_849_706_184,
            0.017_907_248_443_925_96,
            -0.011_908_215_027_359_153,
            0.007_927_018_411_136_843,
            -0.005_280_020_192_518_892,
            0.003_518_161_855_087_495_7,
            -0.002_344_625_217_988_599_3,
            0.001_562_789_950_608_375,
            -0.001_042_432_382_875_398_5,
            0.000_694_908_174_082_211,
            -0.000_459_197_503_664_691_2,
            0.000_306_124_207_554_314_6,
            -0.000_220_018_950_051_099_55,
            0.000_146_678_104_906_234_1,
            -5.770_940_461_269_815_6e-5,
            3.847_275_205_849_602e-5,
            -8.394_009_422_598_467e-5,
            5.596_002_350_342_592e-5,
        ],
    );
    ((y - ZERO) - ZERO_LOW) * p
}

/// ψ(x) for x > 0.
fn digamma_positive(x: f64) -> f64 {
    if x >= 10.0 {
        let z = 1.0 / (x * x);
        let tail = polynomial(
            z,
            &[
                -0.083_333_333_333_333_33,
                0.008_333_333_333_329_107,
                -0.003_968_253_961_468_143_5,
                0.004_166_662_567_441_337,
                -0.007_574_572_233_138_618_6,
                0.020_915_106_432_967_64,
                -0.069_804_561_108_936_61,
            ],
        );
        return ln(x) + z.mul_add(tail, -0.5 / x);
    }
    if x < 1.0 {
        return digamma_near(x) - 1.0 / x;
    }
    let (mut rest, mut sum) = (x, 0.0);
    while rest > 2.0 {
        rest -= 1.0;
        sum += 1.0 / rest;
    }
    digamma_near(rest - 1.0) + sum
}

/// ψ(x) = (ln Γ)′(x); NaN at poles.
pub(super) fn digamma(x: f64) -> f64 {
    if x.is_nan() || x == f64::INFINITY {
        return x;
    }
    if x > 0.0 {
        return digamma_positive(x);
    }
    let r = from_whole(x);
    if r == 0.0 || x.is_infinite() {
        return f64::NAN;
    }
    // ψ(x) = ψ(1 − x) − π cot πx
    digamma_positive(1.0 - x) - PI / tan(PI * r)
}

/// B₂ⱼ / (2j)!
const BERNOULLI: [f64; 12] = [
    0.083_333_333_333_333_33,
    -0.001_388_888_888_888_889,
    3.306_878_306_878_307e-5,
    -8.267_195_767_195_768e-7,
    2.087_675_698_786_81e-8,
    -5.284_190_138_687_493e-10,
    1.338_253_653_068_467_9e-11,
    -3.389_680_296_322_582_7e-13,
    8.586_062_056_277_845e-15,
    -2.174_868_698_558_062e-16,
    5.509_002_828_360_229_5e-18,
    -1.395_446_468_581_252_3e-19,
];

/// ζ(s, q) for s > 1, q > 0, by the formula of Euler and Maclaurin.
fn zeta_positive(s: f64, q: f64) -> f64 {
    let (mut a, mut sum) = (q, 0.0);
    let enough = s + 10.0;
    while a < enough {
        let term = pow(a, -s);
        sum += term;
        if term <= sum * 1e-19 || term.is_infinite() {
            return sum;
        }
        a += 1.0;
    }
    let power = pow(a, -s);
    let mut tail = power * a / (s - 1.0) + 0.5 * power;
    let mut factor = s * power / a;
    let mut k = 0.0;
    for b in BERNOULLI {
        tail = b.mul_add(factor, tail);
        factor *= (s + k + 1.0) * (s + k + 2.0) / (a * a);
        k += 2.0;
    }
    sum + tail
}

/// ζ(s, q) = Σ (q + k)⁻ˢ over k ≥ 0, with the cases of TensorFlow: ∞ at s = 1 and at poles of even s, NaN below 1, at poles
/// of odd s, and at negative q of an s that is not whole.
pub(super) fn zeta(s: f64, q: f64) -> f64 {
    if s.is_nan() || q.is_nan() {
        return f64::NAN;
    }
    if s == 1.0 {
        return f64::INFINITY;
    }
    if s < 1.0 {
        return f64::NAN;
    }
    let whole = s.floor() == s;
    let even = whole && from_whole(0.5 * s) == 0.0;
    if q > 0.0 {
        return if q.is_infinite() { 0.0 } else { zeta_positive(s, q) };
    }
    if q.floor() == q {
        return if even { f64::INFINITY } else { f64::NAN };
    }
    if !whole {
        return f64::NAN;
    }
    // Over all whole k the sum is that of both sides of f, the part of q behind its point; what lies below q goes.
    let f = q - q.floor();
    let below = zeta_positive(s, 1.0 - f) - zeta_positive(s, 1.0 - q);
    let above = zeta_positive(s, f);
    if even { above + below } else { above - below }
}

/// The n-th derivative of ψ; NaN where n is not a whole number from 0 on.
pub(super) fn polygamma(n: f64, x: f64) -> f64 {
    if n.is_nan() || n < 0.0 || n.floor() != n {
        return f64::NAN;
    }
    if n == 0.0 {
        return digamma(x);
    }
    let mut factorial = 1.0;
    if n > 170.0 {
        factorial = exp(lgamma_positive(n + 1.0));
    } else {
        let mut k = 2.0;
        while k <= n {
            factorial *= k;
            k += 1.0;
        }
    }
    let odd = from_whole(0.5 * n) != 0.0;
    let size = factorial * zeta(n + 1.0, x);
    if odd { size } else { -size }
}
