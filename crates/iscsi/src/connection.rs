//! One connection as a [`Port`]: from its first byte through login and full feature phase to its end.
//!
//! The states are types: [`Login`] negotiates, an [`Admission`] waits for the reactor's decision, full feature phase serves, and
//! after that the connection only sends what is queued. Here the bytes are led to the state, deadlines are kept, and
//! what the port holds is given back.
//!
//! Not here: sockets, what a PDU means in full feature phase (`session`), the search for the next one in the stream
//! (`receive`), framing of output (`transmit`).
//!
//! Invariants: a nexus that was admitted is reported lost exactly once; every buffer is in the pool, with the engine, or
//! here; each wait for the peer has a deadline.

use crate::causes;
use crate::clock::{Clock, Due, Phase, Waits};
use crate::config::Config;
use crate::digest::Digests;
use crate::keys::SessionType;
use crate::limits::Limits;
use crate::login::{
    Admission, Facts, Grant, LOGIN_SEGMENT_BYTES_MAX, Login, Peer, Refusal as LoginRefusal, Reply, Step, Why,
};
use crate::pdu::{AsyncEvent, LoginRequest, LoginStatus, RejectReason, Segments};
use crate::receive::{Framer, Header, Segment};
use crate::seed::Seed;
use crate::session::{After, Agreed, Begin, FullFeature, Incoming, Io, Sink};
use crate::transmit::{Framing, Job, Outbox, Payload, to_usize};
use core::time::Duration;
use felio_hal::port::{Fatal, Login as LoginEvent, LoginKind, LossReason, Refusal, Terms};
use felio_hal::{Buf, Pool, Port, PortEvent, PortRequest, Time};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::sync::Arc;

/// A connection of an initiator to a target.
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    limits: Limits,
    seed: Seed,
    state: State,
    framer: Framer,
    receiving: Receiving,
    out: Outbox,
    events: VecDeque<PortEvent>,
    clock: Clock,
    refusal: Option<LoginRefusal>,
}

#[derive(Debug)]
enum State {
    /// It negotiates.
    Login(Login),
    /// It waits for the answer to its [`PortEvent::Login`].
    Admitting(Box<Admission>),
    /// It serves.
    FullFeature(Box<FullFeature>),
    /// It sends what is queued, and then it is over.
    Closing,
}

/// The PDU at hand.
#[derive(Debug)]
enum Receiving {
    /// Its header is coming.
    Header,
    /// Its header is there, but a buffer is wanting for what follows.
    Waiting(Header),
    /// Its data is coming.
    Data(Receipt),
}

#[derive(Debug)]
struct Receipt {
    header: Header,
    segment: Segment,
    purpose: Purpose,
    sink: Sink,
}

/// What the PDU at hand is for.
#[derive(Debug)]
enum Purpose {
    Login(LoginRequest),
    FullFeature(Incoming),
}

impl Connection {
    /// A connection on which nothing has come yet. `seed` must be unguessable and new for each connection: CHAP
    /// challenges come from it.
    #[must_use]
    pub fn new(
        config: Arc<Config>,
        limits: Limits,
        peer: SocketAddr,
        local: SocketAddr,
        seed: [u8; 32],
        now: Time,
    ) -> Self {
        let ends = Peer { address: peer.ip(), local };
        Self {
            state: State::Login(Login::new(Arc::clone(&config), ends)),
            config,
            limits,
            seed: Seed::new(seed),
            framer: Framer::new(),
            receiving: Receiving::Header,
            out: Outbox::new(LOGIN_FRAMING),
            events: VecDeque::new(),
            clock: Clock::new(limits, now),
            refusal: None,
        }
    }

    /// Why the login was refused, if it was.
    #[must_use]
    pub const fn refusal(&self) -> Option<&LoginRefusal> {
        self.refusal.as_ref()
    }

