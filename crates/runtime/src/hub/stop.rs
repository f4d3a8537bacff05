//! Stopping: ask the initiators to leave, close those that stay, finish what runs, flush, be done.
//!
//! Each step has a deadline, so that a store that hangs keeps nobody from ending: what it holds is given up, and a flush that takes too
//! long is told as failed. Whoever has no patience sends a second signal. No reactor flushes before all have drained: a port there may use a unit here.

use super::connection::End;
use super::slots::Key;
use super::{Event, Hub, Io, Message};
use core::time::Duration;
use felio_hal::port::LossReason;
use felio_hal::store::{Completion, Failure, Op, Submission};
use felio_hal::{Port, PortRequest, StoreId, TaskId, Time};

/// How long connections may take to close after they were told to, and then the engine to finish what runs.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
const FINISH_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the flushes may take. What is in the page cache then is written by the kernel whether we live or not.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(60);

/// ETIMEDOUT.
const TIMED_OUT: Failure = Failure::Other(110);

/// The slot in a [`TaskId`] that says that the hub itself asked.
const OWN_SLOT: u32 = u32::MAX;

/// How far stopping has come.
#[derive(Debug)]
pub(super) enum Phase {
    /// Not stopping.
    Serving,
    /// Initiators were asked to log out.
    Asking { until: Time },
    /// Those that stayed were closed.
    Closing { until: Time },
    /// No connection is left here.
    Waiting { until: Time },
    /// Everything has ended; stores are being made durable.
    Flushing { pending: Vec<StoreId>, running: Vec<StoreId>, until: Time },
    /// Done.
    Stopped,
}

impl Phase {
    pub(super) const fn until(&self) -> Option<Time> {
        match self {
            Self::Asking { until }
            | Self::Closing { until }
            | Self::Waiting { until }
            | Self::Flushing { until, .. } => Some(*until),
            Self::Serving | Self::Stopped => None,
        }
    }
}

impl<P: Port> Hub<P> {
    pub(super) fn begin_stop(&mut self, now: Time, grace: Duration) {
        if !matches!(self.phase, Phase::Serving) {
            return;
        }
        self.phase = Phase::Asking { until: now + grace };
        if let Some(sessions) = &mut self.sessions {
            sessions.handle_stop();
        }
        let all: Vec<(Key, bool)> =
            self.connections.iter().map(|(key, connection)| (key, connection.is_anonymous())).collect();
        for (key, anonymous) in all {
            let request = if anonymous {
                PortRequest::Close(LossReason::Administrative)
            } else {
                PortRequest::RequestLogout { within: grace }
            };
            self.request(now, key, request);
        }
    }

    /// One step further, if it is time.
    pub(super) fn advance_stop(&mut self, now: Time, io: &mut impl Io) {
        let empty = self.connections.len() == 0 && self.losses.is_empty();
        match &mut self.phase {
            Phase::Serving | Phase::Stopped => {}
            Phase::Asking { .. } | Phase::Closing { .. } if empty => {
                self.phase = Phase::Waiting { until: now + FINISH_TIMEOUT };
                self.drained += 1;
                self.broadcast(io, || Message::Drained);
                self.unsettled = true;
            }
            Phase::Asking { until } if *until <= now => {
                self.phase = Phase::Closing { until: now + CLOSE_TIMEOUT };
                self.close_all(now, LossReason::Administrative);
            }
            Phase::Closing { until } if *until <= now => {
                *until = now + CLOSE_TIMEOUT;
                let keys: Vec<Key> = self.connections.iter().map(|(key, _)| key).collect();
                for key in keys {
                    self.end(now, key, End::Closed, io);
                }
                self.unsettled = true;
            }
            Phase::Asking { .. } | Phase::Closing { .. } => {}
            Phase::Waiting { until } => {
                let idle = self.engine.is_idle() || self.engine.is_stuck();
                let all = self.drained >= self.config.reactors;
                if (all && idle) || *until <= now {
                    let pending = core::mem::take(&mut self.flush);
                    // A store that hangs would not answer this either.
                    let (hung, pending) =
                        pending.into_iter().partition(|store| self.engine.is_fenced(*store));
                    self.phase = Phase::Flushing { pending, running: Vec::new(), until: now + FLUSH_TIMEOUT };
                    give_up(hung, io);
                    self.flush_pending(io);
                }
            }
            Phase::Flushing { pending, running, until } if *until <= now => {
                give_up(pending.drain(..).chain(running.drain(..)), io);
                self.phase = Phase::Stopped;
            }
            Phase::Flushing { .. } => self.flush_pending(io),
        }
    }

    /// Takes out the answer to a flush of our own.
    pub(super) fn own_flush(&mut self, completion: Completion, io: &mut impl Io) -> Option<Completion> {
        if completion.task.slot != OWN_SLOT {
            return Some(completion);
        }
        if let Phase::Flushing { running, .. } = &mut self.phase {
            running.retain(|store| *store != completion.store);
        }
        if let Err(failure) = completion.result {
            io.tell(Event::FlushFailed { store: completion.store, failure });
        }
        None
    }

    fn flush_pending(&mut self, io: &mut impl Io) {
        let task = TaskId { reactor: self.config.reactor, slot: OWN_SLOT, generation: 0 };
        let Phase::Flushing { pending, running, .. } = &mut self.phase else { return };
        let before = running.len();
        while let Some(store) = pending.pop() {
            if io.stores().submit(Submission { store, task, op: Op::Flush }).is_err() {
                pending.push(store);
                break;
            }
            running.push(store);
        }
        if running.len() > before {
            io.stores().kick();
            self.unsettled = true; // It may have finished at once.
        }
        if pending.is_empty() && running.is_empty() {
            self.phase = Phase::Stopped;
        }
    }
}

/// Tells of stores that were not made durable.
fn give_up(stores: impl IntoIterator<Item = StoreId>, io: &mut impl Io) {
    for store in stores {
        io.tell(Event::FlushFailed { store, failure: TIMED_OUT });
    }
}
