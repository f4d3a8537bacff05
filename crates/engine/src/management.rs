//! Task management: tasks that end before they are done.
//!
//! A task that waits ends at once. A task whose operation is with the store is doomed: it keeps its slot until the buffer
//! is home, and the function's response waits for it. What a doomed write may still do to its blocks, nobody else may do
//! beside it: it becomes exclusive, so that a retry through another nexus cannot be overtaken by the write that it
//! repeats.

use crate::arrival::Addressee;
use crate::attention::Attention;
use crate::engine::{Engine, index};
use crate::progress::give_back;
use crate::table::{Effort, Fate, State, Task};
use crate::work::Outcome;
use core::time::Duration;
use felio_hal::port::{LossReason, TaskManagement};
use felio_hal::{NexusId, Pool, PortRequest, PortTag, TaskId, Time};
use felio_spec::Status;
use felio_spec::cdb::Serialization;
use felio_spec::sense::code;
use felio_spec::status::{TaskManagementFunction as Function, TaskManagementResponse as Answer};

/// How long a function waits for operations that are under way before it is answered as failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Functions that are not answered yet.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    pending: Vec<Pending>,
}

#[derive(Debug)]
struct Pending {
    who: Waiting,
    deadline: Time,
    /// The doomed tasks that are not home.
    waits_for: Vec<TaskId>,
}

