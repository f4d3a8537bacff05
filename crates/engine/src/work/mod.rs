//! Commands at work on the medium: what a checked CDB asks for, and the steps to it.
//!
//! A command's function turns its CDB into a [`Plan`]. [`begin`] starts the plan; each step ends in a [`Next`]: an
//! operation for the store, a wish for a buffer, or the command's [`Outcome`]. Between steps the command is a [`Work`]
//! (the store has an operation) or a [`Wanting`] (the pool had no buffer), which hold what the next step needs.
//!
//! Not here: task sets, reservations, unit attentions, failures of the store. All of them are dealt with before or
//! instead of a step.
//!
//! Invariant: a step never names a byte past the last block.

mod atomic;
mod cache;
mod combine;
mod generation;
mod provisioning;
mod read;
mod same;
mod verify;
mod write;

pub(crate) use atomic::write_atomic16;
pub(crate) use cache::{prefetch10, prefetch16, synchronize_cache10, synchronize_cache16};
pub(crate) use combine::{Decision, compare_and_write, decide, orwrite16, orwrite32};
pub(crate) use generation::Generations;
pub(crate) use provisioning::{Report, get_lba_status, unmap};
pub(crate) use read::{read6, read10, read12, read16, read32};
pub(crate) use same::{write_same10, write_same16, write_same32};
pub(crate) use verify::{verify10, verify12, verify16, verify32};
pub(crate) use verify::{write_and_verify10, write_and_verify12, write_and_verify16, write_and_verify32};
pub(crate) use write::{write6, write10, write12, write16, write32};

use crate::alua::Saving;
use crate::counters::Counters;
use crate::geometry::{Extent, Geometry};
use crate::power::Power;
use crate::protection::Guarded;
use crate::selftest::SelfTest;
use crate::table::Effort;
use crate::unit::{Change, Unit};
use felio_hal::store::{Done, Durability, Pass};
use felio_hal::{Buf, Op, Pool};
use felio_spec::cdb::Direction;
use felio_spec::sense::{Code, Sense, code};
use felio_spec::{Cdb, Status};

/// What a checked CDB asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Hand blocks over.
    Read {
        /// Which.
        extent: Extent,
        /// From the medium, not from a volatile cache.
        fua: bool,
    },
    /// Write blocks.
    Write {
        /// Which.
        extent: Extent,
        /// To the medium, not only to a volatile cache.
        fua: bool,
    },
    /// Write blocks as one step.
    WriteAtomic {
        /// Which.
        extent: Extent,
        /// To the medium, not only to a volatile cache.
        fua: bool,
    },
    /// Compare blocks.
    Verify {
        /// Which.
        extent: Extent,
        /// With what.
        against: Against,
    },
    /// Write blocks to the medium, then compare.
    WriteAndVerify {
        /// Which.
        extent: Extent,
        /// With what.
        against: Against,
    },
    /// Compare blocks and write others in their place.
    CompareAndWrite {
        /// Which.
        extent: Extent,
        /// To the medium.
        fua: bool,
    },
    /// Set bits.
    Orwrite {
        /// Of which blocks.
        extent: Extent,
        /// To the medium.
        fua: bool,
    },
    /// Set bits, or clear some and begin a new generation, as the CDB says.
    OrwriteGeneration {
        /// Of which blocks.
        extent: Extent,
        /// To the medium.
        fua: bool,
    },
    /// Write one block many times.
    WriteSame {
        /// To which blocks.
        extent: Extent,
        /// Which block.
        pattern: Pattern,
        /// What may become of blocks of zeros.
        release: Release,
    },
    /// Deallocate what a list of this many bytes names.
    Unmap {
        /// PARAMETER LIST LENGTH.
        list_bytes: u32,
        /// Whether their space is kept.
        release: Release,
    },
    /// Tell which blocks are allocated.
    LbaStatus {
        /// From here to the last block.
        extent: Extent,
        /// ALLOCATION LENGTH.
        bytes_max: u32,
        /// Of which to tell.
        report: Report,
    },
    /// Make written blocks durable.
    Synchronize {
        /// When to answer.
        answer: Answer,
    },
    /// Bring blocks into the cache.
    Prefetch {
        /// Which.
        extent: Extent,
        /// When to answer.
        answer: Answer,
    },
}

