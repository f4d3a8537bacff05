//! A felio daemon, for programs: what it is asked on its socket, or over TLS, with the types that it answers with.
//!
//! Calls block until the answer is there, and may come from several threads. What is refused is a [`Refusal`] with a cause, a hint and a
//! kind; so is a daemon that does not answer ([`RefusalKind::Busy`]). Objects, changes and counters are those of [`felio_control`].
//!
//! ```no_run
//! use felio_client::Client;
//! use felio_control::{Change, Path, Refusal};
//!
//! fn main() -> Result<(), Refusal> {
//!     let felio = Client::on_socket("/run/felio/felio.sock")?;
//!     let disk: Path = "/backstores/fileio/disk1".parse()?;
//!     let body = serde_json::json!({ "backing": { "fileio": { "dev": "/srv/disk1.img", "size": 1 << 30 } } });
//!     let node = felio.put(&disk, &body)?;
//!     println!("{} is {:?}", node.path, node.state);
//!
//!     // The same as a transaction of changes, if nobody has been faster.
//!     let seen = felio.snapshot()?;
//!     let lun = serde_json::json!({ "change": "create_lun", "tpg": "/iscsi/iqn.2026-11.org.example:a/tpg1", "storage": disk });
//!     let changes: Vec<Change> = serde_json::from_value(lun).into_iter().collect();
//!     for done in felio.apply_at(seen.revision, &changes)? {
//!         println!("{}: {}", done.path, done.says);
//!     }
//!
//!     for event in felio.events()? {
//!         println!("{}", event?.text);
//!     }
//!     Ok(())
//! }
//! ```
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "this crate speaks to a socket")]

mod events;
pub mod tls;
mod wire;

use core::time::Duration;
pub use events::Events;
pub use felio_control::{Refusal, RefusalKind};

use felio_control::resource::{Node, TREE, uri};
use felio_control::stats::Stats;
use felio_control::view::{ReservationView, SessionView, Snapshot, WorkState, WorkView};
use felio_control::{Change, Config, Delta, Done, Path, StorageKey};
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use hyper::{Method, StatusCode};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Mutex;
use tokio::runtime::{Builder, Runtime};
use wire::{Idle, Remote, Server};

/// A daemon, by where it is asked.
#[derive(Debug)]
pub struct Client {
    server: Server,
    runtime: Runtime,
    /// The connection on which the last answer came, for the next request.
    idle: Mutex<Option<Idle>>,
}

/// How a daemon elsewhere is known, and how it knows us.
#[derive(Clone, Default)]
pub struct Access {
    /// What `felio token` has printed there.
    pub token: Option<String>,
    /// Certificates in PEM of those who sign certificates of daemons; without it, those whom the system believes.
    pub ca: Option<PathBuf>,
}

/// Where to save: the body of `POST /v1/save`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Saving {
    /// The file; the daemon's own if there is none.
    pub file: Option<PathBuf>,
}

/// A configuration to take from a file: the body of `POST /v1/restore`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Restoration {
    /// The file; the daemon's own if there is none.
    pub file: Option<PathBuf>,
    /// Whether what is not in the file goes.
    pub clear_existing: bool,
    /// Only this target.
    pub target: Option<String>,
    /// Only this storage object.
    pub storage_object: Option<String>,
}

/// What to drain: the body of `POST /v1/drain`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Draining {
    /// `/`, a target, a portal group or a LUN of one.
    pub path: Path,
    /// Whether it is drained no more.
    #[serde(default)]
    pub off: bool,
    /// How many seconds what is there has to end.
    #[serde(default = "half_a_minute")]
    pub timeout: u32,
}

fn half_a_minute() -> u32 {
    30
}

impl Client {
    /// The daemon that answers on a Unix socket.
    pub fn on_socket(socket: impl Into<PathBuf>) -> Result<Self, Refusal> {
        Self::of(Server::Socket(socket.into()))
    }

    /// The daemon that listens elsewhere (`felio daemon --listen`): `https://HOST:PORT`.
    pub fn at(url: &str, access: &Access) -> Result<Self, Refusal> {
        Self::of(Server::Remote(Box::new(Remote::new(url, access)?)))
    }

