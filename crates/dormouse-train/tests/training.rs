//! What training promises beside its formulas: what is changed and what is left alone, names, order, mistakes.

#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse_graph::{
    Array, Elementwise, Fill, Graph, Linalg, Normal, Reduction, Reuse, Tensor, TruncatedNormal, Variable, Zeros,
};
use dormouse_session::{Session, feeds};
use dormouse_train::layers::{AveragePool, Conv2d, Dense, Dropout, Flatten, Layer, MaxPool, sequence};
use dormouse_train::losses::{self, Weighting};
use dormouse_train::{
    Adam, Decay, ExponentialMovingAverage, GradientDescent, L1, L2, Minimize, Momentum, Optimizer, clip_by_global_norm,
    clip_by_norm, exponential_decay, global_step, metrics, piecewise_constant,
};
use dormouse_value::{DType, Padding, Value, shape};

fn told(graph: &Graph) -> Vec<(u32, String)> {
    let mistakes = graph.check().err();
    let mistakes = mistakes.iter().flat_map(|m| m.as_slice().to_vec());
    mistakes
        .map(|m| {
            assert!(m.source().file.ends_with("tests/training.rs"), "{m}");
            (m.source().line, m.message().to_owned())
        })
        .collect()
}

/// Builds on a fresh graph and expects one mistake, of this message, at the line of the call.
#[track_caller]
fn mistaken(message: &str, build: impl FnOnce(&Graph)) {
    let line = std::panic::Location::caller().line();
    let graph = Graph::new();
    build(&graph);
    let told = told(&graph);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].1.contains(message), "{told:?}");
    assert!((line..line + 6).contains(&told[0].0), "{told:?}, expected line {line}");
}

fn scalar(session: &Session, variable: Variable) -> f32 {
    session.run(variable, feeds![]).unwrap().scalar().unwrap()
}

#[test]
fn variables_that_the_loss_does_not_reach_are_left_alone() {
    let graph = Graph::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| graph.variable(1.0_f32).named(name));
    let count = graph.variable(0_i32).named("count");
    let fixed = graph.variable(1.0_f32).named("fixed").untrainable();
    let optimizer = Adam::new(0.1);
    let train = optimizer.minimize((a * fixed).square());
    assert!(optimizer.slot(a, "m").is_some() && optimizer.slot(b, "m").is_none());
    let only =
        GradientDescent::new(1.0).minimize_with(b * c * fixed, Minimize::new().variables(&[c, fixed]).name("only"));
    assert_eq!([train.name(), only.name()], ["Adam", "only"]);
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    session.run(train, feeds![]).unwrap();
    assert!((scalar(&session, a) - 0.9).abs() < 1e-6);
    assert_eq!([scalar(&session, b), scalar(&session, c), scalar(&session, fixed)], [1.0; 3]);
    session.run(only, feeds![]).unwrap();
    assert_eq!([scalar(&session, b), scalar(&session, c), scalar(&session, fixed)], [1.0, 0.0, 0.0]);
    assert_eq!(session.run(count, feeds![]).unwrap().scalar::<i32>().unwrap(), 0);
}

#[test]
fn gradients_may_be_changed_before_they_are_applied() {
    let graph = Graph::new();
    let w = graph.variable([3.0_f32, 4.0]).named("w");
    let unused = graph.variable(0.0_f32).named("unused");
    let step = global_step(&graph);
    assert_eq!((step, step.dtype()), (global_step(&graph), DType::I64));
    let optimizer = GradientDescent::new(1.0);
    let pairs = optimizer.compute_gradients(w.l2_loss(), &[w, unused]);
    let (gradients, variables): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    assert!(gradients[1].is_none());
    let (clipped, norm) = clip_by_global_norm(&gradients, 1.0);
    let pairs: Vec<_> = clipped.into_iter().zip(variables).collect();
    let train = optimizer.apply_gradients(&pairs, Some(step));
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    let (norm, ()) = session.run((norm.unwrap(), train), feeds![]).unwrap();
    assert_eq!(norm.scalar::<f32>().unwrap(), 5.0);
    let [w, step] = session.run([w, step], feeds![]).unwrap();
    assert_eq!(step.scalar::<i64>().unwrap(), 1);
    for (got, expected) in w.to_vec::<f32>().unwrap().iter().zip([2.4, 3.2]) {
        assert!((got - expected).abs() < 1e-6, "{w}");
    }
}

