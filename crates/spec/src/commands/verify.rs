//! Commands that compare blocks, with Data-Out or with themselves.
//!
//! BYTCHK: 00b reads and compares nothing, 01b compares with as many blocks of Data-Out, 11b compares each with the one
//! block of Data-Out; 10b is reserved.

commands! {
    /// SBC-3 "VERIFY (10) command".
    verify10 verify "VERIFY (10)" 0x2f, 10 {
        DPO: bool = 1, 4, 1;
        BYTCHK: u8 = 1, 2, 2;
        LBA: u64 = 2, 7, 32;
        GROUP_NUMBER: u8 = 6, 5, 6;
        VERIFICATION_LENGTH: u32 = 7, 7, 16;
    } = protection {
        VRPROTECT = 1, 7, 3;
    }

    /// SBC-3 "VERIFY (12) command".
    verify12 verify "VERIFY (12)" 0xaf, 12 {
        DPO: bool = 1, 4, 1;
        BYTCHK: u8 = 1, 2, 2;
        LBA: u64 = 2, 7, 32;
        VERIFICATION_LENGTH: u32 = 6, 7, 32;
        GROUP_NUMBER: u8 = 10, 5, 6;
    } = protection {
        VRPROTECT = 1, 7, 3;
    }

    /// SBC-3 "VERIFY (16) command".
    verify16 verify "VERIFY (16)" 0x8f, 16 {
        DPO: bool = 1, 4, 1;
        BYTCHK: u8 = 1, 2, 2;
        LBA: u64 = 2, 7, 64;
        VERIFICATION_LENGTH: u32 = 10, 7, 32;
        GROUP_NUMBER: u8 = 14, 5, 6;
    } = protection {
        VRPROTECT = 1, 7, 3;
    }

    /// SBC-3 "WRITE AND VERIFY (10) command". Nothing may come between the writing and the comparing.
    write_and_verify10 exclusive "WRITE AND VERIFY (10)" 0x2e, 10 {
        DPO: bool = 1, 4, 1;
        BYTCHK: u8 = 1, 2, 2;
        LBA: u64 = 2, 7, 32;
        GROUP_NUMBER: u8 = 6, 5, 6;
        TRANSFER_LENGTH: u32 = 7, 7, 16;
    } = protection {
        WRPROTECT = 1, 7, 3;
    }

    /// SBC-3 "WRITE AND VERIFY (12) command".
    write_and_verify12 exclusive "WRITE AND VERIFY (12)" 0xae, 12 {
        DPO: bool = 1, 4, 1;
        BYTCHK: u8 = 1, 2, 2;
        LBA: u64 = 2, 7, 32;
        TRANSFER_LENGTH: u32 = 6, 7, 32;
        GROUP_NUMBER: u8 = 10, 5, 6;
    } = protection {
        WRPROTECT = 1, 7, 3;
    }

    /// SBC-3 "WRITE AND VERIFY (16) command".
    write_and_verify16 exclusive "WRITE AND VERIFY (16)" 0x8e, 16 {
        DPO: bool = 1, 4, 1;
        BYTCHK: u8 = 1, 2, 2;
        LBA: u64 = 2, 7, 64;
        TRANSFER_LENGTH: u32 = 10, 7, 32;
        GROUP_NUMBER: u8 = 14, 5, 6;
    } = protection {
        WRPROTECT = 1, 7, 3;
    }
}
