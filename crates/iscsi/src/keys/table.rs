//! The table of keys: its columns, its rows, and the functions that rows name.

use super::{Parameters, TaskReporting};
use crate::config::{CONNECTIONS_MAX, ERROR_RECOVERY_LEVEL_MAX, Offer};
use crate::digest::Digest;
use crate::text::REJECT;

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
    List {
        /// Notes a value that is offered; whether it is.
        choose: fn(&Offer, &mut Parameters, &str) -> bool,
        /// What was noted.
        chosen: fn(&Parameters) -> &'static str,
    },
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
    row("HeaderDigest", InitializeOnly, Operational, Both, Relevant, Kind::List { choose: header_digest, chosen: |p| p.connection.digests.header.name() }),
    row("DataDigest", InitializeOnly, Operational, Both, Relevant, Kind::List { choose: data_digest, chosen: |p| p.connection.digests.data.name() }),
    row("MaxConnections", LeadingOnly, Operational, Both, Irrelevant,
        Kind::Number { rule: Minimum, range: (1, 65_535), default: 1, ours: |_| CONNECTIONS_MAX, place: |p| &mut p.session.connections_max }),
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
        Kind::Boolean { rule: Or, default: true, ours: |_| true, place: |p| &mut p.session.data_pdu_in_order }),
    row("DataSequenceInOrder", LeadingOnly, Operational, Both, Irrelevant,
        Kind::Boolean { rule: Or, default: true, ours: |_| true, place: |p| &mut p.session.data_sequence_in_order }),
    row("ErrorRecoveryLevel", LeadingOnly, Operational, Both, Relevant,
        Kind::Number { rule: Minimum, range: (0, 2), default: 0, ours: |_| ERROR_RECOVERY_LEVEL_MAX, place: |p| &mut p.session.error_recovery_level }),
    row("SessionType", LeadingOnly, Any, Initiator, Relevant, Kind::Special(Special::SessionType)),
    row("TaskReporting", LeadingOnly, Operational, Both, Irrelevant, Kind::List { choose: task_reporting, chosen: |p| p.session.task_reporting.name() }),
    row("iSCSIProtocolLevel", LeadingOnly, Operational, Both, Irrelevant,
        Kind::Number { rule: Minimum, range: (0, 31), default: 1, ours: |o| o.protocol_level, place: |p| &mut p.session.protocol_level }),
    row("IFMarker", LeadingOnly, Operational, Both, Relevant, Kind::Obsolete("No")),
    row("OFMarker", LeadingOnly, Operational, Both, Relevant, Kind::Obsolete("No")),
    row("IFMarkInt", LeadingOnly, Operational, Both, Relevant, Kind::Obsolete(REJECT)),
    row("OFMarkInt", LeadingOnly, Operational, Both, Relevant, Kind::Obsolete(REJECT)),
];

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

fn header_digest(offer: &Offer, parameters: &mut Parameters, choice: &str) -> bool {
    choose(digest(choice), &offer.header_digests, &mut parameters.connection.digests.header)
}

fn data_digest(offer: &Offer, parameters: &mut Parameters, choice: &str) -> bool {
    choose(digest(choice), &offer.data_digests, &mut parameters.connection.digests.data)
}

fn digest(choice: &str) -> Option<Digest> {
    [Digest::None, Digest::Crc32c].into_iter().find(|digest| digest.name() == choice)
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

/// What MaxRecvDataSegmentLength, MaxBurstLength and FirstBurstLength may be.
pub(super) const SEGMENT_RANGE: (u32, u32) = (512, 0x00ff_ffff);

const _: () = assert!(KEYS.len() <= 64, "one bit each in the set of keys that were said");
