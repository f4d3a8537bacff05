//! LOG SELECT: counters go back to zero, initiators write their notes.
//!
//! Invariant: a list is checked to its end before its first parameter is written.

use super::{PAGES, Write, find, find_named};
use crate::unit::{Change, Unit};
use felio_spec::commands::log_select;
use felio_spec::log::{PageControl, header, parameter};
use felio_spec::sense::{Sense, code};
use felio_spec::{Bits, Cdb};

//= SPC-4 "LOG SELECT command"
/// LOG SELECT.
pub fn log_select(unit: &mut Unit, cdb: &Cdb, list: &[u8]) -> Result<Change, Sense> {
    use log_select::{PAGE_CODE, PARAMETER_LIST_LENGTH, PC, PCR, SUBPAGE_CODE};
    let control = PageControl::from_bits(cdb.get(PC));
    if cdb.get(PARAMETER_LIST_LENGTH) == 0 {
        return if cdb.get(PCR) || control == PageControl::DefaultCumulative {
            reset(unit, cdb)
        } else {
            check_page(cdb).map(|()| Change::Nothing) // No threshold can be set.
        };
    }
    //= SPC-4 "LOG SELECT command": with a list, PCR, PAGE CODE and SUBPAGE CODE are zero
    if cdb.get(PCR) {
        return Err(Sense::invalid_field(PCR.bits));
    }
    for field in [PAGE_CODE, SUBPAGE_CODE] {
        if cdb.get(field) != 0 {
            return Err(Sense::invalid_field(field.bits));
        }
    }
    let written = parse(list)?;
    if written.is_empty() {
        return Ok(Change::Nothing);
    }
    //= SPC-4 "LOG SELECT command": what can be written are current cumulative values and lists
    if control != PageControl::Cumulative {
        return Err(Sense::invalid_field(PC.bits));
    }
    for Written { write, code, value } in written {
        (write.apply)(unit, code, value);
    }
    Ok(Change::LogParameters)
}

/// Whether the CDB names all pages.
fn names_all(cdb: &Cdb) -> bool {
    cdb.get(log_select::PAGE_CODE) == 0 && cdb.get(log_select::SUBPAGE_CODE) == 0
}

fn check_page(cdb: &Cdb) -> Result<(), Sense> {
    find_named(cdb, log_select::PAGE_CODE, log_select::SUBPAGE_CODE).map(|_| ())
}

/// Resets the page that the CDB names, or all.
fn reset(unit: &mut Unit, cdb: &Cdb) -> Result<Change, Sense> {
    if names_all(cdb) {
        for (row, reset) in PAGES.iter().filter_map(|row| Some((row, row.reset?))) {
            row.subpages().for_each(|subpage| reset(unit, subpage));
        }
        return Ok(Change::LogParameters);
    }
    let row = find_named(cdb, log_select::PAGE_CODE, log_select::SUBPAGE_CODE)?;
    let Some(reset) = row.reset else { return Ok(Change::Nothing) };
    reset(unit, cdb.get(log_select::SUBPAGE_CODE));
    Ok(Change::LogParameters)
}

/// A parameter that passed every check, with the way to write it.
struct Written<'a> {
    write: Write,
    code: u16,
    value: &'a [u8],
}

fn parse(list: &[u8]) -> Result<Vec<Written<'_>>, Sense> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut before = None;
    while at < list.len() {
        let rest = &list[at..];
        let refuse = |bits: Bits| Err(Sense::invalid_parameter(bits.at(small(at))));
        if rest.len() < header::BYTES {
            return Err(code::PARAMETER_LIST_LENGTH_ERROR.into());
        }
        let (page, subpage) = (header::PAGE_CODE.get(rest), header::SUBPAGE_CODE.get(rest));
        let Some(row) = find(page, subpage) else { return refuse(header::PAGE_CODE.bits) };
        if header::SPF.get(rest) != (subpage != 0) {
            return refuse(header::SPF.bits);
        }
        //= SPC-4 "LOG SELECT command": pages stand in ascending order
        if before.is_some_and(|before| before >= (page, subpage)) {
            return refuse(header::PAGE_CODE.bits);
        }
        before = Some((page, subpage));
        let length = usize::from(header::PAGE_LENGTH.get(rest));
        let body = rest.get(header::BYTES..header::BYTES + length);
        let body = body.ok_or(code::PARAMETER_LIST_LENGTH_ERROR)?;
        match row.write {
            Some(write) => parse_page(write, body, at + header::BYTES, &mut found)?,
            None if body.is_empty() => {}
            None => return refuse(header::PAGE_CODE.bits),
        }
        at += header::BYTES + length;
    }
    Ok(found)
}

/// The parameters of one page, whose first byte is byte `base` of the list.
fn parse_page<'a>(
    write: Write,
    body: &'a [u8],
    base: usize,
    found: &mut Vec<Written<'a>>,
) -> Result<(), Sense> {
    let too_short = || Sense::new(code::PARAMETER_LIST_LENGTH_ERROR);
    let mut at = 0;
    let mut before = None;
    while at < body.len() {
        let rest = &body[at..];
        let refuse = |bits: Bits| Sense::invalid_parameter(bits.at(small(base + at)));
        if rest.len() < parameter::BYTES {
            return Err(too_short());
        }
        let code = parameter::PARAMETER_CODE.get(rest);
        //= SPC-4 "LOG SELECT command": parameters stand in ascending order
        if before.is_some_and(|before| before >= code) {
            return Err(refuse(parameter::PARAMETER_CODE.bits));
        }
        before = Some(code);
        let length = usize::from(parameter::PARAMETER_LENGTH.get(rest));
        let value = rest.get(parameter::BYTES..parameter::BYTES + length);
        let value = value.ok_or_else(too_short)?;
        (write.check)(code, value).map_err(refuse)?;
        found.push(Written { write, code, value });
        at += parameter::BYTES + length;
    }
    Ok(())
}

