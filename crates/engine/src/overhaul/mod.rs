//! FORMAT UNIT and SANITIZE: all blocks of a unit are made anew, a piece at a time.
//!
//! An [`Overhaul`] belongs to the unit and not to the command that asked for it: a sanitize operation goes on whatever
//! becomes of the command, of its nexus and of the process; a format that is aborted leaves the medium corrupt. One
//! operation is with the store at a time, and no more than one buffer is held. `drive` connects it with the engine;
//! [`format`] and [`sanitize`] read the CDBs and lists that ask for it; [`record`] is what outlives the process.
//!
//! Invariant: before the first block is touched it is on record that it will be, and that all is well again is on record
//! before anybody is told.

mod drive;
mod format;
mod record;
mod sanitize;

pub(crate) use format::{format_unit, list_bytes as format_list_bytes};
pub(crate) use sanitize::{block_erase, exit_failure_mode, no_list_bytes, overwrite, overwrite_list_bytes};

use crate::geometry::Geometry;
use crate::work::Answer;
use core::cmp::min;
use felio_hal::{Buf, NexusId, Op, Pool};
use felio_spec::Row;
use felio_spec::cdb::{Medium, Overhaul as Rule};
use felio_spec::protection::Kind as Protection;
use felio_spec::sense::{Code, Sense, code};
use record::Record;

/// How the blocks of a unit are, as a whole.
#[derive(Debug)]
pub(crate) enum Condition {
    /// As they were written.
    Sound,
    /// They are being made anew.
    Busy(Box<Overhaul>),
    /// That went wrong, or was broken off.
    Failed(Kind),
}

/// Who asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// FORMAT UNIT.
    Format,
    /// SANITIZE.
    Sanitize(Exit),
}

/// AUSE: how a failed SANITIZE can be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// By another one that goes well.
    Restricted,
    /// Also by EXIT FAILURE MODE.
    Unrestricted,
}

/// What is done to each block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Nothing.
    Keep,
    /// It is zeroed, and deallocated where `unmap`.
    Zero { unmap: bool },
    /// It is written, so many times.
    Write(Pattern),
}

/// What is written to each block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// Repeated as often as it fits.
    pub(crate) bytes: Vec<u8>,
    /// How often all blocks are written.
    pub(crate) passes: u8,
    /// The pattern is inverted from one pass to the next, so that the last one writes it as it is.
    pub(crate) invert: bool,
}

/// All blocks of a unit, on their way.
#[derive(Debug)]
pub(crate) struct Overhaul {
    kind: Kind,
    method: Method,
    /// What shall stand behind the blocks afterwards, where that is anybody's business.
    protection: Option<Option<Protection>>,
    stage: Stage,
    /// Whether the store is at it.
    is_under_way: bool,
    /// Whether it is to be broken off.
    is_abandoned: bool,
    /// The pass that is under way, from zero, and the first block that it has not done.
    pass: u8,
    lba: u64,
    /// How far it is, in parts of 65,536.
    progress: u16,
    /// Filled for this pass.
    buf: Option<Buf>,
    /// Who need not be told of the end.
    asker: Option<NexusId>,
}

/// What the store does, or is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Puts on record what is going to happen.
    Announce,
    /// Does a pass over the blocks.
    Blocks,
    /// Makes it durable.
    Flush,
    /// Formats what stands behind the blocks.
    Protect(Option<Protection>),
    /// Puts on record that all is well.
    Conclude,
    /// Puts on record that it is not.
    Fail,
}

/// What comes next.
#[derive(Debug)]
enum Step {
    /// An operation.
    Submit(Op),
    /// The one that is under way must end first.
    UnderWay,
    /// A buffer is wanting.
    Starved,
    /// The end, good or bad.
    Done,
}

/// What a command asks for.
#[derive(Debug)]
pub struct Start {
    /// What is to be done.
    pub(crate) overhaul: Box<Overhaul>,
    /// When to answer.
    pub(crate) answer: Answer,
}

/// Longest range that is zeroed by one operation, bytes.
const ZERO_BYTES_MAX: u64 = 64 << 20;

impl Condition {
    /// What earlier processes left.
    pub(crate) fn of(saved: &felio_hal::state::Saved) -> Self {
        match Record::read(saved) {
            Record::Sound => Self::Sound,
            // The buffers are new, and so is the beginning.
            Record::Sanitizing(exit, method) => {
                Self::Busy(Box::new(Overhaul::resumed(Kind::Sanitize(exit), method)))
            }
            Record::Failed(kind) => Self::Failed(kind),
        }
    }