    /// The Unix socket on which it answers, if it does on one.
    #[must_use]
    pub fn socket(&self) -> Option<&std::path::Path> {
        match &self.server {
            Server::Socket(path) => Some(path),
            Server::Remote(_) => None,
        }
    }

    fn of(server: Server) -> Result<Self, Refusal> {
        Ok(Self { server, runtime: runtime()?, idle: Mutex::default() })
    }

    /// The configuration, and what has become of it.
    pub fn snapshot(&self) -> Result<Snapshot, Refusal> {
        self.get("/v1/snapshot")
    }

    /// What has become different since a snapshot, or all: what [`Snapshot::follow`] takes.
    pub fn since(&self, revision: u64) -> Result<Delta, Refusal> {
        self.get(&format!("/v1/snapshot/since/{revision}"))
    }

    /// The number of what [`snapshot`](Self::snapshot) shows: the same as long as nothing of it has changed.
    pub fn revision(&self) -> Result<u64, Refusal> {
        self.get("/v1/revision")
    }

    /// Who is logged in.
    pub fn sessions(&self) -> Result<Vec<SessionView>, Refusal> {
        self.get("/v1/sessions")
    }

    /// Asks the initiator of a session to log out, and has it cut off if it does not. It may log in again. The session as it was.
    pub fn end_session(&self, id: u16) -> Result<SessionView, Refusal> {
        self.request(Method::DELETE, &format!("/v1/sessions/{id}"), None::<&()>, None)
    }

    /// What was counted.
    pub fn stats(&self) -> Result<Stats, Refusal> {
        self.get("/v1/stats")
    }

    /// What was counted of an object and of what is below it.
    pub fn stats_of(&self, object: &Path) -> Result<Stats, Refusal> {
        self.get(&format!("/v1/stats{}", uri(object).trim_start_matches(TREE)))
    }

    /// Who has reserved a storage object, and who is registered with it.
    pub fn reservations(&self, storage: &StorageKey) -> Result<ReservationView, Refusal> {
        self.get(&format!("/v1/reservations{storage}"))
    }

    /// The ids of earlier configurations, the oldest first.
    pub fn history(&self) -> Result<Vec<u64>, Refusal> {
        self.get("/v1/history")
    }

    /// An earlier configuration.
    pub fn recall(&self, id: u64) -> Result<Config, Refusal> {
        self.get(&format!("/v1/history/{id}"))
    }

    /// What happens, as it happens.
    pub fn events(&self) -> Result<Events, Refusal> {
        Events::of(&self.server)
    }

    /// Makes all changes or none.
    pub fn apply(&self, changes: &[Change]) -> Result<Vec<Done>, Refusal> {
        self.post("/v1/changes", &changes)
    }

    /// The same, if the revision is this one still; [`RefusalKind::Changed`] otherwise.
    pub fn apply_at(&self, revision: u64, changes: &[Change]) -> Result<Vec<Done>, Refusal> {
        self.request(Method::POST, "/v1/changes", Some(&changes), Some(revision))
    }

    /// The same, where what belongs together (a name and its secret) comes one after the other.
    pub fn apply_piecemeal(&self, changes: &[Change]) -> Result<Vec<Done>, Refusal> {
        self.post("/v1/changes/piecemeal", &changes)
    }

    /// Saves the configuration; says where.
    pub fn save(&self, saving: &Saving) -> Result<String, Refusal> {
        self.post("/v1/save", saving)
    }

    /// Takes up a configuration from a file; what is to be said about it.
    pub fn restore(&self, what: &Restoration) -> Result<Vec<String>, Refusal> {
        self.post("/v1/restore", what)
    }

    /// An object as it is now.
    pub fn node(&self, path: &Path) -> Result<Node, Refusal> {
        self.get(&uri(path))
    }

    /// Makes an object.
    pub fn put(&self, path: &Path, body: &impl Serialize) -> Result<Node, Refusal> {
        self.request(Method::PUT, &uri(path), Some(body), None)
    }

