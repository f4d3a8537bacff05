//! Who gets what: port events to engines, engine requests to ports, and both across reactors.
//!
//! A command goes to the engine here, which forwards it if the unit is at home elsewhere and it may not run it itself; answers go to
//! the reactor of the port. A buffer that travels is given back where it ends. Sessions are registered with the first reactor
//! ([`REGISTRAR`]).
//!
//! Invariant: messages between two reactors keep their order, so that every engine knows of a nexus before its first command and
//! forgets it after its last.

use super::connection::{End, Standing};
use super::sessions::Verdict;
use super::slots::Key;
use super::{Event, Hub, Io, Message, key};
use core::time::Duration;
use felio_hal::meter::Meters;
use felio_hal::port::{Login, LoginKind, LossReason, TaskManagement};
use felio_hal::{NexusId, Port, PortEvent, PortRequest, PortTag, Time};
use felio_spec::TaskManagementFunction;
use felio_spec::status::TaskManagementResponse;
use std::sync::Arc;

/// The reactor that keeps the register of sessions.
pub(super) const REGISTRAR: u16 = 0;

/// How often others are asked to give up free buffers, at the most.
const TRIM_PAUSE: Duration = Duration::from_millis(1);

/// A nexus of ours that is gone here and perhaps still known elsewhere.
#[derive(Debug)]
pub(super) struct Loss {
    nexus: NexusId,
    /// Reactors, this one among them, that have not yet said that they have nothing of it.
    left: u16,
}

/// A nexus that this reactor's engine was told to forget.
#[derive(Debug)]
pub(super) struct Leaving {
    nexus: NexusId,
}

/// A task management function that every reactor must carry out.
#[derive(Debug)]
pub(super) struct Fanout {
    pub(super) nexus: NexusId,
    tag: PortTag,
    left: u16,
    response: TaskManagementResponse,
    /// The function ends the session, too: once it is answered.
    close: Option<LossReason>,
}

impl<P: Port> Hub<P> {
    /// Whatever a port tells, until it has no more: whether it told anything. `end`: its connection is being given up for this.
    pub(super) fn drain_events(&mut self, now: Time, key: Key, end: Option<End>, io: &mut impl Io) -> bool {
        let mut told = false;
        while let Some(connection) = self.connections.get_mut(key)
            && let Some(event) = connection.port.poll_event()
        {
            told = true;
            self.route_event(now, key, event, end, io);
        }
        told
    }

    pub(super) fn route_messages(&mut self, now: Time, io: &mut impl Io) -> bool {
        let mut moved = false;
        while let Some(message) = self.inbox.pop_front() {
            moved = true;
            self.route_message(now, message, io);
        }
        moved
    }

    pub(super) fn route_requests(&mut self, now: Time, io: &mut impl Io) -> bool {
        let mut moved = false;
        while let Some((nexus, request)) = self.engine.poll_request() {
            moved = true;
            self.route_request(now, nexus, request, io);
        }
        moved
    }

    /// Data that tasks elsewhere solicited from the copy manager here.
    pub(super) fn route_copies(&mut self, io: &mut impl Io) -> bool {
        let mut moved = false;
        while let Some((task, buf)) = self.engine.poll_data_out() {
            moved = true;
            self.post(task.reactor, Message::DataOut { task, buf }, io);
        }
        moved
    }

    /// Says of lost nexuses that nothing is left of them here, and tells the register when that is so everywhere. The engine does
    /// not wait for ever for what they have in the stores.
    pub(super) fn settle_losses(&mut self, io: &mut impl Io) {
        let engine = &self.engine;
        let gone = |leaving: &mut Leaving| !engine.holds(leaving.nexus);
        let gone: Vec<NexusId> = self.leaving.extract_if(.., gone).map(|leaving| leaving.nexus).collect();
        for nexus in gone {
            self.post(nexus.reactor, Message::NexusGone { nexus }, io);
        }
    }

