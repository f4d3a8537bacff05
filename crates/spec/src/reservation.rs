//! Reservations: their types, the parameter data of PERSISTENT RESERVE IN and OUT, and which command is allowed past which
//! reservation.
//!
//! The table of conflicts is [`line()`]: a line for each [`Reservation`] rule that a command's row can have, a column for
//! each [`Obstacle`] that can stand between a nexus and a unit. Whose the reservation is, and who is registered, is the
//! engine's.

use crate::cdb::{Cdb, Reservation};
use crate::layout::layouts;

/// SPC-4 "Persistent reservations type".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Only the holder writes.
    WriteExclusive,
    /// Only the holder reads and writes.
    ExclusiveAccess,
    /// Only who is registered writes.
    WriteExclusiveRegistrantsOnly,
    /// Only who is registered reads and writes.
    ExclusiveAccessRegistrantsOnly,
    /// Only who is registered writes, and all of them hold the reservation.
    WriteExclusiveAllRegistrants,
    /// Only who is registered reads and writes, and all of them hold the reservation.
    ExclusiveAccessAllRegistrants,
}

impl Type {
    /// Every type, with its code.
    pub const ALL: [(Self, u8); 6] = [
        (Self::WriteExclusive, 0x1),
        (Self::ExclusiveAccess, 0x3),
        (Self::WriteExclusiveRegistrantsOnly, 0x5),
        (Self::ExclusiveAccessRegistrantsOnly, 0x6),
        (Self::WriteExclusiveAllRegistrants, 0x7),
        (Self::ExclusiveAccessAllRegistrants, 0x8),
    ];

    /// The type of that code; the other codes are obsolete or reserved.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().find(|(_, of)| *of == code).map(|(kind, _)| *kind)
    }

    /// Its code.
    #[must_use]
    pub fn code(self) -> u8 {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or(0, |(_, code)| *code)
    }

    /// Whether everybody who is registered holds the reservation.
    #[must_use]
    pub const fn is_all_registrants(self) -> bool {
        matches!(self, Self::WriteExclusiveAllRegistrants | Self::ExclusiveAccessAllRegistrants)
    }

    /// Whether everybody who is registered has the holder's access: registrants only, all registrants.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        !matches!(self, Self::WriteExclusive | Self::ExclusiveAccess)
    }

    /// What stands in the way of a nexus that does not hold the reservation.
    #[must_use]
    pub const fn obstacle(self, is_registered: bool) -> Obstacle {
        match (self, is_registered) {
            (Self::WriteExclusive, true) => Obstacle::WriteExclusiveRegistered,
            (Self::ExclusiveAccess, true) => Obstacle::ExclusiveAccessRegistered,
            (_, true) => Obstacle::Registrants,
            (
                Self::WriteExclusive
                | Self::WriteExclusiveRegistrantsOnly
                | Self::WriteExclusiveAllRegistrants,
                false,
            ) => Obstacle::WriteExclusive,
            (_, false) => Obstacle::ExclusiveAccess,
        }
    }
}

/// SPC-4 "Persistent reservations scope": the whole unit.
pub const LU_SCOPE: u8 = 0x0;

/// What stands between a nexus and a unit: a column of [`line()`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Its own RESERVE (SPC-2).
    OwnReserve,
    /// Another's RESERVE (SPC-2).
    Reserve,
    /// A write exclusive reservation of any kind; the nexus is not registered.
    WriteExclusive,
    /// An exclusive access reservation of any kind; the nexus is not registered.
    ExclusiveAccess,
    /// Another's write exclusive reservation; the nexus is registered.
    WriteExclusiveRegistered,
    /// Another's exclusive access reservation; the nexus is registered.
    ExclusiveAccessRegistered,
    /// Another's registrants only reservation; the nexus is registered.
    Registrants,
    /// What the nexuses had was lost with the saved state.
    Lost,
}

/// What a reservation does to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It runs.
    Allowed,
    /// It ends with RESERVATION CONFLICT.
    Conflict,
}

use Verdict::{Allowed as A, Conflict as C};

