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

    /// A place for step `now`, and the steps that have to be over before it may be written.
    pub(crate) fn take(&mut self, bytes: usize, now: u32) -> (usize, Steps) {
        let bytes = rounded(bytes);
        let old = |block: &Block| block.since.saturating_add(self.lag) <= now;
        let fitting =
            self.by_size.range((bytes, 0)..).take(LOOKED_AT).find(|(_, at)| self.free.get(at).is_some_and(old));
        let Some(&(_, offset)) = fitting else {
            let offset = self.end;
            self.end = self.end.saturating_add(bytes);
            return (offset, Steps::new());
        };
        let block = self.remove(offset);
        if block.bytes > bytes {
            let rest = Block { bytes: block.bytes - bytes, ..block.clone() };
            self.insert(offset + bytes, rest);
        }
        (offset, block.leavers)
    }

    /// Gives a place back after step `now`.
    pub(crate) fn give_back(&mut self, offset: usize, bytes: usize, now: u32, leavers: Steps) {
        let mut block = Block { bytes: rounded(bytes), since: now, leavers };
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
