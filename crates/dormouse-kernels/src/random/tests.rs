#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse_value::DType;

use super::*;

/// What TensorFlow gives; see `tests/oracle/random_numbers.py`.
const GOLDEN: &str = include_str!("golden.txt");

fn compiled(distribution: Distribution, key: RandomKey, dtype: DType, len: usize) -> Kernel {
    compile_random(distribution, key, &[], &Spec::new(dtype, &[len])).unwrap()
}

/// The bits that the kernel gives, tiles run in the order of `tiles`.
fn draw_bits(kernel: &Kernel, dtype: DType, len: usize, counter: u128, tiles: impl Iterator<Item = usize>) -> Vec<u64> {
    let counter = counter.to_le_bytes();
    let mut buffer = vec![u64::MAX; len.max(1)];
    let args = Args {
        inputs: &[counter.as_ptr()],
        outputs: &[buffer.as_mut_ptr().cast()],
        shared: std::ptr::null_mut(),
        local: std::ptr::null_mut(),
    };
    for tile in tiles {
        // SAFETY: the counter has 16 bytes, the buffer room for `len` elements of either type.
        unsafe { kernel.body.run(&args, 0, tile) }.unwrap();
    }
    // Two f32 share a word of the buffer; both lie in memory order.
    let bytes: Vec<u8> = buffer.iter().flat_map(|word| word.to_ne_bytes()).collect();
    match dtype.size() {
        4 => bytes.as_chunks().0.iter().map(|&word| u64::from(u32::from_ne_bytes(word))).take(len).collect(),
        size => {
            assert_eq!(size, 8);
            buffer.truncate(len);
            buffer
        }
    }
}

fn tiles(kernel: &Kernel) -> std::ops::Range<usize> {
    0..kernel.phases.first().copied().unwrap_or(0)
}

fn checksum(bits: &[u64]) -> u64 {
    bits.iter()
        .enumerate()
        .fold(0, |sum: u64, (index, &word)| sum.wrapping_add(word.wrapping_mul(2 * index as u64 + 1)))
}

fn parse(distribution: &str, dtype: &str) -> (Distribution, DType) {
    let distribution = match distribution {
        "uniform" => Distribution::Uniform,
        "normal" => Distribution::Normal,
        other => {
            assert_eq!(other, "truncated");
            Distribution::TruncatedNormal
        }
    };
    (distribution, if dtype == "f32" { DType::F32 } else { DType::F64 })
}

#[test]
fn three_runs_are_those_of_tensorflow() {
    let mut checked = 0;
    for line in GOLDEN.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let (distribution, dtype) = parse(fields[0], fields[1]);
        let key = RandomKey::from_seeds(fields[2].parse().unwrap(), fields[3].parse().unwrap());
        let len = fields[4].parse().unwrap();
        let kernel = compiled(distribution, key, dtype, len);
        let mut counter = 0;
        for run in 0..3 {
            let bits = draw_bits(&kernel, dtype, len, counter, tiles(&kernel));
            if run == 0 {
                let leading: Vec<u64> = fields[8..].iter().map(|word| u64::from_str_radix(word, 16).unwrap()).collect();
                assert_eq!(leading, bits[..len.min(6)], "first elements of {line}");
            }
            assert_eq!(format!("{:x}", checksum(&bits)), fields[5 + run], "run {run} of {line}");
            counter += reserve(distribution, &Spec::new(dtype, &[len]));
        }
        checked += 1;
    }
    assert!(checked > 200, "the golden file has {checked} lines");
}

#[test]
fn the_course_weights() {
    let key = RandomKey::from_seeds(87_654_321, 1);
    let kernel = compiled(Distribution::Normal, key, DType::F32, 6);
    let weights: Vec<f32> = draw_bits(&kernel, DType::F32, 6, 0, tiles(&kernel))
        .into_iter()
        .map(|bits| f32::from_bits(bits as u32))
        .collect();
    assert_eq!(weights, [-0.811_318_2, 1.484_598_8, 0.065_329_37, -2.442_704_2, 0.099_248_4, 0.591_224_3]);
}

#[test]
fn tiles_may_run_in_any_order() {
    for distribution in [Distribution::Uniform, Distribution::Normal, Distribution::TruncatedNormal] {
        for dtype in [DType::F32, DType::F64] {
            let (key, len, counter) = (RandomKey::from_seeds(1, 2), 70_003, u128::from(u64::MAX) - 900);
            let kernel = compiled(distribution, key, dtype, len);
            assert!(tiles(&kernel).len() > 2);
            let forwards = draw_bits(&kernel, dtype, len, counter, tiles(&kernel));
            let backwards = draw_bits(&kernel, dtype, len, counter, tiles(&kernel).rev());
            assert_eq!(forwards, backwards, "{distribution:?} {dtype}");
        }
    }
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    fn check<T: Sample>(distribution: Kind) {
        let stream = RandomKey::from_seeds(5, 6).stream(7);
        let (mut plain, mut dispatched) = (vec![T::default(); 999], vec![T::default(); 999]);
        DrawTile { distribution, stream, group: 3, out: &mut plain }.with_simd(pulp::Scalar);
        Arch::new().dispatch(DrawTile { distribution, stream, group: 3, out: &mut dispatched });
        assert_eq!(plain, dispatched, "{distribution:?} {}", T::DTYPE);
    }
    for distribution in [Kind::Uniform, Kind::Normal, Kind::TruncatedNormal] {
        check::<f32>(distribution);
        check::<f64>(distribution);
    }
}

