//! Threads that block so that the reactor need not: at most a stated number, each born when it is first needed and gone
//! after a while without work.
//!
//! A job owns its operation and its store; nobody waits for a thread but [`Helpers`] at its end, and not for ever. The
//! queue is bounded by its owner, who never has more operations under way than its depth.
//!
//! Locks: one for the queue, one for what is finished, never both at once, and none is held over a job.

use core::mem;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use felio_hal::store::{Completion, Op};
use felio_hal::{StoreId, TaskId};

use crate::copy::copy;
use crate::store::{Answer, Store};

/// How long a thread without work stays.
const IDLE: Duration = Duration::from_secs(30);

/// How long the end of a pool waits for jobs under way.
const DROP_WAIT: Duration = Duration::from_secs(5);

/// A pool of one lane.
pub(crate) struct Helpers {
    shared: Arc<Shared>,
    staged: Vec<Job>,
    threads_max: usize,
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
    event: Arc<OwnedFd>,
}

struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    ended: bool,
}

impl Helpers {
    /// A pool without threads yet, for `depth` jobs, that signals `event` when one is finished.
    pub(crate) fn new(depth: usize, threads_max: usize, event: &Arc<OwnedFd>) -> Self {
        let jobs = VecDeque::with_capacity(depth);
        let shared = Shared {
            queue: Mutex::new(Queue { jobs, threads: 0, idle: 0, ended: false }),
            work: Condvar::new(),
            left: Condvar::new(),
            finished: Mutex::new(Vec::with_capacity(depth)),
            finished_count: AtomicUsize::new(0),
            event: Arc::clone(event),
        };
        let staged = Vec::with_capacity(depth);
        Self { shared: Arc::new(shared), staged, threads_max: threads_max.max(1), in_flight: 0 }
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
        queue.jobs.extend(self.staged.drain(..));
        let waiting = queue.jobs.len();
        let idle = queue.idle;
        let room = self.threads_max - queue.threads;
        let born = waiting.saturating_sub(idle).min(room);
        queue.threads += born;
        drop(queue);
        for _ in 0..waiting.min(idle) {
            self.shared.work.notify_one();
        }
        for _ in 0..born {
            self.spawn();
        }
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

    /// Starts a thread that is already counted. Where the system gives none, the work is done here: late is better than
    /// never.
    fn spawn(&self) {
        let shared = Arc::clone(&self.shared);
        let born = thread::Builder::new().name("felio-io".to_owned()).spawn(move || shared.serve());
        if born.is_err() && self.shared.leave(&mut lock(&self.shared.queue)) == 0 {
            while let Some(job) = { lock(&self.shared.queue).jobs.pop_front() } {
                self.shared.finish(job);
            }
        }
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        let deadline = Instant::now() + DROP_WAIT;
        let mut queue = lock(&self.shared.queue);
        queue.ended = true;
        let abandoned = mem::take(&mut queue.jobs);
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
    /// A thread's life.
    fn serve(&self) {
        while let Some(job) = self.next() {
            self.finish(job);
        }
    }

    /// The next job; `None` means that the thread is counted out and must leave.
    fn next(&self) -> Option<Job> {
        let mut queue = lock(&self.queue);
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.ended {
                self.leave(&mut queue);
                return None;
            }
            queue.idle += 1;
            let (woken, timeout) =
                self.work.wait_timeout(queue, IDLE).unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            queue.idle -= 1;
            if timeout.timed_out() && queue.jobs.is_empty() {
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

/// Makes an eventfd readable.
pub(crate) fn signal(event: &OwnedFd) {
    // It fails only if the counter is full, and then it is readable already.
    let _ = rustix::io::write(event, &1u64.to_ne_bytes());
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No job runs under a lock, so a panic has left nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use felio_hal::store::Done;
    use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

    use super::*;
    use crate::fault::{Action, Fault, Kind, Rule};
    use crate::null::Null;
    use crate::store::Attempt;

    fn null() -> Arc<dyn Store> {
        Arc::new(Null::new(512, true))
    }

    fn pool(threads_max: usize) -> Helpers {
        let event = eventfd(0, EventfdFlags::CLOEXEC).expect("an eventfd");
        Helpers::new(16, threads_max, &Arc::new(event))
    }

    fn threads(helpers: &Helpers) -> usize {
        lock(&helpers.shared.queue).threads
    }

    fn stage(helpers: &mut Helpers, place: &Arc<dyn Store>, slot: u32) {
        let task = TaskId { reactor: 0, slot, generation: 0 };
        helpers.stage(Job { place: Arc::clone(place), store: StoreId(0), task, op: Op::Flush, from: None });
    }

    /// Waits until so many jobs are finished.
    fn finish(helpers: &mut Helpers, count: usize) -> Vec<Completion> {
        let mut done = Vec::new();
        while done.len() < count {
            let ready = poll(&mut [PollFd::new(&*helpers.shared.event, PollFlags::IN)], None);
            assert_eq!(ready, Ok(1));
            let _ = rustix::io::read(&*helpers.shared.event, &mut [0u8; 8]);
            helpers.reap(&mut done);
        }
        done
    }

    /// A store whose flushes wait until they are released.
    fn slow() -> Arc<Fault> {
        let rule = Rule { kind: Kind::Flush, bytes: 0..1, occurrences: 0..u64::MAX, action: Action::Hold };
        Arc::new(Fault::new(Arc::new(Null::new(512, true)), vec![rule]))
    }

    #[test]
    fn a_pool_without_work_has_no_thread() {
        assert_eq!(threads(&pool(8)), 0);
    }

    #[test]
    fn no_more_threads_are_born_than_there_is_work() {
        let (mut helpers, store) = (pool(8), null());
        for slot in 0..3 {
            stage(&mut helpers, &store, slot);
            helpers.hand_over();
            assert_eq!(finish(&mut helpers, 1)[0].result, Ok(Done::Done));
        }
        assert!((1..=3).contains(&threads(&helpers)));
        assert_eq!(helpers.in_flight(), 0);
    }

    #[test]
    fn threads_are_bounded_and_the_rest_waits() {
        let (mut helpers, fault) = (pool(2), slow());
        let store: Arc<dyn Store> = Arc::<Fault>::clone(&fault);
        for slot in 0..5 {
            assert!(matches!(fault.attempt(Op::Flush), Attempt::Later(Op::Flush)));
            stage(&mut helpers, &store, slot);
        }
        helpers.hand_over();
        assert_eq!(threads(&helpers), 2);
        fault.release();
        assert_eq!(finish(&mut helpers, 5).len(), 5);
    }

    #[test]
    fn a_pool_that_ends_leaves_no_thread_behind() {
        let (mut helpers, store) = (pool(4), null());
        for slot in 0..8 {
            stage(&mut helpers, &store, slot);
        }
        helpers.hand_over();
        let shared = Arc::clone(&helpers.shared);
        drop(helpers);
        assert_eq!(lock(&shared.queue).threads, 0);
        assert_eq!(Arc::strong_count(&store), 1);
    }
}
