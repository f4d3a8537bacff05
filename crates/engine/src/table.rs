//! The task table: a slot for every command that is not yet answered, and for every operation that is not yet home.
//!
//! Slots are linked into the task set of their unit, in the order of the task set; `order` walks the links.
//!
//! Invariants: the table never grows past its size; a [`TaskId`] whose task has gone is recognised by its generation.

use crate::commands::{Entry, Run};
use crate::geometry::Extent;
use crate::work::{Outcome, Plan, Wanting, Work};
use felio_hal::{Buf, NexusId, Pool, PortTag, TaskId, Time};
use felio_spec::cdb::Serialization;
use felio_spec::{Cdb, TaskAttribute};

/// A command between its arrival and its end.
#[derive(Debug)]
pub(crate) struct Task {
    /// Whose it is.
    pub(crate) nexus: NexusId,
    /// The port's name for it.
    pub(crate) tag: PortTag,
    /// Index of its unit.
    pub(crate) unit: u32,
    /// Its place in the task set.
    pub(crate) attribute: TaskAttribute,
    /// Its CDB.
    pub(crate) cdb: Cdb,
    /// Its entry in the table of commands.
    pub(crate) entry: &'static Entry,
    /// The blocks that it concerns.
    pub(crate) extent: Extent,
    /// What may run beside it on those blocks.
    pub(crate) class: Serialization,
    /// What is counted of it when it ends.
    pub(crate) course: Course,
    /// How far it is.
    pub(crate) state: State,
}

/// When a task came, and what it brought.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Course {
    /// When it arrived.
    pub(crate) arrived: Time,
    /// When its store operation was handed out.
    pub(crate) submitted: Time,
    /// Bytes of Data-In that the initiator has room for.
    pub(crate) room: u32,
    /// Bytes of Data-Out that it has got.
    pub(crate) received: u32,
}

impl Task {
    /// Whether it is a part of a copy, sent by a copy manager.
    pub(crate) const fn is_piece(&self) -> bool {
        self.tag.piece().is_some()
    }

    /// Whether a copy is under way for it, of which tasks behind it may be part.
    pub(crate) const fn is_copying(&self) -> bool {
        matches!(self.entry.run, Run::Copy(..)) && self.state.is_begun()
    }
}

/// How far a task is, with what that state may use.
#[derive(Debug)]
pub(crate) enum State {
    /// Its Data-Out is on the way.
    Gathering(Job),
    /// It holds its blocks for a copy, until that lets it go.
    Held,
    /// A copy is under way for it: see [`Copies`](crate::copy::Copies).
    Copying,
    /// It has its data and may not begin before that task has ended.
    Dormant(Job, Option<Buf>, TaskId),
    /// It has begun and wants a buffer of so many bytes, since then.
    Starved(usize, Wanting, Time),
    /// A store operation is under way for it.
    InStore(Effort, Work),
    /// It has done its part, and others that it ended are not home yet.
    Waiting,
    /// It waits for the end of what is done to all blocks of its unit.
    Watching {
        /// What the CDB asked to transfer.
        transfer_bytes: u64,
    },
    /// It is done, and may not be answered while an auto contingent allegiance is in effect.
    Kept(Box<Outcome>),
    /// It was ended while a store operation is under way; it keeps its slot until the buffer is home.
    Doomed(Fate, Effort),
    /// A call is deciding what comes next; no state between two calls.
    Deciding,
}

/// What a task is there to do.
#[derive(Debug)]
pub(crate) enum Job {
    /// The function of its entry.
    Entry,
    /// A command for the device, with room for so many bytes of Data-In.
    Pass(u32),
    /// Something with blocks.
    Medium(Plan),
}

/// Which sense data a failure gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// The operation reads.
    Read,
    /// The operation changes blocks.
    Write,
    /// The operation makes changes durable.
    Flush,
    /// The operation keeps what is no block.
    Save,
}

/// What is said when a doomed task's operation comes home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing: all is said.
    Silent,
    /// Nothing, unless it fails: the command was answered before it was done.
    Detached,
    /// TASK ABORTED.
    TaskAborted,
    /// Nothing, and nobody waits for it any longer.
    GivenUp,
}

impl State {
    /// Whether the task has begun: what it does can be seen by others.
    pub(crate) const fn is_begun(&self) -> bool {
        !matches!(self, Self::Gathering(_) | Self::Dormant(..))
    }

