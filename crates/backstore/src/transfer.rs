//! Reads and writes on an open descriptor, as its cache mode wants them.
//!
//! What can be done without waiting is done on the spot: cached reads with `RWF_NOWAIT`, cached writes likewise or,
//! where the filesystem knows no such writes (ext4), plainly and under a watch ([`Stalls`]). The rest waits, in a loop
//! that carries partial transfers on.
//!
//! Invariant: once the kernel has said that cached data did not reach the medium, nothing is told to be durable any more.
//! The kernel says so once, to whichever flush or durable write comes first, and takes the data for written from then on.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use felio_hal::store::{Done, Durability, Failure, Op};
use rustix::fs::{FileType, Mode, OFlags, fdatasync, fstat, fstatfs};
use rustix::io::{Errno, ReadWriteFlags, preadv2, pwritev2};

use crate::errno::failure;
use crate::policy::Policy;
use crate::store::{Entry, bytes};
use crate::sys::thread::waits;
use crate::sys::writeback::was_lost;

/// Linux 6.11 and later: the write is done as a whole or not at all.
const RWF_ATOMIC: u32 = 0x40;

/// Filesystems that keep their data in memory: nothing on them waits for a medium.
const IN_MEMORY: [u32; 2] = [0x0102_1994, 0x8584_58f6];

/// Filesystems that know no `RWF_NOWAIT` for writes, and yet wait for nothing when they write whole pages, or pages that are there, into
/// the page cache, but for a want of memory and a full journal: ext2, ext3, ext4. Others may ask somebody far away first.
const PLAIN_WRITES: [u32; 1] = [0xef53];

/// A page of the page cache.
const PAGE_BYTES: u64 = 4096;

/// A descriptor with its cache mode.
#[derive(Debug)]
pub(crate) struct Transfer {
    fd: OwnedFd,
    policy: &'static Policy,
    reads: Inline,
    cached_writes: Inline,
    durable_writes: Inline,
    /// The filesystem has not yet said that it knows no `RWF_NOWAIT` for writes.
    nowait_writes: AtomicBool,
    /// And what it writes plainly into the page cache waits for nothing.
    plain_writes: bool,
    stalls: Stalls,
    /// What was written may be in the page cache alone.
    lazy: bool,
    /// And some of it is lost.
    lost: AtomicBool,
    /// A second opening of the file, which the kernel tells of every loss, whoever else it has told. Its answer is noted before
    /// anybody asks again: of two flushes that end at the same time, neither overlooks what the other was told.
    witness: Option<Mutex<OwnedFd>>,
}

/// How a transfer is tried on the spot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inline {
    /// With `RWF_NOWAIT`, as far as that is known; what would wait says so.
    Nowait,
    /// Plainly: nothing is there to wait for.
    Plain,
    /// Not at all.
    Never,
}

/// Which way the data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// Where a transfer stands after one system call or ring completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// At its end.
    Finished(Result<Done, Failure>),
    /// So many bytes are done; the rest is to be asked for.
    At(usize),
    /// Nothing happened; ask again.
    Interrupted,
}

/// Judges the outcome of one system call or ring completion of a transfer of `len` bytes at `at`, `done` of which were
/// done before.
pub(crate) fn progress(
    direction: Direction,
    (at, len): (u64, usize),
    done: usize,
    moved: Result<usize, Errno>,
) -> Progress {
    match moved {
        Ok(now) if done + now >= len => Progress::Finished(Ok(Done::Done)),
        Ok(0) => Progress::Finished(Err(match direction {
            Direction::Read => Failure::Short,
            Direction::Write => Failure::Medium(None),
        })),
        Ok(now) => Progress::At(done + now),
        Err(Errno::INTR | Errno::AGAIN) => Progress::Interrupted,
        // O_DIRECT: the end of the file was moved to where no block ends, and the rest is no multiple any more.
        Err(Errno::INVAL) if done > 0 && direction == Direction::Read => {
            Progress::Finished(Err(Failure::Short))
        }
        // A transfer that came to a halt in its middle did so at the first bad byte.
        Err(errno) => Progress::Finished(Err(failure(errno, (done > 0).then(|| at + bytes(done))))),
    }
}

