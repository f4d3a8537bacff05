//! Task management: tasks that end before they are done.
//!
//! A task that waits ends at once. A task whose operation is with the store is doomed: it keeps its slot until the buffer
//! is home, and the function's response waits for it. What a doomed write may still do to its blocks, nobody else may do
//! beside it: it becomes exclusive, so that a retry through another nexus cannot be overtaken by the write that it
//! repeats.
//!
//! Nobody waits for ever. An operation that is not home after [`PATIENCE`] is given up: its buffer stays where it is, the
//! unit is fenced until it is home (whatever touches the medium is NOT READY), and what waited for it goes on: to everybody
//! it is as if the operation had been the last before the fence.

use crate::arrival::Addressee;
use crate::attention::Attention;
use crate::engine::{Engine, index};
use crate::order::Sharing;
use crate::progress::give_back;
use crate::table::{Effort, Fate, State, Table, Task};
use crate::work::Outcome;
use core::time::Duration;
use felio_hal::port::{LossReason, TaskManagement};
use felio_hal::{NexusId, Pool, PortRequest, PortTag, TaskId, Time};
use felio_spec::cdb::Serialization;
use felio_spec::status::{TaskManagementFunction as Function, TaskManagementResponse as Answer};
use felio_spec::{Status, TaskAttribute};

/// How long an operation of an ended task is waited for: less than initiators wait for a task management function or a login.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Functions that are not answered yet.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    pending: Vec<Pending>,
}

#[derive(Debug)]
struct Pending {
    who: Waiting,
    /// The doomed tasks that are not home.
    waits_for: Vec<TaskId>,
}

/// Who waits for the end of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// A task management function.
    Function { nexus: NexusId, tag: PortTag, then: Then },
    /// PREEMPT AND ABORT, with so many bytes of Data-Out.
    Command(TaskId, u64),
}

/// What follows the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Nothing,
    /// Every nexus of this reactor's ports ends.
    CloseAll,
}

/// How a task ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The port forgets it; its initiator knows why.
    Abandon,
    /// TASK ABORTED.
    Aborted,
    /// Its nexus is gone.
    Silent,
}

/// Whether a task is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    Now,
    /// Once its operation is home.
    Later,
}

impl Functions {
    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

impl Engine {
    /// A task management function arrived.
    pub fn handle_task_management(
        &mut self,
        now: Time,
        nexus: NexusId,
        management: TaskManagement,
        pool: &mut Pool,
    ) {
        self.now = now;
        let TaskManagement { tag, function, lun, referenced } = management;
        self.count_function(nexus, function);
        let addressee = match self.addressee(nexus, lun) {
            Addressee::Guest(unit) if self.forward_function(now, nexus, unit, management, pool) => return,
            Addressee::Guest(unit) => Addressee::Unit(unit),
            other => other,
        };
        match (function, addressee) {
            (Function::ITNexusReset, _) => self.reset_nexus(now, nexus, tag, pool),
            (Function::TargetWarmReset, _) => self.reset_target(now, nexus, tag, Then::Nothing, pool),
            (Function::TargetColdReset, _) => self.reset_target(now, nexus, tag, Then::CloseAll, pool),
            (_, Addressee::Nobody | Addressee::Guest(_)) => self.reply(nexus, tag, Answer::IncorrectLun),
            (Function::LogicalUnitReset, Addressee::Unit(unit)) => {
                self.reset_unit(now, nexus, tag, unit, pool)
            }
            (Function::ClearTaskSet, Addressee::Unit(unit)) => {
                self.clear_task_set(now, nexus, tag, unit, pool)
            }
            (Function::AbortTaskSet, Addressee::Unit(unit)) => {
                let own = self.select(|task| task.unit == unit && task.nexus == nexus && !task.is_piece());
                self.end_all(now, nexus, tag, own, Then::Nothing, pool);
            }
            (Function::AbortTask, Addressee::Unit(unit)) => {
                self.abort_task(now, nexus, tag, unit, referenced, pool)
            }
            (Function::QueryTask, Addressee::Unit(unit)) => {
                let found = self.find(nexus, unit, referenced).is_some();
                self.reply(nexus, tag, query(found));
            }
            (Function::QueryTaskSet, Addressee::Unit(unit)) => {
                let own = |task: &Task| {
                    task.unit == unit && task.nexus == nexus && is_open(task) && !task.is_piece()
                };
                let found = self.table.iter().any(|(_, task)| own(task));
                self.reply(nexus, tag, query(found));
            }
            (Function::QueryAsynchronousEvent, Addressee::Unit(unit)) => {
                let answer = self.query_event(nexus, unit);
                self.reply(nexus, tag, answer);
            }
            (Function::ClearAca, Addressee::Unit(unit)) => self.clear_aca(now, nexus, tag, unit, pool),
        }
        self.settle(now, pool);
    }

