//! CDBs of 32 bytes.

use crate::cdb::*;
use crate::rig::{ALICE, BLOCK, Rig, index};
use felio_spec::Status;

/// Status and sense code.
type Answer = (Status, (u8, u8, u8));

const GOOD: Answer = (Status::GOOD, (0, 0, 0));
const INVALID_FIELD: Answer = (Status::CHECK_CONDITION, (5, 0x24, 0));
const OTHER_GENERATION: Answer = (Status::CHECK_CONDITION, (5, 0x2c, 0x0c));

const READ: u16 = 0x09;
const VERIFY: u16 = 0x0a;
const WRITE: u16 = 0x0b;
const WRITE_AND_VERIFY: u16 = 0x0c;
const WRITE_SAME: u16 = 0x0d;
const ORWRITE: u16 = 0x0e;

/// ORWRITE (32) of a block: sets bits.
fn set(expected: u32) -> [u8; 32] {
    let mut cdb = thirty_two(ORWRITE, 0, 0, 1);
    cdb[20..24].copy_from_slice(&expected.to_be_bytes());
    cdb
}

/// ORWRITE (32) of a block: clears bits and begins a generation.
fn clear(expected: u32, new: u32, policy: u8) -> [u8; 32] {
    let mut cdb = set(expected);
    cdb[2] = 0b001;
    cdb[3] = policy;
    cdb[24..28].copy_from_slice(&new.to_be_bytes());
    cdb
}

#[test]
fn what_was_written_is_read() {
    let mut rig = Rig::new();
    let data = [7; 2 * BLOCK];
    assert_eq!(rig.ask(&thirty_two(WRITE, 0, 5, 2), &data), GOOD);
    assert_eq!(rig.run(ALICE, &thirty_two(READ, 0, 5, 2), &[]).data, data);
    assert_eq!(rig.ask(&thirty_two(VERIFY, 0x02, 5, 2), &data), GOOD);
    assert_eq!(rig.ask(&thirty_two(VERIFY, 0x02, 6, 2), &data).1, (0xe, 0x1d, 0));
}

#[test]
fn write_and_verify_reads_what_is_on_the_medium() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&thirty_two(WRITE_AND_VERIFY, 0x02, 3, 1), &[9; BLOCK]), GOOD);
    assert_eq!(rig.disk.log, ["write 3+1 durable", "read 3+1"]);
}

#[test]
fn write_same_repeats_its_block() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&thirty_two(WRITE_SAME, 0, 8, 4), &[3; BLOCK]), GOOD);
    assert_eq!(rig.blocks(8, 4), [3; 4 * BLOCK]);
    assert_eq!(rig.ask(&thirty_two(WRITE_SAME, 0x01, 9, 2), &[]), GOOD);
    assert_eq!(rig.blocks(9, 2), [0; 2 * BLOCK]);
}

#[test]
fn the_address_has_eight_bytes() {
    let mut rig = Rig::new();
    let reply = rig.run(ALICE, &thirty_two(READ, 0, 1 << 40, 1), &[]);
    assert_eq!(reply.code(), (5, 0x21, 0));
}

#[test]
fn another_length_is_refused() {
    let mut rig = Rig::new();
    for action in READ..=ORWRITE {
        let mut cdb = thirty_two(action, 0, 0, 0);
        cdb[7] = 0x10;
        let reply = rig.run(ALICE, &cdb, &[]);
        assert_eq!((reply.code(), reply.pointer()), ((5, 0x24, 0), 7), "{action:x}");
    }
    assert_eq!(rig.ask(&thirty_two(READ, 0, 0, 1)[..16], &[]), INVALID_FIELD);
}

#[test]
fn another_service_action_is_refused() {
    let mut rig = Rig::new();
    let reply = rig.run(ALICE, &thirty_two(0x7ff, 0, 0, 1), &[]);
    assert_eq!((reply.code(), reply.pointer()), ((5, 0x24, 0), 8));
}

