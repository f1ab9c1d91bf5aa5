//! What sessions promise: values, variables, order, errors.

#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse_graph::{Array, Elementwise, Graph, Linalg, Normal, Reduction, Zeros};
use dormouse_session::{Peak, Session, feeds, operation};
use dormouse_value::{DType, Value, shape};
use ndarray::{Array2, array};

fn scalar(value: &Value) -> f32 {
    value.scalar().unwrap()
}

#[test]
fn the_forward_pass_of_chapter_3_2() {
    let graph = Graph::new();
    let w1 = graph.variable(graph.random(&[2, 3], Normal::new(1.0).seed(1))).named("w1");
    let w2 = graph.variable(graph.random(&[3, 1], Normal::new(1.0).seed(1))).named("w2");
    let x = graph.placeholder(DType::F32, shape![?, 2]);
    let y = x.matmul(w1).matmul(w2);
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    assert!(session.run(y, feeds![x => [[0.7_f32, 0.9]]]).unwrap_err().is_uninitialized());
    session.run(init, feeds![]).unwrap();
    let batch = array![[0.7_f32, 0.9], [0.1, 0.4], [0.5, 0.8]];
    let values = session.run(y, feeds![x => &batch]).unwrap().to_vec::<f32>().unwrap();
    for (value, expected) in values.iter().zip([3.957_578_f32, 1.153_765_4, 3.167_492_4]) {
        assert!((value - expected).abs() < 1e-6, "{values:?}");
    }
    let w = session.run(w1, feeds![]).unwrap().to_vec::<f32>().unwrap();
    assert_eq!(w, [-0.811_318_2, 1.484_598_8, 0.065_329_37, -2.442_704_2, 0.099_248_4, 0.591_224_3]);
}

#[test]
fn seeded_draws_go_on_from_run_to_run_and_start_again_with_a_session() {
    let graph = Graph::new();
    let x = graph.random(&[4], Normal::new(1.0).seed(7));
    let draw = |session: &Session| session.run(x, ()).unwrap().to_vec::<f32>().unwrap();
    let first = Session::new(&graph).unwrap();
    let (a, b) = (draw(&first), draw(&first));
    assert_ne!(a, b);
    let second = Session::new(&graph).unwrap();
    assert_eq!((draw(&second), draw(&second)), (a, b));
}

#[test]
fn reads_see_the_value_from_before_the_run_unless_ordered_after_a_write() {
    let graph = Graph::new();
    let w = graph.variable(1.0_f32).named("w");
    let add = w.assign_add(10.0);
    let after = graph.control_dependencies(add, || w.value());
    let again = graph.control_dependencies(after, || w.assign_sub(1.0));
    let doubled = w * 2.0;
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    let [before, added, read] = session.run([w.before_run(), add, after], feeds![]).unwrap();
    assert_eq!([scalar(&before), scalar(&added), scalar(&read)], [1.0, 11.0, 11.0]);
    let (twice, ()) = session.run((again, add.operation()), feeds![]).unwrap();
    assert_eq!(scalar(&twice), 20.0);
    assert_eq!(scalar(&session.run(w, feeds![]).unwrap()), 20.0);
    assert_eq!(scalar(&session.run(doubled, feeds![w => 5.0]).unwrap()), 10.0);
}

#[test]
fn one_run_initializes_variables_that_start_from_others() {
    let graph = Graph::new();
    let a = graph.variable(graph.random(&[3], Normal::new(1.0))).named("a");
    let b = graph.variable(a * 2.0).named("b");
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    let [a, b] = session.run([a, b], feeds![]).unwrap();
    let doubled: Vec<f32> = a.to_vec::<f32>().unwrap().iter().map(|x| x * 2.0).collect();
    assert_eq!(doubled, b.to_vec::<f32>().unwrap());
}

#[test]
fn a_run_that_fails_changes_nothing() {
    let graph = Graph::new();
    let w = graph.variable(1.0_f32);
    let x = graph.placeholder(DType::F32, shape![]);
    let add = w.assign_add(1.0);
    let checked = graph.control_dependencies(add, || x.log().check_numerics("log"));
    let table = graph.constant(array![1.0_f32, 2.0]);
    let index = graph.placeholder(DType::I32, shape![]);
    let taken = table.gather(index);
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    let error = session.run((add, checked), feeds![x => -1.0]).unwrap_err();
    assert!(error.to_string().contains("CheckNumerics"), "{error}");
    assert!(error.source_line().unwrap().file.ends_with("session.rs"));
    assert!(session.run((add, taken), feeds![index => 2]).unwrap_err().to_string().contains("[0, 2)"));
    assert_eq!(scalar(&session.run(w, feeds![]).unwrap()), 1.0);
    session.run((add, checked, taken), feeds![x => 1.0, index => 1]).unwrap();
    assert_eq!(scalar(&session.run(w, feeds![]).unwrap()), 2.0);
}

