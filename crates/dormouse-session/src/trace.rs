//! Traces: when a run did what, on which thread, and how near that is to what the machine can do.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use dormouse_graph::Frozen;
use dormouse_kernels::{Args, Spec, compile};
use dormouse_value::{DType, Op};
use serde_json::json;

use crate::buffer::Buffer;
use crate::error::{Kind, Place, Result};
use crate::feed::{Arguments, IntoFeeds};
use crate::fetch::{Fetches, Layout, Targets};
use crate::lower::place;
use crate::plan::Plan;
use crate::session::{Session, Step};

/// What one run did: every step, and every tile of it.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    steps: Vec<TracedStep>,
    tiles: Vec<TracedTile>,
}

/// A step of a run: one node of the graph, or some that were fused and bear the last one's name.
#[derive(Clone, Debug)]
pub struct TracedStep {
    /// The node's name, and the node that it is a gradient of.
    pub name: String,
    /// The file and line that the node was built at.
    pub source: String,
    /// Floating-point operations.
    pub flops: f64,
    /// Bytes of its operands and results, each counted once.
    pub bytes: f64,
    /// What its tiles took, summed over the threads.
    pub busy: Duration,
    /// When its first tile began, from the beginning of the run.
    pub start: Duration,
    /// When its last tile ended.
    pub end: Duration,
    /// What it was expected to take on one thread.
    pub expected: Duration,
}

impl TracedStep {
    /// Billions of floating-point operations a second, on each thread that it ran on.
    pub fn gflops(&self) -> f64 {
        self.flops / self.nanos()
    }

    /// Gigabytes a second, on each thread that it ran on.
    pub fn gigabytes(&self) -> f64 {
        self.bytes / self.nanos()
    }

    /// The share of what the machine can do: of its arithmetic or of its memory, whichever binds more.
    pub fn share_of(&self, peak: &Peak) -> f64 {
        (self.gflops() / peak.gflops).max(self.gigabytes() / peak.gigabytes)
    }

    fn nanos(&self) -> f64 {
        (self.busy.as_nanos() as f64).max(1.0)
    }
}

/// A tile of a step, on one thread.
#[derive(Clone, Copy, Debug)]
struct TracedTile {
    step: usize,
    phase: usize,
    tile: usize,
    worker: usize,
    start: Duration,
    end: Duration,
}

/// What one core of the machine does at most, as it was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// Billions of floating-point operations a second: a product of two f32 matrices that lie in the cache.
    pub gflops: f64,
    /// Gigabytes a second, read and written: a copy of 64 MiB.
    pub gigabytes: f64,
}

impl Peak {
    /// Measures this machine, which takes a few hundredths of a second. Other work on it makes the figures lower.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn measure() -> Result<Peak> {
        const SIDE: usize = 192;
        const BYTES: usize = 64 << 20;
        let best = |times: usize, work: &mut dyn FnMut()| {
            let mut best = f64::INFINITY;
            for _ in 0..times {
                let start = Instant::now();
                work();
                best = best.min((start.elapsed().as_nanos() as f64).max(1.0));
            }
            best
        };
        let matrix = Spec::new(DType::F32, &[SIDE, SIDE]);
        let op = Op::MatMul { transpose_a: false, transpose_b: false };
        let kernel =
            compile(&op, &[matrix.clone(), matrix.clone()], std::slice::from_ref(&matrix)).map_err(|error| {
                let place = Place { name: "the product of a measurement".to_owned(), source: None };
                Kind::Node { place, message: error.to_string() }
            })?;
        let (a, b, c) = (Buffer::new(matrix.bytes())?, Buffer::new(matrix.bytes())?, Buffer::new(matrix.bytes())?);
        for operand in [&a, &b] {
            // SAFETY: the buffer is ours, and as long as the matrix. Memory that was never written is one page for all.
            unsafe { operand.as_ptr().write_bytes(0, matrix.bytes()) };
        }
        let (shared, local) = (Buffer::new(kernel.shared)?, Buffer::new(kernel.local)?);
        let (inputs, outputs) = ([a.as_ptr().cast_const(), b.as_ptr().cast_const()], [c.as_ptr()]);
        let args = Args { inputs: &inputs, outputs: &outputs, shared: shared.as_ptr(), local: local.as_ptr() };
        let nanos = best(50, &mut || {
            for (phase, &tiles) in kernel.phases.iter().enumerate() {
                for tile in 0..tiles {
                    // SAFETY: the operands are of the kernel's specs; phases and tiles run one after the other.
                    let _ = unsafe { kernel.body.run(&args, phase, tile) };
                }
            }
        });
        let gflops = kernel.cost.flops / nanos;
        let (from, to) = (Buffer::new(BYTES)?, Buffer::new(BYTES)?);
        // SAFETY: the buffer is ours, and as long.
        unsafe { from.as_ptr().write_bytes(1, BYTES) };
        // SAFETY: two buffers of as many bytes, both ours.
        let nanos = best(4, &mut || unsafe { to.as_ptr().copy_from_nonoverlapping(from.as_ptr(), BYTES) });
        Ok(Peak { gflops, gigabytes: 2.0 * BYTES as f64 / nanos })
    }
}

