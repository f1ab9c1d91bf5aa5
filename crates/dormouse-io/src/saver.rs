//! Savers: checkpoints as TensorFlow's `tf.train.Saver` keeps them, with step suffixes, a bounded number of them, names
//! that differ from the graph's, and restores that are all or nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use dormouse_graph::{Fact, Frozen, Variable};
use dormouse_session::{Session, Snapshot};
use dormouse_value::DType;

use crate::checkpoint::{self, Checkpoint, fact_of};
use crate::container::Container;
use crate::durable;
use crate::error::{Error, Kind, Result, Told};
use crate::extras::Extras;
use crate::state;

/// Saves a session's variables to checkpoints, and restores them.
///
/// A saver of all variables, as [`Saver::new`] makes it, also keeps the counters of random operations, so that a resumed
/// run draws what the unbroken run would have drawn. One of chosen [`variables`](Saver::variables) keeps those alone.
///
/// One checkpoint is one file. Saving never leaves a broken one: the file is complete before it has its name, and older
/// ones are deleted after it is on the disk.
#[derive(Debug)]
pub struct Saver {
    max_to_keep: usize,
    matching: Matching,
    chosen: Option<Vec<(String, Variable)>>,
    kept: Mutex<Vec<PathBuf>>,
}

/// How much of a checkpoint and of a session must match for a restore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Matching {
    /// Restores what is there and fits; the report tells the rest.
    Partial,
    /// Every variable asked for must be in the checkpoint, and fit. It may hold more.
    #[default]
    Strict,
    /// As strict, and the checkpoint may hold no variable that is not asked for.
    Exact,
}

/// What a restore did, in the checkpoint's names, each list in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Variables that have the checkpoint's value now.
    pub restored: Vec<String>,
    /// Asked for, but not in the checkpoint.
    pub missing: Vec<String>,
    /// In the checkpoint, but of another dtype or shape.
    pub mismatched: Vec<Mismatch>,
    /// In the checkpoint, but not asked for.
    pub unused: Vec<String>,
    /// Random operations that go on where the checkpoint's had stopped.
    pub counters: Vec<String>,
    /// The global step that the checkpoint was saved with.
    pub step: Option<u64>,
    /// What the program saved of its own.
    pub extras: Extras,
}

/// A variable that a checkpoint holds with another dtype or shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// Its name in the checkpoint.
    pub name: String,
    /// What the graph's variable is.
    pub expected: Fact,
    /// What the checkpoint holds.
    pub found: Fact,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mismatch { name, expected, found } = self;
        write!(f, "variable {name:?} is {} in the graph and {} in the checkpoint", Told(expected), Told(found))
    }
}

/// The variables of a [`Saver`], each with its name in checkpoints: a variable or a list of them, under their own names,
/// or a map or pairs of names and variables, such as a moving average's `variables_to_restore`.
pub trait VariableMap {
    /// Names and variables.
    fn entries(self) -> Vec<(String, Variable)>;
}

fn own_name(variable: Variable) -> (String, Variable) {
    (variable.before_run().operation().name(), variable)
}

impl VariableMap for Variable {
    fn entries(self) -> Vec<(String, Variable)> {
        vec![own_name(self)]
    }
}

impl VariableMap for &[Variable] {
    fn entries(self) -> Vec<(String, Variable)> {
        self.iter().copied().map(own_name).collect()
    }
}

impl VariableMap for &Vec<Variable> {
    fn entries(self) -> Vec<(String, Variable)> {
        self.as_slice().entries()
    }
}

impl VariableMap for Vec<Variable> {
    fn entries(self) -> Vec<(String, Variable)> {
        self.as_slice().entries()
    }
}

impl<const N: usize> VariableMap for [Variable; N] {
    fn entries(self) -> Vec<(String, Variable)> {
        self.as_slice().entries()
    }
}

impl<S: Into<String>> VariableMap for Vec<(S, Variable)> {
    fn entries(self) -> Vec<(String, Variable)> {
        self.into_iter().map(|(name, variable)| (name.into(), variable)).collect()
    }
}

