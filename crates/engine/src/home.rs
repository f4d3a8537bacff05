//! A unit's home towards its guests: who may run what there, and what must be quiet there first. See [`crate::gate`].
//!
//! Whoever adds a reason why a READ or WRITE is answered otherwise than by running it adds it to [`Engine::pass`]. Whoever changes
//! such a reason does so in a command of class `Unit`, or establishes a unit attention for it, or calls [`Engine::void_passes`].

use crate::arrival::Addressee;
use crate::attention::{Attention, Attentions};
use crate::commands::TABLE;
use crate::engine::{Engine, index};
use crate::gate::{Calling, Content, Handed, Keeper, Letter, Pass, Raised, Role, Shadow};
use crate::geometry::Extent;
use crate::order::needs_fence;
use crate::progress::give_back;
use crate::table::{Course, Effort, Fate, NIL, State, Task};
use crate::work::Outcome;
use felio_hal::port::{PortRequest, TaskManagement};
use felio_hal::{Command, NexusId, Pool, PortTag, TaskId, Time};
use felio_spec::cdb::{Alua, Reservation, Serialization};
use felio_spec::commands::read16;
use felio_spec::reservation::Verdict;
use felio_spec::status::TaskManagementFunction as Function;
use felio_spec::{Cdb, Sense, Status, TaskAttribute};

impl Engine {
    /// Another engine wrote.
    pub fn handle_letter(&mut self, now: Time, from: u16, letter: Letter, pool: &mut Pool) {
        self.now = now;
        match letter.0 {
            Content::Command { nexus, command } => self.receive(now, nexus, command, pool),
            Content::Placed { nexus, unit, command, handed } => {
                self.receive_placed(now, nexus, unit, &command, handed.map(|handed| *handed), pool);
            }
            Content::TaskManagement { nexus, function } => {
                self.handle_task_management(now, nexus, function, pool);
            }
            Content::Done { of, .. } if of.slot == NIL => self.end_ended(of),
            Content::Done { unit, of } => self.end_raising(from, unit, of),
            Content::Voided => self.peers.voiding -= 1,
            Content::Bereft { unit, nexuses } => {
                self.nexuses.attend(unit, Attention::CommandsCleared, |id| nexuses.contains(&id));
            }
            Content::Hanging { unit, more } => {
                let hanging = &mut self.units[index(unit)].hanging;
                *hanging = hanging.saturating_add_signed(more);
                self.tell_hanging(unit, more);
            }
            Content::Deferred { nexus, unit, sense } => self.defer(nexus, unit, sense),
            Content::Look { unit } => {
                self.probe(now, unit);
                let unit = &mut self.units[index(unit)];
                unit.rest.note(now);
                unit.rest.note_use();
            }
            Content::Counted { unit, counters } => self.units[index(unit)].counters.add(&counters),
            Content::Token(news) => self.copies.tokens.handle_news(now, *news),
            Content::Doomed { unit, task, nexus, extent } => self.note_doomed(unit, task, nexus, extent),
            Content::Buried { task } => self.forget_doomed(task),
            to_guest => self.handle_guest_letter(now, from, to_guest, pool),
        }
        self.settle(now, pool);
    }

    /// The next letter to another engine. Letters to one engine must arrive in order, and before any request that is polled after them.
    #[must_use]
    #[inline]
    pub fn poll_letter(&mut self) -> Option<(u16, Letter)> {
        self.tell_meters();
        self.peers.outbox.pop_front()
    }

    /// What a nexus of another reactor may do there without asking.
    pub(crate) fn pass(&self, nexus: NexusId, at: u32) -> Pass {
        let Some(who) = self.nexuses.get(nexus) else { return Pass::NONE };
        let told = who.pending(at) == Attentions::NONE && who.deferred(at).is_none();
        let unit = &self.units[index(at)];
        let quiet = self.keeper(at).is_some_and(|keeper| !keeper.is_changing())
            && unit.tasks.is_ordinary()
            && unit.mode.leaves_others_alone();
        let active = self.units[index(at)].check_medium(&read16::ROW).is_ok()
            && self.check_access(nexus, at, Alua::Active, Extent::default()).is_ok();
        let ours = self.units[index(at)].config.limits.passes.is_none();
        if !(told && quiet && active && ours) {
            return Pass::NONE;
        }
        let allowed = |rule| {
            let verdict = who.obstacle(at).map(|obstacle| obstacle.verdict(rule, &Cdb::new(&[])));
            verdict.is_none_or(|verdict| verdict == Verdict::Allowed)
        };
        // Who may cancel a token must ask.
        let write = allowed(Reservation::Write) && !self.units[index(at)].has_rods;
        Pass { read: allowed(Reservation::Read), write }
    }

