//! A task goes on: from its beginning through its store operations to its answer.

use crate::allegiance::Trouble;
use crate::arrival::{Errand, full};
use crate::commands::Run;
use crate::copy::hold;
use crate::engine::{Engine, index};
use crate::failure;
use crate::geometry::Extent;
use crate::pass;
use crate::protection;
use crate::table::{Effort, Fate, Job, State, Task};
use crate::work::{self, Next, Outcome, Wanting, Work};
use core::time::Duration;
use felio_hal::port::{Response, SenseData};
use felio_hal::store::{Done, Failure};
use felio_hal::{Buf, Completion, NexusId, Op, Pool, PortRequest, PortTag, Submission, Time};
use felio_spec::Status;
use felio_spec::cdb::{Medium, Serialization};

/// How long a task waits for a buffer before the initiator is asked to come back later.
const STARVED_MAX: Duration = Duration::from_secs(2);

impl Engine {
    /// A store operation has finished.
    pub fn handle_completion(&mut self, now: Time, completion: Completion, pool: &mut Pool) {
        self.now = now;
        let Completion { task, result, buf, .. } = completion;
        if let Some(errand) = self.errand(task) {
            self.run_errand(now, errand, result, buf, pool);
        } else if let Some(slot) = self.table.slot(task) {
            self.come_home(now, slot, result, buf, pool);
        } else if let Some(buf) = buf {
            pool.give(buf);
        }
        self.settle(now, pool);
    }

    /// What a unit itself asked the store for has come home.
    fn run_errand(
        &mut self,
        now: Time,
        errand: Errand,
        result: Result<Done, Failure>,
        buf: Option<Buf>,
        pool: &mut Pool,
    ) {
        match errand {
            Errand::Probe(unit) => {
                give_back(buf, pool);
                match result {
                    Ok(Done::Size(bytes)) => {
                        self.resize(unit, bytes);
                        if self.probe_space(unit) {
                            return;
                        }
                    }
                    Ok(Done::Space(space)) => self.note_space(unit, space),
                    _ => {}
                }
                self.end_probe(now, unit);
            }
            Errand::Overhaul(unit) => self.overhaul_came_home(now, unit, result, buf, pool),
            Errand::SelfTest(unit, serial) => {
                self.self_test_came_home(now, (unit, serial), result, buf, pool)
            }
        }
    }

    /// Begins a task that has waited for its turn.
    pub(crate) fn begin_dormant(&mut self, now: Time, slot: u32, pool: &mut Pool) {
        let Some(task) = self.table.get_mut(slot) else { return };
        match core::mem::replace(&mut task.state, State::Deciding) {
            State::Dormant(job, data, _) => {
                self.units[index(task.unit)].tasks.left_dormant();
                match self.fence(slot) {
                    Some(blocker) => self.park(slot, State::Dormant(job, data, blocker)),
                    None => self.begin(now, slot, job, data, pool),
                }
            }
            other => task.state = other,
        }
    }

    /// Begins a task whose turn it is.
    pub(crate) fn begin(&mut self, now: Time, slot: u32, job: Job, data: Option<Buf>, pool: &mut Pool) {
        match self.check_again(slot) {
            Ok(()) => self.start(now, slot, job, data, pool),
            Err(outcome) => {
                give_back(data, pool);
                self.finish(slot, outcome);
            }
        }
    }

    /// The unit may have been reserved, stopped, protected, made smaller or put out of reach while a task waited.
    fn check_again(&mut self, slot: u32) -> Result<(), Outcome> {
        let Some(&Task { nexus, unit: at, entry, cdb, extent, .. }) = self.table.get(slot) else {
            return Ok(());
        };
        if self.units[index(at)].reservations.stands() {
            self.check_reservation(nexus, at, entry.row, &cdb)?;
        }
        let unit = &self.units[index(at)];
        let checked = unit
            .check_medium(entry.row)
            .and_then(|()| unit.geometry.check(extent))
            .and_then(|()| self.check_access(nexus, at, entry.row.alua, extent));
        checked.map_err(|sense| Outcome::check(sense, 0))
    }

