//! The daemon's HTTP interface, on a Unix socket and behind [`entrance`](super::entrance) and [`web`](super::web): what can be asked is in the table [`ROUTES`], which `GET /v1/openapi.json` tells as
//! well. Here is how it is carried out.
//!
//! What is refused has a status (see [`answer`]) and a body with `kind`, `what`, `hint` and `path`.

use super::answer::{self, Body, Revisions};
use super::audit::{Asked, Who};
use super::lines::{self, Cursor, Desk, Line, Typed};
use super::metrics::Sources;
use super::routes::{METRICS, ROUTES};
use super::{Manner, Request, listen, look, openapi, openmetrics, sessions, work};
use crate::failure::{Failure, Kind};
use crate::threads;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path as Place, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use felio_client::{Restoration, Saving};
use felio_control::{Change, Done, Path, Refusal, RefusalKind, StorageKey};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use tokio::sync::oneshot;

/// The longest body of a request: a whole configuration's changes.
pub(super) const BODY_BYTES_MAX: usize = 64 << 20;

/// Listens there: nobody is answered yet, but may wait. Only its owner can connect, and the group if one is given.
pub(super) fn bind(socket: &std::path::Path, group: Option<&str>) -> Result<UnixListener, Failure> {
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
    let listener = UnixListener::bind(socket).map_err(failed)?;
    fs::set_permissions(socket, fs::Permissions::from_mode(if group.is_some() { 0o660 } else { 0o600 }))
        .map_err(failed)?;
    if let Some(group) = group {
        give_to(socket, group)?;
    }
    Ok(listener)
}

/// Answers from now on, in a thread of its own.
pub(super) fn serve(listener: UnixListener, desk: Desk) -> Result<(), Failure> {
    let failed = |error| Failure::new(Kind::Listening, format!("cannot listen on the socket: {error}"));
    listener.set_nonblocking(true).map_err(failed)?;
    let serve = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        let _ = runtime.block_on(async move {
            let service = router(desk).into_make_service_with_connect_info::<Who>();
            axum::serve(tokio::net::UnixListener::from_std(listener)?, service).await
        });
    };
    threads::spawn("api", serve)
}

/// Answers `GET /metrics` there from now on, to whoever comes. Where that is.
pub(super) fn listen_for_metrics(address: SocketAddr, desk: Desk) -> Result<SocketAddr, Failure> {
    let (listener, local) = listen::bind("--metrics-listen", address)?;
    let router = Router::new().route(METRICS, get(metrics)).with_state(desk);
    listen::serve("metrics", listener, None, router)?;
    Ok(local)
}

fn give_to(socket: &std::path::Path, group: &str) -> Result<(), Failure> {
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

/// Everything that can be asked, by anybody.
pub(super) fn router(desk: Desk) -> Router {
    let refuse = |status| {
        let refusal =
            Refusal::new(felio_control::RefusalKind::NotFound, "there is nothing of that kind here");
        let refusal = refusal.hint("GET /v1/openapi.json tells what there is");
        move || core::future::ready(answer::refuse(status, &refusal))
    };
    ROUTES
        .iter()
        .fold(Router::new(), |router, route| router.route(route.path, (route.handler)()))
        .fallback(refuse(StatusCode::NOT_FOUND))
        .method_not_allowed_fallback(refuse(StatusCode::METHOD_NOT_ALLOWED))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(desk.clone(), work::perhaps_later))
        .with_state(desk)
}

pub(super) async fn document() -> Response {
    axum::Json(openapi::document()).into_response()
}

pub(super) async fn snapshot(State(desk): State<Desk>, headers: HeaderMap) -> Response {
    let shown = Arc::clone(&desk.shown.borrow());
    Revisions::of(&headers).answer(shown.revision, || axum::Json(&*shown).into_response())
}

/// What is different from the snapshot of a revision, where that is the one before; otherwise all.
pub(super) async fn since(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Place(revision): Place<String>,
) -> Response {
    let Ok(revision) = revision.parse::<u64>() else {
        let refusal = Refusal::invalid(format!("{revision:?} is no revision"));
        return answer::refuse(
            StatusCode::NOT_FOUND,
            &refusal.hint("GET /v1/revision tells the one that is shown"),
        );
    };
    let shown = Arc::clone(&desk.shown.borrow());
    let before =
        [&shown, &*desk.before.borrow()].into_iter().find(|known| known.revision == revision).cloned();
    Revisions::of(&headers)
        .answer(shown.revision, || axum::Json(shown.since(&before.unwrap_or_default())).into_response())
}

pub(super) async fn revision(State(desk): State<Desk>, headers: HeaderMap) -> Response {
    let revision = desk.shown.borrow().revision;
    Revisions::of(&headers).answer(revision, || axum::Json(revision).into_response())
}

pub(super) async fn sessions(State(desk): State<Desk>) -> Response {
    answer::answer(ask(&desk, Request::Sessions).await.map(Ok))
}

