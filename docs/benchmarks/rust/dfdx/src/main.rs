//! The workloads in dfdx, which computes each operation as it is met and knows every shape when it is compiled. Gradients are taken
//! of whatever an operation reads, the images too. There is no `lenet`, as its convolutions need a nightly compiler.

use dfdx::optim::{Optimizer, Sgd, SgdConfig};
use dfdx::prelude::*;
use protocol::{BATCH, CLIP, GATES, HIDDEN, KEPT, L2, Meter, STEPS, WORDS};

const ROWS: usize = STEPS * BATCH;

type Tape = OwnedTape<f32, Cpu>;
type Plain<S> = Tensor<S, f32, Cpu>;
type Taped<S> = Tensor<S, f32, Cpu, Tape>;
type Slopes = Gradients<f32, Cpu>;

fn tensor<S: ConstShape>(numbers: &[f32]) -> Plain<S> {
    Cpu::default().tensor_from_vec(numbers.to_vec(), S::default())
}

fn ids<const N: usize>(numbers: &[usize]) -> Tensor<Rank1<N>, usize, Cpu> {
    Cpu::default().tensor_from_vec(numbers.to_vec(), Default::default())
}

/// A parameter that goes down its slope.
struct Parameter<S: ConstShape> {
    value: Plain<S>,
    descent: Sgd<Plain<S>, f32, Cpu>,
}

impl<S: ConstShape> Parameter<S> {
    fn new(numbers: &[f32], rate: f64) -> Self {
        let value = tensor(numbers);
        let descent = Sgd::new(&value, SgdConfig { lr: rate, momentum: None, weight_decay: None });
        Parameter { value, descent }
    }

    fn zeros(rate: f64) -> Self {
        Self::new(&vec![0.0; S::default().num_elements()], rate)
    }

    fn descend(&mut self, slopes: &Slopes) {
        self.descent.update(&mut self.value, slopes).expect("each has a gradient");
    }

    fn descend_at(&mut self, slopes: &Slopes, rate: f32) {
        self.descent.cfg.lr = f64::from(rate);
        self.descend(slopes);
    }

    fn squared_slope(&self, slopes: &Slopes) -> f32 {
        slopes.get(&self.value).square().as_vec().iter().sum()
    }
}

/// x·w + b.
fn dense<const M: usize, const K: usize, const N: usize>(
    x: Taped<Rank2<M, K>>,
    w: &Plain<Rank2<K, N>>,
    b: &Plain<Rank1<N>>,
) -> Taped<Rank2<M, N>> {
    x.matmul(w.clone()) + b.retaped::<Tape>().broadcast()
}

fn squared<const M: usize, const N: usize>(w: &Plain<Rank2<M, N>>) -> Taped<Rank0> {
    w.retaped::<Tape>().square().sum()
}

fn hello(meter: &Meter) {
    let device = Cpu::default();
    let b = device.tensor([2.0_f32, 3.0]);
    meter.measure(|| (device.tensor([1.0_f32, 2.0]) + b.clone()).array()[0]);
}

fn chain(meter: &Meter) {
    let device = Cpu::default();
    let one = device.tensor(1.0_f32);
    meter.measure(|| (0..protocol::CHAIN / 2).fold(device.tensor(0.5_f32), |y, _| (y * one.clone()).sin()).array());
}

fn branches(meter: &Meter) {
    let (x, weights) = protocol::branches();
    let x: Plain<Rank2<128, 128>> = tensor(&x);
    let weights: Vec<Plain<Rank2<128, 128>>> = weights.iter().map(|w| tensor(w)).collect();
    meter.measure(|| {
        let ends = weights.iter().map(|w| (0..4).fold(x.clone(), |y, _| y.matmul(w.clone()).relu()));
        ends.reduce(|a, b| a + b).expect("there are branches").sum::<Rank0, _>().array()
    });
}

fn elementwise(meter: &Meter) {
    let x: Plain<Rank1<{ protocol::ELEMENTS }>> = tensor(&protocol::elements());
    meter.measure(|| {
        let cube = x.clone().square() * (x.clone() * 0.044_715);
        let inner = (x.clone() + cube) * 0.797_884_56;
        (x.clone() * 0.5 * (inner.tanh() + 1.0)).sum::<Rank0, _>().array()
    });
}

fn matmul<const N: usize>(meter: &Meter) {
    let [a, b] = protocol::squares(N).map(|numbers| tensor::<Rank2<N, N>>(&numbers));
    meter.measure(|| a.clone().matmul(b.clone())[[0, 0]]);
}

fn mlp(meter: &Meter) {
    let data = protocol::mlp();
    let x: Plain<Rank2<100, 784>> = tensor(&data.images);
    let mut targets = vec![0.0; 100 * 10];
    data.labels.iter().enumerate().for_each(|(row, label)| targets[row * 10 + label] = 1.0);
    let targets: Plain<Rank2<100, 10>> = tensor(&targets);
    let (mut w1, mut b1) = (Parameter::<Rank2<784, 500>>::new(&data.w1, 0.8), Parameter::<Rank1<500>>::zeros(0.8));
    let (mut w2, mut b2) = (Parameter::<Rank2<500, 10>>::new(&data.w2, 0.8), Parameter::<Rank1<10>>::zeros(0.8));
    let mut averages = (w1.value.clone(), b1.value.clone(), w2.value.clone(), b2.value.clone());
    meter.measure(|| {
        let hidden = dense(x.leaky_trace(), &w1.value, &b1.value).relu();
        let logits = dense(hidden, &w2.value, &b2.value);
        let decay = (squared(&w1.value) + squared(&w2.value)) * L2;
        let loss = cross_entropy_with_logits_loss(logits, targets.clone()) + decay;
        let value = loss.array();
        let slopes = loss.backward();
        w1.descend(&slopes);
        b1.descend(&slopes);
        w2.descend(&slopes);
        b2.descend(&slopes);
        averages.0.axpy(KEPT, &w1.value, 1.0 - KEPT);
        averages.1.axpy(KEPT, &b1.value, 1.0 - KEPT);
        averages.2.axpy(KEPT, &w2.value, 1.0 - KEPT);
        averages.3.axpy(KEPT, &b2.value, 1.0 - KEPT);
        value
    });
}

