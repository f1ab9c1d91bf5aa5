//! Numbers of about 106 bits, each the sum of two `f64`: for functions that are differences of larger ones, or sums of many
//! terms, and keep too few digits otherwise. Apart from the functions as it knows of none but the logarithm and the power
//! of e, which all of them need.

use super::double::{LN_2_HIGH, LN_2_LOW, WHOLE, power_of_two, split_exponent, split_mantissa};

/// ln 2 less its two parts in [`super::double`].
const LN_2_LOWEST: f64 = 1.947_045_092_380_75e-31;

/// The sum of two numbers, of which `low` is at most half a unit of the last place of `high`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wide {
    pub(super) high: f64,
    pub(super) low: f64,
}

impl Wide {
    pub(super) const fn new(high: f64, low: f64) -> Self {
        Self { high, low }
    }

    pub(super) const fn of(x: f64) -> Self {
        Self { high: x, low: 0.0 }
    }

    /// a + b, exactly.
    pub(super) fn sum(a: f64, b: f64) -> Self {
        let high = a + b;
        let part = high - a;
        Self { high, low: (a - (high - part)) + (b - part) }
    }

    /// a + b of an a that is 0 or not smaller than b, exactly.
    pub(super) fn ordered(a: f64, b: f64) -> Self {
        let high = a + b;
        Self { high, low: b - (high - a) }
    }

    /// a · b, exactly.
    pub(super) fn product(a: f64, b: f64) -> Self {
        let high = a * b;
        Self { high, low: a.mul_add(b, -high) }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        let (high, low) = (Self::sum(self.high, other.high), Self::sum(self.low, other.low));
        let once = Self::ordered(high.high, high.low + low.high);
        Self::ordered(once.high, once.low + low.low)
    }

    pub(super) fn minus(self, other: Self) -> Self {
        self.plus(other.negated())
    }

    pub(super) fn negated(self) -> Self {
        Self { high: -self.high, low: -self.low }
    }

    pub(super) fn times(self, other: Self) -> Self {
        let p = Self::product(self.high, other.high);
        Self::ordered(p.high, p.low + self.high.mul_add(other.low, self.low * other.high))
    }

    pub(super) fn over(self, other: Self) -> Self {
        let first = self.high / other.high;
        let rest = self.minus(other.times(Self::of(first)));
        let second = rest.high / other.high;
        let rest = rest.minus(other.times(Self::of(second)));
        let q = Self::ordered(first, second);
        Self::ordered(q.high, q.low + rest.high / other.high)
    }

    /// The product with a power of two.
    pub(super) fn scaled(self, power: f64) -> Self {
        Self { high: self.high * power, low: self.low * power }
    }

    pub(super) fn magnitude(self) -> Self {
        if self.high < 0.0 { self.negated() } else { self }
    }

    pub(super) fn rounded(self) -> f64 {
        self.high + self.low
    }

    /// c₀ + c₁x + c₂x² + …, of which the terms of `short` follow those of `long`, and need no more digits than an `f64` has.
    pub(super) fn polynomial(self, long: &[Self], short: &[f64]) -> Self {
        let tail = short.iter().rev().fold(0.0, |sum, c| f64::mul_add(sum, self.high, *c));
        long.iter().rev().fold(Self::of(tail), |sum, c| sum.times(self).plus(*c))
    }

