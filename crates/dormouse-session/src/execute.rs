//! Execution: one run of a plan, from feeds to values, all or nothing.
//!
//! One of the places of this crate that hold `unsafe` code, with `buffer` and `frame`.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use dormouse_graph::Frozen;
use dormouse_value::Value;
use smallvec::SmallVec;

use crate::buffer::{Buffer, Output};
use crate::error::{Error, Kind, Result};
use crate::frame::{Failure, Frame, constant};
use crate::lower::place;
use crate::plan::{COUNTER_BYTES, Location, Part, Plan};
use crate::store::{Store, Visit};
use crate::team::{Team, panicked, run_shared};
use crate::trace::Recorder;

/// Frames that a plan keeps.
const FRAMES: usize = 64;

/// The values that a run hands back.
pub(crate) type Values = SmallVec<[Value; 2]>;

/// Where a run is to write a result, if somebody gives room for it.
pub(crate) type Given = Option<NonNull<u8>>;

/// Room for a result.
#[derive(Debug)]
enum Room {
    Own(Output),
    Given(NonNull<u8>),
}

impl Room {
    fn as_ptr(&self) -> *mut u8 {
        match self {
            Room::Own(output) => output.as_ptr(),
            Room::Given(place) => place.as_ptr(),
        }
    }

    fn into_value(self) -> Option<Value> {
        match self {
            Room::Own(output) => Some(output.into_value()),
            Room::Given(_) => None,
        }
    }
}

/// What a run has of its session.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) graph: &'a Frozen,
    pub(crate) store: &'a Store,
    pub(crate) team: &'a Arc<Team>,
    /// Who keeps what the run did, if somebody does.
    pub(crate) recorder: Option<&'a Recorder>,
}

/// Runs a plan. `feeds` are the buffers of the request's feeds, in order, of their specs; results that room is `given` for are
/// written there, and the others added to `values`, which are large to hand back; an arena of
/// [`OWN_ARENA`](crate::frame::OWN_ARENA) or less need not be given.
///
/// # Errors
/// An uninitialized variable or what a kernel says; no variable has changed then, and no random number is used up.
pub(crate) fn execute(
    around: Surroundings<'_>,
    plan: &Arc<Plan>,
    feeds: &[*const u8],
    arena: Option<&Buffer>,
    given: &[Given],
    values: &mut Values,
) -> Result<()> {
    let mut visit = around.store.enter(&plan.writes, !plan.reads.is_empty());
    execute_within(around, &mut visit, plan, feeds, arena, given, values)
}

/// As [`execute`], of a run that has entered the store.
///
/// # Errors
/// As [`execute`].
pub(crate) fn execute_within(
    around: Surroundings<'_>,
    visit: &mut Visit<'_>,
    plan: &Arc<Plan>,
    feeds: &[*const u8],
    arena: Option<&Buffer>,
    given: &[Given],
    values: &mut Values,
) -> Result<()> {
    if let Some(variable) = plan.reads.iter().find(|v| visit.table()[v.index()].is_none()) {
        let name = around.graph.variable_name(*variable).unwrap_or("?").to_owned();
        return Err(Kind::Uninitialized { name }.into());
    }
    let kept = plan.frames.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let frame = match kept {
        Some(frame) => frame,
        None => Arc::new(Frame::new(plan)?),
    };
    let own = || frame.arena.as_ref().expect("a frame of a plan with a small arena has one");
    let arena = arena.unwrap_or_else(own);
    for (i, (counter, blocks)) in plan.draws.iter().enumerate() {
        let first = counter.fetch_add(*blocks, Ordering::Relaxed);
        let to = arena.as_ptr().wrapping_add(plan.counters + i * COUNTER_BYTES);
        // SAFETY: the arena is this run's, and the plan has set this place aside for the counters.
        unsafe { to.copy_from_nonoverlapping(u128::from(first).to_le_bytes().as_ptr(), COUNTER_BYTES) };
    }
    let nexts = if plan.commits.is_empty() { Vec::new() } else { std::mem::take(&mut *frame.nexts()) };
    let mut run = Run { around, plan, feeds, arena, visit, frame: &frame, nexts, results: SmallVec::new(), given };
    if around.recorder.is_some() {
        run.frame.record();
    }
    let outcome = run.all();
    if let Some(recorder) = around.recorder {
        recorder.add(around.graph, plan, &run.frame.recorded());
    }
    let Run { mut nexts, results, .. } = run;
    if !nexts.is_empty() {
        nexts.fill(None);
        *frame.nexts() = nexts;
    }
    if outcome.is_err() {
        (0..plan.draws.len()).for_each(|i| give_back(plan, i, first_drawn(plan, i, arena)));
    }
    let mut frames = plan.frames.lock().unwrap_or_else(PoisonError::into_inner);
    if frames.len() < FRAMES {
        frames.push(frame);
    }
    drop(frames);
    outcome?;
    values.extend(results.into_iter().filter_map(Room::into_value));
    Ok(())
}