fn lstm(meter: &Meter) {
    let data = protocol::lstm();
    let (words, next) = (ids::<ROWS>(&data.words), ids::<ROWS>(&data.next));
    let mut embedding = Parameter::<Rank2<WORDS, HIDDEN>>::new(&data.embedding, 1.0);
    let mut kernels: Vec<Parameter<Rank2<HIDDEN, GATES>>> =
        data.kernels.iter().flatten().map(|numbers| Parameter::new(numbers, 1.0)).collect();
    let mut offsets: Vec<Parameter<Rank1<GATES>>> = (0..2).map(|_| Parameter::zeros(1.0)).collect();
    let mut w = Parameter::<Rank2<HIDDEN, WORDS>>::new(&data.output, 1.0);
    let mut b = Parameter::<Rank1<WORDS>>::zeros(1.0);
    let nothing: Plain<Rank2<BATCH, HIDDEN>> = Cpu::default().zeros();
    meter.measure(|| {
        let mut x: Taped<Rank2<ROWS, HIDDEN>> = embedding.value.leaky_trace().gather(words.clone());
        for (kernels, offsets) in kernels.chunks(2).zip(&offsets) {
            // One product for all steps. What is used more than once is kept without its tape, and the tapes meet in this one.
            let (inward, mut tape) = dense(x, &kernels[0].value, &offsets.value).split_tape();
            let (mut h, mut c) = (nothing.clone(), nothing.clone());
            let mut hidden = Vec::with_capacity(STEPS);
            for step in 0..STEPS {
                let rows = inward.retaped::<Tape>().slice((step * BATCH..(step + 1) * BATCH, ..));
                let rows: Taped<Rank2<BATCH, GATES>> = rows.realize();
                let (gates, of_gates) = (rows + h.retaped::<Tape>().matmul(kernels[1].value.clone())).split_tape();
                let gate = |at: usize| -> Taped<Rank2<BATCH, HIDDEN>> {
                    gates.retaped::<Tape>().slice((.., at * HIDDEN..(at + 1) * HIDDEN)).realize()
                };
                let kept = c.retaped::<Tape>() * (gate(2) + 1.0).sigmoid();
                let (cell, of_cell) = (kept + gate(0).sigmoid() * gate(1).tanh()).split_tape();
                let (output, of_output) = (cell.retaped::<Tape>().tanh() * gate(3).sigmoid()).split_tape();
                hidden.push(output.clone());
                (h, c) = (output, cell);
                tape = tape.merge(of_gates).merge(of_cell).merge(of_output);
            }
            // The first of the steps takes all that was recorded along.
            let recorded = std::iter::once(tape).chain(std::iter::repeat_with(Tape::default));
            let hidden: Vec<_> = hidden.into_iter().zip(recorded).map(|(h, tape)| h.put_tape(tape)).collect();
            x = hidden.stack().reshape_like(&Default::default());
        }
        let logits: Taped<Rank2<ROWS, WORDS>> = dense(x, &w.value, &b.value);
        let right: Taped<Rank1<ROWS>> = logits.log_softmax::<Axis<1>>().select(next.clone());
        let loss = right.mean::<Rank0, _>().negate();
        let value = loss.array();
        let slopes = loss.backward();
        let squares = embedding.squared_slope(&slopes)
            + w.squared_slope(&slopes)
            + b.squared_slope(&slopes)
            + kernels.iter().map(|k| k.squared_slope(&slopes)).sum::<f32>()
            + offsets.iter().map(|o| o.squared_slope(&slopes)).sum::<f32>();
        let rate = CLIP / squares.sqrt().max(CLIP);
        embedding.descend_at(&slopes, rate);
        w.descend_at(&slopes, rate);
        b.descend_at(&slopes, rate);
        kernels.iter_mut().for_each(|k| k.descend_at(&slopes, rate));
        offsets.iter_mut().for_each(|o| o.descend_at(&slopes, rate));
        value
    });
}

fn predict<const N: usize>(meter: &Meter) {
    let data = protocol::mlp();
    let x: Plain<Rank2<N, 784>> = tensor(&data.images[..N * 784]);
    let (w1, b1): (Plain<Rank2<784, 500>>, Plain<Rank1<500>>) = (tensor(&data.w1), tensor(&data.b1));
    let (w2, b2): (Plain<Rank2<500, 10>>, Plain<Rank1<10>>) = (tensor(&data.w2), tensor(&data.b2));
    meter.measure(|| {
        let hidden = (x.clone().matmul(w1.clone()) + b1.clone().broadcast::<Rank2<N, 500>, _>()).relu();
        let logits = hidden.matmul(w2.clone()) + b2.clone().broadcast::<Rank2<N, 10>, _>();
        logits.softmax::<Axis<1>>()[[0, 0]]
    });
}

fn main() {
    protocol::serve(
        "dfdx",
        &[
            ("hello", hello),
            ("chain", chain),
            ("branches", branches),
            ("elementwise", elementwise),
            ("matmul256", matmul::<256>),
            ("matmul1024", matmul::<1024>),
            ("matmul2048", matmul::<2048>),
            ("mlp", mlp),
            ("lstm", lstm),
            ("predict1", predict::<1>),
            ("predict100", predict::<100>),
        ],
    );
}
