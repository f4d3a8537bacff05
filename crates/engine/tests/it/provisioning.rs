//! WRITE SAME, UNMAP, GET LBA STATUS.

use crate::cdb::*;
use crate::rig::{ALICE, BLOCK, Rig, target};
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
    target.units[0].limits.bytes = 1 << 30;
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
fn blocks_are_never_anchored() {
    let mut rig = Rig::new();
    assert_eq!(rig.run(ALICE, &write_same10(ANCHOR | UNMAP, 0, 1), &[0; BLOCK]).code(), (5, 0x24, 0));
    assert_eq!(rig.run(ALICE, &[0x42, 1, 0, 0, 0, 0, 0, 0, 8, 0], &list(&[])).code(), (5, 0x24, 0));
}

#[test]
fn a_store_that_cannot_deallocate_refuses_to() {
    let mut target = target();
    target.units[0].limits.unmap = None;
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
    target.units[0].limits.extents = false;
    let mut rig = Rig::with(target, 8, 64 << 20);
    let data = rig.run(ALICE, &get_lba_status(0, 1000), &[]).data;
    assert_eq!((data.len(), &data[16..21]), (24, &[0, 0, 0x10, 0, 0][..]));
}
