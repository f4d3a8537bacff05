//! The end of commands: the engine's response or ours, at once or when the initiator has sent what it owes.
//!
//! No response leaves while the initiator still owes data that it was asked for or announced: many initiators cannot
//! take one then. A command that the engine has and that must fail here is first taken from the engine, by an ABORT TASK
//! of ours.
//!
//! Not here: how data and status are framed (`transmit`).

use crate::pdu::{ScsiResponse, ScsiResponseCode, Sn, TaskTag};
use crate::session::{FullFeature, Io};
use crate::tasks::{Failure, Kind, ScsiTask, SlotUse, State, Task, abort_tag_of, slot_of, tag_of};
use crate::transfer::Broken;
use crate::transmit::{Job, Payload, to_usize};
use felio_hal::port::{Response, SenseData, TaskManagement};
use felio_hal::{PortEvent, PortTag};
use felio_spec::sense::{Code, code};
use felio_spec::{Status, TaskManagementFunction};

impl FullFeature {
    /// The engine answers a command.
    pub(crate) fn respond(&mut self, response: Response, io: &mut Io<'_>) {
        let Response { tag, status, sense, data, transfer_bytes } = response;
        let slot = slot_of(tag);
        let Some(Task { itt, kind: Kind::Command(command), .. }) = self.tasks.get_mut(slot) else {
            // The connection ended meanwhile, and the task with it.
            data.into_iter().for_each(|buf| io.pool.give(buf));
            return;
        };
        if matches!(command.state, State::Failing(_) | State::Aborted) {
            data.into_iter().for_each(|buf| io.pool.give(buf));
            self.abandon(tag, io);
            return;
        }
        // Data for an initiator that announced only Data-Out: of that, nothing was transferred.
        let reversed = data.is_some() && command.expect_in == 0 && command.expect_out > 0;
        let pdu = response_pdu(*itt, command, status, if reversed { 0 } else { transfer_bytes });
        let room = to_usize(command.expect_in);
        let payload = match data {
            Some(buf) if !buf.is_empty() && room > 0 => {
                let bytes = u32::try_from(buf.len().min(room)).unwrap_or(u32::MAX);
                Payload::DataIn(buf, bytes, sense)
            }
            data => {
                data.into_iter().for_each(|buf| io.pool.give(buf));
                sense.map_or(Payload::None, Payload::Sense)
            }
        };
        self.end(slot, Job { pdu: pdu.into(), payload }, io);
    }

    /// The command ended without a response.
    pub(crate) fn abandon(&mut self, tag: PortTag, io: &mut Io<'_>) {
        let slot = slot_of(tag);
        let Some(Task { kind: Kind::Command(command), .. }) = self.tasks.get_mut(slot) else { return };
        match command.state {
            State::Failing(failure) => self.end_with(slot, failure, io),
            _ => self.forget(slot, io),
        }
    }

    /// Lets a command go: its data may still come and will be let go too.
    pub(crate) fn forget(&mut self, slot: u16, io: &mut Io<'_>) {
        let Some(Task { kind: Kind::Command(command), .. }) = self.tasks.get_mut(slot) else { return };
        let comes = command.transfer.is_unsolicited();
        if let Some(buf) = command.transfer.handle_failed() {
            io.pool.give(buf);
        }
        self.tasks.remove(slot);
        self.expect_orphan(comes);
        self.credit(io);
    }

    /// A command cannot go on: its data broke a rule, or there is no room for it.
    pub(crate) fn fail(&mut self, of: SlotUse, failure: Failure, io: &mut Io<'_>) {
        let Some(task) = self.tasks.get_mut(of.slot) else { return };
        let lun = task.lun;
        let Some(command) = self.tasks.command_mut(of) else { return };
        if let Some(buf) = command.transfer.handle_failed() {
            io.pool.give(buf);
        }
        match command.state {
            State::Held => command.state = State::Refused(failure),
            State::Running => {
                command.state = State::Failing(failure);
                io.events.push_back(PortEvent::TaskManagement(TaskManagement {
                    tag: abort_tag_of(of),
                    function: TaskManagementFunction::AbortTask,
                    lun,
                    referenced: Some(tag_of(of.slot)),
                }));
            }
            State::Refused(_) | State::Failing(_) | State::Aborted | State::Ended(_) => {}
        }
    }

