//! What runs, as plain data for whoever looks: it is not part of the configuration and is never saved.

use crate::condition::Conditions;
use crate::config::Config;
use crate::path::{Path, StorageKey, TpgKey};
use crate::refusal::Refusal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A session of an initiator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionView {
    /// Its number, unique among those that are there.
    pub id: u16,
    /// Who it is.
    pub initiator: String,
    /// The initiator port's name, by which reservations know it.
    pub initiator_port: String,
    /// What it calls itself.
    pub alias: Option<String>,
    /// What its ACL is tagged with.
    pub tag: Option<String>,
    /// Where it is logged in; `None` while it discovers.
    pub tpg: Option<TpgKey>,
    /// Whether it has proved who it is.
    pub authenticated: bool,
    /// The user whose secret it has proved to know.
    pub user: Option<String>,
    /// `LOGGED_IN` and the like.
    pub state: String,
    /// What was negotiated at its login, under the fabric's names. The longest data segments are as each side declared its own.
    pub parameters: BTreeMap<String, String>,
    /// Its connections.
    pub connections: Vec<ConnectionView>,
    /// What it sees.
    pub luns: Vec<SessionLun>,
}

/// A connection of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionView {
    /// Its number in the session.
    pub cid: u16,
    /// The initiator's address and port.
    pub peer: String,
    /// Our address and port at which it came: the portal.
    pub local: Option<String>,
    /// `TCP` and the like.
    pub transport: String,
    /// `LOGGED_IN` and the like.
    pub state: String,
}

/// A LUN that a session sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionLun {
    /// Its number there.
    pub index: u16,
    /// What is behind it.
    pub storage: StorageKey,
    /// Whether the initiator cannot write.
    pub write_protect: bool,
}

/// What has not ended where something is drained.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftView {
    /// Who is still logged in.
    pub initiators: Vec<String>,
    /// Commands that are not answered, or of which an operation is not finished.
    pub commands: u64,
}

impl core::fmt::Display for LeftView {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { initiators, commands } = self;
        let who = if initiators.is_empty() { "nobody".to_owned() } else { initiators.join(", ") };
        write!(f, "still logged in: {who}; commands that run: {commands}")
    }
}

/// Who has reserved a storage object, and who is registered with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReservationView {
    /// How often registrations and reservations have changed.
    pub generation: u32,
    /// Whether they outlive a loss of power.
    pub aptpl: bool,
    /// Whether what was saved of them cannot be read: nobody gets in until they are made anew.
    pub lost: bool,
    /// Who is registered.
    pub registrations: Vec<RegistrationView>,
    /// The type of the persistent reservation, as SPC-4 numbers them.
    pub kind: Option<u8>,
    /// Whose it is; nobody's own where all who are registered hold it.
    pub holder: Option<PortView>,
    /// The initiator that has reserved it by RESERVE.
    pub reserved_by: Option<String>,
}

/// A registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegistrationView {
    /// Whose.
    #[serde(flatten)]
    pub port: PortView,
    /// With which key.
    pub key: u64,
}

/// An initiator's port, and the one of ours through which it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PortView {
    /// The initiator port's name.
    pub initiator_port: String,
    /// The relative target port identifier (`rtpi`).
    pub rtpi: u16,
}

/// Everything that is wanted, and what is not up of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Snapshot {
    /// What is wanted.
    pub config: Arc<Config>,
    /// What has become of it.
    pub conditions: Conditions,
    /// Another number for whatever is shown later.
    #[serde(default)]
    pub revision: u64,
}

/// Work that goes on by itself, or has ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkView {
    /// Its number.
    pub id: u64,
    /// What was asked: method and address.
    pub what: String,
    /// What has become of it.
    pub state: WorkState,
    /// How much of it is done: objects that were opened, initiators and commands that have ended.
    pub done: u64,
    /// How much there is in all, by what is known; zero as long as nothing is.
    pub total: u64,
    /// What it has come to: what the request would have been answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<serde_json::Value>,
    /// Why it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Refusal>,
}

/// What has become of work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkState {
    /// It goes on.
    #[default]
    Running,
    /// It is done.
    Done,
    /// It was refused.
    Failed,
    /// It was called off, and nothing of it is left.
    Cancelled,
}

impl core::fmt::Display for WorkView {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { id, what, state, done, total, .. } = self;
        let state = match state {
            WorkState::Running => "goes on",
            WorkState::Done => "is done",
            WorkState::Failed => "has failed",
            WorkState::Cancelled => "was called off",
        };
        match total {
            0 => write!(f, "{what} ({id}) {state}"),
            _ => write!(f, "{what} ({id}) {state}: {done} of {total}"),
        }
    }
}

/// Something that has happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// What kind of thing: `changed`, `login`, `logout`, `refused`, `degraded`, `up`, `lost`, `saved`, `work` and others; `watching` is the first.
    pub event: String,
    /// In words.
    pub text: String,
    /// To which object, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Path>,
    /// The revision of what is shown by then.
    pub revision: u64,
}
