//! Commands on units whose blocks have protection information behind them.
//!
//! What comes and goes without it is the store's business: it inserts, and checks before it strips. So most commands run as
//! they do on any unit. Here are those whose CDB says, in RDPROTECT or one of its kind, that protection information is
//! transferred, or that nothing is to be checked (DPICZ=1). [`begin`] stands where they part from the others; [`terms`]
//! is what a CDB asks for, [`Guarded`] the command between its steps.
//!
//! Invariant: Data-Out is checked before anything is written, blocks are checked before anything of them is handed over.

mod guarded;
mod steps;
mod terms;

pub(crate) use guarded::Guarded;

use crate::geometry::Geometry;
use crate::unit::Unit;
use crate::work::{self, DataOut, Desk, Next, Outcome, Plan};
use felio_hal::Buf;
use felio_spec::protection::{self, FROM_DATA_OUT, Flaw, Kind};
use felio_spec::sense::{Code, Sense, code};
use felio_spec::{Cdb, Row};
use terms::Terms;

/// Starts a plan, made from that CDB, on a unit that is formatted with this type.
pub(crate) fn begin(
    kind: Kind,
    plan: &Plan,
    row: &Row,
    cdb: &Cdb,
    data: Option<Buf>,
    desk: &mut Desk<'_>,
) -> Next {
    let unchecked = desk.unit.mode.protection_unchecked();
    let terms = Terms::new(kind, row, cdb, plan.extent(), unchecked);
    match (data, terms.concern(plan)) {
        (data, false) => work::begin(plan, cdb, data, desk),
        (None, true) => Guarded::begin_without(terms, plan, cdb, desk),
        (Some(data), true) => match terms.check_sent(&data, desk.geometry) {
            Ok(()) => Guarded::begin_with(terms, plan, cdb, data, desk),
            Err(sense) => {
                let transfer_bytes = u64::try_from(data.len()).unwrap_or(u64::MAX);
                desk.finish_with(Some(data), Outcome::check(sense, transfer_bytes))
            }
        },
    }
}

/// The Data-Out that a plan wants, made from that CDB, on a unit that is formatted with protection information.
pub(crate) fn data_out(plan: &Plan, row: &Row, cdb: &Cdb, geometry: &Geometry) -> DataOut {
    match value(row, cdb) {
        0 => plan.data_out(geometry),
        _ => plan.data_out(&geometry.whole()),
    }
}

/// Looks again at a CDB that its row refuses, for a reason that need not count where there is protection information.
//= SBC-3 "Protection types": of type 2, only CDBs of 32 bytes have protection information transferred
pub(crate) fn check(row: &Row, unit: &Unit, cdb: &[u8], refusal: Sense) -> Result<(), Sense> {
    let (Some(kind), Some(field)) = (unit.geometry.protection, row.protect) else { return Err(refusal) };
    let value = field.read(cdb);
    if value != 0 && kind == Kind::Type2 && row.length < LONG_CDB_BYTES {
        return Err(code::INVALID_COMMAND_OPERATION_CODE.into());
    }
    row.protected().check(cdb)?;
    match protection::row(&FROM_DATA_OUT, u8::try_from(value).unwrap_or(u8::MAX)) {
        Some(_) => Ok(()),
        None => Err(Sense::invalid_field(field)),
    }
}

/// The row as it holds for a unit: with its protection field, where that means something.
pub(crate) fn row_for(row: &Row, unit: &Unit) -> Row {
    match unit.geometry.protection {
        Some(Kind::Type2) if row.length < LONG_CDB_BYTES => *row,
        Some(_) => row.protected(),
        None => *row,
    }
}

/// What the protection field of a CDB says; zero where there is none.
fn value(row: &Row, cdb: &Cdb) -> u8 {
    row.protect.map_or(0, |field| u8::try_from(field.read(cdb.bytes())).unwrap_or(0))
}

/// What a flaw of protection information is called.
//= SBC-3 "READ (10) command": RDPROTECT, "If check fails"
pub(crate) const fn flawed(flaw: Flaw) -> Code {
    match flaw {
        Flaw::Guard => code::LOGICAL_BLOCK_GUARD_CHECK_FAILED,
        Flaw::Application => code::LOGICAL_BLOCK_APPLICATION_TAG_CHECK_FAILED,
        Flaw::Reference => code::LOGICAL_BLOCK_REFERENCE_TAG_CHECK_FAILED,
    }
}

/// What it is called that protection information is not what it was compared with.
//= SBC-3 "VERIFY (10) command": compare operation, "If compare fails"
const fn differing(flaw: Flaw) -> Code {
    match flaw {
        Flaw::Guard => code::LOGICAL_BLOCK_GUARD_MISCOMPARE,
        Flaw::Application => code::LOGICAL_BLOCK_APPLICATION_TAG_MISCOMPARE,
        Flaw::Reference => code::LOGICAL_BLOCK_REFERENCE_TAG_MISCOMPARE,
    }
}

//= SBC-3 "CRC-16": LOGICAL BLOCK GUARD
fn guard(block: &[u8]) -> u16 {
    let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc16T10Dif, block);
    u16::try_from(sum).unwrap_or_default()
}

/// The shortest CDB that says what to expect of tags.
const LONG_CDB_BYTES: u8 = 32;
