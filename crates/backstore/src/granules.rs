//! Which granules of a memory store were written: one bit each.
//!
//! Bits are independent and carry no order: who needs the data that a bit speaks of got it by other means. A run is
//! answered up to a bounded length, so that a question about a terabyte costs microseconds.

use core::sync::atomic::{AtomicU64, Ordering};

/// Bytes that one bit stands for.
pub(crate) const GRANULE_BYTES: u64 = 4096;

const BITS: u64 = 64;

/// Words looked at for one answer: 16 GiB of store.
const SCAN_WORDS_MAX: u64 = 1 << 16;

/// A bit for each granule.
#[derive(Debug)]
pub(crate) struct Granules {
    words: Box<[AtomicU64]>,
    bytes: u64,
}

impl Granules {
    /// None written, of a store of `bytes`; `None` if that is more than memory can name.
    pub(crate) fn new(bytes: u64) -> Option<Self> {
        let words = usize::try_from(bytes.div_ceil(GRANULE_BYTES * BITS)).ok()?;
        let mut bits = Vec::new();
        bits.try_reserve_exact(words).ok()?;
        bits.resize_with(words, AtomicU64::default);
        Some(Self { words: bits.into_boxed_slice(), bytes })
    }

    /// Marks every granule that the range touches.
    pub(crate) fn mark(&self, at: u64, len: u64) {
        for_words(at / GRANULE_BYTES, (at + len).div_ceil(GRANULE_BYTES), |word, mask| {
            let word = &self.words[word];
            // Most writes go where something was written before: a load is cheaper than a locked instruction.
            if word.load(Ordering::Relaxed) & mask != mask {
                word.fetch_or(mask, Ordering::Relaxed);
            }
        });
    }

    /// Forgets every granule that lies within the range.
    pub(crate) fn clear(&self, at: u64, len: u64) {
        for_words(at.div_ceil(GRANULE_BYTES), (at + len) / GRANULE_BYTES, |word, mask| {
            self.words[word].fetch_and(!mask, Ordering::Relaxed);
        });
    }

    /// Whether the byte at `at` is in a written granule, and for how many bytes (at least) that holds.
    pub(crate) fn run(&self, at: u64) -> (bool, u64) {
        let first = at / GRANULE_BYTES;
        let written = self.word(first / BITS) >> (first % BITS) & 1 == 1;
        let mut granule = first;
        let end = self.bytes.div_ceil(GRANULE_BYTES);
        for _ in 0..SCAN_WORDS_MAX {
            // Turned so that the run is zeros, and the first one ends it.
            let word = self.word(granule / BITS) ^ if written { u64::MAX } else { 0 };
            let ahead = u64::from((word >> (granule % BITS)).trailing_zeros()).min(BITS - granule % BITS);
            granule += ahead;
            if granule >= end || !granule.is_multiple_of(BITS) || ahead == 0 {
                break;
            }
        }
        (written, (granule.min(end) * GRANULE_BYTES).min(self.bytes) - at)
    }

    /// Bytes of all granules that were written.
    pub(crate) fn written_bytes(&self) -> u64 {
        let count = |word: &AtomicU64| u64::from(word.load(Ordering::Relaxed).count_ones());
        self.words.iter().map(count).sum::<u64>() * GRANULE_BYTES
    }

    fn word(&self, index: u64) -> u64 {
        let word = usize::try_from(index).ok().and_then(|index| self.words.get(index));
        word.map_or(0, |word| word.load(Ordering::Relaxed))
    }
}

/// Calls `act` with each word's index and the mask of its bits from `start` to `end`.
fn for_words(start: u64, end: u64, mut act: impl FnMut(usize, u64)) {
    let mut bit = start;
    while bit < end {
        let upto = end.min((bit / BITS + 1) * BITS);
        let mask = (u64::MAX >> (BITS - (upto - bit))) << (bit % BITS);
        act(usize::try_from(bit / BITS).unwrap_or(usize::MAX), mask);
        bit = upto;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const G: u64 = GRANULE_BYTES;

    fn granules() -> Granules {
        Granules::new(200 * G).expect("small")
    }

    #[test]
    fn nothing_is_written_at_first() {
        assert_eq!(granules().run(0), (false, 200 * G));
    }

    #[test]
    fn a_byte_marks_its_granule() {
        let granules = granules();
        granules.mark(3 * G + 512, 512);
        assert_eq!(granules.run(0), (false, 3 * G));
        assert_eq!(granules.run(3 * G), (true, G));
    }

    #[test]
    fn a_run_goes_on_over_words() {
        let granules = granules();
        granules.mark(10 * G, 150 * G);
        assert_eq!(granules.run(11 * G), (true, 149 * G));
        assert_eq!(granules.run(160 * G), (false, 40 * G));
    }

    #[test]
    fn a_run_that_starts_at_a_word_may_be_ended_by_its_first_bit() {
        let granules = granules();
        granules.mark(64 * G, G);
        assert_eq!(granules.run(0), (false, 64 * G));
    }

    #[test]
    fn only_whole_granules_are_cleared() {
        let granules = granules();
        granules.mark(0, 4 * G);
        granules.clear(512, 3 * G);
        assert_eq!(granules.run(0), (true, G));
        assert_eq!(granules.run(G), (false, 2 * G));
        assert_eq!(granules.run(3 * G), (true, G));
    }

    #[test]
    fn an_answer_starts_at_the_asked_byte() {
        assert_eq!(granules().run(G + 512), (false, 199 * G - 512));
    }

    #[test]
    fn the_last_run_ends_with_the_store() {
        let granules = Granules::new(3 * G + 512).expect("small");
        granules.mark(3 * G, 512);
        assert_eq!(granules.run(3 * G), (true, 512));
    }
}
