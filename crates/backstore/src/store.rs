//! What every store can do: answer at once, describe itself to a ring, or block.
//!
//! [`Store::attempt`] is the fast path: it runs on the reactor's thread and must not wait for a medium. What it cannot
//! answer comes back as it went in, and the [`Lane`](crate::Lane) finishes it: by a ring if [`Store::entry`] says how,
//! otherwise by [`Store::run`] on a helper thread.

use std::os::fd::{BorrowedFd, OwnedFd};

use felio_hal::Buf;
use felio_hal::store::{Done, Failure, Limits, Op};
use rustix::io::ReadWriteFlags;

/// The longest single transfer of any store, bytes: what the largest buffer holds.
pub(crate) const TRANSFER_BYTES_MAX: u32 = 8 << 20;
const _: () = assert!(TRANSFER_BYTES_MAX.trailing_zeros() == felio_hal::buf::BUF_BYTES_MAX.trailing_zeros());

/// A place for blocks. Shared by all lanes: every call may come from any thread at any time.
///
/// Operations on ranges that overlap are never under way together (the engine sees to it); if they are all the same,
/// the outcome is one of theirs or a mixture, and nothing worse.
pub trait Store: Send + Sync {
    /// What it is and can do, with its size as last seen.
    fn limits(&self) -> Limits;

    /// Does the operation now if that cannot block. An operation is attempted once before it is run.
    fn attempt(&self, op: Op) -> Attempt;

    /// How a ring does the operation, if it can: only [`Op::Read`], [`Op::Write`] and [`Op::Flush`].
    fn entry(&self, op: &Op) -> Option<Entry<'_>>;

    /// What the outcome of an operation that a ring did is to be told as.
    fn judge(&self, _op: &Op, result: Result<Done, Failure>) -> Result<Done, Failure> {
        result
    }

    /// The open file, if its bytes are nothing but the store's: then ranges can be copied between it and others of its kind
    /// by the operating system ([`Op::Copy`]).
    fn file(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// What keeps others away from what is open, once more: so another store of the same can be open as well, and stay when this one has
    /// gone (see [`open_beside`](crate::open_beside)). `None` where that cannot be.
    fn claim(&self) -> Option<OwnedFd> {
        None
    }

    /// Does the operation, however long that takes. [`Op::Copy`] concerns two stores and never comes here.
    fn run(&self, op: Op) -> Answer;
}

/// What became of an operation.
#[derive(Debug)]
pub struct Answer {
    /// The outcome.
    pub result: Result<Done, Failure>,
    /// The operation's buffer, if it had one.
    pub buf: Option<Buf>,
}

impl Answer {
    /// The answer to an operation without a buffer.
    #[must_use]
    pub const fn bare(result: Result<Done, Failure>) -> Self {
        Self { result, buf: None }
    }

    /// The answer to a read or write.
    #[must_use]
    pub const fn with(result: Result<Done, Failure>, buf: Buf) -> Self {
        Self { result, buf: Some(buf) }
    }

    /// The answer to an operation that was not done, whichever it is.
    #[must_use]
    pub fn without(op: Op, result: Result<Done, Failure>) -> Self {
        Self { result, buf: op.into_buf() }
    }
}

/// What [`Store::attempt`] achieved.
#[derive(Debug)]
pub enum Attempt {
    /// It is done.
    Done(Answer),
    /// It would block; here it is back.
    Later(Op),
}

/// How a ring does an operation: on which descriptor, with which flags. Offset, length and memory are the operation's.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The open file or device.
    pub fd: BorrowedFd<'a>,
    /// As for `preadv2` and `pwritev2`.
    pub flags: ReadWriteFlags,
}

/// The bytes that an operation touches, if it touches a range.
pub(crate) fn range(op: &Op) -> Option<(u64, u64)> {
    match op {
        Op::Read { at, buf } | Op::Write { at, buf, .. } | Op::WriteAtomic { at, buf, .. } => {
            Some((*at, bytes(buf.len())))
        }
        Op::Unmap { at, len }
        | Op::Zero { at, len, .. }
        | Op::Prefetch { at, len }
        | Op::Copy { at, len, .. } => Some((*at, *len)),
        // How much of it is blocks, the store knows that keeps the rest.
        Op::Extent { at } | Op::ReadProtected { at, .. } | Op::WriteProtected { at, .. } => Some((*at, 1)),
        Op::Flush | Op::Size | Op::Space | Op::Save(_) | Op::Pass(_) | Op::Protect { .. } => None,
    }
}

/// Whether the operation stays within `size` bytes.
pub(crate) fn fits(op: &Op, size: u64) -> bool {
    range(op).is_none_or(|(at, len)| at.checked_add(len).is_some_and(|end| end <= size))
}

/// Whether the operation changes data.
pub(crate) const fn changes(op: &Op) -> bool {
    matches!(
        op,
        Op::Write { .. }
            | Op::WriteAtomic { .. }
            | Op::Unmap { .. }
            | Op::Zero { .. }
            | Op::Copy { .. }
            | Op::WriteProtected { .. }
            | Op::Protect { .. }
    )
}

/// What a store says that is asked to keep a document and has no place for it (see [`Stateful`](crate::state::Stateful)), or
/// to pass a command to a device that it is not, or for protection information and keeps none (see
/// [`Protect`](crate::protect::Protect)).
pub(crate) const NOT_HERE: Failure = Failure::Other(libc::EOPNOTSUPP);

/// A length in memory as a length on a medium.
pub(crate) fn bytes(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_may_end_where_the_store_ends() {
        assert!(fits(&Op::Unmap { at: 512, len: 512 }, 1024));
    }

    #[test]
    fn a_range_past_the_end_does_not_fit() {
        assert!(!fits(&Op::Unmap { at: 513, len: 512 }, 1024));
    }

    #[test]
    fn a_range_that_wraps_does_not_fit() {
        assert!(!fits(&Op::Unmap { at: u64::MAX, len: 512 }, u64::MAX));
    }

    #[test]
    fn an_operation_without_a_range_always_fits() {
        assert!(fits(&Op::Flush, 0) && fits(&Op::Size, 0));
    }
}
