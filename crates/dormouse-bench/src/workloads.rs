//! The workloads: each builds its graph and gives a step to measure.

use std::sync::atomic::{AtomicBool, Ordering};

use dormouse::Result;
use dormouse::prelude::*;
use dormouse::session::{Arguments, Layout, Step as Prepared};

use crate::data::Numbers;

/// One step: a number it computed, or 0 where it reads none.
type Step = Box<dyn FnMut() -> Result<f32>>;

/// A workload by name.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) build: fn() -> Result<Step>,
}

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload { name: "hello", build: hello },
    Workload { name: "hello_run", build: hello_run },
    Workload { name: "chain", build: chain },
    Workload { name: "branches", build: branches },
    Workload { name: "elementwise", build: elementwise },
    Workload { name: "matmul256", build: || matmul(256) },
    Workload { name: "matmul1024", build: || matmul(1024) },
    Workload { name: "matmul2048", build: || matmul(2048) },
    Workload { name: "mlp", build: mlp },
    Workload { name: "lenet", build: lenet },
    Workload { name: "lstm", build: lstm },
];

/// Whether steps print what they did.
pub(crate) static TRACING: AtomicBool = AtomicBool::new(false);

/// Runs a prepared step.
fn run<'a, L: Layout>(step: &Prepared<L>, arguments: impl Arguments<'a>) -> Result<L::Output> {
    if !TRACING.load(Ordering::Relaxed) {
        return Ok(step.run(arguments)?);
    }
    let (output, trace) = step.trace(arguments)?;
    eprintln!("{}", trace.table(Some(&Peak::measure()?)));
    Ok(output)
}

fn value(dims: &[usize], numbers: Vec<f32>) -> Result<Value> {
    Ok(Value::from_elements(dims, numbers)?)
}

/// A session whose variables are initialized.
fn awake(graph: &Graph) -> Result<Session> {
    let init = graph.initializer();
    let session = Session::new(graph)?;
    session.run(init, ())?;
    Ok(session)
}

/// a + b, of two numbers each, by a prepared step.
fn hello() -> Result<Step> {
    let graph = Graph::new();
    let a = graph.placeholder(DType::F32, shape![2]);
    let sum = a + graph.constant([2.0_f32, 3.0]);
    let step = awake(&graph)?.prepare(sum, a)?;
    let numbers = Value::from([1.0_f32, 2.0]);
    Ok(Box::new(move || Ok(run(&step, &numbers)?.to_vec::<f32>()?[0])))
}

/// The same by `Session::run`.
fn hello_run() -> Result<Step> {
    let graph = Graph::new();
    let a = graph.placeholder(DType::F32, shape![2]);
    let sum = a + graph.constant([2.0_f32, 3.0]);
    let session = awake(&graph)?;
    let numbers = Value::from([1.0_f32, 2.0]);
    Ok(Box::new(move || Ok(session.run(sum, feeds![a => &numbers])?.to_vec::<f32>()?[0])))
}

/// 10,000 operations of scalars, one after the other.
fn chain() -> Result<Step> {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![]);
    let c = graph.variable(1.0_f32);
    let y = (0..10_000).fold(x, |y, i| if i % 2 == 0 { y * c } else { y.sin() });
    let step = awake(&graph)?.prepare(y, x)?;
    let start = Value::from(0.5_f32);
    Ok(Box::new(move || Ok(run(&step, &start)?.scalar()?)))
}

/// 64 independent branches of four small products each.
fn branches() -> Result<Step> {
    let (count, side, depth) = (64, 128, 4);
    let mut numbers = Numbers::new(1);
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![128, 128]);
    let input = value(&[side, side], numbers.normal(side * side, 1.0))?;
    let mut ends = Vec::new();
    for _ in 0..count {
        let w = graph.variable(value(&[side, side], numbers.normal(side * side, 0.05))?);
        ends.push((0..depth).fold(x, |y, _| y.matmul(w).relu()));
    }
    let sum = graph.add_n(&ends).sum();
    let step = awake(&graph)?.prepare(sum, x)?;
    Ok(Box::new(move || Ok(run(&step, &input)?.scalar()?)))
}

