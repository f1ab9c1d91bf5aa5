//! What graphs cost before they run: building, differentiating, compiling, by the number of their nodes.
//!
//! The graph is a deep network of small matrices: products, biases and relus, its weights new in every eighth layer, with the
//! gradients of all of them, fed and run once for each size.

use std::time::Instant;

use dormouse::Result;
use dormouse::prelude::*;

use crate::workloads::{awake, value};

/// Rows and columns of every matrix.
const SIDE: usize = 4;
/// Layers that share their weights.
const SHARED: usize = 8;
/// Layers in a graph of a thousand nodes, its gradients among them.
const LAYERS: usize = 110;

/// Prints a line for each size, in nanoseconds a node.
///
/// # Errors
/// A graph's or a run's.
pub(crate) fn measure() -> Result<()> {
    println!(
        "{:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "nodes", "build", "gradients", "session", "compile", "first run", "run"
    );
    for thousands in [1, 10, 100, 1000] {
        size(thousands * LAYERS)?;
    }
    Ok(())
}

fn size(layers: usize) -> Result<()> {
    let mut last = Instant::now();
    let mut lap = || std::mem::replace(&mut last, Instant::now()).elapsed().as_secs_f64() * 1e9;
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![4, 4]);
    let (mut y, mut variables) = (x, Vec::new());
    let weight = |layer: usize| {
        let numbers = (0..SIDE * SIDE).map(|i| ((i * 7 + layer) % 11) as f32 / 22.0).collect();
        value(&[SIDE, SIDE], numbers)
    };
    for layer in 0..layers {
        if layer % SHARED == 0 {
            variables.push(graph.variable(weight(layer)?));
            variables.push(graph.variable(graph.zeros(&[SIDE])));
        }
        let newest = variables.len();
        y = (y.matmul(variables[newest - 2]) + variables[newest - 1]).relu();
    }
    let loss = y.sum();
    let build = lap();
    let slopes = gradients(loss, variables.clone());
    let updates: Vec<Tensor> = variables.iter().zip(&slopes).map(|(v, g)| v.assign_sub(*g * 0.01)).collect();
    let train = graph.group(updates.iter().map(|t| t.operation()).collect::<Vec<_>>());
    let differentiate = lap();
    let session = awake(&graph)?;
    let nodes = graph.len() as f64;
    let made = lap();
    let step = session.prepare((loss, train), x)?;
    let input = weight(3)?;
    lap();
    step.run(&input)?;
    let first = lap();
    step.run(&input)?;
    let second = lap();
    let columns = [build, differentiate, made, first - second, first, second].map(|nanos| nanos / nodes);
    print!("{nodes:>9}");
    columns.iter().for_each(|nanos| print!(" {nanos:>9.0}"));
    println!();
    Ok(())
}
