//! What every store must do, on every engine, in every cache mode.

#![allow(clippy::disallowed_methods, reason = "stores live in files")]

mod common;

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{ENGINES, Loop, Rig, SIZE, config, devices, files, folders, memory, skip, spec, stores};
use felio_backstore::fault::{Action, Fault, Kind, Rule};
use felio_backstore::{
    Attempt, CacheMode, Engine, Lane, LaneConfig, LaneError, Null, OpenError, Opened, Ram, Source, Spec,
    Store, open,
};
use felio_hal::buf::Budget;
use felio_hal::store::{Done, Durability, Failure, Mapping, Op, StoreQueue, Submission, WriteCache};
use felio_hal::{Pool, StoreId, TaskId};

const BLOCK: usize = 4096;

/// A block as an offset.
const fn block(number: u64) -> u64 {
    number * 4096
}

#[test]
fn what_is_written_is_read() {
    stores(|mut rig| {
        for (at, len, seed) in [(0, BLOCK, 1), (block(3), 1 << 20, 2), (SIZE - 4096, BLOCK, 3)] {
            rig.write(at, len, seed);
            rig.expect_pattern(at, len, seed);
        }
    });
}

#[test]
fn a_new_store_is_all_zeros() {
    stores(|mut rig| rig.expect_zeros(0, 1 << 20));
}

#[test]
fn the_largest_transfer_goes_through() {
    stores(|mut rig| {
        let len = usize::try_from(rig.store().limits().transfer_bytes_max).expect("small");
        rig.write(block(1), len, 1);
        rig.expect_pattern(block(1), len, 1);
    });
}

#[test]
fn single_sectors_are_written_apart() {
    stores(|mut rig| {
        let least = usize::try_from(rig.store().limits().logical_block_bytes.max(512)).expect("small");
        let step = u64::try_from(least).expect("small");
        rig.write(0, least, 1);
        rig.write(step, least, 2);
        rig.expect_pattern(0, least, 1);
        rig.expect_pattern(step, least, 2);
    });
}

#[test]
fn a_durable_write_is_read() {
    stores(|mut rig| {
        let buf = rig.pattern(BLOCK, 1);
        rig.must(Op::Write { at: block(5), buf, durability: Durability::Durable });
        rig.expect_pattern(block(5), BLOCK, 1);
    });
}

#[test]
fn a_flush_completes() {
    stores(|mut rig| {
        rig.write(0, BLOCK, 1);
        assert_eq!(rig.must(Op::Flush), Done::Done);
    });
}

#[test]
fn a_prefetch_completes_and_changes_nothing() {
    stores(|mut rig| {
        rig.write(0, BLOCK, 1);
        rig.must(Op::Prefetch { at: 0, len: 1 << 20 });
        rig.expect_pattern(0, BLOCK, 1);
    });
}

#[test]
fn the_size_is_told() {
    stores(|mut rig| {
        assert_eq!(rig.must(Op::Size), Done::Size(SIZE), "{}", rig.name);
        assert_eq!(rig.store().limits().bytes, SIZE, "{}", rig.name);
    });
}

#[test]
fn zeroed_ranges_read_as_zeros_and_neighbours_stay() {
    stores(|mut rig| {
        for unmap in [false, true] {
            rig.write(0, 64 * BLOCK, 1);
            let before = rig.read(0, 64 * BLOCK).expect("written");
            rig.must(Op::Zero { at: 512, len: block(40), unmap });
            rig.expect_zeros(512, 40 * BLOCK);
            let after = rig.read(0, 64 * BLOCK).expect("written");
            assert!(before[..512] == after[..512], "{}", rig.name);
            assert!(before[512 + 40 * BLOCK..] == after[512 + 40 * BLOCK..], "{}", rig.name);
        }
    });
}

#[test]
fn a_long_range_is_zeroed() {
    stores(|mut rig| {
        rig.write(block(1), 1 << 20, 1);
        rig.must(Op::Zero { at: 0, len: SIZE, unmap: false });
        rig.expect_zeros(0, 2 << 20);
    });
}

