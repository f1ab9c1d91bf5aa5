//! Rematerialization: what is kept for long and read again late is computed a second time instead, until what lives at one
//! time fits a limit. Apart from the passes, since it goes by what kernels cost and by the order in which steps are run.
//!
//! The clone of an instruction computes the same bits of the same operands. Draws, custom operations and updates are never
//! cloned; nor is anything into the tail of a plan, where variables are written.

use std::sync::Arc;

use dormouse_kernels::{Kernel, Loop, fusible};
use dormouse_value::Op;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::loops::SharedLoop;
use crate::placing::may_share;
use crate::program::{Action, Instruction, Origin, Program, ValueId};

/// Looks at instructions, after which what has been gained is all.
const LOOKS: usize = 1 << 22;
/// A value that frees less is not worth an instruction.
const FEW_BYTES: usize = 256;
/// Instructions that are cloned for one value, each for the next.
const DEPTH: usize = 8;

/// Clones instructions until no more than `target` bytes live at one time, or as far as may be; says whether it has cloned
/// any. Instructions before `head` come before all writes.
pub(crate) fn rematerialize(program: &mut Program, kernels: &[Arc<Kernel>], mut head: usize, target: usize) -> bool {
    let mut kernels = kernels.to_vec();
    let (mut looks, mut changed) = (LOOKS, false);
    while looks >= kernels.len() {
        looks -= kernels.len();
        let lives = Lives::of(program, &kernels, head);
        let (at, peak) = lives.peak();
        let Some(choice) = (peak > target).then(|| lives.best(program, &kernels, at)).flatten() else { break };
        head += choice.clones.len();
        insert(program, &mut kernels, &lives, &choice);
        changed = true;
    }
    changed
}

/// A value to be computed again before an instruction, and the instructions to be cloned for that, in order.
struct Choice {
    value: ValueId,
    before: usize,
    clones: SmallVec<[usize; 4]>,
}

/// Who computes each value, who reads it, and how many bytes live during each instruction.
struct Lives {
    /// The instruction that computes each value that lies in the arena; none where it does not.
    producers: Vec<Option<u32>>,
    /// The instructions that read each value, in order.
    users: Vec<SmallVec<[u32; 4]>>,
    living: Vec<usize>,
    head: usize,
}

impl Lives {
    fn of(program: &Program, kernels: &[Arc<Kernel>], head: usize) -> Lives {
        let mut kept = vec![false; program.values.len()];
        program.ends().for_each(|end| kept[program.root(end).index()] = true);
        let mut producers = vec![None; program.values.len()];
        let mut users = vec![SmallVec::<[u32; 4]>::new(); program.values.len()];
        for (i, instruction) in program.instructions.iter().enumerate() {
            for result in instruction.results.iter().filter(|result| !kept[result.index()]) {
                producers[result.index()] = Some(i as u32);
            }
            for operand in instruction.read() {
                let users = &mut users[program.root(operand).index()];
                if users.last() != Some(&(i as u32)) {
                    users.push(i as u32);
                }
            }
        }
        let mut lives = Lives { producers, users, living: vec![0; program.instructions.len()], head };
        lives.count(program, kernels);
        lives
    }

    fn count(&mut self, program: &Program, kernels: &[Arc<Kernel>]) {
        let mut ends = vec![0_usize; kernels.len() + 1];
        let mut now = 0_usize;
        for (i, (instruction, kernel)) in program.instructions.iter().zip(kernels).enumerate() {
            let mut saved = 0;
            for (k, result) in instruction.results.iter().enumerate() {
                if self.producers[result.index()].is_none() {
                    continue;
                }
                let bytes = program.spec(*result).bytes();
                now += bytes;
                ends[self.last(*result, i) + 1] += bytes;
                let over = may_share(instruction, kernel, k).into_iter().any(|place| {
                    let root = instruction.operands.get(place).map(|operand| program.root(*operand));
                    root.is_some_and(|root| {
                        let ends_here = self.producers[root.index()].is_some() && self.last(root, 0) == i;
                        ends_here && program.spec(root).bytes() == bytes
                    })
                });
                saved += if over { bytes } else { 0 };
            }
            self.living[i] = (now + kernel.shared).saturating_sub(saved);
            now -= ends[i + 1];
        }
    }

