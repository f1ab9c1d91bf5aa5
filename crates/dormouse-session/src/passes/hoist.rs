//! Hoisting: products of few rows with one right factor become one long product, as far as none needs another's result.
//! That reads the factor once, and not once a step. It rounds otherwise.
//!
//! A recurrent cell multiplies what comes in, put beside what it remembers, with one matrix: `[x, h] · w`. All x are there
//! before the first step, so theirs is one product with the upper rows of w, and only h's is left to the steps. Backwards,
//! `dg · wᵀ` gives dx and dh side by side: only dh is needed by the step before, so dx is one product at the end.

use std::collections::BTreeMap;

use dormouse_graph::NodeId;
use dormouse_kernels::Spec;
use dormouse_value::{BinaryOp, Op};
use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};

use crate::passes::op_of;
use crate::passes::order::{Placed, ordered};
use crate::passes::products::{FEW_ROWS, MANY, Product, product};
use crate::passes::uses::{NOBODY, Readers, givers};
use crate::program::{Action, Instruction, Origin, Program, ValueId};

/// Groups of products that are looked at; each may take a look at the whole program.
const GROUPS: usize = 64;
/// Looks at an instruction for each one that there is, after which groups are left as they are; of programs up to a size,
/// all are looked at.
const LOOKS: usize = 4;
const LOOKS_AT_LEAST: usize = 1 << 18;

pub(super) fn hoist(program: &mut Program) {
    let mut search = Search::of(program);
    let groups: Vec<Group> =
        groups(program).into_iter().take(GROUPS).filter(|group| search.finds(program, group)).collect();
    if groups.is_empty() {
        return;
    }
    let before = program.instructions.clone();
    let mut rewriting = Rewriting::of(program);
    for group in groups {
        match group {
            Group::Forward { factor, members } => rewriting.forward(factor, &members),
            Group::Backward { factor, members } => rewriting.backward(factor, &members),
        }
    }
    let instructions = rewriting.instructions;
    let ordered = ordered(program, instructions);
    debug_assert!(ordered.is_some(), "hoisted products wait for each other");
    program.instructions = ordered.unwrap_or(before);
}

/// A search for groups of which something can be hoisted, in a program as it is: what does not need a product's result there
/// may need it once others are hoisted, but not the other way round.
struct Search {
    /// The number of the last sweep that has come by each value, and of the newest.
    seen: Vec<u32>,
    sweep: u32,
    /// Looks at instructions that are left.
    looks: usize,
}

impl Search {
    fn of(program: &Program) -> Search {
        let looks = LOOKS_AT_LEAST.max(LOOKS * program.instructions.len());
        Search { seen: vec![0; program.values.len()], sweep: 0, looks }
    }

    /// Comes by every value that these are needed for, as far as instructions from `first` to `last` compute them; says
    /// whether it has come to an end.
    fn reach(&mut self, program: &Program, from: impl Iterator<Item = ValueId>, first: usize, last: usize) -> bool {
        let Some(left) = self.looks.checked_sub(last + 1 - first) else { return false };
        self.looks = left;
        self.sweep += 1;
        from.for_each(|value| self.seen[value.index()] = self.sweep);
        for instruction in &program.instructions[first..=last] {
            if instruction.read().any(|operand| self.seen[program.root(operand).index()] == self.sweep) {
                instruction.results.iter().for_each(|result| self.seen[result.index()] = self.sweep);
            }
        }
        true
    }

    fn free(&self, program: &Program, mut values: impl Iterator<Item = ValueId>) -> bool {
        values.all(|value| self.seen[program.root(value).index()] != self.sweep)
    }

