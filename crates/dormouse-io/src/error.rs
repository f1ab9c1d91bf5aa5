//! What can go wrong with a file, each said with the file's path and what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use dormouse_graph::{Fact, Mistakes};

use crate::container::Tag;
use crate::saver::Mismatch;

/// Why a file could not be written or read. Nothing has changed then: no variable, and no file that was there before.
#[derive(Debug)]
pub struct Error(Box<Inner>);

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug)]
struct Inner {
    path: Option<PathBuf>,
    kind: Kind,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Kind {
    #[error("cannot {what}: {source}")]
    Io { what: &'static str, source: io::Error },
    #[error("this is not a dormouse file{hint}; dormouse reads what save_graph, Saver::save and Bundle::save write")]
    Foreign { hint: &'static str },
    #[error(
        "it has format version {found}, and this dormouse reads up to {supported}; read it with a newer dormouse, or \
         save it again with this one"
    )]
    Version { found: u32, supported: u32 },
    #[error(
        "it is cut short: {found} of its {expected} bytes are there; copy it again, or restore an older checkpoint"
    )]
    Short { expected: u64, found: u64 },
    #[error("{extra} bytes follow its end at {expected}; it was overwritten or joined with something; copy it again")]
    Long { expected: u64, extra: u64 },
    #[error("its {part} is damaged: {what}; copy the file again, or restore an older checkpoint")]
    Damaged { part: String, what: String },
    #[error(
        "it has a section {tag}, which this dormouse does not know and may not skip; read it with a newer dormouse"
    )]
    UnknownSection { tag: Tag },
    #[error("it holds no {wanted}; it holds {found}; {advice}")]
    Absent { wanted: &'static str, found: String, advice: &'static str },
    #[error("its graph is not valid: {0}; the program that wrote it is to blame, or the file was tampered with")]
    Graph(String),
    #[error("its {what} does not fit its graph: {source}")]
    State { what: &'static str, source: dormouse_session::Error },
    #[error("{0}")]
    Mistakes(Mistakes),
    #[error("{0}")]
    Unwritable(String),
    #[error("{}", fit(missing, mismatched, unused))]
    Fit { missing: Vec<String>, mismatched: Vec<Mismatch>, unused: Vec<String> },
    #[error(
        "{}; run the initializer first, or choose others with Saver::variables",
        listed("variable", names, "is not initialized", "are not initialized")
    )]
    Uninitialized { names: Vec<String> },
    #[error(
        "{what} {name:?} is not of the session's graph; make the session after the graph is built, and use its own"
    )]
    Stranger { what: &'static str, name: String },
    #[error("{what} {name:?} is named twice; leave one out")]
    Twice { what: &'static str, name: String },
    #[error("the global step {step} is not a count of steps; give a whole number from 0")]
    Step { step: String },
    #[error("there is no {what} {name:?}{place}; there is {known}")]
    Unknown { what: &'static str, name: String, place: String, known: String },
    #[error("extra {name:?} is of another type than asked for: {what}")]
    Extra { name: String, what: String },
    #[error("{0}")]
    Session(dormouse_session::Error),
}

/// A list of names as a sentence has it: `variables "a" and "b" are missing`.
pub(crate) fn listed(noun: &str, names: &[String], one: &str, many: &str) -> String {
    let quoted: Vec<String> = names.iter().map(|n| format!("{n:?}")).collect();
    match quoted.as_slice() {
        [name] => format!("{noun} {name} {one}"),
        names => format!("{noun}s {} {many}", joined(names)),
    }
}

/// `a`, `a and b`, `a, b and c`; `nothing` of none.
pub(crate) fn joined(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [init @ .., last] => format!("{} and {last}", init.join(", ")),
    }
}

fn fit(missing: &[String], mismatched: &[Mismatch], unused: &[String]) -> String {
    let mut parts = Vec::new();
    if !missing.is_empty() {
        parts.push(listed("variable", missing, "is missing from it", "are missing from it"));
    }
    parts.extend(mismatched.iter().map(Mismatch::to_string));
    if !unused.is_empty() {
        parts.push(listed("variable", unused, "in it is not asked for", "in it are not asked for"));
    }
    let advice = if missing.is_empty() && mismatched.is_empty() {
        "restore with Matching::Strict to leave them out"
    } else {
        "no variable has changed; rename with Saver::variables, or restore what fits with Matching::Partial"
    };
    format!("{}; {advice}", parts.join("; "))
}

/// A dtype and a shape, as messages write them: `f32 [2, 3]`.
pub(crate) struct Told<'a>(pub(crate) &'a Fact);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.dtype, self.0.shape)
    }
}

impl Kind {
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Kind {
        move |source| Kind::Io { what, source }
    }

    pub(crate) fn damaged(part: impl fmt::Display) -> impl FnOnce(String) -> Kind {
        move |what| Kind::Damaged { part: part.to_string(), what }
    }

    pub(crate) fn at(self, path: &Path) -> Error {
        Error(Box::new(Inner { path: Some(path.to_owned()), kind: self }))
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Error(Box::new(Inner { path: None, kind }))
    }
}

impl Error {
    /// The file it is about, if it is about one.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The names that a checkpoint lacks, where that is what is wrong.
    pub fn missing(&self) -> &[String] {
        if let Kind::Fit { missing, .. } = &self.0.kind { missing } else { &[] }
    }

    /// The variables whose dtype or shape in the checkpoint is another, where that is what is wrong.
    pub fn mismatched(&self) -> &[Mismatch] {
        if let Kind::Fit { mismatched, .. } = &self.0.kind { mismatched } else { &[] }
    }

    /// The names that a checkpoint has and nobody asked for, where that is what is wrong.
    pub fn unused(&self) -> &[String] {
        if let Kind::Fit { unused, .. } = &self.0.kind { unused } else { &[] }
    }

    /// Every mistake of the graph, where building recorded some.
    pub fn mistakes(&self) -> Option<&Mistakes> {
        if let Kind::Mistakes(mistakes) = &self.0.kind { Some(mistakes) } else { None }
    }

    /// Whether the file is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(&self.0.kind, Kind::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the file is of a format that only a newer dormouse reads.
    pub fn is_newer_version(&self) -> bool {
        matches!(self.0.kind, Kind::Version { .. } | Kind::UnknownSection { .. })
    }

    /// Whether the file is there but is not what was written: foreign, cut short, or damaged.
    pub fn is_damaged(&self) -> bool {
        matches!(
            self.0.kind,
            Kind::Foreign { .. } | Kind::Short { .. } | Kind::Long { .. } | Kind::Damaged { .. } | Kind::Graph(_)
        )
    }

    /// The same error, of this file.
    pub(crate) fn or_at(mut self, path: &Path) -> Error {
        self.0.path.get_or_insert_with(|| path.to_owned());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.path {
            Some(path) => write!(f, "{}: {}", path.display(), self.0.kind),
            None => self.0.kind.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Kind::Io { source, .. } = &self.0.kind {
            return Some(source);
        }
        if let Kind::State { source, .. } | Kind::Session(source) = &self.0.kind { Some(source) } else { None }
    }
}

impl From<Mistakes> for Error {
    fn from(mistakes: Mistakes) -> Self {
        Kind::Mistakes(mistakes).into()
    }
}
