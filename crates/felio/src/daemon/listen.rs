//! HTTP on TCP, with TLS or without: the one place where the daemon listens for browsers, for Prometheus and for those who manage it from afar.
//!
//! Whoever connects is a stranger until a router knows better. So there are bounds and deadlines before and after anything is read: on connections, in all
//! and of one address; on the handshake, on a request's head (and the time between two), on its body, and on what a peer does not take. Whoever
//! breaks one is gone, and nobody waits for it. Whoever is let in is checked by the router, with each request.

use crate::failure::{Failure, Kind};
use crate::threads;
use axum::Router;
use axum::body::Body;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use hyper::Request;
use hyper::body::{Body as _, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt::set_tcp_user_timeout;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// Connections of a listener, and those of them that come from one place.
const CONNECTIONS_MAX: usize = 256;
const NEIGHBOURS_MAX: usize = 32;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a connection may have no whole head of a request, and how long that is at the most.
const HEAD: Duration = Duration::from_secs(20);
const HEAD_BYTES_MAX: usize = 32 << 10;

/// How long a body may take.
const BODY: Duration = Duration::from_secs(30);

/// How long a peer may not take what it is sent.
const OUTPUT_MILLIS: u32 = 30_000;

/// How soon to try again where the system has no descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// Whose request it is, as far as TCP knows.
#[derive(Clone, Copy)]
struct Peer(SocketAddr);

/// From which address a request comes.
pub(super) fn whence<B>(request: &Request<B>) -> String {
    request.extensions().get().map(|Peer(address)| address.to_string()).unwrap_or_default()
}

/// Listens there: who connects waits until somebody serves. Where that is.
pub(super) fn bind(option: &str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let bound = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let local = listener.local_addr()?;
        Ok((listener, local))
    };
    bound().map_err(|error: std::io::Error| {
        Failure::new(Kind::Listening, format!("cannot listen on {address}: {error}"))
            .hint(format!("{option} ADDR:PORT chooses another place; port 0 is any that is free"))
    })
}

/// Answers from now on, in a thread of its own.
pub(super) fn serve(
    name: &str,
    listener: TcpListener,
    tls: Option<watch::Receiver<TlsAcceptor>>,
    router: Router,
) -> Result<(), Failure> {
    let serve = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        let _ = runtime.block_on(accept(listener, tls, router));
    };
    threads::spawn(name, serve)
}

async fn accept(
    listener: TcpListener,
    tls: Option<watch::Receiver<TlsAcceptor>>,
    router: Router,
) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let crowd = Crowd::default();
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        // Too many: this one is closed.
        let Some(place) = crowd.admit(peer.ip()) else { continue };
        let (tls, router) = (tls.as_ref().map(|tls| tls.borrow().clone()), router.clone());
        tokio::spawn(async move {
            talk(stream, peer, tls, router).await;
            drop(place);
        });
    }
}

/// Until one of the two has had enough.
async fn talk(stream: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>, router: Router) {
    let _ = stream.set_nodelay(true);
    if set_tcp_user_timeout(&stream, OUTPUT_MILLIS).is_err() {
        return;
    }
    match tls {
        None => exchange(stream, peer, router).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(stream)).await {
                exchange(stream, peer, router).await;
            }
        }
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    router: Router,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        router.call(request.map(timely))
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES_MAX);
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

/// A body that comes in time, or not at all.
fn timely(body: Incoming) -> Body {
    match body.is_end_stream() {
        true => Body::empty(),
        false => Body::new(Timely { body, late: Box::pin(sleep(BODY)) }),
    }
}

struct Timely {
    body: Incoming,
    late: Pin<Box<Sleep>>,
}

impl hyper::body::Body for Timely {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        if self.late.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err("the body did not come in time".into())));
        }
        Pin::new(&mut self.body).poll_frame(context).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How many are connected, by where they come from.
#[derive(Clone, Default)]
struct Crowd(Arc<Mutex<BTreeMap<IpAddr, usize>>>);

impl Crowd {
    /// A place for somebody, if there is one.
    fn admit(&self, address: IpAddr) -> Option<Place> {
        let from = neighbourhood(address);
        let mut crowd = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let neighbours = crowd.get(&from).copied().unwrap_or(0);
        if neighbours >= NEIGHBOURS_MAX || crowd.values().sum::<usize>() >= CONNECTIONS_MAX {
            return None;
        }
        crowd.insert(from, neighbours + 1);
        Some(Place { crowd: self.clone(), from })
    }
}

/// A place in the crowd, until it is dropped.
struct Place {
    crowd: Crowd,
    from: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut crowd = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        match crowd.get_mut(&self.from) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(crowd.remove(&self.from)),
        }
    }
}

/// What somebody has addresses of at will: one of IPv4, the lower half of IPv6.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_from_one_place_leave_room_for_others() {
        let crowd = Crowd::default();
        let admit = |text: &str| crowd.admit(text.parse().expect("an address"));
        let mut places: Vec<_> =
            (0..NEIGHBOURS_MAX).map(|_| admit("2001:db8::1").expect("there is room")).collect();
        assert!(admit("2001:db8::2").is_none(), "the same network");
        assert!(admit("2001:db8:0:1::1").is_some());
        assert!(admit("192.0.2.1").is_some());
        places.pop();
        assert!(admit("2001:db8::2").is_some(), "one has left");
    }

    #[test]
    fn there_is_a_bound_on_all_together() {
        let crowd = Crowd::default();
        let admit = |last: usize| crowd.admit(IpAddr::from([192, 0, 2, u8::try_from(last).expect("small")]));
        let places: Vec<_> = (0..CONNECTIONS_MAX).map(|at| admit(at / 2).expect("there is room")).collect();
        assert!(admit(200).is_none());
        drop(places);
        assert!(admit(200).is_some());
        assert!(crowd.0.lock().expect("nobody has it").is_empty(), "nobody is remembered");
    }
}
