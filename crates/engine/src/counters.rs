//! What a unit has done, counted as it does it.
//!
//! A count is an addition where the command begins anyway: no clock is read, nothing is shared with another thread. The log
//! pages tell them.

use crate::geometry::Extent;
use core::cell::Cell;

/// Commands and blocks since power on, or since an initiator reset them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
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
    /// A READ begins.
    pub(crate) fn read(&self, extent: Extent, fua: bool) {
        self.reads.add(1);
        self.fua_reads.add(u64::from(fua));
        self.read_blocks.add(extent.blocks);
    }

    /// A WRITE begins.
    pub(crate) fn write(&self, extent: Extent, fua: bool) {
        self.writes.add(1);
        self.fua_writes.add(u64::from(fua));
        self.written_blocks.add(extent.blocks);
    }
}
