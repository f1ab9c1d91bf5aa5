//! Snapshots: all that a session has and its graph has not. Variables' values and random counters, taken and put back
//! at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dormouse_graph::{Frozen, NodeKind, VariableId};
use dormouse_kernels::Spec;
use dormouse_value::Value;

use crate::buffer::Buffer;
use crate::error::{Kind, Result};
use crate::lower::variable_spec;
use crate::session::Session;

/// What a session holds beside its graph, by the names of variables and of random operations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The variables that have a value.
    pub variables: BTreeMap<String, Value>,
    /// How many blocks of its stream each random operation has used.
    pub counters: BTreeMap<String, u64>,
}

impl Session {
    /// The graph, as it was when the session was made.
    pub fn graph(&self) -> &Frozen {
        &self.inner.graph
    }

    /// Every initialized variable and every random counter, as of one moment between the runs that write variables.
    pub fn snapshot(&self) -> Snapshot {
        let inner = &self.inner;
        let all: Vec<VariableId> = (0..inner.graph.variables().len()).map(|i| VariableId(i as u32)).collect();
        let visit = inner.store.enter(&all, true);
        let mut variables = BTreeMap::new();
        for (id, buffer) in all.iter().zip(visit.table()) {
            if let (Some(name), Some(buffer)) = (inner.graph.variable_name(*id), buffer) {
                // SAFETY: this visit has the turn of every variable, so nobody writes; the buffer is the variable's.
                let value = unsafe { buffer.to_value(&variable_spec(&inner.graph, *id)) };
                variables.insert(name.to_owned(), value);
            }
        }
        let counters = (inner.generators.iter())
            .filter_map(|(node, place)| {
                Some((inner.graph.node(*node)?.name.to_string(), inner.store.counter(*place).load(Ordering::Relaxed)))
            })
            .collect();
        Snapshot { variables, counters }
    }

    /// Sets the variables and the counters that a snapshot names, all at one moment; the others stay as they are.
    ///
    /// # Errors
    /// When a name is not the graph's, or a value's dtype or shape not its variable's. Nothing has changed then.
    pub fn restore(&self, snapshot: &Snapshot) -> Result<()> {
        let inner = &self.inner;
        let mut writes = Vec::with_capacity(snapshot.variables.len());
        for (name, value) in &snapshot.variables {
            let variable = inner.graph.find(name).and_then(|n| inner.graph.node(n)).map(|n| &n.kind);
            let Some(&NodeKind::Variable(id)) = variable else {
                return Err(Kind::UnknownVariable { name: name.clone() }.into());
            };
            let (expected, got) = (variable_spec(&inner.graph, id), Spec::new(value.dtype(), value.shape()));
            if expected != got {
                let (expected, got) = (expected.to_string(), got.to_string());
                return Err(Kind::VariableSpec { name: name.clone(), expected, got }.into());
            }
            writes.push((id, value));
        }
        let mut counters = Vec::with_capacity(snapshot.counters.len());
        for (name, counter) in &snapshot.counters {
            let place = inner.graph.find(name).and_then(|node| inner.generators.get(&node));
            let Some(place) = place else { return Err(Kind::UnknownGenerator { name: name.clone() }.into()) };
            counters.push((*place, *counter));
        }
        writes.sort_unstable_by_key(|w| w.0);
        let ids: Vec<VariableId> = writes.iter().map(|w| w.0).collect();
        let buffers: Vec<(VariableId, Arc<Buffer>)> =
            writes.iter().map(|(id, value)| Ok((*id, Arc::new(Buffer::of(value)?)))).collect::<Result<_>>()?;
        let mut visit = inner.store.enter(&ids, true);
        visit.commit(buffers.into_iter());
        for (place, counter) in counters {
            inner.store.counter(place).store(counter, Ordering::Relaxed);
        }
        Ok(())
    }
}
