//! Commands that say who and how we are.

commands! {
    /// SPC-4 "INQUIRY command".
    inquiry identity "INQUIRY" 0x12, 6 {
        EVPD: bool = 1, 0, 1;
        PAGE_CODE: u8 = 2, 7, 8;
        ALLOCATION_LENGTH: u16 = 3, 7, 16;
    }

    /// SPC-4 "REPORT LUNS command".
    report_luns inventory "REPORT LUNS" 0xa0, 12 {
        SELECT_REPORT: u8 = 2, 7, 8;
        ALLOCATION_LENGTH: u32 = 6, 7, 32;
    }

    /// SPC-4 "TEST UNIT READY command".
    test_unit_ready ready "TEST UNIT READY" 0x00, 6 {}

    /// SPC-4 "REQUEST SENSE command".
    request_sense sense "REQUEST SENSE" 0x03, 6 {
        DESC: bool = 1, 0, 1;
        ALLOCATION_LENGTH: u8 = 4, 7, 8;
    }

    /// SBC-3 "READ CAPACITY (10) command". LOGICAL BLOCK ADDRESS and PMI are obsolete in SBC-4 and kept.
    read_capacity10 capacity "READ CAPACITY (10)" 0x25, 10 {
        LBA: u64 = 2, 7, 32;
        PMI: bool = 8, 0, 1;
    }

    /// SBC-3 "READ CAPACITY (16) command". LOGICAL BLOCK ADDRESS and PMI are obsolete in SBC-4 and kept.
    read_capacity16 capacity "READ CAPACITY (16)" 0x9e / 0x10, 16 {
        LBA: u64 = 2, 7, 64;
        ALLOCATION_LENGTH: u32 = 10, 7, 32;
        PMI: bool = 14, 0, 1;
    }
}
