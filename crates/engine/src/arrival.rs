//! A command arrives: every check before it may run, in one place and in one order.
//!
//! The order: the unit exists; nothing is pending that must be told first; the port is one through which the unit can be
//! used in this way; no reservation of another excludes it; the CDB is known and nothing in it is reserved; the medium is
//! accessible and writable; its fields make sense; the announced Data-Out fits; there is a slot. What passes joins the task
//! set.

use crate::allegiance::Trouble;
use crate::alua::check_list_length;
use crate::answers::parameter_data;
use crate::commands::{ABSENT, Allocation, Entry, Run, find};
use crate::config::LunMap;
use crate::copy::hold;
use crate::engine::{Engine, index};
use crate::gate::{Handed, Role};
use crate::geometry::{Extent, Geometry};
use crate::pass;
use crate::progress::give_back;
use crate::protection;
use crate::reservation;
use crate::table::{Bid, Course, Job, State, Table, Task};
use crate::unit::{PROBE_INTERVAL, Probe};
use crate::work::{DataOut, Outcome};
use felio_hal::port::{Response, SenseData};
use felio_hal::{Buf, Command, NexusId, Op, Pool, PortRequest, Submission, TaskId, Time};
use felio_spec::cdb::{Alua, Attention as AttentionRule, Direction, Medium};
use felio_spec::sense::{Sense, code};
use felio_spec::{Lun, Status, TaskAttribute};
use std::sync::Arc;

/// Who is behind an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Addressee {
    /// No unit.
    Nobody,
    /// The unit of this index, whose home is here.
    Unit(u32),
    /// The unit of this index, whose home is another reactor.
    Guest(u32),
}

/// The address of a command that names its unit by its place: no unit's.
pub(crate) const NO_ADDRESS: Lun = Lun([0xff; 8]);

/// A command that passed every check.
pub(crate) struct Admitted {
    entry: &'static Entry,
    job: Job,
    pub(crate) extent: Extent,
    /// Data-Out to fetch first.
    solicit_bytes: u32,
}

/// A command that did not.
pub(crate) struct Refused(Outcome);

impl From<Sense> for Refused {
    fn from(sense: Sense) -> Self {
        Self(Outcome::check(sense, 0))
    }
}

impl Engine {
    /// A command arrived.
    pub fn handle_command(&mut self, now: Time, nexus: NexusId, command: Command, pool: &mut Pool) {
        self.now = now;
        match self.addressee(nexus, command.lun) {
            Addressee::Unit(unit) => self.arrive(now, nexus, unit, &command, pool),
            Addressee::Nobody => self.answer_for_nobody(nexus, &command, pool),
            Addressee::Guest(unit) => self.arrive_as_guest(now, nexus, unit, command, pool),
        }
        self.settle(now, pool);
    }

    /// Who is behind an address, for a nexus.
    pub(crate) fn addressee(&self, nexus: NexusId, lun: Lun) -> Addressee {
        let Some(mapping) = self.nexuses.get(nexus).and_then(|nexus| nexus.luns.find(lun)) else {
            return Addressee::Nobody;
        };
        match self.units[index(mapping.unit)].role {
            Role::Home(_) => Addressee::Unit(mapping.unit),
            Role::Guest(_) => Addressee::Guest(mapping.unit),
        }
    }

    /// Whether a nexus finds a unit, under whatever number. Whoever names one by its place asks: it may be gone by now.
    pub(crate) fn finds(&self, nexus: NexusId, unit: u32) -> bool {
        self.nexuses.get(nexus).is_some_and(|nexus| nexus.luns.lun_of(unit).is_some())
    }

    /// The data that a task solicited.
    pub fn handle_data_out(&mut self, now: Time, task: TaskId, buf: Buf, pool: &mut Pool) {
        self.now = now;
        self.accept_data(now, task, buf, pool);
        self.settle(now, pool);
    }

