//! Frames: what one run of a plan has for itself, kept for the next run so that it allocates nothing.
//!
//! A frame belongs to one run at a time. Before its tasks are opened to other threads, and after they are closed, the
//! run's own thread alone touches the pointers.

use std::cell::UnsafeCell;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use dormouse_kernels::{Args, KernelError};

use crate::buffer::Buffer;
use crate::error::Result as RunResult;
use crate::plan::{Location, Part, Plan};
use crate::schedule::Task;
use crate::trace::Ran;

/// What went wrong first: the step's number and the tile's, so that it does not depend on timing.
pub(crate) type Failure = (u32, usize, KernelError);

#[derive(Debug)]
pub(crate) struct Frame {
    /// One pointer a slot of the plan.
    pointers: UnsafeCell<Vec<*mut u8>>,
    /// The arena of the plan's runs, where it is so small that each frame has one.
    pub(crate) arena: Option<Buffer>,
    /// Where the arena was when the pointers were set.
    base: UnsafeCell<*mut u8>,
    pub(crate) progress: Box<[Progress]>,
    pub(crate) queue: Mutex<Queue>,
    /// Tasks of the open part that are not over.
    pub(crate) remaining: AtomicU32,
    /// The lowest step that failed, or `u32::MAX`.
    pub(crate) failed: AtomicU32,
    pub(crate) failure: Mutex<Option<Failure>>,
    pub(crate) door: Door,
    /// Room for the buffers of what variables will hold; a run takes it, and brings it back.
    nexts: Mutex<Vec<Option<Arc<Buffer>>>>,
    /// Helpers asked to come and not gone yet.
    pub(crate) invited: AtomicU32,
    /// Whether it is kept when tiles ran.
    recording: AtomicBool,
    ran: Mutex<Vec<Ran>>,
}

// SAFETY: the pointers are written by the thread whose run has the frame, while the door is closed; helpers read them
// only between passing the door and leaving it, which order their reads after those writes and before the next ones.
// What the pointers lead to is settled by the plan: tasks that run at one time write no place that another uses.
unsafe impl Send for Frame {}
// SAFETY: as above.
unsafe impl Sync for Frame {}

/// How far a task is.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The phase in the upper half, the next tile in the lower.
    pub(crate) claims: AtomicU64,
    /// Tiles of the phase that are not over.
    pub(crate) pending: AtomicU32,
    /// Tasks that it waits for.
    pub(crate) waits: AtomicU32,
}

/// Tasks that may run, the most urgent first, and the places of helpers.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Urgencies and numbers.
    ready: BinaryHeap<(u32, u32)>,
    /// Nanoseconds of all that may run.
    nanos: f64,
    pub(crate) seats: Vec<usize>,
}

impl Queue {
    pub(crate) fn push(&mut self, tasks: &[Task], number: u32) {
        let task = &tasks[number as usize];
        self.ready.push((task.urgency, number));
        self.nanos += task.nanos;
    }

    /// The most urgent task.
    pub(crate) fn first(&self) -> Option<u32> {
        self.ready.peek().map(|(_, number)| *number)
    }

    /// Takes the most urgent task out.
    pub(crate) fn pop(&mut self, tasks: &[Task]) {
        if let Some((_, number)) = self.ready.pop() {
            self.nanos -= tasks[number as usize].nanos;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.ready.len()
    }

    /// Whether there is as much for each of so many threads as one task takes.
    pub(crate) fn has_for_each(&self, threads: usize, task: &Task) -> bool {
        task.nanos * threads as f64 <= self.nanos
    }

    fn clear(&mut self) {
        self.ready.clear();
        self.nanos = 0.0;
    }
}

/// Lets helpers in while a run lasts: its number in the upper half, then a bit that is set while it is closed, then how
/// many are inside.
#[derive(Debug)]
pub(crate) struct Door(AtomicU64);

const CLOSED: u64 = 1 << 31;
const INSIDE: u64 = CLOSED - 1;

impl Door {
    /// Opens it for a new run, whose number it gives.
    pub(crate) fn open(&self) -> u32 {
        let run = ((self.0.load(Ordering::Relaxed) >> 32) as u32).wrapping_add(1);
        self.0.store(u64::from(run) << 32, Ordering::Release);
        run
    }

