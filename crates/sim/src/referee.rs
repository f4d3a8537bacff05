//! What each block may hold: the referee of a simulated world.
//!
//! Every write has a stamp that fills its blocks, so that a block read tells which write it came from. The referee knows when each
//! write was sent and when it ended, on a counter that every event advances, and so which stamps a read may still see:
//!
//! - a write that was answered GOOD hides every write that had ended before it was sent;
//! - so it does where the task attributes put the other before it: an ORDERED task begins when all older ones of its session have
//!   ended, and a SIMPLE one when the older ORDERED and HEAD OF QUEUE ones have;
//! - a write that was aborted, failed or cut off may or may not have happened, but happens no more once it has ended: what a read
//!   sent after that did not show, no later read may show;
//! - when the power fails, only a durable write hides anything.
//!
//! What it does not judge: the order of writes under way together that task attributes leave open.

use felio_spec::TaskAttribute;
use std::collections::BTreeMap;
use std::ops::Range;

pub mod witness;

/// An instant of the referee's counter.
pub type Moment = u64;

/// A write that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WriteId(u64);

impl WriteId {
    /// When it was sent.
    #[must_use]
    pub const fn sent(self) -> Moment {
        self.0
    }
}

/// Who sends a command, and where in the task set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The initiator's number.
    pub initiator: u8,
    /// The task attribute.
    pub attribute: TaskAttribute,
}

/// A command that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When.
    pub at: Moment,
    by: Sender,
}

#[derive(Clone, Debug)]
struct Write {
    stamp: u64,
    blocks: Range<usize>,
    sent: Sent,
    /// When the target is known to have had it.
    arrived: Option<Moment>,
    /// No other write of its blocks may happen while it does.
    apart: bool,
    fate: Fate,
}

/// A write as it may be found in a block.
#[derive(Clone, Copy, Debug)]
struct Trace {
    id: WriteId,
    /// When a read that was sent after its end had found something else.
    outlived: Option<Moment>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// May still happen.
    UnderWay,
    /// May have happened, and will not any more.
    Uncertain { ended: Moment },
    /// Happened.
    Done { ended: Moment, durable: bool },
}

/// What the blocks of one unit may hold.
#[derive(Debug)]
pub struct Referee {
    now: Moment,
    writes: BTreeMap<WriteId, Write>,
    /// By stamp: the last write of it.
    stamps: BTreeMap<u64, WriteId>,
    /// By block: the writes that a read may see.
    visible: Vec<Vec<Trace>>,
}

/// A block holds what it must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foul {
    /// The block.
    pub block: usize,
    /// What it holds.
    pub stamp: u64,
    /// What it may hold.
    pub allowed: Vec<u64>,
}

impl std::fmt::Display for Foul {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "block {} holds {:#x}, but may hold only {:x?}", self.block, self.stamp, self.allowed)
    }
}

impl Referee {
    /// Blocks of zeros, durable.
    #[must_use]
    pub fn new(blocks: usize) -> Self {
        let mut referee =
            Self { now: 0, writes: BTreeMap::new(), stamps: BTreeMap::new(), visible: Vec::new() };
        referee.restart(&vec![0; blocks]);
        referee
    }

    /// A write of `stamp` is sent.
    pub fn send_write(&mut self, by: Sender, blocks: Range<usize>, stamp: u64) -> WriteId {
        let sent = self.send(by);
        let id = WriteId(sent.at);
        for block in blocks.clone() {
            self.visible[block].push(Trace { id, outlived: None });
        }
        let write = Write { stamp, blocks, sent, arrived: None, apart: false, fate: Fate::UnderWay };
        self.writes.insert(id, write);
        self.stamps.insert(stamp, id);
        id
    }

    /// The write was answered GOOD; `durable` if that promises that it stays.
    pub fn end_write(&mut self, id: WriteId, durable: bool) {
        let ended = self.tick();
        self.settle(id, Fate::Done { ended, durable });
    }

    /// The write ended, but who knows whether it happened.
    pub fn give_up_write(&mut self, id: WriteId) {
        let ended = self.tick();
        self.settle(id, Fate::Uncertain { ended });
    }

    /// The target has the write, as it tells.
    pub fn note_arrival(&mut self, id: WriteId) {
        let now = self.tick();
        if let Some(write) = self.writes.get_mut(&id) {
            write.arrived.get_or_insert(now);
        }
    }

