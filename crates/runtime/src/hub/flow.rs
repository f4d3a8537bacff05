//! Bytes in and out: receiving within a budget, input that must wait, gathered sends, and how a connection ends.
//!
//! Large payload goes straight to where it belongs ([`Port::sink`]) with only a little room behind it for the next header; all else
//! arrives in the reactor's one receive buffer. What a port cannot take is copied away, and that connection is not read until it can.

use super::connection::{Connection, End, Input, Standing};
use super::{
    Event, FINISH_TIMEOUT, Hub, Io, LIGHT_BYTES, Message, RECEIVE_BYTES, Received, SEND_BYTES,
    SEND_BYTES_LIGHT, SEND_BYTES_MIN, SEND_BYTES_SHARED, STASH_BYTES_HIGH, Sent, TURNED_AWAY_MAX, route,
};
use crate::hub::slots::Key;
use felio_hal::{Port, Time};
use std::io::{IoSlice, IoSliceMut};

/// Where a sink is at least this long, what follows it is left for the next receive: copying it costs more than the call.
const SINK_BYTES_LARGE: usize = 64 << 10;

/// Room behind a large sink: the next header, and small PDUs.
const SINK_TAIL_BYTES: usize = 4 << 10;

/// What [`Hub::receive`] came to.
enum Next {
    /// Nothing more until we are told.
    Idle,
    /// The budget is spent; there may be more.
    Again,
    /// The port could not take all.
    Stalled,
    /// The connection is over.
    End(End),
}

impl<P: Port> Hub<P> {
    pub(super) fn receive_all(&mut self, now: Time, io: &mut impl Io) {
        let mut keys = core::mem::take(&mut self.readable[1]);
        core::mem::swap(&mut keys, &mut self.readable[0]);
        let mut scratch = core::mem::take(&mut self.scratch);
        for key in keys.drain(..) {
            let next = self.receive(now, key, &mut scratch, io);
            match next {
                Next::Idle => self.set_input(key, Input::Idle),
                Next::Again => self.readable[0].push(key),
                Next::Stalled => self.stalled[0].push(key),
                Next::End(end) => self.end(now, key, end, io),
            }
        }
        self.scratch = scratch;
        self.readable[1] = keys;
    }

    /// Offers waiting input again.
    pub(super) fn retry_stalled(&mut self, now: Time, io: &mut impl Io) {
        if self.stalled[0].is_empty() {
            return;
        }
        let mut keys = core::mem::take(&mut self.stalled[1]);
        core::mem::swap(&mut keys, &mut self.stalled[0]);
        for key in keys.drain(..) {
            match self.retry(now, key, io) {
                Next::Stalled => self.stalled[0].push(key),
                Next::End(end) => self.end(now, key, end, io),
                Next::Idle | Next::Again => {}
            }
        }
        self.stalled[1] = keys;
    }

    /// Looks after every connection that something happened to: output, end, deadline.
    /// Tells whether one of them sent much.
    pub(super) fn send_all(&mut self, now: Time, io: &mut impl Io) -> bool {
        let mut keys = core::mem::take(&mut self.touched[1]);
        core::mem::swap(&mut keys, &mut self.touched[0]);
        let whole = if self.company.is_shared(now) { SEND_BYTES_SHARED } else { SEND_BYTES };
        let budget = match self.company.is_light(now) {
            true => SEND_BYTES_LIGHT,
            false => (whole / keys.len().max(1)).max(SEND_BYTES_MIN),
        };
        // Backwards: those that go on from the last turn, having much to send, come after those that just got something.
        let mut sent_much = false;
        for key in keys.drain(..).rev() {
            sent_much |= self.look_after(now, key, budget, io);
        }
        self.touched[1] = keys;
        sent_much
    }

