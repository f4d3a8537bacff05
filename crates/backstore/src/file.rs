//! A regular file: holes are punched, found and counted by its filesystem.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use felio_hal::store::{AtomicLimits, Limits, Mapping, Space, UnmapLimits};
use rustix::fs::{
    AtFlags, FallocateFlags, SeekFrom, StatxFlags, fallocate, fstat, fstatfs, fstatvfs, seek, statx,
};
use rustix::io::{Errno, pread};

use crate::disk::{self, Claimed, Disk};
use crate::policy::Policy;
use crate::store::{Store, TRANSFER_BYTES_MAX};
use crate::sys;

/// An open file as a store; the descriptor's flags are those of `policy`.
pub(crate) fn store(
    fd: Claimed,
    policy: &'static Policy,
    facts: &Facts,
    align_bytes: u32,
    writable: bool,
) -> Arc<dyn Store> {
    let unmap = facts.hole_bytes.map(|granularity_bytes| UnmapLimits {
        granularity_bytes,
        alignment_bytes: 0,
        zeroes: true,
        anchor: facts.anchor,
    });
    let limits = Limits {
        bytes: facts.bytes,
        writable,
        logical_block_bytes: align_bytes,
        // As LIO has it: a file has no physical block. Whoever wants 512e says so.
        physical_block_bytes: align_bytes.max(512),
        optimal_io_bytes: None,
        transfer_bytes_max: TRANSFER_BYTES_MAX,
        write_cache: policy.write_cache,
        atomic: facts.atomic.filter(|_| policy.direct),
        extents: unmap.is_some(),
        space: true,
        unmap,
        rotational: None,
        protection: felio_hal::store::Protection::Impossible,
        state: false,
        passes: None,
    };
    Arc::new(Disk::new(fd, policy, FileSpace, limits))
}

/// What a file and its filesystem say of themselves.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) bytes: u64,
    /// Smallest hole, if holes can be punched, or could be by somebody who may write.
    pub(crate) hole_bytes: Option<u32>,
    /// Space can be kept without data in it.
    pub(crate) anchor: bool,
    /// What can be written as one step.
    pub(crate) atomic: Option<AtomicLimits>,
}

impl Facts {
    /// Asks; changes nothing in the file.
    pub(crate) fn of(fd: BorrowedFd<'_>, writable: bool) -> Result<Self, Errno> {
        let bytes = size(fd)?;
        let block = fstatfs(fd).ok().and_then(|fs| u32::try_from(fs.f_bsize).ok());
        // Network filesystems name their transfer size here; that is no block.
        let holes = !writable || can_punch(fd, bytes);
        let hole_bytes = holes.then_some(block.unwrap_or(512).max(512));
        let anchor = writable && holes && can_anchor(fd, bytes);
        Ok(Self { bytes, hole_bytes, anchor, atomic: atomic(fd) })
    }
}

/// Space of a file.
#[derive(Debug)]
struct FileSpace;

impl disk::Space for FileSpace {
    fn unmap(&self, fd: BorrowedFd<'_>, at: u64, len: u64) -> Result<(), Errno> {
        retry(|| fallocate(fd, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, at, len))
    }

    fn zero(&self, fd: BorrowedFd<'_>, at: u64, len: u64, unmap: bool) -> Result<(), Errno> {
        if unmap {
            match self.unmap(fd, at, len) {
                Err(Errno::OPNOTSUPP) => {}
                outcome => return outcome,
            }
        }
        retry(|| fallocate(fd, FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE, at, len))
    }

    fn extent(&self, fd: BorrowedFd<'_>, at: u64, end: u64) -> Result<(Mapping, u64), Errno> {
        match seek(fd, SeekFrom::Data(at)) {
            Ok(data) if data > at => Ok(hole(fd, at, data)),
            Ok(_) => Ok((Mapping::Mapped, seek(fd, SeekFrom::Hole(at))?)),
            // No data from here on.
            Err(Errno::NXIO) => Ok(hole(fd, at, end)),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok((Mapping::Mapped, end)),
            Err(errno) => Err(errno),
        }
    }

