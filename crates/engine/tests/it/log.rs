//! Log pages, as initiators see them.

use crate::cdb::*;
use crate::rig::{ALICE, BOB, Rig};
use felio_spec::Status;

const LOG_CHANGED: (u8, u8, u8) = (6, 0x2a, 2);

fn log_sense(page: u8) -> [u8; 10] {
    [0x4d, 0, 0x40 | page, 0, 0, 0, 0, 0xff, 0xff, 0]
}

/// Number `index` of a page whose first parameter has eight bytes for each.
fn number(rig: &mut Rig, page: u8, index: usize) -> u64 {
    let data = rig.run(ALICE, &log_sense(page), &[]).data;
    u64::from_be_bytes(data[8 + 8 * index..][..8].try_into().expect("eight bytes"))
}

#[test]
fn reads_and_writes_are_counted_with_their_blocks() {
    let mut rig = Rig::new();
    rig.run(ALICE, &write10(0, 3), &[0; 3 * 512]);
    rig.run(BOB, &read10_fua(0, 2), &[]);
    rig.run(BOB, &read10(0, 5), &[]);
    let general: Vec<u64> = (0..4).map(|at| number(&mut rig, 0x19, at)).collect();
    assert_eq!(general, [2, 1, 3, 7]); // reads, writes, received, transmitted
    let data = rig.run(ALICE, &log_sense(0x19), &[]).data;
    assert_eq!(data[76..84], 1u64.to_be_bytes()); // behind the second parameter's header: reads with FUA
}

#[test]
fn a_reset_is_told_to_everybody_else() {
    let mut rig = Rig::new();
    rig.run(ALICE, &read10(0, 5), &[]);
    assert_eq!(rig.ask(&[0x4c, 2, 0, 0, 0, 0, 0, 0, 0, 0], &[]).0, Status::GOOD);
    assert_eq!(number(&mut rig, 0x19, 0), 0);
    assert_eq!(rig.run(BOB, &TEST_UNIT_READY, &[]).code(), LOG_CHANGED);
    assert_eq!(rig.ask(&TEST_UNIT_READY, &[]).0, Status::GOOD);
}

#[test]
fn what_alice_notes_bob_can_read() {
    let mut rig = Rig::new();
    let list = [&[0x0f, 0, 1, 0][..], &[0, 9, 3, 252], &[0xaa; 252]].concat();
    assert_eq!(rig.ask(&[0x4c, 0, 0x40, 0, 0, 0, 0, 1, 4, 0], &list).0, Status::GOOD);
    assert_eq!(rig.run(BOB, &TEST_UNIT_READY, &[]).code(), LOG_CHANGED);
    let data = rig.run(BOB, &[0x4d, 0, 0x4f, 0, 0, 0, 9, 1, 4, 0], &[]).data;
    assert_eq!(data[4..], list[4..]);
}

#[test]
fn log_parameters_are_not_saved() {
    let mut rig = Rig::new();
    assert_eq!(rig.run(ALICE, &[0x4c, 1, 0, 0, 0, 0, 0, 0, 0, 0], &[]).pointer(), 1);
    assert_eq!(rig.run(ALICE, &[0x4d, 1, 0x40, 0, 0, 0, 0, 0, 0, 0], &[]).pointer(), 1);
}

#[test]
fn groups_are_counted_apart_and_in_the_whole() {
    let mut rig = Rig::new();
    let in_group = |mut cdb: [u8; 10], group: u8| {
        cdb[6] = group;
        cdb
    };
    rig.run(ALICE, &in_group(read10(0, 5), 3), &[]);
    rig.run(ALICE, &in_group(write10(0, 1), 3), &[0; 512]);
    rig.run(ALICE, &in_group(read10(0, 2), 40), &[]); // SBC-4 has more groups than there are pages.
    let group = |rig: &mut Rig, number: u8| {
        let data = rig.run(ALICE, &[0x4d, 0, 0x59, number, 0, 0, 0, 0xff, 0xff, 0], &[]).data;
        let number = |at: usize| u64::from_be_bytes(data[8 + 8 * at..][..8].try_into().expect("eight bytes"));
        [0, 1, 2, 3].map(number)
    };
    assert_eq!(group(&mut rig, 3), [1, 1, 1, 5]);
    assert_eq!(group(&mut rig, 4), [0; 4]);
    assert_eq!(group(&mut rig, 0), [2, 1, 1, 7]);
    assert_eq!(rig.ask(&[0x4c, 2, 0x59, 3, 0, 0, 0, 0, 0, 0], &[]).0, Status::GOOD);
    assert_eq!((group(&mut rig, 3), group(&mut rig, 0)), ([0; 4], [2, 1, 1, 7]));
}

#[test]
fn starts_are_counted_and_only_those_after_a_stop() {
    let mut rig = Rig::new();
    for cdb in [START, STOP, START, STOP, STOP, START] {
        rig.run(ALICE, &cdb, &[]);
    }
    assert_eq!(rig.run(ALICE, &log_sense(0x0e), &[]).data[4..], [0, 4, 3, 4, 0, 0, 0, 2]);
}
