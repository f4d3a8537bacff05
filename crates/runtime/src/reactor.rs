//! One reactor: a thread that waits for readiness, tells its hub and lets it take turns.
//!
//! The first reactor also accepts connections and hands each to the reactor that has the fewest. A reactor with nothing to do sleeps
//! in epoll without a timeout, or until the hub's next deadline.

use crate::adopt::{Adoption, Retirement};
use crate::hub::{Event, Hub, Io, Message, Received, Sent};
use crate::mailbox::{Letter, Mailbox};
use crate::spin::Spin;
use crate::start::Notice;
use crate::sys::{self, Accepted, Listener, Poller, Ready, Socket, Transfer};
use core::time::Duration;
use felio_backstore::Lane;
use felio_hal::{NexusId, StoreQueue, Time};
use felio_iscsi::connection::Connection;
use rustix::fd::OwnedFd;
use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

/// A slot that no connection has; the upper half of the token then says which source.
const SOURCE_SLOT: u32 = u32::MAX;
const SOURCE_WAKER: u32 = 0;
const SOURCE_LANE: u32 = 1;
const SOURCE_LISTENER: u32 = 2;

/// Connections accepted from one listener in a turn.
const ACCEPTS_MAX: usize = 64;

/// How long to leave the listeners alone when there is no descriptor for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// Letters read in a turn.
const LETTERS_MAX: usize = 1024;

/// How soon to try again where another reactor's box was full.
const POST_RETRY: Duration = Duration::from_millis(1);

/// What makes a port for a new connection, from the peer's address and our own; `None` where the system gives no random bytes.
pub(crate) type MakePort = dyn Fn(Time, SocketAddr, SocketAddr) -> Option<Connection> + Send + Sync;

/// A thread's parts.
pub(crate) struct Reactor {
    hub: Hub<Connection>,
    world: World,
    /// By the number in their tokens.
    listeners: Vec<Option<Listener>>,
    retiring: Vec<Retirement>,
    closing: Vec<Retirement>,
    paused_until: Option<Time>,
    make_port: Arc<MakePort>,
    spin: Spin,
    stopping: bool,
    ready: Vec<Ready>,
}

/// What a reactor is made of beside its hub.
pub(crate) struct Parts {
    /// Which it is.
    pub(crate) reactor: u16,
    pub(crate) lane: Lane,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) make_port: Arc<MakePort>,
    pub(crate) spin: Duration,
    pub(crate) mailboxes: Arc<[Mailbox]>,
    pub(crate) notices: SyncSender<Notice>,
}

/// What the hub reaches through [`Io`].
struct World {
    reactor: u16,
    poller: Poller,
    /// By slot, with the generation that they belong to.
    sockets: Vec<Option<(u32, Socket)>>,
    lane: Lane,
    mailboxes: Arc<[Mailbox]>,
    /// For each reactor what waits for the end of the turn, or for room.
    outboxes: Vec<VecDeque<Message>>,
    notices: SyncSender<Notice>,
    drain: Box<[u8]>,
}

impl Reactor {
    pub(crate) fn new(hub: Hub<Connection>, parts: Parts) -> io::Result<Self> {
        let Parts { reactor, lane, listeners, make_port, spin, mailboxes, notices } = parts;
        let poller = Poller::new()?;
        poller.add_source(mailboxes[usize::from(reactor)].waker(), source(SOURCE_WAKER))?;
        poller.add_source(lane.descriptor(), source(SOURCE_LANE))?;
        for (number, listener) in (SOURCE_LISTENER..).zip(&listeners) {
            poller.add_source(listener, source(number))?;
        }
        let outboxes = mailboxes.iter().map(|_| VecDeque::new()).collect();
        let drain = vec![0; 16 << 10].into_boxed_slice();
        let world = World { reactor, poller, sockets: Vec::new(), lane, mailboxes, outboxes, notices, drain };
        Ok(Self {
            hub,
            world,
            listeners: listeners.into_iter().map(Some).collect(),
            retiring: Vec::new(),
            closing: Vec::new(),
            paused_until: None,
            make_port,
            spin: Spin::new(spin),
            stopping: false,
            ready: Vec::new(),
        })
    }

