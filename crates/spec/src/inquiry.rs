//! SPC-4 "Standard INQUIRY data": layout and the values of its fields.

use crate::field::{Field, Text};
use crate::layout::layouts;

/// SPC-4 "Peripheral device type". Open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceType(pub u8);

impl DeviceType {
    /// A disk: SBC-3.
    pub const DIRECT_ACCESS: Self = Self(0x00);
    /// A tape: SSC-4.
    pub const SEQUENTIAL_ACCESS: Self = Self(0x01);
    /// A CD, DVD or BD: MMC-6.
    pub const CD_DVD: Self = Self(0x05);
    /// A robot: SMC-3.
    pub const MEDIUM_CHANGER: Self = Self(0x08);
    /// An array controller: SCC-2.
    pub const STORAGE_ARRAY_CONTROLLER: Self = Self(0x0c);
    /// An enclosure: SES-3.
    pub const ENCLOSURE_SERVICES: Self = Self(0x0d);
    /// A well known unit.
    pub const WELL_KNOWN: Self = Self(0x1e);
    /// No device, or one of no known type.
    pub const UNKNOWN: Self = Self(0x1f);
}

/// SPC-4 "Peripheral qualifier". Open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Qualifier(pub u8);

impl Qualifier {
    /// There is a unit at this LUN.
    pub const CONNECTED: Self = Self(0b000);
    /// There is none, but could be.
    pub const NOT_CONNECTED: Self = Self(0b001);
    /// There can be none.
    pub const NOT_SUPPORTED: Self = Self(0b011);
}

/// VERSION: SPC-4.
pub const VERSION_SPC4: u8 = 0x06;

/// RESPONSE DATA FORMAT: that of SPC-2 and everything since.
pub const RESPONSE_DATA_FORMAT: u8 = 2;

layouts! {
    /// SPC-4 "Standard INQUIRY data", up to the version descriptors' end and the reserved bytes after it.
    standard, 96 {
        PERIPHERAL_QUALIFIER: u8 = 0, 7, 3;
        PERIPHERAL_DEVICE_TYPE: u8 = 0, 4, 5;
        RMB: bool = 1, 7, 1;
        LU_CONG: bool = 1, 6, 1;
        VERSION: u8 = 2, 7, 8;
        NORMACA: bool = 3, 5, 1;
        HISUP: bool = 3, 4, 1;
        RESPONSE_DATA_FORMAT: u8 = 3, 3, 4;
        ADDITIONAL_LENGTH: u8 = 4, 7, 8;
        SCCS: bool = 5, 7, 1;
        TPGS: u8 = 5, 5, 2;
        THIRD_PARTY_COPY: bool = 5, 3, 1;
        PROTECT: bool = 5, 0, 1;
        ENCSERV: bool = 6, 6, 1;
        MULTIP: bool = 6, 4, 1;
        CMDQUE: bool = 7, 1, 1;
    }
}

/// T10 VENDOR IDENTIFICATION.
pub const VENDOR: Text = Text { byte: 8, bytes: 8 };
/// PRODUCT IDENTIFICATION.
pub const PRODUCT: Text = Text { byte: 16, bytes: 16 };
/// PRODUCT REVISION LEVEL.
pub const REVISION: Text = Text { byte: 32, bytes: 4 };

/// Number of version descriptors.
pub const VERSION_DESCRIPTORS: u16 = 8;

/// VERSION DESCRIPTOR `index`, from 0.
#[must_use]
pub const fn version_descriptor(index: u16) -> Field<u16> {
    Field::bytes(58 + 2 * index, 2)
}

/// SPC-4 "Version descriptor values": the standard itself, no particular revision.
pub mod version {
    /// SAM-5.
    pub const SAM_5: u16 = 0x00a0;
    /// SPC-4.
    pub const SPC_4: u16 = 0x0460;
    /// SBC-3.
    pub const SBC_3: u16 = 0x04c0;
    /// iSCSI.
    pub const ISCSI: u16 = 0x0960;
}
