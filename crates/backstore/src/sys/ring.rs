//! An io_uring ring that owns the buffers which the kernel works on.
//!
//! Whatever is pushed moves into a slot and leaves it with its completion: nobody else can touch or free the memory
//! meanwhile. A ring that is dropped waits for the kernel, and if that takes too long leaks the memory rather than
//! freeing it under the kernel's hands.
//!
//! Invariants: at most as many operations are in the ring as it has slots, and it was made with as many entries, so
//! neither queue can overflow. `staged` lists the slots whose entries the kernel has not taken yet, in order.

use core::mem::{self, ManuallyDrop};
use core::time::Duration;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use felio_hal::store::Op;
use io_uring::{IoUring, Probe, opcode, squeue, types};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ReadWriteFlags};

use crate::store::Entry;

/// How long a ring that is dropped waits for the kernel before it gives its memory up.
const DROP_WAIT: Duration = if cfg!(test) { Duration::from_millis(20) } else { Duration::from_secs(5) };

/// Tries to enter the kernel in a row before the turn goes on without.
const ENTER_TRIES: usize = 8;

/// A ring; `T` names an operation to its owner.
pub(crate) struct Ring<T> {
    ring: ManuallyDrop<IoUring>,
    slots: Box<[Option<Slot<T>>]>,
    free: Vec<u32>,
    staged: Vec<u32>,
    event: Arc<OwnedFd>,
    /// The kernel refused an entry for good and must not be entered again: it would find what was taken back.
    closed: bool,
}

struct Slot<T> {
    op: Op,
    done: usize,
    ticket: T,
}

/// What came back from the kernel.
pub(crate) struct Finished<T> {
    /// The operation as it was pushed.
    pub(crate) op: Op,
    /// Bytes of it that were done before.
    pub(crate) done: usize,
    /// Whose it is.
    pub(crate) ticket: T,
    /// Bytes done now.
    pub(crate) moved: Result<usize, Errno>,
}

impl<T> Ring<T> {
    /// A ring for `depth` operations that signals `event` at each completion.
    ///
    /// Fails where the kernel has no io_uring, lacks an operation, or refuses it to this process.
    pub(crate) fn new(depth: usize, event: &Arc<OwnedFd>) -> Result<Self, Errno> {
        let entries = u32::try_from(depth.next_power_of_two()).map_err(|_| Errno::INVAL)?;
        let ring = IoUring::new(entries).map_err(|error| errno(&error))?;
        probe(&ring)?;
        let slots: Box<[_]> = (0..depth).map(|_| None).collect();
        let free = (0..entries).take(depth).rev().collect();
        let staged = Vec::with_capacity(depth);
        let ring = ManuallyDrop::new(ring);
        let mut ring = Self { ring, slots, free, staged, event: Arc::clone(event), closed: false };
        ring.enter_once()?;
        // Where an operation has to wait, a thread of the kernel's does, and there are few of them; operations of a store that hangs would keep
        // those of all others from it. A kernel that does not know this stays as it is.
        let _ = ring.ring.submitter().register_iowq_max_workers(&mut [entries, 0]);
        ring.ring.submitter().register_eventfd(event.as_raw_fd()).map_err(|error| errno(&error))?;
        Ok(ring)
    }

    /// Stages an operation, of which `done` bytes are done already. It comes back if it is none that a ring does, or
    /// if the ring is full or closed.
    ///
    /// The descriptor must stay open until the next [`Ring::submit`].
    pub(crate) fn push(&mut self, entry: Entry<'_>, op: Op, done: usize, ticket: T) -> Result<(), (Op, T)> {
        if self.closed {
            return Err((op, ticket));
        }
        let Some(index) = self.free.pop() else { return Err((op, ticket)) };
        let mut slot = Slot { op, done, ticket };
        let Some(sqe) = submission(entry, &mut slot.op, done) else {
            self.free.push(index);
            return Err((slot.op, slot.ticket));
        };
        // SAFETY: the memory that the entry points to is the buffer's heap memory. It moves into the slot (which does
        // not move the heap memory) and stays there, untouched, until the kernel has answered this entry.
        // JUSTIFICATION: entries hold raw pointers; the slot is what makes them sound.
        let pushed = unsafe { self.ring.submission().push(&sqe.user_data(u64::from(index))) };
        if pushed.is_err() {
            self.free.push(index);
            return Err((slot.op, slot.ticket));
        }
        self.slots[place(index)] = Some(slot);
        self.staged.push(index);
        Ok(())
    }

    /// Operations that the kernel has not taken yet.
    pub(crate) const fn staged(&self) -> usize {
        self.staged.len()
    }

