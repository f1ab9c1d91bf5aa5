//! Placing: where every value of a program lies, and so which steps have to wait for each other. Apart from the plan,
//! which puts the parts together.

use std::cmp::Reverse;
use std::sync::Arc;

use dormouse_graph::VariableId;
use dormouse_kernels::{Kernel, elementwise_inputs};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::kernels::Compiler;
use crate::memory::{Blocks, SETTLED, Steps};
use crate::plan::{COUNTER_BYTES, Commit, Location, Tail};
use crate::program::{Action, Instruction, Origin, Program, ValueId};
use crate::schedule::{Waits, Work};

/// A plan that takes less runs on the calling thread alone: asking another, who stands by, takes longer than it would save.
const BREAK_EVEN_NANOS: f64 = 15_000.0;

/// Other threads have to save so much of the time.
const WORTH_SHARING: f64 = 0.85;

/// Operands that are looked at for one whose place a result may take over.
const LOOKED_AT: usize = 16;

/// The operands whose buffer may be that of result `result`.
pub(crate) fn may_share(instruction: &Instruction, kernel: &Kernel, result: usize) -> SmallVec<[usize; 4]> {
    match &instruction.action {
        Action::Loop(body) => elementwise_inputs(body),
        Action::Op(_)
        | Action::LoopColumns(..)
        | Action::LossGradient(_)
        | Action::UpdateRows(_)
        | Action::Random { .. }
            if result == 0 =>
        {
            kernel.in_place.iter().copied().collect()
        }
        Action::Op(_)
        | Action::LoopReduction(..)
        | Action::LoopColumns(..)
        | Action::Epilogue(_)
        | Action::LossGradient(_)
        | Action::SumRows { .. }
        | Action::UpdateRows(_)
        | Action::Custom(_)
        | Action::Random { .. } => SmallVec::new(),
    }
}

/// The work of giving every value a place, and what comes of it.
pub(crate) struct Placing<'a> {
    program: &'a Program,
    compiled: &'a [Arc<Kernel>],
    tail: &'a Tail,
    pub(crate) threads: usize,
    pub(crate) locations: Vec<Location>,
    users: Users,
    /// Whether a value is needed after the steps.
    kept: Vec<bool>,
    pub(crate) blocks: Blocks,
    pub(crate) slots: Vec<Location>,
    pub(crate) firsts: Vec<usize>,
    pub(crate) shared: Vec<usize>,
    /// Waits of the head and of the tail, where several threads run them.
    pub(crate) waits: Option<(Waits, Waits)>,
    pub(crate) commits: Vec<Commit>,
    /// The result whose memory a value is written to.
    pub(crate) result_of: FxHashMap<ValueId, u32>,
    /// The variables that are read as they were before the run.
    olds: FxHashMap<VariableId, ValueId>,
    /// Where the draws' counters begin in the arena, and how many have a place.
    pub(crate) counters: usize,
    draws: usize,
}

impl<'a> Placing<'a> {
    /// Gives every value a place: as they come, and again, all being known, where that needs less.
    pub(crate) fn of(program: &'a Program, compiled: &'a [Arc<Kernel>], tail: &'a Tail, compiler: Compiler) -> Self {
        let placing = Self::at(program, compiled, tail, compiler, None);
        match placing.blocks.better() {
            Some(places) => Self::at(program, compiled, tail, compiler, Some(places)),
            None => placing,
        }
    }