    /// Whether a command may run.
    //= SBC-3 "Sanitize operations", "FORMAT UNIT command": what is answered meanwhile, and after a failure
    pub(crate) fn check(&self, row: &Row) -> Result<(), Sense> {
        match (self, row.overhaul) {
            (Self::Sound, _) | (_, Rule::Allowed) => Ok(()),
            (Self::Busy(overhaul), _) => Err(overhaul.sense()),
            (Self::Failed(_), Rule::Mends) => Ok(()),
            (Self::Failed(Kind::Format), _) if row.medium == Medium::Untouched => Ok(()),
            (Self::Failed(kind), _) => Err(kind.failed().into()),
        }
    }

    /// What REQUEST SENSE tells of it.
    pub(crate) fn standing(&self) -> Option<Sense> {
        match self {
            Self::Sound => None,
            Self::Busy(overhaul) => Some(overhaul.sense()),
            Self::Failed(kind) => Some(kind.failed().into()),
        }
    }

    /// The command that asked for it is aborted, and its data matter no more.
    //= SBC-3 "Sanitize operations": no task management function ends one
    pub(crate) fn abandon(&mut self) {
        if let Self::Busy(overhaul) = self
            && overhaul.kind == Kind::Format
        {
            overhaul.is_abandoned = true;
        }
    }

    /// Whether they are being made anew.
    pub(crate) const fn is_busy(&self) -> bool {
        matches!(self, Self::Busy(_))
    }
}

impl Kind {
    const fn under_way(self) -> Code {
        match self {
            Self::Format => code::FORMAT_IN_PROGRESS,
            Self::Sanitize(_) => code::SANITIZE_IN_PROGRESS,
        }
    }

    /// What is said to those who come later.
    const fn failed(self) -> Code {
        match self {
            Self::Format => code::MEDIUM_FORMAT_CORRUPTED,
            Self::Sanitize(_) => code::SANITIZE_COMMAND_FAILED,
        }
    }

    /// What is said to who waited for it.
    const fn failure(self) -> Code {
        match self {
            Self::Format => code::FORMAT_COMMAND_FAILED,
            Self::Sanitize(_) => code::SANITIZE_COMMAND_FAILED,
        }
    }
}

impl Exit {
    const fn ause(ause: bool) -> Self {
        if ause { Self::Unrestricted } else { Self::Restricted }
    }
}

impl Overhaul {
    fn new(kind: Kind, method: Method) -> Box<Self> {
        Box::new(Self {
            kind,
            method,
            protection: None,
            stage: Stage::Announce,
            is_under_way: false,
            is_abandoned: false,
            pass: 0,
            lba: 0,
            progress: 0,
            buf: None,
            asker: None,
        })
    }

    /// One that an earlier process did not end; it is on record.
    fn resumed(kind: Kind, method: Method) -> Self {
        Self { stage: Stage::Blocks, ..*Self::new(kind, method) }
    }

    /// One that has nothing to do but to leave a failure behind.
    fn acquittal(kind: Kind) -> Box<Self> {
        Box::new(Self { stage: Stage::Conclude, ..*Self::new(kind, Method::Keep) })
    }

    fn sense(&self) -> Sense {
        Sense::with_progress(self.kind.under_way(), self.progress)
    }

    /// What comes next. `keeps_records`: whether there is a place for them.
    fn poll(&mut self, geometry: &Geometry, keeps_records: bool, pool: &mut Pool) -> Step {
        if self.is_under_way {
            return Step::UnderWay;
        }
        if self.is_abandoned {
            self.stage = Stage::Fail;
        }
        let step = match self.stage {
            Stage::Announce if !keeps_records => {
                self.stage = Stage::Blocks;
                self.next_piece(geometry, pool)
            }
            Stage::Announce => self.save(self.record()),
            Stage::Blocks => self.next_piece(geometry, pool),
            Stage::Flush => Step::Submit(Op::Flush),
            Stage::Protect(kind) => Step::Submit(Op::Protect { kind }),
            Stage::Conclude | Stage::Fail if !keeps_records => Step::Done,
            Stage::Conclude => self.save(Record::Sound),
            Stage::Fail => self.save(Record::Failed(self.kind)),
        };
        self.is_under_way = matches!(step, Step::Submit(_));
        step
    }

