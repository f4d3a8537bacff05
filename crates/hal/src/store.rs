//! The seam below the engine: blocks, read and written by byte offset.
//!
//! The engine hands a [`Submission`] to the reactor's [`StoreQueue`]; the [`Completion`] brings the buffer home. A queue
//! serves all stores of one reactor. It may finish an operation at once or later, in any order; two operations that
//! must not pass each other are never submitted together (the engine sees to it).
//!
//! Durability: a completed [`Op::Write`] with [`Durability::Durable`], and every write completed before an [`Op::Flush`]
//! was submitted, once that flush has completed, survive a power cut. Where [`Limits::write_cache`] is `Off`, every completed
//! write does (a volatile store, such as memory, keeps this promise for as long as the process lives).

use crate::buf::Buf;
use crate::ids::{StoreId, TaskId};
use crate::state::Save;
use felio_spec::cdb::Direction;
use felio_spec::inquiry::DeviceType;
use felio_spec::protection::{Flaw, Kind};
use felio_spec::{Cdb, Status};

/// What one reactor drives.
pub trait StoreQueue {
    /// Starts an operation. Rejected: the queue is full and everything comes back; try again after a completion.
    fn submit(&mut self, submission: Submission) -> Result<(), Submission>;
    /// Hands over what was batched: at most one system call a turn.
    fn kick(&mut self);
    /// Appends what has finished.
    fn reap(&mut self, done: &mut Vec<Completion>);
}

/// One operation on its way down.
#[derive(Debug)]
pub struct Submission {
    /// On which store.
    pub store: StoreId,
    /// For which task; comes back in the completion.
    pub task: TaskId,
    /// What to do.
    pub op: Op,
}

/// What a store can do. Offsets and lengths are bytes, and multiples of the unit's block size.
#[derive(Debug)]
pub enum Op {
    /// Fills the whole buffer from offset `at`.
    Read {
        /// First byte.
        at: u64,
        /// Filled on success.
        buf: Buf,
    },
    /// Writes the whole buffer at offset `at`.
    Write {
        /// First byte.
        at: u64,
        /// The data.
        buf: Buf,
        /// Whether completion promises durability.
        durability: Durability,
    },
    /// Writes the whole buffer at offset `at`, or nothing of it, whatever fails, be it the power. Only within
    /// [`Limits::atomic`].
    WriteAtomic {
        /// First byte.
        at: u64,
        /// The data.
        buf: Buf,
        /// Whether completion promises durability.
        durability: Durability,
    },
    /// Fills the whole buffer with blocks from offset `at`, the protection information of each behind it, unchecked. Offsets
    /// are those of the blocks alone. Only where [`Protection::On`].
    ReadProtected {
        /// First byte of the first block.
        at: u64,
        /// Filled on success.
        buf: Buf,
    },
    /// Writes blocks from offset `at`, the protection information of each behind it, unchecked. Only where
    /// [`Protection::On`].
    WriteProtected {
        /// First byte of the first block.
        at: u64,
        /// The blocks; what they are afterwards is the store's business.
        buf: Buf,
        /// Whether completion promises durability.
        durability: Durability,
    },
    /// Formats: from now on the store keeps protection information of this type, or none. The blocks stay as they are;
    /// the protection information of each becomes all ones. Only unless [`Protection::Impossible`].
    Protect {
        /// The type.
        kind: Option<Kind>,
    },
    /// Makes every completed write durable.
    Flush,
    /// Deallocates a range; it reads as zeros afterwards where [`UnmapLimits::zeroes`] says so.
    Unmap {
        /// First byte.
        at: u64,
        /// Bytes.
        len: u64,
    },
    /// Makes a range read as zeros, keeping it allocated unless `unmap`.
    Zero {
        /// First byte.
        at: u64,
        /// Bytes.
        len: u64,
        /// Whether the range may be deallocated.
        unmap: bool,
    },
    /// Asks what is at offset `at`, and for how many bytes that holds.
    Extent {
        /// First byte.
        at: u64,
    },
    /// Brings a range into the cache, if there is one.
    Prefetch {
        /// First byte.
        at: u64,
        /// Bytes.
        len: u64,
    },
    /// Copies a range from a store, another one or this one, without handing over the data. Where that cannot be, it fails
    /// with [`Failure::NotPossible`] and is to be done by reads and writes. Promises no durability of its own.
    Copy {
        /// From which store.
        from: StoreId,
        /// First byte there.
        from_at: u64,
        /// First byte here.
        at: u64,
        /// Bytes.
        len: u64,
    },
    /// Asks for the size, which may have changed.
    Size,
    /// Asks how much space is used and left; only where [`Limits::space`].
    Space,
    /// Hands a command to a SCSI device as it is; only where [`Limits::passes`] says that there is one.
    Pass(Box<Pass>),
    /// Keeps a document of the unit, durably; only where [`Limits::state`] says that there is a place for it.
    Save(Box<Save>),
}

impl Op {
    /// The buffer that the operation travels with.
    #[must_use]
    #[inline]
    pub fn into_buf(self) -> Option<Buf> {
        match self {
            Self::Read { buf, .. }
            | Self::Write { buf, .. }
            | Self::WriteAtomic { buf, .. }
            | Self::ReadProtected { buf, .. }
            | Self::WriteProtected { buf, .. } => Some(buf),
            Self::Pass(pass) => pass.data,
            _ => None,
        }
    }
}