/// A sum of 4 million activations.
fn elementwise() -> Result<Step> {
    let count = 1 << 22;
    let graph = Graph::new();
    let x = graph.variable(value(&[count], Numbers::new(1).normal(count, 1.0))?);
    let y = 0.5 * x * (1.0 + (0.797_884_560_8 * (x + 0.044_715 * x * x * x)).tanh());
    let sum = y.sum();
    let step = awake(&graph)?.prepare(sum, ())?;
    Ok(Box::new(move || Ok(run(&step, ())?.scalar()?)))
}

/// A product of two square matrices, not read.
fn matmul(side: usize) -> Result<Step> {
    let mut numbers = Numbers::new(1);
    let graph = Graph::new();
    let a = graph.variable(value(&[side, side], numbers.normal(side * side, 1.0))?);
    let b = graph.variable(value(&[side, side], numbers.normal(side * side, 1.0))?);
    let product = a.matmul(b).operation();
    let step = awake(&graph)?.prepare(product, ())?;
    Ok(Box::new(move || {
        run(&step, ())?;
        Ok(0.0)
    }))
}

/// Gradient descent on variables, and the variables after it.
fn descend(loss: Tensor, rate: f64, variables: &[Variable]) -> Vec<Tensor> {
    variables.iter().zip(gradients(loss, variables.to_vec())).map(|(v, g)| v.assign_sub(g * rate)).collect()
}

/// One training step of the course's MNIST network, moving averages included.
fn mlp() -> Result<Step> {
    let mut numbers = Numbers::new(2);
    let (inputs, hidden, classes) = (784, 500, 10);
    let images = value(&[100, inputs], numbers.uniform(100 * inputs, 0.0, 1.0))?;
    let labels = Value::from(numbers.integers(100, classes as u64));
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, 784]);
    let y = graph.placeholder(DType::I32, shape![?]);
    let w1 = graph.variable(value(&[inputs, hidden], numbers.truncated_normal(inputs * hidden, 0.1))?);
    let w2 = graph.variable(value(&[hidden, classes], numbers.truncated_normal(hidden * classes, 0.1))?);
    let b1 = graph.variable(graph.zeros(&[hidden]));
    let b2 = graph.variable(graph.zeros(&[classes]));
    let logits = (x.matmul(w1) + b1).relu().matmul(w2) + b2;
    let loss = logits.sparse_softmax_cross_entropy(y).mean() + 1e-4 * (w1.l2_loss() + w2.l2_loss());
    let variables = [w1, b1, w2, b2];
    let averages: Vec<Variable> = variables.iter().map(|v| graph.variable(v.initialized_value())).collect();
    let stepped = descend(loss, 0.8, &variables);
    let averaged: Vec<Operation> =
        averages.iter().zip(stepped).map(|(e, p)| e.assign_sub((*e - p) * 0.01).operation()).collect();
    let train = graph.group(averaged);
    let step = awake(&graph)?.prepare((loss, train), (x, y))?;
    Ok(Box::new(move || {
        let (loss, ()) = run(&step, (&images, &labels))?;
        Ok(loss.scalar()?)
    }))
}

/// One training step of LeNet-5, as the course has it.
fn lenet() -> Result<Step> {
    let mut numbers = Numbers::new(3);
    let images = value(&[100, 28, 28, 1], numbers.uniform(100 * 784, 0.0, 1.0))?;
    let labels = Value::from(numbers.integers(100, 10));
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, 28, 28, 1]);
    let y = graph.placeholder(DType::I32, shape![?]);
    let mut weight = |dims: &[usize]| -> Result<Variable> {
        Ok(graph.variable(value(dims, numbers.truncated_normal(dims.iter().product(), 0.1))?))
    };
    let (k1, k2) = (weight(&[5, 5, 1, 32])?, weight(&[5, 5, 32, 64])?);
    let (w1, w2) = (weight(&[3136, 512])?, weight(&[512, 10])?);
    let [kb1, kb2, b1, b2] = [32, 64, 512, 10].map(|n| graph.variable(graph.zeros(&[n])));
    let pool = Pool { size: [2, 2], strides: [2, 2], padding: Padding::Same };
    let convolved =
        |t: Tensor, k: Variable, b: Variable| t.conv2d(k, Conv2d::default()).bias_add(b).relu().max_pool(pool);
    let flat = convolved(convolved(x, k1, kb1), k2, kb2).reshape([-1, 3136]);
    let logits = (flat.matmul(w1) + b1).relu().dropout(0.5, None).matmul(w2) + b2;
    let loss = logits.sparse_softmax_cross_entropy(y).mean() + 1e-4 * (w1.l2_loss() + w2.l2_loss());
    let stepped = descend(loss, 0.01, &[k1, kb1, k2, kb2, w1, b1, w2, b2]);
    let train = graph.group(stepped.iter().map(|t| t.operation()).collect::<Vec<_>>());
    let step = awake(&graph)?.prepare((loss, train), (x, y))?;
    Ok(Box::new(move || {
        let (loss, ()) = run(&step, (&images, &labels))?;
        Ok(loss.scalar()?)
    }))
}

