//! The command table of a connection: every task that has come and is not yet answered, in slots.
//!
//! A slot's number is the [`PortTag`]; slot, generation and the R2T's number make the target transfer tag, so that data
//! for a task that is gone is recognised however late it comes. A task's own tag (ITT) is found through chains of slots.
//!
//! Invariants: never more slots than the limit; slots are made when first needed, so a quiet session is small; no two
//! live tasks share an ITT; a slot's generation changes whenever its task goes.

use crate::pdu::{Sn, TaskTag};
use crate::transfer::{Transfer, low_byte};
use crate::transmit::{Job, to_usize};
use felio_hal::PortTag;
use felio_hal::buf::BUF_BYTES_MAX;
use felio_spec::sense::Code;
use felio_spec::{Cdb, Lun, Status, TaskAttribute};

/// One task.
#[derive(Debug)]
pub(crate) struct Task {
    /// The initiator's name for it.
    pub(crate) itt: TaskTag,
    /// Its number, or that of the next command if it is immediate.
    pub(crate) cmd_sn: Sn,
    /// The unit.
    pub(crate) lun: Lun,
    /// Whether it takes a place in the command window.
    pub(crate) place: Numbering,
    /// What it is.
    pub(crate) kind: Kind,
}

/// Whether a task takes a place in the command window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbering {
    /// It does, from its delivery on.
    Numbered,
    /// It is beside the window.
    Immediate,
}

/// What a task is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A SCSI command.
    Command(ScsiTask),
    /// A task management function of the initiator, and the commands that it ends and that the engine had when it came.
    Management(Vec<SlotUse>),
}

/// A SCSI command.
#[derive(Debug)]
pub(crate) struct ScsiTask {
    /// Its CDB.
    pub(crate) cdb: Cdb,
    /// Its attribute.
    pub(crate) attribute: TaskAttribute,
    /// Room for Data-In.
    pub(crate) expect_in: u32,
    /// Data-Out announced.
    pub(crate) expect_out: u32,
    /// Its Data-Out.
    pub(crate) transfer: Transfer,
    /// How far it is.
    pub(crate) state: State,
}

/// How far a command is.
#[derive(Debug)]
pub(crate) enum State {
    /// Waits for its turn, or for room.
    Held,
    /// Waits for its turn, and will be refused then.
    Refused(Failure),
    /// The engine has it.
    Running,
    /// Its data broke a rule: the engine was asked to give it up.
    Failing(Failure),
    /// So it was, and then the initiator aborted it: it ends without a word.
    Aborted,
    /// Its response waits for data that the initiator still owes.
    Ended(Box<Job>),
}

/// A response that is ours and not the engine's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure {
    /// The status.
    pub(crate) status: Status,
    /// Why.
    pub(crate) sense: Option<Code>,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Tasks {
    slots: Vec<Slot>,
    free: Vec<u16>,
    /// First slot of each chain of tags.
    chains: Vec<u16>,
    slots_max: usize,
    /// The most slots that there were at a time: what was sent for one of them may still come.
    slots_ever: usize,
    first_generation: u16,
    immediate_max: u32,
    immediate: Immediate,
    running: u32,
    /// Data-In that the engine may be reading.
    reading_bytes: usize,
}

/// Immediate tasks, by what they are.
#[derive(Debug, Clone, Copy, Default)]
struct Immediate {
    commands: u32,
    functions: u32,
}

#[derive(Debug)]
struct Slot {
    generation: u16,
    next: u16,
    running: bool,
    reading_bytes: usize,
    task: Option<Task>,
}

/// A slot in one of its uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotUse {
    /// The slot.
    pub(crate) slot: u16,
    generation: u16,
}

/// What a target transfer tag leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A task, and the low byte of the R2T's number.
    Live(SlotUse, u8),
    /// A task that is gone.
    Gone,
    /// Nothing: we never gave out such a tag.
    Never,
}

impl Tasks {
    /// An empty table for `window` numbered and `immediate` other tasks.
    pub(crate) fn new(window: u32, immediate: u32) -> Self {
        let count = usize::try_from(window + immediate).unwrap_or(usize::MAX).min(SLOTS_MAX);
        let chains = vec![NONE; count.next_power_of_two()];
        let (slots, free) = (Vec::new(), Vec::new());
        Self {
            slots,
            free,
            chains,
            slots_max: count,
            slots_ever: 0,
            first_generation: 0,
            immediate_max: immediate,
            immediate: Immediate::default(),
            running: 0,
            reading_bytes: 0,
        }
    }