    /// Gives back what the state holds.
    pub(crate) fn release(self, pool: &mut Pool) {
        let buf = match self {
            Self::Dormant(_, buf, _) => buf,
            Self::Starved(_, wanting, _) => wanting.into_buf(),
            Self::InStore(_, work) => work.into_buf(),
            Self::Kept(outcome) => outcome.data,
            Self::Gathering(_)
            | Self::Copying
            | Self::Held
            | Self::Waiting
            | Self::Watching { .. }
            | Self::Doomed(..)
            | Self::Deciding => None,
        };
        if let Some(buf) = buf {
            pool.give(buf);
        }
    }
}

/// The end of a chain of links.
pub(crate) const NIL: u32 = u32::MAX;

#[derive(Debug)]
struct Slot {
    generation: u32,
    links: Links,
    task: Option<Task>,
}

/// A slot's neighbours in its task set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Links {
    /// The task before it.
    pub(crate) previous: u32,
    /// The task behind it.
    pub(crate) next: u32,
}

impl Links {
    const NONE: Self = Self { previous: NIL, next: NIL };
}

/// Who asks for a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bid {
    /// Slots that the nexus has.
    pub(crate) own: u32,
    /// How many nexuses there are.
    pub(crate) nexuses: u32,
    /// Slots that the unit's tasks have.
    pub(crate) in_unit: u32,
    /// How many units there are.
    pub(crate) units: usize,
}

/// All slots.
#[derive(Debug)]
pub(crate) struct Table {
    reactor: u16,
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Table {
    /// Room for `tasks_max` tasks.
    pub(crate) fn new(reactor: u16, tasks_max: u32) -> Self {
        let slots = (0..tasks_max).map(|_| Slot { generation: 0, links: Links::NONE, task: None }).collect();
        Self { reactor, slots, free: (0..tasks_max).rev().collect() }
    }

    /// Keeps a task that holds nothing yet, if there is room. It is long, and made where it stays.
    #[inline]
    pub(crate) fn insert(&mut self, task: impl FnOnce() -> Task) -> Option<u32> {
        let slot = self.free.pop()?;
        let entry = &mut self.slots[index(slot)];
        assert!(entry.task.is_none(), "a free slot holds no task");
        entry.task = Some(task());
        Some(slot)
    }

    /// Frees a slot: what its task held. It must have left the task set.
    #[inline]
    pub(crate) fn remove(&mut self, slot: u32) -> Option<State> {
        let entry = &mut self.slots[index(slot)];
        let state = core::mem::replace(&mut entry.task.as_mut()?.state, State::Deciding);
        entry.task = None;
        entry.generation = entry.generation.wrapping_add(1);
        entry.links = Links::NONE;
        self.free.push(slot);
        Some(state)
    }

    /// The slot that a name stands for, unless its task has gone.
    pub(crate) fn slot(&self, id: TaskId) -> Option<u32> {
        let slot = self.slots.get(index(id.slot))?;
        let same = id.reactor == self.reactor && slot.generation == id.generation && slot.task.is_some();
        same.then_some(id.slot)
    }

    /// The name of a slot's task.
    pub(crate) fn id(&self, slot: u32) -> TaskId {
        TaskId { reactor: self.reactor, slot, generation: self.slots[index(slot)].generation }
    }

    /// A slot's task.
    pub(crate) fn get(&self, slot: u32) -> Option<&Task> {
        self.slots.get(index(slot))?.task.as_ref()
    }

    /// A slot's task.
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Task> {
        self.slots.get_mut(index(slot))?.task.as_mut()
    }

    /// A slot's neighbours.
    pub(crate) fn links(&self, slot: u32) -> Links {
        self.slots[index(slot)].links
    }

    /// A slot's neighbours.
    pub(crate) fn links_mut(&mut self, slot: u32) -> &mut Links {
        &mut self.slots[index(slot)].links
    }

    /// Every slot with a task, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Task)> {
        (0u32..).zip(&self.slots).filter_map(|(slot, entry)| Some((slot, entry.task.as_ref()?)))
    }

    /// How many tasks there may be.
    pub(crate) fn tasks_max(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    /// Whether somebody may have another slot. The last quarter is for nexuses that have less than their share: nobody
    /// fills the table for all others. A unit that is not alone has at most half of it: one whose store hangs leaves the
    /// others room to work.
    pub(crate) fn has_room(&self, bid: Bid) -> bool {
        let Bid { own, nexuses, in_unit, units } = bid;
        let is_plenty = self.free.len() > self.slots.len() / 4;
        let is_modest = units == 1 || in_unit < (self.tasks_max() / 2).max(1);
        is_modest && (is_plenty || own < (self.tasks_max() / nexuses.max(1)).max(1))
    }

    /// Whether there is no task.
    pub(crate) fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }
}

/// A slot's place in memory.
fn index(slot: u32) -> usize {
    usize::try_from(slot).unwrap_or(usize::MAX)
}
