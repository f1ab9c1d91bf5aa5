//! Sessions: the one mutable thing. A session holds a frozen graph, its variables and the plans of what was asked.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwapOption;
use dormouse_graph::{Frozen, Graph, GraphId, NodeId, NodeKind, OperationId, Output, TensorId};
use dormouse_kernels::Spec;
use dormouse_value::Value;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::buffer::Buffer;
use crate::custom::is_computing;
use crate::error::{Kind, Result};
use crate::execute::{Given, Surroundings, Values, execute, execute_within, first_drawn, give_back};
use crate::explain;
use crate::feed::{Arguments, Feed, FeedKeys, Feeds, IntoFeeds};
use crate::fetch::{Fetches, Layout, Target, Targets};
use crate::frame::OWN_ARENA;
use crate::kernels::Compiler;
use crate::lower::{Lowered, Request, lower, place};
use crate::options::SessionOptions;
use crate::passes;
use crate::plan::Plan;
use crate::report::Memory;
use crate::stage::Progress;
use crate::store::Store;
use crate::team::Team;
use crate::trace::Recorder;

/// Plans that a session keeps; of more, one goes that was not asked for of late.
const PLANS: usize = 64;
/// Plans that a thread finds without asking others.
const LAST: usize = 4;
/// Bytes of arenas that a session keeps between runs; one it keeps in any case.
const ARENA_BYTES: usize = 1 << 30;

/// Runs a graph, as it was when the session was made. Runs take `&self`, from any number of threads.
#[derive(Debug)]
pub struct Session {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    /// Tells the plans of one session from another's.
    number: u64,
    options: SessionOptions,
    pub(crate) graph: Frozen,
    /// The place of each random node's counter.
    pub(crate) generators: FxHashMap<NodeId, usize>,
    pub(crate) store: Arc<Store>,
    team: Arc<Team>,
    plans: Mutex<VecDeque<Arc<Plan>>>,
    arenas: Mutex<Vec<Buffer>>,
}

/// What a session has been asked before: fetches and feeds resolved once, run with the feeds' values in order.
#[derive(Debug)]
pub struct Step<L> {
    inner: Arc<Inner>,
    fetches: Vec<Target>,
    keys: Vec<Target>,
    layout: L,
    /// The plan of the last run.
    plan: ArcSwapOption<Plan>,
}

thread_local! {
    /// The plans that this thread ran last, with their sessions' numbers.
    static PLANS_OF_THREAD: RefCell<Vec<(u64, Weak<Plan>)>> = const { RefCell::new(Vec::new()) };
}

impl Session {
    /// A session of a graph. Its variables have no values until their initializers run.
    ///
    /// # Errors
    /// Every mistake that building recorded.
    pub fn new(graph: &Graph) -> Result<Session> {
        Session::with_options(graph, SessionOptions::default())
    }

    /// A session that runs as the options say.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn with_options(graph: &Graph, options: SessionOptions) -> Result<Session> {
        let (graph, store) = (graph.freeze()?, Arc::new(Store::new()));
        Ok(Session { inner: Arc::new(Inner::new(graph, store, Team::of(options.threads), options)) })
    }

    /// Takes in what was built since. Variables, counters and prepared steps stay.
    ///
    /// # Errors
    /// Every mistake that building recorded, and when the graph is another one. The session stays as it was.
    pub fn extend(&mut self, graph: &Graph) -> Result<()> {
        let graph = graph.freeze()?;
        if graph.id() != self.inner.graph.id() {
            return Err(Kind::NotExtended.into());
        }
        let (store, team) = (Arc::clone(&self.inner.store), Arc::clone(&self.inner.team));
        self.inner = Arc::new(Inner::new(graph, store, team, self.inner.options));
        Ok(())
    }

    /// Runs what the fetches need, and gives their values in the shape they were asked for.
    ///
    /// # Errors
    /// When a name or a feed does not fit the graph, a placeholder is not fed, a variable is not initialized, or the
    /// numbers do not allow a result. No variable has changed then.
    pub fn run<'a, F: Fetches>(&self, fetches: F, feeds: impl IntoFeeds<'a>) -> Result<F::Output> {
        let mut targets = Targets::default();
        let layout = fetches.resolve(&mut targets);
        let values = self.inner.run(&targets.0, feeds.into_feeds().0.into_iter(), None)?;
        Ok(layout.assemble(&mut values.into_iter()))
    }

    /// A step that runs these fetches with these feeds, whose values each run gives in this order.
    ///
    /// # Errors
    /// When a name is not the graph's.
    pub fn prepare<F: Fetches>(&self, fetches: F, inputs: impl FeedKeys) -> Result<Step<F::Layout>> {
        let mut targets = Targets::default();
        let layout = fetches.resolve(&mut targets);
        let mut keys = inputs.keys();
        for target in targets.0.iter_mut().chain(&mut keys) {
            *target = self.inner.resolve(target)?.into_target(self.inner.graph.id());
        }
        let (inner, fetches) = (Arc::clone(&self.inner), targets.0.into_vec());
        Ok(Step { inner, fetches, keys, layout, plan: ArcSwapOption::empty() })
    }
}

