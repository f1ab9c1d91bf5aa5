//! Every function against the platform's libm in twice the precision (`f32`) or its own (`f64`), over all exponents.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

/// Units in the last place between `got` and a reference, infinite where one is not a number and the other is.
fn ulps_32(got: f32, want: f64) -> f64 {
    let rounded = want as f32;
    if rounded.is_nan() || got.is_nan() {
        return if rounded.is_nan() && got.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if rounded.is_infinite() || got.is_infinite() {
        // A result within one step of the overflow threshold may round either way.
        let bound = if rounded == got { 0.0 } else { (f64::from(f32::MAX) - want.abs()).abs() };
        return bound / 2f64.powi(104);
    }
    if rounded == 0.0 && got == 0.0 {
        return if rounded.is_sign_negative() == got.is_sign_negative() { 0.0 } else { f64::INFINITY };
    }
    let exponent = (rounded.abs().to_bits() >> 23).max(1) as i32;
    (f64::from(got) - want).abs() / 2f64.powi(exponent - 150)
}

fn ulps_64(got: f64, want: f64) -> f64 {
    if got.is_nan() || want.is_nan() {
        return if got.is_nan() && want.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if got.is_sign_negative() != want.is_sign_negative() {
        return f64::INFINITY;
    }
    got.to_bits().abs_diff(want.to_bits()) as f64
}

/// A cheap, repeatable stream of bits.
struct Bits(u64);

impl Bits {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn samples_32(per_exponent: usize) -> Vec<f32> {
    let mut bits = Bits(0x9e37_79b9_7f4a_7c15);
    let edges = [0.0, 1.0, f32::INFINITY, f32::NAN, f32::MAX, f32::MIN_POSITIVE, 1e-45, 0.5, 2.0, 88.7, 89.0, 104.0];
    let mut all: Vec<f32> = edges.iter().flat_map(|&x| [x, -x]).collect();
    for exponent in 0..255_u32 {
        // Angles and exponents of everyday size deserve more.
        let count = if (100..140).contains(&exponent) { 8 * per_exponent } else { per_exponent };
        for _ in 0..count {
            let random = bits.next() as u32;
            all.push(f32::from_bits((random & 0x807f_ffff) | (exponent << 23)));
        }
    }
    all
}

fn samples_64(per_exponent: usize) -> Vec<f64> {
    let mut bits = Bits(0x2545_f491_4f6c_dd1d);
    let edges = [0.0, 1.0, f64::INFINITY, f64::NAN, f64::MAX, f64::MIN_POSITIVE, 5e-324, 0.5, 2.0, 709.7, 710.0, 745.0];
    let mut all: Vec<f64> = edges.iter().flat_map(|&x| [x, -x]).collect();
    for exponent in 0..2047_u64 {
        let count = if (990..1040).contains(&exponent) { 20 * per_exponent } else { per_exponent };
        for _ in 0..count {
            all.push(f64::from_bits((bits.next() & 0x800f_ffff_ffff_ffff) | (exponent << 52)));
        }
    }
    all
}

#[track_caller]
fn check_32(ours: fn(f32) -> f32, reference: fn(f64) -> f64, bound: f64) {
    let mut worst = (0.0, 0.0);
    for x in samples_32(200) {
        let error = ulps_32(ours(x), reference(f64::from(x)));
        if error > worst.0 {
            worst = (error, x);
        }
    }
    assert!(
        worst.0 <= bound,
        "{} ulp at {:e}: {:e}, not {:e}",
        worst.0,
        worst.1,
        ours(worst.1),
        reference(f64::from(worst.1))
    );
}

#[track_caller]
fn check_64(ours: fn(f64) -> f64, reference: fn(f64) -> f64, bound: f64) {
    let mut worst = (0.0, 0.0);
    for x in samples_64(20) {
        let error = ulps_64(ours(x), reference(x));
        if error > worst.0 {
            worst = (error, x);
        }
    }
    assert!(worst.0 <= bound, "{} ulp at {:e}: {:e}, not {:e}", worst.0, worst.1, ours(worst.1), reference(worst.1));
}

fn reference_sigmoid(x: f64) -> f64 {
    if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }
}

fn reference_softplus(x: f64) -> f64 {
    (if x < 0.0 { 0.0 } else { x }) + (-x.abs()).exp().ln_1p()
}

fn reference_elu(x: f64) -> f64 {
    if x > 0.0 { x } else { x.exp_m1() }
}

macro_rules! against {
    ($($name:ident: $ours:expr, $reference:expr, $single:expr, $double:expr;)*) => { $(
        #[test]
        fn $name() {
            check_32($ours, $reference, $single);
            check_64($ours, $reference, $double);
        }
    )* };
}
// The bounds of f64 hold another ulp for the reference's own error.
against! {
    exp_is_close: exp, f64::exp, 1.1, 1.0;
    expm1_is_close: expm1, f64::exp_m1, 1.5, 2.0;
    ln_is_close: ln, f64::ln, 1.2, 1.0;
    ln_1p_is_close: ln_1p, f64::ln_1p, 1.5, 2.0;
    sin_is_close: Float::sin, f64::sin, 1.0, 1.0;
    cos_is_close: Float::cos, f64::cos, 1.0, 1.0;
    tan_is_close: Float::tan, f64::tan, 1.0, 1.0;
    tanh_is_close: tanh, f64::tanh, 1.5, 2.0;
    sigmoid_is_close: sigmoid, reference_sigmoid, 2.0, 4.0;
    softplus_is_close: softplus, reference_softplus, 2.0, 4.0;
    elu_is_close: elu, reference_elu, 1.5, 2.0;
    asin_is_close: asin, f64::asin, 1.0, 2.0;
    acos_is_close: acos, f64::acos, 1.0, 2.0;
    atan_is_close: atan, f64::atan, 1.0, 2.0;
    sinh_is_close: sinh, f64::sinh, 1.0, 3.0;
    cosh_is_close: cosh, f64::cosh, 1.0, 3.0;
    asinh_is_close: asinh, reference_asinh, 1.0, 2.0;
    acosh_is_close: acosh, reference_acosh, 1.0, 3.0;
    atanh_is_close: atanh, reference_atanh, 1.0, 3.0;
}

/// The standard library's loses digits.
fn reference_asinh(x: f64) -> f64 {
    let a = x.abs();
    let y = if a > 1e9 { a.ln() + std::f64::consts::LN_2 } else { (a + a * a / (1.0 + a.hypot(1.0))).ln_1p() };
    y.copysign(x)
}

fn reference_acosh(x: f64) -> f64 {
    let t = x - 1.0;
    let y = if x > 1e9 { x.ln() + std::f64::consts::LN_2 } else { (t + (t * (t + 2.0)).sqrt()).ln_1p() };
    if x >= 1.0 { y } else { f64::NAN }
}

fn reference_atanh(x: f64) -> f64 {
    let a = x.abs();
    (0.5 * (2.0 * a / (1.0 - a)).ln_1p()).copysign(x)
}

/// Points with their values from 60 digits.
fn golden() -> Vec<(&'static str, Vec<f64>, f64)> {
    let number = |word: &str| f64::from_bits(u64::from_str_radix(word, 16).unwrap());
    let lines = include_str!("golden.txt").lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, numbers) = line.split_once(' ').unwrap();
            let mut numbers: Vec<f64> = numbers.split(' ').map(number).collect();
            let value = numbers.pop().unwrap();
            (name, numbers, value)
        })
        .collect()
}

