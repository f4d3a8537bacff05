//! A connection and an initiator in one memory: bytes go to and fro in pieces, the engine is a few lines.

mod basics;
mod buffers;
mod data_out;
mod deadlines;
mod digests;
mod management;
mod random;
mod reject;
mod residual;
mod scarcity;
mod terms;
mod window;

use crate::config::{Config, PortalGroup, Target};
use crate::connection::Connection;
use crate::limits::Limits;
use crate::name::IscsiName;
use crate::pdu::RejectReason;
use crate::peer::{Peer, PeerEvent, Settings};
use felio_hal::buf::Budget;
use felio_hal::port::{Command, Fatal, PortRequest, Response, SenseData};
use felio_hal::{Buf, Pool, Port, PortEvent, PortTag, TaskId, Time};
use felio_spec::status::TaskManagementResponse;
use felio_spec::{Sense, Status, TaskManagementFunction};
use std::sync::Arc;

pub(crate) const TARGET: &str = "iqn.2024-01.org.example:disk";
const LOCAL: &str = "127.0.0.1:3260";

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
    /// Bytes that went straight into a buffer.
    pub(crate) sunk: usize,
    /// Whether the initiator's own view is left out: the test sends on its own.
    pub(crate) raw: bool,
}

/// What is behind the port.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// Reads give bytes that count up, writes are kept, all is GOOD; what is to be aborted is.
    Obliging,

    /// Nothing is answered.
    Silent,
}

