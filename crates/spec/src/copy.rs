//! Third-party copy: parameter lists and parameter data, SPC-4 "Third-party copy commands" and SBC-3's.
//!
//! Commands are in [`commands`](crate::commands), ROD tokens in [`token`](crate::token), the VPD page in
//! [`vpd`](crate::vpd). All layouts begin where their structure begins.

use crate::layout::layouts;

layouts! {
    /// SPC-4 "EXTENDED COPY(LID1) command": the parameter list header.
    header_lid1, 16 {
        LIST_IDENTIFIER: u8 = 0, 7, 8;
        STR: bool = 1, 5, 1;
        /// Bit 4 was NRCR in SPC-3, with the same meaning.
        LIST_ID_USAGE: u8 = 1, 4, 2;
        PRIORITY: u8 = 1, 2, 3;
        CSCD_DESCRIPTOR_LIST_LENGTH: u16 = 2, 7, 16;
        SEGMENT_DESCRIPTOR_LIST_LENGTH: u32 = 8, 7, 32;
        INLINE_DATA_LENGTH: u32 = 12, 7, 32;
    }

    /// SPC-4 "EXTENDED COPY(LID4) command": the parameter list header.
    header_lid4, 48 {
        /// 01h.
        PARAMETER_LIST_FORMAT: u8 = 0, 7, 8;
        STR: bool = 1, 5, 1;
        LIST_ID_USAGE: u8 = 1, 4, 2;
        PRIORITY: u8 = 1, 2, 3;
        /// 0020h.
        HEADER_CSCD_DESCRIPTOR_LIST_LENGTH: u16 = 2, 7, 16;
        G_SENSE: bool = 15, 1, 1;
        IMMED: bool = 15, 0, 1;
        /// FFh.
        HEADER_CSCD_DESCRIPTOR_TYPE_CODE: u8 = 16, 7, 8;
        LIST_IDENTIFIER: u32 = 20, 7, 32;
        CSCD_DESCRIPTOR_LIST_LENGTH: u16 = 42, 7, 16;
        SEGMENT_DESCRIPTOR_LIST_LENGTH: u16 = 44, 7, 16;
        INLINE_DATA_LENGTH: u16 = 46, 7, 16;
    }

    /// SPC-4 "Identification Descriptor CSCD descriptor", for a block device.
    cscd, 32 {
        DESCRIPTOR_TYPE_CODE: u8 = 0, 7, 8;
        PERIPHERAL_DEVICE_TYPE: u8 = 1, 4, 5;
        RELATIVE_INITIATOR_PORT_IDENTIFIER: u16 = 2, 7, 16;
        CODE_SET: u8 = 4, 3, 4;
        ASSOCIATION: u8 = 5, 5, 2;
        DESIGNATOR_TYPE: u8 = 5, 3, 4;
        DESIGNATOR_LENGTH: u8 = 7, 7, 8;
        PAD: bool = 28, 2, 1;
        DISK_BLOCK_LENGTH: u32 = 29, 7, 24;
    }

    /// SPC-4 "Segment descriptor header".
    segment, 8 {
        DESCRIPTOR_TYPE_CODE: u8 = 0, 7, 8;
        /// The count is of destination blocks.
        DC: bool = 1, 1, 1;
        /// What does not fill a block is kept for the next segment.
        CAT: bool = 1, 0, 1;
        /// Of what follows this field.
        DESCRIPTOR_LENGTH: u16 = 2, 7, 16;
        SOURCE_CSCD_DESCRIPTOR_ID: u16 = 4, 7, 16;
        DESTINATION_CSCD_DESCRIPTOR_ID: u16 = 6, 7, 16;
    }

    /// SPC-4 "Block device to block device operations": the segment descriptor of type 02h.
    block_to_block, 28 {
        BLOCK_DEVICE_NUMBER_OF_BLOCKS: u16 = 10, 7, 16;
        SOURCE_BLOCK_DEVICE_LBA: u64 = 12, 7, 64;
        DESTINATION_BLOCK_DEVICE_LBA: u64 = 20, 7, 64;
    }

    /// SBC-3 "POPULATE TOKEN parameter list": what stands before the ranges.
    populate_token, 16 {
        /// Of what follows this field.
        POPULATE_TOKEN_DATA_LENGTH: u16 = 0, 7, 16;
        /// ROD TYPE counts.
        RTV: bool = 2, 1, 1;
        IMMED: bool = 2, 0, 1;
        /// Seconds; zero stands for the default.
        INACTIVITY_TIMEOUT: u32 = 4, 7, 32;
        ROD_TYPE: u32 = 8, 7, 32;
        BLOCK_DEVICE_RANGE_DESCRIPTOR_LENGTH: u16 = 14, 7, 16;
    }

    /// SBC-3 "WRITE USING TOKEN parameter list": what stands before the ranges; the token is at byte 16.
    write_using_token, 536 {
        /// Of what follows this field.
        WRITE_USING_TOKEN_DATA_LENGTH: u16 = 0, 7, 16;
        DEL_TKN: bool = 2, 1, 1;
        IMMED: bool = 2, 0, 1;
        /// In blocks of the destination.
        OFFSET_INTO_ROD: u64 = 8, 7, 64;
        BLOCK_DEVICE_RANGE_DESCRIPTOR_LENGTH: u16 = 534, 7, 16;
    }

    /// SBC-3 "Block device range descriptor".
    range, 16 {
        LBA: u64 = 0, 7, 64;
        NUMBER_OF_LOGICAL_BLOCKS: u32 = 8, 7, 32;
    }

    /// SPC-4 "RECEIVE COPY STATUS(LID1) command": the parameter data.
    status_lid1, 12 {
        /// Of what follows this field.
        AVAILABLE_DATA: u32 = 0, 7, 32;
        /// Held data were discarded.
        HDD: bool = 4, 7, 1;
        COPY_MANAGER_STATUS: u8 = 4, 6, 7;
        SEGMENTS_PROCESSED: u16 = 5, 7, 16;
        TRANSFER_COUNT_UNITS: u8 = 7, 7, 8;
        TRANSFER_COUNT: u32 = 8, 7, 32;
    }

    /// SPC-4 "RECEIVE COPY STATUS(LID4) command": the parameter data up to the sense data; RECEIVE ROD TOKEN INFORMATION
    /// begins with the same.
    status_lid4, 32 {
        /// Of what follows this field.
        AVAILABLE_DATA: u32 = 0, 7, 32;
        RESPONSE_TO_SERVICE_ACTION: u8 = 4, 4, 5;
        HDD: bool = 5, 7, 1;
        COPY_OPERATION_STATUS: u8 = 5, 6, 7;
        OPERATION_COUNTER: u16 = 6, 7, 16;
        /// Milliseconds; all ones where nobody knows.
        ESTIMATED_STATUS_UPDATE_DELAY: u32 = 8, 7, 32;
        /// A SCSI status.
        EXTENDED_COPY_COMPLETION_STATUS: u8 = 12, 7, 8;
        LENGTH_OF_THE_SENSE_DATA_FIELD: u8 = 13, 7, 8;
        SENSE_DATA_LENGTH: u8 = 14, 7, 8;
        TRANSFER_COUNT_UNITS: u8 = 15, 7, 8;
        TRANSFER_COUNT: u64 = 16, 7, 64;
        SEGMENTS_PROCESSED: u16 = 24, 7, 16;
    }

    /// SPC-4 "RECEIVE COPY FAILURE DETAILS(LID1) command": the parameter data up to the sense data.
    failure_details, 60 {
        /// Of what follows this field.
        AVAILABLE_DATA: u32 = 0, 7, 32;
        EXTENDED_COPY_COMMAND_STATUS: u8 = 56, 7, 8;
        SENSE_DATA_LENGTH: u16 = 58, 7, 16;
    }

    /// SPC-4 "RECEIVE COPY OPERATING PARAMETERS command": the parameter data up to the list of descriptor types.
    operating_parameters, 44 {
        /// Of what follows this field.
        AVAILABLE_DATA: u32 = 0, 7, 32;
        /// LIST ID USAGE 11b is taken.
        SNLID: bool = 4, 0, 1;
        MAXIMUM_CSCD_DESCRIPTOR_COUNT: u16 = 8, 7, 16;
        MAXIMUM_SEGMENT_DESCRIPTOR_COUNT: u16 = 10, 7, 16;
        MAXIMUM_DESCRIPTOR_LIST_LENGTH: u32 = 12, 7, 32;
        MAXIMUM_SEGMENT_LENGTH: u32 = 16, 7, 32;
        MAXIMUM_INLINE_DATA_LENGTH: u32 = 20, 7, 32;
        HELD_DATA_LIMIT: u32 = 24, 7, 32;
        MAXIMUM_STREAM_DEVICE_TRANSFER_SIZE: u32 = 28, 7, 32;
        TOTAL_CONCURRENT_COPIES: u16 = 34, 7, 16;
        MAXIMUM_CONCURRENT_COPIES: u8 = 36, 7, 8;
        /// Log 2.
        DATA_SEGMENT_GRANULARITY: u8 = 37, 7, 8;
        INLINE_DATA_GRANULARITY: u8 = 38, 7, 8;
        HELD_DATA_GRANULARITY: u8 = 39, 7, 8;
        IMPLEMENTED_DESCRIPTOR_LIST_LENGTH: u8 = 43, 7, 8;
    }

    /// SPC-4 "REPORT ALL ROD TOKENS command": what stands before the descriptors.
    all_tokens, 8 {
        /// Of what follows this field.
        AVAILABLE_DATA: u32 = 0, 7, 32;
    }

    /// SPC-4 "RECEIVE ROD TOKEN INFORMATION command": what stands before the token descriptors.
    token_descriptors, 4 {
        ROD_TOKEN_DESCRIPTORS_LENGTH: u32 = 0, 7, 32;
    }
}

