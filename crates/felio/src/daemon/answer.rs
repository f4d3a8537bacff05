//! Requests and answers, as HTTP has them: bodies that make no sense, refusals and their statuses, and the revision as an entity tag.

use super::lines::Desk;
use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use felio_control::{Refusal, RefusalKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A body in JSON. What is none is refused as everything is.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        match Json::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(refuse(rejection.status(), &Refusal::invalid(rejection.body_text()))),
        }
    }
}

/// What a request says of revisions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Revisions {
    /// `If-Match`: only at one of these.
    pub(super) only_at: Option<Vec<u64>>,
    /// `If-None-Match`: these are known.
    known: Vec<u64>,
}

impl Revisions {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let is_any = |text: &str| text.trim() == "*";
        Self {
            only_at: tags(headers, &header::IF_MATCH)
                .filter(|text| !is_any(text))
                .map(|text| text.split(',').filter_map(|tag| revision(tag.trim())).collect()),
            known: tags(headers, &header::IF_NONE_MATCH)
                .into_iter()
                .flat_map(|text| text.split(',').map(|tag| tag.trim().to_owned()).collect::<Vec<_>>())
                .filter_map(|tag| revision(tag.strip_prefix("W/").unwrap_or(&tag)))
                .collect(),
        }
    }

    /// What is at a revision, unless it is known.
    pub(super) fn answer(&self, revision: u64, answer: impl FnOnce() -> Response) -> Response {
        let answer = match self.known.contains(&revision) {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => answer(),
        };
        tagged(revision, answer)
    }
}

/// All tags of a header.
fn tags(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

fn revision(tag: &str) -> Option<u64> {
    tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

/// With the revision as its entity tag.
pub(super) fn tagged(revision: u64, mut answer: Response) -> Response {
    if let Ok(tag) = HeaderValue::try_from(format!("\"{revision}\"")) {
        answer.headers_mut().insert(header::ETAG, tag);
    }
    answer
}

/// What the desk has answered; `None` when it is gone.
pub(super) fn answer<T: Serialize>(answer: Option<Result<T, Refusal>>) -> Response {
    match answer {
        Some(Ok(value)) => Json(value).into_response(),
        Some(Err(refusal)) => refuse(status(refusal.kind), &refusal),
        None => gone(),
    }
}

/// The same, where it is about what is shown: with its revision by now.
pub(super) fn changed<T: Serialize>(desk: &Desk, done: Option<Result<T, Refusal>>) -> Response {
    let revision = desk.shown.borrow().revision;
    tagged(revision, answer(done))
}

pub(super) fn refuse(status: StatusCode, refusal: &Refusal) -> Response {
    (status, Json(refusal)).into_response()
}

pub(super) fn gone() -> Response {
    let refusal = Refusal::new(RefusalKind::Busy, "felio is about to end");
    refuse(StatusCode::SERVICE_UNAVAILABLE, &refusal)
}

pub(super) const fn status(kind: RefusalKind) -> StatusCode {
    match kind {
        RefusalKind::NotFound => StatusCode::NOT_FOUND,
        RefusalKind::Invalid | RefusalKind::NotSupported | RefusalKind::ReadOnly => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        RefusalKind::Exists | RefusalKind::InUse | RefusalKind::Busy | RefusalKind::TooMany => {
            StatusCode::CONFLICT
        }
        RefusalKind::Denied => StatusCode::FORBIDDEN,
        RefusalKind::Changed => StatusCode::PRECONDITION_FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(HeaderName, &'static str)], only_at: Option<&[u64]>, known: &[u64]) {
        let headers = pairs.iter().map(|(name, text)| (name.clone(), HeaderValue::from_static(text)));
        let want = Revisions { only_at: only_at.map(<[u64]>::to_vec), known: known.to_vec() };
        assert_eq!(Revisions::of(&headers.collect()), want);
    }

    #[test]
    fn revisions_are_entity_tags() {
        check(&[], None, &[]);
        check(&[(header::IF_MATCH, "\"7\"")], Some(&[7]), &[]);
        check(&[(header::IF_MATCH, "*")], None, &[]);
        check(&[(header::IF_MATCH, "\"7\", \"8\"")], Some(&[7, 8]), &[]);
        check(&[(header::IF_NONE_MATCH, "W/\"7\",\"x\"")], None, &[7]);
    }

    #[test]
    fn a_tag_that_is_no_revision_matches_none() {
        check(&[(header::IF_MATCH, "\"abc\"")], Some(&[]), &[]);
        check(&[(header::IF_MATCH, "W/\"7\"")], Some(&[]), &[]);
    }
}
