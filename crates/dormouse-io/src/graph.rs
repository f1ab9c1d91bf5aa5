//! Graphs as records. The records are types of this file, so that a change of the arena's own types is either no change
//! of the format or does not compile.
//!
//! Reading builds nodes one by one and infers each again from its operands; what the file says of an operation's
//! results must agree, but what inference says is what the graph gets. So a file stays readable when inference learns
//! more, and cannot make it believe anything.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use dormouse_graph::{
    BranchId, BranchInfo, Custom, Fact, Frozen, Graph, GraphId, Member, Node, NodeId, NodeKind, Output, OwnedGraph,
    Seeds, Source, VariableId, VariableInfo, Write, infer,
};
use dormouse_value::{Distribution, DynamicOp, Op, Value, element_count};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::array::{Arrays, MAX_RANK, Spec, pieces};
use crate::codec::{Records, write};
use crate::container::{Container, Sections, Tag};
use crate::durable;
use crate::error::{Kind, Result};

/// What can be saved as a graph: a [`Graph`], or the [`Frozen`] one of a session.
pub trait Freeze {
    /// The graph as it is now.
    ///
    /// # Errors
    /// Every mistake that building recorded.
    fn frozen(&self) -> Result<Cow<'_, Frozen>>;
}

impl Freeze for Graph {
    fn frozen(&self) -> Result<Cow<'_, Frozen>> {
        Ok(Cow::Owned(self.freeze()?))
    }
}

impl Freeze for OwnedGraph {
    fn frozen(&self) -> Result<Cow<'_, Frozen>> {
        Graph::frozen(self)
    }
}

impl Freeze for Frozen {
    fn frozen(&self) -> Result<Cow<'_, Frozen>> {
        Ok(Cow::Borrowed(self))
    }
}

/// Saves a graph: its nodes with their names, lines and control inputs, constants, variables without their values,
/// collections and seeds.
///
/// # Errors
/// Every mistake that building recorded, and when the file cannot be written; what was there before is then untouched.
pub fn save_graph(graph: &(impl Freeze + ?Sized), path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let frozen = graph.frozen().map_err(|e| e.or_at(path))?;
    let mut container = Container::default();
    push(&frozen, &mut container).map_err(|e| e.at(path))?;
    durable::replace(path, &container)
}

/// Loads a graph that [`save_graph`] saved, or that a [`Bundle`](crate::Bundle) holds.
///
/// Its nodes have the names, numbers and lines that they had; [`Graph::tensor`], [`Graph::operation`] and
/// [`Graph::variable_named`] find them.
///
/// # Errors
/// When the file cannot be read, is damaged or newer than this program, or holds no graph.
pub fn load_graph(path: impl AsRef<Path>) -> Result<OwnedGraph> {
    let path = path.as_ref();
    decode_graph(&durable::read(path)?).map_err(|e| e.or_at(path))
}

/// The bytes of the file that [`save_graph`] writes.
///
/// # Errors
/// Every mistake that building recorded.
pub fn encode_graph(graph: &(impl Freeze + ?Sized)) -> Result<Vec<u8>> {
    let frozen = graph.frozen()?;
    let mut container = Container::default();
    push(&frozen, &mut container)?;
    Ok(container.to_bytes())
}

/// A graph from the bytes of its file.
///
/// # Errors
/// As [`load_graph`].
pub fn decode_graph(bytes: &[u8]) -> Result<OwnedGraph> {
    Ok(thaw(&Sections::parse(bytes)?)?)
}

#[derive(Serialize, Deserialize)]
struct HeadRecord {
    /// The source files that nodes name.
    files: Vec<String>,
    nodes: u64,
    variables: u64,
    collections: u64,
    seed: Option<i64>,
    unseeded: i64,
}

#[derive(Serialize, Deserialize)]
struct NodeRecord {
    kind: KindRecord,
    name: String,
    operands: Vec<Output>,
    control: Vec<NodeId>,
    facts: Vec<Fact>,
    /// Which of the files, and the line.
    source: (u32, u32),
    gradient_of: Option<NodeId>,
}

