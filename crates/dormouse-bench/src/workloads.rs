//! The workloads: each builds its graph and gives a step to measure. Their numbers are drawn from seeds of their own, as the
//! peers' are (`docs/benchmarks`), so that what they compute can be compared.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};

use dormouse::Result;
use dormouse::prelude::*;
use dormouse::session::{Arguments, Layout, Memory, Step as Prepared};

mod images;
mod networks;
mod products;
mod small;
#[cfg(test)]
mod tests;

/// One step: a number it computed, or 0 where it reads none.
type Step = Box<dyn FnMut() -> Result<f32>>;

/// A workload by name.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) build: fn() -> Result<Step>,
}

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload { name: "hello", build: small::hello },
    Workload { name: "hello_run", build: small::hello_run },
    Workload { name: "chain", build: small::chain },
    Workload { name: "branches", build: products::branches },
    Workload { name: "elementwise", build: products::elementwise },
    Workload { name: "matmul256", build: || products::matmul(256) },
    Workload { name: "matmul1024", build: || products::matmul(1024) },
    Workload { name: "matmul2048", build: || products::matmul(2048) },
    Workload { name: "mlp", build: networks::mlp },
    Workload { name: "lenet", build: networks::lenet },
    Workload { name: "lstm", build: networks::lstm },
    Workload { name: "predict1", build: || networks::predict(1) },
    Workload { name: "predict100", build: || networks::predict(100) },
    Workload { name: "mobilenet", build: images::mobilenet },
    Workload { name: "resnet", build: images::resnet },
];

/// Whether steps print what they did.
pub(crate) static TRACING: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// How sessions of workloads run that this thread builds.
    static OPTIONS: Cell<SessionOptions> = Cell::new(SessionOptions::default());
    /// What the last step of this thread took in memory, where that is asked for.
    static MEMORY: RefCell<Option<Memory>> = const { RefCell::new(None) };
}

/// Runs a prepared step.
fn run<'a, L: Layout>(step: &Prepared<L>, arguments: impl Arguments<'a> + Copy) -> Result<L::Output> {
    if cfg!(test) {
        let memory = step.memory(arguments)?;
        MEMORY.set(Some(memory));
    }
    if !TRACING.load(Ordering::Relaxed) {
        return Ok(step.run(arguments)?);
    }
    let (output, trace) = step.trace(arguments)?;
    eprintln!("{}", trace.table(Some(&Peak::measure()?)));
    Ok(output)
}

pub(crate) fn value(dims: &[usize], numbers: Vec<f32>) -> Result<Value> {
    Ok(Value::from_elements(dims, numbers)?)
}

/// A session whose variables are initialized.
pub(crate) fn awake(graph: &Graph) -> Result<Session> {
    let init = graph.initializer();
    let session = Session::with_options(graph, OPTIONS.get())?;
    session.run(init, ())?;
    Ok(session)
}

/// The first number of what a step gave, all of which is there.
fn first(value: &Value) -> Result<f32> {
    Ok(value.view::<f32>()?.first().copied().unwrap_or(f32::NAN))
}
