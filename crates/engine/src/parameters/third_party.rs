//! The Third-party Copy page: what the copy manager can do, told in descriptors.
//!
//! Invariant: every number is the one that the copy manager enforces, and every command is one of [`TABLE`].

use crate::commands::{Run, TABLE, View};
use crate::copy::list::{CSCDS_MAX, DESCRIPTOR_BYTES_MAX, INLINE_BYTES_MAX, SEGMENTS_MAX};
use crate::copy::results::{DESCRIPTORS, granularity, segment_bytes_max};
use crate::copy::tokens::{
    INACTIVITY_DEFAULT, INACTIVITY_MAX, LIFETIME_MAX, MADE, RANGES_MAX, ROD_BYTES_MAX,
};
use crate::copy::{JOBS_MAX, PIECE_BYTES_MAX};
use crate::writer::Writer;
use felio_spec::Row;
use felio_spec::copy::cscd_id;
use felio_spec::inquiry::DeviceType;
use felio_spec::token::RodType;
use felio_spec::vpd::{
    block_device_rod_token_limits, block_rod_features, copy_commands, copy_cscd_ids, copy_descriptors,
    copy_parameter_data, general_copy_operations, held_data, rod_token_features, rod_type, rod_types,
    third_party, third_party_descriptor,
};

/// A descriptor: its type and the function that writes it, its first four bytes being there already.
type Descriptor = (u16, fn(&View<'_>, usize, &mut Writer));

/// The descriptors, in ascending order.
const DESCRIPTORS_OF_PAGE: [Descriptor; 9] = [
    (third_party::BLOCK_DEVICE_ROD_TOKEN_LIMITS, token_limits),
    (third_party::SUPPORTED_COMMANDS, commands),
    (third_party::PARAMETER_DATA, parameter_data),
    (third_party::SUPPORTED_DESCRIPTORS, descriptors),
    (third_party::SUPPORTED_CSCD_IDS, cscd_ids),
    (third_party::ROD_TOKEN_FEATURES, token_features),
    (third_party::SUPPORTED_ROD_TYPES, types),
    (third_party::GENERAL_COPY_OPERATIONS, operations),
    (third_party::HELD_DATA, held),
];

//= SPC-4 "Third-party Copy VPD page"
pub(crate) fn third_party_copy(view: &View<'_>, data: &mut Writer) {
    for (kind, write) in DESCRIPTORS_OF_PAGE {
        let base = data.len();
        data.zeros(third_party_descriptor::BYTES);
        write(view, base, data);
        // Each ends at a multiple of four.
        let bytes = data.len() - base;
        data.zeros(bytes.next_multiple_of(4) - bytes);
        let length = data.len() - base - third_party_descriptor::BYTES;
        data.set(base, third_party_descriptor::TYPE, kind);
        data.set(base, third_party_descriptor::LENGTH, u16::try_from(length).unwrap_or(u16::MAX));
    }
}

/// Room for the rest of a descriptor whose fixed part has so many bytes.
fn fill(data: &mut Writer, bytes: usize) {
    data.zeros(bytes - third_party_descriptor::BYTES);
}

fn token_limits(view: &View<'_>, base: usize, data: &mut Writer) {
    use block_device_rod_token_limits as field;
    let block = u64::from(view.unit.geometry.block_bytes.max(1));
    fill(data, field::BYTES);
    data.set(base, field::MAXIMUM_RANGE_DESCRIPTORS, RANGES_MAX);
    data.set(base, field::MAXIMUM_INACTIVITY_TIMEOUT, INACTIVITY_MAX);
    data.set(base, field::DEFAULT_INACTIVITY_TIMEOUT, INACTIVITY_DEFAULT);
    data.set(base, field::MAXIMUM_TOKEN_TRANSFER_SIZE, ROD_BYTES_MAX / block);
    data.set(base, field::OPTIMAL_TRANSFER_COUNT, OPTIMAL_BYTES / block);
}

/// Long enough to be worth a token, short enough to be done within a command's patience.
const OPTIMAL_BYTES: u64 = 256 << 20;

fn commands(view: &View<'_>, base: usize, data: &mut Writer) {
    use copy_commands as field;
    let of_copies = |run: &Run| matches!(run, Run::Copy(..) | Run::CopyResults(..));
    let supported = TABLE.iter().filter(|entry| of_copies(&entry.run) && entry.is_supported_by(view.unit));
    let rows: Vec<&Row> = supported.map(|entry| entry.row).collect();
    fill(data, field::BYTES);
    for group in rows.chunk_by(|one, other| one.opcode == other.opcode) {
        data.u8(group.first().map_or(0, |row| row.opcode));
        data.u8(u8::try_from(group.len()).unwrap_or(u8::MAX));
        for row in group {
            let action = row.service_action.map_or(0, |action| action.value);
            data.u8(u8::try_from(action).unwrap_or(u8::MAX));
        }
    }
    let length = u8::try_from(data.len() - base - field::BYTES).unwrap_or(u8::MAX);
    data.set(base, field::COMMANDS_SUPPORTED_LIST_LENGTH, length);
}

fn parameter_data(_view: &View<'_>, base: usize, data: &mut Writer) {
    use copy_parameter_data as field;
    fill(data, field::BYTES);
    data.set(base, field::MAXIMUM_CSCD_DESCRIPTOR_COUNT, CSCDS_MAX);
    data.set(base, field::MAXIMUM_SEGMENT_DESCRIPTOR_COUNT, SEGMENTS_MAX);
    data.set(base, field::MAXIMUM_DESCRIPTOR_LIST_LENGTH, DESCRIPTOR_BYTES_MAX);
    data.set(base, field::MAXIMUM_INLINE_DATA_LENGTH, INLINE_BYTES_MAX);
}

fn descriptors(_view: &View<'_>, base: usize, data: &mut Writer) {
    use copy_descriptors as field;
    fill(data, field::BYTES);
    data.set(base, field::SUPPORTED_DESCRIPTOR_LIST_LENGTH, u8::try_from(DESCRIPTORS.len()).unwrap_or(0));
    data.bytes(&DESCRIPTORS);
}

fn cscd_ids(_view: &View<'_>, base: usize, data: &mut Writer) {
    use copy_cscd_ids as field;
    const IDS: [u16; 1] = [cscd_id::THIS_UNIT];
    fill(data, field::BYTES);
    IDS.iter().for_each(|id| data.u16(*id));
    let length = u16::try_from(data.len() - base - field::BYTES).unwrap_or(0);
    data.set(base, field::SUPPORTED_CSCD_DESCRIPTOR_IDS_LIST_LENGTH, length);
}

//= SPC-4 "ROD Token Features descriptor": tokens of other copy managers are not taken
fn token_features(view: &View<'_>, base: usize, data: &mut Writer) {
    use {block_rod_features as block, rod_token_features as field};
    fill(data, field::BYTES);
    data.set(base, field::MINIMUM_TOKEN_LIFETIME, INACTIVITY_DEFAULT);
    data.set(base, field::MAXIMUM_TOKEN_LIFETIME, LIFETIME_MAX);
    data.set(base, field::MAXIMUM_TOKEN_INACTIVITY_TIMEOUT, INACTIVITY_MAX);
    let features = data.len();
    let length = u16::try_from(block::BYTES).unwrap_or(0);
    data.set(base, field::ROD_DEVICE_TYPE_SPECIFIC_FEATURES_DESCRIPTORS_LENGTH, length);
    data.zeros(block::BYTES);
    data.set(features, block::PERIPHERAL_DEVICE_TYPE, DeviceType::DIRECT_ACCESS.0);
    data.set(features, block::LENGTH, length - 4);
    let granularity = 1 << super::vpd::physical_exponent(&view.unit.geometry);
    data.set(features, block::OPTIMAL_BLOCK_ROD_LENGTH_GRANULARITY, granularity);
    data.set(features, block::MAXIMUM_BYTES_IN_BLOCK_ROD, ROD_BYTES_MAX);
    data.set(features, block::OPTIMAL_BYTES_IN_BLOCK_ROD_TRANSFER, OPTIMAL_BYTES);
    data.set(features, block::OPTIMAL_BYTES_TO_TOKEN_PER_SEGMENT, OPTIMAL_BYTES);
    data.set(features, block::OPTIMAL_BYTES_FROM_TOKEN_PER_SEGMENT, u64::from(PIECE_BYTES_MAX));
}

fn types(_view: &View<'_>, base: usize, data: &mut Writer) {
    use {rod_type as one, rod_types as field};
    fill(data, field::BYTES);
    for (kind, is_made) in MADE.map(|kind| (kind, true)).into_iter().chain([(RodType::ZERO, false)]) {
        let start = data.len();
        data.zeros(one::BYTES);
        data.set(start, one::ROD_TYPE, kind.0);
        data.set(start, one::TOKEN_IN, true);
        data.set(start, one::TOKEN_OUT, is_made);
    }
    let length = u16::try_from(data.len() - base - field::BYTES).unwrap_or(u16::MAX);
    data.set(base, field::ROD_TYPE_DESCRIPTORS_LENGTH, length);
}

fn operations(view: &View<'_>, base: usize, data: &mut Writer) {
    use general_copy_operations as field;
    let block_bytes = view.unit.geometry.block_bytes;
    let copies = u32::try_from(JOBS_MAX).unwrap_or(u32::MAX);
    fill(data, field::BYTES);
    data.set(base, field::TOTAL_CONCURRENT_COPIES, copies);
    data.set(base, field::MAXIMUM_IDENTIFIED_CONCURRENT_COPIES, copies);
    data.set(base, field::MAXIMUM_SEGMENT_LENGTH, segment_bytes_max(block_bytes));
    data.set(base, field::DATA_SEGMENT_GRANULARITY, granularity(block_bytes));
}

/// We hold nothing.
fn held(_view: &View<'_>, _base: usize, data: &mut Writer) {
    fill(data, held_data::BYTES);
}

#[cfg(test)]
mod tests {
    use crate::parameters::fixture::{self, ask};
    use crate::parameters::inquiry::inquiry;

    fn page() -> Vec<u8> {
        ask(&fixture::target(), inquiry, &[0x12, 1, 0x8f, 0xff, 0xff, 0]).expect("the page exists")
    }

    /// The descriptors of the page, by type.
    fn descriptors() -> Vec<(u16, Vec<u8>)> {
        let page = page();
        let mut rest = &page[4..];
        let mut found = Vec::new();
        while let [a, b, c, d, ..] = *rest {
            let bytes = 4 + usize::from(u16::from_be_bytes([c, d]));
            found.push((u16::from_be_bytes([a, b]), rest[..bytes].to_vec()));
            rest = &rest[bytes..];
        }
        found
    }

    fn check(kind: u16, want: &[u8]) {
        let found = descriptors().into_iter().find(|(of, _)| *of == kind).expect("the descriptor");
        assert_eq!(&found.1[..want.len()], want);
    }

    #[test]
    fn descriptors_are_in_order_and_whole() {
        let found = descriptors();
        assert!(found.is_sorted_by_key(|(kind, _)| *kind) && found.len() == 9);
        assert!(found.iter().all(|(_, bytes)| bytes.len() % 4 == 0));
    }

    #[test]
    fn the_commands_are_those_of_the_table() {
        let want = [0, 1, 0, 16, 15, 0x83, 5, 0, 1, 0x10, 0x11, 0x1c, 0x84, 6, 0, 3, 4, 5, 7, 8];
        check(1, &want);
    }

    #[test]
    fn descriptor_types_and_identifiers_are_told() {
        check(0x0008, &[0, 8, 0, 4, 2, 0x02, 0xe4, 0]);
        check(0x000c, &[0, 12, 0, 4, 0, 2, 0xff, 0xff]);
    }

    #[test]
    fn tokens_are_limited_as_told() {
        check(0x0000, &[0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 1, 44, 0, 0, 0, 60]);
        check(0x0108, &[1, 8, 1, 4, 0, 0, 1, 0, 0, 0x80, 0, 0, 3]);
    }
}
