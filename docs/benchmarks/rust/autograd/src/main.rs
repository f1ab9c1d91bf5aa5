//! The workloads in rust-autograd, with its own kernels in Rust. A graph is built once and computed in each step: the targets from
//! the last to the first, each depth first, and an update changes its variable at once. So a step's targets are the averages, the
//! updates, the gradients and the loss, in this order, and every gradient is there before a parameter changes.

use autograd::ndarray::{self, ArrayD, Axis, IxDyn};
use autograd::op::{ComputeContext, GradientContext, Op, OpError};
use autograd::optimizers::{Optimizer, SGD};
use autograd::prelude::*;
use autograd::tensor_ops::{
    add_n, assign, conv2d, convert_to_tensor, dropout, gather, grad, matmul, max_pool2d, maximum, mean_all, relu,
    reshape, scalar, sigmoid, sin, softmax, sparse_softmax_cross_entropy, split, sqrt, square, sum_all, tanh,
};
use protocol::{BATCH, CLIP, GATES, HIDDEN, KEPT, L2, Meter, STEPS, WORDS};

type Array = ArrayD<f32>;
type Variables<'n> = autograd::VariableEnvironment<'n, f32>;
type Context<'e, 'n> = autograd::Context<'e, 'n, f32>;
type Tensor<'g> = autograd::Tensor<'g, f32>;

fn array(numbers: &[f32], shape: &[usize]) -> Array {
    Array::from_shape_vec(IxDyn(shape), numbers.to_vec()).expect("as many numbers as the shape has")
}

fn zeros(shape: &[usize]) -> Array {
    Array::zeros(IxDyn(shape))
}

/// Whole numbers, which are floats here.
fn ids(numbers: &[usize]) -> Array {
    numbers.iter().map(|n| *n as f32).collect::<ndarray::Array1<f32>>().into_dyn()
}

