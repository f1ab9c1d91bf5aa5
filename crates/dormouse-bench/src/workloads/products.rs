//! Programs of one kind of work: products, and one long loop.

use dormouse::Result;
use dormouse::prelude::*;

use super::{Step, awake, run, value};
use crate::data::Numbers;

/// 64 independent branches of four small products each.
pub(super) fn branches() -> Result<Step> {
    let (count, side, depth) = (64, 128, 4);
    let mut numbers = Numbers::new(1);
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![128, 128]);
    let input = value(&[side, side], numbers.normal(side * side, 1.0))?;
    let mut ends = Vec::new();
    for _ in 0..count {
        let w = graph.variable(value(&[side, side], numbers.normal(side * side, 0.05))?);
        ends.push((0..depth).fold(x, |y, _| y.matmul(w).relu()));
    }
    let sum = graph.add_n(&ends).sum();
    let step = awake(&graph)?.prepare(sum, x)?;
    Ok(Box::new(move || Ok(run(&step, &input)?.scalar()?)))
}

/// A sum of 4 million activations.
pub(super) fn elementwise() -> Result<Step> {
    let count = 1 << 22;
    let graph = Graph::new();
    let x = graph.variable(value(&[count], Numbers::new(1).normal(count, 1.0))?);
    let y = 0.5 * x * (1.0 + (0.797_884_560_8 * (x + 0.044_715 * x * x * x)).tanh());
    let sum = y.sum();
    let step = awake(&graph)?.prepare(sum, ())?;
    Ok(Box::new(move || Ok(run(&step, ())?.scalar()?)))
}

/// A product of two square matrices, not read.
pub(super) fn matmul(side: usize) -> Result<Step> {
    let mut numbers = Numbers::new(1);
    let graph = Graph::new();
    let a = graph.variable(value(&[side, side], numbers.normal(side * side, 1.0))?);
    let b = graph.variable(value(&[side, side], numbers.normal(side * side, 1.0))?);
    let product = a.matmul(b).operation();
    let step = awake(&graph)?.prepare(product, ())?;
    Ok(Box::new(move || {
        run(&step, ())?;
        Ok(0.0)
    }))
}