#[test]
fn errors_name_the_thing() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, 2]).named("x");
    let y = (x * 2.0).named("y");
    let train = graph.group(y).named("train");
    let session = Session::new(&graph).unwrap();
    let data: Array2<f32> = array![[1.0, 2.0]];
    let told = |error: dormouse_session::Error| error.to_string();
    assert!(told(session.run(y, feeds![]).unwrap_err()).contains("placeholder \"x\""));
    assert!(
        told(session.run(y, feeds![x => array![[1.0_f64, 2.0]]]).unwrap_err()).contains("holds f32, the array f64")
    );
    assert!(told(session.run(y, feeds![x => [1.0_f32]]).unwrap_err()).contains("[?, 2]"));
    assert!(told(session.run("z", feeds![]).unwrap_err()).contains("\"z\""));
    assert!(told(session.run("y:1", feeds![]).unwrap_err()).contains("gives 1 tensors"));
    assert!(told(session.run(operation("z"), feeds![]).unwrap_err()).contains("\"z\""));
    assert!(told(session.run(y, feeds![x => &data, x => &data]).unwrap_err()).contains("twice"));
    let other = Graph::new();
    assert!(told(session.run(other.constant(1.0_f32), feeds![]).unwrap_err()).contains("another graph"));
    let late = y + 1.0;
    assert!(told(session.run(late, feeds![x => &data]).unwrap_err()).contains("after the session was made"));
    let step = session.prepare((y, train), [x]).unwrap();
    assert!(told(step.run(()).unwrap_err()).contains("takes 1 values, got 0"));
    let (value, ()) = step.run([&data]).unwrap();
    assert_eq!(value.to_vec::<f32>().unwrap(), [2.0, 4.0]);
    let bad = Graph::new();
    let a = bad.placeholder(DType::F32, [2, 3]);
    let line = line!() + 1;
    let _ = a.matmul(a).relu();
    let error = Session::new(&bad).unwrap_err();
    assert_eq!(error.mistakes().unwrap().as_slice().len(), 1);
    assert_eq!(error.source_line().unwrap().line, line);
}

#[test]
fn shapes_told_by_the_run_make_their_own_plans() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![..]);
    let flat = x.reshape([-1]);
    let mean = (x - x.mean()).square().mean();
    let rows = x.sum_over(-1).expand_dims(1);
    let session = Session::new(&graph).unwrap();
    for (n, m) in [(1, 1), (2, 3), (64, 5), (2, 3)] {
        let data = Array2::from_shape_fn((n, m), |(i, j)| (i * m + j) as f32);
        let [flat, mean, rows] = session.run([flat, mean, rows], feeds![x => &data]).unwrap();
        assert_eq!(flat.shape(), [n * m]);
        assert_eq!(rows.shape(), [n, 1]);
        let expected = data.mapv(|v| (v - data.mean().unwrap()).powi(2)).mean().unwrap();
        assert!((scalar(&mean) - expected).abs() <= 1e-5 * expected.max(1.0));
    }
}

#[test]
fn threads_share_a_session_without_losing_an_update() {
    let graph = Graph::new();
    let count = graph.get_variable("count", (), Zeros(DType::I64));
    let add = count.assign_add(1_i64);
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| (0..50).for_each(|_| drop(session.run(add, feeds![]).unwrap())));
        }
    });
    assert_eq!(session.run(count, feeds![]).unwrap().to_vec::<i64>().unwrap(), [200]);
}

#[test]
fn snapshots_put_variables_and_counters_back() {
    let graph = Graph::new();
    let w = graph.variable([1.0_f32, 2.0]).named("w");
    let step = w.assign_add(graph.random(&[2], Normal::new(1.0).seed(1)));
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    assert!(session.snapshot().variables.is_empty());
    session.run(init, ()).unwrap();
    session.run(step, ()).unwrap();
    let mut snapshot = session.snapshot();
    assert_eq!(snapshot.counters.values().copied().collect::<Vec<_>>(), [512]);
    let unbroken = session.run(step, ()).unwrap();
    let resumed = Session::new(&graph).unwrap();
    resumed.restore(&snapshot).unwrap();
    assert_eq!(resumed.run(step, ()).unwrap(), unbroken);
    // What does not fit changes nothing.
    let before = resumed.snapshot();
    snapshot.counters.insert("nobody".into(), 1);
    assert!(resumed.restore(&snapshot).unwrap_err().to_string().contains("nobody"));
    snapshot.variables.insert("w".into(), Value::from([1.0_f32]));
    let error = resumed.restore(&snapshot).unwrap_err();
    assert_eq!(error.to_string(), "variable w is f32[2], the value f32[1]");
    assert_eq!(resumed.snapshot(), before);
}

