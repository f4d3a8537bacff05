//! POPULATE TOKEN and WRITE USING TOKEN: lists of ranges, and what they become.
//!
//! A token stands for its ranges one after the other. WRITE USING TOKEN cuts them at the borders of its own ranges; each part
//! is a move. The zero token is as long as one likes.

use super::drive::{Bench, Order};
use super::job::{Job, Move, Source, Spot};
use super::ledger::{Format, Progress, Record};
use super::list::{describe, whole};
use super::tokens::{FULL, INACTIVITY_DEFAULT, INACTIVITY_MAX, MADE, RANGES_MAX, ROD_BYTES_MAX, Wish};
use crate::geometry::{Extent, Geometry};
use felio_spec::commands::{populate_token as populate_cdb, write_using_token as write_cdb};
use felio_spec::copy::{TOKEN, populate_token, range, write_using_token};
use felio_spec::sense::{Sense, code};
use felio_spec::token::{self, RodType, rod_token};
use felio_spec::{Bits, Cdb};

//= SBC-3 "POPULATE TOKEN command"
pub(crate) fn populate(bench: &mut Bench<'_>, cdb: &Cdb, list: &[u8]) -> Result<Order, Sense> {
    use populate_token as field;
    let id = (cdb.get(populate_cdb::LIST_IDENTIFIER), Format::Populate);
    let unit = bench.here();
    if list.is_empty() {
        return Ok(Order::Nothing);
    }
    bench.check_token_name(id, populate_cdb::LIST_IDENTIFIER.bits)?;
    let listed = field::BLOCK_DEVICE_RANGE_DESCRIPTOR_LENGTH;
    let length = (field::POPULATE_TOKEN_DATA_LENGTH.get(list), field::POPULATE_TOKEN_DATA_LENGTH.bits);
    let ranges = parse(&unit.geometry, list, field::BYTES, length, (listed.get(list), listed.bits))?;
    let inactivity = match field::INACTIVITY_TIMEOUT.get(list) {
        0 => INACTIVITY_DEFAULT,
        seconds if seconds > INACTIVITY_MAX => {
            return Err(Sense::invalid_parameter(field::INACTIVITY_TIMEOUT.bits));
        }
        seconds => seconds,
    };
    let kind = if field::RTV.get(list) { RodType(field::ROD_TYPE.get(list)) } else { RodType::POINT_IN_TIME };
    if !MADE.contains(&kind) {
        return Err(Sense::parameter(code::INVALID_TOKEN_UNSUPPORTED_TYPE, field::ROD_TYPE.bits));
    }
    let block_bytes = unit.geometry.block_bytes;
    let creator = describe(&unit.config);
    let wish = Wish { kind, unit: bench.unit, ranges, block_bytes, inactivity, creator };
    let rod = bench.copies.tokens.make(bench.now, wish).ok_or(FULL)?;
    let (bytes, token) = (rod.blocks() * u64::from(block_bytes), rod.token.clone());
    bench.copies.ledger.insert(Record {
        nexus: bench.nexus,
        unit: bench.unit,
        id: id.0,
        format: id.1,
        progress: Progress::Good,
        segments: 0,
        bytes,
        token: Some(token),
    });
    Ok(Order::TokenMade)
}

//= SBC-3 "WRITE USING TOKEN command"
pub(crate) fn write(bench: &mut Bench<'_>, cdb: &Cdb, list: &[u8]) -> Result<Order, Sense> {
    use write_using_token as field;
    let id = (cdb.get(write_cdb::LIST_IDENTIFIER), Format::Write);
    if list.is_empty() {
        return Ok(Order::Nothing);
    }
    bench.check_token_name(id, write_cdb::LIST_IDENTIFIER.bits)?;
    let geometry = bench.here().geometry;
    let listed = field::BLOCK_DEVICE_RANGE_DESCRIPTOR_LENGTH;
    let length = (field::WRITE_USING_TOKEN_DATA_LENGTH.get(list), field::WRITE_USING_TOKEN_DATA_LENGTH.bits);
    let ranges = parse(&geometry, list, field::BYTES, length, (listed.get(list), listed.bits))?;
    let token = list.get(TOKEN).unwrap_or_default();
    let offset = field::OFFSET_INTO_ROD.get(list);
    let (moves, rod) = if rod_token::ROD_TYPE.get(token) == RodType::ZERO.0 {
        check_length(token)?;
        (zeros(bench, &ranges), None)
    } else {
        let (moves, rod) = redeem(bench, token, offset, &ranges)?;
        (moves, Some(rod))
    };
    let mut job = Job::new(bench.nexus, bench.unit, moves);
    job.list = Some(id.0);
    job.token = rod;
    job.delete_token = field::DEL_TKN.get(list);
    job.list_bytes = u64::try_from(list.len()).unwrap_or(u64::MAX);
    let job = Box::new(job);
    let name = Some(id);
    Ok(if field::IMMED.get(list) { Order::Background(job, name) } else { Order::Run(job, name) })
}