#[test]
fn an_optimizer_keeps_its_slots_and_two_have_their_own() {
    let graph = Graph::new();
    let w = graph.variable(1.0_f32).named("w");
    let step = graph.variable(0.0_f32).named("step").untrainable();
    let optimizer: Box<dyn Optimizer> = Box::new(Momentum::new(0.1, 0.9));
    let guard = w.assign_add(0.0);
    let [first, second] = graph.control_dependencies(guard, || {
        [w * 1.0, w * -1.0].map(|loss| optimizer.minimize_with(loss, Minimize::new().global_step(step)))
    });
    assert_eq!([first.name(), second.name()], ["Momentum", "Momentum_1"]);
    let _other = Momentum::new(0.1, 0.9).minimize(w * 1.0);
    let names: Vec<String> = graph.variables().iter().map(|v| v.name()).collect();
    assert_eq!(names, ["w:0", "step:0", "w/Momentum:0", "w/Momentum_1:0"]);
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    session.run(first, feeds![]).unwrap();
    session.run(second, feeds![]).unwrap();
    // 1 − 0.1 · 1 − 0.1 · (0.9 · 1 − 1)
    assert!((scalar(&session, w) - 0.91).abs() < 1e-6);
    assert_eq!(scalar(&session, step), 2.0);
}

#[test]
fn the_moving_average_of_chapter_4_4() {
    let graph = Graph::new();
    let v = graph.variable(0.0_f32).named("v");
    let step = graph.variable(0_i32).untrainable();
    let average = ExponentialMovingAverage::new(0.99).with_num_updates(step);
    assert_eq!(average.average_name(v), "v/ExponentialMovingAverage");
    let maintain = average.apply(&[v]);
    let pair = (v, average.average(v));
    assert_eq!(average.average_or_none(step), None);
    let [five, ten, far] = [v.assign(5.0), v.assign(10.0), step.assign(10_000)];
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    let both = |expected: [f32; 2]| {
        let (v, shadow) = session.run(pair, feeds![]).unwrap();
        assert_eq!([v.scalar::<f32>().unwrap(), shadow.scalar::<f32>().unwrap()], expected);
    };
    both([0.0, 0.0]);
    session.run(five, feeds![]).unwrap();
    session.run(maintain, feeds![]).unwrap();
    both([5.0, 4.5]);
    session.run((far, ten), feeds![]).unwrap();
    session.run(maintain, feeds![]).unwrap();
    both([10.0, 4.555]);
    session.run(maintain, feeds![]).unwrap();
    both([10.0, 4.609_45]);
}

#[test]
fn averages_stand_in_for_their_variables_when_restored() {
    let graph = Graph::new();
    let w = graph.scope("layer", || graph.get_variable("w", [2], Normal::new(1.0)));
    let step = global_step(&graph);
    let names =
        |average: &ExponentialMovingAverage| average.variables_to_restore(&graph).into_iter().collect::<Vec<_>>();
    let wanted = vec![("global_step".to_owned(), step), ("layer/w/ExponentialMovingAverage".to_owned(), w)];
    // The same before the shadows exist, as in a program that only evaluates, and after.
    let average = ExponentialMovingAverage::new(0.99);
    assert_eq!(names(&average), wanted);
    let maintain = average.apply(&graph.trainable_variables());
    assert_eq!(names(&average), wanted);
    assert_eq!(graph.variable_collection("moving_average_variables"), [w]);
    // The shadow starts from what its variable starts from, in the same run.
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    let (value, shadow, ()) = session.run((w, average.average(w), maintain), feeds![]).unwrap();
    assert_eq!(value, shadow);
}

