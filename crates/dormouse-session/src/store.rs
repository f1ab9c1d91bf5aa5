//! The store: what outlives runs. Variables' buffers, the turn-taking of runs that change them, and the counters of
//! random nodes.
//!
//! *Reading*: a run takes one pointer to a table of buffers, and so sees all variables as of one moment. *Writing*: runs
//! that write the same variables take turns. A writer that is alone in the store may write buffers where they are, and
//! whoever comes meanwhile waits; otherwise it writes second buffers, and swaps the table at its end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use dormouse_graph::VariableId;

use crate::buffer::Buffer;
use crate::error::Result;

/// One buffer a variable; none where it is not initialized.
pub(crate) type Table = Vec<Option<Arc<Buffer>>>;

/// Set in the number of runs while one of them writes in place.
const ALONE: u64 = 1 << 63;

#[derive(Debug)]
pub(crate) struct Store {
    table: ArcSwap<Table>,
    /// How many runs are about.
    runs: AtomicU64,
    turns: Mutex<Turns>,
    /// Told when a run leaves that others may wait for.
    left: Condvar,
    /// Told when a run has written in place.
    written: Condvar,
    counters: Mutex<Vec<Arc<AtomicU64>>>,
}

#[derive(Debug)]
struct Turns {
    /// Which variables a run is writing.
    writing: Vec<bool>,
    /// Second buffers, kept for the next run that needs one.
    spares: Vec<Option<Arc<Buffer>>>,
    /// The table before this one, kept so that a swap need not allocate.
    table: Option<Arc<Table>>,
}

impl Store {
    pub(crate) fn new() -> Self {
        Store {
            table: ArcSwap::from_pointee(Vec::new()),
            runs: AtomicU64::new(0),
            turns: Mutex::new(Turns { writing: Vec::new(), spares: Vec::new(), table: None }),
            left: Condvar::new(),
            written: Condvar::new(),
            counters: Mutex::new(Vec::new()),
        }
    }

    /// Makes room for variables and random nodes that the graph has gained.
    pub(crate) fn grow(&self, variables: usize, generators: usize) {
        let mut turns = self.turns();
        if turns.writing.len() < variables {
            turns.writing.resize(variables, false);
            turns.spares.resize(variables, None);
            turns.table = None;
            let mut table = Table::clone(&self.table.load());
            table.resize(variables, None);
            self.table.store(Arc::new(table));
        }
        drop(turns);
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = generators.max(counters.len());
        counters.resize_with(wanted, Arc::default);
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn to write these variables, then enters. The visit ends the turn when dropped. Who neither writes nor
    /// reads has nothing to wait for, and finds no table.
    pub(crate) fn enter<'a>(&'a self, writes: &'a [VariableId], reads: bool) -> Visit<'a> {
        if writes.is_empty() && !reads {
            return Visit { store: self, writes, table: None, alone: false };
        }
        if !writes.is_empty() {
            let mut turns = self.turns();
            while writes.iter().any(|v| turns.writing[v.index()]) {
                turns = self.left.wait(turns).unwrap_or_else(PoisonError::into_inner);
            }
            for v in writes {
                turns.writing[v.index()] = true;
            }
        }
        while self.runs.fetch_add(1, Ordering::SeqCst) & ALONE != 0 {
            self.runs.fetch_sub(1, Ordering::SeqCst);
            let mut turns = self.turns();
            while self.runs.load(Ordering::SeqCst) & ALONE != 0 {
                turns = self.written.wait(turns).unwrap_or_else(PoisonError::into_inner);
            }
        }
        Visit { store: self, writes, table: Some(self.table.load_full()), alone: false }
    }

    /// The buffer to write a variable's second version to: a kept one, or a new one.
    pub(crate) fn spare(&self, variable: VariableId, bytes: usize) -> Result<Arc<Buffer>> {
        let kept = self.turns().spares[variable.index()].take();
        match kept {
            Some(buffer) if Arc::strong_count(&buffer) == 1 && buffer.len() == bytes => Ok(buffer),
            _ => Buffer::new(bytes).map(Arc::new),
        }
    }

    /// The counter of a random node: how many blocks of its numbers are used.
    pub(crate) fn counter(&self, generator: usize) -> Arc<AtomicU64> {
        Arc::clone(&self.counters.lock().unwrap_or_else(PoisonError::into_inner)[generator])
    }
}

/// A run's time inside the store.
#[derive(Debug)]
pub(crate) struct Visit<'a> {
    store: &'a Store,
    writes: &'a [VariableId],
    /// `None` where nothing was entered.
    table: Option<Arc<Table>>,
    alone: bool,
}

impl Visit<'_> {
    /// The variables as of when the run entered.
    pub(crate) fn table(&self) -> &[Option<Arc<Buffer>>] {
        self.table.as_deref().map_or(&[], Vec::as_slice)
    }

    /// Whether no other run is about; then none comes in until the visit ends, and buffers of variables that it has the
    /// turn of may be written where they are.
    pub(crate) fn be_alone(&mut self) -> bool {
        self.alone |= self.store.runs.compare_exchange(1, 1 | ALONE, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        self.alone
    }

    /// Puts these buffers in the places of variables' own, all at one moment; what they replace is kept as a spare.
    pub(crate) fn commit(&mut self, buffers: impl Iterator<Item = (VariableId, Arc<Buffer>)>) {
        // Writers of other variables may have swapped the table since this run entered; the lock orders the swaps.
        let mut turns = self.store.turns();
        let current = self.store.table.load_full();
        let mut table = turns.table.take().unwrap_or_default();
        Arc::make_mut(&mut table).clone_from(&current);
        for (variable, buffer) in buffers {
            if let Some(old) = Arc::make_mut(&mut table)[variable.index()].replace(buffer) {
                turns.spares[variable.index()] = Some(old);
            }
        }
        drop(current);
        self.table = Some(Arc::clone(&table));
        let mut old = self.store.table.swap(table);
        if let Some(entries) = Arc::get_mut(&mut old) {
            // Holding on to the buffers would keep spares from being used again.
            entries.fill(None);
            turns.table = Some(old);
        }
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        if self.table.is_none() {
            return;
        }
        if self.alone {
            self.store.runs.fetch_and(!ALONE, Ordering::SeqCst);
        }
        self.store.runs.fetch_sub(1, Ordering::SeqCst);
        if !self.writes.is_empty() {
            let mut turns = self.store.turns();
            for v in self.writes {
                turns.writing[v.index()] = false;
            }
            drop(turns);
            self.store.left.notify_all();
            if self.alone {
                self.store.written.notify_all();
            }
        }
    }
}