/// A line of the table: the verdicts in the order of [`Obstacle`].
pub type Line = [Verdict; 8];

/// The columns:         own RESERVE, another's, write exclusive, exclusive access, the same registered (2), registrants, lost.
const ALLOWED: Line = [A, A, A, A, A, A, A, A];
const READY: Line = [A, C, A, A, A, A, A, C];
const READ: Line = [A, C, A, C, A, C, A, C];
const WRITE: Line = [A, C, C, C, C, C, A, C];
const REGISTER: Line = [C, C, A, A, A, A, A, C];
const REGISTRANTS: Line = [C, C, C, C, A, A, A, C];
const HOLDER: Line = [C, C, C, C, C, C, C, C];
const REPLACE: Line = [C, C, C, C, C, C, C, A];

/// A command's line of the table.
//= SPC-4 "Commands that are allowed in the presence of various reservations", and SBC-3's table of the same kind
//= SPC-4 "PERSISTENT RESERVE OUT service actions that are allowed in the presence of various reservations"
//= SPC-2 "Reservations": PERSISTENT RESERVE IN and OUT conflict with RESERVE, whosever it is
#[must_use]
pub fn line(rule: Reservation, cdb: &Cdb) -> Line {
    match rule {
        Reservation::Allowed => ALLOWED,
        Reservation::Ready => READY,
        Reservation::Read => READ,
        Reservation::Write => WRITE,
        Reservation::AllowedWhere(fields) => {
            let holds = fields.iter().all(|(field, value)| field.read(cdb.bytes()) == *value);
            if holds { ALLOWED } else { WRITE }
        }
        Reservation::Register => REGISTER,
        Reservation::Registrants => REGISTRANTS,
        Reservation::Holder => HOLDER,
        Reservation::Replace => REPLACE,
    }
}

impl Obstacle {
    /// What becomes of a command behind it.
    #[must_use]
    pub fn verdict(self, rule: Reservation, cdb: &Cdb) -> Verdict {
        let column = match self {
            Self::OwnReserve => 0,
            Self::Reserve => 1,
            Self::WriteExclusive => 2,
            Self::ExclusiveAccess => 3,
            Self::WriteExclusiveRegistered => 4,
            Self::ExclusiveAccessRegistered => 5,
            Self::Registrants => 6,
            Self::Lost => 7,
        };
        line(rule, cdb)[column]
    }
}

