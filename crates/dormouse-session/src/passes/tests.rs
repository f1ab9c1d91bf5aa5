#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse_graph::{Array, Elementwise, Graph, Linalg, Nn, NodeId, Output, Reduction, Tensor};
use dormouse_value::{DType, shape};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::*;
use crate::lower::{Request, lower};
use crate::options::SessionOptions;
use crate::stage::Progress;
use dormouse_kernels::Spec;

/// The program of some tensors, with every placeholder fed, after the passes.
fn program(graph: &Graph, fetches: &[Tensor], feeds: &[(Tensor, &[usize])], allowed: Optimize) -> Program {
    let frozen = graph.freeze().unwrap();
    let output = |t: &Tensor| -> Output { t.id().output };
    let request = Request {
        fetches: fetches.iter().map(output).collect(),
        feeds: feeds.iter().map(|(t, dims)| (output(t), Spec::new(t.dtype(), dims))).collect(),
        ..Request::default()
    };
    let mut program = lower(&frozen, &request, &Progress::default(), &FxHashMap::default(), SessionOptions::default())
        .unwrap()
        .program;
    optimize(&mut program, allowed, |_, _| {});
    assert_eq!(program.verify(), Ok(()));
    program
}

/// What each instruction does: an operation's name, or the number of a loop's steps.
fn shape_of(program: &Program) -> Vec<String> {
    let name = |op: &Op| format!("{op:?}").split([' ', '(', '{']).next().unwrap_or_default().to_owned();
    let shape = |i: &Instruction| match &i.action {
        Action::Op(op) => name(op),
        Action::Loop(body) => format!("loop of {}", body.steps.len()),
        Action::LoopReduction(body, _) => format!("loop of {}, reduced", body.steps.len()),
        Action::LoopColumns(body, columns) => {
            format!("loop of {}, {} columns", body.steps.len(), columns.reduces.len())
        }
        Action::Epilogue(both) => format!("{} then loop of {}", name(&both.op), both.body.steps.len()),
        Action::LossGradient(around) => format!("{around:?}"),
        Action::SumRows { .. } => "SumRows".to_owned(),
        Action::UpdateRows(op) => format!("UpdateRows by {op:?}"),
        Action::Custom(custom) => custom.name().to_owned(),
        Action::Random { .. } => "random".to_owned(),
    };
    program.instructions.iter().map(shape).collect()
}

#[test]
fn element_wise_operations_that_feed_each_other_become_one_loop() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, 8]);
    let bias = graph.placeholder(DType::F32, shape![8]);
    let y = (x + bias).relu() * 2.0 - x.tanh();
    let program = program(&graph, &[y], &[(x, &[4, 8]), (bias, &[8])], Optimize::Exact);
    assert_eq!(shape_of(&program), ["loop of 5"]);
    assert_eq!(program.instructions[0].results.len(), 1);
}

#[test]
fn a_way_out_of_a_loop_and_back_in_keeps_its_ends_apart() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![8, 8]);
    let a = x.tanh();
    let b = a.exp();
    // The product needs a and feeds the sum, which also needs b.
    let y = a.matmul(a) + b;
    let program = program(&graph, &[y], &[(x, &[8, 8])], Optimize::Exact);
    assert_eq!(shape_of(&program), ["loop of 2", "MatMul then loop of 1"]);
    assert_eq!(program.instructions[0].results.len(), 2);
}

#[test]
fn what_does_nothing_goes_and_transposes_become_flags() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, ?]);
    let (one, zero) = (graph.ones(&[1]), graph.zeros(&[]));
    let y = (x * one).transpose().transpose_axes(&[1, 0]).cast(DType::F32).slice([0, 0], [-1, -1]);
    let all = (y - zero).transpose().matmul(-(-x));
    let feeds: [(Tensor, &[usize]); 1] = [(x, &[3, 4])];
    let program = program(&graph, &[all], &feeds, Optimize::Exact);
    assert_eq!(shape_of(&program), ["MatMul"]);
    assert!(matches!(program.instructions[0].action, Action::Op(Op::MatMul { transpose_a: true, transpose_b: false })));
}

