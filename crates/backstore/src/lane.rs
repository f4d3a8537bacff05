//! One reactor's way to all of its stores.
//!
//! An operation is tried on the spot; what would block goes to the lane's own io_uring ring, or to helper threads where
//! the kernel refuses the ring or the ring does not know the operation. Either way its completion makes
//! [`Lane::descriptor`] readable; the reactor then calls [`Lane::handle_ready`] and [`StoreQueue::reap`].
//!
//! A turn ends with `kick` and then `reap`: what finished on the spot signals nothing.
//!
//! A store that hangs leaves the others what they need: it has at most half of the places; the rest of its operations
//! wait here, in order.
//!
//! Invariant: no more than `depth` operations are with the ring or the helpers, and an operation that is not one of very
//! many on a slow store allocates nothing.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use felio_hal::store::{Completion, Failure, Op, StoreQueue, Submission};
use felio_hal::{StoreId, TaskId};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use crate::event::signal;
use crate::helpers::{Helpers, Job};
use crate::store::{Answer, Attempt, Store};
use crate::sys::ring::{Finished, Ring};
use crate::transfer::{Direction, Progress, progress};

/// Ring entries that wait for the end of the turn, at the most. A device that gets the first of many early works while the rest are
/// still being made.
const BATCH_MAX: usize = 8;

/// How blocking work is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// By a ring if the kernel allows one, otherwise by helper threads.
    #[default]
    Auto,
    /// By a ring, or not at all.
    Ring,
    /// By helper threads.
    Helpers,
}

/// The bounds of a lane.
#[derive(Clone, Copy, Debug)]
pub struct LaneConfig {
    /// Operations under way.
    pub depth: usize,
    /// How blocking work is done.
    pub engine: Engine,
    /// Threads that one store may occupy; as many again are there for the others. None is started before it is needed.
    pub helpers: usize,
}

impl Default for LaneConfig {
    fn default() -> Self {
        Self { depth: 1024, engine: Engine::Auto, helpers: 8 }
    }
}

/// Why a lane could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LaneError {
    /// No eventfd.
    #[error("no descriptor for completions: {0}; raise the limit of open files (ulimit -n)")]
    Event(Errno),
    /// A ring was asked for and refused.
    #[error(
        "the kernel refuses io_uring: {0}; allow it (sysctl kernel.io_uring_disabled=0, the container's seccomp profile), or let felio choose by itself"
    )]
    Ring(Errno),
}

/// A store and what is under way on it.
#[derive(Default)]
struct Place {
    store: Option<Arc<dyn Store>>,
    /// Operations with the ring or the helpers.
    under_way: usize,
    /// Those that are not yet. As many as there are tasks, at the most.
    waiting: VecDeque<(TaskId, Op)>,
}

/// The stores of one reactor and what drives them.
pub struct Lane {
    /// By [`StoreId`].
    places: Vec<Place>,
    depth: usize,
    ready: Vec<Completion>,
    // Before the stores are let go, the ring is done with their descriptors: see `drop`.
    ring: Option<Ring<(StoreId, TaskId)>>,
    refusal: Option<Errno>,
    helpers: Helpers,
    event: Arc<OwnedFd>,
}

