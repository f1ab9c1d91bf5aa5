//! Draws: three runs of one session, held to TensorFlow's bits by a checksum and by the first and the last element.

use dormouse::graph::DistortedBox;
use dormouse::prelude::*;

use crate::case::{Attributes, value};
use crate::{Nearness, compare};

/// Draws as a line of the fixture says, and compares.
pub(crate) fn check(line: &'static str, threads: usize) -> Result<(), String> {
    let (call, expected) = line.split_once(" => ").unwrap();
    let mut parts = call.split(" | ");
    let (method, attributes) = parts.next().and_then(|call| call.split_once(' ')).unwrap();
    let a = Attributes::new(attributes);
    let graph = Graph::new();
    if a.text("graph_seed").is_some() {
        graph.set_seed(a.number("graph_seed"));
    }
    let operands: Vec<Value> = parts.map(value).collect();
    let inputs: Vec<Tensor> =
        operands.iter().map(|v| graph.placeholder(v.dtype(), Shape::of_rank(v.shape().len()))).collect();
    let tensors = draw(&graph, method, &a, &inputs);
    let options = SessionOptions { threads: Some(threads), ..SessionOptions::default() };
    let session = Session::with_options(&graph, options).map_err(|e| format!("{call}: {e}"))?;
    let run = || {
        let feeds: Vec<(Tensor, Value)> = inputs.iter().copied().zip(operands.iter().cloned()).collect();
        session.run(&tensors, feeds).map_err(|e| format!("{call}: {e}"))
    };
    let told_whole = method == "distorted" || a.text("ulps").is_some() || a.text("sums").is_some();
    if told_whole {
        let or_none = |key: &str| if a.text(key).is_some() { a.number(key) } else { 0 };
        let (ulps, sums) = (or_none("ulps"), or_none("sums"));
        for (number, expected) in expected.split(" | ").enumerate() {
            let starts: Vec<usize> = expected
                .match_indices('[')
                .map(|(at, _)| expected[..at].rfind(' ').map_or(0, |space| space + 1))
                .collect();
            let ends = starts.iter().skip(1).map(|at| at - 1).chain([expected.len()]);
            let wanted: Vec<Value> = starts.iter().zip(ends).map(|(from, to)| value(&expected[*from..to])).collect();
            let got = run()?;
            if sums > 0 {
                let near = got.iter().zip(&wanted).try_for_each(|(a, b)| compare(a, b, Nearness::Sums(sums)));
                near.map_err(|e| format!("{call}: run {number}: {e}"))?;
                continue;
            }
            let [got, wanted]: [Vec<u64>; 2] = [&got, &wanted].map(|values| values.iter().flat_map(bits).collect());
            let near = got.iter().zip(&wanted).all(|(a, b)| a.abs_diff(*b) <= ulps);
            if got.len() != wanted.len() || !near {
                return Err(format!("{call}: run {number} is {got:?}, TensorFlow's {expected}"));
            }
        }
        return Ok(());
    }
    for (number, expected) in expected.split_whitespace().enumerate() {
        let got = told(&run()?[0]);
        if got != expected {
            return Err(format!("{call}: run {number} is {got}, TensorFlow's {expected}"));
        }
    }
    Ok(())
}

