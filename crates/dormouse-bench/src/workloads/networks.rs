//! Networks of dense layers and of recurrent ones, and LeNet-5: training steps, and forward passes of the first.

use dormouse::Result;
use dormouse::prelude::*;

use super::{Step, awake, first, run, value};
use crate::data::Numbers;

/// Gradient descent on variables, and the variables after it.
fn descend(loss: Tensor, rate: f64, variables: &[Variable]) -> Vec<Tensor> {
    variables.iter().zip(gradients(loss, variables.to_vec())).map(|(v, g)| v.assign_sub(g * rate)).collect()
}

/// One training step of the course's MNIST network, moving averages included.
pub(super) fn mlp() -> Result<Step> {
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

/// Classes of images by the same network, its weights constants: a matrix by a matrix, or by a vector.
pub(super) fn predict(batch: usize) -> Result<Step> {
    let mut numbers = Numbers::new(2);
    let (inputs, hidden, classes) = (784, 500, 10);
    let mut images = numbers.uniform(100 * inputs, 0.0, 1.0);
    images.truncate(batch * inputs);
    let images = value(&[batch, inputs], images)?;
    numbers.integers(100, classes as u64);
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, 784]);
    let w1 = graph.constant(value(&[inputs, hidden], numbers.truncated_normal(inputs * hidden, 0.1))?);
    let w2 = graph.constant(value(&[hidden, classes], numbers.truncated_normal(hidden * classes, 0.1))?);
    let b1 = graph.constant(value(&[hidden], numbers.normal(hidden, 0.1))?);
    let b2 = graph.constant(value(&[classes], numbers.normal(classes, 0.1))?);
    let classes = ((x.matmul(w1) + b1).relu().matmul(w2) + b2).softmax();
    let step = awake(&graph)?.prepare(classes, x)?;
    Ok(Box::new(move || first(&run(&step, &images)?)))
}

/// One training step of LeNet-5, as the course has it.
pub(super) fn lenet() -> Result<Step> {
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
pub(super) fn lstm() -> Result<Step> {
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
