//! Everything in full feature phase that is no SCSI command: task management, ping, text, logout, asynchronous messages,
//! Reject.
//!
//! Not here: what a task management function does to tasks (the engine), what keys mean (`keys`). The command table
//! decides only what the engine cannot know: tasks that wait for their turn, and those whose response waits for data.

use crate::command::lun_of;
use crate::exchange::answer;
use crate::pdu::{
    AsyncEvent, AsyncMessage, BHS_BYTES, Bhs, LogoutReason, LogoutRequest, LogoutResponse,
    LogoutResponseCode, NopIn, NopOut, Reject, RejectReason, Sn, TaskManagementFunction as Function,
    TaskManagementRequest, TaskManagementResponse, TaskManagementResponseCode as Code, TaskTag, TextRequest,
    TextResponse,
};
use crate::receive::Header;
use crate::session::{After, Begin, FullFeature, Incoming, Io, Item, Sink};
use crate::tasks::{Kind, Numbering, SlotUse, State, Task, slot_of, tag_of};
use crate::transmit::{Job, Outbox, Payload, to_usize};
use crate::window::Place;
use core::time::Duration;
use felio_hal::port::{Fatal, LossReason, TaskManagement};
use felio_hal::{Buf, PortEvent, PortTag};
use felio_spec::TaskManagementFunction;
use felio_spec::status::TaskManagementResponse as Outcome;

impl FullFeature {
    /// Judges a task management request.
    pub(crate) fn begin_management(&mut self, pdu: TaskManagementRequest) -> Begin {
        let place = if pdu.immediate { Numbering::Immediate } else { Numbering::Numbered };
        if !pdu.immediate && self.window.place(pdu.cmd_sn) == Place::Outside {
            Begin::ignore()
        } else if pdu.initiator_task_tag.is_reserved() {
            Begin::reject(RejectReason::INVALID_PDU_FIELD)
        } else if self.tasks.find(pdu.initiator_task_tag).is_some() {
            Begin::reject(RejectReason::TASK_IN_PROGRESS)
        } else if !self.tasks.has_room_for_function(place) {
            Begin::reject(RejectReason::IMMEDIATE_COMMAND_REJECT)
        } else {
            Begin::Take(Incoming::Management(pdu), Sink::Discard)
        }
    }

    /// A task management function's turn has come.
    ///
    /// A function that ends several tasks is answered without a wait for the data that their R2Ts asked for, and without one for the
    /// acknowledgement of their statuses, which is what FastAbort allows and nobody negotiates here. That is deliberate: an initiator in
    /// trouble need not send what nobody wants, and what does come is known by its target transfer tag and let go.
    //= RFC 7143 "Task Management Function Request", "FastAbort Multi-Task Abort Semantics"; a deviation from
    //= "Standard Multi-Task Abort Semantics"
    pub(crate) fn deliver_management(&mut self, pdu: &TaskManagementRequest, io: &mut Io<'_>) {
        let answer = match pdu.function {
            Function::ABORT_TASK => self.abort_here(pdu, io),
            Function::QUERY_TASK | Function::QUERY_TASK_SET => self.has_ours(pdu).then_some(Code::SUCCEEDED),
            Function::TASK_REASSIGN => Some(Code::REASSIGNMENT_NOT_SUPPORTED),
            function => row_of(function).is_none().then_some(Code::NOT_SUPPORTED),
        };
        match (answer, row_of(pdu.function)) {
            (None, Some(function)) => {
                // It takes its own place first: the places that it makes free are given to the initiator at once.
                let own = self.pass_on(function, pdu, io);
                let left = self.abort_ours(pdu, io);
                if let Some(Task { kind: Kind::Management(ends), .. }) = self.tasks.get_mut(own.slot) {
                    *ends = left;
                }
            }
            (answer, _) => {
                self.answer_management(pdu.initiator_task_tag, answer.unwrap_or(Code::NOT_SUPPORTED), io)
            }
        }
    }