/// The moves that a token and ranges make.
fn redeem(
    bench: &mut Bench<'_>,
    token: &[u8],
    offset: u64,
    ranges: &[Extent],
) -> Result<(Vec<Move>, u64), Sense> {
    let start = u16::try_from(TOKEN.start).unwrap_or(0);
    let field = rod_token::ROD_TYPE.bits.at(start);
    check_length(token)?;
    let to = bench.this();
    let (luns, units) = (bench.luns, bench.units);
    let rod = bench.copies.tokens.redeem(bench.now, token).map_err(|code| Sense::parameter(code, field))?;
    let from = luns.lun_of(rod.unit).and_then(|_| units.get(crate::engine::index(rod.unit)));
    let from = from
        .map(|unit| super::list::spot(unit, rod.unit, None))
        .ok_or(Sense::parameter(code::INVALID_TOKEN_UNKNOWN, field))?;
    //= SBC-3 "WRITE USING TOKEN command": the blocks of both must be of one length
    if rod.block_bytes != to.block_bytes {
        return Err(Sense::parameter(code::INVALID_TOKEN_UNSUPPORTED_TYPE, field));
    }
    let wanted: u64 = ranges.iter().map(|range| range.blocks).sum();
    if offset.checked_add(wanted).is_none_or(|end| end > rod.blocks()) {
        return Err(Sense::invalid_parameter(write_using_token::OFFSET_INTO_ROD.bits));
    }
    Ok((cut(&rod.ranges, from, offset, ranges, to), rod.id))
}

/// Cuts what a token stands for, from an offset on, at the borders of the ranges to write.
fn cut(rod: &[Extent], from: Spot, offset: u64, ranges: &[Extent], to: Spot) -> Vec<Move> {
    let mut moves = Vec::new();
    let mut skip = offset;
    let mut sources = rod.iter().filter_map(|range| {
        let skipped = skip.min(range.blocks);
        skip -= skipped;
        let rest = Extent { lba: range.lba + skipped, blocks: range.blocks - skipped };
        (rest.blocks > 0).then_some(rest)
    });
    let mut source = Extent::default();
    for range in ranges {
        let mut range = *range;
        while range.blocks > 0 {
            if source.blocks == 0 {
                let Some(next) = sources.next() else { return moves };
                source = next;
            }
            let blocks = source.blocks.min(range.blocks);
            moves.push(Move {
                segment: 0,
                source: Source::Blocks(Spot { lba: source.lba, ..from }),
                to: Spot { lba: range.lba, ..to },
                bytes: blocks * u64::from(to.block_bytes),
                flaw: None,
            });
            source = Extent { lba: source.lba + blocks, blocks: source.blocks - blocks };
            range = Extent { lba: range.lba + blocks, blocks: range.blocks - blocks };
        }
    }
    moves
}

//= SBC-3 "Block device zero ROD token"
fn zeros(bench: &Bench<'_>, ranges: &[Extent]) -> Vec<Move> {
    let to = bench.this();
    let unmap = bench.here().geometry.unmap.is_some_and(|unmap| unmap.zeroes);
    let step = |range: &Extent| Move {
        segment: 0,
        source: Source::Zeros { unmap },
        to: Spot { lba: range.lba, ..to },
        bytes: range.blocks * u64::from(to.block_bytes),
        flaw: None,
    };
    ranges.iter().map(step).collect()
}

fn check_length(token: &[u8]) -> Result<(), Sense> {
    if rod_token::ROD_TOKEN_LENGTH.get(token) == token::LENGTH {
        return Ok(());
    }
    let start = u16::try_from(TOKEN.start).unwrap_or(0);
    Err(Sense::parameter(code::INVALID_TOKEN_LENGTH, rod_token::ROD_TOKEN_LENGTH.bits.at(start)))
}

/// The ranges of a list: all exist, no two overlap.
//= SBC-3 "Block device range descriptor"
fn parse(
    geometry: &Geometry,
    list: &[u8],
    header_bytes: usize,
    (length, length_field): (u16, Bits),
    (listed, listed_field): (u16, Bits),
) -> Result<Vec<Extent>, Sense> {
    whole(list, header_bytes)?;
    let listed = usize::from(listed);
    // The length field counts what follows it.
    if usize::from(length) + 2 < header_bytes + listed {
        return Err(Sense::invalid_parameter(length_field));
    }
    if listed < range::BYTES {
        return Err(Sense::invalid_parameter(listed_field));
    }
    whole(list, header_bytes + listed)?;
    if listed / range::BYTES > usize::from(RANGES_MAX) {
        return Err(code::TOO_MANY_SEGMENT_DESCRIPTORS.into());
    }
    let descriptors = list.get(header_bytes..header_bytes + listed).unwrap_or_default();
    let mut ranges: Vec<Extent> = Vec::new();
    let starts = (header_bytes..).step_by(range::BYTES);
    for (start, bytes) in starts.zip(descriptors.chunks_exact(range::BYTES)) {
        let blocks = u64::from(range::NUMBER_OF_LOGICAL_BLOCKS.get(bytes));
        let extent = geometry.extent(range::LBA.get(bytes), blocks)?;
        let field = range::LBA.bits.at(u16::try_from(start).unwrap_or(u16::MAX));
        if ranges.iter().any(|other| other.overlaps(extent)) {
            return Err(Sense::invalid_parameter(field));
        }
        ranges.push(extent);
    }
    let blocks: u64 = ranges.iter().map(|range| range.blocks).sum();
    if geometry.bytes(blocks) > ROD_BYTES_MAX {
        return Err(Sense::invalid_parameter(listed_field));
    }
    Ok(ranges)
}