#[test]
fn unmapped_ranges_read_as_zeros_and_neighbours_stay() {
    stores(|mut rig| {
        let Some(unmap) = rig.store().limits().unmap else {
            return skip(&rig.name, "nothing can be deallocated here");
        };
        rig.write(0, 64 * BLOCK, 1);
        let before = rig.read(0, 64 * BLOCK).expect("written");
        rig.must(Op::Unmap { at: 512, len: block(40) });
        let after = rig.read(0, 64 * BLOCK).expect("written");
        assert!(before[..512] == after[..512], "{}", rig.name);
        assert!(before[512 + 40 * BLOCK..] == after[512 + 40 * BLOCK..], "{}", rig.name);
        if unmap.zeroes {
            rig.expect_zeros(512, 40 * BLOCK);
        }
    });
}

#[test]
fn unmapping_makes_a_file_smaller() {
    files(|mut rig| {
        let path = rig.path.clone().expect("a file");
        let blocks = || path.metadata().expect("a file").blocks();
        rig.write(0, 1 << 20, 1);
        rig.must(Op::Flush);
        let before = blocks();
        assert!(before >= 2048, "{}: {before}", rig.name);
        rig.must(Op::Unmap { at: 0, len: 1 << 20 });
        assert!(blocks() < before / 8, "{}: {} of {before}", rig.name, blocks());
    });
}

fn extents(mut rig: Rig) {
    if !rig.store().limits().extents {
        return skip(&rig.name, "allocation is not told here");
    }
    rig.write(1 << 20, 1 << 16, 1);
    let hole = Done::Extent { mapping: Mapping::Deallocated, len: 1 << 20 };
    let data = Done::Extent { mapping: Mapping::Mapped, len: 1 << 16 };
    let rest = Done::Extent { mapping: Mapping::Deallocated, len: SIZE - (1 << 20) - (1 << 16) };
    for (at, want) in [(0, hole), (1 << 20, data), ((1 << 20) + (1 << 16), rest)] {
        assert_eq!(rig.must(Op::Extent { at }), want, "{} at {at}", rig.name);
    }
}

#[test]
fn holes_and_data_are_told() {
    files(extents);
    memory(extents);
}

#[test]
fn a_device_says_that_all_is_allocated() {
    devices(|mut rig| {
        let all = Done::Extent { mapping: Mapping::Mapped, len: SIZE - 4096 };
        assert_eq!(rig.must(Op::Extent { at: 4096 }), all, "{}", rig.name);
    });
}

#[test]
fn what_was_unmapped_is_told_as_a_hole() {
    memory(|mut rig| {
        rig.write(0, 64 * BLOCK, 1);
        rig.must(Op::Unmap { at: block(8), len: block(8) });
        let hole = Done::Extent { mapping: Mapping::Deallocated, len: block(8) };
        assert_eq!(rig.must(Op::Extent { at: block(8) }), hole, "{}", rig.name);
    });
}

#[test]
fn zeroed_ranges_that_keep_their_space_are_told_as_anchored() {
    files(|mut rig| {
        if rig.store().limits().unmap.is_none_or(|unmap| !unmap.anchor) {
            return skip(&rig.name, "space cannot be kept without data here");
        }
        rig.must(Op::Zero { at: block(8), len: block(8), unmap: false });
        let hole = Done::Extent { mapping: Mapping::Deallocated, len: block(8) };
        let kept = Done::Extent { mapping: Mapping::Anchored, len: block(8) };
        assert_eq!(rig.must(Op::Extent { at: 0 }), hole, "{}", rig.name);
        assert_eq!(rig.must(Op::Extent { at: block(8) }), kept, "{}", rig.name);
        rig.expect_zeros(block(8), 8 * BLOCK);
    });
}

