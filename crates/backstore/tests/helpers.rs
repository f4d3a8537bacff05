//! The pool of helper threads in whatever order its threads take their steps: its very source, upon shuttle's locks and threads, whose waits
//! never time out, with stores that hang until they are let go.
#![allow(missing_docs, dead_code, unreachable_pub, reason = "a part of the crate, built apart")]
#![allow(clippy::disallowed_methods, reason = "its end looks at a clock, that of no test here")]

#[path = "../src/helpers.rs"]
mod helpers;
#[path = "../src/lineup.rs"]
mod lineup;

mod sync {
    pub(crate) use shuttle::sync::atomic::{AtomicUsize, Ordering};
    pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard};
    use std::cell::Cell;
    pub(crate) use std::sync::PoisonError;

    thread_local! {
        /// Shuttle's threads take turns on one of the system's.
        static ROOM: Cell<usize> = const { Cell::new(0) };
        static BORN: Cell<usize> = const { Cell::new(0) };
    }

    /// None is born yet, and so many may be.
    pub(crate) fn allow_threads(room: usize) {
        ROOM.set(room);
        BORN.set(0);
    }

    pub(crate) fn born() -> usize {
        BORN.get()
    }

    pub(crate) fn spawn(life: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        if BORN.get() == ROOM.get() {
            return Err(std::io::ErrorKind::OutOfMemory.into());
        }
        BORN.set(BORN.get() + 1);
        drop(shuttle::thread::spawn(life));
        Ok(())
    }
}

mod event {
    use shuttle::sync::{Condvar, Mutex};

    #[derive(Default)]
    pub(crate) struct Event {
        rung: Mutex<bool>,
        bell: Condvar,
    }

    pub(crate) fn signal(event: &Event) {
        *event.rung.lock().expect("nobody panics") = true;
        event.bell.notify_one();
    }

    impl Event {
        /// Sleeps without a timeout, and makes it unreadable again.
        pub(crate) fn wait(&self) {
            let rung = self.rung.lock().expect("nobody panics");
            *self.bell.wait_while(rung, |rung| !*rung).expect("nobody panics") = false;
        }
    }
}

mod store {
    use felio_hal::Buf;
    use felio_hal::store::{Done, Failure, Op};

    pub(crate) struct Answer {
        pub(crate) result: Result<Done, Failure>,
        pub(crate) buf: Option<Buf>,
    }

    impl Answer {
        pub(crate) fn bare(result: Result<Done, Failure>) -> Self {
            Self { result, buf: None }
        }
    }

    pub(crate) trait Store: Send + Sync {
        fn run(&self, op: Op) -> Answer;
    }
}

mod copy {
    use super::store::Store;
    use felio_hal::store::{Done, Failure};

    pub(crate) fn copy(_: &dyn Store, _: u64, _: &dyn Store, _: u64, _: u64) -> Result<Done, Failure> {
        Ok(Done::Done)
    }
}

use std::collections::BTreeSet;
use std::sync::Arc;

use event::Event;
use felio_hal::store::{Completion, Done, Op};
use felio_hal::{StoreId, TaskId};
use helpers::{Helpers, Job};
use shuttle::sync::{Condvar, Mutex};
use store::{Answer, Store};
use sync::{allow_threads, born};

const ORDERS: usize = 2_000;

/// A store whose operations wait until it is let go.
#[derive(Default)]
struct Gated {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gated {
    fn open() -> Arc<Self> {
        let gated = Arc::new(Self::default());
        gated.let_go();
        gated
    }

    fn let_go(&self) {
        *self.open.lock().expect("nobody panics") = true;
        self.opened.notify_all();
    }
}

impl Store for Gated {
    fn run(&self, _: Op) -> Answer {
        let open = self.open.lock().expect("nobody panics");
        drop(self.opened.wait_while(open, |open| !*open).expect("nobody panics"));
        Answer::bare(Ok(Done::Done))
    }
}

struct Pool {
    helpers: Helpers,
    event: Arc<Event>,
    staged: u32,
    done: Vec<Completion>,
}

impl Pool {
    /// A store may occupy so many of its threads, and the system gives so many.
    fn new(threads_max: usize, room: usize) -> Self {
        allow_threads(room);
        let event = Arc::new(Event::default());
        Self { helpers: Helpers::new(16, threads_max, &event), event, staged: 0, done: Vec::new() }
    }

