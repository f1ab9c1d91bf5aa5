//! Fusion: element-wise instructions of one shape that feed each other become one loop, so that what lies between them
//! never reaches memory. The bits stay those of the instructions one by one.
//!
//! Clusters grow from the first instruction to the last. Two join when one feeds the other, they have the same shape,
//! and no path leads out of their union and back in, for then neither could be run first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use dormouse_kernels::{Loop, Step, fusible, sums_columns};
use dormouse_value::{BinaryOp, DType, Dims, Op, ReduceOp, UnaryOp};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use crate::passes::op_of;
use crate::passes::uses::{NOBODY, givers};
use crate::program::{Action, Columns, Instruction, Program, ValueId};

/// Steps of a loop: more would not keep their registers in the first-level cache.
const STEPS: usize = 64;
/// Operands of a loop.
const INPUTS: usize = 24;
/// How far a search for a way around goes before the clusters are left apart.
const SEARCHED: usize = 256;

pub(super) fn fuse(program: &mut Program) {
    let mut clusters = Clusters::of(program);
    clusters.add_reductions(program);
    clusters.add_columns(program);
    if clusters.members.iter().all(|members| members.len() < 2) {
        return;
    }
    let Some(order) = clusters.order(program) else { return };
    let used = used_elsewhere(program, &clusters);
    let joined: Vec<Option<Instruction>> = order
        .iter()
        .map(|head| clusters.members[*head as usize].as_slice())
        .map(|members| (members.len() > 1).then(|| join(program, members, &|value| used[value.index()])))
        .collect();
    let mut alone: Vec<Option<Instruction>> = std::mem::take(&mut program.instructions).into_iter().map(Some).collect();
    let of = |(joined, head): (Option<Instruction>, &u32)| joined.or_else(|| alone[*head as usize].take());
    program.instructions = joined.into_iter().zip(&order).filter_map(of).collect();
}

/// Whether an instruction may be part of a loop: it is element-wise, or a broadcast, and cannot fail.
fn joins(program: &Program, instruction: &Instruction) -> bool {
    let Some(op) = op_of(instruction) else { return false };
    let &[result] = instruction.results.as_slice() else { return false };
    let spec = program.spec(result);
    let may_fail = matches!(
        op,
        Op::Binary(
            BinaryOp::FloorDiv
                | BinaryOp::FloorMod
                | BinaryOp::TruncateDiv
                | BinaryOp::TruncateMod
                | BinaryOp::Pow
                | BinaryOp::Div
        ) | Op::Unary(UnaryOp::Reciprocal)
    );
    let fails = may_fail && !spec.dtype.is_float();
    let few = instruction.operands.len() <= INPUTS;
    (fusible(op) || is_broadcast(op)) && few && !fails && !spec.is_empty()
}

fn is_broadcast(op: &Op) -> bool {
    matches!(op, Op::BroadcastTo { .. } | Op::BroadcastLike)
}

/// What an instruction reduces to one element, if that is what it does.
fn reduces(program: &Program, instruction: &Instruction) -> Option<ValueId> {
    let (&[operand], &[result]) = (instruction.operands.as_slice(), instruction.results.as_slice()) else {
        return None;
    };
    let whole = program.spec(result).len() == 1 && program.spec(operand).len() > 1;
    (matches!(op_of(instruction)?, Op::Reduce { .. } | Op::L2Loss) && whole).then_some(operand)
}

/// What an instruction sums, or averages, over all axes but the last so many, if that is what it does and a loop may end in it.
fn sums(program: &Program, instruction: &Instruction) -> Option<(ValueId, ReduceOp, usize)> {
    let (&operand, &[result]) = (instruction.operands.first()?, instruction.results.as_slice()) else { return None };
    let (spec, summed) = (program.spec(operand), program.spec(result));
    let op = op_of(instruction)?;
    let op = if let Op::Reduce { op: op @ (ReduceOp::Sum | ReduceOp::Mean), axes: Some(axes), .. } = op {
        let rank = spec.dims.len() as i32;
        let mut axes: SmallVec<[i32; 4]> = axes.iter().map(|a| if *a < 0 { a + rank } else { *a }).collect();
        axes.sort_unstable();
        // The first axes, all of them.
        axes.iter().copied().eq(0..axes.len() as i32).then_some(*op)?
    } else {
        matches!(op, Op::SumLike).then_some(ReduceOp::Sum)?
    };
    // Axes that are reduced to nothing or to 1, and then those that are kept whole.
    let kept = spec.dims.iter().rev().zip(summed.dims.iter().rev()).take_while(|(a, b)| a == b).count();
    let rest = summed.dims.len() - kept;
    let whole = summed.dims[..rest].iter().all(|extent| *extent == 1);
    let floats = matches!(spec.dtype, DType::F32 | DType::F64);
    (whole && floats && kept > 0 && sums_columns(&spec.dims, kept)).then_some((operand, op, kept))
}