#[test]
fn space_is_used_by_what_is_written() {
    stores(|mut rig| {
        if !rig.store().limits().space {
            return skip(&rig.name, "space is not told here");
        }
        let used = |rig: &mut Rig| match rig.must(Op::Space) {
            Done::Space(space) => space.used,
            other => panic!("{other:?}"),
        };
        let before = used(&mut rig);
        rig.write(1 << 20, 1 << 20, 1);
        rig.must(Op::Flush);
        assert!(used(&mut rig) >= before + (1 << 20), "{}", rig.name);
    });
}

#[test]
fn an_atomic_write_is_whole() {
    stores(|mut rig| {
        let Some(limits) = rig.store().limits().atomic else {
            return skip(&rig.name, "nothing is written as one step here");
        };
        let len = usize::try_from(limits.bytes_max.min(1 << 16)).expect("small");
        let mut buf = rig.pool.take(len).expect("within budget");
        buf.fill(7);
        let at = u64::from(limits.bytes_max);
        rig.must(Op::WriteAtomic { at, buf, durability: Durability::Cached });
        assert!(rig.read(at, len).expect("written").iter().all(|byte| *byte == 7), "{}", rig.name);
    });
}

#[test]
fn a_range_of_no_length_is_done() {
    stores(|mut rig| {
        rig.write(0, BLOCK, 1);
        rig.must(Op::Zero { at: 0, len: 0, unmap: true });
        rig.must(Op::Unmap { at: 0, len: 0 });
        rig.must(Op::Prefetch { at: 0, len: 0 });
        rig.expect_pattern(0, BLOCK, 1);
    });
}

#[test]
fn a_lane_may_move_to_its_reactors_thread() {
    const fn moves<T: Send>() {}
    moves::<Lane>();
}

#[test]
fn two_lanes_serve_one_store() {
    stores(|mut rig| {
        let store = rig.store();
        let name = rig.name.clone();
        let other = std::thread::spawn(move || {
            let mut rig = Rig::new(&name, store, LaneConfig::default());
            for number in 0..64 {
                rig.write(SIZE / 2 + block(number), BLOCK, number);
                rig.expect_pattern(SIZE / 2 + block(number), BLOCK, number);
            }
        });
        for number in 0..64 {
            rig.write(block(number), BLOCK, 100 + number);
            rig.expect_pattern(block(number), BLOCK, 100 + number);
        }
        other.join().expect("the other lane agrees");
    });
}

#[test]
fn a_range_past_the_end_is_short() {
    stores(|mut rig| {
        let buf = rig.pattern(2 * BLOCK, 1);
        let past = Op::Write { at: SIZE - 4096, buf, durability: Durability::Cached };
        assert_eq!(rig.outcome(past), Err(Failure::Short), "{}", rig.name);
        assert_eq!(rig.read(SIZE - 4096, 2 * BLOCK).err(), Some(Failure::Short), "{}", rig.name);
    });
}

#[test]
fn a_file_that_grew_is_noticed() {
    files(|mut rig| {
        set_len(&rig, 2 * SIZE);
        assert_eq!(rig.must(Op::Size), Done::Size(2 * SIZE), "{}", rig.name);
        assert_eq!(rig.store().limits().bytes, 2 * SIZE, "{}", rig.name);
        rig.write(SIZE, BLOCK, 1);
        rig.expect_pattern(SIZE, BLOCK, 1);
    });
}

#[test]
fn reading_where_a_file_was_cut_is_short() {
    files(|mut rig| {
        set_len(&rig, SIZE / 2);
        assert_eq!(rig.read(SIZE / 2 + 4096, BLOCK).err(), Some(Failure::Short), "{}", rig.name);
    });
}

#[test]
fn reading_across_the_odd_end_of_a_cut_file_is_short() {
    files(|mut rig| {
        rig.write(SIZE / 2, BLOCK, 1);
        set_len(&rig, SIZE / 2 + 700);
        assert_eq!(rig.read(SIZE / 2, BLOCK).err(), Some(Failure::Short), "{}", rig.name);
    });
}

