//! EXTENDED COPY: the parameter list, from bytes to moves.
//!
//! Taken: identification descriptors (E4h) of units by any of their designators, the identifier FFFFh of the unit that is
//! asked, and segments from blocks to blocks (02h). Not taken: inline data, and segments that do not fill blocks of the
//! destination (so that CAT and PAD, which say what to do with the rest, have nothing to say). STR and PRIORITY are hints.
//!
//! What is wrong with the list is refused before anything is copied. What turns out to be wrong with a segment (a unit that
//! is not there) ends the copy when it is the segment's turn, as the standard has it.

use super::drive::{Bench, Order};
use super::ledger::Format;
use super::{Job, Move, Source, Spot};
use crate::config::UnitConfig;
use crate::engine::index;
use crate::geometry::TRANSFER_BYTES_MAX;
use crate::unit::Unit;
use core::ops::Range;
use felio_spec::copy::{
    CSCD_DESIGNATOR, FORMAT_LID4, HEADER_CSCD_BYTES, block_to_block, cscd, cscd_id, descriptor, header_lid1,
    header_lid4, list_id_usage, segment,
};
use felio_spec::designator::{DESIGNATOR_BYTES_MAX, Designator, designator};
use felio_spec::inquiry::DeviceType;
use felio_spec::sense::{Sense, code};
use felio_spec::{Bits, Cdb, Field};

/// CSCD descriptors of a list.
pub(crate) const CSCDS_MAX: u16 = 16;
/// Segment descriptors of a list.
pub(crate) const SEGMENTS_MAX: u16 = 64;
/// All descriptors of a list, bytes.
pub(crate) const DESCRIPTOR_BYTES_MAX: u32 = 16 * 32 + 64 * 28;
/// Inline data, bytes.
pub(crate) const INLINE_BYTES_MAX: u32 = 0;

/// What the header says.
struct Header {
    id: (u32, Format),
    id_field: Bits,
    usage: (u8, Bits),
    is_background: bool,
    good_sense: bool,
    cscds: Range<usize>,
    segments: Range<usize>,
}

/// A unit that the list names.
struct Cscd {
    unit: Result<Spot, Sense>,
}

//= SPC-4 "EXTENDED COPY(LID1) command"
pub(crate) fn extended_copy_lid1(bench: &mut Bench<'_>, _cdb: &Cdb, list: &[u8]) -> Result<Order, Sense> {
    use header_lid1 as field;
    // A list of no bytes is no error.
    if list.is_empty() {
        return Ok(Order::Nothing);
    }
    whole(list, field::BYTES)?;
    let lengths = [
        field::CSCD_DESCRIPTOR_LIST_LENGTH.get(list).into(),
        field::SEGMENT_DESCRIPTOR_LIST_LENGTH.get(list),
        field::INLINE_DATA_LENGTH.get(list),
    ];
    let (cscds, segments) = divide(list, field::BYTES, lengths)?;
    let header = Header {
        id: (field::LIST_IDENTIFIER.get(list).into(), Format::Lid1),
        id_field: field::LIST_IDENTIFIER.bits,
        usage: (field::LIST_ID_USAGE.get(list), field::LIST_ID_USAGE.bits),
        is_background: false,
        good_sense: false,
        cscds,
        segments,
    };
    extended_copy(bench, header, list)
}

//= SPC-4 "EXTENDED COPY(LID4) command"
pub(crate) fn extended_copy_lid4(bench: &mut Bench<'_>, _cdb: &Cdb, list: &[u8]) -> Result<Order, Sense> {
    use header_lid4 as field;
    if list.is_empty() {
        return Ok(Order::Nothing);
    }
    whole(list, field::BYTES)?;
    expect(list, field::PARAMETER_LIST_FORMAT, FORMAT_LID4)?;
    expect(list, field::HEADER_CSCD_DESCRIPTOR_LIST_LENGTH, HEADER_CSCD_BYTES)?;
    expect(list, field::HEADER_CSCD_DESCRIPTOR_TYPE_CODE, descriptor::EXTENSION)?;
    let lengths = [
        field::CSCD_DESCRIPTOR_LIST_LENGTH.get(list).into(),
        field::SEGMENT_DESCRIPTOR_LIST_LENGTH.get(list).into(),
        field::INLINE_DATA_LENGTH.get(list).into(),
    ];
    let (cscds, segments) = divide(list, field::BYTES, lengths)?;
    let header = Header {
        id: (field::LIST_IDENTIFIER.get(list), Format::Lid4),
        id_field: field::LIST_IDENTIFIER.bits,
        usage: (field::LIST_ID_USAGE.get(list), field::LIST_ID_USAGE.bits),
        is_background: field::IMMED.get(list),
        good_sense: field::G_SENSE.get(list),
        cscds,
        segments,
    };
    // Who is answered at once can be told nothing with the answer, and must have a name to ask by.
    let is_nameless = header.usage.0 == list_id_usage::DISABLE;
    if header.is_background && (header.good_sense || is_nameless) {
        return Err(Sense::parameter(code::INVALID_FIELD_IN_CDB, field::IMMED.bits));
    }
    extended_copy(bench, header, list)
}

