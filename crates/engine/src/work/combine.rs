//! COMPARE AND WRITE and ORWRITE: blocks are read, combined with Data-Out, and written, as one step.
//!
//! That nothing comes between is the task set's work: both are exclusive on their extent.

use super::{Desk, Next, Outcome, Plan, Wanting, Work};
use crate::geometry::{Extent, Geometry};
use felio_hal::{Buf, Op};
use felio_spec::commands::{compare_and_write as caw, orwrite16 as or16};
use felio_spec::sense::code;
use felio_spec::{Cdb, Sense};

//= SBC-3 "COMPARE AND WRITE command"
pub(crate) fn compare_and_write(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    let blocks = cdb.get(caw::NUMBER_OF_LOGICAL_BLOCKS);
    let extent = unit.extent(cdb.get(caw::LBA), u64::from(blocks))?;
    if blocks > unit.compare_and_write_blocks_max() {
        return Err(Sense::invalid_field(caw::NUMBER_OF_LOGICAL_BLOCKS.bits));
    }
    Ok(Plan::CompareAndWrite { extent, fua: cdb.get(caw::FUA) })
}

//= SBC-3 "ORWRITE (16) command"
pub(crate) fn orwrite16(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    let extent =
        unit.transfer(cdb.get(or16::LBA), cdb.get(or16::TRANSFER_LENGTH), or16::TRANSFER_LENGTH.bits)?;
    Ok(Plan::Orwrite { extent, fua: cdb.get(or16::FUA) })
}

/// A command that has its Data-Out and reads the blocks.
#[derive(Debug)]
pub(crate) struct Combine {
    extent: Extent,
    fua: bool,
    how: How,
    data: Buf,
}

#[derive(Clone, Copy, Debug)]
enum How {
    /// Write the second half of the data, if the first half is what is there.
    Replace,
    /// Write what is there or in the data.
    Or,
}

/// Wants a buffer for the blocks.
pub(super) fn begin(combine: Box<Combine>, desk: &Desk<'_>) -> Next {
    Next::Need(desk.geometry.buf_bytes(combine.extent.blocks), Wanting::Combine(combine))
}

impl Combine {
    pub(super) const fn compare_and_write(extent: Extent, fua: bool, data: Buf) -> Self {
        Self { extent, fua, how: How::Replace, data }
    }

    pub(super) const fn orwrite(extent: Extent, fua: bool, data: Buf) -> Self {
        Self { extent, fua, how: How::Or, data }
    }

    /// Here is the buffer.
    pub(super) fn read(self: Box<Self>, buf: Buf, desk: &Desk<'_>) -> Next {
        Next::Submit(Op::Read { at: desk.geometry.offset(self.extent.lba), buf }, Work::Combine(self))
    }

    /// The blocks are read; the same buffer carries the new ones back.
    pub(super) fn handle_read(self, mut buf: Buf, desk: &mut Desk<'_>) -> Next {
        let transfer_bytes = u64::try_from(self.data.len()).unwrap_or(u64::MAX);
        if let Err(sense) = self.how.combine(&mut buf, &self.data) {
            desk.pool.give(buf);
            return desk.finish_with(Some(self.data), Outcome::check(sense, transfer_bytes));
        }
        desk.pool.give(self.data);
        let durability = desk.durability(self.fua);
        let op = Op::Write { at: desk.geometry.offset(self.extent.lba), buf, durability };
        Next::Submit(op, Work::Last { transfer_bytes })
    }

    pub(super) fn into_buf(self) -> Buf {
        self.data
    }
}

impl How {
    //= SBC-3 "COMPARE AND WRITE command": INFORMATION is the offset of the first byte that differs
    fn combine(self, blocks: &mut [u8], data: &[u8]) -> Result<(), Sense> {
        match self {
            Self::Replace => {
                let (verify, write) = data.split_at(blocks.len().min(data.len()));
                if blocks != verify {
                    let same = blocks.iter().zip(verify).take_while(|(a, b)| a == b).count();
                    let offset = u64::try_from(same).unwrap_or(u64::MAX);
                    return Err(Sense::with_information(code::MISCOMPARE_DURING_VERIFY, offset));
                }
                for (block, new) in blocks.iter_mut().zip(write) {
                    *block = *new;
                }
            }
            Self::Or => {
                for (block, bits) in blocks.iter_mut().zip(data) {
                    *block |= *bits;
                }
            }
        }
        Ok(())
    }
}
