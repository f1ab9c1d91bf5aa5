//! What gradients can be told, and what is made of them, as numbers.

#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse::gradient::{Gradients, batch_jacobian, hessian_vector_product, hessians, jacobian, jvp};
use dormouse::prelude::*;
use ndarray::{ArrayD, array};

fn floats(value: Value) -> ArrayD<f64> {
    value.try_into().unwrap()
}

#[test]
fn several_results_are_summed_and_weighted() {
    let graph = Graph::new();
    let x = graph.constant([1.0, 2.0, 3.0]);
    let (y, z) = (x.square(), 2.0 * x);
    let [plain] = gradients([y, z], [x]);
    let (dy, dz) = (graph.constant([1.0, 10.0, 100.0]), graph.constant([0.5, 0.0, -1.0]));
    let [weighted] = Gradients::of([y, z]).upstream([dy, dz]).with_respect_to([x]);
    let [twice] = gradients([y, y], [x]);
    let session = Session::new(&graph).unwrap();
    let [plain, weighted, twice] = session.run([plain, weighted, twice], ()).unwrap();
    assert_eq!(floats(plain), array![4.0, 6.0, 8.0].into_dyn());
    assert_eq!(floats(weighted), array![3.0, 40.0, 598.0].into_dyn());
    assert_eq!(floats(twice), array![4.0, 8.0, 12.0].into_dyn());
}

#[test]
fn gradients_stop_where_they_are_told_to() {
    // As TensorFlow's documentation has it: a = 0 and b = 2a, so that a + b passes 3 to a, 1 where b is held.
    let graph = Graph::new();
    let a = graph.constant(1.0);
    let b = 2.0 * a;
    let [da, db] = gradients(a + b, [a, b]);
    let [held_a, held_b] = Gradients::of(a + b).stop_at([a, b]).with_respect_to([a, b]);
    let session = Session::new(&graph).unwrap();
    let found = session.run([da, db, held_a, held_b], ()).unwrap();
    assert_eq!(found.map(|g| g.scalar::<f64>().unwrap()), [3.0, 1.0, 1.0, 1.0]);
}

#[test]
fn what_is_not_connected_is_zero_or_none_where_asked() {
    let graph = Graph::new();
    let x = graph.constant([1.0, 2.0]);
    let w = graph.variable(graph.constant([[1.0]]));
    let y = x.exp();
    let [zeros] = Gradients::of(y).or_zeros([w]);
    assert_eq!(Gradients::of(y).or_none([w]), [None]);
    let beyond = Gradients::of(y).stop_at(y).or_none([x, y]);
    assert!(beyond[0].is_none() && beyond[1].is_some());
    let session = Session::new(&graph).unwrap();
    assert_eq!(floats(session.run(zeros, feeds![w => [[3.0]]]).unwrap()), array![[0.0]].into_dyn());
}

#[test]
fn mistakes_name_what_does_not_fit() {
    let graph = Graph::new();
    let x = graph.constant([1.0, 2.0]).named("x");
    let y = x.exp().named("y");
    let _ = Gradients::of(y).upstream(graph.constant([1.0, 2.0, 3.0])).with_respect_to([x]);
    let _ = Gradients::of(y).upstream(graph.constant([1.0_f32, 2.0])).with_respect_to([x]);
    let _ = Gradients::of(y).upstream([x, x]).with_respect_to([x]);
    let _ = jvp(y, [x], [x, x]);
    let _ = jacobian(graph.placeholder(DType::F64, shape![?]).named("p"), x);
    let told = graph.check().unwrap_err().to_string();
    for part in [
        "gradients: the upstream gradient of y:0 is f64[3], not f64[2]",
        "gradients: the upstream gradient of y:0 is f32[2], not f64[2]",
        "gradients: 2 upstream gradients of 1 results",
        "jvp: 2 vectors for 1 sources",
        "jacobian: of p:0, which is f64[?]",
        "tests/derivatives.rs:",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
}

#[test]
fn jacobians_are_whole_matrices() {
    let graph = Graph::new();
    let x = graph.constant([[1.0, 2.0], [3.0, 4.0]]);
    let w = graph.constant([[2.0, 0.0, -1.0], [0.5, 1.0, 3.0]]);
    let y = x.matmul(w);
    let whole = jacobian(y, x);
    assert_eq!(whole.shape(), Shape::known(&[2, 3, 2, 2]));
    let each = batch_jacobian(y.square(), x);
    assert_eq!(each.shape(), Shape::known(&[2, 3, 2]));
    let session = Session::new(&graph).unwrap();
    let (whole, each, y, w) = session.run((whole, each, y, w), ()).unwrap();
    let (whole, each, y, w) = (floats(whole), floats(each), floats(y), floats(w));
    for (i, j, k, l) in (0..24).map(|n| (n / 12, n / 4 % 3, n / 2 % 2, n % 2)) {
        assert_eq!(whole[[i, j, k, l]], if i == k { w[[l, j]] } else { 0.0 });
        assert_eq!(each[[i, j, l]], 2.0 * y[[i, j]] * w[[l, j]]);
    }
}

#[test]
fn batches_may_be_unknown() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F64, shape![?, 2]);
    let each = batch_jacobian(x.cumsum(1, Running::default()).square(), x);
    assert_eq!(each.shape(), shape![?, 2, 2]);
    let session = Session::new(&graph).unwrap();
    let found = floats(session.run(each, feeds![x => [[1.0, 2.0]]]).unwrap());
    assert_eq!(found, array![[[2.0, 0.0], [6.0, 6.0]]].into_dyn());
}

