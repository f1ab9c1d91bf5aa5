//! Plans: a program with its kernels compiled, every value given a place, and its steps put in order. Made once for a
//! request, then shared by all runs of it.
//!
//! The steps come in two parts. The *tail* is what may write variables where they lie: it cannot fail, and nothing
//! outside of it reads what it writes, so a run that has come so far is sure to end. All else is the *head*.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};

use dormouse_graph::{Frozen, NodeId, VariableId};
use dormouse_kernels::{
    Kernel, KernelError, RandomKey, Spec, compile, compile_loop, compile_loop_reduction, compile_random,
    elementwise_inputs, reserve,
};
use dormouse_value::Value;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::error::{Kind, Result};
use crate::frame::Frame;
use crate::lower::{Request, place};
use crate::memory::{Blocks, Steps};
use crate::program::{Action, Instruction, Origin, Program, ValueId};
use crate::schedule::{Task, Waits, Work};

/// A plan that takes less runs on the calling thread alone: waking another takes longer than it would save.
const BREAK_EVEN_NANOS: f64 = 40_000.0;
/// Other threads have to save so much of the time.
const WORTH_SHARING: f64 = 0.85;

/// Operands that are looked at for one whose place a result may take over.
const LOOKED_AT: usize = 16;

/// A draw's counter, a `u128`.
pub(crate) const COUNTER_BYTES: usize = 16;

/// Where an operand or a result lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// Bytes from the start of the arena.
    Arena(usize),
    Feed(u32),
    Constant(u32),
    /// A variable as it was before the run.
    Variable(VariableId),
    /// What a variable will hold: the number of a commit.
    Next(u32),
    /// The memory that is handed back: the number of a result.
    Result(u32),
    /// Nowhere: only the shape is of use.
    ShapeOnly,
}

/// One kernel, and where its operands and results lie: `slots[first..]` of the plan, operands before results.
#[derive(Debug)]
pub(crate) struct PlannedStep {
    pub(crate) kernel: Kernel,
    pub(crate) first: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Where the scratch that its tiles share lies in the arena.
    pub(crate) shared: usize,
    pub(crate) node: NodeId,
}

/// A value that is handed back.
#[derive(Debug)]
pub(crate) struct PlannedResult {
    pub(crate) spec: Spec,
    /// Where it is copied from; its own memory, if the steps write it there.
    pub(crate) from: Location,
    /// Whether the tail computes it.
    pub(crate) of_tail: bool,
}

/// What a variable holds after the run.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) variable: VariableId,
    pub(crate) bytes: usize,
    /// Where it is copied from; nowhere, if the steps write it to its place.
    pub(crate) copied: Option<(Location, bool)>,
    /// Whether its place may be the variable's own buffer, if no other run is about.
    pub(crate) in_place: bool,
}

/// A part of the steps as several threads run it.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) steps: std::ops::Range<usize>,
    /// Empty where one thread runs the steps in order. Step numbers are the plan's.
    pub(crate) tasks: Vec<Task>,
}

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) request: Request,
    pub(crate) steps: Vec<PlannedStep>,
    pub(crate) slots: Vec<Location>,
    /// The slots that are not the same place in each run, but for those of the tail.
    pub(crate) varying: Vec<u32>,
    /// The slots of what is written in place.
    pub(crate) varying_tail: Vec<u32>,
    pub(crate) head: Part,
    pub(crate) tail: Part,
    /// Threads that run it; 1 is the caller alone.
    pub(crate) threads: usize,
    pub(crate) arena: usize,
    /// Where the workers' own scratch begins in the arena, and how much each has.
    pub(crate) local: usize,
    pub(crate) local_bytes: usize,
    pub(crate) constants: Vec<Value>,
    pub(crate) results: Vec<PlannedResult>,
    pub(crate) commits: Vec<Commit>,
    /// The variables that the run writes, in order, as the commits.
    pub(crate) writes: Vec<VariableId>,
    /// The variables that must have a value.
    pub(crate) reads: Vec<VariableId>,
    /// Each draw's counter in the session, and how far a run moves it.
    pub(crate) draws: Vec<(Arc<AtomicU64>, u64)>,
    /// Where the draws' counters of a run begin in the arena.
    pub(crate) counters: usize,
    /// Whether it was asked for of late; the session forgets first those that were not.
    pub(crate) recent: AtomicBool,
    /// Frames of runs that are over.
    pub(crate) frames: Mutex<Vec<Arc<Frame>>>,
}