    /// The engine says how a task management function ended.
    pub(crate) fn finish_management(&mut self, tag: PortTag, outcome: Outcome, io: &mut Io<'_>) -> After {
        // An ABORT TASK of ours has no slot: the command that it was for has been answered.
        let slot = slot_of(tag);
        let Some(Task { itt, kind: Kind::Management(ends), .. }) = self.tasks.get_mut(slot) else {
            return After::GoOn;
        };
        let (itt, ends) = (*itt, core::mem::take(ends));
        self.tasks.remove(slot);
        let code = match (outcome, self.drop_parked(&ends, io)) {
            // The engine had answered it, and the initiator did not know.
            (Outcome::NoSuchTask, 1..) => Code::COMPLETE,
            (outcome, _) => code_of(outcome),
        };
        self.answer_management(itt, code, io);
        if self.is_managing() {
            return After::GoOn;
        }
        self.farewell.take().map_or(After::GoOn, |logout| self.deliver_logout(&logout, io))
    }

    /// Judges a ping: its data needs a buffer to come back from.
    pub(crate) fn begin_ping(
        &mut self,
        header: &Header,
        pdu: NopOut,
        io: &mut Io<'_>,
    ) -> Result<Begin, Fatal> {
        let is_answer = pdu.initiator_task_tag.is_reserved();
        let begin = self.begin_numbered(pdu.immediate || is_answer, pdu.cmd_sn, Incoming::Ping(pdu));
        if is_answer {
            return Ok(begin);
        }
        Ok(self.with_buffer(header, begin, io))
    }

    //= RFC 7143 "NOP-In"
    pub(crate) fn deliver_ping(&mut self, pdu: &NopOut, data: Option<Buf>, io: &mut Io<'_>) {
        if pdu.initiator_task_tag.is_reserved() {
            data.into_iter().for_each(|buf| io.pool.give(buf));
            return;
        }
        let bytes_max = io.out.framing().segment_bytes_max;
        let pong = nop_in(pdu.initiator_task_tag, TaskTag::RESERVED);
        let payload = match data {
            Some(buf) if !buf.is_empty() => Payload::Buf(buf, pdu.data_segment_bytes.min(bytes_max)),
            data => {
                data.into_iter().for_each(|buf| io.pool.give(buf));
                Payload::None
            }
        };
        self.credit(io);
        io.out.send(Job { pdu: pong.into(), payload });
    }

    /// Pings the initiator.
    pub(crate) fn ping(&self, out: &mut Outbox) {
        let ttt = TaskTag(PING_TAG);
        out.send(Job { pdu: nop_in(TaskTag::RESERVED, ttt).into(), payload: Payload::None });
    }

    /// Judges a text request.
    pub(crate) fn begin_text(
        &mut self,
        header: &Header,
        pdu: TextRequest,
        io: &mut Io<'_>,
    ) -> Result<Begin, Fatal> {
        if pdu.initiator_task_tag.is_reserved() {
            return Ok(Begin::reject(RejectReason::INVALID_PDU_FIELD));
        }
        if self.tasks.find(pdu.initiator_task_tag).is_some() {
            return Ok(Begin::reject(RejectReason::TASK_IN_PROGRESS));
        }
        let begin = self.begin_numbered(pdu.immediate, pdu.cmd_sn, Incoming::Text(pdu));
        Ok(self.with_buffer(header, begin, io))
    }

