//! A connection and an initiator in one memory: bytes go to and fro in pieces, the engine is a few lines.

mod basics;

use crate::config::{Config, Target};
use crate::connection::Connection;
use crate::limits::Limits;
use crate::name::IscsiName;
use crate::peer::{Peer, PeerEvent, Settings};
use felio_hal::buf::Budget;
use felio_hal::port::{Command, Fatal, PortRequest, Response};
use felio_hal::{Pool, Port, PortEvent, PortTag, TaskId, Time};
use felio_spec::Status;
use std::sync::Arc;

pub(crate) const TARGET: &str = "iqn.2024-01.org.example:disk";

/// Both sides and what is between them.
pub(crate) struct World {
    pub(crate) port: Connection,
    pub(crate) peer: Peer,
    pub(crate) pool: Pool,
    pub(crate) now: Time,
    /// What the port told and the built-in engine left alone.
    pub(crate) told: Vec<PortEvent>,
    /// Whether the built-in engine answers commands.
    pub(crate) engine: Engine,
    /// How many bytes a delivery has at most.
    pub(crate) piece: usize,
    pub(crate) fatal: Option<Fatal>,
    /// Bytes that the port has not taken yet.
    pub(crate) pending: Vec<u8>,
    /// Whether the initiator takes what is sent.
    pub(crate) reads: bool,
    pub(crate) written: Vec<Vec<u8>>,
}

/// What is behind the port.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// Reads give bytes that count up, writes are kept, all is GOOD.
    Obliging,
    /// Nothing is answered.
    Silent,
}

pub(crate) fn settings(keys: &[(&'static str, &str)]) -> Settings {
    let keys = keys.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    Settings { target: Some(TARGET.to_owned()), keys, ..Settings::default() }
}

impl World {
    pub(crate) fn new(settings: Settings) -> Self {
        Self::with_limits(settings, Limits::default())
    }

    pub(crate) fn with_limits(settings: Settings, limits: Limits) -> Self {
        let name = IscsiName::parse(TARGET).unwrap();
        let local = "127.0.0.1:3260".parse().unwrap();
        let config = Arc::new(Config::new(Target::new(name, vec![local])));
        let port =
            Connection::new(config, limits, "127.0.0.1:40000".parse().unwrap(), local, [7; 32], Time(0));
        Self {
            port,
            peer: Peer::new(settings),
            pool: Pool::new(Budget::new(64 << 20)),
            now: Time(0),
            told: Vec::new(),
            engine: Engine::Obliging,
            piece: usize::MAX,
            fatal: None,
            pending: Vec::new(),
            reads: true,
            written: Vec::new(),
        }
    }

    /// A world whose initiator is logged in.
    pub(crate) fn logged_in(keys: &[(&'static str, &str)]) -> Self {
        let mut world = Self::new(settings(keys));
        world.run();
        assert!(matches!(world.peer.poll_event(), Some(PeerEvent::LoggedIn { .. })), "login");
        world
    }

    /// Lets bytes flow until nothing moves.
    pub(crate) fn run(&mut self) {
        for _ in 0..1_000_000 {
            let sent = self.peer.take_output();
            self.pending.extend(sent);
            let moved = self.deliver() | self.turn();
            if self.fatal.is_some() || !moved {
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    /// Hands the initiator's bytes to the port.
    fn deliver(&mut self) -> bool {
        if self.fatal.is_some() || self.pending.is_empty() {
            return false;
        }
        let bytes = self.piece.min(self.pending.len());
        if let Some(sink) = self.port.sink() {
            let bytes = bytes.min(sink.len());
            sink[..bytes].copy_from_slice(&self.pending[..bytes]);
            self.pending.drain(..bytes);
            self.fatal = self.port.handle_sink(self.now, bytes, &mut self.pool).err();
            return true;
        }
        match self.port.handle_input(self.now, &self.pending[..bytes], &mut self.pool) {
            Ok(used) => {
                self.pending.drain(..used);
                used > 0
            }
            Err(fatal) => {
                self.fatal = Some(fatal);
                true
            }
        }
    }

    /// Events to the engine, output to the initiator.
    pub(crate) fn turn(&mut self) -> bool {
        let mut moved = false;
        while let Some(event) = self.port.poll_event() {
            moved = true;
            self.serve(event);
        }
        moved | (self.reads && self.flush())
    }

    pub(crate) fn flush(&mut self) -> bool {
        let mut moved = false;
        loop {
            let mut slices = Vec::new();
            self.port.output(&mut slices, self.piece);
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
            if bytes.is_empty() {
                return moved;
            }
            moved = true;
            self.port.handle_sent(self.now, bytes.len(), &mut self.pool);
            self.peer.handle_input(&bytes).expect("the target keeps the rules");
        }
    }

    fn serve(&mut self, event: PortEvent) {
        match (event, self.engine) {
            (PortEvent::Login(_), _) => self.request(PortRequest::Admit { session: 1 }),
            (PortEvent::Command(command), Engine::Obliging) => self.oblige(&command),
            (PortEvent::DataOut { task, buf }, Engine::Obliging) => {
                self.written.push(buf.to_vec());
                let bytes = buf.len() as u64;
                self.pool.give(buf);
                self.good(PortTag(task.slot), None, bytes);
            }
            (event, _) => self.told.push(event),
        }
    }

    fn oblige(&mut self, command: &Command) {
        let tag = command.tag;
        if command.expect_out > 0 {
            self.request(PortRequest::Solicit { tag, task: task(tag), bytes: command.expect_out });
        } else if command.expect_in > 0 {
            let mut buf = self.pool.take(command.expect_in as usize).expect("room");
            buf.iter_mut().enumerate().for_each(|(at, byte)| *byte = pattern(at));
            self.good(tag, Some(buf), u64::from(command.expect_in));
        } else {
            self.good(tag, None, 0);
        }
    }

    pub(crate) fn good(&mut self, tag: PortTag, data: Option<felio_hal::Buf>, transfer_bytes: u64) {
        self.request(PortRequest::Respond(Response {
            tag,
            status: Status::GOOD,
            sense: None,
            data,
            transfer_bytes,
        }));
    }

    pub(crate) fn request(&mut self, request: PortRequest) {
        self.port.handle_request(self.now, request, &mut self.pool);
    }

    /// All that the initiator saw.
    pub(crate) fn seen(&mut self) -> Vec<PeerEvent> {
        core::iter::from_fn(|| self.peer.poll_event()).collect()
    }
}

/// The engine's name for a command.
pub(crate) fn task(tag: PortTag) -> TaskId {
    TaskId { reactor: 0, slot: tag.0, generation: 0 }
}

/// What an obliging engine reads.
pub(crate) fn pattern(at: usize) -> u8 {
    (at % 251) as u8
}
