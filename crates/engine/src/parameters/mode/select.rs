//! MODE SELECT: what a list asks for, checked to its end.
//!
//! Nothing takes effect here: the caller gets a [`Selected`], has it saved where that is asked for, and then applied.

use super::{EXCEPTIONS, Image, ModePages, Selected, placed};
use crate::geometry::Geometry;
use crate::unit::{Change, Unit};
use felio_spec::commands::mode_select6;
use felio_spec::mode::{
    ModePage, block_descriptor, header6, header10, informational_exceptions as exceptions,
    long_block_descriptor, page0, sub_page,
};
use felio_spec::sense::{Sense, code};
use felio_spec::{Bits, Cdb, Field};

//= SPC-4 "MODE SELECT (6) command"
/// MODE SELECT (6).
pub fn mode_select6(unit: &mut Unit, cdb: &Cdb, list: &[u8]) -> Result<Change, Sense> {
    let header = Header {
        bytes: header6::BYTES,
        medium_type: header6::MEDIUM_TYPE,
        long_lba: None,
        descriptor_length: header6::BLOCK_DESCRIPTOR_LENGTH,
    };
    select(unit, cdb, list, &header)
}

//= SPC-4 "MODE SELECT (10) command"
/// MODE SELECT (10).
pub fn mode_select10(unit: &mut Unit, cdb: &Cdb, list: &[u8]) -> Result<Change, Sense> {
    let header = Header {
        bytes: header10::BYTES,
        medium_type: header10::MEDIUM_TYPE,
        long_lba: Some(header10::LONGLBA),
        descriptor_length: header10::BLOCK_DESCRIPTOR_LENGTH,
    };
    select(unit, cdb, list, &header)
}

/// Where the two headers of mode parameters keep what MODE SELECT looks at. MODE DATA LENGTH is reserved and the
/// device-specific parameter has no meaning here: both are ignored, as initiators send back what they were told.
struct Header {
    bytes: usize,
    medium_type: Field<u8>,
    long_lba: Option<Field<bool>>,
    descriptor_length: Field<u16>,
}

/// What either MODE SELECT asks for: their CDBs agree in the fields that say so.
//= SPC-4 "MODE SELECT (6) command"
fn select(unit: &Unit, cdb: &Cdb, list: &[u8], header: &Header) -> Result<Change, Sense> {
    use mode_select6::{PF, SP};
    let mode = &unit.mode;
    let current = if list.is_empty() {
        mode.current
    } else if cdb.get(PF) {
        let pages_at = check_header(&unit.geometry, list, header)?;
        select_pages(mode, list, pages_at)?
    } else {
        return Err(Sense::invalid_field(PF.bits));
    };
    let saved = cdb.get(SP).then(|| without_test(current));
    if current == mode.current && saved.is_none() {
        return Ok(Change::Nothing);
    }
    Ok(Change::Mode(Box::new(Selected { current, saved })))
}

/// A test of the reporting of exceptions is for today.
fn without_test(mut image: Image) -> Image {
    exceptions::TEST.set(&mut image[EXCEPTIONS..], false);
    image
}

/// Checks what stands before the pages and returns where they begin.
fn check_header(geometry: &Geometry, list: &[u8], header: &Header) -> Result<usize, Sense> {
    let Some(descriptor) = list.get(header.bytes..) else {
        return Err(code::PARAMETER_LIST_LENGTH_ERROR.into());
    };
    if header.medium_type.get(list) != 0 {
        return Err(Sense::invalid_parameter(header.medium_type.bits));
    }
    let long = header.long_lba.is_some_and(|field| field.get(list));
    let length = usize::from(header.descriptor_length.get(list));
    let (whole, blocks, unlimited, block_bytes) = if long {
        use long_block_descriptor as field;
        let block_bytes = field::LOGICAL_BLOCK_LENGTH;
        (field::BYTES, field::NUMBER_OF_LOGICAL_BLOCKS, u64::MAX, block_bytes)
    } else {
        use block_descriptor as field;
        let block_bytes = field::LOGICAL_BLOCK_LENGTH;
        (field::BYTES, field::NUMBER_OF_LOGICAL_BLOCKS, u32::MAX.into(), block_bytes)
    };
    if length == 0 {
        return Ok(header.bytes);
    }
    if length != whole {
        return Err(Sense::invalid_parameter(header.descriptor_length.bits));
    }
    if descriptor.len() < length {
        return Err(code::PARAMETER_LIST_LENGTH_ERROR.into());
    }
    //= SBC-3 "Short LBA mode parameter block descriptor": zero or all ones leave the number as it is
    let number = blocks.get(descriptor);
    if number != 0 && number != unlimited && number != geometry.blocks {
        return Err(Sense::invalid_parameter(blocks.bits.at(small(header.bytes))));
    }
    if block_bytes.get(descriptor) != geometry.block_bytes {
        return Err(Sense::invalid_parameter(block_bytes.bits.at(small(header.bytes))));
    }
    Ok(header.bytes + length)
}

/// The image that the pages in `list` from byte `at` on ask for.
fn select_pages(mode: &ModePages, list: &[u8], mut at: usize) -> Result<Image, Sense> {
    let mut wanted = mode.current;
    while at < list.len() {
        let (place, page) = select_page(&list[at..], at)?;
        for byte in page.header_bytes()..page.bytes {
            let (old, new) = (mode.current[place + byte], list[at + byte]);
            let surplus = (old ^ new) & !mode.changeable[place + byte];
            if let Some(bit) = surplus.checked_ilog2() {
                let bits = Bits { byte: small(at + byte), msb: u8::try_from(bit).unwrap_or(7), width: 1 };
                return Err(Sense::invalid_parameter(bits));
            }
            wanted[place + byte] = new;
        }
        if let Some(field) = page.check(&list[at..at + page.bytes]) {
            return Err(Sense::invalid_parameter(field.at(small(at))));
        }
        at += page.bytes;
    }
    Ok(wanted)
}

/// The page whose header `rest` begins with, `rest` being at byte `at` of the list; complete, and of the right length.
/// PS is reserved here and ignored: initiators send back what they were told.
fn select_page(rest: &[u8], at: usize) -> Result<(usize, &'static ModePage), Sense> {
    let refuse = |bits: Bits| Err(Sense::invalid_parameter(bits.at(small(at))));
    let long = page0::SPF.get(rest);
    let header_bytes = if long { sub_page::BYTES } else { page0::BYTES };
    if rest.len() < header_bytes {
        return Err(code::PARAMETER_LIST_LENGTH_ERROR.into());
    }
    let code = page0::PAGE_CODE.get(rest);
    let subpage = if long { sub_page::SUBPAGE_CODE.get(rest) } else { 0 };
    let length = if long { sub_page::PAGE_LENGTH.get(rest) } else { page0::PAGE_LENGTH.get(rest).into() };
    let Some((place, page)) = placed().find(|(_, page)| (page.page, page.subpage) == (code, subpage)) else {
        return refuse(page0::PAGE_CODE.bits);
    };
    if header_bytes + usize::from(length) != page.bytes {
        return refuse(if long { sub_page::PAGE_LENGTH.bits } else { page0::PAGE_LENGTH.bits });
    }
    if rest.len() < page.bytes {
        return Err(code::PARAMETER_LIST_LENGTH_ERROR.into());
    }
    Ok((place, page))
}

/// A parameter list is shorter than 64 KiB.
fn small(offset: usize) -> u16 {
    u16::try_from(offset).unwrap_or(u16::MAX)
}