    /// A nexus is gone: its tasks are dropped, none is answered.
    pub fn handle_nexus_loss(&mut self, now: Time, nexus: NexusId, pool: &mut Pool) {
        let is_its = |who| matches!(who, Waiting::Function { nexus: of, .. } if of == nexus);
        self.functions.pending.retain(|pending| !is_its(pending.who));
        self.copies.forget(nexus, pool);
        for slot in self.select(|task| task.nexus == nexus) {
            self.end(now, slot, Ending::Silent, pool);
        }
        self.end_allegiances_of(nexus);
        self.tell_meters();
        self.nexuses.remove(nexus);
        self.forget_nexus(nexus);
        self.settle(now, pool);
    }

    /// A doomed task is home, or given up: functions that waited for it may be answered.
    pub(crate) fn conclude(&mut self) {
        if self.functions.is_empty() {
            return;
        }
        let table = &self.table;
        for pending in &mut self.functions.pending {
            // Only the last is looked at: however many functions wait for however many tasks, each task counts once.
            let endings = &self.peers.endings;
            while pending
                .waits_for
                .pop_if(|id| is_over(table, *id) && !endings.iter().any(|ending| ending.function == *id))
                .is_some()
            {}
        }
        let mut at = 0;
        while let Some(pending) = self.functions.pending.get(at) {
            if pending.waits_for.is_empty() {
                let Pending { who, .. } = self.functions.pending.remove(at);
                self.answer_waiting(who);
            } else {
                at += 1;
            }
        }
    }

    fn answer_waiting(&mut self, who: Waiting) {
        match who {
            Waiting::Function { nexus, tag, then } => {
                self.reply(nexus, tag, Answer::FunctionComplete);
                self.follow_up(then);
            }
            Waiting::Command(task, transfer_bytes) => {
                let Some(slot) = self.table.slot(task) else { return }; // It was ended itself.
                self.finish(slot, Outcome::good(transfer_bytes));
            }
        }
    }

    /// Ends the tasks of nexuses on a unit for the command in `but`, and returns those that are not home yet.
    //= SPC-4 "Preempting and aborting": the commands of the preempted, but for this one, and their allegiances
    pub(crate) fn end_preempted(
        &mut self,
        now: Time,
        unit: u32,
        gone: &[NexusId],
        but: u32,
        pool: &mut Pool,
    ) -> Vec<TaskId> {
        let Some(own) = self.table.get(but).map(|task| task.nexus) else { return Vec::new() };
        self.end_allegiances(unit, |faulted| gone.contains(&faulted));
        let mut slots = self.select(|task| task.unit == unit && gone.contains(&task.nexus));
        slots.retain(|slot| *slot != but);
        self.end_abroad(unit, own, Some(gone));
        let mut waits_for = core::mem::take(&mut self.peers.called);
        waits_for.append(&mut self.end_for(now, own, slots, pool));
        waits_for
    }

    /// The command answers once those tasks are home, or given up.
    pub(crate) fn await_preempted(&mut self, task: TaskId, transfer_bytes: u64, waits_for: Vec<TaskId>) {
        let who = Waiting::Command(task, transfer_bytes);
        self.functions.pending.push(Pending { who, waits_for });
    }

    /// Gives up operations that have been waited for long enough.
    pub(crate) fn give_up_doomed(&mut self, now: Time) {
        let mut gave_up = false;
        while let Some((_, id)) = self.doomed.pop_front_if(|(until, _)| *until <= now) {
            if let Some(slot) = self.table.slot(id) {
                self.give_up(slot);
                gave_up = true;
            }
        }
        if gave_up {
            self.conclude();
        }
    }

