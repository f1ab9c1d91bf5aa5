//! What the compiler makes of models keeps their numbers: recurrent cells built in several orders, and convolutions, with
//! their gradients, under every setting and on several threads.

#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse::prelude::*;

/// The values of some tensors, which depend on draws of no generator.
fn values(graph: &Graph, fetches: &[Tensor], optimize: Optimize, threads: usize) -> Vec<Value> {
    let options = SessionOptions { optimize, threads: Some(threads), ..SessionOptions::default() };
    let init = graph.initializer();
    let session = Session::with_options(graph, options).unwrap();
    session.run(init, ()).unwrap();
    session.run(fetches.to_vec(), ()).unwrap()
}

/// Checks that every setting gives the same numbers: bits where it says so, elsewhere but for so much of the largest.
fn check(graph: &Graph, fetches: &[Tensor], most: f32) {
    let bits = |values: &[Value]| -> Vec<Vec<u32>> {
        values.iter().map(|v| v.to_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect()).collect()
    };
    let expected = values(graph, fetches, Optimize::None, 1);
    assert_eq!(bits(&expected), bits(&values(graph, fetches, Optimize::Exact, 2)));
    let full = values(graph, fetches, Optimize::Full, 1);
    for threads in [2, 8] {
        assert_eq!(bits(&full), bits(&values(graph, fetches, Optimize::Full, threads)), "{threads} threads");
    }
    for (i, (a, b)) in expected.iter().zip(&full).enumerate() {
        let (a, b) = (a.to_vec::<f32>().unwrap(), b.to_vec::<f32>().unwrap());
        let scale = a.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        for (a, b) in a.iter().zip(&b) {
            assert!((a - b).abs() <= most * scale, "value {i}: {a} and {b}, of numbers up to {scale}");
        }
    }
}

/// A layer that remembers: its weights, in one matrix or two.
#[derive(Clone, Copy)]
enum Cell {
    /// What comes in above what is remembered.
    InFirst(Variable),
    /// What is remembered above what comes in.
    InLast(Variable),
    /// Apart.
    Apart(Variable, Variable),
}

const WIDTH: usize = 12;

impl Cell {
    fn new(graph: &Graph, kind: usize, seed: u32) -> Cell {
        let weights = |rows: usize, seed: u32| {
            graph.variable(graph.random(&[rows, 4 * WIDTH], Normal::new(0.3).seed(u64::from(seed).cast_signed())))
        };
        match kind {
            0 => Cell::InFirst(weights(2 * WIDTH, seed)),
            1 => Cell::InLast(weights(2 * WIDTH, seed)),
            _ => Cell::Apart(weights(WIDTH, seed), weights(WIDTH, seed + 1)),
        }
    }

    fn variables(self) -> Vec<Variable> {
        match self {
            Cell::InFirst(k) | Cell::InLast(k) => vec![k],
            Cell::Apart(a, b) => vec![a, b],
        }
    }

    /// The output and the memory after a step.
    fn step(self, graph: &Graph, x: Tensor, [h, c]: [Tensor; 2]) -> [Tensor; 2] {
        let gates = match self {
            Cell::InFirst(k) => graph.concat(&[x, h], 1).matmul(k),
            Cell::InLast(k) => graph.concat(&[h, x], -1).matmul(k),
            Cell::Apart(a, b) => x.matmul(a) + h.matmul(b),
        };
        let [input, candidate, forget, output] =
            [0, 1, 2, 3].map(|i| gates.slice([0, i * WIDTH as i64], [-1, WIDTH as i64]));
        let c = c * (forget + 1.0).sigmoid() + input.sigmoid() * candidate.tanh();
        [c.tanh() * output.sigmoid(), c]
    }
}

