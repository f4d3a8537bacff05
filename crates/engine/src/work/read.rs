//! READ commands of SBC-3.
//!
//! The buffer that the store fills is the buffer that goes to the initiator.

use super::{Desk, Next, Outcome, Plan, Wanting, Work};
use crate::geometry::{Extent, Geometry};
use felio_hal::store::WriteCache;
use felio_hal::{Buf, Op};
use felio_spec::commands::{
    check_length, read6 as r6, read10 as r10, read12 as r12, read16 as r16, read32 as r32,
};
use felio_spec::{Cdb, Sense};

//= SBC-3 "READ (6) command": a TRANSFER LENGTH of zero is 256 blocks
pub(crate) fn read6(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    let blocks = match cdb.get(r6::TRANSFER_LENGTH) {
        0 => 256,
        blocks => blocks,
    };
    let extent = unit.transfer(cdb.get(r6::LBA), blocks, r6::TRANSFER_LENGTH.bits)?;
    Ok(Plan::Read { extent, fua: false })
}

//= SBC-3 "READ (10) command"
pub(crate) fn read10(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    let extent =
        unit.transfer(cdb.get(r10::LBA), cdb.get(r10::TRANSFER_LENGTH), r10::TRANSFER_LENGTH.bits)?;
    Ok(Plan::Read { extent, fua: cdb.get(r10::FUA) })
}

//= SBC-3 "READ (12) command"
pub(crate) fn read12(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    let extent =
        unit.transfer(cdb.get(r12::LBA), cdb.get(r12::TRANSFER_LENGTH), r12::TRANSFER_LENGTH.bits)?;
    Ok(Plan::Read { extent, fua: cdb.get(r12::FUA) })
}

//= SBC-3 "READ (16) command"
pub(crate) fn read16(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    let extent =
        unit.transfer(cdb.get(r16::LBA), cdb.get(r16::TRANSFER_LENGTH), r16::TRANSFER_LENGTH.bits)?;
    Ok(Plan::Read { extent, fua: cdb.get(r16::FUA) })
}

//= SBC-3 "READ (32) command"
pub(crate) fn read32(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    check_length(cdb)?;
    let extent =
        unit.transfer(cdb.get(r32::LBA), cdb.get(r32::TRANSFER_LENGTH), r32::TRANSFER_LENGTH.bits)?;
    Ok(Plan::Read { extent, fua: cdb.get(r32::FUA) })
}

//= SBC-3 "Cache memory": FUA reads the medium, so that newer data in a volatile cache are written there first
pub(super) fn begin(extent: Extent, fua: bool, desk: &Desk<'_>) -> Next {
    if extent.blocks == 0 {
        return Next::Finish(Outcome::good(0));
    }
    if fua && desk.geometry.write_cache == WriteCache::On {
        return Next::Submit(Op::Flush, Work::ReadAfterFlush(extent));
    }
    want(extent, desk)
}

pub(super) fn want(extent: Extent, desk: &Desk<'_>) -> Next {
    Next::Need(desk.geometry.buf_bytes(extent.blocks), Wanting::Read(extent))
}

pub(super) fn fill(extent: Extent, buf: Buf, desk: &Desk<'_>) -> Next {
    Next::Submit(Op::Read { at: desk.geometry.offset(extent.lba), buf }, Work::Read)
}
