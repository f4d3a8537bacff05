//! A copy under way: moves, one after the other, each cut into pieces.
//!
//! Moves are carried out in their order: a later one may read what an earlier one has written. The pieces of one move run
//! side by side and may finish in any order, unless it moves blocks onto themselves.
//!
//! Invariant: each byte of a move is in a piece under way, put back, done, or not yet cut; in one of these only.

use super::{DEPTH, PIECE_BYTES_MAX, STORE_PIECE_BYTES_MAX};
use crate::arrival::NO_ADDRESS;
use crate::geometry::Extent;
use felio_hal::{Command, NexusId, Op, PortTag, StoreId, TaskId, Time};
use felio_spec::commands::{read16, write_same16, write16};
use felio_spec::field::Field;
use felio_spec::sense::{Cause, FieldPointer, Segment, Sense, Side, code};
use felio_spec::{Cdb, Row, TaskAttribute};

/// Blocks of a unit, from a block on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    /// The unit's place. Under which number the nexus finds it may change while it is copied.
    pub(crate) unit: u32,
    /// The reactor that executes its commands.
    pub(crate) home: u16,
    pub(crate) store: StoreId,
    pub(crate) block_bytes: u32,
    /// The longest transfer of the unit, bytes.
    pub(crate) transfer_bytes_max: u32,
    pub(crate) lba: u64,
    /// Where in the parameter list the unit is named.
    pub(crate) named_at: Option<u16>,
}

/// Where a move reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// From a unit.
    Blocks(Spot),
    /// Nowhere: it makes zeros.
    Zeros {
        /// The destination may deallocate.
        unmap: bool,
    },
}

/// One step of a copy: bytes from one place to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    /// The segment that it carries out, or is part of.
    pub(crate) segment: u16,
    pub(crate) source: Source,
    pub(crate) to: Spot,
    /// A multiple of either block.
    pub(crate) bytes: u64,
    /// What the segment turns out to be wrong with, once it is its turn.
    pub(crate) flaw: Option<Sense>,
}

/// Some bytes of a move, counted in the order in which they are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

/// What stores can do by themselves.
#[derive(Debug)]
pub(crate) struct ByStore {
    /// The blocks to hold that are read, where they are another unit's.
    pub(crate) source: Option<(Spot, Extent)>,
    /// The blocks to hold that are written.
    pub(crate) destination: (Spot, Extent),
    /// Those of them that are written.
    pub(crate) written: Extent,
    pub(crate) op: Op,
}

/// Why a copy fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A unit said so.
    There(Cause),
    /// We say so.
    Own(Sense),
}

/// Why a copy does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Failed(Failure),
    Cancelled,
}

/// How a copy has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Good,
    Failed(Sense),
    Cancelled,
}

/// A copy under way.
#[derive(Debug)]
pub struct Job {
    /// Who asked for it.
    pub(crate) nexus: NexusId,
    /// Index of the unit that was asked.
    pub(crate) unit: u32,
    /// The command that waits for it, unless it was answered at once.
    pub(crate) command: Option<TaskId>,
    /// Its name, if it has one.
    pub(crate) list: Option<u32>,
    /// The token that it reads by.
    pub(crate) token: Option<u64>,
    /// The token is of no use to anyone afterwards.
    pub(crate) delete_token: bool,
    /// Parameter list, bytes.
    pub(crate) list_bytes: u64,
    /// GOOD comes with sense data.
    pub(crate) good_sense: bool,
    /// When a refused piece is tried again.
    pub(crate) retry_at: Option<Time>,
    /// Since when pieces are refused.
    pub(crate) stuck_since: Option<Time>,
    pub(crate) in_flight: usize,
    moves: Vec<Move>,
    /// The move under way.
    at: usize,
    /// Bytes of it that were cut into pieces.
    cut: u64,
    /// Bytes of it that are written, without a gap.
    written: u64,
    /// What is written behind a gap.
    ahead: Vec<Range>,
    /// What was refused.
    again: Vec<Range>,
    /// The stores may be asked to copy by themselves; not once one has said that it cannot.
    by_store: bool,
    /// No piece is longer; shrinks where memory is short.
    piece_bytes_max: u64,
    /// Bytes written by all moves.
    total: u64,
    stop: Option<Stop>,
}

