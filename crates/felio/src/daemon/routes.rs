//! What can be asked, and by which method: the router and its document are made of this table.
//!
//! The row of `/v1/tree` stands for all objects; what can be done with which is in [`felio_control::resource`].

use super::lines::{Cursor, Desk, Line, Told, Typed};
use super::{api, events, openmetrics, tree, work};
use axum::routing::{MethodRouter, get, post};
use felio_client::{Draining, Restoration, Saving};
use felio_control::view::{Event, LeftView, ReservationView, SessionView, Snapshot, WorkView};
use felio_control::{Change, Config, Delta, Done, stats::Stats};
use felio_shell::Completion;
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// A row.
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) doc: &'static str,
    /// What is sent, by POST; routes without a body are for GET.
    pub(super) body: Option<Describe>,
    pub(super) answer: Answer,
    /// Whether it is about what the revision numbers: with its entity tag.
    pub(super) tagged: bool,
    /// What DELETE does there, if anything.
    pub(super) delete: Option<&'static str>,
    pub(super) handler: fn() -> MethodRouter<Desk>,
}

/// What a body looks like.
pub(super) type Describe = fn(&mut SchemaGenerator) -> Schema;

/// What an answer looks like.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    Json(Describe),
    /// Text of this media type.
    Text(&'static str),
    /// Events that do not end, each a JSON object.
    Stream(Describe),
    /// Any object of the tree, and all methods.
    Tree,
}

pub(super) const METRICS: &str = "/metrics";

/// The shell's lines, and what completes them: whether something is changed depends on the line.
pub(super) const LINES: [&str; 2] = ["/v1/shell", "/v1/complete"];

/// The media type of events.
pub(super) const EVENTS: &str = "text/event-stream";

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

const fn ask(
    path: &'static str,
    doc: &'static str,
    answer: Answer,
    handler: fn() -> MethodRouter<Desk>,
) -> Route {
    Route { path, doc, body: None, answer, tagged: false, delete: None, handler }
}

const fn tell<T: JsonSchema, A: JsonSchema>(
    path: &'static str,
    doc: &'static str,
    handler: fn() -> MethodRouter<Desk>,
) -> Route {
    Route { body: Some(of::<T>), ..ask(path, doc, Answer::Json(of::<A>), handler) }
}

const fn tagged(route: Route) -> Route {
    Route { tagged: true, ..route }
}

const fn objects(path: &'static str) -> Route {
    tagged(ask(path, "An object of the tree.", Answer::Tree, || {
        get(tree::read)
            .put(tree::write)
            .post(tree::write)
            .patch(tree::write)
            .delete(tree::delete)
            .options(tree::options)
    }))
}

/// All.
pub(super) const ROUTES: &[Route] = &[
    ask("/v1/openapi.json", "This document.", Answer::Json(of::<serde_json::Value>), || get(api::document)),
    tagged(ask(
        "/v1/snapshot",
        "The configuration, the conditions of what is not up, and the revision of both.",
        Answer::Json(of::<Snapshot>),
        || get(api::snapshot),
    )),
    tagged(ask(
        "/v1/snapshot/since/{revision}",
        "What is different from the snapshot that was shown before this one, if it has that revision; otherwise, from nothing: all.",
        Answer::Json(of::<Delta>),
        || get(api::since),
    )),
    tagged(ask(
        "/v1/revision",
        "The revision of the snapshot: the same as long as nothing of it has changed.",
        Answer::Json(of::<u64>),
        || get(api::revision),
    )),
    objects("/v1/tree"),
    objects("/v1/tree/{*path}"),
    ask("/v1/sessions", "Who is logged in.", Answer::Json(of::<Vec<SessionView>>), || get(api::sessions)),
    Route {
        delete: Some(
            "Asks its initiator to log out, and cuts it off if it does not. It may log in again. The answer is the session as it was.",
        ),
        ..ask("/v1/sessions/{id}", "A session.", Answer::Json(of::<SessionView>), || {
            get(api::session).delete(api::end_session)
        })
    },
    ask(
        "/v1/reservations/{*storage}",
        "Who has reserved a storage object, such as backstores/fileio/disk, and who is registered with it.",
        Answer::Json(of::<ReservationView>),
        || get(api::reservations),
    ),
    ask(
        "/v1/history",
        "The ids of earlier configurations, the oldest first: when each was replaced, in microseconds since 1970.",
        Answer::Json(of::<Vec<u64>>),
        || get(api::history),
    ),
    ask("/v1/history/{id}", "An earlier configuration.", Answer::Json(of::<Config>), || get(api::recall)),
    ask("/v1/stats", "What was counted.", Answer::Json(of::<Stats>), || get(api::stats)),
    ask(
        "/v1/stats/{*path}",
        "What was counted of an object, such as backstores/fileio/disk or iscsi/iqn.2026-01.net.x:t/tpg1, and of what is below it; the total is theirs.",
        Answer::Json(of::<Stats>),
        || get(api::stats_of),
    ),
    ask(METRICS, "What was counted, as OpenMetrics text.", Answer::Text(openmetrics::CONTENT_TYPE), || {
        get(api::metrics)
    }),
    ask(
        "/v1/events",
        "What happens, as it happens: server-sent events. The first is `watching`; `missed` tells that some came too fast.",
        Answer::Stream(of::<Event>),
        || get(events::watch),
    ),
    tagged(tell::<Vec<Change>, Vec<Done>>(
        "/v1/changes",
        "Makes all changes or none: one transaction. The answer is what was done, in words.",
        || post(api::changes),
    )),
    tagged(tell::<Vec<Change>, Vec<Done>>(
        "/v1/changes/piecemeal",
        "The same, where what belongs together (a name and its secret) comes one after the other.",
        || post(api::piecemeal),
    )),
    tell::<Saving, String>("/v1/save", "Saves the configuration; says where.", || post(api::save)),
    tell::<Restoration, Vec<String>>(
        "/v1/restore",
        "Takes up a configuration from a file; what is to be said about it.",
        || post(api::restore),
    ),
    tell::<Draining, LeftView>(
        "/v1/drain",
        "Lets nobody new get to an object, asks who is there to log out, and tells what has not ended in time. Called off, it lets all in again.",
        || post(work::drain),
    ),
    ask(
        "/v1/work",
        "What goes on by itself, after requests with `Prefer: respond-async`, and what has lately ended.",
        Answer::Json(of::<Vec<WorkView>>),
        || get(work::list),
    ),
    Route {
        delete: Some("Calls it off: what can end without being done does so, and leaves nothing behind."),
        ..ask("/v1/work/{id}", "How far it is, or what it has come to.", Answer::Json(of::<WorkView>), || {
            get(work::read).delete(work::cancel)
        })
    },
    tell::<Typed<Line>, Told>(LINES[0], "Carries out a line of the shell.", || post(api::shell)),
    tell::<Typed<Cursor>, Completion>(
        LINES[1],
        "What can stand at the cursor in a line of the shell.",
        || post(api::complete),
    ),
];
