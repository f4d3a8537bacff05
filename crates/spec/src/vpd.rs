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
    /// SPC-4 "SCSI Ports VPD page".
    pub const SCSI_PORTS: Self = Self(0x88);
    /// SPC-4 "Power Condition VPD page".
    pub const POWER_CONDITION: Self = Self(0x8a);
    /// SPC-4 "Third-party Copy VPD page".
    pub const THIRD_PARTY_COPY: Self = Self(0x8f);
    /// SBC-3 "Block Limits VPD page".
    pub const BLOCK_LIMITS: Self = Self(0xb0);
    /// SBC-3 "Block Device Characteristics VPD page".
    pub const BLOCK_DEVICE_CHARACTERISTICS: Self = Self(0xb1);
    /// SBC-3 "Logical Block Provisioning VPD page".
    pub const LOGICAL_BLOCK_PROVISIONING: Self = Self(0xb2);
    /// SBC-4 "Supported Block Lengths And Protection Types VPD page".
    pub const BLOCK_LENGTHS_AND_PROTECTION_TYPES: Self = Self(0xb4);
    /// SBC-3 "Referrals VPD page".
    pub const REFERRALS: Self = Self(0xb3);
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
        /// SPC-5: nothing is checked of Data-Out either, where its tags say so.
        NO_PI_CHK: bool = 7, 5, 1;
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

    /// SPC-4 "SCSI Ports VPD page": a port without an initiator port, up to its designators.
    scsi_port, 12 {
        RELATIVE_PORT_IDENTIFIER: u16 = 2, 7, 16;
        INITIATOR_PORT_TRANSPORTID_LENGTH: u16 = 6, 7, 16;
        /// Of what follows this field.
        TARGET_PORT_DESCRIPTORS_LENGTH: u16 = 10, 7, 16;
    }

    /// SPC-4 "Power Condition VPD page". Recovery times are milliseconds; zero is "not told".
    power_condition, 18 {
        STANDBY_Y: bool = 4, 1, 1;
        STANDBY_Z: bool = 4, 0, 1;
        IDLE_C: bool = 5, 2, 1;
        IDLE_B: bool = 5, 1, 1;
        IDLE_A: bool = 5, 0, 1;
        STOPPED_CONDITION_RECOVERY_TIME: u16 = 6, 7, 16;
        STANDBY_Z_CONDITION_RECOVERY_TIME: u16 = 8, 7, 16;
        STANDBY_Y_CONDITION_RECOVERY_TIME: u16 = 10, 7, 16;
        IDLE_A_CONDITION_RECOVERY_TIME: u16 = 12, 7, 16;
        IDLE_B_CONDITION_RECOVERY_TIME: u16 = 14, 7, 16;
        IDLE_C_CONDITION_RECOVERY_TIME: u16 = 16, 7, 16;
    }

    /// SPC-4 "Third-party copy descriptors": what each begins with.
    third_party_descriptor, 4 {
        TYPE: u16 = 0, 7, 16;
        /// Of what follows this field.
        LENGTH: u16 = 2, 7, 16;
    }

    /// SBC-3 "Block Device ROD Token Limits descriptor".
    block_device_rod_token_limits, 36 {
        MAXIMUM_RANGE_DESCRIPTORS: u16 = 10, 7, 16;
        /// Seconds.
        MAXIMUM_INACTIVITY_TIMEOUT: u32 = 12, 7, 32;
        /// Seconds.
        DEFAULT_INACTIVITY_TIMEOUT: u32 = 16, 7, 32;
        /// Blocks.
        MAXIMUM_TOKEN_TRANSFER_SIZE: u64 = 20, 7, 64;
        /// Blocks.
        OPTIMAL_TRANSFER_COUNT: u64 = 28, 7, 64;
    }

    /// SPC-4 "Supported Commands descriptor": what stands before the commands.
    copy_commands, 5 {
        COMMANDS_SUPPORTED_LIST_LENGTH: u8 = 4, 7, 8;
    }

    /// SPC-4 "Parameter Data descriptor".
    copy_parameter_data, 32 {
        MAXIMUM_CSCD_DESCRIPTOR_COUNT: u16 = 8, 7, 16;
        MAXIMUM_SEGMENT_DESCRIPTOR_COUNT: u16 = 10, 7, 16;
        MAXIMUM_DESCRIPTOR_LIST_LENGTH: u32 = 12, 7, 32;
        MAXIMUM_INLINE_DATA_LENGTH: u32 = 16, 7, 32;
    }

    /// SPC-4 "Supported Descriptors descriptor": what stands before the type codes.
    copy_descriptors, 5 {
        SUPPORTED_DESCRIPTOR_LIST_LENGTH: u8 = 4, 7, 8;
    }

    /// SPC-4 "Supported CSCD Descriptor IDs descriptor": what stands before the identifiers.
    copy_cscd_ids, 6 {
        SUPPORTED_CSCD_DESCRIPTOR_IDS_LIST_LENGTH: u16 = 4, 7, 16;
    }

    /// SPC-4 "ROD Token Features descriptor": what stands before the features by device type.
    rod_token_features, 48 {
        REMOTE_TOKENS: u8 = 4, 3, 4;
        /// Seconds.
        MINIMUM_TOKEN_LIFETIME: u32 = 16, 7, 32;
        /// Seconds.
        MAXIMUM_TOKEN_LIFETIME: u32 = 20, 7, 32;
        /// Seconds.
        MAXIMUM_TOKEN_INACTIVITY_TIMEOUT: u32 = 24, 7, 32;
        ROD_DEVICE_TYPE_SPECIFIC_FEATURES_DESCRIPTORS_LENGTH: u16 = 46, 7, 16;
    }

    /// SPC-4 "Block ROD device type specific features descriptor".
    block_rod_features, 48 {
        DESCRIPTOR_FORMAT: u8 = 0, 7, 3;
        PERIPHERAL_DEVICE_TYPE: u8 = 0, 4, 5;
        /// Of what follows this field.
        LENGTH: u16 = 2, 7, 16;
        OPTIMAL_BLOCK_ROD_LENGTH_GRANULARITY: u16 = 6, 7, 16;
        MAXIMUM_BYTES_IN_BLOCK_ROD: u64 = 8, 7, 64;
        OPTIMAL_BYTES_IN_BLOCK_ROD_TRANSFER: u64 = 16, 7, 64;
        OPTIMAL_BYTES_TO_TOKEN_PER_SEGMENT: u64 = 24, 7, 64;
        OPTIMAL_BYTES_FROM_TOKEN_PER_SEGMENT: u64 = 32, 7, 64;
    }

    /// SPC-4 "Supported ROD Types descriptor": what stands before the types.
    rod_types, 8 {
        ROD_TYPE_DESCRIPTORS_LENGTH: u16 = 6, 7, 16;
    }

    /// SPC-4 "ROD type descriptor".
    rod_type, 64 {
        ROD_TYPE: u32 = 0, 7, 32;
        /// EXTENDED COPY makes such RODs.
        ECPY_INT: bool = 4, 7, 1;
        TOKEN_IN: bool = 4, 1, 1;
        TOKEN_OUT: bool = 4, 0, 1;
        PREFERENCE_INDICATOR: u16 = 6, 7, 16;
    }

    /// SPC-4 "General Copy Operations descriptor".
    general_copy_operations, 36 {
        TOTAL_CONCURRENT_COPIES: u32 = 4, 7, 32;
        MAXIMUM_IDENTIFIED_CONCURRENT_COPIES: u32 = 8, 7, 32;
        /// Bytes.
        MAXIMUM_SEGMENT_LENGTH: u32 = 12, 7, 32;
        /// Log 2.
        DATA_SEGMENT_GRANULARITY: u8 = 16, 7, 8;
        INLINE_DATA_GRANULARITY: u8 = 17, 7, 8;
    }

    /// SPC-4 "Held Data descriptor".
    held_data, 32 {
        HELD_DATA_LIMIT: u32 = 4, 7, 32;
        /// Log 2.
        HELD_DATA_GRANULARITY: u8 = 8, 7, 8;
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
        MAXIMUM_ATOMIC_TRANSFER_LENGTH: u32 = 44, 7, 32;
        ATOMIC_ALIGNMENT: u32 = 48, 7, 32;
        ATOMIC_TRANSFER_LENGTH_GRANULARITY: u32 = 52, 7, 32;
        MAXIMUM_ATOMIC_TRANSFER_LENGTH_WITH_ATOMIC_BOUNDARY: u32 = 56, 7, 32;
        MAXIMUM_ATOMIC_BOUNDARY_SIZE: u32 = 60, 7, 32;
    }

    /// SBC-3 "Block Device Characteristics VPD page".
    block_device_characteristics, 64 {
        /// 0: not reported, 1: does not rotate, else per minute.
        MEDIUM_ROTATION_RATE: u16 = 4, 7, 16;
        /// Reading what was block-erased and not written since; 1: GOOD.
        WABEREQ: u8 = 7, 7, 2;
        WACEREQ: u8 = 7, 5, 2;
        NOMINAL_FORM_FACTOR: u8 = 7, 3, 4;
        FUAB: bool = 8, 1, 1;
        /// Unmapped blocks are verified as the zeros that they read as.
        VBULS: bool = 8, 0, 1;
    }

    /// SBC-4 "Supported Block Lengths And Protection Types VPD page": one descriptor.
    block_length_descriptor, 8 {
        LOGICAL_BLOCK_LENGTH: u32 = 0, 7, 32;
        P_I_I_SUP: bool = 4, 6, 1;
        NO_PI_CHK: bool = 4, 3, 1;
        GRD_CHK: bool = 4, 2, 1;
        APP_CHK: bool = 4, 1, 1;
        REF_CHK: bool = 4, 0, 1;
        /// Type 3 is supported, and so on.
        T3PS: bool = 5, 3, 1;
        T2PS: bool = 5, 2, 1;
        T1PS: bool = 5, 1, 1;
        T0PS: bool = 5, 0, 1;
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

    /// SBC-3 "Referrals VPD page".
    referrals, 16 {
        /// Blocks; zero: every range is one segment.
        USER_DATA_SEGMENT_SIZE: u32 = 8, 7, 32;
        USER_DATA_SEGMENT_MULTIPLIER: u32 = 12, 7, 32;
    }
}

