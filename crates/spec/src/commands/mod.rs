//! The commands of SPC-4 and SBC-3: a module each, with its fields and its [`Row`].
//!
//! A command reads `name rules "STANDARD NAME" opcode [/ service action [at place]], CDB length { fields }`, and a field reads
//! `NAME: type = byte, most significant bit, width`. The fields of a second pair of braces, after `= 0`, stand for what we
//! do not do (saved parameters): anything but zero is refused, and the CDB usage data leave them out. The field after
//! `= protection` is one of them on units without protection information, and evaluated on the others.
//!
//! Decided once, for every command:
//! - GROUP NUMBER is taken (six bits, as in SBC-4): reads and writes of the groups that a log page can tell are counted.
//! - FUA_NV and SYNC_NV are obsolete in SBC-4, but initiators that speak SBC-3 set them: they are taken, and what they
//!   ask for is included in what FUA and a plain SYNCHRONIZE CACHE do.
//! - The other obsolete bits (RELADR, CMDDT, PBDATA, LBDATA, the LUN of SCSI-2) are refused, and so is all of CONTROL but
//!   NACA, which every command has ([`naca`](crate::cdb::naca)): LINK and FLAG are obsolete.
//!
//! Which of these a unit supports is the engine's table, not this list.

use crate::cdb::{
    Alua, Attention, Direction, Kind, Medium, Overhaul, Place, Reservation, Row, Serialization, Timeouts,
};

