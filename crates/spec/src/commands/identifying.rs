//! Commands that keep what somebody wants a unit to be called.

commands! {
    /// SPC-4 "REPORT IDENTIFYING INFORMATION command".
    report_identifying_information report "REPORT IDENTIFYING INFORMATION" 0xa3 / 0x05, 12 {
        ALLOCATION_LENGTH: u32 = 6, 7, 32;
        IDENTIFYING_INFORMATION_TYPE: u8 = 10, 7, 7;
    }

    /// SPC-4 "SET IDENTIFYING INFORMATION command".
    set_identifying_information set "SET IDENTIFYING INFORMATION" 0xa4 / 0x06, 12 {
        PARAMETER_LIST_LENGTH: u32 = 6, 7, 32;
        IDENTIFYING_INFORMATION_TYPE: u8 = 10, 7, 7;
    }
}