#[test]
fn functions_without_a_reference_are_those_of_60_digits() {
    let mut worst: std::collections::BTreeMap<&str, (f64, Vec<f64>)> = std::collections::BTreeMap::new();
    for (name, x, expected) in golden() {
        let y = match name {
            "erf" => erf(x[0]),
            "erfc" => erfc(x[0]),
            "lgamma" | "lgamma_negative" => lgamma(x[0]),
            "digamma" | "digamma_negative" => digamma(x[0]),
            "zeta" => zeta(x[0], x[1]),
            "polygamma" | "polygamma_negative" => polygamma(x[0], x[1]),
            other => panic!("no function {other}"),
        };
        let error = ulps_64(y, expected);
        let entry = worst.entry(name).or_insert((0.0, vec![]));
        if error > entry.0 {
            *entry = (error, x);
        }
    }
    let bounds = [
        ("erf", 2.0),
        ("erfc", 3.0),
        ("lgamma", 2.0),
        ("digamma", 2.0),
        ("zeta", 2.0),
        ("polygamma", 2.0),
        ("lgamma_negative", 2.0),
        ("digamma_negative", 2.0),
        ("polygamma_negative", 2.0),
    ];
    let far: Vec<_> = bounds.iter().filter(|(name, bound)| worst[name].0 > *bound).map(|(name, _)| name).collect();
    assert!(far.is_empty(), "{far:?}: {worst:#?}");
}