#[test]
fn a_decayed_rate_follows_the_counter_of_chapter_4_2() {
    let graph = Graph::new();
    let step = graph.variable(0_i32);
    let x = graph.variable(5.0_f32).named("x");
    let rate = exponential_decay(0.1, step, Decay { steps: 1, rate: 0.96, staircase: true });
    let train = GradientDescent::new(rate).minimize_with(x.square(), Minimize::new().global_step(step));
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    let expected = [(1, 4.0, 0.096), (11, 0.690_561, 0.063_824), (91, 0.028_727, 0.002_436)];
    let mut steps = 0;
    for (at, x_after, rate_after) in expected {
        while steps < at {
            session.run(train, feeds![]).unwrap();
            steps += 1;
        }
        let rate: f32 = session.run(rate, feeds![]).unwrap().scalar().unwrap();
        assert!((scalar(&session, x) - x_after).abs() < 1e-6 && (rate - rate_after).abs() < 1e-6);
    }
}

#[test]
fn layers_make_their_variables_in_scopes_of_their_own() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, 28, 28, 1]);
    let model = |x: Tensor| {
        sequence(
            x,
            &[
                &Conv2d::new(32, [5, 5]).padding(Padding::Same).relu(),
                &MaxPool::new([2, 2], [2, 2]),
                &Conv2d::new(64, [5, 5]).strides([2, 2]).without_bias(),
                &AveragePool::new([2, 2], [2, 2]).padding(Padding::Same),
                &Flatten,
                &Dense::new(512).activation(Tensor::tanh).regularizer(L1(0.1)),
                &Dropout::new(0.5).seed(1),
                &Dense::new(10).named("logits").bias_initializer(Fill::new(0.1)).regularizer(Some(L2(0.01))),
            ],
        )
    };
    let logits = graph.variable_scope("model", Reuse::Auto, || model(x));
    assert_eq!((logits.name().as_str(), logits.shape()), ("model/logits/BiasAdd:0", shape![?, 10]));
    let again = graph.variable_scope("model", Reuse::Auto, || model(x));
    assert_eq!(again.name(), "model_1/logits/BiasAdd:0");
    let variables: Vec<String> = graph.variables().iter().map(|v| format!("{} {}", v.name(), v.shape())).collect();
    let expected = [
        "model/conv2d/kernel:0 [5, 5, 1, 32]",
        "model/conv2d/bias:0 [32]",
        "model/conv2d_1/kernel:0 [5, 5, 32, 64]",
        "model/dense/kernel:0 [576, 512]",
        "model/dense/bias:0 [512]",
        "model/logits/kernel:0 [512, 10]",
        "model/logits/bias:0 [10]",
    ];
    assert_eq!(variables, expected);
    assert_eq!(graph.collection("regularization_losses").len(), 4);
    assert!(graph.check().is_ok());
}

#[test]
fn a_dense_model_of_f64_learns() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F64, shape![?, 2]);
    let target = graph.placeholder(DType::F64, shape![?, 1]);
    let regularizer = |w: Tensor| w.abs().mean() * 1e-6;
    let hidden = Dense::new(8).relu().kernel_initializer(Normal::new(0.5).seed(3).dtype(DType::F64)).apply(x);
    let y = Dense::new(1).regularizer(regularizer).apply(hidden);
    losses::mean_squared_error(target, y);
    let loss = losses::total_loss(&graph);
    assert_eq!(loss.dtype(), DType::F64);
    let train = Adam::new(0.05).minimize(loss);
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    let inputs = ndarray::Array2::from_shape_fn((16, 2), |(i, j)| (i * (j + 3) % 7) as f64 / 7.0);
    let targets = ndarray::Array2::from_shape_fn((16, 1), |(i, _)| inputs[(i, 0)] * inputs[(i, 1)]);
    let run = || -> f64 {
        let (loss, ()) = session.run((loss, train), feeds![x => &inputs, target => &targets]).unwrap();
        loss.scalar().unwrap()
    };
    let losses: Vec<f64> = (0..300).map(|_| run()).collect();
    assert!(losses[299] < losses[0] / 20.0, "{} to {}", losses[0], losses[299]);
}

