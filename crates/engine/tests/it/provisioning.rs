//! WRITE SAME, UNMAP, GET LBA STATUS.

use crate::cdb::*;
use crate::rig::{ALICE, BLOCK, BOB, Rig, target};
use core::time::Duration;
use felio_hal::store::{Space, UnmapLimits};
use felio_spec::Status;

const UNMAP: u8 = 0x08;
const ANCHOR: u8 = 0x10;
const NDOB: u8 = 0x01;

fn list(ranges: &[(u64, u32)]) -> Vec<u8> {
    let descriptors = u16::try_from(16 * ranges.len()).expect("small");
    let mut list = Vec::new();
    list.extend((descriptors + 6).to_be_bytes());
    list.extend(descriptors.to_be_bytes());
    list.extend([0; 4]);
    for (lba, blocks) in ranges {
        list.extend(lba.to_be_bytes());
        list.extend(blocks.to_be_bytes());
        list.extend([0; 4]);
    }
    list
}

fn unmap_of(rig: &mut Rig, ranges: &[(u64, u32)]) -> (u8, u8, u8) {
    let list = list(ranges);
    let cdb = unmap(u16::try_from(list.len()).expect("small"));
    rig.run(ALICE, &cdb, &list).code()
}

#[test]
fn zeros_are_one_operation() {
    let mut rig = Rig::new();
    rig.run(ALICE, &write_same16(0, 10, 1000), &[0; BLOCK]);
    rig.run(ALICE, &write_same16(UNMAP, 10, 1000), &[0; BLOCK]);
    rig.run(ALICE, &write_same16(UNMAP | NDOB, 10, 1000), &[]);
    assert_eq!(rig.disk.log, ["zero 10+1000", "zero 10+1000 unmap", "zero 10+1000 unmap"]);
}

#[test]
fn a_pattern_is_written_piece_by_piece_even_with_unmap() {
    let mut rig = Rig::new();
    let pattern: Vec<u8> = (0..=255).chain(0..=255).collect();
    assert_eq!(rig.ask(&write_same10(UNMAP, 1, 130), &pattern).0, Status::GOOD);
    assert_eq!(rig.disk.log, ["write 1+128", "write 129+2"]);
    assert_eq!(rig.blocks(130, 1), pattern);
    assert_eq!(rig.blocks(131, 1), [0; BLOCK]);
}

#[test]
fn no_blocks_stand_for_all_up_to_the_end() {
    let mut rig = Rig::new();
    rig.run(ALICE, &write_same10(0, 4000, 0), &[0; BLOCK]);
    assert_eq!(rig.disk.log, ["zero 4000+96"]);
}

#[test]
fn no_blocks_and_too_many_are_refused_where_there_are_more_than_one_command_may_write() {
    let mut target = target();
    target.unit_mut(0).limits.bytes = 1 << 30;
    let mut rig = Rig::with(target, 8, 64 << 20);
    assert_eq!(rig.run(ALICE, &write_same10(0, 4000, 0), &[0; BLOCK]).code(), (5, 0x24, 0));
    assert_eq!(rig.run(ALICE, &write_same16(0, 0, 0x1_0000), &[0; BLOCK]).pointer(), 10);
}

#[test]
fn deallocating_needs_no_block_to_be_sent() {
    let mut rig = Rig::new();
    assert_eq!(rig.run(ALICE, &write_same16(UNMAP, 8, 16), &[]).code(), (0, 0, 0));
    assert_eq!(rig.disk.log, ["zero 8+16 unmap"]);
    assert_eq!(rig.run(ALICE, &write_same16(0, 8, 16), &[]).code(), (5, 0x24, 0));
    assert_eq!(rig.run(ALICE, &write_same16(UNMAP, 8, 16), &[0; BLOCK / 2]).code(), (5, 0x24, 0));
}

