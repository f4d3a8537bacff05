//! Mode pages: the parameters of a unit that initiators may read and change.
//!
//! The pages are those of [`PAGES`], laid one behind the other in an image; a unit keeps an image of today's values, one
//! of the defaults and one of what can be changed. Nothing is saved.
//!
//! Invariant: MODE SELECT changes bits of the third image only, and all that it asks for or nothing.

use crate::commands::View;
use crate::geometry::Geometry;
use crate::unit::{Change, Unit};
use crate::writer::Writer;
use felio_hal::Limits;
use felio_hal::store::WriteCache;
use felio_spec::commands::{mode_select6, mode_select10, mode_sense6, mode_sense10};
use felio_spec::mode::{
    ModePage, PAGES, PAGES_BYTES, PageControl, block_descriptor, caching, control, header6, header10,
    long_block_descriptor, page0, provisioning, sub_page,
};
use felio_spec::sense::{Sense, code};
use felio_spec::{Bits, Cdb, Field};

/// The mode parameters of a unit.
#[derive(Clone, Debug)]
pub struct ModePages {
    current: Image,
    default: Image,
    changeable: Image,
}

/// All pages, one behind the other.
type Image = [u8; PAGES_BYTES];

const CACHING: usize = offset_of(0x08);
const CONTROL: usize = offset_of(0x0a);
const POWER_CONDITION: usize = offset_of(0x1a);
const PROVISIONING: usize = offset_of_subpage(0x1c, 0x02);

impl ModePages {
    /// As after power on.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let mut default = image(|page, out| {
            page.encode_header(out);
            for (bits, value) in page.default {
                bits.write(out, *value);
            }
        });
        let mut changeable = image(|page, out| {
            page.encode_header(out);
            for bits in page.changeable {
                bits.write(out, u64::MAX);
            }
        });
        // Without a volatile cache below us there is none to enable.
        let cached = limits.write_cache == WriteCache::On;
        caching::WCE.set(&mut default[CACHING..], cached);
        caching::WCE.set(&mut changeable[CACHING..], cached);
        // Thresholds for what nobody tells are none.
        if !limits.space || limits.unmap.is_none() {
            default[PROVISIONING + sub_page::BYTES..][..provisioning::BYTES - sub_page::BYTES].fill(0);
            changeable[PROVISIONING + sub_page::BYTES..][..provisioning::BYTES - sub_page::BYTES].fill(0);
        }
        Self { current: default, default, changeable }
    }

    /// Back to the defaults, as nothing is saved.
    pub const fn reset(&mut self) {
        self.current = self.default;
    }

    /// WCE of the caching page.
    #[must_use]
    pub fn write_cache_enabled(&self) -> bool {
        caching::WCE.get(&self.current[CACHING..])
    }

    /// The logical block provisioning page.
    #[must_use]
    pub fn provisioning(&self) -> &[u8] {
        &self.current[PROVISIONING..]
    }

    /// The power condition page.
    #[must_use]
    pub fn power_condition(&self) -> &[u8] {
        &self.current[POWER_CONDITION..]
    }

    /// D_SENSE of the control page.
    #[must_use]
    pub fn descriptor_sense(&self) -> bool {
        control::D_SENSE.get(&self.current[CONTROL..])
    }

    /// SWP of the control page.
    #[must_use]
    pub fn software_write_protect(&self) -> bool {
        control::SWP.get(&self.current[CONTROL..])
    }

    /// TAS of the control page.
    #[must_use]
    pub fn task_aborted_status(&self) -> bool {
        control::TAS.get(&self.current[CONTROL..])
    }
}

//= SPC-4 "MODE SENSE (6) command"
/// MODE SENSE (6).
pub fn mode_sense6(view: &View<'_>, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    use header6 as header;
    data.zeros(header::BYTES);
    data.set(0, header::WP, view.unit.check_writable().is_err());
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
    data.set(0, header::WP, view.unit.check_writable().is_err());
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

//= SPC-4 "MODE SELECT (6) command"
/// MODE SELECT (6).
pub fn mode_select6(unit: &mut Unit, cdb: &Cdb, list: &[u8]) -> Result<Change, Sense> {
    let header = Header {
        bytes: header6::BYTES,
        medium_type: header6::MEDIUM_TYPE,
        long_lba: None,
        descriptor_length: header6::BLOCK_DESCRIPTOR_LENGTH,
    };
    select(unit, cdb.get(mode_select6::PF), list, &header)
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
    select(unit, cdb.get(mode_select10::PF), list, &header)
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
        PageControl::Saved => return Err(code::SAVING_PARAMETERS_NOT_SUPPORTED.into()),
    };
    let (code, subpage) = (cdb.get(PAGE_CODE), cdb.get(SUBPAGE_CODE));
    let before = data.len();
    for (at, page) in placed() {
        if page.is_asked(code, subpage) {
            data.bytes(&image[at..at + page.bytes]);
        }
    }
    if data.len() > before {
        return Ok(());
    }
    let known = PAGES.iter().any(|page| page.is_asked(code, page.subpage));
    Err(Sense::invalid_field(if known { SUBPAGE_CODE.bits } else { PAGE_CODE.bits }))
}

