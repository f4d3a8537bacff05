//! FORMAT UNIT: what its CDB and list ask for.
//!
//! Capacity, block length and defects stay as they are: there is no list of defects to add to or to leave out. What stands
//! behind the blocks may change.

use super::{Condition, Kind, Method, Overhaul, Pattern, Start};
use crate::unit::Unit;
use crate::work::Answer;
use felio_spec::commands::format_unit as cdb_field;
use felio_spec::field::{Bits, Field};
use felio_spec::medium::{FFMT_FAST, FFMT_WHOLE, IP_DEFAULT, IP_REPEAT, format_long, format_short, pattern};
use felio_spec::protection::Kind as Protection;
use felio_spec::sense::code;
use felio_spec::{Cdb, Sense};

/// Longest list that is looked at, bytes: a header, and a pattern as long as the longest block.
pub(crate) const LIST_BYTES_MAX: u64 = 64 << 10;

/// How long the list may be.
pub(crate) fn list_bytes(cdb: &Cdb) -> u64 {
    if cdb.get(cdb_field::FMTDATA) { LIST_BYTES_MAX } else { 0 }
}

//= SBC-3 "FORMAT UNIT command"
pub(crate) fn format_unit(unit: &Unit, cdb: &Cdb, list: &[u8]) -> Result<Option<Start>, Sense> {
    if let Condition::Failed(kind @ Kind::Sanitize(_)) = unit.condition {
        return Err(kind.failed().into());
    }
    let fast = match cdb.get(cdb_field::FFMT) {
        FFMT_WHOLE => false,
        1..=FFMT_FAST => true, // Every block can be read before it is written, which is more than 01b asks for.
        _ => return Err(Sense::invalid_field(cdb_field::FFMT.bits)),
    };
    let options = if cdb.get(cdb_field::FMTDATA) {
        Options::parse(unit, cdb.get(cdb_field::LONGLIST), list)?
    } else {
        Options::DEFAULT
    };
    let protection = protection(unit, cdb.get(cdb_field::FMTPINFO), &options)?;
    let unmap = unit.geometry.unmap.is_some_and(|unmap| unmap.zeroes);
    let method = match options.pattern {
        _ if fast => Method::Keep,
        Some(bytes) if bytes.iter().any(|byte| *byte != 0) => {
            Method::Write(Pattern { bytes: bytes.to_vec(), passes: 1, invert: false })
        }
        //= SBC-3 "Logical block provisioning": formatting leaves no block mapped where it can be avoided
        _ => Method::Zero { unmap },
    };
    let overhaul = Box::new(Overhaul { protection, ..*Overhaul::new(Kind::Format, method) });
    Ok(Some(Start { overhaul, answer: options.answer }))
}

/// What a list asks for.
struct Options<'a> {
    answer: Answer,
    pattern: Option<&'a [u8]>,
    /// PROTECTION FIELD USAGE.
    usage: u8,
    /// PROTECTION INTERVAL EXPONENT.
    interval: u8,
}

/// Where the fields lie by which protection information is asked for.
const USAGE: Field<u8> = format_short::PROTECTION_FIELD_USAGE;
const INTERVAL: Field<u8> = format_long::PROTECTION_INTERVAL_EXPONENT;

/// FMTPINFO, PROTECTION FIELD USAGE, and the type that the two ask for.
//= SBC-3 "FMTPINFO field and PROTECTION FIELD USAGE field"
const TYPES: [(u8, u8, Option<Protection>); 4] = [
    (0b00, 0b000, None),
    (0b10, 0b000, Some(Protection::Type1)),
    (0b11, 0b000, Some(Protection::Type2)),
    (0b11, 0b001, Some(Protection::Type3)),
];

/// What shall stand behind the blocks; nothing, where nothing ever can.
fn protection(unit: &Unit, fmtpinfo: u8, options: &Options<'_>) -> Result<Option<Option<Protection>>, Sense> {
    let possible = unit.config.limits.protection != felio_hal::store::Protection::Impossible;
    if !TYPES.iter().any(|row| row.0 == fmtpinfo) || (fmtpinfo != 0 && !possible) {
        return Err(Sense::invalid_field(cdb_field::FMTPINFO.bits));
    }
    let Some((.., kind)) = TYPES.iter().find(|row| (row.0, row.1) == (fmtpinfo, options.usage)) else {
        return Err(Sense::invalid_parameter(USAGE.bits));
    };
    if options.interval != 0 {
        return Err(Sense::invalid_parameter(INTERVAL.bits));
    }
    Ok(possible.then_some(*kind))
}

impl<'a> Options<'a> {
    const DEFAULT: Self = Self { answer: Answer::Afterwards, pattern: None, usage: 0, interval: 0 };

    //= SBC-3 "FORMAT UNIT parameter list"
    fn parse(unit: &Unit, long: bool, list: &'a [u8]) -> Result<Self, Sense> {
        let header_bytes = if long { format_long::BYTES } else { format_short::BYTES };
        let Some(rest) = list.get(header_bytes..) else {
            return Err(code::PARAMETER_LIST_LENGTH_ERROR.into());
        };
        let defects = if long { format_long::DEFECT_LIST_LENGTH } else { format_short::DEFECT_LIST_LENGTH };
        if defects.get(list) != 0 {
            return Err(Sense::invalid_parameter(defects.bits)); // There are no defects that we could mind.
        }
        check_options(list)?;
        let pattern =
            if format_short::IP.get(list) { parse_pattern(unit, header_bytes, rest)? } else { None };
        Ok(Self {
            answer: Answer::immed(format_short::IMMED.get(list)),
            pattern,
            usage: USAGE.get(list),
            interval: if long { INTERVAL.get(list) } else { 0 },
        })
    }
}

//= SBC-3 "Parameter list header": without FOV, none of the options is meant
fn check_options(list: &[u8]) -> Result<(), Sense> {
    use format_short::{DCRT, DPRY, DSP, FOV, IP, STPF};
    let wrong = |field: &Field<bool>| field.get(list);
    if DSP.get(list) {
        return Err(Sense::invalid_parameter(DSP.bits)); // Obsolete.
    }
    match [DPRY, DCRT, STPF, IP].iter().find(|field| wrong(field)) {
        Some(field) if !FOV.get(list) => Err(Sense::invalid_parameter(field.bits)),
        _ => Ok(()),
    }
}

//= SBC-3 "Initialization pattern descriptor"
fn parse_pattern<'a>(unit: &Unit, at: usize, rest: &'a [u8]) -> Result<Option<&'a [u8]>, Sense> {
    let refuse = |bits: Bits| Err(Sense::invalid_parameter(bits.at(u16::try_from(at).unwrap_or(u16::MAX))));
    let Some(bytes) = rest.get(pattern::BYTES..) else {
        return Err(code::PARAMETER_LIST_LENGTH_ERROR.into());
    };
    if pattern::IP_MODIFIER.get(rest) != 0 {
        return refuse(pattern::IP_MODIFIER.bits);
    }
    let field = pattern::INITIALIZATION_PATTERN_LENGTH;
    let length = usize::from(field.get(rest));
    match pattern::IP_TYPE.get(rest) {
        IP_DEFAULT if length > 0 => refuse(field.bits),
        IP_DEFAULT => Ok(None),
        IP_REPEAT if length == 0 || length > unit.geometry.buf_bytes(1) => refuse(field.bits),
        IP_REPEAT => bytes.get(..length).map(Some).ok_or(code::PARAMETER_LIST_LENGTH_ERROR.into()),
        _ => refuse(pattern::IP_TYPE.bits),
    }
}