    //= RFC 7143 "Text Request", "Text Response"
    pub(crate) fn deliver_text(&mut self, pdu: &TextRequest, bhs: &Bhs, data: Option<Buf>, io: &mut Io<'_>) {
        let Self { exchange, config, viewer, parameters, .. } = self;
        let bytes_max = io.out.framing().segment_bytes_max.min(TEXT_SEGMENT_BYTES_MAX);
        let text = data.as_deref().unwrap_or_default();
        let reply = exchange.handle_request(pdu, text, bytes_max, |text| {
            answer(config, viewer, parameters, text).map_err(|why| why.reason())
        });
        data.into_iter().for_each(|buf| io.pool.give(buf));
        //= RFC 7143 "Reject": the number of a rejected command does not count as received
        if reply.is_err() && !pdu.immediate {
            self.window.handle_rejected();
        }
        self.credit(io);
        let reply = match reply {
            Ok(reply) => reply,
            Err(reason) => return self.reject(bhs, &[], reason, io),
        };
        let response = TextResponse {
            final_pdu: reply.final_pdu,
            continued: reply.continued,
            data_segment_bytes: 0,
            lun: pdu.lun,
            initiator_task_tag: pdu.initiator_task_tag,
            target_transfer_tag: reply.target_transfer_tag,
            stat_sn: Sn(0),
            exp_cmd_sn: Sn(0),
            max_cmd_sn: Sn(0),
        };
        io.out.send(Job { pdu: response.into(), payload: Payload::Bytes(reply.text) });
        // What was declared anew holds from the next PDU on.
        let mut framing = io.out.framing();
        framing.segment_bytes_max = self.parameters.connection.send_segment_bytes_max;
        io.out.set_framing(framing);
    }

    //= RFC 7143 "Logout Request", "Logout Response": what is under way ends with the session. An initiator that had a
    //= function carried out before it left still learns the outcome; the engine answers each within its deadline.
    pub(crate) fn deliver_logout(&mut self, pdu: &LogoutRequest, io: &mut Io<'_>) -> After {
        if self.is_managing() {
            self.farewell = Some(*pdu);
            return After::GoOn;
        }
        let response = match pdu.reason {
            LogoutReason::CLOSE_SESSION => LogoutResponseCode::SUCCESS,
            LogoutReason::CLOSE_CONNECTION if pdu.cid == self.cid => LogoutResponseCode::SUCCESS,
            LogoutReason::CLOSE_CONNECTION => LogoutResponseCode::CID_NOT_FOUND,
            _ => LogoutResponseCode::RECOVERY_NOT_SUPPORTED,
        };
        let session = &self.parameters.session;
        let seconds = |seconds: u32| u16::try_from(seconds).unwrap_or(u16::MAX);
        let answer = LogoutResponse {
            response,
            initiator_task_tag: pdu.initiator_task_tag,
            stat_sn: Sn(0),
            exp_cmd_sn: Sn(0),
            max_cmd_sn: Sn(0),
            time_to_wait: seconds(session.time_to_wait_secs),
            time_to_retain: seconds(session.time_to_retain_secs),
        };
        self.credit(io);
        io.out.send(Job { pdu: answer.into(), payload: Payload::None });
        if response == LogoutResponseCode::SUCCESS { After::End(LossReason::Logout) } else { After::GoOn }
    }

    /// Whether a task management function of the initiator is under way.
    fn is_managing(&mut self) -> bool {
        self.tasks.iter_mut().any(|(_, task)| matches!(task.kind, Kind::Management(_)))
    }

    /// Asks the initiator to log out, or tells it that we drop the session.
    //= RFC 7143 "Asynchronous Message"
    pub(crate) fn announce(&self, event: AsyncEvent, within: Duration, out: &mut Outbox) {
        let session = &self.parameters.session;
        let seconds = |seconds: u64| u16::try_from(seconds).unwrap_or(u16::MAX);
        let (wait, retain) = match event {
            AsyncEvent::LOGOUT_REQUESTED => (0, seconds(within.as_secs())),
            _ => (seconds(session.time_to_wait_secs.into()), seconds(session.time_to_retain_secs.into())),
        };
        let message = AsyncMessage {
            data_segment_bytes: 0,
            lun: 0,
            initiator_task_tag: TaskTag::RESERVED,
            stat_sn: Sn(0),
            exp_cmd_sn: Sn(0),
            max_cmd_sn: Sn(0),
            event,
            vendor_code: 0,
            parameter1: if event == AsyncEvent::CONNECTION_DROPPED { self.cid } else { 0 },
            parameter2: wait,
            parameter3: retain,
        };
        out.send(Job { pdu: message.into(), payload: Payload::None });
    }

