//! Commands that reserve a unit, and that ask who has.
//!
//! SCOPE and TYPE of PERSISTENT RESERVE OUT mean nothing to some service actions, and may then be anything.

commands! {
    /// SPC-4 "PERSISTENT RESERVE IN command", READ KEYS service action.
    persistent_reserve_in_read_keys
        reserve_in "PERSISTENT RESERVE IN, READ KEYS" 0x5e / 0x00, 10 {
        ALLOCATION_LENGTH: u16 = 7, 7, 16;
    }

    /// SPC-4 "PERSISTENT RESERVE IN command", READ RESERVATION service action.
    persistent_reserve_in_read_reservation
        reserve_in "PERSISTENT RESERVE IN, READ RESERVATION" 0x5e / 0x01, 10 {
        ALLOCATION_LENGTH: u16 = 7, 7, 16;
    }

    /// SPC-4 "PERSISTENT RESERVE IN command", REPORT CAPABILITIES service action.
    persistent_reserve_in_report_capabilities
        reserve_in "PERSISTENT RESERVE IN, REPORT CAPABILITIES" 0x5e / 0x02, 10 {
        ALLOCATION_LENGTH: u16 = 7, 7, 16;
    }

    /// SPC-4 "PERSISTENT RESERVE IN command", READ FULL STATUS service action.
    persistent_reserve_in_read_full_status
        reserve_in "PERSISTENT RESERVE IN, READ FULL STATUS" 0x5e / 0x03, 10 {
        ALLOCATION_LENGTH: u16 = 7, 7, 16;
    }

    /// SPC-4 "PERSISTENT RESERVE OUT command", REGISTER service action.
    persistent_reserve_out_register
        register "PERSISTENT RESERVE OUT, REGISTER" 0x5f / 0x00, 10 {
        SCOPE: u8 = 2, 7, 4;
        TYPE: u8 = 2, 3, 4;
        PARAMETER_LIST_LENGTH: u32 = 5, 7, 32;
    }

    /// SPC-4 "PERSISTENT RESERVE OUT command", RESERVE service action.
    persistent_reserve_out_reserve
        holder "PERSISTENT RESERVE OUT, RESERVE" 0x5f / 0x01, 10 {
        SCOPE: u8 = 2, 7, 4;
        TYPE: u8 = 2, 3, 4;
        PARAMETER_LIST_LENGTH: u32 = 5, 7, 32;
    }

    /// SPC-4 "PERSISTENT RESERVE OUT command", RELEASE service action.
    persistent_reserve_out_release
        registrants "PERSISTENT RESERVE OUT, RELEASE" 0x5f / 0x02, 10 {
        SCOPE: u8 = 2, 7, 4;
        TYPE: u8 = 2, 3, 4;
        PARAMETER_LIST_LENGTH: u32 = 5, 7, 32;
    }

    /// SPC-4 "PERSISTENT RESERVE OUT command", CLEAR service action.
    persistent_reserve_out_clear
        registrants "PERSISTENT RESERVE OUT, CLEAR" 0x5f / 0x03, 10 {
        SCOPE: u8 = 2, 7, 4;
        TYPE: u8 = 2, 3, 4;
        PARAMETER_LIST_LENGTH: u32 = 5, 7, 32;
    }

    /// SPC-4 "PERSISTENT RESERVE OUT command", PREEMPT service action.
    persistent_reserve_out_preempt
        registrants "PERSISTENT RESERVE OUT, PREEMPT" 0x5f / 0x04, 10 {
        SCOPE: u8 = 2, 7, 4;
        TYPE: u8 = 2, 3, 4;
        PARAMETER_LIST_LENGTH: u32 = 5, 7, 32;
    }

    /// SPC-4 "PERSISTENT RESERVE OUT command", PREEMPT AND ABORT service action.
    persistent_reserve_out_preempt_and_abort
        registrants "PERSISTENT RESERVE OUT, PREEMPT AND ABORT" 0x5f / 0x05, 10 {
        SCOPE: u8 = 2, 7, 4;
        TYPE: u8 = 2, 3, 4;
        PARAMETER_LIST_LENGTH: u32 = 5, 7, 32;
    }

    /// SPC-4 "PERSISTENT RESERVE OUT command", REGISTER AND IGNORE EXISTING KEY service action.
    persistent_reserve_out_register_and_ignore_existing_key
        register "PERSISTENT RESERVE OUT, REGISTER AND IGNORE EXISTING KEY" 0x5f / 0x06, 10 {
        SCOPE: u8 = 2, 7, 4;
        TYPE: u8 = 2, 3, 4;
        PARAMETER_LIST_LENGTH: u32 = 5, 7, 32;
    }

    /// SPC-4 "PERSISTENT RESERVE OUT command", REGISTER AND MOVE service action.
    persistent_reserve_out_register_and_move
        holder "PERSISTENT RESERVE OUT, REGISTER AND MOVE" 0x5f / 0x07, 10 {
        SCOPE: u8 = 2, 7, 4;
        TYPE: u8 = 2, 3, 4;
        PARAMETER_LIST_LENGTH: u32 = 5, 7, 32;
    }

    /// SPC-4 "PERSISTENT RESERVE OUT command", REPLACE LOST RESERVATION service action.
    persistent_reserve_out_replace_lost_reservation
        replace "PERSISTENT RESERVE OUT, REPLACE LOST RESERVATION" 0x5f / 0x08, 10 {
        SCOPE: u8 = 2, 7, 4;
        TYPE: u8 = 2, 3, 4;
        PARAMETER_LIST_LENGTH: u32 = 5, 7, 32;
    }

    /// SPC-2 "RESERVE(6) command".
    reserve6 reserve "RESERVE (6)" 0x16, 6 {} = 0 {
        /// Nobody reserves for another.
        THIRD_PARTY = 1, 4, 1;
        THIRD_PARTY_DEVICE_ID = 1, 3, 3;
        /// Of the whole unit only.
        EXTENT = 1, 0, 1;
        RESERVATION_IDENTIFICATION = 2, 7, 8;
    }

    /// SPC-2 "RESERVE(10) command".
    reserve10 reserve "RESERVE (10)" 0x56, 10 {} = 0 {
        /// Nobody reserves for another.
        THIRD_PARTY = 1, 4, 1;
        LONGID = 1, 1, 1;
        /// Of the whole unit only.
        EXTENT = 1, 0, 1;
        RESERVATION_IDENTIFICATION = 2, 7, 8;
        THIRD_PARTY_DEVICE_ID = 3, 7, 8;
        PARAMETER_LIST_LENGTH = 7, 7, 16;
    }

    /// SPC-2 "RELEASE(6) command".
    release6 release "RELEASE (6)" 0x17, 6 {} = 0 {
        /// Nobody reserves for another.
        THIRD_PARTY = 1, 4, 1;
        THIRD_PARTY_DEVICE_ID = 1, 3, 3;
        /// Of the whole unit only.
        EXTENT = 1, 0, 1;
        RESERVATION_IDENTIFICATION = 2, 7, 8;
    }

    /// SPC-2 "RELEASE(10) command".
    release10 release "RELEASE (10)" 0x57, 10 {} = 0 {
        /// Nobody reserves for another.
        THIRD_PARTY = 1, 4, 1;
        LONGID = 1, 1, 1;
        /// Of the whole unit only.
        EXTENT = 1, 0, 1;
        RESERVATION_IDENTIFICATION = 2, 7, 8;
        THIRD_PARTY_DEVICE_ID = 3, 7, 8;
        PARAMETER_LIST_LENGTH = 7, 7, 16;
    }
}
