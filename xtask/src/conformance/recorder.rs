//! A relay between the suite and felio that writes down what both say, as a capture file.
//!
//! A capture from the network loses packets on a busy machine, and after that nobody can tell where a PDU begins. What
//! passes through here is complete. The packets are made up: one for each piece that came, without handshakes, from a
//! client port of its own for each connection to port 3260; tshark knows what that is.

use anyhow::Context;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where felio seems to listen.
pub(super) const PORT: u16 = 3260;

/// The first connection's client port.
const CLIENT_PORT: u16 = 10_000;

/// The longest piece: with its headers it must fit into an IPv4 packet.
const PIECE_BYTES: usize = 60 << 10;

/// The relay; it ends with the process, for its connections do so with their ends.
pub(super) struct Recorder {
    portal: SocketAddr,
    capture: Arc<Mutex<Capture>>,
}

/// The file.
struct Capture(BufWriter<File>);

/// How far a connection is: bytes that the client sent, and felio.
#[derive(Clone, Copy, Default)]
struct Sent {
    client: u32,
    felio: u32,
}

/// One connection, for both of its directions.
struct Connection {
    client_port: u16,
    sent: Mutex<Sent>,
    capture: Arc<Mutex<Capture>>,
}

#[derive(Clone, Copy)]
enum From {
    Client,
    Felio,
}

impl Recorder {
    /// Relays to `felio` from now on.
    pub(super) fn start(file: &Path, felio: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on the loopback")?;
        let portal = listener.local_addr()?;
        let file = File::create(file).with_context(|| format!("cannot create {}", file.display()))?;
        let capture = Arc::new(Mutex::new(Capture::begin(file)?));
        let shared = Arc::clone(&capture);
        std::thread::spawn(move || {
            for (client_port, client) in (CLIENT_PORT..).zip(listener.incoming()) {
                // Who cannot be relayed is disconnected, and the test says so.
                let Ok(client) = client else { continue };
                let sent = Mutex::default();
                let connection = Connection { client_port, sent, capture: Arc::clone(&shared) };
                let _ = relay(client, felio, connection);
            }
        });
        Ok(Self { portal, capture })
    }

    /// Where the suite is to connect.
    pub(super) const fn portal(&self) -> SocketAddr {
        self.portal
    }

    /// Everything up to now is in the file.
    pub(super) fn flush(&self) -> io::Result<()> {
        lock(&self.capture).0.flush()
    }
}

/// Starts to relay one connection, in two threads.
fn relay(client: TcpStream, felio: SocketAddr, connection: Connection) -> io::Result<()> {
    let felio = TcpStream::connect(felio)?;
    for stream in [&client, &felio] {
        stream.set_nodelay(true)?;
    }
    let connection = Arc::new(connection);
    let other = (felio.try_clone()?, client.try_clone()?, Arc::clone(&connection));
    std::thread::spawn(move || {
        let (felio, client, connection) = other;
        copy(felio, &client, &connection, From::Felio);
    });
    std::thread::spawn(move || copy(client, &felio, &connection, From::Client));
    Ok(())
}

/// Relays one direction to its end.
fn copy(mut from: TcpStream, mut to: &TcpStream, connection: &Connection, side: From) {
    let mut piece = vec![0; PIECE_BYTES];
    while let Ok(count @ 1..) = from.read(&mut piece) {
        // Written down before it is passed on: an answer stands behind its question.
        let piece = &piece[..count];
        if connection.record(side, piece).is_err() || to.write_all(piece).is_err() {
            break;
        }
    }
    // Either may be closed already.
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

impl Connection {
    fn record(&self, side: From, piece: &[u8]) -> io::Result<()> {
        let mut sent = lock(&self.sent);
        let (ports, numbers) = match side {
            From::Client => ((self.client_port, PORT), (sent.client, sent.felio)),
            From::Felio => ((PORT, self.client_port), (sent.felio, sent.client)),
        };
        lock(&self.capture).packet(ports, numbers, piece)?;
        let count = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        match side {
            From::Client => sent.client = sent.client.wrapping_add(count),
            From::Felio => sent.felio = sent.felio.wrapping_add(count),
        }
        Ok(())
    }
}

impl Capture {
    /// The head of a pcap file whose packets begin with IP.
    fn begin(file: File) -> io::Result<Self> {
        const MAGIC: u32 = 0xa1b2_c3d4;
        const VERSION: u32 = 0x0002_0004;
        const SNAPLEN: u32 = 65_536;
        const LINKTYPE_RAW: u32 = 101;
        let mut capture = Self(BufWriter::new(file));
        capture.words(&[MAGIC, VERSION, 0, 0, SNAPLEN, LINKTYPE_RAW])?;
        Ok(capture)
    }

    /// A packet of TCP in IPv4, both without options and checksums: ports, sequence and acknowledgement numbers, payload.
    fn packet(&mut self, ports: (u16, u16), numbers: (u32, u32), payload: &[u8]) -> io::Result<()> {
        const HEADERS_BYTES: u32 = 40;
        const IPV4_TTL_TCP: u32 = 0x4006_0000;
        const LOOPBACK: u32 = 0x7f00_0001;
        const PSH_ACK_AND_WINDOW: u32 = 0x5018_ffff;
        let bytes = HEADERS_BYTES + u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
        self.words(&[seconds, now.subsec_micros(), bytes, bytes])?;
        self.words(&[0x4500_0000 | bytes, 0, IPV4_TTL_TCP, LOOPBACK, LOOPBACK])?;
        let ports = u32::from(ports.0) << 16 | u32::from(ports.1);
        self.words(&[ports, numbers.0, numbers.1, PSH_ACK_AND_WINDOW, 0])?;
        self.0.write_all(payload)
    }

    fn words(&mut self, words: &[u32]) -> io::Result<()> {
        words.iter().try_for_each(|word| self.0.write_all(&word.to_be_bytes()))
    }
}

/// What is behind the lock stays right if somebody panics.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
