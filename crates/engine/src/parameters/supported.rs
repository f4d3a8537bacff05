//! What a unit supports: operation codes, derived from the table of [`commands`](crate::commands), and task management
//! functions.

use crate::commands::{TABLE, View};
use crate::management::PATIENCE;
use crate::writer::Writer;
use felio_spec::cdb::Timeouts;
use felio_spec::commands::report_supported_operation_codes::{
    RCTD, REPORTING_OPTIONS, REQUESTED_OPERATION_CODE, REQUESTED_SERVICE_ACTION,
};
use felio_spec::commands::report_supported_task_management_functions::REPD;
use felio_spec::report::{
    self, all_commands, command_descriptor, command_timeouts, one_command, task_management,
};
use felio_spec::{Cdb, Row, Sense};

//= SPC-4 "REPORT SUPPORTED OPERATION CODES command"
/// REPORT SUPPORTED OPERATION CODES.
pub fn report_operation_codes(view: &View<'_>, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    let supported = TABLE.iter().filter(|entry| entry.is_supported_by(view.unit));
    report(supported.map(|entry| entry.row_for(view.unit)), cdb, data)
}

fn report(rows: impl Iterator<Item = Row> + Clone, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    let timeouts = cdb.get(RCTD);
    let opcode = cdb.get(REQUESTED_OPERATION_CODE);
    let action = cdb.get(REQUESTED_SERVICE_ACTION);
    let mut of_opcode = rows.clone().filter(|row| row.opcode == opcode);
    let named = of_opcode.clone().find(|row| row.service_action.is_none_or(|a| a.value == action));
    let has_actions = of_opcode.next().map(|row| row.service_action.is_some());
    let found = match (cdb.get(REPORTING_OPTIONS), has_actions) {
        (0b000, _) => {
            every(rows, timeouts, data);
            return Ok(());
        }
        (0b001, Some(true)) => return Err(Sense::invalid_field(REQUESTED_OPERATION_CODE.bits)),
        (0b010, Some(false)) => return Err(Sense::invalid_field(REQUESTED_SERVICE_ACTION.bits)),
        // 011b takes both kinds; of an opcode without service actions, it supports action zero.
        (0b011, Some(false)) if action != 0 => None,
        (0b001..=0b011, _) => named,
        _ => return Err(Sense::invalid_field(REPORTING_OPTIONS.bits)),
    };
    one(found.as_ref(), timeouts, data);
    Ok(())
}

//= SPC-4 "All_commands parameter data format"
fn every(rows: impl Iterator<Item = Row>, timeouts: bool, data: &mut Writer) {
    use command_descriptor as field;
    data.zeros(all_commands::BYTES);
    for row in rows {
        let base = data.len();
        data.zeros(field::BYTES);
        data.set(base, field::OPERATION_CODE, row.opcode);
        data.set(base, field::SERVICE_ACTION, row.service_action.map_or(0, |action| action.value));
        data.set(base, field::CTDP, timeouts);
        data.set(base, field::SERVACTV, row.service_action.is_some());
        data.set(base, field::CDB_LENGTH, row.length.into());
        if timeouts {
            put_timeouts(row.timeouts(), data);
        }
    }
    let length = u32::try_from(data.len() - all_commands::BYTES).unwrap_or(u32::MAX);
    data.set(0, all_commands::COMMAND_DATA_LENGTH, length);
}

//= SPC-4 "One_command parameter data format"
fn one(row: Option<&Row>, timeouts: bool, data: &mut Writer) {
    use one_command as field;
    data.zeros(field::BYTES);
    let Some(row) = row else {
        data.set(0, field::SUPPORT, report::NOT_SUPPORTED);
        return;
    };
    data.set(0, field::SUPPORT, report::SUPPORTED);
    data.set(0, field::CTDP, timeouts);
    data.set(0, field::CDB_SIZE, row.length.into());
    data.bytes(&row.usage[..usize::from(row.length)]);
    if timeouts {
        put_timeouts(row.timeouts(), data);
    }
}

//= SPC-4 "Command timeouts descriptor"
fn put_timeouts(timeouts: Timeouts, data: &mut Writer) {
    use command_timeouts as field;
    const DESCRIPTOR_LENGTH: u16 = 10; // of the bytes behind the field
    let base = data.len();
    data.zeros(field::BYTES);
    data.set(base, field::DESCRIPTOR_LENGTH, DESCRIPTOR_LENGTH);
    data.set(base, field::NOMINAL_COMMAND_PROCESSING_TIMEOUT, timeouts.nominal);
    data.set(base, field::RECOMMENDED_COMMAND_TIMEOUT, timeouts.recommended);
}

