//! Files of our own: graphs, checkpoints, and bundles, which are whole training steps.
//!
//! ```
//! use dormouse_graph::Graph;
//! use dormouse_io::Saver;
//! use dormouse_session::{Session, feeds};
//!
//! let folder = tempfile::tempdir()?;
//! let graph = Graph::new();
//! let w = graph.variable([1.0_f32, 2.0]).named("w");
//! let update = w.assign_add(w);
//! let session = Session::new(&graph)?;
//! session.run(w.initializer(), feeds![])?;
//!
//! let saver = Saver::new();
//! let path = saver.save(&session, folder.path().join("model.ckpt"), 1000)?;
//! assert!(path.ends_with("model.ckpt-1000"));
//! session.run(update, feeds![])?;
//! saver.restore(&session, path)?;
//! assert_eq!(session.run(w, feeds![])?.to_vec::<f32>()?, [1.0, 2.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `container` is the frame of every file: sections with check sums, of which `array` makes those that hold numbers and
//! `codec` those that hold records. `graph`, `checkpoint`, `extras` and `signature` say which records a file has; `saver` and
//! `bundle` are what programs use of them, `graph` as well; `state` remembers which checkpoint is the newest; `durable`
//! puts bytes on the disk. The format is written down in `docs/file-format.md`.
//!
//! # Invariants
//! - No bytes, whatever they are, make a reader panic, or allocate more than a fixed multiple of their number.
//! - Nothing that a file says of a shape is believed: graphs are inferred and verified again.
//! - No file is ever seen half written: a path holds the old content or the new.
//! - `bincode` is named in `codec` only.

#![forbid(unsafe_code)]

mod array;
mod bundle;
mod checkpoint;
mod codec;
mod container;
mod durable;
mod error;
mod extras;
mod graph;
mod saver;
mod signature;
mod state;

pub use bundle::{Bundle, BundleBuilder};
pub use checkpoint::Checkpoint;
pub use error::{Error, Result};
pub use extras::Extras;
pub use graph::{Freeze, decode_graph, encode_graph, load_graph, save_graph};
pub use saver::{GlobalStep, Matching, Mismatch, Report, Saver, VariableMap};
pub use signature::Signature;
pub use state::{CheckpointState, checkpoint_state, latest_checkpoint};
