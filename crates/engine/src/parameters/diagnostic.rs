//! SEND DIAGNOSTIC and RECEIVE DIAGNOSTIC RESULTS: what their CDBs and lists ask for.
//!
//! The self-tests themselves are in `selftest`. There is one diagnostic page: the list of pages.

use crate::commands::View;
use crate::selftest::{Ground, Kind};
use crate::unit::{Change, Unit};
use crate::writer::Writer;
use felio_spec::commands::{receive_diagnostic_results as receive, send_diagnostic};
use felio_spec::report::{SUPPORTED_DIAGNOSTIC_PAGES, diagnostic_page, self_test_code};
use felio_spec::sense::code;
use felio_spec::{Cdb, Sense};

//= SPC-4 "SEND DIAGNOSTIC command"
/// SEND DIAGNOSTIC.
pub fn send(unit: &mut Unit, cdb: &Cdb, list: &[u8]) -> Result<Change, Sense> {
    use send_diagnostic::{PARAMETER_LIST_LENGTH, PF, SELF_TEST_CODE, SELFTEST};
    let invalid = Err(Sense::invalid_field(SELF_TEST_CODE.bits));
    let running = unit.self_tests.running.is_some();
    let kind = match (cdb.get(SELFTEST), cdb.get(SELF_TEST_CODE)) {
        (true, self_test_code::NONE) => Some(Kind::Default),
        (false, self_test_code::NONE) => None,
        (false, self_test_code::BACKGROUND_SHORT) => Some(Kind::Short(Ground::Background)),
        (false, self_test_code::BACKGROUND_EXTENDED) => Some(Kind::Extended(Ground::Background)),
        (false, self_test_code::FOREGROUND_SHORT) => Some(Kind::Short(Ground::Foreground)),
        (false, self_test_code::FOREGROUND_EXTENDED) => Some(Kind::Extended(Ground::Foreground)),
        (false, self_test_code::ABORT_BACKGROUND) if running => return Ok(Change::AbortSelfTest),
        _ => return invalid,
    };
    if kind.is_some() && cdb.get(PARAMETER_LIST_LENGTH) != 0 {
        return Err(Sense::invalid_field(PARAMETER_LIST_LENGTH.bits));
    }
    //= SPC-4 "Background mode": one test at a time
    if running {
        return Err(code::SELF_TEST_IN_PROGRESS.into());
    }
    match kind {
        Some(kind) => Ok(Change::SelfTest(kind)),
        None if !list.is_empty() && !cdb.get(PF) => Err(Sense::invalid_field(PF.bits)),
        None => check_page(list).map(|()| Change::Nothing),
    }
}

/// A list may ask for the list of pages, which RECEIVE DIAGNOSTIC RESULTS tells anyway.
fn check_page(list: &[u8]) -> Result<(), Sense> {
    if list.is_empty() {
        return Ok(());
    }
    if list.len() < diagnostic_page::BYTES {
        return Err(code::PARAMETER_LIST_LENGTH_ERROR.into());
    }
    if diagnostic_page::PAGE_CODE.get(list) != SUPPORTED_DIAGNOSTIC_PAGES {
        return Err(Sense::invalid_parameter(diagnostic_page::PAGE_CODE.bits));
    }
    if diagnostic_page::PAGE_LENGTH.get(list) != 0 {
        return Err(Sense::invalid_parameter(diagnostic_page::PAGE_LENGTH.bits));
    }
    Ok(())
}

//= SPC-4 "RECEIVE DIAGNOSTIC RESULTS command"
/// RECEIVE DIAGNOSTIC RESULTS.
pub fn receive(_view: &View<'_>, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    let code = cdb.get(receive::PAGE_CODE);
    if code != SUPPORTED_DIAGNOSTIC_PAGES {
        return Err(Sense::invalid_field(receive::PAGE_CODE.bits));
    }
    data.zeros(diagnostic_page::BYTES);
    data.set(0, diagnostic_page::PAGE_CODE, code);
    data.set(0, diagnostic_page::PAGE_LENGTH, 1);
    data.u8(SUPPORTED_DIAGNOSTIC_PAGES);
    Ok(())
}
