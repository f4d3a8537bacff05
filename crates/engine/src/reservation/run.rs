//! Reservations at work: checked, changed, saved, made known.
//!
//! A change takes effect in one step: the state, the obstacles of all nexuses, the unit attentions, the end of other
//! commands. Where state outlives a loss of power the step follows the saving, and the answer follows the step. A command
//! that is ended while its change is being saved cannot take the change back: it takes effect when the saving is done, though
//! nobody is answered.

use super::persistent::{Change, Holder, Key, Persistent, Refusal, World};
use super::request::{Request, Service};
use super::{Path, Record, Saving, saved};
use crate::engine::{Engine, index};
use crate::failure;
use crate::progress::give_back;
use crate::table::Effort;
use crate::work::{Next, Outcome, Work};
use felio_hal::state::Save;
use felio_hal::store::Failure;
use felio_hal::{Buf, NexusId, Op, Pool, TaskId, Time};
use felio_spec::reservation::{Obstacle, Verdict};
use felio_spec::sense::code;
use felio_spec::{Cdb, Row, Status};

impl Engine {
    /// Refuses a command that a reservation excludes.
    pub(crate) fn check_reservation(
        &mut self,
        nexus: NexusId,
        at: u32,
        row: &Row,
        cdb: &Cdb,
    ) -> Result<(), Outcome> {
        let Some(obstacle) = self.nexuses.get_mut(nexus).and_then(|nexus| nexus.obstacle(at)) else {
            return Ok(());
        };
        match (obstacle.verdict(row.reservation, cdb), obstacle) {
            (Verdict::Allowed, _) => Ok(()),
            (Verdict::Conflict, Obstacle::Lost) => {
                Err(Outcome::check(code::PERSISTENT_RESERVATION_INFORMATION_LOST.into(), 0))
            }
            (Verdict::Conflict, _) => Err(Outcome::status(Status::RESERVATION_CONFLICT, 0)),
        }
    }

    /// PERSISTENT RESERVE OUT.
    pub(crate) fn reserve_out(
        &mut self,
        now: Time,
        slot: u32,
        service: Service,
        data: Option<Buf>,
        pool: &mut Pool,
    ) -> Next {
        let Some(task) = self.table.get(slot) else { return Next::Finish(Outcome::good(0)) };
        let (cdb, nexus, at) = (task.cdb, task.nexus, task.unit);
        let list = data.as_deref().unwrap_or_default();
        let transfer_bytes = u64::try_from(list.len()).unwrap_or(u64::MAX);
        let decided = self.decide(nexus, at, service, &cdb, list);
        give_back(data, pool);
        let change = match decided {
            Ok(change) => change,
            Err(Refusal::Conflict) => {
                return Next::Finish(Outcome::status(Status::RESERVATION_CONFLICT, transfer_bytes));
            }
            Err(Refusal::Check(sense)) => return Next::Finish(Outcome::check(sense, transfer_bytes)),
        };
        let task = self.table.id(slot);
        let unit = &mut self.units[index(at)];
        let change = match unit.reservations.document(&change.next).filter(|_| unit.config.limits.state) {
            None => change,
            Some(bytes) => {
                unit.reservations.saving = Some(Box::new(Saving { task, transfer_bytes, change }));
                return Next::Submit(Op::Save(Box::new(Save { part: saved::PART, bytes })), Work::Reserve);
            }
        };
        let waits_for = self.enact(now, at, change, slot, pool);
        self.after_enacting(slot, transfer_bytes, waits_for)
    }

    /// The change of a task's is saved, or not.
    pub(crate) fn reserve_saved(
        &mut self,
        now: Time,
        slot: u32,
        result: Result<(), Failure>,
        pool: &mut Pool,
    ) -> Next {
        let Some(Saving { transfer_bytes, change, .. }) = self.take_saving(slot) else {
            return Next::Finish(Outcome::good(0));
        };
        let geometry = &self.units[index(self.table.get(slot).map_or(0, |task| task.unit))].geometry;
        match result {
            Ok(()) => {
                let at = self.table.get(slot).map_or(0, |task| task.unit);
                let waits_for = self.enact(now, at, change, slot, pool);
                self.after_enacting(slot, transfer_bytes, waits_for)
            }
            //= SPC-4 "Registering": no room for a registration
            Err(Failure::NoSpace) => {
                Next::Finish(Outcome::check(code::INSUFFICIENT_REGISTRATION_RESOURCES.into(), transfer_bytes))
            }
            Err(failure) => {
                let sense = failure::sense(failure, Effort::Write, geometry);
                Next::Finish(Outcome::check(sense, transfer_bytes))
            }
        }
    }

    /// A task that was ended is home: what it had saved takes effect all the same.
    pub(crate) fn settle_saving(&mut self, now: Time, slot: u32, is_saved: bool, pool: &mut Pool) {
        let Some(at) = self.table.get(slot).map(|task| task.unit) else { return };
        if let Some(Saving { change, .. }) = self.take_saving(slot)
            && is_saved
        {
            self.enact(now, at, change, slot, pool);
        }
    }

    //= SPC-2 "RESERVE (6) command"
    //= SPC-4 "Exceptions to SPC-2 RESERVE and RELEASE behavior": who has access anyway is told GOOD
    pub(crate) fn reserve(&mut self, nexus: NexusId, at: u32) -> Outcome {
        let outcome = self.compatible(nexus, at);
        if outcome.is_none() {
            self.units[index(at)].reservations.reserved = Some(nexus);
            self.refresh_obstacles(at);
        }
        outcome.unwrap_or_else(|| Outcome::good(0))
    }

