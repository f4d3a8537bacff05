//! Parameter data of the commands that report (capacity, LUNs, LBA status, what is supported), and the UNMAP list.

use crate::layout::layouts;

layouts! {
    /// SBC-3 "READ CAPACITY (10) parameter data".
    capacity10, 8 {
        /// Of the last block; all ones where it does not fit.
        RETURNED_LBA: u32 = 0, 7, 32;
        LOGICAL_BLOCK_LENGTH: u32 = 4, 7, 32;
    }

    /// SBC-3 "READ CAPACITY (16) parameter data".
    capacity16, 32 {
        /// Of the last block.
        RETURNED_LBA: u64 = 0, 7, 64;
        LOGICAL_BLOCK_LENGTH: u32 = 8, 7, 32;
        P_TYPE: u8 = 12, 3, 3;
        PROT_EN: bool = 12, 0, 1;
        P_I_EXPONENT: u8 = 13, 7, 4;
        LOGICAL_BLOCKS_PER_PHYSICAL_BLOCK_EXPONENT: u8 = 13, 3, 4;
        LBPME: bool = 14, 7, 1;
        LBPRZ: bool = 14, 6, 1;
        LOWEST_ALIGNED_LBA: u16 = 14, 5, 14;
    }

    /// SPC-4 "REPORT LUNS parameter data": what stands before the LUNs.
    luns, 8 {
        LUN_LIST_LENGTH: u32 = 0, 7, 32;
    }

    /// SBC-3 "GET LBA STATUS parameter data": what stands before the descriptors.
    lba_status, 8 {
        /// Of what follows this field.
        PARAMETER_DATA_LENGTH: u32 = 0, 7, 32;
        /// SBC-4: REPORT TYPE was obeyed.
        RTP: bool = 7, 0, 1;
    }

    /// SBC-3 "LBA status descriptor".
    lba_status_descriptor, 16 {
        STARTING_LBA: u64 = 0, 7, 64;
        NUMBER_OF_LOGICAL_BLOCKS: u32 = 8, 7, 32;
        /// 0: mapped or unknown, 1: deallocated, 2: anchored.
        PROVISIONING_STATUS: u8 = 12, 3, 4;
    }

    /// SBC-3 "UNMAP parameter list": what stands before the descriptors.
    unmap_list, 8 {
        UNMAP_DATA_LENGTH: u16 = 0, 7, 16;
        UNMAP_BLOCK_DESCRIPTOR_DATA_LENGTH: u16 = 2, 7, 16;
    }

    /// SBC-3 "UNMAP block descriptor".
    unmap_block_descriptor, 16 {
        UNMAP_LBA: u64 = 0, 7, 64;
        NUMBER_OF_LOGICAL_BLOCKS: u32 = 8, 7, 32;
    }

    /// SPC-4 "All_commands parameter data format": what stands before the descriptors.
    all_commands, 4 {
        COMMAND_DATA_LENGTH: u32 = 0, 7, 32;
    }

    /// SPC-4 "Command descriptor format".
    command_descriptor, 8 {
        OPERATION_CODE: u8 = 0, 7, 8;
        SERVICE_ACTION: u16 = 2, 7, 16;
        /// A timeouts descriptor follows.
        CTDP: bool = 5, 1, 1;
        /// SERVICE ACTION counts.
        SERVACTV: bool = 5, 0, 1;
        CDB_LENGTH: u16 = 6, 7, 16;
    }

    /// SPC-4 "One_command parameter data format": what stands before the CDB usage data.
    one_command, 4 {
        /// A timeouts descriptor follows.
        CTDP: bool = 1, 7, 1;
        SUPPORT: u8 = 1, 2, 3;
        CDB_SIZE: u16 = 2, 7, 16;
    }

    /// SPC-4 "Command timeouts descriptor". Seconds; zero is "not told".
    command_timeouts, 12 {
        /// Of what follows this field.
        DESCRIPTOR_LENGTH: u16 = 0, 7, 16;
        NOMINAL_COMMAND_PROCESSING_TIMEOUT: u32 = 4, 7, 32;
        RECOMMENDED_COMMAND_TIMEOUT: u32 = 8, 7, 32;
    }

    /// SPC-4 "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS parameter data", the extended format.
    task_management, 16 {
        /// ABORT TASK.
        ATS: bool = 0, 7, 1;
        /// ABORT TASK SET.
        ATSS: bool = 0, 6, 1;
        /// CLEAR ACA.
        CACAS: bool = 0, 5, 1;
        /// CLEAR TASK SET.
        CTSS: bool = 0, 4, 1;
        /// LOGICAL UNIT RESET.
        LURS: bool = 0, 3, 1;
        /// QUERY TASK.
        QTS: bool = 0, 2, 1;
        /// QUERY ASYNCHRONOUS EVENT.
        QAES: bool = 1, 2, 1;
        /// QUERY TASK SET.
        QTSS: bool = 1, 1, 1;
        /// I_T NEXUS RESET.
        ITNRS: bool = 1, 0, 1;
        /// Of what follows this field.
        ADDITIONAL_LENGTH: u8 = 3, 7, 8;
        /// The timeouts are valid.
        TMFTMOV: bool = 4, 0, 1;
        LONG_TIMEOUT: u32 = 8, 7, 32;
        SHORT_TIMEOUT: u32 = 12, 7, 32;
    }

    /// SPC-4 "Diagnostic page format": what every page begins with.
    diagnostic_page, 4 {
        PAGE_CODE: u8 = 0, 7, 8;
        /// Of what follows.
        PAGE_LENGTH: u16 = 2, 7, 16;
    }

    /// SPC-4 "READ BUFFER descriptor".
    buffer_descriptor, 4 {
        /// As a power of two; all ones: only offset zero.
        OFFSET_BOUNDARY: u8 = 0, 7, 8;
        BUFFER_CAPACITY: u32 = 1, 7, 24;
    }

    /// SPC-4 "Echo buffer descriptor".
    echo_buffer_descriptor, 4 {
        /// Nobody reads what another nexus has written.
        EBOS: bool = 0, 0, 1;
        BUFFER_CAPACITY: u16 = 2, 4, 13;
    }

    /// SPC-4 "REPORT IDENTIFYING INFORMATION parameter data": what stands before the information.
    identifying_information, 4 {
        IDENTIFYING_INFORMATION_LENGTH: u16 = 2, 7, 16;
    }

    /// SPC-4 "Identifying information types": what is told of each.
    identifying_information_type, 4 {
        IDENTIFYING_INFORMATION_TYPE: u8 = 0, 7, 7;
        MAXIMUM_IDENTIFYING_INFORMATION_LENGTH: u16 = 2, 7, 16;
    }

    /// SPC-4 "REPORT TIMESTAMP parameter data".
    timestamp, 12 {
        /// Of what follows this field.
        TIMESTAMP_PARAMETER_DATA_LENGTH: u16 = 0, 7, 16;
        TIMESTAMP_ORIGIN: u8 = 2, 2, 3;
        /// Milliseconds since 1970.
        TIMESTAMP: u64 = 4, 7, 48;
    }

    /// SPC-4 "SET TIMESTAMP parameter list".
    set_timestamp, 12 {
        /// Milliseconds since 1970.
        TIMESTAMP: u64 = 4, 7, 48;
    }
}

