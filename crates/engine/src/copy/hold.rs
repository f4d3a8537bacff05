//! Holding blocks still while a store copies them.
//!
//! A copy that a store does by itself ([`Op::Copy`](felio_hal::Op::Copy)) touches two units with one operation. For each of
//! them the copy manager has a task that holds the blocks: it takes its turn and is checked like a READ or a WRITE, and then
//! lasts until the operation is done. The holds of a copy are taken in the order of the units' stores, so that two copies
//! never wait for each other. No initiator can send these commands: they are looked for only where a copy manager asks.

use crate::commands::{Entry, Needs, Run};
use crate::geometry::{Extent, Geometry};
use felio_spec::cdb::{Medium, Reservation, Serialization};
use felio_spec::{Bits, Cdb, Field, Row, Sense};

/// The length of the CDB, bytes.
const BYTES: u8 = 32;
const LBA: Field<u64> = Field::bytes(2, 8);
const BLOCKS: Field<u64> = Field::bytes(10, 8);
/// Of the blocks that are held, those that are written.
const WRITTEN_LBA: Field<u64> = Field::bytes(18, 8);
const WRITTEN_BLOCKS: Field<u64> = Field::bytes(26, 6);

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
    ..Row::new("hold blocks to write them", 0xc1, BYTES, &FIELDS)
};

const FIELDS: [Bits; 4] = [LBA.bits, BLOCKS.bits, WRITTEN_LBA.bits, WRITTEN_BLOCKS.bits];

static ENTRIES: [Entry; 2] = [
    Entry { row: &TO_READ, needs: Needs::Nothing, run: Run::Hold },
    Entry { row: &TO_WRITE, needs: Needs::Nothing, run: Run::Hold },
];

/// What for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Read,
    /// And which of the blocks are written.
    Write(Extent),
}

/// The entry of a hold.
pub(crate) fn find(cdb: &Cdb) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.row.opcode == cdb.opcode())
}

/// The CDB of a hold.
pub(crate) fn cdb(purpose: Purpose, held: Extent) -> [u8; 32] {
    let (row, written) = match purpose {
        Purpose::Read => (&TO_READ, Extent::default()),
        Purpose::Write(written) => (&TO_WRITE, written),
    };
    let mut cdb = [0; 32];
    cdb[0] = row.opcode;
    LBA.set(&mut cdb, held.lba);
    BLOCKS.set(&mut cdb, held.blocks);
    WRITTEN_LBA.set(&mut cdb, written.lba);
    WRITTEN_BLOCKS.set(&mut cdb, written.blocks);
    cdb
}

/// The blocks that are written while a hold lasts.
pub(crate) fn written(cdb: &Cdb) -> Extent {
    Extent { lba: cdb.get(WRITTEN_LBA), blocks: cdb.get(WRITTEN_BLOCKS) }
}

/// The blocks that a hold is for.
pub(crate) fn extent(geometry: &Geometry, cdb: &Cdb) -> Result<Extent, Sense> {
    geometry.extent(cdb.get(LBA), cdb.get(BLOCKS))
}