/// BYTCHK: what blocks are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// Nothing: that they can be read is enough.
    Nothing,
    /// As many blocks of Data-Out.
    Each,
    /// Each with the one block of Data-Out.
    One,
}

/// The block of a WRITE SAME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// In Data-Out.
    DataOut,
    /// Zeros (NDOB).
    Zeros,
}

/// UNMAP and ANCHOR: what becomes of blocks that hold nothing but zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// They are written.
    Keep,
    /// Their space is freed.
    Deallocate,
    /// Their data are given up, their space is kept.
    Anchor,
}

/// IMMED: when a command is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Once all is done.
    Afterwards,
    /// Once the CDB is checked.
    AtOnce,
}

impl Answer {
    pub(crate) const fn immed(immed: bool) -> Self {
        if immed { Self::AtOnce } else { Self::Afterwards }
    }
}

/// How much Data-Out a plan wants, and what to do when the initiator announced another amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataOut {
    /// None.
    Nothing,
    /// So many bytes; fewer whole blocks are as good, the initiator learns it from the residual.
    Blocks {
        /// Bytes that the CDB names.
        bytes: u64,
        /// Bytes of a block.
        block_bytes: u32,
    },
    /// At least so many bytes: with fewer the command makes no sense.
    AtLeast(u64),
    /// Exactly so many bytes: with more, initiator and CDB mean different things.
    Exactly(u64),
    /// Exactly so many bytes, or none: without them zeros are meant.
    ExactlyOrNone(u64),
    /// A list of so many bytes, or what there is of it.
    List(u64),
}

impl DataOut {
    /// How many bytes to solicit of the announced.
    //= SAM-5 "Data-Out Buffer": what to do with a wrong size is left to the transport standards; refusing is FCP-4's.
    pub(crate) fn solicit(self, announced: u32) -> Result<u32, Sense> {
        let mismatch = Err(Sense::new(code::INVALID_FIELD_IN_COMMAND_IU));
        let announced_bytes = u64::from(announced);
        let bytes = match self {
            Self::Nothing => 0,
            Self::Blocks { bytes, block_bytes }
                if announced_bytes < bytes && !announced.is_multiple_of(block_bytes) =>
            {
                return mismatch;
            }
            Self::AtLeast(bytes) if announced_bytes < bytes => return mismatch,
            // Where initiator and CDB cannot both be right, it is the CDB's number that we do not believe.
            Self::Exactly(bytes) if announced_bytes != bytes => {
                return Err(Sense::new(code::INVALID_FIELD_IN_CDB));
            }
            Self::ExactlyOrNone(bytes) if announced > 0 => return Self::Exactly(bytes).solicit(announced),
            _ => self.bytes(),
        };
        Ok(u32::try_from(bytes.min(announced_bytes)).unwrap_or(announced))
    }

    /// Bytes that the command would transfer if the initiator had announced them.
    pub(crate) const fn bytes(self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Blocks { bytes, .. }
            | Self::AtLeast(bytes)
            | Self::Exactly(bytes)
            | Self::ExactlyOrNone(bytes)
            | Self::List(bytes) => bytes,
        }
    }
}

impl Plan {
    /// The blocks that the plan concerns, as far as the CDB tells.
    pub(crate) fn extent(&self) -> Extent {
        match *self {
            Self::Read { extent, .. }
            | Self::Write { extent, .. }
            | Self::WriteAtomic { extent, .. }
            | Self::Verify { extent, .. }
            | Self::WriteAndVerify { extent, .. }
            | Self::CompareAndWrite { extent, .. }
            | Self::Orwrite { extent, .. }
            | Self::OrwriteGeneration { extent, .. }
            | Self::WriteSame { extent, .. } => extent,
            Self::Unmap { .. }
            | Self::LbaStatus { .. }
            | Self::Synchronize { .. }
            | Self::Prefetch { .. } => Extent::default(),
        }
    }

