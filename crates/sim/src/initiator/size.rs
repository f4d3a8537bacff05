//! The end of the unit, which moves: somebody makes the disk longer and shorter behind the target's back.
//!
//! What is held against the answers, as long as the disk was not changed meanwhile: READ CAPACITY tells its length; no command past its end
//! ends GOOD; and once READ CAPACITY has told the length to anybody, everybody's commands are judged by it, whichever reactor they come to: what
//! is sent past the end is refused as out of range and does not fail at the disk, and nothing before it is refused as out of range.

use super::commands::{cdb, fill, narrow, wide};
use super::news::Change;
use super::{BLOCK_BYTES, BLOCKS, Initiator, Kind, Sender, Shared};
use crate::random::Random;
use felio_hal::Time;
use felio_iscsi::peer::{Completed, Data};
use felio_spec::commands::{SERVICE_ACTION, read_capacity16, read16, write16};
use felio_spec::report::capacity16;
use felio_spec::sense::code;
use felio_spec::{SenseKey, Status};
use std::ops::Range;

/// Blocks behind all others that come and go.
pub const TAIL_BLOCKS: usize = 32;

/// What is known of the unit's length.
#[derive(Debug)]
pub struct Length {
    /// Blocks.
    blocks: usize,
    /// Since when, and since when READ CAPACITY tells it.
    pub(super) change: Change,
}

impl Length {
    /// All blocks are there.
    #[must_use]
    pub const fn whole() -> Self {
        Self { blocks: BLOCKS + TAIL_BLOCKS, change: Change::NEVER }
    }

    /// The disk has another length now.
    pub fn change(&mut self, now: Time, blocks: usize) {
        // Whether the target will find it to be another one than before is clear where it knows the last one.
        let certain = self.change.is_noticed() && blocks != self.blocks;
        let change = if certain { Change::certain(now) } else { Change::possible(now) };
        *self = Self { blocks, change };
    }

    /// A new program has looked.
    pub fn note_start(&mut self, now: Time) {
        self.change.note(now);
    }

    fn check_capacity(&mut self, now: Time, sent: Time, told: u64) -> Result<(), String> {
        if !self.change.precedes(sent) {
            return Ok(());
        }
        self.change.note(now);
        if told == wide(self.blocks) {
            Ok(())
        } else {
            Err(format!("{told} blocks were told of {}", self.blocks))
        }
    }

    fn check_tail(&self, sent: Time, end: usize, completed: &Completed) -> Result<(), String> {
        if !self.change.precedes(sent) {
            return Ok(());
        }
        let is_told = self.change.is_noticed_before(sent);
        let key = completed.sense.get(2).map(|byte| SenseKey(byte & 0x0f));
        let out_of_range = completed.sense.get(12..14)
            == Some(&[code::LBA_OUT_OF_RANGE.asc, code::LBA_OUT_OF_RANGE.ascq][..]);
        let foul = match (end <= self.blocks, Status(completed.status)) {
            (false, Status::GOOD) => "ended GOOD",
            (false, _) if is_told && key == Some(SenseKey::MEDIUM_ERROR) => "went to the disk",
            (true, _) if is_told && out_of_range => "was refused",
            _ => return Ok(()),
        };
        Err(format!("a command up to block {end} of {} {foul}", self.blocks))
    }
}

impl Initiator {
    /// Asks for the length, or reads or writes where the end may be.
    pub(super) fn send_near_end(&mut self, now: Time, by: Sender, shared: &mut Shared) {
        if self.random.chance(300) {
            let mut cdb = cdb(&read_capacity16::ROW);
            let action = read_capacity16::ROW.service_action.map_or(0, |action| u64::from(action.value));
            SERVICE_ACTION.write(&mut cdb, action);
            read_capacity16::ALLOCATION_LENGTH.set(&mut cdb, narrow(capacity16::BYTES));
            return self.send(now, by, &cdb, Data::In(narrow(capacity16::BYTES)), Kind::Capacity);
        }
        let first = BLOCKS + self.random.index(TAIL_BLOCKS);
        let Range { start, end } = first..first + 1 + self.random.index(4);
        let kind = Kind::Tail { end };
        if self.random.chance(500) {
            let mut cdb = cdb(&read16::ROW);
            read16::LBA.set(&mut cdb, wide(start));
            read16::TRANSFER_LENGTH.set(&mut cdb, narrow(end - start));
            return self.send(now, by, &cdb, Data::In(narrow((end - start) * BLOCK_BYTES)), kind);
        }
        shared.stamp += 1;
        let mut cdb = cdb(&write16::ROW);
        write16::LBA.set(&mut cdb, wide(start));
        write16::TRANSFER_LENGTH.set(&mut cdb, narrow(end - start));
        self.send(now, by, &cdb, Data::Out(fill(shared.stamp, end - start)), kind);
    }

    /// A command was answered that was sent at that time.
    pub(super) fn check_length(
        now: Time,
        sent: Time,
        kind: &Kind,
        completed: &Completed,
        length: &mut Length,
    ) -> Result<(), String> {
        match kind {
            Kind::Capacity if Status(completed.status) == Status::GOOD => {
                let last = capacity16::RETURNED_LBA.get(&completed.data);
                length.check_capacity(now, sent, last + 1)
            }
            Kind::Tail { end } => length.check_tail(sent, *end, completed),
            _ => Ok(()),
        }
    }
}

/// Another length.
pub(crate) fn draw(random: &mut Random) -> usize {
    BLOCKS + random.index(TAIL_BLOCKS + 1)
}