    /// Hands everything staged to the kernel. `AGAIN` and `BUSY`: try again later; any other error is for good, and
    /// [`Ring::take_staged`] is the way out.
    pub(crate) fn submit(&mut self) -> Result<(), Errno> {
        if self.closed {
            return Ok(());
        }
        for _ in 0..ENTER_TRIES {
            if self.staged.is_empty() {
                return Ok(());
            }
            match self.ring.submit() {
                Ok(taken) => drop(self.staged.drain(..taken.min(self.staged.len()))),
                Err(error) if errno(&error) == Errno::INTR => {}
                Err(error) => return Err(errno(&error)),
            }
        }
        if self.staged.is_empty() { Ok(()) } else { Err(Errno::AGAIN) }
    }

    /// Closes the ring and gives back what the kernel never took. What it did take still completes.
    pub(crate) fn take_staged(&mut self) -> Vec<(Op, T)> {
        self.closed = true;
        let staged = mem::take(&mut self.staged);
        staged.iter().filter_map(|index| self.take(*index)).map(|slot| (slot.op, slot.ticket)).collect()
    }

    /// The next completion, if one is there.
    pub(crate) fn poll(&mut self) -> Option<Finished<T>> {
        let cqe = self.ring.completion().next()?;
        let slot = u32::try_from(cqe.user_data()).ok().and_then(|index| self.take(index));
        let Slot { op, done, ticket } = slot.expect("the kernel answers each entry once");
        let moved = usize::try_from(cqe.result()).map_err(|_| Errno::from_raw_os_error(-cqe.result()));
        Some(Finished { op, done, ticket, moved })
    }

    /// Operations in the ring.
    pub(crate) fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn take(&mut self, index: u32) -> Option<Slot<T>> {
        let slot = self.slots.get_mut(place(index))?.take()?;
        self.free.push(index);
        Some(slot)
    }

    /// Sends one entry around that does nothing: a filter may allow the set-up and refuse the use.
    fn enter_once(&mut self) -> Result<(), Errno> {
        // SAFETY: the entry points to no memory.
        // JUSTIFICATION: pushing is unsafe for the sake of entries that do.
        unsafe { self.ring.submission().push(&opcode::Nop::new().build()) }.map_err(|_| Errno::BUSY)?;
        self.ring.submit_and_wait(1).map_err(|error| errno(&error))?;
        self.ring.completion().next().map(drop).ok_or(Errno::IO)
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        drop(self.take_staged());
        let deadline = Instant::now() + DROP_WAIT;
        while self.in_flight() > 0 {
            while self.poll().is_some() {}
            let left = deadline.saturating_duration_since(Instant::now());
            if self.in_flight() == 0 || left.is_zero() {
                break;
            }
            wait(self.event.as_fd(), left);
        }
        if self.in_flight() == 0 {
            // SAFETY: dropped here and never used again.
            // JUSTIFICATION: the alternative below must keep it.
            unsafe { ManuallyDrop::drop(&mut self.ring) }
        } else {
            // The kernel may yet write to these buffers: they live on without an owner.
            mem::forget(mem::take(&mut self.slots));
        }
    }
}

/// The entry that carries the operation on from `done` bytes.
fn submission(entry: Entry<'_>, op: &mut Op, done: usize) -> Option<squeue::Entry> {
    let fd = types::Fd(entry.fd.as_raw_fd());
    let flags = rw_flags(entry.flags);
    match op {
        Op::Read { at, buf } => {
            let rest = buf.get_mut(done..)?;
            let len = u32::try_from(rest.len()).ok()?;
            let read = opcode::Read::new(fd, rest.as_mut_ptr(), len);
            Some(read.offset(at.checked_add(crate::store::bytes(done))?).rw_flags(flags).build())
        }
        Op::Write { at, buf, .. } => {
            let rest = buf.get(done..)?;
            let len = u32::try_from(rest.len()).ok()?;
            let write = opcode::Write::new(fd, rest.as_ptr(), len);
            Some(write.offset(at.checked_add(crate::store::bytes(done))?).rw_flags(flags).build())
        }
        Op::Flush => Some(opcode::Fsync::new(fd).flags(types::FsyncFlags::DATASYNC).build()),
        _ => None,
    }
}

/// Refuses a kernel whose ring lacks one of our operations.
fn probe(ring: &IoUring) -> Result<(), Errno> {
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(|error| errno(&error))?;
    let needed = [opcode::Read::CODE, opcode::Write::CODE, opcode::Fsync::CODE];
    if needed.iter().all(|code| probe.is_supported(*code)) { Ok(()) } else { Err(Errno::NOSYS) }
}

