//! Asymmetric access: through which ports a unit can be used, and how well, SPC-4 "Asymmetric logical unit access".
//!
//! [`STATES`] is the table: what each state is called, which commands it answers, and how it refuses the others. The
//! layouts are those of REPORT TARGET PORT GROUPS, SET TARGET PORT GROUPS and SBC-3's REPORT REFERRALS.
//!
//! Not here: which group is in which state, and how it gets there (engine); the commands (`commands::alua`), and in
//! which states each is answered (the `alua` column of its row).

use crate::cdb::Alua;
use crate::field::Field;
use crate::layout::layouts;
use crate::sense::{Code, code};

/// SPC-4 "Target port asymmetric access states".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AccessState {
    /// The best way to the unit.
    ActiveOptimized,
    /// A way to the unit, but not the best.
    ActiveNonOptimized,
    /// Only commands that find out about the unit.
    Standby,
    /// Only commands that find out about the port.
    Unavailable,
    /// It depends on the block: see REPORT REFERRALS.
    LbaDependent,
    /// One port of a group is out of service, whatever state the group is in.
    Offline,
    /// Between two states.
    Transitioning,
}

/// One state.
#[derive(Clone, Copy, Debug)]
pub struct StateRow {
    /// Which.
    pub state: AccessState,
    /// ASYMMETRIC ACCESS STATE.
    pub code: u8,
    /// How operators spell it.
    pub name: &'static str,
    /// The bit that says that a group can get into it.
    pub supported: Field<bool>,
    /// What it does not answer.
    pub refuses: Option<Refusal>,
}

/// What a state does not answer, and how it says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Commands with a lesser value in their `alua` column are refused.
    pub below: Alua,
    /// Like this.
    pub code: Code,
}

/// The states, in the order of [`AccessState`].
//= SPC-4 "Target port asymmetric access states"
pub const STATES: [StateRow; 7] = {
    use AccessState as S;
    use group_descriptor as can;
    const STANDBY: Refusal = Refusal { below: Alua::Standby, code: code::LU_ACCESS_STANDBY };
    const UNAVAILABLE: Refusal = Refusal { below: Alua::Unavailable, code: code::LU_ACCESS_UNAVAILABLE };
    const OFFLINE: Refusal = Refusal { below: Alua::Unavailable, code: code::LU_NOT_READY_OFFLINE };
    const TRANSITION: Refusal = Refusal { below: Alua::Always, code: code::LU_ACCESS_TRANSITION };
    [
        row(S::ActiveOptimized, 0x0, "active_optimized", can::AO_SUP, None),
        row(S::ActiveNonOptimized, 0x1, "active_nonoptimized", can::AN_SUP, None),
        row(S::Standby, 0x2, "standby", can::S_SUP, Some(STANDBY)),
        row(S::Unavailable, 0x3, "unavailable", can::U_SUP, Some(UNAVAILABLE)),
        row(S::LbaDependent, 0x4, "lba_dependent", can::LBD_SUP, None),
        row(S::Offline, 0xe, "offline", can::O_SUP, Some(OFFLINE)),
        row(S::Transitioning, 0xf, "transitioning", can::T_SUP, Some(TRANSITION)),
    ]
};

const fn row(
    state: AccessState,
    code: u8,
    name: &'static str,
    supported: Field<bool>,
    refuses: Option<Refusal>,
) -> StateRow {
    StateRow { state, code, name, supported, refuses }
}

impl AccessState {
    /// Its row.
    #[must_use]
    pub const fn row(self) -> &'static StateRow {
        match self {
            Self::ActiveOptimized => &STATES[0],
            Self::ActiveNonOptimized => &STATES[1],
            Self::Standby => &STATES[2],
            Self::Unavailable => &STATES[3],
            Self::LbaDependent => &STATES[4],
            Self::Offline => &STATES[5],
            Self::Transitioning => &STATES[6],
        }
    }

    /// The state of that ASYMMETRIC ACCESS STATE.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        STATES.iter().find(|row| row.code == code).map(|row| row.state)
    }

    /// The state that operators spell so.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        STATES.iter().find(|row| row.name == name).map(|row| row.state)
    }

    /// How a command fares in this state.
    #[must_use]
    pub fn refuses(self, command: Alua) -> Option<Code> {
        self.row().refuses.filter(|refusal| command < refusal.below).map(|refusal| refusal.code)
    }

    /// Whether the unit can be used as if there were no other states.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::ActiveOptimized | Self::ActiveNonOptimized)
    }

    /// Whether INQUIRY says that no unit is connected, but could be.
    //= SPC-4 "Target port asymmetric access state: Unavailable"
    #[must_use]
    pub const fn disconnects(self) -> bool {
        matches!(self, Self::Unavailable | Self::Offline)
    }
}

/// SPC-4 "Standard INQUIRY data": TPGS, who changes the states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tpgs {
    /// The target.
    pub implicit: bool,
    /// Initiators, by SET TARGET PORT GROUPS.
    pub explicit: bool,
}

impl Tpgs {
    /// The field's value.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match (self.explicit, self.implicit) {
            (false, false) => 0b00,
            (false, true) => 0b01,
            (true, false) => 0b10,
            (true, true) => 0b11,
        }
    }
}

/// SPC-4 "REPORT TARGET PORT GROUPS command": STATUS CODE, who changed the state last.
pub mod status_code {
    /// Nobody.
    pub const NONE: u8 = 0x00;
    /// An initiator.
    pub const BY_SET_TARGET_PORT_GROUPS: u8 = 0x01;
    /// The target.
    pub const BY_IMPLICIT: u8 = 0x02;
}