    /// The same, for who settles later.
    pub(crate) fn accept_data(&mut self, now: Time, task: TaskId, buf: Buf, pool: &mut Pool) {
        match self.table.slot(task) {
            Some(slot) => self.take_data(now, slot, buf, pool),
            None => pool.give(buf), // Aborted while the data were on the way.
        }
    }

    pub(crate) fn arrive(
        &mut self,
        now: Time,
        nexus: NexusId,
        unit: u32,
        command: &Command,
        pool: &mut Pool,
    ) {
        self.probe(now, unit);
        self.units[index(unit)].rest.note(now);
        if let Some(status) = self.barred(nexus, unit, command) {
            return self.refuse(nexus, unit, command, Outcome::status(status, 0));
        }
        match self.check(nexus, unit, command) {
            Ok(admitted) => self.admit(now, nexus, unit, command, admitted, pool),
            Err(Refused(outcome)) => self.refuse(nexus, unit, command, outcome),
        }
    }

    /// A command arrives with its data, which a guest fetched, to take its place before another of the same nexus.
    pub(crate) fn arrive_with(
        &mut self,
        now: Time,
        nexus: NexusId,
        unit: u32,
        command: &Command,
        handed: Handed,
        pool: &mut Pool,
    ) {
        let Handed { buf, before, .. } = handed;
        let checked = match self.barred(nexus, unit, command) {
            Some(status) => Err(Refused(Outcome::status(status, 0))),
            None => self.check(nexus, unit, command),
        };
        let admitted = match checked {
            Ok(admitted) => admitted,
            Err(Refused(outcome)) => {
                pool.give(buf);
                return self.refuse(nexus, unit, command, outcome);
            }
        };
        let Some(slot) = self.enter(nexus, unit, command, &admitted) else { return pool.give(buf) };
        if let Some(newer) = before.into_iter().find_map(|tag| self.find(nexus, unit, Some(tag))) {
            self.units[index(unit)].tasks.put_before(&mut self.table, slot, newer);
        }
        if let Some(task) = self.table.get_mut(slot) {
            task.state = State::Gathering(admitted.job);
        }
        self.take_data(now, slot, buf, pool);
    }

    /// A command that passed every check becomes a task.
    pub(crate) fn admit(
        &mut self,
        now: Time,
        nexus: NexusId,
        unit: u32,
        command: &Command,
        admitted: Admitted,
        pool: &mut Pool,
    ) {
        let Some(slot) = self.enter(nexus, unit, command, &admitted) else { return };
        match admitted.solicit_bytes {
            0 if self.units[index(unit)].tasks.is_plain() => self.start(now, slot, admitted.job, None, pool),
            0 => self.begin_or_wait(now, slot, admitted.job, None, pool),
            bytes => self.gather(slot, admitted.job, bytes),
        }
    }

    /// A command joins the task set, if there is room; otherwise it is answered.
    fn enter(&mut self, nexus: NexusId, unit: u32, command: &Command, admitted: &Admitted) -> Option<u32> {
        let Admitted { entry, extent, .. } = *admitted;
        let attribute = self.attribute(nexus, unit, entry, command.attribute);
        let nexuses = self.nexuses.count();
        let Some(owner) = self.nexuses.get_mut(nexus) else {
            // Its nexus is gone, or was never announced: nobody waits for an answer.
            self.tell(nexus, PortRequest::Abandon { tag: command.tag });
            return None;
        };
        let (in_unit, units) = (self.units[index(unit)].tasks.count(), self.units.len());
        let has_room = self.table.has_room(Bid { own: owner.tasks, nexuses, in_unit, units });
        let now = self.now;
        let task = || Task {
            nexus,
            tag: command.tag,
            unit,
            attribute,
            cdb: command.cdb,
            entry,
            extent,
            class: entry.row.serialization,
            course: Course { arrived: now, submitted: now, room: command.expect_in, received: 0 },
            state: State::Deciding,
        };
        let slot = if has_room { self.table.insert(task) } else { None };
        let Some(slot) = slot else {
            let status = full(owner.tasks);
            self.refuse(nexus, unit, command, Outcome::status(status, 0));
            return None;
        };
        owner.tasks += 1;
        owner.meter.in_flight.set(owner.tasks.into());
        let unit = &mut self.units[index(unit)];
        unit.tasks.insert(&mut self.table, slot);
        unit.meter.commands.in_flight.set(unit.tasks.count().into());
        if matches!(admitted.job, Job::Medium(_)) {
            unit.rest.note_use();
        }
        Some(slot)
    }