/// Instructions of a cluster, most of which have one.
type Members = SmallVec<[u32; 4]>;

/// Which clusters the newest search has come by.
#[derive(Default)]
struct Marks {
    /// The number of the last search that came by each.
    last: Vec<u32>,
    number: u32,
}

impl Marks {
    /// Whether the newest search comes by for the first time.
    fn mark(&mut self, head: u32) -> bool {
        std::mem::replace(&mut self.last[head as usize], self.number) != self.number
    }
}

/// A set of a few numbers.
#[derive(Default)]
struct Few(SmallVec<[u32; 32]>);

impl Few {
    /// Whether the number is new.
    fn insert(&mut self, number: u32) -> bool {
        let new = !self.0.contains(&number);
        if new {
            self.0.push(number);
        }
        new
    }
}

/// Which instructions belong together. Each cluster is known by one of them, its head.
struct Clusters {
    heads: Vec<u32>,
    /// Of a head, its cluster in order; of the others, nothing.
    members: Vec<Members>,
    /// The instruction that computes each value; [`NOBODY`] where none does.
    producers: Vec<u32>,
    /// Whether each instruction may be part of a loop.
    joining: Vec<bool>,
    marks: Marks,
}

impl Clusters {
    fn of(program: &Program) -> Clusters {
        let count = program.instructions.len() as u32;
        let mut clusters = Clusters {
            heads: (0..count).collect(),
            members: (0..count).map(|i| Members::from_slice(&[i])).collect(),
            producers: givers(program),
            joining: program.instructions.iter().map(|i| joins(program, i)).collect(),
            marks: Marks { last: vec![0; count as usize], number: 0 },
        };
        for (i, instruction) in program.instructions.iter().enumerate() {
            if !clusters.joining[i] {
                continue;
            }
            let dims = &program.spec(instruction.results[0]).dims;
            for operand in instruction.read() {
                let producer = clusters.producers[operand.index()];
                let joins = producer != NOBODY && clusters.joining[producer as usize];
                if joins && program.spec(operand).dims == *dims {
                    clusters.try_join(program, producer, i as u32);
                }
            }
        }
        clusters
    }

    fn head(&self, instruction: u32) -> u32 {
        self.heads[instruction as usize]
    }

    /// The instruction that computes a value, or what it is an alias of.
    fn producer(&self, program: &Program, value: ValueId) -> Option<u32> {
        Some(self.producers[program.root(value).index()]).filter(|producer| *producer != NOBODY)
    }

    fn try_join(&mut self, program: &Program, a: u32, b: u32) {
        let (a, b) = (self.head(a), self.head(b));
        if a == b || !self.may_join(program, a, b) {
            return;
        }
        let (keep, give) =
            if self.members[a as usize].len() >= self.members[b as usize].len() { (a, b) } else { (b, a) };
        let given = std::mem::take(&mut self.members[give as usize]);
        for member in &given {
            self.heads[*member as usize] = keep;
        }
        let members = &mut self.members[keep as usize];
        members.extend(given);
        members.sort_unstable();
    }

    fn may_join(&mut self, program: &Program, a: u32, b: u32) -> bool {
        let mut marks = std::mem::take(&mut self.marks);
        marks.number += 1;
        let may = self.stays_acyclic(program, [a, b], &mut marks);
        self.marks = marks;
        may
    }

