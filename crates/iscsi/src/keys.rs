//! The keys of RFC 7143 as one table, and the negotiation that follows from a row.
//!
//! Start at [`KEYS`]. A [`Negotiator`] is fed with pairs, answers those that want an answer, and keeps the result in its
//! [`Parameters`]; keys that mean something to login itself (names, security, SendTargets) are handed back. We never
//! offer a negotiable key ourselves: what the initiator does not offer keeps its default, so no login takes longer than the
//! initiator makes it, and one that does not expect offers is not surprised by them.
//!
//! Keys of extensions that are not spoken (iSER's on TCP, private ones) have no row: they are NotUnderstood.

use std::fmt;
use std::ops::RangeInclusive;

use crate::config::Offer;
use crate::digest::{Digest, Digests};
use crate::text::{IRRELEVANT, NOT_UNDERSTOOD, Outgoing, Pair, REJECT, number};

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

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The key.
    pub name: &'static str,
    /// When it may be said.
    pub usage: Usage,
    /// In which login stages it may be said.
    pub stage: KeyStage,
    /// Who may say it.
    pub sender: Sender,
    /// Whether it means something in a discovery session.
    pub discovery: Discovery,
    /// How both sides come to a value.
    pub kind: Kind,
}

/// The standard's "Use".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// IO: during login.
    InitializeOnly,
    /// LO: during login of a session's first connection.
    LeadingOnly,
    /// FFPO: after login.
    FullFeaturePhaseOnly,
    /// ALL: at any time.
    All,
}

/// In which login stages a key may be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStage {
    /// SecurityNegotiation.
    Security,
    /// LoginOperationalNegotiation.
    Operational,
    /// Both: the standard calls it any-stage. Such a key may be said again if it says the same.
    Any,
}

/// The standard's "Senders".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Only initiators say it.
    Initiator,
    /// Only targets say it.
    Target,
    /// Both say it.
    Both,
}

/// The standard's "Irrelevant when: SessionType=Discovery".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discovery {
    /// Has a meaning.
    Relevant,
    /// Has none.
    Irrelevant,
}

/// How both sides come to a value.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Yes or No.
    Boolean {
        /// The result of both sides' values.
        rule: BooleanRule,
        /// What holds without negotiation.
        default: bool,
        /// Our side.
        ours: fn(&Offer) -> bool,
        /// Where the result goes.
        place: fn(&mut Parameters) -> &mut bool,
    },
    /// A number.
    Number {
        /// The result of both sides' values.
        rule: NumberRule,
        /// What may be said.
        range: (u32, u32),
        /// What holds without negotiation.
        default: u32,
        /// Our side.
        ours: fn(&Offer) -> u32,
        /// Where the result goes.
        place: fn(&mut Parameters) -> &mut u32,
    },
    /// FirstBurstLength: a number that depends on other keys, so it is answered after them.
    FirstBurst {
        /// What holds without negotiation.
        default: u32,
    },
    /// A list in the initiator's order; the first value that the function accepts (and notes) is the result.
    List(fn(&Offer, &mut Parameters, &str) -> bool),
    /// A number that one side tells.
    DeclaredNumber {
        /// What may be said.
        range: (u32, u32),
        /// What holds if it is not told.
        default: u32,
        /// Where it goes.
        place: fn(&mut Parameters) -> &mut u32,
    },
    /// A text that one side tells.
    DeclaredText(fn(&mut Parameters, &str)),
    /// Always the same answer.
    Obsolete(&'static str),
    /// Login and the text phase know what to do.
    Special(Special),
    /// What the target alone says.
    Said,
}

/// How two booleans become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BooleanRule {
    /// Yes if both say Yes.
    And,
    /// Yes if one says Yes.
    Or,
}

/// How two numbers become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberRule {
    /// The smaller.
    Minimum,
    /// The larger.
    Maximum,
}

/// Keys that are handed back to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// Who comes.
    InitiatorName,
    /// To whom.
    TargetName,
    /// For what.
    SessionType,
    /// How it is proved.
    AuthMethod,
    /// CHAP algorithms.
    ChapA,
    /// CHAP name.
    ChapN,
    /// CHAP response.
    ChapR,
    /// CHAP identifier.
    ChapI,
    /// CHAP challenge.
    ChapC,
    /// What targets are there.
    SendTargets,
}

