//! What a connection may cost: how many commands, how much patience.
//!
//! These hold for every connection until it is known who comes where; a portal group or an entry of it may then say otherwise
//! ([`PortalGroup::limits_of`](crate::config::PortalGroup::limits_of)). Not here: what is negotiated ([`Offer`](crate::config::Offer)). Every bound of a connection is in this file or computed
//! from it; together with the pool's budget they are the most memory that a peer can make us use.

use core::time::Duration;

/// Bounds of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Depth of the command window: numbered commands at a time. Counted as 1 to [`WINDOW_MAX`].
    pub window: u32,
    /// Commands marked for immediate delivery at a time, beyond the window; counted as 2 to [`IMMEDIATE_MAX`].
    pub immediate: u32,
    /// The longest transfer that is held in one piece before the engine asks for it, bytes.
    pub transfer_bytes_max: u32,
    /// Data-In that the engine may be reading or that may wait to be sent; further commands wait until it is less. It
    /// bounds what a peer that never reads can tie up, and how much work one connection can bring into a turn.
    pub data_in_bytes_max: usize,
    /// Buffers that may wait for Data-Out; for more, data is not asked for until others have theirs.
    pub data_out_bytes_max: usize,
    /// From the connection's beginning to full feature phase.
    pub login: Duration,
    /// From a PDU's first byte to its last.
    pub pdu: Duration,
    /// From an R2T, or from the last data of a command, to more of its data; also how long a gap in CmdSN may stay.
    pub data_out: Duration,
    /// How long output may wait without a byte being taken.
    pub output: Duration,
    /// How long it may take while buffers are wanting: to send or take a good part of the data for which buffers are kept, to fill a
    /// gap in CmdSN before requests that keep some.
    pub scarce: Duration,
    /// Silence after which we ping; `None`: never.
    pub ping: Option<Duration>,
    /// Silence after a ping that ends the connection.
    pub ping_answer: Duration,
}

/// The deepest window.
pub const WINDOW_MAX: u32 = 2048;
/// The most immediate commands.
pub const IMMEDIATE_MAX: u32 = 256;

impl Limits {
    /// Depth of the window.
    pub(crate) fn window(&self) -> u32 {
        self.window.clamp(1, WINDOW_MAX)
    }

    /// Immediate commands.
    pub(crate) fn immediate(&self) -> u32 {
        self.immediate.clamp(2, IMMEDIATE_MAX)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            window: 128,
            immediate: 32,
            transfer_bytes_max: 8 << 20,
            data_in_bytes_max: 8 << 20,
            data_out_bytes_max: 16 << 20,
            login: Duration::from_secs(15),
            pdu: Duration::from_secs(30),
            data_out: Duration::from_secs(30),
            output: Duration::from_secs(30),
            scarce: Duration::from_secs(1),
            ping: Some(Duration::from_secs(15)),
            ping_answer: Duration::from_secs(30),
        }
    }
}
