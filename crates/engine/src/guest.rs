//! A guest of units whose home is elsewhere: runs what it has a pass for, and forwards the rest. See [`crate::gate`].
//!
//! Order within a session: while one of its commands is at Home that is not plain, its later ones go there too, behind it. A task
//! whose data arrive when it may not begin here any more is handed over with its data, and takes its place there in front of the
//! commands that were sent after it.

use crate::arrival::{Admitted, NO_ADDRESS};
use crate::attention::Attentions;
use crate::commands::{Entry, find};
use crate::engine::{Engine, index};
use crate::gate::{Abroad, Content, Gate, Handed, Pass, Promise, Role, Shadow};
use crate::home::{concerns_all, ended_by};
use crate::management::{Ending, Gone, is_open, is_over};
use crate::order::{Claim, must_wait};
use crate::table::{State, Task};
use crate::unit::{PROBE_INTERVAL, Probe, Unit};
use felio_hal::port::{PortRequest, TaskManagement};
use felio_hal::{Buf, Command, NexusId, Pool, TaskId, Time};
use felio_spec::TaskAttribute;
use felio_spec::cdb::{Place, Serialization};
use felio_spec::status::TaskManagementFunction as Function;

impl Engine {
    /// An answer that another engine gave passes through to a port here.
    pub fn handle_answer(&mut self, nexus: NexusId, request: &PortRequest) {
        if let Some(tag) = ended_by(request)
            && let Some(nexus) = self.nexuses.get_mut(nexus)
        {
            nexus.abroad.retain(|abroad| abroad.tag != tag);
        }
    }

    /// A command for a unit whose home is elsewhere.
    pub(crate) fn arrive_as_guest(
        &mut self,
        now: Time,
        nexus: NexusId,
        unit: u32,
        command: Command,
        pool: &mut Pool,
    ) {
        match self.check_as_guest(nexus, unit, &command) {
            Some(admitted) => {
                self.look(now, unit);
                self.admit(now, nexus, unit, &command, admitted, pool);
            }
            None => self.forward(nexus, unit, command),
        }
    }

    /// Whether a task here, whose data have arrived, may begin.
    pub(crate) fn may_begin(&self, slot: u32) -> bool {
        let Some(task) = self.table.get(slot) else { return true };
        let Role::Guest(gate) = &self.units[index(task.unit)].role else { return true };
        let (id, claim) = (self.table.id(slot), task.claim());
        self.pass_of(task.nexus, task.unit).allows(task.entry.row.reservation)
            && !gate.overshadows(claim, |shadow| self.peers.has_promised(shadow.task, id))
    }

    /// A task here that may not begin any more goes to its unit's home, with its data.
    pub(crate) fn hand_over(&mut self, slot: u32, buf: Buf) {
        let id = self.table.id(slot);
        let Some(task) = self.table.get(slot) else { return };
        let (nexus, unit) = (task.nexus, task.unit);
        let command = Command {
            tag: task.tag,
            lun: NO_ADDRESS,
            attribute: task.attribute,
            cdb: task.cdb,
            expect_out: u32::try_from(buf.len()).unwrap_or(u32::MAX),
            expect_in: u32::MAX,
        };
        let newer = |abroad: &&Abroad| abroad.older.contains(&id);
        let abroad = self.nexuses.get(nexus).map_or(&[][..], |nexus| &nexus.abroad);
        let before = abroad.iter().filter(newer).map(|abroad| abroad.tag).collect();
        let Unit { role, config, .. } = &self.units[index(unit)];
        let ended = match role {
            Role::Guest(gate) => gate.ended,
            Role::Home(_) => 0,
        };
        let handed = Some(Box::new(Handed { buf, before, ended }));
        self.peers.write(config.home, Content::Placed { nexus, unit, command, handed });
        self.let_go(slot);
    }

    /// A task here was ended while its store writes: Home keeps others from those blocks.
    pub(crate) fn tell_doomed(&mut self, slot: u32) {
        let Some(task) = self.table.get(slot) else { return };
        let Unit { role: Role::Guest(_), config, .. } = &self.units[index(task.unit)] else { return };
        let (id, unit, nexus, extent) = (self.table.id(slot), task.unit, task.nexus, task.extent);
        self.peers.write(config.home, Content::Doomed { unit, task: id, nexus, extent });
    }

