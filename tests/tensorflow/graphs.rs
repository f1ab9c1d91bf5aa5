//! Graphs drawn at random, held to what TensorFlow gives: `tests/fixtures/random_graphs.txt`, which
//! `tests/oracle/random_graphs.py` writes and explains.
//!
//! Every graph is run as it is optimized by default, exactly, and node by node; once for its last results only, as users
//! do, and once for all of its nodes, which tells the first that differs.

use dormouse::prelude::*;
use dormouse::value::Element;

use crate::build;
use crate::case::{Attributes, Case, Kind};

const FIXTURE: &str = include_str!("../fixtures/random_graphs.txt");

/// How near sums are in parts of the root of their terms' squares: ten times the change that the fixture's own conditions
/// let through of some units of the last place.
fn tolerance(dtype: DType) -> f64 {
    if dtype == DType::F32 { 1e-4 } else { 1e-9 }
}

/// A line: what makes a node, and what TensorFlow's results are; a source has none.
struct Line {
    text: &'static str,
    outputs: Vec<Tensor>,
    told: Vec<&'static str>,
}

/// A graph of the fixture, built.
struct Drawn {
    graph: OwnedGraph,
    lines: Vec<Line>,
    feeds: Vec<(Tensor, Value)>,
    /// Nodes that none reads.
    last: Vec<usize>,
}

