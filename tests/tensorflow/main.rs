//! What operations give, held to what TensorFlow 2.21 gives: the cases of `tests/fixtures/tensorflow.txt`, which
//! `tests/oracle/ops.py` writes and explains, and those of `functions.txt`, `arrays.txt`, `nn.txt`, `images.txt`,
//! `elements.txt`, `probes.txt` and `draws.txt`, of scripts of the same
//! names; and whole graphs, in `graphs`. No TensorFlow is needed here.

#![allow(clippy::unwrap_used, reason = "tests")]

mod arrays;
mod case;
mod functions;
mod graphs;
mod images;
mod methods;
mod nn;
mod random;
mod rearranged;

use case::{Case, Kind};
use dormouse::prelude::*;

const FIXTURE: &str = include_str!("../fixtures/tensorflow.txt");
const DRAWS: &str = include_str!("../fixtures/draws.txt");
const FUNCTIONS: &str = include_str!("../fixtures/functions.txt");
const IMAGES: &str = include_str!("../fixtures/images.txt");
const ARRAYS: &str = include_str!("../fixtures/arrays.txt");
const NN: &str = include_str!("../fixtures/nn.txt");
const ELEMENTS: &str = include_str!("../fixtures/elements.txt");
const PROBES: &str = include_str!("../fixtures/probes.txt");

/// The lines of the fixture: those of cases, and those of random numbers.
fn lines(random: bool) -> impl Iterator<Item = &'static str> {
    let (cases, drawn) = FIXTURE.split_once("# Random numbers\n").unwrap();
    let part = if random { drawn } else { cases };
    part.lines().filter(|line| !line.starts_with('#'))
}

/// How near floats are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Nearness {
    /// The same bits; NaNs are alike.
    Bits,
    /// So many units of the last place apart, at most: functions that both compute to a few.
    Ulps(u64),
    /// So many units of the last place of the larger of the number and 1 apart: sums, whose terms cancel. None is equal
    /// numbers, with either sign of zero.
    Sums(u64),
}