    fn at(
        program: &'a Program,
        compiled: &'a [Arc<Kernel>],
        tail: &'a Tail,
        compiler: Compiler,
        places: Option<Vec<usize>>,
    ) -> Self {
        let users = Users::of(program);
        let mut kept = vec![false; program.values.len()];
        for end in program.ends() {
            kept[program.root(end).index()] = true;
        }
        let locations = program
            .origins
            .iter()
            .map(|origin| match *origin {
                Origin::Feed(feed) => Location::Feed(feed),
                Origin::Constant(c) => Location::Constant(c),
                Origin::Variable(v) => Location::Variable(v),
                Origin::Computed | Origin::Alias(_) => Location::ShapeOnly,
            })
            .collect();
        let numbered = program.origins.iter().enumerate();
        let olds = numbered
            .filter_map(|(i, origin)| match *origin {
                Origin::Variable(v) => Some((v, ValueId(i as u32))),
                Origin::Feed(_) | Origin::Constant(_) | Origin::Computed | Origin::Alias(_) => None,
            })
            .collect();
        let (waits, threads) = waits(program, compiled, tail, &users, compiler.threads);
        // Steps that run beside each other must not wait for each other's places, as long as there is room.
        let lag = if waits.is_some() && compiler.memory_limit.is_none() { 4 * threads as u32 } else { 0 };
        let draws = program.instructions.iter().filter(|i| matches!(i.action, Action::Random { .. })).count();
        // All places may be settled afterwards, if they are few.
        let few = program.instructions.len() <= SETTLED;
        let free = || if few { Blocks::loose(lag) } else { Blocks::new(lag) };
        let mut blocks = places.map_or_else(free, Blocks::settled);
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
        for (i, instruction) in program.instructions.iter().enumerate() {
            placing.step(i as u32, instruction);
        }
        placing
    }