/// SPC-4 "REPORT TARGET PORT GROUPS command": PARAMETER DATA FORMAT, and FORMAT TYPE in the answer.
pub mod data_format {
    /// A header with the length alone.
    pub const LENGTH_ONLY: u8 = 0b000;
    /// A header that says more.
    pub const EXTENDED: u8 = 0b001;
}

layouts! {
    /// SPC-4 "Length only header parameter data format".
    length_header, 4 {
        /// Of what follows this field.
        RETURN_DATA_LENGTH: u32 = 0, 7, 32;
    }

    /// SPC-4 "Extended header parameter data format".
    extended_header, 8 {
        /// Of what follows this field.
        RETURN_DATA_LENGTH: u32 = 0, 7, 32;
        FORMAT_TYPE: u8 = 4, 6, 3;
        /// Seconds; zero is "not told".
        IMPLICIT_TRANSITION_TIME: u8 = 5, 7, 8;
    }

    /// SPC-4 "Target port group descriptor format": what stands before its ports.
    group_descriptor, 8 {
        PREF: bool = 0, 7, 1;
        ASYMMETRIC_ACCESS_STATE: u8 = 0, 3, 4;
        T_SUP: bool = 1, 7, 1;
        O_SUP: bool = 1, 6, 1;
        LBD_SUP: bool = 1, 4, 1;
        U_SUP: bool = 1, 3, 1;
        S_SUP: bool = 1, 2, 1;
        AN_SUP: bool = 1, 1, 1;
        AO_SUP: bool = 1, 0, 1;
        TARGET_PORT_GROUP: u16 = 2, 7, 16;
        STATUS_CODE: u8 = 5, 7, 8;
        TARGET_PORT_COUNT: u8 = 7, 7, 8;
    }

    /// SPC-4 "Target port descriptor format".
    port_descriptor, 4 {
        RELATIVE_TARGET_PORT_IDENTIFIER: u16 = 2, 7, 16;
    }

    /// SPC-4 "SET TARGET PORT GROUPS parameter list": one descriptor; four reserved bytes stand before the first.
    set_descriptor, 4 {
        ASYMMETRIC_ACCESS_STATE: u8 = 0, 3, 4;
        /// A group's number, or with the state offline a port's.
        TARGET_PORT_GROUP_OR_TARGET_PORT: u16 = 2, 7, 16;
    }

    /// SBC-3 "REPORT REFERRALS parameter data": what stands before the descriptors.
    referrals, 4 {
        /// Of what follows this field.
        USER_DATA_SEGMENT_REFERRAL_DESCRIPTOR_LENGTH: u16 = 2, 7, 16;
    }

    /// SBC-3 "User data segment referral descriptor": what stands before its groups.
    referral_descriptor, 20 {
        NUMBER_OF_TARGET_PORT_GROUP_DESCRIPTORS: u8 = 3, 7, 8;
        FIRST_USER_DATA_SEGMENT_LBA: u64 = 4, 7, 64;
        LAST_USER_DATA_SEGMENT_LBA: u64 = 12, 7, 64;
    }

    /// SBC-3 "Target port group descriptor".
    referral_group, 4 {
        ASYMMETRIC_ACCESS_STATE: u8 = 0, 3, 4;
        TARGET_PORT_GROUP: u16 = 2, 7, 16;
    }
}

/// What stands before the first descriptor of a SET TARGET PORT GROUPS parameter list, bytes.
pub const SET_HEADER_BYTES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_own_row() {
        for row in &STATES {
            assert_eq!(row.state.row().code, row.code);
            assert_eq!(AccessState::from_code(row.code), Some(row.state));
            assert_eq!(AccessState::from_name(row.name), Some(row.state));
        }
    }

    fn check(state: AccessState, answered: &[Alua]) {
        let all = [Alua::Active, Alua::Standby, Alua::Unavailable, Alua::Always];
        let got: Vec<Alua> = all.into_iter().filter(|rule| state.refuses(*rule).is_none()).collect();
        assert_eq!(got, answered, "{state:?}");
    }

    #[test]
    fn active_states_answer_everything() {
        let all = [Alua::Active, Alua::Standby, Alua::Unavailable, Alua::Always];
        check(AccessState::ActiveOptimized, &all);
        check(AccessState::ActiveNonOptimized, &all);
        check(AccessState::LbaDependent, &all);
    }

    #[test]
    fn the_other_states_answer_less_and_less() {
        check(AccessState::Standby, &[Alua::Standby, Alua::Unavailable, Alua::Always]);
        check(AccessState::Unavailable, &[Alua::Unavailable, Alua::Always]);
        check(AccessState::Offline, &[Alua::Unavailable, Alua::Always]);
        check(AccessState::Transitioning, &[Alua::Always]);
    }

    #[test]
    fn each_refusal_names_its_state() {
        let refusal = |state: AccessState| state.refuses(Alua::Active).map(|code| (code.asc, code.ascq));
        assert_eq!(refusal(AccessState::Standby), Some((0x04, 0x0b)));
        assert_eq!(refusal(AccessState::Unavailable), Some((0x04, 0x0c)));
        assert_eq!(refusal(AccessState::Offline), Some((0x04, 0x12)));
        assert_eq!(refusal(AccessState::Transitioning), Some((0x04, 0x0a)));
    }
}