/// What is promised of a method's floats, and of its gradients'. Integers and booleans are the same always.
#[allow(clippy::match_same_arms, reason = "a table: each arm has its reason")]
fn promised(case: &Case) -> Nearness {
    use Nearness::{Bits, Sums, Ulps};
    let gradient = case.kind == Kind::Gradient;
    let halves = case.operands.iter().any(|x| matches!(x.dtype(), DType::F16 | DType::Bf16));
    match case.method {
        // TensorFlow rounds the difference too, and each term that is added.
        "squared_difference" if halves && !gradient => Ulps(2),
        "tensor_scatter_add" if halves && !gradient => Sums(2),
        // TensorFlow's log(1 + eˣ) loses the digits of a small eˣ.
        "softplus" | "log_sigmoid" if halves && !gradient => Sums(2),
        "conv2d" if gradient => Sums(16),
        "per_image_standardization" | "psnr" if gradient => Sums(64),
        // Sums of some hundred products that cancel.
        "separable_conv2d" if gradient => Sums(64),
        method if nn::of_sums(method) => Sums(16),
        "determinant"
        | "matrix_inverse"
        | "matrix_solve"
        | "matrix_solve_adjoint"
        | "triangular_solve"
        | "matrix_exponential"
        | "igamma"
        | "igammac"
        | "betainc_of"
        | "random_gamma"
        | "qr"
        | "qr_r"
        | "polar"
        | "eig_of"
        | "singular_values"
        | "self_adjoint_eigvals"
            if gradient =>
        {
            Sums(512)
        }
        _ if gradient => Sums(8),
        "exp"
        | "expm1"
        | "log"
        | "log1p"
        | "sin"
        | "cos"
        | "tan"
        | "tanh"
        | "sigmoid"
        | "softplus"
        | "pow"
        | "rsqrt"
        | "rsqrt_where_positive" => Ulps(4),
        // TensorFlow refines the instruction's estimate, to an ulp.
        "reciprocal" | "reciprocal_where_positive" => Ulps(1),
        "max" | "min" => Sums(0),
        "sum" | "mean" | "prod" | "cumsum" | "cumprod" | "l2_loss" | "matmul" | "conv2d" | "avg_pool" | "bias_add" => {
            Sums(8)
        }
        "softmax" | "log_softmax" | "sparse_softmax_cross_entropy" | "softmax_cross_entropy" => Sums(8),
        // TensorFlow's eˣ − 1 loses the digits of a small x.
        "elu" => Sums(8),
        "asin" | "acos" | "atan" | "sinh" | "cosh" | "asinh" | "acosh" | "atanh" | "erf" | "log_sigmoid" | "swish"
        | "atan2" | "zeta" | "zeta_of" | "switch_case" => Ulps(4),
        // TensorFlow's of f32 lose a few bits more.
        "erfc" | "polygamma" | "polygamma_of" => Ulps(24),
        "digamma" | "erfinv" | "erfcinv" | "ndtri" | "log_poisson_loss" => Sums(8),
        "bessel_i0" | "bessel_i0e" | "bessel_i1" | "bessel_i1e" => Ulps(16),
        // TensorFlow's lose digits where terms cancel.
        "igamma" | "igammac" | "betainc" | "betainc_of" | "matrix_exponential" | "random_gamma"
        | "random_gamma_grad" => Sums(512),
        "lgamma" | "lbeta" | "selu" | "gelu" | "gelu_approximate" | "polyval" | "xlogy" | "xlog1py" => Sums(8),
        // TensorFlow gives zeros either sign, as its vectors come.
        "relu6" | "crelu" | "xdivy" | "multiply_no_nan" => Sums(0),
        // Sums, or steps of a float that are added in another order.
        "einsum" | "tensordot" | "trace" | "matvec" | "xw_plus_b" | "relu_layer" => Sums(8),
        "linspace" => Ulps(2),
        "unsorted_segment_sqrt_n"
        | "sparse_segment_sum"
        | "sparse_segment_mean"
        | "sparse_segment_sqrt_n"
        | "euclidean_norm"
        | "normalize"
        | "resize_with_pad"
        | "logsumexp"
        | "variance"
        | "std"
        | "norm"
        | "matrix_norm"
        | "mean_of_moments"
        | "variance_of_moments"
        | "weighted_moments"
        | "normalized"
        | "normalized_shifted"
        | "cumulative_logsumexp"
        | "clip_by_norm"
        | "clip_by_average_norm"
        | "clip_by_global_norm"
        | "global_norm" => Sums(8),
        // Products and differences in another order, of matrices that are not far from singular.
        "cholesky"
        | "cholesky_solve"
        | "triangular_solve"
        | "triangular_solve_broadcast"
        | "matrix_solve"
        | "matrix_solve_adjoint"
        | "matrix_inverse"
        | "determinant"
        | "slogdet"
        | "log_of_slogdet"
        | "logdet"
        | "lstsq"
        | "qr"
        | "qr_full"
        | "qr_r"
        | "singular_values"
        | "svd_full_values"
        | "polar"
        | "self_adjoint_eigvals"
        | "eig_of"
        | "pinv" => Sums(64),
        // Colors that are divided by how far they are apart, and means of cells.
        "adjust_contrast"
        | "adjust_saturation"
        | "rgb_to_hsv"
        | "per_image_standardization"
        | "rgb_to_grayscale"
        | "rgb_to_yiq"
        | "yiq_to_rgb"
        | "rgb_to_yuv"
        | "yuv_to_rgb"
        | "adjust_gamma"
        | "sobel_edges"
        | "total_variation" => Sums(8),
        "ssim" | "psnr" => Sums(64),
        _ => Bits,
    }
}

trait Float: Copy + std::fmt::Display {
    fn near(self, other: Self, nearness: Nearness) -> bool;
}

