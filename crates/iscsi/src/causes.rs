//! What ends connections for which neither side asked, by kind. Causes are stable texts for logs; those that are no breach of the protocol have
//! their names here, so that whoever counts can tell them apart.

/// What kind of failure a cause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A digest was wrong.
    Digest,
    /// Something did not come in time.
    Timeout,
    /// The initiator broke the protocol.
    Format,
}

/// The kind of a cause, which a connection gave.
#[must_use]
pub fn fault(cause: &str) -> Fault {
    match cause {
        HEADER_DIGEST | DATA_DIGEST => Fault::Digest,
        LOGIN_LATE | PDU_LATE | OUTPUT_LATE | SILENT | NO_LOGOUT | GAP | DATA_LATE => Fault::Timeout,
        OUTPUT_SCARCE | DATA_SCARCE | PDU_SCARCE | GAP_SCARCE => Fault::Timeout,
        _ => Fault::Format,
    }
}

pub(crate) const HEADER_DIGEST: &str = "header digest error";
pub(crate) const DATA_DIGEST: &str = "data digest error";
pub(crate) const LOGIN_LATE: &str = "login took too long";
pub(crate) const PDU_LATE: &str = "the rest of a PDU did not come";
pub(crate) const OUTPUT_LATE: &str = "the initiator takes no output";
pub(crate) const SILENT: &str = "the initiator is silent";
pub(crate) const NO_LOGOUT: &str = "the initiator did not log out when asked to";
pub(crate) const GAP: &str = "a gap in CmdSN was not filled";
pub(crate) const DATA_LATE: &str = "data of a write did not come";
pub(crate) const OUTPUT_SCARCE: &str = "the initiator takes no output while memory is short";
pub(crate) const DATA_SCARCE: &str = "data of a write did not come while memory is short";
pub(crate) const PDU_SCARCE: &str = "the rest of a PDU did not come while memory is short";
pub(crate) const GAP_SCARCE: &str = "a gap in CmdSN was not filled while memory is short";
