//! Scheduling: which steps wait for which, which run next to each other, and in what order of urgency.
//!
//! A step waits for those whose results it reads and for the last users of the place it writes. The graph of these
//! waits is a petgraph DAG whose node numbers are the steps'; every edge goes from a step to a later one.

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use smallvec::SmallVec;

/// A chain of steps, of which each waits for the one before alone, is one task while it takes no longer than this.
const CHAIN_NANOS: f64 = 5_000.0;
/// A step that takes less is not shared by several threads.
const SHARED_NANOS: f64 = 10_000.0;

/// What a step takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    /// Nanoseconds on one core.
    pub(crate) nanos: f64,
    /// The most tiles that may run at one time.
    pub(crate) tiles: usize,
}

impl Work {
    fn is_shared(self) -> bool {
        self.tiles > 1 && self.nanos >= SHARED_NANOS
    }
}

/// Numbers of steps or tasks, of which most have one or two.
pub(crate) type Few = SmallVec<[u32; 4]>;

/// What one thread takes from the queue: a step whose tiles are shared, or a chain of steps that are not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Task {
    pub(crate) steps: Few,
    /// Whether other threads may take tiles of it.
    pub(crate) shared: bool,
    /// What its steps take on one core.
    pub(crate) nanos: f64,
    /// How many tasks it waits for.
    pub(crate) waits: u32,
    /// The tasks that wait for it.
    pub(crate) followers: Few,
    /// Its place in the order of urgency: more is first.
    pub(crate) urgency: u32,
}

impl Task {
    /// The same task of steps that are numbered from `start` on.
    pub(crate) fn moved(mut self, start: u32) -> Task {
        self.steps.iter_mut().for_each(|s| *s += start);
        self
    }
}

/// The waits of steps, numbered from 0.
#[derive(Debug)]
pub(crate) struct Waits {
    graph: DiGraph<Work, ()>,
}

impl Waits {
    pub(crate) fn new(works: impl ExactSizeIterator<Item = Work>) -> Self {
        // A step waits for two or three others.
        let mut graph = DiGraph::with_capacity(works.len(), 2 * works.len());
        for work in works {
            graph.add_node(work);
        }
        Waits { graph }
    }

    /// Makes step `after` wait for `before`.
    pub(crate) fn add(&mut self, before: u32, after: u32) {
        debug_assert!(before < after, "a step waits for earlier ones only");
        self.graph.add_edge(NodeIndex::new(before as usize), NodeIndex::new(after as usize), ());
    }

    /// How long the steps take on that many threads, at the least: their sum shared, or the longest path of waits.
    pub(crate) fn span(&self, threads: usize) -> f64 {
        let longest = self.to_end(threads).into_iter().fold(0.0, f64::max);
        longest.max(self.total() / threads.max(1) as f64)
    }

    /// How long the steps take on one thread.
    pub(crate) fn total(&self) -> f64 {
        self.graph.node_weights().map(|w| w.nanos).sum()
    }

    /// The time from each step's start to the end of all, were there always a thread free.
    fn to_end(&self, threads: usize) -> Vec<f64> {
        let mut to_end = vec![0.0_f64; self.graph.node_count()];
        for i in (0..to_end.len()).rev() {
            let index = NodeIndex::new(i);
            let work = self.graph[index];
            let beside = if work.is_shared() { work.tiles.min(threads).max(1) } else { 1 };
            let after = self.graph.neighbors(index).map(|n| to_end[n.index()]).fold(0.0, f64::max);
            to_end[i] = work.nanos / beside as f64 + after;
        }
        to_end
    }