    /// Goes on as far as the input leads.
    fn receive(&mut self, now: Time, bytes: &[u8], pool: &mut Pool) -> Result<usize, Fatal> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            match &mut self.receiving {
                _ if matches!(self.state, State::Closing) => return Ok(bytes.len()),
                Receiving::Header => {
                    if rest.is_empty() || (!self.framer.is_inside() && !self.is_ready()) {
                        return Ok(used);
                    }
                    let (taken, header) = self.framer.handle_input(rest)?;
                    used += taken;
                    let Some(header) = header else { return Ok(used) };
                    if !self.take_header(&header, now, pool)? {
                        self.receiving = Receiving::Waiting(header);
                        return Ok(used);
                    }
                }
                Receiving::Waiting(header) => {
                    let header = *header;
                    if !self.take_header(&header, now, pool)? {
                        return Ok(used);
                    }
                    if matches!(self.receiving, Receiving::Waiting(_)) {
                        self.receiving = Receiving::Header;
                    }
                }
                Receiving::Data(receipt) => {
                    if rest.is_empty() {
                        return Ok(used);
                    }
                    let taken = receipt.handle_input(rest, &mut self.state);
                    used += taken;
                    if matches!(receipt.sink, Sink::Own(_) | Sink::Task(..)) {
                        self.clock.handle_data(now, taken);
                    }
                    self.finish_whole(now, pool)?;
                }
            }
        }
    }

    /// Acts on a header, and on its PDU if that is all of it. Whether that could be: a buffer may be wanting.
    fn take_header(&mut self, header: &Header, now: Time, pool: &mut Pool) -> Result<bool, Fatal> {
        let Some((purpose, sink)) = self.begin(header, now, pool)? else { return Ok(false) };
        let segment = Segment::new(header, self.framer.digests());
        if segment.is_whole() {
            self.finish(header, &segment, purpose, sink, now, pool)?;
        } else {
            self.receiving = Receiving::Data(Receipt { header: *header, segment, purpose, sink });
        }
        Ok(true)
    }

    /// Judges a header: what its PDU is for and where its data goes, or nothing while a buffer is wanting.
    fn begin(
        &mut self,
        header: &Header,
        now: Time,
        pool: &mut Pool,
    ) -> Result<Option<(Purpose, Sink)>, Fatal> {
        let Self { state, framer, out, events, .. } = self;
        let begin = match state {
            State::Login(_) => return self.begin_login(header).map(Some),
            State::FullFeature(full) => {
                let io = &mut Io { now, pool, out, events };
                let data_bytes = header.segments.data_bytes;
                //= RFC 7143 "MaxRecvDataSegmentLength"
                if data_bytes > to_usize(full.parameters.connection.receive_segment_bytes_max) {
                    let additional = framer.additional(header);
                    full.reject(&header.bhs, additional, RejectReason::PROTOCOL_ERROR, io);
                    return Err(Fatal("a data segment is longer than we declared"));
                }
                full.begin(header, framer.additional(header), io)?
            }
            State::Admitting(_) | State::Closing => Begin::Wait,
        };
        match begin {
            Begin::Wait => Ok(None),
            Begin::Take(incoming, sink) => Ok(Some((Purpose::FullFeature(incoming), sink))),
        }
    }

    fn begin_login(&mut self, header: &Header) -> Result<(Purpose, Sink), Fatal> {
        let Segments { data_bytes, ahs_bytes, .. } = header.segments;
        let (why, text) = match (LoginRequest::parse(&header.bhs), &self.state) {
            (Ok(request), _) if data_bytes <= LOGIN_SEGMENT_BYTES_MAX && ahs_bytes == 0 => {
                return Ok((Purpose::Login(request), Sink::Login(vec![0; data_bytes])));
            }
            (Ok(_), _) => (Why::TooLong, "a login request is longer than it may be"),
            (Err(_), State::Login(login)) if login.has_begun() => {
                (Why::NotLogin(header.bhs.opcode()), "a PDU within a login is no part of it")
            }
            (Err(_), _) => (Why::NotLogin(header.bhs.opcode()), "the first PDU of a connection is no login"),
        };
        if let State::Login(login) = core::mem::replace(&mut self.state, State::Closing) {
            self.take_step(login.refuse_header(&header.bhs, why));
        }
        Err(Fatal(text))
    }

    /// Acts on the PDU at hand once it is whole.
    fn finish_whole(&mut self, now: Time, pool: &mut Pool) -> Result<(), Fatal> {
        let Receiving::Data(receipt) = &self.receiving else { return Ok(()) };
        if !receipt.segment.is_whole() {
            return Ok(());
        }
        match core::mem::replace(&mut self.receiving, Receiving::Header) {
            Receiving::Data(Receipt { header, segment, purpose, sink }) => {
                self.finish(&header, &segment, purpose, sink, now, pool)
            }
            Receiving::Header | Receiving::Waiting(_) => Ok(()),
        }
    }

    /// Acts on a whole PDU.
    fn finish(
        &mut self,
        header: &Header,
        segment: &Segment,
        purpose: Purpose,
        sink: Sink,
        now: Time,
        pool: &mut Pool,
    ) -> Result<(), Fatal> {
        self.clock.handle_whole();
        let (own, text) = match sink {
            Sink::Own(buf) => (Some(buf), Vec::new()),
            Sink::Login(text) => (None, text),
            Sink::Discard | Sink::Task(..) => (None, Vec::new()),
        };
        match purpose {
            Purpose::Login(request) => self.finish_login(&request, &text),
            Purpose::FullFeature(incoming) => {
                let Self { state: State::FullFeature(full), framer, out, events, .. } = self else {
                    return Ok(());
                };
                let mut io = Io { now, pool, out, events };
                // No other header has come since.
                let additional = framer.additional(header);
                //= RFC 7143 "Digest Errors": at error recovery level 0 there is only session recovery
                if !segment.is_intact() {
                    full.reject(&header.bhs, additional, RejectReason::DATA_DIGEST_ERROR, &mut io);
                    own.into_iter().for_each(|buf| pool.give(buf));
                    return Err(Fatal(causes::DATA_DIGEST));
                }
                if let After::End(reason) = full.finish(header, additional, incoming, own, &mut io) {
                    self.end(reason, pool);
                }
            }
        }
        Ok(())
    }

    fn finish_login(&mut self, request: &LoginRequest, text: &[u8]) {
        if let State::Login(login) = core::mem::replace(&mut self.state, State::Closing) {
            let seed = &mut self.seed;
            let step = login.handle_request(request, text, &mut || seed.take());
            self.take_step(step);
        }
    }

    fn take_step(&mut self, step: Step) {
        match step {
            Step::Continue { reply, login } => {
                self.set_limits(login.limits(self.limits));
                self.state = State::Login(login);
                self.send_login(reply);
            }
            Step::Admit(admission) => {
                let Facts { session, initiator, .. } = &admission.facts;
                self.set_limits(session.limits(&self.config, initiator, self.limits));
                self.events.push_back(PortEvent::Login(who(&admission.facts)));
                self.state = State::Admitting(admission);
            }
            Step::Refuse { reply, refusal } => {
                self.refusal = Some(refusal);
                self.state = State::Closing;
                self.send_login(reply);
            }
        }
    }

    fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.clock.handle_limits(limits);
    }

    fn send_login(&mut self, reply: Reply) {
        let payload = if reply.text.is_empty() { Payload::None } else { Payload::Bytes(reply.text) };
        self.out.send(Job { pdu: reply.response.into(), payload });
    }

    fn admit(&mut self, session: u16) {
        let admission = match core::mem::replace(&mut self.state, State::Closing) {
            State::Admitting(admission) => admission,
            state => {
                self.state = state;
                if matches!(self.state, State::Closing) {
                    // The connection ended before the answer came: the nexus never was more than a promise.
                    self.events.push_back(PortEvent::NexusLoss { reason: LossReason::Connection });
                }
                return;
            }
        };
        let exp_cmd_sn = admission.facts.cmd_sn;
        let max_cmd_sn = (exp_cmd_sn + self.limits.window()).previous();
        let (reply, established) = admission.grant(Grant { tsih: session, exp_cmd_sn, max_cmd_sn });
        self.send_login(reply);
        let facts = established.facts;
        let connection = facts.parameters.connection;
        self.framer.set_digests(connection.digests);
        self.out.set_framing(Framing {
            digests: connection.digests,
            segment_bytes_max: connection.send_segment_bytes_max,
            burst_bytes_max: facts.parameters.session.burst_bytes_max,
        });
        self.out.set_status(established.stat_sn);
        self.out.set_window(exp_cmd_sn, max_cmd_sn);
        let agreed = Agreed {
            kind: facts.session.kind(),
            viewer: facts.viewer(),
            cid: facts.cid,
            exp_cmd_sn,
            parameters: facts.parameters,
        };
        self.state =
            State::FullFeature(Box::new(FullFeature::new(Arc::clone(&self.config), self.limits, agreed)));
    }

    fn refuse(&mut self, refusal: Refusal) {
        match core::mem::replace(&mut self.state, State::Closing) {
            State::Admitting(admission) => self.take_step(admission.refuse(status_of(refusal))),
            state => self.state = state,
        }
    }

    /// Ends whatever state there is: output stays queued.
    fn end(&mut self, reason: LossReason, pool: &mut Pool) {
        if let State::FullFeature(mut full) = core::mem::replace(&mut self.state, State::Closing) {
            full.handle_closed(pool);
            self.events.push_back(PortEvent::NexusLoss { reason });
        }
        if let Receiving::Data(Receipt { sink: Sink::Own(buf), .. }) =
            core::mem::replace(&mut self.receiving, Receiving::Header)
        {
            pool.give(buf);
        }
        self.clock.handle_end();
    }

    /// Buffers or room may have come free.
    fn retry(&mut self, now: Time, pool: &mut Pool) {
        let Self { state, out, events, .. } = self;
        if let State::FullFeature(full) = state {
            full.retry(&mut Io { now, pool, out, events });
        }
    }

    /// Notes what is being waited for, after anything happened.
    fn note(&mut self, now: Time) {
        let (pdu, buffer) = match self.receiving {
            // The rest of a PDU that the end cut off is not waited for.
            _ if matches!(self.state, State::Closing) => (false, false),
            Receiving::Header => (self.framer.is_inside(), false),
            // We are the ones who keep it waiting.
            Receiving::Waiting(_) => (false, !matches!(self.state, State::Admitting(_))),
            Receiving::Data(_) => (true, false),
        };
        self.clock.handle_waits(now, Waits { pdu, output: !self.out.is_empty(), buffer });
    }

    fn phase(&self) -> Phase {
        match &self.state {
            State::Login(_) | State::Admitting(_) => Phase::Login,
            State::FullFeature(full) => Phase::Serving(full.kind),
            State::Closing => Phase::Closing,
        }
    }

    /// Bytes of the buffer that the PDU at hand fills.
    fn receiving_bytes(&self, full: &FullFeature) -> usize {
        let Receiving::Data(receipt) = &self.receiving else { return 0 };
        match &receipt.sink {
            Sink::Own(buf) => buf.capacity(),
            Sink::Task(of, _) => full.buffer_bytes(*of),
            Sink::Discard | Sink::Login(_) => 0,
        }
    }

    fn is_ready(&self) -> bool {
        !self.out.is_congested() && !matches!(self.state, State::Admitting(_))
    }
}

