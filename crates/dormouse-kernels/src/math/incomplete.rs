//! The incomplete gamma and beta functions of `f64`, and the derivative of the first by its first argument; those of `f32` are
//! these, rounded. Apart from the complete ones as they are sums and fractions that their arguments choose among.
//!
//! Powers and factorials that are far larger than the result are kept in 106 bits.

use super::double::{WHOLE, exp, expm1, ln, power_of_two, wide_ln};
use super::error_function::erfc_of_square;
use super::gamma::{digamma_positive, lgamma_near_one, lgamma_shifted};
use super::wide::Wide;

/// More terms than any sum or fraction here needs.
const MOST: usize = 20_000;
/// From here on, near to its argument, the expansion for large a serves.
const LARGE: f64 = 100.0;
/// Half a unit of the last place of 1.
const SMALL: f64 = 1.110_223_024_625_156_5e-16;

/// Coefficients of the uniform expansion for large a: those of a⁻ᵏ, by powers of η.
const TEMME: [&[f64]; 9] = [
    &[
        -0.333_333_333_333_333_3,
        0.083_333_333_333_333_33,
        -0.014_814_814_814_814_815,
        0.001_157_407_407_407_407_3,
        0.000_352_733_686_067_019_4,
        -0.000_178_755_144_032_921_8,
        3.919_263_178_522_438e-5,
        -2.185_448_510_679_992e-6,
        -1.854_062_210_715_16e-6,
        8.296_711_340_953_087e-7,
        -1.766_595_273_682_607_8e-7,
        6.707_853_543_401_498e-9,
        1.026_180_978_424_030_9e-8,
        -4.382_036_018_453_353e-9,
        9.147_699_582_236_79e-10,
        -2.551_419_399_494_624_8e-11,
        -5.830_772_132_550_426e-11,
        2.436_194_802_066_741_5e-11,
    ],
    &[
        -0.001_851_851_851_851_852,
        -0.003_472_222_222_222_222,
        0.002_645_502_645_502_645_4,
        -0.000_990_226_337_448_559_6,
        0.000_205_761_316_872_427_98,
        -4.018_775_720_164_609e-7,
        -1.809_855_033_448_997_7e-5,
        7.649_160_916_081_11e-6,
        -1.612_090_089_456_344_6e-6,
        4.647_127_802_807_434e-9,
        1.378_633_446_915_721e-7,
        -5.752_545_603_517_705e-8,
        1.195_162_859_977_814_8e-8,
        -1.754_324_171_974_764_7e-11,
        -1.009_154_371_060_041_3e-9,
        4.162_792_991_842_583e-10,
    ],
    &[
        0.004_133_597_883_597_883,
        -0.002_681_327_160_493_827_3,
        0.000_771_604_938_271_604_9,
        2.009_387_860_082_304_7e-6,
        -0.000_107_366_532_263_651_6,
        5.292_344_882_912_012_5e-5,
        -1.276_063_518_861_872_8e-5,
        3.423_578_734_096_138e-8,
        1.372_195_730_906_293_4e-6,
        -6.298_992_138_380_055e-7,
        1.428_061_420_606_424_2e-7,
        -2.047_709_842_199_086_6e-10,
        -1.409_252_991_086_752e-8,
        6.228_974_084_922_022e-9,
        -1.367_048_839_661_711_4e-9,
    ],
    &[
        0.000_649_434_156_378_600_8,
        0.000_229_472_093_621_399_17,
        -0.000_469_189_494_395_255_7,
        0.000_267_720_632_062_838_85,
        -7.561_801_671_883_977e-5,
        -2.396_505_113_867_297e-7,
        1.108_265_411_534_730_2e-5,
        -5.674_952_826_991_596_5e-6,
        1.423_090_073_243_588_3e-6,
        -2.786_108_029_152_814_3e-11,
        -1.695_840_409_193_027_8e-7,
        8.099_464_905_388_083e-8,
        -1.911_116_848_597_365_5e-8,
    ],
    &[
        -0.000_861_888_290_916_711_7,
        0.000_784_039_221_720_066_6,
        -0.000_299_072_480_303_190_2,
        -1.463_845_257_884_341_8e-6,
        6.641_498_215_465_122e-5,
        -3.968_365_047_179_435e-5,
        1.137_572_697_067_841_9e-5,
        2.507_497_226_237_533e-10,
        -1.695_414_953_655_830_5e-6,
        8.907_507_532_205_309e-7,
        -2.292_934_834_000_805e-7,
    ],
    &[
        -0.000_336_798_553_366_358_13,
        -6.972_813_758_365_857e-5,
        0.000_277_275_324_495_939_2,
        -0.000_199_325_705_161_888_47,
        6.797_780_477_937_208e-5,
        1.419_062_920_643_967e-7,
        -1.359_404_818_976_869_3e-5,
        8.018_470_256_334_202e-6,
        -2.291_481_176_508_095e-6,
    ],
    &[
        0.000_531_307_936_463_992_2,
        -0.000_592_166_437_353_693_9,
        0.000_270_878_209_671_804_5,
        7.902_353_232_660_328e-7,
        -8.153_969_367_561_969e-5,
        5.611_682_753_106_25e-5,
        -1.832_911_658_284_337_5e-5,
    ],
    &[
        0.000_344_367_606_892_377_65,
        5.171_790_908_260_592e-5,
        -0.000_334_931_610_811_422_34,
        0.000_281_269_515_476_323_7,
        -0.000_109_765_822_446_847_31,
    ],
    &[-0.000_652_623_918_595_309_4, 0.000_839_498_720_672_087_3, -0.000_438_297_098_541_721],
];

