//! Sequence numbers in force: which commands may come (CmdSN), in which order they are delivered, and which statuses the
//! initiator has seen (StatSN).
//!
//! Not here: what a number is ([`Sn`]) and what a command does. Invariants: [`Window::maximum`] never moves back; fewer
//! than `depth` commands are held at any time; what [`Window::poll_ready`] hands out is in the order of CmdSN, without gaps.

use crate::pdu::Sn;
use std::collections::VecDeque;

/// The command window of a session, and the commands that came before their turn.
//= RFC 7143 "Command Numbering and Acknowledging"
#[derive(Debug)]
pub(crate) struct Window<T> {
    expected: Sn,
    maximum: Sn,
    depth: u32,
    /// What has come of `expected`, `expected + 1`, …; the first is always `None` between calls.
    held: VecDeque<Option<T>>,
}

/// Where a CmdSN stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is the one that is expected.
    Next,
    /// It may come, but others are missing before it.
    Ahead,
    /// Outside the window, or a duplicate within it: to be ignored without a word.
    Outside,
}

impl<T> Window<T> {
    /// A window of `depth` commands that begins at `first`.
    pub(crate) fn new(first: Sn, depth: u32) -> Self {
        Self {
            expected: first,
            maximum: (first + depth.max(1)).previous(),
            depth: depth.max(1),
            held: VecDeque::new(),
        }
    }

    /// Takes in the expected number: the command behind it is delivered by the caller.
    pub(crate) fn handle_next(&mut self) {
        self.expected += 1;
        let hole = self.held.pop_front().flatten();
        assert!(hole.is_none(), "the expected command cannot be held");
    }

    /// The command that was delivered last was rejected: its number is expected again.
    pub(crate) fn handle_rejected(&mut self) {
        self.expected = self.expected.previous();
        if !self.held.is_empty() {
            self.held.push_front(None);
        }
    }

    /// Keeps a command until its turn comes.
    pub(crate) fn hold(&mut self, sn: Sn, item: T) {
        assert_eq!(self.place(sn), Place::Ahead, "only commands ahead are held");
        let at = self.index(sn);
        if self.held.len() <= at {
            self.held.resize_with(at + 1, || None);
        }
        self.held[at] = Some(item);
    }

    /// The held command whose turn has come.
    #[must_use]
    pub(crate) fn poll_ready(&mut self) -> Option<T> {
        let item = self.held.front_mut()?.take()?;
        self.held.pop_front();
        self.expected += 1;
        Some(item)
    }

    /// Opens the window as far as it may be while `running` numbered commands are not yet answered.
    pub(crate) fn handle_credit(&mut self, running: u32) {
        let last = (self.expected + self.depth.saturating_sub(running)).previous();
        if self.maximum.is_before(last) {
            self.maximum = last;
        }
    }

    /// Where a CmdSN stands.
    pub(crate) fn place(&self, sn: Sn) -> Place {
        if !sn.is_within(self.expected, self.maximum) {
            Place::Outside
        } else if sn == self.expected {
            Place::Next
        } else if matches!(self.held.get(self.index(sn)), Some(Some(_))) {
            Place::Outside
        } else {
            Place::Ahead
        }
    }

    /// Whether commands are held back by a gap.
    pub(crate) fn has_gap(&self) -> bool {
        !self.held.is_empty()
    }

    /// The held commands.
    pub(crate) fn held(&self) -> impl Iterator<Item = &T> {
        self.held.iter().flatten()
    }

    /// The held commands and their numbers.
    pub(crate) fn held_mut(&mut self) -> impl Iterator<Item = (Sn, &mut T)> {
        let first = self.expected;
        (0..).zip(self.held.iter_mut()).filter_map(move |(at, item)| Some((first + at, item.as_mut()?)))
    }

    /// ExpCmdSN.
    pub(crate) const fn expected(&self) -> Sn {
        self.expected
    }

    /// MaxCmdSN.
    pub(crate) const fn maximum(&self) -> Sn {
        self.maximum
    }

    fn index(&self, sn: Sn) -> usize {
        usize::try_from(self.expected.steps_to(sn)).unwrap_or(usize::MAX)
    }
}

