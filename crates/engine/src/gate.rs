//! The gate: what lets sessions of other reactors read and write a unit without asking its home, and what stops them.
//!
//! A unit has one home: the reactor whose engine keeps its task set and everything that initiators can change. The engine of another
//! reactor is its guest. Home gives a nexus of the guest's a [`Pass`] with a [`Snapshot`] of the unit; from then on the guest runs the
//! nexus's plain commands (SIMPLE, [`Place::Local`](felio_spec::cdb::Place)) itself and forwards all others. A guest answers nothing
//! but success and what a store says: whatever it would refuse it forwards, so that Home alone says why.
//!
//! A task of Home that is not plain is *raised* before it begins: each guest learns of it as a [`Shadow`], forwards what the task would
//! hold back, and acknowledges once the tasks of its own that the task must wait for have ended. When the task has ended the shadow
//! goes. A task that concerns the whole unit voids every pass besides, and so does a unit attention that Home establishes: nothing
//! that Home says leaves it before every guest has acknowledged that.
//!
//! Files: here, what is said and kept; `home` and `guest`, who says it. Engines speak by [`Letter`], which the runtime carries.
//!
//! Invariants: letters of one engine to another keep their order, so a pass that arrives is one that Home has not voided since; a
//! task begins at a guest only under a pass and in no shadow; one reactor alone is its own home and nobody's guest.

use crate::alua::PortGroups;
use crate::copy::tokens::News;
use crate::counters::Counters;
use crate::geometry::{Extent, Geometry};
use crate::order::Claim;
use crate::parameters::mode::ModePages;
use felio_hal::port::TaskManagement;
use felio_hal::{Buf, Command, NexusId, PortTag, TaskId};
use felio_spec::Sense;
use felio_spec::cdb::{Reservation, Serialization};
use std::collections::VecDeque;

/// What a nexus may do on its own reactor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pass {
    /// Commands that a reservation judges as reads.
    pub(crate) read: bool,
    /// Commands that a reservation judges as writes.
    pub(crate) write: bool,
}

impl Pass {
    /// Nothing.
    pub(crate) const NONE: Self = Self { read: false, write: false };

    /// Whether a command of this kind may run.
    pub(crate) const fn allows(self, rule: Reservation) -> bool {
        match rule {
            Reservation::Read => self.read,
            Reservation::Write => self.write,
            Reservation::Allowed => self.read || self.write,
            _ => self.read && self.write,
        }
    }
}

/// All that a command with [`Place::Local`](felio_spec::cdb::Place) looks at in its unit: whatever it looks at belongs here.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) geometry: Geometry,
    pub(crate) mode: ModePages,
    pub(crate) groups: PortGroups,
}

/// Which part an engine plays for a unit.
#[derive(Debug)]
pub(crate) enum Role {
    /// It keeps the unit.
    Home(Keeper),
    /// It knows the unit from snapshots.
    Guest(Gate),
}

/// What Home knows of its guests.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    /// Reactors that were ever given a pass.
    pub(crate) guests: Vec<u16>,
    /// Tasks that guests know as shadows.
    pub(crate) raised: Vec<Raised>,
}

/// A task of Home that guests know as a shadow.
#[derive(Debug)]
pub(crate) struct Raised {
    pub(crate) task: TaskId,
    pub(crate) class: Serialization,
    /// The guests that have not acknowledged it.
    pub(crate) waits_for: Vec<u16>,
}

/// What a guest knows of a unit's home.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    pub(crate) shadows: Vec<Shadow>,
    /// The number of Home's last function for which tasks were ended here.
    pub(crate) ended: u32,
}

/// A task of Home, as guests know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shadow {
    pub(crate) task: TaskId,
    pub(crate) claim: Claim,
}

/// A command that a session sent to its unit's home and that holds up the session's later ones.
#[derive(Debug)]
pub(crate) struct Abroad {
    pub(crate) tag: PortTag,
    pub(crate) unit: u32,
    /// The session's older tasks here that still wait for their data.
    pub(crate) older: Vec<TaskId>,
}

/// What an engine has to say to others, and what it has promised them.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    pub(crate) outbox: VecDeque<(u16, Letter)>,
    /// Guests that have not yet acknowledged that passes are void.
    pub(crate) voiding: u32,
    /// Acknowledgements that wait for tasks here.
    pub(crate) promises: Vec<Promise>,
    /// Tasks of other engines that are to end for functions here, for each function and engine.
    pub(crate) endings: Vec<Calling>,
    /// Those of the function that is being begun.
    pub(crate) called: Vec<TaskId>,
    /// At Home: tasks of guests that were ended while their stores write, with the slots of their doubles.
    pub(crate) doubles: Vec<(TaskId, u32)>,
    /// The last function's number.
    pub(crate) functions: u32,
}

