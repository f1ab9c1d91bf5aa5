//! Assertions, printing, and the hunt for numbers that are none.

#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse::graph::Print;
use dormouse::prelude::*;

/// What a run of an operation with x and y says.
fn told(build: impl Fn(Tensor, Tensor) -> Operation, x: [f64; 4], y: [f64; 4]) -> Option<String> {
    let graph = Graph::new();
    let (a, b) =
        (graph.placeholder(DType::F64, shape![4]).named("a"), graph.placeholder(DType::F64, shape![4]).named("b"));
    let check = build(a, b);
    let w = graph.variable(graph.constant(0.0));
    let added = graph.control_dependencies(check, || w.assign_add(1.0));
    let initializer = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(initializer, ()).unwrap();
    let outcome = session.run(added, feeds![a => x, b => y]).err().map(|e| e.to_string());
    let now = session.run(w, ()).unwrap().scalar::<f64>().unwrap();
    assert_eq!(now, if outcome.is_some() { 0.0 } else { 1.0 }, "{outcome:?}");
    outcome
}

#[test]
fn assertions_hold_or_fail_the_run() {
    type Check = fn(Tensor, Tensor) -> Operation;
    type Four = [f64; 4];
    let (low, high) = ([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]);
    let (negative, mixed) = ([-1.0, -2.0, -3.0, -4.0], [0.0, -1.0, 1.0, 0.0]);
    let cases: [(Check, Four, Four, Four, Four); 12] = [
        (|x, _| x.assert_positive(""), low, low, mixed, low),
        (|x, _| x.assert_negative(""), negative, low, mixed, low),
        (|x, _| x.assert_non_negative(""), low, low, mixed, low),
        (|x, _| x.assert_non_positive(""), negative, low, mixed, low),
        (|x, y| x.assert_equal(y, ""), low, low, low, mixed),
        (|x, y| x.assert_none_equal(y, ""), low, high, low, low),
        (|x, y| x.assert_less(y, ""), low, high, low, low),
        (|x, y| x.assert_less_equal(y, ""), low, low, high, low),
        (|x, y| x.assert_greater(y, ""), high, low, low, low),
        (|x, y| x.assert_greater_equal(y, ""), low, low, low, high),
        (|x, y| x.assert_near(y, 1e-3, 0.1, ""), low, [1.05, 2.0, 3.0, 4.0], low, [1.2, 2.0, 3.0, 4.0]),
        (|x, _| x.assert_all_finite("").operation(), low, low, [f64::NAN; 4], low),
    ];
    for (i, (check, x, y, bad_x, bad_y)) in cases.into_iter().enumerate() {
        assert_eq!(told(check, x, y), None, "{i}");
        let message = told(check, bad_x, bad_y).unwrap_or_else(|| panic!("{i} holds"));
        assert!(message.contains("tests/checks.rs:"), "{i}: {message}");
    }
}

#[test]
fn messages_show_what_it_is_about() {
    let check = |x: Tensor, y: Tensor| x.assert_less(y, "x has to stay below");
    let message = told(check, [5.0, 1.0, 2.0, 3.0], [2.0; 4]).unwrap();
    let expected = "assertion failed: x has to stay below: not so: x < y; with a:0 = [5 1 2...], b:0 = [2 2 2...]";
    assert!(message.contains(expected), "{message}");
    let plain = |x: Tensor, _: Tensor| x.graph().assert(x.max().less(3.0), &[x.max()], "too large");
    let message = told(plain, [5.0; 4], [0.0; 4]).unwrap();
    assert!(
        message.contains("assertion failed: too large; with max:0 = [5]") || message.contains("= [5]"),
        "{message}"
    );
}

