//! A command with protection information, between its steps.
//!
//! Its buffer for the store has each block with what stands behind it; what it holds beside that is Data-Out.

use super::steps;
use super::terms::Terms;
use crate::geometry::{Extent, Geometry};
use crate::work::{self, Against, Decision, Desk, Generations, Next, Outcome, Plan, Release, Wanting, Work};
use felio_hal::store::Durability;
use felio_hal::{Buf, Op};
use felio_spec::Cdb;
use felio_spec::protection::{FROM_MEDIUM, FROM_MEDIUM_COMPARED, Tuple, pack};
use felio_spec::sense::{Sense, code};

/// A command under way.
#[derive(Debug)]
pub(crate) struct Guarded {
    pub(super) terms: Terms,
    pub(super) deed: Deed,
    pub(super) extent: Extent,
    fua: bool,
    /// Data-Out.
    pub(super) data: Option<Buf>,
    /// Blocks of the extent that are done with.
    pub(super) done: u64,
    /// Bytes of Data-Out that the CDB asked for.
    transfer_bytes: u64,
}

/// What it does, from the operation on that is next or under way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deed {
    /// Reads blocks, to hand them over.
    Read,
    /// Reads a piece, to compare it.
    Verify(Against),
    /// Writes blocks, then verifies them.
    WriteBeforeVerify(Against),
    /// Reads blocks, to write something of both in their place.
    Combine(How),
    /// Writes a piece of blocks that are all the same.
    Same,
}

/// How blocks and Data-Out become new blocks.
#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    /// The second half of the data, if the first half is what is there.
    Replace,
    /// Bits of both.
    Or,
    /// Bits that are in both; then the generations are these.
    And(Generations),
}

impl Guarded {
    /// Starts a plan that has no Data-Out, or none to it.
    pub(super) fn begin_without(terms: Terms, plan: &Plan, cdb: &Cdb, desk: &mut Desk<'_>) -> Next {
        match *plan {
            Plan::Read { extent, .. } if extent.blocks > 0 => {
                let bytes = desk.geometry.whole().buf_bytes(extent.blocks);
                Next::Need(bytes, Wanting::Protected(Self::new(terms, Deed::Read, extent)))
            }
            Plan::Verify { extent, against: Against::Nothing } => {
                Self::new(terms, Deed::Verify(Against::Nothing), extent).want_piece(desk)
            }
            // Zeros, or no blocks at all.
            _ => work::begin(plan, cdb, None, desk),
        }
    }

    /// Starts a plan with its Data-Out, which was checked.
    pub(super) fn begin_with(terms: Terms, plan: &Plan, cdb: &Cdb, data: Buf, desk: &mut Desk<'_>) -> Next {
        let transfer_bytes = u64::try_from(data.len()).unwrap_or(u64::MAX);
        let whole = desk.geometry.whole();
        match *plan {
            Plan::Write { extent, fua } => {
                let durability = desk.durability(fua);
                let op = Op::WriteProtected { at: desk.geometry.offset(extent.lba), buf: data, durability };
                Next::Submit(op, Work::Last { transfer_bytes: whole.bytes(extent.blocks) })
            }
            Plan::WriteAndVerify { extent, against } => {
                // As many blocks as arrived.
                let came = transfer_bytes / u64::from(whole.block_bytes);
                let bytes = data.len();
                let new = Self::new(terms, Deed::WriteBeforeVerify(against), extent);
                let extent = Extent { blocks: came.min(extent.blocks), ..extent };
                let transfer_bytes = whole.bytes(new.extent.blocks);
                let new = Self { extent, data: Some(data), transfer_bytes, ..*new };
                Next::Need(bytes, Wanting::Protected(Box::new(new)))
            }
            Plan::Verify { extent, against } => {
                let new = Self::new(terms, Deed::Verify(against), extent);
                Box::new(Self { data: Some(data), transfer_bytes, ..*new }).want_piece(desk)
            }
            Plan::CompareAndWrite { extent, fua } => {
                let new = Self::new(terms, Deed::Combine(How::Replace), extent);
                Box::new(Self { fua, data: Some(data), transfer_bytes, ..*new }).want(desk)
            }
            Plan::Orwrite { extent, fua } | Plan::OrwriteGeneration { extent, fua } => {
                let how = match work::decide(plan, cdb, desk.unit) {
                    Decision::Or => How::Or,
                    Decision::And(next) => How::And(next),
                    Decision::Discard => return desk.finish_with(Some(data), Outcome::good(transfer_bytes)),
                    Decision::Refuse => {
                        let sense = Sense::new(code::ORWRITE_GENERATION_DOES_NOT_MATCH);
                        return desk.finish_with(Some(data), Outcome::check(sense, transfer_bytes));
                    }
                };
                let new = Self::new(terms, Deed::Combine(how), extent);
                Box::new(Self { fua, data: Some(data), transfer_bytes, ..*new }).want(desk)
            }
            Plan::WriteSame { extent, release, .. } => {
                let unmap = release == Release::Deallocate;
                if let Some(op) = deallocation(extent, unmap, &data, desk.geometry) {
                    desk.pool.give(data);
                    return Next::Submit(op, Work::Zero { transfer_bytes });
                }
                let new = Self::new(terms, Deed::Same, extent);
                Box::new(Self { data: Some(data), transfer_bytes, ..*new }).want_piece(desk)
            }
            _ => work::begin(plan, cdb, Some(data), desk),
        }
    }