    fn finds(&mut self, program: &Program, group: &Group) -> bool {
        match group {
            Group::Forward { members, .. } => {
                let (first, last) = (members[0].instruction, members[members.len() - 1].instruction);
                let results = members.iter().map(|m| program.instructions[m.instruction].results[0]);
                let count = members[0].parts.len();
                self.reach(program, results, first, last)
                    && [0, count - 1].into_iter().any(|p| self.free(program, members.iter().map(|m| m.parts[p])))
            }
            Group::Backward { members, .. } => {
                let last = members[members.len() - 1].instruction;
                let mut columns: SmallVec<[&Columns; 4]> =
                    members.iter().flat_map(|m| &m.parts).map(|p| &p.0).collect();
                columns.sort_unstable_by_key(|columns| (columns.start, columns.end));
                columns.dedup();
                columns.into_iter().any(|columns| {
                    let taken = || members.iter().filter_map(|m| Some((m, m.parts.iter().find(|p| p.0 == *columns)?)));
                    let Some((first, _)) = taken().next().filter(|_| taken().count() >= MANY) else { return false };
                    self.reach(program, taken().map(|t| t.1.1), first.instruction, last)
                        && self.free(program, members.iter().map(|m| m.left))
                })
            }
        }
    }
}

/// Columns of a matrix.
type Columns = std::ops::Range<usize>;

/// A product whose left factor is made of parts, side by side.
struct Forward {
    instruction: usize,
    left: ValueId,
    parts: SmallVec<[ValueId; 2]>,
}

/// A product whose result is taken apart, or read as a whole.
struct Backward {
    instruction: usize,
    left: ValueId,
    /// What each reader takes, and the value it gives.
    parts: SmallVec<[(Columns, ValueId); 2]>,
    /// The readers that take parts.
    readers: SmallVec<[usize; 2]>,
}

enum Group {
    Forward { factor: ValueId, members: Vec<Forward> },
    Backward { factor: ValueId, members: Vec<Backward> },
}

/// The axis of a matrix, counted from the front.
fn from_front(axis: i32) -> i32 {
    if axis < 0 { axis + 2 } else { axis }
}

/// The groups of products of few rows with one right factor, in the order of their first members.
fn groups(program: &Program) -> Vec<Group> {
    let (givers, readers) = (givers(program), Readers::of(program));
    let mut ends = vec![false; program.values.len()];
    program.ends().for_each(|end| ends[program.root(end).index()] = true);
    // The groups, and of each factor the newest one; from each the way leads to an older one of the same factor.
    let mut groups: Vec<(Key, Group, u32)> = Vec::new();
    let mut newest = vec![NOBODY; program.values.len()];
    for (i, instruction) in program.instructions.iter().enumerate() {
        let Some(Product { factors: [left, factor], transposed: [false, transposed] }) = product(program, instruction)
        else {
            continue;
        };
        let result = instruction.results[0];
        if program.spec(result).dims[0] > FEW_ROWS || program.spec(result).is_empty() {
            continue;
        }
        if transposed {
            let users = readers.of_value(result);
            let taken: Option<SmallVec<_>> = users.iter().map(|user| part(program, *user as usize, result)).collect();
            let taken = taken.filter(|parts| !parts.is_empty() && !ends[result.index()]);
            let apart = taken.is_some();
            let parts = taken.unwrap_or_else(|| smallvec![(0..program.spec(result).dims[1], result)]);
            let readers = if apart { users.iter().map(|user| *user as usize).collect() } else { SmallVec::new() };
            let at = group(&mut groups, &mut newest, factor, Key::Backward { apart });
            if let Group::Backward { members, .. } = &mut groups[at].1 {
                members.push(Backward { instruction: i, left, parts, readers });
            }
        } else {
            let joined = program.instructions.get(givers[left.index()] as usize);
            let joined = joined.filter(|i| matches!(op_of(i), Some(Op::Concat { axis }) if from_front(*axis) == 1));
            let parts: SmallVec<[ValueId; 2]> =
                joined.map_or_else(|| smallvec![left], |concat| concat.operands.iter().copied().collect());
            let widths = parts.iter().map(|p| program.spec(*p).dims[1]).collect();
            let at = group(&mut groups, &mut newest, factor, Key::Forward(widths));
            if let Group::Forward { members, .. } = &mut groups[at].1 {
                members.push(Forward { instruction: i, left, parts });
            }
        }
    }
    let first = |group: &Group| match group {
        Group::Forward { members, .. } => (members[0].instruction, members.len()),
        Group::Backward { members, .. } => (members[0].instruction, members.len()),
    };
    let mut groups: Vec<Group> = groups.into_iter().map(|g| g.1).filter(|group| first(group).1 >= MANY).collect();
    groups.sort_by_key(|group| first(group).0);
    groups
}

