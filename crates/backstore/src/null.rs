//! A store that reads as zeros and forgets what is written: the limit of what the layers above it can do.

use felio_hal::store::{Done, Failure, Limits, Mapping, Op, UnmapLimits, WriteCache};

use crate::ram::ATOMIC;
use crate::store::{Answer, Attempt, Entry, NOT_HERE, Store, TRANSFER_BYTES_MAX, changes, fits};

/// Nothing, of a certain size.
#[derive(Debug)]
pub struct Null {
    limits: Limits,
}

impl Null {
    /// `bytes` of nothing.
    #[must_use]
    pub const fn new(bytes: u64, writable: bool) -> Self {
        let unmap = UnmapLimits { granularity_bytes: 512, alignment_bytes: 0, zeroes: true, anchor: false };
        Self {
            limits: Limits {
                bytes,
                writable,
                logical_block_bytes: 1,
                physical_block_bytes: 512,
                optimal_io_bytes: None,
                transfer_bytes_max: TRANSFER_BYTES_MAX,
                write_cache: WriteCache::Off,
                unmap: Some(unmap),
                atomic: Some(ATOMIC),
                extents: true,
                space: false,
                rotational: Some(false),
                protection: felio_hal::store::Protection::Impossible,
                state: false,
                passes: None,
            },
        }
    }
}

impl Store for Null {
    fn limits(&self) -> Limits {
        self.limits.clone()
    }

    fn attempt(&self, op: Op) -> Attempt {
        Attempt::Done(self.run(op))
    }

    fn entry(&self, _: &Op) -> Option<Entry<'_>> {
        None
    }

    fn run(&self, op: Op) -> Answer {
        let bytes = self.limits.bytes;
        if changes(&op) && !self.limits.writable {
            return Answer::without(op, Err(Failure::WriteProtected));
        }
        if !fits(&op, bytes) {
            return Answer::without(op, Err(Failure::Short));
        }
        match op {
            Op::Read { mut buf, .. } => {
                buf.fill(0);
                Answer::with(Ok(Done::Done), buf)
            }
            Op::Write { buf, .. } | Op::WriteAtomic { buf, .. } => Answer::with(Ok(Done::Done), buf),
            Op::Extent { at } => {
                Answer::bare(Ok(Done::Extent { mapping: Mapping::Deallocated, len: bytes - at }))
            }
            Op::Space => Answer::bare(Err(Failure::Other(libc::EOPNOTSUPP))),
            Op::Copy { .. } => Answer::bare(Err(Failure::NotPossible)),
            Op::Size => Answer::bare(Ok(Done::Size(bytes))),
            Op::Flush | Op::Unmap { .. } | Op::Zero { .. } | Op::Prefetch { .. } => {
                Answer::bare(Ok(Done::Done))
            }
            op @ (Op::Save(_)
            | Op::Pass(_)
            | Op::ReadProtected { .. }
            | Op::WriteProtected { .. }
            | Op::Protect { .. }) => Answer::without(op, Err(NOT_HERE)),
        }
    }
}
