//! PERSISTENT RESERVE IN: what is registered and reserved, and what we can do.

use super::persistent::Persistent;
use crate::commands::View;
use crate::writer::Writer;
use felio_spec::reservation::{
    ALLOW_READY_AND_SENSE, LU_SCOPE, capabilities, full_status_descriptor as status, keys,
    reservation_descriptor as descriptor,
};
use felio_spec::transport_id::{BYTES_MAX, TransportId};
use felio_spec::{Cdb, Sense};

//= SPC-4 "READ KEYS service action": one for each registration, also where some are the same
/// READ KEYS.
pub(crate) fn read_keys(view: &View<'_>, _cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    let state = view.unit.reservations.persistent();
    put_header(state, 8 * state.registrations.len(), data);
    for registration in &state.registrations {
        data.u64(registration.key.get());
    }
    Ok(())
}

//= SPC-4 "READ RESERVATION service action": where all registrants hold it, the key is zero
/// READ RESERVATION.
pub(crate) fn read_reservation(view: &View<'_>, _cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    let state = view.unit.reservations.persistent();
    let Some(held) = &state.held else {
        put_header(state, 0, data);
        return Ok(());
    };
    put_header(state, descriptor::BYTES, data);
    let base = data.len();
    data.zeros(descriptor::BYTES);
    data.set(base, descriptor::RESERVATION_KEY, state.holders_key());
    data.set(base, descriptor::SCOPE, LU_SCOPE);
    data.set(base, descriptor::TYPE, held.kind.code());
    Ok(())
}

//= SPC-4 "REPORT CAPABILITIES service action"
/// REPORT CAPABILITIES.
pub(crate) fn report_capabilities(view: &View<'_>, _cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    use capabilities as field;
    const LENGTH: u16 = 8;
    data.zeros(field::BYTES);
    data.set(0, field::LENGTH, LENGTH);
    data.set(0, field::ALLOW_COMMANDS, ALLOW_READY_AND_SENSE);
    data.set(0, field::PTPL_C, view.unit.config.limits.state);
    data.set(0, field::PTPL_A, view.unit.reservations.persistent().aptpl);
    let supported = [
        field::RLR_C,
        field::CRH,
        field::SIP_C,
        field::ATP_C,
        field::TMV,
        field::WR_EX_AR,
        field::EX_AC_RO,
        field::WR_EX_RO,
        field::EX_AC,
        field::WR_EX,
        field::EX_AC_AR,
    ];
    for bit in supported {
        data.set(0, bit, true);
    }
    Ok(())
}

//= SPC-4 "READ FULL STATUS service action": each registration by itself, so ALL_TG_PT is never set
/// READ FULL STATUS.
pub(crate) fn read_full_status(view: &View<'_>, _cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    let state = view.unit.reservations.persistent();
    put_header(state, 0, data);
    let mut total = 0;
    for registration in &state.registrations {
        let base = data.len();
        data.zeros(status::BYTES);
        data.set(base, status::RESERVATION_KEY, registration.key.get());
        data.set(base, status::RELATIVE_TARGET_PORT_IDENTIFIER, registration.path.port);
        if let Some(held) = state.held.as_ref().filter(|_| state.holds(&registration.path)) {
            data.set(base, status::R_HOLDER, true);
            data.set(base, status::SCOPE, LU_SCOPE);
            data.set(base, status::TYPE, held.kind.code());
        }
        let mut out = [0; BYTES_MAX];
        let id = TransportId::from_text(&registration.path.initiator);
        let id = id.map_or(&[][..], |id| id.encode(&mut out));
        data.set(base, status::ADDITIONAL_DESCRIPTOR_LENGTH, u32::try_from(id.len()).unwrap_or(0));
        data.bytes(id);
        total += status::BYTES + id.len();
    }
    data.set(0, keys::ADDITIONAL_LENGTH, u32::try_from(total).unwrap_or(u32::MAX));
    Ok(())
}

fn put_header(state: &Persistent, additional: usize, data: &mut Writer) {
    let base = data.len();
    data.zeros(keys::BYTES);
    data.set(base, keys::PRGENERATION, state.generation);
    data.set(base, keys::ADDITIONAL_LENGTH, u32::try_from(additional).unwrap_or(u32::MAX));
}