impl Port for Connection {
    fn handle_input(&mut self, now: Time, bytes: &[u8], pool: &mut Pool) -> Result<usize, Fatal> {
        if !bytes.is_empty() {
            self.clock.handle_input(now);
        }
        self.retry(now, pool);
        let used = self.receive(now, bytes, pool);
        self.note(now);
        used
    }

    fn sink(&mut self) -> Option<&mut [u8]> {
        let Receiving::Data(Receipt { segment, sink: Sink::Task(of, at), .. }) = &self.receiving else {
            return None;
        };
        let State::FullFeature(full) = &mut self.state else { return None };
        let room = full.room(*of, *at + segment.done, segment.data_left())?;
        (room.len() >= SINK_BYTES_MIN).then_some(room)
    }

    fn handle_sink(&mut self, now: Time, count: usize, pool: &mut Pool) -> Result<(), Fatal> {
        self.clock.handle_input(now);
        self.clock.handle_data(now, count);
        if let (
            Receiving::Data(Receipt { segment, sink: Sink::Task(of, at), .. }),
            State::FullFeature(full),
        ) = (&mut self.receiving, &mut self.state)
        {
            let filled = full.room(*of, *at + segment.done, count).filter(|room| room.len() == count);
            segment.handle_data(filled.expect("what was filled is what `sink` showed"));
        }
        let finished = self.finish_whole(now, pool);
        self.note(now);
        finished
    }