impl<L: Layout> Step<L> {
    /// Runs the step with the feeds' values, in the order of [`Session::prepare`].
    ///
    /// # Errors
    /// As [`Session::run`], and when there are not as many values as feeds.
    pub fn run<'a>(&self, arguments: impl Arguments<'a>) -> Result<L::Output> {
        self.run_recorded(arguments, None)
    }

    /// Runs the step, and writes what it computes to `results`: one for each tensor fetched, in their order. Where a result has
    /// the tensor's dtype and shape already, its elements are overwritten, so that a run of small tensors allocates nothing;
    /// others are replaced. After an error, the elements are not to be relied upon.
    ///
    /// # Errors
    /// As [`Step::run`], and when there are not as many results as tensors fetched.
    pub fn run_into<'a>(&self, arguments: impl Arguments<'a>, results: &mut [Value]) -> Result<()> {
        let expected = self.fetches.iter().filter(|target| matches!(target, Target::Tensor(_))).count();
        if results.len() != expected {
            return Err(Kind::Results { expected, got: results.len() }.into());
        }
        let (mut values, mut places) = (FedValues::new(), Places::new());
        self.values(arguments, &mut values)?;
        let last = self.plan.load();
        let fitting = last.as_ref().filter(|plan| fitting(plan, &values, &mut places));
        let (mut given, mut own) = (SmallVec::<[Given; 2]>::new(), Values::new());
        if let Some(plan) = fitting {
            if is_computing(self.inner.address()) {
                return Err(Kind::Nested.into());
            }
            for (result, planned) in results.iter_mut().zip(&plan.results) {
                let fits = result.dtype() == planned.spec.dtype && result.shape() == planned.spec.dims.as_slice();
                given.push(if fits { result.as_mut_ptr().and_then(NonNull::new) } else { None });
            }
            self.inner.run_whole(plan, &places, &given, None, &mut own)?;
        } else {
            self.run_planned(values, None, &mut own)?;
        }
        let without = results.iter_mut().enumerate().filter(|(i, _)| given.get(*i).copied().flatten().is_none());
        without.zip(own).for_each(|((_, result), value)| *result = value);
        Ok(())
    }

    /// What a run with these values takes in memory. Nothing is run.
    ///
    /// # Errors
    /// As [`Session::memory`], and when there are not as many values as feeds.
    pub fn memory<'a>(&self, arguments: impl Arguments<'a>) -> Result<Memory> {
        let mut values = FedValues::new();
        self.values(arguments, &mut values)?;
        self.inner.memory(&self.fetches, self.keys.iter().cloned().zip(values))
    }

    /// Runs, and tells a recorder what the run did.
    ///
    /// # Errors
    /// As [`Step::run`].
    pub(crate) fn run_recorded<'a>(
        &self,
        arguments: impl Arguments<'a>,
        recorder: Option<&Recorder>,
    ) -> Result<L::Output> {
        let (mut values, mut places, mut results) = (FedValues::new(), Places::new(), Values::new());
        self.values(arguments, &mut values)?;
        let last = self.plan.load();
        let fitting = last.as_ref().filter(|plan| fitting(plan, &values, &mut places));
        if let Some(plan) = fitting {
            if is_computing(self.inner.address()) {
                return Err(Kind::Nested.into());
            }
            self.inner.run_whole(plan, &places, &[], recorder, &mut results)?;
        } else {
            self.run_planned(values, recorder, &mut results)?;
        }
        Ok(self.layout.assemble(&mut results.into_iter()))
    }

    /// Adds the feeds' values, as many as there are feeds, to `values`, which are large to hand back.
    fn values<'a>(&self, arguments: impl Arguments<'a>, values: &mut FedValues<'a>) -> Result<()> {
        arguments.each(&mut |value| values.push(value));
        if values.len() != self.keys.len() {
            return Err(Kind::Arguments { expected: self.keys.len(), got: values.len() }.into());
        }
        Ok(())
    }

    /// Runs a plan that is looked for, or made, and keeps it for the next run.
    fn run_planned(&self, values: FedValues<'_>, recorder: Option<&Recorder>, results: &mut Values) -> Result<()> {
        let feeds = self.keys.iter().cloned().zip(values);
        let plan = self.inner.run_planned(&self.fetches, feeds, recorder, results)?;
        self.plan.store(Some(plan));
        Ok(())
    }
}