fn extended_copy(bench: &mut Bench<'_>, header: Header, list: &[u8]) -> Result<Order, Sense> {
    let Header { id, id_field, usage, is_background, good_sense, cscds, segments } = header;
    let name = match usage.0 {
        list_id_usage::HOLD | list_id_usage::DISCARD => {
            bench.check_name(id, id_field)?;
            Some(id)
        }
        list_id_usage::DISABLE if id.0 == 0 => None,
        list_id_usage::DISABLE => return Err(Sense::invalid_parameter(id_field)),
        _ => return Err(Sense::invalid_parameter(usage.1)),
    };
    let cscds = parse_cscds(bench, list, cscds)?;
    let moves = parse_segments(bench, list, segments, &cscds)?;
    if moves.is_empty() {
        return Ok(Order::Nothing);
    }
    let mut job = Job::new(bench.nexus, bench.unit, moves);
    job.list = name.map(|(id, _)| id);
    job.good_sense = good_sense;
    job.list_bytes = u64::try_from(list.len()).unwrap_or(u64::MAX);
    Ok(if is_background { Order::Background(Box::new(job), name) } else { Order::Run(Box::new(job), name) })
}

/// Where descriptors lie.
//= SPC-4 "CSCD DESCRIPTOR LIST LENGTH field", "SEGMENT DESCRIPTOR LIST LENGTH field", "INLINE DATA LENGTH field"
fn divide(
    list: &[u8],
    header_bytes: usize,
    [cscd_bytes, segment_bytes, inline_bytes]: [u32; 3],
) -> Result<(Range<usize>, Range<usize>), Sense> {
    if u64::from(cscd_bytes) + u64::from(segment_bytes) > u64::from(DESCRIPTOR_BYTES_MAX) {
        return Err(code::PARAMETER_LIST_LENGTH_ERROR.into());
    }
    if inline_bytes > INLINE_BYTES_MAX {
        return Err(code::INLINE_DATA_LENGTH_EXCEEDED.into());
    }
    let end_of = |start: usize, bytes: u32| start + crate::engine::index(bytes);
    let cscds = header_bytes..end_of(header_bytes, cscd_bytes);
    let segments = cscds.end..end_of(cscds.end, segment_bytes);
    whole(list, segments.end)?;
    Ok((cscds, segments))
}

//= SPC-4 "CSCD descriptors"
fn parse_cscds(bench: &Bench<'_>, list: &[u8], place: Range<usize>) -> Result<Vec<Cscd>, Sense> {
    if !place.len().is_multiple_of(cscd::BYTES) {
        return Err(code::PARAMETER_LIST_LENGTH_ERROR.into());
    }
    if place.len() / cscd::BYTES > usize::from(CSCDS_MAX) {
        return Err(code::TOO_MANY_TARGET_DESCRIPTORS.into());
    }
    let starts = place.clone().step_by(cscd::BYTES);
    let descriptors = list.get(place).unwrap_or_default().chunks_exact(cscd::BYTES);
    starts.zip(descriptors).map(|(start, bytes)| parse_cscd(bench, at(start), bytes)).collect()
}