#[test]
fn a_cut_file_is_not_made_longer_again_once_it_was_noticed() {
    files(|mut rig| {
        set_len(&rig, SIZE / 2);
        assert_eq!(rig.must(Op::Size), Done::Size(SIZE / 2), "{}", rig.name);
        let buf = rig.pattern(BLOCK, 1);
        let write = Op::Write { at: SIZE / 2, buf, durability: Durability::Cached };
        assert_eq!(rig.outcome(write), Err(Failure::Short), "{}", rig.name);
        let path = rig.path.clone().expect("a file");
        assert_eq!(path.metadata().expect("a file").len(), SIZE / 2, "{}", rig.name);
    });
}

fn set_len(rig: &Rig, len: u64) {
    let path = rig.path.as_deref().expect("a file");
    OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(len)).expect("a new length");
}

#[test]
fn a_read_only_store_refuses_to_change() {
    for engine in ENGINES {
        for (_, folder) in folders() {
            let path = folder.path().join("disk.img");
            drop(open(&spec(&path, Some(SIZE), CacheMode::WriteBack)).expect("created"));
            let file = open_soon(&Spec { read_only: true, ..spec(&path, None, CacheMode::WriteBack) });
            check_read_only(Rig::new("read-only file", file.store, config(engine)));
        }
        let ram = Arc::new(Ram::new(SIZE, false).expect("memory"));
        check_read_only(Rig::new("read-only ram", ram, config(engine)));
        check_read_only(Rig::new("read-only null", Arc::new(Null::new(SIZE, false)), config(engine)));
    }
}

/// Opens what was let go just now: a program that another test is starting may hold its lock for a moment longer.
fn open_soon(spec: &Spec) -> Opened {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match open(spec) {
            Err(OpenError::Busy { .. }) if Instant::now() < deadline => std::thread::yield_now(),
            opened => return opened.expect("opened"),
        }
    }
}

fn check_read_only(mut rig: Rig) {
    let buf = rig.pattern(BLOCK, 1);
    let changes = [
        Op::Write { at: 0, buf, durability: Durability::Cached },
        Op::Unmap { at: 0, len: 4096 },
        Op::Zero { at: 0, len: 4096, unmap: true },
    ];
    for op in changes {
        assert_eq!(rig.outcome(op), Err(Failure::WriteProtected), "{}", rig.name);
    }
    // What a store is made of does not change with who may write to it.
    assert!(rig.store().limits().unmap.is_some() && rig.store().limits().extents, "{}", rig.name);
    rig.expect_zeros(0, BLOCK);
    rig.must(Op::Flush);
}

#[test]
fn a_null_store_reads_zeros_whatever_was_written() {
    let mut rig = Rig::new("null", Arc::new(Null::new(SIZE, true)), LaneConfig::default());
    rig.write(0, BLOCK, 1);
    rig.expect_zeros(0, BLOCK);
}

#[test]
fn many_at_once_all_come_back_and_keep_apart() {
    stores(|mut rig| {
        const EACH: u64 = 16384;
        let count = SIZE / EACH;
        let ops = |rig: &mut Rig, number: u64| {
            let buf = rig.pattern(16384, number);
            // Scattered, and each in another place.
            Op::Write { at: number * 37 % count * EACH, buf, durability: Durability::Cached }
        };
        run_all(&mut rig, count, ops);
        run_all(&mut rig, count, |rig, number| {
            let buf = rig.pattern(16384, u64::MAX);
            Op::Read { at: number * 37 % count * EACH, buf }
        });
        for number in 0..count {
            rig.expect_pattern(number * 37 % count * EACH, 16384, number);
        }
    });
}

/// Keeps the lane as full as it can be until `count` operations are done.
fn run_all(rig: &mut Rig, count: u64, mut make: impl FnMut(&mut Rig, u64) -> Op) {
    let mut open = BTreeSet::new();
    let mut next = 0;
    let mut spare = None;
    while next < count || !open.is_empty() {
        while next < count {
            let op = spare.take().unwrap_or_else(|| make(rig, next));
            match rig.submit(op) {
                Ok(task) => assert!(open.insert(task.slot)),
                Err(back) => {
                    spare = Some(back.op);
                    break;
                }
            }
            next += 1;
        }
        let completion = rig.next();
        assert!(open.remove(&completion.task.slot), "{}: a task is answered once", rig.name);
        assert_eq!(completion.result, Ok(Done::Done), "{}", rig.name);
        rig.pool.give(completion.buf.expect("the buffer comes back"));
    }
}