/// Two layers over some steps, built layer by layer or step by step; their outputs and gradients.
fn recurrent(kinds: [usize; 2], by_layer: bool, feeds_back: bool) {
    let graph = Graph::new();
    let (batch, steps) = (3, 6);
    let inputs = graph.variable(graph.random(&[steps, batch, WIDTH], Normal::new(1.0).seed(7)));
    let cells = [Cell::new(&graph, kinds[0], 11), Cell::new(&graph, kinds[1], 21)];
    let start = || [graph.zeros(&[batch, WIDTH]), graph.zeros(&[batch, WIDTH])];
    let x = |t: usize| inputs.slice([t as i64, 0, 0], [1, -1, -1]).squeeze_axes(&[0]);
    let mut outputs = Vec::new();
    if by_layer {
        let mut sequence: Vec<Tensor> = (0..steps).map(x).collect();
        for cell in cells {
            let mut state = start();
            for t in &mut sequence {
                state = cell.step(&graph, *t, state);
                *t = state[0];
            }
        }
        outputs = sequence;
    } else {
        let mut states = [start(), start()];
        for t in 0..steps {
            // What the upper layer gave may come in again: then nothing of the lower one is there before.
            let x = if feeds_back { x(t) + states[1][0] } else { x(t) };
            states[0] = cells[0].step(&graph, x, states[0]);
            states[1] = cells[1].step(&graph, states[0][0], states[1]);
            outputs.push(states[1][0]);
        }
    }
    let loss = graph.add_n(&outputs).square().mean();
    let variables: Vec<Variable> = cells.iter().flat_map(|cell| cell.variables()).chain([inputs]).collect();
    let mut fetches = gradients(loss, variables);
    fetches.push(loss);
    fetches.push(outputs[steps - 1]);
    check(&graph, &fetches, 2e-5);
}

#[test]
fn recurrent_layers() {
    for kinds in [[0, 0], [1, 0], [2, 1], [0, 2]] {
        recurrent(kinds, true, false);
        recurrent(kinds, false, false);
        recurrent(kinds, false, true);
    }
}

#[test]
fn products_that_need_each_other_in_part() {
    // The products of the first half are free, those of the second need one of them.
    let graph = Graph::new();
    let w = graph.variable(graph.random(&[4, 4], Normal::new(0.5).seed(1)));
    let x = graph.variable(graph.random(&[8, 2, 4], Normal::new(1.0).seed(2)));
    let part = |i: i64| x.slice([i, 0, 0], [1, -1, -1]).squeeze_axes(&[0]);
    let first: Vec<Tensor> = (0..4).map(|i| part(i).matmul(w)).collect();
    let second: Vec<Tensor> = (4..8).map(|i| (part(i) + first[0]).matmul(w)).collect();
    let all = graph.stack(&[first, second].concat(), 0);
    let loss = all.tanh().sum();
    let [dw, dx] = gradients(loss, [w, x]);
    check(&graph, &[dw, dx, all], 2e-5);
    // All free, read as they are and transposed.
    let graph = Graph::new();
    let w = graph.variable(graph.random(&[4, 4], Normal::new(0.5).seed(1)));
    let x: Vec<Variable> = (0..6).map(|i| graph.variable(graph.random(&[2, 4], Normal::new(1.0).seed(i)))).collect();
    let products: Vec<Tensor> = x.iter().flat_map(|x| [x.matmul(w), x.matmul(w.transpose())]).collect();
    let loss = graph.add_n(&products).tanh().sum();
    let mut fetches = gradients(loss, x);
    fetches.extend(products);
    check(&graph, &fetches, 2e-5);
}

#[test]
fn convolutions() {
    let graph = Graph::new();
    let x = graph.variable(graph.random(&[6, 16, 16, 16], Normal::new(1.0).seed(1)));
    let wide = graph.variable(graph.random(&[5, 5, 16, 32], Normal::new(0.1).seed(2)));
    let narrow = graph.variable(graph.random(&[3, 3, 32, 16], Normal::new(0.1).seed(3)));
    let y = x.conv2d(wide, Conv2d::default()).tanh();
    let z = y.conv2d(narrow, Conv2d { padding: Padding::Valid, ..Conv2d::default() });
    let loss = z.square().mean();
    let [dx, of_wide, of_narrow] = gradients(loss, [x, wide, narrow]);
    check(&graph, &[dx, of_wide, of_narrow, y, z], 1e-4);
}