pub(crate) fn settings(keys: &[(&'static str, &str)]) -> Settings {
    let keys = keys.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    Settings { target: Some(TARGET.to_owned()), keys, ..Settings::default() }
}

/// A group that is open to everyone.
pub(crate) fn group() -> PortalGroup {
    PortalGroup::open(1.try_into().unwrap(), vec![LOCAL.parse().unwrap()])
}

impl World {
    pub(crate) fn new(settings: Settings) -> Self {
        Self::with_limits(settings, Limits::default())
    }

    pub(crate) fn with_limits(settings: Settings, limits: Limits) -> Self {
        Self::with_group(settings, limits, group())
    }

    /// A target with one group.
    pub(crate) fn with_group(settings: Settings, limits: Limits, group: PortalGroup) -> Self {
        let target = Target::new(IscsiName::parse(TARGET).unwrap(), vec![group]).unwrap();
        let (peer, local) = ("127.0.0.1:40000".parse().unwrap(), LOCAL.parse().unwrap());
        let config = Arc::new(Config::new([target]));
        let port = Connection::new(config, limits, peer, local, [7; 32], Time(0));
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
            sunk: 0,
            raw: false,
        }
    }

    /// A world whose initiator is logged in.
    pub(crate) fn logged_in(keys: &[(&'static str, &str)]) -> Self {
        Self::new(settings(keys)).logging_in()
    }

    /// Lets the initiator log in.
    pub(crate) fn logging_in(mut self) -> Self {
        let world = &mut self;
        world.run();
        assert!(matches!(world.peer.poll_event(), Some(PeerEvent::LoggedIn { .. })), "login");
        self
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
            self.sunk += bytes;
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
            if !self.raw {
                self.peer.handle_input(&bytes).expect("the target keeps the rules");
            }
        }
    }

    fn serve(&mut self, event: PortEvent) {
        match (event, self.engine) {
            (PortEvent::Login(_), _) => self.request(PortRequest::Admit { session: 1 }),
            (PortEvent::Command(command), Engine::Obliging) => self.oblige(&command),
            (PortEvent::DataOut { task, buf }, Engine::Obliging) => {
                self.written.push(buf.to_vec());
                let bytes = u64::try_from(buf.len()).unwrap();
                self.pool.give(buf);
                self.good(PortTag(task.slot), None, bytes);
            }
            (PortEvent::TaskManagement(ask), Engine::Obliging) => {
                if let (TaskManagementFunction::AbortTask, Some(tag)) = (ask.function, ask.referenced) {
                    self.request(PortRequest::Abandon { tag });
                }
                let response = TaskManagementResponse::FunctionComplete;
                self.request(PortRequest::TaskManagementResult { tag: ask.tag, response });
            }
            (event, _) => self.told.push(event),
        }
    }

    fn oblige(&mut self, command: &Command) {
        let tag = command.tag;
        let bytes_max = 1 << 20;
        if command.expect_out > bytes_max || command.expect_in > bytes_max {
            self.bad(tag, felio_spec::sense::code::INVALID_FIELD_IN_CDB);
        } else if command.expect_out > 0 {
            self.request(PortRequest::Solicit { tag, task: task(tag), bytes: command.expect_out });
        } else if command.expect_in > 0 {
            let buf = self.read(command.expect_in);
            self.good(tag, Some(buf), u64::from(command.expect_in));
        } else {
            self.good(tag, None, 0);
        }
    }

    pub(crate) fn good(&mut self, tag: PortTag, data: Option<Buf>, transfer_bytes: u64) {
        self.request(PortRequest::Respond(Response {
            tag,
            status: Status::GOOD,
            sense: None,
            data,
            transfer_bytes,
        }));
    }

    pub(crate) fn bad(&mut self, tag: PortTag, sense: impl Into<Sense>) {
        let sense = Some(SenseData::new(&sense.into(), false));
        let status = Status::CHECK_CONDITION;
        self.request(PortRequest::Respond(Response { tag, status, sense, data: None, transfer_bytes: 0 }));
    }

    /// What an obliging engine reads.
    pub(crate) fn read(&mut self, bytes: u32) -> Buf {
        let mut buf = self.pool.take(usize::try_from(bytes).unwrap()).expect("room");
        buf.iter_mut().enumerate().for_each(|(at, byte)| *byte = pattern(at));
        buf
    }

    /// Lets time pass until the port's next deadline, and tells it.
    pub(crate) fn wait(&mut self) -> Result<(), Fatal> {
        let at = self.port.poll_timeout().expect("a deadline");
        self.now = self.now.max(at);
        self.port.handle_timeout(self.now)
    }

    /// The command that was told first, and not answered.
    pub(crate) fn told_command(&mut self) -> Command {
        let at =
            self.told.iter().position(|event| matches!(event, PortEvent::Command(_))).expect("a command");
        match self.told.remove(at) {
            PortEvent::Command(command) => command,
            event => panic!("{event:?}"),
        }
    }

    /// Commands that were told and not answered.
    pub(crate) fn told_commands(&self) -> usize {
        self.told.iter().filter(|event| matches!(event, PortEvent::Command(_))).count()
    }

    /// Status and additional sense code of the only command that ended.
    pub(crate) fn outcome(&mut self) -> (u8, u8, u8) {
        let ended: Vec<_> =
            self.seen().into_iter().filter(|event| matches!(event, PeerEvent::Completed(_))).collect();
        match ended.as_slice() {
            [PeerEvent::Completed(done)] => match done.sense.get(12..14) {
                Some(code) => (done.status, code[0], code[1]),
                None => (done.status, 0, 0),
            },
            other => panic!("{other:?}"),
        }
    }

    /// Why PDUs were rejected.
    pub(crate) fn rejections(&mut self) -> Vec<RejectReason> {
        let reason = |event| match event {
            PeerEvent::Rejected(reason, _) => Some(reason),
            _ => None,
        };
        self.seen().into_iter().filter_map(reason).collect()
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

/// Bytes to write.
pub(crate) fn bytes(count: u32) -> Vec<u8> {
    (0..usize::try_from(count).unwrap()).map(pattern).collect()
}

/// What an obliging engine reads.
pub(crate) fn pattern(at: usize) -> u8 {
    u8::try_from(at % 251).unwrap()
}
