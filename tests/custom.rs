//! Operations of a program's own: what they are asked, when, and what happens when they go wrong.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use dormouse::gradient::Gradients;
use dormouse::graph::{CustomOp, Differentiated, Fact, register_custom_op};
use dormouse::io::{decode_graph, encode_graph};
use dormouse::prelude::*;
use dormouse::value::ValueView;

fn f64s<'a>(x: &'a ValueView<'_>) -> Result<ndarray::ArrayViewD<'a, f64>, String> {
    if let ValueView::F64(x) = x { Ok(x.view()) } else { Err(format!("takes f64, not {}", x.dtype())) }
}

/// xᵏ.
#[derive(Debug)]
struct Power(u8);

impl CustomOp for Power {
    fn name(&self) -> &'static str {
        "TestPower"
    }

    fn attributes(&self) -> Vec<u8> {
        vec![self.0]
    }

    fn infer(&self, operands: &[Fact]) -> Result<Vec<Fact>, String> {
        match operands {
            [x] if x.dtype == DType::F64 => Ok(vec![x.clone()]),
            _ => Err("takes one operand of f64".to_owned()),
        }
    }

    fn compute(&self, operands: &[ValueView<'_>]) -> Result<Vec<Value>, String> {
        Ok(vec![f64s(&operands[0])?.mapv(|x| x.powi(self.0.into())).into()])
    }

    fn gradient(&self, node: &Differentiated) -> Option<Vec<Option<Tensor>>> {
        let (x, dy) = (node.operands[0], node.upstream[0]?);
        let lower = x.graph().apply_custom(Power(self.0 - 1), &[x]);
        Some(vec![Some(dy * lower * f64::from(self.0))])
    }
}

#[test]
fn values_and_gradients_of_any_order() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F64, shape![?, 2]);
    let y = graph.apply_custom(Power(4), &[x.tanh()]);
    let [dy] = gradients(y.sum(), [x]);
    let [ddy] = gradients(dy, [x]);
    let mut session = Session::new(&graph).unwrap();
    let fed = feeds![x => [[0.3, -0.7], [1.2, 0.1]]];
    let (value, dx, ddx) = session.run((y, dy, ddy), &fed).unwrap();
    assert!((value.to_vec::<f64>().unwrap()[1] - 0.7_f64.tanh().powi(4)).abs() < 1e-15);
    assert_eq!((dx.shape(), ddx.shape()), (&[2, 2][..], &[2, 2][..]));
    for y in [y, dy] {
        let found = check_gradients(&mut session, y, [x], &fed).unwrap();
        assert!(found.error < 1e-8, "{found}");
    }
}

#[test]
fn files_name_them_and_the_program_must_have_them() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F64, shape![]).named("x");
    let _ = graph.apply_custom(Power(3), &[x]).named("y");
    let _ = (x + 1.0).named("z");
    let bytes = encode_graph(&graph).unwrap();

    let unknown = decode_graph(&bytes).unwrap();
    let session = Session::new(&unknown).unwrap();
    assert_eq!(session.run("z", feeds!["x" => 1.0]).unwrap().scalar::<f64>().unwrap(), 2.0);
    let told = session.run("y", feeds!["x" => 1.0]).unwrap_err().to_string();
    for part in ["\"y\"", "\"TestPower\", version 1", "register_custom_op", "tests/custom.rs:"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    // What has not been understood is saved as it was.
    let bytes = encode_graph(&unknown).unwrap();

    register_custom_op("TestPower", 1, |attributes| match attributes {
        [k] => Ok(Arc::new(Power(*k))),
        _ => Err("one byte says which power".to_owned()),
    });
    let loaded = decode_graph(&bytes).unwrap();
    let (x, y) = (loaded.tensor("x").unwrap(), loaded.tensor("y").unwrap());
    let [dy] = gradients(y, [x]);
    let session = Session::new(&loaded).unwrap();
    let (y, dy) = session.run((y, dy), feeds![x => 2.0]).unwrap();
    assert_eq!((y.scalar::<f64>().unwrap(), dy.scalar::<f64>().unwrap()), (8.0, 12.0));
}