/// Where the designator of [`cscd`] lies, bytes.
pub const CSCD_DESIGNATOR: core::ops::Range<usize> = 8..28;

/// Where the token of [`write_using_token`] lies, bytes.
pub const TOKEN: core::ops::Range<usize> = 16..528;

/// Bytes of a token descriptor before the token.
pub const TOKEN_DESCRIPTOR_HEADER_BYTES: usize = 2;

/// SPC-4 "Descriptor type codes".
pub mod descriptor {
    /// Block device to block device.
    pub const BLOCK_TO_BLOCK: u8 = 0x02;
    /// Identification descriptor CSCD descriptor.
    pub const IDENTIFICATION: u8 = 0xe4;
    /// CSCD descriptor extension: the second half of a long CSCD descriptor, and the header of the LID4 list.
    pub const EXTENSION: u8 = 0xff;
    /// The first code of CSCD descriptors.
    pub const CSCD_FIRST: u8 = 0xe0;
}

/// SPC-4 "CSCD descriptor ID values".
pub mod cscd_id {
    /// The last that is an index.
    pub const INDEX_MAX: u16 = 0x07ff;
    /// The unit that processes the command.
    pub const THIS_UNIT: u16 = 0xffff;
}

/// SPC-4 "LIST IDENTIFIER field and LIST ID USAGE field".
pub mod list_id_usage {
    /// The identifier counts, results are held.
    pub const HOLD: u8 = 0b00;
    /// The identifier counts, results may be discarded.
    pub const DISCARD: u8 = 0b10;
    /// There is no identifier.
    pub const DISABLE: u8 = 0b11;
}

