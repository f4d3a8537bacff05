//! The operator puts another store under a unit while Alice, Bob and, on another reactor, Carol work.

use crate::cdb::*;
use crate::rig::{ALICE, BLOCKS, BOB, Code, Rig, target};
use felio_engine::{Engine, TargetConfig};
use felio_hal::NexusId;
use felio_hal::buf::Budget;
use felio_hal::store::WriteCache;
use felio_spec::Status;
use felio_spec::status::TaskManagementFunction as Function;
use std::sync::Arc;

const INQUIRY_CHANGED: Code = (6, 0x3f, 0x03);
const MODE_CHANGED: Code = (6, 0x2a, 0x01);
const CAPACITY_CHANGED: Code = (6, 0x2a, 0x09);
const NOTHING: Code = (0, 0, 0);
const CAROL: NexusId = NexusId { reactor: 1, slot: 0, generation: 0 };

/// The unit above a store with a write cache, or without.
fn cached(write_cache: WriteCache) -> TargetConfig {
    let mut target = target();
    target.unit_mut(0).limits.write_cache = write_cache;
    target
}

impl Rig {
    fn close(&mut self) {
        let Self { engine, guest, now, .. } = self;
        [engine].into_iter().chain(guest).for_each(|engine| engine.handle_close(*now, 0));
        self.pump();
    }

    fn is_still(&self) -> bool {
        [&self.engine].into_iter().chain(&self.guest).all(|engine| engine.is_still(0))
    }

    fn open(&mut self) {
        let Self { engine, guest, now, pool, .. } = self;
        [engine].into_iter().chain(guest).for_each(|engine| engine.handle_open(*now, 0, pool));
        self.pump();
    }

    /// Closed, still, and open again above what is like this.
    fn swap(&mut self, target: &TargetConfig) {
        self.close();
        assert!(self.is_still());
        self.configure(target);
        self.open();
    }

    /// The codes of Alice's next answers, until nothing is to be told.
    fn news(&mut self) -> Vec<Code> {
        let mut ready = || self.run(ALICE, &TEST_UNIT_READY, &[]).code();
        core::iter::from_fn(|| Some(ready()).filter(|code| *code != NOTHING)).take(9).collect()
    }

    fn write_cache_is_on(&mut self) -> bool {
        self.run(ALICE, &[0x1a, 0x08, 0x08, 0, 24, 0], &[]).data[6] & 4 != 0
    }
}

#[test]
fn what_has_begun_ends_and_what_comes_waits_in_its_order() {
    let mut rig = Rig::new();
    rig.hold = true;
    let begun = rig.send(ALICE, &write10(0, 1), &[1; 512]);
    rig.close();
    let waiting = [rig.send(BOB, &write10(0, 1), &[2; 512]), rig.send(ALICE, &TEST_UNIT_READY, &[])];
    assert_eq!((rig.held_names(), rig.is_still()), (vec!["write 0+1".to_owned()], false));
    rig.release();
    assert_eq!(rig.reply(begun).map(|reply| reply.status), Some(Status::GOOD));
    assert!(rig.is_still() && rig.held.is_empty());
    assert!(waiting.iter().all(|tag| rig.reply(*tag).is_none()), "they are not refused");
    rig.open();
    rig.release_all();
    assert!(waiting.iter().all(|tag| rig.reply(*tag).is_some_and(|reply| reply.status == Status::GOOD)));
    assert_eq!(rig.blocks(0, 1), [2; 512]);
}

#[test]
fn a_command_of_two_steps_that_has_begun_takes_both() {
    let mut rig = Rig::new();
    rig.hold = true;
    let swap = rig.send(ALICE, &compare_and_write(0, 1), &[[0; 512], [1; 512]].concat());
    rig.close();
    rig.release();
    assert_eq!((rig.held_names(), rig.is_still()), (vec!["write 0+1".to_owned()], false));
    rig.release();
    assert_eq!(rig.reply(swap).map(|reply| reply.status), Some(Status::GOOD));
    assert!(rig.is_still());
}

#[test]
fn nothing_has_happened_where_the_store_is_the_same_afterwards() {
    let mut rig = Rig::new();
    rig.swap(&target());
    assert_eq!(rig.news(), []);
    assert_eq!(rig.ask(&read10(0, 1), &[]).0, Status::GOOD);
}

#[test]
fn a_command_that_waits_can_be_aborted() {
    let mut rig = Rig::new();
    rig.close();
    let write = rig.send(ALICE, &write10(0, 1), &[1; 512]);
    let abort = rig.manage(ALICE, Function::AbortTask, Some(write));
    assert!(rig.managed(abort).is_some() && rig.is_abandoned(write));
    rig.open();
    assert_eq!(rig.blocks(0, 1), [0; 512]);
}

