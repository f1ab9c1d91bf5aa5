//! Sessions: the one mutable thing. A session holds a frozen graph, its variables and the plans of what was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use dormouse_graph::{Frozen, Graph, GraphId, NodeId, NodeKind, Output};
use dormouse_kernels::Spec;
use dormouse_value::Value;
use rustc_hash::FxHashMap;

use crate::buffer::Buffer;
use crate::error::{Kind, Result};
use crate::execute::execute;
use crate::feed::{Arguments, Feed, FeedKeys, Feeds, IntoFeeds};
use crate::fetch::{Fetches, Layout, Target};
use crate::lower::{Request, lower, place};
use crate::passes;
use crate::plan::Plan;
use crate::store::Store;

/// Plans that a session keeps; of more, the oldest goes.
const PLANS: usize = 64;
/// Arenas that a session keeps between runs.
const ARENAS: usize = 4;

/// Runs a graph, as it was when the session was made. Runs take `&self`, from any number of threads.
#[derive(Debug)]
pub struct Session {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) graph: Frozen,
    pub(crate) generators: FxHashMap<NodeId, usize>,
    pub(crate) store: Store,
    plans: Mutex<VecDeque<(Request, Arc<Plan>)>>,
    arenas: Mutex<Vec<Buffer>>,
}

/// What a session has been asked before: fetches and feeds resolved once, run with the feeds' values in order.
#[derive(Debug)]
pub struct Step<L> {
    inner: Arc<Inner>,
    fetches: Vec<Target>,
    keys: Vec<Target>,
    layout: L,
}

impl Session {
    /// A session of a graph. Its variables have no values until their initializers run.
    ///
    /// # Errors
    /// Every mistake that building recorded.
    pub fn new(graph: &Graph) -> Result<Session> {
        let graph = graph.freeze()?;
        let random = graph.nodes().iter().enumerate().filter(|(_, n)| matches!(n.kind, NodeKind::Random { .. }));
        let generators: FxHashMap<NodeId, usize> =
            random.enumerate().map(|(place, (node, _))| (NodeId(node as u32), place)).collect();
        let store = Store::new(graph.variables().len(), generators.len());
        let inner =
            Inner { graph, generators, store, plans: Mutex::new(VecDeque::new()), arenas: Mutex::new(Vec::new()) };
        Ok(Session { inner: Arc::new(inner) })
    }

    /// Runs what the fetches need, and gives their values in the shape they were asked for.
    ///
    /// # Errors
    /// When a name or a feed does not fit the graph, a placeholder is not fed, a variable is not initialized, or the
    /// numbers do not allow a result. No variable has changed then.
    pub fn run<'a, F: Fetches>(&self, fetches: F, feeds: impl IntoFeeds<'a>) -> Result<F::Output> {
        let mut targets = Vec::new();
        let layout = fetches.resolve(&mut targets);
        let values = self.inner.run(&targets, feeds.into_feeds())?;
        Ok(layout.assemble(&mut values.into_iter()))
    }

    /// A step that runs these fetches with these feeds, whose values each run gives in this order.
    ///
    /// # Errors
    /// When a name is not the graph's.
    pub fn prepare<F: Fetches>(&self, fetches: F, inputs: impl FeedKeys) -> Result<Step<F::Layout>> {
        let mut targets = Vec::new();
        let layout = fetches.resolve(&mut targets);
        let keys = inputs.keys();
        for target in targets.iter().chain(&keys) {
            self.inner.resolve(target)?;
        }
        Ok(Step { inner: Arc::clone(&self.inner), fetches: targets, keys, layout })
    }
}

impl<L: Layout> Step<L> {
    /// Runs the step with the feeds' values, in the order of [`Session::prepare`].
    ///
    /// # Errors
    /// As [`Session::run`], and when there are not as many values as feeds.
    pub fn run<'a>(&self, arguments: impl Arguments<'a>) -> Result<L::Output> {
        let mut values = Vec::with_capacity(self.keys.len());
        arguments.each(&mut |value| values.push(value));
        if values.len() != self.keys.len() {
            return Err(Kind::Arguments { expected: self.keys.len(), got: values.len() }.into());
        }
        let feeds = Feeds(self.keys.iter().cloned().zip(values).collect());
        let values = self.inner.run(&self.fetches, feeds)?;
        Ok(self.layout.assemble(&mut values.into_iter()))
    }
}

/// A target, looked up.
enum Resolved {
    Tensor(Output),
    Operation(NodeId),
}

impl Inner {
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

    fn run(&self, fetches: &[Target], feeds: Feeds<'_>) -> Result<Vec<Value>> {
        let mut request = Request::default();
        for target in fetches {
            match self.resolve(target)? {
                Resolved::Tensor(output) => request.fetches.push(output),
                Resolved::Operation(node) => request.targets.push(node),
            }
        }
        let mut fed = Vec::with_capacity(feeds.0.len());
        for (target, feed) in feeds.0 {
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
        let plan = self.plan(request)?;
        let pointers: Vec<*const u8> = fed.iter().map(Fed::as_ptr).collect();
        let arena = self.arena(plan.arena)?;
        let outcome = execute(&self.graph, &plan, &self.store, &pointers, &arena);
        let mut arenas = self.arenas.lock().unwrap_or_else(PoisonError::into_inner);
        if arenas.len() < ARENAS {
            arenas.push(arena);
        }
        outcome
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

    fn plan(&self, request: Request) -> Result<Arc<Plan>> {
        let find = |plans: &VecDeque<(Request, Arc<Plan>)>| {
            plans.iter().find(|(r, _)| *r == request).map(|(_, plan)| Arc::clone(plan))
        };
        if let Some(plan) = find(&self.plans.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(plan);
        }
        let mut program = lower(&self.graph, &request, &self.generators)?;
        passes::optimize(&mut program);
        let plan = Arc::new(Plan::new(&self.graph, program)?);
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if plans.len() == PLANS {
            plans.pop_front();
        }
        plans.push_back((request, Arc::clone(&plan)));
        Ok(plan)
    }

    fn arena(&self, bytes: usize) -> Result<Buffer> {
        let mut arenas = self.arenas.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(i) = arenas.iter().position(|a| a.len() >= bytes) {
            return Ok(arenas.swap_remove(i));
        }
        drop(arenas);
        Buffer::new(bytes)
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
