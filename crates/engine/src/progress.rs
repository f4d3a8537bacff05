//! A task goes on: from its beginning through its store operations to its answer.

use crate::arrival::full;
use crate::attention::Attention;
use crate::commands::{Allocation, Run, View};
use crate::engine::{Engine, index};
use crate::failure;
use crate::table::{Fate, Job, State, Want};
use crate::unit::{Change, Control, Power, Probe};
use crate::work::{self, Desk, Next, Outcome, Wanting, Work};
use crate::writer::Writer;
use core::time::Duration;
use felio_hal::port::{Response, SenseData};
use felio_hal::store::{Done, Failure};
use felio_hal::{Buf, Completion, NexusId, Op, Pool, PortRequest, PortTag, Submission, Time};
use felio_spec::Status;
use felio_spec::cdb::Attention as AttentionRule;
use felio_spec::sense::{Sense, code};

/// How long a task waits for a buffer before the initiator is asked to come back later.
const STARVED_MAX: Duration = Duration::from_secs(2);

/// What a step of a task led to.
enum Step {
    /// As the command's work says.
    Next(Next),
    /// A buffer for so many bytes of parameter data is wanted.
    Starve(usize),
}

impl Engine {
    /// A store operation has finished.
    pub fn handle_completion(&mut self, now: Time, completion: Completion, pool: &mut Pool) {
        let Completion { task, result, buf, .. } = completion;
        if let Some(unit) = self.probed_unit(task) {
            self.note_probe(now, unit);
            if let Ok(Done::Size(bytes)) = result {
                self.resize(unit, bytes);
            }
        } else if let Some(slot) = self.table.slot(task) {
            self.come_home(now, slot, result, buf, pool);
        } else if let Some(buf) = buf {
            pool.give(buf);
        }
        self.settle(now, pool);
    }

    /// Begins a task that may.
    pub(crate) fn begin(&mut self, now: Time, slot: u32, pool: &mut Pool) {
        let Some(task) = self.table.get_mut(slot) else { return };
        let unit = &mut self.units[index(task.unit)];
        let (job, data) = match core::mem::replace(&mut task.state, State::Deciding) {
            State::Dormant(job, data) => (job, data),
            other => {
                task.state = other;
                return;
            }
        };
        unit.tasks.left_dormant();
        let step = match job {
            Job::Medium(plan) => {
                let durability = unit.durability();
                Step::Next(work::begin(&plan, data, &mut Desk { geometry: &unit.geometry, durability, pool }))
            }
            Job::Entry => self.run_entry(slot, data, pool),
        };
        self.follow(now, slot, step, pool);
    }

