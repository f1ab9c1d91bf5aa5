//! Bundles: a training step as one file. Graph, variables, slots, random counters, step and signatures together are all
//! that a program needs to go on, without the code that built the model.

use std::collections::BTreeMap;
use std::path::Path;

use dormouse_graph::{Graph, OwnedGraph};
use dormouse_session::{IntoFeeds, Session, Snapshot, Target};
use dormouse_value::Value;

use crate::checkpoint::{self, Checkpoint};
use crate::container::{Container, Sections, Tag};
use crate::durable;
use crate::error::{Error, Kind, Result};
use crate::extras::Extras;
use crate::graph;
use crate::saver::GlobalStep;
use crate::signature::{self, Signature, find};

/// A graph, a session of it with its variables restored, and named signatures: what a file holds that
/// [`Bundle::builder`] or [`Bundle::save`] wrote.
///
/// ```
/// use dormouse_graph::Graph;
/// use dormouse_io::{Bundle, Signature};
/// use dormouse_session::{Session, feeds};
/// use dormouse_value::{DType, shape};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("count.step");
///
/// let graph = Graph::new();
/// let x = graph.placeholder(DType::F32, shape![]);
/// let w = graph.variable(0.0_f32).named("w");
/// let add = w.assign_add(x);
/// let session = Session::new(&graph)?;
/// session.run(w.initializer(), feeds![])?;
/// let signature = Signature::new().input("x", x).output("w", add);
/// Bundle::builder(&session).signature("add", signature).save(&path)?;
///
/// // Another program, which knows names only:
/// let bundle = Bundle::load(&path)?;
/// bundle.run("add", feeds!["x" => 2.0])?;
/// let outputs = bundle.run("add", feeds!["x" => 3.0])?;
/// assert_eq!(outputs["w"].scalar::<f32>()?, 5.0);
/// bundle.save(&path, None)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Bundle {
    graph: OwnedGraph,
    session: Session,
    signatures: BTreeMap<String, Signature>,
    step: Option<u64>,
    extras: Extras,
}

/// A bundle about to be saved.
#[derive(Debug)]
pub struct BundleBuilder<'a> {
    session: &'a Session,
    signatures: BTreeMap<String, Signature>,
    /// Which variables and counters, as of when; none yet where it is to be as of saving.
    state: Option<(Snapshot, Option<u64>)>,
    extras: Extras,
}

