//! A disk that can fail, dawdle and lose its power.
//!
//! Operations take effect, and complete, at times drawn from the seed, in any order. A completed write sits in a cache until a
//! flush or its own durability brings it to the medium. When the power fails, each sector keeps its durable content or any of those
//! that were written since, each sector for itself; writes that were not yet complete may have reached sectors too.
//!
//! Invariant: what `hal::store` promises as durable is on the medium, and nothing else need be.

use crate::initiator::DATA_BLOCKS;
use crate::random::Random;
use crate::referee::witness::{Event, Sighting};
use felio_hal::state::Saved;
use felio_hal::store::{
    Completion, Done, Durability, Failure, Limits, Mapping, Op, StoreQueue, Submission, UnmapLimits,
    WriteCache,
};
use felio_hal::{Buf, Time};
use std::collections::BTreeMap;
use std::time::Duration;

/// Bytes that reach the medium whole or not at all.
pub const SECTOR_BYTES: usize = 512;

type Sector = [u8; SECTOR_BYTES];

/// How the disk misbehaves, in thousandths.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// Operations that end in [`Failure::Medium`].
    pub medium: u64,
    /// Writes that end in [`Failure::NoSpace`].
    pub no_space: u64,
    /// Operations that take a hundred times as long.
    pub slow: u64,
}

impl Faults {
    /// A disk without any.
    pub const NONE: Self = Self { medium: 0, no_space: 0, slow: 0 };
}

/// The disk.
#[derive(Debug)]
pub struct Disk {
    random: Random,
    faults: Faults,
    now: Time,
    write_cache: WriteCache,
    medium: Vec<Sector>,
    /// How many of them the disk says that it has.
    sectors: usize,
    /// By sector: what was written since the medium was last brought up to date, oldest first. The last is what a read sees.
    cached: BTreeMap<usize, Vec<Sector>>,
    /// Which sectors are deallocated.
    holes: Vec<bool>,
    /// Documents of the unit.
    saved: BTreeMap<&'static str, Vec<u8>>,
    /// Operations under way, by the time at which they complete and the order of arrival.
    under_way: BTreeMap<(Time, u64), InFlight>,
    arrivals: u64,
    depth: usize,
    /// The reactor that asks now.
    reactor: u16,
    /// What nobody has asked for yet.
    events: Vec<Event>,
}

#[derive(Debug)]
struct InFlight {
    submission: Submission,
    /// A flush makes durable what was complete when it arrived.
    covers: Flush,
}

/// Cached contents that a flush makes durable, by sector.
#[derive(Debug)]
pub struct Flush(BTreeMap<usize, Sector>);

impl Disk {
    /// A disk of zeros.
    #[must_use]
    pub fn new(sectors: usize, write_cache: WriteCache, faults: Faults, random: Random) -> Self {
        Self {
            random,
            faults,
            now: Time(0),
            write_cache,
            medium: vec![[0; SECTOR_BYTES]; sectors],
            sectors,
            cached: BTreeMap::new(),
            holes: vec![true; sectors],
            saved: BTreeMap::new(),
            under_way: BTreeMap::new(),
            arrivals: 0,
            depth: 64,
            reactor: 0,
            events: Vec::new(),
        }
    }