    /// No write that is under way and had arrived before that moment happens any more.
    pub fn give_up_arrived(&mut self, before: Moment) {
        let ended = self.tick();
        let gone = |write: &&mut Write| {
            write.fate == Fate::UnderWay && write.arrived.is_some_and(|arrived| arrived < before)
        };
        self.writes.values_mut().filter(gone).for_each(|write| write.fate = Fate::Uncertain { ended });
    }

    /// No write of this initiator that is under way happens any more, unless that is taken back.
    pub fn give_up_writes_of(&mut self, initiator: u8) -> Moment {
        let ended = self.tick();
        let theirs =
            |write: &&mut Write| write.sent.by.initiator == initiator && write.fate == Fate::UnderWay;
        self.writes.values_mut().filter(theirs).for_each(|write| write.fate = Fate::Uncertain { ended });
        ended
    }

    /// The writes that were given up at that moment, and have not ended, may happen again.
    pub fn take_back(&mut self, ended: Moment) {
        let ids = self.writes.iter_mut().filter(|(_, write)| write.fate == Fate::Uncertain { ended });
        let back: Vec<WriteId> = ids.map(|(id, write)| (write.fate = Fate::UnderWay, *id).1).collect();
        let traces = self.visible.iter_mut().flatten().filter(|trace| back.contains(&trace.id));
        traces.for_each(|trace| trace.outlived = None);
    }

    /// The write did surely not happen.
    pub fn cancel_write(&mut self, id: WriteId) {
        if let Some(write) = self.writes.remove(&id) {
            for block in write.blocks {
                self.visible[block].retain(|trace| trace.id != id);
            }
        }
    }

    /// A flush, or a read, is sent.
    pub fn send(&mut self, by: Sender) -> Sent {
        Sent { at: self.tick(), by }
    }

    /// A flush sent at `sent` was answered GOOD.
    pub fn end_flush(&mut self, sent: Sent) {
        for write in self.writes.values_mut() {
            if let Fate::Done { ended, durable } = &mut write.fate {
                *durable |= *ended < sent.at;
            }
        }
    }

    /// A read found these stamps from block `first` on.
    pub fn check_read(&mut self, sent: Sent, first: usize, stamps: &[u64]) -> Result<(), Foul> {
        let now = self.tick();
        for (block, stamp) in (first..).zip(stamps) {
            let hides =
                |write: &Write| write.was_done().is_some_and(|at| at < sent.at || write.sent.precedes(&sent));
            let may_show = |trace: &Trace| trace.outlived.is_none_or(|at| at > sent.at);
            self.judge(block, *stamp, hides, may_show)?;
            for trace in &mut self.visible[block] {
                let write = &self.writes[&trace.id];
                if write.stamp != *stamp && write.ended().is_some_and(|ended| ended < sent.at) {
                    trace.outlived.get_or_insert(now);
                }
            }
        }
        self.forget();
        Ok(())
    }

    /// The power failed, everything under way is over, and the blocks hold these stamps now.
    pub fn lose_power(&mut self, stamps: &[u64]) -> Result<(), Foul> {
        for (block, stamp) in stamps.iter().enumerate() {
            // What a read has found may have been in the cache only.
            self.judge(block, *stamp, |write| write.durable_since().is_some(), |_| true)?;
        }
        self.restart(stamps);
        Ok(())
    }

    /// The next moment.
    pub fn tick(&mut self) -> Moment {
        self.now += 1;
        self.now
    }

    /// Whether `block` may hold `stamp`, by what `hides` others and what `may_show` for other reasons.
    fn judge(
        &self,
        block: usize,
        stamp: u64,
        hides: impl Fn(&Write) -> bool,
        may_show: impl Fn(&Trace) -> bool,
    ) -> Result<(), Foul> {
        let write = |trace: &Trace| &self.writes[&trace.id];
        let hiders: Vec<&Write> =
            self.visible[block].iter().map(write).filter(|write| hides(write)).collect();
        let horizon = hiders.iter().map(|hider| hider.sent.at).max().unwrap_or(0);
        let is_hidden = |write: &Write| {
            write.ended().is_some_and(|ended| ended < horizon)
                || hiders.iter().any(|hider| write.sent.precedes(&hider.sent))
        };
        let shown = self.visible[block].iter().filter(|trace| may_show(trace)).map(write);
        let allowed: Vec<u64> = shown.filter(|write| !is_hidden(write)).map(|write| write.stamp).collect();
        if allowed.contains(&stamp) { Ok(()) } else { Err(Foul { block, stamp, allowed }) }
    }