/// Sleeps until the ring has signalled or the time is over.
fn wait(event: BorrowedFd<'_>, left: Duration) {
    let timeout = Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(left.subsec_nanos()),
    };
    let _ = poll(&mut [PollFd::new(&event, PollFlags::IN)], Some(&timeout));
    let _ = rustix::io::read(event, &mut [0u8; 8]);
}

fn rw_flags(flags: ReadWriteFlags) -> i32 {
    i32::try_from(flags.bits()).unwrap_or(0)
}

fn place(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use std::io::{Write, pipe};

    use felio_hal::Pool;
    use felio_hal::buf::Budget;
    use rustix::event::{EventfdFlags, eventfd};

    use super::*;

    fn ring(depth: usize) -> Ring<u32> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("an eventfd");
        Ring::new(depth, &Arc::new(event)).expect("a kernel with io_uring")
    }

    fn read(budget: &Arc<Budget>) -> Op {
        Op::Read { at: 0, buf: Pool::new(Arc::clone(budget)).take(4096).expect("within the budget") }
    }

    fn entry(fd: &impl AsFd) -> Entry<'_> {
        Entry { fd: fd.as_fd(), flags: ReadWriteFlags::empty() }
    }

    #[test]
    fn a_dropped_ring_waits_for_the_kernel_and_frees_its_memory() {
        let (budget, mut ring, (from, mut to)) = (Budget::new(1 << 20), ring(4), pipe().expect("a pipe"));
        ring.push(entry(&from), read(&budget), 0, 1).expect("room");
        ring.submit().expect("taken");
        to.write_all(b"there").expect("written");
        drop(ring);
        assert_eq!(budget.bytes(), 0);
    }

    #[test]
    fn memory_that_the_kernel_does_not_give_back_is_never_freed() {
        let (budget, mut ring, (from, mut to)) = (Budget::new(1 << 20), ring(4), pipe().expect("a pipe"));
        ring.push(entry(&from), read(&budget), 0, 1).expect("room");
        ring.submit().expect("taken");
        drop(ring);
        to.write_all(b"late").expect("written");
        assert_eq!(budget.bytes(), 4096);
    }

    #[test]
    fn what_was_never_handed_over_is_freed_at_once() {
        let (budget, mut ring, (from, _to)) = (Budget::new(1 << 20), ring(4), pipe().expect("a pipe"));
        ring.push(entry(&from), read(&budget), 0, 1).expect("room");
        drop(ring);
        assert_eq!(budget.bytes(), 0);
    }

    #[test]
    fn a_closed_ring_gives_back_what_the_kernel_did_not_take() {
        let (budget, mut ring, (from, _to)) = (Budget::new(1 << 20), ring(4), pipe().expect("a pipe"));
        ring.push(entry(&from), read(&budget), 0, 7).expect("room");
        let back = ring.take_staged();
        assert!(matches!(back[..], [(Op::Read { .. }, 7)]));
        assert!(ring.push(entry(&from), read(&budget), 0, 8).is_err());
        assert_eq!(ring.in_flight(), 0);
    }

    #[test]
    fn a_full_ring_gives_back_what_does_not_fit() {
        let (budget, mut ring, (from, _to)) = (Budget::new(1 << 20), ring(1), pipe().expect("a pipe"));
        ring.push(entry(&from), read(&budget), 0, 1).expect("room");
        assert!(matches!(ring.push(entry(&from), read(&budget), 0, 2), Err((Op::Read { .. }, 2))));
    }

    #[test]
    fn what_a_ring_cannot_do_comes_back() {
        let (mut ring, (from, _to)) = (ring(1), pipe().expect("a pipe"));
        assert!(matches!(ring.push(entry(&from), Op::Size, 0, 1), Err((Op::Size, 1))));
        assert_eq!(ring.in_flight(), 0);
    }

    #[test]
    fn part_of_a_transfer_is_carried_on_behind_what_is_done() {
        let (budget, mut ring, (from, mut to)) = (Budget::new(1 << 20), ring(1), pipe().expect("a pipe"));
        to.write_all(b"there").expect("written");
        let Op::Read { at, mut buf } = read(&budget) else { return };
        buf.fill(b'x');
        ring.push(entry(&from), Op::Read { at, buf }, 3, 1).expect("room");
        ring.submit().expect("taken");
        wait(ring.event.as_fd(), Duration::from_secs(10));
        let finished = ring.poll().expect("there is data");
        let Op::Read { buf, .. } = finished.op else { panic!("another operation") };
        assert_eq!((finished.done, finished.moved, &buf[..9]), (3, Ok(5), &b"xxxtherex"[..]));
    }
}