macro_rules! floats {
    ($($t:ty: $bits:ty),*) => { $(
        impl Float for $t {
            fn near(self, other: $t, nearness: Nearness) -> bool {
                if self.is_nan() || other.is_nan() || self.is_infinite() || other.is_infinite() {
                    return self == other || self.is_nan() && other.is_nan();
                }
                // Numbers in order have bits in order, those below 0 the other way round.
                let place = |x: $t| {
                    let bits = x.abs().to_bits() as i128;
                    if x.is_sign_negative() { -bits } else { bits }
                };
                match nearness {
                    Nearness::Bits => self.to_bits() == other.to_bits(),
                    Nearness::Ulps(n) => place(self).abs_diff(place(other)) <= u128::from(n),
                    Nearness::Sums(n) => (self - other).abs() <= n as $t * <$t>::EPSILON * other.abs().max(1.0),
                }
            }
        }
    )* };
}
floats!(f32: u32, f64: u64);

macro_rules! halves {
    ($($t:ty),*) => { $(
        impl Float for $t {
            /// Each operation of TensorFlow rounds, to one of the two nearest, and so does each of ours.
            fn near(self, other: $t, nearness: Nearness) -> bool {
                if self.is_nan() || other.is_nan() || self.is_infinite() || other.is_infinite() {
                    return self == other || self.is_nan() && other.is_nan();
                }
                let place = |x: $t| {
                    let bits = i32::from(x.to_bits() & 0x7fff);
                    if x.is_sign_negative() { -bits } else { bits }
                };
                let [a, b] = [self, other].map(f64::from);
                match nearness {
                    Nearness::Bits => place(self).abs_diff(place(other)) <= 1,
                    Nearness::Ulps(n) => u64::from(place(self).abs_diff(place(other))) <= n.into(),
                    Nearness::Sums(n) => (a - b).abs() <= n as f64 * f64::from(<$t>::EPSILON) * b.abs().max(1.0),
                }
            }
        }
    )* };
}
halves!(f16, bf16);

#[allow(clippy::wildcard_enum_match_arm, reason = "what is no float is equal or not")]
fn compare(got: &Value, expected: &Value, nearness: Nearness) -> Result<(), String> {
    fn all<T: Float>(got: &[T], expected: &[T], nearness: Nearness) -> Result<(), String> {
        let far = got.iter().zip(expected).enumerate().find(|(_, (a, b))| !a.near(**b, nearness));
        far.map_or(Ok(()), |(i, (a, b))| Err(format!("element {i} is {a}, TensorFlow's {b}")))
    }
    if (got.dtype(), got.shape()) != (expected.dtype(), expected.shape()) {
        let told = |v: &Value| format!("{}{:?}", v.dtype(), v.shape());
        return Err(format!("{}, TensorFlow's is {}", told(got), told(expected)));
    }
    match got.dtype() {
        DType::F32 => all(&got.to_vec::<f32>().unwrap(), &expected.to_vec().unwrap(), nearness),
        DType::F64 => all(&got.to_vec::<f64>().unwrap(), &expected.to_vec().unwrap(), nearness),
        DType::F16 => all(&got.to_vec::<f16>().unwrap(), &expected.to_vec().unwrap(), nearness),
        DType::Bf16 => all(&got.to_vec::<bf16>().unwrap(), &expected.to_vec().unwrap(), nearness),
        _ if got == expected => Ok(()),
        _ => Err(format!("{got}, TensorFlow's {expected}")),
    }
}

/// What is known of shapes before a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Extents,
    Ranks,
    Nothing,
}

/// The results of a case's method.
fn build(case: &Case, x: &[Tensor]) -> Vec<Tensor> {
    let of_family = arrays::build(case, x).or_else(|| functions::build(case, x)).or_else(|| nn::build(case, x));
    let of_family = of_family.or_else(|| images::build(case, x)).or_else(|| rearranged::build(case, x));
    let of_family = of_family.or_else(|| graphs::plain(case.method, x).map(|one| vec![one]));
    of_family.unwrap_or_else(|| vec![methods::build(case, x)])
}

