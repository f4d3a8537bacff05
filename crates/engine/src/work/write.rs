//! WRITE commands of SBC-3.
//!
//! The buffer that the port filled is the buffer that the store writes.

use super::{Desk, Next, Outcome, Plan, Work};
use crate::geometry::{Extent, Geometry};
use felio_hal::{Buf, Op};
use felio_spec::commands::{
    check_length, write6 as w6, write10 as w10, write12 as w12, write16 as w16, write32 as w32,
};
use felio_spec::{Cdb, Sense};

//= SBC-3 "WRITE (6) command": a TRANSFER LENGTH of zero is 256 blocks
pub(crate) fn write6(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    let blocks = match cdb.get(w6::TRANSFER_LENGTH) {
        0 => 256,
        blocks => blocks,
    };
    let extent = unit.transfer(cdb.get(w6::LBA), blocks, w6::TRANSFER_LENGTH.bits)?;
    Ok(Plan::Write { extent, fua: false })
}

//= SBC-3 "WRITE (10) command"
pub(crate) fn write10(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    let extent =
        unit.transfer(cdb.get(w10::LBA), cdb.get(w10::TRANSFER_LENGTH), w10::TRANSFER_LENGTH.bits)?;
    Ok(Plan::Write { extent, fua: cdb.get(w10::FUA) })
}

//= SBC-3 "WRITE (12) command"
pub(crate) fn write12(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    let extent =
        unit.transfer(cdb.get(w12::LBA), cdb.get(w12::TRANSFER_LENGTH), w12::TRANSFER_LENGTH.bits)?;
    Ok(Plan::Write { extent, fua: cdb.get(w12::FUA) })
}

//= SBC-3 "WRITE (16) command"
pub(crate) fn write16(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    let extent =
        unit.transfer(cdb.get(w16::LBA), cdb.get(w16::TRANSFER_LENGTH), w16::TRANSFER_LENGTH.bits)?;
    Ok(Plan::Write { extent, fua: cdb.get(w16::FUA) })
}

//= SBC-3 "WRITE (32) command"
pub(crate) fn write32(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    check_length(cdb)?;
    let extent =
        unit.transfer(cdb.get(w32::LBA), cdb.get(w32::TRANSFER_LENGTH), w32::TRANSFER_LENGTH.bits)?;
    Ok(Plan::Write { extent, fua: cdb.get(w32::FUA) })
}

/// Writes as many blocks as arrived; the initiator may have announced fewer than the CDB names.
pub(super) fn begin(extent: Extent, fua: bool, data: Option<Buf>, desk: &Desk<'_>) -> Next {
    let transfer_bytes = desk.geometry.bytes(extent.blocks);
    let Some(buf) = data else { return Next::Finish(Outcome::good(transfer_bytes)) };
    let op = Op::Write { at: desk.geometry.offset(extent.lba), buf, durability: desk.durability(fua) };
    Next::Submit(op, Work::Last { transfer_bytes })
}