impl Job {
    pub(crate) const fn new(nexus: NexusId, unit: u32, moves: Vec<Move>) -> Self {
        Self {
            nexus,
            unit,
            command: None,
            list: None,
            token: None,
            delete_token: false,
            list_bytes: 0,
            good_sense: false,
            retry_at: None,
            stuck_since: None,
            in_flight: 0,
            moves,
            at: 0,
            cut: 0,
            written: 0,
            ahead: Vec::new(),
            again: Vec::new(),
            by_store: true,
            piece_bytes_max: u64::MAX,
            total: 0,
            stop: None,
        }
    }

    /// What to copy next, if anything may begin now; it counts as under way.
    pub(crate) fn next_range(&mut self, now: Time, reactor: u16) -> Option<Range> {
        if self.stop.is_some() || self.retry_at.is_some_and(|at| now < at) {
            return None;
        }
        let step = loop {
            let step = self.moves.get(self.at)?;
            if let Some(sense) = step.flaw {
                self.fail(Failure::Own(sense));
                return None;
            }
            if self.cut < step.bytes || !self.again.is_empty() {
                break *step;
            }
            if self.in_flight > 0 {
                return None;
            }
            (self.at, self.cut, self.written) = (self.at + 1, 0, 0);
        };
        if self.in_flight >= step.depth() {
            return None;
        }
        let most = if self.is_for_stores(&step, reactor) {
            u64::from(STORE_PIECE_BYTES_MAX)
        } else {
            step.piece_bytes(self.piece_bytes_max.min(u64::from(PIECE_BYTES_MAX)))
        };
        let range = match self.again.pop() {
            Some(Range { offset, bytes }) if bytes > most => {
                self.again.push(Range { offset: offset + most, bytes: bytes - most });
                Range { offset, bytes: most }
            }
            Some(range) => range,
            None => {
                let range = Range { offset: self.cut, bytes: most.min(step.bytes - self.cut) };
                self.cut += range.bytes;
                range
            }
        };
        self.in_flight += 1;
        Some(range)
    }

    /// A range is written.
    pub(crate) fn done(&mut self, range: Range) {
        self.stuck_since = None;
        self.piece_bytes_max = self.piece_bytes_max.saturating_mul(2);
        self.total += range.bytes;
        self.ahead.push(range);
        while let Some(at) = self.ahead.iter().position(|range| range.offset == self.written) {
            self.written += self.ahead.swap_remove(at).bytes;
        }
    }

    /// A range was refused for want of a slot or a buffer: it is tried again, in smaller pieces.
    pub(crate) fn put_back(&mut self, range: Range, retry_at: Time, now: Time) {
        self.again.push(range);
        self.piece_bytes_max = (range.bytes / 2).max(1);
        self.retry_at = Some(retry_at);
        self.stuck_since.get_or_insert(now);
    }

    pub(crate) fn fail(&mut self, failure: Failure) {
        self.stop.get_or_insert(Stop::Failed(failure));
    }

    pub(crate) fn cancel(&mut self) {
        self.stop.get_or_insert(Stop::Cancelled);
    }

    /// Whether no more pieces begin.
    pub(crate) const fn is_stopped(&self) -> bool {
        self.stop.is_some()
    }

    /// Whether nothing is left to do and nothing is under way.
    pub(crate) fn is_over(&self) -> bool {
        self.in_flight == 0 && (self.stop.is_some() || self.at >= self.moves.len())
    }

