//! `GET /v1/events`: what happens, as it happens, to whoever holds the connection open. Server-sent events, each a JSON object.
//!
//! The first is `watching`: whoever asks for what is there after it misses nothing. Who does not take them as fast as they come is told
//! how many are missing (`missed`), and nobody waits for that.

use super::lines::Desk;
use axum::extract::State;
use axum::response::sse::{Event as Line, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use core::convert::Infallible;
use felio_control::view::Event;
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::broadcast::error::RecvError;

pub(super) async fn watch(State(desk): State<Desk>) -> Response {
    let receiver = desk.events.subscribe();
    let revision = desk.shown.borrow().revision;
    let about_all =
        |event: &str, text: String, revision| Event { event: event.to_owned(), text, path: None, revision };
    let first = about_all("watching", "from now on".to_owned(), revision);
    let later = stream::unfold((receiver, desk), move |(mut receiver, desk)| async move {
        let event = match receiver.recv().await {
            Ok(event) => event,
            Err(RecvError::Lagged(count)) => {
                let revision = desk.shown.borrow().revision;
                about_all("missed", format!("{count} events came too fast"), revision)
            }
            Err(RecvError::Closed) => return None,
        };
        Some((event, (receiver, desk)))
    });
    let lines = stream::iter([first]).chain(later).map(|event| {
        let data = serde_json::to_string(&event).unwrap_or_default();
        Ok::<_, Infallible>(Line::default().event(event.event).data(data))
    });
    Sse::new(lines).keep_alive(KeepAlive::default()).into_response()
}
