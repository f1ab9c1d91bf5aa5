//! Optimizers, schedules, losses, clipping and averages against what TensorFlow gives; `tests/oracle/training.py` prints
//! the file. Variables are looked up by TensorFlow's names, so these are checked too.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use dormouse_gradient::gradients;
use dormouse_graph::{
    Array, Elementwise, Graph, IndexedSlices, Indexing, Linalg, Reduction as _, Tensor, Variable, Zeros,
};
use dormouse_session::{Optimize, Session, SessionOptions, feeds};
use dormouse_train::losses::{self, Reduction, Weighting};
use dormouse_train::{
    Adadelta, Adagrad, Adam, Cosine, Decay, ExponentialMovingAverage, Ftrl, GradientDescent, Minimize, Momentum,
    Optimizer, Polynomial, RmsProp, clip_by_global_norm, clip_by_norm, cosine_decay, exponential_decay, global_step,
    inverse_time_decay, natural_exp_decay, piecewise_constant, polynomial_decay,
};
use dormouse_value::{DType, Value, shape};

const GOLDEN: &str = include_str!("golden.txt");

/// The rows of a case: step, name and numbers.
fn rows(case: &str) -> Vec<(&'static str, &'static str, Vec<f64>)> {
    let rows: Vec<_> = GOLDEN
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (own, step, name) = (words.next()?, words.next()?, words.next()?);
            (own == case).then(|| (step, name, words.map(|w| w.parse().unwrap()).collect()))
        })
        .collect();
    assert!(!rows.is_empty(), "no row of {case}");
    rows
}

#[allow(clippy::wildcard_enum_match_arm, reason = "no others are fetched")]
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::F32(x) => x.iter().copied().map(f64::from).collect(),
        Value::F64(x) => x.iter().copied().collect(),
        Value::I64(x) => x.iter().map(|x| *x as f64).collect(),
        _ => panic!("{value}"),
    }
}

#[track_caller]
fn check(what: &str, value: &Value, expected: &[f64]) {
    let tolerance = if value.dtype() == DType::F64 { 1e-13 } else { 2e-6 };
    let got = numbers(value);
    assert_eq!(got.len(), expected.len(), "{what}");
    for (a, b) in got.iter().zip(expected) {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{what}: {got:?}, TensorFlow: {expected:?}");
    }
}

fn problem(graph: &Graph, dtype: DType) -> Tensor {
    let value = |rows: &[[f64; 2]]| {
        let rows = ndarray::Array2::from_shape_fn((rows.len(), 2), |(i, j)| rows[i][j]);
        if dtype == DType::F64 { Value::from(rows) } else { Value::from(rows.mapv(|x| x as f32)) }
    };
    let [w, b] = graph.scope("layer", || {
        let w = graph.get_variable("w", [2, 2], value(&[[0.5, -0.25], [1.0, 2.0]]));
        [w, graph.get_variable("b", [1, 2], value(&[[0.1, -0.1]]))]
    });
    graph.get_variable("unused", [1], Zeros(dtype));
    let inputs = graph.constant(value(&[[1.0, -2.0], [0.5, 3.0], [-1.5, 0.25]]));
    let targets = graph.constant(value(&[[2.0, -1.0], [0.25, 1.5], [-0.5, 4.0]]));
    (inputs.matmul(w) + b - targets).square().mean()
}

fn train(case: &str, optimizer: &dyn Fn(Tensor) -> Box<dyn Optimizer>) {
    let graph = Graph::new();
    let dtype = if case.ends_with("f64") { DType::F64 } else { DType::F32 };
    let loss = problem(&graph, dtype);
    let step = global_step(&graph);
    let update = optimizer(step.value()).minimize_with(loss, Minimize::new().global_step(step));
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    let mut known = BTreeMap::new();
    let mut current = "";
    for (number, name, expected) in rows(case) {
        if number == "op" {
            assert_eq!(update.name(), name, "{case}");
            continue;
        }
        let what = format!("{case}, step {number}, {name}");
        if name == "loss" {
            assert_ne!(number, current);
            current = number;
            let (before, ()) = session.run((loss, update), feeds![]).unwrap();
            check(&what, &before, &expected);
        } else if name != "unused" {
            let variable = graph.variable_named(name).unwrap_or_else(|| panic!("{what} is missing"));
            assert_eq!(variable.is_trainable(), ["layer/w", "layer/b"].contains(&name), "{what}");
            known.insert(name, variable);
            check(&what, &session.run(variable, feeds![]).unwrap(), &expected);
        }
    }
    let others = graph.variables().into_iter().filter(|v| !known.values().any(|k| k == v)).map(Variable::name);
    assert_eq!(others.collect::<Vec<_>>(), ["unused:0"], "{case}");
    assert_eq!(graph.operation_collection("train_op"), [update]);
}