/// Builds a case, with shapes known or not before the run, and runs it.
fn run(case: &Case, told: Told) -> Result<Vec<Value>, String> {
    let graph = Graph::new();
    let known = told == Told::Extents;
    let shape = |value: &Value| match told {
        Told::Extents => Shape::known(value.shape()),
        Told::Ranks => Shape::of_rank(value.shape().len()),
        Told::Nothing => Shape::unknown(),
    };
    let inputs: Vec<Tensor> = case.operands.iter().map(|v| graph.placeholder(v.dtype(), shape(v))).collect();
    let outputs = match case.kind {
        Kind::Value => build(case, &inputs),
        Kind::Gradient => {
            let (w, inputs) = inputs.split_last().unwrap();
            let y = build(case, inputs)[0];
            let sources: Vec<Tensor> = inputs.iter().copied().filter(|x| x.dtype().is_float()).collect();
            gradients((y * *w).sum(), sources)
        }
    };
    let session = Session::new(&graph).map_err(|e| e.to_string())?;
    let feeds: Vec<(Tensor, Value)> = inputs.iter().copied().zip(case.operands.iter().cloned()).collect();
    let values = session.run(&outputs, feeds).map_err(|e| e.to_string())?;
    let exact = known && !rearranged::MEASURED.contains(&case.method);
    for (tensor, value) in outputs.iter().zip(&values) {
        let told =
            if exact { tensor.shape() == Shape::known(value.shape()) } else { tensor.shape().accepts(value.shape()) };
        assert!(told && tensor.dtype() == value.dtype(), "{} is {}", case.line, tensor.shape());
    }
    Ok(values)
}

fn check(case: &Case, told: Told) -> Result<(), String> {
    match (run(case, told), &case.results) {
        (Err(_), None) => Ok(()),
        // Whether a bias has a last axis to go along is not asked once shapes are known.
        (Ok(_), None) if told == Told::Nothing && case.method == "bias_add" => Ok(()),
        // Nor is whether there is as much as is cropped.
        (Ok(_), None) if told == Told::Ranks && case.method == "batch_to_space_nd" => Ok(()),
        (Ok(_), None) => Err("TensorFlow gives an error".to_owned()),
        (Err(e), Some(_)) => Err(e),
        (Ok(got), Some(expected)) => {
            assert_eq!(got.len(), expected.len(), "{}", case.line);
            got.iter().zip(expected).try_for_each(|(got, expected)| compare(got, expected, promised(case)))
        }
    }
}

fn every_case(lines: impl Iterator<Item = &'static str>, known: Told, left_out: &[&str]) -> usize {
    let mut told = Vec::new();
    let mut count = 0;
    for case in lines.map(Case::new).filter(|case| !left_out.contains(&case.method)) {
        let line = case.line;
        count += 1;
        if let Err(e) = check(&case, known) {
            let short: String = line.chars().take(160).collect();
            told.push(format!("{e}\n    {short}"));
        }
    }
    assert!(told.is_empty(), "{} of {count} cases differ\n{}", told.len(), told.join("\n"));
    count
}

#[test]
fn operations_give_what_tensorflow_gives() {
    assert!(every_case(lines(false), Told::Extents, &[]) > 1000);
}

#[test]
fn operations_of_unknown_shapes_give_what_tensorflow_gives() {
    assert!(every_case(lines(false), Told::Nothing, &[]) > 1000);
}

fn function_lines() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.lines().filter(|line| !line.starts_with('#'))
}

#[test]
fn functions_are_what_tensorflow_gives() {
    assert!(every_case(function_lines(), Told::Extents, &[]) > 200);
}

#[test]
fn functions_of_unknown_extents_are_what_tensorflow_gives() {
    assert!(every_case(function_lines(), Told::Ranks, functions::EXTENTS_ASKED) > 200);
}

fn array_lines() -> impl Iterator<Item = &'static str> {
    ARRAYS.lines().filter(|line| !line.starts_with('#'))
}

#[test]
fn arrays_are_what_tensorflow_gives() {
    assert!(every_case(array_lines(), Told::Extents, &[]) > 500);
}

#[test]
fn arrays_of_unknown_extents_are_what_tensorflow_gives() {
    assert!(every_case(array_lines(), Told::Ranks, arrays::EXTENTS_ASKED) > 350);
}

fn nn_lines() -> impl Iterator<Item = &'static str> {
    NN.lines().filter(|line| !line.starts_with('#'))
}

