//! Memory: a place for every value, by how long it is read. What is read no more gives its place to what comes next.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::buffer::ALIGNMENT;

/// Steps of a plan, by number.
pub(crate) type Steps = SmallVec<[u32; 4]>;

/// Free places that a request looks at before the arena grows.
const LOOKED_AT: usize = 32;
/// A free place that more steps have left is not made part of a larger one.
const LEAVERS: usize = 16;

/// An arena that is larger than what is taken at one time by less than one part of so many needs no better places.
const CLOSE: usize = 12;
/// Of more places, none are looked for: that takes as long as the square of their number.
pub(crate) const SETTLED: usize = 4096;
/// The arena may grow beyond what is taken at one time by one part of so many, so that steps need not wait for places.
const SPARE: usize = 20;
/// And to so many bytes in any case.
const FEW_BYTES: usize = 1 << 17;

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
    /// Whether it is kept to even where the arena grows beyond what is taken at one time.
    loose: bool,
    /// Every place that was taken, in order, and which of them begins where.
    taken_so_far: Vec<Taken>,
    newest_at: FxHashMap<usize, u32>,
    /// Where places are to be taken, in order, if that is settled.
    settled: Option<Vec<usize>>,
}

/// A place, from the step that takes it to the one that gives it back.
#[derive(Clone, Copy, Debug)]
struct Taken {
    bytes: usize,
    from: u32,
    to: u32,
}

fn rounded(bytes: usize) -> usize {
    bytes.max(1).next_multiple_of(ALIGNMENT)
}

impl Blocks {
    pub(crate) fn new(lag: u32) -> Self {
        Blocks { lag, ..Blocks::default() }
    }

    /// As [`Blocks::new`], of an arena that may grow so that no step has to wait for a place that is free since lately.
    pub(crate) fn loose(lag: u32) -> Self {
        Blocks { lag, loose: true, ..Blocks::default() }
    }

    /// As others that were taken and given back in the same order, at these places.
    pub(crate) fn settled(places: Vec<usize>) -> Self {
        Blocks { settled: Some(places), ..Blocks::default() }
    }

    /// Better places for what was taken, all being known: where the arena is larger than it has to be, and is not for lack of
    /// places to choose from. The largest first, each at the lowest place that nothing else has in its time.
    pub(crate) fn better(&self) -> Option<Vec<usize>> {
        let close = |end: usize| end <= (self.most + self.most / CLOSE).max(FEW_BYTES);
        if self.settled.is_some() || close(self.end) || self.taken_so_far.len() > SETTLED {
            return None;
        }
        let mut best = (self.end, None);
        for lag in [self.lag, self.lag / 2, self.lag / 4, 0] {
            let (end, places) = self.settle(lag);
            if end < best.0 {
                best = (end, Some(places));
            }
            if close(best.0) {
                break;
            }
        }
        best.1
    }

    fn settle(&self, lag: u32) -> (usize, Vec<usize>) {
        let mut order: Vec<usize> = (0..self.taken_so_far.len()).collect();
        order.sort_by_key(|i| (Reverse(self.taken_so_far[*i].bytes), *i));
        let (mut end, mut places) = (0, vec![0; order.len()]);
        let mut settled: Vec<(usize, Taken)> = Vec::with_capacity(order.len());
        let mut beside: Vec<(usize, usize)> = Vec::new();
        for i in order {
            let this = self.taken_so_far[i];
            let meets =
                |other: &Taken| other.from <= this.to.saturating_add(lag) && this.from <= other.to.saturating_add(lag);
            beside.clear();
            beside.extend(settled.iter().filter(|(_, other)| meets(other)).map(|(at, other)| (*at, at + other.bytes)));
            beside.sort_unstable();
            let mut at = 0;
            for &(start, over) in &beside {
                if start >= at + this.bytes {
                    break;
                }
                at = at.max(over);
            }
            places[i] = at;
            end = end.max(at + this.bytes);
            settled.push((at, this));
        }
        (end, places)
    }