#[test]
fn a_full_lane_gives_everything_back() {
    for engine in ENGINES {
        let ram: Arc<dyn Store> = Arc::new(Ram::new(SIZE, true).expect("memory"));
        let mut rig = Rig::new("full", ram, LaneConfig { depth: 2, ..config(engine) });
        for at in [0, 4096] {
            let buf = rig.pattern(BLOCK, at);
            rig.submit(Op::Write { at, buf, durability: Durability::Cached }).expect("room for two");
        }
        let buf = rig.pattern(BLOCK, 3);
        let back = rig.submit(Op::Write { at: 8192, buf, durability: Durability::Cached });
        let Err(back) = back else { panic!("a third operation was taken") };
        let Op::Write { at: 8192, buf, .. } = &back.op else { panic!("another operation: {back:?}") };
        assert_eq!(**buf, *rig.pattern(BLOCK, 3));
        rig.next();
        rig.submit(back.op).expect("room again");
    }
}

#[test]
fn a_store_that_hangs_leaves_the_others_room() {
    for engine in ENGINES {
        let memory = || Arc::new(Ram::new(SIZE, true).expect("memory"));
        let rule = Rule { kind: Kind::Write, bytes: 0..SIZE, occurrences: 0..6, action: Action::Hold };
        let fault = Arc::new(Fault::new(memory(), vec![rule]));
        let stores: Vec<Arc<dyn Store>> = vec![Arc::<Fault>::clone(&fault), memory()];
        let mut lane = Lane::new(stores, LaneConfig { depth: 4, ..config(engine) }).expect("a lane");
        let mut pool = Pool::new(Budget::new(1 << 20));
        let mut submit = |lane: &mut Lane, store: u32, slot: u32| {
            let buf = pool.take(BLOCK).expect("within the budget");
            let op = Op::Write { at: 0, buf, durability: Durability::Cached };
            let task = TaskId { reactor: 0, slot, generation: 0 };
            lane.submit(Submission { store: StoreId(store), task, op }).expect("room");
        };
        (0..6).for_each(|slot| submit(&mut lane, 0, slot));
        submit(&mut lane, 1, 6);
        let mut done = Vec::new();
        lane.kick();
        lane.reap(&mut done);
        assert_eq!(done.iter().map(|one| one.task.slot).collect::<Vec<_>>(), [6], "{engine:?}");
        while done.len() < 7 {
            fault.release();
            lane.reap(&mut done);
            std::thread::yield_now();
        }
        assert_eq!(lane.in_flight(), 0);
    }
}

#[test]
fn memory_has_no_write_cache_to_flush() {
    memory(|rig| assert_eq!(rig.store().limits().write_cache, WriteCache::Off));
}

/// A device's node may be in a filesystem in memory, which says nothing of the device.
#[test]
fn what_a_device_has_to_be_asked_for_is_not_done_on_the_spot() {
    devices(|mut rig| {
        if rig.store().limits().write_cache == WriteCache::On {
            return; // The page cache may have it.
        }
        let buf = rig.pattern(BLOCK, 1);
        let attempt = rig.store().attempt(Op::Write { at: 0, buf, durability: Durability::Durable });
        assert!(matches!(attempt, Attempt::Later(_)));
    });
}

#[test]
fn a_lane_that_is_dropped_with_work_under_way_lets_it_end() {
    files(|mut rig| {
        for number in 0..32 {
            let buf = rig.pattern(65536, number);
            let write = Op::Write { at: number * 65536, buf, durability: Durability::Durable };
            rig.submit(write).expect("room");
        }
        rig.lane.kick();
    });
}

