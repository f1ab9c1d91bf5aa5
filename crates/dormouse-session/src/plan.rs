//! Plans: a program with its kernels compiled and every buffer given a place. Made once for a request, then shared.

use dormouse_graph::{Frozen, NodeId, VariableId};
use dormouse_kernels::{Kernel, KernelError, RandomKey, Spec, compile, compile_random, reserve};
use dormouse_value::Value;
use smallvec::SmallVec;

use crate::buffer::ALIGNMENT;
use crate::error::{Kind, Result};
use crate::lower::place;
use crate::program::{Action, Origin, Program, ValueId};

/// Where an operand or a result lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// Bytes from the start of the arena.
    Arena(usize),
    Feed(u32),
    Constant(u32),
    Variable(VariableId),
    /// The counter of a draw of this run.
    Counter(u32),
    /// Nowhere: only the shape is of use.
    ShapeOnly,
}

/// One kernel and where its operands and results lie.
#[derive(Debug)]
pub(crate) struct PlannedStep {
    pub(crate) kernel: Kernel,
    pub(crate) inputs: SmallVec<[Location; 3]>,
    pub(crate) outputs: SmallVec<[Location; 1]>,
    pub(crate) shared: usize,
    pub(crate) node: NodeId,
}

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<PlannedStep>,
    pub(crate) arena: usize,
    /// Where the workers' own scratch begins in the arena.
    pub(crate) local: usize,
    pub(crate) constants: Vec<Value>,
    pub(crate) results: Vec<(Location, Spec)>,
    pub(crate) commits: Vec<(Location, Spec)>,
    /// The variables that the run writes, in order, as the commits.
    pub(crate) writes: Vec<VariableId>,
    /// The variables that must have a value.
    pub(crate) reads: Vec<VariableId>,
    /// Each draw's counter in the session, and how far a run moves it.
    pub(crate) draws: Vec<(usize, u64)>,
}

/// Blocks of an arena that nobody uses now: the lowest that is large enough serves next.
#[derive(Debug, Default)]
struct Blocks {
    free: Vec<(usize, usize)>,
    end: usize,
}

impl Blocks {
    fn take(&mut self, bytes: usize) -> usize {
        let bytes = bytes.max(1).next_multiple_of(ALIGNMENT);
        if let Some(i) = self.free.iter().position(|b| b.1 >= bytes) {
            let (offset, size) = self.free[i];
            if size == bytes {
                self.free.remove(i);
            } else {
                self.free[i] = (offset + bytes, size - bytes);
            }
            return offset;
        }
        let offset = self.end;
        self.end += bytes;
        offset
    }

    fn give_back(&mut self, offset: usize, bytes: usize) {
        let bytes = bytes.max(1).next_multiple_of(ALIGNMENT);
        let i = self.free.partition_point(|b| b.0 < offset);
        self.free.insert(i, (offset, bytes));
        if i + 1 < self.free.len() && offset + bytes == self.free[i + 1].0 {
            self.free[i].1 += self.free.remove(i + 1).1;
        }
        if i > 0 && self.free[i - 1].0 + self.free[i - 1].1 == offset {
            self.free[i - 1].1 += self.free.remove(i).1;
        }
    }
}

impl Plan {
    /// Compiles a program's instructions in their order, and gives buffers to values for as long as they are read.
    pub(crate) fn new(graph: &Frozen, program: Program) -> Result<Plan> {
        let mut last_use = vec![0_usize; program.values.len()];
        for (i, instruction) in program.instructions.iter().enumerate() {
            for value in instruction.operands.iter().chain(&instruction.results) {
                last_use[program.root(*value).index()] = i;
            }
        }
        for end in program.ends() {
            last_use[program.root(end).index()] = usize::MAX;
        }
        let mut locations = vec![Location::ShapeOnly; program.values.len()];
        for (i, value) in program.values.iter().enumerate() {
            match value.origin {
                Origin::Feed(feed) => locations[i] = Location::Feed(feed),
                Origin::Constant(c) => locations[i] = Location::Constant(c),
                Origin::Variable(v) => locations[i] = Location::Variable(v),
                Origin::Computed | Origin::Alias(_) => {}
            }
        }
        let mut blocks = Blocks::default();
        let mut steps = Vec::with_capacity(program.instructions.len());
        let mut draws = Vec::new();
        let mut local = 0;
        for (i, instruction) in program.instructions.iter().enumerate() {
            let specs = |values: &[ValueId]| values.iter().map(|v| program.spec(*v).clone()).collect::<Vec<_>>();
            let (in_specs, out_specs) = (specs(&instruction.operands), specs(&instruction.results));
            let failed = |e: KernelError| Kind::Node { place: place(graph, instruction.node), message: e.to_string() };
            let (kernel, inputs) = match &instruction.action {
                Action::Op(op) => {
                    let kernel = compile(op, &in_specs, &out_specs).map_err(failed)?;
                    let operand = |(k, v): (usize, &ValueId)| {
                        if op.shape_only(k) { Location::ShapeOnly } else { locations[program.root(*v).index()] }
                    };
                    (kernel, instruction.operands.iter().enumerate().map(operand).collect())
                }
                Action::Random { distribution, seeds, generator } => {
                    let key = RandomKey::from_seeds(seeds.graph, seeds.operation);
                    let kernel = compile_random(*distribution, key, &out_specs[0]).map_err(failed)?;
                    let blocks = u64::try_from(reserve(out_specs[0].len())).unwrap_or(u64::MAX);
                    draws.push((*generator, blocks));
                    (kernel, SmallVec::from_slice(&[Location::Counter((draws.len() - 1) as u32)]))
                }
            };
            let mut outputs = SmallVec::new();
            for (result, spec) in instruction.results.iter().zip(&out_specs) {
                let location = Location::Arena(blocks.take(spec.bytes()));
                locations[result.index()] = location;
                outputs.push(location);
            }
            let shared = blocks.take(kernel.shared);
            blocks.give_back(shared, kernel.shared);
            local = local.max(kernel.local);
            let mut touched: SmallVec<[ValueId; 4]> =
                instruction.operands.iter().chain(&instruction.results).map(|v| program.root(*v)).collect();
            touched.sort_unstable();
            touched.dedup();
            for root in touched {
                if let Location::Arena(offset) = locations[root.index()]
                    && last_use[root.index()] == i
                {
                    blocks.give_back(offset, program.spec(root).bytes());
                }
            }
            steps.push(PlannedStep { kernel, inputs, outputs, shared, node: instruction.node });
        }
        let ended = |value: ValueId| (locations[program.root(value).index()], program.spec(value).clone());
        let read = |location: &Location| if let Location::Variable(v) = location { Some(*v) } else { None };
        let results: Vec<_> = program.results.iter().map(|v| ended(*v)).collect();
        let commits: Vec<_> = program.commits.iter().map(|(_, v)| ended(*v)).collect();
        let ends = results.iter().chain(&commits).map(|e| &e.0);
        let mut reads: Vec<VariableId> = steps.iter().flat_map(|s| &s.inputs).chain(ends).filter_map(read).collect();
        reads.extend(program.kept.iter().filter_map(|v| read(&locations[program.root(*v).index()])));
        reads.sort_unstable();
        reads.dedup();
        let writes = program.commits.iter().map(|c| c.0).collect();
        let arena = blocks.end.checked_add(local).ok_or(Kind::TooLarge { bytes: u128::from(u64::MAX) })?;
        Ok(Plan {
            steps,
            arena,
            local: blocks.end,
            constants: program.constants,
            results,
            commits,
            writes,
            reads,
            draws,
        })
    }
}