fn draw(graph: &Graph, method: &str, a: &Attributes, x: &[Tensor]) -> Vec<Tensor> {
    let or = |key: &str, default: f64| if a.text(key).is_some() { a.number(key) } else { default };
    let seed = a.text("seed").map(|seed| seed.parse::<i64>().unwrap());
    let dims = || -> Vec<usize> { if a.text("size").is_some() { vec![a.number("size")] } else { a.list("dims") } };
    macro_rules! seeded {
        ($of:expr) => {{
            let of = $of;
            seed.map_or(of, |seed| of.seed(seed))
        }};
    }
    macro_rules! initial {
        ($of:expr) => {
            seeded!($of.dtype(a.dtype("dtype"))).initial(graph, &dims())
        };
    }
    let drawn = match method {
        "orthogonal" => initial!(Orthogonal::new(or("gain", 1.0))),
        "random_normal" => {
            let normal = Normal::new(or("stddev", 1.0)).mean(or("mean", 0.0)).dtype(a.dtype("dtype"));
            graph.random(&dims(), seeded!(normal))
        }
        "truncated_normal" => {
            let normal = TruncatedNormal::new(or("stddev", 1.0)).mean(or("mean", 0.0)).dtype(a.dtype("dtype"));
            graph.random(&dims(), seeded!(normal))
        }
        "random_uniform" if a.dtype("dtype").is_float() => {
            let uniform = Uniform::new(or("low", 0.0), or("high", 1.0)).dtype(a.dtype("dtype"));
            graph.random(&dims(), seeded!(uniform))
        }
        "random_uniform" => {
            let uniform = UniformInt::new(a.number("low"), a.number("high")).dtype(a.dtype("dtype"));
            graph.random(&dims(), seeded!(uniform))
        }
        "dropout" => graph.fill(&dims(), 1.25, a.dtype("dtype")).dropout(a.number("rate"), seed),
        "random_gamma" => x[0].random_gamma(&dims(), seed),
        "random_gamma_of_rate" => x[0].random_gamma_of_rate(x[1], &dims(), seed),
        "random_poisson" => x[0].random_poisson(&dims(), a.dtype("dtype"), seed),
        "categorical" => x[0].categorical(a.number("samples"), seed),
        "shuffle" => x[0].shuffle(seed),
        "random_crop" => x[0].random_crop(&dims(), seed),
        "random_brightness" => x[0].random_brightness(a.number("max"), seed),
        "random_contrast" => x[0].random_contrast(a.number("lower"), a.number("upper"), seed),
        "random_hue" => x[0].random_hue(a.number("max"), seed),
        "random_saturation" => x[0].random_saturation(a.number("lower"), a.number("upper"), seed),
        "random_flip_left_right" => x[0].random_flip_left_right(seed),
        "random_flip_up_down" => x[0].random_flip_up_down(seed),
        "glorot_uniform" => initial!(GlorotUniform::default()),
        "glorot_normal" => initial!(GlorotNormal::default()),
        "he_uniform" => initial!(HeUniform::default()),
        "he_normal" => initial!(HeNormal::default()),
        "lecun_uniform" => initial!(LecunUniform::default()),
        "lecun_normal" => initial!(LecunNormal::default()),
        "variance_scaling" => {
            let fan = match a.text("fan") {
                Some("fan_in") => Fan::In,
                Some("fan_out") => Fan::Out,
                _ => Fan::Average,
            };
            let spread = match a.text("spread") {
                Some("truncated_normal") => Spread::TruncatedNormal,
                Some("untruncated_normal") => Spread::Normal,
                _ => Spread::Uniform,
            };
            initial!(VarianceScaling::new(a.number("scale")).fan(fan).spread(spread))
        }
        "distorted" => {
            let options = DistortedBox {
                covered: a.number("covered"),
                aspect_ratio: a.pair("ratio"),
                area: a.pair("area"),
                attempts: a.number("attempts"),
                whole_image: true,
                seed,
            };
            return graph.sample_distorted_bounding_box(x[0], x[1], options).into();
        }
        other => panic!("no method {other}"),
    };
    vec![drawn]
}

/// The elements' bits, integers as i64 has them where they are negative.
#[allow(clippy::wildcard_enum_match_arm, reason = "no others are drawn")]
fn bits(value: &Value) -> Vec<u64> {
    match value {
        Value::F32(x) => x.iter().map(|x| u64::from(x.to_bits())).collect(),
        Value::F64(x) => x.iter().map(|x| x.to_bits()).collect(),
        Value::F16(x) => x.iter().map(|x| u64::from(x.to_bits())).collect(),
        Value::Bf16(x) => x.iter().map(|x| u64::from(x.to_bits())).collect(),
        Value::I32(x) => x.iter().map(|x| u64::from(x.cast_unsigned())).collect(),
        Value::I64(x) => x.iter().map(|x| x.cast_unsigned()).collect(),
        _ => panic!("not drawn"),
    }
}

/// The sum of bits[i] · (2 i + 1) modulo 2⁶⁴, the first and the last element's bits; 0 of none.
fn told(value: &Value) -> String {
    let bits = bits(value);
    let ([first, ..], [.., last]) = (bits.as_slice(), bits.as_slice()) else { return "0".to_owned() };
    let odd = (0_u64..).map(|i| 2 * i + 1);
    let sum = bits.iter().zip(odd).fold(0_u64, |sum, (bits, odd)| sum.wrapping_add(bits.wrapping_mul(odd)));
    format!("{sum:x},{first:x},{last:x}")
}
