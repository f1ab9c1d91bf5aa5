//! Signatures: what a graph is asked for, by names that a program without its code can know.

use std::collections::BTreeMap;
use std::sync::Arc;

use dormouse_graph::{Frozen, Graph, GraphId, NodeId, Operation, Output, Symbol, Tensor};
use serde::{Deserialize, Serialize};

use crate::checkpoint::{named, push_named};
use crate::codec::Records;
use crate::container::{Container, Tag};
use crate::error::{Kind, Result, joined};

/// One thing that a graph can be asked for: named inputs, named outputs, and operations to run for what they do.
///
/// ```
/// # use dormouse_graph::Graph;
/// # use dormouse_io::Signature;
/// # use dormouse_value::{DType, shape};
/// # let graph = Graph::new();
/// # let x = graph.placeholder(DType::F32, shape![?, 2]);
/// # let loss = x * 2.0;
/// # let train = graph.no_op();
/// let signature = Signature::new().input("images", x).output("loss", loss).operation("train", train);
/// assert_eq!(signature.inputs()["images"], x);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    inputs: BTreeMap<String, Tensor>,
    outputs: BTreeMap<String, Tensor>,
    operations: BTreeMap<String, Operation>,
}

impl Signature {
    /// A signature of nothing.
    pub fn new() -> Self {
        Signature::default()
    }

    /// Adds a tensor to feed. One of the same name is replaced.
    #[must_use]
    pub fn input(mut self, name: impl Into<String>, tensor: Tensor) -> Self {
        self.inputs.insert(name.into(), tensor);
        self
    }

    /// Adds a tensor or a variable to fetch. One of the same name is replaced.
    #[track_caller]
    #[must_use]
    pub fn output(mut self, name: impl Into<String>, symbol: impl Symbol) -> Self {
        self.outputs.insert(name.into(), symbol.tensor());
        self
    }

    /// Adds an operation to run. One of the same name is replaced.
    #[must_use]
    pub fn operation(mut self, name: impl Into<String>, operation: Operation) -> Self {
        self.operations.insert(name.into(), operation);
        self
    }

    /// The tensors to feed, by name.
    pub fn inputs(&self) -> &BTreeMap<String, Tensor> {
        &self.inputs
    }

    /// The tensors to fetch, by name.
    pub fn outputs(&self) -> &BTreeMap<String, Tensor> {
        &self.outputs
    }

    /// The operations to run, by name.
    pub fn operations(&self) -> &BTreeMap<String, Operation> {
        &self.operations
    }

    /// The input of a name, which `of`, the signature's own, is said to lack where it does.
    pub(crate) fn find_input(&self, of: &str, name: &str) -> Result<Tensor> {
        find(&self.inputs, "input", name, &format!(" in signature {of:?}")).copied()
    }
}

/// An entry of a map by names, or an error that lists them.
pub(crate) fn find<'a, T>(map: &'a BTreeMap<String, T>, what: &'static str, name: &str, place: &str) -> Result<&'a T> {
    map.get(name).ok_or_else(|| {
        let known = joined(&map.keys().map(|k| format!("{k:?}")).collect::<Vec<_>>());
        Kind::Unknown { what, name: name.to_owned(), place: place.to_owned(), known }.into()
    })
}

/// Lists are in the order of their names.
#[derive(Serialize, Deserialize)]
struct SignatureRecord {
    inputs: Vec<(String, Output)>,
    outputs: Vec<(String, Output)>,
    operations: Vec<(String, NodeId)>,
}

/// Appends the section of the signatures of a graph.
pub(crate) fn push(
    signatures: &BTreeMap<String, Signature>,
    graph: &Frozen,
    container: &mut Container<'_>,
) -> std::result::Result<(), Kind> {
    let own = |what: &'static str, name: &str, id: GraphId, node: NodeId| {
        let known = id == graph.id() && graph.node(node).is_some();
        if known { Ok(()) } else { Err(Kind::Stranger { what, name: name.to_owned() }) }
    };
    let tensors = |what: &'static str, map: &BTreeMap<String, Tensor>| {
        let entries = map.iter().map(|(name, tensor)| {
            own(what, name, tensor.graph().id(), tensor.output().node).map(|()| (name.clone(), tensor.output()))
        });
        entries.collect::<std::result::Result<Vec<_>, Kind>>()
    };
    let mut records = Vec::new();
    for (name, signature) in signatures {
        let operations = signature.operations.iter().map(|(name, operation)| {
            let node = operation.node();
            own("operation", name, operation.graph().id(), node).map(|()| (name.clone(), node))
        });
        let record = SignatureRecord {
            inputs: tensors("input", &signature.inputs)?,
            outputs: tensors("output", &signature.outputs)?,
            operations: operations.collect::<std::result::Result<Vec<_>, Kind>>()?,
        };
        records.push((name.clone(), record));
    }
    push_named(container, Tag::SIGNATURES, records.into_iter())
}

/// The signatures of a file, in the graph that it holds.
pub(crate) fn thaw(payload: &[u8], graph: &Graph) -> std::result::Result<BTreeMap<String, Signature>, Kind> {
    named(Records::new(payload), |record: SignatureRecord| {
        let tensor = |output: Output| {
            let node = graph.node(output.node).filter(|n| (output.port as usize) < n.facts.len());
            node.map(|_| graph.output(output)).ok_or("a tensor of it is not in the graph")
        };
        let operation = |node: NodeId| {
            let name = graph.node(node).map(|n| Arc::clone(&n.name));
            name.and_then(|name| graph.operation(&name)).ok_or("an operation of it is not in the graph")
        };
        Ok(Signature {
            inputs: map(record.inputs, tensor)?,
            outputs: map(record.outputs, tensor)?,
            operations: map(record.operations, operation)?,
        })
    })
    .map_err(Kind::damaged("list of signatures"))
}

fn map<T, U>(
    entries: Vec<(String, T)>,
    f: impl Fn(T) -> std::result::Result<U, &'static str>,
) -> std::result::Result<BTreeMap<String, U>, String> {
    if let Some(pair) = entries.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
        return Err(format!("{:?} is not in its place", pair[1].0));
    }
    entries.into_iter().map(|(name, entry)| Ok((name, f(entry)?))).collect()
}
