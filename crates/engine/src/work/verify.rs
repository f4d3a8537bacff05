//! VERIFY and WRITE AND VERIFY commands of SBC-3.
//!
//! Blocks are read in pieces into one buffer, so that a VERIFY of a whole disk holds no more memory than that of a few
//! blocks, and can be aborted between two pieces.

use super::{Against, Desk, Next, Outcome, Plan, Wanting, Work};
use crate::geometry::{Extent, Geometry};
use felio_hal::store::Durability;
use felio_hal::{Buf, Op};
use felio_spec::commands::{
    check_length, verify10 as v10, verify12 as v12, verify16 as v16, verify32 as v32,
};
use felio_spec::commands::{
    write_and_verify10 as wv10, write_and_verify12 as wv12, write_and_verify16 as wv16,
    write_and_verify32 as wv32,
};
use felio_spec::sense::code;
use felio_spec::{Bits, Cdb, Field, Sense};

//= SBC-3 "VERIFY (10) command"
pub(crate) fn verify10(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    verify(unit, cdb, v10::BYTCHK, cdb.get(v10::LBA), v10::VERIFICATION_LENGTH)
}

//= SBC-3 "VERIFY (12) command"
pub(crate) fn verify12(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    verify(unit, cdb, v12::BYTCHK, cdb.get(v12::LBA), v12::VERIFICATION_LENGTH)
}

//= SBC-3 "VERIFY (16) command"
pub(crate) fn verify16(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    verify(unit, cdb, v16::BYTCHK, cdb.get(v16::LBA), v16::VERIFICATION_LENGTH)
}

//= SBC-3 "VERIFY (32) command"
pub(crate) fn verify32(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    check_length(cdb)?;
    verify(unit, cdb, v32::BYTCHK, cdb.get(v32::LBA), v32::VERIFICATION_LENGTH)
}

//= SBC-3 "WRITE AND VERIFY (10) command"
pub(crate) fn write_and_verify10(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    let extent =
        unit.transfer(cdb.get(wv10::LBA), cdb.get(wv10::TRANSFER_LENGTH), wv10::TRANSFER_LENGTH.bits)?;
    write_and_verify(extent, cdb.get(wv10::BYTCHK), wv10::BYTCHK.bits)
}

//= SBC-3 "WRITE AND VERIFY (12) command"
pub(crate) fn write_and_verify12(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    let extent =
        unit.transfer(cdb.get(wv12::LBA), cdb.get(wv12::TRANSFER_LENGTH), wv12::TRANSFER_LENGTH.bits)?;
    write_and_verify(extent, cdb.get(wv12::BYTCHK), wv12::BYTCHK.bits)
}

//= SBC-3 "WRITE AND VERIFY (16) command"
pub(crate) fn write_and_verify16(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    let extent =
        unit.transfer(cdb.get(wv16::LBA), cdb.get(wv16::TRANSFER_LENGTH), wv16::TRANSFER_LENGTH.bits)?;
    write_and_verify(extent, cdb.get(wv16::BYTCHK), wv16::BYTCHK.bits)
}

//= SBC-3 "WRITE AND VERIFY (32) command"
pub(crate) fn write_and_verify32(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    check_length(cdb)?;
    let extent =
        unit.transfer(cdb.get(wv32::LBA), cdb.get(wv32::TRANSFER_LENGTH), wv32::TRANSFER_LENGTH.bits)?;
    write_and_verify(extent, cdb.get(wv32::BYTCHK), wv32::BYTCHK.bits)
}

fn verify(
    unit: &Geometry,
    cdb: &Cdb,
    bytchk: Field<u8>,
    lba: u64,
    length: Field<u32>,
) -> Result<Plan, Sense> {
    let blocks = cdb.get(length);
    let against = match cdb.get(bytchk) {
        0b00 => Against::Nothing,
        0b01 => Against::Each,
        0b11 => Against::One,
        _ => return Err(Sense::invalid_field(bytchk.bits)),
    };
    // Only what is transferred is bounded by the longest transfer.
    let extent = match against {
        Against::Each => unit.transfer(lba, blocks, length.bits)?,
        Against::Nothing | Against::One => unit.extent(lba, u64::from(blocks))?,
    };
    Ok(Plan::Verify { extent, against })
}

fn write_and_verify(extent: Extent, bytchk: u8, field: Bits) -> Result<Plan, Sense> {
    match bytchk {
        0b00 => Ok(Plan::WriteAndVerify { extent, against: Against::Nothing }),
        0b01 => Ok(Plan::WriteAndVerify { extent, against: Against::Each }),
        _ => Err(Sense::invalid_field(field)),
    }
}

