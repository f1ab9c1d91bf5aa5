//! Draws: three runs of one session, held to TensorFlow's bits by a checksum and by the first and the last element.

use dormouse::prelude::*;

use crate::case::Attributes;

/// Draws as a line of the fixture says, and compares.
pub(crate) fn check(line: &'static str, threads: usize) -> Result<(), String> {
    let (call, expected) = line.split_once(" => ").unwrap();
    let (method, attributes) = call.split_once(' ').unwrap();
    let a = Attributes::new(attributes);
    let graph = Graph::new();
    if a.text("graph_seed").is_some() {
        graph.set_seed(a.number("graph_seed"));
    }
    let tensor = draw(&graph, method, &a);
    let options = SessionOptions { threads: Some(threads), ..SessionOptions::default() };
    let session = Session::with_options(&graph, options).map_err(|e| format!("{call}: {e}"))?;
    for (run, expected) in expected.split_whitespace().enumerate() {
        let value = session.run(tensor, ()).map_err(|e| format!("{call}: {e}"))?;
        let got = told(&value);
        if got != expected {
            return Err(format!("{call}: run {run} is {got}, TensorFlow's {expected}"));
        }
    }
    Ok(())
}

fn draw(graph: &Graph, method: &str, a: &Attributes) -> Tensor {
    let (dtype, dims) = (a.dtype("dtype"), [a.number::<usize>("size")]);
    let or = |key: &str, default: f64| if a.text(key).is_some() { a.number(key) } else { default };
    let seed = a.text("seed").map(|seed| seed.parse::<i64>().unwrap());
    match method {
        "random_normal" => {
            let normal = Normal::new(or("stddev", 1.0)).mean(or("mean", 0.0)).dtype(dtype);
            graph.random(&dims, seed.map_or(normal, |seed| normal.seed(seed)))
        }
        "truncated_normal" => {
            let normal = TruncatedNormal::new(or("stddev", 1.0)).mean(or("mean", 0.0)).dtype(dtype);
            graph.random(&dims, seed.map_or(normal, |seed| normal.seed(seed)))
        }
        "random_uniform" => {
            let uniform = Uniform::new(or("low", 0.0), or("high", 1.0)).dtype(dtype);
            graph.random(&dims, seed.map_or(uniform, |seed| uniform.seed(seed)))
        }
        "dropout" => graph.fill(&dims, 1.25, dtype).dropout(a.number("rate"), seed),
        other => panic!("no method {other}"),
    }
}

/// The sum of bits[i] · (2 i + 1) modulo 2⁶⁴, the first and the last element's bits.
fn told(value: &Value) -> String {
    let bits: Vec<u64> = match value.dtype() {
        DType::F32 => value.to_vec::<f32>().unwrap().iter().map(|x| u64::from(x.to_bits())).collect(),
        DType::F64 | DType::I32 | DType::I64 | DType::U8 | DType::Bool => {
            value.to_vec::<f64>().unwrap().iter().map(|x| x.to_bits()).collect()
        }
    };
    let odd = (0_u64..).map(|i| 2 * i + 1);
    let sum = bits.iter().zip(odd).fold(0_u64, |sum, (bits, odd)| sum.wrapping_add(bits.wrapping_mul(odd)));
    format!("{sum:x},{:x},{:x}", bits[0], bits[bits.len() - 1])
}