#[test]
fn explanations_show_every_pass_and_the_plan() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?]).named("x");
    let w = graph.variable(2.0_f32).named("w");
    let update = w.assign_add((x * w).relu().sum());
    let session = Session::new(&graph).unwrap();
    let text = session.explain(update, feeds![x => [1.0_f32, 2.0]]).unwrap();
    for part in ["program\n", "after fuse\n", "loop[", "w ← ", "plan: ", "µs"] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(session.explain(update, ()).unwrap_err().to_string().contains("needs a feed"));
}

#[test]
fn traces_say_what_every_step_took() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, 300]).named("x");
    let w = graph.variable(graph.random(&[300, 200], Normal::new(1.0).seed(1))).named("w");
    let y = x.matmul(w).named("product").tanh().sum();
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    let batch = Array2::from_elem((100, 300), 0.01_f32);
    let plain = session.run(y, feeds![x => &batch]).unwrap();
    let (value, trace) = session.trace(y, feeds![x => &batch]).unwrap();
    assert_eq!(value, plain);
    let product = trace.steps().iter().find(|s| s.name == "product").unwrap();
    assert_eq!(product.flops, 2.0 * 100.0 * 300.0 * 200.0);
    assert!(product.source.contains("session.rs"), "{product:?}");
    assert!(product.busy > std::time::Duration::ZERO && product.start <= product.end && product.end <= trace.elapsed());
    let table = trace.table(Some(&Peak::measure().unwrap()));
    assert!(table.contains("product") && table.contains('%'), "{table}");
    let json = trace.to_chrome_json();
    assert!(json.starts_with("{\"traceEvents\":[") && json.contains("\"name\":\"product\""), "{json}");
    // A prepared step tells the same; a run that fails tells nothing and leaves nothing behind.
    let (again, trace) = session.prepare(y, x).unwrap().trace(Value::from(batch.clone())).unwrap();
    assert_eq!((again, trace.steps().len()), (plain.clone(), 2));
    session.trace(y, feeds![x => array![[1.0_f32]]]).unwrap_err();
    assert_eq!(session.run(y, feeds![x => &batch]).unwrap(), plain);
}

#[test]
fn results_are_written_where_they_fit() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?]);
    let count = graph.variable(0_i64);
    let next = count.assign_add(1_i64);
    let twice = x * 2.0;
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, ()).unwrap();
    let step = session.prepare((twice, next.operation(), next), [x]).unwrap();
    let kept = Value::from([7.0_f32, 7.0]);
    let mut results = [kept.clone(), Value::from(0.0_f32)];
    let numbers = |v: &Value| v.to_vec::<f32>().unwrap();
    for (run, feed) in [vec![1.0, 2.0], vec![3.0, 4.0], vec![5.0], vec![6.0], vec![8.0, 9.0]].into_iter().enumerate() {
        let place = results[0].as_mut_ptr();
        let same = run > 0 && results[0].len() == feed.len();
        step.run_into([&Value::from(feed.clone())], &mut results).unwrap();
        assert_eq!(numbers(&results[0]), feed.iter().map(|x| x * 2.0).collect::<Vec<_>>());
        assert_eq!(results[1].scalar::<i64>().unwrap(), run as i64 + 1);
        assert!(!same || results[0].as_mut_ptr() == place, "run {run}");
    }
    // What others share stays theirs, be it the feed.
    assert_eq!(numbers(&kept), [7.0, 7.0]);
    let feed = results[0].clone();
    step.run_into([&feed], &mut results).unwrap();
    assert_eq!((numbers(&feed), numbers(&results[0])), (vec![16.0, 18.0], vec![32.0, 36.0]));
    let error = step.run_into([&feed], &mut results[..1]).unwrap_err();
    assert_eq!(error.to_string(), "a prepared step gives 2 tensors, not 1");
    assert!(step.run_into((), &mut results).unwrap_err().to_string().contains("takes 1 values, got 0"));
}

#[test]
fn a_prepared_step_makes_a_plan_for_each_shape() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![..]);
    let y = graph.placeholder(DType::F32, shape![]);
    let product = x.sum() * y;
    let session = Session::new(&graph).unwrap();
    let step = session.prepare(product, (x, y)).unwrap();
    for n in [3, 3, 5, 3, 0, 5] {
        let data = Array2::from_shape_fn((n, 2), |(i, j)| (i + j) as f32);
        let expected = data.sum() * 2.0;
        assert_eq!(scalar(&step.run((&data, 2.0)).unwrap()), expected);
        assert_eq!(scalar(&step.run((data.t(), Value::from(2.0_f32))).unwrap()), expected);
        assert_eq!(scalar(&step.run((&data, Value::from(2.0_f32))).unwrap()), expected);
        assert!(step.run((&data.mapv(f64::from), 2.0)).unwrap_err().to_string().contains("holds f32"));
    }
}
