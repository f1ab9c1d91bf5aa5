//! Memory: a place for every value, by how long it is read. What is read no more gives its place to what comes next.

use std::collections::{BTreeMap, BTreeSet};

use smallvec::SmallVec;

use crate::buffer::ALIGNMENT;

/// Steps of a plan, by number.
pub(crate) type Steps = SmallVec<[u32; 4]>;

/// Free places that a request looks at before the arena grows.
const LOOKED_AT: usize = 32;
/// A free place that more steps have left is not made part of a larger one.
const LEAVERS: usize = 16;

/// The arena may grow beyond what is taken at one time by one part of so many, so that steps need not wait for places.
const SPARE: usize = 20;
/// And to so many bytes in any case.
const FEW_BYTES: usize = 1 << 16;

#[derive(Clone, Debug)]
struct Block {
    bytes: usize,
    /// The step after which it was free.
    since: u32,
    /// The steps that used it last: who takes it has to wait for them.
    leavers: Steps,
}

/// The places of an arena that nobody uses now.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    free: BTreeMap<usize, Block>,
    by_size: BTreeSet<(usize, usize)>,
    end: usize,
    /// Bytes of the places that are taken now, and the most that were so at one time, first in this step.
    taken: usize,
    most: usize,
    most_at: u32,
    /// How many steps a place stays free before another takes it, so that steps beside each other do not have to wait.
    lag: u32,
}

fn rounded(bytes: usize) -> usize {
    bytes.max(1).next_multiple_of(ALIGNMENT)
}

impl Blocks {
    pub(crate) fn new(lag: u32) -> Self {
        Blocks { lag, ..Blocks::default() }
    }

    /// How long the arena has to be.
    pub(crate) fn end(&self) -> usize {
        self.end
    }

    /// The most bytes that were taken at one time, and the step that first took so many.
    pub(crate) fn most(&self) -> (usize, u32) {
        (self.most, self.most_at)
    }

    /// A place for step `now`, and the steps that have to be over before it may be written.
    pub(crate) fn take(&mut self, bytes: usize, now: u32) -> (usize, Steps) {
        let bytes = rounded(bytes);
        self.taken = self.taken.saturating_add(bytes);
        if self.taken > self.most {
            (self.most, self.most_at) = (self.taken, now);
        }
        let Some(offset) = self.fitting(bytes, now) else {
            let offset = self.end;
            self.end = self.end.saturating_add(bytes);
            return (offset, Steps::new());
        };
        let block = self.remove(offset);
        if block.bytes > bytes {
            let rest = Block { bytes: block.bytes - bytes, ..block.clone() };
            self.insert(offset + bytes, rest);
        }
        self.end = self.end.max(offset + bytes);
        (offset, block.leavers)
    }

    /// The free place that so many bytes should go to, the last one being as long as needed; none where the arena should
    /// rather grow by all of them. Of those free for long, the smallest; where the arena would grow beyond what was ever
    /// taken, by more than a bit, any.
    fn fitting(&self, bytes: usize, now: u32) -> Option<usize> {
        let old = |block: &Block| block.since.saturating_add(self.lag) <= now;
        let smallest = |may: &dyn Fn(&Block) -> bool| {
            let mut large = self.by_size.range((bytes, 0)..).take(LOOKED_AT).map(|(_, offset)| *offset);
            large.find(|offset| self.free.get(offset).is_some_and(may))
        };
        let last = self.free.last_key_value().filter(|(offset, block)| *offset + block.bytes == self.end);
        let allowed = self.most.saturating_add(self.most / SPARE).max(FEW_BYTES);
        smallest(&old)
            .or_else(|| last.filter(|(_, block)| old(block)).map(|(offset, _)| *offset))
            .or_else(|| (self.end.saturating_add(bytes) > allowed).then(|| smallest(&|_| true)).flatten())
            .or_else(|| last.filter(|_| self.end.saturating_add(bytes) > allowed).map(|(offset, _)| *offset))
    }

    /// Gives a place back after step `now`.
    pub(crate) fn give_back(&mut self, offset: usize, bytes: usize, now: u32, leavers: Steps) {
        let mut block = Block { bytes: rounded(bytes), since: now, leavers };
        self.taken -= block.bytes;
        let mut offset = offset;
        let few = |a: &Block, b: &Block| a.leavers.len() + b.leavers.len() <= LEAVERS;
        if self.free.get(&(offset + block.bytes)).is_some_and(|next| few(&block, next)) {
            let next = self.remove(offset + block.bytes);
            block = block.with(next);
        }
        if let Some((&before, previous)) = self.free.range(..offset).next_back()
            && before + previous.bytes == offset
            && few(&block, previous)
        {
            let previous = self.remove(before);
            block = previous.with(block);
            offset = before;
        }
        self.insert(offset, block);
    }

    fn insert(&mut self, offset: usize, block: Block) {
        self.by_size.insert((block.bytes, offset));
        self.free.insert(offset, block);
    }

    fn remove(&mut self, offset: usize) -> Block {
        let block = self.free.remove(&offset).expect("a place that was found free");
        self.by_size.remove(&(block.bytes, offset));
        block
    }
}

impl Block {
    /// Two places side by side as one.
    fn with(mut self, next: Block) -> Block {
        self.bytes += next.bytes;
        self.since = self.since.max(next.since);
        for step in next.leavers {
            if !self.leavers.contains(&step) {
                self.leavers.push(step);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn places_side_by_side_become_one() {
        let mut blocks = Blocks::new(0);
        let (a, _) = blocks.take(64, 0);
        let (b, _) = blocks.take(64, 0);
        let (c, _) = blocks.take(1, 0);
        assert_eq!((a, b, c, blocks.end()), (0, 64, 128, 192));
        blocks.give_back(a, 64, 1, Steps::from_slice(&[0]));
        blocks.give_back(c, 1, 2, Steps::from_slice(&[1]));
        blocks.give_back(b, 64, 3, Steps::from_slice(&[2]));
        let (whole, waits) = blocks.take(192, 3);
        assert_eq!((whole, blocks.end()), (0, 192));
        assert_eq!(
            {
                let mut w = waits.to_vec();
                w.sort_unstable();
                w
            },
            [0, 1, 2]
        );
    }

    proptest! {
        /// No two values that live at one time overlap, whatever the order of taking and giving back.
        #[test]
        fn living_places_never_overlap(sizes in prop::collection::vec((1_usize..5000, 1_u32..20), 1..200), lag in 0_u32..5) {
            let mut blocks = Blocks::new(lag);
            let mut living: Vec<(usize, usize, u32)> = Vec::new();
            for (now, (bytes, life)) in sizes.into_iter().enumerate() {
                let now = now as u32;
                for (offset, bytes, _) in living.extract_if(.., |l| l.2 <= now) {
                    blocks.give_back(offset, bytes, now, Steps::from_slice(&[now]));
                }
                let (offset, _) = blocks.take(bytes, now);
                prop_assert!(offset % ALIGNMENT == 0 && offset + bytes <= blocks.end());
                prop_assert!(living.iter().all(|l| offset + bytes <= l.0 || l.0 + l.1 <= offset));
                living.push((offset, bytes, now + life));
            }
        }
    }
}
