//! Fusion: element-wise instructions of one shape that feed each other become one loop, so that what lies between them
//! never reaches memory. The bits stay those of the instructions one by one.
//!
//! Clusters grow from the first instruction to the last. Two join when one feeds the other, they have the same shape,
//! and no path leads out of their union and back in, for then neither could be run first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use dormouse_graph::NodeId;
use dormouse_kernels::{Loop, Step, fusible, sums_columns};
use dormouse_value::{BinaryOp, DType, Dims, Op, ReduceOp, UnaryOp};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use crate::loops::Loops;
use crate::passes::op_of;
use crate::passes::products::insert;
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
    let used = used_elsewhere(program, &clusters);
    let used = |value: ValueId| used[value.index()];
    let mut joining = Joining::default();
    let Some(order) = clusters.order(program) else { return };
    let mut gone = vec![false; program.instructions.len()];
    // What comes after a cluster whose place is behind its own.
    let (mut late, mut newest) = (Vec::new(), 0);
    for head in order {
        let members = clusters.members[head as usize].as_slice();
        let Some(&last) = members.last() else { continue };
        if members.len() > 1 {
            let joined = joining.join(program, members, &used);
            members.iter().for_each(|member| gone[*member as usize] = true);
            program.instructions[last as usize] = joined;
            gone[last as usize] = false;
        }
        if last < newest {
            let moved = std::mem::replace(&mut program.instructions[last as usize], Instruction::nothing());
            late.push((newest as usize + 1, moved));
            gone[last as usize] = true;
        } else {
            newest = last;
        }
    }
    insert(program, late, &gone);
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

    /// The heads in an order that the data allows, each as soon as the place of its last member. Nearly all can be run there.
    fn order(&self, program: &Program) -> Option<Vec<u32>> {
        let count = self.members.len();
        let (mut ends, mut clusters) = (vec![NOBODY; count], 0);
        for (head, members) in self.members.iter().enumerate() {
            if let Some(last) = members.last() {
                ends[*last as usize] = head as u32;
                clusters += 1;
            }
        }
        let mut over = vec![false; count];
        // Those whose place is over, by a cluster that they wait for; and of these, those that wait for none.
        let mut late = FxHashMap::<u32, SmallVec<[u32; 4]>>::default();
        let mut ready = BinaryHeap::new();
        let mut order = Vec::with_capacity(clusters);
        for &end in ends.iter().filter(|head| **head != NOBODY) {
            let mut next = Some(end);
            while let Some(head) = next {
                if let Some(before) = self.missing(program, head, &over) {
                    late.entry(before).or_default().push(head);
                } else {
                    over[head as usize] = true;
                    order.push(head);
                    if !late.is_empty() {
                        let place = |head: u32| Reverse((self.members[head as usize].last().copied(), head));
                        ready.extend(late.remove(&head).into_iter().flatten().map(place));
                    }
                }
                next = ready.pop().map(|Reverse((_, head))| head);
            }
        }
        debug_assert_eq!(order.len(), clusters, "clusters wait for each other");
        (order.len() == clusters).then_some(order)
    }

    /// A cluster that is to be run before another, and has not been.
    fn missing(&self, program: &Program, head: u32, over: &[bool]) -> Option<u32> {
        let members = self.members[head as usize].iter();
        let operands = members.flat_map(|member| program.instructions[*member as usize].read());
        let mut heads =
            operands.filter_map(|operand| self.producer(program, operand)).map(|producer| self.head(producer));
        heads.find(|before| *before != head && !over[*before as usize])
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
    let mut joining = Joining::default();
    let joined = joining.fill(program, &[at as u32], &|_| true);
    matches!(joined.end, End::Elements).then_some((joined.operands, joining.body))
}

/// What one instruction of several is, beside its loop.
struct Joined {
    operands: SmallVec<[ValueId; 3]>,
    results: SmallVec<[ValueId; 1]>,
    node: NodeId,
    end: End,
}

/// What a loop ends in.
enum End {
    Elements,
    Reduction(Op),
    Columns(Columns),
}

/// The work of making loops of clusters, and what is used for each of them again.
struct Joining {
    loops: Loops,
    /// The newest loop.
    body: Loop,
    places: Places,
    computed: Few,
}