#[test]
fn what_may_change_a_zero_stays_unless_rounding_may_change() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?]);
    let y = (x + 0.0).pow(graph.constant(2.0_f32));
    let feeds: [(Tensor, &[usize]); 1] = [(x, &[3])];
    assert_eq!(shape_of(&program(&graph, &[y], &feeds, Optimize::Exact)), ["loop of 2"]);
    assert_eq!(shape_of(&program(&graph, &[y], &feeds, Optimize::Full)), ["Unary"]);
    assert_eq!(shape_of(&program(&graph, &[y], &feeds, Optimize::None)), ["Binary", "Binary"]);
}

#[test]
fn equal_operations_are_one_and_constants_are_folded() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?]);
    let rate = graph.constant(3.0_f32) * graph.constant(4.0_f32);
    let y = (x * rate).sum() + (x * 12.0).sum();
    let feeds: [(Tensor, &[usize]); 1] = [(x, &[3])];
    assert_eq!(shape_of(&program(&graph, &[y], &feeds, Optimize::Exact)), ["loop of 1, reduced", "Binary"]);
}

#[test]
fn a_sum_of_short_products_is_one_long_product() {
    let graph = Graph::new();
    let steps: Vec<[Tensor; 2]> = (0..3)
        .map(|_| [graph.placeholder(DType::F32, shape![2, 8]), graph.placeholder(DType::F32, shape![2, 9])])
        .collect();
    let beside = graph.placeholder(DType::F32, shape![8, 9]);
    let products: Vec<Tensor> = steps.iter().map(|[x, dy]| x.transpose().matmul(*dy)).collect();
    let mut feeds: Vec<(Tensor, &[usize])> =
        steps.iter().flat_map(|[x, dy]| [(*x, &[2, 8][..]), (*dy, &[2, 9][..])]).collect();
    let sum = graph.add_n(&products);
    assert_eq!(shape_of(&program(&graph, &[sum], &feeds, Optimize::Full)), ["Concat", "Concat", "MatMul"]);
    // One that is read elsewhere stays, and so does what is no product.
    feeds.push((beside, &[8, 9]));
    let more = graph.add_n(&[products[0], beside, products[1], products[2]]);
    let fetches = [more, products[0]];
    assert_eq!(
        shape_of(&program(&graph, &fetches, &feeds, Optimize::Full)),
        ["MatMul", "Concat", "Concat", "MatMul then loop of 1"]
    );
    assert_eq!(
        shape_of(&program(&graph, &[sum], &feeds[..6], Optimize::Exact)),
        ["MatMul", "MatMul", "MatMul then loop of 1"]
    );
    // Long products with a small sum are better added.
    let long: Vec<[Tensor; 2]> = (0..2)
        .map(|_| [graph.placeholder(DType::F32, shape![90, 2]), graph.placeholder(DType::F32, shape![90, 3])])
        .collect();
    let feeds: Vec<(Tensor, &[usize])> =
        long.iter().flat_map(|[x, dy]| [(*x, &[90, 2][..]), (*dy, &[90, 3][..])]).collect();
    let sum = graph.add_n(&long.iter().map(|[x, dy]| x.transpose().matmul(*dy)).collect::<Vec<_>>());
    assert_eq!(shape_of(&program(&graph, &[sum], &feeds, Optimize::Full)), ["MatMul", "MatMul then loop of 1"]);
}

