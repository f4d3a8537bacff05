//! Holding blocks still while a store copies them.
//!
//! A copy that a store does by itself ([`Op::Copy`](felio_hal::Op::Copy)) touches two units with one operation. For each of
//! them the copy manager has a task that holds the blocks: it takes its turn and is checked like a READ or a WRITE, and then
//! lasts until the operation is done. The holds of a copy are taken in the order of the units' addresses, so that two copies
//! never wait for each other. No initiator can send these commands: they are looked for only where a copy manager asks.

use crate::commands::{Entry, Needs, Run};
use crate::geometry::{Extent, Geometry};
use felio_spec::cdb::{Medium, Reservation, Serialization};
use felio_spec::{Cdb, Field, Row, Sense};

/// The length of the CDB, bytes.
const BYTES: u8 = 32;
const LBA: Field<u64> = Field::bytes(2, 8);
const BLOCKS: Field<u64> = Field::bytes(10, 8);

const TO_READ: Row = Row {
    medium: Medium::Read,
    serialization: Serialization::Read,
    reservation: Reservation::Read,
    ..Row::new("hold blocks to read them", 0xc0, BYTES, &[LBA.bits, BLOCKS.bits])
};

const TO_WRITE: Row = Row {
    medium: Medium::Write,
    serialization: Serialization::Write,
    reservation: Reservation::Write,
    ..Row::new("hold blocks to write them", 0xc1, BYTES, &[LBA.bits, BLOCKS.bits])
};

static ENTRIES: [Entry; 2] = [
    Entry { row: &TO_READ, needs: Needs::Nothing, run: Run::Hold },
    Entry { row: &TO_WRITE, needs: Needs::Nothing, run: Run::Hold },
];

/// What for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Read,
    Write,
}

/// The entry of a hold.
pub(crate) fn find(cdb: &Cdb) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.row.opcode == cdb.opcode())
}

/// The CDB of a hold.
pub(crate) fn cdb(purpose: Purpose, held: Extent) -> [u8; 32] {
    let row = if purpose == Purpose::Read { &TO_READ } else { &TO_WRITE };
    let mut cdb = [0; 32];
    cdb[0] = row.opcode;
    LBA.set(&mut cdb, held.lba);
    BLOCKS.set(&mut cdb, held.blocks);
    cdb
}

/// The blocks that a hold is for.
pub(crate) fn extent(geometry: &Geometry, cdb: &Cdb) -> Result<Extent, Sense> {
    geometry.extent(cdb.get(LBA), cdb.get(BLOCKS))
}