    fn handle_closed(&mut self, pool: &mut Pool) {
        self.end(LossReason::Connection, pool);
        self.out.handle_closed(pool);
        self.clock.handle_closed();
    }

    fn handle_request(&mut self, now: Time, request: PortRequest, pool: &mut Pool) {
        let Self { state, out, events, .. } = self;
        let io = &mut Io { now, pool, out, events };
        match (request, state) {
            (PortRequest::Solicit { tag, task, bytes }, State::FullFeature(full)) => {
                full.solicit(tag, task, bytes, io)
            }
            (PortRequest::Respond(response), State::FullFeature(full)) => full.respond(response, io),
            (PortRequest::Abandon { tag }, State::FullFeature(full)) => full.abandon(tag, io),
            (PortRequest::TaskManagementResult { tag, response }, State::FullFeature(full)) => {
                if let After::End(reason) = full.finish_management(tag, response, io) {
                    self.end(reason, pool);
                }
            }
            (PortRequest::Admit { session }, _) => self.admit(session),
            (PortRequest::Refuse(refusal), _) => self.refuse(refusal),
            (PortRequest::RequestLogout { within }, State::FullFeature(full))
                if full.kind == SessionType::Normal =>
            {
                full.announce(AsyncEvent::LOGOUT_REQUESTED, within, out);
                self.clock.handle_logout_wish(now + within);
            }
            (PortRequest::RequestLogout { .. }, _) => self.end(LossReason::Administrative, pool),
            (PortRequest::Close(reason), state) => {
                // A reinstated session's initiator knows; it has made the new one.
                if let State::FullFeature(full) = state
                    && full.kind == SessionType::Normal
                    && reason == LossReason::Administrative
                {
                    full.announce(AsyncEvent::SESSION_DROPPED, Duration::ZERO, out);
                }
                self.end(reason, pool);
            }
            // Answers to a session that is gone.
            (PortRequest::Respond(response), _) => {
                response.data.into_iter().for_each(|buf: Buf| pool.give(buf))
            }
            (
                PortRequest::Solicit { .. }
                | PortRequest::Abandon { .. }
                | PortRequest::TaskManagementResult { .. },
                _,
            ) => {}
        }
        self.retry(now, pool);
        self.note(now);
    }