    /// Asks for a task's data.
    fn gather(&mut self, slot: u32, job: Job, bytes: u32) {
        let id = self.table.id(slot);
        let Some(task) = self.table.get_mut(slot) else { return };
        task.state = State::Gathering(job);
        let (nexus, tag) = (task.nexus, task.tag);
        self.tell(nexus, PortRequest::Solicit { tag, task: id, bytes });
    }

    pub(crate) fn check(&mut self, nexus: NexusId, at: u32, command: &Command) -> Result<Admitted, Refused> {
        let unit = &self.units[index(at)];
        let held = command.tag.piece().and_then(|_| hold::find(&command.cdb));
        let own = held.or_else(|| pass::entry(unit, command));
        let found = own.map_or_else(|| find(unit, &command.cdb), Ok);
        //= SAM-5 "Unit attention condition": all commands but INQUIRY, REPORT LUNS and REQUEST SENSE report it; the
        //= exceptions are named by command, so that even a CDB that we could not run reports it first.
        let rule = found.as_ref().map_or(AttentionRule::Report, |entry| entry.row.attention);
        //= SPC-4 "Third-party copy commands": what a copy manager sends is not the initiator's to be told by
        if rule == AttentionRule::Report
            && command.tag.piece().is_none()
            && let Some(sense) = self.nexuses.report(nexus, at, unit.mode.interlock())
        {
            return Err(sense.into());
        }
        let rule = found.as_ref().map_or(Alua::Active, |entry| entry.row.alua);
        self.check_access(nexus, at, rule, Extent::default())?;
        let unit = &self.units[index(at)];
        let entry = found?;
        //= SAM-5 "Status precedence": RESERVATION CONFLICT before what is wrong with the command
        if unit.reservations.stands() {
            self.check_reservation(nexus, at, entry.row, &command.cdb).map_err(Refused)?;
        }
        let unit = &self.units[index(at)];
        entry.check(unit, command.cdb.bytes())?;
        //= SAM-5 "ACA task attribute": only while an ACA is in effect
        if command.attribute == TaskAttribute::Aca && unit.tasks.faulted(nexus).is_none() {
            return Err(Sense::new(code::INVALID_MESSAGE).into());
        }
        unit.check_medium(entry.row)?;
        if entry.row.medium == Medium::Write && self.is_protected(nexus, at, command.lun) {
            return Err(Sense::new(code::WRITE_PROTECTED).into());
        }
        let unit = &self.units[index(at)];
        let (job, extent, data_out) = plan(&unit.geometry, entry, command)?;
        self.check_access(nexus, at, rule, extent)?;
        let transfer_bytes = data_out.bytes();
        //= SAM-5 "Data-Out Buffer": what the command would have transferred shows in the residual
        let refused = |sense| Refused(Outcome::check(sense, transfer_bytes));
        // Blocks that are not sent cannot be written, and nobody must believe that they were.
        if entry.row.direction == Direction::Out && transfer_bytes > 0 && is_only_in(command) {
            return Err(refused(Sense::new(code::INVALID_FIELD_IN_COMMAND_IU)));
        }
        let solicit_bytes = data_out.solicit(command.expect_out).map_err(refused)?;
        Ok(Admitted { entry, job, extent, solicit_bytes })
    }

