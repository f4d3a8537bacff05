//! The daemon's HTTP interface, on a Unix socket.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/snapshot` | | the configuration and the conditions of what is not up |
//! | `GET /v1/revision` | | the number of that: the same as long as nothing of it has changed |
//! | `GET /v1/sessions` | | who is logged in |
//! | `GET /v1/history` | | the ids of earlier configurations, the oldest first: when each was replaced, in microseconds since 1970 |
//! | `GET /v1/history/ID` | | an earlier configuration |
//! | `GET /v1/stats` | | what was counted: [`felio_control::stats`] |
//! | `GET /metrics` | | the same as OpenMetrics text; `--metrics-listen` has it on TCP, and nothing else |
//! | `POST /v1/changes` | a list of changes: one transaction | what was done, in words |
//! | `POST /v1/changes/piecemeal` | the same, where what belongs together (a name and its secret) comes one after the other | the same |
//! | `POST /v1/save` | `{"file": …}` or `{}` | where it was saved |
//! | `POST /v1/shell` | a line of the shell, and where it is typed | what it says, and where the user is then |
//! | `POST /v1/complete` | a line of the shell, and the cursor's place | what can stand there |
//! | `POST /v1/restore` | `{"file", "clear_existing", "target", "storage_object"}`, all optional | notes |
//!
//! What is refused has status 409 (or 404, 400) and a body with `kind`, `what`, `hint` and `path`.

use super::lines::{self, Cursor, Desk, Line, Typed};
use super::{Manner, Request, Restoration, openmetrics};
use crate::failure::{Failure, Kind};
use crate::threads;
use axum::extract::{DefaultBodyLimit, Path as Place, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use felio_control::{Change, Refusal, RefusalKind};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;
use tokio::sync::oneshot;

/// Where to save.
#[derive(Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Saving {
    /// The file; the daemon's own if there is none.
    file: Option<PathBuf>,
}

/// The longest body of a request: a whole configuration's changes.
const BODY_BYTES_MAX: usize = 64 << 20;

/// Answers on `socket` from now on, in a thread of its own. Only its owner can connect, and the group if one is given.
pub(super) fn listen(socket: &Path, group: Option<&str>, desk: Desk) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Kind::Listening, format!("cannot listen on {}: {error}", socket.display()))
            .hint("--socket PATH chooses another place")
    };
    if let Some(folder) = socket.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(failed)?;
    }
    // A socket that nobody answers on was left by one that was killed.
    if fs::symlink_metadata(socket).is_ok_and(|data| data.file_type().is_socket())
        && UnixStream::connect(socket).is_err()
    {
        fs::remove_file(socket).map_err(failed)?;
    }
    let listener = std::os::unix::net::UnixListener::bind(socket).map_err(failed)?;
    fs::set_permissions(socket, fs::Permissions::from_mode(if group.is_some() { 0o660 } else { 0o600 }))
        .map_err(failed)?;
    if let Some(group) = group {
        give_to(socket, group)?;
    }
    listener.set_nonblocking(true).map_err(failed)?;
    let serve = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
        let _ = runtime
            .block_on(async move { axum::serve(UnixListener::from_std(listener)?, router(desk)).await });
    };
    threads::spawn("api", serve)
}

/// Answers `GET /metrics` there from now on, to whoever comes, in a thread of its own. Where that is.
pub(super) fn listen_for_metrics(address: SocketAddr, desk: Desk) -> Result<SocketAddr, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Kind::Listening, format!("cannot listen on {address}: {error}"))
            .hint("--metrics-listen ADDR:PORT chooses another place")
    };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    let router = Router::new().route(METRICS, get(metrics)).with_state(desk);
    let serve = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
        let _ = runtime
            .block_on(async move { axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await });
    };
    threads::spawn("metrics", serve)?;
    Ok(local)
}

const METRICS: &str = "/metrics";

fn give_to(socket: &Path, group: &str) -> Result<(), Failure> {
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let number = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(group)).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    let number = number.or_else(|| group.parse().ok());
    let refused = |why: String| Failure::new(Kind::Usage, format!("--group {group}: {why}"));
    let number = number.ok_or_else(|| refused("there is no such group".to_owned()))?;
    std::os::unix::fs::chown(socket, None, Some(number)).map_err(|error| refused(error.to_string()))
}

