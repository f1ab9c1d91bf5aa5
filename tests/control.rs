//! Choices, and shapes that depend on numbers: what only one side needs, and what is planned in stages.

#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse::prelude::*;
use ndarray::{ArrayD, array};

fn floats(value: Value) -> ArrayD<f64> {
    value.try_into().unwrap()
}

fn whole(value: Value) -> ArrayD<i64> {
    value.try_into().unwrap()
}

#[test]
fn a_side_is_chosen_by_a_fed_predicate() {
    let graph = Graph::new();
    let p = graph.placeholder(DType::Bool, shape![]);
    let x = graph.placeholder(DType::F64, shape![?]);
    let y = graph.cond(p, || x.square(), || x.sum().reshape([1]));
    let session = Session::new(&graph).unwrap();
    for _ in 0..3 {
        let taken = session.run(y, feeds![p => true, x => [1.0, 2.0, 3.0]]).unwrap();
        assert_eq!(floats(taken), array![1.0, 4.0, 9.0].into_dyn());
        let other = session.run(y, feeds![p => false, x => [1.0, 2.0, 3.0]]).unwrap();
        assert_eq!(floats(other), array![6.0].into_dyn());
    }
}

#[test]
fn only_the_side_that_is_taken_runs() {
    let graph = Graph::new();
    let x = graph.constant([1.0, 2.0, 3.0]);
    let at = graph.placeholder(DType::I32, shape![]);
    let wanted = graph.placeholder(DType::F64, shape![]).named("wanted");
    // The index is outside where this side is not to be taken, and nobody feeds `wanted` but for the other.
    let y = graph.cond(at.less(3), || x.gather(at), || wanted * 1.0);
    let w = graph.variable(graph.constant(0.0));
    let z = graph.cond(at.less(3), || w.assign_add(1.0), || w.assign_sub(10.0));
    let initializer = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(initializer, ()).unwrap();
    assert_eq!(session.run(y, feeds![at => 1]).unwrap().scalar::<f64>().unwrap(), 2.0);
    assert_eq!(session.run(y, feeds![at => 7, wanted => 5.0]).unwrap().scalar::<f64>().unwrap(), 5.0);
    let told = session.run(y, feeds![at => 7]).unwrap_err().to_string();
    assert!(told.contains("\"wanted\""), "{told}");
    for (at_value, expected) in [(0, 1.0), (1, 2.0), (5, -8.0)] {
        session.run(z, feeds![at => at_value]).unwrap();
        let now = session.run(w, ()).unwrap();
        assert_eq!(now.scalar::<f64>().unwrap(), expected);
    }
}

#[test]
fn choices_nest_and_depend_on_each_other() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F64, shape![]);
    let sign = graph.cond(
        x.greater(0.0),
        || graph.cond(x.greater(10.0), || graph.constant(2.0), || graph.constant(1.0)),
        || graph.cond(x.less(0.0), || graph.constant(-1.0), || graph.constant(0.0)),
    );
    let [a, b] = graph.cond(sign.greater(0.5), || [sign, x], || [x, sign * 3.0]);
    let named = graph.case(
        [(x.less(-5.0), -5.0), (x.less(0.0), 0.0), (x.less(5.0), 5.0)].map(|(p, v)| (p, move || x.graph().constant(v))),
        || x.identity(),
    );
    let session = Session::new(&graph).unwrap();
    for (fed, expected) in [
        (20.0, [2.0, 2.0, 20.0, 20.0]),
        (3.0, [1.0, 1.0, 3.0, 5.0]),
        (-2.0, [-1.0, -2.0, -3.0, 0.0]),
        (0.0, [0.0, 0.0, 0.0, 5.0]),
        (-9.0, [-1.0, -9.0, -3.0, -5.0]),
    ] {
        let found = session.run([sign, a, b, named], feeds![x => fed]).unwrap();
        assert_eq!(found.map(|v| v.scalar::<f64>().unwrap()), expected, "{fed}");
    }
}

