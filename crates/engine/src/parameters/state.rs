//! START STOP UNIT and PREVENT ALLOW MEDIUM REMOVAL: what their CDBs ask for.
//!
//! Our media cannot be removed: there is nothing to load, to eject or to prevent.

use crate::unit::Control;
use felio_spec::commands::{prevent_allow_medium_removal, start_stop_unit};
use felio_spec::{Cdb, Sense};

//= SBC-3 "START STOP UNIT command"
/// START STOP UNIT. IMMED makes no difference: nothing takes long but a flush, and that is waited for.
pub fn start_stop_unit(cdb: &Cdb) -> Result<Control, Sense> {
    use start_stop_unit::{LOEJ, NO_FLUSH, POWER_CONDITION, START};
    // With a power condition, START and LOEJ mean nothing. We draw no power that could be saved: in every condition
    // the unit is as ready as in the active one.
    if cdb.get(POWER_CONDITION) != 0 {
        return Ok(Control::Nothing);
    }
    if cdb.get(LOEJ) {
        return Err(Sense::invalid_field(LOEJ.bits));
    }
    Ok(match (cdb.get(START), cdb.get(NO_FLUSH)) {
        (true, _) => Control::Start,
        (false, false) => Control::Stop,
        (false, true) => Control::StopWithoutFlush,
    })
}

//= SBC-3 "PREVENT ALLOW MEDIUM REMOVAL command"
/// PREVENT ALLOW MEDIUM REMOVAL. The values 10b and 11b are obsolete.
pub fn prevent_allow_medium_removal(cdb: &Cdb) -> Result<Control, Sense> {
    use prevent_allow_medium_removal::PREVENT;
    if cdb.get(PREVENT) <= 1 { Ok(Control::Nothing) } else { Err(Sense::invalid_field(PREVENT.bits)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(byte4: u8, want: Result<Control, Sense>) {
        assert_eq!(start_stop_unit(&Cdb::new(&[0x1b, 0, 0, 0, byte4, 0])), want);
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
        check(0x32, Ok(Control::Nothing));
    }

    #[test]
    fn what_cannot_be_ejected_is_not_ejected() {
        check(0x02, Err(Sense::invalid_field(start_stop_unit::LOEJ.bits)));
    }

    #[test]
    fn obsolete_preventions_are_refused() {
        let got = prevent_allow_medium_removal(&Cdb::new(&[0x1e, 0, 0, 0, 2, 0]));
        assert_eq!(got, Err(Sense::invalid_field(prevent_allow_medium_removal::PREVENT.bits)));
    }
}