    /// Begins a task that has just been checked.
    pub(crate) fn start(&mut self, now: Time, slot: u32, job: Job, data: Option<Buf>, pool: &mut Pool) {
        let Some(task) = self.table.get(slot) else { return give_back(data, pool) };
        let at = task.unit;
        let unit = &mut self.units[index(at)];
        if unit.has_rods && task.entry.row.medium == Medium::Write {
            unit.has_rods = self.copies.tokens.cancel(now, at, written(task));
        }
        let next = match job {
            Job::Entry => {
                let next = self.run_entry(now, slot, data, pool);
                self.follow(now, slot, next, pool);
                return self.drive_overhaul(now, at, pool);
            }
            Job::Pass(bytes) => pass::begin(task.cdb, bytes, data),
            Job::Medium(plan) => {
                let desk = &mut unit.desk(pool);
                match unit.geometry.protection {
                    None => work::begin(&plan, &task.cdb, data, desk),
                    Some(kind) => protection::begin(kind, &plan, task.entry.row, &task.cdb, data, desk),
                }
            }
        };
        self.follow(now, slot, next, pool);
    }

    /// Gives buffers to those who wait for one, in order, as long as there are any.
    pub(crate) fn feed(&mut self, now: Time, pool: &mut Pool) {
        // Whoever starves again does so at the end, for the next time.
        for _ in 0..self.starved.len() {
            let Some(id) = self.starved.front().copied() else { return };
            let slot = self.table.slot(id);
            if let Some(slot) = slot
                && let Some(State::Starved(bytes, ..)) = self.table.get(slot).map(|task| &task.state)
            {
                let Some(buf) = pool.take(*bytes) else { return };
                self.resume(now, slot, buf, pool);
            }
            self.starved.pop_front();
        }
    }

    /// Ends those who have waited too long for a buffer.
    pub(crate) fn give_up_starved(&mut self, now: Time, pool: &mut Pool) {
        while let Some(id) = self.starved.front().copied() {
            let Some(slot) = self.table.slot(id) else {
                self.starved.pop_front();
                continue;
            };
            let Some(task) = self.table.get_mut(slot) else { return };
            if let State::Starved(_, _, since) = task.state
                && now.since(since) < STARVED_MAX
            {
                return;
            }
            self.starved.pop_front();
            let nexus = task.nexus;
            core::mem::replace(&mut task.state, State::Deciding).release(pool);
            let others = self.nexuses.get_mut(nexus).map_or(0, |nexus| nexus.tasks.saturating_sub(1));
            self.finish(slot, Outcome::status(full(others), 0));
        }
    }

    /// Answers a task and lets it go, unless an allegiance forbids it.
    pub(crate) fn finish(&mut self, slot: u32, outcome: Outcome) {
        let Some(task) = self.table.get_mut(slot) else { return };
        let tasks = &mut self.units[index(task.unit)].tasks;
        if tasks.is_blocked(task) {
            let at = task.unit;
            tasks.hold(task, outcome);
            return self.unsettle(at);
        }
        self.close(slot, outcome);
    }

    /// Answers a task that was held.
    pub(crate) fn finish_held(&mut self, slot: u32) {
        let Some(task) = self.table.get_mut(slot) else { return };
        match core::mem::replace(&mut task.state, State::Deciding) {
            State::Kept(outcome) => {
                self.units[index(task.unit)].tasks.left_held();
                self.close(slot, *outcome);
            }
            other => task.state = other,
        }
    }

    /// Answers a task and lets it go.
    fn close(&mut self, slot: u32, outcome: Outcome) {
        let Some(task) = self.table.get(slot) else { return };
        let (nexus, tag, unit) = (task.nexus, task.tag, task.unit);
        let status = outcome.status;
        let trouble = (status != Status::GOOD && !task.is_piece())
            .then(|| Trouble::new(status, &task.cdb, task.attribute));
        self.count_answered(slot, &outcome);
        self.answer(nexus, tag, unit, outcome);
        self.let_go(slot);
        if let Some(trouble) = trouble {
            self.handle_trouble(nexus, unit, trouble);
        }
    }

    /// Says how a command ended.
    pub(crate) fn answer(&mut self, nexus: NexusId, tag: PortTag, unit: u32, outcome: Outcome) {
        let Outcome { status, sense, data, transfer_bytes } = outcome;
        let descriptor = self.units[index(unit)].mode.descriptor_sense();
        let sense = sense.map(|sense| SenseData::new(&sense, descriptor));
        let response = Response { tag, status, sense, data, transfer_bytes };
        self.tell(nexus, PortRequest::Respond(response));
    }