    /// Rejects a PDU, whose whole header goes back: the basic one and, where the initiator takes that much, the additional ones.
    //= RFC 7143 "Reject"
    pub(crate) fn reject(&self, bhs: &Bhs, additional: &[u8], reason: RejectReason, io: &mut Io<'_>) {
        let reject = Reject {
            reason,
            data_segment_bytes: 0,
            initiator_task_tag: TaskTag::RESERVED,
            stat_sn: Sn(0),
            exp_cmd_sn: Sn(0),
            max_cmd_sn: Sn(0),
            data_sn: Sn(0),
        };
        let room = to_usize(io.out.framing().segment_bytes_max).saturating_sub(BHS_BYTES);
        let additional = if additional.len() <= room { additional } else { &[] };
        let header = [&bhs.0, additional].concat();
        io.out.send(Job { pdu: reject.into(), payload: Payload::Bytes(header) });
    }

    /// ABORT TASK for a task that the engine does not have: the answer, or `None` if the engine is to be asked.
    //= RFC 7143 "Task Management Function Request": Referenced Task Tag and RefCmdSN
    fn abort_here(&mut self, pdu: &TaskManagementRequest, io: &mut Io<'_>) -> Option<Code> {
        let Some(of) = self.tasks.find(pdu.referenced_task_tag) else {
            return Some(self.abort_unseen(pdu, io));
        };
        let task = self.tasks.get_mut(of.slot)?;
        if !matches!(task.kind, Kind::Command(_)) || task.lun != lun_of(pdu.lun) {
            return Some(Code::TASK_DOES_NOT_EXIST);
        }
        match self.abort_slot(of.slot, io) {
            Whose::Ours => Some(Code::COMPLETE),
            Whose::Engines => None,
        }
    }

    /// Aborts a command as far as it is ours: no response of it leaves any more.
    fn abort_slot(&mut self, slot: u16, io: &mut Io<'_>) -> Whose {
        let Some(Task { cmd_sn, place, kind: Kind::Command(command), .. }) = self.tasks.get_mut(slot) else {
            return Whose::Engines;
        };
        let numbered = (*place == Numbering::Numbered).then_some(*cmd_sn);
        match command.state {
            State::Running => return Whose::Engines,
            State::Failing(_) | State::Aborted => {
                command.state = State::Aborted;
                return Whose::Engines;
            }
            // The number of an immediate command is another one's.
            State::Held | State::Refused(_) => numbered.into_iter().for_each(|cmd_sn| self.skip(cmd_sn)),
            State::Ended(_) => {}
        }
        self.forget(slot, io);
        Whose::Ours
    }

    /// A task that never came, but whose number is its own: it counts as received, and will be ignored if it comes.
    fn abort_unseen(&mut self, pdu: &TaskManagementRequest, io: &mut Io<'_>) -> Code {
        if !pdu.ref_cmd_sn.is_before(pdu.cmd_sn) {
            return Code::TASK_DOES_NOT_EXIST;
        }
        match self.window.place(pdu.ref_cmd_sn) {
            Place::Outside => return Code::TASK_DOES_NOT_EXIST,
            Place::Ahead => self.window.hold(pdu.ref_cmd_sn, Item::Skip),
            Place::Next => {
                self.window.handle_next();
                self.credit(io);
            }
        }
        Code::COMPLETE
    }