    /// Takes the place that is settled, which steps have left that it lies over.
    fn take_settled(&mut self, offset: usize, bytes: usize) -> (usize, Steps) {
        let mut waits = Steps::new();
        // What was given back lies side by side, so that the one before may reach into this place too.
        let first = self.free.range(..=offset).next_back().map_or(offset, |(at, _)| *at);
        let over: Vec<usize> = self
            .free
            .range(first..offset + bytes)
            .filter(|(at, block)| *at + block.bytes > offset)
            .map(|(at, _)| *at)
            .collect();
        for at in over {
            let block = self.remove(at);
            for step in &block.leavers {
                if !waits.contains(step) {
                    waits.push(*step);
                }
            }
            let end = at + block.bytes;
            if end > offset + bytes {
                self.insert(offset + bytes, Block { bytes: end - offset - bytes, ..block.clone() });
            }
            if at < offset {
                self.insert(at, Block { bytes: offset - at, ..block });
            }
        }
        self.end = self.end.max(offset + bytes);
        (offset, waits)
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
        let number = self.taken_so_far.len();
        if number <= SETTLED {
            self.taken_so_far.push(Taken { bytes, from: now, to: u32::MAX });
        }
        let (offset, waits) = match self.settled.as_ref().and_then(|places| places.get(number)) {
            Some(&offset) => self.take_settled(offset, bytes),
            None => self.take_free(bytes, now),
        };
        if number <= SETTLED {
            self.newest_at.insert(offset, number as u32);
        }
        (offset, waits)
    }

    fn take_free(&mut self, bytes: usize, now: u32) -> (usize, Steps) {
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
        let allowed = if self.loose { usize::MAX } else { allowed };
        smallest(&old)
            .or_else(|| last.filter(|(_, block)| old(block)).map(|(offset, _)| *offset))
            .or_else(|| (self.end.saturating_add(bytes) > allowed).then(|| smallest(&|_| true)).flatten())
            .or_else(|| last.filter(|_| self.end.saturating_add(bytes) > allowed).map(|(offset, _)| *offset))
    }

    /// Gives a place back after step `now`.
    pub(crate) fn give_back(&mut self, offset: usize, bytes: usize, now: u32, leavers: Steps) {
        let mut block = Block { bytes: rounded(bytes), since: now, leavers };
        self.taken -= block.bytes;
        if let Some(taken) = self.newest_at.remove(&offset) {
            self.taken_so_far[taken as usize].to = now;
        }
        if self.settled.is_some() {
            self.insert(offset, block);
            return;
        }
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
        /// Settled places keep what lives at one time apart, make steps wait for all that were there, and need no more.
        #[test]
        fn settled_places_never_overlap(sizes in prop::collection::vec((1_usize..9_000_000, 1_u32..20), 1..120), lag in 0_u32..5) {
            let run = |mut blocks: Blocks| {
                let mut living: Vec<(usize, usize, u32, u32)> = Vec::new();
                let mut gone: Vec<(usize, usize, u32)> = Vec::new();
                // The steps that each waits for, and that these wait for, as bits.
                let mut after = vec![0_u128; sizes.len()];
                for (now, &(bytes, life)) in sizes.iter().enumerate() {
                    let now = now as u32;
                    for (offset, bytes, _, step) in living.extract_if(.., |l| l.2 <= now) {
                        blocks.give_back(offset, bytes, now - 1, Steps::from_slice(&[step]));
                        gone.push((offset, bytes, step));
                    }
                    let (offset, waits) = blocks.take(bytes, now);
                    assert!(offset.is_multiple_of(ALIGNMENT) && offset + bytes <= blocks.end());
                    assert!(living.iter().all(|l| offset + bytes <= l.0 || l.0 + l.1 <= offset));
                    after[now as usize] = waits.iter().fold(0, |all, w| all | 1 << w | after[*w as usize]);
                    for (_, _, step) in gone.iter().filter(|g| g.0 < offset + bytes && offset < g.0 + g.1) {
                        assert!(after[now as usize] >> step & 1 == 1, "step {now} does not wait for {step}");
                    }
                    living.push((offset, bytes, now + life, now));
                }
                blocks
            };
            let first = run(Blocks::new(lag));
            if let Some(places) = first.better() {
                let second = run(Blocks::settled(places));
                prop_assert!(second.end() < first.end() && second.most() == first.most());
            }
        }

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
