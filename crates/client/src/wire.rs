//! Connections to a daemon, and requests as HTTP has them.

use felio_control::{Refusal, RefusalKind};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use tokio::net::UnixStream;

/// Where a daemon is asked.
#[derive(Debug)]
pub(crate) enum Server {
    /// A Unix socket.
    Socket(PathBuf),
}

/// A connection that can take a request.
pub(crate) type Idle = SendRequest<Full<Bytes>>;

pub(crate) type BoxError = Box<dyn core::error::Error + Send + Sync>;

impl Server {
    /// A request to it.
    pub(crate) fn request(
        &self,
        method: Method,
        route: &str,
        body: Vec<u8>,
        only_at: Option<u64>,
    ) -> Result<Request<Full<Bytes>>, Refusal> {
        let mut request = Request::builder().method(method).uri(route).header(header::HOST, "felio");
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(revision) = only_at {
            request = request.header(header::IF_MATCH, format!("\"{revision}\""));
        }
        request.body(Full::new(Bytes::from(body))).map_err(|error| Refusal::invalid(error.to_string()))
    }

    /// Sends a request, on the connection that was used before if the daemon has not closed it; whether it was carried out, and the answer.
    pub(crate) async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        idle: &Mutex<Option<Idle>>,
    ) -> Result<(bool, Bytes), BoxError> {
        let kept = || idle.lock().unwrap_or_else(PoisonError::into_inner);
        let last = kept().take();
        let mut connection = match last {
            Some(last) => self.still_open(last).await?,
            None => self.connect().await?,
        };
        let response = connection.send_request(request).await?;
        let is_good = response.status().is_success();
        let answer = response.into_body().collect().await?.to_bytes();
        *kept() = Some(connection);
        Ok((is_good, answer))
    }

    /// A connection, or another one if the daemon has closed it.
    async fn still_open(&self, mut connection: Idle) -> Result<Idle, BoxError> {
        if connection.ready().await.is_ok() { Ok(connection) } else { self.connect().await }
    }

    /// A new connection.
    pub(crate) async fn connect(&self) -> Result<Idle, BoxError> {
        let (sender, connection) = match self {
            Self::Socket(path) => handshake(TokioIo::new(UnixStream::connect(path).await?)).await?,
        };
        // It ends when the daemon or the sender is gone.
        drop(tokio::spawn(connection));
        Ok(sender)
    }

    /// It does not answer.
    pub(crate) fn silent(&self, why: &str) -> Refusal {
        match self {
            Self::Socket(path) => {
                let what = format!("no answer from the daemon on {}: {why}", path.display());
                Refusal::new(RefusalKind::Busy, what)
                    .hint("is it running? `felio daemon` starts it, --socket PATH says where it is")
            }
        }
    }
}
