//! Log parameters: headers, page codes, formats and the layouts of parameters, SPC-4 "Log parameters".
//!
//! Which pages a unit has, and what stands in them, is the engine's table.

use crate::layout::layouts;

/// PAGE CODE of SPC-4 "Log page codes" and SBC-3's.
pub mod page {
    /// SPC-4 "Supported Log Pages log page".
    pub const SUPPORTED: u8 = 0x00;
    /// SBC-3 "Logical Block Provisioning log page".
    pub const LOGICAL_BLOCK_PROVISIONING: u8 = 0x0c;
    /// SPC-4 "Temperature log page".
    pub const TEMPERATURE: u8 = 0x0d;
    /// SPC-4 "Start-Stop Cycle Counter log page".
    pub const START_STOP_CYCLES: u8 = 0x0e;
    /// SPC-4 "Application Client log page".
    pub const APPLICATION_CLIENT: u8 = 0x0f;
    /// SPC-4 "Self-Test Results log page".
    pub const SELF_TEST_RESULTS: u8 = 0x10;
    /// SPC-4 "General Statistics and Performance log pages".
    pub const STATISTICS: u8 = 0x19;
    /// SPC-4 "Informational Exceptions log page".
    pub const INFORMATIONAL_EXCEPTIONS: u8 = 0x2f;
    /// The first of the vendor's own.
    pub const VENDOR: u8 = 0x30;
}

/// SUBPAGE CODE: the list of pages and subpages.
pub const ALL_SUBPAGES: u8 = 0xff;

/// SPC-4 "LOG SENSE command": PC, which values of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageControl {
    /// At which something is to be reported.
    Threshold,
    /// Counted so far.
    Cumulative,
    /// The thresholds at first.
    DefaultThreshold,
    /// What counting begins with.
    DefaultCumulative,
}

impl PageControl {
    /// From the low two bits of PC.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Threshold,
            1 => Self::Cumulative,
            2 => Self::DefaultThreshold,
            _ => Self::DefaultCumulative,
        }
    }
}

/// SPC-4 "Log parameter": FORMAT AND LINKING.
pub mod format {
    /// A counter that stops at its greatest value.
    pub const BOUNDED_COUNTER: u8 = 0b00;
    /// Text.
    pub const ASCII_LIST: u8 = 0b01;
    /// Anything else.
    pub const BINARY_LIST: u8 = 0b11;
}

/// SPC-4 "Application Client log page": how many parameters for general use there are.
pub const GENERAL_USAGE_PARAMETERS: u16 = 64;
/// SPC-4 "Application Client log page": bytes of each of them.
pub const GENERAL_USAGE_BYTES: usize = 252;

/// SPC-4 "Self-Test Results log page": how many results are told.
pub const SELF_TEST_RESULTS: usize = 20;

/// SPC-4 "Self-Test Results log parameters": SELF-TEST RESULTS.
pub mod self_test_results {
    /// All is well.
    pub const PASSED: u8 = 0x0;
    /// An initiator asked for its end.
    pub const ABORTED: u8 = 0x1;
    /// It was ended by something else.
    pub const INTERRUPTED: u8 = 0x2;
    /// Something is not well.
    pub const FAILED: u8 = 0x7;
    /// It is not over.
    pub const IN_PROGRESS: u8 = 0xf;
}

/// SPC-4 "Self-Test Results log parameters": ADDRESS OF FIRST FAILURE where there is none.
pub const NO_ADDRESS: u64 = u64::MAX;

/// SPC-4 "Temperature log page", "Informational Exceptions log page": nobody can tell the temperature.
pub const TEMPERATURE_UNKNOWN: u8 = 0xff;

