//! Large reads and writes: how much of them a turn starts, and which of them are done in parts.
//!
//! A store in memory, or in the page cache, moves the bytes of an operation on the spot, and everybody waits: 1 MiB takes 100 to
//! 250 µs. So small operations go first, and a turn starts only so many bytes of large ones. Beside a connection that moves little it
//! starts one of them, and of that only a part, [`PART_BYTES`]; the rest follows in later turns. What does not come home at once keeps
//! nobody waiting (a disk has it): the rest of it goes in one.
//!
//! A part is an operation on a window of the buffer ([`Buf::set_window`]). Whoever asked for the whole learns nothing of parts: it gets
//! the whole buffer back, with the outcome of the last part or of the first that failed.
//!
//! [`Buf::set_window`]: felio_hal::Buf::set_window

use core::ops::Range;
use felio_hal::store::Durability;
use felio_hal::{Completion, Op, Submission, TaskId};
use std::collections::VecDeque;

/// Above this a store operation is large. Small ones go first.
pub const LARGE_BYTES: usize = 64 << 10;

/// Bytes of large store operations started in a turn, about: a store in memory executes them on the spot.
pub const STORE_BYTES: usize = 8 << 20;

/// The same where several connections are active.
pub const STORE_BYTES_SHARED: usize = 512 << 10;

/// The same beside a connection that moves little.
pub const PART_BYTES: usize = 256 << 10;

/// How large operations of this turn are started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pace {
    /// None.
    #[default]
    Pause,
    /// Whole ones, about so many bytes.
    Whole(usize),
    /// One part of one.
    Part,
}

/// The large operations that the store does not have, and what it has a part of.
#[derive(Debug, Default)]
pub(super) struct Large {
    /// In order. The engine submits nothing together that must not pass each other.
    waiting: VecDeque<Submission>,
    pace: Pace,
    begun: Vec<Begun>,
    /// Of which operation the store got a part since the pace was set.
    fresh: Option<TaskId>,
}

/// An operation that is done in parts.
#[derive(Debug)]
struct Begun {
    /// It has no other operation meanwhile.
    task: TaskId,
    writes: bool,
    /// Where the whole begins on the store, and how long it is.
    at: u64,
    len: usize,
    /// Where the part ends that the store has, or had last.
    end: usize,
    /// What is left goes in one.
    in_one: bool,
}

impl Large {
    /// What may start from now on.
    pub(super) const fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
        self.fresh = None;
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// There is more, but not at this pace.
    pub(super) fn is_held_back(&self) -> bool {
        self.pace == Pace::Pause && !self.is_empty()
    }

    pub(super) fn push(&mut self, submission: Submission) {
        self.waiting.push_back(submission);
    }

    /// The next for the store, as far as the pace allows.
    pub(super) fn pop(&mut self) -> Option<Submission> {
        let bytes = bytes_of(&self.waiting.front()?.op);
        let (part, then) = match self.pace {
            Pace::Pause => return None,
            Pace::Part => (PART_BYTES, Pace::Pause),
            Pace::Whole(left) if left > bytes => (usize::MAX, Pace::Whole(left - bytes)),
            Pace::Whole(_) => (usize::MAX, Pace::Pause),
        };
        let submission = self.waiting.pop_front()?;
        self.pace = then;
        self.fresh = Some(submission.task);
        Some(self.cut(submission, part))
    }

    /// The store had no room: a completion will bring us on.
    pub(super) fn put_back(&mut self, mut submission: Submission) {
        if let Some(begun) = self.begun.iter_mut().find(|begun| begun.task == submission.task) {
            begun.end -= bytes_of(&submission.op);
            begun.narrow(&mut submission.op, begun.end..begun.len);
        }
        self.waiting.push_front(submission);
        self.pace = Pace::Part;
    }

    /// What a completion is to whoever asked for the whole: nothing while parts are missing.
    #[inline]
    pub(super) fn handle_completion(&mut self, completion: Completion) -> Option<Completion> {
        if self.begun.is_empty() { Some(completion) } else { self.handle_part(completion) }
    }

