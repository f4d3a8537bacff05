//! What block devices and files do by ioctl alone.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::ioctl::{Getter, Opcode, Setter, Updater, ioctl, opcode};

/// `BLKDISCARD`: the range may be forgotten; nobody says what it reads as.
const DISCARD: Opcode = opcode::none(0x12, 119);

/// Discards a range of a block device.
pub(crate) fn discard(fd: BorrowedFd<'_>, at: u64, len: u64) -> Result<(), Errno> {
    // SAFETY: BLKDISCARD reads two 64-bit numbers, offset and length, and writes no memory of ours.
    // JUSTIFICATION: no wrapper of this ioctl exists, and fallocate cannot discard without zeroing.
    unsafe { ioctl(fd, Setter::<DISCARD, [u64; 2]>::new([at, len])) }
}

/// `BLKROGET`: whether writes are refused.
const IS_READ_ONLY: Opcode = opcode::none(0x12, 94);

/// Whether a block device takes no writes, though it may be opened for them.
pub(crate) fn is_read_only(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: BLKROGET writes one `int`.
    // JUSTIFICATION: no wrapper of this ioctl exists, and since Linux 6.18 opening does not tell.
    unsafe { ioctl(fd, Getter::<IS_READ_ONLY, i32>::new()) }.is_ok_and(|answer| answer != 0)
}

/// `FS_IOC_FIEMAP`: where a file's blocks are.
const FIEMAP: Opcode = opcode::read_write::<[u8; 32]>(b'f', 11);

/// The blocks there are reserved and hold nothing.
const UNWRITTEN: u32 = 0x800;

/// A question to `FS_IOC_FIEMAP`, with room for one extent.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Question {
    start: u64,
    length: u64,
    flags: u32,
    mapped_extents: u32,
    extent_count: u32,
    reserved: u32,
    extent: Answer,
}

/// One extent of `FS_IOC_FIEMAP`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Answer {
    logical: u64,
    physical: u64,
    length: u64,
    reserved: [u64; 2],
    flags: u32,
    more_reserved: [u32; 3],
}

const _: () = assert!(size_of::<Question>() == 32 + 56);

/// A run of blocks of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileExtent {
    /// Its first byte.
    pub(crate) start: u64,
    /// The byte behind its last.
    pub(crate) end: u64,
    /// Reserved, without data.
    pub(crate) is_unwritten: bool,
}

/// The first run of blocks of a file that touches the range, if there is one and the filesystem tells.
pub(crate) fn first_extent(fd: BorrowedFd<'_>, at: u64, len: u64) -> Option<FileExtent> {
    let mut question = Question { start: at, length: len, extent_count: 1, ..Question::default() };
    // SAFETY: FS_IOC_FIEMAP reads the head and writes it and as many extents behind it as `extent_count` says: one, for
    // which there is room.
    // JUSTIFICATION: no wrapper of this ioctl exists, and nothing else tells reserved blocks from holes.
    unsafe { ioctl(fd, Updater::<FIEMAP, Question>::new(&mut question)) }.ok()?;
    let Answer { logical, length, flags, .. } = question.extent;
    (question.mapped_extents > 0).then_some(FileExtent {
        start: logical,
        end: logical.saturating_add(length),
        is_unwritten: flags & UNWRITTEN != 0,
    })
}