/// Where a run of a plan in this arena has drawn from.
pub(crate) fn first_drawn(plan: &Plan, draw: usize, arena: &Buffer) -> u64 {
    let mut first = [0; COUNTER_BYTES];
    let from = arena.as_ptr().wrapping_add(plan.counters + draw * COUNTER_BYTES);
    // SAFETY: the plan has set this place of its arena aside for the counter, and no step writes it.
    unsafe { first.as_mut_ptr().copy_from_nonoverlapping(from, COUNTER_BYTES) };
    u128::from_le_bytes(first) as u64
}

/// Gives numbers back that were drawn, unless another run has drawn since.
pub(crate) fn give_back(plan: &Plan, draw: usize, first: u64) {
    let (counter, blocks) = &plan.draws[draw];
    let end = first.wrapping_add(*blocks);
    let _ = counter.compare_exchange(end, first, Ordering::Relaxed, Ordering::Relaxed);
}

struct Run<'a, 'v> {
    around: Surroundings<'a>,
    plan: &'a Arc<Plan>,
    feeds: &'a [*const u8],
    arena: &'a Buffer,
    visit: &'a mut Visit<'v>,
    frame: &'a Arc<Frame>,
    /// The frame's, while the run lasts.
    nexts: Vec<Option<Arc<Buffer>>>,
    results: SmallVec<[Room; 2]>,
    given: &'a [Given],
}

impl Run<'_, '_> {
    fn all(&mut self) -> Result<()> {
        let plan = self.plan;
        for (i, result) in plan.results.iter().enumerate() {
            self.results.push(match self.given.get(i) {
                Some(Some(place)) => Room::Given(*place),
                Some(None) | None => Room::Own(Output::new(&result.spec)?),
            });
        }
        for (i, commit) in plan.commits.iter().enumerate().filter(|(_, c)| !c.in_place) {
            self.nexts[i] = Some(self.around.store.spare(commit.variable, commit.bytes)?);
        }
        // SAFETY: this run has the frame, and no helper is in it.
        unsafe {
            self.frame.set_arena(plan, self.arena);
            self.frame.set(plan, &plan.varying, |location| self.pointer(location));
        }
        self.part(&plan.head, false)?;
        self.copy_out(false);
        let in_place = plan.commits.iter().any(|c| c.in_place) && self.visit.be_alone();
        for (i, commit) in plan.commits.iter().enumerate().filter(|(_, c)| c.in_place) {
            let buffer = match &self.visit.table()[commit.variable.index()] {
                Some(buffer) if in_place => Arc::clone(buffer),
                _ => self.around.store.spare(commit.variable, commit.bytes)?,
            };
            self.nexts[i] = Some(buffer);
        }
        // SAFETY: as above; the variables' own buffers are written by this run alone, as no other is about.
        unsafe { self.frame.set(plan, &plan.varying_tail, |location| self.pointer(location)) };
        self.part(&plan.tail, true)?;
        self.copy_out(true);
        self.commit();
        Ok(())
    }