impl<S: Into<String>, const N: usize> VariableMap for [(S, Variable); N] {
    fn entries(self) -> Vec<(String, Variable)> {
        self.into_iter().map(|(name, variable)| (name.into(), variable)).collect()
    }
}

macro_rules! maps {
    ($($type:ident$(<$hasher:ident>)?),*) => { $(
        impl<S: Into<String>$(, $hasher)?> VariableMap for $type<S, Variable$(, $hasher)?> {
            fn entries(self) -> Vec<(String, Variable)> {
                self.into_iter().map(|(name, variable)| (name.into(), variable)).collect()
            }
        }

        impl<S: AsRef<str>$(, $hasher)?> VariableMap for &$type<S, Variable$(, $hasher)?> {
            fn entries(self) -> Vec<(String, Variable)> {
                self.iter().map(|(name, variable)| (name.as_ref().to_owned(), *variable)).collect()
            }
        }
    )* };
}
maps!(BTreeMap, HashMap<H>);

/// The global step of a checkpoint: a number, `None`, or the variable that counts it, whose value is taken at the same
/// moment as all others.
pub trait GlobalStep {
    /// The step, given the variables that are saved.
    ///
    /// # Errors
    /// When it is no count, or its variable has no value.
    fn step(self, session: &Session, snapshot: &Snapshot) -> Result<Option<u64>>;
}

macro_rules! steps {
    ($($type:ty),*) => { $(
        impl GlobalStep for $type {
            fn step(self, _: &Session, _: &Snapshot) -> Result<Option<u64>> {
                u64::try_from(self).map(Some).map_err(|_| Kind::Step { step: self.to_string() }.into())
            }
        }
    )* };
}
steps!(i32, i64, u32, u64, usize);

impl GlobalStep for Option<u64> {
    fn step(self, _: &Session, _: &Snapshot) -> Result<Option<u64>> {
        Ok(self)
    }
}

impl GlobalStep for Variable {
    fn step(self, session: &Session, snapshot: &Snapshot) -> Result<Option<u64>> {
        let name = name_in(session.graph(), self)?;
        let Some(value) = snapshot.variables.get(&name) else {
            return Err(Kind::Uninitialized { names: vec![name] }.into());
        };
        let step = match value.dtype() {
            DType::I32 => value.scalar::<i32>().map(i64::from),
            DType::I8 => value.scalar::<i8>().map(i64::from),
            DType::I16 => value.scalar::<i16>().map(i64::from),
            DType::U8 => value.scalar::<u8>().map(i64::from),
            DType::U16 => value.scalar::<u16>().map(i64::from),
            DType::U32 => value.scalar::<u32>().map(i64::from),
            DType::U64 => value.scalar::<u64>().map(|step| i64::try_from(step).unwrap_or(-1)),
            DType::I64 | DType::F32 | DType::F64 | DType::F16 | DType::Bf16 | DType::Bool => value.scalar::<i64>(),
        };
        let count = step.ok().and_then(|s| u64::try_from(s).ok());
        count.map(Some).ok_or_else(|| Kind::Step { step: format!("{name} = {value}") }.into())
    }
}

/// A variable's name in the graph of a session.
fn name_in(graph: &Frozen, variable: Variable) -> Result<String> {
    let stranger = || Kind::Stranger { what: "variable", name: variable.before_run().operation().name() };
    if variable.graph().id() != graph.id() {
        return Err(stranger().into());
    }
    graph.variable_name(variable.id()).map(str::to_owned).ok_or_else(|| stranger().into())
}

impl Default for Saver {
    fn default() -> Self {
        Saver::new()
    }
}

impl Saver {
    /// A saver of all variables and random counters that keeps the five newest checkpoints.
    pub fn new() -> Saver {
        Saver { max_to_keep: 5, matching: Matching::Strict, chosen: None, kept: Mutex::new(Vec::new()) }
    }

    /// How many of the checkpoints that this saver writes stay on the disk; 0 is all. TensorFlow's default is 5.
    #[must_use]
    pub fn max_to_keep(mut self, count: usize) -> Saver {
        self.max_to_keep = count;
        self
    }