//= SPC-4 "Identification Descriptor CSCD descriptor": LU ID TYPE and NUL are obsolete
fn parse_cscd(bench: &Bench<'_>, start: u16, bytes: &[u8]) -> Result<Cscd, Sense> {
    use cscd as field;
    if field::DESCRIPTOR_TYPE_CODE.get(bytes) != descriptor::IDENTIFICATION {
        let code = code::UNSUPPORTED_TARGET_DESCRIPTOR;
        return Err(Sense::parameter(code, field::DESCRIPTOR_TYPE_CODE.bits.at(start)));
    }
    let room = CSCD_DESIGNATOR.len();
    if usize::from(field::DESIGNATOR_LENGTH.get(bytes)) > room {
        return Err(Sense::invalid_parameter(field::DESIGNATOR_LENGTH.bits.at(start)));
    }
    let unit = match DeviceType(field::PERIPHERAL_DEVICE_TYPE.get(bytes)) {
        DeviceType::DIRECT_ACCESS => {
            let pointer = field::DESCRIPTOR_TYPE_CODE.bits.at(start);
            let absent = Sense::parameter(code::COPY_TARGET_NOT_REACHABLE, pointer);
            let is_meant = |unit: u32| is_named(&bench.units[index(unit)].config, bytes);
            let found = bench.luns.iter().map(|mapping| mapping.unit).find(|unit| is_meant(*unit));
            found.and_then(|unit| bench.spot(unit, Some(start))).ok_or(absent)
        }
        _ => {
            let pointer = field::PERIPHERAL_DEVICE_TYPE.bits.at(start);
            Err(Sense::parameter(code::INCORRECT_COPY_TARGET_TYPE, pointer))
        }
    };
    let told = field::DISK_BLOCK_LENGTH.get(bytes);
    if unit.is_ok_and(|spot| told != 0 && told != spot.block_bytes) {
        return Err(Sense::invalid_parameter(field::DISK_BLOCK_LENGTH.bits.at(start)));
    }
    Ok(Cscd { unit })
}

//= SPC-4 "Segment descriptors"
fn parse_segments(
    bench: &Bench<'_>,
    list: &[u8],
    place: Range<usize>,
    cscds: &[Cscd],
) -> Result<Vec<Move>, Sense> {
    let mut moves = Vec::new();
    let mut start = place.start;
    for number in 0u16.. {
        let bytes = list.get(start..place.end).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        if number >= SEGMENTS_MAX {
            return Err(code::TOO_MANY_SEGMENT_DESCRIPTORS.into());
        }
        whole(bytes, segment::BYTES)?;
        if segment::DESCRIPTOR_TYPE_CODE.get(bytes) != descriptor::BLOCK_TO_BLOCK {
            let field = segment::DESCRIPTOR_TYPE_CODE.bits.at(at(start));
            return Err(Sense::parameter(code::UNSUPPORTED_SEGMENT_DESCRIPTOR, field));
        }
        let length = 4 + usize::from(segment::DESCRIPTOR_LENGTH.get(bytes));
        if length != block_to_block::BYTES {
            return Err(Sense::invalid_parameter(segment::DESCRIPTOR_LENGTH.bits.at(at(start))));
        }
        whole(bytes, length)?;
        moves.extend(parse_segment(bench, number, at(start), bytes, cscds));
        start += length;
    }
    Ok(moves)
}

/// What a segment asks for; `None` where it asks for nothing.
//= SPC-4 "Block device to block device operations"
fn parse_segment(bench: &Bench<'_>, number: u16, start: u16, bytes: &[u8], cscds: &[Cscd]) -> Option<Move> {
    use block_to_block as field;
    let unit = |id: Field<u16>| find(bench, cscds, id.get(bytes), id.bits.at(start));
    let source = unit(segment::SOURCE_CSCD_DESCRIPTOR_ID);
    let destination = unit(segment::DESTINATION_CSCD_DESCRIPTOR_ID);
    let this = bench.this();
    let (source, destination, mut flaw) = match (source, destination) {
        (Ok(source), Ok(destination)) => (source, destination, None),
        (Err(sense), _) | (_, Err(sense)) => (this, this, Some(sense)),
    };
    let counted = if segment::DC.get(bytes) { destination } else { source };
    let blocks = u64::from(field::BLOCK_DEVICE_NUMBER_OF_BLOCKS.get(bytes));
    let size = blocks * u64::from(counted.block_bytes);
    let fits = |spot: Spot| size.is_multiple_of(u64::from(spot.block_bytes.max(1)));
    if flaw.is_none() && !(fits(source) && fits(destination)) {
        flaw = Some(Sense::parameter(
            code::UNEXPECTED_INEXACT_SEGMENT,
            field::BLOCK_DEVICE_NUMBER_OF_BLOCKS.bits.at(start),
        ));
    }
    let from = Spot { lba: field::SOURCE_BLOCK_DEVICE_LBA.get(bytes), ..source };
    let to = Spot { lba: field::DESTINATION_BLOCK_DEVICE_LBA.get(bytes), ..destination };
    let step = Move { segment: number, source: Source::Blocks(from), to, bytes: size, flaw };
    (size > 0 || flaw.is_some()).then_some(step)
}

