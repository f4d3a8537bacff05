//! SCSI commands on their way to the engine and back: what the header announces, the data, the response.
//!
//! A command that breaks a rule of the transport is refused here with the sense data that the standard names for it, in
//! its turn and without the engine ever seeing it. If the engine has it already, the engine is asked to give it up (an ABORT
//! TASK of ours), and the refusal leaves when it has. No response leaves while the initiator still owes data that it was
//! asked for or announced: many initiators cannot take one then.
//!
//! Not here: which data may come when (`transfer`), PDU framing (`transmit`).

use crate::pdu::{
    Ahs, AhsIter, R2t, RejectReason, ScsiCommand, ScsiDataOut, ScsiResponse, ScsiResponseCode, Sn,
    TaskAttribute as PduAttribute, TaskTag,
};
use crate::receive::Header;
use crate::session::{Begin, FullFeature, Incoming, Io, Sink};
use crate::tasks::{Failure, Found, Kind, Numbering, ScsiTask, SlotUse, State, Task, Tasks, slot_of, tag_of};
use crate::transfer::{Broken, Follows, Transfer, Wanted};
use crate::transmit::{Job, Payload, to_usize};
use crate::window::Place;
use felio_hal::buf::BUF_BYTES_MAX;
use felio_hal::port::{Command, Fatal, Response, SenseData, TaskManagement};
use felio_hal::{Buf, Pool, PortEvent, PortTag, TaskId};
use felio_spec::sense::code;
use felio_spec::{Cdb, Lun, Sense, Status, TaskAttribute, TaskManagementFunction};

impl FullFeature {
    /// Judges a SCSI command's header.
    //= RFC 7143 "SCSI Command"
    pub(crate) fn begin_command(
        &mut self,
        header: &Header,
        pdu: &ScsiCommand,
        additional: &[u8],
        io: &mut Io<'_>,
    ) -> Result<Begin, Fatal> {
        let place = if pdu.immediate { Numbering::Immediate } else { Numbering::Numbered };
        let rejection = if place == Numbering::Numbered && self.window.place(pdu.cmd_sn) == Place::Outside {
            Some(Begin::ignore())
        } else if pdu.initiator_task_tag.is_reserved() {
            Some(Begin::reject(RejectReason::INVALID_PDU_FIELD))
        } else if self.tasks.find(pdu.initiator_task_tag).is_some() {
            Some(Begin::reject(RejectReason::TASK_IN_PROGRESS))
        } else if !self.tasks.has_room(place) {
            Some(Begin::reject(RejectReason::IMMEDIATE_COMMAND_REJECT))
        } else {
            None
        };
        let announced = match announced(pdu, additional) {
            Ok(announced) => announced,
            Err(text) => {
                self.reject(&header.bhs, RejectReason::INVALID_PDU_FIELD, io);
                return Err(Fatal(text));
            }
        };
        if let Some(begin) = rejection {
            self.orphans += u32::from(!pdu.final_pdu);
            return Ok(begin);
        }
        let verdict = self.screen(pdu, &announced);
        let (buf, verdict) = match verdict {
            Ok(()) if pdu.data_segment_bytes > 0 => {
                match self.hold(announced.expect_out, pdu.data_segment_bytes, io.pool) {
                    Held::Buf(buf) => (Some(buf), Ok(())),
                    Held::Wait => return Ok(Begin::Wait),
                    Held::None => (None, Err(BUSY)),
                }
            }
            verdict => (None, verdict),
        };
        let has_buf = buf.is_some();
        let task = self.task(pdu, &announced, place, buf, verdict, io);
        let of = self.tasks.insert(task);
        if !pdu.final_pdu {
            self.orphans += u32::from(!pdu.write);
            self.expect_data(io.now);
        }
        let incoming = Incoming::Command { of, cmd_sn: pdu.cmd_sn, immediate: pdu.immediate };
        Ok(Begin::Take(incoming, if has_buf { Sink::Task(of, 0) } else { Sink::Discard }))
    }

