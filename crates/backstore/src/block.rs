//! A block device: what it can do is in sysfs, and ioctls do it.

use std::fs;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use felio_hal::store::{AtomicLimits, Limits, Mapping, Space, UnmapLimits};
use rustix::fs::{
    FallocateFlags, SeekFrom, fallocate, fstat, ioctl_blkpbszget, ioctl_blksszget, major, minor, seek,
};
use rustix::io::Errno;

use crate::disk::{self, Claimed, Disk};
use crate::policy::Policy;
use crate::store::{Store, TRANSFER_BYTES_MAX};
use crate::sys;

/// An open device as a store; the descriptor's flags are those of `policy`.
pub(crate) fn store(fd: Claimed, policy: &'static Policy, facts: &Facts, writable: bool) -> Arc<dyn Store> {
    let limits = Limits {
        bytes: facts.bytes,
        writable,
        logical_block_bytes: facts.logical_bytes,
        physical_block_bytes: facts.physical_bytes,
        optimal_io_bytes: facts.optimal_bytes,
        transfer_bytes_max: TRANSFER_BYTES_MAX,
        write_cache: policy.write_cache,
        unmap: facts.unmap,
        atomic: facts.atomic.filter(|_| policy.direct),
        extents: false,
        space: false,
        rotational: facts.rotational,
        protection: felio_hal::store::Protection::Impossible,
        state: false,
        passes: None,
    };
    let zeroes = facts.unmap.is_some_and(|unmap| unmap.zeroes);
    Arc::new(Disk::new(fd, policy, BlockSpace { zeroes }, limits))
}

/// What a device says of itself.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) bytes: u64,
    pub(crate) logical_bytes: u32,
    pub(crate) physical_bytes: u32,
    pub(crate) optimal_bytes: Option<u32>,
    pub(crate) unmap: Option<UnmapLimits>,
    pub(crate) rotational: Option<bool>,
    /// What can be written as one step.
    pub(crate) atomic: Option<AtomicLimits>,
}

impl Facts {
    /// Asks the device and sysfs.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> Result<Self, Errno> {
        let folder = sysfs(fd)?;
        // A partition has no queue of its own: its disk's folder is above.
        let disk = if folder.join("partition").exists() { folder.join("..") } else { folder.clone() };
        let queue = disk.join("queue");
        let logical_bytes = ioctl_blksszget(fd)?;
        Ok(Self {
            bytes: size(fd)?,
            logical_bytes,
            physical_bytes: ioctl_blkpbszget(fd)?.max(logical_bytes),
            optimal_bytes: number(&queue, "optimal_io_size").filter(|bytes| *bytes > 0),
            unmap: unmap(&folder, &queue, logical_bytes),
            rotational: number::<u8>(&queue, "rotational").map(|rotational| rotational != 0),
            atomic: crate::file::atomic(fd),
        })
    }
}

/// The device's folder in sysfs.
pub(crate) fn sysfs(fd: BorrowedFd<'_>) -> Result<PathBuf, Errno> {
    let device = fstat(fd)?.st_rdev;
    let link = format!("/sys/dev/block/{}:{}", major(device), minor(device));
    // Resolved, so that what is above it can be named.
    Ok(fs::canonicalize(&link).unwrap_or_else(|_| PathBuf::from(link)))
}

fn unmap(folder: &Path, queue: &Path, logical_bytes: u32) -> Option<UnmapLimits> {
    number::<u64>(queue, "discard_max_bytes").filter(|bytes| *bytes > 0)?;
    let granularity: Option<u32> = number(queue, "discard_granularity");
    Some(UnmapLimits {
        granularity_bytes: granularity.unwrap_or(0).max(logical_bytes),
        alignment_bytes: number(folder, "discard_alignment").unwrap_or(0),
        // A discard promises nothing; zeroing in hardware, which may deallocate, does.
        zeroes: number::<u64>(queue, "write_zeroes_max_bytes").is_some_and(|bytes| bytes > 0),
        anchor: false,
    })
}

/// A number in a file of one line.
fn number<T: FromStr>(folder: &Path, name: &str) -> Option<T> {
    fs::read_to_string(folder.join(name)).ok()?.trim().parse().ok()
}

fn size(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    seek(fd, SeekFrom::End(0))
}

/// Space of a device.
#[derive(Debug)]
struct BlockSpace {
    /// The device zeroes in hardware, and may deallocate what it zeroed.
    zeroes: bool,
}

impl disk::Space for BlockSpace {
    fn unmap(&self, fd: BorrowedFd<'_>, at: u64, len: u64) -> Result<(), Errno> {
        if self.zeroes {
            match fallocate(fd, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, at, len) {
                // Kernels name hardware zeroing that the device then refuses; a written zero is a zero too.
                Err(Errno::OPNOTSUPP) => self.zero(fd, at, len, false),
                outcome => outcome,
            }
        } else {
            sys::device::discard(fd, at, len)
        }
    }

    fn zero(&self, fd: BorrowedFd<'_>, at: u64, len: u64, unmap: bool) -> Result<(), Errno> {
        if unmap && self.zeroes {
            return self.unmap(fd, at, len);
        }
        fallocate(fd, FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE, at, len)
    }

    fn extent(&self, _: BorrowedFd<'_>, _: u64, end: u64) -> Result<(Mapping, u64), Errno> {
        // Devices do not tell.
        Ok((Mapping::Mapped, end))
    }

    fn space(&self, _: BorrowedFd<'_>) -> Result<Space, Errno> {
        Err(Errno::OPNOTSUPP)
    }

    fn is_file(&self) -> bool {
        false
    }

    fn bytes(&self, fd: BorrowedFd<'_>) -> Result<u64, Errno> {
        size(fd)
    }
}
