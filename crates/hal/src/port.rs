//! The seam above the engine: one connection of a streamed fabric, speaking in events and requests.
//!
//! A port engine turns bytes into [`PortEvent`]s and [`PortRequest`]s into bytes. It owns no socket: the reactor reads
//! into memory and calls [`Port::handle_input`], and gathers what [`Port::output`] shows into one send. Time and buffers
//! come in as arguments.
//!
//! A command's life here: `Command` → (`Solicit` → `DataOut`) → `Respond`. A command is answered exactly once, by
//! `Respond` or `Abandon`; after that its tag is free again. Nothing of it is sent after `Abandon`.

use crate::buf::{Buf, Pool};
use crate::ids::{NexusId, PortTag, TaskId};
use crate::time::Time;
use core::time::Duration;
use felio_spec::status::TaskManagementResponse;
use felio_spec::{Cdb, Lun, Sense, Status, TaskAttribute, TaskManagementFunction};
use std::io::IoSlice;
use std::net::SocketAddr;
use std::sync::Arc;

/// One connection. The order of calls in a reactor's turn: `handle_*` for whatever happened, `poll_event` until it is
/// empty, `handle_request` for what the engine answered, then `output` and `handle_sent`, then `poll_timeout`.
pub trait Port {
    /// Takes bytes that arrived. Returns how many were used: fewer than all only while a buffer or a slot is wanting; the
    /// rest must be offered again (at the latest after any `handle_sent` or `handle_request`), and nothing more be read
    /// meanwhile.
    fn handle_input(&mut self, now: Time, bytes: &[u8], pool: &mut Pool) -> Result<usize, Fatal>;
    /// Where the next bytes of the stream belong, if they are payload of a command with much of it to come: the reactor may
    /// receive straight into it.
    fn sink(&mut self) -> Option<&mut [u8]>;
    /// The first `count` bytes of [`Port::sink`] have been filled.
    fn handle_sink(&mut self, now: Time, count: usize, pool: &mut Pool) -> Result<(), Fatal>;
    /// The peer closed its sending side, or the connection broke, or the reactor gives it up. After this the port only
    /// gives back what it holds and reports [`PortEvent::NexusLoss`] if it had a nexus.
    fn handle_closed(&mut self, pool: &mut Pool);
    /// An answer or a wish of the engine or of the reactor.
    fn handle_request(&mut self, now: Time, request: PortRequest, pool: &mut Pool);
    /// The time of [`Port::poll_timeout`] has come.
    fn handle_timeout(&mut self, now: Time) -> Result<(), Fatal>;
    /// The next thing that happened.
    #[must_use]
    fn poll_event(&mut self) -> Option<PortEvent>;
    /// Appends what is to be sent, in order, about `budget` bytes at the most.
    fn output<'a>(&'a self, slices: &mut Vec<IoSlice<'a>>, budget: usize);
    /// Whether [`Port::output`] would show anything.
    #[must_use]
    fn has_output(&self) -> bool;
    /// The first `count` bytes of what [`Port::output`] shows have been sent.
    fn handle_sent(&mut self, now: Time, count: usize, pool: &mut Pool);
    /// Why the connection should end now that buffers are wanting, if it should: it keeps some, and its peer makes no progress.
    fn hoards(&self, now: Time) -> Option<Fatal>;
    /// Whether the connection is to be closed once all output is sent.
    fn is_finished(&self) -> bool;
    /// When [`Port::handle_timeout`] wants to be called.
    #[must_use]
    fn poll_timeout(&self) -> Option<Time>;
}

/// The connection cannot go on: what the peer did, as a stable text for the log. Output that is queued (a Reject, a
/// response that says why) is sent first, if the socket takes it at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fatal(pub &'static str);

/// What a port tells.
#[derive(Debug)]
pub enum PortEvent {
    /// Names are checked and secrets proven: the nexus asks to exist. Answered by `Admit` or `Refuse`.
    Login(Login),
    /// A command, in the order that the initiator meant.
    Command(Command),
    /// All data that the task solicited.
    DataOut {
        /// The task.
        task: TaskId,
        /// Exactly the solicited bytes.
        buf: Buf,
    },
    /// A task management function. Answered by `TaskManagementResult`, after every affected task was answered.
    TaskManagement(TaskManagement),
    /// The nexus is gone: all its tasks are to be dropped, none is to be answered.
    NexusLoss {
        /// How, for the log.
        reason: LossReason,
    },
}

/// Who asks to exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The initiator port's name as SCSI knows it: for iSCSI `name,i,0xISID`.
    pub initiator_port: String,
    /// The initiator's name.
    pub initiator: String,
    /// The target's name; empty for discovery.
    pub target: String,
    /// Which of the target's ports; for iSCSI the portal group tag. Zero for discovery.
    pub target_port_tag: u16,
    /// Normal or discovery.
    pub kind: LoginKind,
    /// The session handle (TSIH) that the initiator wants to join; zero: a new session.
    pub session: u16,
    /// What it agreed on with the port.
    pub terms: Arc<Terms>,
}