/// Which statuses were sent and which the initiator has confirmed.
//= RFC 7143 "Response/Status Numbering and Acknowledging"
#[derive(Debug, Clone, Copy)]
pub(crate) struct StatusNumbers {
    next: Sn,
    acknowledged: Sn,
}

impl StatusNumbers {
    /// The first status will be `next`.
    pub(crate) const fn new(next: Sn) -> Self {
        Self { next, acknowledged: next }
    }

    /// The number of a status that is sent now.
    pub(crate) fn take(&mut self) -> Sn {
        self.next.take()
    }

    /// The initiator expects `expected` next. What it cannot expect is not believed.
    pub(crate) fn handle_expected(&mut self, expected: Sn) {
        if expected.is_within(self.acknowledged, self.next) {
            self.acknowledged = expected;
        }
    }

    /// The number that the next status will have.
    pub(crate) const fn next(&self) -> Sn {
        self.next
    }

    /// Statuses that were sent and not confirmed.
    pub(crate) const fn unacknowledged(&self) -> u32 {
        self.acknowledged.steps_to(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, StatusNumbers, Window};
    use crate::pdu::Sn;

    #[test]
    fn the_window_holds_as_many_commands_as_it_is_deep() {
        let window: Window<()> = Window::new(Sn(0xffff_fffe), 4);
        assert_eq!(window.maximum(), Sn(1));
        assert_eq!(window.place(Sn(0xffff_fffe)), Place::Next);
        assert_eq!(window.place(Sn(1)), Place::Ahead);
        assert_eq!(window.place(Sn(2)), Place::Outside);
        assert_eq!(window.place(Sn(0xffff_fffd)), Place::Outside);
    }

    #[test]
    fn held_commands_come_out_in_order_once_the_gap_is_filled() {
        let mut window = Window::new(Sn(10), 8);
        window.hold(Sn(12), 'c');
        window.hold(Sn(11), 'b');
        assert_eq!(window.poll_ready(), None);
        window.handle_next();
        assert_eq!(
            [window.poll_ready(), window.poll_ready(), window.poll_ready()],
            [Some('b'), Some('c'), None]
        );
        assert_eq!(window.expected(), Sn(13));
        assert!(!window.has_gap());
    }

    #[test]
    fn a_duplicate_of_a_held_command_is_outside() {
        let mut window = Window::new(Sn(0), 8);
        window.hold(Sn(3), ());
        assert_eq!(window.place(Sn(3)), Place::Outside);
    }

    #[test]
    fn a_rejected_command_leaves_a_gap() {
        let mut window = Window::new(Sn(0), 8);
        window.hold(Sn(2), 'c');
        window.hold(Sn(1), 'b');
        window.handle_next();
        assert_eq!(window.poll_ready(), Some('b'));
        window.handle_rejected();
        assert_eq!((window.expected(), window.poll_ready()), (Sn(1), None));
        window.handle_next();
        assert_eq!(window.poll_ready(), Some('c'));
        window.handle_rejected();
        assert_eq!((window.expected(), window.place(Sn(2)), window.has_gap()), (Sn(2), Place::Next, false));
    }

    #[test]
    fn running_commands_close_the_window_and_it_never_shrinks() {
        let mut window: Window<()> = Window::new(Sn(0), 2);
        window.handle_next();
        window.handle_credit(1);
        assert_eq!(window.maximum(), Sn(1));
        window.handle_next();
        window.handle_credit(2);
        assert_eq!(window.maximum(), Sn(1));
        assert_eq!(window.place(Sn(2)), Place::Outside);
        window.handle_credit(0);
        assert_eq!(window.maximum(), Sn(3));
    }

    #[test]
    fn a_status_that_was_not_sent_cannot_be_acknowledged() {
        let mut status = StatusNumbers::new(Sn(5));
        status.take();
        status.handle_expected(Sn(9));
        assert_eq!(status.unacknowledged(), 1);
        status.handle_expected(Sn(6));
        assert_eq!(status.unacknowledged(), 0);
    }
}