    /// The blocks that the plan concerns, once its Data-Out is here; refuses lists that name blocks wrongly.
    pub(crate) fn extent_of_data(&self, geometry: &Geometry, data: &[u8]) -> Result<Extent, Sense> {
        match self {
            Self::Unmap { .. } => provisioning::check_list(geometry, data),
            _ => Ok(self.extent()),
        }
    }

    /// The Data-Out that the plan wants.
    pub(crate) fn data_out(&self, geometry: &Geometry) -> DataOut {
        let Geometry { block_bytes, .. } = *geometry;
        match *self {
            Self::Write { extent, .. } | Self::WriteAndVerify { extent, .. } => {
                DataOut::Blocks { bytes: geometry.bytes(extent.blocks), block_bytes }
            }
            Self::Verify { extent, against } => match against {
                Against::Nothing => DataOut::Nothing,
                Against::Each => DataOut::AtLeast(geometry.bytes(extent.blocks)),
                Against::One => DataOut::AtLeast(geometry.bytes(extent.blocks.min(1))),
            },
            Self::Orwrite { extent, .. }
            | Self::OrwriteGeneration { extent, .. }
            | Self::WriteAtomic { extent, .. } => DataOut::AtLeast(geometry.bytes(extent.blocks)),
            Self::CompareAndWrite { extent, .. } => DataOut::Exactly(geometry.bytes(2 * extent.blocks)),
            // Before NDOB there were initiators that sent no block along when they wanted to deallocate.
            Self::WriteSame {
                pattern: Pattern::DataOut,
                release: Release::Deallocate | Release::Anchor,
                ..
            } => DataOut::ExactlyOrNone(u64::from(block_bytes)),
            Self::WriteSame { pattern: Pattern::DataOut, .. } => DataOut::Exactly(u64::from(block_bytes)),
            Self::Unmap { list_bytes, .. } => DataOut::List(u64::from(list_bytes)),
            Self::WriteSame { pattern: Pattern::Zeros, .. }
            | Self::Read { .. }
            | Self::LbaStatus { .. }
            | Self::Synchronize { .. }
            | Self::Prefetch { .. } => DataOut::Nothing,
        }
    }
}

/// What a step may use.
#[derive(Debug)]
pub(crate) struct Desk<'a> {
    /// Whose command it is.
    pub(crate) unit: &'a Unit,
    /// The unit's blocks.
    pub(crate) geometry: &'a Geometry,
    /// What a write promises that does not ask for FUA.
    pub(crate) durability: Durability,
    /// Where buffers go home.
    pub(crate) pool: &'a mut Pool,
}

impl Desk<'_> {
    /// What the unit has done so far.
    pub(crate) const fn counters(&self) -> &Counters {
        &self.unit.counters
    }

    pub(crate) const fn durability(&self, fua: bool) -> Durability {
        if fua { Durability::Durable } else { self.durability }
    }

    /// The end of a command whose operations promise no durability of their own.
    //= SBC-3 "Caching mode page": while WCE=0, that blocks were deallocated or zeroed is on the medium before it is answered
    fn finish_durably(&self, transfer_bytes: u64) -> Next {
        match self.durability {
            Durability::Cached => Next::Finish(Outcome::good(transfer_bytes)),
            Durability::Durable => Next::Submit(Op::Flush, Work::Last { transfer_bytes }),
        }
    }

    pub(crate) fn finish_with(&mut self, buf: Option<Buf>, outcome: Outcome) -> Next {
        if let Some(buf) = buf {
            self.pool.give(buf);
        }
        Next::Finish(outcome)
    }
}

/// How a step ends.
#[derive(Debug)]
pub(crate) enum Next {
    /// The store has something to do; then the work goes on.
    Submit(Op, Work),
    /// The store has something to do, but the command is answered now.
    Detach(Op, Outcome),
    /// A buffer of so many bytes is wanted.
    Need(usize, Wanting),
    /// The states of port groups are to be saved.
    Save(Box<Saving>),
    /// A copy goes on with it.
    Copying,
    /// It holds its blocks until its copy lets it go.
    Hold,
    /// Others must end first; who ends the last of them goes on.
    Wait,
    /// The unit has something to do that outlives the command, which waits for its end.
    Watch {
        /// What the CDB asked to transfer.
        transfer_bytes: u64,
    },
    /// The end.
    Finish(Outcome),
}