    /// The operation has ended well. Whether it was the last.
    fn handle_done(&mut self, buf: Option<Buf>, geometry: &Geometry) -> bool {
        self.is_under_way = false;
        self.buf = buf.or(self.buf.take());
        match self.stage {
            Stage::Announce => self.stage = Stage::Blocks,
            Stage::Blocks => {
                self.lba += self.piece(geometry);
                self.note_progress(geometry);
                if self.lba >= geometry.blocks {
                    self.stage = Stage::Flush;
                }
            }
            Stage::Flush if self.pass + 1 < self.passes() => {
                (self.pass, self.lba, self.stage) = (self.pass + 1, 0, Stage::Blocks);
            }
            Stage::Flush => self.stage = self.protection.map_or(Stage::Conclude, Stage::Protect),
            Stage::Protect(_) => self.stage = Stage::Conclude,
            Stage::Conclude | Stage::Fail => return true,
        }
        false
    }

    /// What stands behind the blocks once the operation that is under way has ended well, if it changes that.
    const fn protecting(&self) -> Option<Option<Protection>> {
        match self.stage {
            Stage::Protect(kind) => Some(kind),
            _ => None,
        }
    }

    /// The operation has failed. Whether nothing is left to do.
    fn handle_failure(&mut self) -> bool {
        self.is_under_way = false;
        let is_over = self.stage == Stage::Fail;
        self.stage = Stage::Fail;
        is_over
    }

    const fn has_failed(&self) -> bool {
        matches!(self.stage, Stage::Fail)
    }

    /// The operation of the next piece; a unit without blocks, or whose blocks are kept, has none.
    fn next_piece(&mut self, geometry: &Geometry, pool: &mut Pool) -> Step {
        let (at, blocks) = (geometry.offset(self.lba), self.piece(geometry));
        match &self.method {
            _ if blocks == 0 => {
                self.stage = Stage::Flush;
                Step::Submit(Op::Flush)
            }
            Method::Keep => {
                self.stage = Stage::Flush;
                Step::Submit(Op::Flush)
            }
            Method::Zero { unmap } => {
                Step::Submit(Op::Zero { at, len: geometry.bytes(blocks), unmap: *unmap })
            }
            Method::Write(pattern) => {
                let whole = min(geometry.piece_blocks_max(), geometry.blocks);
                let fresh = || {
                    let mut buf = pool.take(geometry.buf_bytes(whole))?;
                    pattern.fill(self.pass, &mut buf, geometry);
                    Some(buf)
                };
                let Some(mut buf) = self.buf.take().filter(|_| self.lba > 0).or_else(fresh) else {
                    return Step::Starved;
                };
                buf.set_len(geometry.buf_bytes(blocks));
                Step::Submit(Op::Write { at, buf, durability: felio_hal::store::Durability::Cached })
            }
        }
    }

    /// How many blocks are next.
    fn piece(&self, geometry: &Geometry) -> u64 {
        let max = match self.method {
            Method::Keep | Method::Zero { .. } => ZERO_BYTES_MAX / u64::from(geometry.block_bytes),
            Method::Write(_) => geometry.piece_blocks_max(),
        };
        min(geometry.blocks.saturating_sub(self.lba), max.max(1))
    }

    const fn passes(&self) -> u8 {
        match &self.method {
            Method::Write(pattern) => pattern.passes,
            Method::Keep | Method::Zero { .. } => 1,
        }
    }

    fn note_progress(&mut self, geometry: &Geometry) {
        let of_passes = |blocks: u64, passes: u8| u128::from(blocks) * u128::from(passes);
        let done = of_passes(geometry.blocks, self.pass) + u128::from(self.lba);
        let all = of_passes(geometry.blocks, self.passes()).max(1);
        self.progress = u16::try_from(done * 65_536 / all).unwrap_or(u16::MAX);
    }

    /// What is on record while it lasts. A format that is cut short is not taken up again: the medium is corrupt.
    fn record(&self) -> Record {
        match self.kind {
            Kind::Format => Record::Failed(Kind::Format),
            Kind::Sanitize(exit) => Record::Sanitizing(exit, self.method.clone()),
        }
    }

    fn save(&self, record: Record) -> Step {
        Step::Submit(Op::Save(Box::new(record.save())))
    }
}

impl Pattern {
    /// Fills whole blocks for a pass.
    //= SBC-3 "OVERWRITE service action": each block begins with the first byte of the pattern; the last pass is not inverted
    fn fill(&self, pass: u8, buf: &mut [u8], geometry: &Geometry) {
        let inverted = self.invert && !(self.passes - 1 - pass).is_multiple_of(2);
        let mask = if inverted { 0xff } else { 0 };
        for block in buf.chunks_mut(geometry.buf_bytes(1)) {
            for (to, from) in block.iter_mut().zip(self.bytes.iter().cycle()) {
                *to = from ^ mask;
            }
        }
    }
}