    fn handle_part(&mut self, mut completion: Completion) -> Option<Completion> {
        let Some(index) = self.begun.iter().position(|begun| begun.task == completion.task) else {
            return Some(completion);
        };
        let begun = &mut self.begun[index];
        let Some(mut buf) = completion.buf.take() else { return Some(completion) };
        if completion.result.is_err() || begun.end == begun.len {
            buf.set_window(0..begun.len);
            completion.buf = Some(buf);
            self.begun.swap_remove(index);
            return Some(completion);
        }
        begun.in_one = self.fresh != Some(completion.task);
        let mut op = match begun.writes {
            true => Op::Write { at: 0, buf, durability: Durability::Cached },
            false => Op::Read { at: 0, buf },
        };
        begun.narrow(&mut op, begun.end..begun.len);
        self.waiting.push_front(Submission { store: completion.store, task: completion.task, op });
        None
    }

    /// What the store gets now of an operation: `part` bytes, if it can be cut.
    fn cut(&mut self, mut submission: Submission, part: usize) -> Submission {
        let index = self.begun.iter().position(|begun| begun.task == submission.task);
        let begun = match (index, Begun::new(&submission)) {
            (Some(index), _) => &mut self.begun[index],
            (None, Some(begun)) if part < begun.len => self.begun.push_mut(begun),
            (None, _) => return submission,
        };
        let start = begun.end;
        begun.end = if begun.in_one { begun.len } else { begun.len.min(start.saturating_add(part)) };
        begun.narrow(&mut submission.op, start..begun.end);
        submission
    }
}

impl Begun {
    /// A read, or a write that need not be durable: to make each part durable for itself would cost more than parts are worth.
    fn new(submission: &Submission) -> Option<Self> {
        let (writes, at, buf) = match &submission.op {
            Op::Read { at, buf } => (false, *at, buf),
            Op::Write { at, buf, durability: Durability::Cached } => (true, *at, buf),
            _ => return None,
        };
        Some(Self { task: submission.task, writes, at, len: buf.len(), end: 0, in_one: false })
    }

    /// Makes an operation of it the one for this part.
    fn narrow(&self, op: &mut Op, part: Range<usize>) {
        if let Op::Read { at, buf } | Op::Write { at, buf, .. } = op {
            *at = self.at.saturating_add(u64::try_from(part.start).unwrap_or(u64::MAX));
            buf.set_window(part);
        }
    }
}

