//! Commands that change blocks by Data-Out, or make changes durable.

commands! {
    /// SBC-3 "WRITE (6) command".
    write6 write "WRITE (6)" 0x0a, 6 {
        LBA: u64 = 1, 4, 21;
        /// Zero stands for 256 blocks.
        TRANSFER_LENGTH: u32 = 4, 7, 8;
    }

    /// SBC-3 "WRITE (10) command".
    write10 write "WRITE (10)" 0x2a, 10 {
        DPO: bool = 1, 4, 1;
        FUA: bool = 1, 3, 1;
        FUA_NV: bool = 1, 1, 1;
        LBA: u64 = 2, 7, 32;
        GROUP_NUMBER: u8 = 6, 5, 6;
        TRANSFER_LENGTH: u32 = 7, 7, 16;
    } = protection {
        WRPROTECT = 1, 7, 3;
    }

    /// SBC-3 "WRITE (12) command".
    write12 write "WRITE (12)" 0xaa, 12 {
        DPO: bool = 1, 4, 1;
        FUA: bool = 1, 3, 1;
        FUA_NV: bool = 1, 1, 1;
        LBA: u64 = 2, 7, 32;
        TRANSFER_LENGTH: u32 = 6, 7, 32;
        GROUP_NUMBER: u8 = 10, 5, 6;
    } = protection {
        WRPROTECT = 1, 7, 3;
    }

    /// SBC-3 "WRITE (16) command".
    write16 write "WRITE (16)" 0x8a, 16 {
        DPO: bool = 1, 4, 1;
        FUA: bool = 1, 3, 1;
        FUA_NV: bool = 1, 1, 1;
        LBA: u64 = 2, 7, 64;
        TRANSFER_LENGTH: u32 = 10, 7, 32;
        GROUP_NUMBER: u8 = 14, 5, 6;
    } = protection {
        WRPROTECT = 1, 7, 3;
    }

    /// SBC-3 "COMPARE AND WRITE command". Data-Out holds the blocks twice: to compare, then to write.
    compare_and_write combine "COMPARE AND WRITE" 0x89, 16 {
        DPO: bool = 1, 4, 1;
        FUA: bool = 1, 3, 1;
        FUA_NV: bool = 1, 1, 1;
        LBA: u64 = 2, 7, 64;
        NUMBER_OF_LOGICAL_BLOCKS: u32 = 13, 7, 8;
        GROUP_NUMBER: u8 = 14, 5, 6;
    } = protection {
        WRPROTECT = 1, 7, 3;
    }

    /// SBC-3 "ORWRITE (16) command".
    orwrite16 combine "ORWRITE (16)" 0x8b, 16 {
        DPO: bool = 1, 4, 1;
        FUA: bool = 1, 3, 1;
        FUA_NV: bool = 1, 1, 1;
        LBA: u64 = 2, 7, 64;
        TRANSFER_LENGTH: u32 = 10, 7, 32;
        GROUP_NUMBER: u8 = 14, 5, 6;
    } = protection {
        ORPROTECT = 1, 7, 3;
    }

    /// SBC-4 "WRITE ATOMIC (16) command".
    write_atomic16 exclusive "WRITE ATOMIC (16)" 0x9c, 16 {
        DPO: bool = 1, 4, 1;
        FUA: bool = 1, 3, 1;
        LBA: u64 = 2, 7, 64;
        /// Zero: the whole transfer is one step; else each part of so many blocks is.
        ATOMIC_BOUNDARY: u32 = 10, 7, 16;
        TRANSFER_LENGTH: u32 = 12, 7, 16;
        GROUP_NUMBER: u8 = 14, 5, 6;
    } = 0 {
        WRPROTECT = 1, 7, 3;
    }

    /// SBC-3 "SYNCHRONIZE CACHE (10) command".
    synchronize_cache10 synchronize "SYNCHRONIZE CACHE (10)" 0x35, 10 {
        SYNC_NV: bool = 1, 2, 1;
        IMMED: bool = 1, 1, 1;
        LBA: u64 = 2, 7, 32;
        GROUP_NUMBER: u8 = 6, 5, 6;
        /// Zero stands for all up to the end.
        NUMBER_OF_LOGICAL_BLOCKS: u32 = 7, 7, 16;
    }

    /// SBC-3 "SYNCHRONIZE CACHE (16) command".
    synchronize_cache16 synchronize "SYNCHRONIZE CACHE (16)" 0x91, 16 {
        SYNC_NV: bool = 1, 2, 1;
        IMMED: bool = 1, 1, 1;
        LBA: u64 = 2, 7, 64;
        /// Zero stands for all up to the end.
        NUMBER_OF_LOGICAL_BLOCKS: u32 = 10, 7, 32;
        GROUP_NUMBER: u8 = 14, 5, 6;
    }
}
