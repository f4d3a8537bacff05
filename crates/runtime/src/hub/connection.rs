//! What a hub knows of one connection beside its port.

use super::COMPANY;
use super::timers::Armed;
use felio_hal::Time;
use felio_hal::port::{Login, LossReason};
use std::net::SocketAddr;

/// A connection in the hub's table.
#[derive(Debug)]
pub(crate) struct Connection<P> {
    pub(crate) port: P,
    pub(crate) peer: SocketAddr,
    pub(crate) standing: Standing,
    /// Since when, for choosing whom to drop.
    pub(crate) since: Time,
    pub(crate) input: Input,
    pub(crate) writable: bool,
    /// In the hub's list of connections whose output and deadline are to be looked at.
    pub(crate) touched: bool,
    /// The port is finished but the peer does not take the rest.
    pub(crate) finish_by: Option<Time>,
    pub(crate) armed: Armed,
    /// When it last moved much in a turn.
    pub(crate) heavy_at: Option<Time>,
}

/// How far a connection has come.
#[derive(Debug)]
pub(crate) enum Standing {
    /// In login.
    Anonymous,
    /// Asked the register.
    Waiting(Login),
    /// Has a session.
    Admitted { login: Login, session: u16 },
    /// Its session is over.
    Over,
}

/// Where input stands.
#[derive(Debug)]
pub(crate) enum Input {
    /// Nothing to receive until we are told.
    Idle,
    /// There may be something: in the hub's list of readable connections.
    Readable,
    /// The port could not take these bytes: in the hub's list of stalled connections. Nothing is received meanwhile.
    Stalled { stash: Vec<u8>, taken: usize, readable: bool },
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The port has said and heard all.
    Finished,
    /// The peer closed it, or it broke.
    Closed,
    /// A rule was broken or a deadline missed.
    Fatal(&'static str),
}

impl<P> Connection<P> {
    pub(crate) const fn new(port: P, peer: SocketAddr, now: Time) -> Self {
        Self {
            port,
            peer,
            standing: Standing::Anonymous,
            since: now,
            input: Input::Idle,
            writable: true,
            touched: false,
            finish_by: None,
            armed: Armed::NONE,
            heavy_at: None,
        }
    }

    /// Whether it moved much lately.
    pub(crate) fn is_heavy(&self, now: Time) -> bool {
        self.heavy_at.is_some_and(|at| now.since(at) < COMPANY)
    }

    pub(crate) const fn is_anonymous(&self) -> bool {
        matches!(self.standing, Standing::Anonymous | Standing::Waiting(_))
    }
}

impl End {
    pub(crate) const fn cause(self) -> Option<&'static str> {
        match self {
            Self::Finished => None,
            Self::Closed => Some("the connection was closed or broke"),
            Self::Fatal(cause) => Some(cause),
        }
    }

    /// The reason to give where the port gave none.
    pub(crate) const fn reason(self) -> LossReason {
        match self {
            Self::Finished => LossReason::Logout,
            Self::Closed | Self::Fatal(_) => LossReason::Connection,
        }
    }
}
