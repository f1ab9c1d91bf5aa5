//! The team: the caller of a run and its helpers, jobs of a rayon pool that nobody waits for to start. Each takes tasks
//! and tiles from the frame's queue until none is left.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use dormouse_kernels::KernelError;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::frame::{Frame, pause};
use crate::plan::{Part, Plan};

/// How long a helper looks for work before it goes.
const PATIENCE: Duration = Duration::from_micros(50);

/// How long a helper whose run is over stands by for the next one: in a loop of short runs, that is sooner there than a
/// sleeping thread is awake.
const STANDING_BY: Duration = Duration::from_micros(50);

/// Threads for runs.
#[derive(Debug)]
pub(crate) struct Team {
    threads: usize,
    pool: OnceLock<Option<ThreadPool>>,
    standby: Mutex<Standby>,
    /// How many runs nobody has taken yet, as last written under the lock.
    calls: AtomicUsize,
}

/// How many helpers stand by, and the runs that nobody has taken yet.
#[derive(Debug, Default)]
struct Standby {
    helpers: usize,
    runs: Vec<Run>,
}

impl Team {
    /// Threads for a session that wants so many; sessions that leave it open share one team.
    pub(crate) fn of(threads: Option<usize>) -> Arc<Team> {
        static SHARED: OnceLock<Arc<Team>> = OnceLock::new();
        let team = |threads: usize| {
            Arc::new(Team {
                threads: threads.clamp(1, 1024),
                pool: OnceLock::new(),
                standby: Mutex::default(),
                calls: AtomicUsize::new(0),
            })
        };
        if let Some(threads) = threads {
            return team(threads);
        }
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Arc::clone(SHARED.get_or_init(|| team(cores())))
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    fn standby(&self) -> MutexGuard<'_, Standby> {
        self.standby.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a run to a helper: to one who stands by, or to one of the pool's.
    fn call(self: &Arc<Self>, pool: &ThreadPool, run: Run) {
        let mut standby = self.standby();
        standby.runs.push(run);
        self.calls.store(standby.runs.len(), Ordering::Release);
        let missing = standby.runs.len() > standby.helpers;
        drop(standby);
        if missing {
            let team = Arc::clone(self);
            pool.spawn(move || {
                while let Some(run) = team.stand_by() {
                    run.help();
                }
            });
        }
    }

    /// Waits a while for a run.
    fn stand_by(&self) -> Option<Run> {
        self.standby().helpers += 1;
        let (since, mut spins) = (Instant::now(), 0);
        loop {
            let late = spins % 16 == 0 && since.elapsed() > STANDING_BY;
            if late || self.calls.load(Ordering::Acquire) > 0 {
                let mut standby = self.standby();
                let run = standby.runs.pop();
                self.calls.store(standby.runs.len(), Ordering::Release);
                if late || run.is_some() {
                    standby.helpers -= 1;
                    return run;
                }
            }
            pause(&mut spins);
        }
    }

    /// The helpers, started when first needed; none where the system has no threads to give.
    fn pool(&self) -> Option<&ThreadPool> {
        let build = || {
            let name = |i| format!("dormouse-{i}");
            ThreadPoolBuilder::new().num_threads(self.threads - 1).thread_name(name).build().ok()
        };
        self.pool.get_or_init(build).as_ref()
    }
}

/// What a worker takes from the queue.
enum Next {
    /// A task with all its tiles.
    Whole(u32),
    /// A tile of a task, as it was claimed.
    Tile(u32, u64),
}

/// One run of a part of a plan, as a member of its team sees it.
#[derive(Clone, Debug)]
struct Run {
    plan: Arc<Plan>,
    frame: Arc<Frame>,
    team: Arc<Team>,
    /// The number of the door's opening.
    number: u32,
    of_tail: bool,
}

/// Runs a part on the team. What fails is in the frame then.
///
/// # Safety
/// The frame was set for the plan, this run has it, and places outside of the arena stay as they are until it returns.
pub(crate) unsafe fn run_shared(plan: &Arc<Plan>, frame: &Arc<Frame>, team: &Arc<Team>, of_tail: bool) {
    let part = part(plan, of_tail);
    if part.tasks.is_empty() {
        return;
    }
    frame.rewind(plan, part);
    frame.invited.store(0, Ordering::Relaxed);
    let number = frame.door.open();
    let run = Run { plan: Arc::clone(plan), frame: Arc::clone(frame), team: Arc::clone(team), number, of_tail };
    run.invite();
    run.work(0, None);
    frame.door.close();
}

fn part(plan: &Plan, of_tail: bool) -> &Part {
    if of_tail { &plan.tail } else { &plan.head }
}

impl Run {
    /// Asks as many helpers to come as there may be and there is work for.
    fn invite(&self) {
        let limit = self.plan.threads as u32 - 1;
        loop {
            let more = |invited: u32| (invited < limit).then_some(invited + 1);
            if !self.has_work_for_others()
                || self.frame.invited.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err()
            {
                return;
            }
            let Some(pool) = self.team.pool() else { return };
            self.team.call(pool, self.clone());
        }
    }

    /// Whether there is more to take than the helpers who were asked, and the one who asks, will take at once.
    fn has_work_for_others(&self) -> bool {
        let queue = self.frame.queue();
        let tasks = &part(&self.plan, self.of_tail).tasks;
        let Some(first) = queue.first() else { return false };
        let task = &tasks[first as usize];
        let tiles = if task.shared {
            self.plan.steps[task.steps[0] as usize].kernel.phases.iter().copied().max().unwrap_or(1)
        } else {
            1
        };
        queue.len() + tiles > 2 + self.frame.invited.load(Ordering::Relaxed) as usize
    }