    /// Sends home what belongs to other reactors, and asks them for what is wanting here.
    pub(super) fn settle_buffers(&mut self, now: Time, io: &mut impl Io) {
        while let Some((home, buf)) = self.pool.poll_foreign() {
            match self.homeward.iter_mut().find(|(reactor, _)| *reactor == home) {
                Some((_, bufs)) => bufs.push(buf),
                None => self.homeward.push((home, vec![buf])),
            }
        }
        for (home, bufs) in self.homeward.drain(..) {
            io.post(home, Message::Buffers(bufs));
        }
        let alone = self.config.reactors == 1;
        if !self.pool.poll_shortage() {
            return;
        }
        self.note_scarcity(now);
        if !alone && self.trimmed_at.is_none_or(|at| at + TRIM_PAUSE <= now) {
            self.trimmed_at = Some(now);
            self.broadcast(io, || Message::Trim);
        }
    }

    pub(super) fn broadcast(&self, io: &mut impl Io, message: impl Fn() -> Message) {
        for reactor in (0..self.config.reactors).filter(|reactor| *reactor != self.config.reactor) {
            io.post(reactor, message());
        }
    }

    pub(super) fn post(&mut self, reactor: u16, message: Message, io: &mut impl Io) {
        if reactor == self.config.reactor {
            self.inbox.push_back(message);
        } else {
            io.post(reactor, message);
        }
    }

    fn route_event(&mut self, now: Time, key: Key, event: PortEvent, end: Option<End>, io: &mut impl Io) {
        let nexus = self.nexus(key);
        match event {
            PortEvent::Command(command) => {
                self.engine.handle_command(now, nexus, command, &mut self.pool);
            }
            PortEvent::DataOut { task, buf } if task.reactor == self.config.reactor => {
                self.engine.handle_data_out(now, task, buf, &mut self.pool);
            }
            PortEvent::DataOut { task, buf } => io.post(task.reactor, Message::DataOut { task, buf }),
            PortEvent::TaskManagement(function) => self.route_task_management(now, nexus, function, io),
            PortEvent::Login(login) => self.register(key, login, io),
            PortEvent::NexusLoss { reason } => self.lose(now, key, reason, end, io),
        }
    }

    fn route_message(&mut self, now: Time, message: Message, io: &mut impl Io) {
        match message {
            Message::Letter { from, letter } => {
                self.engine.handle_letter(now, from, letter, &mut self.pool);
            }
            Message::DataOut { task, buf } => {
                self.engine.handle_data_out(now, task, buf, &mut self.pool);
            }
            Message::TaskManagement { nexus, function } => {
                self.engine.handle_task_management(now, nexus, function, &mut self.pool);
            }
            Message::Request { nexus, request } => {
                self.engine.handle_answer(nexus, &request);
                self.route_request(now, nexus, request, io);
            }
            Message::Register { nexus, login } => {
                self.ask_register(io, |register| register.handle_login(nexus, login))
            }
            Message::Admit { nexus, session } => self.admit(now, key(nexus), session, io),
            Message::Release { nexus } => self.ask_register(io, |register| register.handle_release(nexus)),
            Message::Login { nexus, login, meters } => self.engine.handle_login(now, nexus, &login, &meters),
            Message::NexusLoss { nexus } => self.forget(now, nexus),
            Message::NexusGone { nexus } => self.gone(nexus, io),
            Message::Buffers(bufs) => bufs.into_iter().for_each(|buf| self.pool.give(buf)),
            Message::Trim => {
                self.pool.trim();
                self.note_scarcity(now);
            }
            Message::Drained => self.drained += 1,
        }
    }

    /// To the port that it is for, wherever that is.
    fn route_request(&mut self, now: Time, nexus: NexusId, request: PortRequest, io: &mut impl Io) {
        if let Some((reactor, _)) = request.tag().and_then(PortTag::piece) {
            if reactor == self.config.reactor {
                return self.engine.handle_copy_request(now, nexus, request, &mut self.pool);
            }
            return io.post(reactor, Message::Request { nexus, request });
        }
        if nexus.reactor != self.config.reactor {
            return io.post(nexus.reactor, Message::Request { nexus, request });
        }
        let key = key(nexus);
        let Some(request) = self.collect(nexus, request) else { return };
        if let PortRequest::Refuse(refusal) = &request {
            self.refused(key, *refusal, io);
        }
        if self.connections.get_mut(key).is_some() {
            self.request(now, key, request);
            self.drain_events(now, key, None, io);
        } else if let PortRequest::Respond(response) = request
            && let Some(buf) = response.data
        {
            self.pool.give(buf);
        }
    }