    /// Takes a task in; [`Tasks::has_room_for_command`] or [`Tasks::has_room_for_function`] said that it fits.
    #[inline]
    pub(crate) fn insert(&mut self, task: Task) -> SlotUse {
        let slot = self.free.pop().unwrap_or_else(|| self.grow());
        if task.place == Numbering::Immediate {
            *self.immediate.of(&task.kind) += 1;
        }
        let itt = task.itt;
        let entry = &mut self.slots[usize::from(slot)];
        entry.task = Some(task);
        entry.running = false;
        let generation = entry.generation;
        let chain = self.chain(itt);
        self.slots[usize::from(slot)].next = core::mem::replace(&mut self.chains[chain], slot);
        SlotUse { slot, generation }
    }

    /// The task was delivered: it takes its place in the window.
    pub(crate) fn handle_delivered(&mut self, slot: u16) {
        let entry = &mut self.slots[usize::from(slot)];
        let counts = entry.task.as_ref().is_some_and(|task| task.place == Numbering::Numbered);
        if counts && !entry.running {
            entry.running = true;
            self.running += 1;
        }
    }

    /// The engine got a command with room for so much Data-In.
    pub(crate) fn handle_reading(&mut self, slot: u16, bytes: u32) {
        let entry = &mut self.slots[usize::from(slot)];
        entry.reading_bytes = to_usize(bytes).min(BUF_BYTES_MAX);
        self.reading_bytes += entry.reading_bytes;
    }

    /// Lets a task go, which holds nothing any more.
    pub(crate) fn remove(&mut self, slot: u16) {
        let Some(entry) = self.slots.get_mut(usize::from(slot)) else { return };
        let Some(Task { itt, place, kind, .. }) = &entry.task else { return };
        let itt = *itt;
        if *place == Numbering::Immediate {
            *self.immediate.of(kind) -= 1;
        }
        entry.task = None;
        entry.generation = (entry.generation + 1) & GENERATION_MASK;
        self.running -= u32::from(core::mem::take(&mut entry.running));
        self.reading_bytes -= core::mem::take(&mut entry.reading_bytes);
        self.unlink(slot, itt);
        self.free.push(slot);
    }

    /// Gives back memory that is not in use.
    pub(crate) fn shrink(&mut self) {
        if self.free.len() == self.slots.len() {
            // Late data must not find a use of a new slot that an old one had.
            let last = self.slots.iter().map(|slot| slot.generation).max().unwrap_or(self.first_generation);
            self.first_generation = (last + 1) & GENERATION_MASK;
            (self.slots, self.free) = (Vec::new(), Vec::new());
        }
    }

