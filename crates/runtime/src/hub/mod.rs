//! One reactor's parts and the only place where they meet: ports, engine, stores, timers, other reactors.
//!
//! A driver (the Linux reactor, the simulator) tells the hub what happened (`handle_*`), calls [`Hub::turn`] once, and sleeps until
//! something happens or [`Hub::poll_timeout`] comes, unless [`Hub::is_busy`]. The hub makes no system call and asks no clock.
//!
//! A turn: what stalled, receive, settle (messages, store operations, completions, answers) until nothing moves, send, deadlines.
//! So whatever arrived together is submitted together, and its answers leave in one send for each connection.
//!
//! Bounds, so that no connection starves another: a turn receives at most [`RECEIVE_BYTES`] and makes one send for each connection,
//! and starts only so many bytes of large store operations, small ones first. Where several connections are active these bounds are
//! tight ([`SEND_BYTES_SHARED`], [`STORE_BYTES_SHARED`]), for one alone they are wide. Beside a connection that moves little they are
//! tightest ([`SEND_BYTES_LIGHT`]): a turn has a long send or a part of a large store operation ([`PART_BYTES`]), not both, for it waits for the turn. Connections without
//! work cost nothing.
//!
//! Reading order: here, `flow` (bytes), `route` (events, requests, messages), `sessions` (who may exist), `stop`.

mod connection;
mod flow;
mod io;
mod large;
mod route;
mod scarcity;
mod sessions;
mod slots;
mod stop;
#[cfg(test)]
mod tests;
mod timers;

pub use io::{Event, Io, Message, Received, Sent};
pub use large::{LARGE_BYTES, PART_BYTES, STORE_BYTES, STORE_BYTES_SHARED};

use connection::{Connection, End, Input, Standing};
use core::time::Duration;
use felio_engine::{Engine, TargetConfig, UnitConfig};
use felio_hal::port::Login;
use felio_hal::{Buf, Completion, NexusId, Pool, Port, PortRequest, StoreId, Time};
use large::{Large, Pace};
use route::{Fanout, Leaving, Loss};
use sessions::Sessions;
use slots::{Key, Slots};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::sync::Arc;
use stop::Phase;
use timers::Timers;

/// Bytes received for one connection in a turn, about.
pub const RECEIVE_BYTES: usize = 256 << 10;

/// The receive buffer that all connections of a reactor share.
pub const SCRATCH_BYTES: usize = 256 << 10;

/// Bytes sent in a turn, about, for a connection that is alone: the longer the send, the less it costs.
pub const SEND_BYTES: usize = 4 << 20;

/// Bytes sent in a turn, about, for all connections together where there are several: a turn is what others wait for.
pub const SEND_BYTES_SHARED: usize = 512 << 10;

/// Bytes sent for one connection in a turn, about, however many there are.
pub const SEND_BYTES_MIN: usize = 256 << 10;

/// The same beside a connection that moves little: the answers to 32 reads of 4 KiB still leave at once.
pub const SEND_BYTES_LIGHT: usize = 144 << 10;

/// A connection that moves no more than this in a turn moves little.
const LIGHT_BYTES: usize = 64 << 10;

/// How long after another connection was active a connection does not count as alone.
const COMPANY: Duration = Duration::from_millis(20);

/// Input that one connection's port could not take yet, at the most.
pub const STASH_BYTES_MAX: usize = SCRATCH_BYTES;

/// Above this much stashed input of all connections together, each receives little at a time.
pub const STASH_BYTES_HIGH: usize = 4 << 20;

/// Rounds of store operations and answers in a turn.
const ROUNDS_MAX: usize = 8;

/// How long a peer may take to accept the last bytes of a finished connection.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);

/// Ports kept for [`Hub::poll_turned_away`].
const TURNED_AWAY_MAX: usize = 16;

/// How long an initiator may take to log out whose session the operator has ended.
const LOGOUT_GRACE: Duration = Duration::from_secs(3);

/// How soon stalled input is offered again when nothing else happens.
const STALL_RETRY: Duration = Duration::from_millis(2);

/// What a hub is told at birth.
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// This reactor.
    pub reactor: u16,
    /// How many there are.
    pub reactors: u16,
    /// Connections on this reactor, at the most.
    pub connections_max: usize,
    /// Connections without a session on this reactor, at the most; the oldest goes when one more comes.
    pub logins_max: usize,
    /// Sessions of the process, at the most.
    pub sessions_max: usize,
    /// Commands on this reactor, at the most.
    pub tasks_max: u32,
}

