//! Long work: what goes on while whoever asked for it does something else, and can be looked at, waited for and called off.
//!
//! A request with `Prefer: respond-async` that would change something is answered at once, with where its work is found. What the work comes to is
//! what the request would have been answered otherwise: nothing of how it is carried out is another. So many works are known at a time; the
//! oldest that have ended are forgotten.

use super::api::BODY_BYTES_MAX;
use super::audit::Asked;
use super::lines::Desk;
use super::{answer, drain};
use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Path as Place, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use core::time::Duration;
use felio_client::Draining;
use felio_control::view::{Event, Snapshot, WorkState, WorkView};
use felio_control::{Refusal, RefusalKind};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{broadcast, watch};

/// Works that are known, and the longest result of one that is kept.
const WORKS_MAX: usize = 64;
const RESULT_BYTES_MAX: usize = 1 << 20;

/// How soon after one event about a work there is another one.
const NEWS: Duration = Duration::from_millis(200);

//= RFC 7240 "The respond-async Preference"
const PREFER: HeaderName = HeaderName::from_static("prefer");
const APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const ASYNC: &str = "respond-async";

/// All works.
#[derive(Clone)]
pub(super) struct Works {
    all: Arc<Mutex<BTreeMap<u64, Work>>>,
    news: News,
}

/// Where it is told what becomes of works.
#[derive(Clone)]
struct News {
    events: broadcast::Sender<Event>,
    shown: watch::Receiver<Arc<Snapshot>>,
}

/// A work, for whoever does it and whoever looks at it.
#[derive(Clone)]
pub(super) struct Work {
    state: Arc<Mutex<Progress>>,
    news: News,
}

struct Progress {
    view: WorkView,
    is_unwanted: bool,
    told: Instant,
}

impl Works {
    pub(super) fn new(events: broadcast::Sender<Event>, shown: watch::Receiver<Arc<Snapshot>>) -> Self {
        Self { all: Arc::default(), news: News { events, shown } }
    }

    /// A new one, unless too many go on.
    fn begin(&self, what: String) -> Option<Work> {
        let mut all = held(&self.all);
        if all.len() >= WORKS_MAX {
            let mut ended = all.iter().filter(|(_, work)| held(&work.state).view.state != WorkState::Running);
            let oldest = ended.next().map(|(id, _)| *id)?;
            all.remove(&oldest);
        }
        // Nobody takes one of an earlier run for one of this.
        let id = all.keys().next_back().map_or(u64::from(std::process::id()) << 20, |last| last + 1);
        let view = WorkView { id, what, ..WorkView::default() };
        let state = Arc::new(Mutex::new(Progress { view, is_unwanted: false, told: Instant::now() }));
        let work = Work { state, news: self.news.clone() };
        all.insert(id, work.clone());
        Some(work)
    }

    fn find(&self, id: &str) -> Result<Work, Refusal> {
        let found = id.parse().ok().and_then(|id: u64| held(&self.all).get(&id).cloned());
        found.ok_or_else(|| {
            Refusal::new(RefusalKind::NotFound, format!("there is no work {id}, or not any more"))
                .hint("GET /v1/work lists what there is")
        })
    }
}

impl Work {
    /// So much is done; a refusal if nobody wants the rest.
    pub(super) fn reach(&self, done: u64, total: u64) -> Result<(), Refusal> {
        let mut state = held(&self.state);
        if state.is_unwanted {
            return Err(Refusal::new(RefusalKind::Busy, "it was called off"));
        }
        (state.view.done, state.view.total) = (done, total);
        if state.told.elapsed() >= NEWS {
            state.told = Instant::now();
            self.news.tell(&state.view);
        }
        Ok(())
    }

    fn view(&self) -> WorkView {
        held(&self.state).view.clone()
    }

    /// Waits for the answer that it comes to.
    async fn carry_out(self, answer: impl Future<Output = Response>) {
        let (head, body) = answer.await.into_parts();
        let body = to_bytes(body, RESULT_BYTES_MAX).await.unwrap_or_default();
        let mut state = held(&self.state);
        let is_unwanted = state.is_unwanted;
        let view = &mut state.view;
        if head.status.is_success() {
            (view.state, view.done) = (WorkState::Done, view.total);
            view.result = serde_json::from_slice(&body).ok();
        } else {
            view.state = if is_unwanted { WorkState::Cancelled } else { WorkState::Failed };
            let unsaid = || Refusal::invalid(format!("it was answered {}", head.status));
            view.error = Some(serde_json::from_slice(&body).unwrap_or_else(|_| unsaid()));
        }
        self.news.tell(view);
    }
}

