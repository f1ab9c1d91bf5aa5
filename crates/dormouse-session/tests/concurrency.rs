//! Many runs of one session at a time: no update is lost, no run sees half of another, and a failed run leaves nothing.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use dormouse_graph::{Array, Elementwise, Graph, Linalg, Normal, Reduction};
use dormouse_session::{Session, SessionOptions, feeds};
use dormouse_value::{DType, Value, shape};

fn numbers(value: &Value) -> Vec<f32> {
    value.to_vec().unwrap()
}

#[test]
fn no_update_is_lost_and_readers_see_whole_runs() {
    let graph = Graph::new();
    let a = graph.variable(graph.zeros(&[1000])).named("a");
    let b = graph.variable(graph.zeros(&[1000])).named("b");
    let delta = graph.placeholder(DType::F32, shape![]);
    let add = (a.assign_add(delta + graph.zeros(&[1000])), b.assign_sub(delta + graph.zeros(&[1000])));
    let sum = a + b;
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, ()).unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..200 {
                        session.run((add.0.operation(), add.1.operation()), feeds![delta => 1.0]).unwrap();
                    }
                })
            })
            .collect();
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut last = 0.0;
                    while !over.load(Ordering::Relaxed) {
                        let (sum, a) = session.run((sum, a), ()).unwrap();
                        assert!(numbers(&sum).iter().all(|x| *x == 0.0));
                        let a = numbers(&a);
                        assert!(a.iter().all(|x| *x == a[0]) && a[0] >= last);
                        last = a[0];
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|w| w.join().unwrap());
        over.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|r| r.join().unwrap());
    });
    assert_eq!(numbers(&session.run(a, ()).unwrap())[0], 600.0);
}

#[test]
fn shared_plans_run_at_one_time_on_helpers_too() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![200, 200]);
    let w = graph.variable(graph.random(&[200, 200], Normal::new(0.1).seed(1)));
    let y = (0..6).fold(x, |y, _| y.matmul(w).tanh());
    let init = graph.initializer();
    let session =
        Session::with_options(&graph, SessionOptions { threads: Some(3), ..SessionOptions::default() }).unwrap();
    session.run(init, ()).unwrap();
    let feed = |k: usize| Value::from_elements(&[200, 200], vec![k as f32 * 0.01; 40_000]).unwrap();
    let expected: Vec<Value> = (0..4).map(|k| session.run(y, feeds![x => &feed(k)]).unwrap()).collect();
    thread::scope(|scope| {
        for k in 0..4 {
            let (session, expected) = (&session, &expected[k]);
            scope.spawn(move || {
                for _ in 0..50 {
                    assert_eq!(session.run(y, feeds![x => &feed(k)]).unwrap(), *expected);
                }
            });
        }
    });
}

#[test]
fn a_failed_run_changes_nothing_and_the_first_of_several_failures_is_told() {
    let graph = Graph::new();
    let w = graph.variable(graph.zeros(&[400, 400])).named("w");
    let table = graph.variable(graph.ones(&[4, 8]));
    let index = graph.placeholder(DType::I32, shape![?]);
    let big = graph.random(&[400, 400], Normal::new(1.0).seed(2));
    let update = w.assign_add(big.matmul(big));
    let first = table.gather(index).named("first");
    let second = (table * 2.0).gather(index).named("second");
    let (init, draw) = (graph.initializer(), big.sum());
    for threads in [1, 2, 5] {
        let options = SessionOptions { threads: Some(threads), ..SessionOptions::default() };
        let session = Session::with_options(&graph, options).unwrap();
        session.run(init, ()).unwrap();
        for _ in 0..20 {
            let asked = (second, update.operation(), first);
            let error = session.run(asked, feeds![index => [0, 9]]).unwrap_err();
            assert_eq!(error.name(), Some("first"), "{error}");
        }
        let snapshot = session.snapshot();
        assert!(numbers(&snapshot.variables["w"]).iter().all(|x| *x == 0.0));
        assert!(snapshot.counters.values().all(|c| *c == 0), "{:?}", snapshot.counters);
        session.run((second, update.operation(), first), feeds![index => [0, 3]]).unwrap();
        session.run(draw, ()).unwrap();
        assert!(numbers(&session.snapshot().variables["w"]).iter().any(|x| *x != 0.0));
    }
}

#[test]
fn a_session_takes_in_what_was_built_since() {
    let graph = Graph::new();
    let w = graph.variable([1.0_f32, 2.0]).named("w");
    let init = graph.initializer();
    let mut session = Session::new(&graph).unwrap();
    session.run(init, ()).unwrap();
    let step = session.prepare(w, ()).unwrap();
    let doubled = w * 2.0;
    let more = graph.variable([5.0_f32]).named("more");
    let error = session.run(doubled, ()).unwrap_err().to_string();
    assert!(error.contains("after the session was made"), "{error}");
    session.extend(&graph).unwrap();
    assert_eq!(numbers(&session.run(doubled, ()).unwrap()), [2.0, 4.0]);
    assert!(session.run(more, ()).unwrap_err().is_uninitialized());
    session.run(more.initializer(), ()).unwrap();
    session.run(w.assign(7.0 * w).operation(), ()).unwrap_err();
    assert_eq!(numbers(&session.run(more, ()).unwrap()), [5.0]);
    assert_eq!(numbers(&step.run(()).unwrap()), [1.0, 2.0]);
    let other = Graph::new();
    assert!(session.extend(&other).unwrap_err().to_string().contains("not by another"));
}

#[test]
fn many_plans_come_and_go() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?]);
    let y = (x * 2.0).sum();
    let session = Session::new(&graph).unwrap();
    for round in 0..2 {
        for n in 1..200 {
            let value = session.run(y, feeds![x => vec![1.0_f32; n]]).unwrap();
            assert_eq!(value.scalar::<f32>().unwrap(), 2.0 * n as f32, "round {round}");
        }
    }
}
