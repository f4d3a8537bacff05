//! Mode pages, told and selected.

use super::*;
use crate::parameters::fixture::{self, ask, ask_unit};
use crate::unit::{Change, Unit};
use felio_hal::Time;
use felio_spec::commands::{mode_select6, mode_sense6};
use felio_spec::mode::{block_descriptor, header6, page0};
use felio_spec::sense::{Code, Sense, code};
use felio_spec::{Bits, Cdb};

const CACHING_PAGE: [u8; 20] = [0x88, 18, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0];
const CONTROL_PAGE: [u8; 12] = [0x8a, 10, 2, 0x10, 0, 0x40, 0, 0, 0xff, 0xff, 0, 60];

fn sense6(page: u8, subpage: u8) -> Result<Vec<u8>, Sense> {
    ask(&fixture::target(), mode_sense6, &[0x1a, 8, page, subpage, 255, 0])
}

fn unit() -> Unit {
    Unit::new(fixture::unit(0))
}

/// What the list changes, which has then taken effect.
fn select6(unit: &mut Unit, list: &[u8]) -> Result<Effected, Sense> {
    select(unit, 0x10, list)
}

/// The same, with the flags of byte 1.
fn select(unit: &mut Unit, flags: u8, list: &[u8]) -> Result<Effected, Sense> {
    let length = u8::try_from(list.len()).expect("short");
    let change = super::mode_select6(unit, &Cdb::new(&[0x15, flags, 0, 0, length, 0]), list)?;
    Ok(effected(unit, &change))
}

/// What became of a MODE SELECT.
#[derive(Debug, PartialEq, Eq)]
enum Effected {
    Nothing,
    Changed,
    /// And the cache is to be emptied.
    Flushed,
}

fn effected(unit: &mut Unit, change: &Change) -> Effected {
    let nothing = *change == Change::Nothing;
    let flush = unit.apply(change.clone(), fixture::NEXUS, Time(0)).flush;
    match (nothing, flush) {
        (true, _) => Effected::Nothing,
        (false, false) => Effected::Changed,
        (false, true) => Effected::Flushed,
    }
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
    assert_eq!((usize::from(data[0]), &data[1..4]), (data.len() - 1, &[0, 0x10, 0][..]));
    let (mut at, mut pages) = (4, Vec::new());
    while at < data.len() {
        pages.push(data[at] & 0x3f);
        at += 2 + usize::from(data[at + 1]);
    }
    let want: Vec<u8> = PAGES.iter().filter(|page| page.subpage == 0).map(|page| page.page).collect();
    assert_eq!(pages, want);
}

#[test]
fn subpages_come_for_the_asking() {
    let (pages, all) = (sense6(0x3f, 0).expect("pages"), sense6(0x3f, 0xff).expect("subpages too"));
    let subpages: usize = PAGES.iter().filter(|page| page.subpage != 0).map(|page| page.bytes).sum();
    assert_eq!(all.len(), pages.len() + subpages);
    let extension = sense6(0x0a, 1).expect("the subpage");
    assert_eq!(extension[4..10], [0xca, 1, 0, 28, 6, 0]);
    assert_eq!(sense6(0x0a, 0xff).expect("both").len(), 4 + 12 + 32);
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
    target.unit_mut(0).read_only = true;
    let data = ask(&target, mode_sense6, &[0x1a, 8, 0x0a, 0, 255, 0]).expect("a page");
    assert_eq!(data[2], 0x90);
}

#[test]
fn what_can_be_changed_is_told() {
    let data = sense6(0x40 | 0x3f, 0xff).expect("all pages");
    assert_eq!(data[4 + CACHING..][..4], [0x88, 18, 4, 0]);
    let control = &data[4 + CONTROL..];
    assert_eq!((control[2] & 4, control[4] & 8, control[5] & 0x40), (4, 8, 0x40)); // D_SENSE, SWP, TAS
}

#[test]
fn the_cache_of_a_store_without_one_cannot_be_enabled() {
    let mut target = fixture::target();
    target.unit_mut(0).limits.write_cache = WriteCache::Off;
    let now = ask(&target, mode_sense6, &[0x1a, 8, 0x08, 0, 255, 0]).expect("a page");
    let mask = ask(&target, mode_sense6, &[0x1a, 8, 0x48, 0, 255, 0]).expect("a page");
    assert_eq!((now[6], mask[6]), (0, 0));
}

#[test]
fn without_a_place_for_it_nothing_is_saved() {
    let mut target = fixture::target();
    target.unit_mut(0).limits.state = false;
    let code: Code = code::SAVING_PARAMETERS_NOT_SUPPORTED;
    assert_eq!(ask(&target, mode_sense6, &[0x1a, 8, 0xca, 0, 255, 0]), Err(code.into()));
    assert_eq!(ask(&target, mode_sense6, &[0x1a, 8, 0x0a, 0, 255, 0]).map(|data| data[4]), Ok(0x0a));
}

