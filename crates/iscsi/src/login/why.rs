//! Why a login is refused, and with which status.

use std::fmt;

use crate::chap::ChapError;
use crate::keys::KeyError;
use crate::name::{IscsiName, NameError};
use crate::pdu::{LoginStatus, Opcode, Stage};
use crate::text::TextError;

/// A refused login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What the initiator is told.
    pub status: LoginStatus,
    /// What the operator is told.
    pub why: Why,
    /// Who it said it is, if it came to that.
    pub initiator: Option<IscsiName>,
    /// Where it wanted to, if it came to that; there may be no such target.
    pub target: Option<IscsiName>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:#06x}): {}", self.status, self.status.0, self.why)
    }
}

impl std::error::Error for Refusal {}

/// The reason of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// No version in common.
    Version {
        /// The lowest that the initiator speaks.
        min: u8,
    },
    /// A field or key differs from what it was before.
    Changed(&'static str),
    /// What the request calls the current stage is none of login.
    NoStage(Stage),
    /// The current stage is another one.
    Stage {
        /// The current stage.
        is: Stage,
        /// What the request says.
        said: Stage,
    },
    /// No way leads to the next stage.
    NextStage {
        /// The current stage.
        is: Stage,
        /// What the request wants.
        wanted: Stage,
    },
    /// A text that goes on cannot end a stage.
    TransitAndContinue,
    /// A login request with more text than it may have, or with additional headers.
    TooLong,
    /// The login does not come to an end.
    TooManyRequests,
    /// The initiator speaks while it should read.
    Interrupted,
    /// The text is none.
    Text(TextError),
    /// The rules of negotiation were broken.
    Key(KeyError),
    /// A key must be there and is not.
    Missing(&'static str),
    /// The initiator's name is none.
    Name(NameError),
    /// Neither normal nor discovery.
    SessionType,
    /// A discovery session has one connection.
    DiscoveryJoin,
    /// No such target.
    UnknownTarget,
    /// The target is served at other portals.
    NotHere,
    /// The portal group is not enabled.
    Disabled,
    /// The allow list does not name the initiator.
    NotAllowed,
    /// The portal group is not open, and has no entry for the initiator.
    NoEntry,
    /// The initiator wants to go on without a proof.
    ProofDemanded,
    /// No authentication method in common.
    NoMethod,
    /// A proof is demanded for which there are no credentials.
    NoCredentials,
    /// A security key comes before what it belongs to.
    OutOfOrder(&'static str),
    /// The proof failed.
    Chap(ChapError),
    /// A PDU that has no place in login.
    NotLogin(Opcode),
    /// There is no place for it among the sessions.
    NotAdmitted(LoginStatus),
}

impl Why {
    /// What the initiator is told.
    //= RFC 7143 "Status-Class and Status-Detail"
    #[must_use]
    pub fn status(&self) -> LoginStatus {
        match self {
            Self::Version { .. } => LoginStatus::UNSUPPORTED_VERSION,
            Self::Missing(_) => LoginStatus::MISSING_PARAMETER,
            Self::SessionType => LoginStatus::SESSION_TYPE_NOT_SUPPORTED,
            Self::DiscoveryJoin => LoginStatus::CANNOT_INCLUDE_IN_SESSION,
            Self::UnknownTarget | Self::NotHere => LoginStatus::NOT_FOUND,
            Self::Disabled => LoginStatus::SERVICE_UNAVAILABLE,
            Self::NotAllowed | Self::NoEntry => LoginStatus::AUTHORIZATION_FAILURE,
            Self::ProofDemanded | Self::NoMethod | Self::NoCredentials | Self::Chap(_) => {
                LoginStatus::AUTHENTICATION_FAILURE
            }
            Self::NotLogin(_) => LoginStatus::INVALID_DURING_LOGIN,
            Self::NotAdmitted(status) => *status,
            Self::Changed(_)
            | Self::NoStage(_)
            | Self::Stage { .. }
            | Self::NextStage { .. }
            | Self::TransitAndContinue
            | Self::TooLong
            | Self::TooManyRequests
            | Self::Interrupted
            | Self::Text(_)
            | Self::Key(_)
            | Self::Name(_)
            | Self::OutOfOrder(_) => LoginStatus::INITIATOR_ERROR,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { min } => write!(f, "the initiator speaks no version below {min}"),
            Self::Changed(what) => write!(f, "{what} changed during login"),
            Self::NoStage(said) => write!(f, "{said} is no stage of login"),
            Self::Stage { is, said } => write!(f, "the stage is {is}, the request says {said}"),
            Self::NextStage { is, wanted } => write!(f, "no way leads from {is} to {wanted}"),
            Self::TransitAndContinue => f.write_str("a request has both T and C set"),
            Self::TooLong => f.write_str("a login request is longer than it may be"),
            Self::TooManyRequests => f.write_str("too many login requests"),
            Self::Interrupted => f.write_str("the initiator interrupted the target's text"),
            Self::Text(why) => why.fmt(f),
            Self::Key(why) => why.fmt(f),
            Self::Missing(key) => write!(f, "{key} is missing"),
            Self::Name(why) => write!(f, "the initiator's name is wrong: {why}"),
            Self::SessionType => f.write_str("SessionType is neither Normal nor Discovery"),
            Self::DiscoveryJoin => f.write_str("a discovery session cannot have a second connection"),
            Self::UnknownTarget => f.write_str("there is no target with this name"),
            Self::NotHere => f.write_str("the target is not served at this portal"),
            Self::Disabled => f.write_str("the portal group is not enabled"),
            Self::NotAllowed => f.write_str("the initiator is not on the allow list"),
            Self::NoEntry => {
                f.write_str("the initiator has no ACL entry, and the portal group is not open to others")
            }
            Self::ProofDemanded => f.write_str("the target demands CHAP and the initiator does not offer it"),
            Self::NoMethod => f.write_str("no authentication method in common"),
            Self::NoCredentials => {
                f.write_str("CHAP is demanded, but no user and secret are set for the initiator")
            }
            Self::OutOfOrder(key) => write!(f, "{key} came out of order"),
            Self::Chap(why) => why.fmt(f),
            Self::NotLogin(opcode) => write!(f, "{opcode} during login"),
            Self::NotAdmitted(status) => write!(f, "not admitted: {status}"),
        }
    }
}

impl From<TextError> for Why {
    fn from(why: TextError) -> Self {
        Self::Text(why)
    }
}

impl From<KeyError> for Why {
    fn from(why: KeyError) -> Self {
        Self::Key(why)
    }
}

impl From<ChapError> for Why {
    fn from(why: ChapError) -> Self {
        Self::Chap(why)
    }
}
