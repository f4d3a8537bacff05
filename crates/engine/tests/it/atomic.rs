//! WRITE ATOMIC, and the commands that once moved heads.

use crate::cdb::*;
use crate::rig::{ALICE, BLOCK, Rig, target};
use felio_hal::store::AtomicLimits;

const INVALID_FIELD: (u8, u8, u8) = (5, 0x24, 0);

/// Writes of 4 to 32 blocks, in steps of 4, at multiples of 8.
fn rig() -> Rig {
    let mut target = target();
    target.unit_mut(0).limits.atomic =
        Some(AtomicLimits { bytes_max: 16 << 10, granularity_bytes: 2048, alignment_bytes: 4096 });
    Rig::with(target, 64, 64 << 20)
}

fn write(rig: &mut Rig, lba: u64, boundary: u16, blocks: u16) -> ((u8, u8, u8), u16) {
    let reply = rig.run(ALICE, &write_atomic16(lba, boundary, blocks), &vec![3; usize::from(blocks) * BLOCK]);
    (reply.code(), if reply.sense.is_empty() { 0 } else { reply.pointer() })
}

#[test]
fn an_atomic_write_is_one_operation() {
    let mut rig = rig();
    assert_eq!(write(&mut rig, 8, 0, 32).0, (0, 0, 0));
    assert_eq!(write(&mut rig, 8, 4, 32).0, (0, 0, 0));
    assert_eq!(rig.disk.log, ["write atomic 8+32", "write atomic 8+32"]);
    assert_eq!(rig.blocks(39, 1), [3; BLOCK]);
}

#[test]
fn what_the_store_cannot_do_as_one_step_is_refused() {
    let mut rig = rig();
    assert_eq!(write(&mut rig, 8, 0, 36), (INVALID_FIELD, 12));
    assert_eq!(write(&mut rig, 8, 0, 5), (INVALID_FIELD, 12));
    assert_eq!(write(&mut rig, 4, 0, 4), (INVALID_FIELD, 2));
    assert_eq!(write(&mut rig, 8, 36, 4), (INVALID_FIELD, 10));
    assert_eq!(write(&mut rig, 4096, 0, 4).0, (5, 0x21, 0));
    assert!(rig.disk.log.is_empty());
}

#[test]
fn too_little_data_write_nothing() {
    let mut rig = rig();
    assert_eq!(rig.run(ALICE, &write_atomic16(8, 0, 8), &[1; 4 * BLOCK]).code(), (5, 0x0e, 3));
    assert!(rig.disk.log.is_empty());
}

#[test]
fn no_reader_sees_a_part_of_an_atomic_write() {
    let mut rig = rig();
    rig.hold = true;
    rig.send(ALICE, &write_atomic16(8, 0, 8), &[1; 8 * BLOCK]);
    rig.send(ALICE, &read10(15, 1), &[]);
    rig.send(ALICE, &read10(16, 1), &[]);
    assert_eq!(rig.held_names(), ["write atomic 8+8", "read 16+1"]);
    rig.release_all();
}

#[test]
fn limits_of_atomic_writes_are_told() {
    let data = rig().run(ALICE, &[0x12, 1, 0xb0, 0, 64, 0], &[]).data;
    let number = |at: usize| u32::from_be_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]]);
    assert_eq!([44, 48, 52, 56, 60].map(number), [32, 8, 4, 32, 32]);
}

#[test]
fn a_store_that_writes_nothing_as_one_step_does_not_know_the_command() {
    let mut rig = Rig::new();
    assert_eq!(write(&mut rig, 0, 0, 1).0, (5, 0x20, 0));
    assert_eq!(rig.run(ALICE, &[0x12, 1, 0xb0, 0, 64, 0], &[]).data[44..64], [0; 20]);
}

#[test]
fn nothing_moves_but_addresses_are_checked() {
    let mut rig = Rig::new();
    assert_eq!(rig.run(ALICE, &[0x01, 0, 0, 0, 0, 0], &[]).code(), (0, 0, 0));
    assert_eq!(rig.run(ALICE, &[0x0b, 0, 0x0f, 0xff, 0, 0], &[]).code(), (0, 0, 0));
    assert_eq!(rig.run(ALICE, &[0x2b, 0, 0, 0, 0x10, 0, 0, 0, 0, 0], &[]).code(), (5, 0x21, 0));
    rig.run(ALICE, &STOP, &[]);
    assert_eq!(rig.run(ALICE, &[0x01, 0, 0, 0, 0, 0], &[]).code(), (2, 4, 2));
}
