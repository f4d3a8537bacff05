//! What runs, as plain data for whoever looks: it is not part of the configuration and is never saved.

use crate::condition::Conditions;
use crate::config::Config;
use crate::path::{Path, StorageKey, TpgKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A session of an initiator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionView {
    /// Its number, unique among those that are there.
    pub id: u16,
    /// Who it is.
    pub initiator: String,
    /// What it calls itself.
    pub alias: Option<String>,
    /// What its ACL is tagged with.
    pub tag: Option<String>,
    /// Where it is logged in; `None` while it discovers.
    pub tpg: Option<TpgKey>,
    /// Whether it has proved who it is.
    pub authenticated: bool,
    /// `LOGGED_IN` and the like.
    pub state: String,
    /// Its connections.
    pub connections: Vec<ConnectionView>,
    /// What it sees.
    pub luns: Vec<SessionLun>,
}

/// A connection of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionView {
    /// Its number in the session.
    pub cid: u16,
    /// The initiator's address and port.
    pub peer: String,
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

/// Something that has happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// What kind of thing: `changed`, `login`, `logout`, `refused`, `degraded`, `up`, `lost`, `saved` and others; `watching` is the first.
    pub event: String,
    /// In words.
    pub text: String,
    /// To which object, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Path>,
    /// The revision of what is shown by then.
    pub revision: u64,
}