#[test]
fn optimizers() {
    train("sgd", &|_| Box::new(GradientDescent::new(0.1)));
    train("momentum", &|_| Box::new(Momentum::new(0.05, 0.9)));
    train("nesterov", &|_| Box::new(Momentum::new(0.05, 0.9).nesterov()));
    train("adam", &|_| Box::new(Adam::new(0.1)));
    train("adam_options", &|_| Box::new(Adam::new(0.2).betas(0.5, 0.9).epsilon(0.1)));
    train("adam_f64", &|_| Box::new(Adam::new(0.1)));
    train("adagrad", &|_| Box::new(Adagrad::new(0.3)));
    train("adagrad_initial", &|_| Box::new(Adagrad::new(0.3).initial_accumulator(1.0)));
    train("rmsprop", &|_| Box::new(RmsProp::new(0.1)));
    train("rmsprop_momentum", &|_| Box::new(RmsProp::new(0.1).decay(0.8).momentum(0.5).epsilon(0.01)));
    train("rmsprop_centered", &|_| Box::new(RmsProp::new(0.1).momentum(0.5).centered()));
    train("rmsprop_f64", &|_| Box::new(RmsProp::new(0.1).momentum(0.5)));
    train("adadelta", &|_| Box::new(Adadelta::new(1.0)));
    train("adadelta_options", &|_| Box::new(Adadelta::new(2.0).decay(0.8).epsilon(0.01)));
    train("ftrl", &|_| Box::new(Ftrl::new(0.3)));
    train("ftrl_options", &|_| Box::new(ftrl_options()));
    train("decayed", &|step| {
        let decay = Decay { steps: 2, rate: 0.5, staircase: true };
        Box::new(GradientDescent::new(exponential_decay(0.2, step, decay)))
    });
}

fn ftrl_options() -> Ftrl {
    Ftrl::new(0.3).power(-0.7).initial_accumulator(0.2).regularization(0.4, 0.1).shrinkage(0.05).beta(0.3)
}

/// What is taken in each step: rows more than once, none of some, and fewer in the end.
const TAKEN: [[[i32; 2]; 2]; 5] =
    [[[1, 4], [1, 0]], [[4, 4], [4, 2]], [[0, 1], [2, 2]], [[1, 1], [1, 1]], [[4, 0], [1, 4]]];

/// A loss over rows of a matrix, in one of the ways that make its gradient rows, or not.
fn embedding(graph: &Graph, ids: Tensor, shape: &str) -> Tensor {
    let numbers =
        ndarray::Array::linspace(-0.7, 0.9, 10).mapv(|x: f64| x as f32).into_shape_with_order((5, 2)).unwrap();
    let [w, b] = graph.scope("rows", || {
        let w = graph.get_variable("w", [5, 2], Value::from(numbers));
        [w, graph.get_variable("b", [2], Value::from(ndarray::arr1(&[0.3_f32, -0.2])))]
    });
    let weights = graph.constant([[0.5_f32, -1.5], [1.0, 0.25]]);
    let found = match shape {
        "negated" => (-w).gather(ids),
        "identity" => w.identity().gather(ids),
        "scaled" => (w * 0.5).gather(ids),
        "nd" => w.gather_nd(ids.reshape([4, 1])).reshape([2, 2, 2]),
        _ => w.gather(ids),
    };
    let loss = (found.matmul(weights) + b - 0.4).square().mean();
    match shape {
        "twice" => loss + (w.gather(graph.constant([3_i32, 1])).square() * 0.1).sum(),
        "regularized" => loss + 0.01 * w.l2_loss(),
        _ => loss,
    }
}

type Pairs = Vec<(Option<Tensor>, Variable)>;

/// Under every setting.
fn train_rows(case: &str, shape: &str, optimizer: &dyn Optimizer, change: &dyn Fn(Pairs) -> Pairs) {
    for optimize in [Optimize::None, Optimize::Exact, Optimize::Full] {
        let graph = Graph::new();
        let ids = graph.placeholder(DType::I32, shape![2, 2]);
        let loss = embedding(&graph, ids, shape);
        let step = global_step(&graph);
        let pairs = change(optimizer.compute_gradients(loss, &graph.trainable_variables()));
        let gradient = pairs[0].0.unwrap();
        assert_eq!(IndexedSlices::of(gradient).is_some(), !["scaled", "regularized"].contains(&shape), "{case}");
        let update = optimizer.apply_gradients(&pairs, Some(step));
        let init = graph.initializer();
        let session = Session::with_options(&graph, SessionOptions { optimize, ..SessionOptions::default() }).unwrap();
        session.run(init, feeds![]).unwrap();
        let mut current = 0;
        for (number, name, expected) in rows(case) {
            let what = format!("{case} under {optimize:?}, step {number}, {name}");
            let feeds = feeds![ids => ndarray::arr2(&TAKEN[number.parse::<usize>().unwrap()])];
            if name == "gradient" {
                check(&what, &session.run(gradient, feeds).unwrap(), &expected);
            } else if name == "loss" {
                check(&what, &session.run(loss, feeds).unwrap(), &expected);
                current += 1;
            } else {
                if current > 0 {
                    session.run(update, feeds).unwrap();
                    current = 0;
                }
                let variable = graph.variable_named(name).unwrap_or_else(|| panic!("{what} is missing"));
                check(&what, &session.run(variable, feeds![]).unwrap(), &expected);
            }
        }
    }
}

