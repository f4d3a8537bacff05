//! Data buffers and the pool that they come from.
//!
//! A [`Buf`] has one owner at a time and moves with its command: pool → port or engine → store → engine → port → pool.
//! Its memory is page-aligned, so that it serves O_DIRECT as it is, and is *not* cleared between uses: whoever hands a
//! buffer on towards an initiator has filled every byte of its length.
//!
//! Each reactor has a pool of its own. A buffer that ends its life on another reactor is collected there and sent home
//! ([`Pool::poll_foreign`]), so that a pool that only gives does not starve one that only takes.
//!
//! Invariant: the bytes of all buffers of all pools that share a [`Budget`] never exceed its maximum; what is allocated is
//! a page more for each, which alignment costs and nobody counts. A buffer that is dropped instead of given back frees its
//! memory and its share of the budget.

use core::ops::{Deref, DerefMut, Range};
use std::sync::Arc;

mod budget;

pub use budget::Budget;

/// Smallest buffer, bytes, and the alignment of every buffer.
pub const PAGE_BYTES: usize = 4096;

/// Largest buffer, bytes: the longest transfer of a command.
pub const BUF_BYTES_MAX: usize = 8 << 20;

const CLASSES: usize = 12;
const _: () = assert!(class_bytes(CLASSES - 1) == BUF_BYTES_MAX);

/// Page-aligned memory of one size class, counted in the budget for as long as it lives.
struct Block {
    memory: Vec<u8>,
    start: usize,
    class: usize,
    home: u16,
    budget: Arc<Budget>,
}

impl Block {
    fn new(class: usize, home: u16, budget: &Arc<Budget>) -> Option<Box<Self>> {
        if !budget.reserve(class_bytes(class)) {
            return None;
        }
        // Over-allocated by a page: safe code cannot ask the allocator for an alignment.
        let memory = vec![0u8; class_bytes(class) + PAGE_BYTES];
        let start = memory.as_ptr().align_offset(PAGE_BYTES);
        Some(Box::new(Self { memory, start, class, home, budget: Arc::clone(budget) }))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.budget.release(class_bytes(self.class));
    }
}

/// A buffer of `len` bytes.
pub struct Buf {
    block: Box<Block>,
    len: usize,
}

impl Buf {
    /// Bytes it could hold.
    #[must_use]
    #[inline]
    pub fn capacity(&self) -> usize {
        class_bytes(self.block.class)
    }

    /// Shortens the buffer, or lengthens it within its capacity; bytes gained hold anything.
    ///
    /// # Panics
    /// When `len` is more than [`Buf::capacity`].
    #[inline]
    pub fn set_len(&mut self, len: usize) {
        assert!(len <= self.capacity(), "a buffer cannot grow past its capacity");
        self.len = len;
    }

    /// Makes the buffer these of its bytes: a part of a transfer is one of a part of its buffer. It keeps them all, and whoever
    /// narrowed it gives it back its whole length (from 0 on) before it goes elsewhere.
    ///
    /// # Panics
    /// When the window reaches past [`Buf::capacity`].
    pub fn set_window(&mut self, window: Range<usize>) {
        assert!(window.end <= self.capacity(), "a window within the buffer");
        self.block.start = self.block.memory.as_ptr().align_offset(PAGE_BYTES) + window.start;
        self.len = window.len();
    }
}

impl Deref for Buf {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        &self.block.memory[self.block.start..self.block.start + self.len]
    }
}

impl DerefMut for Buf {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.block.memory[self.block.start..self.block.start + self.len]
    }
}

impl core::fmt::Debug for Buf {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Buf({} of {})", self.len, self.capacity())
    }
}

/// A reactor's own store of free buffers.
#[derive(Debug)]
pub struct Pool {
    free: [Vec<Buf>; CLASSES],
    foreign: Vec<Buf>,
    home: u16,
    short: bool,
    budget: Arc<Budget>,
}

impl Pool {
    /// An empty pool under `budget`, of the only reactor.
    #[must_use]
    pub fn new(budget: Arc<Budget>) -> Self {
        Self::of(0, budget)
    }

    /// An empty pool under `budget`, of this reactor.
    #[must_use]
    pub fn of(home: u16, budget: Arc<Budget>) -> Self {
        Self { free: core::array::from_fn(|_| Vec::new()), foreign: Vec::new(), home, short: false, budget }
    }

    /// A buffer of exactly `len` bytes with arbitrary content, or `None` when the budget is spent (or `len` exceeds
    /// [`BUF_BYTES_MAX`]).
    #[must_use]
    #[inline]
    pub fn take(&mut self, len: usize) -> Option<Buf> {
        let class = class_of(len)?;
        let mut buf = match self.free[class].pop() {
            Some(buf) => buf,
            None => match self.allocate(class) {
                Some(buf) => buf,
                None => {
                    self.short = true;
                    return None;
                }
            },
        };
        buf.len = len;
        Some(buf)
    }

