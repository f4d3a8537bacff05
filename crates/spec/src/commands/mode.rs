//! Commands that read and change mode parameters.

commands! {
    /// SPC-4 "MODE SENSE (6) command".
    mode_sense6 mode_sense "MODE SENSE (6)" 0x1a, 6 {
        DBD: bool = 1, 3, 1;
        PC: u8 = 2, 7, 2;
        PAGE_CODE: u8 = 2, 5, 6;
        SUBPAGE_CODE: u8 = 3, 7, 8;
        ALLOCATION_LENGTH: u8 = 4, 7, 8;
    }

    /// SPC-4 "MODE SENSE (10) command".
    mode_sense10 mode_sense "MODE SENSE (10)" 0x5a, 10 {
        LLBAA: bool = 1, 4, 1;
        DBD: bool = 1, 3, 1;
        PC: u8 = 2, 7, 2;
        PAGE_CODE: u8 = 2, 5, 6;
        SUBPAGE_CODE: u8 = 3, 7, 8;
        ALLOCATION_LENGTH: u16 = 7, 7, 16;
    }

    /// SPC-4 "MODE SELECT (6) command".
    mode_select6 mode_select "MODE SELECT (6)" 0x15, 6 {
        PF: bool = 1, 4, 1;
        /// The pages are saved.
        SP: bool = 1, 0, 1;
        PARAMETER_LIST_LENGTH: u8 = 4, 7, 8;
    }

    /// SPC-4 "MODE SELECT (10) command".
    mode_select10 mode_select "MODE SELECT (10)" 0x55, 10 {
        PF: bool = 1, 4, 1;
        /// The pages are saved.
        SP: bool = 1, 0, 1;
        PARAMETER_LIST_LENGTH: u16 = 7, 7, 16;
    }
}
