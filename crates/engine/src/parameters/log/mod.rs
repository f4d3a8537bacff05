//! Log pages: what a unit has counted and noted, and what initiators may reset or note themselves.
//!
//! `PAGES` has a row for each page and subpage; the lists of pages are derived from it. A row's body hands its
//! parameters to `Parameters`, in ascending order, which picks what the initiator asks for. `select` is the way back.
//!
//! Thresholds: no parameter has one (ETC=0), so that every threshold is the greatest value there is. List parameters are
//! what they are, whichever values are asked for. Nothing is saved.

mod notes;
mod pages;
mod select;

pub use notes::Notes;
pub use select::log_select;

use crate::commands::View;
use crate::unit::Unit;
use crate::writer::Writer;
use core::ops::RangeInclusive;
use felio_spec::commands::log_sense;
use felio_spec::log::{ALL_SUBPAGES, PageControl, format, header, page, parameter, supported_subpage};
use felio_spec::{Bits, Cdb, Field, Sense};

/// One log page.
struct Page {
    /// PAGE CODE.
    page: u8,
    /// SUBPAGE CODE, the first of those that the row stands for.
    subpage: u8,
    /// The last of them.
    last: u8,
    /// What follows the header.
    body: Body,
    /// Sets every parameter that can be reset to what it was at first.
    reset: Option<Reset>,
    /// How LOG SELECT writes parameters.
    write: Option<Write>,
}

/// Is given the subpage.
type Reset = fn(&mut Unit, u8);

/// What stands in a page.
enum Body {
    /// The pages with subpage zero.
    Pages,
    /// All pages and subpages.
    Subpages,
    /// Parameters.
    Parameters(fn(&View<'_>, &mut Parameters<'_>)),
}

/// How initiators write a page's parameters.
#[derive(Clone, Copy)]
struct Write {
    /// Refuses a parameter that cannot hold the value; the field is one of [`parameter`].
    check: fn(code: u16, value: &[u8]) -> Result<(), Bits>,
    /// Writes one that can.
    apply: fn(&mut Unit, code: u16, value: &[u8]),
}

impl Page {
    /// A page that initiators can only read.
    const fn read_only(page: u8, subpage: u8, body: Body) -> Self {
        Self { page, subpage, last: subpage, body, reset: None, write: None }
    }

    /// A page without subpages that initiators can reset.
    const fn counts(page: u8, body: fn(&View<'_>, &mut Parameters<'_>), reset: Reset) -> Self {
        Self { reset: Some(reset), ..Self::read_only(page, 0, Body::Parameters(body)) }
    }

    /// The subpages that the row stands for.
    const fn subpages(&self) -> RangeInclusive<u8> {
        self.subpage..=self.last
    }
}

/// The pages, in ascending order.
const PAGES: &[Page] = &[
    Page::read_only(page::SUPPORTED, 0, Body::Pages),
    Page::read_only(page::SUPPORTED, ALL_SUBPAGES, Body::Subpages),
    Page::read_only(page::LOGICAL_BLOCK_PROVISIONING, 0, Body::Parameters(pages::provisioning)),
    Page::read_only(page::TEMPERATURE, 0, Body::Parameters(pages::temperature)),
    Page::counts(page::START_STOP_CYCLES, pages::start_stop_cycles, pages::reset_counters),
    Page {
        write: Some(notes::WRITE),
        ..Page::counts(page::APPLICATION_CLIENT, notes::application_client, notes::reset)
    },
    Page::read_only(page::SELF_TEST_RESULTS, 0, Body::Parameters(pages::self_tests)),
    Page::counts(page::STATISTICS, pages::statistics, pages::reset_counters),
    Page {
        subpage: 1,
        last: 31,
        ..Page::counts(page::STATISTICS, pages::group_statistics, pages::reset_group)
    },
    Page::read_only(page::INFORMATIONAL_EXCEPTIONS, 0, Body::Parameters(pages::informational_exceptions)),
    Page::counts(page::VENDOR, pages::counters, pages::reset_counters),
];