/// The end of a command.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: Status,
    /// Boxed: an outcome moves often, and most have none.
    pub(crate) sense: Option<Box<Sense>>,
    pub(crate) data: Option<Buf>,
    /// What the CDB asked to transfer.
    pub(crate) transfer_bytes: u64,
}

impl Outcome {
    /// GOOD, without Data-In.
    pub(crate) const fn good(transfer_bytes: u64) -> Self {
        Self::status(Status::GOOD, transfer_bytes)
    }

    /// A status that needs no sense data.
    pub(crate) const fn status(status: Status, transfer_bytes: u64) -> Self {
        Self { status, sense: None, data: None, transfer_bytes }
    }

    /// GOOD, with Data-In.
    pub(crate) fn data(buf: Buf) -> Self {
        let transfer_bytes = u64::try_from(buf.len()).unwrap_or(u64::MAX);
        Self { status: Status::GOOD, sense: None, data: Some(buf), transfer_bytes }
    }

    /// CHECK CONDITION.
    pub(crate) fn check(sense: Sense, transfer_bytes: u64) -> Self {
        let sense = Some(Box::new(sense));
        Self { status: Status::CHECK_CONDITION, sense, data: None, transfer_bytes }
    }
}

/// A command whose operation is with the store. Small, for it moves often; what only rare commands hold is boxed.
#[derive(Debug)]
pub(crate) enum Work {
    /// READ: the operation fills the buffer that is handed over.
    Read,
    /// READ with FUA: the operation empties the cache.
    ReadAfterFlush(Extent),
    /// Nothing is left to do but to answer.
    Last { transfer_bytes: u64 },
    /// WRITE AND VERIFY: the operation writes.
    WriteBeforeVerify(Box<verify::Verify>),
    /// VERIFY: the operation reads a piece.
    Verify(Box<verify::Verify>),
    /// COMPARE AND WRITE, ORWRITE: the operation reads.
    Combine(Box<combine::Combine>),
    /// ORWRITE: the operation writes, then these are the generations.
    Generation {
        /// Bytes of Data-Out.
        transfer_bytes: u64,
        /// From then on.
        next: Generations,
    },
    /// A command with protection information.
    Protected(Box<Guarded>),
    /// WRITE SAME: the operation writes a piece.
    Same(same::Same),
    /// WRITE SAME of zeros: the operation makes them.
    Zero {
        /// Bytes of Data-Out.
        transfer_bytes: u64,
    },
    /// UNMAP: the operation deallocates a range.
    Unmap(provisioning::Unmap),
    /// GET LBA STATUS: the operation asks for an extent.
    LbaStatus(Box<provisioning::LbaStatus>),
    /// The engine's own: a command that was handed to a device.
    Pass(Direction),
    /// The engine's own: TEST UNIT READY and READ CAPACITY ask for the size.
    Size,
    /// The engine's own: a self-test reads a piece.
    SelfTest(Box<SelfTest>),
    /// The engine's own: a change is being saved before it takes effect.
    Save(Box<Deferred>),
    /// The engine's own: START STOP UNIT empties the cache, then the medium cannot be accessed.
    Stop(Power),
    /// The engine's own: SET TARGET PORT GROUPS saves what it has changed.
    PortGroups(Box<Saving>),
    /// The engine's own: PERSISTENT RESERVE OUT keeps what it changes.
    Reserve,
}

/// A change on its way to where it is kept.
#[derive(Debug)]
pub(crate) struct Deferred {
    /// What then takes effect.
    pub(crate) change: Change,
    /// Bytes of Data-Out.
    pub(crate) transfer_bytes: u64,
}

