//! SCSI commands on their way to the engine: what the header announces, and whether the transport has anything against it.
//!
//! A command that breaks a rule of the transport is refused with the sense data that the standard names for it, in its
//! turn and without the engine ever seeing it.
//!
//! Not here: its further data (`data_out`), its end (`outcome`).

use crate::data_out::take;
use crate::outcome::{BUSY, check};
use crate::pdu::{Ahs, AhsIter, RejectReason, ScsiCommand, TaskAttribute as PduAttribute};
use crate::receive::Header;
use crate::session::{Begin, FullFeature, Incoming, Io, Sink};
use crate::tasks::{Failure, Kind, Numbering, ScsiTask, SlotUse, State, Task, tag_of};
use crate::transfer::{Follows, Transfer};
use crate::window::Place;
use felio_hal::port::{Command, Fatal};
use felio_hal::{Buf, Pool, PortEvent};
use felio_spec::sense::code;
use felio_spec::{Cdb, Lun, TaskAttribute};

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
        } else if !self.tasks.has_room_for_command(place) {
            Some(Begin::reject(RejectReason::IMMEDIATE_COMMAND_REJECT))
        } else {
            None
        };
        let announced = match announced(pdu, additional) {
            Ok(announced) => announced,
            Err(text) => {
                self.reject(&header.bhs, additional, RejectReason::INVALID_PDU_FIELD, io);
                return Err(Fatal(text));
            }
        };
        if let Some(begin) = rejection {
            self.expect_orphan(!pdu.final_pdu);
            return Ok(begin);
        }
        let verdict = self.screen(pdu, &announced);
        let (buf, verdict) = match verdict {
            Ok(()) if pdu.data_segment_bytes > 0 => match self.hold(announced.expect_out, pdu, io.pool) {
                Held::Buf(buf) => (Some(buf), Ok(())),
                Held::Wait => return Ok(Begin::Wait),
                Held::None => (None, Err(BUSY)),
            },
            verdict => (None, verdict),
        };
        let has_buf = buf.is_some();
        let task = self.task(pdu, &announced, place, buf, verdict, io);
        let of = self.tasks.insert(task);
        if !pdu.final_pdu {
            self.expect_orphan(!pdu.write);
            self.expect_data(io.now);
        }
        let incoming = Incoming::Command { of, cmd_sn: pdu.cmd_sn, immediate: pdu.immediate };
        Ok(Begin::Take(incoming, if has_buf { Sink::Task(of, 0) } else { Sink::Discard }))
    }

    /// A command's turn has come: it takes its place in the window, and goes to the engine once there is room for its
    /// Data-In.
    pub(crate) fn deliver_command(&mut self, of: SlotUse, io: &mut Io<'_>) {
        self.tasks.handle_delivered(of.slot);
        if self.deferred.is_empty() && self.has_room(io) {
            self.hand_over(of, io);
        } else {
            self.deferred.push_back(of);
        }
    }

    /// Commands that waited for room go to the engine as far as there is some.
    pub(crate) fn deliver_deferred(&mut self, io: &mut Io<'_>) {
        while !self.deferred.is_empty()
            && self.has_room(io)
            && let Some(of) = self.deferred.pop_front()
        {
            self.hand_over(of, io);
        }
    }

    fn hand_over(&mut self, of: SlotUse, io: &mut Io<'_>) {
        // It may have been aborted while it waited.
        if self.tasks.command_mut(of).is_none() {
            return;
        }
        let Some(task) = self.tasks.get_mut(of.slot) else { return };
        let lun = task.lun;
        let Kind::Command(command) = &mut task.kind else { return };
        match core::mem::replace(&mut command.state, State::Running) {
            State::Refused(failure) => self.end_with(of.slot, failure, io),
            _ => {
                let &mut ScsiTask { attribute, cdb, expect_out, expect_in, .. } = command;
                self.tasks.handle_reading(of.slot, expect_in);
                let tag = tag_of(of.slot);
                io.events.push_back(PortEvent::Command(Command {
                    tag,
                    lun,
                    attribute,
                    cdb,
                    expect_out,
                    expect_in,
                }));
            }
        }
    }

    /// Whether another command may read.
    fn has_room(&self, io: &Io<'_>) -> bool {
        let bytes = self.tasks.reading_bytes() + io.out.data_bytes();
        bytes == 0 || bytes < self.limits.data_in_bytes_max
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

    /// Behind a gap a command gets no more than it cannot do without.
    fn hold(&self, expect: u32, pdu: &ScsiCommand, pool: &mut Pool) -> Held {
        let ahead = !pdu.immediate && self.window.place(pdu.cmd_sn) == Place::Ahead;
        let whole_bytes_max = if ahead { 0 } else { self.whole_bytes_max(expect) };
        let unasked = if pdu.final_pdu { 0 } else { self.first_burst().min(expect) };
        match take(pool, whole_bytes_max, expect, unasked.max(pdu.data_segment_bytes)) {
            Some(buf) => Held::Buf(buf),
            None if self.is_owed() => Held::None,
            None => Held::Wait,
        }
    }

    /// FirstBurstLength.
    pub(crate) fn first_burst(&self) -> u32 {
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

/// Reads what a command announces, with its additional headers.
fn announced(pdu: &ScsiCommand, additional: &[u8]) -> Result<Announced, &'static str> {
    let (cdb, read_bytes) = match additional {
        [] => (Cdb::new(&pdu.cdb), 0),
        _ => assemble(pdu, additional)?,
    };
    let expect = pdu.expected_data_bytes;
    let (expect_in, expect_out) = match (pdu.read, pdu.write) {
        (true, true) => (read_bytes, expect),
        (true, false) => (expect, 0),
        (false, true) => (0, expect),
        (false, false) => (0, 0),
    };
    Ok(Announced { cdb, expect_in, expect_out })
}

/// A CDB that goes on in additional headers, and how much a bidirectional command may read.
//= RFC 7143 "Additional Header Segment (AHS)"
fn assemble(pdu: &ScsiCommand, additional: &[u8]) -> Result<(Cdb, u32), &'static str> {
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
    Ok((Cdb::new(&bytes[..length]), read_bytes))
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

/// The eight bytes of a LUN field.
pub(crate) fn lun_of(field: u64) -> Lun {
    Lun(field.to_be_bytes())
}

/// 16 bytes and what all additional headers together could hold.
const CDB_BYTES_MAX: usize = 16 + 255 * 4;
