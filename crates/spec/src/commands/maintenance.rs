//! Commands that say what we can do.

commands! {
    /// SPC-4 "REPORT SUPPORTED OPERATION CODES command".
    report_supported_operation_codes abilities "REPORT SUPPORTED OPERATION CODES" 0xa3 / 0x0c, 12 {
        RCTD: bool = 2, 7, 1;
        REPORTING_OPTIONS: u8 = 2, 2, 3;
        REQUESTED_OPERATION_CODE: u8 = 3, 7, 8;
        REQUESTED_SERVICE_ACTION: u16 = 4, 7, 16;
        ALLOCATION_LENGTH: u32 = 6, 7, 32;
    }

    /// SPC-4 "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS command".
    report_supported_task_management_functions
        abilities "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS" 0xa3 / 0x0d, 12 {
        REPD: bool = 2, 7, 1;
        ALLOCATION_LENGTH: u32 = 6, 7, 32;
    }
}