layouts! {
    /// SPC-4 "READ KEYS parameter data", and what stands before the descriptor of READ RESERVATION and those of READ FULL
    /// STATUS.
    keys, 8 {
        PRGENERATION: u32 = 0, 7, 32;
        /// Of what follows this field.
        ADDITIONAL_LENGTH: u32 = 4, 7, 32;
    }

    /// SPC-4 "READ RESERVATION parameter data": the reservation.
    reservation_descriptor, 16 {
        RESERVATION_KEY: u64 = 0, 7, 64;
        SCOPE: u8 = 13, 7, 4;
        TYPE: u8 = 13, 3, 4;
    }

    /// SPC-4 "REPORT CAPABILITIES parameter data".
    capabilities, 8 {
        LENGTH: u16 = 0, 7, 16;
        /// REPLACE LOST RESERVATION is supported.
        RLR_C: bool = 2, 7, 1;
        /// Compatible reservation handling: SPC-4's exceptions to RESERVE and RELEASE.
        CRH: bool = 2, 4, 1;
        /// SPEC_I_PT is supported.
        SIP_C: bool = 2, 3, 1;
        /// ALL_TG_PT is supported.
        ATP_C: bool = 2, 2, 1;
        /// APTPL is supported.
        PTPL_C: bool = 2, 0, 1;
        /// The types are valid.
        TMV: bool = 3, 7, 1;
        ALLOW_COMMANDS: u8 = 3, 6, 3;
        /// APTPL is active.
        PTPL_A: bool = 3, 0, 1;
        WR_EX_AR: bool = 4, 7, 1;
        EX_AC_RO: bool = 4, 6, 1;
        WR_EX_RO: bool = 4, 5, 1;
        EX_AC: bool = 4, 3, 1;
        WR_EX: bool = 4, 1, 1;
        EX_AC_AR: bool = 5, 0, 1;
    }

    /// SPC-4 "READ FULL STATUS parameter data": a registration, with its TransportID behind it.
    full_status_descriptor, 24 {
        RESERVATION_KEY: u64 = 0, 7, 64;
        ALL_TG_PT: bool = 12, 1, 1;
        R_HOLDER: bool = 12, 0, 1;
        SCOPE: u8 = 13, 7, 4;
        TYPE: u8 = 13, 3, 4;
        RELATIVE_TARGET_PORT_IDENTIFIER: u16 = 18, 7, 16;
        /// Of the TransportID.
        ADDITIONAL_DESCRIPTOR_LENGTH: u32 = 20, 7, 32;
    }

    /// SPC-4 "Basic PERSISTENT RESERVE OUT parameter list".
    basic_list, 24 {
        RESERVATION_KEY: u64 = 0, 7, 64;
        SERVICE_ACTION_RESERVATION_KEY: u64 = 8, 7, 64;
        /// TransportIDs follow.
        SPEC_I_PT: bool = 20, 3, 1;
        ALL_TG_PT: bool = 20, 2, 1;
        APTPL: bool = 20, 0, 1;
    }

    /// SPC-4 "Basic PERSISTENT RESERVE OUT parameter list": what stands between it and the TransportIDs.
    additional_list, 4 {
        /// Of the TransportIDs.
        TRANSPORTID_PARAMETER_DATA_LENGTH: u32 = 0, 7, 32;
    }

    /// SPC-4 "Parameter list for the PERSISTENT RESERVE OUT command with REGISTER AND MOVE service action": what stands
    /// before the TransportID.
    move_list, 24 {
        RESERVATION_KEY: u64 = 0, 7, 64;
        SERVICE_ACTION_RESERVATION_KEY: u64 = 8, 7, 64;
        /// The sender's registration ends.
        UNREG: bool = 17, 1, 1;
        APTPL: bool = 17, 0, 1;
        RELATIVE_TARGET_PORT_IDENTIFIER: u16 = 18, 7, 16;
        /// Of the TransportID.
        TRANSPORTID_PARAMETER_DATA_LENGTH: u32 = 20, 7, 32;
    }
}