/// What the members of a group have in common beside their factor.
#[derive(PartialEq)]
enum Key {
    /// The columns of each part.
    Forward(SmallVec<[usize; 4]>),
    /// Whether the results are taken apart.
    Backward { apart: bool },
}

/// The group of a factor and a key, which may be new.
fn group(groups: &mut Vec<(Key, Group, u32)>, newest: &mut [u32], factor: ValueId, key: Key) -> usize {
    let mut at = newest[factor.index()];
    while let Some((other, _, older)) = groups.get(at as usize) {
        if *other == key {
            return at as usize;
        }
        at = *older;
    }
    let group = match key {
        Key::Forward(_) => Group::Forward { factor, members: Vec::new() },
        Key::Backward { .. } => Group::Backward { factor, members: Vec::new() },
    };
    groups.push((key, group, newest[factor.index()]));
    newest[factor.index()] = (groups.len() - 1) as u32;
    groups.len() - 1
}

/// The columns of a matrix that an instruction takes, if that is what it does.
fn part(program: &Program, instruction: usize, of: ValueId) -> Option<(Columns, ValueId)> {
    let instruction = &program.instructions[instruction];
    let &Op::ConcatGrad { axis, index } = op_of(instruction)? else { return None };
    if from_front(axis) != 1 || instruction.operands[0] != of {
        return None;
    }
    let width = |value: &ValueId| program.spec(*value).dims[1];
    let parts = instruction.operands.get(1..)?;
    let start = parts.get(..index as usize)?.iter().map(width).sum();
    let end = start + parts.get(index as usize).map(width)?;
    Some((start..end, instruction.results[0]))
}

/// A program that is being rewritten: its instructions, and new ones behind them, each with the place it would like.
struct Rewriting<'a> {
    program: &'a mut Program,
    instructions: Vec<Placed>,
    /// The node that each of the program's own instructions is of.
    nodes: Vec<NodeId>,
    /// The instructions that read each value.
    readers: Vec<Vec<usize>>,
    /// Rows of factors by where they begin and end.
    cut: FxHashMap<(ValueId, usize, usize), ValueId>,
    /// The number of the last search that has come by each value, and of the newest.
    seen: Vec<u32>,
    search: u32,
    /// Looks at instructions that are left.
    looks: usize,
}

impl<'a> Rewriting<'a> {
    fn of(program: &'a mut Program) -> Self {
        let old = std::mem::take(&mut program.instructions);
        let readers = vec![Vec::new(); program.values.len()];
        let nodes = old.iter().map(|i| i.node).collect();
        let mut rewriting = Rewriting {
            program,
            instructions: Vec::new(),
            nodes,
            readers,
            cut: FxHashMap::default(),
            seen: Vec::new(),
            search: 0,
            looks: LOOKS_AT_LEAST.max(LOOKS * old.len()),
        };
        for (place, instruction) in old.into_iter().enumerate() {
            rewriting.push(place, instruction);
        }
        rewriting
    }

    fn push(&mut self, place: usize, instruction: Instruction) {
        self.readers.resize(self.program.values.len(), Vec::new());
        for operand in instruction.read() {
            self.readers[self.program.root(operand).index()].push(self.instructions.len());
        }
        self.instructions.push(Some((place, instruction)));
    }

