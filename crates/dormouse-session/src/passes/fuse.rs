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
    let mut instructions = Vec::with_capacity(order.len());
    for head in order {
        let members = &clusters.members[head as usize];
        instructions.push(match members.as_slice() {
            [only] => program.instructions[*only as usize].clone(),
            members => join(program, members, &used),
        });
    }
    program.instructions = instructions;
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

/// Which instructions belong together. Each cluster is known by one of them, its head.
struct Clusters {
    heads: Vec<u32>,
    /// Of a head, its cluster in order; of the others, nothing.
    members: Vec<Vec<u32>>,
    /// The instruction that computes each value.
    producers: FxHashMap<ValueId, u32>,
}

impl Clusters {
    fn of(program: &Program) -> Clusters {
        let count = program.instructions.len() as u32;
        let mut clusters = Clusters {
            heads: (0..count).collect(),
            members: (0..count).map(|i| vec![i]).collect(),
            producers: FxHashMap::default(),
        };
        for (i, instruction) in program.instructions.iter().enumerate() {
            for result in &instruction.results {
                clusters.producers.insert(*result, i as u32);
            }
        }
        let joining: Vec<bool> = program.instructions.iter().map(|i| joins(program, i)).collect();
        for (i, instruction) in program.instructions.iter().enumerate().filter(|(i, _)| joining[*i]) {
            let dims = &program.spec(instruction.results[0]).dims;
            for operand in instruction.read() {
                let Some(&producer) = clusters.producers.get(&operand) else { continue };
                if joining[producer as usize] && program.spec(operand).dims == *dims {
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
        self.producers.get(&program.root(value)).copied()
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

    fn may_join(&self, program: &Program, a: u32, b: u32) -> bool {
        let (left, right) = (&self.members[a as usize], &self.members[b as usize]);
        if left.len() + right.len() > STEPS {
            return false;
        }
        let union = |head: u32| head == a || head == b;
        let first = left[0].min(right[0]);
        let mut seen = FxHashSet::default();
        let mut stack = SmallVec::<[u32; 32]>::new();
        let mut inputs = FxHashSet::default();
        for &member in left.iter().chain(right) {
            for operand in program.instructions[member as usize].read() {
                let Some(producer) = self.producer(program, operand) else {
                    inputs.insert(operand);
                    continue;
                };
                let head = self.head(producer);
                if !union(head) {
                    inputs.insert(operand);
                    if seen.insert(head) {
                        stack.push(head);
                    }
                } else if !self.producers.contains_key(&operand) {
                    // Another shape of a member's result: it has to be in memory before the loop.
                    return false;
                }
            }
        }
        if inputs.len() > INPUTS {
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
                    if next != head && seen.insert(next) {
                        stack.push(next);
                    }
                }
            }
            if seen.len() > SEARCHED {
                return false;
            }
        }
        true
    }

    /// Lets a cluster end in the reduction to one element of a result that nothing else reads. Such a reduction has no
    /// operand from elsewhere, so no path can lead back.
    fn add_reductions(&mut self, program: &Program) {
        let mut readers = FxHashMap::<ValueId, u32>::default();
        let reads = program.instructions.iter().flat_map(Instruction::read).chain(program.ends());
        for value in reads {
            *readers.entry(program.root(value)).or_default() += 1;
        }
        let mut ended = FxHashSet::default();
        for (i, instruction) in program.instructions.iter().enumerate() {
            let Some(operand) = reduces(program, instruction) else { continue };
            let Some(producer) = self.producer(program, operand) else { continue };
            let head = self.head(producer);
            let read_here_alone = readers.get(&program.root(operand)) == Some(&1);
            if read_here_alone && joins(program, &program.instructions[producer as usize]) && ended.insert(head) {
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
            let Some(&producer) = self.producers.get(&operand) else { continue };
            let head = self.head(producer);
            let members = &self.members[head as usize];
            let reduced = members.iter().any(|m| reduces(program, &program.instructions[*m as usize]).is_some());
            let alike = ends.get(&head).is_none_or(|other| *other == kept);
            if !reduced && alike && joins(program, &program.instructions[producer as usize]) && members.len() < STEPS {
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

/// The values that are read outside of the cluster that computes them.
fn used_elsewhere(program: &Program, clusters: &Clusters) -> FxHashSet<ValueId> {
    let mut used: FxHashSet<ValueId> = program.ends().map(|v| program.root(v)).collect();
    for (i, instruction) in program.instructions.iter().enumerate() {
        let head = clusters.head(i as u32);
        for operand in instruction.read() {
            if clusters.producer(program, operand).is_some_and(|p| clusters.head(p) != head) {
                used.insert(program.root(operand));
            }
        }
    }
    used
}

/// One instruction of several, in order; the last ones may reduce what others give.
fn join(program: &Program, members: &[u32], used: &FxHashSet<ValueId>) -> Instruction {
    let member = |m: &u32| &program.instructions[*m as usize];
    let last = member(&members[members.len() - 1]);
    let reduced = reduces(program, last).map(|operand| (program.root(operand), last));
    let element_wise = members.iter().take_while(|m| joins(program, member(m))).count();
    let (element_wise, ends) = members.split_at(element_wise);
    let instructions = || element_wise.iter().map(member);
    let mut dims = Dims::new();
    let mut places = FxHashMap::<ValueId, usize>::default();
    let mut operands = SmallVec::<[ValueId; 3]>::new();
    let computed: FxHashSet<ValueId> = instructions().flat_map(|i| i.results.iter().copied()).collect();
    for operand in instructions().flat_map(Instruction::read).filter(|o| !computed.contains(o)) {
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
        if used.contains(&result) {
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
