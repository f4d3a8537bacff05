//! When connections want to be woken: a heap that is corrected lazily.
//!
//! A connection's deadline moves with every PDU, nearly always later. Only a deadline *earlier* than the one on the heap is pushed;
//! an entry that comes up is compared with what its connection wants by then. So the data path costs one comparison.
//!
//! Invariant: for each connection with a deadline the heap holds an entry at [`Armed`]'s time, no later than the deadline.

use super::slots::Key;
use core::cmp::Reverse;
use felio_hal::Time;
use std::collections::BinaryHeap;

/// The time of a connection's entry on the heap, if it has one that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Armed(Option<Time>);

/// All deadlines of a reactor's connections.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Time, u32, u32)>>,
}

impl Timers {
    /// Sees to it that `key` comes up no later than `at`.
    pub(crate) fn arm(&mut self, key: Key, armed: &mut Armed, at: Option<Time>) {
        let Some(at) = at else { return };
        if armed.0.is_none_or(|earlier| at < earlier) {
            armed.0 = Some(at);
            self.heap.push(Reverse((at, key.slot, key.generation)));
        }
    }

    /// The next connection whose entry has come up; the caller asks [`Armed::is_at`] whether the entry still counts.
    pub(crate) fn pop(&mut self, now: Time) -> Option<(Time, Key)> {
        let Reverse((at, slot, generation)) = *self.heap.peek()?;
        if at > now {
            return None;
        }
        self.heap.pop();
        Some((at, Key { slot, generation }))
    }

    /// When something comes up.
    pub(crate) fn next(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Throws away what no longer counts, as `keep` says: peers that move their deadlines to and fro leave dead entries behind.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(Time, Key) -> bool) {
        self.heap.retain(|Reverse((at, slot, generation))| {
            keep(*at, Key { slot: *slot, generation: *generation })
        });
    }
}

impl Armed {
    /// None.
    pub(crate) const NONE: Self = Self(None);

    /// Whether an entry of time `at` is the one that counts.
    pub(crate) fn is_at(self, at: Time) -> bool {
        self.0 == Some(at)
    }

    /// The entry that counts came up.
    pub(crate) const fn clear(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key { slot: 3, generation: 1 };

    #[test]
    fn a_later_deadline_is_not_pushed() {
        let (mut timers, mut armed) = (Timers::default(), Armed::default());
        timers.arm(KEY, &mut armed, Some(Time(5)));
        timers.arm(KEY, &mut armed, Some(Time(9)));
        assert_eq!((timers.len(), timers.next()), (1, Some(Time(5))));
    }

    #[test]
    fn an_earlier_deadline_takes_over() {
        let (mut timers, mut armed) = (Timers::default(), Armed::default());
        timers.arm(KEY, &mut armed, Some(Time(9)));
        timers.arm(KEY, &mut armed, Some(Time(5)));
        assert_eq!(timers.pop(Time(5)), Some((Time(5), KEY)));
        assert!(armed.is_at(Time(5)) && !armed.is_at(Time(9)));
    }

    #[test]
    fn nothing_comes_up_early() {
        let (mut timers, mut armed) = (Timers::default(), Armed::default());
        timers.arm(KEY, &mut armed, Some(Time(5)));
        assert_eq!(timers.pop(Time(4)), None);
    }
}
