//! The workloads that measure Dormouse, one JSON line each: `dormouse-bench [WORKLOAD ...]`, none being all.
//!
//! A line holds the median, the least and the most of 7 blocks' nanoseconds a step. `CHECK=1` prints what the steps
//! compute, to standard error; `TRACE=1` prints what each node of a fourth step took, and how near that is to what the
//! machine can do.
//!
//! `dormouse-bench scale` tells instead what graphs of a thousand to a million nodes cost to build and to compile.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "printing is what it is for")]

mod data;
mod protocol;
mod scale;
mod workloads;

use dormouse::Result;
use std::sync::atomic::Ordering;
use workloads::{TRACING, WORKLOADS};

fn main() -> Result<()> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    if names.iter().any(|name| name == "scale") {
        return scale::measure();
    }
    let known = |name: &String| WORKLOADS.iter().any(|w| w.name == name);
    if let Some(name) = names.iter().find(|name| !known(name)) {
        let all: Vec<&str> = WORKLOADS.iter().map(|w| w.name).collect();
        eprintln!("dormouse: no workload {name}; there are {}", all.join(", "));
        std::process::exit(2);
    }
    for workload in WORKLOADS.iter().filter(|w| names.is_empty() || names.iter().any(|name| name == w.name)) {
        let mut step = (workload.build)()?;
        if std::env::var_os("CHECK").is_some() {
            let values = (0..3).map(|_| step()).collect::<Result<Vec<f32>>>()?;
            eprintln!("{}: {values:?}", workload.name);
        }
        if std::env::var_os("TRACE").is_some() {
            (0..3).try_for_each(|_| step().map(drop))?;
            TRACING.store(true, Ordering::Relaxed);
            step()?;
            TRACING.store(false, Ordering::Relaxed);
        }
        protocol::measure(workload.name, &mut *step)?;
    }
    Ok(())
}