#[test]
fn what_is_saved_comes_back_with_a_reset() {
    let (mut unit, target) = (unit(), fixture::target());
    let saved =
        |unit: &Unit| ask_unit(&target, unit, mode_sense6, &[0x1a, 8, 0xca, 0, 255, 0]).expect("a page")[8];
    let page = CONTROL_PAGE.tap(|page| page[4] = 8);
    assert_eq!((select6(&mut unit, &list(&[&page])), saved(&unit)), (Ok(Effected::Changed), 0));
    assert_eq!((select(&mut unit, 0x11, &[]), saved(&unit)), (Ok(Effected::Changed), 8));
    unit.mode.apply(&Selected { current: unit.mode.default, saved: None });
    unit.mode.reset();
    assert!(unit.mode.software_write_protect());
}

#[test]
fn a_test_of_exceptions_is_not_saved() {
    let mut unit = unit();
    let page = [0x1c, 10, 4, 6, 0, 0, 0, 0, 0, 0, 0, 0]; // TEST, MRIE
    assert_eq!(select(&mut unit, 0x11, &list(&[&page])), Ok(Effected::Changed));
    assert_eq!(unit.mode.false_exception(), Some(Reporting::OnRequest));
    unit.mode.reset();
    assert_eq!(unit.mode.false_exception(), None);
    assert_eq!(unit.mode.get(EXCEPTIONS, exceptions::MRIE), 6);
}

#[test]
fn values_and_pairs_that_a_row_does_not_allow_are_refused() {
    let mrie = [0x1c, 10, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    check_refused(&list(&[&mrie]), Sense::invalid_parameter(exceptions::MRIE.bits.at(4)));
    let both = [0x1c, 10, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    check_refused(&list(&[&both]), Sense::invalid_parameter(exceptions::TEST.bits.at(4)));
    let refused = |byte: usize, value: u8, field: Bits| {
        let page = CONTROL_PAGE.tap(|page| page[byte] |= value);
        check_refused(&list(&[&page]), Sense::invalid_parameter(field.at(4)));
    };
    refused(2, 0x40, control::TST.bits);
    refused(3, 0x20, control::QUEUE_ALGORITHM_MODIFIER.bits);
    refused(3, 0x04, control::QERR.bits);
    refused(4, 0x10, control::UA_INTLCK_CTRL.bits);
}

#[test]
fn pages_and_subpages_that_we_do_not_have_are_refused() {
    assert_eq!(sense6(0x03, 0), Err(Sense::invalid_field(mode_sense6::PAGE_CODE.bits)));
    assert_eq!(sense6(0x0a, 0x20), Err(Sense::invalid_field(mode_sense6::SUBPAGE_CODE.bits)));
    assert_eq!(sense6(0x3f, 1), Err(Sense::invalid_field(mode_sense6::SUBPAGE_CODE.bits)));
}

#[test]
fn a_change_takes_effect_and_leaves_the_defaults() {
    let (mut unit, target) = (unit(), fixture::target());
    let page = CONTROL_PAGE.tap(|page| (page[2], page[4]) = (6, 8));
    assert_eq!(select6(&mut unit, &list(&[&page])), Ok(Effected::Changed));
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
    assert_eq!(select6(&mut unit, &list(&[&caching, &control])), Ok(Effected::Flushed));
    assert!(!unit.mode.write_cache_enabled() && !unit.mode.task_aborted_status());
}

#[test]
fn what_was_told_can_be_sent_back_and_changes_nothing() {
    let told = ask(&fixture::target(), mode_sense6, &[0x1a, 0, 0x3f, 0, 255, 0]).expect("all pages");
    assert_eq!(select6(&mut unit(), &told), Ok(Effected::Nothing));
    let cdb = [0x5a, 0x10, 0x3f, 0, 0, 0, 0, 0, 255, 0];
    let told = ask(&fixture::target(), mode_sense10, &cdb).expect("all pages");
    let cdb = Cdb::new(&[0x55, 0x10, 0, 0, 0, 0, 0, 0, 255, 0]);
    assert_eq!(super::mode_select10(&mut unit(), &cdb, &told), Ok(Change::Nothing));
}

#[test]
fn no_list_is_no_change() {
    assert_eq!(select6(&mut unit(), &[]), Ok(Effected::Nothing));
    assert_eq!(select6(&mut unit(), &list(&[])), Ok(Effected::Nothing));
}

#[test]
fn a_bad_page_undoes_the_good_one_before_it() {
    let good = CACHING_PAGE.tap(|page| page[2] = 0);
    let bad = CONTROL_PAGE.tap(|page| page[3] = 0x11);
    check_refused(&list(&[&good, &bad]), bit(4 + 20 + 3, 0));
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
    check_refused(&list(&[&[3, 10]]), Sense::invalid_parameter(page0::PAGE_CODE.bits.at(4)));
    check_refused(&list(&[&[0x4a, 0x20, 0, 8]]), Sense::invalid_parameter(page0::PAGE_CODE.bits.at(4)));
}

#[test]
fn the_saveable_bit_means_nothing_in_a_list() {
    for header in [0x0a, 0x8a] {
        let page = CONTROL_PAGE.tap(|page| (page[0], page[4]) = (header, 8));
        assert_eq!(select6(&mut unit(), &list(&[&page])), Ok(Effected::Changed));
    }
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
        let changed = select6(&mut unit, &list).is_ok_and(|change| change != Effected::Nothing);
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