#[test]
fn second_derivatives_agree_with_each_other_and_by_hand() {
    let graph = Graph::new();
    let x = graph.constant([1.0, 2.0, 3.0]);
    let w = graph.variable(graph.constant([0.5, -1.0, 2.0]));
    // y = Π x · Σ w², whose second derivatives are known.
    let y = x.prod() * w.square().sum();
    let [of_x] = hessians(y, [x]);
    let [of_w] = hessians(y, [w]);
    let v = graph.constant([1.0, -1.0, 0.5]);
    let [product] = hessian_vector_product(y, [x], [v]);
    let expected = of_x.matmul(v.expand_dims(1)).squeeze();
    let initializer = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(initializer, ()).unwrap();
    let (of_x, of_w, product, expected) = session.run((of_x, of_w, product, expected), ()).unwrap();
    assert_eq!(floats(of_x), (array![[0.0, 3.0, 2.0], [3.0, 0.0, 1.0], [2.0, 1.0, 0.0]] * 5.25).into_dyn());
    assert_eq!(floats(of_w), (ndarray::Array2::<f64>::eye(3) * 12.0).into_dyn());
    assert_eq!(floats(product), floats(expected));
}

#[test]
fn products_of_segments_have_second_derivatives_at_zeros() {
    let ids = [0_i32, 0, 0, 1, 1, 1, 2, 3, 3];
    for numbers in [
        [2.0, 3.0, 5.0, -1.0, 4.0, 0.5, 7.0, 2.0, 2.0],
        [2.0, 0.0, 5.0, 0.0, 4.0, 0.0, 0.0, 3.0, 0.0],
        [0.0, 0.0, 0.0, -2.0, 0.0, 3.0, 1.0, 0.0, 0.0],
    ] {
        let graph = Graph::new();
        let x = graph.constant(numbers);
        let segments = graph.constant(ids);
        let products = [x.segment_prod(segments, 4), x.unsorted_segment_prod(segments, 4)];
        let seconds = products.map(|y| hessians(y.sum(), [x])[0]);
        let session = Session::new(&graph).unwrap();
        for second in session.run(seconds, ()).unwrap() {
            let second = floats(second);
            for ((i, j), (a, b)) in
                (0..9).flat_map(|i| (0..9).map(move |j| (i, j))).map(|(i, j)| ((i, j), (ids[i], ids[j])))
            {
                let others = (0..9).filter(|k| ![i, j].contains(k) && ids[*k] == a).map(|k| numbers[k]);
                let expected = if a == b && i != j { others.product() } else { 0.0 };
                assert!((second[[i, j]] - expected).abs() < 1e-12, "{numbers:?}, {i} and {j}: {second}");
            }
        }
    }
}

#[test]
fn products_of_segments_have_third_derivatives_at_zeros() {
    let ids = [0_i32, 0, 0, 0, 1, 1, 1];
    for numbers in [
        [2.0, 3.0, 5.0, -1.0, 4.0, 0.5, 7.0],
        [2.0, 0.0, 5.0, 3.0, 0.0, 4.0, 0.0],
        [0.0, 0.0, -3.0, 2.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 2.0, 0.0, 1.0, 0.0, 3.0],
    ] {
        let graph = Graph::new();
        let x = graph.constant(numbers);
        let second = hessians(x.unsorted_segment_prod(graph.constant(ids), 2).sum(), [x])[0];
        let third = jacobian(second, x);
        let third = floats(Session::new(&graph).unwrap().run(third, ()).unwrap());
        for (index, got) in third.indexed_iter() {
            let of = [index[0], index[1], index[2]];
            let apart = of[0] != of[1] && of[1] != of[2] && of[0] != of[2];
            let together = of.iter().all(|i| ids[*i] == ids[of[0]]);
            let others = (0..7).filter(|k| !of.contains(k) && ids[*k] == ids[of[0]]).map(|k| numbers[k]);
            let expected = if apart && together { others.product() } else { 0.0 };
            assert!((got - expected).abs() < 1e-11, "{numbers:?}, {of:?}: {got} for {expected}");
        }
    }
}