#[test]
fn write_same_wants_exactly_one_block() {
    let mut rig = Rig::new();
    for bytes in [0, BLOCK / 2, 2 * BLOCK] {
        assert_eq!(rig.run(ALICE, &write_same10(0, 0, 1), &vec![0; bytes]).code(), (5, 0x24, 0));
    }
}

#[test]
fn a_store_that_cannot_keep_space_anchors_nothing() {
    let mut rig = Rig::new();
    assert_eq!(rig.run(ALICE, &write_same10(ANCHOR | UNMAP, 0, 1), &[0; BLOCK]).code(), (5, 0x24, 0));
    assert_eq!(rig.run(ALICE, &[0x42, 1, 0, 0, 0, 0, 0, 0, 8, 0], &list(&[])).code(), (5, 0x24, 0));
}

/// A store that can keep space without data in it, and tells how much there is.
fn with_space() -> Rig {
    let mut target = target();
    let limits = &mut target.unit_mut(0).limits;
    limits.unmap = limits.unmap.map(|unmap| UnmapLimits { anchor: true, ..unmap });
    limits.space = true;
    let mut rig = Rig::with(target, 64, 64 << 20);
    rig.disk.space = Space { used: 0, available: 100 << 20 };
    rig
}

#[test]
fn anchored_blocks_keep_their_space() {
    let mut rig = with_space();
    assert_eq!(rig.run(ALICE, &write_same10(ANCHOR | UNMAP, 0, 8), &[0; BLOCK]).code(), (0, 0, 0));
    assert_eq!(rig.run(ALICE, &write_same16(ANCHOR | UNMAP | NDOB, 8, 8), &[]).code(), (0, 0, 0));
    assert_eq!(rig.run(ALICE, &[0x42, 1, 0, 0, 0, 0, 0, 0, 24, 0], &list(&[(16, 8)])).code(), (0, 0, 0));
    assert_eq!(rig.disk.log, ["zero 0+8", "zero 8+8", "zero 16+8"]);
    let reply = rig.run(ALICE, &write_same10(ANCHOR, 0, 8), &[0; BLOCK]);
    assert_eq!((reply.code(), reply.pointer()), ((5, 0x24, 0), 1));
}

#[test]
fn lba_status_tells_of_what_is_asked_for() {
    let mut rig = with_space();
    rig.disk.allocated[8..16].fill(true);
    let mut ask = |report: u8| {
        let mut cdb = get_lba_status(0, 1000);
        cdb[14] = report;
        let reply = rig.run(ALICE, &cdb, &[]);
        let at = |from: usize| reply.data[from + 7];
        match reply.code() {
            (0, 0, 0) => (reply.data.get(7).copied(), (8..reply.data.len()).step_by(16).map(at).collect()),
            _ => (None, Vec::new()),
        }
    };
    assert_eq!(ask(0), (Some(0), vec![0, 8, 16]));
    assert_eq!(ask(1), (Some(1), vec![0, 16]));
    assert_eq!(ask(2), (Some(1), vec![8]));
    assert_eq!(ask(3), (Some(1), vec![0, 16]));
    assert_eq!(ask(4), (Some(1), vec![]));
    assert_eq!(ask(0x10), (Some(1), vec![]));
    assert_eq!(ask(5), (None, vec![]));
}

/// Alice wants to know when 50 MiB are left. Bob is told of it.
fn set_threshold(rig: &mut Rig) {
    let mut list = rig.run(ALICE, &[0x1a, 0x08, 0x1c, 0x02, 255, 0], &[]).data;
    (list[0], list[2]) = (0, 0);
    list[4] &= 0x7f;
    list[4 + 16] |= 0x80;
    list[4 + 20..4 + 24].copy_from_slice(&50u32.to_be_bytes());
    assert_eq!(rig.run(ALICE, &[0x15, 0x10, 0, 0, 36, 0], &list).code(), (0, 0, 0));
    assert_eq!(rig.run(BOB, &TEST_UNIT_READY, &[]).code(), (6, 0x2a, 1));
}

