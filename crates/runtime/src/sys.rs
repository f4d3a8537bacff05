//! Linux, as a reactor needs it: sockets, listeners, epoll, eventfd, the clock, processors.
//!
//! Thin: every function is one system call or a few that belong together, and none blocks but [`Poller::wait`]. Readiness of
//! connections is edge-triggered, so that a connection costs no `epoll_ctl` after it was added; everything else is level-triggered.

use core::mem::MaybeUninit;
use core::time::Duration;
use felio_hal::Time;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, SocketFlags, SocketType, sockopt,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::CpuSet;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;

/// Slices in one send, at the most (IOV_MAX).
const SLICES_MAX: usize = 1024;

/// Events taken from epoll at a time.
const EVENTS_MAX: usize = 256;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// A silent peer is probed after this long, so often, and given up.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBES: u32 = 4;

/// Nanoseconds on the monotonic clock.
pub(crate) fn now() -> Time {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let (secs, nanos) = (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_nsec).unwrap_or(0));
    Time(secs.saturating_mul(1_000_000_000).saturating_add(nanos))
}

/// The wall clock when the monotonic clock was zero: milliseconds since 1970.
pub(crate) fn epoch_millis() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let since = Duration::from_nanos(self::now().0);
    u64::try_from(now.saturating_sub(since).as_millis()).unwrap_or(0)
}

/// A connected socket, non-blocking.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    /// The peer has sent its last byte, or the connection broke: an edge that comes only once.
    ended: bool,
}

/// What a socket did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transfer {
    /// Bytes moved, and all that fitted or was there.
    Some { bytes: usize, exhausted: bool },
    /// Nothing can move now.
    None,
    /// End of the stream, or broken.
    Over,
}

impl Socket {
    /// Readies a socket that was just accepted.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        // Each of these is a wish: a connection without it still works.
        let _ = sockopt::set_tcp_nodelay(&fd, true);
        let _ = sockopt::set_socket_keepalive(&fd, true);
        let _ = sockopt::set_tcp_keepidle(&fd, KEEPALIVE_IDLE);
        let _ = sockopt::set_tcp_keepintvl(&fd, KEEPALIVE_INTERVAL);
        let _ = sockopt::set_tcp_keepcnt(&fd, KEEPALIVE_PROBES);
        Self { fd, ended: false }
    }

    pub(crate) const fn set_ended(&mut self) {
        self.ended = true;
    }

    pub(crate) fn local(&self) -> Option<SocketAddr> {
        SocketAddr::try_from(rustix::net::getsockname(&self.fd).ok()?).ok()
    }

    pub(crate) fn receive(&self, into: &mut [IoSliceMut<'_>]) -> Transfer {
        let room: usize = into.iter().map(|slice| slice.len()).sum();
        let result = match into {
            [one] => rustix::net::recv(&self.fd, &mut **one, RecvFlags::empty()).map(|(bytes, _)| bytes),
            many => rustix::io::readv(&self.fd, many),
        };
        match result {
            Ok(0) => Transfer::Over,
            Ok(bytes) => Transfer::Some { bytes, exhausted: bytes < room && !self.ended },
            Err(Errno::AGAIN | Errno::INTR) => Transfer::None,
            Err(_) => Transfer::Over,
        }
    }

    pub(crate) fn send(&self, from: &[IoSlice<'_>]) -> Transfer {
        let from = &from[..from.len().min(SLICES_MAX)];
        let offered: usize = from.iter().map(|slice| slice.len()).sum();
        let result = match from {
            [one] => rustix::net::send(&self.fd, one, SendFlags::NOSIGNAL),
            many => {
                rustix::net::sendmsg(&self.fd, many, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)
            }
        };
        match result {
            Ok(bytes) => Transfer::Some { bytes, exhausted: bytes < offered },
            Err(Errno::AGAIN | Errno::INTR) => Transfer::None,
            Err(_) => Transfer::Over,
        }
    }

    /// Closes so that what was sent arrives: unread input would make the kernel reset the connection.
    pub(crate) fn close(self, scratch: &mut [u8]) {
        let _ = rustix::net::shutdown(&self.fd, Shutdown::Write);
        for _ in 0..4 {
            match rustix::net::recv(&self.fd, &mut *scratch, RecvFlags::empty()) {
                Ok((bytes, _)) if bytes == scratch.len() => {}
                _ => return,
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A listening socket, non-blocking.
#[derive(Debug)]
pub(crate) struct Listener(OwnedFd);

/// What [`Listener::accept`] came to.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// A connection.
    Connection(OwnedFd, SocketAddr),
    /// Nobody waits.
    None,
    /// No descriptor or memory is left for it.
    Exhausted,
}

/// What a socket on all addresses of IPv6 listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// Its own family; IPv4 is for a portal of its own.
    Own,
    /// IPv4 as well.
    Both,
}

impl Listener {
    pub(crate) fn bind(portal: SocketAddr, families: Families) -> io::Result<Self> {
        let family = if portal.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let fd = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        sockopt::set_socket_reuseaddr(&fd, true)?;
        if portal.is_ipv6() {
            sockopt::set_ipv6_v6only(&fd, families == Families::Own)?;
        }
        rustix::net::bind(&fd, &portal)?;
        rustix::net::listen(&fd, BACKLOG)?;
        Ok(Self(fd))
    }

    pub(crate) fn local(&self) -> io::Result<SocketAddr> {
        let local = rustix::net::getsockname(&self.0)?;
        SocketAddr::try_from(local).map_err(io::Error::from)
    }

    pub(crate) fn accept(&self) -> Accepted {
        match rustix::net::acceptfrom_with(&self.0, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok((fd, Some(peer))) => match SocketAddr::try_from(peer) {
                Ok(peer) => Accepted::Connection(fd, peer),
                Err(_) => Accepted::None,
            },
            Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => Accepted::Exhausted,
            // The others are of the connection that came (it is gone again) or say that none did.
            Ok((_, None)) | Err(_) => Accepted::None,
        }
    }
}

impl From<OwnedFd> for Listener {
    /// A socket that listens, non-blocking.
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Wakes a reactor from another thread.
#[derive(Debug)]
pub(crate) struct Waker(OwnedFd);

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?))
    }

    pub(crate) fn wake(&self) {
        // A full counter is awake already.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    pub(crate) fn clear(&self) {
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What [`Poller::wait`] reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) token: u64,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) ended: bool,
}

