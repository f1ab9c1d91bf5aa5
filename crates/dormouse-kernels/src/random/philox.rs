//! Philox4x32-10, the counter-based generator of Salmon et al. (2011): any block of 128 bits by its number alone.
//!
//! It stands apart from the distributions because it is integers only, and because its counter, not its state, is
//! what makes tiles independent: a tile computes the number of its first block and starts there.

use super::LANES;

/// Multipliers of the two halves of a round.
const MULTIPLIERS: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// What each round adds to the key: the golden ratio, and √3 − 1.
const KEY_STEPS: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;
const LOW_HALF: u64 = 0xFFFF_FFFF;

/// The four words of [`LANES`] blocks, word by word: `words[w][lane]`.
pub(super) type Words = [[u32; LANES]; 4];

/// A key and the number of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    key: [u32; 2],
    low: u64,
    high: u64,
}

impl Stream {
    /// The blocks from `counter` on, which is a number of 128 bits.
    pub(super) fn new(key: u64, counter: u128) -> Self {
        Stream { key: [key as u32, (key >> 32) as u32], low: counter as u64, high: (counter >> 64) as u64 }
    }

    /// The blocks `offsets` further on.
    #[inline(always)]
    pub(super) fn blocks(&self, offsets: &[u64; LANES]) -> Words {
        const HALF: usize = LANES / 2;
        let mut words = [[0; LANES]; 4];
        // A word lives in the low half of a 64-bit lane, so that the product of two words needs no shuffling; what
        // is left in the high half is masked away before the next product. A round waits for its products, so two
        // blocks are under way at a time.
        for lane in 0..HALF {
            let mut counters = [self.counter(offsets[lane]), self.counter(offsets[lane + HALF])];
            let mut key = self.key;
            for _ in 0..ROUNDS {
                for counter in &mut counters {
                    let first = (counter[0] & LOW_HALF).wrapping_mul(MULTIPLIERS[0]);
                    let second = (counter[2] & LOW_HALF).wrapping_mul(MULTIPLIERS[1]);
                    *counter = [
                        (second >> 32) ^ counter[1] ^ u64::from(key[0]),
                        second,
                        (first >> 32) ^ counter[3] ^ u64::from(key[1]),
                        first,
                    ];
                }
                key = [key[0].wrapping_add(KEY_STEPS[0]), key[1].wrapping_add(KEY_STEPS[1])];
            }
            for word in 0..4 {
                words[word][lane] = counters[0][word] as u32;
                words[word][lane + HALF] = counters[1][word] as u32;
            }
        }
        words
    }

    /// One block, `offset` further on.
    pub(super) fn block(&self, offset: u64) -> [u32; 4] {
        let mut counter = self.counter(offset).map(|word| word & LOW_HALF);
        let mut key = self.key;
        for _ in 0..ROUNDS {
            let [first, second] = [counter[0] * MULTIPLIERS[0], counter[2] * MULTIPLIERS[1]];
            counter = [
                (second >> 32) ^ counter[1] ^ u64::from(key[0]),
                second & LOW_HALF,
                (first >> 32) ^ counter[3] ^ u64::from(key[1]),
                first & LOW_HALF,
            ];
            key = [key[0].wrapping_add(KEY_STEPS[0]), key[1].wrapping_add(KEY_STEPS[1])];
        }
        counter.map(|word| word as u32)
    }

    /// The words of a block's number, each with the next one above it.
    #[inline(always)]
    fn counter(&self, offset: u64) -> [u64; 4] {
        let (low, carry) = self.low.overflowing_add(offset);
        let high = self.high.wrapping_add(u64::from(carry));
        [low, low >> 32, high, high >> 32]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(key: u64, counter: u128) -> [u32; 4] {
        Stream::new(key, counter).blocks(&[0; LANES]).map(|word| word[0])
    }

    /// The known answers that the authors publish with the generator.
    #[test]
    fn known_answers() {
        assert_eq!(block(0, 0), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(block(u64::MAX, u128::MAX), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            block(0x299f_31d0_a409_3822, 0x0370_7344_1319_8a2e_85a3_08d3_243f_6a88),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn offsets_carry_into_the_high_half() {
        let start = u128::from(u64::MAX) - 3;
        let offsets = std::array::from_fn(|lane| lane as u64);
        let words = Stream::new(7, start).blocks(&offsets);
        for lane in 0..LANES {
            assert_eq!(words.map(|word| word[lane]), block(7, start + lane as u128), "lane {lane}");
        }
    }
}
