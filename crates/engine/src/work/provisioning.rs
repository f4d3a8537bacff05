//! UNMAP and GET LBA STATUS of SBC-3.
//!
//! An UNMAP list is checked to its end before anything is deallocated; then a range at a time goes to the store.

use super::{Desk, Next, Outcome, Plan, Release, Wanting, Work};
use crate::geometry::{Extent, Geometry, UNMAP_DESCRIPTORS_MAX};
use crate::writer::Writer;
use felio_hal::store::{Done, Mapping};
use felio_hal::{Buf, Op};
use felio_spec::commands::{get_lba_status as status, unmap as command};
use felio_spec::report::{lba_status, lba_status_descriptor, provisioning_status};
use felio_spec::report::{unmap_block_descriptor as descriptor, unmap_list};
use felio_spec::sense::code;
use felio_spec::{Cdb, Sense};

//= SBC-3 "UNMAP command"
pub(crate) fn unmap(_unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    match cdb.get(command::PARAMETER_LIST_LENGTH) {
        1..8 => Err(code::PARAMETER_LIST_LENGTH_ERROR.into()),
        bytes => {
            let release = if cdb.get(command::ANCHOR) { Release::Anchor } else { Release::Deallocate };
            Ok(Plan::Unmap { list_bytes: u32::from(bytes), release })
        }
    }
}

//= SBC-3 "GET LBA STATUS command"
pub(crate) fn get_lba_status(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    let extent = unit.extent_or_rest(cdb.get(status::STARTING_LBA), 0)?;
    let report = Report::named(cdb.get(status::REPORT_TYPE));
    let report = report.ok_or(Sense::invalid_field(status::REPORT_TYPE.bits))?;
    Ok(Plan::LbaStatus { extent, bytes_max: cdb.get(status::ALLOCATION_LENGTH), report })
}

/// REPORT TYPE: of which blocks GET LBA STATUS tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Of all.
    All,
    /// Of those that have no data.
    NotMapped,
    /// Of those that have a certain status.
    Only(u8),
    /// Of those that may be unreadable: we know of none.
    Suspect,
}

impl Report {
    //= SBC-4 "GET LBA STATUS (16) command": REPORT TYPE
    const fn named(value: u8) -> Option<Self> {
        match value {
            0x00 => Some(Self::All),
            0x01 => Some(Self::NotMapped),
            0x02 => Some(Self::Only(provisioning_status::MAPPED)),
            0x03 => Some(Self::Only(provisioning_status::DEALLOCATED)),
            0x04 => Some(Self::Only(provisioning_status::ANCHORED)),
            0x10 => Some(Self::Suspect),
            _ => None,
        }
    }

    const fn includes(self, status: u8) -> bool {
        match self {
            Self::All => true,
            Self::NotMapped => status != provisioning_status::MAPPED,
            Self::Only(wanted) => status == wanted,
            Self::Suspect => false,
        }
    }
}

/// The smallest range that holds all that a list names; refuses lists that name too much, or blocks that do not exist.
pub(super) fn check_list(geometry: &Geometry, bytes: &[u8]) -> Result<Extent, Sense> {
    if bytes.is_empty() {
        return Ok(Extent::default());
    }
    if bytes.len() < unmap_list::BYTES {
        return Err(code::PARAMETER_LIST_LENGTH_ERROR.into());
    }
    let too_much = || Sense::new(code::INVALID_FIELD_IN_PARAMETER_LIST);
    let count = descriptors(bytes).count();
    if u32::try_from(count).unwrap_or(u32::MAX) > UNMAP_DESCRIPTORS_MAX {
        return Err(too_much());
    }
    let (mut hull, mut blocks) = (Extent::default(), 0u64);
    for named in descriptors(bytes).map(named) {
        if named.blocks == 0 && named.lba <= geometry.blocks {
            continue; // Nothing, at the very end too, is no error.
        }
        let extent = geometry.extent(named.lba, named.blocks)?;
        hull = hull.hull(extent);
        blocks += extent.blocks;
    }
    if blocks > u64::from(geometry.unmap_blocks_max()) {
        return Err(too_much());
    }
    Ok(hull)
}

/// The whole descriptors of a list.
fn descriptors(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let named = usize::from(unmap_list::UNMAP_BLOCK_DESCRIPTOR_DATA_LENGTH.get(bytes));
    let rest = bytes.get(unmap_list::BYTES..).unwrap_or_default();
    rest[..named.min(rest.len())].chunks_exact(descriptor::BYTES)
}

/// The blocks that a descriptor names; they need not exist.
fn named(bytes: &[u8]) -> Extent {
    let blocks = u64::from(descriptor::NUMBER_OF_LOGICAL_BLOCKS.get(bytes));
    Extent { lba: descriptor::UNMAP_LBA.get(bytes), blocks }
}

/// A checked list, under way.
#[derive(Debug)]
pub(crate) struct Unmap {
    list: Buf,
    /// PARAMETER LIST LENGTH.
    list_bytes: u32,
    release: Release,
    /// The descriptor that is next.
    next: usize,
}

/// Starts an UNMAP with a checked list.
pub(super) fn begin_unmap(list: Buf, list_bytes: u32, release: Release, desk: &mut Desk<'_>) -> Next {
    Unmap { list, list_bytes, release, next: 0 }.handle_done(desk)
}