#[test]
fn optimizers_of_rows() {
    let optimizers: [(&str, Box<dyn Optimizer>); 15] = [
        ("sgd", Box::new(GradientDescent::new(0.1))),
        ("momentum", Box::new(Momentum::new(0.05, 0.9))),
        ("nesterov", Box::new(Momentum::new(0.05, 0.9).nesterov())),
        ("adam", Box::new(Adam::new(0.1))),
        ("adam_options", Box::new(Adam::new(0.2).betas(0.5, 0.9).epsilon(0.1))),
        ("adagrad", Box::new(Adagrad::new(0.3))),
        ("adagrad_initial", Box::new(Adagrad::new(0.3).initial_accumulator(1.0))),
        ("rmsprop", Box::new(RmsProp::new(0.1))),
        ("rmsprop_momentum", Box::new(RmsProp::new(0.1).decay(0.8).momentum(0.5).epsilon(0.01))),
        ("rmsprop_centered", Box::new(RmsProp::new(0.1).momentum(0.5).centered())),
        ("adadelta", Box::new(Adadelta::new(1.0))),
        ("adadelta_options", Box::new(Adadelta::new(2.0).decay(0.8).epsilon(0.01))),
        ("ftrl", Box::new(Ftrl::new(0.3))),
        ("ftrl_options", Box::new(ftrl_options())),
        ("", Box::new(RmsProp::new(0.1).momentum(0.5).centered())),
    ];
    let same = |pairs: Pairs| pairs;
    for (name, make) in &optimizers {
        if name.is_empty() {
            for shape in ["negated", "identity", "scaled", "nd", "regularized"] {
                train_rows(&format!("sparse_{shape}"), shape, &**make, &same);
            }
        } else {
            train_rows(&format!("sparse_{name}"), "lookup", &**make, &same);
            train_rows(&format!("sparse_twice_{name}"), "twice", &**make, &same);
        }
    }
}

#[test]
fn clipped_rows() {
    let each = |change: fn(Tensor) -> Tensor| {
        move |pairs: Pairs| pairs.into_iter().map(|(g, v)| (g.map(change), v)).collect::<Pairs>()
    };
    let global = |pairs: Pairs| {
        let (gradients, variables): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        clip_by_global_norm(&gradients, 0.3).0.into_iter().zip(variables).collect::<Pairs>()
    };
    let case = |name, change: &dyn Fn(Pairs) -> Pairs| train_rows(name, "twice", &Momentum::new(0.5, 0.9), change);
    case("sparse_clipped", &global);
    case("sparse_by_norm", &each(|g| clip_by_norm(g, 0.2)));
    case("sparse_by_value", &each(|g| g.clip_by_value(-0.1, 0.05)));
    case("sparse_turned", &each(|g| -g));
}

#[test]
fn schedules() {
    let graph = Graph::new();
    let step = graph.placeholder(DType::I64, shape![]);
    let decay = Decay { steps: 7, rate: 0.9, staircase: false };
    let stairs = Decay { staircase: true, ..decay };
    let polynomial = Polynomial { steps: 10, end: 0.01, power: 0.5, cycle: false };
    let rates = BTreeMap::from([
        ("exponential", exponential_decay(0.8, step, decay)),
        ("exponential_staircase", exponential_decay(0.8, step, stairs)),
        ("natural", natural_exp_decay(0.8, step, decay)),
        ("inverse_time", inverse_time_decay(0.8, step, decay)),
        ("inverse_time_staircase", inverse_time_decay(0.8, step, stairs)),
        ("polynomial", polynomial_decay(0.8, step, polynomial)),
        ("polynomial_cycle", polynomial_decay(0.8, step, Polynomial { power: 2.0, cycle: true, ..polynomial })),
        ("cosine", cosine_decay(0.8, step, Cosine { steps: 10, alpha: 0.1 })),
        ("piecewise", piecewise_constant(step, &[2, 5, 11], &[1.0, 0.5, 0.25, 0.1])),
    ]);
    assert_eq!(rates["exponential_staircase"].name(), "ExponentialDecay_1:0");
    let session = Session::new(&graph).unwrap();
    for (number, name, expected) in rows("schedule") {
        let rate = session.run(rates[name], feeds![step => number.parse::<i64>().unwrap()]).unwrap();
        check(&format!("{name} at {number}"), &rate, &expected);
    }
}