    /// All tasks, for the end of the connection.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Task> {
        self.chains.fill(NONE);
        self.free.clear();
        (self.immediate, self.running, self.reading_bytes) = (Immediate::default(), 0, 0);
        self.slots.drain(..).filter_map(|slot| slot.task)
    }

    /// The task in a slot.
    pub(crate) fn get_mut(&mut self, slot: u16) -> Option<&mut Task> {
        self.slots.get_mut(usize::from(slot))?.task.as_mut()
    }

    /// The command in a slot, if it still is the one that was meant.
    pub(crate) fn command(&self, of: SlotUse) -> Option<&ScsiTask> {
        let entry = self.slots.get(usize::from(of.slot)).filter(|entry| entry.generation == of.generation)?;
        match &entry.task.as_ref()?.kind {
            Kind::Command(command) => Some(command),
            Kind::Management(_) => None,
        }
    }

    /// The same, to change it.
    pub(crate) fn command_mut(&mut self, of: SlotUse) -> Option<&mut ScsiTask> {
        let entry =
            self.slots.get_mut(usize::from(of.slot)).filter(|entry| entry.generation == of.generation)?;
        match &mut entry.task.as_mut()?.kind {
            Kind::Command(command) => Some(command),
            Kind::Management(_) => None,
        }
    }

    /// Slots and their tasks.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u16, &mut Task)> {
        (0..).zip(&mut self.slots).filter_map(|(slot, entry)| Some((slot, entry.task.as_mut()?)))
    }

    /// Live commands.
    pub(crate) fn commands(&self) -> impl Iterator<Item = &ScsiTask> {
        self.slots.iter().filter_map(|slot| match &slot.task.as_ref()?.kind {
            Kind::Command(command) => Some(command),
            Kind::Management(_) => None,
        })
    }

    /// The use that a slot is in.
    pub(crate) fn use_of(&self, slot: u16) -> Option<SlotUse> {
        let entry = self.slots.get(usize::from(slot)).filter(|entry| entry.task.is_some())?;
        Some(SlotUse { slot, generation: entry.generation })
    }

    /// The task with this tag.
    pub(crate) fn find(&self, itt: TaskTag) -> Option<SlotUse> {
        let mut slot = self.chains[self.chain(itt)];
        while slot != NONE {
            let entry = &self.slots[usize::from(slot)];
            if entry.task.as_ref().is_some_and(|task| task.itt == itt) {
                return Some(SlotUse { slot, generation: entry.generation });
            }
            slot = entry.next;
        }
        None
    }

    /// The target transfer tag of a command's R2T.
    pub(crate) fn transfer_tag(of: SlotUse, r2t: u32) -> TaskTag {
        let generation = u32::from(of.generation) << (R2T_BITS + SLOT_BITS);
        TaskTag(generation | u32::from(low_byte(r2t)) << SLOT_BITS | u32::from(of.slot))
    }

    /// What a target transfer tag leads to.
    pub(crate) fn find_transfer(&self, tag: TaskTag) -> Found {
        let slot = u16::try_from(tag.0 & SLOT_MASK).unwrap_or(NONE);
        let r2t = low_byte(tag.0 >> SLOT_BITS);
        let generation = tag.0 >> (R2T_BITS + SLOT_BITS);
        match self.slots.get(usize::from(slot)) {
            None if usize::from(slot) < self.slots_ever => Found::Gone,
            None => Found::Never,
            Some(entry) if u32::from(entry.generation) == generation && entry.task.is_some() => {
                Found::Live(SlotUse { slot, generation: entry.generation }, r2t)
            }
            Some(_) => Found::Gone,
        }
    }

    /// Whether another command fits: a numbered one always does, because the window lets no more in.
    pub(crate) fn has_room_for_command(&self, place: Numbering) -> bool {
        place == Numbering::Numbered || self.has_room_beside(self.immediate.commands)
    }

    /// Whether another task management function fits.
    pub(crate) fn has_room_for_function(&self, place: Numbering) -> bool {
        place == Numbering::Numbered || self.has_room_beside(self.immediate.functions)
    }

    /// Whether another immediate task fits beside so many of its kind, with a place left for the other kind.
    //= RFC 7143 "Immediate delivery": at least one task management and one other immediate command at any time
    const fn has_room_beside(&self, like: u32) -> bool {
        let Immediate { commands, functions } = self.immediate;
        like + 1 < self.immediate_max && commands + functions < self.immediate_max
    }

    /// Numbered tasks that were delivered and are not answered.
    pub(crate) const fn running(&self) -> u32 {
        self.running
    }

    /// Data-In that the engine may be reading.
    pub(crate) const fn reading_bytes(&self) -> usize {
        self.reading_bytes
    }

    fn grow(&mut self) -> u16 {
        assert!(self.slots.len() < self.slots_max, "there is room for the task");
        self.slots.push(Slot {
            generation: self.first_generation,
            next: NONE,
            running: false,
            reading_bytes: 0,
            task: None,
        });
        self.slots_ever = self.slots_ever.max(self.slots.len());
        u16::try_from(self.slots.len() - 1).expect("a table has fewer than 4,096 slots")
    }

    fn unlink(&mut self, slot: u16, itt: TaskTag) {
        let chain = self.chain(itt);
        let next = self.slots[usize::from(slot)].next;
        if self.chains[chain] == slot {
            self.chains[chain] = next;
            return;
        }
        let mut at = self.chains[chain];
        while self.slots[usize::from(at)].next != slot {
            at = self.slots[usize::from(at)].next;
        }
        self.slots[usize::from(at)].next = next;
    }

    /// Initiators count their tags up, or keep an index in the low bits; the multiplication serves those that do neither.
    fn chain(&self, itt: TaskTag) -> usize {
        let mixed = itt.0.wrapping_mul(0x9e37_79b1) >> 16;
        usize::try_from(mixed).unwrap_or(0) & (self.chains.len() - 1)
    }
}

impl Immediate {
    const fn of(&mut self, kind: &Kind) -> &mut u32 {
        match kind {
            Kind::Command(_) => &mut self.commands,
            Kind::Management(_) => &mut self.functions,
        }
    }
}

