//! REPORT LUNS: which units there are.

use crate::commands::View;
use crate::config::LunMap;
use crate::writer::Writer;
use felio_spec::commands::report_luns::SELECT_REPORT;
use felio_spec::report::{luns as header, select_report};
use felio_spec::{Cdb, Lun, Sense};

/// REPORT LUNS to a unit.
pub fn report_luns(view: &View<'_>, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    report_luns_absent(view.luns, cdb, data)
}

//= SPC-4 "REPORT LUNS command"
/// REPORT LUNS where there is no unit: every LUN of the nexus is reported anywhere.
pub fn report_luns_absent(luns: &LunMap, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    let found: Vec<Lun> = match cdb.get(SELECT_REPORT) {
        select_report::UNITS | select_report::ALL | select_report::ADMINISTRATIVE_AND_SIMPLE => {
            luns.iter().filter_map(|mapping| Lun::from_number(mapping.lun)).collect()
        }
        // We have none of these: no unit belongs to another (LU_CONG=0).
        select_report::WELL_KNOWN | select_report::ADMINISTRATIVE | select_report::SUBSIDIARY => Vec::new(),
        _ => return Err(Sense::invalid_field(SELECT_REPORT.bits)),
    };
    data.zeros(header::BYTES);
    for Lun(address) in found {
        data.bytes(&address);
    }
    let length = data.len() - header::BYTES;
    data.set(0, header::LUN_LIST_LENGTH, u32::try_from(length).unwrap_or(u32::MAX));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Mapping;
    use crate::parameters::fixture::{self, ask};
    use std::sync::Arc;

    fn check(select: u8, want: Result<Vec<u8>, Sense>) {
        let mut target = fixture::target();
        let mapping = |lun, unit| Mapping { lun, unit, read_only: false };
        target.units.extend([fixture::unit(1), fixture::unit(2)].map(Arc::new));
        target.ports[0].luns = Arc::new(LunMap::new(vec![mapping(300, 1), mapping(0, 0), mapping(2, 2)]));
        assert_eq!(ask(&target, report_luns, &[0xa0, 0, select, 0, 0, 0, 0, 0, 1, 0, 0, 0]), want);
    }

    fn all() -> Result<Vec<u8>, Sense> {
        let mut want = vec![0; 32];
        want[3] = 24;
        want[17] = 2;
        want[24..26].copy_from_slice(&[0x41, 0x2c]);
        Ok(want)
    }

    #[test]
    fn units_are_reported_in_the_order_of_their_addresses() {
        check(0, all());
    }

    #[test]
    fn everything_is_the_units() {
        check(2, all());
    }

    #[test]
    fn there_are_no_well_known_units() {
        check(1, Ok(vec![0; 8]));
    }

    #[test]
    fn no_unit_belongs_to_another() {
        check(0x11, all());
        check(0x10, Ok(vec![0; 8]));
        check(0x12, Ok(vec![0; 8]));
    }

    #[test]
    fn other_reports_are_refused() {
        check(3, Err(Sense::invalid_field(SELECT_REPORT.bits)));
    }
}