#[test]
fn they_are_told_with_their_usage() {
    let mut rig = Rig::new();
    let reply = rig.run(ALICE, &[0xa3, 0x0c, 2, 0x7f, 0, 0x09, 0, 0, 1, 0, 0, 0], &[]);
    let mut want = vec![0, 3, 0, 32, 0x7f, 0x04, 0, 0, 0, 0, 0x3f, 0xff, 0, 0x09, 0x1a, 0];
    want.extend([0xff; 20]);
    assert_eq!(reply.data, want);
}

#[test]
fn orwrite_sets_bits_and_a_new_generation_clears_them() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&set(0), &[0b0110; BLOCK]), GOOD);
    assert_eq!(rig.ask(&clear(0, 1, 0x7), &[0b0011; BLOCK]), GOOD);
    assert_eq!(rig.blocks(0, 1), [0b0010; BLOCK]);
    assert_eq!(rig.ask(&clear(0, 1, 0x7), &[0; BLOCK]), OTHER_GENERATION);
}

/// Generation 1 is current, 0 is previous: what becomes of operations that expect 1, 0 and 9; and whether bits were set.
fn check(policy: u8, want: [(Answer, bool); 3]) {
    for (expected, (answer, is_set)) in [1, 0, 9].into_iter().zip(want) {
        let mut rig = Rig::new();
        rig.run(ALICE, &clear(0, 1, policy), &[0; BLOCK]);
        assert_eq!(rig.ask(&set(expected), &[1; BLOCK]), answer, "policy {policy}, expected {expected}");
        assert_eq!(rig.disk.bytes[index(0)] == 1, is_set, "policy {policy}, expected {expected}");
    }
}

#[test]
fn the_policy_says_what_becomes_of_who_expects_another_generation() {
    let (done, lost, refused) = ((GOOD, true), (GOOD, false), (OTHER_GENERATION, false));
    check(0x0, [done, done, refused]);
    check(0x2, [done, lost, refused]);
    check(0x3, [done, done, done]);
    check(0x5, [done, lost, lost]);
    check(0x7, [done, refused, refused]);
}

#[test]
fn orwrite_of_sixteen_bytes_expects_generation_zero() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&orwrite16(0, 1), &[1; BLOCK]), GOOD);
    rig.run(ALICE, &clear(0, 1, 0x7), &[1; BLOCK]);
    assert_eq!(rig.ask(&orwrite16(0, 1), &[1; BLOCK]), OTHER_GENERATION);
}

#[test]
fn a_reset_leaves_the_generation_alone() {
    let mut rig = Rig::new();
    rig.run(ALICE, &clear(0, 1, 0x7), &[0; BLOCK]);
    rig.manage(ALICE, felio_spec::TaskManagementFunction::LogicalUnitReset, None);
    rig.run(ALICE, &TEST_UNIT_READY, &[]);
    assert_eq!(rig.ask(&set(0), &[1; BLOCK]), OTHER_GENERATION);
}

#[test]
fn a_failed_clear_begins_no_generation() {
    let mut rig = Rig::new();
    rig.disk.failure = Some(felio_hal::store::Failure::Medium(None));
    rig.run(ALICE, &clear(0, 1, 0x7), &[0; BLOCK]);
    assert_eq!(rig.ask(&set(0), &[1; BLOCK]), GOOD);
}

#[test]
fn reserved_operations_and_policies_are_refused() {
    let mut rig = Rig::new();
    let mut cdb = clear(0, 1, 0x1);
    let reply = rig.run(ALICE, &cdb, &[0; BLOCK]);
    assert_eq!((reply.code(), reply.pointer()), ((5, 0x24, 0), 3));
    cdb[2] = 0b010;
    let reply = rig.run(ALICE, &cdb, &[0; BLOCK]);
    assert_eq!((reply.code(), reply.pointer()), ((5, 0x24, 0), 2));
}