/// Everything that can be asked.
pub(super) fn router(desk: Desk) -> Router {
    Router::new()
        .route("/v1/snapshot", get(snapshot))
        .route("/v1/revision", get(revision))
        .route("/v1/sessions", get(sessions))
        .route("/v1/history", get(history))
        .route("/v1/history/{id}", get(recall))
        .route("/v1/stats", get(stats))
        .route(METRICS, get(metrics))
        .route("/v1/changes", post(changes))
        .route("/v1/changes/piecemeal", post(piecemeal))
        .route("/v1/save", post(save))
        .route("/v1/restore", post(restore))
        .route("/v1/shell", post(shell))
        .route("/v1/complete", post(complete))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(desk)
}

async fn snapshot(State(desk): State<Desk>) -> Response {
    Json(&**desk.shown.borrow()).into_response()
}

async fn revision(State(desk): State<Desk>) -> Response {
    Json(desk.shown.borrow().revision).into_response()
}

async fn sessions(State(desk): State<Desk>) -> Response {
    answer(ask(&desk, Request::Sessions).await.map(Ok))
}

async fn shell(State(desk): State<Desk>, Json(typed): Json<Typed<Line>>) -> Response {
    answer(tokio::task::spawn_blocking(|| lines::run(typed, desk)).await.ok().map(Ok))
}

async fn complete(State(desk): State<Desk>, Json(typed): Json<Typed<Cursor>>) -> Response {
    answer(tokio::task::spawn_blocking(|| lines::complete(typed, desk)).await.ok().map(Ok))
}

async fn history(State(desk): State<Desk>) -> Response {
    answer(ask(&desk, Request::History).await)
}

async fn recall(State(desk): State<Desk>, Place(id): Place<u64>) -> Response {
    answer(ask(&desk, |reply| Request::Recall { id, reply }).await)
}

async fn stats(State(desk): State<Desk>) -> Response {
    answer(ask(&desk, Request::Sources).await.map(|sources| Ok(sources.read())))
}

async fn metrics(State(desk): State<Desk>) -> Response {
    let text = match ask(&desk, Request::Sources).await {
        Some(sources) => openmetrics::text(sources.read()),
        None => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    };
    match text {
        Ok(text) => ([(header::CONTENT_TYPE, openmetrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn changes(State(desk): State<Desk>, Json(changes): Json<Vec<Change>>) -> Response {
    answer(ask(&desk, |reply| Request::Apply { changes, manner: Manner::Whole, reply }).await)
}

async fn piecemeal(State(desk): State<Desk>, Json(changes): Json<Vec<Change>>) -> Response {
    answer(ask(&desk, |reply| Request::Apply { changes, manner: Manner::Piecemeal, reply }).await)
}

async fn save(State(desk): State<Desk>, Json(Saving { file }): Json<Saving>) -> Response {
    answer(ask(&desk, |reply| Request::Save { file, reply }).await)
}

async fn restore(State(desk): State<Desk>, Json(what): Json<Restoration>) -> Response {
    answer(ask(&desk, |reply| Request::Restore { what, reply }).await)
}

/// Asks the desk; `None` when it is gone.
async fn ask<T>(desk: &Desk, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Option<T> {
    desk.hand_in(request)?.await.ok()
}

fn answer<T: serde::Serialize>(answer: Option<Result<T, Refusal>>) -> Response {
    match answer {
        Some(Ok(value)) => Json(value).into_response(),
        Some(Err(refusal)) => (status(refusal.kind), Json(refusal)).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

const fn status(kind: RefusalKind) -> StatusCode {
    match kind {
        RefusalKind::NotFound => StatusCode::NOT_FOUND,
        RefusalKind::Invalid | RefusalKind::NotSupported | RefusalKind::ReadOnly => StatusCode::BAD_REQUEST,
        RefusalKind::Exists | RefusalKind::InUse | RefusalKind::Busy | RefusalKind::TooMany => {
            StatusCode::CONFLICT
        }
    }
}
