//! SYNCHRONIZE CACHE and PRE-FETCH commands of SBC-3.

use super::{Answer, Desk, Next, Outcome, Plan, Work};
use crate::geometry::{Extent, Geometry};
use felio_hal::Op;
use felio_hal::store::WriteCache;
use felio_spec::commands::{prefetch10 as p10, prefetch16 as p16};
use felio_spec::commands::{synchronize_cache10 as sc10, synchronize_cache16 as sc16};
use felio_spec::{Cdb, Sense};

//= SBC-3 "SYNCHRONIZE CACHE (10) command": the device server may synchronize more than the range
pub(crate) fn synchronize_cache10(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    unit.extent(cdb.get(sc10::LBA), u64::from(cdb.get(sc10::NUMBER_OF_LOGICAL_BLOCKS)))?;
    Ok(Plan::Synchronize { answer: Answer::immed(cdb.get(sc10::IMMED)) })
}

//= SBC-3 "SYNCHRONIZE CACHE (16) command"
pub(crate) fn synchronize_cache16(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    unit.extent(cdb.get(sc16::LBA), u64::from(cdb.get(sc16::NUMBER_OF_LOGICAL_BLOCKS)))?;
    Ok(Plan::Synchronize { answer: Answer::immed(cdb.get(sc16::IMMED)) })
}

//= SBC-3 "PRE-FETCH (10) command"
pub(crate) fn prefetch10(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    let extent = unit.extent_or_rest(cdb.get(p10::LBA), u64::from(cdb.get(p10::PREFETCH_LENGTH)))?;
    Ok(Plan::Prefetch { extent, answer: Answer::immed(cdb.get(p10::IMMED)) })
}

//= SBC-3 "PRE-FETCH (16) command"
pub(crate) fn prefetch16(unit: &Geometry, cdb: &Cdb) -> Result<Plan, Sense> {
    let extent = unit.extent_or_rest(cdb.get(p16::LBA), u64::from(cdb.get(p16::PREFETCH_LENGTH)))?;
    Ok(Plan::Prefetch { extent, answer: Answer::immed(cdb.get(p16::IMMED)) })
}

/// Starts a SYNCHRONIZE CACHE. The store is asked even while WCE=0: writes from before may sit in its cache.
pub(super) fn begin_synchronize(answer: Answer, desk: &Desk<'_>) -> Next {
    match (desk.geometry.write_cache, answer) {
        (WriteCache::Off, _) => Next::Finish(Outcome::good(0)),
        (WriteCache::On, Answer::Afterwards) => Next::Submit(Op::Flush, Work::Last { transfer_bytes: 0 }),
        (WriteCache::On, Answer::AtOnce) => Next::Detach(Op::Flush, Outcome::good(0)),
    }
}

/// Starts a PRE-FETCH.
//= SBC-3 "PRE-FETCH (10) command": CONDITION MET promises that all blocks are in the cache, GOOD does not. The cache
//= belongs to the operating system, so that we never promise it.
pub(super) fn begin_prefetch(extent: Extent, answer: Answer, desk: &Desk<'_>) -> Next {
    let (at, len) = (desk.geometry.offset(extent.lba), desk.geometry.bytes(extent.blocks));
    match answer {
        Answer::Afterwards => Next::Submit(Op::Prefetch { at, len }, Work::Last { transfer_bytes: 0 }),
        Answer::AtOnce => Next::Detach(Op::Prefetch { at, len }, Outcome::good(0)),
    }
}
