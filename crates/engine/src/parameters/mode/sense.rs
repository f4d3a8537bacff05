//! MODE SENSE: the pages as they are, were, will be, and can be.

use super::{ModePages, placed};
use crate::commands::View;
use crate::geometry::Geometry;
use crate::writer::Writer;
use felio_spec::Cdb;
use felio_spec::commands::{mode_sense6, mode_sense10};
use felio_spec::mode::{
    PAGES, PageControl, block_descriptor, header6, header10, long_block_descriptor, page0,
};
use felio_spec::sense::{Sense, code};

//= SPC-4 "MODE SENSE (6) command"
/// MODE SENSE (6).
pub fn mode_sense6(view: &View<'_>, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    use header6 as header;
    data.zeros(header::BYTES);
    data.set(0, header::WP, view.is_protected());
    data.set(0, header::DPOFUA, true);
    if !cdb.get(mode_sense6::DBD) {
        put_descriptor(&view.unit.geometry, data);
        data.set(0, header::BLOCK_DESCRIPTOR_LENGTH, length_behind(data, header::BYTES));
    }
    put_pages(&view.unit.mode, cdb, data)?;
    let length = u8::try_from(length_behind(data, 1)).unwrap_or(u8::MAX);
    data.set(0, header::MODE_DATA_LENGTH, length);
    Ok(())
}

//= SPC-4 "MODE SENSE (10) command"
/// MODE SENSE (10).
pub fn mode_sense10(view: &View<'_>, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    use header10 as header;
    data.zeros(header::BYTES);
    data.set(0, header::WP, view.is_protected());
    data.set(0, header::DPOFUA, true);
    if !cdb.get(mode_sense10::DBD) {
        if cdb.get(mode_sense10::LLBAA) {
            data.set(0, header::LONGLBA, true);
            put_long_descriptor(&view.unit.geometry, data);
        } else {
            put_descriptor(&view.unit.geometry, data);
        }
        data.set(0, header::BLOCK_DESCRIPTOR_LENGTH, length_behind(data, header::BYTES));
    }
    put_pages(&view.unit.mode, cdb, data)?;
    data.set(0, header::MODE_DATA_LENGTH, length_behind(data, 2));
    Ok(())
}

/// Bytes behind the first `count`.
fn length_behind(data: &Writer, count: usize) -> u16 {
    u16::try_from(data.len() - count).unwrap_or(u16::MAX)
}

//= SBC-3 "Short LBA mode parameter block descriptor": all ones where the number does not fit
fn put_descriptor(geometry: &Geometry, data: &mut Writer) {
    let base = data.len();
    data.zeros(block_descriptor::BYTES);
    data.set(base, block_descriptor::NUMBER_OF_LOGICAL_BLOCKS, geometry.blocks.min(u32::MAX.into()));
    data.set(base, block_descriptor::LOGICAL_BLOCK_LENGTH, geometry.block_bytes);
}

//= SBC-3 "Long LBA mode parameter block descriptor"
fn put_long_descriptor(geometry: &Geometry, data: &mut Writer) {
    let base = data.len();
    data.zeros(long_block_descriptor::BYTES);
    data.set(base, long_block_descriptor::NUMBER_OF_LOGICAL_BLOCKS, geometry.blocks);
    data.set(base, long_block_descriptor::LOGICAL_BLOCK_LENGTH, geometry.block_bytes);
}

/// The pages that either MODE SENSE asks for: their CDBs agree in the fields that say so.
fn put_pages(mode: &ModePages, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    use mode_sense6::{PAGE_CODE, PC, SUBPAGE_CODE};
    let image = match PageControl::from_bits(cdb.get(PC)) {
        PageControl::Current => &mode.current,
        PageControl::Changeable => &mode.changeable,
        PageControl::Default => &mode.default,
        PageControl::Saved if mode.saveable => &mode.saved,
        PageControl::Saved => return Err(code::SAVING_PARAMETERS_NOT_SUPPORTED.into()),
    };
    let (code, subpage) = (cdb.get(PAGE_CODE), cdb.get(SUBPAGE_CODE));
    let before = data.len();
    for (at, page) in placed() {
        if page.is_asked(code, subpage) {
            let base = data.len();
            data.bytes(&image[at..at + page.bytes]);
            data.set(base, page0::PS, mode.saveable);
        }
    }
    if data.len() > before {
        return Ok(());
    }
    let known = PAGES.iter().any(|page| page.is_asked(code, page.subpage));
    Err(Sense::invalid_field(if known { SUBPAGE_CODE.bits } else { PAGE_CODE.bits }))
}