    fn space(&self, fd: BorrowedFd<'_>) -> Result<Space, Errno> {
        /// What `st_blocks` counts.
        const SECTOR_BYTES: u64 = 512;
        let used = u64::try_from(fstat(fd)?.st_blocks).unwrap_or(0).saturating_mul(SECTOR_BYTES);
        let filesystem = fstatvfs(fd)?;
        Ok(Space { used, available: filesystem.f_bavail.saturating_mul(filesystem.f_frsize) })
    }

    fn is_file(&self) -> bool {
        true
    }

    fn bytes(&self, fd: BorrowedFd<'_>) -> Result<u64, Errno> {
        size(fd)
    }
}

fn size(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    u64::try_from(fstat(fd)?.st_size).map_err(|_| Errno::OVERFLOW)
}

/// What a hole that `SEEK_HOLE` knows from `at` to `end` begins with: nothing, or space that was never written to.
fn hole(fd: BorrowedFd<'_>, at: u64, end: u64) -> (Mapping, u64) {
    match sys::device::first_extent(fd, at, end - at) {
        Some(extent) if extent.start > at => (Mapping::Deallocated, extent.start.min(end)),
        Some(extent) if extent.is_unwritten && extent.end > at => (Mapping::Anchored, extent.end.min(end)),
        _ => (Mapping::Deallocated, end),
    }
}

/// Whether space can be kept without data in it: tried behind the end of the file, and given back.
fn can_anchor(fd: BorrowedFd<'_>, bytes: u64) -> bool {
    let behind = bytes.next_multiple_of(STEP);
    let flags = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
    let outcome = retry(|| fallocate(fd, flags, behind, STEP_KEPT));
    outcome.is_ok() && can_punch(fd, bytes)
}

/// How far behind the end of a file something is tried, and how much of it.
const STEP: u64 = 1 << 20;
const STEP_KEPT: u64 = 4096;

/// Whether holes can be punched: tried behind the end of the file, where there is nothing to lose.
fn can_punch(fd: BorrowedFd<'_>, bytes: u64) -> bool {
    let behind = bytes.next_multiple_of(STEP);
    retry(|| fallocate(fd, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, behind, STEP)).is_ok()
}

/// What can be written as one step past the page cache: the kernel tells (6.11 and later).
///
/// Linux takes any power of two between its two numbers, at multiples of the length. No limits of SCSI say that, so that only
/// the longest such write is offered, at multiples of itself.
pub(crate) fn atomic(fd: BorrowedFd<'_>) -> Option<AtomicLimits> {
    let wanted = StatxFlags::from_bits_retain(STATX_WRITE_ATOMIC);
    let facts = statx(fd, c"", AtFlags::EMPTY_PATH, wanted).ok()?;
    let told = StatxFlags::from_bits_retain(facts.stx_mask).contains(wanted);
    let bytes = Some(facts.stx_atomic_write_unit_max).filter(|bytes| told && *bytes > 0)?;
    Some(AtomicLimits { bytes_max: bytes, granularity_bytes: bytes, alignment_bytes: bytes })
}

/// `statx` tells what can be written as one step.
const STATX_WRITE_ATOMIC: u32 = 0x1_0000;

/// What offsets and lengths must be multiples of on a descriptor with `O_DIRECT`: the kernel tells (6.1 and later), or
/// it is tried.
pub(crate) fn direct_bytes(fd: BorrowedFd<'_>) -> u32 {
    statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN)
        .ok()
        .filter(|facts| StatxFlags::from_bits_retain(facts.stx_mask).contains(StatxFlags::DIOALIGN))
        .map(|facts| facts.stx_dio_offset_align)
        .filter(|bytes| *bytes > 0)
        .unwrap_or_else(|| tried_direct_bytes(fd))
}

fn tried_direct_bytes(fd: BorrowedFd<'_>) -> u32 {
    let mut page = Page([0; 4096]);
    for bytes in [512u16, 1024, 2048] {
        let part = &mut page.0[..usize::from(bytes)];
        if pread(fd, part, u64::from(bytes)).is_ok() {
            return u32::from(bytes);
        }
    }
    4096
}

/// Memory that suits `O_DIRECT`.
#[repr(align(4096))]
struct Page([u8; 4096]);

fn retry(mut call: impl FnMut() -> Result<(), Errno>) -> Result<(), Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            outcome => return outcome,
        }
    }
}