    fn new(terms: Terms, deed: Deed, extent: Extent) -> Box<Self> {
        Box::new(Self { terms, deed, extent, fua: false, data: None, done: 0, transfer_bytes: 0 })
    }

    /// Here is a buffer, of the length that was asked for.
    pub(crate) fn handle_buf(self: Box<Self>, mut buf: Buf, desk: &mut Desk<'_>) -> Next {
        match self.deed {
            Deed::Read | Deed::Verify(_) | Deed::Combine(_) => self.read(buf, desk),
            Deed::Same => self.write_same(buf, desk),
            Deed::WriteBeforeVerify(_) => {
                // The store may do with it as it likes; what was sent is still wanted.
                if let Some(data) = &self.data {
                    buf.copy_from_slice(data);
                }
                let at = desk.geometry.offset(self.extent.lba);
                let op = Op::WriteProtected { at, buf, durability: Durability::Durable };
                Next::Submit(op, Work::Protected(self))
            }
        }
    }

    /// The operation went well.
    pub(crate) fn handle_done(mut self: Box<Self>, mut buf: Buf, desk: &mut Desk<'_>) -> Next {
        match self.deed {
            Deed::Read => match self.terms.check_read(&FROM_MEDIUM, 0, &buf, desk.geometry) {
                Ok(()) => {
                    if !self.terms.is_sent() {
                        let bytes = pack(&mut buf, desk.geometry.buf_bytes(1));
                        buf.set_len(bytes);
                    }
                    Next::Finish(Outcome::data(buf))
                }
                Err(sense) => self.fail(sense, buf, desk),
            },
            Deed::Verify(against) => self.handle_piece(against, buf, desk),
            Deed::WriteBeforeVerify(against) => {
                self.deed = Deed::Verify(against);
                if against == Against::Nothing
                    && let Some(data) = self.data.take()
                {
                    desk.pool.give(data);
                }
                // Long enough: a piece is no more than was written.
                self.read_piece(buf, desk)
            }
            Deed::Combine(how) => self.handle_blocks(how, buf, desk),
            Deed::Same => {
                self.done += self.piece(desk.geometry).blocks;
                if self.done < self.extent.blocks { self.write_same(buf, desk) } else { self.end(buf, desk) }
            }
        }
    }

    /// The buffer that is held beside the operation's.
    pub(crate) fn into_buf(self) -> Option<Buf> {
        self.data
    }

    /// A piece is read that is to be verified.
    fn handle_piece(mut self: Box<Self>, against: Against, buf: Buf, desk: &mut Desk<'_>) -> Next {
        let table = match against {
            Against::Nothing => &FROM_MEDIUM,
            Against::Each | Against::One => &FROM_MEDIUM_COMPARED,
        };
        let checked = self.terms.check_read(table, self.done, &buf, desk.geometry);
        if let Err(sense) = checked.and_then(|()| steps::compare(&self, against, &buf, desk.geometry)) {
            return self.fail(sense, buf, desk);
        }
        self.done += self.piece(desk.geometry).blocks;
        if self.done < self.extent.blocks { self.read_piece(buf, desk) } else { self.end(buf, desk) }
    }

