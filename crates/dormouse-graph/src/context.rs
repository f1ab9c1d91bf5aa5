//! What surrounds the building of a node: scopes, control dependencies and the line that is charged. One stack a
//! thread and graph, so that threads build one graph without disturbing each other's scopes.

use std::cell::RefCell;
use std::panic::Location;

use smallvec::SmallVec;

use crate::node::{BranchId, GraphId, NodeId};

/// Whether `get_variable` makes variables, finds them, or does either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reuse {
    /// As the enclosing scope; at the root, variables are made and one that exists is a mistake.
    #[default]
    Inherit,
    /// Variables are found; one that does not exist is a mistake.
    Always,
    /// Variables are found where they exist, made where not.
    Auto,
}

#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// Prefix of node names, with the last slash.
    pub(crate) names: String,
    /// Prefix of `get_variable`'s names, with the last slash.
    pub(crate) variables: String,
    pub(crate) reuse: Reuse,
    pub(crate) at: &'static Location<'static>,
}

#[derive(Debug, Default)]
pub(crate) struct Context {
    pub(crate) scopes: Vec<Scope>,
    pub(crate) control: Vec<SmallVec<[NodeId; 2]>>,
    pub(crate) origins: Vec<&'static Location<'static>>,
    pub(crate) gradient_of: Vec<NodeId>,
    /// The branches that are being built; `None` is outside of all.
    pub(crate) branches: Vec<Option<BranchId>>,
}

impl Context {
    pub(crate) fn names(&self) -> &str {
        self.scopes.last().map_or("", |s| &s.names)
    }

    pub(crate) fn variables(&self) -> &str {
        self.scopes.last().map_or("", |s| &s.variables)
    }

    pub(crate) fn reuse(&self) -> Reuse {
        self.scopes.last().map_or(Reuse::Inherit, |s| s.reuse)
    }

    pub(crate) fn control(&self) -> &[NodeId] {
        self.control.last().map_or(&[], |c| c)
    }

    pub(crate) fn branch(&self) -> Option<BranchId> {
        self.branches.last().copied().flatten()
    }

    /// The line to charge for what `caller` builds: the outermost `located`'s, else the caller's; a caller inside the
    /// standard library (an iterator adaptor calling a method by path) yields to the enclosing scope's.
    pub(crate) fn charge(&self, caller: &'static Location<'static>) -> &'static Location<'static> {
        if let Some(origin) = self.origins.first() {
            return origin;
        }
        match self.scopes.last() {
            Some(scope) if is_in_std(caller) => scope.at,
            _ => caller,
        }
    }
}

fn is_in_std(location: &Location<'_>) -> bool {
    location.file().starts_with("/rustc/") || location.file().contains("/rustlib/src/rust/library/")
}

thread_local! {
    static CONTEXTS: RefCell<Vec<(GraphId, Context)>> = const { RefCell::new(Vec::new()) };
}

/// Reads or changes this thread's context of a graph. Never held across user code.
pub(crate) fn with<R>(graph: GraphId, f: impl FnOnce(&mut Context) -> R) -> R {
    CONTEXTS.with_borrow_mut(|contexts| {
        let at = contexts.iter().position(|(id, _)| *id == graph).unwrap_or_else(|| {
            contexts.push((graph, Context::default()));
            contexts.len() - 1
        });
        f(&mut contexts[at].1)
    })
}

/// Runs `f` between a push and a pop; the pop happens even when `f` panics, and leaves nothing behind at the root.
pub(crate) fn within<R>(
    graph: GraphId,
    push: impl FnOnce(&mut Context),
    pop: fn(&mut Context),
    f: impl FnOnce() -> R,
) -> R {
    struct Pop(GraphId, fn(&mut Context));
    impl Drop for Pop {
        fn drop(&mut self) {
            with(self.0, self.1);
            CONTEXTS.with_borrow_mut(|contexts| {
                contexts.retain(|(_, c)| {
                    !(c.scopes.is_empty()
                        && c.control.is_empty()
                        && c.origins.is_empty()
                        && c.gradient_of.is_empty()
                        && c.branches.is_empty())
                });
            });
        }
    }
    with(graph, push);
    let _pop = Pop(graph, pop);
    f()
}
