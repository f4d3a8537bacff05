//! Units that are SCSI devices of the host and answer for themselves: commands are handed on as they are.
//!
//! What several initiators of one unit need is still answered here, because the device sees only one: which units there
//! are, reservations, and unit attentions. Where the table of commands has a row, its rules for reservations and access
//! states hold; a command that it does not know counts as a write where it sends data, and else as a read. A unit attention
//! that the device reports is news for every nexus, not only for the one that happened to ask.
//!
//! Not here: checking CDBs, and ranges of blocks. Both are the device's.

use crate::attention::Attention;
use crate::commands::{Entry, Needs, Run, TABLE, find};
use crate::engine::Engine;
use crate::geometry::TRANSFER_BYTES_MAX;
use crate::unit::Unit;
use crate::work::{Next, Wanting, Work};
use felio_hal::port::{Response, SenseData};
use felio_hal::store::{Pass, Passed};
use felio_hal::{Buf, Command, Op, Pool, PortRequest};
use felio_spec::Cdb;
use felio_spec::cdb::{Direction, Medium, Reservation, Row};
use felio_spec::commands::{
    release6, release10, report_luns, report_target_port_groups, reserve6, reserve10, set_target_port_groups,
};
use felio_spec::sense::{Code, SenseKey, code_of};

/// Rows that the engine answers for the device, beside persistent reservations.
const OURS: [&Row; 7] = [
    &report_luns::ROW,
    &reserve6::ROW,
    &reserve10::ROW,
    &release6::ROW,
    &release10::ROW,
    &report_target_port_groups::ROW,
    &set_target_port_groups::ROW,
];

/// The rows of the table, for commands that are handed on.
static KNOWN: [Entry; TABLE.len()] = {
    let mut known = [const { handed_on(&UNKNOWN_IN) }; TABLE.len()];
    let mut at = 0;
    while at < TABLE.len() {
        known[at] = handed_on(TABLE[at].row);
        at += 1;
    }
    known
};

/// Commands that the table does not know, without and with Data-Out.
static UNKNOWN: [Entry; 2] = [handed_on(&UNKNOWN_IN), handed_on(&UNKNOWN_OUT)];

const UNKNOWN_IN: Row = Row { reservation: Reservation::Read, ..Row::new("of the device", 0, 6, &[]) };
const UNKNOWN_OUT: Row =
    Row { reservation: Reservation::Write, medium: Medium::Write, ..Row::new("of the device", 0, 6, &[]) };

const fn handed_on(row: &'static Row) -> Entry {
    Entry { row, needs: Needs::Nothing, run: Run::Pass }
}

/// How a device's unit treats a command; `None` for other units, and for what the engine answers.
pub(crate) fn entry(unit: &Unit, command: &Command) -> Option<&'static Entry> {
    unit.config.limits.passes?;
    let found = find(unit, &command.cdb).ok();
    match found.and_then(|found| TABLE.iter().position(|entry| is_same(entry.row, found.row))) {
        Some(at) if is_ours(TABLE[at].row) => None,
        Some(at) => Some(&KNOWN[at]),
        None => Some(&UNKNOWN[usize::from(command.expect_out > 0)]),
    }
}

fn is_same(row: &Row, other: &Row) -> bool {
    (row.opcode, row.service_action) == (other.opcode, other.service_action)
}

fn is_ours(row: &Row) -> bool {
    let reserves = matches!(
        row.reservation,
        Reservation::Register | Reservation::Registrants | Reservation::Holder | Reservation::Replace
    );
    reserves || OURS.iter().any(|ours| is_same(ours, row))
}

/// Starts a command: its data are here, or room for so many bytes is wanted, or neither.
pub(crate) fn begin(cdb: Cdb, bytes_in: u32, data: Option<Buf>) -> Next {
    let direction = match (&data, bytes_in) {
        (Some(_), _) => Direction::Out,
        (None, 0) => Direction::None,
        (None, _) => Direction::In,
    };
    let pass = Box::new(Pass { cdb, direction, data });
    match direction {
        Direction::In => {
            let bytes = usize::try_from(bytes_in.min(TRANSFER_BYTES_MAX)).unwrap_or(0);
            Next::Need(bytes, Wanting::Pass(pass))
        }
        Direction::None | Direction::Out => Next::Submit(Op::Pass(pass), Work::Pass(direction)),
    }
}

/// Here is the room.
pub(crate) fn fill(mut pass: Box<Pass>, buf: Buf) -> Next {
    let direction = pass.direction;
    pass.data = Some(buf);
    Next::Submit(Op::Pass(pass), Work::Pass(direction))
}

impl Engine {
    /// The device has answered: its status and sense data are the answer.
    pub(crate) fn answer_passed(
        &mut self,
        slot: u32,
        direction: Direction,
        passed: Passed,
        buf: Option<Buf>,
        pool: &mut Pool,
    ) {
        let Some(task) = self.table.get(slot) else { return crate::progress::give_back(buf, pool) };
        let (nexus, tag, unit) = (task.nexus, task.tag, task.unit);
        let data = match buf {
            // What was not transferred is what was in the memory before.
            Some(mut buf) if direction == Direction::In && passed.transferred > 0 => {
                buf.set_len(passed.transferred.min(buf.len()));
                Some(buf)
            }
            buf => {
                crate::progress::give_back(buf, pool);
                None
            }
        };
        if let Some(attention) = reported(&passed.sense) {
            self.nexuses.attend(unit, attention, |other| other != nexus);
        }
        let sense = (!passed.sense.is_empty()).then(|| SenseData::raw(&passed.sense));
        let transfer_bytes = u64::try_from(passed.transferred).unwrap_or(u64::MAX);
        self.count_passed(slot, &passed, data.as_ref().map_or(0, |buf| buf.len()));
        let response = Response { tag, status: passed.status, sense, data, transfer_bytes };
        self.requests.push_back((nexus, PortRequest::Respond(response)));
        self.let_go(slot);
    }
}

/// The unit attention in a device's sense data, if it is one that the standards name.
fn reported(sense: &[u8]) -> Option<Attention> {
    let Code { key, .. } = code_of(sense)?;
    (key == SenseKey::UNIT_ATTENTION).then(|| Attention::of(code_of(sense)?)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use felio_spec::sense::code;

    #[test]
    fn a_reset_that_the_device_reports_is_known_in_both_formats() {
        let fixed = [0x70, 0, 6, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 3, 0, 0, 0, 0];
        assert_eq!(reported(&fixed), Some(Attention::Reset));
        assert_eq!(reported(&[0x72, 6, 0x29, 3, 0, 0, 0, 0]), Some(Attention::Reset));
    }

    #[test]
    fn an_error_is_no_unit_attention() {
        assert_eq!(reported(&[0x72, 5, 0x24, 0, 0, 0, 0, 0]), None);
        assert_eq!(reported(&[]), None);
    }

    #[test]
    fn reservations_and_the_list_of_units_are_ours() {
        let ours: Vec<&str> =
            TABLE.iter().map(|entry| entry.row).filter(|row| is_ours(row)).map(|row| row.name).collect();
        assert!(ours.contains(&"REPORT LUNS"), "{ours:?}");
        assert!(!ours.contains(&"READ (10)"), "{ours:?}");
        assert_eq!(Attention::of(code::POWER_ON_OCCURRED), Some(Attention::PowerOn));
    }
}
