//! REPORT TARGET PORT GROUPS and REPORT REFERRALS.

use super::{Group, PortGroups};
use crate::commands::View;
use crate::config::{LbaRange, PortConfig};
use crate::writer::Writer;
use felio_spec::alua::{
    AccessState, STATES, data_format, extended_header, group_descriptor, length_header, port_descriptor,
    referral_descriptor, referral_group, referrals, status_code,
};
use felio_spec::commands::report_referrals::{LOGICAL_BLOCK_ADDRESS, ONE_SEG};
use felio_spec::commands::report_target_port_groups::PARAMETER_DATA_FORMAT;
use felio_spec::sense::{Sense, code};
use felio_spec::{Cdb, Field};

//= SPC-4 "REPORT TARGET PORT GROUPS command"
/// REPORT TARGET PORT GROUPS. A group without a port is not told.
pub(crate) fn report_target_port_groups(view: &View<'_>, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    match cdb.get(PARAMETER_DATA_FORMAT) {
        data_format::LENGTH_ONLY => data.zeros(length_header::BYTES),
        data_format::EXTENDED => {
            let group = view.unit.groups.group_of(view.port.relative_port);
            let seconds = group.map_or(0, |group| group.config.implicit_transition_secs);
            data.zeros(extended_header::BYTES);
            data.set(0, extended_header::FORMAT_TYPE, data_format::EXTENDED);
            data.set(0, extended_header::IMPLICIT_TRANSITION_TIME, seconds);
        }
        _ => return Err(Sense::invalid_field(PARAMETER_DATA_FORMAT.bits)),
    }
    let groups = &view.unit.groups;
    for group in &groups.groups {
        let is_member = |port: &&PortConfig| group.config.ports.contains(port.relative_port);
        let ports: Vec<u16> =
            view.target.ports.iter().filter(is_member).map(|port| port.relative_port).collect();
        put_group(group, group.config.id, group.state(), group.status, &ports, data);
    }
    put_secondary_group(groups, data);
    let length = u32::try_from(data.len() - length_header::BYTES).unwrap_or(u32::MAX);
    data.set(0, length_header::RETURN_DATA_LENGTH, length);
    Ok(())
}

/// The ports that are out of service form a group of their own, beside the one that each of them is in.
fn put_secondary_group(groups: &PortGroups, data: &mut Writer) {
    let group = groups.offline.first().and_then(|port| groups.group_of(*port));
    let free = (0..=u16::MAX).rev().find(|id| groups.group(*id).is_none());
    if let (Some(group), Some(id)) = (group, free) {
        let status = status_code::BY_SET_TARGET_PORT_GROUPS;
        put_group(group, id, AccessState::Offline, status, &groups.offline, data);
    }
}

//= SPC-4 "Target port group descriptor format"
fn put_group(group: &Group, id: u16, state: AccessState, status: u8, ports: &[u16], data: &mut Writer) {
    use group_descriptor as field;
    // The count has one byte; whoever has more ports puts them in more groups.
    let count = u8::try_from(ports.len()).unwrap_or(u8::MAX);
    if count == 0 {
        return;
    }
    let base = data.len();
    data.zeros(field::BYTES);
    data.set(base, field::PREF, group.config.preferred);
    data.set(base, field::ASYMMETRIC_ACCESS_STATE, state.row().code);
    for row in STATES.iter().filter(|row| group.supports(row.state)) {
        data.set(base, row.supported, true);
    }
    data.set(base, field::TARGET_PORT_GROUP, id);
    data.set(base, field::STATUS_CODE, status);
    data.set(base, field::TARGET_PORT_COUNT, count);
    for port in ports.iter().take(usize::from(count)) {
        put(port_descriptor::BYTES, port_descriptor::RELATIVE_TARGET_PORT_IDENTIFIER, *port, data);
    }
}

//= SBC-3 "REPORT REFERRALS command"
/// REPORT REFERRALS: the segments from a block on, or the one that it is in.
pub(crate) fn report_referrals(view: &View<'_>, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    let lba = cdb.get(LOGICAL_BLOCK_ADDRESS);
    if lba >= view.unit.geometry.blocks {
        return Err(code::LBA_OUT_OF_RANGE.into());
    }
    data.zeros(referrals::BYTES);
    if let Some(map) = &view.unit.config.access.map {
        let found = map.range_of(lba);
        let follow = |range: &&LbaRange| {
            let is_found = found.is_some_and(|found| core::ptr::eq(found, *range));
            is_found || (!cdb.get(ONE_SEG) && range.last >= lba)
        };
        for range in map.ranges.iter().filter(follow) {
            put_range(&view.unit.groups, range, data);
        }
    }
    let length = u16::try_from(data.len() - referrals::BYTES).unwrap_or(u16::MAX);
    data.set(0, referrals::USER_DATA_SEGMENT_REFERRAL_DESCRIPTOR_LENGTH, length);
    Ok(())
}

//= SBC-3 "User data segment referral descriptor"
fn put_range(groups: &PortGroups, range: &LbaRange, data: &mut Writer) {
    use referral_descriptor as field;
    let base = data.len();
    data.zeros(field::BYTES);
    let count = u8::try_from(range.groups.len()).unwrap_or(u8::MAX);
    data.set(base, field::NUMBER_OF_TARGET_PORT_GROUP_DESCRIPTORS, count);
    data.set(base, field::FIRST_USER_DATA_SEGMENT_LBA, range.first);
    data.set(base, field::LAST_USER_DATA_SEGMENT_LBA, range.last);
    for (id, state) in range.groups.iter().take(usize::from(count)) {
        // The map counts while the group is in the state that asks for it.
        let now = groups.group(*id).map_or(AccessState::Unavailable, Group::state);
        let state = if now == AccessState::LbaDependent { *state } else { now };
        let base = data.len();
        put(referral_group::BYTES, referral_group::TARGET_PORT_GROUP, *id, data);
        data.set(base, referral_group::ASYMMETRIC_ACCESS_STATE, state.row().code);
    }
}

fn put(bytes: usize, field: Field<u16>, value: u16, data: &mut Writer) {
    let base = data.len();
    data.zeros(bytes);
    data.set(base, field, value);
}
