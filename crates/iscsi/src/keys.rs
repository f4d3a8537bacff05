//! The keys of RFC 7143 as one table, and the negotiation that follows from a row.
//!
//! Start at [`KEYS`] (in `table`). A [`Negotiator`] is fed with pairs, answers those that want an answer, and keeps the result in its
//! [`Parameters`]; keys that mean something to login itself (names, security, SendTargets) are handed back. We never
//! offer a negotiable key ourselves: what the initiator does not offer keeps its default, so no login takes longer than the
//! initiator makes it, and one that does not expect offers is not surprised by them.
//!
//! Keys of extensions that are not spoken (iSER's on TCP, private ones) have no row: they are NotUnderstood.

mod negotiator;
mod parameters;
mod table;

pub use negotiator::{KeyError, Leading, Negotiator, Phase, SessionType};
pub use parameters::{ConnectionParameters, OUR_SEGMENT, Parameters, SessionParameters, TaskReporting};
pub use table::{BooleanRule, Discovery, KEYS, KeyStage, Kind, NumberRule, Row, Sender, Special, Usage};

#[cfg(test)]
mod tests;