/// P(a, x) and Q(a, x) = 1 − P(a, x), and what the derivative of P by a is to xᵃ e⁻ˣ / Γ(a), with that.
struct Incomplete {
    p: f64,
    q: f64,
    slope: f64,
    weight: f64,
}

fn polynomial(x: f64, coefficients: &[f64]) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| f64::mul_add(sum, x, *c))
}

fn derivative(x: f64, coefficients: &[f64]) -> f64 {
    let mut power = coefficients.len() as f64;
    coefficients.iter().skip(1).rev().fold(0.0, |sum, c| {
        power -= 1.0;
        f64::mul_add(sum, x, power * c)
    })
}

/// ln x of x > 0, in 106 bits where x is no extreme.
fn logarithm(x: Wide) -> Wide {
    if (1e-290..1e300).contains(&x.high) {
        return x.ln();
    }
    let (high, low) = wide_ln(x.high);
    Wide::new(high, low)
}

/// y · eˣ; 0 where eˣ is.
fn scaled(x: Wide, y: f64) -> f64 {
    if x.high < -790.0 {
        return 0.0;
    }
    let (e, n) = x.exp();
    let half = (0.5 * n).floor();
    (e.high * y + e.low * y) * power_of_two(half + WHOLE) * power_of_two(n - half + WHOLE)
}

/// a ln x − x − ln Γ(a).
fn log_weight(a: f64, x: f64) -> Wide {
    let power = Wide::of(a).times(logarithm(Wide::of(x)));
    power.plus(Wide::of(-x)).minus(lgamma_shifted(Wide::of(a)))
}

/// By the series Σ xⁿ / (a (a + 1) … (a + n)), whose terms are above 0.
fn by_series(a: f64, x: f64) -> Incomplete {
    let mut term = 1.0 / a;
    let (mut sum, mut sum_low, mut bend, mut harmonic) = (term, 0.0, 0.0, 0.0);
    let mut n = 0.0;
    for _ in 0..MOST {
        n += 1.0;
        term *= x / (a + n);
        harmonic += 1.0 / (a + n);
        let next = Wide::ordered(sum, term);
        sum = next.high;
        sum_low += next.low;
        bend -= term * harmonic;
        if term * harmonic.max(1.0) <= sum * 1e-18 {
            break;
        }
    }
    sum += sum_low;
    let log = log_weight(a, x);
    let p = scaled(log, sum).min(1.0);
    let slope = (ln(x) - digamma_positive(1.0 + a)) * sum + bend;
    let q = if x <= 1.0 && a < 1.0 { small_remainder(a, x) } else { 1.0 - p };
    Incomplete { p, q, slope, weight: scaled(log, 1.0) }
}