    fn settle(&mut self, id: WriteId, fate: Fate) {
        if let Some(write) = self.writes.get_mut(&id) {
            write.fate = fate;
        }
    }

    /// Forgets writes that a durable write has hidden for good, so that a long run stays quick.
    fn forget(&mut self) {
        let Self { writes, stamps, visible, .. } = self;
        let oldest_under_way = writes
            .values()
            .filter(|write| write.fate == Fate::UnderWay)
            .map(|write| write.sent.at)
            .min()
            .unwrap_or(self.now);
        let mut dead = Vec::new();
        for traces in visible.iter_mut().filter(|traces| traces.len() > 16) {
            let horizon =
                traces.iter().filter_map(|trace| writes[&trace.id].durable_since()).max().unwrap_or(0);
            let hidden = |write: &Write| {
                write.ended().is_some_and(|ended| ended < horizon && ended < oldest_under_way)
            };
            // Reads that are under way were sent after this; keep a margin of recent writes for them.
            traces.retain(|Trace { id, .. }| {
                let keep = !hidden(&writes[id]) || writes[id].sent.at + 10_000 > self.now;
                if !keep {
                    dead.push(*id);
                }
                keep
            });
        }
        for id in dead {
            let still_visible = writes
                .get(&id)
                .is_some_and(|w| w.blocks.clone().any(|b| visible[b].iter().any(|t| t.id == id)));
            if !still_visible {
                writes.remove(&id);
            }
        }
        stamps.retain(|_, id| writes.contains_key(id));
    }

    fn restart(&mut self, stamps: &[u64]) {
        self.writes.clear();
        self.stamps.clear();
        self.visible = vec![Vec::new(); stamps.len()];
        for (block, stamp) in stamps.iter().enumerate() {
            let id = self.send_write(NOBODY, block..block + 1, *stamp);
            self.end_write(id, true);
        }
    }
}

/// Who wrote what was there at first, and looks at what is there in the end.
pub const NOBODY: Sender = Sender { initiator: u8::MAX, attribute: TaskAttribute::Simple };

impl Sent {
    /// Whether task attributes let `newer` begin only when this has ended.
    //= SAM-5 "Task attributes"; commands of a session enter the task set in the order in which they were sent
    fn precedes(&self, newer: &Self) -> bool {
        let goes_before = match (self.by.attribute, newer.by.attribute) {
            (_, TaskAttribute::HeadOfQueue) => false,
            (_, TaskAttribute::Ordered) => true,
            (own, _) => matches!(own, TaskAttribute::Ordered | TaskAttribute::HeadOfQueue),
        };
        goes_before && self.by.initiator == newer.by.initiator && self.at < newer.at
    }
}

impl Write {
    const fn ended(&self) -> Option<Moment> {
        match self.fate {
            Fate::UnderWay => None,
            Fate::Uncertain { ended } | Fate::Done { ended, .. } => Some(ended),
        }
    }

    /// When it ended, if it surely happened.
    const fn was_done(&self) -> Option<Moment> {
        match self.fate {
            Fate::Done { ended, .. } => Some(ended),
            Fate::UnderWay | Fate::Uncertain { .. } => None,
        }
    }

