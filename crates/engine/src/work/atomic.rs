//! WRITE ATOMIC of SBC-4: blocks that are written as a whole or not at all.
//!
//! That no other command sees a part of them is the task set's work: the command is exclusive on its extent. That no
//! power failure leaves a part is the store's promise.

use super::{Desk, Next, Plan, Work};
use crate::geometry::{Extent, Geometry};
use felio_hal::{Buf, Op};
use felio_spec::commands::write_atomic16 as field;
use felio_spec::sense::code;
use felio_spec::{Cdb, Sense};

//= SBC-4 "WRITE ATOMIC (16) command". With a boundary, the parts alone need be atomic; the whole is, which is more.
pub(crate) fn write_atomic16(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    let (lba, blocks) = (cdb.get(field::LBA), cdb.get(field::TRANSFER_LENGTH));
    let boundary = cdb.get(field::ATOMIC_BOUNDARY);
    let extent = unit.transfer(lba, blocks, field::TRANSFER_LENGTH.bits)?;
    let limits = unit.atomic_blocks().ok_or(code::INVALID_COMMAND_OPERATION_CODE)?;
    if blocks > limits.max || !blocks.is_multiple_of(limits.granularity) {
        return Err(Sense::invalid_field(field::TRANSFER_LENGTH.bits));
    }
    if !lba.is_multiple_of(limits.alignment.into()) {
        return Err(Sense::invalid_field(field::LBA.bits));
    }
    if boundary > limits.max || !boundary.is_multiple_of(limits.granularity) {
        return Err(Sense::invalid_field(field::ATOMIC_BOUNDARY.bits));
    }
    Ok(Plan::WriteAtomic { extent, fua: cdb.get(field::FUA) })
}

pub(super) fn begin(extent: Extent, fua: bool, buf: Buf, desk: &Desk<'_>) -> Next {
    let transfer_bytes = desk.geometry.bytes(extent.blocks);
    let op = Op::WriteAtomic { at: desk.geometry.offset(extent.lba), buf, durability: desk.durability(fua) };
    Next::Submit(op, Work::Last { transfer_bytes })
}
