//! RESERVE, RELEASE, CLEAR, REGISTER AND MOVE, and who may read and write meanwhile.

use super::*;
use crate::cdb::*;
use crate::rig::BLOCK;
use felio_spec::status::TaskManagementFunction as Function;

const CONFLICT: Status = Status::RESERVATION_CONFLICT;

/// Whether a nexus may read and write.
fn access(rig: &mut Rig, nexus: NexusId) -> (bool, bool) {
    let read = rig.run(nexus, &read10(0, 1), &[]).status;
    let write = rig.run(nexus, &write10(0, 1), &[1; BLOCK]).status;
    for status in [read, write] {
        assert!(status == Status::GOOD || status == CONFLICT, "{status:?}");
    }
    (read == Status::GOOD, write == Status::GOOD)
}

#[test]
fn a_type_says_who_may_read_and_write() {
    // Holder, registered, not registered.
    let want = [
        (WE, [(true, true), (true, false), (true, false)]),
        (EA, [(true, true), (false, false), (false, false)]),
        (WE_RO, [(true, true), (true, true), (true, false)]),
        (EA_RO, [(true, true), (true, true), (false, false)]),
        (WE_AR, [(true, true), (true, true), (true, false)]),
        (EA_AR, [(true, true), (true, true), (false, false)]),
    ];
    for (kind, want) in want {
        let mut rig = Rig::with_carol();
        rig.register(ALICE, 1);
        rig.register(BOB, 2);
        rig.reserve(ALICE, 1, kind);
        assert_eq!([ALICE, BOB, CAROL].map(|nexus| access(&mut rig, nexus)), want, "type {kind}");
        for cdb in [&TEST_UNIT_READY[..], &INQUIRY, &read_capacity16(), &[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(rig.run(CAROL, cdb, &[]).status, Status::GOOD);
        }
    }
}

#[test]
fn a_conflict_comes_before_the_data_are_fetched() {
    let mut rig = Rig::reserved(WE);
    rig.send_data = false;
    assert_eq!(rig.run(BOB, &write10(0, 1), &[1; BLOCK]).status, CONFLICT);
    assert!(rig.unsent.is_empty() && rig.disk.log.is_empty());
}

#[test]
fn a_conflict_comes_before_other_faults() {
    let mut rig = Rig::reserved(EA);
    assert_eq!(rig.run(BOB, &read10(5000, 1), &[]).status, CONFLICT);
}

#[test]
fn a_write_whose_data_come_after_the_reservation_conflicts() {
    let mut rig = Rig::new();
    rig.register(ALICE, 1);
    rig.send_data = false;
    let write = rig.send(BOB, &write10(0, 1), &[1; BLOCK]);
    rig.send_data = true;
    rig.reserve(ALICE, 1, WE);
    rig.deliver();
    assert_eq!(rig.reply(write).map(|reply| reply.status), Some(CONFLICT));
    assert_eq!(rig.blocks(0, 1), [0; BLOCK]);
}

#[test]
fn a_reservation_waits_for_writes_that_have_begun() {
    let mut rig = Rig::new();
    rig.register(ALICE, 1);
    rig.hold = true;
    let write = rig.send(BOB, &write10(0, 1), &[1; BLOCK]);
    let reserve = rig.send_out(ALICE, Out::Reserve, WE, &list(1, 0, 0));
    assert_eq!(rig.reply(reserve), None);
    rig.release();
    assert_eq!(rig.reply(write).map(|reply| reply.status), Some(Status::GOOD));
    assert_eq!(rig.reply(reserve).map(|reply| reply.status), Some(Status::GOOD));
}

#[test]
fn the_holder_may_reserve_again_as_it_did() {
    for kind in TYPES {
        let mut rig = Rig::reserved(kind);
        let generation = rig.generation();
        assert_eq!(rig.out(ALICE, Out::Reserve, kind, &list(1, 0, 0)).status, Status::GOOD);
        let other = if kind == WE { EA } else { WE };
        assert_eq!(rig.out(ALICE, Out::Reserve, other, &list(1, 0, 0)).status, CONFLICT);
        let others = if kind >= WE_AR { Status::GOOD } else { CONFLICT };
        assert_eq!(rig.out(BOB, Out::Reserve, kind, &list(2, 0, 0)).status, others);
        assert_eq!(rig.generation(), generation);
    }
}

#[test]
fn read_reservation_tells_key_and_type() {
    for kind in TYPES {
        let mut rig = Rig::reserved(kind);
        let key = if kind >= WE_AR { 0 } else { 1 };
        assert_eq!(rig.reservation(), Some((key, kind)));
    }
}

#[test]
fn scope_and_type_must_be_such() {
    let mut rig = Rig::new();
    rig.register(ALICE, 1);
    for (kind, bit) in [(0x10 | WE, 7), (0x20 | WE, 7), (0, 3), (2, 3), (4, 3), (9, 3), (15, 3)] {
        let reply = rig.out(ALICE, Out::Reserve, kind, &list(1, 0, 0));
        assert_eq!((reply.code(), reply.pointer(), reply.sense[15]), (INVALID_CDB, 2, 0xc8 | bit), "{kind}");
    }
    // The key comes first.
    assert_eq!(rig.out(ALICE, Out::Reserve, 0, &list(2, 0, 0)).status, CONFLICT);
}

#[test]
fn who_is_not_registered_conflicts_whatever_it_wants() {
    for out in [Out::Reserve, Out::Release, Out::Clear, Out::Preempt, Out::PreemptAndAbort] {
        let mut rig = Rig::new();
        assert_eq!(rig.out(ALICE, out, WE, &list(0, 1, 0)).status, CONFLICT, "{out:?}");
        assert_eq!(rig.out(ALICE, out, WE, &list(1, 1, 0)).status, CONFLICT, "{out:?}");
        rig.register(BOB, 1);
        assert_eq!(rig.out(ALICE, out, WE, &list(1, 1, 0)).status, CONFLICT, "{out:?}");
    }
    let mut rig = Rig::new();
    let moving = move_list(1, 2, 0, 1, &transport_id(1));
    assert_eq!(rig.out(ALICE, Out::Move, 0, &moving).status, CONFLICT);
}

#[test]
fn released_by_its_holder_only() {
    let mut rig = Rig::reserved(EA);
    assert_eq!(rig.out(BOB, Out::Release, EA, &list(2, 0, 0)).status, Status::GOOD);
    assert_eq!(rig.reservation(), Some((1, EA)));
    let generation = rig.generation();
    assert_eq!(rig.out(ALICE, Out::Release, EA, &list(1, 0, 0)).status, Status::GOOD);
    assert_eq!((rig.reservation(), rig.generation()), (None, generation));
    assert_eq!(rig.keys(), [1, 2, 3]);
    // There is nothing left to release.
    assert_eq!(rig.out(ALICE, Out::Release, EA, &list(1, 0, 0)).status, Status::GOOD);
}

#[test]
fn released_as_another_type_is_an_error() {
    let mut rig = Rig::reserved(EA);
    assert_eq!(rig.out(ALICE, Out::Release, WE, &list(1, 0, 0)).code(), (5, 0x26, 4));
    assert_eq!(rig.out(ALICE, Out::Release, 0x10 | EA, &list(1, 0, 0)).code(), (5, 0x26, 4));
    assert_eq!(rig.reservation(), Some((1, EA)));
}

#[test]
fn the_registered_learn_of_a_release_that_concerned_them() {
    for kind in TYPES {
        let mut rig = Rig::reserved(kind);
        rig.out(ALICE, Out::Release, kind, &list(1, 0, 0));
        let told = if kind >= WE_RO { RELEASED } else { NOTHING };
        assert_eq!([ALICE, BOB, CAROL].map(|nexus| rig.attention(nexus)), [NOTHING, told, told], "{kind}");
    }
}

#[test]
fn a_holder_that_unregisters_releases() {
    for kind in TYPES {
        let mut rig = Rig::reserved(kind);
        assert_eq!(rig.out(ALICE, Out::Register, 0, &list(1, 0, 0)).status, Status::GOOD);
        let gone = kind < WE_AR;
        assert_eq!(rig.reservation().is_none(), gone, "{kind}");
        let told = if gone && kind >= WE_RO { RELEASED } else { NOTHING };
        assert_eq!([ALICE, BOB, CAROL].map(|nexus| rig.attention(nexus)), [NOTHING, told, told], "{kind}");
    }
}

#[test]
fn the_last_of_all_registrants_releases() {
    let mut rig = Rig::reserved(EA_AR);
    for (nexus, key) in [(ALICE, 1), (BOB, 2), (CAROL, 3)] {
        assert!(rig.reservation().is_some());
        rig.out(nexus, Out::Register, 0, &list(key, 0, 0));
    }
    assert_eq!(rig.reservation(), None);
    assert_eq!(access(&mut rig, BOB), (true, true));
}

#[test]
fn a_new_key_keeps_the_reservation() {
    let mut rig = Rig::reserved(EA);
    rig.register(ALICE, 9);
    assert_eq!(rig.reservation(), Some((9, EA)));
    assert_eq!(access(&mut rig, ALICE), (true, true));
}

#[test]
fn cleared_by_anybody_who_is_registered() {
    let mut rig = Rig::reserved(EA);
    let generation = rig.generation();
    assert_eq!(rig.out(BOB, Out::Clear, 0, &list(2, 0, 0)).status, Status::GOOD);
    assert_eq!([ALICE, BOB, CAROL].map(|nexus| rig.attention(nexus)), [PREEMPTED, NOTHING, PREEMPTED]);
    assert_eq!((rig.keys(), rig.reservation(), rig.generation()), (vec![], None, generation + 1));
}

#[test]
fn a_reservation_is_moved_to_who_need_not_be_there() {
    let mut rig = Rig::reserved(WE);
    let generation = rig.generation();
    let moving = move_list(1, 7, 0, 1, &transport_id(9));
    assert_eq!(rig.out(ALICE, Out::Move, 0, &moving).status, Status::GOOD);
    assert_eq!((rig.keys(), rig.reservation()), (vec![1, 2, 3, 7], Some((7, WE))));
    assert_eq!(rig.generation(), generation + 1);
    assert_eq!([ALICE, BOB, CAROL].map(|nexus| rig.attention(nexus)), [NOTHING; 3]);
    assert_eq!(access(&mut rig, ALICE), (true, false));
    let new = NexusId { slot: 9, ..ALICE };
    rig.login(new);
    rig.attention(new);
    assert_eq!(access(&mut rig, new), (true, true));
}

#[test]
fn a_reservation_is_moved_to_a_registrant_with_a_new_key() {
    let mut rig = Rig::reserved(EA_RO);
    let moving = move_list(1, 8, 2, 1, &transport_id(1));
    assert_eq!(rig.out(ALICE, Out::Move, 0, &moving).status, Status::GOOD);
    assert_eq!(rig.reservation(), None.or(Some((8, EA_RO))));
    assert_eq!(rig.keys(), [8, 3]);
}

#[test]
fn a_reservation_is_not_moved_wrongly() {
    let check = |kind: u8, nexus: NexusId, list: Vec<u8>, want: (Code, u16)| {
        let mut rig = Rig::reserved(kind);
        let reply = rig.out(nexus, Out::Move, 0, &list);
        assert_eq!(reply.status, if want.0 == NOTHING { CONFLICT } else { Status::CHECK_CONDITION });
        assert_eq!((reply.code(), if want.1 > 0 { reply.pointer() } else { 0 }), want);
        assert_eq!(rig.generation(), 3);
    };
    let id = transport_id(1);
    check(WE, BOB, move_list(2, 7, 0, 1, &id), (NOTHING, 0));
    check(WE, ALICE, move_list(3, 7, 0, 1, &id), (NOTHING, 0));
    check(WE_AR, ALICE, move_list(1, 7, 0, 1, &id), (NOTHING, 0));
    check(WE, ALICE, move_list(1, 0, 0, 1, &id), (INVALID_LIST, 8));
    check(WE, ALICE, move_list(1, 7, 0, 2, &id), (INVALID_LIST, 18));
    check(WE, ALICE, move_list(1, 7, 0, 1, &transport_id(0)), (INVALID_LIST, 24));
    check(WE, ALICE, move_list(1, 7, 0, 1, &[&id[..], &[0; 4]].concat()), (INVALID_LIST, 20));
    check(
        WE,
        ALICE,
        move_list(
            1,
            7,
            0,
            1,
            &[0x05, 0, 0, 20, b'i', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ),
        (INVALID_LIST, 24),
    );
    check(WE, ALICE, move_list(1, 7, 0, 1, &id[..24]), (LIST_LENGTH, 0));
    check(WE, ALICE, move_list(1, 7, 0, 1, &[]), (LIST_LENGTH, 0));
}

#[test]
fn without_a_reservation_there_is_none_to_move() {
    let mut rig = Rig::new();
    rig.register(ALICE, 1);
    let reply = rig.out(ALICE, Out::Move, 0, &move_list(1, 7, 0, 1, &transport_id(1)));
    assert_eq!((reply.code(), reply.pointer()), (INVALID_CDB, 1));
}

#[test]
fn registrations_survive_a_logout_and_resets() {
    let mut rig = Rig::reserved(EA);
    rig.lose(ALICE);
    assert_eq!(access(&mut rig, BOB), (false, false));
    let again = NexusId { generation: 1, slot: 5, ..ALICE };
    rig.login_as(again, 0, 1);
    rig.attention(again);
    assert_eq!(access(&mut rig, again), (true, true));
    for function in [Function::LogicalUnitReset, Function::TargetWarmReset, Function::ITNexusReset] {
        rig.manage(again, function, None);
        rig.run(again, &REQUEST_SENSE, &[]);
        rig.run(BOB, &REQUEST_SENSE, &[]);
        assert_eq!(access(&mut rig, BOB), (false, false), "{function:?}");
        assert_eq!(access(&mut rig, again), (true, true), "{function:?}");
    }
}

#[test]
fn nothing_is_lost_so_nothing_is_replaced() {
    let mut rig = Rig::new();
    assert_eq!(rig.out(ALICE, Out::Replace, WE, &list(0, 1, 0)).code(), INVALID_CDB);
    let mut rig = Rig::reserved(WE);
    assert_eq!(rig.out(BOB, Out::Replace, WE, &list(0, 1, 0)).status, CONFLICT);
}
