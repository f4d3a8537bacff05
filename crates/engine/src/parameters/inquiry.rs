//! INQUIRY: the standard data, and the way to the vital product data.

use crate::commands::View;
use crate::config::LunMap;
use crate::parameters::vpd;
use crate::writer::Writer;
use felio_spec::commands::inquiry::{EVPD, PAGE_CODE};
use felio_spec::inquiry::{self, DeviceType, Qualifier, standard, version};
use felio_spec::vpd::PageCode;
use felio_spec::{Cdb, Sense};

/// What we are, by SPC-4 "Version descriptor values".
const VERSION_DESCRIPTORS: [u16; 4] = [version::SAM_5, version::ISCSI, version::SPC_4, version::SBC_3];

//= SPC-4 "INQUIRY command"
/// INQUIRY to a unit.
pub fn inquiry(view: &View<'_>, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    if cdb.get(EVPD) {
        return vpd::page(view, PageCode(cdb.get(PAGE_CODE)), data);
    }
    check_page_code_is_zero(cdb)?;
    standard(qualifier(view), DeviceType::DIRECT_ACCESS, data);
    data.set(0, standard::RMB, view.unit.config.removable);
    data.set(0, standard::TPGS, view.unit.groups.tpgs().bits());
    data.set(0, standard::PROTECT, vpd::protection_is_possible(view));
    data.set(0, standard::MULTIP, view.target.ports.len() > 1);
    data.set(0, standard::NORMACA, true);
    data.set(0, standard::THIRD_PARTY_COPY, true);
    let identity = &view.unit.config.identity;
    let bytes = data.as_mut_slice();
    inquiry::VENDOR.set(bytes, &identity.vendor);
    inquiry::PRODUCT.set(bytes, &identity.product);
    inquiry::REVISION.set(bytes, &identity.revision);
    Ok(())
}

/// Whether there is a unit for this port.
//= SPC-4 "Target port asymmetric access state: Unavailable"
pub(crate) fn qualifier(view: &View<'_>) -> Qualifier {
    let state = view.unit.groups.state(view.port.relative_port);
    if state.disconnects() { Qualifier::NOT_CONNECTED } else { Qualifier::CONNECTED }
}

/// INQUIRY where there is no unit: there can be none.
//= SPC-4 "INQUIRY command": answered with GOOD, whatever the LUN.
pub fn inquiry_absent(_luns: &LunMap, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    let (qualifier, kind) = (Qualifier::NOT_SUPPORTED, DeviceType::UNKNOWN);
    if cdb.get(EVPD) {
        return vpd::absent_page(qualifier, kind, PageCode(cdb.get(PAGE_CODE)), data);
    }
    check_page_code_is_zero(cdb)?;
    standard(qualifier, kind, data);
    let bytes = data.as_mut_slice();
    for text in [inquiry::VENDOR, inquiry::PRODUCT, inquiry::REVISION] {
        text.set(bytes, "");
    }
    Ok(())
}

fn check_page_code_is_zero(cdb: &Cdb) -> Result<(), Sense> {
    if cdb.get(PAGE_CODE) == 0 { Ok(()) } else { Err(Sense::invalid_field(PAGE_CODE.bits)) }
}

//= SPC-4 "Standard INQUIRY data"
fn standard(qualifier: Qualifier, kind: DeviceType, data: &mut Writer) {
    const ADDITIONAL_LENGTH: u8 = 91; // of the bytes behind the field: 96 - 5
    data.zeros(standard::BYTES);
    data.set(0, standard::PERIPHERAL_QUALIFIER, qualifier.0);
    data.set(0, standard::PERIPHERAL_DEVICE_TYPE, kind.0);
    data.set(0, standard::VERSION, inquiry::VERSION_SPC4);
    data.set(0, standard::HISUP, true);
    data.set(0, standard::RESPONSE_DATA_FORMAT, inquiry::RESPONSE_DATA_FORMAT);
    data.set(0, standard::ADDITIONAL_LENGTH, ADDITIONAL_LENGTH);
    data.set(0, standard::CMDQUE, true);
    for (index, value) in (0..inquiry::VERSION_DESCRIPTORS).zip(VERSION_DESCRIPTORS) {
        data.set(0, inquiry::version_descriptor(index), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::fixture::{self, ask};
    use felio_spec::sense::code;

    fn check(cdb: &[u8], want: &[u8]) {
        assert_eq!(ask(&fixture::target(), inquiry, cdb).as_deref(), Ok(want));
    }

    #[test]
    fn standard_data_say_who_and_what_we_are() {
        let mut want = vec![0x00, 0x00, 0x06, 0x32, 91, 0x38, 0, 2];
        want.extend(b"FELIO   disk            0.1 ");
        want.resize(58, 0);
        want.extend([0x00, 0xa0, 0x09, 0x60, 0x04, 0x60, 0x04, 0xc0]);
        want.resize(96, 0);
        check(&[0x12, 0, 0, 0, 255, 0], &want);
    }

    #[test]
    fn a_page_code_without_evpd_is_refused() {
        let got = ask(&fixture::target(), inquiry, &[0x12, 0, 0x80, 0, 255, 0]);
        assert_eq!(got, Err(Sense::invalid_field(PAGE_CODE.bits)));
    }

    #[test]
    fn a_page_that_we_do_not_have_is_refused() {
        let got = ask(&fixture::target(), inquiry, &[0x12, 1, 0xc0, 0, 255, 0]);
        assert_eq!(got.map_err(|sense| sense.code), Err(code::INVALID_FIELD_IN_CDB));
    }

    #[test]
    fn where_there_is_no_unit_the_qualifier_says_so() {
        let mut data = Writer::new();
        assert_eq!(inquiry_absent(&LunMap::default(), &Cdb::new(&[0x12, 0, 0, 0, 36, 0]), &mut data), Ok(()));
        assert_eq!(data.as_slice()[..3], [0x7f, 0, 6]);
    }
}
