//! Threads that block so that the reactor need not: at most a stated number, each born when it is first needed and gone
//! after a while without work.
//!
//! A job owns its operation and its store; nobody waits for a thread but [`Helpers`] at its end, and not for ever. The
//! queue is bounded by its owner, who never has more operations under way than its depth. Which job begins, and so how many
//! threads there are, the [`Lineup`] says.
//!
//! Locks: one for the queue, one for what is finished, never both at once, and none is held over a job.
//!
//! Invariant: there are as many threads as jobs that were begun, or the system gives no more.

use core::mem;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use felio_hal::store::{Completion, Op};
use felio_hal::{StoreId, TaskId};

use crate::copy::copy;
use crate::event::{Event, signal};
use crate::lineup::Lineup;
use crate::store::{Answer, Store};
use crate::sync::{AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, PoisonError, spawn};

/// How long a thread without work stays.
const IDLE: Duration = Duration::from_secs(30);

/// How long the end of a pool waits for jobs under way.
const DROP_WAIT: Duration = Duration::from_secs(5);

/// A pool of one lane.
pub(crate) struct Helpers {
    shared: Arc<Shared>,
    staged: Vec<Job>,
    in_flight: usize,
}

/// An operation for a thread.
pub(crate) struct Job {
    pub(crate) place: Arc<dyn Store>,
    pub(crate) store: StoreId,
    pub(crate) task: TaskId,
    pub(crate) op: Op,
    /// The other store of an [`Op::Copy`].
    pub(crate) from: Option<Arc<dyn Store>>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// There is a job, or the pool ends.
    work: Condvar,
    /// A thread has left.
    left: Condvar,
    finished: Mutex<Vec<Completion>>,
    finished_count: AtomicUsize,
    event: Arc<Event>,
}

struct Queue {
    lineup: Lineup<Job>,
    /// Begun; the next thread takes it.
    begun: VecDeque<Job>,
    threads: usize,
    ended: bool,
}

impl Helpers {
    /// A pool without threads yet, for `depth` jobs, that signals `event` when one is finished. A store may occupy `threads_max` threads;
    /// there are twice as many at most.
    pub(crate) fn new(depth: usize, threads_max: usize, event: &Arc<Event>) -> Self {
        let lineup = Lineup::new(depth, threads_max.max(1));
        let queue = Queue { lineup, begun: VecDeque::new(), threads: 0, ended: false };
        let shared = Shared {
            queue: Mutex::new(queue),
            work: Condvar::new(),
            left: Condvar::new(),
            finished: Mutex::new(Vec::with_capacity(depth)),
            finished_count: AtomicUsize::new(0),
            event: Arc::clone(event),
        };
        Self { shared: Arc::new(shared), staged: Vec::with_capacity(depth), in_flight: 0 }
    }

    /// Takes a job; it starts with the next [`Helpers::hand_over`].
    pub(crate) fn stage(&mut self, job: Job) {
        self.staged.push(job);
        self.in_flight += 1;
    }

    /// Gives the staged jobs to the threads.
    pub(crate) fn hand_over(&mut self) {
        if self.staged.is_empty() {
            return;
        }
        let mut queue = lock(&self.shared.queue);
        self.staged.drain(..).for_each(|job| queue.lineup.push(job.store, job));
        let births = self.shared.begin(&mut queue);
        drop(queue);
        self.shared.bear(births);
    }

    /// Appends what has finished.
    pub(crate) fn reap(&mut self, done: &mut Vec<Completion>) {
        if self.shared.finished_count.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut finished = lock(&self.shared.finished);
        self.shared.finished_count.store(0, Ordering::Relaxed);
        self.in_flight -= finished.len();
        done.append(&mut finished);
    }

    /// Jobs that are not reaped yet.
    pub(crate) const fn in_flight(&self) -> usize {
        self.in_flight
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        let deadline = Instant::now() + DROP_WAIT;
        let mut queue = lock(&self.shared.queue);
        queue.ended = true;
        let abandoned = (queue.lineup.take_waiting(), mem::take(&mut queue.begun));
        self.shared.work.notify_all();
        while queue.threads > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break; // It owns all that it works on, and leaves when it is done.
            }
            (queue, _) = self.shared.left.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner);
        }
        drop(queue);
        drop(abandoned);
    }
}

impl Shared {
    /// Begins the jobs that may; how many threads must be born for them, which are counted already.
    fn begin(&self, queue: &mut Queue) -> usize {
        while let Some(job) = queue.lineup.begin() {
            queue.begun.push_back(job);
            self.work.notify_one();
        }
        let births = queue.lineup.running().saturating_sub(queue.threads);
        queue.threads += births;
        births
    }

    /// Starts threads that are already counted. Where the system gives none at all, the work is done here: late is better than
    /// never.
    fn bear(self: &Arc<Self>, births: usize) {
        for _ in 0..births {
            let shared = Arc::clone(self);
            if spawn(move || shared.serve()).is_err() && self.leave(&mut lock(&self.queue)) == 0 {
                self.serve_what_is_begun();
            }
        }
    }

    /// A thread's life.
    fn serve(self: &Arc<Self>) {
        let mut last = None;
        while let Some(job) = self.next(last) {
            last = Some(job.store);
            self.finish(job);
        }
    }

    fn serve_what_is_begun(&self) {
        while let Some(job) = { lock(&self.queue).begun.pop_front() } {
            let store = job.store;
            self.finish(job);
            let mut queue = lock(&self.queue);
            queue.lineup.end(store);
            while let Some(job) = queue.lineup.begin() {
                queue.begun.push_back(job);
            }
        }
    }

    /// The next job, after one of the store `last`; `None` means that the thread is counted out and must leave.
    fn next(self: &Arc<Self>, last: Option<StoreId>) -> Option<Job> {
        let mut queue = lock(&self.queue);
        if let Some(store) = last {
            queue.lineup.end(store);
            let births = self.begin(&mut queue);
            if births > 0 {
                drop(queue);
                self.bear(births);
                queue = lock(&self.queue);
            }
        }
        loop {
            if let Some(job) = queue.begun.pop_front() {
                return Some(job);
            }
            if queue.ended {
                self.leave(&mut queue);
                return None;
            }
            let (woken, timeout) =
                self.work.wait_timeout(queue, IDLE).unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            if timeout.timed_out() && queue.begun.is_empty() {
                self.leave(&mut queue);
                return None;
            }
        }
    }

    fn finish(&self, job: Job) {
        let Job { place, store, task, op, from } = job;
        let Answer { result, buf } = match (op, &from) {
            (Op::Copy { from_at, at, len, .. }, Some(from)) => {
                Answer::bare(copy(&**from, from_at, &*place, at, len))
            }
            (op, _) => place.run(op),
        };
        drop(from);
        // The store is let go before the answer is out: whoever has all answers may rely on it.
        drop(place);
        let mut finished = lock(&self.finished);
        finished.push(Completion { store, task, result, buf });
        let first = self.finished_count.fetch_add(1, Ordering::Release) == 0;
        drop(finished);
        if first {
            signal(&self.event);
        }
    }

    /// Counts a thread out; how many are left.
    fn leave(&self, queue: &mut Queue) -> usize {
        queue.threads -= 1;
        self.left.notify_all();
        queue.threads
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No job runs under a lock, so a panic has left nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