    /// Whether two clusters are small enough together, and no way leads out of them and back in.
    fn stays_acyclic(&self, program: &Program, [a, b]: [u32; 2], marks: &mut Marks) -> bool {
        let (left, right) = (&self.members[a as usize], &self.members[b as usize]);
        if left.len() + right.len() > STEPS {
            return false;
        }
        let union = |head: u32| head == a || head == b;
        let first = left[0].min(right[0]);
        let mut seen = 0;
        let mut stack = SmallVec::<[u32; 32]>::new();
        let mut inputs = Few::default();
        for &member in left.iter().chain(right) {
            for operand in program.instructions[member as usize].read() {
                let Some(producer) = self.producer(program, operand) else {
                    inputs.insert(operand.0);
                    continue;
                };
                let head = self.head(producer);
                if !union(head) {
                    inputs.insert(operand.0);
                    if marks.mark(head) {
                        seen += 1;
                        stack.push(head);
                    }
                } else if self.producers[operand.index()] == NOBODY {
                    // Another shape of a member's result: it has to be in memory before the loop.
                    return false;
                }
            }
        }
        if inputs.0.len() > INPUTS {
            return false;
        }
        // A way back into the union goes through clusters that end after its first instruction.
        while let Some(head) = stack.pop() {
            let members = &self.members[head as usize];
            if members.last().is_none_or(|last| *last < first) {
                continue;
            }
            for &member in members {
                for operand in program.instructions[member as usize].read() {
                    let Some(producer) = self.producer(program, operand) else { continue };
                    let next = self.head(producer);
                    if union(next) {
                        return false;
                    }
                    if next != head && marks.mark(next) {
                        seen += 1;
                        stack.push(next);
                    }
                }
            }
            if seen > SEARCHED {
                return false;
            }
        }
        true
    }

    /// Lets a cluster end in the reduction to one element of a result that nothing else reads. Such a reduction has no
    /// operand from elsewhere, so no path can lead back.
    fn add_reductions(&mut self, program: &Program) {
        let mut readers = vec![0_u32; program.values.len()];
        let reads = program.instructions.iter().flat_map(Instruction::read).chain(program.ends());
        for value in reads {
            readers[program.root(value).index()] += 1;
        }
        let mut ended = FxHashSet::default();
        for (i, instruction) in program.instructions.iter().enumerate() {
            let Some(operand) = reduces(program, instruction) else { continue };
            let Some(producer) = self.producer(program, operand) else { continue };
            let head = self.head(producer);
            let read_here_alone = readers[program.root(operand).index()] == 1;
            if read_here_alone && self.joining[producer as usize] && ended.insert(head) {
                self.members[i].clear();
                self.heads[i] = head;
                self.members[head as usize].push(i as u32);
            }
        }
    }

    /// Lets clusters end in sums over the first axes of what they compute. A sum reads nothing else, so no path leads back.
    fn add_columns(&mut self, program: &Program) {
        let mut ends = FxHashMap::<u32, usize>::default();
        for (i, instruction) in program.instructions.iter().enumerate() {
            let Some((operand, _, kept)) = sums(program, instruction) else { continue };
            let producer = self.producers[operand.index()];
            if producer == NOBODY || !self.joining[producer as usize] {
                continue;
            }
            let head = self.head(producer);
            let members = &self.members[head as usize];
            let reduced = members.iter().any(|m| reduces(program, &program.instructions[*m as usize]).is_some());
            let alike = ends.get(&head).is_none_or(|other| *other == kept);
            if !reduced && alike && members.len() < STEPS {
                ends.insert(head, kept);
                self.members[i].clear();
                self.heads[i] = head;
                self.members[head as usize].push(i as u32);
            }
        }
    }

    /// The heads in an order that the data allows, each as soon as the place of its last member.
    fn order(&self, program: &Program) -> Option<Vec<u32>> {
        let mut waits = vec![0_u32; self.members.len()];
        let mut followers = vec![SmallVec::<[u32; 4]>::new(); self.members.len()];
        for (i, instruction) in program.instructions.iter().enumerate() {
            let head = self.head(i as u32);
            for operand in instruction.read() {
                if let Some(producer) = self.producer(program, operand) {
                    let before = self.head(producer);
                    if before != head {
                        followers[before as usize].push(head);
                        waits[head as usize] += 1;
                    }
                }
            }
        }
        let heads: Vec<u32> =
            (0..self.members.len() as u32).filter(|i| !self.members[*i as usize].is_empty()).collect();
        let place = |head: u32| Reverse((self.members[head as usize].last().copied(), head));
        let mut ready: BinaryHeap<_> = heads.iter().copied().filter(|h| waits[*h as usize] == 0).map(place).collect();
        let mut order = Vec::with_capacity(heads.len());
        while let Some(Reverse((_, head))) = ready.pop() {
            order.push(head);
            for &next in &followers[head as usize] {
                waits[next as usize] -= 1;
                if waits[next as usize] == 0 {
                    ready.push(place(next));
                }
            }
        }
        debug_assert_eq!(order.len(), heads.len(), "clusters wait for each other");
        (order.len() == heads.len()).then_some(order)
    }
}