#[test]
fn products_of_what_is_there_before_the_first_step_are_one() {
    let graph = Graph::new();
    let w = graph.placeholder(DType::F32, shape![7, 4]);
    let inputs: Vec<Tensor> = (0..4).map(|_| graph.placeholder(DType::F32, shape![2, 3])).collect();
    let start = graph.placeholder(DType::F32, shape![2, 4]);
    let last = inputs.iter().fold(start, |h, x| graph.concat(&[*x, h], 1).matmul(w).tanh());
    let mut feeds: Vec<(Tensor, &[usize])> = inputs.iter().map(|x| (*x, &[2, 3][..])).collect();
    feeds.extend([(w, &[7, 4][..]), (start, &[2, 4][..])]);
    // A product for all inputs, whose rows the steps add to the product of what they remember.
    let hoisted = shape_of(&program(&graph, &[last], &feeds, Optimize::Full));
    let count = |all: &[String], name: &str| all.iter().filter(|n| *n == name).count();
    assert_eq!((count(&hoisted, "MatMul"), count(&hoisted, "MatMul then loop of 2")), (1, 4), "{hoisted:?}");
    let exact = shape_of(&program(&graph, &[last], &feeds, Optimize::Exact));
    assert_eq!(count(&exact, "MatMul then loop of 1"), 4, "{exact:?}");
    // Products of one factor that do not need each other are one.
    let products: Vec<Tensor> = (0..4).map(|i| inputs[i].matmul(w.slice([0, 0], [3, -1]))).collect();
    let all = shape_of(&program(&graph, &products, &feeds, Optimize::Full));
    assert_eq!(count(&all, "MatMul"), 1, "{all:?}");
}

#[test]
fn a_loss_takes_in_its_bias() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![4, 8]);
    let bias = graph.placeholder(DType::F32, shape![8]);
    let labels = graph.constant([1_i32, 2, 3, 0]);
    let logits = x + bias;
    let loss = logits.sparse_softmax_cross_entropy(labels);
    let feeds: [(Tensor, &[usize]); 2] = [(x, &[4, 8]), (bias, &[8])];
    let around = "LossGradient { bias: true, scaled: false }";
    assert_eq!(shape_of(&program(&graph, &[loss], &feeds, Optimize::Exact)), [around]);
    // Logits that are read elsewhere are computed once.
    let both = shape_of(&program(&graph, &[loss, logits], &feeds, Optimize::Exact));
    assert_eq!(both, ["Binary", "SparseSoftmaxCrossEntropy"]);
}

#[test]
fn gradients_of_slices_that_tile_a_whole_are_put_side_by_side() {
    let graph = Graph::new();
    let whole = graph.placeholder(DType::F32, shape![4, 6]);
    let parts: Vec<Tensor> = (0..3).map(|_| graph.placeholder(DType::F32, shape![4, 2])).collect();
    let beside = graph.placeholder(DType::F32, shape![4, 6]);
    let padded =
        |part: Tensor, at: i64| graph.apply(Op::SliceGrad { begin: [0, at].into_iter().collect() }, &[part, whole]);
    let pieces = [padded(parts[1], 2), padded(parts[2], 4), padded(parts[0], 0)];
    let mut feeds: Vec<(Tensor, &[usize])> = parts.iter().map(|part| (*part, &[4, 2][..])).collect();
    feeds.extend([(whole, &[4, 6][..]), (beside, &[4, 6][..])]);
    let of = |tensors: &[Tensor], allowed| shape_of(&program(&graph, &[graph.add_n(tensors)], &feeds, allowed));
    assert_eq!(of(&pieces, Optimize::Full), ["Concat"]);
    assert_eq!(of(&pieces, Optimize::Exact), ["SliceGrad", "SliceGrad", "SliceGrad", "AddN"]);
    assert_eq!(of(&[pieces[0], beside, pieces[1], pieces[2]], Optimize::Full), ["Concat", "AddN"]);
    // What leaves a gap, or overlaps, is added.
    assert_eq!(of(&pieces[..2], Optimize::Full), ["SliceGrad", "SliceGrad", "AddN"]);
    let overlap = [pieces[0], pieces[1], pieces[2], padded(parts[0], 1)];
    assert_eq!(of(&overlap, Optimize::Full), ["SliceGrad", "SliceGrad", "SliceGrad", "SliceGrad", "AddN"]);
}