/// What stands at the end where a graph has choices: its branches, and the nodes in them.
#[derive(Serialize, Deserialize)]
struct BranchesRecord {
    branches: Vec<BranchInfo>,
    /// Nodes one after the other: the first, how many, and their branch.
    nodes: Vec<(u32, u32, BranchId)>,
}

/// Append only, as operations are.
#[derive(Serialize, Deserialize)]
enum KindRecord {
    Op(Op),
    Placeholder,
    PlaceholderWithDefault,
    Constant(Spec),
    Variable(VariableId),
    Read(VariableId),
    Initialized(VariableId),
    Assign { variable: VariableId, write: Write },
    Random { distribution: Distribution, seeds: Seeds },
    Group,
    Dynamic(DynamicOp),
    Choice,
    Custom { name: String, version: u32, attributes: Vec<u8> },
}

#[derive(Serialize, Deserialize)]
struct VariableRecord {
    node: NodeId,
    initial_value: Output,
    initializer: NodeId,
    trainable: bool,
}

/// Appends the sections of a graph.
pub(crate) fn push(graph: &Frozen, container: &mut Container<'_>) -> std::result::Result<(), Kind> {
    graph.verify().map_err(Kind::Graph)?;
    let mut files: Vec<String> = Vec::new();
    let mut known: BTreeMap<&str, u32> = BTreeMap::new();
    for node in graph.nodes() {
        let next = files.len() as u32;
        known.entry(&node.source.file).or_insert_with(|| {
            files.push(node.source.file.to_string());
            next
        });
    }
    let head = HeadRecord {
        files,
        nodes: graph.nodes().len() as u64,
        variables: graph.variables().len() as u64,
        collections: graph.collections().len() as u64,
        seed: graph.seed(),
        unseeded: graph.unseeded(),
    };
    let mut bytes = Vec::new();
    let mut constants = Vec::new();
    write(&head, &mut bytes).map_err(Kind::Unwritable)?;
    for node in graph.nodes() {
        let told = |message: String| Kind::Unwritable(format!("node {:?} ({}) {message}", node.name, node.source));
        let file = known.get(&*node.source.file).copied().unwrap_or(0);
        let record = node_record(node, file, &mut constants).map_err(told)?;
        write(&record, &mut bytes).map_err(told)?;
    }
    for info in graph.variables() {
        let VariableInfo { node, initial_value, initializer, trainable } = info.clone();
        let record = VariableRecord { node, initial_value, initializer, trainable };
        write(&record, &mut bytes).map_err(Kind::Unwritable)?;
    }
    for collection in graph.collections() {
        write(&collection, &mut bytes).map_err(Kind::Unwritable)?;
    }
    if !graph.branches().is_empty() {
        write(&branches_record(graph), &mut bytes).map_err(Kind::Unwritable)?;
    }
    container.push(Tag::GRAPH, vec![Cow::Owned(bytes)]);
    let constants = pieces(&constants).into_iter().map(|p| Cow::Owned(p.into_owned())).collect();
    container.push(Tag::CONSTANTS, constants);
    Ok(())
}

fn branches_record(graph: &Frozen) -> BranchesRecord {
    let mut nodes: Vec<(u32, u32, BranchId)> = Vec::new();
    for (i, node) in (0_u32..).zip(graph.nodes()) {
        match (node.branch, nodes.last_mut()) {
            (Some(branch), Some((first, count, last))) if *last == branch && *first + *count == i => *count += 1,
            (Some(branch), _) => nodes.push((i, 1, branch)),
            (None, _) => {}
        }
    }
    BranchesRecord { branches: graph.branches().to_vec(), nodes }
}

