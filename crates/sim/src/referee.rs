//! What each block may hold: the referee of a simulated world.
//!
//! Every write has a stamp that fills its blocks, so that a block read tells which write it came from. The referee knows when each
//! write was sent and when it ended, on a counter that every event advances, and so which stamps a read may still see:
//!
//! - a write that was answered GOOD hides every write that had ended before it was sent;
//! - a write that was aborted, failed or cut off may or may not have happened, but happens no more once it has ended;
//! - when the power fails, only a durable write hides anything.
//!
//! What it does not judge: the order of writes under way together, which SIMPLE tasks leave open.

use std::collections::BTreeMap;
use std::ops::Range;

/// An instant of the referee's counter.
pub type Moment = u64;

/// A write that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WriteId(u64);

#[derive(Clone, Debug)]
struct Write {
    stamp: u64,
    blocks: Range<usize>,
    sent: Moment,
    fate: Fate,
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
    /// By block: the writes that a read may see.
    visible: Vec<Vec<WriteId>>,
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
        let mut referee = Self { now: 0, writes: BTreeMap::new(), visible: Vec::new() };
        referee.restart(&vec![0; blocks]);
        referee
    }

    /// A write of `stamp` is sent.
    pub fn send_write(&mut self, blocks: Range<usize>, stamp: u64) -> WriteId {
        let sent = self.tick();
        let id = WriteId(sent);
        for block in blocks.clone() {
            self.visible[block].push(id);
        }
        self.writes.insert(id, Write { stamp, blocks, sent, fate: Fate::UnderWay });
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

    /// The write did surely not happen.
    pub fn cancel_write(&mut self, id: WriteId) {
        if let Some(write) = self.writes.remove(&id) {
            for block in write.blocks {
                self.visible[block].retain(|other| *other != id);
            }
        }
    }

    /// A flush, or a read, is sent: keep the moment.
    pub fn send(&mut self) -> Moment {
        self.tick()
    }

    /// A flush sent at `sent` was answered GOOD.
    pub fn end_flush(&mut self, sent: Moment) {
        for write in self.writes.values_mut() {
            if let Fate::Done { ended, durable } = &mut write.fate {
                *durable |= *ended < sent;
            }
        }
    }

    /// A read sent at `sent` found these stamps from block `first` on.
    pub fn check_read(&mut self, sent: Moment, first: usize, stamps: &[u64]) -> Result<(), Foul> {
        for (block, stamp) in (first..).zip(stamps) {
            let visible = &self.visible[block];
            let hiders = visible.iter().filter_map(|id| self.writes[id].hider());
            let horizon = hiders.filter(|(ended, _)| *ended < sent).map(|(_, began)| began).max();
            self.judge(block, *stamp, horizon)?;
        }
        self.forget();
        Ok(())
    }

    /// The power failed, everything under way is over, and the blocks hold these stamps now.
    pub fn lose_power(&mut self, stamps: &[u64]) -> Result<(), Foul> {
        for (block, stamp) in stamps.iter().enumerate() {
            let visible = &self.visible[block];
            let horizon = visible.iter().filter_map(|id| self.writes[id].durable_since()).max();
            self.judge(block, *stamp, horizon)?;
        }
        self.restart(stamps);
        Ok(())
    }

    /// Whether `block` may hold `stamp` when everything that ended before `horizon` was sent is hidden.
    fn judge(&self, block: usize, stamp: u64, horizon: Option<Moment>) -> Result<(), Foul> {
        let allowed = self.visible[block].iter().map(|id| &self.writes[id]);
        let allowed =
            allowed.filter(|write| horizon.is_none_or(|sent| write.ended().is_none_or(|ended| ended > sent)));
        let allowed: Vec<u64> = allowed.map(|write| write.stamp).collect();
        if allowed.contains(&stamp) { Ok(()) } else { Err(Foul { block, stamp, allowed }) }
    }

    fn settle(&mut self, id: WriteId, fate: Fate) {
        if let Some(write) = self.writes.get_mut(&id) {
            write.fate = fate;
        }
    }

    /// Forgets writes that a durable write has hidden for good, so that a long run stays quick.
    fn forget(&mut self) {
        let Self { writes, visible, .. } = self;
        let oldest_under_way = writes
            .values()
            .filter(|write| write.fate == Fate::UnderWay)
            .map(|write| write.sent)
            .min()
            .unwrap_or(self.now);
        let mut dead = Vec::new();
        for ids in visible.iter_mut().filter(|ids| ids.len() > 16) {
            let horizon = ids.iter().filter_map(|id| writes[id].durable_since()).max().unwrap_or(0);
            let hidden = |write: &Write| {
                write.ended().is_some_and(|ended| ended < horizon && ended < oldest_under_way)
            };
            // Reads that are under way were sent after this; keep a margin of recent writes for them.
            ids.retain(|id| {
                let keep = !hidden(&writes[id]) || writes[id].sent + 10_000 > self.now;
                if !keep {
                    dead.push(*id);
                }
                keep
            });
        }
        for id in dead {
            let still_visible =
                writes.get(&id).is_some_and(|w| w.blocks.clone().any(|b| visible[b].contains(&id)));
            if !still_visible {
                writes.remove(&id);
            }
        }
    }

    fn restart(&mut self, stamps: &[u64]) {
        self.writes.clear();
        self.visible = vec![Vec::new(); stamps.len()];
        for (block, stamp) in stamps.iter().enumerate() {
            let id = self.send_write(block..block + 1, *stamp);
            self.end_write(id, true);
        }
    }

    fn tick(&mut self) -> Moment {
        self.now += 1;
        self.now
    }
}