    /// The steps as tasks. Tasks are numbered by their first steps' order.
    pub(crate) fn tasks(&self, threads: usize) -> Vec<Task> {
        let to_end = self.to_end(threads);
        let mut tasks: Vec<Task> = Vec::new();
        let mut counts: Vec<usize> = Vec::new();
        let mut of_step = Vec::with_capacity(to_end.len());
        for i in 0..to_end.len() {
            let index = NodeIndex::new(i);
            let work = self.graph[index];
            let mut before: Few =
                self.graph.edges_directed(index, Direction::Incoming).map(|e| of_step[e.source().index()]).collect();
            before.sort_unstable();
            before.dedup();
            if let &[only] = before.as_slice()
                && !work.is_shared()
                && !tasks[only as usize].shared
                && tasks[only as usize].nanos + work.nanos <= CHAIN_NANOS
            {
                tasks[only as usize].nanos += work.nanos;
                counts[only as usize] += 1;
                of_step.push(only);
                continue;
            }
            let number = tasks.len() as u32;
            for task in &before {
                tasks[*task as usize].followers.push(number);
            }
            tasks.push(Task {
                steps: Few::new(),
                shared: work.is_shared(),
                nanos: work.nanos,
                waits: before.len() as u32,
                followers: Few::new(),
                urgency: 0,
            });
            counts.push(1);
            of_step.push(number);
        }
        for (step, task) in of_step.into_iter().enumerate() {
            let steps = &mut tasks[task as usize].steps;
            if steps.is_empty() {
                steps.reserve_exact(counts[task as usize]);
            }
            steps.push(step as u32);
        }
        let mut order: Vec<u32> = (0..tasks.len() as u32).collect();
        let first = |task: &u32| to_end[tasks[*task as usize].steps[0] as usize];
        order.sort_unstable_by(|a, b| first(a).total_cmp(&first(b)).then(b.cmp(a)));
        for (urgency, task) in order.into_iter().enumerate() {
            tasks[task as usize].urgency = urgency as u32;
        }
        tasks
    }
}

#[cfg(test)]
mod tests {
    use petgraph::algo::toposort;
    use proptest::prelude::*;

    use super::*;

    fn waits(works: &[(f64, usize)], edges: &[(u32, u32)]) -> Waits {
        let mut waits = Waits::new(works.iter().map(|(nanos, tiles)| Work { nanos: *nanos, tiles: *tiles }));
        for (before, after) in edges {
            waits.add(*before, *after);
        }
        waits
    }

    #[test]
    fn a_cheap_chain_is_one_task_and_the_longer_branch_is_first() {
        // 0 → 1 → 2 (cheap), 3 → 4 (long), both → 5.
        let steps = [(100.0, 1), (100.0, 1), (100.0, 1), (50_000.0, 4), (50_000.0, 1), (100.0, 1)];
        let waits = waits(&steps, &[(0, 1), (1, 2), (3, 4), (2, 5), (4, 5)]);
        let tasks = waits.tasks(2);
        let steps: Vec<_> = tasks.iter().map(|t| (t.steps.as_slice(), t.shared, t.waits)).collect();
        let expected: [(&[u32], bool, u32); 4] =
            [(&[0, 1, 2], false, 0), (&[3], true, 0), (&[4], false, 1), (&[5], false, 2)];
        assert_eq!(steps, expected);
        assert!(tasks[1].urgency > tasks[0].urgency);
        assert!((waits.span(2) - 75_100.0).abs() < 1.0);
    }

    proptest! {
        /// Taking tasks whose waits are over, in any order, runs every step once and after all that it waits for.
        #[test]
        fn tasks_keep_the_order_of_the_graph(
            costs in prop::collection::vec((prop_oneof![Just(100.0), Just(4000.0), Just(40_000.0)], 1_usize..4), 1..40),
            edges in prop::collection::vec((0_u32..40, 0_u32..40), 0..120),
            picks in prop::collection::vec(0_usize..100, 40),
        ) {
            let count = costs.len() as u32;
            let edges: Vec<_> = edges.into_iter().filter(|(a, b)| a < b && *b < count).collect();
            let waits = waits(&costs, &edges);
            prop_assert!(toposort(&waits.graph, None).is_ok());
            let tasks = waits.tasks(2);
            let mut left: Vec<u32> = tasks.iter().map(|t| t.waits).collect();
            let mut ready: Vec<usize> = (0..tasks.len()).filter(|t| left[*t] == 0).collect();
            let mut ran: Vec<u32> = Vec::new();
            let mut turn = 0;
            while !ready.is_empty() {
                let task = ready.swap_remove(picks[turn % picks.len()] % ready.len());
                turn += 1;
                ran.extend(&tasks[task].steps);
                for follower in &tasks[task].followers {
                    left[*follower as usize] -= 1;
                    if left[*follower as usize] == 0 { ready.push(*follower as usize); }
                }
            }
            let mut sorted = ran.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..count).collect::<Vec<_>>());
            let place = |step: u32| ran.iter().position(|s| *s == step);
            prop_assert!(edges.iter().all(|(a, b)| place(*a) < place(*b)));
        }
    }
}