    fn pointer(&self, location: Location) -> *mut u8 {
        match location {
            Location::Arena(offset) => self.arena.as_ptr().wrapping_add(offset),
            Location::Feed(i) => self.feeds[i as usize].cast_mut(),
            Location::Constant(i) => constant(self.plan, i),
            Location::Variable(v) => {
                let buffer = self.visit.table()[v.index()].as_ref();
                buffer.expect("variables that are read are initialized, as was checked").as_ptr()
            }
            Location::Next(i) => self.nexts[i as usize].as_ref().expect("a buffer for every commit").as_ptr(),
            Location::Result(i) => self.results[i as usize].as_ptr(),
            Location::ShapeOnly => std::ptr::NonNull::<u64>::dangling().as_ptr().cast(),
        }
    }

    /// Runs the steps of a part. What is reported is the failure of the first step, in the plan's order, that fails.
    fn part(&self, part: &Part, of_tail: bool) -> Result<()> {
        if part.steps.is_empty() {
            return Ok(());
        }
        if part.tasks.is_empty() {
            self.in_order(part);
        } else {
            // SAFETY: this run has the frame, which is set; feeds, variables and results stay where they are.
            unsafe { run_shared(self.plan, self.frame, self.around.team, of_tail) };
        }
        match self.frame.take_failure() {
            None => Ok(()),
            Some(failure) => Err(self.failed(failure)),
        }
    }

    fn failed(&self, (step, _, error): Failure) -> Error {
        let node = self.plan.steps[step as usize].node;
        Kind::Node { place: place(self.around.graph, node), message: error.to_string() }.into()
    }

    /// Runs the steps one after the other, on this thread.
    fn in_order(&self, part: &Part) {
        let at = Cell::new(part.steps.start);
        let run = || {
            for i in part.steps.clone() {
                at.set(i);
                for (phase, &tiles) in self.plan.steps[i].kernel.phases.iter().enumerate() {
                    for tile in 0..tiles {
                        // SAFETY: the frame is set; steps, phases and tiles run one after the other.
                        if let Err(error) = unsafe { self.frame.run(self.plan, i, phase, tile, 0) } {
                            return self.frame.fail(i as u32, tile, error);
                        }
                    }
                }
            }
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
            self.frame.fail(at.get() as u32, 0, panicked(&*panic));
        }
    }

    /// Copies what the steps did not write to its last place: results, and what variables will hold.
    fn copy_out(&self, of_tail: bool) {
        for (i, result) in self.plan.results.iter().enumerate().filter(|(_, r)| r.of_tail == of_tail) {
            if result.from != Location::Result(i as u32) {
                let (from, to) = (self.pointer(result.from), self.results[i].as_ptr());
                // SAFETY: both hold as many bytes, written by now; the output is this run's alone.
                unsafe { to.copy_from_nonoverlapping(from, result.spec.bytes()) };
            }
        }
        for (i, commit) in self.plan.commits.iter().enumerate() {
            if let Some((from, later)) = commit.copied
                && later == of_tail
            {
                let (from, to) = (self.pointer(from), self.pointer(Location::Next(i as u32)));
                // SAFETY: as above; the spare is this run's alone.
                unsafe { to.copy_from_nonoverlapping(from, commit.bytes) };
            }
        }
    }

    fn commit(&mut self) {
        // What was written where it lies needs no new place in the table.
        for (commit, next) in self.plan.commits.iter().zip(&mut self.nexts) {
            let old = self.visit.table()[commit.variable.index()].as_ref();
            if old.zip(next.as_ref()).is_some_and(|(old, next)| Arc::ptr_eq(old, next)) {
                *next = None;
            }
        }
        if self.nexts.iter().any(Option::is_some) {
            let commits = self.plan.commits.iter().zip(&mut self.nexts);
            self.visit.commit(commits.filter_map(|(commit, next)| Some((commit.variable, next.take()?))));
        }
    }
}