    /// The natural logarithm of a positive number that is neither subnormal nor infinite.
    pub(super) fn ln(self) -> Self {
        // 2 / (2k + 1)
        const LONG: [Wide; 11] = [
            Wide::new(2.0, 0.0),
            Wide::new(0.666_666_666_666_666_6, 3.700_743_415_417_188e-17),
            Wide::new(0.4, -2.220_446_049_250_313_2e-17),
            Wide::new(0.285_714_285_714_285_7, 1.586_032_892_321_652e-17),
            Wide::new(0.222_222_222_222_222_2, 1.233_581_138_472_396_1e-17),
            Wide::new(0.181_818_181_818_181_82, -5.046_468_293_750_712e-18),
            Wide::new(0.153_846_153_846_153_85, -8.540_177_112_501_205e-18),
            Wide::new(0.133_333_333_333_333_33, 1.850_371_707_708_594_2e-18),
            Wide::new(0.117_647_058_823_529_41, 1.632_680_918_566_406_7e-18),
            Wide::new(0.105_263_157_894_736_84, 5.843_279_076_974_508e-18),
            Wide::new(0.095_238_095_238_095_23, 5.286_776_307_738_84e-18),
        ];
        const SHORT: [f64; 11] = [
            2.0 / 23.0,
            2.0 / 25.0,
            2.0 / 27.0,
            2.0 / 29.0,
            2.0 / 31.0,
            2.0 / 33.0,
            2.0 / 35.0,
            2.0 / 37.0,
            2.0 / 39.0,
            2.0 / 41.0,
            2.0 / 43.0,
        ];
        let (e, m) = split_mantissa(self.high);
        // The low part by 2⁻ᵉ, in two steps as the power may be out of range.
        let half = (0.5 * e).floor();
        let low = self.low * power_of_two(WHOLE - half) * power_of_two(WHOLE - (e - half));
        // ln m = 2 artanh((m − 1)/(m + 1))
        let m = Self::ordered(m, low);
        let s = m.plus(Self::of(-1.0)).over(m.plus(Self::of(1.0)));
        let near = s.times(s.times(s).polynomial(&LONG, &SHORT));
        let whole = Self::sum(e * LN_2_HIGH, e * LN_2_LOW);
        let lost = e.mul_add(LN_2_LOW, -(e * LN_2_LOW));
        near.plus(whole).plus(Self::of(e.mul_add(LN_2_LOWEST, lost)))
    }

    /// eˣ·2ⁿ: the power of e in 1/√2 ..= √2, and n. Of |x| < 800.
    pub(super) fn exp(self) -> (Self, f64) {
        // 1 / k!
        const LONG: [Wide; 12] = [
            Wide::new(1.0, 0.0),
            Wide::new(1.0, 0.0),
            Wide::new(0.5, 0.0),
            Wide::new(0.166_666_666_666_666_66, 9.251_858_538_542_97e-18),
            Wide::new(0.041_666_666_666_666_664, 2.312_964_634_635_742_8e-18),
            Wide::new(0.008_333_333_333_333_333, 1.156_482_317_317_871_4e-19),
            Wide::new(0.001_388_888_888_888_889, -5.300_543_954_373_577e-20),
            Wide::new(1.984_126_984_126_984e-4, 1.720_955_829_342_070_5e-22),
            Wide::new(2.480_158_730_158_73e-5, 2.151_194_786_677_588e-23),
            Wide::new(2.755_731_922_398_589_3e-6, -1.858_393_274_046_472e-22),
            Wide::new(2.755_731_922_398_589e-7, 2.376_771_462_225_029_7e-23),
            Wide::new(2.505_210_838_544_172e-8, -1.448_814_070_935_912e-24),
        ];
        const SHORT: [f64; 11] = [
            2.087_675_698_786_81e-9,
            1.605_904_383_682_161_3e-10,
            1.147_074_559_772_972_5e-11,
            7.647_163_731_819_816e-13,
            4.779_477_332_387_385e-14,
            2.811_457_254_345_520_7e-15,
            1.561_920_696_858_622_5e-16,
            8.220_635_246_624_33e-18,
            4.110_317_623_312_165e-19,
            1.957_294_106_339_126e-20,
            8.896_791_392_450_574e-22,
        ];
        let (n, _) = split_exponent(self.high);
        let whole = Self::product(n, LN_2_LOW);
        let r = Self::sum(self.high, -n * LN_2_HIGH).plus(Self::of(self.low)).minus(whole);
        let r = r.plus(Self::of(-n * LN_2_LOWEST));
        (r.polynomial(&LONG, &SHORT), n)
    }
}
