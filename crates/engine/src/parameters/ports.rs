//! Vital product data that tell of ports: who the unit is at this one, which others there are, which blocks they reach.

use crate::commands::View;
use crate::parameters::vpd::fill;
use crate::writer::Writer;
use felio_spec::designator::{DESIGNATOR_BYTES_MAX, Designator, Protocol};
use felio_spec::vpd::{referrals, scsi_port};

//= SPC-4 "Device Identification VPD page"
/// The names of the unit, of the port through which it is asked, and of the device.
pub fn device_identification(view: &View<'_>, data: &mut Writer) {
    let identity = &view.unit.config.identity;
    let vendor = Designator::T10Vendor {
        vendor: &identity.vendor,
        identifier: [&identity.product, ":", &identity.serial],
    };
    put(Designator::Naa6(&identity.naa), data);
    put(vendor, data);
    if view.unit.config.access.lu_group != 0 {
        put(Designator::LogicalUnitGroup(view.unit.config.access.lu_group), data);
    }
    put(Designator::RelativeTargetPort(Protocol::ISCSI, view.port.relative_port), data);
    if let Some(group) = view.unit.groups.group_of(view.port.relative_port) {
        put(Designator::TargetPortGroup(Protocol::ISCSI, group.config.id), data);
    }
    put(Designator::PortName(Protocol::ISCSI, &view.port.name()), data);
    put(Designator::DeviceName(Protocol::ISCSI, &view.port.target), data);
}

//= SPC-4 "SCSI Ports VPD page"
/// Every port of the device, by number and name.
pub fn scsi_ports(view: &View<'_>, data: &mut Writer) {
    for port in &view.target.ports {
        let base = data.len();
        data.zeros(scsi_port::BYTES);
        data.set(base, scsi_port::RELATIVE_PORT_IDENTIFIER, port.relative_port);
        put(Designator::PortName(Protocol::ISCSI, &port.name()), data);
        let length = u16::try_from(data.len() - base - scsi_port::BYTES).unwrap_or(u16::MAX);
        data.set(base, scsi_port::TARGET_PORT_DESCRIPTORS_LENGTH, length);
    }
}

//= SBC-3 "Referrals VPD page"
/// How large the segments are that REPORT REFERRALS tells of.
pub fn referrals(view: &View<'_>, data: &mut Writer) {
    fill(data, referrals::BYTES);
    if let Some(map) = &view.unit.config.access.map {
        data.set(0, referrals::USER_DATA_SEGMENT_SIZE, map.segment_blocks);
        data.set(0, referrals::USER_DATA_SEGMENT_MULTIPLIER, map.segment_multiplier);
    }
}

fn put(designator: Designator<'_>, data: &mut Writer) {
    data.bytes(designator.encode(&mut [0; DESIGNATOR_BYTES_MAX]));
}

#[cfg(test)]
mod tests {
    use crate::config::{LbaMap, PortConfig, TargetConfig};
    use crate::parameters::fixture::{self, ask};
    use crate::parameters::inquiry::inquiry;
    use felio_spec::vpd::PageCode;

    fn check(target: &TargetConfig, code: PageCode, want: &[u8]) {
        assert_eq!(ask(target, inquiry, &[0x12, 1, code.0, 0xff, 0xff, 0]).as_deref(), Ok(want));
    }

    #[test]
    fn every_port_is_listed_with_its_name() {
        let mut target = fixture::target();
        target.ports.push(PortConfig { tag: 2, relative_port: 7, ..target.ports[0].clone() });
        let mut want = b"\x00\x88\x00\x60".to_vec();
        for (number, name) in [(1, b"0x0001"), (7, b"0x0002")] {
            want.extend([0, 0, 0, number, 0, 0, 0, 0, 0, 0, 0, 36]);
            want.extend(b"\x53\x98\x00\x20iqn.2026-01.net.x:t,t,");
            want.extend(name);
            want.extend([0; 4]);
        }
        check(&target, PageCode::SCSI_PORTS, &want);
    }

    #[test]
    fn a_unit_of_a_group_names_it() {
        let mut target = fixture::target();
        target.unit_mut(0).access.lu_group = 5;
        let page = ask(&target, inquiry, &[0x12, 1, 0x83, 0xff, 0xff, 0]).expect("the page exists");
        let designator = [0x01, 0x06, 0, 4, 0, 0, 0, 5];
        assert!(page.windows(8).any(|window| window == designator));
    }

    #[test]
    fn segments_are_told_where_there_are_some() {
        let mut target = fixture::target();
        assert!(ask(&target, inquiry, &[0x12, 1, 0xb3, 0xff, 0xff, 0]).is_err());
        target.unit_mut(0).access.map =
            Some(LbaMap { segment_blocks: 8, segment_multiplier: 2, ranges: Vec::new() });
        check(&target, PageCode::REFERRALS, &[0, 0xb3, 0, 12, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 2]);
        let extended = ask(&target, inquiry, &[0x12, 1, 0x86, 0xff, 0xff, 0]).expect("the page exists");
        assert_eq!(extended[8] & 0x10, 0x10);
    }
}