    /// When it was sent, if it survives a power cut.
    const fn durable_since(&self) -> Option<Moment> {
        match self.fate {
            Fate::Done { durable: true, .. } => Some(self.sent.at),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TaskAttribute::{HeadOfQueue, Ordered, Simple};

    const ME: Sender = Sender { initiator: 0, attribute: Simple };

    fn read(referee: &mut Referee, stamp: u64) -> bool {
        let sent = referee.send(ME);
        referee.check_read(sent, 0, &[stamp]).is_ok()
    }

    #[test]
    fn an_answered_write_hides_what_was_there() {
        let mut referee = Referee::new(1);
        let write = referee.send_write(ME, 0..1, 5);
        referee.end_write(write, false);
        assert!(read(&mut referee, 5) && !read(&mut referee, 0));
    }

    #[test]
    fn a_write_under_way_may_or_may_not_be_seen() {
        let mut referee = Referee::new(1);
        let _ = referee.send_write(ME, 0..1, 5);
        assert!(read(&mut referee, 0) && read(&mut referee, 5));
    }

    #[test]
    fn what_was_seen_is_not_undone() {
        let mut referee = Referee::new(1);
        let _ = referee.send_write(ME, 0..1, 5);
        assert!(read(&mut referee, 5) && !read(&mut referee, 0));
    }

    #[test]
    fn a_write_given_up_must_not_come_back_over_a_later_one() {
        let mut referee = Referee::new(1);
        let lost = referee.send_write(ME, 0..1, 5);
        referee.give_up_write(lost);
        let write = referee.send_write(ME, 0..1, 6);
        referee.end_write(write, false);
        assert!(read(&mut referee, 6) && !read(&mut referee, 5));
    }

    #[test]
    fn what_was_given_up_for_a_while_may_come_afterwards() {
        let mut referee = Referee::new(1);
        let _ = referee.send_write(ME, 0..1, 5);
        let ended = referee.give_up_writes_of(0);
        assert!(read(&mut referee, 0) && !read(&mut referee, 5));
        referee.take_back(ended);
        assert!(read(&mut referee, 5));
    }

    #[test]
    fn what_had_arrived_before_all_was_ended_does_not_come_afterwards() {
        let mut referee = Referee::new(1);
        let (early, late) = (referee.send_write(ME, 0..1, 5), referee.send_write(ME, 0..1, 6));
        referee.note_arrival(early);
        let ended = referee.tick();
        referee.note_arrival(late);
        referee.give_up_arrived(ended);
        assert!(read(&mut referee, 0) && !read(&mut referee, 5) && read(&mut referee, 6));
    }

    #[test]
    fn a_power_cut_may_undo_what_was_not_flushed() {
        let mut referee = Referee::new(1);
        let write = referee.send_write(ME, 0..1, 5);
        referee.end_write(write, false);
        assert!(referee.lose_power(&[0]).is_ok());
    }

    #[test]
    fn a_power_cut_must_not_undo_what_was_flushed() {
        let mut referee = Referee::new(1);
        let write = referee.send_write(ME, 0..1, 5);
        referee.end_write(write, false);
        let flush = referee.send(ME);
        referee.end_flush(flush);
        assert!(referee.lose_power(&[0]).is_err());
    }

    #[test]
    fn a_flush_says_nothing_of_a_write_that_ended_after_it_was_sent() {
        let mut referee = Referee::new(1);
        let write = referee.send_write(ME, 0..1, 5);
        let flush = referee.send(ME);
        referee.end_write(write, false);
        referee.end_flush(flush);
        assert!(referee.lose_power(&[0]).is_ok());
    }

    #[test]
    fn writes_under_way_together_may_end_in_either_order() {
        for (stamp, may_be_there) in [(5, true), (6, true), (0, false)] {
            let mut referee = Referee::new(1);
            let (one, two) = (referee.send_write(ME, 0..1, 5), referee.send_write(ME, 0..1, 6));
            referee.end_write(two, false);
            referee.end_write(one, false);
            assert_eq!(read(&mut referee, stamp), may_be_there);
        }
    }

    #[test]
    fn a_write_given_up_must_not_happen_after_a_read_did_not_find_it() {
        let mut referee = Referee::new(1);
        let lost = referee.send_write(ME, 0..1, 5);
        let early = referee.send(ME);
        referee.give_up_write(lost);
        let late = referee.send(ME);
        assert!(referee.check_read(late, 0, &[0]).is_ok());
        assert!(referee.check_read(early, 0, &[5]).is_ok());
        assert!(!read(&mut referee, 5));
        assert!(referee.lose_power(&[5]).is_ok());
    }

    /// Whether a command may pass an older one of the same or another initiator, which was answered only after it was sent.
    fn check_order(older: TaskAttribute, newer: TaskAttribute, initiator: u8, may_pass: bool) {
        let mut referee = Referee::new(1);
        let write = referee.send_write(Sender { initiator: 0, attribute: older }, 0..1, 5);
        let sent = referee.send(Sender { initiator, attribute: newer });
        referee.end_write(write, false);
        assert_eq!(referee.check_read(sent, 0, &[0]).is_ok(), may_pass, "{older:?} {newer:?}");
    }

    #[test]
    fn task_attributes_say_what_may_pass() {
        check_order(Simple, Simple, 0, true);
        check_order(Ordered, Simple, 0, false);
        check_order(HeadOfQueue, Simple, 0, false);
        check_order(Simple, Ordered, 0, false);
        check_order(Ordered, HeadOfQueue, 0, true);
    }

    #[test]
    fn there_is_no_order_between_sessions() {
        check_order(Ordered, Ordered, 1, true);
    }
}
