//! What the disk sees of writes and no initiator does: when they begin beside each other, and when they change the medium.
//!
//! A write that happens when it must not, or that began beside one that it had to wait for, shows in what is read only to who reads at
//! the right moment. The disk is always there.

use super::{Referee, Sent, Write};
use felio_spec::TaskAttribute;
use std::ops::Range;

/// A write of blocks that all bear one stamp, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The blocks.
    pub blocks: Range<usize>,
    /// The stamp.
    pub stamp: u64,
}

/// What the disk saw.
#[derive(Clone, Debug)]
pub enum Event {
    /// A write was handed to it while it had others under way.
    Begun {
        /// The write.
        write: Sighting,
        /// The others.
        beside: Vec<Sighting>,
    },
    /// The blocks hold what was written.
    Landed(Sighting),
}

impl Referee {
    /// A write was sent of which no part may happen beside another write of the same blocks.
    //= SBC-3 "WRITE AND VERIFY (16) command": what is compared is what was written
    pub fn keep_apart(&mut self, id: super::WriteId) {
        if let Some(write) = self.writes.get_mut(&id) {
            write.apart = true;
        }
    }

    /// The disk tells what it saw.
    pub fn check_event(&self, event: &Event) -> Result<(), String> {
        match event {
            Event::Landed(seen) => match self.find(seen) {
                Some(write) if write.ended().is_some() => {
                    Err(format!("write {:#x} happens, although it had ended", seen.stamp))
                }
                _ => Ok(()),
            },
            Event::Begun { write: seen, beside } => {
                let Some(write) = self.find(seen) else { return Ok(()) };
                let foul = beside.iter().find(|other| {
                    self.find(other).is_some_and(|older| {
                        older.excludes(write, seen.overlaps(other)) || older.goes_before(&write.sent)
                    })
                });
                foul.map_or(Ok(()), |other| {
                    Err(format!("write {:#x} began beside write {:#x}", seen.stamp, other.stamp))
                })
            }
        }
    }

    fn find(&self, seen: &Sighting) -> Option<&Write> {
        self.writes.get(self.stamps.get(&seen.stamp)?)
    }
}

impl Sighting {
    const fn overlaps(&self, other: &Self) -> bool {
        self.blocks.start < other.blocks.end && other.blocks.start < self.blocks.end
    }
}

impl Write {
    fn excludes(&self, other: &Self, overlaps: bool) -> bool {
        overlaps && (self.apart || other.apart) && self.stamp != other.stamp
    }

    /// Whether a task that is sent then must wait for this one, whoever sends it.
    //= SAM-5 "ORDERED task attribute": all older tasks of the task set; that one is older than a task of another session is certain
    //= where it had arrived when that was sent
    fn goes_before(&self, newer: &Sent) -> bool {
        let arrived = self.arrived.is_some_and(|arrived| arrived < newer.at);
        self.sent.precedes(newer) || (arrived && newer.by.attribute == TaskAttribute::Ordered)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Sender, WriteId};
    use super::*;
    use TaskAttribute::{Ordered, Simple};

    const OLD: Sighting = Sighting { blocks: 0..2, stamp: 5 };
    const NEW: Sighting = Sighting { blocks: 1..3, stamp: 6 };

    /// Two writes of two initiators, and whether the newer one may begin beside the older one.
    fn check(attribute: TaskAttribute, prepare: impl Fn(&mut Referee, WriteId), want: bool) {
        let mut referee = Referee::new(3);
        let by = |initiator, attribute| Sender { initiator, attribute };
        let older = referee.send_write(by(0, Simple), OLD.blocks, OLD.stamp);
        prepare(&mut referee, older);
        let _ = referee.send_write(by(1, attribute), NEW.blocks, NEW.stamp);
        let event = Event::Begun { write: NEW, beside: vec![OLD] };
        assert_eq!(referee.check_event(&event).is_ok(), want);
    }

    #[test]
    fn writes_may_begin_beside_each_other() {
        check(Simple, |referee, older| referee.note_arrival(older), true);
    }

    #[test]
    fn a_write_that_is_apart_may_not() {
        check(Simple, |referee, older| referee.keep_apart(older), false);
    }

    #[test]
    fn an_ordered_write_waits_for_what_had_arrived() {
        check(Ordered, |_, _| {}, true);
        check(Ordered, |referee, older| referee.note_arrival(older), false);
    }

    #[test]
    fn what_has_ended_happens_no_more() {
        let mut referee = Referee::new(3);
        let write = referee.send_write(Sender { initiator: 0, attribute: Simple }, OLD.blocks, OLD.stamp);
        assert!(referee.check_event(&Event::Landed(OLD)).is_ok());
        referee.give_up_write(write);
        assert!(referee.check_event(&Event::Landed(OLD)).is_err());
        assert!(referee.check_event(&Event::Landed(Sighting { stamp: 9, ..OLD })).is_ok(), "nobody's");
    }
}