#[test]
fn gradients_of_gathers_stay_rows() {
    let graph = Graph::new();
    let words = graph.placeholder(DType::I32, shape![4]);
    let dy = graph.placeholder(DType::F32, shape![4, 2]);
    let array = graph.variable(graph.zeros(&[100, 2]));
    let slope = graph.apply(Op::GatherGrad { axis: 0 }, &[dy, words, array.before_run()]);
    let norm = slope.l2_loss();
    let new = array.assign_sub(slope * (1.0 / norm));
    let feeds: [(Tensor, &[usize]); 2] = [(words, &[4]), (dy, &[4, 2])];
    let all = shape_of(&program(&graph, &[norm, new], &feeds, Optimize::Full));
    assert!(all.contains(&"SumRows".to_owned()) && all.contains(&"UpdateRows by Sub".to_owned()), "{all:?}");
    // What adds two multiples of a gradient adds them whole.
    let twice = array.assign_sub(slope * 0.25 + slope * norm);
    let all = shape_of(&program(&graph, &[twice], &feeds, Optimize::Full));
    assert!(all.contains(&"GatherGrad".to_owned()) && !all.contains(&"SumRows".to_owned()), "{all:?}");
    // One that is asked for is whole.
    let all = shape_of(&program(&graph, &[slope, new], &feeds, Optimize::Full));
    assert!(all.contains(&"GatherGrad".to_owned()) && !all.contains(&"SumRows".to_owned()), "{all:?}");
}

#[test]
fn a_factor_that_many_read_transposed_is_transposed_once() {
    let graph = Graph::new();
    let w = graph.placeholder(DType::F32, shape![5, 6]);
    let x = graph.placeholder(DType::F32, shape![2, 6]);
    let y = (0..4).fold(x, |x, _| x.matmul(w.transpose()).matmul(w).tanh());
    let feeds: [(Tensor, &[usize]); 2] = [(w, &[5, 6]), (x, &[2, 6])];
    let all = shape_of(&program(&graph, &[y], &feeds, Optimize::Exact));
    assert_eq!(all.iter().filter(|name| *name == "Transpose").count(), 1, "{all:?}");
}

#[test]
fn a_reduction_to_one_element_ends_its_loop() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, ?]);
    let y = (x * 2.0).tanh();
    let feeds: [(Tensor, &[usize]); 1] = [(x, &[3, 40])];
    assert_eq!(shape_of(&program(&graph, &[y.sum()], &feeds, Optimize::Exact)), ["loop of 2, reduced"]);
    assert_eq!(shape_of(&program(&graph, &[y.square().l2_loss(), y], &feeds, Optimize::Exact)), ["loop of 3, reduced"]);
    // One output can be reduced once; a reduction of some axes is on its own.
    assert_eq!(
        shape_of(&program(&graph, &[y.sum(), y.max(), y.mean_over([1])], &feeds, Optimize::Exact)),
        ["loop of 2", "Reduce", "Reduce", "Reduce"]
    );
}

#[test]
fn sums_over_the_first_axes_end_their_loop() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, ?, 8]);
    let y = (x * 2.0).tanh();
    let feeds: [(Tensor, &[usize]); 1] = [(x, &[3, 4, 8])];
    let fetches = [y.sum_over([0, 1]), y.square().mean_over([1, -3]), y];
    assert_eq!(shape_of(&program(&graph, &fetches, &feeds, Optimize::Exact)), ["loop of 3, 2 columns"]);
    // Other axes, other functions and other shapes are on their own, as is what no loop computes.
    let fetches = [y.sum_over([0]), y.sum_over([0, 1]), y.max_over([0, 1]), y.sum_over([1]), x.sum_over([0, 1])];
    assert_eq!(
        shape_of(&program(&graph, &fetches, &feeds, Optimize::Exact)),
        ["loop of 2, 1 columns", "Reduce", "Reduce", "Reduce", "Reduce"]
    );
}

