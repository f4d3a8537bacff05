//! An initiator on a real socket: felio's own sans-I/O [`Peer`], which referees what the target does, and bytes in both directions.

use super::{PATIENCE, cdb};
use felio_iscsi::pdu::{LoginStatus, LogoutReason, TaskTag};
use felio_iscsi::peer::{Completed, Data, Peer, PeerEvent, Settings};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// One connection.
pub(crate) struct Wire {
    pub(crate) peer: Peer,
    socket: TcpStream,
    unsent: Vec<u8>,
    /// Events that nobody has asked for yet.
    seen: VecDeque<PeerEvent>,
    closed: bool,
    scratch: Box<[u8]>,
}

/// A normal session's settings: an initiator of this name wants this target.
pub(crate) fn settings(target: &str, name: &str) -> Settings {
    let keys = [
        ("MaxRecvDataSegmentLength", "262144"),
        ("InitialR2T", "No"),
        ("MaxBurstLength", "1048576"),
        ("FirstBurstLength", "65536"),
        ("MaxOutstandingR2T", "4"),
    ];
    Settings {
        initiator: format!("iqn.2026-11.org.example:{name}"),
        target: Some(target.to_owned()),
        keys: keys.map(|(key, value)| (key, value.to_owned())).to_vec(),
        ..Settings::default()
    }
}

impl Wire {
    /// Connects, and has the login request ready.
    pub(crate) fn open(portal: SocketAddr, settings: Settings) -> Self {
        let socket = TcpStream::connect(portal).expect("felio listens");
        Self::over(socket, Peer::new(settings))
    }

    /// Goes on with a connection.
    pub(crate) fn over(socket: TcpStream, peer: Peer) -> Self {
        socket.set_nodelay(true).expect("a socket");
        socket.set_nonblocking(true).expect("a socket");
        let scratch = vec![0; 64 << 10].into_boxed_slice();
        Self { peer, socket, unsent: Vec::new(), seen: VecDeque::new(), closed: false, scratch }
    }

    /// Connects and logs in, or tells why not; a connection that ends without a word is none.
    pub(crate) fn try_log_in(portal: SocketAddr, settings: Settings) -> Result<Self, Option<LoginStatus>> {
        let mut wire = Self::open(portal, settings);
        match wire.event(PATIENCE) {
            Some(PeerEvent::LoggedIn { .. }) => Ok(wire),
            Some(PeerEvent::LoginRefused(status)) => Err(Some(status)),
            None if wire.closed => Err(None),
            other => panic!("{other:?} instead of a login"),
        }
    }

    /// Connects and logs in.
    pub(crate) fn log_in(portal: SocketAddr, settings: Settings) -> Self {
        Self::try_log_in(portal, settings).unwrap_or_else(|status| panic!("login: {status:?}"))
    }

    /// Our end of the connection.
    pub(crate) fn local(&self) -> SocketAddr {
        self.socket.local_addr().expect("connected")
    }

    /// Whether the target has closed it.
    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Moves bytes until the next event; none: the time is over, or the connection.
    pub(crate) fn event(&mut self, patience: Duration) -> Option<PeerEvent> {
        if let Some(event) = self.seen.pop_front() {
            return Some(event);
        }
        self.next_event(patience)
    }

    /// Waits until the target closes the connection.
    pub(crate) fn wait_closed(&mut self) {
        let until = Instant::now() + PATIENCE;
        while !self.closed {
            let left = until.saturating_duration_since(Instant::now());
            assert!(left > Duration::ZERO, "the connection stays");
            if let Some(event) = self.next_event(left) {
                self.seen.push_back(event);
            }
        }
    }

    /// Waits for the end of a command; keeps what else happens.
    pub(crate) fn completed(&mut self, itt: TaskTag) -> Completed {
        let until = Instant::now() + PATIENCE;
        loop {
            let mine = |event: &PeerEvent| matches!(event, PeerEvent::Completed(done) if done.itt == itt);
            if let Some(at) = self.seen.iter().position(mine)
                && let Some(PeerEvent::Completed(done)) = self.seen.remove(at)
            {
                return done;
            }
            let left = until.saturating_duration_since(Instant::now());
            let event = self.next_event(left);
            self.seen.push_back(event.unwrap_or_else(|| panic!("no answer; closed: {}", self.closed)));
        }
    }