/// A command for a SCSI device.
#[derive(Debug)]
pub struct Pass {
    /// Its CDB.
    pub cdb: Cdb,
    /// Which way its data go.
    pub direction: Direction,
    /// Data-Out, or room for Data-In.
    pub data: Option<Buf>,
}

/// What a SCSI device answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// SCSI status.
    pub status: Status,
    /// Sense data, if it sent any.
    pub sense: Vec<u8>,
    /// Bytes that were transferred, at the front of the buffer.
    pub transferred: usize,
}

/// Whether a completed write may still be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// May sit in a volatile cache until the next flush, unless the store has none.
    Cached,
    /// On the medium.
    Durable,
}

/// One operation on its way up.
#[derive(Debug)]
pub struct Completion {
    /// From which store.
    pub store: StoreId,
    /// For which task.
    pub task: TaskId,
    /// What became of it.
    pub result: Result<Done, Failure>,
    /// The buffer of a read, a write or a passed command, whether or not it went well.
    pub buf: Option<Buf>,
}

/// Success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// As asked.
    Done,
    /// To [`Op::Extent`].
    Extent {
        /// Whether there is anything.
        mapping: Mapping,
        /// For so many bytes from the asked offset.
        len: u64,
    },
    /// To [`Op::Size`], bytes.
    Size(u64),
    /// To [`Op::Space`].
    Space(Space),
    /// To [`Op::Pass`]: the device answered, be it with an error.
    Passed(Box<Passed>),
}

/// What is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// Data, or nobody knows.
    Mapped,
    /// Nothing, but space is kept for it.
    Anchored,
    /// Nothing.
    Deallocated,
}

/// The space of a store, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What it takes.
    pub used: u64,
    /// What it could take beside that; others may take it too.
    pub available: u64,
}

/// Why an operation failed; the engine gives each its own sense data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The medium cannot be read or written (EIO, EBADMSG …), at this byte offset if that is known.
    Medium(Option<u64>),
    /// No space is left (ENOSPC, EDQUOT).
    NoSpace,
    /// The store turned read-only (EROFS, EPERM).
    WriteProtected,
    /// The store is gone (ENODEV, ENXIO, ESTALE).
    Gone,
    /// The store cannot do this, and has done nothing: it is to be done in another way.
    NotPossible,
    /// The store ended before the range did: it was made shorter by someone else.
    Short,
    /// The block at this byte offset and its protection information do not belong together.
    Protection {
        /// How that shows.
        flaw: Flaw,
        /// Where.
        at: u64,
    },
    /// Anything else, by errno.
    Other(i32),
}

/// What a store is and can do: data, fixed while it is open, but for its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size, bytes.
    pub bytes: u64,
    /// Writes are accepted.
    pub writable: bool,
    /// The device's logical block, bytes: offsets and lengths must be multiples (1 where there is none).
    pub logical_block_bytes: u32,
    /// The device's physical block, bytes.
    pub physical_block_bytes: u32,
    /// The transfer size that it likes best, bytes, if it says so.
    pub optimal_io_bytes: Option<u32>,
    /// Longest single transfer, bytes.
    pub transfer_bytes_max: u32,
    /// A completed write may be lost by a power cut until it is flushed; what WCE tells the initiator.
    pub write_cache: WriteCache,
    /// What can be deallocated, if anything, by somebody who may write.
    pub unmap: Option<UnmapLimits>,
    /// What can be written as one step, if anything.
    pub atomic: Option<AtomicLimits>,
    /// [`Op::Extent`] is answered truthfully.
    pub extents: bool,
    /// [`Op::Space`] is answered.
    pub space: bool,
    /// Rotating medium, if known.
    pub rotational: Option<bool>,
    /// Protection information.
    pub protection: Protection,
    /// [`Op::Save`] is done.
    pub state: bool,
    /// It is a SCSI device of this type, that answers for itself: [`Op::Pass`] is done, and nothing that concerns blocks.
    pub passes: Option<DeviceType>,
}

/// Whether writes are cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteCache {
    /// Completed writes are durable.
    Off,
    /// Completed writes need a flush.
    On,
}

/// What can be written as one step: all of it is there afterwards, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtomicLimits {
    /// Longest such write, bytes.
    pub bytes_max: u32,
    /// Lengths are multiples of this, bytes.
    pub granularity_bytes: u32,
    /// Offsets are multiples of this, bytes.
    pub alignment_bytes: u32,
}

/// Whether a store keeps protection information.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// It cannot.
    Impossible,
    /// It can, and does not: type 0.
    Off,
    /// It does, of this type. What comes without is given some, what goes without was checked.
    On(Kind),
}

impl Protection {
    /// The type, if there is one.
    #[must_use]
    pub const fn kind(self) -> Option<Kind> {
        match self {
            Self::Impossible | Self::Off => None,
            Self::On(kind) => Some(kind),
        }
    }
}

/// What can be deallocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnmapLimits {
    /// Smallest range that frees anything, bytes.
    pub granularity_bytes: u32,
    /// Offset of the first such range, bytes.
    pub alignment_bytes: u32,
    /// Deallocated ranges read as zeros.
    pub zeroes: bool,
    /// What [`Op::Zero`] without `unmap` leaves is no data, but space that is kept.
    pub anchor: bool,
}