    /// When to give up the next operation.
    pub(crate) fn doomed_until(&self) -> Option<Time> {
        let mut live = self.doomed.iter().filter(|(_, id)| self.table.slot(*id).is_some());
        live.next().map(|(until, _)| *until)
    }

    /// An operation that was given up is home after all.
    pub(crate) fn come_home_late(&mut self, slot: u32, effort: Effort) {
        let Some(task) = self.table.get(slot) else { return };
        let at = task.unit;
        if fences(effort) {
            self.units[index(at)].hanging -= 1;
            self.tell_hanging(at, -1);
        }
        self.let_go(slot);
    }

    /// Nobody waits any longer for the operation of a doomed task. Until it is home, the fence keeps others from its blocks.
    fn give_up(&mut self, slot: u32) {
        let Some(task) = self.table.get_mut(slot) else { return };
        let State::Doomed(fate, effort) = task.state else { return };
        if fate == Fate::GivenUp {
            return;
        }
        task.state = State::Doomed(Fate::GivenUp, effort);
        let (nexus, tag, at) = (task.nexus, task.tag, task.unit);
        if fate == Fate::TaskAborted {
            self.count_ended(slot, Status::TASK_ABORTED);
        }
        let Some(task) = self.table.get_mut(slot) else { return };
        let unit = &mut self.units[index(at)];
        // A document that may yet be written goes on concerning the whole unit.
        if effort != Effort::Save {
            unit.tasks.reclassify(task, Serialization::Free);
        }
        if fences(effort) {
            unit.hanging += 1;
            self.tell_hanging(at, 1);
        }
        self.tell_buried(slot); // Only where the fence is known may others have its blocks.
        if fate == Fate::TaskAborted {
            self.answer(nexus, tag, at, Outcome::status(Status::TASK_ABORTED, 0));
        }
        self.unsettle(at);
    }

    fn reply(&mut self, nexus: NexusId, tag: PortTag, response: Answer) {
        self.requests.push_back((nexus, PortRequest::TaskManagementResult { tag, response }));
    }

    //= RFC 7143 "Task Management Function Request": TARGET COLD RESET ends all connections
    fn follow_up(&mut self, then: Then) {
        if then == Then::CloseAll {
            let ours = self.nexuses.iter().map(|nexus| nexus.id).filter(|id| id.reactor == self.reactor);
            let close = |id| (id, PortRequest::Close(LossReason::Administrative));
            self.requests.extend(ours.map(close));
        }
    }

    pub(crate) fn select(&self, chosen: impl Fn(&Task) -> bool) -> Vec<u32> {
        self.table.iter().filter(|(_, task)| chosen(task)).map(|(slot, _)| slot).collect()
    }

    pub(crate) fn find(&self, nexus: NexusId, unit: u32, referenced: Option<PortTag>) -> Option<u32> {
        let tag = referenced?;
        let is_it =
            |task: &Task| task.nexus == nexus && task.unit == unit && task.tag == tag && is_open(task);
        self.table.iter().find(|(_, task)| is_it(task)).map(|(slot, _)| slot)
    }

    fn abort_task(
        &mut self,
        now: Time,
        nexus: NexusId,
        tag: PortTag,
        unit: u32,
        referenced: Option<PortTag>,
        pool: &mut Pool,
    ) {
        let (found, meter) = (self.find(nexus, unit, referenced), &self.units[index(unit)].meter);
        match found {
            Some(slot) => {
                meter.aborts.add(1);
                self.end_all(now, nexus, tag, vec![slot], Then::Nothing, pool);
            }
            None => {
                meter.aborts_missed.add(1);
                self.reply(nexus, tag, Answer::NoSuchTask);
            }
        }
    }

    //= SAM-5 "CLEAR TASK SET": the tasks of every nexus, or with TST=001b those of this one
    fn clear_task_set(&mut self, now: Time, nexus: NexusId, tag: PortTag, unit: u32, pool: &mut Pool) {
        let alone = self.units[index(unit)].mode.rules().sharing == Sharing::Nobody;
        let tasks = self.select(|task| task.unit == unit && (task.nexus == nexus || !alone));
        if !alone {
            self.end_abroad(unit, nexus, None);
        }
        self.attend_bereft(nexus, unit, &tasks);
        self.end_all(now, nexus, tag, tasks, Then::Nothing, pool);
    }