#[test]
fn a_write_cache_comes_and_goes_and_everybody_is_told() {
    let mut rig = Rig::with(cached(WriteCache::Off), 64, 64 << 20);
    assert!(!rig.write_cache_is_on());
    for (cache, is_on) in [(WriteCache::On, true), (WriteCache::Off, false)] {
        rig.swap(&cached(cache));
        // V_SUP is INQUIRY data.
        assert_eq!(rig.news(), [INQUIRY_CHANGED, MODE_CHANGED]);
        assert_eq!(rig.run(BOB, &TEST_UNIT_READY, &[]).code(), INQUIRY_CHANGED);
        assert_eq!(rig.write_cache_is_on(), is_on);
        rig.run(BOB, &TEST_UNIT_READY, &[]);
    }
}

#[test]
fn who_came_when_there_was_no_write_cache_finds_the_blocks_on_the_medium() {
    let mut rig = Rig::with(cached(WriteCache::Off), 64, 64 << 20);
    rig.close();
    let list = [0, 22, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0];
    let waiting = [rig.send(ALICE, &write10(0, 1), &[1; 512]), rig.send(BOB, &unmap(24), &list)];
    rig.send_data = false;
    let late = rig.send(ALICE, &write10(1, 1), &[1; 512]);
    rig.configure(&cached(WriteCache::On));
    rig.open();
    rig.disk.log.retain(|op| op != "size");
    assert_eq!(rig.disk.log.split_off(0), ["write 0+1 durable", "unmap 8+1", "flush"]);
    rig.deliver();
    assert_eq!(rig.disk.log.split_off(0), ["write 1+1 durable"]);
    for tag in waiting.into_iter().chain([late]) {
        assert_eq!(rig.reply(tag).map(|reply| reply.status), Some(Status::GOOD));
    }
    rig.send_data = true;
    assert_eq!(rig.news().len(), 2);
    // Once they have ended, and somebody has looked.
    for _ in 0..2 {
        rig.pass(core::time::Duration::from_secs(2));
        rig.run(ALICE, &TEST_UNIT_READY, &[]);
    }
    rig.disk.log.clear();
    rig.run(ALICE, &write10(0, 1), &[1; 512]);
    assert_eq!(rig.disk.log, ["write 0+1"]);
}

#[test]
fn what_the_other_store_is_like_is_told_as_far_as_initiators_see_it() {
    let mut rig = Rig::new();
    rig.disk.bytes.resize(rig.disk.bytes.len() * 2, 0);
    let mut other = target();
    other.unit_mut(0).limits.bytes *= 2;
    rig.swap(&other);
    assert_eq!(rig.news(), [CAPACITY_CHANGED]);
    assert_eq!(rig.run(ALICE, &read_capacity16(), &[]).data[..8], (2 * BLOCKS - 1).to_be_bytes());
    other.unit_mut(0).limits.unmap = None;
    rig.swap(&other);
    assert_eq!(rig.news(), [INQUIRY_CHANGED]);
}

/// Carol's session is on another reactor, and she has a pass.
fn with_guest() -> Rig {
    let mut rig = Rig::new();
    rig.pool = felio_hal::Pool::new(Budget::new(64 << 20));
    rig.guest = Some(Engine::new(Arc::new(target()), 1, 64));
    rig.login(CAROL);
    (0..3).for_each(|_| drop(rig.run(CAROL, &TEST_UNIT_READY, &[])));
    rig.disk.log.clear();
    rig
}

#[test]
fn sessions_of_other_reactors_wait_as_well() {
    let mut rig = with_guest();
    rig.hold = true;
    let begun = rig.send(CAROL, &read10(0, 1), &[]);
    rig.close();
    assert!(rig.engine.is_still(0) && !rig.is_still(), "it runs on her own reactor");
    let waiting = rig.send(CAROL, &write10(0, 1), &[3; 512]);
    rig.release();
    assert!(rig.is_still() && rig.held.is_empty());
    assert_eq!(rig.reply(begun).map(|reply| reply.status), Some(Status::GOOD));
    assert_eq!(rig.reply(waiting), None);
    rig.configure(&target());
    rig.open();
    rig.release_all();
    assert_eq!(rig.reply(waiting).map(|reply| reply.status), Some(Status::GOOD));
    assert_eq!(rig.blocks(0, 1), [3; 512]);
}

#[test]
fn a_session_of_another_reactor_is_told_before_its_writes_may_be_cached() {
    let mut rig = with_guest();
    rig.swap(&cached(WriteCache::Off));
    let codes = [(); 3].map(|()| rig.run(CAROL, &write10(0, 1), &[1; 512]).code());
    assert_eq!(codes, [INQUIRY_CHANGED, MODE_CHANGED, NOTHING]);
    rig.send_data = false;
    let write = rig.send(CAROL, &write10(0, 1), &[2; 512]);
    rig.swap(&cached(WriteCache::On));
    rig.deliver();
    // It came too late for her reactor, and her home tells first.
    assert_eq!(rig.reply(write).map(|reply| reply.code()), Some(INQUIRY_CHANGED));
}