    /// Goes in, if it is open for this run.
    pub(crate) fn pass(&self, run: u32) -> bool {
        let enter = |state: u64| (state >> 32 == u64::from(run) && state & CLOSED == 0).then_some(state + 1);
        self.0.fetch_update(Ordering::Acquire, Ordering::Relaxed, enter).is_ok()
    }

    /// Goes out.
    pub(crate) fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Release);
    }

    /// Closes it and waits until nobody is inside.
    pub(crate) fn close(&self) {
        let mut state = self.0.fetch_or(CLOSED, Ordering::Acquire);
        let mut spins = 0_u32;
        while state & INSIDE != 0 {
            pause(&mut spins);
            state = self.0.load(Ordering::Acquire);
        }
    }
}

/// Waits a moment; from some number of times on, another thread may have the core.
pub(crate) fn pause(spins: &mut u32) {
    *spins += 1;
    if spins.is_multiple_of(64) {
        std::thread::yield_now();
    } else {
        std::hint::spin_loop();
    }
}

/// Bytes of an arena up to which each frame of a plan has its own.
pub(crate) const OWN_ARENA: usize = 1 << 16;

impl Frame {
    /// A frame for runs of a plan.
    ///
    /// # Errors
    /// When the system has no memory for the arena.
    pub(crate) fn new(plan: &Plan) -> RunResult<Frame> {
        let mut pointers = vec![std::ptr::NonNull::<u64>::dangling().as_ptr().cast::<u8>(); plan.slots.len()];
        for (pointer, location) in pointers.iter_mut().zip(&plan.slots) {
            if let Location::Constant(i) = location {
                *pointer = constant(plan, *i);
            }
        }
        let tasks = plan.head.tasks.len().max(plan.tail.tasks.len());
        Ok(Frame {
            pointers: UnsafeCell::new(pointers),
            arena: (plan.arena <= OWN_ARENA).then(|| Buffer::new(plan.arena)).transpose()?,
            base: UnsafeCell::new(std::ptr::null_mut()),
            progress: (0..tasks).map(|_| Progress::default()).collect(),
            queue: Mutex::new(Queue {
                ready: BinaryHeap::with_capacity(2 * tasks),
                nanos: 0.0,
                seats: (1..plan.threads).collect(),
            }),
            remaining: AtomicU32::new(0),
            failed: AtomicU32::new(u32::MAX),
            failure: Mutex::new(None),
            door: Door(AtomicU64::new(CLOSED)),
            nexts: Mutex::new(vec![None; plan.commits.len()]),
            invited: AtomicU32::new(0),
            recording: AtomicBool::new(false),
            ran: Mutex::new(Vec::new()),
        })
    }

    /// Sets the pointers into the arena.
    ///
    /// # Safety
    /// The caller's run has the frame, and its door is closed.
    pub(crate) unsafe fn set_arena(&self, plan: &Plan, arena: &Buffer) {
        // SAFETY: the caller's contract: nobody else reads or writes the pointers now.
        let (pointers, base) = unsafe { (&mut *self.pointers.get(), &mut *self.base.get()) };
        if *base != arena.as_ptr() {
            *base = arena.as_ptr();
            for (pointer, location) in pointers.iter_mut().zip(&plan.slots) {
                if let Location::Arena(offset) = location {
                    *pointer = arena.as_ptr().wrapping_add(*offset);
                }
            }
        }
    }

    /// Sets the pointers of these slots to where their locations are in this run.
    ///
    /// # Safety
    /// As [`Frame::set_arena`].
    pub(crate) unsafe fn set(&self, plan: &Plan, slots: &[u32], place: impl Fn(Location) -> *mut u8) {
        // SAFETY: the caller's contract.
        let pointers = unsafe { &mut *self.pointers.get() };
        for &slot in slots {
            pointers[slot as usize] = place(plan.slots[slot as usize]);
        }
    }

