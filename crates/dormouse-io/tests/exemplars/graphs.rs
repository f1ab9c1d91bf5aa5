//! Graphs that several tests save: one with every kind of node, and a small training step.

#![allow(dead_code, reason = "each test uses some of them")]

use dormouse_gradient::gradients;
use dormouse_graph::{
    Elementwise, Graph, Linalg, Normal, Operation, OwnedGraph, Reduction, Tensor, TruncatedNormal, Uniform, Variable,
};
use dormouse_value::{DType, shape};

/// A graph with every kind of node that can be saved.
pub(crate) fn every_kind() -> OwnedGraph {
    let graph = Graph::new();
    graph.set_seed(7);
    graph.scope("scope", || {
        let x = graph.placeholder(DType::F32, shape![?, 3]).named("x");
        let rate = graph.placeholder_with_default(0.5_f32, shape![]);
        let unknown = graph.placeholder(DType::I64, shape![..]);
        let w = graph.variable(graph.random(&[3, 2], TruncatedNormal::new(0.1).seed(1))).named("w");
        let b = graph.variable(w.initialized_value().sum_over(0)).named("b").untrainable();
        graph.collect("weights", w);
        let y = x.matmul(w) + b;
        graph.collect("outputs", y);
        graph.collect("outputs", unknown);
        let noise = graph.random(&[2], Uniform::new(0.0, 1.0));
        let normal = graph.random(&[2], Normal::new(1.0));
        let loss = ((y + noise) * normal).square().mean();
        let [dw] = gradients(loss, [w]);
        let set = w.assign(w - dw * rate);
        let add = graph.control_dependencies(set, || b.assign_add(w.value().sum_over(0)));
        let sub = b.assign_sub(b * 0.5);
        let all = graph.group((set, add, sub)).named("all");
        graph.collect("operations", all);
        let _ = graph.constant([[true, false], [false, true]]);
        let _ = unknown.cast(DType::U8);
    });
    graph.check().unwrap_or_else(|mistakes| panic!("{mistakes}"));
    graph
}

/// The handles of a training step.
pub(crate) struct Step {
    pub(crate) init: Operation,
    pub(crate) x: Tensor,
    pub(crate) w: Variable,
    pub(crate) loss: Tensor,
    pub(crate) train: Operation,
    pub(crate) count: Variable,
}

/// A linear model with momentum, noise, and a step counter.
pub(crate) fn training_step() -> (OwnedGraph, Step) {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, 3]).named("x");
    let w = graph.variable(graph.random(&[3, 4], Normal::new(0.5).seed(3))).named("w");
    let slot = graph.variable(dormouse_value::Value::zeros(DType::F32, &[3, 4])).named("w/Momentum").untrainable();
    let count = graph.variable(0_i64).named("global_step").untrainable();
    let noise = graph.random(&[4], Uniform::new(0.0, 1.0).seed(9));
    let loss = (x.matmul(w) + noise).square().mean().named("loss");
    let [dw] = gradients(loss, [w]);
    let velocity = slot.assign(slot * 0.9 + dw);
    let update = w.assign_sub(velocity * 0.01);
    let count_up = count.assign_add(1);
    let train = graph.group((update, count_up)).named("train");
    let init = graph.initializer();
    graph.check().unwrap_or_else(|mistakes| panic!("{mistakes}"));
    (graph, Step { init, x, w, loss, train, count })
}