    /// RELEASE of what another has reserved is no error, and does nothing.
    pub(crate) fn release(&mut self, nexus: NexusId, at: u32) -> Outcome {
        let outcome = self.compatible(nexus, at);
        if outcome.is_none() {
            self.forget_reserve(nexus, at);
        }
        outcome.unwrap_or_else(|| Outcome::good(0))
    }

    /// What a nexus has reserved by RESERVE goes with it.
    pub(crate) fn forget_reserve(&mut self, nexus: NexusId, at: u32) {
        let reserved = &mut self.units[index(at)].reservations.reserved;
        if reserved.take_if(|owner| *owner == nexus).is_some() {
            self.refresh_obstacles(at);
        }
    }

    /// The nexuses may do what the state of the unit lets them.
    pub(crate) fn refresh_obstacles(&mut self, at: u32) {
        let reservations = &mut self.units[index(at)].reservations;
        reservations.stands = reservations.is_in_the_way();
        for nexus in self.nexuses.iter_mut() {
            nexus.set_obstacle(at, reservations.obstacle(nexus.id, &nexus.path));
        }
    }

    /// How RESERVE and RELEASE end where there are registrations.
    fn compatible(&mut self, nexus: NexusId, at: u32) -> Option<Outcome> {
        let path = &self.nexuses.get_mut(nexus)?.path;
        let state = self.units[index(at)].reservations.persistent();
        if state.registrations.is_empty() {
            return None;
        }
        let is_shared = state.held.as_ref().is_some_and(|held| held.kind.is_shared());
        let has_access = state.holds(path) || (is_shared && state.key_of(path).is_some());
        let status = if has_access { Status::GOOD } else { Status::RESERVATION_CONFLICT };
        Some(Outcome::status(status, 0))
    }

    fn decide(
        &mut self,
        nexus: NexusId,
        at: u32,
        service: Service,
        cdb: &Cdb,
        list: &[u8],
    ) -> Result<Change, Refusal> {
        let request = Request::parse(service, cdb, list)?;
        let unit = &self.units[index(at)];
        let state = unit.reservations.persistent();
        let seen = self.nexuses.iter().map(|nexus| nexus.path.initiator.clone());
        let known = self.nexuses.known().map(|port| Path::new(port, 0).initiator);
        let registered = state.registrations.iter().map(|registration| registration.path.initiator.clone());
        let world = World {
            ports: self.target.ports.iter().map(|port| port.relative_port).collect(),
            initiators: seen.chain(known).chain(registered).collect(),
            can_save: unit.config.limits.state,
            is_lost: matches!(unit.reservations.record, Record::Lost),
        };
        let who = self.nexuses.get_mut(nexus).ok_or(Refusal::Conflict)?;
        state.decide(&who.path, &request, &world)
    }

    fn take_saving(&mut self, slot: u32) -> Option<Saving> {
        let task = self.table.id(slot);
        let at = self.table.get(slot)?.unit;
        let saving = self.units[index(at)].reservations.saving.take_if(|saving| saving.task == task)?;
        Some(*saving)
    }

    /// Carries a change out, and returns which commands are still to come home that it ended.
    fn enact(&mut self, now: Time, at: u32, change: Change, slot: u32, pool: &mut Pool) -> Vec<TaskId> {
        let Change { next, told, aborted } = change;
        self.units[index(at)].reservations.record = Record::Known(next);
        self.refresh_obstacles(at);
        for (path, attention) in told {
            self.nexuses.attend_path(at, attention, &path);
        }
        if aborted.is_empty() {
            return Vec::new();
        }
        let gone: Vec<NexusId> =
            self.nexuses.iter().filter(|nexus| aborted.contains(&nexus.path)).map(|nexus| nexus.id).collect();
        //= SPC-4 "PREVENT ALLOW MEDIUM REMOVAL command": who was preempted prevents nothing any more
        self.units[index(at)].preventing.retain(|nexus| !gone.contains(nexus));
        self.end_preempted(now, at, &gone, slot, pool)
    }

    fn after_enacting(&mut self, slot: u32, transfer_bytes: u64, waits_for: Vec<TaskId>) -> Next {
        if waits_for.is_empty() {
            return Next::Finish(Outcome::good(transfer_bytes));
        }
        self.await_preempted(self.table.id(slot), transfer_bytes, waits_for);
        Next::Wait
    }
}

impl super::Reservations {
    /// What must be saved before that state may take effect, if anything.
    //= SPC-4 "Preserving persistent reservations and registrations through power loss"
    fn document(&self, next: &Persistent) -> Option<Vec<u8>> {
        let is_kept = match &self.record {
            Record::Known(state) => (state.aptpl || next.aptpl) && state != next,
            Record::Lost => true, // What cannot be read must not be found again.
        };
        is_kept.then(|| saved::encode(next))
    }
}

impl Persistent {
    /// The key of a reservation's holder, zero for all registrants.
    pub(super) fn holders_key(&self) -> u64 {
        match self.held.as_ref().map(|held| &held.holder) {
            Some(Holder::Nexus(path)) => self.key_of(path).map_or(0, Key::get),
            Some(Holder::AllRegistrants) | None => 0,
        }
    }
}
