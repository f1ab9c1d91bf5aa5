//! Kernels by themselves, on one thread: `cargo bench -p dormouse-kernels`, or with a word of a name after `--`.

#![allow(missing_docs, reason = "criterion's macros make a function of each group")]
#![allow(clippy::unwrap_used, reason = "a kernel that does not compile has no speed")]

mod convolutions;
mod loops;
mod products;
mod reductions;
mod tensors;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

fn settings() -> Criterion {
    let short = Criterion::default().warm_up_time(Duration::from_millis(300));
    short.measurement_time(Duration::from_millis(1500)).sample_size(20)
}

criterion_group! {
    name = kernels;
    config = settings();
    targets = products::all, convolutions::all, loops::all, reductions::all
}
criterion_main!(kernels);