use BooleanRule::{And, Or};
use Discovery::{Irrelevant, Relevant};
use KeyStage::{Any, Operational, Security};
use NumberRule::{Maximum, Minimum};
use Sender::{Both, Initiator, Target};
use Usage::{All, FullFeaturePhaseOnly, InitializeOnly, LeadingOnly};

/// Every key that has a meaning here, in the order of the standard.
//= RFC 7143 "Login/Text Operational Text Keys"
//= RFC 7143 "iSCSI Security Text Keys and Authentication Methods"
#[rustfmt::skip]
pub const KEYS: &[Row] = &[
    row("AuthMethod", InitializeOnly, Security, Both, Relevant, Kind::Special(Special::AuthMethod)),
    row("CHAP_A", InitializeOnly, Security, Both, Relevant, Kind::Special(Special::ChapA)),
    row("CHAP_N", InitializeOnly, Security, Both, Relevant, Kind::Special(Special::ChapN)),
    row("CHAP_R", InitializeOnly, Security, Both, Relevant, Kind::Special(Special::ChapR)),
    row("CHAP_I", InitializeOnly, Security, Both, Relevant, Kind::Special(Special::ChapI)),
    row("CHAP_C", InitializeOnly, Security, Both, Relevant, Kind::Special(Special::ChapC)),
    row("HeaderDigest", InitializeOnly, Operational, Both, Relevant, Kind::List(header_digest)),
    row("DataDigest", InitializeOnly, Operational, Both, Relevant, Kind::List(data_digest)),
    row("MaxConnections", LeadingOnly, Operational, Both, Irrelevant,
        Kind::Number { rule: Minimum, range: (1, 65_535), default: 1, ours: |o| o.connections_max, place: |p| &mut p.session.connections_max }),
    row("SendTargets", FullFeaturePhaseOnly, Operational, Initiator, Relevant, Kind::Special(Special::SendTargets)),
    row("TargetName", InitializeOnly, Any, Initiator, Relevant, Kind::Special(Special::TargetName)),
    row("InitiatorName", InitializeOnly, Any, Initiator, Relevant, Kind::Special(Special::InitiatorName)),
    row("TargetAlias", All, Any, Target, Relevant, Kind::Said),
    row("InitiatorAlias", All, Any, Initiator, Relevant, Kind::DeclaredText(|p, text| p.session.initiator_alias = Some(text.to_owned()))),
    row("TargetAddress", All, Any, Target, Relevant, Kind::Said),
    row("TargetPortalGroupTag", InitializeOnly, Any, Target, Relevant, Kind::Said),
    row("InitialR2T", LeadingOnly, Operational, Both, Irrelevant,
        Kind::Boolean { rule: Or, default: true, ours: |o| o.initial_r2t, place: |p| &mut p.session.initial_r2t }),
    row("ImmediateData", LeadingOnly, Operational, Both, Irrelevant,
        Kind::Boolean { rule: And, default: true, ours: |o| o.immediate_data, place: |p| &mut p.session.immediate_data }),
    row("MaxRecvDataSegmentLength", All, Operational, Both, Relevant,
        Kind::DeclaredNumber { range: SEGMENT_RANGE, default: 8192, place: |p| &mut p.connection.send_segment_bytes_max }),
    row("MaxBurstLength", LeadingOnly, Operational, Both, Irrelevant,
        Kind::Number { rule: Minimum, range: SEGMENT_RANGE, default: 262_144, ours: |o| o.burst_bytes_max, place: |p| &mut p.session.burst_bytes_max }),
    row("FirstBurstLength", LeadingOnly, Operational, Both, Irrelevant, Kind::FirstBurst { default: 65_536 }),
    row("DefaultTime2Wait", LeadingOnly, Operational, Both, Relevant,
        Kind::Number { rule: Maximum, range: (0, 3600), default: 2, ours: |o| o.time_to_wait_secs, place: |p| &mut p.session.time_to_wait_secs }),
    row("DefaultTime2Retain", LeadingOnly, Operational, Both, Relevant,
        Kind::Number { rule: Minimum, range: (0, 3600), default: 20, ours: |o| o.time_to_retain_secs, place: |p| &mut p.session.time_to_retain_secs }),
    row("MaxOutstandingR2T", LeadingOnly, Operational, Both, Irrelevant,
        Kind::Number { rule: Minimum, range: (1, 65_535), default: 1, ours: |o| o.outstanding_r2t_max, place: |p| &mut p.session.outstanding_r2t_max }),
    row("DataPDUInOrder", LeadingOnly, Operational, Both, Irrelevant,
        Kind::Boolean { rule: Or, default: true, ours: |o| o.data_pdu_in_order, place: |p| &mut p.session.data_pdu_in_order }),
    row("DataSequenceInOrder", LeadingOnly, Operational, Both, Irrelevant,
        Kind::Boolean { rule: Or, default: true, ours: |o| o.data_sequence_in_order, place: |p| &mut p.session.data_sequence_in_order }),
    row("ErrorRecoveryLevel", LeadingOnly, Operational, Both, Relevant,
        Kind::Number { rule: Minimum, range: (0, 2), default: 0, ours: |o| o.error_recovery_level, place: |p| &mut p.session.error_recovery_level }),
    row("SessionType", LeadingOnly, Any, Initiator, Relevant, Kind::Special(Special::SessionType)),
    row("TaskReporting", LeadingOnly, Operational, Both, Irrelevant, Kind::List(task_reporting)),
    row("iSCSIProtocolLevel", LeadingOnly, Operational, Both, Irrelevant,
        Kind::Number { rule: Minimum, range: (0, 31), default: 1, ours: |o| o.protocol_level, place: |p| &mut p.session.protocol_level }),
    row("IFMarker", LeadingOnly, Operational, Both, Relevant, Kind::Obsolete("No")),
    row("OFMarker", LeadingOnly, Operational, Both, Relevant, Kind::Obsolete("No")),
    row("IFMarkInt", LeadingOnly, Operational, Both, Relevant, Kind::Obsolete(REJECT)),
    row("OFMarkInt", LeadingOnly, Operational, Both, Relevant, Kind::Obsolete(REJECT)),
];

