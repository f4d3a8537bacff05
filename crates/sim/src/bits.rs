//! Blocks in which bits are only ever set, each by one ORWRITE, and what they may hold.
//!
//! Two ORWRITEs of the same block that overtake each other between reading and writing lose a bit; nothing else does.
//!
//! Invariants: a bit that was set with GOOD, or seen, stays until the power fails, and after that if it was durable; a bit that nobody
//! sent is not set.

use crate::referee::{Moment, Sent};

/// The blocks.
#[derive(Debug)]
pub struct Bits {
    blocks: Vec<Block>,
}

#[derive(Clone, Debug)]
struct Block {
    /// Bits that somebody wants to set.
    sent: u64,
    /// Bits that are set: since when at the latest, and whether they survive a power cut.
    set: [Option<(Moment, Durable)>; 64],
}

type Durable = bool;

impl Bits {
    /// Blocks of zeros.
    #[must_use]
    pub fn new(blocks: usize) -> Self {
        Self { blocks: vec![Block { sent: 0, set: [None; 64] }; blocks] }
    }

    /// An ORWRITE of one bit is sent.
    pub fn send(&mut self, block: usize, bit: usize) {
        self.blocks[block].sent |= 1 << bit;
    }

    /// It was answered GOOD.
    pub fn end(&mut self, now: Moment, block: usize, bit: usize, durable: Durable) {
        let set = self.blocks[block].set[bit].get_or_insert((now, durable));
        set.1 |= durable;
    }

    /// A flush was answered GOOD.
    pub fn end_flush(&mut self, sent: Sent) {
        for (since, durable) in self.blocks.iter_mut().flat_map(|block| block.set.iter_mut().flatten()) {
            *durable |= *since < sent.at;
        }
    }

    /// A read that ends now found `value`.
    pub fn check_read(&mut self, now: Moment, sent: Sent, at: usize, value: u64) -> Result<(), String> {
        let block = &mut self.blocks[at];
        block.judge(at, value, |(since, _)| since < sent.at)?;
        for (_, set) in block.set.iter_mut().enumerate().filter(|(bit, _)| value >> bit & 1 == 1) {
            set.get_or_insert((now, false));
        }
        Ok(())
    }

    /// The power failed, and the blocks hold these values now.
    pub fn lose_power(&mut self, values: &[u64]) -> Result<(), String> {
        for (at, (block, value)) in self.blocks.iter_mut().zip(values).enumerate() {
            block.judge(at, *value, |(_, durable)| durable)?;
            block.sent = *value;
            for (bit, set) in block.set.iter_mut().enumerate() {
                *set = (value >> bit & 1 == 1).then_some((0, true));
            }
        }
        Ok(())
    }
}

impl Block {
    fn judge(&self, at: usize, value: u64, must: impl Fn((Moment, Durable)) -> bool) -> Result<(), String> {
        if value & !self.sent != 0 {
            return Err(format!("bit block {at} holds {value:#x}, but only {:#x} were sent", self.sent));
        }
        let lost = (0..64).find(|bit| value >> bit & 1 == 0 && self.set[*bit].is_some_and(&must));
        lost.map_or(Ok(()), |bit| Err(format!("bit block {at} has lost bit {bit}: an update is lost")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::referee::{NOBODY, Referee};

    /// A block with bit 3, set with GOOD; and a read that is sent after it, and one that is sent after a flush.
    fn set(flush: bool) -> (Bits, Sent) {
        let (mut referee, mut bits) = (Referee::new(0), Bits::new(1));
        bits.send(0, 3);
        bits.end(referee.tick(), 0, 3, false);
        let sent = referee.send(NOBODY);
        if flush {
            bits.end_flush(sent);
        }
        (bits, sent)
    }

    #[test]
    fn a_bit_that_was_set_stays() {
        let (mut bits, sent) = set(false);
        assert!(
            bits.check_read(sent.at, sent, 0, 8).is_ok() && bits.check_read(sent.at, sent, 0, 0).is_err()
        );
    }

    #[test]
    fn a_bit_that_nobody_sent_is_not_set() {
        let (mut bits, sent) = set(false);
        assert!(bits.check_read(sent.at, sent, 0, 12).is_err());
    }

    #[test]
    fn a_power_cut_takes_only_what_was_not_flushed() {
        assert!(set(false).0.lose_power(&[0]).is_ok() && set(true).0.lose_power(&[0]).is_err());
    }
}