/// A command that wants a buffer.
#[derive(Debug)]
pub(crate) enum Wanting {
    /// READ.
    Read(Extent),
    /// VERIFY.
    Verify(Box<verify::Verify>),
    /// COMPARE AND WRITE, ORWRITE.
    Combine(Box<combine::Combine>),
    /// A command with protection information.
    Protected(Box<Guarded>),
    /// WRITE SAME, with the block to repeat.
    Same(Box<(same::Same, Buf)>),
    /// GET LBA STATUS.
    LbaStatus(Extent, Report),
    /// The engine's own: a self-test.
    SelfTest(Box<SelfTest>),
    /// A command for a device, with Data-In.
    Pass(Box<Pass>),
    /// The engine's own: parameter data.
    Entry,
}

/// Starts a plan, made from that CDB; `data` is its Data-Out, if it wanted any.
pub(crate) fn begin(plan: &Plan, cdb: &Cdb, data: Option<Buf>, desk: &mut Desk<'_>) -> Next {
    match (*plan, data) {
        (Plan::Read { extent, fua }, None) => {
            desk.counters().read(extent, fua, cdb.group_number());
            read::begin(extent, fua, desk)
        }
        (Plan::Write { extent, fua }, data) => {
            desk.counters().write(extent, fua, cdb.group_number());
            write::begin(extent, fua, data, desk)
        }
        (Plan::WriteAtomic { extent, fua }, Some(data)) => {
            desk.counters().write(extent, fua, cdb.group_number());
            atomic::begin(extent, fua, data, desk)
        }
        (Plan::Verify { extent, against }, data) => {
            desk.counters().verifies.add(1);
            verify::begin(extent, against, data, desk)
        }
        (Plan::WriteAndVerify { extent, against }, data) => {
            desk.counters().write(extent, false, cdb.group_number());
            verify::begin_write(extent, against, data, desk)
        }
        (Plan::CompareAndWrite { extent, fua }, Some(data)) => {
            desk.counters().combines.add(1);
            combine::begin(Box::new(combine::Combine::compare_and_write(extent, fua, data)), desk)
        }
        (Plan::Orwrite { fua, .. } | Plan::OrwriteGeneration { fua, .. }, Some(data)) => {
            desk.counters().combines.add(1);
            combine::begin_orwrite(plan, fua, cdb, data, desk)
        }
        (Plan::WriteSame { extent, release, .. }, data) => {
            desk.counters().write_sames.add(1);
            same::begin(extent, release, data, desk)
        }
        (Plan::Unmap { list_bytes, release }, Some(list)) => {
            desk.counters().unmaps.add(1);
            provisioning::begin_unmap(list, list_bytes, release, desk)
        }
        (Plan::LbaStatus { extent, bytes_max, report }, None) => {
            provisioning::begin_status(extent, bytes_max, report)
        }
        (Plan::Synchronize { answer }, None) => {
            desk.counters().synchronizes.add(1);
            cache::begin_synchronize(answer, desk)
        }
        (Plan::Prefetch { extent, answer }, None) => cache::begin_prefetch(extent, answer, desk),
        // Nothing of the list was announced.
        (Plan::Unmap { list_bytes, .. }, None) => Next::Finish(Outcome::good(list_bytes.into())),
        // No blocks, no list: nothing to do.
        (_, data) => desk.finish_with(data, Outcome::good(0)),
    }
}

impl Work {
    /// The operation went well; `buf` is the one that it used.
    pub(crate) fn handle_done(self, done: Done, buf: Option<Buf>, desk: &mut Desk<'_>) -> Next {
        match (self, buf) {
            (Self::Read, Some(buf)) => Next::Finish(Outcome::data(buf)),
            (Self::ReadAfterFlush(extent), None) => read::want(extent, desk),
            (Self::Last { transfer_bytes }, buf) => desk.finish_with(buf, Outcome::good(transfer_bytes)),
            (Self::WriteBeforeVerify(verify), Some(buf)) => verify.handle_written(buf, desk),
            (Self::Verify(verify), Some(buf)) => verify.handle_read(buf, desk),
            (Self::Combine(combine), Some(buf)) => combine.handle_read(buf, desk),
            (Self::Generation { transfer_bytes, next }, Some(buf)) => {
                desk.pool.give(buf);
                next.begin(transfer_bytes, desk)
            }
            (Self::Protected(command), Some(buf)) => command.handle_done(buf, desk),
            (Self::Same(same), Some(buf)) => same.handle_written(buf, desk),
            (Self::Zero { transfer_bytes }, None) => desk.finish_durably(transfer_bytes),
            (Self::Unmap(unmap), None) => unmap.handle_done(desk),
            (Self::LbaStatus(status), None) => status.handle_done(done, desk),
            (work, buf) => unexpected(work, buf, desk),
        }
    }