    /// Makes an object below another, under a name that is made.
    pub fn grow(&self, above: &Path, body: &impl Serialize) -> Result<Node, Refusal> {
        self.post(&uri(above), body)
    }

    /// Changes what the body says of an object; null is back to the default.
    pub fn patch(&self, path: &Path, body: &impl Serialize) -> Result<Node, Refusal> {
        self.request(Method::PATCH, &uri(path), Some(body), None)
    }

    /// Removes an object, and what depends on it.
    pub fn delete(&self, path: &Path) -> Result<Vec<Done>, Refusal> {
        self.request(Method::DELETE, &uri(path), None::<&()>, None)
    }

    /// What a route has that has no method here.
    pub fn get<T: DeserializeOwned>(&self, route: &str) -> Result<T, Refusal> {
        self.request(Method::GET, route, None::<&()>, None)
    }

    /// Tells a route something that has no method here.
    pub fn post<T: DeserializeOwned>(&self, route: &str, body: &impl Serialize) -> Result<T, Refusal> {
        self.request(Method::POST, route, Some(body), None)
    }

    /// Tells a route something that may take long; `hear` hears now and then how far it is.
    pub fn post_long<T: DeserializeOwned>(
        &self,
        route: &str,
        body: &impl Serialize,
        mut hear: impl FnMut(&WorkView),
    ) -> Result<T, Refusal> {
        let mut request = self.server.request(Method::POST, route, bytes(body)?, None)?;
        request.headers_mut().insert("prefer", HeaderValue::from_static("respond-async"));
        let (status, answer) = self.exchange(request)?;
        if status != StatusCode::ACCEPTED {
            return understood(status, &answer);
        }
        let mut view: WorkView = understood(status, &answer)?;
        while view.state == WorkState::Running {
            hear(&view);
            std::thread::sleep(PAUSE);
            view = self.get(&format!("/v1/work/{}", view.id))?;
        }
        match view.error {
            Some(refusal) => Err(refusal),
            None => {
                let result = view.result.unwrap_or_default();
                T::deserialize(&result).map_err(|error| garbled(&error, result.to_string().as_bytes()))
            }
        }
    }

    fn request<T: DeserializeOwned>(
        &self,
        method: Method,
        route: &str,
        body: Option<&impl Serialize>,
        only_at: Option<u64>,
    ) -> Result<T, Refusal> {
        let body = body.map(bytes).transpose()?.unwrap_or_default();
        let (status, answer) = self.exchange(self.server.request(method, route, body, only_at)?)?;
        understood(status, &answer)
    }

    fn exchange(&self, request: wire::Request) -> Result<(StatusCode, Bytes), Refusal> {
        let exchange = self.runtime.block_on(self.server.exchange(request, &self.idle));
        exchange.map_err(|error| self.server.silent(&error.to_string()))
    }
}

/// How soon to look again how far something is.
const PAUSE: Duration = Duration::from_millis(50);

fn bytes(body: &impl Serialize) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(body).map_err(|error| Refusal::invalid(error.to_string()))
}

fn understood<T: DeserializeOwned>(status: StatusCode, answer: &[u8]) -> Result<T, Refusal> {
    match status.is_success() {
        true => serde_json::from_slice(answer).map_err(|error| garbled(&error, answer)),
        false => Err(refusal(answer)),
    }
}

/// Why something is refused, as the daemon has answered.
fn refusal(answer: &[u8]) -> Refusal {
    serde_json::from_slice(answer).unwrap_or_else(|error| garbled(&error, answer))
}

fn garbled(error: &serde_json::Error, answer: &[u8]) -> Refusal {
    let text = String::from_utf8_lossy(answer);
    Refusal::new(RefusalKind::Busy, format!("the daemon's answer is not understood: {error}: {text}"))
        .hint("is the daemon of the same version?")
}

fn runtime() -> Result<Runtime, Refusal> {
    let built = Builder::new_current_thread().enable_all().build();
    built.map_err(|error| Refusal::new(RefusalKind::Busy, error.to_string()))
}