    /// A command's turn has come.
    pub(crate) fn deliver_command(&mut self, of: SlotUse, io: &mut Io<'_>) {
        self.tasks.handle_delivered(of.slot);
        let Some(task) = self.tasks.get_mut(of.slot) else { return };
        let lun = task.lun;
        let Kind::Command(command) = &mut task.kind else { return };
        match core::mem::replace(&mut command.state, State::Running) {
            State::Refused(failure) => self.end_with(of.slot, failure, io),
            _ => io.events.push_back(PortEvent::Command(Command {
                tag: tag_of(of.slot),
                lun,
                attribute: command.attribute,
                cdb: command.cdb,
                expect_out: command.expect_out,
                expect_in: command.expect_in,
            })),
        }
    }

    /// Judges the header of a Data-Out PDU.
    //= RFC 7143 "SCSI Data-Out and SCSI Data-In"
    pub(crate) fn begin_data_out(
        &mut self,
        header: &Header,
        pdu: ScsiDataOut,
        io: &mut Io<'_>,
    ) -> Result<Begin, Fatal> {
        let (of, r2t) = if pdu.target_transfer_tag.is_reserved() {
            match self.tasks.find(pdu.initiator_task_tag) {
                Some(of) => (of, None),
                None => return Ok(self.orphaned(&pdu)),
            }
        } else {
            match self.tasks.find_transfer(pdu.target_transfer_tag) {
                Found::Live(of, r2t) => (of, Some(r2t)),
                Found::Gone => return Ok(Begin::ignore()),
                Found::Never => return Ok(Begin::reject(RejectReason::INVALID_PDU_FIELD)),
            }
        };
        let burst = self.first_burst();
        let Some(task) = self.tasks.get_mut(of.slot) else { return Ok(Begin::ignore()) };
        let fits = task.itt == pdu.initiator_task_tag && (r2t.is_none() || task.lun == lun_of(pdu.lun));
        let Kind::Command(command) = &mut task.kind else {
            return Ok(Begin::reject(RejectReason::PROTOCOL_ERROR));
        };
        if command.expect_out == 0 {
            return Ok(Begin::reject(RejectReason::PROTOCOL_ERROR));
        }
        command.transfer.touched = io.now;
        if !matches!(command.state, State::Held | State::Running) {
            return Ok(Begin::Take(Incoming::DataOut { of, pdu }, Sink::Discard));
        }
        let checked = match r2t {
            _ if !fits => Err(Broken::Field),
            None => command.transfer.check_unsolicited(&pdu),
            Some(r2t) => command.transfer.check_solicited(&pdu, r2t),
        };
        if let Err(broken) = checked {
            if broken == Broken::Field {
                self.reject(&header.bhs, RejectReason::INVALID_PDU_FIELD, io);
            }
            self.fail(of, broken.into(), io)?;
            return Ok(Begin::Take(Incoming::DataOut { of, pdu }, Sink::Discard));
        }
        let at = to_usize(pdu.buffer_offset);
        if command.transfer.buf.is_none() && pdu.data_segment_bytes > 0 {
            let expect = command.expect_out;
            let others_owe = self.tasks.commands().filter(|command| command.transfer.is_owed()).count() > 1;
            match take(io.pool, self.limits.transfer_bytes_max, expect, burst.min(expect)) {
                Some(buf) => self.keep(of, buf),
                None if !others_owe => return Ok(Begin::Wait),
                None => self.fail(of, BUSY, io)?,
            }
        }
        Ok(Begin::Take(Incoming::DataOut { of, pdu }, Sink::Task(of, at)))
    }

    /// A Data-Out PDU has come whole.
    pub(crate) fn finish_data_out(&mut self, of: SlotUse, pdu: &ScsiDataOut, io: &mut Io<'_>) {
        let burst = self.parameters.session.burst_bytes_max;
        let Some(command) = self.tasks.command_mut(of) else { return };
        match command.state {
            State::Held => command.transfer.handle_data(pdu, burst),
            State::Running => {
                command.transfer.handle_data(pdu, burst);
                self.advance(of, io);
            }
            State::Refused(_) | State::Failing(_) | State::Ended(_) => {
                if pdu.final_pdu {
                    command.transfer.handle_final();
                }
                self.send_parked(of, io);
            }
        }
    }

    /// Stores data of a command, as far as it is wanted.
    pub(crate) fn store(&mut self, of: SlotUse, at: usize, bytes: &[u8]) {
        if let Some(place) = self.room(of, at, bytes.len()) {
            let wanted = place.len();
            place.copy_from_slice(&bytes[..wanted]);
        }
    }

