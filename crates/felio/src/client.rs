//! The other side of the daemon's socket: one request, one answer.

use crate::failure::{Failure, Kind};
use felio_control::{Refusal, RefusalKind};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

/// A daemon, by its socket.
#[derive(Debug)]
pub(crate) struct Client {
    socket: PathBuf,
    runtime: Runtime,
    /// The connection on which the last answer came, for the next request.
    idle: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl Client {
    /// The daemon that answers on `socket`.
    pub(crate) fn new(socket: &Path) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_io().build();
        let runtime = runtime.map_err(|error| Failure::new(Kind::Running, error.to_string()))?;
        Ok(Self { socket: socket.to_path_buf(), runtime, idle: Mutex::new(None) })
    }

    /// What is there.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Refusal> {
        self.request(Method::GET, path, Vec::new())
    }

    /// Does something.
    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Refusal> {
        let body = serde_json::to_vec(body).map_err(|error| Refusal::invalid(error.to_string()))?;
        self.request(Method::POST, path, body)
    }

    fn request<T: DeserializeOwned>(&self, method: Method, path: &str, body: Vec<u8>) -> Result<T, Refusal> {
        let (is_good, answer) =
            self.runtime.block_on(self.exchange(method, path, body)).map_err(|error| {
                let what = format!("no answer from the daemon on {}: {error}", self.socket.display());
                Refusal::new(RefusalKind::Busy, what)
                    .hint("is it running? `felio daemon` starts it, --socket PATH says where it is")
            })?;
        let garbled = |error: serde_json::Error| {
            let text = String::from_utf8_lossy(&answer);
            Refusal::new(RefusalKind::Busy, format!("the daemon's answer is not understood: {error}: {text}"))
                .hint("is the daemon of the same version?")
        };
        if is_good {
            return serde_json::from_slice(&answer).map_err(garbled);
        }
        Err(serde_json::from_slice::<Refusal>(&answer).unwrap_or_else(garbled))
    }

    async fn exchange(&self, method: Method, path: &str, body: Vec<u8>) -> Result<(bool, Bytes), BoxError> {
        let mut sender = self.connection().await?;
        let request = Request::builder()
            .method(method)
            .uri(Uri::try_from(path)?)
            .header("host", "felio")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let response = sender.send_request(request).await?;
        let is_good = response.status().is_success();
        let answer = response.into_body().collect().await?.to_bytes();
        *self.idle() = Some(sender);
        Ok((is_good, answer))
    }

    /// The one that was used before, if the daemon has not closed it.
    async fn connection(&self) -> Result<SendRequest<Full<Bytes>>, BoxError> {
        let idle = self.idle().take();
        if let Some(mut sender) = idle
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        let stream = TokioIo::new(UnixStream::connect(&self.socket).await?);
        let (sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
        // It ends when the daemon or the sender is gone.
        drop(tokio::spawn(connection));
        Ok(sender)
    }

    fn idle(&self) -> MutexGuard<'_, Option<SendRequest<Full<Bytes>>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;
