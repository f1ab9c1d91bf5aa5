//! Sessions: a frozen graph, its variables, and runs that take a request to values.
//!
//! ```
//! use dormouse_graph::Graph;
//! use dormouse_session::{Session, feeds};
//! let graph = Graph::new();
//! let sum = graph.constant([1.0_f32, 2.0]) + graph.constant([2.0_f32, 3.0]);
//! let session = Session::new(&graph)?;
//! assert_eq!(session.run(sum, feeds![])?.to_vec::<f32>()?, [3.0, 5.0]);
//! # Ok::<(), dormouse_session::Error>(())
//! ```
//!
//! `fetch` and `feed` take the question apart; `prune` finds what it needs of the graph, and `lower` makes a `program` of
//! it with every shape known, in `stage`s where a shape depends on numbers (`dynamic`); `passes`
//! make it a better one; `kernels` compiles its instructions, `plan` gives every value a place (`placing`, `memory`, and `rematerialize` where there is little) and says what waits for what
//! (`schedule`); `execute` runs it over the `store`, which holds the variables, on the calling thread or with the help
//! of a `team`. A `frame` is what one run of a plan has for itself. [`Session::explain`] shows all of it as text,
//! [`Session::trace`] when it ran.
//!
//! # Invariants
//! - A session borrows nothing of the graph it was made of.
//! - A run that fails has changed no variable.
//! - No number is computed here: kernels do that.

mod buffer;
mod constants;
mod custom;
mod dynamic;
mod error;
mod evaluate;
mod execute;
mod explain;
mod feed;
mod fetch;
mod frame;
mod kernels;
mod loops;
mod lower;
mod memory;
mod options;
mod passes;
mod placing;
mod plan;
mod program;
mod prune;
mod rematerialize;
mod report;
mod schedule;
mod session;
mod snapshot;
mod stage;
mod store;
mod team;
mod trace;

pub use error::{Error, Result};
pub use feed::{Arguments, Feed, FeedKey, FeedKeys, Feeds, IntoFeeds};
pub use fetch::{Fetches, Layout, Nothing, One, OperationName, Target, Targets, operation};
pub use options::{Optimize, SessionOptions};
pub use report::{Living, Memory};
pub use session::{Session, Step};
pub use snapshot::Snapshot;
pub use trace::{Peak, Trace, TracedStep};