impl Plan {
    /// Compiles a program's instructions and gives every value a place.
    pub(crate) fn new(
        graph: &Frozen,
        request: Request,
        mut program: Program,
        threads: usize,
        counter: impl Fn(usize) -> Arc<AtomicU64>,
    ) -> Result<Plan> {
        let mut compiled = Vec::with_capacity(program.instructions.len());
        let mut draws = Vec::new();
        for instruction in &program.instructions {
            let kernel = kernel(&program, instruction)
                .map_err(|e| Kind::Node { place: place(graph, instruction.node), message: e.to_string() })?;
            compiled.push(kernel);
        }
        let tail = Tail::of(&mut program, &mut compiled);
        for instruction in &program.instructions {
            if let Action::Random { generator, .. } = instruction.action {
                let blocks = u64::try_from(reserve(program.spec(instruction.results[0]).len())).unwrap_or(u64::MAX);
                draws.push((counter(generator), blocks));
            }
        }
        let mut placing = Placing::new(&program, &compiled, &tail, threads);
        placing.all();
        let Placing { locations, slots, firsts, shared, waits, blocks, threads, commits, result_of, counters, .. } =
            placing;
        let head_steps = tail.start;
        let count = compiled.len();
        let (head_tasks, tail_tasks) = match waits {
            Some((head, tail)) => (head.tasks(threads), tail.tasks(threads)),
            None => (Vec::new(), Vec::new()),
        };
        let tail_tasks = tail_tasks.into_iter().map(|t| t.moved(head_steps as u32)).collect();
        let local_bytes = compiled.iter().map(|k| k.local).max().unwrap_or(0).next_multiple_of(64);
        let arena = local_bytes.checked_mul(threads).and_then(|l| l.checked_add(blocks.end()));
        let arena =
            arena.filter(|a| isize::try_from(*a).is_ok()).ok_or(Kind::TooLarge { bytes: u128::from(u64::MAX) })?;
        let in_place = |location: &Location| matches!(location, Location::Next(c) if commits[*c as usize].in_place);
        let moves =
            |location: &Location| !matches!(location, Location::Arena(_) | Location::Constant(_) | Location::ShapeOnly);
        let numbered = || slots.iter().enumerate().map(|(i, l)| (i as u32, l));
        let varying = numbered().filter(|(_, l)| moves(l) && !in_place(l)).map(|s| s.0).collect();
        let varying_tail = numbered().filter(|(_, l)| in_place(l)).map(|s| s.0).collect();
        let produced_by = &tail.producers;
        let results: Vec<PlannedResult> = program
            .results
            .iter()
            .enumerate()
            .map(|(i, value)| {
                let root = program.root(*value);
                let from = if result_of.get(&root) == Some(&(i as u32)) {
                    Location::Result(i as u32)
                } else {
                    locations[root.index()]
                };
                let of_tail = produced_by[root.index()].is_some_and(|step| step >= tail.start);
                PlannedResult { spec: program.spec(*value).clone(), from, of_tail }
            })
            .collect();
        let read = |location: &Location| if let Location::Variable(v) = location { Some(*v) } else { None };
        let mut reads: Vec<VariableId> = slots.iter().filter_map(read).collect();
        reads.extend(results.iter().filter_map(|r| read(&r.from)));
        reads.extend(commits.iter().filter_map(|c| c.copied.as_ref()).filter_map(|(from, _)| read(from)));
        reads.extend(program.kept.iter().filter_map(|v| read(&locations[program.root(*v).index()])));
        reads.sort_unstable();
        reads.dedup();
        let steps = compiled
            .into_iter()
            .zip(&program.instructions)
            .zip(firsts.iter().zip(&shared))
            .map(|((kernel, instruction), (first, shared))| PlannedStep {
                kernel,
                first: *first,
                inputs: inputs(instruction),
                outputs: instruction.results.len(),
                shared: *shared,
                node: instruction.node,
            })
            .collect();
        Ok(Plan {
            request,
            steps,
            slots,
            varying,
            varying_tail,
            head: Part { steps: 0..head_steps, tasks: head_tasks },
            tail: Part { steps: head_steps..count, tasks: tail_tasks },
            threads,
            arena,
            local: blocks.end(),
            local_bytes,
            constants: program.constants,
            results,
            writes: commits.iter().map(|c| c.variable).collect(),
            commits,
            reads,
            draws,
            counters,
            recent: AtomicBool::new(true),
            frames: Mutex::new(Vec::new()),
        })
    }
}