#[test]
fn losses_of_nothing_are_zero() {
    let graph = Graph::new();
    let labels = graph.placeholder(DType::F32, shape![?]);
    let predictions = graph.placeholder(DType::F32, shape![?]);
    let loss = losses::mean_squared_error(labels, predictions);
    let none = losses::regularization_loss(&graph);
    let session = Session::new(&graph).unwrap();
    let empty = Value::zeros(DType::F32, &[0]);
    let values = session.run([loss, none], feeds![labels => &empty, predictions => &empty]).unwrap();
    assert_eq!(values.map(|v| v.scalar::<f32>().unwrap()), [0.0, 0.0]);
}

#[test]
fn mistakes_name_the_line_of_the_call() {
    let float = |g: &Graph| g.placeholder(DType::F32, shape![?, 3]);
    mistaken("depends on none of the variables: w:0", |g| {
        let _w = g.variable(1.0_f32).named("w");
        let _ = Adam::new(0.1).minimize(g.constant(1.0_f32));
    });
    mistaken("there is no variable to change", |g| {
        let _ = Adam::new(0.1).minimize(g.constant(1.0_f32));
    });
    mistaken("minimize: the loss, w:0, is i32; cast it to a float", |g| {
        let w = g.variable(1_i32).named("w");
        let _ = GradientDescent::new(0.1).minimize(w.value());
    });
    // A loss that is a mistake makes no second one.
    mistaken("matmul", |g| {
        let w = g.variable([[1.0_f32, 2.0]]);
        let _ = Adam::new(0.1).minimize(float(g).matmul(w).sum());
    });
    mistaken("GradientDescent: the learning rate, rate:0, is f32[2]; it is one number", |g| {
        let w = g.variable(1.0_f32);
        let rate = g.constant([1.0_f32, 2.0]).named("rate");
        let _ = GradientDescent::new(rate).minimize(w * 2.0);
    });
    mistaken("is of another graph", |g| {
        let w = g.variable(1.0_f32);
        let other = Graph::new();
        let _ = GradientDescent::new(other.constant(0.1_f32)).minimize(w * 2.0);
    });
    mistaken("apply_gradients: w:0 is f32[2], its gradient g:0 is f32[]", |g| {
        let w = g.variable([1.0_f32, 2.0]).named("w");
        let gradient = g.constant(1.0_f32).named("g");
        let _ = Adam::new(0.1).apply_gradients(&[(Some(gradient), w)], None);
    });
    mistaken("no variable has a gradient", |g| {
        let w = g.variable([1.0_f32, 2.0]);
        let _ = Adam::new(0.1).apply_gradients(&[(None, w)], None);
    });
    mistaken("the initial accumulator is -1", |g| {
        let w = g.variable(1.0_f32);
        let _ = dormouse_train::Adagrad::new(0.1).initial_accumulator(-1.0).minimize(w * 2.0);
    });
    mistaken("average: w:0 has no moving average", |g| {
        let _ = ExponentialMovingAverage::new(0.9).average(g.variable(1.0_f32).named("w"));
    });
    mistaken("w:0 is i32; averages follow f32 and f64", |g| {
        let w = g.variable(1_i32).named("w");
        let _ = ExponentialMovingAverage::new(0.9).apply(&[w]);
    });
    mistaken("exponential_decay: the number of steps is 0", |g| {
        exponential_decay(0.1, g.constant(1_i64), Decay { steps: 0, rate: 0.9, staircase: true });
    });
    mistaken("piecewise_constant: 2 boundaries need 3 values, not 1", |g| {
        piecewise_constant(g.constant(1_i64), &[1, 2], &[0.5]);
    });
    mistaken("the boundaries [2, 2] do not rise", |g| {
        piecewise_constant(g.constant(1_i64), &[2, 2], &[0.5, 0.25, 0.125]);
    });
    mistaken("l2_regularizer: the scale is NaN", |g| {
        L2(f64::NAN).penalty(g.variable(1.0_f32));
    });
    mistaken("clip_by_norm: the limit is -1", |g| {
        clip_by_norm(float(g), -1.0);
    });
    mistaken("clip_by_global_norm: the limit is 0", |g| {
        clip_by_global_norm(&[float(g)], 0.0);
    });
}

