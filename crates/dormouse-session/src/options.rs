//! What a session may be told when it is made.

/// What the compiler may do to a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Optimize {
    /// Nothing: every node of the graph that is needed is run by a kernel of its own.
    None,
    /// What keeps every bit of what [`Optimize::None`] computes.
    Exact,
    /// What may change rounding, but never meaning.
    #[default]
    Full,
}

/// How a session runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SessionOptions {
    /// Threads that a run may use, the caller's among them; `None` is one for each core. The results' bits do not
    /// depend on it.
    pub threads: Option<usize>,
    /// What the compiler may do.
    pub optimize: Optimize,
    /// Whether every run fails at the first tensor of floats, in the order of the graph, that is NaN or infinite. It
    /// names the node and its line, and costs a look at every number.
    pub check_numerics: bool,
    /// The most bytes that a run may take for what it computes on its way to its results, without feeds, results, constants
    /// and variables ([`Session::memory`](crate::Session::memory) tells how many they are). Where a plan needs more, values
    /// that are read late are computed a second time rather than kept, element-wise ones first, until it fits; results keep
    /// every bit. A request for which that does not do is an error that names what takes the most.
    pub memory_limit: Option<usize>,
}