fn kernel(program: &Program, instruction: &Instruction) -> std::result::Result<Kernel, KernelError> {
    let specs = |values: &[ValueId]| values.iter().map(|v| program.spec(*v).clone()).collect::<Vec<_>>();
    match &instruction.action {
        Action::Op(op) => compile(op, &specs(&instruction.operands), &specs(&instruction.results)),
        Action::Loop(body) => compile_loop(body),
        Action::LoopReduction(body, reduce) => compile_loop_reduction(body, reduce),
        Action::Random { distribution, seeds, .. } => {
            let key = RandomKey::from_seeds(seeds.graph, seeds.operation);
            compile_random(*distribution, key, program.spec(instruction.results[0]))
        }
    }
}

/// How many buffers an instruction takes: a draw takes its counter.
fn inputs(instruction: &Instruction) -> usize {
    if let Action::Random { .. } = instruction.action { 1 } else { instruction.operands.len() }
}

/// The operands whose buffer may be that of result `result`.
fn may_share(instruction: &Instruction, kernel: &Kernel, result: usize) -> SmallVec<[usize; 4]> {
    match &instruction.action {
        Action::Loop(body) => elementwise_inputs(body),
        Action::Op(_) | Action::Random { .. } if result == 0 => kernel.in_place.iter().copied().collect(),
        Action::Op(_) | Action::LoopReduction(..) | Action::Random { .. } => SmallVec::new(),
    }
}

/// Where the tail starts, once the instructions are in order, and who computes what.
struct Tail {
    start: usize,
    /// The instruction that computes each value.
    producers: Vec<Option<usize>>,
}

impl Tail {
    /// Moves to the end what cannot fail, computes what variables will hold, and is read by nothing else.
    fn of(program: &mut Program, compiled: &mut Vec<Kernel>) -> Tail {
        let mut committed = vec![false; program.values.len()];
        for (_, value) in &program.commits {
            committed[program.root(*value).index()] = true;
        }
        let count = program.instructions.len();
        let mut last = vec![false; count];
        // Whether something outside of the tail reads the value.
        let mut read_before = vec![false; program.values.len()];
        for i in (0..count).rev() {
            let instruction = &program.instructions[i];
            let writes = instruction.results.iter().any(|r| committed[r.index()]);
            let free = !compiled[i].fallible && instruction.results.iter().all(|r| !read_before[r.index()]);
            last[i] = writes && free;
            if !last[i] {
                for operand in instruction.read() {
                    read_before[program.root(operand).index()] = true;
                }
            }
        }
        let start = last.iter().filter(|l| !**l).count();
        let mut order: Vec<usize> = (0..count).filter(|i| !last[*i]).collect();
        order.extend((0..count).filter(|i| last[*i]));
        let mut kernels: Vec<Option<Kernel>> = compiled.drain(..).map(Some).collect();
        compiled.extend(order.iter().filter_map(|i| kernels[*i].take()));
        let mut instructions: Vec<Option<Instruction>> = program.instructions.drain(..).map(Some).collect();
        program.instructions = order.iter().filter_map(|i| instructions[*i].take()).collect();
        let mut producers = vec![None; program.values.len()];
        for (i, instruction) in program.instructions.iter().enumerate() {
            for result in &instruction.results {
                producers[result.index()] = Some(i);
            }
        }
        Tail { start, producers }
    }
}