fn node_record(node: &Node, file: u32, constants: &mut Vec<Value>) -> std::result::Result<NodeRecord, String> {
    if let Some(rank) = node.facts.iter().filter_map(|f| f.shape.rank()).find(|r| *r > MAX_RANK) {
        return Err(format!("gives a tensor of {rank} axes; files hold {MAX_RANK} at most"));
    }
    let kind = match &node.kind {
        NodeKind::Op(op) => KindRecord::Op(op.clone()),
        NodeKind::Placeholder => KindRecord::Placeholder,
        NodeKind::PlaceholderWithDefault => KindRecord::PlaceholderWithDefault,
        NodeKind::Constant(value) => {
            constants.push(value.to_standard_layout());
            KindRecord::Constant(Spec::of(value))
        }
        NodeKind::Variable(id) => KindRecord::Variable(*id),
        NodeKind::Read(id) => KindRecord::Read(*id),
        NodeKind::Initialized(id) => KindRecord::Initialized(*id),
        NodeKind::Assign { variable, write } => KindRecord::Assign { variable: *variable, write: *write },
        NodeKind::Random { distribution, seeds } => KindRecord::Random { distribution: *distribution, seeds: *seeds },
        NodeKind::Dynamic(op) => KindRecord::Dynamic(op.clone()),
        NodeKind::Choice => KindRecord::Choice,
        NodeKind::Custom(custom) => KindRecord::Custom {
            name: custom.name().to_owned(),
            version: custom.version(),
            attributes: custom.attributes().to_vec(),
        },
        NodeKind::Group => KindRecord::Group,
        NodeKind::Mistake => return Err("could not be built".to_owned()),
    };
    Ok(NodeRecord {
        kind,
        name: node.name.as_ref().to_owned(),
        operands: node.operands.to_vec(),
        control: node.control.to_vec(),
        facts: node.facts.to_vec(),
        source: (file, node.source.line),
        gradient_of: node.gradient_of,
    })
}

/// The graph of a file.
pub(crate) fn thaw(sections: &Sections<'_>) -> std::result::Result<OwnedGraph, Kind> {
    let advice = "Saver::restore reads checkpoints, save_graph and Bundle::save write graphs";
    let records = sections.need(Tag::GRAPH, "graph", advice)?;
    let constants = sections.need(Tag::CONSTANTS, "constants", advice)?;
    let frozen = Reader { nodes: Vec::new(), arrays: Arrays::new(constants) }.read(Records::new(records))?;
    Graph::thaw(&frozen).map_err(Kind::Graph)
}

struct Reader<'a> {
    nodes: Vec<Arc<Node>>,
    arrays: Arrays<'a>,
}