#[test]
fn shapes_are_checked_when_they_are_known() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, 3]);
    let free = graph.placeholder(DType::F32, shape![..]).named("free");
    let checks = [
        x.assert_rank(2, ""),
        x.assert_rank_at_least(1, ""),
        x.assert_rank_in(&[0, 2], ""),
        x.assert_shape(shape![?, 3], ""),
        x.assert_type(DType::F32, ""),
        free.assert_rank(2, "as an image has"),
        free.assert_rank_at_least(1, ""),
        free.assert_rank_in(&[2, 4], ""),
        free.assert_shape(shape![2, ?], "two rows"),
    ];
    let all = graph.group(checks);
    let session = Session::new(&graph).unwrap();
    session.run(all, feeds![x => [[0.0_f32; 3]], free => [[0.0_f32], [0.0]]]).unwrap();
    let told = session.run(all, feeds![x => [[0.0_f32; 3]], free => [0.0_f32, 0.0]]).unwrap_err().to_string();
    assert!(told.contains("as an image has: not so: its rank is 2"), "{told}");
    let three = feeds![x => [[0.0_f32; 3]], free => [[0.0_f32], [0.0], [1.0]]];
    let told = session.run(all, three).unwrap_err().to_string();
    assert!(told.contains("two rows: not so: its shape is one that [2, ?] accepts; with"), "{told}");

    let wrong = Graph::new();
    let x = wrong.placeholder(DType::F32, shape![?, 3]).named("x");
    x.assert_rank(1, "rows");
    x.assert_scalar("");
    x.assert_integer("");
    x.assert_type(DType::I32, "");
    x.assert_shape(shape![4], "");
    let told = wrong.check().unwrap_err().to_string();
    for part in [
        "assertion failed: rows: not so for x:0: its rank is 1",
        "its rank is 0",
        "it is of whole numbers, not f32",
        "it is i32, not f32",
        "its shape, [?, 3], is one that [4] accepts",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
}

#[test]
fn printing_changes_nothing_and_is_kept_by_files() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F64, shape![?]).named("x");
    let y = x.print("x = ") * 2.0;
    let options = Print { first: Some(1), elements: 2, ..Print::new("x and y: ") };
    let z = y.print_with(options, &[x, y]).named("z");
    let [dx] = gradients(z, [x]);
    let _ = dx.named("dx");
    let loaded = dormouse::io::decode_graph(&dormouse::io::encode_graph(&graph).unwrap()).unwrap();
    for graph in [&graph, &loaded] {
        let session = Session::new(graph).unwrap();
        for _ in 0..2 {
            let (z, dx) = session.run(("z", "dx"), feeds!["x" => [1.0, 2.0, 3.0, 4.0]]).unwrap();
            assert_eq!(z.to_vec::<f64>().unwrap(), [2.0, 4.0, 6.0, 8.0]);
            assert_eq!(dx.to_vec::<f64>().unwrap(), [2.0; 4]);
        }
    }
}

#[test]
fn the_first_node_that_is_not_finite_is_named() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?]).named("x");
    let w = graph.variable(graph.constant([2.0_f32])).named("w");
    let safe = (x * w).named("safe");
    let first = safe.log().named("first");
    let second = (first + safe).exp().named("second");
    let checks = graph.add_check_numerics_ops();
    let initializer = graph.initializer();
    let options = SessionOptions { check_numerics: true, ..SessionOptions::default() };
    let watching = Session::with_options(&graph, options).unwrap();
    let plain = Session::new(&graph).unwrap();
    for session in [&watching, &plain] {
        session.run(initializer, ()).unwrap();
        session.run((second, checks), feeds![x => [1.0_f32, 2.0]]).unwrap();
    }
    let told = plain.run(checks, feeds![x => [1.0_f32, -2.0]]).unwrap_err().to_string();
    assert!(told.contains("first:0 (tests/checks.rs:"), "{told}");
    plain.run(second, feeds![x => [1.0_f32, -2.0]]).unwrap();
    let error = watching.run(second, feeds![x => [1.0_f32, -2.0]]).unwrap_err();
    assert_eq!(error.name(), Some("first"), "{error}");
    assert!(error.source_line().is_some_and(|s| s.to_string().starts_with("tests/checks.rs:")), "{error}");
    let error = watching.run(second, feeds![x => [f32::INFINITY]]).unwrap_err();
    assert_eq!(error.name(), Some("x"), "{error}");
    let error = watching.run(second, feeds![x => [1.0_f32], w => [f32::NAN]]).unwrap_err();
    assert_eq!(error.name(), Some("w"), "{error}");
}