    fn last(&self, value: ValueId, producer: usize) -> usize {
        self.users[value.index()].last().map_or(producer, |last| *last as usize)
    }

    /// The first of the instructions during which the most lives, and how much.
    fn peak(&self) -> (usize, usize) {
        let largest = self.living.iter().copied().max().unwrap_or(0);
        (self.living.iter().position(|bytes| *bytes == largest).unwrap_or(0), largest)
    }

    /// The cheapest value for its bytes that is not needed at an instruction, but before and after it. Element-wise
    /// instructions are cheaper than all others.
    fn best(&self, program: &Program, kernels: &[Arc<Kernel>], at: usize) -> Option<Choice> {
        let mut best: Option<((bool, f64), Choice)> = None;
        for (value, producer) in self.producers.iter().enumerate() {
            let value = ValueId(value as u32);
            if producer.is_none_or(|producer| producer as usize >= at) {
                continue;
            }
            let users = &self.users[value.index()];
            let next = users.partition_point(|user| (*user as usize) < at);
            let Some(before) = users.get(next).map(|user| *user as usize) else { continue };
            if before == at || before >= self.head {
                continue;
            }
            let mut clones = SmallVec::new();
            let Some(more) = self.needs(program, value, at, before, &mut clones, DEPTH) else { continue };
            let Some(freed) = program.spec(value).bytes().checked_sub(more + FEW_BYTES) else { continue };
            clones.sort_unstable();
            clones.dedup();
            let nanos: f64 = clones.iter().map(|clone| kernels[*clone].cost.nanos).sum();
            let element_wise = clones.iter().all(|clone| is_element_wise(&program.instructions[*clone]));
            let rank = (!element_wise, nanos / (freed + FEW_BYTES) as f64);
            let better =
                best.as_ref().is_none_or(|(other, _)| rank.0.cmp(&other.0).then(rank.1.total_cmp(&other.1)).is_lt());
            if better {
                best = Some((rank, Choice { value, before, clones }));
            }
        }
        best.map(|(_, choice)| choice)
    }

    /// What is cloned to compute a value again before an instruction, and the bytes that live longer for that, over `at`; none
    /// where it cannot be.
    fn needs(
        &self,
        program: &Program,
        value: ValueId,
        at: usize,
        before: usize,
        clones: &mut SmallVec<[usize; 4]>,
        depth: usize,
    ) -> Option<usize> {
        let producer = self.producers[value.index()]? as usize;
        let instruction = &program.instructions[producer];
        let depth = depth.checked_sub(1).filter(|_| may_clone(instruction, value))?;
        clones.push(producer);
        let mut more = 0;
        for operand in instruction.read() {
            let root = program.root(operand);
            let Some(given) = self.producers[root.index()] else { continue };
            let last = self.last(root, given as usize);
            // What lives over the peak anyway may as well live a little longer.
            if last >= before || last >= at {
                continue;
            }
            let length = clones.len();
            match self.needs(program, root, at, before, clones, depth) {
                Some(theirs) if theirs < program.spec(root).bytes() => more += theirs,
                Some(_) | None => {
                    clones.truncate(length);
                    more += program.spec(root).bytes();
                }
            }
        }
        Some(more)
    }
}

fn is_element_wise(instruction: &Instruction) -> bool {
    match &instruction.action {
        Action::Loop(_) | Action::LoopReduction(..) | Action::LoopColumns(..) => true,
        Action::Op(op) => fusible(op) || matches!(op, Op::BroadcastTo { .. } | Op::BroadcastLike),
        Action::Epilogue(_)
        | Action::LossGradient(_)
        | Action::SumRows { .. }
        | Action::UpdateRows(_)
        | Action::Custom(_)
        | Action::Random { .. } => false,
    }
}

/// The loop whose first results are the elements that an instruction computes, and how many there are.
fn loop_of(instruction: &Instruction) -> Option<(&Loop, usize)> {
    let results = instruction.results.len();
    match &instruction.action {
        Action::Loop(body) => Some((body, results)),
        Action::LoopReduction(body, _) => Some((body, results - 1)),
        Action::LoopColumns(body, columns) => Some((body, results - columns.reduces.len())),
        Action::Op(_)
        | Action::Epilogue(_)
        | Action::LossGradient(_)
        | Action::SumRows { .. }
        | Action::UpdateRows(_)
        | Action::Custom(_)
        | Action::Random { .. } => None,
    }
}