/// Bytes that an operation moves.
#[inline]
pub(super) fn bytes_of(op: &Op) -> usize {
    match op {
        Op::Read { buf, .. }
        | Op::Write { buf, .. }
        | Op::ReadProtected { buf, .. }
        | Op::WriteProtected { buf, .. } => buf.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use felio_hal::buf::Budget;
    use felio_hal::store::{Done, Failure};
    use felio_hal::{Buf, Pool, StoreId};

    /// Two parts and a bit.
    const BYTES: usize = 2 * PART_BYTES + 4096;
    const AT: u64 = 8192;
    const TASK: TaskId = TaskId { reactor: 0, slot: 3, generation: 1 };
    const STORE: StoreId = StoreId(5);

    fn buf() -> Buf {
        Pool::new(Budget::new(1 << 20)).take(BYTES).expect("within the budget")
    }

    fn read() -> Submission {
        Submission { store: STORE, task: TASK, op: Op::Read { at: AT, buf: buf() } }
    }

    /// Where on the store an operation begins and how much of the whole it is.
    fn part(submission: &Submission) -> (u64, usize) {
        let (Op::Read { at, buf } | Op::Write { at, buf, .. }) = &submission.op else {
            panic!("no transfer")
        };
        (*at - AT, buf.len())
    }

    fn answer(submission: Submission, result: Result<Done, Failure>) -> Completion {
        Completion { store: submission.store, task: submission.task, result, buf: submission.op.into_buf() }
    }

    fn large(submission: Submission, pace: Pace) -> Large {
        let mut large = Large::default();
        large.push(submission);
        large.set_pace(pace);
        large
    }

    /// The part that a turn starts.
    fn start(large: &mut Large) -> Submission {
        large.set_pace(Pace::Part);
        let submission = large.pop().expect("one");
        assert!(large.pop().is_none(), "one is enough");
        submission
    }

    #[test]
    fn a_store_that_works_on_the_spot_gets_a_part_a_turn_and_the_whole_comes_back() {
        let mut large = large(read(), Pace::Pause);
        let mut parts = Vec::new();
        let whole = loop {
            let mut submission = start(&mut large);
            parts.push(part(&submission));
            let Op::Read { buf, .. } = &mut submission.op else { panic!("a read") };
            buf.fill(u8::try_from(parts.len()).expect("few"));
            if let Some(whole) = large.handle_completion(answer(submission, Ok(Done::Done))) {
                break whole;
            }
            assert!(large.is_held_back());
        };
        let mark = u64::try_from(PART_BYTES).expect("fits");
        assert_eq!(parts, [(0, PART_BYTES), (mark, PART_BYTES), (2 * mark, 4096)]);
        let (task, buf) = (whole.task, whole.buf.expect("the buffer"));
        assert_eq!((task, whole.store, whole.result, buf.len()), (TASK, STORE, Ok(Done::Done), BYTES));
        assert!(buf.chunks(PART_BYTES).zip(1..).all(|(part, mark)| part.iter().all(|byte| *byte == mark)));
        assert!(large.is_empty() && large.begun.is_empty());
    }

    #[test]
    fn what_does_not_come_home_at_once_goes_on_in_one() {
        let mut large = large(read(), Pace::Pause);
        let first = start(&mut large);
        large.set_pace(Pace::Pause);
        assert!(large.handle_completion(answer(first, Ok(Done::Done))).is_none());
        assert_eq!(part(&start(&mut large)).1, BYTES - PART_BYTES);
    }

    #[test]
    fn nobody_being_there_any_more_who_moves_little_the_rest_goes_in_one() {
        let mut large = large(read(), Pace::Pause);
        let first = start(&mut large);
        large.handle_completion(answer(first, Ok(Done::Done)));
        large.set_pace(Pace::Whole(STORE_BYTES));
        assert_eq!(large.pop().map(|rest| part(&rest).1), Some(BYTES - PART_BYTES));
    }

    #[test]
    fn a_failed_part_is_the_failure_of_the_whole() {
        let mut large = large(read(), Pace::Pause);
        let first = start(&mut large);
        let whole = large.handle_completion(answer(first, Err(Failure::NoSpace))).expect("the end");
        assert_eq!((whole.result, whole.buf.map(|buf| buf.len())), (Err(Failure::NoSpace), Some(BYTES)));
        assert!(large.is_empty() && large.begun.is_empty());
    }

    #[test]
    fn a_part_that_finds_no_room_is_offered_again() {
        let mut large = large(read(), Pace::Pause);
        let first = start(&mut large);
        large.put_back(first);
        assert!(!large.is_held_back(), "a completion will bring it on");
        assert_eq!(part(&start(&mut large)), (0, PART_BYTES));
    }

    #[test]
    fn a_cached_write_is_cut_and_a_durable_one_is_not() {
        for (durability, bytes) in [(Durability::Cached, PART_BYTES), (Durability::Durable, BYTES)] {
            let op = Op::Write { at: AT, buf: buf(), durability };
            let mut large = large(Submission { store: STORE, task: TASK, op }, Pace::Pause);
            let first = start(&mut large);
            assert!(matches!(first.op, Op::Write { durability: as_asked, .. } if as_asked == durability));
            assert_eq!(part(&first).1, bytes);
        }
    }

    #[test]
    fn whole_operations_start_until_there_are_enough_bytes() {
        let mut large = large(read(), Pace::Whole(BYTES + 1));
        large.push(read());
        large.push(read());
        assert_eq!([large.pop(), large.pop(), large.pop()].map(|one| one.is_some()), [true, true, false]);
        assert!(large.is_held_back());
    }
}
