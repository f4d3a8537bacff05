//! What a hub asks of the world, and what hubs and the program are told.
//!
//! [`Io`] has two implementors: the Linux reactor and the simulator. Nothing in it blocks.

use felio_engine::Letter;
use felio_hal::meter::{Meter, Meters};
use felio_hal::port::{Login, LoginKind, LossReason, Refusal, TaskManagement, Terms};
use felio_hal::{Buf, NexusId, PortRequest, StoreId, StoreQueue, TaskId, Time};
use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;

/// The world around one hub.
pub trait Io {
    /// Receives into the slices, in order.
    fn receive(&mut self, conn: NexusId, into: &mut [IoSliceMut<'_>]) -> Received;
    /// Sends from the slices, in order, as much as is taken at once.
    fn send(&mut self, conn: NexusId, from: &[IoSlice<'_>]) -> Sent;
    /// Closes the connection. What was sent still arrives.
    fn close(&mut self, conn: NexusId);
    /// What time it is: asked when store operations have come home, not for every command.
    fn now(&self) -> Time;
    /// The stores of this reactor.
    fn stores(&mut self) -> &mut dyn StoreQueue;
    /// Takes a message for another reactor. Messages from one reactor to another keep their order and are never lost.
    fn post(&mut self, reactor: u16, message: Message);
    /// Tells the program.
    fn tell(&mut self, event: Event);
}

/// What came of [`Io::receive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Bytes arrived.
    Data {
        /// How many.
        bytes: usize,
        /// There is no more for now: [`Hub::handle_readable`](super::Hub::handle_readable) will tell.
        drained: bool,
    },
    /// Nothing for now: [`Hub::handle_readable`](super::Hub::handle_readable) will tell.
    Empty,
    /// The peer will send no more, or the connection broke.
    Closed,
}

/// What came of [`Io::send`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Bytes were taken.
    Data {
        /// How many.
        bytes: usize,
        /// There is no room for more: [`Hub::handle_writable`](super::Hub::handle_writable) will tell.
        full: bool,
    },
    /// The connection broke.
    Broken,
}

/// From one hub to another: between engines where a unit's home is another reactor than its port's, and for sessions, memory and
/// stopping.
#[derive(Debug)]
pub enum Message {
    /// From the sender's engine to the engine here.
    Letter {
        /// The sender.
        from: u16,
        /// What it says.
        letter: Letter,
    },
    /// Data that a task here solicited.
    DataOut {
        /// The task.
        task: TaskId,
        /// The data.
        buf: Buf,
    },
    /// A task management function that several reactors carry out.
    TaskManagement {
        /// From where.
        nexus: NexusId,
        /// The function.
        function: TaskManagement,
    },
    /// For a port here.
    Request {
        /// Which.
        nexus: NexusId,
        /// What.
        request: PortRequest,
    },
    /// A connection asks the register for a session.
    Register {
        /// Which.
        nexus: NexusId,
        /// Who.
        login: Login,
    },
    /// The register admits a connection.
    Admit {
        /// Which.
        nexus: NexusId,
        /// Its handle.
        session: u16,
    },
    /// A session, or the wish for one, is over.
    Release {
        /// Which.
        nexus: NexusId,
    },
    /// A nexus exists.
    Login {
        /// Which.
        nexus: NexusId,
        /// Who.
        login: Login,
        /// Where its commands are counted.
        meters: Meters<Meter>,
    },
    /// A nexus is gone.
    NexusLoss {
        /// Which.
        nexus: NexusId,
    },
    /// The sender has nothing of this nexus any more.
    NexusGone {
        /// Which.
        nexus: NexusId,
    },
    /// Buffers come home.
    Buffers(Vec<Buf>),
    /// Another reactor is out of buffers: give up what is free.
    Trim,
    /// The sender's connections are all gone.
    Drained,
}

/// For the program and its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A session began.
    Login {
        /// The other end.
        peer: SocketAddr,
        /// Initiator port name.
        initiator_port: String,
        /// Initiator name.
        initiator: String,
        /// Target name; empty for discovery.
        target: String,
        /// Which of its ports.
        target_port_tag: u16,
        /// Normal or discovery.
        kind: LoginKind,
        /// Its handle.
        session: u16,
        /// What it agreed on with its port.
        terms: Arc<Terms>,
        /// Where its commands are counted.
        meters: Meters<Meter>,
    },
    /// A session ended.
    Logout {
        /// The other end.
        peer: SocketAddr,
        /// Initiator name.
        initiator: String,
        /// Target name; empty for discovery.
        target: String,
        /// Normal or discovery.
        kind: LoginKind,
        /// Its handle.
        session: u16,
        /// How.
        reason: LossReason,
        /// What was wrong, if something was.
        cause: Option<&'static str>,
    },
    /// A login was refused for want of something on our side.
    Refused {
        /// The other end.
        peer: SocketAddr,
        /// Initiator name.
        initiator: String,
        /// Why.
        refusal: Refusal,
    },
    /// A connection was given up before it had a session.
    Dropped {
        /// The other end.
        peer: SocketAddr,
        /// What was wrong.
        cause: &'static str,
    },
    /// While stopping, a store could not be made durable.
    FlushFailed {
        /// Which.
        store: StoreId,
        /// Why.
        failure: felio_hal::store::Failure,
    },
}