#[test]
fn what_is_the_same_in_every_row_is_computed_once_and_taken_out_of_sums() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![64, 8]);
    let v = graph.placeholder(DType::F32, shape![8]);
    let feeds: [(Tensor, &[usize]); 2] = [(x, &[64, 8]), (v, &[8])];
    let scaled = v.broadcast_to(&[64, 8]) * 2.0 / 3.0;
    let found = program(&graph, &[x.tanh() * scaled], &feeds, Optimize::Exact);
    assert_eq!(shape_of(&found), ["loop of 2", "loop of 2"]);
    assert_eq!(found.spec(found.instructions[0].results[0]).dims.as_slice(), [8]);
    let y = x.tanh();
    let sums = [(-(y * v)).sum_over([0]), y.sum_over([0])];
    assert_eq!(shape_of(&program(&graph, &sums, &feeds, Optimize::Full)), ["loop of 1, 1 columns", "loop of 2"]);
    assert_eq!(shape_of(&program(&graph, &sums, &feeds, Optimize::Exact)), ["loop of 3, 2 columns"]);
}

#[test]
fn shapes_back_and_forth_are_aliases_of_the_value_itself() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![4]);
    let first = x.reshape([2, 2]);
    let back = first.reshape([4]).reshape([2, 2]);
    // The younger of two aliases of one shape is read first.
    let y = back.tanh() + first.matmul(first);
    let program = program(&graph, &[y], &[(x, &[4])], Optimize::Exact);
    assert_eq!(shape_of(&program), ["MatMul then loop of 2"]);
}

#[test]
fn a_product_that_one_loop_reads_takes_it_in() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, 8]);
    let [w, v] = [[8, 16], [16, 16]].map(|dims| graph.placeholder(DType::F32, dims));
    let hidden = (x.matmul(w) + 1.0).relu();
    let y = hidden.matmul(v).reshape([-1]).relu();
    let feeds = [(x, [4, 8].as_slice()), (w, &[8, 16]), (v, &[16, 16])];
    let short = program(&graph, &[y], &feeds, Optimize::Exact);
    assert_eq!(shape_of(&short), ["MatMul then loop of 2", "MatMul then loop of 1"]);
    // What somebody else reads stays.
    let product = x.matmul(w);
    let both = program(&graph, &[product, product.relu()], &feeds[..2], Optimize::Exact);
    assert_eq!(shape_of(&both), ["MatMul", "Unary"]);
}

#[test]
fn an_epilogue_waits_for_the_last_product() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![4, 8]);
    let w = graph.placeholder(DType::F32, shape![8, 8]);
    let first = x.matmul(w);
    let second = first.tanh().matmul(w);
    let program = program(&graph, &[first.sin() + second], &[(x, &[4, 8]), (w, &[8, 8])], Optimize::Exact);
    assert_eq!(shape_of(&program), ["MatMul", "Unary", "MatMul then loop of 2"]);
}

#[test]
fn instructions_are_put_before_others_and_left_out_where_they_lie() {
    let instruction = |node: u32| Instruction {
        results: SmallVec::from_slice(&[ValueId(node)]),
        node: NodeId(node),
        ..Instruction::nothing()
    };
    let nodes = |before: &[(usize, u32)], gone: &[bool]| -> Vec<u32> {
        let mut program = Program { instructions: (0..3).map(instruction).collect(), ..Program::default() };
        let before = before.iter().map(|(at, node)| (*at, instruction(*node))).collect();
        products::insert(&mut program, before, gone);
        program.instructions.iter().map(|i| i.node.0).collect()
    };
    assert_eq!(nodes(&[], &[]), [0, 1, 2]);
    assert_eq!(nodes(&[], &[true, false, true]), [1]);
    assert_eq!(nodes(&[(0, 7), (1, 8), (1, 9), (3, 10)], &[]), [7, 0, 8, 9, 1, 2, 10]);
    assert_eq!(nodes(&[(0, 7), (1, 8), (1, 9), (3, 10)], &[false, true, false]), [7, 0, 8, 9, 2, 10]);
    assert_eq!(nodes(&[(2, 7)], &[true, true, true]), [7]);
}
