//! What has become of a copy, and what the copy manager can do: the RECEIVE COPY commands.
//!
//! We hold no data for anyone (HELD DATA LIMIT is zero), so that RECEIVE COPY DATA is not supported.

use super::drive::Ledgers;
use super::ledger::{Format, Progress, Record};
use super::list::{CSCDS_MAX, DESCRIPTOR_BYTES_MAX, INLINE_BYTES_MAX, SEGMENTS_MAX};
use super::{JOBS_MAX, PIECE_BYTES_MAX};
use crate::writer::Writer;
use felio_hal::port::SenseData;
use felio_spec::commands::{
    receive_copy_failure_details, receive_copy_status_lid1, receive_copy_status_lid4,
    receive_rod_token_information,
};
use felio_spec::copy::{
    TOKEN_DESCRIPTOR_HEADER_BYTES, all_tokens, descriptor, failure_details, operating_parameters, operation,
    status_lid1, status_lid4, token_descriptors, units,
};
use felio_spec::sense::Sense;
use felio_spec::token::TOKEN_BYTES;
use felio_spec::{Bits, Cdb};

/// The descriptor types that we take, in order.
pub(crate) const DESCRIPTORS: [u8; 2] = [descriptor::BLOCK_TO_BLOCK, descriptor::IDENTIFICATION];
/// What REPORT ALL ROD TOKENS tells of a token, bytes: all but what makes it one.
const MANAGEMENT_TOKEN_BYTES: usize = 96;

/// The most that a segment can name, bytes.
pub(crate) fn segment_bytes_max(block_bytes: u32) -> u32 {
    u32::from(u16::MAX).saturating_mul(block_bytes)
}

/// A block's length as a power of two.
pub(crate) fn granularity(block_bytes: u32) -> u8 {
    u8::try_from(block_bytes.max(1).ilog2()).unwrap_or(0)
}

//= SPC-4 "RECEIVE COPY OPERATING PARAMETERS command"
pub(crate) fn operating_parameters(of: &Ledgers<'_>, _cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    use operating_parameters as field;
    let block_bytes = of.unit.geometry.block_bytes;
    let copies = u8::try_from(JOBS_MAX).unwrap_or(u8::MAX);
    data.zeros(field::BYTES);
    data.set(0, field::SNLID, true);
    data.set(0, field::MAXIMUM_CSCD_DESCRIPTOR_COUNT, CSCDS_MAX);
    data.set(0, field::MAXIMUM_SEGMENT_DESCRIPTOR_COUNT, SEGMENTS_MAX);
    data.set(0, field::MAXIMUM_DESCRIPTOR_LIST_LENGTH, DESCRIPTOR_BYTES_MAX);
    data.set(0, field::MAXIMUM_SEGMENT_LENGTH, segment_bytes_max(block_bytes));
    data.set(0, field::MAXIMUM_INLINE_DATA_LENGTH, INLINE_BYTES_MAX);
    data.set(0, field::TOTAL_CONCURRENT_COPIES, copies.into());
    data.set(0, field::MAXIMUM_CONCURRENT_COPIES, copies);
    data.set(0, field::DATA_SEGMENT_GRANULARITY, granularity(block_bytes));
    data.set(0, field::IMPLEMENTED_DESCRIPTOR_LIST_LENGTH, u8::try_from(DESCRIPTORS.len()).unwrap_or(0));
    data.bytes(&DESCRIPTORS);
    finish(data);
    Ok(())
}

//= SPC-4 "RECEIVE COPY STATUS(LID1) command"
pub(crate) fn status_lid1(of: &Ledgers<'_>, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    use status_lid1 as field;
    let id = receive_copy_status_lid1::LIST_IDENTIFIER;
    let record = find(of, cdb.get(id).into(), id.bits, |format| format == Format::Lid1)?;
    let (segments, bytes) = of.done(record);
    let (unit, count) = scale(bytes);
    data.zeros(field::BYTES);
    let status = match record.progress {
        Progress::Foreground | Progress::Background => operation::IN_PROGRESS,
        Progress::Good => operation::COMPLETED,
        Progress::Failed(_) | Progress::Aborted => operation::FAILED,
    };
    data.set(0, field::COPY_MANAGER_STATUS, status);
    data.set(0, field::SEGMENTS_PROCESSED, segments);
    data.set(0, field::TRANSFER_COUNT_UNITS, unit);
    data.set(0, field::TRANSFER_COUNT, count);
    finish(data);
    Ok(())
}

//= SPC-4 "RECEIVE COPY FAILURE DETAILS(LID1) command"
pub(crate) fn failure_details(of: &Ledgers<'_>, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    use failure_details as field;
    let id = receive_copy_failure_details::LIST_IDENTIFIER;
    let record = find(of, cdb.get(id).into(), id.bits, |format| format == Format::Lid1)?;
    let Progress::Failed(sense) = record.progress else {
        data.zeros(4); // Nothing has failed.
        return Ok(());
    };
    let sense = SenseData::new(&sense, of.unit.mode.descriptor_sense());
    data.zeros(field::BYTES);
    data.set(0, field::EXTENDED_COPY_COMMAND_STATUS, record.progress.status().0);
    data.set(0, field::SENSE_DATA_LENGTH, u16::try_from(sense.bytes().len()).unwrap_or(0));
    data.bytes(sense.bytes());
    finish(data);
    Ok(())
}

