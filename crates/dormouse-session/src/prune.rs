//! Pruning: which nodes a request needs, in what order writes and reads of variables come, and what has to be computed
//! before the rest can be planned.

use std::rc::Rc;

use dormouse_graph::{Frozen, NodeId, NodeKind, Output, VariableId};
use rustc_hash::{FxHashMap, FxHashSet};

/// How far a choice is looked into.
#[derive(Clone, Copy)]
pub(crate) enum Choices<'a> {
    /// As far as its side is known: the predicate, and the side.
    Known(&'a FxHashMap<NodeId, bool>),
    /// Both sides, where the side is not known.
    Any(&'a FxHashMap<NodeId, bool>),
}

/// The nodes that some tensors and operations need, oldest first: back along operands and control inputs, where a fed
/// tensor ends the way.
pub(crate) fn prune(
    graph: &Frozen,
    wanted: impl Iterator<Item = NodeId>,
    fed: &FxHashMap<Output, u32>,
    choices: Choices<'_>,
) -> Vec<NodeId> {
    let mut needed = vec![false; graph.nodes().len()];
    let mut end = 0;
    for id in wanted {
        needed[id.index()] = true;
        end = end.max(id.index() + 1);
    }
    let mut found = Vec::new();
    // Whatever a node needs is older than it, so one look at each is enough, the newest first.
    for i in (0..end).rev() {
        if !needed[i] {
            continue;
        }
        let id = NodeId(i as u32);
        found.push(id);
        if let Some(node) = graph.node(id) {
            let operands = node.operands.as_slice();
            let side = |side: &bool| {
                let count = (operands.len() - 1) / 2;
                if *side { &operands[1..=count] } else { &operands[count + 1..] }
            };
            let (first, rest) = match (&node.kind, choices) {
                (NodeKind::Choice, Choices::Known(sides)) => (&operands[..1], sides.get(&id).map_or(&[][..], side)),
                (NodeKind::Choice, Choices::Any(sides)) => {
                    (&operands[..1], sides.get(&id).map_or(&operands[1..], side))
                }
                _ => (operands, &[][..]),
            };
            let operands = first.iter().chain(rest).filter(|o| !fed.contains_key(o)).map(|o| o.node);
            operands.chain(node.control.iter().copied()).for_each(|before| needed[before.index()] = true);
        }
    }
    found.reverse();
    found
}

/// Of the needed nodes, those that have to run for some of them: what they need, and all earlier writes of a variable
/// that they write.
pub(crate) fn closure(
    graph: &Frozen,
    wanted: impl Iterator<Item = NodeId>,
    needed: &[NodeId],
    fed: &FxHashMap<Output, u32>,
    choices: &FxHashMap<NodeId, bool>,
) -> Vec<NodeId> {
    let mut all: Vec<NodeId> = wanted.collect();
    loop {
        let found = prune(graph, all.iter().copied(), fed, Choices::Known(choices));
        let inside: FxHashSet<NodeId> = found.iter().copied().collect();
        let written = |id: &NodeId| match graph.node(*id).map(|n| &n.kind) {
            Some(NodeKind::Assign { variable, .. }) => Some(*variable),
            _ => None,
        };
        let mut last = FxHashMap::<VariableId, NodeId>::default();
        for id in &found {
            if let Some(variable) = written(id) {
                last.insert(variable, *id);
            }
        }
        let missing = needed.iter().filter(|id| {
            !inside.contains(id) && written(id).and_then(|v| last.get(&v)).is_some_and(|last| *last > **id)
        });
        let before = all.len();
        all.extend(missing.copied());
        if all.len() == before {
            return found;
        }
    }
}

/// Which version of its variable each read among the needed nodes sees, where it is not the one from before the run:
/// the number of writes, in the order they were built, up to the last one that leads to the read.
pub(crate) fn versions(graph: &Frozen, needed: &[NodeId]) -> FxHashMap<NodeId, u32> {
    let kind = |id: NodeId| graph.node(id).map(|n| &n.kind);
    let mut seen_by = FxHashMap::default();
    let reads: Vec<NodeId> = needed
        .iter()
        .copied()
        .filter(|id| matches!(kind(*id), Some(NodeKind::Read(_) | NodeKind::Initialized(_))))
        .collect();
    if reads.is_empty() {
        return seen_by;
    }
    // Only what leads to a read matters.
    let mut leads = vec![false; graph.nodes().len()];
    let mut unseen = vec![false; graph.nodes().len()];
    needed.iter().for_each(|id| unseen[id.index()] = true);
    let mut stack = reads;
    while let Some(id) = stack.pop() {
        if std::mem::take(&mut unseen[id.index()]) {
            leads[id.index()] = true;
            stack.extend(inputs(graph, id));
        }
    }
    let mut counts = FxHashMap::<VariableId, u32>::default();
    let mut initialized = FxHashMap::<VariableId, u32>::default();
    let mut writes = FxHashMap::<NodeId, Rc<FxHashMap<VariableId, u32>>>::default();
    for &id in needed {
        let Some(node) = graph.node(id) else { continue };
        let own = if let NodeKind::Assign { variable, .. } = node.kind {
            let count = counts.entry(variable).or_insert(0);
            *count += 1;
            if graph.variables()[variable.index()].initializer == id {
                initialized.insert(variable, *count);
            }
            Some((variable, *count))
        } else {
            None
        };
        if !leads[id.index()] {
            continue;
        }
        let mut seen: Option<Rc<FxHashMap<VariableId, u32>>> = None;
        for input in inputs(graph, id) {
            let Some(theirs) = writes.get(&input) else { continue };
            match &mut seen {
                None => seen = Some(Rc::clone(theirs)),
                Some(ours) if Rc::ptr_eq(ours, theirs) => {}
                Some(ours) => merge(Rc::make_mut(ours), theirs),
            }
        }
        match node.kind {
            NodeKind::Read(variable) => {
                if let Some(version) = seen.as_ref().and_then(|s| s.get(&variable)) {
                    seen_by.insert(id, *version);
                }
            }
            NodeKind::Initialized(variable) => {
                if let Some(version) = initialized.get(&variable) {
                    seen_by.insert(id, *version);
                }
            }
            NodeKind::Op(_)
            | NodeKind::Placeholder
            | NodeKind::PlaceholderWithDefault
            | NodeKind::Constant(_)
            | NodeKind::Variable(_)
            | NodeKind::Assign { .. }
            | NodeKind::Random { .. }
            | NodeKind::Dynamic(_)
            | NodeKind::Choice
            | NodeKind::Custom(_)
            | NodeKind::Group
            | NodeKind::Mistake => {}
        }
        if let Some((variable, version)) = own {
            Rc::make_mut(seen.get_or_insert_default()).insert(variable, version);
        }
        if let Some(seen) = seen {
            writes.insert(id, seen);
        }
    }
    seen_by
}

#[allow(clippy::iter_over_hash_type, reason = "the larger of two numbers does not depend on the order")]
fn merge(into: &mut FxHashMap<VariableId, u32>, from: &FxHashMap<VariableId, u32>) {
    for (&variable, &version) in from {
        let entry = into.entry(variable).or_insert(0);
        *entry = version.max(*entry);
    }
}

fn inputs(graph: &Frozen, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
    graph.node(id).into_iter().flat_map(|n| n.operands.iter().map(|o| o.node).chain(n.control.iter().copied()))
}