pub(super) async fn session(State(desk): State<Desk>, Place(id): Place<String>) -> Response {
    let all = ask(&desk, Request::Sessions).await;
    answer::answer(all.map(|all| sessions::number(&id).and_then(|id| sessions::find(all, id))))
}

pub(super) async fn end_session(Asked(desk): Asked, Place(id): Place<String>) -> Response {
    let who = desk.who.clone();
    match sessions::number(&id) {
        Ok(id) => answer::answer(ask(&desk, |reply| Request::EndSession { who, id, reply }).await),
        Err(refusal) => answer::answer(Some(Err::<(), _>(refusal))),
    }
}

pub(super) async fn reservations(State(desk): State<Desk>, Place(storage): Place<String>) -> Response {
    let look = move || {
        let key = format!("/{storage}").parse::<StorageKey>();
        let storage = key.map_err(|why| Refusal { kind: RefusalKind::NotFound, ..why })?;
        look::reservations(&desk, storage)
    };
    answer::answer(tokio::task::spawn_blocking(look).await.ok())
}

pub(super) async fn shell(Asked(desk): Asked, Body(typed): Body<Typed<Line>>) -> Response {
    answer::answer(tokio::task::spawn_blocking(|| lines::run(typed, desk)).await.ok().map(Ok))
}

pub(super) async fn complete(State(desk): State<Desk>, Body(typed): Body<Typed<Cursor>>) -> Response {
    answer::answer(tokio::task::spawn_blocking(|| lines::complete(typed, desk)).await.ok().map(Ok))
}

pub(super) async fn history(State(desk): State<Desk>) -> Response {
    answer::answer(ask(&desk, Request::History).await)
}

pub(super) async fn recall(State(desk): State<Desk>, Place(id): Place<String>) -> Response {
    let Ok(id) = id.parse() else {
        let refusal = Refusal::invalid(format!("{id:?} is no number of an earlier configuration"));
        return answer::refuse(StatusCode::NOT_FOUND, &refusal.hint("GET /v1/history lists them"));
    };
    answer::answer(ask(&desk, |reply| Request::Recall { id, reply }).await)
}

pub(super) async fn stats(State(desk): State<Desk>) -> Response {
    answer::answer(ask(&desk, Request::Sources).await.map(|sources| Ok(sources.read())))
}

pub(super) async fn stats_of(State(desk): State<Desk>, Place(path): Place<String>) -> Response {
    let found =
        format!("/{path}").parse::<Path>().and_then(|path| match path.exists(&desk.shown.borrow().config) {
            true => Ok(path),
            false => Err(Refusal::not_found(path)),
        });
    match found {
        Ok(path) => {
            let read = |sources: Sources| Ok(sources.of(&path).read());
            answer::answer(ask(&desk, Request::Sources).await.map(read))
        }
        Err(refusal) => answer::refuse(StatusCode::NOT_FOUND, &refusal),
    }
}

pub(super) async fn metrics(State(desk): State<Desk>) -> Response {
    let text = match ask(&desk, Request::Sources).await {
        Some(sources) => openmetrics::text(sources.read()),
        None => return answer::gone(),
    };
    match text {
        Ok(text) => ([(header::CONTENT_TYPE, openmetrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

pub(super) async fn changes(
    Asked(desk): Asked,
    headers: HeaderMap,
    Body(changes): Body<Vec<Change>>,
) -> Response {
    answer::changed(&desk, apply(&desk, &headers, changes, Manner::Whole).await)
}

pub(super) async fn piecemeal(
    Asked(desk): Asked,
    headers: HeaderMap,
    Body(changes): Body<Vec<Change>>,
) -> Response {
    answer::changed(&desk, apply(&desk, &headers, changes, Manner::Piecemeal).await)
}

pub(super) async fn save(Asked(desk): Asked, Body(Saving { file }): Body<Saving>) -> Response {
    answer::answer(ask(&desk, |reply| Request::Save { who: desk.who.clone(), file, reply }).await)
}

pub(super) async fn restore(Asked(desk): Asked, Body(what): Body<Restoration>) -> Response {
    answer::answer(
        ask(&desk, |reply| Request::Restore { who: desk.who.clone(), what, work: desk.work.clone(), reply })
            .await,
    )
}

/// One transaction, if nothing has changed that must not have.
pub(super) async fn apply(
    desk: &Desk,
    headers: &HeaderMap,
    changes: Vec<Change>,
    manner: Manner,
) -> Option<Result<Vec<Done>, Refusal>> {
    let only_at = Revisions::of(headers).only_at;
    let (who, work) = (desk.who.clone(), desk.work.clone());
    ask(desk, |reply| Request::Apply { who, changes, manner, only_at, work, reply }).await
}

/// Asks the desk; `None` when it is gone.
async fn ask<T>(desk: &Desk, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Option<T> {
    desk.hand_in(request)?.await.ok()
}
