//! Commands that read and reset what a unit has counted and noted.

commands! {
    /// SPC-4 "LOG SELECT command".
    log_select log_select "LOG SELECT" 0x4c, 10 {
        /// Parameters go back to their defaults.
        PCR: bool = 1, 1, 1;
        PC: u8 = 2, 7, 2;
        PAGE_CODE: u8 = 2, 5, 6;
        SUBPAGE_CODE: u8 = 3, 7, 8;
        PARAMETER_LIST_LENGTH: u16 = 7, 7, 16;
    } = 0 {
        /// Log parameters are not saved (GLTSD=1).
        SP = 1, 0, 1;
    }

    /// SPC-4 "LOG SENSE command".
    log_sense log_sense "LOG SENSE" 0x4d, 10 {
        PC: u8 = 2, 7, 2;
        PAGE_CODE: u8 = 2, 5, 6;
        SUBPAGE_CODE: u8 = 3, 7, 8;
        /// The first parameter that is wanted.
        PARAMETER_POINTER: u16 = 5, 7, 16;
        ALLOCATION_LENGTH: u16 = 7, 7, 16;
    } = 0 {
        /// Only what has changed; obsolete in SPC-4.
        PPC = 1, 1, 1;
        /// Log parameters are not saved (GLTSD=1).
        SP = 1, 0, 1;
    }
}