/// The slot that a tag of ours names.
pub(crate) fn slot_of(tag: PortTag) -> u16 {
    u16::try_from(tag.0).unwrap_or(NONE)
}

/// Our tag for a slot.
pub(crate) fn tag_of(slot: u16) -> PortTag {
    PortTag(u32::from(slot))
}

/// Our tag for an ABORT TASK of ours: beyond all slots, so that any number of commands can fail at a time.
pub(crate) fn abort_tag_of(of: SlotUse) -> PortTag {
    PortTag(1 << 31 | u32::from(of.generation) << SLOT_BITS | u32::from(of.slot))
}

/// No slot.
const NONE: u16 = u16::MAX;
const SLOT_BITS: u32 = 12;
const R2T_BITS: u32 = 8;
const SLOT_MASK: u32 = (1 << SLOT_BITS) - 1;
const GENERATION_MASK: u16 = 0x0fff;
/// One less than fits: no tag of ours is the reserved one.
const SLOTS_MAX: usize = (1 << SLOT_BITS) - 1;
const _: () = assert!(crate::limits::WINDOW_MAX + crate::limits::IMMEDIATE_MAX <= SLOT_MASK);

#[cfg(test)]
mod tests {
    use super::{Found, Kind, Numbering, Task, Tasks};
    use crate::pdu::{Sn, TaskTag};
    use felio_spec::Lun;

    fn task(itt: u32, place: Numbering) -> Task {
        Task {
            itt: TaskTag(itt),
            cmd_sn: Sn(0),
            lun: Lun::default(),
            place,
            kind: Kind::Management(Vec::new()),
        }
    }

    #[test]
    fn a_task_is_found_by_its_tag_until_it_goes() {
        let mut tasks = Tasks::new(4, 2);
        let uses: Vec<_> = (0..4).map(|itt| tasks.insert(task(itt << 16, Numbering::Numbered))).collect();
        tasks.remove(uses[1].slot);
        assert_eq!(tasks.find(TaskTag(0)), Some(uses[0]));
        assert_eq!(tasks.find(TaskTag(1 << 16)), None);
        assert_eq!(tasks.find(TaskTag(3 << 16)), Some(uses[3]));
    }

    #[test]
    fn a_transfer_tag_of_an_earlier_use_leads_nowhere() {
        let mut tasks = Tasks::new(4, 2);
        let first = tasks.insert(task(1, Numbering::Numbered));
        let tag = Tasks::transfer_tag(first, 0x1ff);
        assert_eq!(tasks.find_transfer(tag), Found::Live(first, 0xff));
        tasks.remove(first.slot);
        tasks.insert(task(2, Numbering::Numbered));
        assert_eq!(tasks.find_transfer(tag), Found::Gone);
        assert_eq!(tasks.find_transfer(TaskTag(0x777)), Found::Never);
    }

    #[test]
    fn late_data_is_recognised_after_memory_was_given_back() {
        let mut tasks = Tasks::new(4, 2);
        let first = tasks.insert(task(1, Numbering::Numbered));
        let tag = Tasks::transfer_tag(first, 0);
        tasks.remove(first.slot);
        tasks.shrink();
        assert_eq!(tasks.find_transfer(tag), Found::Gone);
        tasks.insert(task(2, Numbering::Numbered));
        assert_eq!(tasks.find_transfer(tag), Found::Gone);
    }

    #[test]
    fn immediate_tasks_have_their_own_number_and_leave_a_place_for_those_of_the_other_kind() {
        let mut tasks = Tasks::new(1, 2);
        assert!(tasks.has_room_for_function(Numbering::Immediate));
        tasks.insert(task(1, Numbering::Immediate));
        assert!(!tasks.has_room_for_function(Numbering::Immediate));
        assert!(tasks.has_room_for_command(Numbering::Immediate));
        assert!(tasks.has_room_for_function(Numbering::Numbered));
    }

    #[test]
    fn a_task_counts_in_the_window_from_delivery_to_its_end() {
        let mut tasks = Tasks::new(2, 2);
        let slot = tasks.insert(task(1, Numbering::Numbered)).slot;
        assert_eq!(tasks.running(), 0);
        tasks.handle_delivered(slot);
        assert_eq!(tasks.running(), 1);
        tasks.remove(slot);
        assert_eq!(tasks.running(), 0);
    }
}
