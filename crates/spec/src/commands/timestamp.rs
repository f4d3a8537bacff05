//! Commands that read and set the unit's clock.

commands! {
    /// SPC-4 "REPORT TIMESTAMP command".
    report_timestamp report "REPORT TIMESTAMP" 0xa3 / 0x0f, 12 {
        ALLOCATION_LENGTH: u32 = 6, 7, 32;
    }

    /// SPC-4 "SET TIMESTAMP command".
    set_timestamp set "SET TIMESTAMP" 0xa4 / 0x0f, 12 {
        PARAMETER_LIST_LENGTH: u32 = 6, 7, 32;
    }
}
