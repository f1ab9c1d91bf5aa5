//! The store: what outlives runs. Variables' buffers, the turn-taking of runs that change them, and the counters of
//! random nodes.
//!
//! *Reading*: a run takes one pointer to a table of buffers, and so sees all variables as of one moment. *Writing*: runs
//! that write the same variables take turns. A writer writes second buffers, and swaps the table at its end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use dormouse_graph::VariableId;

use crate::buffer::Buffer;
use crate::error::Result;

/// One buffer a variable; none where it is not initialized.
pub(crate) type Table = Vec<Option<Arc<Buffer>>>;

#[derive(Debug)]
pub(crate) struct Store {
    table: ArcSwap<Table>,
    /// The table before this one, kept so that a swap need not allocate.
    spare_table: Mutex<Option<Arc<Table>>>,
    /// Which variables a run is writing.
    writing: Mutex<Vec<bool>>,
    /// Told when a run leaves that others may wait for.
    left: Condvar,
    /// Second buffers, kept for the next run that needs one.
    spares: Vec<Mutex<Option<Arc<Buffer>>>>,
    counters: Vec<AtomicU64>,
}

impl Store {
    pub(crate) fn new(variables: usize, generators: usize) -> Self {
        Store {
            table: ArcSwap::from_pointee(vec![None; variables]),
            spare_table: Mutex::new(None),
            writing: Mutex::new(vec![false; variables]),
            left: Condvar::new(),
            spares: (0..variables).map(|_| Mutex::new(None)).collect(),
            counters: (0..generators).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn writing(&self) -> MutexGuard<'_, Vec<bool>> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn to write these variables, then enters. The visit ends the turn when dropped.
    pub(crate) fn enter<'a>(&'a self, writes: &'a [VariableId]) -> Visit<'a> {
        if !writes.is_empty() {
            let mut writing = self.writing();
            while writes.iter().any(|v| writing[v.index()]) {
                writing = self.left.wait(writing).unwrap_or_else(PoisonError::into_inner);
            }
            for v in writes {
                writing[v.index()] = true;
            }
        }
        Visit { store: self, writes, table: self.table.load_full() }
    }

    /// The buffer to write a variable's second version to: a kept one, or a new one.
    pub(crate) fn spare(&self, variable: VariableId, bytes: usize) -> Result<Arc<Buffer>> {
        let kept = self.spares[variable.index()].lock().unwrap_or_else(PoisonError::into_inner).take();
        match kept {
            Some(buffer) if Arc::strong_count(&buffer) == 1 && buffer.len() == bytes => Ok(buffer),
            _ => Buffer::new(bytes).map(Arc::new),
        }
    }

    pub(crate) fn keep_spare(&self, variable: VariableId, buffer: Arc<Buffer>) {
        *self.spares[variable.index()].lock().unwrap_or_else(PoisonError::into_inner) = Some(buffer);
    }

    /// Reserves `blocks` of a random node's numbers and gives the first one's place.
    pub(crate) fn reserve(&self, generator: usize, blocks: u64) -> u64 {
        self.counters[generator].fetch_add(blocks, Ordering::Relaxed)
    }

    /// How many blocks of a random node's numbers are used.
    pub(crate) fn counter(&self, generator: usize) -> u64 {
        self.counters[generator].load(Ordering::Relaxed)
    }

    pub(crate) fn set_counter(&self, generator: usize, blocks: u64) {
        self.counters[generator].store(blocks, Ordering::Relaxed);
    }

    /// Gives back what a failed run reserved, unless another run has reserved since.
    pub(crate) fn give_back(&self, generator: usize, first: u64, blocks: u64) {
        let end = first.wrapping_add(blocks);
        let _ = self.counters[generator].compare_exchange(end, first, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// A run's time inside the store.
#[derive(Debug)]
pub(crate) struct Visit<'a> {
    store: &'a Store,
    writes: &'a [VariableId],
    table: Arc<Table>,
}

impl Visit<'_> {
    /// The variables as of when the run entered.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// Puts these buffers in the places of variables' own, all at one moment; what they replace is kept as a spare.
    pub(crate) fn commit(&mut self, buffers: impl Iterator<Item = (VariableId, Arc<Buffer>)>) {
        // Writers of other variables may have swapped the table since this run entered; the lock orders the swaps.
        let guard = self.store.writing();
        let mut spare = self.store.spare_table.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.store.table.load_full();
        let mut table = spare.take().unwrap_or_default();
        Arc::make_mut(&mut table).clone_from(&current);
        for (variable, buffer) in buffers {
            if let Some(old) = Arc::make_mut(&mut table)[variable.index()].replace(buffer) {
                self.store.keep_spare(variable, old);
            }
        }
        drop(current);
        self.table = Arc::clone(&table);
        let mut old = self.store.table.swap(table);
        if let Some(entries) = Arc::get_mut(&mut old) {
            // Holding on to the buffers would keep spares from being used again.
            entries.fill(None);
            *spare = Some(old);
        }
        drop(guard);
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        if !self.writes.is_empty() {
            let mut writing = self.store.writing();
            for v in self.writes {
                writing[v.index()] = false;
            }
            drop(writing);
            self.store.left.notify_all();
        }
    }
}