#[test]
fn a_lane_that_is_dropped_without_a_kick_is_fine() {
    files(|mut rig| {
        let buf = rig.pattern(65536, 1);
        rig.submit(Op::Write { at: 0, buf, durability: Durability::Durable }).expect("room");
    });
}

#[test]
fn a_full_filesystem_is_told_as_such() {
    for engine in ENGINES {
        let home = tempfile::tempdir().expect("a folder");
        let Some(_mount) = Tmpfs::mount(home.path()) else { return };
        let path = home.path().join("disk.img");
        let opened = open(&spec(&path, Some(SIZE), CacheMode::WriteBack)).expect("sparse");
        let mut rig = Rig::new("full filesystem", opened.store, config(engine));
        let buf = rig.pattern(4 << 20, 1);
        let write = Op::Write { at: 0, buf, durability: Durability::Cached };
        assert_eq!(rig.outcome(write), Err(Failure::NoSpace), "{engine:?}");
        drop(rig);
    }
}

#[test]
fn a_flush_that_failed_does_not_succeed_when_it_is_tried_again() {
    for engine in ENGINES {
        let home = tempfile::tempdir().expect("a folder");
        let Some(_mount) = Tmpfs::mount(home.path()) else { return };
        let Some(device) = Loop::on(tempfile::tempdir_in(home.path()).expect("a folder"), SIZE) else {
            return;
        };
        let opened = open(&spec(&device.device, None, CacheMode::WriteBack)).expect("a device");
        let mut rig = Rig::new("device that fills up", opened.store, config(engine)).keep(device);
        rig.write(0, 4 << 20, 1);
        assert!(rig.outcome(Op::Flush).is_err(), "{engine:?}");
        assert_eq!(rig.outcome(Op::Flush), Err(Failure::Medium(None)), "{engine:?}");
    }
}

/// A megabyte of tmpfs.
struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "felio"]).arg(at).output();
        match mount {
            Ok(output) if output.status.success() => return Some(Self(at)),
            Ok(output) => skip("a full filesystem", String::from_utf8_lossy(&output.stderr).trim()),
            Err(error) => skip("a full filesystem", &error.to_string()),
        }
        None
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[test]
fn a_lane_without_a_ring_falls_back_to_threads() {
    // More entries than any kernel grants: refused for real.
    let config = LaneConfig { depth: 40_000, engine: Engine::Auto, helpers: 2 };
    for (_, folder) in folders() {
        let path = folder.path().join("disk.img");
        let opened = open(&spec(&path, Some(SIZE), CacheMode::WriteThrough)).expect("created");
        let mut rig = Rig::new("no ring", opened.store, config);
        assert_eq!(rig.lane.backend_name(), "helper threads");
        assert!(rig.lane.refusal().is_some());
        rig.write(0, BLOCK, 1);
        rig.expect_pattern(0, BLOCK, 1);
    }
}

#[test]
fn a_ring_that_is_refused_is_an_error_if_nothing_else_will_do() {
    let config = LaneConfig { depth: 40_000, engine: Engine::Ring, helpers: 2 };
    assert!(matches!(Lane::new(Vec::new(), config), Err(LaneError::Ring(_))));
}

fn faulty(engine: Engine, rules: Vec<Rule>) -> (Rig, Arc<Fault>) {
    let fault = Arc::new(Fault::new(Arc::new(Ram::new(SIZE, true).expect("memory")), rules));
    let store: Arc<dyn Store> = Arc::<Fault>::clone(&fault);
    (Rig::new(&format!("fault, {engine:?}"), store, config(engine)), fault)
}

#[test]
fn the_nth_read_of_a_bad_range_fails() {
    for engine in ENGINES {
        let action = Action::Fail(Failure::Medium(Some(4096)));
        let rule = Rule { kind: Kind::Read, bytes: 4096..8192, occurrences: 1..2, action };
        let (mut rig, _) = faulty(engine, vec![rule]);
        rig.expect_zeros(4096, BLOCK);
        rig.expect_zeros(0, BLOCK);
        assert_eq!(rig.read(0, 4 * BLOCK).err(), Some(Failure::Medium(Some(4096))));
        rig.expect_zeros(4096, BLOCK);
    }
}