#[test]
fn nothing_to_do_for_no_elements() {
    assert!(compiled(Distribution::Normal, RandomKey::from_seeds(1, 1), DType::F32, 0).phases.is_empty());
    let reserved = |distribution, n: usize| reserve(distribution, &Spec::new(DType::F32, &[n]));
    assert_eq!([0, 3].map(|n| reserved(Distribution::Uniform, n)), [0, 768]);
    assert_eq!([0, 1, 5, 6].map(|n| reserved(Distribution::Permutation, n)), [0, 0, 1, 2]);
}

#[test]
fn one_block_is_a_lane_of_many() {
    let stream = RandomKey::from_seeds(5, 6).stream(u128::from(u64::MAX) - 3);
    let words = stream.blocks(&std::array::from_fn(|lane| lane as u64));
    for lane in 0..LANES {
        assert_eq!(stream.block(lane as u64), words.map(|word| word[lane]));
    }
}

#[test]
fn integers_are_refused() {
    let output = Spec::new(DType::I32, &[2, 3]);
    let error = compile_random(Distribution::Uniform, RandomKey::from_seeds(1, 1), &[], &output).unwrap_err();
    assert_eq!(error.to_string(), "random numbers of i32[2, 3] cannot be drawn: draw another dtype, and cast");
}

/// What a kernel with one operand of f32 draws.
fn draw_of(distribution: Distribution, parameters: &[f32], dims: &[usize], output: &Spec) -> Vec<u64> {
    let counter = 0_u128.to_le_bytes();
    let kernel =
        compile_random(distribution, RandomKey::from_seeds(3, 4), &[Spec::new(DType::F32, dims)], output).unwrap();
    let mut buffer = vec![0_u64; output.bytes().div_ceil(8).max(1)];
    let mut local = vec![0_u64; kernel.local.div_ceil(8).max(1)];
    let args = Args {
        inputs: &[counter.as_ptr(), parameters.as_ptr().cast()],
        outputs: &[buffer.as_mut_ptr().cast()],
        shared: std::ptr::null_mut(),
        local: local.as_mut_ptr().cast(),
    };
    for tile in tiles(&kernel) {
        // SAFETY: the counter has 16 bytes, the operand and the buffers room for what the specs say.
        unsafe { kernel.body.run(&args, 0, tile) }.unwrap();
    }
    buffer
}

#[test]
fn odd_parameters_end() {
    let shapes = [0.0, -0.5, -1.0, f32::NAN, f32::INFINITY, 1e-30, f32::MAX];
    let output = Spec::new(DType::F32, &[2, shapes.len()]);
    let bits = draw_of(Distribution::Gamma { samples: 2 }, &shapes, &[shapes.len()], &output);
    let numbers: Vec<f32> =
        bits.iter().flat_map(|w| [*w as u32, (w >> 32) as u32]).map(f32::from_bits).take(shapes.len()).collect();
    assert_eq!((numbers[0], numbers[4]), (0.0, f32::INFINITY), "{numbers:?}");
    assert!(numbers[2].is_nan() && numbers[3].is_nan(), "{numbers:?}");
    let rates = [0.0, -3.0, f32::NAN, f32::INFINITY, 3e9, f32::MAX];
    let output = Spec::new(DType::I32, &[1, rates.len()]);
    let bits = draw_of(Distribution::Poisson { samples: 1 }, &rates, &[rates.len()], &output);
    let counts: Vec<i32> = bits.iter().flat_map(|w| [*w as i32, (w >> 32) as i32]).take(rates.len()).collect();
    assert_eq!(counts[..4], [0, 0, 0, i32::MAX], "{counts:?}");
}

#[test]
fn gamma_and_poisson_numbers_have_their_means() {
    let parameters = [0.2_f32, 0.9, 2.0, 9.5, 40.0];
    let samples = 40_000;
    let output = Spec::new(DType::F64, &[samples, parameters.len()]);
    let counts = draw_of(Distribution::Poisson { samples: samples as u32 }, &parameters, &[5], &output);
    let output = Spec::new(DType::F32, &[samples, parameters.len()]);
    let gammas = draw_of(Distribution::Gamma { samples: samples as u32 }, &parameters, &[5], &output);
    let gammas: Vec<f64> =
        gammas.iter().flat_map(|w| [*w as u32, (w >> 32) as u32]).map(|w| f64::from(f32::from_bits(w))).collect();
    let counts: Vec<f64> = counts.iter().map(|w| f64::from_bits(*w)).collect();
    for numbers in [counts, gammas] {
        for (place, parameter) in parameters.iter().enumerate() {
            let of: Vec<f64> = numbers.iter().skip(place).step_by(parameters.len()).copied().take(samples).collect();
            let mean = of.iter().sum::<f64>() / samples as f64;
            let variance = of.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / samples as f64;
            let expected = f64::from(*parameter);
            // Five deviations of the mean; the variance is the mean too.
            assert!((mean - expected).abs() < 5.0 * (expected / samples as f64).sqrt(), "{parameter}: {mean}");
            assert!((variance / expected - 1.0).abs() < 0.1, "{parameter}: {variance}");
        }
    }
}
