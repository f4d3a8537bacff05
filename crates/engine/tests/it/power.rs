//! Power conditions: what REQUEST SENSE tells of a unit that has nothing to do.

use crate::cdb::*;
use crate::rig::{ALICE, BOB, Code, Rig};
use core::time::Duration;

const IDLE_B: [u8; 6] = [0x1b, 0, 0, 1, 0x20, 0];
const STANDBY: [u8; 6] = [0x1b, 0, 0, 0, 0x30, 0];
const LU_CONTROL: [u8; 6] = [0x1b, 0, 0, 0, 0x70, 0];
const FORCE_STANDBY: [u8; 6] = [0x1b, 0, 0, 0, 0xb0, 0];

fn sense(rig: &mut Rig) -> Code {
    let data = rig.run(BOB, &REQUEST_SENSE, &[]).data;
    (data[2], data[12], data[13])
}

/// IDLE_A after ten seconds, for which the others are told that the mode changed.
fn set_timer(rig: &mut Rig) {
    let mut list = rig.run(ALICE, &[0x1a, 0x08, 0x1a, 0, 255, 0], &[]).data;
    (list[0], list[2]) = (0, 0);
    list[4] &= 0x3f;
    list[7] |= 0x02;
    list[8..12].copy_from_slice(&100u32.to_be_bytes());
    assert_eq!(rig.run(ALICE, &[0x15, 0x10, 0, 0, 44, 0], &list).code(), (0, 0, 0));
    assert_eq!(sense(rig), (6, 0x2a, 1));
}

fn pass(rig: &mut Rig, seconds: u64) {
    rig.now = rig.now + Duration::from_secs(seconds);
}

#[test]
fn a_commanded_condition_is_told_until_the_medium_is_used() {
    let mut rig = Rig::new();
    assert_eq!(rig.run(ALICE, &IDLE_B, &[]).code(), (0, 0, 0));
    assert_eq!(sense(&mut rig), (0, 0x5e, 6));
    assert_eq!(rig.run(ALICE, &STANDBY, &[]).code(), (0, 0, 0));
    assert_eq!(rig.run(ALICE, &TEST_UNIT_READY, &[]).code(), (0, 0, 0));
    assert_eq!(sense(&mut rig), (0, 0x5e, 4));
    pass(&mut rig, 1);
    assert_eq!(rig.run(ALICE, &read10(0, 1), &[]).code(), (0, 0, 0));
    assert_eq!(sense(&mut rig), (0, 0, 0));
}

#[test]
fn timers_run_from_the_last_use_on() {
    let mut rig = Rig::new();
    set_timer(&mut rig);
    pass(&mut rig, 5);
    rig.run(ALICE, &read10(0, 1), &[]);
    pass(&mut rig, 9);
    assert_eq!(sense(&mut rig), (0, 0, 0));
    pass(&mut rig, 1);
    assert_eq!(sense(&mut rig), (0, 0x5e, 1));
    rig.run(ALICE, &read10(0, 1), &[]);
    assert_eq!(sense(&mut rig), (0, 0, 0));
}

#[test]
fn timers_are_off_until_the_unit_has_control_again() {
    let mut rig = Rig::new();
    set_timer(&mut rig);
    rig.run(ALICE, &STANDBY, &[]);
    pass(&mut rig, 1);
    rig.run(ALICE, &read10(0, 1), &[]);
    pass(&mut rig, 60);
    assert_eq!(sense(&mut rig), (0, 0, 0));
    rig.run(ALICE, &LU_CONTROL, &[]);
    pass(&mut rig, 10);
    assert_eq!(sense(&mut rig), (0, 0x5e, 1));
    rig.run(ALICE, &FORCE_STANDBY, &[]);
    assert_eq!(sense(&mut rig), (0, 0x5e, 2));
}

#[test]
fn a_power_condition_starts_a_stopped_unit() {
    let mut rig = Rig::new();
    rig.run(ALICE, &STOP, &[]);
    rig.run(ALICE, &STANDBY, &[]);
    assert_eq!(rig.run(ALICE, &read10(0, 1), &[]).code(), (0, 0, 0));
}
