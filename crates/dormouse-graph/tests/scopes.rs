//! Names that scopes, layers and optimizers give.

use dormouse_graph::{Elementwise as _, Graph, Ones, Reuse, Tensor, Variable, Zeros};
use dormouse_value::DType;

#[test]
fn the_last_node_of_a_scope_may_have_its_name() {
    let graph = Graph::new();
    let x = graph.constant(2.0_f32);
    let names = ["loss:0", "loss_1:0"];
    for name in names {
        let y = graph.name_scope("loss", || {
            let y = x.square().relu();
            y.named(&graph.current_scope())
        });
        assert_eq!(y.name(), name);
    }
    // An older node gets a copy of that name; a scope's name is given once.
    let copy = graph.name_scope("old", || x.named(&graph.current_scope()));
    let (first, second) = graph.name_scope("twice", || {
        let own = graph.current_scope();
        (x.exp().named(&own), x.exp().named(&own))
    });
    assert_eq!([copy, first, second].map(Tensor::name), ["old:0", "twice:0", "twice_1:0"]);
    let done = graph.name_scope("train", || graph.group(copy).named(&graph.current_scope()));
    assert_eq!(done.name(), "train");
    assert!(graph.check().is_ok());
}

#[test]
fn scopes_of_layers_that_nobody_named_are_counted_and_shared() {
    let graph = Graph::new();
    let model = || {
        let layer = || graph.default_scope("dense", || graph.get_variable("kernel", [2], Zeros::default()));
        [layer(), layer()]
    };
    let first = graph.variable_scope("model", Reuse::Auto, model);
    let second = graph.variable_scope("model", Reuse::Auto, model);
    assert_eq!(first, second);
    assert_eq!(first.map(Variable::name), ["model/dense/kernel:0", "model/dense_1/kernel:0"]);
    assert!(graph.check().is_ok());
}

#[test]
fn slots_are_named_after_their_variable_and_left_alone_by_optimizers() {
    let graph = Graph::new();
    let w = graph.scope("layer", || graph.get_variable("w", [2, 3], Ones(DType::F64)));
    let slots = [w.slot("Adam", Zeros(DType::F64)), w.slot("Adam", Zeros(DType::F64))];
    assert_eq!(slots.map(Variable::name), ["layer/w/Adam:0", "layer/w/Adam_1:0"]);
    let inside = graph.name_scope("n", || graph.scope("s", || w.slot("Adam", Zeros(DType::F64))));
    assert_eq!(inside.name(), "s/layer/w/Adam:0");
    assert!(slots.iter().all(|s| s.shape() == w.shape() && s.dtype() == DType::F64 && !s.is_trainable()));
    assert_eq!(graph.trainable_variables(), [w]);
    assert!(graph.check().is_ok());
}

#[test]
fn a_group_waits_for_each_of_its_targets_once() {
    let graph = Graph::new();
    let x = graph.constant(2.0_f32);
    let all: Vec<_> = (0..100).map(|_| x.exp().operation()).collect();
    let twice: Vec<_> = all.iter().chain(all.iter().rev()).copied().collect();
    let group = graph.group(twice);
    let waits = graph.node(group.id().node).map(|node| node.control.to_vec());
    assert_eq!(waits, Some(all.iter().map(|operation| operation.id().node).collect()));
}
