//! Commands that change the state of the unit, not its blocks.

commands! {
    /// SBC-3 "START STOP UNIT command".
    start_stop_unit power "START STOP UNIT" 0x1b, 6 {
        IMMED: bool = 1, 0, 1;
        POWER_CONDITION_MODIFIER: u8 = 3, 3, 4;
        POWER_CONDITION: u8 = 4, 7, 4;
        NO_FLUSH: bool = 4, 2, 1;
        LOEJ: bool = 4, 1, 1;
        START: bool = 4, 0, 1;
    }

    /// SBC-3 "PREVENT ALLOW MEDIUM REMOVAL command".
    prevent_allow_medium_removal removal "PREVENT ALLOW MEDIUM REMOVAL" 0x1e, 6 {
        PREVENT: u8 = 4, 1, 2;
    }
}