    /// Functions reach also the commands that the engine does not have, if they were sent before. Those that it has are returned.
    fn abort_ours(&mut self, pdu: &TaskManagementRequest, io: &mut Io<'_>) -> Vec<SlotUse> {
        let lun = lun_of(pdu.lun);
        let is_meant = |task: &Task| match pdu.function {
            Function::ABORT_TASK => task.itt == pdu.referenced_task_tag,
            Function::ABORT_TASK_SET | Function::CLEAR_TASK_SET | Function::LOGICAL_UNIT_RESET => {
                task.lun == lun && is_before(task, pdu)
            }
            Function::TARGET_WARM_RESET | Function::TARGET_COLD_RESET | Function::I_T_NEXUS_RESET => {
                is_before(task, pdu)
            }
            _ => false,
        };
        let is_meant = |task: &Task| matches!(task.kind, Kind::Command(_)) && is_meant(task);
        let meant: Vec<u16> =
            self.tasks.iter_mut().filter(|(_, task)| is_meant(task)).map(|(slot, _)| slot).collect();
        let mut left: Vec<SlotUse> = meant.iter().filter_map(|slot| self.tasks.use_of(*slot)).collect();
        left.retain(|of| matches!(self.abort_slot(of.slot, io), Whose::Engines));
        left
    }

    /// Whether a function asks for a command that the engine does not have: it waits for its turn or for room, or its response for data.
    fn has_ours(&mut self, pdu: &TaskManagementRequest) -> bool {
        let (lun, any) = (lun_of(pdu.lun), pdu.function == Function::QUERY_TASK_SET);
        let is_ours = |task: &Task| match &task.kind {
            Kind::Command(command) => {
                matches!(command.state, State::Held | State::Refused(_) | State::Ended(_))
            }
            Kind::Management(_) => false,
        };
        let mut tasks = self.tasks.iter_mut().map(|(_, task)| &*task);
        tasks.any(|task| {
            let is_meant = any || task.itt == pdu.referenced_task_tag;
            is_meant && task.lun == lun && is_before(task, pdu) && is_ours(task)
        })
    }

    /// Commands that a function ended and that the engine had answered before: a response that still waits for data comes too late. How
    /// many there were.
    //= RFC 7143 "Task Management Function Response": nothing of an affected task comes after it
    fn drop_parked(&mut self, ends: &[SlotUse], io: &mut Io<'_>) -> usize {
        let mut count = 0;
        for of in ends {
            if self.tasks.command_mut(*of).is_some_and(|command| matches!(command.state, State::Ended(_))) {
                self.forget(of.slot, io);
                count += 1;
            }
        }
        count
    }

    fn skip(&mut self, sn: Sn) {
        for (_, item) in self.window.held_mut().filter(|(held, _)| *held == sn) {
            *item = Item::Skip;
        }
    }

    fn pass_on(
        &mut self,
        function: TaskManagementFunction,
        pdu: &TaskManagementRequest,
        io: &mut Io<'_>,
    ) -> SlotUse {
        let referenced = self.tasks.find(pdu.referenced_task_tag).filter(|of| {
            let command = self.tasks.command_mut(*of);
            command.is_some_and(|command| {
                matches!(command.state, State::Running | State::Failing(_) | State::Aborted)
            })
        });
        let place = if pdu.immediate { Numbering::Immediate } else { Numbering::Numbered };
        let lun = lun_of(pdu.lun);
        let kind = Kind::Management(Vec::new());
        let task = Task { itt: pdu.initiator_task_tag, cmd_sn: pdu.cmd_sn, lun, place, kind };
        let of = self.tasks.insert(task);
        self.tasks.handle_delivered(of.slot);
        io.events.push_back(PortEvent::TaskManagement(TaskManagement {
            tag: tag_of(of.slot),
            function,
            lun,
            referenced: referenced.map(|of| tag_of(of.slot)),
        }));
        of
    }

