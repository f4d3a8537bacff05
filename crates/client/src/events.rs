//! What happens, as the daemon tells it: an iterator that waits for the next.

use crate::runtime;
use crate::wire::{BoxError, Idle, Server};
use core::time::Duration;
use felio_control::view::Event;
use felio_control::{Refusal, RefusalKind};
use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::body::Incoming;
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// More than any event has.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// Events; the first is `watching`. Ends when the daemon does.
#[derive(Debug)]
pub struct Events {
    runtime: Runtime,
    /// As long as it lives the connection does.
    _connection: Idle,
    body: Incoming,
    /// How long nothing may come.
    silence_max: Option<Duration>,
    /// What has come and is no whole line yet.
    rest: Vec<u8>,
}

impl Events {
    pub(crate) fn of(server: &Server) -> Result<Self, Refusal> {
        let runtime = runtime()?;
        let request = server.request(Method::GET, "/v1/events", Vec::new(), None)?;
        let asked = runtime.block_on(async {
            let (connection, response) = server.send(None, request).await?;
            let is_good = response.status().is_success();
            let body = response.into_body();
            let refused = if is_good { Ok(body) } else { Err(body.collect().await?.to_bytes()) };
            Ok((connection, refused))
        });
        let (connection, body) = asked.map_err(|error: BoxError| server.silent(&error.to_string()))?;
        let body = body.map_err(|refused| crate::refusal(&refused))?;
        Ok(Self {
            runtime,
            _connection: connection,
            body,
            silence_max: server.silence_max(),
            rest: Vec::new(),
        })
    }

    /// A line that has come as a whole.
    fn poll_line(&mut self) -> Option<Vec<u8>> {
        let end = self.rest.iter().position(|byte| *byte == b'\n')?;
        let later = self.rest.split_off(end + 1);
        Some(core::mem::replace(&mut self.rest, later))
    }
}

impl Iterator for Events {
    type Item = Result<Event, Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(line) = self.poll_line() {
                // Every event is one line of data; names and comments say nothing more.
                let Some(data) = line.strip_prefix(b"data: ") else { continue };
                let garbled = |error: serde_json::Error| {
                    Refusal::new(RefusalKind::Busy, format!("an event is not understood: {error}"))
                        .hint("is the daemon of the same version?")
                };
                return Some(serde_json::from_slice(data).map_err(garbled));
            }
            if self.rest.len() > EVENT_BYTES_MAX {
                return Some(Err(Refusal::new(RefusalKind::Busy, "an event has no end")));
            }
            let next = async {
                match self.silence_max {
                    Some(silence_max) => timeout(silence_max, self.body.frame()).await,
                    None => Ok(self.body.frame().await),
                }
            };
            let Ok(frame) = self.runtime.block_on(next) else {
                let what = "the daemon, or the way to it, is gone: not even a sign of life comes";
                return Some(Err(Refusal::new(RefusalKind::Busy, what).hint("ask again")));
            };
            let data = frame?.ok()?.into_data().unwrap_or_default();
            self.rest.extend_from_slice(&data);
        }
    }
}