/// The elements above a bound: how many is not known before. And a sum of all that it saw.
#[derive(Debug)]
struct Above;

impl CustomOp for Above {
    fn name(&self) -> &'static str {
        "Above"
    }

    fn infer(&self, operands: &[Fact]) -> Result<Vec<Fact>, String> {
        match operands {
            [x, bound] if x.dtype == DType::F64 && bound.dtype == DType::F64 => {
                Ok(vec![Fact::new(DType::F64, shape![?]), Fact::new(DType::F64, shape![])])
            }
            _ => Err("takes two operands of f64".to_owned()),
        }
    }

    fn compute(&self, operands: &[ValueView<'_>]) -> Result<Vec<Value>, String> {
        let (x, bound) = (f64s(&operands[0])?, f64s(&operands[1])?);
        let bound = *bound.first().ok_or("the bound is one number")?;
        let above: Vec<f64> = x.iter().copied().filter(|x| *x > bound).collect();
        Ok(vec![above.into(), x.sum().into()])
    }
}

#[test]
fn shapes_may_depend_on_numbers() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F64, shape![?]);
    let above = graph.apply_custom(Above, &[x * 2.0, x.mean()]);
    let y = above.square().sum() + above.port(1);
    let session = Session::new(&graph).unwrap();
    let (found, y) = session.run((above, y), feeds![x => [1.0, 2.0, 6.0]]).unwrap();
    assert_eq!(found.to_vec::<f64>().unwrap(), [4.0, 12.0]);
    assert_eq!(y.scalar::<f64>().unwrap(), 16.0 + 144.0 + 18.0);
    // The bound is a vector here, which it finds out in the run.
    let none = graph.apply_custom(Above, &[x, x]);
    let session = Session::new(&graph).unwrap();
    let told = session.run(none, feeds![x => ndarray::Array1::<f64>::zeros(0)]).unwrap_err().to_string();
    assert!(told.contains("the bound is one number") && told.contains("tests/custom.rs:"), "{told}");
}