#[test]
fn single_precision_is_rounded_from_double() {
    for (name, x, _) in golden() {
        let x = x[0] as f32;
        let (got, expected) = match name {
            "erf" => (erf(x), erf(f64::from(x))),
            "erfc" => (erfc(x), erfc(f64::from(x))),
            "lgamma" => (lgamma(x), lgamma(f64::from(x))),
            "digamma" => (digamma(x), digamma(f64::from(x))),
            _ => continue,
        };
        assert!(ulps_32(got, expected) <= 0.5, "{name}({x})");
    }
}

#[test]
fn borders_of_the_domains() {
    let infinity = f64::INFINITY;
    let is = |got: f64, want: f64| got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
    let nan = f64::NAN;
    for (got, want) in [
        (erf(infinity), 1.0),
        (erf(-infinity), -1.0),
        (erf(-0.0), -0.0),
        (erfc(infinity), 0.0),
        (erfc(-infinity), 2.0),
        (erfc(30.0), 0.0),
        (erfc(0.0), 1.0),
        (lgamma(1.0), 0.0),
        (lgamma(2.0), 0.0),
        (lgamma(0.0), infinity),
        (lgamma(-3.0), infinity),
        (lgamma(-infinity), infinity),
        (lgamma(f64::MAX), infinity),
        (digamma(0.0), nan),
        (digamma(-4.0), nan),
        (digamma(infinity), infinity),
        (digamma(-infinity), nan),
        (zeta(1.0, -1.0), infinity),
        (zeta(0.5, 1.0), nan),
        (zeta(2.0, 0.0), infinity),
        (zeta(3.0, -1.0), nan),
        (zeta(3.5, -1.5), nan),
        (zeta(2.0, infinity), 0.0),
        (polygamma(1.5, 1.0), nan),
        (polygamma(-1.0, 1.0), nan),
        (polygamma(0.0, 1.0), digamma(1.0)),
        (digamma(-1e-310), infinity),
        (zeta(2.0, -(0.5_f64.powi(66))), 2.0_f64.powi(132)),
        (bessel_i0(-infinity), infinity),
        (bessel_i0(0.0), 1.0),
        (bessel_i0(1e300), infinity),
        (bessel_i1(-721.0), -infinity),
        (bessel_i0e(infinity), 0.0),
        (bessel_i1(-infinity), -infinity),
        (bessel_i1(-0.0), -0.0),
        (bessel_i1e(-infinity), -0.0),
        (swish(infinity), infinity),
        (swish(-infinity), nan),
        (swish(-1e300), -0.0),
        (gelu(infinity), infinity),
        (gelu(-1e300), -0.0),
        (gelu(-0.0), -0.0),
        (igamma(0.0, 1.0), nan),
        (igamma(2.0, infinity), 1.0),
        (igamma(infinity, 2.0), 0.0),
        (igamma(1e300, 1.0), 0.0),
        (igammac(1.0, 1e300), 0.0),
        (igammac(1.0, -0.5), nan),
        (igamma_grad_a(0.5, 0.0), 0.0),
        (random_gamma_grad(nan, 1.0), nan),
        (betainc(nan, 0.5, 1.0), 1.0),
        (betainc(0.5, infinity, 0.5), nan),
        (betainc(2.0, 2.0, 1.5), nan),
        (acosh(0.5), nan),
        (acosh(-infinity), nan),
        (acosh(1.0), 0.0),
        (atanh(1.0), infinity),
        (atanh(-1.0), -infinity),
        (atanh(1.5), nan),
        (asin(1.5), nan),
        (acos(-1.0), std::f64::consts::PI),
        (acos(1.0), 0.0),
    ] {
        assert!(is(got, want), "{got}, not {want}");
    }
    assert!(zeta::<f64>(2.0, -1e300).is_infinite() && zeta(2.0, -1_234_567.5) > 9.8);
}