/// [`capabilities::ALLOW_COMMANDS`]: TEST UNIT READY is allowed past every reservation, and MODE SENSE, READ BUFFER and their
/// like past those that are write exclusive.
pub const ALLOW_READY_AND_SENSE: u8 = 0b011;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::*;
    use crate::{Cdb, Row};

    /// Write exclusive, exclusive access, the same for the registered, registrants only for the registered.
    const PERSISTENT: [Obstacle; 5] = [
        Obstacle::WriteExclusive,
        Obstacle::ExclusiveAccess,
        Obstacle::WriteExclusiveRegistered,
        Obstacle::ExclusiveAccessRegistered,
        Obstacle::Registrants,
    ];

    fn check(row: &Row, cdb: &[u8], want: [Verdict; 5]) {
        let got = PERSISTENT.map(|obstacle| obstacle.verdict(row.reservation, &Cdb::new(cdb)));
        assert_eq!(got, want, "{}", row.name);
    }

    #[test]
    fn every_type_has_its_code() {
        for (kind, code) in Type::ALL {
            assert_eq!((Type::from_code(code), kind.code()), (Some(kind), code));
        }
        assert_eq!([0, 2, 4, 9, 15].map(Type::from_code), [None; 5]);
    }

    #[test]
    fn reading_is_allowed_past_write_exclusive() {
        check(&read10::ROW, &[0x28], [A, C, A, C, A]);
        check(&verify16::ROW, &[0x8f], [A, C, A, C, A]);
        check(&get_lba_status::ROW, &[0x9e, 0x12], [A, C, A, C, A]);
        for row in
            [mode_sense6::ROW, report_supported_operation_codes::ROW, read_defect_data10::ROW, seek10::ROW]
        {
            check(&row, &[0], [A, C, A, C, A]);
        }
        for row in [populate_token::ROW, receive_copy_status_lid1::ROW, receive_rod_token_information::ROW] {
            check(&row, &[0], [A, C, A, C, A]);
        }
    }

    #[test]
    fn writing_is_allowed_to_registrants() {
        for row in [write16::ROW, write_same16::ROW, unmap::ROW, compare_and_write::ROW, orwrite16::ROW] {
            check(&row, &[0], [C, C, C, C, A]);
        }
        for row in [synchronize_cache10::ROW, mode_select10::ROW, set_target_port_groups::ROW] {
            check(&row, &[0], [C, C, C, C, A]);
        }
        for row in
            [format_unit::ROW, sanitize_overwrite::ROW, sanitize_exit_failure_mode::ROW, write_atomic16::ROW]
        {
            check(&row, &[0], [C, C, C, C, A]);
        }
        for row in [extended_copy_lid1::ROW, write_using_token::ROW, copy_operation_abort::ROW] {
            check(&row, &[0], [C, C, C, C, A]);
        }
    }

    #[test]
    fn looking_at_the_unit_is_allowed_always() {
        for row in
            [inquiry::ROW, report_luns::ROW, request_sense::ROW, read_capacity10::ROW, read_capacity16::ROW]
        {
            check(&row, &[0], [A; 5]);
        }
        for row in [test_unit_ready::ROW, report_target_port_groups::ROW, report_referrals::ROW] {
            check(&row, &[0], [A; 5]);
        }
        check(&persistent_reserve_in_read_keys::ROW, &[0x5e], [A; 5]);
    }

    #[test]
    fn starting_is_allowed_and_stopping_is_not() {
        check(&start_stop_unit::ROW, &[0x1b, 0, 0, 0, 1, 0], [A; 5]);
        check(&start_stop_unit::ROW, &[0x1b, 0, 0, 0, 0, 0], [C, C, C, C, A]);
        check(&start_stop_unit::ROW, &[0x1b, 0, 0, 0, 0x11, 0], [C, C, C, C, A]);
    }

    #[test]
    fn allowing_removal_is_allowed_and_preventing_is_not() {
        check(&prevent_allow_medium_removal::ROW, &[0x1e, 0, 0, 0, 0, 0], [A; 5]);
        check(&prevent_allow_medium_removal::ROW, &[0x1e, 0, 0, 0, 1, 0], [C, C, C, C, A]);
    }

    #[test]
    fn persistent_reserve_out_goes_by_its_service_action() {
        check(&persistent_reserve_out_register::ROW, &[0x5f], [A; 5]);
        check(&persistent_reserve_out_clear::ROW, &[0x5f], [C, C, A, A, A]);
        check(&persistent_reserve_out_preempt::ROW, &[0x5f], [C, C, A, A, A]);
        check(&persistent_reserve_out_release::ROW, &[0x5f], [C, C, A, A, A]);
        check(&persistent_reserve_out_reserve::ROW, &[0x5f], [C; 5]);
        check(&persistent_reserve_out_register_and_move::ROW, &[0x5f], [C; 5]);
    }

    #[test]
    fn anothers_reserve_lets_few_pass() {
        let passes = |row: Row, cdb: &[u8]| {
            Obstacle::Reserve.verdict(row.reservation, &Cdb::new(cdb)) == Verdict::Allowed
        };
        assert!(passes(inquiry::ROW, &[0x12]) && passes(release6::ROW, &[0x17]));
        assert!(
            passes(read_capacity10::ROW, &[0x25]) && passes(start_stop_unit::ROW, &[0x1b, 0, 0, 0, 1, 0])
        );
        for row in [test_unit_ready::ROW, read10::ROW, mode_sense6::ROW, reserve6::ROW] {
            assert!(!passes(row, &[0]), "{}", row.name);
        }
        assert!(!passes(persistent_reserve_in_read_keys::ROW, &[0x5e]));
    }
}
