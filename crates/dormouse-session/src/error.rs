//! What can go wrong between a request and its values.

use std::fmt;

use dormouse_graph::{Mistakes, Source};
use dormouse_value::{DType, Shape, ValueError};

/// Why a session could not be made, a request not be understood, or a run not be finished. No variable has changed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Kind>);

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Kind {
    #[error("{0}")]
    Mistakes(Mistakes),
    #[error(transparent)]
    Value(ValueError),
    #[error("{what} {name} is of another graph than the session's")]
    OtherGraph { what: &'static str, name: String },
    #[error("{what} was built on a graph that had been dropped")]
    Dropped { what: &'static str },
    #[error("{what} {name} was built after the session was made; make the session after the graph is built")]
    AddedLater { what: &'static str, name: String },
    #[error("no tensor is named {name:?}{hint}")]
    UnknownTensor { name: String, hint: String },
    #[error("no operation is named {name:?}")]
    UnknownOperation { name: String },
    #[error("placeholder {place} needs a feed, and the run has none; feed it: feeds![{name} => value]")]
    NotFed { name: String, place: Place },
    #[error("a run of the session from within one of its own runs, which would wait for itself")]
    Nested,
    #[error("a session is extended by its own graph, not by another")]
    NotExtended,
    #[error("no variable is named {name:?}")]
    UnknownVariable { name: String },
    #[error("variable {name} is {expected}, the value {got}")]
    VariableSpec { name: String, expected: String, got: String },
    #[error("no random operation is named {name:?}")]
    UnknownGenerator { name: String },
    #[error("{name} is fed twice")]
    FedTwice { name: String },
    #[error("a prepared step takes {expected} values, got {got}")]
    Arguments { expected: usize, got: usize },
    #[error("a prepared step gives {expected} tensors, not {got}")]
    Results { expected: usize, got: usize },
    #[error("feed for {name}: it holds {expected}, the array {got}; convert the array, with mapv for one")]
    FeedDType { name: String, expected: DType, got: DType },
    #[error("feed for {name}: it holds {expected}, which {number} is not a value of")]
    FeedNumber { name: String, expected: DType, number: String },
    #[error("feed for {name}: its shape is {expected}, the array's {got:?}")]
    FeedShape { name: String, expected: Shape, got: Vec<usize> },
    #[error("variable {name} is not initialized; run its initializer, or graph.initializer(), first")]
    Uninitialized { name: String },
    #[error("{place}: {message}")]
    Node { place: Place, message: String },
    #[error("the run needs {bytes} bytes at once, which the system does not give")]
    TooLarge { bytes: u128 },
    #[error(
        "the run takes {needed} bytes for what it computes on its way, with all that may be computed twice, and its memory \
         limit is {limit}; the most of it are {largest}"
    )]
    OverLimit { needed: usize, limit: usize, largest: String, place: Place },
}

/// A node, as errors name it: `"layer1/MatMul" (examples/mnist.rs:41)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) source: Option<Source>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.name)?;
        match &self.source {
            Some(source) => write!(f, " ({source})"),
            None => Ok(()),
        }
    }
}

impl Error {
    /// The name of the node, tensor or variable that it is about, if it is about one.
    pub fn name(&self) -> Option<&str> {
        match &*self.0 {
            Kind::OtherGraph { name, .. }
            | Kind::AddedLater { name, .. }
            | Kind::UnknownTensor { name, .. }
            | Kind::UnknownOperation { name }
            | Kind::NotFed { name, .. }
            | Kind::UnknownVariable { name }
            | Kind::VariableSpec { name, .. }
            | Kind::UnknownGenerator { name }
            | Kind::FedTwice { name }
            | Kind::FeedDType { name, .. }
            | Kind::FeedNumber { name, .. }
            | Kind::FeedShape { name, .. }
            | Kind::Uninitialized { name } => Some(name),
            Kind::Node { place, .. } | Kind::OverLimit { place, .. } => Some(&place.name),
            Kind::Mistakes(_)
            | Kind::Value(_)
            | Kind::Dropped { .. }
            | Kind::Nested
            | Kind::NotExtended
            | Kind::Arguments { .. }
            | Kind::Results { .. }
            | Kind::TooLarge { .. } => None,
        }
    }

    /// Where the node that failed was built, if one did.
    pub fn source_line(&self) -> Option<&Source> {
        match &*self.0 {
            Kind::Node { place, .. } | Kind::NotFed { place, .. } | Kind::OverLimit { place, .. } => {
                place.source.as_ref()
            }
            Kind::Mistakes(mistakes) => mistakes.as_slice().first().map(dormouse_graph::Mistake::source),
            Kind::Value(_)
            | Kind::Nested
            | Kind::NotExtended
            | Kind::OtherGraph { .. }
            | Kind::Dropped { .. }
            | Kind::AddedLater { .. }
            | Kind::UnknownTensor { .. }
            | Kind::UnknownOperation { .. }
            | Kind::UnknownVariable { .. }
            | Kind::VariableSpec { .. }
            | Kind::UnknownGenerator { .. }
            | Kind::FedTwice { .. }
            | Kind::Arguments { .. }
            | Kind::Results { .. }
            | Kind::FeedDType { .. }
            | Kind::FeedNumber { .. }
            | Kind::FeedShape { .. }
            | Kind::Uninitialized { .. }
            | Kind::TooLarge { .. } => None,
        }
    }

    /// Every mistake of the graph, where building recorded some.
    pub fn mistakes(&self) -> Option<&Mistakes> {
        if let Kind::Mistakes(mistakes) = &*self.0 { Some(mistakes) } else { None }
    }

    /// Whether a variable was read that had no value.
    pub fn is_uninitialized(&self) -> bool {
        matches!(*self.0, Kind::Uninitialized { .. })
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Error(Box::new(kind))
    }
}

impl From<Mistakes> for Error {
    fn from(mistakes: Mistakes) -> Self {
        Kind::Mistakes(mistakes).into()
    }
}

impl From<ValueError> for Error {
    fn from(error: ValueError) -> Self {
        Kind::Value(error).into()
    }
}
