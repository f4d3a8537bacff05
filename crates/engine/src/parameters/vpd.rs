//! Vital product data: a row for each page, from which page 00h is derived.
//!
//! Invariant: what Block Limits and Logical Block Provisioning advertise is what [`Geometry`] enforces.

use crate::commands::View;
use crate::geometry::Geometry;
use crate::parameters::inquiry::qualifier;
use crate::parameters::ports;
use crate::parameters::third_party::third_party_copy;
use crate::thin::threshold_exponent;
use crate::writer::Writer;
use felio_hal::store::{Protection, WriteCache};
use felio_spec::commands::inquiry::PAGE_CODE;
use felio_spec::inquiry::{DeviceType, Qualifier};
use felio_spec::mode::{ALL_PAGES, ALL_SUBPAGES, EXTENDED_SELF_TEST_MINUTES};
use felio_spec::sense::{SENSE_BYTES_MAX, Sense};
use felio_spec::vpd::{
    self, PageCode, block_device_characteristics, block_length_descriptor, block_limits, extended_inquiry,
    header, logical_block_provisioning, mode_page_policy_descriptor, power_condition,
};

/// A page and the function that writes what follows its header.
struct Page {
    code: PageCode,
    body: fn(&View<'_>, &mut Writer),
}

/// The pages, in ascending order.
static PAGES: [Page; 13] = [
    Page { code: PageCode::SUPPORTED_PAGES, body: supported_pages },
    Page { code: PageCode::UNIT_SERIAL_NUMBER, body: unit_serial_number },
    Page { code: PageCode::DEVICE_IDENTIFICATION, body: ports::device_identification },
    Page { code: PageCode::EXTENDED_INQUIRY, body: extended_inquiry },
    Page { code: PageCode::MODE_PAGE_POLICY, body: mode_page_policy },
    Page { code: PageCode::SCSI_PORTS, body: ports::scsi_ports },
    Page { code: PageCode::POWER_CONDITION, body: power_condition },
    Page { code: PageCode::THIRD_PARTY_COPY, body: third_party_copy },
    Page { code: PageCode::BLOCK_LIMITS, body: block_limits },
    Page { code: PageCode::BLOCK_DEVICE_CHARACTERISTICS, body: block_device_characteristics },
    Page { code: PageCode::LOGICAL_BLOCK_PROVISIONING, body: logical_block_provisioning },
    Page { code: PageCode::REFERRALS, body: ports::referrals },
    Page { code: PageCode::BLOCK_LENGTHS_AND_PROTECTION_TYPES, body: block_lengths },
];

/// The page of that code.
pub fn page(view: &View<'_>, code: PageCode, data: &mut Writer) -> Result<(), Sense> {
    let page = pages(view).find(|page| page.code == code).ok_or(Sense::invalid_field(PAGE_CODE.bits))?;
    begin(qualifier(view), DeviceType::DIRECT_ACCESS, code, data);
    (page.body)(view, data);
    end(data);
    Ok(())
}

/// The pages that a unit has.
fn pages(view: &View<'_>) -> impl Iterator<Item = &'static Page> {
    let has_referrals = view.unit.config.access.map.is_some();
    PAGES.iter().filter(move |page| has_referrals || page.code != PageCode::REFERRALS)
}

/// The page of that code where there is no unit: the list of pages alone, with nothing else on it.
pub fn absent_page(
    qualifier: Qualifier,
    kind: DeviceType,
    code: PageCode,
    data: &mut Writer,
) -> Result<(), Sense> {
    if code != PageCode::SUPPORTED_PAGES {
        return Err(Sense::invalid_field(PAGE_CODE.bits));
    }
    begin(qualifier, kind, code, data);
    data.u8(code.0);
    end(data);
    Ok(())
}

fn begin(qualifier: Qualifier, kind: DeviceType, code: PageCode, data: &mut Writer) {
    data.zeros(header::BYTES);
    data.set(0, header::PERIPHERAL_QUALIFIER, qualifier.0);
    data.set(0, header::PERIPHERAL_DEVICE_TYPE, kind.0);
    data.set(0, header::PAGE_CODE, code.0);
}

fn end(data: &mut Writer) {
    let length = data.len() - header::BYTES;
    data.set(0, header::PAGE_LENGTH, u16::try_from(length).unwrap_or(u16::MAX));
}

/// Room for a page of fixed length behind the header that stands there.
pub(super) fn fill(data: &mut Writer, page_bytes: usize) {
    data.zeros(page_bytes - header::BYTES);
}

//= SPC-4 "Supported VPD Pages VPD page"
fn supported_pages(view: &View<'_>, data: &mut Writer) {
    for page in pages(view) {
        data.u8(page.code.0);
    }
}

//= SPC-4 "Unit Serial Number VPD page"
fn unit_serial_number(view: &View<'_>, data: &mut Writer) {
    let serial = &view.unit.config.identity.serial;
    data.text(serial, serial.len());
}

//= SPC-4 "Extended INQUIRY Data VPD page"
fn extended_inquiry(view: &View<'_>, data: &mut Writer) {
    use extended_inquiry as field;
    fill(data, field::BYTES);
    if protection_is_possible(view) {
        data.set(0, field::SPT, vpd::PROTECTION_TYPES_ALL);
        data.set(0, field::NO_PI_CHK, true);
        for checked in [field::GRD_CHK, field::APP_CHK, field::REF_CHK] {
            data.set(0, checked, true);
        }
    }
    data.set(0, field::GROUP_SUP, true);
    data.set(0, field::HEADSUP, true);
    data.set(0, field::ORDSUP, true);
    data.set(0, field::SIMPSUP, true);
    data.set(0, field::V_SUP, view.unit.geometry.write_cache == WriteCache::On);
    data.set(0, field::R_SUP, view.unit.config.access.map.is_some());
    let sense_bytes = u8::try_from(SENSE_BYTES_MAX).unwrap_or(u8::MAX);
    let minutes = u16::try_from(EXTENDED_SELF_TEST_MINUTES).unwrap_or(u16::MAX);
    data.set(0, field::EXTENDED_SELF_TEST_COMPLETION_MINUTES, minutes);
    data.set(0, field::MAXIMUM_SUPPORTED_SENSE_DATA_LENGTH, sense_bytes);
}

//= SPC-4 "Mode Page Policy VPD page": every page is shared by all nexuses.
fn mode_page_policy(_view: &View<'_>, data: &mut Writer) {
    use mode_page_policy_descriptor as field;
    let base = data.len();
    data.zeros(field::BYTES);
    data.set(base, field::POLICY_PAGE_CODE, ALL_PAGES);
    data.set(base, field::POLICY_SUBPAGE_CODE, ALL_SUBPAGES);
}

//= SPC-4 "Power Condition VPD page": nothing takes time
fn power_condition(_view: &View<'_>, data: &mut Writer) {
    use power_condition as field;
    fill(data, field::BYTES);
    for condition in [field::STANDBY_Y, field::STANDBY_Z, field::IDLE_C, field::IDLE_B, field::IDLE_A] {
        data.set(0, condition, true);
    }
}

//= SBC-3 "Block Limits VPD page"
fn block_limits(view: &View<'_>, data: &mut Writer) {
    use block_limits as field;
    let geometry = &view.unit.geometry;
    let compare_and_write = u8::try_from(geometry.compare_and_write_blocks_max()).unwrap_or(u8::MAX);
    fill(data, field::BYTES);
    data.set(0, field::WSNZ, geometry.write_same_non_zero());
    data.set(0, field::MAXIMUM_COMPARE_AND_WRITE_LENGTH, compare_and_write);
    data.set(0, field::OPTIMAL_TRANSFER_LENGTH_GRANULARITY, 1 << physical_exponent(geometry));
    data.set(0, field::MAXIMUM_TRANSFER_LENGTH, geometry.transfer_blocks_max);
    data.set(0, field::OPTIMAL_TRANSFER_LENGTH, optimal_transfer_blocks(view));
    data.set(0, field::MAXIMUM_WRITE_SAME_LENGTH, geometry.write_same_blocks_max());
    if let Some(atomic) = geometry.atomic_blocks() {
        data.set(0, field::MAXIMUM_ATOMIC_TRANSFER_LENGTH, atomic.max);
        data.set(0, field::ATOMIC_ALIGNMENT, atomic.alignment);
        data.set(0, field::ATOMIC_TRANSFER_LENGTH_GRANULARITY, atomic.granularity);
        data.set(0, field::MAXIMUM_ATOMIC_TRANSFER_LENGTH_WITH_ATOMIC_BOUNDARY, atomic.max);
        data.set(0, field::MAXIMUM_ATOMIC_BOUNDARY_SIZE, atomic.max);
    }
    let Some(unmap) = geometry.unmap else { return };
    let granularity = (unmap.granularity_bytes / geometry.block_bytes).max(1);
    data.set(0, field::MAXIMUM_UNMAP_LBA_COUNT, geometry.unmap_blocks_max());
    data.set(0, field::MAXIMUM_UNMAP_BLOCK_DESCRIPTOR_COUNT, crate::geometry::UNMAP_DESCRIPTORS_MAX);
    data.set(0, field::OPTIMAL_UNMAP_GRANULARITY, granularity);
    data.set(0, field::UGAVALID, true);
    let alignment = unmap.alignment_bytes / geometry.block_bytes % granularity;
    data.set(0, field::UNMAP_GRANULARITY_ALIGNMENT, alignment);
}

/// What the store likes best, in whole physical blocks; zero where it does not say, or likes more than we take.
fn optimal_transfer_blocks(view: &View<'_>) -> u32 {
    let geometry = &view.unit.geometry;
    let blocks = view.unit.config.limits.optimal_io_bytes.unwrap_or(0) / geometry.block_bytes;
    let granularity = 1u32 << physical_exponent(geometry);
    if blocks <= geometry.transfer_blocks_max { blocks / granularity * granularity } else { 0 }
}

/// LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT, also of READ CAPACITY (16).
pub(crate) fn physical_exponent(geometry: &Geometry) -> u8 {
    const EXPONENT_MAX: u32 = 15; // the field has four bits
    let blocks = (geometry.physical_block_bytes / geometry.block_bytes).max(1);
    u8::try_from(blocks.ilog2().min(EXPONENT_MAX)).unwrap_or(0)
}

//= SBC-3 "Block Device Characteristics VPD page"
fn block_device_characteristics(view: &View<'_>, data: &mut Writer) {
    use block_device_characteristics as field;
    let rate = if view.unit.config.limits.rotational == Some(false) { vpd::NON_ROTATING } else { 0 };
    fill(data, field::BYTES);
    data.set(0, field::MEDIUM_ROTATION_RATE, rate);
    if view.unit.geometry.unmap.is_some() {
        data.set(0, field::WABEREQ, vpd::READABLE_AFTER_ERASE);
    }
    data.set(0, field::VBULS, view.unit.geometry.unmap.is_some_and(|unmap| unmap.zeroes));
}

//= SBC-3 "Logical Block Provisioning VPD page"
fn logical_block_provisioning(view: &View<'_>, data: &mut Writer) {
    use logical_block_provisioning as field;
    fill(data, field::BYTES);
    let Some(unmap) = view.unit.geometry.unmap else { return };
    data.set(0, field::LBPU, true);
    data.set(0, field::LBPWS, true);
    data.set(0, field::LBPWS10, true);
    data.set(0, field::LBPRZ, unmap.zeroes);
    data.set(0, field::ANC_SUP, unmap.anchor);
    if view.unit.has_thresholds() {
        data.set(0, field::THRESHOLD_EXPONENT, threshold_exponent(&view.unit.geometry));
    }
    data.set(0, field::PROVISIONING_TYPE, vpd::PROVISIONING_THIN);
}

//= SBC-4 "Supported Block Lengths And Protection Types VPD page"
fn block_lengths(view: &View<'_>, data: &mut Writer) {
    use block_length_descriptor as field;
    let base = data.len();
    data.zeros(field::BYTES);
    data.set(base, field::LOGICAL_BLOCK_LENGTH, view.unit.geometry.block_bytes);
    data.set(base, field::T0PS, true);
    if protection_is_possible(view) {
        let told = [field::T1PS, field::T2PS, field::T3PS];
        let checked = [field::NO_PI_CHK, field::GRD_CHK, field::APP_CHK, field::REF_CHK];
        for bit in told.into_iter().chain(checked) {
            data.set(base, bit, true);
        }
    }
}

/// Whether the unit has protection information, or can be formatted to have some.
pub(crate) fn protection_is_possible(view: &View<'_>) -> bool {
    view.unit.config.limits.protection != Protection::Impossible
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TargetConfig;
    use crate::parameters::fixture::{self, ask};
    use crate::parameters::inquiry::inquiry;
    use felio_hal::store::UnmapLimits;

    fn get(target: &TargetConfig, code: PageCode) -> Vec<u8> {
        ask(target, inquiry, &[0x12, 1, code.0, 0xff, 0xff, 0]).expect("the page exists")
    }

    fn check(code: PageCode, want: &[u8]) {
        assert_eq!(get(&fixture::target(), code), want);
    }

    #[test]
    fn block_lengths_come_with_their_protection_types() {
        let page = |flags, types| [0, 0xb4, 0, 8, 0, 0, 2, 0, flags, types, 0, 0];
        let mut target = fixture::target();
        assert_eq!(get(&target, PageCode::BLOCK_LENGTHS_AND_PROTECTION_TYPES), page(0, 0x01));
        target.unit_mut(0).limits.protection = Protection::Off;
        assert_eq!(get(&target, PageCode::BLOCK_LENGTHS_AND_PROTECTION_TYPES), page(0x0f, 0x0f));
        assert_eq!(get(&target, PageCode::EXTENDED_INQUIRY)[4..8], [0x3f, 0x17, 0x01, 0x20]);
    }

    #[test]
    fn the_list_of_pages_is_sorted_and_every_page_can_be_had() {
        let list = get(&fixture::target(), PageCode::SUPPORTED_PAGES);
        assert!(list[4..].is_sorted());
        for code in &list[4..] {
            let page = get(&fixture::target(), PageCode(*code));
            let length = usize::from(u16::from_be_bytes([page[2], page[3]]));
            assert_eq!((page[1], length), (*code, page.len() - 4));
        }
    }

    #[test]
    fn the_serial_number_stands_alone() {
        check(PageCode::UNIT_SERIAL_NUMBER, b"\x00\x80\x00\x05abc12");
    }

    #[test]
    fn the_unit_the_port_and_the_device_are_identified() {
        let mut want = b"\x00\x83\x00\x80".to_vec();
        want.extend(b"\x01\x03\x00\x10\x60\x01\x40\x50\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01");
        want.extend(b"\x02\x01\x00\x12FELIO   disk:abc12");
        want.extend(b"\x51\x94\x00\x04\x00\x00\x00\x01");
        want.extend(b"\x51\x95\x00\x04\x00\x00\x00\x00");
        want.extend(b"\x53\x98\x00\x20iqn.2026-01.net.x:t,t,0x0001\0\0\0\0");
        want.extend(b"\x53\xa8\x00\x14iqn.2026-01.net.x:t\0");
        want[3] = u8::try_from(want.len() - 4).expect("short");
        check(PageCode::DEVICE_IDENTIFICATION, &want);
    }

    #[test]
    fn every_power_condition_can_be_had() {
        let mut want = vec![0, 0x8a, 0, 14, 3, 7];
        want.resize(18, 0);
        check(PageCode::POWER_CONDITION, &want);
    }

    #[test]
    fn all_mode_pages_are_shared() {
        check(PageCode::MODE_PAGE_POLICY, &[0, 0x87, 0, 4, 0x3f, 0xff, 0, 0]);
    }

    #[test]
    fn extended_data_tell_of_task_attributes_and_of_the_volatile_cache() {
        let page = get(&fixture::target(), PageCode::EXTENDED_INQUIRY);
        assert_eq!((page.len(), page[5], page[6]), (64, 0x17, 0x01));
    }

    #[test]
    fn limits_are_told_in_blocks() {
        let page = get(&fixture::target(), PageCode::BLOCK_LIMITS);
        assert_eq!(page.len(), 64);
        assert_eq!(page[4..6], [1, 128]); // WSNZ, COMPARE AND WRITE
        assert_eq!(page[6..8], [0, 8]); // granularity: the physical block
        assert_eq!(page[8..12], 2048u32.to_be_bytes()); // 1 MiB
        assert_eq!(page[12..16], 128u32.to_be_bytes()); // 64 KiB
        assert_eq!(page[28..36], [0, 0, 0, 8, 0x80, 0, 0, 1]);
    }

    #[test]
    fn a_unit_that_cannot_unmap_says_nothing_of_it() {
        let mut target = fixture::target();
        target.unit_mut(0).limits.unmap = None;
        assert_eq!(get(&target, PageCode::BLOCK_LIMITS)[20..36], [0; 16]);
        assert_eq!(get(&target, PageCode::LOGICAL_BLOCK_PROVISIONING), [0, 0xb2, 0, 4, 0, 0, 0, 0]);
    }

    #[test]
    fn a_unit_that_can_unmap_is_thin() {
        check(PageCode::LOGICAL_BLOCK_PROVISIONING, &[0, 0xb2, 0, 4, 0, 0xe4, 2, 0]);
    }

    #[test]
    fn space_that_can_be_kept_and_space_that_runs_out_are_told() {
        let mut target = fixture::target();
        target.unit_mut(0).limits.space = true;
        target.unit_mut(0).limits.unmap =
            target.unit_mut(0).limits.unmap.map(|unmap| UnmapLimits { anchor: true, ..unmap });
        assert_eq!(get(&target, PageCode::LOGICAL_BLOCK_PROVISIONING), [0, 0xb2, 0, 4, 11, 0xe6, 2, 0]);
    }

    #[test]
    fn what_does_not_rotate_says_so() {
        let page = get(&fixture::target(), PageCode::BLOCK_DEVICE_CHARACTERISTICS);
        assert_eq!((page.len(), &page[4..6], page[8]), (64, &[0, 1][..], 1));
    }
}