    /// The part of a command's buffer where `bytes` bytes from `at` on belong, as far as there is one.
    pub(crate) fn room(&mut self, of: SlotUse, at: usize, bytes: usize) -> Option<&mut [u8]> {
        let buf = self.tasks.command_mut(of)?.transfer.buf.as_mut()?;
        let end = (at + bytes).min(buf.len());
        buf.get_mut(at..end)
    }

    /// The engine wants data.
    pub(crate) fn solicit(&mut self, tag: PortTag, task: TaskId, bytes: u32, io: &mut Io<'_>) {
        assert!(to_usize(bytes) <= BUF_BYTES_MAX, "the engine asks for what one buffer can hold");
        let Some(of) = self.tasks.use_of(slot_of(tag)) else { return };
        let Some(command) = self.tasks.command_mut(of) else { return };
        if matches!(command.state, State::Running) {
            command.transfer.handle_wanted(Wanted { task, bytes });
            self.advance(of, io);
        }
    }

    /// Asks for data, or hands it over if it is all here.
    pub(crate) fn advance(&mut self, of: SlotUse, io: &mut Io<'_>) {
        let (r2ts_max, burst) =
            (self.parameters.session.outstanding_r2t_max, self.parameters.session.burst_bytes_max);
        let Some(task) = self.tasks.get_mut(of.slot) else { return };
        let (itt, lun) = (task.itt, task.lun);
        let Some(command) = self.tasks.command_mut(of) else { return };
        let Some(wanted) = command.transfer.wanted() else { return };
        if !matches!(command.state, State::Running) {
            return;
        }
        if !make_room(&mut command.transfer, wanted.bytes, io.pool) {
            if !self.starved.contains(&of) {
                self.starved.push_back(of);
            }
            return;
        }
        if command.transfer.complete().is_some() {
            let buf = command.transfer.handle_delivered().expect("room was made");
            assert_eq!(buf.len(), to_usize(wanted.bytes), "the engine gets what it asked for");
            io.events.push_back(PortEvent::DataOut { task: wanted.task, buf });
            return;
        }
        let mut asked = false;
        while let Some(ask) = command.transfer.poll_ask(r2ts_max, burst) {
            let r2t = R2t {
                lun: u64::from_be_bytes(lun.0),
                initiator_task_tag: itt,
                target_transfer_tag: Tasks::transfer_tag(of, ask.r2t_sn.0),
                stat_sn: Sn(0),
                exp_cmd_sn: Sn(0),
                max_cmd_sn: Sn(0),
                r2t_sn: ask.r2t_sn,
                buffer_offset: ask.offset,
                desired_bytes: ask.bytes,
            };
            io.out.send(Job { pdu: r2t.into(), payload: Payload::None });
            asked = true;
        }
        if asked {
            command.transfer.touched = io.now;
            self.expect_data(io.now);
        }
    }

    /// The engine answers a command.
    pub(crate) fn respond(&mut self, response: Response, io: &mut Io<'_>) {
        let Response { tag, status, sense, data, transfer_bytes } = response;
        let slot = slot_of(tag);
        let Some(Task { itt, kind: Kind::Command(command), .. }) = self.tasks.get_mut(slot) else {
            // The connection ended meanwhile, and the task with it.
            data.into_iter().for_each(|buf| io.pool.give(buf));
            return;
        };
        if let State::Failing(failure) = command.state {
            data.into_iter().for_each(|buf| io.pool.give(buf));
            self.end_with(slot, failure, io);
            return;
        }
        let pdu = response_pdu(*itt, command, status, transfer_bytes);
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
        let Some(Task { kind: Kind::Command(mut command), .. }) = self.tasks.remove(slot) else { return };
        self.orphans += u32::from(command.transfer.is_unsolicited());
        if let Some(buf) = command.transfer.handle_failed() {
            io.pool.give(buf);
        }
        self.credit(io);
    }

