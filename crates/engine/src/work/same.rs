//! WRITE SAME commands of SBC-3: one block, many times.
//!
//! Zeros are one operation, which may deallocate where the initiator allows it and deallocated blocks read as zeros.
//! Any other block is repeated in a buffer that is written piece by piece; UNMAP=1 never makes blocks read as something
//! that was not written.

use super::{Desk, Next, Outcome, Pattern, Plan, Release, Wanting, Work};
use crate::geometry::{Extent, Geometry};
use felio_hal::{Buf, Op};
use felio_spec::commands::{check_length, write_same10 as ws10, write_same16 as ws16, write_same32 as ws32};
use felio_spec::{Bits, Cdb, Field, Sense};

//= SBC-3 "WRITE SAME (10) command"
pub(crate) fn write_same10(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    let blocks = cdb.get(ws10::NUMBER_OF_LOGICAL_BLOCKS);
    let release = release(cdb, ws10::UNMAP, ws10::ANCHOR)?;
    let extent = extent(unit, cdb.get(ws10::LBA), blocks, ws10::NUMBER_OF_LOGICAL_BLOCKS.bits)?;
    Ok(Plan::WriteSame { extent, pattern: Pattern::DataOut, release })
}

//= SBC-3 "WRITE SAME (16) command"; SBC-4 adds NDOB
pub(crate) fn write_same16(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    let blocks = cdb.get(ws16::NUMBER_OF_LOGICAL_BLOCKS);
    let release = release(cdb, ws16::UNMAP, ws16::ANCHOR)?;
    let extent = extent(unit, cdb.get(ws16::LBA), blocks, ws16::NUMBER_OF_LOGICAL_BLOCKS.bits)?;
    let pattern = if cdb.get(ws16::NDOB) { Pattern::Zeros } else { Pattern::DataOut };
    Ok(Plan::WriteSame { extent, pattern, release })
}

//= SBC-3 "WRITE SAME (32) command"; SBC-4 adds NDOB
pub(crate) fn write_same32(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    check_length(cdb)?;
    let blocks = cdb.get(ws32::NUMBER_OF_LOGICAL_BLOCKS);
    let release = release(cdb, ws32::UNMAP, ws32::ANCHOR)?;
    let extent = extent(unit, cdb.get(ws32::LBA), blocks, ws32::NUMBER_OF_LOGICAL_BLOCKS.bits)?;
    let pattern = if cdb.get(ws32::NDOB) { Pattern::Zeros } else { Pattern::DataOut };
    Ok(Plan::WriteSame { extent, pattern, release })
}

//= SBC-3 "Block Limits VPD page": WSNZ, MAXIMUM WRITE SAME LENGTH
fn extent(unit: &Geometry, lba: u64, blocks: u32, field: Bits) -> Result<Extent, Sense> {
    let extent = unit.extent_or_rest(lba, u64::from(blocks))?;
    if (blocks == 0 && unit.write_same_non_zero()) || extent.blocks > unit.write_same_blocks_max() {
        return Err(Sense::invalid_field(field));
    }
    Ok(extent)
}

//= SBC-3 "WRITE SAME (10) command": ANCHOR says how to unmap, and makes no sense alone
fn release(cdb: &Cdb, unmap: Field<bool>, anchor: Field<bool>) -> Result<Release, Sense> {
    match (cdb.get(unmap), cdb.get(anchor)) {
        (false, false) => Ok(Release::Keep),
        (true, false) => Ok(Release::Deallocate),
        (true, true) => Ok(Release::Anchor),
        (false, true) => Err(Sense::invalid_field(anchor.bits)),
    }
}

/// A pattern on its way to the medium.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Same {
    /// What is left, from the piece that is being written on.
    rest: Extent,
    transfer_bytes: u64,
}

/// Starts a WRITE SAME; without Data-Out the block is zeros.
pub(super) fn begin(extent: Extent, release: Release, data: Option<Buf>, desk: &mut Desk<'_>) -> Next {
    let transfer_bytes = data.as_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX));
    match data {
        Some(block) if block.iter().any(|byte| *byte != 0) => {
            let same = Same { rest: extent, transfer_bytes };
            let bytes = desk.geometry.buf_bytes(same.piece(desk.geometry).blocks);
            Next::Need(bytes, Wanting::Same(Box::new((same, block))))
        }
        zeros => {
            if let Some(block) = zeros {
                desk.pool.give(block);
            }
            let (at, len) = (desk.geometry.offset(extent.lba), desk.geometry.bytes(extent.blocks));
            // Where deallocated blocks may read as anything, they are written.
            let unmap =
                release == Release::Deallocate && desk.geometry.unmap.is_some_and(|limits| limits.zeroes);
            Next::Submit(Op::Zero { at, len, unmap }, Work::Zero { transfer_bytes })
        }
    }
}

/// Here is the buffer; `block` is what to fill it with.
pub(super) fn fill((same, block): (Same, Buf), mut buf: Buf, desk: &mut Desk<'_>) -> Next {
    for copy in buf.chunks_exact_mut(block.len().max(1)) {
        copy.copy_from_slice(&block);
    }
    desk.pool.give(block);
    same.write(buf, desk)
}

impl Same {
    /// A piece is written.
    pub(super) fn handle_written(mut self, buf: Buf, desk: &mut Desk<'_>) -> Next {
        let piece = self.piece(desk.geometry);
        self.rest = Extent { lba: self.rest.lba + piece.blocks, blocks: self.rest.blocks - piece.blocks };
        if self.rest.blocks > 0 {
            return self.write(buf, desk);
        }
        desk.finish_with(Some(buf), Outcome::good(self.transfer_bytes))
    }

    fn write(self, mut buf: Buf, desk: &Desk<'_>) -> Next {
        let piece = self.piece(desk.geometry);
        buf.set_len(desk.geometry.buf_bytes(piece.blocks));
        let op = Op::Write { at: desk.geometry.offset(piece.lba), buf, durability: desk.durability };
        Next::Submit(op, Work::Same(self))
    }

    fn piece(&self, geometry: &Geometry) -> Extent {
        Extent { blocks: self.rest.blocks.min(geometry.piece_blocks_max()), ..self.rest }
    }
}