#[test]
fn gradients_are_of_the_side_that_is_taken() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F64, shape![?]);
    let w = graph.variable(graph.constant(3.0));
    // The logarithm of what is negative would be NaN, and so would 0 times it.
    let y = graph.cond(x.sum().greater(0.0), || (x.log() * w).sum(), || (x.square() * w).sum());
    let [dx, dw] = gradients(y * 2.0, [x.into(), dormouse::gradient::Source::Variable(w)]);
    let [second] = gradients(dx.square(), [x]);
    let initializer = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(initializer, ()).unwrap();
    let (a, b, c) = session.run((dx, dw, second), feeds![x => [1.0, 2.0]]).unwrap();
    assert_eq!(floats(a), array![6.0, 3.0].into_dyn());
    assert!((b.scalar::<f64>().unwrap() - 2.0 * 2.0_f64.ln()).abs() < 1e-15);
    assert_eq!(floats(c), array![-72.0, -9.0].into_dyn());
    let (a, b, c) = session.run((dx, dw, second), feeds![x => [-1.0, -2.0]]).unwrap();
    assert_eq!(floats(a), array![-12.0, -24.0].into_dyn());
    assert_eq!(b.scalar::<f64>().unwrap(), 10.0);
    assert_eq!(floats(c), array![-288.0, -576.0].into_dyn());
}

#[test]
fn draws_and_writes_happen_once_in_a_run_of_stages() {
    let build = |seeded: &Graph| {
        let noise = seeded.random(&[4], Uniform::new(0.0, 1.0).seed(7));
        let w = seeded.variable(seeded.constant([0.0_f32; 4]));
        let added = w.assign_add(noise);
        let kept = seeded.control_dependencies(added, || w.value().boolean_mask(noise.less(0.5)));
        (noise, added, kept, seeded.initializer())
    };
    let graph = Graph::new();
    let (noise, added, kept, initializer) = build(&graph);
    let session = Session::new(&graph).unwrap();
    session.run(initializer, ()).unwrap();
    let mut total = [0.0_f32; 4];
    for _ in 0..5 {
        let (drawn, now, few) = session.run((noise, added, kept), ()).unwrap();
        let drawn = drawn.to_vec::<f32>().unwrap();
        total.iter_mut().zip(&drawn).for_each(|(t, d)| *t += d);
        assert_eq!(now.to_vec::<f32>().unwrap(), total);
        let expected: Vec<f32> = drawn.iter().zip(total).filter(|(d, _)| **d < 0.5).map(|(_, t)| t).collect();
        assert_eq!(few.to_vec::<f32>().unwrap(), expected);
    }
    // The same numbers as a run that is planned in one go.
    let plain = Graph::new();
    let (noise, ..) = build(&plain);
    let session = Session::new(&plain).unwrap();
    let mut sum = [0.0_f32; 4];
    for _ in 0..5 {
        let drawn = session.run(noise, ()).unwrap().to_vec::<f32>().unwrap();
        sum.iter_mut().zip(&drawn).for_each(|(t, d)| *t += d);
    }
    assert_eq!(sum, total);
}

#[test]
fn a_later_stage_that_fails_changes_nothing_and_draws_nothing() {
    let graph = Graph::new();
    let noise = graph.random(&[2], Uniform::new(0.0, 1.0).seed(3));
    let w = graph.variable(graph.constant([0.0_f32; 2]));
    let at = graph.placeholder(DType::I64, shape![]);
    let added = w.assign_add(noise);
    let fails = graph.control_dependencies(added, || w.value().boolean_mask(noise.greater(-1.0)).gather(at));
    let initializer = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(initializer, ()).unwrap();
    let (first, _) = session.run((noise, fails), feeds![at => 0]).unwrap();
    session.run((noise, fails), feeds![at => 9]).unwrap_err();
    assert_eq!(session.run(w, ()).unwrap().to_vec::<f32>().unwrap(), first.to_vec::<f32>().unwrap());
    let second = session.run(noise, ()).unwrap();
    let again = Session::new(&graph).unwrap();
    again.run(noise, ()).unwrap();
    assert_eq!(again.run(noise, ()).unwrap(), second);
}