    /// Data of a command broke a rule.
    fn fail(&mut self, of: SlotUse, failure: Failure, io: &mut Io<'_>) -> Result<(), Fatal> {
        let Some(task) = self.tasks.get_mut(of.slot) else { return Ok(()) };
        let (lun, cmd_sn) = (task.lun, task.cmd_sn);
        let Some(command) = self.tasks.command_mut(of) else { return Ok(()) };
        if let Some(buf) = command.transfer.handle_failed() {
            io.pool.give(buf);
        }
        match command.state {
            State::Held => command.state = State::Refused(failure),
            State::Running => {
                command.state = State::Failing(failure);
                let place = Numbering::Immediate;
                let abort = Task { itt: TaskTag::RESERVED, cmd_sn, lun, place, kind: Kind::Internal };
                if !self.tasks.has_room(place) {
                    return Err(Fatal("data of too many commands broke the rules"));
                }
                let abort = self.tasks.insert(abort);
                io.events.push_back(PortEvent::TaskManagement(TaskManagement {
                    tag: tag_of(abort.slot),
                    function: TaskManagementFunction::AbortTask,
                    lun,
                    referenced: Some(tag_of(of.slot)),
                }));
            }
            State::Refused(_) | State::Failing(_) | State::Ended(_) => {}
        }
        Ok(())
    }