/// Q(a, x) of x ≤ 1 and a < 1, exact also where it is small.
fn small_remainder(a: f64, x: f64) -> f64 {
    // P(a, x) = xᵃ/Γ(a + 1) · (1 + a Σ (−x)ⁿ / (n! (a + n)), n > 0)
    let (mut term, mut sum, mut n) = (1.0, 0.0, 0.0);
    for _ in 0..MOST {
        n += 1.0;
        term *= -x / n;
        sum += term / (a + n);
        if term.abs() <= SMALL * 1e-3 * sum.abs() {
            break;
        }
    }
    let gamma = if a <= 0.5 { lgamma_near_one(a) } else { lgamma_shifted(Wide::sum(1.0, a)).rounded() };
    let log = a * ln(x) - gamma;
    let q = -expm1(log) - exp(log) * a * sum;
    if q > 0.0 { q } else { 0.0 }
}

/// By Legendre's continued fraction, of x > a.
fn by_fraction(a: f64, x: f64) -> Incomplete {
    // Each number with its derivative by a.
    let first = x + 1.0 - a;
    let (mut f, mut f_slope) = (first, -1.0);
    let (mut c, mut c_slope) = (first, -1.0);
    let (mut d, mut d_slope) = (0.0, 0.0);
    let mut n = 0.0;
    for _ in 0..MOST {
        n += 1.0;
        let (above, above_slope) = (n * (a - n), n);
        let below = x + (2.0 * n + 1.0 - a);
        let inverse = 1.0 / (below + above * d);
        d_slope = -(above_slope * d + above * d_slope - 1.0) * inverse * inverse;
        d = inverse;
        c_slope = (above_slope - above / c * c_slope) / c - 1.0;
        c = below + above / c;
        let factor = c * d;
        let factor_slope = c_slope * d + c * d_slope;
        f_slope = f_slope * factor + f * factor_slope;
        f *= factor;
        if (factor - 1.0).abs() <= SMALL && factor_slope.abs() <= 1e-16 {
            break;
        }
    }
    let log = log_weight(a, x);
    let q = scaled(log, 1.0 / f);
    let slope = -(ln(x) - digamma_positive(a) - f_slope / f) / f;
    Incomplete { p: 1.0 - q, q, slope, weight: scaled(log, 1.0) }
}

/// By Temme's uniform expansion, of large a and an x near to it.
fn by_expansion(a: f64, x: f64) -> Incomplete {
    // η²/2 = λ − 1 − ln λ with λ = x/a, and y = a η²/2
    let quotient = Wide::of(x).over(Wide::of(a));
    let log = quotient.ln();
    let difference = Wide::sum(x, -a);
    let y = difference.minus(Wide::of(a).times(log));
    let y = if y.high < 0.0 { Wide::of(0.0) } else { y };
    let above = difference.high / a;
    let size = (2.0 * (y.high / a)).sqrt();
    let eta = if above < 0.0 { -size } else { size };
    // dη/dλ = (λ − 1)/(λ η), dλ/da = −x/a²
    let by_quotient = if above.abs() < 1e-3 {
        (1.0 + above / 3.0 * (1.0 - above / 12.0 * (7.0 - 73.0 / 15.0 * above))) / (1.0 + above)
    } else {
        above / (quotient.high * eta)
    };
    let eta_slope = -by_quotient * quotient.high / a;
    let (mut sum, mut sum_slope, mut power, mut k) = (0.0, 0.0, 1.0, 0.0);
    for coefficients in TEMME {
        let c = polynomial(eta, coefficients);
        sum += c * power;
        sum_slope += (derivative(eta, coefficients) * eta_slope - c * k / a) * power;
        power /= a;
        k += 1.0;
    }
    // P = ½ erfc(−η √(a/2)) − g Σ cₖ a⁻ᵏ, g = e⁻ʸ / √(2πa)
    let root = (2.0 * std::f64::consts::PI * a).sqrt();
    let half = 0.5 * erfc_of_square(y.high, y.low);
    let rest = scaled(y.negated(), sum / root);
    let (p, q) = if eta < 0.0 { (half - rest, 0.5 + (0.5 - half) + rest) } else { (1.0 - half - rest, half + rest) };
    let y_slope = -log.high;
    let slope = a * eta_slope + 0.5 * eta + (y_slope + 0.5 / a) * sum - sum_slope;
    // The weight is a g / Γ*(a), Γ*(a) = Γ(a) eᵃ a^(½ − a) / √(2π).
    let z = 1.0 / (a * a);
    let log = (1.0 / 12.0 - z * (1.0 / 360.0 - z * (1.0 / 1260.0 - z / 1680.0))) / a;
    let stirling = exp(log);
    Incomplete { p, q, slope: slope * stirling / a, weight: scaled(y.negated(), a / root / stirling) }
}