    /// A function is for the engine here, which forwards it if need be; or for several, and answered once all have.
    fn route_task_management(
        &mut self,
        now: Time,
        nexus: NexusId,
        function: TaskManagement,
        io: &mut impl Io,
    ) {
        let own = self.config.reactor;
        let home = self.engine.home_of(nexus, function.lun).unwrap_or(own);
        let is_carried_out_by = |reactor: u16| match function.function {
            TaskManagementFunction::TargetWarmReset
            | TaskManagementFunction::TargetColdReset
            | TaskManagementFunction::ITNexusReset => true,
            // Tasks of the nexus itself: those that run here, and those at home.
            TaskManagementFunction::AbortTaskSet | TaskManagementFunction::QueryTaskSet => {
                reactor == own || reactor == home
            }
            _ => reactor == own,
        };
        let reactors: Vec<u16> =
            (0..self.config.reactors).filter(|reactor| is_carried_out_by(*reactor)).collect();
        if let Ok(left @ 2..) = u16::try_from(reactors.len()) {
            let response = TaskManagementResponse::FunctionComplete;
            self.fanouts.push(Fanout { nexus, tag: function.tag, left, response, close: None });
        }
        // What was forwarded before comes before.
        self.route_letters(io);
        for reactor in reactors {
            self.post_task_management(now, reactor, nexus, function, io);
        }
    }

    /// Carries what the engine has to say to others.
    pub(super) fn route_letters(&mut self, io: &mut impl Io) -> bool {
        let mut moved = false;
        while let Some((to, letter)) = self.engine.poll_letter() {
            moved = true;
            io.post(to, Message::Letter { from: self.config.reactor, letter });
        }
        moved
    }

    fn post_task_management(
        &mut self,
        now: Time,
        to: u16,
        nexus: NexusId,
        function: TaskManagement,
        io: &mut impl Io,
    ) {
        if to == self.config.reactor {
            self.engine.handle_task_management(now, nexus, function, &mut self.pool);
        } else {
            io.post(to, Message::TaskManagement { nexus, function });
        }
    }

    /// Holds back the answers of a function that went to every reactor until the last; passes on everything else.
    fn collect(&mut self, nexus: NexusId, request: PortRequest) -> Option<PortRequest> {
        if let PortRequest::Close(reason @ LossReason::Administrative) = &request
            && let Some(fanout) = self.fanouts.iter_mut().find(|fanout| fanout.nexus == nexus)
        {
            fanout.close = Some(*reason);
            return None;
        }
        let PortRequest::TaskManagementResult { tag, response } = request else { return Some(request) };
        let same = |fanout: &Fanout| fanout.nexus == nexus && fanout.tag == tag;
        let Some(at) = self.fanouts.iter().position(same) else { return Some(request) };
        let fanout = &mut self.fanouts[at];
        fanout.left -= 1;
        if response != TaskManagementResponse::FunctionComplete {
            fanout.response = response;
        }
        if fanout.left > 0 {
            return None;
        }
        let fanout = self.fanouts.swap_remove(at);
        if let Some(reason) = fanout.close {
            self.inbox.push_back(Message::Request { nexus, request: PortRequest::Close(reason) });
        }
        Some(PortRequest::TaskManagementResult { tag, response: fanout.response })
    }

    fn register(&mut self, key: Key, login: Login, io: &mut impl Io) {
        let nexus = self.nexus(key);
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.standing = Standing::Waiting(login.clone());
        self.post(REGISTRAR, Message::Register { nexus, login }, io);
    }

