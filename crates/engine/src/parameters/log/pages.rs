//! The pages that the unit itself fills.

use super::Parameters;
use crate::commands::View;
use crate::counters::{Counters, Traffic};
use crate::thin::threshold_sets;
use crate::unit::Unit;
use core::time::Duration;
use felio_spec::log::{
    NO_ADDRESS, SELF_TEST_RESULTS, TEMPERATURE_UNKNOWN, fua_statistics,
    informational_exceptions as exceptions, provisioning_resource, self_test_result, statistics as general,
    temperature as layout,
};
use felio_spec::sense::code;

/// felio's own counters, eight bytes each: parameter code and value, as ARCHITECTURE.md describes them.
/// A number once given is never given to another counter.
const COUNTERS: &[(u16, Read)] = &[
    (0x0000, |counters| counters.total.reads.get()),
    (0x0001, |counters| counters.total.read_blocks.get()),
    (0x0002, |counters| counters.total.writes.get()),
    (0x0003, |counters| counters.total.written_blocks.get()),
    (0x0004, |counters| counters.verifies.get()),
    (0x0005, |counters| counters.combines.get()),
    (0x0006, |counters| counters.write_sames.get()),
    (0x0007, |counters| counters.unmaps.get()),
    (0x0008, |counters| counters.synchronizes.get()),
    (0x0009, |counters| counters.failures.get()),
];

type Read = fn(&Counters) -> u64;

//= SPC-4 "Temperature log page": what a file or a volume is stored on has no temperature that we could ask for.
pub(super) fn temperature(_view: &View<'_>, parameters: &mut Parameters<'_>) {
    const TEMPERATURE: u16 = 0;
    const REFERENCE_TEMPERATURE: u16 = 1;
    for code in [TEMPERATURE, REFERENCE_TEMPERATURE] {
        let mut value = [0; layout::BYTES];
        layout::TEMPERATURE.set(&mut value, TEMPERATURE_UNKNOWN);
        parameters.binary(code, &value);
    }
}

/// Space, where the store tells of it and has done so.
//= SBC-3 "Logical Block Provisioning log page"
pub(super) fn provisioning(view: &View<'_>, parameters: &mut Parameters<'_>) {
    use provisioning_resource as field;
    const AVAILABLE: u16 = 0x0001;
    const USED: u16 = 0x0002;
    /// SCOPE.
    const DEDICATED: u8 = 1;
    const SHARED: u8 = 2;
    let Some(space) = view.unit.thin.space else { return };
    for (code, bytes, scope) in [(AVAILABLE, space.available, SHARED), (USED, space.used, DEDICATED)] {
        let mut value = [0; field::BYTES];
        field::RESOURCE_COUNT.set(&mut value, threshold_sets(bytes, &view.unit.geometry));
        field::SCOPE.set(&mut value, scope);
        parameters.binary(code, &value);
    }
}

//= SPC-4 "Self-Test Results log page": the latest first, zeros where there was none
pub(super) fn self_tests(view: &View<'_>, parameters: &mut Parameters<'_>) {
    use self_test_result as field;
    let mut reports = view.unit.self_tests.reports(view.now);
    for code in (1u16..).take(SELF_TEST_RESULTS) {
        let mut value = [0; field::BYTES];
        if let Some(report) = reports.next() {
            let hours = report.at.0 / Duration::from_secs(3600).as_nanos().try_into().unwrap_or(u64::MAX);
            let hours = u16::try_from(hours).unwrap_or(u16::MAX);
            let address = report.failure.and_then(|sense| sense.information).unwrap_or(NO_ADDRESS);
            field::SELF_TEST_CODE.set(&mut value, report.kind.code());
            field::SELF_TEST_RESULTS.set(&mut value, report.result);
            field::ACCUMULATED_POWER_ON_HOURS.set(&mut value, hours);
            field::ADDRESS_OF_FIRST_FAILURE.set(&mut value, address);
            if let Some(sense) = report.failure {
                field::SELF_TEST_NUMBER.set(&mut value, READING);
                field::SENSE_KEY.set(&mut value, sense.code.key.0);
                field::ADDITIONAL_SENSE_CODE.set(&mut value, sense.code.asc);
                field::ADDITIONAL_SENSE_CODE_QUALIFIER.set(&mut value, sense.code.ascq);
            }
        }
        parameters.binary(code, &value);
    }
}