    //= SAM-5 "CLEAR ACA": the task with the ACA attribute ends with it; where there is nothing to clear, nothing is to be done
    fn clear_aca(&mut self, now: Time, nexus: NexusId, tag: PortTag, unit: u32, pool: &mut Pool) {
        if !self.end_allegiances(unit, |faulted| faulted == nexus) {
            return self.reply(nexus, tag, Answer::FunctionComplete);
        }
        let attribute = TaskAttribute::Aca;
        let own = self.select(|task| task.unit == unit && task.nexus == nexus && task.attribute == attribute);
        self.end_all(now, nexus, tag, own, Then::Nothing, pool);
    }

    /// Ends tasks on account of a command of `nexus`: its own without a word, those of others as TAS says.
    //= SAM-5 "Aborting commands"
    pub(crate) fn end_rest(
        &mut self,
        now: Time,
        nexus: NexusId,
        unit: u32,
        tasks: Vec<u32>,
        pool: &mut Pool,
    ) {
        self.attend_bereft(nexus, unit, &tasks);
        self.end_for(now, nexus, tasks, pool);
    }

    /// Without TAS, whose tasks end because of another nexus learns it by a unit attention.
    fn attend_bereft(&mut self, nexus: NexusId, unit: u32, tasks: &[u32]) {
        if self.units[index(unit)].mode.task_aborted_status() {
            return;
        }
        // Not who only waits for an operation of a command that was answered.
        let open = tasks.iter().filter_map(|slot| self.table.get(*slot)).filter(|task| is_open(task));
        let bereft: Vec<NexusId> = open.map(|task| task.nexus).collect();
        self.nexuses.attend(unit, Attention::CommandsCleared, |id| id != nexus && bereft.contains(&id));
    }

    /// How a task ends because of `nexus`.
    fn ending(&self, nexus: NexusId, slot: u32) -> Ending {
        let says_so = |task: &Task| self.units[index(task.unit)].mode.task_aborted_status();
        match self.table.get(slot) {
            Some(task) if task.nexus != nexus && says_so(task) => Ending::Aborted,
            _ => Ending::Abandon,
        }
    }

    fn end_allegiances_of(&mut self, nexus: NexusId) {
        for at in self.unit_numbers() {
            self.end_allegiances(at, |faulted| faulted == nexus);
        }
    }

    //= SAM-5 "Logical unit reset"
    fn reset_unit(&mut self, now: Time, nexus: NexusId, tag: PortTag, unit: u32, pool: &mut Pool) {
        let tasks = self.select(|task| task.unit == unit);
        self.end_abroad(unit, nexus, None);
        self.end_all(now, nexus, tag, tasks, Then::Nothing, pool);
        self.units[index(unit)].reset();
        self.refresh_obstacles(unit);
        self.copies.reset(unit);
        self.nexuses.attend(unit, Attention::Reset, |_| true);
    }

    //= SAM-5 "Hard reset": as a reset of every unit
    fn reset_target(&mut self, now: Time, nexus: NexusId, tag: PortTag, then: Then, pool: &mut Pool) {
        let tasks = self.select(|_| true);
        self.end_all(now, nexus, tag, tasks, then, pool);
        let attention = match then {
            Then::Nothing => Attention::TargetReset,
            Then::CloseAll => Attention::PowerOn,
        };
        if then == Then::CloseAll {
            self.nexuses.forget(); // Whoever comes back is told of power on.
        }
        for (at, unit) in (0u32..).zip(&mut self.units) {
            unit.reset();
            self.copies.reset(at);
            self.nexuses.attend(at, attention, |_| true);
        }
        for at in self.unit_numbers() {
            self.refresh_obstacles(at);
        }
    }