/// The name of the key that declares how long a data segment may be.
pub const MAX_RECV_DATA_SEGMENT_LENGTH: &str = "MaxRecvDataSegmentLength";

/// In which part of a connection's life text is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// SecurityNegotiation.
    Security,
    /// LoginOperationalNegotiation.
    Operational,
    /// FullFeaturePhase.
    FullFeature,
}

/// What kind of session it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionType {
    /// To see what targets there are.
    Discovery,
    /// To use a target.
    Normal,
}

impl SessionType {
    /// What a value of the key SessionType means.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        match text {
            "Discovery" => Some(Self::Discovery),
            "Normal" => Some(Self::Normal),
            _ => None,
        }
    }
}

/// Whether a connection makes a session or joins one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leading {
    /// The first of its session: it negotiates for all.
    First,
    /// Joins a session whose parameters stand.
    Joining,
}

/// The target's side of a negotiation.
#[derive(Debug, Clone)]
pub struct Negotiator {
    parameters: Parameters,
    session: SessionType,
    leading: Leading,
    said: u64,
}

impl Negotiator {
    /// Nothing said yet.
    #[must_use]
    pub fn new(session: SessionType, leading: Leading) -> Self {
        Self { parameters: Parameters::default(), session, leading, said: 0 }
    }

    /// For a text negotiation of a running connection.
    #[must_use]
    pub fn resume(parameters: Parameters, session: SessionType) -> Self {
        Self { parameters, session, leading: Leading::First, said: 0 }
    }

    /// Takes in what the initiator said, puts the answers into `out`, and hands back the keys that are not negotiated here,
    /// in the initiator's order.
    pub fn handle_pairs<'a>(
        &mut self,
        phase: Phase,
        offer: &Offer,
        pairs: &[Pair<'a>],
        out: &mut Outgoing,
    ) -> Result<Vec<(Special, &'a str)>, KeyError> {
        let mut special = Vec::new();
        let mut first_burst = None;
        for pair in pairs.iter().filter(|pair| !pair.is_answer_without_value()) {
            let Some((index, row)) = KEYS.iter().enumerate().find(|(_, row)| row.name == pair.key) else {
                out.push(pair.key, NOT_UNDERSTOOD);
                continue;
            };
            self.note(index, row)?;
            match (self.verdict(row, phase)?, row.kind) {
                (Verdict::Answer(answer), _) => out.push(row.name, answer),
                (Verdict::Negotiate, Kind::Special(key)) => special.push((key, pair.value)),
                (Verdict::Negotiate, Kind::FirstBurst { .. }) => first_burst = Some(pair.value),
                (Verdict::Negotiate, _) => self.negotiate(row, offer, pair.value, out)?,
            }
        }
        if let Some(value) = first_burst {
            self.negotiate_first_burst(offer, value, out);
        }
        Ok(special)
    }