impl Unmap {
    /// Goes on with the next range.
    pub(super) fn handle_done(mut self, desk: &mut Desk<'_>) -> Next {
        let ranges = descriptors(&self.list).map(named).enumerate().skip(self.next);
        let Some((at, extent)) = ranges.into_iter().find(|(_, extent)| extent.blocks > 0) else {
            let transfer_bytes = u64::from(self.list_bytes);
            desk.pool.give(self.list);
            return if self.next == 0 {
                Next::Finish(Outcome::good(transfer_bytes)) // Nothing was deallocated.
            } else {
                desk.finish_durably(transfer_bytes)
            };
        };
        self.next = at + 1;
        let (at, len) = (desk.geometry.offset(extent.lba), desk.geometry.bytes(extent.blocks));
        let op = match self.release {
            Release::Anchor => Op::Zero { at, len, unmap: false },
            Release::Deallocate | Release::Keep => Op::Unmap { at, len },
        };
        Next::Submit(op, Work::Unmap(self))
    }

    pub(super) fn into_buf(self) -> Buf {
        self.list
    }
}

/// A run of blocks with the same status.
#[derive(Clone, Copy, Debug)]
struct Run {
    extent: Extent,
    status: u8,
}

/// What the store has told so far.
#[derive(Debug)]
pub(crate) struct LbaStatus {
    /// What is still to be told.
    rest: Extent,
    report: Report,
    runs: Vec<Run>,
    runs_max: usize,
    /// Where the answer will be.
    buf: Buf,
}

/// Most descriptors that we hand over at once; the initiator asks again from where they end.
const RUNS_MAX: usize = 128;

/// Starts a GET LBA STATUS.
pub(super) fn begin_status(extent: Extent, bytes_max: u32, report: Report) -> Next {
    let most = lba_status::BYTES + RUNS_MAX * lba_status_descriptor::BYTES;
    match usize::try_from(bytes_max).unwrap_or(usize::MAX).min(most) {
        0 => Next::Finish(Outcome::good(0)),
        bytes => Next::Need(bytes, Wanting::LbaStatus(extent, report)),
    }
}

impl LbaStatus {
    pub(super) fn new(rest: Extent, report: Report, buf: Buf) -> Self {
        // With less room than for one descriptor, one is still made: its first bytes are told.
        let runs_max = (buf.len().saturating_sub(lba_status::BYTES) / lba_status_descriptor::BYTES).max(1);
        Self { rest, report, runs: Vec::new(), runs_max, buf }
    }

    /// Asks the store for the next extent, as long as there is one and room to tell of it.
    pub(super) fn ask(mut self: Box<Self>, desk: &Desk<'_>) -> Next {
        if self.rest.blocks == 0 || self.runs.len() == self.runs_max || self.report == Report::Suspect {
            return self.finish();
        }
        if !desk.geometry.extents {
            self.note(Run { extent: self.rest, status: provisioning_status::MAPPED });
            return self.finish();
        }
        Next::Submit(Op::Extent { at: desk.geometry.offset(self.rest.lba) }, Work::LbaStatus(self))
    }

    /// The store's answer.
    pub(super) fn handle_done(mut self: Box<Self>, done: Done, desk: &Desk<'_>) -> Next {
        let Done::Extent { mapping, len } = done else { return self.finish() };
        let whole = len / u64::from(desk.geometry.block_bytes);
        let blocks = whole.clamp(1, self.rest.blocks).min(u64::from(u32::MAX));
        let status = match mapping {
            // A block that is not all of one kind: who copies by the answer must not leave it out.
            _ if whole == 0 => provisioning_status::MAPPED,
            Mapping::Mapped => provisioning_status::MAPPED,
            Mapping::Anchored => provisioning_status::ANCHORED,
            Mapping::Deallocated => provisioning_status::DEALLOCATED,
        };
        self.note(Run { extent: Extent { blocks, ..self.rest }, status });
        self.rest = Extent { lba: self.rest.lba + blocks, blocks: self.rest.blocks - blocks };
        self.ask(desk)
    }

    fn note(&mut self, run: Run) {
        if self.report.includes(run.status) {
            self.runs.push(run);
        }
    }

    pub(super) fn into_buf(self) -> Buf {
        self.buf
    }

    //= SBC-3 "GET LBA STATUS parameter data"
    fn finish(mut self) -> Next {
        let mut data = Writer::new();
        encode(&self.runs, &mut data);
        data.set(0, lba_status::RTP, self.report != Report::All);
        let bytes = data.as_slice();
        let len = bytes.len().min(self.buf.len());
        self.buf.set_len(len);
        self.buf.copy_from_slice(&bytes[..len]);
        Next::Finish(Outcome::data(self.buf))
    }
}

fn encode(runs: &[Run], data: &mut Writer) {
    data.zeros(lba_status::BYTES);
    for run in runs {
        let base = data.len();
        let blocks = u32::try_from(run.extent.blocks).unwrap_or(u32::MAX);
        data.zeros(lba_status_descriptor::BYTES);
        data.set(base, lba_status_descriptor::STARTING_LBA, run.extent.lba);
        data.set(base, lba_status_descriptor::NUMBER_OF_LOGICAL_BLOCKS, blocks);
        data.set(base, lba_status_descriptor::PROVISIONING_STATUS, run.status);
    }
    let counted = data.len() - LENGTH_FIELD_BYTES;
    data.set(0, lba_status::PARAMETER_DATA_LENGTH, u32::try_from(counted).unwrap_or(u32::MAX));
}

const LENGTH_FIELD_BYTES: usize = 4;