/// What an initiator and a port have agreed on, for whoever looks: nothing is decided by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// What the initiator calls itself, beside its name.
    pub alias: Option<String>,
    /// The user whose secret it has proved to know.
    pub user: Option<String>,
    /// The connection's number in its session.
    pub connection: u16,
    /// The address at which it reached us.
    pub local: Option<SocketAddr>,
    /// What was negotiated, under the fabric's names, in the fabric's order.
    pub values: Vec<(&'static str, String)>,
}

/// What kind of session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginKind {
    /// SCSI commands.
    Normal,
    /// SendTargets only: no nexus with any unit.
    Discovery,
}

/// Why a nexus ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossReason {
    /// The initiator logged out.
    Logout,
    /// The connection broke, timed out or was closed for a protocol error.
    Connection,
    /// A new session of the same initiator port took its place.
    Reinstated,
    /// We are stopping, or the operator asked.
    Administrative,
}

/// One SCSI command as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// The port's name for it.
    pub tag: PortTag,
    /// Addressed unit.
    pub lun: Lun,
    /// Task attribute.
    pub attribute: TaskAttribute,
    /// The CDB.
    pub cdb: Cdb,
    /// Data-Out bytes that the initiator announced.
    pub expect_out: u32,
    /// Data-In bytes that the initiator has room for.
    pub expect_in: u32,
}

/// A task management function as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct TaskManagement {
    /// The port's name for the request.
    pub tag: PortTag,
    /// What to do.
    pub function: TaskManagementFunction,
    /// Addressed unit.
    pub lun: Lun,
    /// ABORT TASK, QUERY TASK: the command, if the port knows it.
    pub referenced: Option<PortTag>,
}

/// What a port is asked to do.
#[derive(Debug)]
pub enum PortRequest {
    /// The session may exist.
    Admit {
        /// Its handle (iSCSI TSIH), never zero.
        session: u16,
    },
    /// It may not.
    Refuse(Refusal),
    /// Fetch `bytes` of Data-Out (at most `expect_out`) and hand them over as one buffer.
    Solicit {
        /// The command.
        tag: PortTag,
        /// The engine's name for it, for `DataOut`.
        task: TaskId,
        /// How much is wanted.
        bytes: u32,
    },
    /// Data-In and status: the end of the command.
    Respond(Response),
    /// The command ended without a response (SAM-5: aborted); forget it and everything that still comes for it.
    Abandon {
        /// The command.
        tag: PortTag,
    },
    /// The end of a task management function.
    TaskManagementResult {
        /// The request.
        tag: PortTag,
        /// How it went.
        response: TaskManagementResponse,
    },
    /// Ask the initiator to log out within `within`, then close (iSCSI: Async Message "target requests logout").
    RequestLogout {
        /// Patience.
        within: Duration,
    },
    /// Close now: say so if the protocol can, send what is queued, report `NexusLoss`.
    Close(LossReason),
}

impl PortRequest {
    /// The command that it concerns, if it concerns one.
    #[must_use]
    pub const fn tag(&self) -> Option<PortTag> {
        match self {
            Self::Solicit { tag, .. } | Self::Abandon { tag } => Some(*tag),
            Self::Respond(response) => Some(response.tag),
            _ => None,
        }
    }
}

/// Why a session may not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The handle names no session.
    NoSuchSession,
    /// The session has all the connections it may have.
    TooManyConnections,
    /// No more sessions fit.
    OutOfResources,
    /// We are stopping.
    ServiceUnavailable,
}

/// The end of a command.
#[derive(Debug)]
pub struct Response {
    /// The command.
    pub tag: PortTag,
    /// SCSI status.
    pub status: Status,
    /// Sense data, encoded.
    pub sense: Option<SenseData>,
    /// Data-In; what exceeds `expect_in` is not sent.
    pub data: Option<Buf>,
    /// How many bytes the command would transfer if the initiator had made room for all, in its direction: residuals are
    /// computed from it and `expect_in` / `expect_out`. For Data-In usually the length of `data`.
    pub transfer_bytes: u64,
}

/// Encoded sense data with the format bit already applied.
#[derive(Clone, PartialEq, Eq)]
pub struct SenseData(Box<[u8]>);

/// Longest sense data, SPC-4 "Sense data".
const SENSE_DATA_BYTES_MAX: usize = 252;

impl SenseData {
    /// Fixed or descriptor format, as the unit's control mode page says.
    #[must_use]
    pub fn new(sense: &Sense, descriptor: bool) -> Self {
        let mut bytes = [0; felio_spec::sense::SENSE_BYTES_MAX];
        let len = sense.encode(descriptor, &mut bytes);
        Self(bytes[..len].into())
    }

    /// Sense data of a device that speaks for itself.
    #[must_use]
    pub fn raw(bytes: &[u8]) -> Self {
        Self(bytes[..bytes.len().min(SENSE_DATA_BYTES_MAX)].into())
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl core::fmt::Debug for SenseData {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:02x?}", self.bytes())
    }
}

/// A request and whom it is for.
pub type Addressed = (NexusId, PortRequest);
