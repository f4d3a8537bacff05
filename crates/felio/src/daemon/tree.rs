//! `/v1/tree`: every object of the tree under its path. What is written there becomes the changes that the shell makes, one transaction a
//! request; what these are is in [`felio_control::resource`].
//!
//! The status 404 is about the object of the address, or the one above what is to be made; where something else is missing, the request
//! cannot be carried out as it is (422).

use super::answer::{self, Body};
use super::audit::Asked;
use super::lines::Desk;
use super::{Manner, api};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path as Place, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use felio_control::resource::{self, Members, Row};
use felio_control::{Path, Refusal, RefusalKind};
use serde_json::json;
use std::sync::Arc;

/// The path in an address; the root's is empty.
type At = Result<Option<Place<String>>, PathRejection>;

pub(super) async fn read(State(desk): State<Desk>, at: At, headers: HeaderMap) -> Response {
    let shown = Arc::clone(&desk.shown.borrow());
    match path(at).and_then(|path| resource::read(&path, &shown)) {
        Ok(node) => answer::Revisions::of(&headers).answer(shown.revision, || Json(node).into_response()),
        // A path that can never be is as good as one that is not.
        Err(refusal) => answer::refuse(StatusCode::NOT_FOUND, &refusal),
    }
}

pub(super) async fn write(
    Asked(desk): Asked,
    method: Method,
    at: At,
    headers: HeaderMap,
    Body(body): Body<Members>,
) -> Response {
    carry_out(&desk, &method, at, &headers, &body).await.unwrap_or_else(|refused| refused)
}

pub(super) async fn delete(Asked(desk): Asked, at: At, headers: HeaderMap) -> Response {
    carry_out(&desk, &Method::DELETE, at, &headers, &Members::new()).await.unwrap_or_else(|refused| refused)
}

pub(super) async fn options(at: At) -> Response {
    match path(at) {
        Ok(path) => ([(header::ALLOW, methods(&path))], StatusCode::NO_CONTENT).into_response(),
        Err(refusal) => answer::refuse(StatusCode::NOT_FOUND, &refusal),
    }
}

/// One transaction, and what there is to say afterwards.
async fn carry_out(
    desk: &Desk,
    method: &Method,
    at: At,
    headers: &HeaderMap,
    body: &Members,
) -> Result<Response, Response> {
    let path = path(at).map_err(|refusal| answer::refuse(answer::status(refusal.kind), &refusal))?;
    // What is to be made is not there yet, but what is above it.
    let (about, changes) = match *method {
        Method::PUT => (path.parent().unwrap_or(Path::Root), resource::put(&path, body)),
        Method::POST => (path.clone(), resource::post(&path, body)),
        Method::PATCH => (path.clone(), resource::patch(&path, body)),
        _ => (path.clone(), resource::delete(&path).map(|change| vec![change])),
    };
    let is_there = about.exists(&desk.shown.borrow().config);
    let done = match changes {
        Err(refusal) if refusal.kind == RefusalKind::NotSupported => return Err(never(&path, &refusal)),
        Err(refusal) => Some(Err(refusal)),
        Ok(_) if !is_there => Some(Err(Refusal::not_found(about.clone()))),
        Ok(changes) => api::apply(desk, headers, changes, Manner::Whole).await,
    };
    let done = done.ok_or_else(answer::gone)?;
    let done = done.map_err(|refusal| refused(desk, is_there.then_some(&about), &refusal))?;
    let below = || done.iter().map(|done| &done.path).find(|made| made.parent().as_ref() == Some(&path));
    Ok(match *method {
        // Names of iSCSI are the same in small letters, and become so.
        Method::PUT => made(desk, done.first().map_or(&path, |done| &done.path)),
        Method::POST => made(desk, below().unwrap_or(&path)),
        Method::PATCH => shown(desk, &path, StatusCode::OK),
        _ => answer::changed(desk, Some(Ok(done))),
    })
}

/// Why not; where somebody has been faster, with what is there by now.
fn refused(desk: &Desk, about: Option<&Path>, refusal: &Refusal) -> Response {
    let status = match refusal.kind {
        RefusalKind::NotFound if about.is_some() => StatusCode::UNPROCESSABLE_ENTITY,
        kind => answer::status(kind),
    };
    let shown = Arc::clone(&desk.shown.borrow());
    let mut body = json!(refusal);
    if let (RefusalKind::Changed, Some(path)) = (refusal.kind, about)
        && let Ok(node) = resource::read(path, &shown)
    {
        body["now"] = json!(node);
    }
    answer::tagged(shown.revision, (status, Json(body)).into_response())
}

/// Nothing is ever done to objects of that kind by that method.
fn never(path: &Path, refusal: &Refusal) -> Response {
    ([(header::ALLOW, methods(path))], answer::refuse(StatusCode::METHOD_NOT_ALLOWED, refusal))
        .into_response()
}

/// An object that is new, and where it is found.
fn made(desk: &Desk, path: &Path) -> Response {
    ([(header::LOCATION, resource::uri(path))], shown(desk, path, StatusCode::CREATED)).into_response()
}

/// An object as it is now.
fn shown(desk: &Desk, path: &Path, status: StatusCode) -> Response {
    let shown = Arc::clone(&desk.shown.borrow());
    let response = match resource::read(path, &shown) {
        Ok(node) => (status, Json(node)).into_response(),
        // Somebody has deleted it since.
        Err(refusal) => answer::refuse(StatusCode::NOT_FOUND, &refusal),
    };
    answer::tagged(shown.revision, response)
}

/// What can be done to objects of the kind.
fn methods(path: &Path) -> String {
    let row = Row::of(path);
    let all = [
        (true, "GET, HEAD"),
        (row.create.is_some(), "PUT"),
        (row.grow.is_some(), "POST"),
        (row.is_changeable(path), "PATCH"),
        (row.delete.is_some(), "DELETE"),
    ];
    all.into_iter().filter(|(can, _)| *can).map(|(_, name)| name).collect::<Vec<_>>().join(", ")
}

fn path(at: At) -> Result<Path, Refusal> {
    match at {
        Ok(Some(Place(text))) => format!("/{text}").parse(),
        Ok(None) => Ok(Path::Root),
        Err(error) => Err(Refusal::invalid(error.body_text())),
    }
}