/// The values of a step's feeds.
type FedValues<'a> = SmallVec<[Feed<'a>; 4]>;

/// Where feeds lie.
type Places = SmallVec<[*const u8; 4]>;

/// Whether a plan that is a whole run was made for these feeds' dtypes and shapes and they are in row-major order; where they
/// lie is added to `places`.
fn fitting(plan: &Plan, values: &[Feed<'_>], places: &mut Places) -> bool {
    plan.next.is_none()
        && values.iter().zip(&plan.request.feeds).all(|(value, (_, spec))| {
            let (dtype, shape, bytes) = match value {
                Feed::Owned(value) => (value.dtype(), value.shape(), value.as_bytes()),
                Feed::View(view) => (view.dtype(), view.shape(), view.as_bytes()),
                Feed::Weak(_) => return false,
            };
            let fits = dtype == spec.dtype && shape == spec.dims.as_slice();
            places.extend(bytes.filter(|_| fits).map(<[u8]>::as_ptr));
            fits && bytes.is_some()
        })
}

/// A target, looked up.
enum Resolved {
    Tensor(Output),
    Operation(NodeId),
}

impl Resolved {
    fn into_target(self, graph: GraphId) -> Target {
        match self {
            Resolved::Tensor(output) => Target::Tensor(TensorId { graph, output }),
            Resolved::Operation(node) => Target::Operation(OperationId { graph, node }),
        }
    }
}

impl Inner {
    fn new(graph: Frozen, store: Arc<Store>, team: Arc<Team>, options: SessionOptions) -> Inner {
        static SESSIONS: AtomicU64 = AtomicU64::new(0);
        let random = graph.nodes().iter().enumerate().filter(|(_, n)| matches!(n.kind, NodeKind::Random { .. }));
        let generators: FxHashMap<NodeId, usize> =
            random.enumerate().map(|(place, (node, _))| (NodeId(node as u32), place)).collect();
        store.grow(graph.variables().len(), generators.len());
        Inner {
            number: SESSIONS.fetch_add(1, Ordering::Relaxed),
            options,
            graph,
            generators,
            store,
            team,
            plans: Mutex::new(VecDeque::new()),
            arenas: Mutex::new(Vec::new()),
        }
    }

    /// What tells a session from others, however often it was extended.
    fn address(&self) -> usize {
        Arc::as_ptr(&self.store) as usize
    }

    fn check(&self, what: &'static str, graph: GraphId, node: NodeId) -> Result<()> {
        if graph != self.graph.id() {
            return Err(Kind::OtherGraph { what, name: format!("number {}", node.0) }.into());
        }
        if node == NodeId(u32::MAX) {
            return Err(Kind::Dropped { what }.into());
        }
        if self.graph.node(node).is_none() {
            return Err(Kind::AddedLater { what, name: format!("number {}", node.0) }.into());
        }
        Ok(())
    }

    fn resolve(&self, target: &Target) -> Result<Resolved> {
        match target {
            Target::Tensor(id) => {
                self.check("tensor", id.graph, id.output.node)?;
                Ok(Resolved::Tensor(id.output))
            }
            Target::Operation(id) => {
                self.check("operation", id.graph, id.node)?;
                Ok(Resolved::Operation(id.node))
            }
            Target::Name(name) => self.graph.find_output(name).map(Resolved::Tensor).ok_or_else(|| {
                let node = name.split(':').next().and_then(|n| self.graph.find(n)).and_then(|n| self.graph.node(n));
                let hint = node.map_or_else(String::new, |n| {
                    format!("; node {:?} gives {} tensors, numbered from 0", n.name, n.facts.len())
                });
                Kind::UnknownTensor { name: name.to_string(), hint }.into()
            }),
            Target::OperationName(name) => self
                .graph
                .find(name)
                .map(Resolved::Operation)
                .ok_or_else(|| Kind::UnknownOperation { name: name.to_string() }.into()),
        }
    }

    /// Runs, and tells a recorder what the run did.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub(crate) fn run<'a>(
        &self,
        fetches: &[Target],
        feeds: impl Iterator<Item = (Target, Feed<'a>)>,
        recorder: Option<&Recorder>,
    ) -> Result<Values> {
        let mut results = Values::new();
        self.run_planned(fetches, feeds, recorder, &mut results)?;
        Ok(results)
    }

    /// As [`Inner::run`], with the plan that was run first.
    ///
    /// # Errors
    /// As [`Session::run`].
    fn run_planned<'a>(
        &self,
        fetches: &[Target],
        feeds: impl Iterator<Item = (Target, Feed<'a>)>,
        recorder: Option<&Recorder>,
        results: &mut Values,
    ) -> Result<Arc<Plan>> {
        if is_computing(self.address()) {
            return Err(Kind::Nested.into());
        }
        let (request, fed) = self.request(fetches, feeds)?;
        let plan = self.plan(request, None)?;
        if plan.next.is_some() {
            results.extend(self.run_in_stages(Arc::clone(&plan), fed, recorder)?);
        } else {
            let pointers: Places = fed.iter().map(Fed::as_ptr).collect();
            self.run_whole(&plan, &pointers, &[], recorder, results)?;
        }
        Ok(plan)
    }

    /// Runs a plan that is a whole run, as [`execute`] does.
    ///
    /// # Errors
    /// As [`execute`].
    fn run_whole(
        &self,
        plan: &Arc<Plan>,
        feeds: &[*const u8],
        given: &[Given],
        recorder: Option<&Recorder>,
        results: &mut Values,
    ) -> Result<()> {
        if !plan.recent.load(Ordering::Relaxed) {
            plan.recent.store(true, Ordering::Relaxed);
        }
        let around = Surroundings { graph: &self.graph, store: &self.store, team: &self.team, recorder };
        if plan.arena <= OWN_ARENA {
            return execute(around, plan, feeds, None, given, results);
        }
        let arena = self.arena(plan.arena)?;
        let outcome = execute(around, plan, feeds, Some(&arena), given, results);
        self.keep(arena);
        outcome
    }

    /// Runs a plan that is not the whole run, and those that come after it. No variable changes before the last.
    fn run_in_stages(
        &self,
        first: Arc<Plan>,
        mut fed: SmallVec<[Fed<'_>; 4]>,
        recorder: Option<&Recorder>,
    ) -> Result<Values> {
        let around = Surroundings { graph: &self.graph, store: &self.store, team: &self.team, recorder };
        let Some(next) = &first.next else { return Ok(Values::new()) };
        let mut visit = self.store.enter(&next.writes, true);
        let (mut plan, mut progress) = (Arc::clone(&first), Progress::default());
        let mut drawn: Vec<(Arc<Plan>, usize, u64)> = Vec::new();
        let outcome = loop {
            let pointers: Places = fed.iter().map(Fed::as_ptr).collect();
            let outcome = self.arena(plan.arena).and_then(|arena| {
                let mut results = Values::new();
                let outcome = execute_within(around, &mut visit, &plan, &pointers, Some(&arena), &[], &mut results);
                if outcome.is_ok() {
                    drawn.extend((0..plan.draws.len()).map(|i| (Arc::clone(&plan), i, first_drawn(&plan, i, &arena))));
                }
                self.keep(arena);
                outcome.map(|()| results)
            });
            let (Some(next), Ok(results)) = (&plan.next, &outcome) else { break outcome };
            let advanced = next.advance(&self.graph, self.address(), &progress, results.to_vec()).and_then(
                |(ahead, more, outcome)| {
                    let mut request = plan.request.clone();
                    request.outcomes.push(outcome);
                    self.plan(request, Some(&ahead)).map(|plan| (plan, ahead, more))
                },
            );
            match advanced {
                Ok((following, ahead, more)) => {
                    fed.extend(more.into_iter().map(Fed::Owned));
                    (plan, progress) = (following, ahead);
                }
                Err(error) => break Err(error),
            }
        };
        if outcome.is_err() {
            drawn.into_iter().rev().for_each(|(plan, draw, first)| give_back(&plan, draw, first));
        }
        outcome
    }

    /// What a plan is made for, and the feeds as the run reads them.
    fn request<'a>(
        &self,
        fetches: &[Target],
        feeds: impl Iterator<Item = (Target, Feed<'a>)>,
    ) -> Result<(Request, SmallVec<[Fed<'a>; 4]>)> {
        let mut request = Request::default();
        for target in fetches {
            match self.resolve(target)? {
                Resolved::Tensor(output) => request.fetches.push(output),
                Resolved::Operation(node) => request.targets.push(node),
            }
        }
        let mut fed = SmallVec::<[Fed<'_>; 4]>::new();
        for (target, feed) in feeds {
            let output = match self.resolve(&target)? {
                Resolved::Tensor(output) => output,
                Resolved::Operation(node) => {
                    let place = place(&self.graph, node);
                    return Err(
                        Kind::Node { place, message: "an operation cannot be fed; feed a tensor".into() }.into()
                    );
                }
            };
            let feed = self.checked(output, feed)?;
            let spec = match &feed {
                Fed::Owned(value) => Spec::new(value.dtype(), value.shape()),
                Fed::View(view) => Spec::new(view.dtype(), view.shape()),
            };
            if request.feeds.iter().any(|f| f.0 == output) {
                return Err(Kind::FedTwice { name: self.graph.output_name(output) }.into());
            }
            request.feeds.push((output, spec));
            fed.push(feed);
        }
        Ok((request, fed))
    }

    pub(crate) fn explain(&self, fetches: &[Target], feeds: Feeds<'_>) -> Result<String> {
        let (request, _) = self.request(fetches, feeds.0.into_iter())?;
        let mut lowered = lower(&self.graph, &request, &Progress::default(), &self.generators, self.options)?;
        let program = &mut lowered.program;
        let mut last = explain::program(&self.graph, program);
        let mut text = format!("program\n{last}");
        passes::optimize(program, self.options.optimize, |pass, program| {
            let now = explain::program(&self.graph, program);
            text.push_str("after ");
            text.push_str(pass);
            text.push_str(if now == last { ": the same\n" } else { "\n" });
            text.push_str(if now == last { "" } else { &now });
            last = now;
        });
        let plan = self.compile(request, lowered)?;
        if plan.next.is_some() {
            text.push_str("this is a stage: the rest is planned by the numbers that it returns\n");
        }
        Ok(text + "plan: " + &explain::plan(&self.graph, &plan))
    }

    /// What a run takes in memory.
    ///
    /// # Errors
    /// As [`Session::memory`].
    pub(crate) fn memory<'a>(
        &self,
        fetches: &[Target],
        feeds: impl Iterator<Item = (Target, Feed<'a>)>,
    ) -> Result<Memory> {
        let (request, _) = self.request(fetches, feeds)?;
        let mut lowered = lower(&self.graph, &request, &Progress::default(), &self.generators, self.options)?;
        passes::optimize(&mut lowered.program, self.options.optimize, |_, _| {});
        Ok(Memory::of(&self.graph, &self.compile(request, lowered)?))
    }

    fn compile(&self, request: Request, lowered: Lowered) -> Result<Plan> {
        let counter = |generator: usize| self.store.counter(generator);
        let SessionOptions { optimize, memory_limit, .. } = self.options;
        let compiler = Compiler { threads: self.team.threads(), session: self.address(), optimize, memory_limit };
        Plan::new(&self.graph, request, lowered, compiler, counter)
    }

    /// A feed of the dtype and of a shape that the tensor takes, in row-major order.
    fn checked<'a>(&self, output: Output, feed: Feed<'a>) -> Result<Fed<'a>> {
        let fact = self
            .graph
            .fact(output)
            .ok_or_else(|| Kind::UnknownTensor { name: self.graph.output_name(output), hint: String::new() })?;
        let name = || self.graph.output_name(output);
        let feed = match feed {
            Feed::Owned(value) => Fed::Owned(value.to_standard_layout()),
            Feed::View(view) if view.as_bytes().is_some() => Fed::View(view),
            Feed::View(view) => Fed::Owned(view.to_value().to_standard_layout()),
            Feed::Weak(number) => Fed::Owned(number.to_value(fact.dtype).ok_or_else(|| Kind::FeedNumber {
                name: name(),
                expected: fact.dtype,
                number: number.to_string(),
            })?),
        };
        let (dtype, shape) = match &feed {
            Fed::Owned(value) => (value.dtype(), value.shape()),
            Fed::View(view) => (view.dtype(), view.shape()),
        };
        if dtype != fact.dtype {
            return Err(Kind::FeedDType { name: name(), expected: fact.dtype, got: dtype }.into());
        }
        if !fact.shape.accepts(shape) {
            return Err(Kind::FeedShape { name: name(), expected: fact.shape.clone(), got: shape.to_vec() }.into());
        }
        Ok(feed)
    }

    /// The plan of a request: this thread's, the session's, or a new one, for a run that is so far.
    fn plan(&self, request: Request, progress: Option<&Progress>) -> Result<Arc<Plan>> {
        let mine = PLANS_OF_THREAD.with_borrow(|plans| {
            let mut mine = plans.iter().filter(|(session, _)| *session == self.number);
            mine.find_map(|(_, plan)| plan.upgrade().filter(|p| p.request == request))
        });
        if let Some(plan) = mine {
            return Ok(plan);
        }
        let plan = self.shared_plan(request, progress)?;
        plan.recent.store(true, Ordering::Relaxed);
        PLANS_OF_THREAD.with_borrow_mut(|plans| {
            plans.truncate(LAST - 1);
            plans.insert(0, (self.number, Arc::downgrade(&plan)));
        });
        Ok(plan)
    }

    fn shared_plan(&self, request: Request, progress: Option<&Progress>) -> Result<Arc<Plan>> {
        let find = |plans: &VecDeque<Arc<Plan>>| plans.iter().find(|plan| plan.request == request).map(Arc::clone);
        let plans = || self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = find(&plans()) {
            return Ok(plan);
        }
        let start = Progress::default();
        let progress = progress.unwrap_or(&start);
        let mut lowered = lower(&self.graph, &request, progress, &self.generators, self.options)?;
        passes::optimize(&mut lowered.program, self.options.optimize, |_, _| {});
        let plan = Arc::new(self.compile(request, lowered)?);
        let mut plans = plans();
        while plans.len() >= PLANS {
            match plans.pop_front() {
                Some(plan) if plan.recent.swap(false, Ordering::Relaxed) => plans.push_back(plan),
                Some(_) | None => {}
            }
        }
        plans.push_back(Arc::clone(&plan));
        Ok(plan)
    }

    /// An arena of so many bytes: of those kept, the smallest that is large enough.
    fn arena(&self, bytes: usize) -> Result<Buffer> {
        let mut arenas = self.arenas.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = arenas.iter().enumerate().filter(|(_, a)| a.len() >= bytes);
        if let Some((i, _)) = fitting.min_by_key(|(_, a)| a.len()) {
            return Ok(arenas.swap_remove(i));
        }
        drop(arenas);
        Buffer::new(bytes)
    }

    fn keep(&self, arena: Buffer) {
        let mut arenas = self.arenas.lock().unwrap_or_else(PoisonError::into_inner);
        let kept: usize = arenas.iter().map(Buffer::len).sum();
        if arenas.is_empty() || kept + arena.len() <= ARENA_BYTES {
            arenas.push(arena);
        }
    }
}

/// A feed as the run reads it.
enum Fed<'a> {
    Owned(Value),
    View(dormouse_value::ValueView<'a>),
}

impl Fed<'_> {
    fn as_ptr(&self) -> *const u8 {
        let bytes = match self {
            Fed::Owned(value) => value.as_bytes(),
            Fed::View(view) => view.as_bytes(),
        };
        bytes.expect("feeds are in row-major order, as was checked").as_ptr()
    }
}
