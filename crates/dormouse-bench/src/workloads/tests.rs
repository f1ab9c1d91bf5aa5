//! What the workloads take in memory, and that they compute the same with little of it.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

/// Three steps' results, and what a step takes in memory, of a workload under some options.
fn steps(name: &str, options: SessionOptions) -> Result<(Vec<u32>, Memory)> {
    OPTIONS.set(options);
    let workload = WORKLOADS.iter().find(|workload| workload.name == name).unwrap();
    let mut step = (workload.build)()?;
    let results = (0..3).map(|_| step().map(f32::to_bits)).collect::<Result<Vec<u32>>>()?;
    Ok((results, MEMORY.take().unwrap()))
}

fn options(optimize: Optimize, threads: usize) -> SessionOptions {
    SessionOptions { optimize, threads: Some(threads), ..SessionOptions::default() }
}

/// No arena is more than a tenth larger than what lives in it at one time.
#[test]
fn arenas_are_as_large_as_what_lives_in_them() {
    let mut loose = Vec::new();
    for name in ["mlp", "lenet", "lstm", "resnet", "mobilenet", "predict100", "branches"] {
        for optimize in [Optimize::None, Optimize::Exact, Optimize::Full] {
            for threads in [1, 2, 8] {
                let (_, memory) = steps(name, options(optimize, threads)).unwrap();
                let ratio = memory.arena as f64 / memory.live as f64;
                if ratio > 1.1 {
                    loose.push(format!("{name} {optimize:?} {threads}: {ratio:.3}, {memory}"));
                }
            }
        }
    }
    assert!(loose.is_empty(), "{}", loose.join("\n"));
}

/// With a limit, a step takes no more, and gives the same bits on any number of threads.
#[test]
fn limited_steps_give_the_same_bits() {
    for (name, share) in [("resnet", 0.9), ("lstm", 0.97)] {
        let (expected, memory) = steps(name, options(Optimize::Full, 2)).unwrap();
        let limit = (memory.arena as f64 * share) as usize;
        for threads in [1, 2, 8] {
            let options = SessionOptions { memory_limit: Some(limit), ..options(Optimize::Full, threads) };
            let (results, limited) = steps(name, options).unwrap();
            assert!(limited.arena <= limit, "{name}: {limited}");
            assert_eq!(results, expected, "{name} on {threads} threads");
        }
    }
}

/// A limit that cannot be met is told of, with what takes the most and where it was built.
#[test]
fn a_limit_that_cannot_be_met_names_the_largest() {
    let options = SessionOptions { memory_limit: Some(100_000), ..options(Optimize::Full, 2) };
    let error = steps("lenet", options).unwrap_err().to_string();
    assert!(error.contains("its memory limit is 100000") && error.contains("networks.rs:"), "{error}");
}
