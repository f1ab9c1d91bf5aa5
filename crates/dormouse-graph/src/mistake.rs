//! Mistakes: what building recorded instead of failing at the call.

use std::fmt;

use crate::node::Source;

/// Something that a graph cannot be built of, and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub(crate) message: String,
    pub(crate) source: Source,
    pub(crate) scope: String,
}

impl Mistake {
    /// What is wrong, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The line of the program that wrote it.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The name scope it was written in, without the last slash; empty outside every scope.
    pub fn scope(&self) -> &str {
        self.scope.trim_end_matches('/')
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  at {}", self.message, self.source)?;
        if !self.scope().is_empty() {
            write!(f, ", in scope \"{}\"", self.scope())?;
        }
        Ok(())
    }
}

/// Every mistake of a graph, root causes only, in the order they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub(crate) Vec<Mistake>);

impl Mistakes {
    /// The mistakes, at least one.
    pub fn as_slice(&self) -> &[Mistake] {
        &self.0
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            mistake.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}
