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
}

/// [`task_management`] without REPD, bytes.
pub const TASK_MANAGEMENT_BASIC_BYTES: usize = 4;

/// [`one_command::SUPPORT`]: not supported.
pub const NOT_SUPPORTED: u8 = 0b001;
/// [`one_command::SUPPORT`]: supported as the standard says.
pub const SUPPORTED: u8 = 0b011;

/// SPC-4 "REPORT LUNS command": SELECT REPORT.
pub mod select_report {
    /// Units that are not well known.
    pub const UNITS: u8 = 0x00;
    /// Well known units.
    pub const WELL_KNOWN: u8 = 0x01;
    /// Both.
    pub const ALL: u8 = 0x02;
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