#[test]
fn neural_networks_are_what_tensorflow_gives() {
    assert!(every_case(nn_lines(), Told::Extents, &[]) > 500);
}

#[test]
fn neural_networks_of_unknown_extents_are_what_tensorflow_gives() {
    assert!(every_case(nn_lines(), Told::Ranks, nn::EXTENTS_ASKED) > 350);
}

fn element_lines(random: bool) -> impl Iterator<Item = &'static str> {
    let (cases, drawn) = ELEMENTS.split_once("# Draws\n").unwrap();
    let part = if random { drawn } else { cases };
    part.lines().filter(|line| !line.starts_with('#'))
}

#[test]
fn halves_and_short_integers_are_what_tensorflow_gives() {
    assert!(every_case(element_lines(false), Told::Extents, &[]) > 1500);
}

#[test]
fn what_is_drawn_at_random_is_what_tensorflow_gives() {
    let lines = || PROBES.lines().filter(|line| !line.starts_with('#'));
    assert!(every_case(lines(), Told::Extents, &[]) > 1500);
}

#[test]
fn what_is_drawn_at_random_is_what_tensorflow_gives_for_unknown_extents() {
    let lines = || PROBES.lines().filter(|line| !line.starts_with('#'));
    let left_out = [arrays::EXTENTS_ASKED, rearranged::EXTENTS_ASKED].concat();
    assert!(every_case(lines(), Told::Ranks, &left_out) > 1500);
}

/// Methods that have to know how many axes there are, but along the last one.
const AXES_ASKED: &[&str] =
    &["argsort", "matrix_diag_part", "matrix_transpose", "roll", "sort", "split_sizes", "unstack"];

#[test]
fn what_is_drawn_at_random_is_what_tensorflow_gives_for_unknown_shapes() {
    let lines = || PROBES.lines().filter(|line| !line.starts_with('#'));
    let left_out = [AXES_ASKED, rearranged::EXTENTS_ASKED, rearranged::AXES_ASKED].concat();
    assert!(every_case(lines(), Told::Nothing, &left_out) > 1500);
}

#[test]
fn draws_are_named_as_tensorflows() {
    let graph = Graph::new();
    let plain = graph.random(&[2], Uniform::default());
    let scaled = graph.random(&[2], Uniform::new(-1.0, 1.0));
    assert_eq!(plain.name(), "random_uniform/RandomUniform:0");
    assert_eq!(scaled.name(), "random_uniform_1:0");
}

#[test]
fn seeded_draws_are_tensorflows_bits() {
    for threads in [1, 2, 8] {
        let drawn = DRAWS.lines().filter(|line| !line.starts_with('#')).chain(element_lines(true));
        let told: Vec<String> =
            lines(true).chain(drawn).filter_map(|line| random::check(line, threads).err()).collect();
        assert!(told.is_empty(), "{} draws differ with {threads} threads\n{}", told.len(), told.join("\n"));
    }
}

fn image_lines(random: bool) -> impl Iterator<Item = &'static str> {
    let (cases, drawn) = IMAGES.split_once("# Random images\n").unwrap();
    let part = if random { drawn } else { cases };
    part.lines().filter(|line| !line.starts_with('#'))
}

#[test]
fn images_are_what_tensorflow_gives() {
    // How many boxes are chosen is known in the run only.
    assert!(every_case(image_lines(false), Told::Extents, &["non_max_suppression"]) > 600);
}

#[test]
fn images_of_unknown_extents_are_what_tensorflow_gives() {
    // Whether an image has the size already is not known; how many channels there are has to be.
    let left_out = ["resize_images", "draw_bounding_boxes", "ssim", "sobel_edges"];
    assert!(every_case(image_lines(false), Told::Ranks, &left_out) > 600);
}

#[test]
fn images_changed_at_random_are_what_tensorflow_gives() {
    let told: Vec<String> = image_lines(true).filter_map(|line| random::check(line, 1).err()).collect();
    assert!(told.is_empty(), "{} draws differ\n{}", told.len(), told.join("\n"));
}
