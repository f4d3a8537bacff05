//! A chunk of the side file: what stands behind a run of blocks, in one sector, with a checksum.
//!
//! A chunk is as long as the sector that a disk writes whole or not at all. For each block it has what stands behind it now
//! and what stood there before: a block that was being written when the power failed is one or the other. A chunk of
//! zeros was never written: nothing is to be checked of its blocks.
//!
//! Invariant: a chunk that was torn, or lies where another belongs, is known by its checksum.

use crc_fast::{CrcAlgorithm, Digest};
use felio_spec::Field;
use felio_spec::protection::Tuple;

/// Bytes of a chunk.
pub(super) const CHUNK_BYTES: usize = 512;
/// Blocks that a chunk speaks of.
pub(super) const CHUNK_BLOCKS: u64 = 31;

const SLOT_BYTES: usize = 16;
const SLOTS: usize = 31;
/// Blocks of which nothing is known, a bit each: the chunk that spoke of them was torn.
const LOST: Field<u32> = Field::bytes(496, 4);
/// The run of the store that wrote the chunk.
const RUN: Field<u32> = Field::bytes(500, 4);
const CHECKSUM: Field<u64> = Field::bytes(504, 8);
const CHECKED_BYTES: usize = 504;
const ALL_LOST: u32 = (1 << SLOTS) - 1;
const _: () = assert!(SLOTS * SLOT_BYTES == 496);

/// What a chunk says of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// This stands behind it.
    Now(Tuple),
    /// One of these does: the second, if the block is still as it was before.
    Either(Tuple, Tuple),
    /// Nobody knows.
    Lost,
}

/// The bytes of a chunk; `number` is its place in the side file.
#[derive(Debug)]
pub(super) struct Chunk<'a> {
    bytes: &'a [u8],
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fresh,
    Written { run: u32 },
    Torn,
}

impl<'a> Chunk<'a> {
    pub(super) fn of(bytes: &'a [u8], number: u64) -> Self {
        let state = if bytes.iter().all(|byte| *byte == 0) {
            State::Fresh
        } else if CHECKSUM.get(bytes) == checksum(bytes, number) {
            State::Written { run: RUN.get(bytes) }
        } else {
            State::Torn
        };
        Self { bytes, state }
    }

    /// What stands behind the block in this slot; `is_open` says of a run whether it may have ended within a write.
    pub(super) fn standing(&self, slot: usize, is_open: impl Fn(u32) -> bool) -> Standing {
        match self.state {
            State::Fresh => Standing::Now(Tuple::FRESH),
            State::Torn => Standing::Lost,
            State::Written { .. } if LOST.get(self.bytes) & (1 << slot) != 0 => Standing::Lost,
            State::Written { run } => {
                let slot = &self.bytes[slot * SLOT_BYTES..][..SLOT_BYTES];
                let (now, before) = (Tuple::read(slot), Tuple::read(&slot[SLOT_BYTES / 2..]));
                if is_open(run) && now != before { Standing::Either(now, before) } else { Standing::Now(now) }
            }
        }
    }

    /// Whether the chunk was written by a run that may have ended within a write.
    pub(super) fn is_open(&self, is_open: impl Fn(u32) -> bool) -> bool {
        matches!(self.state, State::Written { run } if is_open(run))
    }
}

/// A chunk that is being written anew.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    bytes: &'a mut [u8],
    lost: u32,
}

impl<'a> Draft<'a> {
    /// On the bytes of the chunk as it is, which need not be whole.
    pub(super) fn on(bytes: &'a mut [u8], number: u64) -> Self {
        let lost = match Chunk::of(bytes, number).state {
            State::Fresh => {
                for slot in bytes.chunks_exact_mut(SLOT_BYTES / 2) {
                    Tuple::FRESH.write(slot);
                }
                0
            }
            State::Torn => ALL_LOST,
            State::Written { .. } => LOST.get(bytes),
        };
        Self { bytes, lost }
    }

    /// From now on `tuple` stands behind the block, and if it is still as it was, `before`.
    pub(super) fn set(&mut self, slot: usize, tuple: Tuple, before: Tuple) {
        let place = &mut self.bytes[slot * SLOT_BYTES..][..SLOT_BYTES];
        tuple.write(place);
        before.write(&mut place[SLOT_BYTES / 2..]);
        self.lost &= !(1 << slot);
    }

    /// Nobody knows what stands behind the block.
    pub(super) fn lose(&mut self, slot: usize) {
        self.lost |= 1 << slot;
    }

    /// Makes it whole.
    pub(super) fn finish(self, number: u64, run: u32) {
        LOST.set(self.bytes, self.lost);
        RUN.set(self.bytes, run);
        let sum = checksum(self.bytes, number);
        CHECKSUM.set(self.bytes, sum);
    }
}

/// The checksum of everything in front of it, and of the chunk's place.
fn checksum(bytes: &[u8], number: u64) -> u64 {
    let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
    digest.update(&number.to_be_bytes());
    digest.update(&bytes[..CHECKED_BYTES]);
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Tuple = Tuple { guard: 1, application: 2, reference: 3 };
    const TWO: Tuple = Tuple { guard: 4, application: 5, reference: 6 };

    fn written() -> [u8; CHUNK_BYTES] {
        let mut bytes = [0; CHUNK_BYTES];
        let mut draft = Draft::on(&mut bytes, 7);
        draft.set(3, TWO, ONE);
        draft.finish(7, 9);
        bytes
    }

    fn check(bytes: &[u8], number: u64, slot: usize, want: Standing) {
        assert_eq!(Chunk::of(bytes, number).standing(slot, |run| run == 8), want);
    }

    #[test]
    fn what_was_set_stands() {
        check(&written(), 7, 3, Standing::Now(TWO));
        check(&written(), 7, 4, Standing::Now(Tuple::FRESH));
    }

    #[test]
    fn a_chunk_of_zeros_is_fresh() {
        check(&[0; CHUNK_BYTES], 7, 30, Standing::Now(Tuple::FRESH));
    }

    #[test]
    fn what_an_open_run_wrote_may_not_have_come_to_pass() {
        let bytes = written();
        let standing = Chunk::of(&bytes, 7).standing(3, |run| run == 9);
        assert_eq!(standing, Standing::Either(TWO, ONE));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        for bit in 0..CHUNK_BYTES * 8 {
            let mut bytes = written();
            bytes[bit / 8] ^= 1 << (bit % 8);
            check(&bytes, 7, 3, Standing::Lost);
        }
    }

    #[test]
    fn a_chunk_in_anothers_place_is_noticed() {
        check(&written(), 8, 3, Standing::Lost);
    }

    #[test]
    fn of_a_torn_chunk_only_what_is_written_anew_is_known() {
        let mut bytes = written();
        bytes[100..].fill(0xee);
        let mut draft = Draft::on(&mut bytes, 7);
        draft.set(5, ONE, ONE);
        draft.finish(7, 9);
        check(&bytes, 7, 5, Standing::Now(ONE));
        check(&bytes, 7, 3, Standing::Lost);
    }
}