/// An acknowledgement that is owed.
#[derive(Debug)]
pub(crate) struct Promise {
    pub(crate) to: u16,
    pub(crate) unit: u32,
    /// What is acknowledged: a shadow's task, or a function's name.
    pub(crate) of: TaskId,
    pub(crate) waits_for: Vec<TaskId>,
}

/// A function of Home's that ends tasks at a guest.
#[derive(Debug)]
pub(crate) struct Calling {
    /// Its name at that guest.
    pub(crate) function: TaskId,
    pub(crate) unit: u32,
    /// Whose tasks end, or everybody's.
    pub(crate) whom: Option<Vec<NexusId>>,
    /// They are told TASK ABORTED.
    pub(crate) tas: bool,
}

/// From one engine to another.
#[derive(Debug)]
pub struct Letter(pub(crate) Content);

/// What a letter says. Units are named by their place in the target's configuration, the same for all.
#[derive(Debug)]
pub(crate) enum Content {
    /// To Home: a command.
    Command { nexus: NexusId, command: Command },
    /// To Home: a command for this very unit, whatever the nexus finds where by now: one that the guest has begun to serve, or a part
    /// of a copy.
    Placed { nexus: NexusId, unit: u32, command: Command, handed: Option<Box<Handed>> },
    /// To every home: what became of a ROD token.
    Token(Box<News>),
    /// To Home: a function for a unit.
    TaskManagement { nexus: NexusId, function: TaskManagement },
    /// To Home: the tasks that a shadow or a function waits for have ended.
    Done { unit: u32, of: TaskId },
    /// To Home: the passes are void.
    Voided,
    /// To Home: these nexuses had tasks that were ended for a function.
    Bereft { unit: u32, nexuses: Vec<NexusId> },
    /// To Home: so many operations more, or less, hang here that nobody waits for.
    Hanging { unit: u32, more: i32 },
    /// To Home: a command that was answered here has failed.
    Deferred { nexus: NexusId, unit: u32, sense: Sense },
    /// To Home: a task was ended while the store writes, and until it is home nobody shall write there.
    Doomed { unit: u32, task: TaskId, nexus: NexusId, extent: Extent },
    /// To Home: it is home.
    Buried { task: TaskId },
    /// To Home: commands arrive here; look whether the store was resized.
    Look { unit: u32 },
    /// To Home: what was done here since the last time.
    Counted { unit: u32, counters: Box<Counters> },
    /// To a guest: what a nexus may do, and how the unit is now.
    Grant { nexus: NexusId, unit: u32, pass: Pass, snapshot: Box<Snapshot> },
    /// To a guest: all passes for the unit are void.
    Void { unit: u32 },
    /// To a guest: a task of Home is about to begin.
    Raise { unit: u32, shadow: Shadow },
    /// To a guest: it has ended.
    Lower { unit: u32, task: TaskId },
    /// To a guest: tasks of the unit are to end, for a function of this nexus: those of some, or of all.
    End { unit: u32, function: TaskId, by: NexusId, whom: Option<Vec<NexusId>>, tas: bool },
}

/// A command that a guest hands over.
#[derive(Debug)]
pub(crate) struct Handed {
    /// Its data.
    pub(crate) buf: Buf,
    /// Commands of the same nexus that were sent after it, and that must not begin before it, in their order. Home may have
    /// answered the first of them.
    pub(crate) before: Vec<PortTag>,
    /// The number of the last function for which tasks were ended where it comes from.
    pub(crate) ended: u32,
}

impl Peers {
    /// Writes to another engine.
    pub(crate) fn write(&mut self, to: u16, content: Content) {
        self.outbox.push_back((to, Letter(content)));
    }

    /// Whether what `of` names waits for a task here.
    pub(crate) fn has_promised(&self, of: TaskId, task: TaskId) -> bool {
        self.promises.iter().any(|promise| promise.of == of && promise.waits_for.contains(&task))
    }
}

impl Calling {
    /// Whether it ends a task that a guest handed over before it heard of the function.
    pub(crate) fn overtakes(&self, nexus: NexusId, unit: u32, handed: &Handed) -> bool {
        let newer = self.function.generation.wrapping_sub(handed.ended);
        self.function.reactor == nexus.reactor
            && self.unit == unit
            && self.whom.as_ref().is_none_or(|whom| whom.contains(&nexus))
            && (1..=u32::MAX / 2).contains(&newer)
    }
}

impl Keeper {
    /// Whether a change of the whole unit is under way.
    pub(crate) fn is_changing(&self) -> bool {
        self.raised.iter().any(|raised| raised.class == Serialization::Unit)
    }
}