/// The work of giving every value a place.
struct Placing<'a> {
    program: &'a Program,
    compiled: &'a [Kernel],
    tail: &'a Tail,
    threads: usize,
    locations: Vec<Location>,
    /// The steps that use each value, its own first.
    users: Vec<Steps>,
    /// Whether a value is needed after the steps.
    kept: Vec<bool>,
    blocks: Blocks,
    slots: Vec<Location>,
    firsts: Vec<usize>,
    shared: Vec<usize>,
    /// Waits of the head and of the tail, where several threads run them.
    waits: Option<(Waits, Waits)>,
    commits: Vec<Commit>,
    /// The result whose memory a value is written to.
    result_of: FxHashMap<ValueId, u32>,
    /// The variables that are read as they were before the run.
    olds: FxHashMap<VariableId, ValueId>,
    /// Where the draws' counters begin in the arena, and how many have a place.
    counters: usize,
    draws: usize,
}

impl<'a> Placing<'a> {
    fn new(program: &'a Program, compiled: &'a [Kernel], tail: &'a Tail, threads: usize) -> Self {
        let mut users = vec![Steps::new(); program.values.len()];
        for (i, instruction) in program.instructions.iter().enumerate() {
            for value in instruction.results.iter().copied().chain(instruction.read()) {
                let users = &mut users[program.root(value).index()];
                if users.last() != Some(&(i as u32)) {
                    users.push(i as u32);
                }
            }
        }
        let mut kept = vec![false; program.values.len()];
        for end in program.ends() {
            kept[program.root(end).index()] = true;
        }
        let locations = program
            .values
            .iter()
            .map(|value| match value.origin {
                Origin::Feed(feed) => Location::Feed(feed),
                Origin::Constant(c) => Location::Constant(c),
                Origin::Variable(v) => Location::Variable(v),
                Origin::Computed | Origin::Alias(_) => Location::ShapeOnly,
            })
            .collect();
        let numbered = program.values.iter().enumerate();
        let olds = numbered
            .filter_map(|(i, value)| match value.origin {
                Origin::Variable(v) => Some((v, ValueId(i as u32))),
                Origin::Feed(_) | Origin::Constant(_) | Origin::Computed | Origin::Alias(_) => None,
            })
            .collect();
        let (waits, threads) = waits(program, compiled, tail, &users, threads);
        // Steps that run beside each other must not wait for each other's places.
        let lag = if waits.is_some() { 4 * threads as u32 } else { 0 };
        let draws = program.instructions.iter().filter(|i| matches!(i.action, Action::Random { .. })).count();
        let mut blocks = Blocks::new(lag);
        let counters = if draws > 0 { blocks.take(draws * COUNTER_BYTES, 0).0 } else { 0 };
        let mut placing = Placing {
            program,
            compiled,
            tail,
            threads,
            locations,
            users,
            kept,
            blocks,
            slots: Vec::new(),
            firsts: Vec::new(),
            shared: Vec::new(),
            waits,
            commits: Vec::new(),
            result_of: FxHashMap::default(),
            olds,
            counters,
            draws: 0,
        };
        placing.commits();
        placing.results();
        placing
    }

