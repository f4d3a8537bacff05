//! What block devices do by ioctl alone.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::ioctl::{Opcode, Setter, ioctl, opcode};

/// `BLKDISCARD`: the range may be forgotten; nobody says what it reads as.
const DISCARD: Opcode = opcode::none(0x12, 119);

/// Discards a range of a block device.
pub(crate) fn discard(fd: BorrowedFd<'_>, at: u64, len: u64) -> Result<(), Errno> {
    // SAFETY: BLKDISCARD reads two 64-bit numbers, offset and length, and writes no memory of ours.
    // JUSTIFICATION: no wrapper of this ioctl exists, and fallocate cannot discard without zeroing.
    unsafe { ioctl(fd, Setter::<DISCARD, [u64; 2]>::new([at, len])) }
}
