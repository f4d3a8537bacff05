//! How reactors write to each other: a bounded queue each, and a wake-up only for one that sleeps.
//!
//! `tests/mailbox.rs` builds this very file upon atomics whose every order it tries.
//!
//! Invariant: whoever pushes and then finds the owner asleep wakes it; the owner says that it sleeps *before* it looks a last time.

use crate::adopt::{Adoption, Retirement};
use crate::hub::Message;
use crate::look::Look;
use crate::sync::{AtomicBool, AtomicUsize, Ordering, fence};
use crate::sys::{Listener, Waker};
use core::time::Duration;
use crossbeam_queue::ArrayQueue;
use rustix::fd::OwnedFd;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

/// Letters that wait, at the most. More than all tasks of a reactor would be of no use.
const LETTERS_MAX: usize = 4096;

/// What a reactor can be sent.
#[derive(Debug)]
pub(crate) enum Letter {
    /// To its hub.
    Message(Message),
    /// A connection to serve.
    Connection(OwnedFd, SocketAddr),
    /// What to serve from now on.
    Adopt(Arc<Adoption>),
    /// Units that nobody finds any more.
    Retire(Retirement),
    /// Units that no command to may begin, because another store is to be put under them.
    Close(Retirement),
    /// They go on.
    Open(Vec<u32>),
    /// A session that the operator ends.
    EndSession(u16),
    /// Somebody asks how a unit is.
    Look(Look),
    /// Where to listen from now on, and where no more.
    Listeners { open: Vec<Listener>, close: Vec<SocketAddr> },
}

/// A reactor's letter box.
#[derive(Debug)]
pub(crate) struct Mailbox {
    letters: ArrayQueue<Letter>,
    waker: Waker,
    asleep: AtomicBool,
    /// Connections that it serves or was sent: the acceptor looks for the one with the fewest.
    load: AtomicUsize,
    stop: OnceLock<Duration>,
}

impl Mailbox {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            letters: ArrayQueue::new(LETTERS_MAX),
            waker: Waker::new()?,
            asleep: AtomicBool::new(false),
            load: AtomicUsize::new(0),
            stop: OnceLock::new(),
        })
    }

    /// Puts a letter in, or gives it back when the box is full. Call [`Mailbox::wake`] after the last of several.
    pub(crate) fn push(&self, letter: Letter) -> Result<(), Letter> {
        self.letters.push(letter)
    }

    pub(crate) fn pop(&self) -> Option<Letter> {
        self.letters.pop()
    }

    /// Wakes the owner if it sleeps.
    pub(crate) fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            self.waker.wake();
        }
    }

    /// Asks the owner to stop.
    pub(crate) fn stop(&self, grace: Duration) {
        let _ = self.stop.set(grace);
        self.wake();
    }

    pub(crate) fn stopping(&self) -> Option<Duration> {
        self.stop.get().copied()
    }

    /// The owner, which knows that it is to stop or does not yet, is about to sleep. `false`: it must not, there is news.
    pub(crate) fn begin_sleep(&self, stopping: bool) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let quiet = self.letters.is_empty() && self.stop.get().is_some() == stopping;
        if !quiet {
            self.asleep.store(false, Ordering::SeqCst);
        }
        quiet
    }

    /// The owner has slept.
    pub(crate) fn end_sleep(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// What becomes readable when somebody wakes the owner.
    pub(crate) const fn waker(&self) -> &Waker {
        &self.waker
    }

    pub(crate) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    pub(crate) fn add_load(&self) {
        self.load.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn drop_load(&self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
    }
}