    /// Declares the longest data segment that we receive.
    pub fn declare(&mut self, offer: &Offer, out: &mut Outgoing) {
        self.parameters.connection.receive_segment_bytes_max = offer.receive_segment_bytes_max;
        out.push(MAX_RECV_DATA_SEGMENT_LENGTH, offer.receive_segment_bytes_max);
    }

    /// The result. A first burst that nobody negotiated is no longer than a burst.
    //= RFC 7143 "FirstBurstLength"
    #[must_use]
    pub fn finish(mut self) -> Parameters {
        let session = &mut self.parameters.session;
        session.first_burst_bytes_max = session.first_burst_bytes_max.min(session.burst_bytes_max);
        self.parameters
    }

    /// What kind of session is negotiated for.
    #[must_use]
    pub fn session(&self) -> SessionType {
        self.session
    }

    /// Refuses a key that comes twice. Declarations that hold in any stage may come again: libiscsi repeats the names
    /// and the session type when it enters the operational stage.
    //= RFC 7143 "Operational Parameter Negotiation During the Login Phase"
    fn note(&mut self, index: usize, row: &Row) -> Result<(), KeyError> {
        let bit = 1 << index;
        if self.said & bit != 0 && row.stage != Any {
            return Err(KeyError::Repeated(row.name));
        }
        self.said |= bit;
        Ok(())
    }

    /// Whether the row's rule applies, or what is answered instead of a value.
    fn verdict(&self, row: &Row, phase: Phase) -> Result<Verdict, KeyError> {
        let in_phase = match phase {
            Phase::Security => row.usage != FullFeaturePhaseOnly && row.stage != Operational,
            Phase::Operational => row.usage != FullFeaturePhaseOnly && row.stage != Security,
            Phase::FullFeature => matches!(row.usage, FullFeaturePhaseOnly | All),
        };
        let joining = self.leading == Leading::Joining && row.usage == LeadingOnly && row.stage != Any;
        match (in_phase, phase) {
            (false, Phase::FullFeature) => Ok(Verdict::Answer(REJECT)),
            (false, phase) => Err(KeyError::WrongPhase { key: row.name, phase }),
            (true, _) if row.sender == Target || joining => Ok(Verdict::Answer(REJECT)),
            (true, _) if self.session == SessionType::Discovery && row.discovery == Irrelevant => {
                Ok(Verdict::Answer(IRRELEVANT))
            }
            (true, _) => Ok(Verdict::Negotiate),
        }
    }

    /// Follows the row's rule.
    //= RFC 7143 "Simple-value Negotiations"
    //= RFC 7143 "List negotiations"
    fn negotiate(
        &mut self,
        row: &Row,
        offer: &Offer,
        value: &str,
        out: &mut Outgoing,
    ) -> Result<(), KeyError> {
        let parameters = &mut self.parameters;
        match row.kind {
            Kind::Boolean { rule, ours, place, .. } => match boolean(value) {
                Some(theirs) => {
                    let result = rule.apply(theirs, ours(offer));
                    *place(parameters) = result;
                    out.push(row.name, if result { "Yes" } else { "No" });
                }
                None => out.push(row.name, REJECT),
            },
            Kind::Number { rule, range, ours, place, .. } => match number_within(value, range) {
                Some(theirs) => {
                    let result = rule.apply(theirs, ours(offer).clamp(range.0, range.1));
                    *place(parameters) = result;
                    out.push(row.name, result);
                }
                None => out.push(row.name, REJECT),
            },
            Kind::List(accept) => {
                let accepted = value.split(',').find(|choice| accept(offer, parameters, choice));
                out.push(row.name, accepted.unwrap_or(REJECT));
            }
            // A declaration has no answer in which it could be refused.
            Kind::DeclaredNumber { range, place, .. } => {
                *place(parameters) = number_within(value, range).ok_or(KeyError::Inadmissible(row.name))?;
            }
            Kind::DeclaredText(put) if value.len() <= VALUE_BYTES_MAX => put(parameters, value),
            Kind::DeclaredText(_) => return Err(KeyError::Inadmissible(row.name)),
            Kind::Obsolete(answer) => out.push(row.name, answer),
            Kind::FirstBurst { .. } | Kind::Special(_) | Kind::Said => unreachable!("decided by the caller"),
        }
        Ok(())
    }