    /// Gives buffers to those who wait for one, in order, as long as there are any.
    pub(crate) fn feed(&mut self, now: Time, pool: &mut Pool) {
        // Whoever starves again does so at the end, for the next time.
        for _ in 0..self.starved.len() {
            let Some(id) = self.starved.front().copied() else { return };
            let slot = self.table.slot(id);
            if let Some(slot) = slot
                && let Some(State::Starved(want, _)) = self.table.get(slot).map(|task| &task.state)
            {
                let Some(buf) = pool.take(want.bytes()) else { return };
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
            if let State::Starved(_, since) = task.state
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

    /// Answers a task and lets it go.
    pub(crate) fn finish(&mut self, slot: u32, outcome: Outcome) {
        let Some(task) = self.table.get(slot) else { return };
        let (nexus, tag, unit) = (task.nexus, task.tag, task.unit);
        self.answer(nexus, tag, unit, outcome);
        self.let_go(slot);
    }

    /// Says how a command ended.
    pub(crate) fn answer(&mut self, nexus: NexusId, tag: PortTag, unit: u32, outcome: Outcome) {
        let Outcome { status, sense, data, transfer_bytes } = outcome;
        let descriptor = self.units[index(unit)].mode.descriptor_sense();
        let sense = sense.map(|sense| SenseData::new(&sense, descriptor));
        let response = Response { tag, status, sense, data, transfer_bytes };
        self.requests.push_back((nexus, PortRequest::Respond(response)));
        self.discount(nexus);
    }

    /// A command of the nexus is answered or abandoned.
    pub(crate) fn discount(&mut self, nexus: NexusId) {
        if let Some(nexus) = self.nexuses.get_mut(nexus) {
            nexus.tasks -= 1;
        }
    }

    /// Frees the slot of a task that is answered and whose buffer is home.
    pub(crate) fn let_go(&mut self, slot: u32) {
        let Some(task) = self.table.get(slot) else { return };
        let at = task.unit;
        let unit = &mut self.units[index(at)];
        unit.tasks.remove(&mut self.table, slot);
        self.table.remove(slot);
        if unit.tasks.has_dormant() {
            self.unsettled.push(at);
        }
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
        let Some(task) = self.table.get_mut(slot) else { return };
        let at = task.unit;
        let unit = &self.units[index(at)];
        match (core::mem::replace(&mut task.state, State::Deciding), result) {
            (State::InStore(_, Work::Size), Ok(Done::Size(bytes))) => {
                give_back(buf, pool);
                self.note_probe(now, at);
                self.resize(at, bytes);
                let step = self.run_sized(slot, pool);
                self.follow(now, slot, step, pool);
            }
            (State::InStore(_, Work::Stop), Ok(_)) => {
                give_back(buf, pool);
                self.units[index(at)].power = Power::Stopped;
                self.finish(slot, Outcome::good(0));
            }
            (State::InStore(_, work), Ok(done)) => {
                let durability = unit.durability();
                let mut desk = Desk { geometry: &unit.geometry, durability, pool };
                let next = work.handle_done(done, buf, &mut desk);
                self.follow(now, slot, Step::Next(next), pool);
            }
            (state @ State::InStore(effort, _), Err(failure)) => {
                let sense = failure::sense(failure, effort, &unit.geometry);
                give_back(buf, pool);
                state.release(pool);
                if failure == Failure::Short {
                    self.units[index(at)].probe = Probe::Idle { after: now }; // The next command looks.
                }
                self.finish(slot, Outcome::check(sense, 0));
            }
            (State::Doomed(fate), _) => {
                give_back(buf, pool);
                self.bury(slot, fate);
            }
            // Nothing is under way for it: the store answered twice.
            (state, _) => {
                give_back(buf, pool);
                task.state = state;
            }
        }
    }

    /// The last operation of a task that was ended before is home.
    fn bury(&mut self, slot: u32, fate: Fate) {
        let id = self.table.id(slot);
        match fate {
            Fate::Silent => self.let_go(slot),
            Fate::TaskAborted => self.finish(slot, Outcome::status(Status::TASK_ABORTED, 0)),
        }
        self.conclude(id);
    }

    /// A starved task gets a buffer.
    fn resume(&mut self, now: Time, slot: u32, buf: Buf, pool: &mut Pool) {
        let Some(task) = self.table.get_mut(slot) else { return pool.give(buf) };
        let unit = &self.units[index(task.unit)];
        let step = match core::mem::replace(&mut task.state, State::Deciding) {
            State::Starved(Want::Work(_, wanting), _) => {
                let durability = unit.durability();
                Step::Next(wanting.handle_buf(buf, &mut Desk { geometry: &unit.geometry, durability, pool }))
            }
            State::Starved(Want::Entry(_), _) => {
                pool.give(buf);
                self.run_parameters(slot, pool)
            }
            other => {
                task.state = other;
                return pool.give(buf);
            }
        };
        self.follow(now, slot, step, pool);
    }

    /// Goes on as a step says.
    fn follow(&mut self, now: Time, slot: u32, mut step: Step, pool: &mut Pool) {
        loop {
            step = match step {
                Step::Next(Next::Finish(outcome)) => return self.finish(slot, outcome),
                Step::Next(Next::Submit(op, work)) => {
                    let state = State::InStore(Next::effort(&op), work);
                    return self.submit(slot, op, state);
                }
                Step::Next(Next::Detach(op, outcome)) => {
                    if let Some(task) = self.table.get(slot) {
                        let (nexus, tag, unit) = (task.nexus, task.tag, task.unit);
                        self.answer(nexus, tag, unit, outcome);
                    }
                    return self.submit(slot, op, State::Doomed(Fate::Silent));
                }
                Step::Next(Next::Need(bytes, wanting)) => match self.take_buf(bytes, pool) {
                    Some(buf) => Step::Next(self.go_on(slot, wanting, buf, pool)),
                    None => return self.starve(now, slot, Want::Work(bytes, wanting)),
                },
                Step::Starve(bytes) => return self.starve(now, slot, Want::Entry(bytes)),
            };
        }
    }

    /// A buffer, unless others have waited for one longer.
    fn take_buf(&self, bytes: usize, pool: &mut Pool) -> Option<Buf> {
        if self.starved.is_empty() { pool.take(bytes) } else { None }
    }

    fn go_on(&self, slot: u32, wanting: Wanting, buf: Buf, pool: &mut Pool) -> Next {
        let unit = &self.units[self.table.get(slot).map_or(0, |task| index(task.unit))];
        let durability = unit.durability();
        wanting.handle_buf(buf, &mut Desk { geometry: &unit.geometry, durability, pool })
    }

    fn starve(&mut self, now: Time, slot: u32, want: Want) {
        self.starved.push_back(self.table.id(slot));
        if let Some(task) = self.table.get_mut(slot) {
            task.state = State::Starved(want, now);
        }
    }

    fn submit(&mut self, slot: u32, op: Op, state: State) {
        let id = self.table.id(slot);
        let Some(task) = self.table.get_mut(slot) else { return };
        task.state = state;
        let store = self.units[index(task.unit)].config.store;
        self.submissions.push_back(Submission { store, task: id, op });
    }

    /// Runs a command that is no plan.
    fn run_entry(&mut self, slot: u32, data: Option<Buf>, pool: &mut Pool) -> Step {
        let Some(task) = self.table.get(slot) else { return Step::Next(Next::Finish(Outcome::good(0))) };
        match task.entry.run {
            Run::Parameters(..) | Run::Sense(..) => self.run_parameters(slot, pool),
            Run::Capacity(..) | Run::Ready => Step::Next(Next::Submit(Op::Size, Work::Size)),
            Run::ParameterList(_, function) => {
                let (cdb, nexus, at) = (task.cdb, task.nexus, task.unit);
                let list = data.as_deref().unwrap_or_default();
                let transfer_bytes = u64::try_from(list.len()).unwrap_or(u64::MAX);
                let result = function(&mut self.units[index(at)], &cdb, list);
                give_back(data, pool);
                Step::Next(match result {
                    Ok(change) => {
                        self.announce(change, nexus, at);
                        after_change(change, transfer_bytes)
                    }
                    Err(sense) => Next::Finish(Outcome::check(sense, transfer_bytes)),
                })
            }
            Run::Control(function) => {
                let (control, at) = (function(&task.cdb), task.unit);
                Step::Next(self.control(control, at))
            }
            // A plan is made where the command arrives.
            Run::Medium(_) => Step::Next(Next::Finish(Outcome::good(0))),
        }
    }

    /// Builds parameter data.
    fn run_parameters(&mut self, slot: u32, pool: &mut Pool) -> Step {
        let Some(task) = self.table.get(slot) else { return Step::Next(Next::Finish(Outcome::good(0))) };
        let unit = &self.units[index(task.unit)];
        let view = View { target: &self.target, unit };
        self.writer.clear();
        let (allocation, result) = match task.entry.run {
            Run::Parameters(allocation, run) | Run::Capacity(allocation, run) => {
                (allocation, run(&view, &task.cdb, &mut self.writer))
            }
            Run::Sense(allocation, run) => {
                let pending =
                    self.nexuses.get_mut(task.nexus).and_then(|nexus| nexus.pending(task.unit).first());
                let sense = pending.unwrap_or_else(|| standing(unit.power));
                (allocation, run(&sense, &task.cdb, &mut self.writer))
            }
            Run::Ready | Run::ParameterList(..) | Run::Control(_) | Run::Medium(_) => {
                (Allocation::All, Ok(()))
            }
        };
        if let Err(sense) = result {
            return Step::Next(Next::Finish(Outcome::check(sense, 0)));
        }
        let outcome = match parameter_data(&self.writer, allocation.bytes(&task.cdb), pool) {
            Ok(outcome) => outcome,
            Err(bytes) => return Step::Starve(bytes),
        };
        //= SPC-4 "REQUEST SENSE command": what was returned is no longer pending
        if task.entry.row.attention == AttentionRule::Return
            && let Some(pending) = self.nexuses.get_mut(task.nexus).and_then(|n| n.pending_mut(task.unit))
        {
            pending.take();
        }
        Step::Next(Next::Finish(outcome))
    }

    /// The size is known: TEST UNIT READY and READ CAPACITY can be answered.
    fn run_sized(&mut self, slot: u32, pool: &mut Pool) -> Step {
        let Some(task) = self.table.get(slot) else { return Step::Next(Next::Finish(Outcome::good(0))) };
        match task.entry.run {
            Run::Capacity(..) => self.run_parameters(slot, pool),
            // The look may have found something to report.
            _ => {
                let pending = self.nexuses.get_mut(task.nexus).and_then(|n| n.pending_mut(task.unit)?.take());
                Step::Next(Next::Finish(match pending {
                    Some(sense) => Outcome::check(sense, 0),
                    None => Outcome::good(0),
                }))
            }
        }
    }

    //= SBC-3 "START STOP UNIT command": stopping writes the cache to the medium first, unless NO_FLUSH
    fn control(&mut self, control: Result<Control, Sense>, at: u32) -> Next {
        let unit = &mut self.units[index(at)];
        match control {
            Err(sense) => return Next::Finish(Outcome::check(sense, 0)),
            Ok(Control::Stop) if unit.is_cached() => return Next::Submit(Op::Flush, Work::Stop),
            Ok(Control::Stop | Control::StopWithoutFlush) => unit.power = Power::Stopped,
            Ok(Control::Start) => unit.power = Power::Active,
            Ok(Control::Nothing) => {}
        }
        Next::Finish(Outcome::good(0))
    }

    //= SPC-4 "MODE SELECT (6) command": every other nexus is told
    fn announce(&mut self, change: Change, nexus: NexusId, unit: u32) {
        match change {
            Change::Nothing => {}
            Change::ModeParameters | Change::WriteCacheOff => {
                self.nexuses.attend(unit, Attention::ModeParametersChanged, |other| other != nexus);
            }
        }
    }
}

//= SBC-3 "Caching mode page": whoever turns WCE off may take all that was written before for durable
fn after_change(change: Change, transfer_bytes: u64) -> Next {
    match change {
        Change::Nothing | Change::ModeParameters => Next::Finish(Outcome::good(transfer_bytes)),
        Change::WriteCacheOff => Next::Submit(Op::Flush, Work::Last { transfer_bytes }),
    }
}

/// What REQUEST SENSE says when nothing is pending.
fn standing(power: Power) -> Sense {
    match power {
        Power::Active => code::NO_ADDITIONAL_SENSE.into(),
        Power::Stopped => code::LU_NOT_READY_INITIALIZING.into(),
    }
}

/// Parameter data as Data-In, cut to what the initiator allocated; or how many bytes the pool has no buffer for.
//= SPC-4 "Allocation length": cutting is no error
pub(crate) fn parameter_data(writer: &Writer, bytes_max: usize, pool: &mut Pool) -> Result<Outcome, usize> {
    let bytes = writer.as_slice();
    let bytes = &bytes[..bytes.len().min(bytes_max)];
    if bytes.is_empty() {
        return Ok(Outcome::good(0));
    }
    let mut buf = pool.take(bytes.len()).ok_or(bytes.len())?;
    buf.copy_from_slice(bytes);
    Ok(Outcome::data(buf))
}

fn give_back(buf: Option<Buf>, pool: &mut Pool) {
    if let Some(buf) = buf {
        pool.give(buf);
    }
}