    /// Whether a nexus may not write to a unit by way of that address; where it is none, by way of any.
    fn is_protected(&self, nexus: NexusId, at: u32, lun: Lun) -> bool {
        let Some(luns) = self.nexuses.get(nexus).map(|nexus| &nexus.luns) else { return false };
        luns.find(lun).map_or_else(|| luns.protects(at), |mapping| mapping.read_only)
    }

    /// Data arrived for a task that waits for them.
    fn take_data(&mut self, now: Time, slot: u32, buf: Buf, pool: &mut Pool) {
        let Some(task) = self.table.get_mut(slot) else { return pool.give(buf) };
        task.course.received = u32::try_from(buf.len()).unwrap_or(u32::MAX);
        let unit = &self.units[index(task.unit)];
        let job = match core::mem::replace(&mut task.state, State::Deciding) {
            State::Gathering(job) => job,
            other => {
                task.state = other;
                return pool.give(buf);
            }
        };
        let extent = match &job {
            Job::Medium(plan) => plan.extent_of_data(&unit.geometry, &buf),
            Job::Entry | Job::Pass(_) => Ok(task.extent),
        };
        match extent {
            Ok(extent) => {
                task.extent = extent;
                if !self.may_begin(slot) {
                    return self.hand_over(slot, buf);
                }
                self.begin_or_wait(now, slot, job, Some(buf), pool);
            }
            Err(sense) => {
                let transfer_bytes = u64::try_from(buf.len()).unwrap_or(u64::MAX);
                pool.give(buf);
                self.finish(slot, Outcome::check(sense, transfer_bytes));
            }
        }
    }

    /// A task has its data: it begins, or waits for its turn.
    fn begin_or_wait(&mut self, now: Time, slot: u32, job: Job, data: Option<Buf>, pool: &mut Pool) {
        let Some(task) = self.table.get(slot) else { return give_back(data, pool) };
        if self.units[index(task.unit)].tasks.is_plain() {
            return self.begin(now, slot, job, data, pool);
        }
        match self.units[index(task.unit)].tasks.blocker(&self.table, slot).or_else(|| self.fence(slot)) {
            Some(blocker) => self.park(slot, State::Dormant(job, data, blocker)),
            None => self.begin(now, slot, job, data, pool),
        }
    }

    /// A task waits for its turn.
    pub(crate) fn park(&mut self, slot: u32, state: State) {
        if let Some(task) = self.table.get_mut(slot) {
            self.units[index(task.unit)].tasks.park(task, state);
        }
    }

    //= SPC-4 "Incorrect logical unit selection"
    pub(crate) fn answer_for_nobody(&mut self, nexus: NexusId, command: &Command, pool: &mut Pool) {
        let Some(luns) = self.nexuses.get(nexus).map(|nexus| Arc::clone(&nexus.luns)) else {
            // Its nexus is gone, or was never announced: nobody waits for an answer.
            return self.tell(nexus, PortRequest::Abandon { tag: command.tag });
        };
        let outcome = match self.speak_for_nobody(&luns, command) {
            Ok(allocation) => parameter_data(&self.writer, allocation.bytes(&command.cdb), pool)
                .unwrap_or_else(|_| Outcome::status(Status::BUSY, 0)),
            Err(sense) => Outcome::check(sense, 0),
        };
        self.count_refused(nexus, None, command, &outcome);
        self.respond(nexus, command, outcome, false);
    }

    fn speak_for_nobody(&mut self, luns: &LunMap, command: &Command) -> Result<Allocation, Sense> {
        let entry = ABSENT.iter().find(|entry| entry.row.opcode == command.cdb.opcode());
        let entry = entry.ok_or(code::LU_NOT_SUPPORTED)?;
        entry.row.check(command.cdb.bytes())?;
        self.writer.clear();
        (entry.run)(luns, &command.cdb, &mut self.writer)?;
        Ok(entry.allocation)
    }

