//! Gradients that are rows of an array, from a lookup to the update: `crates/dormouse-train/tests/golden.rs` compares the numbers
//! with TensorFlow's; here is what else a user relies on.

#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse::prelude::*;
use dormouse::train::clip_by_norm;
use ndarray::{Array2, array};

fn matrix(value: &Value) -> Array2<f32> {
    value.array::<f32>().unwrap().to_owned().into_dimensionality().unwrap().into_owned()
}

fn model(graph: &Graph, optimizer: &dyn Optimizer) -> (Tensor, Variable, Operation) {
    let ids = graph.placeholder(DType::I64, shape![?, ?]).named("ids");
    let w = graph.get_variable("w", [50, 3], Uniform::new(-1.0, 1.0).seed(3));
    let loss = (w.gather(ids).tanh() - 0.5).square().mean();
    let pairs = optimizer.compute_gradients(loss, &[w]);
    let (gradients, variables): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let clipped = clip_by_global_norm(&gradients, 0.5).0;
    let pairs: Vec<_> = clipped.into_iter().zip(variables).collect();
    (ids, w, optimizer.apply_gradients(&pairs, None))
}

fn optimizers() -> Vec<Box<dyn Optimizer>> {
    vec![
        Box::new(GradientDescent::new(0.1)),
        Box::new(Momentum::new(0.1, 0.9).nesterov()),
        Box::new(Adagrad::new(0.1)),
        Box::new(Adam::new(0.1)),
        Box::new(RmsProp::new(0.1).momentum(0.5).centered()),
        Box::new(Adadelta::new(1.0)),
        Box::new(Ftrl::new(0.1)),
    ]
}

/// A batch of its own shape for each step.
fn batch(step: i64) -> Array2<i64> {
    Array2::from_shape_fn((2 + step as usize % 3, 4), |(i, j)| (7 * i as i64 + 11 * j as i64 * step) % 50)
}

fn run(session: &Session, ids: Tensor, w: Variable, train: Operation, steps: std::ops::Range<i64>) -> Value {
    for step in steps {
        session.run(train, feeds![ids => batch(step)]).unwrap();
    }
    session.run(w, feeds![]).unwrap()
}