    /// What it says of itself.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            bytes: bytes(self.sectors),
            writable: true,
            logical_block_bytes: 1,
            physical_block_bytes: 512,
            optimal_io_bytes: None,
            transfer_bytes_max: 4 << 20,
            write_cache: self.write_cache,
            unmap: Some(UnmapLimits {
                granularity_bytes: 512,
                alignment_bytes: 0,
                zeroes: true,
                anchor: false,
            }),
            atomic: None,
            extents: true,
            space: false,
            rotational: Some(false),
            protection: felio_hal::store::Protection::Impossible,
            state: true,
            passes: None,
        }
    }

    /// What was saved: it survives whatever happens.
    #[must_use]
    pub fn saved(&self) -> Saved {
        Saved(self.saved.iter().map(|(part, bytes)| ((*part).to_owned(), bytes.clone())).collect())
    }

    /// Time passes.
    pub fn advance(&mut self, now: Time) {
        self.now = now;
    }

    /// From now on the queue is that of this reactor: each hears of its own operations.
    pub fn serve(&mut self, reactor: u16) {
        self.reactor = reactor;
    }

    /// What it saw since it was last asked.
    #[must_use]
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// A flush begins: it makes durable what is in the cache now.
    #[must_use]
    pub fn begin_flush(&self) -> Flush {
        Flush(
            self.cached.iter().filter_map(|(sector, versions)| Some((*sector, *versions.last()?))).collect(),
        )
    }

    /// A flush has ended.
    pub fn end_flush(&mut self, flush: &Flush) {
        for (sector, version) in &flush.0 {
            // Unless something newer was made durable meanwhile.
            if self.cached.get(sector).is_some_and(|versions| versions.contains(version)) {
                self.settle(*sector, version);
            }
        }
    }

    /// Another store takes its place, with a write cache or without: the same blocks, or a copy of what is on the medium.
    pub fn replace(&mut self, write_cache: WriteCache, is_copy: bool) -> Result<(), String> {
        if !self.under_way.is_empty() {
            return Err(format!("{} operations are with the store that goes", self.under_way.len()));
        }
        self.write_cache = write_cache;
        if is_copy {
            self.cached.clear();
        }
        Ok(())
    }

    /// Somebody makes it so long, at most as long as it was made: what is beyond is out of reach, and comes back with the room.
    pub fn resize(&mut self, sectors: usize) {
        self.sectors = sectors.min(self.medium.len());
    }

    /// When the next operation completes.
    #[must_use]
    pub fn next_completion(&self) -> Option<Time> {
        self.under_way.first_key_value().map(|((time, _), _)| *time)
    }

    /// The power fails: what is under way is lost or done by halves, and each cached sector takes its chance.
    pub fn lose_power(&mut self) {
        self.abandon();
        for (sector, versions) in std::mem::take(&mut self.cached) {
            let pick = self.random.index(versions.len() + 1);
            if let Some(version) = pick.checked_sub(1).and_then(|at| versions.get(at)) {
                self.medium[sector] = *version;
            }
        }
    }

    /// The program is killed: what is under way is done by halves, and what was written stays in the cache.
    pub fn abandon(&mut self) {
        for (_, in_flight) in std::mem::take(&mut self.under_way) {
            match in_flight.submission.op {
                // Whole or not at all.
                Op::Save(save) if self.random.chance(500) => _ = self.saved.insert(save.part, save.bytes),
                op => self.do_by_halves(&op),
            }
        }
    }

    /// A sector as a read sees it.
    #[must_use]
    pub fn sector(&self, sector: usize) -> &Sector {
        self.cached.get(&sector).and_then(|versions| versions.last()).unwrap_or(&self.medium[sector])
    }

    /// A write that was under way may have reached the cache in part.
    fn do_by_halves(&mut self, op: &Op) {
        if let Op::Write { at, buf, .. } = op {
            for (sector, data) in (sector_of(*at)..).zip(buf.chunks_exact(SECTOR_BYTES)) {
                if self.random.chance(500) {
                    self.cache(sector, data);
                }
            }
        }
    }

    fn cache(&mut self, sector: usize, data: &[u8]) {
        let mut version = [0; SECTOR_BYTES];
        version.copy_from_slice(data);
        self.cached.entry(sector).or_default().push(version);
        self.holes[sector] = false;
    }

    /// Brings `version` of a sector to the medium: it and what is older can no longer be lost.
    fn settle(&mut self, sector: usize, version: &Sector) {
        self.medium[sector] = *version;
        if let Some(versions) = self.cached.get_mut(&sector) {
            if let Some(at) = versions.iter().rposition(|other| other == version) {
                versions.drain(..=at);
            }
            if versions.is_empty() {
                self.cached.remove(&sector);
            }
        }
    }

    fn draw_failure(&mut self, op: &Op) -> Option<Failure> {
        if let Op::Read { at, buf } | Op::Write { at, buf, .. } = op
            && sector_of(*at) + buf.len() / SECTOR_BYTES > self.sectors
        {
            return Some(Failure::Short);
        }
        let medium = matches!(op, Op::Read { .. } | Op::Write { .. } | Op::WriteAtomic { .. });
        if medium && self.random.chance(self.faults.medium) {
            return Some(Failure::Medium(None));
        }
        (matches!(op, Op::Write { .. }) && self.random.chance(self.faults.no_space))
            .then_some(Failure::NoSpace)
    }

    fn finish(&mut self, in_flight: InFlight) -> Completion {
        let Submission { store, task, op } = in_flight.submission;
        let failure = self.draw_failure(&op);
        let (result, buf) = match (op, failure) {
            (Op::Read { buf, .. } | Op::Write { buf, .. } | Op::WriteAtomic { buf, .. }, Some(failure)) => {
                (Err(failure), Some(buf))
            }
            (op, _) => self.carry_out(op, &in_flight.covers),
        };
        Completion { store, task, result, buf }
    }

    fn carry_out(&mut self, op: Op, covers: &Flush) -> (Result<Done, Failure>, Option<Buf>) {
        match op {
            Op::Read { at, mut buf } => {
                for (sector, data) in (sector_of(at)..).zip(buf.chunks_exact_mut(SECTOR_BYTES)) {
                    data.copy_from_slice(self.sector(sector));
                }
                (Ok(Done::Done), Some(buf))
            }
            Op::Write { at, buf, durability } | Op::WriteAtomic { at, buf, durability } => {
                self.events.extend(sighting(at, &buf).map(Event::Landed));
                let durable = durability == Durability::Durable || self.write_cache == WriteCache::Off;
                for (sector, data) in (sector_of(at)..).zip(buf.chunks_exact(SECTOR_BYTES)) {
                    self.write_sector(sector, data, durable);
                }
                (Ok(Done::Done), Some(buf))
            }
            Op::Flush => {
                self.end_flush(covers);
                (Ok(Done::Done), None)
            }
            Op::Unmap { at, len } | Op::Zero { at, len, .. } => {
                let durable = self.write_cache == WriteCache::Off;
                for sector in sector_of(at)..sector_of(at + len) {
                    self.write_sector(sector, &[0; SECTOR_BYTES], durable);
                    self.holes[sector] = true;
                }
                (Ok(Done::Done), None)
            }
            Op::Extent { at } => {
                let first = sector_of(at);
                let allocated = !self.holes[first];
                let run = self.holes[first..].iter().take_while(|hole| **hole != allocated).count();
                let mapping = if allocated { Mapping::Mapped } else { Mapping::Deallocated };
                (Ok(Done::Extent { mapping, len: bytes(run) }), None)
            }
            Op::Prefetch { .. } => (Ok(Done::Done), None),
            Op::Space => (Err(Failure::Other(0)), None),
            Op::Copy { .. } => (Err(Failure::NotPossible), None),
            Op::Size => (Ok(Done::Size(bytes(self.sectors))), None),
            Op::Save(save) => {
                self.saved.insert(save.part, save.bytes);
                (Ok(Done::Done), None)
            }
            Op::Pass(pass) => (Err(Failure::Gone), pass.data),
            // Its limits say that it keeps no protection information.
            Op::ReadProtected { buf, .. } | Op::WriteProtected { buf, .. } => {
                (Err(Failure::Other(EOPNOTSUPP)), Some(buf))
            }
            Op::Protect { .. } => (Err(Failure::Other(EOPNOTSUPP)), None),
        }
    }

    fn write_sector(&mut self, sector: usize, data: &[u8], durable: bool) {
        self.cache(sector, data);
        if durable {
            let version = *self.sector(sector);
            self.settle(sector, &version);
        }
    }
}

