//! Where protection information is kept: a file, or memory.
//!
//! What lies behind the end of a side reads as zeros. A write is durable once it is done.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FallocateFlags, fallocate, fstat, fsync, ftruncate};
use rustix::io::{Errno, ReadWriteFlags, pread, pwritev2};

use crate::sys::memory::Region;

/// A place for protection information.
pub trait Side: Send + Sync {
    /// Reads.
    fn read(&self, at: u64, to: &mut [u8]) -> Result<(), Errno>;
    /// Writes durably.
    fn write(&self, at: u64, from: &[u8]) -> Result<(), Errno>;
    /// Makes a range read as zeros, durably.
    fn clear(&self, at: u64, len: u64) -> Result<(), Errno>;
    /// Makes everything from there on read as zeros, durably.
    fn cut(&self, at: u64) -> Result<(), Errno>;
}

/// In a file.
#[derive(Debug)]
pub(crate) struct FileSide {
    fd: OwnedFd,
}

impl FileSide {
    pub(crate) const fn new(fd: OwnedFd) -> Self {
        Self { fd }
    }
}

impl Side for FileSide {
    fn read(&self, mut at: u64, mut to: &mut [u8]) -> Result<(), Errno> {
        while !to.is_empty() {
            match pread(&self.fd, &mut *to, at) {
                Ok(0) => {
                    to.fill(0);
                    return Ok(());
                }
                Ok(count) => {
                    at += bytes(count);
                    to = &mut to[count..];
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    fn write(&self, mut at: u64, mut from: &[u8]) -> Result<(), Errno> {
        while !from.is_empty() {
            let slices = [std::io::IoSlice::new(from)];
            match pwritev2(&self.fd, &slices, at, ReadWriteFlags::DSYNC) {
                Ok(0) => return Err(Errno::IO),
                Ok(count) => {
                    at += bytes(count);
                    from = &from[count..];
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    fn clear(&self, at: u64, len: u64) -> Result<(), Errno> {
        let size = u64::try_from(fstat(&self.fd)?.st_size).unwrap_or(0);
        let len = len.min(size.saturating_sub(at));
        if len == 0 {
            return Ok(());
        }
        loop {
            match fallocate(self.fd.as_fd(), FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, at, len)
            {
                Ok(()) => return fsync(&self.fd),
                Err(Errno::INTR) => {}
                // A filesystem without holes.
                Err(Errno::OPNOTSUPP) => return self.write_zeros(at, len),
                Err(errno) => return Err(errno),
            }
        }
    }

    fn cut(&self, at: u64) -> Result<(), Errno> {
        ftruncate(&self.fd, at)?;
        fsync(&self.fd)
    }
}

impl FileSide {
    fn write_zeros(&self, at: u64, len: u64) -> Result<(), Errno> {
        let zeros = [0; 64 << 10];
        let mut done = 0;
        while done < len {
            let count = usize::try_from(len - done).unwrap_or(usize::MAX).min(zeros.len());
            self.write(at + done, &zeros[..count])?;
            done += bytes(count);
        }
        Ok(())
    }
}

/// In memory, for blocks that are there too.
#[derive(Debug)]
pub(crate) struct MemorySide {
    region: Region,
    len: usize,
}

impl MemorySide {
    pub(crate) fn new(len: u64) -> Result<Self, Errno> {
        let len = usize::try_from(len).map_err(|_| Errno::NOMEM)?;
        Ok(Self { region: Region::new(len)?, len })
    }

    /// The part of a range that there is memory for.
    fn within(&self, at: u64, len: usize) -> (usize, usize) {
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(self.len);
        (at, len.min(self.len - at))
    }
}

impl Side for MemorySide {
    fn read(&self, at: u64, to: &mut [u8]) -> Result<(), Errno> {
        let (at, len) = self.within(at, to.len());
        let (there, behind) = to.split_at_mut(len);
        self.region.read(at, there);
        behind.fill(0);
        Ok(())
    }

    fn write(&self, at: u64, from: &[u8]) -> Result<(), Errno> {
        match self.within(at, from.len()) {
            (at, len) if len == from.len() => {
                self.region.write(at, from);
                Ok(())
            }
            _ => Err(Errno::NOSPC),
        }
    }

    fn clear(&self, at: u64, len: u64) -> Result<(), Errno> {
        let (at, len) = self.within(at, usize::try_from(len).unwrap_or(usize::MAX));
        self.region.zero(at, len);
        Ok(())
    }

    fn cut(&self, at: u64) -> Result<(), Errno> {
        self.clear(at, u64::MAX)
    }
}

fn bytes(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