    /// Operations hang on a unit, or do so no more: at its home no pass holds any longer, and a guest tells its home.
    pub(crate) fn tell_hanging(&mut self, unit: u32, more: i32) {
        match &self.units[index(unit)].role {
            Role::Home(_) if more > 0 => self.void_passes(unit),
            Role::Home(_) => {}
            Role::Guest(_) => {
                let home = self.units[index(unit)].config.home;
                self.peers.write(home, Content::Hanging { unit, more });
            }
        }
    }

    /// A command has failed after it was answered: the nexus is told with its next one, by the unit's home.
    //= SPC-4 "Deferred errors"
    pub(crate) fn defer(&mut self, nexus: NexusId, unit: u32, sense: Sense) {
        match &self.units[index(unit)].role {
            Role::Home(_) => {
                self.nexuses.defer(nexus, unit, sense);
                self.void_passes(unit);
            }
            Role::Guest(_) => {
                let home = self.units[index(unit)].config.home;
                self.peers.write(home, Content::Deferred { nexus, unit, sense });
            }
        }
    }

    /// Voids every pass for a unit. Nothing that is said from now on leaves before all guests know.
    pub(crate) fn void_passes(&mut self, unit: u32) {
        let Role::Home(keeper) = &mut self.units[index(unit)].role else { return };
        if self.nexuses.void(unit) {
            for guest in &keeper.guests {
                self.peers.voiding += 1;
                self.peers.write(*guest, Content::Void { unit });
            }
        }
    }

    /// A task that may begin as far as this engine knows: whether it must wait until guests are quiet, and then its own name.
    pub(crate) fn fence(&mut self, slot: u32) -> Option<TaskId> {
        let id = self.table.id(slot);
        let task = self.table.get(slot)?;
        let (at, claim) = (task.unit, task.claim());
        let Role::Home(keeper) = &mut self.units[index(at)].role else { return None };
        if keeper.guests.is_empty() || !needs_fence(claim) {
            return None;
        }
        if let Some(raised) = keeper.raised.iter().find(|raised| raised.task == id) {
            return (!raised.waits_for.is_empty()).then_some(id);
        }
        keeper.raised.push(Raised { task: id, class: claim.class, waits_for: keeper.guests.clone() });
        for guest in &keeper.guests {
            let shadow = Shadow { task: id, claim };
            self.peers.write(*guest, Content::Raise { unit: at, shadow });
        }
        if claim.class == Serialization::Unit {
            self.nexuses.void(at);
        }
        Some(id)
    }

    /// A task has ended: guests need not know of it any more.
    pub(crate) fn lower(&mut self, unit: u32, task: TaskId) {
        let Role::Home(keeper) = &mut self.units[index(unit)].role else { return };
        let Some(at) = keeper.raised.iter().position(|raised| raised.task == task) else { return };
        keeper.raised.swap_remove(at);
        for guest in &keeper.guests {
            self.peers.write(*guest, Content::Lower { unit, task });
        }
    }

    /// Ends tasks of a unit at its guests, for a function of `by` that begins now: those of some nexuses, or of all.
    pub(crate) fn end_abroad(&mut self, unit: u32, by: NexusId, whom: Option<&[NexusId]>) {
        let tas = self.units[index(unit)].mode.task_aborted_status();
        let Role::Home(keeper) = &self.units[index(unit)].role else { return };
        if keeper.guests.is_empty() {
            return;
        }
        self.peers.functions = self.peers.functions.wrapping_add(1);
        for reactor in keeper.guests.iter().copied() {
            let function = TaskId { reactor, slot: NIL, generation: self.peers.functions };
            self.peers.called.push(function);
            let whom = whom.map(<[NexusId]>::to_vec);
            self.peers.endings.push(Calling { function, unit, whom: whom.clone(), tas });
            self.peers.write(reactor, Content::End { unit, function, by, whom, tas });
        }
        self.void_passes(unit);
    }

    fn keeper(&self, unit: u32) -> Option<&Keeper> {
        match &self.units[index(unit)].role {
            Role::Home(keeper) => Some(keeper),
            Role::Guest(_) => None,
        }
    }

    /// A command that a guest forwarded.
    fn receive(&mut self, now: Time, nexus: NexusId, command: Command, pool: &mut Pool) {
        let Addressee::Unit(unit) = self.addressee(nexus, command.lun) else {
            return self.handle_command(now, nexus, command, pool);
        };
        self.arrive(now, nexus, unit, &command, pool);
        self.consider(nexus, unit);
    }

    /// A command that names its unit by place, perhaps with its data.
    fn receive_placed(
        &mut self,
        now: Time,
        nexus: NexusId,
        unit: u32,
        command: &Command,
        handed: Option<Handed>,
        pool: &mut Pool,
    ) {
        if !self.finds(nexus, unit) {
            give_back(handed.map(|handed| handed.buf), pool);
            return self.answer_for_nobody(nexus, command, pool);
        }
        match handed {
            None => self.arrive(now, nexus, unit, command, pool),
            Some(handed) => match self.overtaken(nexus, unit, &handed) {
                Some(tas) => {
                    pool.give(handed.buf);
                    self.end_arriving(nexus, unit, command, tas);
                }
                None => self.arrive_with(now, nexus, unit, command, handed, pool),
            },
        }
        self.consider(nexus, unit);
    }