impl News {
    fn tell(&self, view: &WorkView) {
        let revision = self.shown.borrow().revision;
        let _ = self.events.send(Event {
            event: "work".to_owned(),
            text: view.to_string(),
            path: None,
            revision,
        });
    }
}

fn held<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers at once, where whoever asks prefers that and something would be changed.
pub(super) async fn perhaps_later(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    if request.method().is_safe() || !prefers_later(request.headers()) {
        return next.run(request).await;
    }
    let (mut head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        let refusal = Refusal::invalid("the body is too long, or did not come as a whole");
        return answer::refuse(StatusCode::PAYLOAD_TOO_LARGE, &refusal);
    };
    let Some(work) = desk.works.begin(format!("{} {}", head.method, head.uri.path())) else {
        let refusal = Refusal::new(RefusalKind::TooMany, format!("{WORKS_MAX} works are going on"));
        return answer::refuse(StatusCode::CONFLICT, &refusal.hint("GET /v1/work lists them"));
    };
    head.extensions.insert(work.clone());
    let view = work.view();
    tokio::spawn(work.carry_out(next.run(Request::from_parts(head, Body::from(body)))));
    let place = [(header::LOCATION, format!("/v1/work/{}", view.id))];
    let applied = [(APPLIED, HeaderValue::from_static(ASYNC))];
    (StatusCode::ACCEPTED, place, applied, Json(view)).into_response()
}

fn prefers_later(headers: &HeaderMap) -> bool {
    let values = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let mut all = values.flat_map(|value| value.split([',', ';']));
    all.any(|preference| preference.trim().eq_ignore_ascii_case(ASYNC))
}

pub(super) async fn list(State(desk): State<Desk>) -> Response {
    let all: Vec<WorkView> = held(&desk.works.all).values().map(Work::view).collect();
    Json(all).into_response()
}

pub(super) async fn read(State(desk): State<Desk>, Place(id): Place<String>) -> Response {
    answer::answer(Some(desk.works.find(&id).map(|work| work.view())))
}

/// Nobody wants it any more: it ends where it can.
pub(super) async fn cancel(State(desk): State<Desk>, Place(id): Place<String>) -> Response {
    let cancel = |work: Work| {
        held(&work.state).is_unwanted = true;
        work.view()
    };
    answer::answer(Some(desk.works.find(&id).map(cancel)))
}

/// Drains something, and tells what has not ended in time.
pub(super) async fn drain(Asked(desk): Asked, answer::Body(what): answer::Body<Draining>) -> Response {
    let Draining { path, off, timeout } = what;
    let within = (!off).then(|| Duration::from_secs(timeout.into()));
    let drain = move || drain::drain(&desk, &path, within);
    answer::answer(tokio::task::spawn_blocking(drain).await.ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn works() -> Works {
        Works::new(broadcast::Sender::new(1), watch::Sender::default().subscribe())
    }

    #[test]
    fn the_oldest_that_has_ended_makes_room_and_what_goes_on_stays() {
        let works = works();
        let begun: Vec<Work> = (0..WORKS_MAX).filter_map(|_| works.begin(String::new())).collect();
        assert_eq!(begun.len(), WORKS_MAX);
        assert!(works.begin(String::new()).is_none(), "all go on");
        held(&begun[3].state).view.state = WorkState::Done;
        assert!(works.begin(String::new()).is_some());
        assert!(works.find(&begun[3].view().id.to_string()).is_err());
        assert!(works.find(&begun[0].view().id.to_string()).is_ok());
    }

    #[test]
    fn a_preference_may_stand_among_others() {
        let prefers = |text: &'static str| {
            prefers_later(&[(PREFER, HeaderValue::from_static(text))].into_iter().collect())
        };
        assert!(prefers("respond-async") && prefers("wait=10, Respond-Async"));
        assert!(!prefers("return=minimal"));
    }
}