    /// Gives a connection up: lets the port give back what it holds, tells whom it concerns, closes the socket.
    pub(super) fn end(&mut self, now: Time, key: Key, end: End, io: &mut impl Io) {
        let nexus = self.nexus(key);
        if matches!(end, End::Fatal(_)) {
            // Whatever says why, if it is taken at once.
            self.send(now, key, SEND_BYTES_MIN, io);
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.port.handle_closed(&mut self.pool);
        self.drain_events(now, key, Some(end), io);
        self.lose(now, key, end.reason(), Some(end), io);
        io.close(nexus);
        let Some(connection) = self.connections.remove(key) else { return };
        if let Input::Stalled { stash, .. } = &connection.input {
            self.stash_bytes -= stash.len();
        }
        if connection.is_anonymous() {
            self.anonymous -= 1;
        }
        self.fanouts.retain(|fanout| fanout.nexus != nexus);
        match connection.standing {
            Standing::Anonymous => match end {
                End::Fatal(cause) => io.tell(Event::Dropped { peer: connection.peer, cause }),
                End::Finished => {
                    if self.turned_away.len() >= TURNED_AWAY_MAX {
                        self.turned_away.pop_front();
                    }
                    self.turned_away.push_back((connection.peer, connection.port));
                }
                End::Closed => {}
            },
            Standing::Waiting(_) => self.post(route::REGISTRAR, Message::Release { nexus }, io),
            Standing::Admitted { .. } | Standing::Over => {}
        }
    }

    fn receive(&mut self, now: Time, key: Key, scratch: &mut [u8], io: &mut impl Io) -> Next {
        let nexus = self.nexus(key);
        let mut budget = RECEIVE_BYTES;
        loop {
            // It ended while it stood on the list.
            let Some(connection) = self.connections.get_mut(key) else { return Next::Idle };
            if connection.port.is_finished() {
                return Next::Idle;
            }
            let room = if self.stash_bytes > STASH_BYTES_HIGH { SINK_TAIL_BYTES } else { scratch.len() };
            let (received, sink) = receive_once(&mut connection.port, &mut scratch[..room], nexus, io);
            let (bytes, drained) = match received {
                Received::Data { bytes, drained } => (bytes, drained),
                Received::Empty => return Next::Idle,
                Received::Closed => return Next::End(End::Closed),
            };
            let (sunk, rest) = (bytes.min(sink), bytes.saturating_sub(sink));
            if let Some(next) = self.hand_in(now, key, sunk, &scratch[..rest], drained) {
                return next;
            }
            self.drain_events(now, key, None, io);
            budget = budget.saturating_sub(bytes);
            if budget < RECEIVE_BYTES - LIGHT_BYTES {
                self.note_heavy(now, key);
            }
            if drained {
                return Next::Idle;
            }
            if budget == 0 {
                return Next::Again;
            }
        }
    }

    /// Gives the port what arrived: `sunk` bytes where it wanted them, then `rest`. `None`: it has taken all.
    fn hand_in(&mut self, now: Time, key: Key, sunk: usize, rest: &[u8], drained: bool) -> Option<Next> {
        self.touch(key);
        self.company.handle_activity(now, key);
        let connection = self.connections.get_mut(key)?;
        if sunk > 0
            && let Err(fatal) = connection.port.handle_sink(now, sunk, &mut self.pool)
        {
            return Some(Next::End(End::Fatal(fatal.0)));
        }
        if rest.is_empty() {
            return None;
        }
        match connection.port.handle_input(now, rest, &mut self.pool) {
            Err(fatal) => Some(Next::End(End::Fatal(fatal.0))),
            Ok(taken) if taken == rest.len() => None,
            Ok(taken) => {
                let stash = rest[taken..].to_vec();
                self.stash_bytes += stash.len();
                connection.input = Input::Stalled { stash, taken: 0, readable: !drained };
                Some(Next::Stalled)
            }
        }
    }

    fn retry(&mut self, now: Time, key: Key, io: &mut impl Io) -> Next {
        let Some(connection) = self.connections.get_mut(key) else { return Next::Idle };
        if connection.port.is_finished() {
            return Next::Idle;
        }
        let Input::Stalled { stash, taken, readable } = &mut connection.input else { return Next::Idle };
        match connection.port.handle_input(now, &stash[*taken..], &mut self.pool) {
            Err(fatal) => return Next::End(End::Fatal(fatal.0)),
            Ok(count) => *taken += count,
        }
        let waits = *taken < stash.len();
        if !waits {
            self.stash_bytes -= stash.len();
            connection.input = if *readable { Input::Readable } else { Input::Idle };
            if matches!(connection.input, Input::Readable) {
                self.readable[0].push(key);
            }
        }
        self.touch(key);
        self.drain_events(now, key, None, io);
        if waits { Next::Stalled } else { Next::Idle }
    }

    /// Tells whether it sent much.
    fn look_after(&mut self, now: Time, key: Key, budget: usize, io: &mut impl Io) -> bool {
        let Some(connection) = self.connections.get_mut(key) else { return false };
        connection.touched = false;
        let (flow, sent) = self.send(now, key, budget, io);
        let much = sent > LIGHT_BYTES;
        let Some(connection) = self.connections.get_mut(key) else { return much };
        if much {
            connection.heavy_at = Some(now);
        } else if matches!(flow, Flow::Quiet) && !connection.is_heavy(now) {
            self.company.handle_light(now);
        }
        match flow {
            Flow::Broken => {
                self.end(now, key, End::Closed, io);
                return much;
            }
            Flow::More => self.touch(key),
            Flow::Quiet => {}
            Flow::Full => connection.writable = false,
        }
        self.go_on(now, key, io);
        much
    }

    /// What sending has made possible, and what there is to wait for.
    fn go_on(&mut self, now: Time, key: Key, io: &mut impl Io) {
        // Room that sending has made may have let a command go on: what it asks of the stores waits for the next turn.
        self.unsettled |= self.drain_events(now, key, None, io);
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.port.is_finished() {
            if !connection.port.has_output() {
                return self.end(now, key, End::Finished, io);
            }
            connection.finish_by.get_or_insert(now + FINISH_TIMEOUT);
        }
        let at = [connection.port.poll_timeout(), connection.finish_by].into_iter().flatten().min();
        self.timers.arm(key, &mut connection.armed, at);
    }

    /// One gathered send, and how many bytes it was.
    fn send(&mut self, now: Time, key: Key, budget: usize, io: &mut impl Io) -> (Flow, usize) {
        let nexus = self.nexus(key);
        let Some(connection) = self.connections.get_mut(key) else { return (Flow::Quiet, 0) };
        if !connection.writable {
            return (Flow::Full, 0);
        }
        let mut slices = recycle(core::mem::take(&mut self.slices));
        connection.port.output(&mut slices, budget);
        if slices.is_empty() {
            self.slices = recycle(slices);
            return (Flow::Quiet, 0);
        }
        let sent = io.send(nexus, &slices);
        self.slices = recycle(slices);
        let Sent::Data { bytes, full } = sent else { return (Flow::Broken, 0) };
        if bytes > 0 {
            connection.port.handle_sent(now, bytes, &mut self.pool);
        }
        let flow = match (full, connection.port.has_output()) {
            (true, _) => Flow::Full,
            (false, true) => Flow::More,
            (false, false) => Flow::Quiet,
        };
        (flow, bytes)
    }

    fn note_heavy(&mut self, now: Time, key: Key) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.heavy_at = Some(now);
        }
    }

    fn set_input(&mut self, key: Key, input: Input) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.input = input;
        }
    }
}

