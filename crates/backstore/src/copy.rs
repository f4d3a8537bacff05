//! Copying between files without handing over the data.
//!
//! The kernel shares the blocks where the filesystem can (reflink), copies on the server of a network filesystem, or copies
//! in the page cache. Whatever it does, others see it as if it had been written.

use core::cmp::Ordering;
use std::os::fd::BorrowedFd;

use felio_hal::store::{Done, Failure, Op, WriteCache};
use rustix::fs::{copy_file_range, fdatasync};
use rustix::io::Errno;

use crate::errno::failure;
use crate::store::Store;

/// Copies `len` bytes from offset `from_at` of one store to offset `at` of another, or of the same.
pub(crate) fn copy(
    from: &dyn Store,
    from_at: u64,
    to: &dyn Store,
    at: u64,
    len: u64,
) -> Result<Done, Failure> {
    let (Some(source), Some(target)) = (from.file(), to.file()) else { return Err(Failure::NotPossible) };
    let limits = to.limits();
    if !limits.writable {
        return Err(Failure::WriteProtected);
    }
    let fits = |at: u64, bytes: u64| at.checked_add(len).is_some_and(|end| end <= bytes);
    if !fits(from_at, from.limits().bytes) || !fits(at, limits.bytes) {
        return Err(Failure::Short);
    }
    copy_range((source, from_at), (target, at), len)?;
    match limits.write_cache {
        WriteCache::Off => to.judge(&Op::Flush, flush(target)),
        WriteCache::On => Ok(Done::Done),
    }
}

fn copy_range(
    (source, mut from_at): (BorrowedFd<'_>, u64),
    (target, mut at): (BorrowedFd<'_>, u64),
    len: u64,
) -> Result<(), Failure> {
    let end = at + len;
    while at.cmp(&end) == Ordering::Less {
        let left = usize::try_from(end - at).unwrap_or(usize::MAX);
        match copy_file_range(source, Some(&mut from_at), target, Some(&mut at), left) {
            Ok(0) => return Err(Failure::Short),
            Ok(_) | Err(Errno::INTR) => {}
            // Another filesystem, an old kernel, ranges that overlap: what was copied by then is copied again.
            Err(
                Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::BADF | Errno::TXTBSY,
            ) => {
                return Err(Failure::NotPossible);
            }
            Err(errno) => return Err(failure(errno, None)),
        }
    }
    Ok(())
}

fn flush(fd: BorrowedFd<'_>) -> Result<Done, Failure> {
    loop {
        match fdatasync(fd) {
            Ok(()) => return Ok(Done::Done),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(failure(errno, None)),
        }
    }
}