    fn commits(&mut self) {
        let program = self.program;
        for (number, (variable, value)) in program.commits.iter().enumerate() {
            let root = program.root(*value);
            let own = program.origin(root) == Origin::Computed
                && self.locations[root.index()] == Location::ShapeOnly
                && self.tail.producers[root.index()].is_some();
            let of_tail = self.tail.producers[root.index()].is_some_and(|i| i as usize >= self.tail.start);
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

    /// The values that live in the arena during a step, the largest first.
    pub(crate) fn living(&self, step: u32) -> Vec<ValueId> {
        let lives = |value: &ValueId| {
            let users = self.users.of_value(*value);
            let begun = self.tail.producers[value.index()].is_some_and(|producer| producer <= step);
            let over = users.last().is_none_or(|last| *last < step) && !self.kept[value.index()];
            matches!(self.locations[value.index()], Location::Arena(_)) && begun && !over
        };
        let mut living: Vec<ValueId> = (0..self.program.values.len() as u32).map(ValueId).filter(lives).collect();
        living.sort_by_key(|value| Reverse(self.program.spec(*value).bytes()));
        living
    }

    /// Whether the step that computes a variable's next value may write it over the old one: all others that read the
    /// old one are in the head, and it reads it element by element itself.
    fn is_last_reader(&self, variable: VariableId, next: ValueId) -> bool {
        let program = self.program;
        let Some(&old) = self.olds.get(&variable) else { return true };
        let Some(writer) = self.tail.producers[next.index()] else { return false };
        let writer = writer as usize;
        let instruction = &program.instructions[writer];
        let result = instruction.results.iter().position(|r| *r == next).unwrap_or(0);
        let shareable = may_share(instruction, &self.compiled[writer], result);
        let element_wise = (instruction.operands.iter().enumerate())
            .filter(|(k, o)| program.root(**o) == old && !instruction.action.shape_only(*k))
            .all(|(k, o)| shareable.contains(&k) && program.spec(*o).dtype == program.spec(next).dtype);
        let others = self.users.of_value(old).iter().all(|i| *i as usize == writer || (*i as usize) < self.tail.start);
        // What another variable will hold is copied from the old one before the tail begins.
        element_wise && others
    }

    fn results(&mut self) {
        for (i, value) in self.program.results.iter().enumerate() {
            let root = self.program.root(*value);
            if self.program.origin(root) == Origin::Computed
                && self.locations[root.index()] == Location::ShapeOnly
                && self.tail.producers[root.index()].is_some()
            {
                self.locations[root.index()] = Location::Result(i as u32);
                self.result_of.insert(root, i as u32);
            }
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
            let users = self.users.of_value(root);
            let over = users.last() == Some(&now) && !self.kept[root.index()] && !taken_over.contains(&root);
            if let (true, Location::Arena(offset)) = (over, self.locations[root.index()]) {
                // The producer counts as a user only where nobody else is.
                let leavers = Steps::from_slice(if users.len() > 1 { &users[1..] } else { users });
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
            let ends_here = self.users.of_value(root).last() == Some(&now) && !self.kept[root.index()];
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
        let start = self.tail.start as u32;
        if let Some(waits) = &mut self.waits {
            wait(waits, start, self.users.of_value(value), now);
        }
    }

    fn wait(&mut self, before: &[u32], now: u32) {
        let start = self.tail.start as u32;
        if let Some(waits) = &mut self.waits {
            wait(waits, start, before, now);
        }
    }
}

/// Makes a step wait for earlier ones, because of the place that it writes; the tail begins at `start`.
fn wait((head, tail): &mut (Waits, Waits), start: u32, before: &[u32], now: u32) {
    for &step in before.iter().filter(|step| **step != now) {
        if now < start {
            head.add(step, now);
        } else if step >= start {
            tail.add(step - start, now - start);
        }
    }
}

/// The steps that use each value that is no other's alias, its own first.
struct Users {
    /// Where each value's begin.
    starts: Vec<u32>,
    steps: Vec<u32>,
}

impl Users {
    fn of(program: &Program) -> Users {
        let mut starts = vec![0_u32; program.values.len() + 1];
        // The last step that was counted for each value, which may read it twice.
        let mut last = vec![u32::MAX; program.values.len()];
        let values = |i: &Instruction, f: &mut dyn FnMut(usize)| {
            i.results.iter().copied().chain(i.read()).for_each(|value| f(program.root(value).index()));
        };
        for (step, instruction) in (0..).zip(&program.instructions) {
            values(instruction, &mut |value| {
                if std::mem::replace(&mut last[value], step) != step {
                    starts[value] += 1;
                }
            });
        }
        let mut total = 0;
        for start in &mut starts {
            total += *start;
            *start = total;
        }
        let mut steps = vec![0; total as usize];
        last.fill(u32::MAX);
        // Filled from the end, so that each value's come in order and every entry ends at its beginning.
        for (step, instruction) in (0..program.instructions.len() as u32).zip(&program.instructions).rev() {
            values(instruction, &mut |value| {
                if std::mem::replace(&mut last[value], step) != step {
                    starts[value] -= 1;
                    steps[starts[value] as usize] = step;
                }
            });
        }
        Users { starts, steps }
    }

    fn of_value(&self, value: ValueId) -> &[u32] {
        let at = value.index();
        &self.steps[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
}

/// The waits that data makes, and the number of threads; none and one where sharing the work is not worth it.
fn waits(
    program: &Program,
    compiled: &[Arc<Kernel>],
    tail: &Tail,
    users: &Users,
    threads: usize,
) -> (Option<(Waits, Waits)>, usize) {
    let nanos: f64 = compiled.iter().map(|k| k.cost.nanos).sum();
    if threads <= 1 || nanos < BREAK_EVEN_NANOS {
        return (None, 1);
    }
    let work = |kernel: &Arc<Kernel>| Work {
        nanos: kernel.cost.nanos,
        tiles: kernel.phases.iter().copied().max().unwrap_or(0),
    };
    let start = tail.start as u32;
    let mut head = Waits::new(compiled[..tail.start].iter().map(work));
    let mut last = Waits::new(compiled[tail.start..].iter().map(work));
    for (value, producer) in tail.producers.iter().enumerate() {
        let Some(producer) = *producer else { continue };
        debug_assert!(matches!(program.origins[value], Origin::Computed));
        for &user in users.of_value(ValueId(value as u32)).iter().filter(|u| **u != producer) {
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