    /// Adds an operation, to be run about where `place` is; its result is a new value of these dims, or `result`.
    fn add(&mut self, place: usize, op: Op, operands: &[ValueId], dims: &[usize], result: Option<ValueId>) -> ValueId {
        let dtype = self.program.spec(operands[0]).dtype;
        let result = result.unwrap_or_else(|| self.program.add_value(Spec::new(dtype, dims), Origin::Computed));
        let action = Action::Op(op);
        let operands = operands.iter().copied().collect();
        self.push(place, Instruction { action, operands, results: smallvec![result], node: self.nodes[place] });
        result
    }

    fn dims(&self, value: ValueId) -> [usize; 2] {
        let dims = &self.program.spec(value).dims;
        [dims[0], dims[1]]
    }

    /// Comes by every value that some results are needed for, these results among them; says whether it has come to an end.
    fn reach(&mut self, from: impl Iterator<Item = ValueId>) -> bool {
        self.search += 1;
        self.seen.resize(self.program.values.len(), 0);
        let mut stack: Vec<ValueId> = from.collect();
        stack.iter().for_each(|value| self.seen[value.index()] = self.search);
        while let Some(value) = stack.pop() {
            for &reader in &self.readers[value.index()] {
                let Some((_, instruction)) = &self.instructions[reader] else { continue };
                let Some(left) = self.looks.checked_sub(1) else { return false };
                self.looks = left;
                for &result in &instruction.results {
                    if std::mem::replace(&mut self.seen[result.index()], self.search) != self.search {
                        stack.push(result);
                    }
                }
            }
        }
        true
    }

    /// Rows of a factor.
    fn rows(&mut self, place: usize, factor: ValueId, rows: Columns) -> ValueId {
        let [all, columns] = self.dims(factor);
        if rows == (0..all) {
            return factor;
        }
        if let Some(&cut) = self.cut.get(&(factor, rows.start, rows.end)) {
            return cut;
        }
        let begin = smallvec![rows.start as i64, 0];
        let size = smallvec![rows.len() as i64, columns as i64];
        let cut = self.add(place, Op::Slice { begin, size }, &[factor], &[rows.len(), columns], None);
        self.cut.insert((factor, rows.start, rows.end), cut);
        cut
    }

    /// Values one below the other, or side by side; one alone is itself.
    fn joined(&mut self, place: usize, axis: usize, values: &[ValueId]) -> ValueId {
        if let &[only] = values {
            return only;
        }
        let mut dims = self.dims(values[0]);
        dims[axis] = values.iter().map(|v| self.dims(*v)[axis]).sum();
        self.add(place, Op::Concat { axis: axis as i32 }, values, &dims, None)
    }

    /// Multiplies all of `left`, one below the other, with a factor, and gives each its rows: as `results` where they are told.
    fn multiply(
        &mut self,
        place: usize,
        left: &[ValueId],
        (factor, transposed): (ValueId, bool),
        results: &[(usize, Option<ValueId>)],
    ) -> Vec<ValueId> {
        let all = self.joined(place, 0, left);
        let columns = self.dims(factor)[usize::from(!transposed)];
        let rows = self.dims(all)[0];
        let op = Op::MatMul { transpose_a: false, transpose_b: transposed };
        let product = self.add(place, op, &[all, factor], &[rows, columns], None);
        let mut first = 0;
        let mut parts = Vec::with_capacity(left.len());
        for (left, &(place, result)) in left.iter().zip(results) {
            let rows = self.dims(*left)[0];
            let (begin, size) = (smallvec![first as i64, 0], smallvec![rows as i64, columns as i64]);
            parts.push(self.add(place, Op::Slice { begin, size }, &[product], &[rows, columns], result));
            first += rows;
        }
        parts
    }

    /// Whether the last search has come by none of these values.
    fn free(&self, mut values: impl Iterator<Item = ValueId>) -> bool {
        values.all(|value| self.seen[self.program.root(value).index()] != self.search)
    }

