//! What a unit has done, counted as it does it.
//!
//! A count is an addition where the command begins anyway: no clock is read, nothing is shared with another thread. What
//! a guest has done it tells the unit's home in a letter, about once a second. The log pages tell it all.

use crate::geometry::Extent;
use core::cell::Cell;

/// Commands and blocks since power on, or since an initiator reset them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Reads and writes of all.
    pub total: Traffic,
    /// Those with a GROUP NUMBER, from 1 on.
    pub groups: Box<[Traffic; GROUPS]>,
    /// VERIFY commands.
    pub verifies: Tally,
    /// Commands that compare or combine and write as one step.
    pub combines: Tally,
    /// WRITE SAME commands.
    pub write_sames: Tally,
    /// UNMAP commands.
    pub unmaps: Tally,
    /// SYNCHRONIZE CACHE commands.
    pub synchronizes: Tally,
    /// Operations of the store that failed.
    pub failures: Tally,
    /// How often the unit was started after it had been stopped.
    pub starts: Tally,
}

/// How many groups are counted.
const GROUPS: usize = 31;

/// Reads and writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// READ commands.
    pub reads: Tally,
    /// Those with FUA.
    pub fua_reads: Tally,
    /// Blocks that they asked for.
    pub read_blocks: Tally,
    /// Commands that write Data-Out to as many blocks.
    pub writes: Tally,
    /// Those with FUA.
    pub fua_writes: Tally,
    /// Blocks that they named.
    pub written_blocks: Tally,
}

/// One count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(Cell<u64>);

impl Tally {
    /// So many more. At a billion a second it would take centuries to wrap around.
    pub(crate) fn add(&self, count: u64) {
        self.0.set(self.0.get().wrapping_add(count));
    }

    /// So many.
    #[must_use]
    pub const fn get(&self) -> u64 {
        self.0.get()
    }
}

impl Counters {
    /// A READ begins, in a group or in none.
    pub(crate) fn read(&self, extent: Extent, fua: bool, group: u8) {
        self.total.read(extent, fua);
        if group != 0 {
            self.group(group).inspect(|traffic| traffic.read(extent, fua));
        }
    }

    /// A WRITE begins, in a group or in none.
    pub(crate) fn write(&self, extent: Extent, fua: bool, group: u8) {
        self.total.write(extent, fua);
        if group != 0 {
            self.group(group).inspect(|traffic| traffic.write(extent, fua));
        }
    }

    /// What was counted of a group, if that is counted.
    #[must_use]
    pub fn group(&self, number: u8) -> Option<&Traffic> {
        self.groups.get(usize::from(number).checked_sub(1)?)
    }

    /// Whether nothing was done.
    pub(crate) fn is_empty(&self) -> bool {
        self.total.is_empty() && self.others().iter().all(|tally| tally.get() == 0)
    }

    /// Adds what was done elsewhere.
    pub(crate) fn add(&self, other: &Self) {
        self.total.add(&other.total);
        for (mine, theirs) in self.groups.iter().zip(other.groups.iter()) {
            mine.add(theirs);
        }
        for (mine, theirs) in self.others().into_iter().zip(other.others()) {
            mine.add(theirs.get());
        }
    }

    /// What is not told by group.
    const fn others(&self) -> [&Tally; 7] {
        let Self { verifies, combines, write_sames, unmaps, synchronizes, failures, starts, .. } = self;
        [verifies, combines, write_sames, unmaps, synchronizes, failures, starts]
    }

    /// Forgets what was counted of a group.
    pub(crate) fn reset_group(&mut self, number: u8) {
        let group = usize::from(number).checked_sub(1).and_then(|at| self.groups.get_mut(at));
        if let Some(traffic) = group {
            *traffic = Traffic::default();
        }
    }
}

impl Traffic {
    fn is_empty(&self) -> bool {
        self.tallies().iter().all(|tally| tally.get() == 0)
    }

    fn add(&self, other: &Self) {
        for (mine, theirs) in self.tallies().into_iter().zip(other.tallies()) {
            mine.add(theirs.get());
        }
    }

    const fn tallies(&self) -> [&Tally; 6] {
        let Self { reads, fua_reads, read_blocks, writes, fua_writes, written_blocks } = self;
        [reads, fua_reads, read_blocks, writes, fua_writes, written_blocks]
    }

    fn read(&self, extent: Extent, fua: bool) {
        self.reads.add(1);
        self.fua_reads.add(u64::from(fua));
        self.read_blocks.add(extent.blocks);
    }

    fn write(&self, extent: Extent, fua: bool) {
        self.writes.add(1);
        self.fua_writes.add(u64::from(fua));
        self.written_blocks.add(extent.blocks);
    }
}