/// Whether a value may be computed by a clone of the instruction that computes it.
fn may_clone(instruction: &Instruction, value: ValueId) -> bool {
    match &instruction.action {
        Action::Op(op) => !matches!(op, Op::CheckNumerics { .. }),
        Action::Epilogue(_) => true,
        Action::Loop(_) | Action::LoopReduction(..) | Action::LoopColumns(..) => loop_of(instruction)
            .is_some_and(|(_, elements)| instruction.results.iter().take(elements).any(|result| *result == value)),
        Action::LossGradient(_)
        | Action::SumRows { .. }
        | Action::UpdateRows(_)
        | Action::Custom(_)
        | Action::Random { .. } => false,
    }
}

/// The action that computes one result again, and the results that it has of the instruction's.
fn again(instruction: &Instruction, wanted: &dyn Fn(ValueId) -> bool) -> (Action, SmallVec<[ValueId; 1]>) {
    let Some((body, elements)) = loop_of(instruction) else {
        return (instruction.action.clone(), instruction.results.clone());
    };
    let outputs = instruction.results.iter().zip(&body.outputs).take(elements).filter(|(result, _)| wanted(**result));
    let (results, outputs): (SmallVec<[ValueId; 1]>, Vec<usize>) =
        outputs.map(|(result, output)| (*result, *output)).unzip();
    let body = Loop { dims: body.dims.clone(), inputs: body.inputs.clone(), steps: body.steps.clone(), outputs };
    (Action::Loop(SharedLoop::new(body)), results)
}

/// Puts the clones before the instruction, and has it, and all after it, read what they give.
fn insert(program: &mut Program, kernels: &mut Vec<Arc<Kernel>>, lives: &Lives, choice: &Choice) {
    // What the clones give in the place of what was computed first; aliases come to it as they are met.
    let mut instead: FxHashMap<ValueId, ValueId> = FxHashMap::default();
    let mut clones = Vec::with_capacity(choice.clones.len());
    let read: Vec<ValueId> = choice
        .clones
        .iter()
        .flat_map(|clone| program.instructions[*clone].read().map(|operand| program.root(operand)).collect::<Vec<_>>())
        .chain([choice.value])
        .collect();
    for &clone in &choice.clones {
        let instruction = program.instructions[clone].clone();
        let (action, results) = again(&instruction, &|result| read.contains(&result));
        let mut operands = instruction.operands;
        operands.iter_mut().for_each(|operand| *operand = moved(program, &mut instead, *operand));
        let results = results
            .into_iter()
            .map(|result| {
                let new = program.add_value(program.spec(result).clone(), Origin::Computed);
                instead.insert(result, new);
                new
            })
            .collect();
        clones.push(Instruction { action, operands, results, node: instruction.node });
    }
    // Only the value itself is read from the clones by what was there; the others are theirs alone.
    let own = choice.value;
    let mut instead: FxHashMap<ValueId, ValueId> = instead.get(&own).map(|new| (own, *new)).into_iter().collect();
    for &user in &lives.users[own.index()] {
        let user = user as usize;
        if user >= choice.before {
            let mut operands = std::mem::take(&mut program.instructions[user].operands);
            operands.iter_mut().for_each(|operand| *operand = moved(program, &mut instead, *operand));
            program.instructions[user].operands = operands;
        }
    }
    let theirs: Vec<Arc<Kernel>> = choice.clones.iter().map(|clone| Arc::clone(&kernels[*clone])).collect();
    kernels.splice(choice.before..choice.before, theirs);
    program.instructions.splice(choice.before..choice.before, clones);
}

/// What stands for a value, or for another shape of it.
fn moved(program: &mut Program, instead: &mut FxHashMap<ValueId, ValueId>, value: ValueId) -> ValueId {
    if let Some(new) = instead.get(&value) {
        return *new;
    }
    match instead.get(&program.root(value)).copied() {
        Some(new) => {
            let alias = program.add_value(program.spec(value).clone(), Origin::Alias(new));
            instead.insert(value, alias);
            alias
        }
        None => value,
    }
}