    fn stage(&mut self, id: u32, store: &Arc<Gated>) {
        let place: Arc<dyn Store> = Arc::<Gated>::clone(store);
        let task = TaskId { reactor: 0, slot: self.staged, generation: 0 };
        self.helpers.stage(Job { place, store: StoreId(id), task, op: Op::Flush, from: None });
        self.staged += 1;
    }

    /// Waits until so many jobs of these stores are finished. Shuttle tells of a deadlock if they never are.
    fn finish(&mut self, stores: impl Fn(u32) -> bool, count: usize) {
        while self.done.iter().filter(|completion| stores(completion.store.0)).count() < count {
            self.event.wait();
            self.helpers.reap(&mut self.done);
        }
    }

    /// All jobs were done, each once.
    fn check(&self) {
        let slots: BTreeSet<u32> = self.done.iter().map(|completion| completion.task.slot).collect();
        assert_eq!(slots, (0..self.staged).collect());
        assert_eq!((self.done.len(), self.helpers.in_flight()), (slots.len(), 0));
    }
}

fn check(orders: usize, world: fn()) {
    shuttle::check_random(world, orders);
    shuttle::check_pct(world, orders, 3);
}

#[test]
fn a_pool_without_work_has_no_thread() {
    check(1, || {
        drop(Pool::new(8, 16));
        assert_eq!(born(), 0);
    });
}

#[test]
fn no_more_threads_are_born_than_there_is_work() {
    check(ORDERS, || {
        let (mut pool, store) = (Pool::new(8, 16), Gated::open());
        for _ in 0..3 {
            pool.stage(0, &store);
            pool.helpers.hand_over();
            pool.finish(|_| true, pool.done.len() + 1);
        }
        assert!((1..=3).contains(&born()));
    });
}

#[test]
fn one_store_occupies_no_more_threads_than_it_may() {
    check(ORDERS, || {
        let (mut pool, store) = (Pool::new(2, 16), Arc::new(Gated::default()));
        (0..5).for_each(|_| pool.stage(0, &store));
        pool.helpers.hand_over();
        assert_eq!(born(), 2);
        store.let_go();
        pool.finish(|_| true, 5);
        pool.check();
    });
}

/// Two stores hang, with more jobs than there are common threads; two others are served meanwhile, in two portions.
fn crowd() {
    let (mut pool, hanging, sound) = (Pool::new(2, 16), Arc::new(Gated::default()), Gated::open());
    for _ in 0..2 {
        [0, 0, 1].into_iter().for_each(|id| pool.stage(id, &hanging));
        [2, 3].into_iter().for_each(|id| pool.stage(id, &sound));
        pool.helpers.hand_over();
    }
    pool.finish(|store| store >= 2, 4);
    hanging.let_go();
    pool.finish(|_| true, 10);
    pool.check();
    drop(pool);
    // Whoever worked on them has left.
    assert_eq!((Arc::strong_count(&hanging), Arc::strong_count(&sound)), (1, 1));
}

#[test]
fn no_job_and_no_wake_up_is_lost_and_sound_stores_are_served_while_others_hang() {
    check(ORDERS, crowd);
}

#[test]
fn a_pool_that_ends_abandons_what_has_not_begun_and_leaves_no_thread_behind() {
    check(ORDERS, || {
        let (mut pool, store) = (Pool::new(2, 16), Gated::open());
        for _ in 0..2 {
            (0..4).for_each(|_| pool.stage(0, &store));
            pool.helpers.hand_over();
        }
        drop(pool);
        assert_eq!(Arc::strong_count(&store), 1);
    });
}

#[test]
fn where_the_system_gives_fewer_threads_or_none_all_is_done_nevertheless() {
    for room in 0..3 {
        let world = move || {
            let (mut pool, store) = (Pool::new(2, room), Gated::open());
            for _ in 0..2 {
                [0, 0, 0, 1].into_iter().for_each(|id| pool.stage(id, &store));
                pool.helpers.hand_over();
            }
            pool.finish(|_| true, 8);
            pool.check();
        };
        shuttle::check_random(world, ORDERS);
    }
}
