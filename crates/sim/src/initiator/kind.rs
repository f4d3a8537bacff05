//! What a command under way is, as far as its answer is judged by it.

use crate::referee::{Moment, Sent, WriteId};

/// A command under way.
#[derive(Debug)]
pub(super) enum Kind {
    Read {
        first: usize,
        sent: Sent,
    },
    /// A comparison that finds these stamps, if it ends well.
    Verify {
        first: usize,
        sent: Sent,
        stamps: Vec<u64>,
    },
    Write {
        write: WriteId,
        durable: bool,
    },
    /// COMPARE AND WRITE of a counter.
    Swap {
        write: WriteId,
        counter: usize,
        from: u64,
        durable: bool,
    },
    /// ORWRITE of a bit.
    SetBit {
        block: usize,
        bit: usize,
        durable: bool,
    },
    Flush {
        sent: Sent,
    },
    /// MODE SELECT with WCE=0.
    CacheOff {
        sent: Sent,
    },
    /// MODE SELECT with SWP; how often protection may have ended before, and whether it surely changes something.
    Protect {
        on: bool,
        ends: u64,
        changes: bool,
    },
    /// PERSISTENT RESERVE OUT.
    Register,
    Reserve,
    Preempt {
        victim: u8,
        sent: Moment,
    },
    /// SET TARGET PORT GROUPS.
    Access {
        shuts: bool,
    },
    /// READ CAPACITY.
    Capacity,
    /// A read or write where the unit's end may be.
    Tail {
        end: usize,
    },
    Other,
}

impl Kind {
    /// The write that the referee knows of.
    pub(super) const fn write(&self) -> Option<WriteId> {
        match self {
            Self::Write { write, .. } | Self::Swap { write, .. } => Some(*write),
            Self::Read { .. }
            | Self::Verify { .. }
            | Self::SetBit { .. }
            | Self::Flush { .. }
            | Self::CacheOff { .. }
            | Self::Protect { .. }
            | Self::Register
            | Self::Reserve
            | Self::Preempt { .. }
            | Self::Access { .. }
            | Self::Capacity
            | Self::Tail { .. }
            | Self::Other => None,
        }
    }

    /// It may be in a write cache when it is answered.
    pub(super) const fn doubt(&mut self) {
        if let Self::Write { durable, .. } | Self::Swap { durable, .. } | Self::SetBit { durable, .. } = self
        {
            *durable = false;
        }
    }

    /// Whether it changes what other sessions may do.
    pub(super) const fn is_change(&self) -> bool {
        matches!(
            self,
            Self::Protect { .. }
                | Self::Register
                | Self::Reserve
                | Self::Preempt { .. }
                | Self::Access { .. }
        )
    }

    /// Whether it reads or writes blocks.
    pub(super) const fn touches_blocks(&self) -> bool {
        self.write().is_some()
            || matches!(
                self,
                Self::Read { .. }
                    | Self::Verify { .. }
                    | Self::SetBit { .. }
                    | Self::Flush { .. }
                    | Self::Tail { .. }
            )
    }
}
