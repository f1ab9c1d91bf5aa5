//! Reports: what a request takes in memory, before it is run.

use std::fmt;

use dormouse_graph::{Frozen, Source};
use dormouse_kernels::Spec;
use dormouse_value::Value;

use crate::error::Result;
use crate::feed::IntoFeeds;
use crate::fetch::{Fetches, Targets};
use crate::lower::{place, variable_spec};
use crate::plan::{Location, Plan};
use crate::session::Session;

/// What a run takes in memory, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    /// The arena, which holds everything that is computed on the way to the results, and the scratch of kernels.
    pub arena: usize,
    /// The most of it that is in use at one time: no arena could be smaller for these steps in this order.
    pub live: usize,
    /// What of both is the scratch that each thread has for itself.
    pub scratch: usize,
    /// The variables that are read or written.
    pub variables: usize,
    /// Second buffers, for variables that are not written where they lie.
    pub second: usize,
    /// The constants.
    pub constants: usize,
    /// What is fed.
    pub feeds: usize,
    /// What is handed back.
    pub results: usize,
    /// The largest values among those that are in use when the most is, the largest first.
    pub largest: Vec<Living>,
}

/// A value that is in use when the most is.
#[derive(Clone, Debug, PartialEq)]
pub struct Living {
    /// The node that it is of, and the node that this is a gradient of.
    pub name: String,
    /// The file and line that the node was built at.
    pub source: Option<Source>,
    /// Its bytes.
    pub bytes: usize,
}

impl Session {
    /// What a run with these fetches and feeds takes in memory. Nothing is run.
    ///
    /// Where shapes depend on numbers, it is the first stage of the run that is told about.
    ///
    /// ```
    /// use dormouse_graph::{Array, Elementwise, Graph, Linalg, Reduction};
    /// use dormouse_session::{Session, feeds};
    /// let graph = Graph::new();
    /// let x = graph.zeros(&[1000, 10]).exp();
    /// let sum = x.matmul(x.transpose()).sum();
    /// let session = Session::new(&graph)?;
    /// let memory = session.memory(sum, feeds![])?;
    /// assert!(memory.arena < 5_000_000 && memory.live <= memory.arena);
    /// # Ok::<(), dormouse_session::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Session::run`], but for what only the numbers tell.
    pub fn memory<'a, F: Fetches>(&self, fetches: F, feeds: impl IntoFeeds<'a>) -> Result<Memory> {
        let mut targets = Targets::default();
        fetches.resolve(&mut targets);
        self.inner.memory(&targets.0, feeds.into_feeds().0.into_iter())
    }
}

impl Memory {
    pub(crate) fn of(graph: &Frozen, plan: &Plan) -> Memory {
        let mut variables: Vec<_> = plan.reads.iter().chain(&plan.writes).copied().collect();
        variables.sort_unstable();
        variables.dedup();
        let living = |(node, spec): &(_, Spec)| {
            let place = place(graph, *node);
            Living { name: place.name, source: place.source, bytes: spec.bytes() }
        };
        let own = plan.results.iter().filter(|result| !matches!(result.from, Location::ShapeOnly));
        Memory {
            arena: plan.arena,
            live: plan.most,
            scratch: plan.threads * plan.local_bytes,
            variables: variables.iter().map(|v| variable_spec(graph, *v).bytes()).sum(),
            second: plan.commits.iter().filter(|commit| !commit.in_place).map(|commit| commit.bytes).sum(),
            constants: plan.constants.iter().filter_map(Value::as_bytes).map(<[u8]>::len).sum(),
            feeds: plan.request.feeds.iter().map(|(_, spec)| spec.bytes()).sum(),
            results: own.map(|result| result.spec.bytes()).sum(),
            largest: plan.living.iter().map(living).collect(),
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Memory { arena, live, scratch, variables, second, constants, feeds, results, largest } = self;
        writeln!(f, "arena {arena}, at most {live} of it in use at one time, scratch {scratch}")?;
        writeln!(f, "variables {variables}, second buffers {second}, constants {constants}")?;
        writeln!(f, "feeds {feeds}, results {results}")?;
        for Living { name, source, bytes } in largest {
            match source {
                Some(source) => writeln!(f, "  {bytes:12} {name} ({source})")?,
                None => writeln!(f, "  {bytes:12} {name}")?,
            }
        }
        Ok(())
    }
}