    /// Whether a unit's blocks are read or written.
    pub(crate) fn is_about(&self, unit: u32) -> bool {
        let reads = |step: &Move| matches!(step.source, Source::Blocks(from) if from.unit == unit);
        self.moves.iter().any(|step| step.to.unit == unit || reads(step))
    }

    /// How it ended.
    pub(crate) fn end(&self) -> End {
        match self.stop {
            None => End::Good,
            Some(Stop::Cancelled) => End::Cancelled,
            Some(Stop::Failed(failure)) => End::Failed(self.sense(failure)),
        }
    }

    /// Segments that are wholly done.
    pub(crate) fn segments_done(&self) -> u16 {
        match self.moves.get(self.at) {
            Some(step) => step.segment,
            None => self.moves.last().map_or(0, |step| step.segment + 1),
        }
    }

    /// Bytes written.
    pub(crate) const fn bytes_done(&self) -> u64 {
        self.total
    }

    /// What stores can do of a range by themselves: which blocks are read, which are written, and the operation.
    pub(crate) fn by_store(&self, range: Range, reactor: u16) -> Option<ByStore> {
        let step = self.moves.get(self.at).filter(|step| self.is_for_stores(step, reactor))?;
        let Source::Blocks(from) = step.source else { return None };
        let extent = |spot| {
            let (lba, blocks) = step.place(spot, range);
            Extent { lba, blocks: blocks.into() }
        };
        let (read, written) = (extent(from), extent(step.to));
        let op = Op::Copy {
            from: from.store,
            from_at: read.lba * u64::from(from.block_bytes),
            at: written.lba * u64::from(step.to.block_bytes),
            len: range.bytes,
        };
        let (source, destination) = if from.store == step.to.store {
            (None, (step.to, read.hull(written)))
        } else {
            (Some((from, read)), (step.to, written))
        };
        Some(ByStore { source, destination, written, op })
    }

    /// Whether stores may be asked, both driven by `reactor`. A token would be cancelled by the very write that it serves, so
    /// that whoever reads by one does not write like this to the unit that he reads from.
    fn is_for_stores(&self, step: &Move, reactor: u16) -> bool {
        let Source::Blocks(from) = step.source else { return false };
        let is_here = from.home == reactor && step.to.home == reactor;
        let is_same = from.store == step.to.store;
        self.by_store && is_here && !(is_same && (step.overlaps(from) || self.token.is_some()))
    }

    /// The stores cannot do it: what they were to do is done by reads and writes.
    pub(crate) fn do_without_store(&mut self, range: Range) {
        self.by_store = false;
        self.again.push(range);
    }

    /// The command that reads a range, unless there is nothing to read; with its unit.
    pub(crate) fn read(&self, range: Range, tag: PortTag) -> Option<(u32, Command)> {
        let step = self.moves.get(self.at)?;
        let Source::Blocks(spot) = step.source else { return None };
        let cdb = cdb(&read16::ROW, (read16::LBA, read16::TRANSFER_LENGTH), step.place(spot, range));
        Some((spot.unit, command(tag, &cdb, 0, range.bytes)))
    }

    /// The command that writes a range.
    pub(crate) fn write(&self, range: Range, tag: PortTag) -> (u32, Command) {
        let step = &self.moves[self.at];
        let place = step.place(step.to, range);
        let cdb = cdb(&write16::ROW, (write16::LBA, write16::TRANSFER_LENGTH), place);
        (step.to.unit, command(tag, &cdb, range.bytes, 0))
    }

    /// The command that makes a range zeros.
    pub(crate) fn zero(&self, range: Range, tag: PortTag) -> (u32, Command) {
        use write_same16 as field;
        let step = &self.moves[self.at];
        let place = step.place(step.to, range);
        let mut cdb = cdb(&field::ROW, (field::LBA, field::NUMBER_OF_LOGICAL_BLOCKS), place);
        field::NDOB.set(&mut cdb, true);
        field::UNMAP.set(&mut cdb, matches!(step.source, Source::Zeros { unmap: true }));
        (step.to.unit, command(tag, &cdb, 0, 0))
    }