//= SPC-4 "RECEIVE COPY STATUS(LID4) command"
pub(crate) fn status_lid4(of: &Ledgers<'_>, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    let id = receive_copy_status_lid4::LIST_IDENTIFIER;
    let record = find(of, cdb.get(id), id.bits, |_| true)?;
    put_status(of, record, data);
    finish(data);
    Ok(())
}

//= SPC-4 "RECEIVE ROD TOKEN INFORMATION command"
pub(crate) fn token_information(of: &Ledgers<'_>, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    let id = receive_rod_token_information::LIST_IDENTIFIER;
    let record = find(of, cdb.get(id), id.bits, |format| format != Format::Lid1)?;
    put_status(of, record, data);
    let base = data.len();
    data.zeros(token_descriptors::BYTES);
    if let Some(token) = &record.token {
        data.zeros(TOKEN_DESCRIPTOR_HEADER_BYTES);
        data.bytes(&token[..]);
        let length = TOKEN_DESCRIPTOR_HEADER_BYTES + TOKEN_BYTES;
        data.set(base, token_descriptors::ROD_TOKEN_DESCRIPTORS_LENGTH, u32::try_from(length).unwrap_or(0));
    }
    finish(data);
    Ok(())
}

//= SPC-4 "REPORT ALL ROD TOKENS command": management tokens, which give no access
pub(crate) fn all_tokens(of: &Ledgers<'_>, _cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    data.zeros(all_tokens::BYTES);
    for rod in of.copies.tokens.iter() {
        data.bytes(rod.token.get(..MANAGEMENT_TOKEN_BYTES).unwrap_or_default());
    }
    finish(data);
    Ok(())
}

/// What RECEIVE COPY STATUS(LID4) and RECEIVE ROD TOKEN INFORMATION have in common.
fn put_status(of: &Ledgers<'_>, record: &Record, data: &mut Writer) {
    use status_lid4 as field;
    const UNKNOWN: u32 = u32::MAX;
    let (segments, bytes) = of.done(record);
    let (action, is_token) = match record.format {
        Format::Lid1 => (felio_spec::commands::extended_copy_lid1::ROW, false),
        Format::Lid4 => (felio_spec::commands::extended_copy_lid4::ROW, false),
        Format::Populate => (felio_spec::commands::populate_token::ROW, true),
        Format::Write => (felio_spec::commands::write_using_token::ROW, true),
    };
    let action = action.service_action.map_or(0, |action| action.value);
    let status = match record.progress {
        Progress::Foreground => operation::FOREGROUND,
        Progress::Background => operation::BACKGROUND,
        Progress::Good => operation::COMPLETED,
        Progress::Failed(_) => operation::FAILED,
        Progress::Aborted => operation::ABORTED,
    };
    // Tokens count blocks, copies count bytes.
    let (unit, count) = match is_token {
        true => (units::BLOCKS, bytes / u64::from(of.unit.geometry.block_bytes.max(1))),
        false => (units::BYTES, bytes),
    };
    data.zeros(field::BYTES);
    data.set(0, field::RESPONSE_TO_SERVICE_ACTION, u8::try_from(action).unwrap_or(0));
    data.set(0, field::COPY_OPERATION_STATUS, status);
    data.set(0, field::ESTIMATED_STATUS_UPDATE_DELAY, if record.progress.is_over() { 0 } else { UNKNOWN });
    data.set(0, field::EXTENDED_COPY_COMPLETION_STATUS, record.progress.status().0);
    data.set(0, field::TRANSFER_COUNT_UNITS, unit);
    data.set(0, field::TRANSFER_COUNT, count);
    data.set(0, field::SEGMENTS_PROCESSED, segments);
    if let Progress::Failed(sense) = record.progress {
        let sense = SenseData::new(&sense, of.unit.mode.descriptor_sense());
        let length = u8::try_from(sense.bytes().len()).unwrap_or(0);
        data.set(0, field::LENGTH_OF_THE_SENSE_DATA_FIELD, length);
        data.set(0, field::SENSE_DATA_LENGTH, length);
        data.bytes(sense.bytes());
    }
}

/// The record of a copy that `speaks` knows; `field` is where its name stands in the CDB.
fn find<'a>(
    of: &'a Ledgers<'_>,
    id: u32,
    field: Bits,
    speaks: impl Fn(Format) -> bool,
) -> Result<&'a Record, Sense> {
    let record = of.copies.ledger.get(of.nexus, of.at, id);
    record.filter(|record| speaks(record.format)).ok_or(Sense::invalid_field(field))
}

/// A count of bytes in four bytes, in the smallest unit that does.
fn scale(bytes: u64) -> (u8, u32) {
    let scaled = (0u8..7).map(|step| (units::BYTES + step, bytes >> (10 * step)));
    let mut fitting = scaled.filter_map(|(unit, count)| Some((unit, u32::try_from(count).ok()?)));
    fitting.next().unwrap_or((units::BYTES, u32::MAX))
}

/// AVAILABLE DATA counts what follows it, in all of these structures.
fn finish(data: &mut Writer) {
    let field = status_lid1::AVAILABLE_DATA;
    let length = data.len() - usize::from(field.bits.width / 8);
    data.set(0, field, u32::try_from(length).unwrap_or(u32::MAX));
}

const _: () = assert!(PIECE_BYTES_MAX > 0);