/// The page of that code and subpage.
fn find(page: u8, subpage: u8) -> Option<&'static Page> {
    PAGES.iter().find(|row| row.page == page && row.subpages().contains(&subpage))
}

/// The page that a CDB names, or the field that names none.
fn find_named(cdb: &Cdb, page: Field<u8>, subpage: Field<u8>) -> Result<&'static Page, Sense> {
    let code = cdb.get(page);
    find(code, cdb.get(subpage)).ok_or_else(|| {
        let known = PAGES.iter().any(|row| row.page == code);
        Sense::invalid_field(if known { subpage.bits } else { page.bits })
    })
}

//= SPC-4 "LOG SENSE command"
/// LOG SENSE.
pub fn log_sense(view: &View<'_>, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    use log_sense::{PAGE_CODE, PARAMETER_POINTER, PC, SUBPAGE_CODE};
    let row = find_named(cdb, PAGE_CODE, SUBPAGE_CODE)?;
    let (subpage, pointer) = (cdb.get(SUBPAGE_CODE), cdb.get(PARAMETER_POINTER));
    data.zeros(header::BYTES);
    data.set(0, header::DS, matches!(row.body, Body::Parameters(_)));
    data.set(0, header::SPF, subpage != 0);
    data.set(0, header::PAGE_CODE, row.page);
    data.set(0, header::SUBPAGE_CODE, subpage);
    let mut highest = None;
    match row.body {
        Body::Pages => put_pages(data),
        Body::Subpages => put_subpages(data),
        Body::Parameters(body) => {
            let control = PageControl::from_bits(cdb.get(PC));
            let mut parameters = Parameters { data, subpage, control, pointer, highest: None };
            body(view, &mut parameters);
            highest = parameters.highest;
        }
    }
    //= SPC-4 "LOG SENSE command": a PARAMETER POINTER behind the last parameter is an invalid field
    if pointer > highest.unwrap_or(0) {
        return Err(Sense::invalid_field(PARAMETER_POINTER.bits));
    }
    let length = data.len() - header::BYTES;
    data.set(0, header::PAGE_LENGTH, u16::try_from(length).unwrap_or(u16::MAX));
    Ok(())
}

//= SPC-4 "Supported Log Pages log page"
fn put_pages(data: &mut Writer) {
    for row in PAGES.iter().filter(|row| row.subpage == 0) {
        data.u8(row.page);
    }
}

//= SPC-4 "Supported Log Pages and Subpages log page"
fn put_subpages(data: &mut Writer) {
    for (row, subpage) in PAGES.iter().flat_map(|row| row.subpages().map(move |subpage| (row, subpage))) {
        let base = data.len();
        data.zeros(supported_subpage::BYTES);
        data.set(base, supported_subpage::PAGE_CODE, row.page);
        data.set(base, supported_subpage::SUBPAGE_CODE, subpage);
    }
}

/// Takes the parameters of a page, in ascending order, and keeps those that are asked for.
pub(crate) struct Parameters<'a> {
    data: &'a mut Writer,
    /// The subpage that is asked for.
    subpage: u8,
    control: PageControl,
    /// The first parameter that is wanted.
    pointer: u16,
    /// The last parameter that there is.
    highest: Option<u16>,
}

