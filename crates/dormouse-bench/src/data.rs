//! Numbers for the workloads: `SplitMix64` and what is made of it, so that they depend on the seed alone.

/// A stream of numbers.
pub(crate) struct Numbers(u64);

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Numbers(seed.wrapping_mul(GAMMA))
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Over [0, 1).
    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// By Box and Muller.
    fn gauss(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    pub(crate) fn uniform(&mut self, count: usize, low: f32, high: f32) -> Vec<f32> {
        (0..count).map(|_| low + (high - low) * self.unit() as f32).collect()
    }

    pub(crate) fn normal(&mut self, count: usize, deviation: f32) -> Vec<f32> {
        (0..count).map(|_| deviation * self.gauss() as f32).collect()
    }

    /// Normal, drawn again beyond two deviations.
    pub(crate) fn truncated_normal(&mut self, count: usize, deviation: f32) -> Vec<f32> {
        let mut one = || {
            let mut number = self.gauss();
            while number.abs() >= 2.0 {
                number = self.gauss();
            }
            deviation * number as f32
        };
        (0..count).map(|_| one()).collect()
    }

    /// Whole numbers from 0 to below `end`.
    pub(crate) fn integers(&mut self, count: usize, end: u64) -> Vec<i32> {
        (0..count).map(|_| (self.bits() % end) as i32).collect()
    }
}
