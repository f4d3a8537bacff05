//! The letter boxes between reactors under threads that write, sleep and stop at the same time: their very source, upon shuttle's
//! atomics and with an alarm that only `wake` sets off.
#![allow(missing_docs, dead_code, unreachable_pub, reason = "a part of the crate, built apart")]

#[path = "../src/mailbox.rs"]
mod mailbox;

mod sync {
    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
}

mod hub {
    #[derive(Debug)]
    pub(crate) struct Message(pub(crate) u32);
}

mod adopt {
    #[derive(Debug)]
    pub(crate) struct Adoption;
    #[derive(Debug)]
    pub(crate) struct Retirement;
}

mod look {
    #[derive(Debug)]
    pub(crate) struct Look;
}

mod sys {
    use shuttle::sync::{Condvar, Mutex};

    #[derive(Debug)]
    pub(crate) struct Listener;

    /// An eventfd, and who waits for it without a timeout.
    #[derive(Debug, Default)]
    pub(crate) struct Waker {
        rung: Mutex<bool>,
        bell: Condvar,
    }

    impl Waker {
        pub(crate) fn new() -> std::io::Result<Self> {
            Ok(Self::default())
        }

        pub(crate) fn wake(&self) {
            *self.rung.lock().expect("nobody panics") = true;
            self.bell.notify_one();
        }

        pub(crate) fn clear(&self) {
            *self.rung.lock().expect("nobody panics") = false;
        }

        pub(crate) fn wait(&self) {
            let rung = self.rung.lock().expect("nobody panics");
            drop(self.bell.wait_while(rung, |rung| !*rung).expect("nobody panics"));
        }
    }
}

use core::time::Duration;
use hub::Message;
use mailbox::{Letter, Mailbox};
use std::sync::Arc;

const ORDERS: usize = 3_000;
const WRITERS: u32 = 2;
const LETTERS: u32 = 3;

/// A reactor: it sleeps without a timeout whenever it may, and ends once it was told to and has read all letters.
fn serve(mailbox: &Mailbox) -> Vec<u32> {
    let (mut read, mut stopping) = (Vec::new(), false);
    while !(stopping && read.len() == usize::try_from(WRITERS * LETTERS).expect("few")) {
        if mailbox.begin_sleep(stopping) {
            mailbox.waker().wait();
        }
        mailbox.end_sleep();
        mailbox.waker().clear();
        while let Some(Letter::Message(Message(number))) = mailbox.pop() {
            read.push(number);
        }
        stopping |= mailbox.stopping().is_some();
    }
    read
}

/// Shuttle tells of a deadlock when the reactor sleeps and nobody wakes it any more.
fn crowd() {
    let mailbox = Arc::new(Mailbox::new().expect("it needs nothing"));
    let writer = |writer| {
        let mailbox = Arc::clone(&mailbox);
        shuttle::thread::spawn(move || {
            for number in 0..LETTERS {
                mailbox.push(Letter::Message(Message(writer * LETTERS + number))).expect("there is room");
                mailbox.wake();
            }
        })
    };
    let writers: Vec<_> = (0..WRITERS).map(writer).collect();
    let stopper = {
        let mailbox = Arc::clone(&mailbox);
        shuttle::thread::spawn(move || mailbox.stop(Duration::ZERO))
    };
    let read = serve(&mailbox);
    writers.into_iter().chain([stopper]).for_each(|thread| thread.join().expect("it does not panic"));
    for writer in 0..WRITERS {
        let of_writer = writer * LETTERS..(writer + 1) * LETTERS;
        let theirs: Vec<u32> = read.iter().copied().filter(|number| of_writer.contains(number)).collect();
        assert_eq!(theirs, of_writer.collect::<Vec<_>>(), "all, in the order in which they were written");
    }
}

#[test]
fn no_letter_no_wake_up_and_no_stop_is_lost_in_any_order_of_events() {
    shuttle::check_random(crowd, ORDERS);
    shuttle::check_pct(crowd, ORDERS, 3);
}

#[test]
fn a_reactor_with_letters_does_not_sleep() {
    let check = || {
        let mailbox = Mailbox::new().expect("it needs nothing");
        assert!(mailbox.push(Letter::Message(Message(0))).is_ok());
        assert!(!mailbox.begin_sleep(false));
    };
    shuttle::check_random(check, 1);
}

#[test]
fn a_reactor_that_was_told_to_stop_does_not_sleep_before_it_knows() {
    let check = || {
        let mailbox = Mailbox::new().expect("it needs nothing");
        mailbox.stop(Duration::ZERO);
        assert!(!mailbox.begin_sleep(false) && mailbox.begin_sleep(true));
    };
    shuttle::check_random(check, 1);
}

#[test]
fn a_full_box_gives_the_letter_back() {
    let check = || {
        let mailbox = Mailbox::new().expect("it needs nothing");
        while mailbox.push(Letter::Message(Message(0))).is_ok() {}
        assert!(mailbox.pop().is_some() && mailbox.push(Letter::Message(Message(0))).is_ok());
    };
    shuttle::check_random(check, 1);
}
