//! Commands by which an initiator lets us copy.
//!
//! LID1 commands name the copy by one byte, LID4 commands by four.

commands! {
    /// SPC-4 "EXTENDED COPY(LID1) command".
    extended_copy_lid1 copy "EXTENDED COPY(LID1)" 0x83 / 0x00, 16 {
        PARAMETER_LIST_LENGTH: u32 = 10, 7, 32;
    }

    /// SPC-4 "EXTENDED COPY(LID4) command".
    extended_copy_lid4 copy "EXTENDED COPY(LID4)" 0x83 / 0x01, 16 {
        PARAMETER_LIST_LENGTH: u32 = 10, 7, 32;
    }

    /// SBC-3 "POPULATE TOKEN command".
    populate_token populate "POPULATE TOKEN" 0x83 / 0x10, 16 {
        LIST_IDENTIFIER: u32 = 6, 7, 32;
        PARAMETER_LIST_LENGTH: u32 = 10, 7, 32;
        GROUP_NUMBER: u8 = 14, 5, 6;
    }

    /// SBC-3 "WRITE USING TOKEN command".
    write_using_token copy_here "WRITE USING TOKEN" 0x83 / 0x11, 16 {
        LIST_IDENTIFIER: u32 = 6, 7, 32;
        PARAMETER_LIST_LENGTH: u32 = 10, 7, 32;
        GROUP_NUMBER: u8 = 14, 5, 6;
    }

    /// SPC-4 "COPY OPERATION ABORT command".
    copy_operation_abort copy_abort "COPY OPERATION ABORT" 0x83 / 0x1c, 16 {
        LIST_IDENTIFIER: u32 = 2, 7, 32;
    }

    /// SPC-4 "RECEIVE COPY STATUS(LID1) command".
    receive_copy_status_lid1 copy_results "RECEIVE COPY STATUS(LID1)" 0x84 / 0x00, 16 {
        LIST_IDENTIFIER: u8 = 2, 7, 8;
        ALLOCATION_LENGTH: u32 = 10, 7, 32;
    }

    /// SPC-4 "RECEIVE COPY OPERATING PARAMETERS command".
    receive_copy_operating_parameters copy_results "RECEIVE COPY OPERATING PARAMETERS" 0x84 / 0x03, 16 {
        ALLOCATION_LENGTH: u32 = 10, 7, 32;
    }

    /// SPC-4 "RECEIVE COPY FAILURE DETAILS(LID1) command".
    receive_copy_failure_details copy_results "RECEIVE COPY FAILURE DETAILS(LID1)" 0x84 / 0x04, 16 {
        LIST_IDENTIFIER: u8 = 2, 7, 8;
        ALLOCATION_LENGTH: u32 = 10, 7, 32;
    }

    /// SPC-4 "RECEIVE COPY STATUS(LID4) command".
    receive_copy_status_lid4 copy_results "RECEIVE COPY STATUS(LID4)" 0x84 / 0x05, 16 {
        LIST_IDENTIFIER: u32 = 2, 7, 32;
        ALLOCATION_LENGTH: u32 = 10, 7, 32;
    }

    /// SPC-4 "RECEIVE ROD TOKEN INFORMATION command".
    receive_rod_token_information copy_results "RECEIVE ROD TOKEN INFORMATION" 0x84 / 0x07, 16 {
        LIST_IDENTIFIER: u32 = 2, 7, 32;
        ALLOCATION_LENGTH: u32 = 10, 7, 32;
    }

    /// SPC-4 "REPORT ALL ROD TOKENS command".
    report_all_rod_tokens copy_results "REPORT ALL ROD TOKENS" 0x84 / 0x08, 16 {
        ALLOCATION_LENGTH: u32 = 10, 7, 32;
    }
}
