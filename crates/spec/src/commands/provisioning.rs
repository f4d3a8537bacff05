//! Commands of logical block provisioning: what is mapped, and what shall be.

commands! {
    /// SBC-3 "UNMAP command".
    unmap unmap "UNMAP" 0x42, 10 {
        /// The blocks keep their space.
        ANCHOR: bool = 1, 0, 1;
        GROUP_NUMBER: u8 = 6, 5, 6;
        PARAMETER_LIST_LENGTH: u16 = 7, 7, 16;
    }

    /// SBC-3 "WRITE SAME (10) command".
    write_same10 write "WRITE SAME (10)" 0x41, 10 {
        /// With UNMAP: the blocks keep their space.
        ANCHOR: bool = 1, 4, 1;
        UNMAP: bool = 1, 3, 1;
        LBA: u64 = 2, 7, 32;
        GROUP_NUMBER: u8 = 6, 5, 6;
        /// Zero stands for all up to the end, where WSNZ=0.
        NUMBER_OF_LOGICAL_BLOCKS: u32 = 7, 7, 16;
    } = protection {
        WRPROTECT = 1, 7, 3;
    }

    /// SBC-3 "WRITE SAME (16) command"; NDOB as in SBC-4.
    write_same16 write "WRITE SAME (16)" 0x93, 16 {
        /// With UNMAP: the blocks keep their space.
        ANCHOR: bool = 1, 4, 1;
        UNMAP: bool = 1, 3, 1;
        /// No Data-Out: the blocks become zeros.
        NDOB: bool = 1, 0, 1;
        LBA: u64 = 2, 7, 64;
        /// Zero stands for all up to the end, where WSNZ=0.
        NUMBER_OF_LOGICAL_BLOCKS: u32 = 10, 7, 32;
        GROUP_NUMBER: u8 = 14, 5, 6;
    } = protection {
        WRPROTECT = 1, 7, 3;
    }

    /// SBC-3 "GET LBA STATUS command".
    get_lba_status status "GET LBA STATUS" 0x9e / 0x12, 16 {
        STARTING_LBA: u64 = 2, 7, 64;
        ALLOCATION_LENGTH: u32 = 10, 7, 32;
        /// SBC-4: which blocks to tell of; zero is all.
        REPORT_TYPE: u8 = 14, 7, 8;
    }
}