    fn commits(&mut self) {
        let program = self.program;
        for (number, (variable, value)) in program.commits.iter().enumerate() {
            let root = program.root(*value);
            let own = program.value(root).origin == Origin::Computed
                && self.locations[root.index()] == Location::ShapeOnly
                && self.tail.producers[root.index()].is_some();
            let of_tail = self.tail.producers[root.index()].is_some_and(|i| i >= self.tail.start);
            let copied = if own {
                self.locations[root.index()] = Location::Next(number as u32);
                None
            } else {
                Some((self.locations[root.index()], of_tail))
            };
            let in_place = own && of_tail && self.is_last_reader(*variable, root);
            let bytes = program.spec(*value).bytes();
            self.commits.push(Commit { variable: *variable, bytes, copied, in_place });
        }
    }

    /// Whether the step that computes a variable's next value may write it over the old one: all others that read the
    /// old one are in the head, and it reads it element by element itself.
    fn is_last_reader(&self, variable: VariableId, next: ValueId) -> bool {
        let program = self.program;
        let Some(&old) = self.olds.get(&variable) else { return true };
        let Some(writer) = self.tail.producers[next.index()] else { return false };
        let instruction = &program.instructions[writer];
        let result = instruction.results.iter().position(|r| *r == next).unwrap_or(0);
        let shareable = may_share(instruction, &self.compiled[writer], result);
        let element_wise = (instruction.operands.iter().enumerate())
            .filter(|(k, o)| program.root(**o) == old && !instruction.action.shape_only(*k))
            .all(|(k, o)| shareable.contains(&k) && program.spec(*o).dtype == program.spec(next).dtype);
        let others = self.users[old.index()].iter().all(|i| *i as usize == writer || (*i as usize) < self.tail.start);
        // What another variable will hold is copied from the old one before the tail begins.
        element_wise && others
    }

    fn results(&mut self) {
        for (i, value) in self.program.results.iter().enumerate() {
            let root = self.program.root(*value);
            if self.program.value(root).origin == Origin::Computed
                && self.locations[root.index()] == Location::ShapeOnly
                && self.tail.producers[root.index()].is_some()
            {
                self.locations[root.index()] = Location::Result(i as u32);
                self.result_of.insert(root, i as u32);
            }
        }
    }

    fn all(&mut self) {
        for (i, instruction) in self.program.instructions.iter().enumerate() {
            self.step(i as u32, instruction);
        }
    }

    fn step(&mut self, now: u32, instruction: &Instruction) {
        let (program, kernel) = (self.program, &self.compiled[now as usize]);
        self.firsts.push(self.slots.len());
        if let Action::Random { .. } = instruction.action {
            self.slots.push(Location::Arena(self.counters + COUNTER_BYTES * self.draws));
            self.draws += 1;
        }
        for (k, operand) in instruction.operands.iter().enumerate() {
            let location = if instruction.action.shape_only(k) {
                Location::ShapeOnly
            } else {
                self.locations[program.root(*operand).index()]
            };
            self.slots.push(location);
        }
        let mut taken_over = SmallVec::<[ValueId; 4]>::new();
        for (k, result) in instruction.results.iter().enumerate() {
            if self.locations[result.index()] == Location::ShapeOnly {
                let over = self.take_over(now, instruction, k, &taken_over);
                let location = if let Some(operand) = over {
                    taken_over.push(operand);
                    self.wait_for_users(operand, now);
                    self.locations[operand.index()]
                } else {
                    let (offset, waits) = self.blocks.take(program.spec(*result).bytes(), now);
                    self.wait(&waits, now);
                    Location::Arena(offset)
                };
                self.locations[result.index()] = location;
            }
            self.slots.push(self.locations[result.index()]);
        }
        let (shared, waits) = if kernel.shared > 0 { self.blocks.take(kernel.shared, now) } else { (0, Steps::new()) };
        self.wait(&waits, now);
        self.shared.push(shared);
        if kernel.shared > 0 {
            self.blocks.give_back(shared, kernel.shared, now, Steps::from_slice(&[now]));
        }
        let mut touched: SmallVec<[ValueId; 8]> =
            instruction.results.iter().copied().chain(instruction.read()).map(|v| program.root(v)).collect();
        touched.sort_unstable();
        touched.dedup();
        for root in touched {
            let users = &self.users[root.index()];
            let over = users.last() == Some(&now) && !self.kept[root.index()] && !taken_over.contains(&root);
            if let (true, Location::Arena(offset)) = (over, self.locations[root.index()]) {
                // The producer counts as a user only where nobody else is.
                let leavers = if users.len() > 1 { users[1..].iter().copied().collect() } else { users.clone() };
                self.blocks.give_back(offset, program.spec(root).bytes(), now, leavers);
            }
        }
    }