    /// Sends a command and waits for its end.
    pub(crate) fn execute(&mut self, lun: u64, cdb: &[u8], data: Data) -> Completed {
        let itt = self.peer.command(cdb::lun(lun), cdb, data);
        self.completed(itt)
    }

    /// Sends a command that should succeed, again if the target has news first; the data that it brought.
    pub(crate) fn good(&mut self, lun: u64, cdb: &[u8], data: &Data) -> Vec<u8> {
        for _ in 0..4 {
            let done = self.execute(lun, cdb, data.clone());
            if done.status == 0 {
                return done.data;
            }
            assert_eq!(sense(&done).0, UNIT_ATTENTION, "{done:?}");
        }
        panic!("nothing but unit attentions");
    }

    /// Reads blocks of 512 bytes.
    pub(crate) fn read(&mut self, lun: u64, lba: u32, blocks: u16) -> Vec<u8> {
        self.good(lun, &cdb::read(lba, blocks), &Data::In(u32::from(blocks) * 512))
    }

    /// Writes blocks of 512 bytes.
    pub(crate) fn write(&mut self, lun: u64, lba: u32, bytes: Vec<u8>) {
        let blocks = u16::try_from(bytes.len() / 512).expect("few");
        self.good(lun, &cdb::write(lba, blocks), &Data::Out(bytes));
    }

    /// Logs out.
    pub(crate) fn log_out(mut self) {
        self.peer.log_out(LogoutReason::CLOSE_SESSION, 0);
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            match self.event(PATIENCE) {
                Some(PeerEvent::LoggedOut(_)) => return,
                Some(_) => {}
                None => break,
            }
        }
        panic!("no answer to a logout; closed: {}", self.closed);
    }

    /// Hands the target what is ready to be sent, and listens to nothing. Whether all of it went.
    pub(crate) fn send_only(&mut self) -> bool {
        self.unsent.extend(self.peer.take_output());
        self.send();
        self.unsent.is_empty()
    }

    /// Sends bytes as they are.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        self.unsent.extend(self.peer.take_output());
        self.unsent.extend_from_slice(bytes);
        self.send();
    }

    fn next_event(&mut self, patience: Duration) -> Option<PeerEvent> {
        let until = Instant::now() + patience;
        loop {
            if let Some(event) = self.peer.poll_event() {
                return Some(event);
            }
            if self.closed {
                return None;
            }
            self.unsent.extend(self.peer.take_output());
            let moved = self.send() | self.receive();
            let left = until.saturating_duration_since(Instant::now());
            if !moved && left == Duration::ZERO {
                return None;
            }
            if !moved {
                self.wait(left);
            }
        }
    }

    fn wait(&self, patience: Duration) {
        let mut flags = PollFlags::IN;
        if !self.unsent.is_empty() {
            flags |= PollFlags::OUT;
        }
        let patience = Timespec::try_from(patience).expect("short");
        let _ = poll(&mut [PollFd::new(&self.socket, flags)], Some(&patience));
    }

    fn send(&mut self) -> bool {
        let mut moved = false;
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(bytes) => {
                    self.unsent.drain(..bytes);
                    moved = true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.unsent.clear();
                    break;
                }
            }
        }
        moved
    }

    fn receive(&mut self) -> bool {
        match self.socket.read(&mut self.scratch) {
            Ok(0) => self.closed = true,
            Ok(bytes) => self.peer.handle_input(&self.scratch[..bytes]).expect("the target keeps the rules"),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(_) => self.closed = true,
        }
        true
    }
}

/// Sense key.
pub(crate) const UNIT_ATTENTION: u8 = 6;
/// Sense key.
pub(crate) const DATA_PROTECT: u8 = 7;

/// Sense key, additional sense code and qualifier.
pub(crate) fn sense(done: &Completed) -> (u8, u8, u8) {
    match done.sense[..] {
        [_, _, key, _, _, _, _, _, _, _, _, _, code, qualifier, ..] => (key & 0x0f, code, qualifier),
        _ => (0, 0, 0),
    }
}

/// Bytes that depend on a number, all different from the next number's.
pub(crate) fn pattern(number: u64, bytes: usize) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let word = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..bytes.div_ceil(8)).flat_map(word).take(bytes).collect()
}