/// One reactor's parts.
pub struct Hub<P> {
    config: HubConfig,
    /// Stores to be made durable by this reactor before it stops.
    flush: Vec<StoreId>,
    engine: Engine,
    pool: Pool,
    connections: Slots<Connection<P>>,
    anonymous: usize,
    sessions: Option<Sessions>,
    timers: Timers,
    inbox: VecDeque<Message>,
    /// Connections that may have input; the second list is the turn's own.
    readable: [Vec<Key>; 2],
    /// Connections whose output and deadline want looking at; the second list is the turn's own.
    touched: [Vec<Key>; 2],
    /// Connections whose input waits; the second list is the turn's own.
    stalled: [Vec<Key>; 2],
    stash_bytes: usize,
    retry_at: Option<Time>,
    scratch: Vec<u8>,
    slices: Vec<IoSlice<'static>>,
    done: Vec<Completion>,
    large: Large,
    company: Company,
    /// Buffers on their way home, by reactor; empty between turns.
    homeward: Vec<(u16, Vec<Buf>)>,
    trimmed_at: Option<Time>,
    /// When to look who keeps buffers from others.
    scarce_at: Option<Time>,
    losses: Vec<Loss>,
    leaving: Vec<Leaving>,
    fanouts: Vec<Fanout>,
    /// Ports whose login came to nothing, for whoever wants to know why.
    turned_away: VecDeque<(SocketAddr, P)>,
    phase: Phase,
    drained: u16,
    unsettled: bool,
}

impl<P: Port> Hub<P> {
    /// A hub without connections; `pool` is this reactor's.
    #[must_use]
    pub fn new(config: HubConfig, target: &Arc<TargetConfig>, pool: Pool) -> Self {
        assert!(config.reactor < config.reactors, "a reactor is one of them");
        let registrar = config.reactor == route::REGISTRAR;
        Self {
            flush: flushed_by(config.reactor, &target.units),
            engine: Engine::new(Arc::clone(target), config.reactor, config.tasks_max),
            pool,
            connections: Slots::new(config.connections_max),
            anonymous: 0,
            sessions: registrar.then(|| Sessions::new(config.sessions_max)),
            timers: Timers::default(),
            inbox: VecDeque::new(),
            readable: Default::default(),
            touched: Default::default(),
            stalled: Default::default(),
            stash_bytes: 0,
            retry_at: None,
            scratch: vec![0; SCRATCH_BYTES],
            slices: Vec::new(),
            done: Vec::new(),
            large: Large::default(),
            company: Company::default(),
            homeward: Vec::new(),
            trimmed_at: None,
            scarce_at: None,
            losses: Vec::new(),
            leaving: Vec::new(),
            fanouts: Vec::new(),
            turned_away: VecDeque::new(),
            phase: Phase::Serving,
            drained: 0,
            unsettled: false,
            config,
        }
    }

    /// A peer connected. The name by which [`Io`] knows the connection, or `None` when there is no room for it.
    pub fn handle_accept(
        &mut self,
        now: Time,
        port: P,
        peer: SocketAddr,
        io: &mut impl Io,
    ) -> Option<NexusId> {
        if !matches!(self.phase, Phase::Serving) {
            return None;
        }
        if self.anonymous >= self.config.logins_max {
            self.drop_oldest_login(now, io);
        }
        let mut connection = Connection::new(port, peer, now);
        connection.input = Input::Readable;
        let key = self.connections.insert(connection)?;
        self.anonymous += 1;
        self.readable[0].push(key);
        self.touch(key);
        Some(self.nexus(key))
    }

    /// There may be something to receive.
    pub fn handle_readable(&mut self, conn: NexusId) {
        let key = key(conn);
        let Some(connection) = self.connections.get_mut(key) else { return };
        match &mut connection.input {
            Input::Idle => {
                connection.input = Input::Readable;
                self.readable[0].push(key);
            }
            Input::Readable => {}
            Input::Stalled { readable, .. } => *readable = true,
        }
    }

    /// There is room to send again.
    pub fn handle_writable(&mut self, conn: NexusId) {
        let key = key(conn);
        let Some(connection) = self.connections.get_mut(key) else { return };
        if !connection.writable {
            connection.writable = true;
            self.touch(key);
        }
    }

    /// Another hub wrote.
    pub fn handle_message(&mut self, message: Message) {
        self.inbox.push_back(message);
    }

    /// The operator changed the configuration. Sessions that it does not `admit` any more are asked to log out.
    pub fn handle_config(
        &mut self,
        now: Time,
        target: &Arc<TargetConfig>,
        admits: impl Fn(&Login, SocketAddr) -> bool,
    ) {
        self.flush = flushed_by(self.config.reactor, &target.units);
        self.engine.handle_config(now, Arc::clone(target), &mut self.pool);
        let is_over = |connection: &Connection<P>| match &connection.standing {
            Standing::Admitted { login, .. } => !admits(login, connection.peer),
            _ => false,
        };
        self.request_logout(now, is_over);
        self.unsettled = true;
    }

