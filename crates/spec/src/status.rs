//! SAM-5: status codes, task attributes and task management functions.

/// A status code, SAM-5 "Status codes". Open: a value that we do not know survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u8);

impl Status {
    /// The command is done and nothing is wrong.
    pub const GOOD: Self = Self(0x00);
    /// Sense data says what happened.
    pub const CHECK_CONDITION: Self = Self(0x02);
    /// PRE-FETCH: everything fits.
    pub const CONDITION_MET: Self = Self(0x04);
    /// Try again later.
    pub const BUSY: Self = Self(0x08);
    /// Another nexus holds a reservation.
    pub const RESERVATION_CONFLICT: Self = Self(0x18);
    /// No room for another command.
    pub const TASK_SET_FULL: Self = Self(0x28);
    /// An auto contingent allegiance stands in the way.
    pub const ACA_ACTIVE: Self = Self(0x30);
    /// Another nexus aborted the command.
    pub const TASK_ABORTED: Self = Self(0x40);
}

/// SAM-5 "Task attributes".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TaskAttribute {
    /// Any order.
    #[default]
    Simple,
    /// After everything older, before everything newer.
    Ordered,
    /// Before everything that has not begun.
    HeadOfQueue,
    /// Only while an ACA is active.
    Aca,
}

/// SAM-5 "Task management functions".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskManagementFunction {
    /// One task of the nexus.
    AbortTask,
    /// Every task of the nexus on the unit.
    AbortTaskSet,
    /// End the ACA.
    ClearAca,
    /// Every task on the unit, of every nexus (TST=000b).
    ClearTaskSet,
    /// The unit.
    LogicalUnitReset,
    /// Every unit of the target (iSCSI TARGET WARM RESET).
    TargetWarmReset,
    /// Every unit of the target, then all sessions end (iSCSI TARGET COLD RESET).
    TargetColdReset,
    /// Everything the nexus has.
    ITNexusReset,
    /// Is the task in the task set?
    QueryTask,
    /// Has the nexus a task in the task set?
    QueryTaskSet,
    /// Is there a unit attention for the nexus?
    QueryAsynchronousEvent,
}

impl TaskManagementFunction {
    /// Every one.
    pub const ALL: [Self; 11] = [
        Self::AbortTask,
        Self::AbortTaskSet,
        Self::ClearAca,
        Self::ClearTaskSet,
        Self::LogicalUnitReset,
        Self::TargetWarmReset,
        Self::TargetColdReset,
        Self::ITNexusReset,
        Self::QueryTask,
        Self::QueryTaskSet,
        Self::QueryAsynchronousEvent,
    ];
}

/// SAM-5 "Task management" service responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskManagementResponse {
    /// Done (query: no such task).
    FunctionComplete,
    /// Query: yes; for QUERY ASYNCHRONOUS EVENT with the additional response information.
    FunctionSucceeded([u8; 3]),
    /// Not carried out.
    FunctionRejected,
    /// We do not do this one.
    NotSupported,
    /// No such unit.
    IncorrectLun,
    /// ABORT TASK, QUERY TASK: no such task.
    NoSuchTask,
}
