//! The workloads in candle, which computes each operation as it is met. Its gradient of `max_pool2d` is four times too small,
//! so its `lenet` learns something else than the others; it works as much.

use candle_core::{D, DType, Device, IndexOp, Result, Tensor, Var};
use candle_nn::loss::cross_entropy;
use candle_nn::ops::{dropout, sigmoid, softmax};
use candle_nn::{Optimizer, SGD};
use protocol::{BATCH, CLIP, GATES, HIDDEN, KEPT, L2, Meter, STEPS, WORDS};

const CPU: Device = Device::Cpu;

fn tensor(numbers: &[f32], shape: &[usize]) -> Tensor {
    Tensor::from_slice(numbers, shape, &CPU).expect("as many numbers as the shape has")
}

fn ids(numbers: &[usize]) -> Tensor {
    let numbers: Vec<u32> = numbers.iter().map(|n| *n as u32).collect();
    Tensor::new(numbers, &CPU).expect("a list")
}

fn var(numbers: &[f32], shape: &[usize]) -> Var {
    Var::from_tensor(&tensor(numbers, shape)).expect("a variable")
}

fn zeros(shape: &[usize]) -> Var {
    Var::zeros(shape, DType::F32, &CPU).expect("a variable")
}

fn measure(meter: &Meter, mut step: impl FnMut() -> Result<f32>) {
    meter.measure(|| step().expect("a step"));
}

fn dense(x: &Tensor, w: &Tensor, b: &Tensor) -> Result<Tensor> {
    x.matmul(w)?.broadcast_add(b)
}

/// Half of 10⁻⁴ times the sum of squares.
fn decay(weights: [&Var; 2]) -> Result<Tensor> {
    (weights[0].sqr()?.sum_all()? + weights[1].sqr()?.sum_all()?)? * f64::from(L2)
}

fn hello(meter: &Meter) {
    let b = tensor(&[2.0, 3.0], &[2]);
    measure(meter, || (Tensor::from_slice(&[1.0_f32, 2.0], 2, &CPU)? + &b)?.i(0)?.to_scalar());
}

fn chain(meter: &Meter) {
    let one = Tensor::new(1.0_f32, &CPU).expect("a scalar");
    measure(meter, || {
        let mut y = Tensor::new(0.5_f32, &CPU)?;
        for _ in 0..protocol::CHAIN / 2 {
            y = (y * &one)?.sin()?;
        }
        y.to_scalar()
    });
}

fn branches(meter: &Meter) {
    let (x, weights) = protocol::branches();
    let x = tensor(&x, &[128, 128]);
    let weights: Vec<Tensor> = weights.iter().map(|w| tensor(w, &[128, 128])).collect();
    measure(meter, || {
        let branch = |w: &Tensor| (0..4).try_fold(x.clone(), |y, _| y.matmul(w)?.relu());
        let first = branch(&weights[0])?;
        weights[1..].iter().try_fold(first, |sum, w| sum + branch(w)?)?.sum_all()?.to_scalar()
    });
}

fn elementwise(meter: &Meter) {
    let x = tensor(&protocol::elements(), &[protocol::ELEMENTS]);
    measure(meter, || {
        let inner = ((&x + ((&x * 0.044715)? * x.sqr()?)?)? * 0.7978845608)?;
        ((&x * 0.5)? * (inner.tanh()? + 1.0)?)?.sum_all()?.to_scalar()
    });
}

fn matmul<const N: usize>(meter: &Meter) {
    let [a, b] = protocol::squares(N).map(|numbers| tensor(&numbers, &[N, N]));
    measure(meter, || a.matmul(&b)?.i((0, 0))?.to_scalar());
}

fn mlp(meter: &Meter) {
    let data = protocol::mlp();
    let (x, y) = (tensor(&data.images, &[100, 784]), ids(&data.labels));
    let (w1, b1) = (var(&data.w1, &[784, 500]), zeros(&[500]));
    let (w2, b2) = (var(&data.w2, &[500, 10]), zeros(&[10]));
    let all = [&w1, &b1, &w2, &b2];
    let mut averages = all.map(|v| v.as_detached_tensor().copy().expect("a copy"));
    let mut descent = SGD::from_slice(&all, 0.8).expect("variables");
    measure(meter, || {
        let logits = dense(&dense(&x, &w1, &b1)?.relu()?, &w2, &b2)?;
        let loss = (cross_entropy(&logits, &y)? + decay([&w1, &w2])?)?;
        descent.backward_step(&loss)?;
        for (average, v) in averages.iter_mut().zip(all) {
            let part = v.as_detached_tensor().affine(f64::from(1.0 - KEPT), 0.0)?;
            *average = (average.affine(f64::from(KEPT), 0.0)? + part)?;
        }
        loss.to_scalar()
    });
}