    /// Takes out of each product the parts of its left factor that need no result of another.
    fn forward(&mut self, factor: ValueId, members: &[Forward]) {
        let result = |m: &Forward| self.instructions[m.instruction].as_ref().map(|(_, i)| i.results[0]);
        let Some(results) = members.iter().map(result).collect::<Option<Vec<_>>>() else { return };
        if !self.reach(results.iter().copied()) {
            return;
        }
        let count = members[0].parts.len();
        let early = |p: usize| self.free(members.iter().map(|m| m.parts[p]));
        let before = (0..count).take_while(|p| early(*p)).count();
        let behind = (0..count).rev().take_while(|p| early(*p)).count();
        let range = if before >= behind { 0..before } else { count - behind..count };
        if range.is_empty() {
            return;
        }
        let place = members[0].instruction;
        let width = |parts: &[ValueId]| parts.iter().map(|p| self.dims(*p)[1]).sum::<usize>();
        let start = width(&members[0].parts[..range.start]);
        let end = start + width(&members[0].parts[range.clone()]);
        let all = self.dims(factor)[0];
        let whole = range.len() == count;
        let left: Vec<ValueId> = members
            .iter()
            .map(|m| if whole { m.left } else { self.joined(place, 1, &m.parts[range.clone()]) })
            .collect();
        let upper = self.rows(place, factor, start..end);
        members.iter().for_each(|m| self.instructions[m.instruction] = None);
        let ends: Vec<(usize, Option<ValueId>)> =
            members.iter().zip(&results).map(|(m, r)| (m.instruction, whole.then_some(*r))).collect();
        let hoisted = self.multiply(place, &left, (upper, false), &ends);
        if whole {
            return;
        }
        let rest = if start == 0 { end..all } else { 0..start };
        let lower = self.rows(place, factor, rest);
        for ((member, result), hoisted) in members.iter().zip(results).zip(hoisted) {
            let late = if range.start == 0 { &member.parts[range.end..] } else { &member.parts[..range.start] };
            let late = self.joined(member.instruction, 1, late);
            let dims = self.dims(result);
            let op = Op::MatMul { transpose_a: false, transpose_b: false };
            let product = self.add(member.instruction, op, &[late, lower], &dims, None);
            self.add(member.instruction, Op::Binary(BinaryOp::Add), &[hoisted, product], &dims, Some(result));
        }
    }

    /// Takes out of each product the parts of its result that no other needs.
    fn backward(&mut self, factor: ValueId, members: &[Backward]) {
        let mut parts: BTreeMap<[usize; 2], Vec<(usize, ValueId)>> = BTreeMap::new();
        for (m, member) in members.iter().enumerate() {
            for (columns, value) in &member.parts {
                parts.entry([columns.start, columns.end]).or_default().push((m, *value));
            }
        }
        let mut is_free = |taken: &Vec<(usize, ValueId)>| {
            let many = taken.len() >= MANY && self.reach(taken.iter().map(|t| t.1));
            many && self.free(members.iter().map(|m| m.left))
        };
        let free: Vec<bool> = parts.values().map(&mut is_free).collect();
        if !free.contains(&true) {
            return;
        }
        for member in members {
            for &gone in member.readers.iter().chain([&member.instruction]) {
                self.instructions[gone] = None;
            }
        }
        for (([start, end], taken), free) in parts.into_iter().zip(free) {
            let rows = self.rows(members[0].instruction, factor, start..end);
            if free {
                let last = members[taken[taken.len() - 1].0].instruction;
                let left: Vec<ValueId> = taken.iter().map(|(m, _)| members[*m].left).collect();
                let ends: Vec<_> = taken.iter().map(|(m, value)| (members[*m].instruction, Some(*value))).collect();
                self.multiply(last, &left, (rows, true), &ends);
            } else {
                let op = Op::MatMul { transpose_a: false, transpose_b: true };
                for (m, value) in taken {
                    let Backward { instruction, left, .. } = members[m];
                    let dims = self.dims(value);
                    self.add(instruction, op.clone(), &[left, rows], &dims, Some(value));
                }
            }
        }
    }
}
