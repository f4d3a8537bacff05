//! Media that initiators eject, load, and want to stay.

use crate::cdb::*;
use crate::rig::{ALICE, BOB, Rig, target};
use felio_hal::NexusId;
use felio_spec::status::TaskManagementFunction as Function;

const LOAD: [u8; 6] = [0x1b, 0, 0, 0, 3, 0];
const EJECT: [u8; 6] = [0x1b, 0, 0, 0, 2, 0];
const PREVENT: [u8; 6] = [0x1e, 0, 0, 0, 1, 0];
const ALLOW: [u8; 6] = [0x1e, 0, 0, 0, 0, 0];

const GOOD: (u8, u8, u8) = (0, 0, 0);
const NO_MEDIUM: (u8, u8, u8) = (2, 0x3a, 0);
const PREVENTED: (u8, u8, u8) = (5, 0x53, 2);
const MEDIUM_MAY_HAVE_CHANGED: (u8, u8, u8) = (6, 0x28, 0);

fn rig() -> Rig {
    let mut target = target();
    target.unit_mut(0).removable = true;
    Rig::with(target, 64, 64 << 20)
}

/// Alice wants the medium to stay; `then` happens; Bob tries to eject it.
fn check_prevention(then: impl FnOnce(&mut Rig), want: (u8, u8, u8)) {
    let mut rig = rig();
    assert_eq!(rig.run(ALICE, &PREVENT, &[]).code(), GOOD);
    then(&mut rig);
    rig.run(BOB, &REQUEST_SENSE, &[]);
    assert_eq!(rig.run(BOB, &EJECT, &[]).code(), want);
}

fn manage(function: Function) -> impl FnOnce(&mut Rig) {
    move |rig| {
        rig.manage(ALICE, function, None);
    }
}

fn lose(nexus: NexusId) -> impl FnOnce(&mut Rig) {
    move |rig| rig.lose(nexus)
}

#[test]
fn what_can_be_removed_says_so() {
    assert_eq!(rig().run(ALICE, &INQUIRY, &[]).data[1], 0x80);
    assert_eq!(Rig::new().run(ALICE, &INQUIRY, &[]).data[1], 0);
}

#[test]
fn an_ejected_medium_is_flushed_and_gone() {
    let mut rig = rig();
    assert_eq!(rig.run(ALICE, &EJECT, &[]).code(), GOOD);
    assert_eq!(rig.disk.log, ["flush"]);
    for cdb in [&TEST_UNIT_READY[..], &read10(0, 1), &START] {
        assert_eq!(rig.run(BOB, cdb, &[]).code(), NO_MEDIUM, "{cdb:x?}");
    }
    assert_eq!(rig.run(BOB, &REQUEST_SENSE, &[]).data[2], 2);
    for cdb in [EJECT, STOP] {
        assert_eq!(rig.run(ALICE, &cdb, &[]).code(), GOOD);
    }
    assert_eq!(rig.run(ALICE, &TEST_UNIT_READY, &[]).code(), NO_MEDIUM);
}

#[test]
fn all_but_the_one_who_loads_a_medium_are_told_of_it() {
    let mut rig = rig();
    rig.run(ALICE, &EJECT, &[]);
    rig.run(ALICE, &LOAD, &[]);
    assert_eq!(rig.run(ALICE, &TEST_UNIT_READY, &[]).code(), GOOD);
    assert_eq!(rig.run(BOB, &TEST_UNIT_READY, &[]).code(), MEDIUM_MAY_HAVE_CHANGED);
    assert_eq!(rig.run(BOB, &TEST_UNIT_READY, &[]).code(), GOOD);
    rig.run(ALICE, &LOAD, &[]);
    assert_eq!(rig.run(BOB, &TEST_UNIT_READY, &[]).code(), GOOD);
}

#[test]
fn a_reset_does_not_bring_an_ejected_medium_back() {
    let mut rig = rig();
    rig.run(ALICE, &EJECT, &[]);
    rig.manage(ALICE, Function::LogicalUnitReset, None);
    rig.run(ALICE, &REQUEST_SENSE, &[]);
    assert_eq!(rig.run(ALICE, &TEST_UNIT_READY, &[]).code(), NO_MEDIUM);
}

#[test]
fn what_one_nexus_prevents_no_other_does() {
    check_prevention(|_| {}, PREVENTED);
    check_prevention(|rig| assert_eq!(rig.run(ALICE, &EJECT, &[]).code(), PREVENTED), PREVENTED);
    check_prevention(|rig| assert_eq!(rig.run(BOB, &LOAD, &[]).code(), PREVENTED), PREVENTED);
    check_prevention(|rig| assert_eq!(rig.run(BOB, &ALLOW, &[]).code(), GOOD), PREVENTED);
}

#[test]
fn prevention_ends_once_as_it_began() {
    let twice_then_allow = |rig: &mut Rig| {
        rig.run(ALICE, &PREVENT, &[]);
        rig.run(ALICE, &ALLOW, &[]);
    };
    check_prevention(twice_then_allow, GOOD);
}

#[test]
fn prevention_ends_with_its_nexus() {
    check_prevention(lose(ALICE), GOOD);
    check_prevention(manage(Function::ITNexusReset), GOOD);
}

#[test]
fn prevention_ends_with_a_reset() {
    check_prevention(manage(Function::LogicalUnitReset), GOOD);
    check_prevention(manage(Function::TargetWarmReset), GOOD);
    check_prevention(manage(Function::TargetColdReset), GOOD);
}