#[test]
fn mistakes_of_layers_and_losses_name_the_line_of_the_call() {
    let float = |g: &Graph| g.placeholder(DType::F32, shape![?, 3]);
    mistaken("dense: takes 2 axes at least, not [3]", |g| {
        Dense::new(2).apply(g.constant([1.0_f32, 2.0, 3.0]));
    });
    mistaken("dense: the last extent of [?, ?] must be known", |g| {
        Dense::new(2).apply(g.placeholder(DType::F32, shape![?, ?]));
    });
    mistaken("dense: takes floats, not u8", |g| {
        Dense::new(2).apply(g.placeholder(DType::U8, shape![?, 3]));
    });
    mistaken("dense: the layer has no units", |g| {
        Dense::new(0).apply(float(g));
    });
    mistaken("already exists", |g| {
        Dense::new(2).named("a").apply(float(g));
        Dense::new(2).named("a").without_bias().apply(float(g));
    });
    mistaken("conv2d: takes 4 axes, not [?, 3]", |g| {
        sequence(float(g), &[&Conv2d::new(2, [3, 3])]);
    });
    mistaken("conv2d: 2 filters of 0 × 3 are none", |g| {
        Conv2d::new(2, [0, 3]).apply(float(g));
    });
    mistaken("dropout: the rate is 1.5", |g| {
        Dropout::new(1.5).apply(float(g));
    });
    mistaken("mean_squared_error: the labels have shape [?], the predictions [?, 3]", |g| {
        losses::mean_squared_error(g.placeholder(DType::F32, shape![?]), float(g));
    });
    mistaken("weights of shape [2] do not go with losses of shape [?, 3]", |g| {
        let weighting = Weighting::by(g.constant([1.0_f32, 2.0]));
        losses::mean_squared_error_with(float(g), float(g), weighting);
    });
    mistaken("sparse_softmax_cross_entropy", |g| {
        losses::sparse_softmax_cross_entropy(g.constant([0_i64, 1]).cast(DType::F32), float(g));
    });
    mistaken("smoothed: the smoothing is 2", |g| {
        losses::smoothed(float(g), 2.0);
    });
    mistaken("total_loss: the graph has no losses", |g| {
        losses::total_loss(g);
    });
    mistaken("accuracy: labels are class numbers", |g| {
        metrics::accuracy(g.constant(1.0_f32), float(g));
    });
}

#[test]
fn accuracy_counts_rows() {
    let graph = Graph::new();
    let logits = graph.constant([[0.1_f32, 0.9], [0.8, 0.2], [0.3, 0.7]]);
    let classes = metrics::accuracy(graph.constant([1_i32, 0, 0]), logits);
    let rows = metrics::accuracy(graph.constant([1_i32, 1, 0]).one_hot(2), logits);
    let variable = graph.get_variable("unused", [1], Zeros::default());
    let session = Session::new(&graph).unwrap();
    assert!(session.run(variable, feeds![]).unwrap_err().is_uninitialized());
    let [classes, rows] = session.run([classes, rows], feeds![]).unwrap();
    assert_eq!([classes, rows].map(|v| v.scalar::<f32>().unwrap()), [2.0 / 3.0, 1.0 / 3.0]);
}