/// The kernel looks at one half of a matrix, so differences tell only of matrices that stay symmetric.
#[test]
fn factors_of_symmetric_matrices_have_second_gradients() {
    let graph = Graph::new();
    let x = graph.constant([[1.0, 0.3, -0.2], [0.5, 1.2, 0.1], [-0.4, 0.7, 0.9]]);
    let weights = graph.constant([[0.7, 2.0, -3.0], [1.1, -0.6, 0.5], [-0.8, 0.4, 1.3]]);
    let symmetric = x.matmul(x.matrix_transpose()) + graph.eye_with(&[], 3, 3, DType::F64);
    let y = (symmetric.cholesky() * weights).sum();
    let [dx] = gradients(y, [x]);
    let z = (dx.sin() * weights).sum();
    let mut session = Session::new(&graph).unwrap();
    let (first, second) =
        (check_gradients(&mut session, y, [x], &feeds![]), check_gradients(&mut session, z, [x], &feeds![]));
    for found in [first.unwrap(), second.unwrap()] {
        assert!(found.error < 1e-6, "{found}");
    }
}

/// As TensorFlow's: the sign is the same all around.
#[test]
fn the_sign_of_a_determinant_has_no_slope() {
    let graph = Graph::new();
    let m = graph.constant([[2.0, 1.0], [1.0, 3.0]]);
    let (sign, logarithm) = m.slogdet();
    let [alone] = gradients(sign, [m]);
    let [both] = gradients(sign * 3.0 + logarithm, [m]);
    let [alone, both] = Session::new(&graph).unwrap().run([alone, both], ()).unwrap();
    assert_eq!(floats(alone), array![[0.0, 0.0], [0.0, 0.0]].into_dyn());
    let inverse = array![[0.6, -0.2], [-0.2, 0.4]].into_dyn();
    assert!(floats(both).iter().zip(&inverse).all(|(a, b)| (a - b).abs() < 1e-15));
}

#[test]
fn forward_products_are_the_jacobian_times_the_vector() {
    let graph = Graph::new();
    let x = graph.constant([[1.0, 2.0], [3.0, 4.0]]);
    let b = graph.constant([0.1, -0.2]);
    let y = (x.matmul(x) + b).tanh();
    let (v, u) = (graph.constant([[0.3, -0.1], [0.2, 0.7]]), graph.constant([1.0, 2.0]));
    let found = jvp([y, x.exp()], [x, b], [v, u]);
    let contract = |j: Tensor, v: Tensor, n: i64| j.reshape([4, n]).matmul(v.reshape([n, 1])).reshape([2, 2]);
    let expected = contract(jacobian(y, x), v, 4) + contract(jacobian(y, b), u, 2);
    let session = Session::new(&graph).unwrap();
    let (first, expected) = session.run((found[0], expected), ()).unwrap();
    for (a, b) in floats(first).iter().zip(&floats(expected)) {
        assert!((a - b).abs() <= 1e-14, "{a} for {b}");
    }
    let second = floats(session.run(found[1], ()).unwrap());
    assert!((second[[0, 0]] - 0.3 * 1.0_f64.exp()).abs() < 1e-15);
}

#[test]
fn a_check_finds_right_gradients_right_and_wrong_ones_wrong() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F64, shape![2, 2]).named("x");
    let w = graph.variable(graph.constant([[0.5], [-1.5]])).named("w");
    let initializer = graph.initializer();
    let mut session = Session::new(&graph).unwrap();
    session.run(initializer, ()).unwrap();
    let feeds = feeds!["x" => [[1.0, 2.0], [3.0, -4.0]]];
    let y = x.matmul(w).tanh();
    let found = check_gradients(&mut session, y, [x], &feeds).unwrap();
    assert!(found.error < 1e-9, "{found}");
    let found = check_gradients(&mut session, [y, x.sigmoid()], [w], &feeds).unwrap();
    assert!(found.error < 1e-9 && found.source == "w:0", "{found}");
    // The gradient holds half of y for a constant.
    let found = check_gradients(&mut session, x.square() * x.stop_gradient(), [x], &feeds).unwrap();
    assert!(found.error > 0.3, "{found}");
    assert_eq!(found.source, "x:0", "{found}");
    check_gradients(&mut session, graph.constant([1_i32]), [x], &feeds).unwrap_err();
}