layouts! {
    /// SPC-4 "Log page": what every page begins with.
    header, 4 {
        /// Not saved.
        DS: bool = 0, 7, 1;
        /// SUBPAGE CODE counts.
        SPF: bool = 0, 6, 1;
        PAGE_CODE: u8 = 0, 5, 6;
        SUBPAGE_CODE: u8 = 1, 7, 8;
        /// Of what follows.
        PAGE_LENGTH: u16 = 2, 7, 16;
    }

    /// SPC-4 "Log parameter": what every parameter begins with.
    parameter, 4 {
        PARAMETER_CODE: u16 = 0, 7, 16;
        /// The unit leaves the value alone.
        DU: bool = 2, 7, 1;
        TSD: bool = 2, 5, 1;
        ETC: bool = 2, 4, 1;
        TMC: u8 = 2, 3, 2;
        FORMAT_AND_LINKING: u8 = 2, 1, 2;
        /// Of what follows.
        PARAMETER_LENGTH: u8 = 3, 7, 8;
    }

    /// SPC-4 "Supported Log Pages and Subpages log page": one descriptor.
    supported_subpage, 2 {
        PAGE_CODE: u8 = 0, 5, 6;
        SUBPAGE_CODE: u8 = 1, 7, 8;
    }

    /// SBC-3 "Logical Block Provisioning log page": a parameter that counts a resource.
    provisioning_resource, 8 {
        /// Threshold sets.
        RESOURCE_COUNT: u32 = 0, 7, 32;
        /// 1: of this unit alone, 2: others may take it too.
        SCOPE: u8 = 4, 1, 2;
    }

    /// SPC-4 "Temperature log page": either parameter.
    temperature, 2 {
        /// Degrees Celsius.
        TEMPERATURE: u8 = 1, 7, 8;
    }

    /// SPC-4 "Self-Test Results log parameters".
    self_test_result, 16 {
        SELF_TEST_CODE: u8 = 0, 7, 3;
        SELF_TEST_RESULTS: u8 = 0, 3, 4;
        /// Which part of the test failed.
        SELF_TEST_NUMBER: u8 = 1, 7, 8;
        ACCUMULATED_POWER_ON_HOURS: u16 = 2, 7, 16;
        ADDRESS_OF_FIRST_FAILURE: u64 = 4, 7, 64;
        SENSE_KEY: u8 = 12, 3, 4;
        ADDITIONAL_SENSE_CODE: u8 = 13, 7, 8;
        ADDITIONAL_SENSE_CODE_QUALIFIER: u8 = 14, 7, 8;
    }

    /// SPC-4 "General Access Statistics and Performance log parameter".
    statistics, 64 {
        NUMBER_OF_READ_COMMANDS: u64 = 0, 7, 64;
        NUMBER_OF_WRITE_COMMANDS: u64 = 8, 7, 64;
        NUMBER_OF_LOGICAL_BLOCKS_RECEIVED: u64 = 16, 7, 64;
        NUMBER_OF_LOGICAL_BLOCKS_TRANSMITTED: u64 = 24, 7, 64;
        /// In units of the Time Interval parameter, as the following.
        READ_COMMAND_PROCESSING_INTERVALS: u64 = 32, 7, 64;
        WRITE_COMMAND_PROCESSING_INTERVALS: u64 = 40, 7, 64;
        WEIGHTED_NUMBER_OF_READ_COMMANDS_PLUS_WRITE_COMMANDS: u64 = 48, 7, 64;
        WEIGHTED_READ_COMMAND_PROCESSING_PLUS_WRITE_COMMAND_PROCESSING: u64 = 56, 7, 64;
    }

    /// SPC-4 "Force Unit Access Statistics and Performance log parameter".
    fua_statistics, 64 {
        NUMBER_OF_READ_FUA_COMMANDS: u64 = 0, 7, 64;
        NUMBER_OF_WRITE_FUA_COMMANDS: u64 = 8, 7, 64;
        NUMBER_OF_READ_FUA_NV_COMMANDS: u64 = 16, 7, 64;
        NUMBER_OF_WRITE_FUA_NV_COMMANDS: u64 = 24, 7, 64;
        /// In units of the Time Interval parameter, as the following.
        READ_FUA_COMMAND_PROCESSING_INTERVALS: u64 = 32, 7, 64;
        WRITE_FUA_COMMAND_PROCESSING_INTERVALS: u64 = 40, 7, 64;
        READ_FUA_NV_COMMAND_PROCESSING_INTERVALS: u64 = 48, 7, 64;
        WRITE_FUA_NV_COMMAND_PROCESSING_INTERVALS: u64 = 56, 7, 64;
    }

    /// SPC-4 "Informational Exceptions General log parameter".
    informational_exceptions, 4 {
        ADDITIONAL_SENSE_CODE: u8 = 0, 7, 8;
        ADDITIONAL_SENSE_CODE_QUALIFIER: u8 = 1, 7, 8;
        MOST_RECENT_TEMPERATURE_READING: u8 = 2, 7, 8;
    }
}
