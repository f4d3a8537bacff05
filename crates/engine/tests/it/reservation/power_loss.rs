//! APTPL: what is saved, when, and what comes back.

use super::*;
use crate::cdb::*;
use crate::rig::{BLOCK, target};
use felio_hal::state::Saved;
use felio_hal::store::Failure;
use felio_spec::status::TaskManagementFunction as Function;

const APTPL: u8 = 1;
const DOCUMENT: &str = "reservations";
const CONFLICT: Status = Status::RESERVATION_CONFLICT;

/// The same unit in another process; Alice, Bob and Carol are there again.
pub(crate) fn restart(rig: &Rig) -> Rig {
    let mut target = target();
    let saved = rig.disk.saved.iter().map(|(part, bytes)| ((*part).to_owned(), bytes.clone()));
    target.unit_mut(0).saved = Saved(saved.collect());
    let mut rig = Rig::with(target, 64, 64 << 20);
    rig.login(CAROL);
    rig.attention(CAROL);
    rig
}

/// Alice and Bob are registered, for a loss of power too.
fn kept() -> Rig {
    let mut rig = Rig::with_carol();
    for (nexus, key) in [(ALICE, 1), (BOB, 2)] {
        assert_eq!(rig.out(nexus, Out::Register, 0, &list(0, key, APTPL)).status, Status::GOOD);
    }
    rig
}

#[test]
fn registrations_and_reservation_survive() {
    for kind in TYPES {
        let mut rig = kept();
        rig.reserve(ALICE, 1, kind);
        let before = rig.reservation();
        let mut rig = restart(&rig);
        assert_eq!((rig.keys(), rig.reservation(), rig.generation()), (vec![1, 2], before, 0));
        assert_eq!(rig.run(CAROL, &write10(0, 1), &[1; BLOCK]).status, CONFLICT);
        assert_eq!(rig.run(ALICE, &write10(0, 1), &[1; BLOCK]).status, Status::GOOD);
        assert_eq!(rig.run(ALICE, &in_cdb(2, 8), &[]).data[3] & 1, 1);
    }
}

#[test]
fn every_change_is_saved_before_it_is_answered() {
    let mut rig = kept();
    rig.hold = true;
    let reserve = rig.send_out(ALICE, Out::Reserve, WE, &list(1, 0, 0));
    assert_eq!((rig.held_names(), rig.reply(reserve)), (vec!["save reservations".to_owned()], None));
    // Not yet in force, and nobody gets in between.
    let write = rig.send(CAROL, &write10(0, 1), &[1; BLOCK]);
    assert_eq!(rig.reply(write), None);
    rig.release();
    assert_eq!(rig.reply(reserve).map(|reply| reply.status), Some(Status::GOOD));
    assert_eq!(rig.reply(write).map(|reply| reply.status), Some(CONFLICT));
}

#[test]
fn what_changes_nothing_is_not_saved() {
    let mut rig = kept();
    rig.reserve(ALICE, 1, WE);
    rig.disk.log.clear();
    rig.reserve(ALICE, 1, WE);
    rig.out(BOB, Out::Release, WE, &list(2, 0, 0));
    assert!(rig.disk.log.is_empty());
}

#[test]
fn without_aptpl_nothing_is_saved() {
    let rig = Rig::reserved(WE);
    assert!(rig.disk.saved.is_empty());
    let mut rig = restart(&rig);
    assert_eq!((rig.keys(), rig.reservation()), (vec![], None));
}

#[test]
fn the_last_registration_decides() {
    let mut rig = kept();
    assert_eq!(rig.out(CAROL, Out::Register, 0, &list(0, 3, 0)).status, Status::GOOD);
    assert_eq!(rig.run(ALICE, &in_cdb(2, 8), &[]).data[3] & 1, 0);
    let mut rig = restart(&rig);
    assert!(rig.keys().is_empty());
}

