//! What files and block devices have in common: a store on an open descriptor.
//!
//! They differ in how space is freed, found and measured; that is [`Space`], and all else is here.
//!
//! Invariant: no operation reaches past the size last seen. A file that someone else made shorter is thus never made
//! longer again by a write, once its size has been asked for.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use felio_hal::store::{Done, Failure, Limits, Mapping, Op, Space as SpaceBytes};
use rustix::fs::{Advice, fadvise};
use rustix::io::Errno;

use crate::errno::failure;
use crate::policy::Policy;
use crate::store::{Answer, Attempt, Entry, NOT_HERE, Store, changes, fits};
use crate::transfer::Transfer;

/// Space on a filesystem or device.
pub(crate) trait Space: Send + Sync + fmt::Debug {
    /// Frees a range.
    fn unmap(&self, fd: BorrowedFd<'_>, at: u64, len: u64) -> Result<(), Errno>;
    /// Makes a range read as zeros without writing them; `OPNOTSUPP` if that cannot be.
    fn zero(&self, fd: BorrowedFd<'_>, at: u64, len: u64, unmap: bool) -> Result<(), Errno>;
    /// What is at `at`, and where in front of `end` that ends.
    fn extent(&self, fd: BorrowedFd<'_>, at: u64, end: u64) -> Result<(Mapping, u64), Errno>;
    /// Bytes used and left.
    fn space(&self, fd: BorrowedFd<'_>) -> Result<SpaceBytes, Errno>;
    /// Whether it is a regular file.
    fn is_file(&self) -> bool;
    /// The size now.
    fn bytes(&self, fd: BorrowedFd<'_>) -> Result<u64, Errno>;
}

/// An open descriptor, from which others are kept away: by itself, or by what another one has in hand.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) fd: OwnedFd,
    pub(crate) claim: Option<OwnedFd>,
}

/// A store on an open descriptor.
#[derive(Debug)]
pub(crate) struct Disk<S> {
    transfer: Transfer,
    space: S,
    limits: Limits,
    bytes: AtomicU64,
    /// The claim of the store that it was opened beside.
    claim: Option<OwnedFd>,
}

impl<S: Space> Disk<S> {
    pub(crate) fn new(fd: Claimed, policy: &'static Policy, space: S, limits: Limits) -> Self {
        let bytes = AtomicU64::new(limits.bytes);
        Self { transfer: Transfer::new(fd.fd, policy), space, limits, bytes, claim: fd.claim }
    }

    /// The outcome of an operation that must not be done, or has nothing to do.
    fn foregone(&self, op: &Op) -> Option<Result<Done, Failure>> {
        match op {
            op if changes(op) && !self.limits.writable => Some(Err(Failure::WriteProtected)),
            op if !fits(op, self.bytes.load(Ordering::Relaxed)) => Some(Err(Failure::Short)),
            // System calls take a length of zero for a mistake, or for everything.
            Op::Unmap { len: 0, .. } | Op::Zero { len: 0, .. } | Op::Prefetch { len: 0, .. } => {
                Some(Ok(Done::Done))
            }
            // Nothing to bring data into, or nothing to flush.
            Op::Prefetch { .. } if self.transfer.policy().direct => Some(Ok(Done::Done)),
            Op::Flush if !self.limits.writable => Some(Ok(Done::Done)),
            _ => None,
        }
    }

    fn unmap(&self, at: u64, len: u64) -> Result<Done, Failure> {
        self.space.unmap(self.transfer.fd(), at, len).map_err(|errno| failure(errno, None))?;
        self.settle()
    }

    fn zero(&self, at: u64, len: u64, unmap: bool) -> Result<Done, Failure> {
        match self.space.zero(self.transfer.fd(), at, len, unmap) {
            Ok(()) => self.settle(),
            // Written zeros are as durable as the cache mode makes any write.
            Err(Errno::OPNOTSUPP) => self.transfer.write_zeros(at, len),
            Err(errno) => Err(failure(errno, None)),
        }
    }

    /// Makes a change durable that no flag of its own could, if the cache mode promises that.
    fn settle(&self) -> Result<Done, Failure> {
        match self.transfer.policy().write_cache {
            felio_hal::store::WriteCache::Off => self.transfer.flush(),
            felio_hal::store::WriteCache::On => Ok(Done::Done),
        }
    }

    fn extent(&self, at: u64) -> Result<Done, Failure> {
        let size = self.bytes.load(Ordering::Relaxed);
        let (mapping, end) =
            self.space.extent(self.transfer.fd(), at, size).map_err(|errno| failure(errno, None))?;
        Ok(Done::Extent { mapping, len: end.clamp(at + 1, size.max(at + 1)) - at })
    }

    fn size(&self) -> Result<Done, Failure> {
        let bytes = self.space.bytes(self.transfer.fd()).map_err(|errno| failure(errno, None))?;
        self.bytes.store(bytes, Ordering::Relaxed);
        Ok(Done::Size(bytes))
    }

    fn space(&self) -> Result<Done, Failure> {
        self.space.space(self.transfer.fd()).map(Done::Space).map_err(|errno| failure(errno, None))
    }

    /// A hint: whether it is taken makes no difference to the answer.
    fn prefetch(&self, at: u64, len: u64) -> Result<Done, Failure> {
        let _ = fadvise(self.transfer.fd(), at, core::num::NonZeroU64::new(len), Advice::WillNeed);
        Ok(Done::Done)
    }
}

impl<S: Space> Store for Disk<S> {
    fn limits(&self) -> Limits {
        Limits { bytes: self.bytes.load(Ordering::Relaxed), ..self.limits.clone() }
    }

    fn attempt(&self, op: Op) -> Attempt {
        if let Some(result) = self.foregone(&op) {
            return Attempt::Done(Answer::without(op, result));
        }
        match op {
            Op::Read { at, mut buf } => match self.transfer.try_read(at, &mut buf) {
                Some(result) => Attempt::Done(Answer::with(result, buf)),
                None => Attempt::Later(Op::Read { at, buf }),
            },
            Op::Write { at, buf, durability } => match self.transfer.try_write(at, &buf, durability) {
                Some(result) => Attempt::Done(Answer::with(result, buf)),
                None => Attempt::Later(Op::Write { at, buf, durability }),
            },
            op => Attempt::Later(op),
        }
    }

    fn entry(&self, op: &Op) -> Option<Entry<'_>> {
        self.transfer.entry(op)
    }

    fn judge(&self, op: &Op, result: Result<Done, Failure>) -> Result<Done, Failure> {
        self.transfer.judge(op, result)
    }

    fn file(&self) -> Option<BorrowedFd<'_>> {
        self.space.is_file().then(|| self.transfer.fd())
    }

    fn claim(&self) -> Option<OwnedFd> {
        let claim = self.claim.as_ref().map_or(self.transfer.fd(), AsFd::as_fd);
        claim.try_clone_to_owned().ok()
    }

    fn run(&self, op: Op) -> Answer {
        if let Some(result) = self.foregone(&op) {
            return Answer::without(op, result);
        }
        match op {
            Op::Read { at, mut buf } => Answer::with(self.transfer.read(at, &mut buf), buf),
            Op::Write { at, ref buf, durability } => {
                let result = self.judge(&op, self.transfer.write(at, buf, durability));
                Answer::without(op, result)
            }
            Op::WriteAtomic { at, ref buf, durability } => {
                let result = self.judge(&op, self.transfer.write_atomic(at, buf, durability));
                Answer::without(op, result)
            }
            Op::Flush => Answer::bare(self.judge(&op, self.transfer.flush())),
            Op::Unmap { at, len } => Answer::bare(self.unmap(at, len)),
            Op::Zero { at, len, unmap } => Answer::bare(self.zero(at, len, unmap)),
            Op::Extent { at } => Answer::bare(self.extent(at)),
            Op::Prefetch { at, len } => Answer::bare(self.prefetch(at, len)),
            Op::Copy { .. } => Answer::bare(Err(Failure::NotPossible)),
            Op::Size => Answer::bare(self.size()),
            Op::Space => Answer::bare(self.space()),
            op @ (Op::Save(_)
            | Op::Pass(_)
            | Op::ReadProtected { .. }
            | Op::WriteProtected { .. }
            | Op::Protect { .. }) => Answer::without(op, Err(NOT_HERE)),
        }
    }
}