/// One training step of a language model of two LSTM layers, unrolled.
fn lstm() -> Result<Step> {
    let (vocabulary, hidden, layers, steps, batch) = (10_000, 300, 2, 35, 20);
    let mut numbers = Numbers::new(4);
    let words = value_of_words(numbers.integers(batch * steps, vocabulary as u64), batch, steps)?;
    let targets = value_of_words(numbers.integers(batch * steps, vocabulary as u64), batch, steps)?;
    let graph = Graph::new();
    let x = graph.placeholder(DType::I32, shape![20, 35]);
    let y = graph.placeholder(DType::I32, shape![20, 35]);
    let mut weight = |dims: &[usize]| -> Result<Variable> {
        Ok(graph.variable(value(dims, numbers.uniform(dims.iter().product(), -0.05, 0.05))?))
    };
    let embedding = weight(&[vocabulary, hidden])?;
    let kernels = (0..layers).map(|_| weight(&[2 * hidden, 4 * hidden])).collect::<Result<Vec<_>>>()?;
    let w = weight(&[hidden, vocabulary])?;
    let biases: Vec<Variable> = (0..layers).map(|_| graph.variable(graph.zeros(&[4 * hidden]))).collect();
    let b = graph.variable(graph.zeros(&[vocabulary]));
    let embedded = embedding.gather(x);
    let part = |t: Tensor, i: usize| t.slice([0, (i * hidden) as i64], [-1, hidden as i64]);
    let mut sequence: Vec<Tensor> =
        (0..steps).map(|t| embedded.slice([0, t as i64, 0], [-1, 1, -1]).squeeze_axes(&[1])).collect();
    for (k, b) in kernels.iter().zip(&biases) {
        let (mut h, mut c) = (graph.zeros(&[batch, hidden]), graph.zeros(&[batch, hidden]));
        for t in &mut sequence {
            let gates = graph.concat(&[*t, h], 1).matmul(*k) + *b;
            let [input, candidate, forget, output] = [0, 1, 2, 3].map(|i| part(gates, i));
            c = c * (forget + 1.0).sigmoid() + input.sigmoid() * candidate.tanh();
            h = c.tanh() * output.sigmoid();
            *t = h;
        }
    }
    let rows: Vec<Tensor> = sequence.iter().map(|t| t.expand_dims(1)).collect();
    let logits = graph.concat(&rows, 1).reshape([-1, hidden as i64]).matmul(w) + b;
    let loss = logits.sparse_softmax_cross_entropy(y.reshape([-1])).mean();
    let mut variables = vec![embedding, w, b];
    variables.extend(kernels.iter().chain(&biases));
    let slopes = gradients(loss, variables.clone());
    let norm = (graph.add_n(&slopes.iter().map(|g| g.l2_loss()).collect::<Vec<_>>()) * 2.0).sqrt();
    let scale = 5.0 / norm.maximum(5.0);
    let train = graph
        .group(variables.iter().zip(&slopes).map(|(v, g)| v.assign_sub(*g * scale).operation()).collect::<Vec<_>>());
    let step = awake(&graph)?.prepare((loss, train), (x, y))?;
    Ok(Box::new(move || {
        let (loss, ()) = run(&step, (&words, &targets))?;
        Ok(loss.scalar()?)
    }))
}

fn value_of_words(words: Vec<i32>, batch: usize, steps: usize) -> Result<Value> {
    Ok(Value::from_elements(&[batch, steps], words)?)
}