#[test]
fn what_cannot_be_saved_does_not_happen() {
    let check = |failure: Failure, want: Code| {
        let mut rig = kept();
        rig.disk.failure = Some(failure);
        let reply = rig.out(ALICE, Out::Reserve, EA, &list(1, 0, 0));
        assert_eq!(reply.code(), want);
        assert_eq!((rig.reservation(), rig.generation()), (None, 2));
        assert_eq!(rig.run(CAROL, &read10(0, 1), &[]).status, Status::GOOD);
        assert_eq!(rig.out(ALICE, Out::Reserve, EA, &list(1, 0, 0)).status, Status::GOOD);
    };
    check(Failure::NoSpace, (5, 0x55, 4));
    check(Failure::Medium(None), (3, 0x0c, 0));
    check(Failure::Other(5), (4, 0x44, 0));
}

#[test]
fn an_aborted_command_that_was_saved_has_happened() {
    let mut rig = kept();
    rig.hold = true;
    let reserve = rig.send_out(ALICE, Out::Reserve, EA, &list(1, 0, 0));
    let function = rig.manage(ALICE, Function::AbortTask, Some(reserve));
    let read = rig.send(CAROL, &read10(0, 1), &[]);
    assert_eq!((rig.managed(function), rig.reply(read)), (None, None));
    rig.hold = false;
    rig.release();
    assert!(rig.managed(function).is_some() && rig.is_abandoned(reserve));
    assert_eq!(rig.reply(read).map(|reply| reply.status), Some(CONFLICT));
    assert_eq!(rig.reservation(), Some((1, EA)));
}

#[test]
fn an_aborted_command_that_was_not_saved_has_not() {
    let mut rig = kept();
    rig.hold = true;
    let reserve = rig.send_out(ALICE, Out::Reserve, EA, &list(1, 0, 0));
    rig.lose(ALICE);
    rig.disk.failure = Some(Failure::Other(5));
    rig.hold = false;
    rig.release();
    assert_eq!(rig.reply(reserve), None);
    assert_eq!(rig.run(BOB, &in_cdb(1, 8), &[]).data[7], 0);
}

#[test]
fn where_nothing_is_kept_nobody_can_ask_for_it() {
    let mut target = target();
    target.unit_mut(0).limits.state = false;
    let mut rig = Rig::with(target, 64, 1 << 20);
    let reply = rig.out(ALICE, Out::Register, 0, &list(0, 1, APTPL));
    assert_eq!((reply.code(), reply.pointer(), reply.sense[15]), (INVALID_LIST, 20, 0x88));
    assert_eq!(rig.out(ALICE, Out::Register, 0, &list(0, 1, 0)).status, Status::GOOD);
    rig.reserve(ALICE, 1, WE);
    let reply = rig.out(ALICE, Out::Move, 0, &move_list(1, 7, 1, 1, &transport_id(1)));
    assert_eq!((reply.code(), reply.pointer(), reply.sense[15]), (INVALID_LIST, 17, 0x88));
}

#[test]
fn a_document_that_cannot_be_read_keeps_everybody_out_until_it_is_replaced() {
    let mut rig = kept();
    rig.disk.saved.insert(DOCUMENT, b"{".to_vec());
    let mut rig = restart(&rig);
    let lost = (7, 0x44, 1);
    for cdb in [&read10(0, 1)[..], &in_cdb(0, 8), &RESERVE6] {
        assert_eq!(rig.run(ALICE, cdb, &[]).code(), lost);
    }
    assert_eq!(rig.out(ALICE, Out::Register, 0, &list(0, 1, 0)).code(), lost);
    assert_eq!(rig.run(ALICE, &INQUIRY, &[]).status, Status::GOOD);
    assert_eq!(rig.out(ALICE, Out::Replace, WE, &list(1, 5, APTPL)).code(), INVALID_LIST);
    assert_eq!(rig.out(ALICE, Out::Replace, WE, &list(0, 0, APTPL)).code(), INVALID_LIST);
    assert_eq!(rig.out(ALICE, Out::Replace, 0, &list(0, 5, APTPL)).code(), INVALID_CDB);
    assert_eq!(rig.out(ALICE, Out::Replace, WE, &list(0, 5, APTPL)).status, Status::GOOD);
    assert_eq!((rig.keys(), rig.reservation(), rig.generation()), (vec![5], Some((5, WE)), 1));
    assert_eq!(rig.run(BOB, &write10(0, 1), &[1; BLOCK]).status, CONFLICT);
    let mut rig = restart(&rig);
    assert_eq!((rig.keys(), rig.reservation()), (vec![5], Some((5, WE))));
}