    /// Takes a buffer home, or keeps it for [`Pool::poll_foreign`].
    #[inline]
    pub fn give(&mut self, buf: Buf) {
        if buf.block.home == self.home {
            self.free[buf.block.class].push(buf);
        } else {
            self.foreign.push(buf);
        }
    }

    /// The next buffer that belongs to another reactor's pool, and which.
    #[must_use]
    pub fn poll_foreign(&mut self) -> Option<(u16, Buf)> {
        let buf = self.foreign.pop()?;
        Some((buf.block.home, buf))
    }

    /// Whether a buffer was wanting since the last time this was asked: others may have free ones to give up.
    #[must_use]
    pub fn poll_shortage(&mut self) -> bool {
        core::mem::take(&mut self.short)
    }

    /// Frees all that is not in use.
    pub fn trim(&mut self) {
        for class in &mut self.free {
            class.clear();
        }
    }

    /// The budget that it shares.
    #[must_use]
    pub const fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    fn allocate(&mut self, class: usize) -> Option<Buf> {
        loop {
            if let Some(block) = Block::new(class, self.home, &self.budget) {
                return Some(Buf { block, len: 0 });
            }
            // The budget is spent on other sizes: give up a free buffer, the largest first.
            let idle = self.free.iter_mut().rev().find(|class| !class.is_empty())?;
            drop(idle.pop());
        }
    }
}

const fn class_bytes(class: usize) -> usize {
    PAGE_BYTES << class
}

fn class_of(len: usize) -> Option<usize> {
    let pages = len.div_ceil(PAGE_BYTES).max(1).next_power_of_two();
    let class = usize::try_from(pages.ilog2()).ok()?;
    (class < CLASSES).then_some(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_page_aligned() {
        let mut pool = Pool::new(Budget::new(1 << 20));
        let buf = pool.take(5000).expect("within budget");
        assert_eq!(buf.as_ptr().align_offset(PAGE_BYTES), 0);
        assert_eq!((buf.len(), buf.capacity()), (5000, 8192));
    }

    #[test]
    fn a_window_is_a_part_of_the_same_bytes() {
        let mut buf = Pool::new(Budget::new(1 << 20)).take(3 * PAGE_BYTES).expect("within budget");
        buf.fill(0);
        buf.set_window(PAGE_BYTES..2 * PAGE_BYTES);
        buf.fill(1);
        assert_eq!((buf.len(), buf.as_ptr().align_offset(PAGE_BYTES)), (PAGE_BYTES, 0));
        buf.set_window(0..3 * PAGE_BYTES);
        let pages: Vec<u8> = buf.chunks(PAGE_BYTES).map(|page| page[0]).collect();
        assert_eq!(pages, [0, 1, 0]);
    }

    #[test]
    #[should_panic = "a window within the buffer"]
    fn no_window_reaches_past_the_capacity() {
        Pool::new(Budget::new(1 << 20)).take(1).expect("within budget").set_window(0..PAGE_BYTES + 1);
    }

    #[test]
    fn the_budget_bounds_all_pools_that_share_it() {
        let budget = Budget::new(8192);
        let (mut one, mut two) = (Pool::new(Arc::clone(&budget)), Pool::new(budget));
        let (a, b) = (one.take(1), two.take(1));
        assert!(a.is_some() && b.is_some() && one.take(1).is_none());
    }

    #[test]
    fn free_buffers_make_room_for_another_size() {
        let mut pool = Pool::new(Budget::new(8192));
        let small = pool.take(1).expect("within budget");
        pool.give(small);
        assert!(pool.take(8192).is_some());
    }

    #[test]
    fn a_dropped_buffer_leaves_the_budget() {
        let mut pool = Pool::new(Budget::new(4096));
        drop(pool.take(1));
        assert!(pool.take(1).is_some());
    }

    #[test]
    fn a_buffer_of_another_pool_is_sent_home() {
        let budget = Budget::new(8192);
        let (mut zero, mut one) = (Pool::of(0, Arc::clone(&budget)), Pool::of(1, budget));
        one.give(zero.take(1).expect("within budget"));
        let (home, buf) = one.poll_foreign().expect("not its own");
        zero.give(buf);
        assert_eq!((home, one.poll_foreign().is_none(), zero.poll_foreign().is_none()), (0, true, true));
    }

    #[test]
    fn a_shortage_is_told_once() {
        let mut pool = Pool::new(Budget::new(0));
        assert!(pool.take(1).is_none() && pool.poll_shortage() && !pool.poll_shortage());
    }

    #[test]
    fn more_than_the_largest_buffer_is_refused() {
        assert!(Pool::new(Budget::new(usize::MAX)).take(BUF_BYTES_MAX + 1).is_none());
    }
}