/// The unit that a CSCD descriptor ID stands for.
//= SPC-4 "Segment descriptors": a CSCD that is not accessible is an unreachable copy target
fn find(bench: &Bench<'_>, cscds: &[Cscd], id: u16, field: Bits) -> Result<Spot, Sense> {
    if id == cscd_id::THIS_UNIT {
        return Ok(bench.this());
    }
    let absent = Sense::parameter(code::UNREACHABLE_COPY_TARGET, field);
    let named = cscds.get(usize::from(id)).filter(|_| id <= cscd_id::INDEX_MAX).ok_or(absent)?;
    named.unit
}

/// The blocks of a unit that has this place.
pub(crate) fn spot(of: &Unit, unit: u32, named_at: Option<u16>) -> Spot {
    let transfer_bytes_max = of.config.limits.transfer_bytes_max.min(TRANSFER_BYTES_MAX);
    let UnitConfig { home, store, block_bytes, .. } = of.config;
    Spot { unit, home, store, block_bytes, transfer_bytes_max, lba: 0, named_at }
}

/// Whether a CSCD descriptor names the unit by one of the designators of its Device Identification page.
fn is_named(unit: &UnitConfig, bytes: &[u8]) -> bool {
    let identity = &unit.identity;
    let vendor = Designator::T10Vendor {
        vendor: &identity.vendor,
        identifier: [&identity.product, ":", &identity.serial],
    };
    [Designator::Naa6(&identity.naa), vendor].into_iter().any(|name| {
        let mut out = [0; DESIGNATOR_BYTES_MAX];
        let name = name.encode(&mut out);
        let told = bytes.get(CSCD_DESIGNATOR).unwrap_or_default();
        let length = usize::from(cscd::DESIGNATOR_LENGTH.get(bytes));
        cscd::CODE_SET.get(bytes) == designator::CODE_SET.get(name)
            && cscd::ASSOCIATION.get(bytes) == designator::ASSOCIATION.get(name)
            && cscd::DESIGNATOR_TYPE.get(bytes) == designator::DESIGNATOR_TYPE.get(name)
            && told.get(..length).is_some_and(|told| Some(told) == name.get(designator::BYTES..))
    })
}

/// Names a unit as a CSCD descriptor does: for tokens.
pub(crate) fn describe(unit: &UnitConfig) -> [u8; 32] {
    use cscd as field;
    let mut bytes = [0; 32];
    let mut out = [0; DESIGNATOR_BYTES_MAX];
    let name = Designator::Naa6(&unit.identity.naa).encode(&mut out);
    field::DESCRIPTOR_TYPE_CODE.set(&mut bytes, descriptor::IDENTIFICATION);
    field::CODE_SET.set(&mut bytes, designator::CODE_SET.get(name));
    field::ASSOCIATION.set(&mut bytes, designator::ASSOCIATION.get(name));
    field::DESIGNATOR_TYPE.set(&mut bytes, designator::DESIGNATOR_TYPE.get(name));
    field::DESIGNATOR_LENGTH.set(&mut bytes, designator::DESIGNATOR_LENGTH.get(name));
    field::DISK_BLOCK_LENGTH.set(&mut bytes, unit.block_bytes);
    for (to, from) in bytes[CSCD_DESIGNATOR].iter_mut().zip(name.iter().skip(designator::BYTES)) {
        *to = *from;
    }
    bytes
}

/// Refuses what ends too early.
pub(crate) fn whole(bytes: &[u8], length: usize) -> Result<(), Sense> {
    if bytes.len() < length { Err(code::PARAMETER_LIST_LENGTH_ERROR.into()) } else { Ok(()) }
}

fn expect<T: felio_spec::field::Value + PartialEq>(
    list: &[u8],
    field: Field<T>,
    want: T,
) -> Result<(), Sense> {
    if field.get(list) == want { Ok(()) } else { Err(Sense::invalid_parameter(field.bits)) }
}

/// An offset in a list, which is short.
fn at(offset: usize) -> u16 {
    u16::try_from(offset).unwrap_or(u16::MAX)
}