#[test]
fn a_torn_write_leaves_its_first_half() {
    for engine in ENGINES {
        let action = Action::Tear { bytes: BLOCK, failure: Failure::Medium(None) };
        let rule = Rule { kind: Kind::Write, bytes: 0..SIZE, occurrences: 0..1, action };
        let (mut rig, _) = faulty(engine, vec![rule]);
        let buf = rig.pattern(2 * BLOCK, 1);
        let answer = rig.call(Op::Write { at: 0, buf, durability: Durability::Cached });
        assert_eq!(answer.result, Err(Failure::Medium(None)));
        assert_eq!(answer.buf.map(|buf| buf.len()), Some(2 * BLOCK));
        rig.expect_pattern(0, BLOCK, 1);
        rig.expect_zeros(4096, BLOCK);
    }
}

#[test]
fn a_held_operation_completes_when_it_is_released_and_others_pass_it() {
    for engine in ENGINES {
        let rule = Rule { kind: Kind::Write, bytes: 0..4096, occurrences: 0..1, action: Action::Hold };
        let (mut rig, fault) = faulty(engine, vec![rule]);
        let buf = rig.pattern(BLOCK, 1);
        let held = rig.submit(Op::Write { at: 0, buf, durability: Durability::Cached }).expect("room");
        rig.write(8192, BLOCK, 2);
        assert_eq!(fault.held(), 1);
        fault.release();
        assert_eq!(rig.next().task, held);
        rig.expect_pattern(0, BLOCK, 1);
    }
}

#[test]
fn a_failed_flush_is_told() {
    for engine in ENGINES {
        let action = Action::Fail(Failure::Medium(None));
        let rule = Rule { kind: Kind::Flush, bytes: 0..SIZE, occurrences: 0..1, action };
        let (mut rig, _) = faulty(engine, vec![rule]);
        assert_eq!(rig.outcome(Op::Flush), Err(Failure::Medium(None)));
        assert_eq!(rig.outcome(Op::Flush), Ok(Done::Done));
    }
}

#[test]
fn several_stores_share_a_lane() {
    let stores: Vec<Arc<dyn Store>> =
        vec![Arc::new(Null::new(SIZE, true)), Arc::new(Ram::new(SIZE, true).expect("memory"))];
    let lane = Lane::new(stores, LaneConfig::default()).expect("a lane");
    assert_eq!(lane.store(felio_hal::StoreId(0)).limits().physical_block_bytes, 512);
    assert!(lane.store(felio_hal::StoreId(1)).limits().extents);
    let spec = Spec { source: Source::Null(512), ..spec(Path::new(""), None, CacheMode::Direct) };
    assert_eq!(open(&spec).expect("nothing").limits.bytes, 512);
}

#[test]
fn a_bad_page_of_a_device_is_a_medium_error_and_the_rest_is_good() {
    const BAD: u64 = SIZE / 2;
    for engine in ENGINES {
        for cache in common::MODES {
            let Some(device) = Loop::new(SIZE) else { return };
            let name = format!("bad device, {cache}, {engine:?}");
            let opened = open(&spec(&device.device, None, cache)).unwrap_or_else(|error| panic!("{error}"));
            if !device.cut(BAD) {
                return skip(&name, "loop devices have no direct I/O here");
            }
            let mut rig = Rig::new(&name, opened.store, config(engine)).keep(device);
            let read = rig.read(BAD, BLOCK).err();
            assert_eq!(read, Some(Failure::Medium(None)), "{name}");
            let across = rig.read(BAD - 8192, 8 * BLOCK).err();
            let told = [Some(Failure::Medium(None)), Some(Failure::Medium(Some(BAD)))];
            assert!(told.contains(&across), "{name}: {across:?}");
            rig.expect_zeros(BAD - 4096, BLOCK);
        }
    }
}