impl Parameters<'_> {
    /// A counter of so many bytes, eight at most.
    pub(crate) fn counter(&mut self, code: u16, bytes: usize, value: u64) {
        let limit = u64::MAX >> (64 - 8 * bytes.clamp(1, 8));
        let value = match self.control {
            PageControl::Threshold | PageControl::DefaultThreshold => limit,
            PageControl::Cumulative => value.min(limit),
            PageControl::DefaultCumulative => 0,
        };
        let whole = value.to_be_bytes();
        self.put(code, format::BOUNDED_COUNTER, &whole[whole.len() - bytes.clamp(1, 8)..]);
    }

    /// A list parameter of numbers.
    pub(crate) fn binary(&mut self, code: u16, value: &[u8]) {
        self.put(code, format::BINARY_LIST, value);
    }

    fn put(&mut self, code: u16, format: u8, value: &[u8]) {
        assert!(self.highest.is_none_or(|before| before < code), "log parameters stand in ascending order");
        self.highest = Some(code);
        if code < self.pointer {
            return;
        }
        let base = self.data.len();
        self.data.zeros(parameter::BYTES);
        self.data.set(base, parameter::PARAMETER_CODE, code);
        self.data.set(base, parameter::FORMAT_AND_LINKING, format);
        self.data.set(base, parameter::PARAMETER_LENGTH, u8::try_from(value.len()).unwrap_or(u8::MAX));
        self.data.bytes(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::fixture::{self, ask, ask_unit};

    fn sense(page: u8, subpage: u8, pointer: u16) -> Result<Vec<u8>, Sense> {
        let [high, low] = pointer.to_be_bytes();
        ask(&fixture::target(), log_sense, &[0x4d, 0, 0x40 | page, subpage, 0, high, low, 0xff, 0xff, 0])
    }

    #[test]
    fn pages_stand_in_ascending_order() {
        let disorder = |pair: &[Page]| (pair[0].page, pair[0].last) >= (pair[1].page, pair[1].subpage);
        assert!(!PAGES.windows(2).any(disorder));
    }

    #[test]
    fn the_list_of_pages_names_each_once_and_every_page_can_be_had() {
        let list = sense(0, 0, 0).expect("the list");
        assert!(list[4..].is_sorted_by(|a, b| a < b));
        for code in &list[4..] {
            let page = sense(*code, 0, 0).expect("a page");
            assert_eq!((page[0] & 0x3f, page[1]), (*code, 0));
            assert_eq!(usize::from(u16::from_be_bytes([page[2], page[3]])), page.len() - 4);
        }
    }

    #[test]
    fn the_list_of_subpages_names_every_row_and_sets_spf_on_itself_only() {
        let list = sense(0, 0xff, 0).expect("the list");
        assert_eq!(list[..8], [0x40, 0xff, 0, list.len().try_into().unwrap_or(0) - 4, 0, 0, 0, 0xff]);
        for row in list[4..].chunks_exact(2) {
            let page = sense(row[0], row[1], 0).expect("a page");
            assert_eq!((page[0] & 0x40 != 0, page[1]), (row[1] != 0, row[1]));
        }
    }

    #[test]
    fn parameters_begin_where_the_pointer_points() {
        let page = sense(0x0f, 0, 62).expect("the page");
        assert_eq!((page.len(), &page[4..8]), (4 + 2 * 256, &[0, 62, 3, 252][..]));
    }

    #[test]
    fn a_pointer_behind_the_last_parameter_is_refused() {
        let refused = Err(Sense::invalid_field(log_sense::PARAMETER_POINTER.bits));
        assert_eq!(sense(0x0f, 0, 64), refused);
        assert_eq!(sense(0, 0, 1), refused);
    }

    #[test]
    fn pages_and_subpages_that_we_do_not_have_are_refused() {
        assert_eq!(sense(0x3e, 0, 0), Err(Sense::invalid_field(log_sense::PAGE_CODE.bits)));
        assert_eq!(sense(0x0d, 7, 0), Err(Sense::invalid_field(log_sense::SUBPAGE_CODE.bits)));
    }

    #[test]
    fn which_values_are_asked_for_matters_for_counters_only() {
        let unit = Unit::new(fixture::unit(0));
        unit.counters.total.reads.add(7);
        let get = |page: u8, control: u8| {
            let cdb = [0x4d, 0, control << 6 | page, 0, 0, 0, 0, 0xff, 0xff, 0];
            ask_unit(&fixture::target(), &unit, log_sense, &cdb).expect("a page")
        };
        assert_eq!(get(0x30, 1)[8..16], 7u64.to_be_bytes());
        assert_eq!(get(0x30, 3)[8..16], [0; 8]);
        assert_eq!(get(0x30, 0)[8..16], [0xff; 8]);
        assert_eq!(get(0x2f, 0), get(0x2f, 1));
    }
}