    /// Takes over the checkpoints of a folder that an earlier program saved, so that they count and are deleted as this
    /// saver's own: those that its state file lists, and those of the same names with other steps. Without it a saver
    /// deletes what it has written itself, and nothing else.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn recover(self, folder: impl AsRef<Path>) -> Result<Saver> {
        let all = state::every(folder.as_ref())?;
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).splice(..0, all);
        Ok(self)
    }

    /// Chooses the variables, and their names in checkpoints.
    ///
    /// ```
    /// # use dormouse_graph::Graph;
    /// # use dormouse_io::Saver;
    /// # let graph = Graph::new();
    /// # let v = graph.variable(0.0_f32).named("v");
    /// let saver = Saver::new().variables([("v/ExponentialMovingAverage", v)]);
    /// ```
    #[must_use]
    pub fn variables(mut self, variables: impl VariableMap) -> Saver {
        let mut entries = variables.entries();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        self.chosen = Some(entries);
        self
    }

    /// How much must match for a restore; [`Matching::Strict`] if not said.
    #[must_use]
    pub fn matching(mut self, matching: Matching) -> Saver {
        self.matching = matching;
        self
    }

    /// Names in the checkpoint and in the graph, in the order of the former.
    fn names(&self, graph: &Frozen) -> Result<Vec<(String, String)>> {
        let Some(chosen) = &self.chosen else {
            let mut names: Vec<String> = (graph.variables().iter())
                .filter_map(|info| graph.node(info.node))
                .map(|node| node.name.as_ref().to_owned())
                .collect();
            names.sort_unstable();
            return Ok(names.into_iter().map(|name| (name.clone(), name)).collect());
        };
        if let Some(pair) = chosen.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(Kind::Twice { what: "the checkpoint's variable", name: pair[0].0.clone() }.into());
        }
        chosen.iter().map(|(name, variable)| Ok((name.clone(), name_in(graph, *variable)?))).collect()
    }

    /// Saves the variables to `path`, or, given a step, to `path-step`, and gives that path. The folder is made if there
    /// is none.
    ///
    /// The folder's state file then names it as the newest, and this saver's oldest checkpoints are deleted down to
    /// [`Saver::max_to_keep`].
    ///
    /// ```no_run
    /// # use dormouse_graph::Graph;
    /// # use dormouse_io::Saver;
    /// # use dormouse_session::Session;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let graph = Graph::new();
    /// # let session = Session::new(&graph)?;
    /// let saver = Saver::new();
    /// saver.save(&session, "model/model.ckpt", 1000)?;   // model/model.ckpt-1000
    /// saver.save(&session, "model/model.ckpt", None)?;   // model/model.ckpt
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When a variable has no value yet, or the file cannot be written. The older checkpoints are all there then.
    pub fn save(&self, session: &Session, path: impl AsRef<Path>, step: impl GlobalStep) -> Result<PathBuf> {
        self.save_with(session, path, step, &Extras::new())
    }

    /// As [`Saver::save`], with what the program wants to have kept beside the variables: the place in its data, for one.
    /// [`Report::extras`] gives it back.
    ///
    /// # Errors
    /// As [`Saver::save`].
    pub fn save_with(
        &self,
        session: &Session,
        path: impl AsRef<Path>,
        step: impl GlobalStep,
        extras: &Extras,
    ) -> Result<PathBuf> {
        let mut all = session.snapshot();
        let step = step.step(session, &all)?;
        let path = with_step(path.as_ref(), step);
        let names = self.names(session.graph()).map_err(|e| e.or_at(&path))?;
        let mut contents = Snapshot::default();
        let mut uninitialized = Vec::new();
        for (name, own) in names {
            match all.variables.get(&own) {
                Some(value) => drop(contents.variables.insert(name, value.clone())),
                None => uninitialized.push(own),
            }
        }
        if !uninitialized.is_empty() {
            return Err(Kind::Uninitialized { names: uninitialized }.at(&path));
        }
        if self.chosen.is_none() {
            contents.counters = std::mem::take(&mut all.counters);
        }
        let mut container = Container::default();
        checkpoint::push(&contents, step, extras, &mut container).map_err(|e| e.at(&path))?;
        durable::replace(&path, &container)?;
        self.keep(&path)?;
        Ok(path)
    }

    /// Notes a new checkpoint in the folder's state file, then deletes the oldest.
    fn keep(&self, path: &Path) -> Result<()> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|p| p != path);
        kept.push(path.to_owned());
        let excess = if self.max_to_keep == 0 { 0 } else { kept.len().saturating_sub(self.max_to_keep) };
        let folder = durable::folder_of(path);
        let here: Vec<PathBuf> = kept[excess..].iter().filter(|p| durable::folder_of(p) == folder).cloned().collect();
        state::write(folder, &here)?;
        for old in kept.drain(..excess) {
            // One that is gone already, or that cannot be deleted, is no reason to stop training.
            let _ = std::fs::remove_file(old);
        }
        Ok(())
    }

    /// Sets the session's variables, and the random counters if this saver is one of all variables, to a checkpoint's,
    /// all at one moment.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged or newer than this program, or when it and the session do not match as
    /// [`Saver::matching`] says: then the error names every variable that is missing, mismatched or unused. No variable
    /// has changed.
    pub fn restore(&self, session: &Session, path: impl AsRef<Path>) -> Result<Report> {
        let path = path.as_ref();
        let checkpoint = Checkpoint::load(path)?;
        self.restore_from(session, checkpoint).map_err(|e| e.or_at(path))
    }

    /// As [`Saver::restore`], of a checkpoint that has been loaded.
    ///
    /// # Errors
    /// As [`Saver::restore`].
    pub fn restore_from(&self, session: &Session, checkpoint: Checkpoint) -> Result<Report> {
        let graph = session.graph();
        let names = self.names(graph)?;
        let Checkpoint { contents: Snapshot { mut variables, counters }, step, extras } = checkpoint;
        let mut report = Report { step, extras, ..Report::default() };
        let mut chosen = Snapshot::default();
        let mut targets = BTreeSet::new();
        for (name, own) in names {
            if !targets.insert(own.clone()) {
                return Err(Kind::Twice { what: "variable", name: own }.into());
            }
            let expected = graph.find(&own).and_then(|n| graph.node(n)?.facts.first()).cloned();
            match (variables.remove(&name), expected) {
                (Some(value), Some(expected)) => {
                    let found = fact_of(&value);
                    if found == expected {
                        chosen.variables.insert(own, value);
                        report.restored.push(name);
                    } else {
                        report.mismatched.push(Mismatch { name, expected, found });
                    }
                }
                (None, _) | (_, None) => report.missing.push(name),
            }
        }
        report.unused = variables.into_keys().collect();
        let fits = report.missing.is_empty() && report.mismatched.is_empty();
        let refused = match self.matching {
            Matching::Partial => false,
            Matching::Strict => !fits,
            Matching::Exact => !fits || !report.unused.is_empty(),
        };
        if refused {
            let Report { missing, mismatched, unused, .. } = report;
            let unused = if self.matching == Matching::Exact { unused } else { Vec::new() };
            return Err(Kind::Fit { missing, mismatched, unused }.into());
        }
        if self.chosen.is_none() {
            let is_random = |name: &str| {
                let node = graph.find(name).and_then(|n| graph.node(n));
                node.is_some_and(|n| matches!(n.kind, dormouse_graph::NodeKind::Random { .. }))
            };
            chosen.counters = counters.into_iter().filter(|(name, _)| is_random(name)).collect();
            report.counters = chosen.counters.keys().cloned().collect();
        }
        session.restore(&chosen).map_err(|e| Error::from(Kind::Session(e)))?;
        Ok(report)
    }
}

/// `path-step`.
fn with_step(path: &Path, step: Option<u64>) -> PathBuf {
    let Some(step) = step else { return path.to_owned() };
    let mut name = OsString::from(path);
    name.push(format!("-{step}"));
    name.into()
}
