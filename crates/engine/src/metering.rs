//! Commands are counted as they end, by the engine that answers them: for their unit, the number under which it is found, their session
//! and its target port.
//!
//! Parts of copies are nobody's commands and are not counted; what they ask of the stores is.
//!
//! Cost, on the way of every command: a few additions in memory that no other thread writes, and no look at a clock.

use crate::commands::find;
use crate::engine::{Engine, index};
use crate::gate::Role;
use crate::pass;
use crate::table::Task;
use crate::unit::Unit;
use crate::work::Outcome;
use felio_hal::meter::{Ended, UnitMeter};
use felio_hal::store::Passed;
use felio_hal::{Command, NexusId, PortTag};
use felio_spec::cdb::Kind;
use felio_spec::sense::code_of;
use felio_spec::{Status, TaskManagementFunction};
use std::sync::Arc;

impl Engine {
    /// A task is about to be answered.
    #[inline]
    pub(crate) fn count_answered(&self, task: &Task, outcome: &Outcome) {
        let Outcome { status, sense, data, .. } = outcome;
        let key = sense.as_ref().map(|sense| sense.code.key);
        self.count(
            task,
            Ended { status: *status, key, ..self.ended(task, data.as_ref().map_or(0, |buf| buf.len())) },
        );
    }

    /// The same, as a device has answered.
    pub(crate) fn count_passed(&self, task: &Task, passed: &Passed, bytes_in: usize) {
        let key = code_of(&passed.sense).map(|code| code.key);
        self.count(task, Ended { status: passed.status, key, ..self.ended(task, bytes_in) });
    }

    /// A task is answered with a mere status.
    pub(crate) fn count_ended(&self, slot: u32, status: Status) {
        if let Some(task) = self.table.get(slot) {
            self.count(task, Ended { status, ..self.ended(task, 0) });
        }
    }

    /// A command is answered that did not become a task.
    pub(crate) fn count_refused(
        &self,
        nexus: NexusId,
        unit: Option<u32>,
        command: &Command,
        outcome: &Outcome,
    ) {
        if command.tag.piece().is_some() {
            return;
        }
        let known = unit.map(|unit| &self.units[index(unit)]);
        let entry =
            known.and_then(|unit| pass::entry(unit, command).or_else(|| find(unit, &command.cdb).ok()));
        let ended = Ended {
            kind: entry.map_or(Kind::Other, |entry| entry.row.kind),
            status: outcome.status,
            key: outcome.sense.as_ref().map(|sense| sense.code.key),
            bytes_in: sent(outcome.data.as_ref().map_or(0, |buf| buf.len()), command.expect_in),
            bytes_out: 0,
            nanos: 0,
        };
        self.note(nexus, unit, &ended);
    }

    /// A command ends without an answer.
    pub(crate) fn count_abandoned(&self, nexus: NexusId, tag: PortTag, unit: u32) {
        if tag.piece().is_some() {
            return;
        }
        self.units[index(unit)].meter.commands.abandoned.add(1);
        if let Some(nexus) = self.nexuses.get(nexus) {
            nexus.meter.abandoned.add(1);
            nexus.port_meter.abandoned.add(1);
        }
    }

    /// A task management function arrived, here or at another engine: the one at the nexus's port counts it.
    pub(crate) fn count_function(&self, nexus: NexusId, function: TaskManagementFunction) {
        if nexus.reactor == self.reactor
            && let Some(nexus) = self.nexuses.get(nexus)
        {
            nexus.meter.note_function(function);
            nexus.port_meter.note_function(function);
        }
    }

    /// How a task ends, if all is well.
    #[inline]
    fn ended(&self, task: &Task, bytes_in: usize) -> Ended {
        Ended {
            kind: task.entry.row.kind,
            status: Status::GOOD,
            key: None,
            bytes_in: sent(bytes_in, task.course.room),
            bytes_out: task.course.received.into(),
            nanos: self.now.nanos_since(task.course.arrived),
        }
    }

    #[inline]
    fn count(&self, task: &Task, ended: Ended) {
        if !task.is_piece() {
            self.note(task.nexus, Some(task.unit), &ended);
        }
    }

    #[inline]
    fn note(&self, nexus: NexusId, unit: Option<u32>, ended: &Ended) {
        if let Some(unit) = unit {
            self.units[index(unit)].meter.commands.note(ended);
        }
        if let Some(nexus) = self.nexuses.get(nexus) {
            nexus.meter.note(ended);
            nexus.port_meter.note(ended);
            if let Some(meter) = unit.and_then(|unit| nexus.lun_meter(unit)) {
                meter.note(ended);
            }
        }
    }
}

impl Unit {
    /// Where its conditions are counted, if this is its home.
    pub(crate) fn meter_at_home(&self) -> Option<Arc<UnitMeter>> {
        matches!(self.role, Role::Home(_)).then(|| Arc::clone(&self.meter))
    }
}

/// Of so many bytes those that the initiator has room for.
#[inline]
fn sent(bytes: usize, room: u32) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX).min(room.into())
}