/// What [`Hub::send`] came to.
enum Flow {
    /// Nothing is left to send.
    Quiet,
    /// Something is left, and there may be room for it.
    More,
    /// The peer takes no more for now.
    Full,
    /// The connection broke.
    Broken,
}

/// Receives into the port's sink, if it has one, and behind it into `scratch`; also tells how long the sink was.
fn receive_once<P: Port>(
    port: &mut P,
    scratch: &mut [u8],
    nexus: felio_hal::NexusId,
    io: &mut impl Io,
) -> (Received, usize) {
    match port.sink() {
        Some(sink) if !sink.is_empty() => {
            let len = sink.len();
            let tail = if len >= SINK_BYTES_LARGE { SINK_TAIL_BYTES } else { scratch.len() };
            let tail = &mut scratch[..tail];
            (io.receive(nexus, &mut [IoSliceMut::new(sink), IoSliceMut::new(tail)]), len)
        }
        _ => (io.receive(nexus, &mut [IoSliceMut::new(scratch)]), 0),
    }
}

/// The same memory for slices of another lifetime.
fn recycle<'b>(mut slices: Vec<IoSlice<'_>>) -> Vec<IoSlice<'b>> {
    slices.clear();
    slices.into_iter().map(|_| IoSlice::new(&[])).collect()
}

impl<P> Connection<P> {
    /// Takes the standing, leaving that it is over.
    pub(super) const fn take_standing(&mut self) -> Standing {
        core::mem::replace(&mut self.standing, Standing::Over)
    }
}