    /// The buffer that the work holds beside the operation's.
    pub(crate) fn into_buf(self) -> Option<Buf> {
        match self {
            Self::Verify(verify) => verify.into_buf(),
            Self::Combine(combine) => Some(combine.into_buf()),
            Self::Protected(command) => command.into_buf(),
            Self::Unmap(unmap) => Some(unmap.into_buf()),
            Self::LbaStatus(status) => Some(status.into_buf()),
            Self::Read
            | Self::ReadAfterFlush(_)
            | Self::Last { .. }
            | Self::WriteBeforeVerify(_)
            | Self::Generation { .. }
            | Self::Same(_)
            | Self::Zero { .. }
            | Self::Pass(_)
            | Self::Size
            | Self::SelfTest(_)
            | Self::Save(_)
            | Self::Stop(_)
            | Self::PortGroups(_)
            | Self::Reserve => None,
        }
    }
}

impl Wanting {
    /// Here is the buffer, of the length that was asked for.
    pub(crate) fn handle_buf(self, buf: Buf, desk: &mut Desk<'_>) -> Next {
        match self {
            Self::Read(extent) => read::fill(extent, buf, desk),
            Self::Verify(verify) => verify.read_piece(buf, desk),
            Self::Combine(combine) => combine.read(buf, desk),
            Self::Protected(command) => command.handle_buf(buf, desk),
            Self::Same(same) => same::fill(*same, buf, desk),
            Self::LbaStatus(extent, report) => {
                Box::new(provisioning::LbaStatus::new(extent, report, buf)).ask(desk)
            }
            Self::Pass(pass) => crate::pass::fill(pass, buf),
            Self::SelfTest(_) | Self::Entry => desk.finish_with(Some(buf), Outcome::good(0)),
        }
    }

    /// The buffer that is held already.
    pub(crate) fn into_buf(self) -> Option<Buf> {
        match self {
            Self::Verify(verify) => verify.into_buf(),
            Self::Combine(combine) => Some(combine.into_buf()),
            Self::Protected(command) => command.into_buf(),
            Self::Same(same) => Some(same.1),
            Self::Read(_) | Self::LbaStatus(..) | Self::SelfTest(_) | Self::Pass(_) | Self::Entry => None,
        }
    }
}

impl Next {
    /// What the operation of this step does, for the sense data of its failure.
    pub(crate) const fn effort(op: &Op) -> Effort {
        match op {
            Op::Read { .. }
            | Op::ReadProtected { .. }
            | Op::Extent { .. }
            | Op::Prefetch { .. }
            | Op::Size
            | Op::Space => Effort::Read,
            Op::Write { .. }
            | Op::WriteAtomic { .. }
            | Op::WriteProtected { .. }
            | Op::Protect { .. }
            | Op::Unmap { .. }
            | Op::Zero { .. }
            | Op::Copy { .. }
            | Op::Pass(_) => Effort::Write,
            Op::Flush => Effort::Flush,
            Op::Save(_) => Effort::Save,
        }
    }
}

/// The store answered with another kind of completion than was asked for, or kept the buffer: its bug, our report.
fn unexpected(work: Work, buf: Option<Buf>, desk: &mut Desk<'_>) -> Next {
    if let Some(held) = work.into_buf() {
        desk.pool.give(held);
    }
    desk.finish_with(buf, Outcome::check(Sense::new(BROKEN_STORE), 0))
}

const BROKEN_STORE: Code = code::INTERNAL_TARGET_FAILURE;
