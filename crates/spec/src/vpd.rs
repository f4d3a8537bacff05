//! Vital product data: page codes and layouts, SPC-4 "Vital product data parameters" and SBC-3's.
//!
//! Every page begins with [`header`]. Which pages a unit has is the engine's table.

use crate::layout::layouts;

/// A page code. Open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PageCode(pub u8);

impl PageCode {
    /// SPC-4 "Supported VPD Pages VPD page".
    pub const SUPPORTED_PAGES: Self = Self(0x00);
    /// SPC-4 "Unit Serial Number VPD page".
    pub const UNIT_SERIAL_NUMBER: Self = Self(0x80);
    /// SPC-4 "Device Identification VPD page".
    pub const DEVICE_IDENTIFICATION: Self = Self(0x83);
    /// SPC-4 "Extended INQUIRY Data VPD page".
    pub const EXTENDED_INQUIRY: Self = Self(0x86);
    /// SPC-4 "Mode Page Policy VPD page".
    pub const MODE_PAGE_POLICY: Self = Self(0x87);
    /// SBC-3 "Block Limits VPD page".
    pub const BLOCK_LIMITS: Self = Self(0xb0);
    /// SBC-3 "Block Device Characteristics VPD page".
    pub const BLOCK_DEVICE_CHARACTERISTICS: Self = Self(0xb1);
    /// SBC-3 "Logical Block Provisioning VPD page".
    pub const LOGICAL_BLOCK_PROVISIONING: Self = Self(0xb2);
}

layouts! {
    /// What every page begins with.
    header, 4 {
        PERIPHERAL_QUALIFIER: u8 = 0, 7, 3;
        PERIPHERAL_DEVICE_TYPE: u8 = 0, 4, 5;
        PAGE_CODE: u8 = 1, 7, 8;
        /// Of what follows the header.
        PAGE_LENGTH: u16 = 2, 7, 16;
    }

    /// SPC-4 "Extended INQUIRY Data VPD page".
    extended_inquiry, 64 {
        ACTIVATE_MICROCODE: u8 = 4, 7, 2;
        SPT: u8 = 4, 5, 3;
        GRD_CHK: bool = 4, 2, 1;
        APP_CHK: bool = 4, 1, 1;
        REF_CHK: bool = 4, 0, 1;
        UASK_SUP: bool = 5, 5, 1;
        GROUP_SUP: bool = 5, 4, 1;
        PRIOR_SUP: bool = 5, 3, 1;
        HEADSUP: bool = 5, 2, 1;
        ORDSUP: bool = 5, 1, 1;
        SIMPSUP: bool = 5, 0, 1;
        WU_SUP: bool = 6, 3, 1;
        CRD_SUP: bool = 6, 2, 1;
        NV_SUP: bool = 6, 1, 1;
        V_SUP: bool = 6, 0, 1;
        LUICLR: bool = 7, 0, 1;
        R_SUP: bool = 8, 4, 1;
        EXTENDED_SELF_TEST_COMPLETION_MINUTES: u16 = 10, 7, 16;
        MAXIMUM_SUPPORTED_SENSE_DATA_LENGTH: u8 = 13, 7, 8;
    }

    /// SPC-4 "Mode Page Policy VPD page": one descriptor.
    mode_page_policy_descriptor, 4 {
        POLICY_PAGE_CODE: u8 = 0, 5, 6;
        POLICY_SUBPAGE_CODE: u8 = 1, 7, 8;
        MLUS: bool = 2, 7, 1;
        /// 00b: shared by all nexuses.
        MODE_PAGE_POLICY: u8 = 2, 1, 2;
    }

    /// SBC-3 "Block Limits VPD page". Lengths and counts are in logical blocks; zero is "not reported".
    block_limits, 64 {
        /// WRITE SAME of no blocks is refused.
        WSNZ: bool = 4, 0, 1;
        MAXIMUM_COMPARE_AND_WRITE_LENGTH: u8 = 5, 7, 8;
        OPTIMAL_TRANSFER_LENGTH_GRANULARITY: u16 = 6, 7, 16;
        MAXIMUM_TRANSFER_LENGTH: u32 = 8, 7, 32;
        OPTIMAL_TRANSFER_LENGTH: u32 = 12, 7, 32;
        MAXIMUM_PREFETCH_LENGTH: u32 = 16, 7, 32;
        MAXIMUM_UNMAP_LBA_COUNT: u32 = 20, 7, 32;
        MAXIMUM_UNMAP_BLOCK_DESCRIPTOR_COUNT: u32 = 24, 7, 32;
        OPTIMAL_UNMAP_GRANULARITY: u32 = 28, 7, 32;
        UGAVALID: bool = 32, 7, 1;
        UNMAP_GRANULARITY_ALIGNMENT: u32 = 32, 6, 31;
        MAXIMUM_WRITE_SAME_LENGTH: u64 = 36, 7, 64;
    }

    /// SBC-3 "Block Device Characteristics VPD page".
    block_device_characteristics, 64 {
        /// 0: not reported, 1: does not rotate, else per minute.
        MEDIUM_ROTATION_RATE: u16 = 4, 7, 16;
        NOMINAL_FORM_FACTOR: u8 = 7, 3, 4;
        FUAB: bool = 8, 1, 1;
        /// Unmapped blocks are verified as the zeros that they read as.
        VBULS: bool = 8, 0, 1;
    }

    /// SBC-3 "Logical Block Provisioning VPD page".
    logical_block_provisioning, 8 {
        THRESHOLD_EXPONENT: u8 = 4, 7, 8;
        LBPU: bool = 5, 7, 1;
        LBPWS: bool = 5, 6, 1;
        LBPWS10: bool = 5, 5, 1;
        LBPRZ: bool = 5, 2, 1;
        ANC_SUP: bool = 5, 1, 1;
        DP: bool = 5, 0, 1;
        PROVISIONING_TYPE: u8 = 6, 2, 3;
    }
}

/// MEDIUM ROTATION RATE: does not rotate.
pub const NON_ROTATING: u16 = 1;

/// PROVISIONING TYPE: thin.
pub const PROVISIONING_THIN: u8 = 2;
