//! numpy's `RandomState`, as far as the course draws from it: the same numbers from the same seed.

#![allow(dead_code, reason = "no program of the course draws from every distribution")]

use rand_mt::Mt;

/// A Mersenne twister, seeded as `numpy.random.RandomState(seed)`.
pub(crate) struct RandomState {
    twister: Mt,
    /// The second number of the last pair of normal ones.
    spare: Option<f64>,
}

impl RandomState {
    pub(crate) fn new(seed: u32) -> Self {
        RandomState { twister: Mt::new(seed), spare: None }
    }

    /// A number of [0, 1), of 53 bits: `rand()`.
    pub(crate) fn rand(&mut self) -> f64 {
        let high = f64::from(self.twister.next_u32() >> 5);
        let low = f64::from(self.twister.next_u32() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }

    /// A number of [low, high): `uniform(low, high)`.
    pub(crate) fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.rand()
    }

    /// A normal number, by Marsaglia's polar method: `normal(mean, stddev)`.
    pub(crate) fn normal(&mut self, mean: f64, stddev: f64) -> f64 {
        let number = self.spare.take().unwrap_or_else(|| {
            loop {
                let (a, b) = (2.0 * self.rand() - 1.0, 2.0 * self.rand() - 1.0);
                let square = a * a + b * b;
                if square > 0.0 && square < 1.0 {
                    let factor = (-2.0 * square.ln() / square).sqrt();
                    self.spare = Some(factor * a);
                    break factor * b;
                }
            }
        });
        mean + stddev * number
    }
}