    /// An operand whose place result `k` of step `now` may take over.
    fn take_over(&self, now: u32, instruction: &Instruction, k: usize, taken: &[ValueId]) -> Option<ValueId> {
        let program = self.program;
        let spec = program.spec(instruction.results[k]);
        let shareable = may_share(instruction, &self.compiled[now as usize], k);
        shareable.into_iter().take(LOOKED_AT).find_map(|place| {
            let operand = *instruction.operands.get(place)?;
            let root = program.root(operand);
            let ends_here = self.users[root.index()].last() == Some(&now) && !self.kept[root.index()];
            let only = (instruction.operands.iter().enumerate())
                .filter(|(i, o)| program.root(**o) == root && !instruction.action.shape_only(*i))
                .count()
                == 1;
            let fits = program.spec(operand).dtype == spec.dtype && program.spec(root).bytes() == spec.bytes();
            let in_arena = matches!(self.locations[root.index()], Location::Arena(_));
            (ends_here && only && fits && in_arena && !taken.contains(&root)).then_some(root)
        })
    }

    fn wait_for_users(&mut self, value: ValueId, now: u32) {
        let users = self.users[value.index()].clone();
        self.wait(&users, now);
    }

    /// Makes a step wait for earlier ones, because of the place that it writes.
    fn wait(&mut self, before: &[u32], now: u32) {
        let start = self.tail.start as u32;
        let Some((head, tail)) = &mut self.waits else { return };
        for &step in before.iter().filter(|step| **step != now) {
            if now < start {
                head.add(step, now);
            } else if step >= start {
                tail.add(step - start, now - start);
            }
        }
    }
}

/// The waits that data makes, and the number of threads; none and one where sharing the work is not worth it.
fn waits(
    program: &Program,
    compiled: &[Kernel],
    tail: &Tail,
    users: &[Steps],
    threads: usize,
) -> (Option<(Waits, Waits)>, usize) {
    let nanos: f64 = compiled.iter().map(|k| k.cost.nanos).sum();
    if threads <= 1 || nanos < BREAK_EVEN_NANOS {
        return (None, 1);
    }
    let work =
        |kernel: &Kernel| Work { nanos: kernel.cost.nanos, tiles: kernel.phases.iter().copied().max().unwrap_or(0) };
    let start = tail.start as u32;
    let mut head = Waits::new(compiled[..tail.start].iter().map(work));
    let mut last = Waits::new(compiled[tail.start..].iter().map(work));
    for (value, users) in users.iter().enumerate() {
        let Some(producer) = tail.producers[value] else { continue };
        debug_assert!(matches!(program.values[value].origin, Origin::Computed));
        let producer = producer as u32;
        for &user in users.iter().filter(|u| **u != producer) {
            if user < start {
                head.add(producer, user);
            } else if producer >= start {
                last.add(producer - start, user - start);
            }
        }
    }
    let span = head.span(threads) + last.span(threads);
    if span > WORTH_SHARING * nanos { (None, 1) } else { (Some((head, last)), threads) }
}