    //= SAM-5 "I_T NEXUS RESET": as if the nexus were lost, but it lives on
    fn reset_nexus(&mut self, now: Time, nexus: NexusId, tag: PortTag, pool: &mut Pool) {
        let own = self.select(|task| task.nexus == nexus);
        self.end_all(now, nexus, tag, own, Then::Nothing, pool);
        self.end_allegiances_of(nexus);
        self.forget_nexus(nexus);
        for (at, _) in (0u32..).zip(&self.units) {
            self.nexuses.attend(at, Attention::NexusLoss, |id| id == nexus);
        }
    }

    /// Whoever wanted media to stay, units for itself, or data to come back, is gone.
    fn forget_nexus(&mut self, nexus: NexusId) {
        for unit in &mut self.units {
            unit.preventing.retain(|other| *other != nexus);
            unit.buffers.forget(nexus);
        }
        for at in self.unit_numbers() {
            self.forget_reserve(nexus, at);
        }
    }

    fn unit_numbers(&self) -> core::ops::Range<u32> {
        0..u32::try_from(self.units.len()).unwrap_or(u32::MAX)
    }

    /// Ends tasks for `nexus` and answers its function once all of them are gone.
    //= SAM-5 "Aborting commands": the initiator that asked knows; another learns it by TASK ABORTED where TAS=1
    fn end_all(
        &mut self,
        now: Time,
        nexus: NexusId,
        tag: PortTag,
        slots: Vec<u32>,
        then: Then,
        pool: &mut Pool,
    ) {
        let called = core::mem::take(&mut self.peers.called);
        let who = Waiting::Function { nexus, tag, then };
        let mut waits_for = self.end_for(now, nexus, slots, pool);
        waits_for.extend(called);
        if waits_for.is_empty() {
            return self.answer_waiting(who);
        }
        self.functions.pending.push(Pending { who, waits_for });
    }

    /// Ends tasks for `nexus`, and returns those that are not home yet.
    fn end_for(&mut self, now: Time, nexus: NexusId, slots: Vec<u32>, pool: &mut Pool) -> Vec<TaskId> {
        let mut waits_for = Vec::new();
        for slot in slots {
            let (id, ending) = (self.table.id(slot), self.ending(nexus, slot));
            if self.end(now, slot, ending, pool) == Gone::Later {
                waits_for.push(id);
            }
        }
        waits_for
    }

    /// Ends one task.
    pub(crate) fn end(&mut self, now: Time, slot: u32, ending: Ending, pool: &mut Pool) -> Gone {
        let id = self.table.id(slot);
        let Some(task) = self.table.get_mut(slot) else { return Gone::Now };
        let (nexus, tag, unit) = (task.nexus, task.tag, task.unit);
        match &task.state {
            State::Doomed(Fate::GivenUp, _) => return Gone::Now,
            State::Doomed(fate, effort) => {
                let is_new = *fate == Fate::Detached && !self.doomed.iter().any(|(_, other)| *other == id);
                if ending == Ending::Silent {
                    task.state = State::Doomed(Fate::Silent, *effort);
                }
                if is_new {
                    self.doom(now, id);
                }
            }
            State::InStore(effort, _) if !self.submissions.iter().any(|waiting| waiting.task == id) => {
                // What concerns the whole unit goes on doing so.
                let effort = *effort;
                let writes = effort == Effort::Write && task.class != Serialization::Unit;
                if writes {
                    self.units[index(unit)].tasks.reclassify(task, Serialization::Exclusive);
                }
                let fate = if ending == Ending::Aborted { Fate::TaskAborted } else { Fate::Silent };
                core::mem::replace(&mut task.state, State::Doomed(fate, effort)).release(pool);
                if writes {
                    let _ = self.fence(slot); // It has begun: the fence is for those who come now.
                    self.tell_doomed(slot);
                }
                self.doom(now, id);
                self.say(nexus, tag, unit, ending);
            }
            State::Watching { .. } if ending != Ending::Silent => {
                self.units[index(unit)].condition.abandon();
                return self.end_now(slot, ending, pool);
            }
            // Its copy ends with it, as soon as nothing of it is under way.
            State::Copying if self.copies.cancel(id) => {
                let fate = if ending == Ending::Aborted { Fate::TaskAborted } else { Fate::Silent };
                task.state = State::Doomed(fate, Effort::Write);
                self.doom(now, id);
                self.say(nexus, tag, unit, ending);
            }
            // The operation was not handed out yet, or there is none.
            _ => return self.end_now(slot, ending, pool),
        }
        if !self.units[index(unit)].is_fenced() {
            return Gone::Later;
        }
        // Where one hangs, nobody waits for another.
        self.give_up(slot);
        Gone::Now
    }