/// Counts how often it runs, and fails, panics or lies when told to.
#[derive(Debug)]
struct Odd(Arc<AtomicUsize>, &'static str);

static SESSION: OnceLock<Session> = OnceLock::new();

impl CustomOp for Odd {
    fn name(&self) -> &'static str {
        "Odd"
    }

    fn infer(&self, operands: &[Fact]) -> Result<Vec<Fact>, String> {
        Ok(operands.to_vec())
    }

    fn compute(&self, operands: &[ValueView<'_>]) -> Result<Vec<Value>, String> {
        self.0.fetch_add(1, Ordering::Relaxed);
        match self.1 {
            "fails" => Err("it does not like this".to_owned()),
            "panics" => panic!("it is afraid"),
            "shape" => Ok(vec![Value::from([1.0, 2.0, 3.0])]),
            "dtype" => Ok(vec![Value::from(1_i32)]),
            "count" => Ok(vec![]),
            "nested" => match SESSION.get().map(|session| session.run("one", ())) {
                Some(Err(error)) => Err(error.to_string()),
                _ => Ok(vec![operands[0].to_value()]),
            },
            _ => Ok(operands.iter().map(ValueView::to_value).collect()),
        }
    }

    fn has_effects(&self) -> bool {
        true
    }
}

#[test]
fn what_goes_wrong_is_an_error_and_changes_nothing() {
    for (how, expected) in [
        ("fails", "it does not like this"),
        ("panics", "it is afraid"),
        ("shape", "it gives f64[3], and said f64[]"),
        ("dtype", "it gives i32[], and said f64[]"),
        ("count", "it gives 0 tensors, not 1"),
    ] {
        let graph = Graph::new();
        let w = graph.variable(graph.constant(1.0));
        let added = w.assign_add(1.0);
        let odd = graph.apply_custom(Odd(Arc::default(), how), &[added]).named("odd");
        let initializer = graph.initializer();
        let session = Session::new(&graph).unwrap();
        session.run(initializer, ()).unwrap();
        let told = session.run(odd, ()).unwrap_err().to_string();
        assert!(told.contains(expected) && told.contains("\"odd\" (tests/custom.rs:"), "{how}: {told}");
        assert_eq!(session.run(w, ()).unwrap().scalar::<f64>().unwrap(), 1.0, "{how}");
    }
}

#[test]
fn effects_happen_once_a_run_and_only_where_they_are_needed() {
    let count = Arc::new(AtomicUsize::new(0));
    let graph = Graph::new();
    let x = graph.placeholder(DType::F64, shape![?]);
    let seen = graph.apply_custom(Odd(Arc::clone(&count), ""), &[x]);
    let y = graph.control_dependencies(seen, || x.boolean_mask(x.greater(0.0)) + x.boolean_mask(x.greater(0.0)));
    let z = x + 1.0;
    let session = Session::new(&graph).unwrap();
    for expected in 1..4 {
        session.run((y, seen), feeds![x => [1.0, -1.0]]).unwrap();
        session.run(z, feeds![x => [1.0]]).unwrap();
        assert_eq!(count.load(Ordering::Relaxed), expected);
    }
}

#[test]
fn a_run_within_a_run_is_an_error() {
    let graph = Graph::new();
    let one = graph.constant(1.0).named("one");
    let _ = graph.apply_custom(Odd(Arc::default(), "nested"), &[one]).named("nested");
    let session = SESSION.get_or_init(|| Session::new(&graph).unwrap());
    let told = session.run("nested", ()).unwrap_err().to_string();
    assert!(told.contains("from within one of its own runs"), "{told}");
    assert_eq!(session.run("one", ()).unwrap().scalar::<f64>().unwrap(), 1.0);
}

#[test]
fn gradients_may_be_replaced() {
    let graph = Graph::new();
    let x = graph.constant([-1.5, 0.4, 2.6]);
    let straight = graph.custom_gradient(&[x], || x.round(), |of| vec![of.upstream[0]]);
    // Guided backpropagation: nothing negative passes.
    let guided =
        graph.custom_gradient(&[x], || x.relu(), |of| vec![of.upstream[0].map(|dy| dy.relu() * of.results[0].sign())]);
    let [a] = gradients(straight.square(), [x]);
    let [b] = gradients(guided * graph.constant([1.0, -1.0, 2.0]), [x]);
    let session = Session::new(&graph).unwrap();
    let (y, a, b) = session.run((straight, a, b), ()).unwrap();
    assert_eq!(y.to_vec::<f64>().unwrap(), [-2.0, 0.0, 3.0]);
    assert_eq!(a.to_vec::<f64>().unwrap(), [-4.0, 0.0, 6.0]);
    assert_eq!(b.to_vec::<f64>().unwrap(), [0.0, 0.0, 2.0]);

    let loaded = decode_graph(&encode_graph(&graph).unwrap()).unwrap();
    let y = loaded.tensor(&straight.name()).unwrap();
    let session = Session::new(&loaded).unwrap();
    assert_eq!(session.run(y, ()).unwrap().to_vec::<f64>().unwrap(), [-2.0, 0.0, 3.0]);
    let x = loaded.tensor(&x.name()).unwrap();
    assert_eq!(Gradients::of(y).or_none([x]), [None]);
}

#[test]
fn mistakes_are_told_with_their_line() {
    let graph = Graph::new();
    let x = graph.constant([1.0_f32]);
    let _ = graph.apply_custom(Power(2), &[x]);
    let _ = graph.custom_gradient(&[x], || x.relu(), |of| vec![of.upstream[0].map(|dy| dy.cast(DType::F64))]);
    let wrong = graph.custom_gradient(&[x], || x.relu(), |of| vec![of.upstream[0].map(|dy| dy.cast(DType::F64))]);
    let _ = gradients(wrong, [x]);
    let told = graph.check().unwrap_err().to_string();
    assert!(told.contains("TestPower: takes one operand of f64"), "{told}");
    assert!(told.contains("gives f64[1] for") && told.contains("which is f32[1]"), "{told}");
    assert!(told.contains("tests/custom.rs:"), "{told}");
}