/// A parameter list is shorter than 64 KiB.
fn small(offset: usize) -> u16 {
    u16::try_from(offset).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::fixture::{self, ask_unit};
    use crate::parameters::log::log_sense;

    fn unit() -> Unit {
        let unit = Unit::new(fixture::unit(0));
        unit.counters.total.reads.add(7);
        unit
    }

    fn select(unit: &mut Unit, flags: u8, control: u8, page: u8, list: &[u8]) -> Result<Change, Sense> {
        let [high, low] = u16::try_from(list.len()).expect("short").to_be_bytes();
        super::log_select(
            unit,
            &Cdb::new(&[0x4c, flags, control << 6 | page, 0, 0, 0, 0, high, low, 0]),
            list,
        )
    }

    fn note(code: u8, byte: u8) -> Vec<u8> {
        [&[0, code, 3, 252][..], &[byte; 252]].concat()
    }

    fn page(code: u8, body: &[u8]) -> Vec<u8> {
        let [high, low] = u16::try_from(body.len()).expect("short").to_be_bytes();
        [&[code, 0, high, low][..], body].concat()
    }

    fn read_note(unit: &Unit, code: u8) -> u8 {
        let cdb = [0x4d, 0, 0x4f, 0, 0, 0, code, 0xff, 0xff, 0];
        ask_unit(&fixture::target(), unit, log_sense, &cdb).expect("the page")[8]
    }

    fn check_refused(list: &[u8], bits: Bits) {
        let mut unit = unit();
        assert_eq!(select(&mut unit, 0, 1, 0, list), Err(Sense::invalid_parameter(bits)));
        assert_eq!(read_note(&unit, 1), 0);
    }

    #[test]
    fn notes_can_be_written_and_read() {
        let mut unit = unit();
        let list = page(0x0f, &[note(1, 0xaa), note(63, 0xbb)].concat());
        assert_eq!(select(&mut unit, 0, 1, 0, &list), Ok(Change::LogParameters));
        assert_eq!([0, 1, 63].map(|code| read_note(&unit, code)), [0, 0xaa, 0xbb]);
    }

    #[test]
    fn counters_are_reset_page_by_page_or_all_at_once() {
        for (flags, control, number) in [(2, 1, 0x30), (2, 0, 0), (0, 3, 0x19)] {
            let mut unit = unit();
            assert_eq!(select(&mut unit, flags, control, number, &[]), Ok(Change::LogParameters));
            assert_eq!(unit.counters.total.reads.get(), 0);
        }
    }

    #[test]
    fn what_cannot_be_reset_stays() {
        let mut unit = unit();
        assert_eq!(select(&mut unit, 2, 1, 0x0d, &[]), Ok(Change::Nothing));
        assert_eq!(select(&mut unit, 0, 1, 0, &[]), Ok(Change::Nothing));
        assert_eq!(unit.counters.total.reads.get(), 7);
    }

    #[test]
    fn a_page_that_does_not_exist_cannot_be_reset() {
        let refused = Err(Sense::invalid_field(log_select::PAGE_CODE.bits));
        assert_eq!(select(&mut unit(), 2, 1, 0x3e, &[]), refused);
        assert_eq!(select(&mut unit(), 0, 1, 0x3e, &[]), refused);
    }

    #[test]
    fn a_list_excludes_a_reset_and_a_page_in_the_cdb() {
        let list = page(0x0f, &note(1, 1));
        assert_eq!(select(&mut unit(), 2, 1, 0, &list), Err(Sense::invalid_field(log_select::PCR.bits)));
        let refused = Err(Sense::invalid_field(log_select::PAGE_CODE.bits));
        assert_eq!(select(&mut unit(), 0, 1, 0x0f, &list), refused);
    }

    #[test]
    fn thresholds_cannot_be_written() {
        let list = page(0x0f, &note(1, 1));
        assert_eq!(select(&mut unit(), 0, 0, 0, &list), Err(Sense::invalid_field(log_select::PC.bits)));
    }

    #[test]
    fn a_bad_parameter_undoes_the_good_one_before_it() {
        let list = page(0x0f, &[note(1, 0xaa), note(64, 0xbb)].concat());
        check_refused(&list, parameter::PARAMETER_CODE.bits.at(4 + 256));
        let list = page(0x0f, &[note(1, 0xaa), vec![0, 2, 3, 1, 0]].concat());
        check_refused(&list, parameter::PARAMETER_LENGTH.bits.at(4 + 256));
    }

    #[test]
    fn pages_and_parameters_out_of_order_are_refused() {
        let list = page(0x0f, &[note(1, 1), note(1, 1)].concat());
        check_refused(&list, parameter::PARAMETER_CODE.bits.at(4 + 256));
        let list = [page(0x0f, &note(1, 1)), page(0x0f, &[])].concat();
        check_refused(&list, header::PAGE_CODE.bits.at(4 + 256));
    }

    #[test]
    fn a_page_that_cannot_be_written_is_refused() {
        check_refused(&page(0x30, &[0, 0, 0, 1, 0]), header::PAGE_CODE.bits);
    }

    #[test]
    fn a_list_that_ends_within_something_is_too_short() {
        let whole = page(0x0f, &note(1, 1));
        for end in 1..whole.len() {
            let mut unit = unit();
            let refused = Err(Sense::new(code::PARAMETER_LIST_LENGTH_ERROR));
            assert_eq!(select(&mut unit, 0, 1, 0, &whole[..end]), refused, "{end}");
        }
    }
}
