//! The workloads in burn, on `flex`, its own backend in Rust, which computes each operation as it is met. Burn has no scalars:
//! those of `chain` are lists of one number.

use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::tensor::activation::{relu, sigmoid, softmax};
use burn::tensor::module::{conv2d, linear, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Distribution, Gradients, Int, Tensor, TensorData};
use protocol::{BATCH, CLIP, GATES, HIDDEN, KEPT, L2, Meter, STEPS, WORDS};

fn tensor<const D: usize>(numbers: &[f32], shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(numbers.to_vec(), shape), &Device::flex())
}

fn ids(numbers: &[usize]) -> Tensor<1, Int> {
    let numbers: Vec<i64> = numbers.iter().map(|n| *n as i64).collect();
    let count = numbers.len();
    Tensor::from_data(TensorData::new(numbers, [count]), &Device::flex())
}

fn zeros<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::zeros(shape, &Device::flex())
}

fn cross_entropy() -> CrossEntropyLoss {
    CrossEntropyLossConfig::new().init(&Device::flex())
}

fn squared<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    x.square().sum()
}

/// A parameter, and what stands for it in the step that is being computed. Only that is differentiated, so that nobody else
/// has the parameter when it is changed.
struct Parameter<const D: usize> {
    value: Tensor<D>,
    tracked: Option<Tensor<D>>,
}

impl<const D: usize> Parameter<D> {
    fn new(value: Tensor<D>) -> Self {
        Parameter { value, tracked: None }
    }

    fn track(&mut self) -> Tensor<D> {
        let tracked = self.value.clone().autodiff().require_grad();
        self.tracked.insert(tracked).clone()
    }

    fn slope(&self, slopes: &Gradients) -> Tensor<D> {
        self.tracked.as_ref().and_then(|tracked| tracked.grad(slopes)).expect("each has a gradient")
    }

    fn squared_slope(&self, slopes: &Gradients) -> f32 {
        squared(self.slope(slopes)).into_scalar()
    }

    fn descend(&mut self, slopes: &mut Gradients, rate: f32) {
        let tracked = self.tracked.take().expect("a step has been computed");
        let slope = tracked.grad_remove(slopes).expect("each has a gradient");
        drop(tracked);
        self.value.inplace(|value| value - slope.mul_scalar(rate));
    }

    fn average_into(&self, average: &mut Tensor<D>) {
        let part = self.value.clone().mul_scalar(1.0 - KEPT);
        average.inplace(|average| average.mul_scalar(KEPT) + part);
    }
}

fn hello(meter: &Meter) {
    let b = tensor(&[2.0, 3.0], [2]);
    meter.measure(|| (tensor(&[1.0, 2.0], [2]) + b.clone()).into_data().as_slice::<f32>().expect("numbers")[0]);
}

fn chain(meter: &Meter) {
    let one = tensor(&[1.0], [1]);
    meter.measure(|| {
        let steps = 0..protocol::CHAIN / 2;
        steps.fold(tensor(&[0.5], [1]), |y, _| (y * one.clone()).sin()).into_scalar()
    });
}

fn branches(meter: &Meter) {
    let (x, weights) = protocol::branches();
    let x = tensor(&x, [128, 128]);
    let weights: Vec<Tensor<2>> = weights.iter().map(|w| tensor(w, [128, 128])).collect();
    meter.measure(|| {
        let branch = |w: &Tensor<2>| (0..4).fold(x.clone(), |y, _| relu(y.matmul(w.clone())));
        weights.iter().map(branch).reduce(|a, b| a + b).expect("there are branches").sum().into_scalar()
    });
}

fn elementwise(meter: &Meter) {
    let x = tensor(&protocol::elements(), [protocol::ELEMENTS]);
    meter.measure(|| {
        let cube = x.clone().square() * (x.clone() * 0.044715);
        let inner = (x.clone() + cube) * 0.797_884_56;
        (x.clone() * 0.5 * (inner.tanh() + 1.0)).sum().into_scalar()
    });
}

fn matmul<const N: usize>(meter: &Meter) {
    let [a, b] = protocol::squares(N).map(|numbers| tensor(&numbers, [N, N]));
    meter.measure(|| a.clone().matmul(b.clone()).slice([0..1, 0..1]).into_scalar());
}

fn mlp(meter: &Meter) {
    let data = protocol::mlp();
    let (x, y) = (tensor(&data.images, [100, 784]), ids(&data.labels));
    let (mut w1, mut b1) = (Parameter::new(tensor(&data.w1, [784, 500])), Parameter::new(zeros([500])));
    let (mut w2, mut b2) = (Parameter::new(tensor(&data.w2, [500, 10])), Parameter::new(zeros([10])));
    let mut averages = (w1.value.clone(), b1.value.clone(), w2.value.clone(), b2.value.clone());
    let loss_of = cross_entropy();
    meter.measure(|| {
        let (v1, v2) = (w1.track(), w2.track());
        let hidden = relu(linear(x.clone(), v1.clone(), Some(b1.track())));
        let logits = linear(hidden, v2.clone(), Some(b2.track()));
        let loss = loss_of.forward(logits, y.clone()) + (squared(v1) + squared(v2)).mul_scalar(L2);
        let mut slopes = loss.backward();
        w1.descend(&mut slopes, 0.8);
        b1.descend(&mut slopes, 0.8);
        w2.descend(&mut slopes, 0.8);
        b2.descend(&mut slopes, 0.8);
        w1.average_into(&mut averages.0);
        b1.average_into(&mut averages.1);
        w2.average_into(&mut averages.2);
        b2.average_into(&mut averages.3);
        loss.into_scalar()
    });
}