    /// From now on an operation is waited for. Most are soon home: their entries are not kept for long.
    fn doom(&mut self, now: Time, id: TaskId) {
        self.doomed.push_back((now + PATIENCE, id));
        if self.doomed.len() > 2 * index(self.table.tasks_max()) {
            self.doomed.retain(|(_, id)| self.table.slot(*id).is_some());
        }
    }

    /// Ends a task that has nothing with the store.
    fn end_now(&mut self, slot: u32, ending: Ending, pool: &mut Pool) -> Gone {
        let id = self.table.id(slot);
        let Some(task) = self.table.get(slot) else { return Gone::Now };
        let (nexus, tag, unit) = (task.nexus, task.tag, task.unit);
        self.withdraw(id, pool);
        if ending == Ending::Aborted {
            self.count_ended(slot, Status::TASK_ABORTED);
        }
        if let Some(state) = self.let_go(slot) {
            state.release(pool);
        }
        match ending {
            Ending::Aborted => self.answer(nexus, tag, unit, Outcome::status(Status::TASK_ABORTED, 0)),
            Ending::Abandon | Ending::Silent => self.say(nexus, tag, unit, ending),
        }
        Gone::Now
    }

    /// Tells the port at once what it may know at once. TASK ABORTED waits until the blocks no longer change.
    fn say(&mut self, nexus: NexusId, tag: PortTag, unit: u32, ending: Ending) {
        if ending != Ending::Aborted {
            self.count_abandoned(nexus, tag, unit);
        }
        if ending == Ending::Abandon {
            self.tell(nexus, PortRequest::Abandon { tag });
        }
    }

    /// Takes a task out of the queues: its wish for a buffer, its operation that no store has seen.
    fn withdraw(&mut self, id: TaskId, pool: &mut Pool) {
        self.starved.retain(|starved| *starved != id);
        let Some(at) = self.submissions.iter().position(|waiting| waiting.task == id) else { return };
        let withdrawn = self.submissions.remove(at).and_then(|submission| submission.op.into_buf());
        give_back(withdrawn, pool);
    }

    //= SAM-5 "QUERY ASYNCHRONOUS EVENT": UADE DEPTH, sense key, additional sense code and qualifier
    fn query_event(&mut self, nexus: NexusId, unit: u32) -> Answer {
        let Some(sense) = self.nexuses.pending(nexus, unit) else { return Answer::FunctionComplete };
        let depth = if self.nexuses.pending_count(nexus, unit) > 1 { MORE_THAN_ONE } else { ONE };
        Answer::FunctionSucceeded([depth | sense.code.key.0, sense.code.asc, sense.code.ascq])
    }
}

/// UADE DEPTH.
const ONE: u8 = 0x10;
const MORE_THAN_ONE: u8 = 0x20;

/// Whether a task is still to be answered.
pub(crate) const fn is_open(task: &Task) -> bool {
    !matches!(task.state, State::Doomed(Fate::Silent | Fate::Detached | Fate::GivenUp, _))
}

/// Whether nobody waits any longer for the task's operation.
pub(crate) const fn is_given_up(task: &Task) -> bool {
    matches!(task.state, State::Doomed(Fate::GivenUp, _))
}

/// Whether a task has ended, or nobody waits for it any longer.
pub(crate) fn is_over(table: &Table, id: TaskId) -> bool {
    table.slot(id).and_then(|slot| table.get(slot)).is_none_or(is_given_up)
}

/// Whether an operation that hangs must be alone with the medium. One that makes changes durable changes nothing.
const fn fences(effort: Effort) -> bool {
    !matches!(effort, Effort::Flush)
}

const fn query(found: bool) -> Answer {
    if found { Answer::FunctionSucceeded([0; 3]) } else { Answer::FunctionComplete }
}
