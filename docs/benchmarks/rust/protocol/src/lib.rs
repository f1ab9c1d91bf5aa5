//! How the Rust programs of this folder measure, and the numbers that they all start from: what `protocol.py` and
//! `weights.py` are to the others.

use std::hint::black_box;
use std::time::Instant;

const BLOCKS: usize = 7;
const BLOCK_SECONDS: f64 = 0.25;

pub const CHAIN: usize = 10_000;
pub const ELEMENTS: usize = 1 << 22;
/// What the moving averages of `mlp` keep, and how much of the parameters comes in.
pub const KEPT: f32 = 0.99;
/// The factor of the sum of squared weights: half of 10⁻⁴.
pub const L2: f32 = 0.5e-4;

/// Builds everything that a step needs, and has it measured.
pub type Workload = fn(&Meter);

/// Measures one workload of one system.
pub struct Meter {
    system: &'static str,
    workload: &'static str,
}

impl Meter {
    /// Two steps to warm up, one timed, half a block more, then the median of 7 blocks of about a quarter of a second. With
    /// `CHECK` set, first prints what three steps give.
    pub fn measure(&self, mut step: impl FnMut() -> f32) {
        if std::env::var_os("CHECK").is_some() {
            let values = [step(), step(), step()];
            eprintln!("{}: {values:?}", self.workload);
        }
        let mut seconds = |steps: usize| {
            let start = Instant::now();
            (0..steps).for_each(|_| _ = black_box(step()));
            start.elapsed().as_secs_f64()
        };
        seconds(2);
        let inner = ((BLOCK_SECONDS / seconds(1).max(1e-7)) as usize).max(1);
        seconds((inner / 2).max(1));
        let mut nanos = [0.0; BLOCKS].map(|_: f64| seconds(inner) / inner as f64 * 1e9);
        nanos.sort_by(f64::total_cmp);
        let [least, .., most] = nanos;
        println!(
            r#"{{"system": "{}", "workload": "{}", "ns_per_step": {:.1}, "min": {least:.1}, "max": {most:.1}, "inner": {inner}, "reps": {BLOCKS}}}"#,
            self.system,
            self.workload,
            nanos[BLOCKS / 2],
        );
    }
}

/// Measures the workloads that the command line names, or all.
pub fn serve(system: &'static str, workloads: &[(&'static str, Workload)]) {
    let names: Vec<String> = std::env::args().skip(1).collect();
    if let Some(name) = names.iter().find(|name| workloads.iter().all(|(known, _)| known != name)) {
        let all: Vec<&str> = workloads.iter().map(|(known, _)| *known).collect();
        eprintln!("{system}: no workload {name}; there are {}", all.join(", "));
        std::process::exit(1);
    }
    for (workload, build) in workloads {
        if names.is_empty() || names.iter().any(|name| name == workload) {
            build(&Meter { system, workload });
        }
    }
}

/// SplitMix64 and what is made of it.
pub struct Numbers(u64);

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Numbers(seed.wrapping_mul(GOLDEN))
    }

    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn gauss(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    pub fn uniform(&mut self, count: usize, low: f32, high: f32) -> Vec<f32> {
        (0..count).map(|_| low + (high - low) * self.unit() as f32).collect()
    }

    pub fn normal(&mut self, count: usize, deviation: f32) -> Vec<f32> {
        (0..count).map(|_| deviation * self.gauss() as f32).collect()
    }

    /// Normal, without those beyond two deviations.
    pub fn truncated_normal(&mut self, count: usize, deviation: f32) -> Vec<f32> {
        let drawn = std::iter::repeat_with(|| self.gauss()).filter(|g| g.abs() < 2.0);
        drawn.take(count).map(|g| deviation * g as f32).collect()
    }

    pub fn integers(&mut self, count: usize, end: u64) -> Vec<usize> {
        (0..count).map(|_| (self.word() % end) as usize).collect()
    }
}

/// The input of `branches`, and the matrix of each.
pub fn branches() -> (Vec<f32>, Vec<Vec<f32>>) {
    let mut numbers = Numbers::new(1);
    (numbers.normal(128 * 128, 1.0), (0..64).map(|_| numbers.normal(128 * 128, 0.05)).collect())
}