    /// What does the disk I/O that cannot be done at once.
    pub(crate) fn disk_io(&self) -> &'static str {
        self.world.lane.backend_name()
    }

    /// Serves until it has stopped.
    pub(crate) fn run(mut self) {
        let mut now = sys::now();
        while !self.hub.is_stopped() {
            let timeout = self.timeout(now);
            self.wait(timeout);
            now = sys::now();
            let worked = self.take_in(now);
            self.hub.turn(now, &mut self.world);
            self.world.flush_outboxes();
            self.report_turned_away();
            self.report_retired();
            if worked || self.hub.is_busy() {
                self.spin.handle_work(now);
            }
        }
        self.world.flush_outboxes();
    }

    /// A login that came to nothing is told with its reason: it is how an operator finds a wrong password or name.
    fn report_turned_away(&mut self) {
        while let Some((peer, port)) = self.hub.poll_turned_away() {
            if let Some(refusal) = port.refusal() {
                let _ = self.world.notices.try_send(Notice::LoginRefused { peer, refusal: refusal.clone() });
            }
        }
    }

    /// How long to wait: not at all while there is work or while looking again may pay.
    fn timeout(&mut self, now: Time) -> Option<Duration> {
        if self.hub.is_busy() || self.spin.poll_idle(now) {
            return Some(Duration::ZERO);
        }
        let backlog = self.world.outboxes.iter().any(|outbox| !outbox.is_empty());
        let at = [self.hub.poll_timeout(), self.paused_until, backlog.then(|| now + POST_RETRY)];
        at.into_iter().flatten().min().map(|at| at.since(now))
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        self.ready.clear();
        let mailbox = &self.world.mailboxes[usize::from(self.world.reactor)];
        if timeout == Some(Duration::ZERO) {
            return self.world.poller.wait(timeout, &mut self.ready);
        }
        let quiet = mailbox.begin_sleep(self.stopping);
        self.world.poller.wait(if quiet { timeout } else { Some(Duration::ZERO) }, &mut self.ready);
        self.world.mailboxes[usize::from(self.world.reactor)].end_sleep();
    }

    /// Tells the hub what happened. Whether anything did.
    fn take_in(&mut self, now: Time) -> bool {
        let mut worked = !self.ready.is_empty();
        for at in 0..self.ready.len() {
            self.take_ready(now, self.ready[at]);
        }
        for _ in 0..LETTERS_MAX {
            let Some(letter) = self.world.mailbox().pop() else { break };
            worked = true;
            match letter {
                Letter::Message(message) => self.hub.handle_message(message),
                Letter::Connection(fd, peer) => self.install(now, fd, peer),
                Letter::Adopt(adoption) => self.adopt(now, &adoption),
                Letter::Retire(retirement) => self.retiring.push(retirement),
                Letter::Close(closing) => self.close(now, closing),
                Letter::Open(units) => self.open(now, &units),
                Letter::EndSession(session) => self.hub.handle_session_end(now, session),
                Letter::Look(look) => look.answer(self.hub.engine()),
                Letter::Listeners { open, close } => self.change_listeners(open, &close),
            }
        }
        if self.paused_until.is_some_and(|at| at <= now) {
            self.resume_listeners();
        }
        if !self.stopping
            && let Some(grace) = self.world.mailbox().stopping()
        {
            self.stopping = true;
            self.paused_until = None;
            self.listeners.clear();
            self.hub.handle_stop(now, grace);
        }
        worked
    }

    fn take_ready(&mut self, now: Time, ready: Ready) {
        let (slot, high) = split(ready.token);
        if slot != SOURCE_SLOT {
            let conn = NexusId { reactor: self.world.reactor, slot, generation: high };
            if ready.ended
                && let Some(socket) = self.world.socket(conn)
            {
                socket.set_ended();
            }
            if ready.readable {
                self.hub.handle_readable(conn);
            }
            if ready.writable {
                self.hub.handle_writable(conn);
            }
            return;
        }
        match high {
            SOURCE_WAKER => self.world.mailbox().waker().clear(),
            // Reaped in every turn.
            SOURCE_LANE => self.world.lane.handle_ready(),
            listener => self.accept(now, listener - SOURCE_LISTENER),
        }
    }

    fn accept(&mut self, now: Time, listener: u32) {
        for _ in 0..ACCEPTS_MAX {
            let listener = usize::try_from(listener).ok().and_then(|at| self.listeners.get(at)?.as_ref());
            let Some(listener) = listener else { return };
            match listener.accept() {
                Accepted::Connection(fd, peer) => self.place(now, fd, peer),
                Accepted::None => return,
                Accepted::Exhausted => {
                    for listener in self.listeners.iter().flatten() {
                        self.world.poller.remove(listener);
                    }
                    self.paused_until = Some(now + ACCEPT_PAUSE);
                    return;
                }
            }
        }
    }

    fn resume_listeners(&mut self) {
        self.paused_until = None;
        for (number, listener) in (SOURCE_LISTENER..).zip(&self.listeners) {
            if let Some(listener) = listener {
                let _ = self.world.poller.add_source(listener, source(number));
            }
        }
    }

    /// Takes up a new configuration.
    fn adopt(&mut self, now: Time, adoption: &Adoption) {
        for (id, store) in &adoption.stores {
            self.world.lane.install(*id, store.clone());
        }
        self.make_port = Arc::clone(&adoption.make_port);
        self.hub.handle_config(now, &adoption.target, |login, peer| adoption.admits(login, peer));
        adoption.acknowledge(self.world.reactor);
    }

    /// Tells of units of which nothing is under way any more, or nothing with their stores.
    fn report_retired(&mut self) {
        let (hub, reactor) = (&self.hub, self.world.reactor);
        let is_over =
            |retirement: &mut Retirement| retirement.units.iter().all(|unit| hub.engine().is_quiet(*unit));
        let is_still =
            |closing: &mut Retirement| closing.units.iter().all(|unit| hub.engine().is_still(*unit));
        let retired = self.retiring.extract_if(.., is_over);
        for done in retired.chain(self.closing.extract_if(.., is_still)) {
            done.acknowledge(reactor);
        }
    }

    /// Lets no command to units begin.
    fn close(&mut self, now: Time, closing: Retirement) {
        closing.units.iter().for_each(|unit| self.hub.handle_close(now, *unit));
        self.closing.push(closing);
    }

    /// Lets them go on, whoever still waits for their end.
    fn open(&mut self, now: Time, units: &[u32]) {
        units.iter().for_each(|unit| self.hub.handle_open(now, *unit));
        self.closing.retain(|closing| closing.units.iter().all(|unit| !units.contains(unit)));
    }

    /// Listens elsewhere. Connections that were accepted stay.
    fn change_listeners(&mut self, open: Vec<Listener>, close: &[SocketAddr]) {
        if self.stopping {
            return;
        }
        let closes = |listener: &mut Listener| listener.local().is_ok_and(|local| close.contains(&local));
        for place in &mut self.listeners {
            if let Some(listener) = place.take_if(closes) {
                self.world.poller.remove(&listener);
            }
        }
        for listener in open {
            let at = self.listeners.iter().position(Option::is_none).unwrap_or(self.listeners.len());
            let number = SOURCE_LISTENER.saturating_add(u32::try_from(at).unwrap_or(u32::MAX));
            if self.paused_until.is_none() {
                let _ = self.world.poller.add_source(&listener, source(number));
            }
            self.listeners.resize_with(self.listeners.len().max(at + 1), || None);
            self.listeners[at] = Some(listener);
        }
    }

    /// Gives a new connection to the reactor with the fewest.
    fn place(&mut self, now: Time, fd: OwnedFd, peer: SocketAddr) {
        let loads = (0u16..).zip(self.world.mailboxes.iter());
        let Some((reactor, mailbox)) = loads.min_by_key(|(_, mailbox)| mailbox.load()) else { return };
        mailbox.add_load();
        if reactor == self.world.reactor {
            return self.install(now, fd, peer);
        }
        if mailbox.push(Letter::Connection(fd, peer)).is_err() {
            mailbox.drop_load(); // Overrun: the peer may come again.
        }
        mailbox.wake();
    }

    /// Takes a connection under this reactor's care.
    fn install(&mut self, now: Time, fd: OwnedFd, peer: SocketAddr) {
        let socket = Socket::new(fd);
        let local = socket.local().unwrap_or(peer);
        let port = (self.make_port)(now, peer, local);
        let accepted = port.and_then(|port| self.hub.handle_accept(now, port, peer, &mut self.world));
        let Some(conn) = accepted else { return self.world.mailbox().drop_load() };
        if self.world.poller.add_connection(&socket, token(conn.slot, conn.generation)).is_err() {
            let mut socket = socket;
            socket.set_ended();
            return self.world.insert(conn, socket);
        }
        self.world.insert(conn, socket);
    }
}