    //= SPC-4 "Errors detected during processing of segment descriptors": the segment, the residual if anything of it is
    //= written, the unit that refused and its answer
    fn sense(&self, failure: Failure) -> Sense {
        let Some(step) = self.moves.get(self.at) else { return Sense::new(code::COPY_FAILED) };
        let residual = (step.bytes - self.written) / u64::from(step.to.block_bytes.max(1));
        let information = (self.written > 0).then_some(residual);
        let segment = |cause| Some(Segment { number: step.segment, cause });
        match failure {
            Failure::Own(sense) => Sense { information, segment: segment(None), ..sense },
            Failure::There(cause) => {
                let named_at = match (cause.side, step.source) {
                    (Side::Source, Source::Blocks(spot)) => spot.named_at,
                    _ => step.to.named_at,
                };
                let pointer = named_at.map(|byte| FieldPointer { in_cdb: false, byte, bit: None });
                let code = code::COPY_FAILED;
                Sense { information, pointer, segment: segment(Some(cause)), ..Sense::new(code) }
            }
        }
    }
}

impl Move {
    /// Pieces at a time: one where it moves blocks onto themselves, so that no piece writes what another has yet to read.
    fn depth(&self) -> usize {
        match self.source {
            Source::Blocks(from) if self.overlaps(from) => 1,
            _ => DEPTH,
        }
    }

    /// The longest piece that both units take: at least a block.
    fn piece_bytes(&self, most: u64) -> u64 {
        let mut bytes = most.min(u64::from(self.to.transfer_bytes_max));
        let mut block = u64::from(self.to.block_bytes);
        match self.source {
            Source::Blocks(from) => {
                bytes = bytes.min(u64::from(from.transfer_bytes_max));
                block = block.max(u64::from(from.block_bytes));
            }
            // Nothing is transferred: only what one WRITE SAME may be asked for counts.
            Source::Zeros { .. } => bytes = crate::geometry::WRITE_SAME_BLOCKS_MAX * block,
        }
        (bytes / block * block).max(block)
    }

    /// First block and number of blocks of a range. Where the destination lies behind what it overlaps, the last bytes are
    /// copied first.
    fn place(&self, spot: Spot, range: Range) -> (u64, u32) {
        let block = u64::from(spot.block_bytes.max(1));
        let offset = match self.source {
            Source::Blocks(from) if self.overlaps(from) && self.to.lba > from.lba => {
                self.bytes - range.offset - range.bytes
            }
            _ => range.offset,
        };
        (spot.lba + offset / block, u32::try_from(range.bytes / block).unwrap_or(u32::MAX))
    }

    fn overlaps(&self, from: Spot) -> bool {
        let blocks = self.bytes / u64::from(self.to.block_bytes.max(1));
        from.store == self.to.store
            && from.lba < self.to.lba.saturating_add(blocks)
            && self.to.lba < from.lba.saturating_add(blocks)
    }
}

pub(crate) fn command(tag: PortTag, cdb: &[u8], out: u64, into: u64) -> Command {
    Command {
        tag,
        lun: NO_ADDRESS,
        attribute: TaskAttribute::Simple,
        cdb: Cdb::new(cdb),
        expect_out: u32::try_from(out).unwrap_or(u32::MAX),
        expect_in: u32::try_from(into).unwrap_or(u32::MAX),
    }
}

/// A CDB of 16 bytes that names blocks.
fn cdb(row: &Row, (lba, blocks): (Field<u64>, Field<u32>), place: (u64, u32)) -> [u8; 16] {
    let mut cdb = [0; 16];
    cdb[0] = row.opcode;
    lba.set(&mut cdb, place.0);
    blocks.set(&mut cdb, place.1);
    cdb
}