/// SELF-TEST NUMBER: the one part that there is.
const READING: u8 = 1;

//= SPC-4 "Start-Stop Cycle Counter log page": nobody knows the dates, or how many cycles are too many.
pub(super) fn start_stop_cycles(view: &View<'_>, parameters: &mut Parameters<'_>) {
    const ACCUMULATED_CYCLES: u16 = 4;
    let starts = u32::try_from(view.unit.counters.starts.get()).unwrap_or(u32::MAX);
    parameters.binary(ACCUMULATED_CYCLES, &starts.to_be_bytes());
}

//= SPC-4 "General Statistics and Performance log page"
pub(super) fn statistics(view: &View<'_>, parameters: &mut Parameters<'_>) {
    put_traffic(&view.unit.counters.total, parameters);
}

//= SPC-4 "Group Statistics and Performance (n) log pages": the subpage is the group
pub(super) fn group_statistics(view: &View<'_>, parameters: &mut Parameters<'_>) {
    if let Some(traffic) = view.unit.counters.group(parameters.subpage) {
        put_traffic(traffic, parameters);
    }
}

/// Commands and blocks; no time is measured for each command, so that the intervals stay zero and no Time Interval
/// parameter says what they would be.
fn put_traffic(traffic: &Traffic, parameters: &mut Parameters<'_>) {
    const GENERAL: u16 = 1;
    const FORCE_UNIT_ACCESS: u16 = 4;
    let mut value = [0; general::BYTES];
    general::NUMBER_OF_READ_COMMANDS.set(&mut value, traffic.reads.get());
    general::NUMBER_OF_WRITE_COMMANDS.set(&mut value, traffic.writes.get());
    general::NUMBER_OF_LOGICAL_BLOCKS_RECEIVED.set(&mut value, traffic.written_blocks.get());
    general::NUMBER_OF_LOGICAL_BLOCKS_TRANSMITTED.set(&mut value, traffic.read_blocks.get());
    parameters.binary(GENERAL, &value);
    let mut value = [0; fua_statistics::BYTES];
    fua_statistics::NUMBER_OF_READ_FUA_COMMANDS.set(&mut value, traffic.fua_reads.get());
    fua_statistics::NUMBER_OF_WRITE_FUA_COMMANDS.set(&mut value, traffic.fua_writes.get());
    parameters.binary(FORCE_UNIT_ACCESS, &value);
}

/// The same counters stand in both pages that tell them.
pub(super) fn reset_counters(unit: &mut Unit, _subpage: u8) {
    unit.counters = Counters::default();
}

pub(super) fn reset_group(unit: &mut Unit, subpage: u8) {
    unit.counters.reset_group(subpage);
}

//= SPC-4 "Informational Exceptions log page"
pub(super) fn informational_exceptions(view: &View<'_>, parameters: &mut Parameters<'_>) {
    const GENERAL: u16 = 0;
    let mut value = [0; exceptions::BYTES];
    if view.unit.mode.false_exception().is_some() {
        let exception = code::FAILURE_PREDICTION_FALSE;
        exceptions::ADDITIONAL_SENSE_CODE.set(&mut value, exception.asc);
        exceptions::ADDITIONAL_SENSE_CODE_QUALIFIER.set(&mut value, exception.ascq);
    }
    exceptions::MOST_RECENT_TEMPERATURE_READING.set(&mut value, TEMPERATURE_UNKNOWN);
    parameters.binary(GENERAL, &value);
}

/// The vendor's page.
pub(super) fn counters(view: &View<'_>, parameters: &mut Parameters<'_>) {
    for (code, value) in COUNTERS {
        parameters.counter(*code, 8, value(&view.unit.counters));
    }
}