impl Transfer {
    /// Takes an open descriptor, on which `O_DIRECT` is already set if `policy` wants it.
    pub(crate) fn new(fd: OwnedFd, policy: &'static Policy) -> Self {
        // A device node's filesystem may be one in memory, which says nothing of the device.
        let is_file = fstat(&fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_file());
        let kind = fstatfs(&fd).ok().filter(|_| is_file).and_then(|fs| u32::try_from(fs.f_type).ok());
        let is_one_of = |kinds: &[u32]| kind.is_some_and(|kind| kinds.contains(&kind));
        let in_memory = is_one_of(&IN_MEMORY);
        let cached = !policy.direct && nowait_reads(fd.as_fd());
        let lazy = !policy.direct && !policy.cached.contains(ReadWriteFlags::DSYNC);
        let inline = |wanted| match wanted {
            _ if in_memory => Inline::Plain,
            true => Inline::Nowait,
            false => Inline::Never,
        };
        let witness = if lazy { reopen(&fd) } else { None };
        Self {
            fd,
            policy,
            reads: inline(cached),
            cached_writes: inline(lazy),
            durable_writes: inline(false),
            nowait_writes: AtomicBool::new(true),
            plain_writes: is_one_of(&PLAIN_WRITES),
            stalls: Stalls::new(),
            lazy,
            lost: AtomicBool::new(false),
            witness: witness.map(Mutex::new),
        }
    }