    /// The operator ends a session: it is asked to log out. Its initiator may come again.
    pub fn handle_session_end(&mut self, now: Time, session: u16) {
        self.request_logout(now, |connection| match connection.standing {
            Standing::Admitted { session: of, .. } => of == session,
            _ => false,
        });
        self.unsettled = true;
    }

    /// Who is meant is asked to log out, and cut off if he does not.
    fn request_logout(&mut self, now: Time, is_meant: impl Fn(&Connection<P>) -> bool) {
        let meant = self.connections.iter().filter(|(_, connection)| is_meant(connection));
        let meant: Vec<Key> = meant.map(|(key, _)| key).collect();
        for key in meant {
            self.request(now, key, PortRequest::RequestLogout { within: LOGOUT_GRACE });
        }
    }

    /// No command to a unit begins from now on: see [`Engine::handle_close`].
    pub fn handle_close(&mut self, now: Time, unit: u32) {
        self.engine.handle_close(now, unit);
        self.unsettled = true;
    }

    /// What has waited goes on.
    pub fn handle_open(&mut self, now: Time, unit: u32) {
        self.engine.handle_open(now, unit, &mut self.pool);
        self.unsettled = true;
    }

    /// Asks every initiator to log out within `grace`; then finishes what runs and flushes the stores, until [`Hub::is_stopped`].
    /// Every reactor must be told.
    pub fn handle_stop(&mut self, now: Time, grace: Duration) {
        self.begin_stop(now, grace);
    }

    /// Does all that can be done now, within bounds.
    pub fn turn(&mut self, now: Time, io: &mut impl Io) {
        self.unsettled = false;
        let light = self.company.is_light(now);
        self.large.set_pace(match self.company.is_shared(now) {
            _ if light => Pace::Pause,
            true => Pace::Whole(STORE_BYTES_SHARED),
            false => Pace::Whole(STORE_BYTES),
        });
        self.retry_stalled(now, io);
        self.receive_all(now, io);
        self.settle(now, io);
        let sent_much = self.send_all(now, io);
        if light && !sent_much && !self.large.is_empty() {
            // Its answer leaves in the next turn.
            self.large.set_pace(Pace::Part);
            self.settle(now, io);
        }
        self.run_deadlines(now, io);
        self.settle_losses(io);
        self.settle_buffers(now, io);
        self.relieve(now, io);
        self.advance_stop(now, io);
        self.retry_at = if self.stalled[0].is_empty() { None } else { Some(now + STALL_RETRY) };
    }

    /// The next port that ended in order before it had a session: it turned its peer away and can say why. Only the latest are kept.
    #[must_use]
    pub fn poll_turned_away(&mut self) -> Option<(SocketAddr, P)> {
        self.turned_away.pop_front()
    }

