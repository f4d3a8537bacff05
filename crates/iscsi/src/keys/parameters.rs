//! What negotiation has come to, typed.

use super::SessionType;
use super::table::{Discovery, KEYS, Kind, Row};
use crate::digest::Digests;

/// What negotiation has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// For the whole session: what its leading connection negotiated.
    pub session: SessionParameters,
    /// For this connection.
    pub connection: ConnectionParameters,
}

/// Parameters that all connections of a session share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionParameters {
    /// MaxBurstLength.
    pub burst_bytes_max: u32,
    /// FirstBurstLength, never above `burst_bytes_max` once login is over.
    pub first_burst_bytes_max: u32,
    /// InitialR2T: no unsolicited Data-Out.
    pub initial_r2t: bool,
    /// ImmediateData: data may come with the command.
    pub immediate_data: bool,
    /// MaxOutstandingR2T.
    pub outstanding_r2t_max: u32,
    /// DefaultTime2Wait.
    pub time_to_wait_secs: u32,
    /// DefaultTime2Retain.
    pub time_to_retain_secs: u32,
    /// DataPDUInOrder.
    pub data_pdu_in_order: bool,
    /// DataSequenceInOrder.
    pub data_sequence_in_order: bool,
    /// ErrorRecoveryLevel.
    pub error_recovery_level: u32,
    /// MaxConnections.
    pub connections_max: u32,
    /// TaskReporting.
    pub task_reporting: TaskReporting,
    /// iSCSIProtocolLevel.
    pub protocol_level: u32,
    /// InitiatorAlias.
    pub initiator_alias: Option<String>,
}

/// Parameters of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionParameters {
    /// HeaderDigest and DataDigest, in force from full feature phase on.
    pub digests: Digests,
    /// The initiator's MaxRecvDataSegmentLength: the longest data segment that we may send.
    pub send_segment_bytes_max: u32,
    /// Our MaxRecvDataSegmentLength: the longest data segment that the initiator may send.
    pub receive_segment_bytes_max: u32,
}

/// What holds if nothing is negotiated: the defaults of [`KEYS`].
impl Default for Parameters {
    fn default() -> Self {
        let session = SessionParameters {
            burst_bytes_max: 0,
            first_burst_bytes_max: 0,
            initial_r2t: false,
            immediate_data: false,
            outstanding_r2t_max: 0,
            time_to_wait_secs: 0,
            time_to_retain_secs: 0,
            data_pdu_in_order: false,
            data_sequence_in_order: false,
            error_recovery_level: 0,
            connections_max: 0,
            task_reporting: TaskReporting::Rfc3720,
            protocol_level: 0,
            initiator_alias: None,
        };
        let connection = ConnectionParameters {
            digests: Digests::NONE,
            send_segment_bytes_max: 0,
            receive_segment_bytes_max: 0,
        };
        let mut parameters = Self { session, connection };
        for row in KEYS {
            match row.kind {
                Kind::Boolean { default, place, .. } => *place(&mut parameters) = default,
                Kind::Number { default, place, .. } | Kind::DeclaredNumber { default, place, .. } => {
                    *place(&mut parameters) = default;
                }
                Kind::FirstBurst { default } => parameters.session.first_burst_bytes_max = default,
                _ => {}
            }
        }
        // The same key declares both directions.
        parameters.connection.receive_segment_bytes_max = parameters.connection.send_segment_bytes_max;
        parameters
    }
}

impl Parameters {
    /// All that has a meaning in such a session, in the order of [`KEYS`], as text. The longest data segment is each side's own: what the
    /// initiator declared has the key's name, what we did [`OUR_SEGMENT`].
    #[must_use]
    pub fn values(&self, kind: SessionType) -> Vec<(&'static str, String)> {
        let means_something =
            |row: &&Row| kind == SessionType::Normal || row.discovery == Discovery::Relevant;
        let negotiated =
            KEYS.iter().filter(means_something).filter_map(|row| Some((row.name, self.value(row)?)));
        let ours = (OUR_SEGMENT, self.connection.receive_segment_bytes_max.to_string());
        negotiated.chain([ours]).collect()
    }

    fn value(&self, row: &Row) -> Option<String> {
        let mut parameters = self.clone();
        match row.kind {
            Kind::Boolean { place, .. } => {
                Some(if *place(&mut parameters) { "Yes" } else { "No" }.to_owned())
            }
            Kind::Number { place, .. } | Kind::DeclaredNumber { place, .. } => {
                Some(place(&mut parameters).to_string())
            }
            Kind::FirstBurst { .. } => Some(self.session.first_burst_bytes_max.to_string()),
            Kind::List { chosen, .. } => Some(chosen(self).to_owned()),
            _ => None,
        }
    }
}

/// What stands for the longest data segment that we take, beside the initiator's.
pub const OUR_SEGMENT: &str = "TargetMaxRecvDataSegmentLength";

/// How the end of tasks is reported that end by another's doing.
//= RFC 7143 "TaskReporting"
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TaskReporting {
    /// As RFC 3720 said.
    #[default]
    Rfc3720,
    /// With a fence around responses that others must not overtake.
    ResponseFence,
    /// At once, with an asynchronous message.
    FastAbort,
}

impl TaskReporting {
    /// The name in text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rfc3720 => "RFC3720",
            Self::ResponseFence => "ResponseFence",
            Self::FastAbort => "FastAbort",
        }
    }
}
