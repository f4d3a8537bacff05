//! Commands are counted as they end, by the engine that answers them: for their unit, the number under which it is found, their session
//! and its target port.
//!
//! Parts of copies are nobody's commands and are not counted; what they ask of the stores is.
//!
//! Cost, on the way of every command: a comparison and an addition, for commands of a batch end alike ([`Tally`]); for the first of a batch
//! a few additions in memory that no other thread writes. No look at a clock.

use crate::commands::find;
use crate::engine::{Engine, index};
use crate::gate::Role;
use crate::pass;
use crate::table::Task;
use crate::unit::Unit;
use crate::work::Outcome;
use felio_hal::meter::{Ended, UnitMeter};
use felio_hal::store::Passed;
use felio_hal::{Command, NexusId, PortTag, Time};
use felio_spec::cdb::Kind;
use felio_spec::sense::{SenseKey, code_of};
use felio_spec::{Status, TaskManagementFunction};
use std::sync::Arc;

/// What ended well and alike, one after another, and of which no meter has heard yet.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Commands of this nexus
    nexus: NexusId,
    /// to this unit, and how they ended. If they are none, the rest means nothing.
    unit: u32,
    ended: Ended,
    /// Operations of the store of this unit,
    store: u32,
    /// how long each took,
    nanos: u64,
    /// and how many they are.
    operations: u64,
}

impl Tally {
    pub(crate) const NONE: Self = Self {
        nexus: NexusId { reactor: 0, slot: 0, generation: 0 },
        unit: 0,
        ended: Ended {
            kind: Kind::Other,
            status: Status::GOOD,
            key: None,
            nanos: 0,
            commands: 0,
            bytes_in: 0,
            bytes_out: 0,
        },
        store: 0,
        nanos: 0,
        operations: 0,
    };
}

impl Engine {
    /// A task is about to be answered.
    #[inline]
    pub(crate) fn count_answered(&mut self, slot: u32, outcome: &Outcome) {
        let Outcome { status, sense, data, .. } = outcome;
        let key = sense.as_ref().map(|sense| sense.code.key);
        self.count_task(slot, *status, key, data.as_ref().map_or(0, |buf| buf.len()));
    }

    /// The same, as a device has answered.
    pub(crate) fn count_passed(&mut self, slot: u32, passed: &Passed, bytes_in: usize) {
        self.count_task(slot, passed.status, code_of(&passed.sense).map(|code| code.key), bytes_in);
    }

    /// A task is answered with a mere status.
    pub(crate) fn count_ended(&mut self, slot: u32, status: Status) {
        self.count_task(slot, status, None, 0);
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
            nanos: 0,
            commands: 1,
            bytes_in: sent(outcome.data.as_ref().map_or(0, |buf| buf.len()), command.expect_in),
            bytes_out: 0,
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

    /// The operation of a task is home.
    #[inline]
    pub(crate) fn count_operation(&mut self, slot: u32, now: Time, succeeded: bool) {
        if cfg!(felio_uncounted) {
            return;
        }
        let Some(task) = self.table.get(slot) else { return };
        let (unit, nanos) = (task.unit, now.nanos_since(task.course.submitted));
        if !succeeded {
            self.units[index(unit)].meter.store_failures.add(1);
        }
        if (self.tally.store, self.tally.nanos) != (unit, nanos) {
            self.tell_of_operations();
            (self.tally.store, self.tally.nanos) = (unit, nanos);
        }
        self.tally.operations += 1;
    }

    /// The meters hear of everything so far: before anybody can ask them about a command that he has the answer of, and before a nexus or a
    /// unit goes.
    #[inline]
    pub(crate) fn tell_meters(&mut self) {
        if self.tally.ended.commands > 0 {
            self.tell_of_commands();
        }
        if self.tally.operations > 0 {
            self.tell_of_operations();
        }
    }

    #[inline(never)]
    fn tell_of_operations(&mut self) {
        let Tally { store, nanos, operations, .. } = &mut self.tally;
        if let Some(unit) = self.units.get(index(*store)) {
            unit.meter.store.note(*nanos, core::mem::take(operations));
        }
    }

    #[inline(never)]
    fn tell_of_commands(&mut self) {
        let Tally { nexus, unit, ended, .. } = self.tally;
        self.tally.ended = Tally::NONE.ended;
        self.note(nexus, Some(unit), &ended);
    }

    #[inline]
    fn count_task(&mut self, slot: u32, status: Status, key: Option<SenseKey>, bytes_in: usize) {
        if cfg!(felio_uncounted) {
            return;
        }
        let Some(task) = self.table.get(slot).filter(|task| !task.is_piece()) else { return };
        let &Task { nexus, unit, .. } = task;
        let ended = Ended {
            kind: task.entry.row.kind,
            status,
            key,
            nanos: self.now.nanos_since(task.course.arrived),
            commands: 1,
            bytes_in: sent(bytes_in, task.course.room),
            bytes_out: task.course.received.into(),
        };
        if status != Status::GOOD {
            return self.note(nexus, Some(unit), &ended);
        }
        let alike = &mut self.tally.ended;
        if (alike.kind, alike.nanos, self.tally.unit) == (ended.kind, ended.nanos, unit)
            && self.tally.nexus == nexus
        {
            alike.commands += 1;
            alike.bytes_in += ended.bytes_in;
            alike.bytes_out += ended.bytes_out;
            return;
        }
        self.tell_meters();
        (self.tally.nexus, self.tally.unit, self.tally.ended) = (nexus, unit, ended);
    }

    #[inline(never)]
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
