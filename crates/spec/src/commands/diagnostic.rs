//! Commands that have a unit test itself.

commands! {
    /// SPC-4 "RECEIVE DIAGNOSTIC RESULTS command".
    receive_diagnostic_results receive_diagnostic "RECEIVE DIAGNOSTIC RESULTS" 0x1c, 6 {
        /// The page is named by PAGE CODE.
        PCV: bool = 1, 0, 1;
        PAGE_CODE: u8 = 2, 7, 8;
        ALLOCATION_LENGTH: u16 = 3, 7, 16;
    }

    /// SPC-4 "SEND DIAGNOSTIC command".
    send_diagnostic send_diagnostic "SEND DIAGNOSTIC" 0x1d, 6 {
        SELF_TEST_CODE: u8 = 1, 7, 3;
        /// The list has pages.
        PF: bool = 1, 4, 1;
        /// The default self-test.
        SELFTEST: bool = 1, 2, 1;
        /// The test may disturb other units. None does.
        DEVOFFL: bool = 1, 1, 1;
        /// The test may disturb the unit. None does.
        UNITOFFL: bool = 1, 0, 1;
        PARAMETER_LIST_LENGTH: u16 = 3, 7, 16;
    }
}
