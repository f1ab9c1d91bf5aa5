//! The order in which rows are drawn: a walk over row numbers that knows no arrays, so that its whole state is four
//! numbers and the order of any epoch follows from the seed alone.

use std::ops::Range;

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::Kind;

/// In which order a dataset hands out its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Order {
    /// As they were given, every epoch alike.
    Sequential,
    /// Every epoch in a random order of its own; the same for the same seed and number of rows, on every platform.
    ///
    /// Epoch e of seed s is 0, 1, …, n − 1 shuffled by Fisher and Yates from the last row down. Row i changes places
    /// with row ⌊w·(i + 1) / 2⁶⁴⌋, where w is the next 64-bit word of `ChaCha8` under the key s, e, 0, 0 (four 64-bit
    /// little-endian words); words that would favor some rows are passed over, as Lemire does.
    Shuffled {
        /// What the orders of all epochs follow from.
        seed: u64,
    },
}

/// Where the drawing stands: plain data to be saved with a checkpoint.
///
/// ```
/// use dormouse_data::{DatasetState, Order};
/// let state = DatasetState { examples: 60, order: Order::Shuffled { seed: 1 }, epoch: 2, position: 30 };
/// let text = serde_json::to_string(&state)?;
/// assert_eq!(serde_json::from_str::<DatasetState>(&text)?, state);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DatasetState {
    /// Rows of the dataset; the state fits no other.
    pub examples: u64,
    /// The order, with its seed.
    pub order: Order,
    /// The epoch, from 0.
    pub epoch: u64,
    /// Rows of the epoch that have been drawn, up to all of them.
    pub position: u64,
}

/// The rows of one batch.
pub(super) enum Draw<'a> {
    /// Rows that lie one after another.
    Span(Range<usize>),
    /// Rows that lie anywhere.
    Rows(&'a [usize]),
}

#[derive(Clone)]
pub(super) struct Walk {
    examples: usize,
    order: Order,
    epoch: u64,
    position: usize,
    permutation: Vec<usize>,
    /// The seed and epoch that `permutation` is of.
    permuted: Option<(u64, u64)>,
    drawn: Vec<usize>,
}

impl Walk {
    pub(super) fn new(examples: usize, order: Order) -> Self {
        Walk { examples, order, epoch: 0, position: 0, permutation: Vec::new(), permuted: None, drawn: Vec::new() }
    }

    pub(super) fn state(&self) -> DatasetState {
        DatasetState {
            examples: self.examples as u64,
            order: self.order,
            epoch: self.epoch,
            position: self.position as u64,
        }
    }

    pub(super) fn restore(&mut self, state: DatasetState) -> Result<(), Error> {
        let DatasetState { examples, order, epoch, position } = state;
        if examples != self.examples as u64 {
            return Err(Kind::StateExamples { found: examples, have: self.examples }.into());
        }
        if position > examples {
            return Err(Kind::StatePosition { position, have: self.examples }.into());
        }
        (self.order, self.epoch, self.position) = (order, epoch, position as usize);
        Ok(())
    }

    /// The next `count` rows; an epoch ends when a row beyond its last one is asked for.
    pub(super) fn draw(&mut self, count: usize) -> Result<Draw<'_>, Error> {
        if self.examples == 0 && count > 0 {
            return Err(Kind::Empty { asked: count }.into());
        }
        self.drawn.clear();
        while self.drawn.len() < count {
            if self.position == self.examples {
                self.position = 0;
                self.epoch = self.epoch.wrapping_add(1);
            }
            let range = self.position..self.examples.min(self.position + (count - self.drawn.len()));
            self.position = range.end;
            match self.order {
                Order::Sequential if range.len() == count => return Ok(Draw::Span(range)),
                Order::Sequential => self.drawn.extend(range),
                Order::Shuffled { seed } => {
                    if self.permuted != Some((seed, self.epoch)) {
                        shuffle(&mut self.permutation, self.examples, seed, self.epoch);
                        self.permuted = Some((seed, self.epoch));
                    }
                    self.drawn.extend_from_slice(&self.permutation[range]);
                }
            }
        }
        Ok(Draw::Rows(&self.drawn))
    }
}

/// Fills `rows` with 0..n in the order of an epoch, as [`Order::Shuffled`] states it.
fn shuffle(rows: &mut Vec<usize>, n: usize, seed: u64, epoch: u64) {
    rows.clear();
    rows.extend(0..n);
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&epoch.to_le_bytes());
    let mut words = ChaCha8Rng::from_seed(key);
    for i in (1..n).rev() {
        rows.swap(i, below(i as u64 + 1, || words.next_u64()) as usize);
    }
}

/// A number in 0..n, each as likely (D. Lemire, "Fast random integer generation in an interval", 2019).
fn below(n: u64, mut word: impl FnMut() -> u64) -> u64 {
    let mut product = u128::from(word()) * u128::from(n);
    // 2⁶⁴ mod n of the low halves are surplus; the division is paid only where the low half is that small.
    if (product as u64) < n {
        let surplus = n.wrapping_neg() % n;
        while (product as u64) < surplus {
            product = u128::from(word()) * u128::from(n);
        }
    }
    (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn order_of(n: usize, seed: u64, epoch: u64) -> Vec<usize> {
        let mut rows = Vec::new();
        shuffle(&mut rows, n, seed, epoch);
        rows
    }

    #[test]
    fn orders_are_those_of_an_independent_program() {
        // A ChaCha8 and a shuffle written from the description alone, in another language.
        assert_eq!(order_of(10, 1, 0), [1, 4, 9, 8, 0, 5, 7, 6, 2, 3]);
        assert_eq!(order_of(10, 1, 1), [8, 1, 6, 4, 0, 5, 9, 3, 7, 2]);
        assert_eq!(order_of(10, u64::MAX, 7), [3, 4, 9, 0, 5, 6, 8, 1, 2, 7]);
        let rows = order_of(55_000, 1, 0);
        assert_eq!(rows[..6], [10838, 12431, 53035, 33666, 32761, 8797]);
        assert_eq!(rows.iter().enumerate().map(|(i, row)| i * row).sum::<usize>(), 41_569_586_732_177);
    }

    #[test]
    fn every_order_of_four_rows_is_as_likely() {
        let mut counts = std::collections::BTreeMap::new();
        for epoch in 0..24_000 {
            *counts.entry(order_of(4, 3, epoch)).or_insert(0_i32) += 1;
        }
        assert_eq!(counts.len(), 24);
        // Five standard deviations of a count around 1,000.
        assert!(counts.values().all(|&n| (n - 1000).abs() < 155), "{counts:?}");
    }

    #[test]
    fn surplus_words_are_passed_over() {
        // 2⁶⁴ mod 3 = 1: the word 0 has the low half 0 < 1 and is surplus.
        let mut words = [0, u64::MAX].into_iter();
        assert_eq!(below(3, || words.next().unwrap()), 2);
        assert_eq!(below(1, || 5), 0);
        assert_eq!(below(u64::MAX, || u64::MAX), u64::MAX - 1);
    }
}