/// Where the two headers of mode parameters keep what MODE SELECT looks at. MODE DATA LENGTH is reserved and the
/// device-specific parameter has no meaning here: both are ignored, as initiators send back what they were told.
struct Header {
    bytes: usize,
    medium_type: Field<u8>,
    long_lba: Option<Field<bool>>,
    descriptor_length: Field<u16>,
}

//= SPC-4 "Mode parameters"
fn select(unit: &mut Unit, page_format: bool, list: &[u8], header: &Header) -> Result<Change, Sense> {
    if list.is_empty() {
        return Ok(Change::Nothing);
    }
    if !page_format {
        return Err(Sense::invalid_field(mode_select6::PF.bits)); // in the same place in both CDBs
    }
    let pages_at = check_header(&unit.geometry, list, header)?;
    let wanted = select_pages(&unit.mode, list, pages_at)?;
    if wanted == unit.mode.current {
        return Ok(Change::Nothing);
    }
    let was_cached = unit.mode.write_cache_enabled();
    unit.mode.current = wanted;
    let is_cached = unit.mode.write_cache_enabled();
    Ok(if was_cached && !is_cached { Change::WriteCacheOff } else { Change::ModeParameters })
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
        at += page.bytes;
    }
    Ok(wanted)
}

/// The page whose header `rest` begins with, `rest` being at byte `at` of the list; complete, and of the right length.
fn select_page(rest: &[u8], at: usize) -> Result<(usize, &'static ModePage), Sense> {
    let refuse = |bits: Bits| Err(Sense::invalid_parameter(bits.at(small(at))));
    let long = page0::SPF.get(rest);
    let header_bytes = if long { sub_page::BYTES } else { page0::BYTES };
    if rest.len() < header_bytes {
        return Err(code::PARAMETER_LIST_LENGTH_ERROR.into());
    }
    if page0::PS.get(rest) {
        return refuse(page0::PS.bits); // reserved in MODE SELECT
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

/// The pages with their offsets in an image.
fn placed() -> impl Iterator<Item = (usize, &'static ModePage)> {
    PAGES.iter().scan(0, |next, page| {
        let at = *next;
        *next += page.bytes;
        Some((at, page))
    })
}

fn image(write: impl Fn(&ModePage, &mut [u8])) -> Image {
    let mut image = [0; PAGES_BYTES];
    for (at, page) in placed() {
        write(page, &mut image[at..at + page.bytes]);
    }
    image
}

/// Where a page with subpage zero lies in an image.
const fn offset_of(code: u8) -> usize {
    offset_of_subpage(code, 0)
}

/// Where a page lies in an image.
const fn offset_of_subpage(code: u8, subpage: u8) -> usize {
    let (mut at, mut index) = (0, 0);
    while PAGES[index].page != code || PAGES[index].subpage != subpage {
        at += PAGES[index].bytes;
        index += 1;
    }
    at
}

/// A parameter list is shorter than 64 KiB.
fn small(offset: usize) -> u16 {
    u16::try_from(offset).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::fixture::{self, ask, ask_unit};
    use felio_spec::sense::Code;

    const CACHING_PAGE: [u8; 20] = [8, 18, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0];
    const CONTROL_PAGE: [u8; 12] = [10, 10, 2, 0x10, 0, 0x40, 0, 0, 0xff, 0xff, 0, 0];

    fn sense6(page: u8, subpage: u8) -> Result<Vec<u8>, Sense> {
        ask(&fixture::target(), mode_sense6, &[0x1a, 8, page, subpage, 255, 0])
    }

    fn unit() -> Unit {
        Unit::new(fixture::unit(0))
    }

    fn select6(unit: &mut Unit, list: &[u8]) -> Result<Change, Sense> {
        let length = u8::try_from(list.len()).expect("short");
        super::mode_select6(unit, &Cdb::new(&[0x15, 0x10, 0, 0, length, 0]), list)
    }

    fn list(pages: &[&[u8]]) -> Vec<u8> {
        [&[0, 0, 0, 0][..], &pages.concat()].concat()
    }

    fn check_refused(list: &[u8], want: Sense) {
        let mut unit = unit();
        assert_eq!(select6(&mut unit, list), Err(want));
        assert_eq!(unit.mode.current, unit.mode.default);
    }

    fn check_too_short(list: &[u8]) {
        let code: Code = code::PARAMETER_LIST_LENGTH_ERROR;
        check_refused(list, code.into());
    }

    const fn bit(byte: u16, msb: u8) -> Sense {
        Sense::invalid_parameter(Bits { byte, msb, width: 1 })
    }

    #[test]
    fn all_pages_come_in_their_order_behind_the_header() {
        let data = sense6(0x3f, 0).expect("all pages");
        let pages: Vec<u8> =
            placed().filter(|(_, page)| page.subpage == 0).map(|(at, _)| data[4 + at] & 0x3f).collect();
        assert_eq!((data[0], data[1], data[2], data[3]), (99, 0, 0x10, 0));
        assert_eq!(pages, [1, 8, 10, 0x1a, 0x1c]);
    }

    #[test]
    fn all_subpages_come_for_the_asking() {
        let data = sense6(0x3f, 0xff).expect("all pages");
        assert_eq!(
            (usize::from(data[0]), data[4 + PROVISIONING..][..4].to_vec()),
            (data.len() - 1, vec![0x5c, 2, 0, 28])
        );
    }

    #[test]
    fn a_page_comes_alone() {
        assert_eq!(sense6(0x08, 0), Ok(list(&[&CACHING_PAGE]).tap(|data| (data[0], data[2]) = (23, 0x10))));
    }

    #[test]
    fn the_short_descriptor_tells_blocks_and_their_length() {
        let data = ask(&fixture::target(), mode_sense6, &[0x1a, 0, 0x0a, 0, 255, 0]).expect("a page");
        assert_eq!(data[..12], [23, 0, 0x10, 8, 0, 0x20, 0, 0, 0, 0, 2, 0]);
    }

    #[test]
    fn the_long_descriptor_comes_for_the_asking() {
        let cdb = [0x5a, 0x10, 0x0a, 0, 0, 0, 0, 0, 255, 0];
        let data = ask(&fixture::target(), mode_sense10, &cdb).expect("a page");
        assert_eq!(data[..8], [0, 34, 0, 0x10, 1, 0, 0, 16]);
        assert_eq!(data[8..24], [0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0]);
    }

    #[test]
    fn a_write_protected_unit_says_so() {
        let mut target = fixture::target();
        target.units[0].read_only = true;
        let data = ask(&target, mode_sense6, &[0x1a, 8, 0x0a, 0, 255, 0]).expect("a page");
        assert_eq!(data[2], 0x90);
    }

    #[test]
    fn what_can_be_changed_is_told() {
        let data = sense6(0x40 | 0x3f, 0).expect("all pages");
        assert_eq!(data[4 + CACHING..][..4], [8, 18, 4, 0]);
        assert_eq!(data[4 + CONTROL..][..6], [10, 10, 4, 0, 8, 0x40]);
    }

    #[test]
    fn the_cache_of_a_store_without_one_cannot_be_enabled() {
        let mut target = fixture::target();
        target.units[0].limits.write_cache = WriteCache::Off;
        let now = ask(&target, mode_sense6, &[0x1a, 8, 0x08, 0, 255, 0]).expect("a page");
        let mask = ask(&target, mode_sense6, &[0x1a, 8, 0x48, 0, 255, 0]).expect("a page");
        assert_eq!((now[6], mask[6]), (0, 0));
    }

    #[test]
    fn nothing_is_saved() {
        let code: Code = code::SAVING_PARAMETERS_NOT_SUPPORTED;
        assert_eq!(sense6(0xc0 | 0x0a, 0), Err(code.into()));
    }

    #[test]
    fn pages_and_subpages_that_we_do_not_have_are_refused() {
        assert_eq!(sense6(0x02, 0), Err(Sense::invalid_field(mode_sense6::PAGE_CODE.bits)));
        assert_eq!(sense6(0x0a, 1), Err(Sense::invalid_field(mode_sense6::SUBPAGE_CODE.bits)));
        assert_eq!(sense6(0x3f, 1), Err(Sense::invalid_field(mode_sense6::SUBPAGE_CODE.bits)));
    }

    #[test]
    fn a_change_takes_effect_and_leaves_the_defaults() {
        let (mut unit, target) = (unit(), fixture::target());
        let page = CONTROL_PAGE.tap(|page| (page[2], page[4]) = (6, 8));
        assert_eq!(select6(&mut unit, &list(&[&page])), Ok(Change::ModeParameters));
        assert!(unit.mode.descriptor_sense() && unit.mode.software_write_protect());
        let now = ask_unit(&target, &unit, mode_sense6, &[0x1a, 8, 0x0a, 0, 255, 0]).expect("a page");
        let default = ask_unit(&target, &unit, mode_sense6, &[0x1a, 8, 0x8a, 0, 255, 0]).expect("a page");
        assert_eq!((&now[4..], now[2], &default[4..]), (&page[..], 0x90, &CONTROL_PAGE[..]));
        unit.mode.reset();
        assert!(!unit.mode.descriptor_sense());
    }

    #[test]
    fn several_pages_change_together() {
        let mut unit = unit();
        let caching = CACHING_PAGE.tap(|page| page[2] = 0);
        let control = CONTROL_PAGE.tap(|page| page[5] = 0);
        assert_eq!(select6(&mut unit, &list(&[&caching, &control])), Ok(Change::WriteCacheOff));
        assert!(!unit.mode.write_cache_enabled() && !unit.mode.task_aborted_status());
    }

    #[test]
    fn what_was_told_can_be_sent_back_and_changes_nothing() {
        let told = ask(&fixture::target(), mode_sense6, &[0x1a, 0, 0x3f, 0, 255, 0]).expect("all pages");
        assert_eq!(select6(&mut unit(), &told), Ok(Change::Nothing));
        let cdb = [0x5a, 0x10, 0x3f, 0, 0, 0, 0, 0, 255, 0];
        let told = ask(&fixture::target(), mode_sense10, &cdb).expect("all pages");
        let cdb = Cdb::new(&[0x55, 0x10, 0, 0, 0, 0, 0, 0, 255, 0]);
        assert_eq!(super::mode_select10(&mut unit(), &cdb, &told), Ok(Change::Nothing));
    }

    #[test]
    fn no_list_is_no_change() {
        assert_eq!(select6(&mut unit(), &[]), Ok(Change::Nothing));
        assert_eq!(select6(&mut unit(), &list(&[])), Ok(Change::Nothing));
    }

    #[test]
    fn a_bad_page_undoes_the_good_one_before_it() {
        let good = CACHING_PAGE.tap(|page| page[2] = 0);
        let bad = CONTROL_PAGE.tap(|page| page[3] = 0x16);
        check_refused(&list(&[&good, &bad]), bit(4 + 20 + 3, 2));
    }

    #[test]
    fn a_list_that_ends_within_something_is_too_short() {
        check_too_short(&[0, 0, 0]);
        check_too_short(&[0, 0, 0, 8, 0]);
        check_too_short(&list(&[&[10]]));
        check_too_short(&list(&[&CONTROL_PAGE[..11]]));
    }

    #[test]
    fn a_page_of_another_length_is_refused() {
        check_refused(&list(&[&[10, 9]]), Sense::invalid_parameter(page0::PAGE_LENGTH.bits.at(4)));
    }

    #[test]
    fn an_unknown_page_is_refused() {
        check_refused(&list(&[&[2, 10]]), Sense::invalid_parameter(page0::PAGE_CODE.bits.at(4)));
        check_refused(&list(&[&[0x4a, 1, 0, 8]]), Sense::invalid_parameter(page0::PAGE_CODE.bits.at(4)));
    }

    #[test]
    fn the_saveable_bit_is_refused() {
        let page = CONTROL_PAGE.tap(|page| page[0] = 0x8a);
        check_refused(&list(&[&page]), bit(4, 7));
    }

    #[test]
    fn another_block_length_or_number_is_refused() {
        use block_descriptor as field;
        let length = [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0x10, 0];
        check_refused(&length, Sense::invalid_parameter(field::LOGICAL_BLOCK_LENGTH.bits.at(4)));
        let number = [0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 2, 0];
        check_refused(&number, Sense::invalid_parameter(field::NUMBER_OF_LOGICAL_BLOCKS.bits.at(4)));
    }

    #[test]
    fn a_descriptor_of_another_length_is_refused() {
        check_refused(&[0, 0, 0, 16], Sense::invalid_parameter(header6::BLOCK_DESCRIPTOR_LENGTH.bits));
    }

    #[test]
    fn a_list_of_no_page_format_is_refused() {
        let got = super::mode_select6(&mut unit(), &Cdb::new(&[0x15, 0, 0, 0, 4, 0]), &list(&[]));
        assert_eq!(got, Err(Sense::invalid_field(mode_select6::PF.bits)));
    }

    #[test]
    fn whatever_a_list_holds_it_takes_effect_whole_or_not_at_all() {
        let told = ask(&fixture::target(), mode_sense6, &[0x1a, 0, 0x3f, 0, 255, 0]).expect("all pages");
        let bent = (0..told.len() * 8).map(|bit| told.clone().tap(|list| list[bit / 8] ^= 1 << (bit % 8)));
        let cut = (0..told.len()).map(|end| told[..end].to_vec());
        for list in bent.chain(cut) {
            let mut unit = unit();
            let changed = select6(&mut unit, &list).is_ok_and(|change| change != Change::Nothing);
            assert_eq!(changed, unit.mode.current != unit.mode.default, "{list:02x?}");
        }
    }

    /// A value with a change made to it.
    trait Tap: Sized {
        fn tap(mut self, change: impl FnOnce(&mut Self)) -> Self {
            change(&mut self);
            self
        }
    }
    impl<T> Tap for T {}
}