/// Operation not supported.
const EOPNOTSUPP: i32 = 95;

impl StoreQueue for Disk {
    fn submit(&mut self, submission: Submission) -> Result<(), Submission> {
        if self.under_way.len() >= self.depth {
            return Err(submission);
        }
        let slow = match self.random.chance(self.faults.slow) {
            true => 100,
            false if self.random.chance(20) => 10,
            false => 1,
        };
        let delay = Duration::from_micros((5 + self.random.below(500)) * slow);
        let covers = match submission.op {
            Op::Flush => self.begin_flush(),
            _ => Flush(BTreeMap::new()),
        };
        if let Some(write) = sighting_of(&submission.op) {
            let beside =
                self.under_way.values().filter_map(|other| sighting_of(&other.submission.op)).collect();
            self.events.push(Event::Begun { write, beside });
        }
        self.arrivals += 1;
        self.under_way.insert((self.now + delay, self.arrivals), InFlight { submission, covers });
        Ok(())
    }

    fn kick(&mut self) {}

    fn reap(&mut self, done: &mut Vec<Completion>) {
        let (now, reactor) = (self.now, self.reactor);
        let is_due = |at: &(Time, u64), in_flight: &mut InFlight| {
            at.0 <= now && in_flight.submission.task.reactor == reactor
        };
        let due: Vec<InFlight> =
            self.under_way.extract_if(.., is_due).map(|(_, in_flight)| in_flight).collect();
        done.extend(due.into_iter().map(|in_flight| self.finish(in_flight)));
    }
}