#[test]
fn angles_of_points() {
    let edges = [0.0, -0.0, 1.0, -1.0, 2.5, -1e300, 1e300, 5e-324, -1e-310, f64::INFINITY, -f64::INFINITY, f64::NAN];
    let mut bits = Bits(99);
    let mut pairs: Vec<(f64, f64)> = edges.iter().flat_map(|y| edges.iter().map(|x| (*y, *x))).collect();
    let mut number = |spread: i32| {
        let random = bits.next();
        let fraction = f64::from_bits((random & 0x800f_ffff_ffff_ffff) | (1023 << 52));
        fraction * 2f64.powi((random >> 52) as i32 % spread - spread / 2)
    };
    for spread in [8, 60, 2000] {
        pairs.extend((0..20_000).map(|_| (number(spread), number(spread))));
    }
    for (y, x) in pairs {
        let (got, want) = (atan2(y, x), y.atan2(x));
        assert!(ulps_64(got, want) <= 2.0, "atan2({y:e}, {x:e}) is {got:e}, not {want:e}");
        let (y, x) = (y as f32, x as f32);
        let (got, want) = (atan2(y, x), f64::from(y).atan2(f64::from(x)));
        assert!(ulps_32(got, want) <= 1.0, "atan2({y:e}, {x:e}) is {got:e}, not {want:e}");
    }
}

#[test]
fn power_is_close() {
    let mut bits = Bits(77);
    let mut worst = (0.0, 0.0, 0.0);
    let mut worst_64 = (0.0, 0.0, 0.0);
    for _ in 0..200_000 {
        // A base of any exponent, and a power that keeps the result within the type's range, or just beyond.
        let x = f32::from_bits(bits.next() as u32 & 0x7fff_ffff);
        let near = 1.0 + (bits.next() as i32 as f32) * 2f32.powi(-32);
        let x = if bits.next() & 1 == 0 { x } else { near };
        let target = (bits.next() as i32 as f32) * 2f32.powi(-31) * 105.0;
        let y = target / x.ln();
        let error = ulps_32(pow(x, y), f64::from(x).powf(f64::from(y)));
        if error > worst.0 {
            worst = (error, x, y);
        }
        let (x, y) = (f64::from(x) * 1.000_000_123, f64::from(y) * 7.1);
        let error = ulps_64(pow(x, y), x.powf(y));
        if error > worst_64.0 {
            worst_64 = (error, x, y);
        }
    }
    assert!(worst.0 <= 1.0, "{worst:?}");
    assert!(worst_64.0 <= 1.0, "{worst_64:?}");
}

#[test]
fn power_has_the_special_cases_of_ieee() {
    let infinity = f64::INFINITY;
    let cases =
        [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, -3.0, 1e300, infinity, -infinity, f64::NAN, 1.5, 5e-324];
    for x in cases {
        for y in cases {
            let (got, want) = (pow(x, y), x.powf(y));
            assert!(ulps_64(got, want) <= 1.0, "{x}^{y} is {got}, not {want}");
            let (x, y) = (x as f32, y as f32);
            let (got, want) = (pow(x, y), f64::from(x).powf(f64::from(y)));
            assert!(ulps_32(got, want) <= 1.0, "{x}^{y} is {got}, not {want}");
        }
    }
}

#[test]
fn angles_near_quarter_turns_keep_their_precision() {
    // The double nearest to a multiple of π/2, with its remainder from a computation in 2,000 bits.
    let x = 6_381_956_970_095_103.0 * 2f64.powi(797);
    assert!(ulps_64(Float::cos(x), -4.687_165_924_254_628e-19) <= 1.0);
    let mut bits = Bits(5);
    for k in 1..21_000 {
        let x = (f64::from(k) * std::f64::consts::FRAC_PI_2) as f32;
        for (ours, reference) in
            [(<f32 as Float>::sin as fn(f32) -> f32, f64::sin as fn(f64) -> f64), (Float::cos, f64::cos)]
        {
            let error = ulps_32(ours(x), reference(f64::from(x)));
            assert!(error <= 1.0, "{error} ulp at {x:e}");
        }
        let x = (bits.next() % 680_000_000) as f64 * std::f64::consts::FRAC_PI_2;
        for (ours, reference) in [
            (<f64 as Float>::sin as fn(f64) -> f64, f64::sin as fn(f64) -> f64),
            (Float::cos, f64::cos),
            (Float::tan, f64::tan),
        ] {
            let error = ulps_64(ours(x), reference(x));
            assert!(error <= 1.0, "{error} ulp at {x:e}");
        }
    }
}
