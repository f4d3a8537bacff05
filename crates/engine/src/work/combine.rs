//! COMPARE AND WRITE and ORWRITE: blocks are read, combined with Data-Out, and written, as one step.
//!
//! That nothing comes between is the task set's work: both are exclusive on their extent.

use super::generation::{Generations, Policy, Verdict};
use super::{Desk, Next, Outcome, Plan, Wanting, Work};
use crate::geometry::{Extent, Geometry};
use crate::unit::Unit;
use felio_hal::{Buf, Op};
use felio_spec::commands::{check_length, compare_and_write as caw, orwrite16 as or16, orwrite32 as or32};
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

//= SBC-3 "ORWRITE (32) command"
pub(crate) fn orwrite32(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    check_length(cdb)?;
    Operation::of(cdb)?;
    let extent =
        unit.transfer(cdb.get(or32::LBA), cdb.get(or32::TRANSFER_LENGTH), or32::TRANSFER_LENGTH.bits)?;
    Ok(Plan::OrwriteGeneration { extent, fua: cdb.get(or32::FUA) })
}

/// BMOP: what an ORWRITE (32) does.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Set,
    /// Begins a generation, under this policy.
    Clear(Policy),
}

impl Operation {
    fn of(cdb: &Cdb) -> Result<Self, Sense> {
        let policy = or32::PREVIOUS_GENERATION_PROCESSING;
        match cdb.get(or32::BMOP) {
            0b000 => Ok(Self::Set),
            0b001 => match Policy::from_code(cdb.get(policy)) {
                Some(policy) => Ok(Self::Clear(policy)),
                None => Err(Sense::invalid_field(policy.bits)),
            },
            _ => Err(Sense::invalid_field(or32::BMOP.bits)),
        }
    }
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
    /// Write what is there and in the data; then the generations are these.
    And(Generations),
}

/// What becomes of an ORWRITE.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Decision {
    /// It sets bits.
    Or,
    /// It clears bits; then the generations are these.
    And(Generations),
    /// Its data are thrown away, and it ends well.
    Discard,
    /// ORWRITE GENERATION DOES NOT MATCH.
    Refuse,
}

/// What becomes of an ORWRITE, made from that CDB.
//= SBC-3 "ORWgeneration code processing": ORWRITE (16) is as if it expected generation zero
pub(crate) fn decide(plan: &Plan, cdb: &Cdb, unit: &Unit) -> Decision {
    let generations = unit.generations.get();
    let (expected, operation) = match plan {
        Plan::OrwriteGeneration { .. } => (cdb.get(or32::EXPECTED_ORWGENERATION), Operation::of(cdb)),
        _ => (0, Ok(Operation::Set)),
    };
    if let Ok(Operation::Clear(policy)) = operation {
        let changed = generations.change(expected, cdb.get(or32::NEW_ORWGENERATION), policy);
        return changed.map_or(Decision::Refuse, Decision::And);
    }
    match generations.judge(expected) {
        Verdict::Perform => Decision::Or,
        Verdict::Discard => Decision::Discard,
        Verdict::Refuse => Decision::Refuse,
    }
}

/// Starts an ORWRITE; its CDB was checked.
pub(super) fn begin_orwrite(plan: &Plan, fua: bool, cdb: &Cdb, data: Buf, desk: &mut Desk<'_>) -> Next {
    let extent = plan.extent();
    let transfer_bytes = u64::try_from(data.len()).unwrap_or(u64::MAX);
    let how = match decide(plan, cdb, desk.unit) {
        Decision::Or => How::Or,
        Decision::And(next) => How::And(next),
        Decision::Discard => return desk.finish_with(Some(data), Outcome::good(transfer_bytes)),
        Decision::Refuse => {
            let sense = Sense::new(code::ORWRITE_GENERATION_DOES_NOT_MATCH);
            return desk.finish_with(Some(data), Outcome::check(sense, transfer_bytes));
        }
    };
    begin(Box::new(Combine { extent, fua, how, data }), desk)
}

/// Wants a buffer for the blocks.
pub(super) fn begin(combine: Box<Combine>, desk: &Desk<'_>) -> Next {
    Next::Need(desk.geometry.buf_bytes(combine.extent.blocks), Wanting::Combine(combine))
}

impl Combine {
    pub(super) const fn compare_and_write(extent: Extent, fua: bool, data: Buf) -> Self {
        Self { extent, fua, how: How::Replace, data }
    }

    fn transfer_bytes(&self) -> u64 {
        u64::try_from(self.data.len()).unwrap_or(u64::MAX)
    }

    /// Here is the buffer.
    pub(super) fn read(self: Box<Self>, buf: Buf, desk: &Desk<'_>) -> Next {
        Next::Submit(Op::Read { at: desk.geometry.offset(self.extent.lba), buf }, Work::Combine(self))
    }

    /// The blocks are read; the same buffer carries the new ones back.
    pub(super) fn handle_read(self, mut buf: Buf, desk: &mut Desk<'_>) -> Next {
        let transfer_bytes = self.transfer_bytes();
        if let Err(sense) = self.how.combine(&mut buf, &self.data) {
            desk.pool.give(buf);
            return desk.finish_with(Some(self.data), Outcome::check(sense, transfer_bytes));
        }
        desk.pool.give(self.data);
        let durability = desk.durability(self.fua);
        let op = Op::Write { at: desk.geometry.offset(self.extent.lba), buf, durability };
        Next::Submit(
            op,
            match self.how {
                How::And(next) => Work::Generation { transfer_bytes, next },
                How::Replace | How::Or => Work::Last { transfer_bytes },
            },
        )
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
            Self::And(_) => {
                for (block, bits) in blocks.iter_mut().zip(data) {
                    *block &= *bits;
                }
            }
        }
        Ok(())
    }
}