    fn handle_timeout(&mut self, now: Time) -> Result<(), Fatal> {
        match (self.clock.due(now, self.phase()), &mut self.state) {
            (Some(Due::End(text)), _) => return Err(Fatal(text)),
            (Some(Due::Logout), State::FullFeature(full)) => {
                full.announce(AsyncEvent::CONNECTION_DROPPED, Duration::ZERO, &mut self.out);
                return Err(Fatal(causes::NO_LOGOUT));
            }
            (Some(Due::Ping), State::FullFeature(full)) => {
                self.out.shrink();
                full.shrink();
                self.events.shrink_to_fit();
                full.ping(&mut self.out);
                self.clock.handle_ping(now);
            }
            _ => {}
        }
        if let State::FullFeature(full) = &mut self.state {
            full.handle_timeout(now)?;
        }
        self.note(now);
        Ok(())
    }

    #[inline]
    fn poll_event(&mut self) -> Option<PortEvent> {
        self.events.pop_front()
    }

    #[inline]
    fn output<'a>(&'a self, slices: &mut Vec<IoSlice<'a>>, budget: usize) {
        self.out.output(slices, budget);
    }

    #[inline]
    fn has_output(&self) -> bool {
        !self.out.is_empty()
    }

    fn handle_sent(&mut self, now: Time, count: usize, pool: &mut Pool) {
        self.out.handle_sent(count, pool);
        if count > 0 {
            self.clock.handle_sent(now, count);
        }
        self.retry(now, pool);
        self.note(now);
    }

    fn hoards(&self, now: Time) -> Option<Fatal> {
        // Also of a session that is over: what it still has to send keeps buffers.
        if self.clock.is_output_stalled(now, self.out.data_bytes()) {
            return Some(Fatal(causes::OUTPUT_SCARCE));
        }
        let State::FullFeature(full) = &self.state else { return None };
        if full.keeps_behind_gap(now) {
            return Some(Fatal(causes::GAP_SCARCE));
        }
        if self.clock.is_pdu_stalled(now, self.receiving_bytes(full)) {
            return Some(Fatal(causes::PDU_SCARCE));
        }
        self.clock.is_data_stalled(now, full.owed_bytes(now)).then_some(Fatal(causes::DATA_SCARCE))
    }

    fn is_finished(&self) -> bool {
        matches!(self.state, State::Closing)
    }

    fn poll_timeout(&self) -> Option<Time> {
        let session = match &self.state {
            State::FullFeature(full) => full.poll_timeout(),
            State::Login(_) | State::Admitting(_) | State::Closing => None,
        };
        session.into_iter().chain(self.clock.next(self.phase())).min()
    }
}