/// A comparison under way.
#[derive(Debug)]
pub(crate) struct Verify {
    extent: Extent,
    against: Against,
    /// What to compare with.
    data: Option<Buf>,
    /// Blocks of the extent that are done with.
    verified: u64,
    /// Bytes of Data-Out that the CDB asked for.
    transfer_bytes: u64,
}

/// Starts a VERIFY.
pub(super) fn begin(extent: Extent, against: Against, data: Option<Buf>, desk: &mut Desk<'_>) -> Next {
    let transfer_bytes = data.as_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX));
    Box::new(Verify { extent, against, data, verified: 0, transfer_bytes }).want(desk)
}

/// Starts a WRITE AND VERIFY, with as many blocks as arrived.
//= SBC-3 "WRITE AND VERIFY (10) command": what is compared is what is on the medium
pub(super) fn begin_write(extent: Extent, against: Against, data: Option<Buf>, desk: &Desk<'_>) -> Next {
    let transfer_bytes = desk.geometry.bytes(extent.blocks);
    let Some(buf) = data else { return Next::Finish(Outcome::good(transfer_bytes)) };
    let written = u64::try_from(buf.len()).unwrap_or(0) / u64::from(desk.geometry.block_bytes);
    let extent = Extent { blocks: written.min(extent.blocks), ..extent };
    let op = Op::Write { at: desk.geometry.offset(extent.lba), buf, durability: Durability::Durable };
    let verify = Verify { extent, against, data: None, verified: 0, transfer_bytes };
    Next::Submit(op, Work::WriteBeforeVerify(Box::new(verify)))
}

impl Verify {
    /// The blocks are written; `data` are what they must be now.
    pub(super) fn handle_written(mut self: Box<Self>, data: Buf, desk: &mut Desk<'_>) -> Next {
        match self.against {
            Against::Each | Against::One => self.data = Some(data),
            Against::Nothing => desk.pool.give(data),
        }
        self.want(desk)
    }

    /// A piece is read.
    pub(super) fn handle_read(mut self: Box<Self>, buf: Buf, desk: &mut Desk<'_>) -> Next {
        if !self.matches(&buf, desk.geometry) {
            desk.pool.give(buf);
            let sense = Sense::new(code::MISCOMPARE_DURING_VERIFY);
            return desk.finish_with(self.data, Outcome::check(sense, self.transfer_bytes));
        }
        self.verified += self.piece(desk.geometry).blocks;
        if self.verified < self.extent.blocks {
            return self.read_piece(buf, desk);
        }
        desk.pool.give(buf);
        desk.finish_with(self.data, Outcome::good(self.transfer_bytes))
    }

    /// Here is a buffer for a piece.
    pub(super) fn read_piece(self: Box<Self>, mut buf: Buf, desk: &Desk<'_>) -> Next {
        let piece = self.piece(desk.geometry);
        buf.set_len(desk.geometry.buf_bytes(piece.blocks));
        let op = Op::Read { at: desk.geometry.offset(piece.lba), buf };
        Next::Submit(op, Work::Verify(self))
    }

    pub(super) fn into_buf(self) -> Option<Buf> {
        self.data
    }

    fn want(self: Box<Self>, desk: &mut Desk<'_>) -> Next {
        if self.extent.blocks == 0 {
            return desk.finish_with(self.data, Outcome::good(self.transfer_bytes));
        }
        let bytes = desk.geometry.buf_bytes(self.piece(desk.geometry).blocks);
        Next::Need(bytes, Wanting::Verify(self))
    }

    /// The piece that is next.
    fn piece(&self, geometry: &Geometry) -> Extent {
        let blocks = (self.extent.blocks - self.verified).min(geometry.piece_blocks_max());
        Extent { lba: self.extent.lba + self.verified, blocks }
    }

    fn matches(&self, piece: &[u8], geometry: &Geometry) -> bool {
        let block_bytes = geometry.buf_bytes(1);
        match (self.against, self.data.as_deref()) {
            (Against::Each, Some(data)) => {
                let at = geometry.buf_bytes(self.verified);
                data.get(at..).is_some_and(|rest| rest.starts_with(piece))
            }
            (Against::One, Some(data)) => data
                .get(..block_bytes)
                .is_some_and(|one| piece.chunks_exact(block_bytes).all(|block| block == one)),
            (Against::Nothing, _) | (_, None) => true,
        }
    }
}