    /// The blocks are read that are to be combined; the same buffer carries the new ones back.
    fn handle_blocks(self, how: How, mut buf: Buf, desk: &mut Desk<'_>) -> Next {
        let checked = self.terms.check_read(&FROM_MEDIUM, 0, &buf, desk.geometry);
        if let Err(sense) = checked.and_then(|()| steps::combine(&self, how, &mut buf, desk.geometry)) {
            return self.fail(sense, buf, desk);
        }
        let (at, durability) = (desk.geometry.offset(self.extent.lba), desk.durability(self.fua));
        let transfer_bytes = self.transfer_bytes;
        if let Some(data) = self.data {
            desk.pool.give(data);
        }
        let work = match how {
            How::And(next) => Work::Generation { transfer_bytes, next },
            How::Replace | How::Or => Work::Last { transfer_bytes },
        };
        Next::Submit(Op::WriteProtected { at, buf, durability }, work)
    }

    /// Wants a buffer for all blocks.
    fn want(self: Box<Self>, desk: &Desk<'_>) -> Next {
        let bytes = desk.geometry.whole().buf_bytes(self.extent.blocks);
        Next::Need(bytes, Wanting::Protected(self))
    }

    /// Wants a buffer for a piece.
    fn want_piece(self: Box<Self>, desk: &mut Desk<'_>) -> Next {
        if self.extent.blocks == 0 {
            return desk.finish_with(self.data, Outcome::good(self.transfer_bytes));
        }
        let bytes = desk.geometry.whole().buf_bytes(self.piece(desk.geometry).blocks);
        Next::Need(bytes, Wanting::Protected(self))
    }

    fn read(self: Box<Self>, buf: Buf, desk: &Desk<'_>) -> Next {
        let at = desk.geometry.offset(self.extent.lba + self.done);
        Next::Submit(Op::ReadProtected { at, buf }, Work::Protected(self))
    }

    fn read_piece(self: Box<Self>, mut buf: Buf, desk: &mut Desk<'_>) -> Next {
        if self.extent.blocks == 0 {
            return self.end(buf, desk);
        }
        buf.set_len(desk.geometry.whole().buf_bytes(self.piece(desk.geometry).blocks));
        self.read(buf, desk)
    }

    fn write_same(self: Box<Self>, mut buf: Buf, desk: &Desk<'_>) -> Next {
        buf.set_len(desk.geometry.whole().buf_bytes(self.piece(desk.geometry).blocks));
        steps::repeat(&self, &mut buf, desk.geometry);
        let at = desk.geometry.offset(self.extent.lba + self.done);
        let op = Op::WriteProtected { at, buf, durability: desk.durability };
        Next::Submit(op, Work::Protected(self))
    }

    /// The piece that is next.
    fn piece(&self, geometry: &Geometry) -> Extent {
        let blocks = (self.extent.blocks - self.done).min(geometry.whole().piece_blocks_max());
        Extent { lba: self.extent.lba + self.done, blocks }
    }

    fn end(self, buf: Buf, desk: &mut Desk<'_>) -> Next {
        desk.pool.give(buf);
        desk.finish_with(self.data, Outcome::good(self.transfer_bytes))
    }

    fn fail(self, sense: Sense, buf: Buf, desk: &mut Desk<'_>) -> Next {
        desk.pool.give(buf);
        desk.finish_with(self.data, Outcome::check(sense, self.transfer_bytes))
    }
}

/// The deallocation that a WRITE SAME may be: its block must be what is read of deallocated ones.
//= SBC-3 "WRITE SAME (10) command": UNMAP=1, and the data are zeros with protection information of all ones
fn deallocation(extent: Extent, unmap: bool, data: &[u8], geometry: &Geometry) -> Option<Op> {
    let (block, tuple) = data.split_at_checked(geometry.buf_bytes(1))?;
    let zeros = block.iter().all(|byte| *byte == 0) && Tuple::read(tuple) == Tuple::FRESH;
    let may = unmap && geometry.unmap.is_some_and(|limits| limits.zeroes);
    let (at, len) = (geometry.offset(extent.lba), geometry.bytes(extent.blocks));
    (may && zeros).then_some(Op::Zero { at, len, unmap: true })
}
