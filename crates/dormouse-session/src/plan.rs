//! Plans: a program with its kernels compiled, every value given a place, and its steps put in order. Made once for a
//! request, then shared by all runs of it.
//!
//! The steps come in two parts. The *tail* is what may write variables where they lie: it cannot fail, and nothing
//! outside of it reads what it writes, so a run that has come so far is sure to end. All else is the *head*.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};

use dormouse_graph::{Frozen, NodeId, VariableId};
use dormouse_kernels::{
    Kernel, KernelError, RandomKey, Spec, compile, compile_constant, compile_epilogue, compile_freely, compile_loop,
    compile_loop_columns, compile_loop_reduction, compile_loss_gradient, compile_random, compile_sum_rows, reserve,
};
use dormouse_value::{Op, Value};

use crate::error::{Kind, Result};
use crate::frame::Frame;
use crate::lower::{Lowered, Request, place};
use crate::options::Optimize;
use crate::placing::Placing;
use crate::program::{Action, Instruction, Program, ValueId};
use crate::schedule::Task;
use crate::stage::Next;

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
        let threads = compiler.threads;
        let mut compiled = Vec::with_capacity(program.instructions.len());
        let mut draws = Vec::new();
        for instruction in &program.instructions {
            let kernel = kernel(&program, instruction, compiler)
                .map_err(|e| Kind::Node { place: place(graph, instruction.node), message: e.to_string() })?;
            compiled.push(kernel);
        }
        let tail = Tail::of(&mut program, &mut compiled);
        for instruction in &program.instructions {
            if let Action::Random { distribution, generator, .. } = instruction.action {
                let blocks = reserve(distribution, program.spec(instruction.results[0]));
                let blocks = u64::try_from(blocks).unwrap_or(u64::MAX);
                draws.push((counter(generator), blocks));
            }
        }
        let Placing { locations, slots, firsts, shared, waits, blocks, threads, commits, result_of, counters, .. } =
            Placing::of(&program, &compiled, &tail, threads);
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
            next,
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

/// What kernels are compiled for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compiler {
    /// Threads of the session.
    pub(crate) threads: usize,
    /// The session's address, by which a custom operation knows that it is run by it.
    pub(crate) session: usize,
    /// What may be done.
    pub(crate) optimize: Optimize,
}

fn kernel(
    program: &Program,
    instruction: &Instruction,
    compiler: Compiler,
) -> std::result::Result<Kernel, KernelError> {
    let specs = |values: &[ValueId]| values.iter().map(|v| program.spec(*v).clone()).collect::<Vec<_>>();
    match &instruction.action {
        Action::Op(op) => kernel_of(program, op, &instruction.operands, &specs(&instruction.results), compiler),
        Action::Epilogue(both) => {
            let (operands, result) = (&instruction.operands[..both.operands], std::slice::from_ref(&both.result));
            let first = kernel_of(program, &both.op, operands, result, compiler)?;
            compile_epilogue(first, both.operands, &both.body, both.product)
        }
        Action::Loop(body) => compile_loop(body),
        Action::LoopReduction(body, reduce) => compile_loop_reduction(body, reduce),
        Action::LoopColumns(body, columns) => compile_loop_columns(body, columns.kept, &columns.reduces),
        Action::LossGradient(around) => {
            compile_loss_gradient(*around, &specs(&instruction.operands), &specs(&instruction.results))
        }
        Action::SumRows { extent } => {
            compile_sum_rows(*extent, &specs(&instruction.operands), &specs(&instruction.results))
        }
        Action::UpdateRows(op) => {
            let op = Op::ScatterNd { op: *op, batch_dims: 0 };
            let kernel = compile(&op, &specs(&instruction.operands), &specs(&instruction.results))?;
            // The rows are those of a sum over rows, which has looked at them.
            Ok(Kernel { fallible: false, ..kernel })
        }
        Action::Custom(custom) => {
            let op = custom.op().map_err(KernelError::new)?;
            let (inputs, outputs) = (specs(&instruction.operands), specs(&instruction.results));
            Ok(crate::custom::kernel(Arc::clone(op), compiler.session, inputs, outputs))
        }
        Action::Random { distribution, seeds, .. } => {
            let key = RandomKey::from_seeds(seeds.graph, seeds.operation);
            compile_random(*distribution, key, &specs(&instruction.operands), program.spec(instruction.results[0]))
        }
    }
}

/// The code of an operation.
fn kernel_of(
    program: &Program,
    op: &Op,
    operands: &[ValueId],
    outputs: &[Spec],
    compiler: Compiler,
) -> std::result::Result<Kernel, KernelError> {
    let inputs: Vec<Spec> = operands.iter().map(|v| program.spec(*v).clone()).collect();
    // A factor that is a constant is packed here rather than in every run.
    let weights = operands.get(1).and_then(|operand| program.constant(*operand));
    if let Some(kernel) = weights.and_then(|weights| compile_constant(op, &inputs, outputs, weights)) {
        return Ok(kernel);
    }
    let compile = if compiler.optimize == Optimize::Full { compile_freely } else { compile };
    compile(op, &inputs, outputs)
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
    pub(crate) producers: Vec<Option<usize>>,
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
