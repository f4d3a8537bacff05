//! Commands of asymmetric access: through which ports a unit can be used, and how well.

commands! {
    /// SPC-4 "REPORT TARGET PORT GROUPS command".
    report_target_port_groups port_groups "REPORT TARGET PORT GROUPS" 0xa3 / 0x0a, 12 {
        PARAMETER_DATA_FORMAT: u8 = 1, 7, 3;
        ALLOCATION_LENGTH: u32 = 6, 7, 32;
    }

    /// SPC-4 "SET TARGET PORT GROUPS command".
    set_target_port_groups set_port_groups "SET TARGET PORT GROUPS" 0xa4 / 0x0a, 12 {
        PARAMETER_LIST_LENGTH: u32 = 6, 7, 32;
    }

    /// SBC-3 "REPORT REFERRALS command".
    report_referrals referrals "REPORT REFERRALS" 0x9e / 0x13, 16 {
        LOGICAL_BLOCK_ADDRESS: u64 = 2, 7, 64;
        ALLOCATION_LENGTH: u32 = 10, 7, 32;
        /// Of one segment only.
        ONE_SEG: bool = 14, 0, 1;
    }
}
