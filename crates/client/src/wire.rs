//! Connections to a daemon, and requests as HTTP has them.

use crate::{Access, tls};
use core::time::Duration;
use felio_control::{Refusal, RefusalKind};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper::header::HeaderValue;
use hyper::{Method, Response, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// How long it may take until a daemon elsewhere has taken a connection and shown its certificate.
const CONNECTING: Duration = Duration::from_secs(15);

/// The port of HTTPS, where an address has none.
const PORT: u16 = 443;

/// Where a daemon is asked.
#[derive(Debug)]
pub(crate) enum Server {
    /// A Unix socket.
    Socket(PathBuf),
    /// Elsewhere, by TLS.
    Remote(Box<Remote>),
}

/// A daemon that is asked over a network.
pub(crate) struct Remote {
    /// Host and port, as they were given.
    authority: String,
    host: String,
    port: u16,
    name: ServerName<'static>,
    /// The header field that says who we are.
    bearer: Option<HeaderValue>,
    connector: TlsConnector,
}

pub(crate) type Request = hyper::Request<Full<Bytes>>;

/// A connection that can take a request.
pub(crate) type Idle = SendRequest<Full<Bytes>>;

pub(crate) type BoxError = Box<dyn core::error::Error + Send + Sync>;

impl Remote {
    pub(crate) fn new(url: &str, access: &Access) -> Result<Self, Refusal> {
        let wrong = |why: &str| {
            Refusal::invalid(format!("{url}: {why}"))
                .hint("it is https://HOST:PORT, as felio daemon prints it")
        };
        let uri: Uri = url.parse().map_err(|_| wrong("not an address"))?;
        let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let authority = uri.authority().filter(|_| uri.scheme_str() == Some("https") && is_bare);
        let authority = authority.ok_or_else(|| wrong("not an address of a daemon"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host.clone())
            .map_err(|_| wrong("its host is neither a name nor an address"))?;
        let bearer = access.token.as_ref().map(|token| {
            let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                .map_err(|_| Refusal::invalid("the token has characters that no token has"))?;
            value.set_sensitive(true);
            Ok(value)
        });
        Ok(Self {
            authority: authority.to_string(),
            host,
            port: authority.port_u16().unwrap_or(PORT),
            name,
            bearer: bearer.transpose()?,
            connector: tls::trust(access.ca.as_deref())?.into(),
        })
    }

    async fn connect(&self) -> Result<Idle, BoxError> {
        let connect = async {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
            stream.set_nodelay(true)?;
            self.connector.connect(self.name.clone(), stream).await
        };
        let stream =
            tokio::time::timeout(CONNECTING, connect).await.map_err(|_| "it does not answer in time")?;
        Ok(drive(handshake(TokioIo::new(stream?)).await?))
    }
}

impl core::fmt::Debug for Remote {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Remote").field("authority", &self.authority).finish_non_exhaustive()
    }
}

impl Server {
    /// A request to it.
    pub(crate) fn request(
        &self,
        method: Method,
        route: &str,
        body: Vec<u8>,
        only_at: Option<u64>,
    ) -> Result<Request, Refusal> {
        let mut request = hyper::Request::builder().method(method).uri(route);
        request = match self {
            Self::Socket(_) => request.header(header::HOST, "felio"),
            Self::Remote(remote) => request.header(header::HOST, &remote.authority),
        };
        if let Self::Remote(remote) = self
            && let Some(bearer) = &remote.bearer
        {
            request = request.header(header::AUTHORIZATION, bearer);
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(revision) = only_at {
            request = request.header(header::IF_MATCH, format!("\"{revision}\""));
        }
        request.body(Full::new(Bytes::from(body))).map_err(|error| Refusal::invalid(error.to_string()))
    }

    /// Sends a request, on the connection that was used before if the daemon has not closed it; its status, and the answer.
    pub(crate) async fn exchange(
        &self,
        request: Request,
        idle: &Mutex<Option<Idle>>,
    ) -> Result<(StatusCode, Bytes), BoxError> {
        let kept = || idle.lock().unwrap_or_else(PoisonError::into_inner);
        let last = kept().take();
        let (connection, response) = self.send(last, request).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        *kept() = Some(connection);
        Ok((status, answer))
    }

    /// Sends a request on a connection that is there, or on a new one where the daemon has closed it before it got anything of the request.
    pub(crate) async fn send(
        &self,
        last: Option<Idle>,
        mut request: Request,
    ) -> Result<(Idle, Response<Incoming>), BoxError> {
        if let Some(mut last) = last
            && last.ready().await.is_ok()
        {
            match last.try_send_request(request).await {
                Ok(response) => return Ok((last, response)),
                Err(mut failed) => request = failed.take_message().ok_or_else(|| failed.into_error())?,
            }
        }
        let mut connection = self.connect().await?;
        let response = connection.send_request(request).await?;
        Ok((connection, response))
    }

    /// A new connection.
    async fn connect(&self) -> Result<Idle, BoxError> {
        match self {
            Self::Socket(path) => Ok(drive(handshake(TokioIo::new(UnixStream::connect(path).await?)).await?)),
            Self::Remote(remote) => remote.connect().await,
        }
    }

    /// It does not answer.
    pub(crate) fn silent(&self, why: &str) -> Refusal {
        let (place, hint) = match self {
            Self::Socket(path) => (
                path.display().to_string(),
                "is it running? `felio daemon` starts it, --socket PATH says where it is",
            ),
            Self::Remote(remote) => (
                format!("https://{}", remote.authority),
                "is it running with --listen? --ca FILE names the certificate of whoever has signed its own",
            ),
        };
        Refusal::new(RefusalKind::Busy, format!("no answer from the daemon on {place}: {why}")).hint(hint)
    }
}

/// Lets a connection go on by itself. It ends when the daemon or the sender is gone.
fn drive<S, B>((sender, connection): (SendRequest<B>, Connection<S, B>)) -> SendRequest<B>
where
    S: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    drop(tokio::spawn(connection));
    sender
}