    /// The descriptor.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The cache mode's row.
    pub(crate) const fn policy(&self) -> &'static Policy {
        self.policy
    }

    /// Reads if that does not wait.
    pub(crate) fn try_read(&self, at: u64, buf: &mut [u8]) -> Option<Result<Done, Failure>> {
        let flags = match self.reads {
            Inline::Nowait => ReadWriteFlags::NOWAIT,
            Inline::Plain => ReadWriteFlags::empty(),
            Inline::Never => return None,
        };
        let len = buf.len();
        let moved = preadv2(&self.fd, &mut [IoSliceMut::new(buf)], at, flags);
        whole(progress(Direction::Read, (at, len), 0, moved))
    }

    /// Writes if that does not wait.
    pub(crate) fn try_write(
        &self,
        at: u64,
        buf: &[u8],
        durability: Durability,
    ) -> Option<Result<Done, Failure>> {
        let write = |extra| {
            let flags = self.policy.flags(durability) | extra;
            let moved = match durability {
                Durability::Cached => in_pieces(buf, |done, piece| {
                    pwritev2(&self.fd, &[IoSlice::new(piece)], at + bytes(done), flags)
                }),
                // In one piece: each would be made durable for itself.
                Durability::Durable => pwritev2(&self.fd, &[IoSlice::new(buf)], at, flags),
            };
            if moved == Err(Errno::OPNOTSUPP) && extra == ReadWriteFlags::NOWAIT {
                self.nowait_writes.store(false, Ordering::Relaxed);
            }
            whole(progress(Direction::Write, (at, buf.len()), 0, moved))
        };
        let inline = match durability {
            Durability::Cached => self.cached_writes,
            Durability::Durable => self.durable_writes,
        };
        match inline {
            Inline::Nowait if self.nowait_writes.load(Ordering::Relaxed) => write(ReadWriteFlags::NOWAIT),
            Inline::Nowait if self.plain_writes && self.has_edges(at, buf) => {
                self.stalls.watch(|| write(ReadWriteFlags::empty()))
            }
            Inline::Nowait => None,
            Inline::Plain => write(ReadWriteFlags::empty()),
            Inline::Never => None,
        }
    }

    /// Whether pages that a write covers in part are in the page cache: they would be read first.
    fn has_edges(&self, at: u64, buf: &[u8]) -> bool {
        let end = at + bytes(buf.len());
        let has = |at: u64| {
            let read = preadv2(&self.fd, &mut [IoSliceMut::new(&mut [0])], at, ReadWriteFlags::NOWAIT);
            read == Ok(1)
        };
        (at.is_multiple_of(PAGE_BYTES) || has(at)) && (end.is_multiple_of(PAGE_BYTES) || has(end - 1))
    }

    /// Reads, however long that takes.
    pub(crate) fn read(&self, at: u64, buf: &mut [u8]) -> Result<Done, Failure> {
        let len = buf.len();
        complete(Direction::Read, (at, len), |done| {
            let rest = &mut buf[done..];
            preadv2(&self.fd, &mut [IoSliceMut::new(rest)], at + bytes(done), ReadWriteFlags::empty())
        })
    }

    /// Writes, however long that takes.
    pub(crate) fn write(&self, at: u64, buf: &[u8], durability: Durability) -> Result<Done, Failure> {
        let flags = self.policy.flags(durability);
        complete(Direction::Write, (at, buf.len()), |done| {
            pwritev2(&self.fd, &[IoSlice::new(&buf[done..])], at + bytes(done), flags)
        })
    }

    /// Writes all or nothing, however long that takes: in one piece, that neither the kernel nor the device may cut.
    pub(crate) fn write_atomic(&self, at: u64, buf: &[u8], durability: Durability) -> Result<Done, Failure> {
        let flags = self.policy.flags(durability) | ReadWriteFlags::from_bits_retain(RWF_ATOMIC);
        loop {
            match pwritev2(&self.fd, &[IoSlice::new(buf)], at, flags) {
                Ok(moved) if moved == buf.len() => return Ok(Done::Done),
                Ok(_) => return Err(Failure::Medium(None)),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(errno) => return Err(failure(errno, None)),
            }
        }
    }

    /// Writes zeros, in pieces.
    pub(crate) fn write_zeros(&self, at: u64, len: u64) -> Result<Done, Failure> {
        let end = at + len;
        let mut at = at;
        while at < end {
            let left = usize::try_from(end - at).unwrap_or(usize::MAX);
            let piece = left.min(ZEROS.0.len() * ZEROS_TIMES);
            let full = piece / ZEROS.0.len();
            let mut slices = [IoSlice::new(&ZEROS.0); ZEROS_TIMES];
            let used = if full == 0 {
                slices[0] = IoSlice::new(&ZEROS.0[..piece]);
                1
            } else {
                full
            };
            match pwritev2(&self.fd, &slices[..used], at, self.policy.cached) {
                Ok(0) => return Err(Failure::Medium(None)),
                Ok(moved) => at += bytes(moved),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(errno) => return Err(failure(errno, None)),
            }
        }
        Ok(Done::Done)
    }

    /// Makes everything written so far durable.
    pub(crate) fn flush(&self) -> Result<Done, Failure> {
        loop {
            match fdatasync(&self.fd) {
                Ok(()) => return Ok(Done::Done),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(failure(errno, None)),
            }
        }
    }

    /// What the outcome of an operation means, with all that was told before.
    ///
    /// A durable write that fails may have been told of what others lost; the witness knows. Where there is none, all but a want of space
    /// counts as that.
    pub(crate) fn judge(&self, op: &Op, result: Result<Done, Failure>) -> Result<Done, Failure> {
        use Durability::Durable;
        match (op, &result) {
            (Op::Flush, Err(_)) | (Op::Write { durability: Durable, .. }, Err(Failure::Medium(_)))
                if self.lazy =>
            {
                self.lost.store(true, Ordering::Release);
                result
            }
            (Op::Write { durability: Durable, .. }, Err(failure))
                if self.lazy && self.witness.is_none() && *failure != Failure::NoSpace =>
            {
                self.lost.store(true, Ordering::Release);
                result
            }
            (Op::Flush | Op::Write { durability: Durable, .. }, Ok(_)) if self.has_lost() => {
                Err(Failure::Medium(None))
            }
            _ => result,
        }
    }

    /// Whether cached data did not reach the medium, as far as the kernel knows now.
    fn has_lost(&self) -> bool {
        if let Some(witness) = &self.witness
            && !self.lost.load(Ordering::Acquire)
        {
            let witness = witness.lock().unwrap_or_else(PoisonError::into_inner);
            if was_lost(&witness) {
                self.lost.store(true, Ordering::Release);
            }
        }
        self.lost.load(Ordering::Acquire)
    }

    /// How a ring does an operation.
    pub(crate) fn entry(&self, op: &Op) -> Option<Entry<'_>> {
        let flags = match op {
            Op::Read { .. } | Op::Flush => ReadWriteFlags::empty(),
            Op::Write { durability, .. } => self.policy.flags(*durability),
            _ => return None,
        };
        Some(Entry { fd: self.fd(), flags })
    }
}

