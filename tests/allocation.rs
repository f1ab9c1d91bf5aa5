//! What a run allocates once its plan is made: what it hands back, and nothing else.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use dormouse::graph::{BatchStatistics, Conv3d, LocalResponse, Pool3d};
use dormouse::prelude::*;
use dormouse::session::SessionOptions;

struct Counting;

static CALLS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Held by a test that counts: there is one counter.
static COUNTED: Mutex<()> = Mutex::new(());

/// Calls and bytes of one call of `f`, the mean of many; the least of some rounds, as other threads of the process, such as
/// that of the tests, allocate now and then too.
fn allocated(mut f: impl FnMut()) -> (f64, f64) {
    let runs = 50;
    (0..3).for_each(|_| f());
    let mut least = (f64::INFINITY, f64::INFINITY);
    for _ in 0..3 {
        let before = (CALLS.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed));
        (0..runs).for_each(|_| f());
        let of = |now: &AtomicUsize, before: usize| (now.load(Ordering::Relaxed) - before) as f64 / f64::from(runs);
        least = (least.0.min(of(&CALLS, before.0)), least.1.min(of(&BYTES, before.1)));
    }
    least
}

/// The course's MNIST step: two layers, decay of weights, gradient descent, moving averages.
#[test]
fn the_second_run_of_a_training_step_allocates_what_it_hands_back() {
    let _alone = COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, 784]);
    let y = graph.placeholder(DType::I64, shape![?]);
    let w1 = graph.variable(graph.random(&[784, 500], TruncatedNormal::new(0.1).seed(1)));
    let w2 = graph.variable(graph.random(&[500, 10], TruncatedNormal::new(0.1).seed(2)));
    let b1 = graph.variable(graph.fill(&[500], 0.1, DType::F32));
    let b2 = graph.variable(graph.fill(&[10], 0.1, DType::F32));
    let logits = (x.matmul(w1) + b1).relu().matmul(w2) + b2;
    let loss = logits.sparse_softmax_cross_entropy(y).mean() + 1e-4 * (w1.l2_loss() + w2.l2_loss());
    let variables = [w1, b1, w2, b2];
    let slopes = gradients(loss, variables);
    let averages = variables.map(|v| graph.variable(v.initialized_value()));
    let steps = variables.iter().zip(slopes).zip(averages).map(|((v, slope), average)| {
        let stepped = v.assign_sub(slope * 0.1);
        average.assign_sub((average - stepped) * 0.01).operation()
    });
    let train = graph.group(steps.collect::<Vec<_>>());
    let init = graph.initializer();
    let images = Value::from_elements(&[100, 784], (0..78_400).map(|i| (i % 255) as f32 / 255.0).collect()).unwrap();
    let labels = Value::from((0..100_i64).map(|i| i % 10).collect::<Vec<_>>());
    for threads in [1, 2] {
        let options = SessionOptions { threads: Some(threads), ..SessionOptions::default() };
        let session = Session::with_options(&graph, options).unwrap();
        session.run(init, ()).unwrap();
        let step = session.prepare((loss, train), (x, y)).unwrap();
        let (calls, bytes) = allocated(|| {
            step.run((&images, &labels)).unwrap();
        });
        // The value, what shares it; and for a helper its job, once for each part of the step.
        let (most_calls, most_bytes) = if threads == 1 { (2.0, 256.0) } else { (5.0, 1_000.0) };
        assert!(calls <= most_calls && bytes <= most_bytes, "{threads} threads: {calls} calls, {bytes} bytes");
        let (calls, bytes) = allocated(|| {
            session.run((loss, train), feeds![x => &images, y => &labels]).unwrap();
        });
        assert!(
            calls <= most_calls && bytes <= most_bytes,
            "not prepared, {threads} threads: {calls} calls, {bytes} bytes"
        );
        let mut results = [Value::from(0.0_f32)];
        let (calls, _) = allocated(|| step.run_into((&images, &labels), &mut results).unwrap());
        assert!(calls <= if threads == 1 { 0.0 } else { 3.0 }, "into results, {threads} threads: {calls} calls");
        let weights = session.prepare((w1, train), (x, y)).unwrap();
        let (calls, bytes) = allocated(|| {
            weights.run((&images, &labels)).unwrap();
        });
        let handed_back = 784.0 * 500.0 * 4.0;
        assert!(calls <= most_calls && bytes <= handed_back + most_bytes, "{threads} threads: {calls} calls, {bytes}");
    }
}

/// Every kind of convolution, normalization and pool, with all gradients.
#[test]
fn convolutions_allocate_nothing() {
    let _alone = COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
    let graph = Graph::new();
    let noise = |dims: &[usize], seed| graph.variable(graph.random(dims, Normal::new(0.3).seed(seed)));
    let x = graph.placeholder(DType::F32, shape![?, 24, 20, 16]);
    let (each, several) = (noise(&[3, 3, 16, 1], 1), noise(&[3, 3, 16, 2], 2));
    let (grouped, back, deep) = (noise(&[3, 3, 8, 32], 3), noise(&[3, 3, 16, 32], 4), noise(&[3, 3, 3, 8, 16], 5));
    let (scale, offset) = (noise(&[16], 6), noise(&[16], 7));
    let y = x.depthwise_conv2d(each, Conv2d::default());
    let y = y.fused_batch_norm(scale, offset, BatchStatistics::Batch, 1e-3).y.relu();
    let y = y.depthwise_conv2d(several, Conv2d { strides: [2, 2], ..Conv2d::default() });
    let y = (y.conv2d(grouped.value().tile(&[1, 1, 2, 1]), Conv2d::default())).conv2d_transpose(
        back,
        [24, 20],
        Conv2d { strides: [2, 2], ..Conv2d::default() },
    );
    let y = y.local_response_normalization(LocalResponse::default());
    let y = y.reshape([-1, 4, 12, 20, 8]).conv3d(deep, Conv3d::default()).max_pool3d(Pool3d::default());
    let loss = y.square().mean();
    let variables = [each, several, grouped, back, deep, scale, offset];
    let slopes = gradients(loss, variables);
    let steps = variables.iter().zip(slopes).map(|(v, slope)| v.assign_sub(slope * 0.01).operation());
    let train = graph.group(steps.collect::<Vec<_>>());
    let init = graph.initializer();
    let images =
        Value::from_elements(&[4, 24, 20, 16], (0..30_720).map(|i| (i % 255) as f32 / 255.0).collect()).unwrap();
    for threads in [1, 2] {
        let options = SessionOptions { threads: Some(threads), ..SessionOptions::default() };
        let session = Session::with_options(&graph, options).unwrap();
        session.run(init, ()).unwrap();
        let step = session.prepare((loss, train), [x]).unwrap();
        let (calls, bytes) = allocated(|| {
            step.run([&images]).unwrap();
        });
        let (most_calls, most_bytes) = if threads == 1 { (2.0, 256.0) } else { (5.0, 1_000.0) };
        assert!(calls <= most_calls && bytes <= most_bytes, "{threads} threads: {calls} calls, {bytes} bytes");
    }
}
