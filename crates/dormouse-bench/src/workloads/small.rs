//! Programs of little work, which show what a run and an operation cost by themselves.

use std::sync::atomic::Ordering;

use dormouse::Result;
use dormouse::prelude::*;

use super::{Step, TRACING, awake, run};

/// a + b, of two numbers each, by a prepared step.
pub(super) fn hello() -> Result<Step> {
    let graph = Graph::new();
    let a = graph.placeholder(DType::F32, shape![2]);
    let sum = a + graph.constant([2.0_f32, 3.0]);
    let step = awake(&graph)?.prepare(sum, a)?;
    let numbers = Value::from([1.0_f32, 2.0]);
    let mut results = [Value::from([0.0_f32; 2])];
    Ok(Box::new(move || {
        if TRACING.load(Ordering::Relaxed) {
            return Ok(run(&step, &numbers)?.to_vec::<f32>()?[0]);
        }
        step.run_into(&numbers, &mut results)?;
        Ok(results[0].view::<f32>()?[0])
    }))
}

/// The same by `Session::run`.
pub(super) fn hello_run() -> Result<Step> {
    let graph = Graph::new();
    let a = graph.placeholder(DType::F32, shape![2]);
    let sum = a + graph.constant([2.0_f32, 3.0]);
    let session = awake(&graph)?;
    let numbers = Value::from([1.0_f32, 2.0]);
    Ok(Box::new(move || Ok(session.run(sum, feeds![a => &numbers])?.to_vec::<f32>()?[0])))
}

/// 10,000 operations of scalars, one after the other.
pub(super) fn chain() -> Result<Step> {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![]);
    let c = graph.variable(1.0_f32);
    let y = (0..10_000).fold(x, |y, i| if i % 2 == 0 { y * c } else { y.sin() });
    let step = awake(&graph)?.prepare(y, x)?;
    let start = Value::from(0.5_f32);
    Ok(Box::new(move || Ok(run(&step, &start)?.scalar()?)))
}