#[test]
fn elements_are_found_and_told_apart() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F64, shape![2, ?]);
    let found = x.nonzero();
    assert_eq!(found.shape(), shape![?, 2]);
    let masked = x.boolean_mask(x.greater(1.0));
    let rows = x.boolean_mask(graph.constant([true, false]));
    let v = graph.placeholder(DType::I32, shape![?]);
    let [distinct, places, counts] = v.unique_with_counts();
    let [left, at] = v.difference(graph.constant([3, 9]));
    let session = Session::new(&graph).unwrap();
    let fed = || feeds![x => [[0.0, 2.0, f64::NAN], [-0.0, 0.5, 3.0]]];
    assert_eq!(whole(session.run(found, fed()).unwrap()), array![[0, 1], [0, 2], [1, 1], [1, 2]].into_dyn());
    assert_eq!(floats(session.run(masked, fed()).unwrap()), array![2.0, 3.0].into_dyn());
    assert_eq!(session.run(rows, fed()).unwrap().shape(), [1, 3]);
    let fed = || feeds![v => [3, 5, 3, 3, -1, 5]];
    let values = |t: Tensor| session.run(t, fed()).unwrap().to_vec::<i32>().unwrap();
    assert_eq!(values(distinct), [3, 5, -1]);
    assert_eq!(values(places), [0, 1, 0, 0, 2, 1]);
    assert_eq!(values(counts), [3, 2, 1]);
    assert_eq!(values(left), [5, -1, 5]);
    assert_eq!(values(at), [1, 4, 5]);
    let empty = session.run([found, masked], feeds![x => ndarray::Array2::<f64>::zeros((2, 0))]).unwrap();
    assert_eq!(empty.map(|v| v.shape().to_vec()), [vec![0, 2], vec![0]]);
}

#[test]
fn masked_gradients_go_where_the_elements_were() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F64, shape![?]);
    let y = x.boolean_mask(x.greater(0.0)).square().sum();
    let [dx] = gradients(y, [x]);
    let [ddx] = gradients(dx.square(), [x]);
    let session = Session::new(&graph).unwrap();
    let (first, second) = session.run((dx, ddx), feeds![x => [1.0, -2.0, 3.0]]).unwrap();
    assert_eq!(floats(first), array![2.0, 0.0, 6.0].into_dyn());
    assert_eq!(floats(second), array![8.0, 0.0, 24.0].into_dyn());
}

#[test]
fn extents_may_be_computed() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F64, shape![?, 6]);
    let rows = x.shape_of().at(0);
    let y = x.reshape_to(graph.stack(&[rows, graph.constant(2), graph.constant(-1)], 0));
    assert_eq!(y.shape(), shape![?, 2, ?]);
    let constant = x.reshape_to(graph.constant([-1, 3]));
    assert_eq!(constant.shape(), shape![?, 3]);
    let fed = graph.placeholder(DType::I64, shape![2]);
    let free = x.reshape_to(fed);
    let [dx] = gradients((free * free).sum() + y.sum(), [x]);
    let tiled = x.tile_by(fed);
    let [dt] = gradients(tiled, [x]);
    let cut = x.slice_at(fed - 1, fed);
    let [dc] = gradients(cut.square(), [x]);
    let filled = graph.fill_to(fed, graph.constant(7.0));
    let session = Session::new(&graph).unwrap();
    let image = ndarray::Array2::from_shape_fn((2, 6), |(i, j)| (6 * i + j) as f64);
    let run = |t: Tensor, extents: [i64; 2]| session.run(t, feeds![x => &image, fed => extents]);
    assert_eq!(run(y, [1, 1]).unwrap().shape(), [2, 2, 3]);
    assert_eq!(run(free, [3, 4]).unwrap().shape(), [3, 4]);
    assert_eq!(run(free, [-1, 2]).unwrap().shape(), [6, 2]);
    assert_eq!(floats(run(dx, [4, -1]).unwrap()), (&image * 2.0 + 1.0).into_dyn());
    let told = run(free, [5, 5]).unwrap_err().to_string();
    assert!(told.contains("reshape") && told.contains("tests/control.rs"), "{told}");
    assert_eq!(run(tiled, [2, 3]).unwrap().shape(), [4, 18]);
    assert_eq!(floats(run(dt, [2, 3]).unwrap()), (&image * 0.0 + 6.0).into_dyn());
    assert_eq!(floats(run(cut, [1, 2]).unwrap()), array![[1.0, 2.0]].into_dyn());
    assert_eq!(floats(run(dc, [1, 2]).unwrap()).sum(), 6.0);
    assert_eq!(floats(run(filled, [1, 2]).unwrap()), array![[7.0, 7.0]].into_dyn());
}

