//! The daemon as a service: what a supervisor (systemd) is told, and the sockets that it keeps for us while we are not there.
//!
//! It is told by datagrams of `NAME=value` lines, as sd_notify(3) describes them, where NOTIFY_SOCKET says. Sockets come back by
//! LISTEN_FDS: those that it has opened for us, and those that an earlier felio gave it to keep. Which is which does not
//! matter, for each is found by its address. Without a supervisor all of this does nothing.

use super::plant::Plant;
use core::mem::MaybeUninit;
use core::time::Duration;
use felio_runtime::{Portal, Pulse};
use listenfd::ListenFd;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType,
};
use std::io::{self, IoSlice, Read as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Instant;

/// Signs of life in the time within which the supervisor wants one.
const SIGNS: u32 = 4;

/// How long it may take a supervisor to close a socket.
const LETTING_GO: Duration = Duration::from_secs(1);

/// Whoever started us and wants to know how we are; nobody, perhaps.
pub(super) struct Supervisor {
    address: Option<SocketAddrUnix>,
    status: String,
}

impl Supervisor {
    /// The one that the environment names.
    pub(super) fn from_env() -> Self {
        let place = std::env::var("NOTIFY_SOCKET").ok();
        let address = place.and_then(|place| match place.strip_prefix('@') {
            Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes()).ok(),
            None => SocketAddrUnix::new(place).ok(),
        });
        Self { address, status: String::new() }
    }

    /// Whether there is one.
    pub(super) const fn is_there(&self) -> bool {
        self.address.is_some()
    }

    /// We serve: after the start, and after a reload.
    pub(super) fn tell_ready(&self) {
        self.tell("READY=1", &[]);
    }

    /// We take up the configuration anew.
    pub(super) fn tell_reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"), &[]);
    }

    /// We are about to end.
    pub(super) fn tell_stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=Asking initiators to log out", &[]);
    }

    /// What there is to say to people, if it is something else than the last time.
    pub(super) fn tell_status(&mut self, status: String) {
        if self.status != status {
            self.tell(&format!("STATUS={status}"), &[]);
            self.status = status;
        }
    }

    fn tell_alive(&self) {
        self.tell("WATCHDOG=1", &[]);
    }

    /// Gives it a socket to keep: whoever connects while we are away waits for us.
    pub(super) fn keep(&self, name: &str, socket: impl AsFd) {
        self.tell(&format!("FDSTORE=1\nFDNAME={name}"), &[socket.as_fd()]);
    }

    /// What it keeps under this name is not wanted any more. It has closed it when we go on, so that the address is free.
    pub(super) fn let_go(&self, name: &str) {
        self.tell(&format!("FDSTOREREMOVE=1\nFDNAME={name}"), &[]);
        if let (true, Ok((mut ours, theirs))) = (self.is_there(), UnixStream::pair()) {
            self.tell("BARRIER=1", &[theirs.as_fd()]);
            drop(theirs);
            let _ = ours.set_read_timeout(Some(LETTING_GO));
            let _ = ours.read(&mut [0]);
        }
    }

    /// A supervisor that cannot be told is one that has gone: there is nothing to do about it.
    fn tell(&self, text: &str, sockets: &[BorrowedFd<'_>]) {
        let Some(address) = &self.address else { return };
        let flags = SocketFlags::CLOEXEC;
        let Ok(socket) = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None) else {
            return;
        };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !sockets.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(sockets));
        }
        let text = [IoSlice::new(text.as_bytes())];
        let _ = rustix::net::sendmsg_addr(&socket, address, &text, &mut control, SendFlags::NOSIGNAL);
    }
}

/// When the supervisor is to have a sign of life. The desk gives it, so it is alive; it asks the reactors whether they are.
pub(super) struct Watch {
    every: Option<Duration>,
    due: Instant,
    pulse: Option<Pulse>,
}

impl Watch {
    /// As often as the environment demands it.
    pub(super) fn from_env(now: Instant) -> Self {
        let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let limit = number("WATCHDOG_USEC").filter(|micros| ours && *micros > 0);
        Self { every: limit.map(|micros| Duration::from_micros(micros) / SIGNS), due: now, pulse: None }
    }

    /// How long the desk may wait for something to do.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        self.every.map_or(Duration::MAX, |_| self.due.saturating_duration_since(now))
    }

    /// Gives the sign that is due, if all reactors have taken a turn since the last time.
    pub(super) fn handle_time(&mut self, now: Instant, plant: &Plant) {
        let Some(every) = self.every.filter(|_| self.due <= now) else { return };
        if self.pulse.take().is_some_and(Pulse::is_felt) {
            plant.supervisor.tell_alive();
        }
        self.pulse = Some(plant.feel_pulse());
        self.due = now + every;
    }
}

/// Sockets that were open before we were.
#[derive(Default)]
pub(super) struct Inherited {
    unix: Vec<UnixListener>,
    tcp: Vec<(String, TcpListener)>,
}

impl Inherited {
    /// Those that the environment names. What listens to nothing that we know is closed.
    pub(super) fn from_env() -> Self {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut all = ListenFd::from_env();
        let mut inherited = Self::default();
        for at in 0..all.len() {
            let name = names.next().unwrap_or_default().to_owned();
            if let Ok(Some(socket)) = all.take_unix_listener(at) {
                inherited.unix.push(socket);
            } else if let Ok(Some(socket)) = all.take_tcp_listener(at) {
                inherited.tcp.push((name, socket));
            }
        }
        inherited
    }

    /// The socket that listens there, for people and programs that manage us. One whose file is gone leads nobody here.
    pub(super) fn take_control(&mut self, path: &Path) -> Option<UnixListener> {
        let is_it = |socket: &UnixListener| {
            socket.local_addr().is_ok_and(|address| address.as_pathname() == Some(path))
        };
        let at = self.unix.iter().position(is_it)?;
        let socket = self.unix.swap_remove(at);
        path.exists().then_some(socket)
    }

    /// The socket that listens there, for initiators. One that the supervisor has opened by itself stays with it: if we close it, it is here for the
    /// next time.
    pub(super) fn take_portal(&mut self, address: SocketAddr) -> Option<io::Result<Portal>> {
        let is_it = |socket: &TcpListener| socket.local_addr().is_ok_and(|local| local == address);
        let at = self.tcp.iter().position(|(_, socket)| is_it(socket))?;
        let (name, socket) = &self.tcp[at];
        let socket = match name.starts_with(PORTAL) {
            true => Ok(self.tcp.swap_remove(at).1),
            false => socket.try_clone(),
        };
        Some(socket.and_then(Portal::try_from))
    }

    /// Lets go of what an earlier felio listened to and we do not.
    pub(super) fn let_go(&mut self, supervisor: &Supervisor) {
        for (name, _) in self.tcp.extract_if(.., |(name, _)| name.starts_with(PORTAL)) {
            supervisor.let_go(&name);
        }
    }
}

/// Under which names the supervisor keeps what we listen to.
pub(super) const CONTROL: &str = "felio-control";
const PORTAL: &str = "felio-portal-";

/// The name of a portal's socket; a colon would end it.
pub(super) fn portal_name(address: SocketAddr) -> String {
    format!("{PORTAL}{}", address.to_string().replace(':', "_"))
}