/// WABEREQ: blocks can be read.
pub const READABLE_AFTER_ERASE: u8 = 1;

/// MEDIUM ROTATION RATE: does not rotate.
pub const NON_ROTATING: u16 = 1;

/// PROVISIONING TYPE: thin.
pub const PROVISIONING_THIN: u8 = 2;

/// SPC-4 "Third-party copy descriptors": their types.
pub mod third_party {
    /// Block Device ROD Token Limits.
    pub const BLOCK_DEVICE_ROD_TOKEN_LIMITS: u16 = 0x0000;
    /// Supported Commands.
    pub const SUPPORTED_COMMANDS: u16 = 0x0001;
    /// Parameter Data.
    pub const PARAMETER_DATA: u16 = 0x0004;
    /// Supported Descriptors.
    pub const SUPPORTED_DESCRIPTORS: u16 = 0x0008;
    /// Supported CSCD Descriptor IDs.
    pub const SUPPORTED_CSCD_IDS: u16 = 0x000c;
    /// ROD Token Features.
    pub const ROD_TOKEN_FEATURES: u16 = 0x0106;
    /// Supported ROD Types.
    pub const SUPPORTED_ROD_TYPES: u16 = 0x0108;
    /// General Copy Operations.
    pub const GENERAL_COPY_OPERATIONS: u16 = 0x8001;
    /// Held Data.
    pub const HELD_DATA: u16 = 0xc001;
}

/// SPT: types 1, 2 and 3.
pub const PROTECTION_TYPES_ALL: u8 = 0b111;