    fn help(self) {
        if !self.frame.door.pass(self.number) {
            return;
        }
        let seat = self.frame.queue().seats.pop();
        if let Some(seat) = seat {
            self.work(seat, Some(PATIENCE));
            self.frame.queue().seats.push(seat);
        }
        self.frame.invited.fetch_sub(1, Ordering::Relaxed);
        self.frame.door.leave();
    }

    /// Takes tasks until none is left, or none has come for as long as the worker's patience lasts.
    fn work(&self, worker: usize, patience: Option<Duration>) {
        let frame = &*self.frame;
        let mut spins = 0;
        let mut idle_since = None;
        loop {
            match self.next() {
                Some(Next::Whole(task)) => {
                    idle_since = None;
                    self.whole(task, worker);
                }
                Some(Next::Tile(task, claim)) => {
                    idle_since = None;
                    self.tiles(task, claim, worker);
                }
                None if frame.remaining.load(Ordering::Acquire) == 0 => return,
                None => {
                    if let Some(patience) = patience {
                        let since = *idle_since.get_or_insert_with(Instant::now);
                        if spins % 16 == 0 && since.elapsed() > patience {
                            return;
                        }
                    }
                    pause(&mut spins);
                }
            }
        }
    }

    /// The most urgent task, all of it or its first free tile.
    fn next(&self) -> Option<Next> {
        let mut queue = self.frame.queue();
        let tasks = &part(&self.plan, self.of_tail).tasks;
        loop {
            let number = queue.first()?;
            let (task, progress) = (&tasks[number as usize], &self.frame.progress[number as usize]);
            // Sharing a task costs more than leaving it to one, if the others have as much to do meanwhile.
            let enough = queue.has_for_each(self.plan.threads, task);
            if !task.shared || (enough && progress.is_untouched(&self.plan, task.steps[0] as usize)) {
                queue.pop(tasks);
                return Some(Next::Whole(number));
            }
            let claim = progress.claims.fetch_add(1, Ordering::AcqRel);
            let (phase, tile) = ((claim >> 32) as usize, (claim & u64::from(u32::MAX)) as usize);
            let tiles = self.plan.steps[task.steps[0] as usize].kernel.phases.get(phase).copied().unwrap_or(0);
            if tile + 1 >= tiles {
                // With its last tile the task is not for others any more, until its next phase.
                queue.pop(tasks);
            }
            if tile < tiles {
                return Some(Next::Tile(number, claim));
            }
        }
    }

    /// Runs all steps of a task that one worker has.
    fn whole(&self, task: u32, worker: usize) {
        for &step in &part(&self.plan, self.of_tail).tasks[task as usize].steps {
            for (phase, &tiles) in self.plan.steps[step as usize].kernel.phases.iter().enumerate() {
                for tile in 0..tiles {
                    self.tile(step, phase, tile, worker);
                }
            }
        }
        self.over(task);
    }

    /// Runs tiles of a shared task, from a claimed one on, for as long as there are some.
    fn tiles(&self, task: u32, claim: u64, worker: usize) {
        let progress = &self.frame.progress[task as usize];
        let step = part(&self.plan, self.of_tail).tasks[task as usize].steps[0];
        let phases = &self.plan.steps[step as usize].kernel.phases;
        let mut claim = claim;
        loop {
            let (phase, tile) = ((claim >> 32) as usize, (claim & u64::from(u32::MAX)) as usize);
            if tile >= phases.get(phase).copied().unwrap_or(0) {
                return;
            }
            self.tile(step, phase, tile, worker);
            if progress.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
                let next = (phase + 1..phases.len()).find(|p| phases[*p] > 0);
                let Some(next) = next else { return self.over(task) };
                progress.pending.store(phases[next] as u32, Ordering::Relaxed);
                progress.claims.store((next as u64) << 32, Ordering::Release);
                self.frame.queue().push(&part(&self.plan, self.of_tail).tasks, task);
                // Who found nothing left of the phase before may have gone.
                self.invite_missing();
            }
            claim = progress.claims.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn tile(&self, step: u32, phase: usize, tile: usize, worker: usize) {
        // What comes after a failed step is not worth running, and may have no sense; what comes before it may fail too.
        if step > self.frame.failed.load(Ordering::Relaxed) {
            return;
        }
        // SAFETY: the frame was set for the plan; the step's task was in the queue, so what it waits for is over; the
        // tile was claimed by this worker, whose seat nobody else has.
        let run = || unsafe { self.frame.run(&self.plan, step as usize, phase, tile, worker) };
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.frame.fail(step, tile, error),
            Err(panic) => self.frame.fail(step, tile, panicked(&*panic)),
        }
    }

    /// Tells those that waited for a task.
    fn over(&self, task: u32) {
        let tasks = &part(&self.plan, self.of_tail).tasks;
        let mut pushed = false;
        for &follower in &tasks[task as usize].followers {
            let waits = &self.frame.progress[follower as usize].waits;
            if waits.fetch_sub(1, Ordering::AcqRel) == 1 {
                self.frame.queue().push(tasks, follower);
                pushed = true;
            }
        }
        self.frame.remaining.fetch_sub(1, Ordering::Release);
        if pushed {
            self.invite_missing();
        }
    }

    /// Asks helpers to come again, if fewer are about than there may be.
    fn invite_missing(&self) {
        if self.frame.invited.load(Ordering::Relaxed) + 1 < self.plan.threads as u32 {
            self.invite();
        }
    }
}

/// A kernel's panic as an error.
pub(crate) fn panicked(panic: &(dyn std::any::Any + Send)) -> KernelError {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    KernelError::new(format!("the kernel panicked: {text}"))
}
