//! THE table: every command that is supported, with the function behind it.
//!
//! A command is one row (in `felio_spec::commands`: what the standard says of its CDB) and one function. REPORT SUPPORTED
//! OPERATION CODES is derived from this table; there is no second list.
//!
//! Invariants: rows of one opcode stand together; they all have a service action in the same field, or there is one.

use crate::alua;
use crate::config::{LunMap, PortConfig, TargetConfig};
use crate::copy::{self, Bench, Ledgers, Order};
use crate::geometry::Geometry;
use crate::overhaul;
use crate::parameters::{
    self, buffer, capacity, defects, diagnostic, identifying, log, luns, mode, sense, state, supported,
    timestamp,
};
use crate::protection;
use crate::reservation::{self, Service, report};
use crate::unit::{Change, Control, Unit};
use crate::work::{self, Plan};
use crate::writer::Writer;
use felio_hal::{NexusId, Time};
use felio_spec::commands::*;
use felio_spec::sense::{Sense, code};
use felio_spec::{Bits, Cdb, Field, Row};

/// One supported command.
#[derive(Debug)]
pub struct Entry {
    /// What the standard says.
    pub row: &'static Row,
    /// What the unit must be able to do.
    pub needs: Needs,
    /// What we do.
    pub run: Run,
}

/// What a unit must be able to do for a command to be supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Every unit supports it.
    Nothing,
    /// Deallocation.
    Unmap,
    /// Writes as one step.
    Atomic,
    /// Every unit supports it, but the first field means something only where there is deallocation, and
    /// the second where space can be kept.
    UnmapFor(Bits, Bits),
    /// Deallocation; this field means something only where space can be kept.
    UnmapOrAnchor(Bits),
    /// Access states that somebody changes.
    AccessStates,
    /// Access states that initiators change.
    ExplicitAccessStates,
    /// Access states that depend on the block.
    Referrals,
    /// A place for what is saved.
    State,
    /// Every unit supports it, but this field means something only where there is a place for what is saved.
    StateFor(Bits),
    /// The same where the medium can be removed. The command itself refuses the field elsewhere, unless another has it ignored.
    RemovalFor(Bits),
}