impl Lane {
    /// A lane to `stores`, which [`StoreId`]s index.
    pub fn new(stores: Vec<Arc<dyn Store>>, config: LaneConfig) -> Result<Self, LaneError> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(LaneError::Event)?;
        let event = Arc::new(event);
        let depth = config.depth.max(1);
        let (ring, refusal) = match config.engine {
            Engine::Helpers => (None, None),
            Engine::Ring => (Some(Ring::new(depth, &event).map_err(LaneError::Ring)?), None),
            Engine::Auto => match Ring::new(depth, &event) {
                Ok(ring) => (Some(ring), None),
                Err(errno) => (None, Some(errno)),
            },
        };
        let helpers = Helpers::new(depth, config.helpers, &event);
        let places =
            stores.into_iter().map(|store| Place { store: Some(store), ..Place::default() }).collect();
        Ok(Self { places, depth, ready: Vec::with_capacity(depth), ring, refusal, helpers, event })
    }

    /// Becomes readable when something has finished that was not done on the spot. Level-triggered.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }

    /// Makes [`Lane::descriptor`] unreadable again; `reap` comes after.
    pub fn handle_ready(&mut self) {
        let _ = rustix::io::read(&self.event, &mut [0u8; 8]);
    }

    /// What does the blocking work.
    #[must_use]
    pub const fn backend_name(&self) -> &'static str {
        if self.ring.is_some() { "io_uring" } else { "helper threads" }
    }

    /// Why there is no ring, if one was wanted.
    #[must_use]
    pub const fn refusal(&self) -> Option<Errno> {
        self.refusal
    }

    /// Operations between `submit` and `reap`, but for those that wait for others of their store.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.ready.len() + self.helpers.in_flight() + self.ring.as_ref().map_or(0, Ring::in_flight)
    }

    /// From now on `id` names this store, or none. Nothing is under way for the one that it named before.
    pub fn install(&mut self, id: StoreId, store: Option<Arc<dyn Store>>) {
        let Ok(index) = usize::try_from(id.0) else { return };
        if self.places.len() <= index {
            self.places.resize_with(index + 1, Place::default);
        }
        self.places[index].store = store;
    }

    /// The store that `id` names.
    #[must_use]
    pub fn store(&self, id: StoreId) -> &Arc<dyn Store> {
        let index = usize::try_from(id.0).ok();
        index.and_then(|index| self.places.get(index)?.store.as_ref()).expect("a store of this lane")
    }

    fn place(&mut self, id: StoreId) -> Option<&mut Place> {
        self.places.get_mut(usize::try_from(id.0).ok()?)
    }

    /// Starts what could not be done on the spot, unless its store has enough under way.
    fn start_or_wait(&mut self, ticket: (StoreId, TaskId), op: Op) {
        let share = (self.depth / 2).max(1);
        let Some(place) = self.place(ticket.0) else { return };
        if place.under_way >= share {
            return place.waiting.push_back((ticket.1, op));
        }
        place.under_way += 1;
        self.start(ticket, op, 0);
    }

    /// An operation that was started is home: the next of its store may start.
    fn note_home(&mut self, store: StoreId) {
        let Some(place) = self.place(store) else { return };
        match place.waiting.pop_front() {
            Some((task, op)) => self.start((store, task), op, 0),
            None => place.under_way -= 1,
        }
    }

    /// Starts what could not be done on the spot, or the rest of it.
    fn start(&mut self, ticket: (StoreId, TaskId), op: Op, done: usize) {
        let index = usize::try_from(ticket.0.0).unwrap_or(usize::MAX);
        let entry = self.places[index].store.as_ref().and_then(|store| store.entry(&op));
        let left = match (&mut self.ring, entry) {
            (Some(ring), Some(entry)) => ring.push(entry, op, done, ticket).map_err(|(op, _)| op),
            _ => Err(op),
        };
        if let Err(op) = left {
            self.delegate(ticket, op);
        } else if self.ring.as_ref().is_some_and(|ring| ring.staged() >= BATCH_MAX) {
            self.submit_ring();
        }
    }

    /// A copy concerns two stores: only if both are files can it be done.
    fn begin_copy(&mut self, from: StoreId, store: StoreId, task: TaskId, op: Op) {
        if self.store(from).file().is_some() && self.store(store).file().is_some() {
            return self.start_or_wait((store, task), op);
        }
        self.ready.push(Completion { store, task, result: Err(Failure::NotPossible), buf: None });
    }

    fn delegate(&mut self, (store, task): (StoreId, TaskId), op: Op) {
        let place = Arc::clone(self.store(store));
        let from = if let Op::Copy { from, .. } = op { Some(Arc::clone(self.store(from))) } else { None };
        self.helpers.stage(Job { place, store, task, op, from });
    }

    /// Hands staged entries to the kernel. If it refuses them for good, threads take over.
    fn submit_ring(&mut self) {
        let Some(ring) = &mut self.ring else { return };
        match ring.submit() {
            Ok(()) => {}
            // Something must bring the reactor back here.
            Err(Errno::AGAIN | Errno::BUSY) => signal(&self.event),
            Err(errno) => {
                self.refusal = Some(errno);
                for (op, ticket) in ring.take_staged() {
                    self.delegate(ticket, op);
                }
            }
        }
    }

    /// Judges what the ring brought: done, or to be carried on.
    fn settle(&mut self, finished: Finished<(StoreId, TaskId)>, done: &mut Vec<Completion>) {
        let Finished { op, done: before, ticket, moved } = finished;
        let (store, task) = ticket;
        let (direction, at, len) = match &op {
            Op::Read { at, buf } => (Direction::Read, *at, buf.len()),
            Op::Write { at, buf, .. } => (Direction::Write, *at, buf.len()),
            _ => (Direction::Write, 0, 0),
        };
        match progress(direction, (at, len), before, moved) {
            Progress::Finished(result) => {
                let result = self.store(store).judge(&op, result);
                done.push(Completion { store, task, result, buf: op.into_buf() });
                self.note_home(store);
            }
            Progress::At(now) => self.start(ticket, op, now),
            Progress::Interrupted => self.delegate(ticket, op),
        }
    }
}

impl StoreQueue for Lane {
    fn submit(&mut self, submission: Submission) -> Result<(), Submission> {
        if self.in_flight() >= self.depth {
            return Err(submission);
        }
        let Submission { store, task, op } = submission;
        if let Op::Copy { from, .. } = op {
            self.begin_copy(from, store, task, op);
            return Ok(());
        }
        match self.store(store).attempt(op) {
            Attempt::Done(Answer { result, buf }) => self.ready.push(Completion { store, task, result, buf }),
            Attempt::Later(op) => self.start_or_wait((store, task), op),
        }
        Ok(())
    }

    fn kick(&mut self) {
        self.submit_ring();
        self.helpers.hand_over();
    }

    fn reap(&mut self, done: &mut Vec<Completion>) {
        done.append(&mut self.ready);
        while let Some(finished) = self.ring.as_mut().and_then(Ring::poll) {
            self.settle(finished, done);
        }
        let before = done.len();
        self.helpers.reap(done);
        done[before..].iter().for_each(|completion| self.note_home(completion.store));
        // What was to be carried on must not wait for the next turn.
        self.kick();
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.ring = None;
    }
}