fn lenet(meter: &Meter) {
    let data = protocol::lenet();
    let (x, y) = (tensor(&data.images, [100, 1, 28, 28]), ids(&data.labels));
    let [k1, k2] = data.filters;
    let (mut k1, mut c1) = (Parameter::new(tensor(&k1, [32, 1, 5, 5])), Parameter::new(zeros([32])));
    let (mut k2, mut c2) = (Parameter::new(tensor(&k2, [64, 32, 5, 5])), Parameter::new(zeros([64])));
    let (mut w1, mut b1) = (Parameter::new(tensor(&data.w1, [3136, 512])), Parameter::new(zeros([512])));
    let (mut w2, mut b2) = (Parameter::new(tensor(&data.w2, [512, 10])), Parameter::new(zeros([10])));
    let loss_of = cross_entropy();
    let block = |x: Tensor<4>, k: Tensor<4>, c: Tensor<1>| {
        let windows = ConvOptions::new([1, 1], [2, 2], [1, 1], 1);
        max_pool2d(relu(conv2d(x, k, Some(c), windows)), MaxPoolOptions::new([2, 2]))
    };
    meter.measure(|| {
        let (v1, v2) = (w1.track(), w2.track());
        let x = block(block(x.clone(), k1.track(), c1.track()), k2.track(), c2.track());
        let hidden = relu(linear(x.flatten::<2>(1, 3), v1.clone(), Some(b1.track())));
        let kept = hidden.random_like(Distribution::Bernoulli(0.5)).without_autodiff().mul_scalar(2.0);
        let logits = linear(hidden * kept, v2.clone(), Some(b2.track()));
        let loss = loss_of.forward(logits, y.clone()) + (squared(v1) + squared(v2)).mul_scalar(L2);
        let mut slopes = loss.backward();
        [&mut k1, &mut k2].into_iter().for_each(|k| k.descend(&mut slopes, 0.01));
        [&mut w1, &mut w2].into_iter().for_each(|w| w.descend(&mut slopes, 0.01));
        [&mut c1, &mut c2, &mut b1, &mut b2].into_iter().for_each(|b| b.descend(&mut slopes, 0.01));
        loss.into_scalar()
    });
}

fn lstm(meter: &Meter) {
    let data = protocol::lstm();
    let (words, next) = (ids(&data.words), ids(&data.next));
    let matrices = [(&data.embedding, [WORDS, HIDDEN]), (&data.output, [HIDDEN, WORDS])].into_iter();
    let kernels = data.kernels.iter().flatten().map(|numbers| (numbers, [HIDDEN, GATES]));
    // The embedding, the output's weights, and of each layer those for what comes in and for what is remembered.
    let mut weights: Vec<Parameter<2>> =
        matrices.chain(kernels).map(|(numbers, shape)| Parameter::new(tensor(numbers, shape))).collect();
    let mut offsets: Vec<Parameter<1>> = [WORDS, GATES, GATES].map(|n| Parameter::new(zeros([n]))).into();
    let nothing = zeros([BATCH, HIDDEN]);
    let loss_of = cross_entropy();
    meter.measure(|| {
        let w: Vec<Tensor<2>> = weights.iter_mut().map(Parameter::track).collect();
        let b: Vec<Tensor<1>> = offsets.iter_mut().map(Parameter::track).collect();
        let mut x = w[0].clone().select(0, words.clone());
        for (kernels, offsets) in w[2..].chunks(2).zip(&b[1..]) {
            // One product for all steps.
            let inward = linear(x, kernels[0].clone(), Some(offsets.clone()));
            let (mut h, mut c) = (nothing.clone(), nothing.clone());
            let mut hidden = Vec::with_capacity(STEPS);
            for step in 0..STEPS {
                let gates = inward.clone().narrow(0, step * BATCH, BATCH) + h.matmul(kernels[1].clone());
                let gate = |at: usize| gates.clone().narrow(1, at * HIDDEN, HIDDEN);
                c = c * sigmoid(gate(2) + 1.0) + sigmoid(gate(0)) * gate(1).tanh();
                h = c.clone().tanh() * sigmoid(gate(3));
                hidden.push(h.clone());
            }
            x = Tensor::cat(hidden, 0);
        }
        let loss = loss_of.forward(linear(x, w[1].clone(), Some(b[0].clone())), next.clone());
        drop((w, b));
        let mut slopes = loss.backward();
        let squares: f32 = weights.iter().map(|w| w.squared_slope(&slopes)).sum::<f32>()
            + offsets.iter().map(|b| b.squared_slope(&slopes)).sum::<f32>();
        let rate = CLIP / squares.sqrt().max(CLIP);
        weights.iter_mut().for_each(|w| w.descend(&mut slopes, rate));
        offsets.iter_mut().for_each(|b| b.descend(&mut slopes, rate));
        loss.into_scalar()
    });
}

fn predict<const N: usize>(meter: &Meter) {
    let data = protocol::mlp();
    let x = tensor(&data.images[..N * 784], [N, 784]);
    let (w1, b1) = (tensor(&data.w1, [784, 500]), tensor(&data.b1, [500]));
    let (w2, b2) = (tensor(&data.w2, [500, 10]), tensor(&data.b2, [10]));
    meter.measure(|| {
        let hidden = relu(linear(x.clone(), w1.clone(), Some(b1.clone())));
        let classes = softmax(linear(hidden, w2.clone(), Some(b2.clone())), 1);
        classes.into_data().as_slice::<f32>().expect("numbers")[0]
    });
}

fn main() {
    protocol::serve(
        "burn",
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