    /// Runs one tile of a step as worker `worker`.
    ///
    /// # Safety
    /// The frame was set for this plan; what the step waits for is over; nobody else runs this tile, or as this worker.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) unsafe fn run(
        &self,
        plan: &Plan,
        step: usize,
        phase: usize,
        tile: usize,
        worker: usize,
    ) -> Result<(), KernelError> {
        if self.recording.load(Ordering::Relaxed) {
            let start = Instant::now();
            // SAFETY: the caller's contract.
            let outcome = unsafe { self.run_tile(plan, step, phase, tile, worker) };
            let end = Instant::now();
            let mut ran = self.ran.lock().unwrap_or_else(PoisonError::into_inner);
            ran.push(Ran { step, phase, tile, worker, start, end });
            return outcome;
        }
        // SAFETY: the caller's contract.
        unsafe { self.run_tile(plan, step, phase, tile, worker) }
    }

    /// # Safety
    /// As [`Frame::run`].
    ///
    /// # Errors
    /// The kernel's.
    #[inline]
    unsafe fn run_tile(
        &self,
        plan: &Plan,
        step: usize,
        phase: usize,
        tile: usize,
        worker: usize,
    ) -> Result<(), KernelError> {
        let step = &plan.steps[step];
        // SAFETY: pointers are not written while steps run.
        let (pointers, base) = unsafe { (&*self.pointers.get(), *self.base.get()) };
        let (inputs, rest) = pointers[step.first..].split_at(step.inputs);
        // SAFETY: pointers to mutable and to constant data have one layout.
        let inputs = unsafe { std::slice::from_raw_parts(inputs.as_ptr().cast::<*const u8>(), inputs.len()) };
        let args = Args {
            inputs,
            outputs: &rest[..step.outputs],
            shared: base.wrapping_add(step.shared),
            local: base.wrapping_add(plan.local + worker * plan.local_bytes),
        };
        // SAFETY: the plan compiled the kernel for the specs of these places and gave each living value its own; the
        // caller's contract is the rest.
        unsafe { step.kernel.body.run(&args, phase, tile) }
    }

    /// Keeps, from now on, when tiles run.
    pub(crate) fn record(&self) {
        self.recording.store(true, Ordering::Relaxed);
    }

    /// What was kept of a run; no more is from now on.
    pub(crate) fn recorded(&self) -> Vec<Ran> {
        self.recording.store(false, Ordering::Relaxed);
        std::mem::take(&mut self.ran.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps the failure of the lowest step and tile.
    pub(crate) fn fail(&self, step: u32, tile: usize, error: KernelError) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if failure.as_ref().is_none_or(|f| (step, tile) < (f.0, f.1)) {
            *failure = Some((step, tile, error));
        }
        self.failed.fetch_min(step, Ordering::Relaxed);
    }

    /// What failed, if something did; the frame forgets it.
    pub(crate) fn take_failure(&self) -> Option<Failure> {
        if self.failed.load(Ordering::Relaxed) == u32::MAX {
            return None;
        }
        self.failed.store(u32::MAX, Ordering::Relaxed);
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn nexts(&self) -> MutexGuard<'_, Vec<Option<Arc<Buffer>>>> {
        self.nexts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes every task of a part wait again, and those that wait for nothing ready.
    pub(crate) fn rewind(&self, plan: &Plan, part: &Part) {
        self.remaining.store(part.tasks.len() as u32, Ordering::Relaxed);
        let mut queue = self.queue();
        queue.clear();
        for (number, (task, progress)) in part.tasks.iter().zip(&self.progress).enumerate() {
            progress.waits.store(task.waits, Ordering::Relaxed);
            progress.rewind(plan, task.steps[0] as usize);
            if task.waits == 0 {
                queue.push(&part.tasks, number as u32);
            }
        }
    }
}

impl Progress {
    /// Whether no tile of a step has been claimed.
    pub(crate) fn is_untouched(&self, plan: &Plan, step: usize) -> bool {
        self.claims.load(Ordering::Acquire) == (first_phase(plan, step) as u64) << 32
    }

    /// Back to the first phase of a step that has tiles.
    fn rewind(&self, plan: &Plan, step: usize) {
        let phases = &plan.steps[step].kernel.phases;
        let first = first_phase(plan, step);
        self.pending.store(phases.get(first).copied().unwrap_or(0) as u32, Ordering::Relaxed);
        self.claims.store((first as u64) << 32, Ordering::Relaxed);
    }
}

/// The first phase of a step that has tiles.
fn first_phase(plan: &Plan, step: usize) -> usize {
    plan.steps[step].kernel.phases.iter().position(|tiles| *tiles > 0).unwrap_or(0)
}

/// Where a constant of a plan lies.
pub(crate) fn constant(plan: &Plan, constant: u32) -> *mut u8 {
    let bytes = plan.constants[constant as usize].as_bytes();
    bytes.expect("constants are kept in row-major order").as_ptr().cast_mut()
}