#[test]
fn a_convolutional_model_learns_which_half_is_bright() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, 8, 8, 1]);
    let labels = graph.placeholder(DType::I64, shape![?]);
    let hidden = sequence(
        x,
        &[
            &Conv2d::new(4, [3, 3]).padding(Padding::Same).kernel_initializer(TruncatedNormal::new(0.3).seed(1)).relu(),
            &MaxPool::new([2, 2], [2, 2]),
            &AveragePool::new([3, 3], [2, 2]).padding(Padding::Same),
            &Flatten,
        ],
    );
    let logits = Dense::new(2).kernel_initializer(TruncatedNormal::new(0.3).seed(2)).apply(hidden);
    let loss = losses::sparse_softmax_cross_entropy(labels, logits);
    let right = metrics::accuracy(labels, logits);
    let train = Adam::new(0.02).minimize(loss);
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    let images = ndarray::Array4::from_shape_fn((16, 8, 8, 1), |(n, i, j, _)| {
        let bright = if n % 2 == 0 { j < 4 } else { j >= 4 };
        ((n * 7 + i * 3 + j * 5) % 11) as f32 / 22.0 + if bright { 0.5 } else { 0.0 }
    });
    let classes = ndarray::Array1::from_shape_fn(16, |n| (n % 2) as i64);
    let feeds = || feeds![x => &images, labels => &classes];
    for _ in 0..60 {
        session.run(train, feeds()).unwrap();
    }
    let (loss, right) = session.run((loss, right), feeds()).unwrap();
    assert!(loss.scalar::<f32>().unwrap() < 0.1, "{loss}");
    assert_eq!(right.scalar::<f32>().unwrap(), 1.0);
}

#[test]
fn slots_and_operations_are_named_in_scopes_as_tensorflow_names_them() {
    let names = |graph: &Graph| graph.variables().into_iter().map(Variable::name).collect::<Vec<_>>();
    let graph = Graph::new();
    let (w, u) =
        graph.scope("s", || (graph.get_variable("w", [2], Zeros::default()), graph.variable([1.0_f32]).named("u")));
    let train = graph.scope("t", || Adam::new(0.1).minimize(w.l2_loss() + u.l2_loss()));
    assert_eq!(train.name(), "t/Adam");
    let slots =
        ["t/beta1_power:0", "t/beta2_power:0", "t/s/w/Adam:0", "t/s/w/Adam_1:0", "t/s/u/Adam:0", "t/s/u/Adam_1:0"];
    assert_eq!(names(&graph)[2..], slots);

    let graph = Graph::new();
    let w = graph.get_variable("w", [2], Zeros::default());
    let loss = w.l2_loss();
    let inside = graph.name_scope("n", || Adam::new(0.1).minimize(loss));
    let outside = Adam::new(0.1).minimize(loss);
    assert_eq!([inside.name(), outside.name()], ["n/Adam", "Adam"]);
    let first = ["n/beta1_power:0", "n/beta2_power:0", "w/Adam:0", "w/Adam_1:0"];
    let second = ["beta1_power:0", "beta2_power:0", "w/Adam_2:0", "w/Adam_3:0"];
    assert_eq!(names(&graph)[1..], [first, second].concat());
}

#[test]
fn a_step_counter_that_cannot_count_is_a_mistake() {
    let told = |make: fn(&Graph) -> Variable| {
        let graph = Graph::new();
        let _ = make(&graph).named("global_step");
        let _ = global_step(&graph);
        graph.check().unwrap_err().to_string()
    };
    assert!(told(|graph| graph.variable(0.5_f32)).contains("global_step:0 is f32[], no integer scalar"));
    assert!(told(|graph| graph.variable([0_i64, 0])).contains("global_step:0 is i64[2], no integer scalar"));
}

#[test]
fn averages_of_thousands_of_variables_are_found_by_name() {
    let graph = Graph::new();
    let variables: Vec<Variable> = (0..3_000).map(|i| graph.variable(i as f32)).collect();
    let average = ExponentialMovingAverage::new(0.9);
    average.apply(&variables);
    let names = average.variables_to_restore(&graph);
    // A shadow has the name that its variable is restored from, and stands back for it.
    assert_eq!(names.len(), 3_000);
    for &variable in &variables {
        assert_eq!(names[&average.average_name(variable)], variable);
    }
}