impl World {
    fn mailbox(&self) -> &Mailbox {
        &self.mailboxes[usize::from(self.reactor)]
    }

    fn insert(&mut self, conn: NexusId, socket: Socket) {
        let slot = index(conn.slot);
        if self.sockets.len() <= slot {
            self.sockets.resize_with(slot + 1, || None);
        }
        self.sockets[slot] = Some((conn.generation, socket));
    }

    fn socket(&mut self, conn: NexusId) -> Option<&mut Socket> {
        match self.sockets.get_mut(index(conn.slot))? {
            Some((generation, socket)) if *generation == conn.generation => Some(socket),
            _ => None,
        }
    }

    /// Posts what was written in this turn; what finds no room waits.
    fn flush_outboxes(&mut self) {
        for (outbox, mailbox) in self.outboxes.iter_mut().zip(self.mailboxes.iter()) {
            if outbox.is_empty() {
                continue;
            }
            while let Some(message) = outbox.pop_front() {
                if let Err(Letter::Message(message)) = mailbox.push(Letter::Message(message)) {
                    outbox.push_front(message);
                    break;
                }
            }
            mailbox.wake();
        }
    }
}

impl Io for World {
    fn receive(&mut self, conn: NexusId, into: &mut [IoSliceMut<'_>]) -> Received {
        let Some(socket) = self.socket(conn) else { return Received::Closed };
        match socket.receive(into) {
            Transfer::Some { bytes, exhausted } => Received::Data { bytes, drained: exhausted },
            Transfer::None => Received::Empty,
            Transfer::Over => Received::Closed,
        }
    }

    fn send(&mut self, conn: NexusId, from: &[IoSlice<'_>]) -> Sent {
        let Some(socket) = self.socket(conn) else { return Sent::Broken };
        match socket.send(from) {
            Transfer::Some { bytes, exhausted } => Sent::Data { bytes, full: exhausted },
            Transfer::None => Sent::Data { bytes: 0, full: true },
            Transfer::Over => Sent::Broken,
        }
    }

    fn close(&mut self, conn: NexusId) {
        if self.socket(conn).is_none() {
            return;
        }
        if let Some((_, socket)) = self.sockets[index(conn.slot)].take() {
            socket.close(&mut self.drain);
        }
        self.mailbox().drop_load();
    }

    fn now(&self) -> Time {
        sys::now()
    }

    fn stores(&mut self) -> &mut dyn StoreQueue {
        &mut self.lane
    }

    fn post(&mut self, reactor: u16, message: Message) {
        self.outboxes[usize::from(reactor)].push_back(message);
    }

    fn tell(&mut self, event: Event) {
        // A program that does not listen loses news, not the data path its pace.
        let _ = self.notices.try_send(Notice::Event(event));
    }
}

const fn source(number: u32) -> u64 {
    token(SOURCE_SLOT, number)
}

const fn token(slot: u32, high: u32) -> u64 {
    let ([a, b, c, d], [e, f, g, h]) = (slot.to_le_bytes(), high.to_le_bytes());
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

const fn split(token: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = token.to_le_bytes();
    (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
}

fn index(slot: u32) -> usize {
    usize::try_from(slot).unwrap_or(usize::MAX)
}