    /// The first burst is no longer than a burst, and means nothing if there is no unsolicited data at all.
    //= RFC 7143 "FirstBurstLength"
    fn negotiate_first_burst(&mut self, offer: &Offer, value: &str, out: &mut Outgoing) {
        let session = &mut self.parameters.session;
        match number_within(value, SEGMENT_RANGE) {
            None => out.push(FIRST_BURST_LENGTH, REJECT),
            Some(_) if session.initial_r2t && !session.immediate_data => {
                out.push(FIRST_BURST_LENGTH, IRRELEVANT)
            }
            Some(theirs) => {
                session.first_burst_bytes_max =
                    theirs.min(offer.first_burst_bytes_max).min(session.burst_bytes_max);
                out.push(FIRST_BURST_LENGTH, session.first_burst_bytes_max);
            }
        }
    }
}

impl BooleanRule {
    fn apply(self, theirs: bool, ours: bool) -> bool {
        match self {
            Self::And => theirs && ours,
            Self::Or => theirs || ours,
        }
    }
}

impl NumberRule {
    fn apply(self, theirs: u32, ours: u32) -> u32 {
        match self {
            Self::Minimum => theirs.min(ours),
            Self::Maximum => theirs.max(ours),
        }
    }
}

/// How the initiator broke the rules of negotiation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyError {
    /// A key came twice.
    Repeated(&'static str),
    /// A key came when it may not.
    WrongPhase {
        /// The key.
        key: &'static str,
        /// When it came.
        phase: Phase,
    },
    /// A declaration has a value that it cannot have.
    Inadmissible(&'static str),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repeated(key) => write!(f, "{key} was said twice"),
            Self::WrongPhase { key, phase } => write!(f, "{key} was said in phase {phase:?}"),
            Self::Inadmissible(key) => write!(f, "{key} was declared with a value that it cannot have"),
        }
    }
}

impl std::error::Error for KeyError {}

enum Verdict {
    Negotiate,
    Answer(&'static str),
}

const fn row(
    name: &'static str,
    usage: Usage,
    stage: KeyStage,
    sender: Sender,
    discovery: Discovery,
    kind: Kind,
) -> Row {
    Row { name, usage, stage, sender, discovery, kind }
}

fn boolean(value: &str) -> Option<bool> {
    match value {
        "Yes" => Some(true),
        "No" => Some(false),
        _ => None,
    }
}

fn number_within(value: &str, (first, last): (u32, u32)) -> Option<u32> {
    let range: RangeInclusive<u32> = first..=last;
    number(value).and_then(|n| u32::try_from(n).ok()).filter(|n| range.contains(n))
}

fn header_digest(offer: &Offer, parameters: &mut Parameters, choice: &str) -> bool {
    choose(digest(choice), &offer.header_digests, &mut parameters.connection.digests.header)
}

fn data_digest(offer: &Offer, parameters: &mut Parameters, choice: &str) -> bool {
    choose(digest(choice), &offer.data_digests, &mut parameters.connection.digests.data)
}

fn digest(choice: &str) -> Option<Digest> {
    match choice {
        "None" => Some(Digest::None),
        "CRC32C" => Some(Digest::Crc32c),
        _ => None,
    }
}

fn task_reporting(offer: &Offer, parameters: &mut Parameters, choice: &str) -> bool {
    let all = [TaskReporting::Rfc3720, TaskReporting::ResponseFence, TaskReporting::FastAbort];
    let value = all.into_iter().find(|value| value.name() == choice);
    choose(value, &offer.task_reporting, &mut parameters.session.task_reporting)
}

/// Notes a value of a list if we offer it.
fn choose<T: Copy + PartialEq>(value: Option<T>, offered: &[T], place: &mut T) -> bool {
    let accepted = value.filter(|value| offered.contains(value));
    accepted.inspect(|value| *place = *value).is_some()
}

const FIRST_BURST_LENGTH: &str = "FirstBurstLength";
/// What MaxRecvDataSegmentLength, MaxBurstLength and FirstBurstLength may be.
const SEGMENT_RANGE: (u32, u32) = (512, 0x00ff_ffff);
/// The most bytes of a value, unless its key says otherwise.
const VALUE_BYTES_MAX: usize = 255;

const _: () = assert!(KEYS.len() <= 64, "one bit each in the set of keys that were said");

#[cfg(test)]
mod tests;