fn lenet(meter: &Meter) {
    let data = protocol::lenet();
    let (x, y) = (tensor(&data.images, &[100, 1, 28, 28]), ids(&data.labels));
    let (k1, c1) = (var(&data.filters[0], &[32, 1, 5, 5]), zeros(&[1, 32, 1, 1]));
    let (k2, c2) = (var(&data.filters[1], &[64, 32, 5, 5]), zeros(&[1, 64, 1, 1]));
    let (w1, b1) = (var(&data.w1, &[3136, 512]), zeros(&[512]));
    let (w2, b2) = (var(&data.w2, &[512, 10]), zeros(&[10]));
    let mut descent = SGD::from_slice(&[&k1, &c1, &k2, &c2, &w1, &b1, &w2, &b2], 0.01).expect("variables");
    let block = |x: &Tensor, k: &Var, c: &Var| x.conv2d(k, 2, 1, 1, 1)?.broadcast_add(c)?.relu()?.max_pool2d(2);
    measure(meter, || {
        let flat = block(&block(&x, &k1, &c1)?, &k2, &c2)?.flatten_from(1)?;
        let hidden = dropout(&dense(&flat, &w1, &b1)?.relu()?, 0.5)?;
        let loss = (cross_entropy(&dense(&hidden, &w2, &b2)?, &y)? + decay([&w1, &w2])?)?;
        descent.backward_step(&loss)?;
        loss.to_scalar()
    });
}

fn lstm(meter: &Meter) {
    let data = protocol::lstm();
    let (words, next) = (ids(&data.words), ids(&data.next));
    let embedding = var(&data.embedding, &[WORDS, HIDDEN]);
    let layers = data.kernels.map(|parts| {
        let [inward, back] = parts.map(|numbers| var(&numbers, &[HIDDEN, GATES]));
        [inward, back, zeros(&[GATES])]
    });
    let (w, b) = (var(&data.output, &[HIDDEN, WORDS]), zeros(&[WORDS]));
    let all: Vec<&Var> = [&embedding, &w, &b].into_iter().chain(layers.iter().flatten()).collect();
    let nothing = Tensor::zeros((BATCH, HIDDEN), DType::F32, &CPU).expect("zeros");
    measure(meter, || {
        let mut x = embedding.index_select(&words, 0)?;
        for [inward, back, offsets] in &layers {
            // One product for all steps.
            let inward = dense(&x, inward, offsets)?;
            let (mut h, mut c) = (nothing.clone(), nothing.clone());
            let mut hidden = Vec::with_capacity(STEPS);
            for step in 0..STEPS {
                let gates = (inward.narrow(0, step * BATCH, BATCH)? + h.matmul(back)?)?;
                let gate = |at: usize| gates.narrow(D::Minus1, at * HIDDEN, HIDDEN);
                let new = (sigmoid(&gate(0)?)? * gate(1)?.tanh()?)?;
                c = ((c * sigmoid(&(gate(2)? + 1.0)?)?)? + new)?;
                h = (c.tanh()? * sigmoid(&gate(3)?)?)?;
                hidden.push(h.clone());
            }
            x = Tensor::cat(&hidden, 0)?;
        }
        let loss = cross_entropy(&dense(&x, &w, &b)?, &next)?;
        let slopes = loss.backward()?;
        let slopes: Vec<&Tensor> = all.iter().map(|v| slopes.get(v).expect("each has a gradient")).collect();
        let mut squared = 0.0;
        for slope in &slopes {
            squared += slope.sqr()?.sum_all()?.to_scalar::<f32>()?;
        }
        let rate = f64::from(CLIP / squared.sqrt().max(CLIP));
        for (v, slope) in all.iter().zip(slopes) {
            v.set(&v.sub(&slope.affine(rate, 0.0)?)?)?;
        }
        loss.to_scalar()
    });
}

fn predict<const N: usize>(meter: &Meter) {
    let data = protocol::mlp();
    let x = tensor(&data.images[..N * 784], &[N, 784]);
    let (w1, b1) = (tensor(&data.w1, &[784, 500]), tensor(&data.b1, &[500]));
    let (w2, b2) = (tensor(&data.w2, &[500, 10]), tensor(&data.b2, &[10]));
    measure(meter, || softmax(&dense(&dense(&x, &w1, &b1)?.relu()?, &w2, &b2)?, 1)?.i((0, 0))?.to_scalar());
}

fn main() {
    protocol::serve(
        "candle",
        &[
            ("hello", hello),
            ("chain", chain),
            ("branches", branches),
            ("elementwise", elementwise),
            ("matmul256", matmul::<256>),
            ("matmul1024", matmul::<1024>),
            ("matmul2048", matmul::<2048>),
            ("mlp", mlp),
            ("lenet", lenet),
            ("lstm", lstm),
            ("predict1", predict::<1>),
            ("predict100", predict::<100>),
        ],
    );
}