#[test]
fn every_nexus_is_told_once_that_space_runs_out() {
    let mut rig = with_space();
    set_threshold(&mut rig);
    for (available, want) in [(60, (0, 0, 0)), (49, (6, 0x38, 7)), (40, (0, 0, 0))] {
        rig.disk.space.available = available << 20;
        rig.now = rig.now + Duration::from_secs(2);
        rig.run(ALICE, &INQUIRY, &[]);
        assert_eq!(rig.run(ALICE, &read10(0, 1), &[]).code(), want, "{available}");
        assert_eq!(rig.run(BOB, &read10(0, 1), &[]).code(), want, "{available}");
    }
}

#[test]
fn a_host_that_keeps_asking_whether_a_unit_is_ready_is_told_in_time() {
    let mut rig = with_space();
    set_threshold(&mut rig);
    rig.disk.space.available = 40 << 20;
    let mut told = Vec::new();
    for _ in 0..5 {
        rig.now = rig.now + Duration::from_millis(500);
        told.push(rig.run(ALICE, &TEST_UNIT_READY, &[]).code());
    }
    assert!(told.contains(&(6, 0x38, 7)), "{told:?}");
}

#[test]
fn the_log_tells_of_space_in_threshold_sets() {
    let mut rig = with_space();
    rig.disk.space.used = 3 << 20;
    let page = |rig: &mut Rig| rig.run(ALICE, &[0x4d, 0, 0x4c, 0, 0, 0, 0, 0, 255, 0], &[]).data;
    assert_eq!(page(&mut rig).len(), 4);
    rig.now = rig.now + Duration::from_secs(2);
    rig.run(ALICE, &INQUIRY, &[]);
    let mut want = vec![0x8c, 0, 0, 24];
    want.extend([0, 1, 3, 8, 0, 0, 0, 100, 2, 0, 0, 0]);
    want.extend([0, 2, 3, 8, 0, 0, 0, 3, 1, 0, 0, 0]);
    assert_eq!(page(&mut rig), want);
}

#[test]
fn space_is_asked_for_with_the_size_and_once_at_a_time() {
    let mut rig = with_space();
    rig.now = rig.now + Duration::from_secs(2);
    rig.hold = true;
    rig.send(ALICE, &INQUIRY, &[]);
    rig.release();
    rig.now = rig.now + Duration::from_secs(2);
    rig.send(ALICE, &INQUIRY, &[]);
    assert_eq!(rig.held_names(), ["space"]);
    rig.release_all();
    rig.now = rig.now + Duration::from_secs(2);
    rig.send(ALICE, &INQUIRY, &[]);
    assert_eq!(rig.held_names(), ["size"]);
}

#[test]
fn where_nobody_tells_of_space_no_threshold_can_be_set() {
    let mut rig = Rig::new();
    let mask = rig.run(ALICE, &[0x1a, 0x08, 0x5c, 0x02, 255, 0], &[]).data;
    assert_eq!(mask[4..], [&[0xdc, 2, 0, 28][..], &[0; 28]].concat());
}

#[test]
fn a_store_that_cannot_deallocate_refuses_to() {
    let mut target = target();
    target.unit_mut(0).limits.unmap = None;
    let mut rig = Rig::with(target, 8, 64 << 20);
    assert_eq!(rig.run(ALICE, &unmap(24), &list(&[(0, 1)])).code(), (5, 0x20, 0));
    assert_eq!(rig.run(ALICE, &write_same10(UNMAP, 0, 1), &[0; BLOCK]).code(), (5, 0x24, 0));
    assert_eq!(rig.run(ALICE, &write_same10(0, 0, 1), &[0; BLOCK]).code(), (0, 0, 0));
}