/// For a and x above 0 and finite.
fn incomplete(a: f64, x: f64) -> Incomplete {
    if a >= LARGE && (x - a).abs() < 0.3 * a {
        by_expansion(a, x)
    } else if x <= 1.0 || x <= a {
        by_series(a, x)
    } else {
        by_fraction(a, x)
    }
}

/// P(a, x) = 1/Γ(a) ∫ tᵃ⁻¹ e⁻ᵗ dt from 0 to x; NaN for a ≤ 0 or x < 0.
pub(super) fn igamma(a: f64, x: f64) -> f64 {
    if x == 0.0 {
        0.0
    } else if a.is_nan() || x.is_nan() || a <= 0.0 || x < 0.0 {
        f64::NAN
    } else if a == f64::INFINITY {
        0.0
    } else if x == f64::INFINITY {
        1.0
    } else {
        incomplete(a, x).p
    }
}

/// Q(a, x) = 1 − P(a, x), exact also where that is small.
pub(super) fn igammac(a: f64, x: f64) -> f64 {
    if a.is_nan() || x.is_nan() || a <= 0.0 || x < 0.0 {
        f64::NAN
    } else if x == f64::INFINITY {
        0.0
    } else if x == 0.0 || a == f64::INFINITY {
        1.0
    } else {
        incomplete(a, x).q
    }
}

/// ∂P(a, x)/∂a.
pub(super) fn igamma_grad_a(a: f64, x: f64) -> f64 {
    if x == 0.0 {
        0.0
    } else if a.is_nan() || x.is_nan() || a <= 0.0 || x < 0.0 {
        f64::NAN
    } else if x == f64::INFINITY || a == f64::INFINITY {
        0.0
    } else {
        let found = incomplete(a, x);
        found.slope * found.weight
    }
}

/// How a draw x from the gamma distribution of shape a changes with a: −∂P/∂a / ∂P/∂x.
pub(super) fn random_gamma_grad(a: f64, x: f64) -> f64 {
    if x == 0.0 {
        0.0
    } else if a.is_nan() || x.is_nan() || a <= 0.0 || x < 0.0 {
        f64::NAN
    } else if x == f64::INFINITY || a == f64::INFINITY {
        0.0
    } else {
        -incomplete(a, x).slope * x
    }
}

/// The continued fraction of Iₓ(a, b), for x below its mean.
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    let mut d = 1.0 / (1.0 - (a + b) * x / (a + 1.0));
    let (mut c, mut f) = (1.0, d);
    let mut m = 0.0;
    for _ in 0..MOST {
        m += 1.0;
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / (1.0 + even * d);
        c = 1.0 + even / c;
        f *= c * d;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / (1.0 + odd * d);
        c = 1.0 + odd / c;
        let factor = c * d;
        f *= factor;
        if (factor - 1.0).abs() <= SMALL {
            break;
        }
    }
    f
}

/// Iₓ(a, b) = 1/B(a, b) ∫ tᵃ⁻¹ (1 − t)ᵇ⁻¹ dt from 0 to x; NaN for a ≤ 0, b ≤ 0, x < 0 or x > 1.
pub(super) fn betainc(a: f64, b: f64, x: f64) -> f64 {
    if a <= 0.0 || b <= 0.0 {
        return f64::NAN;
    }
    if x == 0.0 || x == 1.0 {
        return x;
    }
    if !(0.0..=1.0).contains(&x) || !a.is_finite() || !b.is_finite() {
        return f64::NAN;
    }
    let both = Wide::sum(a, b);
    let rest = Wide::sum(1.0, -x);
    let powers = Wide::of(a).times(logarithm(Wide::of(x))).plus(Wide::of(b).times(logarithm(rest)));
    let log = powers.plus(lgamma_shifted(both)).minus(lgamma_shifted(Wide::of(a))).minus(lgamma_shifted(Wide::of(b)));
    if x * (a + b + 2.0) <= a + 1.0 {
        scaled(log, beta_fraction(a, b, x) / a)
    } else {
        1.0 - scaled(log, beta_fraction(b, a, rest.high) / b)
    }
}