/// What was ended is still under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TooLate;

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
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.pending.iter().map(|pending| pending.deadline).min()
    }

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
        let TaskManagement { tag, function, lun, referenced } = management;
        let addressee = match self.luns.find(lun) {
            Addressee::Guest(unit) if self.forward_function(nexus, unit, management, pool) => return,
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
            // There is never an ACA to clear: NORMACA=0.
            (Function::ClearAca, Addressee::Unit(_)) => self.reply(nexus, tag, Answer::NotSupported),
        }
        self.settle(now, pool);
    }

    /// A nexus is gone: its tasks are dropped, none is answered.
    pub fn handle_nexus_loss(&mut self, now: Time, nexus: NexusId, pool: &mut Pool) {
        let is_its = |who| matches!(who, Waiting::Function { nexus: of, .. } if of == nexus);
        self.functions.pending.retain(|pending| !is_its(pending.who));
        self.copies.forget(nexus, pool);
        for slot in self.select(|task| task.nexus == nexus) {
            self.end(slot, Ending::Silent, pool);
        }
        self.nexuses.remove(nexus);
        self.forget_nexus(nexus);
        self.settle(now, pool);
    }

    /// A doomed task is home: functions that waited for it may be answered.
    pub(crate) fn conclude(&mut self) {
        if self.functions.is_empty() {
            return;
        }
        for pending in &mut self.functions.pending {
            // Only the last is looked at: however many functions wait for however many tasks, each task counts once.
            let (table, endings) = (&self.table, &self.peers.endings);
            let has_ended = |id: &mut TaskId| table.slot(*id).is_none() && !endings.contains(id);
            while pending.waits_for.pop_if(has_ended).is_some() {}
        }
        self.answer_functions(|pending| pending.waits_for.is_empty(), Ok(()));
    }

    /// Answers functions that have waited too long: what they ended may still be under way.
    pub(crate) fn give_up_functions(&mut self, now: Time) {
        self.answer_functions(|pending| now >= pending.deadline, Err(TooLate));
    }

    fn answer_functions(&mut self, due: impl Fn(&Pending) -> bool, result: Result<(), TooLate>) {
        let mut at = 0;
        while let Some(pending) = self.functions.pending.get(at) {
            if due(pending) {
                let Pending { who, .. } = self.functions.pending.remove(at);
                self.answer_waiting(who, result);
            } else {
                at += 1;
            }
        }
    }

    fn answer_waiting(&mut self, who: Waiting, result: Result<(), TooLate>) {
        match who {
            Waiting::Function { nexus, tag, then } => {
                let answer = result.map_or(Answer::FunctionRejected, |()| Answer::FunctionComplete);
                self.reply(nexus, tag, answer);
                self.follow_up(then);
            }
            Waiting::Command(task, transfer_bytes) => {
                let Some(slot) = self.table.slot(task) else { return }; // It was ended itself.
                self.finish(
                    slot,
                    match result {
                        Ok(()) => Outcome::good(transfer_bytes),
                        // What was preempted may still write: whoever wants to take over must not believe otherwise.
                        Err(TooLate) => Outcome::check(code::INTERNAL_TARGET_FAILURE.into(), transfer_bytes),
                    },
                );
            }
        }
    }

    /// Ends the tasks of nexuses on a unit for the command in `but`, and returns those that are not home yet.
    //= SPC-4 "Preempting and aborting": the commands of the preempted, but for this one
    pub(crate) fn end_preempted(
        &mut self,
        unit: u32,
        gone: &[NexusId],
        but: u32,
        pool: &mut Pool,
    ) -> Vec<TaskId> {
        let Some(own) = self.table.get(but).map(|task| task.nexus) else { return Vec::new() };
        let mut slots = self.select(|task| task.unit == unit && gone.contains(&task.nexus));
        slots.retain(|slot| *slot != but);
        self.end_for(own, slots, pool)
    }

    /// The command answers once those tasks are home.
    pub(crate) fn await_preempted(
        &mut self,
        now: Time,
        task: TaskId,
        transfer_bytes: u64,
        waits_for: Vec<TaskId>,
    ) {
        let who = Waiting::Command(task, transfer_bytes);
        self.functions.pending.push(Pending { who, deadline: now + PATIENCE, waits_for });
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
        match self.find(nexus, unit, referenced) {
            Some(slot) => self.end_all(now, nexus, tag, vec![slot], Then::Nothing, pool),
            None => self.reply(nexus, tag, Answer::NoSuchTask),
        }
    }

    //= SAM-5 "CLEAR TASK SET": with TST=000b, the tasks of every nexus
    fn clear_task_set(&mut self, now: Time, nexus: NexusId, tag: PortTag, unit: u32, pool: &mut Pool) {
        let tasks = self.select(|task| task.unit == unit);
        self.end_abroad(unit, nexus);
        if !self.units[index(unit)].mode.task_aborted_status() {
            // Not who only waits for an operation of a command that was answered.
            let open = tasks.iter().filter_map(|slot| self.table.get(*slot)).filter(|task| is_open(task));
            let bereft: Vec<NexusId> = open.map(|task| task.nexus).collect();
            self.nexuses.attend(unit, Attention::CommandsCleared, |id| id != nexus && bereft.contains(&id));
        }
        self.end_all(now, nexus, tag, tasks, Then::Nothing, pool);
    }

    //= SAM-5 "Logical unit reset"
    fn reset_unit(&mut self, now: Time, nexus: NexusId, tag: PortTag, unit: u32, pool: &mut Pool) {
        let tasks = self.select(|task| task.unit == unit);
        self.end_abroad(unit, nexus);
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
            Then::Nothing => Attention::Reset,
            Then::CloseAll => Attention::PowerOn,
        };
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
        let mut waits_for = self.end_for(nexus, slots, pool);
        waits_for.extend(called);
        if waits_for.is_empty() {
            return self.answer_waiting(who, Ok(()));
        }
        self.functions.pending.push(Pending { who, deadline: now + PATIENCE, waits_for });
    }

    /// Ends tasks for `nexus`, and returns those that are not home yet.
    fn end_for(&mut self, nexus: NexusId, slots: Vec<u32>, pool: &mut Pool) -> Vec<TaskId> {
        let mut waits_for = Vec::new();
        for slot in slots {
            let Some(task) = self.table.get(slot) else { continue };
            let says_so = self.units[index(task.unit)].mode.task_aborted_status();
            let ending = if task.nexus != nexus && says_so { Ending::Aborted } else { Ending::Abandon };
            let id = self.table.id(slot);
            if self.end(slot, ending, pool) == Gone::Later {
                waits_for.push(id);
            }
        }
        waits_for
    }

    /// Ends one task.
    pub(crate) fn end(&mut self, slot: u32, ending: Ending, pool: &mut Pool) -> Gone {
        let id = self.table.id(slot);
        let Some(task) = self.table.get_mut(slot) else { return Gone::Now };
        let (nexus, tag, unit) = (task.nexus, task.tag, task.unit);
        match &task.state {
            State::Doomed(_) => {
                if ending == Ending::Silent {
                    task.state = State::Doomed(Fate::Silent);
                }
                return Gone::Later;
            }
            State::InStore(effort, _) if !self.submissions.iter().any(|waiting| waiting.task == id) => {
                // What concerns the whole unit goes on doing so.
                let writes = *effort == Effort::Write && task.class != Serialization::Unit;
                if writes {
                    self.units[index(unit)].tasks.reclassify(task, Serialization::Exclusive);
                }
                let fate = if ending == Ending::Aborted { Fate::TaskAborted } else { Fate::Silent };
                core::mem::replace(&mut task.state, State::Doomed(fate)).release(pool);
                if writes {
                    let _ = self.fence(slot); // It has begun: the fence is for those who come now.
                }
                self.say(nexus, tag, ending);
                return Gone::Later;
            }
            State::Watching { .. } if ending != Ending::Silent => {
                self.units[index(unit)].condition.abandon();
            }
            // Its copy ends with it, as soon as nothing of it is under way.
            State::Copying if self.copies.cancel(id) => {
                let fate = if ending == Ending::Aborted { Fate::TaskAborted } else { Fate::Silent };
                task.state = State::Doomed(fate);
                self.say(nexus, tag, ending);
                return Gone::Later;
            }
            // The operation was not handed out yet, or there is none.
            _ => {}
        }
        self.withdraw(id, pool);
        if let Some(state) = self.let_go(slot) {
            state.release(pool);
        }
        match ending {
            Ending::Aborted => self.answer(nexus, tag, unit, Outcome::status(Status::TASK_ABORTED, 0)),
            Ending::Abandon | Ending::Silent => self.say(nexus, tag, ending),
        }
        Gone::Now
    }

    /// Tells the port at once what it may know at once. TASK ABORTED waits until the blocks no longer change.
    fn say(&mut self, nexus: NexusId, tag: PortTag, ending: Ending) {
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

    //= SAM-5 "QUERY ASYNCHRONOUS EVENT": UADE, sense key, additional sense code and qualifier
    fn query_event(&mut self, nexus: NexusId, unit: u32) -> Answer {
        let Some(pending) = self.nexuses.get_mut(nexus).map(|nexus| nexus.pending(unit)) else {
            return Answer::FunctionComplete;
        };
        let Some(sense) = pending.first() else { return Answer::FunctionComplete };
        let depth = if pending.len() > 1 { MORE_THAN_ONE } else { ONE };
        Answer::FunctionSucceeded([depth | sense.code.key.0, sense.code.asc, sense.code.ascq])
    }
}

/// UADE DEPTH.
const ONE: u8 = 0x10;
const MORE_THAN_ONE: u8 = 0x20;

/// Whether a task is still to be answered.
pub(crate) const fn is_open(task: &Task) -> bool {
    !matches!(task.state, State::Doomed(Fate::Silent))
}

const fn query(found: bool) -> Answer {
    if found { Answer::FunctionSucceeded([0; 3]) } else { Answer::FunctionComplete }
}