pub fn elements() -> Vec<f32> {
    Numbers::new(1).normal(ELEMENTS, 1.0)
}

/// Two square matrices.
pub fn squares(side: usize) -> [Vec<f32>; 2] {
    let mut numbers = Numbers::new(1);
    [(); 2].map(|()| numbers.normal(side * side, 1.0))
}

/// A network of 784-500-10, and 100 images with their classes.
pub struct Mlp {
    pub images: Vec<f32>,
    pub labels: Vec<usize>,
    pub w1: Vec<f32>,
    pub w2: Vec<f32>,
    /// Offsets of the networks that only answer; those that learn begin with zeros.
    pub b1: Vec<f32>,
    pub b2: Vec<f32>,
}

pub fn mlp() -> Mlp {
    let mut numbers = Numbers::new(2);
    Mlp {
        images: numbers.uniform(100 * 784, 0.0, 1.0),
        labels: numbers.integers(100, 10),
        w1: numbers.truncated_normal(784 * 500, 0.1),
        w2: numbers.truncated_normal(500 * 10, 0.1),
        b1: numbers.normal(500, 0.1),
        b2: numbers.normal(10, 0.1),
    }
}

/// 100 images of one channel and 28 × 28 with their classes, and LeNet's weights: filters as `[out, in, 5, 5]`, and rows of the
/// first dense layer in the order of channels first.
pub struct Lenet {
    pub images: Vec<f32>,
    pub labels: Vec<usize>,
    pub filters: [Vec<f32>; 2],
    pub w1: Vec<f32>,
    pub w2: Vec<f32>,
}

pub fn lenet() -> Lenet {
    let mut numbers = Numbers::new(3);
    let (images, labels) = (numbers.uniform(100 * 28 * 28, 0.0, 1.0), numbers.integers(100, 10));
    let mut filters = |before: usize, after: usize| {
        let drawn = numbers.truncated_normal(25 * before * after, 0.1);
        let mut filters = Vec::with_capacity(drawn.len());
        for out in 0..after {
            for channel in 0..before {
                filters.extend((0..25).map(|at| drawn[(at * before + channel) * after + out]));
            }
        }
        filters
    };
    let filters = [filters(1, 32), filters(32, 64)];
    let drawn = numbers.truncated_normal(3136 * 512, 0.1);
    let rows = (0..64).flat_map(|channel| (0..49).map(move |at| at * 64 + channel));
    let w1 = rows.flat_map(|row| drawn[row * 512..][..512].iter().copied()).collect();
    Lenet { images, labels, filters, w1, w2: numbers.truncated_normal(512 * 10, 0.1) }
}

pub const WORDS: usize = 10_000;
pub const STEPS: usize = 35;
pub const BATCH: usize = 20;
pub const HIDDEN: usize = 300;
pub const GATES: usize = 4 * HIDDEN;
/// The norm that gradients are clipped to.
pub const CLIP: f32 = 5.0;

/// A language model of two layers, and words with those that follow them: all first words, then all second ones, and so on.
pub struct Lstm {
    pub words: Vec<usize>,
    pub next: Vec<usize>,
    pub embedding: Vec<f32>,
    /// Of each layer, the rows that what comes in is multiplied with, and those for what is remembered.
    pub kernels: [[Vec<f32>; 2]; 2],
    pub output: Vec<f32>,
}

pub fn lstm() -> Lstm {
    let mut numbers = Numbers::new(4);
    let mut words = || {
        let drawn = numbers.integers(BATCH * STEPS, WORDS as u64);
        (0..STEPS).flat_map(|step| (0..BATCH).map(move |row| (row, step))).map(|(r, s)| drawn[r * STEPS + s]).collect()
    };
    let (words, next) = (words(), words());
    let embedding = numbers.uniform(WORDS * HIDDEN, -0.05, 0.05);
    let kernels = [(); 2].map(|()| [(); 2].map(|()| numbers.uniform(HIDDEN * GATES, -0.05, 0.05)));
    Lstm { words, next, embedding, kernels, output: numbers.uniform(HIDDEN * WORDS, -0.05, 0.05) }
}