#[test]
fn losses_and_their_gradients() {
    let graph = Graph::new();
    let labels = graph.constant([[1.0_f32, 0.0, 0.0], [0.0, 1.0, 0.0]]);
    let classes = graph.constant([0_i32, 1]);
    let logits = graph.constant([[0.3_f32, 0.9, 0.2], [0.6, 0.1, 0.0]]);
    let rows_of = Weighting::by(graph.constant([[0.5_f32], [0.0]]));
    let reduced = |reduction| losses::mean_squared_error_with(labels, logits, rows_of.clone().reduction(reduction));
    let number = |weight| losses::mean_squared_error_with(labels, logits, Weighting::by(weight));
    let cases = [
        ("mean_squared_error", losses::mean_squared_error(labels, logits)),
        ("absolute_difference", losses::absolute_difference(labels, logits)),
        ("log_loss", losses::log_loss(labels, logits)),
        ("hinge_loss", losses::hinge_loss(labels, logits * 2.0)),
        ("huber_loss", losses::huber_loss(labels, logits * 3.0)),
        ("cosine_distance", losses::cosine_distance(labels, logits, 1)),
        ("sigmoid_cross_entropy", losses::sigmoid_cross_entropy(labels, logits)),
        ("softmax_cross_entropy", losses::softmax_cross_entropy(labels, logits)),
        ("smoothed", losses::softmax_cross_entropy(losses::smoothed(labels, 0.1), logits)),
        ("sparse", losses::sparse_softmax_cross_entropy(classes, logits)),
        ("number", number(0.5)),
        ("zero", number(0.0)),
        ("rows", reduced(Reduction::SumByNonzeroWeights)),
        ("rows_sum", reduced(Reduction::Sum)),
        ("rows_mean", reduced(Reduction::Mean)),
        ("rows_batch", reduced(Reduction::SumOverBatchSize)),
        ("rows_none", reduced(Reduction::None)),
        (
            "sparse_weighted",
            losses::sparse_softmax_cross_entropy_with(
                graph.constant([[0_i64], [1]]),
                logits,
                Weighting::by(graph.constant([0.5_f32, 2.0])),
            ),
        ),
    ];
    let losses = BTreeMap::from(cases);
    assert_eq!(graph.collection("losses").len(), losses.len());
    let slopes: BTreeMap<_, _> = losses.iter().map(|(name, loss)| (*name, gradients(*loss, [logits])[0])).collect();
    let session = Session::new(&graph).unwrap();
    for (what, name, expected) in rows("loss") {
        let tensor = if what == "gradient" { slopes[name] } else { losses[name] };
        if what != "gradient" {
            assert_eq!(tensor.name(), format!("{what}:0"));
        }
        check(&format!("{what} of {name}"), &session.run(tensor, feeds![]).unwrap(), &expected);
    }
}

#[test]
fn clipping() {
    for (limit, name, expected) in rows("clip") {
        let graph = Graph::new();
        let a = graph.constant([[3.0_f32, -1.0], [0.5, 2.0]]);
        let b = graph.constant([4.0_f32, 0.0]);
        let limit: f64 = limit.parse().unwrap();
        let (clipped, norm) = clip_by_global_norm(&[Some(a), None, Some(b)], limit);
        assert_eq!(clipped[1], None);
        let tensor = match name {
            "norm" => norm,
            "a" => clipped[0],
            "b" => clipped[2],
            _ => Some(clip_by_norm(a, limit)),
        };
        let session = Session::new(&graph).unwrap();
        check(name, &session.run(tensor.unwrap(), feeds![]).unwrap(), &expected);
    }
}

#[test]
fn averages() {
    let graph = Graph::new();
    let w = graph.variable([1.0_f32, -2.0]).named("w");
    let step = graph.variable(0_i32).named("step").untrainable();
    let moved = w.assign_add(graph.constant([0.5_f32, 1.25]));
    let counted = step.assign_add(3);
    let fixed = ExponentialMovingAverage::new(0.9);
    let dynamic = ExponentialMovingAverage::new(0.9).with_num_updates(step);
    let maintain = [("fixed", fixed.apply(&[w])), ("dynamic", dynamic.apply(&[w]))];
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    for (case, maintain) in maintain {
        session.run(init, feeds![]).unwrap();
        for (number, name, expected) in rows(case) {
            session.run(moved, feeds![]).unwrap();
            session.run(maintain, feeds![]).unwrap();
            session.run(counted, feeds![]).unwrap();
            let shadow = graph.variable_named(name).unwrap();
            check(&format!("{case} {number}"), &session.run(shadow, feeds![]).unwrap(), &expected);
        }
    }
}
