//! Negotiation: a pair, its row, an answer.

use std::fmt;
use std::ops::RangeInclusive;

use super::Parameters;
use super::table::{
    BooleanRule, Discovery, KEYS, KeyStage, Kind, NumberRule, Row, SEGMENT_RANGE, Sender, Special, Usage,
};
use crate::config::{Offer, UNASKED_BYTES_MAX};
use crate::text::{IRRELEVANT, NOT_UNDERSTOOD, Outgoing, Pair, REJECT, number};

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
        let ours = unasked(offer.receive_segment_bytes_max);
        self.parameters.connection.receive_segment_bytes_max = ours;
        out.push(MAX_RECV_DATA_SEGMENT_LENGTH, ours);
    }

    /// The result. A first burst that nobody negotiated is no longer than a burst.
    //= RFC 7143 "FirstBurstLength"
    #[must_use]
    pub fn finish(mut self) -> Parameters {
        let session = &mut self.parameters.session;
        session.first_burst_bytes_max = session.first_burst_bytes_max.min(session.burst_bytes_max);
        self.parameters
    }

    /// Refuses a key that comes twice. Declarations that hold in any stage may come again: older releases of
    /// libiscsi repeat the names and the session type when they enter the operational stage.
    //= RFC 7143 "Operational Parameter Negotiation During the Login Phase"
    fn note(&mut self, index: usize, row: &Row) -> Result<(), KeyError> {
        let bit = 1 << index;
        if self.said & bit != 0 && row.stage != KeyStage::Any {
            return Err(KeyError::Repeated(row.name));
        }
        self.said |= bit;
        Ok(())
    }

    /// Whether the row's rule applies, or what is answered instead of a value.
    fn verdict(&self, row: &Row, phase: Phase) -> Result<Verdict, KeyError> {
        let in_phase = match phase {
            Phase::Security => row.usage != Usage::FullFeaturePhaseOnly && row.stage != KeyStage::Operational,
            Phase::Operational => row.usage != Usage::FullFeaturePhaseOnly && row.stage != KeyStage::Security,
            Phase::FullFeature => matches!(row.usage, Usage::FullFeaturePhaseOnly | Usage::All),
        };
        let joining =
            self.leading == Leading::Joining && row.usage == Usage::LeadingOnly && row.stage != KeyStage::Any;
        match (in_phase, phase) {
            (false, Phase::FullFeature) => Ok(Verdict::Answer(REJECT)),
            (false, phase) => Err(KeyError::WrongPhase { key: row.name, phase }),
            (true, _) if row.sender == Sender::Target || joining => Ok(Verdict::Answer(REJECT)),
            (true, _) if self.session == SessionType::Discovery && row.discovery == Discovery::Irrelevant => {
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
            Kind::List { choose: accept, .. } => {
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
                    theirs.min(unasked(offer.first_burst_bytes_max)).min(session.burst_bytes_max);
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

/// As much as an operator wants to take unasked, and we can.
fn unasked(bytes: u32) -> u32 {
    bytes.clamp(SEGMENT_RANGE.0, UNASKED_BYTES_MAX)
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

const MAX_RECV_DATA_SEGMENT_LENGTH: &str = "MaxRecvDataSegmentLength";
const FIRST_BURST_LENGTH: &str = "FirstBurstLength";
/// The most bytes of a value, unless its key says otherwise.
const VALUE_BYTES_MAX: usize = 255;