/// PARAMETER LIST FORMAT of the LID4 list.
pub const FORMAT_LID4: u8 = 0x01;
/// HEADER CSCD DESCRIPTOR LIST LENGTH of the LID4 list.
pub const HEADER_CSCD_BYTES: u16 = 0x20;

/// SPC-4 "RECEIVE COPY STATUS(LID1) command": COPY MANAGER STATUS, and "RECEIVE COPY STATUS(LID4) command": COPY OPERATION
/// STATUS.
pub mod operation {
    /// LID1: under way.
    pub const IN_PROGRESS: u8 = 0x00;
    /// Done.
    pub const COMPLETED: u8 = 0x01;
    /// Failed.
    pub const FAILED: u8 = 0x02;
    /// LID4: under way, the command is not yet answered.
    pub const FOREGROUND: u8 = 0x11;
    /// LID4: under way, the command is answered.
    pub const BACKGROUND: u8 = 0x12;
    /// LID4: aborted by a command or a task management function.
    pub const ABORTED: u8 = 0x60;
}

/// SPC-4 "TRANSFER COUNT UNITS field".
pub mod units {
    /// Bytes; each step up is 1,024 times as much.
    pub const BYTES: u8 = 0x00;
    /// Logical blocks of the unit that answers.
    pub const BLOCKS: u8 = 0xf1;
}