#[test]
fn shapes_that_are_found_out_late_are_checked() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F64, shape![..]).named("x");
    let extents = graph.placeholder(DType::I32, shape![..]);
    let ([distinct, _], reshaped) = (x.unique(), x.reshape_to(extents));
    let session = Session::new(&graph).unwrap();
    let told = session.run(distinct, feeds![x => [[1.0, 2.0]]]).unwrap_err().to_string();
    assert!(told.contains("unique: takes a vector, not [1, 2]") && told.contains("tests/control.rs:"), "{told}");
    let told = session.run(reshaped, feeds![x => [1.0, 2.0], extents => [[2, 1]]]).unwrap_err().to_string();
    assert!(told.contains("reshape_to: extents are a vector, not [1, 2]"), "{told}");
    let text = session.explain(distinct, feeds![x => [1.0, 2.0]]).unwrap();
    assert!(text.contains("this is a stage"), "{text}");
}

#[test]
fn ranges_may_be_computed() {
    let graph = Graph::new();
    let n = graph.placeholder(DType::I32, shape![]);
    let r = graph.range_of(graph.constant(1), n, graph.constant(3));
    let f = graph.range_of(graph.constant(0.0_f32), n.cast(DType::F32), graph.constant(0.3_f32));
    let session = Session::new(&graph).unwrap();
    assert_eq!(session.run(r, feeds![n => 11]).unwrap().to_vec::<i32>().unwrap(), [1, 4, 7, 10]);
    assert_eq!(session.run(r, feeds![n => 1]).unwrap().len(), 0);
    let told = session.run(r, feeds![n => -4]).unwrap_err().to_string();
    assert!(told.contains("leads away"), "{told}");
    assert_eq!(session.run(f, feeds![n => 1]).unwrap().to_vec::<f32>().unwrap(), [0.0, 0.3, 0.6, 0.900_000_04]);
}

#[test]
fn parts_are_taken_apart_and_put_together() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F64, shape![?, 2]);
    let which = graph.placeholder(DType::I32, shape![?]);
    let parts = x.dynamic_partition(which, 2);
    let places = which.index_along(0, DType::I32).dynamic_partition(which, 2);
    let whole = graph.dynamic_stitch(&places, &parts);
    let session = Session::new(&graph).unwrap();
    let fed = || feeds![x => [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], which => [1, 0, 1]];
    let (first, second, whole) = session.run((parts[0], parts[1], whole), fed()).unwrap();
    assert_eq!(floats(first), array![[3.0, 4.0]].into_dyn());
    assert_eq!(floats(second), array![[1.0, 2.0], [5.0, 6.0]].into_dyn());
    assert_eq!(floats(whole), array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]].into_dyn());
}

#[test]
fn files_keep_choices_and_their_branches() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F64, shape![]).named("x");
    let _ = graph.cond(x.greater(0.0), || x.log(), || x.square()).named("y");
    let _ = x.reshape([1]).boolean_mask(x.reshape([1]).greater(0.0)).named("z");
    let bytes = dormouse::io::encode_graph(&graph).unwrap();
    let loaded = dormouse::io::decode_graph(&bytes).unwrap();
    let (x, y, z) = (loaded.tensor("x").unwrap(), loaded.tensor("y").unwrap(), loaded.tensor("z"));
    let [dx] = gradients(y, [x]);
    let session = Session::new(&loaded).unwrap();
    assert_eq!(session.run(dx, feeds![x => 4.0]).unwrap().scalar::<f64>().unwrap(), 0.25);
    assert_eq!(session.run(dx, feeds![x => -4.0]).unwrap().scalar::<f64>().unwrap(), -8.0);
    assert_eq!(session.run(z.unwrap(), feeds![x => -4.0]).unwrap().len(), 0);
    assert!(dormouse::io::encode_graph(&loaded).is_ok());
}

#[test]
fn mistakes_name_what_sides_do_not_share() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F64, shape![]);
    let _ = graph.cond(x, || x, || x);
    let _ = graph.cond(x.greater(0.0), || x, || x.cast(DType::F32));
    let _ = graph.cond(x.greater(0.0), || vec![x, x], || vec![x]);
    let _ = x.unique();
    let _ = x.reshape_to(x);
    let told = graph.check().unwrap_err().to_string();
    for part in [
        "cond: the predicate is boolean, not f64",
        "cond: tensor 0 is f64 on one side, f32 on the other",
        "cond: the sides give different numbers of tensors",
        "unique: takes a vector, not []",
        "reshape_to: extents are i32 or i64, not f64",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    assert_eq!(told.matches("tests/control.rs:").count(), 5, "{told}");
}
