//! A store around a store that fails as told: for tests.
//!
//! Rules are data. An operation is judged once, when it is attempted, by the rules in their order; each rule counts the
//! operations that it matches, and the first one whose count says so acts. The same operations in the same order thus
//! fail the same way, whatever threads do.

use core::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use felio_hal::store::{Done, Failure, Limits, Op};

use crate::store::{Answer, Attempt, Entry, Store, range};

/// A kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Op::Read`], [`Op::ReadProtected`].
    Read,
    /// [`Op::Write`], [`Op::WriteAtomic`], [`Op::WriteProtected`].
    Write,
    /// [`Op::Flush`].
    Flush,
    /// [`Op::Unmap`].
    Unmap,
    /// [`Op::Zero`].
    Zero,
    /// [`Op::Extent`].
    Extent,
    /// [`Op::Prefetch`].
    Prefetch,
    /// [`Op::Copy`].
    Copy,
    /// [`Op::Size`].
    Size,
    /// [`Op::Space`].
    Space,
    /// [`Op::Protect`].
    Protect,
    /// [`Op::Save`].
    Save,
    /// [`Op::Pass`].
    Pass,
}

impl Kind {
    /// The kind of `op`.
    #[must_use]
    pub const fn of(op: &Op) -> Self {
        match op {
            Op::Read { .. } | Op::ReadProtected { .. } => Self::Read,
            Op::Write { .. } | Op::WriteAtomic { .. } | Op::WriteProtected { .. } => Self::Write,
            Op::Protect { .. } => Self::Protect,
            Op::Flush => Self::Flush,
            Op::Unmap { .. } => Self::Unmap,
            Op::Zero { .. } => Self::Zero,
            Op::Extent { .. } => Self::Extent,
            Op::Prefetch { .. } => Self::Prefetch,
            Op::Copy { .. } => Self::Copy,
            Op::Size => Self::Size,
            Op::Space => Self::Space,
            Op::Save(_) => Self::Save,
            Op::Pass(_) => Self::Pass,
        }
    }
}

/// Which operations fare how.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Operations of this kind …
    pub kind: Kind,
    /// … that touch any of these bytes (operations without a range always do) …
    pub bytes: Range<u64>,
    /// … and are among these of all that matched, the first being number 0 …
    pub occurrences: Range<u64>,
    /// … fare thus.
    pub action: Action,
}

/// How an operation fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It fails without touching the store.
    Fail(Failure),
    /// So many bytes of it are transferred, then it fails.
    Tear {
        /// Transferred.
        bytes: usize,
        /// The failure.
        failure: Failure,
    },
    /// It waits for [`Fault::release`], then is done.
    Hold,
}

/// A store that fails as told.
pub struct Fault {
    inner: Arc<dyn Store>,
    rules: Vec<Rule>,
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Default)]
struct State {
    /// How many operations each rule matched.
    matched: Vec<u64>,
    /// What was judged and is not run yet.
    judged: Vec<(Kind, u64, Action)>,
    /// Calls of `release`.
    released: u64,
    /// Operations that wait.
    held: usize,
}

impl Fault {
    /// `inner`, but for what `rules` say.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, rules: Vec<Rule>) -> Self {
        let state = State { matched: vec![0; rules.len()], ..State::default() };
        Self { inner, rules, state: Mutex::new(state), released: Condvar::new() }
    }

    /// Lets go all operations that are held now.
    pub fn release(&self) {
        let mut state = self.lock();
        state.released += 1;
        // What is judged but not yet run was held before this call.
        state.judged.retain(|(.., action)| *action != Action::Hold);
        self.released.notify_all();
    }

    /// Operations that are held now.
    #[must_use]
    pub fn held(&self) -> usize {
        let state = self.lock();
        state.held + state.judged.iter().filter(|(.., action)| *action == Action::Hold).count()
    }

    fn judge(&self, op: &Op) -> Option<Action> {
        let mut state = self.lock();
        let mut verdict = None;
        for (rule, matched) in self.rules.iter().zip(&mut state.matched) {
            if rule.matches(op) {
                let acts = rule.occurrences.contains(matched);
                *matched += 1;
                verdict = verdict.or(acts.then_some(rule.action));
            }
        }
        verdict
    }

    /// The verdict on an operation that was attempted, if there was one.
    fn verdict(&self, op: &Op) -> Option<Action> {
        let mut state = self.lock();
        let index = state.judged.iter().position(|(kind, at, _)| (*kind, *at) == name(op))?;
        let (.., action) = state.judged.remove(index);
        if action == Action::Hold {
            let before = state.released;
            state.held += 1;
            while state.released == before {
                state = self.released.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.held -= 1;
        }
        Some(action)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Fault {
    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    fn attempt(&self, op: Op) -> Attempt {
        match self.judge(&op) {
            None => self.inner.attempt(op),
            Some(Action::Fail(failure)) => Attempt::Done(Answer::without(op, Err(failure))),
            Some(action) => {
                let (kind, at) = name(&op);
                self.lock().judged.push((kind, at, action));
                Attempt::Later(op)
            }
        }
    }

    fn entry(&self, op: &Op) -> Option<Entry<'_>> {
        let judged = self.lock().judged.iter().any(|(kind, at, _)| (*kind, *at) == name(op));
        if judged { None } else { self.inner.entry(op) }
    }

    fn judge(&self, op: &Op, result: Result<Done, Failure>) -> Result<Done, Failure> {
        self.inner.judge(op, result)
    }

    fn run(&self, op: Op) -> Answer {
        match self.verdict(&op) {
            Some(Action::Tear { bytes, failure }) => tear(&*self.inner, op, bytes, failure),
            Some(Action::Fail(failure)) => Answer::without(op, Err(failure)),
            Some(Action::Hold) | None => self.inner.run(op),
        }
    }
}

impl Rule {
    fn matches(&self, op: &Op) -> bool {
        let touches =
            |(at, len): (u64, u64)| at < self.bytes.end && at.saturating_add(len) > self.bytes.start;
        Kind::of(op) == self.kind && range(op).is_none_or(touches)
    }
}

/// What tells an operation from others under way: no two of a kind at one offset are.
fn name(op: &Op) -> (Kind, u64) {
    (Kind::of(op), range(op).map_or(0, |(at, _)| at))
}

/// Transfers the first `bytes` of the operation and fails it.
fn tear(inner: &dyn Store, op: Op, bytes: usize, failure: Failure) -> Answer {
    let (op, len) = match op {
        Op::Read { at, mut buf } => {
            let len = buf.len();
            buf.set_len(bytes.min(len));
            (Op::Read { at, buf }, len)
        }
        Op::Write { at, mut buf, durability } => {
            let len = buf.len();
            buf.set_len(bytes.min(len));
            (Op::Write { at, buf, durability }, len)
        }
        op => (op, 0),
    };
    let mut answer = inner.run(op);
    if let Some(buf) = &mut answer.buf {
        buf.set_len(len);
    }
    Answer { result: Err(failure), ..answer }
}