impl Session {
    /// Runs as [`Session::run`] does, and says when it did what: once the plan is made, so the first run is as good as any.
    ///
    /// ```
    /// # use dormouse_graph::{Elementwise, Graph};
    /// # use dormouse_session::{Session, feeds};
    /// let graph = Graph::new();
    /// let y = graph.constant(vec![1.0_f32; 1000]).exp();
    /// let session = Session::new(&graph)?;
    /// let (_, trace) = session.trace(y, feeds![])?;
    /// println!("{}", trace.table(None));
    /// # Ok::<(), dormouse_session::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn trace<'a, F: Fetches>(&self, fetches: F, feeds: impl IntoFeeds<'a>) -> Result<(F::Output, Trace)> {
        let mut targets = Targets::default();
        let layout = fetches.resolve(&mut targets);
        let recorder = Recorder::new();
        let values = self.inner.run(&targets.0, feeds.into_feeds().0.into_iter(), Some(&recorder))?;
        Ok((layout.assemble(&mut values.into_iter()), recorder.into_trace()))
    }
}

impl<L: Layout> Step<L> {
    /// Runs as [`Step::run`] does, and says when it did what.
    ///
    /// # Errors
    /// As [`Step::run`].
    pub fn trace<'a>(&self, arguments: impl Arguments<'a>) -> Result<(L::Output, Trace)> {
        let recorder = Recorder::new();
        let output = self.run_recorded(arguments, Some(&recorder))?;
        Ok((output, recorder.into_trace()))
    }
}

impl Trace {
    /// The steps, in the order of the plan.
    pub fn steps(&self) -> &[TracedStep] {
        &self.steps
    }

    /// From the beginning of the run to the end of its last tile.
    pub fn elapsed(&self) -> Duration {
        self.tiles.iter().map(|tile| tile.end).max().unwrap_or_default()
    }

    /// The steps as text, those that took longest first: time on all threads, its share, GFLOP/s and GB/s a thread, and, with
    /// a [`Peak`], how near that is to it.
    pub fn table(&self, peak: Option<&Peak>) -> String {
        let mut steps: Vec<&TracedStep> = self.steps.iter().collect();
        steps.sort_by_key(|step| std::cmp::Reverse(step.busy));
        let all: Duration = steps.iter().map(|s| s.busy).sum();
        let micros = |time: Duration| time.as_nanos() as f64 / 1e3;
        let mut text =
            format!("{} steps: {:.1} µs, {:.1} µs on all threads\n", steps.len(), micros(self.elapsed()), micros(all));
        let of_peak = if peak.is_some() { "  of peak" } else { "" };
        let _ = writeln!(text, "        µs  share  GFLOP/s    GB/s{of_peak}  step");
        for step in steps {
            let share = 100.0 * step.nanos() / (all.as_nanos() as f64).max(1.0);
            let near = peak.map_or_else(String::new, |peak| format!("  {:6.0}%", 100.0 * step.share_of(peak)));
            let _ = writeln!(
                text,
                "{:10.1} {share:5.1}% {:8.1} {:7.1}{near}  {}  {}",
                micros(step.busy),
                step.gflops(),
                step.gigabytes(),
                step.name,
                step.source
            );
        }
        text
    }

    /// The tiles in the JSON that Chrome's `about:tracing` and Perfetto open: one row a thread.
    pub fn to_chrome_json(&self) -> String {
        let events: Vec<serde_json::Value> = self.tiles.iter().map(|tile| self.event(tile)).collect();
        json!({ "traceEvents": events }).to_string()
    }

    fn event(&self, tile: &TracedTile) -> serde_json::Value {
        let step = &self.steps[tile.step];
        let micros = |time: Duration| time.as_nanos() as f64 / 1e3;
        json!({
            "ph": "X",
            "pid": 0,
            "tid": tile.worker,
            "ts": micros(tile.start),
            "dur": micros(tile.end.saturating_sub(tile.start)),
            "name": step.name,
            "args": { "phase": tile.phase, "tile": tile.tile, "source": step.source },
        })
    }
}

/// When a tile ran, as a frame keeps it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ran {
    pub(crate) step: usize,
    pub(crate) phase: usize,
    pub(crate) tile: usize,
    pub(crate) worker: usize,
    pub(crate) start: Instant,
    pub(crate) end: Instant,
}

/// Collects what the stages of a run did.
#[derive(Debug)]
pub(crate) struct Recorder {
    begin: Instant,
    trace: RefCell<Trace>,
}

impl Recorder {
    fn new() -> Self {
        Recorder { begin: Instant::now(), trace: RefCell::default() }
    }

    /// Adds a stage.
    pub(crate) fn add(&self, graph: &Frozen, plan: &Plan, ran: &[Ran]) {
        let mut trace = self.trace.borrow_mut();
        let before = trace.steps.len();
        for step in &plan.steps {
            let place = place(graph, step.node);
            trace.steps.push(TracedStep {
                name: place.name,
                source: place.source.map_or_else(String::new, |source| source.to_string()),
                flops: step.kernel.cost.flops,
                bytes: step.kernel.cost.bytes,
                busy: Duration::ZERO,
                start: Duration::MAX,
                end: Duration::ZERO,
                expected: Duration::from_nanos(step.kernel.cost.nanos as u64),
            });
        }
        for ran in ran {
            let (start, end) = (ran.start.duration_since(self.begin), ran.end.duration_since(self.begin));
            let step = &mut trace.steps[before + ran.step];
            step.busy += end.saturating_sub(start);
            step.start = step.start.min(start);
            step.end = step.end.max(end);
            let Ran { phase, tile, worker, .. } = *ran;
            trace.tiles.push(TracedTile { step: before + ran.step, phase, tile, worker, start, end });
        }
        for step in &mut trace.steps[before..] {
            step.start = step.start.min(step.end);
        }
    }

    fn into_trace(self) -> Trace {
        self.trace.into_inner()
    }
}