    /// Whether a task was handed over while a function of another nexus that ends it was on its way to the guest, and then TAS.
    fn overtaken(&self, nexus: NexusId, unit: u32, handed: &Handed) -> Option<bool> {
        let mut endings = self.peers.endings.iter();
        endings.find(|calling| calling.overtakes(nexus, unit, handed)).map(|calling| calling.tas)
    }

    /// It ends here as it would have there.
    //= SAM-5 "Aborting commands"
    fn end_arriving(&mut self, nexus: NexusId, unit: u32, command: &Command, tas: bool) {
        if tas {
            return self.refuse(nexus, unit, command, Outcome::status(Status::TASK_ABORTED, 0));
        }
        self.count_abandoned(nexus, command.tag, unit);
        self.tell(nexus, PortRequest::Abandon { tag: command.tag });
        self.nexuses.attend(unit, Attention::CommandsCleared, |id| id == nexus);
    }

    /// Gives a nexus the pass that it may have, if it has not got it.
    fn consider(&mut self, nexus: NexusId, at: u32) {
        let pass = self.pass(nexus, at);
        let unit = &mut self.units[index(at)];
        let Some(granted) = self.nexuses.get_mut(nexus).and_then(|nexus| nexus.pass_mut(at)) else { return };
        let Role::Home(keeper) = &mut unit.role else { return };
        if pass == Pass::NONE || pass == *granted || nexus.reactor == self.reactor {
            return;
        }
        if !keeper.guests.contains(&nexus.reactor) {
            // A new guest knows no shadows: it comes when there are none.
            if !unit.tasks.is_plain() {
                return;
            }
            keeper.guests.push(nexus.reactor);
        }
        *granted = pass;
        let snapshot = Box::new(unit.snapshot());
        self.peers.write(nexus.reactor, Content::Grant { nexus, unit: at, pass, snapshot });
    }

    /// A guest is quiet, as far as a raised task asks.
    fn end_raising(&mut self, from: u16, at: u32, task: TaskId) {
        let unit = &mut self.units[index(at)];
        let Role::Home(keeper) = &mut unit.role else { return };
        let Some(raised) = keeper.raised.iter_mut().find(|raised| raised.task == task) else { return };
        raised.waits_for.retain(|reactor| *reactor != from);
        if !raised.waits_for.is_empty() {
            return;
        }
        if let Some(slot) = self.table.slot(task)
            && let Some(State::Dormant(.., blocker)) = self.table.get_mut(slot).map(|task| &mut task.state)
            && *blocker == task
        {
            blocker.slot = NIL;
        }
        self.unsettle(at);
    }

    /// A guest ended a task while its store writes. Here it has a double of which the task set sees to it that nobody writes there
    /// before it is home. Where there is no room for one the guest's own task set does it alone.
    fn note_doomed(&mut self, unit: u32, task: TaskId, nexus: NexusId, extent: Extent) {
        let double = Task {
            nexus,
            tag: PortTag(u32::MAX),
            unit,
            attribute: TaskAttribute::Simple,
            cdb: Cdb::new(&[]),
            entry: &TABLE[0],
            extent,
            class: Serialization::Exclusive,
            course: Course::default(),
            state: State::Doomed(Fate::Silent, Effort::Write),
        };
        let Some(slot) = self.table.insert(|| double) else { return };
        if let Some(nexus) = self.nexuses.get_mut(nexus) {
            nexus.tasks += 1;
        }
        self.units[index(unit)].tasks.insert(&mut self.table, slot);
        self.peers.doubles.push((task, slot));
        let _ = self.fence(slot);
    }

    /// It is home.
    fn forget_doomed(&mut self, task: TaskId) {
        let Some(at) = self.peers.doubles.iter().position(|(of, _)| *of == task) else { return };
        let (_, slot) = self.peers.doubles.swap_remove(at);
        self.let_go(slot);
        self.conclude();
    }

    /// The tasks of a guest that a function waits for have ended.
    fn end_ended(&mut self, function: TaskId) {
        self.peers.endings.retain(|ending| ending.function != function);
        self.conclude();
    }
}

/// Whether a function concerns the tasks of all nexuses.
pub(crate) const fn concerns_all(function: &TaskManagement) -> bool {
    matches!(function.function, Function::LogicalUnitReset | Function::ClearTaskSet)
}

/// The command that a request ends, if it ends one.
pub(crate) const fn ended_by(request: &PortRequest) -> Option<PortTag> {
    match request {
        PortRequest::Respond(response) => Some(response.tag),
        PortRequest::Abandon { tag } => Some(*tag),
        _ => None,
    }
}