    /// Frees the slot of a task whose operation is home, or was never handed out; what it holds is the caller's.
    pub(crate) fn let_go(&mut self, slot: u32) -> Option<State> {
        let &Task { unit, nexus, .. } = self.table.get(slot)?;
        // Guests may know even of what is nothing special any more.
        self.lower(unit, self.table.id(slot));
        let of = &mut self.units[index(unit)];
        of.tasks.remove(&mut self.table, slot);
        of.meter.commands.in_flight.set(of.tasks.count().into());
        let state = self.table.remove(slot)?;
        if let Some(nexus) = self.nexuses.get_mut(nexus) {
            nexus.tasks -= 1;
            nexus.meter.in_flight.set(nexus.tasks.into());
        }
        self.unsettle(unit);
        Some(state)
    }

    /// A task's operation is home.
    fn come_home(
        &mut self,
        now: Time,
        slot: u32,
        result: Result<Done, Failure>,
        buf: Option<Buf>,
        pool: &mut Pool,
    ) {
        self.count_operation(slot, now, result.is_ok());
        let Some(task) = self.table.get_mut(slot) else { return };
        let at = task.unit;
        let unit = &self.units[index(at)];
        match (core::mem::replace(&mut task.state, State::Deciding), result) {
            (State::InStore(_, Work::Size), Ok(Done::Size(bytes))) => {
                give_back(buf, pool);
                self.resize(at, bytes);
                let next = self.run_sized(now, slot, pool);
                self.follow(now, slot, next, pool);
            }
            (State::InStore(_, Work::SelfTest(test)), result) => {
                let next = self.go_on_with_self_test(now, at, test, result, buf, pool);
                self.follow(now, slot, next, pool);
            }
            (State::InStore(_, Work::Stop(power)), Ok(_)) => {
                give_back(buf, pool);
                self.units[index(at)].power = power;
                self.finish(slot, Outcome::good(0));
            }
            (State::InStore(_, Work::PortGroups(saving)), result) => {
                give_back(buf, pool);
                let next = self.groups_saved(slot, saving, result);
                self.follow(now, slot, next, pool);
            }
            (State::InStore(_, Work::Reserve), result) => {
                give_back(buf, pool);
                let next = self.reserve_saved(now, slot, result.map(|_| ()), pool);
                self.follow(now, slot, next, pool);
            }
            (State::InStore(_, Work::Save(deferred)), Ok(_)) => {
                give_back(buf, pool);
                let nexus = task.nexus;
                let next = self.take_effect(now, *deferred, nexus, at);
                self.follow(now, slot, next, pool);
            }
            (State::InStore(_, Work::Pass(direction)), Ok(Done::Passed(passed))) => {
                self.answer_passed(slot, direction, *passed, buf, pool);
            }
            (State::InStore(_, work), Ok(done)) => {
                let next = work.handle_done(done, buf, &mut unit.desk(pool));
                self.follow(now, slot, next, pool);
            }
            (state @ State::InStore(effort, _), Err(failure)) => {
                unit.counters.failures.add(1);
                let sense = failure::sense(failure, effort, &unit.geometry);
                give_back(buf, pool);
                state.release(pool);
                if failure == Failure::Short {
                    self.plan_probe(at, now); // The next command looks.
                }
                self.finish(slot, Outcome::check(sense, 0));
            }
            (State::Doomed(fate, effort), result) => {
                give_back(buf, pool);
                if let (Fate::Detached, Effort::Write | Effort::Flush, Err(failure)) = (fate, effort, &result)
                {
                    let sense = failure::sense(*failure, effort, &unit.geometry);
                    let nexus = task.nexus;
                    self.defer(nexus, at, sense);
                }
                self.settle_saving(now, slot, result.is_ok(), pool);
                self.bury(slot, fate, effort);
            }
            // Nothing is under way for it: the store answered twice.
            (state, _) => {
                give_back(buf, pool);
                task.state = state;
            }
        }
    }

    /// The last operation of a task that was ended before is home.
    pub(crate) fn bury(&mut self, slot: u32, fate: Fate, effort: Effort) {
        self.tell_buried(slot);
        match fate {
            Fate::Silent | Fate::Detached => drop(self.let_go(slot)),
            Fate::GivenUp => self.come_home_late(slot, effort),
            Fate::TaskAborted => self.close(slot, Outcome::status(Status::TASK_ABORTED, 0)),
        }
        self.conclude();
    }