    /// Ends a command with a response of ours.
    fn end_with(&mut self, slot: u16, failure: Failure, io: &mut Io<'_>) {
        let Some(Task { itt, kind: Kind::Command(command), .. }) = self.tasks.get_mut(slot) else { return };
        let pdu = response_pdu(*itt, command, failure.status, 0);
        // Which format the unit prefers is not known here; every initiator reads the fixed one.
        let sense = failure.sense.map(|sense| SenseData::new(&sense, false));
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

    fn send_parked(&mut self, of: SlotUse, io: &mut Io<'_>) {
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

    /// Unsolicited data that belongs to no task.
    fn orphaned(&mut self, pdu: &ScsiDataOut) -> Begin {
        if self.orphans == 0 {
            return Begin::reject(RejectReason::INVALID_PDU_FIELD);
        }
        self.orphans -= u32::from(pdu.final_pdu);
        Begin::ignore()
    }

    /// What the transport itself holds against a command.
    //= RFC 7143 "Sense Data", "Expected Data Transfer Length"
    fn screen(&self, pdu: &ScsiCommand, announced: &Announced) -> Result<(), Failure> {
        let session = &self.parameters.session;
        let reserved = pdu.attribute.0 > PduAttribute::ACA.0;
        // Data both ways: no unit of ours has such a command, and the answer must name both residuals.
        if reserved || (pdu.read && pdu.write) {
            return Err(check(code::INVALID_FIELD_IN_COMMAND_IU));
        }
        let uninvited = (pdu.data_segment_bytes > 0 && !session.immediate_data)
            || (!pdu.final_pdu && session.initial_r2t);
        if uninvited || (!pdu.write && (pdu.data_segment_bytes > 0 || !pdu.final_pdu)) {
            return Err(check(code::UNEXPECTED_UNSOLICITED_DATA));
        }
        if pdu.data_segment_bytes > self.first_burst().min(announced.expect_out) {
            return Err(check(code::NOT_ENOUGH_UNSOLICITED_DATA));
        }
        Ok(())
    }

    fn task(
        &self,
        pdu: &ScsiCommand,
        announced: &Announced,
        place: Numbering,
        buf: Option<Buf>,
        verdict: Result<(), Failure>,
        io: &Io<'_>,
    ) -> Task {
        let &Announced { cdb, expect_in, expect_out } = announced;
        let follows = match pdu.final_pdu || !pdu.write {
            true => Follows::Nothing,
            false => Follows::Unsolicited(self.first_burst().min(expect_out)),
        };
        let immediate = if buf.is_some() { pdu.data_segment_bytes } else { 0 };
        let mut transfer = Transfer::new(expect_out, immediate, buf, follows, io.now);
        let state = match verdict {
            Ok(()) => State::Held,
            Err(failure) => {
                assert!(transfer.handle_failed().is_none(), "a refused command has no buffer");
                State::Refused(failure)
            }
        };
        let attribute = attribute(pdu.attribute);
        let kind = Kind::Command(ScsiTask { cdb, attribute, expect_in, expect_out, transfer, state });
        Task { itt: pdu.initiator_task_tag, cmd_sn: pdu.cmd_sn, lun: lun_of(pdu.lun), place, kind }
    }

    fn hold(&self, expect: u32, immediate: u32, pool: &mut Pool) -> Held {
        let least = self.first_burst().min(expect).max(immediate);
        match take(pool, self.limits.transfer_bytes_max, expect, least) {
            Some(buf) => Held::Buf(buf),
            None if self.is_owed() => Held::None,
            None => Held::Wait,
        }
    }

    fn keep(&mut self, of: SlotUse, buf: Buf) {
        if let Some(command) = self.tasks.command_mut(of) {
            command.transfer.buf = Some(buf);
        }
    }

    fn first_burst(&self) -> u32 {
        self.parameters.session.first_burst_bytes_max
    }
}

/// What came of the wish for a buffer.
enum Held {
    Buf(Buf),
    /// None, and nothing that we read will change that.
    None,
    /// None now; reading may wait for one.
    Wait,
}

/// A command's CDB and lengths.
struct Announced {
    cdb: Cdb,
    expect_in: u32,
    expect_out: u32,
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

/// Reads what a command announces, with its additional headers.
fn announced(pdu: &ScsiCommand, additional: &[u8]) -> Result<Announced, &'static str> {
    let mut bytes = [0; CDB_BYTES_MAX];
    bytes[..pdu.cdb.len()].copy_from_slice(&pdu.cdb);
    let mut length = pdu.cdb.len();
    let mut read_bytes = 0;
    for segment in AhsIter::new(additional) {
        match segment {
            Ok(Ahs::ExtendedCdb(rest)) if length == pdu.cdb.len() => {
                bytes[length..length + rest.len()].copy_from_slice(rest);
                length += rest.len();
            }
            Ok(Ahs::BidirectionalRead { expected_bytes }) => read_bytes = expected_bytes,
            Ok(Ahs::ExtendedCdb(_)) => return Err("a command has two extended CDBs"),
            Ok(Ahs::Unknown(_)) => return Err("a command has an unknown additional header"),
            Err(_) => return Err("a command's additional headers are malformed"),
        }
    }
    let expect = pdu.expected_data_bytes;
    let (expect_in, expect_out) = match (pdu.read, pdu.write) {
        (true, true) => (read_bytes, expect),
        (true, false) => (expect, 0),
        (false, true) => (0, expect),
        (false, false) => (0, 0),
    };
    Ok(Announced { cdb: Cdb::new(&bytes[..length]), expect_in, expect_out })
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

/// Sees to a buffer of `bytes` bytes that holds what has come already.
fn make_room(transfer: &mut Transfer, bytes: u32, pool: &mut Pool) -> bool {
    let bytes = to_usize(bytes);
    if let Some(buf) = transfer.buf.as_mut().filter(|buf| buf.capacity() >= bytes) {
        buf.set_len(bytes);
        return true;
    }
    let Some(mut buf) = pool.take(bytes) else { return false };
    if let Some(old) = transfer.buf.take() {
        let kept = old.len().min(bytes);
        buf[..kept].copy_from_slice(&old[..kept]);
        pool.give(old);
    }
    transfer.buf = Some(buf);
    true
}

/// A buffer for the whole transfer if that is not too long, or else for the `least` that may come unasked.
fn take(pool: &mut Pool, whole_bytes_max: u32, expect: u32, least: u32) -> Option<Buf> {
    let whole = (expect <= whole_bytes_max).then(|| pool.take(to_usize(expect))).flatten();
    whole.or_else(|| pool.take(to_usize(least)))
}

fn attribute(attribute: PduAttribute) -> TaskAttribute {
    match attribute {
        PduAttribute::ORDERED => TaskAttribute::Ordered,
        PduAttribute::HEAD_OF_QUEUE => TaskAttribute::HeadOfQueue,
        PduAttribute::ACA => TaskAttribute::Aca,
        // Reserved ones were refused; without an attribute a command is as good as simple.
        _ => TaskAttribute::Simple,
    }
}

fn check(code: felio_spec::sense::Code) -> Failure {
    Failure { status: Status::CHECK_CONDITION, sense: Some(Sense::new(code)) }
}

/// The eight bytes of a LUN field.
pub(crate) fn lun_of(field: u64) -> Lun {
    Lun(field.to_be_bytes())
}

/// No buffer for the data that came along.
const BUSY: Failure = Failure { status: Status::TASK_SET_FULL, sense: None };
/// 16 bytes and what all additional headers together could hold.
const CDB_BYTES_MAX: usize = 16 + 255 * 4;