/// Commands to modules; see the head of this file.
macro_rules! commands {
    ($(
        $(#[$doc:meta])*
        $module:ident $rules:ident $name:literal $opcode:literal $(/ $action:literal $(at $place:ident)?)?, $length:literal {
            $($(#[$field_doc:meta])* $field:ident: $t:ty = $byte:literal, $msb:literal, $width:literal;)*
        } $(= 0 {
            $($(#[$refused_doc:meta])* $refused:ident = $rbyte:literal, $rmsb:literal, $rwidth:literal;)*
        })? $(= protection {
            $protect:ident = $pbyte:literal, $pmsb:literal, $pwidth:literal;
        })?
    )*) => {$(
        $(#[$doc])*
        pub mod $module {
            #[allow(unused_imports, reason = "some commands have no fields")]
            use crate::field::{Bits, Field};
            $(
                #[doc = concat!("The field of that name: bit ", $msb, " of byte ", $byte, ", bits: ", $width, ".")]
                $(#[$field_doc])*
                pub const $field: Field<$t> = Field::new($byte, $msb, $width);
            )*
            $($(
                #[doc = concat!("Must be zero: bit ", $rmsb, " of byte ", $rbyte, ", bits: ", $rwidth, ".")]
                $(#[$refused_doc])*
                pub const $refused: Bits = Bits { byte: $rbyte, msb: $rmsb, width: $rwidth };
            )*)?
            $(
                #[doc = concat!("Evaluated where there is protection: bit ", $pmsb, " of byte ", $pbyte, ", bits: ", $pwidth, ".")]
                pub const $protect: Bits = Bits { byte: $pbyte, msb: $pmsb, width: $pwidth };
            )?
            /// The command's row.
            pub const ROW: crate::Row = crate::commands::rules::$rules(
                crate::Row::new($name, $opcode, $length, &[$($field.bits),*])
                    $(.service_action(place!($($place)?), $action))?
                    $(.refusing(&[$($refused),*]))?
                    $(.protected_by($protect))?
            );
        }
    )*};
}

/// Where a command's SERVICE ACTION lies.
macro_rules! place {
    () => {
        crate::commands::SERVICE_ACTION
    };
    ($place:ident) => {
        crate::commands::$place
    };
}

mod alua;
mod buffer;
mod copy;
mod diagnostic;
mod format;
mod identifying;
mod identity;
mod log;
mod maintenance;
mod mode;
mod provisioning;
mod read;
mod reserve;
mod state;
mod timestamp;
mod variable;
mod verify;
mod write;

pub use alua::*;
pub use buffer::*;
pub use copy::*;
pub use diagnostic::*;
pub use format::*;
pub use identifying::*;
pub use identity::*;
pub use log::*;
pub use maintenance::*;
pub use mode::*;
pub use provisioning::*;
pub use read::*;
pub use reserve::*;
pub use state::*;
pub use timestamp::*;
pub use variable::*;
pub use verify::*;
pub use write::*;

/// Where SERVICE ACTION lies in CDBs of 6 to 16 bytes, SPC-4 "Typical CDB formats".
pub const SERVICE_ACTION: crate::Bits = crate::Bits { byte: 1, msb: 4, width: 5 };

/// Where SERVICE ACTION lies in CDBs of variable length, SPC-4 "Variable length CDB formats".
pub const VARIABLE_SERVICE_ACTION: crate::Bits = crate::Bits { byte: 8, msb: 7, width: 16 };

/// The rule columns, by what the command does. The reservation column is that of SPC-4 "Commands that are allowed in the
/// presence of various reservations" and SBC-3's table of the same kind; the asymmetric access column that of SPC-4
/// "Target port asymmetric access states" (there are lists for standby, unavailable, offline and transitions).
mod rules {
    use super::{
        Alua, Attention, Direction, Kind, Medium, Overhaul, Place, Reservation, Row, Serialization, Timeouts,
    };
    use crate::Bits;

    /// Reads blocks and hands them over.
    pub(super) const fn read(row: Row) -> Row {
        Row { kind: Kind::Read, ..status(row) }
    }

    /// Tells of blocks.
    pub(super) const fn status(row: Row) -> Row {
        Row { direction: Direction::In, ..look(row) }
    }

    /// Reads blocks and hands nothing over.
    pub(super) const fn look(row: Row) -> Row {
        Row {
            medium: Medium::Read,
            serialization: Serialization::Read,
            reservation: Reservation::Read,
            place: Place::Local,
            ..row
        }
    }

    /// Compares blocks with Data-Out.
    pub(super) const fn verify(row: Row) -> Row {
        Row { direction: Direction::Out, ..look(row) }
    }

    /// Writes Data-Out to blocks, or tells of blocks to be changed.
    pub(super) const fn write(row: Row) -> Row {
        Row {
            direction: Direction::Out,
            medium: Medium::Write,
            kind: Kind::Write,
            serialization: Serialization::Write,
            reservation: Reservation::Write,
            place: Place::Local,
            ..row
        }
    }

    /// Tells of blocks that are not needed any more.
    pub(super) const fn unmap(row: Row) -> Row {
        Row { kind: Kind::Unmap, ..write(row) }
    }

    /// Writes, and what else there is to it, as one step.
    pub(super) const fn exclusive(row: Row) -> Row {
        Row { serialization: Serialization::Exclusive, place: Place::Home, ..write(row) }
    }

    /// Reads, combines and writes as one step.
    pub(super) const fn combine(row: Row) -> Row {
        Row { kind: Kind::Combine, ..exclusive(row) }
    }

    /// The same, and changes what the unit remembers for later commands.
    pub(super) const fn combine_alone(row: Row) -> Row {
        Row { serialization: Serialization::Unit, ..combine(row) }
    }

    /// Makes written blocks durable: changes none, so that it is done on a write protected unit too.
    pub(super) const fn synchronize(row: Row) -> Row {
        Row {
            medium: Medium::Read,
            kind: Kind::Flush,
            reservation: Reservation::Write,
            place: Place::Local,
            timeouts: Some(Timeouts::CACHE),
            ..row
        }
    }

    /// Asks about the unit; answered to anyone while the unit's port group is active.
    pub(super) const fn ready(row: Row) -> Row {
        Row { medium: Medium::Read, reservation: Reservation::Ready, ..row }
    }

    /// Moves the arm of a disk that has one.
    pub(super) const fn seek(row: Row) -> Row {
        Row { reservation: Reservation::Read, ..ready(row) }
    }

    /// Asks for the capacity. SPC-4 lets a port group in standby answer more than its list: initiators that find their
    /// units through such a path need this.
    pub(super) const fn capacity(row: Row) -> Row {
        Row { direction: Direction::In, alua: Alua::Standby, reservation: Reservation::Allowed, ..ready(row) }
    }

    /// INQUIRY: always answered, whatever is pending.
    pub(super) const fn identity(row: Row) -> Row {
        Row {
            direction: Direction::In,
            attention: Attention::Bypass,
            alua: Alua::Always,
            overhaul: Overhaul::Allowed,
            ..row
        }
    }

    /// REPORT LUNS: likewise.
    pub(super) const fn inventory(row: Row) -> Row {
        Row { attention: Attention::Inventory, ..identity(row) }
    }

    /// REQUEST SENSE.
    pub(super) const fn sense(row: Row) -> Row {
        Row {
            direction: Direction::In,
            attention: Attention::Return,
            alua: Alua::Always,
            overhaul: Overhaul::Allowed,
            ..row
        }
    }

    /// Asks what we can do.
    pub(super) const fn abilities(row: Row) -> Row {
        Row { direction: Direction::In, reservation: Reservation::Read, overhaul: Overhaul::Allowed, ..row }
    }

    /// Tells of the target port groups.
    pub(super) const fn port_groups(row: Row) -> Row {
        Row { direction: Direction::In, alua: Alua::Always, ..row }
    }

    /// Tells of the ports that reach a block: as much needed in standby as the capacity.
    pub(super) const fn referrals(row: Row) -> Row {
        Row { direction: Direction::In, alua: Alua::Standby, ..row }
    }

    /// Changes the target port groups: what other nexuses may do, so everything else waits.
    pub(super) const fn set_port_groups(row: Row) -> Row {
        Row {
            direction: Direction::Out,
            serialization: Serialization::Unit,
            reservation: Reservation::Write,
            alua: Alua::Unavailable,
            ..row
        }
    }

    /// Reads mode parameters.
    pub(super) const fn mode_sense(row: Row) -> Row {
        Row { direction: Direction::In, reservation: Reservation::Read, alua: Alua::Standby, ..row }
    }

    /// Changes mode parameters: for every nexus, so everything else waits.
    pub(super) const fn mode_select(row: Row) -> Row {
        Row {
            direction: Direction::Out,
            serialization: Serialization::Unit,
            reservation: Reservation::Write,
            alua: Alua::Standby,
            timeouts: Some(Timeouts::CACHE), // Turning the write cache off empties it.
            ..row
        }
    }

    /// Has us copy. What is read and written is checked, unit by unit, as the reads and writes that it becomes; whoever
    /// may not write here may not have us copy either.
    pub(super) const fn copy(row: Row) -> Row {
        Row { direction: Direction::Out, reservation: Reservation::Write, ..row }
    }

    /// Has us copy to this unit.
    pub(super) const fn copy_here(row: Row) -> Row {
        Row { medium: Medium::Write, ..copy(row) }
    }

    /// Makes all blocks anew.
    pub(super) const fn overhaul(row: Row) -> Row {
        Row {
            direction: Direction::Out,
            medium: Medium::Write,
            serialization: Serialization::Unit,
            reservation: Reservation::Write,
            overhaul: Overhaul::Mends,
            timeouts: Some(Timeouts::WHOLE),
            ..row
        }
    }

    /// The same, without data.
    pub(super) const fn overhaul_without_data(row: Row) -> Row {
        Row { direction: Direction::None, ..overhaul(row) }
    }

    /// Tells of the medium.
    pub(super) const fn defects(row: Row) -> Row {
        Row { direction: Direction::In, reservation: Reservation::Read, ..ready(row) }
    }

    /// Makes a token of blocks: what is written to them from then on may end it, for every nexus.
    pub(super) const fn populate(row: Row) -> Row {
        Row {
            direction: Direction::Out,
            medium: Medium::Read,
            serialization: Serialization::Unit,
            reservation: Reservation::Read,
            ..row
        }
    }

    /// Ends a copy of the same nexus.
    pub(super) const fn copy_abort(row: Row) -> Row {
        Row { reservation: Reservation::Write, ..row }
    }

    /// Asks what has become of a copy of the same nexus.
    pub(super) const fn copy_results(row: Row) -> Row {
        Row { direction: Direction::In, reservation: Reservation::Read, ..row }
    }

    /// Reads log parameters, whoever holds a reservation.
    pub(super) const fn log_sense(row: Row) -> Row {
        Row { direction: Direction::In, alua: Alua::Standby, overhaul: Overhaul::Allowed, ..row }
    }

    /// Resets log parameters, or writes those that are the initiators' own.
    pub(super) const fn log_select(row: Row) -> Row {
        Row { direction: Direction::Out, reservation: Reservation::Write, alua: Alua::Standby, ..row }
    }

    /// Reads a buffer. SPC-4 lists the echo buffer for every access state; the others need the medium no more than it.
    pub(super) const fn read_buffer(row: Row) -> Row {
        Row { direction: Direction::In, reservation: Reservation::Read, alua: Alua::Always, ..row }
    }

    /// Writes a buffer that is no part of the medium.
    pub(super) const fn write_buffer(row: Row) -> Row {
        Row { direction: Direction::Out, reservation: Reservation::Write, alua: Alua::Always, ..row }
    }

    /// Tests the unit, beside whatever else it does.
    pub(super) const fn send_diagnostic(row: Row) -> Row {
        Row {
            direction: Direction::Out,
            medium: Medium::Read,
            reservation: Reservation::Write,
            alua: Alua::Standby,
            timeouts: Some(Timeouts::CACHE),
            ..row
        }
    }

    /// Tells what came of it.
    pub(super) const fn receive_diagnostic(row: Row) -> Row {
        Row { direction: Direction::In, reservation: Reservation::Read, alua: Alua::Standby, ..row }
    }

    /// Reports something that is the same for everybody, whoever holds a reservation.
    pub(super) const fn report(row: Row) -> Row {
        Row { direction: Direction::In, ..row }
    }

    /// Sets something that is the same for everybody.
    pub(super) const fn set(row: Row) -> Row {
        Row { direction: Direction::Out, reservation: Reservation::Write, ..row }
    }

    /// Starts or stops the unit. Anyone may start it.
    pub(super) const fn power(row: Row) -> Row {
        use super::start_stop_unit::{POWER_CONDITION, START};
        const STARTS: &[(Bits, u64)] = &[(POWER_CONDITION.bits, 0), (START.bits, 1)];
        Row { reservation: Reservation::AllowedWhere(STARTS), ..state(row) }
    }

    /// Keeps the medium in, or lets it go. Anyone may let it go.
    pub(super) const fn removal(row: Row) -> Row {
        use super::prevent_allow_medium_removal::PREVENT;
        const ALLOWS: &[(Bits, u64)] = &[(PREVENT.bits, 0)];
        Row { reservation: Reservation::AllowedWhere(ALLOWS), ..state(row) }
    }

    /// Changes the state of the unit.
    pub(super) const fn state(row: Row) -> Row {
        Row {
            serialization: Serialization::Unit,
            reservation: Reservation::Write,
            timeouts: Some(Timeouts::CACHE),
            ..row
        }
    }

    /// Asks about reservations.
    pub(super) const fn reserve_in(row: Row) -> Row {
        Row { direction: Direction::In, reservation: Reservation::Register, alua: Alua::Standby, ..row }
    }

    /// Changes registrations. What any nexus may do follows from them, so everything else waits.
    pub(super) const fn register(row: Row) -> Row {
        Row {
            direction: Direction::Out,
            serialization: Serialization::Unit,
            reservation: Reservation::Register,
            alua: Alua::Standby,
            ..row
        }
    }

    /// Changes registrations or the reservation, for those who are registered.
    pub(super) const fn registrants(row: Row) -> Row {
        Row { reservation: Reservation::Registrants, ..register(row) }
    }

    /// Changes the reservation, for its holder, or where there is none.
    pub(super) const fn holder(row: Row) -> Row {
        Row { reservation: Reservation::Holder, ..register(row) }
    }

    /// Replaces what was lost.
    pub(super) const fn replace(row: Row) -> Row {
        Row { reservation: Reservation::Replace, ..register(row) }
    }

    /// RESERVE of SPC-2.
    pub(super) const fn reserve(row: Row) -> Row {
        Row { serialization: Serialization::Unit, reservation: Reservation::Ready, ..row }
    }

    /// RELEASE of SPC-2: who has reserved nothing may ask for it too.
    pub(super) const fn release(row: Row) -> Row {
        Row { serialization: Serialization::Unit, ..row }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sense;
    use crate::sense::Code;

    fn check(row: &Row, cdb: &[u8], want: Result<(), Sense>) {
        assert_eq!(row.check(cdb), want);
    }

    #[test]
    fn usage_data_have_a_one_for_every_evaluated_bit() {
        let want = [0x28, 0x1a, 0xff, 0xff, 0xff, 0xff, 0x3f, 0xff, 0xff, 0x04];
        assert_eq!(read10::ROW.usage[..10], want);
    }

    #[test]
    fn the_group_number_lies_where_the_rows_say() {
        let cdb = |opcode: u8, field: crate::Field<u8>| {
            let mut bytes = [0; 32];
            bytes[0] = opcode;
            field.set(&mut bytes, 0x2a);
            crate::Cdb::new(&bytes).group_number()
        };
        assert_eq!(cdb(0x28, read10::GROUP_NUMBER), 0x2a);
        assert_eq!(cdb(0xa8, read12::GROUP_NUMBER), 0x2a);
        assert_eq!(cdb(0x88, read16::GROUP_NUMBER), 0x2a);
        assert_eq!(cdb(0x7f, read32::GROUP_NUMBER), 0x2a);
        assert_eq!(crate::Cdb::new(&[0x08, 0xff, 0xff, 0xff, 0xff, 0]).group_number(), 0);
    }

    #[test]
    fn usage_data_carry_the_service_action_itself() {
        assert_eq!(read_capacity16::ROW.usage[..2], [0x9e, 0x10]);
    }

    #[test]
    fn the_pointer_names_the_whole_field_that_we_refuse() {
        let cdb = [0x28, 0x20, 0, 0, 0, 0, 0, 0, 1, 0];
        check(&read10::ROW, &cdb, Err(Sense::invalid_field(read10::RDPROTECT)));
    }

    #[test]
    fn the_pointer_names_the_reserved_bit() {
        let cdb = [0x28, 0x01, 0, 0, 0, 0, 0, 0, 1, 0];
        check(&read10::ROW, &cdb, Err(Sense::invalid_field(crate::Bits { byte: 1, msb: 0, width: 1 })));
    }

    #[test]
    fn auto_contingent_allegiance_can_be_had_with_every_command() {
        check(&test_unit_ready::ROW, &[0, 0, 0, 0, 0, 4], Ok(()));
        check(&read_capacity16::ROW, &[0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 4], Ok(()));
        assert!(crate::Cdb::new(&[0, 0, 0, 0, 0, 4]).naca());
        assert!(!crate::Cdb::new(&[0, 0, 0, 0, 4, 0]).naca());
    }

    #[test]
    fn the_other_bits_of_control_are_refused() {
        let link = crate::Bits { byte: 5, msb: 0, width: 1 };
        check(&test_unit_ready::ROW, &[0, 0, 0, 0, 0, 5], Err(Sense::invalid_field(link)));
    }

    #[test]
    fn what_initiators_set_is_taken() {
        let everything = [0x2a, 0x1a, 0xff, 0xff, 0xff, 0xff, 0x3f, 0xff, 0xff, 0x04];
        check(&write10::ROW, &everything, Ok(()));
    }

    #[test]
    fn the_service_action_is_no_reserved_field() {
        let cdb = [0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0];
        check(&read_capacity16::ROW, &cdb, Ok(()));
    }

    #[test]
    fn a_short_cdb_is_refused() {
        let code: Code = crate::sense::code::INVALID_FIELD_IN_CDB;
        check(&read10::ROW, &[0x28, 0, 0, 0, 0, 0], Err(code.into()));
    }
}
