//! Connections to a daemon, and requests as HTTP has them.

use crate::{Access, tls};
use core::pin::pin;
use core::time::Duration;
use felio_control::{Refusal, RefusalKind};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper::header::HeaderValue;
use hyper::{Method, Response, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use rustix::net::sockopt;
use rustls::pki_types::ServerName;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How patient we are with a daemon elsewhere.
const PATIENCE: Patience =
    Patience { connecting: Duration::from_secs(15), answering: Duration::from_secs(30) };

/// How long a connection on which nothing comes is not asked for signs of life, and how long they may be missing.
const ALIVE: Duration = Duration::from_secs(10);
const LOST_MILLIS: u32 = 30_000;

/// How long a daemon elsewhere may say nothing where it tells what happens: it sends something every fifteen seconds.
const SILENCE: Duration = Duration::from_secs(60);

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
    patience: Patience,
}

#[derive(Clone, Copy)]
struct Patience {
    /// Until it has taken a connection and shown its certificate; and until it has said that it is there, where it is asked that.
    connecting: Duration,
    /// Until an answer begins; then it is asked whether it is there.
    answering: Duration,
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
            patience: PATIENCE,
        })
    }

    async fn connect(&self) -> Result<Idle, BoxError> {
        let Patience { connecting, .. } = self.patience;
        let late = |_| format!("it has not taken a connection for {} s", connecting.as_secs());
        timeout(connecting, self.open()).await.map_err(late)?
    }

    async fn open(&self) -> Result<Idle, BoxError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        // Who waits for an answer sends nothing, and would never hear that the other machine is gone.
        sockopt::set_socket_keepalive(&stream, true)?;
        sockopt::set_tcp_keepidle(&stream, ALIVE)?;
        sockopt::set_tcp_keepintvl(&stream, ALIVE)?;
        sockopt::set_tcp_user_timeout(&stream, LOST_MILLIS)?;
        let stream = self.connector.connect(self.name.clone(), stream).await?;
        Ok(drive(handshake(TokioIo::new(stream)).await?))
    }

    /// Whether anything comes back for a request, be it that there are too many connections.
    async fn is_there(&self, request: Request) -> bool {
        let ask = async { self.open().await?.send_request(request).await.map_err(BoxError::from) };
        timeout(self.patience.connecting, ask).await.is_ok()
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
        let answer = self.awaited(response.into_body().collect()).await??.to_bytes();
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
            match self.awaited(last.try_send_request(request)).await? {
                Ok(response) => return Ok((last, response)),
                Err(mut failed) => request = failed.take_message().ok_or_else(|| failed.into_error())?,
            }
        }
        let mut connection = self.connect().await?;
        let response = self.awaited(connection.send_request(request)).await??;
        Ok((connection, response))
    }

    /// Waits for an answer, or what is left of it. What was asked for may take as long as it likes (a drain, a large configuration), but who says
    /// nothing for long is asked, on another connection, whether they are there at all. Who is on this machine is never in doubt.
    async fn awaited<T>(&self, answer: impl Future<Output = T>) -> Result<T, BoxError> {
        let Self::Remote(remote) = self else { return Ok(answer.await) };
        let mut answer = pin!(answer);
        loop {
            if let Ok(answered) = timeout(remote.patience.answering, &mut answer).await {
                return Ok(answered);
            }
            let request = self.request(Method::GET, "/v1/revision", Vec::new(), None);
            if !remote.is_there(request.map_err(|refusal| refusal.what)?).await {
                let silence = (remote.patience.answering + remote.patience.connecting).as_secs();
                let what = format!(
                    "it has said nothing for {silence} s; what was asked for may be done nevertheless"
                );
                return Err(what.into());
            }
        }
    }

    /// How long there may be nothing on a connection on which something comes now and then.
    pub(crate) fn silence_max(&self) -> Option<Duration> {
        match self {
            Self::Socket(_) => None,
            Self::Remote(_) => Some(SILENCE),
        }
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
                "does it run there with --listen (`systemctl status felio`), and does a firewall let this through? --ca FILE names the certificate of whoever has signed its own",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Client;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{ServerConfig, ServerConnection, StreamOwned};
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::process::Command;
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use tempfile::TempDir;

    type Stream = StreamOwned<ServerConnection, std::net::TcpStream>;

    /// Somebody who listens, and a client that believes them and is so patient.
    struct Scene {
        folder: TempDir,
        listener: TcpListener,
        client: Client,
    }

    impl Scene {
        fn new(connecting: Duration, answering: Duration) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=felio \
                -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem";
            let made = Command::new("openssl").args(words.split_whitespace()).current_dir(&folder).output();
            assert!(made.expect("openssl runs").status.success());
            let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
            let access = Access { token: None, ca: Some(folder.path().join("cert.pem")) };
            let url = format!("https://{}", listener.local_addr().expect("bound"));
            let mut remote = Remote::new(&url, &access).expect("an address");
            remote.patience = Patience { connecting, answering };
            let client = Client::of(Server::Remote(Box::new(remote))).expect("a runtime");
            Self { folder, listener, client }
        }

        /// Serves every connection by `serve`, in a thread of its own; its number is passed on.
        fn serve(&self, serve: impl Fn(usize, Stream) + Send + Clone + 'static) {
            let path = |name: &str| self.folder.path().join(name);
            let cert = CertificateDer::from_pem_file(path("cert.pem")).expect("PEM");
            let key = PrivateKeyDer::from_pem_file(path("key.pem")).expect("PEM");
            let config = ServerConfig::builder_with_provider(tls::provider().expect("a processor of today"));
            let config = config.with_safe_default_protocol_versions().expect("TLS 1.2 and 1.3");
            let config =
                Arc::new(config.with_no_client_auth().with_single_cert(vec![cert], key).expect("a pair"));
            let listener = self.listener.try_clone().expect("a descriptor");
            std::thread::spawn(move || {
                for (number, stream) in listener.incoming().map_while(Result::ok).enumerate() {
                    let tls = ServerConnection::new(Arc::clone(&config)).expect("a configuration");
                    let serve = serve.clone();
                    std::thread::spawn(move || serve(number, StreamOwned::new(tls, stream)));
                }
            });
        }
    }

    /// Reads a request without a body; false at the end.
    fn read(stream: &mut Stream) -> bool {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if !matches!(stream.read(&mut byte), Ok(1)) {
                return false;
            }
            head.extend_from_slice(&byte);
        }
        true
    }

    fn answer(stream: &mut Stream) {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n7").expect("somebody reads");
        stream.flush().expect("somebody reads");
    }

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(120);

    #[test]
    fn who_takes_no_connection_is_given_up_with_what_to_do() {
        let scene = Scene::new(SHORT, LONG);
        let refusal = scene.client.revision().expect_err("nobody is there");
        assert_eq!(refusal.kind, RefusalKind::Busy);
        assert!(refusal.what.contains("it has not taken a connection"), "{}", refusal.what);
        assert!(refusal.hint.is_some_and(|hint| hint.contains("systemctl status felio")));
    }

    #[test]
    fn who_takes_requests_and_never_answers_is_given_up() {
        let scene = Scene::new(Duration::from_secs(3), SHORT);
        scene.serve(|_, mut stream| while read(&mut stream) {});
        let refusal = scene.client.revision().expect_err("nobody answers");
        assert!(refusal.what.contains("it has said nothing"), "{}", refusal.what);
        assert!(refusal.what.contains("may be done nevertheless"), "{}", refusal.what);
    }

    #[test]
    fn what_takes_long_is_waited_for_as_long_as_the_daemon_is_there() {
        let scene = Scene::new(LONG, SHORT);
        let (asked, was_asked): (Sender<()>, Receiver<()>) = channel();
        let was_asked = Arc::new(Mutex::new(was_asked));
        scene.serve(move |number, mut stream| {
            assert!(read(&mut stream));
            match number {
                // What was asked first is done when the other two have been answered.
                0 => (0..2).for_each(|_| was_asked.lock().expect("it is ours").recv().expect("another asks")),
                _ => asked.send(()).expect("it waits"),
            }
            answer(&mut stream);
        });
        assert_eq!(scene.client.revision(), Ok(7));
    }
}