impl Write {
    const fn ended(&self) -> Option<Moment> {
        match self.fate {
            Fate::UnderWay => None,
            Fate::Uncertain { ended } | Fate::Done { ended, .. } => Some(ended),
        }
    }

    /// When it ended and was sent, if it surely happened.
    const fn hider(&self) -> Option<(Moment, Moment)> {
        match self.fate {
            Fate::Done { ended, .. } => Some((ended, self.sent)),
            Fate::UnderWay | Fate::Uncertain { .. } => None,
        }
    }

    /// When it was sent, if it survives a power cut.
    const fn durable_since(&self) -> Option<Moment> {
        match self.fate {
            Fate::Done { durable: true, .. } => Some(self.sent),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(referee: &mut Referee, stamp: u64) -> bool {
        let sent = referee.send();
        referee.check_read(sent, 0, &[stamp]).is_ok()
    }

    #[test]
    fn an_answered_write_hides_what_was_there() {
        let mut referee = Referee::new(1);
        let write = referee.send_write(0..1, 5);
        referee.end_write(write, false);
        assert!(read(&mut referee, 5) && !read(&mut referee, 0));
    }

    #[test]
    fn a_write_under_way_may_or_may_not_be_seen() {
        let mut referee = Referee::new(1);
        let _ = referee.send_write(0..1, 5);
        assert!(read(&mut referee, 5) && read(&mut referee, 0));
    }

    #[test]
    fn a_write_given_up_must_not_come_back_over_a_later_one() {
        let mut referee = Referee::new(1);
        let lost = referee.send_write(0..1, 5);
        referee.give_up_write(lost);
        let write = referee.send_write(0..1, 6);
        referee.end_write(write, false);
        assert!(read(&mut referee, 6) && !read(&mut referee, 5));
    }

    #[test]
    fn a_power_cut_may_undo_what_was_not_flushed() {
        let mut referee = Referee::new(1);
        let write = referee.send_write(0..1, 5);
        referee.end_write(write, false);
        assert!(referee.lose_power(&[0]).is_ok());
    }

    #[test]
    fn a_power_cut_must_not_undo_what_was_flushed() {
        let mut referee = Referee::new(1);
        let write = referee.send_write(0..1, 5);
        referee.end_write(write, false);
        let flush = referee.send();
        referee.end_flush(flush);
        assert!(referee.lose_power(&[0]).is_err());
    }

    #[test]
    fn a_flush_says_nothing_of_a_write_that_ended_after_it_was_sent() {
        let mut referee = Referee::new(1);
        let write = referee.send_write(0..1, 5);
        let flush = referee.send();
        referee.end_write(write, false);
        referee.end_flush(flush);
        assert!(referee.lose_power(&[0]).is_ok());
    }

    #[test]
    fn writes_under_way_together_may_end_in_either_order() {
        let mut referee = Referee::new(1);
        let (one, two) = (referee.send_write(0..1, 5), referee.send_write(0..1, 6));
        referee.end_write(two, false);
        referee.end_write(one, false);
        assert!(read(&mut referee, 5) && read(&mut referee, 6) && !read(&mut referee, 0));
    }
}
