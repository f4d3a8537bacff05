//! A regular file: holes are punched, found and counted by its filesystem.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use felio_hal::store::{AtomicLimits, Limits, UnmapLimits};
use rustix::fs::{AtFlags, FallocateFlags, SeekFrom, StatxFlags, fallocate, fstat, fstatfs, seek, statx};
use rustix::io::{Errno, pread};

use crate::disk::{Disk, Space};
use crate::policy::Policy;
use crate::store::{Store, TRANSFER_BYTES_MAX};

/// An open file as a store; the descriptor's flags are those of `policy`.
pub(crate) fn store(
    fd: OwnedFd,
    policy: &'static Policy,
    facts: &Facts,
    align_bytes: u32,
    writable: bool,
) -> Arc<dyn Store> {
    let unmap = facts.hole_bytes.map(|granularity_bytes| UnmapLimits {
        granularity_bytes,
        alignment_bytes: 0,
        zeroes: true,
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
        unmap,
        rotational: None,
        state: false,
    };
    Arc::new(Disk::new(fd, policy, FileSpace, limits))
}

/// What a file and its filesystem say of themselves.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) bytes: u64,
    /// Smallest hole, if holes can be punched, or could be by somebody who may write.
    pub(crate) hole_bytes: Option<u32>,
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
        Ok(Self { bytes, hole_bytes, atomic: atomic(fd) })
    }
}

/// Space of a file.
#[derive(Debug)]
struct FileSpace;

impl Space for FileSpace {
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

    fn extent(&self, fd: BorrowedFd<'_>, at: u64, end: u64) -> Result<(bool, u64), Errno> {
        match seek(fd, SeekFrom::Data(at)) {
            Ok(data) if data > at => Ok((false, data)),
            Ok(_) => Ok((true, seek(fd, SeekFrom::Hole(at))?)),
            // No data from here on.
            Err(Errno::NXIO) => Ok((false, end)),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok((true, end)),
            Err(errno) => Err(errno),
        }
    }

    fn bytes(&self, fd: BorrowedFd<'_>) -> Result<u64, Errno> {
        size(fd)
    }
}

fn size(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    u64::try_from(fstat(fd)?.st_size).map_err(|_| Errno::OVERFLOW)
}

/// Whether holes can be punched: tried behind the end of the file, where there is nothing to lose.
fn can_punch(fd: BorrowedFd<'_>, bytes: u64) -> bool {
    const STEP: u64 = 1 << 20;
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