    /// The place of a command in the task set. What is let in while there is an allegiance is not kept back by it.
    //= SAM-5 "Task attributes": INQUIRY, REPORT LUNS and REQUEST SENSE may be taken as HEAD OF QUEUE whatever they say
    fn attribute(&self, nexus: NexusId, at: u32, entry: &Entry, attribute: TaskAttribute) -> TaskAttribute {
        match entry.row.attention {
            _ if self.units[index(at)].tasks.faulted(nexus).is_some() => TaskAttribute::Aca,
            AttentionRule::Report => attribute,
            AttentionRule::Bypass | AttentionRule::Inventory | AttentionRule::Return => {
                TaskAttribute::HeadOfQueue
            }
        }
    }

    /// Answers a command to a unit that does not become a task.
    pub(crate) fn refuse(&mut self, nexus: NexusId, unit: u32, command: &Command, outcome: Outcome) {
        let trouble = Trouble::new(outcome.status, &command.cdb, command.attribute);
        self.count_refused(nexus, Some(unit), command, &outcome);
        let descriptor = self.units[index(unit)].mode.descriptor_sense();
        self.respond(nexus, command, outcome, descriptor);
        self.handle_trouble(nexus, unit, trouble);
    }

    /// Answers a command that has no task.
    fn respond(&mut self, nexus: NexusId, command: &Command, outcome: Outcome, descriptor: bool) {
        let Outcome { status, sense, data, transfer_bytes } = outcome;
        let sense = sense.map(|sense| SenseData::new(&sense, descriptor));
        let response = Response { tag: command.tag, status, sense, data, transfer_bytes };
        self.tell(nexus, PortRequest::Respond(response));
    }

    /// While commands arrive, looks once in a while whether the store was resized.
    pub(crate) fn probe(&mut self, now: Time, at: u32) {
        let unit = &mut self.units[index(at)];
        if let Probe::Idle { after } = unit.probe
            && now >= after
            && unit.config.limits.passes.is_none()
            && !unit.tasks.is_closed()
        {
            unit.probe = Probe::Asked;
            let task = probe_id(&self.table, self.reactor, at);
            self.submissions.push_back(Submission { store: unit.config.store, task, op: Op::Size });
        }
    }

    /// Asks for the space too, where that is known. Whether it does.
    pub(crate) fn probe_space(&mut self, at: u32) -> bool {
        let task = probe_id(&self.table, self.reactor, at);
        let unit = &self.units[index(at)];
        let asks = unit.has_thresholds();
        if asks {
            self.submissions.push_back(Submission { store: unit.config.store, task, op: Op::Space });
        }
        asks
    }

    /// What a unit itself asked the store for, if that is what has come home.
    pub(crate) fn errand(&self, task: TaskId) -> Option<Errand> {
        let name = task.slot.checked_sub(self.table.tasks_max())?;
        let at = name / ERRANDS;
        if task.reactor != self.reactor || self.units.get(index(at)).is_none() {
            return None;
        }
        Some(match (name % ERRANDS, task.generation) {
            (OVERHAUL, _) => Errand::Overhaul(at),
            (_, 0) => Errand::Probe(at),
            (_, serial) => Errand::SelfTest(at, serial),
        })
    }

    /// The name under which the operations of a unit's overhaul travel.
    pub(crate) fn overhaul_id(&self, unit: u32) -> TaskId {
        let probe = probe_id(&self.table, self.reactor, unit);
        TaskId { slot: probe.slot + OVERHAUL, ..probe }
    }

    /// The name under which the reads of a unit's self-test of that number travel.
    pub(crate) fn self_test_id(&self, unit: u32, serial: u32) -> TaskId {
        TaskId { generation: serial, ..probe_id(&self.table, self.reactor, unit) }
    }

    /// The answer to a probe has come.
    pub(crate) fn end_probe(&mut self, now: Time, unit: u32) {
        let unit = &mut self.units[index(unit)];
        unit.probe = Probe::Idle { after: now + PROBE_INTERVAL };
        unit.note_present(|task| self.table.slot(task).is_some());
    }

