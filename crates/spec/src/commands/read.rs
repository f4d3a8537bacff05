//! Commands that hand blocks over, or bring them nearer.

commands! {
    /// SBC-3 "READ (6) command".
    read6 read "READ (6)" 0x08, 6 {
        LBA: u64 = 1, 4, 21;
        /// Zero stands for 256 blocks.
        TRANSFER_LENGTH: u32 = 4, 7, 8;
    }

    /// SBC-3 "READ (10) command".
    read10 read "READ (10)" 0x28, 10 {
        DPO: bool = 1, 4, 1;
        FUA: bool = 1, 3, 1;
        FUA_NV: bool = 1, 1, 1;
        LBA: u64 = 2, 7, 32;
        GROUP_NUMBER: u8 = 6, 5, 6;
        TRANSFER_LENGTH: u32 = 7, 7, 16;
    } = protection {
        RDPROTECT = 1, 7, 3;
    }

    /// SBC-3 "READ (12) command".
    read12 read "READ (12)" 0xa8, 12 {
        DPO: bool = 1, 4, 1;
        FUA: bool = 1, 3, 1;
        FUA_NV: bool = 1, 1, 1;
        LBA: u64 = 2, 7, 32;
        TRANSFER_LENGTH: u32 = 6, 7, 32;
        GROUP_NUMBER: u8 = 10, 5, 6;
    } = protection {
        RDPROTECT = 1, 7, 3;
    }

    /// SBC-3 "READ (16) command".
    read16 read "READ (16)" 0x88, 16 {
        DPO: bool = 1, 4, 1;
        FUA: bool = 1, 3, 1;
        FUA_NV: bool = 1, 1, 1;
        LBA: u64 = 2, 7, 64;
        TRANSFER_LENGTH: u32 = 10, 7, 32;
        GROUP_NUMBER: u8 = 14, 5, 6;
    } = protection {
        RDPROTECT = 1, 7, 3;
    }

    /// SBC-3 "PRE-FETCH (10) command".
    prefetch10 look "PRE-FETCH (10)" 0x34, 10 {
        IMMED: bool = 1, 1, 1;
        LBA: u64 = 2, 7, 32;
        GROUP_NUMBER: u8 = 6, 5, 6;
        /// Zero stands for all up to the end.
        PREFETCH_LENGTH: u32 = 7, 7, 16;
    }

    /// SBC-3 "PRE-FETCH (16) command".
    prefetch16 look "PRE-FETCH (16)" 0x90, 16 {
        IMMED: bool = 1, 1, 1;
        LBA: u64 = 2, 7, 64;
        /// Zero stands for all up to the end.
        PREFETCH_LENGTH: u32 = 10, 7, 32;
        GROUP_NUMBER: u8 = 14, 5, 6;
    }
}