    /// Refuses a command that waits for its turn and has a buffer, if there is one.
    pub(crate) fn give_up_held(&mut self, io: &mut Io<'_>) -> bool {
        let holds = |task: &Task| match &task.kind {
            Kind::Command(ScsiTask { state: State::Held, transfer, .. }) => transfer.buf.is_some(),
            Kind::Command(_) | Kind::Management(_) => false,
        };
        let slot = self.tasks.iter_mut().find(|(_, task)| holds(task)).map(|(slot, _)| slot);
        let Some(of) = slot.and_then(|slot| self.tasks.use_of(slot)) else { return false };
        self.fail(of, BUSY, io);
        true
    }

    /// Ends a command with a response of ours.
    pub(crate) fn end_with(&mut self, slot: u16, failure: Failure, io: &mut Io<'_>) {
        let Some(Task { itt, kind: Kind::Command(command), .. }) = self.tasks.get_mut(slot) else { return };
        let pdu = response_pdu(*itt, command, failure.status, 0);
        // Which format the unit prefers is not known here; every initiator reads the fixed one.
        let sense = failure.sense.map(|code| SenseData::new(&code.into(), false));
        self.end(slot, Job { pdu: pdu.into(), payload: sense.map_or(Payload::None, Payload::Sense) }, io);
    }

    /// Sends a command's response, at once or when the initiator has sent all that it owes.
    //= RFC 7143 "Reject": the response waits for the data PDU with the F bit
    fn end(&mut self, slot: u16, job: Job, io: &mut Io<'_>) {
        let Some(Task { kind: Kind::Command(command), .. }) = self.tasks.get_mut(slot) else { return };
        if let Some(buf) = command.transfer.handle_failed() {
            io.pool.give(buf);
        }
        if command.transfer.is_owed() {
            command.state = State::Ended(Box::new(job));
            return;
        }
        self.tasks.remove(slot);
        self.credit(io);
        io.out.send(job);
    }

    pub(crate) fn send_parked(&mut self, of: SlotUse, io: &mut Io<'_>) {
        let Some(command) = self.tasks.command_mut(of) else { return };
        if command.transfer.is_owed() || !matches!(command.state, State::Ended(_)) {
            return;
        }
        if let State::Ended(job) = core::mem::replace(&mut command.state, State::Running) {
            self.tasks.remove(of.slot);
            self.credit(io);
            io.out.send(*job);
        }
    }
}

impl From<Broken> for Failure {
    //= RFC 7143 "Sense Data"
    fn from(broken: Broken) -> Self {
        check(match broken {
            Broken::Unexpected => code::UNEXPECTED_UNSOLICITED_DATA,
            // A gap in the sequence means that a PDU was lost, which TCP excludes and only a bad digest could explain.
            Broken::Sequence => code::PROTOCOL_SERVICE_CRC_ERROR,
            Broken::Amount | Broken::Field => code::NOT_ENOUGH_UNSOLICITED_DATA,
        })
    }
}

/// The response to a command, with its residuals.
//= RFC 7143 "Flags (Byte 1)", "Residual Count"
fn response_pdu(itt: TaskTag, command: &ScsiTask, status: Status, transfer_bytes: u64) -> ScsiResponse {
    let bidirectional = command.expect_in > 0 && command.expect_out > 0;
    let expect = if command.expect_out > 0 { command.expect_out } else { command.expect_in };
    let expect = u64::from(expect);
    ScsiResponse {
        bidirectional_overflow: false,
        bidirectional_underflow: bidirectional,
        overflow: transfer_bytes > expect,
        underflow: transfer_bytes < expect,
        response: ScsiResponseCode::COMPLETED,
        status: status.0,
        data_segment_bytes: 0,
        initiator_task_tag: itt,
        snack_tag: TaskTag(0),
        stat_sn: Sn(0),
        exp_cmd_sn: Sn(0),
        max_cmd_sn: Sn(0),
        exp_data_sn: Sn(command.transfer.r2ts()),
        bidirectional_residual_bytes: if bidirectional { command.expect_in } else { 0 },
        residual_bytes: u32::try_from(transfer_bytes.abs_diff(expect)).unwrap_or(u32::MAX),
    }
}

/// CHECK CONDITION.
pub(crate) const fn check(code: Code) -> Failure {
    Failure { status: Status::CHECK_CONDITION, sense: Some(code) }
}

/// No buffer for the data that came along.
pub(crate) const BUSY: Failure = Failure { status: Status::TASK_SET_FULL, sense: None };