    /// There is more to do at once: take another turn before sleeping.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.unsettled
            || !self.readable[0].is_empty()
            || !self.touched[0].is_empty()
            || !self.inbox.is_empty()
    }

    /// When to take a turn if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let engine = self.engine.poll_timeout();
        let times = [self.timers.next(), engine, self.retry_at, self.phase.until()];
        times.into_iter().chain([self.scarce_at]).flatten().min()
    }

    /// Everything is answered, flushed and closed.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        matches!(self.phase, Phase::Stopped)
    }

    /// Connections now.
    #[must_use]
    pub const fn connections(&self) -> usize {
        self.connections.len()
    }

    /// The buffers of this reactor.
    #[must_use]
    pub const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The device server of this reactor.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Store operations, completions, answers and messages, until nothing moves.
    fn settle(&mut self, now: Time, io: &mut impl Io) {
        for _ in 0..ROUNDS_MAX {
            let mut moved = self.route_messages(now, io);
            moved |= self.submit_all(io);
            moved |= self.complete_all(now, io);
            moved |= self.route_letters(io);
            moved |= self.route_requests(now, io);
            moved |= self.route_copies(io);
            if !moved {
                return;
            }
        }
        self.unsettled = true;
    }

    fn submit_all(&mut self, io: &mut impl Io) -> bool {
        let mut moved = false;
        while let Some(submission) = self.engine.poll_submission() {
            if large::bytes_of(&submission.op) > LARGE_BYTES {
                self.large.push(submission);
            } else if let Err(submission) = io.stores().submit(submission) {
                self.engine.unsubmit(submission);
                break;
            }
            moved = true;
        }
        while !self.large.is_empty()
            && let Some(submission) = self.large.pop()
        {
            if let Err(submission) = io.stores().submit(submission) {
                self.large.put_back(submission);
                break;
            }
            moved = true;
        }
        self.unsettled |= self.large.is_held_back();
        io.stores().kick();
        moved
    }

    fn complete_all(&mut self, now: Time, io: &mut impl Io) -> bool {
        let mut done = core::mem::take(&mut self.done);
        io.stores().reap(&mut done);
        if done.is_empty() {
            self.done = done;
            return false;
        }
        // Stores may have worked in this very turn.
        let now = io.now().max(now);
        for completion in done.drain(..) {
            match self.own_flush(completion, io) {
                Some(completion) => {
                    if let Some(completion) = self.large.handle_completion(completion) {
                        self.engine.handle_completion(now, completion, &mut self.pool);
                    }
                }
                None => self.unsettled = true,
            }
        }
        self.done = done;
        true
    }

    /// Deadlines of the engine and of connections, last in a turn: after a pause of the whole machine, what kept a deadline has
    /// arrived but was not looked at before.
    fn run_deadlines(&mut self, now: Time, io: &mut impl Io) {
        if self.engine.poll_timeout().is_some_and(|at| at <= now) {
            self.engine.handle_timeout(now, &mut self.pool);
            self.unsettled = true;
        }
        while let Some((at, key)) = self.timers.pop(now) {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            if !connection.armed.is_at(at) {
                continue;
            }
            connection.armed.clear();
            if connection.finish_by.is_some_and(|at| at <= now) {
                self.end(now, key, End::Fatal("the peer did not take the last bytes in time"), io);
            } else if connection.port.poll_timeout().is_some_and(|at| at <= now) {
                match connection.port.handle_timeout(now) {
                    Ok(()) => {
                        // What waits for a buffer looks for one whenever something was sent, be it nothing.
                        connection.port.handle_sent(now, 0, &mut self.pool);
                        self.touch(key);
                    }
                    Err(fatal) => self.end(now, key, End::Fatal(fatal.0), io),
                }
            } else {
                self.touch(key);
            }
        }
        if self.timers.len() > 64 + 4 * self.connections.len() {
            let connections = &mut self.connections;
            let counts =
                |at, key| connections.get_mut(key).is_some_and(|connection| connection.armed.is_at(at));
            self.timers.retain(counts);
        }
    }

    fn drop_oldest_login(&mut self, now: Time, io: &mut impl Io) {
        let anonymous = self.connections.iter().filter(|(_, connection)| connection.is_anonymous());
        let oldest = anonymous.min_by_key(|(_, connection)| connection.since).map(|(key, _)| key);
        if let Some(key) = oldest {
            self.end(now, key, End::Fatal("too many connections without a session"), io);
        }
    }

    /// Puts a connection on the list of those to look at before the turn ends.
    fn touch(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if !connection.touched {
            connection.touched = true;
            self.touched[0].push(key);
        }
    }

    const fn nexus(&self, key: Key) -> NexusId {
        NexusId { reactor: self.config.reactor, slot: key.slot, generation: key.generation }
    }

    fn request(&mut self, now: Time, key: Key, request: PortRequest) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.port.handle_request(now, request, &mut self.pool);
        self.touch(key);
    }
}

impl<P> core::fmt::Debug for Hub<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Hub")
            .field("reactor", &self.config.reactor)
            .field("connections", &self.connections.len())
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

const fn key(nexus: NexusId) -> Key {
    Key { slot: nexus.slot, generation: nexus.generation }
}

/// Whether several connections are active, and whether one of them moves little.
#[derive(Debug, Default)]
struct Company {
    last: Option<Key>,
    shared_at: Option<Time>,
    light_at: Option<Time>,
}

impl Company {
    fn handle_activity(&mut self, now: Time, key: Key) {
        if self.last != Some(key) {
            if self.last.is_some() {
                self.shared_at = Some(now);
            }
            self.last = Some(key);
        }
    }

    fn is_shared(&self, now: Time) -> bool {
        self.shared_at.is_some_and(|at| now.since(at) < COMPANY)
    }

    /// One was active that moves little.
    const fn handle_light(&mut self, now: Time) {
        self.light_at = Some(now);
    }

    fn is_light(&self, now: Time) -> bool {
        self.is_shared(now) && self.light_at.is_some_and(|at| now.since(at) < COMPANY)
    }
}

fn flushed_by(reactor: u16, units: &[Arc<UnitConfig>]) -> Vec<StoreId> {
    let mine = units.iter().filter(|unit| unit.home == reactor && unit.limits.writable && !unit.read_only);
    mine.map(|unit| unit.store).collect()
}