#[test]
fn training_goes_on_from_files_to_the_same_bits_on_any_number_of_threads() {
    let folder = std::env::temp_dir().join(format!("dormouse-rows-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for optimizer in optimizers() {
        let graph = Graph::new();
        let (ids, w, train) = model(&graph, &*optimizer);
        let init = graph.initializer();
        let mut wholes = Vec::new();
        for threads in [1, 2, 8] {
            let options = SessionOptions { threads: Some(threads), ..SessionOptions::default() };
            let session = Session::with_options(&graph, options).unwrap();
            session.run(init, feeds![]).unwrap();
            wholes.push(run(&session, ids, w, train, 0..8));
        }
        assert!(wholes.iter().all(|w| *w == wholes[0]), "{}", optimizer.name());
        let session = Session::new(&graph).unwrap();
        session.run(init, feeds![]).unwrap();
        run(&session, ids, w, train, 0..4);
        let (model, weights) = (folder.join("model"), folder.join("weights"));
        save_graph(&*graph, &model).unwrap();
        let weights = Saver::new().save(&session, weights, 4).unwrap();
        let loaded = load_graph(&model).unwrap();
        let session = Session::new(&loaded).unwrap();
        Saver::new().restore(&session, weights).unwrap();
        let train = loaded.operation(&train.name()).unwrap();
        let [ids, w] = ["ids:0", "w:0"].map(|name| loaded.tensor(name).unwrap());
        for step in 4..8 {
            session.run(train, feeds![ids => batch(step)]).unwrap();
        }
        assert_eq!(session.run(w, feeds![]).unwrap(), wholes[0], "{}", optimizer.name());
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn rows_that_were_not_taken_keep_their_bits_and_their_slots() {
    for optimizer in optimizers().into_iter().filter(|o| o.name() != "Adam") {
        let graph = Graph::new();
        let (ids, w, train) = model(&graph, &*optimizer);
        let slots: Vec<Variable> = graph.variables().into_iter().filter(|v| *v != w).collect();
        let init = graph.initializer();
        let session = Session::new(&graph).unwrap();
        session.run(init, feeds![]).unwrap();
        session.run(train, feeds![ids => array![[1_i64, 2, 2]]]).unwrap();
        let all: Vec<Variable> = std::iter::once(w).chain(slots).collect();
        let numbers = |session: &Session| -> Vec<Array2<f32>> {
            let read = |v: &Variable| matrix(&session.run(*v, feeds![]).unwrap());
            all.iter().map(read).collect()
        };
        let before = numbers(&session);
        session.run(train, feeds![ids => array![[2_i64, 4]]]).unwrap();
        for (before, after) in before.iter().zip(numbers(&session)) {
            for row in 0..50 {
                let same = before.row(row) == after.row(row);
                assert_eq!(same, ![2, 4].contains(&row), "{}, row {row}", optimizer.name());
            }
        }
    }
}

#[test]
fn an_index_outside_changes_nothing() {
    for optimizer in optimizers() {
        let graph = Graph::new();
        let (ids, w, train) = model(&graph, &*optimizer);
        let init = graph.initializer();
        let session = Session::new(&graph).unwrap();
        session.run(init, feeds![]).unwrap();
        let before = run(&session, ids, w, train, 0..2);
        for outside in [-1_i64, 50] {
            let told = session.run(train, feeds![ids => array![[3_i64, outside]]]).unwrap_err().to_string();
            assert!(told.contains(&outside.to_string()), "{told}");
            assert_eq!(session.run(w, feeds![]).unwrap(), before);
        }
    }
}

#[test]
fn no_row_at_all_is_a_step_too() {
    for optimizer in optimizers() {
        let graph = Graph::new();
        let w = graph.variable(array![[1.0_f32, 2.0], [3.0, 4.0]]);
        let ids = graph.placeholder(DType::I32, shape![?]);
        let train = optimizer.minimize(w.gather(ids).square().sum());
        let init = graph.initializer();
        let session = Session::new(&graph).unwrap();
        session.run(init, feeds![]).unwrap();
        session.run(train, feeds![ids => ndarray::Array1::<i32>::zeros(0)]).unwrap();
        let after = matrix(&session.run(w, feeds![]).unwrap());
        assert_eq!(after, array![[1.0, 2.0], [3.0, 4.0]], "{}", optimizer.name());
    }
}

#[test]
fn slices_are_what_gradients_of_gathers_are_made_of() {
    let graph = Graph::new();
    let w = graph.variable(array![[1.0_f32, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    let ids = graph.constant(array![[2_i32, 0], [2, 2]]);
    let [gradient] = gradients(w.gather(ids).square().sum() + w.gather(graph.constant([1_i64])).sum(), [w]);
    let slices = IndexedSlices::of(gradient).unwrap();
    assert_eq!(slices.values().shape(), shape![5, 2]);
    assert_eq!((slices.indices().shape(), slices.indices().dtype()), (shape![5], DType::I64));
    assert!(IndexedSlices::of(-gradient).is_some() && IndexedSlices::of(gradient.cast(DType::F64)).is_some());
    for other in [gradient * 0.5, gradient + gradient, w.value(), gradient.square()] {
        assert!(IndexedSlices::of(other).is_none());
    }
    // A gradient of what is computed of a gather's operand, or along another axis, is not of rows.
    let others =
        [(w * 2.0).gather(ids).sum(), w.gather_axis(graph.constant([1_i32]), 1).sum(), w.gather(ids).sum() + w.sum()];
    assert!(others.iter().all(|y| IndexedSlices::of(gradients(*y, [w])[0]).is_none()));
    let by_hand = IndexedSlices::new(graph.constant(array![[1.0_f32, 1.0]]), graph.constant([1_i32]), w).dense();
    let norms = [clip_by_norm(gradient, 1.0), by_hand, -gradient];
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    let shown = |tensor: Tensor| matrix(&session.run(tensor, feeds![]).unwrap());
    assert_eq!(shown(gradient), array![[2.0, 4.0], [1.0, 1.0], [30.0, 36.0]]);
    assert_eq!(shown(norms[1]), array![[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]);
    assert_eq!(shown(norms[2]), -shown(gradient));
    // √(3 · (10² + 12²) + 2² + 4² + 2): three rows of one index count as three.
    let clipped = shown(norms[0]);
    assert!((clipped[[2, 0]] - 30.0 / 754.0_f32.sqrt()).abs() < 1e-6, "{clipped}");
    let rows = session.run(slices.indices(), feeds![]).unwrap();
    assert_eq!(rows, Value::from(array![2_i64, 0, 2, 2, 1]));
}

/// As TensorFlow's: from the side that is taken the rows, from the other all rows, which are 0.
#[test]
fn a_gather_within_a_choice_has_slices_for_its_gradient() {
    let graph = Graph::new();
    let w = graph.variable(Array2::<f32>::ones((4, 2)));
    let taken = graph.placeholder(DType::Bool, shape![]);
    let ids = graph.placeholder(DType::I32, shape![?]);
    let loss = graph.cond(taken, || (w.gather(ids) * 2.0).sum(), || graph.constant(3.0_f32));
    let momentum = Momentum::new(0.1, 0.9);
    let pairs = momentum.compute_gradients(loss, &[w]);
    let slices = IndexedSlices::of(pairs[0].0.unwrap()).unwrap();
    let train = momentum.apply_gradients(&pairs, None);
    let kept = momentum.slot(w, "momentum").unwrap();
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    let nothing = ndarray::Array1::<i32>::zeros(0);
    let wanted = [
        (true, array![1, 1, 3], [1.0, 0.6, 1.0, 0.8], [0.0, 4.0, 0.0, 2.0]),
        (false, array![0], [1.0, 0.24, 1.0, 0.62], [0.0, 3.6, 0.0, 1.8]),
        (true, array![0], [0.8, 0.24, 1.0, 0.62], [2.0, 3.6, 0.0, 1.8]),
        (true, nothing, [0.8, 0.24, 1.0, 0.62], [2.0, 3.6, 0.0, 1.8]),
    ];
    for (side, rows, after, sums) in wanted {
        let found = session.run(slices.indices(), feeds![taken => side, ids => &rows]).unwrap();
        assert_eq!(found, Value::from(if side { rows.clone() } else { array![0, 1, 2, 3] }));
        session.run(train, feeds![taken => side, ids => &rows]).unwrap();
        let shown = session.run([w, kept], feeds![]).unwrap().map(|v| matrix(&v));
        for (shown, wanted) in shown.iter().zip([after, sums]) {
            assert!(shown.rows().into_iter().zip(wanted).all(|(row, w)| row.iter().all(|x| (x - w).abs() < 1e-6)));
        }
    }
}

#[test]
fn each_of_several_matrices_has_slices_of_its_own_rows() {
    let graph = Graph::new();
    let matrices = [3, 2].map(|rows| graph.variable(Array2::<f32>::ones((rows, 2))));
    let ids = graph.placeholder(DType::I32, shape![?, ?]);
    let found = graph.embedding_lookup(&matrices, ids, dormouse::graph::Partition::Mod);
    assert_eq!(found.shape(), shape![?, ?, 2]);
    let slices = gradients((found * 2.0).sum(), matrices).map(|g| IndexedSlices::of(g).unwrap());
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    let rows = session.run(slices.map(IndexedSlices::indices), feeds![ids => array![[0, 4, 4]]]).unwrap();
    assert_eq!(rows, [Value::from(array![0, 2, 2]), Value::from(ndarray::Array1::<i32>::zeros(0))]);
    let values = session.run(slices.map(IndexedSlices::values), feeds![ids => array![[0, 4, 4]]]).unwrap();
    assert_eq!(matrix(&values[0]), Array2::from_elem((3, 2), 2.0));
    assert!(session.run(found, feeds![ids => array![[5]]]).is_err());
}

/// What is summed and written are rows: no step of a run is as large as the array, but the variables themselves.
#[test]
fn steps_are_as_large_as_the_rows_that_are_taken() {
    for optimizer in optimizers().into_iter().filter(|o| o.name() != "Adam") {
        let graph = Graph::new();
        let w = graph.variable(Array2::<f32>::ones((20_000, 8)));
        let ids = graph.placeholder(DType::I32, shape![?]);
        let train = optimizer.minimize(w.gather(ids).square().sum());
        let init = graph.initializer();
        let session = Session::new(&graph).unwrap();
        session.run(init, feeds![]).unwrap();
        let memory = session.memory(train, feeds![ids => array![5, 7, 5]]).unwrap();
        assert!(memory.arena < 20_000 && memory.second == 0, "{}: {memory:?}", optimizer.name());
        session.run(train, feeds![ids => array![5, 7, 5]]).unwrap();
    }
}