/// The graphs' lines.
fn drawn() -> Vec<(usize, Vec<&'static str>)> {
    let mut graphs: Vec<(usize, Vec<&'static str>)> = Vec::new();
    for line in FIXTURE.lines().skip(1) {
        match (line.strip_prefix("# "), graphs.last_mut()) {
            (Some(number), _) => graphs.push((number.parse().unwrap(), Vec::new())),
            (None, Some((_, lines))) => lines.push(line),
            (None, None) => panic!("a line before the first graph"),
        }
    }
    graphs
}

/// The graph of the first `count` lines.
fn drawing(lines: &[&'static str], count: usize) -> Drawn {
    let graph = Graph::new();
    let mut all: Vec<Line> = Vec::new();
    let mut feeds = Vec::new();
    let mut read = vec![false; count];
    for text in &lines[..count] {
        let Some((call, rest)) = text.split_once('|') else {
            if let Some(draw) = text.strip_prefix("r ") {
                all.push(Line { text, outputs: vec![drawn_by_seed(&graph, draw)], told: Vec::new() });
                continue;
            }
            let (how, value) = source(text);
            let tensor = match how {
                "p" => {
                    let x = graph.placeholder(value.dtype(), Shape::known(value.shape()));
                    feeds.push((x, value));
                    x
                }
                "c" => graph.constant(value),
                _ => graph.variable(value).value(),
            };
            all.push(Line { text, outputs: vec![tensor], told: Vec::new() });
            continue;
        };
        let (operands, told) = rest.split_once('|').unwrap();
        let x: Vec<Tensor> = operands
            .split(' ')
            .map(|word| {
                let (node, port) = word.split_once('.').unwrap_or((word, "0"));
                let node: usize = node.parse().unwrap();
                read[node] = true;
                all[node].outputs[port.parse::<usize>().unwrap()]
            })
            .collect();
        let outputs = match call {
            "grad" => Gradients::of(x[0]).or_zeros(x[1..].to_vec()),
            "grad2" => second(x[0], &x[1..], &all),
            _ => method(call, &x),
        };
        all.push(Line { text, outputs, told: told.split(' ').collect() });
    }
    let last = (0..count).filter(|n| !read[*n] && !all[*n].told.is_empty()).collect();
    Drawn { graph, lines: all, feeds, last }
}

/// Gradients of a weighted sum of the gradients that the line before has.
fn second(loss: Tensor, sources: &[Tensor], before: &[Line]) -> Vec<Tensor> {
    let graph = loss.graph();
    let first = before.last().unwrap();
    let of = first.text.split('|').nth(1).unwrap().split(' ').skip(1);
    let of = of.map(|node| before[node.parse::<usize>().unwrap()].outputs[0].shape().to_dims().unwrap());
    let terms: Vec<Tensor> = (first.outputs.iter().zip(of))
        .map(|(slope, dims)| {
            let weights: Vec<f64> = (0..dims.iter().product()).map(|i| weight(i) / 16.0).collect();
            let weights = graph.constant(Value::from_elements(&dims, weights).unwrap()).cast(slope.dtype());
            (*slope * weights).sum().cast(loss.dtype())
        })
        .collect();
    Gradients::of(graph.add_n(&terms)).or_zeros(sources.to_vec())
}

/// `f2,3 normal 17`: a draw of these numbers, by this seed.
fn drawn_by_seed(graph: &Graph, text: &str) -> Tensor {
    let words: Vec<&str> = text.split(' ').collect();
    let (letter, dims) = words[0].split_at(1);
    let dims: Vec<usize> = dims.split(',').filter(|n| !n.is_empty()).map(|n| n.parse().unwrap()).collect();
    let seed: i64 = words[2].parse().unwrap();
    let dtype = match letter {
        "f" => DType::F32,
        "d" => DType::F64,
        "i" => DType::I32,
        _ => DType::I64,
    };
    match words[1] {
        "uniform" => graph.random(&dims, Uniform::new(0.0, 1.0).dtype(dtype).seed(seed)),
        "normal" => graph.random(&dims, Normal::new(1.0).dtype(dtype).seed(seed)),
        "truncated" => graph.random(&dims, TruncatedNormal::new(1.0).dtype(dtype).seed(seed)),
        range => {
            let (low, high) = range.split_once("..").unwrap();
            let whole = UniformInt::new(low.parse().unwrap(), high.parse().unwrap());
            graph.random(&dims, whole.dtype(dtype).seed(seed))
        }
    }
}

/// `p f2,3 signed 17`: what it is, and its value.
fn source(text: &str) -> (&str, Value) {
    let words: Vec<&str> = text.split(' ').collect();
    let (letter, dims) = words[1].split_at(1);
    let dims: Vec<usize> = dims.split(',').filter(|n| !n.is_empty()).map(|n| n.parse().unwrap()).collect();
    let count = dims.iter().product();
    let bits = bits(words[3].parse().unwrap(), count);
    let float = |of: &dyn Fn(i64) -> f64| -> Vec<f64> { bits.iter().map(|b| of(*b)).collect() };
    let numbers: Vec<f64> = match (letter, words[2]) {
        (_, what) if what.starts_with('=') => vec![what[1..].parse().unwrap(); count],
        ("b", _) => float(&|b| (b % 2) as f64),
        (_, "signed") => float(&|b| ((b % 2048) * 2 + 1 - 2048) as f64 / 1024.0),
        (_, "unit") => float(&|b| ((b % 1024) * 2 + 1) as f64 / 2048.0),
        (_, what) => {
            let range = what.strip_prefix("sorted").unwrap_or(what);
            let (low, high) = range.split_once("..").unwrap();
            let (low, high): (i64, i64) = (low.parse().unwrap(), high.parse().unwrap());
            let mut numbers = float(&|b| (low + b % (high - low)) as f64);
            if what.starts_with("sorted") {
                numbers.sort_by(f64::total_cmp);
            }
            numbers
        }
    };
    let value = match letter {
        "f" => value(&dims, &numbers, |x| x as f32),
        "d" => value(&dims, &numbers, |x| x),
        "i" => value(&dims, &numbers, |x| x as i32),
        "l" => value(&dims, &numbers, |x| x as i64),
        _ => value(&dims, &numbers, |x| x != 0.0),
    };
    (words[0], value)
}

fn value<T: Element>(dims: &[usize], numbers: &[f64], of: impl Fn(f64) -> T) -> Value {
    Value::from_elements(dims, numbers.iter().map(|x| of(*x)).collect()).unwrap()
}

/// So many draws of the generator that the script has too.
fn bits(seed: i64, count: usize) -> Vec<i64> {
    let mut state = seed * 7919 + 12345;
    let mut draw = || {
        state = (state * 1_103_515_245 + 12345) % (1 << 31);
        state >> 10
    };
    (0..count + 3).map(|_| draw()).skip(3).collect()
}

/// Methods that have cases of their own in random graphs and probes alone.
pub(crate) fn plain(method: &str, x: &[Tensor]) -> Option<Tensor> {
    Some(match method {
        "nonzero" => x[0].nonzero(),
        "boolean_mask" => x[0].boolean_mask(x[1]),
        "identity" => x[0].identity(),
        "stop_gradient" => x[0].stop_gradient(),
        "ones_like" => x[0].ones_like(),
        "zeros_like" => x[0].zeros_like(),
        "cond" => x[0].graph().cond(x[0], || x[1].tanh() + x[2], || x[1] * x[2]),
        "case" => {
            let (a, b) = (x[2], x[3]);
            let sides: [(Tensor, Box<dyn FnOnce() -> Tensor>); 2] =
                [(x[0], Box::new(move || a + b)), (x[1], Box::new(move || a * b.sin()))];
            x[0].graph().case(sides, || a - b)
        }
        _ => return in_halves(method, x),
    })
}

/// One operation in numbers of 16 bits, such as `add_in_f16`.
fn in_halves(method: &str, x: &[Tensor]) -> Option<Tensor> {
    let (name, dtype) = method.split_once("_in_")?;
    let dtype = DType::ALL.into_iter().find(|own| own.name() == dtype)?;
    let [a, b] = [0, 1].map(|i: usize| x[i].cast(dtype));
    let y = match name {
        "add" => a + b,
        "sub" => a - b,
        "mul" => a * b,
        "maximum" => a.maximum(b),
        _ => return None,
    };
    Some(y.cast(x[0].dtype()))
}

fn method(call: &'static str, x: &[Tensor]) -> Vec<Tensor> {
    let (method, attributes) = call.split_once(' ').unwrap_or((call, ""));
    if let Some(one) = plain(method, x) {
        return vec![one];
    }
    let attributes = Attributes::new(attributes);
    if method == "dropout" {
        return vec![x[0].dropout(attributes.number("rate"), Some(attributes.number("seed")))];
    }
    let results =
        build(&Case { line: call, kind: Kind::Value, method, attributes, operands: Vec::new(), results: None }, x);
    match (method, results.as_slice()) {
        // TensorFlow's gradients pass through the first result only.
        ("fused_batch_norm", [y, mean, variance]) => vec![*y, mean.stop_gradient(), variance.stop_gradient()],
        _ => results,
    }
}

/// The weight of the element at a place.
fn weight(place: usize) -> f64 {
    ((place * 7919 + 13) % 31 * 2) as f64 - 30.5
}

/// `f2,3:1.25`: the value has this dtype and shape, and this sum.
fn compare(value: &Value, told: &str) -> Result<(), String> {
    let (kind, sum) = told.split_once(':').unwrap();
    let letter = match value.dtype().name() {
        "f32" => "f",
        "f64" => "d",
        "i32" => "i",
        "i64" => "l",
        "bool" => "b",
        other => other,
    };
    let dims: Vec<String> = value.shape().iter().map(ToString::to_string).collect();
    let own = format!("{letter}{}", dims.join(","));
    if own != kind {
        return Err(format!("{own}, TensorFlow's is {kind}"));
    }
    let whole = match letter {
        "i" => Some(value.to_vec::<i32>().unwrap().into_iter().map(i64::from).collect()),
        "l" => Some(value.to_vec::<i64>().unwrap()),
        "b" => Some(value.to_vec::<bool>().unwrap().into_iter().map(i64::from).collect()),
        _ => None,
    };
    if let Some(whole) = whole {
        let terms = whole.iter().enumerate().map(|(i, x)| x.wrapping_mul((weight(i) + 0.5) as i64));
        let own = terms.fold(0, i64::wrapping_add) as u32;
        let other = u32::from_str_radix(sum, 16).unwrap();
        return if own == other { Ok(()) } else { Err(format!("{value} has the sum {own:x}, TensorFlow's {sum}")) };
    }
    let floats: Vec<f64> = match letter {
        "f" => value.to_vec::<f32>().unwrap().into_iter().map(f64::from).collect(),
        _ => value.to_vec().unwrap(),
    };
    let terms: Vec<f64> = floats.iter().enumerate().map(|(i, x)| x * weight(i)).collect();
    let (own, other): (f64, f64) = (terms.iter().sum(), sum.parse().unwrap());
    let scale = terms.iter().map(|x| x * x).sum::<f64>().sqrt();
    let far = (own - other).abs();
    // TensorFlow's denormal numbers are 0.
    if far <= tolerance(value.dtype()) * scale || far < 1e-36 {
        Ok(())
    } else {
        Err(format!("{value} has the sum {own}, TensorFlow's {other}: {:.1e} of {scale} off", far / scale))
    }
}

fn options(optimize: Optimize) -> SessionOptions {
    SessionOptions { optimize, threads: Some(1), ..SessionOptions::default() }
}

impl Drawn {
    /// Runs these nodes, and tells the first that differs.
    fn run(&self, optimize: Optimize, nodes: &[usize]) -> Result<(), (usize, String)> {
        let told = |e: dormouse::Error| (usize::MAX, e.to_string());
        let init = self.graph.initializer();
        let session = Session::with_options(&self.graph, options(optimize)).map_err(|e| told(e.into()))?;
        session.run(init, ()).map_err(|e| told(e.into()))?;
        let fetches: Vec<Vec<Tensor>> = nodes.iter().map(|n| self.lines[*n].outputs.clone()).collect();
        let values = session.run(&fetches, self.feeds.clone()).map_err(|e| told(e.into()))?;
        for (node, values) in nodes.iter().zip(&values) {
            let line = &self.lines[*node];
            if values.len() != line.told.len() {
                return Err((*node, format!("{} results", values.len())));
            }
            for (port, (value, text)) in values.iter().zip(&line.told).enumerate() {
                compare(value, text).map_err(|e| (*node, format!("result {port} is {e}")))?;
                let inferred = line.outputs[port].shape();
                if !inferred.accepts(value.shape()) {
                    return Err((*node, format!("inferred {inferred}, produced {:?}", value.shape())));
                }
            }
        }
        Ok(())
    }
}

/// What is wrong with a graph: the fewest first lines that show it.
fn check(number: usize, lines: &[&'static str]) -> Result<(), String> {
    let whole = drawing(lines, lines.len());
    let all: Vec<usize> = (0..lines.len()).filter(|n| !whole.lines[*n].told.is_empty()).collect();
    for optimize in [Optimize::Full, Optimize::Exact, Optimize::None] {
        for nodes in [&whole.last, &all] {
            let Err((node, e)) = whole.run(optimize, nodes) else { continue };
            // A node that differs beside others may not do so alone: the first prefix whose last node differs.
            let alone = |count: usize| -> Option<String> {
                let part = drawing(lines, count);
                let last = count - 1;
                let fails = !part.lines[last].told.is_empty() && part.run(optimize, &[last]).is_err();
                fails.then(|| format!("the first {count} lines suffice: {}", part.lines[last].text))
            };
            let first = (1..=lines.len()).find_map(alone).unwrap_or_default();
            let text = lines.get(node).copied().unwrap_or("the run");
            return Err(format!("graph {number}, {optimize:?}, node {node} `{text}`: {e}\n    {first}"));
        }
    }
    Ok(())
}

#[test]
fn random_graphs_are_what_tensorflow_gives() {
    let graphs = drawn();
    let told: Vec<String> = graphs.iter().filter_map(|(number, lines)| check(*number, lines).err()).collect();
    assert!(told.is_empty(), "{} of {} graphs differ\n{}", told.len(), graphs.len(), told.join("\n"));
    assert!(graphs.len() >= 1000);
}
