//! Our side of a negotiation.
//!
//! An operator may want more than is served: then what is served is offered, which is what negotiation is for. Of what can be
//! served in one way only (connections, recovery, order of data) nothing is asked here.

use crate::digest::Digest;
use crate::keys::TaskReporting;

/// A session has one connection.
pub const CONNECTIONS_MAX: u32 = 1;

/// What a connection loses is lost with its session.
pub const ERROR_RECOVERY_LEVEL_MAX: u32 = 0;

/// The most data that is taken without being asked for: of a PDU, and as first burst. It needs a buffer in one piece.
pub const UNASKED_BYTES_MAX: u32 = 1 << 20;

/// Our side of each negotiated key; the result is the standard's function of both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Header digests that we accept; the initiator's order decides.
    pub header_digests: Vec<Digest>,
    /// Data digests that we accept; the initiator's order decides.
    pub data_digests: Vec<Digest>,
    /// The longest data segment that we receive.
    pub receive_segment_bytes_max: u32,
    /// The most data of one R2T or sequence.
    pub burst_bytes_max: u32,
    /// The most unsolicited data of one command.
    pub first_burst_bytes_max: u32,
    /// Whether we insist on soliciting the first burst.
    pub initial_r2t: bool,
    /// Whether we take data with the command.
    pub immediate_data: bool,
    /// The most R2Ts of one command at a time.
    pub outstanding_r2t_max: u32,
    /// The shortest wait before a reconnect.
    pub time_to_wait_secs: u32,
    /// How long tasks outlive their connection.
    pub time_to_retain_secs: u32,
    /// How we report aborted tasks; the initiator's order decides.
    pub task_reporting: Vec<TaskReporting>,
    /// The protocol level that we speak.
    pub protocol_level: u32,
}

/// Large bursts and segments, no R2T where none is needed: what a fast network and little memory per session allow.
/// Nothing is retained after a connection is gone at error recovery level 0, so nothing is promised.
impl Default for Offer {
    fn default() -> Self {
        Self {
            header_digests: vec![Digest::Crc32c, Digest::None],
            data_digests: vec![Digest::Crc32c, Digest::None],
            receive_segment_bytes_max: 256 << 10,
            burst_bytes_max: 1 << 20,
            first_burst_bytes_max: 256 << 10,
            initial_r2t: false,
            immediate_data: true,
            outstanding_r2t_max: 16,
            time_to_wait_secs: 0,
            time_to_retain_secs: 0,
            task_reporting: vec![TaskReporting::Rfc3720, TaskReporting::ResponseFence],
            protocol_level: 1,
        }
    }
}