//= SPC-4 "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS command"
/// REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS: all of them.
pub fn report_task_management(_view: &View<'_>, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    use task_management as field;
    const ADDITIONAL_LENGTH: u8 = 12; // of the extended format, behind the field
    let extended = cdb.get(REPD);
    data.zeros(if extended { field::BYTES } else { report::TASK_MANAGEMENT_BASIC_BYTES });
    let supported = [
        field::ATS,
        field::ATSS,
        field::CACAS,
        field::CTSS,
        field::LURS,
        field::QTS,
        field::QAES,
        field::QTSS,
        field::ITNRS,
    ];
    for function in supported {
        data.set(0, function, true);
    }
    if extended {
        data.set(0, field::ADDITIONAL_LENGTH, ADDITIONAL_LENGTH);
        data.set(0, field::TMFTMOV, true);
        // As long as an operation of an ended task is waited for.
        let tenths = u32::try_from(PATIENCE.as_millis() / 100).unwrap_or(0);
        data.set(0, field::LONG_TIMEOUT, tenths);
        data.set(0, field::SHORT_TIMEOUT, tenths);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::fixture::{self, ask};
    use felio_spec::commands::{get_lba_status, read_capacity16, test_unit_ready};

    const ROWS: [Row; 3] = [test_unit_ready::ROW, read_capacity16::ROW, get_lba_status::ROW];

    fn check(options: u8, opcode: u8, action: u8, want: Result<&[u8], Sense>) {
        let cdb = [0xa3, 0x0c, options, opcode, 0, action, 0, 0, 0xff, 0xff, 0, 0];
        let mut data = Writer::new();
        let got = report(ROWS.into_iter(), &Cdb::new(&cdb), &mut data);
        assert_eq!(got.map(|()| data.as_slice()), want);
    }

    #[test]
    fn every_command_has_its_descriptor() {
        let mut want = vec![0, 0, 0, 24];
        want.extend([0x00, 0, 0, 0x00, 0, 0, 0, 6]);
        want.extend([0x9e, 0, 0, 0x10, 0, 1, 0, 16]);
        want.extend([0x9e, 0, 0, 0x12, 0, 1, 0, 16]);
        check(0b000, 0, 0, Ok(&want));
    }

    #[test]
    fn timeouts_are_told_by_row() {
        let want = [0, 0x83, 0, 6, 0, 0, 0, 0, 0, 4, 0, 10, 0, 0, 0, 0, 0, 2, 0, 0, 0, 60];
        check(0x80 | 0b001, 0x00, 0, Ok(&want));
    }

    #[test]
    fn one_command_is_told_by_its_usage_data() {
        let mut want = vec![0, 3, 0, 16, 0x9e, 0x12];
        want.extend([0xff; 13]);
        want.push(4);
        check(0b010, 0x9e, 0x12, Ok(&want));
        check(0b011, 0x9e, 0x12, Ok(&want));
    }

    #[test]
    fn an_opcode_with_service_actions_must_be_asked_for_with_one() {
        check(0b001, 0x9e, 0x10, Err(Sense::invalid_field(REQUESTED_OPERATION_CODE.bits)));
    }

    #[test]
    fn an_opcode_without_service_actions_must_be_asked_for_without() {
        check(0b010, 0x00, 0, Err(Sense::invalid_field(REQUESTED_SERVICE_ACTION.bits)));
        check(0b011, 0x00, 0, Ok(&[0, 3, 0, 6, 0, 0, 0, 0, 0, 4]));
        check(0b011, 0x00, 1, Ok(&[0, 1, 0, 0]));
    }

    #[test]
    fn what_we_do_not_support_is_told_with_good_status() {
        check(0b001, 0xc0, 0, Ok(&[0, 1, 0, 0]));
        check(0b010, 0x9e, 0x11, Ok(&[0, 1, 0, 0]));
    }

    #[test]
    fn usage_data_leave_out_what_the_unit_cannot_do() {
        let mut target = fixture::target();
        let usage = |target: &_, opcode, byte: usize| {
            ask(target, report_operation_codes, &[0xa3, 0x0c, 1, opcode, 0, 0, 0, 0, 0, 64, 0, 0])
                .map(|data| data[4 + byte])
        };
        assert_eq!(usage(&target, 0x41, 1), Ok(0x08)); // UNMAP, and never ANCHOR
        target.unit_mut(0).limits.unmap = None;
        assert_eq!(usage(&target, 0x41, 1), Ok(0));
        assert_eq!(usage(&target, 0x1b, 4), Ok(0xf5)); // Not LOEJ.
        target.unit_mut(0).removable = true;
        assert_eq!(usage(&target, 0x1b, 4), Ok(0xf7));
    }

    #[test]
    fn other_reporting_options_are_refused() {
        check(0b100, 0, 0, Err(Sense::invalid_field(REPORTING_OPTIONS.bits)));
    }

    #[test]
    fn task_management_functions_are_told_short_and_long() {
        let short =
            ask(&fixture::target(), report_task_management, &[0xa3, 0x0d, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0]);
        let long =
            ask(&fixture::target(), report_task_management, &[0xa3, 0x0d, 0x80, 0, 0, 0, 0, 0, 0, 16, 0, 0]);
        assert_eq!(short, Ok(vec![0xfc, 0x07, 0, 0]));
        assert_eq!(long, Ok(vec![0xfc, 0x07, 0, 12, 1, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0, 100]));
    }
}
