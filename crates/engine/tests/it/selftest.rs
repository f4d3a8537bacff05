//! Self-tests, in the foreground and in the background.

use crate::cdb::*;
use crate::rig::{ALICE, BLOCKS, BOB, Rig};
use felio_hal::store::Failure;
use felio_spec::Status;
use felio_spec::status::TaskManagementFunction;

const DEFAULT: [u8; 6] = [0x1d, 0x04, 0, 0, 0, 0];
const ABORT: u8 = 4;

/// A self-test by its code.
const fn test(code: u8) -> [u8; 6] {
    [0x1d, code << 5, 0, 0, 0, 0]
}

/// Code and result of the latest tests.
fn results(rig: &mut Rig) -> Vec<(u8, u8)> {
    let data = rig.run(BOB, &[0x4d, 0, 0x50, 0, 0, 0, 0, 0xff, 0xff, 0], &[]).data;
    assert_eq!(data.len(), 4 + 20 * 20);
    let parameters = data[4..].chunks_exact(20).map(|parameter| (parameter[4] >> 5, parameter[4] & 15));
    parameters.take_while(|found| *found != (0, 0)).collect()
}

#[test]
fn the_default_test_reads_a_sample() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&DEFAULT, &[]).0, Status::GOOD);
    assert_eq!(rig.disk.log.len(), 16);
    assert_eq!((&rig.disk.log[0][..], &rig.disk.log[15][..]), ("read 0+128", "read 3968+128"));
    assert_eq!(results(&mut rig), []);
}

#[test]
fn a_test_in_the_foreground_is_answered_when_it_is_over() {
    let mut rig = Rig::new();
    rig.hold = true;
    let tag = rig.send(ALICE, &test(5), &[]);
    assert_eq!(rig.run(BOB, &REQUEST_SENSE, &[]).status, Status::GOOD);
    for _ in 0..16 {
        assert_eq!(rig.reply(tag), None);
        rig.release();
    }
    assert_eq!(rig.reply(tag).expect("the test is over").status, Status::GOOD);
    assert_eq!(results(&mut rig), [(5, 0)]);
}

#[test]
fn a_bad_block_fails_the_test_and_is_named() {
    let mut rig = Rig::new();
    rig.hold = true;
    let tag = rig.send(ALICE, &test(6), &[]);
    rig.release();
    rig.disk.failure = Some(Failure::Medium(None));
    rig.release();
    assert_eq!(rig.reply(tag).expect("the test is over").code(), (4, 0x3e, 3));
    let data = rig.run(ALICE, &[0x4d, 0, 0x50, 0, 0, 0, 0, 0, 24, 0], &[]).data;
    let pieces = BLOCKS / 128;
    let second = (BLOCKS - 128) / (pieces - 1);
    assert_eq!(data[4..10], [0, 1, 3, 16, 0xc7, 1]);
    assert_eq!(data[12..20], second.to_be_bytes());
    assert_eq!(data[20..23], [3, 0x11, 0]);
}

#[test]
fn a_test_in_the_background_outlives_its_command_and_its_nexus() {
    let mut rig = Rig::new();
    rig.hold = true;
    let tag = rig.send(ALICE, &test(1), &[]);
    assert_eq!(rig.reply(tag).expect("it has begun").status, Status::GOOD);
    rig.lose(ALICE);
    let sense = rig.run(BOB, &REQUEST_SENSE, &[]).data;
    assert_eq!((sense[2], sense[12], sense[13], sense[15] & 0x80), (2, 4, 9, 0x80));
    assert_eq!(results(&mut rig), [(1, 15)]);
    assert_eq!(rig.run(BOB, &test(5), &[]).code(), (2, 4, 9));
    rig.release_all();
    assert_eq!(results(&mut rig), [(1, 0)]);
    assert_eq!(rig.run(BOB, &REQUEST_SENSE, &[]).data[2], 0);
}

#[test]
fn a_test_in_the_background_can_be_aborted_and_another_begun() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&test(ABORT), &[]).1, (5, 0x24, 0));
    rig.hold = true;
    rig.send(ALICE, &test(2), &[]);
    assert_eq!(rig.run(BOB, &test(ABORT), &[]).status, Status::GOOD);
    rig.send(ALICE, &test(1), &[]);
    assert_eq!(rig.held.len(), 2);
    rig.release(); // What the aborted one has read is nobody's.
    assert_eq!((rig.held.len(), results(&mut rig)), (1, vec![(1, 15), (2, 1)]));
    rig.release_all();
    assert_eq!(results(&mut rig), [(1, 0), (2, 1)]);
}

#[test]
fn a_reset_interrupts_the_test() {
    let mut rig = Rig::new();
    rig.hold = true;
    rig.send(ALICE, &test(1), &[]);
    rig.manage(BOB, TaskManagementFunction::LogicalUnitReset, None);
    rig.release_all();
    rig.run(BOB, &TEST_UNIT_READY, &[]);
    rig.release_all();
    rig.hold = false;
    assert_eq!(results(&mut rig), [(1, 2)]);
}

#[test]
fn codes_and_lists_that_make_no_sense_are_refused() {
    let mut rig = Rig::new();
    for cdb in [test(3), test(7), [0x1d, 0x24, 0, 0, 0, 0]] {
        assert_eq!(rig.run(ALICE, &cdb, &[]).pointer(), 1);
    }
    assert_eq!(rig.run(ALICE, &[0x1d, 0x04, 0, 0, 4, 0], &[0; 4]).pointer(), 3);
    assert_eq!(rig.run(ALICE, &[0x1d, 0, 0, 0, 4, 0], &[0; 4]).pointer(), 1);
    assert_eq!(rig.ask(&[0x1d, 0x10, 0, 0, 4, 0], &[0x40, 0, 0, 0]).1, (5, 0x26, 0));
    assert_eq!(rig.ask(&[0x1d, 0x10, 0, 0, 2, 0], &[0, 0]).1, (5, 0x1a, 0));
}

#[test]
fn the_list_of_diagnostic_pages_is_the_only_one() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&[0x1d, 0x10, 0, 0, 4, 0], &[0; 4]).0, Status::GOOD);
    assert_eq!(rig.run(ALICE, &[0x1c, 1, 0, 0, 255, 0], &[]).data, [0, 0, 0, 1, 0]);
    assert_eq!(rig.run(ALICE, &[0x1c, 1, 0x40, 0, 255, 0], &[]).pointer(), 2);
}