    /// Looks at a unit's size at this time, unless the store was asked already: one question at a time.
    pub(crate) fn plan_probe(&mut self, unit: u32, at: Time) {
        if let Probe::Idle { after } = &mut self.units[index(unit)].probe {
            *after = at;
        }
    }
}

/// What a unit asks the store for by itself; with its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// Its size.
    Probe(u32),
    /// A step of its overhaul.
    Overhaul(u32),
    /// A piece of its self-test of that number.
    SelfTest(u32, u32),
}

/// Names that a unit has for what it asks by itself, behind those of all tasks: for probes and self-tests, and for overhauls.
const ERRANDS: u32 = 2;
const OVERHAUL: u32 = 1;

/// The name under which a unit's probe travels.
fn probe_id(table: &Table, reactor: u16, unit: u32) -> TaskId {
    TaskId { reactor, slot: table.tasks_max() + unit * ERRANDS, generation: 0 }
}

/// Longest parameter list, bytes: the most that a length of two bytes can say.
const LIST_BYTES_MAX: u64 = 0xffff;

/// What a command is to do, on which blocks, and with how much Data-Out.
fn plan(geometry: &Geometry, entry: &Entry, command: &Command) -> Result<(Job, Extent, DataOut), Sense> {
    Ok(match &entry.run {
        Run::Medium(function) => {
            let plan = function(geometry, &command.cdb)?;
            let data_out = match geometry.protection {
                None => plan.data_out(geometry),
                Some(_) => protection::data_out(&plan, entry.row, &command.cdb, geometry),
            };
            let extent = plan.extent();
            (Job::Medium(plan), extent, data_out)
        }
        Run::ParameterList(length, _) => {
            let bytes = length.read(command.cdb.bytes());
            if bytes > LIST_BYTES_MAX {
                return Err(Sense::invalid_field(*length));
            }
            (Job::Entry, Extent::default(), DataOut::List(bytes))
        }
        Run::PortGroups => {
            let bytes = check_list_length(&command.cdb)?;
            (Job::Entry, Extent::default(), DataOut::List(bytes))
        }
        Run::ReserveOut(length, _) => {
            let bytes = length.read(command.cdb.bytes());
            if bytes > reservation::LIST_BYTES_MAX {
                return Err(code::PARAMETER_LIST_LENGTH_ERROR.into());
            }
            (Job::Entry, Extent::default(), DataOut::List(bytes))
        }
        Run::Overhaul(list_bytes, _) => {
            (Job::Entry, Extent::default(), DataOut::List(list_bytes(&command.cdb)))
        }
        Run::Pass if command.expect_out > 0 => {
            (Job::Pass(0), Extent::default(), DataOut::List(command.expect_out.into()))
        }
        Run::Pass => (Job::Pass(command.expect_in), Extent::default(), DataOut::Nothing),
        Run::Hold => (Job::Entry, hold::extent(geometry, &command.cdb)?, DataOut::Nothing),
        Run::Copy(Some(length), _) => {
            let bytes = length.read(command.cdb.bytes());
            (Job::Entry, Extent::default(), DataOut::List(bytes))
        }
        Run::Copy(None, _) | Run::CopyResults(..) => (Job::Entry, Extent::default(), DataOut::Nothing),
        Run::Parameters(..) | Run::Capacity(..) | Run::Ready | Run::Sense(..) | Run::Control(_) => {
            (Job::Entry, Extent::default(), DataOut::Nothing)
        }
    })
}

/// The initiator announced Data-In alone.
const fn is_only_in(command: &Command) -> bool {
    command.expect_out == 0 && command.expect_in > 0
}

/// No room for a command.
//= SAM-5 "Status codes": TASK SET FULL where the nexus has commands in the task set, else BUSY
pub(crate) const fn full(tasks: u32) -> Status {
    if tasks > 0 { Status::TASK_SET_FULL } else { Status::BUSY }
}