    fn ask_register(&mut self, io: &mut impl Io, ask: impl FnOnce(&mut super::Sessions)) {
        let Some(register) = &mut self.sessions else { return };
        ask(register);
        while let Some(verdict) = self.sessions.as_mut().and_then(super::Sessions::poll_verdict) {
            let (nexus, message) = match verdict {
                Verdict::Admit { nexus, session } => (nexus, Message::Admit { nexus, session }),
                Verdict::Refuse { nexus, refusal } => {
                    (nexus, Message::Request { nexus, request: PortRequest::Refuse(refusal) })
                }
                Verdict::Close { nexus } => {
                    (nexus, Message::Request { nexus, request: PortRequest::Close(LossReason::Reinstated) })
                }
            };
            self.post(nexus.reactor, message, io);
        }
    }

    /// The register agreed: every engine learns of the nexus, then the port may begin.
    fn admit(&mut self, now: Time, key: Key, session: u16, io: &mut impl Io) {
        let nexus = self.nexus(key);
        // A connection that ended meanwhile has released its wish already.
        let Some(connection) = self.connections.get_mut(key) else { return };
        let login = match connection.take_standing() {
            Standing::Waiting(login) => login,
            other => {
                connection.standing = other;
                return;
            }
        };
        self.anonymous -= 1;
        let meters = Meters::new(self.config.reactors.into());
        io.tell(Event::Login {
            peer: connection.peer,
            initiator_port: login.initiator_port.clone(),
            initiator: login.initiator.clone(),
            target: login.target.clone(),
            target_port_tag: login.target_port_tag,
            kind: login.kind,
            session,
            terms: Arc::clone(&login.terms),
            meters: meters.clone(),
        });
        if login.kind == LoginKind::Normal {
            self.engine.handle_login(now, nexus, &login, &meters);
            self.broadcast(io, || Message::Login { nexus, login: login.clone(), meters: meters.clone() });
        }
        if let Some(connection) = self.connections.get_mut(key) {
            connection.standing = Standing::Admitted { login, session };
        }
        self.request(now, key, PortRequest::Admit { session });
        self.drain_events(now, key, None, io);
    }

    /// The register said no; the port will say so to the peer and finish.
    fn refused(&mut self, key: Key, refusal: felio_hal::port::Refusal, io: &mut impl Io) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if let Standing::Waiting(login) = connection.take_standing() {
            self.anonymous -= 1;
            io.tell(Event::Refused { peer: connection.peer, initiator: login.initiator, refusal });
        }
    }

    /// A port's session is over: every engine forgets it, then the register.
    pub(super) fn lose(
        &mut self,
        now: Time,
        key: Key,
        reason: LossReason,
        end: Option<End>,
        io: &mut impl Io,
    ) {
        let nexus = self.nexus(key);
        let Some(connection) = self.connections.get_mut(key) else { return };
        let (login, session) = match connection.take_standing() {
            Standing::Admitted { login, session } => (login, session),
            other => {
                connection.standing = other;
                return;
            }
        };
        let peer = connection.peer;
        if login.kind == LoginKind::Normal {
            self.route_letters(io);
            self.forget(now, nexus);
            self.broadcast(io, || Message::NexusLoss { nexus });
            self.losses.push(Loss { nexus, left: self.config.reactors });
        } else {
            self.post(REGISTRAR, Message::Release { nexus }, io);
        }
        io.tell(Event::Logout {
            peer,
            initiator: login.initiator,
            target: login.target,
            kind: login.kind,
            session,
            reason,
            cause: if reason == LossReason::Connection { end.and_then(End::cause) } else { None },
        });
    }

    fn forget(&mut self, now: Time, nexus: NexusId) {
        self.engine.handle_nexus_loss(now, nexus, &mut self.pool);
        self.leaving.push(Leaving { nexus });
    }

    /// One reactor more has nothing of a nexus; after the last a session of the same initiator port may begin.
    fn gone(&mut self, nexus: NexusId, io: &mut impl Io) {
        let Some(at) = self.losses.iter().position(|loss| loss.nexus == nexus) else { return };
        self.losses[at].left -= 1;
        if self.losses[at].left == 0 {
            self.losses.swap_remove(at);
            self.post(REGISTRAR, Message::Release { nexus }, io);
        }
    }

    pub(super) fn close_all(&mut self, now: Time, reason: LossReason) {
        let keys: Vec<Key> = self.connections.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.request(now, key, PortRequest::Close(reason));
        }
    }
}