impl Default for Joining {
    fn default() -> Joining {
        let body = Loop { dims: Dims::new(), inputs: Vec::new(), steps: Vec::new(), outputs: Vec::new() };
        Joining { loops: Loops::default(), body, places: Places::default(), computed: Few::default() }
    }
}

/// The values of a cluster that a loop numbers, and their numbers there. They are few, so looking at all of them is the fastest.
#[derive(Default)]
struct Places {
    values: SmallVec<[u32; 32]>,
    numbers: SmallVec<[u32; 32]>,
}

impl Places {
    fn get(&self, value: ValueId) -> Option<usize> {
        let at = self.values.iter().position(|other| *other == value.0)?;
        Some(self.numbers[at] as usize)
    }

    fn add(&mut self, value: ValueId, number: usize) {
        self.values.push(value.0);
        self.numbers.push(number as u32);
    }
}

impl Joining {
    /// One instruction of several, in order; the last ones may reduce what others give.
    fn join(&mut self, program: &Program, members: &[u32], used: &dyn Fn(ValueId) -> bool) -> Instruction {
        let Joined { operands, results, node, end } = self.fill(program, members, used);
        let body = self.loops.share(&self.body);
        let action = match end {
            End::Elements => Action::Loop(body),
            End::Reduction(op) => Action::LoopReduction(body, op),
            End::Columns(columns) => Action::LoopColumns(body, columns),
        };
        Instruction { action, operands, results, node }
    }

    /// Makes the loop of several instructions, and tells what else the one in their place has.
    fn fill(&mut self, program: &Program, members: &[u32], used: &dyn Fn(ValueId) -> bool) -> Joined {
        let Joining { body, places, computed, .. } = self;
        let member = |m: &u32| &program.instructions[*m as usize];
        let last = member(&members[members.len() - 1]);
        let reduced = reduces(program, last).map(|operand| (program.root(operand), last));
        let element_wise = members.iter().take_while(|m| joins(program, member(m))).count();
        let (element_wise, ends) = members.split_at(element_wise);
        let instructions = || element_wise.iter().map(member);
        let mut operands = SmallVec::<[ValueId; 3]>::new();
        places.values.clear();
        places.numbers.clear();
        computed.0.clear();
        body.inputs.clear();
        body.steps.clear();
        body.outputs.clear();
        instructions().flat_map(|i| &i.results).for_each(|result| _ = computed.insert(result.0));
        for operand in instructions().flat_map(Instruction::read).filter(|o| !computed.0.contains(&o.0)) {
            if places.get(operand).is_none() {
                places.add(operand, operands.len());
                operands.push(operand);
            }
        }
        let mut results = SmallVec::<[ValueId; 1]>::new();
        for instruction in instructions() {
            let result = instruction.results[0];
            body.dims.clone_from(&program.spec(result).dims);
            let taken: SmallVec<[usize; 3]> = instruction.read().filter_map(|o| places.get(o)).collect();
            let place = match op_of(instruction) {
                Some(op) if !is_broadcast(op) => {
                    body.steps.push(Step { op: op.clone(), operands: taken, dtype: program.spec(result).dtype });
                    operands.len() + body.steps.len() - 1
                }
                // What a loop reads is broadcast to its shape anyway.
                Some(_) | None => taken[0],
            };
            places.add(result, place);
            if used(result) {
                results.push(result);
                body.outputs.push(place);
            }
        }
        body.inputs.extend(operands.iter().map(|o| program.spec(*o).clone()));
        let node = members.iter().map(|m| program.instructions[*m as usize].node).max().unwrap_or(last.node);
        if reduced.is_none() && !ends.is_empty() {
            let mut columns = Columns { kept: 0, reduces: SmallVec::new() };
            for end in ends.iter().map(member) {
                let Some((operand, op, kept)) = sums(program, end) else { continue };
                body.outputs.extend(places.get(operand));
                results.push(end.results[0]);
                columns.kept = kept;
                columns.reduces.push(op);
            }
            return Joined { operands, results, node, end: End::Columns(columns) };
        }
        let reduced = reduced.and_then(|(operand, last)| Some((places.get(operand)?, last.results[0], op_of(last)?)));
        let end = match reduced {
            Some((place, result, op)) => {
                body.outputs.push(place);
                results.push(result);
                End::Reduction(op.clone())
            }
            None => End::Elements,
        };
        Joined { operands, results, node, end }
    }
}