    /// A starved task gets a buffer.
    fn resume(&mut self, now: Time, slot: u32, buf: Buf, pool: &mut Pool) {
        let Some(task) = self.table.get_mut(slot) else { return pool.give(buf) };
        match core::mem::replace(&mut task.state, State::Deciding) {
            State::Starved(_, wanting, _) => {
                let next = self.go_on(now, slot, wanting, buf, pool);
                self.follow(now, slot, next, pool);
            }
            other => {
                task.state = other;
                pool.give(buf);
            }
        }
    }

    /// Goes on as a step says.
    fn follow(&mut self, now: Time, slot: u32, mut next: Next, pool: &mut Pool) {
        loop {
            match next {
                Next::Submit(op, work) => {
                    let effort = Next::effort(&op);
                    return self.submit(slot, op, State::InStore(effort, work));
                }
                Next::Finish(outcome) => return self.finish(slot, outcome),
                Next::Save(saving) => return self.save_groups(slot, saving),
                Next::Wait => {
                    let Some(task) = self.table.get_mut(slot) else { return };
                    task.state = State::Waiting;
                    return;
                }
                Next::Watch { transfer_bytes } => return self.watch(slot, transfer_bytes),
                Next::Copying => {
                    let Some(task) = self.table.get_mut(slot) else { return };
                    task.state = State::Copying;
                    return;
                }
                Next::Hold => return self.hold(slot),
                Next::Need(bytes, wanting) => match self.take_buf(bytes, pool) {
                    Some(buf) => next = self.go_on(now, slot, wanting, buf, pool),
                    None => return self.starve(now, slot, bytes, wanting),
                },
                Next::Detach(op, outcome) => {
                    let Some(task) = self.table.get(slot) else { return };
                    let (nexus, tag, unit) = (task.nexus, task.tag, task.unit);
                    self.count_answered(slot, &outcome);
                    self.answer(nexus, tag, unit, outcome);
                    let state = State::Doomed(Fate::Detached, Next::effort(&op));
                    return self.submit(slot, op, state);
                }
            }
        }
    }

    /// A task waits for the end of what it has asked of its unit, and holds nobody up meanwhile.
    fn watch(&mut self, slot: u32, transfer_bytes: u64) {
        let Some(task) = self.table.get_mut(slot) else { return };
        task.state = State::Watching { transfer_bytes };
        let at = task.unit;
        self.units[index(at)].tasks.reclassify(task, Serialization::Free);
        self.unsettle(at);
    }

    /// A buffer, unless others have waited for one longer.
    fn take_buf(&self, bytes: usize, pool: &mut Pool) -> Option<Buf> {
        if self.starved.is_empty() { pool.take(bytes) } else { None }
    }

    fn go_on(&mut self, now: Time, slot: u32, wanting: Wanting, buf: Buf, pool: &mut Pool) -> Next {
        match (wanting, self.table.get(slot)) {
            (Wanting::Entry, _) => {
                pool.give(buf);
                self.run_parameters(now, slot, pool)
            }
            (Wanting::SelfTest(test), Some(task)) => {
                let at = task.unit;
                self.begin_self_test(at, test, buf, pool)
            }
            (wanting, Some(task)) => wanting.handle_buf(buf, &mut self.units[index(task.unit)].desk(pool)),
            (_, None) => {
                pool.give(buf);
                Next::Finish(Outcome::good(0))
            }
        }
    }

    fn starve(&mut self, now: Time, slot: u32, bytes: usize, wanting: Wanting) {
        self.starved.push_back(self.table.id(slot));
        if let Some(task) = self.table.get_mut(slot) {
            task.state = State::Starved(bytes, wanting, now);
        }
    }

    pub(crate) fn submit(&mut self, slot: u32, op: Op, state: State) {
        let id = self.table.id(slot);
        let Some(task) = self.table.get_mut(slot) else { return };
        task.state = state;
        task.course.submitted = self.now;
        let store = self.units[index(task.unit)].config.store;
        self.submissions.push_back(Submission { store, task: id, op });
    }
}

/// The blocks that a task may be about to change.
fn written(task: &Task) -> Extent {
    if matches!(task.entry.run, Run::Hold) {
        return hold::written(&task.cdb);
    }
    match task.class {
        Serialization::Write | Serialization::Exclusive => task.extent,
        // What a copy writes, its parts write.
        Serialization::Free | Serialization::Read => Extent::default(),
        Serialization::Unit => Extent { lba: 0, blocks: u64::MAX },
    }
}

/// Gives a buffer back, if there is one.
pub(crate) fn give_back(buf: Option<Buf>, pool: &mut Pool) {
    if let Some(buf) = buf {
        pool.give(buf);
    }
}