fn sighting_of(op: &Op) -> Option<Sighting> {
    match op {
        Op::Write { at, buf, .. } => sighting(*at, buf),
        _ => None,
    }
}

/// What is written, by the first block's stamp. What only COMPARE AND WRITE and ORWRITE change has none.
fn sighting(at: u64, bytes: &[u8]) -> Option<Sighting> {
    let first = sector_of(at);
    if first >= DATA_BLOCKS {
        return None;
    }
    let stamp = u64::from_le_bytes(*bytes.first_chunk()?);
    Some(Sighting { blocks: first..first + bytes.len() / SECTOR_BYTES, stamp })
}

fn sector_of(at: u64) -> usize {
    usize::try_from(at).expect("the disk fits in memory") / SECTOR_BYTES
}

fn bytes(sectors: usize) -> u64 {
    u64::try_from(sectors * SECTOR_BYTES).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use felio_hal::buf::Budget;
    use felio_hal::{Pool, StoreId, TaskId};

    const TASK: TaskId = TaskId { reactor: 0, slot: 0, generation: 0 };
    const END: Time = Time(u64::MAX);

    fn disk(write_cache: WriteCache, seed: u64) -> Disk {
        Disk::new(8, write_cache, Faults::NONE, Random::new(seed))
    }

    fn run(disk: &mut Disk, op: Op) {
        disk.submit(Submission { store: StoreId(0), task: TASK, op }).expect("there is room");
        disk.advance(END);
        let mut done = Vec::new();
        disk.reap(&mut done);
        disk.advance(Time(0));
        assert!(done.iter().all(|completion| completion.result.is_ok()));
    }

    fn write(value: u8, durability: Durability) -> Op {
        let mut buf = Pool::new(Budget::new(1 << 20)).take(SECTOR_BYTES).expect("within budget");
        buf.fill(value);
        Op::Write { at: 0, buf, durability }
    }

    fn survives(write_cache: WriteCache, ops: impl Fn() -> Vec<Op>) -> bool {
        (0..64).all(|seed| {
            let mut disk = disk(write_cache, seed);
            ops().into_iter().for_each(|op| run(&mut disk, op));
            disk.lose_power();
            disk.sector(0)[0] == 7
        })
    }

    #[test]
    fn a_cached_write_can_be_lost() {
        assert!(!survives(WriteCache::On, || vec![write(7, Durability::Cached)]));
    }

    #[test]
    fn a_durable_write_survives() {
        assert!(survives(WriteCache::On, || vec![write(7, Durability::Durable)]));
    }

    #[test]
    fn a_flushed_write_survives() {
        assert!(survives(WriteCache::On, || vec![write(7, Durability::Cached), Op::Flush]));
    }

    #[test]
    fn without_a_cache_every_write_survives() {
        assert!(survives(WriteCache::Off, || vec![write(7, Durability::Cached)]));
    }

    #[test]
    fn a_write_under_way_may_be_torn_or_lost() {
        let mut seen = [false; 2];
        for seed in 0..64 {
            let mut disk = disk(WriteCache::On, seed);
            let op = write(7, Durability::Durable);
            disk.submit(Submission { store: StoreId(0), task: TASK, op }).expect("there is room");
            disk.lose_power();
            seen[usize::from(disk.sector(0)[0] == 7)] = true;
        }
        assert_eq!(seen, [true, true]);
    }
}