#[test]
fn losses_with_what_stands_around_them() {
    for (rows, classes) in [(5, 7), (1, 3), (40, 300)] {
        for per_row in [false, true] {
            let graph = Graph::new();
            let x = graph.variable(graph.random(&[rows, classes], Normal::new(2.0).seed(1)));
            let bias = graph.variable(graph.random(&[classes], Normal::new(1.0).seed(2)));
            let labels =
                graph.constant(Value::from((0..rows as i64).map(|i| i * 3 % classes as i64).collect::<Vec<_>>()));
            let weights = graph.variable(graph.random(&[rows], Normal::new(1.0).seed(3)));
            let losses = (x + bias).sparse_softmax_cross_entropy(labels);
            let loss = if per_row { (losses * weights).sum() } else { losses.mean() };
            let [dx, db] = gradients(loss, [x, bias]);
            check(&graph, &[dx, db, losses], 0.0);
            // A factor that needs the loss itself, and logits that are read elsewhere, stay outside.
            let logits = x + bias;
            let losses = logits.sparse_softmax_cross_entropy(labels);
            let [dx] = gradients(losses.square().sum(), [x]);
            check(&graph, &[dx, losses, logits], 0.0);
        }
    }
}

/// An embedding that is trained by rows, with duplicates among the words, and a norm over all gradients.
#[test]
fn rows_of_an_embedding() {
    for clipped in [false, true] {
        let trained = |optimize: Optimize, threads: usize| {
            let graph = Graph::new();
            let words = graph.placeholder(DType::I32, shape![?, 3]);
            let embedding = graph.variable(graph.random(&[50, 8], Normal::new(1.0).seed(1)));
            let weights = graph.variable(graph.random(&[8, 2], Normal::new(1.0).seed(2)));
            let y = embedding.gather(words).sum_over([1]).matmul(weights);
            let loss = y.tanh().square().mean();
            let slopes = gradients(loss, [embedding, weights]);
            let norm = (graph.add_n(&slopes.map(|slope| slope.l2_loss())) * 2.0).sqrt();
            let scale = if clipped { 0.1 / norm.maximum(0.1) } else { graph.constant(0.5_f32) };
            let steps = [embedding, weights].map(|v| v.assign_sub(slopes[usize::from(v == weights)] * scale * 0.3));
            let train = graph.group(steps.map(Tensor::operation));
            let options = SessionOptions { optimize, threads: Some(threads), ..SessionOptions::default() };
            let init = graph.initializer();
            let session = Session::with_options(&graph, options).unwrap();
            session.run(init, ()).unwrap();
            let mut losses = Vec::new();
            for step in 0..5 {
                let ids = Value::from_elements(&[4, 3], (0..12).map(|i| (i * 7 + step) % 5 * 9).collect()).unwrap();
                let (loss, ()) = session.run((loss, train), feeds![words => &ids]).unwrap();
                losses.push(loss.scalar::<f32>().unwrap());
            }
            // A word that is not there is an error that changes nothing.
            let before = session.run(embedding, ()).unwrap();
            let wrong = Value::from_elements(&[1, 3], vec![1, 50, 2]).unwrap();
            let error = session.run(train, feeds![words => &wrong]).unwrap_err().to_string();
            assert!(error.contains("50"), "{error}");
            let after = session.run(embedding, ()).unwrap();
            assert_eq!(before.to_vec::<f32>().unwrap(), after.to_vec::<f32>().unwrap());
            (losses, after.to_vec::<f32>().unwrap())
        };
        let expected = trained(Optimize::None, 1);
        assert_eq!(expected, trained(Optimize::Exact, 2));
        let full = trained(Optimize::Full, 1);
        assert_eq!(full, trained(Optimize::Full, 8));
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-5 * (1.0 + a.abs()));
        assert!(near(&expected.0, &full.0) && near(&expected.1, &full.1), "{expected:?}\n{full:?}");
        // Without a norm the rows get the very same numbers.
        assert!(clipped || expected == full);
    }
}