#[test]
fn every_range_of_a_list_is_deallocated() {
    let mut rig = Rig::new();
    assert_eq!(unmap_of(&mut rig, &[(0, 8), (100, 0), (4095, 1), (4096, 0)]), (0, 0, 0));
    assert_eq!(rig.disk.log, ["unmap 0+8", "unmap 4095+1"]);
}

#[test]
fn a_list_with_one_bad_range_deallocates_nothing() {
    let mut rig = Rig::new();
    assert_eq!(unmap_of(&mut rig, &[(0, 8), (4095, 2)]), (5, 0x21, 0));
    assert_eq!(unmap_of(&mut rig, &[(0, 1); 257]), (5, 0x26, 0));
    assert!(rig.disk.log.is_empty());
}

#[test]
fn an_empty_list_is_good() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&unmap(0), &[]).0, Status::GOOD);
    assert_eq!(unmap_of(&mut rig, &[]), (0, 0, 0));
    assert_eq!(rig.run(ALICE, &unmap(7), &[0; 7]).code(), (5, 0x1a, 0));
}

#[test]
fn lba_status_tells_run_by_run() {
    let mut rig = Rig::new();
    rig.disk.allocated[8..16].fill(true);
    let data = rig.run(ALICE, &get_lba_status(4, 1000), &[]).data;
    assert_eq!(data.len(), 8 + 3 * 16);
    assert_eq!(data[3], 52);
    let run = |at: usize| (data[8 + 16 * at + 7], data[8 + 16 * at + 11], data[8 + 16 * at + 12]);
    assert_eq!([run(0), run(1)], [(4, 4, 1), (8, 8, 0)]);
    assert_eq!(data[8 + 32 + 12], 1);
}

#[test]
fn a_block_with_a_hole_in_it_is_mapped() {
    let mut target = target();
    target.unit_mut(0).block_bytes = 4096;
    let mut rig = Rig::with(target, 8, 64 << 20);
    // The second half of block 2 and the first of block 5: what lies between is a hole.
    rig.disk.allocated[20..24].fill(true);
    rig.disk.allocated[40..44].fill(true);
    let data = rig.run(ALICE, &get_lba_status(0, 1000), &[]).data;
    let runs: Vec<_> = data[8..].chunks(16).map(|run| (run[7], run[11], run[12])).collect();
    assert_eq!(runs[..4], [(0, 2, 1), (2, 1, 0), (3, 2, 1), (5, 1, 0)]);
}

#[test]
fn a_list_that_is_not_announced_to_its_end_leaves_a_residual() {
    let mut rig = Rig::new();
    for announced in [0, 16] {
        let reply = rig.run(ALICE, &unmap(24), &list(&[(10, 6)])[..announced]);
        assert_eq!((reply.status, reply.transfer_bytes), (Status::GOOD, 24));
    }
    let reply = rig.run(ALICE, &[0x15, 0x10, 0, 0, 24, 0], &[]);
    assert_eq!((reply.status, reply.transfer_bytes), (Status::GOOD, 24));
    assert!(rig.disk.log.is_empty(), "{:?}", rig.disk.log);
}

#[test]
fn lba_status_asks_no_more_than_fits() {
    let mut rig = Rig::new();
    rig.disk.allocated[8..16].fill(true);
    assert_eq!(rig.run(ALICE, &get_lba_status(0, 24), &[]).data.len(), 24);
    assert_eq!(rig.disk.log, ["extent 0"]);
    assert_eq!(rig.run(ALICE, &get_lba_status(4096, 24), &[]).code(), (5, 0x21, 0));
}

#[test]
fn what_the_store_does_not_know_is_mapped() {
    let mut target = target();
    target.unit_mut(0).limits.extents = false;
    let mut rig = Rig::with(target, 8, 64 << 20);
    let data = rig.run(ALICE, &get_lba_status(0, 1000), &[]).data;
    assert_eq!((data.len(), &data[16..21]), (24, &[0, 0, 0x10, 0, 0][..]));
}