/// The outcome of a transfer that was tried once, unless the rest of it would wait.
///
/// What was transferred in part is done again as a whole: the blocks are the same.
fn whole(progress: Progress) -> Option<Result<Done, Failure>> {
    match progress {
        Progress::Finished(Err(Failure::Other(libc::EOPNOTSUPP))) => None,
        Progress::Finished(result) => Some(result),
        Progress::At(_) | Progress::Interrupted => None,
    }
}

/// Writes to the page cache, [`PIECE_BYTES`] at a time, as long as `write` takes whole pieces. How much was written, if
/// anything was.
fn in_pieces(
    buf: &[u8],
    mut write: impl FnMut(usize, &[u8]) -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    let mut done = 0;
    for piece in buf.chunks(PIECE_BYTES) {
        match write(done, piece) {
            Ok(moved) if moved == piece.len() => done += moved,
            Ok(moved) => return Ok(done + moved),
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// Repeats `call`, which is told how many bytes are done, until the transfer is.
fn complete(
    direction: Direction,
    (at, len): (u64, usize),
    mut call: impl FnMut(usize) -> Result<usize, Errno>,
) -> Result<Done, Failure> {
    let mut done = 0;
    loop {
        let moved = call(done);
        match progress(direction, (at, len), done, moved) {
            Progress::Finished(result) => return result,
            Progress::At(now) => done = now,
            Progress::Interrupted => {}
        }
    }
}

/// The same file, opened once more.
fn reopen(fd: &OwnedFd) -> Option<OwnedFd> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}

/// Whether reads may ask not to wait.
fn nowait_reads(fd: BorrowedFd<'_>) -> bool {
    let read = preadv2(fd, &mut [IoSliceMut::new(&mut [0])], 0, ReadWriteFlags::NOWAIT);
    matches!(read, Ok(_) | Err(Errno::AGAIN))
}

/// Zeros to write, aligned for `O_DIRECT`.
#[repr(align(4096))]
struct Zeros([u8; 64 << 10]);
static ZEROS: Zeros = Zeros([0; 64 << 10]);

/// Bytes written to the page cache at a time. Linux keeps what one call writes in folios as large as the call, and ext4 goes through all
/// buffers of a folio at each later write into it: after writes of 1 MiB, one of 4 KiB costs 45 µs, after 64 KiB 6 µs, after 16 KiB 4 µs (Linux 6.18).
const PIECE_BYTES: usize = 16 << 10;

/// Zeros gathered into one write: a megabyte.
const ZEROS_TIMES: usize = 16;

/// Watches writes that cannot be asked not to wait.
///
/// They copy into the page cache and seldom wait; but once more is dirty than the kernel likes, it makes the writer
/// pause, and the whole reactor with it. A write that took too long raises suspicion: for a while it is counted whether
/// writes wait, because a thread that is only put aside in favour of another takes as long. The first that did wait sends
/// writes elsewhere, and each further time for longer.
#[derive(Debug)]
struct Stalls {
    origin: Instant,
    /// Until when it is counted whether writes wait, nanoseconds after `origin`.
    suspicious_until: AtomicU64,
    /// Until when writes go elsewhere.
    until: AtomicU64,
    /// For how long the next stall sends them there.
    pause: AtomicU64,
}

/// Whether a write waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waited {
    Unknown,
    No,
    Yes,
}

/// What is too long: some times what the largest transfer takes to copy.
const STALL: Duration = Duration::from_millis(2);
const SUSPICION: u64 = 1_000_000_000;
const PAUSE_MIN: u64 = 50_000_000;
const PAUSE_MAX: u64 = 3_200_000_000;

impl Stalls {
    fn new() -> Self {
        Self {
            origin: Instant::now(),
            suspicious_until: AtomicU64::new(0),
            until: AtomicU64::new(0),
            pause: AtomicU64::new(PAUSE_MIN),
        }
    }

    /// Does it, unless writes go elsewhere now.
    fn watch<T>(&self, write: impl FnOnce() -> Option<T>) -> Option<T> {
        let start = self.origin.elapsed();
        if !self.open(start) {
            return None;
        }
        let counted = nanos(start) < self.suspicious_until.load(Ordering::Relaxed);
        let before = counted.then(waits);
        let outcome = write();
        let end = self.origin.elapsed();
        if end.saturating_sub(start) < STALL {
            self.relax(start);
        } else {
            self.judge(
                end,
                match before.map(|before| waits() > before) {
                    None => Waited::Unknown,
                    Some(false) => Waited::No,
                    Some(true) => Waited::Yes,
                },
            );
        }
        outcome
    }

    fn open(&self, now: Duration) -> bool {
        nanos(now) >= self.until.load(Ordering::Relaxed)
    }

    /// A write took too long and ended at `end`.
    fn judge(&self, end: Duration, waited: Waited) {
        let end = nanos(end);
        self.suspicious_until.store(end + SUSPICION, Ordering::Relaxed);
        if waited == Waited::Yes {
            let pause = self.pause.load(Ordering::Relaxed);
            self.until.store(end + pause, Ordering::Relaxed);
            self.suspicious_until.store(end + pause + SUSPICION, Ordering::Relaxed);
            self.pause.store((pause * 2).min(PAUSE_MAX), Ordering::Relaxed);
        }
    }

    /// A write at `now` was quick.
    fn relax(&self, now: Duration) {
        if self.pause.load(Ordering::Relaxed) != PAUSE_MIN && self.calm(now) {
            self.pause.store(PAUSE_MIN, Ordering::Relaxed);
        }
    }

    /// Writes have been back for as long as they were sent away.
    fn calm(&self, now: Duration) -> bool {
        nanos(now) >= self.until.load(Ordering::Relaxed) + self.pause.load(Ordering::Relaxed)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use felio_hal::Pool;
    use felio_hal::buf::Budget;
    use rustix::event::{EventfdFlags, eventfd};

    use super::*;
    use crate::policy::CacheMode;

    fn check(direction: Direction, done: usize, moved: Result<usize, Errno>, want: Progress) {
        assert_eq!(progress(direction, (8192, 4096), done, moved), want);
    }

    #[test]
    fn a_full_transfer_is_done() {
        check(Direction::Read, 0, Ok(4096), Progress::Finished(Ok(Done::Done)));
    }

    #[test]
    fn a_partial_transfer_goes_on_where_it_stopped() {
        check(Direction::Write, 512, Ok(1024), Progress::At(1536));
    }

    #[test]
    fn the_last_part_completes_it() {
        check(Direction::Read, 4000, Ok(96), Progress::Finished(Ok(Done::Done)));
    }

    #[test]
    fn a_read_at_the_end_of_the_file_is_short() {
        check(Direction::Read, 512, Ok(0), Progress::Finished(Err(Failure::Short)));
    }

    #[test]
    fn a_read_that_cannot_go_on_at_the_odd_end_of_a_cut_file_is_short() {
        check(Direction::Read, 700, Err(Errno::INVAL), Progress::Finished(Err(Failure::Short)));
    }

    #[test]
    fn an_interrupted_call_is_repeated() {
        check(Direction::Write, 0, Err(Errno::INTR), Progress::Interrupted);
        check(Direction::Write, 0, Err(Errno::AGAIN), Progress::Interrupted);
    }

    #[test]
    fn a_bad_spot_is_where_a_transfer_stopped() {
        let bad = Progress::Finished(Err(Failure::Medium(Some(8192 + 512))));
        check(Direction::Read, 512, Err(Errno::IO), bad);
    }

    #[test]
    fn a_bad_spot_is_unknown_if_nothing_was_transferred() {
        check(Direction::Read, 0, Err(Errno::IO), Progress::Finished(Err(Failure::Medium(None))));
    }

    #[test]
    fn no_piece_is_written_behind_one_that_was_not_taken_whole() {
        for taken in [0, 512] {
            let mut calls = Vec::new();
            let moved = in_pieces(&[0; 3 * PIECE_BYTES], |done, piece| {
                calls.push(done);
                Ok(if done == 0 { piece.len() } else { taken })
            });
            assert_eq!((moved, &calls[..]), (Ok(PIECE_BYTES + taken), &[0, PIECE_BYTES][..]));
        }
    }

    const FLUSH: Op = Op::Flush;
    const BROKEN: Result<Done, Failure> = Err(Failure::Medium(None));

    fn transfer(mode: CacheMode) -> Transfer {
        let fd = eventfd(0, EventfdFlags::CLOEXEC).expect("a descriptor");
        Transfer::new(fd, Policy::of(mode))
    }

    fn write(durability: Durability) -> Op {
        let buf = Pool::new(Budget::new(4096)).take(512).expect("within the budget");
        Op::Write { at: 0, buf, durability }
    }

    #[test]
    fn after_cached_data_was_lost_nothing_is_told_to_be_durable() {
        for first in [FLUSH, write(Durability::Durable)] {
            let transfer = transfer(CacheMode::WriteBack);
            assert_eq!(transfer.judge(&first, BROKEN), BROKEN);
            assert_eq!(transfer.judge(&FLUSH, Ok(Done::Done)), BROKEN);
            assert_eq!(transfer.judge(&write(Durability::Durable), Ok(Done::Done)), BROKEN);
            assert_eq!(transfer.judge(&write(Durability::Cached), Ok(Done::Done)), Ok(Done::Done));
        }
    }

    #[test]
    fn a_cached_write_that_fails_or_a_durable_one_without_space_has_lost_nothing_else() {
        let transfer = transfer(CacheMode::WriteBack);
        assert_eq!(transfer.judge(&write(Durability::Cached), BROKEN), BROKEN);
        let full = Err(Failure::NoSpace);
        assert_eq!(transfer.judge(&write(Durability::Durable), full.clone()), full);
        assert_eq!(transfer.judge(&FLUSH, Ok(Done::Done)), Ok(Done::Done));
    }

    #[test]
    fn a_flush_may_be_tried_again_where_the_page_cache_holds_nothing_alone() {
        for mode in [CacheMode::WriteThrough, CacheMode::Direct] {
            let transfer = transfer(mode);
            assert_eq!(transfer.judge(&FLUSH, BROKEN), BROKEN);
            assert_eq!(transfer.judge(&FLUSH, Ok(Done::Done)), Ok(Done::Done));
        }
    }

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn one_long_write_is_only_suspicious() {
        let stalls = Stalls::new();
        stalls.judge(MS(20), Waited::Unknown);
        assert!(stalls.open(MS(20)));
    }

    #[test]
    fn a_thread_that_was_put_aside_did_not_stall() {
        let stalls = Stalls::new();
        stalls.judge(MS(20), Waited::No);
        assert!(stalls.open(MS(20)));
    }

    #[test]
    fn a_stall_sends_writes_elsewhere_for_a_while() {
        let stalls = Stalls::new();
        stalls.judge(MS(20), Waited::Yes);
        assert!(!stalls.open(MS(69)) && stalls.open(MS(70)));
    }

    #[test]
    fn a_second_stall_sends_them_for_longer() {
        let stalls = Stalls::new();
        stalls.judge(MS(20), Waited::Yes);
        stalls.judge(MS(80), Waited::Yes);
        assert!(!stalls.open(MS(179)) && stalls.open(MS(180)));
    }

    #[test]
    fn a_calm_time_is_forgiven() {
        let stalls = Stalls::new();
        stalls.judge(MS(20), Waited::Yes);
        stalls.relax(MS(1000));
        stalls.judge(MS(1020), Waited::Yes);
        assert!(stalls.open(MS(1070)));
    }
}