/// Whether each value is read outside of the cluster that computes it.
fn used_elsewhere(program: &Program, clusters: &Clusters) -> Vec<bool> {
    let mut used = vec![false; program.values.len()];
    program.ends().for_each(|v| used[program.root(v).index()] = true);
    for (i, instruction) in program.instructions.iter().enumerate() {
        let head = clusters.head(i as u32);
        for operand in instruction.read() {
            if clusters.producer(program, operand).is_some_and(|p| clusters.head(p) != head) {
                used[program.root(operand).index()] = true;
            }
        }
    }
    used
}

/// The loop that an instruction is, or would be by itself, and its operands; nothing where it is another thing.
pub(super) fn loop_of(program: &Program, at: usize) -> Option<(SmallVec<[ValueId; 3]>, Loop)> {
    let instruction = &program.instructions[at];
    if let Action::Loop(body) = &instruction.action {
        return Some((instruction.operands.clone(), Loop::clone(body)));
    }
    if !joins(program, instruction) || op_of(instruction).is_some_and(is_broadcast) {
        return None;
    }
    let joined = join(program, &[at as u32], &|_| true);
    if let Action::Loop(body) = joined.action { Some((joined.operands, *body)) } else { None }
}

/// One instruction of several, in order; the last ones may reduce what others give.
fn join(program: &Program, members: &[u32], used: &dyn Fn(ValueId) -> bool) -> Instruction {
    let member = |m: &u32| &program.instructions[*m as usize];
    let last = member(&members[members.len() - 1]);
    let reduced = reduces(program, last).map(|operand| (program.root(operand), last));
    let element_wise = members.iter().take_while(|m| joins(program, member(m))).count();
    let (element_wise, ends) = members.split_at(element_wise);
    let instructions = || element_wise.iter().map(member);
    let mut dims = Dims::new();
    let mut places = FxHashMap::<ValueId, usize>::default();
    let mut operands = SmallVec::<[ValueId; 3]>::new();
    let mut computed = Few::default();
    instructions().flat_map(|i| &i.results).for_each(|result| _ = computed.insert(result.0));
    for operand in instructions().flat_map(Instruction::read).filter(|o| !computed.0.contains(&o.0)) {
        places.entry(operand).or_insert_with(|| {
            operands.push(operand);
            operands.len() - 1
        });
    }
    let mut steps = Vec::with_capacity(members.len());
    let mut results = SmallVec::<[ValueId; 1]>::new();
    let mut outputs = Vec::new();
    for instruction in instructions() {
        let result = instruction.results[0];
        dims.clone_from(&program.spec(result).dims);
        let taken: SmallVec<[usize; 3]> = instruction.read().map(|o| places[&o]).collect();
        let place = match op_of(instruction) {
            Some(op) if !is_broadcast(op) => {
                steps.push(Step { op: op.clone(), operands: taken, dtype: program.spec(result).dtype });
                operands.len() + steps.len() - 1
            }
            // What a loop reads is broadcast to its shape anyway.
            Some(_) | None => taken[0],
        };
        places.insert(result, place);
        if used(result) {
            results.push(result);
            outputs.push(place);
        }
    }
    let inputs = operands.iter().map(|o| program.spec(*o).clone()).collect();
    let node = members.iter().map(|m| program.instructions[*m as usize].node).max().unwrap_or(last.node);
    let mut body = Box::new(Loop { dims, inputs, steps, outputs });
    if reduced.is_none() && !ends.is_empty() {
        let mut columns = Columns { kept: 0, reduces: SmallVec::new() };
        for end in ends.iter().map(member) {
            let Some((operand, op, kept)) = sums(program, end) else { continue };
            body.outputs.push(places[&operand]);
            results.push(end.results[0]);
            columns.kept = kept;
            columns.reduces.push(op);
        }
        return Instruction { action: Action::LoopColumns(body, columns), operands, results, node };
    }
    let action = match reduced.and_then(|(operand, last)| Some((places[&operand], last.results[0], op_of(last)?))) {
        Some((place, result, op)) => {
            body.outputs.push(place);
            results.push(result);
            Action::LoopReduction(body, op.clone())
        }
        None => Action::Loop(body),
    };
    Instruction { action, operands, results, node }
}
