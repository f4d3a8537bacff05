//! What the operator decided: a target, its units, and who they say they are.
//!
//! Immutable; replaced whole.

use felio_hal::state::Saved;
use felio_hal::{Limits, StoreId};

/// Target ports and the units behind them: every unit is behind every port, under the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetConfig {
    /// The target ports; at least one.
    pub ports: Vec<PortConfig>,
    /// The units, of all reactors.
    pub units: Vec<UnitConfig>,
}

/// A SCSI target port: for iSCSI, a portal group of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// The name of the target that it belongs to; for iSCSI its iqn.
    pub target: String,
    /// Which of the target's ports; for iSCSI the portal group tag.
    pub tag: u16,
    /// RELATIVE TARGET PORT IDENTIFIER: unique among all ports.
    pub relative_port: u16,
}

impl PortConfig {
    /// The port's name as SCSI knows it.
    //= RFC 7143 "SCSI to iSCSI Concepts Mapping Model": the target port's name
    #[must_use]
    pub fn name(&self) -> String {
        format!("{},t,0x{:04x}", self.target, self.tag)
    }
}

impl TargetConfig {
    /// The port of that target with that tag, as an index; the first where there is none such.
    ///
    /// # Panics
    /// When there is no port at all: the configuration was not checked.
    #[must_use]
    pub fn port(&self, target: &str, tag: u16) -> usize {
        assert!(!self.ports.is_empty(), "a target needs a port");
        self.ports.iter().position(|port| port.target == target && port.tag == tag).unwrap_or(0)
    }
}

/// One unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitConfig {
    /// Its number; see [`felio_spec::Lun::from_number`].
    pub lun: u16,
    /// The reactor that executes its commands.
    pub home: u16,
    /// Where its blocks are.
    pub store: StoreId,
    /// What that store can do.
    pub limits: Limits,
    /// Logical block, bytes.
    pub block_bytes: u32,
    /// Physical block, bytes.
    pub physical_block_bytes: u32,
    /// Writes are refused.
    pub read_only: bool,
    /// Initiators may eject the medium and load it again.
    pub removable: bool,
    /// Who it says it is.
    pub identity: Identity,
    /// What earlier processes saved of it.
    pub saved: Saved,
}

/// Who a unit says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// T10 VENDOR IDENTIFICATION, at most 8 characters.
    pub vendor: String,
    /// PRODUCT IDENTIFICATION, at most 16 characters.
    pub product: String,
    /// PRODUCT REVISION LEVEL, at most 4 characters.
    pub revision: String,
    /// PRODUCT SERIAL NUMBER.
    pub serial: String,
    /// NAA designator, IEEE Registered Extended format.
    pub naa: [u8; 16],
}
