//! What the operator decided: a target, its units, and who they say they are.
//!
//! Immutable; replaced whole.

use felio_hal::{Limits, StoreId};

/// A target port and the units behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetConfig {
    /// The target's name, for iSCSI its iqn.
    pub name: String,
    /// TARGET PORT GROUP of the port; for iSCSI also the portal group tag.
    pub port_group_tag: u16,
    /// RELATIVE TARGET PORT IDENTIFIER.
    pub relative_port: u16,
    /// The units, of all reactors.
    pub units: Vec<UnitConfig>,
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