/// epoll.
#[derive(Debug)]
pub(crate) struct Poller(OwnedFd);

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(epoll::create(epoll::CreateFlags::CLOEXEC)?))
    }

    /// Reports changes of a connection.
    pub(crate) fn add_connection(&self, fd: impl AsFd, token: u64) -> io::Result<()> {
        use epoll::EventFlags as Flags;
        let flags = Flags::IN | Flags::OUT | Flags::RDHUP | Flags::ET;
        Ok(epoll::add(&self.0, fd, epoll::EventData::new_u64(token), flags)?)
    }

    /// Reports for as long as there is something to read.
    pub(crate) fn add_source(&self, fd: impl AsFd, token: u64) -> io::Result<()> {
        Ok(epoll::add(&self.0, fd, epoll::EventData::new_u64(token), epoll::EventFlags::IN)?)
    }

    /// Reports no more.
    pub(crate) fn remove(&self, fd: impl AsFd) {
        let _ = epoll::delete(&self.0, fd);
    }

    /// Sleeps until something is ready or `timeout` (rounded up to milliseconds) is over; `None`: for as long as it takes.
    pub(crate) fn wait(&self, timeout: Option<Duration>, ready: &mut Vec<Ready>) {
        use epoll::EventFlags as Flags;
        let timeout = timeout.map(timespec);
        let mut events = [const { MaybeUninit::uninit() }; EVENTS_MAX];
        // An interrupted wait reports nothing.
        let Ok((events, _)) = epoll::wait(&self.0, &mut events, timeout.as_ref()) else { return };
        for event in events {
            let (flags, token) = (event.flags, event.data.u64());
            let ended = flags.intersects(Flags::RDHUP | Flags::HUP | Flags::ERR);
            let readable = ended || flags.contains(Flags::IN);
            ready.push(Ready { token, readable, writable: ended || flags.contains(Flags::OUT), ended });
        }
    }
}

/// The processors that this process may use, or as many of them as are wanted.
pub(crate) fn processors() -> Vec<usize> {
    let Ok(set) = rustix::thread::sched_getaffinity(None) else { return Vec::new() };
    (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()
}

/// Ties the calling thread to one processor.
pub(crate) fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    // Where it is not allowed the scheduler does what it can.
    let _ = rustix::thread::sched_setaffinity(None, &set);
}

/// Raises the limit of descriptors as far as it may be.
pub(crate) fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where it stays as it was, fewer connections fit.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Whole milliseconds, which every kernel's epoll takes.
fn timespec(timeout: Duration) -> Timespec {
    let millis = timeout.as_nanos().div_ceil(1_000_000).min(1 << 31);
    let millis = i64::try_from(millis).unwrap_or(i64::MAX);
    Timespec { tv_sec: millis / 1000, tv_nsec: (millis % 1000) * 1_000_000 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_rounded_up_to_milliseconds() {
        let time = timespec(Duration::from_nanos(1_000_000_001));
        assert_eq!((time.tv_sec, time.tv_nsec), (1, 1_000_000));
    }

    #[test]
    fn a_listener_on_port_zero_has_a_port() {
        let listener =
            Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), Families::Own).expect("loopback");
        assert_ne!(listener.local().expect("bound").port(), 0);
    }
}
