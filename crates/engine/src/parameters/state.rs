//! START STOP UNIT and PREVENT ALLOW MEDIUM REMOVAL: what their CDBs ask for.

use crate::power::{Condition, Power, Rule};
use crate::unit::{Control, Unit};
use felio_spec::Cdb;
use felio_spec::commands::{prevent_allow_medium_removal, seek6 as s6, seek10 as s10, start_stop_unit};
use felio_spec::sense::{Sense, code};

//= SBC-3 "START STOP UNIT command"
/// START STOP UNIT. IMMED makes no difference: nothing takes long but a flush, and that is waited for.
pub fn start_stop_unit(unit: &Unit, cdb: &Cdb) -> Result<Control, Sense> {
    use start_stop_unit::{LOEJ, NO_FLUSH, POWER_CONDITION, POWER_CONDITION_MODIFIER, START};
    // With a power condition, START and LOEJ mean nothing.
    if cdb.get(POWER_CONDITION) != 0 {
        let named = (cdb.get(POWER_CONDITION), cdb.get(POWER_CONDITION_MODIFIER));
        let Some((_, rule)) = CONDITIONS.iter().find(|(name, _)| *name == named) else {
            let known = CONDITIONS.iter().any(|(name, _)| name.0 == named.0);
            let field = if known { POWER_CONDITION_MODIFIER } else { POWER_CONDITION };
            return Err(Sense::invalid_field(field.bits));
        };
        return Ok(Control::Rest(*rule));
    }
    match (cdb.get(LOEJ), cdb.get(START)) {
        (true, _) if !unit.config.removable => Err(Sense::invalid_field(LOEJ.bits)),
        //= SBC-3 "PREVENT ALLOW MEDIUM REMOVAL command": neither loading nor unloading, whoever asks for it
        (true, _) if !unit.preventing.is_empty() => Err(code::MEDIUM_REMOVAL_PREVENTED.into()),
        (true, true) => Ok(Control::Load),
        (true, false) => Ok(Control::Eject),
        (false, true) if unit.power == Power::Ejected => Err(code::MEDIUM_NOT_PRESENT.into()),
        (false, true) => Ok(Control::Start),
        (false, false) if unit.power == Power::Ejected => Ok(Control::Nothing),
        (false, false) if cdb.get(NO_FLUSH) => Ok(Control::StopWithoutFlush),
        (false, false) => Ok(Control::Stop),
    }
}

/// POWER CONDITION and POWER CONDITION MODIFIER, and what they ask for.
//= SBC-3 "START STOP UNIT command": POWER CONDITION and POWER CONDITION MODIFIER
const CONDITIONS: [((u8, u8), Rule); 12] = [
    ((0x1, 0x0), Rule::Commanded(Condition::Active)),
    ((0x2, 0x0), Rule::Commanded(Condition::IdleA)),
    ((0x2, 0x1), Rule::Commanded(Condition::IdleB)),
    ((0x2, 0x2), Rule::Commanded(Condition::IdleC)),
    ((0x3, 0x0), Rule::Commanded(Condition::StandbyZ)),
    ((0x3, 0x1), Rule::Commanded(Condition::StandbyY)),
    ((0x7, 0x0), Rule::Timers),
    ((0xa, 0x0), Rule::Forced(Condition::IdleA)),
    ((0xa, 0x1), Rule::Forced(Condition::IdleB)),
    ((0xa, 0x2), Rule::Forced(Condition::IdleC)),
    ((0xb, 0x0), Rule::Forced(Condition::StandbyZ)),
    ((0xb, 0x1), Rule::Forced(Condition::StandbyY)),
];

//= SPC-4 "PREVENT ALLOW MEDIUM REMOVAL command"
/// PREVENT ALLOW MEDIUM REMOVAL. The values 10b and 11b are obsolete. A medium that cannot be removed stays anyway.
pub fn prevent_allow_medium_removal(unit: &Unit, cdb: &Cdb) -> Result<Control, Sense> {
    use prevent_allow_medium_removal::PREVENT;
    match cdb.get(PREVENT) {
        2.. => Err(Sense::invalid_field(PREVENT.bits)),
        _ if !unit.config.removable => Ok(Control::Nothing),
        0 => Ok(Control::Allow),
        1 => Ok(Control::Prevent),
    }
}

//= SCSI-2 "REZERO UNIT command"
/// REZERO UNIT: nothing moves here.
pub fn rezero_unit(_unit: &Unit, _cdb: &Cdb) -> Result<Control, Sense> {
    Ok(Control::Nothing)
}

//= SCSI-2 "SEEK (6) and SEEK (10) commands"
/// SEEK (6): nothing moves here.
pub fn seek6(unit: &Unit, cdb: &Cdb) -> Result<Control, Sense> {
    unit.geometry.extent(cdb.get(s6::LBA), 1).map(|_| Control::Nothing)
}

/// SEEK (10): nothing moves here.
pub fn seek10(unit: &Unit, cdb: &Cdb) -> Result<Control, Sense> {
    unit.geometry.extent(cdb.get(s10::LBA), 1).map(|_| Control::Nothing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::fixture;

    fn check(byte4: u8, want: Result<Control, Sense>) {
        let unit = Unit::new(fixture::unit(0));
        assert_eq!(start_stop_unit(&unit, &Cdb::new(&[0x1b, 0, 0, 0, byte4, 0])), want);
    }

    #[test]
    fn start_starts() {
        check(0x01, Ok(Control::Start));
    }

    #[test]
    fn stop_flushes_unless_told_otherwise() {
        check(0x00, Ok(Control::Stop));
        check(0x04, Ok(Control::StopWithoutFlush));
    }

    #[test]
    fn a_power_condition_overrides_start_and_loej() {
        check(0x32, Ok(Control::Rest(Rule::Commanded(Condition::StandbyZ))));
        check(0x70, Ok(Control::Rest(Rule::Timers)));
    }

    #[test]
    fn conditions_that_do_not_exist_are_refused() {
        let unit = Unit::new(fixture::unit(0));
        check(0x40, Err(Sense::invalid_field(start_stop_unit::POWER_CONDITION.bits)));
        let got = start_stop_unit(&unit, &Cdb::new(&[0x1b, 0, 0, 2, 0x30, 0]));
        assert_eq!(got, Err(Sense::invalid_field(start_stop_unit::POWER_CONDITION_MODIFIER.bits)));
    }

    #[test]
    fn what_cannot_be_ejected_is_not_ejected() {
        check(0x02, Err(Sense::invalid_field(start_stop_unit::LOEJ.bits)));
    }

    #[test]
    fn obsolete_preventions_are_refused() {
        let unit = Unit::new(fixture::unit(0));
        let got = prevent_allow_medium_removal(&unit, &Cdb::new(&[0x1e, 0, 0, 0, 2, 0]));
        assert_eq!(got, Err(Sense::invalid_field(prevent_allow_medium_removal::PREVENT.bits)));
    }
}