impl Reader<'_> {
    fn read(mut self, mut records: Records<'_>) -> std::result::Result<Frozen, Kind> {
        let damaged = |what| Kind::damaged("graph")(what);
        let head: HeadRecord = records.next().map_err(damaged)?;
        let files: Vec<Arc<str>> = head.files.into_iter().map(Arc::from).collect();
        for i in 0..head.nodes {
            let record: NodeRecord = records.next().map_err(|e| damaged(format!("node {i}: {e}")))?;
            let name = record.name.clone();
            let node = self.node(record, &files).map_err(|e| Kind::Graph(format!("node {i} ({name:?}): {e}")))?;
            self.nodes.push(Arc::new(node));
        }
        let mut variables = Vec::new();
        for i in 0..head.variables {
            let record: VariableRecord = records.next().map_err(|e| damaged(format!("variable {i}: {e}")))?;
            let VariableRecord { node, initial_value, initializer, trainable } = record;
            variables.push(VariableInfo { node, initial_value, initializer, trainable });
        }
        let mut collections = BTreeMap::<String, Vec<Member>>::new();
        for i in 0..head.collections {
            let (name, members): (String, Vec<Member>) =
                records.next().map_err(|e| damaged(format!("collection {i}: {e}")))?;
            if collections.last_key_value().is_some_and(|(last, _)| *last >= name) {
                return Err(damaged(format!("collection {name:?} is not in its place")));
            }
            collections.insert(name, members);
        }
        let mut branches = Vec::new();
        if !records.is_finished() {
            let record: BranchesRecord = records.next().map_err(|e| damaged(format!("branches: {e}")))?;
            branches = record.branches;
            let mut end = 0;
            for (first, count, branch) in record.nodes {
                let last = first.checked_add(count).filter(|last| *last as usize <= self.nodes.len() && first >= end);
                end = last.ok_or_else(|| damaged("branches: the nodes in them are not in order".to_owned()))?;
                for node in &mut self.nodes[first as usize..end as usize] {
                    Arc::make_mut(node).branch = Some(branch);
                }
            }
        }
        records.finish().map_err(damaged)?;
        self.arrays.finish().map_err(Kind::damaged("constants"))?;
        let seeds = (head.seed, head.unseeded);
        Ok(Frozen::new(scratch(), self.nodes, variables, collections, seeds).with_branches(branches))
    }

    fn node(&mut self, record: NodeRecord, files: &[Arc<str>]) -> std::result::Result<Node, String> {
        let NodeRecord { kind, name, operands, control, facts, source: (file, line), gradient_of } = record;
        for fact in &facts {
            check_size(fact)?;
        }
        let mut facts: SmallVec<[Fact; 1]> = facts.into();
        let kind = match kind {
            KindRecord::Op(op) => {
                facts = self.inferred(&op, &operands, &facts)?;
                NodeKind::Op(op)
            }
            KindRecord::Placeholder => NodeKind::Placeholder,
            KindRecord::PlaceholderWithDefault => NodeKind::PlaceholderWithDefault,
            KindRecord::Constant(spec) => NodeKind::Constant(self.arrays.next(&spec)?),
            KindRecord::Variable(id) => NodeKind::Variable(id),
            KindRecord::Read(id) => NodeKind::Read(id),
            KindRecord::Initialized(id) => NodeKind::Initialized(id),
            KindRecord::Assign { variable, write } => NodeKind::Assign { variable, write },
            KindRecord::Random { distribution, seeds } => NodeKind::Random { distribution, seeds },
            KindRecord::Group => NodeKind::Group,
            KindRecord::Dynamic(op) => NodeKind::Dynamic(op),
            KindRecord::Choice => NodeKind::Choice,
            KindRecord::Custom { name, version, attributes } => {
                NodeKind::Custom(Custom::load(&name, version, &attributes)?)
            }
        };
        let file = files.get(file as usize).ok_or_else(|| format!("there is no source file {file}"))?;
        Ok(Node {
            kind,
            name: name.into(),
            operands: operands.into(),
            control: control.into(),
            facts,
            source: Source { file: Arc::clone(file), line },
            gradient_of,
            branch: None,
        })
    }

    /// What an operation gives, which must agree with what the file says of it.
    fn inferred(
        &self,
        op: &Op,
        operands: &[Output],
        told: &[Fact],
    ) -> std::result::Result<SmallVec<[Fact; 1]>, String> {
        let mut known = Vec::with_capacity(operands.len());
        for output in operands {
            let fact = self.nodes.get(output.node.index()).and_then(|n| n.facts.get(output.port as usize));
            known.push(fact.ok_or("an operand is not older than it, or does not exist")?.clone());
        }
        let facts = infer(op, &known)?;
        let agree = facts.len() == told.len()
            && facts.iter().zip(told).all(|(a, b)| a.dtype == b.dtype && a.shape.unify(&b.shape).is_some());
        if !agree {
            return Err(format!("it gives {told:?}, inference says {facts:?}"));
        }
        facts.iter().try_for_each(check_size)?;
        Ok(facts)
    }
}

/// Refuses shapes with too many axes, or that no memory holds.
fn check_size(fact: &Fact) -> std::result::Result<(), String> {
    let rank = fact.shape.rank().unwrap_or(0);
    if rank > MAX_RANK {
        return Err(format!("it gives a tensor of {rank} axes, at most {MAX_RANK} are allowed"));
    }
    let unknown = fact.shape.dims().is_none_or(|dims| dims.contains(&dormouse_value::Dim::Unknown));
    let bytes = fact.shape.to_dims().and_then(|d| element_count(&d)?.checked_mul(fact.dtype.size()));
    if !unknown && bytes.is_none_or(|n| isize::try_from(n).is_err()) {
        return Err(format!("it gives {} {}, which no memory holds", fact.dtype, fact.shape));
    }
    Ok(())
}

/// The number that frozen graphs of files have until they are thawed. Graph numbers are made by graphs only.
fn scratch() -> GraphId {
    static SCRATCH: OnceLock<GraphId> = OnceLock::new();
    *SCRATCH.get_or_init(|| Graph::new().id())
}
