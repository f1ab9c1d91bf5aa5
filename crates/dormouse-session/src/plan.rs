//! Plans: a program with its kernels compiled, every value given a place, and its steps put in order. Made once for a
//! request, then shared by all runs of it.
//!
//! The steps come in two parts. The *tail* is what may write variables where they lie: it cannot fail, and nothing
//! outside of it reads what it writes, so a run that has come so far is sure to end. All else is the *head*.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};

use dormouse_graph::{Frozen, NodeId, VariableId};
use dormouse_kernels::{Kernel, Spec, reserve};
use dormouse_value::Value;

use crate::error::{Kind, Place, Result};
use crate::frame::Frame;
use crate::kernels::{Compiler, kernels};
use crate::lower::{Lowered, Request, place};
use crate::placing::Placing;
use crate::program::{Action, Instruction, Program};
use crate::rematerialize::rematerialize;
use crate::schedule::Task;
use crate::stage::Next;

/// How many of the values that live when the most do are told.
const LARGEST: usize = 16;
const LARGEST_TOLD: usize = 3;
/// How often a plan over its limit is made again with less to live in it: what lies between places can only be known after.
const ATTEMPTS: usize = 16;

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
    /// Steps that do the same to the same shapes have one.
    pub(crate) kernel: Arc<Kernel>,
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
    /// What comes after it, where it is not the whole run.
    pub(crate) next: Option<Next>,
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
    /// The most bytes of the arena that are in use at one time, the workers' scratch among them.
    pub(crate) most: usize,
    /// The largest values that live then, and the nodes they are of.
    pub(crate) living: Vec<(NodeId, Spec)>,
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
    /// Compiles a program's instructions and gives every value a place, for a session of so many threads.
    pub(crate) fn new(
        graph: &Frozen,
        request: Request,
        lowered: Lowered,
        compiler: Compiler,
        counter: impl Fn(usize) -> Arc<AtomicU64>,
    ) -> Result<Plan> {
        let Lowered { mut program, next } = lowered;
        let mut draws = Vec::new();
        let (compiled, tail) = fitting(graph, &mut program, compiler)?;
        for instruction in &program.instructions {
            if let Action::Random { distribution, generator, .. } = instruction.action {
                let blocks = reserve(distribution, program.spec(instruction.results[0]));
                let blocks = u64::try_from(blocks).unwrap_or(u64::MAX);
                draws.push((counter(generator), blocks));
            }
        }
        let placing = Placing::of(&program, &compiled, &tail, compiler);
        let (most, most_at) = placing.blocks.most();
        let living = placing.living(most_at).into_iter().take(LARGEST).map(|value| {
            let node = tail.producers[value.index()].map(|producer| program.instructions[producer as usize].node);
            (node.unwrap_or(NodeId(u32::MAX)), program.spec(value).clone())
        });
        let living = living.collect();
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
                let of_tail = produced_by[root.index()].is_some_and(|step| step as usize >= tail.start);
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
            next,
            steps,
            slots,
            varying,
            varying_tail,
            head: Part { steps: 0..head_steps, tasks: head_tasks },
            tail: Part { steps: head_steps..count, tasks: tail_tasks },
            threads,
            arena,
            most: most + threads * local_bytes,
            living,
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

/// The kernels of a program, its instructions in order of head and tail, and changed to fit the memory limit, if there is one.
fn fitting(graph: &Frozen, program: &mut Program, compiler: Compiler) -> Result<(Vec<Arc<Kernel>>, Tail)> {
    let compile = |program: &mut Program| -> Result<(Vec<Arc<Kernel>>, Tail)> {
        let mut compiled = kernels(program, compiler).map_err(|(instruction, error)| {
            let place = place(graph, program.instructions[instruction].node);
            Kind::Node { place, message: error.to_string() }
        })?;
        let tail = Tail::of(program, &mut compiled);
        Ok((compiled, tail))
    };
    let (mut compiled, mut tail) = compile(program)?;
    let Some(limit) = compiler.memory_limit else { return Ok((compiled, tail)) };
    let (mut target, mut attempts) = (usize::MAX, 0..ATTEMPTS);
    loop {
        let placing = Placing::of(program, &compiled, &tail, compiler);
        let local = compiled.iter().map(|k| k.local).max().unwrap_or(0).next_multiple_of(64);
        let needed = placing.blocks.end().saturating_add(local.saturating_mul(placing.threads));
        let Some(over) = needed.checked_sub(limit).filter(|over| *over > 0) else { return Ok((compiled, tail)) };
        // What lives at one time has to be less by what there is too much of.
        target = target.min(placing.blocks.most().0).saturating_sub(over);
        let start = tail.start;
        if attempts.next().is_none() || !rematerialize(program, &compiled, start, target) {
            let placing = Placing::of(program, &compiled, &tail, compiler);
            let living = placing.living(placing.blocks.most().1);
            let places = living.iter().take(LARGEST_TOLD).filter_map(|value| {
                let producer = tail.producers[value.index()]?;
                Some((place(graph, program.instructions[producer as usize].node), program.spec(*value)))
            });
            let places: Vec<(Place, &Spec)> = places.collect();
            let told: Vec<String> = places.iter().map(|(place, spec)| format!("{place}, {spec}")).collect();
            let place = places.into_iter().next().map_or(Place { name: "?".to_owned(), source: None }, |told| told.0);
            return Err(Kind::OverLimit { needed, limit, largest: told.join("; "), place }.into());
        }
        (compiled, tail) = compile(program)?;
    }
}

/// How many buffers an instruction takes: a draw takes its counter first.
fn inputs(instruction: &Instruction) -> usize {
    let counters = usize::from(matches!(instruction.action, Action::Random { .. }));
    counters + instruction.operands.len()
}

/// Where the tail starts, once the instructions are in order, and who computes what.
pub(crate) struct Tail {
    pub(crate) start: usize,
    /// The instruction that computes each value.
    pub(crate) producers: Vec<Option<u32>>,
}

impl Tail {
    /// Moves to the end what cannot fail, computes what variables will hold, and is read by nothing else.
    fn of(program: &mut Program, compiled: &mut Vec<Arc<Kernel>>) -> Tail {
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
        if start < count {
            let (mut of_kernels, mut of_instructions) = (last.iter(), last.iter());
            let kernels: Vec<Arc<Kernel>> = compiled.extract_if(.., |_| of_kernels.next() == Some(&true)).collect();
            compiled.extend(kernels);
            let moved = program.instructions.extract_if(.., |_| of_instructions.next() == Some(&true));
            let moved: Vec<Instruction> = moved.collect();
            program.instructions.extend(moved);
        }
        let mut producers = vec![None; program.values.len()];
        for (i, instruction) in program.instructions.iter().enumerate() {
            instruction.results.iter().for_each(|result| producers[result.index()] = Some(i as u32));
        }
        Tail { start, producers }
    }
}