/// How a command runs: the shape of its life, and the function that knows its meaning.
#[derive(Debug)]
pub enum Run {
    /// Data-In built in memory.
    Parameters(Allocation, ParametersFn),
    /// The same, once the store has told its size.
    Capacity(Allocation, ParametersFn),
    /// TEST UNIT READY: nothing, once the store has told its size.
    Ready,
    /// REQUEST SENSE: the function is given the most important pending condition.
    Sense(Allocation, fn(&Sense, &Cdb, &mut Writer) -> Result<(), Sense>),
    /// Data-Out that changes the unit; the field tells its length.
    ParameterList(Bits, fn(&mut Unit, &Cdb, &[u8]) -> Result<Change, Sense>),
    /// SET TARGET PORT GROUPS.
    PortGroups,
    /// PERSISTENT RESERVE OUT; the field tells the length of its list.
    ReserveOut(Bits, Service),
    /// Makes all blocks anew: the first function tells how long the list is at most, the second reads it.
    Overhaul(fn(&Cdb) -> u64, StartFn),
    /// Changes the state of the unit.
    Control(fn(&Unit, &Cdb) -> Result<Control, Sense>),
    /// Handed on to the device that the unit is.
    Pass,
    /// Has us copy, or stop; the field tells the length of Data-Out, if there is any.
    Copy(Option<Bits>, fn(&mut Bench<'_>, &Cdb, &[u8]) -> Result<Order, Sense>),
    /// A copy manager's own: keeps blocks still until it is let go.
    Hold,
    /// Data-In about copies.
    CopyResults(Allocation, fn(&Ledgers<'_>, &Cdb, &mut Writer) -> Result<(), Sense>),
    /// Reads or writes blocks.
    Medium(fn(&Geometry, &Cdb) -> Result<Plan, Sense>),
}

/// Builds parameter data; truncation is the caller's.
pub type ParametersFn = fn(&View<'_>, &Cdb, &mut Writer) -> Result<(), Sense>;

/// Reads what is to be done to all blocks; `None`: there is nothing to do.
pub type StartFn = fn(&Unit, &Cdb, &[u8]) -> Result<Option<overhaul::Start>, Sense>;

/// What a parameter function sees.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The whole target.
    pub target: &'a TargetConfig,
    /// The target port through which the command came.
    pub port: &'a PortConfig,
    /// What the nexus finds behind it.
    pub luns: &'a LunMap,
    /// Who asks.
    pub nexus: NexusId,
    /// When.
    pub now: Time,
    /// The addressed unit.
    pub unit: &'a Unit,
    /// Its place.
    pub at: u32,
}

impl View<'_> {
    /// Whether the nexus may not write to the unit.
    pub(crate) fn is_protected(&self) -> bool {
        self.unit.check_writable().is_err() || self.luns.protects(self.at)
    }
}

/// How much parameter data the initiator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// As much as the field says.
    Field(Bits),
    /// The CDB does not say: all there is.
    All,
}

impl Allocation {
    /// The most bytes to transfer.
    #[must_use]
    pub fn bytes(self, cdb: &Cdb) -> usize {
        match self {
            Self::Field(field) => usize::try_from(field.read(cdb.bytes())).unwrap_or(usize::MAX),
            Self::All => usize::MAX,
        }
    }
}

/// A command that is answered where the LUN names no unit.
#[derive(Debug)]
pub struct AbsentEntry {
    /// What the standard says.
    pub row: &'static Row,
    /// How much is wanted.
    pub allocation: Allocation,
    /// What we say.
    pub run: fn(&LunMap, &Cdb, &mut Writer) -> Result<(), Sense>,
}

impl Entry {
    /// Whether a unit supports the command.
    #[must_use]
    pub fn is_supported_by(&self, unit: &Unit) -> bool {
        match self.needs {
            Needs::Nothing | Needs::UnmapFor(..) | Needs::StateFor(_) | Needs::RemovalFor(_) => true,
            Needs::Unmap | Needs::UnmapOrAnchor(_) => unit.geometry.unmap.is_some(),
            Needs::AccessStates => unit.groups.tpgs().bits() != 0,
            Needs::ExplicitAccessStates => unit.groups.tpgs().explicit,
            Needs::Referrals => unit.config.access.map.is_some(),
            Needs::Atomic => unit.geometry.atomic.is_some(),
            Needs::State => unit.config.limits.state,
        }
    }

    /// The row as it holds for a unit: a field that asks for what the unit cannot do is none of it.
    #[must_use]
    pub fn row_for(&self, unit: &Unit) -> Row {
        let mut row = protection::row_for(self.row, unit);
        let ejects = match self.needs {
            Needs::RemovalFor(field) if !unit.config.removable => Some(field),
            _ => None,
        };
        for field in self.refused_by(unit).chain(ejects) {
            field.write(&mut row.usage, 0);
        }
        row
    }

    /// Refuses what the standard reserves, and what the unit cannot do.
    pub fn check(&self, unit: &Unit, cdb: &[u8]) -> Result<(), Sense> {
        if matches!(self.run, Run::Pass) {
            return Ok(()); // The device looks for itself.
        }
        if let Err(refusal) = self.row.check(cdb) {
            protection::check(self.row, unit, cdb, refusal)?;
        }
        match self.refused_by(unit).find(|field| field.read(cdb) != 0) {
            Some(field) => Err(Sense::invalid_field(field)),
            None => Ok(()),
        }
    }

    /// Fields that ask for what the unit cannot do.
    fn refused_by(&self, unit: &Unit) -> impl Iterator<Item = Bits> {
        let unmap = unit.geometry.unmap;
        let anchors = unmap.is_some_and(|unmap| unmap.anchor);
        let fields = match self.needs {
            Needs::UnmapFor(deallocate, anchor) => {
                [unmap.is_none().then_some(deallocate), (!anchors).then_some(anchor)]
            }
            Needs::UnmapOrAnchor(anchor) => [(!anchors).then_some(anchor), None],
            Needs::StateFor(save) => [(!unit.config.limits.state).then_some(save), None],
            _ => [None, None],
        };
        fields.into_iter().flatten()
    }
}

/// The entry of a CDB on a unit.
pub fn find(unit: &Unit, cdb: &Cdb) -> Result<&'static Entry, Sense> {
    let opcode = cdb.opcode();
    let first = usize::from(INDEX[usize::from(opcode)]);
    let mut entries =
        TABLE.get(first..).unwrap_or_default().iter().take_while(|e| e.row.opcode == opcode).peekable();
    let Some(Entry { row, .. }) = entries.peek() else {
        return Err(code::INVALID_COMMAND_OPERATION_CODE.into());
    };
    let field = row.service_action.map(|action| action.field);
    let named = |entry: &&Entry| {
        entry.row.service_action.is_none_or(|a| a.field.read(cdb.bytes()) == u64::from(a.value))
    };
    match (entries.find(named), field) {
        (Some(entry), _) if entry.is_supported_by(unit) => Ok(entry),
        (None, Some(field)) => Err(Sense::invalid_field(field)),
        _ => Err(code::INVALID_COMMAND_OPERATION_CODE.into()),
    }
}

/// The table, in the order of operation codes.
pub const TABLE: &[Entry] = &[
    Entry { row: &test_unit_ready::ROW, needs: Needs::Nothing, run: Run::Ready },
    controls(&rezero_unit::ROW, state::rezero_unit),
    Entry {
        row: &request_sense::ROW,
        needs: Needs::Nothing,
        run: Run::Sense(field(request_sense::ALLOCATION_LENGTH), sense::request_sense),
    },
    overhauls(&format_unit::ROW, overhaul::format_list_bytes, overhaul::format_unit),
    blocks(&read6::ROW, work::read6),
    blocks(&write6::ROW, work::write6),
    controls(&seek6::ROW, state::seek6),
    reports(&inquiry::ROW, field(inquiry::ALLOCATION_LENGTH), parameters::inquiry::inquiry),
    Entry {
        needs: Needs::StateFor(mode_select6::SP.bits),
        ..takes(&mode_select6::ROW, mode_select6::PARAMETER_LIST_LENGTH.bits, mode::mode_select6)
    },
    controls(&reserve6::ROW, reservation::reserve),
    controls(&release6::ROW, reservation::release),
    reports(&mode_sense6::ROW, field(mode_sense6::ALLOCATION_LENGTH), mode::mode_sense6),
    Entry {
        needs: Needs::RemovalFor(start_stop_unit::LOEJ.bits),
        ..controls(&start_stop_unit::ROW, state::start_stop_unit)
    },
    reports(
        &receive_diagnostic_results::ROW,
        field(receive_diagnostic_results::ALLOCATION_LENGTH),
        diagnostic::receive,
    ),
    takes(&send_diagnostic::ROW, send_diagnostic::PARAMETER_LIST_LENGTH.bits, diagnostic::send),
    controls(&prevent_allow_medium_removal::ROW, state::prevent_allow_medium_removal),
    Entry {
        row: &read_capacity10::ROW,
        needs: Needs::Nothing,
        run: Run::Capacity(Allocation::All, capacity::read_capacity10),
    },
    blocks(&read10::ROW, work::read10),
    blocks(&write10::ROW, work::write10),
    controls(&seek10::ROW, state::seek10),
    blocks(&write_and_verify10::ROW, work::write_and_verify10),
    blocks(&verify10::ROW, work::verify10),
    blocks(&prefetch10::ROW, work::prefetch10),
    blocks(&synchronize_cache10::ROW, work::synchronize_cache10),
    takes(&write_buffer::ROW, write_buffer::PARAMETER_LIST_LENGTH.bits, buffer::write_buffer),
    reports(&read_buffer::ROW, field(read_buffer::ALLOCATION_LENGTH), buffer::read_buffer),
    reports(
        &read_defect_data10::ROW,
        field(read_defect_data10::ALLOCATION_LENGTH),
        defects::read_defect_data10,
    ),
    Entry {
        needs: Needs::UnmapFor(write_same10::UNMAP.bits, write_same10::ANCHOR.bits),
        ..blocks(&write_same10::ROW, work::write_same10)
    },
    Entry { needs: Needs::UnmapOrAnchor(unmap::ANCHOR.bits), ..blocks(&unmap::ROW, work::unmap) },
    overhauls(&sanitize_overwrite::ROW, overhaul::overwrite_list_bytes, overhaul::overwrite),
    Entry {
        needs: Needs::Unmap,
        ..overhauls(&sanitize_block_erase::ROW, overhaul::no_list_bytes, overhaul::block_erase)
    },
    overhauls(&sanitize_exit_failure_mode::ROW, overhaul::no_list_bytes, overhaul::exit_failure_mode),
    takes(&log_select::ROW, log_select::PARAMETER_LIST_LENGTH.bits, log::log_select),
    reports(&log_sense::ROW, field(log_sense::ALLOCATION_LENGTH), log::log_sense),
    Entry {
        needs: Needs::StateFor(mode_select10::SP.bits),
        ..takes(&mode_select10::ROW, mode_select10::PARAMETER_LIST_LENGTH.bits, mode::mode_select10)
    },
    controls(&reserve10::ROW, reservation::reserve),
    controls(&release10::ROW, reservation::release),
    reports(&mode_sense10::ROW, field(mode_sense10::ALLOCATION_LENGTH), mode::mode_sense10),
    reserve_in(&persistent_reserve_in_read_keys::ROW, report::read_keys),
    reserve_in(&persistent_reserve_in_read_reservation::ROW, report::read_reservation),
    reserve_in(&persistent_reserve_in_report_capabilities::ROW, report::report_capabilities),
    reserve_in(&persistent_reserve_in_read_full_status::ROW, report::read_full_status),
    reserve_out(&persistent_reserve_out_register::ROW, Service::Register),
    reserve_out(&persistent_reserve_out_reserve::ROW, Service::Reserve),
    reserve_out(&persistent_reserve_out_release::ROW, Service::Release),
    reserve_out(&persistent_reserve_out_clear::ROW, Service::Clear),
    reserve_out(&persistent_reserve_out_preempt::ROW, Service::Preempt),
    reserve_out(&persistent_reserve_out_preempt_and_abort::ROW, Service::PreemptAndAbort),
    reserve_out(
        &persistent_reserve_out_register_and_ignore_existing_key::ROW,
        Service::RegisterAndIgnoreExistingKey,
    ),
    reserve_out(&persistent_reserve_out_register_and_move::ROW, Service::RegisterAndMove),
    reserve_out(&persistent_reserve_out_replace_lost_reservation::ROW, Service::ReplaceLostReservation),
    blocks(&read32::ROW, work::read32),
    blocks(&verify32::ROW, work::verify32),
    blocks(&write32::ROW, work::write32),
    blocks(&write_and_verify32::ROW, work::write_and_verify32),
    Entry {
        needs: Needs::UnmapFor(write_same32::UNMAP.bits, write_same32::ANCHOR.bits),
        ..blocks(&write_same32::ROW, work::write_same32)
    },
    blocks(&orwrite32::ROW, work::orwrite32),
    copies(
        &extended_copy_lid1::ROW,
        Some(extended_copy_lid1::PARAMETER_LIST_LENGTH.bits),
        copy::list::extended_copy_lid1,
    ),
    copies(
        &extended_copy_lid4::ROW,
        Some(extended_copy_lid4::PARAMETER_LIST_LENGTH.bits),
        copy::list::extended_copy_lid4,
    ),
    copies(&populate_token::ROW, Some(populate_token::PARAMETER_LIST_LENGTH.bits), copy::ranges::populate),
    copies(&write_using_token::ROW, Some(write_using_token::PARAMETER_LIST_LENGTH.bits), copy::ranges::write),
    copies(&copy_operation_abort::ROW, None, copy::abort),
    tells(
        &receive_copy_status_lid1::ROW,
        field(receive_copy_status_lid1::ALLOCATION_LENGTH),
        copy::results::status_lid1,
    ),
    tells(
        &receive_copy_operating_parameters::ROW,
        field(receive_copy_operating_parameters::ALLOCATION_LENGTH),
        copy::results::operating_parameters,
    ),
    tells(
        &receive_copy_failure_details::ROW,
        field(receive_copy_failure_details::ALLOCATION_LENGTH),
        copy::results::failure_details,
    ),
    tells(
        &receive_copy_status_lid4::ROW,
        field(receive_copy_status_lid4::ALLOCATION_LENGTH),
        copy::results::status_lid4,
    ),
    tells(
        &receive_rod_token_information::ROW,
        field(receive_rod_token_information::ALLOCATION_LENGTH),
        copy::results::token_information,
    ),
    tells(
        &report_all_rod_tokens::ROW,
        field(report_all_rod_tokens::ALLOCATION_LENGTH),
        copy::results::all_tokens,
    ),
    blocks(&read16::ROW, work::read16),
    blocks(&compare_and_write::ROW, work::compare_and_write),
    blocks(&write16::ROW, work::write16),
    blocks(&orwrite16::ROW, work::orwrite16),
    blocks(&write_and_verify16::ROW, work::write_and_verify16),
    blocks(&verify16::ROW, work::verify16),
    blocks(&prefetch16::ROW, work::prefetch16),
    blocks(&synchronize_cache16::ROW, work::synchronize_cache16),
    Entry {
        needs: Needs::UnmapFor(write_same16::UNMAP.bits, write_same16::ANCHOR.bits),
        ..blocks(&write_same16::ROW, work::write_same16)
    },
    Entry { needs: Needs::Atomic, ..blocks(&write_atomic16::ROW, work::write_atomic16) },
    Entry {
        row: &read_capacity16::ROW,
        needs: Needs::Nothing,
        run: Run::Capacity(field(read_capacity16::ALLOCATION_LENGTH), capacity::read_capacity16),
    },
    blocks(&get_lba_status::ROW, work::get_lba_status),
    Entry {
        needs: Needs::Referrals,
        ..reports(&report_referrals::ROW, field(report_referrals::ALLOCATION_LENGTH), alua::report_referrals)
    },
    reports(&report_luns::ROW, field(report_luns::ALLOCATION_LENGTH), luns::report_luns),
    Entry {
        needs: Needs::State,
        ..reports(
            &report_identifying_information::ROW,
            field(report_identifying_information::ALLOCATION_LENGTH),
            identifying::report,
        )
    },
    Entry {
        needs: Needs::AccessStates,
        ..reports(
            &report_target_port_groups::ROW,
            field(report_target_port_groups::ALLOCATION_LENGTH),
            alua::report_target_port_groups,
        )
    },
    reports(
        &report_supported_operation_codes::ROW,
        field(report_supported_operation_codes::ALLOCATION_LENGTH),
        supported::report_operation_codes,
    ),
    reports(
        &report_supported_task_management_functions::ROW,
        field(report_supported_task_management_functions::ALLOCATION_LENGTH),
        supported::report_task_management,
    ),
    reports(&report_timestamp::ROW, field(report_timestamp::ALLOCATION_LENGTH), timestamp::report),
    Entry {
        needs: Needs::State,
        ..takes(
            &set_identifying_information::ROW,
            set_identifying_information::PARAMETER_LIST_LENGTH.bits,
            identifying::set,
        )
    },
    Entry { row: &set_target_port_groups::ROW, needs: Needs::ExplicitAccessStates, run: Run::PortGroups },
    takes(&set_timestamp::ROW, set_timestamp::PARAMETER_LIST_LENGTH.bits, timestamp::set),
    blocks(&read12::ROW, work::read12),
    blocks(&write12::ROW, work::write12),
    blocks(&write_and_verify12::ROW, work::write_and_verify12),
    blocks(&verify12::ROW, work::verify12),
    reports(
        &read_defect_data12::ROW,
        field(read_defect_data12::ALLOCATION_LENGTH),
        defects::read_defect_data12,
    ),
];

/// What is answered where there is no unit.
//= SPC-4 "Incorrect logical unit number": INQUIRY, REPORT LUNS and REQUEST SENSE are answered all the same.
pub const ABSENT: &[AbsentEntry] = &[
    AbsentEntry {
        row: &request_sense::ROW,
        allocation: field(request_sense::ALLOCATION_LENGTH),
        run: sense::request_sense_absent,
    },
    AbsentEntry {
        row: &inquiry::ROW,
        allocation: field(inquiry::ALLOCATION_LENGTH),
        run: parameters::inquiry::inquiry_absent,
    },
    AbsentEntry {
        row: &report_luns::ROW,
        allocation: field(report_luns::ALLOCATION_LENGTH),
        run: luns::report_luns_absent,
    },
];

const fn field<T>(allocation_length: Field<T>) -> Allocation {
    Allocation::Field(allocation_length.bits)
}

/// Parameter data that need nothing but what is in memory.
const fn reports(row: &'static Row, allocation: Allocation, run: ParametersFn) -> Entry {
    Entry { row, needs: Needs::Nothing, run: Run::Parameters(allocation, run) }
}

/// A parameter list.
const fn takes(
    row: &'static Row,
    length: Bits,
    run: fn(&mut Unit, &Cdb, &[u8]) -> Result<Change, Sense>,
) -> Entry {
    Entry { row, needs: Needs::Nothing, run: Run::ParameterList(length, run) }
}

/// Parameter data of PERSISTENT RESERVE IN: ALLOCATION LENGTH is the same field in all of them.
const fn reserve_in(row: &'static Row, run: ParametersFn) -> Entry {
    reports(row, field(persistent_reserve_in_read_keys::ALLOCATION_LENGTH), run)
}

/// PERSISTENT RESERVE OUT: PARAMETER LIST LENGTH is the same field in all of them.
const fn reserve_out(row: &'static Row, service: Service) -> Entry {
    let length = persistent_reserve_out_register::PARAMETER_LIST_LENGTH.bits;
    Entry { row, needs: Needs::Nothing, run: Run::ReserveOut(length, service) }
}

/// Has us copy.
const fn copies(
    row: &'static Row,
    length: Option<Bits>,
    run: fn(&mut Bench<'_>, &Cdb, &[u8]) -> Result<Order, Sense>,
) -> Entry {
    Entry { row, needs: Needs::Nothing, run: Run::Copy(length, run) }
}

/// Tells of copies.
const fn tells(
    row: &'static Row,
    allocation: Allocation,
    run: fn(&Ledgers<'_>, &Cdb, &mut Writer) -> Result<(), Sense>,
) -> Entry {
    Entry { row, needs: Needs::Nothing, run: Run::CopyResults(allocation, run) }
}

/// Reads or writes blocks.
const fn blocks(row: &'static Row, run: fn(&Geometry, &Cdb) -> Result<Plan, Sense>) -> Entry {
    Entry { row, needs: Needs::Nothing, run: Run::Medium(run) }
}

/// Makes all blocks anew.
const fn overhauls(row: &'static Row, list_bytes: fn(&Cdb) -> u64, run: StartFn) -> Entry {
    Entry { row, needs: Needs::Nothing, run: Run::Overhaul(list_bytes, run) }
}

/// A change of state.
const fn controls(row: &'static Row, run: fn(&Unit, &Cdb) -> Result<Control, Sense>) -> Entry {
    Entry { row, needs: Needs::Nothing, run: Run::Control(run) }
}

const NONE: u8 = u8::MAX;

/// Where the rows of an opcode begin in [`TABLE`].
static INDEX: [u8; 256] = index(TABLE);

#[expect(clippy::as_conversions, reason = "const fn cannot call From; every cast widens")]
const fn index(table: &[Entry]) -> [u8; 256] {
    let mut index = [NONE; 256];
    let mut at = 0u8;
    while (at as usize) < table.len() {
        let opcode = table[at as usize].row.opcode as usize;
        if index[opcode] == NONE {
            index[opcode] = at;
        } else {
            let before = &table[at as usize - 1].row;
            assert!(before.opcode as usize == opcode, "the rows of an opcode stand apart");
            assert!(before.service_action.is_some(), "an opcode stands twice in the table");
        }
        at += 1;
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;
    use felio_spec::cdb::{Alua, Direction, Medium, Reservation};

    fn check(rule: impl Fn(&Row) -> bool) {
        for entry in TABLE {
            assert!(rule(entry.row), "{}", entry.row.name);
        }
    }

    //= SPC-4 "OPERATION CODE": the group code in the upper three bits tells the length
    #[test]
    fn the_length_of_a_cdb_follows_from_its_group_code() {
        check(|row| row.length == [6, 10, 10, 32, 16, 12, 0, 0][usize::from(row.opcode >> 5)]);
    }

    #[test]
    fn what_writes_needs_the_right_to_write() {
        check(|row| row.medium != Medium::Write || row.reservation == Reservation::Write);
    }

    //= SPC-4 "Target port asymmetric access states": the lists of each state, and what we answer beside them
    #[test]
    fn what_each_access_state_answers_is_what_the_standard_lists() {
        let rule = |name: &str| match name {
            "INQUIRY" | "REPORT LUNS" | "REQUEST SENSE" | "REPORT TARGET PORT GROUPS" => Alua::Always,
            // The standard lists the echo buffer; the others need the medium no more than it.
            "READ BUFFER" | "WRITE BUFFER" => Alua::Always,
            "SET TARGET PORT GROUPS" => Alua::Unavailable,
            "MODE SENSE (6)" | "MODE SENSE (10)" | "MODE SELECT (6)" | "MODE SELECT (10)" => Alua::Standby,
            "LOG SENSE" | "LOG SELECT" | "SEND DIAGNOSTIC" | "RECEIVE DIAGNOSTIC RESULTS" => Alua::Standby,
            reservations if reservations.starts_with("PERSISTENT RESERVE") => Alua::Standby,
            // Initiators that find their units through such a path need these.
            "READ CAPACITY (10)" | "READ CAPACITY (16)" | "REPORT REFERRALS" => Alua::Standby,
            _ => Alua::Active,
        };
        check(|row| row.alua == rule(row.name));
    }

    #[test]
    fn an_allocation_length_belongs_to_data_in_and_a_list_to_data_out() {
        for Entry { row, run, .. } in TABLE {
            let want = match run {
                Run::Parameters(..) | Run::Capacity(..) | Run::Sense(..) | Run::CopyResults(..) => {
                    Direction::In
                }
                Run::ParameterList(..) | Run::PortGroups | Run::ReserveOut(..) | Run::Copy(Some(_), _) => {
                    Direction::Out
                }
                Run::Ready | Run::Control(_) | Run::Copy(None, _) | Run::Hold => Direction::None,
                Run::Medium(_) | Run::Overhaul(..) => row.direction,
                Run::Pass => unreachable!("no row of the table is handed on"),
            };
            assert_eq!(row.direction, want, "{}", row.name);
        }
    }
}