impl BundleBuilder<'_> {
    /// Adds a signature. One of the same name is replaced.
    #[must_use]
    pub fn signature(mut self, name: impl Into<String>, signature: Signature) -> Self {
        self.signatures.insert(name.into(), signature);
        self
    }

    /// Adds what the program wants to have kept beside the variables: the place in its data, for one.
    #[must_use]
    pub fn extras(self, extras: Extras) -> Self {
        BundleBuilder { extras, ..self }
    }

    /// Says which step it is. The variables are taken as of now, as is a step that a variable counts.
    ///
    /// # Errors
    /// When the step is no count, or its variable has no value.
    pub fn step(mut self, step: impl GlobalStep) -> Result<Self> {
        let snapshot = self.session.snapshot();
        let step = step.step(self.session, &snapshot)?;
        self.state = Some((snapshot, step));
        Ok(self)
    }

    /// Saves it. Variables without a value are left without one.
    ///
    /// # Errors
    /// When a signature names what is not of the session's graph, or the file cannot be written; what was there before
    /// is then untouched.
    pub fn save(self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        self.with_container(|container| durable::replace(path, container)).map_err(|e| e.or_at(path))
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// When a signature names what is not of the session's graph.
    pub fn encode(self) -> Result<Vec<u8>> {
        self.with_container(|container| Ok(container.to_bytes()))
    }

    fn with_container<R>(self, f: impl FnOnce(&Container<'_>) -> Result<R>) -> Result<R> {
        let frozen = self.session.graph();
        let (snapshot, step) = self.state.unwrap_or_else(|| (self.session.snapshot(), None));
        let mut container = Container::default();
        graph::push(frozen, &mut container)?;
        checkpoint::push(&snapshot, step, &self.extras, &mut container)?;
        signature::push(&self.signatures, frozen, &mut container)?;
        f(&container)
    }
}

impl Bundle {
    /// Begins to save a session's graph and its state.
    pub fn builder(session: &Session) -> BundleBuilder<'_> {
        BundleBuilder { session, signatures: BTreeMap::new(), state: None, extras: Extras::new() }
    }

    /// Loads a bundle and makes a session of it, with the variables and random counters that it holds.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged or newer than this program, or holds no graph, no variables or no
    /// signatures.
    pub fn load(path: impl AsRef<Path>) -> Result<Bundle> {
        let path = path.as_ref();
        Bundle::decode(&durable::read(path)?).map_err(|e| e.or_at(path))
    }

    /// A bundle from the bytes of its file.
    ///
    /// # Errors
    /// As [`Bundle::load`].
    pub fn decode(bytes: &[u8]) -> Result<Bundle> {
        let sections = Sections::parse(bytes)?;
        let advice = "load_graph reads graphs, Saver::restore reads checkpoints, Bundle::save writes bundles";
        let signatures = sections.need(Tag::SIGNATURES, "signatures", advice)?;
        let graph = graph::thaw(&sections)?;
        let signatures = signature::thaw(signatures, &graph)?;
        let Checkpoint { contents, step, extras } = Checkpoint::of(&sections)?;
        let what = "list of variables";
        let session = Session::new(&graph).map_err(|source| Kind::State { what: "session", source })?;
        session.restore(&contents).map_err(|source| Kind::State { what, source })?;
        Ok(Bundle { graph, session, signatures, step, extras })
    }

    /// The graph. Handles into it, signatures' among them, are of use while the bundle lives.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The session, whose variables go on from the file's.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The step that it was saved at, if it was saved with one.
    pub fn step(&self) -> Option<u64> {
        self.step
    }

    /// What the program that saved it kept of its own.
    pub fn extras(&self) -> &Extras {
        &self.extras
    }

    /// What the next [`Bundle::save`] keeps beside the variables.
    pub fn extras_mut(&mut self) -> &mut Extras {
        &mut self.extras
    }

    /// All signatures, by name.
    pub fn signatures(&self) -> &BTreeMap<String, Signature> {
        &self.signatures
    }

    /// One signature.
    ///
    /// # Errors
    /// When there is none of this name; the error lists those that there are.
    pub fn signature(&self, name: &str) -> Result<&Signature> {
        find(&self.signatures, "signature", name, "")
    }

    /// Runs a signature: feeds the inputs named, runs its operations, and gives all of its outputs by name.
    ///
    /// # Errors
    /// When there is no such signature or input, and as [`Session::run`]. No variable has changed then.
    pub fn run<'a>(&self, signature: &str, inputs: impl IntoFeeds<'a>) -> Result<BTreeMap<String, Value>> {
        let named = self.signature(signature)?;
        let mut feeds = dormouse_session::Feeds::new();
        for (target, feed) in inputs.into_feeds() {
            let target = match target {
                Target::Name(name) => Target::Tensor(named.find_input(signature, &name)?.id()),
                Target::Tensor(_) | Target::Operation(_) | Target::OperationName(_) => target,
            };
            feeds = feeds.with(target, feed);
        }
        let outputs: Vec<_> = named.outputs().values().collect();
        let operations: Vec<_> = named.operations().values().collect();
        let (values, _) = self.session.run((outputs, operations), feeds).map_err(|e| Error::from(Kind::Session(e)))?;
        Ok(named.outputs().keys().cloned().zip(values).collect())
    }

    /// Saves it again, as it is by now: with the same graph and signatures, the session's
    /// variables and counters, and the extras.
    ///
    /// # Errors
    /// When the step is no count, or the file cannot be written; what was there before is then untouched.
    pub fn save(&self, path: impl AsRef<Path>, step: impl GlobalStep) -> Result<()> {
        let path = path.as_ref();
        let mut builder = Bundle::builder(&self.session).step(step).map_err(|e| e.or_at(path))?;
        builder.signatures = self.signatures.clone();
        builder.extras = self.extras.clone();
        builder.save(path)
    }
}
