//! Mode pages, as initiators see them.

use crate::cdb::*;
use crate::rig::{ALICE, BOB, Rig, target};
use felio_hal::state::Saved;
use felio_hal::store::Failure;
use felio_spec::Status;

const MODE_CHANGED: (u8, u8, u8) = (6, 0x2a, 1);
const NOTHING: (u8, u8, u8) = (0, 0, 0);
const SAVE: u8 = 0x11;
const CHANGE: u8 = 0x10;

const PROTECT: [u8; 16] = [0, 0, 0, 0, 10, 10, 2, 0x10, 8, 0x40, 0, 0, 0xff, 0xff, 0, 60];

fn select(flags: u8, list: &[u8]) -> [u8; 6] {
    [0x15, flags, 0, 0, list.len().try_into().expect("short"), 0]
}

fn sense(control: u8, page: u8) -> [u8; 6] {
    [0x1a, 8, control << 6 | page, 0, 255, 0]
}

/// SWP of the control page.
fn protected(rig: &mut Rig, control: u8) -> bool {
    rig.run(ALICE, &sense(control, 10), &[]).data[8] & 8 != 0
}

/// A rig with what another one saved.
fn reborn(rig: &Rig) -> Rig {
    let mut target = target();
    let saved = rig.disk.saved.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.clone()));
    target.unit_mut(0).saved = Saved(saved.collect());
    Rig::with(target, 64, 64 << 20)
}

#[test]
fn what_is_not_saved_ends_with_the_process() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&select(CHANGE, &PROTECT), &PROTECT).0, Status::GOOD);
    assert_eq!([0, 2, 3].map(|control| protected(&mut rig, control)), [true, false, false]);
    assert!(!protected(&mut reborn(&rig), 0));
}

#[test]
fn what_is_saved_outlives_the_process() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&select(SAVE, &PROTECT), &PROTECT).0, Status::GOOD);
    assert_eq!(rig.disk.log, ["save mode"]);
    let mut rig = reborn(&rig);
    assert_eq!([0, 2, 3].map(|control| protected(&mut rig, control)), [true, false, true]);
    assert_eq!(rig.ask(&write10(0, 1), &[0; 512]).1, (7, 0x27, 2));
}

#[test]
fn it_is_saved_before_it_takes_effect_and_before_it_is_answered() {
    let mut rig = Rig::new();
    rig.hold = true;
    let tag = rig.send(ALICE, &select(SAVE, &PROTECT), &PROTECT);
    assert_eq!((rig.reply(tag), rig.held_names()), (None, vec!["save mode".into()]));
    let later = rig.send(BOB, &sense(0, 10), &[]);
    assert_eq!(rig.reply(later).expect("MODE SENSE need not wait").data[8] & 8, 0);
    rig.release();
    assert_eq!(rig.reply(tag).expect("saved").status, Status::GOOD);
    assert_eq!(rig.run(BOB, &TEST_UNIT_READY, &[]).code(), MODE_CHANGED);
}

#[test]
fn what_cannot_be_saved_does_not_take_effect() {
    let mut rig = Rig::new();
    rig.disk.failure = Some(Failure::Other(5));
    assert_eq!(rig.ask(&select(SAVE, &PROTECT), &PROTECT).1, (4, 0x44, 0));
    assert_eq!([0, 3].map(|control| protected(&mut rig, control)), [false, false]);
    assert_eq!(rig.run(BOB, &TEST_UNIT_READY, &[]).code(), NOTHING);
}

#[test]
fn without_a_place_for_it_saving_is_refused() {
    let mut target = target();
    target.unit_mut(0).limits.state = false;
    let mut rig = Rig::with(target, 64, 64 << 20);
    let reply = rig.run(ALICE, &select(SAVE, &PROTECT), &PROTECT);
    assert_eq!((reply.code(), reply.pointer()), ((5, 0x24, 0), 1));
    assert_eq!(rig.ask(&sense(3, 10), &[]).1, (5, 0x39, 0));
}

#[test]
fn a_cache_that_is_turned_off_and_saved_is_flushed_after_that() {
    let mut rig = Rig::new();
    let list = [0, 0, 0, 0, 8, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(rig.ask(&select(SAVE, &list), &list).0, Status::GOOD);
    assert_eq!(rig.disk.log, ["save mode", "flush"]);
    let mut rig = reborn(&rig);
    rig.run(ALICE, &write10(0, 1), &[0; 512]);
    assert_eq!(rig.disk.log, ["write 0+1 durable"]);
}

#[test]
fn a_false_exception_is_a_unit_attention_for_everybody() {
    let mut rig = Rig::new();
    let list = [0, 0, 0, 0, 0x1c, 10, 4, 2, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(rig.ask(&select(CHANGE, &list), &list).0, Status::GOOD);
    assert_eq!(rig.ask(&TEST_UNIT_READY, &[]).1, (6, 0x5d, 0xff));
    assert_eq!(rig.run(BOB, &TEST_UNIT_READY, &[]).code(), MODE_CHANGED);
    assert_eq!(rig.run(BOB, &TEST_UNIT_READY, &[]).code(), (6, 0x5d, 0xff));
    let log = rig.run(ALICE, &[0x4d, 0, 0x6f, 0, 0, 0, 0, 0, 255, 0], &[]).data;
    assert_eq!(log[8..10], [0x5d, 0xff]);
}

#[test]
fn a_false_exception_can_be_asked_for_instead() {
    let mut rig = Rig::new();
    let list = [0, 0, 0, 0, 0x1c, 10, 4, 6, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(rig.ask(&select(CHANGE, &list), &list).0, Status::GOOD);
    assert_eq!(rig.ask(&TEST_UNIT_READY, &[]).1, NOTHING);
    let data = rig.run(ALICE, &REQUEST_SENSE, &[]).data;
    assert_eq!((data[2], data[12], data[13]), (0, 0x5d, 0xff));
}