    /// It is home.
    pub(crate) fn tell_buried(&mut self, slot: u32) {
        let Some(task) = self.table.get(slot) else { return };
        if let Unit { role: Role::Guest(_), config, .. } = &self.units[index(task.unit)] {
            self.peers.write(config.home, Content::Buried { task: self.table.id(slot) });
        }
    }

    /// A function for a unit whose home is elsewhere. What concerns tasks of the nexus itself the runtime tells both; the rest is told
    /// to Home, if it is not about a task here.
    /// Whether it was.
    pub(crate) fn forward_function(
        &mut self,
        now: Time,
        nexus: NexusId,
        unit: u32,
        management: TaskManagement,
        pool: &mut Pool,
    ) -> bool {
        let is_ours = match management.function {
            Function::AbortTask | Function::QueryTask => {
                self.find(nexus, unit, management.referenced).is_some()
            }
            Function::AbortTaskSet | Function::QueryTaskSet => true,
            Function::ITNexusReset | Function::TargetWarmReset | Function::TargetColdReset => true,
            _ => false,
        };
        if is_ours {
            return false;
        }
        if concerns_all(&management) {
            // What the nexus sent before the function is ended by it and must not reach Home behind it; what it sends after it is not.
            for slot in self.select(|task| task.unit == unit && task.nexus == nexus) {
                self.end(now, slot, Ending::Abandon, pool);
            }
            if let Some(pass) = self.nexuses.get_mut(nexus).and_then(|nexus| nexus.pass_mut(unit)) {
                *pass = Pass::NONE;
            }
        }
        let home = self.units[index(unit)].config.home;
        self.peers.write(home, Content::TaskManagement { nexus, function: management });
        true
    }

    /// Acknowledges what no task here holds up any more.
    pub(crate) fn keep_promises(&mut self) {
        let Self { peers, table, .. } = self;
        let kept = |promise: &mut Promise| {
            // Only the last is looked at: each task counts once.
            while promise.waits_for.pop_if(|id| is_over(table, *id)).is_some() {}
            promise.waits_for.is_empty()
        };
        let kept: Vec<Promise> = peers.promises.extract_if(.., kept).collect();
        for Promise { to, unit, of, .. } in kept {
            peers.write(to, Content::Done { unit, of });
        }
    }

    pub(crate) fn handle_guest_letter(&mut self, now: Time, from: u16, content: Content, pool: &mut Pool) {
        match content {
            Content::Grant { nexus, unit, pass, snapshot } => {
                self.units[index(unit)].adopt(*snapshot);
                let Some(nexus) = self.nexuses.get_mut(nexus) else { return };
                // What is to be told, and what a reservation refuses, is Home's to say.
                nexus.set_obstacle(unit, None);
                if let (Some(granted), Some(pending)) =
                    (nexus.passes.get_mut(index(unit)), nexus.attentions.get_mut(index(unit)))
                {
                    (*granted, *pending) = (pass, Attentions::NONE);
                }
            }
            Content::Void { unit } => {
                self.nexuses.void(unit);
                self.peers.write(from, Content::Voided);
            }
            Content::Raise { unit, shadow } => self.raise(from, unit, shadow),
            Content::Lower { unit, task } => {
                self.peers.promises.retain(|promise| promise.of != task);
                if let Role::Guest(gate) = &mut self.units[index(unit)].role {
                    gate.shadows.retain(|shadow| shadow.task != task);
                }
            }
            Content::End { unit, function, by, whom, tas } => {
                if let Role::Guest(gate) = &mut self.units[index(unit)].role {
                    gate.ended = function.generation;
                }
                let is_meant = |nexus| whom.as_ref().is_none_or(|whom| whom.contains(&nexus));
                let slots = self.select(|task| task.unit == unit && is_meant(task.nexus));
                let waits_for = self.end_for_peer(now, from, unit, (by, tas), slots, pool);
                self.peers.promises.push(Promise { to: from, unit, of: function, waits_for });
            }
            _ => {}
        }
    }

    /// Checks a command that may run here, or `None`: Home decides.
    fn check_as_guest(&mut self, nexus: NexusId, at: u32, command: &Command) -> Option<Admitted> {
        let entry = find(&self.units[index(at)], &command.cdb).ok()?;
        let who = self.nexuses.get(nexus)?;
        let runs_here = command.attribute == TaskAttribute::Simple
            && is_local(entry)
            && !command.cdb.naca()
            && who.pass(at).allows(entry.row.reservation)
            && who.abroad.iter().all(|abroad| abroad.unit != at);
        if !runs_here {
            return None;
        }
        let admitted = self.check(nexus, at, command).ok()?;
        let Role::Guest(gate) = &self.units[index(at)].role else { return None };
        let claim =
            Claim { attribute: command.attribute, class: entry.row.serialization, extent: admitted.extent };
        (!gate.overshadows(claim, |_| false)).then_some(admitted)
    }