impl Receipt {
    /// Takes bytes of data, padding and digest: how many.
    fn handle_input(&mut self, bytes: &[u8], state: &mut State) -> usize {
        let data = &bytes[..self.segment.data_in(bytes)];
        if !data.is_empty() {
            let done = self.segment.done;
            match (&mut self.sink, state) {
                (Sink::Own(buf), _) => buf[done..done + data.len()].copy_from_slice(data),
                (Sink::Login(text), _) => text[done..done + data.len()].copy_from_slice(data),
                (Sink::Task(of, at), State::FullFeature(full)) => full.store(*of, *at + done, data),
                (Sink::Discard | Sink::Task(..), _) => {}
            }
            self.segment.handle_data(data);
        }
        let trailer =
            if self.segment.data_left() == 0 { self.segment.handle_trailer(&bytes[data.len()..]) } else { 0 };
        data.len() + trailer
    }
}

/// Who asks to be admitted.
fn who(facts: &Facts) -> LoginEvent {
    let [a, b, c, d, e, f] = facts.isid;
    LoginEvent {
        //= RFC 7143 "SCSI to iSCSI Concepts Mapping Model": the initiator port's name
        initiator_port: format!("{},i,0x{a:02x}{b:02x}{c:02x}{d:02x}{e:02x}{f:02x}", facts.initiator),
        initiator: facts.initiator.to_string(),
        target: facts.session.target().map(ToString::to_string).unwrap_or_default(),
        target_port_tag: facts.session.portal_group_tag(),
        kind: match facts.session.kind() {
            SessionType::Normal => LoginKind::Normal,
            SessionType::Discovery => LoginKind::Discovery,
        },
        session: facts.tsih,
        terms: Arc::new(Terms {
            alias: facts.parameters.session.initiator_alias.clone(),
            user: facts.account.as_ref().map(|account| account.user().to_owned()),
            connection: facts.cid,
            local: Some(facts.peer.local),
            values: facts.parameters.values(facts.session.kind()),
        }),
    }
}

const fn status_of(refusal: Refusal) -> LoginStatus {
    match refusal {
        Refusal::NoSuchSession => LoginStatus::SESSION_DOES_NOT_EXIST,
        Refusal::TooManyConnections => LoginStatus::TOO_MANY_CONNECTIONS,
        Refusal::OutOfResources => LoginStatus::OUT_OF_RESOURCES,
        Refusal::ServiceUnavailable => LoginStatus::SERVICE_UNAVAILABLE,
    }
}

/// Before anything is negotiated.
const LOGIN_FRAMING: Framing =
    Framing { digests: Digests::NONE, segment_bytes_max: 8192, burst_bytes_max: 262_144 };
/// Data that is worth a receive of its own.
const SINK_BYTES_MIN: usize = 16 << 10;