/// Computes the targets, and gives the first number of the last.
fn run(context: &Context, targets: &[Tensor], feeds: &[(&'static str, &Array)]) -> f32 {
    let mut evaluator = context.evaluator();
    evaluator.extend(targets);
    for (name, value) in feeds {
        evaluator.feed(*name, value.view());
    }
    let results: Result<Vec<Array>, _> = evaluator.run().into_iter().collect();
    let results = results.expect("a step");
    *results.last().and_then(|last| last.first()).expect("a number")
}

/// A step of gradient descent: the updates, what they need, and the loss.
fn descent<'g>(
    context: &'g Context,
    variables: &[Tensor<'g>],
    slopes: &[Tensor<'g>],
    loss: Tensor<'g>,
    rate: f32,
) -> Vec<Tensor<'g>> {
    let updates = SGD::new(rate).get_update_op(variables, slopes, context);
    [updates].into_iter().chain(slopes.iter().copied()).chain([loss]).collect()
}

fn cross_entropy<'g>(logits: Tensor<'g>, labels: Tensor<'g>) -> Tensor<'g> {
    mean_all(sparse_softmax_cross_entropy(logits, labels))
}

fn decay<'g>(a: Tensor<'g>, b: Tensor<'g>) -> Tensor<'g> {
    (sum_all(square(a)) + sum_all(square(b))) * L2
}

fn hello(meter: &Meter) {
    let a = array(&[1.0, 2.0], &[2]);
    Variables::new().run(|context| {
        let sum = context.placeholder("a", &[2]) + convert_to_tensor(array(&[2.0, 3.0], &[2]), context);
        meter.measure(|| run(context, &[sum], &[("a", &a)]));
    });
}

fn chain(meter: &Meter) {
    let x = array(&[0.5], &[]);
    let mut variables = Variables::new();
    let one = variables.set(array(&[1.0], &[]));
    variables.run(|context| {
        let one = context.variable(one);
        let y = (0..protocol::CHAIN / 2).fold(context.placeholder("x", &[]), |y, _| sin(y * one));
        meter.measure(|| run(context, &[y], &[("x", &x)]));
    });
}

fn branches(meter: &Meter) {
    let (x, weights) = protocol::branches();
    let x = array(&x, &[128, 128]);
    let mut variables = Variables::new();
    let weights: Vec<_> = weights.iter().map(|w| variables.set(array(w, &[128, 128]))).collect();
    variables.run(|context| {
        let x_of_run = context.placeholder("x", &[128, 128]);
        let ends: Vec<Tensor> = weights
            .iter()
            .map(|w| context.variable(*w))
            .map(|w| (0..4).fold(x_of_run, |y, _| relu(matmul(y, w))))
            .collect();
        let sum = sum_all(add_n(&ends));
        meter.measure(|| run(context, &[sum], &[("x", &x)]));
    });
}

fn elementwise(meter: &Meter) {
    let mut variables = Variables::new();
    let x = variables.set(array(&protocol::elements(), &[protocol::ELEMENTS]));
    variables.run(|context| {
        let x = context.variable(x);
        let inner = (x + x * 0.044_715_f32 * square(x)) * 0.797_884_56_f32;
        let sum = sum_all(x * 0.5_f32 * (tanh(inner) + 1.0_f32));
        meter.measure(|| run(context, &[sum], &[]));
    });
}

fn squares<const N: usize>(meter: &Meter) {
    let mut variables = Variables::new();
    let [a, b] = protocol::squares(N).map(|numbers| variables.set(array(&numbers, &[N, N])));
    variables.run(|context| {
        let product = matmul(context.variable(a), context.variable(b));
        meter.measure(|| run(context, &[product], &[]));
    });
}

fn mlp(meter: &Meter) {
    let data = protocol::mlp();
    let (x, y) = (array(&data.images, &[100, 784]), ids(&data.labels));
    let first = [array(&data.w1, &[784, 500]), zeros(&[1, 500]), array(&data.w2, &[500, 10]), zeros(&[1, 10])];
    let mut variables = Variables::new();
    let parameters = first.clone().map(|value| variables.set(value));
    let averages = first.map(|value| variables.set(value));
    variables.run(|context| {
        let parameters = parameters.map(|v| context.variable(v));
        let [w1, b1, w2, b2] = parameters;
        let hidden = relu(matmul(context.placeholder("x", &[-1, 784]), w1) + b1);
        let loss = cross_entropy(matmul(hidden, w2) + b2, context.placeholder("y", &[-1])) + decay(w1, w2);
        let slopes = grad(&[loss], &parameters);
        let mut targets: Vec<Tensor> = Vec::new();
        for (average, parameter) in averages.map(|v| context.variable(v)).into_iter().zip(parameters) {
            targets.push(assign(average, average * KEPT + parameter * (1.0 - KEPT)));
        }
        targets.extend(descent(context, &parameters, &slopes, loss, 0.8));
        meter.measure(|| run(context, &targets, &[("x", &x), ("y", &y)]));
    });
}

fn lenet(meter: &Meter) {
    let data = protocol::lenet();
    let (x, y) = (array(&data.images, &[100, 1, 28, 28]), ids(&data.labels));
    let [k1, k2] = data.filters;
    let mut variables = Variables::new();
    let parameters = [
        array(&k1, &[32, 1, 5, 5]),
        zeros(&[1, 32, 1, 1]),
        array(&k2, &[64, 32, 5, 5]),
        zeros(&[1, 64, 1, 1]),
        array(&data.w1, &[3136, 512]),
        zeros(&[1, 512]),
        array(&data.w2, &[512, 10]),
        zeros(&[1, 10]),
    ]
    .map(|value| variables.set(value));
    variables.run(|context| {
        let parameters = parameters.map(|v| context.variable(v));
        let [k1, c1, k2, c2, w1, b1, w2, b2] = parameters;
        let block = |x, k, c| max_pool2d(relu(conv2d(x, k, 2, 1) + c), 2, 0, 2);
        let x_of_run = context.placeholder("x", &[-1, 1, 28, 28]);
        let flat = reshape(block(block(x_of_run, k1, c1), k2, c2), &[-1, 3136]);
        // What its dropout keeps is not scaled.
        let hidden = dropout(relu(matmul(flat, w1) + b1), 0.5, true) * 2.0_f32;
        let loss = cross_entropy(matmul(hidden, w2) + b2, context.placeholder("y", &[-1])) + decay(w1, w2);
        let slopes = grad(&[loss], &parameters);
        let targets = descent(context, &parameters, &slopes, loss, 0.01);
        meter.measure(|| run(context, &targets, &[("x", &x), ("y", &y)]));
    });
}

/// Puts the steps' rows below each other. The gradient of autograd's own `concat` is right for the first of its operands alone.
struct Stacked;

impl Op<f32> for Stacked {
    fn compute(&self, context: &mut ComputeContext<f32>) -> Result<(), OpError> {
        let parts: Vec<_> = (0..context.num_inputs()).map(|i| context.input(i)).collect();
        let whole = ndarray::concatenate(Axis(0), &parts);
        context.append_output(whole.map_err(|error| OpError::NdArrayError("rows".to_owned(), error))?);
        Ok(())
    }

    fn grad(&self, context: &mut GradientContext<f32>) {
        let rows = vec![BATCH; context.num_inputs()];
        split(context.output_grad(), &rows, 0).into_iter().for_each(|part| context.append_input_grad(Some(part)));
    }
}

fn lstm(meter: &Meter) {
    let data = protocol::lstm();
    let (words, next) = (ids(&data.words), ids(&data.next));
    let mut variables = Variables::new();
    let matrix = |numbers: &[f32], rows: usize, columns: usize| array(numbers, &[rows, columns]);
    let mut first =
        vec![matrix(&data.embedding, WORDS, HIDDEN), matrix(&data.output, HIDDEN, WORDS), zeros(&[1, WORDS])];
    for [inward, back] in &data.kernels {
        first.extend([matrix(inward, HIDDEN, GATES), matrix(back, HIDDEN, GATES), zeros(&[1, GATES])]);
    }
    let parameters: Vec<_> = first.into_iter().map(|value| variables.set(value)).collect();
    variables.run(|context| {
        let parameters: Vec<Tensor> = parameters.iter().map(|v| context.variable(*v)).collect();
        let embedded = gather(parameters[0], context.placeholder("words", &[-1]), 0);
        let mut rows = split(embedded, &[BATCH; STEPS], 0);
        let nothing = convert_to_tensor(zeros(&[BATCH, HIDDEN]), context);
        for layer in parameters[3..].chunks(3) {
            let (mut h, mut c) = (nothing, nothing);
            for x in &mut rows {
                let gates = matmul(*x, layer[0]) + matmul(h, layer[1]) + layer[2];
                let gates = split(gates, &[HIDDEN; 4], 1);
                c = c * sigmoid(gates[2] + 1.0_f32) + sigmoid(gates[0]) * tanh(gates[1]);
                h = tanh(c) * sigmoid(gates[3]);
                *x = h;
            }
        }
        let stacked = rows.iter().fold(Tensor::builder(context), |builder, x| builder.append_input(x, false));
        let logits = matmul(stacked.build(Stacked), parameters[1]) + parameters[2];
        let loss = cross_entropy(logits, context.placeholder("next", &[-1]));
        let slopes = grad(&[loss], &parameters);
        let squared: Vec<Tensor> = slopes.iter().map(|slope| sum_all(square(*slope))).collect();
        let clip = scalar(CLIP, context);
        let scale = clip / maximum(sqrt(add_n(&squared)), clip);
        let slopes: Vec<Tensor> = slopes.iter().map(|slope| *slope * scale).collect();
        let targets = descent(context, &parameters, &slopes, loss, 1.0);
        meter.measure(|| run(context, &targets, &[("words", &words), ("next", &next)]));
    });
}

fn predict<const N: usize>(meter: &Meter) {
    let data = protocol::mlp();
    let x = array(&data.images[..N * 784], &[N, 784]);
    let mut variables = Variables::new();
    let weights = [
        array(&data.w1, &[784, 500]),
        array(&data.b1, &[1, 500]),
        array(&data.w2, &[500, 10]),
        array(&data.b2, &[1, 10]),
    ]
    .map(|value| variables.set(value));
    variables.run(|context| {
        let [w1, b1, w2, b2] = weights.map(|v| context.variable(v));
        let hidden = relu(matmul(context.placeholder("x", &[-1, 784]), w1) + b1);
        let classes = softmax(matmul(hidden, w2) + b2, 1);
        meter.measure(|| run(context, &[classes], &[("x", &x)]));
    });
}

fn main() {
    protocol::serve(
        "autograd",
        &[
            ("hello", hello),
            ("chain", chain),
            ("branches", branches),
            ("elementwise", elementwise),
            ("matmul256", squares::<256>),
            ("matmul1024", squares::<1024>),
            ("matmul2048", squares::<2048>),
            ("mlp", mlp),
            ("lenet", lenet),
            ("lstm", lstm),
            ("predict1", predict::<1>),
            ("predict100", predict::<100>),
        ],
    );
}