/// [`task_management`] without REPD, bytes.
pub const TASK_MANAGEMENT_BASIC_BYTES: usize = 4;

/// [`one_command::SUPPORT`]: not supported.
pub const NOT_SUPPORTED: u8 = 0b001;
/// [`one_command::SUPPORT`]: supported as the standard says.
pub const SUPPORTED: u8 = 0b011;

/// SPC-4 "Supported Diagnostic Pages diagnostic page": its PAGE CODE.
pub const SUPPORTED_DIAGNOSTIC_PAGES: u8 = 0x00;

/// SPC-4 "SEND DIAGNOSTIC command": SELF-TEST CODE.
pub mod self_test_code {
    /// The default self-test, or none.
    pub const NONE: u8 = 0b000;
    /// The short one, after the answer.
    pub const BACKGROUND_SHORT: u8 = 0b001;
    /// The extended one, after the answer.
    pub const BACKGROUND_EXTENDED: u8 = 0b010;
    /// Ends one of those.
    pub const ABORT_BACKGROUND: u8 = 0b100;
    /// The short one, before the answer.
    pub const FOREGROUND_SHORT: u8 = 0b101;
    /// The extended one, before the answer.
    pub const FOREGROUND_EXTENDED: u8 = 0b110;
}

/// SPC-4 "READ BUFFER command", "WRITE BUFFER command": MODE.
pub mod buffer_mode {
    /// The data buffer.
    pub const DATA: u8 = 0x02;
    /// How large the data buffer is.
    pub const DESCRIPTOR: u8 = 0x03;
    /// The echo buffer.
    pub const ECHO: u8 = 0x0a;
    /// How large the echo buffer is.
    pub const ECHO_DESCRIPTOR: u8 = 0x0b;
}

/// SPC-4 "Identifying information types".
pub mod identifying_type {
    /// Anything.
    pub const DEVICE: u8 = 0x00;
    /// Text in UTF-8, with a zero at its end.
    pub const TEXT: u8 = 0x02;
    /// Which types there are, and how long they may be.
    pub const SUPPORTED: u8 = 0x7f;
}

/// SPC-4 "REPORT TIMESTAMP parameter data": TIMESTAMP ORIGIN.
pub mod timestamp_origin {
    /// SET TIMESTAMP.
    pub const SET: u8 = 0b010;
    /// Another way.
    pub const OTHERWISE: u8 = 0b011;
}

/// SPC-4 "REPORT LUNS command": SELECT REPORT.
pub mod select_report {
    /// Units that are not well known.
    pub const UNITS: u8 = 0x00;
    /// Well known units.
    pub const WELL_KNOWN: u8 = 0x01;
    /// Both.
    pub const ALL: u8 = 0x02;
    /// Administrative units: those that others belong to.
    pub const ADMINISTRATIVE: u8 = 0x10;
    /// Administrative units, and those that belong to none.
    pub const ADMINISTRATIVE_AND_SIMPLE: u8 = 0x11;
    /// The addressed administrative unit and what belongs to it.
    pub const SUBSIDIARY: u8 = 0x12;
}

/// SBC-3 "GET LBA STATUS parameter data": PROVISIONING STATUS.
pub mod provisioning_status {
    /// Mapped, or nobody knows.
    pub const MAPPED: u8 = 0;
    /// Not mapped.
    pub const DEALLOCATED: u8 = 1;
    /// Not mapped, but with space of its own.
    pub const ANCHORED: u8 = 2;
}