    /// Sends a command to its unit's home.
    fn forward(&mut self, nexus: NexusId, at: u32, command: Command) {
        self.tell_counts(at);
        let unit = &self.units[index(at)];
        let class = find(unit, &command.cdb).map_or(Serialization::Free, |entry| entry.row.serialization);
        let holds_up = command.attribute != TaskAttribute::Simple
            || matches!(class, Serialization::Exclusive | Serialization::Unit);
        if holds_up {
            let waits = |task: &Task| task.nexus == nexus && matches!(task.state, State::Gathering(_));
            let older = unit.tasks.iter(&self.table).filter(|(_, task)| waits(task));
            let older = older.map(|(slot, _)| self.table.id(slot)).collect();
            if let Some(nexus) = self.nexuses.get_mut(nexus) {
                nexus.abroad.push(Abroad { tag: command.tag, unit: at, older });
            }
        }
        self.peers.write(unit.config.home, Content::Command { nexus, command });
    }

    /// Lets Home look at the store's size, once in a while.
    fn look(&mut self, now: Time, at: u32) {
        let unit = &mut self.units[index(at)];
        if let Probe::Idle { after } = &mut unit.probe
            && now >= *after
        {
            *after = now + PROBE_INTERVAL;
            unit.note_present(|task| self.table.slot(task).is_some());
            self.peers.write(unit.config.home, Content::Look { unit: at });
            self.tell_counts(at);
        }
    }

    /// Lets Home know what was done here: while commands arrive about once a second, and ahead of whatever goes to Home.
    fn tell_counts(&mut self, at: u32) {
        let unit = &mut self.units[index(at)];
        if !unit.counters.is_empty() {
            let counters = Box::new(core::mem::take(&mut unit.counters));
            self.peers.write(unit.config.home, Content::Counted { unit: at, counters });
        }
    }

    /// A task of Home wants to begin.
    fn raise(&mut self, from: u16, at: u32, shadow: Shadow) {
        if shadow.claim.class == Serialization::Unit {
            self.nexuses.void(at);
        }
        let unit = &mut self.units[index(at)];
        let Role::Guest(gate) = &mut unit.role else { return };
        gate.shadows.push(shadow);
        let older = unit.tasks.iter(&self.table).filter(|(_, task)| must_wait(task, shadow.claim));
        let waits_for = older.map(|(slot, _)| self.table.id(slot)).collect();
        self.peers.promises.push(Promise { to: from, unit: at, of: shadow.task, waits_for });
    }

    /// Ends tasks of a unit for a function of `by`, and returns those that are not home yet.
    fn end_for_peer(
        &mut self,
        now: Time,
        from: u16,
        unit: u32,
        (by, tas): (NexusId, bool),
        slots: Vec<u32>,
        pool: &mut Pool,
    ) -> Vec<TaskId> {
        self.nexuses.void(unit);
        let (mut waits_for, mut nexuses) = (Vec::new(), Vec::new());
        for slot in slots {
            let Some(task) = self.table.get(slot) else { continue };
            let (id, others) = (self.table.id(slot), task.nexus != by);
            if others && !tas && is_open(task) {
                nexuses.push(task.nexus);
            }
            let ending = if others && tas { Ending::Aborted } else { Ending::Abandon };
            if self.end(now, slot, ending, pool) == Gone::Later {
                waits_for.push(id);
            }
        }
        if !nexuses.is_empty() {
            self.peers.write(from, Content::Bereft { unit, nexuses });
        }
        waits_for
    }

    fn pass_of(&self, nexus: NexusId, unit: u32) -> Pass {
        self.nexuses.get(nexus).map_or(Pass::NONE, |nexus| nexus.pass(unit))
    }
}

impl Gate {
    /// Whether a task of Home holds `claim` back, but for those of which `ignores` is true.
    fn overshadows(&self, claim: Claim, ignores: impl Fn(&Shadow) -> bool) -> bool {
        self.shadows.iter().any(|shadow| shadow.claim.holds_back(claim) && !ignores(shadow))
    }
}

/// Whether a guest may run the command.
fn is_local(entry: &Entry) -> bool {
    entry.row.place == Place::Local
}