    fn answer_management(&mut self, itt: TaskTag, response: Code, io: &mut Io<'_>) {
        let pdu = TaskManagementResponse {
            response,
            initiator_task_tag: itt,
            stat_sn: Sn(0),
            exp_cmd_sn: Sn(0),
            max_cmd_sn: Sn(0),
        };
        self.credit(io);
        io.out.send(Job { pdu: pdu.into(), payload: Payload::None });
    }

    /// A buffer for a request's own data.
    fn with_buffer(&mut self, header: &Header, begin: Begin, io: &mut Io<'_>) -> Begin {
        let Begin::Take(incoming, _) = begin else { return begin };
        let bytes = header.segments.data_bytes;
        if bytes == 0 || matches!(incoming, Incoming::Ignored) {
            return Begin::Take(incoming, Sink::Discard);
        }
        match io.pool.take(bytes) {
            Some(buf) => Begin::Take(incoming, Sink::Own(buf)),
            None if self.is_owed() => Begin::reject(RejectReason::LONG_OPERATION_REJECT),
            None => Begin::Wait,
        }
    }
}

/// Who knows a command.
enum Whose {
    /// Only we did.
    Ours,
    /// The engine does.
    Engines,
}

/// Whether a task was sent before a function, as far as numbers tell.
fn is_before(task: &Task, pdu: &TaskManagementRequest) -> bool {
    task.place == Numbering::Immediate || task.cmd_sn.is_before(pdu.cmd_sn)
}

fn nop_in(itt: TaskTag, ttt: TaskTag) -> NopIn {
    NopIn {
        data_segment_bytes: 0,
        lun: 0,
        initiator_task_tag: itt,
        target_transfer_tag: ttt,
        stat_sn: Sn(0),
        exp_cmd_sn: Sn(0),
        max_cmd_sn: Sn(0),
    }
}

/// Names a ping of ours; there is one at a time, and any sign of life answers it.
const PING_TAG: u32 = 0x1000_0000;
/// The longest data segment of text that we send.
const TEXT_SEGMENT_BYTES_MAX: u32 = 8192;

/// The functions that the engine carries out.
#[rustfmt::skip]
const FUNCTIONS: [(Function, TaskManagementFunction); 11] = [
    (Function::ABORT_TASK, TaskManagementFunction::AbortTask),
    (Function::ABORT_TASK_SET, TaskManagementFunction::AbortTaskSet),
    (Function::CLEAR_ACA, TaskManagementFunction::ClearAca),
    (Function::CLEAR_TASK_SET, TaskManagementFunction::ClearTaskSet),
    (Function::LOGICAL_UNIT_RESET, TaskManagementFunction::LogicalUnitReset),
    (Function::TARGET_WARM_RESET, TaskManagementFunction::TargetWarmReset),
    (Function::TARGET_COLD_RESET, TaskManagementFunction::TargetColdReset),
    (Function::QUERY_TASK, TaskManagementFunction::QueryTask),
    (Function::QUERY_TASK_SET, TaskManagementFunction::QueryTaskSet),
    (Function::I_T_NEXUS_RESET, TaskManagementFunction::ITNexusReset),
    (Function::QUERY_ASYNCHRONOUS_EVENT, TaskManagementFunction::QueryAsynchronousEvent),
];

fn row_of(function: Function) -> Option<TaskManagementFunction> {
    FUNCTIONS.iter().find(|row| row.0 == function).map(|row| row.1)
}

//= RFC 7143 "Task Management Function Response"
const fn code_of(outcome: Outcome) -> Code {
    match outcome {
        Outcome::FunctionComplete => Code::COMPLETE,
        Outcome::FunctionSucceeded(_) => Code::SUCCEEDED,
        Outcome::FunctionRejected => Code::REJECTED,
        Outcome::NotSupported => Code::NOT_SUPPORTED,
        Outcome::IncorrectLun => Code::LUN_DOES_NOT_EXIST,
        Outcome::NoSuchTask => Code::TASK_DOES_NOT_EXIST,
    }
}
